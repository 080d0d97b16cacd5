//! What `inspect` found, as data and as text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use airssys_wasm::capability::{Access, Pattern, Requests};
use airssys_wasm::engine::{Anatomy, Lane, Needs, Verdict};
use airssys_wasm::limits::Limits;
use airssys_wasm::registry::{Digest, Memory, PublicKey, Release, Seal};
use bytesize::ByteSize;
use serde::Serialize;

use crate::output;

/// The interface without which a mesh cannot host a component.
const HANDLER: &str = "airssys:actor/handler@";
/// The optional interfaces of the contract.
const OPTIONAL: [&str; 4] = ["lifecycle", "health", "upgrade", "monitoring"];

#[derive(Debug, Serialize)]
pub(super) struct Report {
    name: String,
    version: semver::Version,
    description: String,
    file: PathBuf,
    sha256: Digest,
    /// The id of the release, where it is a published one.
    id: Option<Digest>,
    signed_by: Vec<PublicKey>,
    size_bytes: usize,
    world: &'static str,
    state_schema: u32,
    /// What its guests keep in their memory beside the state: `own` or `cache`.
    memory: &'static str,
    lane: Lane,
    /// Whether it exports the handler.
    handles_messages: bool,
    /// The optional interfaces that it exports.
    optional: Vec<&'static str>,
    imports: Vec<String>,
    exports: Vec<String>,
    requests: Requested,
    limits: Limited,
    /// What an instance takes when it starts; none where the engine cannot read it.
    needs: Option<Needed>,
    /// Why this host cannot run it; none where it can.
    obstacles: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Needed {
    memory_bytes: u64,
    memories: usize,
    table_elements: u64,
    tables: usize,
    core_instances: usize,
}

#[derive(Debug, Serialize)]
struct Requested {
    send: Vec<String>,
    call: Vec<String>,
    publish: Vec<String>,
    subscribe: Vec<String>,
    spawn: Vec<String>,
    files: BTreeMap<String, Access>,
    environment: Vec<String>,
    sockets: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Limited {
    memory_bytes: u64,
    message_bytes: u64,
    boundary_bytes: usize,
    state_bytes: usize,
    all_state_bytes: usize,
    log_line_bytes: usize,
    table_elements: usize,
    core_instances: usize,
    memories: usize,
    tables: usize,
    stack_bytes: usize,
    effects: usize,
    effect_bytes: usize,
    timers: usize,
    timer_bytes: usize,
    subscriptions: usize,
    monitors: usize,
    resources: usize,
    turn_deadline_ms: u128,
    turn_budget_ms: u128,
    start_timeout_ms: u128,
}

impl Report {
    pub(super) fn new(release: Release, bytes: &[u8], verdict: &Verdict) -> Self {
        let Release { component, manifest, seal, .. } = release;
        let Anatomy { imports, exports } = verdict.anatomy.clone();
        let mut limits = Limits::default();
        manifest.limits.apply(&mut limits);
        let exported = |interface: &str| exports.iter().any(|name| name.starts_with(interface));
        Self {
            name: manifest.name,
            version: manifest.version,
            description: manifest.description,
            file: component,
            sha256: Digest::of(bytes),
            id: seal.as_ref().map(Seal::id),
            signed_by: seal
                .map(|seal| seal.signatures.iter().map(|signature| signature.key).collect())
                .unwrap_or_default(),
            size_bytes: bytes.len(),
            world: manifest.world.name(),
            state_schema: manifest.state_schema,
            memory: match manifest.memory {
                Memory::Cache => "cache",
                _ => "own",
            },
            lane: manifest.lane,
            handles_messages: exported(HANDLER),
            optional: OPTIONAL.into_iter().filter(|name| exported(&format!("airssys:actor/{name}@"))).collect(),
            requests: requested(manifest.requests),
            limits: limited(&limits),
            needs: verdict.needs.map(needed),
            obstacles: verdict.obstacles.iter().map(ToString::to_string).collect(),
            imports,
            exports,
        }
    }

