//! Another release takes a place over from the one that serves there, between two turns.
//!
//! All of it is done by the actor itself, so that no message is lost or handled twice: its mailbox never notices.
//! Whatever fails, the actor goes on with the release that the place says.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::worker::Flow;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::ComponentActor;
use super::before::Before;
use super::decide::Event;
use super::serving::{Probation, Serving};
use super::start::{Prepared, commit, start};
use super::swap::{HeldInstance, MemoryHandover, NotSwapped, Swap, SwapKind, Swapped};
use crate::engine::{Engines, Ran};
use crate::error::{Crash, Fault, Stage};
use crate::middleware::Metrics;
use crate::state::{NO_MESSAGE, State};

/// What served before, and why nothing of its memory was handed over where it was to.
type Left = (Option<Box<HeldInstance>>, Option<Crash>);

impl ComponentActor {
    /// Lets what is offered to the place take over, where it still is.
    pub(super) async fn take_offer(&mut self) -> Flow {
        match self.live.take_offer() {
            Some(swap) => self.swap(*swap, None).await,
            // Whoever ordered the way back waits for it no more.
            None if self.live.comes_back() => {
                self.instance = None;
                self.suspend(false);
                self.go_on().await
            }
            None => Flow::Continue,
        }
    }

    /// Lets another release take over, where it is not withdrawn.
    pub(super) async fn swap(&mut self, swap: Swap, cut_off: Option<Crash>) -> Flow {
        self.take_over(swap, cut_off).await;
        if self.instance.is_some() || self.suspended {
            return Flow::Continue;
        }
        // The one that was to hand over ended over it.
        self.go_on().await
    }

    /// Lets another release take over, where it is not withdrawn and does not fail. There may be no instance before it,
    /// and none after it. What was cut off for it hands nothing over.
    pub(super) async fn take_over(&mut self, swap: Swap, cut_off: Option<Crash>) {
        let Swap { next, prepared, kind, memory, until, claim, answer } = swap;
        if !claim.take() {
            return;
        }
        let begun = Instant::now();
        let waiting = self.identity.mailbox.len();
        let was_cut_off = cut_off.is_some();
        let lost = cut_off.filter(|_| {
            let hands_over = self.live.serving().template.hands_over() && next.template.hands_over();
            hands_over && memory != MemoryHandover::Never
        });
        let swapped = match kind {
            SwapKind::Forward(probation) => self.forth(&next, prepared, Some(probation), memory, until).await,
            SwapKind::Same { before } if self.suspended || !self.live.is_settled_on(&before) => {
                Err(Crash::Host { detail: "another release serves here".to_owned() }.into())
            }
            SwapKind::Same { .. } => self.forth(&next, prepared, None, memory, until).await,
            SwapKind::Back { saved, instead, held } => self.back(next, saved, instead, held, until).await,
            SwapKind::Afresh { state, known } => self.forget(&state, known).await,
        };
        let swapped = swapped.map(|(old, without_memory)| {
            let without_memory = without_memory.or(lost);
            Swapped { old, pause: begun.elapsed(), waiting, without_memory, cut_off: was_cut_off }
        });
        let _nobody_waits_any_more = answer.send(swapped);
    }

    /// To a release that is on probation then, or to the same one again.
    async fn forth(
        &mut self,
        next: &Arc<Serving>,
        mut prepared: Option<Prepared>,
        probation: Option<Probation>,
        memory: MemoryHandover,
        until: Instant,
    ) -> Result<Left, NotSwapped> {
        if self.live.owed().is_some() {
            // It was to give way to what was there before, and to its states.
            self.instance = None;
        }
        if self.instance.is_none() {
            // A start that was cut off may have left something on its way to the disk, or not have come to something.
            if let Some(durable) = &self.identity.service.durable {
                durable.settle().await;
            }
            self.put_back_owed().await?;
        }
        let (snapshot, without_memory) = self.memory(next, memory, until).await?;
        let commits = self.identity.own.states.commits();
        // What its start wrote stands only where nobody has written since it read.
        if prepared.as_mut().is_some_and(Prepared::is_stale) {
            prepared = None;
        }
        let mut prepared = match (prepared, snapshot) {
            (Some(prepared), None) => prepared,
            (prepared, snapshot) => take_over(&self.engines, next, prepared, snapshot, until).await?,
        };
        let saved = prepared.saves(probation.as_ref().map(|probation| probation.before.identity.terms.schema));
        let instance = if saved.is_empty() {
            prepared.commit().await?
        } else {
            // Where this incarnation is killed while it waits for the disk, the next one is of the release before.
            self.live.happens(Event::TakesOver(saved.clone()));
            let committed = prepared.commit().await;
            if committed.is_err() {
                self.live.happens(Event::DidNotTakeOver);
            }
            committed?
        };
        let watch = self.live.took_over(Arc::clone(next), probation, saved);
        let old = self.serve_watched(next, instance, watch);
        let old = old.map(|instance| Box::new(HeldInstance { instance, commits }));
        Metrics::count(&self.identity.service.metrics.started);
        Ok((old, without_memory))
    }

    /// Forgets the state, and the instance with all that it knows of it. Whoever asked for this starts what is live
    /// here; that comes after it on its way to the disk.
    async fn forget(&mut self, state: &Arc<State>, known: u64) -> Result<Left, NotSwapped> {
        (self.instance, self.watching) = (None, None);
        if let Some(saving) = state.forget(known) {
            saving.done().await?;
        }
        self.live.forget_past();
        self.suspend(false);
        Ok((None, None))
    }

