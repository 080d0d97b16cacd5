//! The state of services is shown with a host and without one, and put back without one only; a disk that is full is no success.

use std::process::{Command, Stdio};

use airssys_tests::command::{Desk, airssys};
use serde_json::{Value, json};

use super::PROBER;
use super::signals::Running;

const DURABLE: &str = "state = \"durable\"\n";

fn call(desk: &Desk, command: &Value) -> String {
    desk.run(&["call", "prober", &command.to_string()]).well().stdout
}

fn set(key: &str, value: Value) -> Value {
    json!({ "set": { "key": key, "value": value } })
}

fn up(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn stop(desk: &Desk, running: Running) {
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn state_is_shown_with_a_host_and_without_one_and_put_back_without_one() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let _nothing = desk.run(&["state", "dump", "prober"]).refused(4, "AH101", &["no durable state"]);
    assert!(!desk.path().join(".airssys/state").exists(), "to look is not to make");

    let running = up(&desk);
    call(&desk, &set("drink", json!("tea")));
    call(&desk, &json!({ "increment": { "key": "cups", "by": 258 } }));
    let text = desk.run(&["state", "dump", "prober"]).well().stdout;
    assert!(text.contains("prober: 2 values, 2 commits, schema 0") && text.contains("hex 0201000000000000"), "{text}");
    assert_eq!(desk.run(&["state", "get", "prober", "drink"]).well().stdout, "\"tea\"\n");
    let with_host = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    let _nobody = desk.run(&["state", "dump", "nobody"]).refused(1, "AH201", &["nobody"]);
    let _nobody = desk.run(&["state", "get", "nobody", "x"]).refused(1, "AH201", &["nobody"]);
    let _none = desk.run(&["state", "get", "prober", "x"]).refused(1, "AD202", &["\"x\"", "prober"]);
    let file = desk.write("state.json", &with_host);
    let load = ["state", "load", "prober", file.to_str().unwrap()];
    let _running = desk.run(&load).refused(3, "AH102", &["a host", "airssys stop"]);
    stop(&desk, running);

    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, with_host);
    assert_eq!(
        desk.run(&["state", "get", "prober", "drink", "--json"]).well().stdout,
        "{\n  \"text\": \"\\\"tea\\\"\"\n}\n"
    );
    let _none = desk.run(&["state", "dump", "nobody"]).refused(1, "AD201", &["nobody"]);

    let running = up(&desk);
    call(&desk, &set("drink", json!("coffee")));
    call(&desk, &set("more", json!(true)));
    stop(&desk, running);
    let _loaded = desk.run(&load).well();
    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, with_host);
    let running = up(&desk);
    assert!(call(&desk, &json!({ "get": "drink" })).contains("tea"));
    stop(&desk, running);
}

#[test]
fn the_state_of_each_actor_of_a_keyed_service_is_its_own() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let running = up(&desk);
    for who in ["alice", "bob"] {
        let _called = desk.run(&["call", "prober", "--key", who, &set("name", json!(who)).to_string()]).well();
    }
    let ask = |who: &str| desk.run(&["state", "get", "prober", "name", "--key", who]);
    assert_eq!(ask("alice").well().stdout, "\"alice\"\n");
    let _nobody = ask("carol").refused(1, "AD202", &["\"carol\"", "\"name\""]);
    stop(&desk, running);
    assert_eq!(ask("bob").well().stdout, "\"bob\"\n");
    let _nobody = ask("carol").refused(1, "AD202", &["\"carol\"", "\"name\""]);
    let text = desk.run(&["state", "dump", "prober"]).well().stdout;
    assert!(text.contains("prober/alice: 1 value, 1 commit") && text.contains("prober/bob: "), "{text}");
}

#[test]
fn what_cannot_be_put_back_changes_nothing() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let running = up(&desk);
    call(&desk, &set("drink", json!("tea")));
    stop(&desk, running);
    let before = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    for (text, code, says) in [
        ("{", "AD205", "is no state"),
        (r#"{"format":1,"service":"a","states":[],"more":1}"#, "AD205", "more"),
        (r#"{"format":2,"service":"a","states":[]}"#, "AD206", "format 2"),
        (
            r#"{"format":1,"service":"a","states":[{"actor":"","commits":1,"schema":0,"values":{"k":{"hex":"x"}}}]}"#,
            "AD205",
            "\"k\"",
        ),
    ] {
        let file = desk.write("bad.json", text);
        let _refused = desk.run(&["state", "load", "prober", file.to_str().unwrap()]).refused(2, code, &[says]);
    }
    let _refused = desk.run(&["state", "load", "prober", "not-there.json"]).refused(2, "AD204", &["not-there.json"]);
    let file = desk.write("good.json", &before);
    let _refused = desk.run(&["state", "load", "a/b", file.to_str().unwrap()]).refused(2, "AD203", &["a/b"]);
    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, before);

    let stored = desk.path().join(".airssys/state/state.redb");
    std::fs::write(&stored, "x".repeat(100_000)).unwrap();
    let _damaged = desk.run(&["state", "dump", "prober"]).refused(1, "AD103", &["state.redb", "damaged"]);
    let _damaged = desk.run(&["run"]).refused(3, "AD103", &["state.redb", "damaged"]);
}

/// The disk is full as far as this process is concerned: no file of it may become larger.
#[test]
fn a_commit_for_which_the_disk_has_no_room_is_a_crash_and_never_was() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}limits = {{ state = \"1GiB\" }}\n[root]\nintensity = 0\n"));
    // The compiled code is written before the limit, which holds for every file.
    let _compiled = desk.run(&["check"]).well();
    let command = desk.command(&[] as &[&str]);
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" run --log error";
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(airssys()).current_dir(desk.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(limited);
    running.until("is up");
    let value = "x".repeat(300_000);
    let mut acknowledged = 0;
    let refused = loop {
        let turn = set(&format!("{acknowledged:03}"), json!(value)).to_string();
        let ran = desk.run_with(&["call", "prober", "-", "--json"], turn);
        if ran.exit != Some(0) {
            break ran;
        }
        acknowledged += 1;
        assert!(acknowledged < 100, "the limit does not hold");
    };
    assert!(refused.stdout.contains("not-durable") && refused.stdout.contains("state.redb"), "{refused:#?}");
    let (exit, said) = running.end();
    assert!(exit == Some(1) && said.contains("error[AR301]") && said.contains("not saved any more"), "{said}");
    // With room again, all that was acknowledged is there.
    let dump: Value = serde_json::from_str(&desk.run(&["state", "dump", "prober", "--json"]).well().stdout).unwrap();
    let found = dump["states"][0]["values"].as_object().unwrap().len();
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    let running = up(&desk);
    call(&desk, &set("more", json!(true)));
    stop(&desk, running);
}
