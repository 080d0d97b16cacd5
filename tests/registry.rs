//! The store of releases survives those who write to it: killed at any moment, on a full disk, in a folder that they
//! may not write to.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "a seed that failed must be seen")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use airssys_tests::command::{Desk, Ran, airssys};
use airssys_tests::guest;
use airssys_tests::random::Random;
use airssys_wasm::command::TemplateError;
use airssys_wasm::registry::{Draft, Store};
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeError};

/// Publishers that are killed.
const KILLED: usize = 120;
/// How many releases stay, so that looking at all of them stays quick.
const KEPT: usize = 3;

/// A time that looks random, shorter than this one.
fn shorter(random: &mut Random, most: Duration) -> Duration {
    Duration::from_nanos(random.below(u64::try_from(most.as_nanos()).unwrap()))
}

fn prober() -> Vec<u8> {
    fs::read(guest("prober").parent().unwrap().join("target/airssys/prober.wasm")).unwrap()
}

/// A component that differs from all others: its last section, which nobody reads, holds the number.
fn component(desk: &Desk, number: u64) -> PathBuf {
    let mut bytes = prober();
    bytes.extend_from_slice(b"\0\x0a\x01n");
    bytes.extend_from_slice(&number.to_le_bytes());
    desk.write("many.toml", format!("name = \"many\"\nversion = \"{number}.0.0\"\n"));
    desk.write("many.wasm", bytes)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn is_writing(releases: &Path) -> bool {
    let unfinished = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".unfinished-");
    files(releases).iter().any(unfinished)
}

