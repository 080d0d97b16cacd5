//! The command says what it did, ends with the code that it documents, and meets bad input with an error that names the
//! thing and the remedy.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "cli/apply.rs"]
mod apply;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/capsules.rs"]
mod capsules;
#[path = "cli/control.rs"]
mod control;
#[path = "cli/deploy.rs"]
mod deploy;
#[path = "cli/dev.rs"]
mod dev;
#[path = "cli/events.rs"]
mod events;
#[path = "cli/forget.rs"]
mod forget;
#[path = "cli/fuzzed.rs"]
mod fuzzed;
#[path = "cli/grants.rs"]
mod grants;
#[path = "cli/http.rs"]
mod http;
#[path = "cli/keep.rs"]
mod keep;
#[path = "cli/languages.rs"]
mod languages;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/new.rs"]
mod new;
#[path = "cli/readers.rs"]
mod readers;
#[path = "cli/recorded.rs"]
mod recorded;
#[path = "cli/releases.rs"]
mod releases;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/shown.rs"]
mod shown;
#[path = "cli/signals.rs"]
pub(crate) mod signals;
#[path = "cli/state.rs"]
mod state;
#[path = "cli/stops.rs"]
mod stops;
#[path = "cli/strict.rs"]
mod strict;
#[path = "cli/trial.rs"]
mod trial;
#[path = "cli/typed.rs"]
mod typed;

use airssys_tests::command::Desk;
use airssys_tests::guest;
use serde_json::{Value, json};

const ECHO: &str = "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n";
const PROBER: &str = "name = \"mesh\"\n[[service]]\nname = \"prober\"\nrelease = \"@prober\"\n";

const SUBCOMMANDS: [&str; 54] = [
    "new",
    "build",
    "inspect",
    "check",
    "test",
    "run",
    "dev",
    "publish",
    "releases",
    "remove",
    "retain",
    "keygen",
    "ps",
    "tree",
    "status",
    "send",
    "call",
    "emit",
    "apply",
    "caps",
    "caps why",
    "grant",
    "revoke",
    "deploy",
    "rollback",
    "history",
    "dead-letters",
    "dead-letters list",
    "dead-letters show",
    "dead-letters replay",
    "dead-letters drop",
    "state",
    "state dump",
    "state get",
    "state forget",
    "state load",
    "state verify",
    "events",
    "watch",
    "top",
    "log",
    "log list",
    "log level",
    "logs",
    "audit",
    "audit show",
    "audit verify",
    "capsules",
    "capsules list",
    "capsules show",
    "replay",
    "start",
    "stop",
    "completions",
];

#[test]
fn check_tells_what_is_well() {
    let desk = Desk::with(&format!("{ECHO}instances = 3\n"));
    let text = desk.run(&["check"]).well().stdout;
    assert!(text.starts_with("mesh is well: 1 service, 3 instances of the "), "{text}");
    assert!(text.contains("echo 0.1.0") && text.contains("3 actors, one mailbox"), "{text}");

    let found: Value = serde_json::from_str(&desk.run(&["check", "--json"]).well().stdout).unwrap();
    assert_eq!((&found["instances"], &found["services"][0]["lane"]), (&3.into(), &"async".into()));
    // The folder will do as well as the file in it.
    let elsewhere = Desk::new();
    assert!(elsewhere.run(&["check", desk.path().to_str().unwrap()]).well().stdout.contains("mesh is well"));
}

