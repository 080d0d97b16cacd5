//! One event: what it is called, and how it is written.

use std::fmt::{self, Display, Write};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::secrets::hidden;
use crate::shown::Showing;

/// The longest text of an event, in bytes. What is longer is cut.
const MOST_TEXT: usize = 1_024;
/// What an event takes beside its texts, in bytes.
const OVERHEAD_BYTES: usize = size_of::<Event>() + 32;

/// Something that happened in a mesh.
///
/// As JSON it is one object: `number`, `at` (RFC 3339), `service`, `kind`, and what its kind has. Names and words in it
/// are stable; a kind may get more fields, and there may be more kinds.
///
/// # Example
///
/// ```
/// use airssys_wasm::events::{Event, Kind};
///
/// let text = r#"{"number":7,"at":"2026-01-01T00:00:00Z","kind":"started","actor":"shop","incarnation":1}"#;
/// let event: Event = serde_json::from_str(text)?;
/// assert_eq!((event.number, event.what.kind()), (7, Kind::Started));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its number: 1 for the first one of a mesh, and one more each time. Of two events, the one with the lower number
    /// was published first.
    pub number: u64,
    /// When it was published.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// The service it is about; none where it is about a supervisor, or about the mesh as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

impl Event {
    /// What it takes while it is kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.service.as_ref().map_or(0, String::len) + self.what.text_bytes()
    }
}

