//! The facade: a running mesh, for those who embed it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::{SupervisorHandle, SupervisorSpec, SupervisorStart, TreeNode};
use airssys_rt_shim::system::{ShutdownReport, System, SystemError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::actor::{Multiplicity, NameTaken, Placed, Post, ServiceSpec, check};
use crate::capability::Operation;
use crate::compose::{Keeping, Node, ServiceNode, SupervisorNode, Topology};
use crate::deploy::{
    self, DeployError, DeployOptions, Deployment, Ended, Page, Plan, Progress, Reach, RecordError, Records, Recovery,
    Source,
};
use crate::engine::{EngineError, Engines, EnginesSettings, Lane, Template, TemplateError};
use crate::error::{Fault, ReplayError, SendError};
use crate::message::{Answer, DeadLetter};
use crate::middleware::{Layer, Stack};
use crate::registry::{Hold, PublicKey, Release, Untrusted, verify};
use crate::router::service::{Route, Service};
use crate::router::{Caller, Mesh, Origin, Until};
use crate::state::durable::{Journal, Kept, Shelf, StateError, StateFile};

/// How often unused storage of mailboxes is given back.
const COMPACT_EVERY: Duration = Duration::from_secs(10);

/// A file of durable states that is smaller than this, in bytes, is never compacted at a start.
const WORTH_COMPACTING: u64 = 64 << 20;

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
    /// The release that was deployed is not there any more.
    #[error(
        "service {service} is served by {live}, which was deployed, and cannot be found again: {detail}; hint: bring it back, or start with what the topology says: `airssys run --as-written`"
    )]
    DeployedGone {
        /// The service.
        service: String,
        /// What was live.
        live: Box<Source>,
        /// What is wrong.
        detail: String,
    },
    /// Something did not start; what had started was stopped again.
    #[error(transparent)]
    Start(#[from] SystemError),
}

/// Makes a [`Runtime`].
#[derive(Default)]
pub struct RuntimeBuilder {
    engines: EnginesSettings,
    layers: Vec<Arc<dyn Layer>>,
    data_folder: Option<PathBuf>,
    as_written: bool,
}

