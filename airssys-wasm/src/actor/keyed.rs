//! Wakes the actors of a keyed service, never more than its bound, and puts the idle ones to sleep.
//!
//! The actors are transient children of a dynamic supervisor: one that falls asleep ends normally and is forgotten by it, one that crashes is started
//! again and counts; one that crashes too often is set aside alone, with its messages. The controller starts them; it decides nothing about messages.
//!
//! Invariant: as many are awake as may be while others wait for a place, and whoever is idle then leaves. One that is set aside takes nobody's place; while it
//! comes back there may be one more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airssys_rt_shim::child::{ChildId, ChildSpec, Restart, Shutdown, StartChild};
use airssys_rt_shim::supervisor::{
    Backoff, Beyond, ChildError, Strategy, SupervisorHandle, SupervisorSpec, SupervisorStart,
};
use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::before::Past;
use super::post::Post;
use super::share::{Known, Share};
use super::spec::{ServiceSpec, identity};
use super::{Before, ComponentActor, Control, Live, Probation, Serving, Watch};
use crate::address::Address;
use crate::engine::{Engines, Template};
use crate::error::Crash;
use crate::events::Events;
use crate::message::DeadReason;
use crate::router::Mesh;
use crate::router::on_demand::OnDemand;
use crate::router::place::Place;
use crate::router::service::Service;
use crate::router::sleep::Sleeper;
use crate::settings::{ALL, ASIDE, KeyedRules, Terms};

/// What the actors of a keyed service wake with.
#[derive(Debug, Clone)]
pub(crate) struct Waking {
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    /// What they go back to, and who is told, where the release is on probation.
    pub(crate) probation: Option<(Box<Waking>, mpsc::UnboundedSender<Crash>)>,
}

/// Those who are awake, and what the others will wake with. Both change together, so that a deployment misses nobody.
pub(crate) struct Roster {
    mesh: Arc<Mesh>,
    service: Arc<Service>,
    awakened: Mutex<Awakened>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("service", &self.service.address).finish_non_exhaustive()
    }
}

struct Awakened {
    waking: Waking,
    /// What the keys of a share wake with instead, while a deployment is under way.
    next: Option<(Waking, Share)>,
    /// Whether that deployment brings the states back as well that there were before.
    restores: bool,
    watch: Option<Arc<Watch>>,
    posts: HashMap<Box<str>, Arc<Post>>,
    /// Those who sleep and whose state was brought over to another schema, or is to be put back: no more than there are keys.
    asleep: HashMap<Box<str>, Asleep>,
    /// The schema of the release before the one that they wake with.
    schema_before: Option<u32>,
}

/// A keyed actor that sleeps, and what is to be known when it wakes.
struct Asleep {
    own: Arc<Place>,
    past: Past,
}

impl Awakened {
    /// Those who are awake and can serve. One whose state is damaged keeps no release out, and none serves it.
    fn serving(&self) -> impl Iterator<Item = &Arc<Post>> {
        self.posts.values().filter(|post| post.live.damage().is_none())
    }
}

