//! Rows `seeded/*`: a host in which everything follows from a seed.
//!
//! `seeded/turn`: 64 bytes asked from the host, one question at a time, and each step written down; floor: the same in
//! a live host, in the async lane. `seeded/day`: a day of a hundred services, each of which is told something each
//! minute.
//!
//! `seeded/fixed`: the run whose digest stands in the tree and is asserted by the tests in a debug build. Here it has
//! the same one in a release build, or this ends.
//!
//! They come last: once a clock was paused in a process, whoever reads another one takes a lock for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;
use airssys_wasm::seeded::Seeded;
use airssys_wasm::topology::Topology;

use crate::fixed;
use crate::host::{self, body};
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

const QUESTIONS: usize = times(20_000);
const SERVICES: usize = 100;
/// How often the fixed run is done.
const FIXED: usize = 5;
const MINUTES: usize = times(1_440);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let one = host::service(bench, "echo", "echo", Lane::Async);
    let mesh = host::start(bench, vec![one.clone()]).await;
    let topology = Arc::new(host::topology(vec![one]));
    let rounds = interleaved(bench, || seeded(Arc::clone(&topology)), || live(Arc::clone(&mesh))).await;
    host::stop(&mesh).await;
    let many = Arc::new(host::topology(host::services(bench, SERVICES, "echo", Lane::Async)));
    let days = vec![day(many).await];
    let fixed = tokio::task::spawn_blocking(|| (0..FIXED).map(|_| fixed()).collect()).await.expect("the same runs");
    vec![
        Row::new("seeded/turn", "ns", 2.0, series(&rounds, |nanos| *nanos)),
        Row::told("seeded/day", "s", days),
        Row::told("seeded/fixed", "s", fixed),
    ]
}

async fn live(mesh: Arc<Runtime>) -> f64 {
    let begun = Instant::now();
    for _ in 0..QUESTIONS {
        host::ask(&mesh, "echo").await;
    }
    nanos_each(begun.elapsed(), QUESTIONS)
}

/// Runs something in a host of its own.
async fn run<T: Send + 'static>(topology: Arc<Topology>, test: impl AsyncFnOnce(&Runtime) -> T + Send + 'static) -> T {
    let running = tokio::task::spawn_blocking(move || {
        let seeded = Seeded::new(1);
        let ran = seeded.run(async || {
            let mesh = Runtime::builder().seeded(&seeded).max_instances(1_000).start(&topology).await;
            let mesh = mesh.expect("the mesh starts");
            let done = test(&mesh).await;
            mesh.shutdown().await;
            done
        });
        ran.expect("a thread")
    });
    running.await.expect("it did not panic")
}

async fn seeded(topology: Arc<Topology>) -> f64 {
    let asked = async |mesh: &Runtime| {
        let begun = Instant::now();
        for _ in 0..QUESTIONS {
            host::ask(mesh, "echo").await;
        }
        nanos_each(begun.elapsed(), QUESTIONS)
    };
    run(topology, asked).await
}

/// How many seconds of the machine the fixed run takes.
fn fixed() -> f64 {
    let (trial, _folder) = fixed::trial("", "");
    let begun = Instant::now();
    let tried = trial.run(fixed::SEED, None, false).expect("it runs");
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(tried.digest, fixed::DIGEST, "the run with the seed {} is another one in this build", fixed::SEED);
    took
}

/// How many seconds of the machine a day takes.
async fn day(topology: Arc<Topology>) -> f64 {
    let told = async |mesh: &Runtime| {
        let begun = Instant::now();
        for _ in 0..MINUTES {
            tokio::time::sleep(Duration::from_secs(60)).await;
            for at in 0..SERVICES {
                mesh.send(&host::name(at), body()).await.expect("sent");
            }
        }
        begun.elapsed().as_secs_f64()
    };
    run(topology, told).await
}
