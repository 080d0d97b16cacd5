//! The data folder: what must last, and the socket of the host that runs on it.

use std::path::{Path, PathBuf};

use airssys_wasm::registry::Store;

use super::Problem;

/// The data folder where nobody names one.
pub(crate) const USUAL: &str = ".airssys";

/// Where what must last is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// The data folder; by default .airssys in the current folder.
    ///
    /// It holds the published releases, durable state, and the control socket of the host that runs on it. A folder has
    /// one host at a time.
    #[arg(long = "data", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// The folder; it need not exist.
    pub(crate) fn folder(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new(USUAL))
    }

    /// Whether somebody named it.
    pub(crate) fn is_given(&self) -> bool {
        self.data.is_some()
    }

    /// How another command is told of the folder; empty where it finds it by itself.
    pub(crate) fn as_argument(&self) -> String {
        self.data.as_ref().map_or_else(String::new, |folder| format!(" --data {}", folder.display()))
    }

    /// Its releases.
    pub(crate) fn store(&self) -> Result<Store, Problem> {
        Ok(Store::open(self.folder())?)
    }
}
