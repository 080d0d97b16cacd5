//! The values of keys as they are written: numbers, sizes, times, words.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Spanned, Table, Value};

use super::key::{Key, Number};
use super::range::{LONGEST, Unit, amount, nanoseconds};

/// How a value is written that is a field of type `F`.
pub(crate) trait Written<F>: Sized {
    /// What the book calls it.
    const KIND: &'static str;
    /// What it counts, where it is a number with a range.
    const UNIT: Option<Unit> = None;

    /// What was written becomes the field.
    fn put(&self, field: &mut F);

    /// The field as it is written; none where it is left out.
    fn value(field: &F) -> Option<Value>;

    /// The numbers that are in the field.
    fn numbers(_field: &F, _key: &'static Key, _all: &mut Vec<Number>) {}
}

/// A plain number. One that TOML has no room for is written as the largest one: no range has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Count<T>(pub(crate) T);

impl<T: Copy + TryInto<u64>> Written<T> for Count<T> {
    const KIND: &'static str = "count";
    const UNIT: Option<Unit> = Some(Unit::Count);

    fn put(&self, field: &mut T) {
        *field = self.0;
    }

    fn value(field: &T) -> Option<Value> {
        let number = (*field).try_into().unwrap_or(u64::MAX);
        Some(i64::try_from(number).unwrap_or(i64::MAX).into())
    }

    fn numbers(field: &T, key: &'static Key, all: &mut Vec<Number>) {
        all.push(Number::new(key, (*field).try_into().unwrap_or(u64::MAX)));
    }
}

/// More than any machine has, in bytes.
const MOST_BYTES: u64 = 8 << 60;

/// A number of bytes, written as people do: `"32MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size = bytesize::ByteSize::from_str(&text).map_err(|error| {
            D::Error::custom(format!("{text:?} is no number of bytes ({error}): it is written like \"32MiB\""))
        })?;
        // What does not fit into 64 bits comes as the largest number that does.
        if size.as_u64() > MOST_BYTES {
            return Err(D::Error::custom(format!("{text:?} is more than 8 EiB: it is written like \"32MiB\"")));
        }
        Ok(Self(size.as_u64()))
    }
}

impl<T: Copy + TryInto<u64> + TryFrom<u64> + Bounded> Written<T> for Bytes {
    const KIND: &'static str = "size";
    const UNIT: Option<Unit> = Some(Unit::Bytes);

    fn put(&self, field: &mut T) {
        *field = self.0.try_into().unwrap_or(T::MOST);
    }

    fn value(field: &T) -> Option<Value> {
        Some(amount(Unit::Bytes, (*field).try_into().unwrap_or(u64::MAX)).into())
    }

    fn numbers(field: &T, key: &'static Key, all: &mut Vec<Number>) {
        all.push(Number::new(key, (*field).try_into().unwrap_or(u64::MAX)));
    }
}

/// A number that has a largest one.
pub(crate) trait Bounded {
    const MOST: Self;
}

impl Bounded for u64 {
    const MOST: Self = Self::MAX;
}

impl Bounded for usize {
    const MOST: Self = Self::MAX;
}

/// A bound that may be left out.
impl Written<Option<u64>> for Bytes {
    const KIND: &'static str = "size";

    fn put(&self, field: &mut Option<u64>) {
        *field = Some(self.0);
    }

    fn value(field: &Option<u64>) -> Option<Value> {
        field.map(|bytes| amount(Unit::Bytes, bytes).into())
    }
}

/// Parses a length of time that is not too long.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err("it is longer than a year".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A length of time, written as people do: `"5s"`, `"250ms"`, `"1m 30s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Humane(pub(crate) Duration);

impl<'de> Deserialize<'de> for Humane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_time(&text).map(Self).map_err(|error| {
            D::Error::custom(format!("{text:?} is no length of time ({error}): it is written like \"5s\" or \"250ms\""))
        })
    }
}

impl Written<Duration> for Humane {
    const KIND: &'static str = "time";
    const UNIT: Option<Unit> = Some(Unit::Nanoseconds);

