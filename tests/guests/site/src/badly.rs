//! The ways in which a request is handled that is not handled well.

use std::time::Duration;

use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

use crate::write;

/// Handles a request as its path says.
pub(crate) fn handle(path: &str, query: &str, out: ResponseOutparam) {
    match path {
        // Sets nothing.
        "/none" => drop(out),
        "/forgotten" => std::mem::forget(out),
        "/error" => ResponseOutparam::set(out, Err(ErrorCode::DnsTimeout)),
        "/trap" => trap(),
        // Says that it is well, and is not.
        "/set-and-trap" => {
            begun(out, &[], b"half");
            trap();
        }
        "/spin" => loop {
            std::hint::black_box(0);
        },
        "/wait" => std::thread::sleep(Duration::from_secs(3600)),
        "/grow" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                all.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        // A status as the query says, also one that ends nothing.
        "/status" => {
            let response = OutgoingResponse::new(Fields::new());
            let _it_may_be_none = response.set_status_code(query.parse().unwrap_or(200));
            let body = response.body();
            ResponseOutparam::set(out, Ok(response));
            if let Ok(body) = body {
                let _it_is_whole = OutgoingBody::finish(body, None);
            }
        }
        "/deep" => crate::answer(out, 200, &[], deep(u64::MAX).to_string().as_bytes()),
        // A body that is not written to its end.
        "/unfinished" => drop(begun(out, &[], b"half")),
        // One that nobody ends: the instance keeps it.
        "/open" => std::mem::forget(begun(out, &[], b"all that there is")),
        "/short" | "/long" => {
            let body = begun(out, &[("content-length", "8")], if path == "/short" { b"half" } else { b"too much!" });
            if let Some(body) = body {
                let _it_does_not_fit = OutgoingBody::finish(body, None);
            }
        }
        // Handles that nobody drops, as many as the query says.
        "/leak" => {
            for _ in 0..query.parse().unwrap_or(1) {
                std::mem::forget(Fields::new());
            }
            if let Some(body) = begun(out, &[], b"leaked") {
                let _it_is_whole = OutgoingBody::finish(body, None);
            }
        }
        _ => crate::answer(out, 404, &[], b""),
    }
}

/// Calls itself this often.
#[allow(clippy::only_used_in_recursion, reason = "it is what ends it")]
fn deep(calls: u64) -> u64 {
    if calls == 0 { 0 } else { std::hint::black_box(deep(std::hint::black_box(calls - 1))) + 1 }
}

#[allow(clippy::panic, reason = "it is asked to")]
pub(crate) fn trap() -> ! {
    panic!("on purpose")
}

/// A response whose body is begun.
fn begun(out: ResponseOutparam, headers: &[(&str, &str)], content: &[u8]) -> Option<OutgoingBody> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&headers).ok()?);
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    write(&body, content);
    Some(body)
}
