//! What an incarnation does in its place: it starts, takes over, goes back, and may be killed wherever it waits.

use super::toys::{Saved, Toy, ToyKept};
use super::world::{Killed, Offer, Order, Stage, Way, World};
use crate::actor::decide::{Action, Event, Release};
use crate::actor::past::Kept;
use crate::error::Crash;

impl World {
    /// Lets the actor do something, if there is one. It may be killed over it.
    pub(super) fn acts(&mut self, what: fn(&mut Self) -> Result<(), Killed>) {
        if self.actor.is_some() && what(self).is_err() {
            self.actor = None;
        }
        self.presence.has_started();
    }

    pub(super) fn takes(&mut self) -> Result<(), Killed> {
        match self.presence.take(|_any| true) {
            Some(offer) => self.takes_over(offer),
            // Whoever ordered the way back waits for it no more.
            None if self.comes_back() => {
                self.actor = Some(None);
                self.start()
            }
            None => Ok(()),
        }
    }

    pub(super) fn comes_back(&self) -> bool {
        let past = self.place.past();
        past.returning().is_some() || past.owed().is_some()
    }

    pub(super) fn takes_over(&mut self, Offer { id, way }: Offer) -> Result<(), Killed> {
        self.ended += 1;
        let took = match way {
            Way::Forth(next) => self.forth(next),
            Way::Back(next, saved, instead) => self.back(next, saved, instead),
        };
        // Whoever offered it hears of its end, also where that is a kill.
        let is_there = matches!(took, Ok(true));
        match self.restoring.take_if(|order| order.offer == Some(id)) {
            Some(order) if took.is_err() => self.orders_again(order),
            Some(order) if is_there => self.restoring = Some(Order { offer: None, ..order }),
            Some(order) => (self.model.serves, self.previous) = order.before,
            None => {}
        }
        match self.deployment.as_mut() {
            Some(deployment) if deployment.stage == Stage::Offered(id) => match is_there {
                true => deployment.stage = Stage::OnTrial,
                false => self.deployment = None,
            },
            Some(deployment) if deployment.stage == Stage::Reverting(id) => {
                let before = deployment.before;
                if !is_there {
                    // Whoever starts next goes on with that.
                    let past = self.place.past();
                    let saved = past.on_trial().or(past.returning()).cloned().unwrap_or_default();
                    if past.suspended().is_none() {
                        self.place.decide(Event::GoesBack { next: before, saved, discard: false });
                    }
                }
                self.model.serves = before;
                self.deployment = None;
            }
            _ => {}
        }
        match took? {
            true => Ok(()),
            // It goes on with what is there.
            false if self.actor == Some(None) && self.place.past().suspended().is_none() => self.start(),
            false => Ok(()),
        }
    }

    /// A release comes back, and turns may be discarded for it. Whether that has an end.
    pub(super) fn back(&mut self, next: Toy, saved: ToyKept, instead: Option<Toy>) -> Result<bool, Killed> {
        self.actor = Some(None);
        let discard = instead.is_some();
        if discard {
            self.model.wants_discarded();
        }
        self.place.decide(Event::GoesBack { next, saved, discard });
        self.model.serves = next;
        let is_there = self.goes_back()?;
        if let Some(instead) = instead.filter(|_| !is_there) {
            self.are_kept(instead);
        }
        Ok(is_there)
    }

    /// Whether the next one serves then.
    pub(super) fn forth(&mut self, next: Toy) -> Result<bool, Killed> {
        let Some(deployment) = &self.deployment else { panic!("{}: nobody deploys", self.seed) };
        let probation = deployment.probation.clone();
        if self.place.past().owed().is_some() {
            self.actor = Some(None);
        }
        if !matches!(self.actor, Some(Some(_))) {
            self.put_back_owed()?;
        }
        if self.fails(6) || !self.reads(next) {
            return Ok(false);
        }
        let saved = self.saves(next, Some(probation.before.schema));
        self.killed()?;
        if !saved.is_empty() {
            self.place.decide(Event::TakesOver(saved.clone()));
            self.killed()?;
            if self.fails(6) {
                self.place.decide(Event::DidNotTakeOver);
                return Ok(false);
            }
            self.bring_over(next);
            self.killed()?;
        }
        let action = self.place.decide(Event::TookOver { next, probation, saved });
        assert!(matches!(action, Action::Serve(serves) if serves == next), "{}: {action:?}", self.seed);
        (self.actor, self.model.serves, self.model.undiscarded) = (Some(Some(next)), next, None);
        Ok(true)
    }

