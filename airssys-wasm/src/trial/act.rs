//! `[[act]]`: what an operator does while a mesh is tried, read from the file and done.
//!
//! Invariant: what the steps say of an act is the same on each machine. So they have the stable words of an answer; its
//! text, which may name a file, stands beside them and is not part of the digest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};
use toml::Spanned;

use super::authority::Change;
use super::written::{LONGEST, folder_of, time};
use crate::config_file::{ConfigError, Source};
use crate::deploy::rollout::Rollout;
use crate::deploy::{DeployOptions, Deployment, MemoryHandover, Progress};
use crate::hint::Coded;
use crate::registry::Release;
use crate::runtime::Runtime;
use crate::topology::Topology;

/// An act as it is written: which keys it has depends on its kind.
pub(super) type Written = BTreeMap<String, Spanned<toml::Value>>;

/// The keys of each kind, beside `kind`, `at` and `expect`.
const KEYS: &[(&str, &[&str])] = &[
    ("deploy", &["service", "release", "set", "allow_downgrade", "same_version", "strict"]),
    ("rollback", &["service", "restore_state"]),
    ("apply", &["topology", "allow_downgrade", "same_version", "strict"]),
    ("grant", &["service", "capability", "target"]),
    ("revoke", &["service", "capability", "target"]),
    ("stop", &["service"]),
    ("start", &["service"]),
    ("restart", &["service"]),
];
/// Those of all that another release may come of.
const TIMES: &[&str] = &["probation", "handover_deadline", "memory"];
/// Those of a deployment's strategy, as its options of the same names.
const STRATEGY: &[&str] = &[
    "strategy",
    "batch",
    "max_unavailable",
    "last_first",
    "compare",
    "steps",
    "bake",
    "samples",
    "patience",
    "no_traffic",
    "errors",
    "latency",
    "tolerate",
];

/// How often a deployment is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is done.
#[derive(Debug, Clone)]
enum Kind {
    Deploy(String, Box<Release>),
    DeploySet(Vec<(String, Release)>),
    Rollback(String),
    Apply(Box<Topology>),
    Grant(String, String, String),
    Revoke(String, String, String),
    Stop(String),
    Start(String),
    Restart(String),
}

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Done,
    NotDone,
}

/// What an operator does, and when.
#[derive(Debug, Clone)]
pub(super) struct Act {
    kind: Kind,
    /// Which one of the file it is, from 0.
    pub(super) number: usize,
    /// What it is called in the steps.
    pub(super) name: String,
    /// It is done at a moment of this, which the seed draws.
    pub(super) at: Range<Duration>,
    options: DeployOptions,
    expected: Option<Expected>,
}

/// What came of an act.
pub(super) struct Outcome {
    /// A stable word, such as `live`, or the code of a refusal.
    pub(super) word: &'static str,
    /// All that was said.
    pub(super) detail: String,
    done: bool,
    /// What does not hold, whatever the file expects.
    pub(super) broken: Option<String>,
}

/// The keys of one act, of which each is taken once.
struct Keys<'a> {
    source: &'a Source,
    span: Range<usize>,
    left: Written,
}

impl Keys<'_> {
    fn wrong(&self, what: impl Into<String>, hint: &str) -> ConfigError {
        self.source.error(&self.span, what, hint)
    }

    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        let span = value.span();
        let read = value.into_inner().try_into();
        read.map(Some).map_err(|error| self.source.error(&span, format!("`{key}`: {}", one_line(error.message())), ""))
    }

    fn need(&mut self, kind: &str, key: &str) -> Result<String, ConfigError> {
        let found = self.take(key)?;
        found.ok_or_else(|| self.wrong(format!("an act of the kind `{kind}` has a `{key}`"), ""))
    }

    fn time(&mut self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(found) = self.left.get(key) else { return Ok(None) };
        let span = found.span();
        let text = self.take::<String>(key)?.unwrap_or_default();
        time(self.source, &Spanned::new(span, text)).map(Some)
    }

    fn yes(&mut self, key: &str) -> Result<bool, ConfigError> {
        Ok(self.take(key)?.unwrap_or_default())
    }

    fn release(&mut self, key: &str) -> Result<Option<Release>, ConfigError> {
        let span = self.left.get(key).map(Spanned::span).unwrap_or_default();
        let Some(path) = self.take::<String>(key)? else { return Ok(None) };
        found(self.source, &span, &path).map(Some)
    }
}

