//! By what a supervisor tells its children, their incarnations and those who asked it apart.

use std::fmt;
use std::sync::Arc;

/// Names a child among its siblings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for ChildId {
    fn from(id: T) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a child is. It changes nothing but defaults and what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildKind {
    /// It does work.
    Worker,
    /// It supervises.
    Supervisor,
}

/// Names a child for as long as its spec is known. It never changes, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildKey(u64);

impl ChildKey {
    pub(crate) const fn nth(number: u64) -> Self {
        Self(number)
    }
}

/// Where a child stands among its siblings: those before it have smaller ones. Never used again; a child that is put
/// elsewhere has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) const fn nth(number: u64) -> Self {
        Self(number)
    }
}

/// Which incarnation of a child: the first is 1.
pub type Generation = u64;

/// Names who waits for the answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyId(pub u64);
