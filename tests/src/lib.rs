//! What the tests stand on: a mesh of real guests, started from the text of a topology.
//!
//! The guests are built from source by `cargo xtask guests`; a test without them fails and says so.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test says so by panicking")]

pub mod calling;
pub mod command;
pub mod damaged;
pub mod deploying;
pub mod in_the_way;
pub mod log;
pub mod made;
pub mod pricing;
pub mod random;
pub mod tools;
pub mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::ConfigError;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeBuilder, ServiceStatus};
use prober_protocol::{Command, Outcome};
use serde_json::Value;
use tempfile::TempDir;

/// What an error says, and behind it what it says to do.
#[macro_export]
macro_rules! told {
    ($error:expr) => {{
        let error = $error;
        error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; hint: {hint}"))
    }};
}

/// How long a test waits for an answer that must come: far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running mesh in a folder of its own.
pub struct Mesh {
    /// The mesh.
    pub runtime: Arc<Runtime>,
    /// The folder of its topology file; relative paths in it are from here.
    pub folder: TempDir,
}

/// The folder of a test guest, such as `prober`.
///
/// # Panics
///
/// It is not built.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    guest_of("guests", name)
}

/// The folder of a guest in another language, such as `python`.
///
/// # Panics
///
/// It is not built.
#[must_use]
pub fn guest_in(language: &str, name: &str) -> PathBuf {
    guest_of(&format!("guests-{language}"), name)
}

fn guest_of(workspace: &str, name: &str) -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join(workspace);
    let built = guests.join("target/airssys").join(format!("{name}.wasm"));
    assert!(built.is_file(), "{} is not there; run `cargo xtask guests`", built.display());
    guests.join(name)
}

/// What stands in the binary of a guest with variants until somebody writes something else there.
const VARIANT: &[u8; 40] = b"variant=one,healthy.....................";

/// The binary of a release that answers with this name and misbehaves in this way; see the guest `shifter`.
///
/// # Panics
///
/// The guest is not built.
#[must_use]
pub fn shifter(name: &str, way: &str) -> Vec<u8> {
    variant("shifter", &format!("{name},{way}"))
}

/// The binary of a layer that signs what it rejects with this name; see the guest `warden`.
///
/// # Panics
///
/// The guest is not built.
#[must_use]
pub fn warden(name: &str) -> Vec<u8> {
    variant("warden", &format!("{name},healthy"))
}

/// [`shifter`] with a schema of its state; see the guest `heir`.
///
/// # Panics
///
/// The guest is not built.
#[must_use]
pub fn heir(name: &str, way: &str, schema: u32) -> Vec<u8> {
    variant("heir", &format!("{name},{way},{schema}"))
}

/// The binary of a command of this name, which is `healthy` or `crashing`; see the guest `filter`.
///
/// # Panics
///
/// The guest is not built.
#[must_use]
pub fn filter(name: &str, way: &str) -> Vec<u8> {
    variant("filter", &format!("{name},{way}"))
}

/// The binary of a release of this name that counts visits by HTTP and misbehaves in this way; see the guest `visits`.
///
/// # Panics
///
/// The guest is not built.
#[must_use]
pub fn visits(name: &str, way: &str) -> Vec<u8> {
    variant("visits", &format!("{name},{way}"))
}

fn variant(name: &str, variant: &str) -> Vec<u8> {
    let built = guest(name).with_file_name("target").join(format!("airssys/{name}.wasm"));
    let mut binary = std::fs::read(built).expect("the guest is built");
    let at: Vec<usize> = (0..binary.len()).filter(|at| binary[*at..].starts_with(VARIANT)).collect();
    assert_eq!(at.len(), 1, "the variant stands in the binary once");
    let text = format!("{:.<40}", format!("variant={variant}"));
    binary[at[0]..][..40].copy_from_slice(text.as_bytes());
    binary
}

