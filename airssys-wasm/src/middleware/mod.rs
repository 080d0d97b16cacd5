//! The dispatch stack: what every message passes, whoever sends it; and all that a guest asks of its host: files,
//! sockets, HTTP requests, its state, clocks, randomness, its environment and its configuration.
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
//! A layer says by [`Layer::applies_to`] what it is asked about. What a guest does that needs several of these is asked
//! about once, with all of them in [`Context::needs`]: to open a file that is to be written to and made where it is not
//! there is one question. Of files, each read and write of what is open passes as well, also by a stream, under the
//! name of what was opened.
//!
//! A panic of a layer rejects what it was asked about, in its name; one over an outcome changes nothing.
//!
//! A layer that has to wait for its verdict says so by [`Verdict::Later`]. Sends and calls wait for it, where whoever
//! asks can wait. Nothing else does, and is turned away: see there.
//!
//! # Hot path
//!
//! One virtual call a layer and hook; no allocation, no lock, and no await but for a layer that answers later. Bench
//! rows `tell` and `ask` have it in them. What no layer applies to costs one test of a set: nothing is named or
//! allocated for it.
//!
//! Invariant: [`Layer::after`] is called once for each [`Layer::before`], with the context that was there, whatever
//! becomes of the message.

mod authorize;
mod deadline;
mod denial;
mod guards;
mod later;
mod limit;
mod log;
mod metrics;
mod passage;
mod placed;
mod retry;
mod stack;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use tokio::time::Instant;

pub use crate::operation::{Operation, Operations};
pub(crate) use authorize::Authorize;
pub(crate) use deadline::Deadline;
pub(crate) use denial::deny;
pub(crate) use guards::{Asked, For, Guards, Heard, Question};
pub(crate) use later::Later;
pub(crate) use limit::RateLimit;
pub(crate) use log::Log;
pub(crate) use metrics::{Metrics, Recorder};
pub(crate) use passage::{Entered, Entry, Outcome, Passage, Patience, Settled};
pub(crate) use placed::Placed;
pub(crate) use retry::Retry;
pub(crate) use stack::Stack;
pub(crate) use trace::Trace;

use crate::address::Address;
use crate::capability::Policy;
use crate::error::CallError;
use crate::message::Answer;
use crate::typed::FunctionType;

#[cfg(test)]
mod tests;

/// Who wants something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who<'a> {
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

/// One message at the stack, or something else that is done: who, what, when, and what layers leave for each other.
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
///         let sender = context.sender.map_or("the host", |sender| sender.service());
///         let tenant = if sender.starts_with("acme-") { "acme" } else { "another one" };
///         context.attributes.insert("tenant", tenant.into());
///         Verdict::Continue
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Context<'a> {
    /// Who wants it; none where the host does, which may do everything: the topology is the operator's word already.
    pub sender: Option<&'a Address>,
    /// The same, and what it may do. No layer can change it.
    pub(crate) who: Who<'a>,
    /// What is done.
    pub operation: Operation,
    /// All that it needs, the operation among them: to open a file for writing needs to open and to write.
    pub needs: Operations,
    /// To whom, on which topic, or with what. A file by its path as the guest knows it, the granted folder first,
    /// without `.` and `..`; what is open by the path of what was opened, links followed. A socket by its address, an
    /// HTTP request as `GET https://host:443/path`, state and configuration by their keys.
    pub target: &'a str,
    /// The other one, where there are two: what something is renamed to, and what a new link is a link to.
    pub also: Option<&'a str>,
    /// How many bytes it asks for at most, where it is read; what is written or sent is the body.
    pub wants_bytes: u64,
    /// How many its body has, where a log is about it.
    pub(crate) carries: u64,
    /// The function that is called, where it is called by its own type.
    pub(crate) function: Option<&'a FunctionType>,
    /// Where the target counts its messages; none for a topic.
    pub(crate) metrics: Option<&'a Metrics>,
    /// When nobody wants it any more.
    pub deadline: Option<Instant>,
    /// The message from outside that it came of; 0 for a new one.
    pub trace: u64,
    /// Whether whoever asks waits where a layer answers later: for a send and a call, but not in the sync lane.
    pub may_wait: bool,
    /// What layers leave for those after them, and for themselves until the outcome is known.
    pub attributes: BTreeMap<&'static str, Box<str>>,
    /// On whose stack somebody who answers a layer may be run.
    pub(crate) runs_on: RunsOn,
    /// How far the layers are that are components, where that has to be known later.
    guards: Option<Box<guards::Progress>>,
    /// How often it was tried before.
    retries: u32,
    /// Whether whoever asks waits for what a layer says of an error.
    settles_later: bool,
    /// Whether all layers let it on.
    let_on: bool,
    when: Option<Instant>,
}

/// On whose stack somebody who answers a layer may be run: whoever asks sleeps until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RunsOn {
    /// Nobody's.
    #[default]
    Nobody,
    /// That of a guest, which is small.
    Guest,
    /// That of a thread of the host.
    Host,
}

impl RunsOn {
    /// How much of it there is, in bytes.
    fn stack(self) -> Option<usize> {
        match self {
            Self::Nobody => None,
            Self::Guest => Some(0),
            Self::Host => Some(stacker::remaining_stack().unwrap_or(0)),
        }
    }
}

