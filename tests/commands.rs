//! A command is a service as it is: a message is its stdin, its stdout the answer, and its exit status says whether
//! anything happened.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::{CallError, Fault};
use airssys_wasm::hint::Coded;

const FILTER: &str = r#"
    name = "commands"
    [[service]]
    name = "filter"
    release = "@filter"
"#;

async fn run(mesh: &Mesh, input: &str) -> Result<String, CallError> {
    let answer = mesh.runtime.call("filter", input.to_owned(), PATIENCE).await?;
    Ok(String::from_utf8(answer.unwrap_or_default().into()).unwrap())
}

async fn answer(mesh: &Mesh, input: &str) -> String {
    run(mesh, input).await.unwrap()
}

#[tokio::test]
async fn a_message_is_stdin_and_stdout_the_answer() {
    let mesh = Mesh::start(FILTER).await;
    assert_eq!(answer(&mesh, "hello\nworld").await, "HELLO\nWORLD");
    assert_eq!(answer(&mesh, "").await, "");
    for _ in 0..3 {
        assert_eq!(answer(&mesh, "runs\n").await, "1", "its memory is for one run");
    }
    let more_than_a_pipe = "x".repeat(1 << 19);
    assert_eq!(answer(&mesh, &format!("bytes\n{more_than_a_pipe}")).await, more_than_a_pipe.len().to_string());
    mesh.stop().await;
}

#[tokio::test]
async fn a_status_that_is_not_0_is_an_error_and_no_crash() {
    let mesh = Mesh::start(FILTER).await;
    let failed = run(&mesh, "fail no such thing\n").await.unwrap_err();
    let exit = Fault::Exit { status: 1, stderr: "no such thing".to_owned() };
    assert_eq!(failed, CallError::Fault(exit));
    assert_eq!((failed.code(), failed.to_string()), ("exit", "exited with status 1: no such thing".to_owned()));
    assert_eq!(answer(&mesh, "exit 0\n").await, "");
    assert_eq!(run(&mesh, "exit 1\n").await.unwrap_err().to_string(), "exited with status 1");
    assert_eq!(answer(&mesh, "runs\n").await, "1");
    let status = mesh.status("filter");
    assert_eq!((status.handled, status.faulted, status.crashed, status.started), (2, 2, 0, 1));
    mesh.stop().await;
}

#[tokio::test]
async fn stdout_has_a_bound() {
    let mesh = Mesh::start(&format!("{FILTER}\n[service.limits]\nboundary = \"64KiB\"\n")).await;
    assert_eq!(answer(&mesh, "many 16\n").await.len(), 16 << 12);
    for blocks in [17, 1 << 30] {
        let too_much = run(&mesh, &format!("many {blocks}\n")).await.unwrap_err();
        assert_eq!(too_much, CallError::Fault(Fault::Oversized { limit_bytes: 64 << 10 }));
    }
    assert_eq!(mesh.status("filter").crashed, 0);
    mesh.stop().await;
}
