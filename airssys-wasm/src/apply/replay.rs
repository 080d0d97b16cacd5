//! Runs what a capsule has again, on an instance of the same release, with what was recorded in the place of the host.
//!
//! There is no mesh round it: nothing that it asks for gets out, and nobody sends it anything. Its lines of the log are
//! logged. It refuses a release that has another digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::check::engines;
use super::compile::load_one;
use super::error::RuntimeError;
use super::steps::service_spec;
use crate::actor::Serving;
use crate::address::Address;
use crate::client::{Client, ClientSettings};
use crate::config_file::{ConfigError, Source};
use crate::deploy::RecordingError;
use crate::engine::{DebugImage, Engines, EnginesSettings, Instance, Ran, Template};
use crate::error::Crash;
use crate::events::Events;
use crate::hint::{Act, Coded, Hint};
use crate::limits::Limits;
use crate::middleware::Stack;
use crate::registry::{Digest, Keep, Manifest, Release, Store, StoreError};
use crate::router::Mesh;
use crate::schema::{Schema, Words};
use crate::settings::{MeshSettings, Multiplicity, Run};
use crate::topology::{Node, ServiceNode, Topology};
use crate::turn::{Capsule, Frame, Identity, Recording, Replaying, Script, Slack, Step, What, stop_reason};
use crate::wire::{TextOr, Wire, Wires, WrittenWire};

/// How long a turn may take that somebody looks at in a debugger.
const UNHURRIED: Duration = Duration::from_secs(24 * 3600);

/// Why a capsule is not replayed.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Capsule, ReplayError, release_of};
///
/// /// Whether somebody has to bring the release here.
/// fn lacks_release(capsule: &Capsule, data: &std::path::Path) -> bool {
///     matches!(release_of(capsule, data, None), Err(ReplayError::NoRelease { .. }))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such release.
    #[error("the release {release} is not here: its component has the SHA-256 {sha256}")]
    NoRelease {
        /// Its name and version.
        release: String,
        /// The digest.
        sha256: String,
    },
    /// It is another release.
    #[error("{} is another release: its SHA-256 is {found}, and that of the one that was recorded is {sha256}", .path.display())]
    OtherRelease {
        /// The component.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// That of the one that crashed.
        sha256: String,
    },
    /// What was said was left out of it.
    #[error("the capsule has no bodies, and so it cannot be replayed: the topology says `bodies = false`")]
    NoBodies,
    /// There is something in it that cannot be done again.
    #[error("it cannot be replayed: {0}")]
    Content(String),
    /// It did something of which nobody knows what came of it.
    #[error("it cannot be replayed: {0}")]
    Unrecorded(String),
    /// The release has something wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder has.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no turns that can be shown.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Nothing can be run here.
    #[error(transparent)]
    Start(Box<RuntimeError>),
}

impl Coded for ReplayError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRelease { .. } => "no-such-release",
            Self::OtherRelease { .. } => "other-release",
            Self::NoBodies => "no-bodies",
            Self::Content(_) => "capsule-content",
            Self::Unrecorded(_) => "not-recorded",
            Self::Config(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recording(error) => error.code(),
            Self::Start(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoRelease { .. } => Some(Act::NameRelease.into()),
            Self::OtherRelease { .. } => Some("name the component that crashed, byte for byte".into()),
            Self::NoBodies => Some("it can be looked at".into()),
            Self::Content(_) => Some("replay it with the version that wrote it".into()),
            Self::Unrecorded(_) => Some("it can be looked at".into()),
            Self::Config(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Recording(error) => error.hint(),
            Self::Start(error) => error.hint(),
        }
    }
}

impl From<RuntimeError> for ReplayError {
    fn from(error: RuntimeError) -> Self {
        Self::Start(Box::new(error))
    }
}

