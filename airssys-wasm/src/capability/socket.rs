//! Where sockets may go: an address, or a name that the host resolves, and a port.
//!
//! A name is compared in one form: in lower case, without its last dot, and never one that some would take for an
//! address. It says nothing about where it leads, and who has a name decides that: so a grant by name reaches what is
//! public, and what is nearer only where the grant says so.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::http::{Host, Near};
use super::rule::Rule;

/// Where a socket may go: an IP address, a name, or `*` for any address, and a port or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketAddress {
    host: SocketHost,
    /// None for any.
    port: Option<u16>,
    /// How near an address may be that the name leads to.
    nearest: Near,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SocketHost {
    /// Each address; as a request, each name as well.
    Any,
    Ip(IpAddr),
    Name(Box<str>),
}

/// Where a socket is to go, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SocketTarget {
    /// An address.
    Address(SocketAddr),
    /// A name, a port, and how near an address is that it leads to.
    Name(Box<str>, u16, Near),
}

impl SocketTarget {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        match text.parse().ok()? {
            SocketAddress { host: SocketHost::Name(name), port: Some(port), nearest } => {
                Some(Self::Name(name, port, nearest))
            }
            _ => None,
        }
    }

    /// How it is granted that a name leads to this address.
    pub(crate) fn named(name: &str, address: SocketAddr) -> String {
        let nearest = Near::of(address.ip()).max(usual(name));
        SocketAddress { host: SocketHost::Name(name.into()), port: Some(address.port()), nearest }.to_string()
    }
}

/// How near an address may be that a name leads to where nothing else is said.
fn usual(name: &str) -> Near {
    if name == "localhost" || name.ends_with(".localhost") { Near::Loopback } else { Near::Public }
}

impl SocketAddress {
    /// Whether it covers `address`, by no name.
    #[must_use]
    pub(crate) fn matches(&self, address: SocketAddr) -> bool {
        self.has_ip(address.ip()) && self.has_port(address.port())
    }

    /// Whether it covers this address with some port, by no name.
    pub(crate) fn has_ip(&self, address: IpAddr) -> bool {
        match &self.host {
            SocketHost::Any => true,
            // One form of both: an IPv4 address in IPv6 clothes is that IPv4 address. Flow and scope are no part of who
            // is meant.
            SocketHost::Ip(ip) => ip.to_canonical() == address.to_canonical(),
            SocketHost::Name(_) => false,
        }
    }

    /// Whether it is for this port.
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// The name that it is for, where it is for one.
    pub(crate) fn name(&self) -> Option<&str> {
        if let SocketHost::Name(name) = &self.host { Some(name) } else { None }
    }

    /// How near an address may be that its name leads to.
    pub(crate) fn nearest(&self) -> Near {
        self.nearest
    }

    /// Whether, as a request, it asks for a name, with this port or any one.
    pub(crate) fn asks_for_name(&self, name: &str, port: Option<u16>) -> bool {
        let has_name = self.name() == Some(name) || matches!(self.host, SocketHost::Any);
        has_name && port.is_none_or(|port| self.has_port(port))
    }

    fn meets_port(&self, other: &Self) -> bool {
        self.port.is_none() || other.port.is_none() || self.port == other.port
    }

    fn has_all_ports(&self, other: &Self) -> bool {
        self.port.is_none_or(|port| other.port == Some(port))
    }

    /// Whether it is for any address, and the other one for a name.
    fn is_any_beside_name(&self, other: &Self) -> bool {
        matches!((&self.host, &other.host), (SocketHost::Any, SocketHost::Name(_)))
    }
}

/// A text that is no socket address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no socket address: {why}; one is IP:PORT or NAME:PORT, with '*' for any port or any IP, such as \"127.0.0.1:5432\", \"[::1]:*\" or \"db.example.com:5432\"; behind a name, `private`, `loopback` or `link-local` says how near it may lead"
)]
pub(crate) struct SocketAddressError {
    text: String,
    why: &'static str,
}

impl std::str::FromStr for SocketAddress {
    type Err = SocketAddressError;

