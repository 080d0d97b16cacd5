//! Which lines let something through, or what is missing: what [`Policy`] decides, told to people.

use super::kind::{Kind, NoLine};
use super::policy::{Policy, missing};

/// What becomes of one operation, and by which lines.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Why {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The line under `[requests]` that asks for it.
    pub requested: Option<String>,
    /// The line under the grants of the service that gives it.
    pub granted: Option<String>,
    /// What is missing, where something is.
    pub missing: Option<String>,
}

impl Policy {
    /// What becomes of an operation, by the kind of its grants, with a target: an address, a topic, a path of the
    /// guest's (`/data/x`, to read, or `write /data/x` and so on), a variable, `IP:PORT` or `NAME:PORT`, `GET
    /// https://host/path`.
    pub(crate) fn why(&self, who: &str, kind: Kind, target: &str) -> Result<Why, NoLine> {
        let (requested, granted) = self.requests.beside(kind, &self.grants).lines(target)?;
        let itself = kind.is_free_to_oneself() && target == who;
        let allowed = itself || (requested.is_some() && granted.is_some());
        let missing = (!allowed).then(|| missing(requested.is_some(), who, kind.name(), target));
        Ok(Why { allowed, requested, granted, missing })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::super::access::Access;
    use super::super::grant::{FileGrant, Grants, Requests};
    use super::Policy;

    fn policy() -> Policy {
        let requests = Requests {
            call: vec!["**".parse().unwrap()],
            http: vec!["* https://a/**".parse().unwrap()],
            sockets: vec!["*:*".parse().unwrap()],
            bind: vec!["127.0.0.1:*".parse().unwrap()],
            files: BTreeMap::from([("/data".into(), Access::ALL)]),
            environment: vec!["TZ".into()],
            ..Requests::default()
        };
        let grants = Grants {
            call: vec!["pricing".parse().unwrap(), "carts/*".parse().unwrap()],
            http: vec!["GET https://a/v1/**".parse().unwrap()],
            sockets: vec!["10.0.0.1:*".parse().unwrap(), "db.example:80".parse().unwrap()],
            bind: vec!["127.0.0.1:9000".parse().unwrap(), "0.0.0.0:9000".parse().unwrap()],
            files: BTreeMap::from([("/data".into(), FileGrant::new("/tmp", Access::VIEW))]),
            environment: BTreeMap::from([("TZ".into(), "UTC".into())]),
            send: vec!["pricing".parse().unwrap()],
            ..Grants::default()
        };
        Policy::new(requests, grants)
    }

    #[test]
    fn the_line_that_decides_is_named_or_the_one_that_is_missing() {
        for (key, target, granted, missing) in [
            ("call", "pricing", Some("pricing"), None),
            ("call", "carts/a", Some("carts/*"), None),
            ("call", "ledger", None, Some("no grant: add \"ledger\" to `call`")),
            ("call", "me", None, None),
            ("send", "pricing", Some("pricing"), Some("not requested")),
            ("http", "GET https://a/v1/x", Some("GET https://a/v1/**"), None),
            ("http", "POST https://a/v1/x", None, Some("no grant")),
            ("sockets", "10.0.0.1:80", Some("10.0.0.1:*"), None),
            ("sockets", "10.0.0.2:80", None, Some("no grant")),
            ("sockets", "db.example:80", Some("db.example:80"), None),
            ("sockets", "DB.example:80", Some("db.example:80"), None),
            ("sockets", "db.example:80 private", None, Some("no grant")),
            ("sockets", "other.example:80", None, Some("no grant")),
            ("bind", "127.0.0.1:9000", Some("127.0.0.1:9000"), None),
            ("bind", "127.0.0.1:9001", None, Some("no grant")),
            ("bind", "0.0.0.0:9000", Some("0.0.0.0:9000"), Some("not requested")),
            ("files", "/data/a", Some("/data"), None),
            ("files", "write /data/a", None, Some("no grant")),
            ("files", "delete /data/a", None, Some("no grant")),
            ("files", "list /data", Some("/data"), None),
            ("files", "/data/../etc", None, Some("not requested")),
            ("environment", "TZ", Some("TZ"), None),
            ("environment", "HOME", None, Some("not requested")),
        ] {
            let why = policy().why("me", key.parse().unwrap(), target).unwrap();
            assert_eq!(why.granted.as_deref(), granted, "{key} {target}");
            assert_eq!(why.allowed, missing.is_none(), "{key} {target}: {why:?}");
            assert!(why.missing.unwrap_or_default().contains(missing.unwrap_or_default()), "{key} {target}");
        }
        for (key, target) in [("http", "https://a/"), ("sockets", "a")] {
            assert!(policy().why("me", key.parse().unwrap(), target).is_err(), "{key} {target}");
        }
    }
}
