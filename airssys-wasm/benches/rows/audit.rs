//! Row `audit/required`: 64 bytes told to one actor in a mesh whose audit is required, and that has a data folder for
//! it.
//!
//! Floor: the same in a mesh without an audit. Messages are not on record; this is what it costs to look whether it can
//! be written.

use std::sync::Arc;

use airssys_wasm::command::Lane;

use crate::Bench;
use crate::host;
use crate::measure::{interleaved, series};
use crate::report::Row;
use crate::tell::tell;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let data = tempfile::tempdir().expect("a folder");
    let echo = || host::service(bench, "echo", "echo", Lane::Async);
    let audited = host::start_in(bench, vec![echo().with("[settings]\naudit = \"required\"")], data.path()).await;
    let plain = host::start(bench, vec![echo()]).await;
    let rounds = interleaved(bench, || tell(Arc::clone(&audited)), || tell(Arc::clone(&plain))).await;
    host::stop(&audited).await;
    host::stop(&plain).await;
    vec![Row::new("audit/required", "ns/message", 2.0, series(&rounds, |nanos| *nanos))]
}
