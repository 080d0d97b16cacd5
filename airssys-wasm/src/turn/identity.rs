//! Who a guest is.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use airssys_rt_shim::link::Pid;
use arc_swap::ArcSwapOption;

use super::cut::Cut;
use crate::address::Address;
use crate::middleware::Who;
use crate::router::inbox::Mailbox;
use crate::router::place::Place;
use crate::router::service::Service;
use crate::router::{Mesh, Origin};
use crate::settings::Terms;
use crate::waits::Node;

/// Who a guest is in the mesh, and the rules it runs under. The same for all its turns.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) service: Arc<Service>,
    /// The place its own messages come to.
    pub(crate) own: Arc<Place>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) node: Node,
    pub(crate) terms: Arc<Terms>,
    /// The incarnation that runs in this place, once there was one.
    pub(crate) me: Arc<ArcSwapOption<Pid>>,
    /// How many monitors are set in this place, or told and not handled.
    pub(crate) monitors: Arc<AtomicUsize>,
    /// Cuts off what runs in this place.
    pub(crate) cut: Arc<Cut>,
}

impl Identity {
    pub(crate) fn address(&self) -> &Address {
        self.own.address()
    }

    /// What it finds under a key of its configuration.
    pub(super) fn configured(&self, key: &str) -> Option<String> {
        self.terms.config.given(self.address().service(), key)
    }

    /// Tells that it has reached a limit; not of one that is only shown what another one does.
    #[cold]
    pub(crate) fn reach(&self, limit: &'static str, detail: impl Display) {
        if !self.terms.silent {
            let own = self.address();
            self.mesh.events.reach(own.service(), limit, format_args!("{own}: {detail}"));
        }
    }

    /// It, as the sender of what comes of the message `trace`.
    pub(super) fn origin(&self, trace: u64) -> Origin<'_> {
        Origin { who: Who::Service { address: self.own.address(), policy: &self.terms.policy }, trace }
    }
}
