//! Opens the folders that a topology grants, once, and finds what is wrong with them.
//!
//! A granted folder is the folder that it was when it was opened here: each instance gets it by the handle, never by
//! the path again, so nothing that is renamed, removed or linked later leads elsewhere. A path is walked one name at a
//! time. Below a folder that a guest may write to, no link and no `..` is followed, since the guest may have put it
//! there. What the host itself stands on is granted to nobody.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::tree::{ServiceNode, Topology};
use crate::capability::{Access, FolderHandle};
use crate::files;
use crate::hint::{Coded, Hint};
use crate::quota::Folder;
use crate::registry::{MANIFEST, Reference, Release};

/// How many links a path may go through, as in the kernel.
const MOST_LINKS: usize = 40;

/// A grant of a folder, by whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GrantedFolder {
    /// The service.
    pub(crate) service: String,
    /// The path that the guest sees.
    pub(crate) guest: String,
    /// The folder, as it was written.
    pub(crate) host: PathBuf,
}

impl fmt::Display for GrantedFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of service {})", self.host.display(), self.guest, self.service)
    }
}

/// Why a folder is not granted.
///
/// # Example
///
/// ```
/// use airssys_wasm::RuntimeError;
/// use airssys_wasm::command::FolderError;
///
/// /// Whether a folder that is granted is to be made first.
/// fn is_not_there(error: &RuntimeError) -> bool {
///     matches!(error, RuntimeError::Folder(FolderError::Open { .. }))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be opened.
    #[error("the granted folder {granted} cannot be opened")]
    Open {
        /// The grant.
        granted: String,
        /// Why not.
        source: io::Error,
    },
    /// Its path goes by a link or `..` through a folder that a guest may write to.
    #[error("the way to the granted folder {granted} goes by {by:?} through {writable}, where a guest may have put it")]
    Diverted {
        /// The grant.
        granted: String,
        /// The name of the link, or `..`.
        by: String,
        /// The grant to write through which it goes.
        writable: String,
    },
    /// It has files of the host itself in it, or lies in a folder of them.
    #[error(
        "the granted folder {granted} and {what}, {}, lie one in the other", .path.display()
    )]
    OfTheHost {
        /// The grant.
        granted: String,
        /// What it is of the host.
        what: &'static str,
        /// Where that is.
        path: PathBuf,
    },
}

impl Coded for FolderError {
    fn code(&self) -> &'static str {
        "folder"
    }

    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::Open { .. } => "make it, or leave the grant out",
            Self::Diverted { .. } => "write the path without it, or look who made it",
            Self::OfTheHost { .. } => "grant a folder that has nothing of the host in it",
        };
        Some(hint.into())
    }
}

/// What is allowed and worth a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderNote {
    /// Its path goes through a link or `..`.
    Indirect {
        /// The grant.
        granted: GrantedFolder,
        /// Where that leads.
        to: PathBuf,
    },
    /// It lies in a folder that a guest may write to, which can replace it before the next start.
    Within {
        /// The grant.
        granted: GrantedFolder,
        /// The grant to write that it lies in.
        writable: GrantedFolder,
    },
}

impl fmt::Display for FolderNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indirect { granted, to } => {
                write!(
                    f,
                    "the path of the granted folder {granted} has a link or `..` in it and leads to {}",
                    to.display()
                )
            }
            Self::Within { granted, writable } => write!(
                f,
                "the granted folder {granted} lies in {writable}, which may be written to: what is in it at the next start is up to that guest"
            ),
        }
    }
}

/// What of the host nobody is granted.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    pub(crate) path: PathBuf,
    pub(crate) what: &'static str,
    /// Whether it may be read.
    pub(crate) readable: bool,
}

impl Guarded {
    /// What must neither be read nor written.
    pub(crate) fn closed(what: &'static str, path: &Path) -> Self {
        Self { path: path.to_owned(), what, readable: false }
    }

    /// What must not be written.
    pub(crate) fn kept(what: &'static str, path: &Path) -> Self {
        Self { path: path.to_owned(), what, readable: true }
    }
}

/// A folder, whatever its path: device and inode.
type Id = (u64, u64);

