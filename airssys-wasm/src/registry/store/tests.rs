#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use semver::Version;
use tempfile::TempDir;

use super::{Published, Store, doomed};
use crate::config_file::Source;
use crate::hint::Coded;
use crate::registry::{Digest, Draft, Manifest, Record, Seal, SecretKey, StoreError};

/// What an error says, and what it says to do.
fn told(error: &StoreError) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; hint: {hint}"))
}

fn draft(name: &str, version: &str, binary: &str) -> Draft {
    let text = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    let seal =
        Seal { binary: Digest::of(binary.as_bytes()), manifest: Digest::of(text.as_bytes()), signatures: Vec::new() };
    let manifest = Manifest::of_source(&Source::of_text("Component.toml", &text)).unwrap();
    Draft { binary: binary.into(), text, manifest, seal, parts: Vec::new() }
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn publish(store: &Store, name: &str, version: &str, binary: &str) -> Record {
    match store.publish(&draft(name, version, binary)).unwrap() {
        (record, Published::New) => record,
        other => panic!("{other:?}"),
    }
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn unused(_: &str, _: &Version) -> bool {
    false
}

fn listed(store: &Store) -> Vec<String> {
    store.releases().unwrap().iter().map(|record| record.as_ref().unwrap().to_string()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Writes over a file that nobody is meant to write to.
fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_published_is_found_as_it_was() {
    let (folder, store) = store();
    assert!(listed(&store).is_empty());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "looking makes nothing");
    publish(&store, "a", "1.10.0", "new");
    publish(&store, "a", "1.9.0", "old");
    publish(&store, "a", "2.0.0-rc.1", "next");
    publish(&store, "b", "0.1.0-beta", "other");
    assert_eq!(listed(&store), ["a@1.9.0", "a@1.10.0", "a@2.0.0-rc.1", "b@0.1.0-beta"]);

    for (text, binary) in [("a", "new"), ("a@1.9.0", "old"), ("a@2.0.0-rc.1", "next"), ("b", "other")] {
        let release = store.resolve(text).unwrap();
        assert_eq!(fs::read(&release.component).unwrap(), binary.as_bytes(), "{text}");
        assert_eq!(fs::metadata(&release.component).unwrap().permissions().mode() & 0o222, 0);
    }
    let known = told(&store.resolve("a@1.0.0").unwrap_err());
    assert!(known.contains("no release a@1.0.0") && known.contains("a@1.9.0, a@1.10.0"), "{known}");
    let known = told(&store.resolve("c").unwrap_err());
    assert!(known.contains("there is a, b"), "{known}");
    assert!(matches!(store.resolve("a@one"), Err(StoreError::Reference { .. })));
}

#[test]
fn the_same_again_does_nothing_and_anything_else_is_refused() {
    let (folder, store) = store();
    let first = publish(&store, "a", "1.0.0", "binary");
    let before = files(folder.path());
    assert_eq!(store.publish(&draft("a", "1.0.0", "binary")).unwrap(), (first.clone(), Published::Already));
    assert_eq!(files(folder.path()), before);

    let said = store.publish(&draft("a", "1.0.0", "other")).unwrap_err().to_string();
    for part in ["a@1.0.0", "the binary", &Digest::of(b"binary").to_string(), &Digest::of(b"other").to_string()] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let mut other = draft("a", "1.0.0", "binary");
    other.text.push_str("description = \"other\"\n");
    other.seal.manifest = Digest::of(other.text.as_bytes());
    assert_ne!(other.seal.id(), first.id());
    let refused = store.publish(&other);
    assert!(matches!(refused, Err(StoreError::Differs { what: "the manifest", .. })), "{refused:?}");
    assert_eq!(files(folder.path()), before);
    // Its binary may serve another version; there is one blob for both.
    publish(&store, "a", "1.0.1", "binary");
    assert_eq!(files(folder.path()).len(), before.len() + 2);
}

#[test]
fn a_signature_can_be_added_later_and_a_false_one_is_found() {
    let (folder, store) = store();
    publish(&store, "a", "1.0.0", "binary");
    let key = SecretKey::generate().unwrap();
    let mut signed = draft("a", "1.0.0", "binary");
    signed.sign(&key);
    signed.sign(&key);
    let (record, Published::Signed) = store.publish(&signed).unwrap() else { panic!("not signed") };
    assert_eq!(record.signatures.len(), 1);
    assert!(matches!(store.publish(&signed).unwrap(), (_, Published::Already)));
    assert!(matches!(store.publish(&draft("a", "1.0.0", "binary")).unwrap(), (_, Published::Already)));
    let release = store.resolve("a").unwrap();
    assert_eq!(crate::registry::verify(&release, &[key.public()]), Ok(key.public()));

    // A record that somebody made up: its own digest is right.
    let mut forged = record;
    forged.signatures = vec![key.sign(&draft("b", "1.0.0", "binary").seal)];
    fs::write(folder.path().join("releases/index/a/1.0.0.json"), forged.to_bytes().unwrap()).unwrap();
    let said = store.resolve("a").unwrap_err().to_string();
    assert!(said.contains("a@1.0.0 is damaged") && said.contains("signature"), "{said}");
}

#[test]
fn damage_is_named_and_never_given_out() {
    let (folder, store) = store();
    let record = publish(&store, "a", "1.0.0", "binary");
    publish(&store, "b", "1.0.0", "whole");
    let blobs = folder.path().join("releases/blobs/sha256");
    for digest in [record.binary, record.manifest] {
        let blob = blobs.join(digest.to_string());
        for damage in [|bytes: &mut Vec<u8>| bytes[0] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(3), Vec::clear] {
            overwrite(&blob, damage);
            let said = told(&store.resolve("a").unwrap_err());
            for part in ["a@1.0.0 is damaged", &digest.to_string(), "has the digest", "publish a@1.0.0 again"] {
                assert!(said.contains(part), "no {part} in {said}");
            }
            assert!(matches!(store.publish(&draft("a", "1.0.0", "binary")).unwrap(), (_, Published::Mended)));
            assert!(store.resolve("a").is_ok());
        }
        fs::remove_file(&blob).unwrap();
        assert!(store.resolve("a").unwrap_err().to_string().contains("is not there"));
        assert!(matches!(store.publish(&draft("a", "1.0.0", "binary")).unwrap(), (_, Published::Mended)));
    }
    assert!(store.resolve("b").is_ok());
}

#[test]
fn a_damaged_record_hides_nothing_else_and_can_be_removed() {
    let (folder, store) = store();
    let record = folder.path().join("releases/index/a/1.0.0.json");
    publish(&store, "b", "1.0.0", "whole");
    for damage in [
        |bytes: &mut Vec<u8>| bytes.truncate(20),
        |bytes: &mut Vec<u8>| bytes.clear(),
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"size_bytes\":6", "\"size_bytes\":7").into_bytes();
        },
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"name\":\"a\"", "\"name\":\"b\"").into_bytes();
        },
        // A field that is not known, one that stands there twice, and numbers out of range.
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"name\":\"a\"", "\"name\":\"a\",\"colour\":1").into_bytes();
        },
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"name\":\"a\"", "\"name\":\"a\",\"name\":\"a\"").into_bytes();
        },
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"size_bytes\":6", "\"size_bytes\":18446744073709551622").into_bytes();
        },
        |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            *bytes = text.replace("\"format\":1", "\"format\":4294967297").into_bytes();
        },
    ] {
        publish(&store, "a", "1.0.0", "binary");
        overwrite(&record, damage);
        let listing = store.releases().unwrap();
        let (whole, damaged): (Vec<_>, Vec<_>) = listing.iter().partition(|record| record.is_ok());
        assert_eq!((whole.len(), damaged.len()), (1, 1));
        for said in [
            damaged[0].as_ref().unwrap_err(),
            &store.resolve("a").unwrap_err(),
            &store.publish(&draft("a", "1.0.0", "binary")).unwrap_err(),
        ] {
            let said = told(said);
            assert!(said.contains("a@1.0.0 is damaged") && said.contains("remove a@1.0.0"), "{said}");
        }
        publish(&store, "b", "2.0.0", "meanwhile");
        store.remove("b", &version("2.0.0"), unused).unwrap();
        store.remove("a", &version("1.0.0"), unused).unwrap();
    }
    assert_eq!(listed(&store), ["b@1.0.0"]);
    assert_eq!(files(folder.path()).len(), 4, "two blobs, a record, the lock");
}

