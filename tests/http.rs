//! A component that handles HTTP by WASI's own interface is a service as it is: a request is a call, and has what every
//! call has.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod renewal;

use std::time::Duration;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, guest};
use airssys_wasm::deploy::{Progress, Strategy};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{InvokeError, Runtime, Written};
use serde_json::{Value, json};

const SITE: &str = "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"site\"\nrelease = \"@site\"\n";

/// A response: its status, its headers and its body as text; or the error.
type Response = Result<(u64, Vec<(String, String)>, String), String>;

fn request(method: &str, path: &str, body: &str) -> String {
    let headers = json!([["x-told", b"yes"], ["host", b"other"], ["connection", b"close"]]);
    let request = json!({"method": method, "scheme": "http", "authority": "shop.example:80", "path-with-query": path,
        "headers": headers, "body": body.as_bytes()});
    json!([request]).to_string()
}

fn text(bytes: &Value) -> String {
    let bytes = bytes.as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

async fn ask(mesh: &Mesh, path: &str, body: &str) -> Result<Response, InvokeError> {
    let arguments = request("POST", path, body);
    let call = Written::Json { function: "handle", arguments: &arguments };
    let answer = mesh.runtime.invoke("site", call, PATIENCE).await?.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let Some(response) = answer.get("ok") else { return Ok(Err(answer["err"].as_str().unwrap().to_owned())) };
    let header = |header: &Value| (header[0].as_str().unwrap().to_owned(), text(&header[1]));
    let headers = response["headers"].as_array().unwrap().iter().map(header).collect();
    Ok(Ok((response["status"].as_u64().unwrap(), headers, text(&response["body"]))))
}

#[tokio::test]
async fn a_request_is_handled_by_a_component_that_never_heard_of_us() {
    let mesh = Mesh::start(SITE).await;
    let (status, headers, body) = ask(&mesh, "/show?a=1", "what is sent").await.unwrap().unwrap();
    assert_eq!((status, headers), (200, vec![("content-type".to_owned(), "text/plain".to_owned())]));
    assert_eq!(body, "Method::Post Some(Scheme::Http) Some(\"shop.example:80\")\nx-told: yes\nwhat is sent");
    let (status, headers, body) = ask(&mesh, "/made", "").await.unwrap().unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers, [header("location", "/made/1"), header("set-cookie", "a=1"), header("set-cookie", "b=2")]);
    assert_eq!((status, body.as_str()), (201, ""));
    // In WAVE as well.
    let call = "handle({method: \"GET\", scheme: \"https\", authority: \"a\", path-with-query: \"/seen\", headers: [], body: []})";
    let answer = mesh.runtime.invoke("site", call, PATIENCE).await.unwrap().unwrap();
    assert_eq!(answer, "ok({status: 200, headers: [], body: [51]})", "the third request of one instance");
    mesh.stop().await;
}

fn with(more: &str) -> String {
    format!("{SITE}{more}\n[[service]]\nname = \"sink\"\nrelease = \"@echo\"\n")
}