impl RuntimeBuilder {
    /// Keeps compiled code in this folder, so that the next start takes milliseconds.
    #[must_use]
    pub fn code_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.engines.code_cache = Some(folder.into());
        self
    }

    /// Keeps durable state and what was deployed in this folder, and finds published releases there. One mesh at a time has it.
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_folder = Some(folder.into());
        self
    }

    /// Starts with the releases that the topology names, whatever was deployed, and writes no deployment down. Otherwise a service starts with the
    /// release that was live last.
    #[must_use]
    pub fn as_written(mut self) -> Self {
        self.as_written = true;
        self
    }

    /// Lets at most this many instances live at a time; by default as many as the kernel's mappings allow.
    #[must_use]
    pub fn max_instances(mut self, most: usize) -> Self {
        self.engines.max_instances = Some(most);
        self
    }

    /// Adds a layer to the dispatch stack.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Compiles and links the releases, and starts nothing: finds what [`RuntimeBuilder::start`] would refuse.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`].
    pub async fn check(self, topology: &Topology) -> Result<Checked, RuntimeError> {
        durable_services(topology, self.data_folder.as_deref())?;
        let engines = engines(self.engines, topology)?;
        let (instances, most_instances) = room(&engines, topology)?;
        let (templates, _holds) = load(&engines, topology).await?;
        let digest = |service: &ServiceNode| templates.get(&key(service)).map(|template| template.digest().to_owned());
        let digests = topology
            .services()
            .map(|service| (service.address.to_string(), digest(service).unwrap_or_default()))
            .collect();
        Ok(Checked { instances, most_instances, digests })
    }

    /// Compiles the releases, starts the tree, and answers when all of it is up. Must be called on a tokio runtime with several threads.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`]. Nothing runs then.
    pub async fn start(self, topology: &Topology) -> Result<Runtime, RuntimeError> {
        let durable = durable_services(topology, self.data_folder.as_deref())?;
        let engines = engines(self.engines, topology)?;
        let (declared, most) = room(&engines, topology)?;
        tracing::info!(target: "airssys", mesh = topology.name, instances = declared, most_instances = most, "starting");
        let kept = match durable {
            Some((folder, services)) => Some(opened(folder.to_owned(), services).await?),
            None => None,
        };
        let recovered = recover(topology, self.data_folder.as_deref(), self.as_written, kept.as_ref());
        let loaded = match recovered {
            Ok(recovered) => load(&engines, &recovered.topology).await.map(|loaded| (recovered, loaded)),
            Err(error) => Err(error),
        };
        let (Recovered { topology, records, recoveries }, (templates, holds)) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                if let Some(kept) = kept {
                    kept.journal.close().await;
                }
                return Err(error);
            }
        };
        let topology = topology.as_ref();
        let mut previous = previous(&engines, topology, &records, self.data_folder.as_deref()).await;
        let mesh = Arc::new(Mesh::new(topology.settings.mesh, Stack::new(self.layers), Arc::clone(engines.pulse())));
        let mut building = Building {
            mesh: &mesh,
            engines: &engines,
            templates: &templates,
            kept: kept.as_ref(),
            services: Vec::new(),
        };
        let mut root = topology.root.spec();
        root.children = building.children(&topology.children)?;
        let mut placed = building.services;
        let deployable = |node: &ServiceNode| {
            let template = Arc::clone(templates.get(&key(node))?);
            // Its own hold is among those of the whole mesh.
            let live = Deployable { node: Arc::new(node.clone()), template, _hold: None };
            let service = node.address.to_string();
            let previous = previous.remove(&service);
            Some((service, Releases { live, previous, saved: Vec::new(), deployment: None, taken: false }))
        };
        let releases = topology.services().filter_map(deployable).collect();
        let mut tasks = vec![tokio::spawn({
            let mesh = Arc::clone(&mesh);
            async move { mesh.timers.run(|id, alarm| mesh.ring(id, alarm)).await }
        })];
        tasks.extend(
            placed
                .iter_mut()
                .filter_map(|service| service.controller.take())
                .map(|controller| tokio::spawn(controller.run())),
        );
        tasks.push(tokio::spawn(compact(Arc::clone(&mesh))));
        match System::start(topology.name.as_str(), root).await {
            Ok(system) => Ok(Runtime {
                engines,
                mesh,
                system,
                placed,
                releases: Arc::new(Mutex::new(releases)),
                records,
                recoveries,
                tasks,
                journal: kept.map(|kept| kept.journal),
                _holds: holds,
                shutdown_timeout: topology.settings.shutdown_timeout,
                trusted_keys: topology.settings.trusted_keys.clone(),
            }),
            Err(error) => {
                tasks.iter().for_each(JoinHandle::abort);
                if let Some(kept) = kept {
                    kept.journal.close().await;
                }
                Err(error.into())
            }
        }
    }
}

/// A topology that could be started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The instances that it declares.
    pub instances: usize,
    /// How many can live on this machine.
    pub most_instances: usize,
    /// The SHA-256 of each service's component, by the service's name.
    pub digests: HashMap<String, String>,
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
/// use airssys_wasm::compose::Topology;
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
    placed: Vec<Placed>,
    releases: Arc<Mutex<HashMap<String, Releases>>>,
    records: Arc<Records>,
    recoveries: Vec<Recovery>,
    tasks: Vec<JoinHandle<()>>,
    /// Where durable state is saved.
    journal: Option<Journal>,
    /// Nobody removes what runs here.
    _holds: Vec<Hold>,
    shutdown_timeout: Duration,
    trusted_keys: Option<Vec<PublicKey>>,
}

/// A release, and the rules that it runs under.
#[derive(Clone)]
struct Deployable {
    /// Shared, since there is one for each service: it is large.
    node: Arc<ServiceNode>,
    template: Arc<Template>,
    /// Keeps its files from being removed; none where it was found by a path.
    _hold: Option<Arc<Hold>>,
}

impl Deployable {
    fn source(&self) -> Source {
        Source::new(&self.node.release, self.template.digest())
    }

    fn side(&self) -> deploy::Side<'_> {
        deploy::Side {
            manifest: &self.node.release.manifest,
            digest: self.template.digest(),
            interface: self.template.interface(),
            limits: &self.node.limits,
        }
    }
}

/// What serves a service, and what did before.
struct Releases {
    live: Deployable,
    /// Kept ready, so that the way back is as short as the way there.
    previous: Option<Deployable>,
    /// What each actor's states were before the live one brought them over.
    saved: Vec<deploy::Before>,
    deployment: Option<Deployment>,
    /// Whether one is under way, or about to be.
    taken: bool,
}

