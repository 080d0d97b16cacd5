//! Deployments: another release takes a service over, in place, while messages keep flowing.
//!
//! The new release is compiled, linked, initialised and checked beside the old one, with its effects held back. Then each actor of the service lets it
//! take over between two turns: address, mailbox and state stay where they are, and code, grants, limits and configuration switch together. For a while
//! the new release is on probation: an actor that crashes on it puts the old one back itself, before the next turn, with the message still in hand, and
//! the others follow.
//!
//! `decide` says what is next, and this carries it out. Invariant: what was reported as live survives every later crash of the service; what was not is
//! nowhere live.

mod decide;
mod plan;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use self::decide::{Action, Event};
pub use self::plan::{Asked, Capability, Change, Changes, Granted, Memory, Party, Plan, PlanRefusal, Schemas};
pub(crate) use self::plan::{Side, plan};
use crate::actor::{Claim, Control, Post, Probation, Serving, Swap, Swapped, Way, start};
use crate::engine::{Engines, Template, TemplateError};
use crate::error::Crash;
use crate::registry::Untrusted;
use crate::router::service::Terms;
use crate::state::Saved;

/// How long it waits before it asks an actor again that did not run when it was asked.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// How a deployment goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployOptions {
    /// How long an actor has to come to the end of its turn and let the new release take over; default 30 s. Then the old one stays.
    pub handover_deadline: Duration,
    /// How long a crash on the new release brings the old one back; default 10 s.
    pub probation: Duration,
    /// Whether the new release may have a version that is not newer than that of the live one.
    pub allow_downgrade: bool,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self { handover_deadline: Duration::from_secs(30), probation: Duration::from_secs(10), allow_downgrade: false }
    }
}

/// Why a deployment was not begun. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// There is no such service.
    #[error("there is no service {service:?}; hint: `airssys ps` lists them")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// One at a time.
    #[error("a deployment of {service} is under way; hint: wait until it has ended, or cancel it")]
    UnderWay {
        /// The service.
        service: String,
    },
    /// Its actors come and go.
    #[error(
        "{service} is a keyed service, and a keyed service cannot be deployed in place; hint: stop the mesh and change its topology"
    )]
    Keyed {
        /// The service.
        service: String,
    },
    /// It is live already.
    #[error("{service} is served by this very release already; nothing was done")]
    AlreadyLive {
        /// The service.
        service: String,
    },
    /// There is nothing to go back to.
    #[error("{service} has had no other release since the mesh was started; hint: deploy the one it is to have")]
    NoPrevious {
        /// The service.
        service: String,
    },
    /// The state was not brought over to another schema.
    #[error(
        "{service} has no state from before to go back to: the live release did not bring it over; hint: `airssys rollback` keeps the state"
    )]
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
    #[error(
        "{service} is served by version {live}, and {version} is not newer; hint: give the release a newer version, go back with `airssys rollback`, or say `--allow-downgrade`"
    )]
    Downgrade {
        /// The service.
        service: String,
        /// The version that is live.
        live: String,
        /// That of the release.
        version: String,
    },
    /// It does not export what the live one exports.
    #[error(
        "{service}: the release does not export what the live one does: {}; hint: export it as it was beside what is new, or make it a service of its own",
        .broken.join("; ")
    )]
    Incompatible {
        /// The service.
        service: String,
        /// Each export that is gone or has another type, and how it differs.
        broken: Vec<String>,
    },
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
            Self::UnderWay { .. } => "under-way",
            Self::Keyed { .. } => "keyed",
            Self::AlreadyLive { .. } => "already-live",
            Self::NoPrevious { .. } => "no-previous",
            Self::NoSavedState { .. } => "no-saved-state",
            Self::Untrusted { .. } => "untrusted",
            Self::Downgrade { .. } => "downgrade",
            Self::Incompatible { .. } => "incompatible",
            Self::Release { .. } => "release",
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
    /// An actor did not come to the end of its turn, or does not run.
    #[error("an actor did not let it take over within {}; it may not run, or its turn is long", humantime::format_duration(*.0))]
    NoHandover(Duration),
    /// It crashed on probation.
    #[error("the new release crashed on probation: {0}")]
    Crashed(Crash),
    /// Somebody wanted so.
    #[error("it was cancelled")]
    Cancelled,
}

/// A deployment that is under way, or over.
#[derive(Debug, Clone)]
pub struct Deployment {
    progress: watch::Receiver<Progress>,
    cancel: mpsc::UnboundedSender<()>,
    met: Arc<Met>,
}

/// What the switches of a deployment met with: the most of each.
#[derive(Debug, Default)]
struct Met {
    pause_ns: AtomicU64,
    waiting: AtomicUsize,
}

