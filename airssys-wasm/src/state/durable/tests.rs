#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "a seed is told")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use self::disk::{Disk, random};
use super::{Journal, Kept, Shelf, StateError, StateFile};
use crate::error::Crash;
use crate::state::{State, Transaction};

mod disk;

const NAME: &str = "the disk";

fn on(disk: &Disk) -> StateFile {
    StateFile::on(disk.clone(), Path::new(NAME)).unwrap()
}

fn shelf(file: StateFile) -> (Shelf, Journal) {
    let kept = file.read("counter").unwrap();
    let journal = Journal::start(file).unwrap();
    (Shelf::new(journal.clone(), "counter", kept), journal)
}

/// Two keys that are only ever written together.
async fn write(state: &Arc<State>, number: u64) -> Result<(), Crash> {
    let mut turn = Transaction::default();
    for key in ["left", "right"] {
        turn.set(state, key, Bytes::copy_from_slice(&number.to_le_bytes()), 1 << 20).unwrap();
    }
    state.save(&mut turn, number, 0, Box::new(|| ())).unwrap().done().await
}

/// The number that both keys have.
fn number(values: &BTreeMap<Box<str>, Bytes>) -> u64 {
    let read = |key| values.get(key).map_or(0, |value| u64::from_le_bytes(value.as_ref().try_into().unwrap()));
    assert_eq!(read("left"), read("right"), "a commit is there as a whole or not at all");
    read("left")
}

fn kept(values: &[(&str, &str)]) -> Kept {
    let values = values.iter().map(|(key, value)| ((*key).into(), Bytes::copy_from_slice(value.as_bytes())));
    Kept { values: values.collect(), commits: 7, schema: 3 }
}

#[test]
fn services_and_their_keys_are_told_apart() {
    let file = on(&Disk::default());
    // Texts that would run into each other if they were strung together.
    let a = BTreeMap::from([("".into(), kept(&[("", "1"), ("=", "2")])), ("b".into(), kept(&[("k", "3")]))]);
    let ab = BTreeMap::from([("".into(), kept(&[("k", "4")])), ("\u{10ffff}".into(), kept(&[]))]);
    file.replace("a", &a).unwrap();
    file.replace("ab", &ab).unwrap();
    assert_eq!((file.read("a").unwrap(), file.read("ab").unwrap()), (a, ab.clone()));
    assert_eq!(file.services().unwrap(), ["a", "ab"]);
    file.replace("a", &BTreeMap::new()).unwrap();
    assert_eq!((file.read("a").unwrap(), file.read("ab").unwrap()), (BTreeMap::new(), ab));
    assert_eq!(file.services().unwrap(), ["ab"]);
}

#[test]
fn a_file_is_somebody_elses_newer_or_damaged_and_each_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::open(folder.path()).unwrap();
    file.replace("a", &BTreeMap::from([("".into(), kept(&[("k", "v")]))])).unwrap();
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::InUse { .. })));
    drop(file);

    let path = StateFile::path(folder.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "no store at all, but a text that is long enough to be one".repeat(200)).unwrap();
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::Damaged { .. })));
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::Damaged { .. })));

    std::fs::write(&path, &whole).unwrap();
    let database = redb::Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(redb::TableDefinition::<&str, u64>::new("about")).unwrap().insert("format", 2).unwrap();
    writing.commit().unwrap();
    drop(database);
    let newer = StateFile::open(folder.path()).unwrap_err();
    assert!(matches!(newer, StateError::NewerFormat { format: 2, known: 1, .. }), "{newer}");
}

