//! The file: what is put there is read, and what is damaged or too new is told.

use super::super::layout;
use super::*;

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
fn a_file_that_a_host_was_killed_over_while_it_made_it_is_made_anew() {
    let mut seed = seed();
    let mut unfinished = 0;
    for left in 0..200 {
        let disk = Disk::default();
        disk.fail_after(left, usize::MAX);
        let made = StateFile::on(disk.clone(), Path::new(NAME));
        // Killed, and the power with it or not.
        for after in [disk.copy(), disk.after_power_cut(&mut seed)] {
            let file = StateFile::on(after, Path::new(NAME)).unwrap_or_else(|error| panic!("step {left}: {error}"));
            file.replace("a", &BTreeMap::from([("".into(), kept(&[("k", "v")]))])).unwrap();
        }
        if made.is_ok() {
            break;
        }
        unfinished += 1;
    }
    assert!((5..199).contains(&unfinished), "{unfinished}");
}

/// What nobody but a person can decide about stays as it is.
#[test]
fn a_file_without_its_first_word_that_has_more_than_a_head_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    drop(StateFile::open(folder.path()).unwrap());
    let path = StateFile::path(folder.path());
    std::fs::remove_file(path.with_extension("mark")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..9].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(StateFile::open(folder.path()), Err(StateError::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// As a dump may have it that somebody wrote by hand.
#[test]
fn a_state_with_values_keeps_its_schema_whatever_is_said_of_its_commits() {
    let file = on(&Disk::default());
    let states = [("full", kept(&[("k", "v")])), ("empty", kept(&[]))];
    let states = states.map(|(actor, kept)| (actor.into(), KeptState { commits: 0, ..kept }));
    file.replace("a", &states.into()).unwrap();
    let full = KeptState { commits: 1, ..kept(&[("k", "v")]) };
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

/// Three states of two services, as format 1 had them.
fn old(disk: &Disk) -> [(&'static str, BTreeMap<Box<str>, KeptState>); 2] {
    let a = BTreeMap::from([(Box::from(""), kept(&[("", "1"), ("=", "2")])), ("b".into(), kept(&[]))]);
    let services = [("a", a), ("ab", BTreeMap::from([(Box::from("c"), kept(&[("k", "4")]))]))];
    let database = redb::Database::builder().create_with_backend(disk.clone()).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(layout::ABOUT_TABLE).unwrap().insert("format", 1).unwrap();
    {
        let mut table = writing.open_table(layout::OLD_STATES_TABLE).unwrap();
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
        spoil(&mut writing.open_table(layout::STATES_TABLE).unwrap());
        writing.commit().unwrap();
        drop(database);
        let file = on(&disk);
        let error = file.read("a").unwrap_err();
        assert!(matches!(&error, StateError::Damaged { .. }) && error.to_string().contains(named), "{error}");
        assert_eq!(file.read("other").unwrap(), states, "it is nobody else's");
    }
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

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = StateFile::open(&file).unwrap_err();
    assert!(matches!(error, StateError::File { what: "make", .. }), "{error}");
}
