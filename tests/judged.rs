//! An organisation may refuse a change to a mesh before anything of it is done: a start, an apply, a deployment. What
//! it says is told, all of it; where it cannot say, nothing is done either.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::sync::{Arc, Mutex};

use airssys_tests::{Mesh, guest, with_guests};
use airssys_wasm::deploy::{DeployError, DeployOptions};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{ApplyError, Objection, Proposal, Runtime, RuntimeBuilder, RuntimeError};
use prober_protocol::Command;
use serde_json::{Value, json};

/// What the judge was asked.
type Asked = Arc<Mutex<Vec<Proposal>>>;

/// A judge that lets a start be, and says this of all else.
fn judge(says: Result<Vec<Objection>, String>) -> (RuntimeBuilder, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let builder = Runtime::builder().judge(move |proposal| {
        seen.lock().unwrap().push(proposal.clone());
        if proposal.operation == "start" { Ok(Vec::new()) } else { says.clone() }
    });
    (builder, asked)
}

fn topology(more: &str) -> String {
    format!(
        "name = \"m\"\n[[supervisor]]\nname = \"s\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nsupervisor = \"s\"\n\
         config = {{ token = {{ value = \"hide-and-seek\", secret = true }} }}\n{more}"
    )
}

fn read(mesh: &Mesh, more: &str) -> Topology {
    let file = mesh.folder.path().join("airssys.toml");
    fs::write(&file, with_guests(&topology(more))).unwrap();
    Topology::read(&file).unwrap()
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = std::time::Duration::ZERO;
    options
}

fn next() -> Release {
    let mut release = Release::find(&guest("prober")).unwrap();
    release.manifest.version = "9.0.0".parse().unwrap();
    release
}

