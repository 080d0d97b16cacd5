//! Deployments: another release takes a service over, in place, while messages keep flowing.
//!
//! The new release is compiled, linked, initialised and checked beside the old one, with its effects held back. Then each actor of the service lets it
//! take over between two turns: address, mailbox and state stay where they are, and code, grants, limits and configuration switch together. For a while
//! the new release is on probation: an actor that crashes on it puts the old one back itself, before the next turn, with the message still in hand, and
//! the others follow.
//!
//! `decide` says what is next, `run` carries it out, and `records` writes it down. Invariant: what was reported as live survives every later crash of the service; what was not is
//! nowhere live.

mod anew;
mod asked;
mod bad_choice;
mod choice;
mod decide;
mod gate;
mod health;
mod intent;
mod order;
mod plan;
mod record;
mod records;
mod recovery;
mod report;
mod run;
mod seats;
mod set;
mod settings;
mod source;
mod status;
mod strategy;
mod switch;
mod taken;
mod tier;
mod ungranted;

pub(crate) use anew::begin_anew;
pub use asked::{Asked, Capability, Granted};
pub use bad_choice::BadChoice;
pub use choice::{Choice, Tolerate};
pub use gate::{Gate, NoTraffic, Seen};
pub(crate) use intent::SetId;
pub use intent::Step;
pub(crate) use order::{Order, Posts, Restore};
pub use plan::{Change, Changes, Memory, Party, Plan, PlanRefusal, Reach, Schemas, Stored};
pub(crate) use plan::{Side, plan};
pub use record::{Ended, RecordError};
pub(crate) use records::{Page, Records};
pub use records::{damage, forget, needed};
pub use recovery::Recovery;
pub(crate) use run::begin;
pub(crate) use seats::seats;
pub(crate) use set::{Begun, callees_first, together, undo};
pub use settings::Setting;
pub use source::Source;
pub use status::{Differing, Lost, State, Status};
pub(crate) use strategy::Unfit;
pub use strategy::{Canary, Portion, Rolling, Shadow, Strategy};
pub(crate) use tier::tier_up;
pub use ungranted::Ungranted;
pub(crate) use ungranted::ungranted;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use self::taken::Taken;
pub use crate::actor::{Divergence, MemoryHandover, Rehearsed};
use crate::engine::TemplateError;
use crate::error::{Crash, Fault};
use crate::hint::{Act, Hint};
use crate::limits::{OutOfRange, SHADOW_BYTES};
use crate::registry::{StoreError, Untrusted};
use crate::schema::{MILLISECOND, Range, nanoseconds, size_text};
use crate::topology::FolderError;

/// How a deployment goes about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployOptions {
    /// How long an actor has to come to the end of its turn and let the new release take over; default 30 s. Then the turn is cut off, as a crash
    /// ([`Crash::CutOff`]), and the new release has as long again to take the place. Where [`MemoryHandover::Required`] asks for memory that a turn that is
    /// cut off does not hand over, the old one stays.
    pub handover_deadline: Duration,
    /// How long a crash of the new release, or a health check that fails twice in a row, brings the old one back; default 10 s. Each actor is asked ten times
    /// meanwhile, at least every 5 s.
    pub probation: Duration,
    /// Whether the new release may have a version that is not newer than that of the live one, and a state schema that is older.
    pub allow_downgrade: bool,
    /// Whether the new release may have the very version of the live one and be another one all the same, as while developing.
    pub same_version: bool,
    /// Whether a release is refused that asks for more than is granted.
    pub strict: bool,
    /// In which order the actors get it; default: one straight after the other.
    pub strategy: Strategy,
    /// What the new release of a canary, of a shadow, or of a rolling deployment that compares, has to show.
    pub gate: Gate,
    /// What becomes of the memory that the live release is to hand over; default: where it cannot, the new one begins without it, and [`LeftOut`] says so.
    pub memory: MemoryHandover,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            handover_deadline: Duration::from_secs(30),
            probation: Duration::from_secs(10),
            allow_downgrade: false,
            same_version: false,
            strict: false,
            strategy: Strategy::default(),
            gate: Gate::default(),
            memory: MemoryHandover::default(),
        }
    }
}

impl DeployOptions {
    /// Refuses times that have passed before anything begins, or that no clock has.
    pub(crate) fn check(&self) -> Result<(), DeployError> {
        let bake = match &self.strategy {
            Strategy::Rolling(rolling) => rolling.bake,
            _ => self.gate.bake,
        };
        let times = [
            (Range::time("handover_deadline", MILLISECOND), self.handover_deadline),
            (Range::time("probation", 0), self.probation),
            (Range::time("bake", 0), bake),
            (Range::time("patience", 0), self.gate.patience),
        ];
        let out = times.into_iter().find_map(|(range, time)| range.check(nanoseconds(time)));
        out.map_or(Ok(()), |out| Err(DeployError::Range { out }))
    }
}

