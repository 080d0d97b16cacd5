//! One run of a mesh of which the work and the judgement are written in Rust.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::TrialError;
use super::always::Always;
use super::file::SETTLE;
use super::folders::{Copies, folder};
use super::run::{account, rest, start, unseeded};
use super::watch::Watch;
use crate::engine::Tier;
use crate::runtime::Runtime;
use crate::seeded::Seeded;
use crate::topology::Topology;

/// What else there is to say of such a run.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Terms;
///
/// assert_eq!(Terms::default().settle, std::time::Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The folder in which compiled code is kept; none by default.
    pub code_cache: Option<PathBuf>,
    /// How long the mesh is left alone between the work and the judgement; a minute by default.
    pub settle: Duration,
    /// What has to hold after each commit; nothing by default.
    pub always: Option<Always>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { code_cache: None, settle: SETTLE, always: None }
    }
}

/// Starts a mesh in a seeded host, does the work while things go wrong, leaves the mesh alone, has it judged when
/// nothing goes wrong any more, and stops it. What holds for each mesh is looked at as well: see
/// [`Report::broken`](crate::seeded::Report::broken).
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use airssys_wasm::seeded::Seeded;
/// use airssys_wasm::topology::Topology;
/// use airssys_wasm::trial::{self, Terms};
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// let topology = Topology::parse(text, folder.path())?;
/// let seeded = Seeded::new(7);
/// trial::run(
///     &topology,
///     &seeded,
///     &Terms::default(),
///     async |mesh| drop(mesh.call("echo", "hello", Duration::from_secs(1)).await),
///     async |mesh| assert!(mesh.call("echo", "still there?", Duration::from_secs(1)).await.is_ok()),
/// )?;
/// assert_eq!((seeded.report().turns, seeded.report().broken.len()), (2, 0));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TrialError`]: the mesh has what no seeded host has, or does not start, or there is no thread.
///
/// # Panics
///
/// Where the work or the judgement panics.
pub fn run(
    topology: &Topology,
    seeded: &Seeded,
    terms: &Terms,
    work: impl AsyncFnOnce(&Runtime) + Send,
    holds: impl AsyncFnOnce(&Runtime) + Send,
) -> Result<(), TrialError> {
    if let Some(error) = unseeded(topology) {
        return Err(error);
    }
    if let Some(node) = topology.services().find(|node| !node.grants.http.is_empty()) {
        let (service, what) = (node.address.to_string(), "anybody who would answer, but by a test file");
        return Err(TrialError::NotSeeded { service, grant: "http", what });
    }
    let data = folder().map_err(TrialError::Folder)?;
    let (seeded, watch) = (&seeded.clone().with_disk(), Watch::of(terms.always.as_ref()));
    let copies = Copies::of([topology])?;
    copies.folder().into_iter().for_each(|it| seeded.hide(it));
    let topology = &copies.brought_in(topology);
    let ran = seeded.run(async || {
        let given = (seeded, Vec::new(), None);
        let runtime =
            Arc::new(start(topology, given, data.path(), (terms.code_cache.as_deref(), Tier::Optimized), false).await?);
        watch.begin(&runtime, seeded);
        work(&runtime).await;
        sleep(terms.settle).await;
        seeded.end_faults();
        watch.end(&runtime, seeded);
        holds(&runtime).await;
        account(&runtime, seeded).await;
        rest(&runtime, seeded).await;
        runtime.shutdown().await;
        Ok::<_, TrialError>(())
    });
    ran.map_err(TrialError::Thread)?
}
