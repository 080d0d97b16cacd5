//! A host answers whoever asks it something, also where nobody reads what it says.

use std::io::Read;

use airssys_tests::command::Desk;
use prober_protocol::{Command, LogLevel};

use super::PROBER;
use super::signals::Host;

/// How many lines the guest logs, and how long each of them is: ten times what waits at most for who reads.
const LINES: u64 = 1_500;
const BYTES: usize = 7_000;

/// A host of a prober that logs far more than a pipe and a queue hold, while nobody reads stderr.
fn unread() -> (Desk, Host) {
    let desk = Desk::with(&format!("{PROBER}limits = {{ turn_budget = \"60s\", turn_deadline = \"2m\" }}\n"));
    let host = Host(desk.command(&["run"]).spawn().unwrap());
    while desk.run(&["ps"]).exit != Some(0) {}
    let line = Command::Log { level: LogLevel::Info, line: "x".repeat(BYTES) };
    let body = String::from_utf8(Command::Times(LINES, Box::new(line)).bytes()).unwrap();
    let _flooded = desk.run(&["call", "--timeout", "100s", "prober", &body]).well();
    (desk, host)
}

#[test]
fn who_does_not_read_stderr_holds_up_nobody_and_is_told_what_is_missing() {
    let (desk, mut host) = unread();
    for _ in 0..3 {
        let _answered = desk.run(&["call", "prober", "\"count\""]).well();
        let _listed = desk.run(&["ps"]).well();
    }
    // Somebody reads on: what waited is there, and where the rest is missing that is said.
    let mut stderr = host.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(host.wait().unwrap().code(), Some(0));
    let said = reader.join().unwrap().unwrap();
    let there = said.lines().filter(|line| line.contains("xxx")).count() as u64;
    let lost: u64 = said.lines().filter_map(|line| line.split_once("lost=")?.1.parse::<u64>().ok()).sum();
    assert!(there > 0 && lost > 0, "{there} lines and {lost} lost");
    // What the host itself said may be among what is lost.
    assert!((LINES..LINES + 10).contains(&(there + lost)), "{there} lines and {lost} lost");
    assert!(said.lines().any(|line| line.contains("lines are missing here")));
    assert!(said.contains("stopped in"), "what is said last is there");
}

#[test]
fn a_host_ends_in_order_where_nobody_ever_reads_stderr() {
    let (desk, mut host) = unread();
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(host.wait().unwrap().code(), Some(0));
    // What was logged is in the data folder, and it is said where something is missing there.
    let logged = desk.run(&["logs", "--json"]).well().stdout;
    let lost: u64 =
        logged.lines().filter_map(|line| line.split_once("\"lost\":")?.1.split('}').next()?.parse::<u64>().ok()).sum();
    let there = logged.lines().filter(|line| line.contains("xxx")).count() as u64;
    assert!(there + lost >= LINES, "{there} lines and {lost} lost");
}