/// What happened. Texts are one line each, in which nothing is obeyed by a terminal, and no longer than 1 KiB.
///
/// An `actor` is called as in the tree: `shop`, `shop#1` for a member of a pool, `shop/alice` for that of a key; a
/// supervisor by all names from the root down to it, such as `mesh/back`.
///
/// # Example
///
/// ```
/// use airssys_wasm::events::Happening;
///
/// /// What is to wake somebody up.
/// fn is_grave(what: &Happening) -> bool {
///     matches!(what, Happening::GaveUp { .. } | Happening::SetAside { .. })
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Happening {
    /// An actor or a supervisor is up: the first incarnation, one that somebody asked for, or that of a key that woke.
    Started {
        /// Which one.
        actor: String,
        /// Its incarnation under its supervisor, from 1.
        incarnation: u64,
    },
    /// An actor or a supervisor has ended, or did not come to start.
    Ended {
        /// Which one.
        actor: String,
        /// Its incarnation.
        incarnation: u64,
        /// `normal`, `shutdown`, `killed`, `panicked`, `failed`, or the word for the crash, such as `trap` or
        /// `out-of-memory`.
        reason: String,
        /// More about it, where there is more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// An actor or a supervisor is up again: its supervisor started it after it had ended, or a sibling of its group
    /// had.
    Restarted {
        /// Which one.
        actor: String,
        /// Its incarnation.
        incarnation: u64,
    },
    /// An actor that comes and goes has ended too often, and is started again only after a while; what is sent to it
    /// waits.
    SetAside {
        /// Which one.
        actor: String,
        /// How long that is, in milliseconds.
        for_ms: u64,
    },
    /// Nothing serves in the place of an actor until a person has decided: its release cannot read the state that is
    /// stored, or that is damaged. What is sent to it waits.
    Suspended {
        /// The address of the actor; that of its service for a member of a pool.
        actor: String,
        /// The stable word for why: `schema` or `state-damaged`.
        reason: String,
        /// More about it.
        detail: String,
    },
    /// A supervisor ends, since a child of it was to be started again once too often. What was above it decides what is
    /// next.
    GaveUp {
        /// The supervisor; the mesh itself where it is the root.
        supervisor: String,
        /// The child.
        child: String,
    },
    /// Another release, or the same one with other settings, serves in the place of an actor from now on: it took over,
    /// went back, or stands in for another one.
    Swapped {
        /// The address of the actor; that of its service for a member of a pool.
        actor: String,
        /// The SHA-256 of the component.
        sha256: String,
    },
    /// A deployment has begun, or has come to another state.
    Deployment {
        /// `switching`, with which it begins, `rehearsing`, `baking`, `probation`, `live`, `rolled-back` or
        /// `suspended`.
        state: String,
        /// The release that is to serve.
        release: String,
        /// While it bakes: the step that was made last, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<usize>,
        /// While it bakes: how many steps there are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        steps: Option<usize>,
        /// Why it went back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The mesh is brought to an edited topology: that has begun, or is over.
    Apply {
        /// `applying`, with which it begins, `applied`, or `undone`: all is as it was before.
        state: String,
        /// How many things are different.
        changes: usize,
        /// Why it was undone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An operator has a service stopped, or started again. What its actors do about that follows.
    Operator {
        /// `stopped` or `started`.
        state: String,
        /// Whether that outlives the host.
        kept: bool,
    },
    /// An operator gives something to a service, or takes it away, while it runs, or the time is over that it was
    /// given for.
    Grant {
        /// `granted`, `revoked` or `expired`.
        state: String,
        /// The kind of grant: `send`, `call`, `files` and so on.
        grant: String,
        /// To whom or to what.
        target: String,
        /// Whether that outlives the host.
        kept: bool,
    },
    /// The host listens for HTTP somewhere, or not any more.
    Listener {
        /// The listener, as the topology has it.
        listener: String,
        /// Where it listens: at another port where the topology leaves that to the host.
        address: String,
        /// `listening` or `closed`.
        state: String,
    },
    /// A message was accepted and could not be handled, or its answer came too late.
    DeadLetter {
        /// The number of the message, by which the letter is found.
        id: u64,
        /// Where it was going.
        to: String,
        /// Who sent it; none for the host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sender: Option<String>,
        /// `send`, `call`, `publish`, `timer` or `down`.
        delivery: String,
        /// The stable word for why, such as `crashed` or `overflow`.
        reason: String,
        /// More about it, where there is more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A service wanted to do what it was not granted.
    Denied {
        /// The address of the actor that wanted it.
        actor: String,
        /// `send`, `call`, `publish`, `subscribe`, `spawn`, `stop`, `monitor`, `link`, `socket` or `http`.
        operation: String,
        /// Of whom or of what.
        target: String,
        /// Which grant or request is missing.
        missing: String,
    },
    /// A limit was reached, and something is refused, dropped or ended for it. Of one limit of one service this is
    /// published once a second at most; of what stays full (`files`, `max_keys`, `max_children`, `subscriptions`)
    /// once, until there was room again.
    LimitReached {
        /// The key of the limit, such as `memory` or `mailbox`.
        limit: String,
        /// What came of it.
        detail: String,
        /// How many times it was reached since this was published last, this time included.
        times: u64,
    },
    /// A layer that is a component is down, and what it guards goes on without having been asked, as `when_down =
    /// "allow"` has it; or it is there again.
    PassedBy {
        /// `down` or `back`.
        state: String,
        /// Why it is down.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// How much went on without it, where it is back.
        passed: u64,
    },
    /// The audit cannot be written, or can again; or something of it is missing.
    Audit {
        /// `broken`, `mended`, `lost`, `cut`, or `unsigned`: there are no signed heads.
        state: String,
        /// More about it.
        detail: String,
    },
    /// A log of the topology cannot be written, or can again; or lines of it are missing.
    Log {
        /// Its name.
        log: String,
        /// `broken`, `mended` or `lost`.
        state: String,
        /// More about it.
        detail: String,
    },
}

/// What kind of event it is.
///
/// # Example
///
/// ```
/// use airssys_wasm::events::Kind;
///
/// let kind: Kind = "gave-up".parse()?;
/// assert_eq!((kind, kind.to_string().as_str()), (Kind::GaveUp, "gave-up"));
/// # Ok::<_, airssys_wasm::command::NoSuchKind>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`Happening::Started`].
    Started,
    /// [`Happening::Ended`].
    Ended,
    /// [`Happening::Restarted`].
    Restarted,
    /// [`Happening::SetAside`].
    SetAside,
    /// [`Happening::Suspended`].
    Suspended,
    /// [`Happening::GaveUp`].
    GaveUp,
    /// [`Happening::Swapped`].
    Swapped,
    /// [`Happening::Deployment`].
    Deployment,
    /// [`Happening::Apply`].
    Apply,
    /// [`Happening::Operator`].
    Operator,
    /// [`Happening::Grant`].
    Grant,
    /// [`Happening::Listener`].
    Listener,
    /// [`Happening::DeadLetter`].
    DeadLetter,
    /// [`Happening::Denied`].
    Denied,
    /// [`Happening::LimitReached`].
    LimitReached,
    /// [`Happening::PassedBy`].
    PassedBy,
    /// [`Happening::Audit`].
    Audit,
    /// [`Happening::Log`].
    Log,
}

/// Each kind with its name and what it is, in the order of [`Kind`].
pub(super) const KINDS: [(Kind, &str, &str); 18] = [
    (Kind::Started, "started", "an actor or a supervisor is up"),
    (Kind::Ended, "ended", "an actor or a supervisor has ended, and why"),
    (
        Kind::Restarted,
        "restarted",
        "an actor or a supervisor is up again after it, or a sibling of its group, had ended",
    ),
    (
        Kind::SetAside,
        "set-aside",
        "the actor of a key, or a child, has ended too often, and is started again after a while",
    ),
    (
        Kind::Suspended,
        "suspended",
        "nothing serves in the place of an actor until a person has decided about its state",
    ),
    (Kind::GaveUp, "gave-up", "a supervisor ends, since a child of it was to be started again once too often"),
    (Kind::Swapped, "swapped", "another release serves in the place of an actor"),
    (Kind::Deployment, "deployment", "a deployment has begun, or has come to another state"),
    (Kind::Apply, "apply", "an edited topology is applied, was applied, or was undone"),
    (Kind::Operator, "operator", "an operator has a service stopped, or started again"),
    (Kind::Grant, "grant", "something is given to a service, or taken away, or its time is over"),
    (Kind::Listener, "listener", "the host listens for HTTP somewhere, or not any more"),
    (Kind::DeadLetter, "dead-letter", "a message could not be handled, or its answer came too late"),
    (Kind::Denied, "denied", "a service wanted to do what it was not granted"),
    (Kind::LimitReached, "limit-reached", "a limit was reached; once a second at most for one limit of one service"),
    (Kind::PassedBy, "passed-by", "a layer is down and what it guards goes on without it, or it is there again"),
    (Kind::Audit, "audit", "the audit cannot be written, or can again, or something of it is missing"),
    (Kind::Log, "log", "a log of the topology cannot be written, or can again, or lines of it are missing"),
];

impl Kind {
    /// All kinds, the name of each, and what it is, for people.
    #[doc(hidden)]
    pub fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        KINDS.into_iter()
    }

    /// Its name, as it is written.
    pub(crate) fn name(self) -> &'static str {
        KINDS[self as usize].1
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no kind with this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of event {name:?}: the kinds are {}", names())]
pub struct NoSuchKind {
    /// What was asked for.
    pub name: String,
}

fn names() -> String {
    KINDS.map(|(_, name, _)| name).join(", ")
}

impl FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(name: &str) -> Result<Self, NoSuchKind> {
        let found = KINDS.iter().find(|(_, known, _)| *known == name);
        found.map(|(kind, ..)| *kind).ok_or_else(|| NoSuchKind { name: name.to_owned() })
    }
}

impl Happening {
    /// The word for what came of it, where its kind has such words.
    pub(super) fn state(&self) -> Option<&str> {
        match self {
            Self::Ended { reason, .. } | Self::DeadLetter { reason, .. } => Some(reason),
            Self::Deployment { state, .. }
            | Self::Apply { state, .. }
            | Self::Operator { state, .. }
            | Self::Grant { state, .. } => Some(state),
            _ => None,
        }
    }

    /// What kind of event it is.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::events::{Happening, Kind};
    ///
    /// let stopped = Happening::Operator { state: "stopped".to_owned(), kept: true };
    /// assert_eq!(stopped.kind(), Kind::Operator);
    /// ```
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Started { .. } => Kind::Started,
            Self::Ended { .. } => Kind::Ended,
            Self::Restarted { .. } => Kind::Restarted,
            Self::SetAside { .. } => Kind::SetAside,
            Self::Suspended { .. } => Kind::Suspended,
            Self::GaveUp { .. } => Kind::GaveUp,
            Self::Swapped { .. } => Kind::Swapped,
            Self::Deployment { .. } => Kind::Deployment,
            Self::Apply { .. } => Kind::Apply,
            Self::Operator { .. } => Kind::Operator,
            Self::Grant { .. } => Kind::Grant,
            Self::Listener { .. } => Kind::Listener,
            Self::DeadLetter { .. } => Kind::DeadLetter,
            Self::Denied { .. } => Kind::Denied,
            Self::LimitReached { .. } => Kind::LimitReached,
            Self::PassedBy { .. } => Kind::PassedBy,
            Self::Audit { .. } => Kind::Audit,
            Self::Log { .. } => Kind::Log,
        }
    }

    /// How long its texts are together.
    fn text_bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Started { actor, .. } | Self::Restarted { actor, .. } => actor.len(),
            Self::Ended { actor, reason, detail, .. } => actor.len() + reason.len() + optional(detail),
            Self::SetAside { actor, .. } => actor.len(),
            Self::Suspended { actor, reason, detail } => actor.len() + reason.len() + detail.len(),
            Self::GaveUp { supervisor, child } => supervisor.len() + child.len(),
            Self::Swapped { actor, sha256 } => actor.len() + sha256.len(),
            Self::Deployment { state, release, reason, .. } => state.len() + release.len() + optional(reason),
            Self::Apply { state, reason, .. } => state.len() + optional(reason),
            Self::Operator { state, .. } => state.len(),
            Self::Grant { state, grant, target, .. } => state.len() + grant.len() + target.len(),
            Self::Listener { listener, address, state } => listener.len() + address.len() + state.len(),
            Self::DeadLetter { to, sender, delivery, reason, detail, .. } => {
                to.len() + optional(sender) + delivery.len() + reason.len() + optional(detail)
            }
            Self::Denied { actor, operation, target, missing } => {
                actor.len() + operation.len() + target.len() + missing.len()
            }
            Self::LimitReached { limit, detail, .. } => limit.len() + detail.len(),
            Self::PassedBy { state, reason, .. } => state.len() + reason.len(),
            Self::Audit { state, detail } => state.len() + detail.len(),
            Self::Log { log, state, detail } => log.len() + state.len() + detail.len(),
        }
    }
}

