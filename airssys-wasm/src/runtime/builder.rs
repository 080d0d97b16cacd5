//! What starts a [`Runtime`], and with what.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::Runtime;
use crate::apply::{self, Checked, Objection, Proposal, RuntimeError, StartOptions};
use crate::client::{Peer, Peers};
use crate::engine::{Meter, Tier};
use crate::events::Subscription;
use crate::middleware::Layer;
use crate::seeded::Seeded;
use crate::topology::Topology;

/// Makes a [`Runtime`].
///
/// # Example
///
/// ```
/// use airssys_wasm::Runtime;
/// use airssys_wasm::topology::Topology;
///
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = doc::folder()?;
/// # let folder = folder.path();
/// let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// let topology = Topology::parse(text, folder)?;
/// let (code, data) = (folder.join("code"), folder.join("data"));
/// let runtime = Runtime::builder().code_cache(&code).data_folder(&data).as_written().start(&topology).await?;
/// runtime.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct RuntimeBuilder {
    pub(super) options: StartOptions,
}

impl RuntimeBuilder {
    /// Keeps compiled code in this folder, so that the next start takes milliseconds.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", folder)?;
    /// let runtime = Runtime::builder().code_cache(folder.join("code")).start(&topology).await?;
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn code_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.engines.code_cache = Some(folder.into());
        self
    }

    /// Keeps durable state, what was deployed and which topology is in force in this folder, and finds published
    /// releases there. One mesh at a time has it.
    ///
    /// The topology that is started is the one in force from then on, whatever was applied before.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", folder)?;
    /// let runtime = Runtime::builder().data_folder(folder.join("data")).start(&topology).await?;
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.data_folder = Some(folder.into());
        self
    }

    /// Starts with the releases that the topology names, whatever was deployed, and writes no deployment down.
    /// Otherwise a service starts with the release that was live last.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", folder)?;
    /// let builder = Runtime::builder().data_folder(folder.join("data")).as_written();
    /// let runtime = builder.start(&topology).await?;
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn as_written(mut self) -> Self {
        self.options.as_written = true;
        self
    }

    /// Denies nothing, and counts what each service does instead, so that [`Runtime::learned`] can tell the smallest
    /// grants for it. It is said in the log, loudly, of each service; one whose topology says `learn = false` is held
    /// to its grants as ever. Not for what strangers can reach.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", folder.path())?;
    /// let runtime = Runtime::builder().learn().start(&topology).await?;
    /// assert_eq!(runtime.learned().map(|all| all.len()), Some(0));
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn learn(mut self) -> Self {
        self.options.learn = true;
        self
    }

    /// Asks about each start, apply and deployment before anything of it is done: what is said against it refuses it,
    /// and so does not being able to say. A grant that is given while the mesh runs is an apply as well. What is
    /// stopped, revoked or rolled back is not asked about. It is waited for 10 s at most, in a thread of its own.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::{Objection, Runtime};
    ///
    /// let builder = Runtime::builder().judge(|proposal| match proposal.operation {
    ///     "deploy" => Ok(vec![Objection::new("nothing is deployed by hand here", "house.by-hand")]),
    ///     _ => Ok(Vec::new()),
    /// });
    /// ```
    #[must_use]
    pub fn judge(
        mut self,
        judge: impl Fn(&Proposal) -> Result<Vec<Objection>, String> + Send + Sync + 'static,
    ) -> Self {
        self.options.judge = Some(Arc::new(judge));
        self
    }

    /// Finds the addresses of the hosts that guests make HTTP requests to, and of names that are granted to their
    /// sockets; by default the system does. It is asked once a request, and of a name of sockets once in the
    /// `lookup_ttl` of the topology. What it says goes by the grants as what the system says does.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    ///
    /// let builder = Runtime::builder().resolver(async |name: String| match &*name {
    ///     "ledger.example" => Ok(vec![[192, 0, 2, 7].into()]),
    ///     _ => Err(std::io::ErrorKind::NotFound.into()),
    /// });
    /// ```
    #[must_use]
    pub fn resolver<F>(mut self, find: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        self.options.client.resolver = Some(Arc::new(move |name| Box::pin(find(name))));
        self
    }

    /// Trusts, beside whom the system trusts, the servers of guests' HTTP requests for which this certificate vouches,
    /// in DER. One that is none is told in the log.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    ///
    /// # let ca = vec![0x30, 0x03];
    /// let builder = Runtime::builder().trust(ca);
    /// ```
    #[must_use]
    pub fn trust(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.options.client.roots.push(certificate.into());
        self
    }

    /// Has everything that is not a guest's own choice follow from a seed: see [`crate::seeded`]. To be started within
    /// [`Seeded::run`].
    ///
    /// Not for service: guests compute slower, all of it is one thread, and its clocks are its own.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::seeded::Seeded;
    /// use airssys_wasm::topology::Topology;
    ///
    /// let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
    /// let seeded = Seeded::new(7);
    /// let services = seeded.run(async || {
    ///     let runtime = Runtime::builder().seeded(&seeded).start(&topology).await.ok()?;
    ///     let services = runtime.services().len();
    ///     runtime.shutdown().await;
    ///     Some(services)
    /// })?;
    /// assert_eq!(services, Some(0));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn seeded(mut self, seeded: &Seeded) -> Self {
        self.options.engines.meter = Meter::Instructions;
        // When the better code comes would follow from the machine, and from what it has compiled before.
        self.options.engines.only.get_or_insert(Tier::Optimized);
        self.options.seeded = Some(seeded.clone());
        self.options.client.peers = Some(Peers::new(seeded, Vec::new()));
        self
    }

    /// Has this compiler make all components.
    pub(crate) fn compiled_by(mut self, tier: Tier) -> Self {
        self.options.engines.only = Some(tier);
        self
    }

    /// Has these answer the HTTP requests of guests, in a host of this seed.
    pub(crate) fn peers(mut self, seeded: &Seeded, peers: Vec<Peer>) -> Self {
        self.options.client.peers = Some(Peers::new(seeded, peers));
        self
    }

    /// Adds a layer to the dispatch stack.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::error::CallError;
    /// use airssys_wasm::middleware::{Context, ErrorVerdict, Layer};
    ///
    /// struct Tells;
    ///
    /// impl Layer for Tells {
    ///     fn name(&self) -> &'static str {
    ///         "tells"
    ///     }
    ///
    ///     fn priority(&self) -> i32 {
    ///         500
    ///     }
    ///
    ///     fn on_error(&self, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
    ///         println!("{}: {error}", context.target);
    ///         ErrorVerdict::Continue
    ///     }
    /// }
    ///
    /// let builder = Runtime::builder().layer(Tells);
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.options.layers.push(Arc::new(layer));
        self
    }

    /// What will happen in the mesh, from the start on, also where that fails: see [`crate::events`].
    ///
    /// # Example
    ///
    /// ```
    /// let mut events = airssys_wasm::Runtime::builder().events();
    /// assert_eq!(events.try_next(), None);
    /// ```
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.options.events.subscribe()
    }

    /// Compiles the releases, starts the tree, and answers when all of it is up. Must be called on a tokio runtime with
    /// several threads.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
    /// let runtime = Runtime::builder().start(&topology).await?;
    /// assert_eq!(runtime.tree().await[0].child.id.as_str(), "later");
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RuntimeError`]. Nothing runs then.
    pub async fn start(self, topology: &Topology) -> Result<Runtime, RuntimeError> {
        apply::start(self.options, topology).await.map(Runtime::of)
    }
}

/// What the command `airssys` and the project's own tests need beside that.
#[doc(hidden)]
impl RuntimeBuilder {
    /// Lets at most this many instances live at a time; by default as many as the kernel's mappings allow.
    ///
    /// # Example
    ///
    /// ```
    /// let _builder = airssys_wasm::Runtime::builder().max_instances(10);
    /// ```
    #[must_use]
    pub fn max_instances(mut self, most: usize) -> Self {
        self.options.engines.max_instances = Some(most);
        self
    }

    /// Has logs go by this clock, by which they put their files aside as well.
    ///
    /// # Example
    ///
    /// ```
    /// let _builder = airssys_wasm::Runtime::builder().log_clock(|| std::time::UNIX_EPOCH);
    /// ```
    #[must_use]
    pub fn log_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.options.log_clock = Some(Box::new(now));
        self
    }

    /// Starts with those alone of the host's own layers that have these names, to measure what they cost, and to find
    /// what only one of them holds: without `authorize` nothing that passes the layers is denied. For nothing else.
    ///
    /// # Example
    ///
    /// ```
    /// let _builder = airssys_wasm::Runtime::builder().only_layers(&["authorize"]);
    /// ```
    #[must_use]
    pub fn only_layers(mut self, names: &'static [&'static str]) -> Self {
        self.options.only_layers = Some(names);
        self
    }

    /// Compiles and links the releases, and starts nothing: finds what [`RuntimeBuilder::start`] would refuse.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::Runtime;
    ///
    /// assert!(Runtime::builder().check(&runtime.in_force()).await?.warnings.is_empty());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`RuntimeError`].
    pub async fn check(self, topology: &Topology) -> Result<Checked, RuntimeError> {
        apply::check(self.options, topology).await
    }
}
