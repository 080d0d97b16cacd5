#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use super::*;
use crate::hint::Coded;
use crate::topology::Topology;

/// What an earlier version leaves: one service deployed twice, a topology, and a service that is stopped. Without sums,
/// as still earlier ones wrote it.
fn earlier(data: &Path) {
    let source = |name: &str| {
        format!("{{\"published\":\"{name}@1.0.0\",\"component\":\"{name}\",\"digest\":\"{name}\",\"schema\":0}}")
    };
    let end = |number: u32, from: &str, to: &str| {
        let (from, to) = (source(from), source(to));
        format!("{{\"number\":{number},\"at\":\"then\",\"from\":{from},\"to\":{to},\"live\":true,\"reason\":null}}")
    };
    let topology = Topology::new("old").to_text().unwrap();
    for (path, text) in [
        (
            "deployments/counter.json",
            format!(
                "{{\"format\":5,\"live\":{},\"previous\":{},\"ended\":2,\"history\":[{},{}]}}",
                source("two"),
                source("one"),
                end(1, "zero", "one"),
                end(2, "one", "two")
            ),
        ),
        (
            "topology/in-force.json",
            format!(
                "{{\"format\":1,\"since\":\"then\",\"topology\":{topology:?},\"running\":true,\"next\":null,\"unsettled\":[]}}"
            ),
        ),
        ("topology/stopped.json", "{\"format\":1,\n \"stopped\":{\"echo\":\"then\"}}".to_owned()),
    ] {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        sealed::mark(&path, 0);
    }
}

fn all(log: &Log) -> BTreeMap<String, Vec<String>> {
    log.keys().iter().map(|key| (key.to_string(), log.said(key))).collect()
}

/// The files of a data folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_in(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn wherever_taking_over_is_cut_off_all_that_was_written_down_counts_and_nothing_twice() {
    let whole = tempfile::tempdir().unwrap();
    earlier(whole.path());
    let expected = all(&read(whole.path()).unwrap());
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(names, ["deployments/counter", "stopped", "topology"]);
    assert_eq!(expected["deployments/counter"].len(), 2);
    let old = files_in(whole.path());
    assert_eq!(old.len(), 6);
    // Before it begins; when so many of the old files are gone; when only the new one has not its name yet; and when
    // all is done.
    for cut in 0..old.len() + 3 {
        let data = tempfile::tempdir().unwrap();
        earlier(data.path());
        let path = Log::path(data.path());
        if cut > 0 {
            read(data.path()).unwrap().write_to(&path.with_file_name(TAKING_OVER)).unwrap();
            for file in old.iter().take(cut - 1) {
                fs::remove_file(data.path().join(file.strip_prefix(whole.path()).unwrap())).unwrap();
            }
        }
        if cut == old.len() + 2 {
            ["deployments", "topology"].iter().for_each(|folder| fs::remove_dir(data.path().join(folder)).unwrap());
            fs::rename(path.with_file_name(TAKING_OVER), &path).unwrap();
        }
        let before = files_in(data.path());
        assert_eq!(all(&read(data.path()).unwrap()), expected, "{cut}");
        assert_eq!(files_in(data.path()), before, "to look is not to change");
        for _ in 0..2 {
            assert_eq!(all(&take_over(data.path()).unwrap()), expected, "{cut}");
            assert_eq!(files_in(data.path()), std::slice::from_ref(&path), "{cut}");
        }
        assert!(!data.path().join("deployments").exists() && !data.path().join("topology").exists());
        take_over(data.path()).unwrap().add(Key::Stopped, &"none").unwrap();
        assert_eq!(read(data.path()).unwrap().said(&Key::Stopped), ["\"none\""]);
    }
}

#[test]
fn what_an_earlier_version_wrote_and_is_damaged_is_not_taken_over() {
    for (file, name) in [
        ("deployments/counter.json", "counter.json"),
        ("topology/in-force.json", "in-force.json"),
        ("topology/stopped.json", "stopped.json"),
    ] {
        let data = tempfile::tempdir().unwrap();
        earlier(data.path());
        fs::write(data.path().join(file), "{").unwrap();
        let before = files_in(data.path());
        let told = take_over(data.path()).unwrap_err();
        let hint = told.hint().unwrap().to_string();
        assert!(told.to_string().contains(name) && hint.contains("or remove it"), "{told}; {hint}");
        assert_eq!(files_in(data.path()), before);
        // What the hint says to do; the mark stays there, and says nothing.
        fs::remove_file(data.path().join(file)).unwrap();
        assert_eq!(take_over(data.path()).unwrap().keys().len(), 2);
    }
}

#[test]
fn an_earlier_version_that_has_the_folder_again_is_told() {
    let data = tempfile::tempdir().unwrap();
    earlier(data.path());
    let expected = all(&take_over(data.path()).unwrap());
    earlier(data.path());
    let told = take_over(data.path()).unwrap_err();
    assert!(matches!(told, RecordError::Twice { .. }) && told.to_string().contains("counter.json"), "{told}");
    fs::remove_dir_all(data.path().join("deployments")).unwrap();
    fs::remove_dir_all(data.path().join("topology")).unwrap();
    assert_eq!(all(&take_over(data.path()).unwrap()), expected);
}

#[test]
fn nothing_is_made_where_nothing_was_written_down() {
    let data = tempfile::tempdir().unwrap();
    assert!(take_over(data.path()).unwrap().keys().is_empty());
    forget(data.path()).unwrap();
    assert_eq!(files_in(data.path()), [""; 0].map(PathBuf::from));
    earlier(data.path());
    fs::write(data.path().join("topology/in-force.json"), "{").unwrap();
    fs::write(data.path().join("deployments/counter.json"), "{").unwrap();
    forget(data.path()).unwrap();
    assert_eq!(take_over(data.path()).unwrap().keys(), [Key::Stopped], "what was stopped stays stopped");
}
