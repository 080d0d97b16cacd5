#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::collections::BTreeSet;
use std::fs;

use super::*;

const SERVICE: &str = "counter";

fn end() -> Key {
    Key::End(SERVICE.to_owned())
}

fn intent() -> Key {
    Key::Intent(SERVICE.to_owned())
}

/// The file of a data folder; it is made with the first record.
fn open(data: &Path) -> Log {
    let path = Log::path(data);
    Log::read(&path).unwrap().unwrap_or_else(|| Log::new(&path, []))
}

/// All that counts, by name.
fn all(log: &Log) -> Vec<(String, Vec<String>)> {
    log.keys().iter().map(|key| (key.to_string(), log.said(key))).collect()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn what_is_added_is_there_and_the_last_one_counts() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    assert!(log.keys().is_empty() && !Log::path(data.path()).exists(), "to look is not to make");
    for number in 0..250 {
        log.add(Key::Topology, &number).unwrap();
        log.add(intent(), &number).unwrap();
        let again = open(data.path());
        assert_eq!((all(&again), again.damage(), again.gaps()), (all(&log), Vec::new(), Vec::new()), "{number}");
        assert_eq!(again.said(&intent()), [number.to_string()]);
        log.add(end(), &number).unwrap();
        assert_eq!(open(data.path()).said(&intent()), [""; 0], "it is over");
    }
    let ends: Vec<String> = (150..250).map(|number: u32| number.to_string()).collect();
    assert_eq!((log.said(&end()), log.said(&Key::Topology)), (ends, vec!["249".to_owned()]));
    // What nobody needs any more is not kept.
    assert!(fs::metadata(Log::path(data.path())).unwrap().len() < 200 << 10);
    assert!(log.forget(|of| of == Some(&end())).unwrap() && !log.forget(|of| of == Some(&end())).unwrap());
    assert_eq!(all(&open(data.path())), [("topology".to_owned(), vec!["249".to_owned()])]);
    assert!(log.forget(|_| true).unwrap());
    assert!(!Log::path(data.path()).exists() && open(data.path()).keys().is_empty());
    // Numbers are counted on from there, or an older copy would not be noticed.
    log.add(Key::Stopped, &1).unwrap();
    assert_eq!((all(&open(data.path())), open(data.path()).damage()), (all(&log), Vec::new()));
}

/// A disk may have written any of the pages of a record that was cut off, and any part of each.
#[test]
fn a_record_that_is_torn_anywhere_is_not_there_and_all_before_it_are() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    let log = open(data.path());
    log.add(Key::Topology, &"one").unwrap();
    log.add(Key::Stopped, &"two").unwrap();
    let (before, known) = (fs::read(&path).unwrap(), sealed::marked(&path).unwrap());
    log.add(Key::Topology, &"x".repeat(9_000)).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(before.len(), after.len(), "its length does not change");
    let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
    let (from, to) = (changed[0], changed[changed.len() - 1] + 1);
    assert_eq!(from % PAGE, 0, "no page of another record is touched");
    let cuts = (from..to).step_by(97).chain([to - 1]);
    let torn = cuts.flat_map(|cut| {
        let (mut front, mut back) = (before.clone(), after.clone());
        front[from..cut].copy_from_slice(&after[from..cut]);
        back[from..=cut].copy_from_slice(&before[from..=cut]);
        [front, back]
    });
    for bytes in torn {
        fs::write(&path, &bytes).unwrap();
        // It was synced, so it was not cut off.
        sealed::mark(&path, known + 1);
        assert!(!open(data.path()).damage().is_empty());
        sealed::mark(&path, known);
        let found = open(data.path());
        assert_eq!((found.damage(), found.said(&Key::Topology)), (Vec::new(), vec!["\"one\"".to_owned()]));
        // The next one takes its place, whatever is left there.
        found.add(Key::Topology, &"three").unwrap();
        let found = open(data.path());
        assert_eq!((found.damage(), found.said(&Key::Topology)), (Vec::new(), vec!["\"three\"".to_owned()]));
        assert_eq!(found.said(&Key::Stopped), ["\"two\""]);
    }
}

#[test]
fn a_damaged_record_is_named_and_the_others_are_read() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    let log = open(data.path());
    for (key, value) in [(Key::Stopped, "a"), (Key::Topology, "b"), (end(), "c"), (intent(), "d"), (end(), "e")] {
        log.add(key, &value).unwrap();
    }
    let (whole, expected) = (fs::read(&path).unwrap(), all(&log));
    let mut told = BTreeSet::new();
    for at in (0..whole.len()).filter(|at| whole[*at] != 0) {
        for bit in [0, 7] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let found = open(data.path());
            let (damage, gaps) = (found.damage(), found.gaps());
            let missing: Vec<String> =
                expected.iter().filter(|known| !all(&found).contains(known)).map(|(key, _)| key.clone()).collect();
            match &damage[..] {
                // Nothing counted, or only the history has a gap.
                [] if gaps.is_empty() => assert_eq!(missing, [""; 0], "{at} {bit}"),
                [] => assert_eq!((gaps, missing), (vec![(SERVICE.to_owned(), 1)], vec![end().to_string()]), "{at}"),
                [Some(of)] => assert!(missing.iter().all(|missing| *missing == of.to_string()), "{at}: {missing:?}"),
                [None] => assert!(missing.len() <= 1, "{at} {bit}: {missing:?}"),
                more => panic!("{at} {bit}: {more:?}"),
            }
            told.extend(damage.iter().map(|of| of.as_ref().map_or("unknown".to_owned(), Key::to_string)));
            told.extend(damage.is_empty().then(|| "as it was".to_owned()));
        }
    }
    assert_eq!(told, ["as it was", "deployments/counter", "stopped", "topology", "unknown"].map(str::to_owned).into());
}

