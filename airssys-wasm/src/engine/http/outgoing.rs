//! What a guest asks of the host by `wasi:http/outgoing-handler`: nothing goes out, each request is answered with
//! `HTTP-request-denied`.

use http::{HeaderName, Request, Response};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};

use crate::http::is_hop_by_hop;

/// What an instance has of HTTP.
#[derive(Default)]
pub(in crate::engine) struct Http {
    pub(in crate::engine) context: WasiHttpCtx,
    pub(in crate::engine) hooks: Hooks,
}

/// How the host answers.
#[derive(Default)]
pub(in crate::engine) struct Hooks;

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_hop_by_hop(name) || name == http::header::HOST
    }

    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
