//! What an operator gives to one service, or takes from it, while it runs.
//!
//! What is taken away is so at once, wherever it is looked up: in the release that serves, in the one before it, in
//! what runs beside, and in whatever is being deployed. Then it is written down. What is given is an apply like any
//! other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::error::ApplyError;
use super::hosted::Hosted;
use super::plan::Applied;
use super::releases::Deployable;
use crate::actor::Control;
use crate::address::split;
use crate::audit::Unrecorded;
use crate::capability::asked::{CapabilityRequest, Granted, asked};
use crate::capability::given;
use crate::capability::kind::{Kind, NoLine};
use crate::capability::lines::Line;
use crate::capability::why::Why;
use crate::capability::{Grants, Mark, Requests};
use crate::deploy::{DeployOptions, RecordError};
use crate::events::{Happening, text};
use crate::hint::{Act, Coded, Hint};
use crate::settings::Multiplicity;
use crate::topology::role::{Role, Roles};
use crate::topology::{ServiceNode, Topology};

/// How often the clock of the machine is looked at while a grant has an end: it may be put forward or back.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// Why nothing was given, taken away or told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// It is no grant.
    #[error(transparent)]
    Line(#[from] NoLine),
    /// It is for a service that is not there.
    #[error("a grant for {grant:?}, and there is no service {target:?}")]
    NoTarget {
        /// What was to be granted.
        grant: String,
        /// The service.
        target: String,
    },
    /// It is not granted, so there is nothing to take away.
    #[error("{service} is not granted {grant:?} to `{key}`; {there}")]
    NotGranted {
        /// The service.
        service: String,
        /// The kind of grant.
        key: String,
        /// What was to be taken away.
        grant: String,
        /// What is granted.
        there: String,
    },
    /// It is taken away, and that cannot be written to the data folder: it comes back when the host starts again.
    #[error("it is revoked, and cannot be written down: {0}")]
    NotKept(#[from] RecordError),
    /// The audit is required and cannot record it. Nothing was done.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// It was not given.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Coded for GrantError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::Line(_) => "no-such-grant",
            Self::NoTarget { .. } => "no-target",
            Self::NotGranted { .. } => "not-granted",
            Self::NotKept(_) => "not-kept",
            Self::Unrecorded(error) => error.code(),
            Self::Apply(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchService { .. } => Some(Act::ListServices.into()),
            Self::Line(_) => Some("write it as it would stand under the grants of the service".into()),
            Self::NoTarget { .. } => Some("name a service of the mesh, or use a pattern with '*'".into()),
            Self::NotGranted { .. } => Some("name one of those that are granted, as it is written".into()),
            Self::NotKept(error) => error.hint(),
            Self::Unrecorded(error) => error.hint(),
            Self::Apply(error) => error.hint(),
        }
    }
}

/// One thing that a service asks for or is granted, and what comes of both.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capability {
    /// The key of both lists: `send`, `files` and so on.
    pub key: String,
    /// What it is about.
    pub target: String,
    /// Whether the release asks for it, or for more.
    pub requested: bool,
    /// How much of it the topology grants.
    pub granted: Granted,
    /// The lines that grant some of it, each with the role that it stands in where it does, such as `carts/* (role
    /// reader)`.
    #[serde(default)]
    pub by: Vec<String>,
}

impl Hosted {
    /// See [`crate::Runtime::capabilities`].
    pub(crate) fn capabilities(&self, service: &str) -> Result<Vec<Capability>, GrantError> {
        let live = self.actual.releases.live(service).ok_or_else(|| no_service(service))?;
        let requests = &live.node.release.manifest.requests;
        let asks = asked(requests, &live.node.grants).into_iter();
        let mut all: Vec<Capability> = asks
            .map(|CapabilityRequest { kind, target, granted }| Capability {
                key: kind,
                target,
                requested: true,
                granted: granted.unwrap_or(Granted::Nothing),
                by: Vec::new(),
            })
            .collect();
        for kind in Kind::ALL {
            let both = requests.beside(kind, &live.node.grants);
            for line in live.node.grants.under(kind).lines().iter().filter(|line| !both.asks_for(&line.what)) {
                let (key, target) = (kind.name().to_owned(), line.text());
                all.push(Capability { key, target, requested: false, granted: Granted::All, by: Vec::new() });
            }
        }
        let roles = &self.desired.in_force().roles;
        for one in &mut all {
            let kind: Kind = one.key.parse()?;
            let lines = live.node.grants.under(kind).lines().into_iter();
            let these = lines.filter(|line| Requests::meets(kind, &one.target, &line.what));
            one.by = these.map(|line| told(&live.node, roles, kind, &line)).collect();
        }
        all.sort_by_key(|one| Kind::ALL.iter().position(|kind| kind.name() == one.key));
        Ok(all)
    }

    /// See [`crate::Runtime::why`].
    pub(crate) fn why(&self, service: &str, operation: &str, target: &str) -> Result<Why, GrantError> {
        let live = self.actual.releases.live(service).ok_or_else(|| no_service(service))?;
        Ok(live.node.terms().policy.why(service, operation.parse()?, target)?)
    }