impl Act {
    pub(super) fn of(source: &Source, (number, written): (usize, Spanned<Written>)) -> Result<Self, ConfigError> {
        let (span, left) = (written.span(), written.into_inner());
        let mut keys = Keys { source, span, left };
        let kinds: Vec<&str> = KEYS.iter().map(|(kind, _)| *kind).collect();
        let hint = format!("`kind` is one of {}", kinds.join(", "));
        let word: String = keys.take("kind")?.ok_or_else(|| keys.wrong("an act has a `kind`", &hint))?;
        let Some((_, own)) = KEYS.iter().find(|(kind, _)| *kind == word) else {
            return Err(keys.wrong(format!("there is no act of the kind `{word}`"), &hint));
        };
        let times = matches!(&*word, "deploy" | "rollback" | "apply");
        let is_known = |key: &&str| {
            matches!(*key, "at" | "expect")
                || own.contains(key)
                || (times && TIMES.contains(key))
                || (word == "deploy" && STRATEGY.contains(key))
        };
        if let Some((key, value)) = keys.left.iter().find(|(key, _)| !is_known(&key.as_str())) {
            let what = format!("`{key}` says nothing to an act of the kind `{word}`");
            return Err(source.error(&value.span(), what, "the book lists the keys of each kind"));
        }
        let at = moment(&mut keys)?;
        let (expected, options) = (keys.take("expect")?, options(&mut keys)?);
        let kind = kind(&word, &mut keys)?;
        let name = match &kind {
            Kind::Deploy(service, release) => format!("deploy {service} {}", release.manifest.version),
            Kind::DeploySet(set) => {
                let services: Vec<&str> = set.iter().map(|(service, _)| service.as_str()).collect();
                format!("deploy {}", services.join(", "))
            }
            Kind::Apply(topology) => format!("apply {}", topology.name()),
            Kind::Grant(service, key, target) | Kind::Revoke(service, key, target) => {
                format!("{word} {service} {key} {target}")
            }
            Kind::Rollback(service) | Kind::Stop(service) | Kind::Start(service) | Kind::Restart(service) => {
                format!("{word} {service}")
            }
        };
        options.check().map_err(|error| keys.wrong(error.to_string(), ""))?;
        Ok(Self { kind, number, name, at, options, expected })
    }

    /// The same at this moment, and at no other.
    pub(super) fn at(self, at: Duration) -> Self {
        Self { at: at..at, ..self }
    }

    /// The same, with a topology that it brings in as this makes it.
    pub(super) fn with_topology(&self, made: impl FnOnce(&Topology) -> Topology) -> Self {
        let mut act = self.clone();
        if let Kind::Apply(topology) = &mut act.kind {
            **topology = made(topology);
        }
        act
    }

    /// The topology that it brings in.
    pub(super) fn topology(&self) -> Option<&Topology> {
        match &self.kind {
            Kind::Apply(topology) => Some(topology),
            _ => None,
        }
    }

