//! One of several releases that count the visits of a session by HTTP. Which one it is stands in [`VARIANT`], which a
//! test overwrites in the built binary.
//!
//! `/visit` answers with the count, and with the name of the release in a header; `/plain` with the count alone, as any
//! release would.

use std::hint::black_box;
use std::io::{Read as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use airssys_sdk::state;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wasip2::http::proxy::export!(Visits);

struct Visits;

/// What this release is: a name, and a way to misbehave, padded with dots.
static VARIANT: [u8; 40] = *b"variant=one,healthy.....................";
/// How many requests this instance has had.
static SEEN: AtomicU64 = AtomicU64::new(0);

impl Guest for Visits {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.path_with_query().unwrap_or_default();
        let way = variant(1);
        // It misbehaves from the first, or from such a request on.
        let (way, from) = way.split_once("-on-").unwrap_or((&way, "1"));
        match way {
            _ if from.parse().is_ok_and(|from: u64| seen < from) => {}
            "traps" => trap(),
            "spins" => loop {
                black_box(seen);
            },
            "waits" => std::thread::sleep(std::time::Duration::from_secs(3_600)),
            "fails" => return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("no".to_owned())))),
            _ => {}
        }
        let counted = state::increment("visits", 1);
        let (status, text) = match counted {
            Ok(count) if variant(1) == "wrong" => (200, (count + 1_000).to_string()),
            Ok(count) => (200, count.to_string()),
            Err(error) => (500, error.to_string()),
        };
        let read = read(&request);
        let name = variant(0);
        let headers: &[(&str, &str)] =
            if path == "/plain" { &[] } else { &[("x-release", name.as_str()), ("x-read", read.as_str())] };
        answer(out, status, headers, &text);
    }
}

/// How many bytes its body has.
fn read(request: &IncomingRequest) -> String {
    let mut all = Vec::new();
    if let Ok(body) = request.consume() {
        if let Ok(mut stream) = body.stream() {
            let _what_there_is = stream.read_to_end(&mut all);
        }
        let _trailers = IncomingBody::finish(body);
    }
    all.len().to_string()
}

fn answer(out: ResponseOutparam, status: u16, headers: &[(&str, &str)], text: &str) {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let Ok(headers) = Fields::from_list(&headers) else { return };
    let response = OutgoingResponse::new(headers);
    let _it_is_one = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(mut stream) = body.write() {
        let _whoever_takes_it = stream.write_all(text.as_bytes()).and_then(|()| Write::flush(&mut stream));
    }
    let _it_is_whole = OutgoingBody::finish(body, None);
}

fn variant(part: usize) -> String {
    let text = String::from_utf8_lossy(black_box(&VARIANT).as_slice()).into_owned();
    let text = text.trim_start_matches("variant=").trim_end_matches('.');
    text.split(',').nth(part).unwrap_or_default().to_owned()
}

#[allow(clippy::panic, reason = "it is told to")]
fn trap() -> ! {
    panic!("this release traps on a request")
}
