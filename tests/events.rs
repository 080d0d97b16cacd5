//! What happens in a mesh is told to whoever asks: each kind of event, in order, and how many were lost. Nobody waits
//! for a reader.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::deploying::{Deploying, Load, TOPOLOGY, quick};
use airssys_tests::{Mesh, PATIENCE, overseer_and_workers};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::events::{Event, Happening, Heard, Kind, Subscription};
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The next event; none may be lost.
async fn next(events: &mut Subscription) -> Event {
    match timeout(PATIENCE, events.next()).await.unwrap() {
        Some(Heard::Event(event)) => Event::clone(&event),
        other => panic!("{other:?}"),
    }
}

/// The next event as people get it who read JSON: without its number and its time.
async fn told(events: &mut Subscription) -> Value {
    let mut value = serde_json::to_value(next(events).await).unwrap();
    let fields = value.as_object_mut().unwrap();
    assert!(fields.remove("number").unwrap().is_u64() && fields.remove("at").unwrap().is_string());
    value
}

async fn crash(mesh: &Mesh, to: &str) {
    mesh.ask(to, &Command::Trap(Trap::Panic)).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_starts_ends_and_is_restarted_and_the_end_of_all_is_the_end_of_the_events() {
    let text = "name = \"mesh\"\n[root]\nintensity = 9\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[[service]]\nname = \"pool\"\nrelease = \"@prober\"\ninstances = 2\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Started, Kind::Ended, Kind::Restarted]);
    for (service, actor) in [("a", "a"), ("pool", "pool#0"), ("pool", "pool#1")] {
        let up = json!({ "service": service, "kind": "started", "actor": actor, "incarnation": 1 });
        assert_eq!(told(&mut events).await, up);
    }
    crash(&mesh, "a").await;
    let ended = told(&mut events).await;
    assert_eq!((&ended["kind"], &ended["incarnation"], &ended["reason"]), (&json!("ended"), &json!(1), &json!("trap")));
    assert!(ended["detail"].as_str().unwrap().starts_with("trap: "), "{ended}");
    let again = json!({ "service": "a", "kind": "restarted", "actor": "a", "incarnation": 2 });
    assert_eq!(told(&mut events).await, again);

    let mut late = events.clone().of_service("pool");
    mesh.stop().await;
    for actor in ["pool#1", "pool#0", "a"] {
        let Happening::Ended { actor: who, reason, .. } = next(&mut events).await.what else { panic!("no end") };
        assert_eq!((who.as_str(), reason.as_str()), (actor, "shutdown"), "they stop in the reverse order");
    }
    assert_eq!(events.next().await, None);
    // Also for one who reads only then, and only of one service.
    assert_eq!([told(&mut late).await["actor"].clone(), told(&mut late).await["actor"].clone()], ["pool#1", "pool#0"]);
    assert_eq!(late.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_a_dead_letter_then_an_end_and_one_too_many_makes_the_supervisor_give_up() {
    let text = "name = \"mesh\"\n[root]\nintensity = 9\n[[supervisor]]\nname = \"back\"\nintensity = 0\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nsupervisor = \"back\"\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().from_now_on();
    crash(&mesh, "a").await;
    let letter = told(&mut events).await;
    let expected =
        [("kind", "dead-letter"), ("service", "a"), ("to", "a"), ("delivery", "call"), ("reason", "crashed")];
    assert!(expected.iter().all(|(field, value)| letter[*field] == **value), "{letter}");
    assert_eq!(letter["id"], mesh.runtime.dead_letters().1[0].id);
    let ended = told(&mut events).await;
    assert_eq!((&ended["kind"], &ended["service"], &ended["reason"]), (&json!("ended"), &json!("a"), &json!("trap")));
    let gave_up = json!({ "kind": "gave-up", "service": "a", "supervisor": "mesh/back", "child": "a" });
    assert_eq!(told(&mut events).await, gave_up);
    let ended = json!({ "kind": "ended", "actor": "mesh/back", "incarnation": 1, "reason": "shutdown" });
    assert_eq!(told(&mut events).await, ended);
    let up = json!({ "kind": "started", "service": "a", "actor": "a", "incarnation": 1 });
    assert_eq!(told(&mut events).await, up);
    let again = json!({ "kind": "restarted", "actor": "mesh/back", "incarnation": 2 });
    assert_eq!(told(&mut events).await, again);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_crashes_too_often_is_set_aside() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nkeyed = { intensity = 0, backoff = { initial = \"1h\", max = \"2h\" } }\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_service("a").from_now_on();
    crash(&mesh, "a/k\u{202e}").await;
    let mut kinds = Vec::new();
    let aside = loop {
        let event = told(&mut events).await;
        kinds.push(event["kind"].as_str().unwrap().to_owned());
        if event["kind"] == "set-aside" {
            break event;
        }
    };
    assert_eq!(kinds, ["started", "dead-letter", "ended", "set-aside"]);
    let expected = json!({ "kind": "set-aside", "service": "a", "actor": "a/k\\u{202e}", "for_ms": 3_600_000 });
    assert_eq!(aside, expected, "what a caller chose is shown, and nothing obeys it");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_takes_over_is_told_of_before_what_comes_of_it() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let one = json!(deploying.runtime.live_digest("counter").unwrap());
    // Somebody always waits for an answer: the new release crashes before whoever ordered it has looked.
    let load = Load::start(&deploying);
    load.more(10).await;
    for round in 0..10 {
        let mut events = deploying.runtime.events().of_kinds(&[Kind::Swapped]).from_now_on();
        let mut options = quick();
        options.probation = PATIENCE;
        let bad = deploying.release(&format!("bad {round}"), "crashes-on-1");
        let deployment = deploying.runtime.deploy("counter", bad, options).await.unwrap();
        assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }));
        let (there, back) = (told(&mut events).await, told(&mut events).await);
        assert!(there["sha256"] != one && back["sha256"] == one, "{there}\n{back}");
        assert_eq!(events.try_next(), None);
    }
    load.end(&deploying).await;
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_tells_its_states_in_order_and_each_actor_that_is_served_by_another_release() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let kinds = [Kind::Deployment, Kind::Swapped, Kind::Ended];
    let mut events = deploying.runtime.events().of_service("counter").of_kinds(&kinds).from_now_on();
    let state = |event: &Value| (event["kind"].clone(), event["state"].clone());
    let deployed = |word: &str| (json!("deployment"), json!(word));
    let swapped = (json!("swapped"), Value::Null);

    let one = deploying.runtime.live_digest("counter").unwrap();
    let deployment = deploying.runtime.deploy("counter", deploying.release("two", "healthy"), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    let all = [told(&mut events).await, told(&mut events).await, told(&mut events).await, told(&mut events).await];
    assert_eq!(
        all.each_ref().map(state),
        [deployed("switching"), swapped.clone(), deployed("probation"), deployed("live")]
    );
    let two = deploying.runtime.live_digest("counter").unwrap();
    assert_eq!((&all[1]["actor"], &all[1]["sha256"]), (&json!("counter"), &json!(two)));
    assert!(all[0]["release"].as_str().unwrap().contains("two.wasm"), "{all:#?}");
    assert_eq!(events.try_next(), None, "whoever is told the end finds all of it");

    let mut options = quick();
    options.probation = PATIENCE;
    let bad = deploying.release("three", "crashes-on-4");
    let deployment = deploying.runtime.deploy("counter", bad, options).await.unwrap();
    deployment.switched().await;
    for number in 1..=4 {
        deploying.ask("a", number).await;
    }
    assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }));
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(told(&mut events).await);
    }
    // The actor that goes back and the deployment that has ended over it are told of side by side.
    let (states, swaps): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|event| event["kind"] == json!("deployment"));
    let states_told: Vec<(Value, Value)> = states.iter().map(|event| state(event)).collect();
    assert_eq!(states_told, [deployed("switching"), deployed("probation"), deployed("rolled-back")]);
    assert!(states[2]["reason"].as_str().unwrap().contains("crashed on probation"), "{all:#?}");
    assert_eq!(swaps.len(), 2, "{all:#?}");
    assert_ne!(swaps[0]["sha256"], json!(two));
    assert_eq!(swaps[1]["sha256"], json!(two));
    assert_ne!(one, two);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_told() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[[service]]\nname = \"b\"\nrelease = \"@prober\"\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let (to, body) = ("b".to_owned(), json!("count"));
    mesh.refused("a", &Command::Send { to, key: None, body }).await;
    let denied = told(&mut events).await;
    let expected = [("service", "a"), ("actor", "a"), ("operation", "send"), ("target", "b")];
    assert!(expected.iter().all(|(field, value)| denied[*field] == **value), "{denied}");
    assert!(denied["missing"].as_str().unwrap().contains("no grant"), "{denied}");
    assert_eq!(events.try_next(), None);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_when_it_is_reached_and_counted_while_it_is_reached_again() {
    let text = "name = \"mesh\"\n[root]\nintensity = 9\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nlimits = { memory = \"4MiB\" }\nmailbox = { capacity = 1, overflow = \"refuse\" }\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let grown = Command::Trap(Trap::OutOfMemory);
    mesh.ask("a", &grown).await.unwrap_err();
    let memory = told(&mut events).await;
    assert_eq!((&memory["limit"], &memory["service"], &memory["times"]), (&json!("memory"), &json!("a"), &json!(1)));
    assert!(memory["detail"].as_str().unwrap().contains("4MiB"), "{memory}");

    // One is in hand, one waits, and the others find no room.
    for _ in 0..50 {
        let _may_be_refused = mesh.tell("a", &Command::Busy(20)).await;
    }
    let mailbox = told(&mut events).await;
    assert_eq!((&mailbox["limit"], &mailbox["times"]), (&json!("mailbox"), &json!(1)));
    assert_eq!(events.try_next(), None, "it is not told of each message that is refused");
    mesh.stop().await;
}

