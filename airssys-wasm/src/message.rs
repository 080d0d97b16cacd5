//! Messages: what is sent, how it came, what is answered, and what becomes of one that cannot be delivered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use airssys_rt_shim::call::ReplyTo;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::timer::TimerId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::address::Address;
use crate::error::{CallError, Crash, Fault};
use crate::hint::Coded;
use crate::http::Streams;
use crate::limits::OVERHEAD_BYTES;
use crate::typed::FunctionType;

/// What the one called says: an answer, which may be empty, or why there is none.
///
/// # Example
///
/// ```
/// use airssys_wasm::message::Answer;
///
/// fn bytes(answer: Answer) -> usize {
///     answer.ok().flatten().map_or(0, |body| body.len())
/// }
///
/// assert_eq!(bytes(Ok(Some("hello".into()))), 5);
/// ```
pub type Answer = Result<Option<Bytes>, CallError>;

/// Whom a message is for: an address, and with it, as a pair, a key. The key chooses the actor of a service that has
/// one a key, and the member of a pool that is partitioned.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("keyed = {}", async |runtime, _| {
/// use airssys_wasm::message::To;
///
/// // The same actor, twice.
/// for to in [To::from("echo/alice"), To::from(("echo", "alice"))] {
///     runtime.send(to, "hello").await?;
/// }
/// assert_eq!(runtime.services()[0].keys, 1);
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct To<'a> {
    pub(crate) address: &'a str,
    pub(crate) key: Option<&'a str>,
}

impl<'a, A: AsRef<str> + ?Sized> From<&'a A> for To<'a> {
    fn from(address: &'a A) -> Self {
        Self { address: address.as_ref(), key: None }
    }
}

impl<'a, A: AsRef<str> + ?Sized, K: AsRef<str> + ?Sized> From<(&'a A, &'a K)> for To<'a> {
    fn from((address, key): (&'a A, &'a K)) -> Self {
        Self { address: address.as_ref(), key: Some(key.as_ref()) }
    }
}

impl<'a, A: AsRef<str> + ?Sized> From<(&'a A, Option<&'a str>)> for To<'a> {
    fn from((address, key): (&'a A, Option<&'a str>)) -> Self {
        Self { address: address.as_ref(), key }
    }
}

/// A message under way.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// Unique while the host runs, and growing.
    pub(crate) id: u64,
    /// The id of the message from outside of the mesh that this one came of; its own where it is that one.
    pub(crate) trace: u64,
    /// Who sent it, set by the host; none for the host itself.
    pub(crate) sender: Option<Address>,
    /// Where it goes, key included.
    pub(crate) target: Address,
    /// The partition key, where the sender gave one.
    pub(crate) key: Option<Box<str>>,
    /// How it comes.
    pub(crate) delivery: Delivery,
    /// When nobody wants it any more.
    pub(crate) deadline: Option<Instant>,
    /// How often its handling was begun and cut off.
    pub(crate) attempt: u32,
    /// Whether the next try does not count: the last one was a release's that did not stay, or never began.
    pub(crate) is_forgiven: bool,
    /// Over what its last try crashed, where it may be tried again.
    pub(crate) crashed: Option<Box<Crash>>,
    /// The function that it calls, where it is no message of bytes: the body is a block of its arguments then.
    pub(crate) function: Option<Arc<FunctionType>>,
    /// What the sender wrote.
    pub(crate) body: Bytes,
    /// What of a request of HTTP and its response does not lie in messages.
    pub(crate) streams: Option<Arc<Streams>>,
    /// How many places it takes of its mailbox.
    pub(crate) places: u32,
    /// Its part of what all mailboxes of a service may hold, where that has several.
    pub(crate) _room: Option<Room>,
}

/// How a message comes to be delivered.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Nobody waits.
    Send,
    /// Somebody waits here.
    Call(ReplyTo<Answer>),
    /// It was published on this topic.
    Publish(Box<str>),
    /// A timer ran out.
    Timer(TimerId),
    /// A child ended that the service monitors.
    Down(Box<Down>),
}

/// A child that ended.
#[derive(Debug)]
pub(crate) struct Down {
    /// Its address.
    pub(crate) child: Address,
    /// Why it ended.
    pub(crate) reason: DownReason,
    /// Whether its supervisor has started it again.
    pub(crate) restarted: bool,
    /// The monitor counts until its notice is handled.
    pub(crate) _room: Room,
}

/// Why a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub(crate) enum DownReason {
    /// It exited with status 0.
    Normal,
    /// It was stopped in order.
    Stopped,
    /// It did not stop in time, or was to be stopped without being asked.
    Killed,
    /// It crashed, or did not start.
    Crashed(Crash),
    /// There was no such child.
    NoChild,
}

impl DownReason {
    /// What an exit reason of an actor says of a child.
    pub(crate) fn of(exit: &ExitReason) -> Self {
        match exit {
            ExitReason::Normal => Self::Normal,
            ExitReason::Shutdown => Self::Stopped,
            ExitReason::Killed => Self::Killed,
            failed => Self::Crashed(
                failed.downcast_ref::<Crash>().cloned().unwrap_or_else(|| Crash::Host { detail: failed.to_string() }),
            ),
        }
    }
}

/// Some of a bounded number of things; their places are free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Room(Arc<AtomicUsize>, usize);

