//! A program that runs, as those see it who have to do with it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitIdStatus, kill_process, kill_process_group};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::watch;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// The host killed it over this limit.
    Limit(&'static str),
    /// The host killed it, since its grant is gone.
    Revoked,
}

/// A program that was started, whoever waits for it.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number, and that of its group: its own until it is reaped.
    pub(super) pid: Pid,
    /// Whether it is not reaped yet.
    is_there: Mutex<bool>,
    /// Why the host ended it.
    why: OnceLock<Exit>,
    exit: watch::Sender<Option<Exit>>,
    /// Until when it may run.
    pub(super) until: Option<Instant>,
    /// What may be read of it yet, in bytes.
    output: AtomicU64,
}

impl Child {
    pub(super) fn new(pid: Pid, until: Option<Instant>, output_bytes: u64) -> Self {
        let is_there = Mutex::new(true);
        Self { pid, is_there, why: OnceLock::new(), exit: watch::Sender::new(None), until, output: output_bytes.into() }
    }

    /// Kills it and what it has started, where it is there.
    pub(crate) fn kill(&self) {
        self.if_there(|| kill_process_group(self.pid, Signal::KILL));
    }

    /// The same, and says why.
    pub(crate) fn kill_over(&self, why: Exit) {
        self.if_there(|| {
            let _first = self.why.set(why);
            kill_process_group(self.pid, Signal::KILL)
        });
    }

    /// Sends a signal, `KILL` to all of its group, and any other one to the program alone; whether it was there.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let send = if signal == Signal::KILL { kill_process_group } else { kill_process };
        self.if_there(|| send(self.pid, signal)) && self.exited().is_none()
    }

    /// Until it is reaped its number is its own, also where it has ended.
    fn if_there(&self, send: impl FnOnce() -> rustix::io::Result<()>) -> bool {
        let is_there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        *is_there && send().is_ok()
    }

    /// How it ended; none while it runs.
    pub(crate) fn exited(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// How it ended, when it has.
    pub(crate) async fn exit(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        // It is there for as long as this is.
        ended.unwrap_or(Exit::Signal(Signal::KILL.as_raw()))
    }

    /// So much was read of it; whether that was still within its bound.
    pub(crate) fn wrote(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let left = self.output.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if left.is_err() {
            self.kill_over(Exit::Limit("output"));
        }
        left.is_ok()
    }

    /// It has ended, and nothing of its group is left. `reap` frees its number.
    pub(super) fn end(&self, status: Option<WaitIdStatus>, reap: impl FnOnce()) {
        let mut is_there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        reap();
        *is_there = false;
        drop(is_there);
        let by_itself = || match status {
            Some(status) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Status(code),
                (None, Some(signal)) if signal == Signal::XCPU.as_raw() => Exit::Limit("cpu"),
                (None, signal) => Exit::Signal(signal.unwrap_or(Signal::KILL.as_raw())),
            },
            None => Exit::Signal(Signal::KILL.as_raw()),
        };
        self.exit.send_replace(Some(self.why.get().copied().unwrap_or_else(by_itself)));
    }
}

/// A program that was started. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Arc<Child>,
    /// The ends of its streams that are the host's, until somebody takes them.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

impl Process {
    /// What writes to its standard input. To be called on a runtime.
    pub(crate) fn take_stdin(&mut self) -> Option<io::Result<Sender>> {
        self.stdin.take().map(Sender::from_owned_fd)
    }

    /// What reads of one of its outputs. To be called on a runtime.
    pub(crate) fn reader(output: OwnedFd) -> io::Result<Receiver> {
        Receiver::from_owned_fd(output)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill();
    }
}
