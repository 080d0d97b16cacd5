//! What is written of listeners: addresses, certificates, routes. The first thing that is wrong is told with its place.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;

use super::Topology;
use super::grants::from_file;
use crate::config_file::{ConfigError, Source};
use crate::listener::route::{KeyFrom, method};
use crate::listener::settings::{Listening, Route, RouteKey, WrittenListening, WrittenRoute};
use crate::schema::Schema;
use crate::settings::Multiplicity;

/// All listeners, in the order of the file; `of` has the services that their routes lead to.
pub(super) fn listeners(
    source: &Source,
    written: &[WrittenListening],
    of: &Topology,
) -> Result<Vec<Listening>, ConfigError> {
    let mut all: Vec<Listening> = Vec::new();
    for entry in written {
        let mut listening = one(source, entry)?;
        if all.iter().any(|other| other.listen == listening.listen) {
            let what = format!("another [[http]] listens at {} already", listening.listen);
            let hint = "name another address or port, or write its routes below that one";
            return Err(source.error(&entry.listen.span(), what, hint));
        }
        for written in entry.route.iter().flatten() {
            let route = route(source, written.get_ref(), of)?;
            if let Some(other) = listening.routes.iter().find(|other| contradict(other, &route)) {
                let what = format!("another route has the same requests already: they go to {}", other.service);
                let hint = "let them differ in `host`, `path` or `methods`, or take one out";
                return Err(source.error(&written.span(), what, hint));
            }
            listening.routes.push(route);
        }
        all.push(listening);
    }
    Ok(all)
}

fn one(source: &Source, entry: &WrittenListening) -> Result<Listening, ConfigError> {
    let mut listening = Listening::default();
    listening.take(entry);
    let text = entry.listen.get_ref();
    listening.listen = text.parse::<SocketAddr>().map_err(|_| {
        let what = format!("{text:?} is no address with a port");
        source.error(&entry.listen.span(), what, "write one such as \"127.0.0.1:8080\", \"0.0.0.0:80\" or \"[::]:80\"")
    })?;
    if let Some(tls) = &mut listening.tls {
        for path in [&mut tls.certificate, &mut tls.key] {
            *path = absolute(from_file(source, path));
        }
    }
    Ok(listening)
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn route(source: &Source, written: &WrittenRoute, of: &Topology) -> Result<Route, ConfigError> {
    let mut route = Route { path: "/".to_owned(), ..Route::default() };
    route.take(written);
    if let Some(host) = &written.host {
        route.host = Some(host_of(source, host)?);
    }
    if let Some(path) = &written.path {
        check_path(source, path)?;
    }
    for name in written.methods.iter().flatten() {
        let bad = |error: &dyn ToString| source.error(&name.span(), error.to_string(), "write it in capitals: \"GET\"");
        let known = method(name.get_ref()).map_err(|error| bad(&error))?;
        route.methods.push(known.as_str().to_owned());
    }
    let Some(service) = of.services().find(|node| node.address.as_str() == written.service.get_ref()) else {
        let what = format!("there is no service {:?}", written.service.get_ref());
        return Err(source.error(&written.service.span(), what, "name one of the [[service]] entries"));
    };
    check_key(source, written, service.multiplicity)?;
    Ok(route)
}

fn host_of(source: &Source, host: &Spanned<String>) -> Result<String, ConfigError> {
    let text = host.get_ref();
    let is_host = text.parse::<http::uri::Authority>().is_ok_and(|known| known.host() == text) && !text.ends_with('.');
    if !is_host {
        let what = format!("{text:?} is no host");
        return Err(source.error(
            &host.span(),
            what,
            "write it as clients ask for it, without a port: \"shop.example\"",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn check_path(source: &Source, path: &Spanned<String>) -> Result<(), ConfigError> {
    let text = path.get_ref();
    let what = if !text.starts_with('/') {
        "it begins with a slash"
    } else if text.contains(|c: char| matches!(c, '?' | '#' | '%' | '*') || c.is_control()) {
        "it is a path alone, of letters as they are read: no `?`, `#`, `%` or `*`"
    } else if text.trim_end_matches('/').contains("//") || crate::listener::route::has_dots(text) {
        "it has no segment that is empty, `.` or `..`"
    } else {
        return Ok(());
    };
    Err(source.error(&path.span(), format!("{text:?} is no path of a route: {what}"), "write one such as \"/cart\""))
}

/// Whether the key is there where the service has keys, and only there.
fn check_key(source: &Source, written: &WrittenRoute, multiplicity: Multiplicity) -> Result<(), ConfigError> {
    let service = written.service.get_ref();
    let Some(key) = &written.key else {
        if matches!(multiplicity, Multiplicity::Keyed(_) | Multiplicity::Spawned(_)) {
            let what = format!("{service:?} has an actor a key, and the route does not say which one answers");
            let hint =
                "add a key, such as `key = { header = \"x-session\" }`, `{ cookie = \"session\" }` or `{ path = 2 }`";
            return Err(source.error(&written.service.span(), what, hint));
        }
        return Ok(());
    };
    if matches!(multiplicity, Multiplicity::One | Multiplicity::Stateless { .. }) {
        let what = format!("{service:?} has no keys");
        let hint = "leave `key` out, or make the service `keyed`, or its pool `partitioned`";
        return Err(source.error(&key.span(), what, hint));
    }
    let mut read = RouteKey::default();
    read.take(key.get_ref());
    let hint = "write one of `{ header = \"x-session\" }`, `{ cookie = \"session\" }` and `{ path = 2 }`";
    if let Some(out) = read.numbers().iter().find_map(crate::schema::Number::check) {
        return Err(source.error(&key.span(), out.to_string(), out.hint()));
    }
    let is_token = |name: &String| http::HeaderName::try_from(name.as_str()).is_ok();
    if let Some(name) = read.header.iter().chain(&read.cookie).find(|name| !is_token(name)) {
        return Err(source.error(&key.span(), format!("{name:?} is no name of a header or cookie"), hint));
    }
    KeyFrom::of(&read).map(drop).map_err(|why| source.error(&key.span(), why, hint))
}

/// Whether a request could go by either.
fn contradict(one: &Route, other: &Route) -> bool {
    let path = |route: &Route| route.path.trim_end_matches('/').to_owned();
    let methods = match (one.methods.is_empty(), other.methods.is_empty()) {
        (true, true) => true,
        (false, false) => one.methods.iter().any(|name| other.methods.contains(name)),
        // Who names them has them, and the other one has the rest.
        _ => false,
    };
    one.host == other.host && path(one) == path(other) && methods
}
