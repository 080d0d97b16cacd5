//! Handles HTTP by WASI's own interface, well or badly: the path of a request says how.

mod badly;

use std::fmt::Write as _;
use std::io::{Read as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use airssys_sdk::{send, state};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
};

wasip2::http::proxy::export!(Site);

struct Site;

/// How many requests this instance has had.
static SEEN: AtomicU64 = AtomicU64::new(0);

impl Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        match path {
            "/show" => {
                let shown = shown(&request);
                answer(out, 200, &[("content-type", "text/plain")], shown.as_bytes());
            }
            "/echo" => {
                let body = body(&request);
                answer(out, 200, &[], &body);
            }
            "/seen" => answer(out, 200, &[], seen.to_string().as_bytes()),
            "/made" => answer(out, 201, &[("location", "/made/1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], b""),
            // Adds to what is kept, and tells somebody, if it is told whom.
            "/add" | "/add/error" | "/add/trap" => {
                let sum = add(query);
                match path {
                    "/add" => answer(out, 200, &[], sum.as_bytes()),
                    "/add/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("no".to_owned())))),
                    _ => badly::trap(),
                }
            }
            "/big" => answer(out, 200, &[], &vec![b'x'; query.parse().unwrap_or_default()]),
            // Traps over a body that has this in it.
            "/over" => match String::from_utf8_lossy(&body(&request)).contains(query) {
                true => badly::trap(),
                false => answer(out, 200, &[], b"nothing"),
            },
            "/length" => answer(out, 200, &[], length(&request).to_string().as_bytes()),
            "/trailers" => trailers(&request, out),
            "/drip" => drip(out, query.parse().unwrap_or(1)),
            "/out" => answer(out, 200, &[], outgoing(query).as_bytes()),
            _ => badly::handle(path, query, out),
        }
    }
}

/// A request as text: all that a guest is told, a line each.
fn shown(request: &IncomingRequest) -> String {
    let mut text = format!("{:?} {:?} {:?}\n", request.method(), request.scheme(), request.authority());
    for (name, value) in request.headers().entries() {
        let _to_a_string = writeln!(text, "{name}: {}", String::from_utf8_lossy(&value));
    }
    let body = body(request);
    text + &String::from_utf8_lossy(&body)
}

fn body(request: &IncomingRequest) -> Vec<u8> {
    let mut read = Vec::new();
    if let Ok(body) = request.consume() {
        if let Ok(mut stream) = body.stream() {
            let _what_there_is = stream.read_to_end(&mut read);
        }
        let _trailers = IncomingBody::finish(body);
    }
    read
}

/// How long a body is, which is not kept.
fn length(request: &IncomingRequest) -> u64 {
    let Ok(body) = request.consume() else { return 0 };
    let length = body.stream().map(|mut stream| std::io::copy(&mut stream, &mut std::io::sink()));
    let _trailers = IncomingBody::finish(body);
    length.map_or(0, |length| length.unwrap_or_default())
}

/// Answers with the trailers of the request, a line each, and has one of its own: how many bytes the request had.
fn trailers(request: &IncomingRequest, out: ResponseOutparam) {
    let Ok(body) = request.consume() else { return };
    let length = body.stream().map(|mut stream| std::io::copy(&mut stream, &mut std::io::sink()));
    let length = length.map_or(0, |length| length.unwrap_or_default());
    let coming = IncomingBody::finish(body);
    coming.subscribe().block();
    let mut text = String::new();
    if let Some(Ok(Ok(Some(trailers)))) = coming.get() {
        for (name, value) in trailers.entries() {
            let _to_a_string = writeln!(text, "{name}: {}", String::from_utf8_lossy(&value));
        }
    }
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    write(&body, text.as_bytes());
    let own = Fields::from_list(&[("x-bytes".to_owned(), length.to_string().into_bytes())]);
    let _it_is_whole = OutgoingBody::finish(body, own.ok());
}

/// Events, as they happen: the guest waits before each.
fn drip(out: ResponseOutparam, events: u32) {
    let Ok(headers) = Fields::from_list(&[("content-type".to_owned(), b"text/event-stream".to_vec())]) else { return };
    let response = OutgoingResponse::new(headers);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(mut stream) = body.write() {
        for event in 1..=events {
            wasip2::clocks::monotonic_clock::subscribe_duration(5_000_000).block();
            if write!(stream, "data: {event}\n\n").is_err() {
                break;
            }
        }
    }
    let _it_is_whole = OutgoingBody::finish(body, None);
}

fn add(query: &str) -> String {
    let sum = state::increment("sum", 1).map_err(|error| error.to_string());
    if !query.is_empty()
        && let Err(error) = send(query, &line(&sum))
    {
        return error.to_string();
    }
    sum.map_or_else(|error| error, |sum| sum.to_string())
}

/// What is sent is a line of text.
fn line(sum: &Result<u64, String>) -> String {
    sum.as_ref().map_or_else(Clone::clone, ToString::to_string)
}

/// What becomes of a request to somewhere else.
fn outgoing(authority: &str) -> String {
    let request = OutgoingRequest::new(Fields::new());
    let _it_is_one = request.set_authority(Some(authority));
    let _it_is_one = request.set_path_with_query(Some("/"));
    let sent = match wasip2::http::outgoing_handler::handle(request, None) {
        Ok(sent) => sent,
        Err(error) => return format!("{error:?}"),
    };
    sent.subscribe().block();
    match sent.get() {
        Some(Ok(Ok(response))) => response.status().to_string(),
        Some(Ok(Err(error))) => format!("{error:?}"),
        other => format!("{other:?}"),
    }
}

fn answer(out: ResponseOutparam, status: u16, headers: &[(&str, &str)], content: &[u8]) {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let Ok(headers) = Fields::from_list(&headers) else { return };
    let response = OutgoingResponse::new(headers);
    let _it_is_one = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    write(&body, content);
    let _it_is_whole = OutgoingBody::finish(body, None);
}

/// Writes to a body, as far as somebody takes it.
fn write(body: &OutgoingBody, content: &[u8]) {
    if let Ok(mut stream) = body.write() {
        let _whoever_takes_it = stream.write_all(content).and_then(|()| Write::flush(&mut stream));
    }
}
