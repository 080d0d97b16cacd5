//! Carries an apply out, step by step, and undoes what it did where a step fails.
//!
//! First what can be undone without a trace: what is new starts, what changes in place does, what is deployed proves itself. Then what costs a service its
//! instances: those that are stopped and started. Then the one write that makes the new topology the one in force. Last of all, what is gone stops, which
//! nobody could undo.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::supervisor::{AutoShutdown, ChildError, SupervisorSpec, SupervisorStart};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::actor::{Control, Multiplicity, Placed, Serving, start};
use crate::apply::{Applied, ApplyError, Failed, Fate, InForceError, Ledger, Subject, Way, drain_time};
use crate::capability::{Operation, Policy};
use crate::compose::{Keeping, Node, RootSpec, ServiceNode, SupervisorNode, Topology};
use crate::deploy::{self, Begun, DeployOptions, Progress, Records};
use crate::router::service::{Service, Terms};
use crate::state::durable::Shelf;

use super::super::builder::{below, control, declared_instances, opened, service_spec, supervisor_child};
use super::super::deployments::{Deployable, Freed, Releases};
use super::{Prepared, Runtime};

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
        Self { runtime, prepared, before, taken, supervisors, standing, done: Vec::new(), left_over: Vec::new() }
    }

    pub(super) async fn run(mut self) -> Result<Applied, ApplyError> {
        let record = self.prepared.record.clone();
        self.write_down({
            let record = record.clone();
            move |ledger| ledger.intend(record)
        })
        .await?;
        let mut come_about = self.come_about().await;
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
        if let Err(error) = self.write_down(move |ledger| ledger.finish(&records)).await {
            tracing::error!(target: "airssys::apply", %error, "the records of deployments are behind until the next start");
        }
        let Self { prepared, left_over, runtime, before, .. } = self;
        let Prepared { plan, announced, target, .. } = prepared;
        let gone = |node: &&ServiceNode| target.services().all(|other| other.address != node.address);
        let gone: Vec<(u64, usize)> =
            before.services().filter(gone).map(|node| (node.limits.memory_bytes, declared_instances(node))).collect();
        announced.keep(&gone);
        tracing::info!(target: "airssys::apply", mesh = plan.mesh, changes = plan.differences.len(), services = runtime.placed.load().len(), "applied");
        Ok(Applied { plan, left_over })
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
        match tokio::task::spawn_blocking(move || what(&ledger)).await {
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
            let live = Releases { live: next, previous: None, saved: Vec::new(), deployment: None, taken: true };
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
        Ok(service_spec(&next.node, &next.template, shelf).build(&self.runtime.mesh, &self.runtime.engines))
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
        let mut states = opened(folder, vec![service.clone()]).await.map_err(|error| failed(error.to_string()))?;
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

    /// Changes the supervisors that are there, and starts what is new, in order.
    async fn grow(&mut self) -> Result<(), Failed> {
        let target = self.prepared.target.clone();
        self.make_supervisors(&target.children, "")?;
        for (path, ..) in supervised(&target) {
            if !is_supervised(&self.before, &path) {
                continue;
            }
            let (is, wanted) = (self.spec(&path), self.wanted(&target, Some(&self.before), &path));
            if let (Some(is), Some(wanted)) = (is, wanted)
                && differs(&is, &wanted)
            {
                self.done.push(Done::Changed(path.clone(), is));
                self.change(&path, wanted).await?;
            }
        }
        self.start_new(&target.children, "").await
    }

    /// Makes the supervisors that are new, from the lowest up, with the new services that are under them.
    fn make_supervisors(&mut self, nodes: &[Node], above: &str) -> Result<(), Failed> {
        for node in nodes {
            let Node::Supervisor(supervisor) = node else { continue };
            let path = below(above, &supervisor.name);
            self.make_supervisors(&supervisor.children, &path)?;
            if is_supervised(&self.before, &path) {
                continue;
            }
            let spec =
                SupervisorSpec { children: self.children(&supervisor.children, &path), ..supervisor.flags.spec() };
            let start = SupervisorStart::new(spec).map_err(|error| Failed::new(&path, error))?;
            self.supervisors.insert(path, start);
        }
        Ok(())
    }

    async fn start_new(&mut self, nodes: &[Node], path: &str) -> Result<(), Failed> {
        for node in nodes {
            match node {
                Node::Service(service) => {
                    let name = service.address.as_str();
                    let is_new = self.done.iter().any(|done| matches!(done, Done::Added(added) if added == name));
                    let standing = self.standing.get(name).filter(|standing| is_new && standing.above == path);
                    let children = standing.map(|standing| standing.placed.children.clone()).unwrap_or_default();
                    self.start_children(path, &children)
                        .await
                        .map_err(|why| Failed::new(format!("{name} does not start"), why))?;
                }
                Node::Supervisor(supervisor) => {
                    let below = below(path, &supervisor.name);
                    if is_supervised(&self.before, &below) {
                        Box::pin(self.start_new(&supervisor.children, &below)).await?;
                        continue;
                    }
                    let child = self.supervisor_child(supervisor, &below).into_iter().collect::<Vec<_>>();
                    let started = self.start_children(path, &child).await;
                    started.map_err(|why| Failed::new(format!("the supervisor {below} does not start"), why))?;
                }
            }
        }
        Ok(())
    }

    /// Starts children that are known to their supervisor, and down.
    async fn start_children(&self, path: &str, children: &[ChildSpec]) -> Result<(), ChildError> {
        for child in children {
            match self.handle(path).restart_child(child.id.as_str()).await {
                // A restart of its group was faster.
                Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stops children for good, the last one first. Who is not there is gone.
    async fn stop_children(&self, path: &str, children: &[ChildSpec]) {
        let handle = self.handle(path);
        for child in children.iter().rev() {
            // A restart of its group can bring it up between the two.
            while handle.terminate_child(child.id.as_str()).await.is_ok() {
                match handle.delete_child(child.id.as_str()).await {
                    Err(ChildError::Running { .. } | ChildError::Restarting { .. }) => {}
                    _gone => break,
                }
            }
        }
    }

    fn handle(&self, path: &str) -> airssys_rt_shim::supervisor::SupervisorHandle {
        match self.supervisors.get(path) {
            Some(start) => start.handle(),
            None => self.runtime.system.root(),
        }
    }

    /// What a supervisor is now; none where there is none.
    fn spec(&self, path: &str) -> Option<Arc<SupervisorSpec>> {
        match path {
            "" => Some(self.runtime.system.spec()),
            path => self.supervisors.get(path).map(|start| start.spec()),
        }
    }

    /// Makes a supervisor another one, as soon as none of its children is on its way up or down.
    async fn change(&self, path: &str, spec: SupervisorSpec) -> Result<(), Failed> {
        let until = Instant::now() + self.prepared.options.handover_deadline;
        loop {
            let changed = match self.supervisors.get(path) {
                Some(start) => start.change(spec.clone()).await,
                None => self.runtime.system.change(spec.clone()).await,
            };
            match changed {
                Err(ChildError::Unsettled { .. }) if Instant::now() < until => sleep(LOOK_AGAIN).await,
                changed => {
                    let name = if path.is_empty() { "the root" } else { path };
                    return changed
                        .map_err(|error| Failed::new(format!("the supervisor {name} cannot be changed"), error));
                }
            }
        }
    }

    /// What a supervisor is to be by a topology, with what stands under it now. Behind that, what only the `other` topology has there and is not gone yet.
    fn wanted(&self, topology: &Topology, other: Option<&Topology>, path: &str) -> Option<SupervisorSpec> {
        let (_, flags, nodes) = supervised(topology).into_iter().find(|(found, ..)| found == path)?;
        let mut children = self.children(nodes, path);
        if let Some((_, _, others)) =
            other.and_then(|other| supervised(other).into_iter().find(|(found, ..)| found == path))
        {
            let known: Vec<ChildSpec> = children.clone();
            let left =
                self.children(others, path).into_iter().filter(|child| known.iter().all(|known| known.id != child.id));
            // It is about to go: whether it ends by itself before does not matter any more.
            children.extend(left.map(|child| ChildSpec {
                significant: child.significant && flags.auto_shutdown != AutoShutdown::Never,
                ..child
            }));
        }
        Some(SupervisorSpec { children, ..flags.spec() })
    }

    /// The children for these nodes, as far as they stand under this supervisor.
    fn children(&self, nodes: &[Node], path: &str) -> Vec<ChildSpec> {
        let mut children = Vec::new();
        for node in nodes {
            match node {
                Node::Supervisor(supervisor) => {
                    children.extend(self.supervisor_child(supervisor, &below(path, &supervisor.name)));
                }
                Node::Service(service) => {
                    let standing =
                        self.standing.get(service.address.as_str()).filter(|standing| standing.above == path);
                    let rules = |child: &ChildSpec| service_child(service, child);
                    children
                        .extend(standing.into_iter().flat_map(|standing| standing.placed.children.iter().map(rules)));
                }
            }
        }
        children
    }

    fn supervisor_child(&self, node: &SupervisorNode, path: &str) -> Option<ChildSpec> {
        self.supervisors.get(path).map(|start| supervisor_child(node, Arc::clone(start)))
    }

    /// Other rules under what runs.
    async fn change_in_place(&mut self, service: &str) -> Result<(), Failed> {
        let next = self.next(service)?;
        let Some(before) = self.live(service) else { return Ok(()) };
        self.done.push(Done::Retuned(service.to_owned(), before));
        self.put_rules(service, &next).await?;
        self.retune(service, &next).await
    }

    /// The release that serves a service, and its rules.
    fn live(&self, service: &str) -> Option<Deployable> {
        self.runtime.lock(&self.runtime.releases).get(service).map(|releases| releases.live.clone())
    }

    /// The rules that are no part of what a release runs under: the shape of the mailboxes, and how the actors of a keyed service come and go.
    async fn put_rules(&self, service: &str, next: &Deployable) -> Result<(), Failed> {
        let Some(Standing { placed, .. }) = self.standing.get(service) else { return Ok(()) };
        placed.service.reshape(next.node.shape);
        if let (Some(reins), Multiplicity::Keyed(rules)) = (&placed.reins, next.node.multiplicity) {
            let taken = reins.take(rules, next.node.shutdown, &placed.service).await;
            taken.map_err(|error| Failed::new(format!("the keys of {service} cannot have other rules"), error))?;
        }
        Ok(())
    }

    /// Puts other terms under the release that serves, and waits until each actor goes by them.
    async fn retune(&self, service: &str, next: &Deployable) -> Result<(), Failed> {
        let Some(Standing { placed, .. }) = self.standing.get(service) else { return Ok(()) };
        let terms: Arc<Terms> = Arc::new(next.node.terms());
        let awake = placed.roster.as_ref().map(|roster| roster.retune(&terms)).unwrap_or_default();
        let posts = placed.actors.iter().chain(awake.iter().map(|post| &**post));
        let mut answers = Vec::new();
        for post in posts {
            post.live.retune(&terms);
            let (done, answer) = oneshot::channel();
            // Who does not run starts with them.
            if post.order(Control::Retune(done)).is_ok() {
                answers.push(answer);
            }
        }
        placed.service.message_bytes.store(terms.limits.message_bytes, std::sync::atomic::Ordering::Relaxed);
        let until = Instant::now() + self.prepared.options.handover_deadline;
        for answer in answers {
            // One that ended over it starts with them.
            if timeout_at(until, answer).await.is_err() {
                let deadline = humantime::format_duration(self.prepared.options.handover_deadline);
                return Err(Failed::new(
                    service,
                    format!("an actor did not come to the end of its turn within {deadline}"),
                ));
            }
        }
        if let Some(releases) = self.runtime.lock(&self.runtime.releases).get_mut(service) {
            releases.live = next.clone();
        }
        Ok(())
    }

    /// Deploys what an instance is made with, all of it or nothing: those that are called before those who call them, and on probation together.
    async fn deploy(&mut self) -> Result<(), Failed> {
        let set = self.services(|fate, way| fate == Fate::Changed && way == Way::Deployment);
        let mut nexts = Vec::with_capacity(set.len());
        for service in set {
            let next = self.next(&service)?;
            if let Some(before) = self.live(&service) {
                // Undone with the rest, since the mailbox belongs to no release.
                self.done.push(Done::Retuned(service.clone(), before));
                self.put_rules(&service, &next).await?;
            }
            nexts.push((service, next));
        }
        let policies: Vec<Policy> = nexts.iter().map(|(_, next)| next.node.terms().policy).collect();
        let order = deploy::callees_first(nexts.len(), |from, to| policies[from].allows(Operation::Call, &nexts[to].0));
        let options = self.prepared.options;
        let mut begun = Begun::default();
        for at in order {
            let (service, next) = &nexts[at];
            let before = self
                .runtime
                .lock(&self.runtime.releases)
                .get(service)
                .map(|found| (found.live.clone(), found.previous.clone()));
            // Dropped, those that were begun go back.
            let missing = || Failed::new(service, "it is gone");
            let ((live, previous), freed) = before.zip(self.taken.remove(service)).ok_or_else(missing)?;
            let deployment = self.runtime.switch_recorded(Arc::default(), freed, next.clone(), None, true, options);
            self.done.push(Done::Deployed(service.clone(), live, previous));
            begun.0.push((service.clone(), deployment.clone()));
            let reached = deployment.switched().await;
            if reached != Progress::Probation {
                deploy::undo(&begun.0, service, &reached);
                break;
            }
        }
        let begun = std::mem::take(&mut begun.0);
        if begun.is_empty() {
            return Ok(());
        }
        if begun.len() == nexts.len() {
            deploy::together(begun.clone(), options.probation).await;
        }
        let mut failed = None;
        for (service, deployment) in &begun {
            let end = deployment.ended().await;
            self.take_again(service)?;
            if let Progress::RolledBack { reason } | Progress::Suspended { reason, .. } = end {
                // The one that went back first says why.
                let by_another = matches!(reason, deploy::Setback::OfTheSet { .. });
                if failed.is_none() || !by_another {
                    failed = Some(Failed::new(format!("{service} went back"), reason));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// No deployment of it begins until the apply is over.
    fn take_again(&mut self, service: &str) -> Result<(), Failed> {
        let taken = self.runtime.take_for_deployment(service, |releases| Ok(releases.live.clone()));
        let (freed, _) = taken.map_err(|error| Failed::new(service, error))?;
        self.taken.insert(service.to_owned(), freed);
        Ok(())
    }

    /// Stops a service and starts it as another one under the same name. Its new mailboxes take what is sent meanwhile, and its old ones are handled first.
    async fn restart(&mut self, service: &str) -> Result<(), Failed> {
        let next = self.next(service)?;
        let above = supervisor_of(&self.prepared.target, service).unwrap_or_default();
        let (Some(before), Some(was_above)) =
            (self.live(service), self.standing.get(service).map(|found| found.above.clone()))
        else {
            return Ok(());
        };
        let placed = self.build(&next).await?;
        // Found before anything stops, where it can be: it starts.
        if let Some(post) = placed.actors.first() {
            let serving: Arc<Serving> = post.live.serving();
            drop(start(&self.runtime.engines, &serving).await.map_err(|crash| Failed::not_started(service, &crash))?);
        }
        self.done.push(Done::Restarted(service.to_owned(), before, was_above));
        let target = self.prepared.target.clone();
        self.exchange(service, placed, &next, above, &target).await
    }

    /// Puts a service in the place of the one that has its name, and starts it under a supervisor of this topology.
    async fn exchange(
        &mut self,
        service: &str,
        placed: Placed,
        next: &Deployable,
        above: String,
        topology: &Topology,
    ) -> Result<(), Failed> {
        let Some(old) = self.standing.get(service).cloned() else { return Ok(()) };
        let shutdown = self.live(service).map_or(next.node.shutdown, |live| live.node.shutdown);
        self.runtime.mesh.replace(&placed.service);
        let left = self.drain(&old.placed.service, drain_time(shutdown, self.before.settings.shutdown_timeout)).await;
        self.stop_children(&old.above, &old.placed.children).await;
        self.runtime.mesh.retire(&old.placed.service);
        self.note_left(service, left);
        self.enter(service, placed, above.clone());
        let Some(Standing { placed, .. }) = self.standing.get(service).cloned() else { return Ok(()) };
        if placed.service.shelf.is_none() || old.placed.service.shelf.is_none() {
            carry_over(&old.placed.service, &placed.service)
                .await
                .map_err(|crash| Failed::not_started(service, &crash))?;
        }
        // Under the supervisor where it was, nobody brings it back.
        for path in [&old.above, &above] {
            let wanted = self.wanted(topology, Some(&self.before), path);
            let wanted = match wanted {
                Some(wanted) => Some(wanted),
                // One that is about to go.
                None => self.wanted(&self.before, None, path),
            };
            if let Some(wanted) = wanted {
                self.change(path, wanted).await?;
            }
        }
        let started = self.start_children(&above, &placed.children).await;
        started.map_err(|why| Failed::new(format!("{service} does not start"), why))?;
        if let Some(releases) = self.runtime.lock(&self.runtime.releases).get_mut(service) {
            releases.live = next.clone();
        }
        Ok(())
    }

    /// Waits until a service has handled what it has, at most this long; how many messages are left.
    async fn drain(&self, service: &Service, most: Duration) -> usize {
        let until = Instant::now() + most;
        while !service.is_quiet() && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
        }
        let mut left = 0;
        service.each_lane(|_, lane| left += lane.mailbox.len());
        left
    }

    fn note_left(&mut self, service: &str, left: usize) {
        if left > 0 {
            self.left_over.push((service.to_owned(), left));
        }
    }

    /// What all of the mesh goes by from here on.
    fn settle(&self) {
        let runtime = self.runtime;
        let target = &self.prepared.target;
        runtime.mesh.set(&target.settings.mesh);
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

    /// Stops what is gone, in the reverse of the order in which it was started.
    async fn remove(&mut self) {
        let target = self.prepared.target.clone();
        let before = Arc::clone(&self.before);
        let gone: Vec<(String, &ServiceNode)> = supervised(&before)
            .into_iter()
            .flat_map(|(path, _, nodes)| nodes.iter().filter_map(service_of).map(move |node| (path.clone(), node)))
            .filter(|(_, node)| target.services().all(|other| other.address != node.address))
            .collect();
        // By the order in which they start, which is that of the whole tree.
        let order: Vec<&str> = before.services().map(|node| node.address.as_str()).collect();
        let mut gone = gone;
        gone.sort_by_key(|(_, node)| std::cmp::Reverse(order.iter().position(|name| *name == node.address.as_str())));
        let supervisors =
            supervised(&target).into_iter().map(|(path, ..)| path).filter(|path| is_supervised(&before, path));
        for path in supervisors.collect::<Vec<_>>() {
            let wanted = self.wanted(&target, None, &path);
            if let Some(wanted) = wanted.filter(|wanted| self.spec(&path).is_some_and(|is| differs(&is, wanted)))
                && let Err(Failed { step, why }) = self.change(&path, wanted).await
            {
                tracing::error!(target: "airssys::apply", why, "{step}");
            }
        }
        for (path, node) in gone {
            let service = node.address.to_string();
            let Some(standing) = self.standing.get(&service).cloned() else { continue };
            self.runtime.mesh.unregister(&service);
            let left =
                self.drain(&standing.placed.service, drain_time(node.shutdown, before.settings.shutdown_timeout)).await;
            self.stop_children(&path, &standing.placed.children).await;
            self.note_left(&service, left);
            self.leave(&service);
        }
        let mut gone: Vec<String> = supervised(&before).into_iter().map(|(path, ..)| path).collect();
        gone.retain(|path| !is_supervised(&target, path));
        for path in gone.iter().rev() {
            self.stop_supervisor(path).await;
        }
        *self.runtime.lock(&self.runtime.supervisors) = self.supervisors.clone();
    }

    async fn stop_supervisor(&mut self, path: &str) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(start) = self.supervisors.get(path).cloned() else { return };
        self.stop_children(above, &[ChildSpec::supervisor(name, start)]).await;
        self.supervisors.remove(path);
    }

    /// Takes a service that does not run any more out of the runtime.
    fn leave(&mut self, service: &str) {
        if let Some(Standing { placed, .. }) = self.standing.remove(service) {
            self.runtime.mesh.retire(&placed.service);
        }
        self.runtime.mesh.unregister(service);
        if let Some(controller) = self.runtime.lock(&self.runtime.controllers).remove(service) {
            controller.abort();
        }
        let others = |placed: &&Arc<Placed>| placed.service.address.as_str() != service;
        self.runtime.placed.rcu(|all| all.iter().filter(others).cloned().collect::<Vec<_>>());
        self.taken.remove(service);
        self.runtime.lock(&self.runtime.releases).remove(service);
    }

    /// Undoes what was done, the last first; what could not be.
    async fn undo(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let before = Arc::clone(&self.before);
        while let Some(done) = self.done.pop() {
            let undone = match done {
                Done::Added(service) => {
                    if let Some(standing) = self.standing.get(&service).cloned() {
                        self.stop_children(&standing.above, &standing.placed.children).await;
                    }
                    self.leave(&service);
                    Ok(())
                }
                Done::Changed(path, was) => self.change_back(&path, &was).await,
                Done::Retuned(service, was) => match self.put_rules(&service, &was).await {
                    Ok(()) => self.retune_back(&service, &was).await,
                    failed => failed,
                },
                Done::Deployed(service, live, previous) => self.deploy_back(&service, live, previous).await,
                Done::Restarted(service, was, above) => match self.build(&was).await {
                    Ok(placed) => self.exchange(&service, placed, &was, above, &before).await,
                    Err(failed) => Err(failed),
                },
            };
            left.extend(undone.err().map(|Failed { step, why }| format!("{step}: {why}")));
        }
        // Those that were made for it, from the lowest up.
        let made: Vec<String> = self.supervisors.keys().filter(|path| !is_supervised(&before, path)).cloned().collect();
        for path in made.iter().rev() {
            self.stop_supervisor(path).await;
        }
        left
    }

    /// A supervisor becomes what it was; children that were added to it are gone.
    async fn change_back(&mut self, path: &str, was: &SupervisorSpec) -> Result<(), Failed> {
        let is = self.spec(path);
        let added = |child: &&ChildSpec| was.children.iter().all(|known| known.id != child.id);
        let added: Vec<ChildSpec> = is.iter().flat_map(|is| is.children.iter().filter(added).cloned()).collect();
        // What stands under it now, where some of it was stopped and started.
        let wanted = self.wanted(&self.before, None, path).unwrap_or_else(|| was.clone());
        self.change(path, wanted).await?;
        self.stop_children(path, &added).await;
        Ok(())
    }

    async fn retune_back(&self, service: &str, was: &Deployable) -> Result<(), Failed> {
        let is_live = self.live(service).is_some_and(|live| Arc::ptr_eq(&live.template, &was.template));
        // Where another release is live still, a deployment brings this one back with its terms.
        if is_live { self.retune(service, was).await } else { Ok(()) }
    }

    async fn deploy_back(
        &mut self,
        service: &str,
        live: Deployable,
        previous: Option<Deployable>,
    ) -> Result<(), Failed> {
        let is_back = self.live(service).is_some_and(|now| Arc::ptr_eq(&now.template, &live.template));
        if !is_back && let Some(freed) = self.taken.remove(service) {
            let mut options = DeployOptions::default();
            (options.probation, options.handover_deadline) = (Duration::ZERO, self.prepared.options.handover_deadline);
            let back =
                self.runtime.switch_recorded(Arc::<Records>::default(), freed, live.clone(), None, false, options);
            let end = back.ended().await;
            if end != Progress::Live {
                return Err(Failed::new(format!("{service} does not go back"), format!("{end:?}")));
            }
            self.take_again(service)?;
        }
        if let Some(releases) = self.runtime.lock(&self.runtime.releases).get_mut(service) {
            (releases.live, releases.previous) = (live, previous);
        }
        Ok(())
    }
}

/// What one service has committed is what the other one begins with.
async fn carry_over(from: &Service, to: &Service) -> Result<(), crate::error::Crash> {
    let mut states = Vec::new();
    from.each_state(|key, state| {
        if let Some(own) = to.state_of(key) {
            states.push((own, state.dump()));
        }
    });
    for (own, dumped) in states {
        own.take_over(dumped).await?;
    }
    Ok(())
}

/// A child of a service, by the rules of a node.
fn service_child(node: &ServiceNode, child: &ChildSpec) -> ChildSpec {
    // That of a keyed service is a supervisor, which bounds its own children.
    let shutdown = if matches!(node.multiplicity, Multiplicity::Keyed(_)) { child.shutdown } else { node.shutdown };
    ChildSpec { restart: node.restart, significant: node.significant, shutdown, ..child.clone() }
}

/// Whether a supervisor would become another one.
fn differs(is: &SupervisorSpec, wanted: &SupervisorSpec) -> bool {
    let flags = |spec: &SupervisorSpec| (spec.strategy, spec.intensity, spec.period, spec.backoff, spec.auto_shutdown);
    let child = |child: &ChildSpec| (child.id.clone(), child.restart, child.significant, child.shutdown);
    flags(is) != flags(wanted) || !is.children.iter().map(child).eq(wanted.children.iter().map(child))
}

/// All supervisors with their children, each before those below it: the names down to it, none for the root.
fn supervised(topology: &Topology) -> Vec<(String, &RootSpec, &[Node])> {
    fn collect<'a>(nodes: &'a [Node], above: &str, into: &mut Vec<(String, &'a RootSpec, &'a [Node])>) {
        for node in nodes {
            if let Node::Supervisor(supervisor) = node {
                let path = below(above, &supervisor.name);
                into.push((path.clone(), &supervisor.flags, &supervisor.children));
                collect(&supervisor.children, &path, into);
            }
        }
    }
    let mut all = vec![(String::new(), &topology.root, topology.children.as_slice())];
    collect(&topology.children, "", &mut all);
    all
}

fn is_supervised(topology: &Topology, path: &str) -> bool {
    supervised(topology).iter().any(|(found, ..)| found == path)
}

fn service_of(node: &Node) -> Option<&ServiceNode> {
    match node {
        Node::Service(service) => Some(service),
        Node::Supervisor(_) => None,
    }
}

/// The names down to the supervisor of a service.
fn supervisor_of(topology: &Topology, service: &str) -> Option<String> {
    let found = supervised(topology)
        .into_iter()
        .find(|(_, _, nodes)| nodes.iter().filter_map(service_of).any(|node| node.address.as_str() == service));
    found.map(|(path, ..)| path)
}
