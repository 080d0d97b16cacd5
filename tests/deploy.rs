//! Another release takes a service over while messages keep flowing: none is lost, none comes twice, none out of order,
//! and it is always known which release is live.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, TOPOLOGY, counter_with, quick};
use airssys_tests::in_the_way::InTheWay;
use airssys_tests::{Mesh, PATIENCE, log, shifter, told, until};
use airssys_wasm::command::{Act, Recovery};
use airssys_wasm::deploy::{DeployError, Progress, Setback};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use prober_protocol::Command;
use serde_json::{Value, json};

/// How often something is put in the way of a write at the right moment, which is short.
const TRIES: u32 = 200;

/// What a release does, whether it ends up live, and why not.
type Case = (&'static str, fn(&Progress) -> bool);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_new_release_does_nothing_is_lost_repeated_or_reordered() {
    let cases: [Case; 10] = [
        ("healthy", |end| *end == Progress::Live),
        // Its health check knows; else nobody would tell.
        ("wrong-answers", |end| matches!(end, Progress::RolledBack { reason: Setback::Unwell(_) })),
        ("slow", |end| *end == Progress::Live),
        ("check-fails", |end| matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) })),
        ("init-grows", |end| matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) })),
        ("grows-on-4", |end| matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) })),
        ("init-fails", |end| matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) })),
        ("init-traps", |end| matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) })),
        ("init-hangs", |end| matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) })),
        ("crashes-on-4", |end| matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) })),
    ];
    for (way, expected) in cases {
        let deploying = Deploying::start(TOPOLOGY).await;
        let before = deploying.runtime.live_digest("counter").unwrap();
        let load = Load::start(&deploying);
        load.more(200).await;
        let mut options = quick();
        if !expected(&Progress::Live) {
            // It goes back long before that; how long it takes is not what is tested.
            options.probation = PATIENCE;
        }
        let deployment = deploying.runtime.deploy("counter", deploying.release("two", way), options).await.unwrap();
        let end = deployment.ended().await;
        assert!(expected(&end), "{way}: {end:?}");
        load.more(200).await;
        let expected = load.settle(&deploying).await;
        assert_eq!(deploying.states(), expected, "{way}: each message once, and nothing else");
        let live = deploying.ask("who", 1).await;
        let name = if end == Progress::Live { "two" } else { "one" };
        assert_eq!(live["release"], json!(name), "{way}");
        assert_eq!(deploying.runtime.live_digest("counter").unwrap() == before, name == "one", "{way}");
        assert_eq!(deploying.status("sibling").started, 1, "{way}: the sibling was never touched");
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_hosted_is_refused_before_anything_changes() {
    let deploying = Deploying::start(TOPOLOGY).await;
    assert_eq!(deploying.ask("a", 1).await["release"], json!("one"));
    let broken: [(&str, Vec<u8>); 5] = [
        ("missing-import", wat::parse_str(r#"(component (import "acme:moon/phase@1.0.0" (instance)))"#).unwrap()),
        ("empty", Vec::new()),
        ("text", b"hello".to_vec()),
        ("truncated", shifter("two", "healthy")[..5_000].to_vec()),
        ("module", b"\0asm\x01\0\0\0".to_vec()),
    ];
    for (name, bytes) in broken {
        let path = deploying.path(name);
        std::fs::write(&path, bytes).unwrap();
        let release = Release::find(&path).unwrap();
        let refused = deploying.runtime.deploy("counter", release, quick()).await.unwrap_err();
        assert!(matches!(refused, DeployError::Release { .. }), "{name}: {refused}");
    }
    let again = Release::find(&deploying.path("one")).unwrap();
    let refused = deploying.runtime.deploy("counter", again.clone(), quick()).await.unwrap_err();
    assert!(matches!(refused, DeployError::AlreadyLive { .. }), "{refused}");
    let refused = deploying.runtime.deploy("nobody", again, quick()).await.unwrap_err();
    assert!(matches!(refused, DeployError::NoSuchService { .. }), "{refused}");
    let refused = deploying.runtime.rollback("counter", quick()).unwrap_err();
    assert!(matches!(refused, DeployError::NoPrevious { .. }), "{refused}");
    let answer = deploying.ask("a", 2).await;
    assert_eq!((&answer["release"], &answer["seen"]), (&json!("one"), &json!(2)), "the same instance goes on");
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_crashes_later_comes_back_as_itself() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let release = deploying.release("two", "crashes-on-4");
    let mut options = quick();
    options.probation = Duration::ZERO;
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    for number in 1..=3 {
        assert_eq!(deploying.ask("a", number).await["release"], json!("two"));
    }
    let body = json!({ "from": "a", "number": 4 }).to_string();
    assert!(deploying.runtime.call("counter", body, PATIENCE).await.is_err(), "it crashes on its fourth message");
    let answer = deploying.ask("a", 4).await;
    assert_eq!(
        (&answer["release"], &answer["seen"]),
        (&json!("two"), &json!(1)),
        "a fresh instance of the new release"
    );
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_keeps_what_was_committed_since() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let load = Load::start(&deploying);
    load.more(100).await;
    let forth = deploying.runtime.deploy("counter", deploying.release("two", "healthy"), quick()).await.unwrap();
    assert_eq!(forth.ended().await, Progress::Live);
    load.more(100).await;
    let back = deploying.runtime.rollback("counter", quick()).unwrap();
    assert_eq!(back.ended().await, Progress::Live);
    load.end(&deploying).await;
    assert_eq!(deploying.ask("who", 1).await["release"], json!("one"));
    // And forth again: what was left is one step back itself.
    let forth = deploying.runtime.rollback("counter", quick()).unwrap();
    assert_eq!(forth.ended().await, Progress::Live);
    assert_eq!(deploying.ask("who", 2).await["release"], json!("two"));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deployment_at_a_time_and_a_cancelled_one_never_was() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let load = Load::start(&deploying);
    let mut options = quick();
    options.probation = Duration::from_secs(3_600);
    let deployment = deploying.runtime.deploy("counter", deploying.release("two", "healthy"), options).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    let refused =
        deploying.runtime.deploy("counter", deploying.release("three", "healthy"), quick()).await.unwrap_err();
    assert!(matches!(refused, DeployError::UnderWay { .. }), "{refused}");
    let plan = deploying.runtime.plan("counter", deploying.release("three", "healthy"), quick()).await.unwrap();
    assert_eq!(plan.refusals.iter().map(|refusal| refusal.code.as_str()).collect::<Vec<_>>(), ["under-way"]);
    load.more(100).await;
    deployment.cancel();
    assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled });
    load.end(&deploying).await;
    assert_eq!(deploying.ask("who", 1).await["release"], json!("one"));
    let next = deploying.runtime.deploy("counter", deploying.release("three", "healthy"), quick()).await.unwrap();
    assert_eq!(next.ended().await, Progress::Live);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_writes_state_counts_once_however_busy_the_service_is() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let load = Load::start(&deploying);
    load.more(100).await;
    let release = deploying.release("two", "init-counts");
    let deployment = deploying.runtime.deploy("counter", release, quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    load.end(&deploying).await;
    assert_eq!(deploying.counted("starts"), 1);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_switches_as_a_whole_or_not_at_all() {
    let pool = counter_with(
        "instances = 3
partitioned = true",
    );
    let deploying = Deploying::start(&pool).await;
    let ask = |key: &'static str, number: u64| {
        let body = json!({ "from": "a", "number": number }).to_string();
        let runtime = Arc::clone(&deploying.runtime);
        async move {
            let answer = runtime.call(("counter", key), body, PATIENCE).await.unwrap().unwrap();
            serde_json::from_slice::<Value>(&answer).unwrap()
        }
    };
    const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let deployment = deploying.runtime.deploy("counter", deploying.release("two", "healthy"), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    for key in KEYS {
        assert_eq!(ask(key, 1).await["release"], json!("two"));
    }
    let release = deploying.release("three", "crashes-on-4");
    let mut options = quick();
    options.probation = Duration::from_secs(3_600);
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    // One member's fourth message: it goes back over it, and the others with it. Nobody who asks notices.
    for number in 2..=5 {
        ask("a", number).await;
    }
    assert!(matches!(deployment.ended().await, Progress::RolledBack { reason: Setback::Crashed(_) }));
    for key in KEYS {
        let number = if key == "a" { 6 } else { 2 };
        assert_eq!(ask(key, number).await["release"], json!("two"), "{key}");
    }
    assert_eq!((deploying.counted("out of order"), deploying.runtime.dead_letters().0), (0, 0));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_actors_of_a_keyed_service_switch_while_they_wake_and_sleep() {
    // Four awake at most, of many keys: they wake and fall asleep all the time.
    let keyed = counter_with("keyed = { max_awake = 4, idle_timeout = \"20ms\" }");
    const KEYS: u64 = 40;
    for (way, goes_live) in [("healthy", true), ("crashes-on-2", false), ("init-fails", false)] {
        let deploying = Deploying::start(&keyed).await;
        let over = Arc::<AtomicBool>::default();
        let load = tokio::spawn({
            let (runtime, over) = (Arc::clone(&deploying.runtime), Arc::clone(&over));
            async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    // Twice, so that whoever crashes on its second message does.
                    for (key, number) in (0..KEYS).flat_map(|key| [(key, 2 * number - 1), (key, 2 * number)]) {
                        let body = json!({ "from": "a", "number": number }).to_string();
                        runtime.call(("counter", &format!("key{key}")), body, PATIENCE).await.unwrap();
                    }
                }
                2 * number
            }
        });
        let handled = async || deploying.counted("handled") >= KEYS * 3;
        until("each key was awake more than once", handled).await;
        let release = deploying.release("two", way);
        let end = deploying.runtime.deploy("counter", release, quick()).await.unwrap().ended().await;
        assert_eq!(end == Progress::Live, goes_live, "{way}: {end:?}");
        over.store(true, Ordering::Relaxed);
        let sent = load.await.unwrap();
        assert_eq!(deploying.counted("handled"), sent * KEYS, "{way}: each message once");
        assert_eq!((deploying.counted("out of order"), deploying.runtime.dead_letters().0), (0, 0), "{way}");
        for key in 0..KEYS {
            let body = json!({ "from": "b", "number": 1 }).to_string();
            let answer = deploying.runtime.call(("counter", &format!("key{key}")), body, PATIENCE).await;
            let answer: Value = serde_json::from_slice(&answer.unwrap().unwrap()).unwrap();
            assert_eq!(answer["release"], json!(if goes_live { "two" } else { "one" }), "{way}");
        }
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_does_not_start_is_found_out_where_no_key_is_awake() {
    let deploying = Deploying::start(&counter_with("keyed = { idle_timeout = \"1ms\" }")).await;
    for number in 1..=2 {
        for way in ["init-fails", "init-traps", "init-hangs", "check-fails"] {
            let release = deploying.release("two", way);
            let end = deploying.runtime.deploy("counter", release, quick()).await.unwrap().ended().await;
            assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{way}: {end:?}");
        }
        assert_eq!(deploying.status("counter").keys, number - 1, "it is tried with no key of anybody's");
        // And where there is one that sleeps.
        assert_eq!(deploying.ask_key("a key", "a", number as u64).await["release"], json!("one"));
    }
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_of_a_keyed_service_that_is_just_starting_gets_the_release_that_is_live_in_the_end() {
    const KEYS: usize = 4;
    let deploying = Deploying::start(&counter_with("keyed = { idle_timeout = \"1h\" }")).await;
    let slow = deploying.release("slow", "init-slow");
    assert_eq!(deploying.runtime.deploy("counter", slow, quick()).await.unwrap().ended().await, Progress::Live);
    for (nth, (way, name)) in [("init-fails", "slow"), ("healthy", "two")].into_iter().enumerate() {
        let (handled, started) = (deploying.counted("handled"), deploying.status("counter").started);
        let asked: Vec<_> = (0..KEYS)
            .map(|key| {
                let runtime = Arc::clone(&deploying.runtime);
                let (key, body) = (format!("{way} {key}"), json!({ "from": "a", "number": 1 }).to_string());
                tokio::spawn(async move { runtime.call(("counter", &key), body, PATIENCE).await })
            })
            .collect();
        while deploying.status("counter").keys < KEYS * (nth + 1) {
            tokio::task::yield_now().await;
        }
        let release = deploying.release("two", way);
        let deployment = deploying.runtime.deploy("counter", release, quick()).await.unwrap();
        let end = deployment.ended().await;
        assert_eq!(end == Progress::Live, name == "two", "{end:?}");
        for answer in asked {
            let answer: Value = serde_json::from_slice(&answer.await.unwrap().unwrap().unwrap()).unwrap();
            assert!(answer["release"] == json!("slow") || answer["release"] == json!(name), "{answer}");
        }
        assert_eq!(deploying.counted("handled") - handled, KEYS as u64, "{way}: each message once");
        assert!(deploying.status("counter").started > started, "{way}");
        for key in 0..KEYS {
            let answer = deploying.ask_key(&format!("{way} {key}"), "who", 1).await;
            assert_eq!(answer["release"], json!(name), "{way}");
        }
    }
    assert_eq!((deploying.counted("out of order"), deploying.runtime.dead_letters().0), (0, 0));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_services_is_live_as_a_whole_or_not_at_all() {
    for (way, goes_live) in
        [("healthy", true), ("init-fails", false), ("crashes-on-4", false), ("wrong-answers", false)]
    {
        let deploying = Deploying::start(TOPOLOGY).await;
        let before = ["counter", "sibling"].map(|service| deploying.runtime.live_digest(service).unwrap());
        let load = Load::start(&deploying);
        load.more(100).await;
        let set = vec![
            ("sibling".to_owned(), deploying.release("three", "healthy")),
            ("counter".to_owned(), deploying.release("two", way)),
        ];
        let set = deploying.runtime.deploy_set(set, quick()).await.unwrap();
        for (service, deployment) in &set {
            let end = deployment.ended().await;
            assert_eq!(end == Progress::Live, goes_live, "{way}, {service}: {end:?}");
        }
        assert_eq!(set.len(), 2, "{way}");
        load.end(&deploying).await;
        let after = ["counter", "sibling"].map(|service| deploying.runtime.live_digest(service).unwrap());
        assert_eq!(before == after, !goes_live, "{way}");
        deploying.stop().await;
    }
    // What is refused is refused before anything changes, and leaves nobody waiting.
    let deploying = Deploying::start(TOPOLOGY).await;
    std::fs::write(deploying.path("text"), "hello").unwrap();
    let set = vec![
        ("sibling".to_owned(), deploying.release("three", "healthy")),
        ("counter".to_owned(), Release::find(&deploying.path("text")).unwrap()),
    ];
    let refused = deploying.runtime.deploy_set(set, quick()).await.unwrap_err();
    assert!(matches!(&refused, DeployError::Release { service, .. } if service == "counter"), "{refused}");
    // A gate would have nothing to compare.
    let set = vec![("sibling".to_owned(), deploying.release("three", "healthy"))];
    let mut judged = quick();
    judged.gate.errors = 0.5;
    let refused = told!(deploying.runtime.deploy_set(set, judged).await.unwrap_err());
    assert!(refused.starts_with("sibling cannot be deployed behind a gate: "), "{refused}");
    assert!(refused.ends_with("hint: without one, after each release was tried alone, as in a shadow"), "{refused}");
    let again = deploying.runtime.deploy("sibling", deploying.release("three", "healthy"), quick()).await.unwrap();
    assert_eq!(again.ended().await, Progress::Live);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_cannot_be_written_down_never_was() {
    // What it is about to do, or that it is live.
    for (is_begun, told) in [(false, 0), (true, 1)] {
        let deploying = Deploying::start_kept(TOPOLOGY, tempfile::tempdir().unwrap()).await;
        let load = Load::start(&deploying);
        load.more(100).await;
        let in_the_way = InTheWay::ready(&deploying.folder.path().join("data"));
        let mut try_number = 0;
        // Where it had ended before anything was in its way, it is tried again with another release.
        let (before, end, release) = loop {
            let before = deploying.runtime.live_digest("counter").unwrap();
            try_number += 1;
            let release = deploying.release(&format!("new-{try_number}"), "healthy");
            let was_free = is_begun || in_the_way.put();
            let deployment = deploying.runtime.deploy("counter", release.clone(), quick()).await.unwrap();
            if is_begun {
                deployment.switched().await;
            }
            let is_there = was_free && (!is_begun || in_the_way.put());
            let end = deployment.ended().await;
            if end != Progress::Live {
                break (before, end, release);
            }
            assert!(try_number < TRIES, "it is live all the same");
            if is_there {
                in_the_way.remove();
            }
        };
        let Progress::RolledBack { reason: Setback::NotRecorded(why) } = &end else { panic!("{told}: {end:?}") };
        assert!(why.contains("desired/records"), "{why}");
        assert_eq!(deploying.runtime.live_digest("counter").unwrap(), before);
        load.more(100).await;
        load.end(&deploying).await;
        let folder = deploying.stop().await;
        in_the_way.remove();
        let again = Deploying::start_kept(TOPOLOGY, folder).await;
        assert_eq!(again.runtime.live_digest("counter").unwrap(), before);
        // Where its end could not be written either, the next start does.
        let cut_off = again.runtime.recoveries().iter().filter(|found| matches!(found, Recovery::RolledBack { .. }));
        assert_eq!(cut_off.count(), told, "{:?}", again.runtime.recoveries());
        let end = again.runtime.deploy("counter", release, quick()).await.unwrap().ended().await;
        assert_eq!(end, Progress::Live, "with room again");
        again.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_whose_end_cannot_be_written_down_is_live_as_a_whole_or_not_at_all() {
    // The first one that is written decides: where it is, the others are live without, now and at the next start.
    for goes_live in [false, true] {
        let deploying = Deploying::start_kept(TOPOLOGY, tempfile::tempdir().unwrap()).await;
        let load = Load::start(&deploying);
        load.more(100).await;
        let in_the_way = Arc::new(InTheWay::ready(&deploying.folder.path().join("data")));
        let digests = || ["counter", "sibling"].map(|service| deploying.runtime.live_digest(service).unwrap());
        let mut try_number = 0;
        let before = loop {
            let before = digests();
            try_number += 1;
            assert!(try_number < TRIES, "{goes_live}: something was always in the way too late");
            let known = deploying.runtime.history("counter").len();
            let release = |name: &str| deploying.release(&format!("{name}-{try_number}"), "healthy");
            let set = vec![("sibling".to_owned(), release("three")), ("counter".to_owned(), release("two"))];
            let set = deploying.runtime.deploy_set(set, quick()).await.unwrap();
            let first = set.iter().find(|(service, _)| service == "sibling").map(|(_, first)| first.clone()).unwrap();
            let putting = Arc::clone(&in_the_way);
            let put = tokio::spawn(async move {
                if goes_live {
                    // Its end is written, and that of the other one is not, perhaps.
                    first.ended().await;
                }
                putting.put()
            });
            let mut ends = BTreeMap::new();
            for (service, deployment) in &set {
                ends.insert(service.clone(), deployment.ended().await);
            }
            let is_there = put.await.unwrap();
            let are_live = ends.values().all(|end| *end == Progress::Live);
            let is_missed = are_live && (!goes_live || deploying.runtime.history("counter").len() > known);
            if !is_missed {
                let of_the_set = |end: &Progress| matches!(end, Progress::RolledBack { reason: Setback::OfTheSet { service, .. } } if service == "sibling");
                let not_written =
                    |end: &Progress| matches!(end, Progress::RolledBack { reason: Setback::NotRecorded(_) });
                assert_eq!(are_live, goes_live, "{ends:?}");
                assert!(goes_live || (not_written(&ends["sibling"]) && of_the_set(&ends["counter"])), "{ends:?}");
                break before;
            }
            if is_there {
                in_the_way.remove();
            }
        };
        load.end(&deploying).await;
        let live = digests();
        assert!(before.iter().zip(&live).all(|(before, live)| (before == live) != goes_live), "{goes_live}");
        let folder = deploying.stop().await;
        in_the_way.remove();
        let again = Deploying::start_kept(TOPOLOGY, folder).await;
        let after = ["counter", "sibling"].map(|service| again.runtime.live_digest(service).unwrap());
        assert_eq!(after, live, "{goes_live}");
        let finished = |found: &Recovery| matches!(found, Recovery::Finished { service, with: Some(with), .. } if service == "counter" && with == "sibling");
        assert_eq!(again.runtime.recoveries().iter().any(finished), goes_live, "{:?}", again.runtime.recoveries());
        again.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_turn_is_cut_off_for_a_deployment_at_its_deadline() {
    let mesh = Mesh::start(
        r#"
        name = "hung"
        [[service]]
        name = "sleeper"
        release = "@prober"
        limits = { turn_deadline = "60s" }
        "#,
    )
    .await;
    let sleep = Command::Sleep(60_000);
    mesh.tell("sleeper", &sleep).await.unwrap();
    mesh.until("it sleeps", |mesh| mesh.status("sleeper").queued == 0).await;
    let path = mesh.folder.path().join("two.wasm");
    std::fs::write(&path, shifter("two", "healthy")).unwrap();
    let mut options = quick();
    options.handover_deadline = Duration::from_millis(50);
    let deployment = mesh.runtime.deploy("sleeper", Release::find(&path).unwrap(), options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(mesh.status("sleeper").crashed, 1);
    mesh.stop().await;
}

/// A mesh with a prober that may call another one, and another release of it.
async fn probers(settings: &str) -> (Mesh, Release) {
    let topology = format!(
        "name = \"moments\"\n{settings}\n[[service]]\nname = \"actor\"\nrelease = \"@prober\"\ngrants = {{ call = [\"other\"] }}\n\
         [[service]]\nname = \"other\"\nrelease = \"@prober\"\n"
    );
    let mesh = Mesh::start(&topology).await;
    let built = airssys_tests::guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section called `next`, and nothing in it: another release that does the same.
    bytes.extend(b"\0\x05\x04next");
    let path = mesh.folder.path().join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(mesh.folder.path().join("next.toml"), "name = \"prober\"\nversion = \"9.0.0\"\n").unwrap();
    let release = Release::find(&path).unwrap();
    (mesh, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_is_answered_by_the_old_one_and_what_waits_by_the_new_one() {
    log::listen();
    let (mesh, release) = probers("").await;
    let mesh = Arc::new(mesh);
    assert_eq!(mesh.ok("actor", &Command::Count).await, json!(1));
    // It is in the middle of a call to another one, which takes its time.
    let body = json!({ "sleep": 300 });
    let call = Command::Call { to: "other".to_owned(), key: None, body, timeout_ms: 60_000 };
    let ask = |command: Command| {
        let mesh = Arc::clone(&mesh);
        tokio::spawn(async move { mesh.ok("actor", &command).await })
    };
    let begun = Command::Log { level: prober_protocol::LogLevel::Info, line: "in flight".to_owned() };
    let in_flight = ask(Command::Do(vec![begun, call, Command::Count]));
    let has_begun = || log::of("airssys::guest", "actor").iter().any(|(_, fields)| fields["message"] == "in flight");
    mesh.until("it has begun", |_| has_begun()).await;
    let waits = ask(Command::Count);
    mesh.until("it waits", |mesh| mesh.status("actor").queued == 1).await;
    let deployment = mesh.runtime.deploy("actor", release, quick()).await.unwrap();
    let answered = in_flight.await.unwrap();
    assert_eq!(answered[2]["ok"], json!(2), "its second message: the instance that began it ended it: {answered}");
    assert_eq!(waits.await.unwrap(), json!(1), "the first message of a new instance");
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(mesh.status("actor").started, 2);
    assert!(mesh.dead().is_empty());
    Arc::into_inner(mesh).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_is_about_to_be_started_again_starts_with_the_new_release() {
    let (mesh, release) = probers("[root]\nintensity = 5\nbackoff = { initial = \"300ms\" }").await;
    let before = mesh.runtime.live_digest("actor");
    assert!(mesh.ask("actor", &Command::Trap(prober_protocol::Trap::Panic)).await.is_err());
    mesh.until("it crashed", |mesh| mesh.status("actor").crashed == 1).await;
    let deployment = mesh.runtime.deploy("actor", release, quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_ne!(mesh.runtime.live_digest("actor"), before);
    assert_eq!(mesh.ok("actor", &Command::Count).await, json!(1));
    // It crashes again, and comes back as what is live now.
    assert!(mesh.ask("actor", &Command::Trap(prober_protocol::Trap::Panic)).await.is_err());
    assert_eq!(mesh.ok("actor", &Command::Count).await, json!(1));
    assert_eq!(mesh.dead(), ["crashed", "crashed"]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onto_a_service_that_is_stopped_nothing_is_deployed_until_it_runs_again() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let runtime = &deploying.runtime;
    let first = runtime.deploy("counter", deploying.release("two", "healthy"), quick()).await.unwrap();
    assert_eq!(first.ended().await, Progress::Live);
    runtime.root().terminate_child("counter").await.unwrap();
    let next = || deploying.release("three", "healthy");
    let set = vec![("sibling".to_owned(), next()), ("counter".to_owned(), next())];
    let refused = [
        runtime.deploy("counter", next(), quick()).await.unwrap_err(),
        runtime.deploy_set(set, quick()).await.unwrap_err(),
        runtime.rollback("counter", quick()).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(&error, DeployError::Stopped { service } if service == "counter"), "{error}");
        assert_eq!(error.hint(), Some(Act::Start { service: "counter".to_owned() }.into()), "{error}");
    }
    let plan = runtime.plan("counter", next(), quick()).await.unwrap();
    assert_eq!(plan.refusals.first().map(|refusal| refusal.code.as_str()), Some("stopped"));
    assert_eq!(runtime.deployment("sibling").map(|known| known.progress()), None, "nothing has begun");

    runtime.root().restart_child("counter").await.unwrap();
    assert_eq!(deploying.ask("who", 0).await["release"], json!("two"), "as it was stopped");
    let deployment = runtime.deploy("counter", next(), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(deploying.ask("who", 0).await["release"], json!("three"));
    deploying.stop().await;
}
