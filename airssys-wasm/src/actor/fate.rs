//! What becomes of a message over which an instance ended, and of the actor: it goes on with another release, or ends
//! and leaves it to the next one.

use airssys_rt_shim::worker::Flow;

use super::watch::StandIn;
use super::{ComponentActor, Hand, dead_reason, exit_reason};
use crate::error::Crash;
use crate::middleware::Metrics;

impl ComponentActor {
    /// What becomes of the message over which the instance ended.
    pub(super) async fn crashed(&mut self, mut hand: Hand<'_>, crash: Crash) -> Flow {
        let service = &self.identity.service;
        let retries = self.identity.terms.retries;
        Metrics::count(&service.metrics.crashed);
        tracing::warn!(
            target: "airssys::actor",
            service = %self.identity.address(), id = hand.id, attempt = hand.attempt, crash = %crash, "crashed"
        );
        // Dropped here, so that its room and its timers are free before anybody looks.
        self.instance = None;
        let is_cut_off = matches!(crash, Crash::CutOff { .. });
        let says_nothing = is_cut_off || !self.serves_the_live_one();
        let stand_in = says_nothing || self.watching.as_ref().is_some_and(|watching| watching.stands_in());
        let crashed = self.watching.as_ref().and_then(|watching| watching.crashed());
        if !stand_in && self.tolerates() {
            // The one before says whether it crashes over this message, too.
            if Box::pin(self.begin_stand_in(crashed.map_or(StandIn::Over, StandIn::For))).await {
                hand.is_forgiven = true;
                drop(hand);
                return Flow::Continue;
            }
        } else if !stand_in && self.live.roll_back(&crash) {
            // The release that survives gets the message as if nobody had tried it.
            hand.is_forgiven = true;
            drop(hand);
            // Boxed, as the others here: most ends of an instance go on to the supervisor, and carry none of this.
            return Box::pin(self.go_on()).await;
        }
        let again = hand.attempt < retries && hand.may_be_tried_again();
        if again {
            // It stays in hand: the next incarnation finds it first, and counts. Only the supervisor knows whether
            // there is one: where there is none, it goes to another member or is buried when the supervisor says so.
            hand.crashed = Some(Box::new(crash.clone()));
            drop(hand);
        } else {
            let reason = dead_reason(retries, crash.clone());
            self.identity.mesh.bury(*hand.done(), reason);
        }
        if is_cut_off {
            // The try counts as for any crash; the end of this incarnation does not.
            return Box::pin(self.give_way(crash)).await;
        }
        Flow::Exit(exit_reason(crash))
    }
}