/// What came of a replay.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Capsule, Replayed, release_of, replay};
///
/// async fn told(capsule: &Capsule, data: &std::path::Path) -> Result<String, Box<dyn std::error::Error>> {
///     let Replayed { crash, differs, .. } = replay(capsule, release_of(capsule, data, None)?, None).await?;
///     Ok(if differs.is_empty() { "the same crash".to_owned() } else { format!("{crash:?}: {differs:?}") })
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// How many steps were made.
    pub steps: usize,
    /// The crash, as it is told; none where there was none.
    pub crash: Option<String>,
    /// The word for it.
    pub code: Option<String>,
    /// The functions that ran, the innermost first.
    pub frames: Vec<Frame>,
    /// In what it differs from what was recorded; empty where it is the same crash.
    pub differs: Vec<String>,
}

/// The release that a capsule is of: the one that is given, or what a data folder has of it.
///
/// # Example
///
/// See [`Replayed`].
///
/// # Errors
///
/// It is not there, or is another one.
pub fn release_of(capsule: &Capsule, data: &Path, given: Option<&Path>) -> Result<Release, ReplayError> {
    release_named(&Of::capsule(capsule), data, given)
}

/// Whose turns were recorded, and what is to be known of it.
pub(super) struct Of<'a> {
    address: Option<Address>,
    release: &'a str,
    sha256: &'a str,
    description: Option<&'a str>,
    limits: &'a str,
    run: &'a str,
    arguments: &'a [String],
    wires: &'a str,
}

impl<'a> Of<'a> {
    fn capsule(of: &'a Capsule) -> Self {
        Self {
            address: of.address(),
            release: &of.release,
            sha256: &of.sha256,
            description: of.description.as_deref(),
            limits: &of.limits,
            run: &of.run,
            arguments: &of.arguments,
            wires: &of.wires,
        }
    }

    pub(super) fn recording(of: &'a Recording) -> Self {
        Self {
            address: of.address(),
            release: &of.release,
            sha256: &of.sha256,
            description: of.description.as_deref(),
            limits: &of.limits,
            run: &of.run,
            arguments: &of.arguments,
            wires: &of.wires,
        }
    }
}

/// [`release_of`], of whatever was recorded.
pub(super) fn release_named(of: &Of<'_>, data: &Path, given: Option<&Path>) -> Result<Release, ReplayError> {
    let sha256 = of.sha256.to_owned();
    let wanted = Digest::of_text(&sha256).ok_or_else(|| ReplayError::Content("its digest is none".to_owned()))?;
    let missing = || ReplayError::NoRelease { release: of.release.to_owned(), sha256: sha256.clone() };
    let release = match given {
        Some(path) => Release::find(path)?,
        None => match published(data, wanted)? {
            Some(release) => release,
            None => {
                let path = Keep::new(data).binary(wanted).ok_or_else(missing)?;
                let manifest = Manifest::of_bare_file(&path);
                Release::of(path, manifest)
            }
        },
    };
    let path = release.binary().to_owned();
    let found = Digest::of_file(&path).map_err(StoreError::file("read", &path))?.0;
    if found != wanted {
        return Err(ReplayError::OtherRelease { path, found: found.to_string(), sha256 });
    }
    match of.description {
        Some(text) if release.description.is_none() && release.seal.is_none() => {
            let manifest = Manifest::of_source(&Source { path: "Component.toml".into(), text: text.to_owned() })?;
            Ok(Release { manifest, ..release })
        }
        _ => Ok(release),
    }
}

fn published(data: &Path, wanted: Digest) -> Result<Option<Release>, ReplayError> {
    if !data.is_dir() {
        return Ok(None);
    }
    let store = Store::open(data)?;
    match store.releases()?.into_iter().flatten().find(|record| record.binary == wanted) {
        Some(record) => Ok(Some(store.resolve(&format!("{}@{}", record.name, record.version))?)),
        None => Ok(None),
    }
}

