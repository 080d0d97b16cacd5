//! Lets other releases take services over, one or several, and brings back those before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::compile::{compile, hold};
use super::desired::Desired;
use super::hosted::Hosted;
use super::judge::in_one;
use super::releases::{Deployable, DeploymentLock, Releases, kept};
use super::tiers::tier_up;
use crate::actor::Before;
use crate::capability::Policy;
use crate::deploy::{
    self, DeployError, DeployOptions, Deployment, Deviation, End, Gate, Page, Plan, PlanRefusal, Progress,
    RecordedGate, Records, Restore, SetId, StateFate, Strategy, Unfit,
};
use crate::engine::{Engines, Tier};
use crate::registry::{Release, verify};
use crate::settings::Multiplicity;
use crate::topology::{ServiceNode, folders};

/// The plan, and why it would be refused. Not for a runtime's thread, since a component may have many types.
pub(super) fn compare(
    service: &str,
    live: &Deployable,
    next: &Deployable,
    options: &DeployOptions,
) -> (Plan, Vec<DeployError>) {
    let (mut plan, mut refused) = deploy::plan(service, &live.side(), &next.side(), &next.node.grants, options);
    let no_shadow = not_held_back(live, next);
    let migrates = live.node.release.manifest.state_schema != next.node.release.manifest.state_schema;
    if plan.state_schema.state == StateFate::Migrated && matches!(live.node.multiplicity, Multiplicity::Keyed(_)) {
        plan.state_schema.state = StateFate::MigratedByKey;
    }
    if let Err(Unfit { why, instead }) = options.strategy.fits(live.node.multiplicity, migrates, no_shadow) {
        let unfit = DeployError::Unfit { service: service.to_owned(), strategy: options.strategy.name(), why, instead };
        plan.refusals.push((&unfit).into());
        refused.push(unfit);
    }
    plan.ungranted = deploy::ungranted(&next.node);
    if let Some(ungranted) = plan.ungranted.clone().filter(|_| options.strict) {
        let not_granted = DeployError::NotGranted(Box::new(ungranted));
        plan.refusals.push((&not_granted).into());
        refused.push(not_granted);
    }
    (plan, refused)
}

/// Why what a release does cannot be held back while it is only shown messages; none where it can.
fn not_held_back(live: &Deployable, next: &Deployable) -> Option<&'static str> {
    let policy = next.node.terms().policy;
    if policy.has_sockets() || policy.has_http() || policy.has_processes() || policy.files().next().is_some() {
        Some("it is granted files, sockets, HTTP requests or programs, and what it does with them cannot be held back")
    } else {
        not_recorded(live, next)
    }
}

/// Why what a release does over recorded turns cannot be answered by what is recorded; none where it can.
pub(super) fn not_recorded(live: &Deployable, next: &Deployable) -> Option<&'static str> {
    let policy = next.node.terms().policy;
    if policy.has_sockets() || policy.has_processes() {
        Some("it is granted sockets or programs, and what these say is in no recording")
    } else if live.template.has_tasks() || next.template.has_tasks() {
        Some(
            "its functions may be async (WASI 0.3), and in which order what they wait for is ready is not written down",
        )
    } else {
        None
    }
}

/// The wires between these that would be broken.
fn broken(all: &HashMap<String, Deployable>) -> Vec<DeployError> {
    let ends: Vec<End<'_>> = all.values().map(|live| End::new(&live.node, &live.template)).collect();
    deploy::broken_wires(&ends).into_iter().map(DeployError::Wire).collect()
}

/// Lets the wires of this service make themselves as its release needs them. Those of others stay as they are.
fn wire_itself(service: &str, all: &mut HashMap<String, Deployable>) {
    let ends: Vec<End<'_>> = all.values().map(|live| End::new(&live.node, &live.template)).collect();
    let Some(wires) = deploy::made_wires(&ends).remove(service) else { return };
    if let Some(next) = all.get_mut(service) {
        next.node = Arc::new(ServiceNode { wires, ..ServiceNode::clone(&next.node) });
    }
}

/// [`wire_itself`], of these.
fn wire_themselves<'a>(
    set: impl Iterator<Item = (&'a String, &'a mut Deployable)>,
    all: &mut HashMap<String, Deployable>,
) {
    for (service, next) in set {
        wire_itself(service, all);
        if let Some(wired) = all.get(service.as_str()) {
            *next = wired.clone();
        }
    }
}

