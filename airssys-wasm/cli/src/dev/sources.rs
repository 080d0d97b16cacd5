//! Which projects make the releases of a topology, and which files are their sources.
//!
//! A release is built here where it is the folder of a guest with sources in it, or a file below `target/airssys` of
//! one. Another file is brought in when somebody writes it. Everything else, such as a published release, is taken as
//! it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use airssys_wasm::command::Reference;
use airssys_wasm::registry::Manifest;
use airssys_wasm::topology::{DeclaredService, Topology};

use crate::build::{self, BuildError, Crates};

/// How many folders above a guest's own its component may be: as where releases are looked for.
const LEVELS_UP: usize = 4;
const BUILT: &str = "target/airssys";
const MANIFEST: &str = "Component.toml";

/// A guest that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    /// The name of its component.
    pub(super) name: String,
    /// The folder that is built: the component lies below it.
    pub(super) root: PathBuf,
    pub(super) by_cargo: bool,
    /// The folders that its sources are in.
    pub(super) own: Vec<PathBuf>,
    /// The folders that those of others are in.
    others: Vec<PathBuf>,
}

impl Project {
    /// Whether it is the same one, wherever its sources are.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.root == other.root
    }

    /// Whether a file is a source of it: the innermost folder that somebody has says whose it is.
    pub(super) fn has(&self, file: &Path) -> bool {
        let innermost = |folders: &[PathBuf]| {
            folders.iter().filter(|folder| file.starts_with(folder)).map(|folder| folder.as_os_str().len()).max()
        };
        innermost(&self.own) > innermost(&self.others)
    }
}

/// A service whose release lies here.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    /// Its release.
    pub(super) named: PathBuf,
    /// The names and folders of the projects that make it; none where nobody here builds it.
    made_of: Vec<(String, PathBuf)>,
}

/// What is built, for whom.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) projects: Vec<Project>,
    pub(super) services: Vec<Service>,
    /// Whether cargo did not know yet what all of them are made of.
    pub(super) guessed: bool,
}

impl Sources {
    /// Those of a topology.
    pub(super) fn of(topology: &Topology) -> Result<Self, BuildError> {
        let (mut projects, mut services) = (BTreeMap::new(), Vec::new());
        let mut workspaces = Workspaces::new();
        for DeclaredService { name, named, .. } in topology.declared() {
            if named.to_str().is_some_and(Reference::is_meant) {
                continue;
            }
            let mut made_of = Vec::new();
            let mut to_do = vec![named.clone()];
            while let Some(release) = to_do.pop() {
                let Some(project) = project(&release, &mut workspaces)? else { continue };
                let key = (project.name.clone(), project.root.clone());
                if !made_of.contains(&key) {
                    to_do.extend(parts(&release));
                    made_of.push(key.clone());
                    projects.insert(key, project);
                }
            }
            services.push(Service { name, named, made_of });
        }
        let mut projects: Vec<Project> = projects.into_values().collect();
        let all: Vec<PathBuf> = projects.iter().flat_map(|project| project.own.clone()).collect();
        for project in &mut projects {
            project.others.extend(all.iter().filter(|folder| !project.own.contains(folder)).cloned());
        }
        let guessed = workspaces.values().flatten().any(Crates::is_guess);
        Ok(Self { projects, services, guessed })
    }

    /// The files that serve as they are, and are built by somebody else.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let ready = self.services.iter().filter(|service| service.made_of.is_empty());
        ready.map(|service| service.named.as_path()).filter(|named| !named.is_dir())
    }

    /// The services that are served by such a file.
    pub(super) fn served_by<'a>(&'a self, saved: &'a BTreeSet<PathBuf>) -> impl Iterator<Item = &'a Service> {
        self.services.iter().filter(|service| service.made_of.is_empty() && saved.contains(&service.named))
    }

    /// The services whose releases are made of any of these projects.
    pub(super) fn made_of<'a>(&'a self, projects: &'a [Project]) -> impl Iterator<Item = &'a Service> {
        let is_one = |(name, root): &(String, PathBuf)| {
            projects.iter().any(|project| project.name == *name && project.root == *root)
        };
        self.services.iter().filter(move |service| service.made_of.iter().any(is_one))
    }
}

/// What cargo says of the folders that it was asked about; none where it could say nothing.
type Workspaces = BTreeMap<PathBuf, Option<Crates>>;

fn crates<'a>(dir: &Path, workspaces: &'a mut Workspaces) -> Option<&'a Crates> {
    // What is wrong there the build says.
    workspaces.entry(dir.to_owned()).or_insert_with(|| Crates::of(dir).ok()).as_ref()
}