const MORE: &str = "grants = { send = [\"b\"] }\n[[service]]\nname = \"b\"\nrelease = \"@prober\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_objected_to_is_not_done_and_each_message_is_told() {
    let objections =
        vec![Objection::new("nobody sends here", "house.sends"), Objection::new("no more services", "house.many")];
    let (builder, asked) = judge(Ok(objections));
    let mesh = Mesh::try_start(&topology(""), builder).await.unwrap();
    let changed = read(&mesh, MORE);
    let plan = mesh.runtime.plan_apply(&changed, options()).await.unwrap();
    let told: Vec<_> = plan.refusals.iter().map(|refusal| (refusal.code.as_str(), refusal.message.as_str())).collect();
    let expected = [("policy", "nobody sends here (house.sends)"), ("policy", "no more services (house.many)")];
    assert_eq!(told, expected);
    let before = mesh.runtime.in_force().to_text().unwrap();
    let refused = mesh.runtime.apply(changed, options()).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Refused { refusals } if *refusals == plan.refusals), "{refused:?}");
    assert_eq!(refused.to_string(), "nobody sends here (house.sends)\nno more services (house.many)");
    // A deployment and a grant are changes as well.
    let refused = mesh.runtime.deploy("a", next(), options()).await.err().unwrap();
    assert!(matches!(refused, DeployError::Policy { .. }) && refused.code() == "policy", "{refused:?}");
    assert_eq!(refused.to_string(), "nobody sends here (house.sends)\nno more services (house.many)");
    let plan = mesh.runtime.plan("a", next(), options()).await.unwrap();
    assert_eq!(plan.refusals.iter().filter(|refusal| refusal.code == "policy").count(), 2, "{plan:?}");
    let refused = mesh.runtime.deploy_set(vec![("a".to_owned(), next())], options()).await.err().unwrap();
    assert_eq!(refused.code(), "policy");
    assert!(mesh.runtime.grant("a", ("send", "a"), options()).await.is_err());
    // And nothing of it was done.
    assert_eq!(mesh.runtime.in_force().to_text().unwrap(), before);
    assert!(mesh.runtime.deployment("a").is_none());
    assert_eq!(mesh.status("a").started, 1);
    mesh.ok("a", &Command::Count).await;
    let operations: Vec<&str> = asked.lock().unwrap().iter().map(|proposal| proposal.operation).collect();
    assert_eq!(operations, ["start", "apply", "apply", "deploy", "deploy", "deploy", "apply"]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_judges_sees_the_topology_as_it_would_be_and_no_secret() {
    let (builder, asked) = judge(Ok(Vec::new()));
    let mesh = Mesh::try_start(&topology(""), builder).await.unwrap();
    let by = airssys_wasm::command::acting_for("uid 7", mesh.runtime.apply(read(&mesh, MORE), options())).await;
    assert!(by.is_ok(), "{by:?}");
    mesh.runtime.deploy("a", next(), options()).await.unwrap().ended().await;
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let [start, apply, deploy] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((start.operation, start.by.as_str(), &start.plan), ("start", "program", &Value::Null));
    assert_eq!((apply.operation, apply.by.as_str()), ("apply", "uid 7"));
    let service = |proposal: &Proposal, name: &str| -> Value {
        let all = proposal.topology["services"].as_array().unwrap();
        all.iter().find(|service| service["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(service(start, "b"), Value::Null);
    let a = service(apply, "a");
    assert_eq!(
        (&a["grants"]["send"], &a["supervisor"], &a["config"]["token"]),
        (&json!(["b"]), &json!("s"), &json!("(secret)"))
    );
    assert_eq!(a["served_by"]["requests"]["send"], json!(["**"]));
    assert_eq!(a["limits"]["memory"], service(apply, "b")["limits"]["memory"]);
    assert_eq!(apply.topology["supervisors"][0]["name"], "s");
    let differences = apply.plan["differences"].as_array().unwrap();
    assert!(differences.iter().any(|found| found["name"] == "b" && found["fate"] == "added"), "{differences:?}");
    assert_eq!((&deploy.plan["service"], &deploy.plan["to"]["version"]), (&json!("a"), &json!("9.0.0")));
    assert_eq!(service(deploy, "a")["served_by"]["version"], "9.0.0");
    assert!(!format!("{asked:?}").contains("hide-and-seek"), "a secret is nobody's to read");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_say_refuses() {
    let (builder, _) = judge(Err("house.rego:7: no such function".to_owned()));
    let panics = Runtime::builder().judge(|proposal| match proposal.operation {
        "start" => Ok(Vec::new()),
        other => panic!("of {other} nobody knows"),
    });
    for (builder, why) in [(builder, "house.rego:7: no such function"), (panics, "it panicked")] {
        let mesh = Mesh::try_start(&topology(""), builder).await.unwrap();
        let refused = mesh.runtime.apply(read(&mesh, MORE), options()).await.unwrap_err();
        assert!(refused.to_string().starts_with("the policy cannot say whether this may be done"), "{refused}");
        assert!(refused.to_string().contains(why) && refused.hint().is_some(), "{refused}");
        assert!(mesh.runtime.deploy("a", next(), options()).await.is_err());
        assert_eq!(mesh.status("a").started, 1);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_is_judged_and_on_record() {
    let builder =
        |says: &'static str| Runtime::builder().judge(move |_| Ok(vec![Objection::new(says, "house.starts")]));
    let error = Mesh::try_start(&topology(""), builder("not today")).await.err().unwrap();
    let error = error.downcast_ref::<RuntimeError>().unwrap();
    assert!(matches!(error, RuntimeError::Policy { said } if said == "not today (house.starts)"), "{error:?}");
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("airssys.toml");
    fs::write(&file, with_guests(&topology(""))).unwrap();
    let topology = Topology::read(&file).unwrap();
    assert!(builder("not today").data_folder(data.path()).start(&topology).await.is_err());
    let audit: String = fs::read_dir(data.path().join("audit"))
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    assert!(audit.contains("\"refused\"") && audit.contains("not today (house.starts)"), "{audit}");
    // Nothing keeps it from a start that nobody objects to.
    let mesh = Runtime::builder().data_folder(data.path()).start(&topology).await.unwrap();
    mesh.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_is_a_few_lines() {
    let house = Runtime::builder().judge(|proposal| {
        let services = proposal.topology["services"].as_array().map_or(0, Vec::len);
        let objection = || Objection::new(format!("{services} services are too many"), "house.services");
        Ok((services > 1).then(objection).into_iter().collect())
    });
    let mesh = Mesh::try_start(&topology(""), house).await.unwrap();
    let refused = mesh.runtime.apply(read(&mesh, MORE), options()).await.unwrap_err();
    assert_eq!(refused.to_string(), "2 services are too many (house.services)");
    mesh.stop().await;
}