#[test]
fn a_newer_format_is_not_misread() {
    let (folder, store) = store();
    publish(&store, "a", "1.0.0", "binary");
    let record = folder.path().join("releases/index/a/1.0.0.json");
    fs::write(&record, "{\"format\":3,\"colour\":\"blue\"}").unwrap();
    let said = store.resolve("a").unwrap_err().to_string();
    assert!(said.contains("has the format 3, and this airssys knows 2"), "{said}");
    assert!(matches!(store.publish(&draft("a", "1.0.0", "binary")), Err(StoreError::NewerFormat { .. })));
    assert!(matches!(store.remove("a", &version("1.0.0"), unused), Err(StoreError::NewerFormat { .. })));
    // It may name any blob: none goes.
    publish(&store, "b", "1.0.0", "other");
    assert_eq!(folder.path().join("releases/blobs/sha256").read_dir().unwrap().count(), 4);
}

#[test]
fn what_killed_writers_left_is_swept_and_nothing_else() {
    let (folder, store) = store();
    publish(&store, "a", "1.0.0", "binary");
    let releases = folder.path().join("releases");
    let whole = files(folder.path());
    let orphan = releases.join("blobs/sha256").join(Digest::of(b"orphan").to_string());
    for left in [
        orphan,
        releases.join("blobs/sha256/.unfinished-aB3"),
        releases.join("index/a/.unfinished-aB3"),
        releases.join("index/b/.unfinished-aB3"),
    ] {
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(left, "orphan").unwrap();
    }
    fs::create_dir(releases.join("index/c")).unwrap();
    assert_eq!(listed(&store), ["a@1.0.0"], "none of it is a release");
    let _already = store.publish(&draft("a", "1.0.0", "binary")).unwrap();
    assert_eq!(files(folder.path()), whole);
    assert_eq!(releases.join("index").read_dir().unwrap().count(), 1);
}

