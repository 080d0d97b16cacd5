//! The rights in a granted folder, each by itself: each function of WASI needs those that it needs and no others, what
//! is refused is refused by its type, told once, and happens nowhere.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use airssys_tests::{Mesh, PATIENCE, guest};
use airssys_wasm::Runtime;
use airssys_wasm::command::{Granted, Unused};
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::events::{Happening, Heard, Kind, Subscription};
use serde_json::{Value, json};
use tempfile::TempDir;

const RIGHTS: [&str; 5] = ["read", "write", "create", "delete", "list"];

fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    for folder in ["a", "b"] {
        fs::create_dir(disk.path().join(folder)).unwrap();
    }
    fill(disk.path());
    disk
}

/// Makes the granted folder what it is at first: two files, a link, a folder with a file, an empty folder.
fn fill(disk: &Path) {
    let folder = disk.join("a");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .unwrap();
    }
    for inner in ["full", "empty"] {
        fs::create_dir(folder.join(inner)).unwrap();
    }
    fs::write(folder.join("file"), "what is there").unwrap();
    fs::write(folder.join("other"), "the other one").unwrap();
    fs::write(folder.join("full/file"), "deep").unwrap();
    std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
}

/// All that is there, by its path: what it has, where it leads, and when it was changed.
fn seen(at: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![at.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let what = match () {
                () if found.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                () if found.is_dir() => "folder".to_owned(),
                () => format!("{:?} {}", found.modified().unwrap(), fs::read_to_string(&path).unwrap()),
            };
            if found.is_dir() {
                folders.push(path.clone());
            }
            all.insert(path, what);
        }
    }
    all
}

fn access(rights: &[&str]) -> String {
    json!(rights).to_string()
}

fn topology(disk: &Path, rights: &[&str], more: &str) -> String {
    let (scribe, host) = (guest("scribe"), disk.join("a"));
    let granted = match rights.is_empty() {
        true => String::new(),
        false => format!("\"/a\" = {{ host = {host:?}, access = {} }}", access(rights)),
    };
    format!(
        "name = \"m\"\n[[service]]\nname = \"s\"\nrelease = {scribe:?}\n[service.grants.files]\n{granted}\n{more}\n"
    )
}

async fn told(mesh: &Mesh, what: &Value) -> Vec<String> {
    let answer = mesh.runtime.call("s", what.to_string(), PATIENCE).await.unwrap().unwrap_or_default();
    serde_json::from_slice(&answer).unwrap()
}

/// The denials up to now, each with what it says is missing.
async fn denials(mesh: &Mesh, denied: &mut Subscription) -> Vec<(String, String)> {
    // One more, of which it is known that it comes last.
    let _last = told(mesh, &json!([{ "rename": ["/less/x", "/less/y"] }])).await;
    let mut all = Vec::new();
    loop {
        let Some(Heard::Event(event)) = denied.next().await else { panic!("events were lost") };
        let Happening::Denied { operation, target, missing, .. } = &event.what else { panic!("{event:?}") };
        if target == "/less/x" {
            return all;
        }
        all.push((operation.clone(), missing.clone()));
    }
}

