//! A layer may be a component: it is asked about what others do before it happens, and what it says is obeyed. It is a
//! service like any other: supervised, limited, granted, replaced in place. It never lets through what it has not let
//! through, unless the topology says so.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, asker_and_goal, builder, until, warden, with_guests};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::SendError;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{ConfigError, Runtime};
use prober_protocol::{Command, Outcome, Refusal};
use serde_json::json;

use crate::revoked::Gate;

#[path = "book/filter.rs"]
mod filter;

/// A layer with more keys of the service that it is, and of what it guards; one that asks, and one that is asked.
fn topology(service: &str, layer: &str, asker: &str) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 1000\n[settings]\nreserve_timeout = \"60s\"\n\
         [[service]]\nname = \"warden\"\nrelease = \"@warden\"\n{service}\n\
         {}\n[[layer]]\nservice = \"warden\"\n{layer}\n",
        asker_and_goal(asker, &[])
    )
}

const GOAL: &str = "guards = [\"goal\"]\nbodies = true\ntimeout = \"60s\"";

fn call(text: &str) -> Command {
    Command::Call { to: "goal".into(), key: None, body: Command::Echo(json!(text)).value(), timeout_ms: 60_000 }
}

fn send(text: &str) -> Command {
    Command::Send { to: "goal".into(), key: None, body: Command::Echo(json!(text)).value() }
}

async fn refusal(mesh: &Mesh, command: &Command) -> Refusal {
    match mesh.ask("asker", command).await {
        Ok(Outcome::Err(refusal)) => refusal,
        other => panic!("{command:?}: {other:?}"),
    }
}

