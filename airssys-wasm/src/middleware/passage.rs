//! A message on its way through the stack, from its entry to its one settlement.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::time::Instant;

use super::guards::Progress;
use super::later::{ErrorLater, apart, within};
use super::placed::{PANICKED, rejected};
use super::{Context, ErrorVerdict, Later, Metrics, Operations, Placed, Stack, Verdict, Who};
use crate::address::split;
use crate::capability::Operation;
use crate::error::{CallError, SendError, SupervisionError};
use crate::message::Answer;
use crate::waits::Node;

/// A message at the stack. Dropped before it is settled, it is settled as discarded.
pub(crate) struct Passage<'a> {
    stack: &'a Stack,
    context: Context<'a>,
    /// How many layers are to be told of its outcome.
    depth: usize,
    /// The layer that made the outcome, where one did.
    by: Option<&'static str>,
    /// Whether a layer kept it waiting.
    waited: bool,
}

/// A message that the layers let on, put aside until its outcome is known: what its context has beside what is
/// borrowed, which the one who put it aside says again. To be settled by [`Entry::passage`].
#[must_use]
#[derive(Debug)]
pub(crate) struct Entry {
    operation: Operation,
    needs: Operations,
    wants_bytes: u64,
    carries: u64,
    when: Option<Instant>,
    attributes: BTreeMap<&'static str, Box<str>>,
    guards: Option<Box<Progress>>,
    depth: usize,
}

/// Who waits for a layer, where that is a node of the graph of who waits for whom, and until when.
pub(crate) struct Patience {
    pub(crate) who: Option<Node>,
    pub(crate) until: Instant,
}

/// What the layers that were asked say of a message.
pub(crate) enum Entered {
    /// It goes on.
    On,
    /// This is the outcome to settle.
    Out(Answer),
    /// A layer is to be waited for, by [`Passage::wait`].
    Later(Later),
}

/// What the stack makes of an outcome.
#[derive(Debug)]
pub(crate) enum Settled {
    /// This is final.
    Done(Outcome),
    /// A layer wants the message to be sent again.
    Retry,
}

/// An outcome that is final.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    by: Option<&'static str>,
}

/// Why nothing is let on: what would be denied of it could not be recorded.
#[cold]
fn not_audited() -> CallError {
    let reason = "the audit is required and cannot be written at the moment".to_owned();
    SendError::Rejected { layer: "audit".into(), reason }.into()
}

impl<'a> Passage<'a> {
    /// Nobody has seen it yet.
    #[inline]
    pub(crate) fn new(stack: &'a Stack, context: Context<'a>) -> Self {
        Self { stack, context, depth: 0, by: None, waited: false }
    }

    /// Asks the layers whether it goes on, where nobody can wait: one that has to turns it away.
    ///
    /// # Errors
    ///
    /// The outcome to settle, which may be an answer.
    #[inline]
    pub(crate) fn enter(&mut self, body: &mut Bytes) -> Result<(), Answer> {
        match self.ask(body) {
            Entered::On => Ok(()),
            Entered::Out(outcome) => Err(outcome),
            Entered::Later(_) => Err(Err(self.rejected("it has to wait for its verdict, and here nobody can wait"))),
        }
    }

    /// [`Passage::enter`], for one who waits where a layer has to wait.
    #[inline]
    pub(crate) fn try_enter(&mut self, body: &mut Bytes) -> Entered {
        self.context.may_wait = true;
        self.ask(body)
    }

    /// [`Passage::try_enter`], and waits where a layer has to wait, as is asked for then.
    #[inline]
    pub(crate) async fn enter_waiting(
        &mut self,
        body: &mut Bytes,
        patience: impl FnOnce() -> Patience,
    ) -> Result<(), Answer> {
        match self.try_enter(body) {
            Entered::On => Ok(()),
            Entered::Out(outcome) => Err(outcome),
            // Boxed, so that what need not wait does not carry it around.
            Entered::Later(later) => Box::pin(self.wait(later, body, patience())).await,
        }
    }