#[test]
fn inspect_tells_what_a_component_is_and_wants() {
    let desk = Desk::new();
    let prober = guest("prober");
    let text = desk.run(&["inspect".as_ref(), prober.as_os_str()]).well().stdout;
    for part in [
        "prober 0.1.0",
        "messages, lifecycle, health",
        "airssys:actor/messaging@0.1.0",
        "to call **",
        "memory 32.0 MiB",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let json = desk.run(&["inspect".as_ref(), prober.as_os_str(), "--json".as_ref()]).well().stdout;
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["requests"]["files"]["/out"], "read-write");
    assert_eq!(found["limits"]["turn_deadline_ms"], 5_000);

    // The digest is the one that `check` tells.
    let desk = Desk::with(PROBER);
    let checked: Value = serde_json::from_str(&desk.run(&["check", "--json"]).well().stdout).unwrap();
    assert_eq!(found["sha256"], checked["services"][0]["sha256"]);
    assert_eq!(found["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn inspect_tells_everything_that_a_description_says() {
    let desk = Desk::new();
    let component = std::fs::read(guest("echo").with_file_name("target").join("airssys/echo.wasm")).unwrap();
    desk.write("all.wasm", component);
    // No two of them are the same, and none is a default.
    let limits: [(&str, &str, &str, u64, &str); 24] = [
        ("memory", "\"33MiB\"", "memory_bytes", 33 << 20, "memory 33.0 MiB"),
        ("memories", "2", "memories", 2, "memories 2"),
        ("table_elements", "20001", "table_elements", 20_001, "table elements 20001"),
        ("tables", "9", "tables", 9, "tables 9"),
        ("core_instances", "17", "core_instances", 17, "core instances 17"),
        ("stack", "\"513KiB\"", "stack_bytes", 513 << 10, "stack 513.0 KiB"),
        ("turn_deadline", "\"6s\"", "turn_deadline_ms", 6_000, "turn deadline 6s"),
        ("turn_budget", "\"7s\"", "turn_budget_ms", 7_000, "turn budget 7s"),
        ("start_timeout", "\"8s\"", "start_timeout_ms", 8_000, "start time-out 8s"),
        ("message", "\"3MiB\"", "message_bytes", 3 << 20, "message 3.0 MiB"),
        ("boundary", "\"5MiB\"", "boundary_bytes", 5 << 20, "boundary 5.0 MiB"),
        ("state", "\"65MiB\"", "state_bytes", 65 << 20, "state 65.0 MiB"),
        ("all_state", "\"3GiB\"", "all_state_bytes", 3 << 30, "all states 3.0 GiB"),
        ("effects", "1025", "effects", 1_025, "effects a turn 1025 of 18.0 MiB"),
        ("effect_bytes", "\"18MiB\"", "effect_bytes", 18 << 20, "of 18.0 MiB"),
        ("timers", "1001", "timers", 1_001, "timers 1001 of 6.0 MiB"),
        ("timer_bytes", "\"6MiB\"", "timer_bytes", 6 << 20, "of 6.0 MiB"),
        ("subscriptions", "101", "subscriptions", 101, "subscriptions 101"),
        ("monitors", "1002", "monitors", 1_002, "monitors 1002"),
        ("resources", "257", "resources", 257, "resources 257"),
        ("handles", "10001", "handles", 10_001, "handles 10001"),
        ("processes", "18", "processes", 18, "processes 18"),
        ("watches", "17", "watches", 17, "watches 17"),
        ("log_line", "\"9KiB\"", "log_line_bytes", 9 << 10, "log line 9.0 KiB"),
    ];
    let written: String = limits.iter().map(|(key, value, ..)| format!("{key} = {value}\n")).collect();
    desk.write(
        "all.toml",
        format!(
            "name = \"all\"\nversion = \"1.2.3\"\ndescription = \"Everything\"\nmemory = \"cache\"\nstate_schema = 3\n[limits]\n{written}\
             [requests]\nsend = [\"a/*\"]\ncall = [\"b\"]\npublish = [\"c/d\"]\nsubscribe = [\"e/**\"]\nspawn = [\"f/*\"]\n\
             environment = [\"TZ\"]\nsockets = [\"127.0.0.1:80\"]\nbind = [\"127.0.0.1:81\"]\nhttp = [\"GET https://api.example/**\"]\nprocesses = [\"convert\"]\nfiles = {{ \"/in\" = \"read\", \"/out\" = \"read-write\" }}\n"
        ),
    );
    let text = desk.run(&["inspect", "all.wasm"]).well().stdout;
    let found: Value = serde_json::from_str(&desk.run(&["inspect", "all.wasm", "--json"]).well().stdout).unwrap();
    for (key, _, name, value, told) in limits {
        assert!(text.contains(told), "{key}: no {told:?} in {text}");
        assert_eq!(found["limits"][name], value, "{key}");
    }
    assert_eq!(found["limits"].as_object().unwrap().len(), limits.len(), "a limit that this test does not know");
    for told in [
        "all 1.2.3",
        "Everything",
        "schema 3",
        "memory      a cache",
        "lane        async",
        "to send to a/*",
        "to call b",
        "to publish on c/d",
        "to subscribe to e/**",
        "to spawn f/*",
        "folders /in, /out (to write)",
        "environment TZ",
        "connections to 127.0.0.1:80",
        "to listen at 127.0.0.1:81",
        "to request GET https://api.example/**",
        "to start convert",
        "begins with ",
    ] {
        assert!(text.contains(told), "no {told:?} in {text}");
    }
    assert_eq!(
        (&found["memory"], &found["state_schema"], &found["version"]),
        (&"cache".into(), &3.into(), &"1.2.3".into())
    );
    assert_eq!(found["requests"].as_object().unwrap().len(), 11);
    for (kind, asked) in [
        ("send", "a/*"),
        ("call", "b"),
        ("publish", "c/d"),
        ("subscribe", "e/**"),
        ("spawn", "f/*"),
        ("environment", "TZ"),
        ("sockets", "127.0.0.1:80"),
        ("bind", "127.0.0.1:81"),
        ("http", "GET https://api.example/**"),
        ("processes", "convert"),
    ] {
        assert_eq!(found["requests"][kind], json!([asked]), "{kind}");
    }
    assert_eq!(found["needs"]["memories"], 1);
    assert_eq!(found["obstacles"], json!([]));
    let plain: Value = serde_json::from_str(
        &desk.run(&["inspect".as_ref(), guest("echo").as_os_str(), "--json".as_ref()]).well().stdout,
    )
    .unwrap();
    assert_eq!(plain["memory"], "own");
}

#[test]
fn inspect_tells_everything_that_a_component_is_made_for() {
    let desk = Desk::new();
    // One hands its memory over and brings its state over; one has children, and is told when they end.
    for (name, handles, imports, requests) in [
        ("heir", "messages, lifecycle, upgrade", None, json!([])),
        ("overseer", "messages, lifecycle, monitoring", Some("airssys:actor/supervision@0.1.0"), json!(["**"])),
        ("keeper", "messages", None, json!([])),
        ("prober", "messages, lifecycle, health", None, json!([])),
    ] {
        let component = guest(name);
        let text = desk.run(&["inspect".as_ref(), component.as_os_str()]).well().stdout;
        let found = desk.run(&["inspect".as_ref(), component.as_os_str(), "--json".as_ref()]).well().stdout;
        let found: Value = serde_json::from_str(&found).unwrap();
        assert!(text.contains(&format!("handles     {handles}\n")), "{name}: {text}");
        let optional: Vec<&str> = handles.split(", ").skip(1).collect();
        assert_eq!((&found["optional"], &found["requests"]["spawn"]), (&json!(optional), &requests), "{name}");
        if let Some(import) = imports {
            assert!(text.contains(import) && found["imports"].as_array().unwrap().contains(&json!(import)), "{name}");
        }
    }
}

#[test]
fn every_subcommand_has_an_example_and_the_exit_codes_are_told() {
    let desk = Desk::new();
    let help = desk.run(&["--help"]).well().stdout;
    assert!(help.contains("Exit codes:") && help.contains("Example:"), "{help}");
    for subcommand in SUBCOMMANDS {
        let arguments: Vec<&str> = subcommand.split(' ').chain(["--help"]).collect();
        let help = desk.run(&arguments).well().stdout;
        assert!(help.contains("Example") && help.contains(&format!("airssys {subcommand}")), "{help}");
    }
}

#[test]
fn completions_are_there_for_each_shell() {
    let desk = Desk::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        // What it prints has the shell ask the command itself, each time.
        let script = desk.run(&["completions", shell]).well().stdout;
        assert!(script.contains("AIRSSYS_COMPLETE"), "{shell}: {script}");
        let mut asked = desk.command(&["--", "airssys", "run", "--conc"]);
        asked.env("AIRSSYS_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
        let said: airssys_tests::command::Ran = asked.output().unwrap().into();
        let said = said.well().stdout;
        assert!(said.contains("--concurrency"), "{shell}: {said}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let desk = Desk::with(ECHO);
    for (arguments, says) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["run", "--input", "echo"], "SERVICE=FILE"),
        (&["run", "--timeout", "soon"], "write it like 5s"),
        (&["run", "--timeout", "2years"], "a year is the most"),
        (&["run", "--concurrency", "0"], "--concurrency"),
        (&["call", "echo", "x", "--timeout", "2h"], "an hour is the most"),
        (&["watch", "--every", "0s"], "1ms is the least"),
        (&["top", "--every", "1ns"], "1ms is the least"),
        (&["deploy", "echo", "echo.wasm", "--handover-deadline", "0s"], "1ms is the least"),
        (&["dead-letters", "list", "--limit", "1000000"], "10000 is the most"),
        (&["completions", "cobol"], "cobol"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!(ran.exit, Some(2), "{ran:#?}");
        assert!(ran.stderr.contains(says) && ran.stdout.is_empty(), "{ran:#?}");
    }
    let _refused = desk.run(&["run", "--log", "x=loud"]).refused(2, "AL101", &["x=loud", "--log"]);
}
