//! Clients that are slow, go away, or come in numbers.

use airssys_tests::{PATIENCE, until};
use airssys_wasm::events::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answers::next;
use super::client::{Client, Site, all, rest};

/// How many idle connections are opened, where the process may have as many files: two each.
const CROWD: usize = 1_000;

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let site = Site::start("", &format!("header_timeout = \"100ms\"\nbody_timeout = \"100ms\"\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    // The host closes, though we do not.
    assert_eq!(site.raw("GET /seen HT").await, "");
    assert_eq!(next(&mut events).await.0, "header_timeout");
    let late = site.raw("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nabc").await;
    assert!(late.starts_with("HTTP/1.1 408"), "{late}");
    assert_eq!(next(&mut events).await.0, "body_timeout");
    assert_eq!(site.status("site").accepted, 0, "no instance was held");
    assert_eq!(site.get("/seen").await.short(), (200, "1"));
    site.stop().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_one_with_a_request_is_not() {
    let site = Site::start("", &format!("idle_timeout = \"100ms\"\n{}", all(""))).await;
    assert_eq!(site.raw("").await, "", "nothing is said at all");
    let mut client = site.client().await;
    assert_eq!(client.get("/seen").await.status, 200);
    until("it is closed", async || client.is_closed()).await;
    // Longer than it may be idle, and it is not idle.
    let limits = "limits = { turn_deadline = \"500ms\" }";
    let busy = Site::start(limits, &format!("idle_timeout = \"100ms\"\n{}", all(""))).await;
    assert_eq!(busy.get("/wait").await.short(), (504, "crashed"));
    site.stop().await;
    busy.stop().await;
}

#[tokio::test]
async fn a_client_that_has_said_all_is_answered_and_one_that_is_gone_harms_nobody() {
    let site = Site::start("", &all("")).await;
    let mut half = TcpStream::connect(site.address).await.unwrap();
    half.write_all(b"GET /seen HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    half.shutdown().await.unwrap();
    let read = rest(&mut half).await;
    assert!(read.starts_with("HTTP/1.1 200") && read.ends_with("\r\n\r\n1"), "{read}");
    for sent in [
        "",
        "G",
        "GET /big?10000000 HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
    ] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        drop(stream);
    }
    until("all are gone", async || site.runtime.listeners()[0].connections == 0).await;
    assert_eq!(site.get("/echo").await.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn who_has_more_to_say_than_anybody_reads_sees_the_answer_all_the_same() {
    for (limit, status) in [("", "200"), ("body = \"1KiB\"\n", "413")] {
        let site = Site::start("", &format!("{limit}{}", all(""))).await;
        let body = vec![b'a'; 5 << 20];
        for _ in 0..10 {
            let mut stream = TcpStream::connect(site.address).await.unwrap();
            let head = format!("POST /seen HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            let read = rest(&mut stream).await;
            assert!(read.starts_with(&format!("HTTP/1.1 {status}")), "{read}");
        }
        until("all are gone", async || site.runtime.listeners()[0].connections == 0).await;
        site.stop().await;
    }
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    let limits = "limits = { boundary = \"64MiB\", memory = \"128MiB\" }";
    let site = Site::start(limits, &format!("idle_timeout = \"200ms\"\n{}", all(""))).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    // More than the kernel takes for somebody who does not read.
    stream.write_all(b"GET /big?30000000 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("it is closed", async || site.runtime.listeners()[0].answered == 1).await;
    until("it is closed", async || site.runtime.listeners()[0].connections == 0).await;
    drop(stream);
    site.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_waits_for_its_place() {
    let site = Site::start("", &format!("max_connections = 2\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let (mut one, mut other) = (site.client().await, site.client().await);
    assert_eq!((one.get("/seen").await.status, other.get("/seen").await.status), (200, 200));
    let mut third = TcpStream::connect(site.address).await.unwrap();
    third.write_all(b"GET /seen HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let (limit, detail) = next(&mut events).await;
    assert!(limit == "max_connections" && detail.contains("2 connections"), "{detail}");
    assert_eq!(one.get("/seen").await.short(), (200, "3"), "those that are there go on");
    drop(one);
    assert!(rest(&mut third).await.ends_with("\r\n\r\n4"));
    site.stop().await;
}

#[tokio::test]
async fn one_request_too_many_is_to_come_again() {
    let limits = "limits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"\ninstances = 2";
    let site = Site::start(limits, &format!("max_requests = 1\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut stuck = site.client().await;
    let waiting = tokio::spawn(async move { drop(stuck.try_ask("GET", "/wait", &[], "").await) });
    site.under_way(1).await;
    let refused = site.get("/seen").await;
    assert_eq!((refused.short(), refused.header("retry-after")), ((503, "overloaded"), "1"));
    assert_eq!(next(&mut events).await.0, "max_requests");
    waiting.abort();
    site.runtime.shutdown().await;
}

/// Lets this process have as many files as it may, and says how many that is.
#[allow(unsafe_code, reason = "the limits of a process have no safe interface")]
fn files() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a limit of this process, which lives as long as they take.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
    }
    usize::try_from(limit.rlim_cur).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "how many they were is what was tried")]
async fn a_crowd_that_says_nothing_keeps_nobody_from_an_answer() {
    // Both ends are in this process, beside what other tests have.
    let crowd = CROWD.min(files().saturating_sub(1_000) / 2);
    let site = Site::start("", &format!("max_connections = 100000\n{}", all(""))).await;
    let mut all = Vec::with_capacity(crowd);
    for _ in 0..crowd {
        all.push(timeout(PATIENCE, TcpStream::connect(site.address)).await.unwrap().unwrap());
    }
    println!("{crowd} idle connections");
    let mut client = site.client().await;
    for number in 1..=100 {
        assert_eq!(client.get("/seen").await.body, number.to_string());
    }
    until("all are there", async || site.runtime.listeners()[0].connections == crowd + 1).await;
    // The last of them is served as well as any.
    let mut last = all.pop().unwrap();
    last.write_all(b"GET /seen HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut last).await.ends_with("\r\n\r\n101"));
    drop(all);
    until("all are gone", async || site.runtime.listeners()[0].connections == 1).await;
    site.stop().await;
}

#[tokio::test]
async fn what_is_under_way_when_the_host_stops_is_answered() {
    let limits = "limits = { turn_deadline = \"300ms\" }";
    let site = Site::start(limits, &all("")).await;
    let (mut idle, mut busy) = (site.client().await, site.client().await);
    assert_eq!(idle.get("/seen").await.status, 200);
    let mut half = TcpStream::connect(site.address).await.unwrap();
    half.write_all(b"GET /se").await.unwrap();
    let asked = tokio::spawn(async move { busy.get("/wait").await.status });
    site.under_way(1).await;
    let address = site.address;
    let report = site.runtime.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(asked.await.unwrap(), 504, "its turn came to its end first");
    until("it is closed", async || idle.is_closed()).await;
    let mut nothing = [0; 1];
    assert!(matches!(half.read(&mut nothing).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn a_mesh_that_is_dropped_listens_no_more() {
    let site = Site::start("", &all("")).await;
    let address = site.address;
    let client = Client::connect(address).await;
    drop(site);
    until("it is closed", async || client.is_closed()).await;
    until("nobody listens", async || TcpStream::connect(address).await.is_err()).await;
}
