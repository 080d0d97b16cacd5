//! A key of a table, and the number that is written for it.

use super::ChangeMode;
use super::range::{OutOfRange, Range, Unit};

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) key: &'static str,
    /// What the book calls its type.
    pub(crate) kind: &'static str,
    /// What its number may be.
    pub(crate) range: Option<Range>,
    /// What the book says of its default, where that is not the value alone.
    pub(crate) default: Option<&'static str>,
    /// How it is changed while a host runs; none where it is not for one that does.
    pub(crate) way: Option<ChangeMode>,
    /// What the book says about it.
    pub(crate) meaning: &'static str,
    /// What happens to who wants more.
    pub(crate) past: Option<&'static str>,
}

impl Key {
    /// A key of a table that nothing is made of but what the book says.
    pub(crate) const fn told(
        key: &'static str,
        kind: &'static str,
        default: &'static str,
        way: Option<ChangeMode>,
        meaning: &'static str,
    ) -> Self {
        Self { key, kind, range: None, default: Some(default), way, meaning, past: None }
    }

    /// By what a number of this key is outside of what it may be.
    pub(crate) fn check(&self, is: u64) -> Option<OutOfRange> {
        self.range.and_then(|range| range.check(is))
    }

    /// A range, where the value is a number that has one.
    pub(crate) const fn range(key: &'static str, unit: Option<Unit>, ends: Option<(u64, u64)>) -> Option<Range> {
        match (unit, ends) {
            (Some(unit), Some((least, most))) => Some(Range { key, unit, least, most }),
            _ => None,
        }
    }
}

/// The number of a key.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    /// The tables that the key stands in, the outermost first, below the one that was asked.
    pub(crate) tables: Vec<String>,
    pub(crate) key: &'static Key,
    pub(crate) is: u64,
}

impl Number {
    pub(crate) fn new(key: &'static Key, is: u64) -> Self {
        Self { tables: Vec::new(), key, is }
    }

    /// The same, of a table within another one.
    pub(crate) fn within(mut self, table: &str) -> Self {
        self.tables.insert(0, table.to_owned());
        self
    }

    /// By what it is outside of what it may be.
    pub(crate) fn check(&self) -> Option<OutOfRange> {
        self.key.check(self.is)
    }
}
