//! One request and its answer: from its head to a route, to a call of the mesh, and back.
//!
//! Invariant: whatever a client sends, it gets a status, and of what is inside it learns a word at most.

use std::future::{poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::body::{self, NotRead, Outgoing, Read};
use super::inner::{Connection, Inner, Rules, UnderWay};
use super::key;
use super::route::{Found, KeyFrom, Target, has_dots};
use super::status::Refusal;
use super::waking::poll_quietly;
use crate::error::CallError;
use crate::http::{Streams, function, read_response, until_answered, write_request};
use crate::message::Answer;
use crate::router::{Caller, Origin, Said, Until};

/// What belongs to a connection, and not to a message that goes on: neither let in nor let out.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a header takes beside its name and value: a colon, a space, and the end of the line.
const LINE_BYTES: usize = 4;

/// Answers a request.
pub(super) async fn answer(connection: Arc<Connection>, request: Request<Incoming>) -> Response<Outgoing> {
    let inner = &connection.inner;
    let rules = inner.rules.load_full();
    connection.activity.begin(request.version());
    let (until, requests) = connection.request();
    let method = request.method().clone();
    let answered = if requests > rules.limits.max_requests {
        let most = rules.limits.max_requests;
        inner.reach("max_requests", format_args!("there are {most} requests already: answered with 503"));
        Err(Refusal::transient("overloaded"))
    } else {
        Exchange { connection: &connection, inner, rules: &rules }.answer(request).await
    };
    match answered {
        Ok(Answered::Whole(response)) => response.map(|bytes| Outgoing::new(bytes, &method, until)),
        Ok(Answered::Left(response)) => response.map(|body| Outgoing::left(body, &method, until)),
        Err(refusal) => refused(inner, refusal, &method, until),
    }
}

/// What a request is answered with.
struct Exchange<'a> {
    connection: &'a Arc<Connection>,
    inner: &'a Inner,
    rules: &'a Rules,
}

/// A response.
enum Answered {
    /// Its turn has committed.
    Whole(Response<Bytes>),
    /// Its turn is not over.
    Left(Response<crate::http::Body>),
}

impl Answered {
    fn headers(&mut self) -> &mut HeaderMap {
        match self {
            Self::Whole(response) => response.headers_mut(),
            Self::Left(response) => response.headers_mut(),
        }
    }
}

