//! One message at the stack, or something else that is done: who, what, when.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::guards::Progress;
use super::metrics::Metrics;
use crate::address::Address;
use crate::capability::Policy;
use crate::operation::{Operation, Operations};
use crate::typed::FunctionType;

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
    pub(super) guards: Option<Box<Progress>>,
    /// How often it was tried before.
    pub(super) retries: u32,
    /// Whether whoever asks waits for what a layer says of an error.
    pub(super) settles_later: bool,
    /// Whether all layers let it on.
    pub(super) let_on: bool,
    pub(super) when: Option<Instant>,
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
    pub(super) fn stack(self) -> Option<usize> {
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
