//! Requests of services with several actors: the lanes of a pool, of which a key chooses one; any of a pool; and
//! children, which are there when they were spawned.

use std::collections::{BTreeMap, BTreeSet};

use airssys_tests::deploying::quick;
use airssys_tests::{guest, read, until};
use airssys_wasm::deploy::{Progress, Strategy};
use airssys_wasm::registry::Release;
use prober_protocol::Command;
use serde_json::Value;

use super::client::{Site, all};
use super::sessions::Clients;

const KEY: &str = "key = { header = \"x-session\" }";
const LANES: &str = "instances = 4\npartitioned = true";

/// The site once more, as other bytes than those with another number.
fn another(site: &Site, number: u8) -> Release {
    let built = guest("site").with_file_name("target").join("airssys/site.wasm");
    let path = site.folder.path().join(format!("another-{number}.wasm"));
    std::fs::write(&path, [std::fs::read(built).unwrap(), vec![0, 3, 1, b'v', number]].concat()).unwrap();
    Release::find(&path).unwrap()
}

async fn deploy(site: &Site, number: u8, strategy: Strategy) {
    let mut options = quick();
    (options.same_version, options.allow_downgrade, options.strategy) = (true, true, strategy);
    let deployment = site.runtime.deploy("site", another(site, number), options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_a_lane_and_a_state_of_its_own() {
    let site = Site::start(LANES, &all(KEY)).await;
    let mut client = site.client().await;
    // How many requests each instance has had says which of them have the same one.
    let mut ask = async |session: &str, path: &str| {
        let answer = client.ask("GET", path, &[("x-session", session)], "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body.parse::<u64>().unwrap()
    };
    let sessions: Vec<String> = (0..20).map(|session| format!("s{session}")).collect();
    for session in &sessions {
        for count in 1..=3 {
            assert_eq!(ask(session, "/add").await, count, "{session}: a state of its own");
        }
    }
    let mut lanes: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sum = 0;
    for session in &sessions {
        let (before, after) = (ask(session, "/seen").await, ask(session, "/seen").await);
        assert_eq!(after, before + 1, "{session}: the same instance each time");
        sum += 5;
        *lanes.entry(before).or_default() += 1;
    }
    // Each instance has seen requests of several sessions, and no session those of another one's lane.
    let mut seen = BTreeSet::new();
    for session in &sessions {
        seen.insert(ask(session, "/seen").await);
    }
    assert!(seen.iter().max().unwrap() < &sum, "one lane has had all: {seen:?}");
    assert_eq!(site.status("site").started, 4);
    // Without a key there is no lane.
    let missing = client.get("/add").await;
    assert!(missing.status == 400 && missing.body.contains("x-session is missing"), "{missing:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_held_holds_those_of_its_sessions_alone() {
    let site = Site::start(
        &format!("{LANES}\nlimits = {{ turn_deadline = \"1h\" }}\nshutdown = \"brutal-kill\""),
        &format!("request_timeout = \"1s\"\n{}", all(KEY)),
    )
    .await;
    let (mut stuck, mut client) = (site.client().await, site.client().await);
    let held = tokio::spawn(async move { stuck.ask("GET", "/wait", &[("x-session", "s0")], "").await.status });
    site.under_way(1).await;
    let (mut answered, mut late) = (0, 0);
    for session in 1..=12 {
        let session = format!("s{session}");
        match client.ask("GET", "/add", &[("x-session", &session)], "").await.short() {
            (200, "1") => answered += 1,
            (504, "timeout") => late += 1,
            other => panic!("{session}: {other:?}"),
        }
    }
    assert!(answered > 0 && late < 12, "{answered} of the other lanes, {late} of this one");
    assert_eq!(held.await.unwrap(), 504);
    site.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_a_pool_answers_and_all_go_on_over_a_deployment() {
    let site = Site::start("instances = 4", &all("")).await;
    let mut clients: Vec<_> = Vec::new();
    for _ in 0..8 {
        clients.push(site.client().await);
    }
    for (number, strategy) in (0..).zip([Strategy::InPlace, Strategy::BlueGreen]) {
        let asked = async {
            for _ in 0..20 {
                for client in &mut clients {
                    assert_eq!(client.get("/made").await.status, 201);
                }
            }
        };
        tokio::join!(asked, deploy(&site, number, strategy));
    }
    assert_eq!((site.status("site").crashed, site.status("site").handled), (0, 320));
    site.stop().await;
}

fn with_children() -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 100\n\
         [[service]]\nname = \"overseer\"\nrelease = \"@overseer\"\n[service.grants]\nspawn = [\"site/*\"]\n\
         [[service]]\nname = \"site\"\nrelease = \"@site\"\nspawned = {{}}\n\
         [[http]]\nlisten = \"127.0.0.1:0\"\n{}",
        all(KEY)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_answers_by_its_name_while_it_is_there() {
    let site = Site::of(airssys_tests::Mesh::start(&with_children()).await);
    let mut client = site.client().await;
    let mut ask = async |child: &str| {
        let answer = client.ask("GET", "/add", &[("x-session", child)], "").await;
        (answer.status, answer.body.trim_end().to_owned())
    };
    assert_eq!(ask("alice").await, (404, "no-such-service".to_owned()), "nobody has spawned it");
    for child in ["alice", "bob"] {
        let spawned = Command::Spawn { service: "site".into(), name: child.into() };
        let _address: Value = site.ok("overseer", &spawned).await;
    }
    for count in 1..=3 {
        for child in ["alice", "bob"] {
            assert_eq!(ask(child).await, (200, count.to_string()), "{child}");
        }
    }
    let spawned = Command::Spawn { service: "site".into(), name: "carol".into() };
    let _address: Value = site.ok("overseer", &spawned).await;
    let clients = Clients::start(&site, 1, "/add", |_| Some(("x-session", "carol".to_owned())));
    clients.more(20).await;
    deploy(&site, 1, Strategy::InPlace).await;
    clients.more(20).await;
    deploy(&site, 2, Strategy::BlueGreen).await;
    clients.more(20).await;
    clients.end().await;
    assert_eq!(ask("bob").await, (200, "4".to_owned()), "its state is there over a deployment");
    let _stopped: Value = site.ok("overseer", &Command::Stop("site/alice".into())).await;
    until("alice is gone", async || !site.runtime.state("site").contains_key("alice")).await;
    assert_eq!(ask("alice").await.0, 404);
    assert_eq!(ask("bob").await, (200, "5".to_owned()));
    site.stop().await;
}

#[tokio::test]
async fn a_route_says_what_the_key_is_where_there_are_keys() {
    let folder = tempfile::tempdir().unwrap();
    for (service, route, says) in
        [("keyed = {}", "", "key"), ("spawned = {}", "", "key"), ("instances = 4", KEY, "no keys")]
    {
        let text = super::client::written(service, &all(route));
        let refused = read(folder.path(), &text).unwrap_err().to_string();
        assert!(refused.contains(says), "{service}, {route}: {refused}");
    }
}
