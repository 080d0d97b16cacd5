//! How the services of a mesh are, for those who look.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::actor::{Placed, check};
use crate::apply::Hosted;
use crate::engine::Tier;
use crate::error::Fault;
use crate::listener::{Counts, Listener};
use crate::router::service::Service;
use crate::state::durable::KeptState;

/// A service, as it is now.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::ServiceStatus;
///
/// runtime.send("echo", "hello").await?;
/// let ServiceStatus { service, accepted, suspended, .. } = &runtime.services()[0];
/// assert_eq!((service.as_str(), *accepted, *suspended), ("echo", 1, false));
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its name.
    pub service: String,
    /// Messages that wait in its mailboxes.
    pub queued: usize,
    /// Keys, where it is keyed; children, where its actors are spawned.
    pub keys: usize,
    /// Messages that were accepted.
    pub accepted: u64,
    /// Messages to it that were denied.
    pub denied: u64,
    /// Messages to it that were not accepted for another reason, such as a full mailbox.
    pub rejected: u64,
    /// Turns that committed.
    pub handled: u64,
    /// Turns that returned a fault.
    pub faulted: u64,
    /// Turns that crashed.
    pub crashed: u64,
    /// Instances that were started.
    pub started: u64,
    /// How well the live release is compiled.
    #[doc(hidden)]
    pub tier: Tier,
    /// Whether messages to it, or to some of its keys, wait until a person has decided: a release came back and cannot
    /// read the state ([`crate::deploy::Progress::Suspended`]), or durable state is damaged.
    pub suspended: bool,
    /// What of its durable state is damaged.
    #[serde(default)]
    pub damage: Vec<String>,
    /// Keys or children that crashed too often and are set aside: their messages wait until they are started again.
    #[serde(default)]
    pub set_aside: usize,
    /// Whether an operator stopped it.
    #[serde(default)]
    pub stopped: bool,
    /// Where the interfaces lead that it imports from other services, as it is told to people.
    #[serde(default)]
    pub wires: BTreeMap<String, String>,
}

/// Where a mesh takes requests of HTTP, as it is now.
///
/// # Example
///
/// ```
/// use airssys_wasm::{ListenerStatus, Runtime};
/// use airssys_wasm::topology::Topology;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let topology = Topology::parse("name = \"example\"\n[[http]]\nlisten = \"127.0.0.1:0\"\n", ".".as_ref())?;
/// let runtime = Runtime::builder().start(&topology).await?;
/// let ListenerStatus { listen, address, connections, .. } = &runtime.listeners()[0];
/// assert_eq!((listen.as_str(), *connections), ("127.0.0.1:0", 0));
/// assert_ne!(address, listen, "the host has chosen a port");
/// runtime.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// As the topology has it.
    pub listen: String,
    /// Where it listens.
    pub address: String,
    /// Whether it has a certificate, and speaks HTTPS.
    pub tls: bool,
    /// Connections that are open.
    pub connections: usize,
    /// Requests that are being answered.
    pub requests: usize,
    /// Requests that were answered, in whichever way.
    pub answered: u64,
    /// Where its routes lead, as it is told to people.
    pub routes: Vec<String>,
}

impl Hosted {
    /// See [`crate::Runtime::listeners`].
    pub(crate) fn listeners(&self) -> Vec<ListenerStatus> {
        let (all, declared) = (self.actual.listeners.all(), self.desired.in_force().declared_listeners());
        let routes = |listen: &str| declared.iter().find(|found| found.listen == listen).map(|of| of.routes.clone());
        let one = |listener: &Arc<Listener>| {
            let Counts { connections, requests, answered } = listener.counts();
            let (listen, address) = (listener.listen().to_string(), listener.address().to_string());
            let (tls, routes) = (listener.is_secure(), routes(&listen).unwrap_or_default());
            ListenerStatus { listen, address, tls, connections, requests, answered, routes }
        };
        all.iter().map(one).collect()
    }

    /// See [`crate::Runtime::health`].
    pub(crate) async fn health(&self, service: &str, patience: Duration) -> Option<Result<(), Fault>> {
        let placed = self.actual.placed(service)?;
        let mut well = None;
        for actor in placed.actors.iter() {
            match check(actor, patience).await {
                Some(Ok(())) => well = Some(Ok(())),
                other => return other,
            }
        }
        well
    }

