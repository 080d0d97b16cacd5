//! `[[invariant]]`: what holds of the committed states of services after each commit, not only in the end.
//!
//! A side of it is read from states without asking anybody: no message is sent for it, and no turn begins. It refuses
//! to guess how a value is written: the file says that.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use toml::Spanned;

use super::written::time;
use crate::config_file::{ConfigError, Source};
use crate::runtime::Runtime;

const AS_HINT: &str = "`as = \"u64-le\"` is what `state::increment` of the SDKs writes, `\"json\"` what `state::set` of \
                       Rust's does, and `\"text\"` is UTF-8";

/// An invariant as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    service: String,
    key: Option<String>,
    state: String,
    #[serde(rename = "as")]
    reads: Option<Spanned<String>>,
    path: Option<String>,
    equals: Option<Spanned<toml::Value>>,
    at_most: Option<i64>,
    at_least: Option<i64>,
    same_as: Option<Spanned<WrittenSide>>,
    within: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSide {
    service: String,
    key: Option<String>,
    state: String,
    #[serde(rename = "as")]
    reads: Option<Spanned<String>>,
    path: Option<String>,
}

/// How a value is written in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Eight bytes, the lowest first.
    U64,
    Json,
    Text,
}

/// Values of a service's states.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    service: String,
    /// Of this key alone; of all where none is named.
    key: Option<String>,
    /// The name in the state.
    state: String,
    /// Whether that is how names begin.
    is_prefix: bool,
    reads: Reads,
    /// Where in the JSON of a value, as a JSON pointer; empty for all of it.
    path: String,
}

/// What is found there: numbers are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Number(i128),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Equals(Found),
    Between(Option<i128>, Option<i128>),
    SameAs(Side),
}

/// What holds of states.
#[derive(Debug, Clone)]
pub(super) struct Invariant {
    side: Side,
    wanted: Wanted,
    /// It may not hold for so long at a time, while messages are under way.
    pub(super) within: Duration,
    /// Where in the file it stands.
    pub(super) span: Range<usize>,
}

impl Invariant {
    pub(super) fn of(source: &Source, written: &Spanned<Written>) -> Result<Self, ConfigError> {
        let span = written.span();
        let Written { service, key, state, reads, path, equals, at_most, at_least, same_as, within } =
            written.get_ref();
        let side = WrittenSide {
            service: service.clone(),
            key: key.clone(),
            state: state.clone(),
            reads: reads.clone(),
            path: path.clone(),
        };
        let side = Side::of(source, &span, &side, None)?;
        let wanted = match (equals, (at_most, at_least), same_as) {
            (Some(value), (None, None), None) => Wanted::Equals(side.wanted(source, value)?),
            (None, (None, None), Some(other)) => {
                Wanted::SameAs(Side::of(source, &other.span(), other.get_ref(), Some(side.reads))?)
            }
            (None, (most, least), None) if most.is_some() || least.is_some() => {
                if side.reads == Reads::Text {
                    let what = "a bound is one of numbers, and what is read `as = \"text\"` is none";
                    return Err(source.error(&span, what, AS_HINT));
                }
                if least.zip(*most).is_some_and(|(least, most)| least > most) {
                    return Err(source.error(&span, "`at_least` is more than `at_most`: nothing is both", ""));
                }
                Wanted::Between(least.map(i128::from), most.map(i128::from))
            }
            _ => {
                let what = "an [[invariant]] has one of `equals`, `same_as`, and bounds: `at_most`, `at_least` or both";
                let hint = "`at_least = 0`, or `same_as = { service = \"books\", state = \"booked\" }`";
                return Err(source.error(&span, what, hint));
            }
        };
        let within = within.as_ref().map_or(Ok(Duration::ZERO), |text| time(source, text))?;
        Ok(Self { side, wanted, within, span })
    }

