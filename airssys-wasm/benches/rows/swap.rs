//! Row `swap/idle`: for how long an idle actor takes no message while another release takes its place; the median.
//! `swap/full` is the same while a sender keeps its mailbox full, `swap/waiting` with ten thousand messages in it,
//! `swap/back` that of a rollback. `swap/continuous` is the time that a million messages take while another release
//! takes over ten times a second.
//!
//! Floor of the first: a raw instance of the pool made and dropped. Of the next two: the idle actor. Of `swap/back`: a
//! deployment of the same release. Of the last: the messages alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;
use airssys_wasm::deploy::{DeployError, DeployOptions, Deployment, Progress};
use airssys_wasm::registry::Release;

use crate::floor::Floor;
use crate::host::{self, body};
use crate::measure::{Latencies, interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

/// As often there as back.
const SWAPS: usize = 2 * times(100);
/// Messages that wait, and how often.
const WAITING: usize = times(10_000);
const SWAPS_WAITING: usize = times(10);
/// Messages of `swap/continuous`, and the time between two deployments.
const MESSAGES: usize = times(1_000_000);
const EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "echo", "echo", Lane::Async)]).await;
    // The same binary, so that neither direction is the dearer one.
    let mut other: Release = host::service(bench, "echo", "echo", Lane::Async).release();
    let one = other.clone();
    other.manifest.version.minor += 1;
    let pair = [one, other.clone()];
    let deployed = mesh.deploy("echo", other, options()).await.expect("it can be deployed");
    assert_eq!(deployed.ended().await, Progress::Live);
    let floor = Arc::new(Floor::new(bench, "echo", Lane::Async));
    let idle = interleaved(bench, || swap(Arc::clone(&mesh), false), || raw(Arc::clone(&floor))).await;
    let full = interleaved(bench, || swap(Arc::clone(&mesh), true), || swap(Arc::clone(&mesh), false)).await;
    let back = interleaved(bench, || swap(Arc::clone(&mesh), false), || forth(Arc::clone(&mesh), pair.clone())).await;
    let continuous =
        interleaved(bench, || million(Arc::clone(&mesh), true), || million(Arc::clone(&mesh), false)).await;
    mesh.shutdown().await;
    let waiting = waiting(bench).await;
    let mut rows = crate::ask::latency_rows("swap/idle", 1.0, &idle);
    rows.extend(crate::ask::latency_rows("swap/full", None, &full));
    rows.extend(crate::ask::latency_rows("swap/waiting", 1.2, &waiting));
    rows.extend(crate::ask::latency_rows("swap/back", 1.2, &back));
    rows.push(Row::new("swap/continuous", "ns/message", 1.05, series(&continuous, |nanos| *nanos)));
    if bench.only.is_none() {
        rows.extend(crate::erlang::rows());
    }
    rows
}

/// The pause of deployments that compile nothing: there and back again.
async fn forth(mesh: Arc<Runtime>, pair: [Release; 2]) -> Latencies {
    let mut latencies = Latencies::with_capacity(SWAPS);
    for release in pair.iter().cycle().take(SWAPS) {
        let deployment = match mesh.deploy("echo", release.clone(), options()).await {
            Ok(deployment) => deployment,
            // An even number of swaps before: this one is live.
            Err(DeployError::AlreadyLive { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(deployment.ended().await, Progress::Live);
        latencies.push(pause(&mesh, &deployment));
    }
    latencies.sorted()
}

async fn million(mesh: Arc<Runtime>, upgraded: bool) -> f64 {
    let over = Arc::<AtomicBool>::default();
    let upgrades = upgraded.then(|| {
        let (mesh, over) = (Arc::clone(&mesh), Arc::clone(&over));
        tokio::spawn(async move {
            let mut every = tokio::time::interval(EVERY);
            while !over.load(Ordering::Relaxed) {
                every.tick().await;
                let deployment = mesh.rollback("echo", options()).expect("there is one before");
                assert_eq!(deployment.ended().await, Progress::Live);
            }
        })
    });
    let begun = Instant::now();
    for _ in 1..MESSAGES {
        mesh.send("echo", body()).await.expect("sent");
    }
    host::ask(&mesh, "echo").await;
    let took = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    if let Some(upgrades) = upgrades {
        upgrades.await.expect("it ends");
    }
    nanos_each(took, MESSAGES)
}

/// With a guest that can be held up while messages gather.
async fn waiting(bench: &Bench) -> Vec<(Latencies, Latencies)> {
    let service = host::service(bench, "prober", "prober", Lane::Async);
    let service = service.with(&format!("mailbox = {{ capacity = {} }}", 2 * WAITING));
    let mut other = service.release();
    other.manifest.version.minor += 1;
    let mesh = host::start(bench, vec![service]).await;
    let deployed = mesh.deploy("prober", other, options()).await.expect("it can be deployed");
    assert_eq!(deployed.ended().await, Progress::Live);
    let rounds = interleaved(bench, || gathered(Arc::clone(&mesh), WAITING), || gathered(Arc::clone(&mesh), 0)).await;
    mesh.shutdown().await;
    rounds
}

/// For how long an actor took no message over it.
fn pause(mesh: &Runtime, deployment: &Deployment) -> Duration {
    Duration::from_secs_f64(mesh.deployment_status(deployment).pause_us / 1e6)
}

/// A message holds the actor up for 50 ms; meanwhile so many gather, and the other release is ordered.
async fn gathered(mesh: Arc<Runtime>, messages: usize) -> Latencies {
    let mut latencies = Latencies::with_capacity(SWAPS_WAITING);
    let command = |command: &str| format!("{{{command}}}");
    for _ in 0..SWAPS_WAITING {
        mesh.send("prober", command(r#""sleep":50"#)).await.expect("sent");
        for _ in 0..messages {
            mesh.send("prober", command(r#""do":[]"#)).await.expect("sent");
        }
        let deployment = mesh.rollback("prober", options()).expect("there is one before");
        assert_eq!(deployment.ended().await, Progress::Live);
        let waited = mesh.deployment_status(&deployment).waited;
        assert!(waited >= messages * 9 / 10, "{waited} waited");
        latencies.push(pause(&mesh, &deployment));
        mesh.call("prober", command(r#""do":[]"#), Duration::from_secs(60)).await.expect("answered");
    }
    latencies.sorted()
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    options.allow_downgrade = true;
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
        latencies.push(pause(&mesh, &deployment));
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
