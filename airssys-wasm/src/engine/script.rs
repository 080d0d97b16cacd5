//! What a turn asked of the mesh and what it was told: written down while a release serves, and read back to another one that is shown the same message.
//! Nothing that is asked while a script is read gets out.

use std::time::Duration;

use bytes::Bytes;

use super::bindings::supervision::airssys::actor::supervision;
use super::bindings::waiting::airssys::actor::types as wit;
use crate::limits::{OVERHEAD_BYTES, REASON_BYTES, SCRIPT_BYTES, cut};
use crate::shown::beginning;

/// How many differences of one turn are told; that there are more is.
const MOST_DIFFERENCES: usize = 16;

/// Something that a turn asks of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Send { to: Box<str>, key: Option<Box<str>>, body: Bytes },
    Call { to: Box<str>, key: Option<Box<str>>, body: Bytes },
    Publish { topic: Box<str>, body: Bytes },
    Subscribe { pattern: Box<str> },
    Unsubscribe { pattern: Box<str> },
    Timer { delay: Duration, body: Bytes },
    Cancel { timer: u64 },
    Supervise { what: &'static str, child: Box<str> },
}

impl Asked {
    fn bytes(&self) -> usize {
        match self {
            Self::Send { to, key, body } | Self::Call { to, key, body } => {
                to.len() + key.as_ref().map_or(0, |key| key.len()) + body.len()
            }
            Self::Publish { topic, body } => topic.len() + body.len(),
            Self::Subscribe { pattern } | Self::Unsubscribe { pattern } => pattern.len(),
            Self::Timer { body, .. } => body.len(),
            Self::Cancel { .. } => 0,
            Self::Supervise { child, .. } => child.len(),
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let to = |to: &str, key: &Option<Box<str>>| match key {
            Some(key) => format!("{to} with the key {key}"),
            None => to.to_owned(),
        };
        match self {
            Self::Send { to: address, key, body } => write!(f, "send {} to {}", beginning(body), to(address, key)),
            Self::Call { to: address, key, body } => write!(f, "call {} with {}", to(address, key), beginning(body)),
            Self::Publish { topic, body } => write!(f, "publish {} on {topic}", beginning(body)),
            Self::Subscribe { pattern } => write!(f, "subscribe to {pattern}"),
            Self::Unsubscribe { pattern } => write!(f, "unsubscribe from {pattern}"),
            Self::Timer { delay, body } => write!(f, "send itself {} after {delay:?}", beginning(body)),
            Self::Cancel { timer } => write!(f, "cancel the timer {timer}"),
            Self::Supervise { what, child } => write!(f, "{what} {child}"),
        }
    }
}

/// What the turn was told.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Done(Result<(), wit::SendError>),
    Answer(Result<Option<Vec<u8>>, wit::CallError>),
    Timer(Result<u64, wit::SendError>),
    Cancelled(bool),
    /// The address of a child that is spawned.
    Supervised(Result<String, supervision::SupervisionError>),
}

impl Told {
    /// Of what others say; what the host says itself is short.
    fn bytes(&self) -> usize {
        match self {
            Self::Answer(Ok(answer)) => answer.as_ref().map_or(0, Vec::len),
            Self::Answer(Err(_)) => REASON_BYTES,
            Self::Supervised(Ok(child)) => child.len(),
            _ => 0,
        }
    }
}

/// The script of one turn.
#[derive(Debug)]
pub(crate) enum Script {
    Written(Writing),
    Read(Reading),
}

/// A script that is written.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    lines: Vec<(Asked, Told)>,
    bytes: usize,
}

impl Writing {
    /// Adds a line. Beyond [`SCRIPT_BYTES`] there is no script of this turn: a guest may ask as often as it likes, also for what it is refused.
    pub(crate) fn push(&mut self, asked: Asked, told: Told) {
        self.bytes = self.bytes.saturating_add(asked.bytes() + told.bytes() + OVERHEAD_BYTES);
        if self.bytes > SCRIPT_BYTES {
            self.lines = Vec::new();
        } else {
            self.lines.push((asked, told));
        }
    }

    /// The lines, and their bytes; none where there are too many.
    pub(crate) fn finish(self) -> Option<(Vec<(Asked, Told)>, usize)> {
        (self.bytes <= SCRIPT_BYTES).then_some((self.lines, self.bytes))
    }
}

/// What a turn is told that nobody serves.
const DENIED: &str = "it is not both requested and granted";

/// A script that is read back.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    lines: Vec<(Asked, Told)>,
    used: Vec<usize>,
    differences: Vec<String>,
    /// Those that are not told.
    more: usize,
}

impl Reading {
    pub(crate) fn new(lines: Vec<(Asked, Told)>) -> Self {
        Self { lines, ..Self::default() }
    }

    fn differ(&mut self, what: String) {
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(cut(what, REASON_BYTES));
        } else {
            self.more += 1;
        }
    }

    /// What the live turn was told when it asked this; none where it did not ask it.
    fn find(&mut self, asked: &Asked) -> Option<Told> {
        let (at, told) = self.lines.iter().enumerate().find_map(|(at, (was_asked, told))| {
            (was_asked == asked && !self.used.contains(&at)).then(|| (at, told.clone()))
        })?;
        self.used.push(at);
        Some(told)
    }

    /// What it is told: what the live turn was, or what a turn is told that nobody answers.
    pub(super) fn ask(&mut self, asked: Asked, allowed: bool) -> Told {
        if !allowed {
            self.differ(format!("it may not {asked}"));
            let denied = || wit::SendError::Denied(DENIED.to_owned());
            return match asked {
                Asked::Call { .. } => Told::Answer(Err(wit::CallError::NotSent(denied()))),
                Asked::Supervise { .. } => {
                    Told::Supervised(Err(supervision::SupervisionError::Denied(DENIED.to_owned())))
                }
                _ => Told::Done(Err(denied())),
            };
        }
        if let Some(told) = self.find(&asked) {
            return told;
        }
        self.differ(format!("it alone would {asked}"));
        match asked {
            Asked::Call { .. } => Told::Answer(Err(wit::CallError::Dropped(
                "the live release did not make this call, and only what it was answered is known".to_owned(),
            ))),
            Asked::Timer { .. } => Told::Timer(Ok(0)),
            Asked::Cancel { .. } => Told::Cancelled(false),
            _ => Told::Done(Ok(())),
        }
    }

    /// In what it differs from the live turn.
    pub(crate) fn differences(mut self) -> Vec<String> {
        for (at, (asked, _)) in std::mem::take(&mut self.lines).into_iter().enumerate() {
            if !self.used.contains(&at) {
                self.differ(format!("it would not {asked}"));
            }
        }
        if self.differences.is_empty() && !self.used.is_sorted() {
            self.differences.push("it asks the same of the mesh in another order".to_owned());
        }
        if self.more > 0 {
            self.differences.push(format!("and {} more", self.more));
        }
        self.differences
    }
}
