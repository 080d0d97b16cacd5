//! A request of HTTP read, and answered, by nothing but WASI.

use std::io::{Read as _, Write};

use wasip2::http::types::{Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// The path of a request, without its query.
#[must_use]
pub fn path(request: &IncomingRequest) -> String {
    let path = request.path_with_query().unwrap_or_default();
    path.split('?').next().unwrap_or_default().to_owned()
}

/// The whole body of a request.
#[must_use]
pub fn body(request: &IncomingRequest) -> Vec<u8> {
    let mut read = Vec::new();
    if let Ok(body) = request.consume() {
        if let Ok(mut stream) = body.stream() {
            let _what_there_is = stream.read_to_end(&mut read);
        }
        let _trailers = IncomingBody::finish(body);
    }
    read
}

/// Answers with this status, these headers and this body. What cannot be written is no answer: the host says so, and
/// discards the turn.
pub fn answer(out: ResponseOutparam, status: u16, headers: &[(&str, &str)], content: &[u8]) {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let Ok(headers) = Fields::from_list(&headers) else { return };
    let response = OutgoingResponse::new(headers);
    if response.set_status_code(status).is_err() {
        return;
    }
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let write = |stream: &mut dyn Write| stream.write_all(content).and_then(|()| stream.flush());
    // The stream is dropped before its body is finished.
    if body.write().is_ok_and(|mut stream| write(&mut stream).is_ok()) {
        let _it_is_whole = OutgoingBody::finish(body, None);
    }
}