#[test]
fn what_is_damaged_stays_known_until_it_is_forgotten_or_written_again() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    let flip = |needle: &str| {
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(needle.len()).rposition(|found| found == needle.as_bytes()).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    let log = open(data.path());
    log.add(Key::Topology, &"the topology").unwrap();
    log.add(Key::Stopped, &"the stopped").unwrap();
    log.add(end(), &"the end").unwrap();
    flip("the topology");
    flip("the stopped");
    let log = open(data.path());
    assert_eq!(log.damage(), [Some(Key::Topology), Some(Key::Stopped)]);
    // It is, also in a file that was written anew.
    assert!(log.forget(|of| of == Some(&Key::Stopped)).unwrap());
    let log = open(data.path());
    assert_eq!(log.damage(), [Some(Key::Topology)]);
    log.add(Key::Topology, &"another one").unwrap();
    assert_eq!(
        (open(data.path()).damage(), open(data.path()).said(&end())),
        (Vec::new(), vec!["\"the end\"".to_owned()])
    );
    // The last record cannot be read at all, and there is none after it that says what it was of.
    flip(" topology ");
    let log = open(data.path());
    assert_eq!(log.damage(), [None, Some(Key::Topology)], "and the one before it was damaged as well");
    assert!(log.forget(|of| of.is_none()).unwrap());
    assert_eq!(open(data.path()).damage(), [Some(Key::Topology)]);
    assert!(open(data.path()).forget(|of| of == Some(&Key::Topology)).unwrap());
    assert_eq!((open(data.path()).damage(), open(data.path()).keys()), (Vec::new(), vec![end()]));
}

#[test]
fn an_older_copy_and_pieces_of_an_older_file_are_told_or_do_no_harm() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    let log = open(data.path());
    let mut olds = Vec::new();
    for number in 0..30 {
        log.add(Key::Topology, &format!("{number} {}", "x".repeat(3_000))).unwrap();
        log.add(Key::Stopped, &number).unwrap();
        olds.push(fs::read(&path).unwrap());
    }
    let (whole, expected) = (olds.pop().unwrap(), all(&log));
    for old in &olds {
        fs::write(&path, old).unwrap();
        let told = open(data.path()).lost(None);
        assert_eq!(open(data.path()).damage(), [None]);
        assert!(told.contains("an older copy") && told.contains("records.mark"), "{told}");
        for page in (0..whole.len().min(old.len())).step_by(PAGE) {
            let mut bytes = whole.clone();
            bytes[page..page + PAGE].copy_from_slice(&old[page..page + PAGE]);
            fs::write(&path, &bytes).unwrap();
            let found = open(data.path());
            assert!(!found.damage().is_empty() || all(&found) == expected, "{page}");
        }
    }
    // Whoever put it back on purpose says so by removing the mark.
    fs::write(&path, &olds[0]).unwrap();
    fs::remove_file(sealed::mark_path(&path)).unwrap();
    assert_eq!((open(data.path()).damage(), open(data.path()).said(&Key::Stopped)), (Vec::new(), vec!["0".to_owned()]));
}

#[test]
fn a_host_goes_on_where_its_file_was_moved_and_says_so_where_it_cannot() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    let log = open(data.path());
    log.add(Key::Topology, &1).unwrap();
    log.add(Key::Stopped, &2).unwrap();
    let known = inode(&path);
    log.add(Key::Stopped, &3).unwrap();
    assert_eq!(inode(&path), known, "it is added to");
    // All of it, and not only what comes after.
    fs::rename(&path, path.with_file_name("moved")).unwrap();
    log.add(Key::Stopped, &4).unwrap();
    assert_eq!(all(&open(data.path())), all(&log));
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("something")).unwrap();
    let error = log.add(Key::Stopped, &5).unwrap_err();
    assert!(error.to_string().contains("desired/records"), "{error}");
    assert_eq!(log.said(&Key::Stopped), ["4"], "it does not count");
    fs::remove_dir_all(&path).unwrap();
    log.add(end(), &6).unwrap();
    assert_eq!((all(&open(data.path())), log.said(&Key::Stopped)), (all(&log), vec!["4".to_owned()]));
}

#[test]
fn what_a_later_version_wrote_is_refused_and_what_is_no_such_file_is_damage() {
    let data = tempfile::tempdir().unwrap();
    let path = Log::path(data.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "airssys 2 something else\n").unwrap();
    let error = Log::read(&path).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: 2, known: 1, .. }), "{error}");
    for text in ["", "\n", "airssys", "airssys 1 \n", "airssys 1 1-1 1 - topology lost 0 \n"] {
        fs::write(&path, text).unwrap();
        assert_eq!(open(data.path()).damage(), [None], "{text:?}");
    }
}