/// The project that makes a release.
fn project(release: &Path, workspaces: &mut Workspaces) -> Result<Option<Project>, BuildError> {
    if release.join(MANIFEST).is_file() {
        return in_folder(release, workspaces);
    }
    // NAME.wasm below `target/airssys` of a folder.
    let (Some(name), Some(folder)) = (release.file_stem().and_then(|name| name.to_str()), release.parent()) else {
        return Ok(None);
    };
    let root = folder.ends_with(BUILT).then(|| folder.ancestors().nth(2)).flatten();
    let Some(held) = root.map(build::held).transpose()?.flatten() else { return Ok(None) };
    let Some((_, guest)) = held.guests.iter().find(|(guest, _)| guest == name) else { return Ok(None) };
    Ok(Some(match held.by_cargo {
        true => of_cargo(name, &held.dir, guest, workspaces),
        false => of_another(name, &held.dir),
    }))
}

fn in_folder(folder: &Path, workspaces: &mut Workspaces) -> Result<Option<Project>, BuildError> {
    // What is wrong with it is told where the topology is read.
    let (Ok(manifest), Ok(folder)) = (Manifest::read(&folder.join(MANIFEST)), folder.canonicalize()) else {
        return Ok(None);
    };
    if manifest.component.is_some() {
        return Ok(None);
    }
    if !folder.join("Cargo.toml").is_file() {
        return Ok(build::held(&folder)?.map(|held| of_another(&manifest.name, &held.dir)));
    }
    let component = Path::new(BUILT).join(format!("{}.wasm", manifest.name));
    let mut above = folder.ancestors().take(LEVELS_UP);
    // Where it was built before; else where all of its workspace is.
    let built = above.clone().find(|above| above.join(&component).is_file());
    let root = built.map(Path::to_owned).or_else(|| {
        let root = crates(&folder, workspaces)?.root.clone();
        above.any(|above| above == root).then_some(root)
    });
    Ok(Some(of_cargo(&manifest.name, &root.unwrap_or_else(|| folder.clone()), &folder, workspaces)))
}

/// A guest that cargo builds; `folder` is that of its crate.
fn of_cargo(name: &str, root: &Path, folder: &Path, workspaces: &mut Workspaces) -> Project {
    let (mut own, mut others) = (vec![root.to_owned()], Vec::new());
    if let Some(crates) = crates(root, workspaces) {
        let used = crates.used_by(folder);
        let foreign = crates.folders().filter(|folder| !used.contains(*folder) && *folder != root);
        others.extend(foreign.map(Path::to_owned));
        own.extend(used.into_iter().filter(|folder| folder != root));
    }
    Project { name: name.to_owned(), root: root.to_owned(), by_cargo: true, own, others }
}

/// A guest in another language, which is all in its folder.
fn of_another(name: &str, root: &Path) -> Project {
    let mut own = vec![root.to_owned()];
    // A folder of interfaces may be a link to one that several share.
    own.extend(root.join("wit").canonicalize().ok().filter(|wit| !wit.starts_with(root)));
    Project { name: name.to_owned(), root: root.to_owned(), by_cargo: false, own, others: Vec::new() }
}

/// What a release is fused with, as its description names it.
fn parts(release: &Path) -> Vec<PathBuf> {
    let description = if release.is_dir() { release.join(MANIFEST) } else { release.with_extension("toml") };
    let folder = description.parent().unwrap_or(Path::new(""));
    let written: Option<toml::Table> = std::fs::read_to_string(&description).ok().and_then(|text| text.parse().ok());
    let fused = written.as_ref().and_then(|table| table.get("fuse")?.as_table());
    fused.into_iter().flat_map(|fuse| fuse.values()).filter_map(|part| Some(folder.join(part.as_str()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whose_the_innermost_folder_is() {
        let project = |own: &[&str], others: &[&str]| Project {
            name: "a".to_owned(),
            root: "/w".into(),
            by_cargo: true,
            own: own.iter().map(Into::into).collect(),
            others: others.iter().map(Into::into).collect(),
        };
        let (a, b) = (project(&["/w", "/w/a", "/shared"], &["/w/b"]), project(&["/w/b"], &["/w", "/w/a"]));
        for (file, of_a, of_b) in [
            ("/w/a/src/lib.rs", true, false),
            ("/w/b/src/lib.rs", false, true),
            ("/w/Cargo.toml", true, false),
            ("/shared/src/lib.rs", true, false),
            ("/elsewhere/lib.rs", false, false),
        ] {
            assert_eq!((a.has(Path::new(file)), b.has(Path::new(file))), (of_a, of_b), "{file}");
        }
    }
}
