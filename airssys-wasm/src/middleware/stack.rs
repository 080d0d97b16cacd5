//! The layers of a mesh, in order, and what is put in force among them while it runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use super::{Authorize, Deadline, Guards, Layer, Log, Placed, RateLimit, Recorder, Retry, Trace};
use crate::events::Events;
use crate::guard::Guard;
use crate::logger::{LogSettings, Logger};
use crate::operation::Operations;
use crate::rate::Rate;
use crate::retry::RetryPolicy;
use crate::waits::Waits;

/// The layers, in order.
pub(crate) struct Stack {
    pub(super) layers: Box<[Placed]>,
    /// What they apply to, together, as a number.
    wanted: AtomicU64,
    /// That of quotas, which is one of them.
    limit: Arc<RateLimit>,
    /// That of logs, which is another one, and the logs themselves.
    log: Arc<Log>,
    pub(crate) logger: Arc<Logger>,
    /// That of retries.
    retry: Arc<Retry>,
    /// That of the layers that are components.
    guards: Arc<Guards>,
    /// Whether there are others than the built-in layers, which never ask for a retry.
    extended: bool,
    /// Whether the mesh is over, so that nobody waits for a layer any more.
    pub(super) closed: watch::Sender<bool>,
    /// Whether one of the built-in layers may keep an error waiting, or want something to be done again.
    settles_later: AtomicBool,
    /// Whether nothing is let on, since the audit is required and cannot be written.
    refusing: Arc<AtomicBool>,
    /// Who waits for whom, also over a layer.
    pub(crate) waits: Arc<Waits>,
}

impl Stack {
    /// The built-in layers and these; what they deny is told there.
    pub(crate) fn new(extra: Vec<Arc<dyn Layer>>, events: &Arc<Events>) -> Self {
        let (limit, retry) = (Arc::new(RateLimit::new(events)), Arc::new(Retry::new()));
        let guards = Arc::<Guards>::default();
        let log = Arc::new(Log::of(events));
        let built_in: [Arc<dyn Layer>; 8] = [
            // What becomes of it, whoever turns it away? Nothing applies where no log is about it.
            Arc::clone(&log) as Arc<dyn Layer>,
            // Before anything else sees it: is it allowed at all?
            Arc::new(Authorize { events: Arc::clone(events) }),
            // Is it to be tried again, where it fails? Nothing applies where nobody has a policy.
            Arc::clone(&retry) as Arc<dyn Layer>,
            // Does anybody still want it?
            Arc::new(Deadline),
            // Count what is left.
            Arc::new(Recorder),
            // Is it more than is allowed in a second? Nothing applies where there is no quota.
            Arc::clone(&limit) as Arc<dyn Layer>,
            // Tell of it where somebody listens.
            Arc::new(Trace),
            // What do the components say? Nothing applies where there is none.
            Arc::clone(&guards) as Arc<dyn Layer>,
        ];
        let extended = !extra.is_empty();
        let mut layers: Vec<Placed> = built_in.into_iter().map(Placed::built_in).collect();
        layers.extend(extra.into_iter().map(Placed::foreign));
        // Stable: of equal priority, the built-in one first, then in the order given.
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.priority));
        let stack = Self {
            layers: layers.into(),
            wanted: AtomicU64::default(),
            limit,
            logger: Arc::clone(&log.0),
            log,
            retry,
            guards,
            extended,
            settles_later: AtomicBool::new(false),
            closed: watch::Sender::new(false),
            refusing: Arc::default(),
            waits: Arc::default(),
        };
        stack.look();
        stack
    }

    /// Without those of the host's own layers that have none of these names.
    pub(crate) fn only(self, names: &[&str]) -> Self {
        let layers = self.layers.into_iter().filter(|placed| placed.is_foreign || names.contains(&placed.name));
        let stack = Self { layers: layers.collect(), ..self };
        stack.look();
        stack
    }

    /// Puts quotas in force, each for the services that use it: pairs of both names.
    pub(crate) fn limit<'a>(&self, quotas: &[Rate], uses: impl Iterator<Item = (&'a str, &'a str)>) {
        self.apply_to(&self.limit, self.limit.put(quotas, uses));
    }

    /// Puts logs in force.
    pub(crate) fn log(&self, logs: &[LogSettings]) {
        self.apply_to(&self.log, self.logger.put(logs));
    }

    fn apply_to<L: Layer>(&self, layer: &Arc<L>, about: Operations) {
        let these = self.layers.iter().filter(|placed| placed.is(layer));
        these.for_each(|placed| placed.apply_to(about));
        self.look();
    }

    /// Puts layers that are components in force, each with the services that it guards.
    pub(crate) fn guard<'a>(&self, guards: impl Iterator<Item = (&'a Guard, Vec<&'a str>)>) {
        self.apply_to(&self.guards, self.guards.put(guards));
    }

    /// Whether a layer may keep an error waiting.
    #[inline]
    pub(super) fn may_settle_later(&self) -> bool {
        self.extended || self.settles_later.load(Ordering::Relaxed)
    }

    /// The layers that are components.
    pub(crate) fn guards(&self) -> &Guards {
        &self.guards
    }

    /// Has the times between tries follow from this, and not from chance.
    pub(crate) fn spread_retries_by(&self, seed: u64) {
        self.retry.spread_by(seed);
    }

    /// Puts policies in force by which what failed is tried again, each for the services that use it: pairs of both
    /// names.
    pub(crate) fn retry<'a>(&self, policies: &[RetryPolicy], uses: impl Iterator<Item = (&'a str, &'a str)>) {
        self.apply_to(&self.retry, self.retry.put(policies, uses));
    }

    fn look(&self) {
        let retries =
            self.layers.iter().filter(|layer| layer.is(&self.retry)).any(|layer| !layer.applies_to().is_empty());
        self.settles_later.store(retries || self.guards.are_asked_about_errors(), Ordering::Relaxed);
        let wanted = self.layers.iter().fold(Operations::NONE, |all, layer| all | layer.applies_to());
        self.wanted.store(wanted.bits(), Ordering::Relaxed);
    }

    /// Whether a layer applies to one of these. Where none does, nobody has to be asked.
    #[inline]
    #[must_use]
    pub(crate) fn wants(&self, needs: Operations) -> bool {
        Operations::of_bits(self.wanted.load(Ordering::Relaxed)).intersects(needs)
    }

    /// Lets nothing on while this is so.
    #[must_use]
    pub(crate) fn refusing(self, refusing: Arc<AtomicBool>) -> Self {
        Self { refusing, ..self }
    }

    /// Whether nothing is let on. One load of what is as good as never written.
    #[inline]
    pub(super) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Turns those away who wait for a layer, now and from now on.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Whether a message may have to be sent again.
    #[must_use]
    pub(crate) fn may_retry(&self) -> bool {
        self.may_settle_later()
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.name)).finish()
    }
}
