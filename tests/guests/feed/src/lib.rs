//! Handles HTTP as WASI 0.3 does: a body is a stream, and is written after the response was handed over.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "airssys-tests:feed/feed",
        path: [
            "../../../wit",
            "../tasks/wit/deps/clocks.wit",
            "../tasks/wit/deps/filesystem.wit",
            "../tasks/wit/deps/sockets.wit",
            "../tasks/wit/deps/random.wit",
            "../tasks/wit/deps/cli.wit",
            "../tasks/wit/deps/http.wit",
            "wit",
        ],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Feed with_types_in bindings);

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use bindings::exports::wasi::http::handler::{ErrorCode, Guest, Request, Response};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use bindings::wasi::http::client;
use bindings::wasi::http::types::{Fields, Scheme, Trailers};
use bindings::wasi::keyvalue::store;
use bindings::{wit_future, wit_stream};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

type TrailersRead = FutureReader<Result<Option<Trailers>, ErrorCode>>;

struct Feed;

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Feed {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        ASKED.set(ASKED.get() + 1);
        match path {
            "/count" => Ok(answer(ASKED.get().to_string())),
            // The body as it comes; with this length, where one is given.
            "/mirror" => {
                let (body, trailers) = consume(request);
                Ok(respond(body, trailers, query))
            }
            // The body, but for its first ten bytes.
            "/behind" => {
                let (mut body, trailers) = consume(request);
                let mut first = Vec::with_capacity(10);
                while first.len() < 10 {
                    let (how, read) = body.read(first).await;
                    first = read;
                    if matches!(how, wit_bindgen::StreamResult::Dropped) {
                        return Ok(answer(""));
                    }
                }
                Ok(respond(body, trailers, ""))
            }
            // A file of the granted folder.
            "/file" => match file(query).await {
                Ok(body) => Ok(respond(body, no_trailers(), "")),
                Err(error) => Err(ErrorCode::InternalError(Some(error))),
            },
            // How long the body is, which is not kept.
            "/length" => {
                let (mut body, trailers) = consume(request);
                let (mut length, mut part) = (0, Vec::with_capacity(16 << 10));
                loop {
                    let (how, read) = body.read(part).await;
                    length += read.len();
                    if matches!(how, wit_bindgen::StreamResult::Dropped) {
                        break;
                    }
                    part = read;
                    part.clear();
                }
                match trailers.await {
                    Ok(_) => Ok(answer(length.to_string())),
                    Err(error) => Err(error),
                }
            }
            // So many bytes.
            "/big" => Ok(answer(vec![b'x'; query.parse().unwrap_or_default()])),
            // So many lines, one every few milliseconds, after the response was handed over.
            "/drip" => {
                let count: u32 = query.parse().unwrap_or_default();
                Ok(later(async move |writer| {
                    for line in 1..=count {
                        monotonic_clock::wait_for(5_000_000).await;
                        if !writer.write_all(format!("line {line}\n").into()).await.is_empty() {
                            break;
                        }
                    }
                }))
            }
            // It writes a word, and then: waits for an hour, or traps.
            "/hang" => Ok(later(async |writer| {
                writer.write_all("begun ".into()).await;
                monotonic_clock::wait_for(3_600_000_000_000).await;
            })),
            #[allow(clippy::panic, reason = "it is asked to")]
            "/burst" => Ok(later(async |writer| {
                writer.write_all(vec![b'x'; 100_000]).await;
                panic!("it was asked to");
            })),
            "/wait" => {
                monotonic_clock::wait_for(3_600_000_000_000).await;
                Ok(answer("late"))
            }
            "/spin" => loop {
                std::hint::black_box(ASKED.get());
            },
            // Adds one to what is kept; and then it does not answer well.
            "/add" | "/add/error" | "/add/trap" | "/add/later-trap" => {
                let sum = add().map_err(|error| ErrorCode::InternalError(Some(error)))?;
                match path {
                    "/add" => Ok(answer(sum)),
                    "/add/error" => Err(ErrorCode::InternalError(Some("it was asked to".to_owned()))),
                    #[allow(clippy::panic, reason = "it is asked to")]
                    "/add/trap" => panic!("it was asked to"),
                    #[allow(clippy::panic, reason = "it is asked to")]
                    _ => Ok(later(async |_| panic!("it was asked to"))),
                }
            }
            "/refused" => Err(ErrorCode::ConnectionRefused),
            "/internal" => Err(ErrorCode::InternalError(Some("it was asked to".to_owned()))),
            // Passes the body on to the URL, and what comes from there back; the second one also adds one.
            "/out" => Ok(passed(query, request).await),
            "/add/out" => {
                add().map_err(|error| ErrorCode::InternalError(Some(error)))?;
                Ok(passed(query, request).await)
            }
            // So many requests to the URL at a time, and what came of them.
            "/out-many" => {
                let (count, url) = query.split_once('&').unwrap_or(("0", query));
                let count: usize = count.parse().unwrap_or_default();
                let all = (0..count).map(|_| async { client::send(outgoing(url, None)).await });
                let all = together(all.collect()).await;
                let (came, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
                let mut refused: Vec<String> =
                    refused.into_iter().filter_map(Result::err).map(|error| format!("{error:?}")).collect();
                refused.dedup();
                Ok(answer(format!("{} came, {}", came.len(), refused.join(", "))))
            }
            #[allow(clippy::panic, reason = "it is asked to")]
            "/crash" => panic!("it was asked to"),
            other => {
                let answer = answer(format!("nothing at {other}"));
                let _it_is_one = answer.set_status_code(404);
                Ok(answer)
            }
        }
    }
}

