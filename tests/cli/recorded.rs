//! A recording of a running service: what it does again is deployed, a release is held against it where no host runs,
//! and its state is looked at as it was.

use std::fs;

use airssys_tests::command::Desk;
use airssys_tests::shifter;
use serde_json::{Value, json};

use super::signals::Running;

const MESH: &str = "name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\nrecorder = {}\n[[service]]\nname = \"unrecorded\"\nrelease = \"one.wasm\"\n";

fn desk() -> (Desk, Running) {
    let desk = Desk::with(MESH);
    let releases = [("one", "healthy"), ("two", "healthy"), ("twice", "counts-twice"), ("wrong", "wrong-answers")];
    for (name, way) in releases {
        fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, way)).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    for number in 1..=4 {
        let message = json!({ "from": "anna", "number": number, "plain": true }).to_string();
        let _answer = desk.run(&["call", "counter", &message]).well();
    }
    (desk, running)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_release_that_does_something_else_than_was_recorded_is_not_deployed() {
    let (desk, running) = desk();
    let gate = |release: &str, more: &[&str]| {
        let quick = ["--probation", "10ms"];
        desk.run(&[&["deploy", "counter", release], &quick[..], more].concat())
    };
    let told = gate("wrong.wasm", &["--gate", "recorded"]).refused(1, "AH201", &["message", "anna", "--allow answers"]);
    assert!(told.stderr.contains("recorded: it answered"), "both sides: {told:#?}");
    let _state = gate("twice.wasm", &["--gate", "recorded=2"]).refused(1, "AH201", &["handled", "--allow state"]);
    let json = gate("wrong.wasm", &["--gate", "recorded", "--json"]);
    assert_eq!(parsed(&json.stdout)["error"]["code"], "diverges", "{json:#?}");
    let plan = desk.run(&["deploy", "counter", "wrong.wasm", "--plan", "--gate", "recorded", "--json"]);
    assert_eq!(parsed(&plan.stdout)["refusals"][0]["code"], "diverges", "{plan:#?}");
    for wrong in [
        &["--gate", "recorded=0"][..],
        &["--gate", "all"],
        &["--gate", "recorded", "--allow", "all"],
        &["--allow", "state"],
    ] {
        assert_eq!(gate("two.wasm", wrong).exit, Some(2), "{wrong:?}");
    }
    let none = desk.run(&["deploy", "unrecorded", "two.wasm", "--gate", "recorded"]);
    let _none = none.refused(1, "AH201", &["has no recorder", "recorder = {}"]);

    let live = gate("two.wasm", &["--gate", "recorded"]).well();
    assert!(live.stdout.starts_with("counter: live"), "{live:#?}");
    let empty = gate("one.wasm", &["--gate", "recorded"]);
    let _empty = empty.refused(1, "AH201", &["has no turn"]);
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn a_recording_is_verified_and_wound_back_without_a_host() {
    let (desk, running) = desk();
    let told = desk.run(&["capsules", "record", "counter", "--out", "counter.recording", "--json"]).well().stdout;
    assert_eq!((&parsed(&told)["turns"], &parsed(&told)["actors"]), (&json!(4), &json!(1)), "{told}");
    let _none = desk.run(&["capsules", "record", "unrecorded", "--out", "x"]).refused(1, "AH201", &["has no recorder"]);
    let shown = desk.run(&["capsules", "show", "counter.recording"]).well().stdout;
    let ids: Vec<&str> =
        shown.lines().filter_map(|line| line.trim().strip_prefix("message ")?.split(',').next()).collect();
    assert_eq!(ids.len(), 4, "{shown}");

    let handled = |of: &str, more: &[&str]| {
        let dump = parsed(&desk.run(&[&["rewind", of], more].concat()).well().stdout);
        dump["states"][0]["values"]["anna"].clone()
    };
    for of in ["counter", "counter.recording"] {
        assert_eq!(handled(of, &["--to", ids[2]]), json!({ "text": "3" }), "{of}");
        assert_eq!(handled(of, &["--to", ids[2], "--before"]), json!({ "text": "2" }), "{of}");
        assert_eq!(handled(of, &["--to", ids[0], "--before"]), Value::Null, "{of}");
    }
    let _none = desk.run(&["rewind", "counter", "--to", "1000000"]).refused(1, "AH201", &["no turn", "1000000"]);
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
    let _none = desk.run(&["rewind", "counter.recording", "--to", "1000000"]).refused(2, "AW109", &["1000000"]);

    // The data folder has the release that was recorded.
    let same = desk.run(&["verify", "two.wasm", "--against", "counter.recording"]).well();
    assert!(same.stdout.contains("over 4 of 4 turns"), "{same:#?}");
    let wrong = desk.run(&["verify", "wrong.wasm", "--against", "counter.recording"]);
    let _wrong = wrong.refused(1, "AW108", &["anna", "--allow answers"]);
    let _borne = desk.run(&["verify", "wrong.wasm", "--against", "counter.recording", "--allow", "answers"]).well();
    let twice = desk.run(&["verify", "twice.wasm", "--against", "counter.recording", "--last", "1", "--json"]);
    let found = parsed(&twice.stdout);
    assert_eq!((twice.exit, &found["compared"]), (Some(1), &json!(1)), "{twice:#?}");
    assert_eq!(found["divergence"]["kinds"], json!(["state"]), "{found}");

    // Elsewhere, with the files alone.
    let other = Desk::new();
    let recording = fs::read(desk.path().join("counter.recording")).unwrap();
    let file = other.write("a.recording", &recording);
    other.write("two.wasm", fs::read(desk.path().join("two.wasm")).unwrap());
    let same = other.run(&["verify", "two.wasm", "--against", "a.recording"]).well();
    assert!(same.stderr.contains("is not here"), "{same:#?}");
    let mut damaged = recording;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(file, damaged).unwrap();
    let _damaged = other.run(&["verify", "two.wasm", "--against", "a.recording"]).refused(2, "AW102", &["damaged"]);
    let _none = other.run(&["verify", "two.wasm", "--against", "b.recording"]).refused(2, "AW101", &["b.recording"]);
    let _none = other.run(&["verify", "three.wasm", "--against", "a.recording"]).refused(2, "AW102", &["damaged"]);
}