    /// The services whose states it is about.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        let other = match &self.wanted {
            Wanted::SameAs(other) => Some(other.service.as_str()),
            Wanted::Equals(_) | Wanted::Between(..) => None,
        };
        std::iter::once(self.side.service.as_str()).chain(other)
    }

    /// What is there in the place of what should be; none where it holds.
    pub(super) fn broken(&self, runtime: &Runtime) -> Option<String> {
        let found = match self.side.find(runtime) {
            Ok(found) => found,
            Err(why) => return Some(format!("{} is no value: {why}", self.side)),
        };
        match &self.wanted {
            Wanted::Equals(wanted) if *wanted == found => None,
            Wanted::Equals(wanted) => Some(format!("{} is {found}, and {wanted} was wanted", self.side)),
            Wanted::SameAs(other) => match other.find(runtime) {
                Ok(theirs) if theirs == found => None,
                Ok(theirs) => Some(format!("{} is {found}, and {other} is {theirs}", self.side)),
                Err(why) => Some(format!("{other} is no value: {why}")),
            },
            Wanted::Between(least, most) => {
                let Found::Number(number) = found else {
                    return Some(format!("{} is no value: a bound is one of numbers, and it has {found}", self.side));
                };
                let passed = |bound: &Option<i128>, word, is_passed: fn(&i128, &i128) -> bool| {
                    let bound = bound.filter(|bound| is_passed(&number, bound))?;
                    Some(format!("{} is {number}, and its bound `{word}` is {bound}", self.side))
                };
                passed(least, "at_least", i128::lt).or_else(|| passed(most, "at_most", i128::gt))
            }
        }
    }
}

impl Side {
    /// `like` is how the other side is read, where this one does not say it.
    fn of(
        source: &Source,
        span: &Range<usize>,
        written: &WrittenSide,
        like: Option<Reads>,
    ) -> Result<Self, ConfigError> {
        let WrittenSide { service, key, state, reads, path } = written;
        let reads = match (reads, like) {
            (Some(word), _) => match word.get_ref().as_str() {
                "u64-le" => Reads::U64,
                "json" => Reads::Json,
                "text" => Reads::Text,
                other => return Err(source.error(&word.span(), format!("`as` is {other:?}"), AS_HINT)),
            },
            (None, Some(like)) => like,
            (None, None) => {
                let what = "an [[invariant]] has an `as`: how the value is written in the state";
                return Err(source.error(span, what, AS_HINT));
            }
        };
        let path = path.clone().unwrap_or_default();
        if !path.is_empty() && reads != Reads::Json {
            return Err(source.error(span, "`path` leads into a value that is read `as = \"json\"`", AS_HINT));
        }
        if !path.is_empty() && !path.starts_with('/') {
            let what = format!("`path` is {path:?}, and a JSON pointer begins with `/`");
            return Err(source.error(span, what, "`path = \"/total/cents\"`"));
        }
        let (name, is_prefix) = state.strip_suffix('*').map_or((state.as_str(), false), |name| (name, true));
        if name.contains('*') {
            let what = format!("`state` is {state:?}, and a `*` stands at its end or nowhere");
            return Err(source.error(span, what, "`state = \"left/*\"` is all names that begin with `left/`"));
        }
        Ok(Self { service: service.clone(), key: key.clone(), state: name.to_owned(), is_prefix, reads, path })
    }

    /// What is written to be equal.
    fn wanted(&self, source: &Source, value: &Spanned<toml::Value>) -> Result<Found, ConfigError> {
        match (self.reads, value.get_ref()) {
            (Reads::U64 | Reads::Json, toml::Value::Integer(number)) => Ok(Found::Number((*number).into())),
            (Reads::Text, toml::Value::String(text)) => Ok(Found::Text(text.clone())),
            (Reads::Json, toml::Value::String(text)) => match serde_json::from_str(text) {
                Ok(json) => Ok(of_json(&json)),
                Err(error) => Err(source.error(
                    &value.span(),
                    format!("`equals` is compared with JSON, and is none: {error}"),
                    "`equals = 5`, or `equals = '\"paid\"'`",
                )),
            },
            (Reads::U64, _) => Err(source.error(&value.span(), "`equals` is no whole number", "`equals = 5`")),
            (Reads::Json | Reads::Text, _) => {
                Err(source.error(&value.span(), "`equals` is no text", "`equals = 'paid'`"))
            }
        }
    }

