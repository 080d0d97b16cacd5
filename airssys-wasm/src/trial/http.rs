//! Requests of HTTP that a test file makes to the listeners of its topology: each over a connection of its own that is
//! no socket, so that all of a listener is in it, and nothing of the machine.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use toml::{Spanned, Table, Value};

use crate::config_file::{ConfigError, Source};
use crate::runtime::Runtime;

/// What is read of a response, in bytes.
const MOST: usize = 1 << 20;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    listen: Option<String>,
    #[serde(default = "get")]
    method: String,
    path: String,
    host: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

fn get() -> String {
    "GET".to_owned()
}

/// A request, with what stands for its number in each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    listen: Option<String>,
    method: String,
    path: String,
    host: Option<String>,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    /// Where the listener listens, as it is written; none for the only one.
    pub(super) fn listen(&self) -> Option<&str> {
        self.listen.as_deref()
    }

    /// Each part made anew that can have a number in it.
    pub(super) fn each(&self, text: impl Fn(&String) -> String) -> Self {
        Self {
            path: text(&self.path),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: text(&self.body),
            ..self.clone()
        }
    }

    /// As it stands in a test file.
    pub(super) fn written(&self, listen: &str) -> Value {
        let Self { method, path, host, headers, body, .. } = self;
        let mut table = Table::from_iter([
            ("listen".to_owned(), listen.into()),
            ("method".to_owned(), method.clone().into()),
            ("path".to_owned(), path.clone().into()),
        ]);
        table.extend(host.clone().map(|host| ("host".to_owned(), host.into())));
        if !headers.is_empty() {
            let headers = headers.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
            table.insert("headers".to_owned(), Value::Table(headers.collect()));
        }
        if !body.is_empty() {
            table.insert("body".to_owned(), body.clone().into());
        }
        Value::Table(table)
    }

    /// As it is sent.
    fn made(&self, listen: &str) -> Result<hyper::Request<Full<Bytes>>, String> {
        let Self { method, path, host, headers, body, .. } = self;
        let mut request = hyper::Request::new(Full::new(Bytes::from(body.clone())));
        *request.method_mut() = method.parse::<Method>().map_err(|_| format!("{method:?} is no method"))?;
        *request.uri_mut() = match path.parse::<Uri>() {
            Ok(uri) if path.starts_with('/') => uri,
            _ => return Err(format!("{path:?} is no path: one begins with a slash, such as \"/cart?n=1\"")),
        };
        let host = host.as_deref().unwrap_or(listen);
        let host = HeaderValue::from_str(host).map_err(|_| format!("{host:?} is no host"))?;
        request.headers_mut().insert(HOST, host);
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
            let value: HeaderValue = value.parse().map_err(|_| format!("the header `{name}` has no value of one"))?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What is written, where it can be sent.
pub(super) fn request(source: &Source, written: &Spanned<Written>) -> Result<Request, ConfigError> {
    let Written { listen, method, path, host, headers, body } = written.get_ref().clone();
    let request = Request { listen, method, path, host, headers, body };
    let tried = request.each(|text| text.replace("{n}", "1")).made("localhost");
    let hint = "`http = { method = \"POST\", path = \"/cart/{n}\", body = \"tea\" }`";
    tried.map_err(|what| source.error(&written.span(), what, hint))?;
    Ok(request)
}

/// Makes a request; its status and what it says.
pub(super) async fn ask(
    runtime: &Runtime,
    listen: &str,
    request: &Request,
    patience: Duration,
) -> Result<String, String> {
    let asked = async {
        let listener = runtime.listener(listen).ok_or_else(|| format!("nobody listens at {listen}"))?;
        let connection = listener.connect().await.ok_or_else(|| format!("nobody listens at {listen} any more"))?;
        exchange(connection, request.made(listen)?).await.map_err(|error| format!("no response: {error}"))
    };
    timeout(patience, asked).await.unwrap_or_else(|_| Err("no response in time".to_owned()))
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(connection: DuplexStream, request: hyper::Request<Full<Bytes>>) -> Result<String, Failed> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    // Ended where nobody waits any more.
    let mut driven = JoinSet::new();
    driven.spawn(async move {
        // Whoever waits for the response is told as well.
        let _how_it_ended = connection.await;
    });
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MOST).collect().await?.to_bytes();
    Ok(format!("{status} {}", String::from_utf8_lossy(&body)))
}

/// The status of an answer.
pub(super) fn status(answer: &str) -> Option<u16> {
    answer.split(' ').next()?.parse().ok()
}
