//! What a supervisor and senders need to know of a service, and who an actor of it is.

use std::sync::Arc;

use airssys_rt_shim::child::{Restart, Shutdown};

use crate::address::Address;
use crate::engine::Template;
use crate::router::Mesh;
use crate::router::place::Place;
use crate::router::service::Service;
use crate::settings::{MailboxShape, Multiplicity, Terms};
use crate::state::durable::ServiceStates;
use crate::turn::Identity;

/// Everything about a service that its supervisor and its senders need to know.
#[derive(Debug, Clone)]
pub(crate) struct ServiceSpec {
    /// Its name in the mesh.
    pub(crate) address: Address,
    /// The release that serves it.
    pub(crate) template: Arc<Template>,
    /// How many actors serve it.
    pub(crate) multiplicity: Multiplicity,
    /// The shape of its mailbox, or of each one.
    pub(crate) shape: MailboxShape,
    /// The rules it runs under.
    pub(crate) terms: Arc<Terms>,
    /// Whether it is started again.
    pub(crate) restart: Restart,
    /// How it is stopped.
    pub(crate) shutdown: Shutdown,
    /// Whether its end counts for its supervisor's auto-shutdown.
    pub(crate) significant: bool,
    /// Its durable states; none where they are in memory only.
    pub(crate) durable: Option<Arc<ServiceStates>>,
    /// Whether the release is the one that served here when the host ended, so that what is stored is what it left.
    pub(crate) is_left: bool,
}

pub(super) fn identity(
    mesh: &Arc<Mesh>,
    service: &Arc<Service>,
    own: Arc<Place>,
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
