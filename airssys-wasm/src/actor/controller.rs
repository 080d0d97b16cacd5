//! Starts the actors of a service that come and go: keys that somebody sends to, never more than may be awake, and puts
//! the idle ones to sleep; children that guests spawn, and tells those who monitor them.
//!
//! The actors are children of a dynamic supervisor. A key is transient: one that falls asleep ends normally and is
//! forgotten by it. One that crashes is started again and counts; one that crashes too often is set aside alone, with
//! its messages. Who comes while the supervisor does not run, because the mesh starts or the supervisor does again,
//! waits for it. Nobody waits for the controller, and it decides nothing about messages.
//!
//! Invariants: as many keys are awake as may be while others wait for a place, and whoever is idle then leaves. One
//! that is set aside takes nobody's place; while it comes back there may be one more. A child that was spawned waits
//! for the supervisor, is known to it, or is gone, and who monitors it is told.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::{ChildId, ChildSpec, Restart, StartChild};
use airssys_rt_shim::supervisor::{ChildError, Standing, SupervisorHandle, SupervisorStart};
use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::coming::{Coming, Tuning};
use super::roster::Roster;
use super::spec::ServiceSpec;
use super::{ComponentActor, Control, Live, Start};
use crate::engine::Engines;
use crate::error::Crash;
use crate::message::{DeadReason, DownReason};
use crate::router::Mesh;
use crate::router::place::{Ask, Place};
use crate::router::service::{Asks, Service};
use crate::router::sleep::Sleeper;
use crate::settings::Multiplicity;

/// How many keys that may be forgotten are looked at each time.
const LOOKED_AT_IN_A_SWEEP: usize = 10_000;

/// Lets actors come and go. Run it in a task of its own; it ends with the mesh.
pub(crate) struct Controller {
    mesh: Arc<Mesh>,
    engines: Arc<Engines>,
    service: Arc<Service>,
    roster: Arc<Roster>,
    supervisor: SupervisorHandle,
    /// Whether that runs.
    standing: watch::Receiver<Standing>,
    /// How the actors come and go.
    rules: watch::Receiver<Coming>,
    asked: Asks,
    waits: Pending,
}

/// Those who wait, those who may have to leave, and what is heard of them.
struct Pending {
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
    /// Those who are to start.
    waiting: VecDeque<Arc<Place>>,
    /// How the supervisor stood when it took nobody.
    refused: Option<Standing>,
    /// The keys that are awake, by the number of their waking.
    awake: BTreeMap<u64, Awake>,
    /// How often somebody was started.
    wakings: u64,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            news: mpsc::unbounded_channel(),
            waiting: VecDeque::new(),
            refused: None,
            awake: BTreeMap::new(),
            wakings: 0,
        }
    }
}

/// What became of one that was to start, with the number of its waking: the same key may have been woken again since.
enum News {
    /// It was started.
    Started(u64),
    /// It could not be started.
    NotStarted(u64, Arc<Place>, ChildError),
    /// The supervisor, which stood so, takes nobody now.
    Refused(u64, Arc<Place>, Standing),
    /// It is gone and will not come back by itself. Of one that was not started this may come before or after
    /// [`News::NotStarted`], or not at all.
    Gone(u64),
}

struct Awake {
    /// Whether it is not known yet whether it was started.
    starting: bool,
    /// Whether it is gone already.
    gone: bool,
    /// Whether it was asked to leave since somebody last looked who is idle.
    asked: bool,
    place: Arc<Place>,
    start: Arc<WorkerStart<ComponentActor>>,
    live: Arc<Live>,
    idle_since: Option<Instant>,
}

impl Awake {
    /// Whether it has no instance, and takes nobody's place.
    fn is_without_instance(&self) -> bool {
        self.live.is_suspended() || self.live.is_set_aside()
    }
}