impl Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { actor, incarnation } => write!(f, "{actor} is up, incarnation {incarnation}"),
            Self::Ended { actor, incarnation, reason, detail } => {
                write!(f, "{actor} has ended, incarnation {incarnation}: {}", detail.as_ref().unwrap_or(reason))
            }
            Self::Restarted { actor, incarnation } => write!(f, "{actor} is up again, incarnation {incarnation}"),
            Self::SetAside { actor, for_ms } => {
                let again = humantime::format_duration(Duration::from_millis(*for_ms));
                write!(f, "{actor} has ended too often, and is started again in {again}")
            }
            Self::Suspended { actor, detail, .. } => {
                write!(f, "{actor} is suspended, and what is sent to it waits: {detail}")
            }
            Self::GaveUp { supervisor, child } => {
                write!(f, "{supervisor} gives up: {child} was to be started again once too often")
            }
            Self::Swapped { actor, sha256 } => {
                write!(f, "{actor} is served by {} now", sha256.get(..12).unwrap_or(sha256))
            }
            Self::Deployment { state, release, step, steps, reason } => {
                write!(f, "{release}: {state}")?;
                if let (Some(step), Some(steps)) = (step, steps) {
                    write!(f, ", step {step} of {steps}")?;
                }
                reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
            }
            Self::Apply { state, changes, reason } => {
                let them = if *changes == 1 { "change" } else { "changes" };
                write!(f, "{state}, {changes} {them}")?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
            }
            Self::Operator { state, kept } => {
                let until = if *kept { "" } else { ", until the host ends" };
                write!(f, "{state} by an operator{until}")
            }
            Self::Grant { state, grant, target, kept } => {
                let until = if *kept { "" } else { ", until the host ends" };
                write!(f, "{state}: {grant} {target}{until}")
            }
            Self::Listener { address, state, .. } => write!(f, "{address}: {state}"),
            Self::DeadLetter { id, to, sender, delivery, reason, detail } => {
                let (sender, why) = (sender.as_deref().unwrap_or("(host)"), detail.as_ref().unwrap_or(reason));
                write!(f, "message {id}, a {delivery} of {sender} to {to}: {why}")
            }
            Self::Denied { actor, operation, target, missing } => {
                write!(f, "{actor} may not {operation} {target}: {missing}")
            }
            Self::LimitReached { limit, detail, times: 1 } => write!(f, "`{limit}`: {detail}"),
            Self::LimitReached { limit, detail, times } => write!(f, "`{limit}`, {times} times: {detail}"),
            Self::PassedBy { state, passed, .. } if state == "back" => {
                write!(f, "it is asked again; {passed} went on without it")
            }
            Self::PassedBy { reason, .. } => write!(f, "it is down, and what it guards goes on: {reason}"),
            Self::Audit { detail, .. } => f.write_str(detail),
            Self::Log { log, detail, .. } => write!(f, "`{log}`: {detail}"),
        }
    }
}

