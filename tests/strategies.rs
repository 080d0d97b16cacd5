//! Each strategy of a deployment against each way in which a release can fail, under load: nothing is lost, nothing
//! comes twice or out of order, and it is always known which release is live.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, TOPOLOGY, counter_with, quick};
use airssys_tests::{PATIENCE, heir, shifter, told};
use airssys_wasm::command::{Obstacle, TemplateError};
use airssys_wasm::deploy::{
    DeployError, DeployOptions, NoTraffic, Portion, Progress, Rolling, Setback, Strategy, TooFewTurns,
};
use airssys_wasm::error::{Crash, Stage};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Draft, Release, SecretKey, Store};
use serde_json::{Value, json};

const KEYS: usize = 40;
/// The probation of a release that is to be found out, which is the end of it. There are ten looks at its health in it.
const LONG: Duration = Duration::from_secs(10);

fn pool() -> String {
    counter_with("instances = 4\npartitioned = true\nmailbox = { capacity = 64 }")
}

/// Twenty awake at most, of twice as many keys: they wake and fall asleep all the time.
fn keyed() -> String {
    counter_with("keyed = { max_awake = 20, idle_timeout = \"20ms\" }\nmailbox = { capacity = 8 }")
}

fn rolling() -> Strategy {
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.max_unavailable = 2;
    rolling.bake = Duration::from_millis(100);
    Strategy::Rolling(rolling)
}

/// Rolling, with a gate after each batch.
fn comparing() -> Strategy {
    let Strategy::Rolling(mut rolling) = rolling() else { unreachable!("it is rolling") };
    rolling.compare = true;
    rolling.bake = Duration::ZERO;
    Strategy::Rolling(rolling)
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "{what}: it never came to it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn canary() -> Strategy {
    Strategy::Canary { steps: vec![10.0, 50.0] }
}

fn with(strategy: Strategy) -> DeployOptions {
    let mut options = quick();
    options.strategy = strategy;
    options.gate.bake = Duration::from_millis(100);
    options.gate.samples = 50;
    options
}

/// What a release does, whether each of the strategies lets it live, and why not.
type Case = (&'static str, fn(&Strategy, &Progress) -> bool);

fn live(_: &Strategy, end: &Progress) -> bool {
    *end == Progress::Live
}

/// An actor of a keyed service that wakes with it crashes over that.
fn does_not_start(_: &Strategy, end: &Progress) -> bool {
    matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) | Setback::Crashed(_) })
}

/// Where the two are compared a crash is a failed turn.
fn crashes(strategy: &Strategy, end: &Progress) -> bool {
    match strategy {
        Strategy::Canary { .. } => matches!(end, Progress::RolledBack { reason: Setback::Failing { .. } }),
        _ => matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) }),
    }
}

/// Its health check knows; else nobody would tell.
const WRONG: Case = ("wrong-answers", |_, end| matches!(end, Progress::RolledBack { reason: Setback::Unwell(_) }));

/// Where it may take as long as it likes.
const LEISURELY: Case = ("slow", live);

const CASES: [Case; 8] = [
    ("healthy", live),
    // Only who compares finds it.
    ("slow", |strategy, end| match strategy {
        Strategy::Canary { .. } => matches!(end, Progress::RolledBack { reason: Setback::Slow { .. } }),
        _ => *end == Progress::Live,
    }),
    ("check-fails", does_not_start),
    ("init-grows", does_not_start),
    ("init-traps", does_not_start),
    ("init-hangs", does_not_start),
    ("grows-on-4", crashes),
    ("crashes-on-4", crashes),
];

