//! Whether a guest may look a name up, or reach an address, and where a name leads. The host resolves each name: a
//! guest is told where it leads, and may connect there and nowhere else by that name.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Identity;
use super::passing::Question;
use crate::capability::{Host, Near, SocketTarget};
use crate::error::CallError;
use crate::operation::Operation;

/// Why a name leads nowhere for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLookup {
    /// It may not look it up, or may not go where it leads; that is told.
    Denied,
    /// Nobody knows where it leads.
    Unresolvable,
}

/// A name that a guest may look up.
pub(crate) enum Lookup {
    /// It is an address.
    Address(IpAddr),
    /// The host is to find out, and may tell what is no nearer than this.
    Name(Box<str>, Near),
}

/// Whether a socket may do something, which may have to wait for an answer.
pub(crate) type Deciding = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// Why a socket may not go there.
const NOT_GRANTED: &str = "it was not granted";

impl Identity {
    /// Whether it may look up what a guest calls so.
    ///
    /// # Errors
    ///
    /// It may not, and that is told.
    pub(crate) fn may_look_up(&self, text: &str) -> Result<Lookup, NoLookup> {
        let policy = &self.terms.policy;
        let denied = |why: String| {
            self.denied(Operation::Lookup, text, why);
            NoLookup::Denied
        };
        let host = text.parse().map(Host::of).ok().or_else(|| Host::parse(text));
        match host {
            None if !text.is_ascii() => {
                Err(denied("a name is looked up as it is in the DNS, beginning with xn--".to_owned()))
            }
            None => Err(denied("it is not plain which host is meant, so nobody is granted it".to_owned())),
            // It leads to itself, so this tells nothing but what is known.
            Some(Host::Ip(ip)) if policy.has_address(ip) => Ok(Lookup::Address(ip)),
            Some(Host::Ip(ip)) => Err(denied(policy.name_missing(self.address().service(), &Host::Ip(ip)))),
            Some(Host::Name(name)) => match policy.lets_lookup(&name) {
                Some(nearest) => Ok(Lookup::Name(name, nearest)),
                None => Err(denied(policy.name_missing(self.address().service(), &Host::Name(name)))),
            },
        }
    }

    /// Where a name leads that it may look up.
    ///
    /// # Errors
    ///
    /// A layer turns it away, it leads to what is too near, or nowhere.
    pub(crate) async fn look_up(self: Arc<Self>, asked: Lookup, trace: u64) -> Result<Vec<IpAddr>, NoLookup> {
        let (name, nearest) = match asked {
            Lookup::Address(ip) => return Ok(vec![ip]),
            Lookup::Name(name, nearest) => (name, nearest),
        };
        let Some(asked) = self.asks(Operation::Lookup, Operation::Lookup.into(), || (&*name).into()) else {
            return self.resolved(&name, nearest).await;
        };
        let passing = asked.of(trace).enter(&mut Bytes::new()).await.map_err(|_turned_away| NoLookup::Denied)?;
        let found = self.resolved(&name, nearest).await;
        let told = match found {
            Ok(_) => Ok(None),
            Err(NoLookup::Denied) => Err(CallError::Failed { code: "access-denied".to_owned() }),
            Err(NoLookup::Unresolvable) => Err(CallError::Failed { code: "name-unresolvable".to_owned() }),
        };
        match passing.end(told.clone()) {
            Err(other) if told.as_ref().err() != Some(&other) => Err(NoLookup::Denied),
            // No layer can make an address of an error.
            _ => found,
        }
    }

    /// The addresses of a name that are not too near.
    async fn resolved(&self, name: &str, nearest: Near) -> Result<Vec<IpAddr>, NoLookup> {
        let led = self.mesh.client.led_to(name, self.mesh.lookup_ttl()).await;
        let all = led.map_err(|error| {
            tracing::debug!(target: "airssys", service = %self.address(), name, %error, "a name leads nowhere");
            NoLookup::Unresolvable
        })?;
        let allowed: Vec<IpAddr> = all.iter().copied().filter(|ip| Near::of(*ip) <= nearest).collect();
        match (allowed.is_empty(), all.first()) {
            (true, Some(ip)) => {
                self.denied(Operation::Lookup, name, too_near(name, *ip));
                Err(NoLookup::Denied)
            }
            (true, None) => Err(NoLookup::Unresolvable),
            (false, _) => Ok(allowed),
        }
    }

    /// Whether a socket may connect or send there, which it is about to do; where not, that is told.
    pub(crate) fn may_reach(self: &Arc<Self>, operation: Operation, address: SocketAddr) -> Deciding {
        let address = canonical(address);
        let policy = &self.terms.policy;
        if policy.lets_address(address) {
            return self.let_on(operation, address);
        }
        if policy.names_at(address.port()).next().is_none() && !policy.counts_sockets() {
            return self.not_granted(operation, address);
        }
        let this = Arc::clone(self);
        in_own_task(async move {
            if let Err(why) = this.reaches_by_name(address).await {
                this.denied(operation, address.to_string(), why);
                return false;
            }
            match this.asks(operation, operation.into(), || address.to_string().into()) {
                None => true,
                Some(asked) => passes(asked).await,
            }
        })
    }

