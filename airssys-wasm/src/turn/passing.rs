//! What a guest does outside of the mesh, on its way through the layers: asked about before it is done, and settled
//! with what came of it. It owns what it is about, since streams and tasks of a guest outlive the function that began
//! them.
//!
//! Nothing of this is made where no layer applies: [`Turn::asks`] is one test of a set then.
//!
//! Invariant: what the layers let on is settled once. Dropped before that, it was discarded.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Identity, Turn};
use crate::error::{CallError, Denied};
use crate::message::Answer;
use crate::middleware::{Context, Entry, Outcome, Passage, Patience, Settled, deny};
use crate::operation::{Operation, Operations};

/// What the layers are to be asked about.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    identity: Arc<Identity>,
    trace: u64,
    pub(crate) operation: Operation,
    pub(crate) needs: Operations,
    pub(crate) target: Arc<str>,
    /// The other target, where there are two.
    pub(crate) also: Option<Arc<str>>,
    pub(crate) wants_bytes: u64,
    /// How often a layer wanted it to be done again.
    retries: u32,
}

/// Something that the layers have let on.
#[must_use]
#[derive(Debug)]
pub(crate) struct Passing {
    asked: Question,
    entry: Option<Entry>,
}

impl Identity {
    /// A question to the layers; none where no layer has to do with it, or where the guest is only shown what another
    /// one does.
    #[inline]
    pub(crate) fn asks(
        self: &Arc<Self>,
        operation: Operation,
        needs: Operations,
        target: impl FnOnce() -> Arc<str>,
    ) -> Option<Question> {
        if !self.mesh.stack.wants(needs) {
            return None;
        }
        let asked = || Question {
            identity: Arc::clone(self),
            trace: 0,
            operation,
            needs,
            target: target(),
            also: None,
            wants_bytes: 0,
            retries: 0,
        };
        (!self.terms.silent).then(asked)
    }

    /// Tells that it was denied something that is no message.
    #[cold]
    pub(crate) fn denied(&self, operation: Operation, target: impl Into<String>, missing: impl Into<String>) {
        if !self.terms.silent {
            let (who, target) = (self.address().service().to_owned(), target.into());
            let denied = Denied { who, operation, target, missing: missing.into() };
            deny(&self.mesh.events, self.address(), &denied);
        }
    }
}

impl Turn {
    /// [`Identity::asks`], for what this turn does.
    #[inline]
    pub(crate) fn asks(
        &self,
        operation: Operation,
        needs: Operations,
        target: impl FnOnce() -> Arc<str>,
    ) -> Option<Question> {
        Some(self.identity.asks(operation, needs, target)?.of(self.trace))
    }
}

impl Question {
    /// The same, for what comes of the message `trace`.
    pub(crate) fn of(self, trace: u64) -> Self {
        Self { trace, ..self }
    }

    /// Asks the layers, and waits where one has to wait. The body is what they make of it.
    ///
    /// # Errors
    ///
    /// It does not go on: a layer has handled it or turned it away, and this is what came of it.
    pub(crate) async fn enter(mut self, body: &mut Bytes) -> Result<Passing, Answer> {
        loop {
            let (mut passed, original) = (self.passage(), body.clone());
            let (node, timeout) = (self.identity.node, self.identity.mesh.reserve_timeout());
            let patience = || Patience { who: Some(node), until: Instant::now() + timeout };
            let settled = match passed.enter_waiting(body, patience).await {
                Ok(()) => Ok(passed.put_aside()),
                Err(outcome) => {
                    let patience = || Instant::now() + timeout;
                    Err(passed.settle_waiting(outcome, self.retries, patience).await)
                }
            };
            match self.look(settled) {
                Some(looked) => return looked,
                None => *body = original,
            }
        }
    }

    /// [`Question::enter`], where nobody can wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn enter_now(mut self, body: &mut Bytes) -> Result<Passing, Answer> {
        loop {
            let (mut passed, original) = (self.passage(), body.clone());
            let settled = match passed.enter(body) {
                Ok(()) => Ok(passed.put_aside()),
                Err(outcome) => Err(passed.settle(outcome, self.retries)),
            };
            match self.look(settled) {
                Some(looked) => return looked,
                None => *body = original,
            }
        }
    }

    /// What came of a question; none where it is to be asked again.
    fn look(&mut self, settled: Result<Entry, Settled>) -> Option<Result<Passing, Answer>> {
        match settled {
            Ok(entry) => Some(Ok(Passing { asked: self.clone(), entry: Some(entry) })),
            Err(Settled::Done(Outcome { answer, .. })) => Some(Err(answer)),
            Err(Settled::Retry) => {
                self.retries += 1;
                None
            }
        }
    }

    fn passage(&self) -> Passage<'_> {
        let origin = self.identity.origin(self.trace);
        let mut context = Context::new(origin.who, self.operation, &self.target);
        (context.needs, context.also, context.wants_bytes) = (self.needs, self.also.as_deref(), self.wants_bytes);
        context.trace = self.trace;
        Passage::new(&self.identity.mesh.stack, context)
    }

    fn settled(&self, entry: Entry) -> Passage<'_> {
        let who = self.identity.origin(self.trace).who;
        let passage = entry.passage(&self.identity.mesh.stack, who, &self.target, None, self.trace);
        passage.and_also(self.also.as_deref())
    }
}

impl Passing {
    /// Tells the layers what came of it, and gives what they make of that.
    ///
    /// # Errors
    ///
    /// A layer wants it to be done again: this is to be asked then.
    pub(crate) fn settle(mut self, outcome: Answer) -> Result<Answer, Question> {
        let Some(entry) = self.entry.take() else { return Ok(outcome) };
        match self.asked.settled(entry).settle(outcome, self.asked.retries) {
            Settled::Done(Outcome { answer, .. }) => Ok(answer),
            Settled::Retry => Err(Question { retries: self.asked.retries + 1, ..self.asked.clone() }),
        }
    }

    /// [`Passing::settle`], for one who waits where a layer has to wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) async fn settle_waiting(mut self, outcome: Answer) -> Result<Answer, Question> {
        let Some(entry) = self.entry.take() else { return Ok(outcome) };
        let timeout = self.asked.identity.mesh.reserve_timeout();
        let patience = || Instant::now() + timeout;
        match self.asked.settled(entry).settle_waiting(outcome, self.asked.retries, patience).await {
            Settled::Done(Outcome { answer, .. }) => Ok(answer),
            Settled::Retry => Err(Question { retries: self.asked.retries + 1, ..self.asked.clone() }),
        }
    }

    /// [`Passing::settle`], of what cannot be done again.
    pub(crate) fn end(mut self, outcome: Answer) -> Answer {
        match self.entry.take() {
            Some(entry) => self.asked.settled(entry).end(outcome).answer,
            None => outcome,
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            // Nobody hears what a layer makes of it.
            let _discarded = self.asked.settled(entry).end(Err(CallError::Discarded));
        }
    }
}
