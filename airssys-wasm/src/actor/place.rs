//! Puts a service into the mesh and gives the children that a supervisor starts for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use airssys_rt_shim::child::{ChildSpec, Restart, Shutdown};
use airssys_rt_shim::supervisor::ChildError;
use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::oneshot;

use super::keyed;
use super::spawned;
use super::{ComponentActor, Control, Live, Serving, Swap};
use crate::address::Address;
use crate::engine::{Engines, Template};
use crate::error::Fault;
use crate::router::Mesh;
use crate::router::place::Target;
use crate::router::service::{Asked, Service, ServiceShape};
use crate::settings::{Multiplicity, Shape, Terms};
use crate::state::durable::Shelf;
use crate::turn::Identity;

/// Everything about a service that its supervisor and its senders need to know.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Its name in the mesh.
    pub address: Address,
    /// The release that serves it.
    pub template: Arc<Template>,
    /// How many actors serve it.
    pub multiplicity: Multiplicity,
    /// The shape of its mailbox, or of each one.
    pub shape: Shape,
    /// The rules it runs under.
    pub terms: Arc<Terms>,
    /// Whether it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end counts for its supervisor's auto-shutdown.
    pub significant: bool,
    /// Its durable states; none where they are in memory only.
    pub(crate) shelf: Option<Arc<Shelf>>,
}

/// One actor of a service, as those see it who look after the service.
pub(crate) struct Post {
    /// What serves it.
    pub(crate) live: Arc<Live>,
    /// Its name among the children of its supervisor.
    pub(crate) name: Box<str>,
    pub(super) start: Arc<WorkerStart<ComponentActor>>,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Post {
    /// Whether nobody will run here any more by himself: this one ended for good, or fell asleep, or the service takes no messages any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.live.is_gone() || self.live.serving().identity.mailbox.is_closed()
    }

    /// Gives the actor an order for between two turns.
    ///
    /// # Errors
    ///
    /// Hands it back where none runs. One that ends before it looks drops it.
    pub(crate) fn order(&self, control: Control) -> Result<(), Control> {
        self.start.control(control)
    }

    /// Offers a release to whoever runs here, or starts next.
    ///
    /// # Errors
    ///
    /// Hands it back where nobody will start here by himself.
    pub(crate) fn offer(&self, swap: Box<Swap>) -> Result<(), Box<Swap>> {
        self.live.offer(swap)?;
        // Who does not run looks when he starts.
        let _none_runs = self.start.control(Control::Offered);
        Ok(())
    }

    /// Whether it ended by itself and will not start again by itself. Where it did not, somebody stopped it.
    pub(crate) fn has_finished(&self) -> bool {
        self.live.is_gone() && self.start.has_finished()
    }

    /// Starts it again, where nobody runs.
    pub(crate) async fn restart(&self) -> Result<(), ChildError> {
        self.start.restart().await.map(drop)
    }

    /// Lets the next incarnation start now, where none runs and one is to; once.
    pub(crate) fn hurry(&self, once: &Arc<AtomicBool>) {
        self.start.hurry(once);
    }

    /// Whether nobody runs here, and its group waits for another one before somebody is started.
    pub(crate) async fn is_held_back(&self) -> bool {
        self.start.is_held_back().await
    }

    /// Says that nobody runs here, where that is so, until somebody starts. Whether it is.
    pub(crate) fn vacate(&self) -> bool {
        let is_vacant = self.start.is_vacant(|| self.live.say_empty());
        if !is_vacant {
            self.live.say_not_empty();
        }
        is_vacant
    }
}

/// A service in the mesh, as the runtime holds it.
pub(crate) struct Placed {
    pub(crate) service: Arc<Service>,
    pub(crate) children: Vec<ChildSpec>,
    /// Its actors; none where they come and go.
    pub(crate) actors: Arc<[Post]>,
    /// Its actors, where they come and go.
    pub(crate) roster: Option<Arc<keyed::Roster>>,
    /// The rules by which those come and go.
    pub(crate) reins: Option<keyed::Reins>,
    /// Starts those that come and go; to be run in a task of its own. Boxed: most services have none, and it is large.
    pub(crate) controller: Option<Box<Controller>>,
}