/// It is refused over and over, and told of once; `free` makes room and takes it again, and then it is told again.
async fn is_told_once_until_there_was_room(mesh: &Mesh, limit: &str, refuse: impl AsyncFn(), free: impl AsyncFn()) {
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]).from_now_on();
    for _ in 0..50 {
        refuse().await;
    }
    let full = told(&mut events).await;
    assert_eq!((&full["limit"], &full["service"], &full["times"]), (&json!(limit), &json!("a"), &json!(1)));
    assert!(full["detail"].as_str().unwrap().contains('2'), "{full}");
    assert_eq!(events.try_next(), None, "once");
    // Of one limit of one service no more than once a second.
    airssys_tests::until("it is told again", async || {
        free().await;
        refuse().await;
        let mut ahead = events.clone();
        ahead.try_next().is_some()
    })
    .await;
    let again = told(&mut events).await;
    assert_eq!((&again["limit"], &again["service"]), (&json!(limit), &json!("a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_subscriptions_are_told_as_a_limit() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nlimits = { subscriptions = 2 }\ngrants = { subscribe = [\"**\"] }\n";
    let mesh = Mesh::start(text).await;
    let subscribe = async |topic: &str| mesh.ok("a", &Command::Subscribe(topic.to_owned())).await;
    let unsubscribe = async |topic: &str| mesh.ok("a", &Command::Unsubscribe(topic.to_owned())).await;
    subscribe("one").await;
    subscribe("two").await;
    let refuse = async || {
        assert_eq!(mesh.refused("a", &Command::Subscribe("three".to_owned())).await, "overloaded");
        // What it has already takes no room.
        subscribe("two").await;
    };
    let free = async || {
        unsubscribe("two").await;
        subscribe("two").await;
    };
    is_told_once_until_there_was_room(&mesh, "subscriptions", refuse, free).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_keys_are_told_as_a_limit() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nkeyed = { max_keys = 2, idle_timeout = \"10ms\" }\n";
    let mesh = Mesh::start(text).await;
    // What has state is remembered, and keeps its place.
    let set = Command::Set { key: "k".to_owned(), value: json!(1) };
    mesh.ok("a/1", &set).await;
    mesh.ok("a/2", &set).await;
    let refuse = async || match mesh.ask("a/3", &set).await {
        Err(CallError::NotSent(SendError::Overloaded { what })) => assert!(what.contains("keys of a"), "{what}"),
        other => panic!("{other:?}"),
    };
    let free = async || {
        let _forgotten = mesh.runtime.forget("a", Some("2"), PATIENCE).await.unwrap();
        // Its place is free when it sleeps.
        airssys_tests::until("there is a place again", async || mesh.ask("a/4", &set).await.is_ok()).await;
        let _forgotten = mesh.runtime.forget("a", Some("4"), PATIENCE).await.unwrap();
        airssys_tests::until("there is a place again", async || mesh.ask("a/2", &set).await.is_ok()).await;
    };
    is_told_once_until_there_was_room(&mesh, "max_keys", refuse, free).await;
    mesh.stop().await;
}

/// An overseer with these limits, and a service whose actors it may spawn.
async fn overseer(limits: &str) -> Mesh {
    let services = overseer_and_workers(&format!("limits = {{ {limits} }}"), "spawned = { max_children = 2 }");
    Mesh::start(&format!("name = \"mesh\"\n[root]\nintensity = 9\n{services}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_children_are_told_as_a_limit() {
    let mesh = overseer("").await;
    let spawn = |name: &str| Command::Spawn { service: "worker".to_owned(), name: name.to_owned() };
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), spawn("b")])).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    for _ in 0..50 {
        assert_eq!(mesh.refused("overseer", &spawn("c")).await, "overloaded");
    }
    let full = told(&mut events).await;
    let expected = [("limit", json!("max_children")), ("service", json!("worker")), ("times", json!(1))];
    assert!(expected.iter().all(|(field, value)| full[*field] == *value), "{full}");
    assert!(full["detail"].as_str().unwrap().contains("2 children"), "{full}");
    assert_eq!(events.try_next(), None, "once");
    mesh.stop().await;
}

/// A turn of this service in which the last one of these is refused is told of once, as this limit.
async fn is_told(mesh: Mesh, service: &str, turn: Vec<Command>, refusal: &str, limit: &str) {
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let outcomes = mesh.ok(service, &Command::Do(turn)).await;
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.last().unwrap()["err"]["name"], refusal, "{outcomes:?}");
    assert!(outcomes[..outcomes.len() - 1].iter().all(|outcome| outcome.get("err").is_none()), "{outcomes:?}");
    let reached = told(&mut events).await;
    let expected = [("limit", json!(limit)), ("service", json!(service)), ("times", json!(1))];
    assert!(expected.iter().all(|(field, value)| reached[*field] == *value), "{reached}");
    assert!(reached["detail"].as_str().unwrap().starts_with(&format!("{service}: ")), "{reached}");
    assert_eq!(events.try_next(), None, "once");
    mesh.stop().await;
}

