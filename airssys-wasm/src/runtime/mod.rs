//! The facade: a running mesh, for those who embed it. It holds no logic: each of its functions asks the one that does.

mod builder;
mod changes;
mod command;
mod deployments;
mod executor;
mod forget;
mod functions;
mod grants;
mod messages;
mod os_operation;
mod program;
mod records;
mod status;

pub use builder::RuntimeBuilder;
pub use executor::{ExecuteError, Executor};
pub use forget::{ForgetError, Forgotten};
pub use os_operation::{OsOperation, OsOutput};
pub use program::{Program, ProgramExit, ProgramOutput};
pub use status::{ListenerStatus, ServiceStatus};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::TreeNode;
use airssys_rt_shim::system::ShutdownReport;
use bytes::Bytes;

use crate::apply::Hosted;
use crate::error::Fault;
use crate::events::Subscription;
use crate::listener::Listener;

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
    /// The listener that is written like this.
    pub(crate) fn listener(&self, listen: &str) -> Option<Arc<Listener>> {
        self.hosted.actual.listeners.named(listen)
    }

    fn of(hosted: Hosted) -> Self {
        let hosted = Arc::new(hosted);
        hosted.watch_ends();
        hosted.tell_tree();
        Self { hosted }
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

    /// Whether an actor of this service can handle a message now.
    pub(crate) fn is_up(&self, service: &str) -> bool {
        self.hosted.is_up(service)
    }

    /// Messages of this service that cut-off turns left and nobody has taken up again.
    pub(crate) fn left_in_hand(&self, service: &str) -> u64 {
        self.hosted.left_in_hand(service)
    }

    /// Where it takes requests of HTTP: all listeners that are open.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let topology = Topology::parse("name = \"site\"\n[[http]]\nlisten = \"127.0.0.1:0\"\n", ".".as_ref())?;
    /// let runtime = Runtime::builder().start(&topology).await?;
    /// for listener in runtime.listeners() {
    ///     println!("http://{}: {} connections", listener.address, listener.connections);
    /// }
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.hosted.listeners()
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

    /// Each committed value of a service: the actor's key, the name of the value, and it.
    pub(crate) fn each_value(&self, service: &str, see: impl FnMut(&str, &str, &Bytes)) {
        self.hosted.each_value(service, see);
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
