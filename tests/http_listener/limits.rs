//! Each limit that a request runs into has its status, its event, and its line in the log; and whatever holds a session
//! holds no other.

use std::process::{Child, Stdio};

use airssys_tests::command::Desk;
use airssys_tests::{Mesh, PATIENCE, guest, keeping, until};
use airssys_wasm::events::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answers::next;
use super::client::{Site, all, rest, written};

/// A limit: where it is written and how, what is sent, and what the client is told.
struct Case {
    limit: &'static str,
    /// Keys of the service.
    service: &'static str,
    /// Keys of the listener, and of its route.
    listener: &'static str,
    route: &'static str,
    sent: &'static [&'static str],
    status: &'static str,
    says: &'static str,
}

const GET: &str = "host: a\r\nconnection: close\r\n\r\n";

const CASE: Case = Case { limit: "", service: "", listener: "", route: "", sent: &[], status: "", says: "" };

/// What is sent first begins to be answered, and what is sent after that waits, before the last one is sent. Of that,
/// the answer counts.
const CASES: [Case; 17] = [
    Case {
        limit: "turn_deadline",
        service: "limits = { turn_deadline = \"200ms\" }",
        sent: &["GET /wait HTTP/1.1\r\n"],
        status: "504",
        says: "crashed",
        ..CASE
    },
    Case {
        limit: "turn_budget",
        service: "limits = { turn_budget = \"50ms\" }",
        sent: &["GET /spin HTTP/1.1\r\n"],
        status: "504",
        says: "crashed",
        ..CASE
    },
    Case { limit: "memory", sent: &["GET /grow HTTP/1.1\r\n"], status: "502", says: "crashed", ..CASE },
    Case { limit: "stack", sent: &["GET /deep HTTP/1.1\r\n"], status: "502", says: "crashed", ..CASE },
    Case { limit: "resources", sent: &["GET /leak?300 HTTP/1.1\r\n"], status: "502", says: "crashed", ..CASE },
    Case {
        limit: "boundary",
        service: "limits = { boundary = \"2KiB\" }",
        sent: &["GET /big?100000 HTTP/1.1\r\n"],
        status: "502",
        says: "crashed",
        ..CASE
    },
    Case {
        limit: "message",
        service: "limits = { message = \"64B\" }",
        sent: &["GET /a-path-that-is-longer-than-a-message-may-be-together-with-all-else HTTP/1.1\r\n"],
        status: "413",
        says: "too-large",
        ..CASE
    },
    Case {
        limit: "max_keys",
        service: "keyed = { max_keys = 1, idle_timeout = \"1h\" }",
        route: "key = { path = 2 }",
        sent: &["GET /add/a HTTP/1.1\r\n", "GET /add/b HTTP/1.1\r\n"],
        status: "503",
        says: "overloaded",
        ..CASE
    },
    Case {
        limit: "mailbox",
        service: "mailbox = { capacity = 1, overflow = \"refuse\" }\nlimits = { turn_deadline = \"1h\" }",
        sent: &["GET /drip?1000000 HTTP/1.1\r\n", "GET /wait HTTP/1.1\r\n", "GET /seen HTTP/1.1\r\n"],
        status: "503",
        says: "overloaded",
        ..CASE
    },
    Case {
        limit: "request_timeout",
        service: "limits = { turn_deadline = \"1h\" }",
        listener: "request_timeout = \"200ms\"",
        sent: &["GET /wait HTTP/1.1\r\n"],
        status: "504",
        says: "timeout",
        ..CASE
    },
    Case {
        limit: "max_requests",
        service: "limits = { turn_deadline = \"1h\" }",
        listener: "max_requests = 1",
        sent: &["GET /drip?1000000 HTTP/1.1\r\n", "GET /seen HTTP/1.1\r\n"],
        status: "503",
        says: "overloaded",
        ..CASE
    },
    Case {
        limit: "header_bytes",
        listener: "header_bytes = \"1KiB\"",
        sent: &["GET /seen HTTP/1.1\r\nx-large: LARGE\r\n"],
        status: "431",
        says: "head-too-large",
        ..CASE
    },
    Case { limit: "header_bytes", sent: &["GET /seen HTTP/1.1\r\nMANY"], status: "431", ..CASE },
    Case {
        limit: "body",
        listener: "body = \"1KiB\"",
        sent: &["POST /echo HTTP/1.1\r\ncontent-length: 1025\r\n"],
        status: "413",
        says: "too-large",
        ..CASE
    },
    Case {
        limit: "body_timeout",
        listener: "body_timeout = \"100ms\"",
        sent: &["POST /echo HTTP/1.1\r\ncontent-length: 5\r\n"],
        status: "408",
        says: "body-timeout",
        ..CASE
    },
    // No request came, so there is nothing to answer.
    Case {
        limit: "header_timeout",
        listener: "header_timeout = \"100ms\"",
        sent: &["GET /seen HTTP/1.1\r\nCUT"],
        ..CASE
    },
    // The next one waits.
    Case {
        limit: "max_connections",
        listener: "max_connections = 1",
        sent: &["GET /seen HTTP/1.1\r\nKEPT", "GET /seen HTTP/1.1\r\nKEPT"],
        ..CASE
    },
];

