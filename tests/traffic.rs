//! Calls by type while releases change: of each sender all are carried out, once, in the order in which they were made;
//! over a wire as from the host, with every strategy, at either end.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, guest, until};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::{Portion, Progress, Rolling, Strategy};
use airssys_wasm::registry::Release;
use tokio::task::JoinHandle;

/// Senders over the wire, and as many from the host; and the customers under which each of them enters its numbers.
const SENDERS: u32 = 3;
const CUSTOMERS: usize = 8;

/// A ledger with these keys of its own, and desks that enter things there.
fn books(ledger: &str, wire: &str) -> String {
    format!(
        "name = \"m\"\n[settings]\nreserve_timeout = \"60s\"\n\
         [[service]]\nname = \"ledger\"\nrelease = \"@ledger\"\n{ledger}\n\
         [[service]]\nname = \"desk\"\nrelease = \"@desk\"\ninstances = 4\npartitioned = true\n\
         wires = {{ \"acme:books/ledger\" = {wire} }}\n"
    )
}

/// A service under each of these addresses, which is called with the customer as the key.
async fn enter(runtime: &Runtime, service: &str, customer: &str, sender: u32, number: u64) {
    let call = format!("enter({customer:?}, {sender}, {number})");
    let answer = runtime.invoke((service, customer), call.as_str(), PATIENCE).await;
    assert_eq!(answer, Ok(Some(format!("ok({number})"))), "{service}: {call}");
}

/// Senders that enter one number after the other, each after the answer to the one before.
struct Senders {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Senders {
    fn start(mesh: &Mesh) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sender = |sender: u32| {
            let (runtime, over, answered) = (Arc::clone(&mesh.runtime), Arc::clone(&over), Arc::clone(&answered));
            let service = if sender < SENDERS { "desk" } else { "ledger" };
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    for customer in 0..CUSTOMERS {
                        enter(&runtime, service, &format!("c{customer}"), sender, number).await;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
                number
            })
        };
        let tasks = (0..2 * SENDERS).map(sender).collect();
        Self { over, answered, tasks }
    }

    /// Waits until so many more were answered as they should be.
    async fn more(&self, calls: u64) {
        let all = self.answered.load(Ordering::Relaxed) + calls;
        let failed = || self.tasks.iter().any(JoinHandle::is_finished);
        until("so many calls are answered", async || failed() || self.answered.load(Ordering::Relaxed) >= all).await;
    }

    /// Ends them. The ledger has all that they entered: it takes the number after the last one, and no other.
    async fn end(self, mesh: &Mesh) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        for (sender, task) in (0..).zip(self.tasks) {
            let last = task.await.unwrap();
            for customer in 0..CUSTOMERS {
                enter(&mesh.runtime, "ledger", &format!("c{customer}"), sender, last + 1).await;
            }
        }
        self.answered.load(Ordering::Relaxed)
    }
}

/// The guest of this name once more, as other bytes.
fn another(mesh: &Mesh, name: &str, number: u8) -> Release {
    let built = guest(name).with_file_name("target").join(format!("airssys/{name}.wasm"));
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section, whose name is the number.
    bytes.extend([0, 2, 1, b'0' + number]);
    let path = mesh.folder.path().join(format!("{name}-{number}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    Release::find(&path).unwrap()
}

async fn deploy(mesh: &Mesh, service: &str, number: u8, strategy: Strategy) {
    let mut options = quick();
    options.allow_downgrade = true;
    options.same_version = true;
    options.gate.samples = 50;
    options.gate.bake = Duration::from_millis(50);
    // On a busy machine any release may be a millisecond slower.
    options.gate.latency = 1_000_000.0;
    options.strategy = strategy;
    let release = another(mesh, service, number);
    let deployment = mesh.runtime.deploy(service, release, options).await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(deployment.ended().await, Progress::Live, "{service}");
}

fn rolling() -> Strategy {
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.max_unavailable = 2;
    rolling.bake = Duration::from_millis(20);
    Strategy::Rolling(rolling)
}

fn canary() -> Strategy {
    Strategy::Canary { steps: vec![25.0] }
}

/// Each end takes over in its turn, while the senders go on.
async fn goes_on(ledger: &str, wire: &str, strategies: &[Strategy]) {
    let mesh = Mesh::start(&books(ledger, wire)).await;
    let senders = Senders::start(&mesh);
    for (number, strategy) in (0..).zip(strategies) {
        senders.more(100).await;
        deploy(&mesh, "ledger", number, strategy.clone()).await;
        deploy(&mesh, "desk", number, strategy.clone()).await;
    }
    senders.more(100).await;
    let answered = senders.end(&mesh).await;
    let after = u64::from(2 * SENDERS) * CUSTOMERS as u64;
    assert_eq!(mesh.status("ledger").handled, answered + after, "each is carried out once");
    assert_eq!(mesh.dead(), [""; 0]);
    mesh.stop().await;
}

fn all() -> [Strategy; 5] {
    [Strategy::InPlace, rolling(), Strategy::BlueGreen, canary(), Strategy::Shadow { tolerate: 0.0 }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_keeps_the_calls_to_a_keyed_service() {
    let keyed = "keyed = { max_awake = 5, idle_timeout = \"20ms\" }";
    goes_on(keyed, "{ to = \"ledger\", key = \"customer\" }", &all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_keeps_the_calls_to_the_lanes_of_a_pool() {
    goes_on("instances = 4\npartitioned = true", "{ to = \"ledger\", key = \"customer\" }", &all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_of_one_actor_keeps_the_calls_to_it() {
    let mesh = Mesh::start(&books("", "\"ledger\"")).await;
    let senders = Senders::start(&mesh);
    for (number, strategy) in (0..).zip([Strategy::InPlace, Strategy::BlueGreen, Strategy::Shadow { tolerate: 0.0 }]) {
        senders.more(100).await;
        deploy(&mesh, "ledger", number, strategy).await;
    }
    let _answered = senders.end(&mesh).await;
    assert_eq!(mesh.dead(), [""; 0]);
    mesh.stop().await;
}