/// What the layer was asked and told since the last time.
async fn seen(mesh: &Mesh) -> Vec<String> {
    let seen = mesh.runtime.invoke("warden", "seen()", PATIENCE).await.unwrap().unwrap();
    serde_json::from_str(&seen).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_between_two_guests_is_let_on_or_rejected() {
    let mesh = Mesh::start(&topology("", GOAL, "")).await;
    assert_eq!(mesh.ok("asker", &call("hello")).await["ok"], json!("hello"));
    mesh.ok("asker", &send("hello")).await;
    mesh.until("both are handled", |mesh| mesh.runtime.is_quiet()).await;
    assert_eq!(mesh.status("goal").handled, 2);
    for command in [call("a barred word"), send("a barred word")] {
        let refused = refusal(&mesh, &command).await;
        assert!(refused.text.contains("warden rejected it: barred is not to be said, says one"), "{refused:?}");
    }
    mesh.until("nothing is under way", |mesh| mesh.runtime.is_quiet()).await;
    let goal = mesh.status("goal");
    assert_eq!((goal.handled, goal.rejected), (2, 2), "{goal:?}");
    let echo = |text: &str| String::from_utf8(Command::Echo(json!(text)).bytes().to_vec()).unwrap();
    let (good, bad) = (echo("hello"), echo("a barred word"));
    let line = |kind: &str, body: &str| format!("before {kind} asker goal {} {body}", body.len());
    assert_eq!(seen(&mesh).await, [line("call", &good), line("send", &good), line("call", &bad), line("send", &bad)]);
    // What the host sends is asked about as well, and what nobody guards is not.
    let from_host = mesh.runtime.send("goal", Command::Echo(json!("barred")).bytes()).await.unwrap_err();
    assert!(matches!(&from_host, SendError::Rejected { layer, .. } if layer == "warden"), "{from_host}");
    assert_eq!(mesh.ok("asker", &Command::Echo(json!("barred"))).await, json!("barred"));
    assert_eq!(seen(&mesh).await.len(), 1);
    mesh.stop().await;
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    options
}

async fn apply(mesh: &Mesh, text: &str) {
    let file = mesh.folder.path().join("airssys.toml");
    fs::write(&file, with_guests(text)).unwrap();
    let applied = mesh.runtime.apply(Topology::read(&file).unwrap(), options()).await;
    assert!(applied.is_ok(), "{:?}", applied.err());
}

/// A folder that is granted to the one that asks, with a file in it, and the grant.
fn disk() -> (tempfile::TempDir, String) {
    let disk = tempfile::tempdir().unwrap();
    fs::write(disk.path().join("kept"), "kept").unwrap();
    let grant = format!("files = {{ \"/out\" = {{ host = {:?}, access = \"read-write\" }} }}\n", disk.path());
    (disk, grant)
}

fn write(path: &str, text: &str) -> Command {
    Command::WriteFile { path: path.into(), text: text.into() }
}

/// [`topology`], where the one that asks works with files and is guarded.
fn with_files(service: &str, layer: &str, grant: &str) -> String {
    let layer = format!("guards = [\"asker\"]\napplies_to = [\"files\"]\ntimeout = \"60s\"\n{layer}");
    topology(service, &layer, "").replace("send = [\"goal\"]\n", &format!("{grant}send = [\"goal\"]\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_does_with_a_file_is_let_on_or_rejected() {
    let (disk, grant) = disk();
    let text = with_files("", "bodies = true\nhooks = [\"before\", \"after\"]", &grant);
    let mesh = Mesh::start(&text).await;
    mesh.ok("asker", &write("/out/a", "text")).await;
    assert_eq!(fs::read_to_string(disk.path().join("a")).unwrap(), "text");
    let noted = seen(&mesh).await;
    for note in [
        "before file-open+file-write+file-create asker /out/a 0",
        "before file-write asker /out/a 4 text",
        "after file-write asker /out/a 0: done",
    ] {
        assert!(noted.contains(&note.to_owned()), "no {note:?} in {noted:?}");
    }
    // By its name when it is made, and by what is in it when that is written.
    assert_eq!(mesh.refused("asker", &write("/out/barred", "text")).await, "io/PermissionDenied");
    assert_eq!(mesh.refused("asker", &Command::Remove("/out/barred-too".into())).await, "io/PermissionDenied");
    assert!(mesh.refused("asker", &write("/out/b", "barred")).await.starts_with("io/"));
    assert_eq!(fs::read_to_string(disk.path().join("b")).unwrap(), "");
    assert!(!disk.path().join("barred").exists());
    let noted = seen(&mesh).await;
    assert!(
        noted.iter().any(|note| note.starts_with("after file-open") && note.ends_with("/out/barred 0: rejected")),
        "{noted:?}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_crashes_or_takes_more_than_it_may_rejects() {
    for (word, limits) in [("trap", ""), ("spin", "turn_deadline = \"1s\""), ("gorge", "memory = \"8MiB\"")] {
        for when_down in ["refuse", "wait", "allow"] {
            let service = format!("limits = {{ {limits} }}");
            let layer = format!("{GOAL}\nwhen_down = \"{when_down}\"");
            let mesh = Mesh::start(&topology(&service, &layer, "limits = { turn_deadline = \"60s\" }")).await;
            let refused = refusal(&mesh, &call(word)).await;
            assert!(refused.text.contains("warden rejected it: it crashed over its verdict"), "{word}: {refused:?}");
            // Its supervisor has it again.
            let is_back = |mesh: &Mesh| {
                let warden = mesh.status("warden");
                warden.crashed > 0 && warden.started == warden.crashed + 1
            };
            mesh.until("it is there again", is_back).await;
            until("it lets on again", async || matches!(mesh.ask("asker", &call("hello")).await, Ok(Outcome::Ok(_))))
                .await;
            mesh.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_guarded_waits_is_refused_or_goes_on_while_the_layer_is_down() {
    let (disk, grant) = disk();
    for when_down in ["refuse", "wait", "allow"] {
        for of_files in [false, true] {
            let rule = format!("when_down = \"{when_down}\"");
            let text = match of_files {
                true => with_files("", &rule, &grant),
                false => topology("", &format!("{GOAL}\n{rule}"), ""),
            };
            let mesh = Mesh::start(&text).await;
            let good = if of_files { Command::ReadFile("/out/kept".into()) } else { call("hello") };
            mesh.ok("asker", &good).await;
            mesh.runtime.stop_service("warden").await.unwrap();
            match when_down {
                "refuse" => {
                    let refused = refusal(&mesh, &good).await;
                    let told = refused.text.contains("warden rejected it: it is down")
                        || refused.name == "io/PermissionDenied";
                    assert!(told, "{refused:?}");
                }
                "allow" => drop(mesh.ok("asker", &good).await),
                _ => {
                    let asked = mesh.ask("asker", &good);
                    tokio::pin!(asked);
                    // It waits: for whoever is there again.
                    let start = async {
                        mesh.until("it is under way", |mesh| !mesh.runtime.is_quiet()).await;
                        mesh.runtime.start_service("warden").await.unwrap();
                    };
                    let (answer, ()) = tokio::join!(asked, start);
                    assert!(matches!(answer, Ok(Outcome::Ok(_))), "{answer:?}");
                }
            }
            mesh.stop().await;
        }
    }
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_is_slow_is_down_when_its_time_is_over() {
    for (when_down, goes_on) in [("refuse", false), ("allow", true)] {
        let layer = format!("{}\nwhen_down = \"{when_down}\"", GOAL.replace("60s", "20ms"));
        let service = "config = { ask = \"gate\" }\n[service.grants]\ncall = [\"gate\"]";
        let text = topology(service, &layer, "") + "[[service]]\nname = \"gate\"\nrelease = \"@prober\"\n";
        // It asks somebody who does not answer.
        let (gate, _waiting, open) = Gate::new();
        let mesh = Mesh::try_start(&text, Runtime::builder().layer(gate)).await.unwrap();
        match (goes_on, mesh.ask("asker", &call("ask-other")).await) {
            (true, Ok(Outcome::Ok(_))) => {}
            (false, Ok(Outcome::Err(refused))) => {
                assert!(refused.text.contains("it is down: it has not answered in time"), "{refused:?}");
            }
            (_, other) => panic!("{when_down}: {other:?}"),
        }
        open.send_replace(true);
        mesh.until("it is back", |mesh| mesh.runtime.is_quiet()).await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_is_replaced_in_place_and_nothing_gets_through_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let text = topology("", GOAL, "limits = { effects = 100000 }").replace("\"@warden\"", "\"one.wasm\"");
    let (one, two) = (warden("one"), warden("two"));
    let mesh = Mesh::start_in(folder, &text, &[("one", &one), ("two", &two)], builder()).await;
    let says = async || refusal(&mesh, &call("barred")).await.text;
    assert!(says().await.ends_with("says one"));
    let (mut by_one, mut by_two) = (0, 0);
    for (release, name) in [("two", "two"), ("one", "one"), ("two", "two")] {
        let path = mesh.folder.path().join(format!("{release}.wasm"));
        let deploy = async {
            let release = Release::find(&path).unwrap();
            mesh.runtime.deploy("warden", release, options()).await.unwrap().ended().await
        };
        let load = async {
            loop {
                let told = says().await;
                match told.rsplit(' ').next() {
                    Some("one") => by_one += 1,
                    Some("two") => by_two += 1,
                    _ => panic!("{told}"),
                }
                if told.ends_with(&format!("says {name}")) {
                    break;
                }
            }
        };
        let (ended, ()) = tokio::join!(deploy, load);
        assert_eq!(ended, Progress::Live);
    }
    assert!(by_one > 0 && by_two > 0, "{by_one} {by_two}");
    assert_eq!(mesh.status("goal").handled, 0, "nothing has got through");
    assert_eq!(mesh.status("warden").crashed, 0);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_has_what_it_is_granted_and_no_more() {
    let other = "[[service]]\nname = \"other\"\nrelease = \"@prober\"\n";
    let text = topology("[service.grants]\ncall = [\"other\"]", GOAL, "") + other;
    let mesh = Mesh::start(&text).await;
    mesh.ok("asker", &call("ask-other")).await;
    assert!(seen(&mesh).await.contains(&"asked ok".to_owned()));
    assert!(!mesh.runtime.revoke("warden", "call", "other").await.unwrap(), "there is no data folder");
    let refused = refusal(&mesh, &call("ask-other")).await;
    assert!(refused.text.contains("warden rejected it: nobody knows"), "{refused:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_is_told_what_came_of_it_and_each_answer_about_an_error_is_obeyed() {
    let (_disk, grant) = disk();
    let of = |what: &str| format!("hooks = [\"before\", \"after\", \"on-error\"]\n{what}");
    let fails = Command::Call {
        to: "goal".into(),
        key: None,
        body: Command::Trap(prober_protocol::Trap::Panic).value(),
        timeout_ms: 60_000,
    };
    let gone = Command::Rename { from: "/out/gone".into(), to: "/out/too".into() };
    for (answer, of_call, of_file, times) in [
        ("keep", Some("crashed"), Some("io/NotFound"), 1),
        ("replace", Some("not-sent/denied"), Some("io/PermissionDenied"), 1),
        ("suppress", None, None, 1),
        ("retry", Some("crashed"), Some("io/NotFound"), 4),
        ("stop", Some("crashed"), Some("io/NotFound"), 1),
    ] {
        let service = format!("config = {{ on-error = \"{answer}\" }}");
        for of_files in [false, true] {
            let text = match of_files {
                true => with_files(&service, &of(""), &grant).replace("\"files\"", "\"file-remove\""),
                false => topology(&service, &of("guards = [\"goal\"]\ntimeout = \"60s\""), ""),
            };
            let mesh = Mesh::start(&text).await;
            let (command, wanted, failure) = match of_files {
                true => (&gone, of_file, "failed"),
                false => (&fails, of_call, "crashed"),
            };
            match (mesh.ask("asker", command).await, wanted) {
                (Ok(Outcome::Err(refusal)), Some(name)) => assert_eq!(refusal.name, name, "{answer}: {refusal:?}"),
                (Ok(Outcome::Ok(_)), None) => {}
                // Without an answer there is nothing to read.
                (Ok(Outcome::Err(refusal)), None) if !of_files => assert_eq!(refusal.name, "unreadable"),
                other => panic!("{answer}: {other:?}"),
            }
            let noted = seen(&mesh).await;
            let many = |begin: &str| noted.iter().filter(|note| note.starts_with(begin)).count();
            assert_eq!((many("before"), many("on-error"), many("after")), (times, times, times), "{answer}: {noted:?}");
            assert!(noted.iter().any(|note| note.starts_with("on-error") && note.ends_with(failure)), "{noted:?}");
            mesh.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_layers_are_asked_in_their_order_and_a_layer_comes_changes_and_goes() {
    let second = "[[service]]\nname = \"second\"\nrelease = \"@warden\"\nconfig = { barred = \"nonsense\" }\n";
    let base = topology("", GOAL, "").replacen("[[service]]", &format!("{second}[[service]]"), 1);
    let both = |priority: u32| format!("{base}[[layer]]\nservice = \"second\"\npriority = {priority}\n{GOAL}\n");
    let mesh = Mesh::start(&both(7)).await;
    let says = async |text: &str| refusal(&mesh, &call(text)).await.text;
    assert!(says("barred nonsense").await.contains("warden rejected it"));
    assert!(says("nonsense").await.contains("second rejected it"));
    apply(&mesh, &both(700)).await;
    assert!(says("barred nonsense").await.contains("second rejected it"));
    mesh.ok("asker", &call("hello")).await;
    apply(&mesh, &base).await;
    mesh.ok("asker", &call("nonsense")).await;
    assert!(says("barred").await.contains("warden rejected it"));
    apply(&mesh, base.split("[[layer]]").next().unwrap()).await;
    mesh.ok("asker", &call("barred")).await;
    assert_eq!((mesh.status("asker").started, mesh.status("warden").started), (1, 1), "nobody was started again");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_no_layer_is_none() {
    let text = topology("", GOAL, "").replace("\"@warden\"", "\"@prober\"");
    let error = Mesh::try_start(&text, Runtime::builder()).await.err().unwrap().to_string();
    assert!(error.contains("warden is to be a layer") && error.contains("airssys:actor/layer"), "{error}");
}

/// [`topology`], where the layer names its component, behind whom it guards, and has the keys of a service.
fn of_component(component: &str, keys: &str) -> String {
    let services = asker_and_goal("", &[]);
    let other = "[[service]]\nname = \"other\"\nrelease = \"@prober\"\n";
    format!(
        "name = \"m\"\n[root]\nintensity = 1000\n[settings]\nreserve_timeout = \"60s\"\n{services}\n{other}\
         [[layer]]\ncomponent = {component:?}\n{GOAL}\n{keys}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_names_its_component_is_supervised_limited_granted_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (warden("one"), warden("two"));
    let keys = "name = \"guard\"\nlimits = { turn_deadline = \"50ms\" }\ngrants = { call = [\"other\"] }";
    let of = |component: &str, more: &str| of_component(component, &format!("{keys}\n{more}"));
    let files: [(&str, &[u8]); 2] = [("one", &one), ("two", &two)];
    for (name, version) in [("one", "0.1.0"), ("two", "0.2.0")] {
        let text = format!("name = \"warden\"\nversion = {version:?}\n[requests]\ncall = [\"other\"]\n");
        fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    // It asks another service before it answers, which takes longer than 50 ms on a busy machine.
    let patient = of("one.wasm", "").replace("50ms", "60s");
    let mesh = Mesh::start_in(folder, &patient, &files, builder()).await;
    mesh.ok("asker", &call("ask-other")).await;
    assert!(
        refusal(&mesh, &call("barred")).await.text.contains("guard rejected it: barred is not to be said, says one")
    );
    // It is granted what it has under `grants`, and no more.
    let ungranted = patient.replace("call = [\"other\"]", "");
    apply(&mesh, &ungranted).await;
    assert!(refusal(&mesh, &call("ask-other")).await.text.contains("guard rejected it: nobody knows"));
    // It has a supervisor, and the limits that it is given.
    apply(&mesh, &of("one.wasm", "")).await;
    let started = mesh.status("guard").started;
    let refused = refusal(&mesh, &call("spin")).await;
    assert!(refused.text.contains("guard"), "{refused:?}");
    mesh.until("it is there again", |mesh| mesh.status("guard").started > started).await;
    // Another component takes it over in place: nobody is started again, and nothing gets through meanwhile.
    apply(&mesh, &patient).await;
    let handled = mesh.status("goal").handled;
    apply(&mesh, &patient.replace("one.wasm", "two.wasm")).await;
    assert!(refusal(&mesh, &call("barred")).await.text.ends_with("says two"));
    assert_eq!((mesh.status("goal").handled, mesh.status("asker").started), (handled, 1));
    // And it goes with its entry.
    let gone = patient.split("[[layer]]").next().unwrap().to_owned();
    apply(&mesh, &gone).await;
    mesh.ok("asker", &call("barred")).await;
    assert!(matches!(
        mesh.runtime.send("guard", Command::Echo(json!(1)).bytes()).await,
        Err(SendError::NoSuchService { .. })
    ));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_filter_needs_one_entry() {
    let mesh = Mesh::start(&of_component("@sieve", "")).await;
    mesh.ok("asker", &call("hello")).await;
    let refused = refusal_of_secret(&mesh).await;
    assert!(refused.ends_with("sieve rejected it: it tells a secret"), "{refused}");
    mesh.stop().await;
}

#[test]
fn a_layer_with_a_component_means_what_one_with_a_service_means() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["filter", "a"] {
        fs::write(folder.path().join(format!("{name}.wasm")), "").unwrap();
    }
    let read = |text: &str| {
        let topology = Topology::parse(format!("name = \"m\"\n{text}"), folder.path());
        topology.and_then(|topology| topology.to_text())
    };
    let a = "[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n";
    let keys = "instances = 2\nmailbox = { capacity = 5 }\nlimits = { state = \"3KiB\" }\nconfig = { k = \"v\" }\n\
                roles = [\"r\"]\ngrants = { publish = [\"t\"] }\nsupervisor = \"s\"\n";
    let shared = "[[supervisor]]\nname = \"s\"\n[[role]]\nname = \"r\"\ngrants = { send = [\"a\"] }\n";
    let layer = "[[layer]]\nguards = [\"a\"]\npriority = 7\n";
    let service = format!(
        "{shared}[[service]]\nname = \"filter\"\nrelease = \"filter.wasm\"\n{keys}{a}{layer}service = \"filter\"\n"
    );
    let component = format!("{shared}{a}{layer}component = \"filter.wasm\"\n{keys}");
    assert_eq!(read(&component).unwrap(), read(&service).unwrap());
    let named = component.replace("component = ", "name = \"f\"\ncomponent = ");
    assert_eq!(read(&named).unwrap(), read(&service.replace("\"filter\"", "\"f\"")).unwrap());
    for (text, place, part) in [
        ("[[layer]]\nguards = [\"a\"]\n", (5, 1), "neither a service nor a component"),
        (
            "[[layer]]\nservice = \"a\"\ncomponent = \"filter.wasm\"\n",
            (6, 11),
            "either the service \"a\" or a component",
        ),
        ("[[layer]]\nservice = \"a\"\ngrants = {}\n", (5, 1), "`grants` of a layer that is the service \"a\""),
        ("[[layer]]\nservice = \"a\"\nname = \"b\"\n", (5, 1), "`name` of a layer that is the service \"a\""),
        ("[[layer]]\ncomponent = \"gone.wasm\"\n", (6, 13), "gone.wasm"),
        ("[[layer]]\ncomponent = \"a.wasm\"\n", (6, 13), "the name \"a\" has an owner already, in line 2"),
        ("[[layer]]\ncomponent = \"..\"\n", (6, 13), "\"\" is no name of a service"),
        ("[[layer]]\nname = \"a b\"\ncomponent = \"filter.wasm\"\n", (6, 8), "\"a b\" is no name of a service"),
        ("[[layer]]\ncomponent = \"filter.wasm\"\nsupervisor = \"s\"\n", (7, 14), "there is no supervisor \"s\""),
        ("[[layer]]\ncomponent = \"filter.wasm\"\nlimits = { log_line = \"0B\" }\n", (7, 23), "`log_line` is 0B"),
        ("[[layer]]\ncomponent = \"filter.wasm\"\nname = \"f\"\ninstances = 0\n", (8, 13), "`instances` is 0"),
        ("[[layer]]\ncomponent = \"filter.wasm\"\npriority = 2000\n", (7, 12), "`priority` is 2000"),
        ("[[layer]]\ncomponent = \"filter.wasm\"\nrestart = \"transient\"\n", (7, 1), "unknown field `restart`"),
    ] {
        let error = Topology::parse(format!("name = \"m\"\n{a}{text}"), folder.path()).map(|_| ()).unwrap_err();
        assert!(error.at == Some(place) && error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_layer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "").unwrap();
    let service = |name: &str, more: &str| format!("[[service]]\nname = {name:?}\nrelease = \"a.wasm\"\n{more}");
    let read = |text: &str| -> ConfigError {
        Topology::parse(format!("name = \"m\"\n{text}"), folder.path()).map(|_| ()).unwrap_err()
    };
    let (l, a) = (service("l", ""), service("a", ""));
    let calls = |name: &str, whom: &str| service(name, &format!("grants = {{ call = [{whom:?}] }}\n"));
    let layer = |more: &str| format!("[[layer]]\nservice = \"l\"\n{more}");
    for (text, part) in [
        (layer(""), "there is no service \"l\""),
        (l.clone() + &layer("guards = [\"l\"]"), "\"l\" guards itself"),
        (l.clone() + &layer("guards = [\"nobody\"]"), "there is no service \"nobody\""),
        (l.clone() + &layer("applies_to = [\"clock\"]"), "\"clock\" is nothing that a layer is asked"),
        (l.clone() + &layer("hooks = [\"between\"]"), "\"between\" is nothing that a layer is asked"),
        (l.clone() + &layer("when_down = \"perhaps\""), "wait, refuse, allow"),
        (l.clone() + &layer("timeout = \"2h\""), "timeout"),
        (l.clone() + &layer("") + &layer(""), "\"l\" is a layer already"),
        (service("l", "keyed = {}\n") + &layer(""), "no one mailbox"),
        (a.clone() + &l + &layer(""), "\"a\" starts before \"l\", which guards it"),
        // A circle, over a call, over two, and over another layer.
        (calls("l", "a") + &a + &layer(""), "\"l\" may wait for \"a\", which it guards: l -> a -> l"),
        (
            calls("l", "b") + &calls("b", "a#f") + &a + &layer("guards = [\"a\"]"),
            "\"l\" may wait for \"a\", which it guards: l -> b -> a -> l",
        ),
        (
            l.clone()
                + &service("k", "")
                + &a
                + &layer("guards = [\"k\"]")
                + "\n[[layer]]\nservice = \"k\"\nguards = [\"l\"]",
            "\"l\" may wait for \"k\", which it guards: l -> k -> l",
        ),
    ] {
        let error = read(&text);
        assert!(error.at.is_some() && format!("{error} {:?}", error.hint).contains(part), "{text}: {error}");
    }
    // Whom it does not guard, it may call; and whom it guards may call others.
    let fine = calls("l", "b") + &service("b", "") + &calls("a", "b") + &layer("guards = [\"a\"]");
    let read = Topology::parse(format!("name = \"m\"\n{fine}"), folder.path());
    assert!(read.is_ok(), "{:?}", read.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_filter_is_ten_lines_of_rust_or_a_component() {
    let plain = topology("", GOAL, "")
        .replace("[[layer]]\nservice = \"warden\"\nguards = [\"goal\"]\nbodies = true\ntimeout = \"60s\"\n", "");
    let native = Mesh::try_start(&plain, Runtime::builder().layer(filter::NoSecrets)).await.unwrap();
    let component = Mesh::start(&topology("", GOAL, "").replace("@warden", "@sieve")).await;
    for mesh in [native, component] {
        mesh.ok("asker", &call("hello")).await;
        let refused = refusal_of_secret(&mesh).await;
        assert!(refused.ends_with("rejected it: it tells a secret"), "{refused}");
        mesh.stop().await;
    }
}

/// What the host is told that sends a secret.
async fn refusal_of_secret(mesh: &Mesh) -> String {
    let sent = mesh.runtime.send("goal", Command::Echo(json!("a secret")).bytes()).await;
    sent.unwrap_err().to_string()
}