/// Why a deployment was not begun. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// Nobody runs who could take a release over, and nobody will.
    #[error("{service} is stopped")]
    Stopped {
        /// The service.
        service: String,
    },
    /// One at a time.
    #[error("a deployment of {service} is under way")]
    UnderWay {
        /// The service.
        service: String,
    },
    /// The strategy cannot keep its promise for the service.
    #[error("{service} cannot be deployed {strategy}: {why}")]
    Unfit {
        /// The service.
        service: String,
        /// The strategy.
        strategy: &'static str,
        /// Why not.
        why: &'static str,
        /// Which one can.
        instead: &'static str,
    },
    /// It is live already.
    #[error("{service} is served by this very release already; nothing was done")]
    AlreadyLive {
        /// The service.
        service: String,
    },
    /// There is nothing to go back to.
    #[error("{service} has had no other release since the mesh was started")]
    NoPrevious {
        /// The service.
        service: String,
    },
    /// The state was not brought over to another schema.
    #[error("{service} has no state from before to go back to: the live release did not bring it over")]
    NoSavedState {
        /// The service.
        service: String,
    },
    /// Nobody who is trusted signed it.
    #[error("{service}: {source}")]
    Untrusted {
        /// The service.
        service: String,
        /// What is wrong with its signatures.
        source: Untrusted,
    },
    /// Its version is not newer.
    #[error("{service} is served by version {live}, and {version} is not newer")]
    Downgrade {
        /// The service.
        service: String,
        /// The version that is live.
        live: String,
        /// That of the release.
        version: String,
    },
    /// It has the version of the live one, and is another one.
    #[error(
        "{service} is served by version {version} already, and this is the same version with {what}: sha256 {live} is live, and this one has {offered}"
    )]
    SameVersion {
        /// The service.
        service: String,
        /// The version of both.
        version: String,
        /// `another binary` or `another Component.toml`.
        what: &'static str,
        /// The SHA-256 of the component that is live.
        live: String,
        /// That of the release.
        offered: String,
    },
    /// It keeps its state in an older schema.
    #[error("{service} keeps its state in schema {live}, and the release in {schema}, which is older")]
    OlderSchema {
        /// The service.
        service: String,
        /// The schema that is live.
        live: u32,
        /// That of the release.
        schema: u32,
    },
    /// It does not export what the live one exports.
    #[error(
        "{service}: the release does not export what the live one does: {}",
        .broken.join("; ")
    )]
    Incompatible {
        /// The service.
        service: String,
        /// Each export that is gone or has another type, and how it differs.
        broken: Vec<String>,
    },
    /// It asks for more than is granted, and that was not to be.
    #[error("{0}")]
    NotGranted(Box<Ungranted>),
    /// Its bytes cannot be kept in the data folder, so that it could not be started again.
    #[error("{service}: the release cannot be kept: {source}")]
    NotKept {
        /// The service.
        service: String,
        /// Why not.
        source: Box<StoreError>,
    },
    /// A time of the options is none.
    #[error("{out}")]
    Range {
        /// Which, and what it may be.
        out: OutOfRange,
    },
    /// A guest may write to where it lies.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The release cannot be hosted.
    #[error("{service}: {source}")]
    Release {
        /// The service.
        service: String,
        /// Why not.
        source: TemplateError,
    },
}

impl DeployError {
    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::Stopped { .. } => "stopped",
            Self::UnderWay { .. } => "under-way",
            Self::Unfit { .. } => "unfit",
            Self::AlreadyLive { .. } => "already-live",
            Self::NoPrevious { .. } => "no-previous",
            Self::NoSavedState { .. } => "no-saved-state",
            Self::Untrusted { .. } => "untrusted",
            Self::Downgrade { .. } => "downgrade",
            Self::SameVersion { .. } => "same-version",
            Self::OlderSchema { .. } => "older-schema",
            Self::Incompatible { .. } => "incompatible",
            Self::NotGranted(_) => "not-granted",
            Self::NotKept { .. } => "not-kept",
            Self::Range { .. } => "range",
            Self::Folder(_) => "folder",
            Self::Release { .. } => "release",
        }
    }
}

