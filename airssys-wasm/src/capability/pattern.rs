//! Patterns over things with segments: addresses and topics.
//!
//! Segments are parted by `/`. `*` stands for exactly one segment, a last `**` for one or more. There is no wildcard
//! inside of a segment, so `data/*` can never match `data-secret`; and a candidate with an empty, `.` or `..` segment
//! matches nothing, so it can never match `data/../etc`.

use std::fmt;

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    text: Box<str>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PatternError {
    /// Nothing, or nothing between two slashes.
    #[error("{pattern:?} has an empty segment")]
    EmptySegment {
        /// The pattern.
        pattern: String,
    },
    /// A segment that means a place relative to another.
    #[error("{pattern:?} has the segment {segment:?}, which never matches")]
    Relative {
        /// The pattern.
        pattern: String,
        /// The segment.
        segment: String,
    },
    /// A star that is not a whole segment.
    #[error("{pattern:?}: '*' must be a whole segment, and '**' the last one")]
    Star {
        /// The pattern.
        pattern: String,
    },
    /// A control character.
    #[error("{pattern:?} has a control character")]
    Control {
        /// The pattern.
        pattern: String,
    },
}

pub(super) fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

impl Pattern {
    /// Whether it matches. Allocates nothing.
    #[must_use]
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        let mut segments = candidate.split('/');
        for wanted in self.text.split('/') {
            let Some(segment) = segments.next() else { return false };
            if !is_plain(segment) {
                return false;
            }
            match wanted {
                "**" => return segments.all(is_plain),
                "*" => {}
                exact if exact == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub(crate) fn covers(&self, other: &Self) -> bool {
        // A star of the other is a segment like any that a star matches; two stars are more than one segment.
        self.matches(&other.text) && (self.is_open() || !other.is_open())
    }

    /// Whether there is something that both match.
    #[must_use]
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.text.split('/'), other.text.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some("**"), Some(_)) | (Some(_), Some("**")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    fn is_open(&self) -> bool {
        self.text.rsplit('/').next() == Some("**")
    }

    /// As it was written.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern = || text.to_owned();
        if text.chars().any(char::is_control) {
            return Err(PatternError::Control { pattern: pattern() });
        }
        let last = text.split('/').count() - 1;
        for (at, segment) in text.split('/').enumerate() {
            match segment {
                "" => return Err(PatternError::EmptySegment { pattern: pattern() }),
                "." | ".." => return Err(PatternError::Relative { pattern: pattern(), segment: segment.to_owned() }),
                "*" => {}
                "**" if at == last => {}
                starred if starred.contains('*') => return Err(PatternError::Star { pattern: pattern() }),
                _ => {}
            }
        }
        Ok(Self { text: text.into() })
    }
}

impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use proptest::prelude::*;

    use super::Pattern;

    #[test]
    fn one_pattern_covers_another_or_overlaps_with_it() {
        for (one, other, covers, overlaps) in [
            ("a", "a", true, true),
            ("a", "b", false, false),
            ("a/*", "a/b", true, true),
            ("a/b", "a/*", false, true),
            ("a/*", "*/b", false, true),
            ("a/*", "a/*", true, true),
            ("a/*", "a/**", false, true),
            ("a/**", "a/*", true, true),
            ("a/**", "a/**", true, true),
            ("**", "a/b/*", true, true),
            ("a/b/*", "**", false, true),
            ("a/**", "a", false, false),
            ("a/*", "a/b/c", false, false),
        ] {
            let (one, other): (Pattern, Pattern) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((one.covers(&other), one.overlaps(&other)), (covers, overlaps), "{one} {other}");
        }
    }

    #[test]
    fn patterns_match_whole_segments_only() {
        for (pattern, candidate, matches) in [
            ("pricing", "pricing", true),
            ("pricing", "pricing/a", false),
            ("pricing", "pricing2", false),
            ("data/*", "data/x", true),
            ("data/*", "data", false),
            ("data/*", "data/", false),
            ("data/*", "data-secret", false),
            ("data/*", "data/..", false),
            ("data/*", "data/../etc", false),
            ("data/**", "data/a/b/c", true),
            ("data/**", "data", false),
            ("data/**", "data/a/../../etc", false),
            ("data/**", "data//a", false),
            ("*", "anything", true),
            ("*", "any/thing", false),
            ("**", "any/thing", true),
            ("**", "", false),
            ("*/b", "a/b", true),
            ("*/b", "a/c", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(candidate), matches, "{pattern} {candidate}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["", "/", "a//b", "a/", "/a", "a/../b", "./a", "a*", "*a", "a/b*/c", "**/a", "a/**/b", "***", "a\nb"]
        {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// A pattern without stars matches itself and nothing else.
        #[test]
        fn a_plain_pattern_is_equality(a in "[a-c]{1,2}(/[a-c]{1,2}){0,2}", b in "[a-c./]{0,6}") {
            let pattern: Pattern = a.parse().unwrap();
            prop_assert!(pattern.matches(&a));
            prop_assert_eq!(pattern.matches(&b), a == b);
        }

        /// Nothing reaches out of its prefix.
        #[test]
        fn nothing_leaves_its_folder(rest in "[a-z./*]{0,8}") {
            let pattern: Pattern = "data/**".parse().unwrap();
            let candidate = format!("data/{rest}");
            if pattern.matches(&candidate) {
                prop_assert!(candidate.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }
}