/// Opens each granted folder of a topology that is not among those that are `held` already by the same grant.
pub(crate) fn hold<'a>(
    topology: &mut Topology,
    held: impl IntoIterator<Item = &'a Arc<ServiceNode>>,
    guarded: &[Guarded],
) -> Result<Vec<FolderNote>, FolderError> {
    let mut folders: HashMap<GrantedFolder, FolderHandle> = HashMap::new();
    for node in held {
        for (granted, _, held) in grants(node).filter(|(_, _, held)| held.0.is_some()) {
            folders.insert(granted, held.clone());
        }
    }
    let mut all: Vec<(GrantedFolder, Access)> = Vec::new();
    for node in topology.services() {
        all.extend(grants(node).map(|(granted, access, _)| (granted, access)));
    }
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut guarded = guarded.to_vec();
    for (what, path) in [("the kernel's folder", "/proc"), ("the kernel's folder", "/sys")] {
        guarded.push(Guarded::closed(what, Path::new(path)));
    }
    for node in topology.services() {
        guarded.extend(read_of(node).into_iter().map(|path| Guarded::kept(RELEASE, &path)));
    }
    let notes = open(&all, &guarded, &mut folders)?;
    topology.each_service(|node| {
        if node.grants.files.is_empty() {
            return;
        }
        let service = node.address.to_string();
        for (guest, file) in &mut Arc::make_mut(node).grants.files {
            let granted = GrantedFolder { service: service.clone(), guest: guest.clone(), host: file.host.clone() };
            file.held = folders.get(&granted).cloned().unwrap_or_default();
        }
    });
    Ok(notes)
}

const RELEASE: &str = "a release that is run";

/// What the host reads of a service's release, now and at later starts, by paths that the operator wrote.
fn read_of(node: &ServiceNode) -> BTreeSet<PathBuf> {
    // The topology names it, so its description is read at each start.
    let is_path = node.named.to_str().is_none_or(|text| !Reference::is_meant(text));
    let mut paths = if is_path { files_of(&node.named) } else { BTreeSet::new() };
    // What is published or kept lies in the data folder under its digest: whatever becomes of its path, nothing else is
    // read from there.
    if node.release.seal.is_none() && node.release.kept.is_none() {
        paths.append(&mut files_of(&node.release.component));
    }
    paths
}

/// A component or the folder of one, its description, and where links lead that stand for these.
fn files_of(release: &Path) -> BTreeSet<PathBuf> {
    let described = if release.is_dir() { release.join(MANIFEST) } else { release.with_extension("toml") };
    let written = [release.to_owned(), described];
    let real = written.clone().into_iter().filter_map(|path| path.canonicalize().ok());
    real.chain(written.clone()).collect()
}

/// Refuses a release that is about to be run, where guests of these services may write to what the host reads of it.
pub(crate) fn check_release<'a>(
    release: &Release,
    services: impl Iterator<Item = &'a Arc<ServiceNode>>,
) -> Result<(), FolderError> {
    if release.seal.is_some() {
        return Ok(());
    }
    let read = files_of(&release.component);
    let resolved: Vec<ResolvedPath> =
        read.iter().filter_map(|path| nearest(path)).map(|(resolved, _)| resolved).collect();
    for node in services {
        for (granted, _, held) in grants(node).filter(|(_, access, _)| access.changes()) {
            let found = match held.0.as_ref() {
                Some(held) => fstat(&held.handle),
                None => statat(CWD, &granted.host, AtFlags::empty()),
            };
            // What is gone nobody can write to.
            let Ok(found) = found else { continue };
            let id = (found.st_dev, found.st_ino);
            if resolved.iter().any(|resolved| resolved.steps.iter().any(|step| step.id == id)) {
                return Err(FolderError::OfTheHost {
                    granted: granted.to_string(),
                    what: RELEASE,
                    path: release.component.clone(),
                });
            }
        }
    }
    Ok(())
}

/// The way to a folder, or to the last one above a path that is there; and whether it is all of the path.
fn nearest(path: &Path) -> Option<(ResolvedPath, bool)> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.ancestors().find_map(|path| Some((walk(path, &HashMap::new()).ok()?, path == whole)))
}

fn grants(node: &ServiceNode) -> impl Iterator<Item = (GrantedFolder, Access, &FolderHandle)> {
    node.grants.files.iter().map(|(guest, file)| {
        let granted =
            GrantedFolder { service: node.address.to_string(), guest: guest.clone(), host: file.host.clone() };
        (granted, file.access, &file.held)
    })
}