    /// As text for people.
    pub(super) fn text(&self) -> String {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join("\n            ") };
        let lane = match self.lane {
            Lane::Async => "async",
            Lane::Sync => "sync",
        };
        let memory = match self.memory {
            "cache" => "a cache: what is in it can be had again",
            _ => "its own: no instance is replaced without need that does not hand it over",
        };
        let role = match (self.handles_messages, self.optional.as_slice()) {
            (false, _) => "no airssys:actor/handler: a mesh cannot host it".to_owned(),
            (true, []) => "messages".to_owned(),
            (true, optional) => format!("messages, {}", optional.join(", ")),
        };
        let mut lines = vec![
            ("component", format!("{} {}", self.name, self.version)),
            ("about", output::printable(&self.description)),
            ("file", output::printable(&self.file.display().to_string())),
            ("sha256", self.sha256.to_string()),
            ("release", self.id.map(|id| id.to_string()).unwrap_or_default()),
            ("signed by", self.signed_by.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n            ")),
            ("size", format!("{} ({})", ByteSize(self.size_bytes as u64), output::count(self.size_bytes, "byte"))),
            ("world", self.world.to_owned()),
            ("state", format!("schema {}", self.state_schema)),
            ("memory", memory.to_owned()),
            ("lane", lane.to_owned()),
            ("handles", role),
            ("imports", list(&self.imports)),
            ("exports", list(&self.exports)),
            ("asks for", list(&self.requests.lines())),
            ("begins with", self.needs.as_ref().map(Needed::line).unwrap_or_default()),
            ("limits", self.limits.lines().join("\n            ")),
            ("in the way", self.obstacles.join("\n            ")),
        ];
        lines.retain(|(_, value)| !value.is_empty());
        lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
    }
}

fn needed(needs: Needs) -> Needed {
    Needed {
        memory_bytes: needs.memory_bytes,
        memories: needs.memories,
        table_elements: needs.table_elements,
        tables: needs.tables,
        core_instances: needs.core_instances,
    }
}

impl Needed {
    fn line(&self) -> String {
        format!(
            "{} in {}, {} in {}, {}",
            ByteSize(self.memory_bytes),
            if self.memories == 1 { "1 memory".to_owned() } else { format!("{} memories", self.memories) },
            output::count(usize::try_from(self.table_elements).unwrap_or(usize::MAX), "table element"),
            output::count(self.tables, "table"),
            output::count(self.core_instances, "core instance")
        )
    }
}

fn requested(requests: Requests) -> Requested {
    let texts = |patterns: Vec<Pattern>| patterns.iter().map(ToString::to_string).collect();
    Requested {
        send: texts(requests.send),
        call: texts(requests.call),
        publish: texts(requests.publish),
        subscribe: texts(requests.subscribe),
        spawn: texts(requests.spawn),
        files: requests.files,
        environment: requests.environment,
        sockets: requests.sockets.iter().map(ToString::to_string).collect(),
    }
}

impl Requested {
    fn lines(&self) -> Vec<String> {
        let files = self.files.iter().map(|(path, access)| match access {
            Access::Read => path.clone(),
            Access::ReadWrite => format!("{path} (to write)"),
        });
        let files: Vec<String> = files.collect();
        [
            ("to send to", &self.send),
            ("to call", &self.call),
            ("to publish on", &self.publish),
            ("to subscribe to", &self.subscribe),
            ("to spawn", &self.spawn),
            ("folders", &files),
            ("environment", &self.environment),
            ("connections to", &self.sockets),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| output::printable(&format!("{what} {}", names.join(", "))))
        .collect()
    }
}

fn limited(limits: &Limits) -> Limited {
    // Each by its name, so that a new limit does not compile without a place here.
    let &Limits {
        memory_bytes,
        memories,
        table_elements,
        tables,
        stack_bytes,
        core_instances,
        turn_deadline,
        turn_budget,
        start_timeout,
        message_bytes,
        boundary_bytes,
        state_bytes,
        all_state_bytes,
        effects,
        effect_bytes,
        timers,
        timer_bytes,
        subscriptions,
        monitors,
        resources,
        log_line_bytes,
    } = limits;
    Limited {
        memory_bytes,
        message_bytes,
        boundary_bytes,
        state_bytes,
        all_state_bytes,
        log_line_bytes,
        table_elements,
        core_instances,
        memories,
        tables,
        stack_bytes,
        effects,
        effect_bytes,
        timers,
        timer_bytes,
        subscriptions,
        monitors,
        resources,
        turn_deadline_ms: turn_deadline.as_millis(),
        turn_budget_ms: turn_budget.as_millis(),
        start_timeout_ms: start_timeout.as_millis(),
    }
}

impl Limited {
    fn lines(&self) -> Vec<String> {
        let time = |ms: u128| humantime::format_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)));
        vec![
            format!(
                "memory {}, message {}, state {}, all states {}",
                ByteSize(self.memory_bytes),
                ByteSize(self.message_bytes),
                ByteSize(self.state_bytes as u64),
                ByteSize(self.all_state_bytes as u64)
            ),
            format!(
                "turn deadline {}, turn budget {}, start time-out {}",
                time(self.turn_deadline_ms),
                time(self.turn_budget_ms),
                time(self.start_timeout_ms)
            ),
            format!(
                "effects a turn {} of {}, timers {} of {}, subscriptions {}, monitors {}, resources {}",
                self.effects,
                ByteSize(self.effect_bytes as u64),
                self.timers,
                ByteSize(self.timer_bytes as u64),
                self.subscriptions,
                self.monitors,
                self.resources
            ),
            format!(
                "memories {}, table elements {}, tables {}, core instances {}, stack {}, boundary {}, log line {}",
                self.memories,
                self.table_elements,
                self.tables,
                self.core_instances,
                ByteSize(self.stack_bytes as u64),
                ByteSize(self.boundary_bytes as u64),
                ByteSize(self.log_line_bytes as u64)
            ),
        ]
    }
}
