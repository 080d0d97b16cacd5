//! Rows `throughput/*`: messages a second through 1, 2, 4 and 100 actors, told in turn by two senders (one for the
//! single actor). No floor.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;
use tokio::task::JoinSet;

use crate::host::{self, body};
use crate::measure::{nanos_each, on_a_worker};
use crate::report::Row;
use crate::{Bench, times};

const MESSAGES: usize = times(200_000);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mut rows = Vec::new();
    for actors in [1, 2, 4, 100] {
        let mesh = host::start(bench, host::services(bench, actors, "echo", lane)).await;
        let mut figures = Vec::with_capacity(bench.rounds);
        on_a_worker(flood(Arc::clone(&mesh), actors)).await;
        for _ in 0..bench.rounds {
            figures.push(on_a_worker(flood(Arc::clone(&mesh), actors)).await);
        }
        host::stop(&mesh).await;
        rows.push(Row::told(format!("throughput/{}/{actors}", crate::lane_name(lane)), "messages/s", figures));
    }
    rows
}

/// Each sender has actors of its own, and tells them in turn.
async fn flood(mesh: Arc<Runtime>, actors: usize) -> f64 {
    let senders = actors.min(2);
    let begun = Instant::now();
    let mut sending = JoinSet::new();
    for sender in 0..senders {
        let mesh = Arc::clone(&mesh);
        let names: Vec<String> = (sender..actors).step_by(senders).map(host::name).collect();
        sending.spawn(async move {
            for name in names.iter().cycle().take(MESSAGES / senders) {
                mesh.send(name, body()).await.expect("sent");
            }
            for name in &names {
                host::ask(&mesh, name).await;
            }
        });
    }
    sending.join_all().await;
    1e9 / nanos_each(begun.elapsed(), MESSAGES)
}
