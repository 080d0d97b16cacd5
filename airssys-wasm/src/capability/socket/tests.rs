#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use proptest::prelude::*;

use super::{Rule, SocketAddress, SocketTarget};

fn rule(text: &str) -> SocketAddress {
    text.parse().unwrap()
}

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
            prop_assert_eq!(&grant.to_string().parse::<SocketAddress>().unwrap(), &grant);
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

#[test]
fn a_name_has_one_form_and_says_how_near_it_may_lead() {
    for (written, shown) in [
        ("DB.Example.com:5432", "db.example.com:5432"),
        ("db:5432 private", "db:5432 private"),
        ("db:* link-local", "db:* link-local"),
        ("localhost:1", "localhost:1"),
        ("localhost:1 loopback", "localhost:1"),
        ("a.localhost:1 private", "a.localhost:1 private"),
        ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
    ] {
        assert_eq!(rule(written).to_string(), shown);
        assert_eq!(rule(shown), rule(written));
    }
    for bad in [
        "db",
        "db:",
        "db:x",
        "db:65536",
        "db.:1",
        "a..b:1",
        "b\u{fc}cher.example:1",
        "0x7f.1:1",
        "127.1:1",
        "0:1",
        "*.example:1",
        "a b:1",
        "u@db:1",
        "db:1 public",
        "db:1 near",
        "db:1  private",
        "10.0.0.1:1 private",
        "*:1 loopback",
        "https://db:1",
    ] {
        assert!(bad.parse::<SocketAddress>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_star_asks_for_each_name_and_gives_none() {
    let (star, name) = (rule("*:80"), rule("db:80 private"));
    assert!(star.asks_for_some(&name) && star.asks_for_all(&name) && rule("db:80").asks_for_all(&name));
    assert!(!star.includes(&name) && !star.meets(&name) && !rule("*:81").asks_for_some(&name));
    let target = |text: &str| SocketTarget::parse(text).unwrap();
    assert!(star.asks(&target("db:80")) && !star.lets(&target("db:80")));
    for (given, wanted, lets) in [
        ("db:80", "db:80", true),
        ("db:80", "DB:80", true),
        ("db:80", "db:81", false),
        ("db:80", "db.example:80", false),
        ("db:*", "db:80", true),
        ("db:80", "db:80 private", false),
        ("db:80 loopback", "db:80 private", true),
        ("localhost:80", "localhost:80", true),
        ("127.0.0.1:80", "localhost:80", false),
        ("localhost:80", "127.0.0.1:80", false),
    ] {
        assert_eq!(rule(given).lets(&target(wanted)), lets, "{given} {wanted}");
    }
    assert_eq!(SocketTarget::named("db", "10.0.0.1:80".parse().unwrap()), "db:80 private");
    assert_eq!(SocketTarget::named("localhost", "127.0.0.1:80".parse().unwrap()), "localhost:80");
}

fn any_rule() -> impl Strategy<Value = String> {
    let host = prop_oneof![Just("*"), Just("10.0.0.1"), Just("[::1]"), Just("db"), Just("DB.b"), Just("localhost")];
    let near = prop_oneof![Just(""), Just(" private"), Just(" loopback"), Just(" link-local")];
    (host, prop_oneof![Just("*"), Just("1"), Just("2")], near).prop_map(|(host, port, near)| {
        let is_name = host.starts_with(|first: char| first.is_ascii_alphabetic());
        format!("{host}:{port}{}", if is_name { near } else { "" })
    })
}

fn any_target() -> impl Strategy<Value = String> {
    prop_oneof!["10\\.0\\.0\\.[12]:[12]", "\\[::1\\]:[12]", "(db|DB|db\\.b|localhost):[12]( private| loopback)?"]
}

proptest! {
    /// What is shown is what was written, and between rules nothing is said that their targets do not bear out.
    #[test]
    fn rules_are_their_targets(one in any_rule(), other in any_rule(), targets in prop::collection::vec(any_target(), 20)) {
        let (one, other) = (rule(&one), rule(&other));
        prop_assert_eq!(&rule(&one.to_string()), &one);
        for text in targets {
            let target = SocketTarget::parse(&text).unwrap();
            let (by_one, by_other) = (one.lets(&target), other.lets(&target));
            prop_assert!(!(by_one && by_other) || one.meets(&other), "{} and {} meet in {}", one, other, text);
            prop_assert!(!by_one || one.asks(&target), "{} gives {} and does not ask for it", one, text);
            prop_assert!(!(one.asks_for_all(&other) && by_other) || one.asks(&target), "{} {} {}", one, other, text);
            if one.includes(&other) && one.nearest() >= other.nearest() {
                prop_assert!(!by_other || by_one, "{} includes {}, and not {}", one, other, text);
            }
        }
        prop_assert_eq!(one.meets(&other), other.meets(&one));
    }
}
