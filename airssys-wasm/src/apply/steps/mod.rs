//! Carries an apply out, step by step, and undoes what it did where a step fails.
//!
//! First what can be undone without a trace: what is new starts, what changes in place does, what is deployed proves
//! itself. Then what costs a service its instances: those that are stopped and started. Then the one write that makes
//! the new topology the one in force. Last of all, what is gone stops, which nobody could undo.

mod end;
mod listeners;
mod services;
mod supervisors;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::supervisor::SupervisorSpec;

use super::change::{Announced, Change};
use super::check::declared_instances;
use super::desired::Desired;
use super::difference::{Fate, Subject};
use super::durable::opened;
use super::error::{ApplyError, RuntimeError};
use super::hosted::Hosted;
use super::plan::{Applied, ApplyPlan, Failed};
use super::record::Next;
use super::releases::{Deployable, DeploymentLock, Releases};
use super::stops::hold;
use super::tree::{service_of, supervised};
use crate::actor::{Placed, ServiceSpec};
use crate::deploy::RecordError;
use crate::engine::{PoolShape, Template};
use crate::limits::InstanceLimits;
use crate::listener::{Bound, Ready};
use crate::schema::ChangeMode;
use crate::settings::Keeping;
use crate::state::durable::{ServiceStates, StateError, StateFile};
use crate::topology::{Auditing, ServiceNode};

/// How long it waits before it looks again whether something has come to rest.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// An apply, or a start, that is under way.
pub(super) struct Steps<'a> {
    hosted: &'a Hosted,
    change: Change,
    /// No deployment begins of those that are in it.
    taken: HashMap<String, DeploymentLock>,
    /// Where each service of both topologies is, now.
    standing: BTreeMap<String, Standing>,
    /// What served before what is to, where that is known.
    previous: HashMap<String, Deployable>,
    /// The services whose release served when the host ended.
    left: HashSet<String>,
    /// Durable states that were read already.
    services: HashMap<String, Arc<ServiceStates>>,
    done: Vec<Done>,
    left_over: Vec<(String, usize)>,
    /// What was gone on without.
    notes: Vec<String>,
    /// Listeners that have their address and take no connections yet.
    bound: Vec<Bound>,
    /// Other rules for those that are there.
    ready: Vec<(SocketAddr, Ready)>,
}

/// A service, and the supervisor that it is under.
#[derive(Clone)]
struct Standing {
    placed: Arc<Placed>,
    above: String,
}

/// What was done, with what it takes to undo it.
enum Done {
    /// The root with all that is under it.
    Started,
    Added(String),
    /// A supervisor that was there, with what it was.
    Changed(String, Arc<SupervisorSpec>),
    Retuned(String, Deployable),
    Deployed(String, Deployable, Option<Deployable>),
    Restarted(String, Deployable, String),
}

