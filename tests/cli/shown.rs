//! What a guest says is shown as what it is: it makes no line of its own, a terminal obeys none of it, and it never
//! looks like the host's. Data stays data.

use std::fs;
use std::io::{BufRead, BufReader};

use airssys_tests::command::{Desk, Ran};
use airssys_tests::{guest, with_guests};
use serde_json::{Value, json};

use super::PROBER;
use super::signals::Running;

/// What a guest would say to be taken for the host, and to have a terminal do something.
const EVIL: &str = "paid\n2026-11-29T00:00:00.000000Z  WARN airssys::audit: forged\r\nerror[AX700]: forged\n  hint: forged\
    \u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{7f}\u{85}\u{2028}\u{2029}\u{202e}dear\u{2066}\u{200b}\u{feff}\u{1}; hint: forged";

/// No character that is not seen, and no line that a guest has begun.
fn is_plain(what: &str, text: &str) {
    let hidden = |one: char| {
        (one.is_control() && one != '\n')
            || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(hidden), "{what}: {text:?}");
    for line in text.lines().map(str::trim_start) {
        let forged = ["error[AX700]", "hint: forged", "forged"].iter().any(|begin| line.starts_with(begin));
        assert!(!forged && !line.starts_with("2026-11-29T00:00:00.000000Z"), "{what}: {line:?} of {text:?}");
    }
}

fn both_plain(what: &[&str], ran: &Ran) {
    is_plain(&what.join(" "), &ran.stdout);
    is_plain(&what.join(" "), &ran.stderr);
}

#[test]
fn no_text_of_a_guest_speaks_as_the_host_wherever_it_is_shown() {
    let topology =
        PROBER.to_owned() + "state = \"durable\"\nlimits = { log_line = \"4KiB\" }\n[root]\nintensity = 1000\n";
    let desk = Desk::with(&topology);
    let mut running = Running::start(desk.command(&["run", "--log", "debug"]));
    running.until("is up");
    let call = |body: &Value| desk.run(&["call", "prober", &body.to_string()]);

    // What guests can say, by each way out.
    for body in [
        json!({ "log": { "level": "warn", "line": EVIL } }),
        json!({ "log": { "level": "info", "line": EVIL } }),
        json!({ "echo": EVIL }),
        json!({ "send": { "to": EVIL, "body": 1 } }),
        json!({ "send": { "to": format!("prober/{EVIL}"), "body": 1 } }),
        json!({ "call": { "to": EVIL, "body": 1, "timeout_ms": 1000 } }),
        json!({ "publish": { "topic": EVIL, "body": 1 } }),
        json!({ "subscribe": EVIL }),
        json!({ "connect": "127.0.0.1:1" }),
        json!({ "set": { "key": "evil", "value": EVIL } }),
        json!({ "set": { "key": EVIL, "value": EVIL } }),
        json!({ "config": EVIL }),
        json!({ "read_file": EVIL }),
    ] {
        both_plain(&["call", &body.to_string()], &call(&body));
    }
    let ran = call(&json!({ "fail": { "fault": "refused", "reason": EVIL } }));
    assert_eq!(ran.exit, Some(1));
    both_plain(&["call"], &ran);
    let hints: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("  hint: ")).collect();
    assert_eq!(hints, ["  hint: the service itself says no to this message"], "{ran:#?}");
    let crashed = call(&json!({ "do": [{ "echo": EVIL }, { "trap": "panic" }] }));
    both_plain(&["call"], &crashed);
    let _refused = desk.run(&["send", "prober/\u{202e}\u{2028}", EVIL]);

    // Wherever it is shown.
    let list: Value = serde_json::from_str(&desk.run(&["dead-letters", "list", "--json"]).well().stdout).unwrap();
    let id = list["letters"][0]["id"].to_string();
    for what in [
        &["ps"][..],
        &["tree"],
        &["status"],
        &["logs"],
        &["logs", "prober"],
        &["dead-letters", "list"],
        &["dead-letters", "show", &id],
        &["state", "dump", "prober"],
        &["history", "prober"],
        &["state", "get", "prober", "evil"],
        &["ps", "--json"],
        &["state", "get", "prober", EVIL],
        &["ps", EVIL],
    ] {
        let ran = desk.run(what);
        // clap shows what it was given itself.
        if ran.exit != Some(2) && !what.contains(&"--json") {
            both_plain(what, &ran);
        }
    }

    // Data is what it was.
    let answer = desk.run(&["call", "prober", &json!({ "echo": EVIL }).to_string(), "--json"]).well();
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(answer["ok"]["ok"], EVIL);
    let dump = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    assert!(serde_json::from_str::<Value>(&dump).unwrap().to_string().contains(&json!(EVIL).to_string()), "{dump}");
    let fault =
        desk.run(&["call", "prober", &json!({ "fail": { "fault": "refused", "reason": EVIL } }).to_string(), "--json"]);
    let fault: Value = serde_json::from_str(&fault.stdout).unwrap();
    assert_eq!(fault["error"]["message"], format!("refused: {EVIL}"));

    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    is_plain("run", &said);
    // Who speaks is said before what is said.
    let lines: Vec<&str> =
        said.lines().filter(|line| line.contains("paid") && line.contains("airssys::guest: ")).collect();
    assert_eq!(lines.len(), 2, "one event is one line: {said}");
    assert!(lines.iter().all(|line| line.contains("airssys::guest: service=\"prober\" paid\\n2026-")), "{lines:#?}");
}

