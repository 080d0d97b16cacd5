//! The dispatch stack: what every message passes, whoever sends it.
//!
//! Layers run by priority, highest first. [`Layer::before`] may let the message on, answer it, or turn it away; when its outcome is known,
//! the layers that it came to are asked in reverse, [`Layer::on_error`] where it is an error, [`Layer::after`] always. Every answer is obeyed.
//!
//! A send's outcome is its acceptance by the mailbox, a call's the answer. What a turn asks for is let on or not when it asks, and its outcome is known
//! when the turn commits or is discarded: then it is [`CallError::Discarded`]. What the host itself brings to a mailbox comes here as well, as
//! [`Operation::Deliver`], where it is put in: the message of a timer, a notice that a child ended, each subscriber's copy of a publication.
//!
//! # Hot path
//!
//! One virtual call a layer and hook; no allocation, no lock, no await. Bench rows `tell` and `ask` have it in them.
//!
//! Invariant: [`Layer::after`] is called once for each [`Layer::before`], with the context that was there, whatever becomes of the message.

mod authorize;
mod deadline;
mod metrics;
mod passage;
mod trace;

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use authorize::Authorize;
pub(crate) use deadline::Deadline;
pub(crate) use metrics::{Metrics, Recorder};
pub(crate) use passage::{Entry, Passage};
pub(crate) use trace::Trace;

use crate::address::Address;
use crate::capability::{Operation, Policy};
use crate::error::CallError;
use crate::events::Events;
use crate::message::Answer;

#[cfg(test)]
mod tests;

/// How often a layer may ask for a retry of one message.
const MAX_RETRIES: u32 = 3;

/// Who wants something.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// The host, which may do everything: the topology is the operator's word already.
    Host,
    /// A service.
    Service {
        /// Its address.
        address: &'a Address,
        /// What it may do.
        policy: &'a Policy,
    },
}

/// One message at the stack: who, what, when, and what layers leave for each other.
#[derive(Debug)]
pub struct Context<'a> {
    /// Who sends.
    pub who: Who<'a>,
    /// What is done.
    pub operation: Operation,
    /// To whom, or on which topic.
    pub target: &'a str,
    /// Where the target counts its messages; none for a topic.
    pub(crate) metrics: Option<&'a Metrics>,
    /// When nobody wants it any more.
    pub deadline: Option<Instant>,
    /// The message from outside that it came of; 0 for a new one.
    pub trace: u64,
    when: Option<Instant>,
    attributes: Vec<(&'static str, Box<str>)>,
}

impl<'a> Context<'a> {
    /// A message that comes to the stack now.
    #[must_use]
    pub fn new(who: Who<'a>, operation: Operation, target: &'a str) -> Self {
        Self { who, operation, target, metrics: None, deadline: None, trace: 0, when: None, attributes: Vec::new() }
    }

    /// Says when it came to the stack, for one who has read the clock already.
    pub(crate) fn came(&mut self, when: Instant) {
        self.when = Some(when);
    }

    /// When it came to the stack. The clock is read at the first question.
    pub fn when(&mut self) -> Instant {
        *self.when.get_or_insert_with(Instant::now)
    }

    /// Whether its target counts it: a service does, and a topic does not.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.metrics.is_some()
    }

    /// Leaves something for the layers after this one.
    pub fn set_attribute(&mut self, name: &'static str, value: impl Into<Box<str>>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// What a layer left.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// What a layer says before a message goes on.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It is handled here; this is the answer.
    Handled(Option<Bytes>),
    /// It does not go on.
    Reject(CallError),
}

/// What a layer says of an error.
#[derive(Debug)]
pub enum Recovery {
    /// The next layer may say something.
    Continue,
    /// This error instead; the next layer is asked about it.
    Replace(CallError),
    /// No error: an empty answer.
    Suppress,
    /// Once more from the start, at most three times. A denial is never retried.
    Retry,
    /// This error, and no other layer is asked.
    Stop,
}

