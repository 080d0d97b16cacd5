//! What was done with an instance, step by step, as it can be written down and done again.

mod packed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use airssys_rt_shim::call;
use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::timer::TimerId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(super) use self::packed::Answering;
use super::host_call::{octets, optional_octets, shared};
use super::told::Line;
use crate::address::Address;
use crate::error::Fault;
use crate::hex;
use crate::limits::OVERHEAD_BYTES;
use crate::message::{Answer, Delivery, Down, DownReason, Envelope, Room};
use crate::typed::FunctionType;

/// The values of a state, by key.
pub(crate) type Values = BTreeMap<Box<str>, Bytes>;

/// What is done with an instance: what was, or, with an envelope in the place of its message, what is about to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum What<M = Box<Message>> {
    /// It was made.
    Made,
    Init,
    Check,
    Migrate {
        from: u32,
    },
    Restore {
        #[serde(with = "octets")]
        memory: Bytes,
    },
    Snapshot,
    Stop {
        reason: String,
    },
    /// It ran by itself.
    Alone,
    Message(M),
}

/// A message that is about to be handed to an instance, and for how long somebody waits for the answer.
pub(crate) struct Handed<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) left: Duration,
}

/// A message that it was handed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    id: u64,
    trace: u64,
    sender: Option<Address>,
    target: Address,
    key: Option<Box<str>>,
    way: Way,
    attempt: u32,
    /// For how long somebody waited for the answer, in milliseconds.
    left_ms: u64,
    #[serde(with = "shared::optional")]
    function: Option<Arc<FunctionType>>,
    #[serde(with = "octets")]
    body: Bytes,
    /// Whether it could have no effects.
    pub(crate) is_query: bool,
    /// Whether this is all of it, and not the head of a request whose body came by itself.
    pub(crate) is_whole: bool,
    /// Whether a turn before it had read of that body, so that it was not handled again.
    #[serde(default)]
    pub(crate) is_gone: bool,
}

/// How it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Way {
    Send,
    Call,
    Publish(Box<str>),
    Timer(u64),
    Down { child: Address, reason: DownReason, restarted: bool },
}

impl Message {
    /// The same message again, to whose answer nobody listens, and for how long one would.
    pub(crate) fn envelope(&self) -> Option<(Envelope, Duration)> {
        let delivery = match &self.way {
            Way::Send => Delivery::Send,
            Way::Call => Delivery::Call(call::call::<Answer>().0),
            Way::Publish(topic) => Delivery::Publish(topic.clone()),
            Way::Timer(id) => Delivery::Timer(TimerId(*id)),
            Way::Down { child, reason, restarted } => Delivery::Down(Box::new(Down {
                child: child.clone(),
                reason: reason.clone(),
                restarted: *restarted,
                _room: Room::take(&Arc::new(AtomicUsize::new(0)), 1)?,
            })),
        };
        let envelope = Envelope {
            id: self.id,
            trace: self.trace,
            sender: self.sender.clone(),
            target: self.target.clone(),
            key: self.key.clone(),
            delivery,
            deadline: None,
            attempt: self.attempt,
            is_forgiven: false,
            crashed: None,
            function: self.function.clone(),
            body: self.body.clone(),
            streams: None,
            places: 0,
            _room: None,
        };
        Some((envelope, Duration::from_millis(self.left_ms)))
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What it says, in short: its function, and the SHA-256 of its body.
    pub(super) fn sum(&self) -> String {
        let function = self.function.as_ref().map(|function| function.path()).unwrap_or_default();
        format!("{function} {}", hex::encode(&Sha256::digest(&self.body)))
    }

    /// Whether another instance can be handed it: it is no notice, which has a place of its own, it has no handles, and
    /// was handled.
    pub(crate) fn can_be_shown(&self) -> bool {
        let is_plain = |function: &Arc<FunctionType>| !function.mentions_handles();
        !self.is_gone && !matches!(self.way, Way::Down { .. }) && self.function.as_ref().is_none_or(is_plain)
    }

    fn told(&self) -> String {
        let way = match &self.way {
            Way::Send => "send",
            Way::Call => "call",
            Way::Publish(_) => "publication",
            Way::Timer(_) => "timer",
            Way::Down { .. } => "notice",
        };
        let from = self.sender.as_ref().map_or("the host", Address::as_str);
        let function = self.function.as_ref().map(|function| format!(" of {}", function.path())).unwrap_or_default();
        format!("message {}, a {way}{function} from {from}", self.id)
    }
}

impl What<Handed<'_>> {
    pub(crate) fn stop(reason: StopReason) -> Self {
        Self::Stop { reason: word(reason).to_owned() }
    }

