//! Brings the mesh to another topology: what is wrong is found first, then all of it comes about, or none.
//!
//! Here is what is prepared; `steps` carries out. Nothing has changed until [`Prepared`] is there.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::{Announced, Change, Prepared};
use super::check::{check_found, check_layers, check_routes, check_trust, durable_services, room};
use super::compile::{hold, key, load_one};
use super::deployments::compare;
use super::difference::{Difference, Fate, Subject, differences_with, rewired};
use super::error::{ApplyError, RuntimeError};
use super::hosted::Hosted;
use super::plan::{Applied, ApplyPlan, refused_ways, ungranted_of};
use super::record::{Next, SchemaChange, Unsettled};
use super::releases::{Deployable, DeploymentLock, kept, served};
use super::steps::Steps;
use crate::audit::{AuditError, by};
use crate::deploy::RecordError;
use crate::deploy::{DeployError, DeployOptions, End, PlanRefusal, Source, broken_wires, made_wires};
use crate::engine::{Template, TemplateError};
use crate::events::{Happening, text};
use crate::registry::Digest;
use crate::schema::ChangeMode;
use crate::topology::{Auditing, ServiceNode, Topology, folders};
use crate::wire::{Wires, wire_of};

impl Hosted {
    /// See [`crate::Runtime::plan_apply`].
    pub(crate) async fn plan_apply(
        &self,
        topology: &Topology,
        options: DeployOptions,
    ) -> Result<ApplyPlan, ApplyError> {
        let mut plan = self.prepare_apply(topology, options, &by()).await?.plan;
        let touched = plan.differences.iter().filter(|found| found.subject == Subject::Service);
        let is_busy = |found: &&Difference| self.actual.releases.look(&found.name, |found| found.taken) == Some(true);
        let busy = touched.filter(is_busy);
        let under_way: Vec<PlanRefusal> =
            busy.map(|found| (&DeployError::UnderWay { service: found.name.clone() }).into()).collect();
        plan.refusals.splice(0..0, under_way);
        Ok(plan)
    }

    /// See [`crate::Runtime::apply`].
    pub(crate) async fn apply(
        self: &Arc<Self>,
        topology: Topology,
        options: DeployOptions,
    ) -> Result<Applied, ApplyError> {
        let (hosted, by) = (Arc::clone(self), by());
        // In a task of its own: who waits may be cut off, and half of an apply is none.
        let applying = tokio::spawn(async move {
            let _one_at_a_time = hosted.change_alone().ok_or(ApplyError::UnderWay)?;
            let prepared = hosted.prepare_apply(&topology, options, &by).await?;
            if !prepared.plan.refusals.is_empty() {
                return Err(ApplyError::Refused { refusals: prepared.plan.refusals });
            }
            let taken = hosted.take_all(&prepared.plan.differences)?;
            let prepared = hosted.keep_next(prepared).await?;
            let Prepared { plan, change, record, announced } = prepared;
            let changes = plan.differences.len();
            hosted.tell("applying", changes, None);
            let applied = Steps::new(&hosted, change, taken).run(plan, record, announced).await;
            match &applied {
                Ok(_) => hosted.tell("applied", changes, None),
                Err(why) => hosted.tell("undone", changes, Some(text(why))),
            }
            applied
        });
        applying.await.unwrap_or_else(|panic| {
            let step = "a bug in the host".to_owned();
            Err(ApplyError::Undone { step, why: panic.to_string(), left: vec!["whatever it had begun".to_owned()] })
        })
    }

    /// Tells where an apply is.
    fn tell(&self, state: &str, changes: usize, reason: Option<String>) {
        self.actual.mesh.events.publish(None, Happening::Apply { state: state.to_owned(), changes, reason });
    }

    /// Keeps the bytes of what will serve, and says so in what is to be written down.
    async fn keep_next(&self, mut prepared: Prepared) -> Result<Prepared, ApplyError> {
        let change = &mut prepared.change;
        let (keep, next) = (self.desired.records().keep(), std::mem::take(&mut change.next));
        let keeping = crate::blocking::spawn(move || {
            let each = next
                .into_iter()
                .map(|(service, next)| kept(&service, next, keep.as_deref()).map(|next| (service, next)));
            each.collect::<Result<HashMap<_, _>, _>>()
        });
        // A panic there is one here.
        change.next = keeping.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let live = self.actual.releases.live_ones();
        prepared.record = record(&change.before, &change.written, &live, &change.next, &change.differences)?;
        Ok(prepared)
    }

    /// Lets no deployment begin of the services that are touched.
    fn take_all(&self, differences: &[Difference]) -> Result<HashMap<String, DeploymentLock>, DeployError> {
        let there = differences.iter().filter(|found| found.subject == Subject::Service && found.fate != Fate::Added);
        let take = |found: &Difference| {
            let (lock, _) = self.actual.releases.take(&found.name, |releases| Ok(releases.live.clone()))?;
            Ok((found.name.clone(), lock))
        };
        there.map(take).collect()
    }

