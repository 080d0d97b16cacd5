//! What is done to open something for a guest, decided before anything is opened, and the same in all versions of WASI:
//! what is no file and no folder is not opened, and what would be new has to find room where its folder has a bound.
//!
//! It does no I/O: [`super::files`] and `p3/files.rs` look, open and make, as it says.

use crate::limits::NODE_BYTES;

/// What there is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Found {
    /// A file, a folder or a link.
    Usual,
    /// A pipe, a device or a socket. To open one may block for good, and a thread of the host with it.
    Special,
}

/// What a guest asks for, of what matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Asked {
    /// It is to be made where it is not there.
    pub(in crate::engine) creates: bool,
    /// It is not to be opened where it is there.
    pub(in crate::engine) is_exclusive: bool,
}

/// How something is opened that may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum First {
    AsAsked,
    /// As asked, but never made: where it is gone by now, it must not be made without room.
    OnlyIfThere,
}

/// What is done, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Plan {
    /// It is opened so; none where it is to be new.
    pub(in crate::engine) first: Option<First>,
    /// Where that found nothing, or was not done, it is opened as asked, when there is room for so many bytes; none
    /// where it is not made.
    pub(in crate::engine) make_bytes: Option<u64>,
}

impl Plan {
    /// The plan for what was found at the path, if anything was; none where it is not opened at all. What cannot be
    /// looked at was not found: opening it says why.
    pub(in crate::engine) fn of(found: Option<Found>, asked: Asked, has_bound: bool) -> Option<Self> {
        if found == Some(Found::Special) {
            return None;
        }
        if !has_bound {
            return Some(Self { first: Some(First::AsAsked), make_bytes: None });
        }
        // What is there is opened also where there is no room.
        let is_there = found.is_some() && !asked.is_exclusive;
        let first = match (is_there, asked.creates) {
            (true, _) => Some(First::OnlyIfThere),
            (false, false) => Some(First::AsAsked),
            (false, true) => None,
        };
        Some(Self { first, make_bytes: asked.creates.then_some(NODE_BYTES) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test says so by panicking")]

    use super::{Asked, First, Found, Plan};
    use crate::limits::NODE_BYTES;

    const FOUND: [Option<Found>; 2] = [None, Some(Found::Usual)];

    fn asked() -> impl Iterator<Item = Asked> {
        let both = [false, true];
        both.into_iter().flat_map(move |creates| both.map(|is_exclusive| Asked { creates, is_exclusive }))
    }

    #[test]
    fn what_may_block_for_good_is_not_opened_whatever_is_asked() {
        for asked in asked() {
            for has_bound in [false, true] {
                assert_eq!(Plan::of(Some(Found::Special), asked, has_bound), None, "{asked:?}");
            }
        }
    }

    #[test]
    fn without_a_bound_all_is_as_asked() {
        let plan = Plan { first: Some(First::AsAsked), make_bytes: None };
        for (found, asked) in FOUND.into_iter().flat_map(|found| asked().map(move |asked| (found, asked))) {
            assert_eq!(Plan::of(found, asked, false), Some(plan), "{found:?} {asked:?}");
        }
    }

    #[test]
    fn with_a_bound_what_is_there_needs_no_room_and_what_is_new_does() {
        let (nothing, there) = (None, Some(Found::Usual));
        let room = Some(NODE_BYTES);
        // What was found, whether it is to be made, and only if it is new; how it is opened, and the room to make it.
        for (found, creates, is_exclusive, first, make_bytes) in [
            (nothing, false, false, Some(First::AsAsked), None),
            (nothing, false, true, Some(First::AsAsked), None),
            (nothing, true, false, None, room),
            (nothing, true, true, None, room),
            (there, false, false, Some(First::OnlyIfThere), None),
            (there, false, true, Some(First::AsAsked), None),
            (there, true, false, Some(First::OnlyIfThere), room),
            // It says itself that there is something.
            (there, true, true, None, room),
        ] {
            let plan = Plan::of(found, Asked { creates, is_exclusive }, true);
            assert_eq!(plan, Some(Plan { first, make_bytes }), "{found:?} {creates} {is_exclusive}");
        }
    }

    #[test]
    fn nothing_that_may_make_something_is_done_without_room() {
        for (found, asked) in FOUND.into_iter().flat_map(|found| asked().map(move |asked| (found, asked))) {
            let plan = Plan::of(found, asked, true).unwrap_or_else(|| panic!("{found:?} {asked:?}"));
            assert!(plan.first != Some(First::AsAsked) || !asked.creates, "{found:?} {asked:?}");
            assert!(plan.make_bytes.is_none() || asked.creates, "{found:?} {asked:?}");
            assert!(plan.first.is_some() || plan.make_bytes.is_some(), "{found:?} {asked:?}");
        }
    }
}