#[test]
fn what_was_deleted_gives_its_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(folder.path()).unwrap();
    let long = "x".repeat(64 << 10);
    let many: Vec<String> = (0..64).map(|number| number.to_string()).collect();
    let values: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), long.as_str())).collect();
    file.replace("a", &BTreeMap::from([("".into(), kept(&values))])).unwrap();
    file.replace("a", &BTreeMap::new()).unwrap();
    let size = || std::fs::metadata(StateFile::path(folder.path())).unwrap().len();
    let before = size();
    assert!(!file.compact_past(before).unwrap(), "it is not worth it");
    assert!(file.compact_past(before / 2).unwrap());
    assert!(!file.compact_past(0).unwrap(), "it was done");
    assert!(size() < before / 4, "{} of {before} bytes are left", size());
}

#[tokio::test]
async fn memory_and_disk_agree_and_who_does_not_wait_stops_nothing() {
    let disk = Disk::default();
    let (shelf_, journal) = shelf(on(&disk));
    let state = shelf_.state("");
    write(&state, 1).await.unwrap();
    assert_eq!((number(&state.snapshot()), state.commits()), (1, 1));
    let mut turn = Transaction::default();
    for key in ["left", "right"] {
        turn.set(&state, key, Bytes::copy_from_slice(&2_u64.to_le_bytes()), 1 << 20).unwrap();
    }
    // As an actor that is killed while it waits.
    let (happens, happened) = std::sync::mpsc::channel();
    drop(state.save(&mut turn, 2, 0, Box::new(move || happens.send(()).unwrap())).unwrap());
    shelf_.settle().await;
    assert_eq!((number(&state.snapshot()), state.commits()), (2, 2));
    assert!(happened.try_recv().is_ok() && state.was_saved(2) && !state.was_saved(1), "all of it happened");
    journal.close().await;
    assert!(write(&state, 3).await.is_err(), "it is closed");
    assert_eq!(number(&state.snapshot()), 2);
    let found = on(&disk).read("counter").unwrap().remove("").unwrap();
    assert_eq!((number(&found.values), found.commits), (2, 2));
}

/// At every write and sync of a commit in turn the disk begins to fail.
#[tokio::test]
async fn a_commit_that_fails_is_told_and_so_is_every_later_one() {
    for point in 0..40 {
        let disk = Disk::default();
        let (shelf_, _journal) = shelf(on(&disk));
        let state = shelf_.state("");
        write(&state, 1).await.unwrap();
        disk.fail_after(point);
        let mut acknowledged = 1;
        while write(&state, acknowledged + 1).await.is_ok() {
            acknowledged += 1;
        }
        assert_eq!((number(&state.snapshot()), state.commits()), (acknowledged, acknowledged));
        disk.fail_after(usize::MAX);
        let later = write(&state, 100).await;
        assert!(matches!(&later, Err(Crash::NotDurable { detail }) if detail.contains(NAME)), "{later:?}");
        assert_eq!(number(&state.snapshot()), acknowledged);
        assert!(state.was_saved(acknowledged) && !state.was_saved(100));
    }
}

#[tokio::test]
async fn after_a_power_cut_what_was_acknowledged_is_there_and_nothing_by_halves() {
    let own = || std::process::id().into();
    let mut seed: u64 = std::env::var("AIRSSYS_SEED").map_or_else(|_| own(), |seed| seed.parse().unwrap());
    println!("AIRSSYS_SEED={seed}");
    for round in 0..200 {
        let disk = Disk::default();
        let (shelf_, journal) = shelf(on(&disk));
        let state = shelf_.state("");
        disk.fail_after(random(&mut seed) % 60);
        let mut tried = 0;
        let mut acknowledged = 0;
        while tried < 12 {
            tried += 1;
            match write(&state, tried).await {
                Ok(()) => acknowledged = tried,
                Err(_) => break,
            }
        }
        let after = disk.after_power_cut(&mut seed);
        journal.close().await;
        let found = on(&after).read("counter").unwrap().remove("").unwrap_or_default();
        let found = number(&found.values);
        assert!((acknowledged..=tried).contains(&found), "round {round}: {acknowledged}..={tried}, found {found}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = StateFile::open(&file).unwrap_err();
    assert!(matches!(error, StateError::File { what: "make", .. }), "{error}");
}
