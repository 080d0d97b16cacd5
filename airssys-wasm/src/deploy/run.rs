//! Carries a deployment out: what `decide` says is done here, to actors that run, sleep, crash and hang meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::decide::{self, Action, Event};
use super::record::{Page, RecordError};
use super::{DeployOptions, Deployment, Met, Progress, Setback, Wish};
use crate::actor::{Claim, Control, Post, Probation, Roster, Serving, Swap, Swapped, Waking, Way, check, start};
use crate::engine::{Engines, Template};
use crate::error::{Crash, Fault};
use crate::router::service::Terms;
use crate::state::Saved;

/// How long it waits before it asks an actor again that did not run when it was asked.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// The probation of one of several, which somebody else ends.
const UNENDING: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How often each actor is asked for its health over a probation, and the time between two of those at least and at most.
const PROBES: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(5);

/// What is to be deployed, and where.
pub(crate) struct Order {
    pub(crate) engines: Arc<Engines>,
    pub(crate) posts: Posts,
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) options: DeployOptions,
    /// What the states of each actor are put back to, where turns are to be discarded.
    pub(crate) put_back: Option<Vec<Before>>,
    /// Where it is written down.
    pub(crate) page: Arc<Page>,
    /// Whether it is one of several, whose probation ends together.
    pub(crate) joint: bool,
}

/// The actors of a service.
pub(crate) enum Posts {
    /// There are always as many.
    Fixed(Arc<[Post]>),
    /// They come and go. Those that wake while a deployment is under way wake with the new release; for `decide` they are one.
    Keyed(Arc<Roster>),
}

impl Posts {
    /// As many as are switched one by one, as `decide` counts them.
    fn len(&self) -> usize {
        match self {
            Self::Fixed(posts) => posts.len(),
            Self::Keyed(_) => 1,
        }
    }

    fn fixed(&self) -> &[Post] {
        match self {
            Self::Fixed(posts) => posts,
            Self::Keyed(_) => &[],
        }
    }
}

/// What an actor's states were before they were brought over to another schema.
pub(crate) type Before = Arc<Vec<Saved>>;

/// A deployment, and the task that carries it out; `ended` is told its end before anybody else, and what each actor's states were before.
pub(crate) fn begin(order: Order, ended: impl FnOnce(&Progress, Vec<Before>) + Send + 'static) -> Deployment {
    let actors = order.posts.len();
    let (told, progress) = watch::channel(Progress::Switching { switched: 0, actors });
    let (wish, wishes) = mpsc::unbounded_channel();
    let met = Arc::<Met>::default();
    let meets = Arc::clone(&met);
    tokio::spawn(async move {
        let saved = vec![Before::default(); actors];
        let mut running =
            Running { order, told: &told, met: meets, before: Vec::new(), saved, setback: None, woke_with: None };
        let end = running.run(wishes).await;
        ended(&end, running.saved);
        told.send_replace(end);
    });
    Deployment { progress, wish, met }
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
    /// What the actors of a keyed service woke with before.
    woke_with: Option<Waking>,
}

/// The other end of what an actor says that went back by itself.
type Failed = mpsc::UnboundedSender<(usize, Crash)>;