impl Hosted {
    /// See [`crate::Runtime::deploy`].
    pub(crate) async fn deploy(
        &self,
        service: &str,
        release: Release,
        options: DeployOptions,
    ) -> Result<Deployment, DeployError> {
        options.check_forward()?;
        self.check_signatures(service, &release)?;
        let (lock, live) = self.actual.releases.take(service, |releases| Ok(releases.live.clone()))?;
        self.check_runs(service)?;
        let pending = self.pending(lock, options.clone());
        if let Some(gate) = options.recorded.clone() {
            return self.deploy_recorded(service, (live, release), pending, &gate, &options).await;
        }
        let (runtime, keep, name) = (Handle::current(), self.desired.records().keep(), service.to_owned());
        // Where it was compared it begins: each thread that it would go to first takes as long to wake as an instance
        // to make.
        let others = self.actual.releases.live_ones();
        let begun = self.prepare(service, live, release, others, &options, move |next, _plan, refused| {
            match refused.into_iter().next() {
                Some(refused) => Err(refused),
                None => Ok(pending.begin_on(&runtime, kept(&name, next, keep.as_deref())?)),
            }
        });
        begun.await?
    }

    /// [`Hosted::deploy`], after the release has shown that it does what was recorded.
    async fn deploy_recorded(
        &self,
        service: &str,
        (live, release): (Deployable, Release),
        pending: Pending,
        gate: &RecordedGate,
        options: &DeployOptions,
    ) -> Result<Deployment, DeployError> {
        let recording = self.recording(service).await?;
        let (keep, name) = (self.desired.records().keep(), service.to_owned());
        let others = self.actual.releases.live_ones();
        let prepared = self.prepare(service, live.clone(), release, others, options, move |next, _plan, refused| {
            match refused.into_iter().next() {
                Some(refused) => Err(refused),
                None => kept(&name, next, keep.as_deref()),
            }
        });
        let next = prepared.await??;
        self.show_recorded(recording, (&live, &next), gate, options).await?;
        Ok(pending.begin(next))
    }

