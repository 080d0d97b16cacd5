//! While two releases are compared, a crash of the new one is a failed turn and no verdict: the release before stands
//! in for it until it is tried again.

use std::sync::Arc;

use airssys_rt_shim::worker::Flow;
use tokio::time::Instant;

use super::start::start;
use super::watch::StandIn;
use super::{ComponentActor, exit_reason};
use crate::error::Crash;
use crate::middleware::Metrics;

impl ComponentActor {
    /// Whether a release is on probation here whose crashes are counted and compared, and decide nothing alone; the
    /// release before can stand in for it.
    pub(super) fn tolerates(&self) -> bool {
        let watch = self.live.watched();
        watch.is_some_and(|watch| watch.tolerates(&self.live.serving())) && self.live.stand_in().is_some()
    }

    /// Lets the release before serve here for a while. Whether it starts.
    pub(super) async fn begin_stand_in(&mut self, stand_in: StandIn) -> bool {
        let Some(before) = self.live.stand_in() else { return false };
        Metrics::count(&self.identity.service.metrics.started);
        let started = match start(&self.engines, &before).await {
            Ok(prepared) => prepared.commit().await,
            Err(crash) => Err(crash),
        };
        match started {
            Ok(instance) => {
                drop(self.serve(&before, instance));
                self.watching = self.live.watched().map(|watch| watch.begin_stand_in(stand_in));
                true
            }
            Err(crash) => {
                let service = self.identity.address();
                tracing::warn!(target: "airssys::deploy", %service, %crash, "the release before does not start either");
                false
            }
        }
    }

    /// Lets the new release serve again, where the one before stands in for it and has done what it was to do. Where
    /// that does not start, the one before goes on while the new one is on probation.
    #[cold]
    pub(super) async fn relieve(&mut self) -> Result<(), Crash> {
        let serving = self.live.serving();
        let started = match start(&self.engines, &serving).await {
            Ok(prepared) => prepared.commit().await,
            Err(crash) => Err(crash),
        };
        Metrics::count(&self.identity.service.metrics.started);
        match started {
            Ok(instance) => drop(self.serve(&serving, instance)),
            Err(_) if self.tolerates() => self.count_failure(),
            Err(crash) => return Err(crash),
        }
        Ok(())
    }

    /// Begins again what waits for the next message: the new release that the one before stands in for, or a shadow.
    pub(super) async fn begin_again(&mut self) -> Flow {
        if self.is_to_relieve()
            && let Err(crash) = self.relieve().await
        {
            return Flow::Exit(exit_reason(crash));
        }
        match self.watching.as_ref().is_some_and(|watching| watching.begins_again()) {
            true => self.watch().await,
            false => Flow::Continue,
        }
    }

    /// Whether the release before stands in here and the new one is to be tried again.
    pub(super) fn is_to_relieve(&self) -> bool {
        self.watching.as_ref().is_some_and(|watching| watching.tries_again())
    }

    /// Whether what serves is what is live here; where it did not start when it was to take over, the one before serves
    /// on.
    pub(super) fn serves_the_live_one(&self) -> bool {
        Arc::ptr_eq(&self.identity, &self.live.serving().identity)
    }

    /// The new release did not start, or is not well.
    pub(super) fn count_failure(&self) {
        if let Some(watch) = self.live.watched() {
            watch.new.fail();
        }
    }

    /// Whether this is one of many, and the release before, where it can be told, does not start here either: that says
    /// nothing about the one on probation.
    pub(super) async fn is_sick(&mut self) -> bool {
        match self.live.stand_in().filter(|_| self.roams()) {
            Some(before) => start(&self.engines, &before).await.is_err(),
            None => false,
        }
    }

    /// Whether it comes and goes, as a key or a child.
    fn roams(&self) -> bool {
        self.identity.own.comes_and_goes()
    }

    /// Lets its turns be counted, or shown, where the place says so, or not any more.
    pub(super) async fn watch(&mut self) -> Flow {
        if self.watching.as_ref().is_some_and(|watching| watching.is_over())
            && let Err(crash) = self.relieve().await
        {
            return Flow::Exit(exit_reason(crash));
        }
        let (watch, serving) = (self.live.watched(), self.live.serving());
        let mut memory = None;
        if let Some(next) = watch.as_ref().and_then(|watch| watch.shadow_of(&serving)) {
            let until = Instant::now() + self.identity.terms.limits.turn_deadline;
            memory = self.snapshot(&next, until).await.unwrap_or_default();
        }
        if self.instance.is_none() && !self.suspended {
            // It ended over what it was to hand over.
            return self.go_on().await;
        }
        self.watching = watch.map(|watch| watch.begin(&serving, memory));
        Flow::Continue
    }
}