impl Exchange<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answered, Refusal> {
        let (mut head, body) = request.into_parts();
        self.check_size(&head)?;
        let authority = self.authority(&head)?;
        let path = head.uri.path_and_query().cloned();
        let path = path.filter(|path| path.as_str().starts_with('/')).ok_or_else(|| bad("no-path"))?;
        if has_dots(path.path()) {
            return Err(bad("dots-in-path"));
        }
        let target = self.target(authority.host(), path.path(), &head.method)?;
        let key = match &target.key {
            Some(from) => Some(key::find(from, path.path(), &head.headers).map_err(|error| bad(error.to_string()))?),
            None => None,
        };
        let Read { first, rest } = self.body(body, head.version).await?;
        take_out(&mut head.headers);
        head.headers.remove(header::HOST);
        let method = head.method.clone();
        let mut request = Request::new(first);
        (*request.method_mut(), *request.headers_mut()) = (head.method, head.headers);
        *request.uri_mut() = self.uri(authority, path)?;
        let found = key.as_ref().map(|found| found.key.as_str());
        if found.is_some() {
            others_first().await;
        }
        let (rest, is_too_large) = rest.map(|rest| (rest.body, rest.is_too_large)).unzip();
        let answered = self.call(target, found, request, rest).await;
        if is_too_large.is_some_and(|is_so| is_so.load(Ordering::Relaxed)) && !matches!(answered, Ok(Answered::Left(_)))
        {
            return Err(self.too_large());
        }
        if found.is_some() {
            others_first().await;
        }
        let mut answered = answered?;
        take_out(answered.headers());
        if let Answered::Whole(response) = &mut answered
            && method != Method::HEAD
            && response.status() != StatusCode::NOT_MODIFIED
        {
            // Of what is given away here the length is known. What is left out may still be told of.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        if let (Some(found), Some(KeyFrom::Cookie { name, .. })) = (key.filter(|found| found.is_made), &target.key) {
            let cookie = key::set_cookie(name, &found.key, self.connection.is_secure);
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                answered.headers().append(header::SET_COOKIE, cookie);
            }
        }
        Ok(answered)
    }

    /// hyper bounds what it reads, and not what of it is the head.
    fn check_size(&self, head: &http::request::Parts) -> Result<(), Refusal> {
        let lines = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE_BYTES);
        let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
        if lines.sum::<usize>() + path <= self.rules.limits.header_bytes {
            return Ok(());
        }
        self.inner.reach_head(&self.rules.limits);
        Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large"))
    }

    /// Whom the client wants to speak to. What says so twice says the same twice, or somebody on the way understood
    /// something else than we do.
    fn authority(&self, head: &http::request::Parts) -> Result<Authority, Refusal> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let told = hosts.next();
        if hosts.next().is_some() {
            return Err(bad("two-hosts"));
        }
        let told = match told {
            Some(value) if !value.is_empty() => {
                Some(Authority::try_from(value.as_bytes()).map_err(|_| bad("bad-host"))?)
            }
            _ => None,
        };
        let authority = match (head.uri.authority(), told) {
            (Some(asked), Some(told)) if *asked != told => return Err(bad("two-hosts")),
            (Some(asked), _) => asked.clone(),
            (None, Some(told)) => told,
            (None, None) if head.version == Version::HTTP_11 && !head.headers.contains_key(header::HOST) => {
                return Err(bad("no-host"));
            }
            // A client of HTTP/1.0 need not say it, so it is where it came to.
            (None, None) => Authority::try_from(self.inner.address.to_string()).map_err(|_| bad("no-host"))?,
        };
        if authority.as_str().contains('@') { Err(bad("bad-host")) } else { Ok(authority) }
    }

    fn target(&self, host: &str, path: &str, method: &Method) -> Result<&Target, Refusal> {
        match self.rules.routes.find(host.strip_suffix('.').unwrap_or(host), path, method) {
            Found::Target(target) => Ok(target),
            Found::Nothing => Err(Refusal::new(StatusCode::NOT_FOUND, "no-route")),
            Found::OtherMethods(methods) => {
                let allow = methods.into_iter().cloned().collect();
                Err(Refusal { allow, ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method") })
            }
        }
    }

    async fn body(&self, body: Incoming, version: Version) -> Result<Read, Refusal> {
        let limits = &self.rules.limits;
        let mut begun = pin!(body::begin(body, limits.body_buffer, limits.body));
        // Most come with their heads: those need no timer.
        let at_once = poll_fn(|context| {
            let mut poll = |context: &mut Context<'_>| begun.as_mut().poll(context);
            Poll::Ready(match version {
                // There the connection is another task, which has to know what was read.
                Version::HTTP_2 => poll(context),
                _ => poll_quietly(context, poll, |read| matches!(read, Ok(Read { rest: None, .. }))),
            })
        });
        let read = match at_once.await {
            Poll::Ready(read) => Ok(read),
            Poll::Pending => timeout(limits.body_timeout, begun).await,
        };
        match read {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(NotRead::TooLarge)) => Err(self.too_large()),
            Ok(Err(NotRead::Broken(error))) => {
                tracing::debug!(target: "airssys::http", listener = %self.inner.listen, %error, "a body broke off");
                Err(bad("bad-body"))
            }
            Err(_) => {
                let most = humantime::format_duration(limits.body_timeout);
                self.inner.reach("body_timeout", format_args!("a body was not there within {most}: answered with 408"));
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "body-timeout"))
            }
        }
    }

    fn too_large(&self) -> Refusal {
        let most = crate::schema::size_text(self.rules.limits.body);
        self.inner.reach("body", format_args!("a body of more than {most}: answered with 413"));
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large")
    }

    fn uri(&self, authority: Authority, path: PathAndQuery) -> Result<Uri, Refusal> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.connection.is_secure { Scheme::HTTPS } else { Scheme::HTTP });
        (parts.authority, parts.path_and_query) = (Some(authority), Some(path));
        Uri::from_parts(parts).map_err(|_| bad("bad-uri"))
    }

    /// Calls who answers, until there is a response: the answer, or one that leaves before.
    async fn call(
        &self,
        target: &Target,
        key: Option<&str>,
        request: crate::http::Request,
        rest: Option<crate::http::Body>,
    ) -> Result<Answered, Refusal> {
        let too_large = |_| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
        let block = write_request(&request).map_err(too_large)?;
        let (streams, left) = Streams::new(Some((request, &block)), rest);
        // It goes after `left`, which stands behind it: otherwise the end of the call would wake this task for that.
        let both = Arc::clone(&streams);
        let mut left = left;
        let (connection, service) = (Arc::clone(self.connection), target.service.clone());
        let key = key.map(str::to_owned);
        let now = Instant::now();
        let until = Until { now, deadline: now + self.rules.limits.request_timeout };
        // In a box, since it goes on within the body of a response that leaves before it is over.
        let mut called = Box::pin(async move {
            let said = Said { streams: Some(&streams), ..Said::call(function(), block) };
            connection.inner.mesh.call(Origin::HOST, Caller::Host(None), &service, key.as_deref(), said, until).await
        });
        let answer = tokio::select! {
            biased;
            answer = &mut called => answer,
            Ok(response) = &mut left => {
                let service = target.service.clone();
                let left = |body| until_answered(body, async move { ended_well(&service, &called.await) });
                return Ok(Answered::Left(response.map(left)));
            }
        };
        // It has left and its turn has ended before anybody looked: the answer has the head of it alone.
        if let Ok(response) = left.try_recv()
            && ended_well(&target.service, &answer)
        {
            return Ok(Answered::Left(response.map(|body| until_answered(body, ready(true)))));
        }
        let block = answer.map_err(|error| self.unanswered(&target.service, &error))?;
        match both.response(&block.unwrap_or_default()) {
            Ok(Ok(response)) if response.status().is_informational() => Err(self.wrong(target, &response.status())),
            Ok(Ok(response)) => Ok(Answered::Whole(response)),
            Ok(Err(error)) => {
                let error = crate::shown::shown(&error);
                tracing::warn!(target: "airssys::http", service = %target.service, "it answered with an error: {error}");
                Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed"))
            }
            Err(error) => Err(self.wrong(target, &error)),
        }
    }

    fn unanswered(&self, service: &str, error: &CallError) -> Refusal {
        if *error == CallError::Timeout {
            let patience = humantime::format_duration(self.rules.limits.request_timeout);
            let detail = format_args!("{service} did not answer a request within {patience}: answered with 504");
            self.inner.reach("request_timeout", detail);
        }
        tracing::debug!(target: "airssys::http", listener = %self.inner.listen, service, %error, "a request has no answer");
        Refusal::from(error)
    }

    fn wrong(&self, target: &Target, why: &dyn std::fmt::Display) -> Refusal {
        tracing::warn!(target: "airssys::http", service = %target.service, "its answer is none of HTTP: {why}");
        Refusal::new(StatusCode::BAD_GATEWAY, "bad-response")
    }
}

