//! Row `relay`: the host asks A, whose guest calls B, whose guest answers; 64 bytes.
//!
//! Floor: the host's rpc through two plain actors that each own a store and call the echo guest, the first asking the
//! second. Told beside it: the same component in A's store, whose import asks the second plain actor, so that the floor
//! pays for leaving and re-entering A's guest as well.

use std::sync::Arc;

use airssys_wasm::command::Lane;

use crate::Bench;
use crate::ask::{ask, latency_rows, rpc};
use crate::floor::{Floor, Plain};
use crate::host::{self, Service};
use crate::measure::interleaved;
use crate::report::Row;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "echo", "echo", Lane::Async), relay(bench)]).await;
    let (echoes, relays) = (Floor::new(bench, "echo", Lane::Async), Floor::new(bench, "relay", Lane::Async));
    let second = echoes.spawn().await;
    let (first, _) = Plain::start(echoes.instantiate(None).await, Some(second.clone())).await;
    let (by_import, _) = Plain::start(relays.instantiate(Some(second.clone())).await, None).await;
    let rounds = interleaved(bench, || ask(Arc::clone(&mesh), "relay"), || rpc(first.clone())).await;
    let mut rows = latency_rows("relay", 1.3, &rounds);
    let rounds = interleaved(bench, || ask(Arc::clone(&mesh), "relay"), || rpc(by_import.clone())).await;
    rows.extend(latency_rows("relay/same-component", None, &rounds));
    for plain in [first, by_import, second] {
        plain.stop().await;
    }
    host::stop(&mesh).await;
    rows
}

/// A service that calls `echo` over every message.
fn relay(bench: &Bench) -> Service {
    host::service(bench, "relay", "relay", Lane::Async)
        .with("grants = { call = [\"echo\"] }")
        .with("config = { to = \"echo\" }")
}
