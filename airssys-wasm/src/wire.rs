//! A wire: where the functions of an interface lead that a service imports from another one. Plain data; whether the
//! two ends fit, `deploy/wires.rs` says.

use std::collections::BTreeMap;
use std::time::Duration;

use airssys_rt_shim::supervisor::Backoff;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::{Spanned, Table, Value};

use crate::address::{Address, split};
use crate::schema::{Schema, Written, schema};
use crate::typed::{FunctionType, unversioned};

schema! {
    of Wire, written WrittenWire {
        /// the service that has the functions; `service/key` where it is keyed
        to: String => to, needed "required", by InPlace, kind "address";
        /// the parameter whose value is the key, where `to` is keyed, or a pool with lanes: see [keys and
        /// lanes](typed.md#keys-and-lanes)
        key: String => key, by InPlace, default "none";
        /// the functions that may be called over it
        functions: Vec<Spanned<String>> => functions, by InPlace, default "all that the component imports";
        /// what the caller gets where the other end cannot answer: see [when the other end
        /// fails](typed.md#when-the-other-end-fails)
        on_failure: OnFailure => on_failure, by InPlace, default "it is told, or traps";
    }
}

/// Where the functions of an interface lead, and what becomes of calls that fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    /// Who has them.
    pub(crate) to: Address,
    /// The parameter whose value is the key of who is called.
    pub(crate) key: Option<String>,
    /// The functions that may be called; none means all.
    pub(crate) functions: Vec<String>,
    /// What the caller gets where the other end cannot answer.
    pub(crate) on_failure: OnFailure,
    /// Whether nobody wrote it, and it made itself.
    pub(crate) made: bool,
}

impl Wire {
    /// Whether calls over it go to this address, as it is told to the layers: that of a lane is that of its service.
    pub(crate) fn leads_to(&self, target: &str) -> bool {
        match self.key {
            Some(_) => split(target).0 == self.to.service(),
            None => target == self.to.as_str() || target == self.to.service(),
        }
    }

    /// As a plan tells it and a file says it. No file has one that made itself.
    pub(crate) fn value(&self) -> Value {
        if self.made { self.told().into() } else { self.table().into() }
    }

    /// Where it leads, for people.
    pub(crate) fn told(&self) -> String {
        let made = if self.made { ", by itself" } else { "" };
        let some = if self.functions.is_empty() { "" } else { ": " };
        format!("{}{made}{some}{}", self.to, self.functions.join(", "))
    }

    /// Whether this function may be called over it.
    pub(crate) fn carries(&self, function: &FunctionType) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|own| function.is_named(own))
    }
}

/// How long a call that is tried again waits before it is.
pub(crate) const BETWEEN_TRIES: Backoff = Backoff {
    initial: Duration::from_millis(1),
    factor: 2.0,
    max: Duration::from_millis(100),
    // Nobody runs meanwhile.
    reset_after: Duration::ZERO,
};

/// The wires of a service, each by its interface, which is named with its version or without.
pub(crate) type Wires = BTreeMap<String, Wire>;

/// What the caller gets where the other end cannot answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The error, where the function's type has a text for it; a trap otherwise.
    #[default]
    Told,
    /// What the next try comes to, until the turn has no time left.
    Retry,
    /// This value, as it is written in WAVE.
    Value(Instead),
}

/// Values in place of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instead {
    /// One for each function that returns something.
    OfAll(String),
    /// One for each of these functions.
    Of(BTreeMap<String, String>),
}

/// The wire of an interface: it has the interface's name, or that without a version.
pub(crate) fn wire_of<'a>(wires: &'a Wires, interface: &str) -> Option<&'a Wire> {
    wires.get(interface).or_else(|| wires.get(unversioned(interface)))
}

impl OnFailure {
    /// The value in place of what this function returns, where there is one.
    pub(crate) fn value_of(&self, function: &FunctionType) -> Option<&str> {
        match self {
            Self::Value(Instead::OfAll(text)) => Some(text.as_str()).filter(|_| function.result.is_some()),
            Self::Value(Instead::Of(values)) => {
                values.iter().find(|(name, _)| function.is_named(name)).map(|(_, value)| value.as_str())
            }
            Self::Told | Self::Retry => None,
        }
    }

    /// The functions that values are named for.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        let values = match self {
            Self::Value(Instead::Of(values)) => Some(values),
            _ => None,
        };
        values.into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

/// Something that is written as a text where that is all there is to say, and as a table otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TextOr<T> {
    /// The text.
    Text(String),
    /// The table.
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// The table of an `on_failure`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInstead {
    value: TextOr<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for OnFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOr::<WrittenInstead>::deserialize(deserializer)? {
            TextOr::Text(word) if word == "retry" => Ok(Self::Retry),
            TextOr::Text(word) => Err(D::Error::custom(format!(
                "{word:?} is nothing to do about a failure: it is retry, or a table such as {{ value = \"0\" }}"
            ))),
            TextOr::Table(WrittenInstead { value: TextOr::Text(text) }) => Ok(Self::Value(Instead::OfAll(text))),
            TextOr::Table(WrittenInstead { value: TextOr::Table(values) }) => Ok(Self::Value(Instead::Of(values))),
        }
    }
}

impl Written<Self> for OnFailure {
    const KIND: &'static str = "`\"retry\"` or table";

    fn put(&self, field: &mut Self) {
        field.clone_from(self);
    }

    fn value(field: &Self) -> Option<Value> {
        let table = |value: Value| Some(Table::from_iter([("value".to_owned(), value)]).into());
        match field {
            Self::Told => None,
            Self::Retry => Some("retry".into()),
            Self::Value(Instead::OfAll(text)) => table(text.as_str().into()),
            Self::Value(Instead::Of(values)) => {
                let texts = values.iter().map(|(function, text)| (function.clone(), Value::from(text.as_str())));
                table(texts.collect::<Table>().into())
            }
        }
    }
}
