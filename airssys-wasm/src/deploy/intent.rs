//! A deployment that is about to switch the first actor, or on its way: one file a service, written over in place, so that it costs one sync and no new file.
//!
//! It has two places, taken in turns, each with a sum over what is in it and whose it is. A write that is cut off spoils the one it was for, and the one
//! before is still there. The mark beside the file has the number of the last write that was synced: where that one cannot be read, it was not cut off, but
//! damaged. Nobody clears it: an intent says how many deployments had ended when it was written, and is over as soon as the record says that more have.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::registry::sealed::{self, Unsound};
use crate::registry::{Digest, StoreError, files};

/// How the name of such a file ends.
pub(super) const SUFFIX: &str = ".intent";
/// Bytes of one place: two paths of the greatest length fit, and what is said beside them.
const PLACE: usize = 32 << 10;
/// How a place begins; then comes the version of what it says. The sum of version 1 is not of whose it is.
const HEAD: &str = "airssys intent ";
const VERSION: u32 = 2;
/// Writes are counted on from what a file says, and never come to the end of 64 bits.
const MOST_TURNS: u64 = u64::MAX / 2;

/// What a deployment is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    /// The deployments of the service that had ended.
    pub(super) after: u64,
    /// What serves.
    pub(super) live: Source,
    /// What is to.
    pub(super) next: Source,
    /// How far it came.
    pub(super) step: Option<Step>,
    /// The set that it belongs to.
    pub(super) set: Option<SetId>,
}

/// How far a deployment came that goes by steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The strategy.
    pub strategy: String,
    /// The step that it was about to make, from 1.
    pub step: usize,
    /// All of them.
    pub steps: usize,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at step {} of {} ({})", self.step, self.steps, self.strategy)
    }
}

/// A set of deployments, told by the one whose end is written first, which decides about all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetId {
    /// Its service.
    pub(crate) first: String,
    /// The deployments of that which had ended.
    pub(crate) after: u64,
}

/// What there is of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of the next write.
    pub(super) turn: u64,
    /// The youngest intent that is there as a whole.
    pub(super) intent: Option<Intent>,
}

/// Reads a file; that it is not there is an answer too.
pub(super) fn read(path: &Path) -> Result<Found, Unsound> {
    let known = sealed::marked(path);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    match read {
        // Who removed it begins anew, after what the mark knows of.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Found { turn: known.unwrap_or_default(), intent: None });
        }
        read => read.map_err(|error| Unsound::File(StoreError::file("read", path)(error)))?,
    };
    let youngest = bytes.chunks(PLACE).filter_map(|place| parse(path, place)).max_by_key(|(turn, _)| *turn);
    let turn = youngest.as_ref().map_or(0, |(turn, _)| turn.saturating_add(1));
    sealed::check_age(path, known, turn)?;
    let Some((_, said)) = youngest else { return Ok(Found::default()) };
    if turn > MOST_TURNS {
        return Err(Unsound::Damaged(format!("its number is {turn}, which no host has come to")));
    }
    let intent = serde_json::from_str(said).map_err(|error| Unsound::Damaged(error.to_string()))?;
    Ok(Found { turn, intent: Some(intent) })
}

/// Writes the next one; after this it is on disk. `turn` is one more than that of the youngest one that is there.
pub(super) fn write(path: &Path, turn: u64, intent: &Intent) -> Result<(), StoreError> {
    let failed = StoreError::file("write", path);
    let bytes = match text(path, turn, intent) {
        Ok(bytes) => bytes,
        Err(error) => return Err(failed(error)),
    };
    let place = (turn % 2) * PLACE as u64;
    let mut options = OpenOptions::new();
    let known = match options.write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        file => Some(file),
    };
    let written = || {
        let (file, is_new) = match known {
            Some(file) => (file?, false),
            None => (options.create(true).truncate(false).mode(0o600).open(path)?, true),
        };
        if is_new {
            // All of its room now, so that no later sync has a new length to write.
            file.write_all_at(&vec![0; 2 * PLACE], 0)?;
        }
        file.write_all_at(&bytes, place)?;
        if is_new {
            file.sync_all()?;
            return files::sync_folder(files::parent(path));
        }
        file.sync_data()
    };
    written().map_err(failed)?;
    // So many have been written.
    sealed::mark(path, turn.saturating_add(1));
    Ok(())
}

