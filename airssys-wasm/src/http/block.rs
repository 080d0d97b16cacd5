//! Requests and responses as blocks of the values of [`super::function`], and read of them again. A body and the values
//! of headers are not copied when they are read.

use std::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, StatusCode};

use super::{Request, Response};
use crate::typed::space::{Space, bytes, case, elsewhere, place};
use crate::typed::{Misfit, align_to};

// Where the fields lie. `tests.rs` compares all of this with blocks that are made by the types.
const METHOD: usize = 0;
const SCHEME: usize = 8;
const AUTHORITY: usize = 16;
const PATH: usize = 24;
const HEADERS: usize = 32;
const BODY: usize = 40;
const REQUEST_BYTES: usize = 48;

const STATUS: usize = 4;
const RESPONSE_HEADERS: usize = 8;
const RESPONSE_BODY: usize = 16;
/// Where an error lies, in place of a status.
const ERROR: usize = 4;
const RESPONSE_BYTES: usize = 24;

/// A header: its name, and its value.
const HEADER_BYTES: usize = 16;

/// Values that are no request or response of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotHttp {
    field: &'static str,
    detail: String,
}

impl fmt::Display for NotHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.detail)
    }
}

/// A request as the arguments of a call.
///
/// # Errors
///
/// It is more than a block can hold.
pub(crate) fn write_request(request: &Request) -> Result<Bytes, Misfit> {
    let (method, uri) = (request.method().as_str(), request.uri());
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map_or("", Authority::as_str);
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let first_line = method.len() + scheme.len() + authority.len() + path.len();
    // Headers lie where a number may.
    let headers = align_to(REQUEST_BYTES + first_line, 4) + headers_bytes(request.headers());
    let whole = headers + request.body().len();
    let mut space = Space::for_all_of(whole, REQUEST_BYTES);
    put(&mut space, METHOD, method.as_bytes())?;
    put(&mut space, SCHEME, scheme.as_bytes())?;
    put(&mut space, AUTHORITY, authority.as_bytes())?;
    put(&mut space, PATH, path.as_bytes())?;
    put_headers(&mut space, HEADERS, request.headers())?;
    put(&mut space, BODY, request.body())?;
    Ok(space.into_bytes())
}

/// The request that the arguments of a call are.
///
/// # Errors
///
/// They are none; which of them is wrong.
pub(crate) fn read_request(block: &Bytes) -> Result<Request, NotHttp> {
    let text = |field, at| elsewhere(block, at).map_err(|misfit| no(field, misfit));
    let method = Method::from_bytes(text("method", METHOD)?).map_err(|error| no("method", error))?;
    let scheme = Scheme::try_from(text("scheme", SCHEME)?).map_err(|error| no("scheme", error))?;
    let authority = Authority::try_from(text("authority", AUTHORITY)?).map_err(|error| no("authority", error))?;
    let path = PathAndQuery::try_from(text("path-with-query", PATH)?).map_err(|error| no("path-with-query", error))?;
    let mut parts = http::uri::Parts::default();
    (parts.scheme, parts.authority, parts.path_and_query) = (Some(scheme), Some(authority), Some(path));
    let mut request = Request::new(shared(block, BODY).map_err(|misfit| no("body", misfit))?);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| no("path-with-query", error))?;
    *request.headers_mut() = read_headers(block, HEADERS)?;
    Ok(request)
}

/// A response as the result of a call.
///
/// # Errors
///
/// It is more than a block can hold.
pub(crate) fn write_response(response: &Response) -> Result<Bytes, Misfit> {
    let whole = match response {
        Ok(response) => headers_bytes(response.headers()) + response.body().len(),
        Err(error) => error.len(),
    };
    let mut space = Space::for_all_of(RESPONSE_BYTES + whole, RESPONSE_BYTES);
    match response {
        Ok(response) => {
            space.put(STATUS, response.status().as_u16().to_le_bytes())?;
            put_headers(&mut space, RESPONSE_HEADERS, response.headers())?;
            put(&mut space, RESPONSE_BODY, response.body())?;
        }
        Err(error) => {
            space.put_case(0, 1, 2)?;
            put(&mut space, ERROR, error.as_bytes())?;
        }
    }
    Ok(space.into_bytes())
}

/// The response that the result of a call is.
///
/// # Errors
///
/// It is none; what of it is wrong.
pub(crate) fn read_response(block: &Bytes) -> Result<Response, NotHttp> {
    if case(block, 0, 2).map_err(|misfit| no("result", misfit))? == 1 {
        let error = elsewhere(block, ERROR).map_err(|misfit| no("result", misfit))?;
        return Ok(Err(String::from_utf8_lossy(error).into_owned()));
    }
    let status = bytes(block, STATUS).map(u16::from_le_bytes).map_err(|misfit| no("status", misfit))?;
    let mut response = http::Response::new(shared(block, RESPONSE_BODY).map_err(|misfit| no("body", misfit))?);
    *response.status_mut() = StatusCode::from_u16(status).map_err(|error| no("status", error))?;
    *response.headers_mut() = read_headers(block, RESPONSE_HEADERS)?;
    Ok(Ok(response))
}

fn no(field: &'static str, why: impl fmt::Display) -> NotHttp {
    NotHttp { field, detail: format!("is none of HTTP: {why}") }
}

/// A text or bytes: elsewhere, and here where that is.
fn put(space: &mut Space, at: usize, bytes: &[u8]) -> Result<(), Misfit> {
    let place = space.append(bytes)?;
    space.put_place(at, place, bytes.len())
}

/// What headers take elsewhere.
fn headers_bytes(headers: &HeaderMap) -> usize {
    let each = headers.iter().map(|(name, value)| HEADER_BYTES + name.as_str().len() + value.len());
    each.sum()
}

fn put_headers(space: &mut Space, at: usize, headers: &HeaderMap) -> Result<(), Misfit> {
    let first = space.room(headers.len(), HEADER_BYTES, 4)?;
    space.put_place(at, first, headers.len())?;
    for (index, (name, value)) in headers.iter().enumerate() {
        put(space, first + index * HEADER_BYTES, name.as_str().as_bytes())?;
        put(space, first + index * HEADER_BYTES + 8, value.as_bytes())?;
    }
    Ok(())
}

fn read_headers(block: &Bytes, at: usize) -> Result<HeaderMap, NotHttp> {
    let no = |why: &dyn fmt::Display| no("headers", why);
    let (first, many) = place(block, at, HEADER_BYTES).map_err(|misfit| no(&misfit))?;
    let mut headers = HeaderMap::new();
    headers.try_reserve(many).map_err(|error| no(&error))?;
    for at in (0..many).map(|index| first + index * HEADER_BYTES) {
        let name = elsewhere(block, at).map_err(|misfit| no(&misfit))?;
        let name = HeaderName::from_bytes(name).map_err(|error| no(&error))?;
        let value = shared(block, at + 8).map_err(|misfit| no(&misfit))?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|error| no(&format_args!("{name}: {error}")))?;
        headers.try_append(name, value).map_err(|error| no(&error))?;
    }
    Ok(headers)
}

/// The bytes that lie elsewhere, without a copy.
fn shared(block: &Bytes, at: usize) -> Result<Bytes, Misfit> {
    let (place, many) = place(block, at, 1)?;
    Ok(block.slice(place..place + many))
}
