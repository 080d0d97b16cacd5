//! The facade: a running mesh, for those who embed it. It holds no logic: each of its functions asks the one that does.

mod builder;
mod changes;
mod forget;
mod status;

pub use builder::RuntimeBuilder;
pub use forget::{ForgetError, Forgotten};
pub use status::ServiceStatus;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::{SupervisorHandle, TreeNode};
use airssys_rt_shim::system::ShutdownReport;
use bytes::Bytes;
use tokio::time::Instant;

use crate::apply::{Hosted, InvokeError};
use crate::error::{Fault, ReplayError, SendError};
use crate::events::Subscription;
use crate::message::{Answer, DeadLetter};
use crate::router::{Caller, Origin, Until};
use crate::state::durable::KeptState;

/// A running mesh.
///
/// # Example
///
/// A mesh of one service, asked once:
///
/// ```
/// use std::time::Duration;
/// use airssys_wasm::Runtime;
/// use airssys_wasm::topology::Topology;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let file = folder.path().join("airssys.toml");
/// std::fs::write(&file, r#"
///     name = "example"
///     [[service]]
///     name = "echo"
///     release = "echo.wasm"
/// "#)?;
/// let topology = Topology::read(&file)?;
/// let runtime = Runtime::builder().start(&topology).await?;
/// let answer = runtime.call("echo", "hello", Duration::from_secs(5)).await?;
/// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
/// let report = runtime.shutdown().await;
/// assert!(report.is_clean());
/// # Ok(()) }
/// ```
pub struct Runtime {
    hosted: Arc<Hosted>,
}

impl Runtime {
    fn of(hosted: Hosted) -> Self {
        Self { hosted: Arc::new(hosted) }
    }

    /// The settings of a new mesh, which [`RuntimeBuilder::start`] starts.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let empty = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
    /// let runtime = Runtime::builder().start(&empty).await?;
    /// assert!(runtime.services().is_empty());
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Sends a message that nobody waits for. Answers when the mailbox has accepted it, which may wait for room as its
    /// policy says.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// runtime.send("echo", "hello").await?;
    /// let nobody = runtime.send("nobody", "hello").await.unwrap_err();
    /// assert_eq!(nobody.code(), "no-such-service");
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was sent then.
    pub async fn send(&self, to: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.hosted.actual.mesh.send(Origin::HOST, to, None, body.into().into()).await
    }

    /// [`Runtime::send`] with a partition key.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("instances = 4\npartitioned = true").await?;
    /// runtime.send_with_key("echo", "alice", "hello").await?;
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn send_with_key(&self, to: &str, key: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.hosted.actual.mesh.send(Origin::HOST, to, Some(key), body.into().into()).await
    }

    /// Sends a message and waits for the answer.
    ///
    /// A service that sleeps is run in the task that calls, until its turn ends, waits, or has taken a tick of 2 ms: no
    /// thread is woken for it. So calls that one task joins run one after the other that far; who wants them side by
    /// side calls from tasks of their own.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::time::Duration;
    ///
    /// let answer = runtime.call("echo", "hello", Duration::from_secs(5)).await?;
    /// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`], which says whether it may have been handled.
    pub async fn call(&self, to: &str, body: impl Into<Bytes>, patience: Duration) -> Answer {
        self.ask(Caller::Host(None), to, None, body.into(), patience).await
    }

    /// [`Runtime::call`] with a partition key.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("instances = 4\npartitioned = true").await?;
    /// use std::time::Duration;
    ///
    /// let answer = runtime.call_with_key("echo", "alice", "hello", Duration::from_secs(5)).await?;
    /// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`].
    pub async fn call_with_key(&self, to: &str, key: &str, body: impl Into<Bytes>, patience: Duration) -> Answer {
        self.ask(Caller::Host(None), to, Some(key), body.into(), patience).await
    }

    /// [`Runtime::call`] for those who have several under way and keep their order: `posted` is told when the message
    /// is in the mailbox, and what is sent after that comes after it. Where it never gets there, only the answer says
    /// so; where a layer has it tried again, it is told again.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    ///
    /// let (posted, patience) = (AtomicBool::new(false), Duration::from_secs(5));
    /// runtime.call_in_order("echo", "hello", patience, || posted.store(true, Ordering::Relaxed)).await?;
    /// assert!(posted.load(Ordering::Relaxed), "the next one could be sent then");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`].
    pub async fn call_in_order(
        &self,
        to: &str,
        body: impl Into<Bytes>,
        patience: Duration,
        posted: impl Fn() + Sync,
    ) -> Answer {
        self.ask(Caller::Host(Some(&posted)), to, None, body.into(), patience).await
    }

