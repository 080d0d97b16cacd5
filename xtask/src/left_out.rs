//! What is not tested here for want of a tool chain, to be named at the end.

/// A language whose guests cannot be built here.
pub(crate) struct LeftOut {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Parts of the names of the tests that need its guests.
    pub(crate) tests: &'static [&'static str],
}
