//! What guests said and what the host did is there to be read: while it runs, and when it is gone.

use std::io::{BufRead, BufReader};

use airssys_tests::command::Desk;
use serde_json::Value;

use super::signals::Running;
use super::{ECHO, PROBER};

/// Two services, of which one speaks.
fn mesh() -> String {
    format!("{ECHO}[[service]]{}[root]\nintensity = 1000\n", PROBER.split_once("[[service]]").unwrap().1)
}

fn up(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn says(desk: &Desk, text: &str) {
    let body = serde_json::json!({ "stdout": text }).to_string();
    let _said = desk.run(&["call", "prober", &body]).well();
}

#[test]
fn a_log_outlives_its_host_and_is_asked_by_service() {
    let desk = Desk::with(&mesh());
    let mut running = up(&desk);
    says(&desk, "hello there");
    let crashed = desk.run(&["call", "prober", "{\"trap\":\"panic\"}"]);
    assert_ne!(crashed.exit, Some(0), "{crashed:#?}");
    says(&desk, "here again");
    // A thread of the host's writes it: a host that is killed before that takes its last lines along.
    while !desk.run(&["logs", "prober"]).stdout.contains("here again") {}
    running.child.kill().unwrap();
    let _killed = running.end();

    let prober = desk.run(&["logs", "prober"]).well().stdout;
    let place = |part: &str| prober.find(part).unwrap_or_else(|| panic!("no {part:?} in {prober}"));
    let order = ["starts", "hello there", "crashed", "starts  child=mesh/prober  generation=2", "here again"];
    assert!(order.map(place).is_sorted(), "{prober}");
    assert!(prober.contains("dead letter") && !prober.contains("echo"), "{prober}");
    let echo = desk.run(&["logs", "echo"]).well().stdout;
    assert_eq!(echo.lines().count(), 1, "it was started, and that is all: {echo}");
    let last = desk.run(&["logs", "--tail", "1"]).well().stdout;
    assert!(last.contains("here again") && last.lines().count() == 1, "{last}");
    for line in desk.run(&["logs", "--json"]).well().stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["at"].is_string() && record["level"].is_string() && record["target"].is_string(), "{line}");
    }
    let none = desk.run(&["logs", "nobody"]).well();
    assert!(none.stdout.is_empty() && none.stderr.contains("`nobody`") && none.stderr.contains("prober"), "{none:#?}");
}

#[test]
fn a_log_is_followed_from_one_host_to_the_next() {
    let desk = Desk::with(&mesh());
    // Nothing is there yet.
    let mut following = Running::start(desk.command(&["logs", "--follow", "prober"]));
    let mut lines = BufReader::new(following.child.stdout.take().unwrap()).lines();
    let mut until = |part: &str| while !lines.next().unwrap().unwrap().contains(part) {};
    for round in ["first", "second"] {
        let running = up(&desk);
        says(&desk, round);
        until(round);
        let _stopped = desk.run(&["stop"]).well();
        let _ended = running.end();
        until("ended");
    }
}

#[test]
fn what_a_guest_says_is_one_line_that_nothing_obeys() {
    let desk = Desk::with(&mesh());
    let running = up(&desk);
    let forged = "2026-01-01T00:00:00.000Z  error  (host)  all is lost\u{1b}[2J\rgone";
    says(&desk, forged);
    let _stopped = desk.run(&["stop"]).well();
    let _ended = running.end();
    let text = desk.run(&["logs"]).well().stdout;
    let line = text.lines().find(|line| line.contains("all is lost")).unwrap();
    assert!(line.contains("  prober  ") && line.ends_with("\\u{1b}[2J\\rgone"), "{line:?}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
}

#[test]
fn no_log_is_told_with_how_to_have_one() {
    let desk = Desk::with(ECHO);
    let ran = desk.run(&["logs", "--data", "elsewhere"]).refused(2, "AL201", &["elsewhere", "airssys run"]);
    assert!(ran.stdout.is_empty() && !desk.path().join("elsewhere").exists(), "asking makes nothing");
}
