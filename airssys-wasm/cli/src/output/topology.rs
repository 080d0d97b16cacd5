//! The topology that a subcommand is given.

use std::path::{Path, PathBuf};

use airssys_wasm::command::Actors;
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

    /// Its file.
    pub(crate) fn file(&self) -> PathBuf {
        file(&self.topology)
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
pub(crate) fn actors(actors: Actors) -> String {
    match actors {
        Actors::Stateless(instances) => format!("{}, one mailbox", count(instances, "actor")),
        Actors::Partitioned(instances) => format!("{}, a mailbox each", count(instances, "actor")),
        Actors::Keyed(awake) => format!("an actor a key, {awake} awake"),
        Actors::Spawned(children) => format!("spawned, at most {}", count(children, "actor")),
        _ => "1 actor".to_owned(),
    }
}
