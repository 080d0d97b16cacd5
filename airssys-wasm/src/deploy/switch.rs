//! How actors come to the new release, and back to the old one: what a deployment asks of each of them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airssys_rt_shim::planted;
use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::order::{Order, Posts, Restore};
use super::taken::Taken;
use super::{Setback, Strategy};
use crate::actor::{
    Before, End, HeldInstance, MemoryHandover, NotSwapped, Ordered, Post, Prepared, Probation, Roster, Serving, Swap,
    SwapKind, Swapped, reads, start,
};
use crate::error::Crash;
use crate::router::place::Place;

/// How long it waits before it looks again at an actor that ended over what it was asked, or that sleeps.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// How often it looks whether an actor that is to take a release waits for its back-off.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// After which time an actor is passed over whose group waits for another one before it is started.
const HELD_FOR: Duration = Duration::from_secs(1);
/// How many sleeping actors are woken at a time to have their states back.
const AT_ONCE: usize = 64;

/// The other end of what an actor says that went back by itself.
pub(super) type Failed = mpsc::UnboundedSender<(usize, Crash)>;

impl Order {
    /// An instance for this actor.
    async fn make(&self, post: &Post) -> Result<Prepared, Crash> {
        start(&self.engines, &post.live.serving().with(&self.template, &self.terms)).await
    }

    /// Whether the first thing that the new release does is to start on a state that is there. A shadow does so where
    /// that is told as a difference.
    fn starts_at_once(&self) -> bool {
        self.restore.is_none() && !matches!(self.options.strategy, Strategy::Shadow { .. })
    }

    /// Begins to make an instance for the actor that is switched first, where it is known and its state is there.
    pub(super) fn first(&self) -> Option<JoinHandle<Result<Prepared, Crash>>> {
        let post = self.posts.fixed().get(self.seat(0)).filter(|_| self.starts_at_once())?;
        let (engines, serving) = (Arc::clone(&self.engines), post.live.serving().with(&self.template, &self.terms));
        Some(tokio::spawn(async move { start(&engines, &serving).await }))
    }

    /// Switches some actors, each with its number in the deployment: as many at a time as the strategy says, and no
    /// more after one that did not. Those that were, by their place in the list, and those that were left behind.
    pub(super) async fn switch_several(
        &self,
        places: &[(usize, &Post)],
        first: Option<Result<Prepared, Crash>>,
        failed: &Failed,
        tell: impl Fn(usize),
    ) -> (Vec<(usize, Taken)>, Option<Setback>) {
        let at_once = match &self.options.strategy {
            Strategy::Rolling(rolling) => rolling.max_unavailable.max(1),
            Strategy::BlueGreen => places.len(),
            _ => 1,
        };
        let mut made = Vec::new();
        match first {
            Some(Ok(prepared)) => made.push(prepared),
            Some(Err(crash)) => return (Vec::new(), Some(Setback::NotStarted(crash))),
            None => {}
        }
        // All are there before the first one is switched.
        if matches!(self.options.strategy, Strategy::BlueGreen) && self.restore.is_none() {
            for (_, post) in &places[made.len()..] {
                match self.make(post).await {
                    Ok(prepared) => made.push(prepared),
                    Err(crash) => return (Vec::new(), Some(Setback::NotStarted(crash))),
                }
            }
        }
        let mut made = made.into_iter();
        let mut waiting = places.iter().enumerate();
        let (mut running, mut done, mut setback) = (FuturesUnordered::new(), Vec::new(), None);
        loop {
            while running.len() < at_once
                && setback.is_none()
                && let Some((at, (actor, post))) = waiting.next()
            {
                let prepared = made.next();
                running.push(async move { (at, self.switch_or_leave(post, *actor, prepared, failed).await) });
            }
            tell(done.len());
            match running.next().await {
                Some((at, Ok(taken))) => done.push((at, taken)),
                // One of a keyed service fell asleep, and wakes with the new one.
                Some((at, Err(_))) if matches!(self.posts, Posts::Keyed(_)) && places[at].1.is_closed() => {}
                Some((_, Err(why))) => drop(setback.get_or_insert(why)),
                None => return (done, setback),
            }
        }
    }

