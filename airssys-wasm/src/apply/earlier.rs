//! What is written down in a data folder, also where an earlier version wrote it: that is taken over, at the first
//! start.
//!
//! ```text
//! DATA/desired/taking-over          what an earlier version had, until all of its files are gone;
//!                                   then it gets the name of the log
//! DATA/topology/in-force.json       what an earlier version had, sealed: which topology is in force,
//! DATA/topology/stopped.json        and which services an operator stopped
//! DATA/deployments/                 and what was deployed
//! ```
//!
//! Invariant: at each moment exactly one of the three counts: the log, or what takes it over, or the files of an
//! earlier version.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::record::Written;
use super::stopped;
use crate::deploy;
use crate::deploy::RecordError;
use crate::registry::log::{Key, Log};
use crate::registry::sealed::{self, Unsound};
use crate::registry::{StoreError, files};

#[cfg(test)]
mod tests;

const FOLDER: &str = "topology";
const IN_FORCE: &str = "in-force.json";
const STOPPED: &str = "stopped.json";
const TAKING_OVER: &str = "taking-over";
/// How the names of files end that an earlier version wrote, and of those that say something.
const KINDS: [&str; 3] = [".json", ".intent", ".mark"];
const SAYING: [&str; 2] = [".json", ".intent"];

/// What is written down. Changes nothing.
///
/// # Errors
///
/// [`RecordError`].
pub(super) fn read(data: &Path) -> Result<Log, RecordError> {
    let (log, damaged) = found(data)?;
    damaged.into_iter().next().map_or(Ok(log), Err)
}

/// What is written down, as far as it can be read, and what is wrong with files of an earlier version. Changes nothing.
///
/// # Errors
///
/// [`RecordError`].
pub(super) fn found(data: &Path) -> Result<(Log, Vec<RecordError>), RecordError> {
    let path = Log::path(data);
    if let Some(log) = Log::read(&path)? {
        let earlier = left(data, &SAYING)?.into_iter().next();
        return earlier.map_or(Ok((log, Vec::new())), |earlier| Err(RecordError::Twice { earlier, path }));
    }
    if let Some(log) = Log::read(&path.with_file_name(TAKING_OVER))? {
        return Ok((log, Vec::new()));
    }
    let (mut records, mut damaged) = deploy::earlier::read(data)?;
    for (key, file) in [(Key::Topology, IN_FORCE), (Key::Stopped, STOPPED)] {
        match said(&key, &data.join(FOLDER).join(file)) {
            Ok(said) => records.extend(said.map(|said| (key, said))),
            Err(error) => damaged.push(error),
        }
    }
    Ok((Log::new(&path, records), damaged))
}

/// What is written down; from here on it is so as this version writes it. Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`]; then all is as it was.
pub(super) fn take_over(data: &Path) -> Result<Log, RecordError> {
    let path = Log::path(data);
    let taking = path.with_file_name(TAKING_OVER);
    if !is_there(&path)? && !is_there(&taking)? {
        let log = read(data)?;
        if log.keys().is_empty() {
            return Ok(log);
        }
        log.write_to(&taking)?;
    }
    if is_there(&taking)? {
        for file in left(data, &KINDS)? {
            files::remove(&file)?;
        }
        for folder in [FOLDER, deploy::earlier::FOLDER] {
            // What is no file of an earlier version stays there.
            let _not_there_or_not_empty = fs::remove_dir(data.join(folder));
        }
        let renamed = fs::rename(&taking, &path).and_then(|()| files::sync_folder(files::parent(&path)));
        renamed.map_err(StoreError::file("write", &path))?;
    }
    read(data)
}

/// Removes what an earlier version wrote of what was applied and deployed, and was not taken over.
///
/// # Errors
///
/// A file cannot be removed.
pub(super) fn forget(data: &Path) -> Result<(), StoreError> {
    if is_there(&Log::path(data).with_file_name(TAKING_OVER))? {
        return Ok(());
    }
    // Sorted, so that an intent goes before its record: without that it would be the first one's.
    let is_meant =
        |file: &&PathBuf| !file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(STOPPED.as_bytes()));
    left(data, &KINDS)?.iter().filter(is_meant).try_for_each(|file| files::remove(file))
}

/// Files whose names end so, in the folders of an earlier version.
fn left(data: &Path, kinds: &[&str]) -> Result<Vec<PathBuf>, StoreError> {
    let mut all = Vec::new();
    for folder in [deploy::earlier::FOLDER, FOLDER].map(|folder| data.join(folder)) {
        let names = files::names(&folder)?;
        let written = names.iter().filter(|name| !name.starts_with(files::UNFINISHED) || kinds == KINDS);
        let ours =
            written.filter(|name| kinds.iter().any(|kind| name.ends_with(kind)) || name.starts_with(files::UNFINISHED));
        all.extend(ours.map(|name| folder.join(name)));
    }
    Ok(all)
}

fn is_there(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true).map_err(StoreError::file("read", path)),
    }
}

/// What a file of an earlier version says, in the words of this one.
fn said(key: &Key, file: &Path) -> Result<Option<String>, RecordError> {
    let damaged = |detail| -> RecordError {
        let (path, record) = (file.to_owned(), None);
        match key {
            Key::Stopped => RecordError::Stopped { path, record, detail },
            _ => RecordError::Topology { path, record, detail },
        }
    };
    let text = match sealed::read(file) {
        Ok(text) => text,
        Err(Unsound::File(error)) => return Err(error.into()),
        Err(Unsound::Damaged(detail)) => return Err(damaged(detail)),
    };
    let again = |text: String| match key {
        Key::Stopped => stopped::Written::of(&text).map(|written| serde_json::to_string(&written)),
        _ => Written::of(&text).map(|written| serde_json::to_string(&written)),
    };
    let said = text.map(|text| again(text)?.map_err(|error| error.to_string())).transpose();
    said.map_err(damaged)
}