/// Deploys each kind of release, and asserts what became of it and of the messages.
async fn each_case(topology: &str, strategy: fn() -> Strategy, cases: &[Case]) {
    for (way, expected) in cases {
        let deploying = Deploying::start(topology).await;
        let load = Load::with_keys(&deploying, KEYS, "key ");
        load.more(400).await;
        let mut options = with(strategy());
        let goes_back = !expected(&options.strategy, &Progress::Live);
        if goes_back {
            options.probation = LONG;
        }
        // Each turn of the slow one takes longer than the millisecond that is always allowed, on any machine. What the
        // others take depends on what else the machine does: where that is not to count, any factor is allowed.
        options.gate.latency = if *way == "slow" && goes_back { 1e-6 } else { 1e6 };
        let release = deploying.release("two", way);
        let deployment = deploying.runtime.deploy("counter", release, options.clone()).await.unwrap();
        let end = deployment.ended().await;
        assert!(expected(&options.strategy, &end), "{way}: {end:?}");
        load.more(400).await;
        let kept = load.settle(&deploying).await;
        assert_eq!(deploying.states(), kept, "{way}: each message once, and nothing else");
        let name = if end == Progress::Live { "two" } else { "one" };
        for key in 0..KEYS {
            let answer = deploying.ask_key(&format!("key {key}"), "who", 1).await;
            assert_eq!(answer["release"], json!(name), "{way}: key {key}");
        }
        assert_eq!(deploying.status("sibling").started, 1, "{way}: the sibling was never touched");
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deployment_of_a_pool_ends_on_one_release() {
    each_case(&pool(), rolling, &[&CASES[..], &[WRONG]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deployment_of_a_keyed_service_ends_on_one_release() {
    each_case(&keyed(), rolling, &CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blue_green_deployment_of_a_pool_ends_on_one_release() {
    each_case(&pool(), || Strategy::BlueGreen, &[&CASES[..], &[WRONG]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blue_green_deployment_of_a_keyed_service_ends_on_one_release() {
    each_case(&keyed(), || Strategy::BlueGreen, &CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_a_pool_ends_on_one_release() {
    each_case(&pool(), canary, &[&CASES[..], &[WRONG, LEISURELY]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_a_keyed_service_ends_on_one_release() {
    each_case(&keyed(), canary, &CASES).await;
}

/// Of keys that are awake some are asked for their health, and each that falls asleep is before it does.
fn unwell(_: &Strategy, end: &Progress) -> bool {
    match end {
        Progress::RolledBack { reason: Setback::Crashed(Crash::Start { during, .. }) } => *during == Stage::HealthCheck,
        Progress::RolledBack { reason } => matches!(reason, Setback::Unwell(_)),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyed_service_goes_back_from_wrong_answers_that_its_health_check_sees() {
    let awake = counter_with("keyed = { idle_timeout = \"1h\" }\nmailbox = { capacity = 8 }");
    let strategies: [fn() -> Strategy; 4] = [|| Strategy::InPlace, rolling, || Strategy::BlueGreen, canary];
    for strategy in strategies {
        for topology in [&awake, &keyed()] {
            each_case(topology, strategy, &[("wrong-answers", unwell)]).await;
        }
    }
}

/// One that is awake for its few messages only, each time: nobody else asks it how it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_falls_asleep_on_probation_says_before_that_it_is_not_well() {
    let deploying = Deploying::start(&counter_with("keyed = { max_awake = 1, idle_timeout = \"1h\" }")).await;
    let mut options = quick();
    // Those who are awake are asked every five seconds.
    options.probation = Duration::from_secs(3_600);
    let deployment =
        deploying.runtime.deploy("counter", deploying.release("two", "wrong-answers"), options.clone()).await;
    let deployment = deployment.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    for number in 1..=4 {
        deploying.ask_key("a", "sender", number).await;
    }
    // There is one place, so `a` has to leave it.
    let _answer = deploying.ask_key("b", "who", 0).await;
    let end = tokio::time::timeout(PATIENCE, deployment.ended()).await.expect("it is found out");
    assert!(unwell(&options.strategy, &end), "{end:?}");
    assert_eq!(deploying.ask_key("a", "who", 0).await["release"], json!("one"));
    deploying.stop().await;
}

fn shadow() -> Strategy {
    Strategy::Shadow { tolerate: 0.0 }
}

fn differs(_: &Strategy, end: &Progress) -> bool {
    matches!(end, Progress::RolledBack { reason: Setback::Differs { .. } })
}

/// Whatever it does it does in the shadow, where it harms nobody.
const SHADOWED: [Case; 10] = [
    ("healthy", live),
    ("slow", |_, end| matches!(end, Progress::RolledBack { reason: Setback::Slow { .. } })),
    ("wrong-answers", differs),
    ("counts-twice", differs),
    ("init-grows", differs),
    ("init-traps", differs),
    ("init-fails", differs),
    ("init-hangs", differs),
    ("grows-on-4", differs),
    ("crashes-on-4", differs),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_of_a_pool_ends_on_one_release() {
    each_case(&pool(), shadow, &[&SHADOWED[..], &[LEISURELY]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_of_a_keyed_service_ends_on_one_release() {
    each_case(&keyed(), shadow, &SHADOWED).await;
}

/// Each strategy on a service with one actor, with a pool of them, and with one for each key, where that is something
/// else.
fn everywhere() -> Vec<(String, Strategy)> {
    let last_first = || {
        let Strategy::Rolling(mut rolling) = rolling() else { unreachable!("it is rolling") };
        rolling.last_first = true;
        Strategy::Rolling(rolling)
    };
    let mut all: Vec<_> =
        [Strategy::InPlace, Strategy::BlueGreen, shadow()].map(|strategy| (TOPOLOGY.to_owned(), strategy)).into();
    for topology in [pool(), keyed()] {
        let strategies = [Strategy::InPlace, rolling(), Strategy::BlueGreen, canary(), shadow()];
        all.extend(strategies.map(|strategy| (topology.clone(), strategy)));
    }
    all.push((pool(), last_first()));
    all
}

/// The load for such a service, and its keys.
fn load(deploying: &Deploying, topology: &str) -> (Load, Vec<String>) {
    if topology == TOPOLOGY {
        (Load::start(deploying), vec![String::new()])
    } else {
        (Load::with_keys(deploying, KEYS, "key "), (0..KEYS).map(|key| format!("key {key}")).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_hangs_over_one_state_leaves_all_as_they_were() {
    for (topology, strategy) in everywhere() {
        let cell = format!("{strategy:?} of {topology}");
        let deploying = Deploying::start_as(&topology, &heir("one", "both-ways", 0)).await;
        let (load, keys) = load(&deploying, &topology);
        // Over this one it hangs, and over no other.
        let marked = keys[keys.len() / 2].clone();
        deploying.ask_key(&marked, "marked", 1).await;
        load.more(400).await;
        std::fs::write(deploying.path("two"), heir("two", "marked-hangs", 1)).unwrap();
        let mut release = Release::find(&deploying.path("two")).unwrap();
        release.manifest.state_schema = 1;
        let mut options = with(strategy.clone());
        options.probation = LONG;
        let begun = deploying.runtime.deploy("counter", release, options).await;
        match strategy {
            // Two releases cannot share a state in one schema each.
            Strategy::Canary { .. } | Strategy::Shadow { .. } => {
                assert!(matches!(begun, Err(DeployError::Unfit { .. })), "{cell}: {begun:?}");
            }
            _ => {
                let end = begun.unwrap().ended().await;
                let Progress::RolledBack { reason: Setback::NotStarted(crash) | Setback::Crashed(crash) } = &end else {
                    panic!("{cell}: {end:?}")
                };
                assert_eq!(crash.code(), "schema", "{cell}: {crash}");
            }
        }
        load.more(400).await;
        let mut kept = load.settle(&deploying).await;
        let state = kept.get_mut(&marked).unwrap();
        state.insert("marked".to_owned(), json!(1));
        state.insert("handled".to_owned(), json!(state["handled"].as_u64().unwrap() + 1));
        assert_eq!(deploying.states(), kept, "{cell}: each message once, in the old schema");
        for key in keys {
            assert_eq!(deploying.ask_key(&key, "who", 1).await["release"], json!("one"), "{cell}: {key}");
        }
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_begins_with_more_memory_than_it_may_have_never_serves() {
    let echo = include_str!("../airssys-wasm/doc/echo.wat");
    let large = echo.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 65)");
    assert_ne!(large, echo);
    let large = wat::parse_str(large).unwrap();
    for (topology, strategy) in everywhere() {
        let cell = format!("{strategy:?} of {topology}");
        let deploying = Deploying::start(&topology).await;
        let (load, keys) = load(&deploying, &topology);
        load.more(400).await;
        std::fs::write(deploying.path("two"), &large).unwrap();
        let release = Release::find(&deploying.path("two")).unwrap();
        let refused = deploying.runtime.deploy("counter", release, with(strategy)).await.unwrap_err();
        let expected = match &refused {
            DeployError::Release { source: TemplateError::Unsupported { obstacles, .. }, .. } => {
                *obstacles == [Obstacle::Limit { key: "memory", takes: 65 << 16, allows: 4 << 20 }]
            }
            _ => false,
        };
        assert!(expected, "{cell}: {refused}");
        load.more(400).await;
        let kept = load.settle(&deploying).await;
        assert_eq!(deploying.states(), kept, "{cell}: each message once, and nothing else");
        for key in keys {
            assert_eq!(deploying.ask_key(&key, "who", 1).await["release"], json!("one"), "{cell}: {key}");
        }
        deploying.stop().await;
    }
}

/// Who answers each key.
async fn answering(deploying: &Deploying, number: u64) -> Vec<String> {
    let mut found = Vec::new();
    for key in 0..KEYS {
        let answer = deploying.ask_key(&format!("key {key}"), "who", number).await;
        found.push(answer["release"].as_str().unwrap().to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_canary_is_a_share_of_the_keys_which_stay_in_it_when_they_sleep() {
    let deploying = Deploying::start(&counter_with("keyed = { max_awake = 4, idle_timeout = \"20ms\" }")).await;
    let mut options = with(canary());
    // It waits for turns that nobody makes.
    options.gate.samples = 1_000_000;
    let release = deploying.release("two", "healthy");
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    while !matches!(deployment.progress(), Progress::Baking { step: 1, steps: 3, .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first = answering(&deploying, 1).await;
    let new = first.iter().filter(|name| *name == "two").count();
    assert!(new > 0 && new < KEYS / 2, "a tenth of the keys or so: {new} of {KEYS}");
    // They have all slept since.
    assert_eq!(answering(&deploying, 2).await, first, "a key keeps its release");
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled }));
    assert_eq!(answering(&deploying, 3).await, ["one"; KEYS]);
    assert_eq!(deploying.counted("out of order"), 0);
    deploying.stop().await;
}

/// A canary of hardly any keys, then of half of them, which goes on when each release has handled two messages.
fn small() -> DeployOptions {
    let canary = Strategy::Canary { steps: vec![0.01, 0.02] };
    let mut options = with(canary);
    options.gate.bake = Duration::ZERO;
    options.gate.samples = 2;
    options.gate.latency = 1e6;
    options
}

/// Which step it is at, and how many of how many have it.
fn share(progress: &Progress) -> Option<(usize, usize, usize)> {
    match progress {
        Progress::Baking { step, have, of, .. } => Some((*step, *have, *of)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_no_key_falls_into_takes_one_of_those_that_there_are_and_keeps_it() {
    const FEW: [&str; 3] = ["a", "b", "c"];
    let asleep = "keyed = { max_awake = 1, idle_timeout = \"20ms\" }";
    let awake = "keyed = { idle_timeout = \"1h\" }";
    let durable = "keyed = { max_awake = 1, idle_timeout = \"20ms\" }\nstate = \"durable\"";
    for keyed in [asleep, awake, durable] {
        let folder = tempfile::tempdir().unwrap();
        let deploying = Deploying::start_kept(&counter_with(keyed), folder).await;
        let ask = async |deploying: &Deploying, number: u64| {
            let mut names = Vec::new();
            for key in FEW {
                let answer = deploying.ask_key(key, "sender", number).await;
                names.push(answer["release"].as_str().unwrap().to_owned());
            }
            names
        };
        ask(&deploying, 1).await;
        let deploying = match keyed == durable {
            // Nobody has asked for them since the start.
            true => Deploying::start_kept(&counter_with(keyed), deploying.stop().await).await,
            false => deploying,
        };
        let release = deploying.release("two", "healthy");
        let deployment = deploying.runtime.deploy("counter", release, small()).await.unwrap();
        until(keyed, || share(&deployment.progress()).is_some()).await;
        assert_eq!(share(&deployment.progress()), Some((1, 1, 3)), "{keyed}");
        let first = ask(&deploying, 2).await;
        assert_eq!(first.iter().filter(|name| *name == "two").count(), 1, "{keyed}: {first:?}");
        ask(&deploying, 3).await;
        until(keyed, || share(&deployment.progress()) == Some((2, 1, 3))).await;
        assert_eq!(ask(&deploying, 4).await, first, "{keyed}: what is in stays in, and none is taken beside it");
        deployment.cancel();
        deployment.ended().await;
        assert_eq!(ask(&deploying, 5).await, ["one"; 3], "{keyed}");
        assert_eq!(deploying.counted("out of order"), 0);
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_of_no_keys_is_told_and_takes_the_first_that_comes() {
    let deploying = Deploying::start(&counter_with("keyed = { idle_timeout = \"1h\" }")).await;
    let release = deploying.release("two", "healthy");
    let deployment = deploying.runtime.deploy("counter", release, small()).await.unwrap();
    until("it bakes", || share(&deployment.progress()).is_some()).await;
    assert_eq!(share(&deployment.progress()), Some((1, 0, 0)));
    for (key, name) in [("a", "two"), ("b", "one"), ("a", "two")] {
        assert_eq!(deploying.ask_key(key, "who", 1).await["release"], json!(name), "{key}");
    }
    until("it is counted again", || matches!(share(&deployment.progress()), Some((_, 1, _)))).await;
    deployment.cancel();
    deployment.ended().await;
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_a_pool_begins_with_a_member_that_has_a_key() {
    for key in ["a", "b", "c", "d", "e", "f"] {
        let deploying = Deploying::start(&pool()).await;
        deploying.ask_key(key, "sender", 1).await;
        let release = deploying.release("two", "healthy");
        let deployment = deploying.runtime.deploy("counter", release, small()).await.unwrap();
        until(key, || share(&deployment.progress()) == Some((1, 1, 4))).await;
        assert_eq!(deploying.ask_key(key, "sender", 2).await["release"], json!("two"), "{key}");
        deployment.cancel();
        deployment.ended().await;
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_whose_turns_fail_more_often_goes_back() {
    let deploying = Deploying::start(&pool()).await;
    // Whoever is asked by a probe fails in the new release.
    let probes = {
        let runtime = Arc::clone(&deploying.runtime);
        tokio::spawn(async move {
            let mut failed = 0;
            for number in 1_u64.. {
                for key in 0..KEYS {
                    let body = json!({ "from": "probe", "number": number }).to_string();
                    if runtime.call(("counter", &format!("key {key}")), body, PATIENCE).await.is_err() {
                        failed += 1;
                    }
                }
                if failed > 0 && runtime.deployment("counter").is_some_and(|known| known.progress().is_over()) {
                    break;
                }
            }
        })
    };
    let release = deploying.release("two", "refuses-probes");
    let end = deploying.runtime.deploy("counter", release, with(canary())).await.unwrap().ended().await;
    let Progress::RolledBack { reason: Setback::Failing { old, new } } = end else { panic!("{end:?}") };
    assert!(old.failed == 0 && old.turns >= 50 && new.failed > 1, "{old:?} {new:?}");
    probes.await.unwrap();
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_a_step_that_nobody_uses_is_a_policy() {
    for (strategy, no_traffic) in [canary(), comparing(), shadow()]
        .iter()
        .flat_map(|way| [NoTraffic::Promote, NoTraffic::Hold, NoTraffic::Back].map(|policy| (way.clone(), policy)))
    {
        let cell = format!("{strategy:?}, {no_traffic:?}");
        let deploying = Deploying::start(&pool()).await;
        let mut options = with(strategy);
        options.gate.bake = Duration::ZERO;
        options.gate.patience = Duration::from_millis(100);
        // On a busy machine any release may be a millisecond slower.
        options.gate.latency = 1e6;
        options.gate.no_traffic = no_traffic;
        let release = deploying.release("two", "healthy");
        let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
        if no_traffic == NoTraffic::Hold {
            let waits = TooFewTurns { samples: 50, no_traffic, held: true };
            let holds = |progress: &Progress| match progress {
                Progress::Baking { step: 1, waits: told, .. } | Progress::Rehearsing { waits: told, .. } => {
                    *told == Some(waits)
                }
                _ => false,
            };
            until(&cell, || holds(&deployment.progress())).await;
            // Traffic comes, and it goes on.
            let load = Load::with_keys(&deploying, KEYS, "key ");
            assert_eq!(deployment.ended().await, Progress::Live, "{cell}");
            load.settle(&deploying).await;
        } else {
            let end = deployment.ended().await;
            let expected = match no_traffic {
                NoTraffic::Promote => end == Progress::Live,
                _ => matches!(end, Progress::RolledBack { reason: Setback::TooFew { .. } }),
            };
            assert!(expected, "{cell}: {end:?}");
        }
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_step_is_judged_by_its_own_turns() {
    let deploying = Deploying::start(&pool()).await;
    let mut options = with(canary());
    options.gate.bake = Duration::from_secs(1);
    options.gate.samples = 20;
    // How fast they are is not what this is about.
    options.gate.latency = 1e6;
    options.gate.errors = 0.2;
    let refuses = deploying.release("two", "refuses-probes");
    let deployment = deploying.runtime.deploy("counter", refuses, options).await.unwrap();
    let asks = |from: &'static str| {
        let runtime = Arc::clone(&deploying.runtime);
        move |number: u64| {
            let runtime = Arc::clone(&runtime);
            async move {
                for key in 0..KEYS {
                    let body = json!({ "from": from, "number": number }).to_string();
                    let _fails = runtime.call(("counter", &format!("key {key}")), body, PATIENCE).await;
                }
            }
        }
    };
    let (well, probe) = (asks("well"), asks("probe"));
    let (mut number, mut before) = (0, 0);
    loop {
        match deployment.progress() {
            Progress::Baking { step: 1, compared, .. } => {
                before = compared.map_or(before, |compared| compared.new.turns)
            }
            Progress::Switching { .. } => {}
            _ => break,
        }
        number += 1;
        well(number).await;
    }
    // From the second step on all fail on the new release. Over all turns since the beginning those would be few for
    // long.
    for number in 1.. {
        probe(number).await;
        if deployment.progress().is_over() {
            break;
        }
    }
    let end = deployment.ended().await;
    let Progress::RolledBack { reason: Setback::Failing { new, .. } } = end else { panic!("{end:?}") };
    assert!(new.turns < before, "those of this step: {new:?}, and {before} before it");
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_begins_with_the_last_one_where_it_is_told_to() {
    let deploying = Deploying::start(&pool()).await;
    let mut rolling = Rolling::default();
    rolling.last_first = true;
    rolling.bake = Duration::from_secs(3_600);
    let first = {
        let release = deploying.release("two", "healthy");
        let deployment =
            deploying.runtime.deploy("counter", release, with(Strategy::Rolling(rolling.clone()))).await.unwrap();
        while !matches!(deployment.progress(), Progress::Baking { step: 1, steps: 4, .. }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let first = answering(&deploying, 1).await;
        deployment.cancel();
        deployment.ended().await;
        first
    };
    rolling.last_first = false;
    let release = deploying.release("two", "healthy");
    let deployment = deploying.runtime.deploy("counter", release, with(Strategy::Rolling(rolling))).await.unwrap();
    while !matches!(deployment.progress(), Progress::Baking { step: 1, steps: 4, .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = answering(&deploying, 2).await;
    let both = first.iter().zip(&second).filter(|(a, b)| *a == "two" && *b == "two").count();
    assert_eq!(both, 0, "the last actor is not the first one");
    assert!(first.iter().any(|name| name == "two") && second.iter().any(|name| name == "two"));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blue_set_goes_on_with_its_memory_where_nothing_was_committed_without_it() {
    let deploying = Deploying::start(TOPOLOGY).await;
    for number in 1..=3 {
        deploying.ask("a", number).await;
    }
    let mut options = with(Strategy::BlueGreen);
    options.probation = Duration::from_secs(3_600);
    let release = deploying.release("two", "healthy");
    let deployment = deploying.runtime.deploy("counter", release.clone(), options.clone()).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    deployment.cancel();
    deployment.ended().await;
    assert_eq!(
        deploying.ask("a", 4).await,
        json!({ "release": "one", "seen": 4 }),
        "the very instance that served before"
    );
    // What was committed meanwhile it does not know: another one starts.
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    assert_eq!(deploying.ask("a", 5).await["release"], json!("two"));
    deployment.cancel();
    deployment.ended().await;
    assert_eq!(
        deploying.ask("a", 6).await,
        json!({ "release": "one", "seen": 1 }),
        "a fresh instance of the old release"
    );
    assert_eq!(deploying.counted("out of order"), 0);
    deploying.stop().await;
}

/// Publishes a release of the counter; signed by this key, where there is one.
fn publish(data: &Path, version: &str, binary: Vec<u8>, key: Option<&SecretKey>) -> Release {
    let store = Store::open(data).unwrap();
    let mut draft = Draft::new(binary, format!("name = \"counter\"\nversion = \"{version}\"\n")).unwrap();
    if let Some(key) = key {
        draft.sign(key);
    }
    let _published = store.publish(&draft).unwrap();
    store.resolve(&format!("counter@{version}")).unwrap()
}

/// A component that also exports its first instance, under this name.
fn exporting(mut binary: Vec<u8>, name: &str) -> Vec<u8> {
    // A section of exports with one of them: its name, the first instance, and no other type than it has.
    let length = u8::try_from(name.len()).unwrap();
    binary.extend([11, length + 6, 1, 0, length]);
    binary.extend(name.as_bytes());
    binary.extend([5, 0, 0]);
    binary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_hosted_or_trusted_is_refused_whatever_the_strategy() {
    let shop = |name, way| exporting(shifter(name, way), "demo:shop/stock@0.1.0");
    // It can be published, and not serve under the limits of this topology.
    let large = include_str!("../airssys-wasm/doc/echo.wat");
    let large = wat::parse_str(large.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 65)"));
    let large = large.unwrap();
    for topology in [TOPOLOGY.to_owned(), pool(), keyed()] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let key = SecretKey::generate().unwrap();
        publish(&data, "1.0.0", shop("one", "healthy"), Some(&key));
        // The sibling has to be signed as well.
        let signed = topology
            .replace("[settings]", &format!("[settings]\ntrusted_keys = [{:?}]", key.public().to_string()))
            .replace("\"one.wasm\"", "\"counter@1.0.0\"");
        let damaged = publish(&data, "1.4.0", shop("two", "slow"), Some(&key));
        let releases = [
            ("unsigned", publish(&data, "1.1.0", shop("two", "healthy"), None)),
            ("too large", publish(&data, "1.2.0", large.clone(), Some(&key))),
            ("damaged", damaged.clone()),
            ("missing export", publish(&data, "1.5.0", shifter("two", "healthy"), Some(&key))),
        ];
        let mut bytes = std::fs::read(&damaged.component).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&damaged.component).unwrap();
        std::fs::write(&damaged.component, bytes).unwrap();
        let deploying = Deploying::start_kept(&signed, folder).await;
        let (load, keys) = load(&deploying, &topology);
        load.more(400).await;
        for strategy in [Strategy::InPlace, rolling(), Strategy::BlueGreen, canary(), shadow()] {
            for (what, release) in &releases {
                let refused =
                    deploying.runtime.deploy("counter", release.clone(), with(strategy.clone())).await.unwrap_err();
                let expected = match (*what, &refused) {
                    ("unsigned", DeployError::Untrusted { .. }) => true,
                    ("missing export", DeployError::Incompatible { broken, .. }) => {
                        broken.iter().any(|broken| broken == "demo:shop/stock@0.1.0 is gone")
                    }
                    (_, DeployError::Release { source, .. }) => matches!(
                        (*what, source),
                        ("too large", TemplateError::Unsupported { .. }) | ("damaged", TemplateError::Damaged { .. })
                    ),
                    _ => false,
                };
                assert!(expected, "{strategy:?}, {what}: {refused}");
            }
        }
        load.more(400).await;
        let kept = load.settle(&deploying).await;
        assert_eq!(deploying.states(), kept, "each message once, and nothing else");
        for key in &keys {
            assert_eq!(deploying.ask_key(key, "who", 1).await["release"], json!("one"), "{key}");
        }
        if topology != keyed() {
            let actors = if topology == TOPOLOGY { 1 } else { 4 };
            assert_eq!(deploying.status("counter").started, actors, "no instance was made for any of them");
        }
        // What is as it should be is live.
        let release = publish(&deploying.folder.path().join("data"), "2.0.0", shop("two", "healthy"), Some(&key));
        let deployment = deploying.runtime.deploy("counter", release, with(Strategy::InPlace)).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
        deploying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_that_cannot_keep_its_promise_is_refused_with_the_one_that_can() {
    let cases: [(String, Strategy, &str); 3] = [
        (TOPOLOGY.to_owned(), rolling(), "in-place"),
        (TOPOLOGY.to_owned(), canary(), "in-place"),
        (keyed(), Strategy::Rolling(Rolling::default()), "25%"),
    ];
    for (topology, strategy, hint) in cases {
        let deploying = Deploying::start(&topology).await;
        let release = deploying.release("two", "healthy");
        let plan = deploying.runtime.plan("counter", release.clone(), with(strategy.clone())).await.unwrap();
        assert!(plan.refusals.iter().any(|refusal| refusal.code == "unfit"), "{:?}", plan.refusals);
        let refused = deploying.runtime.deploy("counter", release, with(strategy.clone())).await.unwrap_err();
        assert!(matches!(refused, DeployError::Unfit { .. }), "{refused}");
        assert!(told!(&refused).contains(hint), "{refused}");
        let answer: Value = deploying.ask_key("a", "who", 1).await;
        assert_eq!(answer["release"], json!("one"), "{strategy:?}");
        deploying.stop().await;
    }
}
