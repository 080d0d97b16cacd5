//! What `inspect` found, as data and as text.

use std::path::PathBuf;

use airssys_wasm::command::{Adapted, Amount, Inspected, Lane, Limits, Memory, Needs, Part, Requests, Seal};
use airssys_wasm::registry::{Digest, PublicKey, Release};
use bytesize::ByteSize;
use serde::Serialize;

use crate::output;

/// The interface by which a component takes messages of bytes.
const HANDLER: &str = "airssys:actor/handler@";
/// The interfaces by which a component handles HTTP.
const HTTP_HANDLERS: [&str; 2] = ["wasi:http/incoming-handler@0.2.", "wasi:http/handler@0.3."];
/// What a command handles.
const COMMAND: &str = "messages, each by a run of its own: stdin, and stdout is the answer";
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
    memory: Memory,
    lane: Lane,
    /// Whether its functions may be async.
    is_wasi_03: bool,
    /// Whether it exports the handler.
    handles_messages: bool,
    /// Whether it exports the handler of HTTP.
    handles_http: bool,
    /// The optional interfaces that it exports.
    optional: Vec<&'static str>,
    imports: Vec<String>,
    exports: Vec<String>,
    requests: Requests,
    limits: Limits,
    /// What an instance takes when it starts; none where the engine cannot read it.
    needs: Option<Needs>,
    /// Whether it is a command: a message is its stdin, and its stdout the answer.
    is_command: bool,
    /// How it was made of a core module, where it was.
    adapted: Option<Adapted>,
    /// What it was fused of, the one with its exports first; nothing where it was not.
    parts: Vec<Part>,
    /// Why this host cannot run it; none where it can.
    obstacles: Vec<String>,
}

impl Report {
    pub(super) fn new(release: Release, inspected: Inspected) -> Self {
        let Release { component, manifest, seal, .. } = release;
        let Inspected {
            sha256,
            size_bytes,
            world,
            imports,
            exports,
            requests,
            limits,
            needs,
            parts,
            adapted,
            is_command,
            obstacles,
            is_wasi_03,
            ..
        } = inspected;
        let exported = |interface: &str| exports.iter().any(|name| name.starts_with(interface));
        Self {
            name: manifest.name,
            version: manifest.version,
            description: manifest.description,
            file: component,
            sha256,
            id: seal.as_ref().map(Seal::id),
            signed_by: seal
                .map(|seal| seal.signatures.iter().map(|signature| signature.key).collect())
                .unwrap_or_default(),
            size_bytes,
            world,
            state_schema: manifest.state_schema,
            memory: manifest.memory,
            lane: manifest.lane,
            is_wasi_03,
            handles_messages: exported(HANDLER),
            handles_http: HTTP_HANDLERS.into_iter().any(exported),
            optional: OPTIONAL.into_iter().filter(|name| exported(&format!("airssys:actor/{name}@"))).collect(),
            requests,
            limits,
            needs,
            is_command,
            adapted,
            parts,
            obstacles: obstacles.iter().map(ToString::to_string).collect(),
            imports,
            exports,
        }
    }

    /// As text for people.
    pub(super) fn text(&self) -> String {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join("\n            ") };
        let lane = match self.lane {
            Lane::Async if self.is_wasi_03 => "async, in an engine for WASI 0.3: its functions may be async",
            Lane::Async => "async",
            Lane::Sync => "sync",
        };
        let memory = match self.memory {
            Memory::Cache => "a cache: what is in it can be had again",
            _ => "its own: no instance is replaced without need that does not hand it over",
        };
        let handled =
            [(self.handles_messages, "messages"), (self.handles_http, "HTTP requests"), (self.is_command, COMMAND)];
        let mut handled: Vec<&str> = handled.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
        let role = match handled.is_empty() {
            true if self.obstacles.is_empty() => "calls of its own functions, and no messages of bytes".to_owned(),
            true => "no airssys:actor/handler: a mesh cannot host it".to_owned(),
            false => {
                handled.extend(&self.optional);
                handled.join(", ")
            }
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
            ("adapted", self.adapted.as_ref().map(adapted).unwrap_or_default()),
            ("fused of", self.parts.iter().map(part).collect::<Vec<_>>().join("\n            ")),
            ("imports", list(&self.imports)),
            ("exports", list(&self.exports)),
            ("asks for", list(&asked_for(&self.requests))),
            ("begins with", self.needs.as_ref().map(begins_with).unwrap_or_default()),
            ("limits", limited(&self.limits).join("\n            ")),
            ("in the way", self.obstacles.join("\n            ")),
        ];
        lines.retain(|(_, value)| !value.is_empty());
        lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
    }
}

fn adapted(adapted: &Adapted) -> String {
    let what = if adapted.is_command { "a program" } else { "a library" };
    format!("from a core module of WASI 0.1, {what}, sha256 {}", adapted.module)
}

fn part(part: &Part) -> String {
    let version = part.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let satisfies = if part.satisfies.is_empty() { String::new() } else { format!(": {}", part.satisfies.join(", ")) };
    format!("{}{version}, sha256 {}{satisfies}", part.name, part.sha256)
}

fn begins_with(needs: &Needs) -> String {
    format!(
        "{} in {}, {} in {}, {}",
        ByteSize(needs.memory_bytes),
        if needs.memories == 1 { "1 memory".to_owned() } else { format!("{} memories", needs.memories) },
        output::count(usize::try_from(needs.table_elements).unwrap_or(usize::MAX), "table element"),
        output::count(needs.tables, "table"),
        output::count(needs.core_instances, "core instance")
    )
}

fn asked_for(requests: &Requests) -> Vec<String> {
    let words = |key| match key {
        "send" => "to send to",
        "call" => "to call",
        "publish" => "to publish on",
        "subscribe" => "to subscribe to",
        "spawn" => "to spawn",
        "files" => "folders",
        "sockets" => "connections to",
        "bind" => "to listen at",
        "http" => "to request",
        "processes" => "to start",
        key => key,
    };
    let named = requests.by_key().into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(key, names)| output::printable(&format!("{} {}", words(key), names.join(", ")))).collect()
}

/// The longest line of limits.
const LINE: usize = 108;

/// The limits in lines of several; how much may be in so many stands beside their number.
fn limited(limits: &Limits) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (key, amount) in limits.amounts() {
        let amount = match amount {
            Amount::Count(count) => count.to_string(),
            Amount::Bytes(bytes) => ByteSize(bytes).to_string(),
            Amount::Time(time) => humantime::format_duration(time).to_string(),
        };
        match (key.ends_with("_bytes"), all.last_mut()) {
            (true, Some(number)) => number.push_str(&format!(" of {amount}")),
            _ => all.push(format!("{} {amount}", named(key))),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for one in all {
        match lines.last_mut() {
            Some(line) if line.len() + one.len() < LINE => line.push_str(&format!(", {one}")),
            _ => lines.push(one),
        }
    }
    lines
}

/// A limit for people.
fn named(key: &str) -> String {
    match key {
        "all_state" => "all states".to_owned(),
        "effects" => "effects a turn".to_owned(),
        "start_timeout" => "start time-out".to_owned(),
        key => key.replace('_', " "),
    }
}