    /// See [`crate::Runtime::deploy_set`].
    pub(crate) async fn deploy_set(
        &self,
        set: Vec<(String, Release)>,
        options: DeployOptions,
    ) -> Result<Vec<(String, Deployment)>, DeployError> {
        options.check_several()?;
        let unfit = |strategy, why, instead| {
            let service = set.first().map(|(service, _)| service.clone()).unwrap_or_default();
            Err(DeployError::Unfit { service, strategy, why, instead })
        };
        if options.strategy != Strategy::InPlace {
            let why = "the services of a set are switched one straight after the other";
            return unfit(options.strategy.name(), why, "in-place");
        }
        if options.gate != Gate::default() {
            let why = "the services of a set are switched as a whole, and no release before is left to compare with";
            return unfit("behind a gate", why, "without one, after each release was tried alone, as in a shadow");
        }
        let mut prepared = Vec::with_capacity(set.len());
        for (service, release) in set {
            self.check_signatures(&service, &release)?;
            let (lock, live) = self.actual.releases.take(&service, |releases| Ok(releases.live.clone()))?;
            self.check_runs(&service)?;
            let (keep, name) = (self.desired.records().keep(), service.clone());
            // Their wires are looked at when all of them are there.
            let prepare =
                self.prepare(&service, live, release, HashMap::new(), &options, move |next, _plan, refused| {
                    match refused.into_iter().next() {
                        Some(refused) => Err(refused),
                        None => kept(&name, next, keep.as_deref()),
                    }
                });
            let next = prepare.await??;
            prepared.push(Some((service, lock, next)));
        }
        let nexts = prepared.iter().flatten().map(|(service, _, next)| (service.clone(), next.clone()));
        let mut all: HashMap<String, Deployable> = self.actual.releases.live_ones().into_iter().chain(nexts).collect();
        wire_themselves(prepared.iter_mut().flatten().map(|(service, _, next)| (&*service, next)), &mut all);
        if let Some(broken) = broken(&all).into_iter().next() {
            return Err(broken);
        }
        let policies: Vec<(String, Policy)> =
            prepared.iter().flatten().map(|(service, _, next)| (service.clone(), next.node.terms().policy)).collect();
        let order = deploy::callees_first(policies.len(), |from, to| policies[from].1.may_call(&policies[to].0));
        let mut begun = deploy::Begun::default();
        let mut set = None;
        for at in order {
            let Some((service, lock, next)) = prepared[at].take() else { continue };
            let set = set
                .get_or_insert_with(|| SetId { first: service.clone(), after: self.desired.records().ended(&service) });
            let deployment = self.switch(lock, next, None, Some(set.clone()), options.clone());
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

    /// See [`crate::Runtime::plan`].
    pub(crate) async fn plan(
        &self,
        service: &str,
        release: Release,
        options: DeployOptions,
    ) -> Result<Plan, DeployError> {
        options.check_forward()?;
        self.check_signatures(service, &release)?;
        let found = self.actual.releases.look(service, |found| (found.live.clone(), found.taken));
        let (live, taken) = found.ok_or_else(|| DeployError::NoSuchService { service: service.to_owned() })?;
        let reached_by = self.actual.releases.reached_by(service);
        let (mut plan, next) = {
            let others = self.actual.releases.live_ones();
            let prepared =
                self.prepare(service, live.clone(), release, others, &options, |next, plan, _refused| (plan, next));
            prepared.await?
        };
        if let Some(gate) = options.recorded.as_ref().filter(|_| plan.refusals.is_empty()) {
            let shown = match self.recording(service).await {
                Ok(recording) => self.show_recorded(recording, (&live, &next), gate, &options).await,
                Err(error) => Err(error.into()),
            };
            plan.refusals.extend(shown.err().as_ref().map(PlanRefusal::from));
        }
        plan.reached_by = reached_by;
        if taken {
            plan.refusals.insert(0, (&DeployError::UnderWay { service: service.to_owned() }).into());
        }
        if let Err(stopped) = self.check_runs(service) {
            plan.refusals.insert(0, (&stopped).into());
        }
        Ok(plan)
    }

    /// See [`crate::Runtime::ungranted`].
    pub(crate) fn ungranted(&self, service: &str, release: Option<Release>) -> Option<deploy::Ungranted> {
        let asks = |found: &mut Releases| match release {
            Some(release) => Some(found.live.node.with_release(release)),
            None => found.previous.as_ref().map(|previous| ServiceNode::clone(&previous.node)),
        };
        deploy::ungranted(&self.actual.releases.look(service, asks)??)
    }

    pub(super) fn check_signatures(&self, service: &str, release: &Release) -> Result<(), DeployError> {
        let in_force = self.desired.in_force();
        let Some(trusted) = &in_force.settings.trusted_keys else { return Ok(()) };
        let verified = verify(release, trusted);
        verified.map(drop).map_err(|source| DeployError::Untrusted { service: service.to_owned(), source })
    }

    fn check_runs(&self, service: &str) -> Result<(), DeployError> {
        let actors = self.actual.actors(service);
        match actors.are_stopped() && !actors.have_finished() {
            true => Err(DeployError::Stopped { service: service.to_owned() }),
            false => Ok(()),
        }
    }

    /// Compiles a release for the place of the live one and compares the two; by the baseline compiler where it would
    /// take long and nothing is measured. What is done with it `then` is done where it was compiled.
    async fn prepare<T: Send + 'static>(
        &self,
        service: &str,
        live: Deployable,
        release: Release,
        mut others: HashMap<String, Deployable>,
        options: &DeployOptions,
        then: impl FnOnce(Deployable, Plan, Vec<DeployError>) -> T + Send + 'static,
    ) -> Result<T, DeployError> {
        let nodes: Vec<Arc<ServiceNode>> =
            self.actual.releases.live_ones().into_values().map(|live| live.node).collect();
        folders::check_release(&release, nodes.iter())?;
        let node = Arc::new(live.node.with_release(release));
        let judged = self.judged_deployment(&live.node, &node).await;
        let hold = hold(&node).map(Arc::new);
        let (name, options, of) = (service.to_owned(), options.clone(), Arc::clone(&node));
        let is_timed = |gate: &RecordedGate| !gate.allow.contains(&Deviation::Latency);
        let soon = options.strategy.compares_nothing() && !options.recorded.as_ref().is_some_and(is_timed);
        let compared = compile(Arc::clone(&self.actual.engines), node, soon, move |template| {
            let mut next = Deployable { node: of, template: Arc::new(template), _hold: hold };
            let (mut plan, mut refused) = compare(&name, &live, &next, &options);
            if !judged.is_empty() {
                refused.insert(0, DeployError::Policy { said: in_one(&judged) });
                plan.refusals.extend(judged);
            }
            if !others.is_empty() {
                others.insert(name.clone(), next.clone());
                wire_itself(&name, &mut others);
                next = others.get(&name).cloned().unwrap_or(next);
                let broken = broken(&others);
                plan.refusals.extend(broken.iter().map(PlanRefusal::from));
                refused.extend(broken);
            }
            then(next, plan, refused)
        });
        compared.await.map_err(|source| DeployError::Release { service: service.to_owned(), source })
    }

    /// A release that served before, wired as things are now. No wire may break over it, on either side.
    fn wired_again(&self, service: &str, before: Deployable) -> Result<Deployable, DeployError> {
        let mut all = self.actual.releases.live_ones();
        all.insert(service.to_owned(), before.clone());
        wire_itself(service, &mut all);
        match broken(&all).into_iter().next() {
            Some(broken) => Err(broken),
            None => Ok(all.remove(service).unwrap_or(before)),
        }
    }

    /// See [`crate::Runtime::rollback`].
    pub(crate) fn rollback(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        options.check()?;
        if options.restore_state {
            return self.restore_state(service, options);
        }
        if let Some(deployment) = self.deployment(service).filter(|deployment| !deployment.progress().is_over()) {
            deployment.cancel();
            return Ok(deployment);
        }
        let (lock, before) = self.actual.releases.take(service, |releases| {
            releases.previous.clone().ok_or_else(|| DeployError::NoPrevious { service: service.to_owned() })
        })?;
        self.check_runs(service)?;
        let before = self.wired_again(service, before)?;
        Ok(self.switch(lock, before, None, None, DeployOptions { strategy: Strategy::InPlace, ..options }))
    }

    fn restore_state(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        let posts = self.actual.actors(service);
        let mut restore = Restore::BroughtOver;
        let (lock, before) = self.actual.releases.take(service, |releases| {
            // A suspended one has gone back already, but for its state.
            let suspended = posts.unreadable();
            if suspended.iter().any(|(_, saved)| !saved.is_empty()) {
                restore = Restore::Suspended;
                return Ok(releases.live.clone());
            }
            match &releases.previous {
                Some(previous) if suspended.is_empty() && !posts.saved().is_empty() => Ok(previous.clone()),
                _ => Err(DeployError::NoSavedState { service: service.to_owned() }),
            }
        })?;
        self.check_runs(service)?;
        Ok(self.switch(lock, before, Some(restore), None, DeployOptions { strategy: Strategy::InPlace, ..options }))
    }

    /// See [`crate::Runtime::turns_to_discard`].
    pub(crate) fn turns_to_discard(&self, service: &str) -> u64 {
        let posts = self.actual.actors(service);
        let unreadable = posts.unreadable();
        if !unreadable.is_empty() {
            return unreadable.iter().map(|(_, saved)| saved.turns_since()).sum();
        }
        posts.saved().iter().map(Before::turns_since).sum()
    }

    /// See [`crate::Runtime::deployment`].
    pub(crate) fn deployment(&self, service: &str) -> Option<Deployment> {
        self.deployments(service).into_iter().max_by_key(|deployment| deployment.number())
    }

    /// See [`crate::Runtime::deployments`].
    pub(crate) fn deployments(&self, service: &str) -> Vec<Deployment> {
        let all = self.actual.releases.look(service, |found| found.deployments.iter().cloned().collect());
        all.unwrap_or_default()
    }

    /// See [`crate::Runtime::deployment_status`].
    pub(crate) fn deployment_status(&self, deployment: &Deployment) -> deploy::Status {
        deployment.status(self.turns_to_discard(deployment.service()))
    }

    /// How well the live release of a service is compiled.
    pub(crate) fn tier(&self, service: &str) -> Option<Tier> {
        self.actual.releases.look(service, |found| found.live.template.tier())
    }

    /// Where the wires of a service lead, for people.
    pub(crate) fn wires(&self, service: &str) -> BTreeMap<String, String> {
        let told = |found: &mut Releases| {
            let wires = found.live.node.wires.iter();
            wires.map(|(interface, wire)| (interface.clone(), wire.told())).collect()
        };
        self.actual.releases.look(service, told).unwrap_or_default()
    }

    /// See [`crate::Runtime::live_digest`].
    pub(crate) fn live_digest(&self, service: &str) -> Option<String> {
        self.actual.releases.look(service, |found| found.live.template.digest().to_owned())
    }

    pub(super) fn switch(
        &self,
        lock: DeploymentLock,
        next: Deployable,
        restore: Option<Restore>,
        set: Option<SetId>,
        options: DeployOptions,
    ) -> Deployment {
        Pending { restore, set, ..self.pending(lock, options) }.begin(next)
    }

    /// [`Hosted::switch`], written down elsewhere.
    pub(super) fn switch_unrecorded(
        &self,
        lock: DeploymentLock,
        next: Deployable,
        set: Option<SetId>,
        options: DeployOptions,
    ) -> Deployment {
        Pending { records: Arc::default(), set, ..self.pending(lock, options) }.begin(next)
    }

    fn pending(&self, lock: DeploymentLock, options: DeployOptions) -> Pending {
        let (engines, desired) = (Arc::clone(&self.actual.engines), Arc::clone(&self.desired));
        let (records, posts) = (Arc::clone(desired.records()), self.actual.actors(lock.service()));
        Pending { engines, records, desired, posts, lock, restore: None, set: None, options }
    }
}

/// A deployment that can begin as soon as its release is there.
struct Pending {
    engines: Arc<Engines>,
    records: Arc<Records>,
    desired: Arc<Desired>,
    posts: deploy::Posts,
    lock: DeploymentLock,
    restore: Option<Restore>,
    set: Option<SetId>,
    options: DeployOptions,
}

impl Pending {
    fn begin(self, next: Deployable) -> Deployment {
        let order = self.order(&next);
        self.follow(order, next)
    }