    /// Waits for a layer, and for those after it.
    ///
    /// # Errors
    ///
    /// As [`Passage::enter`].
    pub(crate) async fn wait(&mut self, later: Later, body: &mut Bytes, patience: Patience) -> Result<(), Answer> {
        self.waited = true;
        let waits = &self.stack.waits;
        let layer = waits.layer();
        // Nobody waits for a layer that is new, and it for nobody: this closes no circle.
        let _waiting = patience.who.and_then(|who| waits.wait(who, &layer).ok().flatten());
        let is_of_a_turn = self.context.sender.is_some();
        let mut closed = self.stack.closed.subscribe();
        let mut late = std::pin::pin!(tokio::time::sleep_until(patience.until));
        let mut said = Entered::Later(later);
        loop {
            said = match said {
                Entered::On => return Ok(()),
                Entered::Out(outcome) => return Err(outcome),
                Entered::Later(later) => {
                    let later = within(later, layer.nth(0));
                    let is_foreign = self.layer_asked_last().is_some_and(|layer| layer.is_foreign);
                    let later = if is_of_a_turn && is_foreign { apart(later) } else { later };
                    tokio::select! {
                        // The deadline first: it ends those as well who always ask once more.
                        biased;
                        () = &mut late => Entered::Out(Err(self.late())),
                        _ = closed.wait_for(|closed| *closed) => Entered::Out(Err(self.stopped())),
                        said = later => match said {
                            Some(verdict) => self.heed(verdict, body),
                            None => Entered::Out(Err(self.rejected(PANICKED))),
                        },
                    }
                }
            };
        }
    }

    fn stopped(&self) -> CallError {
        SendError::Stopped { service: split(self.context.target).0.to_owned() }.into()
    }

    fn late(&mut self) -> CallError {
        match self.context.operation {
            Operation::Call | Operation::Invoke => CallError::Timeout,
            _ => self.rejected("it has not decided within the `reserve_timeout`"),
        }
    }

    /// The time, for the one who takes it on: as the layers know it, where none kept it waiting.
    pub(crate) fn now(&mut self) -> Instant {
        if self.waited { Instant::now() } else { self.context.when() }
    }

    /// Whether a layer kept it waiting, so that what it goes to may have changed.
    pub(crate) fn has_waited(&self) -> bool {
        self.waited
    }

    /// Asks the layers that were not asked yet.
    #[inline]
    fn ask(&mut self, body: &mut Bytes) -> Entered {
        let stack = self.stack;
        if stack.is_refusing() {
            return Entered::Out(Err(not_audited()));
        }
        while let Some(layer) = stack.layers.get(self.depth) {
            self.depth += 1;
            if !layer.applies_to().intersects(self.context.needs) {
                continue;
            }
            match layer.before(&mut self.context, body) {
                Verdict::Continue => {}
                verdict => return self.heed(verdict, body),
            }
        }
        self.context.let_on = true;
        Entered::On
    }

    /// Does what the layer that was asked last says.
    fn heed(&mut self, verdict: Verdict, body: &mut Bytes) -> Entered {
        match verdict {
            Verdict::Continue => {
                if self.context.guards.as_ref().is_some_and(|guards| guards.goes_on()) {
                    // The next of the components is asked by the same layer.
                    self.depth = self.depth.saturating_sub(1);
                }
                self.ask(body)
            }
            Verdict::Handled(answer) => Entered::Out(Ok(answer)),
            Verdict::Reject(error) => {
                self.by = self.asked_last();
                Entered::Out(Err(error))
            }
            Verdict::Later(later) => Entered::Later(later),
        }
    }

