//! Rows `decide/*`: whether a message may be sent, asked of what a service is granted, a hundred lines of it or ten
//! thousand. `hit` and `miss` are of addresses that are granted by name and that are not; floor: a look-up of the same
//! address in a map with as many. `key` is of keys of services that are granted as a whole; the same floor. `many` is a
//! hit and a miss among ten thousand; floor: the same among a hundred.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::command::Decision;

use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

const QUESTIONS: usize = times(1_000_000);
const FEW: usize = 100;
const MANY: usize = 10_000;
/// So many addresses are asked for in turn.
const ASKED: usize = 50;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let (few, many) = (Arc::new(decision(FEW)), Arc::new(decision(MANY)));
    let map: Arc<HashMap<String, ()>> = Arc::new((0..FEW).map(|at| (named(at), ())).collect());
    let mut rows = Vec::new();
    for (name, targets, is_there) in [
        ("decide/hit", (0..ASKED).map(named).collect::<Vec<_>>(), Some(true)),
        ("decide/miss", (0..ASKED).map(|at| format!("other-{at}")).collect(), Some(false)),
        ("decide/key", (0..ASKED).map(|at| format!("keyed-{at}/{at}")).collect(), None),
    ] {
        let targets = Arc::new(targets);
        let ours = || decided(Arc::clone(&few), Arc::clone(&targets), is_there.unwrap_or(true));
        let floor = || looked_up(Arc::clone(&map), Arc::clone(&targets));
        let rounds = interleaved(bench, ours, floor).await;
        rows.push(Row::new(name, "ns", is_there.map(|_| 3.0), series(&rounds, |nanos| *nanos)));
        if is_there.is_some() {
            let ours = || decided(Arc::clone(&many), Arc::clone(&targets), is_there.unwrap_or(true));
            let floor = || decided(Arc::clone(&few), Arc::clone(&targets), is_there.unwrap_or(true));
            let rounds = interleaved(bench, ours, floor).await;
            let name = name.replace("decide/", "decide/many/");
            rows.push(Row::new(name, "ns", 1.5, series(&rounds, |nanos| *nanos)));
        }
    }
    rows
}

/// An address that is granted by name.
fn named(at: usize) -> String {
    format!("service-{at}")
}

/// So many lines, half of which are of services with all their keys, requested as they are granted.
fn decision(lines: usize) -> Decision {
    let half = lines / 2;
    let keyed = (0..half).map(|at| format!("keyed-{at}/*"));
    let all: Vec<String> = (0..half).map(named).chain(keyed).collect();
    Decision::new(all.iter().map(String::as_str), all.iter().map(String::as_str)).expect("patterns")
}

async fn decided(decision: Arc<Decision>, targets: Arc<Vec<String>>, allowed: bool) -> f64 {
    let begun = Instant::now();
    for target in targets.iter().cycle().take(QUESTIONS) {
        assert_eq!(black_box(decision.allows(black_box(target))), allowed);
    }
    nanos_each(begun.elapsed(), QUESTIONS)
}

async fn looked_up(map: Arc<HashMap<String, ()>>, targets: Arc<Vec<String>>) -> f64 {
    let begun = Instant::now();
    for target in targets.iter().cycle().take(QUESTIONS) {
        let _there = black_box(map.get(black_box(target.as_str())));
    }
    nanos_each(begun.elapsed(), QUESTIONS)
}