    async fn prepare_apply(
        &self,
        topology: &Topology,
        options: DeployOptions,
        by: &str,
    ) -> Result<Prepared, ApplyError> {
        options.check_several()?;
        let is_seeded = self.actual.mesh.seeded.is_some();
        if topology.settings.audit == Auditing::Required && self.audit.is_none() && !is_seeded {
            return Err(RuntimeError::from(AuditError::NoFolder).into());
        }
        let live = self.actual.releases.live_ones();
        let before = self.desired.in_force();
        let (mut target, deployed) = with_deployed(&before, topology, &live);
        keep_made(&mut target, &live);
        // What is revoked while this is under way is so in what it brings in.
        target.each_service(|node| {
            if let Some(live) = live.get(node.address.as_str()) {
                Arc::make_mut(node).grants.follow(&live.node.grants);
            }
        });
        if let Some(counting) = &self.counting {
            counting.hold(&mut target);
        }
        // A grant that stays keeps the folder that it has.
        let notes = folders::hold(&mut target, live.values().map(|live| &live.node), self.desired.guarded());
        for note in notes.map_err(RuntimeError::from)? {
            tracing::warn!(target: "airssys", "{note}");
        }
        let mut serving = Topology::clone(&before);
        serving.each_service(|node| {
            if let Some(live) = live.get(node.address.as_str()) {
                *node = Arc::new(ServiceNode { named: node.named.clone(), ..ServiceNode::clone(&live.node) });
            }
        });
        let others = other_releases(&target, &live).await;
        let mut differences =
            differences_with(&serving, &target, |_, node| others.iter().any(|name| name == node.address.as_str()));
        // Of one that was deployed by hand already there is nothing left to do but to write it down.
        differences.retain_mut(|found| {
            let node = target.services().find(|node| node.address.as_str() == found.name);
            let is_live = node.zip(live.get(&found.name)).is_some_and(|(node, live)| is_live(node, live, &others));
            if is_live && found.subject == Subject::Service && found.fate == Fate::Changed {
                found.settings.retain(|setting| setting.key != "release");
                found.way = found.settings.iter().map(|setting| setting.way).max().unwrap_or(ChangeMode::InPlace);
            }
            found.fate != Fate::Changed || !found.settings.is_empty()
        });
        check_found(&target)?;
        check_trust(&target)?;
        durable_services(&target, self.desired.data_folder())?;
        room(&self.actual.engines, &target)?;
        let announced = Announced::new(&self.actual.engines, &target, &differences, &live)?;
        let mut next = self.load_next(&target, &differences, &live, &others).await?;
        wire_by_themselves(&mut target, &mut differences, &live, &mut next);
        let serves = |name: &str| next.get(name).or_else(|| live.get(name)).map(|serves| &serves.template);
        check_routes(&target, |node| serves(node.address.as_str())).map_err(RuntimeError::from)?;
        check_layers(&target, |node| serves(node.address.as_str()))?;
        let mut refusals = refused_ways(&differences);
        for (service, next) in &next {
            if let Some(live) = live.get(service) {
                if is_live(&next.node, live, &others) {
                    continue;
                }
                let refused = self.refused(service, live, next, &options).await?;
                refusals.extend(refused.iter().map(PlanRefusal::from));
            }
        }
        let broken = broken_wires(&ends(&target, &live, &next));
        refusals.extend(broken.into_iter().map(|broken| PlanRefusal::from(&DeployError::Wire(broken))));
        let ungranted = ungranted_of(&differences, &target);
        // Of those that are deployed it is said already.
        let told = |refusals: &[PlanRefusal], text: &str| refusals.iter().any(|refusal| refusal.message == text);
        for found in ungranted.iter().filter(|_| options.strict) {
            if !told(&refusals, &found.to_string()) {
                refusals.push((&DeployError::NotGranted(Box::new(found.clone()))).into());
            }
        }
        tell_memory(&mut differences, &live, &next);
        let touched = |node: &&Arc<ServiceNode>| differences.iter().all(|found| found.name != node.address.as_str());
        let untouched = target.services().filter(touched).map(|node| node.address.to_string()).collect();
        let record = record(&before, topology, &live, &next, &differences)?;
        let change =
            Change { before, written: topology.clone(), target, differences: differences.clone(), next, options };
        let warnings = change.target.circles().iter().map(ToString::to_string).collect();
        let mesh = topology.name.clone();
        let mut plan = ApplyPlan { mesh, differences, untouched, deployed, ungranted, warnings, refusals };
        let judged = self.judged_apply(by, &change.target, &plan).await;
        plan.refusals.extend(judged);
        Ok(Prepared { plan, change, record, announced })
    }

