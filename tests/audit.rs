//! Who was denied what and who changed what is on record, once each; what was done to the record afterwards is found;
//! and where it is required, nothing happens that cannot be recorded.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use airssys_tests::command::{Desk, airssys};
use serde_json::{Value, json};

use super::cli::signals::Running;

const TWO: &str = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\ngrants = { send = [\"b\"] }\n\
                   [[service]]\nname = \"b\"\nrelease = \"@prober\"\n[[service]]\nname = \"c\"\nrelease = \"@echo\"\n";

const REQUIRED: &str = "[settings]\naudit = \"required\"\n";

fn up(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn stop(desk: &Desk, running: Running) {
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
}

fn file(desk: &Desk) -> PathBuf {
    desk.path().join(".airssys/audit/000001.jsonl")
}

/// All that is on record, as the file has it.
fn lines(desk: &Desk) -> Vec<Value> {
    let text = fs::read_to_string(file(desk)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// How many lines there are of each kind and operation.
fn counted(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let name = [text("kind"), text("operation")].join(" ").trim().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn verified(desk: &Desk) -> Value {
    serde_json::from_str(&desk.run(&["audit", "verify", "--json"]).well().stdout).unwrap()
}

fn call_of(to: &str) -> String {
    let body = prober_protocol::Command::Count.value();
    let command = prober_protocol::Command::Call { to: to.into(), key: None, body, timeout_ms: 9_000 };
    String::from_utf8_lossy(&command.bytes()).into_owned()
}

#[test]
fn what_goes_on_while_a_layer_is_down_is_on_record() {
    let layer = "[[service]]\nname = \"warden\"\nrelease = \"@warden\"\n";
    let rule = "[[layer]]\nservice = \"warden\"\nguards = [\"b\"]\nwhen_down = \"allow\"\ntimeout = \"60s\"\n";
    let desk = Desk::with(&format!("{}{rule}", TWO.replacen("[[service]]", &format!("{layer}[[service]]"), 1)));
    let running = up(&desk);
    let count = || drop(desk.run(&["call", "b", "\"count\""]).well());
    count();
    let _stopped = desk.run(&["stop", "warden"]).well();
    let of_layers = || lines(&desk).into_iter().filter(|line| line["kind"] == "passed-by").collect::<Vec<_>>();
    assert_eq!(of_layers(), [Value::Null; 0]);
    (0..3).for_each(|_| count());
    let _started = desk.run(&["start", "warden"]).well();
    (0..2).for_each(|_| count());
    let events = desk.run(&["events", "warden", "--kind", "passed-by"]).well().stdout;
    stop(&desk, running);
    let told = of_layers();
    let [down, back] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((&down["service"], &down["operation"]), (&json!("warden"), &json!("down")));
    assert!(down["detail"].as_str().unwrap().contains("it does not run"), "{down}");
    assert_eq!((&back["operation"], &back["times"]), (&json!("back"), &json!(3)));
    assert!(events.contains("it is down, and what it guards goes on: "), "{events}");
    assert!(events.contains("it is asked again; 3 went on without it"), "{events}");
}

#[test]
fn what_is_done_and_what_is_denied_is_on_record_once_each() {
    let desk = Desk::with(TWO);
    let running = up(&desk);
    assert!(desk.run(&["call", "a", &call_of("b")]).well().stdout.contains("denied"));
    let long = json!({ "stdout": "x".repeat(20_000) }).to_string();
    let _said = desk.run(&["call", "a", &long]).well();
    let _granted = desk.run(&["grant", "a", "call", "b"]).well();
    let _revoked = desk.run(&["revoke", "a", "call", "b"]).well();
    let _refused = desk.run(&["revoke", "a", "call", "b"]).refused(1, "AH201", &["not-granted"]);
    let newer = desk.component("echo", "0.2.0");
    let _deployed = desk.run(&["deploy", "c", newer.to_str().unwrap(), "--probation", "1ms"]).well();
    let _stopped = desk.run(&["stop", "c"]).well();
    let _started = desk.run(&["start", "c"]).well();
    let _no_letter = desk.run(&["dead-letters", "replay", "7"]).refused(1, "AH201", &["no-such-letter"]);
    let _forgotten = desk.run(&["state", "forget", "a", "--yes"]).well();
    let _emitted = desk.run(&["emit", "news", "x"]).well();
    // Who only looks is not on record.
    for looks in [&["ps"][..], &["tree"], &["status"], &["caps", "a"], &["dead-letters", "list"], &["events"]] {
        let _looked = desk.run(looks).well();
    }
    stop(&desk, running);

    let lines = lines(&desk);
    let counts = counted(&lines);
    for (name, count) in [
        ("begin", 1),
        ("denied call", 1),
        ("limit-reached log_line", 1),
        ("act call", 2),
        ("act grant", 1),
        ("grant granted", 1),
        ("act revoke", 2),
        ("grant revoked", 1),
        ("refused revoke", 1),
        ("apply applying", 1),
        ("apply applied", 1),
        ("act deploy", 1),
        ("deployment switching", 1),
        ("deployment live", 1),
        ("act stop-service", 1),
        ("operator stopped", 1),
        ("act start-service", 1),
        ("operator started", 1),
        ("act replay-dead-letter", 1),
        ("refused replay-dead-letter", 1),
        ("act forget", 1),
        ("act emit", 1),
        ("act stop", 1),
        ("end", 1),
        ("head", 1),
    ] {
        assert_eq!(counts.get(name), Some(&count), "{name}: {counts:#?}");
    }
    assert_eq!(counts.len(), 25, "there is something else on record: {counts:#?}");
    let denied = lines.iter().find(|line| line["kind"] == "denied").unwrap();
    assert_eq!((&denied["service"], &denied["target"]), (&json!("a"), &json!("b")));
    assert!(denied["missing"].as_str().unwrap().contains("add \"b\" to `call`"), "{denied}");
    for act in lines.iter().filter(|line| line["kind"] == "act") {
        assert!(act["by"].as_str().unwrap().starts_with("uid "), "{act}");
    }

    let found = verified(&desk);
    assert_eq!((&found["lines"], &found["fault"]), (&json!(lines.len()), &Value::Null), "{found}");
    assert_eq!((&found["signed_to"], &found["notes"]), (&json!(lines.len()), &json!([])), "{found}");
    let shown = desk.run(&["audit", "show", "--kind", "denied", "--kind", "grant", "--since", "1h"]).well().stdout;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.contains("denied") && shown.contains("granted call b"), "{shown}");
    let shown = desk.run(&["audit", "show", "--service", "c", "--json"]).well().stdout;
    assert!(shown.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["service"] == "c"), "{shown}");
    assert!(desk.run(&["audit", "show", "--since", "2100-01-01T00:00:00Z"]).well().stdout.is_empty());
    let _no_kind = desk.run(&["audit", "show", "--kind", "denials"]).stderr.contains("denied");
    let _none = desk.run(&["audit", "verify", "--data", "elsewhere"]).refused(2, "AU101", &["elsewhere", "--data"]);
}

#[test]
fn what_is_done_to_the_record_is_found_and_named() {
    let desk = Desk::with(TWO);
    let running = up(&desk);
    for _ in 0..5 {
        let _called = desk.run(&["call", "a", &call_of("b")]).well();
    }
    let status: Value = serde_json::from_str(&desk.run(&["status", "--json"]).well().stdout).unwrap();
    stop(&desk, running);
    let noted = format!("{}:{}", status["audit"]["number"], status["audit"]["head"].as_str().unwrap());
    let _through = desk.run(&["audit", "verify", "--noted", &noted]).well();
    let text = fs::read_to_string(file(&desk)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let mut twice = lines.clone();
    twice.insert(5, lines[4]);
    let altered = text.replacen("\"target\":\"b\"", "\"target\":\"c\"", 1);
    let at = 1 + altered.lines().zip(text.lines()).take_while(|(one, other)| one == other).count();
    for (edited, what, number) in [
        (without(2), "removed", 3),
        (swapped.concat(), "reordered", 4),
        (twice.concat(), "duplicated", 5),
        (altered, "altered", at),
        (text.replacen("\"before\":\"0", "\"before\":\"1", 1), "altered", 1),
    ] {
        fs::write(file(&desk), edited).unwrap();
        let says = [format!("line {number} is {what}")];
        let ran = desk.run(&["audit", "verify"]).refused(1, "AU103", &[&says[0]]);
        assert!(ran.stdout.starts_with(&says[0]), "{ran:#?}");
        let found = desk.run(&["audit", "verify", "--json"]);
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        assert_eq!((&found["fault"]["number"], &found["fault"]["what"]), (&json!(number), &json!(what)));
    }
    // Its end is gone: only who noted a place sees it.
    fs::write(file(&desk), lines[..4].concat()).unwrap();
    let _not_seen = desk.run(&["audit", "verify"]).well();
    let _seen = desk.run(&["audit", "verify", "--noted", &noted]).refused(1, "AU103", &["removed"]);
}

#[test]
fn the_chain_goes_on_over_a_kill_in_the_middle() {
    let desk = Desk::with(TWO);
    for round in 0..3 {
        let running = up(&desk);
        let before = lines(&desk).len();
        std::thread::scope(|threads| {
            let denied = threads.spawn(|| while desk.run(&["call", "a", &call_of("b")]).exit == Some(0) {});
            while lines_so_far(&desk) < before + 6 {}
            running.signal("KILL");
            let _killed = running.end();
            denied.join().unwrap();
        });
        if round == 1 {
            // What a power cut may leave.
            let mut text = fs::read(file(&desk)).unwrap();
            text.extend_from_slice(b"{\"number\":99,\"at\":\"2026-0");
            fs::write(file(&desk), text).unwrap();
            assert!(desk.run(&["audit", "verify"]).well().stdout.contains("no whole line"));
        }
    }
    let running = up(&desk);
    stop(&desk, running);
    let found = verified(&desk);
    assert_eq!(found["lines"], json!(lines(&desk).len()), "{found}");
    let counts = counted(&lines(&desk));
    assert_eq!((counts["begin"], counts["end"], counts["cut"]), (4, 1, 1), "{counts:#?}");
    let notes = found["notes"].to_string();
    assert!(notes.contains("did not stop in order") && notes.contains("25 bytes"), "{notes}");
}

/// As far as it is written.
fn lines_so_far(desk: &Desk) -> usize {
    fs::read(file(desk)).unwrap().iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn nobody_writes_a_line_of_his_own() {
    let desk = Desk::with(TWO);
    let running = up(&desk);
    let evil = "x\"}\n{\"number\":3,\"kind\":\"grant\"}\r\u{1b}[2J\u{2028}";
    let _refused = desk.run(&["send", evil, "x"]);
    let _refused = desk.run(&["state", "forget", evil, "--yes"]);
    let told = desk.run(&["call", "a", &call_of(evil)]).well().stdout;
    assert!(told.contains("rr"), "{told}");
    stop(&desk, running);
    let lines = lines(&desk);
    assert_eq!(verified(&desk)["lines"], json!(lines.len()));
    assert!(!lines.iter().any(|line| line["kind"] == "grant"), "{lines:#?}");
    let shown = desk.run(&["audit", "show"]).well().stdout;
    assert_eq!(shown.lines().count(), lines.len(), "{shown}");
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[2J"), "{shown}");
}

/// A host whose audit has less than a kibibyte of room, since no file may become larger than a mebibyte.
fn up_with_a_full_disk(desk: &Desk) -> Running {
    let _compiled = desk.run(&["check"]).well();
    let line = |detail: &str| {
        let before = "0".repeat(64);
        format!(
            "{{\"number\":1,\"at\":\"2026-01-01T00:00:00.000Z\",\"kind\":\"begin\",\"detail\":\"{detail}\",\"before\":\"{before}\"}}\n"
        )
    };
    let filled = line(&"x".repeat((1 << 20) - 1_000 - line("").len()));
    desk.write(".airssys/audit/000001.jsonl", filled);
    let script = "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" run";
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(airssys()).current_dir(desk.path());
    for (name, value) in desk.command(&[] as &[&str]).get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(limited);
    running.until("is up");
    running
}

fn make_room(running: &Running) {
    let pid = running.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap();
    assert!(raised.success());
}

fn is_broken(desk: &Desk) -> bool {
    desk.run(&["status"]).well().stdout.contains("the audit cannot be written")
}

#[test]
fn a_full_disk_stops_nothing_and_is_told_and_what_is_missing_is_on_record() {
    let desk = Desk::with(TWO);
    let running = up_with_a_full_disk(&desk);
    let mut calls = 0;
    while !is_broken(&desk) {
        let _called = desk.run(&["call", "a", &call_of("b")]).well();
        calls += 1;
    }
    let _called = desk.run(&["call", "a", &call_of("b")]).well();
    assert!(desk.run(&["events", "--kind", "audit"]).well().stdout.contains("the audit cannot be written"));
    assert!(desk.run(&["logs"]).well().stdout.contains("the audit cannot be written"));
    make_room(&running);
    while is_broken(&desk) {}
    stop(&desk, running);
    let found = verified(&desk);
    assert!(found["notes"].to_string().contains("nothing could be written from "), "{found}");
    // What waited for room is there.
    let counts = counted(&lines(&desk));
    assert_eq!((counts["denied call"], counts["act call"]), (calls + 1, calls + 1), "{counts:#?}");
}

#[test]
fn where_it_is_required_nothing_happens_that_cannot_be_recorded() {
    let desk = Desk::with(&format!("{TWO}{REQUIRED}"));
    let running = up_with_a_full_disk(&desk);
    let mut refused = desk.run(&["grant", "a", "call", "b"]);
    while refused.exit == Some(0) {
        let _revoked = desk.run(&["revoke", "a", "call", "b"]);
        refused = desk.run(&["grant", "a", "call", "b"]);
    }
    let _told = refused.refused(1, "AH201", &["unaudited", "audit"]);
    let before = lines(&desk).len();
    for act in [
        &["grant", "a", "call", "c"][..],
        &["call", "a", &call_of("b")],
        &["stop", "c"],
        &["state", "forget", "a", "--yes"],
        &["emit", "news", "x"],
        &["apply"],
    ] {
        let _refused = desk.run(act).refused(1, "AH201", &["unaudited"]);
    }
    let services: Value = serde_json::from_str(&desk.run(&["ps", "--json"]).well().stdout).unwrap();
    let c = services.as_array().unwrap().iter().find(|of| of["service"] == "c").unwrap();
    assert_eq!(c["stopped"], json!(false), "{c}");
    assert!(!desk.run(&["caps", "a"]).well().stdout.contains("call c"));
    assert_eq!(lines(&desk).len(), before);
    make_room(&running);
    while is_broken(&desk) {}
    let _granted = desk.run(&["grant", "a", "call", "c"]).well();
    stop(&desk, running);
    assert_eq!(verified(&desk)["fault"], Value::Null);
    let granted = lines(&desk).into_iter().filter(|line| line["operation"] == "grant" && line["target"] == "call c");
    assert_eq!(granted.count(), 1, "what was refused was never recorded as done");
}

#[test]
fn what_is_required_needs_a_folder_and_is_taken_by_an_apply() {
    let desk = Desk::with(&format!("{TWO}{REQUIRED}"));
    desk.write("in", "x\n");
    let ran = desk.run(&["run", "--input", "c=in"]);
    assert_ne!(ran.exit, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("the audit is required, and there is no folder for it"), "{ran:#?}");
    desk.write("airssys.toml", airssys_tests::with_guests(&format!("{TWO}{REQUIRED}audit_folder = \"record\"\n")));
    let _ran = desk.run(&["run", "--input", "c=in"]).well();
    let found = desk.run(&["audit", "verify", "record"]).well();
    assert!(found.stdout.contains("signed to line"), "{found:#?}");

    let desk = Desk::with(TWO);
    let running = up(&desk);
    desk.write("airssys.toml", airssys_tests::with_guests(&format!("{TWO}{REQUIRED}")));
    let _applied = desk.run(&["apply"]).well();
    assert!(desk.run(&["status"]).well().stdout.contains("required"));
    let _called = desk.run(&["call", "c", "x"]).well();
    desk.write("airssys.toml", airssys_tests::with_guests(&format!("{TWO}{REQUIRED}audit_folder = \"record\"\n")));
    let moved = desk.run(&["apply"]);
    assert!(moved.exit != Some(0) && moved.stderr.contains("audit_folder"), "{moved:#?}");
    stop(&desk, running);
    assert_eq!(verified(&desk)["fault"], Value::Null);
}
