//! The client by which guests make HTTP requests: who may make which is decided before, by `capability/`.
//!
//! A name is resolved once a request, each address that it leads to is looked at, and the connection goes to one of
//! those that were: nobody resolves the name a second time, so nobody can be told something else. It follows no
//! redirect. Each request has a connection of its own, which ends with its response: a grant that is gone leaves
//! nothing open, and what one service did says nothing to another one.
//!
//! It knows as well where names lead that sockets ask for (`names.rs`): those lead to one place for some time.
//!
//! In a seeded host nobody is resolved and no socket is opened: a connection leads to a peer that a test has written
//! (`peer.rs`), behind all that is looked at otherwise.
//!
//! It holds no body: both are streamed as the other side takes them.

mod body;
mod connect;
mod error;
mod led;
mod names;
mod peer;
mod tls;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::body::ResponseBody;
pub(crate) use self::error::ClientError;
use self::names::Names;
pub(crate) use self::peer::{Peer, Peers};
use self::tls::Tls;
use crate::capability::{HttpTarget, Near};

/// What is read of a response at a time, and its head at most, in bytes.
const BUFFER: usize = 64 << 10;

/// Names that are resolved at a time: each takes a thread until the system has an answer.
const LOOKUPS: usize = 64;

type Resolved = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name.
pub(crate) type Resolver = Arc<dyn Fn(String) -> Resolved + Send + Sync>;

/// How a client reaches others, where that is not left to the system.
#[derive(Clone, Default)]
pub(crate) struct ClientSettings {
    /// None for the system's own.
    pub(crate) resolver: Option<Resolver>,
    /// Certificates, in DER, of those who may vouch for a server beside those whom the system trusts.
    pub(crate) roots: Vec<Vec<u8>>,
    /// Who is there in the place of others, in a seeded host.
    pub(crate) peers: Option<Peers>,
}

/// How long a request waits: for a connection, for the head of its response, and for more of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) between_bytes: Duration,
}

/// The client of a mesh.
pub(crate) struct Client {
    resolver: Option<Resolver>,
    lookups: Semaphore,
    /// Where names led that sockets ask for.
    names: Names,
    tls: Tls,
    /// Who is there in the place of others, in a seeded host.
    peers: Option<Peers>,
}

/// A connection that somebody else drives; it is cut where this is dropped.
pub(crate) struct Connection(JoinSet<()>);

impl Connection {
    /// Waits for its end.
    pub(crate) async fn ended(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

impl Client {
    pub(crate) fn new(ClientSettings { resolver, roots, peers }: ClientSettings) -> Self {
        let lookups = Semaphore::new(LOOKUPS);
        Self { resolver, lookups, names: Names::default(), tls: Tls::new(roots), peers }
    }

    /// Makes a request to an address that is no nearer than this.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) async fn send<B>(
        &self,
        target: &HttpTarget,
        nearest: Near,
        mut request: Request<B>,
        waits: Waits,
    ) -> Result<(Response<ResponseBody>, Connection), ClientError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connect = self.connect(target, nearest);
        let stream = timeout(waits.connect, connect).await.map_err(|_| ClientError::ConnectTimeout)??;
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER).max_header_size(BUFFER);
        let handshake = http.handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(ClientError::of_hyper)?;
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            // Whoever reads the response is told as well.
            let _how_it_ended = connection.await;
        });
        direct(&mut request, target);
        let answered = timeout(waits.first_byte, sender.send_request(request)).await;
        let response = answered.map_err(|_| ClientError::FirstByteTimeout)?.map_err(ClientError::of_hyper)?;
        let response = response.map(|body| ResponseBody::new(body, waits.between_bytes));
        Ok((response, Connection(connections)))
    }
}

/// Writes into the request's head to whom it goes: what was granted, whatever the guest wrote.
fn direct<B>(request: &mut Request<B>, target: &HttpTarget) {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    if let Ok(host) = HeaderValue::from_str(&target.authority()) {
        request.headers_mut().insert(HOST, host);
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
