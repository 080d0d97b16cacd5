//! What a guest asks of others by `wasi:http/outgoing-handler`: the door says whether it may, and the client of the
//! mesh makes the request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt as _;
use rustls::{AlertDescription, Error as TlsError};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::response::words;
use crate::capability::{HttpTarget, Near};
use crate::client::{ClientError, Waits};
use crate::error::CallError;
use crate::http::is_hop_by_hop;
use crate::operation::Operation;
use crate::turn::passing::Passing;
use crate::turn::{HostCall, Identity, Script, Turn};

/// What a guest may write of a body before it has to wait for who takes it, in bytes.
const CHUNK: usize = 64 << 10;

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

fn is_forbidden(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || name == http::header::HOST
}

impl WasiHttpHooks for Turn {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    /// Asked of each header of each request, so it makes no filter for each.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    /// An error of the guest's own body has a name already; there is no other one of this kind.
    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    #[cfg(feature = "wasi-0-3")]
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    #[cfg(feature = "wasi-0-3")]
    fn p3_error_from_hyper(&mut self, _: &hyper::Error) -> wasmtime_wasi_http::p3::bindings::http::types::ErrorCode {
        wasmtime_wasi_http::p3::bindings::http::types::ErrorCode::HttpProtocolError
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        if self.script.as_deref().is_some_and(Script::is_read_back) {
            // The script says what came of it. Where it does not, it was denied.
            let is_let = self.is_let(&request);
            self.script.as_deref_mut().into_iter().for_each(|script| script.request_was(is_let));
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        }
        if self.has_tasks {
            self.uses_unrecorded("requests of HTTP by a release of WASI 0.3");
        }
        let Some((target, nearest)) = self.permitted(&request) else {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        };
        let identity = Arc::clone(&self.identity);
        // Nobody between here and there looks at headers.
        identity.terms.config.reveal(identity.address().service(), &target, request.headers_mut());
        let waits = waits(options.unwrap_or_default(), identity.terms.limits.turn_deadline);
        match self.asks(Operation::Http, Operation::Http.into(), || target.to_string().into()) {
            None => Box::new(async move { send(&identity, &target, nearest, request, waits).await }),
            Some(asked) => Box::new(async move {
                let passing = asked.enter(&mut Bytes::new()).await.map_err(|_turned_away| Error::HttpRequestDenied)?;
                let sent = send(&identity, &target, nearest, request, waits).await;
                tell(passing, sent)
            }),
        }
    }
}

impl Turn {
    /// To whom the request goes, and how near that may be; none where it may not be made.
    fn permitted(&mut self, request: &Request<WasiBody>) -> Option<(HttpTarget, Near)> {
        let (method, scheme, authority, path) = parts(request);
        let target = HttpTarget::of(method, scheme, authority, path);
        let is_allowed = self.is_let(request);
        // Where a script is read back, the door says what another release was told: its own policy counts as well.
        let target = target.filter(|_| is_allowed)?;
        let nearest = self.identity.terms.policy.allows_http(&target)?;
        Some((target, nearest))
    }

    /// Whether the door lets it be made.
    fn is_let(&mut self, request: &Request<WasiBody>) -> bool {
        let (method, scheme, authority, path) = parts(request);
        let call = HostCall::Http {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
        };
        self.perform_now(call).allowed().unwrap_or_default()
    }
}

/// The method, the scheme, the authority and the path of a request.
fn parts(request: &Request<WasiBody>) -> (&str, &str, &str, &str) {
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    (request.method().as_str(), uri.scheme_str().unwrap_or_default(), authority, path)
}

/// Tells the layers what came of it: of a request, the head of its response.
fn tell(passing: Passing, sent: Result<Sent, Error>) -> Result<Sent, Error> {
    match sent {
        Ok(sent) => {
            let _nothing_is_made_of_it = passing.end(Ok(None));
            Ok(sent)
        }
        Err(error) => {
            let told = CallError::Failed { code: words(&format!("{error:?}")) };
            match passing.end(Err(told.clone())) {
                Err(other) if other != told => Err(Error::HttpRequestDenied),
                // No layer can make a response of an error.
                _ => Err(error),
            }
        }
    }
}

async fn send(
    identity: &Identity,
    target: &HttpTarget,
    nearest: Near,
    request: Request<WasiBody>,
    waits: Waits,
) -> Result<Sent, Error> {
    match identity.mesh.client.send(target, nearest, request, waits).await {
        Ok((response, connection)) => {
            let response = response.map(|body| body.map_err(|error| in_words_of_wasi(&error)).boxed_unsync());
            let ended = async move {
                connection.ended().await;
                Ok(())
            };
            Ok((response, Box::new(ended)))
        }
        Err(error) => {
            if let ClientError::TooNear { .. } = error {
                let missing =
                    format!("{error}: grant the host by its name alone, or by its address, to reach what is near");
                identity.http_denied(&target.to_string(), missing);
            }
            if let (ClientError::NoPeer, Some(seeded)) = (&error, &identity.mesh.seeded) {
                let service = identity.address().service();
                seeded.breaks(format!("{service} asks for {target}, and no [[peer]] of the test file answers that"));
            }
            tracing::debug!(target: "airssys", service = %identity.address(), request = %target, %error, "no response");
            Err(in_words_of_wasi(&error))
        }
    }
}

/// No wait is longer than the turn.
fn waits(asked: RequestOptions, most: Duration) -> Waits {
    let wait = |asked: Option<Duration>| asked.map_or(most, |asked| asked.min(most));
    Waits {
        connect: wait(asked.connect_timeout),
        first_byte: wait(asked.first_byte_timeout),
        between_bytes: wait(asked.between_bytes_timeout),
    }
}

fn in_words_of_wasi(error: &ClientError) -> Error {
    use std::io::ErrorKind;
    match error {
        ClientError::Lookup(_) | ClientError::NoAddress | ClientError::NoServerName | ClientError::NoPeer => {
            Error::DnsError { rcode: None, info_code: None }
        }
        ClientError::TooNear { .. } => Error::DestinationIpProhibited,
        ClientError::Connect(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Error::ConnectionRefused,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Error::ConnectionTerminated,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Error::DestinationIpUnroutable,
            ErrorKind::TimedOut => Error::ConnectionTimeout,
            _ => Error::DestinationUnavailable,
        },
        ClientError::ConnectTimeout => Error::ConnectionTimeout,
        ClientError::Trust(_) => Error::ConfigurationError,
        ClientError::Tls(error) => of_tls(error),
        ClientError::FirstByteTimeout | ClientError::BetweenBytesTimeout => Error::ConnectionReadTimeout,
        ClientError::Incomplete => Error::HttpResponseIncomplete,
        ClientError::HeadTooLong => Error::HttpResponseHeaderSectionSize(None),
        ClientError::Ended(_) => Error::ConnectionTerminated,
        ClientError::Protocol(_) => Error::HttpProtocolError,
    }
}

fn of_tls(error: &std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidCertificate(_)) => Error::TlsCertificateError,
        Some(TlsError::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(AlertDescription::into(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}
