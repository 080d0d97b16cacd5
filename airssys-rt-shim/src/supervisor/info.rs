//! What is shown of a supervisor's children.

use std::time::Duration;

use crate::child::{ChildId, ChildKind};
use crate::exit::ExitReason;
use crate::link::Pid;
use crate::supervisor::{ChildStatus, SupervisorHandle};

/// One child, as its supervisor sees it.
#[derive(Debug, Clone)]
pub struct ChildInfo {
    /// Its name among its siblings.
    pub id: ChildId,
    /// What it is.
    pub kind: ChildKind,
    /// What it is doing.
    pub status: ChildStatus,
    /// How many times this incarnation of the supervisor has started it again without somebody's wish.
    pub restarts: u64,
    /// Why it ended last.
    pub last_exit: Option<ExitReason>,
    /// For how long it has been up.
    pub uptime: Option<Duration>,
    /// The incarnation, where there is one.
    pub pid: Option<Pid>,
    /// For looking further down, where it is a supervisor.
    pub supervisor: Option<SupervisorHandle>,
}

/// How many children a supervisor has (OTP's `count_children`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All whose spec is known.
    pub specs: usize,
    /// Those with a live incarnation.
    pub active: usize,
    /// Those that are supervisors, live or not.
    pub supervisors: usize,
    /// Those that are workers, live or not.
    pub workers: usize,
}
