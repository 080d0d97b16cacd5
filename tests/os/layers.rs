//! What is done with programs passes the layers, which may turn it away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use airssys_wasm::error::SendError;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::{Context, Layer, Operations, Verdict};
use airssys_wasm::{ExecuteError, Program, ProgramExit};
use bytes::Bytes;

use super::*;

/// Notes what it is asked about, and turns one target away.
#[derive(Clone, Default)]
pub(super) struct Watch(pub(super) Arc<Mutex<Vec<String>>>);

impl Layer for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn priority(&self) -> i32 {
        100
    }

    fn applies_to(&self) -> Operations {
        Operations::PROCESSES | Operations::FILES
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        self.0.lock().unwrap().push(format!("{} {}", context.operation, context.target));
        match context.target.contains("forbidden") {
            true => {
                Verdict::Reject(SendError::Rejected { layer: "watch".into(), reason: "not this one".into() }.into())
            }
            false => Verdict::Continue,
        }
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let came = if outcome.is_ok() { "ok" } else { "failed" };
        self.0.lock().unwrap().push(format!("{} {came}", context.operation));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_that_is_done_with_a_program_passes_the_layers() {
    let watch = Watch::default();
    let mesh = mesh_with(Runtime::builder().layer(watch.clone())).await;
    let _kept = told(&mesh, json!({ "keep": ["p", script("sleep 1000")] })).await;
    let _sent = told(&mesh, json!({ "signal": ["p", "terminate"] })).await;
    assert_eq!(told(&mesh, json!({ "wait": "p" })).await["exit"], "signal 15");
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let came = run(&mesh, &format!("echo forbidden > {}", trace.display())).await;
    let error = came["error"].as_str().unwrap();
    assert!(error.starts_with("denied") && error.contains("watch") && error.contains("not this one"), "{error}");
    assert!(!trace.exists(), "it was never started");
    let seen = watch.0.lock().unwrap().clone();
    let expected = [
        "process-start sh -c sleep 1000",
        "process-start ok",
        "process-signal sh",
        "process-signal ok",
        "process-wait sh",
        "process-wait ok",
    ];
    assert_eq!(seen[..6], expected, "{seen:?}");
    assert_eq!(seen.len(), 8, "{seen:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_embeds_the_host_goes_the_same_way() {
    let watch = Watch::default();
    let mesh = mesh_with(Runtime::builder().layer(watch.clone())).await;
    let mut denials = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let executor = mesh.runtime.executor("a").unwrap();
    let shell = |script: &str| Program::new("sh").arg("-c").arg(script);
    let done = executor
        .execute(shell("cat; echo $GREETING >&2; exit 3").env("GREETING", "hello").stdin("read"))
        .await
        .unwrap();
    let done = done.program().unwrap();
    assert_eq!(
        (done.exit, done.stdout.as_slice(), done.stderr.as_slice()),
        (ProgramExit::Status(3), &b"read"[..], &b"hello\n"[..])
    );
    assert!(watch.0.lock().unwrap().iter().any(|seen| seen.starts_with("process-start sh -c cat")));

    let denied = Program::new("sh").arg("-x");
    assert!(matches!(executor.validate(&denied.clone().into()), Err(ExecuteError::Denied { .. })));
    assert!(executor.validate(&shell("exit").into()).is_ok());
    assert!(matches!(executor.execute(denied).await, Err(ExecuteError::Denied { .. })));
    let Some(Heard::Event(event)) = denials.next().await else { panic!("events were lost") };
    assert!(
        matches!(&event.what, Happening::Denied { actor, .. } if actor == "a"),
        "told once, not where it was validated"
    );
    assert!(matches!(executor.execute(shell("echo forbidden")).await, Err(ExecuteError::Denied { .. })));

    let timeout = Duration::from_millis(1);
    let late = executor.execute_with_timeout(shell("sleep 1000"), timeout).await;
    assert_eq!(late, Err(ExecuteError::Timeout { timeout }));

    // Where nobody waits any more, it ends.
    let folder = tempfile::tempdir().unwrap();
    let fifo = Fifo::new(folder.path());
    let script = shell(&fifo.held_by_two());
    let waiting = tokio::spawn(async move { executor.execute(script).await });
    let mut reader = tokio::task::spawn_blocking(move || fifo.reader()).await.unwrap();
    reader.lines(2);
    waiting.abort();
    reader.end();
    mesh.stop().await;
}
