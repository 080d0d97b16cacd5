//! Wires whose other end is there and cannot answer: it is suspended, or its mailbox is full.

use std::time::Duration;

use airssys_tests::damaged::suspend;
use airssys_tests::{Mesh, PATIENCE, keeping};
use airssys_wasm::InvokeError;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::hint::Coded;
use prober_protocol::Command;

use super::{invoke, result, wired};

/// A mesh with a service whose state is damaged, of this actor. So it is suspended until somebody decides.
async fn suspended(topology: &str, service: &str, actors: &[&str], damaged: &str) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    suspend(&folder.path().join("data"), service, actors, damaged);
    let builder = keeping(folder.path());
    let mesh = Mesh::start_in(folder, topology, &[], builder).await;
    assert!(mesh.status(service).suspended);
    mesh
}

/// Prices that are suspended, behind a mailbox for one message; and a till with this wire and so much time.
async fn shut(wire: &str, turn_deadline: &str) -> Mesh {
    let topology = format!(
        "name = \"m\"\n[root]\nintensity = 100\n\
         [[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\nstate = \"durable\"\n\
         mailbox = {{ capacity = 1, overflow = \"refuse\" }}\n\
         [[service]]\nname = \"till\"\nrelease = \"@till\"\nlimits = {{ turn_deadline = {turn_deadline:?} }}\n\
         wires = {{ \"acme:shop/pricing\" = {wire} }}\n"
    );
    suspended(&topology, "pricing", &[""], "").await
}

/// Somebody has decided: it begins anew, and has what waits for it.
async fn resume(mesh: &Mesh, service: &str, key: Option<&str>) {
    let _forgotten = mesh.runtime.forget(service, key, PATIENCE).await.unwrap();
    mesh.until("nothing waits there", |mesh| mesh.status(service).queued == 0).await;
}

async fn crash(mesh: &Mesh, call: &str) -> Crash {
    match invoke(&mesh.runtime, call).await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => crash,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_is_suspended_is_told_by_its_name_and_goes_on_where_it_stopped() {
    let topology = "name = \"m\"\n[[service]]\nname = \"ledger\"\nrelease = \"@ledger\"\nkeyed = {}\nstate = \"durable\"\n\
        [[service]]\nname = \"desk\"\nrelease = \"@desk\"\nlimits = { turn_deadline = \"200ms\" }\n\
        wires = { \"acme:books/ledger\" = { to = \"ledger\", key = \"customer\" } }\n";
    let mesh = suspended(topology, "ledger", &["alice", "bob"], "alice").await;
    let enter = async |customer: &str, number: u64| {
        let call = format!("enter({customer:?}, 7, {number})");
        mesh.runtime.invoke("desk", call.as_str(), PATIENCE).await.unwrap().unwrap()
    };
    assert_eq!(
        enter("alice", 1).await,
        "err(\"no answer within the deadline: ledger/alice is suspended, and what is sent to it waits\")"
    );
    assert_eq!(enter("bob", 1).await, "ok(1)");
    assert_eq!((mesh.status("desk").crashed, mesh.status("ledger").crashed), (0, 0));
    resume(&mesh, "ledger", Some("alice")).await;
    // Nobody waited for the first one any more: it is not carried out.
    assert_eq!(enter("alice", 1).await, "ok(1)");
    assert_eq!(enter("alice", 2).await, "ok(2)");
    assert_eq!(mesh.dead(), ["expired"]);
    mesh.stop().await;
}

#[tokio::test]
async fn a_service_that_is_suspended_is_told_where_no_value_says_so_and_not_where_one_does() {
    let mesh = shut("\"pricing\"", "200ms").await;
    let crash = crash(&mesh, "audit()").await;
    assert_eq!(crash.code(), "wire", "{crash}");
    assert_eq!(
        crash.to_string(),
        "its wire acme:shop/pricing@1.0.0#audit to pricing failed: no answer within the deadline: pricing is \
         suspended, and what is sent to it waits"
    );
    resume(&mesh, "pricing", None).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    mesh.stop().await;
    let mesh = shut("{ to = \"pricing\", on_failure = { value = { audit = \"7\" } } }", "200ms").await;
    assert_eq!(result(&mesh, "audit()").await, "7");
    assert_eq!((mesh.status("till").started, mesh.status("till").crashed), (1, 0));
    mesh.stop().await;
}

#[tokio::test]
async fn a_call_that_is_tried_again_waits_for_one_that_is_suspended() {
    let mesh = shut("{ to = \"pricing\", on_failure = \"retry\" }", "60s").await;
    let runtime = mesh.runtime.clone();
    let asked = tokio::spawn(async move { invoke(&runtime, "checkout(\"book\", 2)").await });
    mesh.until("it is asked", |mesh| mesh.status("pricing").queued == 1).await;
    resume(&mesh, "pricing", None).await;
    assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some("ok(2800)"));
    assert_eq!(mesh.status("pricing").handled, 1);
    mesh.stop().await;
}

/// Fills the mailbox of the prices.
async fn fill(mesh: &Mesh) {
    mesh.runtime.cast("pricing", "ping()").await.unwrap();
    mesh.until("it waits", |mesh| mesh.status("pricing").queued == 1).await;
}

