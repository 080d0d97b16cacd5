//! `airssys capsules` and `airssys replay`: what a crash left is shown, and shown again.

use std::fs;

use airssys_tests::command::{Desk, Ran};
use airssys_tests::guest;
use serde_json::{Value, json};

use super::signals::Running;

const MESH: &str =
    "name = \"mesh\"\n[root]\nintensity = 1000\n[[service]]\nname = \"prober\"\nrelease = \"@prober\"\nrecorder = {}\n";

#[test]
fn a_crash_is_listed_shown_and_seen_again() {
    let desk = Desk::with(MESH);
    assert!(desk.run(&["capsules", "list"]).well().stdout.contains("no capsules"));
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let log = json!({ "log": { "level": "info", "line": "about to fall" } });
    let crash = json!({ "do": [{ "increment": { "key": "turns", "by": 1 } }, log, { "trap": "divide_by_zero" }] });
    let _crashed = desk.run(&["call", "prober", &crash.to_string()]);
    let list = || -> Vec<Value> {
        let listed = desk.run(&["capsules", "list", "--json"]).well().stdout;
        serde_json::from_str(&listed).unwrap()
    };
    // It is written when the crash was answered already.
    let one = loop {
        if let [one] = &list()[..] {
            break one.clone();
        }
    };
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
    assert_eq!((&one["actor"], &one["code"]), (&json!("prober"), &json!("trap")), "{one}");
    let name = one["capsule"].as_str().unwrap().to_owned();

    let shown = desk.run(&["capsules", "show", &name]).well().stdout;
    for says in ["prober crashed", "integer divide by zero", "what it did", "message", "the tree right after"] {
        assert!(shown.contains(says), "{says}: {shown}");
    }
    let all: Value = serde_json::from_str(&desk.run(&["capsules", "show", &name, "--json"]).well().stdout).unwrap();
    assert_eq!(all["code"], "trap");

    // The data folder keeps what served.
    let again = desk.run(&["replay", &name]).well();
    assert!(again.stdout.contains("the same crash") && again.stdout.contains("divide by zero"), "{again:#?}");
    assert!(again.stderr.contains("about to fall"), "its log: {again:#?}");

    // Elsewhere, with the files alone.
    let other = Desk::new();
    let capsule =
        other.write("a.capsule", fs::read(one["path"].as_str().map(|path| desk.path().join(path)).unwrap()).unwrap());
    let _missing = other.run(&["replay", "a.capsule"]).refused(2, "AW104", &["prober@", "--release"]);
    let prober = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let release = other.write("prober.wasm", fs::read(prober).unwrap());
    let release = release.to_str().unwrap();
    let told = other.run(&["replay", "a.capsule", "--release", release, "--json"]).well().stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["code"], &told["differs"]), (&json!("trap"), &json!([])), "{told}");
    assert_eq!(told["frames"], all["frames"]);
    let echo = other.component("echo", "1.0.0");
    let _other =
        other.run(&["replay", "a.capsule", "--release", echo.to_str().unwrap()]).refused(2, "AW105", &["echo.wasm"]);

    let mut bytes = fs::read(&capsule).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&capsule, bytes).unwrap();
    for arguments in [&["replay", "a.capsule"][..], &["capsules", "show", "a.capsule"]] {
        let _damaged = other.run(arguments).refused(2, "AW102", &["a.capsule", "damaged"]);
    }
    let _nothing = other.run(&["capsules", "show", "b.capsule"]).refused(2, "AW101", &["b.capsule"]);
}

/// In a debugger.
mod gdb {
    use super::*;

    /// A guest that has the lines of its source, and one turn over which it crashes; the name of the capsule.
    fn crashed(desk: &Desk) -> String {
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        let _crashed = desk.run(&["call", "crasher", "trap"]);
        let one = loop {
            let listed = desk.run(&["capsules", "list", "--json"]).well().stdout;
            if let [one] = &serde_json::from_str::<Vec<Value>>(&listed).unwrap()[..] {
                break one["capsule"].as_str().unwrap().to_owned();
            }
        };
        let _stopped = desk.run(&["stop"]).well();
        assert_eq!(running.end().0, Some(0));
        one
    }

    #[test]
    fn a_crash_is_opened_in_gdb_at_the_line_of_the_guests_source() {
        let mesh = MESH.replace("\"prober\"", "\"crasher\"").replace("\"@prober\"", &format!("{:?}", guest("crasher")));
        let desk = Desk::with(&mesh);
        let capsule = crashed(&desk);
        let source = include_str!("../guests/crasher/src/lib.rs");
        let line = 1 + source.lines().position(|line| line.contains("abort()")).unwrap();
        let debugged = desk.run(&["replay", &capsule, "--debug"]).well();
        assert!(debugged.stdout.contains("SIGILL"), "it stops at the trap: {debugged:#?}");
        let own = debugged.stdout.lines().find(|line| line.contains("crasher::fall"));
        let own = own.unwrap_or_else(|| panic!("no frame of the guest's own source: {debugged:#?}"));
        assert!(own.contains(&format!("lib.rs:{line}")), "{own}");

        let mut without = desk.command(&["replay", &capsule, "--debug"]);
        let nowhere = without.env("PATH", desk.path()).output().unwrap();
        let _told = Ran::from(nowhere).refused(1, "AW111", &["gdb", "apt-get install gdb"]);
    }
}
