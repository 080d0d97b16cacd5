//! What a service does, where that is counted: nothing is denied to it then, and what would have been is known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::kind::Kind;

/// How many different operations of one service are known. What comes then is denied where it is not granted.
const MOST: usize = 20_000;

/// The longest target that is known, in bytes.
const LONGEST_BYTES: usize = 1024;

/// What one service did, each operation once.
#[derive(Debug)]
pub(crate) struct Tally {
    service: Box<str>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    all: BTreeMap<(Kind, Box<str>), Once>,
    is_full: bool,
}

/// What is known of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Once {
    /// Whether it was granted when it was seen first.
    pub(crate) was_granted: bool,
}

impl Tally {
    pub(crate) fn new(service: &str) -> Self {
        Self { service: service.into(), seen: Mutex::default() }
    }

    /// Notes that something is done, and says whether it may be: also where it is not granted, unless too much is known
    /// already.
    pub(super) fn lets(&self, kind: Kind, target: &str, is_granted: bool) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.all.contains_key(&(kind, target.into())) {
            return true;
        }
        if seen.all.len() >= MOST || target.len() > LONGEST_BYTES {
            if !seen.is_full {
                seen.is_full = true;
                tracing::warn!(
                    target: "airssys::audit", service = %self.service,
                    "it does more than is counted: from here on what is not granted is denied, and not learned"
                );
            }
            return is_granted;
        }
        seen.all.insert((kind, target.into()), Once { was_granted: is_granted });
        if !is_granted {
            tracing::warn!(
                target: "airssys::audit", service = %self.service, operation = kind.name(), target, "let through"
            );
        }
        true
    }

    /// Whether it was let through before.
    pub(super) fn has(&self, kind: Kind, target: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.all.contains_key(&(kind, target.into()))
    }

    /// All that is known, and whether there was more.
    pub(super) fn all(&self) -> (Vec<(Kind, Box<str>, Once)>, bool) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let all = seen.all.iter().map(|((kind, target), once)| (*kind, target.clone(), *once));
        (all.collect(), seen.is_full)
    }
}

/// The tally of a service, where it is counted. What is compared is what was written: it is equal to any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallied {
    tally: Option<Arc<Tally>>,
    /// Whether it is of one that may have no effects: what leaves the mesh is denied all the same.
    is_within: bool,
}

impl Tallied {
    pub(crate) fn new(tally: Option<Arc<Tally>>) -> Self {
        Self { tally, is_within: false }
    }

    /// The same for one that may have no effects.
    pub(super) fn within(&mut self) {
        self.is_within = true;
    }

    /// The tally for something of this kind.
    pub(super) fn of(&self, kind: Kind) -> Option<&Tally> {
        let tally = self.tally.as_deref()?;
        let leaves = matches!(kind, Kind::Sockets | Kind::Bind | Kind::Http | Kind::Processes);
        (!(self.is_within && leaves)).then_some(tally)
    }

    /// All that is known.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.tally.as_deref()
    }

    /// Whether there is one.
    pub(crate) fn is_counted(&self) -> bool {
        self.tally.is_some()
    }
}

impl PartialEq for Tallied {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Tallied {}
