//! No gate is decided by a single event: not by one crash, nor by one health check that fails.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, counter_with, quick};
use airssys_tests::{Mesh, PATIENCE, guest};
use airssys_wasm::deploy::{DeployOptions, Portion, Progress, Rolling, Setback, Strategy};
use airssys_wasm::registry::Release;
use prober_protocol::{Command, Trap};

const KEYS: usize = 40;

/// The prober, with other bytes and another version.
fn next(folder: &Path) -> Release {
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section called `next`, and nothing in it.
    bytes.extend(b"\0\x05\x04next");
    let path = folder.join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(folder.join("next.toml"), "name = \"prober\"\nversion = \"0.2.0\"\n[requests]\ncall = [\"rec\"]\n")
        .unwrap();
    Release::find(&path).unwrap()
}

fn canary() -> Strategy {
    Strategy::Canary { steps: vec![10.0, 50.0] }
}

fn comparing() -> Strategy {
    let mut rolling = Rolling::default();
    (rolling.batch, rolling.bake, rolling.compare) = (Portion::Percent(50.0), Duration::from_millis(50), true);
    Strategy::Rolling(rolling)
}

/// A gate that bears more failures, by this share.
fn gated(strategy: Strategy, errors: f64) -> DeployOptions {
    let mut options = quick();
    options.strategy = strategy;
    options.gate.bake = Duration::from_millis(50);
    options.gate.samples = 20;
    options.gate.errors = errors;
    // What takes how long is not what these tests are about.
    options.gate.latency = 1e6;
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_messages_crash_both_releases_can_be_upgraded() {
    for strategy in [canary(), comparing(), Strategy::Shadow { tolerate: 0.0 }] {
        let mesh = Mesh::start(
            "name = \"mesh\"\n[root]\nintensity = 1000000\n[[service]]\nname = \"actor\"\nrelease = \"@prober\"\ninstances = 4\n",
        )
        .await;
        // None of them is one failed turn more of the new release: even a gate that bears hardly any lets it live.
        let options = gated(strategy.clone(), 0.2);
        let mesh = Arc::new(mesh);
        let (over, crashed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (mesh, over, crashed) = (Arc::clone(&mesh), Arc::clone(&over), Arc::clone(&crashed));
                tokio::spawn(async move {
                    for number in 1_u64.. {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        // Five of a hundred.
                        if number % 20 == 0 {
                            let refused = mesh.ask("actor", &Command::Trap(Trap::Panic)).await;
                            assert!(refused.is_err(), "it crashes whoever handles it: {refused:?}");
                            crashed.fetch_add(1, Ordering::Relaxed);
                        } else {
                            mesh.ok("actor", &Command::Echo(1.into())).await;
                        }
                    }
                })
            })
            .collect();
        let deployment = mesh.runtime.deploy("actor", next(mesh.folder.path()), options).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{strategy:?}");
        over.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.await.unwrap();
        }
        assert!(crashed.load(Ordering::Relaxed) > 0, "{strategy:?}");
        let dead = mesh.runtime.dead_letters().0;
        assert_eq!(dead, crashed.load(Ordering::Relaxed), "{strategy:?}: each is a dead letter once");
        Arc::into_inner(mesh).unwrap().stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_new_release_crashes_over_is_handled_by_the_old_one_and_counts() {
    let pool = counter_with("instances = 4\npartitioned = true\nmailbox = { capacity = 64 }");
    let keyed = counter_with("keyed = { max_awake = 20, idle_timeout = \"1h\" }\nmailbox = { capacity = 8 }");
    for (topology, strategy) in [(&pool, canary()), (&pool, comparing()), (&keyed, canary())] {
        // It crashes over every fourth message of an instance, and the root bears three crashes.
        for (errors, gets_on) in [(0.5, true), (0.05, false)] {
            let cell = format!("{topology}, {strategy:?}, {errors}");
            let deploying = Deploying::start(topology).await;
            let load = Load::with_keys(&deploying, KEYS, "key ");
            let release = deploying.release("two", "crashes-on-4");
            let mut options = gated(strategy.clone(), errors);
            options.probation = Duration::from_secs(3_600);
            let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
            match deployment.switched().await {
                Progress::Probation if gets_on => {
                    load.more(400).await;
                    deployment.cancel();
                    assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled }, "{cell}");
                }
                Progress::RolledBack { reason: Setback::Failing { new, .. } } if !gets_on => {
                    assert!(new.failed > 1, "{cell}: {new:?}");
                }
                end => panic!("{cell}: {end:?}"),
            }
            let kept = load.settle(&deploying).await;
            assert_eq!(deploying.states(), kept, "{cell}: each message once, and nothing else");
            deploying.stop().await;
        }
    }
}

