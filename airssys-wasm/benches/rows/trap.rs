//! Rows `trap/*`: from a message over which the guest traps to the answer to the next one, which waits behind it; the
//! median.
//!
//! Floor: a raw trap, the store dropped, a new one with a new instance in it, and the next call; no actor at all.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;

use crate::ask::latency_rows;
use crate::floor::Floor;
use crate::host::{self, PATIENCE, body};
use crate::measure::{Latencies, interleaved};
use crate::report::Row;
use crate::{Bench, times};

const TRAPS: usize = times(500);
/// What the guest traps over.
const TRAP: &[u8] = b"trap";

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "crasher", "crasher", lane)]).await;
    let floor = Arc::new(Floor::new(bench, "crasher", lane));
    let rounds = interleaved(bench, || crash(Arc::clone(&mesh)), || raw(Arc::clone(&floor))).await;
    mesh.shutdown().await;
    latency_rows(&format!("trap/{}", crate::lane_name(lane)), 2.0, &rounds)
}

async fn crash(mesh: Arc<Runtime>) -> Latencies {
    let mut latencies = Latencies::with_capacity(TRAPS);
    for _ in 0..TRAPS {
        let body = body();
        let begun = Instant::now();
        mesh.send("crasher", TRAP).await.expect("sent");
        mesh.call("crasher", body, PATIENCE).await.expect("answered");
        latencies.since(begun);
    }
    latencies.sorted()
}

async fn raw(floor: Arc<Floor>) -> Latencies {
    let mut latencies = Latencies::with_capacity(TRAPS);
    let mut owned = floor.instantiate(None).await;
    for _ in 0..TRAPS {
        let body = body();
        let begun = Instant::now();
        owned.trap(TRAP).await;
        drop(owned);
        owned = floor.instantiate(None).await;
        owned.ask(&body).await;
        latencies.since(begun);
    }
    latencies.sorted()
}