    fn put(&self, field: &mut Duration) {
        *field = self.0;
    }

    fn value(field: &Duration) -> Option<Value> {
        Some(humantime::format_duration(*field).to_string().into())
    }

    fn numbers(field: &Duration, key: &'static Key, all: &mut Vec<Number>) {
        all.push(Number::new(key, nanoseconds(*field)));
    }
}

/// Values that are written as they are.
macro_rules! plain {
    ($($of:ty: $kind:literal;)+) => {
        $(impl Written<$of> for $of {
            const KIND: &'static str = $kind;

            fn put(&self, field: &mut $of) {
                field.clone_from(self);
            }

            fn value(field: &$of) -> Option<Value> {
                Some(field.clone().into())
            }
        })+
    };
}

plain! {
    bool: "true or false";
    f64: "number";
    String: "text";
}

/// A text that may be left out.
impl Written<Option<String>> for String {
    const KIND: &'static str = "text";

    fn put(&self, field: &mut Option<String>) {
        *field = Some(self.clone());
    }

    fn value(field: &Option<String>) -> Option<Value> {
        field.as_deref().map(Value::from)
    }
}

/// A value whose place in the file is kept.
impl<F, W: Written<F>> Written<F> for Spanned<W> {
    const KIND: &'static str = W::KIND;
    const UNIT: Option<Unit> = W::UNIT;

    fn put(&self, field: &mut F) {
        self.get_ref().put(field);
    }

    fn value(field: &F) -> Option<Value> {
        W::value(field)
    }

    fn numbers(field: &F, key: &'static Key, all: &mut Vec<Number>) {
        W::numbers(field, key, all);
    }
}

/// Texts with names of somebody's choice.
impl<W: Written<String>> Written<BTreeMap<String, String>> for BTreeMap<String, W> {
    const KIND: &'static str = "table of texts";

    fn put(&self, field: &mut BTreeMap<String, String>) {
        field.clear();
        self.iter().for_each(|(name, written)| written.put(field.entry(name.clone()).or_default()));
    }

    fn value(field: &BTreeMap<String, String>) -> Option<Value> {
        Some(field.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect::<Table>().into())
    }
}

/// Texts that mean something. Those who have the file read them and put them there, as they can say where one is wrong.
impl<T: ToString> Written<Vec<T>> for Vec<Spanned<String>> {
    const KIND: &'static str = "list of texts";

    fn put(&self, _field: &mut Vec<T>) {}

    fn value(field: &Vec<T>) -> Option<Value> {
        Some(field.iter().map(ToString::to_string).collect::<Vec<_>>().into())
    }
}

/// A value that is written as one of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Word<T>(pub(crate) T);

/// The words for a value.
pub(crate) trait Words: Copy + PartialEq + 'static {
    /// What the value is, for the error.
    const WHAT: &'static str;
    /// What it may be, for the error.
    const LIST: &'static str;
    /// Each word with what it means; the first one stands for what has none.
    const ALL: &'static [(&'static str, Self)];

    /// What else may be written: a length of time.
    fn other(_text: &str) -> Option<Self> {
        None
    }

    /// The length of time that is written in place of a word.
    fn time(self) -> Option<Duration> {
        None
    }

    /// As it is written.
    fn text(self) -> String {
        match (self.time(), Self::ALL.iter().find(|(_, means)| *means == self).or(Self::ALL.first())) {
            (Some(time), _) => humantime::format_duration(time).to_string(),
            (None, Some((word, _))) => (*word).to_owned(),
            (None, None) => String::new(),
        }
    }
}

impl<'de, T: Words> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = T::ALL.iter().find(|(word, _)| *word == text).map(|(_, means)| *means);
        known
            .or_else(|| T::other(&text))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no {}: it is one of {}", T::WHAT, T::LIST)))
    }
}

impl<T: Words> Written<T> for Word<T> {
    const KIND: &'static str = "word";

    fn put(&self, field: &mut T) {
        *field = self.0;
    }

    fn value(field: &T) -> Option<Value> {
        Some(field.text().into())
    }
}
