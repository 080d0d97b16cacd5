//! From a topology, and what the data folder says, to a running mesh: compile, read durable state, place, start.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::supervisor::{SupervisorSpec, SupervisorStart};
use airssys_rt_shim::system::{System, SystemError};
use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use crate::actor::{NameTaken, Placed, ServiceSpec};
use crate::apply::{Ledger, Served};
use crate::deploy::{Records, Recovery, Source};
use crate::engine::{Asked, EngineError, Engines, EnginesSettings, Lane, Template, TemplateError};
use crate::error::Crash;
use crate::limits::InstanceLimits;
use crate::middleware::{Layer, Stack};
use crate::registry::{Digest, Hold, Keep, Release, verify};
use crate::router::Mesh;
use crate::state::durable::{self, Journal, Shelf, StateError, StateFile};
use crate::topology::folders::{self, Guarded};
use crate::topology::range;
use crate::topology::{FolderNote, Node, ServiceNode, SupervisorNode, Topology};

use super::deployments::{Deployable, Releases};
use super::stops::{Stops, hold as hold_stopped};
use super::{Runtime, RuntimeError};
use crate::settings::Keeping;
use crate::settings::Multiplicity;

/// How often unused storage of mailboxes is given back.
const COMPACT_EVERY: Duration = Duration::from_secs(10);

