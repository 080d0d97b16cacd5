#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use crate::hint::Coded;
use std::fs;

use super::super::intent::{SetId, Step};
use super::*;

fn source(name: &str) -> Source {
    let published = Some(format!("{name}@1.0.0"));
    Source { published, component: name.into(), digest: "d".repeat(64), schema: 0, kept: None }
}

fn an_intent(after: u64) -> Intent {
    let step = Some(Step { strategy: "canary".to_owned(), step: 1, steps: 4 });
    let set = Some(SetId { first: "counter".to_owned(), after });
    Intent { after, live: source("old"), next: source("new"), step, set }
}

/// Writes an intent into its place as the version before did.
fn write(path: &Path, turn: u64, intent: &Intent) {
    let said = serde_json::to_string(intent).unwrap();
    let text = format!("{HEAD}{VERSION} {turn} {} {}\n{said}", said.len(), sum(path, VERSION, turn, &said));
    let mut bytes = fs::read(path).unwrap_or(vec![0; 2 * PLACE]);
    let place = usize::try_from(turn % 2).unwrap() * PLACE;
    bytes[place..place + PLACE].fill(0);
    bytes[place..place + text.len()].copy_from_slice(text.as_bytes());
    fs::write(path, bytes).unwrap();
    sealed::mark(path, turn + 1);
}

/// A record of a service whose deployments so many have ended of, as a version before wrote it.
fn record(format: u32, ended: u64) -> String {
    let source = |name: &str| serde_json::to_string(&source(name)).unwrap();
    let end = |number: u64| {
        let (from, to) = (source("old"), source("new"));
        format!("{{\"number\":{number},\"at\":\"then\",\"from\":{from},\"to\":{to},\"live\":true,\"reason\":null}}")
    };
    let history: Vec<String> = (1..=ended).map(end).collect();
    let (live, previous) = (source("new"), source("old"));
    let known = format!("\"live\":{live},\"previous\":{previous},\"ended\":{ended}");
    format!("{{\"format\":{format},{known},\"history\":[{}]}}", history.join(","))
}

fn read_all(data: &Path) -> Vec<String> {
    let (found, damaged) = read(data).unwrap();
    assert!(damaged.is_empty(), "{damaged:?}");
    found.iter().map(|(key, _)| key.to_string()).collect()
}

fn told(data: &Path) -> String {
    let (_, damaged) = read(data).unwrap();
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    let hint = damaged[0].hint().unwrap().to_string();
    assert!(hint.contains("remove it"), "{hint}");
    damaged[0].to_string()
}

#[test]
fn what_each_version_before_wrote_is_read_and_an_intent_that_is_over_is_not() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join(FOLDER);
    assert_eq!(read_all(data.path()), [""; 0]);
    fs::create_dir(&folder).unwrap();
    let (path, intent_path) = (folder.join("counter.json"), folder.join("counter.intent"));
    for format in FORMATS {
        fs::write(&path, record(format, 3)).unwrap();
        assert_eq!(read_all(data.path()), ["deployments/counter"; 3]);
    }
    for (after, is_under_way) in [(2, false), (3, true)] {
        write(&intent_path, after, &an_intent(after));
        let found = read_all(data.path());
        assert_eq!(found.contains(&"intents/counter".to_owned()), is_under_way, "{found:?}");
    }
    // Who removed the record meant what it was under way from as well.
    sealed::mark(&path, 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(read_all(data.path()), [""; 0]);
    write(&intent_path, 4, &an_intent(0));
    assert_eq!(read_all(data.path()), [""; 0]);
    fs::remove_file(sealed::mark_path(&path)).unwrap();
    assert_eq!(read_all(data.path()), ["intents/counter"], "it is its first one");
}

#[test]
fn a_record_that_makes_no_sense_is_told() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    let said = record(5, 3);
    for (what, with) in [
        ("\"format\":5", "\"format\":6"),
        ("\"format\":5", "\"format\":5,\"format\":5"),
        ("\"format\":5", "\"format\":5,\"colour\":1"),
        ("\"ended\":3", "\"ended\":\"3\""),
        ("\"ended\":3", "\"ended\":2"),
        ("\"ended\":3", "\"ended\":18446744073709551615"),
        ("\"ended\":3", "\"ended\":18446744073709551616"),
        ("\"number\":2", "\"number\":3"),
    ] {
        assert!(said.contains(what), "{said}");
        fs::write(folder.join("counter.json"), said.replacen(what, with, 1)).unwrap();
        assert!(told(data.path()).contains("counter.json"), "{with}");
    }
}

#[test]
fn an_intent_whose_last_write_was_torn_is_the_one_before() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    let path = folder.join("counter.intent");
    write(&path, 3, &an_intent(3));
    let before = fs::read(&path).unwrap();
    write(&path, 4, &an_intent(4));
    let after = fs::read(&path).unwrap();
    assert_eq!(intent(&path).unwrap(), Some(an_intent(4)));
    let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
    for cut in (0..changed.len()).step_by(7) {
        let mut bytes = before.clone();
        changed[..cut].iter().for_each(|at| bytes[*at] = after[*at]);
        fs::write(&path, bytes).unwrap();
        // It was synced, so it was not cut off.
        sealed::mark(&path, 5);
        assert!(told(data.path()).contains("counter.intent"));
        sealed::mark(&path, 4);
        assert_eq!(intent(&path).unwrap(), Some(an_intent(3)));
    }
}

#[test]
fn an_intent_of_another_service_is_damage_and_one_of_the_first_version_is_read() {
    let data = tempfile::tempdir().unwrap();
    let (path, other) = (data.path().join("counter.intent"), data.path().join("other.intent"));
    write(&path, 0, &an_intent(0));
    write(&other, 0, &an_intent(0));
    fs::copy(&other, &path).unwrap();
    assert!(matches!(intent(&path), Err(Unsound::Damaged(_))));
    let said = serde_json::to_string(&an_intent(7)).unwrap();
    let old = |turn: u64, said: &str| {
        let sum = Digest::of(format!("{turn} {said}").as_bytes());
        fs::write(&other, format!("airssys intent 1 {turn} {} {sum}\n{said}", said.len())).unwrap();
        intent(&other)
    };
    assert_eq!(old(5, &said).unwrap(), Some(an_intent(7)));
    let strange = said.replacen("{\"after\"", "{\"colour\":1,\"after\"", 1);
    for (turn, said) in [(6, &*strange), (u64::MAX, &*said), (u64::MAX - 1, &*said)] {
        assert!(matches!(old(turn, said), Err(Unsound::Damaged(_))), "{turn} {said}");
    }
}
