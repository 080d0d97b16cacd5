//! The decision: compiled once a service, asked at every message.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::access::{Access, parse_path};
use super::bind::BindAddress;
use super::compiled::Compiled;
use super::given::{Given, Mark, in_force};
use super::grant::{FileGrant, Grants, Requests};
use super::http::{Host, HttpPattern, HttpTarget, Near};
use super::kind::Kind;
use super::process::{ProcessGrant, parse_start};
use super::rule::Rule as _;
use super::socket::{SocketAddress, SocketTarget};
use crate::address::split;
use crate::error::Denied;
use crate::operation::Operation;
use crate::typed::FunctionType;
use crate::wire::{Wire, Wires, wire_of};

/// What a service may do: requested and granted. The default allows nothing.
///
/// `allows_` decides. `lets_` is for who does it then: it decides as well, notes which grant was used, and where the
/// service is counted it lets through what is not granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(super) requests: Requests,
    pub(super) grants: Grants,
    /// Where the functions lead that it may call.
    wires: Wires,
    compiled: Arc<Compiled>,
}

impl Policy {
    /// The intersection of what is requested and what is granted.
    #[must_use]
    pub(crate) fn new(requests: Requests, grants: Grants) -> Self {
        let compiled = Arc::new(Compiled::new(&requests, &grants));
        Self { requests, grants, wires: Wires::new(), compiled }
    }

    /// The same with these wires: a wire is all that its functions need to be called.
    #[must_use]
    pub(crate) fn wired(self, wires: Wires) -> Self {
        Self { wires, ..self }
    }

    /// The same for who may have no effects, where that is another one: files are there to be read, nobody is
    /// connected to or asked by HTTP, and no program is started.
    pub(crate) fn without_effects(&self) -> Option<Self> {
        let Grants { files, sockets, bind, http, processes, tally, .. } = &self.grants;
        if !tally.is_counted()
            && sockets.is_empty()
            && bind.is_empty()
            && http.is_empty()
            && processes.is_empty()
            && !files.values().any(|file| file.access.changes())
        {
            return None;
        }
        let mut policy = self.clone();
        policy.grants.sockets.clear();
        policy.grants.bind.clear();
        policy.grants.http.clear();
        policy.grants.processes.clear();
        policy.grants.tally.within();
        policy.grants.files.values_mut().for_each(|file| file.access = file.access & Access::VIEW);
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
    pub(crate) fn lets_function(&self, target: &str, function: &FunctionType) -> bool {
        self.wires_to(target, function).any(|wire| wire.carries(function) && self.is_granted(wire, function))
    }

    /// Whether a wire is still what made it: one that made itself did so for a grant.
    fn is_granted(&self, wire: &Wire, function: &FunctionType) -> bool {
        if !wire.made {
            return true;
        }
        let by = self.compiled.function(wire.to.as_str(), function);
        by.iter().for_each(|mark| mark.note_use());
        match self.grants.tally.of(Kind::Call) {
            None => by.is_some(),
            Some(tally) => tally.lets(Kind::Call, &format!("{}#{}", wire.to.as_str(), function.path()), by.is_some()),
        }
    }

    /// Whether `operation` on `target` is allowed. Allocates nothing, unless the service is counted.
    ///
    /// A subscription's target is itself a pattern. It is allowed where the same text was requested and granted, or
    /// where it has no star and both cover it: a star is never wider than the grant.
    #[must_use]
    pub(crate) fn allows(&self, operation: Operation, target: &str) -> bool {
        if operation == Operation::Invoke {
            return self.wires.values().any(|wire| wire.to.service() == split(target).0);
        }
        let Some(kind) = Kind::of(operation) else { return false };
        self.compiled.decide(kind, target).is_some()
            || self.grants.tally.of(kind).is_some_and(|tally| tally.has(kind, target))
    }

    /// The grant by which something is allowed, with a target as [`Policy::why`] takes it. Not for where it is done.
    pub(super) fn by(&self, kind: Kind, target: &str) -> Option<&Mark> {
        match kind {
            Kind::Send | Kind::Publish | Kind::Subscribe | Kind::Spawn => self.compiled.decide(kind, target),
            // A function: its import asks for it.
            Kind::Call if target.contains('#') => self.compiled.given(kind, target),
            Kind::Call => self.compiled.decide(kind, target),
            Kind::Files => {
                let (right, folder) = parse_path(target);
                self.grants.files.get(folder)?.by(right, *self.requests.files.get(folder)?)
            }
            Kind::Environment => {
                let mut all = self.variables().filter(|(name, _)| *name == target);
                all.next().map(|(_, given)| &given.mark)
            }
            Kind::Processes => self.program(parse_start(target).0).map(|grant| &grant.mark),
            Kind::Sockets => self.socket_of(&SocketTarget::parse(target)?).map(|given| &given.mark),
            Kind::Bind => self.bound(target.parse().ok()?).map(|given| &given.mark),
            Kind::Http => {
                let target = HttpTarget::parse(target)?;
                self.http_grants(&target).max_by_key(|given| given.what.nearest()).map(|given| &given.mark)
            }
        }
    }

    /// Whether `operation` may be done on `target`, which is about to be.
    #[must_use]
    pub(crate) fn lets(&self, operation: Operation, target: &str) -> bool {
        let Some(kind) = Kind::of(operation) else { return self.allows(operation, target) };
        let by = self.compiled.decide(kind, target);
        by.iter().for_each(|mark| mark.note_use());
        match self.grants.tally.of(kind) {
            None => by.is_some(),
            Some(tally) => tally.lets(kind, target, by.is_some()),
        }
    }

    /// Whether this service may be called, in one way or another.
    pub(crate) fn may_call(&self, service: &str) -> bool {
        self.allows(Operation::Call, service) || self.allows(Operation::Invoke, service)
    }

    /// Says why `operation` on `target` is not allowed. Off the hot path.
    #[must_use]
    pub(crate) fn denial(&self, who: &str, operation: Operation, target: &str) -> Denied {
        let is_requested = Kind::of(operation).is_some_and(|kind| self.compiled.is_requested(kind, target));
        let missing = missing(is_requested, who, operation.grant(), target);
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

    /// The folders of which something is requested and granted, each with the rights that are both.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, FileGrant)> {
        self.requests.files.iter().filter_map(|(guest, wanted)| {
            let given = self.grants.files.get(guest)?;
            let access = *wanted & given.now();
            (!access.is_empty()).then(|| (guest.as_str(), FileGrant { access, ..given.clone() }))
        })
    }

    /// The environment variables that are requested and granted.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables().map(|(name, given)| (name, given.what.as_str()))
    }

