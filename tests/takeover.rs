//! Whoever has a well release can bring it in, whatever the sick one does: while it starts, while it waits for its
//! back-off, with a memory that it does not hand over, with members that ended. What waits in the mailbox is for the
//! well one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_rt_shim::child::ChildId;
use airssys_rt_shim::supervisor::ChildStatus;
use airssys_tests::{Mesh, PATIENCE, shifter, with_guests};
use airssys_wasm::deploy::{DeployOptions, Progress, Rolling, Strategy};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// Whoever counts how often the sick one has started. Back-offs are longer than any test.
const TOPOLOGY: &str = r#"
    name = "takeover"
    [root]
    intensity = 1000000
    backoff = { initial = "1h", max = "1h" }
    [[service]]
    name = "rec"
    release = "@prober"
"#;

/// Limits within which nothing ends by itself.
const HOUR: &str = "limits = { start_timeout = \"1h\", turn_deadline = \"1h\", turn_budget = \"1h\" }";

/// A prober that is sick: it does this when it starts.
fn sick(name: &str, init: &str, more: &str) -> String {
    format!(
        "[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{more}\ngrants = {{ call = [\"rec\"] }}\nconfig = {{ {init} }}\n"
    )
}

/// A release that answers with its name.
fn well(mesh: &Mesh, name: &str) -> Release {
    let path = mesh.folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, shifter(name, "healthy")).unwrap();
    std::fs::write(path.with_extension("toml"), format!("name = {name:?}\nversion = \"9.0.0\"\n")).unwrap();
    Release::find(&path).unwrap()
}

fn options(strategy: Strategy) -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(50);
    options.handover_deadline = Duration::from_secs(30);
    options.strategy = strategy;
    options
}

/// A message that a well one answers with its name.
fn who() -> String {
    json!({ "from": "a", "number": 1 }).to_string()
}

