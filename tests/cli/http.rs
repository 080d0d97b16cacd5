//! A host listens for HTTP: what the command says of that before, meanwhile and in the log.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use airssys_tests::command::Desk;
use airssys_tests::guest;
use serde_json::Value;

use super::signals::Running;

/// How many connections there are that say nothing.
const CROWD: usize = 10_000;

fn desk(http: &str) -> Desk {
    let desk = Desk::with(&topology(http));
    let site = guest("site").with_file_name("target").join("airssys/site.wasm");
    std::fs::copy(site, desk.path().join("site.wasm")).unwrap();
    desk
}

fn topology(http: &str) -> String {
    format!(
        "name = \"mesh\"\n[[service]]\nname = \"site\"\nrelease = \"site.wasm\"\n\
         [[http]]\nlisten = \"127.0.0.1:0\"\n{http}\n"
    )
}

fn run(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn listeners(desk: &Desk) -> Value {
    serde_json::from_str(&desk.run(&["ps", "--listeners", "--json"]).well().stdout).unwrap()
}

fn address(desk: &Desk) -> SocketAddr {
    listeners(desk)[0]["address"].as_str().unwrap().parse().unwrap()
}

/// Asks, and reads until the host closes.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
}

#[test]
fn a_host_says_where_it_listens_and_what_for() {
    let routes = "body = \"1KiB\"\n[[http.route]]\nservice = \"site\"\nmethods = [\"GET\", \"POST\"]\n";
    let desk = desk(routes);
    let checked = desk.run(&["check"]).well().stdout;
    assert!(checked.contains("http://127.0.0.1:0\n  GET, POST / goes to site\n"), "{checked}");
    let running = run(&desk);
    let address = address(&desk);
    assert_ne!(address.port(), 0);
    assert!(get(address, "/made").starts_with("HTTP/1.1 201"));
    let told = desk.run(&["ps"]).well().stdout;
    let line =
        format!("http://{address}: 0 connections, 0 requests under way, 1 answered\n  GET, POST / goes to site\n");
    assert!(told.contains(&line), "{told}");
    let large = ask(address, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1025\r\nconnection: close\r\n\r\n");
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");

    desk.write("airssys.toml", topology("[[http.route]]\nservice = \"site\"\npath = \"/seen\"\n"));
    let planned = desk.run(&["apply", "--plan"]).well().stdout;
    for line in [
        "  ~ listener 127.0.0.1:0, in place",
        "      body: 1KiB becomes 16MiB",
        "      route.GET, POST /.service: site becomes none",
        "      route./seen.service: none becomes site",
    ] {
        assert!(planned.contains(line), "no {line:?}: {planned}");
    }
    let _applied = desk.run(&["apply"]).well();
    assert!(get(address, "/made").starts_with("HTTP/1.1 404"));
    assert!(get(address, "/seen").starts_with("HTTP/1.1 200"));
    assert_eq!(listeners(&desk)[0]["routes"], serde_json::json!(["/seen goes to site"]));

    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    assert!(TcpStream::connect(address).is_err());
    let logs = desk.run(&["logs"]).well().stdout;
    for line in [
        format!("listener: {address}: listening"),
        format!("listener: {address}: closed"),
        "limit-reached: `body`: the listener at 127.0.0.1:0: a body of more than 1KiB: answered with 413".to_owned(),
    ] {
        assert!(logs.contains(&line), "no {line:?}: {logs}");
    }
}

#[test]
fn what_cannot_be_listened_for_is_refused_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let desk = desk("");
    desk.write("airssys.toml", topology("").replace("127.0.0.1:0", &listen));
    let _refused = desk.run(&["run"]).refused(3, "AR113", &[&listen, "name another port"]);
    desk.write("airssys.toml", topology("tls = { certificate = \"c.pem\", key = \"k.pem\" }\n"));
    let _refused = desk.run(&["check"]).refused(2, "AT104", &["c.pem", "cannot be read"]);
    desk.write("airssys.toml", topology("[[http.route]]\nservice = \"site\"\nkey = { path = 1 }\n"));
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["airssys.toml:9:7", "has no keys"]);
    let echo = guest("echo");
    let other = format!(
        "[[service]]\nname = \"echo\"\nrelease = {echo:?}\n[[http]]\nlisten = \"127.0.0.2:0\"\n\
                         [[http.route]]\nservice = \"echo\"\n"
    );
    desk.write("airssys.toml", topology("") + &other);
    let _refused = desk.run(&["check"]).refused(2, "AT104", &["127.0.0.2:0", "echo", "no handler of HTTP"]);
}

/// Lets this process have as many files as it may.
#[allow(unsafe_code, reason = "the limits of a process have no safe interface")]
fn take_all_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a limit of this process, which lives as long as they take.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_from_an_answer() {
    // The host has as many as whoever starts it.
    take_all_files();
    let desk = desk("max_connections = 20000\n[[http.route]]\nservice = \"site\"\n");
    let running = run(&desk);
    let address = address(&desk);
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| TcpStream::connect(address).unwrap()).collect();
    for number in 1..=100 {
        assert!(get(address, "/seen").ends_with(&format!("\r\n\r\n{number}")));
    }
    // Those that came before the last answer are all known by then.
    let connections = listeners(&desk)[0]["connections"].as_u64().unwrap();
    assert!(connections >= CROWD as u64, "{connections}");
    drop(crowd);
    while listeners(&desk)[0]["connections"] != 0 {}
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
}
