//! A topology that was understood: names resolved, releases found, nothing contradictory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{AutoShutdown, Backoff, Strategy, SupervisorSpec};
use toml::{Spanned, Value};

use super::role::Roles;
use crate::address::Address;
use crate::capability::{Baseline, Grants, Policy};
use crate::guard::Guard;
use crate::limits::{HELD, Limits};
use crate::listener::settings::Listening;
use crate::logger::LogSettings;
use crate::rate::Rate;
use crate::registry::{LimitsPatch, PublicKey, Release};
use crate::retry::RetryPolicy;
use crate::schema::{Bytes, Count, Humane, MILLISECOND, Word, Words, Written, YEAR, schema};
use crate::settings::{
    BASELINE_FROM, Config, Keeping, MOST_RESTARTS, MailboxShape, MeshSettings, Multiplicity, Recorder, Recording, Run,
    Terms, WrittenBackoff,
};
use crate::wire::Wires;

/// The declared tree. It is read from the text of an `airssys.toml`, and is right as a whole: nothing changes it after
/// that.
///
/// # Example
///
/// ```
/// use airssys_wasm::topology::Topology;
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let file = folder.path().join("airssys.toml");
/// std::fs::write(&file, r#"
///     name = "shop"
///     [[supervisor]]
///     name = "back"
///     strategy = "rest-for-one"
///     [[service]]
///     name = "echo"
///     release = "echo.wasm"
///     supervisor = "back"
/// "#)?;
/// let topology = Topology::read(&file)?;
/// assert_eq!((topology.name(), topology.declared().len()), ("shop", 1));
///
/// std::fs::write(&file, "name = \"shop\"\ncolour = \"blue\"\n")?;
/// let error = Topology::read(&file).unwrap_err();
/// assert_eq!(error.at, Some((2, 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Topology {
    /// The mesh's name, which is also the root supervisor's.
    pub(crate) name: String,
    /// Settings of the whole.
    pub(crate) settings: TopologySettings,
    /// What the root supervisor does when a child ends.
    pub(crate) root: RootSpec,
    /// The root's children, in the order in which they start.
    pub(crate) children: Vec<Node>,
    /// Grants that services have in common.
    pub(crate) roles: Roles,
    /// Where requests of HTTP are taken.
    pub(crate) listeners: Vec<Listening>,
    /// What services may send and do in a second.
    pub(crate) quotas: Vec<Rate>,
    /// Where lines of guests go, and which.
    pub(crate) logs: Vec<LogSettings>,
    /// The layers that are components.
    pub(crate) layers: Vec<Guard>,
    /// By what services try again what failed.
    pub(crate) retries: Vec<RetryPolicy>,
}

/// Settings of a whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopologySettings {
    /// Of the mesh.
    pub(crate) mesh: MeshSettings,
    /// How long the whole tree has to stop; default 30 s.
    pub(crate) shutdown_timeout: Duration,
    /// From how many bytes on a component that is deployed is compiled by the baseline compiler first, and by the other
    /// one while it serves; default 4 MiB.
    pub(crate) baseline_from: u64,
    /// How many bytes all durable states of the data folder may have together, keys and values; default none, for no
    /// bound.
    pub(crate) durable_bytes: Option<u64>,
    /// Whose releases may be loaded: those that one of these keys signed. Where it is none, all; the default. An empty
    /// list trusts nobody.
    pub(crate) trusted_keys: Option<Vec<PublicKey>>,
    /// Whether what cannot be recorded is refused; default not.
    pub(crate) audit: Auditing,
    /// Where the audit is kept; none for a folder of the data folder.
    pub(crate) audit_folder: Option<PathBuf>,
    /// The key that signs it; none for one of its own.
    pub(crate) audit_key: Option<PathBuf>,
}

/// What becomes of what the audit cannot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Auditing {
    /// It happens all the same.
    #[default]
    On,
    /// It does not happen.
    Required,
}

impl Words for Auditing {
    const WHAT: &'static str = "audit";
    const LIST: &'static str = "on, required";
    const ALL: &'static [(&'static str, Self)] = &[("on", Self::On), ("required", Self::Required)];
}

impl Default for TopologySettings {
    fn default() -> Self {
        Self {
            mesh: MeshSettings::default(),
            shutdown_timeout: Duration::from_secs(30),
            baseline_from: BASELINE_FROM,
            durable_bytes: None,
            trusted_keys: None,
            audit: Auditing::On,
            audit_folder: None,
            audit_key: None,
        }
    }
}

