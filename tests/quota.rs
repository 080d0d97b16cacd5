//! A folder that a guest may write to comes to no more than its grant says, whatever the guest tries; and there is room
//! again when something is removed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use airssys_tests::{Mesh, PATIENCE, log};
use airssys_wasm::events::{Happening, Heard, Kind};
use prober_protocol::{Command, Held, Outcome};
use serde_json::json;

const MOST: u64 = 1 << 20;
const KIBI: u64 = 1 << 10;
/// What a file, a folder or a link counts beside its size.
const NODE: u64 = 4 * KIBI;
/// What the file system needs for itself: the blocks of a folder with many names in it.
const SLACK: u64 = 64 * KIBI;
const FULL: &str = "io/StorageFull";

fn service(name: &str, folder: &Path, max: &str) -> String {
    let limits = "limits = { turn_budget = \"60s\", turn_deadline = \"2m\" }";
    let grant = format!("\"/out\" = {{ host = {folder:?}, access = \"read-write\"{max} }}");
    format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{limits}\n[service.grants]\nfiles = {{ {grant} }}\n")
}

async fn mesh(services: &[String]) -> Mesh {
    Mesh::start(&format!("name = \"quota\"\n[root]\nintensity = 100\n{}", services.concat())).await
}

/// The blocks that all in a folder takes on the disk, in bytes.
fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        found.blocks() * 512 + if found.is_dir() { on_disk(path) } else { 0 }
    };
    entries.map(|path| of(&path)).sum()
}

fn append(path: &str, bytes: u64) -> Command {
    Command::Append { path: format!("/out/{path}"), bytes }
}

fn set_size(path: &str, bytes: u64) -> Command {
    Command::SetSize { path: format!("/out/{path}"), bytes }
}

fn remove(path: &str) -> Command {
    Command::Remove(format!("/out/{path}"))
}

async fn held(mesh: &Mesh, command: &Command) -> Held {
    serde_json::from_value(mesh.ok("villain", command).await).unwrap()
}

/// Until it is done, as long as there is no room for it: a large folder is not measured again at once.
async fn until_ok(mesh: &Mesh, command: &Command) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match mesh.ask("villain", command).await.unwrap() {
            Outcome::Ok(_) => return,
            Outcome::Err(refused) => assert_eq!(refused.name, FULL, "{refused:?}"),
        }
    }
    panic!("there is no room for {command:?}");
}