impl Roster {
    /// Where what happens to its actors is told.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.mesh.events
    }

    pub(super) fn new(
        template: &Arc<Template>,
        terms: &Arc<Terms>,
        mesh: &Arc<Mesh>,
        service: &Arc<Service>,
    ) -> Arc<Self> {
        let awakened = Awakened {
            waking: Waking { template: Arc::clone(template), terms: Arc::clone(terms), probation: None },
            next: None,
            restores: false,
            watch: None,
            posts: HashMap::new(),
            asleep: HashMap::new(),
            schema_before: None,
        };
        Arc::new(Self { mesh: Arc::clone(mesh), service: Arc::clone(service), awakened: Mutex::new(awakened) })
    }

    /// What the actors wake with, where no deployment says otherwise.
    pub(crate) fn waking(&self) -> Waking {
        self.lock().waking.clone()
    }

    /// Lets the keys of a share, in ten-thousandths, wake with something else from now on, and one that is known where the share has none; those of them who
    /// are awake with what was before.
    pub(crate) fn let_in(&self, next: &Waking, size: u32) -> Vec<Arc<Post>> {
        let grown = |awakened: &Awakened| match &awakened.next {
            Some((_, share)) => share.grown(size),
            None => Share::new(size),
        };
        // Keys may be many: those who wake do not wait for it.
        let looked_at = grown(&self.lock());
        let mut known = if size < ALL { self.known(&looked_at) } else { Known::default() };
        let mut awakened = self.lock();
        let mut share = grown(&awakened);
        self.see_others(&awakened, &looked_at, &mut known);
        if share == looked_at {
            share.take_one(&known);
        }
        let awake = awakened.serving().filter(|post| share.has(&post.name));
        let awake = awake.filter(|post| !Arc::ptr_eq(&post.live.serving().template, &next.template)).cloned().collect();
        awakened.next = Some((next.clone(), share));
        awake
    }

    /// How many of those that are known, awake or with a state, wake with what is deployed, and how many are known. Goes through all keys: not for a thread of
    /// the runtime's.
    pub(crate) fn share(&self) -> (usize, usize) {
        let Some(share) = self.lock().next.as_ref().map(|(_, share)| share.clone()) else { return (0, 0) };
        let mut known = self.known(&share);
        let mut awakened = self.lock();
        self.see_others(&awakened, &share, &mut known);
        if let (0, Some((_, now))) = (known.have, &mut awakened.next)
            && *now == share
        {
            now.is_empty_again();
        }
        (known.have, known.all)
    }

    /// Those that have a state, whether they are awake or not.
    fn known(&self, share: &Share) -> Known {
        let mut known = Known::default();
        if self.service.directory.on_demand().is_some() {
            let mut address = format!("{}/", self.service.address);
            let service = address.len();
            self.service.each_state(|key, _| {
                address.truncate(service);
                address.push_str(key);
                known.see(&address, share);
            });
        }
        known
    }

    /// Those that are awake and of whom nothing is stored yet.
    fn see_others(&self, awakened: &Awakened, share: &Share, known: &mut Known) {
        for (address, post) in &awakened.posts {
            let own = &post.live.serving().identity.own;
            let is_stored = match (self.service.directory.on_demand(), &self.service.durable) {
                (Some(_), Some(durable)) => own.address().key().is_some_and(|key| durable.has(key)),
                // Each actor has a state that it is seen by.
                (Some(_), None) => true,
                _ => false,
            };
            if !is_stored {
                known.see(address, share);
            }
        }
    }

    /// Lets all wake with what was before the deployment; that, and who is awake. Whose state was brought over and who sleeps is [`Roster::returning`].
    pub(crate) fn take_back(&self) -> (Waking, Vec<Arc<Post>>) {
        let mut awakened = self.lock();
        (awakened.next, awakened.restores) = (None, false);
        let schema = awakened.waking.terms.schema;
        for asleep in awakened.asleep.values_mut() {
            asleep.past.keep();
            asleep.past.take_back(schema);
        }
        awakened.asleep.retain(|_, asleep| !asleep.past.is_empty());
        (awakened.waking.clone(), awakened.serving().cloned().collect())
    }

    /// Lets all wake with a release that was there before, and with the states from then; those who are awake with another one. The others are
    /// [`Roster::returning`].
    pub(crate) fn restore(&self, before: &Waking) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        (awakened.next, awakened.restores) = (Some((before.clone(), Share::new(ALL))), true);
        awakened.asleep.values_mut().for_each(|asleep| asleep.past.restore());
        let awake = awakened.serving();
        awake.filter(|post| !Arc::ptr_eq(&post.live.serving().template, &before.template)).cloned().collect()
    }

    /// Those whose state has yet to be put back, or brought back, under a release that came back.
    pub(crate) fn returning(&self) -> Vec<Arc<Place>> {
        let awakened = self.lock();
        let asleep = awakened.asleep.values().filter(|asleep| asleep.past.returning().is_some());
        let awake = awakened.posts.values().filter(|post| post.live.returning().is_some());
        let awake = awake.map(|post| post.live.serving().identity.own.clone());
        asleep.map(|asleep| asleep.own.clone()).chain(awake).collect()
    }

    /// Whether it is one of [`Roster::returning`].
    pub(crate) fn is_returning(&self, address: &Address) -> bool {
        let awakened = self.lock();
        let awake = awakened.posts.get(address.as_str()).is_some_and(|post| post.live.returning().is_some());
        let asleep = awakened.asleep.get(address.as_str()).is_some_and(|asleep| asleep.past.returning().is_some());
        awake || asleep
    }

    /// What the states were before the live release brought them over, of each actor of which it did.
    pub(crate) fn saved(&self) -> Vec<Before> {
        let awakened = self.lock();
        let awake = awakened.posts.values().map(|post| post.live.saved());
        let asleep = awakened.asleep.values().map(|asleep| asleep.past.before().clone());
        awake.chain(asleep).filter(|saved| !saved.is_empty()).collect()
    }

    /// One actor for each schema that there are states in, the one with the first key, as if the release served it; where nothing is stored, one with a
    /// key that is nobody's.
    pub(crate) fn samples(&self, template: &Arc<Template>, terms: &Arc<Terms>) -> Vec<Serving> {
        let Some(keyed) = self.service.directory.on_demand() else { return Vec::new() };
        let mut keys = BTreeMap::<u32, String>::new();
        self.service.each_state(|key, state| {
            if let Some(schema) = state.schema()
                && keys.get(&schema).is_none_or(|first| key < first.as_str())
            {
                keys.insert(schema, key.to_owned());
            }
        });
        let known = keys.values().filter_map(|key| self.service.find(None, Some(key)).ok()?.place().ok().cloned());
        let mut own: Vec<Arc<Place>> = known.collect();
        if own.is_empty() {
            own.extend(keyed.nobody());
        }
        own.into_iter().map(|own| self.serving(own, template, terms)).collect()
    }

    /// An actor with a key that is nobody's, as if the release served it.
    pub(crate) fn nobody(&self, template: &Arc<Template>, terms: &Arc<Terms>) -> Option<Serving> {
        let nobody = self.service.directory.on_demand()?.nobody().ok()?;
        Some(self.serving(nobody, template, terms))
    }

    fn serving(&self, own: Arc<Place>, template: &Arc<Template>, terms: &Arc<Terms>) -> Serving {
        Serving { template: Arc::clone(template), identity: identity(&self.mesh, &self.service, own, 0, terms) }
    }

    /// Lets those wake with the better compiled one who would wake with the other, where no deployment is under way; who is awake.
    pub(crate) fn improve(&self, hasty: &Arc<Template>, better: &Arc<Template>) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        if Arc::ptr_eq(&awakened.waking.template, hasty) {
            awakened.waking.template = Arc::clone(better);
        }
        awakened.posts.values().cloned().collect()
    }

    /// Those who are awake, and those who wake from now on, run under other rules.
    pub(crate) fn retune(&self, terms: &Arc<Terms>) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        awakened.waking.terms = Arc::clone(terms);
        awakened.posts.values().cloned().collect()
    }

    /// Ends the probation of all, and of who wakes from now on, where none had gone back from it; how many had.
    pub(crate) fn settle(&self) -> usize {
        let mut awakened = self.lock();
        let gone_back = awakened.serving().filter(|post| !post.live.settle()).count();
        if gone_back == 0
            && let Some((next, _)) = &mut awakened.next
        {
            next.probation = None;
        }
        gone_back
    }

    /// Lets all wake with what was deployed, for good.
    pub(crate) fn adopt(&self) {
        let mut awakened = self.lock();
        let Some((next, _)) = awakened.next.take() else { return };
        if std::mem::take(&mut awakened.restores) {
            awakened.schema_before = None;
        } else {
            awakened.schema_before = Some(awakened.waking.terms.schema);
            awakened.posts.values().for_each(|post| post.live.adopt());
            awakened.asleep.values_mut().for_each(|asleep| asleep.past.adopt());
            awakened.asleep.retain(|_, asleep| !asleep.past.is_empty());
        }
        awakened.waking = next;
    }

    /// Lets the turns of all be counted, or not any more; those who are awake have to be told.
    pub(crate) fn watch(&self, watch: Option<&Arc<Watch>>) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        awakened.watch = watch.cloned();
        let awake: Vec<Arc<Post>> = awakened.posts.values().cloned().collect();
        awake.iter().for_each(|post| post.live.watch(watch.cloned()));
        awake
    }

    /// How many are set aside, because they crashed too often.
    pub(crate) fn set_aside(&self) -> usize {
        self.lock().posts.values().filter(|post| post.live.is_set_aside()).count()
    }

    /// Begins to forget the state of an actor that sleeps, as `begin` does it: whoever wakes it does so after that. One that is awake has to do it itself.
    ///
    /// # Errors
    ///
    /// Gives the one that is awake.
    pub(crate) fn forget<T>(&self, address: &Address, begin: impl FnOnce() -> T) -> Result<T, Arc<Post>> {
        let awakened = self.lock();
        awakened.posts.get(address.as_str()).map_or_else(|| Ok(begin()), |post| Err(Arc::clone(post)))
    }

    /// Lets go of what the state of an actor was that sleeps, and whose state was forgotten since.
    pub(crate) fn forget_past(&self, address: &Address) {
        let mut awakened = self.lock();
        if let Some(asleep) = awakened.asleep.get_mut(address.as_str()) {
            asleep.past.forget();
            if asleep.past.is_empty() {
                awakened.asleep.remove(address.as_str());
            }
        }
    }

    /// Those who are awake.
    pub(crate) fn awake(&self) -> Vec<Arc<Post>> {
        self.lock().serving().cloned().collect()
    }

    /// Lets an actor begin, with what they wake with now. `make` makes what starts its incarnations. That, and what serves in its place.
    pub(super) fn enter(
        &self,
        own: Arc<Place>,
        make: impl FnOnce(&Arc<Live>) -> Arc<WorkerStart<ComponentActor>>,
    ) -> (Arc<WorkerStart<ComponentActor>>, Arc<Live>) {
        let address: Box<str> = own.address().as_str().into();
        let mut awakened = self.lock();
        let mut past = awakened.asleep.remove(&address).map(|asleep| asleep.past).unwrap_or_default();
        let admits = awakened.next.as_mut().is_some_and(|(_, share)| share.admits(&address));
        let waking = match &awakened.next {
            Some((next, _)) if admits => next,
            _ => &awakened.waking,
        };
        // Another release comes than the one that was to come back.
        let is_tried_out = admits && !awakened.restores;
        past.wakes(awakened.schema_before, is_tried_out.then_some(awakened.waking.terms.schema));
        let identity = identity(&self.mesh, &self.service, own, 0, &waking.terms);
        let serving = Serving { template: Arc::clone(&waking.template), identity };
        let probation = waking.probation.as_ref().map(|(before, failed)| Probation {
            before: Arc::new(serving.with(&before.template, &before.terms)),
            failed: failed.clone(),
        });
        let live = Live::woken(serving, probation, past, awakened.watch.clone());
        let start = make(&live);
        let post = Arc::new(Post { live: Arc::clone(&live), name: address.clone(), start: Arc::clone(&start) });
        awakened.posts.insert(address, post);
        (start, live)
    }

    pub(super) fn leave(&self, address: &Address) {
        let mut awakened = self.lock();
        let Some(post) = awakened.posts.remove(address.as_str()) else { return };
        post.live.leave();
        let (mut past, own) = (post.live.past(), post.live.serving().identity.own.clone());
        // Nobody is anybody's child again: its state is gone with it.
        if past.is_empty() || own.child().is_some() {
            return;
        }
        if awakened.restores {
            past.restore();
        } else if awakened.next.is_none() {
            // It was about to be told.
            past.take_back(awakened.waking.terms.schema);
        }
        awakened.asleep.insert(address.as_str().into(), Asleep { own, past });
    }

    fn lock(&self) -> MutexGuard<'_, Awakened> {
        self.awakened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many keys that may be forgotten are looked at each time.
