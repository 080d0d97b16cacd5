//! Trailers: fields behind a body. A service reads those of a request, and writes those of its response.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::client::{Site, all};

/// A request over HTTP/1.1 with trailers, whose client takes some where it says so.
fn request(size: usize, takes: &str) -> String {
    format!(
        "POST /trailers HTTP/1.1\r\nhost: a\r\n{takes}connection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         {size:x}\r\n{}\r\n0\r\nx-sum: 1\r\nX-Sum: 2\r\n\r\n",
        "a".repeat(size)
    )
}

#[tokio::test]
async fn trailers_go_both_ways_over_http_1_where_the_client_takes_them() {
    let site = Site::start("", &all("")).await;
    // One that lies in a message, and one that is read as it comes.
    for size in [7, 200_000] {
        let read = site.raw(request(size, "te: trailers\r\n")).await;
        let head = read.split("\r\n\r\n").next().unwrap();
        assert!(read.starts_with("HTTP/1.1 200") && head.contains("\r\ntrailer: x-bytes"), "{read}");
        assert!(read.contains("x-sum: 1\nx-sum: 2\n"), "{read}");
        assert!(read.ends_with(&format!("\r\n0\r\nx-bytes: {size}\r\n\r\n")), "{read}");
        let read = site.raw(request(size, "")).await;
        assert!(read.contains("x-sum: 1\nx-sum: 2\n") && !read.contains("x-bytes: "), "{read}");
        assert!(read.ends_with("\r\n0\r\n\r\n"), "{read}");
    }
    // None of a request that has none.
    let read = site.raw("GET /trailers HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close\r\n\r\n").await;
    assert!(read.starts_with("HTTP/1.1 200") && read.ends_with("\r\nx-bytes: 0\r\n\r\n"), "{read}");
    assert_eq!(site.get("/seen").await.short(), (200, "6"), "each was one turn of one instance");
    site.stop().await;
}

#[tokio::test]
async fn trailers_go_both_ways_over_http_2() {
    let site = Site::start("", &all("")).await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for size in [7, 200_000] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let body = Full::new(Bytes::from(vec![b'a'; size])).with_trailers(std::future::ready(Some(Ok(trailers))));
        let uri = format!("http://{}/trailers", site.address);
        let request = Request::builder().method("POST").uri(uri).body(body).unwrap();
        let read = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(read.trailers().unwrap()["x-bytes"], size.to_string());
        assert_eq!(read.to_bytes(), "x-sum: 1\n");
    }
    site.stop().await;
}
