//! The memory that blocks are made in. One that grows while it is made, and is cut to its length at last, costs three
//! allocations; here it costs the one that is kept.

use std::cell::Cell;

use bytes::Bytes;

/// What is longer is handed over as it is: to copy it costs more than to allocate.
const MOST_COPIED: usize = 1 << 10;

thread_local! {
    /// Of the block that was made last on this thread; none while another one is made.
    static LAST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// So many bytes, all zero, with room for more behind them.
#[inline]
pub(crate) fn scratch(bytes: usize) -> Vec<u8> {
    let mut scratch = LAST.take();
    scratch.clear();
    scratch.resize(bytes, 0);
    scratch
}

/// [`scratch`], for a block that will have `whole` bytes: one that is handed over as it is grows no more.
#[inline]
pub(crate) fn scratch_for(whole: usize, bytes: usize) -> Vec<u8> {
    if whole <= MOST_COPIED {
        return scratch(bytes);
    }
    let mut scratch = Vec::with_capacity(whole);
    scratch.resize(bytes, 0);
    scratch
}

/// What was made in there.
#[inline]
pub(crate) fn made(scratch: Vec<u8>) -> Bytes {
    if scratch.len() > MOST_COPIED {
        return scratch.into();
    }
    let made = Bytes::copy_from_slice(&scratch);
    LAST.set(scratch);
    made
}
