//! Those whom guests ask in a seeded host: each is a rule of a test file, and answers over a connection that is no
//! socket, in the time of the run. What stands in front of a connection otherwise stands in front of this one too.
//!
//! It refuses to be a server: it reads a whole request, and answers what is written, or what the seed says goes wrong.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Sleep, sleep};
use xxhash_rust::xxh3::Xxh3Default;

use super::tls::Stream;
use super::{BUFFER, ClientError};
use crate::capability::{Host, HttpPattern, HttpTarget};
use crate::hex;
use crate::seeded::{FaultKind, Seeded, push_sum};

/// Where a name leads whose peer says nothing of it: an address that is kept for examples, and counts as anybody's.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// The longest that a slow peer takes beside its usual time.
const SLOWEST: Duration = Duration::from_secs(10);
/// What a peer answers that has an error.
const ERRORS: [StatusCode; 4] = [
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];
/// The time between the last of an answer and the end of its connection, where that ends in the middle.
const LINGERS: Duration = Duration::from_millis(1);

/// Who answers some requests, and what.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Which ones: the same with and without TLS, which there is none of.
    pub(crate) requests: [HttpPattern; 2],
    /// Where its name leads.
    pub(crate) address: Option<IpAddr>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From a whole request to the answer.
    pub(crate) takes: Duration,
}

impl Peer {
    /// Where the target leads.
    pub(super) fn address(&self, target: &HttpTarget) -> IpAddr {
        match &target.host {
            Host::Ip(ip) => *ip,
            Host::Name(_) => self.address.unwrap_or(ANYWHERE),
        }
    }
}

/// All of a run. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    seeded: Seeded,
    all: Arc<[Peer]>,
}

impl Peers {
    pub(crate) fn new(seeded: &Seeded, all: Vec<Peer>) -> Self {
        Self { seeded: seeded.clone(), all: all.into() }
    }

    /// The first that answers such a request.
    pub(super) fn of(&self, target: &HttpTarget) -> Option<&Peer> {
        self.all.iter().find(|peer| peer.requests.iter().any(|pattern| pattern.matches(target)))
    }

    /// A connection on which a peer answers one request.
    ///
    /// # Errors
    ///
    /// It takes none, as the seed says.
    pub(super) fn connect(&self, peer: &Peer, target: &HttpTarget) -> Result<Box<dyn Stream>, ClientError> {
        let name = target.authority();
        if self.seeded.message(&name, FaultKind::PeerRefused) {
            return Err(ClientError::Connect(io::ErrorKind::ConnectionRefused.into()));
        }
        let (ours, theirs) = duplex(BUFFER);
        tokio::spawn(serve(Serving { seeded: self.seeded.clone(), peer: peer.clone(), name }, theirs));
        Ok(Box::new(ours))
    }
}

/// A peer at one connection.
struct Serving {
    seeded: Seeded,
    peer: Peer,
    name: String,
}

async fn serve(serving: Serving, connection: DuplexStream) {
    let answer = service_fn(|request| serving.answer(request));
    // The machine's date is none of the run's.
    let served = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(connection), answer).await;
    // Whoever asked hears of it.
    let _it_was_cut_off_or_the_guest_has_gone = served;
}

impl Serving {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let Self { seeded, peer, name } = self;
        let (head, mut body) = request.into_parts();
        let mut read = Xxh3Default::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => frame.data_ref().into_iter().for_each(|data| read.update(data)),
                Err(_) => {
                    seeded.note(format_args!("peer {name} {} {}: cut off by who asked", head.method, head.uri));
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let read = hex::encode(&read.digest().to_be_bytes());
        seeded.note(format_args!("peer {name} {} {} body {read}", head.method, head.uri));
        let slower = match seeded.message(name, FaultKind::PeerSlow) {
            true => seeded.some_of(SLOWEST),
            false => Duration::ZERO,
        };
        sleep(peer.takes + slower).await;
        if seeded.message(name, FaultKind::PeerError) {
            let drawn = seeded.fault_below(ERRORS.len() as u64);
            let status = ERRORS.get(usize::try_from(drawn).unwrap_or_default()).copied().unwrap_or_default();
            seeded.note(format_args!("peer {name} answers {}", status.as_u16()));
            let mut response = Response::new(Answer::whole(Bytes::new()));
            *response.status_mut() = status;
            return Ok(response);
        }
        let status = peer.status.as_u16();
        let body = if seeded.message(name, FaultKind::PeerCut) {
            let length = seeded.fault_below(peer.body.len() as u64);
            seeded.note(format_args!("peer {name} answers {status}, and is cut off after {length} bytes"));
            if peer.body.is_empty() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Answer::part(&peer.body, usize::try_from(length).unwrap_or_default())
        } else {
            let mut body = String::new();
            push_sum(&mut body, &peer.body);
            seeded.note(format_args!("peer {name} answers {status} body {body}"));
            Answer::whole(peer.body.clone())
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (peer.status, peer.headers.clone());
        Ok(response)
    }
}

/// The body of an answer, whole or in part.
struct Answer {
    next: Option<Bytes>,
    /// How long it says that it is.
    length: u64,
    /// When its connection ends, where that is before its end.
    cut: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    fn whole(body: Bytes) -> Self {
        Self { length: body.len() as u64, next: Some(body), cut: None }
    }

    fn part(body: &Bytes, length: usize) -> Self {
        let next = Some(body.slice(..length.min(body.len())));
        Self { next, length: body.len() as u64, cut: Some(Box::pin(sleep(LINGERS))) }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(next) = self.next.take().filter(|next| !next.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(next))));
        }
        let Some(cut) = &mut self.cut else { return Poll::Ready(None) };
        ready!(cut.as_mut().poll(context));
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
