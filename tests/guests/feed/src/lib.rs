//! Handles HTTP as WASI 0.3 does: a body is a stream, and is written after the response was handed over.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "airssys-tests:feed/feed",
        path: [
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

use bindings::exports::wasi::http::handler::{ErrorCode, Guest, Request, Response};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::http::client;
use bindings::wasi::http::types::{Fields, Trailers};
use bindings::{wit_future, wit_stream};
use wit_bindgen::StreamReader;

struct Feed;

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Feed {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        ASKED.set(ASKED.get() + 1);
        match path.as_str() {
            "/count" => Ok(answer(ASKED.get().to_string().into())),
            // The body as it comes.
            "/mirror" => {
                let (_, done) = wit_future::new(|| Ok(()));
                let (body, trailers) = Request::consume_body(request, done);
                Ok(respond(body, trailers))
            }
            // A line every few milliseconds, after the response was handed over.
            "/lines" => {
                let (mut writer, reader) = wit_stream::new();
                let _it_is_not_waited_for = wit_bindgen::spawn_local(async move {
                    for line in ["one\n", "two\n", "three\n"] {
                        monotonic_clock::wait_for(5_000_000).await;
                        writer.write_all(line.into()).await;
                    }
                });
                Ok(respond(reader, no_trailers()))
            }
            "/refused" => Err(ErrorCode::ConnectionRefused),
            "/internal" => Err(ErrorCode::InternalError(Some("it was asked to".to_owned()))),
            // What it has asked for out there.
            "/out" => {
                let (out, _) = Request::new(Fields::new(), None, no_trailers(), None);
                let _it_is_one = out.set_authority(Some("example.com"));
                let _it_is_one = out.set_path_with_query(Some("/"));
                match client::send(out).await {
                    Ok(_) => Ok(answer("it was sent".into())),
                    Err(error) => Ok(answer(format!("{error:?}").into())),
                }
            }
            #[allow(clippy::panic, reason = "it is asked to")]
            "/crash" => panic!("it was asked to"),
            // More than a message may have.
            "/long" => Ok(answer(vec![b'a'; 2 << 20])),
            other => Ok(answer(format!("nothing at {other}").into())),
        }
    }
}

fn no_trailers() -> wit_bindgen::FutureReader<Result<Option<Trailers>, ErrorCode>> {
    let (writer, reader) = wit_future::new(|| Ok(None));
    drop(writer);
    reader
}

fn respond(
    body: StreamReader<u8>,
    trailers: wit_bindgen::FutureReader<Result<Option<Trailers>, ErrorCode>>,
) -> Response {
    let headers = Fields::new();
    let _it_is_one = headers.set("content-type", &[b"text/plain".to_vec()]);
    Response::new(headers, Some(body), trailers).0
}

fn answer(body: Vec<u8>) -> Response {
    let (mut writer, reader) = wit_stream::new();
    let _it_is_not_waited_for = wit_bindgen::spawn_local(async move {
        writer.write_all(body).await;
    });
    respond(reader, no_trailers())
}
