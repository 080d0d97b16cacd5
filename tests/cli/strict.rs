//! What people and programs write means one thing, or is refused with its place: nothing stands twice, nothing is too
//! large, nothing is left out of account.

use std::path::Path;

use airssys_tests::command::Desk;
use airssys_tests::guest;
use serde_json::json;

use super::ECHO;
use super::control::{Raw, stop, up};

/// A number that is no whole number from 0, or larger than anything.
const NO_COUNTS: [&str; 6] = ["-1", "1.5", "1e400", "nan", "18446744073709551616", "\"1\""];
/// A text that is no number of bytes, or one that no machine has.
const NO_BYTES: [&str; 7] = [
    "1024",
    "\"-1MiB\"",
    "\"1e400B\"",
    "\"nanMiB\"",
    "\"18446744073709551616B\"",
    "\"16EiB\"",
    "\"9999999999999999GiB\"",
];

/// What is wrong with a file of keys and values, with the line and column where, and a part of what is told.
type Wrong = (String, &'static str, &'static str);

fn topologies() -> Vec<Wrong> {
    let service = |rest: &str| format!("{ECHO}{rest}\n");
    let files = |lines: &str| service(&format!("[service.grants.files]\n{lines}"));
    let environment = |lines: &str| service(&format!("[service.grants.environment]\n{lines}"));
    let mut all = vec![
        (format!("name = \"mesh\"\n{ECHO}"), ":2:1", "duplicate key"),
        (service("retries = 1\nretries = 1"), ":6:1", "duplicate key"),
        (service("[service.config]\na = \"1\"\n\"a\" = \"2\""), ":7:1", "duplicate key"),
        (service("[service.limits]\n[service.limits]"), ":6:10", "duplicate key"),
        (service("keyed = { max_keys = 1, max_keys = 2 }"), ":5:25", "duplicate key"),
        (service("randomness = { seed = 1, seed = 2 }"), ":5:26", "duplicate key"),
        (service("colour = \"red\""), ":5:1", "colour"),
        (service("keyed = { colour = 1 }"), ":5:11", "colour"),
        (service("[service.config]\na = 1"), ":6:5", "expected a text or a table"),
        (service("instances = "), ":5:13", ""),
        (service("release"), ":5:8", ""),
        (
            files("\"/data\" = { host = \".\" }\n\"/data/\" = { host = \".\", access = \"read-write\" }"),
            ":7:21",
            "\"/data\"",
        ),
        (files("\"/data\" = { host = \".\" }\n\"/./data\" = { host = \".\" }"), ":", "stands there twice"),
        (files("\"data\" = { host = \".\" }\n\"/data\" = { host = \".\" }"), ":", "stands there twice"),
        (environment("A = \"1\"\n\"A=B\" = \"2\""), ":7:9", "\"A=B\""),
        (environment("\"\" = \"2\""), ":6:6", "\"\""),
        (environment("A = \"a\\u0000b\""), ":6:5", "\"A\""),
    ];
    for number in NO_COUNTS {
        all.push((service(&format!("retries = {number}")), ":5:11", ""));
        all.push((service(&format!("instances = {number}")), ":5:13", ""));
        all.push((service(&format!("keyed = {{ max_keys = {number} }}")), ":5:22", ""));
        all.push((service(&format!("limits = {{ timers = {number} }}")), ":5:21", ""));
        all.push((format!("{ECHO}[root]\nintensity = {number}\n"), ":6:13", ""));
        all.push((service(&format!("randomness = {{ seed = {number} }}")), ":5:23", ""));
    }
    for bytes in NO_BYTES {
        all.push((format!("{ECHO}[settings]\ndurable_state = {bytes}\n"), ":6:17", ""));
        all.push((service(&format!("limits = {{ state = {bytes} }}")), ":5:20", ""));
        all.push((service(&format!("mailbox = {{ bytes = {bytes} }}")), ":5:21", ""));
    }
    for factor in ["-1", "0.5", "nan", "inf", "1e400", "\"2\""] {
        all.push((format!("{ECHO}[root]\nbackoff = {{ factor = {factor} }}\n"), ":", ""));
    }
    for time in ["5", "\"-5s\"", "\"1e400s\"", "\"18446744073709551616s\"", "\"2years\"", "\"nan\""] {
        all.push((format!("{ECHO}[settings]\nreserve_timeout = {time}\n"), ":6:19", ""));
    }
    all
}

