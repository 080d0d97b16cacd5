//! Each strategy of a deployment under requests of sessions whose connections stay open: none fails, each session's
//! count goes on, whatever becomes of the release.

use std::time::Duration;

use airssys_tests::deploying::quick;
use airssys_tests::visits;
use airssys_wasm::deploy::{DeployOptions, Portion, Progress, Rolling, Setback, Strategy};
use airssys_wasm::registry::Release;

use super::client::{Site, all};
use super::sessions::Clients;

const CLIENTS: usize = 12;
const KEY: &str = "key = { header = \"x-session\" }";

/// Of a service with an actor a session: all of them awake, or fewer than there are sessions.
const AWAKE: &str = "keyed = {}";
const ASLEEP: &str = "keyed = { max_awake = 5, idle_timeout = \"20ms\" }";
/// Four actors, of which a session has always the same.
const LANES: &str = "instances = 4\npartitioned = true";

fn rolling() -> Strategy {
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.max_unavailable = 2;
    rolling.bake = Duration::from_millis(50);
    Strategy::Rolling(rolling)
}

fn canary() -> Strategy {
    Strategy::Canary { steps: vec![25.0, 50.0] }
}

fn shadow() -> Strategy {
    Strategy::Shadow { tolerate: 0.0 }
}

fn with(strategy: Strategy) -> DeployOptions {
    let mut options = quick();
    options.strategy = strategy;
    options.gate.bake = Duration::from_millis(50);
    options.gate.samples = 50;
    // On a busy machine any release may be a millisecond slower.
    options.gate.latency = 1e6;
    options
}

/// Where it answers, with these limits and more; the release is called `one`.
async fn start(service: &str) -> Site {
    let limits = "limits = { turn_deadline = \"2s\", turn_budget = \"500ms\" }";
    Site::start_as(&visits("one", "healthy"), &format!("{service}\n{limits}"), &all(KEY)).await
}

/// A release of this name that does this.
fn release(site: &Site, name: &str, way: &str) -> Release {
    let path = site.folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, visits(name, way)).unwrap();
    Release::find(&path).unwrap()
}

fn sessions(site: &Site, path: &'static str) -> Clients {
    Clients::start(site, CLIENTS, path, |at| Some(("x-session", format!("s{at}"))))
}

/// Who answers, of a session that was never there before.
async fn answers(site: &Site) -> String {
    let headers = [("x-session", "another")];
    site.client().await.ask("GET", "/visit", &headers, "").await.header("x-release").to_owned()
}

