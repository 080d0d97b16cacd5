//! Answers each request with its body. It asks nothing of this host, so it runs without it as well.

use std::io::{Read as _, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Mirror);

struct Mirror;

impl Guest for Mirror {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let mut read = Vec::new();
        if let Ok(body) = request.consume() {
            if let Ok(mut stream) = body.stream() {
                let _what_there_is = stream.read_to_end(&mut read);
            }
            let _trailers = IncomingBody::finish(body);
        }
        let response = OutgoingResponse::new(Fields::new());
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(mut stream) = body.write() {
            let _whoever_takes_it = stream.write_all(&read).and_then(|()| Write::flush(&mut stream));
        }
        let _it_is_whole = OutgoingBody::finish(body, None);
    }
}
