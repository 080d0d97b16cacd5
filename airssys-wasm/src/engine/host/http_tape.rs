//! `wasi:http/types` before a recorder: the head of a response, its body and its trailers as far as the guest read
//! them, what it wrote to a body of its own, and the body of the request that it handles.
//!
//! It stands in front of wasmtime's own. Where a recording is read back no request is made: what would be its response
//! has the head that was recorded, and no body, whose stream is answered by the script.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Empty};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, DnsErrorPayload, ErrorCode, Method, Scheme, TlsAlertReceivedPayload,
};
use wasmtime_wasi_http::p2::body::{HostFutureTrailers, HostIncomingBody, HostOutgoingBody};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{Error, FieldMap, WasiHttpView as _};

use super::outside::{Asked, Misfit};
use super::outside_names::Part;
use crate::engine::guest::Guest;
use crate::turn::outside::{Headers, Look, Said, UNKNOWN, header, header_bytes};

type Coming = HostFutureIncomingResponse;
type GotResponse = Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>;
type GotTrailers = Option<Result<Result<Option<Resource<FieldMap>>, ErrorCode>, ()>>;
type Finishing = (Resource<HostOutgoingBody>, Option<Resource<FieldMap>>);

/// What the body of the request is called that a guest handles.
const REQUEST: &str = "the body of the request";
/// What was taken already.
const CONSUMED: &str = "consumed";

/// Puts these functions in front of those that are linked.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut http = linker.instance("wasi:http/types@0.2.12")?;
    http.func_wrap("[method]future-incoming-response.get", |mut store, (coming,): (Resource<Coming>,)| {
        let guest: &mut Guest = store.data_mut();
        Ok((response(guest, coming)?,))
    })?;
    http.func_wrap("[method]future-trailers.get", |mut store, (coming,): (Resource<HostFutureTrailers>,)| {
        let guest: &mut Guest = store.data_mut();
        Ok((trailers(guest, coming)?,))
    })?;
    http.func_wrap("[method]incoming-response.consume", |mut store, (of,): (Resource<HostIncomingResponse>,)| {
        let guest: &mut Guest = store.data_mut();
        let rep = of.rep();
        let body = types::HostIncomingResponse::consume(&mut guest.http(), of)?;
        if let Ok(body) = &body {
            guest.is_part_of((Part::Response, rep), (Part::Body, body.rep()));
        }
        Ok((body,))
    })?;
    http.func_wrap("[method]incoming-request.consume", |mut store, (of,): (Resource<HostIncomingRequest>,)| {
        let guest: &mut Guest = store.data_mut();
        let body = types::HostIncomingRequest::consume(&mut guest.http(), of)?;
        if let Ok(body) = &body {
            guest.has_request_body(body.rep(), REQUEST);
        }
        Ok((body,))
    })?;
    http.func_wrap("[method]incoming-body.stream", |mut store, (of,): (Resource<HostIncomingBody>,)| {
        let guest: &mut Guest = store.data_mut();
        let rep = of.rep();
        let stream: Result<Resource<DynInputStream>, ()> = types::HostIncomingBody::stream(&mut guest.http(), of)?;
        if let Ok(stream) = &stream {
            guest.is_stream_of((Part::Body, rep), stream.rep());
        }
        Ok((stream,))
    })?;
    http.func_wrap("[static]incoming-body.finish", |mut store, (of,): (Resource<HostIncomingBody>,)| {
        let guest: &mut Guest = store.data_mut();
        let rep = of.rep();
        let coming = types::HostIncomingBody::finish(&mut guest.http(), of)?;
        guest.is_part_of((Part::Body, rep), (Part::Trailers, coming.rep()));
        Ok((coming,))
    })?;
    http.func_wrap("[method]outgoing-request.body", |mut store, (of,): (Resource<HostOutgoingRequest>,)| {
        let guest: &mut Guest = store.data_mut();
        let body = types::HostOutgoingRequest::body(&mut guest.http(), of)?;
        if let Ok(body) = &body {
            guest.begins(Part::Written, body.rep(), || "the body of its request".to_owned());
        }
        Ok((body,))
    })?;
    http.func_wrap("[method]outgoing-response.body", |mut store, (of,): (Resource<HostOutgoingResponse>,)| {
        let guest: &mut Guest = store.data_mut();
        let body = types::HostOutgoingResponse::body(&mut guest.http(), of)?;
        if let Ok(body) = &body {
            guest.answers_with(body.rep());
        }
        Ok((body,))
    })?;
    http.func_wrap("[method]outgoing-body.write", |mut store, (of,): (Resource<HostOutgoingBody>,)| {
        let guest: &mut Guest = store.data_mut();
        let rep = of.rep();
        let stream: Result<Resource<DynOutputStream>, ()> = types::HostOutgoingBody::write(&mut guest.http(), of)?;
        if let Ok(stream) = &stream {
            guest.is_stream_of((Part::Written, rep), stream.rep());
        }
        Ok((stream,))
    })?;
    http.func_wrap("[static]outgoing-body.finish", |mut store, (body, trailers): Finishing| {
        let guest: &mut Guest = store.data_mut();
        Ok((finish(guest, body, trailers)?,))
    })?;
    Ok(())
}

