//! A message on its way through the stack, from its entry to its one settlement.

use bytes::Bytes;
use tokio::time::Instant;

use super::{Context, Depth, Metrics, Settled, Stack, Who};
use crate::capability::Operation;
use crate::error::CallError;
use crate::message::Answer;

/// A message at the stack. Dropped before it is settled, it is settled as discarded.
pub(crate) struct Passage<'a> {
    stack: &'a Stack,
    context: Context<'a>,
    /// How many layers are to be told of its outcome.
    depth: Depth,
}

/// A message that the layers let on, put aside until its outcome is known: what its context has beside what is borrowed, which the one who put it aside
/// says again. To be settled by [`Entry::passage`].
#[must_use]
#[derive(Debug)]
pub(crate) struct Entry {
    operation: Operation,
    when: Option<Instant>,
    attributes: Vec<(&'static str, Box<str>)>,
    depth: Depth,
}

impl<'a> Passage<'a> {
    /// Nobody has seen it yet.
    #[inline]
    pub(crate) fn new(stack: &'a Stack, context: Context<'a>) -> Self {
        Self { stack, context, depth: Depth(0) }
    }

    /// Asks the layers whether it goes on.
    ///
    /// # Errors
    ///
    /// The outcome to settle, which may be an answer.
    #[inline]
    pub(crate) fn enter(&mut self, body: &mut Bytes) -> Result<(), Answer> {
        match self.stack.enter(&mut self.context, body) {
            Ok(depth) => {
                self.depth = depth;
                Ok(())
            }
            Err((depth, outcome)) => {
                self.depth = depth;
                Err(outcome)
            }
        }
    }

    /// Tells the layers of its outcome, and asks them what to make of it. `retries` counts those so far.
    #[inline]
    pub(crate) fn settle(mut self, outcome: Answer, retries: u32) -> Settled {
        let depth = std::mem::replace(&mut self.depth, Depth(0));
        self.stack.settle(&self.context, depth, outcome, retries)
    }

    /// [`Passage::settle`] where it cannot be sent again: what a layer makes of it.
    #[inline]
    pub(crate) fn end(self, outcome: Answer) -> Answer {
        match self.settle(outcome, u32::MAX) {
            Settled::Done(outcome) => outcome,
            Settled::Retry => Err(CallError::Dropped("a layer wants it to be sent again once more".to_owned())),
        }
    }

    /// Puts it aside.
    #[inline]
    pub(crate) fn put_aside(mut self) -> Entry {
        Entry {
            operation: self.context.operation,
            when: self.context.when,
            attributes: std::mem::take(&mut self.context.attributes),
            depth: std::mem::replace(&mut self.depth, Depth(0)),
        }
    }
}

impl Drop for Passage<'_> {
    #[inline]
    fn drop(&mut self) {
        let depth = std::mem::replace(&mut self.depth, Depth(0));
        if depth.0 > 0 {
            let _nobody_is_told = self.stack.settle(&self.context, depth, Err(CallError::Discarded), u32::MAX);
        }
    }
}

impl Entry {
    /// Takes it up again, for the same sender, target and message from outside.
    pub(crate) fn passage<'a>(
        self,
        stack: &'a Stack,
        who: Who<'a>,
        target: &'a str,
        metrics: Option<&'a Metrics>,
        trace: u64,
    ) -> Passage<'a> {
        let Self { operation, when, attributes, depth } = self;
        Passage {
            stack,
            context: Context { who, operation, target, metrics, deadline: None, trace, when, attributes },
            depth,
        }
    }
}
