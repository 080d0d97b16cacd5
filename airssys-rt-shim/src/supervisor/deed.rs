//! What a supervisor heard and did, as it is written down for the judge.

use std::time::Duration;

use crate::child::StopReason;
use crate::supervisor::decide::KillReason;
use crate::supervisor::model;

/// Something that was heard or done, when, and in which decision.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) step: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Heard(Hearing),
    Did(Deed),
    /// So it stands, and nothing is under way: a judge who could not follow goes on from here.
    Stands(Box<model::Snapshot>),
}

#[derive(Debug, Clone)]
pub(crate) enum Hearing {
    Started(String),
    /// A child has ended: whether that was a normal end, and whether it was still to start.
    Ended {
        child: String,
        normal: bool,
        why: String,
        was_starting: bool,
    },
    Command(model::Command),
    Hurry(String),
    Shutdown(StopReason),
    /// From here on nobody judges until it stands.
    Beyond,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Start(String),
    /// With the model's word for it.
    Stop(&'static str, String),
    Kill(String, KillReason),
    Abandon(String),
    /// Somebody stopped it until further notice, and so it is not started.
    Leave(String),
    SetAside(String),
    /// It is ready, or has ended, in the model's word.
    Say(&'static str),
}

impl Hearing {
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Started(child) => format!("{child} came up"),
            Self::Ended { child, why, was_starting: true, .. } => format!("{child} did not start: {why}"),
            Self::Ended { child, why, .. } => format!("{child} ended: {why}"),
            Self::Command(command) => format!("a command about {}", command.child()),
            Self::Hurry(child) => format!("somebody waited for {child}"),
            Self::Shutdown(_) => "it was told to stop".to_owned(),
            Self::Beyond => "it was made another one".to_owned(),
        }
    }
}

impl Deed {
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Start(child) => format!("start {child}"),
            Self::Stop(word, child) => format!("{word} {child}"),
            Self::Kill(child, why) => format!("kill {child} ({why:?})"),
            Self::Abandon(child) => format!("abandon {child}"),
            Self::Leave(child) => format!("leave {child} alone"),
            Self::SetAside(child) => format!("set {child} aside"),
            Self::Say("ready") => "say that it is ready".to_owned(),
            Self::Say(word) => format!("end: {word}"),
        }
    }
}
