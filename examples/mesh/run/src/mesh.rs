//! The mesh, and what is done with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::deploy::{DeployOptions, Deployment, Progress};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, ServiceStatus};

use crate::check::Evidence;
use crate::error::MeshError;
use crate::load::Load;

/// How long a new release has to show that it is sound.
const PROBATION: Duration = Duration::from_millis(300);

/// The mesh, running.
#[derive(Debug)]
pub struct Mesh {
    runtime: Arc<Runtime>,
    /// Where the topology is.
    folder: PathBuf,
}

/// What became of a release that was to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Why it is not live, where it is not.
    pub why_not: Option<String>,
    /// How long no message was taken over the switch, at the longest.
    pub pause: Duration,
}

impl Mesh {
    /// Starts it. Compiled code is kept in `code_cache`.
    ///
    /// # Errors
    ///
    /// [`MeshError`]; nothing runs then.
    pub async fn open(topology: &Path, code_cache: PathBuf) -> Result<Self, MeshError> {
        let folder = topology.parent().unwrap_or(Path::new("")).to_owned();
        let runtime = Runtime::builder().code_cache(code_cache).start(&Topology::read(topology)?).await?;
        Ok(Self { runtime: Arc::new(runtime), folder })
    }

    /// Lets customers in, who place the orders of a seed.
    ///
    /// # Errors
    ///
    /// The desk does not take such orders.
    pub fn load(&self, seed: u64) -> Result<Load, MeshError> {
        Load::begin(&self.runtime, seed)
    }

    /// Lets the release of a folder of `guests` take a service over.
    ///
    /// # Errors
    ///
    /// It is not there, or cannot be hosted, or would break a wire.
    pub async fn upgrade(&self, service: &str, release: &str) -> Result<Upgrade, MeshError> {
        let release = Release::find(&self.folder.join("guests").join(release))?;
        Ok(ended(self.runtime.deploy(service, release, options()).await?).await)
    }

    /// Lets the release before take a service over again.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn back(&self, service: &str) -> Result<Upgrade, MeshError> {
        Ok(ended(self.runtime.rollback(service, options())?).await)
    }

    /// Sends the customers home, and asks everybody for what they know.
    ///
    /// # Errors
    ///
    /// Somebody does not answer.
    pub async fn audit(&self, load: Load) -> Result<Evidence, MeshError> {
        let sales = load.end().await;
        Ok(Evidence { sales })
    }

    /// All services, as they are now.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        self.runtime.services()
    }

    /// Stops it in order; true where nobody had to be killed for it.
    pub async fn close(&self) -> bool {
        self.runtime.shutdown().await.is_clean()
    }
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = PROBATION;
    options
}

async fn ended(deployment: Deployment) -> Upgrade {
    let why_not = match deployment.ended().await {
        Progress::Live => None,
        Progress::RolledBack { reason } => Some(reason.to_string()),
        other => Some(format!("{other:?}")),
    };
    Upgrade { why_not, pause: deployment.pause() }
}