    /// See [`crate::Runtime::grant`].
    pub(crate) async fn grant(
        self: &Arc<Self>,
        service: &str,
        (key, grant): (&str, &str),
        options: DeployOptions,
    ) -> Result<Option<Applied>, GrantError> {
        let kind: Kind = key.parse()?;
        let mut topology = Topology::clone(&self.desired.in_force());
        if matches!(kind, Kind::Send | Kind::Call | Kind::Spawn) {
            let target = split(given::before_until(grant).split('#').next().unwrap_or_default()).0;
            let live = self.actual.releases.live(target);
            if !target.contains('*') && live.is_none() {
                return Err(GrantError::NoTarget { grant: grant.to_owned(), target: target.to_owned() });
            }
            // A topology in which that stands is refused, so the host would not start with it again.
            let is_spawned = |live: &Deployable| matches!(live.node.multiplicity, Multiplicity::Spawned(_));
            if kind == Kind::Spawn && live.is_some_and(|live| !is_spawned(&live)) {
                let why = format!("a grant to spawn {grant:?}, and the actors of {target:?} are not spawned");
                return Err(NoLine::Text(why).into());
            }
        }
        let is_new = edit(&mut topology, service, |node| {
            let _own = node.own_grants.under_mut(kind).add(grant)?;
            node.grants.under_mut(kind).add(grant)
        })?;
        if !is_new {
            return Ok(None);
        }
        let applied = self.apply(topology, options).await?;
        self.tell_grant(service, "granted", (key, grant), self.desired.is_kept());
        Ok(Some(applied))
    }

