//! What is to be built, and building it: what is saved meanwhile is built again, and no project is built twice at once.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::topology::Topology;

use super::bring;
use super::building::build;
use super::error::DevError;
use super::sources::{Project, Service, Sources};
use super::watch::Watch;
use crate::explain::note;
use crate::output::TopologyArgs;

/// Files that say what there is to build, and how it is hosted.
const DESCRIBING: [&str; 2] = ["Cargo.toml", "Component.toml"];

/// What is built here, and how far that is.
pub(super) struct Workshop<'a> {
    topology: &'a TopologyArgs,
    /// Whether guests are built as they are published.
    release: bool,
    /// The file of the topology.
    file: PathBuf,
    watch: Watch,
    sources: Sources,
    /// What was saved since it was built last.
    stale: Vec<Project>,
    /// What did not build, and was not saved since.
    failed: Vec<Project>,
    /// The services whose file was written anew, by somebody else.
    ready: BTreeSet<String>,
    /// Those that were refused what was built for them: it may do together with what is built next.
    refused: BTreeSet<String>,
    /// Whether the mesh may not be what its topology and the descriptions of its releases say.
    described: bool,
}

impl<'a> Workshop<'a> {
    /// All that a topology names, to be built.
    pub(super) fn new(args: &'a TopologyArgs, release: bool, topology: &Topology) -> Result<Self, DevError> {
        let file = args.file();
        let file = file.canonicalize().unwrap_or(file);
        let watch = Watch::new(args.data.folder()).map_err(DevError::Watcher)?;
        let sources = Sources::of(topology)?;
        let stale = sources.projects.clone();
        let (ready, refused) = (BTreeSet::new(), BTreeSet::new());
        let mut workshop = Self {
            topology: args,
            release,
            file,
            watch,
            sources,
            stale,
            failed: Vec::new(),
            ready,
            refused,
            described: false,
        };
        workshop.cover()?;
        Ok(workshop)
    }

    /// Builds until all is built, as often as something is saved.
    pub(super) async fn all_built(&mut self) -> Result<(), DevError> {
        loop {
            self.build().await?;
            if self.sources.guessed && self.failed.is_empty() {
                // Cargo has fetched what it needed.
                self.look_again();
            }
            if self.failed.is_empty() && self.stale.is_empty() {
                self.described = false;
                (self.ready, self.refused) = (BTreeSet::new(), BTreeSet::new());
                return Ok(());
            }
            if self.stale.is_empty() {
                self.wait("it starts when all is built").await;
            }
        }
    }

    /// Says what waits for a file to be saved, and waits for that.
    pub(super) async fn wait(&mut self, what: &str) {
        note(&format!("{what}: waiting for a file to be saved"));
        self.saved().await;
    }

    /// Brings what is saved into a mesh that runs, for ever.
    pub(super) async fn follow(&mut self, runtime: &Runtime) -> Result<Infallible, DevError> {
        loop {
            self.saved().await;
            let built = self.build().await?;
            if self.described && self.apply(runtime, &built).await {
                continue;
            }
            self.deploy(runtime, &built).await;
        }
    }

    /// Brings the mesh to what is written now; false where that cannot be read.
    async fn apply(&mut self, runtime: &Runtime, built: &[Project]) -> bool {
        let topology = match self.topology.read_to_start() {
            Ok(topology) => topology,
            Err(problem) => {
                bring::refused(&problem, &self.shown(&self.file));
                return false;
            }
        };
        self.described = !bring::apply(runtime, topology).await;
        // All that lies here is what serves now; or it gets another try with what is built next.
        match self.described {
            true => self.refused.extend(self.sources.made_of(built).map(|service| service.name.clone())),
            false => (self.ready, self.refused) = (BTreeSet::new(), BTreeSet::new()),
        }
        true
    }

    /// Deploys what was built. What was refused before gets another try: with it where it is refused alone, or else
    /// after it.
    async fn deploy(&mut self, runtime: &Runtime, built: &[Project]) {
        let mut names: BTreeSet<String> = self.sources.made_of(built).map(|service| service.name.clone()).collect();
        names.extend(std::mem::take(&mut self.ready));
        if names.is_empty() {
            return;
        }
        let before = &self.refused - &names;
        let well = bring::deploy(runtime, self.services(&names)).await;
        self.refused = if well { before.clone() } else { &before | &names };
        if !before.is_empty() {
            let again = self.refused.clone();
            if bring::deploy(runtime, self.services(&again)).await {
                self.refused.clear();
            }
        }
    }

