//! Which lines let something through, or what is missing: what [`Policy`] decides, told to people.

use std::net::SocketAddr;

use super::given::in_force;
use super::grant::{Access, SocketAddress};
use super::http::{HttpPattern, HttpTarget};
use super::lines::{KEYS, NoLine};
use super::pattern::Pattern;
use super::policy::{Policy, covers, missing};
use crate::operation::Operation;

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

/// The first of these that covers something, as it is written.
fn first<T: ToString>(mut all: impl Iterator<Item = T>, covers: impl Fn(&T) -> bool) -> Option<String> {
    all.find(covers).map(|found| found.to_string())
}

impl Policy {
    /// What becomes of an operation, by the key that its grants stand under, with a target: an address, a topic, a path
    /// of the guest's (`/data/x`, to read, or `write /data/x`), a variable, `IP:PORT`, `GET https://host/path`.
    pub(crate) fn why(&self, who: &str, key: &str, target: &str) -> Result<Why, NoLine> {
        let bad = |what: &str| NoLine::Text(format!("{target:?} is no {what}"));
        let (requests, grants) = (&self.requests, &self.grants);
        let (requested, granted) = match key {
            "http" => {
                let of = parse_request(target).ok_or_else(|| bad("request, such as \"GET https://host/path\""))?;
                let covers = |rule: &&HttpPattern| rule.matches(&of);
                (first(requests.http.iter(), covers), first(in_force(&grants.http), covers))
            }
            "sockets" => {
                let address: SocketAddr = target.parse().map_err(|_| bad("socket address, such as \"10.0.0.1:80\""))?;
                let covers = |rule: &&SocketAddress| rule.matches(address);
                (first(requests.sockets.iter(), covers), first(in_force(&grants.sockets), covers))
            }
            "environment" => {
                let requested = requests.environment.iter().find(|name| *name == target).cloned();
                (requested, grants.environment.get_key_value(target).map(|(name, _)| name.clone()))
            }
            "files" => {
                let (wanted, path) = match target.strip_prefix("write ") {
                    Some(path) => (Access::ReadWrite, path),
                    None => (Access::Read, target.strip_prefix("read ").unwrap_or(target)),
                };
                let holds = |folder: &str, access: Access| access >= wanted && lies_in(path, folder);
                let requested = requests.files.iter().find(|(folder, access)| holds(folder, **access));
                let granted = grants.files.iter().find(|(folder, file)| {
                    !file.revoked.is_revoked() && holds(folder, file.access) && requests.files.contains_key(*folder)
                });
                (requested.map(|(folder, _)| folder.clone()), granted.map(|(folder, _)| folder.clone()))
            }
            other => {
                let operation = operation(other).ok_or_else(|| NoLine::Key { key: other.to_owned() })?;
                let (asked, given) = self.rules(operation);
                let covers = |rule: &&Pattern| covers([*rule], operation, target);
                (first(asked.iter(), covers), first(in_force(given), covers))
            }
        };
        let itself = operation(key).is_some_and(|operation| operation.is_free_to_oneself()) && target == who;
        let allowed = itself || (requested.is_some() && granted.is_some());
        let missing = (!allowed).then(|| missing(requested.is_some(), who, key, target));
        Ok(Why { allowed, requested, granted, missing })
    }

    /// Whether the release asks for some of what this grant gives.
    pub(crate) fn asks_for(&self, key: &str, grant: &str) -> bool {
        let overlaps = |rules: &[Pattern]| {
            let grant: Option<Pattern> = grant.parse().ok();
            grant.is_some_and(|grant| rules.iter().any(|rule| rule.overlaps(&grant)))
        };
        match key {
            "files" => self.requests.files.contains_key(grant),
            "environment" => self.requests.environment.iter().any(|name| name == grant),
            "sockets" => {
                let grant: Option<SocketAddress> = grant.parse().ok();
                grant.is_some_and(|grant| self.requests.sockets.iter().any(|rule| rule.overlaps(&grant)))
            }
            "http" => {
                let grant: Option<HttpPattern> = grant.parse().ok();
                grant.is_some_and(|grant| self.requests.http.iter().any(|rule| rule.overlaps(&grant)))
            }
            other => operation(other).is_some_and(|operation| overlaps(self.rules(operation).0)),
        }
    }
}

fn operation(key: &str) -> Option<Operation> {
    let of = [Operation::Send, Operation::Call, Operation::Publish, Operation::Subscribe, Operation::Spawn];
    of.into_iter().find(|operation| operation.name() == key && KEYS.contains(&key))
}

/// `GET https://host/path`.
fn parse_request(text: &str) -> Option<HttpTarget> {
    let (method, url) = text.split_once(' ')?;
    let (scheme, rest) = url.split_once("://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    HttpTarget::of(method, scheme, authority, if path.is_empty() { "/" } else { path })
}

/// Whether a guest's path is a folder or lies in it. One with `..` in it lies nowhere.
fn lies_in(path: &str, folder: &str) -> bool {
    let steps = |path: &'_ str| -> Vec<String> {
        path.split('/').filter(|step| !matches!(*step, "" | ".")).map(str::to_owned).collect()
    };
    let (path, folder) = (steps(path), steps(folder));
    !path.iter().any(|step| step == "..") && path.starts_with(&folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::super::grant::{Access, FileGrant, Grants, Requests};
    use super::{Policy, lies_in};

    fn policy() -> Policy {
        let requests = Requests {
            call: vec!["**".parse().unwrap()],
            http: vec!["* https://a/**".parse().unwrap()],
            sockets: vec!["*:*".parse().unwrap()],
            files: BTreeMap::from([("/data".into(), Access::ReadWrite)]),
            environment: vec!["TZ".into()],
            ..Requests::default()
        };
        let grants = Grants {
            call: vec!["pricing".parse().unwrap(), "carts/*".parse().unwrap()],
            http: vec!["GET https://a/v1/**".parse().unwrap()],
            sockets: vec!["10.0.0.1:*".parse().unwrap()],
            files: BTreeMap::from([("/data".into(), FileGrant::new("/tmp", Access::Read))]),
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
            ("files", "/data/a", Some("/data"), None),
            ("files", "write /data/a", None, Some("no grant")),
            ("files", "/data/../etc", None, Some("not requested")),
            ("environment", "TZ", Some("TZ"), None),
            ("environment", "HOME", None, Some("not requested")),
        ] {
            let why = policy().why("me", key, target).unwrap();
            assert_eq!(why.granted.as_deref(), granted, "{key} {target}");
            assert_eq!(why.allowed, missing.is_none(), "{key} {target}: {why:?}");
            assert!(why.missing.unwrap_or_default().contains(missing.unwrap_or_default()), "{key} {target}");
        }
        for (key, target) in [("http", "https://a/"), ("sockets", "a:1"), ("sned", "x")] {
            assert!(policy().why("me", key, target).is_err(), "{key} {target}");
        }
    }

    #[test]
    fn a_path_lies_in_a_folder_by_whole_steps() {
        for (path, folder, lies) in [
            ("/data", "/data", true),
            ("/data/a/b", "/data/", true),
            ("/data-secret", "/data", false),
            ("/data/../etc", "/data", false),
            ("/", "/data", false),
        ] {
            assert_eq!(lies_in(path, folder), lies, "{path} {folder}");
        }
    }
}