/// A service, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its name.
    pub service: String,
    /// Messages that wait in its mailboxes.
    pub queued: usize,
    /// Keys, where it is keyed.
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
    /// Whether its messages wait because of a release that came back and cannot read the state: see [`Progress::Suspended`].
    pub suspended: bool,
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

    /// Lets another release take a service over, in place: address, mailbox and state stay, and what the operator granted and configured. It answers when
    /// the release is compiled; the rest can be followed with the [`Deployment`].
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub async fn deploy(
        &self,
        service: &str,
        release: Release,
        options: DeployOptions,
    ) -> Result<Deployment, DeployError> {
        self.check_signatures(service, &release)?;
        let live = self.take_for_deployment(service, |releases| Ok(releases.live.clone()))?;
        let free = Freed { releases: Arc::clone(&self.releases), service: service.to_owned() };
        let next = self.prepare(service, &live, release).await?;
        let (_plan, refused) = compare(service, &live, &next, options).await?;
        match refused.into_iter().next() {
            Some(refused) => Err(refused),
            None => Ok(self.switch(free, next, None, false, options)),
        }
    }

    /// [`Runtime::deploy`] for several services at once. All releases are compiled and compared first; then the services are switched, those that are called
    /// before those who call them; then they are on probation together. Where one goes back, all do. It answers when all are switched, or go back.
    ///
    /// # Errors
    ///
    /// [`DeployError`] of the first one that is refused; nothing has changed then.
    pub async fn deploy_set(
        &self,
        set: Vec<(String, Release)>,
        options: DeployOptions,
    ) -> Result<Vec<(String, Deployment)>, DeployError> {
        let mut prepared = Vec::with_capacity(set.len());
        for (service, release) in set {
            self.check_signatures(&service, &release)?;
            let live = self.take_for_deployment(&service, |releases| Ok(releases.live.clone()))?;
            let free = Freed { releases: Arc::clone(&self.releases), service: service.clone() };
            let next = self.prepare(&service, &live, release).await?;
            let (_plan, refused) = compare(&service, &live, &next, options).await?;
            if let Some(refused) = refused.into_iter().next() {
                return Err(refused);
            }
            prepared.push(Some((service, free, next)));
        }
        let order = deploy::callees_first(prepared.len(), |from, to| match (&prepared[from], &prepared[to]) {
            (Some((_, _, from)), Some((to, _, _))) => from.node.terms().policy.allows(Operation::Call, to),
            _ => false,
        });
        let mut begun = deploy::Begun::default();
        for at in order {
            let Some((service, free, next)) = prepared[at].take() else { continue };
            let deployment = self.switch(free, next, None, true, options);
            begun.0.push((service.clone(), deployment.clone()));
            let reached = deployment.switched().await;
            if reached != Progress::Probation {
                deploy::undo(&begun.0, &service, &reached);
                for (_, deployment) in &begun.0 {
                    deployment.ended().await;
                }
                return Ok(std::mem::take(&mut begun.0));
            }
        }
        let begun = std::mem::take(&mut begun.0);
        tokio::spawn(deploy::together(begun.clone(), options.probation));
        Ok(begun)
    }

    /// What [`Runtime::deploy`] would change, and why it would refuse. Compiles the release, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`DeployError`]: there is nothing to compare, or the release cannot be hosted.
    pub async fn plan(&self, service: &str, release: Release, options: DeployOptions) -> Result<Plan, DeployError> {
        self.check_signatures(service, &release)?;
        let (live, taken, reached_by) = {
            let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
            let found = deployable(&releases, service)?;
            (found.live.clone(), found.taken, reached_by(&releases, service))
        };
        let next = self.prepare(service, &live, release).await?;
        let (mut plan, _refused) = compare(service, &live, &next, options).await?;
        plan.reached_by = reached_by;
        if taken {
            plan.refusals.insert(0, (&DeployError::UnderWay { service: service.to_owned() }).into());
        }
        Ok(plan)
    }

    fn check_signatures(&self, service: &str, release: &Release) -> Result<(), DeployError> {
        let Some(trusted) = &self.trusted_keys else { return Ok(()) };
        let verified = verify(release, trusted);
        verified.map(drop).map_err(|source| DeployError::Untrusted { service: service.to_owned(), source })
    }

    /// Compiles a release for the place of the live one.
    async fn prepare(&self, service: &str, live: &Deployable, release: Release) -> Result<Deployable, DeployError> {
        let (from, to) = (live.node.release.manifest.state_schema, release.manifest.state_schema);
        if from != to && matches!(live.node.multiplicity, Multiplicity::Keyed(_)) {
            return Err(DeployError::KeyedSchema { service: service.to_owned(), from, to });
        }
        let node = Arc::new(live.node.with_release(release));
        let hold = hold(&node).map(Arc::new);
        let loaded = loaded(loading(&self.engines, ServiceNode::clone(&node)), &node.release.component).await;
        let template = loaded.map_err(|source| DeployError::Release { service: service.to_owned(), source })?;
        Ok(Deployable { node, template: Arc::new(template), _hold: hold })
    }

    /// Brings back the release that served before the one that is live: at once, since it is kept ready. Where a deployment is under way, that is cancelled.
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub fn rollback(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        if let Some(deployment) = self.deployment(service).filter(|deployment| !deployment.progress().is_over()) {
            deployment.cancel();
            return Ok(deployment);
        }
        let before = self.take_for_deployment(service, |releases| {
            releases.previous.clone().ok_or_else(|| DeployError::NoPrevious { service: service.to_owned() })
        })?;
        let free = Freed { releases: Arc::clone(&self.releases), service: service.to_owned() };
        Ok(self.switch(free, before, None, false, options))
    }

    /// [`Runtime::rollback`] for a release that cannot read what the live one stored: puts the state back to what it was before the live one brought it
    /// over, with the turns that were committed since discarded. Also the way out of [`Progress::Suspended`].
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub fn restore_state(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        let posts = self.posts(service);
        let suspended: Vec<deploy::Before> = posts.iter().filter_map(|post| post.live.saved()).collect();
        let mut put_back = Vec::new();
        let before = self.take_for_deployment(service, |releases| {
            // A suspended one has gone back already, but for its state.
            if suspended.len() == posts.len() && !posts.is_empty() {
                put_back = suspended;
                return Ok(releases.live.clone());
            }
            put_back = releases.saved.clone();
            match &releases.previous {
                Some(previous) if put_back.iter().any(|saved| !saved.is_empty()) => Ok(previous.clone()),
                _ => Err(DeployError::NoSavedState { service: service.to_owned() }),
            }
        })?;
        let free = Freed { releases: Arc::clone(&self.releases), service: service.to_owned() };
        Ok(self.switch(free, before, Some(put_back), false, options))
    }

    /// How many committed turns [`Runtime::restore_state`] would discard.
    #[must_use]
    pub fn turns_to_discard(&self, service: &str) -> u64 {
        let suspended: Vec<u64> =
            self.posts(service).iter().filter_map(|post| post.live.suspended()).map(|(_, turns)| turns).collect();
        if !suspended.is_empty() {
            return suspended.into_iter().sum();
        }
        let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = releases.get(service).map(|found| found.saved.as_slice()).unwrap_or_default();
        saved.iter().flat_map(|saved| saved.iter()).map(crate::state::Saved::turns_since).sum()
    }

    fn posts(&self, service: &str) -> Arc<[Post]> {
        let placed = self.placed.iter().find(|placed| placed.service.address.service() == service);
        placed.map(|placed| Arc::clone(&placed.actors)).unwrap_or_else(|| Arc::new([]))
    }

    /// The last deployment of a service, where it had one.
    #[must_use]
    pub fn deployment(&self, service: &str) -> Option<Deployment> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner).get(service)?.deployment.clone()
    }

    /// How the deployments of a service ended, the youngest last; also those before this start, where there is a data folder. At most 100.
    #[must_use]
    pub fn history(&self, service: &str) -> Vec<Ended> {
        self.records.history(service)
    }

    /// What the start found in the data folder that is not as the topology says.
    #[must_use]
    pub fn recoveries(&self) -> &[Recovery] {
        &self.recoveries
    }

    /// The SHA-256 of the component that is live.
    #[must_use]
    pub fn live_digest(&self, service: &str) -> Option<String> {
        let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        Some(releases.get(service)?.live.template.digest().to_owned())
    }

    /// One deployment a service at a time: takes the place of this one.
    fn take_for_deployment(
        &self,
        service: &str,
        what: impl FnOnce(&Releases) -> Result<Deployable, DeployError>,
    ) -> Result<Deployable, DeployError> {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let found = deployable(&releases, service)?;
        if found.taken {
            return Err(DeployError::UnderWay { service: service.to_owned() });
        }
        let what = what(found)?;
        if let Some(found) = releases.get_mut(service) {
            found.taken = true;
        }
        Ok(what)
    }

    fn switch(
        &self,
        free: Freed,
        next: Deployable,
        put_back: Option<Vec<deploy::Before>>,
        joint: bool,
        options: DeployOptions,
    ) -> Deployment {
        let placed = self.placed.iter().find(|placed| placed.service.address.service() == free.service);
        let posts = match placed.and_then(|placed| placed.roster.clone()) {
            Some(roster) => deploy::Posts::Keyed(roster),
            None => deploy::Posts::Fixed(self.posts(&free.service)),
        };
        let live = self
            .releases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&free.service)
            .map(|found| found.live.source());
        let page = Arc::new(Page {
            records: Arc::clone(&self.records),
            service: free.service.clone(),
            live: live.unwrap_or_else(|| next.source()),
            next: next.source(),
        });
        let order = deploy::Order {
            engines: Arc::clone(&self.engines),
            posts,
            template: Arc::clone(&next.template),
            terms: Arc::new(next.node.terms()),
            options,
            put_back,
            page,
            joint,
        };
        let (service, releases) = (free.service.clone(), Arc::clone(&self.releases));
        let discards = order.put_back.is_some();
        let deployment = deploy::begin(order, move |end, saved| {
            if *end == Progress::Live
                && let Some(found) = free.releases.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&free.service)
            {
                // One that was suspended is live already, but for its state.
                if !Arc::ptr_eq(&found.live.template, &next.template) {
                    found.previous = Some(std::mem::replace(&mut found.live, next));
                }
                found.saved = if discards { Vec::new() } else { saved };
            }
            drop(free);
        });
        if let Some(found) = releases.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&service) {
            found.deployment = Some(deployment.clone());
        }
        deployment
    }

    /// Asks every actor of a service how it is, between two of its turns; the first that is not well answers for all. None where no such service runs.
    pub async fn health(&self, service: &str, patience: Duration) -> Option<Result<(), Fault>> {
        let placed = self.placed.iter().find(|placed| placed.service.address.service() == service)?;
        let mut well = None;
        for actor in placed.actors.iter() {
            match check(actor, patience).await {
                Some(Ok(())) => well = Some(Ok(())),
                other => return other,
            }
        }
        well
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
        let suspended = |service: &Service| {
            self.posts(service.address.service()).iter().any(|post| post.live.suspended().is_some())
        };
        self.mesh.services().iter().map(|service| status(service, suspended(service))).collect()
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
        let report = self.system.shutdown(self.shutdown_timeout).await;
        for service in self.mesh.services() {
            service.each_lane(|_, lane| self.mesh.close(&lane.mailbox));
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(journal) = &self.journal {
            // A disk that hangs does not hold up the end: what it has not taken was never acknowledged.
            let _closed_or_left = timeout(self.shutdown_timeout, journal.close()).await;
        }
        report
    }
}

