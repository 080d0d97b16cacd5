//! Carries an apply out, step by step, and undoes what it did where a step fails.
//!
//! First what can be undone without a trace: what is new starts, what changes in place does, what is deployed proves itself. Then what costs a service its
//! instances: those that are stopped and started. Then the one write that makes the new topology the one in force. Last of all, what is gone stops, which
//! nobody could undo.

mod end;
mod services;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::supervisor::{SupervisorSpec, SupervisorStart};

pub(in crate::runtime) use self::tree::supervisor_of;
use self::tree::{service_of, supervised};
use super::super::builder::{control, declared_instances, opened, service_spec};
use super::super::deployments::{Deployable, Freed, Releases};
use super::super::stops::hold;
use super::error::ApplyError;
use super::{Prepared, Runtime};
use crate::actor::Placed;
use crate::apply::{Applied, Failed, Fate, InForceError, Ledger, Subject, Way};
use crate::engine::Shape;
use crate::limits::InstanceLimits;
use crate::settings::Keeping;
use crate::state::durable::Shelf;
use crate::topology::{ServiceNode, Topology};

/// How long it waits before it looks again whether something has come to rest.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// An apply that is under way.
pub(super) struct Steps<'a> {
    runtime: &'a Arc<Runtime>,
    prepared: Prepared,
    before: Arc<Topology>,
    /// No deployment begins of those that are in it.
    taken: HashMap<String, Freed>,
    /// The supervisors of both topologies, by the names down to each.
    supervisors: BTreeMap<String, Arc<SupervisorStart>>,
    /// Where each service of both topologies is, now.
    standing: BTreeMap<String, Standing>,
    done: Vec<Done>,
    left_over: Vec<(String, usize)>,
    /// What was gone on without.
    notes: Vec<String>,
}

/// A service, and the supervisor that it is under.
#[derive(Clone)]
struct Standing {
    placed: Arc<Placed>,
    above: String,
}

/// What was done, with what it takes to undo it.
enum Done {
    Added(String),
    /// A supervisor that was there, with what it was.
    Changed(String, Arc<SupervisorSpec>),
    Retuned(String, Deployable),
    Deployed(String, Deployable, Option<Deployable>),
    Restarted(String, Deployable, String),
}

