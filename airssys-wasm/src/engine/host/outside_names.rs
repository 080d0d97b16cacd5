//! What a guest has open outside of the mesh, by the name that a recorder has for it: the path of a file, or what a
//! request or a body of HTTP is called.
//!
//! Where nothing is recorded there is none.

use std::collections::HashMap;
use std::sync::Arc;

use super::file_names::joined;

/// What a guest has open, by its number in the table.
#[derive(Debug, Default)]
pub(in crate::engine) struct Outside {
    pub(super) open: HashMap<u32, Handle>,
    /// Of HTTP. Nobody is told when one of these is dropped: the next one of its kind takes its place.
    pub(super) parts: HashMap<(Part, u32), Handle>,
}

/// What there is of HTTP beside streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// A response that is to come.
    Coming,
    Response,
    /// That is read.
    Body,
    /// That the guest writes.
    Written,
    Trailers,
}

/// Something that is open.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) at: Arc<str>,
    /// Where a stream is; none where it writes at the end.
    pub(super) from: Option<u64>,
    /// Whether it stands for nothing.
    pub(super) stands_in: bool,
    /// Whether it is the guest's own answer.
    pub(super) answers: bool,
}

impl Outside {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.parts.is_empty()
    }

    pub(super) fn insert(&mut self, rep: u32, at: Arc<str>, from: Option<u64>, stands_in: bool) {
        self.open.insert(rep, Handle { at, from, stands_in, answers: false });
    }

    pub(super) fn part(&self, of: (Part, u32)) -> Option<&Handle> {
        if self.parts.is_empty() { None } else { self.parts.get(&of) }
    }

    pub(super) fn of(&self, rep: u32) -> Option<&Handle> {
        self.open.get(&rep)
    }

    pub(super) fn forget(&mut self, rep: u32) -> bool {
        !self.open.is_empty() && self.open.remove(&rep).is_some_and(|handle| handle.stands_in)
    }

    /// A stream was read or written so far.
    pub(super) fn advance(&mut self, rep: u32, bytes: u64) {
        if let Some(from) = self.open.get_mut(&rep).and_then(|handle| handle.from.as_mut()) {
            *from = from.saturating_add(bytes);
        }
    }
}

impl Handle {
    pub(super) fn named(&self, path: &str) -> Arc<str> {
        joined(&self.at, path).into()
    }
}
