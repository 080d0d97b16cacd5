//! What answers a query, and what its end says of the release: it is counted where turns are, and its crash brings the
//! release before back where that of a turn does.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::mpsc;

use super::{ComponentActor, Control, Live, Serving, Watch};
use crate::engine::{Answered, Ran};
use crate::error::Crash;

/// What answers a query, and who is to know how that went.
pub(super) struct Asked {
    pub(super) serving: Arc<Serving>,
    /// Where turns are counted, while two releases are compared.
    pub(super) watch: Option<Arc<Watch>>,
    pub(super) trial: Trial,
}

/// Where a crash brings the release before back, if the one that answers is on probation.
pub(super) enum Trial {
    /// Nowhere, or where whoever asks for it sees to it.
    None,
    /// In the place where it serves.
    At(Arc<Live>, Arc<WorkerStart<ComponentActor>>),
    /// Everywhere, by whoever deployed it: nobody is awake in the place.
    Everywhere(mpsc::UnboundedSender<Crash>),
}

impl Asked {
    /// A query is over: counted where turns are, and no more then. Its crash, where that speaks against the release.
    pub(super) fn heard<'a>(&self, took: Duration, ran: &'a Ran<Answered>) -> Option<&'a Crash> {
        // A release in the shadow of the other is shown no queries.
        if let Some(watch) = self.watch.as_ref().filter(|watch| watch.rehearsal.is_none()) {
            watch.tally(&self.serving).count(took, !ran.commits());
            return None;
        }
        match ran {
            Ran::Crashed(Crash::CutOff { .. } | Crash::NoInstance { .. }) | Ran::Done(_) | Ran::Fault(_) => None,
            Ran::Crashed(crash) => Some(crash),
        }
    }

    /// Brings the release before back over this crash, where the one that crashed is on probation still.
    pub(super) fn speak_against(&self, crash: &Crash) {
        match &self.trial {
            Trial::None => {}
            Trial::At(live, start) => {
                if Arc::ptr_eq(&live.serving().template, &self.serving.template) && live.roll_back(crash) {
                    // Whoever runs gives way after its turn.
                    let _none_runs = start.control(Control::Offered);
                }
            }
            Trial::Everywhere(failed) => {
                let _it_is_over = failed.send(crash.clone());
            }
        }
    }
}
