//! Where a mesh is run to learn the grants for it, nothing is denied, and what comes out is enough and none too much.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::net::TcpListener;

use airssys_tests::{Mesh, log};
use airssys_wasm::Runtime;
use airssys_wasm::command::{Learned, Unused};
use airssys_wasm::deploy::DeployOptions;
use prober_protocol::{Command, Outcome};
use serde_json::json;

use crate::http_out::servers::Server;

fn send(to: &str) -> Command {
    Command::Send { to: to.into(), key: None, body: Command::Count.value() }
}

fn call(to: &str) -> Command {
    Command::Call { to: to.into(), key: None, body: Command::Count.value(), timeout_ms: 10_000 }
}

fn publish(topic: &str) -> Command {
    Command::Publish { topic: topic.into(), body: Command::Count.value() }
}

/// A topology in which each service is granted this.
fn topology(grants: &BTreeMap<&str, String>) -> String {
    let of = |name: &str| grants.get(name).cloned().unwrap_or_default();
    format!(
        r#"
        name = "m"
        [[service]]
        name = "learner"
        release = "@prober"
        {}
        [[service]]
        name = "fetcher"
        release = "@fetcher"
        {}
        [[service]]
        name = "overseer"
        release = "@overseer"
        {}
        [[service]]
        name = "worker"
        release = "@prober"
        spawned = {{}}
        [[service]]
        name = "b"
        release = "@prober"
        [[service]]
        name = "carts"
        release = "@prober"
        keyed = {{}}
        [[service]]
        name = "held"
        release = "@prober"
        learn = false
        "#,
        of("learner"),
        of("fetcher"),
        of("overseer"),
    )
}

/// What is done there, each by itself: by whom, and whether it was let to.
struct Deeds {
    of_prober: Vec<Command>,
    url: String,
}

impl Deeds {
    async fn denied(&self, mesh: &Mesh) -> usize {
        let mut denied = 0;
        for command in &self.of_prober {
            match mesh.ask("learner", command).await.unwrap() {
                Outcome::Ok(_) => {}
                Outcome::Err(refusal) => {
                    assert!(refusal.name.contains("denied"), "{command:?}: {refusal:?}");
                    denied += 1;
                }
            }
        }
        let ask = serde_json::to_vec(&json!({ "url": self.url })).unwrap();
        let answer = mesh.runtime.call("fetcher", ask, airssys_tests::PATIENCE).await.unwrap().unwrap();
        denied += usize::from(String::from_utf8_lossy(&answer).contains("HttpRequestDenied"));
        let spawn = Command::Spawn { service: "worker".into(), name: "one".into() };
        let spawned = mesh.ask("overseer", &spawn).await.unwrap();
        denied + usize::from(matches!(spawned, Outcome::Err(refusal) if refusal.name == "denied"))
    }
}

