//! What a component answers in plain wasmtime, with an instance for each run and each request.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, Strategy};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::web::{Answer, Asked};

/// More than any of them writes.
const MOST: usize = 1 << 20;

/// What a command writes to its stdout over each of these. It may work with folders: each is what it is called, and
/// where it is.
pub(super) fn command(binary: &[u8], arguments: &[&str], folders: &[(&str, &Path)], stdins: &[String]) -> Vec<Vec<u8>> {
    let engine = engine();
    let component = Component::new(&engine, binary).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    let run = |stdin: &String| {
        let stdout = MemoryOutputPipe::new(MOST);
        let mut wasi = WasiCtx::builder();
        wasi.arg("program").args(arguments).stdin(MemoryInputPipe::new(stdin.clone())).stdout(stdout.clone());
        for (name, folder) in folders {
            wasi.preopened_dir(folder, name, FsPerms::ReadWrite).unwrap();
        }
        let mut store = Store::new(&engine, Plain::new(&mut wasi));
        let command = wasmtime_wasi::p2::bindings::sync::Command::instantiate(&mut store, &component, &linker).unwrap();
        command.wasi_cli_run().call_run(&mut store).unwrap().unwrap();
        drop(store);
        stdout.contents().to_vec()
    };
    stdins.iter().map(run).collect()
}

/// What a command of WASI 0.3 writes to its stdout.
pub(super) async fn command_of_wasi_0_3(binary: &[u8]) -> Vec<u8> {
    let engine = engine();
    let component = Component::new(&engine, binary).unwrap();
    let stdout = MemoryOutputPipe::new(MOST);
    let mut store = Store::new(&engine, Plain::new(WasiCtx::builder().stdout(stdout.clone())));
    let linker = linker_of_wasi_0_3(&engine);
    let command =
        wasmtime_wasi::p3::bindings::Command::instantiate_async(&mut store, &component, &linker).await.unwrap();
    let ran = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await;
    ran.unwrap().unwrap().unwrap();
    drop(store);
    stdout.contents().to_vec()
}

/// What a handler of HTTP answers.
pub(super) async fn answers(binary: &[u8], asked: &[Asked]) -> Vec<Answer> {
    let engine = engine();
    let component = Component::new(&engine, binary).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    let proxy = ProxyPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    let mut answers = Vec::new();
    for asked in asked {
        let mut store = Store::new(&engine, Plain::new(&mut WasiCtx::builder()));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request(asked)).unwrap();
        let out = store.data_mut().http().new_response_outparam(sender).unwrap();
        let instance = proxy.instantiate_async(&mut store).await.unwrap();
        let handled = tokio::spawn(async move {
            instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await.unwrap();
        });
        let (head, body) = receiver.await.unwrap().unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        handled.await.unwrap();
        answers.push(Answer::new(head.status, &head.headers, &body));
    }
    answers
}

/// What a handler of HTTP of WASI 0.3 answers; none where it answers with an error.
pub(super) async fn answers_of_wasi_0_3(binary: &[u8], asked: &[Asked]) -> Vec<Option<Answer>> {
    let engine = engine();
    let component = Component::new(&engine, binary).unwrap();
    let service = ServicePre::new(linker_of_wasi_0_3(&engine).instantiate_pre(&component).unwrap()).unwrap();
    let mut answers = Vec::new();
    for asked in asked {
        let mut store = Store::new(&engine, Plain::new(&mut WasiCtx::builder()));
        let service = service.instantiate_async(&mut store).await.unwrap();
        let (request, _) = wasmtime_wasi_http::p3::Request::from_http(&mut Nothing, request(asked));
        let answer = store.run_concurrent(async |store| {
            let response = service.handle(store, request).await.unwrap().ok()?;
            let response = store.with(|store| response.into_http(store, async { Ok(()) })).unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Some(Answer::new(head.status, &head.headers, &body))
        });
        answers.push(answer.await.unwrap());
    }
    answers
}

fn engine() -> Engine {
    // By the other compiler, which takes a tenth of the time.
    Engine::new(Config::new().strategy(Strategy::Winch).wasm_component_model_async(true)).unwrap()
}

fn linker_of_wasi_0_3(engine: &Engine) -> Linker<Plain> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
    wasmtime_wasi_http::p3::add_to_linker(&mut linker).unwrap();
    linker
}

/// As it comes in over a connection.
fn request(asked: &Asked) -> Request<impl hyper::body::Body<Data = Bytes, Error = Error> + Send + 'static> {
    let uri = format!("http://{}{}", super::web::HOST, asked.path);
    let mut request = Request::builder().method(asked.method).uri(uri).header("host", super::web::HOST);
    for (name, value) in asked.headers {
        request = request.header(*name, *value);
    }
    if !asked.body.is_empty() {
        request = request.header("content-length", asked.body.len());
    }
    let body = Full::new(Bytes::from_static(asked.body.as_bytes()));
    request.body(body.map_err(|never| match never {})).unwrap()
}

struct Plain {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Nothing,
}

impl Plain {
    fn new(wasi: &mut WasiCtxBuilder) -> Self {
        Self { table: ResourceTable::new(), wasi: wasi.build(), http: WasiHttpCtx::new(), hooks: Nothing }
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

/// Nothing goes out.
struct Nothing;

type Sent = (hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

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