async fn answer(mesh: &Mesh, to: &str, key: &str) -> Value {
    let answer = mesh.runtime.call((to, key), who(), PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice::<Value>(&answer).unwrap()["release"].clone()
}

/// How often an actor has come to its `init`.
async fn inits(mesh: &Mesh, of: &str) -> u64 {
    mesh.ok("rec", &Command::Increment { key: format!("init of {of}"), by: 0 }).await.as_u64().unwrap()
}

/// Waits until an actor has come to its `init` so often.
async fn until_inits(mesh: &Mesh, of: &str, times: u64) {
    let all = async {
        while inits(mesh, of).await < times {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{of} never started {times} times");
}

/// A well release takes over from `sick`, which crashed over a message and does not come back.
async fn takes_over(mesh: &Mesh, case: &str, strategy: Strategy) {
    let waits = mesh.runtime.call("sick", who(), PATIENCE);
    let deploys = async {
        mesh.until("a message waits", |mesh| mesh.status("sick").queued == 1).await;
        let deployment = mesh.runtime.deploy("sick", well(mesh, "well"), options(strategy)).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{case}");
    };
    let (waited, ()) = tokio::join!(waits, deploys);
    let waited: Value = serde_json::from_slice(&waited.unwrap().unwrap()).unwrap();
    assert_eq!(waited["release"], "well", "what had waited is for the well one");
    assert_eq!(answer(mesh, "sick", "").await, "well");
    // A start that is cut off in the middle of a call leaves an answer that nobody waits for.
    let mut dead = mesh.dead();
    dead.retain(|reason| *reason != "late-answer");
    assert_eq!(dead, ["crashed"], "but for the message that the sick one crashed over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_well_release_takes_over_from_one_that_does_not_start() {
    // Each start fails; the next one begins after a back-off that nobody waits out, or at once.
    let no_backoff = TOPOLOGY.replace("initial = \"1h\", max = \"1h\"", "initial = \"1ms\", max = \"1ms\"");
    let nested = "[[supervisor]]\nname = \"inner\"\nintensity = 0\n";
    let group = "[[supervisor]]\nname = \"inner\"\nstrategy = \"one-for-all\"\nintensity = 1000000\nbackoff = { initial = \"1h\", max = \"1h\" }\n";
    let cases = [
        ("fails and waits for its back-off", TOPOLOGY, "", "fault@rec:2-", "", 1),
        ("fails again and again", &no_backoff, "", "fault@rec:2-", "", 20),
        ("traps again and again", &no_backoff, "", "panic@rec:2-", "", 20),
        ("computes for ever", &no_backoff, "", "hang@rec:2-", HOUR, 2),
        ("sleeps for ever", &no_backoff, "", "sleep:3600000@rec:2-", HOUR, 2),
        ("waits for the back-off of its supervisor", TOPOLOGY, nested, "fault@rec:2-", "supervisor = \"inner\"", 1),
        ("waits for the back-off of its group", TOPOLOGY, group, "fault@rec:2-", "supervisor = \"inner\"", 1),
    ];
    for (case, topology, supervisor, init, more, starts) in cases {
        let text = format!("{topology}{supervisor}{}", sick("sick", &format!("init = {init:?}"), more));
        let mesh = Mesh::start(&text).await;
        assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
        until_inits(&mesh, "sick", starts).await;
        takes_over(&mesh, case, Strategy::InPlace).await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_hangs_in_its_health_check_keeps_no_release_out() {
    let text = format!("{TOPOLOGY}{}", sick("sick", "health = \"hang@rec:2-\", init = \"ok@rec:1-\"", HOUR))
        .replace("initial = \"1h\", max = \"1h\"", "initial = \"1ms\", max = \"1ms\"");
    let mesh = Mesh::start(&text).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    until_inits(&mesh, "sick", 2).await;
    takes_over(&mesh, "health", Strategy::InPlace).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_hangs_keeps_no_release_out_for_longer_than_a_stop_may_take() {
    // The group is stopped because of the other one, and the sick one does not stop.
    let group = "[[supervisor]]\nname = \"inner\"\nstrategy = \"one-for-all\"\nintensity = 1000000\n";
    let more =
        "supervisor = \"inner\"\nshutdown = \"200ms\"\nlimits = { turn_deadline = \"1h\", turn_budget = \"1h\" }";
    let other = "[[service]]\nname = \"other\"\nrelease = \"@prober\"\nsupervisor = \"inner\"\n";
    let text = format!("{TOPOLOGY}{group}{}{other}", sick("sick", "stop = \"hang\"", more));
    let mesh = Mesh::start(&text).await;
    assert!(mesh.ask("other", &Command::Trap(Trap::Panic)).await.is_err());
    let deployment = mesh.runtime.deploy("sick", well(&mesh, "well"), options(Strategy::InPlace)).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "sick", "").await, "well");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_release_before_comes_back_in_the_place_of_one_that_does_not_start() {
    let text = format!("{TOPOLOGY}{}", sick("sick", "init = \"fault@rec:3-\"", ""));
    let mesh = Mesh::start(&text).await;
    let sick = Release::find(&airssys_tests::guest("prober")).unwrap();
    let first = mesh.runtime.deploy("sick", well(&mesh, "well"), options(Strategy::InPlace)).await.unwrap();
    assert_eq!(first.ended().await, Progress::Live);
    let mut downgrade = options(Strategy::InPlace);
    downgrade.allow_downgrade = true;
    let second = mesh.runtime.deploy("sick", sick, downgrade).await.unwrap();
    assert_eq!(second.ended().await, Progress::Live);
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    mesh.until("it crashed", |mesh| mesh.status("sick").crashed == 1).await;
    let back = mesh.runtime.rollback("sick", options(Strategy::InPlace)).unwrap();
    assert_eq!(back.ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "sick", "").await, "well");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_takes_over_where_one_of_it_does_not_start() {
    let both = sick("sick", "init = \"fault@rec:2-\"", "") + &sick("other", "", "");
    let mesh = Mesh::start(&format!("{TOPOLOGY}{both}")).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    mesh.until("it crashed", |mesh| mesh.status("sick").crashed == 1).await;
    let set = ["other", "sick"].map(|service| (service.to_owned(), well(&mesh, "well")));
    for (service, deployment) in mesh.runtime.deploy_set(set.to_vec(), options(Strategy::InPlace)).await.unwrap() {
        assert_eq!(deployment.ended().await, Progress::Live, "{service}");
        assert_eq!(answer(&mesh, &service, "").await, "well");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_no_better_leaves_the_sick_one_and_what_waits_for_it() {
    let text = format!("{TOPOLOGY}{}", sick("sick", "init = \"fault@rec:2-2\"", ""));
    let mesh = Mesh::start(&text.replace("initial = \"1h\", max = \"1h\"", "initial = \"1s\", max = \"1s\"")).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    mesh.until("it crashed", |mesh| mesh.status("sick").crashed == 1).await;
    let release = well(&mesh, "no-better");
    std::fs::write(&release.component, shifter("no-better", "init-fails")).unwrap();
    let deployment = mesh.runtime.deploy("sick", release, options(Strategy::InPlace)).await.unwrap();
    assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }));
    assert_eq!(mesh.ok("sick", &Command::Count).await, json!(1), "it got better by itself");
    mesh.stop().await;
}

/// A release that answers with what it was told, and needs no state.
fn echo(mesh: &Mesh) -> Release {
    let built = airssys_tests::guest("echo").parent().unwrap().join("target/airssys/echo.wasm");
    let path = mesh.folder.path().join("echo.wasm");
    std::fs::copy(built, &path).unwrap();
    std::fs::write(path.with_extension("toml"), "name = \"echo\"\nversion = \"9.0.0\"\n").unwrap();
    Release::find(&path).unwrap()
}

/// Waits until a child of the root is down; which.
async fn until_down(mesh: &Mesh) -> ChildId {
    let all = async {
        loop {
            let children = mesh.runtime.root().which_children().await.unwrap();
            if let Some(down) = children.into_iter().find(|child| child.status == ChildStatus::Down) {
                return down.id;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap()
}

/// The strategies by which they are switched.
fn strategies() -> Vec<Strategy> {
    let rolling = |max_unavailable| {
        let mut rolling = Rolling::default();
        (rolling.max_unavailable, rolling.bake) = (max_unavailable, Duration::ZERO);
        Strategy::Rolling(rolling)
    };
    vec![Strategy::InPlace, rolling(1), rolling(3), Strategy::BlueGreen]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_ended_for_good_are_passed_over_and_told() {
    for more in ["instances = 4\nrestart = \"transient\"", "instances = 4\nrestart = \"transient\"\npartitioned = true"]
    {
        for strategy in strategies() {
            let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "", more))).await;
            let _no_answer = mesh.ask("sick", &Command::Exit(0)).await;
            let ended = until_down(&mesh).await;
            let deployment = mesh.runtime.deploy("sick", echo(&mesh), options(strategy.clone())).await.unwrap();
            assert_eq!(deployment.ended().await, Progress::Live, "{more} {strategy:?}");
            assert_eq!(
                mesh.runtime.deployment_status(&deployment).passed_over,
                [ended.as_str()],
                "{more} {strategy:?}"
            );
            assert!(mesh.runtime.deployment_status(&deployment).notes[0].contains(ended.as_str()));
            let history = mesh.runtime.history("sick");
            assert_eq!(history.last().unwrap().notes, mesh.runtime.deployment_status(&deployment).notes);
            mesh.runtime.root().restart_child(ended.clone()).await.unwrap();
            // Whichever member answers.
            for key in 0..40 {
                let answer = mesh.runtime.call(("sick", &format!("k{key}")), who(), PATIENCE).await;
                assert_eq!(answer.unwrap().unwrap(), who());
            }
            mesh.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_by_itself_is_started_again_with_the_release_that_takes_over() {
    for more in ["restart = \"transient\"", "restart = \"transient\"\ninstances = 2"] {
        let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "", more))).await;
        let members = mesh.runtime.root().count_children().await.unwrap().active - 1;
        for times in 1..=members {
            let _no_answer = mesh.ask("sick", &Command::Exit(0)).await;
            let left = |active| active == 1 + members - times;
            let all = async {
                while !left(mesh.runtime.root().count_children().await.unwrap().active) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it never ended");
        }
        // One that is no better leaves it as it was, and keeps no other one out.
        let release = well(&mesh, "no-better");
        std::fs::write(&release.component, shifter("no-better", "init-fails")).unwrap();
        let deployment = mesh.runtime.deploy("sick", release, options(Strategy::InPlace)).await.unwrap();
        assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }), "{more}");
        let deployment = mesh.runtime.deploy("sick", echo(&mesh), options(Strategy::InPlace)).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{more}");
        assert_eq!(mesh.runtime.deployment_status(&deployment).passed_over, <[String; 0]>::default(), "{more}");
        assert_eq!(mesh.runtime.call("sick", who(), PATIENCE).await.unwrap().unwrap(), who());
        assert_eq!(mesh.runtime.root().count_children().await.unwrap().active, 1 + members, "{more}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_hangs_while_it_wakes_takes_the_release_that_is_deployed() {
    let more = format!("keyed = {{}}\n{HOUR}");
    let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "init = \"hang@rec:1-\"", &more))).await;
    let waits = mesh.runtime.call(("sick", "k"), who(), PATIENCE);
    let deploys = async {
        until_inits(&mesh, "sick/k", 1).await;
        let deployment = mesh.runtime.deploy("sick", well(&mesh, "well"), options(Strategy::InPlace)).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
    };
    let (waited, ()) = tokio::join!(waits, deploys);
    assert_eq!(serde_json::from_slice::<Value>(&waited.unwrap().unwrap()).unwrap()["release"], "well");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_hangs_while_it_falls_asleep_keeps_no_release_out() {
    let more = format!("keyed = {{ idle_timeout = \"10ms\" }}\n{HOUR}");
    let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "stop = \"hang@rec:1-\"", &more))).await;
    let answer_of = mesh.runtime.call(("sick", "k"), Command::Count.bytes(), PATIENCE).await;
    assert!(answer_of.is_ok(), "{answer_of:?}");
    let stops = Command::Increment { key: "stop of sick/k".to_owned(), by: 0 };
    let all = async {
        while mesh.ok("rec", &stops).await == json!(0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it never fell asleep");
    let deployment = mesh.runtime.deploy("sick", well(&mesh, "well"), options(Strategy::InPlace)).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "sick", "k").await, "well");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_hangs_in_its_start_takes_the_release_that_is_deployed() {
    let overseer = "[[service]]\nname = \"overseer\"\nrelease = \"@overseer\"\ngrants = { spawn = [\"sick/*\"] }\n";
    let more = format!("spawned = {{}}\n{HOUR}");
    let text = format!("{TOPOLOGY}{overseer}{}", sick("sick", "init = \"hang@rec:1-\"", &more));
    let mesh = Mesh::start(&text).await;
    mesh.ok("overseer", &Command::Spawn { service: "sick".into(), name: "a".into() }).await;
    until_inits(&mesh, "sick/a", 1).await;
    let deployment = mesh.runtime.deploy("sick", well(&mesh, "well"), options(Strategy::InPlace)).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "sick/a", "").await, "well");
    mesh.stop().await;
}

