//! Hosts of requests: names and addresses, and patterns of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::near::Near;

/// A host in one form: a name in lower case without a last dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// An IPv4 address in IPv6 form is that IPv4 address.
    Ip(IpAddr),
    Name(Box<str>),
}

/// The longest name that there is, and the longest label of one.
const NAME: usize = 253;
const LABEL: usize = 63;

impl Host {
    /// The host at an address.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }

    /// None where it is not plain which host is meant: `0x7f.1` is 127.0.0.1 for some and a name for others.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Some(Self::Ip(IpAddr::V6(inner.parse().ok()?).to_canonical()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.len() <= LABEL && label.bytes().all(plain)
        };
        if text.len() > NAME || !text.split('.').all(is_label) {
            return None;
        }
        let last = text.rsplit('.').next()?;
        let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Ip(IpAddr::V4(text.parse::<Ipv4Addr>().ok()?)));
        }
        if last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some_and(is_hex) {
            return None;
        }
        Some(Self::Name(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The host of an authority, and its port where it has one; none where there is a user before it.
pub(super) fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.contains('@') {
        return None;
    }
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(end);
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

/// A port, which is not 0.
pub(super) fn port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// Hosts that are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// `**`: each name and each address.
    Any,
    /// `*.example`: each name of one label more than this one. `**.example`: of one or more.
    Below { name: Box<str>, deep: bool },
    /// This one alone.
    Exactly(Host),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let plain = |text: &str| {
            if !text.is_ascii() {
                return Err("the host is not ASCII; write the name as it is in the DNS, beginning with xn--");
            }
            if text.ends_with('.') {
                return Err("the host ends with a dot; leave it out, a request may have it");
            }
            Host::parse(text).ok_or("the host is neither a name nor an address")
        };
        let below = |text, deep| match plain(text)? {
            Host::Name(name) => Ok(Self::Below { name, deep }),
            Host::Ip(_) => Err("there are no names below an address"),
        };
        match text {
            "**" => Ok(Self::Any),
            "*" => Err("\"*\" is one label of a name; \"**\" is any host"),
            text => match (text.strip_prefix("**."), text.strip_prefix("*.")) {
                (Some(name), _) => below(name, true),
                (None, Some(name)) => below(name, false),
                (None, None) => match plain(text)? {
                    Host::Ip(ip) if Near::of(ip) == Near::Nobody => Err("no machine has this address"),
                    host => Ok(Self::Exactly(host)),
                },
            },
        }
    }

    pub(super) fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exactly(exactly), host) => exactly == host,
            (Self::Below { name, deep }, Host::Name(host)) => {
                above(host, name).is_some_and(|labels| *deep || !labels.contains('.'))
            }
            (Self::Below { .. }, Host::Ip(_)) => false,
        }
    }

    /// Whoever names a network's own machine means it. Who names all names below another one does not know them.
    pub(super) fn nearest(&self) -> Near {
        match self {
            Self::Any | Self::Below { .. } => Near::Public,
            Self::Exactly(Host::Name(name)) if **name == *"localhost" || name.ends_with(".localhost") => Near::Loopback,
            Self::Exactly(Host::Name(_)) => Near::Private,
            Self::Exactly(Host::Ip(_)) => Near::Link,
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (one, Self::Exactly(host)) => one.matches(host),
            (Self::Below { name, deep: true }, Self::Below { name: other, .. }) => {
                name == other || above(other, name).is_some()
            }
            (Self::Below { deep: false, .. }, Self::Below { .. }) => self == other,
            (Self::Below { .. } | Self::Exactly(_), Self::Any) | (Self::Exactly(_), Self::Below { .. }) => false,
        }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        // What is below two names is so because one is below the other. Between names of one label more, that is not
        // enough: they are the same.
        self.covers(other) || other.covers(self) || {
            let deep = |pattern: &Self| matches!(pattern, Self::Below { deep: true, .. });
            match (self, other) {
                (Self::Below { name, .. }, Self::Below { name: theirs, .. }) => {
                    let is_below = |deep: bool, name, of| deep && above(name, of).is_some();
                    name == theirs || is_below(deep(self), theirs, name) || is_below(deep(other), name, theirs)
                }
                _ => false,
            }
        }
    }
}

/// The labels that stand before `.below`.
fn above<'a>(name: &'a str, below: &str) -> Option<&'a str> {
    name.strip_suffix(below)?.strip_suffix('.')
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("**"),
            Self::Below { name, deep: false } => write!(f, "*.{name}"),
            Self::Below { name, deep: true } => write!(f, "**.{name}"),
            Self::Exactly(host) => host.fmt(f),
        }
    }
}