impl DeployError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::NoSuchService { .. } => Act::ListServices.into(),
            Self::Stopped { service } => Act::Start { service: service.clone() }.into(),
            Self::UnderWay { .. } => "wait until it has ended, or cancel it".into(),
            Self::Unfit { instead, .. } => (*instead).into(),
            Self::NoPrevious { .. } => "deploy the one it is to have".into(),
            Self::NoSavedState { .. } => Act::KeepState.into(),
            Self::Downgrade { .. } => Hint::from("give the release a newer version, ")
                .act(Act::GoBack)
                .words(", or ")
                .act(Act::AllowDowngrade),
            Self::SameVersion { .. } => Hint::from("give the release a newer version, or ")
                .act(Act::SameVersion)
                .words(" where that is meant, as while developing"),
            Self::OlderSchema { .. } => {
                Hint::from("where its `migrate` brings such a state back, ").act(Act::AllowDowngrade)
            }
            Self::Incompatible { .. } => {
                "export it as it was beside what is new, or make it a service of its own".into()
            }
            Self::NotGranted(found) => found.line.clone().into(),
            Self::Range { out } => out.hint().into(),
            Self::Untrusted { source, .. } => source.hint(),
            Self::NotKept { source, .. } => return source.hint(),
            Self::Folder(error) => error.hint(),
            Self::Release { source, .. } => return source.hint(),
            Self::AlreadyLive { .. } => return None,
        };
        Some(hint)
    }
}

impl Setback {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoMemory(_) => Some(Act::DoWithoutMemory.into()),
            Self::Behind { .. } => Some("try it with less traffic, or with another strategy".into()),
            Self::TooFew { .. } => Some("ask for fewer, or for more time".into()),
            Self::Stopped => Some("start the service first".into()),
            _ => None,
        }
    }
}

/// Where a deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The new release is being made ready, or takes over actor by actor.
    Switching {
        /// The actors that have it.
        switched: usize,
        /// All of them.
        actors: usize,
    },
    /// The new release is shown what the old one does.
    Rehearsing {
        /// How the two releases do, when it was looked at.
        compared: Option<Compared>,
        /// That its time is over, and what it waits for.
        waits: Option<Waits>,
    },
    /// Some actors, or a share of the keys, serve with it, and are looked at before more do.
    Baking {
        /// The step that was made last, from 1.
        step: usize,
        /// All of them; after the last one all serve with it.
        steps: usize,
        /// How many serve with it, or wake with it; at least one where there is one. Of a pool, its members that run; of a keyed service, its keys that are
        /// awake or have a state. Keys are counted again now and then while it lasts.
        have: usize,
        /// How many of these there are.
        of: usize,
        /// How the two releases do in this step, where they are compared.
        compared: Option<Compared>,
        /// That its time is over, and what it waits for.
        waits: Option<Waits>,
    },
    /// All actors serve with it, on probation.
    Probation,
    /// It is over, and the new release is live.
    Live,
    /// It is over, and the old release is live, as before.
    RolledBack {
        /// Why.
        reason: Setback,
    },
    /// It is over, the old release came back, and it cannot read the state that the new one left. Messages wait. Deploy a release that can, or go back
    /// with [`crate::Runtime::restore_state`], which discards turns.
    Suspended {
        /// Why the new release is not live.
        reason: Setback,
        /// Why the old one does not serve.
        crash: Crash,
        /// How many committed turns going back discards.
        turns: u64,
    },
}

impl Progress {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Live | Self::RolledBack { .. } | Self::Suspended { .. })
    }
}

