//! What is written of a listener: where it listens, what it may take, and where its routes lead. Plain data.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use toml::{Spanned, Value};

use crate::limits::HELD;
use crate::schema::{Bytes, Count, Humane, Key, MILLISECOND, Number, Schema, Written, YEAR, schema};

/// The segments that a path may be counted to for a key.
const MOST_SEGMENTS: u64 = 64;

/// An address of the host at which requests are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    /// Where it listens; with port 0, at a port that the host chooses.
    pub(crate) listen: SocketAddr,
    /// Where its certificate is; none for plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// What it may take.
    pub(crate) limits: HttpLimits,
    /// Where its requests go.
    pub(crate) routes: Vec<Route>,
}

/// What a listener may take of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpLimits {
    pub(crate) max_connections: usize,
    pub(crate) max_requests: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body: u64,
    pub(crate) body_buffer: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            limits: HttpLimits {
                max_connections: 1_000,
                max_requests: 4_096,
                header_bytes: 32 << 10,
                body: 16 << 20,
                body_buffer: 64 << 10,
                header_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(30),
                request_timeout: Duration::from_secs(30),
                idle_timeout: Duration::from_secs(60),
            },
            routes: Vec::new(),
        }
    }
}

schema! {
    of Listening, written WrittenListening {
        /// where it listens, such as `"127.0.0.1:8080"` or `"[::]:80"`. Port 0 is one that the host chooses, and tells
        /// with an [event](operating.md#events). Each listener has another one
        listen: Spanned<String> => listen, needed "required", kind "address with a port";
        /// the files of its certificate and key; with them it speaks HTTPS
        tls: WrittenTls => tls, by InPlace, default "none: plain HTTP";
        /// connections at a time; others wait until one of them ends
        max_connections: Count<usize> => limits.max_connections, in 1..=1_000_000, by InPlace;
        /// requests at a time, of all its connections together; one more is answered with 503
        max_requests: Count<usize> => limits.max_requests, in 1..=1_000_000, by InPlace;
        /// the head of a request: its first line, and its headers. A larger one is answered with 431. For connections
        /// that come after the change
        header_bytes: Bytes => limits.header_bytes, in 1 << 10..=1 << 20, by InPlace;
        /// the body of a request, in whole. A larger one is answered with 413
        body: Bytes => limits.body, in 0..=HELD, by InPlace;
        /// as much of a body as is read before a service has the request; what is longer is read by the service as it
        /// comes, and such a request is not tried again
        body_buffer: Bytes => limits.body_buffer, in 0..=16 << 20, by InPlace;
        /// how long the head of a request may be in coming, from its first byte on, and the handshake of TLS. Then the
        /// connection is closed
        header_timeout: Humane => limits.header_timeout, in MILLISECOND..=YEAR, by InPlace;
        /// how long the body of a request may be in coming, as far as it is read before a service has it. Then the
        /// request is answered with 408
        body_timeout: Humane => limits.body_timeout, in MILLISECOND..=YEAR, by InPlace;
        /// how long a service may take to answer. Then the request is answered with 504
        request_timeout: Humane => limits.request_timeout, in MILLISECOND..=YEAR, by InPlace;
        /// how long a connection may be without a request, and how long a client may take nothing of an answer. Then it
        /// is closed
        idle_timeout: Humane => limits.idle_timeout, in MILLISECOND..=YEAR, by InPlace;
        /// where its requests go: each `[[http.route]]`
        route: Vec<Spanned<WrittenRoute>> => routes, by InPlace, kind "list of tables", default "none";
    }
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tls {
    /// The certificates.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

schema! {
    of Tls, written WrittenTls {
        /// a file with the certificate of the host, and those between it and one that clients trust, in PEM
        certificate: Spanned<PathBuf> => certificate, needed "required";
        /// a file with its private key, in PEM
        key: Spanned<PathBuf> => key, needed "required";
    }
}

/// Which requests go to which service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Route {
    /// The host that is asked for; none for any.
    pub(crate) host: Option<String>,
    /// What its path begins with, in whole segments.
    pub(crate) path: String,
    /// The methods; all, where it is empty.
    pub(crate) methods: Vec<String>,
    /// Whom it goes to.
    pub(crate) service: String,
    /// What chooses the key there.
    pub(crate) key: Option<RouteKey>,
}

schema! {
    of Route, written WrittenRoute {
        /// the host that a client asks for, without a port
        host: Spanned<String> => host, by InPlace, default "any";
        /// what the path begins with, in whole segments: `/cart` is `/cart` and `/cart/7`, and not `/cartoon`
        path: Spanned<String> => path, by InPlace, default "`\"/\"`";
        /// the methods, such as `["GET", "POST"]`; who takes `GET` takes `HEAD`
        methods: Vec<Spanned<String>> => methods, by InPlace, default "all";
        /// the service that answers
        service: Spanned<String> => service, needed "required", by InPlace, kind "name of a service";
        /// which of its actors answers: see [one actor a session](http.md#one-actor-a-session)
        key: Spanned<WrittenRouteKey> => key, by InPlace, default "none";
    }
}

impl Route {
    /// Which requests it is for, for people: `GET, POST shop.example/cart`.
    pub(crate) fn place(&self) -> String {
        let methods = if self.methods.is_empty() { String::new() } else { format!("{} ", self.methods.join(", ")) };
        format!("{methods}{}{}", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

/// What it is for, and where it leads, for people.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} goes to {}", self.place(), self.service)?;
        match &self.key {
            Some(RouteKey { header: Some(name), .. }) => write!(f, ", by the header {name}"),
            Some(RouteKey { cookie: Some(name), .. }) => write!(f, ", by the cookie {name}"),
            Some(RouteKey { path: Some(at), .. }) => write!(f, ", by segment {at} of the path"),
            _ => Ok(()),
        }
    }
}

/// What of a request is the key of the actor that answers it: one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RouteKey {
    /// A header.
    pub(crate) header: Option<String>,
    /// A cookie.
    pub(crate) cookie: Option<String>,
    /// Whether one is made where there is no such cookie.
    pub(crate) make: bool,
    /// A segment of the path, counted from 1.
    pub(crate) path: Option<usize>,
}

schema! {
    of RouteKey, written WrittenRouteKey {
        /// the header that has it
        header: String => header, default "none";
        /// the cookie that has it
        cookie: String => cookie, default "none";
        /// whether a client without the cookie gets one, of 128 random bits
        make: bool => make, default "`false`";
        /// the segment of the path that is it: 2 for `alice` in `/cart/alice`
        path: Count<usize> => path, in 1..=MOST_SEGMENTS, default "none";
    }
}

/// Whether it is one is told with its place, by those who have the file.
impl Written<SocketAddr> for String {
    const KIND: &'static str = "address with a port";

    fn put(&self, _field: &mut SocketAddr) {}

    fn value(field: &SocketAddr) -> Option<Value> {
        Some(field.to_string().into())
    }
}

/// Tables that may be left out.
macro_rules! optional {
    ($($written:ty: $of:ty;)+) => {
        $(impl Written<Option<$of>> for $written {
            const KIND: &'static str = "table";

            fn put(&self, field: &mut Option<$of>) {
                field.get_or_insert_default().take(self);
            }

            fn value(field: &Option<$of>) -> Option<Value> {
                field.as_ref().map(|of| of.table().into())
            }

            fn numbers(field: &Option<$of>, key: &'static Key, all: &mut Vec<Number>) {
                if let Some(of) = field {
                    <Self as Written<$of>>::numbers(of, key, all);
                }
            }
        })+
    };
}

optional! {
    WrittenTls: Tls;
    WrittenRouteKey: RouteKey;
}

/// A number that may be left out.
impl Written<Option<usize>> for Count<usize> {
    const KIND: &'static str = <Self as Written<usize>>::KIND;
    const UNIT: Option<crate::schema::Unit> = <Self as Written<usize>>::UNIT;

    fn put(&self, field: &mut Option<usize>) {
        *field = Some(self.0);
    }

    fn value(field: &Option<usize>) -> Option<Value> {
        field.as_ref().and_then(<Self as Written<usize>>::value)
    }

    fn numbers(field: &Option<usize>, key: &'static Key, all: &mut Vec<Number>) {
        if let Some(number) = field {
            <Self as Written<usize>>::numbers(number, key, all);
        }
    }
}

/// Whether each leads somewhere is told with its place, by those who have the file: they put them there.
impl Written<Vec<Route>> for Vec<Spanned<WrittenRoute>> {
    const KIND: &'static str = "list of tables";

    fn put(&self, _field: &mut Vec<Route>) {}

    fn value(field: &Vec<Route>) -> Option<Value> {
        Some(field.iter().map(|route| Value::Table(route.table())).collect::<Vec<_>>().into())
    }
}
