//! Keys that come and go in any order while deployments begin and end, beside a naive model: which release is there,
//! which one is tried, and of each key what was brought over and by whom.

use std::collections::BTreeMap;

use super::super::decide::{Event, Release, State};
use super::{ALL, Arrivals, Begun, Kept};

const ORDERS: u64 = 2_000;
const STEPS: usize = 60;
const KEYS: u64 = 6;

/// A release; each has a schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Toy(u32);

impl Begun for Toy {
    fn schema(&self) -> u32 {
        self.0
    }
}

impl Release for Toy {
    fn schema(&self) -> u32 {
        self.0
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }

    fn has_code_of(&self, other: &Self) -> bool {
        self == other
    }
}

/// What a state was: that of this release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Was(Option<u32>);

impl Kept for Was {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }

    fn is_forgotten(&self) -> bool {
        self.0.is_none()
    }

    fn is_foreign(&self, _: u32) -> bool {
        self.0.is_some()
    }

    fn has_turns_to_spare(&self) -> bool {
        false
    }

    fn close(&self) {}
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What a key that sleeps has to know, told as plainly as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Known {
    /// Its state was that of this release, before the one that is there brought it over.
    brought_over: Option<u32>,
    /// Its state was that of this release, before the one that is tried brought it over.
    tried: Option<u32>,
    /// Its state is to be that of this release again.
    back: Option<u32>,
}

struct World {
    arrivals: Arrivals<Toy, u64, Was>,
    live: Toy,
    tried: Option<Toy>,
    asleep: BTreeMap<u64, Known>,
    made: u32,
}

impl World {
    fn step(&mut self, random: &mut Random) {
        match (random.below(8), self.tried) {
            (0, None) => {
                self.made += 1;
                let next = Toy(self.made);
                self.arrivals.let_in(next, self.arrivals.grown(ALL));
                self.tried = Some(next);
            }
            (1, Some(_)) => {
                self.arrivals.take_back();
                self.tried = None;
                for known in self.asleep.values_mut() {
                    known.back = known.back.or(known.tried.take());
                }
            }
            (2, Some(next)) => {
                assert!(self.arrivals.adopt());
                (self.live, self.tried) = (next, None);
                // What is older than the release before goes.
                for known in self.asleep.values_mut() {
                    known.brought_over = known.tried.take();
                }
                self.asleep.retain(|_, known| *known != Known::default());
            }
            _ => self.visit(random.below(KEYS)),
        }
    }

    /// A key comes, serves with what it is given, and goes again.
    fn visit(&mut self, key: u64) {
        let address = format!("keyed/{key}");
        let mut known = self.asleep.remove(&key).unwrap_or_default();
        let answers = Some(self.tried.unwrap_or(self.live)).filter(|_| known.back.is_none());
        assert_eq!(
            self.arrivals.would_begin(&address).copied(),
            answers,
            "whose state is to be put back answers nothing"
        );
        let (with, past) = self.arrivals.begins(&address);
        assert_eq!(with, self.tried.unwrap_or(self.live));
        let mut place = State::new(with, None, past);
        place.decide(Event::Begins { damage: None });
        assert_eq!(place.past().before().and_then(|saved| saved.0), known.brought_over);
        assert_eq!(place.past().returning().and_then(|saved| saved.0), known.back.filter(|_| self.tried.is_none()));
        if self.tried.is_none() {
            // It is back with its state, or goes on from there.
            place.decide(Event::IsBack(with));
            known.back = None;
        } else {
            known.tried = known.tried.or(known.back.take());
            assert_eq!(place.past().on_trial().and_then(|saved| saved.0), known.tried);
            place.decide(Event::BringsOver(Was(Some(self.live.0))));
            known.tried = known.tried.or(Some(self.live.0));
        }
        self.arrivals.ends(&address, key, place.asleep());
        if known != Known::default() {
            self.asleep.insert(key, known);
        }
    }
}

#[test]
fn whoever_comes_begins_with_what_is_there_and_no_state_from_before_is_lost() {
    for seed in 0..ORDERS {
        let mut world = World {
            arrivals: Arrivals::new(Toy(0), false),
            live: Toy(0),
            tried: None,
            asleep: BTreeMap::new(),
            made: 0,
        };
        let mut random = Random(seed);
        for step in 0..STEPS {
            world.step(&mut random);
            let mut returning: Vec<u64> = world.arrivals.returning().collect();
            returning.sort_unstable();
            let back = world.asleep.iter().filter(|(_, known)| known.back.is_some());
            assert_eq!(returning, back.map(|(key, _)| *key).collect::<Vec<_>>(), "seed {seed}, step {step}");
            let mut saved: Vec<u32> = world.arrivals.saved().filter_map(|saved| saved.0).collect();
            let mut known: Vec<u32> = world.asleep.values().filter_map(|known| known.brought_over).collect();
            saved.sort_unstable();
            known.sort_unstable();
            assert_eq!(saved, known, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn who_comes_while_all_is_restored_begins_with_the_release_and_the_state_from_then() {
    let mut arrivals = Arrivals::<Toy, u64, Was>::new(Toy(0), false);
    arrivals.let_in(Toy(1), arrivals.grown(ALL));
    let (with, past) = arrivals.begins("keyed/a");
    let mut place = State::new(with, None, past);
    place.decide(Event::BringsOver(Was(Some(0))));
    arrivals.ends("keyed/a", 1, place.asleep());
    assert!(arrivals.adopt());
    arrivals.restore(Toy(0));
    assert!(arrivals.is_returning("keyed/a"));
    let (with, past) = arrivals.begins("keyed/a");
    assert_eq!(with, Toy(0));
    assert_eq!((past.returning(), past.discards_for().is_some()), (Some(&Was(Some(0))), true));
    // Given up, nothing is discarded.
    arrivals.ends("keyed/a", 1, past);
    arrivals.take_back();
    let (with, past) = arrivals.begins("keyed/a");
    assert_eq!((with, past.before()), (Toy(1), Some(&Was(Some(0)))));
    assert!(past.returning().is_none());
}
