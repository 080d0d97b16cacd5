//! What earlier versions wrote down of deployments: a file a service, and one beside it of what was under way. They are
//! read, and never written.
//!
//! ```text
//! DATA/deployments/SERVICE.json      a record, sealed
//! DATA/deployments/SERVICE.intent    two places, taken in turns, each with a sum over what is in it and whose it is
//! ```
//!
//! An intent says how many deployments had ended when it was written, and is over where the record says that more have.
//! The mark beside it has the number of its last write that was synced: where that one cannot be read, it was not cut
//! off, but damaged.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::intent::Intent;
use super::record::{End, Ended, Record};
use super::record_error::RecordError;
use super::source::Source;
use crate::registry::log::Key;
use crate::registry::sealed::{self, Unsound};
use crate::registry::{Digest, StoreError, files};

#[cfg(test)]
mod tests;

/// Where they are in the data folder.
pub(crate) const FOLDER: &str = "deployments";
/// How the names of the two kinds end.
const RECORD: &str = ".json";
const INTENT: &str = ".intent";
/// The version of what a record says; 2 does not say which set an end was of, 3 not what it went on without, 4 not what
/// is kept of a release.
const FORMATS: std::ops::RangeInclusive<u32> = 2..=5;
/// Bytes of one place of an intent.
const PLACE: usize = 32 << 10;
/// How a place begins; then comes the version of what it says. The sum of version 1 is not of whose it is.
const HEAD: &str = "airssys intent ";
const VERSION: u32 = 2;
/// Writes are counted on from what a file says, and never come to the end of 64 bits.
const MOST_TURNS: u64 = u64::MAX / 2;

/// Records, as the log has them.
type Said = Vec<(Key, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    live: Source,
    previous: Option<Source>,
    ended: u64,
    history: Vec<Ended>,
}

/// What they say, as records of the log, each service's in order; and what is wrong with others. Changes nothing.
///
/// # Errors
///
/// The folder cannot be read.
pub(crate) fn read(data: &Path) -> Result<(Said, Vec<RecordError>), StoreError> {
    let folder = data.join(FOLDER);
    let names = files::names(&folder)?;
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    for (service, path) in services(&names, &folder, RECORD) {
        let said = ends(&path).and_then(|ends| texts(&path, ends, |_| Key::End(service.to_owned())));
        match said {
            Ok(ends) => found.extend(ends),
            Err(error) => damaged.push(error),
        }
    }
    for (service, path) in services(&names, &folder, INTENT) {
        let ended = match ends(&folder.join(format!("{service}{RECORD}"))) {
            Ok(ends) => ends.last().map(|end| end.ended),
            // It is told already.
            Err(_) => continue,
        };
        match intent(&path).map_err(|unsound| error(&path, unsound)) {
            Ok(Some(intent)) if is_under_way(&intent, ended, &folder, service) => {
                found.extend(texts(&path, vec![intent], |_| Key::Intent(service.to_owned())).unwrap_or_default());
            }
            Ok(_) => {}
            Err(error) => damaged.push(error),
        }
    }
    Ok((found, damaged))
}

/// Without a record an intent is of a service's first deployment; or its record was removed by somebody, and then it
/// was over before that.
fn is_under_way(intent: &Intent, ended: Option<u64>, folder: &Path, service: &str) -> bool {
    let is_forgotten = || sealed::marked(&folder.join(format!("{service}{RECORD}"))).is_some();
    match ended {
        Some(ended) => intent.after == ended,
        None => intent.after == 0 && !is_forgotten(),
    }
}

fn texts<T: serde::Serialize>(path: &Path, all: Vec<T>, key: impl Fn(&T) -> Key) -> Result<Said, RecordError> {
    let text = |said: T| Ok((key(&said), serde_json::to_string(&said)?));
    let said = all.into_iter().map(text).collect::<Result<_, serde_json::Error>>();
    said.map_err(|wrong| error(path, Unsound::Damaged(wrong.to_string())))
}

/// The ends that a record has; none where there is no record.
fn ends(path: &Path) -> Result<Vec<End>, RecordError> {
    let damaged = |detail| error(path, Unsound::Damaged(detail));
    let Some(text) = sealed::read(path).map_err(|unsound| error(path, unsound))? else { return Ok(Vec::new()) };
    let written: Written = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let Written { format, live, previous, ended, history } = written;
    if !FORMATS.contains(&format) {
        let known = format!("{} to {}", FORMATS.start(), FORMATS.end());
        return Err(damaged(format!("it has format {format}, and this version of airssys knows {known}")));
    }
    let end = |ended: u64, last| End { live: live.clone(), previous: previous.clone(), ended, last };
    let mut ends: Vec<End> = history.into_iter().map(|last| end(last.number, Some(last))).collect();
    match ends.last_mut() {
        Some(last) => last.ended = ended,
        None => ends.push(end(ended, None)),
    }
    // No file may say what no host can have written.
    Record::of(ends.clone(), None).map_err(damaged)?;
    Ok(ends)
}

fn error(path: &Path, unsound: Unsound) -> RecordError {
    match unsound {
        Unsound::File(error) => RecordError::File(error),
        Unsound::Damaged(detail) => RecordError::Deployed { path: path.to_owned(), record: None, detail },
    }
}

/// The services that a folder has a file of this kind of, and where it is.
fn services<'a>(names: &'a [String], folder: &'a Path, suffix: &'a str) -> impl Iterator<Item = (&'a str, PathBuf)> {
    let finished = names.iter().filter(|name| !name.starts_with(files::UNFINISHED));
    finished.filter_map(move |name| Some((name.strip_suffix(suffix)?, folder.join(name))))
}

/// The youngest intent of a file that is there as a whole.
fn intent(path: &Path) -> Result<Option<Intent>, Unsound> {
    let known = sealed::marked(path);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| Unsound::File(StoreError::file("read", path)(error)))?,
    };
    let youngest = bytes.chunks(PLACE).filter_map(|place| parse(path, place)).max_by_key(|(turn, _)| *turn);
    let turn = youngest.as_ref().map_or(0, |(turn, _)| turn.saturating_add(1));
    sealed::check_age(path, known, turn)?;
    let Some((_, said)) = youngest else { return Ok(None) };
    if turn > MOST_TURNS {
        return Err(Unsound::Damaged(format!("its number is {turn}, which no host has come to")));
    }
    serde_json::from_str(said).map(Some).map_err(|error| Unsound::Damaged(error.to_string()))
}

fn sum(path: &Path, version: u32, turn: u64, said: &str) -> String {
    let whose = if version == 1 { String::new() } else { format!("{} ", sealed::place(path)) };
    Digest::of(format!("{whose}{turn} {said}").as_bytes()).to_string()
}

/// What a place says, where it is whole.
fn parse<'a>(path: &Path, place: &'a [u8]) -> Option<(u64, &'a str)> {
    let end = place.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&place[..end]).ok()?.strip_prefix(HEAD)?;
    let mut words = head.split_ascii_whitespace();
    let version = words.next()?.parse().ok().filter(|version| (1..=VERSION).contains(version))?;
    let turn: u64 = words.next()?.parse().ok()?;
    let length: usize = words.next()?.parse().ok()?;
    let found = words.next()?;
    let said = std::str::from_utf8(place.get(end + 1..)?.get(..length)?).ok()?;
    (sum(path, version, turn, said) == found).then_some((turn, said))
}