/// Why the old release is live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Setback {
    /// The new one did not start.
    #[error("the new release did not start: {0}")]
    NotStarted(Crash),
    /// The live one did not hand its memory over, without which it was not to go.
    #[error("the live release did not hand its memory over: {0}")]
    NoMemory(Crash),
    /// An actor did not come to the end of its turn, or does not run.
    #[error("an actor did not let it take over within {}; its turn is long, or it does not come to start", humantime::format_duration(*.0))]
    NoHandover(Duration),
    /// An actor was stopped meanwhile, or had been, and is not started again.
    #[error("an actor is stopped")]
    Stopped,
    /// It crashed on probation.
    #[error("the new release crashed on probation: {0}")]
    Crashed(Crash),
    /// Its health check said twice in a row that it is not well, on probation.
    #[error("the new release is not well: {0}")]
    Unwell(Fault),
    /// More of its turns failed than of the old one's.
    #[error("the new release failed {} of {} turns, and the old one {} of {}", .new.failed, .new.turns, .old.failed, .old.turns)]
    Failing {
        /// What is known of the old release.
        old: Seen,
        /// And of the new one.
        new: Seen,
    },
    /// Its turns took longer.
    #[error("the new release took {:?} for a turn, and the old one {:?} (95th percentile)", .new.p95, .old.p95)]
    Slow {
        /// What is known of the old release.
        old: Seen,
        /// And of the new one.
        new: Seen,
    },
    /// It does something else than the old one.
    #[error("the new release differs over {differing} of {compared} messages; the first: {first}")]
    Differs {
        /// The messages that it was shown.
        compared: u64,
        /// Those over which it differs.
        differing: u64,
        /// The first of them, and in what.
        first: String,
    },
    /// Its shadow was given up.
    #[error(
        "the new release does not keep up with the old one: after {compared} messages, what its shadow has not seen yet would take more than {}",
        size_text(SHADOW_BYTES as u64)
    )]
    Behind {
        /// The messages that were compared.
        compared: u64,
    },
    /// Too few turns to compare the two.
    #[error("there were too few turns to compare the two releases within {}", humantime::format_duration(*.patience))]
    TooFew {
        /// For how long it waited.
        patience: Duration,
    },
    /// It cannot be written down, and would not outlive the process.
    #[error("it cannot be written down: {0}")]
    NotRecorded(String),
    /// Another one of the same set is not live.
    #[error("{service}, of the same set, went back: {why}")]
    OfTheSet {
        /// The service.
        service: String,
        /// Why.
        why: String,
    },
    /// Somebody wanted so.
    #[error("it was cancelled")]
    Cancelled,
}

/// A deployment that is under way, or over.
#[derive(Debug, Clone)]
pub struct Deployment {
    progress: watch::Receiver<Progress>,
    wish: mpsc::UnboundedSender<Wish>,
    met: Arc<Met>,
}

/// How far a deployment is, each time that it is further.
#[derive(Debug)]
pub struct Following(watch::Receiver<Progress>);

impl Following {
    /// Where it is, when that is not what this told last; the first time at once. What it was in between is left out. None when its end was told, or the mesh
    /// ended in the middle of it.
    pub async fn next(&mut self) -> Option<Progress> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

/// What is wanted of a deployment.
#[derive(Debug)]
enum Wish {
    GoBack(Setback),
    /// Answer when all actors say that they are well.
    Check(oneshot::Sender<()>),
    /// End the probation, and wait for the others of the set.
    Join(Joined),
}

/// What one of several deployments and who sees to all of them say to each other at the end.
#[derive(Debug)]
struct Joined {
    /// None of its actors goes back by itself any more.
    settled: oneshot::Sender<()>,
    /// What becomes of all; where nobody says so, it goes back.
    verdict: oneshot::Receiver<Result<(), Setback>>,
}

/// Two releases, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The one that is live.
    pub old: Seen,
    /// The one that is to be.
    pub new: Seen,
}

/// A step whose time is over, and which has seen too few turns to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// For how many turns of each release it waits.
    pub samples: u64,
    /// What becomes of it where they do not come.
    pub no_traffic: NoTraffic,
    /// Whether its patience is over as well: it goes on when there is traffic, or when somebody cancels it.
    pub held: bool,
}

/// What the switches of a deployment met with: the most of each.
#[derive(Debug, Default)]
struct Met {
    pause_ns: AtomicU64,
    waiting: AtomicUsize,
    rehearsed: Mutex<Rehearsed>,
    left_out: Mutex<LeftOut>,
}

/// What a deployment went on without, since what was there before is stopped or sick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The actors that do not run: members that ended for good, and those whose group waits for another one before they are started. What is started there
    /// starts with the new release.
    pub passed_over: Vec<String>,
    /// The actors that were to get the memory of the release before, and did not.
    pub without_memory: Option<WithoutMemory>,
    /// The keys and children that start neither with the new release nor with the one before. They stay as they are, and start with the new one next.
    pub sick: Option<Sick>,
    /// The actors whose turn was cut off, since it was not over at the handover deadline.
    pub cut_off: Option<CutOff>,
}

/// Actors that start with neither release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sick {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
    /// Why it does not start with the new one.
    pub crash: Crash,
}

/// Actors whose turn was cut off for the release that took over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
}

/// Actors whose new release began without the memory of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithoutMemory {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
    /// What happened there when the memory was to be handed over.
    pub crash: Crash,
}