/// What starts actors that come and go.
pub(crate) enum Controller {
    Keyed(keyed::Controller),
    Spawned(spawned::Controller),
}

impl Controller {
    pub(crate) async fn run(self) {
        match self {
            Self::Keyed(controller) => controller.run().await,
            Self::Spawned(controller) => controller.run().await,
        }
    }
}

impl ServiceSpec {
    /// The service and its mailboxes, which nobody can find yet.
    pub(crate) fn build(&self, mesh: &Arc<Mesh>, engines: &Arc<Engines>) -> Placed {
        let of = ServiceShape {
            address: &self.address,
            multiplicity: self.multiplicity,
            shape: self.shape,
            limits: &self.terms.limits,
            shelf: self.shelf.as_ref(),
        };
        let (service, asked) = Service::new(of, &mesh.waits);
        let service = Arc::new(service);
        let mut placed = Placed {
            service: Arc::clone(&service),
            children: Vec::new(),
            actors: Arc::new([]),
            roster: None,
            reins: None,
            controller: None,
        };
        match (asked, self.multiplicity) {
            (Asked::Wakes(asked), Multiplicity::Keyed(rules)) => {
                let (child, controller, reins) = keyed::supervisor(self, rules, asked, mesh, engines, &service);
                placed.children.push(child);
                placed.roster = Some(controller.roster());
                placed.reins = Some(reins);
                placed.controller = Some(Box::new(Controller::Keyed(controller)));
                return placed;
            }
            (Asked::Children(asked), Multiplicity::Spawned(rules)) => {
                let (child, controller) = spawned::supervisor(self, rules, asked, mesh, engines, &service);
                placed.children.push(child);
                placed.roster = Some(controller.roster());
                placed.controller = Some(Box::new(Controller::Spawned(controller)));
                return placed;
            }
            _ => {}
        }
        // A mailbox that several share has a consumer for each; a lane has its own.
        let consumers = match self.multiplicity {
            Multiplicity::Stateless { instances } => instances.max(1),
            _ => 1,
        };
        let fixed = service.directory.fixed().iter();
        let places: Vec<(Target, usize)> =
            fixed.flat_map(|place| (0..consumers).map(|consumer| (Arc::clone(place), consumer))).collect();
        let left = Arc::new(AtomicUsize::new(places.len()));
        let several = places.len() > 1;
        let mut posts = Vec::with_capacity(places.len());
        for (member, (own, consumer)) in places.into_iter().enumerate() {
            let identity = identity(mesh, &service, own, consumer, &self.terms);
            let live = Live::new(Serving { template: Arc::clone(&self.template), identity });
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
    WorkerStart::new(
        mailbox,
        consumer,
        move || {
            if comes_back.swap(false, Ordering::AcqRel) {
                others.fetch_add(1, Ordering::AcqRel);
                door.reopen();
            }
            ComponentActor::new(Arc::clone(&engines), Arc::clone(&live))
        },
        move || {
            place.leave();
            // The last one closes the door of a mailbox that several share; a lane is its own consumer's. One that is stopped may be deleted after that.
            if !is_gone.swap(true, Ordering::AcqRel) && (left.fetch_sub(1, Ordering::AcqRel) == 1 || partitioned) {
                identity.mesh.close(&identity.mailbox);
            }
        },
    )
}

pub(super) fn identity(
    mesh: &Arc<Mesh>,
    service: &Arc<Service>,
    own: Target,
    consumer: usize,
    terms: &Arc<Terms>,
) -> Arc<Identity> {
    let (mailbox, node) = (Arc::clone(own.inbox.mailbox()), own.inbox.nodes().nth(consumer));
    Arc::new(Identity {
        mesh: Arc::clone(mesh),
        service: Arc::clone(service),
        own,
        mailbox,
        node,
        terms: Arc::clone(terms),
        me: Arc::default(),
        monitors: Arc::default(),
        cut: Arc::default(),
    })
}

/// Asks one actor how it is; none where it does not run.
pub(crate) async fn check(actor: &Post, patience: Duration) -> Option<Result<(), Fault>> {
    let (reply, answer) = oneshot::channel();
    actor.order(Control::Check(reply)).ok()?;
    tokio::time::timeout(patience, answer).await.ok()?.ok()
}
