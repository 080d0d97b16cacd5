//! Where a deployment says how far it is: to those who hold it, and as events.

use std::sync::Arc;

use tokio::sync::watch;

use super::Progress;
use crate::events::{Events, Happening, text};
use crate::hint::Coded;

/// Where a deployment says how far it is. One task says it.
pub(super) struct Report {
    progress: watch::Sender<Progress>,
    /// None where there is no actor that could take the release over.
    events: Option<Arc<Events>>,
    service: String,
    release: String,
}

impl Report {
    /// Says that it begins with this; where that is heard.
    pub(super) fn begin(
        progress: Progress,
        events: Option<Arc<Events>>,
        service: &str,
        release: impl ToString,
    ) -> (Self, watch::Receiver<Progress>) {
        let (sender, heard) = watch::channel(progress.clone());
        let report = Self { progress: sender, events, service: service.to_owned(), release: release.to_string() };
        report.publish(&progress);
        (report, heard)
    }

    /// Says where it is. It is an event where that is another state, or another step; whoever hears the end finds that
    /// event.
    pub(super) fn say(&self, progress: Progress) {
        if place(&self.progress.borrow()) != place(&progress) {
            self.publish(&progress);
        }
        self.progress.send_replace(progress);
    }

    /// Says more about where it is, where there is more to say.
    pub(super) fn add(&self, more: impl FnOnce(&mut Progress) -> bool) {
        self.progress.send_if_modified(more);
    }

    /// Where it is.
    pub(super) fn now(&self) -> watch::Ref<'_, Progress> {
        self.progress.borrow()
    }

    fn publish(&self, progress: &Progress) {
        let Some(events) = &self.events else { return };
        let (step, steps) = place(progress).1.unzip();
        let reason = progress.reason().map(text);
        let (state, release) = (progress.code().to_owned(), text(&self.release));
        events.publish(Some(&self.service), Happening::Deployment { state, release, step, steps, reason });
    }
}

/// The word for where it is, and the step.
fn place(progress: &Progress) -> (&'static str, Option<(usize, usize)>) {
    let step = match progress {
        Progress::Baking { step, steps, .. } => Some((*step, *steps)),
        _ => None,
    };
    (progress.code(), step)
}
