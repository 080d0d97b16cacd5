//! What a topology declares, for those who show it or address it. How that is written is the file's affair.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::tree::{Node, RootSpec, ServiceNode, Topology};
use crate::limits::Limits;
use crate::listener::settings::Listening;
use crate::registry::Release;
use crate::settings::Multiplicity;

/// A service as a topology declares it.
///
/// # Example
///
/// ```
/// use airssys_wasm::topology::{DeclaredService, Topology};
///
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("echo.wasm"), b"")?;
/// let text = "name = \"shop\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\nconfig = { tax = \"19\" }\n";
/// let declared: Vec<DeclaredService> = Topology::parse(text, folder.path())?.declared();
/// assert_eq!(declared[0].config["tax"], "19");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeclaredService {
    /// Its name.
    pub name: String,
    /// How the topology names its release: a path, or `NAME@VERSION`.
    pub named: PathBuf,
    /// That release, as it was found.
    pub release: Release,
    /// How many actors serve it.
    #[doc(hidden)]
    pub actors: Actors,
    /// Its limits: those of its release, and what the topology says instead.
    #[doc(hidden)]
    pub limits: Limits,
    /// What it reads through `wasi:config`; `(secret)` in the place of a secret.
    pub config: BTreeMap<String, String>,
}

/// How many actors serve a service, and whether a message to it names one of them by a key.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Actors;
///
/// /// Whether a message has to name a key.
/// fn needs_key(actors: Actors) -> bool {
///     matches!(actors, Actors::Keyed(_) | Actors::Spawned(_))
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actors {
    /// One; a message names no key.
    One,
    /// So many that share one mailbox; a message names no key.
    Stateless(usize),
    /// So many with a mailbox each; the key of a message chooses, and a message may have none.
    Partitioned(usize),
    /// One for each key, of which so many may be awake; a message names the key.
    Keyed(usize),
    /// One for each that a guest spawned, at most so many; a message names the child.
    Spawned(usize),
}

/// How many restarts of its children a supervisor allows within a period; at one more, it gives up.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use airssys_wasm::command::Intensity;
/// use airssys_wasm::topology::Topology;
///
/// let topology = Topology::parse("name = \"shop\"\n[root]\nintensity = 5\nperiod = \"10s\"\n", ".".as_ref())?;
/// let Intensity { restarts, period, .. } = topology.intensity();
/// assert_eq!((topology.name(), restarts, period), ("shop", 5, Duration::from_secs(10)));
/// assert!(topology.intensity_of("nobody").is_none());
/// # Ok::<(), airssys_wasm::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intensity {
    /// The restarts.
    pub restarts: u32,
    /// The period.
    pub period: Duration,
    /// Whether it waits before a restart.
    pub has_backoff: bool,
}

/// Where a mesh will take requests of HTTP.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::DeclaredListener;
/// use airssys_wasm::topology::Topology;
///
/// let topology = Topology::parse("name = \"shop\"\n[[http]]\nlisten = \"127.0.0.1:8080\"\n", ".".as_ref())?;
/// let [DeclaredListener { listen, tls, routes, .. }] = &topology.declared_listeners()[..] else { panic!("one") };
/// assert_eq!((listen.as_str(), *tls, routes.len()), ("127.0.0.1:8080", false, 0));
/// # Ok::<(), airssys_wasm::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclaredListener {
    /// The address and the port.
    pub listen: String,
    /// Whether it has a certificate.
    pub tls: bool,
    /// Where its routes lead, as it is told to people.
    pub routes: Vec<String>,
}

impl Topology {
    /// Where it will take requests of HTTP, in the order of the file.
    #[doc(hidden)]
    #[must_use]
    pub fn declared_listeners(&self) -> Vec<DeclaredListener> {
        let one = |of: &Listening| DeclaredListener {
            listen: of.listen.to_string(),
            tls: of.tls.is_some(),
            routes: of.routes.iter().map(ToString::to_string).collect(),
        };
        self.listeners.iter().map(one).collect()
    }

    /// The name of the mesh, which is also that of its root supervisor.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// let topology = Topology::parse("name = \"shop\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
    /// assert_eq!(topology.name(), "shop");
    /// # Ok::<(), airssys_wasm::ConfigError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All services, in the order in which they start.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
    /// let text = "name = \"shop\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\ninstances = 4\n";
    /// let topology = Topology::parse(text, folder.path())?;
    /// let [echo] = &topology.declared()[..] else { panic!("one service") };
    /// assert_eq!((echo.name.as_str(), echo.release.manifest.state_schema), ("echo", 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn declared(&self) -> Vec<DeclaredService> {
        self.services().map(|node| DeclaredService::of(node)).collect()
    }

    /// What the root supervisor allows.
    #[doc(hidden)]
    #[must_use]
    pub fn intensity(&self) -> Intensity {
        Intensity::of(&self.root)
    }

    /// What a child of the root supervisor allows, where it is a supervisor itself.
    #[doc(hidden)]
    #[must_use]
    pub fn intensity_of(&self, child: &str) -> Option<Intensity> {
        self.children.iter().find_map(|node| match node {
            Node::Supervisor(supervisor) if supervisor.name == child => Some(Intensity::of(&supervisor.flags)),
            _ => None,
        })
    }
}

impl DeclaredService {
    fn of(node: &ServiceNode) -> Self {
        Self {
            name: node.address.to_string(),
            named: node.named.clone(),
            release: node.release.clone(),
            actors: match node.multiplicity {
                Multiplicity::One => Actors::One,
                Multiplicity::Stateless { instances } => Actors::Stateless(instances),
                Multiplicity::Partitioned { instances } => Actors::Partitioned(instances),
                Multiplicity::Keyed(rules) => Actors::Keyed(rules.max_awake),
                Multiplicity::Spawned(rules) => Actors::Spawned(rules.max_children),
            },
            limits: node.limits.clone(),
            config: node.config.shown(),
        }
    }
}

impl Intensity {
    fn of(spec: &RootSpec) -> Self {
        Self { restarts: spec.intensity, period: spec.period, has_backoff: spec.backoff.is_some() }
    }
}