fn text(path: &Path, turn: u64, intent: &Intent) -> std::io::Result<Vec<u8>> {
    let said = serde_json::to_string(intent)?;
    let sum = sum(path, VERSION, turn, &said);
    let bytes = format!("{HEAD}{VERSION} {turn} {} {sum}\n{said}", said.len()).into_bytes();
    if bytes.len() > PLACE {
        let detail = format!("an intent of {} bytes does not fit; the paths of its releases are too long", bytes.len());
        return Err(std::io::Error::new(ErrorKind::InvalidInput, detail));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    fn intent(after: u64) -> Intent {
        let source = |name: &str| Source {
            published: Some(format!("{name}@1.0.{after}")),
            component: name.into(),
            digest: "d".repeat(64),
            schema: 0,
            kept: None,
        };
        let step = Some(Step { strategy: "canary".to_owned(), step: 1, steps: 4 });
        let set = Some(SetId { first: "counter".to_owned(), after });
        Intent { after, live: source("old"), next: source("new"), step, set }
    }

    fn found(path: &Path) -> (u64, Option<Intent>) {
        let Found { turn, intent } = read(path).unwrap();
        (turn, intent)
    }

    #[test]
    fn a_write_that_is_torn_anywhere_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counter.intent");
        assert_eq!(read(&path).unwrap(), Found::default());
        for turn in 0..4 {
            write(&path, turn, &intent(turn)).unwrap();
            assert_eq!(found(&path), (turn + 1, Some(intent(turn))));
        }
        let before = std::fs::read(&path).unwrap();
        write(&path, 4, &intent(4)).unwrap();
        let after = std::fs::read(&path).unwrap();
        assert_eq!(before.len(), after.len(), "its length never changes");
        let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
        assert!(!changed.is_empty() && changed.iter().all(|at| *at < PLACE), "the other place is not touched");
        // A disk may have written any of the bytes and not the others: from the front, from the back, every other one.
        let torn: Vec<Vec<u8>> = (0..changed.len())
            .flat_map(|cut| [&changed[..cut], &changed[cut + 1..]])
            .map(|kept| {
                let mut bytes = before.clone();
                kept.iter().for_each(|at| bytes[*at] = after[*at]);
                bytes
            })
            .collect();
        for bytes in &torn {
            // It was synced, so it was not cut off.
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(read(&path), Err(Unsound::Damaged(_))));
        }
        sealed::mark(&path, 4);
        for bytes in &torn {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(found(&path), (4, Some(intent(3))));
        }
        // Or only the beginning of a new file.
        std::fs::remove_file(sealed::mark_path(&path)).unwrap();
        for length in [0, 1, 40, PLACE, PLACE + 1] {
            std::fs::write(&path, vec![0; length]).unwrap();
            assert_eq!(read(&path).unwrap(), Found::default());
        }
    }

    #[test]
    fn one_of_another_service_is_damage_and_one_of_the_version_before_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("counter.intent"), folder.path().join("other.intent"));
        write(&path, 0, &intent(0)).unwrap();
        write(&other, 0, &intent(0)).unwrap();
        std::fs::copy(&other, &path).unwrap();
        assert!(matches!(read(&path), Err(Unsound::Damaged(_))));
        let said = serde_json::to_string(&intent(7)).unwrap();
        let old = |turn: u64, said: &str| {
            let sum = Digest::of(format!("{turn} {said}").as_bytes());
            std::fs::write(&other, format!("airssys intent 1 {turn} {} {sum}\n{said}", said.len())).unwrap();
            read(&other)
        };
        assert_eq!(old(5, &said).unwrap(), Found { turn: 6, intent: Some(intent(7)) });
        let strange = said.replacen("{\"after\"", "{\"colour\":1,\"after\"", 1);
        for (turn, said) in [(6, &*strange), (u64::MAX, &*said), (u64::MAX - 1, &*said)] {
            assert!(matches!(old(turn, said), Err(Unsound::Damaged(_))), "{turn} {said}");
        }
    }

    #[test]
    fn paths_that_are_too_long_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counter.intent");
        let mut long = intent(0);
        long.next.component = "x".repeat(PLACE).into();
        let error = write(&path, 0, &long).unwrap_err();
        let detail = std::error::Error::source(&error).unwrap().to_string();
        assert!(detail.contains("too long"), "{error}: {detail}");
        assert_eq!(read(&path).unwrap(), Found::default());
    }
}