#[test]
fn what_is_in_use_is_not_removed() {
    let (_folder, store) = store();
    publish(&store, "a", "1.0.0", "one");
    publish(&store, "a", "2.0.0", "two");
    let refused = store.remove("a", &version("1.0.0"), |name, version| name == "a" && version.major == 1);
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    let refused = store.remove("a", &version("3.0.0"), unused);
    assert!(matches!(refused, Err(StoreError::NoSuchRelease { .. })), "{refused:?}");

    let held = store.resolve("a@2.0.0").unwrap().hold().unwrap();
    let refused = store.remove("a", &version("2.0.0"), unused);
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    assert!(store.retention(0, Duration::ZERO, |_, version| version.major == 1).unwrap().is_empty());
    drop(held);
    store.remove("a", &version("2.0.0"), unused).unwrap();
    assert_eq!(listed(&store), ["a@1.0.0"]);
}

#[test]
fn retention_keeps_the_newest_the_young_and_the_live() {
    let (folder, store) = store();
    for version in ["1.0.0", "1.1.0", "1.2.0", "2.0.0", "3.0.0-rc.1"] {
        publish(&store, "a", version, version);
    }
    publish(&store, "b", "0.1.0", "b");
    let names = |records: &[Record]| -> Vec<String> { records.iter().map(|record| record.to_string()).collect() };
    assert!(store.retention(1, Duration::from_secs(3600), unused).unwrap().is_empty(), "all are young");
    let removed = store.retention(2, Duration::ZERO, |_, version| *version == "1.0.0".parse().unwrap()).unwrap();
    assert_eq!(names(&removed), ["a@1.1.0", "a@3.0.0-rc.1"]);
    assert_eq!(listed(&store), ["a@1.0.0", "a@1.2.0", "a@2.0.0", "b@0.1.0"]);
    assert_eq!(files(folder.path()).len(), 4 * 3 + 1, "their blobs are gone");

    // By the clock: one a day old, one of this hour, one of tomorrow.
    let now = SystemTime::now();
    let mut records: Vec<Record> = store.releases().unwrap().into_iter().flatten().collect();
    let hour = 3_600_000;
    records[0].published_ms -= 24 * hour;
    records[1].published_ms -= hour / 2;
    records[2].published_ms += 24 * hour;
    let doomed = doomed(records, 0, Duration::from_secs(3600), now, |name, _| name == "b");
    assert_eq!(names(&doomed), ["a@1.0.0"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = told(&Store::open(&file).unwrap_err());
    assert!(said.contains("file/releases") && said.contains("hint: name a data folder"), "{said}");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/releases"), "").unwrap();
    assert!(Store::open(&folder.path().join("data")).is_err());
}

#[test]
fn changes_wait_for_each_other() {
    let (folder, store) = store();
    publish(&store, "a", "1.0.0", "binary");
    let lock = File::open(folder.path().join("releases/lock")).unwrap();
    lock.lock().unwrap();
    let other = std::thread::spawn({
        let store = store.clone();
        move || store.publish(&draft("a", "2.0.0", "binary")).map(|(record, _new)| record)
    });
    // Readers do not.
    assert_eq!(listed(&store), ["a@1.0.0"]);
    drop(lock);
    assert!(other.join().unwrap().is_ok());
    assert_eq!(listed(&store), ["a@1.0.0", "a@2.0.0"]);
}
