//! Starts a mesh from a topology and what the data folder says of the last time: an apply from nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::acts;
use super::actual::Actual;
use super::change::Change;
use super::check::{check_layers, check_routes, durable_services, engines, guarded, room};
use super::compile::{TemplateKey, key, load};
use super::counting::Counting;
use super::desired::Desired;
use super::difference::differences;
use super::durable::{DurableStates, opened};
use super::earlier;
use super::error::RuntimeError;
use super::grants::over;
use super::hosted::Hosted;
use super::judge::{Judge, in_one, judged_start};
use super::recover::{Recovered, keep_all, left, previous, recover};
use super::releases::Deployable;
use super::steps::Steps;
use super::stopped::Stops;
use crate::audit::{AuditKind, Record};
use crate::capsules::Shelf;
use crate::client::{Client, ClientSettings};
use crate::deploy::RecordError;
use crate::deploy::{DeployOptions, End, Ungranted, broken_wires, made_wires, ungranted};
use crate::engine::{Engines, EnginesSettings, Template};
use crate::events::{Events, text};
use crate::listener::Ready;
use crate::logger::Clock;
use crate::middleware::{Layer, Stack};
use crate::registry::log::{Key, Log};
use crate::router::Mesh;
use crate::seeded::Seeded;
use crate::settings::MeshSettings;
use crate::topology::folders::{self, Guarded};
use crate::topology::{ServiceNode, Topology};

/// What is not said by the topology.
pub(crate) struct StartOptions {
    pub(crate) engines: EnginesSettings,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
    pub(crate) data_folder: Option<PathBuf>,
    /// Whether what was deployed is left out of account.
    pub(crate) as_written: bool,
    /// Those of the host's own layers that there are; none for all.
    pub(crate) only_layers: Option<&'static [&'static str]>,
    /// Whether nothing is denied, and what is done is counted.
    pub(crate) learn: bool,
    /// What happens, also where that is all that ever does.
    pub(crate) events: Arc<Events>,
    /// How guests' HTTP requests reach others.
    pub(crate) client: ClientSettings,
    /// Another clock than the system's for logs.
    pub(crate) log_clock: Option<Clock>,
    /// What everything follows from, in a seeded host.
    pub(crate) seeded: Option<Seeded>,
    /// Who is asked about each change.
    pub(crate) judge: Option<Judge>,
}

impl Default for StartOptions {
    fn default() -> Self {
        // Until the topology says how many are kept.
        let MeshSettings { events, event_bytes, .. } = MeshSettings::default();
        Self {
            engines: EnginesSettings::default(),
            layers: Vec::new(),
            data_folder: None,
            as_written: false,
            only_layers: None,
            learn: false,
            events: Events::new(events, event_bytes),
            client: ClientSettings::default(),
            log_clock: None,
            seeded: None,
            judge: None,
        }
    }
}

/// Ends the events of a start that fails, or is given up, and does nothing where it goes well: then they end with the
/// mesh.
struct Trying(Option<Arc<Events>>);

impl Drop for Trying {
    fn drop(&mut self) {
        self.0.iter().for_each(|events| {
            events.end();
            events.end_record();
        });
    }
}

impl StartOptions {
    fn guarded(&self, topology: &Topology) -> Vec<Guarded> {
        guarded(self.data_folder.as_deref(), self.engines.code_cache.as_deref(), topology)
    }
}

/// What was found of a topology that could be started.
///
/// # Example
///
/// ```
/// use airssys_wasm::Runtime;
/// use airssys_wasm::command::Checked;
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// let Checked { instances, ungranted, .. } = Runtime::builder().check(&runtime.in_force()).await?;
/// assert_eq!((instances, ungranted.len()), (1, 0));
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The instances that it declares.
    pub instances: usize,
    /// How many can live on this machine.
    pub most_instances: usize,
    /// The SHA-256 of each service's component, by the service's name.
    pub digests: HashMap<String, String>,
    /// What is allowed and may be a mistake: a granted folder that lies within another one, wires in a circle.
    pub warnings: Vec<String>,
    /// What the releases ask for and are not granted.
    pub ungranted: Vec<Ungranted>,
}

