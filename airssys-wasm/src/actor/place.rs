//! Puts a service into the mesh and gives the children that a supervisor starts for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::worker::WorkerStart;

use super::coming::{Coming, Tuning};
use super::controller::{Controller, supervisor};
use super::post::Post;
use super::query;
use super::roster::Roster;
use super::spec::{ServiceSpec, identity};
use super::{ComponentActor, Live, Serving, Start};
use crate::engine::Engines;
use crate::router::Mesh;
use crate::router::place::Place;
use crate::router::service::{Service, ServiceShape};

/// A service in the mesh, as the runtime holds it.
pub(crate) struct Placed {
    pub(crate) service: Arc<Service>,
    pub(crate) children: Vec<ChildSpec>,
    /// Its actors; none where they come and go.
    pub(crate) actors: Arc<[Post]>,
    /// Its actors, where they come and go.
    pub(crate) roster: Option<Arc<Roster>>,
    /// The rules by which those come and go.
    pub(crate) tuning: Option<Tuning>,
    /// Starts those that come and go; to be run in a task of its own. Boxed: most services have none, and it is large.
    pub(crate) controller: Option<Box<Controller>>,
}

impl ServiceSpec {
    /// The service and its mailboxes, which nobody can find yet.
    pub(crate) fn build(&self, mesh: &Arc<Mesh>, engines: &Arc<Engines>) -> Placed {
        let of = ServiceShape {
            address: &self.address,
            multiplicity: self.multiplicity,
            shape: self.shape,
            limits: &self.terms.limits,
            durable: self.durable.as_ref(),
        };
        let (service, asked) = Service::new(of, &mesh.waits);
        let service = Arc::new(service);
        let mut placed = Placed {
            service: Arc::clone(&service),
            children: Vec::new(),
            actors: Arc::new([]),
            roster: None,
            tuning: None,
            controller: None,
        };
        if let (Some(asked), Some(rules)) = (asked, Coming::of(self.multiplicity, self.restart, self.shutdown)) {
            let (child, controller, tuning) = supervisor(self, rules, asked, (mesh, engines, &service));
            placed.children.push(child);
            let roster = controller.roster();
            service.run_beside(&self.terms, query::beside(engines, query::of_those_who_come(&roster)));
            placed.roster = Some(roster);
            placed.tuning = Some(tuning);
            placed.controller = Some(Box::new(controller));
            return placed;
        }
        let fixed = service.directory.fixed().iter();
        let places: Vec<(Arc<Place>, usize)> = fixed
            .flat_map(|place| (0..place.inbox.nodes().consumers()).map(move |consumer| (Arc::clone(place), consumer)))
            .collect();
        let left = Arc::new(AtomicUsize::new(places.len()));
        let several = places.len() > 1;
        let mut posts = Vec::with_capacity(places.len());
        // As many as there are: a list that grows by itself has room for four.
        placed.children.reserve_exact(places.len());
        for (member, (own, consumer)) in places.into_iter().enumerate() {
            let identity = identity(mesh, &service, own, consumer, &self.terms);
            let live = Live::new(Serving { template: Arc::clone(&self.template), identity }, self.is_left);
            let start = worker(engines, &live, consumer, Arc::clone(&left));
            let name = if several { format!("{}#{member}", self.address) } else { self.address.to_string() };
            posts.push(Post { live, name: name.as_str().into(), start: Arc::clone(&start) });
            placed.children.push(ChildSpec {
                restart: self.restart,
                shutdown: self.shutdown,
                significant: self.significant,
                ..ChildSpec::worker(name, start)
            });
        }
        placed.actors = posts.into();
        service.run_beside(&self.terms, query::beside(engines, query::of_actors(&placed.actors)));
        placed
    }
}

fn worker(
    engines: &Arc<Engines>,
    live: &Arc<Live>,
    consumer: usize,
    left: Arc<AtomicUsize>,
) -> Arc<WorkerStart<ComponentActor>> {
    let identity = Arc::clone(&live.serving().identity);
    let (engines, live, mailbox) = (Arc::clone(engines), Arc::clone(live), Arc::clone(&identity.mailbox));
    let partitioned = identity.own.has_state_per_key();
    let is_gone = Arc::new(AtomicBool::new(false));
    let (comes_back, door, others) = (Arc::clone(&is_gone), Arc::clone(&mailbox), Arc::clone(&left));
    let place = Arc::clone(&live);
    let known = Start::default();
    let own = Arc::clone(&known);
    let start = WorkerStart::new(
        mailbox,
        consumer,
        move || {
            if comes_back.swap(false, Ordering::AcqRel) {
                others.fetch_add(1, Ordering::AcqRel);
                door.reopen();
            }
            ComponentActor::new(Arc::clone(&engines), Arc::clone(&live), Arc::clone(&own))
        },
        move || {
            place.leave();
            // One that is stopped may be deleted after that.
            if is_gone.swap(true, Ordering::AcqRel) {
                return;
            }
            // The last one closes the door of a mailbox that several share; a lane is its own consumer's.
            if left.fetch_sub(1, Ordering::AcqRel) == 1 || partitioned {
                identity.mesh.close(&identity.mailbox);
            } else {
                identity.mailbox.hand_on(consumer);
            }
        },
    );
    let _it_is_new = known.set(Arc::downgrade(&start));
    start
}
