#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "a seed is told")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

use bytes::Bytes;

use self::disk::{Disk, random};
use super::journal::Saving;
use super::writer::Pause;
use super::{Journal, Kept, Shelf, Shelved, StateError, StateFile};
use crate::error::Crash;
use crate::state::{Full, Saved, State, Transaction};

mod disk;
mod forgotten;

const NAME: &str = "the disk";

/// Of random numbers; it is told, and can be given.
fn seed() -> u64 {
    let own = || std::process::id().into();
    let seed = std::env::var("AIRSSYS_SEED").map_or_else(|_| own(), |seed| seed.parse().unwrap());
    println!("AIRSSYS_SEED={seed}");
    seed
}

fn on(disk: &Disk) -> StateFile {
    StateFile::on(disk.clone(), Path::new(NAME)).unwrap()
}

fn shelf(file: StateFile) -> (Shelf, Journal) {
    shelf_with(file, |_| Duration::ZERO)
}

fn shelf_with(file: StateFile, pause: Pause) -> (Shelf, Journal) {
    let kept = file.load("counter").unwrap();
    let bytes = file.services().unwrap().iter().map(|service| file.bytes(service).unwrap()).sum();
    let journal = Journal::start_with(file, bytes, pause).unwrap();
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

/// As a dump may have it that somebody wrote by hand.
#[test]
fn a_state_with_values_keeps_its_schema_whatever_is_said_of_its_commits() {
    let file = on(&Disk::default());
    let states = [("full", kept(&[("k", "v")])), ("empty", kept(&[]))];
    let states = states.map(|(actor, kept)| (actor.into(), Kept { commits: 0, ..kept }));
    file.replace("a", &states.into()).unwrap();
    let full = Kept { commits: 1, ..kept(&[("k", "v")]) };
    assert_eq!(file.read("a").unwrap(), BTreeMap::from([("full".into(), full)]));
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
    writing.open_table(redb::TableDefinition::<&str, u64>::new("about")).unwrap().insert("format", 4).unwrap();
    writing.commit().unwrap();
    drop(database);
    let newer = StateFile::open(folder.path()).unwrap_err();
    assert!(matches!(newer, StateError::NewerFormat { format: 4, known: 3, .. }), "{newer}");
}

/// The newest commit does not need the other slot, and the store does not open the file without it.
#[test]
fn a_slot_of_the_head_that_is_damaged_is_named() {
    for slot in [64, 192] {
        let folder = tempfile::tempdir().unwrap();
        let states = BTreeMap::from([("actor".into(), kept(&[("k", "v")]))]);
        StateFile::open(folder.path()).unwrap().replace("a", &states).unwrap();
        let path = StateFile::path(folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[slot] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let refused = StateFile::open_without_damage(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("its head is damaged") || refused.contains("its newest commit"), "{refused}");
        let survey = StateFile::survey(folder.path()).unwrap();
        assert!(!survey.damage.is_empty(), "{slot}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it was looked at only");
    }
}

#[test]
fn a_damaged_page_is_told_before_the_store_comes_across_it() {
    let disk = Disk::default();
    let states = BTreeMap::from([("actor".into(), kept(&[("k", "v")]))]);
    on(&disk).replace("a", &states).unwrap();
    disk.damage(b"actor");
    let damaged = StateFile::on(disk, Path::new(NAME)).unwrap_err();
    assert!(matches!(&damaged, StateError::Damaged { .. }), "{damaged}");
}

#[test]
fn a_page_that_is_damaged_while_the_file_is_open_is_told_by_whoever_comes_across_it() {
    let disk = Disk::default();
    let states = BTreeMap::from([("actor".into(), kept(&[("k", "v")]))]);
    on(&disk).replace("a", &states).unwrap();
    let mut file = on(&disk);
    disk.damage(b"actor");
    file.reopen().unwrap();
    assert!(matches!(file.read("a"), Err(StateError::Damaged { .. })));
    assert!(matches!(file.bytes("a"), Err(StateError::Damaged { .. })));
    assert!(matches!(file.services(), Err(StateError::Damaged { .. })));
    assert!(matches!(file.commits("a", "b"), Err(StateError::Damaged { .. })));
    assert!(matches!(file.replace("a", &states), Err(StateError::Damaged { .. })));
    file.reopen().unwrap();
    assert!(matches!(file.read("a"), Err(StateError::Damaged { .. })), "it is as damaged as before");
}

#[tokio::test]
async fn a_commit_that_meets_a_damaged_page_is_refused_and_so_is_the_next_one() {
    let disk = Disk::default();
    on(&disk).replace("counter", &BTreeMap::from([("actor".into(), kept(&[("k", "v")]))])).unwrap();
    let mut file = on(&disk);
    disk.damage(b"actor");
    file.reopen().unwrap();
    let journal = Journal::start_with(file, 0, |_| Duration::ZERO).unwrap();
    let state = Shelf::new(journal.clone(), "counter", Shelved::default()).state("");
    for _ in 0..2 {
        let refused = write(&state, 1).await;
        assert!(matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains("damaged")), "{refused:?}");
    }
    assert!(matches!(journal.read("counter").await, Some(Err(StateError::Damaged { .. }))));
    let let_go = disk.let_go();
    journal.close().await;
    assert_eq!(let_go.try_recv(), Err(TryRecvError::Disconnected));
}

/// Three states of two services, as format 1 had them.
fn old(disk: &Disk) -> [(&'static str, BTreeMap<Box<str>, Kept>); 2] {
    let a = BTreeMap::from([(Box::from(""), kept(&[("", "1"), ("=", "2")])), ("b".into(), kept(&[]))]);
    let services = [("a", a), ("ab", BTreeMap::from([(Box::from("c"), kept(&[("k", "4")]))]))];
    let database = redb::Database::builder().create_with_backend(disk.clone()).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(super::layout::ABOUT_TABLE).unwrap().insert("format", 1).unwrap();
    {
        let mut table = writing.open_table(super::layout::OLD_STATES_TABLE).unwrap();
        for (service, states) in &services {
            for (actor, kept) in states {
                let record = [&kept.commits.to_le_bytes()[..], &kept.schema.to_le_bytes()[..]].concat();
                table.insert((*service, &**actor, ""), &record[..]).unwrap();
                for (key, value) in &kept.values {
                    table.insert((*service, &**actor, format!("={key}").as_str()), &value[..]).unwrap();
                }
            }
        }
    }
    writing.commit().unwrap();
    services
}

#[test]
fn a_file_of_format_1_is_read_and_written_anew_when_it_is_opened() {
    let disk = Disk::default();
    let services = old(&disk);
    for _ in 0..2 {
        let file = on(&disk);
        for (service, states) in &services {
            assert_eq!(file.read(service).unwrap(), *states);
        }
        assert_eq!(file.services().unwrap(), ["a", "ab"]);
        assert_eq!(file.bytes("a").unwrap(), 3, "sums are not counted");
    }
}

/// The pages around it are whole, and so is what else is on its page.
#[test]
fn a_flipped_bit_is_named_by_service_actor_and_key() {
    let disk = Disk::default();
    let file = on(&disk);
    file.replace("a", &BTreeMap::from([("x".into(), kept(&[("j", "1"), ("k", "needle")]))])).unwrap();
    file.replace("b", &BTreeMap::from([("".into(), kept(&[("k", &"long".repeat(2_000))]))])).unwrap();
    drop(file);
    disk.flip(b"needle");
    let error = StateFile::on(disk, Path::new(NAME)).unwrap_err();
    assert!(matches!(&error, StateError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("the value \"k\" of a, actor \"x\" is not what was written"), "{error}");
}

/// The host is killed, or the power goes, at every write and sync in turn.
#[test]
fn a_file_of_format_1_whose_bringing_over_is_cut_off_has_all_that_it_had() {
    let mut seed = seed();
    for point in 0.. {
        let disk = Disk::default();
        let services = old(&disk);
        let cut_off = disk.copy();
        cut_off.fail_after(point, usize::MAX);
        let went_well = StateFile::on(cut_off.clone(), Path::new(NAME)).is_ok();
        for after in [cut_off.copy(), cut_off.after_power_cut(&mut seed)] {
            for (service, states) in &services {
                assert_eq!(on(&after).read(service).unwrap(), *states, "cut off at {point}");
            }
        }
        if went_well {
            assert!(point > 5, "{point}");
            break;
        }
    }
}

/// One of each of what the pages alone cannot tell.
#[test]
fn a_value_that_is_not_what_was_written_is_named() {
    let states = BTreeMap::from([("x".into(), kept(&[("j", "1"), ("k", "2")])), ("y".into(), kept(&[("k", "2")]))]);
    type Table<'a> = redb::Table<'a, (&'static str, &'static str, &'static str), &'static [u8]>;
    type Spoil = fn(&mut Table<'_>);
    fn of(table: &Table<'_>, actor: &str, key: &str) -> Vec<u8> {
        redb::ReadableTable::get(table, ("a", actor, key)).unwrap().unwrap().value().to_vec()
    }
    let spoils: [(Spoil, &str); 6] = [
        (
            |table| drop(table.insert(("a", "x", "=k"), &b"other, without its sum"[..]).unwrap()),
            "\"k\" of a, actor \"x\"",
        ),
        (|table| drop(table.insert(("a", "x", "=k"), &b"2"[..]).unwrap()), "\"k\" of a, actor \"x\""),
        // What stands at another place is whole, and not this one's.
        (
            |table| {
                let other = of(table, "y", "=k");
                table.insert(("a", "x", "=k"), &other[..]).unwrap();
            },
            "\"k\" of a, actor \"x\"",
        ),
        (|table| drop(table.remove(("a", "x", "=j")).unwrap()), "a, actor \"x\": it has 1 values, and had 2"),
        (|table| drop(table.remove(("a", "y", "")).unwrap()), "a, actor \"y\": it has 1 values, and had 0"),
        (
            |table| {
                let mut record = of(table, "y", "");
                record[0] ^= 1;
                table.insert(("a", "y", ""), &record[..]).unwrap();
            },
            "the record of a, actor \"y\"",
        ),
    ];
    for (spoil, named) in spoils {
        let disk = Disk::default();
        let file = on(&disk);
        file.replace("a", &states).unwrap();
        file.replace("other", &states).unwrap();
        drop(file);
        let database = redb::Database::builder().create_with_backend(disk.clone()).unwrap();
        let writing = database.begin_write().unwrap();
        spoil(&mut writing.open_table(super::layout::STATES_TABLE).unwrap());
        writing.commit().unwrap();
        drop(database);
        let file = on(&disk);
        let error = file.read("a").unwrap_err();
        assert!(matches!(&error, StateError::Damaged { .. }) && error.to_string().contains(named), "{error}");
        assert_eq!(file.read("other").unwrap(), states, "it is nobody else's");
    }
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
    assert_eq!(file.compact_past(before).unwrap(), None, "it is not worth it");
    assert_eq!(file.compact_past(before / 2).unwrap(), Some((before, size())));
    assert_eq!(file.compact_past(0).unwrap(), None, "it was done");
    assert!(size() < before / 4, "{} of {before} bytes are left", size());
}

/// A file of which a part is used, here and there.
fn with_holes() -> (Disk, BTreeMap<Box<str>, Kept>) {
    let disk = Disk::default();
    let file = on(&disk);
    let long = "x".repeat(3 << 10);
    let state = |keys: Range<u32>| {
        let values = keys.map(|key| (key.to_string().into(), Bytes::copy_from_slice(long.as_bytes())));
        BTreeMap::from([("".into(), Kept { values: values.collect(), commits: 1, schema: 0 })])
    };
    for service in 0..16 {
        file.replace(&service.to_string(), &state(0..20)).unwrap();
    }
    for service in 0..15 {
        file.replace(&service.to_string(), &BTreeMap::new()).unwrap();
    }
    let kept = state(7..20);
    file.replace("15", &kept).unwrap();
    drop(file);
    (disk, kept)
}

/// The host is killed, or the power goes, at every write and sync of a compaction in turn.
#[test]
fn a_compaction_that_is_cut_off_changes_no_state() {
    let mut seed = seed();
    let (disk, kept) = with_holes();
    let mut compacted = 0;
    for point in 0.. {
        let cut_off = disk.copy();
        let mut file = on(&cut_off);
        cut_off.fail_after(point, usize::MAX);
        let done = file.compact_past(0);
        let (killed, without_power) = (cut_off.copy(), cut_off.after_power_cut(&mut seed));
        for after in [killed, without_power] {
            let mut file = on(&after);
            assert_eq!(file.read("15").unwrap(), kept, "{point}");
            assert_eq!(file.services().unwrap(), ["15"], "{point}");
            compacted += u32::from(file.compact_past(0).unwrap().is_some());
            assert_eq!(file.read("15").unwrap(), kept, "{point}");
        }
        if let Ok(done) = done {
            let (before, after) = done.unwrap();
            assert!(after < before / 2, "{after} of {before}");
            break;
        }
    }
    assert!(compacted > 10, "what was cut off is done another time");
}

/// A compaction fails at every write and sync in turn, on a disk that forgets; the file is used then.
#[test]
fn a_compaction_that_fails_changes_no_state_and_is_in_nobodys_way() {
    let mut seed = seed();
    let (disk, kept) = with_holes();
    for failures in [1, 3] {
        for point in 0.. {
            let failing = disk.copy().that_forgets(seed);
            let mut file = on(&failing);
            failing.fail_after(point, failures);
            let done = file.compact_past(0);
            let has_failed = failing.heal();
            if done.is_ok() {
                assert_eq!(file.read("15").unwrap(), kept, "{point}");
                let after = on(&failing.after_power_cut(&mut seed));
                assert_eq!(after.read("15").unwrap(), kept, "{failures} failures from {point} on");
                file.replace("more", &kept).unwrap();
                let after = on(&failing.after_power_cut(&mut seed));
                assert_eq!(after.read("15").unwrap(), kept, "{failures} failures from {point} on");
                assert_eq!(after.read("more").unwrap(), kept, "{failures} failures from {point} on");
            }
            if !has_failed {
                break;
            }
        }
    }
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

/// It may be a layer of the host's that panics.
#[tokio::test]
async fn a_commit_whose_rest_panics_is_in_nobody_elses_way() {
    let disk = Disk::default();
    let (shelf_, journal) = shelf(on(&disk));
    let mut turn = Transaction::default();
    turn.set(&shelf_.state("a"), "k", Bytes::new(), 1 << 20).unwrap();
    // As an actor that is killed while it waits.
    let held = disk.hold();
    drop(shelf_.state("a").save(&mut turn, 1, 0, Box::new(|| panic!("over the rest"))).unwrap());
    drop(held);
    shelf_.settle().await;
    assert!(shelf_.state("a").was_saved(1), "it was committed before that");
    write(&shelf_.state("b"), 1).await.unwrap();
    journal.close().await;
    assert_eq!(on(&disk).read("counter").unwrap(), all(&shelf_));
}

/// Deletes a key, or makes a key, in a state and another one in the other, as one group or two.
async fn both(shelf: &Shelf, round: u64) -> [bool; 2] {
    let savings = ["a", "b"].map(|actor| {
        let state = shelf.state(actor);
        let mut turn = Transaction::default();
        turn.delete(&state, &(round - 1).to_string());
        turn.set(&state, &round.to_string(), Bytes::copy_from_slice(actor.as_bytes()), 1 << 20).unwrap();
        state.save(&mut turn, round, u32::try_from(round).unwrap(), Box::new(|| ())).unwrap()
    });
    let [a, b] = savings;
    [a.done().await.is_ok(), b.done().await.is_ok()]
}

fn all(shelf: &Shelf) -> BTreeMap<Box<str>, Kept> {
    let mut all = BTreeMap::new();
    shelf.each(|actor, state| drop(all.insert(actor.into(), state.dump())));
    // A state that nobody has written to is not on disk.
    all.retain(|_, kept| kept.commits > 0);
    all
}

/// At every write and sync in turn the disk fails, once or some times, with one state that was there before and two that were not.
#[tokio::test]
async fn a_commit_that_fails_never_was_and_the_next_one_goes_well_when_the_disk_does() {
    let mut seed = seed();
    for (failures, forgets) in [(1, false), (1, true), (2, true), (7, true), (usize::MAX, true)] {
        let mut point = 0;
        loop {
            let disk = if forgets { Disk::default().that_forgets(seed) } else { Disk::default() };
            let (shelf_, journal) = shelf(on(&disk));
            let state = shelf_.state("");
            write(&state, 1).await.unwrap();
            disk.fail_after(point, failures);
            let mut told = 1;
            for _ in 0..2 {
                told += u64::from(write(&state, told + 1).await.is_ok());
            }
            let expected = both(&shelf_, 1).await.map(u64::from);
            let has_failed = disk.heal();
            assert_eq!((number(&state.snapshot()), state.commits()), (told, told), "as it was told");
            assert_eq!(["a", "b"].map(|actor| shelf_.state(actor).commits()), expected, "as it was told");
            write(&state, told + 1).await.unwrap();
            let memory = all(&shelf_);
            assert_eq!(number(&memory[""].values), told + 1);
            // What the file has is what it would have if the power went now.
            let after = disk.after_power_cut(&mut seed);
            assert_eq!(on(&after).read("counter").unwrap(), memory, "{failures} failures from {point} on");
            assert_eq!(both(&shelf_, 2).await, [true; 2]);
            let memory = all(&shelf_);
            journal.close().await;
            assert_eq!(on(&disk).read("counter").unwrap(), memory, "{failures} failures from {point} on");
            if !has_failed {
                assert!(point > 20, "it went through all of the commits");
                break;
            }
            point += 1;
        }
    }
}

#[tokio::test]
async fn a_disk_that_failed_is_looked_at_now_and_then_and_meanwhile_commits_are_refused_at_once() {
    let disk = Disk::default();
    let (shelf_, journal) = shelf_with(on(&disk), |_| Duration::from_secs(3_600));
    let state = shelf_.state("");
    write(&state, 1).await.unwrap();
    disk.fail_after(0, usize::MAX);
    for _ in 0..3 {
        let refused = write(&state, 2).await;
        assert!(matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains(NAME)), "{refused:?}");
    }
    let asked = disk.asked();
    assert!(disk.heal());
    assert!(write(&state, 2).await.is_err() && disk.asked() == asked, "it is too soon");
    assert!(state.was_saved(1) && !state.was_saved(2));
    // Who must know what the disk has does not wait for that.
    assert_eq!(number(&journal.read("counter").await.unwrap().unwrap().states[""].kept.values), 1);
    write(&state, 2).await.unwrap();
    assert_eq!((number(&state.snapshot()), state.commits()), (2, 2));
}

#[tokio::test]
async fn the_file_is_let_go_of_when_nobody_has_a_way_to_it_also_after_a_commit_that_failed() {
    let disk = Disk::default();
    let (shelf_, journal) = shelf_with(on(&disk), |_| Duration::from_secs(3_600));
    disk.fail_after(0, usize::MAX);
    assert!(write(&shelf_.state(""), 1).await.is_err());
    let let_go = disk.let_go();
    drop((shelf_, journal));
    assert_eq!(let_go.recv_timeout(Duration::from_secs(30)), Err(RecvTimeoutError::Disconnected));
}

/// A commit that fails in its last step is on disk, and nobody commits any more.
#[tokio::test]
async fn what_a_failed_commit_left_on_disk_is_gone_when_the_file_is_closed() {
    let mut left = 0;
    for point in 0..40 {
        let disk = Disk::default();
        let (shelf_, journal) = shelf_with(on(&disk), |_| Duration::from_secs(3_600));
        let state = shelf_.state("");
        write(&state, 1).await.unwrap();
        // Enough for the look that follows at once.
        disk.fail_after(point, 2);
        if write(&state, 2).await.is_ok() {
            continue;
        }
        disk.heal();
        left += usize::from(number(&on(&disk.copy()).read("counter").unwrap()[""].values) == 2);
        journal.close().await;
        assert_eq!(number(&on(&disk).read("counter").unwrap()[""].values), 1);
    }
    assert!(left > 0, "none of them was there");
}

/// Sets a key to so many bytes, without looking at the room first, as a turn that others overtook.
fn unasked(state: &Arc<State>, key: &str, length: usize) -> Saving {
    let mut turn = Transaction::default();
    turn.writes.insert(key.into(), (length > 0).then(|| vec![0; length].into()));
    state.save(&mut turn, 1, 0, Box::new(|| ())).unwrap()
}

#[tokio::test]
async fn a_commit_for_which_there_is_no_room_is_refused_and_nothing_else_is() {
    let disk = Disk::default();
    let file = on(&disk);
    // What has left the topology counts.
    file.replace("gone", &BTreeMap::from([("".into(), kept(&[("ten", "1234567")]))])).unwrap();
    let (shelf_, journal) = shelf(file);
    let [a, b] = ["a", "b"].map(|actor| shelf_.state(actor));
    assert_eq!((journal.room().bytes(), journal.room().most()), (10, None));
    unasked(&a, "k", 99).done().await.unwrap();
    journal.room().set_most(Some(200));
    assert_eq!((journal.room().bytes(), journal.room().most()), (110, Some(200)));

    // A turn that asks is told at once, and may go on.
    let mut turn = Transaction::default();
    let too_much = turn.set(&b, "k", vec![0; 90].into(), 1_000);
    assert_eq!(too_much, Err(Full::Together { bytes: 201, most: 200 }), "10 and 100 are there");
    turn.set(&b, "k", vec![0; 89].into(), 1_000).unwrap();
    assert!(turn.set(&b, "l", Bytes::new(), 1_000).is_err(), "what the turn wrote itself counts");

    // Those of one group come after each other; the one that has no room is in nobody's way.
    let [first, second] = [unasked(&a, "k", 139), unasked(&b, "k", 59)];
    first.done().await.unwrap();
    let refused = second.done().await;
    assert!(
        matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains("210 bytes, and 200") && detail.contains("hint: ")),
        "{refused:?}"
    );
    assert!(b.is_empty() && journal.room().bytes() == 150);

    // Beneath what is there already: what makes it no larger goes on.
    journal.room().set_most(Some(20));
    assert!(unasked(&b, "k", 1).done().await.is_err());
    unasked(&a, "k", 139).done().await.unwrap();
    unasked(&a, "k", 100).done().await.unwrap();
    unasked(&a, "k", 0).done().await.unwrap();
    unasked(&b, "k", 9).done().await.unwrap();
    assert!(unasked(&b, "l", 9).done().await.is_err(), "20 is the most");

    // A commit that fails takes no room.
    disk.fail_after(0, usize::MAX);
    journal.room().set_most(None);
    assert!(unasked(&b, "l", 99).done().await.is_err() && journal.room().bytes() == 20);
    disk.heal();
    journal.close().await;
    let found = on(&disk);
    assert_eq!(found.bytes("counter").unwrap() + found.bytes("gone").unwrap(), 20);
}

#[test]
fn a_file_that_is_opened_anew_is_nobody_elses_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(folder.path()).unwrap();
    let states = BTreeMap::from([("".into(), kept(&[("k", "v")]))]);
    file.replace("a", &states).unwrap();
    file.reopen().unwrap();
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::InUse { .. })));
    assert_eq!(file.read("a").unwrap(), states);
    let path = StateFile::path(folder.path());
    std::fs::write(&path, "damaged").unwrap();
    assert!(file.reopen().is_err() && file.read("a").is_err());
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::InUse { .. })), "also where that fails");
    drop(file);
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::Damaged { .. })));
}

#[tokio::test]
async fn after_a_power_cut_what_was_acknowledged_is_there_and_nothing_by_halves() {
    let mut seed = seed();
    for round in 0..200 {
        let disk = Disk::default();
        let (shelf_, journal) = shelf(on(&disk));
        let state = shelf_.state("");
        disk.fail_after(random(&mut seed) % 60, usize::MAX);
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
