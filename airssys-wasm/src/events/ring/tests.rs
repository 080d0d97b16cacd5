#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{CLASSES, LEAST_ROOM, class};
use crate::events::{Event, Events, Happening, Heard, Kind, Subscription};

/// Events of different classes: whom each is about, and what happened.
fn happening(which: usize) -> (Option<&'static str>, Happening) {
    let ended = |actor: &str, reason: &str| Happening::Ended {
        actor: actor.to_owned(),
        incarnation: 1,
        reason: reason.to_owned(),
        detail: None,
    };
    let started = |actor: &str| Happening::Started { actor: actor.to_owned(), incarnation: 1 };
    match which % 8 {
        0 => (Some("s"), started("s/key")),
        1 => (Some("s"), ended("s/key", "normal")),
        2 => (Some("s"), started("s")),
        3 => (Some("s"), ended("s/key", "trap")),
        4 => (None, started("mesh/back")),
        5 => (Some("s"), Happening::Swapped { actor: "s".to_owned(), sha256: "0".repeat(64) }),
        6 => (Some("s"), Happening::SetAside { actor: "s/key".to_owned(), for_ms: 1 }),
        _ => (None, Happening::Apply { state: "applied".to_owned(), changes: 1, reason: None }),
    }
}

/// What one reader was told, beside all that was published.
struct Reader {
    events: Subscription,
    kinds: Vec<Kind>,
    told: BTreeSet<u64>,
    lost: u64,
}

impl Reader {
    fn new(events: &Arc<Events>, kinds: &[Kind]) -> Self {
        let (kinds, events) = (kinds.to_vec(), events.subscribe().of_kinds(kinds));
        Self { events, kinds, told: BTreeSet::new(), lost: 0 }
    }

    fn reads(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Reads one; false where there is none.
    fn read(&mut self, published: &[Kind]) -> Result<bool, TestCaseError> {
        match self.events.try_next() {
            Some(Heard::Event(event)) => {
                prop_assert_eq!(published[event.number as usize - 1], event.what.kind());
                prop_assert!(self.reads(event.what.kind()));
                prop_assert!(self.told.last().is_none_or(|last| *last < event.number), "in order, and once");
                let before = (1..event.number).filter(|number| self.reads(published[*number as usize - 1]));
                let missing = before.filter(|number| !self.told.contains(number)).count() as u64;
                prop_assert!(self.lost <= missing, "what was lost stands before it");
                self.told.insert(event.number);
                Ok(true)
            }
            Some(Heard::Lost(lost)) => {
                prop_assert!(lost > 0);
                self.lost += lost;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is published and read in whatever order: the ring is bounded, no class is pushed out of its share by
    /// others, and each reader is told each event of its kinds, in order, or that it is lost.
    #[test]
    fn a_frequent_event_pushes_out_no_rare_one_and_what_is_lost_is_counted(
        most in 1_usize..300,
        rounds in prop::collection::vec((0_usize..8, 1_usize..100, 0_usize..100), 1..20),
    ) {
        let events = Events::new(most, 1 << 20);
        let mut readers =
            [&[][..], &[Kind::Ended], &[Kind::Apply, Kind::Started]].map(|kinds| Reader::new(&events, kinds));
        let mut published = Vec::new();
        for (which, times, reads) in rounds {
            for _ in 0..times {
                let (service, what) = happening(which);
                published.push(what.kind());
                events.publish(service, what);
            }
            for reader in &mut readers {
                for _ in 0..reads {
                    reader.read(&published)?;
                }
            }
        }
        let ring = events.lock();
        prop_assert!(ring.kept <= most && ring.kept == most.min(published.len()));
        let room: usize = ring.classes.iter().map(|class| class.kept.capacity()).sum();
        prop_assert!(room <= 4 * ring.kept + CLASSES * LEAST_ROOM, "room for {room}, of which {} are used", ring.kept);
        for class in &ring.classes {
            let all = class.all();
            prop_assert!(class.kept.len() as u64 >= all.min((most / CLASSES) as u64));
            let numbers: Vec<u64> = class.kept.iter().map(|event| event.number).collect();
            prop_assert!(numbers.is_sorted() && numbers.first().is_none_or(|first| *first > class.last_gone));
        }
        drop(ring);
        for reader in &mut readers {
            while reader.read(&published)? {}
            let all = published.iter().filter(|kind| reader.reads(**kind)).count() as u64;
            prop_assert_eq!(reader.told.len() as u64 + reader.lost, all);
        }
    }

    /// In bytes as well: large events of one class leave the small ones of another one alone.
    #[test]
    fn large_events_push_out_no_small_ones(bytes in prop::collection::vec(0_usize..2_000, 1..200)) {
        let most_bytes = 40_000;
        let events = Events::new(10_000, most_bytes);
        let (service, what) = happening(5);
        events.publish(service, what);
        for bytes in bytes {
            events.publish(None, Happening::Started { actor: "x".repeat(bytes), incarnation: 1 });
            prop_assert!(events.lock().bytes <= most_bytes);
        }
        let swapped = events.subscribe().of_kinds(&[Kind::Swapped]).try_next();
        prop_assert!(matches!(swapped, Some(Heard::Event(event)) if event.number == 1));
    }
}

#[test]
fn keys_that_come_and_go_are_a_class_and_those_that_crash_are_another_one() {
    let of = |which| {
        let (service, what) = happening(which);
        class(&Event { number: 1, at: std::time::SystemTime::now(), service: service.map(str::to_owned), what })
    };
    assert_eq!(of(2), of(4), "a supervisor has a slash in its name, and does not come and go");
    let classes: BTreeSet<usize> = [0, 1, 2, 3].map(of).into();
    assert_eq!(classes.len(), 4);
}

#[test]
fn a_day_of_keys_that_wake_and_sleep_leaves_the_deployment_of_the_morning_there() {
    let events = Events::new(4_096, 2 << 20);
    let (service, what) = happening(5);
    events.publish(service, what);
    for _ in 0..100_000 {
        for which in [0, 1] {
            let (service, what) = happening(which);
            events.publish(service, what);
        }
    }
    let mut reader = events.subscribe();
    assert!(matches!(reader.try_next(), Some(Heard::Event(event)) if event.number == 1));
    assert_eq!(reader.try_next(), Some(Heard::Lost(200_000 - 4_095)));
    assert!(matches!(reader.try_next(), Some(Heard::Event(event)) if event.number == 200_002 - 4_095));
    // Who asks for what is rare is not told of what was frequent.
    let mut reader = events.subscribe().of_kinds(&[Kind::Swapped]);
    assert!(matches!(reader.try_next(), Some(Heard::Event(_))));
    assert_eq!(reader.try_next(), None);
}