impl Deployment {
    /// Where it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until all actors serve with the new release, or it is over.
    pub async fn switched(&self) -> Progress {
        self.wait(|progress| !matches!(progress, Progress::Switching { .. })).await
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

    /// Brings the old release back. Does nothing where it is over.
    pub fn cancel(&self) {
        let _it_is_over = self.cancel.send(());
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

/// What is to be deployed, and where.
pub(crate) struct Order {
    pub(crate) engines: Arc<Engines>,
    pub(crate) posts: Arc<[Post]>,
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) options: DeployOptions,
    /// What the states of each actor are put back to, where turns are to be discarded.
    pub(crate) put_back: Option<Vec<Before>>,
}

/// What an actor's states were before they were brought over to another schema.
pub(crate) type Before = Arc<Vec<Saved>>;

/// A deployment, and the task that carries it out; `ended` is told its end before anybody else, and what each actor's states were before.
pub(crate) fn begin(order: Order, ended: impl FnOnce(&Progress, Vec<Before>) + Send + 'static) -> Deployment {
    let actors = order.posts.len();
    let (told, progress) = watch::channel(Progress::Switching { switched: 0, actors });
    let (cancel, cancelled) = mpsc::unbounded_channel();
    let met = Arc::<Met>::default();
    let meets = Arc::clone(&met);
    tokio::spawn(async move {
        let saved = vec![Before::default(); actors];
        let mut running = Running { order, told: &told, met: meets, before: Vec::new(), saved, setback: None };
        let end = running.run(cancelled).await;
        ended(&end, running.saved);
        told.send_replace(end);
    });
    Deployment { progress, cancel, met }
}

struct Running<'a> {
    order: Order,
    told: &'a watch::Sender<Progress>,
    met: Arc<Met>,
    /// What each actor that was switched served with before.
    before: Vec<Arc<Serving>>,
    /// What each actor's states were before it was switched.
    saved: Vec<Before>,
    setback: Option<Setback>,
}

impl Running<'_> {
    async fn run(&mut self, mut cancelled: mpsc::UnboundedReceiver<()>) -> Progress {
        let actors = self.order.posts.len();
        self.before = self.order.posts.iter().map(|post| post.live.serving()).collect();
        let (failed, mut failures) = mpsc::unbounded_channel();
        let (mut deployment, mut action) = decide::Deployment::begin(actors);
        let proved_at = |probation| Instant::now() + probation;
        let mut until = None;
        loop {
            let event = match action {
                Action::Switch(actor) => {
                    self.told.send_replace(Progress::Switching { switched: actor, actors });
                    match self.switch(actor, &failed).await {
                        Ok(()) => Event::Switched,
                        Err(setback) => {
                            self.setback.get_or_insert(setback);
                            Event::NotSwitched
                        }
                    }
                }
                // Nobody goes back by himself from a state that others were to be discarded for.
                Action::Watch | Action::Settle if self.order.put_back.is_some() => match action {
                    Action::Watch => Event::Proved,
                    _ => Event::Settled,
                },
                Action::Watch => {
                    self.told.send_replace(Progress::Probation);
                    let until = *until.get_or_insert_with(|| proved_at(self.order.options.probation));
                    tokio::select! {
                        biased;
                        Some((actor, crash)) = failures.recv() => {
                            self.setback.get_or_insert(Setback::Crashed(crash));
                            Event::Crashed(actor)
                        }
                        Some(()) = cancelled.recv() => {
                            self.setback.get_or_insert(Setback::Cancelled);
                            Event::Cancelled
                        }
                        () = tokio::time::sleep_until(until) => Event::Proved,
                    }
                }
                Action::Revert(actor) => {
                    self.revert(actor).await;
                    Event::Reverted
                }
                Action::Settle => {
                    // One that crashed at this very moment has gone back, and says so.
                    let gone_back = self.order.posts.iter().filter(|post| !post.live.settle()).count();
                    match gone_back {
                        0 => Event::Settled,
                        _ => match failures.recv().await {
                            Some((actor, crash)) => {
                                self.setback.get_or_insert(Setback::Crashed(crash));
                                Event::Crashed(actor)
                            }
                            None => Event::Cancelled,
                        },
                    }
                }
                Action::Live => return Progress::Live,
                Action::Old => return self.gone_back(),
            };
            // What happened beside it comes first, so that nothing is switched that is to go back.
            let mut next = None;
            while let Ok((actor, crash)) = failures.try_recv() {
                self.setback.get_or_insert(Setback::Crashed(crash));
                next = deployment.next(Event::Crashed(actor)).or(next);
            }
            if cancelled.try_recv().is_ok() {
                self.setback.get_or_insert(Setback::Cancelled);
                next = deployment.next(Event::Cancelled).or(next);
            }
            next = deployment.next(event).or(next);
            match next {
                Some(next) => action = next,
                None => unreachable!("an action's own event always says what is next"),
            }
        }
    }

