//! A handler of WASI 0.3 hands on a stream that it was given, and has nothing more to do: what comes of it is a part of
//! its turn, to the end.

use airssys_tests::{Mesh, until};
use airssys_wasm::{Runtime, Written};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http_listener::client::{Site, all, rest, written};

/// The guest `feed`, with this in the tables of its service and its route. It may ask whom it likes.
async fn site(more: &str, route: &str) -> Site {
    let more = format!("{more}\n[service.grants]\nhttp = [\"* http://127.0.0.1:*/**\"]\n");
    Site::of(Mesh::start(&written(&more, &all(route)).replace("@site", "@feed")).await)
}

const LONG: &str = "limits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"";

/// A server that answers one request: with this head, and then so many bytes, as fast as they are taken; and closes.
/// How many were taken, when the connection is over.
async fn upstream(head: &str, bytes: usize) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let head = head.to_owned();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(head.as_bytes()).await.unwrap();
        let (chunk, mut taken) = (vec![b'x'; 1 << 14], 0);
        while taken < bytes {
            match stream.write(&chunk[..chunk.len().min(bytes - taken)]).await {
                Ok(written) => taken += written,
                Err(_) => return taken,
            }
        }
        taken
    });
    (url, served)
}

/// With a body without end.
const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";

/// Asks, and takes no more of the answer than its head.
async fn head_only(site: &Site, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_comes_whatever_it_is_read_from() {
    let disk = tempfile::tempdir().unwrap();
    let more = format!("{LONG}\n[service.grants.files]\n\"/data\" = {{ host = {:?}, access = \"read\" }}", disk.path());
    let site = Site::of(Mesh::start(&written(&more, &all("")).replace("@site", "@feed")).await);
    let mut client = site.client().await;
    for length in [0, 1, 65_536, 65_537, 3_000_000] {
        let text = "0123456789".repeat(length / 10 + 1)[..length].to_owned();
        // The body of the request, also with its length.
        let mirrored = client.ask("POST", "/mirror", &[], &text).await;
        assert!(mirrored.status == 200 && mirrored.body == text, "{} of {length}", mirrored.body.len());
        let mirrored = client.ask("POST", &format!("/mirror?{length}"), &[], &text).await;
        assert!(mirrored.status == 200 && mirrored.body == text, "{} of {length}", mirrored.body.len());
        // A file.
        std::fs::write(disk.path().join("a"), &text).unwrap();
        let file = client.get("/file?a").await;
        assert!(file.status == 200 && file.body == text, "{} of {length}", file.body.len());
    }
    assert_eq!(client.get("/count").await.short(), (200, "16"), "one instance had them all");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_what_was_read_is_handed_on() {
    let site = site(LONG, "").await;
    let mut client = site.client().await;
    for length in [5, 10, 11, 65_536, 3_000_000] {
        let text = "0123456789".repeat(length / 10 + 1)[..length].to_owned();
        let behind = client.ask("POST", "/behind", &[], &text).await;
        assert!(behind.status == 200 && behind.body == text[length.min(10)..], "{} of {length}", behind.body.len());
    }
    assert_eq!(client.get("/count").await.short(), (200, "6"), "one instance had them all");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_does_not_look_whole_and_its_turn_has_not_happened() {
    let site = site(LONG, "").await;
    let has_failed = async |method: &str, path: &str, body: &str| {
        let cut = site.client().await.try_ask(method, path, &[], body).await;
        assert!(cut.as_ref().is_err() || cut.as_ref().is_ok_and(|answer| answer.status == 500), "{path}: {cut:?}");
    };
    assert_eq!(site.get("/add").await.short(), (200, "1"));
    // It says that it has more: soon, and when a part of it has left.
    for bytes in [4, 400_000] {
        let (url, served) = upstream("HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n", bytes).await;
        has_failed("GET", &format!("/add/out?{url}"), "").await;
        served.await.unwrap();
    }
    let (url, served) = upstream("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n", 400_000).await;
    has_failed("GET", &format!("/add/out?{url}"), "").await;
    served.await.unwrap();
    // The handler says another length than there is.
    for length in [10, 400_000] {
        for says in [length - 1, length + 1] {
            has_failed("POST", &format!("/mirror?{says}"), &"x".repeat(length)).await;
        }
    }
    assert_eq!(site.get("/add").await.short(), (200, "2"));
    // Where the head alone was asked for, it may say how long the body would be.
    assert_eq!(site.client().await.ask("HEAD", "/mirror?5000", &[], "").await.short(), (200, ""));
    assert_eq!(site.get("/count").await.short(), (200, "11"), "no instance has ended for it");
    // One that is whole has happened.
    let (url, served) = upstream("HTTP/1.1 201 Made\r\ncontent-length: 400000\r\n\r\n", 400_000).await;
    let whole = site.get(&format!("/add/out?{url}")).await;
    assert_eq!((whole.status, whole.body.len(), served.await.unwrap()), (201, 400_000, 400_000));
    assert_eq!(site.get("/add").await.short(), (200, "4"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_ends_the_turn_and_leaves_what_was_done() {
    let site = site(LONG, "").await;
    for round in 1..=5 {
        // Of a stream without end from elsewhere, and of the own one.
        let (url, served) = upstream(ENDLESS, usize::MAX).await;
        drop(head_only(&site, &format!("GET /add/out?{url} HTTP/1.1\r\nhost: a\r\n\r\n")).await);
        served.await.unwrap();
        let begin = "x".repeat(100_000);
        let mirror = format!("POST /mirror HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n{begin}");
        drop(head_only(&site, &mirror).await);
        until("nothing is under way", async || site.runtime.listeners()[0].requests == 0).await;
        assert_eq!(site.get("/count").await.short(), (200, &*(round * 3).to_string()), "it is the same instance");
    }
    // Who asks for the head alone waits for no body.
    let begin = "x".repeat(100_000);
    let mirror = format!("HEAD /mirror HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n{begin}");
    let _open = head_only(&site, &mirror).await;
    until("nothing is under way", async || site.runtime.listeners()[0].requests == 0).await;
    assert_eq!(site.get("/add").await.short(), (200, "6"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_end_holds_its_key_alone_and_ends_with_the_deadline() {
    let route = "key = { header = \"x-session\" }";
    let holding = site(&format!("keyed = {{}}\n{LONG}"), route).await;
    let (url, served) = upstream(ENDLESS, usize::MAX).await;
    let endless = format!("GET /out?{url} HTTP/1.1\r\nhost: a\r\nx-session: alice\r\n\r\n");
    let stuck = head_only(&holding, &endless).await;
    for count in 1..=3 {
        let other = holding.client().await.ask("GET", "/count", &[("x-session", "bob")], "").await;
        assert_eq!(other.short(), (200, &*count.to_string()));
    }
    drop(stuck);
    served.await.unwrap();
    let alice = holding.client().await.ask("GET", "/count", &[("x-session", "alice")], "").await;
    assert_eq!(alice.short(), (200, "2"));
    holding.stop().await;
    // The deadline ends it, also where nobody takes what comes; and it takes no more memory than it waits in.
    let short = site("keyed = {}\nlimits = { turn_deadline = \"500ms\" }", route).await;
    let (url, served) = upstream(ENDLESS, usize::MAX).await;
    let mut stuck = head_only(&short, &endless.replace(endless.split(['?', ' ']).nth(2).unwrap(), &url)).await;
    let taken = served.await.unwrap();
    assert!(taken < 32 << 20, "{taken} bytes lie somewhere");
    let alice = short.client().await.ask("GET", "/count", &[("x-session", "alice")], "").await;
    assert_eq!(alice.short(), (200, "1"), "another instance");
    let read = rest(&mut stuck).await;
    assert!(!read.is_empty() && !read.ends_with("0\r\n\r\n"), "it looks whole");
    short.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_turns_out_too_large_does_not_look_whole() {
    let route = all("");
    let more = format!("{LONG}\n[service.grants]\nhttp = [\"* http://127.0.0.1:*/**\"]");
    let listener = format!("body = \"200KiB\"\nbody_buffer = \"1KiB\"\n{route}");
    let site = Site::of(Mesh::start(&written(&more, &listener).replace("@site", "@feed")).await);
    let chunk = format!("1000\r\n{}\r\n", "z".repeat(4096));
    let request = "POST /mirror HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let well = site.raw(format!("{request}{}0\r\n\r\n", chunk.repeat(50))).await;
    assert!(well.starts_with("HTTP/1.1 200") && well.ends_with("\r\n0\r\n\r\n"), "{}", well.len());
    assert_eq!(well.matches('z').count(), 50 * 4096);
    let cut = site.raw(format!("{request}{}0\r\n\r\n", chunk.repeat(60))).await;
    assert!(cut.starts_with("HTTP/1.1 413") || !cut.ends_with("\r\n0\r\n\r\n"), "{}", cut.len());
    site.stop().await;
}

/// Calls the handler by a message, which has a response whole or not at all.
async fn call(runtime: &Runtime, path: &str) -> String {
    let request = json!([{"method": "GET", "scheme": "http", "authority": "a", "path-with-query": path,
        "headers": [], "body": []}]);
    let request = request.to_string();
    let call = Written::Json { function: "handle", arguments: &request };
    let answer = runtime.invoke("site", call, airssys_tests::PATIENCE).await.unwrap().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    match answer.get("err") {
        Some(error) => error.as_str().unwrap().to_owned(),
        None => format!("{} bytes", answer["ok"]["body"].as_array().unwrap().len()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_message_it_is_whole_or_refused() {
    let site = site(LONG, "").await;
    let (url, served) = upstream("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n", 300_000).await;
    assert_eq!(call(&site.runtime, &format!("/out?{url}")).await, "300000 bytes");
    served.await.unwrap();
    let (url, served) = upstream("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n", 200_000).await;
    assert_eq!(call(&site.runtime, &format!("/out?{url}")).await, "unfinished: its body was not written to its end");
    served.await.unwrap();
    let (url, served) = upstream(ENDLESS, usize::MAX).await;
    let long = call(&site.runtime, &format!("/out?{url}")).await;
    assert!(long.starts_with("response-too-long: "), "{long}");
    served.await.unwrap();
    assert_eq!(site.get("/count").await.short(), (200, "4"));
    site.stop().await;
}