/// A prober with these limits.
async fn prober(limits: &str) -> Mesh {
    let service = format!("[[service]]\nname = \"a\"\nrelease = \"@prober\"\nlimits = {{ {limits} }}\n");
    Mesh::start(&format!("name = \"mesh\"\n{service}")).await
}

fn later(bytes: usize) -> Command {
    Command::SendBytesAfter { delay_ms: 1_000_000, bytes }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_timers_are_told_as_a_limit() {
    let many = vec![later(1), later(1), later(1)];
    is_told(prober("timers = 2").await, "a", many, "overloaded", "timers").await;
    let large = vec![later(700), later(700)];
    is_told(prober("timer_bytes = \"1KiB\"").await, "a", large, "overloaded", "timer_bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_monitors_are_told_as_a_limit() {
    let monitors = ["a", "b", "c"].map(|name| Command::Monitor(format!("worker/{name}"))).to_vec();
    is_told(overseer("monitors = 2").await, "overseer", monitors, "overloaded", "monitors").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_effects_of_a_turn_are_told_as_a_limit() {
    let many = vec![later(1), later(1), later(1)];
    is_told(prober("effects = 2").await, "a", many, "overloaded", "effects").await;
    let large = vec![later(700), later(700)];
    is_told(prober("effect_bytes = \"1KiB\"").await, "a", large, "overloaded", "effect_bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_a_message_or_a_state_is_told_as_a_limit() {
    is_told(prober("message = \"1KiB\"").await, "a", vec![later(1_025)], "too-large", "message").await;
    let set = |text: &str| Command::Set { key: "k".to_owned(), value: json!(text) };
    let values = vec![set("short"), set(&"x".repeat(200))];
    is_told(prober("state = \"100B\"").await, "a", values, "store", "state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_a_guest_is_refused_is_told_where_it_goes_on_without() {
    let grow = vec![Command::Allocate(64)];
    is_told(prober("memory = \"8MiB\"").await, "a", grow, "out-of-memory", "memory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_that_is_cut_is_told_as_a_limit() {
    let mesh = prober("log_line = \"16B\"").await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    mesh.ok("a", &Command::Stdout("0123456789abcdef".to_owned())).await;
    assert_eq!(events.try_next(), None, "this one fits");
    mesh.ok("a", &Command::Stdout("0123456789abcdef0".to_owned())).await;
    let cut = told(&mut events).await;
    assert_eq!((&cut["limit"], &cut["times"]), (&json!("log_line"), &json!(1)));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_stops_and_starts_a_service_is_told() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n";
    let mesh = Mesh::start(text).await;
    let kinds = [Kind::Operator, Kind::Started, Kind::Ended];
    let mut events = mesh.runtime.events().of_kinds(&kinds).from_now_on();
    let kept = mesh.runtime.stop_service("a").await.unwrap();
    let operator = |state: &str| json!({ "kind": "operator", "service": "a", "state": state, "kept": kept });
    assert_eq!(told(&mut events).await, operator("stopped"));
    assert_eq!(told(&mut events).await["reason"], json!("shutdown"));
    mesh.runtime.start_service("a").await.unwrap();
    assert_eq!(told(&mut events).await, operator("started"));
    assert_eq!(told(&mut events).await["kind"], json!("started"));
    assert_eq!(events.try_next(), None);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_loses_events_is_told_how_many_and_holds_up_nobody() {
    let file = |folder: &std::path::Path| {
        let file = folder.join("airssys.toml");
        let text = "name = \"mesh\"\n[settings]\nevents = 10\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n";
        std::fs::write(&file, airssys_tests::with_guests(text)).unwrap();
        file
    };
    let folder = tempfile::tempdir().unwrap();
    let topology = Topology::read(&file(folder.path())).unwrap();
    let runtime = Runtime::builder().start(&topology).await.unwrap();
    let (mut slow, mut quick) = (runtime.events().from_now_on(), runtime.events().from_now_on());
    for _ in 0..100 {
        // Each is a dead letter: a fault that nobody waits for.
        runtime.send("a", "no command").await.unwrap();
        assert!(matches!(timeout(PATIENCE, quick.next()).await.unwrap(), Some(Heard::Event(_))));
    }
    // The start of the service is rarer than they are, and keeps its place among the ten.
    assert_eq!(slow.next().await, Some(Heard::Lost(91)));
    let mut last = None;
    for _ in 0..9 {
        last = Some(next(&mut slow).await);
    }
    assert!(matches!(last.unwrap().what, Happening::DeadLetter { .. }));
    assert_eq!((slow.try_next(), quick.try_next()), (None, None));
    assert_eq!(runtime.dead_letters().0, 100);
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_tells_when_it_begins_and_how_it_ends() {
    let text = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Apply, Kind::Started, Kind::Ended]).from_now_on();
    let file = mesh.folder.path().join("edited.toml");
    let edited = format!("{text}[[service]]\nname = \"b\"\nrelease = \"@prober\"\n");
    std::fs::write(&file, airssys_tests::with_guests(&edited)).unwrap();
    mesh.runtime.apply(Topology::read(&file).unwrap(), quick()).await.unwrap();
    let apply = |state: &str| json!({ "kind": "apply", "state": state, "changes": 1 });
    assert_eq!(told(&mut events).await, apply("applying"));
    let up = json!({ "kind": "started", "service": "b", "actor": "b", "incarnation": 1 });
    assert_eq!(told(&mut events).await, up);
    assert_eq!(told(&mut events).await, apply("applied"));

    let edited = format!("{text}[[service]]\nname = \"b\"\nrelease = \"@prober\"\nconfig = {{ init = \"fault\" }}\n");
    std::fs::write(&file, airssys_tests::with_guests(&edited)).unwrap();
    mesh.runtime.apply(Topology::read(&file).unwrap(), quick()).await.unwrap_err();
    assert_eq!(told(&mut events).await, apply("applying"));
    let undone = told(&mut events).await;
    assert_eq!((&undone["kind"], &undone["state"]), (&json!("apply"), &json!("undone")));
    assert!(undone["reason"].as_str().unwrap().contains("init"), "{undone}");
    mesh.stop().await;
}
