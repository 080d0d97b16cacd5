//! Which service a request goes to. Pure.
//!
//! The most specific route has it: one that names the host before one that does not, then the one with the longer path,
//! then one that names methods. A path is compared by its segments, each with its percent signs read, so that no
//! spelling of a path gets round a route.

use std::borrow::Cow;
use std::cmp::Reverse;

use http::{HeaderName, Method};

use super::settings::{Route, RouteKey};

/// The routes of a listener.
#[derive(Debug, Default)]
pub(crate) struct Routes(Vec<Target>);

/// Where a route leads.
#[derive(Debug)]
pub(crate) struct Target {
    host: Option<Box<str>>,
    segments: Vec<Box<str>>,
    methods: Vec<Method>,
    /// The service.
    pub(crate) service: Box<str>,
    /// What chooses the key there.
    pub(crate) key: Option<KeyFrom>,
}

/// What of a request is the key of the actor that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFrom {
    /// A header.
    Header(HeaderName),
    /// A cookie, and whether one is made where there is none.
    Cookie { name: Box<str>, make: bool },
    /// A segment of the path, counted from 1.
    Path(usize),
}

/// What was found for a request.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// It goes there.
    Target(&'a Target),
    /// There is a route, but for other methods: these.
    OtherMethods(Vec<&'a Method>),
    /// There is none.
    Nothing,
}

/// A method that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no method")]
pub(crate) struct NoMethod(pub(crate) String);

impl Routes {
    /// From what is written. What is wrong there was refused before; a method that is none matches nothing.
    pub(crate) fn of(routes: &[Route]) -> Self {
        let mut all: Vec<Target> = routes.iter().map(Target::of).collect();
        // Stable: of two that are alike the first one written counts, and there are no such two.
        all.sort_by_key(|target| Reverse((target.host.is_some(), target.segments.len(), !target.methods.is_empty())));
        Self(all)
    }

    /// The route of a request: `host` without its port, `path` without what follows a question mark.
    pub(crate) fn find(&self, host: &str, path: &str, method: &Method) -> Found<'_> {
        let mut others = self.0.iter().filter(|target| target.is_for(host, path)).peekable();
        let Some(best) = others.peek().copied() else { return Found::Nothing };
        // Those of the same host and path are one place, which has each of their methods.
        let place = others.take_while(|target| target.host == best.host && target.segments == best.segments);
        let mut allowed = Vec::new();
        for target in place {
            if target.takes(method) {
                return Found::Target(target);
            }
            allowed.extend(&target.methods);
        }
        Found::OtherMethods(allowed)
    }
}

impl Target {
    fn of(route: &Route) -> Self {
        Self {
            host: route.host.as_deref().map(Into::into),
            segments: segments(&route.path).filter(|segment| !segment.is_empty()).map(Into::into).collect(),
            methods: route.methods.iter().filter_map(|name| method(name).ok()).collect(),
            service: route.service.as_str().into(),
            key: route.key.as_ref().and_then(|key| KeyFrom::of(key).ok()),
        }
    }

    fn is_for(&self, host: &str, path: &str) -> bool {
        self.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host)) && {
            let mut asked = segments(path);
            self.segments.iter().all(|own| asked.next().is_some_and(|segment| *decoded(segment) == *own.as_bytes()))
        }
    }

    fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

impl KeyFrom {
    /// From what is written, where it says one thing.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn of(key: &RouteKey) -> Result<Self, &'static str> {
        match (&key.header, &key.cookie, key.path, key.make) {
            (Some(name), None, None, false) => {
                HeaderName::try_from(name.as_str()).map(Self::Header).map_err(|_| "that is no name of a header")
            }
            (None, Some(name), None, make) => Ok(Self::Cookie { name: name.as_str().into(), make }),
            (None, None, Some(at), false) => Ok(Self::Path(at)),
            (_, None, _, true) => Err("`make` goes with a cookie"),
            (None, None, None, false) => Err("a key is taken from somewhere"),
            _ => Err("a key is taken from one place"),
        }
    }
}

/// The method of this name.
///
/// # Errors
///
/// It is none, or one that makes a tunnel.
pub(crate) fn method(name: &str) -> Result<Method, NoMethod> {
    match Method::from_bytes(name.as_bytes()) {
        Ok(method) if method != Method::CONNECT => Ok(method),
        _ => Err(NoMethod(name.to_owned())),
    }
}

/// The segments of a path: what stands behind each slash.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// A segment with its percent signs read. One that is followed by no two digits stands for itself.
pub(crate) fn decoded(segment: &str) -> Cow<'_, [u8]> {
    let bytes = segment.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut read = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| first == b'%');
        let byte = digits.and_then(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        read.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(read)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether a path has a segment that means the place above, or the same one: what clients take out before they ask, and
/// who leaves it in wants to be somewhere else than where the routes look.
pub(crate) fn has_dots(path: &str) -> bool {
    segments(path).any(|segment| matches!(&*decoded(segment), b"." | b".."))
}

#[cfg(test)]
mod tests;