    fn variables(&self) -> impl Iterator<Item = (&str, &Given<String>)> {
        let is_there = |given: &Given<String>| !given.mark.is_revoked();
        let all = self.grants.environment.iter().filter(move |(_, given)| is_there(given));
        let all = all.filter(|(name, _)| self.requests.environment.contains(name));
        all.map(|(name, given)| (name.as_str(), given))
    }

    /// Notes that the environment is read: all of it at once, so nobody knows which variable was wanted.
    pub(crate) fn note_environment(&self) {
        for (name, given) in self.variables() {
            given.mark.note_use();
            if let Some(tally) = self.grants.tally.of(Kind::Environment) {
                let _granted = tally.lets(Kind::Environment, name, true);
            }
        }
    }

    /// Whether any socket is requested and granted.
    #[must_use]
    pub(crate) fn has_sockets(&self) -> bool {
        self.grants.tally.of(Kind::Sockets).is_some()
            || (!self.requests.sockets.is_empty() && in_force(&self.grants.sockets).next().is_some())
            || (!self.requests.bind.is_empty() && in_force(&self.grants.bind).next().is_some())
    }

    /// The grant by which a socket may be bound there.
    fn bound(&self, address: SocketAddr) -> Option<&Given<BindAddress>> {
        let is_requested = self.requests.bind.iter().any(|rule| rule.lets(&address));
        let mut given = self.grants.bind.iter().filter(|given| !given.mark.is_revoked() && is_requested);
        given.find(|given| given.what.lets(&address))
    }

    /// Whether a socket may be bound to this address, and listen there, which it is about to do.
    #[must_use]
    pub(crate) fn lets_bind(&self, address: SocketAddr) -> bool {
        let by = self.bound(address);
        by.iter().for_each(|given| given.mark.note_use());
        match self.grants.tally.of(Kind::Bind) {
            None => by.is_some(),
            Some(tally) => tally.lets(Kind::Bind, &canonical(address).to_string(), by.is_some()),
        }
    }

    /// Whether anybody may connect to a socket of it that listens: as long as it may listen anywhere.
    #[must_use]
    pub(crate) fn lets_accept(&self) -> bool {
        self.grants.tally.of(Kind::Bind).is_some() || in_force(&self.grants.bind).next().is_some()
    }

    /// Says why a socket may not be bound there. Off the hot path.
    #[must_use]
    pub(crate) fn bind_missing(&self, who: &str, address: SocketAddr) -> String {
        let is_requested = self.requests.bind.iter().any(|rule| rule.lets(&address));
        missing(is_requested, who, Kind::Bind.name(), &canonical(address).to_string())
    }