/// How often those who are idle are looked for; never, where they do not sleep.
fn sweeps(rules: Coming) -> Option<Interval> {
    let mut sweep = interval((rules.idle_timeout? / 4).max(Duration::from_millis(1)));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(sweep)
}

async fn tick(sweep: &mut Option<Interval>) {
    match sweep {
        Some(sweep) => drop(sweep.tick().await),
        None => pending().await,
    }
}

/// The supervisor of the actors of a service, what starts them, and what gives them other rules.
pub(super) fn supervisor(
    spec: &ServiceSpec,
    rules: Coming,
    asked: Asks,
    (mesh, engines, service): (&Arc<Mesh>, &Arc<Engines>, &Arc<Service>),
) -> (ChildSpec, Controller, Tuning) {
    let (told, heard) = watch::channel(rules);
    let start = match SupervisorStart::new(rules.flags()) {
        Ok(start) => start,
        Err(error) => unreachable!("a dynamic supervisor without children and with a period is valid: {error}"),
    };
    let supervisor = start.handle();
    let controller = Controller {
        mesh: Arc::clone(mesh),
        engines: Arc::clone(engines),
        service: Arc::clone(service),
        roster: Roster::new(spec, mesh, service),
        standing: supervisor.standing(),
        supervisor,
        rules: heard,
        asked,
        waits: Pending::default(),
    };
    let child = ChildSpec::supervisor(spec.address.as_str(), Arc::clone(&start) as Arc<dyn StartChild>);
    let child = match spec.multiplicity {
        // Where it gives up, its children are gone, and it is there for the next ones.
        Multiplicity::Spawned(_) => ChildSpec { restart: Restart::Permanent, ..child },
        _ => ChildSpec { restart: spec.restart, significant: spec.significant, ..child },
    };
    (child, controller, Tuning { told, start })
}

impl Controller {
    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    pub(crate) async fn run(mut self) {
        let mut sweep = sweeps(self.rules());
        let service = Arc::clone(&self.service);
        let room_made = async || match service.directory.on_demand() {
            Some(keyed) => keyed.controller().room_made().await,
            None => pending().await,
        };
        loop {
            tokio::select! {
                // In one order, so that a seeded host has no chance here. What is rare comes first, and starves nobody.
                biased;
                Ok(()) = self.rules.changed() => sweep = sweeps(self.rules()),
                () = tick(&mut sweep) => self.sweep(),
                Ok(()) = self.standing.changed() => {}
                () = room_made() => {}
                Some(news) = self.waits.news.1.recv() => self.hear(news),
                ask = self.asked.next(&service.directory) => match ask {
                    Some(Ask::Start(place)) => self.waits.waiting.push_back(place),
                    Some(Ask::Stop(child)) => self.stop(&child),
                    Some(Ask::Tell(target, down)) => self.mesh.tell_down(target, down),
                    None => return,
                },
            }
            self.admit();
        }
    }

    fn rules(&self) -> Coming {
        *self.rules.borrow()
    }

    /// Starts those who wait, as far as there are places; asks idle ones to leave where there are none.
    fn admit(&mut self) {
        let standing = *self.standing.borrow();
        let most = self.rules().max_awake;
        while standing != Standing::Expected && self.waits.refused != Some(standing) && self.has_room(most) {
            let Some(place) = self.waits.waiting.pop_front() else { break };
            match standing {
                Standing::Gone => self.not_started(&place, not_started("its supervisor is gone")),
                _ => self.start(place, standing),
            }
        }
        let Some(keyed) = self.service.directory.on_demand() else { return };
        let waiting = self.waits.waiting.len();
        keyed.controller().set_waiting(waiting);
        // Those who become idle from now on see that it is crowded; those who are idle have to be told.
        let mut to_ask = waiting;
        for awake in self.waits.awake.values_mut() {
            if to_ask == 0 {
                break;
            }
            let is_idle = awake.place.inbox.mailbox().is_empty() && !awake.live.is_suspended();
            if !awake.asked && is_idle && awake.start.control(Control::Sleep).is_ok() {
                awake.asked = true;
                to_ask -= 1;
            }
        }
    }

