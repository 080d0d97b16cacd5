//! The facade: a running mesh, for those who embed it.

mod apply;
mod builder;
mod deployments;
mod forget;
mod stops;
mod tiers;

pub use apply::ApplyError;
pub use builder::{Checked, RuntimeBuilder};
pub use forget::{ForgetError, Forgotten};
pub use stops::{ServiceStop, StopError, StopsError};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::{SupervisorHandle, SupervisorStart, TreeNode};
use airssys_rt_shim::system::{ShutdownReport, System, SystemError};
use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::actor::{Placed, check};
use crate::apply::{InForceError, Ledger};
use crate::capability::Operation;
use crate::config_file::ConfigError;
use crate::deploy::{RecordError, Records, Recovery, Source};
use crate::engine::{EngineError, Engines, TemplateError, Tier};
use crate::error::{Fault, ReplayError, SendError};
use crate::events::Subscription;
use crate::message::{Answer, DeadLetter};
use crate::registry::{Hold, Untrusted};
use crate::router::service::{Route, Service};
use crate::router::{Caller, Mesh, Origin, Until};
use crate::state::durable::{Journal, Kept, StateError};
use crate::topology::folders::Guarded;
use crate::topology::{FolderError, RangeError, Topology, TopologySettings};

use self::deployments::Releases;
use self::stops::Stops;

/// Why a mesh does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The engines cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A release cannot be hosted.
    #[error("service {service}: {source}")]
    Release {
        /// The service it was for.
        service: String,
        /// Why not.
        source: TemplateError,
    },
    /// A release is not signed by one who is trusted.
    #[error("service {service}: {source}")]
    Untrusted {
        /// The service it was for.
        service: String,
        /// Why not.
        source: Untrusted,
    },
    /// Two services have one name.
    #[error("there are two services {name:?}; hint: names are unique in a mesh")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// More instances were declared than can live.
    #[error(
        "the topology declares {declared} instances, and {most} is the most that {mappings} memory mappings allow; hint: raise vm.max_map_count (sysctl), or lower `instances`"
    )]
    TooManyInstances {
        /// How many were declared.
        declared: usize,
        /// How many can live.
        most: usize,
        /// What the kernel allows.
        mappings: usize,
    },
    /// A number means nothing: too little, or more than any host keeps. A topology from a file has none such.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Durable state is asked for, and no folder to keep it in.
    #[error(
        "service {service} has durable state, and no data folder was named; hint: name one, or leave `state` of the service out"
    )]
    NoDataFolder {
        /// The service.
        service: String,
    },
    /// The durable state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was deployed cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Which topology is in force cannot be read or written.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// Which services an operator stopped cannot be read.
    #[error(transparent)]
    Stops(#[from] StopsError),
    /// A release that the topology names is not there, and nothing is known that served in its place.
    #[error(transparent)]
    NoRelease(ConfigError),
    /// The release that was deployed is not there any more.
    #[error(
        "service {service} is served by {live}, which was deployed, and cannot be found again: {detail}; hint: bring the same bytes back, there or where they came from, or start with what the topology says: `airssys run --as-written`"
    )]
    DeployedGone {
        /// The service.
        service: String,
        /// What was live.
        live: Box<Source>,
        /// What is wrong.
        detail: String,
    },
    /// A folder is not granted.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Something did not start; what had started was stopped again.
    #[error(transparent)]
    Start(#[from] SystemError),
}

