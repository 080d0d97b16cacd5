//! Requests and responses of HTTP as messages: a request is a call of the one function below, which a component has
//! that handles HTTP. So all that a call has, such as a deadline, a dead letter and its text, a request has as well.
//!
//! It does no I/O, and knows no resources of WASI: whoever listens makes a block of a request, and `engine/http/` makes
//! of it what a guest expects.

mod block;
mod streams;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

pub(crate) use self::block::{read_request, read_response, write_request, write_response};
pub(crate) use self::streams::{Body, Broken, HELD_BYTES, Streams, until_answered};
use crate::typed::{FunctionType, Laid, ValueType};

/// A request with its whole body. Its URI is absolute: it has a scheme and an authority.
pub(crate) type Request = ::http::Request<Bytes>;

/// A response with its whole body, or the error that the guest answered with, in words.
pub(crate) type Response = Result<::http::Response<Bytes>, String>;

/// The interface that a component exports which handles HTTP. This name is for all of its versions.
pub(crate) const INCOMING_HANDLER: &str = "wasi:http/incoming-handler@0.2.0";

/// The function that each component which handles HTTP has, by the name `handle`. Its type is the host's: that of the
/// component itself takes and gives resources of WASI.
pub(crate) fn function() -> &'static Arc<FunctionType> {
    static FUNCTION: LazyLock<Arc<FunctionType>> = LazyLock::new(|| {
        let request = ValueType::Record(vec![
            ("method".into(), ValueType::String.into()),
            ("scheme".into(), ValueType::String.into()),
            ("authority".into(), ValueType::String.into()),
            ("path-with-query".into(), ValueType::String.into()),
            ("headers".into(), headers()),
            ("body".into(), bytes()),
        ]);
        let response = ValueType::Record(vec![
            ("status".into(), ValueType::U16.into()),
            ("headers".into(), headers()),
            ("body".into(), bytes()),
        ]);
        let result = ValueType::Result(Some(Box::new(response.into())), Some(Box::new(ValueType::String.into())));
        Arc::new(FunctionType {
            interface: Some(INCOMING_HANDLER.into()),
            name: "handle".into(),
            params: ValueType::Record(vec![("request".into(), request.into())]).into(),
            result: Some(result.into()),
        })
    });
    &FUNCTION
}

/// Whether a header is about one connection, and never passed on: not to a guest, and not from one.
pub(crate) fn is_hop_by_hop(name: &::http::HeaderName) -> bool {
    match name.as_str() {
        "connection" | "http2-settings" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" => true,
        name => name.starts_with("proxy-"),
    }
}

fn bytes() -> Laid {
    ValueType::List(Box::new(ValueType::U8.into())).into()
}

fn headers() -> Laid {
    ValueType::List(Box::new(ValueType::Tuple(vec![ValueType::String.into(), bytes()]).into())).into()
}

#[cfg(test)]
mod tests;