    /// No async function: each has its callee's future in it, and copies it when it makes it.
    fn ask<'a>(
        &'a self,
        caller: Caller<'a>,
        to: &'a str,
        key: Option<&'a str>,
        body: Bytes,
        patience: Duration,
    ) -> impl Future<Output = Answer> {
        let now = Instant::now();
        let until = Until { now, deadline: now + patience };
        self.hosted.actual.mesh.call(Origin::HOST, caller, to, key, body.into(), until)
    }

    /// Calls a function that a service exports by its own type, and waits for `patience` for its result. The call is
    /// written in [WAVE](https://docs.rs/wasm-wave), the text of WIT's values, and so is the result; none where the
    /// function has no result. Where several interfaces of the service have a function of that name, the interface
    /// stands before it: `acme:shop/pricing#quote(...)`.
    ///
    /// A result that is an error is an answer as well. What the turn did is discarded then.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: the text is no call of a function there, or the call has no answer.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let adder = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/adder.wat"))?;
    /// # std::fs::write(folder.path().join("adder.wasm"), adder)?;
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// // A component that exports `add: func(a: u32, b: u32) -> u32`, and nothing else.
    /// let text = "name = \"example\"\n[[service]]\nname = \"sums\"\nrelease = \"adder.wasm\"\n";
    /// let runtime = Runtime::builder().start(&Topology::parse(text, folder.path())?).await?;
    /// let sum = runtime.invoke("sums", None, "add(2, 3)", Duration::from_secs(5)).await?;
    /// assert_eq!(sum.as_deref(), Some("5"));
    /// assert!(!runtime.takes_bytes("sums"));
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn invoke(
        &self,
        to: &str,
        key: Option<&str>,
        call: &str,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        self.hosted.invoke(to, key, call, patience).await
    }

    /// Whether a service takes messages of bytes. One whose component exports no handler is called by its functions
    /// alone: see [`Runtime::invoke`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.takes_bytes("echo"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn takes_bytes(&self, service: &str) -> bool {
        self.hosted.takes_bytes(service)
    }

    /// The component file of the release that serves a service now; none where there is no such service.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.component("echo").is_some_and(|path| path.is_file()));
    /// assert_eq!(runtime.component("nobody"), None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn component(&self, service: &str) -> Option<PathBuf> {
        self.hosted.component(service)
    }

    /// Publishes to all services that subscribe to the topic; where none does, nothing happens.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// runtime.publish("orders/placed", "7")?;
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`], where a layer of the stack says no.
    pub fn publish(&self, topic: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.hosted.actual.mesh.announce(topic, body.into())
    }

    /// Asks every actor of a service how it is, between two of its turns; the first that is not well answers for all.
    /// None where no such service runs.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// use std::time::Duration;
    ///
    /// assert_eq!(runtime.health("echo", Duration::from_secs(5)).await, Some(Ok(())));
    /// assert_eq!(runtime.health("nobody", Duration::from_secs(5)).await, None);
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn health(&self, service: &str, patience: Duration) -> Option<Result<(), Fault>> {
        self.hosted.health(service, patience).await
    }

    /// What happens in the mesh, from its start on: see [`crate::events`].
    ///
    /// What is kept is bounded: events that gave way before they are read are counted and told.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::events::{Heard, Kind};
    ///
    /// let mut started = runtime.events().of_kinds(&[Kind::Started]);
    /// let Some(Heard::Event(event)) = started.next().await else { panic!("something has started") };
    /// assert_eq!(event.what.kind(), Kind::Started);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.hosted.actual.mesh.events.subscribe()
    }

    /// The dead letters: how many there were, and those that are kept, oldest first.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// let (all, kept) = runtime.dead_letters();
    /// assert_eq!(all, 0, "{:?}", kept.first().map(|letter| (letter.id, letter.reason.code())));
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        self.hosted.dead_letters()
    }

    /// Takes a dead letter out of those that are kept, by the id of its message. It stays counted.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let (_, kept) = runtime.dead_letters();
    /// for letter in kept {
    ///     let taken = runtime.take_dead_letter(letter.id);
    ///     assert_eq!(taken.map(|taken| taken.id), Some(letter.id), "nobody else has taken it");
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.hosted.take_dead_letter(id)
    }

    /// Sends the body of a dead letter again to where it was going, and takes the letter out of those that are kept. It
    /// goes as a new message that the host sends and nobody waits for, whatever it was before.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let (_, kept) = runtime.dead_letters();
    /// for letter in kept {
    ///     runtime.replay(letter.id).await?;
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; nothing was sent then, and the letter is kept.
    pub async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        self.hosted.actual.mesh.replay(id).await
    }

    /// All services as they are now, by name.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// use std::time::Duration;
    ///
    /// runtime.call("echo", "hello", Duration::from_secs(5)).await?;
    /// let echo = &runtime.services()[0];
    /// assert_eq!((echo.service.as_str(), echo.handled, echo.started), ("echo", 1, 1));
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        self.hosted.services()
    }

    /// How many bytes all durable states of the data folder have together, keys and values, with services that have
    /// left the topology; and the most that they may have, where there is a bound. None where no service has had
    /// durable state since the start.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.durable_bytes(), None, "there is no durable state");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn durable_bytes(&self) -> Option<(u64, Option<u64>)> {
        self.hosted.durable_bytes()
    }

    /// The committed state of a service, by key of the actor (empty where it has one state only), then by key of the
    /// state.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let states = runtime.state("echo");
    /// assert!(states.values().all(|values| values.is_empty()), "it keeps nothing");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn state(&self, service: &str) -> HashMap<String, BTreeMap<Box<str>, Bytes>> {
        self.hosted.state(service)
    }

    /// All committed state of a service with its history, by key of the actor (empty where it has one state only). None
    /// where there is no such service.
    ///
    /// Each state is as of one commit of its own; the states of several keys may be as of different moments.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// for (actor, state) in runtime.state_dump("echo").into_iter().flatten() {
    ///     println!("{actor}: {} values after {} commits", state.values.len(), state.commits);
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn state_dump(&self, service: &str) -> Option<BTreeMap<Box<str>, KeptState>> {
        self.hosted.state_dump(service)
    }

    /// One committed value of a service, by key of the actor (empty where it has one state only) and of the value.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.state_value("echo", "", "count"), None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn state_value(&self, service: &str, actor: &str, key: &str) -> Option<Bytes> {
        self.hosted.state_value(service, actor, key)
    }

    /// The supervision tree as it is now.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// let tree = runtime.tree().await;
    /// assert_eq!(tree[0].child.id.to_string(), "echo");
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn tree(&self) -> Vec<TreeNode> {
        self.hosted.actual.supervisors.tree().await
    }

    /// The root supervisor, to stop, start and add children by hand.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let children = runtime.root().which_children().await?;
    /// assert_eq!(children.len(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn root(&self) -> SupervisorHandle {
        self.hosted.actual.supervisors.root()
    }

    /// How many instances live now, and how many may.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// let (live, most) = runtime.instances();
    /// assert!(live == 1 && most >= 1);
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn instances(&self) -> (usize, usize) {
        (self.hosted.actual.engines.live_instances(), self.hosted.actual.engines.capacity().0)
    }

    /// Whether nothing is left to do: no message waits, no turn runs. Timers that are set do not count.
    ///
    /// It is true at one instant of the look; whoever sends meanwhile is not waited for.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::time::Duration;
    ///
    /// runtime.call("echo", "hello", Duration::from_secs(5)).await?;
    /// while !runtime.is_quiet() {
    ///     tokio::task::yield_now().await;
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.hosted.is_quiet()
    }

    /// The child for which the root supervisor gave up, one restart too many, where it did.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.gave_up(), None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn gave_up(&self) -> Option<String> {
        self.hosted.actual.supervisors.gave_up()
    }

    /// Waits until the tree has ended by itself, such as when the root gave up.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::ExitReason;
    ///
    /// runtime.shutdown().await;
    /// assert!(matches!(runtime.ended().await, ExitReason::Shutdown));
    /// # Ok(()) });
    /// ```
    pub async fn ended(&self) -> ExitReason {
        self.hosted.actual.supervisors.ended().await
    }

    /// Stops the tree in order, within the topology's `shutdown_timeout`, and says what had to be killed. Messages that
    /// wait are dead letters then.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let report = runtime.shutdown().await;
    /// assert!(report.is_clean(), "{report:?}");
    /// # Ok(()) });
    /// ```
    pub async fn shutdown(&self) -> ShutdownReport {
        self.hosted.shutdown().await
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("supervisors", &self.hosted.actual.supervisors)
            .field("services", &self.hosted.actual.all_placed().len())
            .finish_non_exhaustive()
    }
}