    pub(super) fn saves(&self, by: Toy, before: Option<u32>) -> ToyKept {
        let unwritten = before.unwrap_or(by.schema);
        let found = self.data.borrow().schema;
        let saves = found.unwrap_or(unwritten) != by.schema;
        ToyKept(saves.then(|| Saved::before(&self.data, unwritten)))
    }

    pub(super) fn bring_over(&mut self, to: Toy) {
        let mut data = self.data.borrow_mut();
        if data.schema.is_some_and(|found| found != to.schema) {
            data.becomes(to.schema);
        }
    }

    pub(super) fn turn(&mut self) {
        let Some(Some(by)) = self.actor else { return };
        let past = self.place.past();
        assert!(past.owed().is_none() || past.spares_turns(), "{}: it is put back over this turn", self.seed);
        let mut data = self.data.borrow_mut();
        assert!(!data.is_damaged, "{}: {by:?} on what is damaged", self.seed);
        assert!(data.schema.is_none_or(|found| found == by.schema), "{}: {by:?} on {data:?}", self.seed);
        data.turn(by.schema, self.model.turn());
    }

    pub(super) fn crashes(&mut self) -> Result<(), Killed> {
        let Some(Some(by)) = self.actor else { return Ok(()) };
        self.actor = Some(None);
        if !by.is(&self.place.serving) {
            return Err(Killed);
        }
        self.falls_back()
    }

    /// What is there crashed, or does not start.
    pub(super) fn falls_back(&mut self) -> Result<(), Killed> {
        match self.place.decide(Event::Crashed(crash("a trap"))) {
            Action::FallBack { to, failed, crash } => {
                let Some(deployment) = &mut self.deployment else { panic!("{}: on probation for nobody", self.seed) };
                assert!(to.has_code_of(&deployment.before), "{}: {to:?}", self.seed);
                failed.send(crash).unwrap();
                assert!(deployment.told.try_recv().is_ok(), "{}: nobody is told", self.seed);
                self.model.serves = to;
                // Who wants it back already waits for that still.
                if !matches!(deployment.stage, Stage::Reverting(_)) {
                    self.deployment = None;
                }
                assert!(self.place.past().returning().is_some(), "{}: it does not come back", self.seed);
                match self.goes_back()? {
                    true => Ok(()),
                    false => Err(Killed),
                }
            }
            Action::Nothing => Err(Killed),
            action => panic!("{}: {action:?}", self.seed),
        }
    }

    pub(super) fn starts(&mut self) {
        if self.actor.is_some() || self.presence.is_gone() && self.fails(2) {
            return;
        }
        self.wakes();
        self.presence.enters();
        self.actor = Some(None);
        let damage = self.data.borrow().is_damaged.then(|| crash("damage"));
        if matches!(self.place.decide(Event::Begins { damage }), Action::Wait) {
            return;
        }
        self.acts(Self::start);
    }

    pub(super) fn start(&mut self) -> Result<(), Killed> {
        self.presence.starts();
        // What waits is taken instead of a start.
        if let Some(offer) = self.presence.take(|_any| true) {
            return self.takes_over(offer);
        }
        self.put_back_owed()?;
        if self.place.past().returning().is_some() {
            return match self.goes_back()? {
                true => Ok(()),
                false => Err(Killed),
            };
        }
        match self.start_live(true)? {
            Ok(()) => Ok(()),
            Err(crash @ Crash::Schema { .. }) if self.place.past().is_unread() && self.place.probation.is_none() => {
                self.suspends(self.place.serving, crash, ToyKept::default());
                Ok(())
            }
            Err(_crash) => self.falls_back(),
        }
    }

