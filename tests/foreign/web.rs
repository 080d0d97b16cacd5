//! Requests over real connections, and what is answered.

use std::net::SocketAddr;

use airssys_tests::{Mesh, PATIENCE};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whom they ask for.
pub(super) const HOST: &str = "site.example";

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static str,
}

impl Asked {
    pub(super) const fn get(path: &'static str) -> Self {
        Self { method: "GET", path, headers: &[], body: "" }
    }

    pub(super) const fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    pub(super) const fn sent(method: &'static str, path: &'static str, body: &'static str) -> Self {
        Self { method, path, headers: &[], body }
    }
}

/// What was answered: its status, its headers, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// Without the headers that a server adds: when it was, and how the end of its body is known.
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone()));
        let of_a_server = ["date", "content-length", "transfer-encoding"];
        let mut headers: Vec<_> = headers.filter(|(name, _)| !of_a_server.contains(&name.as_str())).collect();
        headers.sort();
        Self { status: status.as_u16(), headers, body: Bytes::copy_from_slice(body) }
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Where a listener listens, to be added to the text of a service.
pub(super) fn listener(service: &str) -> String {
    format!("[[http]]\nlisten = \"127.0.0.1:0\"\n[[http.route]]\nservice = {service:?}\n")
}

pub(super) fn address(mesh: &Mesh) -> SocketAddr {
    mesh.runtime.listeners()[0].address.parse().unwrap()
}

/// A connection that stays open.
pub(super) struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(super) async fn ask(&mut self, asked: Asked) -> Answer {
        let mut request = Request::builder().method(asked.method).uri(asked.path).header("host", HOST);
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from_static(asked.body.as_bytes()))).unwrap();
        self.0.ready().await.unwrap();
        let answered = timeout(PATIENCE, self.0.send_request(request)).await;
        let (head, body) = answered.unwrap_or_else(|_| panic!("{asked:?} has no answer")).unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer::new(head.status, &head.headers, &body)
    }
}