#[tokio::test]
async fn a_mailbox_that_is_full_is_told_and_a_value_takes_its_place() {
    let mesh = shut("{ to = \"pricing\", on_failure = { value = { audit = \"7\" } } }", "60s").await;
    fill(&mesh).await;
    assert_eq!(result(&mesh, "audit()").await, "7");
    assert_eq!(result(&mesh, "inspect()").await, "err(\"the mailbox of pricing is full\")");
    let crash = crash(&mesh, "checkout(\"book\", 2)").await;
    let says = "its wire acme:shop/pricing@1.0.0#quote to pricing failed: the mailbox of pricing is full";
    assert_eq!((crash.code(), crash.to_string().as_str()), ("wire", says));
    assert_eq!((mesh.status("pricing").rejected, mesh.status("pricing").queued), (3, 1));
    resume(&mesh, "pricing", None).await;
    mesh.until("there is room", |mesh| mesh.status("pricing").handled == 1).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    mesh.stop().await;
}

#[tokio::test]
async fn a_call_that_is_tried_again_comes_in_when_there_is_room() {
    let mesh = shut("{ to = \"pricing\", on_failure = \"retry\" }", "60s").await;
    fill(&mesh).await;
    let runtime = mesh.runtime.clone();
    let asked = tokio::spawn(async move { invoke(&runtime, "checkout(\"book\", 2)").await });
    mesh.until("it was tried again", |mesh| mesh.status("pricing").rejected > 2).await;
    resume(&mesh, "pricing", None).await;
    assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some("ok(2800)"));
    // What was refused was not carried out.
    assert_eq!(mesh.status("pricing").handled, 2);
    mesh.stop().await;
}

#[tokio::test]
async fn a_call_that_finds_no_room_until_its_turn_has_no_time_left_is_told_so() {
    for overflow in ["refuse", "wait"] {
        let mesh = shut("{ to = \"pricing\", on_failure = \"retry\" }", "300ms").await;
        let edited = std::fs::read_to_string(mesh.folder.path().join("airssys.toml")).unwrap();
        let edited = airssys_tests::read(mesh.folder.path(), &edited.replace("\"refuse\"", &format!("{overflow:?}")));
        let _applied = mesh.runtime.apply(edited.unwrap(), airssys_tests::deploying::quick()).await.unwrap();
        fill(&mesh).await;
        let crash = crash(&mesh, "checkout(\"book\", 2)").await;
        let says = "its wire acme:shop/pricing@1.0.0#quote to pricing failed: the mailbox of pricing is full";
        assert_eq!((crash.code(), crash.to_string().as_str()), ("wire", says));
        assert!(overflow == "wait" || mesh.status("pricing").rejected > 1, "it was tried again");
        let told = result(&mesh, "inspect()").await;
        assert_eq!(told, "err(\"the mailbox of pricing is full\")");
        mesh.until("the till is back", |mesh| mesh.status("till").started == 2).await;
        resume(&mesh, "pricing", None).await;
        assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
        mesh.stop().await;
    }
}

/// Prices that are a child's, with this wire to it, and who has such children.
fn of_a_child(on_failure: &str) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 100\n\
         [[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\nspawned = {{}}\n\
         [[service]]\nname = \"overseer\"\nrelease = \"@overseer\"\ngrants = {{ spawn = [\"pricing/*\"] }}\n\
         [[service]]\nname = \"till\"\nrelease = \"@till\"\nlimits = {{ turn_deadline = \"60s\" }}\n\
         wires = {{ \"acme:shop/pricing\" = {{ to = \"pricing/a\", on_failure = {on_failure} }} }}\n"
    )
}

#[tokio::test]
async fn a_child_that_is_not_there_cannot_answer_as_long_as_it_is_not() {
    let spawn = Command::Spawn { service: "pricing".into(), name: "a".into() };
    let mesh = Mesh::start(&of_a_child("{ value = { audit = \"7\" } }")).await;
    assert_eq!(result(&mesh, "audit()").await, "7");
    let told = result(&mesh, "inspect()").await;
    assert_eq!(told, "err(\"no service \\\"pricing/a\\\": nobody has spawned it, or it is gone\")");
    mesh.ok("overseer", &spawn).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    mesh.stop().await;
    let mesh = Mesh::start(&of_a_child("\"retry\"")).await;
    let asked = invoke(&mesh.runtime, "checkout(\"book\", 2)");
    let (asked, spawned) = tokio::join!(biased; asked, mesh.ok("overseer", &spawn));
    assert_eq!((asked.unwrap().as_deref(), spawned), (Some("ok(2800)"), "pricing/a".into()));
    mesh.stop().await;
}

#[tokio::test]
async fn a_value_is_compared_with_the_functions_that_the_wire_carries() {
    let mesh = Mesh::start(&wired("functions = [\"audit\"], on_failure = { value = \"7\" }")).await;
    assert_eq!(result(&mesh, "audit()").await, "7");
    let told = result(&mesh, "inspect()").await;
    assert!(told.contains("till may not invoke pricing: its wire does not carry"), "{told}");
    mesh.stop().await;
}

/// What is left of the time when a call fails is enough to answer.
#[tokio::test]
async fn the_caller_has_time_left_when_it_is_told_that_the_other_end_was_too_late() {
    let mesh = shut("{ to = \"pricing\", on_failure = { value = { audit = \"7\" } } }", "200ms").await;
    let answered = mesh.runtime.invoke("till", "audit()", Duration::from_millis(200)).await;
    assert_eq!(answered.unwrap().as_deref(), Some("7"), "whoever waits as long as the turn may take is answered");
    mesh.stop().await;
}