/// A file of durable states that is smaller than this, in bytes, is never compacted at a start. What could be gained is no more than the compiled code of
/// one or two releases takes in the same folder.
const WORTH_COMPACTING: u64 = 16 << 20;

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

    /// Keeps durable state, what was deployed and which topology is in force in this folder, and finds published releases there. One mesh at a time has it.
    ///
    /// The topology that is started is the one in force from then on. Who wants to go on with what was applied last asks [`crate::apply::in_force`] before.
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
        range::check(topology)?;
        durable_services(topology, self.data_folder.as_deref())?;
        let guarded = guarded(self.data_folder.as_deref(), self.engines.code_cache.as_deref());
        let folders = folders::hold(&mut topology.clone(), [], &guarded)?;
        let engines = engines(self.engines, topology)?;
        let (instances, most_instances) = room(&engines, topology)?;
        let (templates, _holds) = load(&engines, topology).await?;
        let digest = |service: &ServiceNode| templates.get(&key(service)).map(|template| template.digest().to_owned());
        let digests = topology
            .services()
            .map(|service| (service.address.to_string(), digest(service).unwrap_or_default()))
            .collect();
        Ok(Checked { instances, most_instances, digests, folders })
    }

    /// Compiles the releases, starts the tree, and answers when all of it is up. Must be called on a tokio runtime with several threads.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`]. Nothing runs then.
    pub async fn start(self, topology: &Topology) -> Result<Runtime, RuntimeError> {
        range::check(topology)?;
        let in_force = topology;
        let stops = Stops::open(self.data_folder.as_deref())?;
        let guarded = guarded(self.data_folder.as_deref(), self.engines.code_cache.as_deref());
        let durable = durable_services(topology, self.data_folder.as_deref())?;
        let engines = engines(self.engines, topology)?;
        let (declared, most) = room(&engines, topology)?;
        tracing::info!(target: "airssys", mesh = topology.name, instances = declared, most_instances = most, "starting");
        let kept = match durable {
            Some((folder, services)) => {
                Some(opened(folder.to_owned(), services, topology.settings.durable_bytes).await?)
            }
            None => None,
        };
        let recovered = recover(topology, self.data_folder.as_deref(), self.as_written, kept.as_ref());
        let recovered = recovered.and_then(|mut recovered| {
            // Held from here on, until the last instance is gone that has it.
            for note in folders::hold(recovered.topology.to_mut(), [], &guarded)? {
                tracing::warn!(target: "airssys", "{note}");
            }
            Ok(recovered)
        });
        let loaded = match recovered {
            Ok(recovered) => load(&engines, &recovered.topology).await.map(|loaded| (recovered, loaded)),
            Err(error) => Err(error),
        };
        let (Recovered { topology, records, ledger, mut recoveries }, (mut templates, holds)) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                if let Some(kept) = kept {
                    kept.journal.close().await;
                }
                return Err(error);
            }
        };
        let (topology, mut kept_holds) = keep_all(topology, records.keep(), &mut templates).await;
        let topology = topology.as_ref();
        let mut previous = previous(&engines, topology, &records, self.data_folder.as_deref()).await;
        let mesh = Arc::new(Mesh::new(topology.settings.mesh, Stack::new(self.layers), Arc::clone(engines.pulse())));
        let mut building = Building {
            mesh: &mesh,
            engines: &engines,
            templates: &templates,
            kept: kept.as_ref(),
            services: Vec::new(),
            supervisors: BTreeMap::new(),
        };
        let mut root = topology.root.spec();
        root.children = building.children(&topology.children, "")?;
        let Building { services: mut placed, supervisors, .. } = building;
        for stopped in placed.iter().filter(|placed| stops.has(placed.service.address.as_str())) {
            hold_stopped(stopped, true);
        }
        let deployable = |node: &Arc<ServiceNode>| {
            let template = Arc::clone(templates.get(&key(node))?);
            let service = node.address.to_string();
            // That of one that is published is among those of the whole mesh.
            let live = Deployable { node: Arc::clone(node), template, _hold: kept_holds.remove(&service) };
            let previous = previous.remove(&service);
            Some((service, Releases { live, previous, deployment: None, taken: false }))
        };
        let releases: HashMap<String, Releases> = topology.services().filter_map(deployable).collect();
        let mut tasks = vec![tokio::spawn({
            let mesh = Arc::clone(&mesh);
            async move { mesh.timers.run(|id, alarm| mesh.ring(id, alarm)).await }
        })];
        let controllers: HashMap<String, JoinHandle<()>> = placed.iter_mut().filter_map(control).collect();
        tasks.push(tokio::spawn(compact(Arc::clone(&mesh))));
        let told = stops.settle(|name| topology.services().any(|node| node.address.as_str() == name));
        let started = match told {
            Ok(told) => {
                recoveries.extend(told);
                let listener = Some(mesh.events.listener());
                System::start_told(topology.name.as_str(), root, listener).await.map_err(RuntimeError::from)
            }
            Err(error) => Err(error.into()),
        };
        let started = match started {
            // In force is what was started as a whole.
            Ok(system) => match ledger.enforce(in_force, served(serving(&releases))) {
                Ok(()) => Ok(system),
                Err(error) => {
                    system.shutdown(topology.settings.shutdown_timeout).await;
                    Err(error.into())
                }
            },
            Err(error) => Err(error),
        };
        if let Ok(system) = &started {
            records.sweep(&ledger.sources());
            // Nobody will run any more then: who waits is told, and who comes is refused.
            let (ended, left) = (system.monitor(), Arc::clone(&mesh));
            tasks.push(tokio::spawn(async move {
                ended.await;
                left.close_all();
                left.events.end();
            }));
        }
        match started {
            Ok(system) => Ok(Runtime {
                engines,
                mesh,
                system,
                placed: ArcSwap::from_pointee(placed.into_iter().map(Arc::new).collect()),
                supervisors: Mutex::new(supervisors),
                controllers: Mutex::new(controllers),
                in_force: ArcSwap::from_pointee(in_force.clone()),
                ledger: Arc::new(ledger),
                applying: Arc::default(),
                data_folder: self.data_folder,
                guarded,
                releases: Arc::new(Mutex::new(releases)),
                records,
                recoveries,
                stops: Arc::new(stops),
                tasks,
                journal: Mutex::new(kept.map(|kept| kept.journal)),
                _holds: holds,
                settings: ArcSwap::from_pointee(topology.settings.clone()),
            }),
            Err(error) => {
                tasks.iter().chain(controllers.values()).for_each(JoinHandle::abort);
                if let Some(kept) = kept {
                    kept.journal.close().await;
                }
                Err(error)
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
    /// What is allowed of the granted folders, and worth a second look.
    pub folders: Vec<FolderNote>,
}

/// The folders of the host that are granted to nobody.
fn guarded(data: Option<&Path>, code: Option<&Path>) -> Vec<Guarded> {
    let data = data.map(|path| Guarded::closed("the data folder", path));
    let code = code.map(|path| Guarded::closed("the folder of compiled code", path));
    data.into_iter().chain(code).collect()
}

/// The instances that are declared, and the most that can live.
pub(super) fn room(engines: &Engines, topology: &Topology) -> Result<(usize, usize), RuntimeError> {
    let (most, mappings) = engines.capacity();
    // Each memory takes as many mappings as an instance with one.
    let places =
        |service: &Arc<ServiceNode>| declared_instances(service).saturating_mul(service.limits.memories.max(1));
    let declared = topology.services().map(places).fold(0, usize::saturating_add);
    if declared > most {
        return Err(RuntimeError::TooManyInstances { declared, most, mappings });
    }
    Ok((declared, most))
}

/// How many instances a service may have at a time.
pub(super) fn declared_instances(service: &ServiceNode) -> usize {
    match service.multiplicity {
        Multiplicity::One => 1,
        Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances } => instances,
        Multiplicity::Keyed(rules) => rules.max_awake,
        Multiplicity::Spawned(rules) => rules.max_children,
    }
}

