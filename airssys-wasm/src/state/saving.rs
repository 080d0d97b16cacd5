//! What whoever commits gets back, where the commit goes to disk.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Crash;

/// The id of no message: a start and a stop have none.
pub(crate) const NO_MESSAGE: u64 = 0;

/// What happens with a commit besides the writes; dropped, it does not.
pub(super) type Rest = Box<dyn FnOnce() + Send>;

/// What has happened by now, or the text that says why it has not.
pub(super) type Outcome = Result<OnDisk, Arc<str>>;

/// A commit that is saved. The rest of it happens when this is dropped: in whoever waited, or in the thread where
/// nobody does any more.
pub(super) struct OnDisk(pub(super) Option<Rest>);

impl Drop for OnDisk {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take() {
            rest();
        }
    }
}

/// A commit that is on its way to the disk.
pub(crate) struct Saving(pub(super) oneshot::Receiver<Outcome>);

impl Saving {
    /// Waits until the commit is on disk and in memory, and lets the rest of it happen.
    ///
    /// Whoever stops waiting stops nothing: it happens as a whole or not at all, and [`super::State::was_saved`] tells
    /// which.
    ///
    /// # Errors
    ///
    /// It is not in memory, and the rest does not happen. Where it got to the disk all the same it is taken back from
    /// there, before the next commit at the latest; a host that is killed before that may find it there.
    pub(crate) async fn done(self) -> Result<(), Crash> {
        let outcome = self.0.await.unwrap_or_else(|_| Err("the durable state is closed".into()));
        outcome.map(drop).map_err(|detail| Crash::NotDurable { detail: detail.as_ref().to_owned() })
    }
}