const LOOKED_AT_IN_A_SWEEP: usize = 10_000;

/// How often those who are idle are looked for.
fn sweeps(idle_timeout: Duration) -> tokio::time::Interval {
    let mut sweep = interval((idle_timeout / 4).max(Duration::from_millis(1)));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep
}

/// What became of one that was woken, with the number of its waking: the same key may have been woken again since.
enum News {
    /// It was started.
    Started(u64),
    /// It could not be started.
    NotStarted(u64, Crash),
    /// It is gone and will not come back by itself. Of one that was not started this may come before or after [`News::NotStarted`], or not at all.
    Gone(u64),
}

/// Wakes and puts to sleep. Run it in a task of its own; it ends with the mesh.
pub(crate) struct Controller {
    /// How its actors come and go, and how each is stopped.
    rules: watch::Receiver<(KeyedRules, Shutdown)>,
    mesh: Arc<Mesh>,
    engines: Arc<Engines>,
    service: Arc<Service>,
    supervisor: SupervisorHandle,
    roster: Arc<Roster>,
    asked: mpsc::UnboundedReceiver<Address>,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
    waiting: VecDeque<Arc<Place>>,
    awake: VecDeque<Awake>,
    awake_count: usize,
    /// How often somebody was woken.
    wakings: u64,
}

