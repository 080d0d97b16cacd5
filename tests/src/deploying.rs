//! A mesh with a service called `counter`, served by the guest `shifter`, and senders that number their messages to it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airssys_wasm::deploy::{DeployOptions, Deployment};
use airssys_wasm::registry::Release;
use airssys_wasm::{Runtime, RuntimeBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{Mesh, PATIENCE, builder, keeping, shifter, until};

const SENDERS: usize = 4;

/// A counter that is to be deployed to, and a sibling that is not.
pub const TOPOLOGY: &str = r#"
    name = "deploy"
    [settings]
    reserve_timeout = "60s"
    [root]
    intensity = 3
    [[service]]
    name = "counter"
    release = "one.wasm"
    limits = { turn_budget = "200ms", start_timeout = "500ms", memory = "4MiB" }
    [[service]]
    name = "sibling"
    release = "one.wasm"
"#;

/// [`TOPOLOGY`], with something more about the counter.
#[must_use]
pub fn counter_with(settings: &str) -> String {
    TOPOLOGY.replace("name = \"counter\"", &format!("name = \"counter\"\n{settings}"))
}

/// Options with which a test is over soon.
#[must_use]
pub fn quick() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(200);
    options.handover_deadline = Duration::from_secs(20);
    options
}

/// The same, for a way back that restores the state.
#[must_use]
pub fn restoring(mut options: DeployOptions) -> DeployOptions {
    options.restore_state = true;
    options
}

/// A deployment as it is told in JSON.
#[must_use]
pub fn told_of(runtime: &Runtime, deployment: &Deployment) -> Value {
    serde_json::to_value(runtime.deployment_status(deployment)).unwrap()
}

/// What the actors of a service keep, by key of the actor, then by name.
pub type States = BTreeMap<String, BTreeMap<String, Value>>;

/// The mesh. Its folder is that of its releases too.
pub struct Deploying(Mesh);

impl Deref for Deploying {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.0
    }
}

impl Deploying {
    /// Starts it with a release that answers as `one`.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start(topology: &str) -> Self {
        Self::start_as(topology, &shifter("one", "healthy")).await
    }

    /// [`Deploying::start`] with another release.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start_as(topology: &str, release: &[u8]) -> Self {
        Self::start_with(topology, release, tempfile::tempdir().unwrap(), builder()).await
    }

    /// [`Deploying::start`] where every release has to be compiled, whoever compiled it before.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start_cold(topology: &str) -> Self {
        Self::start_with(topology, &shifter("one", "healthy"), tempfile::tempdir().unwrap(), Runtime::builder()).await
    }

    /// [`Deploying::start`] with a data folder, in the folder of the topology; also where one has been started before.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start_kept(topology: &str, folder: TempDir) -> Self {
        Self::start_kept_as(topology, &shifter("one", "healthy"), folder).await
    }

    /// [`Deploying::start_kept`] with another release.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start_kept_as(topology: &str, release: &[u8], folder: TempDir) -> Self {
        let builder = keeping(folder.path());
        Self::start_with(topology, release, folder, builder).await
    }

    async fn start_with(topology: &str, release: &[u8], folder: TempDir, builder: RuntimeBuilder) -> Self {
        Self(Mesh::start_in(folder, topology, &[("one", release)], builder).await)
    }

    /// Where a release of this name is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.wasm"))
    }

    /// A release that answers with this name and does this.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    #[must_use]
    pub fn release(&self, name: &str, way: &str) -> Release {
        let path = self.path(name);
        std::fs::write(&path, shifter(name, way)).unwrap();
        Release::find(&path).unwrap()
    }

    /// Sends a numbered message and waits for what is answered.
    ///
    /// # Panics
    ///
    /// Nothing is.
    pub async fn ask(&self, from: &str, number: u64) -> Value {
        self.ask_key("", from, number).await
    }

    /// [`Deploying::ask`] with a key.
    ///
    /// # Panics
    ///
    /// Nothing is answered.
    pub async fn ask_key(&self, key: &str, from: &str, number: u64) -> Value {
        let body = json!({ "from": from, "number": number }).to_string();
        let answer = self.runtime.call(("counter", key), body, PATIENCE).await.unwrap().unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// What the counter, or the actor of this key, keeps under a name.
    ///
    /// # Panics
    ///
    /// It is no number.
    #[must_use]
    pub fn stored(&self, key: &str, name: &str) -> Value {
        let states = self.runtime.state("counter");
        let value = states.get(key).and_then(|state| state.get(name));
        value.map_or(Value::Null, |bytes| decoded(bytes))
    }

    /// All that the counter keeps, of each key.
    ///
    /// # Panics
    ///
    /// Something is no number.
    #[must_use]
    pub fn states(&self) -> States {
        let mut states = States::new();
        for (key, state) in self.runtime.state("counter") {
            states.insert(key, state.iter().map(|(name, value)| (name.to_string(), decoded(value))).collect());
        }
        states
    }

    /// A counter of all its states together.
    ///
    /// # Panics
    ///
    /// It is no number.
    #[must_use]
    pub fn counted(&self, name: &str) -> u64 {
        self.runtime.state("counter").values().filter_map(|state| state.get(name)).map(|bytes| number(bytes)).sum()
    }

    /// Stops it, in order; its folder.
    ///
    /// # Panics
    ///
    /// Something had to be killed.
    pub async fn stop(self) -> TempDir {
        self.0.stop().await
    }
}