pub(super) fn engines(mut settings: EnginesSettings, topology: &Topology) -> Result<Arc<Engines>, EngineError> {
    settings.baseline_from = Some(topology.settings.baseline_from);
    for service in topology.services() {
        settings.demand.entry(service.limits.of_instance()).or_default().add(declared_instances(service));
    }
    Engines::new(&settings).map(Arc::new)
}

/// What makes two services share a template: the file, the lane, the limits of an instance, and whether it may have children.
pub(super) type TemplateKey = (PathBuf, bool, InstanceLimits, bool);

pub(super) fn key(service: &ServiceNode) -> TemplateKey {
    let manifest = &service.release.manifest;
    let supervises = !manifest.requests.spawn.is_empty();
    (service.release.binary().to_owned(), manifest.lane == Lane::Sync, service.limits.of_instance(), supervises)
}

pub(super) type Loading = JoinHandle<Result<Template, TemplateError>>;

/// Each release is there.
pub(super) fn check_found(topology: &Topology) -> Result<(), RuntimeError> {
    let gone = topology.services().find_map(|service| service.release.gone().cloned());
    gone.map_or(Ok(()), |why| Err(RuntimeError::NoRelease(why)))
}

/// Each release is by one who is trusted, where the topology says who is.
pub(super) fn check_trust(topology: &Topology) -> Result<(), RuntimeError> {
    let Some(trusted) = &topology.settings.trusted_keys else { return Ok(()) };
    for service in topology.services() {
        verify(&service.release, trusted)
            .map_err(|source| RuntimeError::Untrusted { service: service.address.to_string(), source })?;
    }
    Ok(())
}

