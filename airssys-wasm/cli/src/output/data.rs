//! The data folder, where published releases are.

use std::path::PathBuf;

use airssys_wasm::registry::Store;

use super::Problem;

/// Where what must last is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// The data folder, with the published releases; by default airssys in the user's data folder.
    #[arg(long = "data", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// The folder; none where none was named and the user has none.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.data.clone().or_else(default)
    }

    /// Its releases.
    pub(crate) fn store(&self) -> Result<Store, Problem> {
        let folder = self.folder().ok_or(Problem::NoDataFolder)?;
        Ok(Store::open(&folder)?)
    }
}

fn default() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("airssys"))
}