    /// Does it, and waits until it has come to its end.
    pub(super) async fn run(&self, runtime: &Runtime) -> Outcome {
        let options = self.options.clone();
        match &self.kind {
            Kind::Deploy(service, release) => match runtime.deploy(service, Release::clone(release), options).await {
                Ok(deployment) => self.ended(runtime, &[deployment]).await,
                Err(error) => refused(&error),
            },
            Kind::DeploySet(set) => match runtime.deploy_set(set.clone(), options).await {
                Ok(all) => {
                    let all: Vec<Deployment> = all.into_iter().map(|(_, deployment)| deployment).collect();
                    self.ended(runtime, &all).await
                }
                Err(error) => refused(&error),
            },
            Kind::Rollback(service) => {
                let cancels = runtime.deployment(service).is_some_and(|last| !last.progress().is_over());
                match runtime.rollback(service, options) {
                    Ok(deployment) => {
                        let mut outcome = self.ended(runtime, &[deployment]).await;
                        // One that was under way is cancelled: it is to be over, and not live.
                        outcome.done = match outcome.word {
                            Progress::ROLLED_BACK => cancels,
                            "live" => !cancels,
                            _ => false,
                        };
                        // Who goes back to a state from before is not on probation, and what is cancelled has its own.
                        outcome.broken = outcome.broken.filter(|_| !cancels && !self.options.restore_state);
                        outcome
                    }
                    Err(error) => refused(&error),
                }
            }
            Kind::Apply(topology) => match runtime.apply(topology.apart(), options).await {
                Ok(applied) => Outcome { detail: applied.notes.join("; "), ..Outcome::done("applied") },
                Err(error) => refused(&error),
            },
            Kind::Grant(service, key, target) => match runtime.grant(service, (key, target), options).await {
                Ok(_) => Outcome::done("granted"),
                Err(error) => refused(&error),
            },
            Kind::Revoke(service, key, target) => match runtime.revoke(service, key, target).await {
                Ok(_) => Outcome::done("revoked"),
                Err(error) => refused(&error),
            },
            Kind::Stop(service) => match runtime.stop_service(service).await {
                Ok(true) => Outcome::done("stopped"),
                Ok(false) => Outcome::done("already-stopped"),
                Err(error) => refused(&error),
            },
            Kind::Start(service) => match runtime.start_service(service).await {
                Ok(true) => Outcome::done("started"),
                Ok(false) => Outcome::done("already-started"),
                Err(error) => refused(&error),
            },
            Kind::Restart(service) => {
                let stopped = runtime.stop_service(service).await;
                match (stopped, runtime.start_service(service).await) {
                    (Ok(_), Ok(_)) => Outcome::done("restarted"),
                    (Err(error), _) | (_, Err(error)) => refused(&error),
                }
            }
        }
    }

    /// Waits for the ends of deployments that go on beside each other: the first end that is not the wanted one.
    async fn ended(&self, runtime: &Runtime, all: &[Deployment]) -> Outcome {
        let mut last = Outcome::done("live");
        for outcome in ends(runtime, all).await.into_iter().map(|end| self.proved(end)) {
            let broken = last.broken.take().or_else(|| outcome.broken.clone());
            last = Outcome { broken, ..if last.done { outcome } else { last } };
        }
        last
    }

    /// What it changes of what services may do.
    pub(super) fn changes(&self) -> Vec<Change<'_>> {
        match &self.kind {
            Kind::Deploy(service, release) => vec![Change::Release(service, release)],
            Kind::DeploySet(set) => set.iter().map(|(service, release)| Change::Release(service, release)).collect(),
            Kind::Rollback(service) => vec![Change::Back(service)],
            Kind::Apply(topology) => vec![Change::All(topology)],
            Kind::Grant(service, key, target) => vec![Change::Grant(service, key, target)],
            Kind::Revoke(service, key, target) => vec![Change::Revoke(service, key, target)],
            Kind::Stop(_) | Kind::Start(_) | Kind::Restart(_) => Vec::new(),
        }
    }

    /// What came of a deployment that was on probation for so long, as far as was seen: one that is live has had all of
    /// it.
    fn proved(&self, (outcome, proved): (Outcome, Duration)) -> Outcome {
        let wanted = self.options.probation;
        // It is looked at now and then, and not as it begins.
        let is_short = outcome.done && proved + LOOK_EVERY < wanted;
        let broken = is_short.then(|| {
            let name = &self.name;
            format!("act: {name} is live after {proved:?} of probation, and {wanted:?} were wanted")
        });
        Outcome { broken, ..outcome }
    }

    /// What is wrong with what came of it, none for what had not come to its end.
    pub(super) fn judge(&self, outcome: Option<&Outcome>) -> Option<String> {
        let wanted = self.expected?;
        let Some(Outcome { word, detail, done, .. }) = outcome else {
            return Some(format!("act: {} did not come to its end", self.name));
        };
        let said = if detail.is_empty() { (*word).to_owned() } else { format!("{word}: {detail}") };
        match (wanted, done) {
            (Expected::Done, false) => Some(format!("act: {} was to be done, and is not: {said}", self.name)),
            (Expected::NotDone, true) => Some(format!("act: {} was not to be done, and is: {said}", self.name)),
            _ => None,
        }
    }
}

