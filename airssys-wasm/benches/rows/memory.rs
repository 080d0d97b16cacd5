//! Rows `memory/*`: resident bytes of an idle live actor that has not handled a message yet: supervised, with its
//! mailbox and its instance.
//!
//! Floor: a live instance in a store, and the plain ractor actor that owns it. Each figure is the difference of two
//! fresh processes, one with a few actors and one with many, so that what there is once does not count.

use airssys_wasm::command::Lane;

use crate::child::{Measuring, serve};
use crate::floor::Floor;
use crate::host;
use crate::measure::Series;
use crate::report::Row;
use crate::{Bench, times};

const FEW: usize = times(100);
const MANY: usize = times(2_100);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mut series = Series::default();
    // Memory hardly varies; a process a figure is slow.
    for _ in 0..bench.rounds.div_ceil(3) {
        series.ours.push(each(bench, "ours", lane));
        series.floor.push(each(bench, "floor", lane));
    }
    vec![Row::new(format!("memory/{}", crate::lane_name(lane)), "bytes", 1.3, series)]
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn each(bench: &Bench, side: &str, lane: Lane) -> f64 {
    let [few, many] = [FEW, MANY].map(|actors| Measuring::start(bench, "memory", side, lane, actors).measure());
    (many - few) / (MANY - FEW) as f64
}

/// The host's process.
pub(crate) async fn ours(bench: &Bench, lane: Lane, actors: usize) {
    let mesh = host::start(bench, host::services(bench, actors, "echo", lane)).await;
    assert_eq!(mesh.instances().0, actors);
    serve(|| std::future::ready(resident_bytes())).await;
}

/// The floor's process.
pub(crate) async fn floor(bench: &Bench, lane: Lane, actors: usize) {
    let floor = Floor::new(bench, "echo", lane);
    let mut all = Vec::with_capacity(actors);
    for _ in 0..actors {
        all.push(floor.spawn().await);
    }
    serve(|| std::future::ready(resident_bytes())).await;
}

/// What of this process is in memory, as the kernel counts it page by page.
fn resident_bytes() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = rollup.lines().find(|line| line.starts_with("Rss:")).expect("a count of resident pages");
    let kibibytes: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kibibytes * 1024.0
}
