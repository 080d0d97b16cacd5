//! Looks at a damaged file, and goes on without what is damaged of it.
//!
//! A file with a damaged page is not written to: what is done next might go over what can still be read, and after a
//! kill it might not open at all. So what is well is copied into a new file, which takes its place in one step, and the
//! damaged one is kept beside it under another name. The new file says which states are lost, as ranges, since a page
//! that cannot be read may have had keys that nobody knows of. What is left of a lost state is in the new file as well,
//! for a person to decide about; a host does not look at it.
//!
//! It refuses to guess: where it is not known between which keys something is missing, nothing is copied and no host
//! starts.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use super::StateError;
use super::damage::Flaw;
use super::file::{LOOK_EVERY, PATIENCE, StateFile};
use super::kept::KeptState;
use super::lost::Lost;
use super::mark::Mark;
use super::newest::{chosen, emptied, older, pages, refuse_newer};
use super::storage::Storage;
use super::survey::Survey;

impl StateFile {
    /// [`StateFile::open`] for who goes on without the states that are damaged, as a host does. Where a page of the
    /// file is damaged, what is well is copied into a new file first, which takes its place; the damaged one is kept
    /// beside it, as `state.damaged-1.redb` or with the next number that is free. The new file says which states are
    /// lost, so that nobody takes them for empty, until [`StateFile::replace`] or [`StateFile::forget`].
    ///
    /// # Errors
    ///
    /// [`StateError`]: also where it is not known which states are damaged. The file is as it was then.
    pub fn open_without_damage(data_folder: &Path) -> Result<Self, StateError> {
        let refused = match Self::open(data_folder) {
            Err(refused @ StateError::Damaged { .. }) => refused,
            opened => return opened,
        };
        let Ok(survey) = Self::survey(data_folder) else { return Err(refused) };
        let Some(lost) = survey.lost() else { return Err(refused) };
        let path = Self::path(data_folder);
        let kept = exchange(&path, &survey, &lost)?;
        tracing::error!(
            target: "airssys::state",
            kept = %kept.display(),
            "the durable state was damaged; what is well was copied into a new file, and the damaged one is kept: {refused}"
        );
        Self::open(data_folder)
    }

    /// All that a data folder has, read without a change to it. What is damaged is in what comes back, and no error.
    ///
    /// # Errors
    ///
    /// [`StateError`]: nothing at all could be read, or a host has it.
    pub fn survey(data_folder: &Path) -> Result<Survey, StateError> {
        let path = Self::path(data_folder);
        let file = |source| StateError::File { what: "open", path: path.clone(), source };
        let storage = Storage::to_look_at(&path).map_err(file)?;
        let begun = Instant::now();
        while !storage.hold_to_look().map_err(file)? {
            if begun.elapsed() > PATIENCE {
                return Err(StateError::InUse { path });
            }
            thread::sleep(LOOK_EVERY);
        }
        let Some(pages) = pages(&storage, &path)? else {
            return emptied(&path, Mark::beside(&path)).map_or_else(|| Ok(Survey::default()), Err);
        };
        let (commit, _) = chosen(&pages, &path)?;
        let mut survey = Survey::of(&pages, &commit, true);
        refuse_newer(survey.format, &path)?;
        if let Some(older) = older(survey.id, &commit, Mark::beside(&path)) {
            survey.add(Flaw::File { detail: older });
        }
        Ok(survey)
    }

    /// A new file, which must not be there yet, with these states. Not in a data folder: nothing else is there beside
    /// it.
    pub(super) fn make_with(
        path: &Path,
        states: &BTreeMap<String, BTreeMap<Box<str>, KeptState>>,
        lost: &[Lost],
    ) -> Result<(), StateError> {
        let failed = |source| StateError::File { what: "make", path: path.to_owned(), source };
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
        let storage = Storage::file(path).map_err(failed)?;
        let file = Self::whole(storage, path.to_owned(), None)?;
        file.put_all(states.iter().map(|(service, states)| (service.as_str(), states)))?;
        if !lost.is_empty() {
            file.lose(lost)?;
        }
        drop(file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Survey {
    /// Writes what is well into a new file, which a host can use in the place of the one that was looked at: as
    /// `state/state.redb` of its data folder.
    ///
    /// # Errors
    ///
    /// [`StateError`]; there is a file of this name already, or it cannot be written. What was written by then is left.
    pub fn write_to(&self, path: &Path) -> Result<(), StateError> {
        StateFile::make_with(path, &self.states, &[])
    }
}

/// Puts a file with what is well in the place of a damaged one; where that is kept.
fn exchange(path: &Path, survey: &Survey, lost: &[Lost]) -> Result<PathBuf, StateError> {
    let failed = |source| StateError::File { what: "copy what is well of", path: path.to_owned(), source };
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        // One that was killed over this left it.
        _ => {}
    }
    StateFile::make_with(&unfinished, &survey.states, lost)?;
    let keep = || -> io::Result<PathBuf> {
        for number in 1_u32.. {
            let kept = path.with_file_name(format!("state.damaged-{number}.redb"));
            match fs::hard_link(path, &kept) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                linked => {
                    linked?;
                    // One step: whoever opens the file has the old one or the new one.
                    fs::rename(&unfinished, path)?;
                    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
                    return Ok(kept);
                }
            }
        }
        Err(io::Error::other("there are too many damaged files"))
    };
    keep().map_err(failed)
}
