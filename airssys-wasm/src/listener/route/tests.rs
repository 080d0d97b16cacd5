#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use http::{HeaderName, Method};
use proptest::prelude::*;

use super::{Found, KeyFrom, Routes, decoded, has_dots};
use crate::listener::settings::{Route, RouteKey};

fn route(host: Option<&str>, path: &str, methods: &[&str], service: &str) -> Route {
    Route {
        host: host.map(str::to_owned),
        path: path.to_owned(),
        methods: methods.iter().map(|name| (*name).to_owned()).collect(),
        service: service.to_owned(),
        key: None,
    }
}

/// The service, the methods that there are, or nothing.
fn told(routes: &Routes, host: &str, path: &str, method: &Method) -> String {
    match routes.find(host, path, method) {
        Found::Target(target) => target.service.to_string(),
        Found::OtherMethods(methods) => {
            let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
            names.sort_unstable();
            names.join(",")
        }
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn the_most_specific_route_has_the_request() {
    let routes = Routes::of(&[
        route(None, "/", &[], "site"),
        route(None, "/cart", &["GET"], "reader"),
        route(None, "/cart", &["POST", "PUT"], "writer"),
        route(None, "/cart/old/", &[], "old"),
        route(Some("shop.example"), "/cart", &[], "shop"),
    ]);
    for (host, path, method, goes_to) in [
        ("a", "/", Method::GET, "site"),
        ("a", "/cartoon", Method::GET, "site"),
        ("a", "/cart", Method::GET, "reader"),
        ("a", "/cart/", Method::HEAD, "reader"),
        ("a", "/cart/7/x", Method::POST, "writer"),
        ("a", "/cart/7", Method::DELETE, "GET,POST,PUT"),
        ("a", "/cart/old", Method::DELETE, "old"),
        ("a", "/%63art/o%6Cd", Method::DELETE, "old"),
        ("SHOP.example", "/cart/old", Method::GET, "shop"),
        ("shop.example", "/else", Method::GET, "site"),
    ] {
        assert_eq!(told(&routes, host, path, &method), goes_to, "{method} {host}{path}");
    }
    assert_eq!(told(&Routes::of(&[route(None, "/a", &[], "a")]), "h", "/b", &Method::GET), "nothing");
}

#[test]
fn a_segment_is_read_and_what_goes_up_is_seen() {
    for (written, is) in [("a%20b", &b"a b"[..]), ("%", b"%"), ("%4", b"%4"), ("%zz", b"%zz"), ("%41%", b"A%")] {
        assert_eq!(&*decoded(written), is, "{written}");
    }
    assert!(["/..", "/a/../b", "/%2e%2E/x", "/./a", "/a/.%2e"].iter().all(|path| has_dots(path)));
    assert!(["/", "/a..b", "/...", "/.a", "/a%2f.."].iter().all(|path| !has_dots(path)));
}

#[test]
fn a_key_is_taken_from_one_place() {
    let key = |header: Option<&str>, cookie: Option<&str>, make, path| {
        let (header, cookie) = (header.map(str::to_owned), cookie.map(str::to_owned));
        KeyFrom::of(&RouteKey { header, cookie, make, path })
    };
    assert_eq!(key(Some("X-Session"), None, false, None), Ok(KeyFrom::Header(HeaderName::from_static("x-session"))));
    assert_eq!(key(None, Some("s"), true, None), Ok(KeyFrom::Cookie { name: "s".into(), make: true }));
    assert_eq!(key(None, None, false, Some(2)), Ok(KeyFrom::Path(2)));
    for wrong in [
        key(None, None, false, None),
        key(Some("a"), Some("b"), false, None),
        key(Some("a"), None, true, None),
        key(None, None, true, Some(1)),
        key(None, Some("a"), false, Some(1)),
    ] {
        assert!(wrong.is_err(), "{wrong:?}");
    }
}

/// Of all routes that are for a request by themselves, the one that says most; said as plainly as it can be.
fn naive(routes: &[Route], host: &str, path: &str, method: &Method) -> String {
    let parts = |path: &str| -> Vec<String> { path.split('/').skip(1).map(str::to_owned).collect() };
    let own =
        |route: &Route| -> Vec<String> { parts(&route.path).into_iter().filter(|part| !part.is_empty()).collect() };
    let asked = parts(path);
    let is_for = |route: &&Route| route.host.as_deref().is_none_or(|own| own == host) && asked.starts_with(&own(route));
    let rank = |route: &Route| (route.host.is_some(), own(route).len());
    let Some(best) = routes.iter().filter(is_for).map(rank).max() else { return "nothing".to_owned() };
    let place: Vec<&Route> = routes.iter().filter(is_for).filter(|route| rank(route) == best).collect();
    let names = |route: &Route| route.methods.iter().any(|name| name == method.as_str());
    let by_name = place.iter().find(|route| names(route));
    let by_all = place.iter().find(|route| route.methods.is_empty());
    if let Some(route) = by_name.or(by_all) {
        return route.service.clone();
    }
    let mut all: Vec<&str> = place.iter().flat_map(|route| route.methods.iter().map(String::as_str)).collect();
    all.sort_unstable();
    all.join(",")
}

proptest! {
    /// Whatever the routes are: the table finds what is found by looking at all of them.
    #[test]
    fn it_is_as_if_all_routes_were_looked_at(
        places in prop::collection::btree_map(
            (prop::option::of(0_usize..2), prop::collection::vec(0_usize..2, 0..4)),
            prop::collection::btree_set(0_usize..4, 0..4),
            0..8,
        ),
        seed in any::<prop::sample::Index>(),
        host in 0_usize..3,
        path in prop::collection::vec(0_usize..3, 0..5),
        method in 0_usize..3,
    ) {
        let (hosts, parts, methods) = (["a", "b", "c"], ["x", "y", ""], [Method::GET, Method::PUT, Method::POST]);
        let join = |path: &[usize]| format!("/{}", path.iter().map(|at| parts[*at]).collect::<Vec<_>>().join("/"));
        let mut routes = Vec::new();
        for (at, ((host, path), takes)) in places.iter().enumerate() {
            // A route for each method, and one for all others where the number 3 is among them.
            for takes in takes {
                let methods: Vec<&str> = methods.get(*takes).map(Method::as_str).into_iter().collect();
                routes.push(route(host.map(|at| hosts[at]), &join(path), &methods, &format!("{at}-{takes}")));
            }
        }
        if !routes.is_empty() {
            let at = seed.index(routes.len());
            routes.rotate_left(at);
        }
        let (host, path, method) = (hosts[host], join(&path), &methods[method]);
        prop_assert_eq!(told(&Routes::of(&routes), host, &path, method), naive(&routes, host, &path, method));
    }
}