fn decoded(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(number(bytes)))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

/// Several senders that send numbered messages as fast as there is room, until they are told to stop.
pub struct Load {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    keys: Vec<String>,
    senders: Vec<JoinHandle<u64>>,
}

impl Load {
    /// Starts them, for a service without keys.
    #[must_use]
    pub fn start(deploying: &Deploying) -> Self {
        Self::with_keys(deploying, 1, "")
    }

    /// Starts them: each sends to so many keys in turn, called `PREFIX0` and so on; with one, the prefix is the key.
    ///
    /// # Panics
    ///
    /// Later, where a message is not accepted.
    #[must_use]
    pub fn with_keys(deploying: &Deploying, keys: usize, prefix: &str) -> Self {
        let keys: Vec<String> = match keys {
            1 => vec![prefix.to_owned()],
            _ => (0..keys).map(|key| format!("{prefix}{key}")).collect(),
        };
        let (over, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sender = |sender: usize| {
            let (runtime, over, sent) = (Arc::clone(&deploying.runtime), Arc::clone(&over), Arc::clone(&sent));
            let keys = keys.clone();
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    let body =
                        json!({ "from": format!("sender {sender}"), "number": number, "plain": true }).to_string();
                    for key in &keys {
                        runtime.send(("counter", key), body.clone()).await.unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
                number
            })
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self { over, sent, keys, senders }
    }

    /// Waits until this many more messages were sent.
    ///
    /// # Panics
    ///
    /// They never are.
    pub async fn more(&self, messages: u64) {
        let all = self.sent.load(Ordering::Relaxed) + messages;
        until("so many messages are sent", async || self.sent.load(Ordering::Relaxed) >= all).await;
    }

    /// Stops the senders and says how many messages there were, when all of them are handled: once each, each sender's
    /// in order.
    ///
    /// # Panics
    ///
    /// One was lost, came twice or out of order.
    pub async fn end(self, deploying: &Deploying) -> u64 {
        let all = self.drain(deploying).await;
        assert_eq!(deploying.counted("handled"), all, "each message is handled once");
        all
    }

    /// [`Load::end`] for a counter that may keep its count in another way: that is for who calls to look at.
    ///
    /// # Panics
    ///
    /// One was lost or came out of order.
    pub async fn drain(self, deploying: &Deploying) -> u64 {
        let states = self.settle(deploying).await;
        states.values().map(|state| state["handled"].as_u64().unwrap()).sum()
    }

    /// [`Load::end`] for who compares all that the counter keeps: it is to be this.
    ///
    /// # Panics
    ///
    /// One was lost or came out of order.
    pub async fn settle(self, deploying: &Deploying) -> States {
        self.over.store(true, Ordering::Relaxed);
        let mut states = States::new();
        for (sender, task) in self.senders.into_iter().enumerate() {
            let sent = task.await.unwrap() + 1;
            let sender = format!("sender {sender}");
            for key in &self.keys {
                // Turns of a key end one after the other: this answer comes when all before it are handled.
                deploying.ask_key(key, &sender, sent).await;
                assert_eq!(deploying.stored(key, &sender), json!(sent));
                let state = states.entry(key.clone()).or_default();
                let before = state.get("handled").and_then(Value::as_u64).unwrap_or_default();
                state.insert("handled".to_owned(), json!(before + sent));
                state.insert(sender.clone(), json!(sent));
            }
        }
        assert_eq!(deploying.counted("out of order"), 0, "each sender's messages are handled in order");
        assert_eq!(deploying.runtime.dead_letters().0, 0, "nothing is a dead letter");
        states
    }
}