/// What starts a mesh. Compiled code is kept between tests: a prober takes half a second to compile.
#[must_use]
pub fn builder() -> RuntimeBuilder {
    cached(Runtime::builder())
}

fn cached(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.code_cache(code_cache())
}

/// Where compiled code is kept: beside the tests, in the target folder, which may outlive a checkout. An interpreter
/// takes longer to compile than all the tests of it to run.
///
/// # Panics
///
/// The tests do not stand in a target folder.
#[must_use]
pub fn code_cache() -> PathBuf {
    let own = std::env::current_exe().expect("the file of the tests");
    own.parent().and_then(Path::parent).expect("the target folder").join("code-of-guests")
}

/// [`builder`], with the data in the folder of the topology.
#[must_use]
pub fn keeping(folder: &Path) -> RuntimeBuilder {
    builder().data_folder(folder.join("data"))
}

/// Writes a topology into its folder, and reads it as a host does whose data is there too.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Panics
///
/// It cannot be written.
pub fn read(folder: &Path, topology: &str) -> Result<Topology, ConfigError> {
    let file = folder.join("airssys.toml");
    std::fs::write(&file, with_guests(topology)).expect("a file");
    Topology::read_with(&file, Some(&folder.join("data")))
}

/// Waits until something is so. There is no other bound than [`PATIENCE`], so nothing depends on how fast the machine
/// is.
///
/// # Panics
///
/// It never is.
pub async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let all = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "never: {what}");
}

/// The text of a topology with the guests' folders put in: `@prober` becomes its path.
#[must_use]
pub fn with_guests(topology: &str) -> String {
    let mut text = topology.to_owned();
    for name in [
        "branches",
        "carts",
        "clerk",
        "desk",
        "fetcher",
        "feed",
        "ledger",
        "overseer",
        "pricing",
        "shopper",
        "shout",
        "sieve",
        "site",
        "spawner",
        "tally",
        "tasks",
        "till",
        "visits",
        "warden",
        "prober",
        "reacher",
        "referee",
        "scribe",
        "echo-wasi",
        "filter",
        "echo",
    ] {
        let marker = format!("\"@{name}\"");
        if text.contains(&marker) {
            text = text.replace(&marker, &format!("{:?}", guest(name)));
        }
    }
    text
}

/// The text of two services, with more keys of either: an overseer, and a prober for each child that it may spawn.
#[must_use]
pub fn overseer_and_workers(overseer: &str, worker: &str) -> String {
    format!(
        r#"
        [[service]]
        name = "overseer"
        release = "@overseer"
        {overseer}
        [service.grants]
        spawn = ["worker/*"]
        send = ["worker/*"]
        call = ["worker/*"]
        [[service]]
        name = "worker"
        release = "@prober"
        {worker}
        "#
    )
}

/// The text of two probers: one that asks, with more keys of its own, and one that is asked, to which the first may
/// send and make calls. The first may publish `news`; the second may subscribe to these topics.
#[must_use]
pub fn asker_and_goal(asker: &str, subscribes: &[&str]) -> String {
    format!(
        r#"
        [[service]]
        name = "asker"
        release = "@prober"
        {asker}
        [service.grants]
        send = ["goal"]
        call = ["goal"]
        publish = ["news"]
        [[service]]
        name = "goal"
        release = "@prober"
        [service.grants]
        subscribe = {subscribes:?}
        "#
    )
}

impl Mesh {
    /// Starts a mesh. In the text, `release = "@prober"` names a test guest.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start(topology: &str) -> Self {
        Self::try_start(topology, Runtime::builder()).await.unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    /// [`Mesh::start`], with what went wrong.
    ///
    /// # Errors
    ///
    /// What the topology or the runtime said.
    pub async fn try_start(
        topology: &str,
        builder: RuntimeBuilder,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("airssys.toml");
        std::fs::write(&file, with_guests(topology))?;
        let runtime = cached(builder).start(&Topology::read(&file)?).await?;
        Ok(Self { runtime: Arc::new(runtime), folder })
    }