/// A running mesh.
///
/// # Example
///
/// A mesh of one service, asked once:
///
/// ```
/// use std::time::Duration;
/// use airssys_wasm::Runtime;
/// use airssys_wasm::topology::Topology;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let file = folder.path().join("airssys.toml");
/// std::fs::write(&file, r#"
///     name = "example"
///     [[service]]
///     name = "echo"
///     release = "echo.wasm"
/// "#)?;
/// let topology = Topology::read(&file)?;
/// let runtime = Runtime::builder().start(&topology).await?;
/// let answer = runtime.call("echo", "hello", Duration::from_secs(5)).await?;
/// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
/// let report = runtime.shutdown().await;
/// assert!(report.is_clean());
/// # Ok(()) }
/// ```
pub struct Runtime {
    engines: Arc<Engines>,
    mesh: Arc<Mesh>,
    system: System,
    placed: ArcSwap<Vec<Arc<Placed>>>,
    /// The supervisors below the root, by the names from there down to each, with slashes between them.
    supervisors: Mutex<BTreeMap<String, Arc<SupervisorStart>>>,
    /// Each keyed service's task that wakes its actors.
    controllers: Mutex<HashMap<String, JoinHandle<()>>>,
    /// The topology in force, as it was written, and where that is written down.
    in_force: ArcSwap<Topology>,
    ledger: Arc<Ledger>,
    /// One apply at a time.
    applying: Arc<tokio::sync::Mutex<()>>,
    data_folder: Option<PathBuf>,
    /// What of the host is granted to nobody.
    guarded: Vec<Guarded>,
    releases: Arc<Mutex<HashMap<String, Releases>>>,
    records: Arc<Records>,
    recoveries: Vec<Recovery>,
    /// What an operator stopped.
    stops: Arc<Stops>,
    tasks: Vec<JoinHandle<()>>,
    /// Where durable state is saved.
    journal: Mutex<Option<Journal>>,
    /// Nobody removes what runs here.
    _holds: Vec<Hold>,
    /// Whose releases are loaded, and how long a shutdown may take.
    settings: ArcSwap<TopologySettings>,
}

/// A service, as it is now.
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
    /// Messages to it that did not leave for another reason.
    pub rejected: u64,
    /// Turns that committed.
    pub handled: u64,
    /// Turns that returned a fault.
    pub faulted: u64,
    /// Turns that crashed.
    pub crashed: u64,
    /// Instances that were started.
    pub started: u64,
    /// How well the release is compiled that is live.
    pub tier: Tier,
    /// Whether messages to it, or to some of its keys, wait until a person has decided: a release came back and cannot read the state
    /// ([`crate::deploy::Progress::Suspended`]), or durable state is damaged.
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
}

impl Runtime {
    /// Makes one.
    #[must_use]
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Sends a message that nobody waits for. Answers when the mailbox has accepted it, which may wait for room as its policy says.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was sent then.
    pub async fn send(&self, to: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.mesh.send(Origin::HOST, to, None, body.into()).await
    }