/// Every release that is listed is whole.
fn check(data: &Path) -> Store {
    let store = Store::open(data).unwrap();
    let listing = store.releases().unwrap();
    for record in listing {
        let record = record.unwrap();
        let release = store.resolve(&record.to_string()).unwrap();
        assert_eq!(release.seal.unwrap().id(), record.id());
    }
    store
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

#[test]
fn a_publisher_that_is_killed_leaves_a_release_or_none() {
    let desk = Desk::new();
    let mut random = Random::told();
    let data = desk.path().join(".airssys");
    component(&desk, 1);
    let begun = Instant::now();
    let _well = desk.run(&["publish", "many.wasm"]).well();
    let takes = begun.elapsed();
    let (mut killed, mut left, mut published) = (0, 0, 0);
    for number in 2..u64::try_from(KILLED).unwrap() + 2 {
        let path = component(&desk, number);
        let mut publisher = desk.command(&["publish", "many.wasm"]).spawn().unwrap();
        if number % 2 == 0 {
            thread::sleep(shorter(&mut random, takes));
        } else {
            // In the midst of writing, or soon after.
            while !is_writing(&desk.releases()) && !has_ended(&mut publisher) {}
            thread::sleep(shorter(&mut random, Duration::from_millis(4)));
        }
        publisher.kill().unwrap();
        killed += usize::from(publisher.wait().unwrap().code().is_none());
        left += usize::from(is_writing(&desk.releases()));

        let store = check(&data);
        let release = format!("many@{number}.0.0");
        let is_there = store.resolve(&release).is_ok();
        published += usize::from(is_there);
        // The same again goes well, and sweeps up.
        let again = desk.run(&["publish", "many.wasm"]).well().stdout;
        assert_eq!(again.contains("published already"), is_there, "{again}");
        let found = check(&data).resolve(&release).unwrap();
        assert_eq!(fs::read(found.component).unwrap(), fs::read(path).unwrap());
        let _removed = store.retention(KEPT, Duration::ZERO, |_, _| false).unwrap();
        let releases = store.releases().unwrap().len();
        assert_eq!(files(&desk.releases()).len(), releases * 3 + 1, "two blobs and a record each, and the lock");
    }
    println!("{killed} killed, {published} had published, {left} left an unfinished file; one takes {takes:?}");
    assert!(killed > KILLED / 4, "only {killed} were killed: the moments are not what they should be");
}

#[test]
fn a_remover_that_is_killed_leaves_a_release_or_none() {
    let desk = Desk::new();
    let mut random = Random::told();
    let data = desk.path().join(".airssys");
    component(&desk, 1);
    let _well = desk.run(&["publish", "many.wasm"]).well();
    let begun = Instant::now();
    let _well = desk.run(&["releases"]).well();
    let takes = begun.elapsed() * 2;
    for number in 2..32 {
        let draft = Draft::read(&component(&desk, number)).unwrap();
        let store = check(&data);
        let _published = store.publish(&draft).unwrap();
        let mut remover = desk.command(&["remove", &format!("many@{number}.0.0")]).spawn().unwrap();
        thread::sleep(shorter(&mut random, takes));
        remover.kill().unwrap();
        remover.wait().unwrap();
        let before = check(&data).releases().unwrap().len();
        assert!(before == 1 || before == 2);
        let _published = store.publish(&draft).unwrap();
        let version = format!("{number}.0.0").parse().unwrap();
        store.remove("many", &version, |_, _| false).unwrap();
        assert_eq!(files(&desk.releases()).len(), 4, "what was left is swept");
    }
}

#[tokio::test]
async fn what_was_changed_after_it_was_looked_up_is_not_loaded() {
    let desk = Desk::with("name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"echo@1.0.0\"\n");
    desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    let data = desk.path().join(".airssys");
    let topology = Topology::read_with(&desk.path().join("airssys.toml"), Some(&data)).unwrap();
    let text = fs::read_to_string(desk.path().join("airssys.toml")).unwrap();
    let text = text.replace("[[service]]", "[settings]\ntrusted_keys = []\n[[service]]");
    let distrusting = Topology::read_with(&desk.write("distrusting.toml", text), Some(&data)).unwrap();
    let component = topology.declared().remove(0).release.component;
    // A good component, and another one.
    fs::remove_file(&component).unwrap();
    fs::write(&component, prober()).unwrap();
    let refused = Runtime::builder().check(&topology).await;
    assert!(
        matches!(&refused, Err(RuntimeError::Release { source: TemplateError::Damaged { .. }, .. })),
        "{refused:?}"
    );
    // Whom to trust is asked first.
    let refused = Runtime::builder().check(&distrusting).await;
    assert!(matches!(&refused, Err(RuntimeError::Untrusted { service, .. }) if service == "echo"), "{refused:?}");
}

/// The command, where no file may grow beyond a number of blocks.
fn with_file_limit(desk: &Desk, blocks: usize) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(airssys()).args(["publish", "many.wasm"]);
    command.current_dir(desk.path());
    command.output().unwrap().into()
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_done() {
    let desk = Desk::new();
    component(&desk, 1);
    let _well = desk.run(&["publish", "many.wasm"]).well();
    let before = files(&desk.releases());
    component(&desk, 2);
    // A block has 512 or 1,024 bytes, and the component about 400 KiB.
    for blocks in [0, 1, 100, 300] {
        let ran = with_file_limit(&desk, blocks).refused(1, "AS108", &["cannot write", "blobs/sha256", "make room"]);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
        assert_eq!(files(&desk.releases()), before);
    }
    let _store = check(&desk.path().join(".airssys"));
    let _well = desk.run(&["publish", "many.wasm"]).well();
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_and_can_still_be_read() {
    let desk = Desk::with("name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"echo@1.0.0\"\n");
    desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    desk.component("echo", "2.0.0");
    let data = desk.path().join(".airssys");
    let folders = |mode: u32| {
        for folder in
            ["releases/index/echo", "releases/index", "releases/blobs/sha256", "releases/blobs", "releases", ""]
        {
            fs::set_permissions(data.join(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    folders(0o555);
    let run = |arguments: &[&str]| -> Ran {
        // To the superuser, permissions mean nothing until that power is given away.
        let is_superuser = fs::metadata(desk.path()).unwrap().uid() == 0;
        let mut command = if is_superuser {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(airssys());
            command
        } else {
            Command::new(airssys())
        };
        command.args(arguments).current_dir(desk.path());
        command.output().unwrap().into()
    };
    let _refused = run(&["publish", "echo.wasm"]).refused(1, "AS108", &["releases", "Permission denied", "--data"]);
    let _refused = run(&["publish", "echo.wasm", "--data", ".airssys/deeper"]).refused(
        1,
        "AS108",
        &["cannot make", ".airssys/deeper", "Permission denied", "--data"],
    );
    let _refused = run(&["remove", "echo@1.0.0"]).refused(1, "AS108", &["Permission denied", "--data"]);
    assert!(run(&["releases"]).well().stdout.contains("echo@1.0.0"));
    let _well = run(&["inspect", "echo@1.0.0"]).well();
    let _well = run(&["check"]).well();
    folders(0o755);
    let _well = desk.run(&["publish", "echo.wasm"]).well();
}

#[test]
fn of_several_at_once_each_is_published_and_of_one_version_only_one() {
    let desks: Vec<Desk> = (0..8).map(|_| Desk::new()).collect();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let race = |number: &dyn Fn(u64) -> u64, version: &dyn Fn(u64) -> u64| -> Vec<Ran> {
        let publishers: Vec<Child> = (0..)
            .zip(&desks)
            .map(|(at, desk)| {
                component(desk, number(at));
                desk.write("many.toml", format!("name = \"many\"\nversion = \"{}.0.0\"\n", version(at)));
                desk.command(&["publish", "many.wasm", "--data", folder]).spawn().unwrap()
            })
            .collect();
        publishers.into_iter().map(|publisher| publisher.wait_with_output().unwrap().into()).collect()
    };
    for ran in race(&|at| at, &|at| at) {
        let _well = ran.well();
    }
    assert_eq!(check(data.path()).releases().unwrap().len(), desks.len());
    let (won, lost): (Vec<Ran>, Vec<Ran>) = race(&|at| at, &|_| 99).into_iter().partition(|ran| ran.exit == Some(0));
    assert_eq!((won.len(), lost.len()), (1, desks.len() - 1), "{won:?} {lost:?}");
    for ran in lost {
        let _refused = ran.refused(2, "AS103", &["many@99.0.0", "raise the version"]);
    }
    let same = race(&|_| 5, &|_| 5);
    assert!(same.into_iter().all(|ran| ran.well().stdout.contains("published already")));
    let _store = check(data.path());
}

#[test]
fn one_who_holds_the_lock_too_long_is_not_waited_for() {
    let desk = Desk::new();
    desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    let lock = fs::File::open(desk.releases().join("lock")).unwrap();
    lock.lock().unwrap();
    let _refused = desk.run(&["publish", "echo.wasm"]).refused(1, "AS107", &["releases/lock", "locked"]);
    assert!(desk.run(&["releases"]).well().stdout.contains("echo@1.0.0"), "who only reads does not wait");
    drop(lock);
    let _well = desk.run(&["publish", "echo.wasm"]).well();
}
