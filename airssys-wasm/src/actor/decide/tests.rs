//! A place with one state, in a world in which everything happens in any order: incarnations are killed wherever they
//! wait, releases do not start or cannot bring states over, deployments are carried out, given up and taken back, keys
//! sleep, a person has states forgotten or put back, and some are damaged from the first. What the world says in the
//! end is compared with a naive model: one release, and a count of the turns that are to be seen.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::hash::{BuildHasher, Hasher, RandomState};

use self::toys::Toy;
use self::world::{Offer, Way, World};
use crate::actor::past::Suspended;

mod incarnation;
mod model;
mod toys;
mod world;

const ORDERS: u64 = 100_000;
const STEPS: u64 = 100;
/// Orders that ended otherwise once. Tried each time, before those that are drawn.
const KNOWN: [u64; 6] =
    [27404209906617, 27404206319841, 9817341839146, 3848706401023, 13073427307574, 4940976597825846367];

impl World {
    fn check(&mut self) {
        let seed = self.seed;
        assert!(self.presence.waiting().is_none() && self.offers == self.ended, "{seed}: an offer has no end");
        assert!(self.deployment.is_none(), "{seed}: a deployment has no end: {:?}", self.deployment);
        assert!(self.actor.is_some() && !self.presence.is_empty(), "{seed}: nobody starts: {:?}", self.place);
        assert_eq!(self.place.serving.name, self.model.serves.name, "{seed}: the place has another release");
        assert!(self.place.probation.is_none() && self.place.under_way.is_none(), "{seed}: not over");
        assert_eq!(self.data.borrow().seen, self.model.turns, "{seed}: turns were discarded, or came back");
        let past = self.place.past();
        assert!(past.owed().is_none(), "{seed}: the states are to be others still");
        let why = past.suspended().cloned();
        let unreadable = match &why {
            Some(Suspended::Unreadable { saved, .. }) => Some(saved),
            _ => None,
        };
        for saved in unreadable.into_iter().chain(past.before()).filter_map(|kept| kept.0.as_ref()) {
            let discards = self.model.turns.iter().filter(|turn| !saved.shows().contains(turn)).count();
            assert_eq!(saved.turns_since(), discards as u64, "{seed}: so many turns would be discarded");
        }
        let serves = |by: Option<Option<Toy>>| by.flatten().map(|by| by.name);
        match why {
            None => {
                assert_eq!(serves(self.actor), Some(self.model.serves.name), "{seed}: another one serves, or none");
                assert!(self.place.past().returning().is_none(), "{seed}: it is on its way still");
                return self.turn();
            }
            Some(_) => assert_eq!(self.actor, Some(None), "{seed}: it serves and is suspended"),
        }
        // And a person can get out of that.
        match why {
            Some(Suspended::Unreadable { saved, .. }) => {
                let way = Way::Back(self.place.serving, saved, Some(self.place.serving));
                self.takes_over(Offer { id: u64::MAX, way }).ok().unwrap();
            }
            _ => self.forgets(),
        }
        assert_eq!(serves(self.actor), Some(self.model.serves.name), "{seed}: it stays suspended");
        self.turn();
    }
}

#[test]
fn every_order_of_events_ends_with_one_release_or_a_suspension_that_is_told() {
    let given = std::env::var("AIRSSYS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(drawn);
    println!("AIRSSYS_SEED={seed}, which is that of the first order");
    let (mut served, mut suspended) = (0, 0);
    for order in KNOWN.into_iter().chain((0..ORDERS).map(|order| seed.wrapping_add(order))) {
        let mut world = World::new(order);
        for _ in 0..world.random.below(STEPS) {
            world.step();
        }
        world.ends();
        match world.place.past().suspended() {
            Some(_) => suspended += 1,
            None => served += 1,
        }
        world.check();
    }
    // Orders in which nothing of it happens would show nothing.
    assert!(served > ORDERS / 2 && suspended > ORDERS / 1_000, "{served} serve, and {suspended} are suspended");
}

/// A seed that has nothing to do with those of other runs: the keys of a hash map come from the system.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish()
}
