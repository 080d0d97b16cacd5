//! How near an address is: whom a request to it can reach that nobody outside could.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How near, from far to near: who may reach what is near may reach what is farther.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Near {
    /// Anybody on the internet.
    Public,
    /// The machines of a private network.
    Private,
    /// This machine.
    Loopback,
    /// What is on this link alone: where clouds tell machines their secrets.
    Link,
    /// No machine that could be named: any, all, several.
    Nobody,
}

impl Near {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => of_v4(ip),
            IpAddr::V6(ip) => of_v6(ip),
        }
    }

    /// How it is told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::Link => "link-local",
            Self::Nobody => "unusable",
        }
    }
}

fn of_v4(ip: Ipv4Addr) -> Near {
    match ip.octets() {
        // 0.0.0.0 is this machine for some; what begins with 0 is nobody else.
        [0 | 224..=255, ..] => Near::Nobody,
        [127, ..] => Near::Loopback,
        [169, 254, ..] => Near::Link,
        // Private; of a provider and its customers; of the protocol itself; of measurements.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => {
            Near::Private
        }
        _ => Near::Public,
    }
}

fn of_v6(ip: Ipv6Addr) -> Near {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match [a, b, c, d, e, f] {
        _ if ip.is_loopback() => Near::Loopback,
        // An IPv4 address inside of one of IPv6 is reached by a translator: deprecated, by NAT64, by 6to4, by Teredo.
        [0, 0, 0, 0, 0, 0] => Near::Nobody,
        [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x64, 0xff9b, 1, ..] => Near::Private,
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, ..] => v4(!g, !h),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Near::Private,
        [0xfe80..=0xfebf, ..] => Near::Link,
        [0xff00..=0xffff, ..] => Near::Nobody,
        _ => Near::Public,
    }
}
