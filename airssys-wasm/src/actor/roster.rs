//! The actors of a service that come and go: who is there, and what the others begin with when they come.
//!
//! What those begin with is decided in `arrivals.rs`. It is under one lock with who is there, so that a deployment
//! misses nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::mpsc;

use super::arrivals::{Arrivals, Begun};
use super::asked::{Asked, Trial};
use super::post::Post;
use super::share::{Known, Share};
use super::spec::{ServiceSpec, identity};
use super::{Before, ComponentActor, Live, Probation, Serving, Watch};
use crate::address::Address;
use crate::engine::Template;
use crate::error::Crash;
use crate::events::Events;
use crate::router::Mesh;
use crate::router::place::Place;
use crate::router::service::Service;
use crate::settings::{ALL, Terms};
use crate::typed::FunctionType;

/// What the actors wake with that come and go.
#[derive(Debug, Clone)]
pub(crate) struct Waking {
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    /// What they go back to, and who is told, where the release is on probation.
    pub(crate) probation: Option<(Box<Waking>, mpsc::UnboundedSender<Crash>)>,
}

impl Begun for Waking {
    fn schema(&self) -> u32 {
        self.terms.schema
    }
}

/// Those who are there, and what the others will begin with.
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
    arrivals: Arrivals<Waking, Arc<Place>, Before>,
    watch: Option<Arc<Watch>>,
    posts: HashMap<Box<str>, Arc<Post>>,
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

    pub(super) fn new(spec: &ServiceSpec, mesh: &Arc<Mesh>, service: &Arc<Service>) -> Arc<Self> {
        let ServiceSpec { template, terms, is_left, .. } = spec;
        let waking = Waking { template: Arc::clone(template), terms: Arc::clone(terms), probation: None };
        let awakened = Awakened { arrivals: Arrivals::new(waking, *is_left), watch: None, posts: HashMap::new() };
        Arc::new(Self { mesh: Arc::clone(mesh), service: Arc::clone(service), awakened: Mutex::new(awakened) })
    }

    /// What the actors wake with, where no deployment says otherwise.
    pub(crate) fn waking(&self) -> Waking {
        self.lock().arrivals.release().clone()
    }

    /// Lets the keys of a share, in ten-thousandths, wake with something else from now on, and one that is known where
    /// the share has none; those of them who are awake with what was before.
    pub(crate) fn let_in(&self, next: &Waking, size: u32) -> Vec<Arc<Post>> {
        // Keys may be many: those who wake do not wait for it.
        let looked_at = self.lock().arrivals.grown(size);
        let mut known = if size < ALL { self.known(&looked_at) } else { Known::default() };
        let mut awakened = self.lock();
        let mut share = awakened.arrivals.grown(size);
        self.see_others(&awakened, &looked_at, &mut known);
        if share == looked_at {
            share.take_one(&known);
        }
        let awake = awakened.serving().filter(|post| share.has(&post.name));
        let awake = awake.filter(|post| !Arc::ptr_eq(&post.live.serving().template, &next.template)).cloned().collect();
        awakened.arrivals.let_in(next.clone(), share);
        awake
    }

    /// How many of those that are known, awake or with a state, wake with what is deployed, and how many are known.
    /// Goes through all keys: not for a thread of the runtime's.
    pub(crate) fn share(&self) -> (usize, usize) {
        let Some(share) = self.lock().arrivals.share() else { return (0, 0) };
        let mut known = self.known(&share);
        let mut awakened = self.lock();
        self.see_others(&awakened, &share, &mut known);
        if known.have == 0 {
            awakened.arrivals.is_empty_again(&share);
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

    /// Lets all wake with what was before the deployment; that, and who is awake. Whose state was brought over and who
    /// sleeps is [`Roster::returning`].
    pub(crate) fn take_back(&self) -> (Waking, Vec<Arc<Post>>) {
        let mut awakened = self.lock();
        awakened.arrivals.take_back();
        (awakened.arrivals.release().clone(), awakened.serving().cloned().collect())
    }

    /// Lets all wake with a release that was there before, and with the states from then; those who are awake with
    /// another one. The others are [`Roster::returning`].
    pub(crate) fn restore(&self, before: &Waking) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        awakened.arrivals.restore(before.clone());
        let awake = awakened.serving();
        awake.filter(|post| !Arc::ptr_eq(&post.live.serving().template, &before.template)).cloned().collect()
    }

    /// Those whose state has yet to be put back, or brought back, under a release that came back.
    pub(crate) fn returning(&self) -> Vec<Arc<Place>> {
        let awakened = self.lock();
        let awake = awakened.posts.values().filter(|post| post.live.returning().is_some());
        let awake = awake.map(|post| post.live.serving().identity.own.clone());
        awakened.arrivals.returning().chain(awake).collect()
    }

    /// Whether it is one of [`Roster::returning`].
    pub(crate) fn is_returning(&self, address: &Address) -> bool {
        let awakened = self.lock();
        let awake = awakened.posts.get(address.as_str()).is_some_and(|post| post.live.returning().is_some());
        awake || awakened.arrivals.is_returning(address.as_str())
    }

    /// What the states were before the live release brought them over, of each actor of which it did.
    pub(crate) fn saved(&self) -> Vec<Before> {
        let awakened = self.lock();
        let awake = awakened.posts.values().map(|post| post.live.saved());
        awake.chain(awakened.arrivals.saved()).filter(|saved| !saved.is_empty()).collect()
    }

    /// One actor for each schema that there are states in, the one with the first key, as if the release served it;
    /// where nothing is stored, one with a key that is nobody's.
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

    /// Lets those wake with the better compiled one who would wake with the other, where no deployment is under way;
    /// who is awake.
    pub(crate) fn improve(&self, hasty: &Arc<Template>, better: &Arc<Template>) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        let release = awakened.arrivals.release_mut();
        if Arc::ptr_eq(&release.template, hasty) {
            release.template = Arc::clone(better);
        }
        awakened.posts.values().cloned().collect()
    }

    /// Those who are awake, and those who wake from now on, run under other rules.
    pub(crate) fn retune(&self, terms: &Arc<Terms>) -> Vec<Arc<Post>> {
        let mut awakened = self.lock();
        awakened.arrivals.release_mut().terms = Arc::clone(terms);
        awakened.posts.values().cloned().collect()
    }

    /// Ends the probation of all, and of who wakes from now on, where none had gone back from it; how many had.
    pub(crate) fn settle(&self) -> usize {
        let mut awakened = self.lock();
        let gone_back = awakened.serving().filter(|post| !post.live.settle()).count();
        if gone_back == 0
            && let Some(next) = awakened.arrivals.next_mut()
        {
            next.probation = None;
        }
        gone_back
    }

    /// Lets all wake with what was deployed, for good.
    pub(crate) fn adopt(&self) {
        let mut awakened = self.lock();
        match awakened.arrivals.adopt() {
            true => awakened.posts.values().for_each(|post| post.live.adopt()),
            false => awakened.posts.values().for_each(|post| post.live.are_discarded()),
        }
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

    /// Begins to forget the state of an actor that sleeps, as `begin` does it: whoever wakes it does so after that. One
    /// that is awake has to do it itself.
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
        self.lock().arrivals.forget(address.as_str());
    }

    /// Those who are awake.
    pub(crate) fn awake(&self) -> Vec<Arc<Post>> {
        self.lock().serving().cloned().collect()
    }

    /// Lets an actor begin, with what they wake with now. `make` makes what starts its incarnations. That, and what
    /// serves in its place.
    pub(super) fn enter(
        &self,
        own: Arc<Place>,
        make: impl FnOnce(&Arc<Live>) -> Arc<WorkerStart<ComponentActor>>,
    ) -> (Arc<WorkerStart<ComponentActor>>, Arc<Live>) {
        let address: Box<str> = own.address().as_str().into();
        let mut awakened = self.lock();
        let (waking, past) = awakened.arrivals.begins(&address);
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

    /// What answers a query of this function that is sent to a place, as it is now: what serves there, or would, where
    /// it is a key that sleeps. None where it is no query, or something has to become of the place first.
    pub(super) fn asked(&self, address: &Address, function: &FunctionType) -> Option<Asked> {
        let awakened = self.lock();
        if let Some(post) = awakened.posts.get(address.as_str()) {
            return post.asked(function);
        }
        // A child that is not there yet has no state.
        let keyed = self.service.directory.on_demand()?;
        let waking = awakened.arrivals.would_begin(address.as_str())?;
        if !waking.terms.is_query(function) {
            return None;
        }
        let own = keyed.known(address.key()?).filter(|own| !own.inbox.mailbox().is_closed())?;
        let serving = Arc::new(self.serving(own, &waking.template, &waking.terms));
        let failed = waking.probation.as_ref().map(|(_, failed)| failed.clone());
        let trial = failed.map_or(Trial::None, Trial::Everywhere);
        Some(Asked { serving, watch: awakened.watch.clone(), trial })
    }

    pub(super) fn leave(&self, address: &Address) {
        let mut awakened = self.lock();
        let Some(post) = awakened.posts.remove(address.as_str()) else { return };
        post.live.leave();
        let own = Arc::clone(&post.live.serving().identity.own);
        // Nobody is anybody's child again: its state is gone with it.
        if own.child().is_none() {
            awakened.arrivals.ends(address.as_str(), own, post.live.past());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Awakened> {
        self.awakened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