/// Compiles each release once, several at a time, off the runtime's threads, and holds those of a store.
pub(super) async fn load(
    engines: &Arc<Engines>,
    topology: &Topology,
) -> Result<(HashMap<TemplateKey, Arc<Template>>, Vec<Hold>), RuntimeError> {
    check_found(topology)?;
    check_trust(topology)?;
    let mut holds = Vec::new();
    // In the order of the services, so that of several errors the same one is told each time.
    let mut under_way: Vec<(TemplateKey, String, Loading)> = Vec::new();
    let mut seen = HashSet::new();
    for service in topology.services().filter(|service| seen.insert(key(service))) {
        // What this host keeps is held for as long as it is live.
        holds.extend(hold(service).filter(|_| service.release.seal.is_some()));
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
pub(super) fn loading(engines: &Arc<Engines>, service: Arc<ServiceNode>) -> Loading {
    tokio::spawn(compile(Arc::clone(engines), service, false, |template| template))
}

/// Compiles a release, off the runtime's threads; in haste where it is to be there `soon`. What is done with it `then` is done there as well.
pub(super) async fn compile<T: Send + 'static>(
    engines: Arc<Engines>,
    service: Arc<ServiceNode>,
    soon: bool,
    then: impl FnOnce(Template) -> T + Send + 'static,
) -> Result<T, TemplateError> {
    let path = service.release.binary().to_owned();
    let invalid = |detail: String| TemplateError::Invalid { path, detail };
    let compiler = engines.compiler().clone();
    let make = move |engines: &Engines, service: &ServiceNode, found| {
        let (manifest, limits) = (&service.release.manifest, &service.limits);
        let asked = Asked { lane: manifest.lane, limits, requests: &manifest.requests };
        Template::make(engines, service.release.binary(), found, asked, soon).map(then)
    };
    // What is compiled already takes no longer than its files are read.
    let reading = crate::blocking::spawn(move || {
        let release = &service.release;
        let expected = release.expected().map(|digest| digest.to_string());
        let manifest = &release.manifest;
        let asked = Asked { lane: manifest.lane, limits: &service.limits, requests: &manifest.requests };
        let found = Template::find(&engines, release.binary(), expected.as_deref(), asked)?;
        Ok(if found.is_compiled() {
            Ok(make(&engines, &service, found)?)
        } else {
            Err(move || make(&engines, &service, found))
        })
    });
    match reading.await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(compile))) => compiler.run(compile).await.unwrap_or_else(|detail| Err(invalid(detail))),
        Ok(Err(error)) => Err(error),
        Err(panic) => Err(invalid(format!("reading it panicked: {panic}"))),
    }
}

/// [`loading`], waited for.
pub(super) async fn load_one(
    engines: &Arc<Engines>,
    service: &Arc<ServiceNode>,
) -> Result<Arc<Template>, RuntimeError> {
    let loaded = loaded(loading(engines, Arc::clone(service)), service.release.binary()).await;
    let of = service.address.to_string();
    loaded.map(Arc::new).map_err(|source| RuntimeError::Release { service: of, source })
}

pub(super) async fn loaded(loading: Loading, path: &Path) -> Result<Template, TemplateError> {
    loading.await.unwrap_or_else(|error| {
        Err(TemplateError::Invalid { path: path.to_owned(), detail: format!("the compiler panicked: {error}") })
    })
}

/// Keeps others from removing the release of a service, where it is published, and this host, where it is kept.
pub(super) fn hold(service: &ServiceNode) -> Option<Hold> {
    service.release.expected()?;
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
pub(super) fn durable_services<'a>(
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
pub(super) struct Recovered<'a> {
    pub(super) topology: Cow<'a, Topology>,
    pub(super) records: Arc<Records>,
    pub(super) ledger: Ledger,
    pub(super) recoveries: Vec<Recovery>,
}

/// Puts what was deployed into the topology.
pub(super) fn recover<'a>(
    topology: &'a Topology,
    data: Option<&Path>,
    as_written: bool,
    kept: Option<&DurableStates>,
) -> Result<Recovered<'a>, RuntimeError> {
    let recorded = data.filter(|_| !as_written);
    let (records, ledger) = (Records::open(recorded)?, Ledger::open(recorded)?);
    ledger.finish(&records)?;
    let served = ledger.served();
    if records.is_empty() && served.is_empty() {
        let (topology, records) = (Cow::Borrowed(topology), Arc::new(records));
        return Ok(Recovered { topology, records, ledger, recoveries: Vec::new() });
    }
    let mut recoveries = records.settle(|service| {
        let mut schemas = Vec::new();
        if let Some(shelf) = kept.and_then(|kept| kept.shelves.get(service)) {
            shelf.each(|_, state| schemas.extend(state.schema()));
        }
        schemas
    })?;
    let (mut topology, mut failed) = (topology.clone(), None);
    topology.each_service(|node| {
        if failed.is_none() {
            let (service, was_killed) = (node.address.to_string(), ledger.is_running());
            failed = match (records.get(&service), served.get(&service), data) {
                (Some(record), _, Some(data)) => {
                    recover_service(Arc::make_mut(node), record.live, data, &mut recoveries)
                }
                (None, Some(served), Some(data)) => {
                    resume_service(Arc::make_mut(node), served, was_killed, data, &mut recoveries)
                }
                _ => Ok(()),
            }
            .err();
        }
    });
    for recovery in &recoveries {
        tracing::warn!(target: "airssys::deploy", "{recovery}");
    }
    let (topology, records) = (Cow::Owned(topology), Arc::new(records));
    failed.map_or(Ok(Recovered { topology, records, ledger, recoveries }), Err)
}