    /// Starts a mesh in a folder that is there, beside these components, each in a file of its name.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start_in(
        folder: TempDir,
        topology: &str,
        components: &[(&str, &[u8])],
        builder: RuntimeBuilder,
    ) -> Self {
        for (name, component) in components {
            std::fs::write(folder.path().join(format!("{name}.wasm")), component).expect("a file");
        }
        let topology = read(folder.path(), topology).unwrap_or_else(|error| panic!("{error}"));
        let runtime = builder.start(&topology).await.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        Self { runtime: Arc::new(runtime), folder }
    }

    /// Tells a prober what to do and waits for what came of it.
    ///
    /// # Errors
    ///
    /// As [`Runtime::call`].
    ///
    /// # Panics
    ///
    /// The answer is no outcome.
    pub async fn ask(&self, to: &str, command: &Command) -> Result<Outcome, CallError> {
        let answer = self.runtime.call(to, command.bytes(), PATIENCE).await?.unwrap_or_default();
        Ok(serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
    }

    /// Tells a prober what to do, which must go well, and gives what it answers.
    ///
    /// # Panics
    ///
    /// It did not go well.
    pub async fn ok(&self, to: &str, command: &Command) -> Value {
        match self.ask(to, command).await {
            Ok(Outcome::Ok(value)) => value,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// Tells a prober what to do, which must be refused, and gives the refusal's name.
    ///
    /// # Panics
    ///
    /// It was not refused.
    pub async fn refused(&self, to: &str, command: &Command) -> String {
        match self.ask(to, command).await {
            Ok(Outcome::Err(refusal)) => refusal.name,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// Tells a prober what to do.
    ///
    /// # Errors
    ///
    /// As [`Runtime::send`].
    pub async fn tell(&self, to: &str, command: &Command) -> Result<(), SendError> {
        self.runtime.send(to, command.bytes()).await
    }

    /// What a service counts.
    ///
    /// # Panics
    ///
    /// There is no such service.
    #[must_use]
    pub fn status(&self, service: &str) -> ServiceStatus {
        self.runtime
            .services()
            .into_iter()
            .find(|status| status.service == service)
            .unwrap_or_else(|| panic!("no service {service}"))
    }

    /// The committed value of a key of a service's only state, as JSON.
    #[must_use]
    pub fn stored(&self, service: &str, key: &str) -> Value {
        let states = self.runtime.state(service);
        states.get("").and_then(|state| state.get(key)).map_or(Value::Null, |bytes| parse(Some(bytes)))
    }

    /// The reasons of the dead letters, oldest first.
    #[must_use]
    pub fn dead(&self) -> Vec<&'static str> {
        self.runtime.dead_letters().1.iter().map(|letter| letter.reason.code()).collect()
    }

    /// [`until`], of the mesh.
    ///
    /// # Panics
    ///
    /// It never is.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        until(what, async || so(self)).await;
    }

    /// Stops the mesh, which must go in order; its folder.
    ///
    /// # Panics
    ///
    /// Something had to be killed.
    pub async fn stop(self) -> TempDir {
        let report = self.runtime.shutdown().await;
        assert!(report.is_clean(), "{report:?}");
        self.folder
    }
}

fn parse(bytes: Option<&[u8]>) -> Value {
    let bytes = bytes.unwrap_or_default();
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// What this process holds of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Open files, sockets and the like.
    pub file_descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Tasks of the runtime that the caller is on.
    pub tasks: usize,
}

/// What this process holds now.
///
/// # Panics
///
/// There is no `/proc`, or the caller is on no runtime.
#[must_use]
pub fn footprint() -> Footprint {
    let count = |folder: &str| std::fs::read_dir(folder).expect("/proc is there").count();
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("statm has two numbers");
    Footprint {
        resident_bytes: pages * 4096,
        file_descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
    }
}
