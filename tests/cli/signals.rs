//! How a run ends that is ended from outside: by a signal, or by a reader that goes away.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::process::{Child, ChildStderr, Command, Stdio};

use airssys_tests::command::Desk;

use super::{ECHO, PROBER};

/// A run that can be listened to.
pub(crate) struct Running {
    pub(crate) child: Host,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child: Host(child), stderr, said: String::new() }
    }

    /// Reads until a line says this.
    pub(crate) fn until(&mut self, says: &str) {
        while !self.said.lines().last().is_some_and(|line| line.contains(says)) {
            let read = self.stderr.read_line(&mut self.said).unwrap();
            assert!(read > 0, "it never said {says:?}: {}", self.said);
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; its exit code and all that it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        assert!(!self.said.contains("a bug in airssys"), "{}", self.said);
        (self.child.wait().unwrap().code(), self.said)
    }
}

/// A process that does not outlive its test, also where that fails.
pub(crate) struct Host(pub(super) Child);

impl Deref for Host {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _it_has_ended = self.0.kill();
    }
}

#[test]
fn a_mesh_without_an_input_serves_until_a_signal_stops_it_in_order() {
    for signal in ["INT", "TERM"] {
        let desk = Desk::with(ECHO);
        let mut running = Running::start(desk.command(&["run"]));
        running.until("mesh is up: 1 service");
        running.signal(signal);
        let (exit, said) = running.end();
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains("stopping in order") && said.contains("stopped in"), "{said}");
    }
}

#[test]
fn what_does_not_stop_in_time_is_killed_and_named() {
    let desk = Desk::with(&format!(
        "{PROBER}shutdown = \"50ms\"\nlimits = {{ turn_deadline = \"1h\", turn_budget = \"1h\" }}\nconfig = {{ stop = \"hang\" }}\n"
    ));
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running.signal("TERM");
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("had to be killed: mesh/prober"), "{said}");
    assert!(!said.contains("did not go even then"), "{said}");

    let mut running = Running::start(desk.command(&["run", "--strict"]));
    running.until("is up");
    running.signal("TERM");
    let (exit, said) = running.end();
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("error[AR304]") && said.contains("1 actors killed"), "{said}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let desk = Desk::with(&format!(
        "{PROBER}shutdown = \"infinity\"\nlimits = {{ turn_deadline = \"1h\", turn_budget = \"1h\" }}\nconfig = {{ stop = \"hang\" }}\n\
         [settings]\nshutdown_timeout = \"1h\"\n"
    ));
    for (signal, exit) in [("INT", 130), ("TERM", 143)] {
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        running.signal("TERM");
        running.until("stopping in order");
        running.signal(signal);
        let (ended, said) = running.end();
        assert_eq!(ended, Some(exit), "{said}");
    }
}

#[test]
fn a_signal_before_the_end_of_the_input_is_a_failure_and_is_told() {
    let desk = Desk::with(ECHO);
    let mut command = desk.command(&["run", "--input", "echo=-", "--json"]);
    let mut running = Running::start({
        command.stdin(Stdio::piped());
        command
    });
    running.child.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"line\":1,\"ok\":\"one\"}\n", "an answer does not wait for the end of the input");
    running.signal("TERM");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("{\"summary\":"), "{rest}");
    let (exit, said) = running.end();
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("error[AR303]"), "{said}");
}

#[test]
fn a_reader_that_stalls_holds_up_no_signal_and_no_stop() {
    let desk = Desk::with(ECHO);
    // Far more than a pipe and the host keep for one who does not read.
    desk.write("in", "a line of some length, so that no pipe holds all answers\n".repeat(200_000));
    let run = ["run", "--input", "echo=in", "--data", ".airssys"];
    for stop in [None, Some("TERM")] {
        let mut running = Running::start(desk.command(&run));
        let mut stdout = running.child.stdout.take().unwrap();
        let mut first = [0];
        stdout.read_exact(&mut first).unwrap();
        until_it_stalls(&desk);
        match stop {
            Some(signal) => running.signal(signal),
            None => assert!(desk.command(&["stop"]).status().unwrap().success()),
        }
        // Nobody has read a byte since then.
        let (ended, said) = running.end();
        assert_eq!(ended, Some(1), "{said}");
        assert!(said.contains("stopping in order") && said.contains("error[AR303]"), "{said}");
        assert!(said.contains("the last ones are lost"), "{said}");
        // What is in the pipe is whole to where it ends.
        let mut there = String::new();
        stdout.read_to_string(&mut there).unwrap();
        let lines: Vec<&str> = there.split('\n').collect();
        assert!(lines.len() > 100 && lines[..lines.len() - 1].iter().all(|line| line.ends_with("answers")));
    }
}

/// Until a host whose answers nobody reads handles no more messages.
fn until_it_stalls(desk: &Desk) {
    let handled = || {
        let services = desk.run(&["ps", "--json"]).well().stdout;
        serde_json::from_str::<serde_json::Value>(&services).unwrap()[0]["handled"].as_u64().unwrap()
    };
    let mut last = (0, 0);
    // It has come to nothing more in many looks, each of which takes it longer than thousands of messages.
    while last.1 < 20 {
        let now = handled();
        last = if now == last.0 && now > 0 { (now, last.1 + 1) } else { (now, 0) };
        assert!(now < 200_000, "it stalls nowhere");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let desk = Desk::with(ECHO);
    desk.write("in", "a line of some length, so that no pipe holds all answers\n".repeat(20_000));
    for arguments in [&["run", "--input", "echo=in"][..], &["run", "--input", "echo=in", "--json"]] {
        let mut running = Running::start(desk.command(arguments));
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        drop(stdout);
        let (exit, said) = running.end();
        assert_eq!((exit, said.as_str()), (Some(0), ""));
    }
    // Nobody reads from the beginning.
    for arguments in [&["check"][..], &["completions", "bash"], &["--help"]] {
        let mut running = Running::start(desk.command(arguments));
        drop(running.child.stdout.take());
        let (exit, said) = running.end();
        assert_eq!((exit, said.as_str()), (Some(0), ""));
    }
}

#[test]
fn nobody_who_reads_the_log_ends_nothing() {
    let desk = Desk::with(&format!("{PROBER}[root]\nintensity = 1000\n"));
    desk.write("in", "{\"trap\":\"panic\"}\n".repeat(100));
    let mut running = Running::start(desk.command(&["run", "--input", "prober=in"]));
    let mut stdout = String::new();
    let answers = running.child.stdout.take().unwrap();
    drop(running.stderr);
    BufReader::new(answers).read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout.lines().count(), 100, "{stdout}");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