/// Runs what a capsule has again. To be called on a runtime with several threads.
///
/// # Example
///
/// See [`Replayed`].
///
/// # Errors
///
/// [`ReplayError`]: nothing was run. That it ends otherwise than it was recorded is no error.
pub async fn replay(capsule: &Capsule, release: Release, code_cache: Option<PathBuf>) -> Result<Replayed, ReplayError> {
    if !capsule.has_bodies {
        return Err(ReplayError::NoBodies);
    }
    Replayer::load(capsule, release, code_cache).await?.replay(capsule).await
}

/// A release that is ready to run what its capsules have.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Capsule, ReplayError, Replayer};
/// use airssys_wasm::registry::Release;
///
/// /// How many of these crashes, of one release, come again.
/// async fn again(capsules: &[Capsule], release: Release) -> Result<usize, ReplayError> {
///     let Some(first) = capsules.first() else { return Ok(0) };
///     let (replayer, mut again) = (Replayer::load(first, release, None).await?, 0);
///     for capsule in capsules {
///         again += usize::from(replayer.replay(capsule).await?.differs.is_empty());
///     }
///     Ok(again)
/// }
///
/// /// Where the code of one lies that a debugger is to look at.
/// async fn text_of(capsule: &Capsule, release: Release) -> Result<usize, ReplayError> {
///     Ok(Replayer::load_for_debugger(capsule, release).await?.debug_image()?.text_address)
/// }
/// ```
pub struct Replayer {
    engines: Arc<Engines>,
    template: Arc<Template>,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Replayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayer").finish_non_exhaustive()
    }
}

impl Replayer {
    /// Compiles a release, for the service of this capsule.
    ///
    /// # Errors
    ///
    /// [`ReplayError`].
    pub async fn load(capsule: &Capsule, release: Release, code_cache: Option<PathBuf>) -> Result<Self, ReplayError> {
        let node = node(&Of::capsule(capsule), release)?;
        Self::of(node, EnginesSettings { code_cache, ..EnginesSettings::default() }).await
    }

    /// [`Replayer::load`], for a debugger of the machine: nothing is optimized, and no time is up while somebody looks
    /// at what runs.
    ///
    /// # Errors
    ///
    /// [`ReplayError`].
    pub async fn load_for_debugger(capsule: &Capsule, release: Release) -> Result<Self, ReplayError> {
        let mut node = node(&Of::capsule(capsule), release)?;
        let Limits { turn_deadline, turn_budget, start_timeout, .. } = &mut node.limits;
        for limit in [turn_deadline, turn_budget, start_timeout] {
            *limit = UNHURRIED.max(*limit);
        }
        Self::of(node, EnginesSettings { for_debugger: true, ..EnginesSettings::default() }).await
    }

    async fn of(node: ServiceNode, settings: EnginesSettings) -> Result<Self, ReplayError> {
        let node = Arc::new(node);
        let mut topology = Topology::new("replay");
        topology.children.push(Node::Service(Arc::clone(&node)));
        let engines = engines(settings, &topology).map_err(RuntimeError::from)?;
        let template = load_one(&engines, &node).await?;
        let nobody = || ReplayError::Content("nobody would serve".to_owned());
        let identity = Arc::clone(&alone(&engines, &node, &template).ok_or_else(nobody)?.identity);
        Ok(Self { engines, template, identity })
    }

    /// Its code as a debugger reads it; of one that was loaded for a debugger, with its source.
    ///
    /// # Errors
    ///
    /// [`ReplayError::Content`].
    pub fn debug_image(&self) -> Result<DebugImage, ReplayError> {
        self.template.debug_image().map_err(|error| ReplayError::Content(error.to_string()))
    }

    /// Runs what a capsule has again, of the same service and release.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]: nothing was run. That it ends otherwise than it was recorded is no error.
    pub async fn replay(&self, capsule: &Capsule) -> Result<Replayed, ReplayError> {
        if !capsule.has_bodies {
            return Err(ReplayError::NoBodies);
        }
        if capsule.sha256 != self.template.digest() {
            return Err(ReplayError::Content("it is of another release".to_owned()));
        }
        let (engines, template, identity) = (&self.engines, &self.template, Arc::clone(&self.identity));
        Stage { engines, template, identity, instance: None }.play(capsule).await
    }
}

