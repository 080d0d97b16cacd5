//! Why a mesh does not run, and why a topology was not applied.

use airssys_rt_shim::system::SystemError;

use crate::audit::{AuditError, Unrecorded};
use crate::config_file::ConfigError;
use crate::deploy::{BrokenWire, DeployError, PlanRefusal, RecordError, Source};
use crate::engine::{EngineError, TemplateError};
use crate::hint::{Act, Coded, Hint};
use crate::listener::ListenError;
use crate::registry::Untrusted;
use crate::state::durable::StateError;
use crate::topology::FolderError;

/// Why a mesh does not run.
///
/// # Example
///
/// ```
/// use airssys_wasm::{Runtime, RuntimeError};
/// use airssys_wasm::topology::Topology;
///
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = doc::folder()?;
/// let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\nstate = \"durable\"\n";
/// let topology = Topology::parse(text, folder.path())?;
/// let error = Runtime::builder().start(&topology).await.err().ok_or("it has no data folder")?;
/// assert!(matches!(error, RuntimeError::NoDataFolder { .. }), "{error}");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The engines cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A release cannot be hosted.
    #[error("service {service}: {source}")]
    Release {
        /// The service it was for.
        service: String,
        /// Why not.
        source: TemplateError,
    },
    /// A release is not signed by one who is trusted.
    #[error("service {service}: {source}")]
    Untrusted {
        /// The service it was for.
        service: String,
        /// Why not.
        source: Untrusted,
    },
    /// Two services have one name.
    #[error("there are two services {name:?}")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// More instances were declared than can live.
    #[error("the topology declares {declared} instances, and {most} is the most that {mappings} memory mappings allow")]
    TooManyInstances {
        /// How many were declared.
        declared: usize,
        /// How many can live.
        most: usize,
        /// What the kernel allows.
        mappings: usize,
    },
    /// Durable state is asked for, and no folder to keep it in.
    #[error("service {service} has durable state, and no data folder was named")]
    NoDataFolder {
        /// The service.
        service: String,
    },
    /// The durable state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the data folder says of the mesh cannot be read, written or used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A release that the topology names is not there, and nothing is known that served in its place.
    #[error(transparent)]
    NoRelease(ConfigError),
    /// The release that was deployed is not there any more.
    #[error("service {service} is served by {live}, which was deployed, and cannot be found again: {detail}")]
    DeployedGone {
        /// The service.
        service: String,
        /// What was live.
        live: Box<Source>,
        /// What is wrong.
        detail: String,
    },
    /// A wire would not carry what is said over it.
    #[error(transparent)]
    Wire(#[from] BrokenWire),
    /// Nothing can listen where the topology says, or a route leads to nobody who answers.
    #[error(transparent)]
    Listener(#[from] ListenError),
    /// A layer is to be a component that is none.
    #[error("the service {service} is to be a layer, and its release exports no `airssys:actor/layer`")]
    NoLayer {
        /// The service.
        service: String,
    },
    /// A policy has something to say against it.
    #[error("{said}")]
    Policy {
        /// What it says, a line each.
        said: String,
    },
    /// A folder is not granted.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no audit, and it is required.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Something did not start; what had started was stopped again.
    #[error(transparent)]
    Start(#[from] SystemError),
}

impl Coded for RuntimeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::Release { .. } | Self::NoRelease(_) => "release",
            Self::Untrusted { .. } => "untrusted",
            Self::NameTaken { .. } => "name-taken",
            Self::TooManyInstances { .. } => "too-many-instances",
            Self::NoDataFolder { .. } => "no-data-folder",
            Self::State(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::DeployedGone { .. } => "deployed-gone",
            Self::Wire(_) => "wire",
            Self::Listener(error) => error.code(),
            Self::NoLayer { .. } => "no-layer",
            Self::Policy { .. } => "policy",
            Self::Folder(_) => "folder",
            Self::Audit(error) => error.code(),
            Self::Start(_) => "not-started",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::Engine(error) => return error.hint(),
            Self::Release { source, .. } => return source.hint(),
            Self::Untrusted { source, .. } => return source.hint(),
            Self::NameTaken { .. } => "names are unique in a mesh".into(),
            Self::TooManyInstances { .. } => "raise vm.max_map_count (sysctl), or lower `instances`".into(),
            Self::NoDataFolder { .. } => "name one, or leave `state` of the service out".into(),
            Self::State(error) => return error.hint(),
            Self::Record(error) => return error.hint(),
            Self::NoRelease(error) => return error.hint(),
            Self::DeployedGone { .. } => {
                Hint::from("bring the same bytes back, there or where they came from, or ").act(Act::StartAsWritten)
            }
            Self::Wire(broken) => return broken.hint(),
            Self::Listener(error) => return error.hint(),
            Self::NoLayer { .. } => "name a release that exports it, or leave the [[layer]] out".into(),
            Self::Policy { .. } => "change what the rule is about, or ask whoever has the policy".into(),
            Self::Folder(error) => return error.hint(),
            Self::Audit(error) => return error.hint(),
            Self::Start(_) => return None,
        };
        Some(hint)
    }
}

/// Why a topology was not applied. All is as it was before, except for what [`ApplyError::Undone`] says.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::ApplyError;
/// use airssys_wasm::deploy::DeployOptions;
/// use airssys_wasm::topology::Topology;
///
/// let other = Topology::parse("name = \"other\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
/// let Err(ApplyError::Refused { refusals }) = runtime.apply(other, DeployOptions::default()).await else {
///     panic!("another name is another mesh");
/// };
/// assert_eq!(refusals.len(), 1);
/// # Ok(()) });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Another apply is under way: there is one at a time.
    #[error("an apply is under way")]
    UnderWay,
    /// Its plan has refusals, and nothing was begun.
    #[error("{}", .refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("\n"))]
    Refused {
        /// Why.
        refusals: Vec<PlanRefusal>,
    },
    /// A release of it cannot be hosted, is not trusted, or there is no room for it.
    #[error(transparent)]
    Runtime(Box<RuntimeError>),
    /// The new topology cannot be written to the data folder, and would not outlive the host.
    #[error(transparent)]
    InForce(#[from] RecordError),
    /// The audit is required and cannot record it.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// A step of it failed, and the steps before that one were undone.
    #[error("{step}: {why}; everything is as it was before{}", Left(.left))]
    Undone {
        /// What did not come about.
        step: String,
        /// Why.
        why: String,
        /// What could not be brought back, and how it is now; empty almost always.
        left: Vec<String>,
    },
}

struct Left<'a>(&'a [String]);

impl std::fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", but for this: {}", self.0.join("; ")) }
    }
}

impl From<RuntimeError> for ApplyError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(Box::new(error))
    }
}

impl From<DeployError> for ApplyError {
    fn from(error: DeployError) -> Self {
        Self::Refused { refusals: vec![(&error).into()] }
    }
}

impl Coded for ApplyError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnderWay => "under-way",
            Self::Refused { .. } | Self::Runtime(_) => "refused",
            Self::InForce(_) => "not-recorded",
            Self::Unrecorded(error) => error.code(),
            Self::Undone { .. } => "undone",
        }
    }

    /// What to do about it; where it would be refused, about the first reason.
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::UnderWay => Some("wait until it has ended".into()),
            Self::Refused { refusals } => refusals.first()?.hint.clone(),
            Self::Runtime(error) => error.hint(),
            Self::InForce(error) => error.hint(),
            Self::Unrecorded(error) => error.hint(),
            Self::Undone { .. } => None,
        }
    }
}