/// Lets the next deployment of a service begin when this one is over, however it ends.
struct Freed {
    releases: Arc<Mutex<HashMap<String, Releases>>>,
    service: String,
}

impl Drop for Freed {
    fn drop(&mut self) {
        if let Some(found) = self.releases.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&self.service) {
            found.taken = false;
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(journal) = &self.journal {
            journal.close_soon();
        }
    }
}

fn status(service: &Service, suspended: bool) -> ServiceStatus {
    let mut queued = 0;
    service.each_lane(|_, lane| queued += lane.mailbox.len());
    let keys = match &service.route {
        Route::Keyed(keyed) => keyed.len(),
        _ => 0,
    };
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
        suspended,
    }
}

/// The instances that are declared, and the most that can live.
fn room(engines: &Engines, topology: &Topology) -> Result<(usize, usize), RuntimeError> {
    let (most, mappings) = engines.capacity();
    let declared = topology.services().map(declared_instances).sum();
    if declared > most {
        return Err(RuntimeError::TooManyInstances { declared, most, mappings });
    }
    Ok((declared, most))
}

/// How many instances a service may have at a time.
fn declared_instances(service: &ServiceNode) -> usize {
    match service.multiplicity {
        Multiplicity::One => 1,
        Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances } => instances,
        Multiplicity::Keyed(rules) => rules.max_awake,
    }
}

