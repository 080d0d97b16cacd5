//! Rows `tell/*`: 64 bytes told to one actor, which hands them to its guest; in bursts, one after the other.
//!
//! Floor: a plain ractor actor that owns the same store, by cast. A burst is timed until its last message was handled,
//! which an ask behind it tells. The bursts are as long as serves the floor best: a plain mailbox has no bound, and
//! grows over longer ones.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;

use crate::floor::{Floor, Plain};
use crate::host::{self, body};
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

/// Messages in a burst; a mailbox of the host holds 1,024.
const BURST: usize = times(5_000);
/// Bursts in a round.
const BURSTS: usize = times(20);

pub(crate) async fn rows(bench: &Bench, lane: Lane) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "echo", "echo", lane)]).await;
    let plain = Floor::new(bench, "echo", lane).spawn().await;
    let rounds = interleaved(bench, || tell(Arc::clone(&mesh)), || cast(plain.clone())).await;
    plain.stop().await;
    host::stop(&mesh).await;
    vec![Row::new(format!("tell/{}", crate::lane_name(lane)), "ns/message", 1.0, series(&rounds, |nanos| *nanos))]
}

pub(crate) async fn tell(mesh: Arc<Runtime>) -> f64 {
    let begun = Instant::now();
    for _ in 0..BURSTS {
        for _ in 1..BURST {
            mesh.send("echo", body()).await.expect("sent");
        }
        host::ask(&mesh, "echo").await;
    }
    nanos_each(begun.elapsed(), BURSTS * BURST)
}

/// Tells a plain actor in bursts.
pub(crate) async fn cast(plain: Plain) -> f64 {
    let begun = Instant::now();
    for _ in 0..BURSTS {
        for _ in 1..BURST {
            plain.tell(body());
        }
        plain.ask(body()).await;
    }
    nanos_each(begun.elapsed(), BURSTS * BURST)
}
