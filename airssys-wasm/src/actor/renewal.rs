//! Another instance of the same release comes in the place of one whose requests of HTTP have left resources behind,
//! which it would soon have too many of.
//!
//! It is done between two turns, as where another release takes over: with the address, the mailbox and the committed
//! state, and with the memory where the release hands that over. No turn fails over it, and no restart is counted.
//! Where it does not come to something, the one before goes on.

use std::sync::Arc;

use airssys_rt_shim::worker::Flow;
use bytes::Bytes;
use tokio::time::Instant;

use super::ComponentActor;
use super::handover::take_over;
use super::serving::Serving;
use crate::engine::Instance;
use crate::error::Crash;
use crate::middleware::Metrics;

impl ComponentActor {
    /// Puts another instance in the place of the one that serves, where it is of the release that is live here.
    #[cold]
    pub(super) async fn renew(&mut self) -> Flow {
        let serving = self.live.serving();
        if let Some(instance) = &mut self.instance {
            instance.stays();
        }
        if !self.serves_the_live_one() || self.watching.as_ref().is_some_and(|watching| watching.stands_in()) {
            return Flow::Continue;
        }
        self.identity.reach("resources", "requests left nearly as many behind; an instance without them takes over");
        let until = Instant::now() + self.identity.terms.limits.start_timeout;
        let memory = match self.snapshot(&serving, until).await {
            Ok(memory) => memory,
            Err(crash) if self.instance.is_none() => return self.ended(crash).await,
            Err(crash) => {
                let service = self.identity.address();
                tracing::warn!(target: "airssys::actor", %service, %crash, "hands nothing over: its next instance begins without its memory");
                None
            }
        };
        let place = Arc::clone(&self.live);
        let made = tokio::select! {
            biased;
            // What takes over next needs no other instance of this one.
            () = place.offered() => Err(None),
            made = self.make_another(&serving, memory, until) => made.map_err(Some),
        };
        match made {
            Ok(instance) => {
                tracing::info!(target: "airssys::actor", service = %self.identity.address(), "another instance serves: requests left nearly as many resources behind as one may have");
                Metrics::count(&self.identity.service.metrics.started);
                self.instance = Some(instance);
                Flow::Continue
            }
            Err(Some(crash)) if self.instance.is_none() => self.ended(crash).await,
            Err(None) if self.instance.is_none() => self.go_on().await,
            Err(None) => Flow::Continue,
            Err(Some(crash)) => {
                tracing::warn!(target: "airssys::actor", service = %self.identity.address(), %crash, "no other instance starts: the one that requests have left resources behind in goes on");
                Flow::Continue
            }
        }
    }

    /// Where there is room for one only, the one that serves goes first.
    async fn make_another(
        &mut self,
        serving: &Serving,
        memory: Option<Bytes>,
        until: Instant,
    ) -> Result<Instance, Crash> {
        let mut made = take_over(&self.engines, serving, None, memory.clone(), until).await;
        if let Err(Crash::NoInstance { .. }) = made {
            self.instance = None;
            made = take_over(&self.engines, serving, None, memory, until).await;
        }
        made?.commit().await
    }
}