    /// [`Order::switch_one`]. One of many that does not start with the new release, and with the one before neither,
    /// stays as it is: what is wrong with it stays with it, and it starts with the new one next.
    async fn switch_or_leave(
        &self,
        post: &Post,
        actor: usize,
        made: Option<Prepared>,
        failed: &Failed,
    ) -> Result<Taken, Setback> {
        let before = post.live.serving();
        let crash = match self.switch_one(post, actor, made, failed).await {
            Ok(Some(swapped)) => return Ok(Taken::Switched(swapped)),
            Ok(None) => return Ok(Taken::PassedOver),
            Err(Setback::NotStarted(crash)) => crash,
            Err(why) => return Err(why),
        };
        let is_one_of_many = matches!(self.posts, Posts::Keyed(_)) && self.restore.is_none();
        if !is_one_of_many || start(&self.engines, &before).await.is_ok() {
            return Err(Setback::NotStarted(crash));
        }
        let (told, crashes) = mpsc::unbounded_channel();
        let next = Arc::new(before.with(&self.template, &self.terms));
        post.live.place(next, Probation { before, failed: told });
        forward(crashes, actor, failed);
        Ok(Taken::Sick(crash))
    }

    /// None where nobody runs and nobody will start by himself: whoever is started there all the same starts with the
    /// new release.
    async fn switch_one(
        &self,
        post: &Post,
        actor: usize,
        mut made: Option<Prepared>,
        failed: &Failed,
    ) -> Result<Option<Swapped>, Setback> {
        let until = Instant::now() + self.options.handover_deadline;
        let before = post.live.serving();
        let starts = self.starts && post.has_finished();
        let next = Arc::new(before.with(&self.template, &self.terms));
        let put_back = self.put_back(post);
        let setback = loop {
            // It serves, or whoever was killed over it was followed by one who has done it.
            if put_back.is_some() && post.live.has_come_back(&next) {
                return Ok(Some(Swapped::without_pause()));
            }
            // Made beside the old one, so that the pause is no longer than the switch.
            let prepared = match (made.take(), &put_back) {
                (Some(made), _) => Some(made),
                // Its state is not there yet.
                (None, Some(_)) => None,
                (None, None) => Some(start(&self.engines, &next).await.map_err(Setback::NotStarted)?),
            };
            let (told, crashes) = mpsc::unbounded_channel();
            let probation = || Probation { before: Arc::clone(&before), failed: told.clone() };
            let kind = match &put_back {
                Some(saved) => SwapKind::Back { saved: saved.clone(), instead: Some(Arc::clone(&before)), held: None },
                None => SwapKind::Forward(probation()),
            };
            let swap = Swap::new(Arc::clone(&next), prepared, kind, self.options.memory, until);
            match self.hand_over(post, swap, &self.next_name()).await {
                Some(Ok(swapped)) => {
                    forward(crashes, actor, failed);
                    return Ok(Some(swapped));
                }
                Some(Err(NotSwapped::Failed(crash))) => break Setback::NotStarted(crash),
                Some(Err(NotSwapped::NoMemory(crash))) => break Setback::NoMemory(crash),
                // Where somebody has just started it, it is asked like any other.
                None if matches!(self.posts, Posts::Fixed(_))
                    && pass_over(post, &next, put_back.as_ref(), probation()) =>
                {
                    forward(crashes, actor, failed);
                    if !starts {
                        return Ok(None);
                    }
                    match self.start_again(post, until).await {
                        Ok(swapped) => return Ok(Some(swapped)),
                        Err(why) => break why,
                    }
                }
                // The incarnation that had the order ended with it.
                None if post.is_closed() => break Setback::Stopped,
                None if Instant::now() < until => sleep(ASK_AGAIN).await,
                None => break Setback::NoHandover(self.options.handover_deadline),
            }
        };
        if put_back.is_some() {
            self.keep_turns(post, &before).await;
        }
        Err(setback)
    }