/// The looks at its health are an hour apart: nobody waits for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_crashes_over_each_message_is_judged_after_the_first_few() {
    let pool = counter_with("instances = 4\npartitioned = true\nmailbox = { capacity = 64 }");
    let keyed = counter_with("keyed = { max_awake = 20, idle_timeout = \"1h\" }\nmailbox = { capacity = 8 }");
    // How many have it: one of four, two of four, and some of the keys.
    for (topology, strategy, members) in [(&pool, canary(), 1), (&pool, comparing(), 2), (&keyed, canary(), 10)] {
        let cell = format!("{topology}, {strategy:?}");
        let deploying = Deploying::start(topology).await;
        let load = Load::with_keys(&deploying, KEYS, "key ");
        load.more(400).await;
        let mut options = DeployOptions::default();
        options.gate.bake = Duration::from_secs(10 * 3_600);
        options.strategy = match strategy {
            Strategy::Rolling(mut rolling) => {
                rolling.bake = options.gate.bake;
                Strategy::Rolling(rolling)
            }
            strategy => strategy,
        };
        let release = deploying.release("two", "crashes-on-1");
        let end = deploying.runtime.deploy("counter", release, options).await.unwrap().ended().await;
        let Progress::RolledBack { reason: Setback::Failing { new, .. } } = &end else { panic!("{cell}: {end:?}") };
        assert!(new.failed > 1, "{cell}: one is no verdict: {new:?}");
        let crashed = deploying.status("counter").crashed;
        assert!(crashed <= 6 * members, "{cell}: {crashed} crashes, {new:?}");
        let kept = load.settle(&deploying).await;
        assert_eq!(deploying.states(), kept, "{cell}: each message once, and nothing else");
        deploying.stop().await;
    }
}

/// One that answers with an error instead of crashing is no different: nobody waits for the next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_turns_fail_is_judged_when_enough_have() {
    let deploying = Deploying::start(&counter_with("instances = 4\npartitioned = true")).await;
    let mut options = DeployOptions::default();
    options.gate.bake = Duration::from_secs(10 * 3_600);
    options.strategy = canary();
    let release = deploying.release("two", "refuses-probes");
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    while !matches!(deployment.progress(), Progress::Baking { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ask = async |from: &str, number: u64| {
        let mut failed = 0;
        for key in 0..KEYS {
            let body = serde_json::json!({ "from": from, "number": number }).to_string();
            let answer = deploying.runtime.call(("counter", &format!("key {key}")), body, PATIENCE).await;
            failed += u64::from(answer.is_err());
        }
        failed
    };
    // Enough of the old release, and of the new one.
    for number in 1..=20 {
        assert_eq!(ask("well", number).await, 0);
    }
    let mut failed = 0;
    for number in 1.. {
        failed += ask("probe", number).await;
        if deployment.progress().is_over() {
            break;
        }
    }
    let end = deployment.ended().await;
    let Progress::RolledBack { reason: Setback::Failing { new, .. } } = &end else { panic!("{end:?}") };
    assert!(failed > 1 && new.failed > 1, "{failed}, {new:?}");
    // Of 200 turns and more two may fail. Between two looks there would be tens of thousands.
    assert!(new.failed < 1_000, "{new:?}");
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_health_check_that_fails_is_no_verdict_and_two_in_a_row_are() {
    // The first is that of the old release's start, the second that of the new one's.
    for (failing, goes_live) in [("4-4", true), ("4-5", false)] {
        for keyed in ["", "keyed = { idle_timeout = \"20ms\" }\n"] {
            let topology = format!(
                "name = \"mesh\"\n[root]\nintensity = 100\n[[service]]\nname = \"rec\"\nrelease = \"@prober\"\n[[service]]\nname = \"actor\"\nrelease = \"@prober\"\n\
                 grants = {{ call = [\"rec\"] }}\nconfig = {{ health = \"fault@rec:{failing}\" }}\n{keyed}"
            );
            let mesh = Mesh::start(&topology).await;
            let to = if keyed.is_empty() { "actor" } else { "actor/a" };
            mesh.ok(to, &Command::Echo(1.into())).await;
            let release = next(mesh.folder.path());
            let mut options = quick();
            options.probation = Duration::from_secs(2);
            let deployment = mesh.runtime.deploy("actor", release, options).await.unwrap();
            while !deployment.progress().is_over() {
                if !keyed.is_empty() {
                    mesh.ok(to, &Command::Echo(1.into())).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let end = deployment.ended().await;
            let expected = match &end {
                Progress::Live => goes_live,
                Progress::RolledBack { reason } => {
                    !goes_live && (reason.to_string().contains("health") || matches!(reason, Setback::Unwell(_)))
                }
                _ => false,
            };
            assert!(expected, "{failing}, {keyed}: {end:?}");
            mesh.stop().await;
        }
    }
}
