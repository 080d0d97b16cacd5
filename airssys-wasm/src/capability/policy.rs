//! The decision: compiled once a service, asked at every message.

use std::net::SocketAddr;

use super::given::{Given, in_force};
use super::grant::{Access, FileGrant, Grants, Requests, SocketAddress};
use super::http::{HttpPattern, HttpTarget, Near};
use super::pattern::Pattern;
use crate::address::split;
use crate::error::Denied;
use crate::operation::Operation;
use crate::typed::FunctionType;
use crate::wire::{Wire, Wires, wire_of};

/// What a service may do: requested and granted. The default allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(super) requests: Requests,
    pub(super) grants: Grants,
    /// Where the functions lead that it may call.
    wires: Wires,
}

impl Policy {
    /// The intersection of what is requested and what is granted.
    #[must_use]
    pub(crate) fn new(requests: Requests, grants: Grants) -> Self {
        Self { requests, grants, wires: Wires::new() }
    }

    /// The same with these wires: a wire is all that its functions need to be called.
    #[must_use]
    pub(crate) fn wired(self, wires: Wires) -> Self {
        Self { wires, ..self }
    }

    /// The same for who may have no effects, where that is another one: files are there to be read, and nobody is
    /// connected to or asked by HTTP.
    pub(crate) fn without_effects(&self) -> Option<Self> {
        let Grants { files, sockets, http, .. } = &self.grants;
        if sockets.is_empty() && http.is_empty() && files.values().all(|file| file.access == Access::Read) {
            return None;
        }
        let mut policy = self.clone();
        policy.grants.sockets.clear();
        policy.grants.http.clear();
        policy.grants.files.values_mut().for_each(|file| file.access = Access::Read);
        Some(policy)
    }

    /// The wire of an import, by what the component calls it.
    pub(crate) fn wire(&self, import: &str) -> Option<&Wire> {
        wire_of(&self.wires, import)
    }

    /// The wires over which a function of `target` may have been meant: who calls it does not say by which name of its
    /// own.
    fn wires_to(&self, target: &str, function: &FunctionType) -> impl Iterator<Item = &Wire> {
        let of = move |name: &str| !name.contains(':') || function.is_of(name);
        self.wires.iter().filter(move |(name, wire)| of(name) && wire.leads_to(target)).map(|(_, wire)| wire)
    }

    /// Whether a function of `target` may be called. Allocates nothing.
    #[must_use]
    pub(crate) fn allows_function(&self, target: &str, function: &FunctionType) -> bool {
        self.wires_to(target, function).any(|wire| wire.carries(function) && self.is_granted(wire, function))
    }

    /// Whether a wire is still what made it: one that made itself did so for a grant.
    fn is_granted(&self, wire: &Wire, function: &FunctionType) -> bool {
        !wire.made || self.grants.allow_function(wire.to.as_str(), function)
    }

    /// Whether `operation` on `target` is allowed. Allocates nothing.
    ///
    /// A subscription's target is itself a pattern. It is allowed where the same text was requested and granted, or
    /// where it has no star and both cover it: a star is never wider than the grant.
    #[must_use]
    pub(crate) fn allows(&self, operation: Operation, target: &str) -> bool {
        if operation == Operation::Invoke {
            return self.wires.values().any(|wire| wire.to.service() == split(target).0);
        }
        let (requested, granted) = self.rules(operation);
        covers(requested, operation, target) && covers(in_force(granted), operation, target)
    }

    /// Whether this service may be called, in one way or another.
    pub(crate) fn may_call(&self, service: &str) -> bool {
        self.allows(Operation::Call, service) || self.allows(Operation::Invoke, service)
    }

    /// Says why `operation` on `target` is not allowed. Off the hot path.
    #[must_use]
    pub(crate) fn denial(&self, who: &str, operation: Operation, target: &str) -> Denied {
        let (requested, _) = self.rules(operation);
        let grant = operation.grant();
        let missing = missing(covers(requested, operation, target), who, grant, target);
        Denied { who: who.to_owned(), operation, target: target.to_owned(), missing }
    }