    /// Whether one more may start. Those without an instance are counted where it is full only: there may be many.
    fn has_room(&self, most: usize) -> bool {
        let awake = &self.waits.awake;
        let idle = || awake.values().filter(|awake| awake.is_without_instance()).count();
        awake.len() < most || !self.waits.waiting.is_empty() && awake.len() < most.saturating_add(idle())
    }

    fn start(&mut self, place: Arc<Place>, stood: Standing) {
        if place.child().is_some_and(|child| child.is_stopping()) {
            return gone(&self.mesh, &self.roster, &place, DownReason::Stopped);
        }
        self.waits.wakings += 1;
        let number = self.waits.wakings;
        let (start, live) = self.roster.enter(Arc::clone(&place), |live| self.worker(&place, number, live));
        let rules = self.rules();
        let child = ChildSpec {
            restart: rules.restart,
            shutdown: rules.shutdown,
            ..ChildSpec::worker(place.address().as_str(), Arc::clone(&start) as _)
        };
        if let Some(sleeper) = place.inbox.sleeper() {
            sleeper.awoke();
            let place = Arc::clone(&place);
            let awake = Awake { starting: true, gone: false, asked: false, place, start, live, idle_since: None };
            self.waits.awake.insert(number, awake);
        }
        // Asked for at once: what is asked for later, as to stop it, comes after that.
        let starting = self.supervisor.start_child(child);
        let (news, is_child) = (self.waits.news.0.clone(), place.child().is_some());
        // In a task of its own: a slow init of one must not hold up the others.
        tokio::spawn(async move {
            let told = match starting.await {
                Ok(_) | Err(ChildError::Terminated { .. }) if is_child => return,
                // Whoever is told to stop while it starts is stopped by the supervisor, which says that it is gone.
                Ok(_) | Err(ChildError::Terminated { .. }) => News::Started(number),
                Err(ChildError::NotRunning | ChildError::ShuttingDown) => News::Refused(number, place, stood),
                Err(error) => News::NotStarted(number, place, error),
            };
            let _controller_is_gone = news.send(told);
        });
    }

