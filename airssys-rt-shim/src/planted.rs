//! Bugs that tests plant, to see that they are found.
//!
//! Each place of one is an expression that asks [`is`]. Without the feature `mutants`, which only the tests have, the
//! answer is false when the place is compiled, and nothing is left of it. One bug at most is planted in a thread: a
//! seeded run has a thread for itself, and plants what the thread had that made it.

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: std::cell::Cell<(Option<&'static str>, u64)> = const { std::cell::Cell::new((None, 0)) };
}

/// Whether the bug of this name is planted here.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is(name: &str) -> bool {
    PLANTED.get().0 == Some(name)
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
    let (planted, asked) = PLANTED.get();
    if planted != Some(name) {
        return false;
    }
    PLANTED.set((planted, asked + 1));
    asked + 1 == nth
}

/// Whether the bug of this name is planted here, and was asked for exactly so many times by now.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn is_nth(_: &str, _: u64) -> bool {
    false
}

/// The bug that is planted in this thread.
#[must_use]
pub fn planted() -> Option<&'static str> {
    #[cfg(feature = "mutants")]
    return PLANTED.get().0;
    #[cfg(not(feature = "mutants"))]
    None
}

/// Plants a bug in this thread, or none.
pub fn plant(name: Option<&'static str>) {
    #[cfg(feature = "mutants")]
    PLANTED.set((name, 0));
    #[cfg(not(feature = "mutants"))]
    let _there_are_none = name;
}
