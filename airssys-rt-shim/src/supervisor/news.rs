//! What a system tells whoever listens to it: what became of each child, at the moment at which it did.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::exit::ExitReason;
use crate::supervisor::key::{ChildId, ChildKind, Generation};

/// What happened in a tree.
///
/// Of one child, [`News::Up`] comes before its first turn, and [`News::Ended`] before the next incarnation begins to
/// start.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum News<'a> {
    /// An incarnation is up.
    Up {
        /// The child.
        child: Named<'a>,
        /// Which incarnation; the first is 1.
        generation: Generation,
        /// Whether its supervisor started it again, without somebody's wish.
        again: bool,
    },
    /// An incarnation has ended, or was not spawned at all.
    Ended {
        /// The child.
        child: Named<'a>,
        /// Which incarnation.
        generation: Generation,
        /// Why.
        reason: &'a ExitReason,
    },
    /// A child ended too often, and is started again only after a while.
    SetAside {
        /// The child.
        child: Named<'a>,
        /// How long that is.
        delay: Duration,
    },
    /// A supervisor ends: a child of it was to be started again once too often.
    GaveUp {
        /// The names from the root down to the supervisor, with slashes between them.
        supervisor: &'a str,
        /// The child.
        child: Named<'a>,
    },
}

/// How a child is called.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its name among its siblings.
    pub id: &'a ChildId,
    /// What it is.
    pub kind: ChildKind,
    /// The names from the root down to it, with slashes between them.
    pub path: &'a str,
}

/// Who is told. It is called by supervisors and by children that come up, so it must be quick and must not wait.
pub struct Listener {
    tell: Box<dyn Fn(&News<'_>) + Send + Sync>,
    /// Of a type that this module does not know.
    beside: Option<Box<dyn Any + Send + Sync>>,
}

impl Listener {
    /// One that does this with each piece of news.
    pub fn new(tell: impl Fn(&News<'_>) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), beside: None }
    }

    /// With something beside it, which whoever knows its type finds.
    pub(crate) fn with(self, beside: impl Any + Send + Sync) -> Self {
        Self { beside: Some(Box::new(beside)), ..self }
    }

    pub(crate) fn tell(&self, news: &News<'_>) {
        (self.tell)(news);
    }

    pub(crate) fn beside<T: Any>(&self) -> Option<&T> {
        self.beside.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