struct Awake {
    /// The number of its waking.
    number: u64,
    /// Whether it is not known yet whether it was started.
    starting: bool,
    /// Whether it is gone already.
    gone: bool,
    place: Arc<Place>,
    start: Arc<WorkerStart<ComponentActor>>,
    live: Arc<Live>,
    idle_since: Option<Instant>,
}

/// The supervisor of a keyed service's actors, and what wakes them.
pub(super) fn supervisor(
    spec: &ServiceSpec,
    rules: KeyedRules,
    asked: mpsc::UnboundedReceiver<Address>,
    mesh: &Arc<Mesh>,
    engines: &Arc<Engines>,
    service: &Arc<Service>,
) -> (ChildSpec, Controller, Tuning) {
    let (told, heard) = watch::channel((rules, spec.shutdown));
    let start = dynamic(rules.intensity, rules.period, rules.backoff);
    let controller = Controller {
        rules: heard,
        mesh: Arc::clone(mesh),
        engines: Arc::clone(engines),
        service: Arc::clone(service),
        supervisor: start.handle(),
        roster: Roster::new(&spec.template, &spec.terms, mesh, service),
        asked,
        news: mpsc::unbounded_channel(),
        waiting: VecDeque::new(),
        awake: VecDeque::new(),
        awake_count: 0,
        wakings: 0,
    };
    let child = ChildSpec {
        restart: spec.restart,
        significant: spec.significant,
        ..ChildSpec::supervisor(spec.address.as_str(), Arc::clone(&start) as Arc<dyn StartChild>)
    };
    (child, controller, Tuning { told, start })
}