#[test]
fn a_topology_in_which_something_stands_twice_or_is_out_of_range_is_refused_with_its_place() {
    for (text, place, says) in topologies() {
        let desk = Desk::with(&text);
        let ran = desk.run(&["check"]).refused(2, "AT101", &[&format!("airssys.toml{place}"), says]);
        assert!(ran.stdout.is_empty(), "{text}: {ran:#?}");
    }
}

#[test]
fn a_description_in_which_something_stands_twice_or_is_out_of_range_is_refused_with_its_place() {
    let component = std::fs::read(guest("echo").parent().unwrap().join("target/airssys/echo.wasm")).unwrap();
    let with = |rest: &str| format!("name = \"bad\"\nversion = \"1.0.0\"\ncomponent = \"bad.wasm\"\n{rest}\n");
    let mut all = vec![
        (with("name = \"other\""), ":4:1", "duplicate key"),
        (with("[limits]\n[limits]"), ":5:2", "duplicate key"),
        (with("colour = 1"), ":4:1", "colour"),
        (with("[requests]\ncolour = 1"), ":5:1", "colour"),
        (with("[requests]\nsend = \"echo\""), ":5:8", ""),
        (with("[requests.files]\n\"/data\" = \"read\"\n\"/data/\" = \"read-write\""), ":6:12", "\"/data\""),
        (with("[requests.files]\n\"/data\" = \"write\""), ":5:11", "write"),
        (with("[requests]\nenvironment = [\"A\", \"A=B\"]"), ":5:21", "\"A=B\""),
        (with("version = \"1.0"), ":4:", ""),
    ];
    for number in NO_COUNTS {
        all.push((with(&format!("state_schema = {number}")), ":4:16", ""));
        all.push((with(&format!("limits = {{ timers = {number} }}")), ":4:21", ""));
    }
    for bytes in NO_BYTES {
        all.push((with(&format!("limits = {{ memory = {bytes} }}")), ":4:21", ""));
    }
    for (text, place, says) in all {
        let desk = Desk::new();
        desk.write("bad/Component.toml", &text);
        desk.write("bad/bad.wasm", &component);
        for command in ["inspect", "publish"] {
            let says = [&format!("Component.toml{place}"), says];
            let _refused = desk.run(&[command, "bad"]).refused(2, "AT101", &says);
        }
        assert!(!desk.releases().exists() || desk.releases().join("index").read_dir().is_err(), "{text}");
    }
}

#[test]
fn a_set_in_which_something_is_wrong_is_refused_with_its_place_and_deploys_nothing() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    let release = guest("echo").display().to_string();
    for (text, place, says) in [
        (format!("echo = {release:?}\necho = {release:?}\n"), ":2:1", "duplicate key"),
        (format!("echo = {release:?}\n\"echo\" = {release:?}\n"), ":2:1", "duplicate key"),
        ("echo = 1\n".to_owned(), ":1:8", "expected a string"),
        ("echo = 1e400\n".to_owned(), ":1:8", ""),
        (format!("echo = [{release:?}]\n"), ":1:8", "expected a string"),
        (format!("[echo]\nrelease = {release:?}\n"), ":1:1", "expected a string"),
        (format!("echo.next = {release:?}\n"), ":1:1", "in quotes"),
        ("echo = \"\"\n".to_owned(), ":1:8", "names no release"),
        (format!("echo = {release:?}\n\"a b\" = {release:?}\n"), ":2:9", "is no name of a service"),
        ("echo = \"echo@1".to_owned(), ":1:15", ""),
        (String::new(), "", "names no service"),
    ] {
        desk.write("set.toml", &text);
        let says = [&format!("set.toml{place}"), says, "pricing@1.1.0"];
        let _refused = desk.run(&["deploy", "--set", "set.toml"]).refused(1, "AH201", &says);
    }
    desk.write("set.toml", b"echo = \"\xff\"\n");
    let _refused = desk.run(&["deploy", "--set", "set.toml"]).refused(1, "AH201", &["set.toml", "UTF-8"]);
    let _refused = desk.run(&["deploy", "--set", "gone.toml"]).refused(1, "AH201", &["gone.toml", "No such file"]);
    let history = desk.run(&["history", "echo", "--json"]).well().stdout;
    assert_eq!(history.trim(), "[]");
    stop(&desk, running);
}

