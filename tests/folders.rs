//! A granted folder is the folder that it was when the mesh started, whatever a guest does to what it may write to; and
//! nothing that the host stands on is granted.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use airssys_tests::command::Desk;
use airssys_tests::{Mesh, PATIENCE, guest, told, with_guests};
use airssys_wasm::Runtime;
use airssys_wasm::command::FolderError;
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Digest, Release};
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Outcome, Trap};
use serde_json::json;
use tempfile::TempDir;

/// A host with a secret beside a folder that is to be granted, and a release whose guest asks for all of it.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        for folder in ["box/sub", "secrets", "release"] {
            fs::create_dir_all(disk.path().join(folder)).unwrap();
        }
        disk.write("box/sub/text", "granted");
        disk.write("secrets/text", "secret");
        let built = guest("prober").with_file_name("target").join("airssys/prober.wasm");
        let asks = "[requests.files]\n\"/data\" = \"read-write\"\n\"/sub\" = \"read-write\"\n\"/ro\" = \"read\"\n";
        disk.write(
            "release/Component.toml",
            format!("name = \"mover\"\nversion = \"0.1.0\"\ncomponent = {built:?}\n{asks}"),
        );
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path().join(name)).ok()
    }

    /// A service with these folders, each `guest host access`.
    fn service(&self, name: &str, folders: &[&str]) -> String {
        let mut text = format!(
            "[[service]]\nname = {name:?}\nrelease = {:?}\n[service.grants.files]\n",
            self.path().join("release")
        );
        for folder in folders {
            let [guest, host, access] = folder.split(' ').collect::<Vec<_>>()[..] else { panic!("{folder}") };
            let host = self.path().join(host);
            text.push_str(&format!("{guest:?} = {{ host = {host:?}, access = {access:?} }}\n"));
        }
        text
    }
}

const BEGIN: &str = "name = \"folders\"\n[root]\nintensity = 100\n";

fn read(path: &str) -> Command {
    Command::ReadFile(path.into())
}

fn write(path: &str, text: &str) -> Command {
    Command::WriteFile { path: path.into(), text: text.into() }
}

/// Puts a link to the secrets in the place of the folder `sub`, which gets another name.
fn divert(target: &str) -> Command {
    Command::Do(vec![
        Command::Rename { from: "/data/sub".into(), to: "/data/moved".into() },
        Command::Symlink { target: target.into(), path: "/data/sub".into() },
    ])
}

/// All of them went well.
async fn all_ok(mesh: &Mesh, who: &str, command: &Command) {
    let outcomes: Vec<Outcome> = serde_json::from_value(mesh.ok(who, command).await).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))), "{outcomes:?}");
}