    pub(super) fn bytes(&self) -> usize {
        let bytes = match self {
            Self::Message(Handed { envelope, .. }) => {
                envelope.body.len() + envelope.key.as_ref().map_or(0, |key| key.len())
            }
            Self::Restore { memory } => memory.len(),
            _ => 0,
        };
        bytes + OVERHEAD_BYTES
    }
}

impl What {
    /// As people are told.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Made => "its instantiation".to_owned(),
            Self::Init => "init".to_owned(),
            Self::Check => "health check".to_owned(),
            Self::Migrate { from } => format!("migrate from schema {from}"),
            Self::Restore { .. } => "restore".to_owned(),
            Self::Snapshot => "snapshot".to_owned(),
            Self::Stop { .. } => "stop".to_owned(),
            Self::Alone => "its run".to_owned(),
            Self::Message(message) => message.told(),
        }
    }
}

fn word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Shutdown => "shutdown",
        StopReason::Restart => "restart",
        StopReason::Idle => "idle",
    }
}

/// The reason of a word.
pub(crate) fn stop_reason(word: &str) -> StopReason {
    match word {
        "restart" => StopReason::Restart,
        "idle" => StopReason::Idle,
        _ => StopReason::Shutdown,
    }
}

/// One step, and what was asked and told in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) lines: Vec<Line>,
    /// Whether it asked more.
    pub(crate) is_cut: bool,
    /// What came of it, where it is a turn over a message that did not crash.
    #[serde(default)]
    pub(crate) end: Option<End>,
}

impl Step {
    /// As people are told.
    pub(super) fn told(&self) -> String {
        let more = if self.is_cut { " and more" } else { "" };
        let calls = if self.lines.len() == 1 { "call" } else { "calls" };
        format!("{}: {} {calls} of the host{more}", self.what.told(), self.lines.len())
    }
}

/// What came of a turn over a message.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct End {
    #[serde(with = "optional_octets")]
    pub(crate) answer: Option<Bytes>,
    /// What it returned in the place of an answer.
    pub(crate) fault: Option<Fault>,
    /// Whether what it did happens: it does not where it failed.
    pub(crate) commits: bool,
    /// What it wrote to its state.
    pub(crate) writes: Vec<Write>,
    /// Of which key that is, where a key chooses it.
    pub(crate) key: Option<Box<str>>,
}

/// A value of a state before and after a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) key: Box<str>,
    #[serde(with = "optional_octets")]
    pub(crate) before: Option<Bytes>,
    #[serde(with = "optional_octets")]
    pub(crate) after: Option<Bytes>,
}

impl End {
    /// The key of its state among those of its actor.
    pub(crate) fn state_key(&self) -> Box<str> {
        self.key.clone().unwrap_or_default()
    }

    /// Makes of what a state was before it what it was after.
    pub(crate) fn change(&self, states: &mut BTreeMap<Box<str>, Values>) {
        if self.writes.is_empty() {
            return;
        }
        let values = states.entry(self.state_key()).or_default();
        for write in &self.writes {
            match &write.after {
                Some(value) => values.insert(write.key.clone(), value.clone()),
                None => values.remove(&write.key),
            };
        }
    }
}
