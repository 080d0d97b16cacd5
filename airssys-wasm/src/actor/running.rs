//! A command that runs as a service: from the moment when its release serves a place, in a task of its own, beside the
//! actor that looks after it. Nothing bounds its time, and each tick it lets others run.
//!
//! It has an instance of its own; that of the actor stands for the release, as everywhere. What it sends and writes is
//! that of one turn, which is over when it exits with status 0. Invariant: it ends with whoever holds this, and tells
//! of its own end at most once.

use std::sync::Arc;

use tokio::task::{self, JoinHandle};

use super::serving::Serving;
use super::start::commit;
use crate::engine::{Engines, Instance};
use crate::error::Crash;
use crate::settings::Run;
use crate::state::NO_MESSAGE;

/// It is cut off where this is dropped.
pub(super) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    /// Runs what serves here, where that is to run by itself. Its end is told with the task that it was.
    pub(super) fn begin(
        engines: &Arc<Engines>,
        serving: &Arc<Serving>,
        ended: impl FnOnce(task::Id, Crash) + Send + 'static,
    ) -> Option<Self> {
        if serving.identity.terms.run != Run::Service || serving.identity.terms.silent {
            return None;
        }
        let (engines, serving) = (Arc::clone(engines), Arc::clone(serving));
        Some(Self(tokio::spawn(async move {
            let end = run(&engines, &serving).await;
            ended(task::id(), end.map_or_else(|crash| crash, |status| Crash::Exit { status }));
        })))
    }

    /// Whether that is the one which has ended.
    pub(super) fn is(&self, ended: task::Id) -> bool {
        self.0.id() == ended
    }

    /// Waits for its end. Whoever waits no longer drops it.
    pub(super) async fn over(&mut self) {
        let _cut_off_or_not = (&mut self.0).await;
    }
}

/// The status that it exits with.
async fn run(engines: &Engines, serving: &Serving) -> Result<i32, Crash> {
    let identity = &serving.identity;
    let mut instance = Instance::new(engines, &serving.template, Arc::clone(identity)).await?;
    instance.turn().state = identity.own.states.state(None);
    let status = instance.run_alone().await?;
    match status {
        0 => commit(&mut instance, NO_MESSAGE).await?,
        _ => instance.turn().discard(),
    }
    Ok(status)
}
