//! At which addresses of this machine sockets may be bound, and listen.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::rule::Rule;

/// An IP address of this machine, or `*` for any, and a port or `*`.
///
/// The unspecified address (`0.0.0.0`, `[::]`) is an address as any other here: who is granted it listens at all
/// addresses of the machine, and at no single one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BindAddress {
    /// None for any.
    ip: Option<IpAddr>,
    /// None for any, also for one that the system chooses.
    port: Option<u16>,
}

/// A text that is no address to bind a socket to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no address to bind a socket to: {why}; one is IP:PORT, with '*' for any port or any IP, such as \"127.0.0.1:9000\", \"[::]:80\" or \"127.0.0.1:*\""
)]
pub(crate) struct BindAddressError {
    text: String,
    why: &'static str,
}

impl std::str::FromStr for BindAddress {
    type Err = BindAddressError;

    fn from_str(text: &str) -> Result<Self, BindAddressError> {
        parse(text).map_err(|why| BindAddressError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<BindAddress, &'static str> {
    let (ip, port) = text.rsplit_once(':').ok_or("there is no port")?;
    let port = match port {
        "*" => None,
        "0" => return Err("port 0 is one that the system chooses; write `*`, since it may be any"),
        number => Some(number.parse().map_err(|_| "the port is no number")?),
    };
    let ip = match ip {
        "*" => None,
        ip => {
            let inner = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
            let known = match inner {
                Some(ip) => ip.parse().ok().map(IpAddr::V6),
                None => ip.parse().ok().map(IpAddr::V4),
            };
            Some(known.ok_or("the host is no address; a name cannot be bound to")?.to_canonical())
        }
    };
    Ok(BindAddress { ip, port })
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            None => f.write_str("*")?,
            Some(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
        }
        match self.port {
            None => f.write_str(":*"),
            Some(port) => write!(f, ":{port}"),
        }
    }
}

impl serde::Serialize for BindAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Rule for BindAddress {
    type Target = SocketAddr;
    const TARGET: &'static str = "address to bind a socket to, such as \"127.0.0.1:9000\"";

    fn target(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    fn lets(&self, target: &SocketAddr) -> bool {
        // One form of both: an IPv4 address in IPv6 clothes is that IPv4 address.
        let has_ip = self.ip.is_none_or(|ip| ip == target.ip().to_canonical());
        // Port 0 is any port: only who may have any is let choose it.
        has_ip && self.port.is_none_or(|port| port == target.port())
    }

    fn includes(&self, other: &Self) -> bool {
        (self.ip.is_none() || self.ip == other.ip) && (self.port.is_none() || self.port == other.port)
    }

    fn meets(&self, other: &Self) -> bool {
        let meet_ip = self.ip.is_none() || other.ip.is_none() || self.ip == other.ip;
        meet_ip && (self.port.is_none() || other.port.is_none() || self.port == other.port)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{BindAddress, Rule};

    fn rule(text: &str) -> BindAddress {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_compared_in_one_form_and_port_0_is_any() {
        for (text, address, lets) in [
            ("127.0.0.1:9000", "127.0.0.1:9000", true),
            ("127.0.0.1:9000", "127.0.0.1:9001", false),
            ("127.0.0.1:9000", "127.0.0.2:9000", false),
            ("127.0.0.1:9000", "[::ffff:127.0.0.1]:9000", true),
            ("[::ffff:127.0.0.1]:9000", "127.0.0.1:9000", true),
            ("127.0.0.1:9000", "0.0.0.0:9000", false),
            ("0.0.0.0:9000", "127.0.0.1:9000", false),
            ("0.0.0.0:9000", "0.0.0.0:9000", true),
            ("0.0.0.0:9000", "[::]:9000", false),
            ("127.0.0.1:9000", "127.0.0.1:0", false),
            ("127.0.0.1:*", "127.0.0.1:0", true),
            ("*:9000", "[::1]:9000", true),
            ("*:9000", "[::1]:0", false),
            ("*:*", "[::]:0", true),
        ] {
            assert_eq!(rule(text).lets(&address.parse().unwrap()), lets, "{text} {address}");
        }
    }

    #[test]
    fn what_is_no_such_address_says_why() {
        for (text, why) in [
            ("127.0.0.1", "there is no port"),
            ("127.0.0.1:0", "write `*`"),
            ("127.0.0.1:70000", "the port is no number"),
            ("localhost:80", "a name cannot be bound to"),
            ("::1:80", "the host is no address"),
            ("[127.0.0.1]:80", "the host is no address"),
            ("127.1:80", "the host is no address"),
            ("", "there is no port"),
        ] {
            let error = text.parse::<BindAddress>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_wider_one_includes_a_narrower_one_and_not_the_other_way_round() {
        for (wide, narrow) in [("*:*", "127.0.0.1:80"), ("*:80", "[::1]:80"), ("[::1]:*", "[::1]:80")] {
            let (wide, narrow) = (rule(wide), rule(narrow));
            assert!(wide.includes(&narrow) && !narrow.includes(&wide) && wide.meets(&narrow) && narrow.meets(&wide));
            assert_eq!(rule(&wide.to_string()), wide);
        }
        assert!(!rule("*:80").meets(&rule("127.0.0.1:81")));
        assert!(rule("*:80").meets(&rule("127.0.0.1:*")) && !rule("*:80").includes(&rule("127.0.0.1:*")));
    }
}
