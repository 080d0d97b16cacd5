//! `airssys.test.toml`: what is asked of a mesh, what goes wrong meanwhile, and what has to hold afterwards.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::act::{self, Act};
use super::http;
use super::invariant::{self, Invariant};
use super::judge::{self, Judge};
use super::peer;
pub(super) use super::said::{Message, Said};
use super::written::{folder_of, time};
use crate::client::Peer;
use crate::config_file::{ConfigError, Source};
use crate::engine::Tier;
use crate::seeded::{Fault, Pause, Wait};
use crate::topology::Topology;

/// How long a mesh is left alone after the last message, before it is judged.
pub(super) const SETTLE: Duration = Duration::from_secs(60);
/// The time between two messages of one workload.
const EVERY: Duration = Duration::from_millis(10);
/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The most messages of one workload.
const MOST_TIMES: u64 = 1_000_000;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    topology: Option<PathBuf>,
    seed: Option<u64>,
    seeds: Option<u64>,
    settle: Option<Spanned<String>>,
    compiler: Option<Tier>,
    #[serde(default)]
    workload: Vec<Spanned<WrittenWorkload>>,
    #[serde(default)]
    fault: Vec<Spanned<Fault>>,
    #[serde(default)]
    peer: Vec<Spanned<peer::Written>>,
    #[serde(default)]
    act: Vec<Spanned<act::Written>>,
    #[serde(default)]
    check: Vec<Spanned<WrittenCheck>>,
    #[serde(default)]
    invariant: Vec<Spanned<invariant::Written>>,
    #[serde(default)]
    judge: Vec<Spanned<judge::Written>>,
    #[serde(default)]
    kill: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    jitter: bool,
    #[serde(default)]
    pause: Vec<Spanned<WrittenPause>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWorkload {
    service: Option<String>,
    key: Option<String>,
    call: Option<String>,
    ask: Option<String>,
    send: Option<String>,
    http: Option<Spanned<http::Written>>,
    at: Option<Spanned<String>>,
    #[serde(default = "once")]
    times: u64,
    every: Option<Spanned<String>>,
    patience: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCheck {
    service: Option<String>,
    key: Option<String>,
    call: Option<String>,
    ask: Option<String>,
    http: Option<Spanned<http::Written>>,
    status: Option<u16>,
    equals: Option<String>,
    same_as: Option<WrittenQuestion>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenQuestion {
    service: Option<String>,
    key: Option<String>,
    call: Option<String>,
    ask: Option<String>,
    http: Option<Spanned<http::Written>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPause {
    service: String,
    nth: u64,
    others: Option<u64>,
    #[serde(rename = "for")]
    time: Option<Spanned<String>>,
}

fn once() -> u64 {
    1
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone)]
pub(super) struct Workload {
    pub(super) message: Message,
    /// When the first one is said, and each other one `every` later; none where each is said somewhere in its part of
    /// the time.
    pub(super) at: Option<Duration>,
    pub(super) times: u64,
    pub(super) every: Duration,
    pub(super) patience: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Answer(String),
    /// A response with this status, whatever it says.
    Status(u16),
    SameAs(Message),
}

#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) asked: Message,
    pub(super) wanted: Wanted,
}

/// What is written in a test file.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// As it was read, to be written again with another seed.
    pub(super) text: String,
    /// The file that it was read from.
    pub(super) file: PathBuf,
    /// Where that lies.
    pub(super) folder: PathBuf,
    pub(super) topology: PathBuf,
    pub(super) seed: Option<u64>,
    pub(super) seeds: Option<u64>,
    pub(super) settle: Duration,
    /// What makes code of the components.
    pub(super) compiler: Tier,
    pub(super) workloads: Vec<Workload>,
    pub(super) faults: Vec<Fault>,
    /// Who answers what services ask of others.
    pub(super) peers: Vec<Peer>,
    pub(super) acts: Vec<Act>,
    pub(super) checks: Vec<Check>,
    pub(super) invariants: Vec<Invariant>,
    pub(super) judges: Vec<Judge>,
    /// When the host is killed and started again, from the start on, the first one first.
    pub(super) kills: Vec<Duration>,
    /// Whether turns wait as it is drawn; only as it is written otherwise.
    pub(super) jitter: bool,
    pub(super) pauses: Vec<Pause>,
}