fn no_trailers() -> TrailersRead {
    let (writer, reader) = wit_future::new(|| Ok(None));
    drop(writer);
    reader
}

fn consume(request: Request) -> (StreamReader<u8>, TrailersRead) {
    let (_, done) = wit_future::new(|| Ok(()));
    Request::consume_body(request, done)
}

fn respond(body: StreamReader<u8>, trailers: TrailersRead, length: &str) -> Response {
    let headers = Fields::new();
    let _it_is_one = headers.set("content-type", &[b"text/plain".to_vec()]);
    if !length.is_empty() {
        let _it_is_one = headers.set("content-length", &[length.as_bytes().to_vec()]);
    }
    Response::new(headers, Some(body), trailers).0
}

fn answer(body: impl Into<Vec<u8>>) -> Response {
    let body = body.into();
    later(async move |writer| {
        writer.write_all(body).await;
    })
}

/// A response whose body is written after it was handed over.
fn later(write: impl AsyncFnOnce(&mut StreamWriter<u8>) + 'static) -> Response {
    let (mut writer, reader) = wit_stream::new();
    let _it_is_not_waited_for = wit_bindgen::spawn_local(async move {
        write(&mut writer).await;
    });
    respond(reader, no_trailers(), "")
}

/// A file of the folder that is granted.
async fn file(path: &str) -> Result<StreamReader<u8>, String> {
    let (folder, _) = preopens::get_directories().into_iter().next().ok_or("no folder")?;
    let opened = folder.open_at(PathFlags::empty(), path.to_owned(), OpenFlags::empty(), DescriptorFlags::READ).await;
    Ok(opened.map_err(|error| format!("{error:?}"))?.read_via_stream(0).0)
}

/// What the URL answers to a request.
async fn passed(url: &str, request: Request) -> Response {
    match client::send(outgoing(url, Some(request))).await {
        Ok(response) => {
            let status = response.get_status_code();
            let (_, done) = wit_future::new(|| Ok(()));
            let (body, trailers) = Response::consume_body(response, done);
            let passed = respond(body, trailers, "");
            let _it_is_one = passed.set_status_code(status);
            passed
        }
        Err(error) => answer(format!("{error:?}")),
    }
}

/// A request to this URL; with the method and the body of another one.
fn outgoing(url: &str, of: Option<Request>) -> Request {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let out = match of {
        Some(of) => {
            let method = of.get_method();
            let (body, trailers) = consume(of);
            let out = Request::new(Fields::new(), Some(body), trailers, None).0;
            let _it_is_one = out.set_method(&method);
            out
        }
        None => Request::new(Fields::new(), None, no_trailers(), None).0,
    };
    let _it_is_one = out.set_scheme(Some(&if scheme == "https" { Scheme::Https } else { Scheme::Http }));
    let _it_is_one = out.set_authority(Some(authority));
    let _it_is_one = out.set_path_with_query(Some(if path.is_empty() { "/" } else { path }));
    out
}

/// Adds one to what is kept; the sum.
fn add() -> Result<String, String> {
    let said = |error: store::Error| format!("{error:?}");
    let state = store::open("").map_err(said)?;
    let kept = state.get("sum").map_err(said)?.unwrap_or_default();
    let sum = String::from_utf8_lossy(&kept).parse::<u64>().unwrap_or_default() + 1;
    state.set("sum", sum.to_string().as_bytes()).map_err(said)?;
    Ok(sum.to_string())
}

/// All of them at the same time, in their order.
async fn together<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    poll_fn(|context| {
        for (one, done) in &mut all {
            if done.is_none()
                && let Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}
