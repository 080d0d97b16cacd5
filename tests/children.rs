//! Guests that supervise: they spawn, stop, monitor and link children, where granted.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::time::Duration;

use airssys_tests::deploying::restoring;
use airssys_tests::{Mesh, PATIENCE, guest, heir, log, overseer_and_workers, shifter, told, with_guests};
use airssys_wasm::command::ChangeMode;
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeError};
use prober_protocol::{Command, FaultKind, Outcome, Trap};
use serde_json::{Value, json};

/// An overseer, and a service of probers that it may spawn, with more keys of either.
fn topology(overseer: &str, worker: &str) -> String {
    let services = overseer_and_workers(overseer, worker);
    format!("name = \"children\"\n[root]\nintensity = 1000\n{services}")
}

fn spawn(name: &str) -> Command {
    Command::Spawn { service: "worker".into(), name: name.into() }
}

fn send(to: &str, command: &Command) -> Command {
    Command::Send { to: to.into(), key: None, body: command.value() }
}

fn call(to: &str, command: &Command) -> Command {
    Command::Call { to: to.into(), key: None, body: command.value(), timeout_ms: 5_000 }
}

fn set(key: &str, value: u64) -> Command {
    Command::Set { key: key.into(), value: json!(value) }
}

/// What the overseer was told.
async fn downs(mesh: &Mesh, overseer: &str) -> Vec<Value> {
    serde_json::from_value(mesh.ok(overseer, &Command::Get("downs".into())).await).unwrap_or_default()
}

/// Waits until the overseer was told this often; what of, then.
async fn told(mesh: &Mesh, times: usize) -> Vec<Value> {
    mesh.until("it is told", |mesh| mesh.stored("overseer", "downs").as_array().map_or(0, Vec::len) >= times).await;
    downs(mesh, "overseer").await
}

