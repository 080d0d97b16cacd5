//! Which files were saved: a set that grows until it is taken.
//!
//! Each folder of sources is watched by itself, so that what a build writes, and what package managers fetch, wakes
//! nobody. What is not a source by its name is left out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify_debouncer_full::notify::event::{EventKind, ModifyKind};
use notify_debouncer_full::notify::{self, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;

/// How long a file is left alone before it counts as saved: an editor writes it in several steps.
const SETTLED: Duration = Duration::from_millis(30);

/// Folders that hold no sources, besides those whose name begins with a dot.
const NO_SOURCES: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Files that builds write beside the sources.
const WRITTEN: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Watches folders.
pub(super) struct Watch {
    watcher: Debouncer<RecommendedWatcher, RecommendedCache>,
    saved: Arc<Saved>,
    /// The folders that are watched.
    folders: BTreeSet<PathBuf>,
    /// All of those that were to be covered last.
    trees: Vec<PathBuf>,
    /// A folder that is none of sources, whatever it is called.
    except: PathBuf,
}

/// What was saved and nobody has taken yet: each file once, however often.
#[derive(Default)]
struct Saved {
    files: Mutex<BTreeSet<PathBuf>>,
    /// Whether something was saved and it is not known what: more happened than the system keeps.
    anything: AtomicBool,
    more: Notify,
}

impl Watch {
    /// Watches nothing yet. `except`: the data folder.
    pub(super) fn new(except: &Path) -> notify::Result<Self> {
        let saved = Arc::new(Saved::default());
        let told = Arc::clone(&saved);
        let watcher = new_debouncer(SETTLED, None, move |events: DebounceEventResult| told.add(events))?;
        let except = std::path::absolute(except).unwrap_or_else(|_| except.to_owned());
        let except = except.canonicalize().unwrap_or(except);
        Ok(Self { watcher, saved, folders: BTreeSet::new(), trees: Vec::new(), except })
    }

    /// Watches all folders of sources in these, and the folders of these files. What is watched already stays so.
    pub(super) fn cover<'a>(
        &mut self,
        trees: impl Iterator<Item = &'a Path>,
        files: impl Iterator<Item = &'a Path>,
    ) -> Result<(), (PathBuf, notify::Error)> {
        for file in files {
            self.add(file.parent().unwrap_or(Path::new(".")))?;
        }
        self.trees = trees.map(Path::to_owned).collect();
        let mut to_do = self.trees.clone();
        while let Some(folder) = to_do.pop() {
            // What is gone meanwhile is told as a change of what is around it.
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            self.add(&folder)?;
            let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            to_do.extend(folders.map(|entry| entry.path()).filter(|path| is_source(path) && *path != self.except));
        }
        Ok(())
    }

    fn add(&mut self, folder: &Path) -> Result<(), (PathBuf, notify::Error)> {
        if self.folders.insert(folder.to_owned()) {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                watched => watched.map_err(|error| (folder.to_owned(), error))?,
            }
        }
        Ok(())
    }

    /// What was saved, made, renamed or removed since the last time; waits for the first.
    pub(super) async fn next(&mut self) -> BTreeSet<PathBuf> {
        loop {
            let mut saved = std::mem::take(&mut *self.saved.lock());
            if self.saved.anything.swap(false, Ordering::Relaxed) {
                saved.extend(self.trees.iter().cloned());
            }
            // A folder that was moved or made anew is watched anew, and what is in it.
            self.folders.retain(|folder| !saved.iter().any(|path| folder.starts_with(path)));
            saved.retain(|path| is_source(path) && !path.starts_with(&self.except));
            if !saved.is_empty() {
                return saved;
            }
            self.saved.more.notified().await;
        }
    }
}

impl Saved {
    fn add(&self, events: DebounceEventResult) {
        // An error is one of reading what happened: the next save is told again.
        let Ok(events) = events else { return };
        if events.iter().any(|event| event.need_rescan()) {
            self.anything.store(true, Ordering::Relaxed);
        }
        let changes = events
            .iter()
            .filter(|event| !matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_))));
        let mut files = self.lock();
        files.extend(changes.flat_map(|event| event.paths.iter().cloned()));
        drop(files);
        self.more.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the last name of a path may be that of a source, or of a folder of sources.
fn is_source(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let of_editors = name.starts_with(['.', '#']) || name.ends_with(['~', '#']) || name.ends_with(".tmp");
    let is_probe = name.bytes().all(|byte| byte.is_ascii_digit());
    name == ".cargo" || !(of_editors || is_probe || NO_SOURCES.contains(&name) || WRITTEN.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_builds_leave_is_no_source() {
        for name in ["lib.rs", "Cargo.toml", "app.py", "world.wit", ".cargo", "a.txt", "rust-toolchain.toml"] {
            assert!(is_source(&Path::new("/w").join(name)), "{name}");
        }
        for name in ["target", ".git", ".lib.rs.swp", "lib.rs~", "#lib.rs#", "4913", "Cargo.lock", "node_modules"] {
            assert!(!is_source(&Path::new("/w").join(name)), "{name}");
        }
    }
}