    /// The end where the old release came back.
    fn gone_back(&mut self) -> Progress {
        let reason = self.setback.take().unwrap_or(Setback::Cancelled);
        let suspended: Vec<(Crash, u64)> = self.order.posts.iter().filter_map(|post| post.live.suspended()).collect();
        let turns = suspended.iter().map(|(_, turns)| turns).sum();
        match suspended.into_iter().next() {
            Some((crash, _)) => Progress::Suspended { reason, crash, turns },
            None => Progress::RolledBack { reason },
        }
    }

    /// Lets the new release take this actor over.
    async fn switch(&mut self, actor: usize, failed: &mpsc::UnboundedSender<(usize, Crash)>) -> Result<(), Setback> {
        let Order { engines, posts, template, terms, options, put_back } = &self.order;
        let until = Instant::now() + options.handover_deadline;
        let before = Arc::clone(&self.before[actor]);
        let mut identity = (*before.identity).clone();
        identity.terms = Arc::clone(terms);
        let next = Arc::new(Serving { template: Arc::clone(template), identity: Arc::new(identity) });
        loop {
            // Made beside the old one, so that the pause is no longer than the switch.
            let prepared = match put_back {
                // Its state is not there yet.
                Some(_) => None,
                None => Some(start(engines, &next).await.map_err(Setback::NotStarted)?),
            };
            let (told, mut crashes) = mpsc::unbounded_channel();
            let (answer, answered) = oneshot::channel();
            let claim = Arc::<Claim>::default();
            let way = match put_back {
                Some(saved) => Way::Back { saved: Arc::clone(&saved[actor]), discard: true },
                None => Way::Forth(Probation { before: Arc::clone(&before), failed: told, saved: Before::default() }),
            };
            let swap = Swap { next: Arc::clone(&next), prepared, way, until, claim: Arc::clone(&claim), answer };
            let post = &posts[actor];
            match hand_over(post, swap, &claim, answered, until).await {
                Some(Ok(Swapped { old, pause, waiting, saved })) => {
                    self.saved[actor] = saved;
                    let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
                    self.met.pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
                    self.met.waiting.fetch_max(waiting, Ordering::Relaxed);
                    // Only now: it takes its memory apart.
                    drop(old);
                    let failed = failed.clone();
                    tokio::spawn(async move {
                        if let Some(crash) = crashes.recv().await {
                            let _it_is_over = failed.send((actor, crash));
                        }
                    });
                    return Ok(());
                }
                Some(Err(crash)) => {
                    if put_back.is_some() {
                        post.live.put_back(&before);
                    }
                    return Err(Setback::NotStarted(crash));
                }
                // The incarnation that had the order ended with it.
                None if Instant::now() < until && !post.is_closed() => sleep(ASK_AGAIN).await,
                None => return Err(Setback::NoHandover(options.handover_deadline)),
            }
        }
    }

    /// Puts the old release back under this actor: at once where it runs, and otherwise when it starts again.
    async fn revert(&self, actor: usize) {
        let post = &self.order.posts[actor];
        let until = Instant::now() + self.order.options.handover_deadline;
        while !Arc::ptr_eq(&post.live.serving(), &self.before[actor]) {
            let (answer, answered) = oneshot::channel();
            let claim = Arc::<Claim>::default();
            let next = Arc::clone(&self.before[actor]);
            let way = Way::Back { saved: Arc::clone(&self.saved[actor]), discard: false };
            let swap = Swap { next, prepared: None, way, until, claim: Arc::clone(&claim), answer };
            match hand_over(post, swap, &claim, answered, until).await {
                Some(Ok(Swapped { old, .. })) => drop(old),
                // It does not start, or nobody lets it: whoever starts next in this place starts with it.
                Some(Err(_)) => post.live.put_back(&self.before[actor]),
                None if Instant::now() >= until || post.is_closed() => post.live.put_back(&self.before[actor]),
                None => sleep(ASK_AGAIN).await,
            }
        }
    }
}

/// Gives an actor the order and waits for its end; none where no incarnation carried it out.
async fn hand_over(
    post: &Post,
    swap: Swap,
    claim: &Claim,
    mut answered: oneshot::Receiver<Result<Swapped, Crash>>,
    until: Instant,
) -> Option<Result<Swapped, Crash>> {
    let mut order = Control::Swap(Box::new(swap));
    // It may be starting again at this moment.
    while let Err(refused) = post.order(order) {
        if Instant::now() >= until || post.is_closed() {
            return None;
        }
        order = refused;
        sleep(ASK_AGAIN).await;
    }
    match timeout_at(until, &mut answered).await {
        Ok(answer) => answer.ok(),
        Err(_elapsed) if claim.withdraw() => None,
        // It is being carried out at this moment.
        Err(_elapsed) => answered.await.ok(),
    }
}
