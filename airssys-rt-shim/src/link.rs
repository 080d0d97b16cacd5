//! Links: two incarnations that end together, unless one ends normally.
//!
//! As in OTP a link takes every reason but [`ExitReason::Normal`] to the other side, also a shutdown, and that side
//! ends at once with the same reason, without being asked. It has no effect on those that are started afterwards.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::ActorCell;

use crate::exit::{ExitReason, ExitSlot};
use crate::monitor::{Down, ExitWatch, HookId, Monitor};

/// Names one incarnation of an actor: to link it, monitor it, or make it exit. Cheap to clone; it never names the next
/// one.
#[derive(Clone)]
pub struct Pid {
    cell: ActorCell,
    exit: ExitSlot,
    watch: ExitWatch,
}

impl Pid {
    /// Of a ractor actor that leaves its exit reason in `exit`, and whose end is told to `watch`.
    #[must_use]
    pub fn new(cell: ActorCell, exit: ExitSlot, watch: ExitWatch) -> Self {
        Self { cell, exit, watch }
    }

    /// Makes it end at once with this reason, without being asked. [`ExitReason::Normal`] does nothing.
    pub fn exit(&self, reason: ExitReason) {
        if !matches!(reason, ExitReason::Normal) {
            self.exit.set(reason);
            self.cell.kill();
        }
    }

    /// What learns of its end.
    #[must_use]
    pub fn watch(&self) -> &ExitWatch {
        &self.watch
    }

    /// Links it with another one, for as long as both run. Where one has ended already, the other one ends with a
    /// [`NoProcess`] failure.
    pub fn link(&self, other: &Self) {
        if self != other {
            let link = Link { ends: [self.clone(), other.clone()], hooks: Arc::default() };
            link.tie(0);
            link.tie(1);
        }
    }

    /// Waits for its end; says [`Down::NoProcess`] where it has ended.
    pub fn monitor(&self) -> Monitor {
        self.watch.monitor()
    }
}

impl PartialEq for Pid {
    fn eq(&self, other: &Self) -> bool {
        self.cell.get_id() == other.cell.get_id()
    }
}

impl Eq for Pid {}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pid").field(&self.cell.get_id()).finish()
    }
}

/// The one that was to be linked had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("linked to something that does not run")]
pub struct NoProcess;

/// A link between two incarnations.
struct Link {
    ends: [Pid; 2],
    hooks: Arc<Mutex<[Option<HookId>; 2]>>,
}

impl Link {
    fn tie(&self, end: usize) {
        let (ends, hooks) = (self.ends.clone(), Arc::clone(&self.hooks));
        let hook = self.ends[end].watch.on_exit(move |down| {
            // What ended needs no hook on the other one any more.
            untie(&ends, &hooks);
            ends[1 - end].exit(match down {
                Down::Ended(reason) => reason,
                Down::NoProcess => ExitReason::Failed(Arc::new(NoProcess)),
            });
        });
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)[end] = hook;
    }
}

fn untie(ends: &[Pid; 2], hooks: &Mutex<[Option<HookId>; 2]>) {
    let hooks = std::mem::take(&mut *hooks.lock().unwrap_or_else(PoisonError::into_inner));
    for (end, hook) in ends.iter().zip(hooks) {
        if let Some(hook) = hook {
            end.watch.forget(hook);
        }
    }
}
