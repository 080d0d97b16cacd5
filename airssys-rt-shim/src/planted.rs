//! Bugs that tests plant, to see that they are found.
//!
//! Each place of one is an expression that asks [`is`]. Without the feature `mutants`, which only the tests have, the
//! answer is false when the place is compiled, and nothing is left of it. One bug at most is planted in a thread. A
//! seeded run has it from the thread that made it, and counts for itself how often its place was asked, on each thread
//! that it has; so a run does not depend on those before it, nor on the thread that it is made on.

#[cfg(feature = "mutants")]
use std::cell::RefCell;
#[cfg(feature = "mutants")]
use std::sync::Arc;
#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: RefCell<Planted> = RefCell::new(Planted::default());
}

/// A bug, or none, and how often its place was asked. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Planted {
    #[cfg(feature = "mutants")]
    bug: Option<&'static str>,
    #[cfg(feature = "mutants")]
    asked: Arc<AtomicU64>,
}

impl Planted {
    /// The bug of this name.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn bug(name: &'static str) -> Self {
        Self { bug: Some(name), asked: Arc::default() }
    }

    /// The one that is planted in this thread.
    #[must_use]
    pub fn here() -> Self {
        #[cfg(feature = "mutants")]
        return PLANTED.with_borrow(Clone::clone);
        #[cfg(not(feature = "mutants"))]
        Self {}
    }

    /// The same, of which no place was asked yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        #[cfg(feature = "mutants")]
        return Self { bug: self.bug, asked: Arc::default() };
        #[cfg(not(feature = "mutants"))]
        Self {}
    }

    /// Plants it in this thread, in the place of what is there.
    pub fn plant(self) {
        #[cfg(feature = "mutants")]
        PLANTED.set(self);
    }
}

/// Whether the bug of this name is planted here.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is(name: &str) -> bool {
    PLANTED.with_borrow(|planted| planted.bug == Some(name))
}

/// Whether the bug of this name is planted here.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn is(_: &str) -> bool {
    false
}

/// Whether the bug of this name is planted here, and was asked for exactly so many times by now.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is_nth(name: &str, nth: u64) -> bool {
    is(name) && PLANTED.with_borrow(|planted| planted.asked.fetch_add(1, Ordering::Relaxed) + 1 == nth)
}

/// Whether the bug of this name is planted here, and was asked for exactly so many times by now.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn is_nth(_: &str, _: u64) -> bool {
    false
}