fn open(
    all: &[(GrantedFolder, Access)],
    guarded: &[Guarded],
    folders: &mut HashMap<GrantedFolder, FolderHandle>,
) -> Result<Vec<FolderNote>, FolderError> {
    let cannot = |granted: &GrantedFolder, errno: Errno| FolderError::Open {
        granted: granted.to_string(),
        source: errno.into(),
    };
    let mut writable: HashMap<Id, GrantedFolder> = HashMap::new();
    for (granted, _) in all.iter().filter(|(_, access)| access.changes()) {
        // By a way that a guest may have changed it is a folder more in which no link is followed.
        let found = match folders.get(granted).and_then(|held| held.0.as_ref()) {
            Some(held) => fstat(&held.handle),
            None => statat(CWD, &granted.host, AtFlags::empty()),
        };
        let found = found.map_err(|errno| cannot(granted, errno))?;
        writable.entry((found.st_dev, found.st_ino)).or_insert_with(|| granted.clone());
    }
    let mut stands_on = Vec::with_capacity(guarded.len());
    for guarded in guarded {
        // What is not there yet will be in the last folder that is there.
        let place = nearest(&guarded.path).map(|(resolved, is_whole)| ResolvedPath { is_whole, ..resolved });
        stands_on.push((guarded, place));
    }
    let mut notes = Vec::new();
    for (granted, access) in all {
        let resolved = match walk(&granted.host, &writable) {
            Ok(resolved) => resolved,
            // It was opened when that was its path.
            Err(_) if folders.contains_key(granted) => continue,
            Err(Unreached::Errno(errno)) => return Err(cannot(granted, errno)),
            Err(Unreached::Diverted { by, through }) => {
                let writable = writable.get(&through).unwrap_or(granted).to_string();
                return Err(FolderError::Diverted { granted: granted.to_string(), by, writable });
            }
        };
        for (guarded, place) in &stands_on {
            let Some(place) = place else { continue };
            if guarded.readable && !access.changes() {
                continue;
            }
            let holds = place.steps.iter().any(|step| step.id == resolved.id());
            // What may be read has no secrets, and nothing else of the host below it.
            let lies_in =
                !guarded.readable && place.is_whole && resolved.steps.iter().any(|step| step.id == place.id());
            if holds || lies_in {
                let (what, path) = (guarded.what, guarded.path.clone());
                return Err(FolderError::OfTheHost { granted: granted.to_string(), what, path });
            }
        }
        if resolved.indirect {
            let to = std::fs::canonicalize(&granted.host).unwrap_or_else(|_| granted.host.clone());
            notes.push(FolderNote::Indirect { granted: granted.clone(), to });
        }
        let above = resolved.steps.len().checked_sub(2).and_then(|at| resolved.steps[at].within);
        if let Some(writable) = above.and_then(|within| writable.get(&within)) {
            notes.push(FolderNote::Within { granted: granted.clone(), writable: writable.clone() });
        }
        let mut steps = resolved.steps;
        let folder = steps.pop();
        if let Some(step) = folder.as_ref().filter(|_| access.changes() && !folders.contains_key(granted)) {
            files::sweep(&step.folder);
        }
        let folder = folder.map(|step| Arc::new(Folder::new(step.folder, step.id)));
        folders.entry(granted.clone()).or_insert(FolderHandle(folder));
    }
    Ok(notes)
}

/// Why a path leads nowhere.
enum Unreached {
    Errno(Errno),
    Diverted { by: String, through: Id },
}

impl From<Errno> for Unreached {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// The folders from the root down to one.
struct ResolvedPath {
    steps: Vec<Step>,
    /// Whether there was a link or `..` in it.
    indirect: bool,
    /// Whether it is all of the path, and not that of a folder above what is not there or is a file.
    is_whole: bool,
}

struct Step {
    folder: OwnedFd,
    id: Id,
    /// The folder that a guest may write to in which this one is, or which it is.
    within: Option<Id>,
}

impl ResolvedPath {
    fn id(&self) -> Id {
        self.steps.last().map_or((0, 0), |step| step.id)
    }
}

fn step(
    from: impl std::os::fd::AsFd,
    name: &OsStr,
    above: Option<Id>,
    writable: &HashMap<Id, GrantedFolder>,
) -> Result<Step, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(from, name, flags, Mode::empty())?;
    let found = fstat(&folder)?;
    let id = (found.st_dev, found.st_ino);
    Ok(Step { folder, id, within: above.or_else(|| writable.contains_key(&id).then_some(id)) })
}

/// Opens a folder one name at a time, each in the one before.
fn walk(path: &Path, writable: &HashMap<Id, GrantedFolder>) -> Result<ResolvedPath, Unreached> {
    let path = std::path::absolute(path).map_err(|_| Errno::NOENT)?;
    let mut resolved =
        ResolvedPath { steps: vec![step(CWD, OsStr::new("/"), None, writable)?], indirect: false, is_whole: true };
    let mut names: VecDeque<OsString> = names(&path).collect();
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let Some(here) = resolved.steps.last() else { return Err(Errno::NOENT.into()) };
        let is_up = name == "..";
        let is_link = !is_up
            && FileType::from_raw_mode(statat(&here.folder, &name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode).is_symlink();
        if is_up || is_link {
            resolved.indirect = true;
            if let Some(through) = here.within {
                return Err(Unreached::Diverted { by: name.to_string_lossy().into_owned(), through });
            }
        }
        if is_up {
            resolved.steps.truncate(resolved.steps.len().saturating_sub(1).max(1));
        } else if is_link {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = PathBuf::from(OsString::from_vec(readlinkat(&here.folder, &name, Vec::new())?.into_bytes()));
            if target.is_absolute() {
                resolved.steps.truncate(1);
            }
            self::names(&target).rev().for_each(|name| names.push_front(name));
        } else {
            let next = step(&here.folder, &name, here.within, writable)?;
            resolved.steps.push(next);
        }
    }
    Ok(resolved)
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
