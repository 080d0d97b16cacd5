//! Who is in a place, and what waits there to take it over. Pure, like `decide.rs`.
//!
//! Invariant: what is offered waits in the place, and not at an incarnation, which may end before it looks. It has one
//! end: whoever is there takes it, whoever offered it takes it back, or it is dropped because nobody will come.

/// Whether somebody is in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Who {
    /// Somebody runs, or will start by himself.
    #[default]
    Somebody,
    /// Somebody starts at this moment, and looks at no order until he has.
    Starting,
    /// Nobody runs, and nobody has begun to start since that was said.
    Nobody,
    /// Nobody will start by himself any more.
    Gone,
}

/// Who is in a place, and what waits there.
pub(super) struct Presence<O> {
    who: Who,
    /// Whether it crashed too often, and its next start waits.
    is_aside: bool,
    waiting: Option<O>,
}

impl<O> std::fmt::Debug for Presence<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").field("who", &self.who).finish_non_exhaustive()
    }
}

impl<O> Default for Presence<O> {
    fn default() -> Self {
        Self { who: Who::default(), is_aside: false, waiting: None }
    }
}

impl<O> Presence<O> {
    /// An incarnation is made.
    pub(super) fn enters(&mut self) {
        (self.who, self.is_aside) = (Who::Somebody, false);
    }

    /// It begins to start, or to start again. Not one that was given up, and runs on all the same.
    pub(super) fn starts(&mut self) {
        if self.who != Who::Gone {
            self.who = Who::Starting;
        }
    }

    /// It has started, or ended over it.
    pub(super) fn has_started(&mut self) {
        if self.who == Who::Starting {
            self.who = Who::Somebody;
        }
    }

    /// Nobody will start here any more by himself. What waited for that is to be dropped.
    pub(super) fn leaves(&mut self) -> Option<O> {
        self.who = Who::Gone;
        self.waiting.take()
    }

    /// Says that nobody runs here, by who has looked. Whoever enters while he looks again takes that back.
    pub(super) fn say_empty(&mut self) {
        if self.who == Who::Somebody {
            self.who = Who::Nobody;
        }
    }

    /// Says that somebody does after all.
    pub(super) fn say_not_empty(&mut self) {
        if self.who == Who::Nobody {
            self.who = Who::Somebody;
        }
    }

    /// It crashed too often: its next start waits.
    pub(super) fn set_aside(&mut self) {
        self.is_aside = true;
    }

    pub(super) fn is_aside(&self) -> bool {
        self.is_aside
    }

    pub(super) fn is_starting(&self) -> bool {
        self.who == Who::Starting
    }

    pub(super) fn is_gone(&self) -> bool {
        self.who == Who::Gone
    }

    /// Whether nobody runs and nobody starts by himself now: whoever is started all the same enters after what is done
    /// meanwhile.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.who, Who::Nobody | Who::Gone)
    }

    /// Offers something to whoever is here, or enters next. What waited before is handed back, to be dropped; and the
    /// offer itself, as an error, where nobody will come.
    pub(super) fn offer(&mut self, offer: O) -> Result<Option<O>, O> {
        match self.who {
            Who::Gone => Err(offer),
            _ => Ok(self.waiting.replace(offer)),
        }
    }

    pub(super) fn waiting(&mut self) -> Option<&mut O> {
        self.waiting.as_mut()
    }

    /// Takes what waits, where it is meant.
    pub(super) fn take(&mut self, is_meant: impl FnOnce(&mut O) -> bool) -> Option<O> {
        self.waiting.take_if(is_meant)
    }
}