/// Whether a turn whose response has left has ended with one. Where it has not, the client finds its connection cut,
/// and only the log says why.
fn ended_well(service: &str, answer: &Answer) -> bool {
    let why = match answer {
        Err(error) => error.to_string(),
        Ok(block) => match read_response(&block.clone().unwrap_or_default()) {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => crate::shown::shown(&error).to_string(),
            Err(error) => error.to_string(),
        },
    };
    tracing::warn!(target: "airssys::http", service, "a response that had left already is cut off: {why}");
    false
}

fn bad(says: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, says)
}

/// Takes out of a message what is about the connection: what is known to be, and what the message says is.
fn take_out(headers: &mut HeaderMap) {
    // Each message is looked at, and few have any of it.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    let named: Vec<HeaderName> = named.collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// An answer of the listener itself.
fn refused(inner: &Inner, refusal: Refusal, method: &Method, until: UnderWay) -> Response<Outgoing> {
    let Refusal { status, says, is_transient, allow } = refusal;
    tracing::debug!(target: "airssys::http", listener = %inner.listen, status = status.as_u16(), %says, "refused");
    let mut response = Response::new(Outgoing::new(format!("{says}\n").into(), method, until));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if is_transient {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if !allow.is_empty() {
        let mut names: Vec<&str> = allow.iter().map(Method::as_str).collect();
        if allow.contains(&Method::GET) && !allow.contains(&Method::HEAD) {
            names.push(Method::HEAD.as_str());
        }
        names.sort_unstable();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            headers.insert(header::ALLOW, names);
        }
    }
    response
}

/// Lets the other tasks run that are ready, and comes after them.
///
/// A request of a key goes to an instance of its own, which is asleep, so all of a request could be done in one go:
/// read, its turn, written. Each part has code and memory of its own, of the kernel, of hyper, of the engine and of the
/// guest, more than a core has caches for. So each part is done for all requests that are there before the next one:
/// that takes 10 of 60 microseconds off, row `http/key`. An instance that answers all requests has their turns one
/// after the other anyway.
async fn others_first() {
    let mut were_asked = false;
    poll_fn(|context| {
        if std::mem::replace(&mut were_asked, true) {
            return Poll::Ready(());
        }
        // To the end of the queue of this thread. `yield_now` would have it look for what is ready at the sockets
        // first, which is a call of the kernel.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