fn engines(mut settings: EnginesSettings, topology: &Topology) -> Result<Arc<Engines>, EngineError> {
    settings.demand =
        topology.services().map(|service| (service.limits.memory_bytes, declared_instances(service))).collect();
    Engines::new(&settings).map(Arc::new)
}

/// What makes two services share a template: the file, the lane, the engine class.
type TemplateKey = (PathBuf, bool, u64);

/// The releases of a service that can be deployed in place.
fn deployable<'a>(releases: &'a HashMap<String, Releases>, service: &str) -> Result<&'a Releases, DeployError> {
    let found = releases.get(service).ok_or_else(|| DeployError::NoSuchService { service: service.to_owned() })?;
    Ok(found)
}

/// The services that may send to this one or call it, by name.
fn reached_by(releases: &HashMap<String, Releases>, service: &str) -> Vec<Reach> {
    let mut all: Vec<Reach> = releases
        .iter()
        .filter_map(|(name, releases)| {
            let policy = releases.live.node.terms().policy;
            let allowed = [Operation::Send, Operation::Call].into_iter().filter(|of| policy.allows(*of, service));
            let by: Vec<String> = allowed.map(|operation| operation.name().to_owned()).collect();
            (!by.is_empty()).then(|| Reach { service: name.clone(), by })
        })
        .collect();
    all.sort_unstable_by(|a, b| a.service.cmp(&b.service));
    all
}