    /// What the instance hands over, or why it hands nothing over where it was to and need not.
    async fn memory(
        &mut self,
        next: &Serving,
        memory: MemoryHandover,
        until: Instant,
    ) -> Result<(Option<Bytes>, Option<Crash>), NotSwapped> {
        // What hands nothing over looks at no clock for that.
        if memory == MemoryHandover::Never || self.instance.is_none() || !next.template.hands_over() {
            return Ok((None, None));
        }
        let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        let taken = match memory {
            MemoryHandover::Required => self.snapshot(next, until).await,
            // Where it does not come to an end, there is time left to do without it.
            _ => self.snapshot(next, half).await,
        };
        match taken {
            Ok(snapshot) => Ok((snapshot, None)),
            Err(crash) if memory == MemoryHandover::Required => Err(NotSwapped::NoMemory(crash)),
            Err(crash) => {
                let service = self.identity.address();
                tracing::warn!(target: "airssys::deploy", %service, %crash, "hands nothing over: the next one begins without its memory");
                Ok((None, Some(crash)))
            }
        }
    }

    async fn back(
        &mut self,
        next: Arc<Serving>,
        saved: Before,
        instead: Option<Arc<Serving>>,
        held: Option<Box<HeldInstance>>,
        until: Instant,
    ) -> Result<Left, NotSwapped> {
        // It goes back also where nothing can be handed over.
        let (snapshot, mut without_memory) = self.memory(&next, MemoryHandover::WherePossible, until).await?;
        let commits = self.identity.own.states.commits();
        let old = self.instance.take().map(|instance| Box::new(HeldInstance { instance, commits }));
        let discard = instead.is_some();
        // Where it does not come to serve either, what is there is asked anew whether it can.
        self.suspend(false);
        self.live.happens(Event::GoesBack { next: Arc::clone(&next), saved, discard });
        match held.filter(|held| held.commits == commits && !discard) {
            Some(held) => {
                self.live.happens(Event::IsBack(Arc::clone(&next)));
                drop(self.serve(&next, held.instance));
            }
            None => {
                let came = self.go_back().await;
                if let (Err(_), Some(instead)) = (&came, instead) {
                    // What is told as failed has discarded nothing.
                    self.live.happens(Event::NotDiscarded(instead));
                }
                came?;
            }
        }
        if let (Some(snapshot), Some(instance)) = (snapshot, self.instance.as_mut()) {
            match instance.restore(&snapshot, left(until, next.identity.terms.limits.turn_deadline)).await {
                Ran::Done(()) => {
                    if let Err(crash) = commit(instance, NO_MESSAGE).await {
                        (without_memory, self.instance) = (Some(crash), None);
                    }
                }
                Ran::Fault(fault) => {
                    instance.turn().discard();
                    tracing::warn!(target: "airssys::deploy", service = %self.identity.address(), %fault, "went back without its memory");
                    without_memory = Some(Crash::Start { during: Stage::Restore, fault });
                }
                Ran::Crashed(crash) => {
                    tracing::warn!(target: "airssys::deploy", service = %self.identity.address(), %crash, "went back without its memory");
                    without_memory = Some(crash);
                    self.instance = None;
                }
            }
        }
        Ok((old, without_memory))
    }

    /// What this instance hands over to the next one, where both do that.
    pub(super) async fn snapshot(&mut self, next: &Serving, until: Instant) -> Result<Option<Bytes>, Crash> {
        let Some(instance) = self.instance.as_mut().filter(|_| next.template.hands_over()) else { return Ok(None) };
        instance.turn().deadline = None;
        let taken = instance.snapshot(left(until, self.identity.terms.limits.turn_deadline)).await;
        if let Ran::Crashed(crash) = taken {
            self.instance = None;
            return Err(crash);
        }
        instance.turn().discard();
        match taken {
            Ran::Done(taken) => Ok(taken),
            Ran::Fault(fault) => Err(Crash::Start { during: Stage::Snapshot, fault }),
            Ran::Crashed(crash) => Err(crash),
        }
    }

    /// Lets what waits for this place have it, after the guest was cut off for that: another release, or the same one
    /// under other rules.
    #[cold]
    pub(super) async fn give_way(&mut self, crash: Crash) -> Flow {
        self.instance = None;
        self.live.cut().forget();
        match self.live.take_offer() {
            Some(swap) => self.swap(*swap, Some(crash)).await,
            None => self.go_on().await,
        }
    }
}

/// How long something may take that is to be over at an instant.
fn left(until: Instant, most: Duration) -> Duration {
    until.saturating_duration_since(Instant::now()).min(most)
}

/// Makes the instance where it is not made, and gives it what the one before hands over.
pub(super) async fn take_over(
    engines: &Engines,
    next: &Serving,
    prepared: Option<Prepared>,
    snapshot: Option<Bytes>,
    until: Instant,
) -> Result<Prepared, Crash> {
    let mut prepared = match prepared {
        Some(prepared) => prepared,
        None => match timeout_at(until, start(engines, next)).await {
            Ok(prepared) => prepared?,
            Err(_elapsed) => {
                return Err(Crash::Start {
                    during: Stage::Handover,
                    fault: Fault::Unavailable("its start was not over at the handover deadline".to_owned()),
                });
            }
        },
    };
    let Some(snapshot) = snapshot else { return Ok(prepared) };
    match prepared.instance.restore(&snapshot, left(until, next.identity.terms.limits.turn_deadline)).await {
        Ran::Done(()) => Ok(prepared),
        Ran::Fault(fault) => Err(Crash::Start { during: Stage::Restore, fault }),
        Ran::Crashed(crash) => Err(crash),
    }
}
