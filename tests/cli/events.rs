//! What happens in a running host is there to be read, and to be followed.

use std::io::{BufRead, BufReader, Lines};
use std::process::ChildStdout;

use airssys_tests::command::Desk;
use airssys_tests::shifter;
use airssys_wasm::events::{Event, Happening, Kind};
use serde_json::{Value, json};

use super::control::{Raw, stop, up};
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

#[test]
fn a_deployment_is_followed_from_another_terminal() {
    let desk = Desk::with("name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n");
    for name in ["one", "two"] {
        desk.write(&format!("{name}.wasm"), shifter(name, "healthy"));
    }
    let running = up(&desk, &[]);
    let (following, mut lines) = follow(&desk, &["counter", "--kind", "deployment", "--json"]);
    let deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "10ms"]).well();
    assert!(deployed.stderr.contains("probation"), "where it is, is told as it comes further: {deployed:#?}");
    for state in ["switching", "probation", "live"] {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&event["kind"], &event["state"]), (&json!("deployment"), &json!(state)), "{event}");
    }
    stop(&desk, running);
    assert_eq!(following.end().0, Some(0));
    assert!(lines.next().is_none());
}

#[test]
fn events_that_gave_way_are_counted_and_said() {
    let desk = Desk::with(&format!("{}[settings]\nevents = 2\n", mesh()));
    let running = up(&desk, &[]);
    crash(&desk);
    // The supervisor may be behind the answer.
    while !desk.run(&["events"]).well().stdout.contains("is up again") {}
    let told = desk.run(&["events"]).well().stdout;
    assert!(told.starts_with("3 events before the next line: ") && told.lines().count() == 3, "{told}");
    let told = desk.run(&["events", "--json"]).well().stdout;
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told[0], json!({ "kind": "lost", "events": 3 }));
    assert_eq!((&told[1]["number"], &told[2]["number"]), (&json!(4), &json!(5)), "{told:#?}");
    stop(&desk, running);
}

