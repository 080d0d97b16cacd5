//! Takes connections at an address, and serves what comes over them, until it is closed.
//!
//! A connection belongs to the listener and to no topology: each request goes by the rules that are in force when its
//! head has come. So routes, limits and releases change under connections that stay.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Overdue, Watched};
use super::error::ListenError;
use super::exchange::answer;
use super::inner::{Connection, Inner, Ready, State};
use super::settings::{HttpLimits, Listening};
use super::waking::Waking;
use crate::router::Mesh;

/// How long it waits where no connection can be had, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that is to end may take to give away what it has.
const PARTING: Duration = Duration::from_secs(1);
/// The smallest buffer that hyper reads a head into.
const LEAST_BUFFER: usize = 8 << 10;

/// A listener that has its address, and takes no connection yet: those that come wait.
pub(crate) struct Bound {
    inner: Arc<Inner>,
    /// None in a seeded host, which has no address of the machine's: see [`Listener::connect`].
    socket: Option<TcpListener>,
}

/// A listener that takes connections. Dropped, it is closed, and what it had under way is cut off.
pub(crate) struct Listener(Arc<Inner>);

/// How much a listener has to do.
pub(crate) struct Counts {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) answered: u64,
}

impl Bound {
    /// Takes the address.
    pub(crate) async fn new(listening: &Listening, ready: Ready, mesh: &Arc<Mesh>) -> Result<Self, ListenError> {
        let listen = listening.listen;
        let no = |source| ListenError::Bind { listen, source };
        let socket = match mesh.seeded {
            None => Some(TcpListener::bind(listen).await.map_err(no)?),
            Some(_) => None,
        };
        let address = socket.as_ref().map_or(Ok(listen), TcpListener::local_addr).map_err(no)?;
        let inner = Inner {
            listen,
            address,
            rules: ArcSwap::new(ready.0),
            mesh: Arc::clone(mesh),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            ended: Notify::new(),
            state: watch::Sender::new(State::Open),
        };
        Ok(Self { inner: Arc::new(inner), socket })
    }

    /// Takes connections from here on.
    pub(crate) fn open(self) -> Listener {
        let Self { inner, socket } = self;
        inner.tell("listening");
        socket.into_iter().for_each(|socket| drop(tokio::spawn(accept(Arc::clone(&inner), socket))));
        Listener(inner)
    }
}

impl Listener {
    /// As it is written.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.0.listen
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Whether it has a certificate.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.rules.load().tls.is_some()
    }

    /// How much it has to do.
    pub(crate) fn counts(&self) -> Counts {
        let Inner { connections, requests, answered, .. } = &*self.0;
        Counts {
            connections: connections.load(Ordering::Relaxed),
            requests: requests.load(Ordering::Relaxed),
            answered: answered.load(Ordering::Relaxed),
        }
    }

    /// A connection that is no socket, and is served as one that was taken; over it comes what TLS would have in it.
    /// Waits where there are as many as there may be; none where it is closed.
    pub(crate) async fn connect(&self) -> Option<DuplexStream> {
        let inner = &self.0;
        inner.room().await;
        let (ours, theirs) = duplex(LEAST_BUFFER);
        let (limits, is_secure) = {
            let rules = inner.rules.load();
            (rules.limits, rules.tls.is_some())
        };
        let connected = Connected::new(inner);
        if *inner.state.borrow() != State::Open {
            return None;
        }
        tokio::spawn(async move { serve(&connected.0, theirs, limits, is_secure).await });
        Some(ours)
    }

    /// Puts other rules in force, under the connections that there are.
    pub(crate) fn retune(&self, Ready(rules): Ready) {
        self.0.rules.store(rules);
        self.0.ended.notify_waiters();
    }

    /// Takes no connections any more, and no requests over those that there are, and waits at most this long for the
    /// requests that are under way. How many were cut off.
    pub(crate) async fn close(&self, most: Duration) -> usize {
        let before = self.0.state.send_replace(State::Closing);
        let left = match timeout(most, self.0.all_ended()).await {
            Ok(()) => 0,
            Err(_) => self.0.requests.load(Ordering::Relaxed),
        };
        self.0.state.send_replace(State::Cut);
        if before == State::Open {
            self.0.tell("closed");
        }
        left
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.state.send_replace(State::Cut);
    }
}