impl Outcome {
    fn done(word: &'static str) -> Self {
        Self { word, detail: String::new(), done: true, broken: None }
    }

    /// Whether something is otherwise now than it was before.
    pub(super) fn is_left(&self) -> bool {
        self.done && self.word != Progress::ROLLED_BACK
    }
}

fn refused(error: &(impl Coded + std::fmt::Display)) -> Outcome {
    Outcome { word: error.code(), detail: error.to_string(), done: false, broken: None }
}

/// Waits for the ends of deployments; with each, how long it was seen on probation. It looks instead of being told: of
/// several who wait for the same the runtime tells one first by chance.
async fn ends(runtime: &Runtime, all: &[Deployment]) -> Vec<(Outcome, Duration)> {
    // Since when each is on probation, and how long it was where it is over.
    let mut seen: Vec<(Option<Instant>, Option<Duration>)> = vec![(None, None); all.len()];
    loop {
        for (deployment, (since, over)) in all.iter().zip(&mut seen).filter(|(_, (_, over))| over.is_none()) {
            let progress = deployment.progress();
            if progress.is_over() {
                *over = Some(since.map(|since| since.elapsed()).unwrap_or_default());
            } else if progress == Progress::Probation {
                since.get_or_insert_with(Instant::now);
            }
        }
        if seen.iter().all(|(_, over)| over.is_some()) {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let outcome = |(deployment, (_, proved)): (&Deployment, (_, Option<Duration>))| {
        let (progress, status) = (deployment.progress(), runtime.deployment_status(deployment));
        let (done, detail) = (progress == Progress::Live, status.reason.unwrap_or_default());
        (Outcome { word: progress.code(), detail, done, broken: None }, proved.unwrap_or_default())
    };
    all.iter().zip(seen).map(outcome).collect()
}

/// `"2s"`, or `["1s", "5s"]` for some moment in between.
fn moment(keys: &mut Keys<'_>) -> Result<Range<Duration>, ConfigError> {
    const HINT: &str = "`at = \"2s\"` is a moment of the run, `at = [\"1s\", \"5s\"]` one in between, by the seed";
    let Some(found) = keys.left.remove("at") else {
        return Err(keys.wrong("an act has an `at`: when it is done", HINT));
    };
    let (source, span) = (keys.source, found.span());
    let read = |text: &toml::Value| match text {
        toml::Value::String(text) => time(source, &Spanned::new(span.clone(), text.clone())),
        _ => Err(source.error(&span, "`at` is no time", HINT)),
    };
    match found.get_ref() {
        toml::Value::Array(all) => match all.as_slice() {
            [from, to] => {
                let (from, to) = (read(from)?, read(to)?);
                match from <= to {
                    true => Ok(from..to),
                    false => Err(source.error(&span, "`at` ends before it begins", HINT)),
                }
            }
            _ => Err(source.error(&span, "`at` is one time or two", HINT)),
        },
        one => read(one).map(|at| at..at),
    }
}

fn options(keys: &mut Keys<'_>) -> Result<DeployOptions, ConfigError> {
    let mut options = DeployOptions::default();
    if let Some(probation) = keys.time("probation")? {
        options.probation = probation;
    }
    if let Some(deadline) = keys.time("handover_deadline")? {
        options.handover_deadline = deadline;
    }
    options.allow_downgrade = keys.yes("allow_downgrade")?;
    options.same_version = keys.yes("same_version")?;
    options.strict = keys.yes("strict")?;
    options.restore_state = keys.yes("restore_state")?;
    options.memory = match keys.take::<String>("memory")?.as_deref() {
        None => MemoryHandover::default(),
        Some("keep") => MemoryHandover::Required,
        Some("without") => MemoryHandover::Never,
        Some(other) => {
            let what = format!("`memory` is {other:?}");
            return Err(keys.wrong(what, "it is `keep` or `without`"));
        }
    };
    let mut said = serde_json::Map::new();
    for key in STRATEGY {
        let time = matches!(*key, "bake" | "patience");
        let value = match time {
            true => keys.time(key)?.map(|time| serde_json::json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
            false => keys.take::<serde_json::Value>(key)?,
        };
        if let Some(value) = value {
            said.insert(if time { format!("{key}_ms") } else { (*key).to_owned() }, value);
        }
    }
    let way: Rollout = serde_json::from_value(said.into())
        .map_err(|error| keys.wrong(one_line(&error.to_string()), "the book tells what each strategy has"))?;
    (options.strategy, options.gate) = (way.strategy, way.gate);
    Ok(options)
}

fn kind(word: &str, keys: &mut Keys<'_>) -> Result<Kind, ConfigError> {
    if word == "apply" {
        let span = keys.left.get("topology").map(Spanned::span).unwrap_or_default();
        let path = folder_of(keys.source).join(keys.need(word, "topology")?);
        let topology = Topology::read(&path);
        return topology.map(|topology| Kind::Apply(Box::new(topology))).map_err(|error| {
            keys.source.error(&span, format!("the topology of the apply: {error}"), error.hint.clone())
        });
    }
    if word == "deploy"
        && let Some(set) = keys.take::<BTreeMap<String, String>>("set")?
    {
        if keys.left.contains_key("service") || keys.left.contains_key("release") || set.is_empty() {
            let what = "a deployment has a `set`, or a `service` and its `release`";
            return Err(keys.wrong(what, "`set = { till = \"till-2.wasm\", ledger = \"ledger-2.wasm\" }`"));
        }
        let one = |(service, path): (String, String)| Ok((service, found(keys.source, &keys.span, &path)?));
        return set.into_iter().map(one).collect::<Result<_, _>>().map(Kind::DeploySet);
    }
    let service = keys.need(word, "service")?;
    Ok(match word {
        "deploy" => match keys.release("release")? {
            Some(release) => Kind::Deploy(service, Box::new(release)),
            None => return Err(keys.wrong("a deployment has a `release`", "the file or the folder of one")),
        },
        "rollback" => Kind::Rollback(service),
        "grant" => Kind::Grant(service, keys.need(word, "capability")?, keys.need(word, "target")?),
        "revoke" => Kind::Revoke(service, keys.need(word, "capability")?, keys.need(word, "target")?),
        "stop" => Kind::Stop(service),
        "start" => Kind::Start(service),
        _ => Kind::Restart(service),
    })
}

/// The release at a path from the folder of the test file.
pub(super) fn found(source: &Source, span: &Range<usize>, path: &str) -> Result<Release, ConfigError> {
    let release = Release::find(&folder_of(source).join(path));
    release.map_err(|error| {
        let what = format!("the release {} {}", error.path.display(), error.what);
        source.error(span, what, error.hint)
    })
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

/// The latest moment of all acts.
pub(super) fn latest(acts: &[Act]) -> Duration {
    acts.iter().map(|act| act.at.end).max().unwrap_or_default().min(LONGEST)
}