#[test]
fn a_client_that_reads_nothing_is_told_what_it_lost_and_holds_up_nobody() {
    let desk = Desk::with(&format!("{}[settings]\nevents = 10\n", mesh()));
    let running = up(&desk, &[]);
    let mut stalled = Raw::welcome(&desk);
    stalled.say(r#"{"request":"events","service":"prober","kinds":["dead-letter"],"follow":true}"#);
    let mut busy = Raw::welcome(&desk);
    // Far more than the kernel keeps for one who does not read; each is a dead letter, as nobody waits for the fault.
    let messages = 3_000;
    for _ in 0..messages {
        let sent = busy.ask(r#"{"request":"send","to":"prober","key":null,"body":{"text":"no command"}}"#);
        assert_eq!(sent["ok"], Value::Null, "{sent}");
    }
    while busy.ask(r#"{"request":"status"}"#)["ok"]["dead_letters"] != messages {}
    let (mut told, mut lost, mut last) = (0, 0, 0);
    while last < messages + 2 {
        let line = stalled.answer();
        if line["ok"]["kind"] == "lost" {
            lost += line["ok"]["events"].as_u64().unwrap();
            last += line["ok"]["events"].as_u64().unwrap();
        } else {
            told += 1;
            last = line["ok"]["number"].as_u64().unwrap();
        }
    }
    assert!(told > 0 && lost > 0, "{told} told, {lost} lost");
    stop(&desk, running);
}

#[test]
fn a_reader_that_is_killed_leaves_its_place_to_the_next_one() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    for _ in 0..20 {
        // Eight at a time; the host may be behind the kill.
        loop {
            let (mut following, mut lines) = follow(&desk, &[]);
            let first = lines.next();
            following.child.kill().unwrap();
            let (_killed, said) = following.end();
            if first.is_some_and(|line| line.unwrap().contains("echo is up")) {
                break;
            }
            assert!(said.contains("told what happens already"), "{said}");
        }
    }
    stop(&desk, running);
}

#[test]
fn who_follows_ends_quietly_when_nobody_reads_any_more_also_where_nothing_happens() {
    let desk = Desk::with(&mesh());
    let running = up(&desk, &[]);
    for lines in [0, 1] {
        for what in [&["events", "--follow"][..], &["events", "--follow", "--json"], &["events"]] {
            let mut following = Running::start(desk.command(what));
            let mut stdout = BufReader::new(following.child.stdout.take().unwrap()).lines();
            for line in stdout.by_ref().take(lines) {
                assert!(line.unwrap().contains("started"));
            }
            drop(stdout);
            assert_eq!(following.end(), (Some(0), String::new()), "{what:?} after {lines} lines");
        }
    }
    let mut nothing = Running::start(desk.command(&["events", "--follow", "--kind", "gave-up"]));
    drop(nothing.child.stdout.take());
    assert_eq!(nothing.end(), (Some(0), String::new()));
    let mut logs = Running::start(desk.command(&["logs", "--follow", "nobody"]));
    drop(logs.child.stdout.take());
    assert_eq!(logs.end(), (Some(0), String::new()));
    stop(&desk, running);
}

/// An event of each kind, with all that it can have.
fn one_of_each() -> Vec<(Option<&'static str>, Happening)> {
    let text = str::to_owned;
    let shop = Some("shop");
    vec![
        (shop, Happening::Started { actor: text("shop#1"), incarnation: 1 }),
        (
            shop,
            Happening::Ended {
                actor: text("shop#1"),
                incarnation: 1,
                reason: text("trap"),
                detail: Some(text("trap: unreachable in shop::price")),
            },
        ),
        (shop, Happening::Restarted { actor: text("shop#1"), incarnation: 2 }),
        (shop, Happening::SetAside { actor: text("shop/alice"), for_ms: 30_000 }),
        (
            shop,
            Happening::Suspended {
                actor: text("shop/alice"),
                reason: text("schema"),
                detail: text("its state is in schema 2, and the release keeps schema 1"),
            },
        ),
        (None, Happening::GaveUp { supervisor: text("mesh/back"), child: text("mesh/back/store") }),
        (shop, Happening::Swapped { actor: text("shop"), sha256: "3b7a9c41".repeat(8) }),
        (
            shop,
            Happening::Deployment {
                state: text("baking"),
                release: text("shop@1.1.0"),
                step: Some(1),
                steps: Some(3),
                reason: None,
            },
        ),
        (
            shop,
            Happening::Deployment {
                state: text("rolled-back"),
                release: text("shop@1.1.0"),
                step: None,
                steps: None,
                reason: Some(text("shop crashed on probation: trap: unreachable")),
            },
        ),
        (
            None,
            Happening::Apply {
                state: text("undone"),
                changes: 2,
                reason: Some(text("shop: init failed: no catalogue")),
            },
        ),
        (shop, Happening::Operator { state: text("stopped"), kept: true }),
        (shop, Happening::Grant { state: text("revoked"), grant: text("call"), target: text("till/*"), kept: false }),
        (
            None,
            Happening::Listener {
                listener: text("127.0.0.1:0"),
                address: text("127.0.0.1:40123"),
                state: text("listening"),
            },
        ),
        (
            shop,
            Happening::DeadLetter {
                id: 12,
                to: text("shop/alice"),
                sender: Some(text("till")),
                delivery: text("send"),
                reason: text("crashed"),
                detail: Some(text("trap: unreachable in shop::price")),
            },
        ),
        (
            shop,
            Happening::Denied {
                actor: text("shop"),
                operation: text("send"),
                target: text("vault"),
                missing: text("no grant of service shop allows it"),
            },
        ),
        (
            shop,
            Happening::LimitReached { limit: text("mailbox"), detail: text("the mailbox of shop is full"), times: 17 },
        ),
        (
            Some("filter"),
            Happening::PassedBy { state: text("down"), reason: text("it has not answered in time"), passed: 0 },
        ),
        (Some("filter"), Happening::PassedBy { state: text("back"), reason: text(""), passed: 17 }),
        (
            None,
            Happening::Audit {
                state: text("broken"),
                detail: text("the audit cannot be written: No space left on device (os error 28)"),
            },
        ),
        (
            None,
            Happening::Log {
                log: text("all"),
                state: text("lost"),
                detail: text("lines of the log are lost, 17 so far: more came than could be written"),
            },
        ),
    ]
}

/// As `airssys events --json` prints it.
fn line((number, (service, what)): (usize, (Option<&str>, Happening))) -> String {
    let mut event = json!({ "number": number + 1, "at": "2026-05-04T09:12:40.118Z" });
    let fields = event.as_object_mut().unwrap();
    fields.extend(service.map(|service| ("service".to_owned(), json!(service))));
    fields.extend(serde_json::to_value(what).unwrap().as_object().unwrap().clone());
    let event: Event = serde_json::from_value(event).unwrap();
    serde_json::to_value(event).unwrap().to_string()
}

#[test]
fn the_book_tells_every_kind_and_no_other_with_a_line_of_each() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../mdbook/src/operating.md");
    let page = std::fs::read_to_string(file).unwrap();
    let (kinds, about): (Vec<Kind>, Vec<&str>) = Kind::all().map(|(kind, _, about)| (kind, about)).unzip();
    let mut shown: Vec<Kind> = one_of_each().iter().map(|(_, what)| what.kind()).collect();
    shown.dedup();
    assert_eq!(shown, kinds, "each kind has a line");

    let lines: Vec<String> = one_of_each().into_iter().enumerate().map(line).collect();
    let above = "<!-- a line of each kind -->\n```json\n";
    let (before, rest) = page.split_once(above).unwrap();
    let (block, after) = rest.split_once("```\n").unwrap();
    let renewed = format!("{}\n{}\n", lines.join("\n"), r#"{"kind":"lost","events":3}"#);
    if std::env::var_os("AIRSSYS_RENEW_BOOK").is_some() {
        std::fs::write(file, format!("{before}{above}{renewed}```\n{after}")).unwrap();
    } else {
        assert_eq!(block, renewed, "renew it with AIRSSYS_RENEW_BOOK=1");
    }

    // The table has the same kinds, with the fields that the lines have.
    let (_, table) = page.split_once("| kind | what happened | what it has |\n|---|---|---|\n").unwrap();
    for (row, (kind, about)) in table.lines().take_while(|line| line.starts_with('|')).zip(kinds.iter().zip(&about)) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!((cells[1].trim_matches('`'), cells[2]), (kind.to_string().as_str(), *about));
        let mut has = std::collections::BTreeSet::new();
        for line in &lines {
            let event: Value = serde_json::from_str(line).unwrap();
            if event["kind"] == kind.to_string() {
                has.extend(event.as_object().unwrap().keys().cloned());
            }
        }
        let common = ["number", "at", "service", "kind"];
        for field in has.iter().filter(|field| !common.contains(&field.as_str())) {
            assert!(cells[3].contains(&format!("`{field}`")), "`{field}` of `{kind}` is not in the table");
        }
    }
    assert_eq!(table.lines().take_while(|line| line.starts_with('|')).count(), kinds.len());
}