impl<'a> Context<'a> {
    /// A message that comes to the stack now.
    #[must_use]
    pub(crate) fn new(who: Who<'a>, operation: Operation, target: &'a str) -> Self {
        let sender = match who {
            Who::Host => None,
            Who::Service { address, .. } => Some(address),
        };
        Self {
            sender,
            who,
            operation,
            needs: Operations::of(operation),
            target,
            also: None,
            wants_bytes: 0,
            carries: 0,
            function: None,
            metrics: None,
            deadline: None,
            trace: 0,
            may_wait: false,
            attributes: BTreeMap::new(),
            runs_on: RunsOn::Nobody,
            guards: None,
            retries: 0,
            settles_later: false,
            let_on: false,
            when: None,
        }
    }

    /// Says when it came to the stack, for one who has read the clock already.
    pub(crate) fn came(&mut self, when: Instant) {
        self.when = Some(when);
    }

    /// When it came to the stack. The clock is read at the first question.
    pub(crate) fn when(&mut self) -> Instant {
        *self.when.get_or_insert_with(Instant::now)
    }
}

/// What a layer says before a message goes on.
///
/// # Example
///
/// A layer that asks a service of the mesh before it lets a call on. Without an answer, nothing goes on.
///
/// ```
/// use std::sync::{Arc, OnceLock, Weak};
/// use std::time::Duration;
///
/// use airssys_wasm::Runtime;
/// use airssys_wasm::error::SendError;
/// use airssys_wasm::middleware::{Context, Layer, Operation, Verdict};
/// use bytes::Bytes;
///
/// /// Known when the mesh has started; nothing goes on before.
/// #[derive(Clone, Default)]
/// struct AskPolicy(Arc<OnceLock<Weak<Runtime>>>);
///
/// impl Layer for AskPolicy {
///     fn name(&self) -> &'static str {
///         "policy"
///     }
///
///     /// After the host's own: what is denied anyway needs no question.
///     fn priority(&self) -> i32 {
///         100
///     }
///
///     fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
///         if context.operation != Operation::Call || context.target == "policy" {
///             return Verdict::Continue;
///         }
///         let (mesh, target) = (self.0.get().cloned().unwrap_or_default(), context.target.to_owned());
///         Verdict::Later(Box::pin(async move {
///             let no = |reason| Verdict::Reject(SendError::Rejected { layer: "policy".into(), reason }.into());
///             let Some(mesh) = mesh.upgrade() else { return no("the mesh is not up".to_owned()) };
///             match mesh.call("policy", target.clone(), Duration::from_secs(1)).await {
///                 Ok(Some(answer)) if answer.is_empty() => Verdict::Continue,
///                 Ok(_) => no(format!("nobody calls {target}")),
///                 Err(error) => no(error.to_string()),
///             }
///         }))
///     }
/// }
/// ```
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It is handled here; this is the answer.
    Handled(Option<Bytes>),
    /// It does not go on.
    Reject(CallError),
    /// What this says, when it is known: of a layer that asks somebody before it lets a message on.
    ///
    /// Whoever sends or calls waits for it: a call until its deadline, and then it has timed out; a send for the
    /// `reserve_timeout` of the topology, and then it is rejected in the layer's name. When the mesh is over, it is
    /// told that the service is stopped. Whoever goes away is not waited for: the future is dropped, and the layers are
    /// told that the message was discarded.
    ///
    /// So it is with a file, a socket, an HTTP request and a program of a guest, for the `reserve_timeout`.
    ///
    /// Nothing else can wait: state, clocks and what else a guest has for itself, a publication, a subscription, what
    /// is done to children, what the host brings to a mailbox, and everything in the sync lane. There nobody looks at
    /// the future: the message does not go on, and is rejected in the layer's name. [`Context::may_wait`] says before
    /// which it is, so that a layer can decide by what it knows already.
    ///
    /// A layer that asks a service of the same mesh must let its own question pass. Whom it asks may be waiting for it:
    /// a call to whoever waits for its verdict fails with [`CallError::Deadlock`], of the layer as well as of the
    /// service that it asks. That holds for what is called in the future itself, and of several calls at once the
    /// others know the first; what it has another task call is waited for until the deadline.
    Later(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Handled(answer) => f.debug_tuple("Handled").field(answer).finish(),
            Self::Reject(error) => f.debug_tuple("Reject").field(error).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
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
    /// What this says, when it is known: as [`Verdict::Later`], of a layer that asks somebody, or lets some time go by,
    /// before it says what is to become of an error.
    ///
    /// Whoever sends or calls waits for it, at most for the `reserve_timeout` of the topology; so does what is done
    /// with a file, a socket or an HTTP request, where it is turned away or fails. Where nobody can wait, as over a
    /// message that a turn held back, the error stays as it is and nobody looks at the future.
    Later(Pin<Box<dyn Future<Output = ErrorVerdict> + Send>>),
}

impl fmt::Debug for ErrorVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Replace(error) => f.debug_tuple("Replace").field(error).finish(),
            Self::Suppress => f.write_str("Suppress"),
            Self::Retry => f.write_str("Retry"),
            Self::Stop => f.write_str("Stop"),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
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

    /// Its place: higher comes first. The built-in ones are at 1100 (log), 1000 (authorize), 950 (retry), 900
    /// (deadline), 800 (metrics), 750 (quota), 700 (trace) and 600 (those that are components, in an order of their
    /// own).
    fn priority(&self) -> i32;

    /// What it is asked about. By default messages, and what is done with topics and children:
    /// [`Operations::MESSAGES`]. It is asked once, when the mesh starts.
    fn applies_to(&self) -> Operations {
        Operations::MESSAGES
    }

    /// Before the message goes on. It may change the body. What it has to wait for it waits for in a
    /// [`Verdict::Later`].
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