    /// Lets what was there before go on where turns were to be discarded, with its states as they were. Whether those
    /// can be read is known when this returns.
    async fn keep_turns(&self, post: &Post, before: &Arc<Serving>) {
        let until = Instant::now() + self.options.handover_deadline;
        post.keep_turns(before);
        while post.live.comes_back() && !post.is_closed() && Instant::now() < until {
            sleep(ASK_AGAIN).await;
        }
    }

    /// What the states of an actor are put back to, where they are.
    fn put_back(&self, post: &Post) -> Option<Before> {
        Some(match self.restore? {
            Restore::Suspended => post.live.unreadable().map(|(_, saved)| saved).unwrap_or_default(),
            Restore::BroughtOver => post.live.saved(),
        })
    }

    /// Starts what was put into a place where nobody runs.
    async fn start_again(&self, post: &Post, until: Instant) -> Result<Swapped, Setback> {
        let late = || Setback::NoHandover(self.options.handover_deadline);
        let started = timeout_at(until, post.restart()).await.map_err(|_elapsed| late())?;
        started.map_err(|error| Setback::NotStarted(Crash::Host { detail: error.to_string() }))?;
        Ok(Swapped::without_pause())
    }

    /// At once where it runs, and otherwise when it starts again.
    pub(super) async fn revert_one(&self, post: &Post, before: &Arc<Serving>, mut held: Option<Box<HeldInstance>>) {
        if self.restore.is_some() {
            return self.keep_turns(post, before).await;
        }
        let keeps_grants =
            planted::is("rollback-keeps-grants").then(|| Arc::new(before.with(&before.template, &self.terms)));
        let before = keeps_grants.as_ref().unwrap_or(before);
        let until = Instant::now() + self.options.handover_deadline;
        let saved = post.live.saved_on_trial();
        while !Arc::ptr_eq(&post.live.serving().template, &before.template) {
            let kind = SwapKind::Back { saved: saved.clone(), instead: None, held: held.take() };
            let swap = Swap::new(Arc::clone(before), None, kind, MemoryHandover::WherePossible, until);
            match self.hand_over(post, swap, "the release before").await {
                Some(Ok(Swapped { old, .. })) => drop(old),
                // It does not start, or nobody lets it: whoever starts next in this place starts with it.
                Some(Err(_)) => post.put_back(before, saved.clone()),
                None if post.live.pass_back(Arc::clone(before), saved.clone(), false) => {}
                None if Instant::now() >= until || post.is_closed() => post.put_back(before, saved.clone()),
                None => sleep(ASK_AGAIN).await,
            }
        }
    }

    /// Offers an actor what is to take over, and waits for its end; none where nobody carried it out. It waits for no
    /// start and no back-off of what was there before, and for no turn beyond the deadline: that is cut off then, and
    /// the new one has as long again.
    async fn hand_over(&self, post: &Post, (swap, mut ordered): (Box<Swap>, Ordered), next: &str) -> End {
        let mut until = swap.until;
        // What is cut off hands nothing over, and stays where it is not to go without that.
        let hands_over = post.live.serving().template.hands_over() && swap.next.template.hands_over();
        let mut may_cut = swap.memory != MemoryHandover::Required || !hands_over;
        post.offer(swap).ok()?;
        let (hurried, mut held_since) = (Arc::<AtomicBool>::default(), None);
        loop {
            // Whoever is started there is another one, which the group waits for: to hurry that would bring nothing.
            if post.is_held_back().await {
                let since: Instant = *held_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= HELD_FOR && post.vacate() {
                    return post.live.take_back(ordered).await;
                }
            } else {
                held_since = None;
                // It may end before it looks.
                post.hurry(&hurried);
            }
            if let Some(end) = ordered.ends_by(until.min(Instant::now() + LOOK_AGAIN)).await {
                return end;
            }
            let now = Instant::now();
            if now < until {
                continue;
            }
            let deadline = self.options.handover_deadline;
            let by = || format!("{next}, which had waited for {}", humantime::format_duration(deadline));
            let is_there = !post.vacate();
            if is_there && std::mem::take(&mut may_cut) && post.live.cut_off(&ordered, by(), now + deadline) {
                until = now + deadline;
                continue;
            }
            return post.live.take_back(ordered).await;
        }
    }