/// The request as it is called, where a recorder is to know it.
pub(super) fn called(guest: &Guest, request: &Resource<HostOutgoingRequest>) -> Option<String> {
    guest.turn.script.as_ref()?;
    let request = guest.table.get(request).ok()?;
    let method = match &request.method {
        Method::Other(method) => method.clone(),
        method => format!("{method:?}").trim_start_matches("Method::").to_uppercase(),
    };
    let scheme = match &request.scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(other)) => other,
        Some(Scheme::Https) | None => "https",
    };
    let (authority, path) = (request.authority.as_deref().unwrap_or_default(), request.path_with_query.as_deref());
    Some(format!("{method} {scheme}://{authority}{}", path.unwrap_or("/")))
}

fn response(guest: &mut Guest, coming: Resource<Coming>) -> wasmtime::Result<GotResponse> {
    let rep = coming.rep();
    match guest.ask_of_part((Part::Coming, rep), Look::Response) {
        Asked::Nobody => types::HostFutureIncomingResponse::get(&mut guest.http(), coming),
        Asked::Never => Err(Misfit.into()),
        Asked::Told(Ok(Said::NotYet)) => Ok(None),
        Asked::Told(Ok(Said::Head { status, headers })) => {
            let http = guest.http();
            let headers = FieldMap::new_immutable(http.hooks, map_of(&headers));
            let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
            let body = Some(HostIncomingBody::new(body));
            let response = http.table.push(HostIncomingResponse { status, headers, body })?;
            guest.is_part_of((Part::Coming, rep), (Part::Response, response.rep()));
            Ok(Some(Ok(Ok(response))))
        }
        Asked::Told(Ok(_)) => Err(Misfit.into()),
        Asked::Told(Err(word)) if word == CONSUMED => Ok(Some(Err(()))),
        Asked::Told(Err(word)) => Ok(Some(Ok(Err(code_of(&word))))),
        Asked::Noted(asked) => {
            let got: GotResponse = types::HostFutureIncomingResponse::get(&mut guest.http(), coming)?;
            let said = match &got {
                None => Ok(Said::NotYet),
                Some(Err(())) => Err(CONSUMED.to_owned()),
                Some(Ok(Err(code))) => Err(guest.word_of(code)),
                Some(Ok(Ok(response))) => {
                    let found = guest.table.get(response)?;
                    let said = Said::Head { status: found.status, headers: headers_of(&found.headers) };
                    guest.is_part_of((Part::Coming, rep), (Part::Response, response.rep()));
                    Ok(said)
                }
            };
            guest.note(asked, Some(said));
            Ok(got)
        }
    }
}

fn trailers(guest: &mut Guest, coming: Resource<HostFutureTrailers>) -> wasmtime::Result<GotTrailers> {
    match guest.ask_of_part((Part::Trailers, coming.rep()), Look::Trailers) {
        Asked::Nobody => types::HostFutureTrailers::get(&mut guest.http(), coming),
        Asked::Never => Err(Misfit.into()),
        Asked::Told(Ok(Said::NotYet)) => Ok(None),
        Asked::Told(Ok(Said::Trailers(None))) => Ok(Some(Ok(Ok(None)))),
        Asked::Told(Ok(Said::Trailers(Some(headers)))) => {
            let http = guest.http();
            let trailers = FieldMap::new_immutable(http.hooks, map_of(&headers));
            Ok(Some(Ok(Ok(Some(http.table.push(trailers)?)))))
        }
        Asked::Told(Ok(_)) => Err(Misfit.into()),
        Asked::Told(Err(word)) if word == CONSUMED => Ok(Some(Err(()))),
        Asked::Told(Err(word)) => Ok(Some(Ok(Err(code_of(&word))))),
        Asked::Noted(asked) => {
            let got: GotTrailers = types::HostFutureTrailers::get(&mut guest.http(), coming)?;
            let said = match &got {
                None => Ok(Said::NotYet),
                Some(Err(())) => Err(CONSUMED.to_owned()),
                Some(Ok(Err(code))) => Err(guest.word_of(code)),
                Some(Ok(Ok(None))) => Ok(Said::Trailers(None)),
                Some(Ok(Ok(Some(trailers)))) => Ok(Said::Trailers(Some(headers_of(guest.table.get(trailers)?)))),
            };
            guest.note(asked, Some(said));
            Ok(got)
        }
    }
}

