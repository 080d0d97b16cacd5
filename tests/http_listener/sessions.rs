//! Clients that ask on a connection each, again and again, and hold what they are told against what they asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use airssys_tests::until;
use tokio::task::JoinHandle;

use super::client::{Client, Site};

/// What all of the clients know.
#[derive(Default)]
struct Shared {
    over: AtomicBool,
    answered: AtomicU64,
    /// The next requests are for another path.
    path: std::sync::Mutex<&'static str>,
}

/// Clients that ask on one connection each until it is over. Each asks for a count, and no request may fail.
pub(super) struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Told>>,
    has_sessions: bool,
}

/// What one client was told.
struct Told {
    counts: Vec<u64>,
    /// How many answers were by which release, where they said so.
    releases: BTreeMap<String, u64>,
}

impl Clients {
    /// Starts so many. Where each has a header of its own, that is its session, whose count begins with 1 and has
    /// neither a gap nor a repeat; where none has, all of them share one count.
    pub(super) fn start(
        site: &Site,
        clients: usize,
        path: &'static str,
        header: impl Fn(usize) -> Option<(&'static str, String)>,
    ) -> Self {
        let shared = Arc::new(Shared { path: path.into(), ..Shared::default() });
        let has_sessions = header(0).is_some();
        let one = |at: usize| tokio::spawn(ask(site.address, Arc::clone(&shared), header(at)));
        let tasks = (0..clients).map(one).collect();
        Self { shared, tasks, has_sessions }
    }

    /// What they ask for from now on.
    pub(super) fn ask_for(&self, path: &'static str) {
        *self.shared.path.lock().unwrap() = path;
    }

    /// Waits until so many more requests were answered.
    pub(super) async fn more(&self, requests: u64) {
        let all = self.shared.answered.load(Ordering::Relaxed) + requests;
        let failed = || self.tasks.iter().any(JoinHandle::is_finished);
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        until("they are answered", async || failed() || answered() >= all).await;
    }

    /// Waits until each has been answered again, more or less.
    pub(super) async fn go_on(&self) {
        self.more(self.tasks.len() as u64).await;
    }

    /// Ends them; how many requests were answered.
    pub(super) async fn end(self) -> u64 {
        self.ended().await.values().sum()
    }

    /// Ends them; how many requests each release has answered, by its name, which is empty where it says none.
    pub(super) async fn ended(self) -> BTreeMap<String, u64> {
        self.shared.over.store(true, Ordering::Relaxed);
        let (mut all, mut releases) = (Vec::new(), BTreeMap::new());
        for task in self.tasks {
            let told = task.await.unwrap();
            if self.has_sessions {
                let expected: Vec<u64> = (1..=told.counts.len() as u64).collect();
                assert_eq!(told.counts, expected, "a turn of a session is missing, or was doubled");
            }
            all.extend(told.counts);
            for (release, answers) in told.releases {
                *releases.entry(release).or_default() += answers;
            }
        }
        if !self.has_sessions {
            all.sort_unstable();
            let expected: Vec<u64> = (1..=all.len() as u64).collect();
            assert_eq!(all, expected, "a turn is missing, or was doubled");
        }
        releases
    }
}

async fn ask(address: std::net::SocketAddr, shared: Arc<Shared>, header: Option<(&'static str, String)>) -> Told {
    let mut client = Client::connect(address).await;
    let headers: Vec<(&str, &str)> = header.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut told = Told { counts: Vec::new(), releases: BTreeMap::new() };
    while !shared.over.load(Ordering::Relaxed) {
        let path = *shared.path.lock().unwrap();
        let answer = client.ask("GET", path, &headers, "").await;
        assert_eq!(answer.status, 200, "{headers:?}, after {:?}: {answer:?}", told.counts.last());
        let count: u64 = answer.body.parse().unwrap();
        // At once, where it is known, so that what failed is the first thing that went wrong.
        let next = told.counts.len() as u64 + 1;
        assert!(headers.is_empty() || count == next, "{headers:?}: {count} instead of {next}: {answer:?}");
        told.counts.push(count);
        *told.releases.entry(answer.header("x-release").to_owned()).or_default() += 1;
        shared.answered.fetch_add(1, Ordering::Relaxed);
    }
    told
}