impl Running<'_> {
    async fn run(&mut self, mut wishes: mpsc::UnboundedReceiver<Wish>) -> Progress {
        let actors = self.order.posts.len();
        if let Err(error) = self.write_down(|page| page.begin()).await {
            return Progress::RolledBack { reason: Setback::NotRecorded(error) };
        }
        self.before = self.order.posts.fixed().iter().map(|post| post.live.serving()).collect();
        let (failed, mut failures) = mpsc::unbounded_channel();
        let (mut deployment, mut action) = decide::Deployment::begin(actors);
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
                    let probation = self.order.options.probation;
                    let until = *until.get_or_insert_with(|| match self.order.joint {
                        false => Instant::now() + probation,
                        true => Instant::now() + UNENDING,
                    });
                    loop {
                        let asked_at = until.min(Instant::now() + (probation / PROBES).clamp(SHORTEST, LONGEST));
                        let answer = tokio::select! {
                            biased;
                            Some((actor, crash)) = failures.recv() => {
                                self.setback.get_or_insert(Setback::Crashed(crash));
                                break self.crashed(actor);
                            }
                            Some(wish) = wishes.recv() => match wish {
                                Wish::GoBack(why) => {
                                    self.setback.get_or_insert(why);
                                    break Event::Cancelled;
                                }
                                Wish::Prove => break Event::Proved,
                                Wish::Check(answer) => Some(answer),
                            },
                            () = tokio::time::sleep_until(asked_at) => None,
                        };
                        if let Some(fault) = self.unwell().await {
                            self.setback.get_or_insert(Setback::Unwell(fault));
                            break Event::Cancelled;
                        }
                        match answer {
                            Some(answer) => drop(answer.send(())),
                            None if asked_at == until => break Event::Proved,
                            None => {}
                        }
                    }
                }
                Action::Revert(actor) => {
                    self.revert(actor).await;
                    Event::Reverted
                }
                Action::Settle => {
                    // One that crashed at this very moment has gone back, and says so.
                    let gone_back = match &self.order.posts {
                        Posts::Fixed(posts) => posts.iter().filter(|post| !post.live.settle()).count(),
                        Posts::Keyed(roster) => roster.settle(),
                    };
                    match gone_back {
                        0 => Event::Settled,
                        _ => match failures.recv().await {
                            Some((actor, crash)) => {
                                self.setback.get_or_insert(Setback::Crashed(crash));
                                self.crashed(actor)
                            }
                            None => Event::Cancelled,
                        },
                    }
                }
                Action::Live => return Progress::Live,
                Action::Old => {
                    let end = self.gone_back();
                    if let Progress::RolledBack { reason } | Progress::Suspended { reason, .. } = &end {
                        let reason = reason.to_string();
                        if let Err(error) = self.write_down(|page| page.go_back(reason)).await {
                            tracing::error!(target: "airssys::deploy", error, "the end of a deployment is not written down");
                        }
                    }
                    return end;
                }
            };
            // On disk before anybody is told, and before it cannot go back by itself any more.
            let event = match event {
                Event::Proved => match self.write_down(|page| page.prove()).await {
                    Ok(()) => Event::Proved,
                    Err(error) => {
                        self.setback.get_or_insert(Setback::NotRecorded(error));
                        Event::Cancelled
                    }
                },
                event => event,
            };
            // What happened beside it comes first, so that nothing is switched that is to go back.
            let mut next = None;
            while let Ok((actor, crash)) = failures.try_recv() {
                self.setback.get_or_insert(Setback::Crashed(crash));
                next = deployment.next(self.crashed(actor)).or(next);
            }
            if let Ok(Wish::GoBack(why)) = wishes.try_recv() {
                self.setback.get_or_insert(why);
                next = deployment.next(Event::Cancelled).or(next);
            }
            next = deployment.next(event).or(next);
            match next {
                Some(next) => action = next,
                None => unreachable!("an action's own event always says what is next"),
            }
        }
    }

    /// What the first actor says that is not well. One that does not run, or does not come to it in time, says nothing: its crash would.
    async fn unwell(&self) -> Option<Fault> {
        let awake = match &self.order.posts {
            Posts::Fixed(_) => Vec::new(),
            Posts::Keyed(roster) => roster.awake(),
        };
        for post in self.order.posts.fixed().iter().chain(awake.iter().map(|post| &**post)) {
            if let Some(Err(fault)) = check(post, self.order.options.handover_deadline).await {
                return Some(fault);
            }
        }
        None
    }

    /// Writes something down, off the runtime's threads.
    async fn write_down(
        &self,
        what: impl FnOnce(&Page) -> Result<(), RecordError> + Send + 'static,
    ) -> Result<(), String> {
        let page = Arc::clone(&self.order.page);
        match tokio::task::spawn_blocking(move || what(&page)).await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// The end where the old release came back.
    fn gone_back(&mut self) -> Progress {
        let reason = self.setback.take().unwrap_or(Setback::Cancelled);
        let suspended: Vec<(Crash, u64)> =
            self.order.posts.fixed().iter().filter_map(|post| post.live.suspended()).collect();
        let turns = suspended.iter().map(|(_, turns)| turns).sum();
        match suspended.into_iter().next() {
            Some((crash, _)) => Progress::Suspended { reason, crash, turns },
            None => Progress::RolledBack { reason },
        }
    }

    /// An actor went back by itself. Of a keyed service the others have to be asked to.
    fn crashed(&self, actor: usize) -> Event {
        match self.order.posts {
            Posts::Fixed(_) => Event::Crashed(actor),
            Posts::Keyed(_) => Event::Cancelled,
        }
    }

    /// Lets the new release take this actor over, or all that are awake.
    async fn switch(&mut self, actor: usize, failed: &Failed) -> Result<(), Setback> {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                let posts = Arc::clone(posts);
                let post = posts.get(actor).ok_or(Setback::Cancelled)?;
                self.saved[actor] = self.switch_one(post, actor, failed).await?;
                Ok(())
            }
            Posts::Keyed(roster) => {
                let roster = Arc::clone(roster);
                let switched = self.switch_all(&roster, failed).await;
                if switched.is_err() {
                    self.revert_all(&roster).await;
                }
                switched
            }
        }
    }

    async fn switch_all(&mut self, roster: &Roster, failed: &Failed) -> Result<(), Setback> {
        let (told, crashes) = mpsc::unbounded_channel();
        forward(crashes, 0, failed);
        let Order { template, terms, .. } = &self.order;
        let (before, awake) = roster.wake_with(|before| Waking {
            template: Arc::clone(template),
            terms: Arc::clone(terms),
            probation: Some((Box::new(before.clone()), told)),
        });
        self.woke_with = Some(before);
        let actors = awake.len();
        for (switched, post) in awake.iter().enumerate() {
            self.told.send_replace(Progress::Switching { switched, actors });
            match self.switch_one(post, 0, failed).await {
                // It fell asleep, and wakes with the new one.
                Err(_) if post.is_closed() => {}
                switched => drop(switched?),
            }
        }
        Ok(())
    }

    async fn switch_one(&self, post: &Post, actor: usize, failed: &Failed) -> Result<Before, Setback> {
        let Order { engines, template, terms, options, put_back, .. } = &self.order;
        let until = Instant::now() + options.handover_deadline;
        let before = post.live.serving();
        let next = Arc::new(before.with(template, terms));
        loop {
            // Made beside the old one, so that the pause is no longer than the switch.
            let prepared = match put_back {
                // Its state is not there yet.
                Some(_) => None,
                None => Some(start(engines, &next).await.map_err(Setback::NotStarted)?),
            };
            let (told, crashes) = mpsc::unbounded_channel();
            let (answer, answered) = oneshot::channel();
            let claim = Arc::<Claim>::default();
            let way = match put_back.as_ref().and_then(|put_back| put_back.get(actor)) {
                Some(saved) => Way::Back { saved: Arc::clone(saved), discard: true },
                None => Way::Forth(Probation { before: Arc::clone(&before), failed: told, saved: Before::default() }),
            };
            let swap = Swap { next: Arc::clone(&next), prepared, way, until, claim: Arc::clone(&claim), answer };
            match hand_over(post, swap, &claim, answered, until).await {
                Some(Ok(Swapped { old, pause, waiting, saved })) => {
                    let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
                    self.met.pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
                    self.met.waiting.fetch_max(waiting, Ordering::Relaxed);
                    // Only now: it takes its memory apart.
                    drop(old);
                    forward(crashes, actor, failed);
                    return Ok(saved);
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

    /// Puts the old release back under this actor, or all that are awake.
    async fn revert(&self, actor: usize) {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                if let Some(post) = posts.get(actor) {
                    self.revert_one(post, &self.before[actor], &self.saved[actor]).await;
                }
            }
            Posts::Keyed(roster) => self.revert_all(roster).await,
        }
    }

    async fn revert_all(&self, roster: &Roster) {
        let Some(before) = &self.woke_with else { return };
        let (_, awake) = roster.wake_with(|_| before.clone());
        for post in awake {
            let serving = post.live.serving();
            if Arc::ptr_eq(&serving.template, &self.order.template) {
                let old = Arc::new(serving.with(&before.template, &before.terms));
                self.revert_one(&post, &old, &Before::default()).await;
            }
        }
    }

    /// At once where it runs, and otherwise when it starts again.
    async fn revert_one(&self, post: &Post, before: &Arc<Serving>, saved: &Before) {
        let until = Instant::now() + self.order.options.handover_deadline;
        while !Arc::ptr_eq(&post.live.serving().template, &before.template) {
            let (answer, answered) = oneshot::channel();
            let claim = Arc::<Claim>::default();
            let way = Way::Back { saved: Arc::clone(saved), discard: false };
            let next = Arc::clone(before);
            let swap = Swap { next, prepared: None, way, until, claim: Arc::clone(&claim), answer };
            match hand_over(post, swap, &claim, answered, until).await {
                Some(Ok(Swapped { old, .. })) => drop(old),
                // It does not start, or nobody lets it: whoever starts next in this place starts with it.
                Some(Err(_)) => post.live.put_back(before),
                None if Instant::now() >= until || post.is_closed() => post.live.put_back(before),
                None => sleep(ASK_AGAIN).await,
            }
        }
    }
}

/// Passes on what an actor says that went back by itself.
fn forward(mut crashes: mpsc::UnboundedReceiver<Crash>, actor: usize, failed: &Failed) {
    let failed = failed.clone();
    tokio::spawn(async move {
        while let Some(crash) = crashes.recv().await {
            if failed.send((actor, crash)).is_err() {
                return;
            }
        }
    });
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