#[test]
fn a_request_in_which_something_stands_twice_or_is_out_of_range_is_refused_and_not_done() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    let mut raw = Raw::welcome(&desk);
    let call = |more: &str| format!(r#"{{"request":"call","to":"echo","key":null,"body":{{"text":"x"}}{more}}}"#);
    let mut lines = vec![
        r#"{"request":"status","request":"stop"}"#.to_owned(),
        r#"{"request":"status","more":1}"#.to_owned(),
        r#"{"request":"status""#.to_owned(),
        r#"{"request":"status"}{"request":"status"}"#.to_owned(),
        r#"{"request":1}"#.to_owned(),
        call(r#","timeout_ms":1000,"timeout_ms":1000"#),
        call(r#","timeout_ms":1000,"to":"echo""#),
        call(r#","timeout_ms":1000,"more":1"#),
        r#"{"request":"send","to":"echo","key":null,"body":{"text":"a","hex":"61"}}"#.to_owned(),
        r#"{"request":"send","to":"echo","key":null,"body":{"text":"a","text":"b"}}"#.to_owned(),
        r#"{"request":"deploy-set","releases":{"echo":"a","echo":"b"},"probation_ms":1,"handover_ms":1}"#.to_owned(),
        r#"{"request":"ungranted","releases":{"echo":"a","echo":null}}"#.to_owned(),
        r#"{"request":"forget","service":"echo","service":"echo","actor":null,"timeout_ms":1}"#.to_owned(),
        r#"{"request":"forget","service":"echo","actor":null}"#.to_owned(),
        r#"{"request":"deploy","service":"echo","release":"x","probation_ms":1,"handover_ms":1,"way":{"strategy":"canary","strategy":"rolling"}}"#.to_owned(),
        r#"{"request":"deploy","service":"echo","release":"x","probation_ms":1,"handover_ms":1,"way":{"steps":[1e400]}}"#.to_owned(),
    ];
    for number in ["-1", "1.5", "1e400", "18446744073709551616", "\"1\"", "null"] {
        lines.push(call(&format!(r#","timeout_ms":{number}"#)));
        lines.push(format!(r#"{{"request":"dead-letters","limit":{number}}}"#));
        lines.push(format!(r#"{{"request":"drop-dead-letter","id":{number}}}"#));
        lines.push(format!(r#"{{"request":"forget","service":"echo","actor":null,"timeout_ms":{number}}}"#));
    }
    for line in lines {
        assert_eq!(raw.ask(&line)["error"]["code"], "bad-request", "{line}");
    }
    let longest = call(r#","timeout_ms":18446744073709551615"#);
    assert_eq!(raw.ask(&longest)["ok"], json!({ "text": "x" }), "an hour is the most, whatever is said");
    drop(raw);
    stop(&desk, running);
}

/// An input has no keys: a line is a message, whatever it holds.
#[test]
fn a_line_of_an_input_is_taken_as_it_is() {
    let desk = Desk::with(ECHO);
    let lines = ["{\"a\":1,\"a\":2}", "1e400", "-1", "{\"a\":", "18446744073709551616"];
    let input = desk.write("in", format!("{}\n", lines.join("\n")));
    let ran = desk.run(&["run", "--input", &format!("echo={}", Path::new(&input).display())]).well();
    let answered: Vec<String> = lines.iter().enumerate().map(|(at, line)| format!("{} {line}", at + 1)).collect();
    assert_eq!(ran.sorted_lines(), answered.iter().map(String::as_str).collect::<Vec<_>>());
}