    /// See [`crate::Runtime::revoke`].
    pub(crate) async fn revoke(self: &Arc<Self>, service: &str, key: &str, grant: &str) -> Result<bool, GrantError> {
        let (hosted, service, key, grant) = (Arc::clone(self), service.to_owned(), key.to_owned(), grant.to_owned());
        // In a task of its own: whoever waits may go away, and what is revoked is to be written down.
        let revoking = tokio::spawn(async move { hosted.revoke_here(&service, &key, &grant).await });
        revoking.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn revoke_here(&self, service: &str, key: &str, grant: &str) -> Result<bool, GrantError> {
        let kind: Kind = key.parse()?;
        let (live, previous) = self
            .actual
            .releases
            .look(service, |found| (found.live.clone(), found.previous.clone()))
            .ok_or_else(|| no_service(service))?;
        let in_force = self.desired.in_force();
        let written = in_force.services().find(|node| node.address.as_str() == service);
        // Of one grant there may be several copies that know nothing of each other, where the topology was read anew.
        let nodes = [Some(&live.node), previous.as_ref().map(|previous| &previous.node), written];
        let mut found: Vec<Mark> = Vec::new();
        for node in nodes.into_iter().flatten() {
            found.extend(node.grants.under(kind).find(grant)?);
        }
        if found.is_empty() {
            let there: Vec<String> = live.node.grants.under(kind).lines().iter().map(Line::text).collect();
            let there = match there.is_empty() {
                true => "nothing is".to_owned(),
                false => format!("these are: {}", there.join(", ")),
            };
            let [service, key, grant] = [service, key, grant].map(str::to_owned);
            return Err(GrantError::NotGranted { service, key, grant, there });
        }
        found.iter().for_each(Mark::revoke);
        self.let_go(service, (key, grant), "revoked");
        // What is under way may be about to write down another topology, in which it is granted.
        let _one_at_a_time = self.change_next().await;
        let mut topology = Topology::clone(&self.desired.in_force());
        let roles = topology.roles.clone();
        edit(&mut topology, service, |node| {
            take_out(node, &roles, kind, grant);
            Ok(true)
        })?;
        let amended = topology.clone();
        let kept = self.desired.write_down(move |desired| desired.amend(&amended)).await?;
        self.desired.put_in_force(topology);
        // An apply that was under way has brought in a copy of its own, which is in use.
        let without = |node: &mut Arc<ServiceNode>| {
            let node = Arc::make_mut(node);
            let again = node.grants.under(kind).find(grant).ok().flatten();
            again.iter().for_each(Mark::revoke);
            take_out(node, &roles, kind, grant);
            again.is_some()
        };
        let again = self.actual.releases.look(service, |found| {
            let before = found.previous.iter_mut().map(|previous| &mut previous.node);
            before.chain([&mut found.live.node]).map(without).filter(|again| *again).count()
        });
        if again.is_some_and(|again| again > 0) {
            self.let_go(service, (key, grant), "revoked");
        }
        self.tell_grant(service, "revoked", (key, grant), kept);
        Ok(kept)
    }

    /// What is to be done where a grant is gone: subscriptions end that it was needed for, programs that were started
    /// under it, and instances that may hold what was opened under it.
    fn let_go(&self, service: &str, (key, grant): (&str, &str), why: &str) {
        let live = self.actual.releases.live(service);
        if let Some((placed, live)) = self.actual.placed(service).zip(live) {
            self.actual.mesh.end_ungranted(&placed.service, &live.node.terms().policy);
            if matches!(key, "files" | "environment" | "sockets" | "bind") {
                // What is open is in the hands of the guest: it goes with the instance, now.
                let awake = placed.roster.as_ref().map(|roster| roster.awake()).unwrap_or_default();
                for post in placed.actors.iter().chain(awake.iter().map(|post| &**post)) {
                    post.live.cut().ask(format!("its grant of {grant:?} to `{key}`, which is {why}"));
                    if post.order(Control::Revoked).is_err() {
                        post.live.cut().forget();
                    }
                }
            }
        }
        tracing::warn!(target: "airssys::audit", service, grant = key, target = grant, "{why}");
    }

    /// Takes away what is granted until some time, when that has come, for as long as the mesh is there.
    pub(crate) fn watch_ends(self: &Arc<Self>) {
        let (hosted, mut changes) = (Arc::downgrade(self), self.desired.changes());
        tokio::spawn(async move {
            loop {
                let Some(next) = hosted.upgrade().map(|hosted| hosted.end_grants(SystemTime::now())) else { return };
                let wait =
                    next.map(|next| next.duration_since(SystemTime::now()).unwrap_or_default().min(LOOK_AT_CLOCK));
                let wait = async {
                    match wait {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = wait => {}
                    changed = changes.changed() => if changed.is_err() { return },
                }
            }
        });
    }

    /// Takes away what is over by now; when the next one is.
    fn end_grants(&self, now: SystemTime) -> Option<SystemTime> {
        let live = self.actual.releases.live_ones();
        let (over, next) = over(live.values().map(|live| &*live.node), now);
        for (service, key, grant) in over {
            self.let_go(&service, (key, &grant), "expired");
            self.tell_grant(&service, "expired", (key, &grant), self.desired.is_kept());
        }
        next
    }

    fn tell_grant(&self, service: &str, state: &str, (key, grant): (&str, &str), kept: bool) {
        let (state, key) = (state.to_owned(), key.to_owned());
        let what = Happening::Grant { state, grant: key, target: text(grant), kept };
        self.actual.mesh.events.publish(Some(service), what);
    }
}

/// Takes away what these services are granted until some time that is not later than this one; what that was, and when
/// the next one is.
pub(super) fn over<'a>(
    nodes: impl Iterator<Item = &'a ServiceNode>,
    now: SystemTime,
) -> (Vec<(String, &'static str, String)>, Option<SystemTime>) {
    let (mut gone, mut next) = (Vec::new(), None);
    for node in nodes {
        for kind in Kind::ALL {
            for Line { what, until, mark } in node.grants.under(kind).lines() {
                match until {
                    None => {}
                    Some(until) if until > now => next = Some(next.map_or(until, |next: SystemTime| next.min(until))),
                    Some(_) => {
                        mark.revoke();
                        gone.push((node.address.to_string(), kind.name(), what));
                    }
                }
            }
        }
    }
    (gone, next)
}

fn no_service(service: &str) -> GrantError {
    GrantError::NoSuchService { service: service.to_owned() }
}

/// A line of what a service is granted, with where it stands where that is a role.
fn told(node: &ServiceNode, roles: &Roles, kind: Kind, line: &Line) -> String {
    let is_there = |grants: &Grants| grants.under(kind).find(&line.what).is_ok_and(|found| found.is_some());
    let mut places = Vec::new();
    if !is_there(&node.own_grants) {
        let with_it = roles.all_of(&node.roles).into_iter().filter(|(role, _)| is_there(&role.grants));
        places.extend(with_it.map(|(_, way)| format!("role {}", way.join(" > "))));
    }
    // Of a folder it is not the whole line.
    let rights = node.grants.files.get(&line.what).filter(|_| kind == Kind::Files);
    let text = rights.map_or_else(|| line.text(), |file| format!("{}: {}", line.text(), file.now()));
    match places.is_empty() {
        true => text,
        false => format!("{text} ({})", places.join(", ")),
    }
}

/// Takes a grant out of a service. Where one of its roles gives it, it has none of them any more, and all else that
/// they gave as its own.
fn take_out(node: &mut ServiceNode, roles: &Roles, kind: Kind, grant: &str) {
    node.grants.under_mut(kind).take_out(grant);
    node.own_grants.under_mut(kind).take_out(grant);
    let gives = |role: &Role| role.grants.under(kind).find(grant).is_ok_and(|found| found.is_some());
    if roles.all_of(&node.roles).iter().any(|(role, _)| gives(role)) {
        node.roles.clear();
        node.own_grants = node.grants.clone();
    }
}

/// Changes the grants of a service of a topology.
fn edit(
    topology: &mut Topology,
    service: &str,
    change: impl FnOnce(&mut ServiceNode) -> Result<bool, NoLine>,
) -> Result<bool, GrantError> {
    let (mut change, mut done) = (Some(change), Err(no_service(service)));
    topology.each_service(|node| {
        if node.address.as_str() == service
            && let Some(change) = change.take()
        {
            done = change(Arc::make_mut(node)).map_err(GrantError::from);
        }
    });
    done
}