    fn worker(&self, place: &Arc<Place>, number: u64, live: &Arc<Live>) -> Arc<WorkerStart<ComponentActor>> {
        let (engines, lives, news) = (Arc::clone(&self.engines), Arc::clone(live), self.waits.news.0.clone());
        let child = place.child().map(|_| (Arc::clone(&self.mesh), Arc::clone(&self.roster), Arc::clone(place)));
        let known = Start::default();
        let own = Arc::clone(&known);
        let start = WorkerStart::new(
            Arc::clone(place.inbox.mailbox()),
            0,
            move || ComponentActor::new(Arc::clone(&engines), Arc::clone(&lives), Arc::clone(&own)),
            move || match &child {
                // At once: the end of the mesh waits for no controller.
                Some((mesh, roster, child)) => gone(mesh, roster, child, DownReason::Killed),
                None => drop(news.send(News::Gone(number))),
            },
        );
        let _it_is_new = known.set(Arc::downgrade(&start));
        let (live, place) = (Arc::clone(live), Arc::clone(place));
        start.when_set_aside(move |delay| {
            live.set_aside();
            let again = humantime::format_duration(delay);
            tracing::warn!(
                target: "airssys::actor",
                service = %place.address(),
                "set aside: it crashed too often, and is started again in {again}; what is sent to it waits"
            );
            if let Some(sleeper) = place.inbox.sleeper() {
                sleeper.controller().make_room();
            }
        });
        start
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Started(number) => self.leave_where_gone(number, |awake| awake.starting = false),
            News::Gone(number) => self.leave_where_gone(number, |awake| awake.gone = true),
            // What waits for it is buried first: it would be woken again for that.
            News::NotStarted(number, place, error) => {
                self.waits.awake.remove(&number);
                self.not_started(&place, why_not(&error));
            }
            News::Refused(number, place, stood) => {
                // The supervisor may have had it, and ended with it.
                let is_gone = place.child().is_some_and(|child| child.is_gone());
                if !is_gone {
                    self.waits.awake.remove(&number);
                    self.roster.leave(place.address());
                    self.waits.waiting.push_front(place);
                    self.waits.refused = Some(stood);
                }
            }
        }
    }

    /// A key that was started and is gone sleeps.
    fn leave_where_gone(&mut self, number: u64, change: impl FnOnce(&mut Awake)) {
        let Some(awake) = self.waits.awake.get_mut(&number) else { return };
        change(awake);
        if !awake.starting
            && awake.gone
            && let Some(Awake { place, .. }) = self.waits.awake.remove(&number)
        {
            self.fell_asleep(&place);
        }
    }

    fn fell_asleep(&self, place: &Arc<Place>) {
        self.roster.leave(place.address());
        if let Some(keyed) = self.service.directory.on_demand() {
            keyed.fell_asleep(place);
        }
    }

    /// What waits for an actor that cannot be started would wait for ever.
    fn not_started(&self, place: &Arc<Place>, crash: Crash) {
        if place.child().is_some() {
            // Where the supervisor had it, it has said so already.
            return gone(&self.mesh, &self.roster, place, DownReason::Crashed(crash));
        }
        while let Some(hand) = place.inbox.mailbox().take(0) {
            self.mesh.bury(*hand.done(), DeadReason::Crashed(crash.clone()));
        }
        self.fell_asleep(place);
    }

    /// Has a child stopped, in order and for good.
    fn stop(&mut self, child: &Arc<Place>) {
        // It is asked for when this returns; that the child is gone is told when it is.
        drop(self.supervisor.terminate_child(ChildId::from(child.address().as_str())));
        let waiting = &mut self.waits.waiting;
        if let Some(at) = waiting.iter().position(|waiting| Arc::ptr_eq(waiting, child)) {
            waiting.remove(at);
            gone(&self.mesh, &self.roster, child, DownReason::Stopped);
        }
    }

    fn sweep(&mut self) {
        let (Some(keyed), Some(idle_timeout)) = (self.service.directory.on_demand(), self.rules().idle_timeout) else {
            return;
        };
        keyed.forget(LOOKED_AT_IN_A_SWEEP);
        let now = Instant::now();
        for awake in self.waits.awake.values_mut() {
            awake.asked = false;
            let handled = awake.place.inbox.mailbox().is_empty();
            let busy = awake.place.inbox.sleeper().is_some_and(Sleeper::was_busy);
            match (handled && !busy, awake.idle_since) {
                (false, _) => awake.idle_since = None,
                (true, None) => awake.idle_since = Some(now),
                (true, Some(since)) if now.duration_since(since) >= idle_timeout => {
                    let _it_is_gone = awake.start.control(Control::Sleep);
                }
                (true, Some(_)) => {}
            }
        }
    }
}

/// Why one was not started: how its start ended, where it came to that.
fn why_not(error: &ChildError) -> Crash {
    let crash = match error {
        ChildError::StartFailed(error) => error.cause.downcast_ref::<Crash>().cloned(),
        _ => None,
    };
    crash.unwrap_or_else(|| not_started(error))
}

fn not_started(why: impl std::fmt::Display) -> Crash {
    Crash::Host { detail: format!("not started: {why}") }
}

/// A child will not be started again; `reason` is why, where it is not known better. Only the first time says
/// something.
fn gone(mesh: &Mesh, roster: &Roster, child: &Arc<Place>, reason: DownReason) {
    mesh.child_is_gone(child, reason, || roster.leave(child.address()));
}
