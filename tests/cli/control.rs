//! A running host is looked at, spoken to and stopped through its control socket, whoever else connects to it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use airssys_tests::PATIENCE;
use airssys_tests::command::{Desk, Ran};
use serde_json::{Value, json};

use super::signals::Running;
use super::{ECHO, PROBER};

/// Both guests, and what the prober needs.
fn both() -> String {
    let prober = PROBER.split_once("[[service]]").unwrap().1;
    format!("{ECHO}[[service]]{prober}grants = {{ subscribe = [\"**\"] }}\n[root]\nintensity = 1000\n")
}

/// A host of this desk that is up.
pub(super) fn up(desk: &Desk, more: &[&str]) -> Running {
    let mut running = Running::start(desk.command(&[&["run"], more].concat()));
    running.until("is up");
    running
}

fn socket(desk: &Desk) -> PathBuf {
    desk.path().join(".airssys/control/socket")
}

/// What a command answers as JSON.
fn asked(desk: &Desk, arguments: &[&str]) -> Value {
    let ran = desk.run(&[arguments, &["--json"]].concat()).well();
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

/// Asks until it is so.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
    }
}

/// Stops the host with the command, which waits until it is gone.
pub(super) fn stop(desk: &Desk, running: Running) {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
}

/// A client that knows the protocol and is not the command.
pub(super) struct Raw {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Raw {
    fn connect(desk: &Desk) -> Self {
        let stream = UnixStream::connect(socket(desk)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { answers: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    pub(super) fn welcome(desk: &Desk) -> Self {
        let mut raw = Self::connect(desk);
        assert_eq!(raw.ask("{\"airssys\":1}")["ok"]["airssys"], 1);
        raw
    }

    pub(super) fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(super) fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub(super) fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        self.answer()
    }

    /// Whether the host has hung up.
    fn is_over(&mut self) -> bool {
        // An end and a reset are both one.
        self.answers.read(&mut [0]).map_or(true, |read| read == 0)
    }
}

#[test]
fn services_tree_and_status_are_told() {
    let desk = Desk::with(&both());
    let running = up(&desk, &[]);
    assert_eq!(asked(&desk, &["call", "echo", "hello"]), json!({ "ok": "hello" }));

    let services = asked(&desk, &["ps"]);
    assert_eq!((&services[0]["service"], &services[0]["handled"]), (&json!("echo"), &json!(1)));
    assert_eq!(services[1], asked(&desk, &["ps"])[1]);
    let table = desk.run(&["ps"]).well().stdout;
    let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[0][..5], ["service", "queued", "handled", "faulted", "crashed"], "{table}");
    assert_eq!(cells[1], ["echo", "0", "1", "0", "0", "1", "0", "0"], "{table}");

    let tree = asked(&desk, &["tree"]);
    assert_eq!(
        (&tree[0]["name"], &tree[0]["status"], &tree[1]["restarts"]),
        (&json!("echo"), &json!("running"), &json!(0))
    );
    let text = desk.run(&["tree"]).well().stdout;
    assert_eq!(text, "  echo  running\n  prober  running\n");

    let status = asked(&desk, &["status"]);
    assert_eq!((&status["mesh"], &status["services"], &status["instances"]), (&json!("mesh"), &json!(2), &json!(2)));
    assert_eq!((&status["process"], &status["dead_letters"]), (&json!(running.child.id()), &json!(0)));
    assert!(status["uptime_seconds"].as_f64().unwrap() > 0.0, "{status}");
    let text = desk.run(&["status"]).well().stdout;
    assert!(text.starts_with("mesh is up for ") && text.contains("2 services, 2 instances of the "), "{text}");
    stop(&desk, running);
}

#[test]
fn messages_get_there_as_they_are() {
    let desk = Desk::with(&both());
    let running = up(&desk, &[]);
    assert_eq!(desk.run(&["call", "echo", "hello"]).well().stdout, "hello\n");
    assert_eq!(desk.run(&["call", "echo", "a\u{1b}[2J"]).well().stdout, "a\\u{1b}[2J\n");
    assert_eq!(asked(&desk, &["call", "echo", "{\"n\":1}"]), json!({ "ok": { "n": 1 } }));
    let bytes = desk.run_with(&["call", "echo", "-", "--json"], b"\xff\x00\n").well();
    assert_eq!(bytes.stdout, "{\"ok_hex\":\"ff000a\"}\n");
    let quiet = desk.run(&["call", "prober", "\"quiet\"", "--key", "k"]).well();
    assert_eq!(quiet.stdout, "ok\n");
    // The largest one, of what JSON makes most of.
    let largest = desk.run_with(&["call", "echo", "-"], vec![b'"'; 1 << 20]).well();
    assert_eq!(largest.stdout.len(), (1 << 20) + 1);
    let _too_large = desk.run_with(&["send", "echo", "-"], vec![0; (1 << 20) + 1]).refused(2, "AH203", &["1048576"]);

    assert_eq!(desk.run(&["send", "prober", "{\"record\":1}"]).well().stdout, "sent to prober\n");
    assert_eq!(asked(&desk, &["send", "prober", "{\"record\":2}"]), Value::Null);
    let _subscribed = desk.run(&["call", "prober", "{\"subscribe\":\"news/*\"}"]).well();
    assert_eq!(desk.run(&["emit", "news/x", "{\"record\":3}"]).well().stdout, "published on news/x\n");
    assert_eq!(asked(&desk, &["emit", "nobody/listens", "-"]), Value::Null);
    assert_eq!(asked(&desk, &["call", "prober", "{\"get\":\"record\"}"])["ok"]["ok"], json!([1, 2, 3]));
    stop(&desk, running);
}

#[test]
fn what_is_refused_is_told_by_code() {
    let desk = Desk::with(&both());
    let running = up(&desk, &[]);
    let refused = |arguments: &[&str], code: &str| {
        let ran = desk.run(&[arguments, &["--json"]].concat()).refused(1, "AH201", &[code]);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["error"]["code"], code, "{ran:#?}");
        told["error"]["kind"].clone()
    };
    assert_eq!(refused(&["call", "nobody", "x"], "no-such-service"), Value::Null);
    refused(&["send", "echo/key", "x"], "no-such-service");
    assert_eq!(refused(&["call", "prober", "nonsense"], "fault"), "invalid");
    assert_eq!(refused(&["call", "prober", "{\"trap\":\"panic\"}"], "crashed"), "trap");
    refused(&["call", "prober", "{\"sleep\":300}", "--timeout", "50ms"], "timeout");
    refused(&["dead-letters", "show", "999999"], "no-such-letter");
    stop(&desk, running);
}

#[test]
fn dead_letters_are_shown_sent_again_and_dropped() {
    let desk = Desk::with(&both());
    let running = up(&desk, &[]);
    assert_eq!(desk.run(&["dead-letters", "list"]).well().stdout, "0 dead letters, 0 kept\n");
    let nonsense = |arguments: &[&str]| {
        let _done = desk.run(arguments).well();
        // It was handled before this is answered.
        let _next = desk.run(&["call", "prober", "\"count\""]).well();
        asked(&desk, &["dead-letters", "list"])
    };
    let listed = nonsense(&["send", "prober", "nonsense"]);
    let letter = &listed["letters"][0];
    assert_eq!((&listed["total"], &listed["kept"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&letter["code"], &letter["target"], &letter["body_bytes"]),
        (&json!("fault"), &json!("prober"), &json!(8))
    );
    let id = letter["id"].to_string();
    assert!(desk.run(&["dead-letters", "list"]).well().stdout.contains("(host)"));
    assert_eq!(asked(&desk, &["dead-letters", "show", &id])["body"], json!({ "text": "nonsense" }));
    assert!(desk.run(&["dead-letters", "show", &id]).well().stdout.ends_with("body: nonsense\n"));

    // It fails again, as another message.
    let listed = nonsense(&["dead-letters", "replay", &id]);
    let again = listed["letters"][0]["id"].to_string();
    assert_eq!((&listed["total"], &listed["kept"]), (&json!(2), &json!(1)));
    assert_ne!(again, id);
    let _gone = desk.run(&["dead-letters", "replay", &id]).refused(1, "AH201", &["no-such-letter", &id]);

    assert_eq!(asked(&desk, &["dead-letters", "drop", &again])["body"], json!({ "text": "nonsense" }));
    assert_eq!(asked(&desk, &["dead-letters", "list"]), json!({ "total": 2, "kept": 0, "letters": [] }));

    // A late answer is no message.
    let _late = desk.run(&["call", "prober", "{\"sleep\":1500}", "--timeout", "1s"]).refused(1, "AH201", &["timeout"]);
    let _next = desk.run(&["call", "prober", "\"count\""]).well();
    let letter = asked(&desk, &["dead-letters", "list", "--limit", "1"])["letters"][0].clone();
    assert_eq!(letter["code"], "late-answer");
    let _handled = desk.run(&["dead-letters", "replay", &letter["id"].to_string()]).refused(1, "AH201", &["handled"]);
    assert_eq!(asked(&desk, &["status"])["dead_letters_kept"], 1);
    stop(&desk, running);
}

#[test]
fn a_message_that_is_sent_again_is_handled_once() {
    let desk = Desk::with(&format!("{PROBER}instances = 2\npartitioned = true\n"));
    let running = up(&desk, &[]);
    let request =
        |request: &str, body: &str| json!({ "request": request, "to": "prober", "key": "k", "body": { "text": body } });
    let (sleep, mut record) = (request("send", "{\"sleep\":500}"), request("call", "{\"record\":9}"));
    record["timeout_ms"] = json!(50);
    let mut raw = Raw::welcome(&desk);
    // One waits behind the other until nobody wants it any more.
    assert_eq!(raw.ask(&sleep.to_string())["ok"], Value::Null);
    assert_eq!(raw.ask(&record.to_string())["error"]["code"], "timeout");
    let listed = || asked(&desk, &["dead-letters", "list"])["letters"][0].clone();
    until("its turn came", || !listed().is_null());
    let letter = listed();
    assert_eq!((&letter["code"], &letter["key"]), (&json!("expired"), &json!("k")));

    let recorded = || asked(&desk, &["call", "prober", "{\"get\":\"record\"}", "--key", "k"])["ok"]["ok"].clone();
    assert_eq!(recorded(), Value::Null);
    assert_eq!(asked(&desk, &["dead-letters", "replay", &letter["id"].to_string()]), Value::Null);
    assert_eq!(recorded(), json!([9]));
    assert_eq!(asked(&desk, &["dead-letters", "list"]), json!({ "total": 1, "kept": 0, "letters": [] }));
    stop(&desk, running);
}

#[test]
fn a_watch_tells_what_changes_until_the_host_is_gone() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    let mut watching = Running::start(desk.command(&["watch", "--every", "20ms", "--json"]));
    let mut lines = BufReader::new(watching.child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["service"]["handled"], 0);
    let _called = desk.run(&["call", "echo", "x"]).well();
    while next()["service"]["handled"] != 1 {}
    stop(&desk, running);
    let (exit, said) = watching.end();
    assert_eq!((exit, said.as_str()), (Some(0), "the host is gone\n"));
}

#[test]
fn top_tells_turns_a_second_until_the_host_is_gone() {
    let desk = Desk::with(&both());
    let running = up(&desk, &[]);
    let mut top = Running::start(desk.command(&["top", "--every", "50ms", "--json"]));
    let mut lines = BufReader::new(top.child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["services"][0]["per_second"]["handled"], json!(0.0), "nobody has called");
    let _called = desk.run(&["call", "echo", "x"]).well();
    let busy = loop {
        let now = next();
        if now["services"][0]["service"]["handled"] == 1 {
            break now;
        }
    };
    // One turn in the time between two looks.
    let handled = busy["services"][0]["per_second"]["handled"].as_f64().unwrap();
    assert!(handled > 0.0 && handled <= 1.0 / 0.05, "{busy}");
    assert_eq!(busy["services"][1]["per_second"]["handled"], json!(0.0), "{busy}");
    assert_eq!(next()["services"][0]["per_second"]["handled"], json!(0.0), "it was one turn only");

    // As a table: the head, and a row for each, the one with the most first.
    let text = desk.run(&["top", "--every", "1ms", "--count", "2", "--sort", "service"]).well().stdout;
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells.len(), 2 * 4, "{text}");
    assert_eq!(cells[1][..3], ["service", "queued", "handled/s"], "{text}");
    assert_eq!((cells[2][0], cells[3][0]), ("echo", "prober"), "{text}");
    stop(&desk, running);
    let (exit, said) = top.end();
    assert_eq!((exit, said.as_str()), (Some(0), "the host is gone\n"));
}