    fn asked_last(&self) -> Option<&'static str> {
        self.layer_asked_last().map(|layer| layer.name)
    }

    fn layer_asked_last(&self) -> Option<&'a Placed> {
        self.stack.layers.get(self.depth.checked_sub(1)?)
    }

    /// The rejection of the layer that was asked last.
    #[cold]
    fn rejected(&mut self, reason: &str) -> CallError {
        self.by = self.asked_last();
        rejected(self.by, reason.to_owned()).into()
    }

    /// Tells the layers of its outcome, and asks them what to make of it. `retries` counts those so far.
    #[inline]
    pub(crate) fn settle(mut self, outcome: Answer, retries: u32) -> Settled {
        self.tell(outcome, retries)
    }

    /// [`Passage::settle`] where it cannot be sent again: what a layer makes of it.
    #[inline]
    pub(crate) fn end(mut self, outcome: Answer) -> Outcome {
        match self.tell(outcome, u32::MAX) {
            Settled::Done(outcome) => outcome,
            Settled::Retry => {
                let again = CallError::Dropped("a layer wants it to be sent again once more".to_owned());
                Outcome { answer: Err(again), by: self.by }
            }
        }
    }

    /// Whether a layer may keep whoever waits for this outcome waiting for longer: see [`Passage::settle_waiting`].
    #[inline]
    pub(crate) fn waits_over(&self, outcome: &Answer) -> bool {
        outcome.is_err() && self.stack.may_settle_later()
    }

    /// [`Passage::settle`], for one who waits where a layer has to wait; `patience` is for those that the host does not
    /// know.
    pub(crate) async fn settle_waiting(
        mut self,
        outcome: Answer,
        retries: u32,
        patience: impl FnOnce() -> Instant,
    ) -> Settled {
        if !self.waits_over(&outcome) {
            return self.tell(outcome, retries);
        }
        (self.context.settles_later, self.context.retries) = (true, retries);
        let (until, is_of_a_turn) = (patience(), self.context.sender.is_some());
        let node = self.stack.waits.layer().nth(0);
        let mut closed = self.stack.closed.subscribe();
        let mut over = Over::new(outcome, self.depth, retries);
        let mut waits_for = self.ask_over(&mut over);
        while let Some((by, later)) = waits_for {
            let later = within(later, node);
            // The host's own end by themselves.
            let later = if by.is_foreign && is_of_a_turn { apart(later) } else { later };
            let said = tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => None,
                () = tokio::time::sleep_until(until), if by.is_foreign => None,
                said = later => said,
            };
            // Where it says nothing, the error stays as it is.
            waits_for = said.and_then(|verdict| Some((by, self.heed_over(&mut over, by, verdict)?)));
            waits_for = waits_for.or_else(|| self.ask_over(&mut over));
        }
        self.close(over)
    }

    #[inline]
    fn tell(&mut self, outcome: Answer, retries: u32) -> Settled {
        self.context.settles_later = false;
        let mut over = Over::new(outcome, self.depth, retries);
        // Here nobody can wait: the error stays as it is.
        while self.ask_over(&mut over).is_some() {}
        self.close(over)
    }

    /// Asks the layers about an error, to the one that has to wait.
    #[inline]
    fn ask_over(&mut self, over: &mut Over) -> Option<(&'a Placed, ErrorLater)> {
        let stack = self.stack;
        while over.left > 0 {
            let Err(error) = &over.outcome else { return None };
            let layer = stack.layers.get(over.left - 1)?;
            over.left -= 1;
            if layer.applies_to().intersects(self.context.needs) {
                let verdict = layer.on_error(&self.context, error);
                if let Some(later) = self.heed_over(over, layer, verdict) {
                    return Some((layer, later));
                }
            }
        }
        None
    }

    /// Does what a layer says of an error; what has to be waited for.
    fn heed_over(&mut self, over: &mut Over, layer: &'a Placed, verdict: ErrorVerdict) -> Option<ErrorLater> {
        let Err(error) = &over.outcome else { return None };
        match verdict {
            ErrorVerdict::Continue => {}
            ErrorVerdict::Replace(error) => {
                self.by = Some(layer.name);
                over.outcome = Err(error);
            }
            ErrorVerdict::Suppress => over.outcome = Ok(None),
            ErrorVerdict::Retry if over.retries < layer.most_retries && !is_denial(error) => {
                over.again = true;
                over.left = 0;
                return None;
            }
            ErrorVerdict::Retry => {}
            ErrorVerdict::Stop => {
                over.left = 0;
                return None;
            }
            ErrorVerdict::Later(later) => return Some(later),
        }
        if self.context.guards.as_ref().is_some_and(|guards| guards.goes_on_over_error()) {
            // The component before it is asked by the same layer.
            over.left += 1;
        }
        None
    }

    /// Tells the layers what is final.
    fn close(&mut self, over: Over) -> Settled {
        let depth = std::mem::replace(&mut self.depth, 0);
        let needs = self.context.needs;
        let entered = self.stack.layers.get(..depth).unwrap_or_default().iter().rev();
        for layer in entered.filter(|layer| layer.applies_to().intersects(needs)) {
            layer.after(&self.context, &over.outcome);
        }
        if over.again { Settled::Retry } else { Settled::Done(Outcome { answer: over.outcome, by: self.by }) }
    }

    /// Puts it aside.
    #[inline]
    pub(crate) fn put_aside(mut self) -> Entry {
        Entry {
            operation: self.context.operation,
            needs: self.context.needs,
            wants_bytes: self.context.wants_bytes,
            carries: self.context.carries,
            when: self.context.when,
            attributes: std::mem::take(&mut self.context.attributes),
            guards: self.context.guards.take(),
            depth: std::mem::replace(&mut self.depth, 0),
        }
    }
}

