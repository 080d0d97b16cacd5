//! Which HTTP requests are asked for and granted: a method, a scheme, a host, a port and a path.
//!
//! `GET https://api.example/v1/**`. What is compared is what everybody on the way takes a request for: a host without
//! its case and its last dot, an address in one form, a path whose escapes are spelled in one way. What two servers
//! could take for two things (a user before the host, `..` however it is escaped, an empty segment) is no target at
//! all, so no pattern matches it.
//!
//! A name says nothing about where it leads, and who has a name decides that: so a pattern says also how [`Near`] an
//! address may be that the name leads to.

mod host;
mod near;
mod path;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub(crate) use self::host::Host;
use self::host::HostPattern;
pub(crate) use self::near::Near;
use self::path::{Path, PathPattern};

/// A pattern of requests that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpPattern {
    /// None for any.
    method: Option<Box<str>>,
    scheme: Scheme,
    host: HostPattern,
    /// None for any.
    port: Option<u16>,
    path: PathPattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A text that is no pattern of requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no pattern of HTTP requests: {why}; one is METHOD SCHEME://HOST/PATH, such as \"GET https://api.example/v1/**\" or \"* http://127.0.0.1:9000/**\""
)]
pub(crate) struct HttpPatternError {
    text: String,
    why: &'static str,
}

/// A request that somebody wants to make, but for what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpTarget {
    method: Box<str>,
    scheme: Scheme,
    /// Where it goes.
    pub(crate) host: Host,
    /// To which port.
    pub(crate) port: u16,
    path: Path,
}

impl HttpTarget {
    /// Of a request to this authority; none where it is not plain to whom it would go, or what for.
    ///
    /// `CONNECT` asks for a way through to somebody else, so it is never one.
    pub(crate) fn of(method: &str, scheme: &str, authority: &str, path_with_query: &str) -> Option<Self> {
        let scheme = [Scheme::Http, Scheme::Https].into_iter().find(|known| known.name() == scheme)?;
        let path = path_with_query.split_once('?').map_or(path_with_query, |(path, _)| path);
        let (host, port) = match host::split_port(authority)? {
            (host, None) => (host, scheme.port()),
            (host, Some(port)) => (host, host::port(port)?),
        };
        if method == "CONNECT" || !is_token(method) {
            return None;
        }
        Some(Self { method: method.into(), scheme, host: Host::parse(host)?, port, path: Path::parse(path)? })
    }

    /// Whether it goes to the same server.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// `GET https://host/path`, as people write it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (method, url) = text.split_once(' ')?;
        let (scheme, rest) = url.split_once("://")?;
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        Self::of(method, scheme, authority, if path.is_empty() { "/" } else { path })
    }

    /// How near an address may be that it leads to, where nothing but this request is granted.
    pub(crate) fn nearest(&self) -> Near {
        HostPattern::Exactly(self.host.clone()).nearest()
    }

    /// The host, and the port where the scheme does not say it.
    pub(crate) fn authority(&self) -> String {
        let Self { scheme, host, port, .. } = self;
        if *port == scheme.port() { host.to_string() } else { format!("{host}:{port}") }
    }

    /// Whether the connection is one of TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

impl fmt::Display for HttpTarget {
    /// Without its query, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}{}", self.method, self.scheme.name(), self.authority(), self.path)
    }
}

impl HttpPattern {
    /// Whether it matches. Allocates nothing.
    #[must_use]
    pub(crate) fn matches(&self, target: &HttpTarget) -> bool {
        self.method.as_ref().is_none_or(|method| *method == target.method)
            && self.scheme == target.scheme
            && self.port.is_none_or(|port| port == target.port)
            && self.host.matches(&target.host)
            && self.path.matches(&target.path)
    }

    /// How near an address may be that the host leads to.
    pub(crate) fn nearest(&self) -> Near {
        self.host.nearest()
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.method.as_ref().is_none_or(|method| other.method.as_ref() == Some(method))
            && self.scheme == other.scheme
            && self.port.is_none_or(|port| other.port == Some(port))
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }

    /// Whether there is something that both match.
    #[must_use]
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        fn meet<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        meet(self.method.as_ref(), other.method.as_ref())
            && self.scheme == other.scheme
            && meet(self.port.as_ref(), other.port.as_ref())
            && self.host.overlaps(&other.host)
            && self.path.overlaps(&other.path)
    }
}

/// Whether it can be a method.
fn is_token(method: &str) -> bool {
    !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

impl FromStr for HttpPattern {
    type Err = HttpPatternError;

    fn from_str(text: &str) -> Result<Self, HttpPatternError> {
        parse(text).map_err(|why| HttpPatternError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<HttpPattern, &'static str> {
    let (method, rest) = text.split_once(' ').ok_or("there is no method and one space before the address")?;
    let method = match method {
        "*" => None,
        "CONNECT" => return Err("CONNECT asks for a way through to somebody else, which cannot be granted"),
        method if !is_token(method) || method.contains('*') => return Err("the method is none"),
        method if method.bytes().any(|byte| byte.is_ascii_lowercase()) => return Err("methods are upper case"),
        method => Some(method.into()),
    };
    let (scheme, rest) = match rest.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err("the scheme is neither http:// nor https://"),
    };
    let at = rest.find('/').ok_or("there is no path after the host; \"/**\" is every path")?;
    let (authority, path) = rest.split_at(at);
    let (host, port) = host::split_port(authority).ok_or("the host is none; leave a user out")?;
    let port = match port {
        None => Some(scheme.port()),
        Some("*") => None,
        Some(port) => Some(host::port(port).ok_or("the port is none; \"*\" is any")?),
    };
    Ok(HttpPattern { method, scheme, host: HostPattern::parse(host)?, port, path: PathPattern::parse(path)? })
}

impl fmt::Display for HttpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, scheme, host, port, path } = self;
        write!(f, "{} {}://{host}", method.as_deref().unwrap_or("*"), scheme.name())?;
        match port {
            None => f.write_str(":*")?,
            Some(port) if *port == scheme.port() => {}
            Some(port) => write!(f, ":{port}")?,
        }
        path.fmt(f)
    }
}

impl serde::Serialize for HttpPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