/// Each way to fill a folder, on its own: it is refused, the disk has no more than was granted, and there is room when
/// what was made is removed.
async fn fill(mesh: &Mesh, folder: &Path) {
    let within = |what: &str| assert!(on_disk(folder) <= MOST + SLACK, "{what}: {}", on_disk(folder));
    // Appending, in pieces and at once.
    let refused = mesh.ok("villain", &Command::Times(200, Box::new(append("log", 10 * KIBI)))).await;
    assert!(refused.to_string().contains(FULL), "{refused}");
    assert!(on_disk(folder) > MOST / 2, "what is granted can be had: {}", on_disk(folder));
    assert_eq!(mesh.refused("villain", &append("other", 2 * MOST)).await, FULL);
    within("append");
    // What is there may be written over and read, since that takes nothing.
    mesh.ok("villain", &set_size("log", 10 * KIBI)).await;
    for _ in 0..20 {
        mesh.ok("villain", &Command::WriteFile { path: "/out/other".into(), text: "x".repeat(MOST as usize / 2) })
            .await;
    }
    mesh.ok("villain", &remove("log")).await;
    mesh.ok("villain", &remove("other")).await;

    // A hole counts as if it were filled.
    assert_eq!(mesh.refused("villain", &set_size("sparse", 1 << 40)).await, FULL);
    mesh.ok("villain", &set_size("sparse", MOST / 2)).await;
    assert_eq!(mesh.refused("villain", &set_size("sparse too", MOST / 2)).await, FULL);
    within("sparse");
    mesh.ok("villain", &remove("sparse")).await;
    mesh.ok("villain", &remove("sparse too")).await;

    // Names alone.
    mesh.ok("villain", &Command::MakeFolder("/out/many".into())).await;
    let made = held(mesh, &Command::MakeFiles { folder: "/out/many".into(), count: 10_000 }).await;
    assert!(made.held as u64 <= MOST / NODE && made.held > 200 && made.refused == FULL, "{made:?}");
    assert_eq!(mesh.refused("villain", &Command::MakeFolder("/out/one-more".into())).await, FULL);
    let link = Command::Symlink { target: "many".into(), path: "/out/link".into() };
    assert_eq!(mesh.refused("villain", &link).await, FULL);
    let link = Command::HardLink { of: "/out/many/file-0".into(), path: "/out/many/name".into() };
    assert_eq!(mesh.refused("villain", &link).await, FULL);
    within("many files");
    // Moving them makes no room.
    mesh.ok("villain", &Command::Rename { from: "/out/many".into(), to: "/out/moved".into() }).await;
    assert_eq!(mesh.refused("villain", &append("more", 1)).await, FULL);
    mesh.ok("villain", &remove("moved")).await;

    // Folders in folders. Below the deepest that is looked at, nothing has room.
    let made = held(mesh, &Command::Nest { folder: "/out".into(), count: 10_000 }).await;
    assert!(made.held as u64 <= MOST / NODE, "{made:?}");
    within("deep folders");
    fs::remove_dir_all(folder.join("d")).unwrap();

    // One name after the other replaced by a larger file.
    let over = Command::Do(vec![
        append("next", MOST / 4),
        Command::Rename { from: "/out/next".into(), to: "/out/kept".into() },
    ]);
    for _ in 0..12 {
        let outcomes: Vec<Outcome> = serde_json::from_value(mesh.ok("villain", &over).await).unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))), "{outcomes:?}");
        within("renamed over");
    }
    mesh.ok("villain", &remove("kept")).await;

    // What has no name any more is there as long as it is open.
    let made = held(mesh, &Command::HoldNameless { path: "/out/gone".into(), bytes: MOST / 8 }).await;
    assert!(made.held > 0 && made.held <= 8 && made.refused == FULL, "{made:?}");
    assert_eq!(mesh.refused("villain", &append("more", MOST / 2)).await, FULL);
    mesh.ok("villain", &Command::LetGo).await;
    until_ok(mesh, &append("more", MOST / 2)).await;
    mesh.ok("villain", &remove("more")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_to_no_more_than_its_grant_says_and_nobody_else_is_touched() {
    log::listen();
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mesh = mesh(&[
        service("villain", folder.path(), ", max = \"1MiB\""),
        service("sibling", others.path(), ", max = \"1MiB\""),
    ])
    .await;
    let stop = AtomicBool::new(false);
    let attack = async {
        fill(&mesh, folder.path()).await;
        stop.store(true, Ordering::Relaxed);
    };
    let bystander = async {
        while !stop.load(Ordering::Relaxed) {
            mesh.ok("sibling", &Command::WriteFile { path: "/out/own".into(), text: "mine".into() }).await;
            assert_eq!(mesh.ok("sibling", &Command::ReadFile("/out/own".into())).await, json!("mine"));
        }
    };
    tokio::join!(attack, bystander);
    assert_eq!((mesh.status("villain").started, mesh.status("sibling").started), (1, 1));
    let told = log::of("airssys::limit", "villain");
    assert!(
        !told.is_empty() && told.iter().all(|(level, fields)| level == "WARN" && fields["most"] == "1MiB"),
        "{told:?}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_with_one_folder_share_its_room_and_what_others_put_there_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("before"), vec![0; MOST as usize / 2]).unwrap();
    let mesh = mesh(&[
        service("villain", folder.path(), ", max = \"1MiB\""),
        service("sibling", folder.path(), ", max = \"2MiB\""),
    ])
    .await;
    // What was there before the start counts, and so does what the other one writes: he may have more.
    assert_eq!(mesh.refused("villain", &set_size("a", MOST * 5 / 8)).await, FULL);
    mesh.ok("sibling", &set_size("b", MOST * 5 / 8)).await;
    assert_eq!(mesh.refused("villain", &set_size("c", 1)).await, FULL);
    assert_eq!(mesh.refused("sibling", &set_size("d", MOST)).await, FULL);
    // The operator makes room.
    fs::remove_file(folder.path().join("before")).unwrap();
    fs::remove_file(folder.path().join("b")).unwrap();
    until_ok(&mesh, &set_size("c", MOST / 2)).await;
    // One that is full is read, and what is in it removed.
    fs::write(folder.path().join("after"), vec![0; 2 * MOST as usize]).unwrap();
    assert_eq!(mesh.refused("villain", &set_size("e", MOST * 7 / 8)).await, FULL);
    let names = mesh.ok("villain", &Command::ListFolder("/out".into())).await;
    assert!(names.as_array().unwrap().contains(&json!("after")), "{names}");
    mesh.ok("villain", &remove("after")).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_another_one_has_its_own_bound_and_counts_in_the_outer_one() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mesh =
        mesh(&[service("villain", outer.path(), ", max = \"1MiB\""), service("sibling", &inner, ", max = \"1MiB\"")])
            .await;
    // Each may have its own, and the two together the sum of both.
    mesh.ok("villain", &set_size("a", MOST * 7 / 8)).await;
    mesh.ok("sibling", &set_size("b", MOST * 7 / 8)).await;
    assert_eq!(mesh.refused("sibling", &set_size("c", MOST / 4)).await, FULL);
    // Measured again, the outer one is too full for anything, and no less so when what it wrote itself is gone.
    assert_eq!(mesh.refused("villain", &set_size("d", MOST / 4)).await, FULL);
    assert_eq!(mesh.refused("villain", &set_size("d", 1)).await, FULL);
    mesh.ok("villain", &remove("a")).await;
    assert_eq!(mesh.refused("villain", &set_size("d", MOST / 4)).await, FULL);
    until_ok(&mesh, &set_size("d", MOST / 16)).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_full_is_told_once_until_there_was_room() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = mesh(&[service("villain", folder.path(), ", max = \"1MiB\"")]).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut told = || events.try_next();
    for _ in 0..50 {
        assert_eq!(mesh.refused("villain", &set_size("a", 2 * MOST)).await, FULL);
    }
    let Some(Heard::Event(full)) = told() else { panic!("it is not told") };
    assert_eq!(full.service.as_deref(), Some("villain"));
    let Happening::LimitReached { limit, detail, times } = &full.what else { panic!("{full:?}") };
    assert_eq!((limit.as_str(), *times), ("files", 1));
    assert!(detail.contains("/out") && detail.contains("1MiB"), "{detail}");
    assert_eq!(told(), None, "once");

    // There was room in between, and it is told again; of one limit of one service no more than once a second.
    let begun = Instant::now();
    while told().is_none() {
        assert!(begun.elapsed() < PATIENCE, "it is not told again");
        until_ok(&mesh, &set_size("a", MOST / 2)).await;
        assert_eq!(mesh.refused("villain", &set_size("b", MOST)).await, FULL);
        mesh.ok("villain", &remove("a")).await;
    }
    mesh.stop().await;
}

/// Instances of one service at the same time, at the same files: what one has cut another one may write to again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time_get_no_more_than_one() {
    let folder = tempfile::tempdir().unwrap();
    let pool = service("villain", folder.path(), ", max = \"1MiB\"")
        .replace("[service.grants]", "instances = 4\n[service.grants]");
    let mesh = mesh(&[pool]).await;
    let work = |number: u64| {
        let mesh = &mesh;
        async move {
            for round in 0..40 {
                let name = format!("file-{}", (number + round) % 3);
                for command in
                    [append(&name, 100 * KIBI), set_size(&name, MOST / 3), set_size(&name, KIBI), remove(&name)]
                {
                    let outcome = mesh.ask("villain", &command).await.unwrap();
                    if let Outcome::Err(refused) = outcome {
                        assert!([FULL, "io/NotFound"].contains(&&*refused.name), "{refused:?}");
                    }
                }
            }
        }
    };
    tokio::join!(work(0), work(1), work(2), work(3));
    // Whatever they did at the same time, what is left is counted.
    mesh.ok("villain", &Command::Times(200, Box::new(append("last", 10 * KIBI)))).await;
    let disk = on_disk(folder.path());
    assert!(disk <= MOST + SLACK && disk > MOST / 2, "{disk}");
    mesh.stop().await;
}
