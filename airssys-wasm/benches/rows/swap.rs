//! Row `swap/idle`: for how long an idle actor takes no message while another release takes its place; the median. `swap/full` is the same
//! while a sender keeps its mailbox full.
//!
//! Floor of the first: a raw instance of the pool made and dropped. Of the second: the idle actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use airssys_wasm::Runtime;
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::engine::Lane;
use airssys_wasm::registry::Release;

use crate::Bench;
use crate::floor::Floor;
use crate::host::{self, body};
use crate::measure::{Latencies, interleaved};
use crate::report::Row;

const SWAPS: usize = 200;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "echo", "echo", Lane::Async)]).await;
    // The same binary, so that neither direction is the dearer one.
    let mut other: Release = host::service(bench, "echo", "echo", Lane::Async).release;
    other.manifest.version.minor += 1;
    let deployed = mesh.deploy("echo", other, options()).await.expect("it can be deployed");
    assert_eq!(deployed.ended().await, Progress::Live);
    let floor = Arc::new(Floor::new(bench, "echo", Lane::Async));
    let idle = interleaved(bench, || swap(Arc::clone(&mesh), false), || raw(Arc::clone(&floor))).await;
    let full = interleaved(bench, || swap(Arc::clone(&mesh), true), || swap(Arc::clone(&mesh), false)).await;
    mesh.shutdown().await;
    let mut rows = crate::ask::latency_rows("swap/idle", 1.0, &idle);
    rows.extend(crate::ask::latency_rows("swap/full", None, &full));
    rows
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    options
}

/// There and back again, many times.
async fn swap(mesh: Arc<Runtime>, loaded: bool) -> Latencies {
    let over = Arc::<AtomicBool>::default();
    let load = loaded.then(|| {
        let (mesh, over) = (Arc::clone(&mesh), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                mesh.send("echo", body()).await.expect("sent");
            }
        })
    });
    let mut latencies = Latencies::with_capacity(SWAPS);
    for _ in 0..SWAPS {
        let deployment = mesh.rollback("echo", options()).expect("there is one before");
        assert_eq!(deployment.ended().await, Progress::Live);
        latencies.push(deployment.pause());
    }
    over.store(true, Ordering::Relaxed);
    if let Some(load) = load {
        load.await.expect("it ends");
    }
    latencies.sorted()
}

async fn raw(floor: Arc<Floor>) -> Latencies {
    let mut latencies = Latencies::with_capacity(SWAPS);
    for _ in 0..SWAPS {
        let begun = Instant::now();
        drop(floor.instantiate(None).await);
        latencies.since(begun);
    }
    latencies.sorted()
}
