//! Servers of HTTP on this machine, good ones and bad ones: the path of a request says which.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A server that counts who comes, for as long as the test runs.
pub(crate) struct Server {
    pub(crate) port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    came: AtomicUsize,
    gone: AtomicUsize,
}

/// Counts a connection as gone, however it ends.
struct Going(Arc<Counts>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Ordering::SeqCst);
    }
}

/// A certificate that vouches for itself.
pub(crate) struct Tls {
    certificate: Vec<u8>,
    pem: String,
    key: Vec<u8>,
}

impl Tls {
    pub(crate) fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self { certificate: made.cert.der().to_vec(), pem: made.cert.pem(), key: made.signing_key.serialize_der() }
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// As it stands in a file.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    fn acceptor(&self) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        let config = builder.with_single_cert(vec![self.certificate().into()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::serve("127.0.0.1:0", None).await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        Self::serve(address, None).await
    }

    pub(crate) async fn start_tls(tls: &Tls) -> Self {
        Self::serve("127.0.0.1:0", Some(tls.acceptor())).await
    }

    /// One on which nobody listens.
    pub(crate) fn closed_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    async fn serve(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let counts = Arc::new(Counts::default());
        let server = Self { port: listener.local_addr().unwrap().port(), counts: Arc::clone(&counts) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.came.fetch_add(1, Ordering::SeqCst);
                let (going, tls) = (Going(Arc::clone(&counts)), tls.clone());
                tokio::spawn(async move {
                    let _going = going;
                    match tls {
                        None => plain(stream).await,
                        // Whoever does not believe the certificate goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                speak(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.counts.came.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        let gone = self.counts.gone.load(Ordering::SeqCst);
        self.connections() - gone
    }
}

async fn plain(mut stream: TcpStream) {
    let mut beginning = [0; 9];
    let read = stream.peek(&mut beginning).await.unwrap_or(0);
    if beginning[..read] != *b"GET /raw?" {
        return speak(stream).await;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let says = head.split(['?', ' ']).nth(2).unwrap().replace("%20", " ").replace("%0D", "\r").replace("%0A", "\n");
    stream.write_all(says.as_bytes()).await.unwrap();
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
    // The client may go away at any time.
    let _how_it_ends =
        http1::Builder::new().max_buf_size(1 << 20).serve_connection(TokioIo::new(stream), service).await;
}

/// A body: this, and then as the kind says.
struct Says {
    chunk: Bytes,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Hangs,
    Repeats,
}

impl Body for Says {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunk.clone();
        if self.then != Then::Repeats {
            self.chunk = Bytes::new();
        }
        match (chunk.is_empty(), self.then) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            (true, Then::Ends) => Poll::Ready(None),
            (true, _) => Poll::Pending,
        }
    }
}

async fn answer(request: Request<Incoming>) -> Response<Says> {
    let (head, body) = request.into_parts();
    let says = |chunk: Bytes, then| Response::new(Says { chunk, then });
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    match head.uri.path() {
        "/redirect" => {
            let mut response = says(Bytes::new(), Then::Ends);
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert("location", head.uri.query().unwrap().parse().unwrap());
            response
        }
        "/never" => pending().await,
        "/stops" => says(Bytes::from_static(b"half"), Then::Hangs),
        "/endless" => says(vec![b'x'; 1 << 14].into(), Then::Repeats),
        "/count" => {
            let body = body.collect().await.unwrap().to_bytes();
            says(body.len().to_string().into(), Then::Ends)
        }
        "/huge-headers" => {
            let mut response = says(Bytes::new(), Then::Ends);
            response.headers_mut().insert("x-huge", "x".repeat(100_000).parse().unwrap());
            response
        }
        "/many-headers" => {
            let mut response = says(Bytes::new(), Then::Ends);
            for _ in 0..1_000 {
                response.headers_mut().append("x-many", "x".parse().unwrap());
            }
            response
        }
        _ => {
            let body = body.collect().await.unwrap().to_bytes();
            let seen = json!({"method": head.method.as_str(), "path": head.uri.to_string(), "host": header("host"),
                "own": header("x-own"), "body": String::from_utf8_lossy(&body)});
            let mut response = says(seen.to_string().into(), Then::Ends);
            response.headers_mut().insert("x-server", "yes".parse().unwrap());
            response.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
            response
        }
    }
}
