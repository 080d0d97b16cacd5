//! Grants that services have in common stand under a role, and are theirs as if each had them by itself.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;

use airssys_tests::{Mesh, keeping, read, told};
use airssys_wasm::command;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::hint::Coded;
use prober_protocol::Command;

/// Two services with one role, which includes another one.
const ROLES: &str = r#"
    name = "m"
    [[role]]
    name = "clerk"
    includes = ["reader"]
    grants = { send = ["goal"] }
    [[role]]
    name = "reader"
    grants = { call = ["goal"], publish = ["news/*"], environment = { GREETING = "hello" } }
    [[service]]
    name = "a"
    release = "@prober"
    roles = ["clerk"]
    grants = { subscribe = ["news/*"] }
    [[service]]
    name = "b"
    release = "@prober"
    roles = ["clerk"]
    [[service]]
    name = "goal"
    release = "@prober"
"#;

fn call() -> Command {
    Command::Call { to: "goal".into(), key: None, body: Command::Count.value(), timeout_ms: 10_000 }
}

fn send() -> Command {
    Command::Send { to: "goal".into(), key: None, body: Command::Count.value() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_what_its_roles_have_and_what_those_include() {
    let folder = tempfile::tempdir().unwrap();
    let topology = read(folder.path(), ROLES).unwrap();
    let runtime = Arc::new(keeping(folder.path()).start(&topology).await.unwrap());
    let mesh = Mesh { runtime, folder };
    for who in ["a", "b"] {
        mesh.ok(who, &call()).await;
        mesh.ok(who, &send()).await;
        mesh.ok(who, &Command::Publish { topic: "news/x".into(), body: Command::Count.value() }).await;
        assert_eq!(mesh.ok(who, &Command::Env("GREETING".into())).await, "hello");
    }
    mesh.ok("a", &Command::Subscribe("news/*".into())).await;
    assert_eq!(mesh.refused("b", &Command::Subscribe("news/*".into())).await, "denied");
    let by = |service: &str, key: &str| {
        let all = mesh.runtime.capabilities(service).unwrap().into_iter();
        all.filter(|one| one.key == key).flat_map(|one| one.by).collect::<Vec<_>>()
    };
    assert_eq!(by("a", "call"), ["goal (role clerk > reader)"]);
    assert_eq!(by("a", "send"), ["goal (role clerk)"]);
    assert_eq!(by("a", "subscribe"), ["news/*"]);
    assert_eq!(by("a", "environment"), ["GREETING (role clerk > reader)"]);

    // Taken away from one, it stays with the other; all else that the roles gave stays with both.
    assert!(mesh.runtime.revoke("a", "call", "goal").await.unwrap());
    assert_eq!(mesh.refused("a", &call()).await, "not-sent/denied");
    mesh.ok("a", &send()).await;
    mesh.ok("b", &call()).await;
    let file = mesh.folder.path().join("airssys.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    let folder = mesh.stop().await;
    let found = command::in_force(&folder.path().join("data")).unwrap().unwrap();
    let runtime = Arc::new(keeping(folder.path()).start(&found.topology).await.unwrap());
    let mesh = Mesh { runtime, folder };
    assert_eq!(mesh.refused("a", &call()).await, "not-sent/denied", "also at the next start");
    mesh.ok("a", &send()).await;
    mesh.ok("b", &call()).await;

    // An apply changes a role for all who have it, in place, and says what that means for each.
    let edited = written.replace("call = [\"goal\"], ", "");
    let edited = read(mesh.folder.path(), &edited).unwrap();
    let applied = mesh.runtime.apply(edited, DeployOptions::default()).await.unwrap();
    let of_b = applied.plan.differences.iter().find(|found| found.name == "b").unwrap();
    assert!(of_b.settings.iter().any(|key| key.key == "grants.call" && key.from == "goal"), "{of_b:?}");
    assert_eq!(mesh.refused("b", &call()).await, "not-sent/denied");
    mesh.ok("b", &send()).await;
    assert_eq!(by_roles(&mesh, "a"), ["goal (role clerk)"], "the file gave the role back");
    mesh.stop().await;
}

fn by_roles(mesh: &Mesh, service: &str) -> Vec<String> {
    let all = mesh.runtime.capabilities(service).unwrap().into_iter();
    all.filter(|one| one.key == "send").flat_map(|one| one.by).collect()
}

#[test]
fn what_is_wrong_with_roles_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, parts) in [
        ("grants = { call", "includes = [\"clerk\"]\n grants = { call", "the roles clerk -> reader -> clerk include"),
        ("includes = [\"reader\"]", "includes = [\"clerk\"]", "the roles clerk -> clerk include"),
        ("includes = [\"reader\"]", "includes = [\"raeder\"]", "there is no role \"raeder\"; hint: add a [[role]]"),
        ("roles = [\"clerk\"]", "roles = [\"clrek\"]", "or name one of: clerk, reader"),
        ("name = \"reader\"", "name = \"clerk\"", "there is a role \"clerk\" already"),
        ("send = [\"goal\"]", "send = [\"gaol\"]", "there is no service \"gaol\""),
        ("send = [\"goal\"]", "sned = [\"goal\"]", "unknown field"),
        (
            "grants = { subscribe = [\"news/*\"] }",
            "grants = { environment = { GREETING = \"ho\" } }",
            "\"a\" is granted the variable \"GREETING\" with one value, which role \"reader\" grants another way",
        ),
    ] {
        let error = read(folder.path(), &ROLES.replacen(from, to, 1)).unwrap_err();
        assert!(error.at.is_some(), "{error}");
        assert!(told!(&error).contains(parts), "no {parts:?} in {}", told!(&error));
    }
}