/// Ends the instance; the next one answers already.
async fn restart(mesh: &Mesh, who: &str) {
    let before = mesh.status(who).started;
    let _crashed = mesh.ask(who, &Command::Trap(Trap::Panic)).await.unwrap_err();
    mesh.until("it is back", |mesh| mesh.status(who).started > before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_replaces_a_granted_folder_by_a_link_has_the_old_one_after_its_restart() {
    let disk = Disk::new();
    let folders = ["/data box read-write", "/sub box/sub read-write", "/ro box/sub read"];
    let mesh = Mesh::start(&(BEGIN.to_owned() + &disk.service("mover", &folders))).await;
    // It cannot even make a link out of its folder that says an absolute path; the other one it can.
    assert!(
        mesh.refused("mover", &Command::Symlink { target: "/etc".into(), path: "/data/etc".into() })
            .await
            .starts_with("io/")
    );
    all_ok(&mesh, "mover", &divert("../secrets")).await;
    for _ in 0..2 {
        for folder in ["/sub", "/ro"] {
            assert_eq!(mesh.ok("mover", &read(&format!("{folder}/text"))).await, json!("granted"));
        }
        mesh.ok("mover", &write("/sub/new", "new")).await;
        assert_eq!(disk.text("box/moved/new").as_deref(), Some("new"));
        assert!(mesh.refused("mover", &read("/data/sub/text")).await.starts_with("io/"));
        assert!(mesh.refused("mover", &write("/data/sub/new", "new")).await.starts_with("io/"));
        restart(&mesh, "mover").await;
    }
    assert_eq!((disk.text("secrets/text").as_deref(), disk.text("secrets/new")), (Some("secret"), None));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_cannot_lead_another_one_out_of_its_folder() {
    let disk = Disk::new();
    let text = BEGIN.to_owned()
        + &disk.service("mover", &["/data box read-write"])
        + &disk.service("victim", &["/sub box/sub read-write", "/ro box/sub read"]);
    let mesh = Mesh::start(&text).await;
    all_ok(&mesh, "mover", &divert("../secrets")).await;
    restart(&mesh, "victim").await;
    mesh.ok("victim", &write("/sub/new", "new")).await;
    assert_eq!(mesh.ok("victim", &read("/ro/text")).await, json!("granted"));

    // Removed, it is an empty folder that nothing can be put in.
    let remove = disk.path().join("box/moved");
    fs::remove_dir_all(remove).unwrap();
    restart(&mesh, "victim").await;
    assert_eq!(mesh.ok("victim", &Command::ListFolder("/sub".into())).await, json!([]));
    for command in [read("/ro/text"), write("/sub/new", "new")] {
        assert!(mesh.refused("victim", &command).await.starts_with("io/"));
    }
    assert_eq!((disk.text("secrets/text").as_deref(), disk.text("secrets/new")), (Some("secret"), None));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_and_an_apply_keep_the_folder_and_what_is_granted_anew_is_looked_at() {
    let disk = Disk::new();
    let mover = BEGIN.to_owned() + &disk.service("mover", &["/data box read-write"]);
    let mesh = Mesh::start(&(mover.clone() + &disk.service("victim", &["/sub box/sub read-write"]))).await;
    all_ok(&mesh, "mover", &divert("../secrets")).await;
    let Mesh { runtime, folder } = mesh;
    let ask = async |command: &Command| {
        let answer = runtime.call("victim", command.bytes(), PATIENCE).await.unwrap().unwrap_or_default();
        serde_json::from_slice::<Outcome>(&answer).unwrap()
    };
    let apply = async |text: &str| {
        let file = folder.path().join("airssys.toml");
        fs::write(&file, with_guests(text)).unwrap();
        let mut options = DeployOptions::default();
        options.probation = std::time::Duration::from_millis(100);
        runtime.apply(Topology::read(&file).unwrap(), options).await
    };

    // Other configuration is another instance.
    let other = disk
        .service("victim", &["/sub box/sub read-write"])
        .replace("[service.grants.files]", "config = { a = \"b\" }\n[service.grants.files]");
    let _applied = apply(&(mover.clone() + &other)).await.unwrap();
    assert_eq!(ask(&Command::Config("a".into())).await, Outcome::Ok(json!("b")));
    assert_eq!(ask(&read("/sub/text")).await, Outcome::Ok(json!("granted")));

    // What is granted now is what is there now, and no way leads through what the guest put there.
    for more in [["/sub box/sub read-write", "/ro box/sub read"], ["/sub box/sub/ read-write", "/ro box/sub/.. read"]] {
        let refused = apply(&(mover.clone() + &disk.service("victim", &more))).await.unwrap_err();
        assert!(refused.to_string().contains("a guest may have put it"), "{refused}");
    }
    assert_eq!(ask(&read("/sub/text")).await, Outcome::Ok(json!("granted")));
    assert!(runtime.shutdown().await.is_clean());
    assert_eq!((disk.text("secrets/text").as_deref(), disk.text("secrets/new")), (Some("secret"), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_start_follows_no_link_that_a_guest_may_have_made() {
    let disk = Disk::new();
    for access in ["read", "read-write"] {
        let text = BEGIN.to_owned()
            + &disk.service("victim", &[&format!("/sub box/sub {access}")])
            + &disk.service("mover", &["/data box read-write"]);
        let mesh = Mesh::start(&text).await;
        all_ok(&mesh, "mover", &divert("../secrets")).await;
        mesh.stop().await;
        let Err(error) = Mesh::try_start(&text, Runtime::builder()).await else { panic!("it started") };
        let error = error.downcast_ref::<airssys_wasm::RuntimeError>().unwrap();
        let airssys_wasm::RuntimeError::Folder(FolderError::Diverted { granted, by, writable }) = error else {
            panic!("{error}")
        };
        assert!(granted.ends_with("(/sub of service victim)") && by == "sub", "{granted}, {by}");
        assert!(writable.ends_with("(/data of service mover)"), "{writable}");
        let path = |name: &str| disk.path().join("box").join(name);
        fs::remove_file(path("sub")).unwrap();
        fs::rename(path("moved"), path("sub")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_only_be_read_gets_no_second_name_where_it_can_be_written() {
    let disk = Disk::new();
    let mesh =
        Mesh::start(&(BEGIN.to_owned() + &disk.service("mover", &["/data box/sub read-write", "/ro secrets read"])))
            .await;
    for command in [
        Command::HardLink { of: "/ro/text".into(), path: "/data/own".into() },
        Command::HardLink { of: "/data/text".into(), path: "/ro/own".into() },
        Command::HardLink { of: "/data/../../secrets/text".into(), path: "/data/own".into() },
        Command::Rename { from: "/ro/text".into(), to: "/data/own".into() },
        Command::Rename { from: "/data/text".into(), to: "/ro/text".into() },
        Command::Rename { from: "/data/text".into(), to: "/data/../text".into() },
        Command::Symlink { target: "text".into(), path: "/ro/own".into() },
        Command::MakeFolder("/ro/own".into()),
        Command::MakeFolder("/data/../own".into()),
    ] {
        let name = mesh.refused("mover", &command).await;
        assert!(name.starts_with("io/"), "{command:?}: {name}");
    }
    mesh.ok("mover", &Command::HardLink { of: "/data/text".into(), path: "/data/own".into() }).await;
    let names = |folder: &str| {
        let mut names: Vec<_> =
            disk.path().join(folder).read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!((names("secrets"), names("box/sub")), (vec!["text".into()], vec!["own".into(), "text".into()]));
    mesh.stop().await;
}

/// What a folder may come to is counted for each: nothing is moved into one without being counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_folders_nothing_is_renamed_or_linked() {
    let disk = Disk::new();
    let services = disk.service("mover", &["/data box read-write", "/sub secrets read-write"]);
    let mesh = Mesh::start(&format!("{BEGIN}{services}")).await;
    let (from, to) = ("/data/sub/text".to_owned(), "/sub/moved".to_owned());
    for command in [Command::Rename { from: from.clone(), to: to.clone() }, Command::HardLink { of: from, path: to }] {
        assert_eq!(mesh.refused("mover", &command).await, "io/CrossesDevices", "{command:?}");
    }
    mesh.ok("mover", &Command::Rename { from: "/data/sub/text".into(), to: "/data/text".into() }).await;
    assert_eq!((disk.text("secrets/moved"), disk.text("box/text")), (None, Some("granted".into())));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_host_stands_on_is_granted_to_nobody() {
    let disk = Disk::new();
    for folder in ["state/in", "code"] {
        fs::create_dir_all(disk.path().join(folder)).unwrap();
    }
    symlink("state", disk.path().join("to-state")).unwrap();
    let state = disk.path().join("state");
    let start = async |grant: &str, data: &Path| {
        let text = BEGIN.to_owned() + &disk.service("mover", &[grant]);
        match Mesh::try_start(&text, Runtime::builder().data_folder(data)).await {
            Ok(mesh) => {
                mesh.stop().await;
                None
            }
            Err(error) => Some(
                error
                    .downcast_ref::<airssys_wasm::RuntimeError>()
                    .map_or_else(|| panic!("{error}"), |error| told!(error)),
            ),
        }
    };
    for (grant, data, what) in [
        ("/ro state read", state.clone(), "the data folder"),
        ("/ro state/in read", state.clone(), "the data folder"),
        ("/ro to-state read", state.clone(), "the data folder"),
        ("/ro . read", state.clone(), "the data folder"),
        ("/data state read-write", disk.path().join("to-state"), "the data folder"),
        // It is made where nothing is yet.
        ("/ro box read", disk.path().join("box/sub/data"), "the data folder"),
        ("/ro / read", state.clone(), "the "),
        ("/ro /proc read", state.clone(), "the kernel's folder"),
        ("/ro /proc/self/root read", state.clone(), "the "),
        ("/ro /sys/kernel read", state.clone(), "the kernel's folder"),
        ("/data release read-write", state.clone(), "a release that is run"),
        ("/data . read-write", state.clone(), "the data folder"),
    ] {
        let said = start(grant, &data).await.unwrap_or_else(|| panic!("{grant}: it started"));
        assert!(said.contains(what) && said.contains("hint: grant a folder"), "{grant}: {said}");
        assert!(said.contains("service mover"), "{said}");
    }
    for fine in ["/ro release read", "/ro box read", "/data box/sub read-write"] {
        assert_eq!(start(fine, &state).await, None, "{fine}");
    }
}

/// A release in a folder of the disk, under another version than the built one.
fn put_release(disk: &Disk, folder: &str, version: &str) {
    let built = guest("prober").with_file_name("target").join("airssys/prober.wasm");
    disk.write(&format!("{folder}/next.wasm"), fs::read(built).unwrap());
    let asks = "[requests.files]\n\"/data\" = \"read-write\"\n";
    disk.write(&format!("{folder}/next.toml"), format!("name = \"mover\"\nversion = {version:?}\n{asks}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_a_guest_may_write_to_is_refused_by_check_run_apply_and_deploy_in_the_same_words() {
    let disk = Disk::new();
    put_release(&disk, "box/sub", "0.2.0");
    let data = disk.path().join("data");
    // By its path, and by links to the component and to its description from where nobody writes.
    symlink("box/sub/next.wasm", disk.path().join("linked.wasm")).unwrap();
    fs::copy(disk.path().join("box/sub/next.wasm"), disk.path().join("described.wasm")).unwrap();
    symlink("box/sub/next.toml", disk.path().join("described.toml")).unwrap();
    let mover = BEGIN.to_owned() + &disk.service("mover", &["/data box read-write"]);
    let mesh = Mesh::try_start(&mover, Runtime::builder().data_folder(&data)).await.unwrap();
    let Mesh { runtime, folder } = mesh;
    for release in ["box/sub/next.wasm", "linked.wasm", "described.wasm"] {
        let path = disk.path().join(release);
        let text = format!("{mover}[[service]]\nname = \"next\"\nrelease = {path:?}\n");
        let file = folder.path().join("airssys.toml");
        fs::write(&file, &text).unwrap();
        let topology = Topology::read(&file).unwrap();
        let mut said = vec![
            ("check", told!(Runtime::builder().check(&topology).await.map(drop).unwrap_err())),
            ("run", told!(Runtime::builder().start(&topology).await.map(drop).unwrap_err())),
            ("apply", told!(runtime.apply(topology.clone(), DeployOptions::default()).await.map(drop).unwrap_err())),
        ];
        let found = Release::find(&path).unwrap();
        let mut options = DeployOptions::default();
        options.probation = std::time::Duration::ZERO;
        said.push(("plan", told!(runtime.plan("mover", found.clone(), options.clone()).await.map(drop).unwrap_err())));
        let set = vec![("mover".to_owned(), found.clone())];
        said.push(("set", told!(runtime.deploy_set(set, options.clone()).await.map(drop).unwrap_err())));
        said.push(("deploy", told!(runtime.deploy("mover", found, options).await.map(drop).unwrap_err())));
        for (door, told) in said {
            let begin = format!(
                "the granted folder {} (/data of service mover) and a release that is run, ",
                disk.path().join("box").display()
            );
            assert!(told.starts_with(&begin) && told.contains("; hint: grant a folder"), "{release} {door}: {told}");
        }
    }
    let answer = runtime.call("mover", read("/data/sub/text").bytes(), PATIENCE).await.unwrap();
    assert!(answer.is_some());
    assert!(runtime.shutdown().await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deployed_is_kept_so_the_next_start_minds_no_grant_where_it_came_from() {
    let disk = Disk::new();
    fs::create_dir(disk.path().join("inbox")).unwrap();
    put_release(&disk, "inbox", "0.2.0");
    let data = disk.path().join("data");
    let before = BEGIN.to_owned() + &disk.service("mover", &["/data box read-write"]);
    let start = async |text: &str| Mesh::try_start(text, Runtime::builder().data_folder(&data)).await.unwrap();
    let mesh = start(&before).await;
    let release = Release::find(&disk.path().join("inbox/next.wasm")).unwrap();
    let mut options = DeployOptions::default();
    options.probation = std::time::Duration::ZERO;
    let deployment = mesh.runtime.deploy("mover", release, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    mesh.stop().await;
    // Now a guest may write to where it came from, and does.
    let after = BEGIN.to_owned() + &disk.service("mover", &["/data inbox read-write"]);
    for _ in 0..2 {
        let mesh = start(&after).await;
        mesh.ok("mover", &write("/data/next.wasm", "something else")).await;
        mesh.ok("mover", &write("/data/next.toml", "name = \"evil\"")).await;
        let live = mesh.runtime.live_digest("mover");
        let built = fs::read(guest("prober").with_file_name("target").join("airssys/prober.wasm")).unwrap();
        assert_eq!(live, Some(Digest::of(&built).to_string()), "what was deployed serves");
        mesh.stop().await;
    }
}

#[test]
fn check_tells_what_is_roundabout_and_what_another_one_can_replace() {
    let disk = Disk::new();
    symlink("box", disk.path().join("link")).unwrap();
    let text = BEGIN.to_owned()
        + &disk.service("mover", &["/data box read-write"])
        + &disk.service("victim", &["/sub box/sub read-write", "/ro link read"])
        + &disk.service("third", &["/ro secrets/../secrets read"])
        + &disk.service("plain", &["/ro secrets read", "/data box read-write"]);
    let desk = Desk::with(&text);
    let ran = desk.run(&["check"]).well();
    let warnings: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 3, "{ran:#?}");
    for (service, parts) in [
        ("victim", ["(/sub of service victim)", "lies in", "(/data of service mover)"]),
        ("victim", ["(/ro of service victim)", "a link or `..`", "leads to"]),
        ("third", ["(/ro of service third)", "a link or `..`", "leads to"]),
    ] {
        let found = warnings.iter().any(|warning| parts.iter().all(|part| warning.contains(part)));
        assert!(found, "{service} {parts:?}: {warnings:#?}");
    }
    let json: serde_json::Value = serde_json::from_str(&desk.run(&["check", "--json"]).well().stdout).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 3);

    let own = Desk::new();
    fs::create_dir(own.path().join("in")).unwrap();
    let grant = disk.service("mover", &[&format!("/data {} read-write", own.path().display())]);
    own.write("airssys.toml", BEGIN.to_owned() + &grant);
    let _refused = own.run(&["check"]).refused(2, "AT101", &["may be written to", "this file lies in it"]);
    let closed = BEGIN.to_owned() + &disk.service("mover", &["/data . read-write"]);
    let _refused = Desk::with(&closed).run(&["check"]).refused(2, "AR110", &["service mover", "a release that is run"]);
}
