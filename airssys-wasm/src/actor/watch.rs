//! What two releases of one service did while both served it, counted side by side. Nothing is counted where
//! nothing is compared.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::mailbox::InHand;
use bytes::Bytes;
use tokio::time::Instant;

use super::serving::Serving;
use super::shadow::{Rehearsal, Shadow};
use super::tally::Tally;
use crate::engine::{Answered, Ran, Template};
use crate::message::Envelope;
use crate::turn::{Script, Turn, Writing};

/// A new release beside an old one.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The new one; whoever serves with anything else serves with the old one.
    pub(crate) template: Arc<Template>,
    pub(crate) old: Arc<Tally>,
    pub(crate) new: Arc<Tally>,
    /// Where the new one serves nobody, and is shown what the old one does.
    pub(crate) rehearsal: Option<Arc<Rehearsal>>,
}

impl Watch {
    pub(crate) fn new(template: &Arc<Template>, rehearsal: Option<Arc<Rehearsal>>) -> Arc<Self> {
        Arc::new(Self { template: Arc::clone(template), old: Arc::default(), new: Arc::default(), rehearsal })
    }

    /// What the old one did, and nothing of the new one, which serves from now on.
    pub(crate) fn after_rehearsal(&self) -> Arc<Self> {
        Arc::new(Self {
            template: Arc::clone(&self.template),
            old: Arc::clone(&self.old),
            new: Arc::default(),
            rehearsal: None,
        })
    }

    /// Where the turns of who serves with this are counted.
    pub(super) fn tally(&self, serving: &Serving) -> &Arc<Tally> {
        if Arc::ptr_eq(&serving.template, &self.template) { &self.new } else { &self.old }
    }

    /// For an actor that serves with this, and what it hands over to its shadow, where it has one.
    pub(super) fn begin(&self, serving: &Serving, memory: Option<Bytes>) -> Box<Watching> {
        let new = Arc::ptr_eq(&serving.template, &self.template);
        let tally = Arc::clone(self.tally(serving));
        let shadow = self.rehearsal.as_ref().filter(|_| !new);
        let shadow = shadow.and_then(|rehearsal| Shadow::begin(rehearsal, serving, Arc::clone(&self.new), memory));
        Box::new(Watching { tally, shadow, tolerates: new, crashed: None, stand_in: StandIn::No })
    }

    /// For an actor in which the release before stands in for the new one.
    pub(super) fn begin_stand_in(&self, stand_in: StandIn) -> Box<Watching> {
        Box::new(Watching { tally: Arc::clone(&self.new), shadow: None, tolerates: false, crashed: None, stand_in })
    }

    /// Whether a crash of this one is a failed turn and no verdict: it is the new one, and the old one is there to
    /// compare it with.
    pub(super) fn tolerates(&self, serving: &Serving) -> bool {
        Arc::ptr_eq(&serving.template, &self.template)
    }

    /// What is in the shadow of who serves with this; none where nothing is.
    pub(super) fn shadow_of(&self, serving: &Serving) -> Option<Serving> {
        let rehearsal = self.rehearsal.as_ref().filter(|_| !Arc::ptr_eq(&serving.template, &self.template))?;
        Some(serving.with(&rehearsal.template, &rehearsal.terms))
    }
}

/// One actor's part in it.
pub(super) struct Watching {
    tally: Arc<Tally>,
    shadow: Option<Shadow>,
    /// Whether a crash is a failed turn and no verdict.
    tolerates: bool,
    /// How long the turn took that it crashed over. Not counted yet: the release before has to say whether it crashes
    /// over that message, too.
    crashed: Option<Duration>,
    stand_in: StandIn,
}

/// Whether the release before stands in for the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    No,
    /// For the message in hand, over which the new one crashed after so long.
    For(Duration),
    /// Until the new one is tried again, with the next message.
    Over,
}

impl Watching {
    /// How long the turn took over which the new release crashed, where the release before is to be asked.
    pub(super) fn crashed(&self) -> Option<Duration> {
        self.crashed
    }

    pub(super) fn stands_in(&self) -> bool {
        self.stand_in != StandIn::No
    }

    /// Whether the new release may be tried again: the one before has handled what that crashed over.
    pub(super) fn is_over(&self) -> bool {
        self.stand_in == StandIn::Over
    }

    /// Whether it is to be tried again before the next message.
    pub(super) fn tries_again(&self) -> bool {
        self.is_over() && !self.tally.awaits_verdict()
    }

    /// Whether its shadow is to begin again before the next message.
    pub(super) fn begins_again(&self) -> bool {
        self.shadow.as_ref().is_some_and(Shadow::begins_again)
    }

    /// A turn begins.
    #[cold]
    pub(super) fn begin(&self, turn: &mut Turn) -> Instant {
        if self.shadow.is_some() {
            turn.script = Some(Box::new(Script::Written(Writing::default())));
        }
        Instant::now()
    }

    /// A turn is over, and is not committed.
    #[cold]
    pub(super) fn end(
        &mut self,
        begun: Instant,
        hand: &InHand<'_, Box<Envelope>>,
        left: Duration,
        ran: &Ran<Answered>,
        turn: &mut Turn,
    ) {
        let (took, crashed) = (begun.elapsed(), matches!(ran, Ran::Crashed(_)));
        let stand_in = self.stand_in;
        if self.stands_in() {
            self.stand_in = StandIn::Over;
        }
        match stand_in {
            StandIn::No if self.tolerates && crashed => self.crashed = Some(took),
            StandIn::No => self.tally.count(took, !ran.commits()),
            StandIn::For(took) if ran.commits() => self.tally.outdo(took),
            // What the release before crashes over as well says nothing about the new one.
            StandIn::For(took) if !crashed => self.tally.count(took, true),
            StandIn::For(_) | StandIn::Over => {}
        }
        if self.shadow.as_mut().is_some_and(|shadow| !shadow.show(hand, left, ran, turn)) {
            self.shadow = None;
        }
    }
}