#[test]
fn a_stop_is_over_when_the_host_is_gone_and_names_what_was_killed() {
    let desk = Desk::with(&format!(
        "{PROBER}shutdown = \"50ms\"\nlimits = {{ turn_deadline = \"1h\", turn_budget = \"1h\" }}\nconfig = {{ stop = \"hang\" }}\n"
    ));
    for _ in 0..3 {
        // The folder is free again each time.
        let running = up(&desk, &[]);
        let stopped = asked(&desk, &["stop"]);
        assert_eq!((&stopped["killed"], &stopped["unresponsive"]), (&json!(["mesh/prober"]), &json!([])));
        assert!(!socket(&desk).exists());
        let (exit, said) = running.end();
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains("asked to stop") && said.contains("had to be killed: mesh/prober"), "{said}");
    }
}

#[test]
fn a_run_with_an_input_has_a_socket_where_it_is_named_and_a_stop_ends_it_early() {
    let desk = Desk::with(ECHO);
    let mut command = desk.command(&["run", "--input", "echo=-", "--data", "d"]);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    running.child.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
    until("it is up", || desk.run(&["ps", "--data", "d"]).exit == Some(0));
    let _stopped = desk.run(&["stop", "--data", "d"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("error[AR303]"), "{said}");
    assert!(!desk.path().join(".airssys").exists());
    let _no_host = desk.run(&["ps"]).refused(4, "AH101", &[".airssys"]);
}

#[test]
fn a_data_folder_has_one_host() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    let process = running.child.id().to_string();
    let _second = desk.run(&["run"]).refused(3, "AH102", &[".airssys", &process, "--data"]);
    let other = up(&desk, &["--data", "other"]);
    assert_eq!(asked(&desk, &["status"])["process"], json!(running.child.id()));
    assert_eq!(asked(&desk, &["status", "--data", "other"])["process"], json!(other.child.id()));
    let _stopped = desk.run(&["stop", "--data", "other"]).well();
    assert_eq!(other.end().0, Some(0));
    stop(&desk, running);

    // What cannot be a data folder is refused before anything starts.
    desk.write("file", "");
    let _no_folder = desk.run(&["run", "--data", "file"]).refused(3, "AH103", &["file/control"]);
    let _too_long = desk.run(&["run", "--data", &"x".repeat(120)]).refused(2, "AH104", &["xxx"]);
}