impl Plan {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path, "name a test file, or the folder of an airssys.test.toml")?;
        Self::of(&source)
    }

    pub(super) fn of(source: &Source) -> Result<Self, ConfigError> {
        let written: Written = source.parse()?;
        let folder = folder_of(source);
        if written.workload.is_empty() && written.check.is_empty() {
            let what = "it has no [[workload]] and no [[check]]: nothing would be asked of the mesh";
            return Err(ConfigError::whole(&source.path, what, "add one, with `service`, `call` and `times`"));
        }
        if written.seeds == Some(0) {
            let what = "`seeds` is 0: nothing would be run";
            return Err(ConfigError::whole(&source.path, what, "write how many seeds are tried, from 1"));
        }
        if written.jitter
            && let Some(pause) = written.pause.first()
        {
            let what = "a [[pause]] stands in the place of the pauses that are drawn, and here they are drawn";
            return Err(source.error(&pause.span(), what, "write `jitter = false` at the beginning of the file"));
        }
        let mut faults = Vec::new();
        for fault in written.fault {
            fault.get_ref().check().map_err(|what| source.error(&fault.span(), what, FAULT_HINT))?;
            peer::is_there(fault.get_ref(), &written.peer)
                .map_err(|what| source.error(&fault.span(), what, "add a [[peer]] with that `host`"))?;
            faults.push(fault.into_inner());
        }
        let mut kills = written.kill.iter().map(|text| time(source, text)).collect::<Result<Vec<_>, _>>()?;
        kills.sort_unstable();
        let settle = written.settle.as_ref().map_or(Ok(SETTLE), |text| time(source, text))?;
        Ok(Self {
            text: source.text.clone(),
            file: source.path.clone(),
            folder: folder.to_owned(),
            topology: folder.join(written.topology.unwrap_or_else(|| "airssys.toml".into())),
            seed: written.seed,
            seeds: written.seeds,
            settle,
            compiler: written.compiler.unwrap_or(Tier::Optimized),
            workloads: written.workload.iter().map(|one| workload(source, one)).collect::<Result<_, _>>()?,
            faults,
            peers: written.peer.iter().map(|one| peer::peer(source, one)).collect::<Result<_, _>>()?,
            acts: written.act.into_iter().enumerate().map(|one| Act::of(source, one)).collect::<Result<_, _>>()?,
            kills,
            jitter: written.jitter,
            pauses: written.pause.iter().map(|one| pause(source, one)).collect::<Result<_, _>>()?,
            invariants: written.invariant.iter().map(|one| Invariant::of(source, one)).collect::<Result<_, _>>()?,
            judges: written.judge.iter().map(|one| Judge::of(source, one)).collect::<Result<_, _>>()?,
            checks: written.check.iter().map(|one| check(source, one)).collect::<Result<_, _>>()?,
        })
    }

    /// Refuses an invariant about a service that none of these topologies has.
    pub(super) fn know<'a>(&self, topologies: impl Iterator<Item = &'a Topology> + Clone) -> Result<(), ConfigError> {
        let is_there = |name: &str| {
            let mut all = topologies.clone().flat_map(Topology::services);
            all.any(|service| service.address.as_str() == name)
        };
        let about = self.invariants.iter().flat_map(|one| one.services().map(move |service| (one, service)));
        let Some((one, service)) = about.into_iter().find(|(_, service)| !is_there(service)) else { return Ok(()) };
        let source = Source { path: self.file.clone(), text: self.text.clone() };
        let what = format!("an [[invariant]] is about the service {service}, and no topology of the test has it");
        Err(source.error(&one.span, what, "`service` is a service of the topology; a key of it stands in `key`"))
    }

    /// The file again, as one that runs this seed alone.
    pub(super) fn with_seed(&self, seed: u64) -> String {
        let mine = |line: &&str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            key != "seed" && key != "seeds"
        };
        // Keys of the file itself stand before its first table.
        let head_ends = self.text.lines().position(|line| line.trim_start().starts_with('[')).unwrap_or(usize::MAX);
        let head = self.text.lines().take(head_ends).filter(mine);
        let rest = self.text.lines().skip(head_ends);
        let head = std::iter::once(format!("seed = {seed}")).chain(head.map(str::to_owned));
        let mut text = head.chain(rest.map(str::to_owned)).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }
}

const FAULT_HINT: &str = "write `nth = 3` for the third turn or message, or `rate = 0.01` for one in a hundred";

