//! Which commit of the file the store will open, and whether it is the one that was written last.

use std::path::Path;

use super::StateError;
use super::damage::damaged;
use super::layout::WITH_LOST;
use super::mark::{Mark, Marked};
use super::pages::{Commit, NoPages, Pages};
use super::storage::Storage;

/// The head of a file; none where the file is empty, or a host was killed while it made it: nothing was ever written
/// there then.
pub(super) fn pages<'a>(storage: &'a Storage, path: &Path) -> Result<Option<Pages<'a>>, StateError> {
    if is_unfinished(storage, path) {
        return Ok(None);
    }
    let path = path.to_owned();
    Pages::open(storage).map_err(|error| match error {
        NoPages::Unread(source) => StateError::File { what: "read", path, source },
        NoPages::Head(detail) => StateError::Damaged { path, detail: detail.to_owned() },
    })
}

/// Whether the store was cut off while it made the file: it has a length first, then a head, and then the word that it
/// begins with. Where a step is known to have been written, it is damage.
fn is_unfinished(storage: &Storage, path: &Path) -> bool {
    Mark::beside(path).is_none() && storage.has_nothing_but_a_head().unwrap_or(false)
}

/// The commit that the store will open, and whether it is whole.
pub(super) fn chosen(pages: &Pages<'_>, path: &Path) -> Result<(Commit, bool), StateError> {
    let whole = |commit: &&Commit| pages.walk(commit, false, |_, _| ());
    let found = pages.commits.iter().find(whole).map(|commit| (*commit, true));
    let found = found.or_else(|| pages.commits.first().map(|commit| (*commit, false)));
    found.ok_or_else(|| damaged(path, &[]))
}

pub(super) fn refuse_newer(format: Option<u64>, path: &Path) -> Result<(), StateError> {
    match format {
        Some(format) if format > WITH_LOST => {
            Err(StateError::NewerFormat { path: path.to_owned(), format, known: WITH_LOST })
        }
        _ => Ok(()),
    }
}

/// What is wrong where a file is empty that was not: of one that is made anew there is no mark.
pub(super) fn emptied(path: &Path, marked: Option<Marked>) -> Option<StateError> {
    let detail = format!("it is empty, and step number {} was written", marked?.number);
    Some(StateError::OlderCopy { path: path.to_owned(), detail })
}

/// What is wrong where a file is not as new as the mark beside it says.
pub(super) fn older(id: Option<u64>, commit: &Commit, marked: Option<Marked>) -> Option<String> {
    let marked = marked.filter(|marked| Some(marked.id) == id && marked.number > commit.number)?;
    let (found, known) = (commit.number, marked.number);
    Some(format!(
        "its newest step is number {found}, and number {known} was written: it is an older copy, or a part of it is"
    ))
}