    /// Says why a function of `target` may not be called. Off the hot path.
    #[must_use]
    pub(crate) fn function_denial(&self, who: &str, target: &str, function: &FunctionType) -> Denied {
        let missing = match self.wires_to(target, function).next() {
            Some(wire) if wire.carries(function) => missing(true, who, "call", wire.to.as_str()),
            Some(_) => format!(
                "its wire does not carry {:?}: add it to `functions` of the wire of service {who:?} in the topology",
                function.spoken()
            ),
            None => format!("no wire to {target:?} under the wires of service {who:?} in the topology"),
        };
        let operation = Operation::Invoke;
        Denied { who: who.to_owned(), operation, target: target.to_owned(), missing }
    }

    pub(super) fn rules(&self, operation: Operation) -> (&[Pattern], &[Given<Pattern>]) {
        let (requests, grants) = (&self.requests, &self.grants);
        match operation {
            Operation::Send => (&requests.send, &grants.send),
            Operation::Call => (&requests.call, &grants.call),
            Operation::Publish => (&requests.publish, &grants.publish),
            Operation::Subscribe => (&requests.subscribe, &grants.subscribe),
            Operation::Spawn | Operation::Stop | Operation::Monitor | Operation::Link => {
                (&requests.spawn, &grants.spawn)
            }
            _ => (&[], &[]),
        }
    }