/// One actor of a service in a mesh of its own, in which nobody else is.
pub(super) fn alone(engines: &Arc<Engines>, node: &ServiceNode, template: &Arc<Template>) -> Option<Arc<Serving>> {
    let events = Events::new(MeshSettings::default().events, MeshSettings::default().event_bytes);
    let stack = Stack::new(Vec::new(), &events);
    let client = Client::new(ClientSettings::default());
    let pulse = Arc::clone(engines.pulse());
    let mesh = Arc::new(Mesh::new(MeshSettings::default(), stack, events, pulse, client, None));
    let node = ServiceNode { multiplicity: Multiplicity::One, recorder: None, ..node.clone() };
    let placed = service_spec(&node, template, None, false).build(&mesh, engines);
    placed.actors.first().map(|post| post.live.serving())
}

/// The service as it was, alone: one actor, with nothing granted, since nothing is asked of anybody.
pub(super) fn node(of: &Of<'_>, release: Release) -> Result<ServiceNode, ReplayError> {
    let wrong = |what: &str, error: &dyn ToString| ReplayError::Content(format!("its {what}: {}", error.to_string()));
    let address = of.address.clone().ok_or_else(|| wrong("service", &"no address"))?;
    let mut node = ServiceNode::new(address, release);
    let limits: <Limits as Schema>::Written = toml::from_str(of.limits).map_err(|error| wrong("limits", &error))?;
    node.limits.take(&limits);
    node.run = Run::ALL.iter().find(|(word, _)| *word == of.run).map_or(Run::Message, |(_, run)| *run);
    node.arguments = of.arguments.to_vec();
    let wires: BTreeMap<String, TextOr<WrittenWire>> =
        toml::from_str(of.wires).map_err(|error| wrong("wires", &error))?;
    let wire = |(import, written): (String, TextOr<WrittenWire>)| {
        let TextOr::Table(WrittenWire { to, key, functions, on_failure }) = written else {
            return Err(wrong("wires", &"a text"));
        };
        let functions = functions.into_iter().flatten().map(toml::Spanned::into_inner).collect();
        let to = to.parse().map_err(|error: crate::address::AddressError| wrong("wires", &error))?;
        Ok((import, Wire { to, key, functions, on_failure: on_failure.unwrap_or_default(), made: false }))
    };
    node.wires = wires.into_iter().map(wire).collect::<Result<Wires, _>>()?;
    Ok(node)
}

/// Where it is played.
struct Stage<'a> {
    engines: &'a Engines,
    template: &'a Arc<Template>,
    identity: Arc<Identity>,
    instance: Option<Instance>,
}

/// What came of a step.
struct Played {
    crash: Option<Crash>,
    parted: Option<String>,
    frames: Vec<Frame>,
}