schema! {
    of TopologySettings, written #[derive(Default)] WrittenSettings {
        /// how long a send or a call waits for room in a full mailbox whose policy is to wait
        reserve_timeout: Humane => mesh.reserve_timeout, in 0..=YEAR, by InPlace;
        /// how long the whole tree has to stop. The last quarter of it, at most 2 s, is kept for killing what did not
        shutdown_timeout: Humane => shutdown_timeout, in MILLISECOND..=YEAR, by InPlace;
        /// dead letters that are kept; all are counted
        dead_letters: Count<usize> => mesh.dead_letters, in 0..=100_000_000, by InPlace;
        /// the bytes that those may have together; beyond that the oldest ones are removed: see [what the host may
        /// hold](#what-the-host-may-hold)
        dead_letter_bytes: Bytes => mesh.dead_letter_bytes, in 0..=HELD, by InPlace;
        /// events that are kept for those who read them: see [events](operating.md#events)
        events: Count<usize> => mesh.events, in 0..=100_000_000, by InPlace;
        /// the bytes that those may have together; beyond that the oldest ones are removed
        event_bytes: Bytes => mesh.event_bytes, in 0..=HELD, by InPlace;
        /// timers of all services together
        timers: Count<usize> => mesh.timers, in 0..=100_000_000, by InPlace;
        /// what those may carry together
        timer_bytes: Bytes => mesh.timer_bytes, in 0..=HELD, by InPlace;
        /// programs of the machine that all services together may have running at a time: see [programs](os.md)
        processes: Count<usize> => mesh.processes, in 0..=1_000_000, by InPlace;
        /// how long a name that a [socket](#sockets-by-name) asks for leads to the addresses that were found;
        /// then it is resolved again
        lookup_ttl: Humane => mesh.lookup_ttl, in 0..=YEAR, by InPlace;
        /// from which size on a component that is deployed is compiled by the baseline compiler first: see
        /// [deploying](operating.md#large-components)
        baseline_from: Bytes => baseline_from, by InPlace;
        /// what all durable states of the data folder may have together, keys and values: see [how much there may
        /// be](state.md#how-much-there-may-be)
        durable_state: Bytes => durable_bytes, by InPlace, default "none: no bound";
        /// only releases that one of these keys signed are loaded: see [signatures](releases.md#signatures). An empty
        /// list trusts nobody
        trusted_keys: Vec<Spanned<String>> => trusted_keys, by InPlace, default "none: all releases are loaded";
        /// what becomes of what the [audit](operating.md#the-audit) cannot record: `on` (it happens all the same) or
        /// `required` (it is refused)
        audit: Word<Auditing> => audit, by InPlace, default "`\"on\"`";
        /// the folder that the audit is kept in
        audit_folder: Spanned<PathBuf> => audit_folder, by NotRunning, default "`audit` in the data folder";
        /// the file of the [secret key](releases.md#signatures) that signs the audit
        audit_key: Spanned<PathBuf> => audit_key, by NotRunning, default "`key` in the audit's folder, made there";
    }
}

/// A list that may be left out.
impl Written<Option<Vec<PublicKey>>> for Vec<Spanned<String>> {
    const KIND: &'static str = "list of public keys";

    fn put(&self, _field: &mut Option<Vec<PublicKey>>) {}

    fn value(field: &Option<Vec<PublicKey>>) -> Option<Value> {
        field.as_ref().and_then(Self::value)
    }
}

schema! {
    /// What a supervisor does when a child ends.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct RootSpec, written #[derive(Default)] WrittenFlags {
        /// who is restarted with a child: `one-for-one` (no other), `one-for-all` (all siblings), `rest-for-one` (those
        /// after it)
        strategy: Word<Strategy> => strategy: Strategy = Strategy::OneForOne, by InPlace;
        /// restarts that are allowed within `period`; at one more, the supervisor gives up. 0 is legal
        intensity: Count<u32> => intensity: u32 = 1, in 0..=MOST_RESTARTS, by InPlace;
        /// the sliding window in which restarts are counted
        period: Humane => period: Duration = Duration::from_secs(5), in MILLISECOND..=YEAR, by InPlace;
        /// how long to wait before a restart
        backoff: WrittenBackoff => backoff: Option<Backoff> = None, by InPlace, default "none: at once";
        /// whether the supervisor ends when significant children have ended by themselves: `never`, `any` (the first),
        /// `all` (the last)
        auto_shutdown: Word<AutoShutdown> => auto_shutdown: AutoShutdown = AutoShutdown::Never, by InPlace;
    }
}

impl Words for Strategy {
    const WHAT: &'static str = "strategy";
    const LIST: &'static str = "one-for-one, one-for-all, rest-for-one";
    const ALL: &'static [(&'static str, Self)] = &[
        ("one-for-one", Self::OneForOne),
        ("one-for-all", Self::OneForAll),
        ("rest-for-one", Self::RestForOne),
        // The topology has no dynamic supervisor.
    ];
}

