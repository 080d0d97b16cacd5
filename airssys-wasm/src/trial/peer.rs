//! `[[peer]]` of a test file: who answers what services ask of others by HTTP, and what.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use toml::Spanned;

use super::written::time;
use crate::capability::HttpPattern;
use crate::client::Peer;
use crate::config_file::{ConfigError, Source};
use crate::http::is_hop_by_hop;
use crate::seeded::Fault;

/// From a request to its answer.
const TAKES: Duration = Duration::from_millis(5);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) host: String,
    method: Option<String>,
    path: Option<String>,
    address: Option<Spanned<String>>,
    #[serde(default = "well")]
    status: Spanned<u16>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    body: String,
    takes: Option<Spanned<String>>,
}

fn well() -> Spanned<u16> {
    Spanned::new(0..0, 200)
}

/// What is written, as the client has it.
pub(super) fn peer(source: &Source, written: &Spanned<Written>) -> Result<Peer, ConfigError> {
    let span = written.span();
    let Written { host, method, path, address, status, headers, body, takes } = written.get_ref();
    let (method, path) = (method.as_deref().unwrap_or("*"), path.as_deref().unwrap_or("/**"));
    let over = |scheme: &str| {
        let pattern = format!("{method} {scheme}://{host}{path}").parse::<HttpPattern>();
        pattern.map_err(|error| source.error(&span, format!("this peer answers nothing: {error}"), HINT))
    };
    let requests = [over("http")?, over("https")?];
    let address = address.as_ref().map(|text| {
        let wrong = |_| {
            let what = format!("{:?} is no address", text.get_ref());
            source.error(&text.span(), what, "`address` is where the name leads, such as \"10.0.0.7\"")
        };
        text.get_ref().parse::<IpAddr>().map_err(wrong)
    });
    let code = *status.get_ref();
    let known = StatusCode::from_u16(code).ok().filter(|_| (200..600).contains(&code));
    let status = known.ok_or_else(|| {
        source.error(&status.span(), format!("`status` is {code}, and is that of an answer: from 200 to 599"), "")
    })?;
    Ok(Peer {
        requests,
        address: address.transpose()?,
        status,
        headers: map(source, headers)?,
        body: body.clone().into(),
        takes: takes.as_ref().map_or(Ok(TAKES), |text| time(source, text))?,
    })
}

const HINT: &str =
    "`host` is a name or an address, as a grant of `http` has it; `method` and `path` too, such as \"/v1/**\"";

fn map(source: &Source, written: &BTreeMap<String, Spanned<String>>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let wrong = |why: &str| source.error(&value.span(), format!("the header `{name}` {why}"), "");
        let known = name.parse::<HeaderName>().map_err(|_| wrong("has a name that is none"))?;
        if is_hop_by_hop(&known) || known == CONTENT_LENGTH {
            return Err(wrong("is about the connection, which writes it itself"));
        }
        headers.insert(known, value.get_ref().parse().map_err(|_| wrong("has a value that none can have"))?);
    }
    Ok(headers)
}

/// Whether a fault is about a peer that there is; what is wrong otherwise.
pub(super) fn is_there(fault: &Fault, peers: &[Spanned<Written>]) -> Result<(), String> {
    if !fault.kind.is_of_peers() {
        return Ok(());
    }
    if peers.is_empty() {
        return Err(format!("a fault is `{}`, and there is no [[peer]] of which it could be", fault.kind));
    }
    let Some(named) = &fault.peer else { return Ok(()) };
    // One host of many is one of a pattern.
    let is_meant = |peer: &Spanned<Written>| peer.get_ref().host.contains('*') || peer.get_ref().host == *named;
    match peers.iter().any(is_meant) {
        true => Ok(()),
        false => Err(format!("no [[peer]] has the `host` {named:?} of this fault")),
    }
}
