//! Addresses: `service`, or `service/key` for one actor of a keyed service.
//!
//! An address that exists is valid: it was parsed. A service name is made of ASCII letters, digits, `-`, `_` and `.`,
//! begins with a letter or a digit, and has at most 64 characters. A key is any non-empty text of at most 256 bytes
//! without control characters.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest service name, in bytes.
pub(crate) const MAX_SERVICE_NAME: usize = 64;
/// The longest key, in bytes.
///
/// # Example
///
/// ```
/// use airssys_wasm::address::{Address, MAX_KEY};
///
/// assert!(format!("carts/{}", "k".repeat(MAX_KEY)).parse::<Address>().is_ok());
/// assert!(format!("carts/{}", "k".repeat(MAX_KEY + 1)).parse::<Address>().is_err());
/// ```
pub const MAX_KEY: usize = 256;

/// A named place in the mesh, or one actor of a keyed one. Cheap to clone.
///
/// # Example
///
/// ```
/// use airssys_wasm::address::{Address, AddressError};
///
/// let address: Address = "carts/alice".parse()?;
/// assert_eq!((address.service(), address.key()), ("carts", Some("alice")));
/// assert_eq!(address.as_ref(), "carts/alice");
/// assert!(matches!("/alice".parse::<Address>(), Err(AddressError::Service { .. })));
/// # Ok::<_, AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Arc<str>,
    service: usize,
}

/// A text that is no address.
///
/// # Example
///
/// ```
/// use airssys_wasm::address::{Address, AddressError};
///
/// let error = "carts/".parse::<Address>().unwrap_err();
/// assert_eq!(error, AddressError::Key { key: String::new() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AddressError {
    /// The part before the slash is no service name.
    #[error(
        "{service:?} is no service name: it takes 1 to {MAX_SERVICE_NAME} ASCII letters, digits, '-', '_' or '.', and begins with a letter or a digit"
    )]
    Service {
        /// What was there.
        service: String,
    },
    /// The part after the slash is no key.
    #[error("{key:?} is no key: it takes 1 to {MAX_KEY} bytes without control characters")]
    Key {
        /// What was there.
        key: String,
    },
}

/// Whether `name` can be the name of a service.
#[must_use]
pub(crate) fn is_service_name(name: &str) -> bool {
    (1..=MAX_SERVICE_NAME).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether `key` can be a key.
#[must_use]
pub(crate) fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && !key.chars().any(char::is_control)
}

/// Parts `service` or `service/key` without checking either.
pub(crate) fn split(address: &str) -> (&str, Option<&str>) {
    match address.split_once('/') {
        Some((service, key)) => (service, Some(key)),
        None => (address, None),
    }
}

impl Address {
    /// The address of a whole service.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::address::Address;
    ///
    /// assert_eq!(Address::of_service("carts")?.key(), None);
    /// # Ok::<_, airssys_wasm::address::AddressError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AddressError::Service`].
    #[doc(hidden)]
    pub fn of_service(service: &str) -> Result<Self, AddressError> {
        if is_service_name(service) {
            Ok(Self { text: service.into(), service: service.len() })
        } else {
            Err(AddressError::Service { service: service.to_owned() })
        }
    }

    /// The address of the actor for `key` of this address's service.
    ///
    /// # Errors
    ///
    /// [`AddressError::Key`].
    pub(crate) fn with_key(&self, key: &str) -> Result<Self, AddressError> {
        if is_key(key) {
            Ok(Self { text: format!("{}/{key}", self.service()).into(), service: self.service })
        } else {
            Err(AddressError::Key { key: key.to_owned() })
        }
    }

    /// The service's name.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::address::Address;
    ///
    /// assert_eq!("carts/alice".parse::<Address>()?.service(), "carts");
    /// # Ok::<_, airssys_wasm::address::AddressError>(())
    /// ```
    #[must_use]
    pub fn service(&self) -> &str {
        &self.text[..self.service]
    }

    /// The key, where it has one.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::address::Address;
    ///
    /// assert_eq!("carts/alice".parse::<Address>()?.key(), Some("alice"));
    /// assert_eq!("carts".parse::<Address>()?.key(), None);
    /// # Ok::<_, airssys_wasm::address::AddressError>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.text.get(self.service + 1..)
    }

    /// The whole, as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (service, key) = split(text);
        let service = Self::of_service(service)?;
        match key {
            Some(key) => service.with_key(key),
            None => Ok(service),
        }
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Address, is_key, is_service_name};

    #[test]
    fn names_and_keys_are_what_the_rules_say() {
        for good in ["a", "0", "shop.pricing", "a-b_c", &"x".repeat(64)] {
            assert!(is_service_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "ä", "a/b", "a*", &"x".repeat(65)] {
            assert!(!is_service_name(bad), "{bad}");
        }
        assert!(is_key("ä/ö ü"));
        for bad in ["", "a\nb", "\0", &"x".repeat(257)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_parted_at_its_first_slash() {
        let address: Address = "carts/a/b".parse().unwrap();
        assert_eq!((address.service(), address.key()), ("carts", Some("a/b")));
        let address: Address = "carts".parse().unwrap();
        assert_eq!((address.service(), address.key()), ("carts", None));
        for bad in ["", "/a", "carts/", "a b/c"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