#[test]
fn the_socket_of_a_killed_host_is_taken_over() {
    let desk = Desk::with(ECHO);
    let killed = up(&desk, &[]);
    killed.signal("KILL");
    assert_eq!(killed.end().0, None);
    assert!(socket(&desk).exists(), "nobody took it away");
    let _no_host = desk.run(&["ps"]).refused(4, "AH101", &[".airssys", "airssys run"]);
    let running = up(&desk, &[]);
    assert_eq!(asked(&desk, &["status"])["process"], json!(running.child.id()));
    stop(&desk, running);
    assert!(!socket(&desk).exists());
}

#[test]
fn without_a_host_every_command_says_how_to_start_one() {
    let desk = Desk::new();
    for arguments in [
        &["ps"][..],
        &["tree"],
        &["status"],
        &["send", "echo", "x"],
        &["call", "echo", "x"],
        &["emit", "t", "x"],
        &["dead-letters", "list"],
        &["dead-letters", "show", "1"],
        &["dead-letters", "replay", "1"],
        &["dead-letters", "drop", "1"],
        &["watch"],
        &["top"],
        &["stop"],
    ] {
        let ran = desk.run(&[arguments, &["--data", "d"]].concat()).refused(4, "AH101", &["`d`", "--data d"]);
        assert_eq!(ran.stdout, "", "{ran:#?}");
    }
    assert!(!desk.path().join("d").exists(), "asking makes nothing");
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let desk = Desk::with(ECHO);
    // A folder that was there, for everybody.
    fs::create_dir_all(desk.path().join(".airssys/control")).unwrap();
    fs::set_permissions(desk.path().join(".airssys/control"), fs::Permissions::from_mode(0o777)).unwrap();
    let running = up(&desk, &[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = socket(&desk);
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&socket.with_file_name("lock")), 0o600);
    stop(&desk, running);
}

