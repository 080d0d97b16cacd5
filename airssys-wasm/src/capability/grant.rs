//! What is requested and what is granted, as both are written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::access::{Access, RightMarks};
use super::given::{Given, Mark, in_force};
use super::http::HttpPattern;
use super::pattern::Pattern;
use super::process::ProcessGrant;
use super::tally::Tallied;
use super::topics::Topics;
use crate::limits::FOLDER_BYTES;
use crate::quota::Folder;
use crate::typed::FunctionType;

/// A folder of the host, as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileGrant {
    /// The host's folder.
    pub(crate) host: PathBuf,
    /// What may be done with it; by default to read and to list.
    pub(crate) access: Access,
    /// What may be in it for a guest to write more, in bytes; default 1 GiB. Each file, folder and link counts 4 KiB
    /// and its size.
    pub(crate) max_bytes: u64,
    /// The folder itself, once a mesh has opened it. What is compared is what was written: it is equal to any other.
    pub(crate) held: FolderHandle,
    /// Until when it is granted; none for good.
    pub(crate) until: Option<SystemTime>,
    /// What became of it.
    pub(crate) mark: Mark,
    /// What became of each right.
    pub(crate) rights: RightMarks,
}

impl FileGrant {
    /// A folder that is not opened yet, with the default bound.
    #[must_use]
    pub(crate) fn new(host: impl Into<PathBuf>, access: Access) -> Self {
        Self {
            host: host.into(),
            access,
            max_bytes: FOLDER_BYTES,
            held: FolderHandle::default(),
            until: None,
            mark: Mark::default(),
            rights: RightMarks::default(),
        }
    }

    /// The same of another service: what is taken away from this one stays there.
    #[must_use]
    pub(super) fn anew(&self) -> Self {
        Self { mark: Mark::default(), rights: RightMarks::default(), ..self.clone() }
    }

    /// What may be done with it now.
    pub(crate) fn now(&self) -> Access {
        if self.mark.is_revoked() { Access::NONE } else { self.access - self.rights.revoked() }
    }

    /// The mark of what lets this be done, of who asks for so much; none where it may not be. To look at something
    /// needs any right.
    pub(super) fn by(&self, right: Access, wanted: Access) -> Option<&Mark> {
        let may = self.now() & wanted;
        let by = if right.is_empty() { may.each().next()? } else { right };
        self.rights.of(by).filter(|_| may.contains(by))
    }
}

/// A handle of a folder. From its opening on it is that folder, whatever is at its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct FolderHandle(pub(crate) Option<Arc<Folder>>);

impl FolderHandle {
    /// A path that leads to the folder and to no other, for as long as it is held; none where it was never opened.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| format!("/proc/self/fd/{}", folder.handle.as_raw_fd()).into())
    }
}

impl PartialEq for FolderHandle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FolderHandle {}

/// Where a socket may go: an IP address or `*`, and a port or `*`. A name is not enough: what is checked is the address
/// that is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketAddress {
    /// The address; none for any.
    pub(crate) ip: Option<IpAddr>,
    /// The port; none for any.
    pub(crate) port: Option<u16>,
}

impl SocketAddress {
    /// Whether it covers `address`.
    #[must_use]
    pub(crate) fn matches(&self, address: SocketAddr) -> bool {
        // One form of both: an IPv4 address in IPv6 clothes is that IPv4 address. Flow and scope are no part of who is
        // meant.
        self.ip.is_none_or(|ip| ip.to_canonical() == address.ip().to_canonical())
            && self.port.is_none_or(|port| port == address.port())
    }
}

impl SocketAddress {
    /// Whether it covers all that `other` does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.ip.is_none_or(|ip| other.ip == Some(ip)) && self.port.is_none_or(|port| other.port == Some(port))
    }

    /// Whether there is an address that both cover.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
            && (self.port.is_none() || other.port.is_none() || self.port == other.port)
    }
}

/// A text that is no socket address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no socket address: that is IP:PORT, with '*' for any, such as \"127.0.0.1:5432\" or \"[::1]:*\"; names are not understood"
)]
pub(crate) struct SocketAddressError {
    text: String,
}

impl std::str::FromStr for SocketAddress {
    type Err = SocketAddressError;

