//! The crates around a guest whose sources somebody may edit: those of its workspace, and those that are named by a
//! path. Which of them it is made of, cargo says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::BuildError;
use super::project::described;

/// The crates of a folder.
#[derive(Debug, Deserialize)]
pub(crate) struct Crates {
    /// The folder of the workspace; that of the crate where there is none.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    packages: Vec<Package>,
    resolve: Option<Resolved>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    manifest_path: PathBuf,
    /// None for one that is named by a path.
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolved {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Crates {
    /// What cargo knows of a folder without fetching anything. Before the first build it may not know who uses whom.
    pub(crate) fn of(dir: &Path) -> Result<Self, BuildError> {
        described(dir, &["--offline"]).or_else(|_| described(dir, &["--no-deps"]))
    }

    /// Whether it is not known who uses whom.
    pub(crate) fn is_guess(&self) -> bool {
        self.resolve.is_none()
    }

    /// The folders of all.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.local().filter_map(|package| package.manifest_path.parent())
    }

    /// The folders of what the crate in a folder is made of, its own among them. Those of all, where it is not known
    /// who uses whom.
    pub(crate) fn used_by(&self, dir: &Path) -> BTreeSet<PathBuf> {
        let Some(resolved) = &self.resolve else { return self.folders().map(Path::to_owned).collect() };
        let uses: BTreeMap<&str, &[String]> =
            resolved.nodes.iter().map(|node| (&*node.id, &*node.dependencies)).collect();
        let folders: BTreeMap<&str, &Path> =
            self.local().filter_map(|package| Some((&*package.id, package.manifest_path.parent()?))).collect();
        let mut to_do: Vec<&str> = folders.iter().filter(|(_, folder)| **folder == dir).map(|(id, _)| *id).collect();
        let mut used = BTreeSet::new();
        while let Some(id) = to_do.pop() {
            // What comes from a registry uses nothing that is named by a path.
            let Some(folder) = folders.get(id).filter(|folder| !used.contains(**folder)) else { continue };
            used.insert((*folder).to_owned());
            to_do.extend(uses.get(id).into_iter().flat_map(|ids| ids.iter().map(String::as_str)));
        }
        used
    }

    fn local(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_made_of_what_it_names_by_a_path_and_of_nothing_else_there() {
        let said = r#"{
            "workspace_root": "/w",
            "packages": [
                {"id": "a", "manifest_path": "/w/a/Cargo.toml", "source": null},
                {"id": "b", "manifest_path": "/w/b/Cargo.toml", "source": null},
                {"id": "shared", "manifest_path": "/shared/Cargo.toml", "source": null},
                {"id": "serde", "manifest_path": "/r/serde/Cargo.toml", "source": "registry"}
            ],
            "resolve": {"nodes": [
                {"id": "a", "dependencies": ["shared", "serde"]},
                {"id": "b", "dependencies": ["serde"]},
                {"id": "shared", "dependencies": ["serde"]},
                {"id": "serde", "dependencies": []}
            ]}
        }"#;
        let mut crates: Crates = serde_json::from_str(said).unwrap();
        let used = |crates: &Crates, dir: &str| crates.used_by(Path::new(dir)).into_iter().collect::<Vec<_>>();
        assert_eq!(used(&crates, "/w/a"), [Path::new("/shared"), Path::new("/w/a")]);
        assert_eq!(used(&crates, "/w/b"), [Path::new("/w/b")]);
        crates.resolve = None;
        assert_eq!(used(&crates, "/w/b").len(), 3);
    }
}