/// Brings a mesh to edited topologies, one after the other; then its prober is well.
async fn apply(mesh: Mesh, texts: &[String]) {
    let Mesh { runtime, folder } = mesh;
    for text in texts {
        let file = folder.path().join("airssys.toml");
        std::fs::write(&file, with_guests(text)).unwrap();
        let applied = runtime.apply(Topology::read(&file).unwrap(), options(Strategy::InPlace)).await;
        assert!(applied.is_ok(), "{:?}", applied.err());
    }
    let answer = runtime.call("sick", Command::Count.bytes(), PATIENCE).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "ok": 1 }));
    let report = runtime.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_mends_a_service_that_does_not_start() {
    let before = format!("{TOPOLOGY}{}", sick("sick", "init = \"fault@rec:2-\"", ""));
    let mesh = Mesh::start(&before).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    mesh.until("it crashed", |mesh| mesh.status("sick").crashed == 1).await;
    // Its configuration is what it cannot start with.
    apply(mesh, &[before.replace("fault@rec:2-", "ok")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_of_other_rules_waits_for_no_start() {
    let before = format!("{TOPOLOGY}{}", sick("sick", "init = \"hang@rec:2-\"", HOUR))
        .replace("initial = \"1h\", max = \"1h\"", "initial = \"1ms\", max = \"1ms\"");
    let mesh = Mesh::start(&before).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    until_inits(&mesh, "sick", 2).await;
    let after = before.replace("turn_deadline = \"1h\"", "turn_deadline = \"2h\"");
    let mended = after.replace("hang@rec:2-", "ok");
    apply(mesh, &[after, mended]).await;
}

/// A pool of three lanes, one of which crashed and does not start any more.
async fn with_a_sick_member() -> Mesh {
    let more = "instances = 3\npartitioned = true";
    let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "init = \"fault@rec:4-\"", more))).await;
    until_inits(&mesh, "sick", 3).await;
    let crashed = mesh.runtime.call(("sick", "k"), Command::Trap(Trap::Panic).bytes(), PATIENCE).await;
    assert!(crashed.is_err(), "{crashed:?}");
    mesh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_taken_over_whatever_one_of_its_members_does() {
    let canary = Strategy::Canary { steps: vec![30.0, 60.0] };
    for strategy in strategies().into_iter().chain([canary]) {
        let mesh = with_a_sick_member().await;
        let mut options = options(strategy.clone());
        (options.gate.bake, options.gate.samples) = (Duration::from_millis(10), 0);
        let deployment = mesh.runtime.deploy("sick", well(&mesh, "well"), options).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{strategy:?}");
        for key in 0..20 {
            assert_eq!(answer(&mesh, "sick", &format!("k{key}")).await, "well", "{strategy:?}");
        }
        assert_eq!(answer(&mesh, "sick", "k").await, "well", "{strategy:?}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_begins_with_a_member_that_runs() {
    // Whichever two of the three ended.
    for _ in 0..5 {
        let mesh =
            Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "", "instances = 3\nrestart = \"transient\""))).await;
        let _no_answers = (mesh.ask("sick", &Command::Exit(0)).await, mesh.ask("sick", &Command::Exit(0)).await);
        // The root's children: who counts, and who is left.
        while mesh.runtime.root().count_children().await.unwrap().active > 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let canary = Strategy::Canary { steps: vec![1.0] };
        let deployment = mesh.runtime.deploy("sick", echo(&mesh), options(canary)).await.unwrap();
        let baking = async {
            loop {
                if let Progress::Baking { step, have, of, .. } = deployment.progress() {
                    return (step, have, of);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert_eq!(tokio::time::timeout(PATIENCE, baking).await.unwrap(), (1, 1, 3));
        assert_eq!(mesh.runtime.call("sick", who(), PATIENCE).await.unwrap().unwrap(), who());
        deployment.cancel();
        deployment.ended().await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_passed_over_goes_back_with_the_others() {
    let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "", "instances = 3\nrestart = \"transient\""))).await;
    let _no_answer = mesh.ask("sick", &Command::Exit(0)).await;
    let ended = until_down(&mesh).await;
    let mut long = options(Strategy::InPlace);
    long.probation = Duration::from_secs(3_600);
    let deployment = mesh.runtime.deploy("sick", echo(&mesh), long).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }));
    let forth = mesh.runtime.deploy("sick", echo(&mesh), options(Strategy::InPlace)).await.unwrap();
    assert_eq!(forth.ended().await, Progress::Live);
    let back = mesh.runtime.rollback("sick", options(Strategy::InPlace)).unwrap();
    assert_eq!(back.ended().await, Progress::Live);
    assert_eq!(mesh.runtime.deployment_status(&back).passed_over, [ended.as_str()]);
    mesh.runtime.root().restart_child(ended).await.unwrap();
    for _ in 0..20 {
        // Whichever member answers: an echo would say what it was told.
        assert!(mesh.ok("sick", &Command::Count).await.is_u64());
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_started_again_on_probation_has_the_release_that_is_on_it() {
    let mesh = Mesh::start(&format!("{TOPOLOGY}{}", sick("sick", "", "instances = 2\nrestart = \"transient\""))).await;
    let _no_answer = mesh.ask("sick", &Command::Exit(0)).await;
    let ended = until_down(&mesh).await;
    let mut long = options(Strategy::InPlace);
    long.probation = Duration::from_secs(3_600);
    let deployment = mesh.runtime.deploy("sick", echo(&mesh), long).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    mesh.runtime.root().restart_child(ended).await.unwrap();
    for _ in 0..20 {
        assert_eq!(mesh.runtime.call("sick", who(), PATIENCE).await.unwrap().unwrap(), who());
    }
    // It goes back with the others.
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::RolledBack { .. }));
    for _ in 0..20 {
        assert!(mesh.ok("sick", &Command::Count).await.is_u64());
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_passes_over_a_member_that_ended() {
    let both = sick("sick", "", "instances = 2\nrestart = \"transient\"") + &sick("other", "", "");
    let mesh = Mesh::start(&format!("{TOPOLOGY}{both}")).await;
    let _no_answer = mesh.ask("sick", &Command::Exit(0)).await;
    let ended = until_down(&mesh).await;
    let set = ["other", "sick"].map(|service| (service.to_owned(), echo(&mesh)));
    for (service, deployment) in mesh.runtime.deploy_set(set.to_vec(), options(Strategy::InPlace)).await.unwrap() {
        assert_eq!(deployment.ended().await, Progress::Live, "{service}");
        let expected: &[&str] = if service == "sick" { &[ended.as_str()] } else { &[] };
        assert_eq!(mesh.runtime.deployment_status(&deployment).passed_over, expected, "{service}");
    }
    mesh.stop().await;
}
