//! What the connections of a listener share: where it is, the rules in force, how much there is under way, and whether
//! it is closed.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::{Notify, watch};

use super::activity::Activity;
use super::error::ListenError;
use super::route::Routes;
use super::settings::{HttpLimits, Listening};
use super::tls;
use crate::events::Happening;
use crate::router::Mesh;

/// What a request goes by.
pub(super) struct Rules {
    pub(super) limits: HttpLimits,
    pub(super) routes: Routes,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Rules {
    /// From what is written; certificates are read. Waits for the disk.
    fn of(listening: &Listening) -> Result<Arc<Self>, ListenError> {
        let tls = listening.tls.as_ref().map(|tls| tls::load(listening.listen, tls)).transpose()?;
        Ok(Arc::new(Self { limits: listening.limits, routes: Routes::of(&listening.routes), tls }))
    }
}

/// The rules of a listener, ready to be in force.
pub(crate) struct Ready(pub(super) Arc<Rules>);

impl Ready {
    /// Reads the certificates, off the runtime's threads.
    pub(crate) async fn of(listening: &Listening) -> Result<Self, ListenError> {
        let listening = listening.clone();
        // A panic there is one here.
        let rules = crate::blocking::spawn(move || Rules::of(&listening)).await;
        rules.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map(Self)
    }
}

/// What the connections of a listener share.
pub(super) struct Inner {
    /// As it is written.
    pub(super) listen: SocketAddr,
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) rules: ArcSwap<Rules>,
    pub(super) mesh: Arc<Mesh>,
    pub(super) connections: AtomicUsize,
    pub(super) requests: AtomicUsize,
    pub(super) answered: AtomicU64,
    /// A connection has ended, or there may be more of them.
    pub(super) ended: Notify,
    pub(super) state: watch::Sender<State>,
}

/// Whether a listener takes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Requests that are under way come to their end.
    Closing,
    /// Nothing does.
    Cut,
}

/// What the requests of one connection share. Each has a share of it and not of the listener: that one is counted by
/// all threads at a time.
pub(super) struct Connection {
    pub(super) inner: Arc<Inner>,
    pub(super) activity: Arc<Activity>,
    pub(super) is_secure: bool,
}

/// A request that is under way, which ends with this.
pub(super) struct UnderWay(Arc<Connection>);

impl Connection {
    /// Counts a request until what this gives is dropped; with how many there are.
    pub(super) fn request(self: &Arc<Self>) -> (UnderWay, usize) {
        let requests = self.inner.requests.fetch_add(1, Ordering::Relaxed) + 1;
        (UnderWay(Arc::clone(self)), requests)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Connection { inner, activity, .. } = &*self.0;
        inner.requests.fetch_sub(1, Ordering::Relaxed);
        inner.answered.fetch_add(1, Ordering::Relaxed);
        activity.end();
    }
}

impl Inner {
    /// Publishes that a limit was reached.
    pub(super) fn reach(&self, limit: &'static str, detail: impl std::fmt::Display) {
        let listener = self.listen.to_string();
        self.mesh.events.reach_at(&listener, limit, format_args!("the listener at {listener}: {detail}"));
    }

    /// Publishes that a head was too large.
    pub(super) fn reach_head(&self, limits: &HttpLimits) {
        let most = crate::schema::size_text(limits.header_bytes as u64);
        let detail = format_args!("the head of a request has more than {most} or 100 headers: answered with 431");
        self.reach("header_bytes", detail);
    }

    pub(super) fn tell(&self, state: &str) {
        let (listener, address) = (self.listen.to_string(), self.address.to_string());
        self.mesh.events.publish(None, Happening::Listener { listener, address, state: state.to_owned() });
    }

    /// Waits until there may be one more connection.
    pub(super) async fn room(&self) {
        let mut is_told = false;
        self.until(|| {
            let most = self.rules.load().limits.max_connections;
            let has_room = self.connections.load(Ordering::SeqCst) < most;
            if !has_room && !std::mem::replace(&mut is_told, true) {
                self.reach("max_connections", format_args!("there are {most} connections already: others wait"));
            }
            has_room
        })
        .await;
    }

    pub(super) async fn all_ended(&self) {
        self.until(|| self.connections.load(Ordering::SeqCst) == 0).await;
    }

    /// Waits until something is so that may be when a connection has ended.
    async fn until(&self, mut so: impl FnMut() -> bool) {
        loop {
            let mut ended = pin!(self.ended.notified());
            // Before it is looked: one that ends after that wakes it.
            ended.as_mut().enable();
            if so() {
                return;
            }
            ended.await;
        }
    }
}
