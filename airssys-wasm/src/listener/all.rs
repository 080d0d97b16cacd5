//! The listeners of a host.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::server::Listener;

/// Those that take connections.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Arc<Listener>>>);

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Listener>> {
        self.lock().clone()
    }

    /// The one that is written like this.
    pub(crate) fn at(&self, listen: SocketAddr) -> Option<Arc<Listener>> {
        self.lock().iter().find(|listener| listener.listen() == listen).cloned()
    }

    /// The one that is written in these words.
    pub(crate) fn named(&self, listen: &str) -> Option<Arc<Listener>> {
        self.lock().iter().find(|listener| listener.listen().to_string() == listen).cloned()
    }

    /// One more.
    pub(crate) fn add(&self, listener: Listener) {
        self.lock().push(Arc::new(listener));
    }

    /// Closes those that are meant, all at a time: see [`Listener::close`].
    pub(crate) async fn close(&self, which: impl Fn(&Listener) -> bool, most: Duration) -> usize {
        let closing: Vec<Arc<Listener>> = self.lock().extract_if(.., |listener| which(listener)).collect();
        join_all(closing.iter().map(|listener| listener.close(most))).await.into_iter().sum()
    }

    /// Cuts all of them off.
    pub(crate) fn cut_off(&self) {
        self.lock().clear();
    }
}