/// The plan, and why it would be refused; off the runtime's threads, since a component may have many types.
async fn compare(
    service: &str,
    live: &Deployable,
    next: &Deployable,
    options: DeployOptions,
) -> Result<(Plan, Vec<DeployError>), DeployError> {
    let (name, live, next) = (service.to_owned(), live.clone(), next.clone());
    let path = next.node.release.component.clone();
    let compared = tokio::task::spawn_blocking(move || {
        deploy::plan(&name, &live.side(), &next.side(), &next.node.grants, options.allow_downgrade)
    });
    compared.await.map_err(|error| {
        let source = TemplateError::Invalid { path, detail: format!("reading its types panicked: {error}") };
        DeployError::Release { service: service.to_owned(), source }
    })
}

fn key(service: &ServiceNode) -> TemplateKey {
    (service.release.component.clone(), service.release.manifest.lane == Lane::Sync, service.limits.memory_bytes)
}

type Loading = JoinHandle<Result<Template, TemplateError>>;

/// Each release is by one who is trusted, where the topology says who is.
fn check_trust(topology: &Topology) -> Result<(), RuntimeError> {
    let Some(trusted) = &topology.settings.trusted_keys else { return Ok(()) };
    for service in topology.services() {
        verify(&service.release, trusted)
            .map_err(|source| RuntimeError::Untrusted { service: service.address.to_string(), source })?;
    }
    Ok(())
}

/// Compiles each release once, several at a time, off the runtime's threads, and holds those of a store.
async fn load(
    engines: &Arc<Engines>,
    topology: &Topology,
) -> Result<(HashMap<TemplateKey, Arc<Template>>, Vec<Hold>), RuntimeError> {
    check_trust(topology)?;
    let mut holds = Vec::new();
    // In the order of the services, so that of several errors the same one is told each time.
    let mut under_way: Vec<(TemplateKey, String, Loading)> = Vec::new();
    let mut seen = HashSet::new();
    for service in topology.services().filter(|service| seen.insert(key(service))) {
        holds.extend(hold(service));
        under_way.push((key(service), service.address.to_string(), loading(engines, service.clone())));
    }
    let mut templates = HashMap::new();
    for (key, service, task) in under_way {
        let template = loaded(task, &key.0).await.map_err(|source| RuntimeError::Release { service, source })?;
        templates.insert(key, Arc::new(template));
    }
    Ok((templates, holds))
}

/// Compiles a service's release off the runtime's threads.
fn loading(engines: &Arc<Engines>, service: ServiceNode) -> Loading {
    let engines = Arc::clone(engines);
    tokio::task::spawn_blocking(move || {
        let release = &service.release;
        let expected = release.seal.as_ref().map(|seal| seal.binary.to_string());
        Template::load(&engines, &release.component, expected.as_deref(), release.manifest.lane, &service.limits)
    })
}