/// A request of a case as it is sent.
fn bytes(sent: &str) -> String {
    if let Some(head) = sent.strip_suffix("CUT") {
        return format!("{head}x-a: 1");
    }
    if let Some(head) = sent.strip_suffix("KEPT") {
        return format!("{head}host: a\r\n\r\n");
    }
    let many = "x: 1\r\n".repeat(101);
    sent.replace("LARGE", &"a".repeat(2_000)).replace("MANY", &many) + GET
}

fn topology() -> String {
    let mut text = "name = \"m\"\n[root]\nintensity = 100\n".to_owned();
    for (number, case) in CASES.iter().enumerate() {
        text += &format!(
            "[[service]]\nname = \"s{number}\"\nrelease = \"site.wasm\"\nshutdown = \"brutal-kill\"\n{}\n\
             [[http]]\nlisten = \"127.0.1.{}:0\"\n{}\n[[http.route]]\nservice = \"s{number}\"\n{}\n",
            case.service,
            number + 1,
            case.listener,
            case.route
        );
    }
    text
}

/// A host of a process of its own, which does not outlive its test.
pub(super) struct Host(pub(super) Child);

impl Host {
    pub(super) fn start(desk: &Desk) -> Self {
        Self::start_by(desk.command(&["run"]))
    }

    pub(super) fn start_by(mut command: std::process::Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _it_has_ended = self.0.kill();
        let _it_has_ended = self.0.wait();
    }
}

/// Where a running host listens, in the order of its topology.
pub(super) async fn addresses(desk: &Desk) -> Vec<String> {
    let asked = || desk.run(&["ps", "--listeners", "--json"]);
    until("it listens", async || asked().exit == Some(0)).await;
    let told: serde_json::Value = serde_json::from_str(&asked().well().stdout).unwrap();
    let told = told.as_array().unwrap().iter();
    told.map(|listener| listener["address"].as_str().unwrap().to_owned()).collect()
}

