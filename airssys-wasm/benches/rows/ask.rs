//! Rows `ask/*`: 64 bytes asked from the host, one question at a time.
//!
//! Floor: a plain ractor actor that owns the same store, by rpc. The row is the median latency; the 99th percentile is
//! told beside it.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;

use crate::floor::{Floor, Plain};
use crate::host::{self, body};
use crate::measure::{Latencies, interleaved, series};
use crate::report::Row;
use crate::{Bench, times};

const QUESTIONS: usize = times(20_000);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "echo", "echo", lane)]).await;
    let plain = Floor::new(bench, "echo", lane).spawn().await;
    let rounds = interleaved(bench, || ask(Arc::clone(&mesh), "echo"), || rpc(plain.clone())).await;
    plain.stop().await;
    host::stop(&mesh).await;
    let name = format!("ask/{}", crate::lane_name(lane));
    latency_rows(&name, 1.3, &rounds)
}

/// The median of these latencies as a row, and the 99th percentile as one that is told.
pub(crate) fn latency_rows(name: &str, at_most: impl Into<Option<f64>>, rounds: &[(Latencies, Latencies)]) -> Vec<Row> {
    vec![
        Row::new(name, "ns p50", at_most, series(rounds, |latencies| latencies.percentile(50))),
        Row::new(format!("{name}/p99"), "ns p99", None, series(rounds, |latencies| latencies.percentile(99))),
    ]
}

/// Asks a service of the mesh many times.
pub(crate) async fn ask(mesh: Arc<Runtime>, service: &'static str) -> Latencies {
    let mut latencies = Latencies::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun = Instant::now();
        host::ask(&mesh, service).await;
        latencies.since(begun);
    }
    latencies.sorted()
}

/// Asks a plain actor many times.
pub(crate) async fn rpc(plain: Plain) -> Latencies {
    let mut latencies = Latencies::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun = Instant::now();
        let answer = plain.ask(body()).await;
        latencies.since(begun);
        assert_eq!(answer.len(), 64);
    }
    latencies.sorted()
}
