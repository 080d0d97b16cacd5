//! The key of a request: which actor of a service answers it. Pure, but for a cookie that is made.

use http::{HeaderMap, header};

use super::route::{KeyFrom, decoded, segments};
use crate::address::is_key;

/// The key that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The key.
    pub(crate) key: String,
    /// Whether the client does not have it yet.
    pub(crate) is_made: bool,
}

/// Why a request has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoKey {
    /// It is not there.
    #[error("{of} is missing")]
    Missing {
        /// What would have it.
        of: String,
    },
    /// It cannot be one.
    #[error("{of} is no key: it takes 1 to 256 bytes of UTF-8 without control characters, once")]
    Invalid {
        /// What has it.
        of: String,
    },
    /// None can be made.
    #[error("the host has no random numbers")]
    NoChance,
}

/// Finds the key of a request, or makes one.
pub(crate) fn find(from: &KeyFrom, path: &str, headers: &HeaderMap) -> Result<Found, NoKey> {
    let found = match from {
        KeyFrom::Header(name) => once(headers.get_all(name).iter()),
        KeyFrom::Cookie { name, .. } => cookie(headers, name),
        KeyFrom::Path(at) => Ok(segments(path).nth(at.saturating_sub(1)).map(|segment| decoded(segment).into_owned())),
    };
    let of = || match from {
        KeyFrom::Header(name) => format!("the header {name}"),
        KeyFrom::Cookie { name, .. } => format!("the cookie {name}"),
        KeyFrom::Path(at) => format!("segment {at} of the path"),
    };
    let invalid = || NoKey::Invalid { of: of() };
    match (found, from) {
        (Ok(Some(key)), _) if !key.is_empty() => match String::from_utf8(key) {
            Ok(key) if is_key(&key) => Ok(Found { key, is_made: false }),
            _ => Err(invalid()),
        },
        (Ok(_), KeyFrom::Cookie { make: true, .. }) => made(),
        (Ok(_), _) => Err(NoKey::Missing { of: of() }),
        (Err(Twice), _) => Err(invalid()),
    }
}

/// It stands there several times.
struct Twice;

fn once<'a>(mut values: impl Iterator<Item = &'a header::HeaderValue>) -> Result<Option<Vec<u8>>, Twice> {
    let first = values.next();
    if values.next().is_some() {
        return Err(Twice);
    }
    Ok(first.map(|value| value.as_bytes().to_vec()))
}

/// The first cookie of this name: that of the most specific path, as clients send them.
fn cookie(headers: &HeaderMap, name: &str) -> Result<Option<Vec<u8>>, Twice> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let value = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    Ok(value.map(<[u8]>::to_vec))
}

/// A key that nobody can guess.
fn made() -> Result<Found, NoKey> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| NoKey::NoChance)?;
    Ok(Found { key: crate::hex::encode(&bits), is_made: true })
}

/// What tells the client its key.
pub(crate) fn set_cookie(name: &str, key: &str, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={key}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{NoKey, find, set_cookie};
    use crate::listener::route::KeyFrom;

    fn headers(all: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        all.iter().map(pair).collect()
    }

    fn told(from: &KeyFrom, path: &str, all: &[(&'static str, &[u8])]) -> String {
        match find(from, path, &headers(all)) {
            Ok(found) => found.key,
            Err(NoKey::Missing { .. }) => "(missing)".to_owned(),
            Err(NoKey::Invalid { .. }) => "(invalid)".to_owned(),
            Err(NoKey::NoChance) => "(no chance)".to_owned(),
        }
    }

    #[test]
    fn a_key_is_in_a_header_a_cookie_or_a_segment() {
        let header = KeyFrom::Header(HeaderName::from_static("x-session"));
        assert_eq!(told(&header, "/", &[("x-session", b"alice")]), "alice");
        assert_eq!(told(&header, "/", &[("x-session", "ä/ö".as_bytes())]), "ä/ö");
        assert_eq!(told(&header, "/", &[]), "(missing)");
        assert_eq!(told(&header, "/", &[("x-session", b"")]), "(missing)");
        assert_eq!(told(&header, "/", &[("x-session", b"a"), ("x-session", b"b")]), "(invalid)");
        assert_eq!(told(&header, "/", &[("x-session", b"\xff")]), "(invalid)");
        assert_eq!(told(&header, "/", &[("x-session", &[b'k'; 257])]), "(invalid)");

        let cookie = KeyFrom::Cookie { name: "s".into(), make: false };
        assert_eq!(told(&cookie, "/", &[("cookie", b"ss=1; s=2;s=3")]), "2");
        assert_eq!(told(&cookie, "/", &[("cookie", b"a=b"), ("cookie", b" s=x=y ")]), "x=y");
        assert_eq!(told(&cookie, "/", &[("cookie", b"s; t=s=1; =s")]), "(missing)");

        let path = KeyFrom::Path(2);
        assert_eq!(told(&path, "/cart/al%69ce/x", &[]), "alice");
        assert_eq!(told(&path, "/cart/a%2Fb", &[]), "a/b");
        assert_eq!(told(&path, "/cart", &[]), "(missing)");
        assert_eq!(told(&path, "/cart/", &[]), "(missing)");
        assert_eq!(told(&path, "/cart/a%0Ab", &[]), "(invalid)");
        assert_eq!(told(&path, "/cart/%ff", &[]), "(invalid)");
    }

    #[test]
    fn a_cookie_is_made_where_there_is_none() {
        let from = KeyFrom::Cookie { name: "s".into(), make: true };
        let had = find(&from, "/", &headers(&[("cookie", b"s=mine")])).unwrap();
        assert_eq!((had.key.as_str(), had.is_made), ("mine", false));
        let [one, other] = [(); 2].map(|()| find(&from, "/", &headers(&[])).unwrap());
        assert!(one.is_made && one.key.len() == 32 && one.key != other.key);
        assert_eq!(set_cookie("s", "k", true), "s=k; Path=/; HttpOnly; SameSite=Lax; Secure");
    }
}