    fn from_str(text: &str) -> Result<Self, SocketAddressError> {
        let bad = || SocketAddressError { text: text.to_owned() };
        let (ip, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let ip = match ip {
            "*" => None,
            bracketed if bracketed.starts_with('[') => {
                let inner = bracketed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(bad)?;
                Some(IpAddr::V6(inner.parse().map_err(|_| bad())?).to_canonical())
            }
            plain => Some(IpAddr::V4(plain.parse().map_err(|_| bad())?)),
        };
        // To connect to it is to connect to this machine, and whoever writes it means something else.
        if ip.is_some_and(|ip: IpAddr| ip.is_unspecified()) {
            return Err(bad());
        }
        let port = match port {
            "*" => None,
            number => Some(number.parse().map_err(|_| bad())?),
        };
        Ok(Self { ip, port })
    }
}

impl fmt::Display for SocketAddress {
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

impl serde::Serialize for SocketAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a release asks for.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # std::fs::write(folder.join("cart.wasm"), wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?)?;
/// let text = "name = \"cart\"\nversion = \"1.0.0\"\n[requests]\ncall = [\"pricing\"]\n";
/// std::fs::write(folder.join("cart.toml"), text)?;
/// let requests = Release::find(&folder.join("cart.wasm"))?.inspect()?.requests;
/// let call = requests.by_key().into_iter().find(|(key, _)| *key == "call");
/// assert_eq!(call, Some(("call", vec!["pricing".to_owned()])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// Addresses it sends to.
    pub(crate) send: Vec<Pattern>,
    /// Addresses it calls.
    pub(crate) call: Vec<Pattern>,
    /// Topics it publishes on.
    pub(crate) publish: Vec<Pattern>,
    /// Topics it subscribes to.
    pub(crate) subscribe: Vec<Topics>,
    /// Addresses under which it spawns children. Where it is empty, the interface is not linked.
    pub(crate) spawn: Vec<Pattern>,
    /// Folders, by the path that the guest sees.
    pub(crate) files: BTreeMap<String, Access>,
    /// Environment variables.
    pub(crate) environment: Vec<String>,
    /// Socket addresses it connects to by TCP and exchanges datagrams with by UDP.
    pub(crate) sockets: Vec<SocketAddress>,
    /// HTTP requests it makes.
    pub(crate) http: Vec<HttpPattern>,
    /// Programs that it starts, by their names. Where it is empty, the interface is not linked.
    pub(crate) processes: Vec<String>,
}

impl Requests {
    /// What is asked for, by the key of `[requests]` that it stands under.
    #[must_use]
    pub fn by_key(&self) -> Vec<(&'static str, Vec<String>)> {
        fn texts<T: ToString>(all: &[T]) -> Vec<String> {
            all.iter().map(T::to_string).collect()
        }
        let files = self.files.iter().map(|(path, access)| match *access {
            Access::VIEW => path.clone(),
            Access::ALL => format!("{path} (to write)"),
            some => format!("{path} ({some})"),
        });
        vec![
            ("send", texts(&self.send)),
            ("call", texts(&self.call)),
            ("publish", texts(&self.publish)),
            ("subscribe", texts(&self.subscribe)),
            ("spawn", texts(&self.spawn)),
            ("files", files.collect()),
            ("environment", self.environment.clone()),
            ("sockets", texts(&self.sockets)),
            ("http", texts(&self.http)),
            ("processes", self.processes.clone()),
        ]
    }
}

/// What the operator gives to a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Addresses it may send to.
    pub(crate) send: Vec<Given<Pattern>>,
    /// Addresses it may call.
    pub(crate) call: Vec<Given<Pattern>>,
    /// Topics it may publish on.
    pub(crate) publish: Vec<Given<Pattern>>,
    /// Topics it may subscribe to.
    pub(crate) subscribe: Vec<Given<Topics>>,
    /// Addresses under which it may spawn children, and stop, watch and link them.
    pub(crate) spawn: Vec<Given<Pattern>>,
    /// Folders, by the path that the guest sees.
    pub(crate) files: BTreeMap<String, FileGrant>,
    /// Environment variables with their values.
    pub(crate) environment: BTreeMap<String, Given<String>>,
    /// Socket addresses it may connect to by TCP and exchange datagrams with by UDP.
    pub(crate) sockets: Vec<Given<SocketAddress>>,
    /// HTTP requests it may make.
    pub(crate) http: Vec<Given<HttpPattern>>,
    /// Programs that it may start, by their names.
    pub(crate) processes: BTreeMap<String, ProcessGrant>,
    /// What the service does, where that is counted and nothing is denied to it.
    pub(crate) tally: Tallied,
}