/// A text of an event, of which a part may be a guest's own.
pub(crate) fn text(what: impl Display) -> String {
    let mut text = Showing(Bounded(String::new()));
    // Before it is cut: no half of a secret is known as one.
    if text.write_str(&hidden(&what.to_string())).is_err() {
        text.0.0.push_str("...");
    }
    text.0.0
}

/// A text that takes no more than [`MOST_TEXT`].
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = MOST_TEXT.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(left)]);
        if text.len() <= left { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Times as people write them.
mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Event, Happening, KINDS, Kind, MOST_TEXT, text};

    #[test]
    fn an_event_is_one_object_and_is_read_back() {
        let (actor, reason) = ("shop#1".to_owned(), "trap".to_owned());
        let what = Happening::Ended { actor, incarnation: 2, reason, detail: Some("trap: unreachable".to_owned()) };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let event = Event { number: 7, at, service: Some("shop".to_owned()), what };
        let line = r#"{"number":7,"at":"1970-01-01T00:00:01.500Z","service":"shop","kind":"ended","actor":"shop#1","incarnation":2,"reason":"trap","detail":"trap: unreachable"}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
        assert_eq!(serde_json::from_str::<Event>(line).unwrap(), event);
    }

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for (at, (kind, name, about)) in KINDS.into_iter().enumerate() {
            assert_eq!((kind as usize, name.parse()), (at, Ok(kind)));
            assert!(!about.is_empty());
        }
        let error = "Ended".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("\"Ended\"") && error.contains("started, ended, restarted, set-aside"), "{error}");
    }

    #[test]
    fn a_text_is_one_line_that_nothing_obeys_and_is_no_longer_than_it_may_be() {
        assert_eq!(text("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        let long = text("\u{e9}".repeat(MOST_TEXT));
        assert!(long.len() <= MOST_TEXT + 3 && long.ends_with("\u{e9}..."), "{long}");
        assert_eq!(text("x".repeat(MOST_TEXT)).len(), MOST_TEXT);
    }
}