impl Room {
    /// A place for one more, where there are fewer than `most`.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let one_more = |taken| (taken < most).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(Arc::clone(taken), 1))
    }

    /// So many places, where there are not more than `most` then, or none are taken yet.
    pub(crate) fn take_many(taken: &Arc<AtomicUsize>, places: usize, most: usize) -> Option<Self> {
        let more = |taken: usize| (taken == 0 || taken.saturating_add(places) <= most).then_some(taken + places);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(taken), places))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Delivery {
    /// Its name in logs and listings.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Call(_) => "call",
            Self::Publish(_) => "publish",
            Self::Timer(_) => "timer",
            Self::Down(_) => "down",
        }
    }
}

impl Envelope {
    /// What it takes while it waits, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let topic = match &self.delivery {
            Delivery::Publish(topic) => topic.len(),
            _ => 0,
        };
        OVERHEAD_BYTES + self.body.len() + self.key.as_ref().map_or(0, |key| key.len()) + topic
    }

    /// Whether its turn may be tried again as often as its service says: nothing of it was read that cannot be read
    /// again.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        self.streams.as_ref().is_none_or(|streams| !streams.is_used())
    }

    /// The key that chooses a lane and a state: the address's, else the partition key.
    #[must_use]
    pub(crate) fn partition(&self) -> Option<&str> {
        self.target.key().or(self.key.as_deref())
    }
}

/// Why a message became a dead letter.
///
/// # Example
///
/// ```
/// use airssys_wasm::message::{DeadLetter, DeadReason};
///
/// /// Whether it is worth sending it again as it is.
/// fn may_be_replayed(letter: &DeadLetter) -> bool {
///     !matches!(letter.reason, DeadReason::Poisoned(_) | DeadReason::Expired)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadReason {
    /// Its service stopped, for good or before its turn came.
    Stopped,
    /// A full mailbox dropped it, as its policy says.
    Overflow,
    /// It was published, and the subscriber's mailbox was full.
    SubscriberFull,
    /// Its deadline passed before its turn came.
    Expired,
    /// The service crashed over it.
    Crashed(Crash),
    /// The service crashed over it as often as it may.
    Poisoned(Crash),
    /// The handler returned a fault, and nobody waits for the answer.
    Fault(Fault),
    /// An answer that came when nobody waited any more.
    LateAnswer,
    /// A middleware layer turned away a message of the host's own: that of a timer, a notice, or a copy of a
    /// publication.
    Rejected(String),
}

impl Coded for DeadReason {
    fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Overflow => "overflow",
            Self::SubscriberFull => "subscriber-full",
            Self::Expired => "expired",
            Self::Crashed(_) => "crashed",
            Self::Poisoned(_) => "poisoned",
            Self::Fault(_) => "fault",
            Self::LateAnswer => "late-answer",
            Self::Rejected(_) => "rejected",
        }
    }
}

impl DeadReason {
    /// Whether its text says more than its word.
    pub(crate) fn says_more(&self) -> bool {
        matches!(self, Self::Crashed(_) | Self::Poisoned(_) | Self::Fault(_) | Self::Rejected(_))
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crashed(crash) | Self::Poisoned(crash) => write!(f, "{}: {crash}", self.code()),
            Self::Fault(fault) => write!(f, "fault: {fault}"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
            plain => f.write_str(plain.code()),
        }
    }
}

/// A message that was accepted and could not be handled.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::message::DeadLetter;
///
/// let (total, letters): (u64, Vec<DeadLetter>) = runtime.dead_letters();
/// assert_eq!(total, 0);
/// for letter in letters {
///     println!("{} was for {}: {}", letter.id, letter.target, letter.reason);
/// }
/// # Ok(()) });
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message's id.
    pub id: u64,
    /// The message from outside that it came of.
    pub trace: u64,
    /// Who sent it; none for the host.
    pub sender: Option<Address>,
    /// Where it was going.
    pub target: Address,
    /// The partition key, where the sender gave one.
    pub key: Option<Box<str>>,
    /// How: send, call, publish, timer or down.
    pub delivery: &'static str,
    /// How often its handling was begun.
    pub attempt: u32,
    /// Why it is here.
    pub reason: DeadReason,
    /// When it came here.
    pub at: SystemTime,
    /// What the sender wrote.
    pub body: Bytes,
    /// What was called, as it is written in WAVE, where it was a function of the service's own; of an answer that came
    /// too late, the result.
    pub call: Option<String>,
    /// The function, whose arguments are the body then.
    pub(crate) function: Option<Arc<FunctionType>>,
    /// Whether there was more of it: a request of HTTP whose body was streamed.
    pub(crate) is_partial: bool,
}

impl DeadLetter {
    /// What it takes while it is kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let reason = if self.reason.says_more() { self.reason.to_string().len() } else { 0 };
        OVERHEAD_BYTES + self.body.len() + self.key.as_ref().map_or(0, |key| key.len()) + reason
    }
}

impl Serialize for DeadLetter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut letter = serializer.serialize_struct("DeadLetter", 10)?;
        letter.serialize_field("id", &self.id)?;
        letter.serialize_field("trace", &self.trace)?;
        letter.serialize_field("sender", &self.sender)?;
        letter.serialize_field("target", &self.target)?;
        letter.serialize_field("key", &self.key)?;
        letter.serialize_field("delivery", self.delivery)?;
        letter.serialize_field("attempt", &self.attempt)?;
        letter.serialize_field("reason", &self.reason.to_string())?;
        letter.serialize_field("call", &self.call)?;
        letter.serialize_field("body", &String::from_utf8_lossy(&self.body))?;
        letter.end()
    }
}
