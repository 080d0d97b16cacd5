//! What is written over a connection, byte for byte, and what is answered.

use airssys_wasm::events::Kind;

use super::answers::next;
use super::client::{Site, all};

/// The statuses of all answers in what was read.
fn statuses(read: &str) -> Vec<&str> {
    read.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect()
}

#[tokio::test]
async fn what_is_said_in_two_ways_or_in_none_is_refused_or_ends_the_connection() {
    let site = Site::start("", &all("")).await;
    let post = |headers: &str, body: &str| format!("POST /echo HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}");
    let hidden = "GET /made HTTP/1.1\r\nhost: a\r\n\r\n";
    for (what, sent, answered) in [
        // RFC 9112, 6.3: by the coding alone, and the connection ends: what is behind it is no request.
        (
            "a length and a coding",
            post("content-length: 4\r\ntransfer-encoding: chunked\r\n", &format!("0\r\n\r\n{hidden}")),
            &["200"][..],
        ),
        (
            "a coding and a length",
            post("transfer-encoding: chunked\r\ncontent-length: 4\r\n", &format!("0\r\n\r\n{hidden}")),
            &["200"],
        ),
        ("two lengths", post("content-length: 4\r\ncontent-length: 5\r\n", "abcde"), &["400"]),
        ("two lengths in one", post("content-length: 4, 5\r\n", "abcde"), &["400"]),
        ("a signed length", post("content-length: +4\r\n", "abcd"), &["400"]),
        ("a length that is no number", post("content-length: 4x\r\n", "abcd"), &["400"]),
        ("a length beyond all", post("content-length: 99999999999999999999999\r\n", ""), &["400"]),
        ("an unknown coding", post("transfer-encoding: xchunked\r\n", "abcd"), &["400"]),
        ("a coding behind chunks", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), &["400"]),
        ("two codings", post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"), &["400"]),
        ("a folded line", post("x-a: 1\r\n 2\r\n", ""), &["400"]),
        ("a space before the colon", post("content-length : 4\r\n", "abcd"), &["400"]),
        ("a name with a space", post("x a: 4\r\n", ""), &["400"]),
        ("a bare CR", post("x-a: 1\r2\r\n", ""), &["400"]),
        ("a NUL", post("x-a: 1\u{0}2\r\n", ""), &["400"]),
        ("a chunk of no number", post("transfer-encoding: chunked\r\n", "zz\r\n"), &["400"]),
        ("a chunk beyond all", post("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n"), &["400"]),
        ("a chunk longer than it says", post("transfer-encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"), &["400"]),
        ("two hosts", "GET /made HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        ("no host", "GET /made HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        (
            "another host in the first line",
            "GET http://b/made HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(),
            &["400"],
        ),
        ("a host with a user", "GET /made HTTP/1.1\r\nhost: u@a\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        (
            "the same host twice",
            "GET http://a/made HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(),
            &["201"],
        ),
        ("dots", "GET /x/../made HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        ("dots in digits", "GET /x/%2e%2E/made HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        ("a tunnel", "CONNECT b:80 HTTP/1.1\r\nhost: b:80\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        ("a star", "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(), &["400"]),
        ("no HTTP at all", "HELO site\r\n\r\n".to_owned(), &["400"]),
        ("HTTP/1.0 without a host", "GET /made HTTP/1.0\r\n\r\n".to_owned(), &[]),
        // One length, said twice, is one.
        ("one length twice", post("connection: close\r\ncontent-length: 4\r\ncontent-length: 4\r\n", "abcd"), &["200"]),
        // RFC 9112, 2.2: a line may end with LF alone.
        ("bare LF", "GET /made HTTP/1.1\nhost: a\nconnection: close\n\n".to_owned(), &["201"]),
    ] {
        let read = site.raw(&sent).await;
        if what.starts_with("HTTP/1.0") {
            assert!(read.starts_with("HTTP/1.0 201"), "{what}: {read}");
        } else {
            assert_eq!(statuses(&read), answered, "{what}: {sent:?} => {read:?}");
        }
    }
    // Nothing of all that was a request of its own, and the site is well.
    assert_eq!(site.status("site").crashed, 0);
    assert_eq!(site.get("/made").await.status, 201);
    site.stop().await;
}

#[tokio::test]
async fn several_requests_at_once_are_answered_in_their_order() {
    let site = Site::start("", &all("")).await;
    let one = |body: &str| format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let last = "GET /seen HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let read = site.raw(format!("{}{}{last}", one("first"), one("second"))).await;
    let (first, second) = (read.find("first").unwrap(), read.find("second").unwrap());
    assert!(first < second && read.ends_with("\r\n\r\n3"), "{read}");
    site.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_told_so() {
    let site = Site::start("", &format!("header_bytes = \"4KiB\"\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut client = site.client().await;
    assert_eq!(client.ask("GET", "/seen", &[("x-a", &"a".repeat(3 << 10))], "").await.status, 200);
    let large = client.ask("GET", "/seen", &[("x-a", &"a".repeat(5 << 10))], "").await;
    assert_eq!(large.short(), (431, "head-too-large"));
    let (limit, detail) = next(&mut events).await;
    assert!(limit == "header_bytes" && detail.contains("4KiB"), "{detail}");
    // A head without an end, and one of many lines.
    let endless = format!("GET /seen HTTP/1.1\r\nhost: a\r\nx-a: {}", "a".repeat(64 << 10));
    assert_eq!(statuses(&site.raw(endless).await), ["431"]);
    let many = format!("GET /seen HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: 1\r\n".repeat(200));
    assert_eq!(statuses(&site.raw(many).await), ["431"]);
    let path = format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a".repeat(5 << 10));
    assert_eq!(statuses(&site.raw(path).await), ["431"]);
    site.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_so_before_it_has_come() {
    let site = Site::start("", &format!("body = \"1KiB\"\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut client = site.client().await;
    assert_eq!(client.ask("POST", "/echo", &[], &"a".repeat(1 << 10)).await.status, 200);
    // Nothing of it is sent: the length says enough.
    let told = site.raw("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1025\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(statuses(&told.await), ["413"]);
    let (limit, detail) = next(&mut events).await;
    assert!(limit == "body" && detail.contains("1KiB"), "{detail}");
    // One without an end has no length.
    let endless = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{}",
        "80\r\n".to_owned() + &"a".repeat(128) + "\r\n"
    );
    let chunks = endless + &format!("80\r\n{}\r\n", "a".repeat(128)).repeat(8);
    assert_eq!(statuses(&site.raw(chunks).await), ["413"]);
    assert_eq!(site.status("site").accepted, 1, "nobody in the mesh heard of it");
    site.stop().await;
}

#[tokio::test]
async fn a_body_may_come_in_parts_and_its_answer_has_a_length() {
    let site = Site::start("", &all("")).await;
    let chunks = "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n\
                  3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-t: 1\r\n\r\n";
    let read = site.raw(chunks).await;
    assert!(read.contains("content-length: 7\r\n") && read.ends_with("\r\n\r\nabcdefg"), "{read}");
    // It is asked for when somebody reads it.
    let expects =
        "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\nhi";
    assert_eq!(statuses(&site.raw(expects).await), ["100", "200"]);
    // A body of 0 bytes, and an answer to HEAD.
    let head = site.raw("HEAD /big?100 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    site.stop().await;
}