impl<'a> Steps<'a> {
    pub(super) fn new(runtime: &'a Arc<Runtime>, prepared: Prepared, taken: HashMap<String, Freed>) -> Self {
        let before = runtime.in_force();
        let supervisors = runtime.lock(&runtime.supervisors).clone();
        let mut standing = BTreeMap::new();
        for (above, _, nodes) in supervised(&before) {
            for service in nodes.iter().filter_map(service_of) {
                if let Some(placed) = runtime.placed(service.address.as_str()) {
                    standing.insert(service.address.to_string(), Standing { placed, above: above.clone() });
                }
            }
        }
        Self {
            runtime,
            prepared,
            before,
            taken,
            supervisors,
            standing,
            done: Vec::new(),
            left_over: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Applied, ApplyError> {
        let record = self.prepared.record.clone();
        self.write_down({
            let record = record.clone();
            move |ledger| ledger.intend(record)
        })
        .await?;
        let mut come_about = self.come_about().await;
        if come_about.is_ok() && self.runtime.system.root().count_children().await.is_err() {
            come_about = Err(Failed::new("the mesh", "it was stopped meanwhile"));
        }
        if come_about.is_ok()
            && let Err(error) = self.write_down(move |ledger| ledger.commit(record)).await
        {
            come_about = Err(Failed::new("the topology in force cannot be written down", error));
        }
        if let Err(Failed { step, why }) = come_about {
            let mut left = self.undo().await;
            if let Err(error) = self.write_down(Ledger::withdraw).await {
                left.push(format!("the intent of it stays written down: {error}"));
            }
            return Err(ApplyError::Undone { step, why, left });
        }
        // From here on nothing fails any more.
        self.settle();
        self.remove().await;
        let records = Arc::clone(&self.runtime.records);
        let (stops, target) = (Arc::clone(&self.runtime.stops), self.prepared.target.clone());
        let finish = move |ledger: &Ledger| {
            if let Err(error) = stops.settle(|name| target.services().any(|node| node.address.as_str() == name)) {
                tracing::error!(target: "airssys::apply", %error, "a service that is gone stays written down as stopped");
            }
            let finished = ledger.finish(&records);
            records.sweep(&ledger.sources());
            finished
        };
        if let Err(error) = self.write_down(finish).await {
            tracing::error!(target: "airssys::apply", %error, "the records of deployments are behind until the next start");
        }
        let Self { prepared, left_over, notes, runtime, before, .. } = self;
        let Prepared { plan, announced, target, .. } = prepared;
        // What is gone, or needs less room of the same shape than it did.
        let gone = before.services().map(|node| {
            let limits = node.limits.of_instance();
            let mut after = target.services().filter(|other| other.address == node.address);
            let after = after.find(|other| Shape::of(&other.limits.of_instance()) == Shape::of(&limits));
            (limits, declared_instances(node).saturating_sub(after.map_or(0, |after| declared_instances(after))))
        });
        let gone: Vec<(InstanceLimits, usize)> = gone.collect();
        announced.keep(&gone);
        tracing::info!(target: "airssys::apply", mesh = plan.mesh, changes = plan.differences.len(), services = runtime.placed.load().len(), "applied");
        Ok(Applied { plan, left_over, notes })
    }

    /// Everything but what stops for good.
    async fn come_about(&mut self) -> Result<(), Failed> {
        self.place().await?;
        self.grow().await?;
        for service in self.services(|fate, way| fate == Fate::Changed && way == Way::InPlace) {
            self.change_in_place(&service).await?;
        }
        self.deploy().await?;
        for service in self.services(|fate, way| fate == Fate::Changed && way == Way::Restart) {
            self.restart(&service).await?;
        }
        Ok(())
    }

    /// The services that have this fate, in the order of the topology.
    fn services(&self, which: impl Fn(Fate, Way) -> bool) -> Vec<String> {
        let found = self.prepared.plan.differences.iter().filter(|found| found.subject == Subject::Service);
        found.filter(|found| which(found.fate, found.way)).map(|found| found.name.clone()).collect()
    }

    fn next(&self, service: &str) -> Result<Deployable, Failed> {
        let next = self.prepared.next.get(service).cloned();
        next.ok_or_else(|| Failed::new(format!("{service} is to change"), "nothing was prepared for it"))
    }

    async fn write_down(
        &self,
        what: impl FnOnce(&Ledger) -> Result<(), InForceError> + Send + 'static,
    ) -> Result<(), InForceError> {
        let ledger = Arc::clone(&self.runtime.ledger);
        // A panic there is one here.
        match crate::blocking::spawn(move || what(&ledger)).await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Gives each new service its place in the mesh. Nobody reads its mailboxes yet.
    async fn place(&mut self) -> Result<(), Failed> {
        for service in self.services(|fate, _| fate == Fate::Added) {
            let next = self.next(&service)?;
            let placed = self.build(&next).await?;
            self.runtime
                .mesh
                .register(&placed.service)
                .map_err(|_| Failed::new(&service, "there is such a service already"))?;
            let above = supervisor_of(&self.prepared.target, &service).unwrap_or_default();
            self.enter(&service, placed, above);
            let live = Releases { live: next, previous: None, deployment: None, taken: true };
            self.runtime.lock(&self.runtime.releases).insert(service.clone(), live);
            let freed = Freed { releases: Arc::clone(&self.runtime.releases), service: service.clone() };
            self.taken.insert(service.clone(), freed);
            self.done.push(Done::Added(service));
        }
        Ok(())
    }

    /// A service and its mailboxes, which nobody can find yet.
    async fn build(&self, next: &Deployable) -> Result<Placed, Failed> {
        let shelf = self.shelf(&next.node).await?;
        let placed = service_spec(&next.node, &next.template, shelf).build(&self.runtime.mesh, &self.runtime.engines);
        // What an operator stopped stays stopped, whatever else becomes of it.
        hold(&placed, self.runtime.stops.has(next.node.address.as_str()));
        Ok(placed)
    }

    /// The durable states of a service, where it is to have such.
    async fn shelf(&self, node: &ServiceNode) -> Result<Option<Arc<Shelf>>, Failed> {
        if node.keeping != Keeping::Durable {
            return Ok(None);
        }
        let service = node.address.to_string();
        if let Some(shelf) = self.standing.get(&service).and_then(|standing| standing.placed.service.shelf.clone()) {
            return Ok(Some(shelf));
        }
        let failed = |why: String| Failed::new(format!("the durable state of {service} cannot be used"), why);
        let journal = self.runtime.lock(&self.runtime.journal).clone();
        if let Some(journal) = journal {
            let read = journal.read(&service).await.ok_or_else(|| failed("it is closed".to_owned()))?;
            let kept = read.map_err(|error| failed(error.to_string()))?;
            return Ok(Some(Arc::new(Shelf::new(journal, &service, kept))));
        }
        let folder = self.runtime.data_folder.clone().ok_or_else(|| failed("there is no data folder".to_owned()))?;
        let most = self.runtime.settings.load().durable_bytes;
        let mut states =
            opened(folder, vec![service.clone()], most).await.map_err(|error| failed(error.to_string()))?;
        let shelf = states.shelves.remove(&service);
        *self.runtime.lock(&self.runtime.journal) = Some(states.journal);
        Ok(shelf)
    }

    /// Lets the runtime know a service that was placed.
    fn enter(&mut self, service: &str, mut placed: Placed, above: String) {
        let controller = control(&mut placed);
        let mut controllers = self.runtime.lock(&self.runtime.controllers);
        if let Some(before) = controllers.remove(service) {
            before.abort();
        }
        controllers.extend(controller);
        drop(controllers);
        let placed = Arc::new(placed);
        self.standing.insert(service.to_owned(), Standing { placed: Arc::clone(&placed), above });
        self.runtime.placed.rcu(|all| {
            let others = all.iter().filter(|other| other.service.address != placed.service.address);
            others.cloned().chain([Arc::clone(&placed)]).collect::<Vec<_>>()
        });
    }

    /// What all of the mesh goes by from here on.
    fn settle(&self) {
        let runtime = self.runtime;
        let target = &self.prepared.target;
        runtime.mesh.set(&target.settings.mesh);
        runtime.engines.set_baseline_from(target.settings.baseline_from);
        if let Some(journal) = &*runtime.lock(&runtime.journal) {
            journal.room().set_most(target.settings.durable_bytes);
        }
        runtime.settings.store(Arc::new(target.settings.clone()));
        runtime.in_force.store(Arc::new(self.prepared.written.clone()));
        let mut releases = runtime.lock(&runtime.releases);
        for (service, next) in &self.prepared.next {
            let Some(found) = releases.get_mut(service) else { continue };
            let before = self.done.iter().find_map(|done| match done {
                Done::Deployed(of, live, previous) if of == service => Some((live, previous)),
                _ => None,
            });
            if let Some((live, previous)) = before
                && live.source() == next.source()
            {
                // The same release under other rules is no other one to go back to.
                found.previous.clone_from(previous);
            }
            if let Some(previous) = &mut found.previous {
                // Whoever comes back does so under the rules that are in force.
                previous.node = Arc::new(next.node.with_release(previous.node.release.clone()));
            }
            if let Some(standing) = self.standing.get(service) {
                runtime.mesh.end_subscriptions(&standing.placed.service, &next.node.terms().policy);
            }
        }
    }
}