/// Deploys one after the other by each strategy, and then what goes back by itself.
async fn each_goes_on(service: &str) {
    let site = start(service).await;
    let clients = sessions(&site, "/visit");
    let strategies = [Strategy::InPlace, rolling(), Strategy::BlueGreen, canary()];
    for (number, strategy) in strategies.into_iter().enumerate() {
        let cell = format!("{strategy:?} of {service}");
        clients.more(100).await;
        let name = format!("two-{number}");
        let options = with(strategy.clone());
        let deployment = site.runtime.deploy("site", release(&site, &name, "healthy"), options).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{cell}");
        assert_eq!(answers(&site).await, name, "{cell}");
        clients.go_on().await;
        // Each instance traps over a request, which is answered all the same. Those that soon sleep have no third one.
        let way = if service == ASLEEP { "traps-on-1" } else { "traps-on-3" };
        let mut options = with(strategy.clone());
        options.probation = Duration::from_secs(60);
        let deployment = site.runtime.deploy("site", release(&site, "bad", way), options).await.unwrap();
        let end = deployment.ended().await;
        let reason = match &end {
            Progress::RolledBack { reason } => reason,
            other => panic!("{cell}: {other:?}"),
        };
        let is_canary = matches!(strategy, Strategy::Canary { .. });
        let expected = matches!(reason, Setback::Crashed(_)) || is_canary && matches!(reason, Setback::Failing { .. });
        assert!(expected, "{cell}: {end:?}");
        assert_eq!(answers(&site).await, name, "{cell}: it is the one before");
    }
    clients.more(100).await;
    let connections = site.runtime.listeners()[0].connections;
    assert!(connections >= CLIENTS, "the connections are those of the beginning: {connections}");
    let releases = clients.ended().await;
    for name in ["one", "two-0", "two-1", "two-2", "two-3"] {
        assert!(releases.contains_key(name), "{service}: {name} has answered nobody: {releases:?}");
    }
    assert!(site.dead().is_empty(), "{:?}", site.dead());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_keeps_the_sessions_of_a_keyed_service() {
    each_goes_on(AWAKE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_keeps_the_sessions_of_keys_that_wake_and_fall_asleep() {
    each_goes_on(ASLEEP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_keeps_the_sessions_of_the_lanes_of_a_pool() {
    each_goes_on(LANES).await;
}

/// A release that answers nobody in time. What it holds is cut off, and asked of the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_hangs_over_a_request_goes_back_and_the_request_is_answered() {
    for way in ["spins-on-3", "waits-on-3"] {
        for strategy in [Strategy::InPlace, rolling(), Strategy::BlueGreen] {
            let site = start(AWAKE).await;
            let clients = sessions(&site, "/visit");
            clients.more(50).await;
            let mut options = with(strategy.clone());
            options.probation = Duration::from_secs(60);
            let deployment = site.runtime.deploy("site", release(&site, "bad", way), options).await.unwrap();
            let end = deployment.ended().await;
            assert!(
                matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) }),
                "{way} by {strategy:?}: {end:?}"
            );
            clients.more(50).await;
            clients.end().await;
            site.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_is_seen_by_no_client_and_what_differs_is_told_in_words() {
    for service in [AWAKE, ASLEEP, LANES] {
        let site = start(service).await;
        let clients = sessions(&site, "/plain");
        clients.more(50).await;
        // It would answer otherwise. A client that saw that would fail.
        let wrong = site.runtime.deploy("site", release(&site, "wrong", "wrong"), with(shadow())).await.unwrap();
        let Progress::RolledBack { reason: reason @ Setback::Differs { .. } } = wrong.ended().await else {
            panic!("{service}: {:?}", wrong.progress());
        };
        let told = reason.to_string();
        let found = site.runtime.deployment_status(&wrong).rehearsed.unwrap_or_default();
        let first = found.differences.first().unwrap();
        for told in [&told, first] {
            let says = "it answers ok({status: 200, headers: [], body: ";
            assert!(told.contains(says) && told.contains(" instead of ok({status: 200,"), "{service}: {told}");
            let bodies = told.split("body: \"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap());
            let bodies: Vec<u64> = bodies.collect();
            assert!(matches!(bodies[..], [wrong, right] if wrong == right + 1000), "{service}: {told}");
        }
        assert!(first.contains("handle({method: \"GET\"") && first.contains("path-with-query: \"/plain\""), "{first}");
        assert_eq!(answers(&site).await, "one");
        // One that traps is no matter either.
        let traps = site.runtime.deploy("site", release(&site, "traps", "traps-on-1"), with(shadow())).await.unwrap();
        let end = traps.ended().await;
        assert!(matches!(end, Progress::RolledBack { reason: Setback::Differs { .. } }), "{service}: {end:?}");
        // And one that says the same takes over.
        let same = site.runtime.deploy("site", release(&site, "two", "healthy"), with(shadow())).await.unwrap();
        let end = same.ended().await;
        let found = site.runtime.deployment_status(&same).rehearsed.unwrap_or_default();
        assert_eq!(end, Progress::Live, "{service}: {found:?}");
        assert!(found.compared >= 50 && found.differing == 0, "{service}: {found:?}");
        assert_eq!(answers(&site).await, "two");
        clients.ask_for("/visit");
        clients.more(50).await;
        let releases = clients.ended().await;
        assert!(releases.contains_key("two") && !releases.contains_key("wrong"), "{releases:?}");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_requests_goes_back_and_the_sessions_go_on() {
    let site = start(AWAKE).await;
    let mut client = site.client().await;
    let mut counts = [0_u64; CLIENTS];
    let mut refused = 0;
    let mut options = with(canary());
    options.probation = Duration::from_secs(60);
    let deployment = site.runtime.deploy("site", release(&site, "fails", "fails"), options).await.unwrap();
    while !deployment.progress().is_over() {
        for (session, count) in counts.iter_mut().enumerate() {
            let session = format!("s{session}");
            let answer = client.ask("GET", "/visit", &[("x-session", &session)], "").await;
            match answer.status {
                200 => {
                    *count += 1;
                    assert_eq!(answer.body, count.to_string(), "{session}");
                }
                // What failed did not happen.
                _ => {
                    assert_eq!(answer.short(), (500, "failed"), "{session}");
                    refused += 1;
                }
            }
        }
    }
    let end = deployment.ended().await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::Failing { .. } }), "{end:?}");
    assert!(refused > 0);
    for (session, count) in counts.into_iter().enumerate() {
        let session = format!("s{session}");
        let answer = client.ask("GET", "/visit", &[("x-session", &session)], "").await;
        assert_eq!((answer.short(), answer.header("x-release")), ((200, &*(count + 1).to_string()), "one"));
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_strategy_of_one_actor_keeps_the_count_that_all_share() {
    let site = Site::start_as(&visits("one", "healthy"), "", &all("")).await;
    let clients = Clients::start(&site, CLIENTS, "/plain", |_| None);
    for (number, strategy) in [Strategy::InPlace, Strategy::BlueGreen, shadow()].into_iter().enumerate() {
        clients.more(100).await;
        let release = release(&site, &format!("two-{number}"), "healthy");
        let deployment = site.runtime.deploy("site", release, with(strategy.clone())).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{strategy:?}");
    }
    let release = release(&site, "bad", "traps-on-3");
    let mut options = with(Strategy::InPlace);
    options.probation = Duration::from_secs(60);
    let deployment = site.runtime.deploy("site", release, options).await.unwrap();
    assert!(matches!(deployment.ended().await, Progress::RolledBack { reason: Setback::Crashed(_) }));
    clients.more(100).await;
    clients.end().await;
    site.stop().await;
}