    /// Compiles what will serve where something else does now, and gives what will serve under other rules a template
    /// of its own, since a deployment knows releases apart by that.
    async fn load_next(
        &self,
        target: &Topology,
        differences: &[Difference],
        live: &HashMap<String, Deployable>,
        others: &[String],
    ) -> Result<HashMap<String, Deployable>, RuntimeError> {
        let mut next = HashMap::new();
        let mut known: BTreeMap<_, Arc<Template>> = BTreeMap::new();
        for found in differences.iter().filter(|found| found.subject == Subject::Service) {
            let Some(node) = target.services().find(|node| node.address.as_str() == found.name) else { continue };
            let lives = live.get(&found.name).filter(|live| is_live(node, live, others));
            let same = lives.filter(|live| {
                (live.node.limits.of_instance(), live.node.release.manifest.lane)
                    == (node.limits.of_instance(), node.release.manifest.lane)
            });
            let template = match (same, known.get(&key(node))) {
                (Some(live), _) if found.way == ChangeMode::Deployment => Arc::new(Template::clone(&live.template)),
                (Some(live), _) => Arc::clone(&live.template),
                (None, Some(template)) if found.fate == Fate::Added => Arc::clone(template),
                (None, _) => {
                    let template = load_one(&self.actual.engines, node).await?;
                    known.insert(key(node), Arc::clone(&template));
                    template
                }
            };
            let deployable = Deployable { node: Arc::clone(node), template, _hold: hold(node).map(Arc::new) };
            next.insert(found.name.clone(), deployable);
        }
        Ok(next)
    }

    /// Why another release may not take a service over.
    async fn refused(
        &self,
        service: &str,
        live: &Deployable,
        next: &Deployable,
        options: &DeployOptions,
    ) -> Result<Vec<DeployError>, DeployError> {
        let (name, from, to, of) = (service.to_owned(), live.clone(), next.clone(), options.clone());
        let compared = crate::blocking::spawn(move || compare(&name, &from, &to, &of).1);
        compared.await.map_err(|panic| {
            let detail = format!("reading its types panicked: {panic}");
            let source = TemplateError::Invalid { path: next.node.release.binary().to_owned(), detail };
            DeployError::Release { service: service.to_owned(), source }
        })
    }
}

/// The topology with the releases that will serve: where it names the same one as before and another one was deployed
/// since, that one stays. Which ones those are.
fn with_deployed(
    before: &Topology,
    topology: &Topology,
    live: &HashMap<String, Deployable>,
) -> (Topology, Vec<(String, String)>) {
    let named: HashMap<&str, &Arc<ServiceNode>> = before.services().map(|node| (node.address.as_str(), node)).collect();
    let (mut target, mut deployed) = (topology.clone(), Vec::new());
    target.each_service(|node| {
        let service = node.address.to_string();
        let (Some(before), Some(live)) = (named.get(node.address.as_str()), live.get(&service)) else { return };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_written = absolute(&live.node.release.component) == absolute(&node.release.component);
        if before.named == node.named && (!is_written || node.release.gone().is_some()) {
            *node = Arc::new(node.with_release(live.node.release.clone()));
            deployed.push((service, live.source().to_string()));
        }
    });
    (target, deployed)
}

/// The services of a topology with the code that will serve them.
fn ends<'a>(
    target: &'a Topology,
    live: &'a HashMap<String, Deployable>,
    next: &'a HashMap<String, Deployable>,
) -> Vec<End<'a>> {
    let serves = |name: &str| next.get(name).or_else(|| live.get(name));
    target.services().filter_map(|node| Some(End::new(node, &serves(node.address.as_str())?.template))).collect()
}

/// Wires that made themselves are there until it is known which ones there will be.
fn keep_made(target: &mut Topology, live: &HashMap<String, Deployable>) {
    let with_made = |node: &Arc<ServiceNode>| {
        let live = &live.get(node.address.as_str())?.node;
        let made = live.wires.iter().filter(|(of, wire)| wire.made && wire_of(&node.wires, of).is_none());
        let made: Wires = made.map(|(of, wire)| (of.clone(), wire.clone())).collect();
        (!made.is_empty()).then(|| (node.address.to_string(), node.wires.clone().into_iter().chain(made).collect()))
    };
    let wires = target.services().filter_map(with_made).collect();
    target.wire(wires);
}