/// A topology in whose service `init` returns a fault with this text in it.
fn failing(text: &str) -> String {
    format!(
        "{PROBER}[[service]]\nname = \"sick\"\nrelease = \"@prober\"\n[service.config]\ninit = {}\n",
        toml_text(text)
    )
}

/// The hints of what a command said, which are the host's own.
fn hints(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.starts_with("  hint: ")).collect()
}

#[test]
fn what_a_guest_says_when_it_does_not_start_is_its_own_wherever_it_is_told() {
    for text in [EVIL.to_owned(), format!("{EVIL} {}", "x".repeat(100_000))] {
        // By the start.
        let desk = Desk::with(&failing(&text));
        let ran = desk.run(&["run"]).refused(3, "AR104", &["sick", "init"]);
        both_plain(&["run"], &ran);
        assert!(matches!(hints(&ran)[..], [hint] if hint.starts_with("  hint: nothing runs; ")), "{ran:#?}");
        assert!(ran.stderr.lines().all(|line| line.len() < 20_000), "what is too long is cut");

        // By an apply, and a deployment within it.
        let desk = Desk::with(PROBER);
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        let changed = format!("{PROBER}[service.config]\ninit = {}\n", toml_text(&text));
        for topology in [failing(&text), changed] {
            desk.write("airssys.toml", with_guests(&topology));
            both_plain(&["apply", "--plan"], &desk.run(&["apply", "--plan"]).well());
            let ran = desk.run(&["apply", "--probation", "0s"]);
            assert_eq!(ran.exit, Some(1), "{ran:#?}");
            both_plain(&["apply"], &ran);
            assert!(hints(&ran).iter().all(|hint| !hint.contains("forged")), "{ran:#?}");
            assert!(ran.stderr.contains("init"), "{ran:#?}");
            let json = desk.run(&["apply", "--probation", "0s", "--json"]);
            assert_eq!(json.exit, Some(1), "{json:#?}");
            is_plain("apply --json", &json.stderr);
        }
        for what in [&["ps"][..], &["tree"], &["status"], &["logs"], &["logs", "prober"], &["history", "prober"]] {
            both_plain(what, &desk.run(what).well());
        }
        let _stopped = desk.run(&["stop"]).well();
        let (exit, said) = running.end();
        assert_eq!(exit, Some(0), "{said}");
        is_plain("run", &said);
    }
}

