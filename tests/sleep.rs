//! Keyed services: an actor a key, few of them awake, nothing forgotten.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_wasm::hint::Coded;
use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::CallError;
use prober_protocol::{Command, Trap};
use serde_json::json;

const KEYS: usize = 10_000;

fn topology(keyed: &str) -> String {
    format!(
        "name = \"sleep\"\n[root]\nintensity = 10\n[[service]]\nname = \"carts\"\nrelease = \"@prober\"\nkeyed = {keyed}\n[[service]]\nname = \"buyer\"\nrelease = \"@prober\"\n[service.grants]\nsend = [\"carts/*\"]\ncall = [\"carts/*\"]\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_keys_with_a_hundred_awake_answer_in_order_with_their_state() {
    let mesh = Mesh::start(&topology("{ max_awake = 100, idle_timeout = \"10s\" }")).await;
    for round in 0..2 {
        for key in 0..KEYS {
            for item in 0..2 {
                mesh.tell(&format!("carts/{key}"), &Command::Record(json!(round * 2 + item))).await.unwrap();
            }
        }
    }
    assert!(mesh.runtime.instances().0 <= 101, "{:?}", mesh.runtime.instances());
    for key in 0..KEYS {
        let cart = mesh.ok(&format!("carts/{key}"), &Command::Get("record".into())).await;
        assert_eq!(cart, json!([0, 1, 2, 3]), "key {key}");
    }
    assert!(mesh.runtime.instances().0 <= 101, "{:?}", mesh.runtime.instances());
    assert_eq!(mesh.status("carts").keys, KEYS);
    assert_eq!(mesh.dead(), Vec::<&str>::new());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_actor_goes_and_its_address_mailbox_and_state_stay() {
    let mesh = Mesh::start(&topology("{ idle_timeout = \"20ms\" }")).await;
    mesh.ok("carts/alice", &Command::Set { key: "apples".into(), value: json!(3) }).await;
    assert_eq!(mesh.ok("carts/alice", &Command::Count).await, json!(2), "the same instance");
    mesh.until("alice sleeps", |mesh| mesh.runtime.instances().0 == 1).await;
    assert_eq!(
        mesh.ok("carts/alice", &Command::Do(vec![Command::Count, Command::Get("apples".into())])).await,
        json!([{ "ok": 1 }, { "ok": 3 }])
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_does_not_start_says_how_its_start_ended() {
    for (config, code, says) in
        [("fault", "start", "init failed: unavailable: told to fail at init"), ("panic", "trap", "trap: ")]
    {
        let topology = topology(&format!("{{}}\nconfig = {{ init = {config:?} }}"));
        let mesh = Mesh::start(&topology).await;
        match mesh.ask("carts/alice", &Command::Count).await {
            Err(CallError::Crashed(crash)) => {
                assert_eq!(crash.code(), code, "{crash}");
                assert!(crash.to_string().starts_with(says), "{crash}");
            }
            other => panic!("{other:?}"),
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_crashes_takes_neither_its_state_nor_the_others() {
    let mesh = Mesh::start(&topology("{ max_awake = 4 }")).await;
    mesh.ok("carts/alice", &Command::Record(json!("a"))).await;
    mesh.ok("carts/bob", &Command::Record(json!("b"))).await;
    let crashed = mesh.ask("carts/alice", &Command::Trap(Trap::Panic)).await;
    assert!(crashed.is_err(), "{crashed:?}");
    assert_eq!(mesh.ok("carts/alice", &Command::Record(json!("again"))).await, json!(2));
    assert_eq!(
        mesh.ok("carts/bob", &Command::Do(vec![Command::Count, Command::Get("record".into())])).await,
        json!([{ "ok": 2 }, { "ok": ["b"] }])
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_part_of_the_address_and_of_the_grant() {
    let mesh = Mesh::start(&topology("{}")).await;
    let call = |to: &str| Command::Call { to: to.into(), key: None, body: Command::Whoami.value(), timeout_ms: 5_000 };
    let seen = mesh.ok("buyer", &call("carts/alice")).await;
    assert_eq!((&seen["ok"]["address"], &seen["ok"]["key"]), (&json!("carts/alice"), &json!("alice")));
    assert_eq!(mesh.refused("buyer", &call("carts/a/b")).await, "not-sent/denied", "`carts/*` is one segment");
    let without_key = mesh.runtime.call("carts", "", Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(without_key.code(), "no-such-service");
    assert!(without_key.to_string().contains("service/key"), "{without_key}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_on_keys_is_a_bound() {
    let mesh = Mesh::start(&topology("{ max_keys = 2 }")).await;
    for key in ["a", "b", "a"] {
        mesh.ok(&format!("carts/{key}"), &Command::Echo(json!(1))).await;
    }
    let third = mesh.runtime.call("carts/c", "", PATIENCE).await.unwrap_err();
    assert_eq!(third.code(), "overloaded");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_crashes_too_often_is_set_aside_alone_and_the_root_stands() {
    let mesh = Mesh::start(&topology("{}").replace("intensity = 10\n", "intensity = 0\n")).await;
    assert_eq!(mesh.ok("carts/alice", &Command::Count).await, json!(1));
    for _ in 0..300 {
        mesh.tell("carts/mallory", &Command::Trap(Trap::Panic)).await.unwrap();
    }
    mesh.until("mallory is set aside", |mesh| mesh.status("carts").set_aside == 1).await;
    assert_eq!(mesh.ok("carts/alice", &Command::Count).await, json!(2), "the instance from before, with its memory");
    assert_eq!(mesh.ok("carts/bob", &Command::Count).await, json!(1));
    let status = mesh.status("carts");
    assert!((11..300).contains(&status.crashed), "{status:?}");
    assert!(status.queued > 0, "what is sent to it waits: {status:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_a_key_whose_supervisor_is_about_to_be_started_again_waits_for_that() {
    let group = "[root]\nstrategy = \"one-for-all\"\nbackoff = { initial = \"300ms\" }";
    let mesh = Mesh::start(&topology("{}").replace("[root]", group)).await;
    mesh.ok("carts/alice", &Command::Record(json!("a"))).await;
    mesh.ask("buyer", &Command::Trap(Trap::Panic)).await.unwrap_err();
    mesh.until("all of the group is down", |mesh| mesh.runtime.instances().0 == 0).await;
    assert_eq!(mesh.ok("carts/alice", &Command::Record(json!("b"))).await, json!(2));
    assert_eq!(mesh.ok("carts/bob", &Command::Count).await, json!(1));
    assert_eq!(mesh.dead(), ["crashed"], "the one that the buyer crashed over");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_set_aside_comes_back_with_its_state_and_its_messages() {
    let rules = "{ intensity = 1, backoff = { initial = \"10ms\", max = \"40ms\" } }";
    let mesh = Mesh::start(&topology(rules)).await;
    mesh.ok("carts/mallory", &Command::Record(json!("before"))).await;
    for _ in 0..6 {
        mesh.tell("carts/mallory", &Command::Trap(Trap::Panic)).await.unwrap();
    }
    mesh.ok("carts/mallory", &Command::Record(json!("after"))).await;
    assert_eq!(mesh.ok("carts/mallory", &Command::Get("record".into())).await, json!(["before", "after"]));
    let status = mesh.status("carts");
    assert_eq!((status.crashed, status.set_aside), (6, 0));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_set_aside_take_nobodys_place() {
    let mesh =
        Mesh::start(&topology("{ max_awake = 2, intensity = 0, backoff = { initial = \"1h\", max = \"1h\" } }")).await;
    for key in 0..4 {
        mesh.tell(&format!("carts/{key}"), &Command::Trap(Trap::Panic)).await.unwrap();
    }
    mesh.until("all are set aside", |mesh| mesh.status("carts").set_aside == 4).await;
    for key in ["alice", "bob", "carol"] {
        assert_eq!(mesh.ok(&format!("carts/{key}"), &Command::Count).await, json!(1));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_nothing_to_remember_is_forgotten_when_it_sleeps() {
    let mesh = Mesh::start(&topology("{ max_keys = 100, idle_timeout = \"200ms\" }")).await;
    for key in 0..100 {
        mesh.ok(&format!("carts/{key}"), &Command::Count).await;
    }
    mesh.until("all are forgotten", |mesh| mesh.status("carts").keys == 0).await;
    assert_eq!(mesh.ok("carts/100", &Command::Count).await, json!(1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_keys_that_are_used_once_fit_into_a_few() {
    const MOST: usize = 200;
    let mesh = Mesh::start(&topology("{ max_awake = 20, max_keys = 200, idle_timeout = \"10s\" }")).await;
    for key in 0..3_000 {
        assert_eq!(mesh.ok(&format!("carts/{key}"), &Command::Count).await, json!(1));
        assert!(mesh.status("carts").keys <= MOST);
    }
    assert_eq!(mesh.dead(), Vec::<&str>::new());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_a_state_a_timer_or_a_subscription_is_kept() {
    let mesh = Mesh::start(
        &topology("{ idle_timeout = \"20ms\" }").replace("keyed =", "grants = { subscribe = [\"offers\"] }\nkeyed ="),
    )
    .await;
    let an_hour = 3_600_000;
    mesh.ok("carts/state", &Command::Set { key: "apples".into(), value: json!(3) }).await;
    mesh.ok("carts/timer", &Command::SendAfter { delay_ms: an_hour, body: Command::Count.value() }).await;
    mesh.ok("carts/topic", &Command::Subscribe("offers".into())).await;
    mesh.ok("carts/nothing", &Command::Count).await;
    mesh.until("the one that has nothing is forgotten", |mesh| mesh.status("carts").keys == 3).await;
    mesh.until("all sleep", |mesh| mesh.runtime.instances().0 == 1).await;
    // As many sweeps as it takes another key to come and go.
    mesh.ok("carts/nothing", &Command::Count).await;
    mesh.until("it is forgotten again", |mesh| mesh.status("carts").keys == 3).await;
    assert_eq!(mesh.ok("carts/state", &Command::Get("apples".into())).await, json!(3));
    // A state that is emptied is nothing to remember.
    mesh.ok("carts/state", &Command::Delete("apples".into())).await;
    mesh.until("the empty one is forgotten too", |mesh| mesh.status("carts").keys == 2).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_pool_that_never_write_leave_no_states_behind() {
    let pool = topology("{}").replace("keyed = {}", "instances = 2\npartitioned = true");
    let mesh = Mesh::start(&pool).await;
    let key = |key: usize| format!("carts/{key}");
    mesh.ok(&key(0), &Command::Set { key: "apples".into(), value: json!(3) }).await;
    for at in 1..3_000 {
        mesh.ok(&key(at), &Command::Get("apples".into())).await;
    }
    let states = mesh.runtime.state("carts").len();
    assert!(states <= 600, "{states} of 3,000 keys");
    assert_eq!(mesh.ok(&key(0), &Command::Get("apples".into())).await, json!(3));
    mesh.stop().await;
}