/// What is done, the rights that it needs, and what the denial is of.
fn deeds() -> Vec<(Value, &'static [&'static str], &'static str)> {
    vec![
        (json!({ "read": ["/a/file", "r"] }), &["read"], "file-open"),
        (json!({ "read": ["/a/link", "r"] }), &["read"], "file-open"),
        // Without a flag it is opened to be read all the same: what is read needs the right.
        (json!({ "read": ["/a/file", ""] }), &["read"], "file-read"),
        (json!({ "open": ["/a/file", "r"] }), &["read"], "file-open"),
        (json!({ "write": ["/a/file", "w"] }), &["write"], "file-open"),
        (json!({ "stream": ["/a/file", "w"] }), &["write"], "file-open"),
        (json!({ "write": ["/a/file", "wt"] }), &["write"], "file-open"),
        (json!({ "write": ["/a/file", "wct"] }), &["write"], "file-open"),
        (json!({ "open": ["/a/file", "t"] }), &["write"], "file-open"),
        (json!({ "size": ["/a/file", "w", 3] }), &["write"], "file-open"),
        (json!({ "touch": "/a/file" }), &["write"], "file-write"),
        (json!({ "read": ["/a/file", "rw"] }), &["read", "write"], "file-open"),
        (json!({ "open": ["/a/new", "c"] }), &["create"], "file-open"),
        (json!({ "open": ["/a/new", "cx"] }), &["create"], "file-open"),
        (json!({ "write": ["/a/new", "wc"] }), &["create", "write"], "file-open"),
        (json!({ "write": ["/a/new", "c"] }), &["create", "write"], "file-"),
        (json!({ "size": ["/a/new", "cx", 3] }), &["create", "write"], "file-"),
        (json!({ "read": ["/a/new", "rwc"] }), &["create", "read", "write"], "file-open"),
        (json!({ "make": "/a/new" }), &["create"], "file-create"),
        (json!({ "symlink": ["file", "/a/new"] }), &["create"], "file-create"),
        (json!({ "link": ["/a/file", "/a/new"] }), &["create"], "file-create"),
        (json!({ "unlink": "/a/file" }), &["delete"], "file-remove"),
        (json!({ "remove-folder": "/a/empty" }), &["delete"], "file-remove"),
        (json!({ "rename": ["/a/file", "/a/new"] }), &["create", "delete"], "file-move"),
        (json!({ "rename": ["/a/full", "/a/new"] }), &["create", "delete"], "file-move"),
        (json!({ "rename": ["/a/file", "/a/other"] }), &["create", "delete"], "file-move"),
        (json!({ "list": "/a" }), &["list"], "file-list"),
        (json!({ "list": "/a/full" }), &["list"], "file-list"),
        (json!({ "stat": "/a/file" }), &[], ""),
        (json!({ "readlink": "/a/link" }), &[], ""),
        (json!({ "open": ["/a/full", "rd"] }), &[], ""),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_deed_needs_its_rights_and_no_others() {
    let each = RIGHTS.map(|right| vec![right]);
    let all_but_one = RIGHTS.map(|right| RIGHTS.into_iter().filter(|other| *other != right).collect());
    let some = [RIGHTS.to_vec(), vec!["create", "delete"], vec!["create", "write"], vec!["read", "list"]];
    for granted in each.into_iter().chain(all_but_one).chain(some) {
        let disk = disk();
        let less = format!("\"/less\" = {{ host = {:?}, access = [\"read\"] }}", disk.path().join("b"));
        let mesh = Mesh::start(&topology(disk.path(), &granted, &less)).await;
        let mut denied = mesh.runtime.events().of_kinds(&[Kind::Denied]);
        for (deed, needs, operation) in deeds() {
            fill(disk.path());
            let before = seen(disk.path());
            let came = told(&mesh, &json!([deed])).await.remove(0);
            let is_let = needs.iter().all(|right| granted.contains(right));
            assert_eq!(came != "not-permitted", is_let, "{deed} with {granted:?}: {came}");
            let said = denials(&mesh, &mut denied).await;
            if is_let {
                assert!(!matches!(came.as_str(), "no-entry" | "io" | "access"), "{deed} with {granted:?}: {came}");
                assert!(said.is_empty(), "{deed} with {granted:?}: {said:?}");
                continue;
            }
            assert_eq!(said.len(), 1, "{deed} with {granted:?}: {said:?}");
            assert!(said[0].0.starts_with(operation), "{deed} with {granted:?}: {said:?}");
            let lacking = needs.iter().filter(|right| !granted.contains(right));
            let is_named = lacking.into_iter().any(|right| said[0].1.contains(&format!("{right:?}")));
            assert!(is_named && said[0].1.starts_with("no grant"), "{deed} with {granted:?}: {said:?}");
            // What was let to be made is there, also where it may not be written to then.
            if operation != "file-" {
                assert_eq!(seen(disk.path()), before, "{deed} with {granted:?}");
            }
        }
        mesh.stop().await;
    }
}

/// A topology in which one folder of the host is granted under two names, so that nothing is between two of them.
fn twice(disk: &Path, one: &[&str], other: &[&str]) -> String {
    let host = disk.join("a");
    topology(disk, one, &format!("\"/b\" = {{ host = {host:?}, access = {} }}", access(other)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_under_other_rights_gains_none_and_what_is_replaced_is_to_be_deleted() {
    for (one, other, deed, came) in [
        (&["create", "delete"][..], &["create"][..], json!({ "rename": ["/a/file", "/b/new"] }), "ok"),
        (&["create", "delete"], &["create"], json!({ "rename": ["/a/file", "/b/other"] }), "not-permitted"),
        (&["create", "delete"], &["create", "delete"], json!({ "rename": ["/a/file", "/b/other"] }), "ok"),
        (&["create", "delete"], &["create", "read"], json!({ "rename": ["/a/file", "/b/new"] }), "not-permitted"),
        (&["create", "delete"], &["create", "list"], json!({ "rename": ["/a/full", "/b/new"] }), "not-permitted"),
        (&["delete"], &["delete"], json!({ "rename": ["/a/file", "/b/new"] }), "not-permitted"),
        (&["create"], &["create"], json!({ "link": ["/a/file", "/b/new"] }), "ok"),
        (&["create"], &["create", "list"], json!({ "link": ["/a/file", "/b/new"] }), "ok"),
        (&["create"], &["create", "read"], json!({ "link": ["/a/file", "/b/new"] }), "not-permitted"),
        (&["create"], &["create", "write"], json!({ "link": ["/a/file", "/b/new"] }), "not-permitted"),
        (&["create", "read", "write"], &["create"], json!({ "link": ["/a/file", "/b/new"] }), "ok"),
        // Into a folder nobody leads out of.
        (&["create", "delete"], &["create"], json!({ "rename": ["/a/file", "/b/../../new"] }), "not-permitted"),
        (&["create", "delete"], &["create"], json!({ "rename": ["/a/../b/kept", "/b/new"] }), "not-permitted"),
        (&["create", "delete"], &["create"], json!({ "rename": ["/a/none", "/b/new"] }), "no-entry"),
        (&["create", "delete"], &["create"], json!({ "rename": ["/a/full/..", "/b/new"] }), "invalid"),
    ] {
        let disk = disk();
        fs::write(disk.path().join("b/kept"), "kept").unwrap();
        let mesh = Mesh::start(&twice(disk.path(), one, other)).await;
        let before = seen(disk.path());
        let found = told(&mesh, &json!([deed])).await.remove(0);
        assert_eq!(found, came, "{deed} from {one:?} to {other:?}");
        assert_eq!(seen(disk.path()) == before, came != "ok", "{deed} from {one:?} to {other:?}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_is_taken_away_and_given_back_by_itself_while_it_runs() {
    let disk = disk();
    let mesh = Mesh::start(&topology(disk.path(), &RIGHTS, "")).await;
    let kept = json!([{ "keep": ["/a/file", "rw"] }, "write-kept", "read-kept"]);
    assert_eq!(told(&mesh, &kept).await, ["ok", "ok", "written there"]);
    let _kept = mesh.runtime.revoke("s", "files", "write /a").await.unwrap();
    // What was open is gone with the instance; the other rights are there.
    let after =
        json!(["write-kept", { "write": ["/a/file", "w"] }, { "read": ["/a/file", "r"] }, { "list": "/a/full" }]);
    assert_eq!(told(&mesh, &after).await, ["bad-descriptor", "not-permitted", "written there", "file"]);
    let why = |deed: &str| mesh.runtime.why("s", "files", &format!("{deed} /a/file")).unwrap();
    assert!(!why("write").allowed && why("read").allowed && why("delete").allowed);
    let caps = mesh.runtime.capabilities("s").unwrap();
    let of = caps.iter().find(|one| one.target.starts_with("/a ")).unwrap();
    assert_eq!(of.granted, Granted::Part);
    assert_eq!(of.by, ["/a: [\"read\", \"create\", \"delete\", \"list\"]"]);
    let twice = mesh.runtime.revoke("s", "files", "write /a").await.unwrap_err().to_string();
    assert!(twice.contains("is not granted"), "{twice}");
    assert!(mesh.runtime.grant("s", ("files", "write /a"), DeployOptions::default()).await.unwrap().is_some());
    assert!(mesh.runtime.grant("s", ("files", "write /a"), DeployOptions::default()).await.unwrap().is_none());
    assert_eq!(told(&mesh, &json!([{ "write": ["/a/file", "w"] }])).await, ["ok"]);
    for (bad, told) in [("/a", "in the topology"), ("write /none", "in the topology"), ("rite /a", "in the topology")] {
        let why = mesh.runtime.grant("s", ("files", bad), DeployOptions::default()).await.unwrap_err().to_string();
        assert!(why.contains(told), "{bad}: {why}");
    }
    // The last one takes the folder with it.
    for right in RIGHTS {
        let _kept = mesh.runtime.revoke("s", "files", &format!("{right} /a")).await.unwrap();
    }
    assert_eq!(told(&mesh, &json!([{ "stat": "/a/file" }])).await, ["no-entry"]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_nobody_used_is_named_and_those_that_were_are_learned() {
    let disk = disk();
    let deeds = json!([
        { "read": ["/a/file", "r"] },
        { "write": ["/a/other", "wc"] },
        { "rename": ["/a/file", "/a/moved"] },
        { "stat": "/less/none" }
    ]);
    let less = format!("\"/less\" = {{ host = {:?}, access = [\"read\", \"write\"] }}", disk.path().join("b"));
    let mesh = Mesh::try_start(&topology(disk.path(), &RIGHTS, &less), Runtime::builder().learn()).await.unwrap();
    assert_eq!(told(&mesh, &deeds).await, ["what is there", "ok", "ok", "no-entry"]);
    let unused: Vec<String> =
        mesh.runtime.unused().into_iter().map(|Unused { key, grant, .. }| key + " " + &grant).collect();
    assert_eq!(unused, ["files list /a", "files read /less", "files write /less"]);
    let learned = mesh.runtime.learned().unwrap();
    let line = &learned[0].line;
    // The file that was opened to be made was there, and no name was taken from another one.
    assert!(line.contains("access = [\"read\", \"write\", \"create\", \"delete\"]"), "{line}");
    assert!(line.contains("access = [\"read\"]"), "{line}");
    mesh.stop().await;

    fill(disk.path());
    let topology =
        |grants: &str| format!("name = \"m\"\n[[service]]\nname = \"s\"\nrelease = {:?}\n{grants}\n", guest("scribe"));
    let mesh = Mesh::start(&topology(line)).await;
    assert_eq!(told(&mesh, &deeds).await, ["what is there", "ok", "ok", "no-entry"], "that is enough");
    for (right, refused) in [("read /a", 0), ("write /a", 1), ("create /a", 2), ("delete /a", 2), ("read /less", 3)] {
        fill(disk.path());
        let _kept = mesh.runtime.revoke("s", "files", right).await.unwrap();
        let came = told(&mesh, &deeds).await;
        let whole = ["what is there", "ok", "ok", "no-entry"];
        // Without any right of it there is no such folder.
        let is_refused = came[refused] == "not-permitted" || (right == "read /less" && came[refused] == "no-entry");
        assert!(is_refused, "{right} is not needed: {came:?}");
        assert!((0..4).all(|at| at == refused || came[at] == whole[at]), "{right}: {came:?}");
        if right != "read /less" {
            assert!(mesh.runtime.grant("s", ("files", right), DeployOptions::default()).await.unwrap().is_some());
        }
    }
    mesh.stop().await;
}

#[test]
fn what_is_written_of_rights_is_looked_at_when_it_is_read() {
    let disk = disk();
    let host = disk.path().join("a");
    for (access, told) in [
        ("\"write\"", "in a list"),
        ("\"all\"", "read-write"),
        ("[\"read-write\"]", "none of read, write, create, delete, list"),
        ("[]", "no right"),
        ("[\"read\"], max = \"1MiB\"", "`max`"),
    ] {
        let text = format!(
            "name = \"m\"\n[[service]]\nname = \"s\"\nrelease = {:?}\n[service.grants.files]\n\"/a\" = {{ host = {host:?}, access = {access} }}\n",
            guest("scribe")
        );
        let error = airssys_tests::read(disk.path(), &text).unwrap_err();
        assert!(error.at.is_some() && error.to_string().contains(told), "{access}: {error}");
    }
}