/// Gives the actors of a keyed service other rules while they come and go.
pub(crate) struct Tuning {
    told: watch::Sender<(KeyedRules, Shutdown)>,
    start: Arc<SupervisorStart>,
}

impl Tuning {
    /// Those who are awake beyond a smaller bound leave as soon as they are idle and others wait.
    pub(crate) async fn take(
        &self,
        rules: KeyedRules,
        shutdown: Shutdown,
        service: &Service,
    ) -> Result<(), ChildError> {
        self.start.change(flags(rules.intensity, rules.period, rules.backoff)).await?;
        if let Some(keyed) = service.directory.on_demand() {
            keyed.bound(rules.max_keys);
        }
        self.told.send_replace((rules, shutdown));
        Ok(())
    }
}

/// What a supervisor of actors that come and go bears: of each of them so much, and it never gives up over one. What makes no sense is the default.
pub(super) fn flags(intensity: u32, period: Duration, backoff: Backoff) -> SupervisorSpec {
    let mut flags = SupervisorSpec::new(Strategy::Dynamic);
    flags.intensity = intensity;
    flags.period = if period.is_zero() { KeyedRules::default().period } else { period };
    flags.beyond = Beyond::SetAside(backoff);
    if flags.validate().is_err() {
        flags.beyond = Beyond::SetAside(ASIDE);
    }
    flags
}