fn workload(source: &Source, written: &Spanned<WrittenWorkload>) -> Result<Workload, ConfigError> {
    let span = written.span();
    let WrittenWorkload { service, key, call, ask, send, http, at, times, every, patience } = written.get_ref();
    let said = match (call, ask, send, http) {
        (Some(call), None, None, None) => Said::Call(call.clone()),
        (None, Some(body), None, None) => Said::Ask(body.clone()),
        (None, None, Some(body), None) => Said::Send(body.clone()),
        (None, None, None, Some(http)) => Said::Http(http::request(source, http)?),
        _ => {
            let what = "a [[workload]] has one of `call`, `ask`, `send` and `http`";
            let hint = "`call = 'add(2, 3)'` calls a function, `http` asks a listener, the others say bytes";
            return Err(source.error(&span, what, hint));
        }
    };
    let message = message(source, &span, (service, key), said)?;
    if !(1..=MOST_TIMES).contains(times) {
        return Err(source.error(&span, format!("`times` is {times}, and may be from 1 to {MOST_TIMES}"), ""));
    }
    let or = |text: &Option<Spanned<String>>, usual| text.as_ref().map_or(Ok(usual), |text| time(source, text));
    Ok(Workload {
        message,
        at: at.as_ref().map(|text| time(source, text)).transpose()?,
        times: *times,
        every: or(every, EVERY)?,
        patience: or(patience, PATIENCE)?,
    })
}

/// Of what goes to a service; or to a listener, whose routes say to which.
fn message(
    source: &Source,
    span: &Range<usize>,
    (service, key): (&Option<String>, &Option<String>),
    said: Said,
) -> Result<Message, ConfigError> {
    let service = match (&said, service) {
        (Said::Http(_), None) if key.is_none() => String::new(),
        (Said::Http(_), _) => {
            let what = "a request of HTTP has no `service` and no `key`";
            return Err(source.error(span, what, "the routes of the listener say who answers it"));
        }
        (_, Some(service)) => service.clone(),
        (_, None) => return Err(source.error(span, "there is no `service`: to whom is it said?", "")),
    };
    Ok(Message { service, key: key.clone(), said })
}

fn pause(source: &Source, written: &Spanned<WrittenPause>) -> Result<Pause, ConfigError> {
    let WrittenPause { service, nth, others, time: text } = written.get_ref();
    let wait = match (others, text) {
        (Some(times), None) => Wait::Others(*times),
        (None, Some(text)) => Wait::For(time(source, text)?),
        _ => {
            let what = "a [[pause]] has one of `others` and `for`";
            let hint = "`others = 2` lets others go on twice before that turn, `for = \"5ms\"` has it wait so long";
            return Err(source.error(&written.span(), what, hint));
        }
    };
    if *nth == 0 {
        return Err(source.error(&written.span(), "`nth` is 0, and turns are counted from 1", ""));
    }
    Ok(Pause { service: service.clone(), nth: *nth, wait })
}

fn check(source: &Source, written: &Spanned<WrittenCheck>) -> Result<Check, ConfigError> {
    let span = written.span();
    let WrittenCheck { service, key, call, ask, http, status, equals, same_as } = written.get_ref();
    let question = |WrittenQuestion { service, key, call, ask, http }: &WrittenQuestion| {
        let said = match (call, ask, http) {
            (Some(call), None, None) => Said::Call(call.clone()),
            (None, Some(body), None) => Said::Ask(body.clone()),
            (None, None, Some(http)) => Said::Http(http::request(source, http)?),
            _ => {
                let what = "what a [[check]] asks has one of `call`, `ask` and `http`";
                return Err(source.error(&span, what, "`call = 'total()'` calls a function, `ask` says bytes"));
            }
        };
        message(source, &span, (service, key), said)
    };
    if status.is_some() && (http.is_none() || same_as.is_some()) {
        let what = "`status` is that of a response, and goes with `http`, alone or with `equals`";
        return Err(source.error(&span, what, ""));
    }
    let wanted = match (equals, same_as) {
        // The status of a response stands before what it says.
        (Some(answer), None) if http.is_some() => Wanted::Answer(format!("{} {answer}", status.unwrap_or(200))),
        (Some(answer), None) => Wanted::Answer(answer.clone()),
        (None, Some(other)) => Wanted::SameAs(question(other)?),
        (None, None) if status.is_some() => Wanted::Status(status.unwrap_or_default()),
        _ => {
            let what = "a [[check]] has one of `equals` and `same_as`";
            return Err(source.error(
                &span,
                what,
                "`equals = '5'`, or `same_as = { service = \"books\", call = 'total()' }`",
            ));
        }
    };
    let asked = (service.clone(), key.clone(), call.clone(), ask.clone(), http.clone());
    let (service, key, call, ask, http) = asked;
    Ok(Check { asked: question(&WrittenQuestion { service, key, call, ask, http })?, wanted })
}