    pub(super) fn suspends(&mut self, by: Toy, crash: Crash, saved: ToyKept) {
        self.actor = Some(None);
        let saved = match saved.0.as_ref().is_some_and(|saved| by.brings_over(saved.schema)) {
            true => saved,
            false => ToyKept(Some(Saved::nothing(&self.data, by.schema))),
        };
        self.place.decide(Event::CannotRead { by, crash, saved });
    }

    pub(super) fn put_back_owed(&mut self) -> Result<(), Killed> {
        while let Some(states) = self.place.past().owed().cloned() {
            if let Some(schema) = self.place.past().discards_for() {
                let was = ToyKept(states.0.as_ref().map(|_| Saved::before(&self.data, schema)));
                let action = self.place.decide(Event::Discards { to: states.clone(), was });
                assert!(matches!(action, Action::GoOn), "{}: {action:?}", self.seed);
                // A person wants that.
                self.model.turns = states.written().map_or(self.model.turns.clone(), Saved::shows);
            }
            self.killed()?;
            let spares_turns = self.place.past().spares_turns();
            if let Some(to) = states.written().filter(|to| !spares_turns || !to.has_turns_to_spare()) {
                to.put_back();
            }
            self.killed()?;
            if spares_turns {
                self.model.come_back();
            }
            self.place.decide(Event::ArePutBack(states));
        }
        Ok(())
    }

    pub(super) fn start_live(&mut self, keep: bool) -> Result<Result<(), Crash>, Killed> {
        let serving = self.place.serving;
        let found = self.data.borrow().schema;
        if self.data.borrow().is_damaged {
            return Ok(Err(crash("damage")));
        }
        if let Some(found) = found.filter(|found| !serving.brings_over(*found)) {
            return Ok(Err(Crash::Schema { found, wanted: serving.schema, detail: String::new() }));
        }
        if self.fails(8) {
            return Ok(Err(crash("init")));
        }
        if keep {
            let saved = self.saves(serving, self.place.past().schema_before());
            self.place.decide(Event::BringsOver(saved));
        }
        self.killed()?;
        self.bring_over(serving);
        self.killed()?;
        self.actor = Some(Some(serving));
        Ok(Ok(()))
    }

    /// Whether the release that comes back has an end: it serves, or nothing does.
    pub(super) fn goes_back(&mut self) -> Result<bool, Killed> {
        self.put_back_owed()?;
        let (back, past) = (self.place.serving, self.place.past());
        let (saved, discarded) = (past.returning().cloned().unwrap_or_default(), past.discards_for());
        let written = saved.written().filter(|_| discarded.is_none());
        let put_back = written.filter(|saved| saved.turns_since() == 0);
        let brings_back = written.is_some() && put_back.is_none();
        let was = put_back.map(Saved::now);
        self.killed()?;
        if let Some(saved) = put_back {
            saved.put_back();
        }
        self.killed()?;
        match self.start_live(!brings_back)? {
            Ok(()) => {
                self.place.decide(Event::IsBack(back));
                self.model.since = discarded.is_some().then_some(0);
                let order = self.restoring.as_ref();
                if discarded.is_some() && order.is_none_or(|order| order.before.0.has_code_of(&order.next)) {
                    self.model.undiscarded = None;
                }
                Ok(true)
            }
            Err(crash @ Crash::Schema { .. }) if discarded.is_none() => {
                if let Some(was) = &was {
                    was.put_back();
                }
                self.suspends(back, crash, saved.clone());
                Ok(true)
            }
            Err(_crash) => Ok(false),
        }
    }
}

fn crash(detail: &str) -> Crash {
    Crash::Host { detail: detail.to_owned() }
}