/// A supervisor of actors that come and go.
pub(super) fn dynamic(intensity: u32, period: Duration, backoff: Backoff) -> Arc<SupervisorStart> {
    match SupervisorStart::new(flags(intensity, period, backoff)) {
        Ok(start) => start,
        Err(error) => unreachable!("a dynamic supervisor without children and with a period is valid: {error}"),
    }
}

/// Has it told where an actor that comes and goes is set aside; `then` is done after that.
pub(super) fn tell_set_aside(
    start: &WorkerStart<ComponentActor>,
    live: &Arc<Live>,
    own: &Address,
    then: impl Fn() + Send + Sync + 'static,
) {
    let (live, own) = (Arc::clone(live), own.clone());
    start.when_set_aside(move |delay| {
        live.set_aside();
        let again = humantime::format_duration(delay);
        tracing::warn!(
            target: "airssys::actor",
            service = %own,
            "set aside: it crashed too often, and is started again in {again}; what is sent to it waits"
        );
        then();
    });
}

impl Controller {
    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    pub(super) async fn run(mut self) {
        let mut sweep = sweeps(self.rules().idle_timeout);
        let service = Arc::clone(&self.service);
        let Some(keyed) = service.directory.on_demand() else { return };
        loop {
            tokio::select! {
                actor = self.asked.recv() => match actor {
                    Some(address) => self.waiting.extend(address.key().and_then(|key| keyed.known(key))),
                    None => return,
                },
                Some(news) = self.news.1.recv() => self.hear(news),
                () = keyed.controller().room_made() => {}
                _ = sweep.tick() => self.sweep(),
                Ok(()) = self.rules.changed() => sweep = sweeps(self.rules().idle_timeout),
            }
            self.admit();
        }
    }

    fn rules(&self) -> KeyedRules {
        self.rules.borrow().0
    }

    fn keyed(&self) -> Option<&OnDemand> {
        self.service.directory.on_demand()
    }

    /// Starts those who wait, as far as there are places; asks idle ones to leave where there are none.
    fn admit(&mut self) {
        let most = self.rules().max_awake.max(1);
        // One that is suspended or set aside has no instance, and takes nobody's place. They are counted where it is full only: there may be many.
        while self.awake_count < most || !self.waiting.is_empty() && self.awake_count < most + self.without_instance() {
            let Some(place) = self.waiting.pop_front() else { break };
            self.wake(place);
        }
        let waiting = self.waiting.len();
        if let Some(keyed) = self.keyed() {
            keyed.controller().set_waiting(waiting);
        }
        // Those who become idle from now on see that it is crowded; those who are idle have to be told. Each is asked once a round.
        let mut to_ask = waiting;
        for _ in 0..self.awake.len() {
            if to_ask == 0 {
                break;
            }
            let Some(awake) = self.awake.pop_front() else { break };
            let idle = awake.place.inbox.mailbox().is_empty() && !awake.live.is_suspended();
            if idle && awake.start.control(Control::Sleep).is_ok() {
                to_ask -= 1;
            }
            self.awake.push_back(awake);
        }
    }

