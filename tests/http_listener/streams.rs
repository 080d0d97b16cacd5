//! Bodies that are longer than a message: they go through as they come, both ways.

use airssys_tests::{log, until};
use airssys_wasm::events::Kind;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::answers::next;
use super::client::{Client, Site, all};

#[tokio::test]
async fn long_bodies_go_in_and_out() {
    let site = Site::start("", &all("")).await;
    let mut client = site.client().await;
    let long = "a".repeat(5 << 20);
    assert_eq!(client.ask("POST", "/length", &[], &long).await.short(), (200, "5242880"));
    for size in [65_536, 65_537, 5_000_000] {
        let big = client.get(&format!("/big?{size}")).await;
        assert_eq!((big.status, big.body.len()), (200, size));
    }
    // One that is read as it comes, and answered as it comes.
    assert_eq!(client.ask("POST", "/echo", &[], &long).await.body.len(), long.len());
    assert_eq!(client.ask("HEAD", "/big?5000000", &[], "").await.short(), (200, ""));
    // The turns were committed, and the connection is the same one.
    assert_eq!(client.get("/seen").await.short(), (200, "7"));
    assert_eq!(site.runtime.listeners()[0].connections, 1);
    // Nobody reads it, and what is behind it is another request.
    assert_eq!(client.try_ask("POST", "/made", &[], &long).await.unwrap().status, 201);
    site.stop().await;
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let site = Site::start("limits = { turn_deadline = \"60s\" }", &all("")).await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri("/drip?3").header("host", "a").body(Full::<bytes::Bytes>::default()).unwrap();
    let mut response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].as_bytes()),
        (200, &b"text/event-stream"[..])
    );
    let mut told = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        told.push(String::from_utf8_lossy(&frame.unwrap().into_data().unwrap()).into_owned());
    }
    assert_eq!(told.concat(), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
    assert!(told.len() > 1, "all of it came at once: {told:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_response_that_ends_before_it_is_whole_does_not_look_whole() {
    log::listen();
    let site = Site::start("limits = { turn_deadline = \"200ms\" }", &all("")).await;
    let mut client = site.client().await;
    assert!(client.try_ask("GET", "/drip?1000", &[], "").await.is_err(), "its turn was cut off");
    let lines = log::of("airssys::http", "site");
    let is_told = |(level, fields): &(String, Value)| {
        level == "WARN"
            && fields["message"].as_str().is_some_and(|text| text.contains("that had left") && text.contains("200ms"))
    };
    assert!(lines.iter().any(is_told), "why, is in the log alone: {lines:?}");
    assert_eq!(site.get("/seen").await.status, 200);
    // A client that goes away takes its turn with it at the next word.
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /drip?10 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    drop(stream);
    until("nothing is under way", async || site.runtime.listeners()[0].requests == 0).await;
    assert_eq!(site.get("/seen").await.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_told_so() {
    let site = Site::start("", &format!("body = \"100KiB\"\nbody_buffer = \"1KiB\"\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut client = Client::connect(site.address).await;
    assert_eq!(client.ask("POST", "/length", &[], &"a".repeat(100 << 10)).await.short(), (200, "102400"));
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(4096));
    let head = "POST /length HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = site.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(26))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(next(&mut events).await.0, "body");
    site.stop().await;
}
