//! Records at the end of a file, files that are replaced as a whole, and who is told what changes: as they are granted,
//! whoever does so beside, and whenever the host is killed. The disk is a real one.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use airssys_tests::command::Desk;
use airssys_wasm::{ExecuteError, OsOperation, OsOutput};
use tempfile::TempDir;

use super::super::cli::signals::Running;
use super::layers::Watch;
use super::*;

/// A granted folder, and what lies beside it.
fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    for folder in ["a/deep", "outside"] {
        fs::create_dir_all(disk.path().join(folder)).unwrap();
    }
    fs::write(disk.path().join("outside/secret"), "secret").unwrap();
    fs::write(disk.path().join("a/there"), "old").unwrap();
    disk
}

/// Two scribes that are granted the same folder.
fn two(disk: &Path, access: &str, more: &str) -> String {
    let (release, host) = (guest("scribe"), disk.join("a"));
    let one = |name: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = {release:?}\nlimits = {{ turn_deadline = \"1m\" {more} }}\n\
             grants = {{ files = {{ \"/a\" = {{ host = {host:?}, access = {access} }} }} }}\n"
        )
    };
    format!("name = \"m\"\n[root]\nintensity = 100\n{}{}", one("s"), one("t"))
}

async fn told_to(mesh: &Mesh, to: &str, what: &Value) -> Vec<String> {
    let answer = mesh.runtime.call(to, what.to_string(), PATIENCE).await;
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {what}")).unwrap_or_default();
    serde_json::from_slice(&answer).unwrap()
}

async fn one(mesh: &Mesh, what: Value) -> String {
    told_to(mesh, "s", &json!([what])).await.remove(0)
}

/// What is in the granted folder, and what is in it.
fn names(disk: &TempDir) -> Vec<String> {
    let listed = fs::read_dir(disk.path().join("a")).unwrap();
    let mut all: Vec<String> = listed.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_several_services_are_whole_and_none_is_lost() {
    let disk = disk();
    let mesh = Mesh::start(&two(disk.path(), "[\"write\", \"create\"]", "")).await;
    let (s, t) = (
        json!([{ "append-many": ["/a/log", "s", 3000, 200] }]),
        json!([{ "append-many": ["/a/log", "t", 3000, 200] }]),
    );
    let (one_came, other_came) = tokio::join!(told_to(&mesh, "s", &s), told_to(&mesh, "t", &t));
    assert_eq!((one_came, other_came), (vec!["ok".to_owned()], vec!["ok".to_owned()]));
    assert_eq!(one(&mesh, json!({ "append-synced": ["/a/log", "the last"] })).await, "ok");
    let text = fs::read_to_string(disk.path().join("a/log")).unwrap();
    let (records, last) = text.rsplit_once('\n').unwrap();
    assert_eq!(last, "the last");
    let of = |letter: &str| records.lines().filter(|line| **line == *letter.repeat(3000)).count();
    assert_eq!((of("s"), of("t"), records.lines().count()), (200, 200, 400));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_has_the_old_content_or_the_new_and_nothing_is_left_behind() {
    let disk = disk();
    let mesh = Mesh::start(&two(disk.path(), "[\"write\"]", "")).await;
    let path = disk.path().join("a/there");
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let reader = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        while !over.load(Ordering::Relaxed) {
            let text = fs::read(&path).unwrap();
            let is_whole = text == b"old" || (text.len() == 30_000 && text.iter().all(|byte| *byte == text[0]));
            assert!(is_whole, "{} bytes that are no content", text.len());
            seen += 1;
        }
        seen
    });
    let many = json!([{ "replace-many": ["/a/there", 30_000, 40] }]);
    let (one, other) = tokio::join!(told_to(&mesh, "s", &many), told_to(&mesh, "t", &many));
    assert_eq!((one, other), (vec!["ok".to_owned()], vec!["ok".to_owned()]));
    is_over.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
    assert_eq!(names(&disk), ["deep", "there"]);
    mesh.stop().await;
}

