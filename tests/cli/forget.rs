//! `airssys state forget`: what makes a key crash is dropped, with a host and without one, when a person has said so.

#![allow(clippy::print_stdout, reason = "what came of it")]

use std::process::{Command, Stdio};
use std::time::Duration;

use airssys_tests::command::{Desk, Ran, airssys};
use airssys_tests::random::Random;
use serde_json::{Value, json};

use super::PROBER;
use super::signals::Running;

const DURABLE: &str = "state = \"durable\"\n";
const ASIDE: &str = "keyed = { intensity = 0, backoff = { initial = \"1h\", max = \"1h\" } }\n";

fn up(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn stop(desk: &Desk, running: Running) -> String {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    said
}

fn call(desk: &Desk, key: &str, command: &Value) -> Ran {
    desk.run(&["call", "prober", "--key", key, &command.to_string(), "--json"])
}

fn counted(desk: &Desk, key: &str) -> u64 {
    let answer = call(desk, key, &json!({ "increment": { "key": "count", "by": 1 } })).well().stdout;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["ok"]["ok"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

fn dump(desk: &Desk) -> String {
    desk.run(&["state", "dump", "prober", "--json"]).well().stdout
}

#[test]
fn a_running_host_forgets_a_key_and_lets_it_in_again() {
    let desk = Desk::with(&format!("{PROBER}{ASIDE}{DURABLE}"));
    let running = up(&desk);
    for key in ["alice", "bob"] {
        assert_eq!((counted(&desk, key), counted(&desk, key)), (1, 2));
    }
    let before = dump(&desk);
    // Nobody is asked, and nothing done.
    let forget = ["state", "forget", "prober/alice"];
    let _unasked = desk.run(&forget).refused(2, "AD209", &["prober/alice", "no terminal", "--yes"]);
    let planned = desk.run(&["state", "forget", "prober/alice", "--plan"]).well().stdout;
    assert!(planned.contains("would be forgotten: prober/alice: 1 value, 2 commits"), "{planned}");
    for (of, exit, code, says) in [
        ("prober/carol", 1, "AH201", &["no-such-key", "carol", "state dump"][..]),
        ("prober", 1, "AH201", &["needs-key", "prober/KEY"]),
        ("nobody", 1, "AH201", &["no-such-service", "nobody", "airssys ps"]),
        ("a b/c", 2, "AD208", &["a b/c"]),
        ("prober/", 2, "AD208", &["prober/"]),
    ] {
        for how in ["--yes", "--plan"] {
            let _refused = desk.run(&["state", "forget", of, how]).refused(exit, code, says);
        }
    }
    assert_eq!(dump(&desk), before);

    assert_ne!(call(&desk, "alice", &json!({ "trap": "panic" })).exit, Some(0));
    while !desk.run(&["ps"]).well().stdout.contains("set aside") {}
    let sent = json!({ "increment": { "key": "count", "by": 10 } }).to_string();
    let _sent = desk.run(&["send", "prober", "--key", "alice", &sent]).well();
    let told = desk.run(&["state", "forget", "prober/alice", "--yes", "--json"]).well().stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, json!({ "service": "prober", "actor": "alice", "values": 1, "commits": 2, "waiting": 1 }));
    assert_eq!((counted(&desk, "alice"), counted(&desk, "bob")), (11, 3));
    let told = desk.run(&["state", "forget", "prober/bob", "--yes"]).well().stdout;
    assert!(told.contains("forgotten: prober/bob: 1 value, 3 commits"), "{told}");
    let states: Value = serde_json::from_str(&dump(&desk)).unwrap();
    let named = states["states"].as_array().unwrap().iter().map(|state| (&state["actor"], &state["commits"]));
    assert_eq!(named.collect::<Vec<_>>(), [(&json!("alice"), &json!(2)), (&json!("bob"), &json!(0))]);
    let said = stop(&desk, running);
    assert!(said.contains("forgotten") && said.contains("prober/alice"), "{said}");
    let logged = desk.run(&["logs", "prober"]).well().stdout;
    assert!(
        logged.contains("forgotten") && logged.contains("prober/alice") && logged.contains("prober/bob"),
        "{logged}"
    );
    let _well = desk.run(&["state", "verify"]).well();
}

#[test]
fn without_a_host_it_is_dropped_from_the_folder_and_what_is_well_is_verified_dumped_and_loaded() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let _nothing = desk.run(&["state", "forget", "prober/alice", "--yes"]).refused(4, "AH101", &["no durable state"]);
    assert!(!desk.path().join(".airssys/state").exists(), "to look is not to make");
    let running = up(&desk);
    for key in ["alice", "alice2", "bob"] {
        counted(&desk, key);
    }
    let _with_a_host = stop(&desk, running);
    let all = dump(&desk);
    let stored = desk.path().join(".airssys/state/state.redb");
    let bytes = std::fs::read(&stored).unwrap();
    let _unknown =
        desk.run(&["state", "forget", "prober/carol", "--yes"]).refused(1, "AD201", &["\"carol\"", "prober"]);
    let _unknown = desk.run(&["state", "forget", "prober", "--yes"]).refused(1, "AD201", &["prober", "state dump"]);
    let _unknown = desk.run(&["state", "forget", "nobody", "--yes"]).refused(1, "AD201", &["nobody"]);
    let planned = desk.run(&["state", "forget", "prober/alice", "--plan"]).well().stdout;
    assert!(planned.contains("would be forgotten: prober/alice: 1 value, 1 commit"), "{planned}");
    assert_eq!(std::fs::read(&stored).unwrap(), bytes);

    let told = desk.run(&["state", "forget", "prober/alice", "--yes"]).well().stdout;
    assert!(told.contains("forgotten: prober/alice: 1 value, 1 commit"), "{told}");
    let _again = desk.run(&["state", "forget", "prober/alice", "--yes"]).refused(1, "AD201", &["\"alice\""]);
    let verified = desk.run(&["state", "verify"]).well().stdout;
    assert!(verified.contains("2 values of 2 states and 1 service"), "{verified}");
    let left = dump(&desk);
    assert!(!left.contains("\"alice\"") && left.contains("\"alice2\"") && left.contains("\"bob\""), "{left}");
    let running = up(&desk);
    assert_eq!((counted(&desk, "alice"), counted(&desk, "bob")), (1, 2));
    let _with_a_host = stop(&desk, running);
    // What was copied before brings it back: a person said so.
    let file = desk.write("all.json", &all);
    let _loaded = desk.run(&["state", "load", "prober", file.to_str().unwrap()]).well();
    assert_eq!(dump(&desk), all);
}

/// A host that has the folder and cannot be asked, as one that was started by something else.
#[test]
fn a_folder_that_somebody_has_is_not_touched() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let running = up(&desk);
    let _counted = desk.run(&["call", "prober", r#"{"increment":{"key":"count","by":1}}"#]).well();
    let _with_a_host = stop(&desk, running);
    let folder = desk.path().join(".airssys");
    let held = airssys_wasm::command::StateFile::open(&folder).unwrap();
    for how in ["--yes", "--plan"] {
        let _in_use = desk.run(&["state", "forget", "prober", how]).refused(1, "AD101", &["state.redb", "in use"]);
    }
    drop(held);
    let told = desk.run(&["state", "forget", "prober", "--yes"]).well().stdout;
    assert!(told.contains("forgotten: prober: 1 value, 1 commit"), "{told}");
    let _gone = desk.run(&["state", "dump", "prober"]).refused(1, "AD201", &["prober"]);
}

/// Runs the command at a terminal of its own, where a person types this.
fn at_a_terminal(desk: &Desk, typed: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("{} state forget prober/alice", airssys().display());
    command.args(["-qec", &line, "/dev/null"]).current_dir(desk.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), typed.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let running = up(&desk);
    counted(&desk, "alice");
    for typed in ["n\n", "\n", "no\n"] {
        let shown = at_a_terminal(&desk, typed);
        assert!(shown.contains("forget prober/alice: 1 value, 1 commit?") && shown.contains("AD210"), "{shown}");
    }
    assert_eq!(counted(&desk, "alice"), 2);
    let shown = at_a_terminal(&desk, "y\n");
    assert!(shown.contains("forgotten: prober/alice: 1 value, 2 commits"), "{shown}");
    assert_eq!(counted(&desk, "alice"), 1);
    let _with_a_host = stop(&desk, running);
}

/// Whenever the host is killed, all of it is there or none.
#[test]
fn a_host_that_is_killed_meanwhile_has_all_of_it_or_none() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let mut random = Random::told();
    let mut there = 0;
    for round in 0..8 {
        let mut running = up(&desk);
        for key in ["alice", "bob"] {
            let _set = call(&desk, key, &json!({ "set_many": 200 })).well();
        }
        let before: Value = serde_json::from_str(&dump(&desk)).unwrap();
        let mut forget = desk.command(&["state", "forget", "prober/alice", "--yes"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.below(40)));
        running.child.kill().unwrap();
        let _killed = running.end();
        let acknowledged = forget.wait().unwrap().success();
        let after: Value = serde_json::from_str(&dump(&desk)).unwrap();
        let of = |dump: &Value, who: &str| {
            dump["states"].as_array().unwrap().iter().find(|state| state["actor"] == who).cloned()
        };
        assert_eq!(of(&after, "bob"), of(&before, "bob"), "round {round}");
        match of(&after, "alice") {
            Some(state) => {
                assert!(!acknowledged && Some(state) == of(&before, "alice"), "round {round}");
                there += 1;
            }
            None => assert!(of(&before, "alice").is_some()),
        }
        let _well = desk.run(&["state", "verify"]).well();
    }
    println!("it was there after {there} kills of 8");
}
