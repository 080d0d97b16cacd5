//! The topology that a subcommand is given.

use std::path::{Path, PathBuf};

use airssys_wasm::settings::Multiplicity;
use airssys_wasm::topology::Topology;

use super::{DataArgs, Problem, count};

/// The topology's usual name.
pub(crate) const USUAL: &str = "airssys.toml";

/// The file that declares the mesh.
#[derive(Debug, clap::Args)]
pub(crate) struct TopologyArgs {
    /// The topology, or the folder of an airssys.toml.
    #[arg(value_name = "TOPOLOGY", default_value = USUAL)]
    topology: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

impl TopologyArgs {
    /// Reads it.
    pub(crate) fn read(&self) -> Result<Topology, Problem> {
        Ok(Topology::read_with(&file(&self.topology), Some(self.data.folder()))?)
    }

    /// Reads it for a host that has the data folder, where a release may serve that is not at its path any more.
    pub(crate) fn read_to_start(&self) -> Result<Topology, Problem> {
        Ok(Topology::read_to_start(&file(&self.topology), self.data.folder())?)
    }

    /// Where it is, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.topology
    }
}

/// The file of a topology that is named by its folder.
pub(crate) fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(USUAL) } else { path.to_owned() }
}

/// How many actors serve a service, in words.
pub(crate) fn actors(multiplicity: Multiplicity) -> String {
    match multiplicity {
        Multiplicity::One => "1 actor".to_owned(),
        Multiplicity::Stateless { instances } => format!("{}, one mailbox", count(instances, "actor")),
        Multiplicity::Partitioned { instances } => format!("{}, a mailbox each", count(instances, "actor")),
        Multiplicity::Keyed(rules) => format!("an actor a key, {} awake", rules.max_awake),
        Multiplicity::Spawned(rules) => format!("spawned, at most {}", count(rules.max_children, "actor")),
    }
}