impl LeftOut {
    /// A sentence for each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let passed_over = (!self.passed_over.is_empty()).then(|| {
            format!(
                "passed over, since they do not run: {}; where they are started again, it is with the new release",
                self.passed_over.join(", ")
            )
        });
        let without_memory = self.without_memory.as_ref().map(|WithoutMemory { actors, first, crash }| {
            let others = and_more(*actors);
            format!("{first}{others} took over without the memory of the release before: {crash}")
        });
        let cut_off = self.cut_off.as_ref().map(|CutOff { actors, first }| {
            let others = and_more(*actors);
            format!("cut off the turn of {first}{others}, which was not over at the handover deadline")
        });
        let sick = self.sick.as_ref().map(|Sick { actors, first, crash }| {
            let others = and_more(*actors);
            format!("{first}{others} did not start, and does not with the release before either: {crash}; it starts with the new release next")
        });
        passed_over.into_iter().chain(sick).chain(without_memory).chain(cut_off).collect()
    }
}

fn and_more(actors: usize) -> String {
    if actors == 1 { String::new() } else { format!(" and {} more", actors - 1) }
}

impl Met {
    fn lock_left_out(&self) -> std::sync::MutexGuard<'_, LeftOut> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rehearsed(&self, found: &Rehearsed) {
        self.rehearsed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(found);
    }

    /// What became of an actor of this name.
    fn see(&self, actor: &str, taken: &Taken) {
        let swapped = match taken {
            Taken::Switched(swapped) => swapped,
            Taken::PassedOver => return self.lock_left_out().passed_over.push(actor.to_owned()),
            Taken::Sick(crash) => {
                let mut left_out = self.lock_left_out();
                let first = || Sick { actors: 0, first: actor.to_owned(), crash: crash.clone() };
                left_out.sick.get_or_insert_with(first).actors += 1;
                return;
            }
        };
        if let Some(crash) = &swapped.without_memory {
            let mut left_out = self.lock_left_out();
            let first = || WithoutMemory { actors: 0, first: actor.to_owned(), crash: crash.clone() };
            left_out.without_memory.get_or_insert_with(first).actors += 1;
        }
        if swapped.cut_off {
            let mut left_out = self.lock_left_out();
            let first = || CutOff { actors: 0, first: actor.to_owned() };
            left_out.cut_off.get_or_insert_with(first).actors += 1;
        }
        let pause_ns = u64::try_from(swapped.pause.as_nanos()).unwrap_or(u64::MAX);
        self.pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
        self.waiting.fetch_max(swapped.waiting, Ordering::Relaxed);
    }
}

impl Deployment {
    /// Where it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Follows it from where it is now.
    #[must_use]
    pub fn follow(&self) -> Following {
        let mut progress = self.progress.clone();
        progress.mark_changed();
        Following(progress)
    }

    /// Waits until all actors serve with the new release, or it is over.
    pub async fn switched(&self) -> Progress {
        self.wait(|progress| {
            !matches!(progress, Progress::Switching { .. } | Progress::Rehearsing { .. } | Progress::Baking { .. })
        })
        .await
    }

    /// Waits until it is over.
    pub async fn ended(&self) -> Progress {
        self.wait(Progress::is_over).await
    }

    /// The longest that an actor took no message over the switch, so far: from the end of the old release's last turn until the new one takes messages.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_nanos(self.met.pause_ns.load(Ordering::Relaxed))
    }

    /// The most messages that waited in one mailbox when its actor was switched, so far.
    #[must_use]
    pub fn waited(&self) -> usize {
        self.met.waiting.load(Ordering::Relaxed)
    }

    /// What was found when the new release was shown what the old one does, so far; empty where it was not.
    #[must_use]
    pub fn rehearsed(&self) -> Rehearsed {
        self.met.rehearsed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it went on without, so far: members of a pool that do not run, and memory that was not handed over.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.met.lock_left_out().clone()
    }

    /// Brings the old release back. Does nothing where it is over.
    pub fn cancel(&self) {
        self.go_back(Setback::Cancelled);
    }

    pub(crate) fn go_back(&self, why: Setback) {
        let _it_is_over = self.wish.send(Wish::GoBack(why));
    }

    /// Whether all actors say that they are well; where not, it goes back.
    async fn check(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.wish.send(Wish::Check(answer)).is_ok() && answered.await.is_ok()
    }

    /// Ends the probation, where it is on it; where to say what becomes of it then. None where it went back.
    async fn join(&self) -> Option<oneshot::Sender<Result<(), Setback>>> {
        let ((settled, is_settled), (tell, verdict)) = (oneshot::channel(), oneshot::channel());
        self.wish.send(Wish::Join(Joined { settled, verdict })).ok()?;
        is_settled.await.is_ok().then_some(tell)
    }

    async fn wait(&self, until: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| until(progress)).await {
            Ok(reached) => reached.clone(),
            // The mesh ended in the middle of it.
            Err(_) => self.progress(),
        }
    }
}