    /// Whether a socket may be bound to an address of one's choice, which it is about to be; where not, that is told.
    pub(crate) fn may_bind(self: &Arc<Self>, address: SocketAddr) -> Deciding {
        match self.terms.policy.lets_bind(address) {
            true => self.let_on(Operation::SocketBind, address),
            false => self.not_bound(address),
        }
    }

    /// Whether a socket may listen where it is bound to.
    pub(crate) fn may_listen(&self, address: SocketAddr) -> Deciding {
        match self.terms.policy.lets_bind(address) {
            true => Box::pin(std::future::ready(true)),
            false => self.not_bound(address),
        }
    }

    /// Whether somebody who has connected is let in. Where not, the connection is reset: nobody else is told, since
    /// strangers could fill the log.
    pub(crate) fn may_accept(self: &Arc<Self>, peer: SocketAddr) -> Deciding {
        match self.terms.policy.lets_accept() {
            true => self.let_on(Operation::SocketAccept, peer),
            false => Box::pin(std::future::ready(false)),
        }
    }

    fn not_bound(&self, address: SocketAddr) -> Deciding {
        let address = canonical(address);
        let why = self.terms.policy.bind_missing(self.address().service(), address);
        self.denied(Operation::SocketBind, address.to_string(), why);
        Box::pin(std::future::ready(false))
    }

    /// Tells that a socket may not do this.
    fn not_granted(&self, operation: Operation, address: SocketAddr) -> Deciding {
        self.denied(operation, canonical(address).to_string(), NOT_GRANTED);
        Box::pin(std::future::ready(false))
    }

    /// Whether the layers let a socket do something that is granted.
    pub(crate) fn let_on(self: &Arc<Self>, operation: Operation, address: SocketAddr) -> Deciding {
        match self.asks(operation, operation.into(), || canonical(address).to_string().into()) {
            None => Box::pin(std::future::ready(true)),
            Some(asked) => in_own_task(passes(asked)),
        }
    }

    /// Whether a name leads to this address by which it may go there; or why not.
    async fn reaches_by_name(&self, address: SocketAddr) -> Result<(), String> {
        let policy = &self.terms.policy;
        let (ip, mut why) = (address.ip(), None);
        for given in policy.names_at(address.port()) {
            let Some(name) = given.what.name() else { continue };
            // Where nobody knows now where it leads, it leads nowhere.
            let Ok(led) = self.mesh.client.led_to(name, self.mesh.lookup_ttl()).await else { continue };
            if !led.contains(&ip) {
                continue;
            }
            if Near::of(ip) <= given.what.nearest() && !given.mark.is_revoked() {
                policy.note_name(given, &SocketTarget::named(name, address));
                return Ok(());
            }
            why.get_or_insert_with(|| too_near(name, ip));
        }
        let named = || self.mesh.client.name_of(ip).map(|name| SocketTarget::named(&name, address));
        match policy.lets_counted(|| named().unwrap_or_else(|| address.to_string())) {
            true => Ok(()),
            false => Err(why.unwrap_or_else(|| NOT_GRANTED.to_owned())),
        }
    }

    /// Whether datagrams of this address may come in: where it may send some there. Nobody is asked where a name leads
    /// for what strangers send.
    pub(crate) fn takes_from(&self, address: SocketAddr) -> bool {
        let policy = &self.terms.policy;
        let address = canonical(address);
        let client = &self.mesh.client;
        policy.allows_address(address)
            || policy.names_at(address.port()).any(|given| {
                let led = given.what.name().and_then(|name| client.led_to_last(name));
                led.is_some_and(|led| led.contains(&address.ip())) && Near::of(address.ip()) <= given.what.nearest()
            })
            || (policy.counts_sockets()
                && client
                    .name_of(address.ip())
                    .is_some_and(|name| policy.has_counted(&SocketTarget::named(&name, address))))
    }
}

/// One form of an address: an IPv4 address in IPv6 clothes is that one, and flow and scope are no part of it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn too_near(name: &str, ip: IpAddr) -> String {
    let near = Near::of(ip);
    match near {
        Near::Private | Near::Loopback | Near::Link => {
            let word = near.name();
            format!("{name} leads to {ip}, which is {word}: write `{word}` behind the grant by this name to reach it")
        }
        _ => format!("{name} leads to {ip}, which is {}", near.name()),
    }
}

/// In a task of its own, since a verdict cannot be shared between threads.
fn in_own_task(deciding: impl Future<Output = bool> + Send + 'static) -> Deciding {
    let mut task = JoinSet::new();
    task.spawn(deciding);
    Box::pin(async move { matches!(task.join_next().await, Some(Ok(true))) })
}

/// Whether the layers let it on. Of a socket that is all that they are told: what comes of it is known when a guest
/// asks for it.
async fn passes(asked: Question) -> bool {
    match asked.enter(&mut Bytes::new()).await {
        Ok(passing) => passing.end(Ok(None)).is_ok(),
        Err(_handled_or_turned_away) => false,
    }
}