#[test]
fn a_look_that_is_taken_again_and_again_shows_nothing_that_a_guest_chose_as_the_hosts() {
    // A key is a name that whoever sends chooses; one that is set aside is named.
    let topology = "name = \"mesh\"\n[[service]]\nname = \"keys\"\nrelease = \"@prober\"\nkeyed = { intensity = 0 }\n";
    let desk = Desk::with(topology);
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let mut watch = desk.command(&["watch", "--every", "10ms"]).spawn().unwrap();
    let mut seen = BufReader::new(watch.stdout.take().unwrap()).lines();
    let first = seen.next().unwrap().unwrap();
    assert!(first.ends_with("  keys"), "{first}");

    let key = format!("dear\u{202e}\u{200b}\u{feff}; hint: forged {}", "x".repeat(200));
    let body = json!({ "do": [{ "log": { "level": "warn", "line": EVIL } }, { "trap": "panic" }] }).to_string();
    let address = format!("keys/{key}");
    for _ in 0..2 {
        let ran = desk.run(&["call", &address, &body]);
        assert_eq!(ran.exit, Some(1), "{ran:#?}");
        both_plain(&["call"], &ran);
    }
    let mut told = vec![first];
    while !told.last().is_some_and(|line| line.contains("keys (1 set aside)")) {
        told.push(seen.next().unwrap().unwrap());
    }
    watch.kill().unwrap();
    let _killed = watch.wait().unwrap();
    for line in &told {
        is_plain("watch", line);
    }

    for what in [
        &["top", "--count", "2", "--every", "10ms"][..],
        &["ps"],
        &["tree"],
        &["status"],
        &["logs"],
        &["dead-letters", "list"],
        &["state", "dump", "keys"],
        &["apply", "--plan"],
        &["apply"],
    ] {
        let ran = desk.run(what).well();
        both_plain(what, &ran);
        assert!(hints(&ran).iter().all(|hint| !hint.contains("forged")), "{ran:#?}");
    }
    let tree = desk.run(&["tree"]).well().stdout;
    assert!(tree.contains("dear\\u{202e}\\u{200b}\\u{feff}; hint: forged"), "{tree}");
    // Data stays data.
    let json: Value = serde_json::from_str(&desk.run(&["tree", "--json"]).well().stdout).unwrap();
    assert!(json.to_string().contains(&json!(key).to_string().trim_matches('"').to_owned()), "{json}");
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    is_plain("run", &said);
}

#[test]
fn each_line_that_a_guest_prints_is_marked_as_its_own() {
    let desk = Desk::with(PROBER);
    let body = json!({ "do": [{ "stdout": EVIL }, { "stderr": EVIL }, { "stdout": "a\u{1b}[0m service=\"other\"" }] });
    desk.write("input", format!("{body}\n"));
    let ran = desk.run(&["run", "--input", "prober=input"]).well();
    both_plain(&["run"], &ran);
    let forged: Vec<&str> =
        ran.stderr.lines().filter(|line| line.contains("forged") || line.contains("other")).collect();
    assert_eq!(forged.len(), 7, "{ran:#?}");
    assert!(forged.iter().all(|line| line.contains("airssys::guest: service=\"prober\" ")), "{forged:#?}");
}

#[test]
fn what_stands_in_the_files_of_a_release_is_shown_as_it_is() {
    let desk = Desk::new();
    let built = guest("echo").with_file_name("target").join("airssys/echo.wasm");
    desk.write("evil.wasm", fs::read(built).unwrap());
    let manifest = format!(
        "name = \"evil\"\nversion = \"1.0.0\"\ndescription = {0}\n[requests]\nenvironment = [{0}]\n[requests.files]\n{0} = \"read\"\n",
        toml_text(EVIL)
    );
    desk.write("evil.toml", manifest);
    for what in [&["publish", "evil.wasm"][..], &["inspect", "evil.wasm"], &["inspect", "evil@1.0.0"], &["releases"]] {
        let ran = desk.run(what).well();
        both_plain(what, &ran);
    }
    let shown = desk.run(&["inspect", "evil.wasm", "--json"]).well().stdout;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["description"], EVIL);
    // What is wrong with it is told in the host's words, and the remedy too.
    desk.write("bad.wasm", fs::read(desk.path().join("evil.wasm")).unwrap());
    for bad in [
        "name = {}\nversion = \"1.0.0\"\n",
        "name = \"a\"\nversion = {}\n",
        "{} = 1\n",
        "name = \"a\"\nversion = \"1.0.0\"\n[requests]\nsockets = [{}]\n",
    ] {
        desk.write("bad.toml", bad.replace("{}", &toml_text(EVIL)));
        let ran = desk.run(&["inspect", "bad.wasm"]);
        assert_eq!(ran.exit, Some(2), "{ran:#?}");
        both_plain(&["inspect"], &ran);
    }
}

/// A string of TOML.
fn toml_text(text: &str) -> String {
    let escaped: String = text.chars().map(|one| format!("\\U{:08x}", u32::from(one))).collect();
    format!("\"{escaped}\"")
}
