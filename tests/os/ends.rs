//! A program ends with whoever started it, and what it has started with it; whatever ends that.

use airssys_tests::command::Desk;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::registry::Release;

use super::super::cli::signals::Running;
use super::*;

/// Starts two that hold a pipe, and what sees their end.
async fn two(mesh: &Mesh, fifo: &Fifo) -> Reader {
    let _kept = told(mesh, json!({ "keep": ["p", script(&fifo.held_by_two())] })).await;
    let reader = fifo.reader();
    let mut reader = tokio::task::spawn_blocking(move || reader).await.unwrap();
    reader.lines(2);
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_a_stop_and_a_handle_that_is_let_go_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = Fifo::new(folder.path());
    let mesh = mesh().await;

    let reader = two(&mesh, &fifo).await;
    let _let_go = told(&mesh, json!({ "drop": "p" })).await;
    reader.end();

    let reader = two(&mesh, &fifo).await;
    assert!(matches!(tell(&mesh, &json!("crash")).await, Err(CallError::Crashed { .. })));
    reader.end();

    let reader = two(&mesh, &fifo).await;
    mesh.runtime.stop_service("a").await.unwrap();
    reader.end();
    mesh.runtime.start_service("a").await.unwrap();

    let reader = two(&mesh, &fifo).await;
    mesh.stop().await;
    reader.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_release_that_takes_over_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = Fifo::new(folder.path());
    let mesh = mesh().await;
    let reader = two(&mesh, &fifo).await;
    let next = folder.path().join("next");
    std::fs::create_dir(&next).unwrap();
    let built = guest("runner").parent().unwrap().join("target/airssys/runner.wasm");
    let text = std::fs::read_to_string(guest("runner").join("Component.toml")).unwrap();
    let text = text.replace("0.1.0", "0.2.0").replace("[requests]", &format!("component = {built:?}\n[requests]"));
    std::fs::write(next.join("Component.toml"), text).unwrap();
    let release = Release::find(&next).unwrap();
    let deployed = mesh.runtime.deploy("a", release, DeployOptions::default()).await.unwrap();
    reader.end();
    let came = told(&mesh, json!({ "wait": "p" })).await;
    assert!(came["error"].as_str().unwrap().contains("keeps nothing"), "{came}");
    drop(deployed);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_taken_away_ends_it_and_the_next_call_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = Fifo::new(folder.path());
    let mesh = mesh().await;
    let mut denials = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let reader = two(&mesh, &fifo).await;
    let _kept = mesh.runtime.revoke("a", "processes", "sh").await.unwrap();
    reader.end();
    for (what, operation) in [
        (json!({ "wait": "p" }), "process-wait"),
        (json!({ "exited": "p" }), "process-wait"),
        (json!({ "signal": ["p", "terminate"] }), "process-signal"),
        (json!({ "run": [script("exit"), ""] }), "process-start"),
    ] {
        let came = told(&mesh, what.clone()).await;
        assert!(came["error"].as_str().unwrap_or_default().starts_with("denied"), "{what}: {came}");
        let Some(Heard::Event(event)) = denials.next().await else { panic!("events were lost") };
        assert!(matches!(&event.what, Happening::Denied { operation: told, .. } if told == operation), "{event:?}");
    }
    assert_eq!(told(&mesh, json!("ping")).await, json!({}), "its instance goes on");
    mesh.stop().await;
}

#[test]
fn a_host_that_is_killed_takes_them_with_it() {
    let desk = Desk::with(&topology(&format!("processes = {{ {GRANTED} }}"), ""));
    let fifo = Fifo::new(desk.path());
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let what = json!({ "keep": ["p", script(&fifo.held_by_two())] }).to_string();
    let _kept = desk.run(&["call", "a", &what]).well();
    let mut reader = fifo.reader();
    reader.lines(2);
    running.signal("KILL");
    reader.end();
}

#[test]
fn what_was_denied_and_which_limit_was_reached_is_on_record() {
    let desk = Desk::with(&topology(&format!("processes = {{ {GRANTED} }}"), ""));
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let start = json!({ "run": [{ "name": "sh", "args": ["-x"] }, ""] }).to_string();
    assert!(desk.run(&["call", "a", &start]).well().stdout.contains("denied"));
    let late = json!({ "run": [{ "name": "sh", "args": ["-c", "sleep 1000"], "time_ms": 1 }, ""] }).to_string();
    assert!(desk.run(&["call", "a", &late]).well().stdout.contains("limit time"));
    let caps = desk.run(&["caps", "a"]).well().stdout;
    assert!(caps.contains("processes") && caps.contains("sh"), "{caps}");
    let why = desk.run(&["caps", "why", "a", "processes", "sh -x"]);
    assert!(why.stdout.contains("no") && why.exit != Some(101), "{why:#?}");
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
    let record = std::fs::read_to_string(desk.path().join(".airssys/audit/000001.jsonl")).unwrap();
    let lines: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let denied: Vec<&Value> = lines.iter().filter(|line| line["operation"] == "process-start").collect();
    assert_eq!(denied.len(), 1, "{record}");
    assert!(record.contains("sh -x") && record.contains("\"time\""), "{record}");
}