impl Words for AutoShutdown {
    const WHAT: &'static str = "auto-shutdown";
    const LIST: &'static str = "never, any, all";
    const ALL: &'static [(&'static str, Self)] = &[("never", Self::Never), ("any", Self::Any), ("all", Self::All)];
}

impl RootSpec {
    /// A supervisor of this kind, without children.
    #[must_use]
    pub(crate) fn spec(&self) -> SupervisorSpec {
        let mut spec = SupervisorSpec::new(self.strategy);
        spec.intensity = self.intensity;
        spec.period = self.period;
        spec.backoff = self.backoff;
        spec.auto_shutdown = self.auto_shutdown;
        spec
    }
}

/// A child in the tree.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// One that supervises. Boxed: most nodes are services, and a mesh has several lists of all of them.
    Supervisor(Box<SupervisorNode>),
    /// One that works.
    Service(Arc<ServiceNode>),
}

impl Node {
    /// Its name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Supervisor(node) => &node.name,
            Self::Service(node) => node.address.service(),
        }
    }
}

/// A supervisor in the tree.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorNode {
    /// Its name.
    pub(crate) name: String,
    /// What it does when a child ends.
    pub(crate) flags: RootSpec,
    /// Whether it is started again itself; default permanent.
    pub(crate) restart: Restart,
    /// How it is stopped; default: it gets all the time it needs.
    pub(crate) shutdown: Shutdown,
    /// Whether its end counts for its parent's auto-shutdown.
    pub(crate) significant: bool,
    /// Its children, in the order in which they start.
    pub(crate) children: Vec<Node>,
}

impl Default for SupervisorNode {
    fn default() -> Self {
        Self {
            name: String::new(),
            flags: RootSpec::default(),
            restart: Restart::Permanent,
            shutdown: Shutdown::SUPERVISOR,
            significant: false,
            children: Vec::new(),
        }
    }
}

/// A service in the tree.
#[derive(Debug, Clone)]
pub(crate) struct ServiceNode {
    /// Its name.
    pub(crate) address: Address,
    /// The release that serves it.
    pub(crate) release: Release,
    /// How the topology names that: a path, or `NAME@VERSION`. A deployment changes the release, and not this.
    pub(crate) named: PathBuf,
    /// How many actors serve it.
    pub(crate) multiplicity: Multiplicity,
    /// The shape of its mailbox.
    pub(crate) shape: MailboxShape,
    /// What is kept of what it does, so that a crash can be seen again; default nothing.
    pub(crate) recorder: Option<Recorder>,
    /// What it is granted by itself.
    pub(crate) own_grants: Grants,
    /// The roles whose grants it has as well.
    pub(crate) roles: Vec<String>,
    /// All that it is granted.
    pub(crate) grants: Grants,
    /// Whether it may be denied nothing, where a mesh is run to learn the grants for it.
    pub(crate) learn: bool,
    /// What it has of time and chance; default all of both.
    pub(crate) baseline: Baseline,
    /// What it may take.
    pub(crate) limits: Limits,
    /// What the operator changed of the limits that the release asks for.
    pub(crate) own_limits: LimitsPatch,
    /// How often a message that crashed it is tried again; default 0.
    pub(crate) retries: u32,
    /// When it runs, where it is a command; default over each message.
    pub(crate) run: Run,
    /// The arguments of its program.
    pub(crate) arguments: Vec<String>,
    /// What it reads through `wasi:config`.
    pub(crate) config: Config,
    /// Which service has the functions of each interface that it imports from another one.
    pub(crate) wires: Wires,
    /// Which of its functions are queries.
    pub(crate) queries: Vec<String>,
    /// How many of those run beside its turns at a time; default 4.
    pub(crate) max_queries: usize,
    /// The quota that it uses; default none, for no bound.
    pub(crate) quota: Option<String>,
    /// The policy by which what it does is tried again; default none, for never.
    pub(crate) retry: Option<String>,
    /// Where its state is; default in memory.
    pub(crate) keeping: Keeping,
    /// Whether it is started again; default permanent.
    pub(crate) restart: Restart,
    /// How it is stopped; default 5 s.
    pub(crate) shutdown: Shutdown,
    /// Whether its end counts for its supervisor's auto-shutdown.
    pub(crate) significant: bool,
}

