//! What was wrong with the system that had this name before: each is a test.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::command::Desk;
use airssys_tests::{Mesh, guest, read};
use airssys_wasm::Runtime;
use airssys_wasm::command::NoLine;
use serde_json::json;

use super::{Denials, tell};
use crate::http_out::servers::Server;

async fn reached(mesh: &Mesh, what: serde_json::Value) -> Vec<String> {
    serde_json::from_value(tell(mesh, "a", &json!({ "do": what })).await.unwrap()).unwrap()
}

fn topology(grants: &str) -> String {
    let reacher = guest("reacher");
    format!(
        "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = {reacher:?}\n{grants}\n\
         [[service]]\nname = \"other\"\nrelease = {reacher:?}\n[[service]]\nname = \"third\"\nrelease = {reacher:?}\n"
    )
}

/// A policy that allowed where it said nothing, and where it could not be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_allowed_by_saying_nothing_or_something_unknown() {
    for grants in ["", "grants = {}", "grants = { send = [], call = [] }"] {
        let mesh = Mesh::start(&topology(grants)).await;
        assert_eq!(reached(&mesh, json!([{ "send": "other" }, { "call": "other" }])).await, ["Denied", "Denied"]);
        mesh.stop().await;
    }
    let folder = tempfile::tempdir().unwrap();
    for (grants, part) in [
        ("grants = { default = \"allow\" }", "unknown field"),
        ("grants = { send = \"*\" }", "expected a sequence"),
        ("grants = { send = [\"other*\"] }", "must be a whole segment"),
        ("grants = { everything = [\"**\"] }", "unknown field"),
        ("grant = { send = [\"**\"] }", "unknown field"),
    ] {
        let error = read(folder.path(), &topology(grants)).unwrap_err();
        assert!(error.at.is_some() && error.to_string().contains(part), "{grants}: {error}");
    }
    let unknown: Result<airssys_wasm::command::Decision, NoLine> =
        airssys_wasm::command::Decision::new(["**"], ["other*"]);
    assert!(unknown.is_err());
}

/// Several permissions of one operation, of which the last one alone was kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_several_grants_of_a_kind_counts_in_whichever_order() {
    for grants in ["[\"other\", \"third\"]", "[\"third\", \"other\"]", "[\"nobody-*/x\"]"] {
        let mesh = Mesh::try_start(&topology(&format!("grants = {{ send = {grants} }}")), Runtime::builder()).await;
        if grants.contains('*') {
            assert!(mesh.is_err(), "a star within a segment is no pattern");
            continue;
        }
        let mesh = mesh.unwrap();
        let both = json!([{ "send": "other" }, { "send": "third" }, { "send": "a" }, { "send": "gone" }]);
        assert_eq!(reached(&mesh, both).await, ["ok", "ok", "ok", "Denied"], "{grants}");
        mesh.stop().await;
    }
}

/// A pattern that matched by the end of the text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_ends_like_another_one_is_not_below_it() {
    let server = Server::start().await;
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let builder = Runtime::builder().resolver(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async { Ok(vec!["127.0.0.1".parse().unwrap()]) }
    });
    let grants = format!("grants = {{ http = [\"GET http://*.example.com:{}/**\"] }}", server.port);
    let mesh = Mesh::try_start(&topology(&grants), builder).await.unwrap();
    let denials = Denials::of(&mesh);
    let evil = ["evilexample.com", "example.com", "a.b.example.com", "example.com.evil.org", "a.example.com@evil.org"];
    for host in evil {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(reached(&mesh, json!([{ "get": url }])).await, ["HttpRequestDenied"], "{host}");
    }
    assert_eq!((server.connections(), asked.load(std::sync::atomic::Ordering::SeqCst)), (0, 0), "nobody was asked");
    // One that is below it is looked up; where it leads is another question.
    let url = format!("http://a.example.com:{}/", server.port);
    assert_eq!(reached(&mesh, json!([{ "get": url }])).await, ["DestinationIpProhibited"]);
    assert_eq!(denials.counted(&mesh).await.len(), evil.len() + 1);
    mesh.stop().await;
}

/// A validator that nobody asked, and a switch of the logger that turned it off.
#[test]
fn whatever_is_logged_what_is_not_granted_is_denied() {
    for level in ["off", "error", "trace"] {
        let desk = Desk::with(&topology("grants = { send = [\"other\"] }"));
        let lines = "{\"do\":[{\"send\":\"other\"},{\"send\":\"third\"},{\"call\":\"other\"}]}\n";
        desk.write("lines", lines);
        let told = desk.run(&["run", "--input", "a=lines", "--log", level]).well().stdout;
        assert!(told.contains("[\"ok\",\"Denied\",\"Denied\"]"), "{level}: {told}");
    }
}