async fn loaded(loading: Loading, path: &Path) -> Result<Template, TemplateError> {
    loading.await.unwrap_or_else(|error| {
        Err(TemplateError::Invalid { path: path.to_owned(), detail: format!("the compiler panicked: {error}") })
    })
}

/// Keeps others from removing the release of a service, where it is published.
fn hold(service: &ServiceNode) -> Option<Hold> {
    service.release.seal.as_ref()?;
    match service.release.hold() {
        Ok(hold) => Some(hold),
        // A file that cannot be read is told by the loading.
        Err(error) => {
            tracing::warn!(target: "airssys", service = %service.address, %error, "others may remove its release");
            None
        }
    }
}

/// The services with durable state, and the folder for it; none where there is no such service.
fn durable_services<'a>(
    topology: &Topology,
    folder: Option<&'a Path>,
) -> Result<Option<(&'a Path, Vec<String>)>, RuntimeError> {
    let durable = topology.services().filter(|service| service.keeping == Keeping::Durable);
    let services: Vec<String> = durable.map(|service| service.address.to_string()).collect();
    match (services.first(), folder) {
        (None, _) => Ok(None),
        (Some(_), Some(folder)) => Ok(Some((folder, services))),
        (Some(service), None) => Err(RuntimeError::NoDataFolder { service: service.clone() }),
    }
}

/// A topology with the releases that were live last.
struct Recovered<'a> {
    topology: Cow<'a, Topology>,
    records: Arc<Records>,
    recoveries: Vec<Recovery>,
}

/// Puts what was deployed into the topology.
fn recover<'a>(
    topology: &'a Topology,
    data: Option<&Path>,
    as_written: bool,
    kept: Option<&DurableStates>,
) -> Result<Recovered<'a>, RuntimeError> {
    let records = Records::open(data.filter(|_| !as_written))?;
    if records.is_empty() {
        return Ok(Recovered { topology: Cow::Borrowed(topology), records: Arc::new(records), recoveries: Vec::new() });
    }
    let (mut topology, mut recoveries, mut failed) = (topology.clone(), Vec::new(), None);
    topology.each_service(|node| {
        if failed.is_none() {
            failed = recover_service(node, &records, data, kept, &mut recoveries).err();
        }
    });
    for recovery in &recoveries {
        tracing::warn!(target: "airssys::deploy", "{recovery}");
    }
    failed.map_or(Ok(Recovered { topology: Cow::Owned(topology), records: Arc::new(records), recoveries }), Err)
}

/// The releases that served before those that are live, as far as they can be had: without one there is no way back, and nothing else is wrong.
async fn previous(
    engines: &Arc<Engines>,
    topology: &Topology,
    records: &Records,
    data: Option<&Path>,
) -> HashMap<String, Deployable> {
    let mut all = HashMap::new();
    for node in topology.services() {
        let service = node.address.to_string();
        let (Some(before), Some(data)) = (records.get(&service).and_then(|record| record.previous), data) else {
            continue;
        };
        match load_source(engines, node, &before, data).await {
            Ok(deployable) => drop(all.insert(service, deployable)),
            Err(why) => {
                tracing::warn!(target: "airssys::deploy", service, release = %before, why, "there is no way back to the release before");
            }
        }
    }
    all
}

async fn load_source(
    engines: &Arc<Engines>,
    node: &ServiceNode,
    source: &Source,
    data: &Path,
) -> Result<Deployable, String> {
    let node = Arc::new(node.with_release(source.find(data)?));
    let hold = hold(&node).map(Arc::new);
    let loaded = loaded(loading(engines, ServiceNode::clone(&node)), &node.release.component).await;
    let template = loaded.map_err(|error| error.to_string())?;
    Ok(Deployable { node, template: Arc::new(template), _hold: hold })
}