    /// See [`crate::Runtime::services`].
    pub(crate) fn services(&self) -> Vec<ServiceStatus> {
        let placed = self.actual.all_placed();
        let by_name: HashMap<&str, &Placed> =
            placed.iter().map(|placed| (placed.service.address.as_str(), &**placed)).collect();
        let services = self.actual.mesh.services();
        let one = |service: &Arc<Service>| {
            let address = service.address.as_str();
            let placed = by_name.get(address);
            let tier = self.tier(service.address.service()).unwrap_or(Tier::Optimized);
            ServiceStatus {
                set_aside: placed.and_then(|placed| placed.roster.as_ref()).map_or(0, |roster| roster.set_aside()),
                stopped: self.desired.is_stopped(address),
                wires: self.wires(address),
                ..status(service, tier, placed.is_some_and(|placed| is_suspended(placed)))
            }
        };
        services.iter().map(one).collect()
    }

    /// See [`crate::Runtime::state`].
    pub(crate) fn state(&self, service: &str) -> HashMap<String, BTreeMap<Box<str>, Bytes>> {
        let mut all = HashMap::new();
        if let Some(service) = self.actual.mesh.service(service) {
            service.each_state(|key, state| drop(all.insert(key.to_owned(), state.snapshot())));
        }
        all
    }

    /// Each committed value of a service: the actor's key, the name of the value, and it.
    pub(crate) fn each_value(&self, service: &str, mut see: impl FnMut(&str, &str, &Bytes)) {
        if let Some(service) = self.actual.mesh.service(service) {
            service.each_state(|key, state| state.each_value(|name, value| see(key, name, value)));
        }
    }

    /// See [`crate::Runtime::state_dump`].
    pub(crate) fn state_dump(&self, service: &str) -> Option<BTreeMap<Box<str>, KeptState>> {
        let mut all = BTreeMap::new();
        self.actual.mesh.service(service)?.each_state(|key, state| drop(all.insert(key.into(), state.dump())));
        Some(all)
    }

    /// See [`crate::Runtime::durable_bytes`].
    pub(crate) fn durable_bytes(&self) -> Option<(u64, Option<u64>)> {
        self.actual.journal().map(|journal| (journal.budget().bytes(), journal.budget().most()))
    }

    /// Whether an actor of this service can handle a message now.
    pub(crate) fn is_up(&self, service: &str) -> bool {
        self.actual.mesh.service(service).is_some_and(|service| service.is_up())
    }

    /// Messages of this service that cut-off turns left and nobody has taken up again.
    pub(crate) fn left_in_hand(&self, service: &str) -> u64 {
        let mut left = 0;
        if let Some(service) = self.actual.mesh.service(service) {
            service.directory.each(|place| left += place.inbox.mailbox().left() as u64);
        }
        left
    }

    /// See [`crate::Runtime::is_quiet`].
    pub(crate) fn is_quiet(&self) -> bool {
        let services = self.actual.mesh.services();
        let turns = || -> u64 {
            let metrics = services.iter().map(|service| &service.metrics);
            metrics
                .flat_map(|m| [&m.handled, &m.faulted, &m.crashed, &m.started])
                .map(|count| count.load(Ordering::SeqCst))
                .sum()
        };
        // Each service was quiet when it was looked at. No turn ended meanwhile, so none can have sent to one that was
        // looked at before.
        let before = turns();
        services.iter().all(|service| service.is_quiet()) && turns() == before
    }
}

fn is_suspended(placed: &Placed) -> bool {
    let come_and_go = placed.roster.iter().flat_map(|roster| roster.awake());
    placed.actors.iter().any(|post| post.live.is_suspended())
        || come_and_go.into_iter().any(|post| post.live.is_suspended())
}

fn status(service: &Service, tier: Tier, suspended: bool) -> ServiceStatus {
    let mut queued = 0;
    service.directory.each(|place| queued += place.inbox.mailbox().len());
    let keys = service.directory.len();
    let lost = service.durable.as_ref().map(|durable| durable.lost()).unwrap_or_default();
    let damage: Vec<String> = lost.iter().map(|lost| lost.says.as_ref().to_owned()).collect();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let metrics = &service.metrics;
    ServiceStatus {
        service: service.address.to_string(),
        queued,
        keys,
        accepted: read(&metrics.accepted),
        denied: read(&metrics.denied),
        rejected: read(&metrics.rejected),
        handled: read(&metrics.handled),
        faulted: read(&metrics.faulted),
        crashed: read(&metrics.crashed),
        started: read(&metrics.started),
        tier,
        suspended: suspended || !damage.is_empty(),
        damage,
        set_aside: 0,
        stopped: false,
        wires: BTreeMap::new(),
    }
}
