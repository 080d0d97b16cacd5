//! What happens in a running host is there to be read, and to be followed.

use std::io::{BufRead, BufReader, Lines};
use std::process::ChildStdout;

use airssys_tests::command::Desk;
use serde_json::Value;

use super::control::{stop, up};
use super::signals::Running;
use super::{ECHO, PROBER};

/// Two services, one of which crashes where it is asked to.
fn mesh() -> String {
    format!("{ECHO}[[service]]{}[root]\nintensity = 1000\n", PROBER.split_once("[[service]]").unwrap().1)
}

fn crash(desk: &Desk) {
    let crashed = desk.run(&["call", "prober", "{\"trap\":\"panic\"}"]);
    assert_ne!(crashed.exit, Some(0), "{crashed:#?}");
}

/// `airssys events --follow`, and what it prints.
fn follow(desk: &Desk, more: &[&str]) -> (Running, Lines<BufReader<ChildStdout>>) {
    let mut following = Running::start(desk.command(&[&["events", "--follow"], more].concat()));
    let lines = BufReader::new(following.child.stdout.take().unwrap()).lines();
    (following, lines)
}

#[test]
fn what_happened_is_printed_and_what_happens_is_followed_until_the_host_ends() {
    let desk = Desk::with(&mesh());
    let running = up(&desk, &[]);
    let (following, lines) = follow(&desk, &["prober", "--kind", "ended", "--kind", "restarted", "--json"]);
    crash(&desk);
    stop(&desk, running);
    let told: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let kinds: Vec<&str> = told.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ended", "restarted", "ended"], "{told:#?}");
    assert_eq!((&told[0]["reason"], &told[2]["reason"]), (&"trap".into(), &"shutdown".into()));
    assert!(told.iter().all(|event| event["service"] == "prober"), "{told:#?}");
    let (exit, said) = following.end();
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("the host has ended"), "{said}");
}

#[test]
fn without_follow_it_ends_and_bad_input_is_refused() {
    let desk = Desk::with(&mesh());
    let running = up(&desk, &[]);
    crash(&desk);
    // The supervisor may be behind the answer.
    while !desk.run(&["events", "prober"]).well().stdout.contains("is up again") {}
    let told = desk.run(&["events"]).well().stdout;
    let place = |part: &str| told.find(part).unwrap_or_else(|| panic!("no {part:?} in {told}"));
    let order =
        ["echo is up", "prober is up", "prober has ended, incarnation 1: trap", "prober is up again, incarnation 2"];
    assert!(order.map(place).is_sorted(), "{told}");
    assert!(!desk.run(&["events", "echo"]).well().stdout.contains("prober"));

    let bad = desk.run(&["events", "--kind", "crashed"]);
    assert_eq!(bad.exit, Some(2), "{bad:#?}");
    assert!(bad.stderr.contains("crashed") && bad.stderr.contains("started, ended, restarted"), "{bad:#?}");
    let _nobody = desk.run(&["events", "nobody", "--follow"]).refused(1, "AH201", &["nobody", "airssys ps"]);
    stop(&desk, running);
    let _no_host = desk.run(&["events"]).refused(4, "AH101", &["no host runs"]);
}
