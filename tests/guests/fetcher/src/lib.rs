//! Makes the HTTP requests that it is told to make, by WASI's own interface, and tells what came of them.

use std::time::Duration;

use airssys_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    http_error_code,
};
use wasip2::io::streams::StreamError;

/// What it is told to do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default = "get")]
    method: String,
    /// As it is written, whatever is wrong with it.
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The body, and how often.
    #[serde(default)]
    body: String,
    #[serde(default)]
    times: usize,
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    between_bytes_ms: Option<u64>,
    /// Whether it goes where the response sends it.
    #[serde(default)]
    follow: bool,
    /// Whether it tells what its configuration has under `token`.
    #[serde(default)]
    tells: bool,
    /// What in the beginning of a response it panics over.
    panics_over: Option<String>,
    /// After how many bytes of the response it has read enough.
    enough: Option<usize>,
}

fn get() -> String {
    "GET".to_owned()
}

/// What came of it.
#[derive(Default, Serialize)]
struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    /// Its beginning.
    body: String,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Why there is no response, or no whole one.
    error: Option<String>,
}

impl Told {
    fn failed(error: impl std::fmt::Debug) -> Self {
        let error = format!("{error:?}");
        let error = error.strip_prefix("ErrorCode::").unwrap_or(&error).to_owned();
        Self { error: Some(error), ..Self::default() }
    }
}

#[component]
fn fetch(ask: Ask) -> Told {
    let mut url = ask.url.clone();
    loop {
        let told = match response(&ask, &url) {
            Ok(response) => read(response, ask.enough),
            Err(told) => told,
        };
        if ask.panics_over.as_ref().is_some_and(|text| told.body.contains(text)) {
            panic!("the response says what it was not to say");
        }
        let to = told.headers.iter().find(|(name, _)| name == "location").map(|(_, to)| to.clone());
        match to {
            Some(to) if ask.follow && (300..400).contains(&told.status) => url = to,
            _ => return Told { token: ask.tells.then(token), ..told },
        }
    }
}

/// What its configuration has under `token`.
fn token() -> String {
    airssys_sdk::config::get("token").ok().flatten().unwrap_or_default()
}

fn response(ask: &Ask, url: &str) -> Result<IncomingResponse, Told> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Told::failed("no scheme"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let value = |value: &String| match value.contains("{token}") {
        true => value.replace("{token}", &token()),
        false => value.clone(),
    };
    let headers: Vec<_> = ask.headers.iter().map(|(name, of)| (name.clone(), value(of).into_bytes())).collect();
    let request = OutgoingRequest::new(Fields::from_list(&headers).map_err(Told::failed)?);
    let bad = |what: &'static str| move |()| Told::failed(what);
    request.set_method(&Method::Other(ask.method.clone())).map_err(bad("method"))?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(bad("scheme"))?;
    request.set_authority(Some(authority)).map_err(bad("authority"))?;
    request.set_path_with_query(Some(path)).map_err(bad("path"))?;
    let options = RequestOptions::new();
    let time = |ms: Option<u64>| ms.map(|ms| u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX));
    options.set_connect_timeout(time(ask.connect_ms)).map_err(bad("timeout"))?;
    options.set_first_byte_timeout(time(ask.first_byte_ms)).map_err(bad("timeout"))?;
    options.set_between_bytes_timeout(time(ask.between_bytes_ms)).map_err(bad("timeout"))?;
    let body = request.body().map_err(bad("body"))?;
    let coming = outgoing_handler::handle(request, Some(options)).map_err(Told::failed)?;
    if write(&body, ask).is_ok() {
        // Where it is not finished, the response says why.
        let _told_below = OutgoingBody::finish(body, None);
    }
    coming.subscribe().block();
    match coming.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(Told::failed(error)),
        None | Some(Err(())) => Err(Told::failed("no response")),
    }
}

fn write(body: &OutgoingBody, ask: &Ask) -> Result<(), StreamError> {
    if ask.body.is_empty() {
        return Ok(());
    }
    let Ok(stream) = body.write() else { return Ok(()) };
    for _ in 0..ask.times.max(1) {
        for chunk in ask.body.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(chunk)?;
        }
    }
    Ok(())
}

fn read(response: IncomingResponse, enough: Option<usize>) -> Told {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = response.headers().entries().iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let mut told = Told { status: response.status(), headers, ..Told::default() };
    let Ok(body) = response.consume() else { return told };
    let mut beginning = Vec::new();
    told.error = rest(&body, enough, &mut told.bytes, &mut beginning).err().map(|error| format!("{error:?}"));
    told.error = told.error.map(|error| error.trim_start_matches("ErrorCode::").to_owned());
    told.body = text(&beginning);
    told
}

/// Reads a body, and keeps its beginning.
fn rest(
    body: &IncomingBody,
    enough: Option<usize>,
    bytes: &mut usize,
    beginning: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let Ok(stream) = body.stream() else { return Ok(()) };
    while enough.is_none_or(|enough| *bytes < enough) {
        match stream.blocking_read(1 << 16) {
            Ok(chunk) => {
                *bytes += chunk.len();
                let room = 1000_usize.saturating_sub(beginning.len());
                beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).unwrap_or(ErrorCode::InternalError(None)));
            }
        }
    }
    Ok(())
}