    fn without_instance(&self) -> usize {
        self.awake.iter().filter(|awake| awake.live.is_suspended() || awake.live.is_set_aside()).count()
    }

    fn wake(&mut self, place: Arc<Place>) {
        self.wakings += 1;
        let number = self.wakings;
        let (start, live) = self.roster.enter(Arc::clone(&place), |live| self.worker(&place, number, live));
        if let Some(sleeper) = place.inbox.sleeper() {
            sleeper.awoke();
        }
        let name = ChildId::from(place.address().as_str());
        self.awake_count += 1;
        self.awake.push_back(Awake {
            number,
            starting: true,
            gone: false,
            place,
            start: Arc::clone(&start),
            live,
            idle_since: None,
        });
        let child = ChildSpec {
            restart: Restart::Transient,
            shutdown: self.rules.borrow().1,
            ..ChildSpec::worker(name, start)
        };
        let (supervisor, news) = (self.supervisor.clone(), self.news.0.clone());
        // In a task of its own: a slow init of one must not hold up the others.
        tokio::spawn(async move {
            let told = match supervisor.start_child(child).await {
                Ok(_) => News::Started(number),
                Err(error) => News::NotStarted(number, Crash::Host { detail: format!("not started: {error}") }),
            };
            let _controller_is_gone = news.send(told);
        });
    }

    fn worker(&self, place: &Arc<Place>, number: u64, live: &Arc<Live>) -> Arc<WorkerStart<ComponentActor>> {
        let (engines, live) = (Arc::clone(&self.engines), Arc::clone(live));
        let news = self.news.0.clone();
        let (aside, address) = (Arc::clone(&live), place.address().clone());
        let start = WorkerStart::new(
            Arc::clone(place.inbox.mailbox()),
            0,
            move || ComponentActor::new(Arc::clone(&engines), Arc::clone(&live)),
            move || {
                let _controller_is_gone = news.send(News::Gone(number));
            },
        );
        let place = Arc::clone(place);
        tell_set_aside(&start, &aside, &address, move || {
            if let Some(sleeper) = place.inbox.sleeper() {
                sleeper.controller().make_room();
            }
        });
        start
    }

    fn hear(&mut self, news: News) {
        let (number, failed) = match news {
            News::Started(number) | News::Gone(number) => (number, None),
            News::NotStarted(number, ref crash) => (number, Some(crash)),
        };
        let Some(at) = self.awake.iter().position(|awake| awake.number == number) else { return };
        let awake = &mut self.awake[at];
        match news {
            News::Started(_) => awake.starting = false,
            // What waits for it is buried first, where it was not started: it would be woken again for that.
            News::Gone(_) => awake.gone = true,
            News::NotStarted(..) => (awake.starting, awake.gone) = (false, true),
        }
        if awake.starting || !awake.gone {
            return;
        }
        let Some(Awake { place, .. }) = self.awake.remove(at) else { return };
        self.roster.leave(place.address());
        self.awake_count -= 1;
        if let Some(crash) = failed {
            self.bury_all(&place, crash);
        }
        if let Some(keyed) = self.keyed() {
            keyed.fell_asleep(&place);
        }
    }

    /// What waits for an actor that cannot be started would wait for ever.
    fn bury_all(&self, place: &Arc<Place>, crash: &Crash) {
        while let Some(hand) = place.inbox.mailbox().take(0) {
            self.mesh.bury(*hand.done(), DeadReason::Crashed(crash.clone()));
        }
    }

    fn sweep(&mut self) {
        if let Some(keyed) = self.keyed() {
            keyed.forget(LOOKED_AT_IN_A_SWEEP);
        }
        let (now, idle_timeout) = (Instant::now(), self.rules().idle_timeout);
        for awake in &mut self.awake {
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
