//! A large component is deployed as the baseline compiler makes it, compiled better while it serves, and takes over
//! from itself without anybody noticing.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, TOPOLOGY, counter_with, quick};
use airssys_tests::{PATIENCE, heir, shifter};
use airssys_wasm::command::Tier;
use airssys_wasm::deploy::Progress;
use airssys_wasm::registry::Release;
use serde_json::json;

/// Every component is large.
fn hasty(topology: &str) -> String {
    topology.replace("[settings]", "[settings]\nbaseline_from = \"1B\"")
}

/// Deploys a release of these bytes; it is live, and compiled by the baseline compiler.
async fn deploy(deploying: &Deploying, bytes: &[u8], manifest: &str) {
    let path = deploying.path("next");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(path.with_extension("toml"), format!("name = \"next\"\nversion = \"2.0.0\"\n{manifest}")).unwrap();
    let release = Release::find(&path).unwrap();
    let mut options = quick();
    options.probation = Duration::from_millis(50);
    options.allow_downgrade = true;
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_is_handed_over_goes_along() {
    let deploying = Deploying::start_cold(&hasty(TOPOLOGY)).await;
    let load = Load::start(&deploying);
    let instances = || deploying.status("counter").started;
    deploy(&deploying, &heir("two", "healthy", 0), "").await;
    // It serves as it was made in haste, or is better already.
    let before = instances();
    assert!(before >= 2);
    until("it is compiled again", || deploying.status("counter").tier == Tier::Optimized && instances() == 3).await;
    load.more(200).await;
    load.end(&deploying).await;
    let seen = deploying.ask("who", 1).await["seen"].as_u64().unwrap();
    assert!(seen > 200, "it remembers those before it: {seen}");
    assert_eq!(deploying.runtime.history("counter").len(), 1, "it is no deployment");
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_is_not_handed_over_stays_until_the_actor_starts_again() {
    let deploying = Deploying::start_cold(&hasty(TOPOLOGY)).await;
    deploy(&deploying, &shifter("two", "crashes-on-4"), "").await;
    for number in 1..=3 {
        assert_eq!(deploying.ask("a", number).await["seen"], json!(number));
    }
    until("it is compiled again", || deploying.status("counter").tier == Tier::Optimized).await;
    assert_eq!(deploying.status("counter").started, 2, "the instance that serves is the one that was deployed");
    // The fourth message: it crashes, and comes back as itself, better compiled.
    let body = json!({ "from": "a", "number": 4 }).to_string();
    assert!(deploying.runtime.call("counter", body, PATIENCE).await.is_err());
    let answer = deploying.ask("a", 4).await;
    assert_eq!((&answer["release"], &answer["seen"]), (&json!("two"), &json!(1)));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_is_a_cache_is_not_kept() {
    let deploying = Deploying::start_cold(&hasty(TOPOLOGY)).await;
    deploy(&deploying, &shifter("two", "healthy"), "memory = \"cache\"\n").await;
    until("it is compiled again", || deploying.status("counter").started == 3).await;
    assert_eq!(deploying.ask("a", 1).await, json!({ "release": "two", "seen": 1 }));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_keyed_service_wake_with_the_better_code() {
    let topology = hasty(&counter_with("keyed = { max_awake = 4, idle_timeout = \"20ms\" }"));
    let deploying = Deploying::start_cold(&topology).await;
    let load = Load::with_keys(&deploying, 40, "key ");
    deploy(&deploying, &shifter("two", "healthy"), "").await;
    until("it is compiled again", || deploying.status("counter").tier == Tier::Optimized).await;
    load.more(400).await;
    load.end(&deploying).await;
    assert_eq!(deploying.ask_key("key 1", "who", 1).await["release"], json!("two"));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_small_is_compiled_well_at_once() {
    let deploying = Deploying::start_cold(TOPOLOGY).await;
    deploy(&deploying, &shifter("two", "healthy"), "").await;
    assert_eq!(deploying.status("counter").tier, Tier::Optimized);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_and_another_deployment_meanwhile_are_what_counts() {
    let deploying = Deploying::start_cold(&hasty(TOPOLOGY)).await;
    let load = Load::start(&deploying);
    let mut last = String::new();
    for round in 0..4 {
        let name = format!("r{round}");
        deploy(&deploying, &shifter(&name, "healthy"), "memory = \"cache\"\n").await;
        assert_eq!(deploying.runtime.rollback("counter", quick()).unwrap().ended().await, Progress::Live);
        assert_eq!(deploying.runtime.rollback("counter", quick()).unwrap().ended().await, Progress::Live);
        load.more(100).await;
        last = name;
    }
    load.end(&deploying).await;
    assert_eq!(deploying.ask("who", 1).await["release"], json!(last));
    deploying.stop().await;
}
