//! Thousands of sessions, most of them asleep, while one release after the other takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use airssys_tests::deploying::quick;
use airssys_tests::{until, visits};
use airssys_wasm::deploy::{Progress, Setback, Strategy};
use airssys_wasm::registry::Release;

use super::client::{Client, Site, all};

const SESSIONS: u64 = 2_000;
const CONNECTIONS: u64 = 16;
const VISITS: u64 = 3;

/// Visits each of these sessions once after the other, again and again; each count is the next one.
async fn visit(address: std::net::SocketAddr, first: u64, answered: Arc<AtomicU64>) {
    let mut client = Client::connect(address).await;
    for count in 1..=VISITS {
        for session in (first..SESSIONS).step_by(usize::try_from(CONNECTIONS).unwrap()) {
            let session = format!("s{session}");
            let answer = client.ask("GET", "/visit", &[("x-session", &session)], "").await;
            assert_eq!(answer.short(), (200, &*count.to_string()), "{session}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_sessions_go_on_while_releases_come_and_go_back() {
    let service = "keyed = { max_awake = 100, idle_timeout = \"1s\" }\nmailbox = { capacity = 8 }";
    let site = Site::start_as(&visits("one", "healthy"), service, &all("key = { header = \"x-session\" }")).await;
    let answered = Arc::<AtomicU64>::default();
    let tasks: Vec<_> =
        (0..CONNECTIONS).map(|first| tokio::spawn(visit(site.address, first, Arc::clone(&answered)))).collect();
    let failed = || tasks.iter().any(tokio::task::JoinHandle::is_finished);
    let mut deployments = 0;
    // As many as come about meanwhile, one of three of which crashes and goes back.
    while answered.load(Ordering::Relaxed) < SESSIONS * VISITS && !failed() {
        let (name, way) = if deployments % 3 == 2 { ("bad", "traps-on-3") } else { ("two", "healthy") };
        let path = site.folder.path().join(format!("{name}-{}.wasm", deployments % 2));
        std::fs::write(&path, visits(&format!("{name}-{}", deployments % 2), way)).unwrap();
        let mut options = quick();
        (options.same_version, options.allow_downgrade) = (true, true);
        options.strategy = if deployments % 2 == 0 { Strategy::InPlace } else { Strategy::BlueGreen };
        if way != "healthy" {
            options.probation = std::time::Duration::from_secs(5);
        }
        let deployment = site.runtime.deploy("site", Release::find(&path).unwrap(), options).await.unwrap();
        let end = deployment.ended().await;
        let is_expected = match &end {
            // Where nobody has come three times meanwhile it is not found out.
            Progress::Live => true,
            Progress::RolledBack { reason: Setback::Crashed(_) } => way != "healthy",
            _ => false,
        };
        assert!(is_expected, "{name}: {end:?}");
        deployments += 1;
        let before = answered.load(Ordering::Relaxed);
        until("somebody is answered", async || failed() || answered.load(Ordering::Relaxed) > before).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(deployments > 1, "they were done before anything came about");
    let status = site.status("site");
    assert_eq!(status.keys, usize::try_from(SESSIONS).unwrap());
    assert!(site.dead().is_empty(), "{:?}", site.dead());
    site.stop().await;
}
