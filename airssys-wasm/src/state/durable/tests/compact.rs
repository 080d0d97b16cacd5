//! Room that is given back.

use super::*;

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
fn with_holes() -> (Disk, BTreeMap<Box<str>, KeptState>) {
    let disk = Disk::default();
    let file = on(&disk);
    let long = "x".repeat(3 << 10);
    let state = |keys: Range<u32>| {
        let values = keys.map(|key| (key.to_string().into(), Bytes::copy_from_slice(long.as_bytes())));
        BTreeMap::from([("".into(), KeptState { values: values.collect(), commits: 1, schema: 0 })])
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
