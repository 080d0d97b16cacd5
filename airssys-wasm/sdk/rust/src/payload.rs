//! The bytes of a message, and how values become bytes and back.
//!
//! Values are JSON; [`Payload`] is the way around it, without a copy. Refuses nothing by size: the host does.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Raw bytes, for those who do not want JSON. Passed on as they are, without a copy.
///
/// It goes wherever a value goes: as a handler's message or answer, as what is sent, called with, published or kept in
/// state.
///
/// # Example
///
/// ```
/// use airssys_sdk::Payload;
///
/// let payload = Payload::from(vec![1, 2, 3]);
/// assert_eq!(payload.len(), 3);
/// assert_eq!(Vec::from(payload), [1, 2, 3]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Payload(Vec<u8>);

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Payload> for Vec<u8> {
    fn from(payload: Payload) -> Self {
        payload.0
    }
}

/// What can be sent: whatever serde can write, as JSON, and [`Payload`] as it is.
///
/// # Example
///
/// ```
/// use airssys_sdk::{Encode, Payload};
///
/// assert_eq!(*"hi".encode()?, *b"\"hi\"");
/// assert_eq!(*Payload::from("hi").encode()?, *b"hi");
/// # Ok::<(), airssys_sdk::EncodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent or kept",
    note = "derive serde's Serialize for it, or use airssys_sdk::Payload for raw bytes"
)]
pub trait Encode {
    /// The value's bytes.
    ///
    /// # Errors
    ///
    /// Where it has no JSON form, such as a map with keys that are no text.
    fn encode(&self) -> Result<Cow<'_, [u8]>, EncodeError>;
}

impl<T: Serialize + ?Sized> Encode for T {
    fn encode(&self) -> Result<Cow<'_, [u8]>, EncodeError> {
        serde_json::to_vec(self).map(Cow::Owned).map_err(EncodeError)
    }
}

impl Encode for Payload {
    fn encode(&self) -> Result<Cow<'_, [u8]>, EncodeError> {
        Ok(Cow::Borrowed(&self.0))
    }
}

/// What can be received: whatever serde can read from JSON, and [`Payload`], which takes any bytes.
///
/// An empty body reads as `null`: as `()`, and as the `None` of an `Option`.
///
/// # Example
///
/// ```
/// use airssys_sdk::Decode;
///
/// assert_eq!(Vec::<u32>::decode(b"[1,2]".to_vec())?, [1, 2]);
/// assert_eq!(Option::<u32>::decode(Vec::new())?, None);
/// # Ok::<(), airssys_sdk::DecodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a message",
    note = "derive serde's Deserialize for it, or use airssys_sdk::Payload for raw bytes"
)]
pub trait Decode: Sized {
    /// The value of these bytes.
    ///
    /// # Errors
    ///
    /// Where they are no JSON, or not of this type.
    fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError>;
}

impl<T: DeserializeOwned> Decode for T {
    fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let text = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        serde_json::from_slice(text).map_err(DecodeError)
    }
}

impl Decode for Payload {
    fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self(bytes))
    }
}

/// A value that has no JSON form.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use airssys_sdk::Encode;
///
/// let error = HashMap::from([(vec![1], 1)]).encode().unwrap_err();
/// assert!(error.to_string().starts_with("cannot be written as JSON"));
/// ```
#[derive(Debug)]
pub struct EncodeError(serde_json::Error);

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot be written as JSON: {}", self.0)
    }
}

impl std::error::Error for EncodeError {}

/// Bytes that are not the JSON of the type that was asked for.
///
/// # Example
///
/// ```
/// use airssys_sdk::Decode;
///
/// let error = u32::decode(b"\"seven\"".to_vec()).unwrap_err();
/// assert!(error.to_string().starts_with("cannot be read"));
/// ```
#[derive(Debug)]
pub struct DecodeError(serde_json::Error);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot be read: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}