/// Finds what [`start`] would refuse, and starts nothing.
pub(crate) async fn check(options: StartOptions, topology: &Topology) -> Result<Checked, RuntimeError> {
    durable_services(topology, options.data_folder.as_deref())?;
    let folders = folders::hold(&mut topology.clone(), [], &options.guarded(topology))?;
    let engines = engines(options.engines, topology)?;
    let (instances, most_instances) = room(&engines, topology)?;
    let (templates, _holds) = load(&engines, topology).await?;
    let topology = &wired(topology.clone(), &templates)?;
    check_routes(topology, |node| templates.get(&key(node)))?;
    check_layers(topology, |node| templates.get(&key(node)))?;
    for listening in &topology.listeners {
        drop(Ready::of(listening).await?);
    }
    let digest = |service: &ServiceNode| templates.get(&key(service)).map(|template| template.digest().to_owned());
    let digests =
        topology.services().map(|service| (service.address.to_string(), digest(service).unwrap_or_default())).collect();
    let circles = topology.circles();
    let warnings = folders.iter().map(ToString::to_string).chain(circles.iter().map(ToString::to_string)).collect();
    let ungranted = topology.services().filter_map(|node| ungranted(node)).collect();
    Ok(Checked { instances, most_instances, digests, warnings, ungranted })
}

/// Compiles the releases, starts the tree, and answers when all of it is up.
pub(crate) async fn start(mut options: StartOptions, topology: &Topology) -> Result<Hosted, RuntimeError> {
    let mut trying = Trying(Some(Arc::clone(&options.events)));
    // Whoever started it may start it again, or have another mesh of it.
    let topology = &topology.apart();
    if let Some(seeded) = &options.seeded {
        options.events.trace_in(seeded);
        seeded.begin();
    }
    let log = Arc::new(written_down(&options)?);
    let stops = Stops::of(&log)?;
    let durable = durable_services(topology, options.data_folder.as_deref())?;
    let guarded = options.guarded(topology);
    let engines = engines(std::mem::take(&mut options.engines), topology)?;
    let (declared, most) = room(&engines, topology)?;
    tracing::info!(target: "airssys", mesh = topology.name, instances = declared, most_instances = most, "starting");
    let states = match durable {
        Some((folder, services)) => {
            Some(opened(folder.to_owned(), services, topology.settings.durable_bytes, options.seeded.clone()).await?)
        }
        None => None,
    };
    let journal = states.as_ref().map(|states| states.journal.clone());
    let started = begin(options, topology, (log, stops), guarded, engines, states).await;
    match (&started, journal) {
        (Ok(_), _) => trying.0 = None,
        (Err(_), Some(journal)) => journal.close().await,
        (Err(_), None) => {}
    }
    started
}

/// The topology with the wires that make themselves; all that is wired holds.
fn wired(mut topology: Topology, templates: &HashMap<TemplateKey, Arc<Template>>) -> Result<Topology, RuntimeError> {
    fn ends<'a>(topology: &'a Topology, templates: &'a HashMap<TemplateKey, Arc<Template>>) -> Vec<End<'a>> {
        topology.services().filter_map(|node| Some(End::new(node, templates.get(&key(node))?))).collect()
    }
    let made = made_wires(&ends(&topology, templates));
    topology.wire(made);
    broken_wires(&ends(&topology, templates)).into_iter().next().map_or(Ok(topology), |broken| Err(broken.into()))
}

/// What is written down of what is to run.
fn written_down(options: &StartOptions) -> Result<Log, RecordError> {
    match &options.data_folder {
        None => Ok(Log::default()),
        // Another host may have the folder: nothing is written there.
        Some(data) if options.as_written => Ok(earlier::read(data)?.in_memory(|of| *of == Key::Stopped)),
        Some(data) => earlier::take_over(data),
    }
}