fn of<'a>(all: &'a [Learned], service: &str) -> &'a Learned {
    all.iter().find(|one| one.service == service).unwrap_or_else(|| panic!("nothing of {service} in {all:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_learned_is_enough_and_nothing_of_it_is_too_much() {
    log::listen();
    let (server, listener) = (Server::start().await, TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let named = TcpListener::bind("127.0.0.2:0").unwrap();
    let by_name = named.local_addr().unwrap().to_string();
    let grant_by_name = format!("db.test:{} loopback", named.local_addr().unwrap().port());
    let resolver = async |name: String| match &*name {
        "db.test" => Ok(vec!["127.0.0.2".parse().unwrap()]),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let deeds = Deeds {
        of_prober: vec![
            send("b"),
            call("b"),
            publish("news/today"),
            Command::Subscribe("news/*".into()),
            Command::Connect(address.clone()),
            Command::Resolve("db.test".into()),
            Command::Connect(by_name.clone()),
        ],
        url: server.url("/v1/things?secret=1"),
    };
    let before = BTreeMap::from([("learner", "grants = { send = [\"**\"], publish = [\"never\"] }".to_owned())]);
    let mesh = Mesh::try_start(&topology(&before), Runtime::builder().learn().resolver(resolver)).await.unwrap();
    assert_eq!(deeds.denied(&mesh).await, 0);
    for key in 0..9 {
        mesh.ok("learner", &send(&format!("carts/{key}"))).await;
    }
    // Who must never be let is not.
    assert_eq!(mesh.refused("held", &send("b")).await, "denied");
    let learned = mesh.runtime.learned().unwrap();
    assert!(learned.iter().all(|one| one.service != "held"));
    let told = of(&learned, "learner");
    for part in [
        "send = [\"b\", \"carts/*\"]",
        "call = [\"b\"]",
        "publish = [\"news/today\"]",
        "subscribe = [\"news/*\"]",
        &format!("sockets = [{address:?}, {grant_by_name:?}]"),
    ] {
        assert!(told.line.contains(part), "no {part} in {}", told.line);
    }
    assert!(!told.line.contains("never"), "what nobody used goes: {}", told.line);
    assert_eq!((told.grants, told.operations), (7, 15));
    for let_through in ["call b", "publish news/today", "subscribe news/*"] {
        assert!(told.let_through.iter().any(|one| one == let_through), "{:?}", told.let_through);
    }
    assert!(!told.let_through.iter().any(|one| one.starts_with("send")), "that was granted: {:?}", told.let_through);
    let fetcher = of(&learned, "fetcher");
    assert!(
        fetcher.line.contains(&format!("http = [\"GET http://127.0.0.1:{}/v1/things\"]", server.port)),
        "{}",
        fetcher.line
    );
    assert!(of(&learned, "overseer").line.contains("spawn = [\"worker/one\"]"), "{learned:?}");
    let loud = log::of("airssys::audit", "learner");
    let is_said =
        |what: &str| loud.iter().filter(|(level, one)| level == "WARN" && one["message"] == json!(what)).count();
    assert_eq!(is_said("let through"), told.let_through.len(), "{loud:?}");
    assert_eq!(is_said("denied"), 0);
    mesh.stop().await;

    // The very same, under what was learned and with nobody counting.
    let lines: BTreeMap<&str, String> =
        ["learner", "fetcher", "overseer"].map(|name| (name, of(&learned, name).line.clone())).into();
    let mesh = Mesh::try_start(&topology(&lines), Runtime::builder().resolver(resolver)).await.unwrap();
    assert_eq!(deeds.denied(&mesh).await, 0, "{lines:?}");
    assert!(mesh.runtime.learned().is_none());
    // And each of them is needed.
    for (service, key, grant) in [
        ("learner", "send", "b"),
        ("learner", "call", "b"),
        ("learner", "publish", "news/today"),
        ("learner", "subscribe", "news/*"),
        ("learner", "sockets", address.as_str()),
        ("learner", "sockets", grant_by_name.as_str()),
        ("fetcher", "http", &format!("GET http://127.0.0.1:{}/v1/things", server.port)),
    ] {
        mesh.runtime.revoke(service, key, grant).await.unwrap();
        // By a name, somebody looks it up first.
        let times = if grant == grant_by_name { 2 } else { 1 };
        assert_eq!(deeds.denied(&mesh).await, times, "{key} {grant}");
        // Variables and sockets come and go with the instance.
        assert!(mesh.runtime.grant(service, (key, grant), DeployOptions::default()).await.unwrap().is_some());
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_nobody_used_is_named_until_somebody_does() {
    let mesh = Mesh::start(
        "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n\
         grants = { send = [\"**\", \"b\"], call = [\"b\"], environment = { GREETING = \"hello\" }, http = [\"GET http://a/\"] }\n\
         [[service]]\nname = \"b\"\nrelease = \"@prober\"\n",
    )
    .await;
    let unused = || -> Vec<String> {
        let all = mesh.runtime.unused().into_iter();
        all.map(|Unused { service, key, grant }| format!("{service} {key} {grant}")).collect()
    };
    assert_eq!(unused(), ["a send **", "a send b", "a call b", "a environment GREETING", "a http GET http://a/"]);
    mesh.ok("a", &send("b")).await;
    mesh.ok("a", &Command::Env("GREETING".into())).await;
    // The narrower one let it through: the other one is not needed for it.
    assert_eq!(unused(), ["a send **", "a call b", "a http GET http://a/"]);
    // A refusal is no use, and neither is a question.
    assert!(mesh.runtime.why("a", "call", "b").unwrap().allowed);
    mesh.refused("a", &call("c")).await;
    assert_eq!(unused().len(), 3);
    // It stays so under an apply that leaves it alone.
    let given = mesh.runtime.grant("a", ("publish", "t"), DeployOptions::default()).await.unwrap();
    assert!(given.is_some());
    mesh.ok("a", &call("b")).await;
    assert_eq!(unused(), ["a send **", "a publish t", "a http GET http://a/"]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_used_stays_and_one_that_is_not_goes() {
    let disk = tempfile::tempdir().unwrap();
    std::fs::write(disk.path().join("told"), "what is there").unwrap();
    let host = disk.path().to_str().unwrap();
    let topology = format!(
        "name = \"m\"\n[[service]]\nname = \"reader\"\nrelease = \"@prober\"\n\
         [service.grants.files]\n\"/in\" = {{ host = {host:?}, access = \"read\" }}\n\
         [[service]]\nname = \"other\"\nrelease = \"@prober\"\n\
         [service.grants.files]\n\"/in\" = {{ host = {host:?}, access = \"read\" }}\n",
    );
    let mesh = Mesh::try_start(&topology, Runtime::builder().learn()).await.unwrap();
    mesh.ok("reader", &Command::ReadFile("/in/told".into())).await;
    mesh.ok("other", &Command::Count).await;
    let learned = mesh.runtime.learned().unwrap();
    assert!(of(&learned, "reader").line.contains("\"/in\""), "{learned:?}");
    assert!(!learned.iter().any(|one| one.service == "other" && one.line.contains("\"/in\"")), "{learned:?}");
    mesh.stop().await;
}