#[test]
fn another_version_and_nonsense_are_refused_with_what_to_do() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    for (line, code) in [
        ("{\"airssys\":2}", "version"),
        ("{\"airssys\":1,\"x\":1}", "hello"),
        ("{\"request\":\"stop\"}", "hello"),
        ("GET / HTTP/1.1\r", "hello"),
        (&"[".repeat(100_000), "hello"),
        ("\u{0}\u{0}", "hello"),
        ("", "hello"),
    ] {
        let mut raw = Raw::connect(&desk);
        assert_eq!(raw.ask(line)["error"]["code"], code, "{line:.40}");
        assert!(raw.is_over(), "{line:.40}");
    }
    let mut raw = Raw::welcome(&desk);
    for line in [
        "",
        "stop",
        "{\"request\":\"fly\"}",
        "{\"request\":\"send\",\"to\":\"echo\",\"body\":{\"hex\":\"xy\"}}",
        "{\"request\":\"call\",\"to\":\"echo\",\"body\":{\"text\":\"\"},\"timeout_ms\":-1}",
    ] {
        assert_eq!(raw.ask(line)["error"]["code"], "bad-request", "{line}");
    }
    // It goes on, and several requests at once are answered in their order.
    raw.say("{\"request\":\"status\"}\n{\"request\":\"services\"}");
    assert_eq!((&raw.answer()["ok"]["mesh"], &raw.answer()["ok"][0]["service"]), (&json!("mesh"), &json!("echo")));
    stop(&desk, running);
}

