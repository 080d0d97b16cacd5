#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use proptest::prelude::*;

use super::{HttpPattern, HttpTarget, Near};

fn pattern(text: &str) -> HttpPattern {
    text.parse().unwrap()
}

/// What a client would write as `METHOD URL`.
fn target(text: &str) -> Option<HttpTarget> {
    let (method, url) = text.split_once(' ').unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    HttpTarget::of(method, scheme, authority, if path.is_empty() { "/" } else { path })
}

fn reaches(pattern: &HttpPattern, text: &str) -> bool {
    target(text).is_some_and(|target| pattern.matches(&target))
}

#[test]
fn a_host_is_itself_however_it_is_written_and_nobody_else() {
    for (host, request, reached) in [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.com", true),
        ("Example.Com", "example.com", true),
        ("example.com", "example.com.", true),
        ("example.com", "example.com..", false),
        ("example.com", ".example.com", false),
        ("example.com", "example.com:443", true),
        ("example.com", "example.com:0443", true),
        ("example.com", "example.com:80", false),
        ("example.com", "example.com:", false),
        ("example.com", "example.com:0", false),
        ("example.com", "example.com:443:443", false),
        ("example.com:8443", "example.com:8443", true),
        ("example.com:8443", "example.com", false),
        ("example.com:*", "example.com:1", true),
        ("example.com", "user@example.com", false),
        ("example.com", "user:secret@example.com", false),
        ("example.com", "evil.com@example.com", false),
        ("example.com", "example.com@evil.com", false),
        ("example.com", "example.com%2eevil.com", false),
        ("example.com", "ex%61mple.com", false),
        ("example.com", "example.com\\.evil.com", false),
        ("example.com", "example.com.evil.com", false),
        ("example.com", "api.example.com", false),
        ("*.example.com", "api.example.com", true),
        ("*.example.com", "API.EXAMPLE.COM.", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "evilexample.com", false),
        ("*.example.com", "a.b.example.com", false),
        ("*.example.com", "api.example.com.evil.com", false),
        ("**.example.com", "a.b.example.com", true),
        ("**.example.com", "example.com", false),
        ("**.example.com", "evilexample.com", false),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", true),
        ("xn--bcher-kva.example", "b\u{fc}cher.example", false),
        ("*.example.com", "\u{ff41}pi.example.com", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.1.", true),
        ("127.0.0.1", "[::ffff:127.0.0.1]", true),
        ("127.0.0.1", "[::ffff:7f00:1]", true),
        ("127.0.0.1", "127.1", false),
        ("127.0.0.1", "0177.0.0.1", false),
        ("127.0.0.1", "0x7f.0.0.1", false),
        ("127.0.0.1", "0x7f000001", false),
        ("127.0.0.1", "2130706433", false),
        ("127.0.0.1", "127.0.0.01", false),
        ("[::1]", "[::1]", true),
        ("[::1]", "[0:0:0:0:0:0:0:1]", true),
        ("[::1]", "[::1%25eth0]", false),
        ("[::1]", "[::2]", false),
        ("[::1]", "::1", false),
        ("*.0.0.1.example", "127.0.0.1.example", true),
        ("**", "anybody.example", true),
        ("**", "127.0.0.1", true),
        ("**", "2130706433", false),
        ("**", "user@anybody.example", false),
    ] {
        assert_eq!(
            reaches(&pattern(&format!("GET https://{host}/**")), &format!("GET https://{request}/")),
            reached,
            "{host} {request}"
        );
    }
}

#[test]
fn a_path_is_itself_however_it_is_escaped_and_leads_nowhere_else() {
    for (wanted, request, reached) in [
        ("/v1/*", "/v1/a", true),
        ("/v1/*", "/v1/a?q=/../..", true),
        ("/v1/*", "/v1/", false),
        ("/v1/*", "/v1", false),
        ("/v1/*", "/v1/a/b", false),
        ("/v1/*", "/v1/a/", false),
        ("/v1/*", "/v12/a", false),
        ("/v1/*", "/v1/a%2Fb", false),
        ("/v1/*", "/v1/a%5cb", false),
        ("/v1/**", "/v1/a%2Fb", true),
        ("/v1/**", "/v1/", true),
        ("/v1/**", "/v1/a/b/", true),
        ("/v1/**", "/v1", false),
        ("/v1/**", "/v1secret", false),
        ("/v1/**", "/V1/a", false),
        ("/v1/**", "/%761/a", true),
        ("/v1/**", "/v1/../admin", false),
        ("/v1/**", "/v1/..", false),
        ("/v1/**", "/v1/.", false),
        ("/v1/**", "/v1/%2e%2e/admin", false),
        ("/v1/**", "/v1/.%2E/admin", false),
        ("/v1/**", "/v1/%252e%252e/admin", false),
        ("/v1/**", "/v1/%25252e%25252e/admin", false),
        ("/v1/**", "/v1/a%2F..%2F..%2Fadmin", false),
        ("/v1/**", "/v1/..%2Fadmin", false),
        ("/v1/**", "/v1/..%5Cadmin", false),
        ("/v1/**", "/v1/..%252Fadmin", false),
        ("/v1/**", "/v1/..%252Fadmin%25", false),
        ("/v1/*", "/v1/a%252Fb%25", false),
        ("/v1/**", "/v1/a%2525252525b", false),
        ("/v1/**", "/v1/..;/admin", false),
        ("/v1/**", "/v1/..;x=y/admin", false),
        ("/v1/**", "/v1/..%3Bx/admin", false),
        ("/v1/**", "/v1//admin", false),
        ("/v1/**", "//v1/a", false),
        ("/v1/**", "/v1/a%00", false),
        ("/v1/**", "/v1/a%0D%0Ab", false),
        ("/v1/**", "/v1/a%zz", false),
        ("/v1/**", "/v1/a%2", false),
        ("/v1/**", "/v1/100%25", true),
        ("/v1/**", "/v1/...", true),
        ("/v1/**", "/v1/a..b", true),
        ("/v1/a;b", "/v1/a;b", true),
        ("/v1/a;b", "/v1/a%3Bb", false),
        ("/v1/%C3%A4", "/v1/%c3%a4", true),
        ("/v1/%C3%A4", "/v1/\u{e4}", true),
        ("/v1/%41", "/v1/A", true),
        ("/", "/", true),
        ("/", "/a", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/*/b/**", "/a/b/c", true),
        ("/*/b/**", "/a/c/c", false),
    ] {
        let wanted_pattern = pattern(&format!("* http://h{wanted}"));
        let path = request.split('?').next().unwrap();
        assert_eq!(reaches(&wanted_pattern, &format!("GET http://h{path}")), reached, "{wanted} {request}");
    }
}

#[test]
fn a_method_and_a_scheme_are_what_they_say() {
    for (wanted, request, reached) in [
        ("GET http://h/**", "GET http://h/", true),
        ("GET http://h/**", "HEAD http://h/", false),
        ("GET http://h/**", "get http://h/", false),
        ("GET http://h/**", "GET https://h/", false),
        ("* http://h/**", "PURGE http://h/", true),
        ("* http://h/**", "CONNECT http://h/", false),
        ("PURGE http://h/**", "PURGE http://h/", true),
        ("GET http://h:443/**", "GET https://h/", false),
    ] {
        assert_eq!(reaches(&pattern(wanted), request), reached, "{wanted}: {request}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for bad in [
        "",
        "GET",
        "https://h/**",
        "GET  https://h/**",
        "get https://h/**",
        "G*T https://h/**",
        "GET,POST https://h/**",
        "CONNECT https://h/**",
        "GET ftp://h/**",
        "GET //h/**",
        "GET h/**",
        "GET https://h",
        "GET https:///**",
        "GET https://*/**",
        "GET https://a*.h/**",
        "GET https://a.*.h/**",
        "GET https://*.*.h/**",
        "GET https://***.h/**",
        "GET https://*.127.0.0.1/**",
        "GET https://h./**",
        "GET https://u@h/**",
        "GET https://h:/**",
        "GET https://h:0/**",
        "GET https://h:65536/**",
        "GET https://h:+80/**",
        "GET https://127.1/**",
        "GET https://0.0.0.0/**",
        "GET https://[::]/**",
        "GET https://::1/**",
        "GET https://[::1%1]/**",
        "GET https://b\u{fc}cher.example/**",
        "GET https://h/a*",
        "GET https://h/**/a",
        "GET https://h/a//b",
        "GET https://h//**",
        "GET https://h/../a",
        "GET https://h/%2e%2e/a",
        "GET https://h/%zz",
        "GET https://h/a?b",
        "GET https://h/a#b",
        "GET https://h/a b",
        "GET https://h/\u{e4}",
    ] {
        assert!(bad.parse::<HttpPattern>().is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_near_is_known_in_all_its_clothes() {
    for (ip, near) in [
        ("93.184.216.34", Near::Public),
        ("2606:2800:220:1::1", Near::Public),
        ("10.1.2.3", Near::Private),
        ("172.16.0.1", Near::Private),
        ("172.32.0.1", Near::Public),
        ("192.168.0.1", Near::Private),
        ("100.64.0.1", Near::Private),
        ("fd00::1", Near::Private),
        ("fec0::1", Near::Private),
        ("127.0.0.1", Near::Loopback),
        ("127.9.9.9", Near::Loopback),
        ("::1", Near::Loopback),
        ("::ffff:127.0.0.1", Near::Loopback),
        ("64:ff9b::7f00:1", Near::Loopback),
        ("2002:7f00:1::", Near::Loopback),
        ("2001:0:1:2:3:4:80ff:fffe", Near::Loopback),
        ("64:ff9b::a00:1", Near::Private),
        ("169.254.169.254", Near::Link),
        ("::ffff:169.254.169.254", Near::Link),
        ("64:ff9b::a9fe:a9fe", Near::Link),
        ("fe80::1", Near::Link),
        ("0.0.0.0", Near::Nobody),
        ("::", Near::Nobody),
        ("::7f00:1", Near::Nobody),
        ("224.0.0.1", Near::Nobody),
        ("255.255.255.255", Near::Nobody),
        ("ff02::1", Near::Nobody),
    ] {
        assert_eq!(Near::of(ip.parse().unwrap()), near, "{ip}");
    }
}

#[test]
fn only_who_is_named_may_be_near() {
    for (host, nearest) in [
        ("**", Near::Public),
        ("*.example.com", Near::Public),
        ("**.localhost", Near::Public),
        ("example.com", Near::Private),
        ("ledger", Near::Private),
        ("localhost", Near::Loopback),
        ("app.localhost", Near::Loopback),
        ("notlocalhost", Near::Private),
        ("127.0.0.1", Near::Link),
        ("169.254.169.254", Near::Link),
    ] {
        assert_eq!(pattern(&format!("GET https://{host}/**")).nearest(), nearest, "{host}");
    }
}

#[test]
fn one_pattern_covers_another_or_overlaps_with_it() {
    for (one, other, covers, overlaps) in [
        ("GET https://h/**", "GET https://h/**", true, true),
        ("* https://h/**", "GET https://h/**", true, true),
        ("GET https://h/**", "* https://h/**", false, true),
        ("GET https://h/**", "POST https://h/**", false, false),
        ("GET https://h/**", "GET http://h/**", false, false),
        ("GET https://h:*/**", "GET https://h/**", true, true),
        ("GET https://h/**", "GET https://h:*/**", false, true),
        ("GET https://h:1/**", "GET https://h:2/**", false, false),
        ("GET https://**/**", "GET https://*.h/**", true, true),
        ("GET https://*.h/**", "GET https://**/**", false, true),
        ("GET https://*.h/**", "GET https://a.h/**", true, true),
        ("GET https://**.h/**", "GET https://*.h/**", true, true),
        ("GET https://**.h/**", "GET https://*.b.h/**", true, true),
        ("GET https://*.h/**", "GET https://*.b.h/**", false, false),
        ("GET https://*.h/**", "GET https://**.h/**", false, true),
        ("GET https://*.h/**", "GET https://**.b.h/**", false, false),
        ("GET https://**.b.h/**", "GET https://**.h/**", false, true),
        ("GET https://h/a/*", "GET https://h/*/b", false, true),
        ("GET https://h/a/**", "GET https://h/a/*", true, true),
        ("GET https://h/a/*", "GET https://h/a/**", false, true),
        ("GET https://h/a/**", "GET https://h/a", false, false),
        ("GET https://h/**", "GET https://h/", true, true),
        ("GET https://h/*", "GET https://h/", false, false),
    ] {
        let (one, other) = (pattern(one), pattern(other));
        assert_eq!((one.covers(&other), one.overlaps(&other)), (covers, overlaps), "{one} {other}");
    }
}

/// What servers do to a path: unescape it, some of them more than once, take a backslash for a slash, leave out what
/// begins with a semicolon, and go up at `..`.
fn resolved(path: &str) -> Vec<String> {
    let mut path = path.to_owned();
    loop {
        let before = path.clone();
        for (escape, byte) in [
            ("%25", "%"),
            ("%2e", "."),
            ("%2E", "."),
            ("%2F", "/"),
            ("%2f", "/"),
            ("%61", "a"),
            ("%5C", "\\"),
            ("%3B", ";"),
        ] {
            path = path.replace(escape, byte);
        }
        if path == before {
            break;
        }
    }
    let mut folders: Vec<String> = Vec::new();
    for segment in path.replace('\\', "/").split('/') {
        match segment.split(';').next().unwrap() {
            ".." => drop(folders.pop()),
            "" | "." => {}
            name => folders.push(name.to_owned()),
        }
    }
    folders
}

fn any_pattern() -> impl Strategy<Value = String> {
    let method = prop_oneof![Just("*"), Just("GET"), Just("POST")];
    let host = prop_oneof![
        Just("**".to_owned()),
        "(\\*\\.|\\*\\*\\.)?[ab](\\.[ab]){0,2}",
        Just("127.0.0.1".to_owned()),
        Just("[::1]".to_owned())
    ];
    let port = prop_oneof![Just(""), Just(":*"), Just(":443"), Just(":80")];
    let path = "(/([ab]|\\*)){0,2}(/\\*\\*|/|/a)";
    (method, prop_oneof![Just("http"), Just("https")], host, port, path)
        .prop_map(|(method, scheme, host, port, path)| format!("{method} {scheme}://{host}{port}{path}"))
}

fn any_request() -> impl Strategy<Value = String> {
    let host = prop_oneof!["[ab](\\.[abAB]){0,3}\\.?", Just("127.0.0.1".to_owned()), Just("[0::1]".to_owned())];
    let (port, path) = (prop_oneof![Just(""), Just(":443"), Just(":80")], "(/([ab]|%61)){0,3}/?");
    (prop_oneof![Just("GET"), Just("POST")], prop_oneof![Just("http"), Just("https")], host, port, path)
        .prop_map(|(method, scheme, host, port, path)| format!("{method} {scheme}://{host}{port}{path}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a server makes of a path, it lies below what was granted.
    #[test]
    fn nothing_leaves_its_folder(rest in "(a|b|/|\\.|%2e|%2E|%2F|%5C|;|%3B|%61|%25|2e|2F){0,10}") {
        let path = format!("/v/{rest}");
        if reaches(&pattern("GET http://h/v/**"), &format!("GET http://h{path}")) {
            let resolved = resolved(&path);
            prop_assert_eq!(resolved.first().map(String::as_str), Some("v"), "{}", path);
        }
        if reaches(&pattern("GET http://h/v/*"), &format!("GET http://h{path}")) {
            // Two where it has no name but a semicolon's.
            prop_assert!(resolved(&path).len() <= 2, "{}", path);
        }
    }

    #[test]
    fn a_pattern_is_what_it_shows(text in any_pattern()) {
        let one = pattern(&text);
        prop_assert_eq!(&one.to_string().parse::<HttpPattern>().unwrap(), &one);
        prop_assert!(one.covers(&one) && one.overlaps(&one));
    }

    /// The form in which a request is shown is a form of it, and the only one; as a grant it is for that request.
    #[test]
    fn a_request_has_one_form(text in any_request()) {
        let Some(one) = HttpTarget::parse(&text) else { return Ok(()) };
        let shown = one.to_string();
        let again = HttpTarget::parse(&shown);
        prop_assert_eq!(again.as_ref().map(ToString::to_string), Some(shown.clone()));
        prop_assert_eq!(again.as_ref(), Some(&one));
        prop_assert!(pattern(&shown).matches(&one), "{}", shown);
    }

    /// Between patterns nothing is said that their requests do not bear out.
    #[test]
    fn patterns_are_their_requests(one in any_pattern(), other in any_pattern(), requests in prop::collection::vec(any_request(), 20)) {
        let (one, other) = (pattern(&one), pattern(&other));
        for request in requests {
            let (by_one, by_other) = (reaches(&one, &request), reaches(&other, &request));
            prop_assert!(!one.covers(&other) || !by_other || by_one, "{} covers {}, and not {}", one, other, request);
            prop_assert!(!(by_one && by_other) || one.overlaps(&other), "{} and {} meet in {}", one, other, request);
        }
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert!(!one.covers(&other) || one.overlaps(&other));
    }

    /// Against a model that knows the text alone.
    #[test]
    fn a_name_is_matched_by_its_labels(name in "[ab](\\.[ab]){0,3}", below in "[ab](\\.[ab]){0,2}") {
        let labels: Vec<&str> = name.split('.').collect();
        let of: Vec<&str> = below.split('.').collect();
        let more = labels.len().checked_sub(of.len()).filter(|more| labels[*more..] == of[..]);
        let request = format!("GET http://{name}/");
        prop_assert_eq!(reaches(&pattern(&format!("GET http://{below}/")), &request), more == Some(0));
        prop_assert_eq!(reaches(&pattern(&format!("GET http://*.{below}/")), &request), more == Some(1));
        prop_assert_eq!(reaches(&pattern(&format!("GET http://**.{below}/")), &request), more.is_some_and(|more| more > 0));
    }
}