impl Topology {
    /// A mesh without services.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: TopologySettings::default(),
            root: RootSpec::default(),
            children: Vec::new(),
            roles: Roles::default(),
            listeners: Vec::new(),
            quotas: Vec::new(),
            logs: Vec::new(),
            layers: Vec::new(),
            retries: Vec::new(),
        }
    }

    /// Shows each service to whoever may change some of them. One that is not changed stays shared with whoever has it
    /// too: copies of all of them are a part of what an idle actor takes.
    pub(crate) fn each_service(&mut self, mut change: impl FnMut(&mut Arc<ServiceNode>)) {
        fn each(nodes: &mut [Node], change: &mut impl FnMut(&mut Arc<ServiceNode>)) {
            for node in nodes {
                match node {
                    Node::Service(service) => change(service),
                    Node::Supervisor(supervisor) => each(&mut supervisor.children, change),
                }
            }
        }
        each(&mut self.children, &mut change);
    }

    /// The same, of which no other mesh takes anything away: grants that were revoked where it ran before are not here.
    pub(crate) fn apart(&self) -> Self {
        let mut apart = self.clone();
        apart.each_service(|node| Arc::make_mut(node).grants.be_apart());
        apart
    }

    /// Gives these services these wires.
    pub(crate) fn wire(&mut self, mut wires: HashMap<String, Wires>) {
        self.each_service(|node| {
            if let Some(wires) = wires.remove(node.address.as_str()) {
                *node = Arc::new(ServiceNode { wires, ..ServiceNode::clone(node) });
            }
        });
    }

    /// All services, in the order in which they start.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<ServiceNode>> {
        fn collect<'a>(nodes: &'a [Node], into: &mut Vec<&'a Arc<ServiceNode>>) {
            for node in nodes {
                match node {
                    Node::Service(service) => into.push(service),
                    Node::Supervisor(supervisor) => collect(&supervisor.children, into),
                }
            }
        }
        let mut all = Vec::new();
        collect(&self.children, &mut all);
        all.into_iter()
    }
}

impl Topology {
    /// The services that use a quota, each with its name.
    pub(crate) fn uses_of_quotas(&self) -> impl Iterator<Item = (&str, &str)> {
        self.services().filter_map(|node| Some((node.address.as_str(), node.quota.as_deref()?)))
    }

    /// The services that try again what failed, each with the name of its policy.
    pub(crate) fn uses_of_retries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.services().filter_map(|node| Some((node.address.as_str(), node.retry.as_deref()?)))
    }
}

impl ServiceNode {
    /// A service with nothing but defaults: one actor, permanent, no grants.
    #[must_use]
    pub(crate) fn new(address: Address, release: Release) -> Self {
        let mut limits = Limits::default();
        release.manifest.limits.apply(&mut limits);
        let named = match &release.seal {
            Some(_) => format!("{}@{}", release.manifest.name, release.manifest.version).into(),
            None => release.component.clone(),
        };
        Self {
            address,
            release,
            named,
            multiplicity: Multiplicity::One,
            shape: MailboxShape::default(),
            recorder: None,
            own_grants: Grants::default(),
            roles: Vec::new(),
            grants: Grants::default(),
            baseline: Baseline::default(),
            limits,
            own_limits: LimitsPatch::default(),
            retries: 0,
            run: Run::Message,
            arguments: Vec::new(),
            config: Config::default(),
            wires: Wires::new(),
            queries: Vec::new(),
            max_queries: 4,
            quota: None,
            retry: None,
            keeping: Keeping::Memory,
            learn: true,
            restart: Restart::Permanent,
            shutdown: Shutdown::WORKER,
            significant: false,
        }
    }

    /// The rules that its release runs under.
    #[must_use]
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            policy: Policy::new(self.release.manifest.requests.clone(), self.grants.clone()).wired(self.wires.clone()),
            baseline: self.baseline,
            limits: self.limits.clone(),
            retries: self.retries,
            run: self.run,
            arguments: self.arguments.clone(),
            config: self.config.clone(),
            schema: self.release.manifest.state_schema,
            queries: self.queries.clone(),
            max_queries: self.max_queries,
            silent: false,
            recording: self.recorder.map(|rules| {
                let manifest = &self.release.manifest;
                Arc::new(Recording {
                    rules,
                    release: format!("{}@{}", manifest.name, manifest.version),
                    description: self.release.description.clone(),
                    wires: self.wires.clone(),
                })
            }),
        }
    }

    /// The same service, served by another release: the operator's grants and configuration stay, the limits are those
    /// of the new release as the operator changed them.
    #[must_use]
    pub(crate) fn with_release(&self, release: Release) -> Self {
        let mut limits = Limits::default();
        release.manifest.limits.apply(&mut limits);
        self.own_limits.apply(&mut limits);
        Self { release, limits, ..self.clone() }
    }
}
