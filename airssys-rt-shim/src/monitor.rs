//! Who wants to know when an incarnation has ended.
//!
//! A watch belongs to one incarnation, costs nothing while that runs, and says exactly one [`Down`] to each who asked,
//! also to those who ask too late. Whoever supervises the incarnation fires it, with the reason that it sees itself;
//! where the supervisor is killed before it can, the watch says killed, as its children are then.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::exit::ExitReason;

/// What a monitor is told, once.
#[derive(Debug, Clone)]
pub enum Down {
    /// It ended, for this reason.
    Ended(ExitReason),
    /// It had ended before it was asked about, or never was.
    NoProcess,
}

type Hook = Box<dyn FnOnce(Down) + Send>;

/// Names a hook, to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookId(u64);

enum Watched {
    Alive { hooks: Vec<(HookId, Hook)>, next: u64 },
    Ended,
}

/// What learns of the end of one incarnation. Cheap to clone.
#[derive(Clone)]
pub struct ExitWatch(Arc<Mutex<Watched>>);

impl Default for ExitWatch {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Watched::Alive { hooks: Vec::new(), next: 0 })))
    }
}

impl ExitWatch {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(*self.lock(), Watched::Ended)
    }

    /// Calls `hook` once: when it ends, or now where it has ended.
    ///
    /// It runs in the task of whoever noticed the end, so it must be quick: put something into a mailbox, send on a
    /// channel.
    pub fn on_exit(&self, hook: impl FnOnce(Down) + Send + 'static) -> Option<HookId> {
        if let Watched::Alive { hooks, next } = &mut *self.lock() {
            let id = HookId(*next);
            *next += 1;
            hooks.push((id, Box::new(hook)));
            return Some(id);
        }
        hook(Down::NoProcess);
        None
    }

    /// Takes a hook back; it is not called any more, unless it is being called.
    pub fn forget(&self, hook: HookId) {
        let mut dropped_unlocked = None;
        if let Watched::Alive { hooks, .. } = &mut *self.lock()
            && let Some(at) = hooks.iter().position(|(id, _)| *id == hook)
        {
            dropped_unlocked = Some(hooks.swap_remove(at));
        }
        drop(dropped_unlocked);
    }

    /// Waits for its end. Dropping the monitor takes it back.
    pub fn monitor(&self) -> Monitor {
        let (sender, down) = oneshot::channel();
        let hook = self.on_exit(move |down| {
            let _nobody_waits = sender.send(down);
        });
        Monitor { down, taken_back: hook.map(|hook| (self.clone(), hook)) }
    }
}

impl fmt::Debug for ExitWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitWatch").field("has_ended", &self.has_ended()).finish()
    }
}

/// A future that gives exactly one [`Down`].
#[derive(Debug)]
#[must_use = "a monitor that is dropped says nothing"]
pub struct Monitor {
    down: oneshot::Receiver<Down>,
    taken_back: Option<(ExitWatch, HookId)>,
}

impl Future for Monitor {
    type Output = Down;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Down> {
        let down = ready!(Pin::new(&mut self.down).poll(cx));
        self.taken_back = None;
        Poll::Ready(down.unwrap_or(Down::NoProcess))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some((watch, hook)) = self.taken_back.take() {
            watch.forget(hook);
        }
    }
}

/// Fires a watch: on purpose, or with "killed" when it is dropped.
#[derive(Debug)]
pub(crate) struct ExitNotice(ExitWatch);

impl ExitNotice {
    pub(crate) fn new(watch: ExitWatch) -> Self {
        Self(watch)
    }

    pub(crate) fn watch(&self) -> ExitWatch {
        self.0.clone()
    }

    pub(crate) fn fire(self, reason: &ExitReason) {
        self.fire_once(reason);
    }

    fn fire_once(&self, reason: &ExitReason) {
        let watched = std::mem::replace(&mut *self.0.lock(), Watched::Ended);
        if let Watched::Alive { hooks, .. } = watched {
            for (_, hook) in hooks {
                hook(Down::Ended(reason.clone()));
            }
        }
    }
}

impl Drop for ExitNotice {
    fn drop(&mut self) {
        self.fire_once(&ExitReason::Killed);
    }
}
