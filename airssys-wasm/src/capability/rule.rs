//! What a line of a list of requests or grants covers: one rule of a form for each kind of target.

use std::fmt;
use std::str::FromStr;

use super::http::{HttpPattern, HttpTarget};
use super::pattern::Pattern;
use super::topics::{EVERYTHING, Topics};

/// A line of a list: which targets it covers.
pub(crate) trait Rule: FromStr<Err: fmt::Display> + fmt::Display + PartialEq {
    /// What it is asked about.
    type Target;
    /// What such a target is, for the error.
    const TARGET: &'static str;

    /// A target as people write it.
    fn target(text: &str) -> Option<Self::Target>;

    /// Whether it covers this target.
    fn lets(&self, target: &Self::Target) -> bool;

    /// Whether it covers all that `other` does.
    fn includes(&self, other: &Self) -> bool;

    /// Whether there is a target that both cover.
    fn meets(&self, other: &Self) -> bool;

    /// Whether, as a request, it asks for this target. A request may ask for more than a grant of the same text gives.
    fn asks(&self, target: &Self::Target) -> bool {
        self.lets(target)
    }

    /// Whether, as a request, it asks for all that this grant gives.
    fn asks_for_all(&self, given: &Self) -> bool {
        self.includes(given)
    }

    /// Whether, as a request, it asks for some of what this grant gives.
    fn asks_for_some(&self, given: &Self) -> bool {
        self.meets(given)
    }
}

impl Rule for Pattern {
    type Target = String;
    const TARGET: &'static str = "address or topic";

    fn target(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn lets(&self, target: &String) -> bool {
        self.matches(target)
    }

    fn includes(&self, other: &Self) -> bool {
        self.covers(other)
    }

    fn meets(&self, other: &Self) -> bool {
        self.overlaps(other)
    }
}

impl Rule for Topics {
    type Target = String;
    const TARGET: &'static str = "pattern of topics";

    fn target(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn lets(&self, target: &String) -> bool {
        match target.contains('*') {
            true => self.0.as_str() == target || self.0.as_str() == EVERYTHING,
            false => self.0.matches(target),
        }
    }

    fn includes(&self, other: &Self) -> bool {
        match other.0.as_str().contains('*') {
            true => self == other || self.0.as_str() == EVERYTHING,
            false => self.0.covers(&other.0),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.overlaps(&other.0)
    }
}

impl Rule for HttpPattern {
    type Target = HttpTarget;
    const TARGET: &'static str = "request, such as \"GET https://host/path\"";

    fn target(text: &str) -> Option<HttpTarget> {
        HttpTarget::parse(text)
    }

    fn lets(&self, target: &HttpTarget) -> bool {
        self.matches(target)
    }

    fn includes(&self, other: &Self) -> bool {
        self.covers(other)
    }

    fn meets(&self, other: &Self) -> bool {
        self.overlaps(other)
    }
}