/// One concern of the dispatch.
///
/// # Example
///
/// A layer that turns away what is addressed to one service:
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use airssys_wasm::Runtime;
/// use airssys_wasm::error::CallError;
/// use airssys_wasm::middleware::{Context, Layer, Verdict};
/// use airssys_wasm::topology::Topology;
/// use bytes::Bytes;
///
/// struct Closed;
///
/// impl Layer for Closed {
///     fn name(&self) -> &'static str {
///         "closed"
///     }
///
///     fn priority(&self) -> i32 {
///         500
///     }
///
///     fn before(&self, context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
///         if context.target == "echo" { Verdict::Reject(CallError::Deadlock) } else { Verdict::Continue }
///     }
/// }
///
/// # let folder = folder()?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// # let topology = Topology::parse(text, folder.path())?;
/// let runtime = Runtime::builder().layer(Closed).start(&topology).await?;
/// assert!(runtime.send("echo", "hello").await.is_err());
/// # runtime.shutdown().await;
/// # Ok(()) }
/// ```
pub trait Layer: Send + Sync + 'static {
    /// Its name in logs and errors.
    fn name(&self) -> &'static str;

    /// Its place: higher comes first. The built-in ones are at 1000 (authorize), 900 (deadline), 800 (metrics) and 700 (trace).
    fn priority(&self) -> i32;

    /// Before the message goes on. It may change the body.
    fn before(&self, _context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
        Verdict::Continue
    }

    /// When the outcome is final: once for each [`Layer::before`]. A message that is sent again is settled with its error, and begins anew.
    fn after(&self, _context: &Context<'_>, _outcome: &Answer) {}

    /// When the outcome is an error, before it is final.
    fn on_error(&self, _context: &Context<'_>, _error: &CallError) -> Recovery {
        Recovery::Continue
    }
}

/// The layers, in order.
#[derive(Clone)]
pub(crate) struct Stack {
    layers: Arc<[Arc<dyn Layer>]>,
    /// Whether there are others than the built-in layers, which never ask for a retry.
    extended: bool,
}

/// How far a message came in the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth(usize);

/// What the stack makes of an outcome.
#[derive(Debug)]
pub(crate) enum Settled {
    /// This is final.
    Done(Answer),
    /// A layer wants the message to be sent again.
    Retry,
}

impl Stack {
    /// The built-in layers and these; what they deny is told there.
    pub(crate) fn new(extra: Vec<Arc<dyn Layer>>, events: &Arc<Events>) -> Self {
        let mut layers: Vec<Arc<dyn Layer>> = vec![
            // Before anything else sees it: is it allowed at all?
            Arc::new(Authorize { events: Arc::clone(events) }),
            // Does anybody still want it?
            Arc::new(Deadline),
            // Count what is left.
            Arc::new(Recorder),
            // Tell of it where somebody listens.
            Arc::new(Trace),
        ];
        let extended = !extra.is_empty();
        layers.extend(extra);
        // Stable: of equal priority, the built-in one first, then in the order given.
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.priority()));
        Self { layers: layers.into(), extended }
    }

    /// Whether [`Stack::settle`] may answer [`Settled::Retry`].
    #[must_use]
    pub(crate) fn may_retry(&self) -> bool {
        self.extended
    }

    /// Asks the layers whether the message goes on. With `Err` it does not, and this is the outcome to settle.
    ///
    /// # Errors
    ///
    /// The depth it came to and the outcome there, which may be an answer.
    pub(crate) fn enter(&self, context: &mut Context<'_>, body: &mut Bytes) -> Result<Depth, (Depth, Answer)> {
        for (depth, layer) in self.layers.iter().enumerate() {
            match layer.before(context, body) {
                Verdict::Continue => {}
                Verdict::Handled(answer) => return Err((Depth(depth + 1), Ok(answer))),
                Verdict::Reject(error) => return Err((Depth(depth + 1), Err(error))),
            }
        }
        Ok(Depth(self.layers.len()))
    }

    /// Asks the layers what to make of an outcome, and tells them what is made of it. `retries` counts those so far.
    #[must_use]
    pub(crate) fn settle(
        &self,
        context: &Context<'_>,
        Depth(depth): Depth,
        mut outcome: Answer,
        retries: u32,
    ) -> Settled {
        let entered = &self.layers[..depth.min(self.layers.len())];
        let mut again = false;
        for layer in entered.iter().rev() {
            let Err(error) = &outcome else { break };
            match layer.on_error(context, error) {
                Recovery::Continue => {}
                Recovery::Replace(error) => outcome = Err(error),
                Recovery::Suppress => outcome = Ok(None),
                Recovery::Retry if retries < MAX_RETRIES && !is_denial(error) => {
                    again = true;
                    break;
                }
                Recovery::Retry => {}
                Recovery::Stop => break,
            }
        }
        for layer in entered.iter().rev() {
            layer.after(context, &outcome);
        }
        if again { Settled::Retry } else { Settled::Done(outcome) }
    }
}

fn is_denial(error: &CallError) -> bool {
    matches!(error, CallError::NotSent(crate::error::SendError::Denied(_)))
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.name())).finish()
    }
}
