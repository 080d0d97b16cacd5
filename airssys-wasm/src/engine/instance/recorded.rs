//! What an instance does, written down where it is to be: each call of it is a step of its [`Tape`].

use std::time::Duration;

use super::{Answered, Instance, Ran};
use crate::error::Crash;
use crate::message::Envelope;
use crate::turn::{Handed, Recording, Tape, What};

impl Instance {
    /// A step begins. Where nothing is recorded this is one look at a pointer.
    #[inline]
    pub(super) fn record<'a>(&mut self, what: impl FnOnce() -> What<Handed<'a>>) {
        if let Some(tape) = &mut self.tape {
            tape.step(&mut self.store.data_mut().turn, &what());
        }
    }

    /// The step is over.
    #[inline]
    pub(super) fn recorded<T>(&mut self, ran: &Ran<T>) {
        if self.tape.is_some() {
            self.end_step(match ran {
                Ran::Crashed(crash) => Some(crash),
                Ran::Done(_) | Ran::Fault(_) => None,
            });
        }
    }

    #[cold]
    pub(super) fn end_step(&mut self, crash: Option<&Crash>) {
        let turn = &mut self.store.data_mut().turn;
        match crash {
            // Nothing of the instance is used again.
            Some(crash) => self.tape.take().into_iter().for_each(|tape| Tape::crashed(tape, turn, crash)),
            None => self.tape.iter_mut().for_each(|tape| tape.end(turn)),
        }
    }

    /// A message is about to be handed to it, by [`Instance::handle`]. Apart from that, and so is what follows, so that
    /// the large future of a turn does not lie within another one.
    #[inline]
    pub(crate) fn record_message(&mut self, envelope: &Envelope, left: Duration) {
        self.record(|| What::Message(Handed { envelope, left }));
    }

    /// This came of it, and is not committed.
    #[inline]
    pub(crate) fn recorded_message(&mut self, ran: &Ran<Answered>) {
        if let Some(tape) = &mut self.tape {
            let came = match ran {
                Ran::Done(Answered { body, commits }) => Some(Ok((body.as_ref(), *commits))),
                Ran::Fault(fault) => Some(Err(fault)),
                Ran::Crashed(_) => None,
            };
            if let Some(came) = came {
                tape.answered(&self.store.data().turn, came);
            }
        }
        self.recorded(ran);
    }

    /// What its recorder has, between two turns; none where it has none.
    pub(crate) fn recording(&self) -> Option<Recording> {
        let tape = self.tape.as_ref()?;
        Some(tape.copy(&self.store.data().turn.identity))
    }
}
