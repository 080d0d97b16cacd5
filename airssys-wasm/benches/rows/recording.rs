//! Rows `recording/*` and `replay/capsule`: what a recorder costs, and what it takes to see a crash again.
//!
//! `recording/on`: 64 bytes asked of an actor that writes them to its state, and whose turns are recorded; floor: the
//! same without a recorder. `recording/off`: the same without a recorder, in a mesh in which others have one; floor: in
//! one where nobody has. There is no build without the recorder to compare with: it is a pointer in each instance,
//! which is looked at before and after each turn, and no feature takes that out.
//!
//! `replay/capsule`: from the file of a capsule to the same trap; floor: the file read, a raw instance, and its trap.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airssys_wasm::Runtime;
use airssys_wasm::command::{Capsule, Lane, Replayer, capsules};
use tempfile::TempDir;

use crate::ask::latency_rows;
use crate::floor::Floor;
use crate::host::{self, PATIENCE};
use crate::measure::{Latencies, interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

const QUESTIONS: usize = times(20_000);
const REPLAYS: usize = times(500);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let plain = host::service(bench, "keeper", "keeper", Lane::Async);
    let recorded = plain.clone().with("recorder = {}");
    let other = host::service(bench, "other", "keeper", Lane::Async).with("recorder = {}");
    let with = host::start(bench, vec![recorded]).await;
    let without = host::start(bench, vec![plain.clone()]).await;
    let beside = host::start(bench, vec![plain, other]).await;
    let on = interleaved(bench, || ask(Arc::clone(&with)), || ask(Arc::clone(&without))).await;
    let off = interleaved(bench, || ask(Arc::clone(&beside)), || ask(Arc::clone(&without))).await;
    for mesh in [with, without, beside] {
        host::stop(&mesh).await;
    }
    vec![
        Row::new("recording/on", "ns", 1.10, series(&on, |nanos| *nanos)),
        Row::new("recording/off", "ns", 1.02, series(&off, |nanos| *nanos)),
    ]
}

async fn ask(mesh: Arc<Runtime>) -> f64 {
    let begun = Instant::now();
    for _ in 0..QUESTIONS {
        host::ask(&mesh, "keeper").await;
    }
    nanos_each(begun.elapsed(), QUESTIONS)
}

/// A capsule of one crash, and the folder that it is in.
struct Crashed {
    capsule: PathBuf,
    replayer: Replayer,
    _data: TempDir,
}

pub(crate) async fn replays(bench: &Bench) -> Vec<Row> {
    let data = tempfile::tempdir().expect("a folder");
    let crasher = host::service(bench, "crasher", "crasher", Lane::Async).with("recorder = {}");
    let release = crasher.release();
    let mesh = host::start_in(bench, vec![crasher], data.path()).await;
    mesh.call("crasher", "trap", PATIENCE).await.expect_err("a trap");
    let path = loop {
        if let Some(path) = capsules(data.path()).expect("a folder").pop() {
            break path;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    mesh.shutdown().await;
    let read = Capsule::read(&path).expect("a capsule");
    let replayer = Replayer::load(&read, release, None).await.expect("a release");
    let crashed = Arc::new(Crashed { capsule: path, replayer, _data: data });
    let floor = Arc::new((Floor::new(bench, "crasher", Lane::Async), Arc::clone(&crashed)));
    let rounds = interleaved(bench, || replay(Arc::clone(&crashed)), || raw(Arc::clone(&floor))).await;
    latency_rows("replay/capsule", 2.0, &rounds)
}

async fn replay(crashed: Arc<Crashed>) -> Latencies {
    let mut latencies = Latencies::with_capacity(REPLAYS);
    for _ in 0..REPLAYS {
        let begun = Instant::now();
        let capsule = Capsule::read(&crashed.capsule).expect("a capsule");
        let replayed = crashed.replayer.replay(&capsule).await.expect("replayed");
        latencies.since(begun);
        assert!(replayed.differs.is_empty(), "{replayed:?}");
    }
    latencies.sorted()
}

async fn raw(floor: Arc<(Floor, Arc<Crashed>)>) -> Latencies {
    let (floor, crashed) = &*floor;
    let mut latencies = Latencies::with_capacity(REPLAYS);
    for _ in 0..REPLAYS {
        let begun = Instant::now();
        std::hint::black_box(std::fs::read(&crashed.capsule).expect("a file"));
        let mut owned = floor.instantiate(None).await;
        owned.trap(b"trap").await;
        latencies.since(begun);
        drop(owned);
    }
    latencies.sorted()
}