/// From what the data folder says to a mesh that runs.
async fn begin(
    options: StartOptions,
    topology: &Topology,
    (log, stops): (Arc<Log>, Stops),
    guarded: Vec<Guarded>,
    engines: Arc<Engines>,
    states: Option<DurableStates>,
) -> Result<Hosted, RuntimeError> {
    let data = options.data_folder.as_deref();
    let recovered = recover(topology, &log, data, states.as_ref())?;
    let Recovered { topology: mut target, records, ledger, mut recoveries } = recovered;
    // Held from here on, until the last instance is gone that has it.
    for note in folders::hold(target.to_mut(), [], &guarded)? {
        tracing::warn!(target: "airssys", "{note}");
    }
    let counting = options.learn.then(Counting::default);
    if let Some(counting) = &counting {
        counting.hold(target.to_mut());
    }
    let (mut templates, holds) = load(&engines, &target).await?;
    let (target, mut kept_holds) = keep_all(target, records.keep(), &mut templates).await;
    let target = wired(target.into_owned(), &templates)?;
    check_routes(&target, |node| templates.get(&key(node)))?;
    check_layers(&target, |node| templates.get(&key(node)))?;
    target.circles().iter().for_each(|circle| tracing::warn!(target: "airssys", "{circle}"));
    // What another host may have is not this one's to write to.
    let own = data.filter(|_| !options.as_written);
    let audit = match &options.seeded {
        Some(_) => None,
        None => acts::begin(&target, own, &options.events)?,
    };
    let refusals = judged_start(options.judge.as_ref(), &target).await;
    if !refusals.is_empty() {
        let said = in_one(&refusals);
        if let Some(audit) = &audit {
            let (operation, detail) = (Some("start".to_owned()), Some(text(&said)));
            audit.note(Record { operation, detail, ..Record::of(AuditKind::Refused) });
        }
        return Err(RuntimeError::Policy { said });
    }
    let (over, _) = over(target.services().map(|node| &**node), SystemTime::now());
    for (service, key, grant) in over {
        tracing::warn!(target: "airssys::audit", service, grant = key, target = grant, "expired");
        if let Some(audit) = &audit {
            let (operation, target) = (Some("expired".to_owned()), Some(text(format_args!("{key} {grant}"))));
            audit.note(Record { service: Some(service), operation, target, ..Record::of(AuditKind::Grant) });
        }
    }
    let previous = previous(&engines, &target, &records, data).await;
    recoveries.extend(stops.settle(|name| target.services().any(|node| node.address.as_str() == name))?);
    let deployable = |node: &Arc<ServiceNode>| {
        let (service, template) = (node.address.to_string(), Arc::clone(templates.get(&key(node))?));
        // That of one that is published is among those of the whole mesh.
        let held = kept_holds.remove(&service);
        Some((service, Deployable { node: Arc::clone(node), template, _hold: held }))
    };
    let next: HashMap<String, Deployable> = target.services().filter_map(deployable).collect();
    let left = left(&next, &records, &ledger);
    let of_mesh = target.settings.mesh;
    options.events.resize(of_mesh.events, of_mesh.event_bytes);
    let stack = Stack::new(options.layers, &options.events);
    let stack = match options.only_layers {
        Some(names) => stack.only(names),
        None => stack,
    };
    stack.limit(&target.quotas, target.uses_of_quotas());
    if let Some(clock) = options.log_clock {
        stack.logger.set_clock(clock);
    }
    stack.log(&target.logs);
    if let Some(seeded) = &options.seeded {
        stack.spread_retries_by(seeded.other());
    }
    stack.retry(&target.retries, target.uses_of_retries());
    stack.guard(target.guards());
    let client = Client::new(options.client);
    let stack = match &audit {
        Some(audit) => stack.refusing(audit.refusing()),
        None => stack,
    };
    let pulse = Arc::clone(engines.pulse());
    let mesh = Arc::new(Mesh::new(of_mesh, stack, options.events, pulse, client, options.seeded));
    mesh.at_rest();
    let shelf = own.map(Shelf::new);
    if let Some(shelf) = &shelf {
        let _it_is_new = mesh.capsules.set(Arc::clone(shelf));
    }
    for node in target.services().filter(|node| node.recorder.is_some() && shelf.is_none()) {
        let service = &node.address;
        tracing::warn!(target: "airssys::capsule", %service, "nothing is recorded: there is no data folder for it");
    }
    mesh.answer_guards();
    let (journal, services) = states.map(|states| (states.journal, states.services)).unzip();
    let nothing = Topology::new(&topology.name);
    let change = Change {
        before: Arc::new(nothing.clone()),
        written: topology.clone(),
        differences: differences(&nothing, topology),
        target,
        next,
        options: DeployOptions::default(),
    };
    let desired = Desired::new(nothing, (ledger, records, stops), options.data_folder, guarded);
    let hosted =
        Hosted::new(desired, Actual::new(engines, mesh, journal), audit, recoveries, holds, counting, options.judge);
    Steps::from_nothing(&hosted, change, (previous, left), services.unwrap_or_default()).start().await?;
    hosted.actual.close_when_ended();
    Ok(hosted)
}
