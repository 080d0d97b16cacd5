//! A guest of WASI 0.3 has the folders that it is granted, by the rules of all others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use airssys_tests::Mesh;
use airssys_wasm::events::{Happening, Heard, Kind};
use tempfile::TempDir;

use super::invoke;

/// What lies beside each other on a disk: two folders that are granted, and one that is not.
fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    for folder in ["box", "other", "secrets"] {
        fs::create_dir(disk.path().join(folder)).unwrap();
    }
    fs::write(disk.path().join("secrets/text"), "secret").unwrap();
    disk
}

async fn mesh(disk: &Path, limits: &str, max: &str) -> Mesh {
    let grant =
        |name: &str, folder: &str, more: &str| format!("{name:?} = {{ host = {:?}, {more} }}\n", disk.join(folder));
    let grants = grant("/data", "box", &format!("access = \"read-write\"{max}"))
        + &grant("/other", "other", "access = \"read-write\"")
        + &grant("/ro", "box", "access = \"read\"");
    super::tasks(&format!("limits = {{ {limits} }}\n[service.grants.files]\n{grants}")).await
}

/// All of these calls are answered so.
async fn so(mesh: &Mesh, all: &[(&str, &str)]) {
    for (call, answer) in all {
        assert_eq!(invoke(mesh, call).await, *answer, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_and_written_by_streams() {
    let disk = disk();
    let mesh = mesh(disk.path(), "turn_deadline = \"60s\"", "").await;
    so(
        &mesh,
        &[
            (r#"write("/data/a", "hello world", some(0))"#, "ok"),
            (r#"write("/data/a", "W", some(6))"#, "ok"),
            (r#"write("/data/a", "!", none)"#, "ok"),
            (r#"read("/data/a", 0)"#, r#"ok("hello World!")"#),
            (r#"read("/data/a", 6)"#, r#"ok("World!")"#),
            (r#"read("/data/a", 600)"#, r#"ok("")"#),
            (r#"read-some("/data/a", 5)"#, r#"ok("hello")"#),
            (r#"read("/ro/a", 0)"#, r#"ok("hello World!")"#),
            (r#"make-folder("/data/sub")"#, "ok"),
            (r#"rename("/data/a", "/data/sub/b")"#, "ok"),
            (r#"link("/data/sub/b", "/data/c")"#, "ok"),
            (r#"symlink("sub/b", "/data/d")"#, "ok"),
            (r#"entries("/data")"#, r#"ok(["c RegularFile", "d SymbolicLink", "sub Directory"])"#),
            (r#"entries("/data/sub")"#, r#"ok(["b RegularFile"])"#),
            (r#"read("/data/d", 0)"#, r#"ok("hello World!")"#),
            (r#"set-size("/data/c", 5)"#, "ok"),
            (r#"stat("/data/sub/b")"#, r#"ok(("RegularFile", 5))"#),
            (r#"remove("/data/c")"#, "ok"),
            (r#"remove("/data/d")"#, "ok"),
            (r#"read("/data/c", 0)"#, r#"err("ErrorCode::NoEntry")"#),
            (r#"entries("/data/sub/b")"#, r#"err("ErrorCode::NotDirectory")"#),
            (r#"read("/data/sub", 0)"#, r#"err("ErrorCode::IsDirectory")"#),
            (r#"fill("/data/long", 3000000)"#, "(3000000, ok)"),
            (r#"stat("/data/long")"#, r#"ok(("RegularFile", 3000000))"#),
        ],
    )
    .await;
    assert_eq!(fs::read_to_string(disk.path().join("box/sub/b")).unwrap(), "hello");
    assert_eq!(fs::read(disk.path().join("box/long")).unwrap(), vec![b'x'; 3_000_000]);
    // More of them at a time than there are threads for files.
    assert_eq!(invoke(&mesh, r#"fill("/data/some", 100000)"#).await, "(100000, ok)");
    let paths = vec!["\"/data/some\""; 40].join(", ");
    assert_eq!(invoke(&mesh, &format!("read-all([{paths}])")).await, "ok(4000000)");
    assert_eq!(invoke(&mesh, "count()").await, "1", "it was one instance");
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leads_out_of_a_folder_and_what_may_be_read_alone_is_not_changed() {
    let disk = disk();
    fs::write(disk.path().join("box/a"), "granted").unwrap();
    symlink("../secrets", disk.path().join("box/way")).unwrap();
    symlink(disk.path().join("secrets/text"), disk.path().join("box/text")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(disk.path().join("box/pipe")).status().unwrap();
    assert!(pipe.success());
    let mesh = mesh(disk.path(), "turn_deadline = \"60s\"", "").await;
    let not_permitted = r#"err("ErrorCode::NotPermitted")"#;
    so(
        &mesh,
        &[
            (r#"read("/elsewhere/a", 0)"#, r#"err("no folder for /elsewhere/a")"#),
            // To open one may last for good.
            (r#"read("/data/pipe", 0)"#, r#"err("ErrorCode::Unsupported")"#),
            (r#"write("/data/pipe", "x", none)"#, r#"err("ErrorCode::Unsupported")"#),
            (r#"read("/ro/a", 0)"#, r#"ok("granted")"#),
            (r#"remove("/ro/a")"#, not_permitted),
            (r#"make-folder("/ro/new")"#, not_permitted),
            (r#"link("/ro/a", "/ro/b")"#, not_permitted),
            (r#"symlink("a", "/ro/b")"#, not_permitted),
            (r#"rename("/data/a", "/other/a")"#, r#"err("ErrorCode::CrossDevice")"#),
            (r#"link("/data/a", "/other/a")"#, r#"err("ErrorCode::CrossDevice")"#),
        ],
    )
    .await;
    for call in [
        r#"read("/data/../secrets/text", 0)"#,
        r#"read("/data/way/text", 0)"#,
        r#"read("/data/text", 0)"#,
        r#"write("/data/way/new", "new", none)"#,
        r#"symlink("/etc", "/data/etc")"#,
        r#"rename("/data/a", "/data/way/a")"#,
        r#"write("/ro/a", "x", some(0))"#,
        r#"write("/ro/new", "x", none)"#,
        r#"set-size("/ro/a", 0)"#,
    ] {
        let answer = invoke(&mesh, call).await;
        assert!(answer.starts_with("err(\"ErrorCode::"), "{call}: {answer}");
    }
    assert_eq!(fs::read_to_string(disk.path().join("box/a")).unwrap(), "granted");
    assert_eq!(fs::read_dir(disk.path().join("secrets")).unwrap().count(), 1);
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_to_no_more_than_its_grant_says() {
    let disk = disk();
    let mesh = mesh(disk.path(), "turn_deadline = \"60s\"", ", max = \"1MiB\"").await;
    let mut told = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let full = r#"err("ErrorCode::InsufficientSpace")"#;
    for _ in 0..3 {
        let filled = invoke(&mesh, r#"fill("/data/a", 4000000)"#).await;
        assert!(filled.ends_with(&format!(", {full})")), "{filled}");
        let size = fs::metadata(disk.path().join("box/a")).unwrap().len();
        // As much as fits, but for the part that did not.
        assert!((900_000..1 << 20).contains(&size), "{size}");
        so(
            &mesh,
            &[
                (r#"set-size("/data/a", 2000000)"#, full),
                (r#"set-size("/data/a", 10)"#, "ok"),
                (r#"set-size("/data/b", 1040000)"#, "ok"),
                (r#"fill("/data/c", 100000)"#, &format!("(0, {full})")),
                // What is there is written to where it does not grow.
                (r#"write("/data/b", "hello", some(0))"#, "ok"),
                (r#"remove("/data/b")"#, "ok"),
                (r#"remove("/data/a")"#, "ok"),
                // Another folder has its own bound.
                (r#"fill("/other/a", 1500000)"#, "(1500000, ok)"),
                (r#"remove("/other/a")"#, "ok"),
            ],
        )
        .await;
    }
    let Some(Heard::Event(event)) = told.next().await else { panic!("nobody is told") };
    let Happening::LimitReached { limit, detail, .. } = &event.what else { panic!("{event:?}") };
    assert!(limit == "files" && detail.contains("/data"), "{limit}: {detail}");
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_opens_as_much_as_it_may_also_at_the_same_time() {
    let disk = disk();
    fs::write(disk.path().join("box/a"), "granted").unwrap();
    let mesh = mesh(disk.path(), "resources = 32, turn_deadline = \"60s\"", "").await;
    for _ in 0..3 {
        for path in ["/data/a", "/ro/a"] {
            let opened = invoke(&mesh, &format!("open-many({path:?}, 100)")).await;
            let (count, refused) = opened.trim_start_matches('(').split_once(", ").unwrap();
            let count: usize = count.parse().unwrap();
            assert!((20..=32).contains(&count), "{opened}");
            assert_eq!(refused.matches("InsufficientMemory").count(), 100 - count, "{opened}");
        }
        assert_eq!(invoke(&mesh, r#"read("/data/a", 0)"#).await, r#"ok("granted")"#);
    }
    assert_eq!(mesh.status("a").crashed, 0);
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_turn_wrote_to_files_stays_and_threads_come_back_however_it_ends() {
    let disk = disk();
    let mesh = mesh(disk.path(), "turn_deadline = \"60s\"", "").await;
    for round in 0..40 {
        let how = if round % 2 == 0 { "trap" } else { "leave" };
        let began = invoke(&mesh, &format!(r#"begin("/data/{round}", "begun", "{how}")"#)).await;
        assert_eq!(began.contains("unreachable"), how == "trap", "{began}");
        assert_eq!(fs::read_to_string(disk.path().join(format!("box/{round}"))).unwrap(), "begun");
    }
    let paths: Vec<String> = (0..40).map(|round| format!("\"/data/{round}\"")).collect();
    assert_eq!(invoke(&mesh, &format!("read-all([{}])", paths.join(", "))).await, "ok(200)");
    mesh.runtime.shutdown().await;
}
