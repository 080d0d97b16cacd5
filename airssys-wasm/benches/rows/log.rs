//! Row `log/json`: 64 bytes told to one actor in a mesh that logs each message as JSON to a file.
//!
//! Floor: the same in a mesh without a log. The file is in the folder for temporary files, and is not put aside
//! meanwhile. No line may be missing: a log that drops them would be fast.

use std::sync::Arc;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;

use crate::Bench;
use crate::host;
use crate::measure::{interleaved, series};
use crate::report::Row;
use crate::tell::tell;

/// Of each message its line, and room for those of some rounds: nobody waits for the writer.
const LOG: &str = "[[log]]\nname = \"all\"\nto = \"file\"\noperations = [\"messages\"]\nrotate_bytes = \"1TiB\"\n\
                   queue = \"64MiB\"\n";

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let echo = || host::service(bench, "echo", "echo", Lane::Async);
    let file = folder.path().join("log.jsonl");
    let logged = host::start(bench, vec![echo().with(&format!("{LOG}path = {file:?}"))]).await;
    let plain = host::start(bench, vec![echo()]).await;
    let rounds = interleaved(bench, || tell(Arc::clone(&logged)), || tell(Arc::clone(&plain))).await;
    let lost = lost(&logged);
    host::stop(&logged).await;
    host::stop(&plain).await;
    assert_eq!(lost, 0, "lines are missing, so this measures nothing");
    vec![Row::new("log/json", "ns/message", 1.5, series(&rounds, |nanos| *nanos))]
}

fn lost(mesh: &Runtime) -> u64 {
    mesh.logs().iter().map(|log| log.lost).sum()
}
