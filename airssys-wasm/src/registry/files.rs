//! Files that are there as a whole or not at all, whenever the process or the machine ends.
//!
//! A new file gets its name last: written under another one in the same folder, synced, renamed, and the folder synced.
//! What a killed writer leaves has a name that begins with [`UNFINISHED`], and nobody reads it.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;

/// How the name of a file begins that is not finished.
pub(crate) const UNFINISHED: &str = ".unfinished-";
/// How long one who changes the store waits for another.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether the other is done.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Writes a file. After this it is there, also when the power fails; before, it was not.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let folder = parent(path);
    let written = || {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    written().map_err(StoreError::file("write", path))
}

/// Makes what of a folder is not there yet, each part known to its parent for good.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder(above)),
    }
    .map_err(StoreError::file("make", folder))
}

/// Removes a file for good; that it is not there is as well.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(parent(path))),
    }
    .map_err(StoreError::file("remove", path))
}

/// The names in a folder, sorted; none where it is not there.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::file("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // The store's own names are UTF-8; others are not its own.
        names.extend(entry.map_err(StoreError::file("read", folder))?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The right to change a store. It ends when this is dropped, and with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Waits for it, but not for ever.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let file = File::options().create(true).append(true).open(path).map_err(StoreError::file("lock", path))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: file }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path: path.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(StoreError::file("lock", path)(error)),
            }
        }
    }
}

/// That files are needed. Ends when this is dropped, and with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Hold {
    _held: Vec<File>,
}

impl Hold {
    /// Holds files; any number may.
    pub(super) fn on<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Self, StoreError> {
        let mut held = Vec::new();
        for path in paths {
            let file = File::open(path).map_err(StoreError::file("read", path))?;
            file.lock_shared().map_err(StoreError::file("lock", path))?;
            held.push(file);
        }
        Ok(Self { _held: held })
    }

    /// Whether anybody holds a file.
    pub(super) fn is_on(path: &Path) -> Result<bool, StoreError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            file => file.map_err(StoreError::file("read", path))?,
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(StoreError::file("lock", path)(error)),
        }
    }
}
