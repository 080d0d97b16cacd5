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
    let is_all_there = |logged: &str| logged.contains("here again") && logged.contains("is up again");
    while !is_all_there(&desk.run(&["logs", "prober"]).stdout) {}
    running.child.kill().unwrap();
    let _killed = running.end();

    let prober = desk.run(&["logs", "prober"]).well().stdout;
    let place = |part: &str| prober.find(part).unwrap_or_else(|| panic!("no {part:?} in {prober}"));
    // What guests say and what happens come on two ways, each in its order.
    assert!(["hello there", "here again"].map(place).is_sorted(), "{prober}");
    let events = [
        "info   (host)  started: prober is up, incarnation 1",
        "warn   (host)  dead-letter: message ",
        "warn   (host)  ended: prober has ended, incarnation 1: trap",
        "info   (host)  restarted: prober is up again, incarnation 2",
    ];
    assert!(events.map(place).is_sorted(), "{prober}");
    for event in events {
        let kind = event.split_once("(host)  ").unwrap().1.split(':').next().unwrap();
        assert_eq!(prober.matches(&format!("(host)  {kind}: ")).count(), 1, "each stands there once: {prober}");
    }
    assert_eq!(prober.matches("  (host)  ").count(), 4, "what is told as an event is told as nothing else: {prober}");
    assert!(!prober.contains("echo"), "{prober}");
    let echo = desk.run(&["logs", "echo"]).well().stdout;
    assert_eq!(echo.lines().count(), 1, "it was started, and that is all: {echo}");
    let last = desk.run(&["logs", "--tail", "1"]).well().stdout;
    assert!(last.contains("here again") && last.lines().count() == 1, "{last}");
    let mut ended = 0;
    for line in desk.run(&["logs", "--json"]).well().stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["fields"]["kind"] == "ended" {
            ended += 1;
            assert_eq!((&record["target"], &record["fields"]["reason"]), (&"airssys::event".into(), &"trap".into()));
            assert!(record["fields"]["number"].is_u64(), "{line}");
        }
        assert!(record["at"].is_string() && record["level"].is_string() && record["target"].is_string(), "{line}");
    }
    assert_eq!(ended, 1);
    let none = desk.run(&["logs", "nobody"]).well();
    assert!(none.stdout.is_empty() && none.stderr.contains("`nobody`") && none.stderr.contains("prober"), "{none:#?}");
}

#[test]
fn a_log_of_an_earlier_host_is_read_and_gone_on_with() {
    let desk = Desk::with(&mesh());
    let earlier = concat!(
        r#"{"at":"2026-01-01T00:00:00.000Z","level":"info","target":"airssys_rt_shim::supervisor::executor","message":"starts","fields":{"child":"mesh/prober","generation":1}}"#,
        "\n",
        r#"{"at":"2026-01-01T00:00:01.000Z","level":"info","target":"airssys::guest","message":"an old word","fields":{"service":"prober"}}"#,
        "\n",
        r#"{"at":"2026-01-01T00:00:02.000Z","level":"debug","target":"airssys::dead","message":"dead letter","fields":{"id":7,"to":"prober","reason":"it crashed"}}"#,
        "\n",
    );
    std::fs::create_dir_all(desk.path().join(".airssys/log")).unwrap();
    desk.write(".airssys/log/host.jsonl", earlier);
    let told = [
        "2026-01-01T00:00:00.000Z  info   (host)  starts  child=mesh/prober  generation=1",
        "2026-01-01T00:00:01.000Z  info   prober  an old word",
        "2026-01-01T00:00:02.000Z  debug  (host)  dead letter  id=7  reason=it crashed  to=prober",
    ];
    let before = desk.run(&["logs", "prober"]).well().stdout;
    assert_eq!(before.lines().collect::<Vec<_>>(), told);
    let running = up(&desk);
    let _stopped = desk.run(&["stop"]).well();
    let _ended = running.end();
    let after = desk.run(&["logs", "prober"]).well().stdout;
    let after: Vec<&str> = after.lines().collect();
    assert_eq!(after[..3], told);
    assert!(after[3].contains("started: prober is up") && after[4].contains("ended: prober has ended"), "{after:#?}");
}

#[test]
fn a_start_that_fails_says_in_the_log_what_happened() {
    let desk = Desk::with(&format!("{PROBER}config = {{ init = \"fault\" }}\n"));
    let failed = desk.run(&["run"]);
    assert_ne!(failed.exit, Some(0), "{failed:#?}");
    let logged = desk.run(&["logs", "prober"]).well().stdout;
    assert!(logged.contains("ended: prober has ended, incarnation 1: "), "{logged}");
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
