//! A place with one state, and those who have to do with it: deployments are carried out, given up and taken back, keys
//! sleep, a person has states forgotten or put back.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::model::Model;
use super::toys::{Data, Random, Saved, Toy, ToyKept};
use crate::actor::decide::{Action, Event, Probation, Release, State};
use crate::actor::past::{Past, Suspended};
use crate::actor::presence::Presence;
use crate::error::Crash;

/// What is offered to a place.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: u64,
    pub(super) way: Way,
}

#[derive(Debug)]
pub(super) enum Way {
    Forth(Toy),
    /// Where turns are discarded, what goes on where they are not.
    Back(Toy, ToyKept, Option<Toy>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the end of this offer.
    Offered(u64),
    /// It is there, and may go back by itself.
    OnTrial,
    /// It does not go back by itself any more, and is not written down.
    Proved,
    /// The release before is offered again.
    Reverting(u64),
}

#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) before: Toy,
    pub(super) next: Toy,
    pub(super) stage: Stage,
    pub(super) probation: Probation<Toy>,
    pub(super) told: mpsc::UnboundedReceiver<Crash>,
}

/// A person's order to discard turns, in a place that may be one of several.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Where it waits; none where it is carried out here, or by whoever starts next.
    pub(super) offer: Option<u64>,
    pub(super) next: Toy,
    pub(super) saved: ToyKept,
    /// What was there, and what that had replaced.
    pub(super) before: (Toy, Option<Toy>),
}

/// It ended over what it did; nobody catches that.
pub(super) struct Killed;

