//! Bytes as text: as it is where it is text, and in hexadecimal digits otherwise. So people can read what is written
//! down, and a secret is found in it.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;
use crate::secrets::HIDDEN;

/// What stands before digits.
const DIGITS: &str = "hex:";

pub(in crate::turn) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(DIGITS) => text.to_owned(),
        _ => format!("{DIGITS}{}", hex::encode(bytes)),
    }
}

/// The bytes of a text. What was hidden within digits stands there as it is told to people; what are no digits
/// otherwise is left out.
pub(in crate::turn) fn bytes(text: String) -> Bytes {
    let Some(digits) = text.strip_prefix(DIGITS) else { return text.into() };
    let part = |part: &str| {
        let pairs = part.as_bytes().as_chunks::<2>().0.iter();
        pairs.filter_map(|pair| hex::decode::<1>(std::str::from_utf8(pair).ok()?)).flatten().collect::<Vec<u8>>()
    };
    let parts: Vec<Vec<u8>> = digits.split(HIDDEN).map(part).collect();
    parts.join(HIDDEN.as_bytes()).into()
}

pub(in crate::turn) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(bytes))
}

pub(in crate::turn) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    String::deserialize(deserializer).map(bytes)
}

/// One that stands within something else.
pub(in crate::turn) struct Octets(pub(in crate::turn) Bytes);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}