    fn services(&self, names: &BTreeSet<String>) -> Vec<Service> {
        self.sources.services.iter().filter(|service| names.contains(&service.name)).cloned().collect()
    }

    /// Waits for files to be saved, and takes down what is to be built for that.
    async fn saved(&mut self) {
        let saved = self.watch.next().await;
        self.take(saved);
    }

    fn take(&mut self, saved: BTreeSet<PathBuf>) {
        let is_topology = saved.contains(&self.file);
        let touched: Vec<Project> =
            self.sources.projects.iter().filter(|project| is_touched(project, &saved, &self.file)).cloned().collect();
        let ready: Vec<String> = self.sources.served_by(&saved).map(|service| service.name.clone()).collect();
        if touched.is_empty() && ready.is_empty() && !is_topology {
            return;
        }
        let names: Vec<String> = saved.iter().map(|path| self.shown(path)).collect();
        note(&format!("saved: {}", names.join(", ")));
        self.ready.extend(ready);
        let fresh: Vec<Project> = touched.into_iter().filter(|project| !self.stale.contains(project)).collect();
        self.stale.extend(fresh);
        let describes = |path: &PathBuf| path.file_name().is_some_and(|name| DESCRIBING.iter().any(|of| name == *of));
        if is_topology || saved.iter().any(describes) {
            self.described = true;
            self.look_again();
        }
    }

    /// What there is to build may be something else now.
    fn look_again(&mut self) {
        let Ok(topology) = self.topology.read_to_start() else { return };
        let sources = match Sources::of(&topology) {
            Ok(sources) => sources,
            Err(error) => return bring::refused(&error, &self.shown(&self.file)),
        };
        let known = |project: &Project| {
            let same = |other: &Project| other.is(project);
            self.sources.projects.iter().any(same) && !self.stale.iter().any(same)
        };
        self.stale = sources.projects.iter().filter(|project| !known(project)).cloned().collect();
        self.failed.retain(|failed| sources.projects.iter().any(|project| project.is(failed)));
        self.sources = sources;
    }

    /// Builds what is stale until nothing is; what was built.
    async fn build(&mut self) -> Result<Vec<Project>, DevError> {
        let mut built: Vec<Project> = Vec::new();
        while let Some(first) = self.stale.first() {
            let together: Vec<Project> = self.stale.iter().filter(|other| other.root == first.root).cloned().collect();
            self.cover()?;
            let Some(well) = self.build_together(&together).await? else { continue };
            let is_one = |project: &Project| together.iter().any(|one| one.is(project));
            self.stale.retain(|project| !is_one(project));
            self.failed.retain(|project| !is_one(project));
            if well { &mut built } else { &mut self.failed }.extend(together);
        }
        Ok(built)
    }

    /// Whether projects of one folder were built; none where one of them was saved meanwhile.
    async fn build_together(&mut self, projects: &[Project]) -> Result<Option<bool>, DevError> {
        let names = projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>().join(", ");
        let begun = Instant::now();
        note(&format!("{names}: building"));
        let each: Vec<&Project> = projects.iter().collect();
        let mut building = pin!(build(&each, self.release));
        loop {
            tokio::select! {
                built = &mut building => {
                    let well = built?.is_some();
                    match well {
                        true => note(&format!("{names}: built in {}", bring::milliseconds(begun))),
                        false => note(&format!("{names}: not built")),
                    }
                    return Ok(Some(well));
                }
                saved = self.watch.next() => {
                    let again = projects.iter().any(|project| is_touched(project, &saved, &self.file));
                    self.take(saved);
                    if again {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn cover(&mut self) -> Result<(), DevError> {
        let trees = self.sources.projects.iter().flat_map(|project| &project.own).map(PathBuf::as_path);
        let files = std::iter::once(self.file.as_path()).chain(self.sources.files());
        let watched = self.watch.cover(trees, files);
        watched.map_err(|(folder, source)| DevError::Watch { folder, source })
    }

    /// A path as it is told: from the folder of the topology where it is in there.
    fn shown(&self, path: &Path) -> String {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        path.strip_prefix(folder).unwrap_or(path).display().to_string()
    }
}

/// Whether any of these files is a source of a project; the topology is none.
fn is_touched(project: &Project, saved: &BTreeSet<PathBuf>, topology: &Path) -> bool {
    saved.iter().any(|file| file != topology && project.has(file))
}