/// Lets wires make themselves as it will be, and says of which services they are other ones than before.
fn wire_by_themselves(
    target: &mut Topology,
    differences: &mut Vec<Difference>,
    live: &HashMap<String, Deployable>,
    next: &mut HashMap<String, Deployable>,
) {
    let made = made_wires(&ends(target, live, next));
    for node in target.services() {
        if let Some(wires) = made.get(node.address.as_str()) {
            rewired(differences, node.address.as_str(), &node.wires, wires);
        }
    }
    let names: Vec<String> = made.keys().cloned().collect();
    target.wire(made);
    for node in target.services().filter(|node| names.iter().any(|name| name == node.address.as_str())) {
        let service = node.address.to_string();
        if let Some(serves) = next.get(&service).or_else(|| live.get(&service)).cloned() {
            next.insert(service, Deployable { node: Arc::clone(node), ..serves });
        }
    }
}

/// Whether a service's release is the one that serves it, whatever it is called.
fn is_live(node: &ServiceNode, live: &Deployable, others: &[String]) -> bool {
    let bytes = match &node.release.seal {
        Some(seal) => seal.binary.to_string() == live.template.digest(),
        None => !others.iter().any(|name| name == node.address.as_str()),
    };
    bytes && live.node.release.manifest == node.release.manifest
}

/// The services whose release has the place of the live one, and other bytes in it.
async fn other_releases(target: &Topology, live: &HashMap<String, Deployable>) -> Vec<String> {
    let to_read: Vec<(String, PathBuf, String)> = target
        .services()
        .filter(|node| node.release.seal.is_none())
        .filter_map(|node| {
            let live = live.get(node.address.as_str())?;
            Some((node.address.to_string(), node.release.binary().to_owned(), live.template.digest().to_owned()))
        })
        .collect();
    let mut others: Vec<String> = target
        .services()
        .filter(|node| {
            live.get(node.address.as_str()).is_some_and(|live| live.node.release.manifest != node.release.manifest)
        })
        .map(|node| node.address.to_string())
        .collect();
    let read = crate::blocking::spawn(move || {
        let mut digests: HashMap<PathBuf, Option<String>> = HashMap::new();
        let mut differs = |path: PathBuf, live: &str| {
            let digest = digests
                .entry(path)
                .or_insert_with_key(|path| std::fs::read(path).ok().map(|bytes| Digest::of(&bytes).to_string()));
            // What cannot be read is told by the loading.
            digest.as_deref() != Some(live)
        };
        to_read
            .into_iter()
            .filter_map(|(service, path, live)| differs(path, &live).then_some(service))
            .collect::<Vec<_>>()
    });
    others.extend(read.await.unwrap_or_default());
    others
}

/// Says what becomes of the memory of those that are deployed.
fn tell_memory(differences: &mut [Difference], live: &HashMap<String, Deployable>, next: &HashMap<String, Deployable>) {
    for found in differences.iter_mut().filter(|found| found.way == ChangeMode::Deployment) {
        let (Some(live), Some(next)) = (live.get(&found.name), next.get(&found.name)) else { continue };
        let handed_over = live.template.hands_over() && next.template.hands_over();
        let memory = if handed_over { "its memory is handed over" } else { "its memory starts anew, its state stays" };
        found.notes.push(memory.to_owned());
    }
}

/// What is to be written down when all of it has come about.
fn record(
    before: &Topology,
    topology: &Topology,
    live: &HashMap<String, Deployable>,
    next: &HashMap<String, Deployable>,
    differences: &[Difference],
) -> Result<Next, ApplyError> {
    let (mut schemas, mut unsettled) = (Vec::new(), Vec::new());
    for found in differences.iter().filter(|found| found.subject == Subject::Service) {
        let (Some(live), service) = (live.get(&found.name), found.name.clone()) else { continue };
        let Some(next) = next.get(&found.name) else {
            unsettled.push(Unsettled::gone(&service));
            continue;
        };
        let (from, to): (Source, Source) = (live.source(), next.source());
        if from.schema != to.schema {
            schemas.push(SchemaChange { service: service.clone(), from: from.schema, to: to.schema });
        }
        if from != to {
            unsettled.push(Unsettled::of(&service, from, to));
        }
    }
    // One that serves already, and is named by its path now: from here on the topology alone says which it is.
    let is_kept = |node: &ServiceNode| live.get(node.address.as_str()).is_some_and(|live| live.source().is_for_good());
    let named = |node: &&Arc<ServiceNode>| {
        node.release.seal.is_none()
            && !is_kept(node)
            && differences.iter().all(|found| found.name != node.address.as_str())
    };
    let renamed = topology
        .services()
        .filter(named)
        .filter(|node| before.services().any(|old| old.address == node.address && old.named != node.named));
    unsettled.extend(renamed.map(|node| Unsettled::gone(node.address.as_str())));
    let serves = |node: &Arc<ServiceNode>| next.get(node.address.as_str()).or_else(|| live.get(node.address.as_str()));
    let serving = topology.services().filter_map(|node| Some((node, serves(node)?.source())));
    let served = served(serving);
    let topology = topology.to_text().map_err(RecordError::from)?;
    Ok(Next { topology, served, schemas, unsettled })
}
