//! What serves one place of a service now, and how another release takes its place.
//!
//! The place outlives its incarnations: whichever of them starts, starts with what is live here. Code, grants, limits and configuration are one value, so
//! that they switch together.
//!
//! Invariant: an incarnation's instance is of the release that was live here when the instance began to serve.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::engine::guest::Identity;
use crate::engine::{Instance, Template};
use crate::error::Crash;

/// A release at work: its code, and who it is with the rules it runs under.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) template: Arc<Template>,
    pub(crate) identity: Arc<Identity>,
}

/// What serves one place.
#[derive(Debug)]
pub(crate) struct Live {
    serving: ArcSwap<Serving>,
    /// Whether the message in hand was in the hand of a release that was rolled back over it: that try does not count.
    forgiven: AtomicBool,
    /// Cold: looked at after a crash, and by deployments.
    probation: Mutex<Option<Probation>>,
}

/// A release that has yet to show that it is sound, and the one that comes back where it is not.
#[derive(Debug)]
pub(crate) struct Probation {
    pub(crate) before: Arc<Serving>,
    pub(crate) failed: mpsc::UnboundedSender<Crash>,
}

impl Live {
    pub(crate) fn new(serving: Serving) -> Arc<Self> {
        Arc::new(Self {
            serving: ArcSwap::from_pointee(serving),
            forgiven: AtomicBool::new(false),
            probation: Mutex::default(),
        })
    }

    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Puts a release into the place.
    pub(super) fn switch(&self, next: Arc<Serving>, probation: Option<Probation>) {
        *self.probation.lock().unwrap_or_else(PoisonError::into_inner) = probation;
        self.serving.store(next);
    }

    /// Says what the next incarnation starts with. What runs now goes on as it is.
    pub(crate) fn put_back(&self, before: &Arc<Serving>) {
        self.switch(Arc::clone(before), None);
    }

    /// Ends the probation: the release stays. Whether it was on probation still.
    pub(crate) fn settle(&self) -> bool {
        self.probation.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// Puts the release before back over a crash, where there is one on probation; whether there was.
    pub(super) fn roll_back(&self, crash: &Crash) -> bool {
        let Some(probation) = self.probation.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return false;
        };
        self.serving.store(probation.before);
        let _nobody_listens = probation.failed.send(crash.clone());
        true
    }

    /// The next try of the message in hand does not count.
    pub(super) fn forgive(&self) {
        self.forgiven.store(true, Ordering::Release);
    }

    pub(super) fn was_forgiven(&self) -> bool {
        self.forgiven.swap(false, Ordering::AcqRel)
    }
}

/// A release that is to take an actor's place: made, initialised and checked, with its effects held back.
pub(crate) struct Swap {
    pub(crate) next: Arc<Serving>,
    /// None where the actor has to make it itself.
    pub(crate) prepared: Option<Prepared>,
    pub(crate) probation: Option<Probation>,
    pub(crate) claim: Arc<Claim>,
    pub(crate) answer: oneshot::Sender<Result<Swapped, Crash>>,
}

/// An instance that is ready to serve, and what its start has read.
pub(crate) struct Prepared {
    pub(crate) instance: Instance,
    /// The state's commits before its start looked at the state.
    pub(super) read_at: u64,
}

/// A switch that happened.
pub(crate) struct Swapped {
    /// The instance that served before. Dropped by who asked, not by the actor, which has messages waiting.
    pub(crate) old: Option<Instance>,
    /// For how long the actor took no message over it.
    pub(crate) pause: Duration,
}

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Decides between the actor that carries an order out and who loses patience with it, so that both know the same end.
#[derive(Debug, Default)]
pub(crate) struct Claim(AtomicU8);

impl Claim {
    /// The actor's side: whether it may go on. After that the order cannot be withdrawn.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The other side: whether the order is withdrawn. Where it is not, an answer comes.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.compare_exchange(OPEN, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