/// The releases that served before those that are live, as far as they can be had: without one there is no way back, and nothing else is wrong.
pub(super) async fn previous(
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

pub(super) async fn load_source(
    engines: &Arc<Engines>,
    node: &ServiceNode,
    source: &Source,
    data: &Path,
) -> Result<Deployable, String> {
    let node = Arc::new(node.with_release(source.find(data)?));
    let hold = hold(&node).map(Arc::new);
    let loaded = loaded(loading(engines, Arc::clone(&node)), node.release.binary()).await;
    let template = loaded.map_err(|error| error.to_string())?;
    Ok(Deployable { node, template: Arc::new(template), _hold: hold })
}

/// Lets the release serve that was deployed.
fn recover_service(
    node: &mut ServiceNode,
    live: Source,
    data: &Path,
    recoveries: &mut Vec<Recovery>,
) -> Result<(), RuntimeError> {
    let service = node.address.to_string();
    let found = live.find(data);
    let release = found.map_err(|detail| RuntimeError::DeployedGone {
        service: service.clone(),
        live: Box::new(live.clone()),
        detail,
    })?;
    if !is_the_same(&release, &live.digest, &node.release) {
        let written = &node.release.component;
        let written = std::path::absolute(written).unwrap_or_else(|_| written.clone());
        recoveries.push(Recovery::Deployed { service, live, written });
    }
    *node = node.with_release(release);
    Ok(())
}

/// Whether the topology names this very release.
fn is_the_same(release: &Release, digest: &str, named: &Release) -> bool {
    let absolute = |release: &Release| std::path::absolute(&release.component).ok();
    absolute(release) == absolute(named) && (named.gone().is_some() || is_at_its_path(named, digest, release))
}

fn is_at_its_path(named: &Release, digest: &str, release: &Release) -> bool {
    let bytes = || std::fs::read(&named.component).is_ok_and(|bytes| Digest::of(&bytes).to_string() == digest);
    named.manifest == release.manifest && (named.seal.is_some() || bytes())
}

/// Lets the release serve that served last by the path of the topology: where it is gone, and where the host was killed and something else is there now. After
/// an end in order, what is at the path is what is meant.
fn resume_service(
    node: &mut ServiceNode,
    Served { named, live }: &Served,
    was_killed: bool,
    data: &Path,
    recoveries: &mut Vec<Recovery>,
) -> Result<(), RuntimeError> {
    let gone = node.release.gone().map(|why| why.what.clone());
    if *named != node.named || (gone.is_none() && !was_killed) {
        return Ok(());
    }
    let (service, live) = (node.address.to_string(), live.clone());
    let release = match (live.find(data), &gone) {
        (Ok(release), _) => release,
        (Err(detail), None) => {
            let live = Box::new(live);
            return Err(RuntimeError::DeployedGone { service, live, detail });
        }
        // What is gone is told as it is.
        (Err(detail), Some(_)) => {
            tracing::warn!(target: "airssys", service, release = %live, detail, "what served last cannot be had either");
            return Ok(());
        }
    };
    match gone {
        Some(why) => recoveries.push(Recovery::Kept { service, live, why }),
        None if is_at_its_path(&node.release, &live.digest, &release) => {}
        None => recoveries.push(Recovery::Resumed { service, live, written: node.named.clone() }),
    }
    *node = node.with_release(release);
    Ok(())
}

/// Keeps the bytes of what serves from a path, so that the next start has them whatever becomes of that. Where that cannot be, such as on a full disk, it
/// serves all the same. Each is held, by service.
async fn keep_all<'a>(
    topology: Cow<'a, Topology>,
    keep: Option<Arc<Keep>>,
    templates: &mut HashMap<TemplateKey, Arc<Template>>,
) -> (Cow<'a, Topology>, HashMap<String, Arc<Hold>>) {
    let mut holds = HashMap::new();
    let Some(keep) = keep else { return (topology, holds) };
    let mut kept = topology.into_owned();
    let mut to_keep = Vec::new();
    for node in kept.services() {
        if let (Some(template), None) = (templates.get(&key(node)), &node.release.seal) {
            to_keep.push((node.address.to_string(), node.release.clone(), Arc::clone(template)));
        }
    }
    let keeping = crate::blocking::spawn(move || {
        let take = |(service, release, template): (String, Release, Arc<Template>)| match keep
            .take(&release, template.digest())
        {
            Ok((release, hold)) => Some((service, (release, hold, template))),
            Err(error) => {
                tracing::warn!(target: "airssys", service, %error, "its release is not kept: once its path is gone, it cannot be started again");
                None
            }
        };
        to_keep.into_iter().filter_map(take).collect::<HashMap<_, _>>()
    });
    let mut taken = keeping.await.unwrap_or_default();
    kept.each_service(|node| {
        if let Some((release, hold, template)) = taken.remove(node.address.as_str()) {
            Arc::make_mut(node).release = release;
            templates.insert(key(node), template);
            holds.insert(node.address.to_string(), Arc::new(hold));
        }
    });
    (Cow::Owned(kept), holds)
}

