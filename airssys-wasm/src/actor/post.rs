//! One actor of a service, as those see it who look after the service.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use airssys_rt_shim::supervisor::ChildError;
use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::oneshot;

use super::asked::{Asked, Trial};
use super::decide::Event;
use super::{Before, ComponentActor, Control, Live, Serving, Swap};
use crate::error::Fault;
use crate::turn::{Identity, Recording};
use crate::typed::FunctionType;

/// One actor of a service, as those see it who look after the service.
pub(crate) struct Post {
    /// What serves it.
    pub(crate) live: Arc<Live>,
    /// Its name among the children of its supervisor.
    pub(crate) name: Box<str>,
    pub(super) start: Arc<WorkerStart<ComponentActor>>,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Post {
    /// Whether nobody will run here any more by himself: this one ended for good, or fell asleep, or the service takes
    /// no messages any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.live.is_gone() || self.live.serving().identity.mailbox.is_closed()
    }

    /// What serves here, where this function is a query of it that can be answered beside its turns.
    pub(super) fn asked(&self, function: &FunctionType) -> Option<Asked> {
        let serving = self.live.serving();
        let Identity { terms, me, own, .. } = &*serving.identity;
        let is_to_wait = || self.is_closed() || self.live.is_suspended();
        // Before the first one has started there is no state yet, but of a key, which may have slept.
        let has_begun = || own.inbox.sleeper().is_some() || me.load().is_some();
        let is_asked = terms.is_query(function) && !is_to_wait() && has_begun();
        is_asked.then(|| {
            let trial = Trial::At(Arc::clone(&self.live), Arc::clone(&self.start));
            Asked { serving, watch: self.live.watched(), trial }
        })
    }

    /// Gives the actor an order for between two turns.
    ///
    /// # Errors
    ///
    /// Hands it back where none runs. One that ends before it looks drops it.
    pub(crate) fn order(&self, control: Control) -> Result<(), Control> {
        self.start.control(control)
    }

    /// Offers a release to whoever runs here, or starts next.
    ///
    /// # Errors
    ///
    /// Hands it back where nobody will start here by himself.
    pub(crate) fn offer(&self, swap: Box<Swap>) -> Result<(), Box<Swap>> {
        self.live.offer(swap)?;
        // Who does not run looks when he starts.
        let _none_runs = self.start.control(Control::Offered);
        Ok(())
    }

    /// Says what the next incarnation starts with, and what the states were before the release that served. Whoever
    /// runs goes on with that after its turn.
    pub(crate) fn put_back(&self, before: &Arc<Serving>, saved: Before) {
        self.live.put_back(before, saved);
        let _none_runs = self.start.control(Control::Offered);
    }

    /// Says that turns are not discarded which were to be: what was there before goes on. Whoever runs gives way to
    /// that after its turn.
    pub(crate) fn keep_turns(&self, before: &Arc<Serving>) {
        self.live.happens(Event::NotDiscarded(Arc::clone(before)));
        let _none_runs = self.start.control(Control::Offered);
    }

    /// Whether it ended by itself and will not start again by itself. Where it did not, somebody stopped it.
    pub(crate) fn has_finished(&self) -> bool {
        self.live.is_gone() && self.start.has_finished()
    }

    /// Starts it again, where nobody runs.
    pub(crate) async fn restart(&self) -> Result<(), ChildError> {
        self.start.restart().await.map(drop)
    }

    /// Lets the next incarnation start now, where none runs and one is to; once.
    pub(crate) fn hurry(&self, once: &Arc<AtomicBool>) {
        self.start.hurry(once);
    }

    /// Whether nobody runs here, and its group waits for another one before somebody is started.
    pub(crate) async fn is_held_back(&self) -> bool {
        self.start.is_held_back().await
    }

    /// Says that nobody runs here, where that is so, until somebody starts. Whether it is.
    pub(crate) fn vacate(&self) -> bool {
        let is_vacant = self.start.is_vacant(|| self.live.say_empty());
        if !is_vacant {
            self.live.say_not_empty();
        }
        is_vacant
    }
}

/// Asks one actor how it is; none where it does not run.
pub(crate) async fn check(actor: &Post, patience: Duration) -> Option<Result<(), Fault>> {
    let (reply, answer) = oneshot::channel();
    actor.order(Control::Check(reply)).ok()?;
    tokio::time::timeout(patience, answer).await.ok()?.ok()
}

/// What the recorder of one actor has; none where it does not run, has none, or does not come to it in time.
pub(crate) async fn recording(actor: &Post, patience: Duration) -> Option<Box<Recording>> {
    let (reply, answer) = oneshot::channel();
    actor.order(Control::Recording(reply)).ok()?;
    tokio::time::timeout(patience, answer).await.ok()?.ok()?
}