pub(super) struct World {
    pub(super) seed: u64,
    /// Whether the place is always there, and passed over where nobody is; or a key's, which sleeps and is let go.
    pub(super) is_fixed: bool,
    pub(super) random: Random,
    pub(super) place: State<Toy, ToyKept>,
    pub(super) presence: Presence<Offer>,
    pub(super) data: Rc<RefCell<Data>>,
    /// Whether an incarnation runs, and what its instance is of; none where it waits for a person.
    pub(super) actor: Option<Option<Toy>>,
    pub(super) asleep: Option<Past<ToyKept>>,
    pub(super) deployment: Option<Deployment>,
    pub(super) restoring: Option<Order>,
    /// What the release that is there for good replaced, and in which schema the states were before.
    pub(super) previous: Option<Toy>,
    pub(super) names: u64,
    pub(super) offers: u64,
    pub(super) ended: u64,
    pub(super) model: Model,
    /// Whether nothing fails any more.
    pub(super) is_calm: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let serves = Toy { name: 0, rules: 0, schema: 1 };
        let mut random = Random(seed);
        let data = Data { is_damaged: random.one_in(50), ..Data::default() };
        Self {
            seed,
            is_fixed: random.one_in(2),
            random,
            place: State::new(serves, None, Past::default()),
            presence: Presence::default(),
            data: Rc::new(RefCell::new(data)),
            actor: None,
            asleep: None,
            deployment: None,
            restoring: None,
            previous: None,
            names: 0,
            offers: 0,
            ended: 0,
            model: Model::new(serves),
            is_calm: false,
        }
    }

    pub(super) fn fails(&mut self, one_in: u64) -> bool {
        !self.is_calm && self.random.one_in(one_in)
    }

    pub(super) fn killed(&mut self) -> Result<(), Killed> {
        if self.fails(12) { Err(Killed) } else { Ok(()) }
    }

    pub(super) fn step(&mut self) {
        match self.random.below(22) {
            0 | 1 => self.deploy(),
            2 | 3 => self.acts(Self::takes),
            4 => self.loses_patience(),
            5..8 => self.turn(),
            8 => self.acts(Self::crashes),
            9 => self.actor = None,
            10..13 => self.starts(),
            13 => self.looks(),
            14 => self.is_gone(),
            15 => {
                self.proves();
                self.restored();
            }
            16 => self.adopts(),
            17 => self.reverts(),
            18 => self.sleeps(),
            19 => self.forgets(),
            20 => self.restores(),
            _ => self.other_rules(),
        }
    }

    pub(super) fn offer(&mut self, way: Way) -> Option<u64> {
        let id = self.offers;
        self.offers += 1;
        match self.presence.offer(Offer { id, way }) {
            Ok(None) => Some(id),
            Ok(Some(_)) => panic!("{}: two wait at a time", self.seed),
            Err(_nobody_comes) => {
                self.ended += 1;
                None
            }
        }
    }

    /// Whether a person may begin something.
    pub(super) fn is_free(&self) -> bool {
        self.deployment.is_none() && self.restoring.is_none() && self.asleep.is_none()
    }

    pub(super) fn deploy(&mut self) {
        if !self.is_free() {
            return;
        }
        self.names += 1;
        let schema = 1 + u32::try_from(self.random.below(3)).unwrap();
        let (before, next) = (self.place.serving, Toy { name: self.names, rules: 0, schema });
        if !self.reads(next) {
            return;
        }
        let (failed, told) = mpsc::unbounded_channel();
        let probation = Probation { before, failed };
        let stage = match self.offer(Way::Forth(next)) {
            Some(id) => Stage::Offered(id),
            None => Stage::OnTrial,
        };
        self.deployment = Some(Deployment { before, next, stage, probation: probation.clone(), told });
        if stage == Stage::OnTrial {
            self.passes_over(next, probation);
        }
    }

    pub(super) fn passes_over(&mut self, next: Toy, probation: Probation<Toy>) {
        self.place.decide(Event::PassedOver { next, probation });
        self.model.serves = next;
        // Over what a person wanted discarded that is so for good; not where it is not after all.
        let spares_turns = self.place.past().spares_turns();
        self.model.undiscarded = self.model.undiscarded.take().filter(|_| spares_turns);
    }

    /// An instance is made before anything is offered, or put into a place: what cannot read the state is refused then.
    pub(super) fn reads(&self, next: Toy) -> bool {
        let data = self.data.borrow();
        !data.is_damaged && data.schema.is_none_or(|found| next.brings_over(found))
    }

    /// Who was to carry it out was killed: it is ordered once more, or given up.
    pub(super) fn orders_again(&mut self, order: Order) {
        let is_back = !self.comes_back() && self.place.past().suspended().is_none();
        if is_back && self.place.serving.has_code_of(&order.next) {
            self.restoring = Some(Order { offer: None, ..order });
            return;
        }
        let again = !self.random.one_in(3);
        let instead = order.before.0;
        let way = Way::Back(order.next, order.saved.clone(), Some(instead));
        if let Some(offer) = again.then(|| self.offer(way)).flatten() {
            self.restoring = Some(Order { offer: Some(offer), ..order });
            return;
        }
        self.keeps_turns(order);
    }

    /// The order comes to its end, also where others have carried it out: turns are discarded for good, or not at all.
    pub(super) fn restored(&mut self) {
        let Some(order) = self.restoring.take_if(|order| order.offer.is_none()) else { return };
        match self.fails(3) {
            true => self.keeps_turns(order),
            false => {
                self.place.decide(Event::Discarded);
                self.model.undiscarded = None;
            }
        }
    }

    /// The order is given up.
    pub(super) fn keeps_turns(&mut self, order: Order) {
        let is_kept = self.are_kept(order.before.0);
        // Of the same release there is nothing to go back to when it has come to serve.
        let is_other = !order.before.0.has_code_of(&order.next);
        let is_well = !self.data.borrow().is_damaged;
        assert!(is_kept || !is_other || !is_well, "{}: turns are discarded over an order that failed", self.seed);
        if is_kept {
            (self.model.serves, self.previous) = order.before;
        }
    }

    /// What was wanted to be discarded is there again, unless other turns came after it: that is seen when it is put
    /// back. Whether it is so.
    pub(super) fn are_kept(&mut self, instead: Toy) -> bool {
        let is_kept = matches!(self.place.decide(Event::NotDiscarded(instead)), Action::Serve(_));
        if is_kept && !self.place.past().spares_turns() {
            self.model.come_back();
        }
        is_kept
    }

    pub(super) fn loses_patience(&mut self) {
        let id = match &self.deployment {
            Some(Deployment { stage: Stage::Offered(id) | Stage::Reverting(id), .. }) => *id,
            _ => return,
        };
        let taken = self.presence.take(|offer| offer.id == id);
        self.ended += u64::from(taken.is_some());
        self.nobody_came();
    }

    /// The offer of the deployment has ended, and nobody has carried it out.
    pub(super) fn nobody_came(&mut self) {
        let Some(deployment) = &mut self.deployment else { return };
        match deployment.stage {
            // Turns may have been committed since the new one was tried.
            Stage::Offered(_) if self.is_fixed && self.presence.is_empty() => {
                deployment.stage = Stage::OnTrial;
                let (next, probation) = (deployment.next, deployment.probation.clone());
                self.passes_over(next, probation);
            }
            Stage::Offered(_) => self.deployment = None,
            Stage::Reverting(_) => self.puts_back(),
            Stage::OnTrial | Stage::Proved => {}
        }
    }

    /// Whoever starts next starts with the release before; what runs gives way to it when it looks next.
    pub(super) fn puts_back(&mut self) {
        let Some(Deployment { before, .. }) = self.deployment.take() else { return };
        if self.place.serving.has_code_of(&before) {
            // It went back by itself meanwhile.
            return;
        }
        let saved = self.place.past().on_trial().cloned().unwrap_or_default();
        self.place.decide(Event::GoesBack { next: before, saved, discard: false });
        self.model.serves = before;
    }

    pub(super) fn looks(&mut self) {
        self.presence.say_empty();
        if self.actor.is_some() {
            self.presence.say_not_empty();
        }
    }

    pub(super) fn is_gone(&mut self) {
        if self.actor.is_some() || !self.is_fixed {
            return;
        }
        if let Some(dropped) = self.presence.leaves() {
            self.ended += 1;
            if let Some(order) = self.restoring.take_if(|order| order.offer == Some(dropped.id)) {
                self.passes_back(order);
            }
            self.nobody_came();
        }
    }

    pub(super) fn proves(&mut self) {
        let Some(deployment) = self.deployment.as_mut().filter(|found| found.stage == Stage::OnTrial) else { return };
        deployment.stage = Stage::Proved;
        if self.asleep.is_none() {
            let action = self.place.decide(Event::Proved);
            assert!(matches!(action, Action::GoOn), "{}: {action:?}", self.seed);
        }
    }

    pub(super) fn adopts(&mut self) {
        let Some(deployment) = self.deployment.take_if(|found| found.stage == Stage::Proved) else { return };
        self.previous = Some(deployment.before);
        match &mut self.asleep {
            Some(past) => past.adopt(),
            None => drop(self.place.decide(Event::Adopted)),
        }
    }

    pub(super) fn reverts(&mut self) {
        let Some(deployment) = &self.deployment else { return };
        if !matches!(deployment.stage, Stage::OnTrial | Stage::Proved) {
            return;
        }
        let before = deployment.before;
        if let Some(past) = &mut self.asleep {
            past.keep();
            past.take_back(before.schema);
            (self.model.serves, self.deployment) = (before, None);
            return;
        }
        let saved = self.place.past().on_trial().cloned().unwrap_or_default();
        match self.offer(Way::Back(before, saved, None)) {
            Some(id) => self.deployment.as_mut().unwrap().stage = Stage::Reverting(id),
            None => self.puts_back(),
        }
    }

    /// A key leaves its place, and what is to be known of it stays.
    pub(super) fn sleeps(&mut self) {
        let offered =
            matches!(self.deployment, Some(Deployment { stage: Stage::Offered(_) | Stage::Reverting(_), .. }));
        if offered
            || self.is_fixed
            || self.restoring.is_some()
            || self.asleep.is_some()
            || self.actor.is_some_and(|by| by.is_none())
        {
            return;
        }
        self.actor = None;
        let mut past = self.place.asleep();
        if self.deployment.is_none() {
            past.take_back(self.model.serves.schema);
        }
        self.asleep = Some(past);
    }

    pub(super) fn wakes(&mut self) {
        let Some(mut past) = self.asleep.take() else { return };
        let (serves, probation) = match &self.deployment {
            Some(Deployment { stage: Stage::OnTrial, next, probation, .. }) => (*next, Some(probation.clone())),
            Some(Deployment { next, .. }) => (*next, None),
            None => (self.model.serves, None),
        };
        let trial = self.deployment.as_ref().map(|deployment| deployment.before.schema);
        past.wakes(self.previous.map(|previous| previous.schema), trial);
        (self.place, self.presence) = (State::new(serves, probation, past), Presence::default());
    }

    pub(super) fn forgets(&mut self) {
        if self.asleep.is_some() || self.deployment.is_some() || self.restoring.is_some() {
            return;
        }
        self.data.borrow_mut().forget();
        (self.model.turns, self.model.undiscarded) = (Vec::new(), None);
        self.place.decide(Event::Forgotten);
        if self.actor.is_some() {
            self.actor = Some(None);
            self.acts(Self::start);
        }
    }

    /// A person wants the states back that there were.
    pub(super) fn restores(&mut self) {
        if !self.is_free() {
            return;
        }
        let (live, before) = (self.place.serving, self.previous);
        let past = self.place.past();
        let (next, saved) = match (past.suspended(), past.before(), self.previous) {
            (Some(Suspended::Unreadable { saved, .. }), ..) => (live, saved.clone()),
            (None, Some(saved), Some(previous)) => (previous, saved.clone()),
            _ => return,
        };
        // Tried on a copy of them, before anything is put back.
        if saved.0.as_ref().is_some_and(|saved| !next.brings_over(saved.schema)) {
            return;
        }
        if !next.has_code_of(&live) {
            self.previous = None;
        }
        let order = Order { offer: Some(self.offers), next, saved: saved.clone(), before: (live, before) };
        match self.offer(Way::Back(next, saved, Some(live))) {
            Some(_) => self.restoring = Some(order),
            None => self.passes_back(order),
        }
    }

    /// Nobody is there for a person's order, and whoever starts next carries it out.
    pub(super) fn passes_back(&mut self, order: Order) {
        let (next, saved) = (order.next, order.saved.clone());
        self.model.wants_discarded();
        self.restoring = Some(Order { offer: None, ..order });
        self.model.turns = saved.written().map_or(self.model.turns.clone(), Saved::shows);
        self.place.decide(Event::GoesBack { next, saved, discard: true });
        self.model.serves = next;
    }

    pub(super) fn other_rules(&mut self) {
        let same = Toy { rules: self.place.serving.rules + 1, ..self.place.serving };
        match self.random.one_in(2) {
            // Whoever runs goes by them, too.
            true => {
                if self.actor == Some(Some(self.place.serving)) {
                    self.actor = Some(Some(same));
                }
                self.place.decide(Event::Retuned(same));
            }
            false => drop(self.place.decide(Event::Improved { from: self.place.serving, to: same })),
        }
    }

    /// Nothing fails any more, and what was begun comes to its end.
    pub(super) fn ends(&mut self) {
        self.is_calm = true;
        self.restored();
        self.loses_patience();
        match self.random.one_in(2) {
            true => {
                self.proves();
                self.adopts();
            }
            false => {
                self.reverts();
                self.acts(Self::takes);
                self.loses_patience();
            }
        }
        for _ in 0..4 {
            self.starts();
        }
        self.acts(Self::takes);
        self.starts();
        self.restored();
        self.looks();
    }
}
