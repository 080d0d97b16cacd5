//! Whatever is said over the control socket is answered line by line, and the host goes on; whatever stands in a dump
//! is taken as it is or refused. What starts them is in `tests/fuzz/corpus`, and the damages are those of `fuzz.rs`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;

use airssys_tests::PATIENCE;
use airssys_tests::command::Desk;
use airssys_tests::random::Random;
use serde_json::{Value, json};

use super::PROBER;
use super::control::until;
use super::signals::Host;
use crate::fuzz::{changed, corpus, rounds};

/// A connection that was welcomed.
fn welcome(desk: &Desk) -> (UnixStream, BufReader<UnixStream>) {
    let stream = UnixStream::connect(desk.path().join(".airssys/control/socket")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    (&stream).write_all(b"{\"airssys\":1}\n").unwrap();
    answers.read_line(&mut String::new()).unwrap();
    (stream, answers)
}

#[test]
fn every_line_has_an_answer_whatever_it_says() {
    let desk = Desk::with(&format!("{PROBER}[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n"));
    let said = desk.path().join("said");
    let mut command = desk.command(&["run"]);
    let host = Host(command.stderr(File::create(&said).unwrap()).spawn().unwrap());
    until("it is up", || desk.run(&["status"]).exit == Some(0));

    let corpus = corpus("control");
    let (mut stream, mut answers) = welcome(&desk);
    for seed in rounds(3_000) {
        let mut line = changed(&mut Random::of(seed), &corpus);
        line.retain(|byte| *byte != b'\n');
        let text = String::from_utf8_lossy(&line).into_owned();
        // That would end it, and this would have an answer for as long as the host runs.
        if text.contains("\"stop\"") || text.contains("follow") {
            continue;
        }
        line.push(b'\n');
        stream.write_all(&line).unwrap_or_else(|error| panic!("AIRSSYS_SEED={seed}: {error}: {text:?}"));
        loop {
            let mut answer = String::new();
            match answers.read_line(&mut answer) {
                Ok(read) => assert!(read > 0, "AIRSSYS_SEED={seed}: the host hung up: {text:?}"),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("AIRSSYS_SEED={seed}: {error}: {text:?}"),
            }
            let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| {
                panic!("AIRSSYS_SEED={seed}: {error}: {answer:?} to {text:?}");
            });
            let refused = answer["error"]["code"].as_str().is_some_and(|code| !code.is_empty())
                && answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty());
            assert!(refused != answer.get("ok").is_some(), "AIRSSYS_SEED={seed}: {answer} to {text:?}");
            // Events are as many lines as there are, and a line that says nothing.
            let is_one_of_many = answer["ok"]["kind"].is_string() && text.contains("\"events\"");
            if refused || !is_one_of_many {
                break;
            }
        }
    }
    drop((stream, answers));
    assert_eq!(desk.run(&["call", "echo", "still there"]).well().stdout, "still there\n");
    let _stopped = desk.run(&["stop"]).well();
    drop(host);
    let said = fs::read_to_string(said).unwrap();
    assert!(!said.contains("panicked") && !said.contains("a bug in airssys"), "{said}");
}

#[test]
fn a_dump_is_put_back_as_it_is_or_changes_nothing() {
    let desk = Desk::with(&format!("{PROBER}state = \"durable\"\n"));
    let corpus = corpus("dump");
    let dumped =
        || serde_json::from_str::<Value>(&desk.run(&["state", "dump", "prober", "--json"]).well().stdout).unwrap();
    let load = |bytes: &[u8]| {
        let file = desk.write("dump.json", bytes);
        desk.run(&["state", "load", "prober", file.to_str().unwrap()])
    };
    let _well = load(&corpus[0]).well();
    let mut before = dumped();
    for seed in rounds(100) {
        let bytes = changed(&mut Random::of(seed), &corpus);
        let ran = load(&bytes).no_panic();
        let after = dumped();
        if ran.exit == Some(0) {
            let wanted: Value = serde_json::from_slice(&bytes).unwrap();
            let values = |dump: &Value| {
                let states = dump["states"].as_array().unwrap().iter();
                let mut all: Vec<Value> =
                    states.map(|state| json!([state["actor"], state["schema"], state["commits"]])).collect();
                all.sort_by_key(Value::to_string);
                all
            };
            assert_eq!(values(&after), values(&wanted), "AIRSSYS_SEED={seed}");
        } else {
            assert!(ran.stderr.contains("error["), "AIRSSYS_SEED={seed}: {ran:#?}");
            assert_eq!(after, before, "AIRSSYS_SEED={seed}: it was refused, and changed something");
        }
        before = after;
    }
}