impl<'a> Steps<'a> {
    /// From the topology in force to another one.
    pub(super) fn new(hosted: &'a Hosted, change: Change, taken: HashMap<String, DeploymentLock>) -> Self {
        let mut standing = BTreeMap::new();
        for (above, _, nodes) in supervised(&change.before) {
            for service in nodes.iter().filter_map(service_of) {
                if let Some(placed) = hosted.actual.placed(service.address.as_str()) {
                    standing.insert(service.address.to_string(), Standing { placed, above: above.clone() });
                }
            }
        }
        Self {
            hosted,
            change,
            taken,
            standing,
            previous: HashMap::new(),
            left: HashSet::new(),
            services: HashMap::new(),
            done: Vec::new(),
            left_over: Vec::new(),
            notes: Vec::new(),
            bound: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// From nothing to a topology, with what served before what is to, which of these served last, and the durable
    /// states that were read.
    pub(super) fn from_nothing(
        hosted: &'a Hosted,
        change: Change,
        (previous, left): (HashMap<String, Deployable>, HashSet<String>),
        services: HashMap<String, Arc<ServiceStates>>,
    ) -> Self {
        Self { previous, left, services, ..Self::new(hosted, change, HashMap::new()) }
    }

    /// Starts all of it, or nothing.
    pub(super) async fn start(mut self) -> Result<(), RuntimeError> {
        let mut started = self.place().await;
        if started.is_ok() {
            started = self.bind().await.map_err(RuntimeError::from);
        }
        if started.is_ok() {
            started = self.raise().await;
        }
        if started.is_ok() {
            // In force is what was started as a whole.
            let (written, served) = (self.change.written.clone(), self.hosted.actual.releases.served());
            let write = move |desired: &Desired| {
                desired.started(&written, served)?;
                desired.sweep();
                Ok::<(), RecordError>(())
            };
            started = self.hosted.desired.write_down(write).await.map_err(RuntimeError::from);
        }
        if let Err(error) = started {
            // All of it is gone with the root.
            let _left = self.undo().await;
            return Err(error);
        }
        self.settle();
        self.open();
        Ok(())
    }

    /// Brings all of it about, or nothing.
    pub(super) async fn run(
        mut self,
        plan: ApplyPlan,
        record: Next,
        announced: Announced,
    ) -> Result<Applied, ApplyError> {
        let desired = &self.hosted.desired;
        let intent = record.clone();
        desired.write_down(move |desired| desired.intend(intent)).await?;
        let mut come_about = self.come_about().await;
        if come_about.is_ok() && self.hosted.actual.supervisors.root().count_children().await.is_err() {
            come_about = Err(Failed::new("the mesh", "it was stopped meanwhile"));
        }
        if come_about.is_ok()
            && let Err(error) = desired.write_down(move |desired| desired.commit(record)).await
        {
            come_about = Err(Failed::new("the topology in force cannot be written down", error));
        }
        if let Err(Failed { step, why }) = come_about {
            let mut left = self.undo().await;
            if let Err(error) = desired.write_down(Desired::withdraw).await {
                left.push(format!("the intent of it stays written down: {error}"));
            }
            return Err(ApplyError::Undone { step, why, left });
        }
        // From here on nothing fails any more.
        self.settle();
        self.open();
        self.close_gone().await;
        self.remove().await;
        let target = self.change.target.clone();
        if let Err(error) = desired.write_down(move |desired| desired.settle(&target)).await {
            tracing::error!(target: "airssys::apply", %error, "the records of deployments are behind until the next start");
        }
        let Self { change: Change { before, target, .. }, left_over, notes, hosted, .. } = self;
        // What is gone, or needs less room of the same shape than it did.
        let gone = before.services().map(|node| {
            let limits = node.limits.of_instance();
            let mut after = target.services().filter(|other| other.address == node.address);
            let after = after.find(|other| PoolShape::of(&other.limits.of_instance()) == PoolShape::of(&limits));
            (limits, declared_instances(node).saturating_sub(after.map_or(0, |after| declared_instances(after))))
        });
        let gone: Vec<(InstanceLimits, usize)> = gone.collect();
        announced.keep(&gone);
        tracing::info!(target: "airssys::apply", mesh = plan.mesh, changes = plan.differences.len(), services = hosted.actual.all_placed().len(), "applied");
        Ok(Applied { plan, left_over, notes })
    }

    /// Everything but what stops for good.
    async fn come_about(&mut self) -> Result<(), Failed> {
        self.place().await.map_err(|error| Failed::new("what is new cannot be placed", error))?;
        self.bind().await.map_err(|error| Failed::new("what is new cannot be listened for", error))?;
        self.grow().await?;
        for service in self.services(|fate, way| fate == Fate::Changed && way == ChangeMode::InPlace) {
            self.change_in_place(&service).await?;
        }
        self.deploy().await?;
        for service in self.services(|fate, way| fate == Fate::Changed && way == ChangeMode::Restart) {
            self.restart(&service).await?;
        }
        Ok(())
    }

    /// The services that have this fate, in the order of the topology.
    fn services(&self, which: impl Fn(Fate, ChangeMode) -> bool) -> Vec<String> {
        let found = self.change.differences.iter().filter(|found| found.subject == Subject::Service);
        found.filter(|found| which(found.fate, found.way)).map(|found| found.name.clone()).collect()
    }

    fn next(&self, service: &str) -> Result<Deployable, Failed> {
        let next = self.change.next.get(service).cloned();
        next.ok_or_else(|| Failed::new(format!("{service} is to change"), "nothing was prepared for it"))
    }

    /// Gives each new service its place in the mesh. Nobody reads its mailboxes yet.
    async fn place(&mut self) -> Result<(), RuntimeError> {
        let mut all = Vec::new();
        let placed = self.place_each(&mut all).await;
        // Also where one could not be placed: those before it are taken out again like any other.
        let above: HashMap<String, String> = supervised(&self.change.target)
            .into_iter()
            .flat_map(|(path, _, nodes)| {
                nodes.iter().filter_map(service_of).map(move |node| (node.address.to_string(), path.clone()))
            })
            .collect();
        for placed in self.hosted.actual.enter(all) {
            let service = placed.service.address.to_string();
            let above = above.get(&service).cloned().unwrap_or_default();
            self.standing.insert(service, Standing { placed, above });
        }
        placed
    }

    async fn place_each(&mut self, all: &mut Vec<Placed>) -> Result<(), RuntimeError> {
        for service in self.services(|fate, _| fate == Fate::Added) {
            let Some(next) = self.change.next.get(&service).cloned() else { continue };
            let placed = self.build(&next).await?;
            let name = || RuntimeError::NameTaken { name: service.clone() };
            self.hosted.actual.mesh.register(&placed.service).map_err(|_| name())?;
            let previous = self.previous.remove(&service);
            let releases = &self.hosted.actual.releases;
            releases.insert(&service, Releases { live: next, previous, deployments: VecDeque::new(), taken: true });
            self.taken.insert(service.clone(), releases.lock_taken(&service));
            self.done.push(Done::Added(service));
            all.push(placed);
        }
        Ok(())
    }

    /// A service and its mailboxes, which nobody can find yet.
    async fn build(&mut self, next: &Deployable) -> Result<Placed, RuntimeError> {
        let durable = self.durable(&next.node).await?;
        let actual = &self.hosted.actual;
        let is_left = self.left.contains(next.node.address.as_str());
        let placed = service_spec(&next.node, &next.template, durable, is_left).build(&actual.mesh, &actual.engines);
        // What an operator stopped stays stopped, whatever else becomes of it.
        hold(&placed, self.hosted.desired.is_stopped(next.node.address.as_str()));
        Ok(placed)
    }

    /// The durable states of a service, where it is to have such.
    async fn durable(&mut self, node: &ServiceNode) -> Result<Option<Arc<ServiceStates>>, RuntimeError> {
        if node.keeping != Keeping::Durable {
            return Ok(None);
        }
        let service = node.address.to_string();
        let standing = self.standing.get(&service).and_then(|standing| standing.placed.service.durable.clone());
        if let Some(durable) = self.services.remove(&service).or(standing) {
            return Ok(Some(durable));
        }
        if let Some(journal) = self.hosted.actual.journal() {
            let closed = || {
                let path = self.hosted.desired.data_folder().map(StateFile::path).unwrap_or_default();
                StateError::File { what: "read", path, source: std::io::Error::other("it is closed") }
            };
            let kept = journal.read(&service).await.unwrap_or_else(|| Err(closed()))?;
            return Ok(Some(Arc::new(ServiceStates::new(journal, &service, kept))));
        }
        let no_folder = || RuntimeError::NoDataFolder { service: service.clone() };
        let folder = self.hosted.desired.data_folder().ok_or_else(no_folder)?.to_owned();
        let most = self.hosted.desired.in_force().settings.durable_bytes;
        let seeded = self.hosted.actual.mesh.seeded.clone();
        let mut states = opened(folder, vec![service.clone()], most, seeded).await?;
        self.hosted.actual.set_journal(states.journal);
        Ok(states.services.remove(&service))
    }

    /// Puts a service that was placed into the place of the one that has its name.
    fn enter(&mut self, service: &str, placed: Placed, above: String) {
        for placed in self.hosted.actual.enter(vec![placed]) {
            self.standing.insert(service.to_owned(), Standing { placed, above: above.clone() });
        }
    }

    /// What all of the mesh goes by from here on.
    fn settle(&self) {
        let (actual, target) = (&self.hosted.actual, &self.change.target);
        actual.mesh.set(&target.settings.mesh);
        actual.mesh.stack.limit(&target.quotas, target.uses_of_quotas());
        actual.mesh.stack.log(&target.logs);
        actual.mesh.stack.retry(&target.retries, target.uses_of_retries());
        actual.mesh.stack.guard(target.guards());
        if let Some(audit) = &self.hosted.audit {
            audit.set_required(target.settings.audit == Auditing::Required);
        }
        actual.engines.set_baseline_from(target.settings.baseline_from);
        if let Some(journal) = actual.journal() {
            journal.budget().set_most(target.settings.durable_bytes);
        }
        self.hosted.desired.put_in_force(self.change.written.clone());
        let deployed = self.done.iter().filter_map(|done| match done {
            Done::Deployed(service, live, previous) => Some((service.as_str(), (live, previous))),
            _ => None,
        });
        let deployed: HashMap<&str, (&Deployable, &Option<Deployable>)> = deployed.collect();
        for (service, next) in &self.change.next {
            actual.releases.look(service, |found| {
                if let Some((live, previous)) = deployed.get(service.as_str())
                    && live.source() == next.source()
                {
                    // The same release under other rules is no other one to go back to.
                    found.previous.clone_from(previous);
                }
                if let Some(previous) = &mut found.previous {
                    // Whoever comes back does so under the rules that are in force.
                    previous.node = Arc::new(next.node.with_release(previous.node.release.clone()));
                }
            });
            if let Some(standing) = self.standing.get(service) {
                actual.mesh.end_ungranted(&standing.placed.service, &next.node.terms().policy);
            }
        }
    }
}

pub(super) fn service_spec(
    node: &ServiceNode,
    template: &Arc<Template>,
    durable: Option<Arc<ServiceStates>>,
    is_left: bool,
) -> ServiceSpec {
    ServiceSpec {
        address: node.address.clone(),
        template: Arc::clone(template),
        multiplicity: node.multiplicity,
        shape: node.shape,
        terms: Arc::new(node.terms()),
        restart: node.restart,
        shutdown: node.shutdown,
        significant: node.significant,
        durable,
        is_left,
    }
}