#[test]
fn a_host_that_is_killed_leaves_one_of_the_two_and_the_next_one_clears_up() {
    let disk = disk();
    let desk = Desk::with(&two(disk.path(), "\"read-write\"", ""));
    let path = disk.path().join("a/there");
    for _ in 0..5 {
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        assert!(names(&disk).iter().all(|name| !name.starts_with('.')), "{:?}", names(&disk));
        let many = json!([{ "replace-many": ["/a/there", 30_000, 1_000_000] }]).to_string();
        let mut asked = desk.command(&["send", "s", &many]).spawn().unwrap();
        assert!(asked.wait().unwrap().success());
        // It is at it.
        let first = fs::read(&path).unwrap();
        while fs::read(&path).unwrap() == first {
            std::thread::yield_now();
        }
        running.signal("KILL");
        let _ended = running.end();
        let text = fs::read(&path).unwrap();
        assert!(text.len() == 30_000 && text.iter().all(|byte| *byte == text[0]), "{} bytes", text.len());
    }
    // What a host leaves behind that was killed between two steps.
    fs::write(disk.path().join("a/.airssys-replace-3"), "half").unwrap();
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    assert_eq!(names(&disk), ["deep", "there"]);
    running.signal("KILL");
    let _ended = running.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_needs_its_rights_and_is_denied_by_its_type_and_told_once() {
    for (access, deed, word) in [
        ("[\"write\"]", json!({ "append": ["/a/there", "x"] }), "ok"),
        ("[\"write\"]", json!({ "append": ["/a/new", "x"] }), "denied"),
        ("[\"write\", \"create\"]", json!({ "append": ["/a/new", "x"] }), "ok"),
        ("[\"create\"]", json!({ "append": ["/a/new", "x"] }), "denied"),
        ("[\"write\"]", json!({ "replace": ["/a/there", "x"] }), "ok"),
        ("[\"write\"]", json!({ "replace": ["/a/new", "x"] }), "denied"),
        ("[\"create\"]", json!({ "replace": ["/a/new", "x"] }), "ok"),
        ("[\"create\"]", json!({ "replace": ["/a/there", "x"] }), "denied"),
        ("[\"read\", \"list\", \"delete\"]", json!({ "replace": ["/a/there", "x"] }), "denied"),
        ("[\"list\"]", json!({ "watch": ["w", "/a"] }), "ok"),
        ("[\"read\"]", json!({ "watch": ["w", "/a"] }), "denied"),
        ("[\"read\"]", json!({ "watch": ["w", "/a/there"] }), "ok"),
        ("[\"list\"]", json!({ "watch": ["w", "/a/there"] }), "denied"),
    ] {
        let disk = disk();
        let mesh = Mesh::start(&two(disk.path(), access, "")).await;
        let mut denials = mesh.runtime.events().of_kinds(&[Kind::Denied]);
        let came = one(&mesh, deed.clone()).await;
        assert!(came.starts_with(word), "{access} {deed}: {came}");
        // One more, which comes last.
        let last = one(&mesh, json!({ "append": ["/none/last", "x"] })).await;
        assert!(last.starts_with("denied") && last.contains("no folder"), "{last}");
        let mut told = 0;
        loop {
            let Some(Heard::Event(event)) = denials.next().await else { panic!("events were lost") };
            let Happening::Denied { target, .. } = &event.what else { panic!("{event:?}") };
            if target == "/none/last" {
                break;
            }
            told += 1;
        }
        assert_eq!(told, usize::from(word == "denied"), "{access} {deed}");
        if word == "denied" {
            assert_eq!(names(&disk), ["deep", "there"], "{access} {deed}");
            assert_eq!(fs::read_to_string(disk.path().join("a/there")).unwrap(), "old");
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_leads_out_of_a_granted_folder() {
    let disk = disk();
    let within = disk.path().join("a");
    symlink("../outside/secret", within.join("link")).unwrap();
    symlink("../outside", within.join("up")).unwrap();
    symlink("deep", within.join("inner")).unwrap();
    symlink(disk.path().join("outside"), within.join("absolute")).unwrap();
    assert!(Command::new("mkfifo").arg(within.join("pipe")).status().unwrap().success());
    let mesh = Mesh::start(&two(disk.path(), "\"read-write\"", "")).await;
    for path in [
        "/a/../outside/secret",
        "/a/deep/../../outside/secret",
        "/a/up/secret",
        "/a/absolute/secret",
        "/a/inner/new",
        "/a/..",
        "/a",
        "/a/deep",
        "/a/pipe",
        "/a/there/x",
        "/a/there/../../outside/secret",
        "/outside/secret",
        "//",
        "",
        "..",
        "/a/nul\u{0}",
    ] {
        for deed in [json!({ "append": [path, "x"] }), json!({ "replace": [path, "x"] })] {
            let came = one(&mesh, deed.clone()).await;
            let is_typed = ["denied", "failed", "not-found"].iter().any(|word| came.starts_with(word));
            assert!(is_typed, "{deed}: {came}");
        }
        let watched = one(&mesh, json!({ "watch": ["w", path] })).await;
        assert_eq!(watched == "ok", matches!(path, "/a" | "/a/deep" | "/a/pipe"), "{path}: {watched}");
    }
    // A link itself is replaced, and not what it leads to; nothing is appended by one.
    assert!(one(&mesh, json!({ "append": ["/a/link", "x"] })).await.starts_with("failed"));
    assert_eq!(one(&mesh, json!({ "replace": ["/a/link", "own"] })).await, "ok");
    assert!(!within.join("link").is_symlink());
    assert_eq!(fs::read_to_string(disk.path().join("outside/secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(disk.path().join("outside")).unwrap().count(), 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_changes_into_a_link_meanwhile_leads_nowhere_else() {
    let disk = disk();
    let mesh = Mesh::start(&two(disk.path(), "\"read-write\"", "")).await;
    let (within, is_over) = (disk.path().join("a"), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_over);
    let racing = tokio::task::spawn_blocking(move || {
        while !over.load(Ordering::Relaxed) {
            fs::rename(within.join("deep"), within.join("aside")).unwrap();
            symlink("../outside", within.join("deep")).unwrap();
            fs::remove_file(within.join("deep")).unwrap();
            fs::rename(within.join("aside"), within.join("deep")).unwrap();
        }
    });
    let mut well = 0;
    for at in 0..300 {
        let deeds = json!([{ "append": ["/a/deep/secret", "x"] }, { "replace": ["/a/deep/secret", at.to_string()] }]);
        well += told_to(&mesh, "s", &deeds).await.iter().filter(|came| *came == "ok").count();
    }
    is_over.store(true, Ordering::Relaxed);
    racing.await.unwrap();
    assert!(well > 0, "it was never there");
    assert_eq!(fs::read_to_string(disk.path().join("outside/secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(disk.path().join("outside")).unwrap().count(), 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_told_and_what_has_no_room_is_counted() {
    let disk = disk();
    let within = disk.path().join("a");
    let mesh = Mesh::start(&two(disk.path(), "\"read-write\"", ", watches = 3")).await;
    let watch = json!([{ "watch": ["folder", "/a"] }, { "watch": ["file", "/a/there"] }, { "take": "folder" }]);
    assert_eq!(told_to(&mesh, "s", &watch).await, ["ok", "ok", ""]);
    // Who waits is told when it happens.
    let runtime = Arc::clone(&mesh.runtime);
    let waiting =
        tokio::spawn(async move { runtime.call("s", json!([{ "wait": "file" }]).to_string(), PATIENCE).await });
    assert_eq!(told_to(&mesh, "t", &json!([{ "replace": ["/a/there", "new"] }])).await, ["ok"]);
    let told: Vec<String> = serde_json::from_slice(&waiting.await.unwrap().unwrap().unwrap()).unwrap();
    assert_eq!(told, ["arrived there"], "of the names in between nothing is told");
    assert_eq!(one(&mesh, json!({ "append": ["/a/there", "x"] })).await, "ok");
    fs::rename(within.join("there"), within.join("gone")).unwrap();
    fs::remove_file(within.join("gone")).unwrap();
    let of_file = "written there, left there";
    let expected = format!("arrived there, {of_file}, arrived gone, removed gone");
    let mut found = String::new();
    while found != expected {
        let more = one(&mesh, json!({ "wait": "folder" })).await;
        found = if found.is_empty() { more } else { format!("{found}, {more}") };
        assert!(expected.starts_with(&found), "{found}");
    }
    assert_eq!(one(&mesh, json!({ "take": "file" })).await, of_file);

    // More than there is room for.
    for at in 0..3_000 {
        fs::write(within.join(format!("f{at}")), "").unwrap();
    }
    let mut lost = 0;
    let mut seen = 0;
    while seen + lost < 3_000 {
        let more = one(&mesh, json!({ "wait": "folder" })).await;
        seen += more.matches("made f").count();
        let told = more.split(", ").find_map(|one| one.strip_prefix("lost "));
        lost += told.map_or(0, |many| many.parse::<usize>().unwrap());
    }
    assert_eq!(seen + lost, 3_000, "each is told or counted");

    // As many as may be, until one is let go.
    let mut reached = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let more = json!([{ "watch": ["x", "/a/deep"] }, { "watch": ["y", "/a/deep"] }, { "unwatch": "x" }, { "watch": ["y", "/a/deep"] }]);
    let came = told_to(&mesh, "s", &more).await;
    assert!(came[0] == "ok" && came[1].starts_with("overloaded") && came[3] == "ok", "{came:?}");
    let Some(Heard::Event(event)) = reached.next().await else { panic!("events were lost") };
    assert!(matches!(&event.what, Happening::LimitReached { limit, .. } if limit == "watches"), "{event:?}");
    fs::remove_dir(within.join("deep")).unwrap();
    assert_eq!(one(&mesh, json!({ "wait": "y" })).await, "over");

    // It ends with the grant, and its place is free again.
    let _kept = mesh.runtime.revoke("s", "files", "list /a").await.unwrap();
    let after = json!([{ "take": "folder" }, { "watch": ["w", "/a"] }, { "watch": ["w", "/a/there"] }]);
    let came = told_to(&mesh, "s", &after).await;
    assert!(came[0].contains("nothing is watched") && came[1].starts_with("denied") && came[2] == "ok", "{came:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_layers_has_a_bound_and_is_taken_away() {
    let disk = disk();
    let watch = Watch::default();
    let text = two(disk.path(), "\"read-write\", max = \"64KiB\"", "");
    let mesh = Mesh::try_start(&text, Runtime::builder().layer(watch.clone())).await.unwrap();
    let deeds = json!([
        { "append": ["/a/there", "x"] },
        { "replace": ["/a/forbidden", "x"] },
        { "append": ["/a/there", "x".repeat(100_000)] },
        { "replace": ["/a/new", "x".repeat(100_000)] }
    ]);
    let came = told_to(&mesh, "s", &deeds).await;
    assert_eq!(came[0], "ok");
    assert!(came[1].starts_with("denied") && came[1].contains("not this one"), "{came:?}");
    assert!(came[2].starts_with("no-room") && came[3].starts_with("no-room"), "{came:?}");
    assert_eq!(names(&disk), ["deep", "there"]);
    assert_eq!(
        fs::read_to_string(disk.path().join("a/there")).unwrap(),
        "oldx",
        "of a record that has no room nothing is there"
    );
    let seen = watch.0.lock().unwrap().clone();
    assert_eq!(seen[..2], ["file-write /a/there", "file-write ok"], "{seen:?}");
    let _kept = mesh.runtime.revoke("s", "files", "write /a").await.unwrap();
    let came = told_to(&mesh, "s", &json!([{ "append": ["/a/there", "x"] }, { "replace": ["/a/there", "x"] }])).await;
    assert!(came.iter().all(|came| came.starts_with("denied") && came.contains("write")), "{came:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_were_used_are_learned() {
    let disk = disk();
    let mesh = Mesh::try_start(&two(disk.path(), "\"read-write\"", ""), Runtime::builder().learn()).await.unwrap();
    let of_s = json!([{ "replace": ["/a/new", "x"] }, { "watch": ["w", "/a"] }]);
    assert_eq!(told_to(&mesh, "s", &of_s).await, ["ok", "ok"]);
    let of_t = json!([{ "replace": ["/a/there", "x"] }, { "append": ["/a/there", "x"] }]);
    assert_eq!(told_to(&mesh, "t", &of_t).await, ["ok", "ok"]);
    let learned = mesh.runtime.learned().unwrap();
    for (learned, access) in learned.iter().zip(["[\"create\", \"list\"]", "[\"write\"]"]) {
        assert!(learned.line.contains(&format!("access = {access}")), "{}", learned.line);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_embeds_the_host_does_the_same() {
    let disk = disk();
    let mesh = Mesh::start(&two(disk.path(), "[\"read\", \"write\", \"create\"]", "")).await;
    let mut denials = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let executor = mesh.runtime.executor("s").unwrap();
    for deed in [OsOperation::append("/a/log", "one\n"), OsOperation::append("/a/log", "two\n").synced()] {
        executor.validate(&deed).unwrap();
        assert_eq!(executor.execute(deed).await, Ok(OsOutput::Appended));
    }
    assert_eq!(executor.execute(OsOperation::read("/a/log")).await, Ok(OsOutput::Read("one\ntwo\n".into())));
    assert_eq!(
        executor.execute_with_timeout(OsOperation::replace("/a/there", "new"), PATIENCE).await,
        Ok(OsOutput::Replaced)
    );
    assert_eq!(fs::read_to_string(disk.path().join("a/there")).unwrap(), "new");
    assert!(matches!(executor.execute(OsOperation::read("/a/none")).await, Err(ExecuteError::Failed { .. })));
    for denied in
        [OsOperation::read("/a/../outside/secret"), OsOperation::read("/none"), OsOperation::append("/less/x", "x")]
    {
        assert!(matches!(executor.execute(denied).await, Err(ExecuteError::Denied { .. })));
        assert!(matches!(denials.next().await, Some(Heard::Event(_))));
    }
    assert!(executor.validate(&OsOperation::append("/less/x", "x")).is_err());
    let _kept = mesh.runtime.revoke("s", "files", "read /a").await.unwrap();
    assert!(executor.validate(&OsOperation::read("/a/log")).is_err());
    assert!(matches!(executor.execute(OsOperation::read("/a/log")).await, Err(ExecuteError::Denied { .. })));
    mesh.stop().await;
}

#[tokio::test]
async fn who_does_not_ask_for_files_has_no_word_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let built = guest("scribe").parent().unwrap().join("target/airssys/scribe.wasm");
    let text = format!("name = \"scribe\"\nversion = \"0.1.0\"\ncomponent = {built:?}\n");
    fs::write(folder.path().join("Component.toml"), text).unwrap();
    let text = format!("name = \"m\"\n[[service]]\nname = \"s\"\nrelease = {:?}\n", folder.path());
    let error = Mesh::try_start(&text, Runtime::builder()).await.err().unwrap().to_string();
    assert!(error.contains("airssys:os/files"), "{error}");
}