fn recover_service(
    node: &mut ServiceNode,
    records: &Records,
    data: Option<&Path>,
    kept: Option<&DurableStates>,
    recoveries: &mut Vec<Recovery>,
) -> Result<(), RuntimeError> {
    let service = node.address.to_string();
    let mut schemas = Vec::new();
    if let Some(shelf) = kept.and_then(|kept| kept.shelves.get(&service)) {
        shelf.each(|_, state| schemas.extend(state.schema()));
    }
    recoveries.extend(records.settle(&service, &schemas)?);
    let (Some(record), Some(data)) = (records.get(&service), data) else { return Ok(()) };
    let found = record.live.find(data);
    let release = found.map_err(|detail| RuntimeError::DeployedGone {
        service: service.clone(),
        live: Box::new(record.live.clone()),
        detail,
    })?;
    if release != node.release {
        let written = node.release.component.clone();
        if std::path::absolute(&release.component).ok() != std::path::absolute(&written).ok() {
            recoveries.push(Recovery::Deployed { service, live: record.live, written });
        }
        *node = node.with_release(release);
    }
    Ok(())
}

/// All durable states of a mesh, by service, and where they are saved.
struct DurableStates {
    journal: Journal,
    shelves: HashMap<String, Arc<Shelf>>,
}

/// Reads all durable states, off the runtime's threads.
async fn opened(folder: PathBuf, services: Vec<String>) -> Result<DurableStates, RuntimeError> {
    let path = StateFile::path(&folder);
    let reading = tokio::task::spawn_blocking(move || {
        let mut file = StateFile::open(&folder)?;
        file.compact_past(WORTH_COMPACTING)?;
        let kept: Result<Vec<_>, StateError> =
            services.into_iter().map(|service| file.read(&service).map(|kept| (service, kept))).collect();
        Ok((kept?, file))
    });
    let (kept, file) = reading.await.unwrap_or_else(|panic| {
        Err(StateError::Damaged { path: path.clone(), detail: format!("reading it panicked: {panic}") })
    })?;
    let started = Journal::start(file);
    let journal = started.map_err(|source| StateError::File { what: "start the thread for", path, source })?;
    let shelf = |(service, kept): (String, _)| {
        let shelf = Shelf::new(journal.clone(), &service, kept);
        (service, Arc::new(shelf))
    };
    let shelves = kept.into_iter().map(shelf).collect();
    Ok(DurableStates { journal, shelves })
}

struct Building<'a> {
    mesh: &'a Arc<Mesh>,
    engines: &'a Arc<Engines>,
    templates: &'a HashMap<TemplateKey, Arc<Template>>,
    kept: Option<&'a DurableStates>,
    services: Vec<Placed>,
}

impl Building<'_> {
    fn children(&mut self, nodes: &[Node]) -> Result<Vec<ChildSpec>, RuntimeError> {
        let mut children = Vec::new();
        for node in nodes {
            match node {
                Node::Service(service) => children.extend(self.service(service)?),
                Node::Supervisor(supervisor) => children.push(self.supervisor(supervisor)?),
            }
        }
        Ok(children)
    }

    fn supervisor(&mut self, node: &SupervisorNode) -> Result<ChildSpec, RuntimeError> {
        let spec = SupervisorSpec { children: self.children(&node.children)?, ..node.flags.spec() };
        let start = SupervisorStart::new(spec).map_err(SystemError::from)?;
        Ok(ChildSpec {
            restart: node.restart,
            shutdown: node.shutdown,
            significant: node.significant,
            ..ChildSpec::supervisor(node.name.as_str(), start)
        })
    }

    fn service(&mut self, node: &ServiceNode) -> Result<Vec<ChildSpec>, RuntimeError> {
        let Some(template) = self.templates.get(&key(node)) else { return Ok(Vec::new()) };
        let spec = ServiceSpec {
            address: node.address.clone(),
            template: Arc::clone(template),
            multiplicity: node.multiplicity,
            shape: node.shape,
            terms: Arc::new(node.terms()),
            restart: node.restart,
            shutdown: node.shutdown,
            significant: node.significant,
            shelf: self.kept.and_then(|kept| kept.shelves.get(node.address.as_str())).map(Arc::clone),
        };
        let mut placed = spec
            .place(self.mesh, self.engines)
            .map_err(|NameTaken(name)| RuntimeError::NameTaken { name: name.to_string() })?;
        let children = std::mem::take(&mut placed.children);
        self.services.push(placed);
        Ok(children)
    }
}

async fn compact(mesh: Arc<Mesh>) {
    let mut every = tokio::time::interval(COMPACT_EVERY);
    loop {
        every.tick().await;
        for service in mesh.services() {
            service.each_lane(|_, lane| {
                lane.mailbox.compact();
            });
        }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("system", &self.system)
            .field("services", &self.placed.len())
            .finish_non_exhaustive()
    }
}