    fn from_str(text: &str) -> Result<Self, SocketAddressError> {
        parse(text).map_err(|why| SocketAddressError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<SocketAddress, &'static str> {
    let (place, near) = text.split_once(' ').map_or((text, None), |(place, near)| (place, Some(near)));
    let (host, port) = place.rsplit_once(':').ok_or("there is no port")?;
    let port = match port {
        "*" => None,
        number => Some(number.parse().map_err(|_| "the port is no number")?),
    };
    let host = match host {
        "*" => SocketHost::Any,
        host if !host.is_ascii() => {
            return Err("the name is not ASCII; write it as it is in the DNS, beginning with xn--");
        }
        host if host.ends_with('.') => return Err("the name ends with a dot; leave it out, a guest may write it"),
        host => match Host::parse(host).ok_or("the host is neither a name nor an address")? {
            Host::Ip(ip) => SocketHost::Ip(ip),
            Host::Name(name) => SocketHost::Name(name),
        },
    };
    let nearest = match (&host, near) {
        (SocketHost::Name(name), None) => usual(name),
        (SocketHost::Name(_), Some(word)) => {
            let all = [Near::Private, Near::Loopback, Near::Link];
            all.into_iter().find(|near| near.name() == word).ok_or("what stands behind the port is no such word")?
        }
        // To connect to it is to connect to this machine, and whoever writes it means something else.
        (SocketHost::Ip(ip), _) if ip.is_unspecified() => return Err("no machine has this address"),
        (_, Some(_)) => return Err("an address is as near as it is: only behind a name is said how near it may lead"),
        (_, None) => Near::Public,
    };
    Ok(SocketAddress { host, port, nearest })
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            SocketHost::Any => f.write_str("*")?,
            SocketHost::Ip(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            SocketHost::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
            SocketHost::Name(name) => f.write_str(name)?,
        }
        match self.port {
            None => f.write_str(":*")?,
            Some(port) => write!(f, ":{port}")?,
        }
        match &self.host {
            SocketHost::Name(name) if self.nearest != usual(name) => write!(f, " {}", self.nearest.name()),
            _ => Ok(()),
        }
    }
}

impl serde::Serialize for SocketAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Rule for SocketAddress {
    type Target = SocketTarget;
    const TARGET: &'static str = "socket address, such as \"10.0.0.1:80\" or \"db.example.com:5432\"";

    fn target(text: &str) -> Option<SocketTarget> {
        SocketTarget::parse(text)
    }

    fn lets(&self, target: &SocketTarget) -> bool {
        match target {
            SocketTarget::Address(address) => self.matches(*address),
            SocketTarget::Name(name, port, near) => {
                self.name() == Some(name) && self.has_port(*port) && self.nearest >= *near
            }
        }
    }

    /// How near a name may lead is for a grant to say: one by the same name includes another.
    fn includes(&self, other: &Self) -> bool {
        let has_host = match (&self.host, &other.host) {
            (SocketHost::Any, SocketHost::Any | SocketHost::Ip(_)) => true,
            (one, other) => one == other,
        };
        has_host && self.has_all_ports(other)
    }

    fn meets(&self, other: &Self) -> bool {
        let have_host = match (&self.host, &other.host) {
            (SocketHost::Any, SocketHost::Name(_)) | (SocketHost::Name(_), SocketHost::Any) => false,
            (SocketHost::Any, _) | (_, SocketHost::Any) => true,
            (one, other) => one == other,
        };
        have_host && self.meets_port(other)
    }

    fn asks(&self, target: &SocketTarget) -> bool {
        match target {
            SocketTarget::Address(_) => self.lets(target),
            SocketTarget::Name(name, port, _) => self.asks_for_name(name, Some(*port)),
        }
    }

    fn asks_for_all(&self, given: &Self) -> bool {
        self.is_any_beside_name(given) && self.has_all_ports(given) || self.includes(given)
    }

    fn asks_for_some(&self, given: &Self) -> bool {
        self.is_any_beside_name(given) && self.meets_port(given) || self.meets(given)
    }
}

#[cfg(test)]
mod tests;
