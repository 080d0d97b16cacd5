//! The folders that services are granted, as one run has them: a copy of each, which is made when the run begins and is
//! gone with it. What a guest of one run writes no other run finds, and the folder itself is never written to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use xxhash_rust::xxh3::Xxh3Default;

use super::TrialError;
use crate::hex;
use crate::schema::size_text;
use crate::seeded::Seeded;
use crate::topology::Topology;

/// The most that all folders of a run come to.
const MOST_BYTES: u64 = 64 << 20;
/// The most files, folders and links in them.
const MOST_ENTRIES: u64 = 10_000;
/// How deep folders lie in each other at most.
const MOST_LEVELS: usize = 128;

/// A folder for what services keep, where it costs no disk if the machine has that.
pub(super) fn folder() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()) } else { tempfile::tempdir() }
}

/// All of a run.
#[derive(Debug)]
pub(super) struct Copies {
    /// Gone with it; none where nothing is granted.
    folder: Option<TempDir>,
    /// Where each is, by where it was found. None of them lies in another one.
    moved: BTreeMap<PathBuf, PathBuf>,
}

impl Copies {
    /// Copies all that is granted in these. What is not there is for the start to find.
    ///
    /// # Errors
    ///
    /// [`TrialError`]: something cannot be copied, or is too large.
    pub(super) fn of<'a>(topologies: impl IntoIterator<Item = &'a Topology>) -> Result<Self, TrialError> {
        let mut granted: Vec<PathBuf> = Vec::new();
        for node in topologies.into_iter().flat_map(Topology::services) {
            granted.extend(node.grants.files.values().filter_map(|file| file.host.canonicalize().ok()));
        }
        // Those that have others in them come first.
        granted.sort_unstable();
        let mut copies = Self { folder: None, moved: BTreeMap::new() };
        let mut room = Room { bytes: MOST_BYTES, entries: MOST_ENTRIES };
        for host in granted {
            if copies.place(&host).is_some() {
                continue;
            }
            let all = match copies.folder.take() {
                Some(all) => all,
                None => folder().map_err(TrialError::Folder)?,
            };
            let place = all.path().join(copies.moved.len().to_string());
            copies.folder = Some(all);
            room.copy(&host, (&host, &place), MOST_LEVELS)?;
            copies.moved.insert(host, place);
        }
        Ok(copies)
    }

    /// Where they are.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// The topology with the copies in the place of what it grants.
    pub(super) fn brought_in(&self, topology: &Topology) -> Topology {
        let mut topology = topology.clone();
        topology.each_service(|node| {
            if node.grants.files.is_empty() {
                return;
            }
            for file in Arc::make_mut(node).grants.files.values_mut() {
                let copy = file.host.canonicalize().ok().and_then(|host| self.place(&host));
                file.host = copy.unwrap_or_else(|| file.host.clone());
            }
        });
        topology
    }

    /// Where a folder is copied to, by itself or with one that it lies in.
    fn place(&self, host: &Path) -> Option<PathBuf> {
        self.moved.iter().find_map(|(from, to)| Some(to.join(host.strip_prefix(from).ok()?)))
    }

    /// Writes down what is in them when a run is over.
    pub(super) fn note(&self, seeded: &Seeded) {
        for (number, place) in self.moved.values().enumerate() {
            let mut sum = Sum::default();
            match sum.add(place, Path::new(""), MOST_LEVELS) {
                Ok(()) => {
                    let digest = hex::encode(&sum.read.digest().to_be_bytes());
                    seeded.note(format_args!("granted folder {number} has {} entries, {digest}", sum.entries));
                }
                Err(error) => {
                    seeded.note(format_args!("granted folder {number} cannot be read: {:?}", error.kind()));
                }
            }
        }
    }
}

/// What may still be copied.
struct Room {
    bytes: u64,
    entries: u64,
}

impl Room {
    /// Copies what is at a path within a granted folder.
    fn copy(&mut self, granted: &Path, (from, to): (&Path, &Path), levels: usize) -> Result<(), TrialError> {
        let failed = |source| TrialError::Copy { folder: granted.to_owned(), at: from.to_owned(), source };
        let too_large = |what| TrialError::TooLarge { folder: granted.to_owned(), what };
        let found = fs::symlink_metadata(from).map_err(failed)?;
        self.entries =
            self.entries.checked_sub(1).ok_or_else(|| too_large(format!("more than {MOST_ENTRIES} files")))?;
        if found.is_symlink() {
            return fs::read_link(from).and_then(|says| symlink(says, to)).map_err(failed);
        }
        if found.is_dir() {
            let levels =
                levels.checked_sub(1).ok_or_else(|| too_large(format!("more than {MOST_LEVELS} levels of folders")))?;
            fs::create_dir(to).map_err(failed)?;
            for entry in fs::read_dir(from).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                self.copy(granted, (&entry.path(), &to.join(entry.file_name())), levels)?;
            }
            // When all is in it: it may be one that nobody writes to.
            return fs::set_permissions(to, found.permissions()).map_err(failed);
        }
        if !found.is_file() {
            return Err(failed(io::Error::other("it is neither a file nor a folder nor a link")));
        }
        let left = self.bytes.checked_sub(found.len());
        self.bytes = left.ok_or_else(|| too_large(format!("more than {}", size_text(MOST_BYTES))))?;
        fs::copy(from, to).map(drop).map_err(failed)
    }
}

/// What is in a folder, whatever the order in which the machine lists it.
#[derive(Default)]
struct Sum {
    read: Xxh3Default,
    entries: u64,
}

impl Sum {
    fn add(&mut self, at: &Path, name: &Path, levels: usize) -> io::Result<()> {
        let found = fs::symlink_metadata(at)?;
        self.part(name.as_os_str().as_encoded_bytes());
        self.entries += 1;
        if found.is_symlink() {
            self.part(fs::read_link(at)?.as_os_str().as_encoded_bytes());
        } else if found.is_dir() {
            let levels = levels.checked_sub(1).ok_or(io::ErrorKind::QuotaExceeded)?;
            let mut names = fs::read_dir(at)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
            names.sort_unstable();
            for next in names {
                self.add(&at.join(&next), &name.join(&next), levels)?;
            }
        } else if found.is_file() {
            let (mut file, mut bytes) = (fs::File::open(at)?, vec![0; 64 << 10]);
            self.read.update(&found.len().to_be_bytes());
            loop {
                match file.read(&mut bytes)? {
                    0 => break,
                    length => self.read.update(bytes.get(..length).unwrap_or_default()),
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.read.update(&(bytes.len() as u64).to_be_bytes());
        self.read.update(bytes);
    }
}
