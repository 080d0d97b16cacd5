//! A client that does as it is told, and a mesh that listens.

use std::net::SocketAddr;
use std::ops::Deref;

use airssys_tests::{Mesh, PATIENCE, until};
use airssys_wasm::Runtime;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A mesh that listens at one address.
pub(crate) struct Site {
    mesh: Mesh,
    pub(crate) address: SocketAddr,
}

impl Deref for Site {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.mesh
    }
}

/// What is written of a mesh: a service `site` with these keys of its own, and a listener with these.
pub(crate) fn written(site: &str, http: &str) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"site\"\nrelease = \"@site\"\n{site}\n\
         [[http]]\nlisten = \"127.0.0.1:0\"\n{http}\n"
    )
}

/// A route of everything to `site`, with these keys.
pub(crate) fn all(route: &str) -> String {
    format!("[[http.route]]\nservice = \"site\"\n{route}\n")
}

impl Site {
    pub(crate) async fn start(site: &str, http: &str) -> Self {
        Self::of(Mesh::start(&written(site, http)).await)
    }

    /// [`Site::start`] with this component.
    pub(crate) async fn start_as(component: &[u8], site: &str, http: &str) -> Self {
        let topology = written(site, http).replace("\"@site\"", "\"one.wasm\"");
        let folder = tempfile::tempdir().unwrap();
        Self::of(Mesh::start_in(folder, &topology, &[("one", component)], airssys_tests::builder()).await)
    }

    pub(crate) fn of(mesh: Mesh) -> Self {
        let address = mesh.runtime.listeners()[0].address.parse().unwrap();
        Self { mesh, address }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Asks on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// Writes bytes, and reads until the host closes.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    /// Waits until so many requests are being answered.
    pub(crate) async fn under_way(&self, requests: usize) {
        until("they are under way", async || self.runtime.listeners()[0].requests == requests).await;
    }

    pub(crate) async fn stop(self) {
        self.mesh.stop().await;
    }
}

/// What comes until the host closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    // A host that closes with something of ours unread resets the connection: what came before counts.
    let _how = closed.unwrap_or_else(|_| panic!("never closed: {}", String::from_utf8_lossy(&read)));
    String::from_utf8_lossy(&read).into_owned()
}

/// What was answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Its status and its body.
    pub(crate) fn short(&self) -> (u16, &str) {
        (self.status, self.body.trim_end())
    }
}

/// A connection of HTTP/1.1.
pub(crate) struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Whether the host has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_ask(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> hyper::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "site.example");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        self.0.ready().await?;
        let asked = timeout(PATIENCE, self.0.send_request(request)).await;
        let (head, body) = asked.unwrap_or_else(|_| panic!("{method} {path} has no answer"))?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// The address of a listener, by how it is written.
pub(crate) fn address(runtime: &Runtime, listen: &str) -> SocketAddr {
    let all = runtime.listeners();
    all.iter().find(|found| found.listen == listen).unwrap_or_else(|| panic!("{all:?}")).address.parse().unwrap()
}