impl Stage<'_> {
    async fn play(mut self, capsule: &Capsule) -> Result<Replayed, ReplayError> {
        let mut replayed = Replayed { steps: 0, crash: None, code: None, frames: Vec::new(), differs: Vec::new() };
        let last = capsule.steps.len().saturating_sub(1);
        for (at, step) in capsule.steps.iter().enumerate() {
            let told = step.what.told();
            let is_late = capsule.lost > 0;
            let is_timed = at == last && is_of_time(&capsule.crash);
            let slack = Slack { is_open: step.is_cut || is_timed, is_timed, is_late };
            if let Some(what) = step.unrecorded() {
                let why = format!("in {told} it used {what}, and no recorder has what comes of that");
                return Err(ReplayError::Unrecorded(why));
            }
            let Played { crash, parted, frames } = self.step(step.clone(), slack, &capsule.folders).await?;
            replayed.steps += 1;
            if let Some(parted) = parted {
                replayed.differs.push(format!("in {told}: {parted}"));
            }
            if let Some(crash) = &crash {
                (replayed.crash, replayed.code) = (Some(crash.to_string()), Some(crash.code().to_owned()));
                replayed.frames = frames;
                if at < last {
                    replayed.differs.push(format!("it crashes in {told} already"));
                } else {
                    compare(capsule, crash, &mut replayed);
                }
            }
            if crash.is_some() || !replayed.differs.is_empty() {
                return Ok(replayed);
            }
        }
        replayed.differs.push("it does not crash".to_owned());
        Ok(replayed)
    }

    async fn step(&mut self, step: Step, slack: Slack, folders: &[String]) -> Result<Played, ReplayError> {
        let Step { what, lines, .. } = step;
        let script = Some(Box::new(Script::Replayed(Replaying::new(lines, slack).with_folders(folders))));
        if let What::Made = what {
            let identity = Arc::clone(&self.identity);
            return Ok(match Instance::scripted(self.engines, self.template, identity, script).await {
                Ok(mut instance) => {
                    let script = instance.turn().script.take();
                    self.instance = Some(instance);
                    played(None, script)
                }
                Err((crash, script)) => played(Some(crash), script),
            });
        }
        let none = || ReplayError::Content("it does not begin with an instance".to_owned());
        let instance = self.instance.as_mut().ok_or_else(none)?;
        instance.turn().script = script;
        let deadline = self.identity.terms.limits.turn_deadline;
        let crash = match what {
            What::Made => None,
            What::Init => crash_of(instance.init(deadline).await),
            What::Check => crash_of(instance.check(deadline).await),
            What::Migrate { from } => instance.migrate(from, deadline).await.and_then(crash_of),
            What::Restore { memory } => crash_of(instance.restore(&memory, deadline).await),
            What::Snapshot => crash_of(instance.snapshot(deadline).await),
            What::Stop { reason } => crash_of(instance.stop(stop_reason(&reason), deadline).await),
            What::Alone => instance.run_alone().await.err(),
            What::Message(message) => {
                if message.is_gone {
                    // It was turned away before the guest was asked.
                    return Ok(Played { crash: None, parted: None, frames: Vec::new() });
                }
                let (envelope, left) = message.envelope().ok_or_else(none)?;
                if message.is_query {
                    instance.turn().begin_query();
                }
                crash_of(instance.handle(&envelope, left, deadline).await)
            }
        };
        let turn = instance.turn();
        let script = turn.script.take();
        turn.discard();
        Ok(played(crash, script))
    }
}

fn crash_of<T>(ran: Ran<T>) -> Option<Crash> {
    match ran {
        Ran::Crashed(crash) => Some(crash),
        Ran::Done(_) | Ran::Fault(_) => None,
    }
}

fn played(crash: Option<Crash>, script: Option<Box<Script>>) -> Played {
    let (parted, frames) = match script.map(|script| *script) {
        Some(Script::Replayed(replaying)) => replaying.end(),
        _ => (None, Vec::new()),
    };
    Played { crash, parted, frames }
}

/// Whether time was up, which it is at any call.
fn is_of_time(crash: &Crash) -> bool {
    matches!(crash, Crash::Deadline { .. } | Crash::Budget { .. } | Crash::Tick)
}

/// In what a crash differs from the one that was recorded. Where time or the stack is up is not the guest's doing.
fn compare(capsule: &Capsule, crash: &Crash, replayed: &mut Replayed) {
    let (code, text) = (crash.code(), crash.to_string());
    if code != capsule.code {
        replayed.differs.push(format!("it was {}, and is {code}", capsule.code));
    }
    if text != capsule.text {
        replayed.differs.push(format!("it was {:?}, and is {text:?}", capsule.text));
    }
    let somewhere = is_of_time(crash) || matches!(crash, Crash::StackOverflow { .. });
    if !somewhere && replayed.frames != capsule.frames {
        let told = |frames: &[Frame]| frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (was, is) = (told(&capsule.frames), told(&replayed.frames));
        replayed.differs.push(format!("it was in {was}, and is in {is}"));
    }
}