    /// What the states hold now: numbers added up, and another value where there is one alone.
    fn find(&self, runtime: &Runtime) -> Result<Found, String> {
        // In one order, whichever one the host keeps them in.
        let mut values = BTreeMap::new();
        runtime.each_value(&self.service, |actor, name, value| {
            let is_named = if self.is_prefix { name.starts_with(&self.state) } else { name == self.state };
            if is_named && self.key.as_deref().is_none_or(|key| key == actor) {
                values.insert((actor.to_owned(), name.to_owned()), value.clone());
            }
        });
        let mut sum: i128 = 0;
        let mut texts = Vec::new();
        for ((actor, name), value) in &values {
            let at = || if actor.is_empty() { format!("`{name}`") } else { format!("`{name}` of {actor}") };
            match self.read(value).map_err(|why| format!("{} {why}", at()))? {
                Some(Found::Number(number)) => {
                    sum = sum.checked_add(number).ok_or_else(|| "the sum is too large".to_owned())?;
                }
                Some(Found::Text(text)) => texts.push(text),
                None => {}
            }
        }
        match (texts.pop(), texts.is_empty()) {
            (None, _) if self.reads == Reads::Text => Ok(Found::Text(String::new())),
            (None, _) => Ok(Found::Number(sum)),
            (Some(text), true) if values.len() == 1 => Ok(Found::Text(text)),
            (Some(text), _) => {
                Err(format!("{} values are there, which are added up, and {text} is no number", values.len()))
            }
        }
    }

    /// None where the value has nothing there.
    fn read(&self, value: &Bytes) -> Result<Option<Found>, String> {
        match self.reads {
            Reads::U64 => match <[u8; 8]>::try_from(&value[..]) {
                Ok(bytes) => Ok(Some(Found::Number(u64::from_le_bytes(bytes).into()))),
                Err(_) => Err(format!("has {} bytes, and a number `as = \"u64-le\"` has eight", value.len())),
            },
            Reads::Text => match str::from_utf8(value) {
                Ok(text) => Ok(Some(Found::Text(text.to_owned()))),
                Err(error) => Err(format!("is no text: {error}")),
            },
            Reads::Json => match serde_json::from_slice::<serde_json::Value>(value) {
                Ok(json) => Ok(json.pointer(&self.path).map(of_json)),
                Err(error) => Err(format!("is no JSON: {error}")),
            },
        }
    }
}

/// A whole number is one; everything else is the text of it.
fn of_json(json: &serde_json::Value) -> Found {
    let whole = json.as_i64().map(i128::from).or_else(|| json.as_u64().map(i128::from));
    whole.map_or_else(|| Found::Text(json.to_string()), Found::Number)
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        if let Some(key) = &self.key {
            write!(f, "/{key}")?;
        }
        write!(f, " {}{}{}", self.state, if self.is_prefix { "*" } else { "" }, self.path)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) if text.is_empty() => f.write_str("empty"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Invariant, Written};
    use crate::config_file::{ConfigError, Source};

    fn read(text: &str) -> Result<Invariant, ConfigError> {
        let source = Source::of_text("airssys.test.toml", text);
        let written = toml::from_str::<toml::Spanned<Written>>(text).unwrap();
        Invariant::of(&source, &written)
    }

    #[test]
    fn what_is_wrong_in_one_is_told_with_what_to_write() {
        let till = "service = \"till\"\nstate = \"sold\"\n";
        let wrong = [
            ("", "has an `as`"),
            ("as = \"u32\"\nat_least = 0", "`as` is \"u32\""),
            ("as = \"u64-le\"", "has one of `equals`, `same_as`"),
            ("as = \"u64-le\"\nequals = 3\nat_least = 0", "has one of `equals`, `same_as`"),
            ("as = \"u64-le\"\nequals = 'three'", "no whole number"),
            ("as = \"json\"\nequals = '{'", "is none"),
            ("as = \"text\"\nequals = 3", "no text"),
            ("as = \"text\"\nat_most = 3", "a bound is one of numbers"),
            ("as = \"u64-le\"\nat_least = 3\nat_most = 2", "nothing is both"),
            ("as = \"u64-le\"\npath = \"/a\"\nequals = 3", "leads into a value that is read"),
            ("as = \"json\"\npath = \"a\"\nequals = 3", "begins with `/`"),
            ("as = \"u64-le\"\nat_least = 0\nwithin = \"soon\"", "no time"),
        ];
        for (more, says) in wrong {
            let error = read(&format!("{till}{more}\n")).unwrap_err();
            assert!(error.what.contains(says) && error.at.is_some(), "{more}: {error}");
        }
        let error = read("service = \"till\"\nstate = \"a*b\"\nas = \"json\"\nat_least = 0\n").unwrap_err();
        assert!(error.what.contains("at its end or nowhere"), "{error}");
        let other = "same_as = { service = \"books\", state = \"booked/*\" }\nas = \"u64-le\"\nwithin = \"1s\"\n";
        let both = read(&format!("{till}{other}")).unwrap();
        assert_eq!(both.services().collect::<Vec<_>>(), ["till", "books"]);
    }
}
