//! Rows `http/*`: requests over connections that stay open, each with a body of 1 KiB that comes back.
//!
//! `http/request`: 64 connections to one instance. Floor: hyper and wasmtime's own HTTP, with an instance a request of
//! the same component, as `wasmtime serve` does it. `http/key`: the same requests to 10,000 sessions, each an instance
//! of its own. Floor: the row above, in the same round.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::{Lane, plain_engine};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::host;
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

const CONNECTIONS: usize = 64;
/// Of each connection, in a round.
const REQUESTS: usize = times(250);
const SESSIONS: usize = times(10_000);
/// Where there are no sessions. Of the floor one may still be on its way out when the next request is there.
const INSTANCES: usize = 4 * CONNECTIONS;
const BODY: usize = 1 << 10;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let (_clock, engine) = plain_engine(Some(INSTANCES), None).expect("an engine");
    let component = Component::from_file(&engine, bench.guest("mirror")).expect("a component");
    let plain = plain(&engine, &component).await;
    let (one, of_one) = served(bench, "one", "").await;
    let rounds = interleaved(bench, || load(of_one, 1), || load(plain, 1)).await;
    let mut rows = vec![Row::new("http/request", "ns", 0.5, series(&rounds, |nanos| *nanos))];
    let (keyed, of_keys) = served(bench, "keyed", &format!("keyed = {{ max_awake = {SESSIONS} }}")).await;
    let rounds = interleaved(bench, || load(of_keys, SESSIONS), || load(of_one, SESSIONS)).await;
    rows.push(Row::new("http/key", "ns", 1.3, series(&rounds, |nanos| *nanos)));
    host::stop(&one).await;
    host::stop(&keyed).await;
    rows
}

/// A mesh of one service that answers requests, and where it listens.
async fn served(bench: &Bench, name: &str, keys: &str) -> (Arc<Runtime>, SocketAddr) {
    let keyed = if keys.is_empty() { "" } else { "key = { header = \"x-session\" }" };
    let listener =
        format!("[[http]]\nlisten = \"127.0.0.1:0\"\n[[http.route]]\npath = \"/\"\nservice = {name:?}\n{keyed}\n");
    let bench = &Bench {
        // Together these are about as many as there are mappings for.
        max_instances: Some(if keys.is_empty() { INSTANCES } else { SESSIONS + 10 }),
        ..bench.clone()
    };
    let service = host::service(bench, name, "mirror", Lane::Async).with(keys).with(&listener);
    let mesh = host::start(bench, vec![service]).await;
    let at = mesh.listeners().first().expect("a listener").address.parse().expect("an address");
    (mesh, at)
}

/// What a request takes, in nanoseconds, where all connections ask as fast as they are answered.
async fn load(server: SocketAddr, sessions: usize) -> f64 {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        clients.spawn(client_of(server, client, sessions));
    }
    clients.join_all().await;
    nanos_each(begun.elapsed(), CONNECTIONS * REQUESTS)
}

/// A client that costs little: the bytes of its requests are there, and of the answers it looks at nothing but the
/// status and the length.
async fn client_of(server: SocketAddr, client: usize, sessions: usize) {
    let mut connection = TcpStream::connect(server).await.expect("connected");
    connection.set_nodelay(true).expect("a socket");
    let mut answer = Vec::with_capacity(4 * BODY);
    for request in 0..REQUESTS {
        let session = (client + request * CONNECTIONS) % sessions;
        let head =
            format!("POST /echo HTTP/1.1\r\nhost: bench\r\nx-session: s{session}\r\ncontent-length: {BODY}\r\n\r\n");
        let bytes = [head.as_bytes(), &[b'x'; BODY]].concat();
        connection.write_all(&bytes).await.expect("asked");
        answer.clear();
        while !is_whole(&answer) {
            assert_ne!(connection.read_buf(&mut answer).await.expect("read"), 0, "the connection ended");
        }
    }
}

/// Whether an answer is all there; it is checked then.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..head]));
    let chunked = answer[..head].windows(7).any(|bytes| bytes.eq_ignore_ascii_case(b"chunked"));
    if chunked { answer.ends_with(b"0\r\n\r\n") } else { answer.len() >= head + 4 + BODY }
}

/// `wasmtime serve`, as it is written by hand.
async fn plain(engine: &Engine, component: &Component) -> SocketAddr {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("a linker");
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).expect("a linker");
    let proxy = ProxyPre::new(linker.instantiate_pre(component).expect("linked")).expect("a handler");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            connection.set_nodelay(true).expect("a socket");
            let proxy = proxy.clone();
            let serve = service_fn(move |request| answer(proxy.clone(), request));
            let served =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(connection), serve);
            tokio::spawn(served);
        }
    });
    at
}

async fn answer(proxy: ProxyPre<Plain>, request: Request<Incoming>) -> wasmtime::Result<Response<HyperOutgoingBody>> {
    let plain = Plain {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        hooks: Nothing,
    };
    let mut store = Store::new(proxy.engine(), plain);
    store.epoch_deadline_async_yield_and_update(1);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    tokio::spawn(async move {
        let instance = proxy.instantiate_async(&mut store).await.expect("an instance");
        instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await.expect("handled");
    });
    Ok(receiver.await??)
}

struct Plain {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Nothing,
}

/// Nothing goes out.
struct Nothing;

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Nothing {
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

impl WasiView for Plain {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Plain {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}