#[test]
fn the_book_tells_every_request_and_no_other() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);
    // What it does not know it refuses with what it knows.
    let refused = Raw::welcome(&desk).ask("{\"request\":\"fly\"}");
    let (_, known) = refused["error"]["message"].as_str().unwrap().split_once("expected one of").unwrap();
    let names = |text: &str| -> BTreeSet<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("mdbook/src/operating.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| request |")).skip(2);
    let told = rows.take_while(|line| line.starts_with('|')).flat_map(|row| names(row.split('|').nth(1).unwrap()));
    assert_eq!(told.collect::<BTreeSet<_>>(), names(known));
    stop(&desk, running);
}

#[test]
fn clients_that_flood_or_are_silent_hold_nothing_up() {
    let desk = Desk::with(ECHO);
    let running = up(&desk, &[]);

    let mut flood = Raw::welcome(&desk);
    let chunk = vec![b'x'; 1_000_000];
    let written = (0..100).take_while(|_| flood.stream.write_all(&chunk).is_ok()).count();
    assert!(written < 100, "nobody reads 100 MB");
    assert_eq!(flood.answer()["error"]["code"], "too-long");
    assert!(flood.is_over());

    // Silent from the beginning, silent after the greeting, in the middle of a line, and one that asks and does not
    // read.
    let mut hung: Vec<Raw> = (0..50).map(|_| Raw::connect(&desk)).collect();
    hung.extend((0..5).map(|_| Raw::welcome(&desk)));
    let mut half = Raw::welcome(&desk);
    half.stream.write_all(b"{\"request\":").unwrap();
    let mut deaf = Raw::welcome(&desk);
    deaf.stream.set_nonblocking(true).unwrap();
    while deaf.stream.write(b"{\"request\":\"services\"}\n").is_ok() {}

    assert_eq!(asked(&desk, &["call", "echo", "hello"]), json!({ "ok": "hello" }));
    let begun = Instant::now();
    stop(&desk, running);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    drop((hung, half, deaf));
}

#[test]
fn clients_that_wait_for_ever_leave_room_to_look_and_to_stop() {
    let prober = PROBER.split_once("[[service]]").unwrap().1;
    let limits = "limits = { turn_deadline = \"1h\", turn_budget = \"1h\" }\nshutdown = \"50ms\"\n";
    let desk = Desk::with(&format!("{ECHO}[[service]]{prober}{limits}"));
    let running = up(&desk, &[]);
    let sleep = "{\"request\":\"call\",\"to\":\"prober\",\"body\":{\"text\":\"{\\\"sleep\\\":3600000}\"},\"timeout_ms\":3600000}";
    let mut waiting = Vec::new();
    let full = |ran: Ran| ran.exit == Some(1) && ran.stderr.contains("error[AH201]: busy");
    until("no more may wait", || {
        let mut raw = Raw::welcome(&desk);
        raw.say(sleep);
        waiting.push(raw);
        full(desk.run(&["call", "echo", "x"]))
    });
    assert_eq!(asked(&desk, &["status"])["mesh"], "mesh");
    // Who goes away is waited for no more.
    waiting.truncate(waiting.len() / 2);
    until("there is room again", || desk.run(&["call", "echo", "x"]).exit == Some(0));
    assert_eq!(asked(&desk, &["stop"])["killed"], json!(["mesh/prober"]));
    assert_eq!(running.end().0, Some(0));
    // They were told.
    for mut raw in waiting {
        assert!(raw.answer()["error"]["code"].is_string());
    }
}
