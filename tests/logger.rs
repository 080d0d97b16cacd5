//! What guests say, and what they do where an operator wants that, goes where the logs of the topology say: on stderr,
//! to files that are put aside, and to `tracing`. Nobody waits for it, and what is missing is counted and told.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use airssys_tests::command::Desk;
use airssys_tests::{Mesh, keeping, log, with_guests};
use airssys_wasm::RuntimeBuilder;
use airssys_wasm::command::{LogError, LogLevel, LogStatus};
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::events::Kind;
use airssys_wasm::topology::Topology;
use prober_protocol::Command;
use serde_json::{Value, json};

use super::cli::signals::Running;

const TWO: &str = "name = \"logged\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\ngrants = { send = [\"b\"], \
                   files = { \"/out\" = { host = \"data\", access = \"read-write\" } } }\n\
                   [[service]]\nname = \"b\"\nrelease = \"@prober\"\n[root]\nintensity = 1000\n";

/// Two services with these logs.
fn mesh(logs: &str) -> String {
    format!("{TWO}{logs}")
}

fn to_file(name: &str, path: &str, more: &str) -> String {
    format!("[[log]]\nname = {name:?}\nto = \"file\"\npath = {path:?}\n{more}\n")
}

async fn start(logs: &str) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    start_in(folder, logs).await
}

async fn start_in(folder: tempfile::TempDir, logs: &str) -> Mesh {
    fs::create_dir_all(folder.path().join("data")).unwrap();
    let builder = keeping_apart(folder.path());
    Mesh::start_in(folder, &mesh(logs), &[], builder).await
}

/// A data folder that no guest may write to.
fn keeping_apart(folder: &Path) -> RuntimeBuilder {
    keeping(&folder.join("host"))
}

async fn says(mesh: &Mesh, who: &str, level: &str, line: &str) {
    let body = json!({ "log": { "level": level, "line": line } }).to_string();
    mesh.runtime.call(who, body, Duration::from_secs(60)).await.unwrap();
}

fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn status(mesh: &Mesh, name: &str) -> LogStatus {
    mesh.runtime.logs().into_iter().find(|log| log.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_guests_say_is_in_each_file_in_its_format_and_from_its_level_up() {
    let logs = [
        to_file("json", "log/json", "level = \"debug\""),
        to_file("compact", "log/compact", "format = \"compact\"\nlevel = \"warn\"\nlevels = { b = \"trace\" }"),
        to_file("pretty", "log/pretty", "format = \"pretty\"\nservices = [\"b\"]"),
        to_file("deeds-only", "log/deeds", "guests = false\nlevel = \"trace\""),
    ];
    let mesh = start(&logs.concat()).await;
    says(&mesh, "a", "trace", "not as loud").await;
    says(&mesh, "a", "debug", "said by a").await;
    says(&mesh, "a", "error", "two\nlines \u{1b}[2J").await;
    says(&mesh, "b", "info", "said by b\nnow  error  (host)  all is lost").await;
    mesh.ok("b", &Command::Stdout("written".into())).await;
    mesh.ok("b", &Command::Stderr("wrong".into())).await;
    let folder = mesh.stop().await;

    let json = lines(&read(folder.path(), "log/json"));
    let said: Vec<(&str, &str, &str)> =
        json.iter().map(|line| ["service", "level", "message"].map(|key| line[key].as_str().unwrap()).into()).collect();
    assert_eq!(
        said,
        [
            ("a", "debug", "said by a"),
            ("a", "error", "two\nlines \u{1b}[2J"),
            ("b", "info", "said by b\nnow  error  (host)  all is lost"),
            ("b", "info", "written"),
            ("b", "warn", "wrong"),
        ]
    );
    assert!(json.iter().all(|line| line["at"].as_str().is_some_and(|at| at.ends_with('Z'))), "{json:?}");
    let compact = read(folder.path(), "log/compact");
    let compact: Vec<&str> = compact.lines().map(|line| line.split_once("Z  ").unwrap().1).collect();
    let lost = "info   b  said by b\\nnow  error  (host)  all is lost";
    assert_eq!(compact, ["error  a  two\\nlines \\u{1b}[2J", lost, "info   b  written", "warn   b  wrong"]);
    let pretty = read(folder.path(), "log/pretty");
    let heads = pretty.lines().filter(|line| !line.starts_with(' ')).count();
    assert!(heads == 3 && pretty.contains("\n    said by b\n      now  error  (host)  all is lost\n"), "{pretty}");
    assert_eq!(fs::read_to_string(folder.path().join("log/deeds")).unwrap_or_default(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_is_logged_where_an_operator_chose_it_and_bodies_only_then() {
    let logs = [
        to_file("messages", "log/messages", "guests = false\noperations = [\"messages\"]\nservices = [\"a\"]"),
        to_file(
            "files",
            "log/files",
            "guests = false\noperations = [\"files\", \"state-write\"]\nformat = \"compact\"",
        ),
        to_file("bodies", "log/bodies", "guests = false\noperations = [\"send\"]\nbodies = \"12 B\""),
        to_file("denied", "log/denied", "guests = false\noperations = [\"all\"]\nlevel = \"warn\""),
    ];
    let mesh = start(&logs.concat()).await;
    mesh.ok("a", &Command::Send { to: "b".into(), key: None, body: json!({ "echo": "private" }) }).await;
    assert_eq!(mesh.refused("b", &Command::Send { to: "a".into(), key: None, body: json!("count") }).await, "denied");
    mesh.ok("a", &Command::WriteFile { path: "/out/x".into(), text: "seen by nobody".into() }).await;
    mesh.ok("a", &Command::Set { key: "k".into(), value: json!("kept") }).await;
    mesh.until("b has it", |mesh| mesh.status("b").handled >= 2).await;
    let folder = mesh.stop().await;

    let messages = lines(&read(folder.path(), "log/messages"));
    let sends: Vec<&Value> = messages.iter().filter(|line| line["operation"] == "send").collect();
    assert_eq!(
        (&sends[0]["service"], &sends[0]["target"], &sends[0]["level"]),
        (&json!("a"), &json!("b"), &json!("info"))
    );
    assert!(sends.len() == 1 && sends[0]["bytes"].as_u64() > Some(8) && sends[0].get("body").is_none(), "{sends:?}");
    let calls: Vec<&Value> = messages.iter().filter(|line| line["operation"] == "call").collect();
    assert!(calls.len() == 3 && calls.iter().all(|call| call.get("service").is_none() && call["target"] == "a"));
    let files = read(folder.path(), "log/files");
    for part in ["info   a  file-open /out/x", "info   a  file-write /out/x", "info   a  state-write k"] {
        assert!(files.contains(part), "no {part:?}: {files}");
    }
    assert!(!files.contains("nobody") && !files.contains("send"), "{files}");
    let bodies = lines(&read(folder.path(), "log/bodies"));
    assert_eq!(bodies[0]["body"], "{\"echo\":\"pri");
    let denied = lines(&read(folder.path(), "log/denied"));
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(
        (&denied[0]["service"], &denied[0]["operation"], &denied[0]["target"]),
        (&json!("b"), &json!("send"), &json!("a"))
    );
    assert!(denied[0]["error"].as_str().unwrap().contains("may not send"), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_put_aside_when_it_is_large_or_old_compressed_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    let logs = [
        to_file("large", "log/large", "rotate_bytes = \"4KiB\"\nkeep = 3\nqueue = \"16MiB\""),
        to_file("old", "log/old", "rotate_after = \"1h\"\nkeep = 100\ncompress = false"),
    ];
    let seconds = Arc::new(AtomicU64::new(1_800_000_000));
    let clock = Arc::clone(&seconds);
    let builder =
        keeping_apart(folder.path()).log_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)));
    let mesh = Mesh::start_in(folder, &mesh(&logs.concat()), &[], builder).await;
    for hour in 0..3 {
        says(&mesh, "a", "info", &format!("hour {hour}, first")).await;
        seconds.fetch_add(3_599, Ordering::Relaxed);
        says(&mesh, "a", "info", &format!("hour {hour}, last")).await;
        seconds.fetch_add(1, Ordering::Relaxed);
    }
    for number in 0..200 {
        says(&mesh, "b", "info", &format!("{number:>4} {}", "x".repeat(100))).await;
    }
    let folder = mesh.stop().await;

    for hour in 0..3 {
        let file = format!("log/old.{}", hour + 1);
        let text = read(folder.path(), &file);
        let of_a: Vec<Value> = lines(&text).into_iter().filter(|line| line["service"] == "a").collect();
        let said: Vec<&str> = of_a.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(said, [format!("hour {hour}, first"), format!("hour {hour}, last")], "{file}");
    }
    let mut names: Vec<String> = fs::read_dir(folder.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.starts_with("large"));
    names.sort();
    assert!(
        names.len() == 4 && names[0] == "large" && names[1..].iter().all(|name| name.ends_with(".gz")),
        "{names:?}"
    );
    // Each line of those that are kept is whole, and none is missing between them.
    let mut numbers = Vec::new();
    names.sort_by_key(|name| name.split('.').nth(1).map_or(u64::MAX, |number| number.parse().unwrap()));
    for name in names {
        let path = folder.path().join("log").join(&name);
        assert!(name.ends_with(".gz") || fs::metadata(&path).unwrap().len() <= 4 << 10);
        let mut text = String::new();
        let unpacked = Process::new("gzip").args(["-dc", "--force"]).arg(&path).output().unwrap();
        assert!(unpacked.status.success(), "{unpacked:?}");
        (&unpacked.stdout[..]).read_to_string(&mut text).unwrap();
        for line in lines(&text) {
            numbers.push(line["message"].as_str().unwrap()[..4].trim().parse::<u32>().unwrap());
        }
    }
    assert_eq!(numbers, (200 - u32::try_from(numbers.len()).unwrap()..200).collect::<Vec<_>>());
    assert!(numbers.len() > 60, "{}", numbers.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_faster_than_it_is_written_is_lost_counted_and_told_and_nobody_waits() {
    // A pipe that nobody reads takes some lines, and then none.
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Process::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mesh = start_in(folder, &to_file("slow", "pipe", "queue = \"4KiB\"")).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Log]);
    // Not a turn waits: each is answered while the log takes nothing.
    for number in 0..400 {
        says(&mesh, "a", "info", &format!("{number:>4} {}", "x".repeat(1_000))).await;
    }
    assert!(status(&mesh, "slow").lost > 300, "{:?}", status(&mesh, "slow"));
    // Somebody reads now.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let settled = async |all: u64| {
        let is_so = |mesh: &Mesh| {
            let LogStatus { written, lost, .. } = status(mesh, "slow");
            written + lost == all
        };
        mesh.until("all is written or lost", is_so).await;
    };
    settled(400).await;
    let heard = format!("{:?}", events.next().await);
    assert!(heard.contains("slow") && heard.contains("lost"), "{heard}");
    says(&mesh, "a", "info", "9999").await;
    settled(401).await;
    let lost = status(&mesh, "slow").lost;
    let _folder = mesh.stop().await;
    let text = reader.join().unwrap();
    let (told, said): (Vec<Value>, Vec<Value>) = lines(&text).into_iter().partition(|line| line.get("lost").is_some());
    let told: u64 = told.iter().map(|line| line["lost"].as_u64().unwrap()).sum();
    assert_eq!((told, told + said.len() as u64), (lost, 401), "{text}");
    assert_eq!(said.last().unwrap()["message"], "9999");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_folder_that_cannot_be_written_are_told_and_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/dev/full", folder.path().join("full")).unwrap();
    fs::write(folder.path().join("sub"), "in the way").unwrap();
    let mesh = start_in(folder, &[to_file("full", "full", ""), to_file("blocked", "sub/log", "")].concat()).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Log]);
    for number in 0..10 {
        says(&mesh, "a", "info", &format!("{number}")).await;
    }
    let heard = [format!("{:?}", events.next().await), format!("{:?}", events.next().await)].concat();
    for part in ["No space left on device", "full", "blocked", "broken"] {
        assert!(heard.contains(part), "no {part:?}: {heard}");
    }
    for name in ["full", "blocked"] {
        mesh.until("all is counted", |mesh| status(mesh, name).lost == 10).await;
        let now = status(&mesh, name);
        assert!(now.broken.is_some() && now.written == 0, "{now:?}");
    }
    // Room again.
    fs::remove_file(mesh.folder.path().join("sub")).unwrap();
    says(&mesh, "a", "info", "there again").await;
    let heard = format!("{:?}", events.next().await);
    assert!(heard.contains("mended") && heard.contains("blocked"), "{heard}");
    let folder = mesh.stop().await;
    let there = lines(&read(folder.path(), "sub/log"));
    assert_eq!((&there[0]["lost"], &there[1]["message"]), (&json!(10), &json!("there again")), "{there:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_and_logs_change_while_the_mesh_runs() {
    let mesh = start(&to_file("all", "log/all", "level = \"warn\"")).await;
    let set = async |log: &str, service: Option<&str>, level| {
        mesh.runtime.set_log(log, service, level, DeployOptions::default()).await
    };
    says(&mesh, "a", "info", "one, not said").await;
    assert!(set("all", None, LogLevel::Info).await.unwrap().is_some());
    assert!(set("all", None, LogLevel::Info).await.unwrap().is_none());
    says(&mesh, "a", "info", "two").await;
    assert!(set("all", Some("a"), LogLevel::Off).await.unwrap().is_some());
    says(&mesh, "a", "error", "three, not said").await;
    says(&mesh, "b", "info", "four").await;
    let nobody = set("all", Some("c"), LogLevel::Off).await.unwrap_err();
    assert!(matches!(&nobody, LogError::NoSuchService { service } if service == "c"), "{nobody}");
    let no_log = set("nothing", None, LogLevel::Off).await.unwrap_err();
    assert!(no_log.to_string().contains("there are: all"), "{no_log}");
    // By an apply: another format, another file, one more log; and then none.
    let apply = async |logs: &str| {
        let file = mesh.folder.path().join("airssys.toml");
        fs::write(&file, with_guests(&self::mesh(logs))).unwrap();
        let topology = Topology::read_with(&file, Some(&mesh.folder.path().join("host/data"))).unwrap();
        mesh.runtime.apply(topology, DeployOptions::default()).await.unwrap()
    };
    let _same_file = apply(&to_file("all", "log/all", "format = \"compact\"")).await;
    says(&mesh, "a", "info", "five").await;
    let moved = [to_file("all", "log/moved", ""), to_file("more", "log/more", "")].concat();
    let applied = apply(&moved).await;
    assert!(format!("{applied:?}").contains("more"), "{applied:?}");
    says(&mesh, "a", "info", "six").await;
    let _none = apply("").await;
    says(&mesh, "a", "info", "seven, not said").await;
    assert_eq!(mesh.status("a").started, 1, "no instance is replaced for it");
    let folder = mesh.stop().await;
    let all = read(folder.path(), "log/all");
    let said: BTreeSet<&str> = ["one", "two", "three", "four", "five", "six", "seven"]
        .into_iter()
        .filter(|number| all.contains(number))
        .collect();
    assert_eq!(said, BTreeSet::from(["two", "four", "five"]), "{all}");
    assert!(all.lines().last().unwrap().ends_with("info   a  five"), "{all}");
    for file in ["log/moved", "log/more"] {
        let lines = lines(&read(folder.path(), file));
        assert!(lines.len() == 1 && lines[0]["message"] == "six", "{file}: {lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_tracing_goes_what_its_log_says_and_all_that_guests_say_where_there_is_none() {
    log::listen();
    let named =
        |name: &str, logs: &str| format!("name = \"t\"\n[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{logs}");
    let plain = Mesh::start(&named("talks-freely", &to_file("f", "log/f", ""))).await;
    says(&plain, "talks-freely", "info", "heard").await;
    let _folder = plain.stop().await;
    assert_eq!(log::of("airssys::guest", "talks-freely").len(), 1);
    let more = "[[log]]\nname = \"t\"\nto = \"tracing\"\nlevel = \"warn\"\nlevels = { talks-less = \"off\" }\n\
                [[log]]\nname = \"done\"\nto = \"tracing\"\nguests = false\noperations = [\"state\"]\n";
    let mesh = Mesh::start(&named("talks-less", more)).await;
    says(&mesh, "talks-less", "error", "not heard").await;
    mesh.ok("talks-less", &Command::Set { key: "k".into(), value: json!(1) }).await;
    let _folder = mesh.stop().await;
    assert!(log::of("airssys::guest", "talks-less").is_empty());
    let done = log::of("airssys::operation", "talks-less");
    assert!(
        !done.is_empty() && done.iter().all(|(level, of)| level == "INFO" && of["operation"] == "state-write"),
        "{done:?}"
    );
}

#[test]
fn the_command_writes_to_the_console_once_and_shows_and_changes_logs() {
    let console = "[[log]]\nname = \"console\"\nto = \"console\"\nformat = \"compact\"\n";
    let desk = Desk::with(&mesh(&[console, &to_file("file", "log/file", "")].concat()));
    fs::create_dir(desk.path().join("data")).unwrap_or_default();
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let says = |line: &str| {
        let body = json!({ "log": { "level": "info", "line": line } }).to_string();
        let _said = desk.run(&["call", "a", &body]).well();
    };
    says("said once");
    let list = desk.run(&["log", "list"]).well().stdout;
    assert!(list.contains("log/file") && list.contains("console") && list.contains("well"), "{list}");
    let told = desk.run(&["log", "level", "console", "warn", "--service", "a"]).well().stdout;
    assert!(told.contains("`console` has lines of a from warn up"), "{told}");
    assert!(desk.run(&["log", "level", "console", "warn", "--service", "a"]).well().stdout.contains("already"));
    says("said in the file");
    let _none = desk.run(&["log", "level", "nothing", "off"]).refused(1, "AH201", &["no-such-log", "console, file"]);
    let _nobody =
        desk.run(&["log", "level", "file", "off", "--service", "c"]).refused(1, "AH201", &["no-such-service"]);
    assert_eq!(desk.run(&["log", "level", "file", "loud"]).exit, Some(2));
    let listed: Value = serde_json::from_str(&desk.run(&["log", "list", "--json"]).well().stdout).unwrap();
    assert_eq!(listed[1]["levels"], json!({ "a": "warn" }), "{listed}");
    // An apply of the file brings back what it says.
    let plan = desk.run(&["apply", "--plan"]).well().stdout;
    assert!(plan.contains("log console") && plan.contains("levels"), "{plan}");
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!((exit, said.matches("said once").count(), said.contains("in the file")), (Some(0), 1, false), "{said}");
    assert!(said.contains("Z  info   a  said once\n"), "{said}");
    let file = lines(&fs::read_to_string(desk.path().join("log/file")).unwrap());
    assert_eq!(file.len(), 2, "{file:?}");
    // What is kept for `airssys logs` is another matter.
    assert!(desk.run(&["logs", "a"]).well().stdout.contains("said in the file"));
    let acts = desk.run(&["audit", "show", "--kind", "act", "--service", "a"]).well().stdout;
    assert!(acts.contains("log console warn"), "{acts}");
}

#[test]
fn what_is_wrong_with_a_log_is_told_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let twice = [to_file("a", "log/a", ""), to_file("b", "log/a", "")].concat();
    for (logs, says) in [
        ("[[log]]\nname = \"x\"\nto = \"file\"\n", "no `path`"),
        ("[[log]]\nname = \"x\"\nto = \"console\"\npath = \"y\"\n", "goes to no file"),
        ("[[log]]\nname = \"x\"\nto = \"syslog\"\n", "console, file, tracing"),
        ("[[log]]\nname = \"X y\"\nto = \"console\"\n", "no name of a log"),
        ("[[log]]\nname = \"x\"\nto = \"console\"\nlevel = \"loud\"\n", "off, error, warn"),
        ("[[log]]\nname = \"x\"\nto = \"console\"\nlevels = { c = \"off\" }\n", "no service \"c\""),
        ("[[log]]\nname = \"x\"\nto = \"console\"\nservices = [\"c\"]\n", "no service \"c\""),
        ("[[log]]\nname = \"x\"\nto = \"console\"\noperations = [\"sends\"]\n", "\"sends\" is no operation"),
        ("[[log]]\nname = \"x\"\nto = \"console\"\nqueue = \"1KiB\"\n", "queue"),
        (&to_file("x", "y", "rotate_bytes = \"1KiB\""), "rotate_bytes"),
        (&twice, "the log \"a\" is written to this file"),
    ] {
        let error = airssys_tests::read(folder.path(), &mesh(logs)).unwrap_err();
        assert!(error.to_string().contains(says) && error.at.is_some(), "{logs}: {error}");
    }
}