/// What serves now.
pub(super) fn serving(releases: &HashMap<String, Releases>) -> impl Iterator<Item = (&Arc<ServiceNode>, Source)> {
    releases.values().map(|releases| (&releases.live.node, releases.live.source()))
}

/// What serves each service whose release is kept.
pub(super) fn served<'a>(live: impl Iterator<Item = (&'a Arc<ServiceNode>, Source)>) -> BTreeMap<String, Served> {
    let kept = live.filter(|(_, source)| source.kept.is_some());
    kept.map(|(node, live)| (node.address.to_string(), Served { named: node.named.clone(), live })).collect()
}

/// All durable states of a mesh, by service, and where they are saved.
pub(super) struct DurableStates {
    pub(super) journal: Journal,
    pub(super) shelves: HashMap<String, Arc<Shelf>>,
}

/// Reads all durable states, off the runtime's threads. All of the file together may have so many bytes.
pub(super) async fn opened(
    folder: PathBuf,
    services: Vec<String>,
    most: Option<u64>,
) -> Result<DurableStates, RuntimeError> {
    let path = StateFile::path(&folder);
    let reading = crate::blocking::spawn(move || {
        let mut file = StateFile::open_without_damage(&folder)?;
        let begun = Instant::now();
        if let Some((before, after)) = file.compact_past(WORTH_COMPACTING)? {
            let took_ms = begun.elapsed().as_millis();
            tracing::info!(target: "airssys::state", before_bytes = before, after_bytes = after, took_ms, "the durable state was compacted");
        }
        // Those that are not asked for count too.
        let mut bytes = 0;
        for service in file.services()?.iter().filter(|service| !services.contains(service)) {
            bytes += file.bytes(service)?;
        }
        let mut all = Vec::with_capacity(services.len());
        for service in services {
            let kept = file.load(&service)?;
            bytes += kept.states.values().map(|loaded| loaded.kept.bytes() as u64).sum::<u64>();
            if !kept.lost.is_empty() {
                let why = Crash::StateDamaged { detail: durable::told(&kept.lost) };
                tracing::error!(target: "airssys::state", service, "suspended, as far as its state is damaged: {why}");
            }
            all.push((service, kept));
        }
        Ok((all, bytes, file))
    });
    let (kept, bytes, file) = reading.await.unwrap_or_else(|panic| {
        Err(StateError::Damaged { path: path.clone(), detail: format!("reading it panicked: {panic}") })
    })?;
    let started = Journal::start(file, bytes);
    let journal = started.map_err(|source| StateError::File { what: "start the thread for", path, source })?;
    journal.room().set_most(most);
    let shelf = |(service, kept): (String, _)| {
        let shelf = Shelf::new(journal.clone(), &service, kept);
        (service, Arc::new(shelf))
    };
    let shelves = kept.into_iter().map(shelf).collect();
    Ok(DurableStates { journal, shelves })
}