    /// The grant by which a socket may connect to `address`, by no name.
    fn socket(&self, address: SocketAddr) -> Option<&Given<SocketAddress>> {
        let is_requested = self.requests.sockets.iter().any(|rule| rule.matches(address));
        let mut given = self.grants.sockets.iter().filter(|given| !given.mark.is_revoked() && is_requested);
        given.find(|given| given.what.matches(address))
    }

    /// The grant of such a target, as people write it.
    fn socket_of(&self, target: &SocketTarget) -> Option<&Given<SocketAddress>> {
        let is_requested = self.requests.sockets.iter().any(|rule| rule.asks(target));
        let mut given = self.grants.sockets.iter().filter(|given| !given.mark.is_revoked() && is_requested);
        given.find(|given| given.what.lets(target))
    }

    /// Whether datagrams of `address` may come in, by no name: where the service may send some there.
    #[must_use]
    pub(crate) fn allows_address(&self, address: SocketAddr) -> bool {
        self.socket(address).is_some() || self.has_counted(&canonical(address).to_string())
    }

    /// Whether a socket may connect to `address`, or send there, by no name, which it is about to do.
    #[must_use]
    pub(crate) fn lets_address(&self, address: SocketAddr) -> bool {
        let Some(by) = self.socket(address) else { return false };
        by.mark.note_use();
        let tally = self.grants.tally.of(Kind::Sockets);
        tally.is_none_or(|tally| tally.lets(Kind::Sockets, &canonical(address).to_string(), true))
    }

    /// Whether some port of this address is requested and granted, by no name.
    #[must_use]
    pub(crate) fn has_address(&self, ip: IpAddr) -> bool {
        let is_granted = || in_force(&self.grants.sockets).any(|rule| rule.has_ip(ip));
        self.counts_sockets() || (self.requests.sockets.iter().any(|rule| rule.has_ip(ip)) && is_granted())
    }

    /// The grants by a name for this port.
    pub(crate) fn names_at(&self, port: u16) -> impl Iterator<Item = &Given<SocketAddress>> {
        let is_requested = move |name| self.requests.sockets.iter().any(|rule| rule.asks_for_name(name, Some(port)));
        let there = self.grants.sockets.iter().filter(move |given| given.what.has_port(port));
        there.filter(move |given| !given.mark.is_revoked() && given.what.name().is_some_and(is_requested))
    }

    /// How near an address may be that this name leads to, which is about to be looked up; none where it may not be.
    #[must_use]
    pub(crate) fn lets_lookup(&self, name: &str) -> Option<Near> {
        let is_requested = self.requests.sockets.iter().any(|rule| rule.asks_for_name(name, None));
        let there = self.grants.sockets.iter().filter(|given| !given.mark.is_revoked() && is_requested);
        let by = there.filter(|given| given.what.name() == Some(name)).max_by_key(|given| given.what.nearest());
        by.iter().for_each(|given| given.mark.note_use());
        // What it connects to is counted then, by this name.
        by.map(|given| given.what.nearest()).or_else(|| self.counts_sockets().then_some(Near::Link))
    }

    /// Notes that a socket connects or sends to where a name leads, by this grant.
    pub(crate) fn note_name(&self, given: &Given<SocketAddress>, target: &str) {
        given.mark.note_use();
        if let Some(tally) = self.grants.tally.of(Kind::Sockets) {
            let _granted = tally.lets(Kind::Sockets, target, true);
        }
    }

    /// Whether nothing is denied of sockets, and counted.
    #[must_use]
    pub(crate) fn counts_sockets(&self) -> bool {
        self.grants.tally.of(Kind::Sockets).is_some()
    }

    /// Whether a socket may go where it is not granted to go, since that is counted.
    #[must_use]
    pub(crate) fn lets_counted(&self, target: impl FnOnce() -> String) -> bool {
        self.grants.tally.of(Kind::Sockets).is_some_and(|tally| tally.lets(Kind::Sockets, &target(), false))
    }

    /// Whether a socket was let go there.
    #[must_use]
    pub(crate) fn has_counted(&self, target: &str) -> bool {
        self.grants.tally.of(Kind::Sockets).is_some_and(|tally| tally.has(Kind::Sockets, target))
    }

    /// Says why a host may not be looked up. Off the hot path.
    #[must_use]
    pub(crate) fn name_missing(&self, who: &str, host: &Host) -> String {
        let is_requested = match host {
            Host::Ip(ip) => self.requests.sockets.iter().any(|rule| rule.has_ip(*ip)),
            Host::Name(name) => self.requests.sockets.iter().any(|rule| rule.asks_for_name(name, None)),
        };
        missing(is_requested, who, "sockets", &format!("{host}:PORT"))
    }