/// How many messages wait for the service of a case.
fn queued(desk: &Desk, case: usize) -> usize {
    let told: Vec<serde_json::Value> = serde_json::from_str(&desk.run(&["ps", "--json"]).well().stdout).unwrap();
    let service = format!("s{case}");
    let of = told.iter().find(|of| of["service"] == service.as_str()).unwrap();
    usize::try_from(of["queued"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_has_its_status_its_event_and_its_line_in_the_log() {
    let desk = Desk::with(&topology());
    std::fs::copy(guest("site").with_file_name("target").join("airssys/site.wasm"), desk.path().join("site.wasm"))
        .unwrap();
    let host = Host::start(&desk);
    let addresses = addresses(&desk).await;
    for (number, (case, address)) in CASES.iter().zip(&addresses).enumerate() {
        let mut held = Vec::new();
        let (last, first) = case.sent.split_last().unwrap();
        for (before, sent) in first.iter().enumerate() {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes(sent).as_bytes()).await.unwrap();
            match before {
                0 => assert_ne!(timeout(PATIENCE, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0),
                waiting => until("it waits", async || queued(&desk, number) == waiting).await,
            }
            held.push(stream);
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes(last).as_bytes()).await.unwrap();
        if last.ends_with("KEPT") {
            held.push(stream);
        } else {
            let answer = rest(&mut stream).await;
            let status = answer.get(9..12).unwrap_or_default();
            assert_eq!(status, case.status, "{}: {answer:?}", case.limit);
            assert!(
                case.says.is_empty() || answer.ends_with(&format!("{}\n", case.says)),
                "{}: {answer:?}",
                case.limit
            );
            let is_to_come_again = answer.contains("retry-after: 1");
            assert_eq!(is_to_come_again, status == "503", "{}: {answer:?}", case.limit);
        }
        // It is told once in a second at most, so the next one of the same kind is of another listener.
        let line = format!("limit-reached: `{}`", case.limit);
        let about = address.rsplit_once(':').unwrap().0;
        let told = || {
            let log = desk.run(&["logs"]).stdout;
            let told = log.lines().filter(|told| told.contains(&line));
            let service = format!("s{number}");
            let names = |told: &str| told.contains(&service) || told.contains(&format!("{about}:"));
            told.into_iter().any(names)
        };
        let says = format!("{}: it is in the log", case.limit);
        until(&says, async || told()).await;
        // What is held is let go of.
        drop(held);
    }
    drop(host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_machine_gives_no_connection_the_host_says_so_and_goes_on() {
    let desk = Desk::with(
        "name = \"m\"\n[[service]]\nname = \"site\"\nrelease = \"@site\"\n[[http]]\nlisten = \"127.0.0.1:0\"\n\
         [[http.route]]\nservice = \"site\"\n",
    );
    let run = desk.command(&["run"]);
    let mut limited = std::process::Command::new("prlimit");
    limited.arg("--nofile=100:100").arg(run.get_program()).args(run.get_args()).current_dir(desk.path());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let host = Host::start_by(limited);
    let address = addresses(&desk).await.remove(0);
    let mut crowd = Vec::new();
    for _ in 0..150 {
        crowd.push(TcpStream::connect(&address).await.unwrap());
    }
    // Of a crowd that takes all of its files, the host cannot be asked either: it has none for that.
    drop(crowd.split_off(60));
    until("it is told", async || {
        desk.run(&["logs"]).stdout.contains("limit-reached: `connections`: the listener at 127.0.0.1:0: a connection")
    })
    .await;
    drop(crowd);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(format!("GET /seen HTTP/1.1\r\n{GET}").as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n1"), "{answer}");
    drop(host);
}

#[tokio::test]
async fn an_answer_that_is_none_of_http_is_a_bad_gateway() {
    let site = Site::start("", &all("")).await;
    let mut client = site.client().await;
    for status in [100, 103, 199] {
        let path = format!("/status?{status}");
        assert_eq!(client.get(&path).await.short(), (502, "bad-response"), "{status}");
    }
    for status in [200, 204, 299, 304, 418, 599] {
        assert_eq!(client.get(&format!("/status?{status}")).await.short(), (status, ""));
    }
    // It has been the same instance all along.
    assert_eq!(client.get("/seen").await.short(), (200, "10"));
    site.stop().await;
}

#[tokio::test]
async fn a_session_that_is_suspended_is_told_so_and_no_other_is() {
    let folder = tempfile::tempdir().unwrap();
    airssys_tests::damaged::suspend(&folder.path().join("data"), "site", &["well", "sick"], "sick");
    let http = format!("request_timeout = \"300ms\"\n{}", all("key = { header = \"x-session\" }"));
    let (topology, builder) = (written("keyed = {}\nstate = \"durable\"", &http), keeping(folder.path()));
    let site = Site::of(Mesh::start_in(folder, &topology, &[], builder).await);
    let mut client = site.client().await;
    for (session, told) in
        [("well", (200, "1")), ("sick", (503, "suspended")), ("new", (200, "1")), ("well", (200, "2"))]
    {
        let answer = client.ask("GET", "/add", &[("x-session", session)], "").await;
        assert_eq!((answer.short(), answer.header("retry-after")), (told, ""), "{session}");
    }
    site.runtime.shutdown().await;
}

/// The ways to hold an instance for as long as it may be held.
const HOLDING: [&str; 5] = [
    "GET /wait HTTP/1.1\r\n",
    "GET /spin HTTP/1.1\r\n",
    // It answers for ever.
    "GET /drip?100000000 HTTP/1.1\r\n",
    // Nobody takes its answer.
    "GET /big?30000000 HTTP/1.1\r\n",
    // It is sent for ever.
    "POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_holds_a_session_holds_no_other() {
    let limits = "turn_deadline = \"1h\", turn_budget = \"1h\", boundary = \"64MiB\", memory = \"128MiB\"";
    let site = Site::start(
        &format!("keyed = {{}}\nlimits = {{ {limits} }}\nshutdown = \"brutal-kill\""),
        &format!("body_buffer = \"1KiB\"\n{}", all("key = { header = \"x-session\" }")),
    )
    .await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut held = Vec::new();
    for (number, way) in HOLDING.iter().enumerate() {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let chunk = if way.contains("chunked") { format!("1000\r\n{}\r\n", "a".repeat(4_096)) } else { String::new() };
        let request = format!("{way}host: a\r\nx-session: held-{number}\r\n\r\n{chunk}");
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
        site.under_way(number + 1).await;
        let mut client = site.client().await;
        for count in 1..=20 {
            let session = [("x-session", "free"), ("x-way", way.trim_end())];
            let answer = timeout(PATIENCE, client.ask("GET", "/add", &session[..1], "")).await;
            assert_eq!(answer.unwrap().body, (number * 20 + count).to_string(), "{way}");
        }
    }
    // Nobody's limit was reached: none of them has come to an end.
    assert_eq!(site.runtime.listeners()[0].requests, HOLDING.len());
    let none = timeout(std::time::Duration::ZERO, next(&mut events)).await;
    assert!(none.is_err(), "{none:?}");
    drop(held);
    site.runtime.shutdown().await;
}