    /// From a thread that does not belong to this runtime: it is written down right here.
    fn begin_on(self, runtime: &Handle, next: Deployable) -> Deployment {
        let _in_it = runtime.enter();
        let mut order = self.order(&next);
        order.begin_here();
        self.follow(order, next)
    }

    fn order(&self, next: &Deployable) -> deploy::Order {
        let Self { engines, records, posts, lock, restore, set, options, .. } = self;
        let live = lock.look(|releases| (releases.live.source(), releases.live.template.tier()));
        let mut options = options.clone();
        if live.as_ref().is_none_or(|(_, tier)| *tier != next.template.tier()) {
            // Two compilers are not to be compared.
            options.gate.latency = f64::INFINITY;
        }
        let page = Arc::new(Page {
            records: Arc::clone(records),
            service: lock.service().to_owned(),
            live: live.map_or_else(|| next.source(), |(live, _)| live),
            next: next.source(),
            set: set.clone(),
        });
        let (engines, template, terms) = (Arc::clone(engines), Arc::clone(&next.template), Arc::new(next.node.terms()));
        let (posts, starts) = (posts.clone(), posts.have_finished());
        let (seats, restore) = (deploy::seats(&posts, &options.strategy), *restore);
        deploy::Order { engines, posts, seats, template, terms, options, restore, starts, page, begun: None }
    }

    /// Lets it run, and sees to what becomes of the service.
    fn follow(self, order: deploy::Order, next: Deployable) -> Deployment {
        let Self { engines, desired, posts, lock, .. } = self;
        let (service, releases) = (lock.service().to_owned(), Arc::clone(lock.releases()));
        let hasty = (next.template.tier() == Tier::Baseline).then(|| next.clone());
        let number = releases.number();
        let deployment = deploy::begin(order, number, move |end| {
            if *end == Progress::Live {
                lock.look(|found| {
                    // One that was suspended is live already, but for its state.
                    if !Arc::ptr_eq(&found.live.template, &next.template) {
                        found.previous = Some(std::mem::replace(&mut found.live, next));
                    }
                });
            }
            drop(lock);
            crate::blocking::spawn(move || desired.sweep());
        });
        releases.look(&service, |found| found.follow(deployment.clone()));
        if let Some(hasty) = hasty {
            tokio::spawn(tier_up(engines, releases, service, hasty, deployment.clone(), posts));
        }
        deployment
    }
}