    /// The release, as a person reads it. No path of the host: a guest may be told.
    fn next_name(&self) -> String {
        let next = &self.page.next;
        let name = next.published.clone().or_else(|| Some(next.component.file_name()?.to_string_lossy().into_owned()));
        format!("the release {}", name.unwrap_or_default())
    }

    /// Starts the new release once on a state of each schema that a keyed service has, or on an empty one, and throws
    /// away what it makes of it: its keys may all be asleep, and then nobody else would see that it does not start, or
    /// cannot read them.
    pub(super) async fn try_states(&self) -> Result<(), Setback> {
        if let Some(restore) = self.restore {
            return self.try_saved(restore).await;
        }
        let Posts::Keyed(roster) = &self.posts else { return Ok(()) };
        if !self.starts_at_once() {
            return Ok(());
        }
        let before = roster.waking();
        let mut is_one_sick = false;
        for serving in roster.samples(&self.template, &self.terms) {
            if let Err(crash) = start(&self.engines, &serving).await {
                is_one_sick = serving.identity.own.states.state(None).is_some_and(|state| state.schema().is_some());
                // With a key on which the one before does not start either, something else is wrong.
                if !is_one_sick || start(&self.engines, &serving.with(&before.template, &before.terms)).await.is_ok() {
                    return Err(Setback::NotStarted(crash));
                }
            }
        }
        if let Some(nobody) = roster.nobody(&self.template, &self.terms).filter(|_| is_one_sick) {
            drop(start(&self.engines, &nobody).await.map_err(Setback::NotStarted)?);
        }
        Ok(())
    }

    /// Lets the release that comes back bring over copies of the states that are put back. One that cannot read them is
    /// refused before anything is put back.
    async fn try_saved(&self, restore: Restore) -> Result<(), Setback> {
        let saved: Vec<Before> = match restore {
            Restore::Suspended => self.posts.unreadable().into_iter().map(|(_, saved)| saved).collect(),
            Restore::BroughtOver => self.posts.saved(),
        };
        let Some(sample) = self.posts.sample(&self.template, &self.terms) else { return Ok(()) };
        reads(&self.engines, &sample, &saved).await.map_err(Setback::NotStarted)
    }

    /// Wakes those who sleep and whose state is to be put back, or brought back: it is so before the end is told. Who
    /// does not come to it in time does when it wakes next.
    pub(super) async fn bring_back(&self, roster: &Roster) {
        // It moves on with each that has come to it: they come one after the other, as many as may be awake.
        let until = Mutex::new(Instant::now() + self.options.handover_deadline);
        let back = |target: Arc<Place>| {
            let until = &until;
            async move {
                while roster.is_returning(target.address()) && !target.inbox.mailbox().is_closed() {
                    if Instant::now() >= *until.lock().unwrap_or_else(PoisonError::into_inner) {
                        return;
                    }
                    target.inbox.wake();
                    sleep(ASK_AGAIN).await;
                }
                *until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + self.options.handover_deadline;
            }
        };
        stream::iter(roster.returning()).for_each_concurrent(AT_ONCE, back).await;
    }
}

/// Puts a release into a place where nobody runs and nobody will start by himself: whoever is started there all the
/// same starts with it, and first puts the states back to these. Whether it is such a place.
fn pass_over(post: &Post, next: &Arc<Serving>, put_back: Option<&Before>, probation: Probation) -> bool {
    match put_back {
        Some(saved) => post.live.pass_back(Arc::clone(next), saved.clone(), true),
        None => post.live.pass_over(Arc::clone(next), probation),
    }
}

/// Passes on what an actor says that went back by itself.
pub(super) fn forward(mut crashes: mpsc::UnboundedReceiver<Crash>, actor: usize, failed: &Failed) {
    let failed = failed.clone();
    tokio::spawn(async move {
        while let Some(crash) = crashes.recv().await {
            if failed.send((actor, crash)).is_err() {
                return;
            }
        }
    });
}