/// The body of a response that is one.
async fn body(mesh: &Mesh, path: &str) -> String {
    let (status, _, body) = ask(mesh, path, "").await.unwrap().unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// How a turn over a request crashed, as it is coded.
async fn crash(mesh: &Mesh, path: &str) -> String {
    match ask(mesh, path, "").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => crash.code().to_owned(),
        other => panic!("{path}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_and_no_guest_sees_it() {
    let mesh = Mesh::start(SITE).await;
    for (good, bad) in [("POST", "P OST"), ("shop.example:80", ""), ("/seen", "/se en"), ("x-told", "x told")] {
        let arguments = request("POST", "/seen", "").replace(good, bad);
        let call = Written::Json { function: "handle", arguments: &arguments };
        let refused = mesh.runtime.invoke("site", call, PATIENCE).await.unwrap_err();
        assert!(refused.to_string().contains("it is no request: `"), "{bad}: {refused}");
    }
    assert_eq!(body(&mesh, "/seen").await, "1");
    assert_eq!(mesh.status("site").faulted, 4);
    mesh.stop().await;
}

#[tokio::test]
async fn a_guest_that_does_not_respond_well_is_told_of_and_goes_on() {
    let mesh = Mesh::start(SITE).await;
    for (path, said) in [
        ("/none", "no-response: it returned, and had set none"),
        ("/forgotten", "no-response: it returned, and had set none"),
        ("/error", "dns-timeout"),
        ("/add/error", "internal-error: no"),
        ("/unfinished", "unfinished: its body was not written to its end"),
        ("/short", "unfinished: its body was not written to its end"),
        ("/long", "unfinished: its body was not written to its end"),
        ("/big?2000000", "response-too-long: a message has 1048576 bytes at most"),
    ] {
        assert_eq!(ask(&mesh, path, "").await.unwrap(), Err(said.to_owned()), "{path}");
    }
    // What nobody ends ends with the turn.
    assert_eq!(body(&mesh, "/open").await, "all that there is");
    assert_eq!(body(&mesh, "/big?1000000").await.len(), 1_000_000);
    assert_eq!(body(&mesh, "/seen").await, "11", "one instance handled all of them");
    let status = mesh.status("site");
    assert_eq!((status.crashed, status.faulted), (0, 0));
    mesh.stop().await;
}

#[tokio::test]
async fn what_a_request_does_happens_with_its_response_and_not_without_one() {
    let mesh = Mesh::start(&with("grants = { send = [\"sink\"] }")).await;
    let sum = |mesh: &Mesh| mesh.runtime.state("site").get("").and_then(|state| state.get("sum").cloned());
    assert_eq!(ask(&mesh, "/add/error?sink", "").await.unwrap(), Err("internal-error: no".to_owned()));
    assert_eq!(crash(&mesh, "/add/trap?sink").await, "trap");
    assert_eq!((sum(&mesh), mesh.status("sink").accepted), (None, 0));
    assert_eq!((body(&mesh, "/add?sink").await, body(&mesh, "/add?sink").await), ("1".to_owned(), "2".to_owned()));
    assert!(sum(&mesh).is_some());
    mesh.until("both were told", |mesh| mesh.status("sink").handled == 2).await;
    mesh.stop().await;
}

#[tokio::test]
async fn a_request_has_the_limits_of_a_turn() {
    let limits = "limits = { turn_deadline = \"300ms\", turn_budget = \"100ms\", memory = \"4MiB\" }";
    let mesh = Mesh::start(&with(limits)).await;
    for (path, code) in [
        ("/trap", "trap"),
        ("/set-and-trap", "trap"),
        ("/spin", "budget"),
        ("/wait", "deadline"),
        ("/grow", "out-of-memory"),
        ("/leak?300", "trap"),
    ] {
        assert_eq!(crash(&mesh, path).await, code, "{path}");
        assert_eq!(body(&mesh, "/seen").await, "1", "{path}: there is a new instance");
    }
    let letters = mesh.runtime.dead_letters().1;
    let call = letters[0].call.as_deref().unwrap();
    assert!(call.starts_with("wasi:http/incoming-handler@0.2.0#handle({method: \"POST\", scheme: \"http\""), "{call}");
    assert!(letters[5].reason.to_string().contains("the limit `resources` is 256"), "{}", letters[5].reason);
    mesh.stop().await;
}

#[tokio::test]
async fn a_request_over_which_its_instance_crashed_is_tried_again() {
    let mesh = Mesh::start(&with("retries = 1")).await;
    assert_eq!(crash(&mesh, "/add/trap").await, "trap");
    let letter = mesh.runtime.dead_letters().1.remove(0);
    assert_eq!((letter.attempt, mesh.status("site").crashed), (1, 2));
    mesh.stop().await;
}

#[tokio::test]
async fn a_request_that_is_a_query_has_an_instance_of_its_own_and_no_effects() {
    let mesh = Mesh::start(&with("queries = [\"handle\"]\ngrants = { send = [\"sink\"] }")).await;
    assert_eq!((body(&mesh, "/seen").await, body(&mesh, "/seen").await), ("1".to_owned(), "1".to_owned()));
    let _refused = body(&mesh, "/add?sink").await;
    assert_eq!(mesh.status("sink").accepted, 0);
    let state = mesh.runtime.state("site");
    assert!(state.values().all(|values| values.is_empty()), "{state:?}");
    mesh.stop().await;
}

#[tokio::test]
async fn a_guest_that_asks_others_by_http_is_refused() {
    let mesh = Mesh::start(SITE).await;
    assert_eq!(body(&mesh, "/out?shop.example").await, "ErrorCode::HttpRequestDenied");
    mesh.stop().await;
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_of_the_host() {
    let data = tempfile::tempdir().unwrap();
    for sum in ["1", "2"] {
        let builder = Runtime::builder().data_folder(data.path());
        let mesh = Mesh::try_start(&with("state = \"durable\""), builder).await.unwrap();
        assert_eq!(body(&mesh, "/add").await, sum);
        mesh.stop().await;
    }
}

/// The same guest, with other bytes and another version, and this text in place of another of its own.
fn next(mesh: &Mesh, old: &[u8], new: &[u8]) -> Release {
    let built = guest("site").parent().unwrap().join("target/airssys/site.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    let at: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(at.len() == 1 && old.len() == new.len(), "the text stands in the binary once");
    bytes[at[0]..][..new.len()].copy_from_slice(new);
    // A custom section called `next`, and nothing in it.
    bytes.extend(b"\0\x05\x04next");
    let path = mesh.folder.path().join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(mesh.folder.path().join("next.toml"), "name = \"site\"\nversion = \"0.2.0\"\n").unwrap();
    Release::find(&path).unwrap()
}

/// How a release comes out of the shadow of the one that serves.
async fn compared(old: &[u8], new: &[u8]) -> String {
    let mesh = Mesh::start(SITE).await;
    let mut options = quick();
    options.strategy = Strategy::Shadow { tolerate: 0.0 };
    options.gate.bake = Duration::from_millis(10);
    options.gate.samples = 20;
    options.gate.latency = 1e6;
    let deployment = mesh.runtime.deploy("site", next(&mesh, old, new), options).await.unwrap();
    let outcome = loop {
        match deployment.progress() {
            Progress::Live => break "live".to_owned(),
            Progress::RolledBack { reason } => break reason.to_string(),
            _ => {}
        }
        for path in ["/made", "/show"] {
            let _response = ask(&mesh, path, "sent").await.unwrap();
        }
    };
    mesh.stop().await;
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_of_two_releases_are_compared() {
    let same = compared(b"/made/1", b"/made/1").await;
    assert_eq!(same, "live");
    let other = compared(b"/made/1", b"/made/2").await;
    assert!(other.contains("differs over") && other.contains("it answers"), "{other}");
}

#[tokio::test]
async fn a_guest_that_drops_what_it_is_given_has_as_much_after_any_number_of_requests() {
    let mesh = Mesh::start(&with("limits = { resources = 8 }")).await;
    for number in 1..=500 {
        let (status, ..) = ask(&mesh, "/show", "a body that is read").await.unwrap().unwrap();
        assert_eq!((status, body(&mesh, "/seen").await), (200, (2 * number).to_string()), "of one instance");
    }
    mesh.stop().await;
}

#[tokio::test]
async fn another_shape_of_the_interface_is_refused_with_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"(component
        (core module $m (func (export "handle") (result i32) i32.const 7))
        (core instance $m (instantiate $m))
        (func $handle (result u32) (canon lift (core func $m "handle")))
        (instance $handler (export "handle" (func $handle)))
        (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))"#;
    std::fs::write(folder.path().join("other.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let topology = "name = \"m\"\n[[service]]\nname = \"other\"\nrelease = \"other.wasm\"\n";
    std::fs::write(folder.path().join("airssys.toml"), topology).unwrap();
    let topology = Topology::read(&folder.path().join("airssys.toml")).unwrap();
    let refused = Runtime::builder().start(&topology).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("wasi:http/incoming-handler@0.2.3") && refused.contains("func() -> u32"), "{refused}");
}