/// An outcome about which layers are asked.
struct Over {
    outcome: Answer,
    /// How many layers are left to be asked about an error, from the first one on.
    left: usize,
    retries: u32,
    /// Whether one wants it to be done again.
    again: bool,
}

impl Over {
    #[inline]
    fn new(outcome: Answer, left: usize, retries: u32) -> Self {
        Self { outcome, left, retries, again: false }
    }
}

impl Drop for Passage<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.depth > 0 {
            let _nobody_is_told = self.tell(Err(CallError::Discarded), u32::MAX);
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
        let Self { operation, needs, wants_bytes, carries, when, attributes, guards, depth } = self;
        let mut context = Context::new(who, operation, target);
        (context.needs, context.wants_bytes, context.carries) = (needs, wants_bytes, carries);
        (context.metrics, context.trace, context.when, context.attributes) = (metrics, trace, when, attributes);
        context.guards = guards;
        context.let_on = true;
        let mut passage = Passage::new(stack, context);
        passage.depth = depth;
        passage
    }
}

impl<'a> Passage<'a> {
    /// Says again what the other target was.
    #[must_use]
    pub(crate) fn and_also(mut self, also: Option<&'a str>) -> Self {
        self.context.also = also;
        self
    }
}

impl Outcome {
    /// For what has no answer that could fail: whatever else a layer made of an error is the layer's rejection.
    pub(crate) fn sent(self) -> Result<(), SendError> {
        match self.answer {
            Ok(_handled_by_a_layer) => Ok(()),
            Err(CallError::NotSent(error)) => Err(error),
            Err(other) => Err(rejected(self.by, other.to_string())),
        }
    }

    /// [`Outcome::sent`], for what is done about a child.
    pub(crate) fn supervised(self) -> Result<(), SupervisionError> {
        match self.answer {
            Err(CallError::Taken { child }) => Err(SupervisionError::Taken { child }),
            Err(CallError::Deaf) => Err(SupervisionError::Deaf),
            _ => Ok(self.sent()?),
        }
    }
}

fn is_denial(error: &CallError) -> bool {
    matches!(error, CallError::NotSent(SendError::Denied(_)))
}
