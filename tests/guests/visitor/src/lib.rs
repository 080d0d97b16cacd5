//! Handles HTTP, and never drops the requests that it is given, as some tool chains do. What it counts in its memory it
//! hands over to the next instance, well or badly: the path of a request says how.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        inline: "package airssys-tests:visitor; world actor { include airssys:actor/with-upgrade@0.1.0; }",
        path: "../../../wit",
        world: "airssys-tests:visitor/actor",
        generate_all,
        pub_export_macro: true,
    });
}

wasip2::http::proxy::export!(Visitor);
bindings::export!(Visitor with_types_in bindings);

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bindings::exports::airssys::actor::upgrade::{Fault, Guest as Upgrade};
use wasip2::exports::http::incoming_handler::Guest as Handler;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Visitor;

/// How many requests there were, those counted that an instance before had.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// How it hands over.
static HOW: Mutex<String> = Mutex::new(String::new());

impl Handler for Visitor {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        std::mem::forget(request);
        if path != "/"
            && let Ok(mut how) = HOW.lock()
        {
            *how = path;
        }
        let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        let response = OutgoingResponse::new(Fields::new());
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            let _whoever_takes_it = stream.blocking_write_and_flush(seen.to_string().as_bytes());
        }
        let _it_is_whole = OutgoingBody::finish(body, None);
    }
}

impl Upgrade for Visitor {
    fn snapshot() -> Result<Option<Vec<u8>>, Fault> {
        match HOW.lock().as_deref().map(String::as_str) {
            Ok("/keeps-it") => Err(Fault::Internal("it keeps what it knows".to_owned())),
            Ok("/hands-over-nonsense") => Ok(Some(b"nonsense".to_vec())),
            _ => Ok(Some(SEEN.load(Ordering::Relaxed).to_string().into_bytes())),
        }
    }

    fn restore(snapshot: Vec<u8>) -> Result<(), Fault> {
        let seen = String::from_utf8(snapshot).ok().and_then(|text| text.parse().ok());
        SEEN.store(seen.ok_or_else(|| Fault::Invalid("it is no number".to_owned()))?, Ordering::Relaxed);
        Ok(())
    }

    fn migrate(_: u32) -> Result<(), Fault> {
        Ok(())
    }
}