fn down(child: &str, reason: &str, restarted: bool) -> Value {
    json!({ "child": child, "reason": reason, "restarted": restarted })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_spawns_a_child_and_talks_to_it() {
    let mesh = Mesh::start(&topology("", "spawned = {}")).await;
    let nobody = mesh.runtime.call("worker/a", Command::Count.bytes(), PATIENCE).await.unwrap_err();
    assert!(nobody.code() == "no-such-service" && nobody.to_string().contains("spawned"), "{nobody}");

    let both = Command::Do(vec![
        spawn("a"),
        send("worker/a", &set("told", 1)),
        // What leaves at once cannot find what the turn still holds back.
        call("worker/a", &Command::Count),
        Command::Send { to: "worker".into(), key: Some("a".into()), body: set("twice", 2).value() },
    ]);
    let outcomes = mesh.ok("overseer", &both).await;
    assert_eq!(
        (&outcomes[0], &outcomes[1], &outcomes[3]),
        (&json!({ "ok": "worker/a" }), &json!({ "ok": null }), &json!({ "ok": null }))
    );
    assert_eq!(outcomes[2]["err"]["name"], "no-such-service", "{outcomes}");

    let got = mesh
        .ok(
            "overseer",
            &call("worker/a", &Command::Do(vec![Command::Get("told".into()), Command::Get("twice".into())])),
        )
        .await;
    assert_eq!(got["ok"], json!([{ "ok": 1 }, { "ok": 2 }]));
    assert_eq!((mesh.status("worker").keys, mesh.status("worker").started), (1, 1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_fails_spawns_nothing() {
    let mesh = Mesh::start(&topology("", "spawned = { max_children = 1 }")).await;
    let ends = [
        (Command::Fail { fault: FaultKind::Refused, reason: "no".into() }, "fault"),
        (Command::Trap(Trap::Panic), "crashed"),
    ];
    for (end, code) in ends {
        let turn = Command::Do(vec![
            spawn("a"),
            send("worker/a", &set("told", 1)),
            Command::Monitor("worker/a".into()),
            Command::Link("worker/a".into()),
            end,
        ]);
        assert_eq!(mesh.ask("overseer", &turn).await.unwrap_err().code(), code);
        assert_eq!(mesh.refused("overseer", &call("worker/a", &Command::Count)).await, "no-such-service");
        assert_eq!(
            (mesh.status("worker").keys, mesh.status("worker").started, mesh.status("worker").accepted),
            (0, 0, 0)
        );
    }
    // Name and place are free again, and nobody is told anything.
    mesh.ok("overseer", &spawn("a")).await;
    assert_eq!(mesh.ok("overseer", &call("worker/a", &Command::Get("told".into()))).await, json!({ "ok": null }));
    assert_eq!(downs(&mesh, "overseer").await, Vec::<Value>::new());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_once_and_children_are_bounded() {
    let mesh = Mesh::start(&topology("", "spawned = { max_children = 2 }")).await;
    let turn = Command::Do(vec![spawn("a"), spawn("a"), spawn("b"), spawn("c")]);
    let outcomes = mesh.ok("overseer", &turn).await;
    let names = outcomes.as_array().unwrap().iter().map(|outcome| outcome["err"]["name"].as_str().unwrap_or("ok"));
    assert_eq!(names.collect::<Vec<_>>(), ["ok", "taken", "ok", "overloaded"]);
    assert_eq!(mesh.refused("overseer", &spawn("a")).await, "taken");
    assert_eq!(mesh.refused("overseer", &spawn("c")).await, "overloaded");
    for bad in ["", "x\ny", &"x".repeat(257)] {
        assert_eq!(
            mesh.refused("overseer", &spawn(bad)).await,
            if bad.is_empty() { "denied" } else { "no-such-child" },
            "{bad:?}"
        );
    }
    // One that is gone makes room.
    mesh.ok("overseer", &Command::Do(vec![Command::Monitor("worker/a".into()), Command::Stop("worker/a".into())]))
        .await;
    assert_eq!(told(&mesh, 1).await, [down("worker/a", "stopped", false)]);
    mesh.ok("overseer", &spawn("c")).await;
    assert_eq!(mesh.status("worker").keys, 2);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grant_nothing_is_done_to_children_and_the_attempt_is_audited() {
    log::listen();
    let text = topology("", "spawned = {}\n[service.grants]\nsend = [\"worker/*\"]")
        .replace("spawn = [\"worker/*\"]", "spawn = [\"worker/mine\"]");
    let more = "[[service]]\nname = \"plain\"\nrelease = \"@prober\"\n[[service]]\nname = \"stranger\"\nrelease = \"@overseer\"\n";
    let mesh = Mesh::start(&format!("{text}{more}")).await;
    mesh.ok("overseer", &spawn("mine")).await;
    let on = |name: &str| {
        let child = format!("worker/{name}");
        [
            spawn(name),
            Command::Stop(child.clone()),
            Command::Monitor(child.clone()),
            Command::Demonitor(child.clone()),
            Command::Link(child),
        ]
    };
    let operations = ["spawn", "stop", "monitor", "monitor", "link"];
    // What is there and what is not look alike.
    for (who, name) in [("stranger", "mine"), ("stranger", "nobody"), ("overseer", "other")] {
        for (command, operation) in on(name).iter().zip(operations) {
            let Ok(Outcome::Err(refusal)) = mesh.ask(who, command).await else { panic!("{command:?} by {who}") };
            assert_eq!(refusal.name, "denied", "{command:?}");
            for part in [who, operation, &format!("no grant: add \"worker/{name}\" to `spawn`")] {
                assert!(refusal.text.contains(part), "no {part:?} in {}", refusal.text);
            }
        }
    }
    let audited = log::of("airssys::audit", "stranger");
    assert_eq!(audited.len(), 10, "{audited:?}");
    for ((_, record), operation) in audited.iter().zip(operations.iter().cycle()) {
        assert_eq!((&record["message"], &record["operation"]), (&json!("denied"), &json!(operation)));
        assert!(record["missing"].as_str().unwrap().contains("to `spawn` under the grants of service \"stranger\""));
    }
    assert_eq!(mesh.status("worker").keys, 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_spawned_is_a_child() {
    let text = topology("", "spawned = {}").replace("spawn = [\"worker/*\"]", "spawn = [\"**\"]");
    let more = "[[service]]\nname = \"plain\"\nrelease = \"@prober\"\n[[service]]\nname = \"keyed\"\nrelease = \"@prober\"\nkeyed = {}\n";
    let mesh = Mesh::start(&format!("{text}{more}")).await;
    let spawn_of = |service: &str| Command::Spawn { service: service.into(), name: "a".into() };
    for service in ["plain", "keyed", "nobody", "overseer"] {
        assert_eq!(mesh.refused("overseer", &spawn_of(service)).await, "no-such-child", "{service}");
    }
    for child in ["plain", "keyed/a", "worker", "worker/nobody", "nobody/a"] {
        for command in [Command::Stop(child.into()), Command::Link(child.into())] {
            assert_eq!(mesh.refused("overseer", &command).await, "no-such-child", "{command:?}");
        }
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_tells_once_why_a_child_ended_and_whether_it_is_back() {
    let mesh = Mesh::start(&topology("", "spawned = {}\nrestart = \"transient\"")).await;
    let both = |name: &str| Command::Do(vec![spawn(name), Command::Monitor(format!("worker/{name}"))]);
    for name in ["done", "crashes"] {
        mesh.ok("overseer", &both(name)).await;
    }
    mesh.tell("worker/done", &Command::Exit(0)).await.unwrap();
    assert_eq!(told(&mesh, 1).await, [down("worker/done", "normal", false)]);
    mesh.tell("worker/crashes", &Command::Trap(Trap::DivideByZero)).await.unwrap();
    assert_eq!(told(&mesh, 2).await[1], down("worker/crashes", "crashed/trap", true));

    // It was told once; the next incarnation is another one's end.
    mesh.tell("worker/crashes", &Command::Trap(Trap::Panic)).await.unwrap();
    assert_eq!(mesh.ok("worker/crashes", &Command::Count).await, json!(1));
    assert_eq!(mesh.status("worker").started, 4);

    // Nobody of this name, any more or ever; monitored twice, told once.
    let absent = Command::Do(["done", "done", "never"].map(|name| Command::Monitor(format!("worker/{name}"))).to_vec());
    mesh.ok("overseer", &absent).await;
    let notices = told(&mesh, 5).await;
    assert_eq!(notices[2..], ["done", "done", "never"].map(|name| down(&format!("worker/{name}"), "no-child", false)));

    // What is taken back is not told.
    let taken_back = ["Monitor", "Monitor", "Demonitor"].map(|what| match what {
        "Monitor" => Command::Monitor("worker/crashes".into()),
        _ => Command::Demonitor("worker/crashes".into()),
    });
    mesh.ok("overseer", &Command::Do(taken_back.to_vec())).await;
    mesh.ok("overseer", &Command::Do(vec![Command::Stop("worker/crashes".into()), both("last")])).await;
    mesh.ok("overseer", &Command::Stop("worker/last".into())).await;
    assert_eq!(told(&mesh, 6).await[5], down("worker/last", "stopped", false));
    mesh.until("the other one is gone too", |mesh| mesh.status("worker").keys == 0).await;
    assert_eq!(downs(&mesh, "overseer").await.len(), 6);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_does_not_start_is_told_of_and_leaves_its_name() {
    let worker = "spawned = {}\nrestart = \"temporary\"\n[service.config]\ninit = \"fault\"";
    let mesh = Mesh::start(&topology("", worker)).await;
    for round in 1..=2 {
        let turn = vec![spawn("a"), Command::Monitor("worker/a".into()), send("worker/a", &Command::Count)];
        mesh.ok("overseer", &Command::Do(turn)).await;
        assert_eq!(told(&mesh, round).await[round - 1], down("worker/a", "crashed/start", false));
        // What was sent to it has a fate.
        mesh.until("its message is dead", |mesh| mesh.dead() == vec!["stopped"; round]).await;
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_stopped_in_order_and_for_good() {
    let worker = "spawned = {}\n[service.config]\nstop = \"send:recorder\"\n[service.grants]\nsend = [\"recorder\"]";
    let recorder = "[[service]]\nname = \"recorder\"\nrelease = \"@prober\"\n";
    let mesh = Mesh::start(&format!("{}{recorder}", topology("", worker))).await;
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), Command::Monitor("worker/a".into())])).await;
    mesh.ok("worker/a", &set("kept", 1)).await;
    // One that is stopped in the turn that spawned it need not begin.
    mesh.ok("overseer", &Command::Do(vec![spawn("b"), Command::Stop("worker/b".into())])).await;
    mesh.ok("overseer", &Command::Stop("worker/a".into())).await;
    assert_eq!(told(&mesh, 1).await, [down("worker/a", "stopped", false)]);
    let recorded = |mesh: &Mesh| mesh.stored("recorder", "record").as_array().cloned().unwrap_or_default();
    mesh.until("it says good-bye", |mesh| recorded(mesh).contains(&json!("stop worker/a"))).await;
    // The other one may have begun in the moment between, and has said good-bye then.
    let others: Vec<Value> = recorded(&mesh).into_iter().filter(|told| told != &json!("stop worker/a")).collect();
    assert!(others.is_empty() || others == ["stop worker/b"], "{others:?}");
    assert_eq!(mesh.refused("overseer", &call("worker/a", &Command::Count)).await, "no-such-service");
    mesh.until("both are gone", |mesh| mesh.status("worker").keys == 0).await;
    // The state went with it.
    mesh.ok("overseer", &spawn("a")).await;
    assert_eq!(mesh.ok("worker/a", &Command::Get("kept".into())).await, Value::Null);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_does_not_stop_in_time_is_killed_and_its_messages_are_dead() {
    let mesh =
        Mesh::start(&topology("", "spawned = {}\nshutdown = \"10ms\"\nlimits = { turn_deadline = \"60s\" }")).await;
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), Command::Monitor("worker/a".into())])).await;
    mesh.tell("worker/a", &Command::Sleep(60_000)).await.unwrap();
    mesh.tell("worker/a", &Command::Count).await.unwrap();
    mesh.until("it sleeps", |mesh| mesh.status("worker").queued == 1).await;
    mesh.ok("overseer", &Command::Stop("worker/a".into())).await;
    assert_eq!(told(&mesh, 1).await, [down("worker/a", "killed", false)]);
    assert_eq!(mesh.dead(), ["stopped", "stopped"], "the one in hand, and the one that waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_takes_the_end_of_one_to_the_other() {
    let mesh = Mesh::start(&topology("", "spawned = {}\nrestart = \"temporary\"")).await;
    let linked = |name: &str| {
        let child = format!("worker/{name}");
        Command::Do(vec![spawn(name), Command::Link(child.clone()), Command::Link(child)])
    };
    // The child ends by a crash, and the overseer with it; its supervisor starts it again.
    mesh.ok("overseer", &linked("a")).await;
    mesh.tell("worker/a", &Command::Trap(Trap::Panic)).await.unwrap();
    mesh.until("the overseer is another one", |mesh| mesh.status("overseer").started == 2).await;
    assert_eq!(mesh.ok("overseer", &Command::Count).await, json!(1));

    // The overseer crashes, and the child with it; a sibling that is not linked stays.
    mesh.ok("overseer", &Command::Do(vec![linked("b"), spawn("c"), Command::Monitor("worker/b".into())])).await;
    mesh.ok("worker/b", &Command::Count).await;
    mesh.ask("overseer", &Command::Trap(Trap::Panic)).await.unwrap_err();
    assert_eq!(told(&mesh, 1).await, [down("worker/b", "crashed/trap", false)]);
    assert_eq!(mesh.ok("worker/c", &Command::Count).await, json!(1));

    // A normal end takes nobody along.
    mesh.ok("overseer", &linked("d")).await;
    mesh.tell("worker/d", &Command::Exit(0)).await.unwrap();
    mesh.until("the child is gone", |mesh| mesh.status("worker").keys == 1).await;
    assert_eq!((mesh.ok("overseer", &Command::Count).await, mesh.status("overseer").started), (json!(3), 3));

    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_and_monitors_stay_when_the_one_who_spawned_them_starts_again() {
    let mesh = Mesh::start(&topology("config = { child = \"worker/first\" }", "spawned = {}")).await;
    mesh.ok("worker/first", &set("kept", 1)).await;
    for _ in 0..2 {
        mesh.ask("overseer", &Command::Trap(Trap::Panic)).await.unwrap_err();
        // Its `init` finds the name taken, which is no failure.
        mesh.ok("overseer", &Command::Count).await;
    }
    assert_eq!(
        mesh.ok("worker/first", &Command::Do(vec![Command::Count, Command::Get("kept".into())])).await,
        json!([{ "ok": 2 }, { "ok": 1 }])
    );
    mesh.ok("overseer", &Command::Stop("worker/first".into())).await;
    assert_eq!(told(&mesh, 1).await, [down("worker/first", "stopped", false)]);
    mesh.stop().await;
}

/// What `restart` says is said of each child, and not of the supervisor that they are under.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_children_can_still_be_spawned_after_an_apply_when_their_group_has_started_again() {
    let text =
        topology("", "spawned = {}\nrestart = \"temporary\"").replace("[root]", "[root]\nstrategy = \"one-for-all\"");
    let mesh = Mesh::start(&text).await;
    let file = mesh.folder.path().join("edited.toml");
    std::fs::write(&file, with_guests(&format!("{text}\n[[service]]\nname = \"more\"\nrelease = \"@prober\"\n")))
        .unwrap();
    mesh.runtime.apply(Topology::read(&file).unwrap(), DeployOptions::default()).await.unwrap();
    mesh.ask("overseer", &Command::Trap(Trap::Panic)).await.unwrap_err();
    mesh.until("the group has started again", |mesh| mesh.status("more").started == 2).await;
    mesh.ok("overseer", &spawn("a")).await;
    assert_eq!(mesh.ok("worker/a", &Command::Count).await, json!(1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_an_apply_has_the_mailbox_that_the_apply_gave() {
    let keyed = "\n[[service]]\nname = \"keyed\"\nrelease = \"@prober\"\nkeyed = {}\n";
    let text =
        topology("", "spawned = {}").replace("send = [\"worker/*\"]", "send = [\"worker/*\", \"keyed/*\"]") + keyed;
    let mesh = Mesh::start(&text).await;
    mesh.ok("overseer", &spawn("before")).await;
    mesh.ok("keyed/before", &Command::Count).await;
    let smaller =
        |text: &str, of: &str| text.replace(of, &format!("{of}\nmailbox = {{ capacity = 1, overflow = \"refuse\" }}"));
    let file = mesh.folder.path().join("edited.toml");
    std::fs::write(&file, with_guests(&smaller(&smaller(&text, "spawned = {}"), "keyed = {}"))).unwrap();
    mesh.runtime.apply(Topology::read(&file).unwrap(), DeployOptions::default()).await.unwrap();
    mesh.ok("overseer", &spawn("after")).await;
    for to in ["worker/before", "worker/after", "keyed/before", "keyed/after"] {
        // What the first one takes is held until the turn is over, so that nothing is left for the second one.
        let outcomes =
            mesh.ok("overseer", &Command::Do(vec![send(to, &Command::Quiet), send(to, &Command::Quiet)])).await;
        assert_eq!(outcomes[0], json!({ "ok": null }), "{to}");
        assert_eq!(outcomes[1]["err"]["name"], "overloaded", "{to}: {outcomes}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_children_change_while_they_run() {
    let mesh = Mesh::start(&topology("", "spawned = { max_children = 1 }")).await;
    mesh.ok("overseer", &spawn("a")).await;
    assert_eq!(mesh.refused("overseer", &spawn("b")).await, "overloaded");
    let text = topology("", "spawned = { max_children = 2 }\nrestart = \"temporary\"");
    let file = mesh.folder.path().join("edited.toml");
    std::fs::write(&file, with_guests(&text)).unwrap();
    let applied = mesh.runtime.apply(Topology::read(&file).unwrap(), DeployOptions::default()).await.unwrap();
    let ways: Vec<ChangeMode> = applied.plan.differences.iter().map(|found| found.way).collect();
    assert_eq!(ways, [ChangeMode::InPlace]);
    mesh.ok("overseer", &spawn("b")).await;
    assert_eq!(mesh.refused("overseer", &spawn("c")).await, "overloaded");
    assert_eq!(mesh.ok("worker/a", &Command::Count).await, json!(1));
    assert_eq!(mesh.ok("worker/b", &Command::Count).await, json!(1));
    assert_eq!((mesh.status("worker").keys, mesh.status("worker").started), (2, 2));
    // The one is started again, as it was to when it was spawned, and the other one is not.
    for child in ["worker/a", "worker/b"] {
        mesh.ask(child, &Command::Trap(Trap::Panic)).await.unwrap_err();
    }
    mesh.until("one is gone", |mesh| mesh.status("worker").keys == 1).await;
    assert_eq!(mesh.ok("worker/a", &Command::Count).await, json!(1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_crashes_over_and_over_does_not_hold_up_its_siblings() {
    const CRASHES: usize = 100;
    let mesh = Mesh::start(&topology("config = { again = \"yes\" }", "spawned = { intensity = 1000 }")).await;
    let turn = vec![
        spawn("bad"),
        spawn("good"),
        Command::Monitor("worker/bad".into()),
        Command::Monitor("worker/good".into()),
    ];
    mesh.ok("overseer", &Command::Do(turn)).await;
    for round in 0..CRASHES {
        mesh.tell("worker/bad", &Command::Trap(Trap::Panic)).await.unwrap();
        assert_eq!(mesh.ok("worker/good", &Command::Count).await, json!(round + 1));
    }
    mesh.until("all crashes are over", |mesh| mesh.status("worker").crashed == CRASHES as u64).await;
    assert_eq!(mesh.ok("worker/bad", &Command::Count).await, json!(1));
    assert_eq!(mesh.ok("worker/good", &Command::Count).await, json!(CRASHES + 1));
    assert_eq!(mesh.status("worker").started, 2 + CRASHES as u64);
    let notices = told(&mesh, 1).await;
    assert!(notices.iter().all(|notice| *notice == down("worker/bad", "crashed/trap", true)), "{notices:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_crashes_too_often_is_set_aside_alone() {
    let rules = "spawned = { intensity = 0, backoff = { initial = \"1h\", max = \"1h\" } }";
    let mesh = Mesh::start(&topology("", rules).replace("intensity = 1000", "intensity = 0")).await;
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), spawn("b")])).await;
    assert_eq!(mesh.ok("worker/b", &Command::Count).await, json!(1));
    mesh.tell("worker/a", &Command::Trap(Trap::Panic)).await.unwrap();
    mesh.until("a is set aside", |mesh| mesh.status("worker").set_aside == 1).await;
    assert_eq!(mesh.ok("worker/b", &Command::Count).await, json!(2), "its sibling lives on, with its memory");
    // Its messages wait for it, its name is taken, and who may stop it still can.
    mesh.tell("worker/a", &Command::Count).await.unwrap();
    assert_eq!(mesh.status("worker").queued, 1);
    assert_eq!(mesh.refused("overseer", &spawn("a")).await, "taken");
    mesh.ok("overseer", &Command::Stop("worker/a".into())).await;
    mesh.until("a is gone", |mesh| mesh.status("worker").keys == 1).await;
    assert_eq!((mesh.status("worker").set_aside, mesh.dead()), (0, vec!["crashed", "stopped"]));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_are_bounded_until_their_notices_are_handled() {
    let mesh = Mesh::start(&topology("limits = { monitors = 2 }", "spawned = {}\nrestart = \"temporary\"")).await;
    let monitor = |name: &str| Command::Monitor(format!("worker/{name}"));
    let turn = vec![spawn("a"), monitor("a"), monitor("a"), monitor("never"), monitor("never")];
    let outcomes = mesh.ok("overseer", &Command::Do(turn)).await;
    let names: Vec<_> =
        outcomes.as_array().unwrap().iter().map(|outcome| outcome["err"]["name"].as_str().unwrap_or("ok")).collect();
    assert_eq!(names, ["ok", "ok", "ok", "overloaded", "overloaded"]);
    // Monitored twice is once, and the other place is free again.
    mesh.ok("overseer", &monitor("never")).await;
    assert_eq!(told(&mesh, 1).await, [down("worker/never", "no-child", false)]);
    mesh.ok("overseer", &monitor("never")).await;
    told(&mesh, 2).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_child_had_ends_with_it() {
    let worker = "spawned = {}\nrestart = \"temporary\"\nlimits = { subscriptions = 1, timers = 1 }\n[service.grants]\nsubscribe = [\"news\"]";
    let mesh = Mesh::start(&topology("", worker)).await;
    let later = Command::SendAfter { delay_ms: 3_600_000, body: Command::Count.value() };
    for round in 1..=2 {
        mesh.ok("overseer", &Command::Do(vec![spawn("a"), Command::Monitor("worker/a".into())])).await;
        // It has room for both each time, and what its predecessor subscribed to is forgotten.
        mesh.runtime.publish("news", set("heard", round).bytes()).unwrap();
        assert_eq!(mesh.ok("worker/a", &Command::Get("heard".into())).await, Value::Null);
        mesh.ok("worker/a", &Command::Do(vec![Command::Subscribe("news".into()), later.clone()])).await;
        assert_eq!(mesh.refused("worker/a", &later).await, "overloaded");
        mesh.runtime.publish("news", set("heard", round).bytes()).unwrap();
        assert_eq!(mesh.ok("worker/a", &Command::Get("heard".into())).await, json!(round));
        mesh.tell("worker/a", &Command::Exit(0)).await.unwrap();
        told(&mesh, round as usize).await;
    }
    assert_eq!(mesh.dead(), ["crashed"; 2], "the messages over which they exited, and no other");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sync_lane_spawns_too_and_who_has_no_down_cannot_monitor() {
    let text = topology("", "spawned = {}").replace("@overseer", "@spawner");
    let mesh = Mesh::start(&text).await;
    let ask = async |name: &str| mesh.runtime.call("overseer", json!(name).to_string(), PATIENCE).await;
    assert_eq!(ask("a").await.unwrap().as_deref(), Some(b"\"worker/a\"".as_slice()));
    assert_eq!(ask("a").await.unwrap_err().code(), "fault");
    assert_eq!(mesh.ok("worker/a", &Command::Count).await, json!(2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_request_children_is_not_linked_with_what_makes_them() {
    let binary = guest("overseer").with_file_name("target").join("airssys/overseer.wasm");
    let text = topology("", "spawned = {}").replace("\"@overseer\"", &format!("{binary:?}"));
    let Err(error) = Mesh::try_start(&text, Runtime::builder()).await else { panic!("it started") };
    let said = told!(error.downcast::<RuntimeError>().unwrap());
    for part in ["overseer", "airssys:actor/supervision@0.1.0", "does not request", "`spawn` under [requests]"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_release_takes_the_children_over_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let release = |name: &str, way: &str| {
        let path = folder.path().join(format!("{name}-{way}.wasm"));
        std::fs::write(&path, shifter(name, way)).unwrap();
        path
    };
    let one = release("one", "healthy");
    let worker = format!("{one:?}");
    let mesh = Mesh::start(&topology("", "spawned = {}").replace("\"@prober\"", &worker)).await;
    let by = async |child: &str, number: u64| {
        let body = json!({ "from": "test", "number": number }).to_string();
        let answer = mesh.runtime.call(child, body, PATIENCE).await.unwrap().unwrap_or_default();
        serde_json::from_slice::<Value>(&answer).unwrap()["release"].clone()
    };
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), spawn("b")])).await;
    assert_eq!(by("worker/a", 1).await, "one");
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(50);
    let deploy = async |path: &Path| {
        mesh.runtime.deploy("worker", Release::find(path).unwrap(), options.clone()).await.unwrap().ended().await
    };
    assert_eq!(deploy(&release("two", "healthy")).await, Progress::Live);
    // Those who were there, those who come, and those who start again.
    mesh.ok("overseer", &spawn("c")).await;
    for child in ["worker/a", "worker/b", "worker/c"] {
        assert_eq!(by(child, 2).await, "two", "{child}");
    }
    // One that does not start leaves everybody as they were.
    let ended = deploy(&release("three", "init-fails")).await;
    assert!(matches!(ended, Progress::RolledBack { .. }), "{ended:?}");
    mesh.ok("overseer", &spawn("d")).await;
    for child in ["worker/a", "worker/d"] {
        assert_eq!(by(child, 3).await, "two", "{child}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_each_child_is_brought_over_to_another_schema() {
    let folder = tempfile::tempdir().unwrap();
    let release = |name: &str, way: &str, schema: u32| {
        let path = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, heir(name, way, schema)).unwrap();
        let mut release = Release::find(&path).unwrap();
        release.manifest.state_schema = schema;
        release
    };
    let one = release("one", "healthy", 0).component;
    let mesh = Mesh::start(&topology("", "spawned = {}").replace("\"@prober\"", &format!("{one:?}"))).await;
    let tell = async |child: &str, from: &str, number: u64| {
        let body = json!({ "from": from, "number": number }).to_string();
        let answer = mesh.runtime.call(child, body, PATIENCE).await.unwrap().unwrap_or_default();
        serde_json::from_slice::<Value>(&answer).unwrap()["release"].clone()
    };
    const CHILDREN: [&str; 3] = ["worker/a", "worker/b", "worker/c"];
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), spawn("b"), spawn("c")])).await;
    for child in CHILDREN {
        assert_eq!(tell(child, "test", 1).await, "one");
    }
    tell("worker/b", "marked", 1).await;
    let before = mesh.runtime.state("worker");
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(50);
    let deploy =
        async |release: Release| mesh.runtime.deploy("worker", release, options.clone()).await.unwrap().ended().await;
    let ended = deploy(release("two", "marked-traps", 1)).await;
    assert!(matches!(ended, Progress::RolledBack { .. }), "{ended:?}");
    assert_eq!(mesh.runtime.state("worker"), before, "bit for bit");
    assert_eq!(deploy(release("three", "healthy", 1)).await, Progress::Live);
    mesh.ok("overseer", &spawn("new")).await;
    assert_eq!(tell("worker/new", "test", 1).await, "three");
    for child in CHILDREN {
        assert_eq!(tell(child, "test", 2).await, "three", "{child}");
    }
    let states = mesh.runtime.state("worker");
    let doubled = |child: &str| u64::from_le_bytes(states[child]["doubled"].as_ref().try_into().unwrap());
    assert_eq!(["a", "b", "c", "new"].map(doubled), [4, 6, 4, 2]);
    assert_eq!(mesh.runtime.rollback("worker", restoring(options.clone())).unwrap().ended().await, Progress::Live);
    assert_eq!(mesh.runtime.state("worker")["b"], before["b"]);
    assert_eq!(tell("worker/a", "test", 2).await, "one");
    mesh.stop().await;
}
