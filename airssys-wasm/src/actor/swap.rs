//! What is offered to a place that another release is to take over, and what becomes of the offer.
//!
//! Invariant: an offer has one end, which both sides know: it was carried out, or withdrawn before anybody began to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::before::Before;
use super::serving::{Probation, Serving};
use super::start::Prepared;
use crate::engine::Instance;
use crate::error::Crash;
use crate::state::State;

/// A release that is to take an actor's place: made, initialised and checked, with its effects held back.
pub(crate) struct Swap {
    pub(crate) next: Arc<Serving>,
    /// None where the actor has to make it itself.
    pub(crate) prepared: Option<Prepared>,
    pub(crate) kind: SwapKind,
    pub(crate) memory: MemoryHandover,
    /// When the actor is to go on, with whichever release.
    pub(crate) until: Instant,
    pub(super) claim: Arc<Claim>,
    pub(super) answer: oneshot::Sender<Result<Swapped, NotSwapped>>,
}

impl Swap {
    /// A swap to be ordered, and the side of whoever orders it.
    pub(crate) fn new(
        next: Arc<Serving>,
        prepared: Option<Prepared>,
        kind: SwapKind,
        memory: MemoryHandover,
        until: Instant,
    ) -> (Box<Self>, Ordered) {
        let (answer, answered) = oneshot::channel();
        let claim = Arc::<Claim>::default();
        let ordered = Ordered { claim: Arc::clone(&claim), answered };
        (Box::new(Self { next, prepared, kind, memory, until, claim, answer }), ordered)
    }
}

/// How a swap ended; none where nobody carried it out.
pub(crate) type End = Option<Result<Swapped, NotSwapped>>;

/// The side of whoever ordered a swap.
pub(crate) struct Ordered {
    pub(super) claim: Arc<Claim>,
    answered: oneshot::Receiver<Result<Swapped, NotSwapped>>,
}

impl Ordered {
    /// Its end, where that comes by then.
    pub(crate) async fn ends_by(&mut self, until: Instant) -> Option<End> {
        timeout_at(until, &mut self.answered).await.ok().map(Result::ok)
    }

    /// Withdraws it. Where somebody is carrying it out at this moment, its end.
    pub(crate) async fn withdraw(self) -> End {
        if self.claim.withdraw() {
            return None;
        }
        self.answered.await.ok()
    }
}

/// What a swap is for.
pub(crate) enum SwapKind {
    /// To a release that may go back by itself. Where it fails, the one before goes on.
    Forward(Probation),
    /// To the same release, better compiled, where it serves still and is not on probation. It never goes back.
    Same {
        /// What has to serve still.
        before: Arc<Serving>,
    },
    /// Back. What it cannot take over it does without, and where it cannot read the state, the place is suspended.
    Back {
        /// What the states were before; put back where no turn was committed since.
        saved: Before,
        /// Where they are put back in any case: what goes on where that is not to be.
        instead: Option<Arc<Serving>>,
        /// What served before, where it was kept.
        held: Option<Box<HeldInstance>>,
    },
    /// To the release that is there, which begins anew on a state that nobody has written to. The instance that serves
    /// is dropped without a good-bye.
    Afresh {
        /// What is forgotten.
        state: Arc<State>,
        /// What [`State::forgotten`] said when that was asked for.
        known: u64,
    },
}

/// An instance that served, with what its service had committed then: it knows of nothing that came after.
pub(crate) struct HeldInstance {
    pub(super) instance: Instance,
    pub(super) commits: u64,
}

/// Why the one before goes on.
#[derive(Debug)]
pub(crate) enum NotSwapped {
    /// The next one failed.
    Failed(Crash),
    /// The one before did not hand over the memory without which it is not to go.
    NoMemory(Crash),
}

impl From<Crash> for NotSwapped {
    fn from(crash: Crash) -> Self {
        Self::Failed(crash)
    }
}

/// A switch that happened.
pub(crate) struct Swapped {
    /// What served before. Dropped by who asked, not by the actor, which has messages waiting.
    pub(crate) old: Option<Box<HeldInstance>>,
    /// For how long the actor took no message over it.
    pub(crate) pause: Duration,
    /// How many messages were in its mailbox then.
    pub(crate) waiting: usize,
    /// Why it went without the memory of the one before, which was to hand it over.
    pub(crate) without_memory: Option<Crash>,
    /// Whether a turn of the one before was cut off for it.
    pub(crate) cut_off: bool,
}

impl Swapped {
    /// Nobody took messages there who could have paused.
    pub(crate) fn without_pause() -> Self {
        Self { old: None, pause: Duration::ZERO, waiting: 0, without_memory: None, cut_off: false }
    }
}

/// What becomes of the memory that the release before was to hand over to the next one.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{DeployOptions, MemoryHandover};
///
/// let mut options = DeployOptions::default();
/// assert_eq!(options.memory, MemoryHandover::WherePossible);
/// // Rather no new release than one that has forgotten what it was told.
/// options.memory = MemoryHandover::Required;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryHandover {
    /// Where its `snapshot` fails, the next one takes over without it. The default: one that is sick keeps nobody out.
    #[default]
    WherePossible,
    /// Where its `snapshot` fails, it stays.
    Required,
    /// It is not asked for.
    Never,
}

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Decides between the actor that carries an order out and who loses patience with it, so that both know the same end.
#[derive(Debug, Default)]
pub(super) struct Claim(AtomicU8);

impl Claim {
    /// The actor's side: whether it may go on. After that the order cannot be withdrawn.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The other side: whether the order is withdrawn. Where it is not, an answer comes.
    fn withdraw(&self) -> bool {
        self.0.compare_exchange(OPEN, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
