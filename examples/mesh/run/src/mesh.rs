//! The mesh, and what is done with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::deploy::{DeployOptions, Deployment, Progress};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, ServiceStatus};
use serde::{Deserialize, Serialize};

use crate::check::Evidence;
use crate::error::MeshError;
use crate::load::Load;

/// How long a new release has to show that it is sound.
const PROBATION: Duration = Duration::from_millis(300);
/// How long a service may take to say what it knows.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mesh, running.
#[derive(Debug)]
pub struct Mesh {
    runtime: Arc<Runtime>,
    /// Where the topology is.
    folder: PathBuf,
    /// How many of each thing were there at first.
    shelves: BTreeMap<String, u64>,
}

/// `record sum` of the books and of the report.
#[derive(Serialize, Deserialize)]
struct Sum {
    orders: u64,
    cents: u64,
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
    /// Starts it, with its data in `data`. Compiled code is kept in `code_cache`.
    ///
    /// # Errors
    ///
    /// [`MeshError`]; nothing runs then.
    pub async fn open(topology: &Path, data: &Path, code_cache: PathBuf) -> Result<Self, MeshError> {
        let folder = topology.parent().unwrap_or(Path::new("")).to_owned();
        let topology = Topology::read(topology)?;
        let stock = topology.declared().into_iter().find(|service| service.name == "stock");
        let shelves = stock.into_iter().flat_map(|stock| stock.config);
        let shelves = shelves.filter_map(|(sku, count)| Some((sku, count.parse().ok()?))).collect();
        let runtime = Runtime::builder().data_folder(data).code_cache(code_cache).start(&topology).await?;
        Ok(Self { runtime: Arc::new(runtime), folder, shelves })
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
        Ok(ended(&self.runtime, self.runtime.deploy(service, release, options()).await?).await)
    }

    /// Lets the release before take a service over again.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn back(&self, service: &str) -> Result<Upgrade, MeshError> {
        Ok(ended(&self.runtime, self.runtime.rollback(service, options())?).await)
    }

    /// Sends the customers home, and asks everybody for what they know.
    ///
    /// # Errors
    ///
    /// Somebody does not answer, or has kept something else than it is to keep.
    pub async fn audit(&self, load: Load) -> Result<Evidence, MeshError> {
        let sales = load.end().await;
        // What was published stands before these in the mailboxes: it was put there before the order was answered.
        let report: Sum = self.ask("report", "today").await?;
        let labels = self.ask("post", "printed").await?;
        let totals: Sum = self.ask("audit", "totals").await?;
        let counted = vec![
            ("report", "orders", report.orders),
            ("report", "cents", report.cents),
            ("audit", "orders", totals.orders),
            ("audit", "cents", totals.cents),
            ("post", "labels", labels),
            ("letters", "letters", self.letters().await?),
        ];
        let kept = |service| self.kept(service, "");
        Ok(Evidence { sales, books: kept("audit")?, charged: kept("payments")?, taken: self.taken()?, counted })
    }

    /// Its program has no interface of its own, and is asked by a message.
    async fn letters(&self) -> Result<u64, MeshError> {
        let service = "letters";
        let answer = self.runtime.call(service, Vec::new(), PATIENCE).await;
        let answer = answer.map_err(|error| MeshError::silent(service)(error.into()))?.unwrap_or_default();
        number(service, "its answer", &answer)
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, service: &'static str, what: &str) -> Result<T, MeshError> {
        let asked = async {
            let function = self.runtime.function::<(), T>(service, what)?;
            self.runtime.call_typed(&function, None, &(), PATIENCE).await
        };
        asked.await.map_err(MeshError::silent(service))
    }

    /// The number that a service keeps for each order; `actor` is the key of one that is keyed.
    fn kept(&self, service: &'static str, actor: &str) -> Result<BTreeMap<String, u64>, MeshError> {
        let states = self.runtime.state(service);
        let of_orders = states.get(actor).into_iter().flatten().filter(|(key, _)| key.starts_with("order-"));
        of_orders.map(|(key, value)| Ok((key.to_string(), number(service, key, value)?))).collect()
    }

    /// How many pieces of each thing have left the shelves.
    fn taken(&self) -> Result<BTreeMap<String, u64>, MeshError> {
        let (states, mut taken) = (self.runtime.state("stock"), BTreeMap::new());
        for (sku, at_first) in &self.shelves {
            let left = states.get(sku).and_then(|state| state.get("left"));
            let left = left.map_or(Ok(*at_first), |left| number("stock", sku, left))?;
            taken.insert(sku.clone(), at_first.saturating_sub(left));
        }
        Ok(taken)
    }

    /// Waits until the tree has ended by itself; why.
    pub async fn ended(&self) -> MeshError {
        MeshError::Ended { reason: self.runtime.ended().await }
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

fn number(service: &'static str, key: &str, text: &[u8]) -> Result<u64, MeshError> {
    let text = String::from_utf8_lossy(text);
    text.parse().map_err(|_no_number| MeshError::Unreadable { service, key: key.to_owned() })
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = PROBATION;
    options
}

async fn ended(runtime: &Runtime, deployment: Deployment) -> Upgrade {
    let why_not = match deployment.ended().await {
        Progress::Live => None,
        Progress::RolledBack { reason } => Some(reason.to_string()),
        other => Some(format!("{other:?}")),
    };
    let pause_us = runtime.deployment_status(&deployment).pause_us;
    Upgrade { why_not, pause: Duration::from_secs_f64(pause_us / 1e6) }
}