    /// Whether any HTTP request is requested and granted.
    #[must_use]
    pub(crate) fn has_http(&self) -> bool {
        self.grants.tally.of(Kind::Http).is_some()
            || (!self.requests.http.is_empty() && in_force(&self.grants.http).next().is_some())
    }

    /// The grants by which a request may be made.
    fn http_grants(&self, target: &HttpTarget) -> impl Iterator<Item = &Given<HttpPattern>> {
        let is_requested = self.requests.http.iter().any(|request| request.matches(target));
        let given = self.grants.http.iter().filter(move |given| is_requested && !given.mark.is_revoked());
        given.filter(|given| given.what.matches(target))
    }

    /// How near an address may be that this request goes to; none where it may not be made. Allocates nothing, unless
    /// the service is counted.
    #[must_use]
    pub(crate) fn allows_http(&self, target: &HttpTarget) -> Option<Near> {
        let granted = self.http_grants(target).map(|given| given.what.nearest()).max();
        let counted = || {
            let has = self.grants.tally.of(Kind::Http).is_some_and(|tally| tally.has(Kind::Http, &target.to_string()));
            has.then(|| target.nearest())
        };
        granted.or_else(counted)
    }

    /// Whether this request may be made, which is about to be.
    #[must_use]
    pub(crate) fn lets_http(&self, target: &HttpTarget) -> bool {
        let by = self.http_grants(target).max_by_key(|given| given.what.nearest());
        by.iter().for_each(|given| given.mark.note_use());
        match self.grants.tally.of(Kind::Http) {
            None => by.is_some(),
            Some(tally) => tally.lets(Kind::Http, &target.to_string(), by.is_some()),
        }
    }

    /// The program of this name that is requested and granted.
    fn program(&self, name: &str) -> Option<&ProcessGrant> {
        let is_requested = self.requests.processes.iter().any(|asked| asked == name);
        self.grants.processes.get(name).filter(|grant| is_requested && !grant.mark.is_revoked())
    }

    /// Whether what was started under this name may go on.
    #[must_use]
    pub(crate) fn allows_process(&self, name: &str) -> bool {
        self.program(name).is_some()
    }

    /// Whether any program is requested and granted.
    #[must_use]
    pub(crate) fn has_processes(&self) -> bool {
        self.requests.processes.iter().any(|name| self.program(name).is_some())
    }

    /// Says why a program of this name may not be started, or asked anything.
    #[must_use]
    pub(crate) fn process_missing(&self, who: &str, name: &str) -> String {
        missing(self.requests.processes.iter().any(|asked| asked == name), who, "processes", name)
    }

    /// The grant under which a program may be started with this; or what is missing.
    pub(crate) fn allows_start(
        &self,
        who: &str,
        name: &str,
        arguments: &[String],
        variables: &[(String, String)],
    ) -> Result<&ProcessGrant, String> {
        let Some(grant) = self.program(name) else {
            return Err(self.process_missing(who, name));
        };
        // Also where nothing is denied to who is counted: nobody has said what else it could be started with.
        match grant.beyond(arguments, variables) {
            Some(beyond) => Err(beyond),
            None => Ok(grant),
        }
    }

    /// The grant under which a program is about to be started with this; or what is missing.
    pub(crate) fn lets_process(
        &self,
        who: &str,
        name: &str,
        arguments: &[String],
        variables: &[(String, String)],
    ) -> Result<&ProcessGrant, String> {
        let grant = self.allows_start(who, name, arguments, variables)?;
        grant.mark.note_use();
        if let Some(tally) = self.grants.tally.of(Kind::Processes) {
            let _granted = tally.lets(Kind::Processes, name, true);
        }
        Ok(grant)
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

/// One form of an address: an IPv4 address in IPv6 clothes is that one, and flow and scope are no part of it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::{Access, FileGrant, Grants, Operation, Policy, Requests};

    fn patterns<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
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
    fn a_folder_gets_the_rights_that_both_name() {
        let requests = Requests {
            files: BTreeMap::from([
                ("/in".into(), Access::VIEW),
                ("/out".into(), Access::ALL),
                ("/else".into(), Access::VIEW),
            ]),
            ..Requests::default()
        };
        let given = |access| FileGrant::new("h", access);
        let grants = Grants {
            files: BTreeMap::from([("/in".into(), given(Access::ALL)), ("/out".into(), given(Access::VIEW))]),
            ..Grants::default()
        };
        let policy = Policy::new(requests, grants);
        let files: Vec<_> = policy.files().map(|(guest, grant)| (guest, grant.access)).collect();
        assert_eq!(files, [("/in", Access::VIEW), ("/out", Access::VIEW)]);
    }
}