    /// The folders that are requested and granted, each with the smaller access of the two.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, FileGrant)> {
        self.requests.files.iter().filter_map(|(guest, wanted)| {
            let given = self.grants.files.get(guest)?;
            if given.revoked.is_revoked() {
                return None;
            }
            let access: Access = (*wanted).min(given.access);
            Some((guest.as_str(), FileGrant { access, ..given.clone() }))
        })
    }

    /// The environment variables that are requested and granted.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.grants
            .environment
            .iter()
            .filter(|(name, _)| self.requests.environment.contains(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether any socket is requested and granted.
    #[must_use]
    pub(crate) fn has_sockets(&self) -> bool {
        !self.requests.sockets.is_empty() && in_force(&self.grants.sockets).next().is_some()
    }

    /// Whether a socket may connect to `address`.
    #[must_use]
    pub(crate) fn allows_socket(&self, address: SocketAddr) -> bool {
        let covers = |rule: &SocketAddress| rule.matches(address);
        self.requests.sockets.iter().any(covers) && in_force(&self.grants.sockets).any(covers)
    }

    /// Whether any HTTP request is requested and granted.
    #[must_use]
    pub(crate) fn has_http(&self) -> bool {
        !self.requests.http.is_empty() && in_force(&self.grants.http).next().is_some()
    }

    /// How near an address may be that this request goes to; none where it may not be made. Allocates nothing.
    #[must_use]
    pub(crate) fn allows_http(&self, target: &HttpTarget) -> Option<Near> {
        if !self.requests.http.iter().any(|request| request.matches(target)) {
            return None;
        }
        in_force(&self.grants.http).filter(|grant| grant.matches(target)).map(HttpPattern::nearest).max()
    }

    /// Says why this request may not be made. Off the hot path.
    #[must_use]
    pub(crate) fn http_missing(&self, who: &str, target: &HttpTarget) -> String {
        missing(self.requests.http.iter().any(|request| request.matches(target)), who, "http", &target.to_string())
    }
}

/// What is missing to whom for something with `target`, of the two that it needs.
pub(super) fn missing(is_requested: bool, who: &str, grant: &str, target: &str) -> String {
    if is_requested {
        format!("no grant: add {target:?} to `{grant}` under the grants of service {who:?} in the topology")
    } else {
        format!(
            "not requested: add {target:?} to `{grant}` under [requests] in its Component.toml, and grant it in the topology"
        )
    }
}

pub(super) fn covers<'a>(rules: impl IntoIterator<Item = &'a Pattern>, operation: Operation, target: &str) -> bool {
    let mut rules = rules.into_iter();
    if operation == Operation::Subscribe && target.contains('*') {
        return rules.any(|rule| rule.as_str() == target || rule.as_str() == "**");
    }
    rules.any(|rule| rule.matches(target))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::{Access, FileGrant, Grants, Operation, Pattern, Policy, Requests};

    fn patterns<T: From<Pattern>>(texts: &[&str]) -> Vec<T> {
        texts.iter().map(|text| text.parse::<Pattern>().unwrap().into()).collect()
    }

    fn policy(requested: &[&str], granted: &[&str]) -> Policy {
        let requests = Requests { send: patterns(requested), subscribe: patterns(requested), ..Requests::default() };
        let grants = Grants { send: patterns(granted), subscribe: patterns(granted), ..Grants::default() };
        Policy::new(requests, grants)
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let messages = [Operation::Send, Operation::Call, Operation::Publish, Operation::Subscribe];
        for operation in messages.into_iter().chain(CHILDREN) {
            assert!(!Policy::default().allows(operation, "a"));
        }
    }

    const CHILDREN: [Operation; 4] = [Operation::Spawn, Operation::Stop, Operation::Monitor, Operation::Link];

    #[test]
    fn who_may_spawn_a_child_may_do_all_with_it_and_a_grant_to_send_is_none_to_spawn() {
        let requests = Requests { spawn: patterns(&["worker/*"]), send: patterns(&["**"]), ..Requests::default() };
        let grants = Grants { spawn: patterns(&["worker/*"]), send: patterns(&["**"]), ..Grants::default() };
        let policy = Policy::new(requests, grants);
        for operation in CHILDREN {
            assert!(policy.allows(operation, "worker/a"));
            for other in ["worker", "worker/a/b", "workers/a", "other/a", "worker/.."] {
                assert!(!policy.allows(operation, other), "{operation:?} {other}");
            }
            assert!(policy.denial("a", operation, "other/a").missing.contains("to `spawn`"));
            assert!(!operation.is_free_to_oneself());
        }
    }

    #[test]
    fn only_what_is_both_requested_and_granted_is_allowed() {
        assert!(policy(&["a", "b"], &["*"]).allows(Operation::Send, "a"));
        assert!(!policy(&["a", "b"], &["*"]).allows(Operation::Send, "c"));
        assert!(!policy(&["*"], &["b"]).allows(Operation::Send, "a"));
        assert!(!policy(&["a"], &["a"]).allows(Operation::Call, "a"), "a grant to send is none to call");
    }

    #[test]
    fn a_denial_says_which_half_is_missing() {
        let not_granted = policy(&["a"], &[]).denial("snoop", Operation::Send, "a");
        assert!(not_granted.missing.starts_with("no grant"), "{not_granted}");
        let not_requested = policy(&[], &["a"]).denial("snoop", Operation::Send, "a");
        assert!(not_requested.missing.starts_with("not requested"), "{not_requested}");
    }

    #[test]
    fn a_subscription_is_never_wider_than_its_grant() {
        let some = policy(&["orders/*"], &["orders/*"]);
        assert!(some.allows(Operation::Subscribe, "orders/created"));
        assert!(some.allows(Operation::Subscribe, "orders/*"));
        assert!(!some.allows(Operation::Subscribe, "orders/**"));
        assert!(!some.allows(Operation::Subscribe, "**"));
        assert!(!some.allows(Operation::Subscribe, "*/created"));
        assert!(policy(&["**"], &["**"]).allows(Operation::Subscribe, "*/created"));
    }

    #[test]
    fn a_folder_gets_the_smaller_access_of_the_two() {
        let requests = Requests {
            files: BTreeMap::from([
                ("/in".into(), Access::Read),
                ("/out".into(), Access::ReadWrite),
                ("/else".into(), Access::Read),
            ]),
            ..Requests::default()
        };
        let given = |access| FileGrant::new("h", access);
        let grants = Grants {
            files: BTreeMap::from([("/in".into(), given(Access::ReadWrite)), ("/out".into(), given(Access::Read))]),
            ..Grants::default()
        };
        let policy = Policy::new(requests, grants);
        let files: Vec<_> = policy.files().map(|(guest, grant)| (guest, grant.access)).collect();
        assert_eq!(files, [("/in", Access::Read), ("/out", Access::Read)]);
    }
}
