//! Rows `spawn/*`: a supervised component actor, from the wish to start it until its supervisor says that it is ready.
//!
//! Floor: a pooled instance in a new store, and a plain ractor actor spawned over it. Stopping them again is not timed.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;

use crate::floor::{Floor, Plain};
use crate::host;
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

const ACTORS: usize = times(200);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mesh = host::start(bench, host::services(bench, ACTORS, "echo", lane)).await;
    let floor = Arc::new(Floor::new(bench, "echo", lane));
    let rounds = interleaved(bench, || start_children(Arc::clone(&mesh), ACTORS), || spawn(Arc::clone(&floor))).await;
    host::stop(&mesh).await;
    vec![Row::new(format!("spawn/{}", crate::lane_name(lane)), "ns", 2.0, series(&rounds, |nanos| *nanos))]
}

/// Stops so many children of the root, and starts them again; how long each takes to start.
pub(crate) async fn start_children(mesh: Arc<Runtime>, actors: usize) -> f64 {
    let root = mesh.root();
    for at in 0..actors {
        root.terminate_child(host::name(at)).await.expect("stopped");
    }
    let names: Vec<String> = (0..actors).map(host::name).collect();
    let begun = Instant::now();
    for name in names {
        root.restart_child(name).await.expect("ready");
    }
    nanos_each(begun.elapsed(), actors)
}

async fn spawn(floor: Arc<Floor>) -> f64 {
    let mut actors = Vec::with_capacity(ACTORS);
    let begun = Instant::now();
    for _ in 0..ACTORS {
        actors.push(Plain::start(floor.instantiate(None).await, None).await);
    }
    let nanos = nanos_each(begun.elapsed(), ACTORS);
    for (plain, task) in actors {
        plain.stop().await;
        task.await.expect("gone");
    }
    nanos
}