impl Grants {
    /// Whether a wire to a service may make itself for this function: the service may be called, or this part of it:
    /// `pricing`, `pricing#quote`, `pricing#acme:shop/pricing`, `pricing#acme:shop/pricing#quote`. Where nothing is
    /// denied, it may.
    pub(crate) fn allow_function(&self, service: &str, function: &FunctionType) -> bool {
        self.tally.is_counted() || in_force(&self.call).any(|grant| gives_function(grant, service, function))
    }
}

/// Whether a grant to call gives this function of a service.
pub(super) fn gives_function(grant: &Pattern, service: &str, function: &FunctionType) -> bool {
    match grant.as_str().split_once('#') {
        Some((of, part)) => of == service && gives_part(part, function),
        None => grant.matches(service),
    }
}

/// Whether what stands behind the `#` of such a grant is this function, or the interface that has it.
pub(super) fn gives_part(part: &str, function: &FunctionType) -> bool {
    function.is_called(part) || function.is_of(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

    use proptest::prelude::*;

    use super::SocketAddress;

    #[test]
    fn a_socket_address_covers_what_it_says() {
        for (grant, address, covered) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:*", "127.0.0.1:81", true),
            ("*:80", "10.0.0.1:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[::FFFF:7F00:1]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::127.0.0.1]:80", false),
            ("[FE80:0::1]:80", "[fe80::1%7]:80", true),
            ("127.0.0.1:080", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", false),
            ("[::1]:80", "127.0.0.1:80", false),
        ] {
            assert_eq!(
                grant.parse::<SocketAddress>().unwrap().matches(address.parse().unwrap()),
                covered,
                "{grant} {address}"
            );
        }
        for bad in [
            "",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.1:",
            "::1:80",
            "[::1:80",
            "1.2.3.4:99999",
            "0.0.0.0:80",
            "[::]:80",
            "[::ffff:0.0.0.0]:1",
            "127.0.0.01:80",
            "127.1:80",
            "0x7f.0.0.1:80",
            "2130706433:80",
            "[fe80::1%1]:80",
            "[127.0.0.1]:80",
            "[::1].:80",
            "127.0.0.1.:80",
            "127.0.0.1: 80",
            "127.0.0.1:+",
            "127.0.0.1:-1",
            "\u{ff11}27.0.0.1:80",
            "1.2.3.4:1-9",
        ] {
            assert!(bad.parse::<SocketAddress>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whichever way an address is written, on either side: it is covered or it is not.
        #[test]
        fn one_address_has_one_form(ip in any::<u32>(), other in any::<u32>(), port in any::<u16>(), flow in any::<u32>(), scope in any::<u32>()) {
            let forms = |ip: u32| {
                let ip = Ipv4Addr::from(ip);
                let mapped = SocketAddrV6::new(ip.to_ipv6_mapped(), port, flow, scope);
                [SocketAddr::from((ip, port)), SocketAddr::V6(mapped)]
            };
            prop_assume!(ip != 0);
            for grant in [format!("{}:{port}", Ipv4Addr::from(ip)), format!("[{}]:*", Ipv4Addr::from(ip).to_ipv6_mapped())] {
                let grant: SocketAddress = grant.parse().unwrap();
                prop_assert_eq!(grant.to_string().parse::<SocketAddress>().unwrap(), grant);
                prop_assert!(forms(ip).iter().all(|address| grant.matches(*address)));
                prop_assert!(forms(other).iter().all(|address| grant.matches(*address) == (ip == other)));
            }
        }

        /// Nothing but the address itself, whatever its flow and its scope.
        #[test]
        fn an_address_of_the_sixth_version_is_itself_alone(ip in any::<u128>(), other in any::<u128>(), port in any::<u16>(), scope in any::<u32>()) {
            prop_assume!(ip != 0 && Ipv6Addr::from(ip).to_ipv4_mapped().is_none());
            let grant: SocketAddress = format!("[{}]:{port}", Ipv6Addr::from(ip)).parse().unwrap();
            let at = |ip: u128| SocketAddr::V6(SocketAddrV6::new(ip.into(), port, 0, scope));
            prop_assert!(grant.matches(at(ip)));
            prop_assert_eq!(grant.matches(at(other)), ip == other);
        }
    }
}