    /// [`Runtime::send`] with a partition key.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn send_with_key(&self, to: &str, key: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.mesh.send(Origin::HOST, to, Some(key), body.into()).await
    }

    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`], which says whether it may have been handled.
    pub async fn call(&self, to: &str, body: impl Into<Bytes>, patience: Duration) -> Answer {
        self.ask(Caller::Host(None), to, None, body.into(), patience).await
    }

    /// [`Runtime::call`] with a partition key.
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`].
    pub async fn call_with_key(&self, to: &str, key: &str, body: impl Into<Bytes>, patience: Duration) -> Answer {
        self.ask(Caller::Host(None), to, Some(key), body.into(), patience).await
    }

    /// [`Runtime::call`] for those who have several under way and keep their order: `posted` is told when the message is in the mailbox, and what is sent
    /// after that comes after it. Where it never gets there, only the answer says so; where a layer has it tried again, it is told again.
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`].
    pub async fn call_in_order(
        &self,
        to: &str,
        body: impl Into<Bytes>,
        patience: Duration,
        posted: impl Fn() + Sync,
    ) -> Answer {
        self.ask(Caller::Host(Some(&posted)), to, None, body.into(), patience).await
    }

    async fn ask(&self, caller: Caller<'_>, to: &str, key: Option<&str>, body: Bytes, patience: Duration) -> Answer {
        let now = Instant::now();
        self.mesh.call(Origin::HOST, caller, to, key, body, Until { now, deadline: now + patience }).await
    }

    /// Publishes to all services that subscribe to the topic.
    ///
    /// # Errors
    ///
    /// [`SendError`], where a layer of the stack says no.
    pub fn publish(&self, topic: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        let mut body = body.into();
        if self.mesh.permit(Origin::HOST, Operation::Publish, topic, &mut body)? {
            self.mesh.publish(Origin::HOST, topic, &body);
        }
        Ok(())
    }

    /// Asks every actor of a service how it is, between two of its turns; the first that is not well answers for all. None where no such service runs.
    pub async fn health(&self, service: &str, patience: Duration) -> Option<Result<(), Fault>> {
        let placed = self.placed(service)?;
        let mut well = None;
        for actor in placed.actors.iter() {
            match check(actor, patience).await {
                Some(Ok(())) => well = Some(Ok(())),
                other => return other,
            }
        }
        well
    }

    /// What happens in the mesh, from its start on: see [`crate::events`].
    ///
    /// What is kept is bounded: events that gave way before they are read are counted and told.
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.mesh.events.subscribe()
    }

    /// The dead letters: how many there were, and those that are kept, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        self.mesh.dead_letters()
    }

    /// Takes a dead letter out of those that are kept, by the id of its message. It stays counted.
    #[must_use]
    pub fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.mesh.take_dead_letter(id)
    }

    /// Sends the body of a dead letter again to where it was going, and takes the letter out of those that are kept. It goes as a new message that the
    /// host sends and nobody waits for, whatever it was before.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; nothing was sent then, and the letter is kept.
    pub async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        self.mesh.replay(id).await
    }

    /// All services as they are now, by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        let is_suspended = |placed: &&Arc<Placed>| {
            let come_and_go = placed.roster.iter().flat_map(|roster| roster.awake());
            placed.actors.iter().any(|post| post.live.is_suspended())
                || come_and_go.into_iter().any(|post| post.live.is_suspended())
        };
        let placed = self.placed.load();
        let suspended: HashSet<&str> =
            placed.iter().filter(is_suspended).map(|placed| placed.service.address.as_str()).collect();
        let services = self.mesh.services();
        let tier = |service: &Service| self.tier(service.address.service()).unwrap_or(Tier::Optimized);
        services
            .iter()
            .map(|service| {
                let address = service.address.as_str();
                let roster = placed.iter().find(|placed| placed.service.address.as_str() == address);
                let set_aside = roster.and_then(|placed| placed.roster.as_ref()).map_or(0, |roster| roster.set_aside());
                ServiceStatus {
                    set_aside,
                    stopped: self.stops.has(address),
                    ..status(service, tier(service), suspended.contains(address))
                }
            })
            .collect()
    }

    /// How many bytes all durable states of the data folder have together, keys and values, with services that have left the topology; and the most that
    /// they may have, where there is a bound. None where no service has had durable state since the start.
    #[must_use]
    pub fn durable_bytes(&self) -> Option<(u64, Option<u64>)> {
        let journal = self.lock(&self.journal);
        journal.as_ref().map(|journal| (journal.room().bytes(), journal.room().most()))
    }

    /// The committed state of a service, by key of the actor (empty where it has one state only), then by key of the state.
    #[must_use]
    pub fn state(&self, service: &str) -> HashMap<String, BTreeMap<Box<str>, Bytes>> {
        let mut all = HashMap::new();
        if let Some(service) = self.mesh.service(service) {
            service.each_state(|key, state| drop(all.insert(key.to_owned(), state.snapshot())));
        }
        all
    }

    /// All committed state of a service with its history, by key of the actor (empty where it has one state only). None where there is no such service.
    ///
    /// Each state is as of one commit of its own; the states of several keys may be as of different moments.
    #[must_use]
    pub fn state_dump(&self, service: &str) -> Option<BTreeMap<Box<str>, Kept>> {
        let mut all = BTreeMap::new();
        self.mesh.service(service)?.each_state(|key, state| drop(all.insert(key.into(), state.dump())));
        Some(all)
    }

    /// One committed value of a service, by key of the actor (empty where it has one state only) and of the value.
    #[must_use]
    pub fn state_value(&self, service: &str, actor: &str, key: &str) -> Option<Bytes> {
        let mut found = None;
        self.mesh.service(service)?.each_state(|of, state| {
            if of == actor {
                found = state.get(key);
            }
        });
        found
    }

    /// The supervision tree as it is now.
    pub async fn tree(&self) -> Vec<TreeNode> {
        self.system.root().tree().await.unwrap_or_default()
    }

    /// The root supervisor, to stop, start and add children by hand.
    #[must_use]
    pub fn root(&self) -> SupervisorHandle {
        self.system.root()
    }

    /// How many instances live now, and how many may.
    #[must_use]
    pub fn instances(&self) -> (usize, usize) {
        (self.engines.live_instances(), self.engines.capacity().0)
    }

    /// Whether nothing is left to do: no message waits, no turn runs. Timers that are set do not count.
    ///
    /// It is true at one instant of the look; whoever sends meanwhile is not waited for.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let services = self.mesh.services();
        let turns = || -> u64 {
            let metrics = services.iter().map(|service| &service.metrics);
            metrics
                .flat_map(|m| [&m.handled, &m.faulted, &m.crashed, &m.started])
                .map(|count| count.load(Ordering::SeqCst))
                .sum()
        };
        // Each service was quiet when it was looked at. No turn ended meanwhile, so none can have sent to one that was looked at before.
        let before = turns();
        services.iter().all(|service| service.is_quiet()) && turns() == before
    }

    /// The child for which the root supervisor gave up, one restart too many, where it did.
    #[must_use]
    pub fn gave_up(&self) -> Option<String> {
        self.system.gave_up().map(|child| child.to_string())
    }

    /// Waits until the tree has ended by itself, such as when the root gave up.
    pub async fn ended(&self) -> ExitReason {
        self.system.ended().await
    }

    /// Stops the tree in order, within the topology's `shutdown_timeout`, and says what had to be killed. Messages that wait are dead letters then.
    pub async fn shutdown(&self) -> ShutdownReport {
        let timeout_of_all = self.settings.load().shutdown_timeout;
        let report = self.system.shutdown(timeout_of_all).await;
        self.mesh.close_all();
        self.mesh.events.end();
        self.abort_tasks();
        let journal = self.lock(&self.journal).clone();
        if let Some(journal) = journal {
            // A disk that hangs does not hold up the end: what it has not taken was never acknowledged.
            let _closed_or_left = timeout(timeout_of_all, journal.close()).await;
        }
        let ledger = Arc::clone(&self.ledger);
        if let Ok(Err(error)) = crate::blocking::spawn(move || ledger.rest()).await {
            tracing::warn!(target: "airssys", %error, "the next start takes this end for a crash");
        }
        report
    }

    fn abort_tasks(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.lock(&self.controllers).values().for_each(JoinHandle::abort);
    }

    fn placed(&self, service: &str) -> Option<Arc<Placed>> {
        self.placed.load().iter().find(|placed| placed.service.address.service() == service).cloned()
    }

    fn lock<'a, T>(&self, what: &'a Mutex<T>) -> MutexGuard<'a, T> {
        what.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.mesh.events.end();
        self.abort_tasks();
        if let Some(journal) = &*self.lock(&self.journal) {
            journal.close_soon();
        }
    }
}

fn status(service: &Service, tier: Tier, suspended: bool) -> ServiceStatus {
    let mut queued = 0;
    service.each_lane(|_, lane| queued += lane.mailbox.len());
    let keys = match &service.route {
        Route::Keyed(keyed) => keyed.len(),
        Route::Spawned(children) => children.len(),
        _ => 0,
    };
    let lost = service.shelf.as_ref().map(|shelf| shelf.lost()).unwrap_or_default();
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
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("system", &self.system)
            .field("services", &self.placed.load().len())
            .finish_non_exhaustive()
    }
}
