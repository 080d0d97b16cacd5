//! The dispatch stack: what every message passes, whoever sends it.
//!
//! Layers run by priority, highest first. [`Layer::before`] may let the message on, answer it, or turn it away; when
//! its outcome is known, the layers that it came to are asked in reverse, [`Layer::on_error`] where it is an error,
//! [`Layer::after`] always. Every answer is obeyed.
//!
//! A send's outcome is its acceptance by the mailbox, a call's the answer. What a turn asks for is let on or not when
//! it asks, and its outcome is known when the turn commits or is discarded: then it is [`CallError::Discarded`]. What
//! the host itself brings to a mailbox comes here as well, as [`Operation::Deliver`], where it is put in: the message
//! of a timer, a notice that a child ended, each subscriber's copy of a publication.
//!
//! A layer that has to wait for its verdict says so by [`Verdict::Later`]. Sends and calls wait for it, where whoever
//! asks can wait. Nothing else does, and is turned away: see [`Later`].
//!
//! # Hot path
//!
//! One virtual call a layer and hook; no allocation, no lock, and no await but for a layer that answers later. Bench
//! rows `tell` and `ask` have it in them.
//!
//! Invariant: [`Layer::after`] is called once for each [`Layer::before`], with the context that was there, whatever
//! becomes of the message.

mod authorize;
mod deadline;
mod later;
mod metrics;
mod passage;
mod trace;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

pub use crate::operation::Operation;
pub(crate) use authorize::Authorize;
pub(crate) use deadline::Deadline;
pub use later::Later;
pub(crate) use metrics::{Metrics, Recorder};
pub(crate) use passage::{Entered, Entry, Outcome, Passage, Patience, Settled};
pub(crate) use trace::Trace;

use crate::address::Address;
use crate::capability::Policy;
use crate::error::CallError;
use crate::events::Events;
use crate::message::Answer;
use crate::typed::FunctionType;
use crate::waits::Waits;

#[cfg(test)]
mod tests;

/// Who wants something.
///
/// # Example
///
/// ```
/// use airssys_wasm::middleware::{Context, Who};
///
/// fn sender(context: &Context<'_>) -> String {
///     match context.who {
///         Who::Host => "the host".to_owned(),
///         Who::Service { address, .. } => address.to_string(),
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// The host, which may do everything: the topology is the operator's word already.
    Host,
    /// A service.
    Service {
        /// Its address.
        address: &'a Address,
        /// What it may do.
        #[doc(hidden)]
        policy: &'a Policy,
    },
}

/// One message at the stack: who, what, when, and what layers leave for each other.
///
/// # Example
///
/// ```
/// use airssys_wasm::middleware::{Context, Layer, Verdict};
/// use bytes::Bytes;
///
/// struct Tenant;
///
/// impl Layer for Tenant {
///     fn name(&self) -> &'static str {
///         "tenant"
///     }
///
///     fn priority(&self) -> i32 {
///         600
///     }
///
///     fn before(&self, context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
///         if context.is_counted() && context.may_wait() && context.attribute("tenant").is_none() {
///             context.set_attribute("tenant", "acme");
///         }
///         Verdict::Continue
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Context<'a> {
    /// Who sends.
    pub who: Who<'a>,
    /// What is done.
    pub operation: Operation,
    /// To whom, or on which topic.
    pub target: &'a str,
    /// The function that is called, where it is called by its own type.
    pub(crate) function: Option<&'a FunctionType>,
    /// Where the target counts its messages; none for a topic.
    pub(crate) metrics: Option<&'a Metrics>,
    /// When nobody wants it any more.
    pub deadline: Option<Instant>,
    /// The message from outside that it came of; 0 for a new one.
    pub trace: u64,
    may_wait: bool,
    /// Whether all layers let it on.
    let_on: bool,
    when: Option<Instant>,
    attributes: Vec<(&'static str, Box<str>)>,
}

impl<'a> Context<'a> {
    /// A message that comes to the stack now.
    #[must_use]
    pub(crate) fn new(who: Who<'a>, operation: Operation, target: &'a str) -> Self {
        Self {
            who,
            operation,
            target,
            function: None,
            metrics: None,
            deadline: None,
            trace: 0,
            may_wait: false,
            let_on: false,
            when: None,
            attributes: Vec::new(),
        }
    }

    /// Whether whoever asks waits where a layer answers later: for a send and a call, but not in the sync lane.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Says when it came to the stack, for one who has read the clock already.
    pub(crate) fn came(&mut self, when: Instant) {
        self.when = Some(when);
    }

    /// When it came to the stack. The clock is read at the first question.
    pub(crate) fn when(&mut self) -> Instant {
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
///
/// # Example
///
/// ```
/// use airssys_wasm::error::{CallError, SendError};
/// use airssys_wasm::middleware::Verdict;
///
/// fn at_most(bytes: usize, most: usize) -> Verdict {
///     let reason = format!("{bytes} bytes");
///     let rejected = SendError::Rejected { layer: "sizes".into(), reason };
///     if bytes <= most { Verdict::Continue } else { Verdict::Reject(CallError::NotSent(rejected)) }
/// }
/// ```
#[derive(Debug)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It is handled here; this is the answer.
    Handled(Option<Bytes>),
    /// It does not go on.
    Reject(CallError),
    /// What this says, when it is known.
    Later(Later),
}

/// What a layer says of an error.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::CallError;
/// use airssys_wasm::middleware::ErrorVerdict;
///
/// /// What is lost on its way is sent once more.
/// fn on_error(error: &CallError) -> ErrorVerdict {
///     match error {
///         CallError::Dropped(_) => ErrorVerdict::Retry,
///         _ => ErrorVerdict::Continue,
///     }
/// }
/// ```
#[derive(Debug)]
pub enum ErrorVerdict {
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

    /// Its place: higher comes first. The built-in ones are at 1000 (authorize), 900 (deadline), 800 (metrics) and 700
    /// (trace).
    fn priority(&self) -> i32;

    /// Before the message goes on. It may change the body. What it has to wait for it waits for in a [`Later`].
    fn before(&self, _context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
        Verdict::Continue
    }

    /// When the outcome is final: once for each [`Layer::before`]. A message that is sent again is settled with its
    /// error, and begins anew.
    fn after(&self, _context: &Context<'_>, _outcome: &Answer) {}

    /// When the outcome is an error, before it is final.
    fn on_error(&self, _context: &Context<'_>, _error: &CallError) -> ErrorVerdict {
        ErrorVerdict::Continue
    }
}

/// The layers, in order.
pub(crate) struct Stack {
    layers: Arc<[Arc<dyn Layer>]>,
    /// Whether there are others than the built-in layers, which never ask for a retry.
    extended: bool,
    /// Whether the mesh is over, so that nobody waits for a layer any more.
    closed: watch::Sender<bool>,
    /// Who waits for whom, also over a layer.
    pub(crate) waits: Arc<Waits>,
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
        Self { layers: layers.into(), extended, closed: watch::Sender::new(false), waits: Arc::default() }
    }

    /// Turns those away who wait for a layer, now and from now on.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Whether a message may have to be sent again.
    #[must_use]
    pub(crate) fn may_retry(&self) -> bool {
        self.extended
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.name())).finish()
    }
}
