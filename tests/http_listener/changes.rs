//! Connections stay, whatever changes behind them: routes, listeners, releases.

use airssys_tests::deploying::quick;
use airssys_tests::{guest, until, with_guests};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use tokio::net::TcpStream;

use super::client::{Client, Site, address, all, written};
use super::sessions::Clients;

/// How many releases one connection outlives.
const DEPLOYMENTS: u64 = 100;
const CLIENTS: usize = 4;

async fn apply(site: &Site, text: &str) -> Result<Vec<String>, String> {
    let topology = Topology::parse(with_guests(text), site.folder.path()).map_err(|error| error.to_string())?;
    let applied = site.runtime.apply(topology, DeployOptions::default()).await.map_err(|error| error.to_string())?;
    Ok(applied
        .plan
        .differences
        .iter()
        .map(|found| format!("{:?} {:?} {}", found.fate, found.subject, found.name))
        .collect())
}

#[tokio::test]
async fn routes_change_under_a_connection_and_its_requests() {
    let site = Site::start("", &all("path = \"/seen\"")).await;
    let mut client = site.client().await;
    assert_eq!((client.get("/seen").await.status, client.get("/made").await.status), (200, 404));
    let changed = apply(&site, &written("", &all("path = \"/made\""))).await;
    assert_eq!(changed.unwrap(), ["Changed Listener 127.0.0.1:0"]);
    assert_eq!((client.get("/seen").await.status, client.get("/made").await.status), (404, 201));
    assert_eq!(site.runtime.listeners()[0].address, site.address.to_string(), "it listens where it did");
    // The service that a route leads to goes with the route, and the connection stays.
    let other = "[[service]]\nname = \"other\"\nrelease = \"@site\"\n";
    let to_other = "[[http.route]]\nservice = \"other\"\n";
    apply(&site, &written(other, to_other)).await.unwrap();
    assert_eq!(client.get("/seen").await.short(), (200, "1"));
    apply(&site, &written("", &all(""))).await.unwrap();
    assert_eq!(client.get("/seen").await.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn a_listener_comes_and_goes() {
    let site = Site::start("", &all("")).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::Listener]);
    let mut told = async || match events.next().await {
        Some(Heard::Event(event)) => match &event.what {
            Happening::Listener { listener, state, .. } => format!("{listener} {state}"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(told().await, "127.0.0.1:0 listening");
    let mut before = site.client().await;
    assert_eq!(before.get("/seen").await.status, 200);
    let second = "[[http]]\nlisten = \"127.0.0.2:0\"\n[[http.route]]\nservice = \"site\"\n";
    let both = written("", &all("")) + second;
    assert_eq!(apply(&site, &both).await.unwrap(), ["Added Listener 127.0.0.2:0"]);
    assert_eq!(told().await, "127.0.0.2:0 listening");
    let mut client = Client::connect(address(&site.runtime, "127.0.0.2:0")).await;
    assert_eq!(client.get("/seen").await.body, "2", "the same service");
    let (without, _) = both.split_once("[[http]]").unwrap();
    assert_eq!(apply(&site, &format!("{without}{second}")).await.unwrap(), ["Removed Listener 127.0.0.1:0"]);
    assert_eq!(told().await, "127.0.0.1:0 closed");
    until("its connections are closed", async || before.is_closed()).await;
    assert!(TcpStream::connect(site.address).await.is_err());
    assert_eq!(client.get("/seen").await.status, 200, "the other one stays");
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_listened_for_is_refused_and_nothing_has_changed() {
    let site = Site::start("", &all("")).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let text = written("", &all("path = \"/made\"")) + &format!("[[http]]\nlisten = \"{listen}\"\n");
    let said = apply(&site, &text).await.unwrap_err();
    assert!(said.contains(&listen.to_string()) && said.contains("everything is as it was before"), "{said}");
    assert_eq!(site.get("/seen").await.status, 200, "its routes are the old ones");
    for (service, release) in [("bytes", "@echo"), ("typed", "@pricing")] {
        let more = format!("[[service]]\nname = \"{service}\"\nrelease = \"{release}\"\n");
        let said =
            apply(&site, &written(&more, &format!("[[http.route]]\nservice = \"{service}\"\n"))).await.unwrap_err();
        assert!(said.contains(&format!("a route to {service}, which exports no handler of HTTP")), "{said}");
    }
    assert_eq!(site.runtime.services().len(), 1);
    // A release without one does not take over where a route leads.
    let echo = Release::find(&guest("echo")).unwrap();
    let mut options = quick();
    options.allow_downgrade = true;
    assert!(site.runtime.deploy("site", echo, options).await.is_err());
    site.stop().await;
}

/// The same component under another digest: with a custom section behind it.
fn release(site: &Site, number: u64) -> Release {
    let built = guest("site").with_file_name("target").join("airssys/site.wasm");
    let mut binary = std::fs::read(built).unwrap();
    binary.extend([0, 3, 1, b'v', u8::try_from(number % 2).unwrap()]);
    let path = site.folder.path().join(format!("site-{}.wasm", number % 2));
    std::fs::write(&path, binary).unwrap();
    Release::find(&path).unwrap()
}

async fn deploy(site: &Site, number: u64) {
    let mut options = quick();
    options.probation = std::time::Duration::ZERO;
    (options.same_version, options.allow_downgrade) = (true, true);
    let deployment = site.runtime.deploy("site", release(site, number), options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_outlive_a_hundred_releases_and_no_request_fails() {
    let site = Site::start("", &all("")).await;
    let clients = Clients::start(&site, CLIENTS, "/add", |_| None);
    for number in 0..DEPLOYMENTS {
        deploy(&site, number).await;
        clients.go_on().await;
    }
    assert_eq!(site.runtime.listeners()[0].connections, CLIENTS, "the connections are those of the beginning");
    let sum = clients.end().await;
    assert_eq!(site.get("/add").await.body, (sum + 1).to_string(), "each was carried out, once");
    assert_eq!(site.status("site").crashed, 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_intact_over_releases() {
    let site = Site::start("keyed = {}", &all("key = { cookie = \"session\" }")).await;
    let clients = Clients::start(&site, CLIENTS, "/add", |at| Some(("cookie", format!("session=s{at}"))));
    for number in 0..20 {
        deploy(&site, number).await;
        clients.go_on().await;
    }
    clients.end().await;
    assert_eq!(site.status("site").crashed, 0);
    site.stop().await;
}