/// A connection, counted until it ends.
struct Connected(Arc<Inner>);

impl Connected {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.connections.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inner))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_waiters();
    }
}

async fn accept(inner: Arc<Inner>, socket: TcpListener) {
    let mut state = inner.state.subscribe();
    let mut is_closed = async || drop(state.wait_for(|state| *state != State::Open).await);
    loop {
        let accepted = tokio::select! {
            biased;
            () = is_closed() => return,
            accepted = async {
                inner.room().await;
                socket.accept().await
            } => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(Connected::new(&inner), stream))),
            Err(error) => {
                // Of one connection, or of the host: then it would be the same at once.
                inner.reach("connections", format_args!("a connection cannot be taken: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(connected: Connected, stream: TcpStream) {
    let inner = &connected.0;
    // What is written is to leave at once. It goes without.
    let _all_the_same = stream.set_nodelay(true);
    let (limits, tls) = {
        let rules = inner.rules.load();
        (rules.limits, rules.tls.clone())
    };
    let Some(tls) = tls else { return serve(inner, stream, limits, false).await };
    let mut state = inner.state.subscribe();
    let handshake = tokio::select! {
        _ = state.wait_for(|state| *state != State::Open) => return,
        handshake = timeout(limits.header_timeout, TlsAcceptor::from(tls).accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => serve(inner, stream, limits, true).await,
        Ok(Err(error)) => {
            tracing::debug!(target: "airssys::http", listener = %inner.listen, %error, "no handshake");
        }
        Err(_) => inner.reach("header_timeout", "a handshake of TLS did not come to its end: closed"),
    }
}

/// Serves one connection to its end.
async fn serve<S>(inner: &Arc<Inner>, stream: S, limits: HttpLimits, is_secure: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let shared = Arc::new(Connection { inner: Arc::clone(inner), activity: Arc::clone(&activity), is_secure });
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(answer(shared, request).await) }
    });
    let builder = builder(&limits);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut waking = Waking::default();
    let mut overdue = pin!(activity.overdue(&limits));
    let mut state = inner.state.subscribe();
    // It may be another one than open already.
    state.mark_changed();
    let mut is_closing = false;
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|context| waking.poll(context, |context| connection.as_mut().poll(context))) => {
                return if let Err(error) = ended { broken(inner, &*error, &limits) };
            }
            why = overdue.as_mut() => return late(inner, why, &limits),
            () = parting(&activity), if is_closing => return,
            _ = state.changed() => {
                let now = *state.borrow_and_update();
                if now == State::Cut {
                    return;
                }
                if now == State::Closing && !is_closing {
                    connection.as_mut().graceful_shutdown();
                    is_closing = true;
                }
            }
        }
    }
}

/// Waits until a connection that is to end has no request, as it is after a moment at most unless one is under way.
async fn parting(activity: &Activity) {
    loop {
        sleep(PARTING).await;
        if activity.is_idle() {
            return;
        }
    }
}

fn builder(limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        // A client may say that it has said all, and wait for the answer.
        .half_close(true)
        // We do so ourselves: the time between two requests is another one than that of a head.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER));
    // It answers by itself to what is larger. What is a little larger comes to where it is told.
    let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    builder.http2().max_header_list_size(header_bytes.saturating_mul(2));
    builder
}

/// A connection is closed since its client is too slow.
fn late(inner: &Inner, why: Overdue, limits: &HttpLimits) {
    if why == Overdue::Head {
        let most = humantime::format_duration(limits.header_timeout);
        inner.reach("header_timeout", format_args!("the head of a request was not there within {most}: closed"));
    }
}

/// A connection broke, or what came over it was none of HTTP: hyper has answered that.
fn broken(inner: &Inner, error: &(dyn std::error::Error + 'static), limits: &HttpLimits) {
    let of_http = error.downcast_ref::<hyper::Error>();
    if of_http.is_some_and(hyper::Error::is_parse_too_large) {
        return inner.reach_head(limits);
    }
    let is_io = error.downcast_ref::<io::Error>().is_some();
    tracing::debug!(target: "airssys::http", listener = %inner.listen, %error, is_io, "a connection broke");
}