fn finish(
    guest: &mut Guest,
    body: Resource<HostOutgoingBody>,
    trailers: Option<Resource<FieldMap>>,
) -> wasmtime::Result<Result<(), ErrorCode>> {
    let asked = guest.ask_of_part((Part::Written, body.rep()), Look::Finish);
    if let Asked::Told(told) = asked {
        guest.table.delete(body)?;
        trailers.map_or(Ok(()), |trailers| guest.table.delete(trailers).map(drop))?;
        return Ok(told.map(drop).map_err(|word| code_of(&word)));
    }
    let finished = match types::HostOutgoingBody::finish(&mut guest.http(), body, trailers) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.downcast()?),
    };
    if let Asked::Noted(asked) = asked {
        let said = match &finished {
            Ok(()) => Ok(Said::Done),
            Err(code) => Err(guest.word_of(code)),
        };
        guest.note(asked, Some(said));
    }
    Ok(finished)
}

fn headers_of(headers: &FieldMap) -> Headers {
    headers.iter().map(|(name, value)| header(name.as_str(), value.as_bytes())).collect()
}

fn map_of(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_maybe_shared(header_bytes(value));
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), value) {
            map.append(name, value);
        }
    }
    map
}

/// The errors that have nothing more to say, by their words.
const CODES: [(ErrorCode, &str); 18] = [
    (ErrorCode::DestinationUnavailable, "destination-unavailable"),
    (ErrorCode::DestinationNotFound, "destination-not-found"),
    (ErrorCode::DestinationIpProhibited, "destination-ip-prohibited"),
    (ErrorCode::DestinationIpUnroutable, "destination-ip-unroutable"),
    (ErrorCode::ConnectionRefused, "connection-refused"),
    (ErrorCode::ConnectionTerminated, "connection-terminated"),
    (ErrorCode::ConnectionTimeout, "connection-timeout"),
    (ErrorCode::ConnectionReadTimeout, "connection-read-timeout"),
    (ErrorCode::ConnectionWriteTimeout, "connection-write-timeout"),
    (ErrorCode::TlsProtocolError, "tls-protocol-error"),
    (ErrorCode::TlsCertificateError, "tls-certificate-error"),
    (ErrorCode::HttpRequestDenied, "http-request-denied"),
    (ErrorCode::HttpResponseIncomplete, "http-response-incomplete"),
    (ErrorCode::HttpResponseTimeout, "http-response-timeout"),
    (ErrorCode::HttpProtocolError, "http-protocol-error"),
    (ErrorCode::ConfigurationError, "configuration-error"),
    (ErrorCode::HttpResponseHeaderSectionSize(None), "http-response-header-section-size"),
    (ErrorCode::HttpRequestBodySize(None), "http-request-body-size"),
];
const DNS: &str = "dns-error";
const INTERNAL: &str = "internal-error: ";
const BODY_SIZE: &str = "http-request-body-size: ";
const ALERT: &str = "tls-alert-received: ";

impl Guest {
    /// The word for an error, by which it is known again. One that would not be is nothing that a recorder has.
    fn word_of(&mut self, code: &ErrorCode) -> String {
        let told = format!("{code:?}");
        if let Some((_, word)) = CODES.iter().find(|(known, _)| format!("{known:?}") == told) {
            return (*word).to_owned();
        }
        match code {
            ErrorCode::DnsError(DnsErrorPayload { rcode: None, info_code: None }) => DNS.to_owned(),
            ErrorCode::HttpRequestBodySize(Some(size)) => format!("{BODY_SIZE}{size}"),
            ErrorCode::InternalError(Some(text)) => format!("{INTERNAL}{text}"),
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload { alert_id: Some(id), alert_message: Some(text) }) => {
                format!("{ALERT}{id} {text}")
            }
            _ => {
                self.is_unrecorded("a rare error of HTTP");
                UNKNOWN.to_owned()
            }
        }
    }
}

fn code_of(word: &str) -> ErrorCode {
    if let Some((code, _)) = CODES.into_iter().find(|(_, known)| *known == word) {
        return code;
    }
    if word == DNS {
        return ErrorCode::DnsError(DnsErrorPayload { rcode: None, info_code: None });
    }
    if let Some(size) = word.strip_prefix(BODY_SIZE) {
        return ErrorCode::HttpRequestBodySize(size.parse().ok());
    }
    if let Some((id, text)) = word.strip_prefix(ALERT).and_then(|rest| rest.split_once(' ')) {
        let payload = TlsAlertReceivedPayload { alert_id: id.parse().ok(), alert_message: Some(text.to_owned()) };
        return ErrorCode::TlsAlertReceived(payload);
    }
    ErrorCode::InternalError(Some(word.strip_prefix(INTERNAL).unwrap_or(word).to_owned()))
}

impl Guest {
    /// A request was made, whose response is to come.
    pub(super) fn requested(&mut self, called: Option<String>, coming: &Resource<Coming>) -> wasmtime::Result<()> {
        self.forgets_part(Part::Coming, coming.rep());
        let Some((called, script)) = called.zip(self.turn.script.as_deref_mut()) else { return Ok(()) };
        if script.knows_request() {
            self.begins(Part::Coming, coming.rep(), || called);
        } else {
            // It is told so at once: nobody waits for what a script does not know.
            *self.table.get_mut(coming)? = Coming::Ready(Err(Error::HttpRequestDenied));
        }
        Ok(())
    }
}