pub(super) struct Building<'a> {
    pub(super) mesh: &'a Arc<Mesh>,
    pub(super) engines: &'a Arc<Engines>,
    pub(super) templates: &'a HashMap<TemplateKey, Arc<Template>>,
    pub(super) kept: Option<&'a DurableStates>,
    pub(super) services: Vec<Placed>,
    /// Those that were made, by the names down to each.
    pub(super) supervisors: BTreeMap<String, Arc<SupervisorStart>>,
}

impl Building<'_> {
    pub(super) fn children(&mut self, nodes: &[Node], above: &str) -> Result<Vec<ChildSpec>, RuntimeError> {
        let mut children = Vec::new();
        for node in nodes {
            match node {
                Node::Service(service) => children.extend(self.service(service)?),
                Node::Supervisor(supervisor) => children.push(self.supervisor(supervisor, above)?),
            }
        }
        Ok(children)
    }

    pub(super) fn supervisor(&mut self, node: &SupervisorNode, above: &str) -> Result<ChildSpec, RuntimeError> {
        let path = below(above, &node.name);
        let spec = SupervisorSpec { children: self.children(&node.children, &path)?, ..node.flags.spec() };
        let start = SupervisorStart::new(spec).map_err(SystemError::from)?;
        self.supervisors.insert(path, Arc::clone(&start));
        Ok(supervisor_child(node, start))
    }

    pub(super) fn service(&mut self, node: &ServiceNode) -> Result<Vec<ChildSpec>, RuntimeError> {
        let Some(template) = self.templates.get(&key(node)) else { return Ok(Vec::new()) };
        let shelf = self.kept.and_then(|kept| kept.shelves.get(node.address.as_str())).map(Arc::clone);
        let placed = service_spec(node, template, shelf)
            .place(self.mesh, self.engines)
            .map_err(|NameTaken(name)| RuntimeError::NameTaken { name: name.to_string() })?;
        let children = placed.children.clone();
        self.services.push(placed);
        Ok(children)
    }
}

/// The names from the root down to a child.
pub(super) fn below(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

pub(super) fn supervisor_child(node: &SupervisorNode, start: Arc<SupervisorStart>) -> ChildSpec {
    ChildSpec {
        restart: node.restart,
        shutdown: node.shutdown,
        significant: node.significant,
        ..ChildSpec::supervisor(node.name.as_str(), start)
    }
}

pub(super) fn service_spec(node: &ServiceNode, template: &Arc<Template>, shelf: Option<Arc<Shelf>>) -> ServiceSpec {
    ServiceSpec {
        address: node.address.clone(),
        template: Arc::clone(template),
        multiplicity: node.multiplicity,
        shape: node.shape,
        terms: Arc::new(node.terms()),
        restart: node.restart,
        shutdown: node.shutdown,
        significant: node.significant,
        shelf,
    }
}

/// Lets the actors of a keyed service wake; none where it is another one.
pub(super) fn control(placed: &mut Placed) -> Option<(String, JoinHandle<()>)> {
    let controller = placed.controller.take()?;
    Some((placed.service.address.to_string(), tokio::spawn((*controller).run())))
}

pub(super) async fn compact(mesh: Arc<Mesh>) {
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
