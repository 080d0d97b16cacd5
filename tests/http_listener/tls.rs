//! HTTPS, and HTTP/2.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use airssys_tests::{Mesh, PATIENCE, read};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::DeployOptions;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::client::{Site, all, written};

pub(super) const TLS: &str = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";

/// A certificate for `localhost`, written into a folder.
pub(super) fn certificate(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

async fn start(http: &str) -> (Site, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate(folder.path());
    let topology = written("keyed = {}", &format!("{TLS}{http}"));
    let mesh = Mesh::start_in(folder, &topology, &[], airssys_tests::builder()).await;
    (Site::of(mesh), certificate)
}

/// A connection that trusts this certificate alone and can speak these protocols; none where there is no handshake.
async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

fn request(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    let uri = format!("https://localhost:{}{path}", address.port());
    Request::builder().uri(uri).header("cookie", "session=a").body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_listener_with_a_certificate_speaks_https_in_both_versions() {
    let (site, certificate) = start(&all("key = { cookie = \"session\" }")).await;
    assert!(site.runtime.listeners()[0].tls);
    let stream = connect(site.address, &certificate, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // Many at a time over one connection.
    let asked = (0..20).map(|_| sender.send_request(request(site.address, "/add")));
    let answers = timeout(PATIENCE, futures(asked)).await.unwrap();
    let mut sums = Vec::new();
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        sums.push(String::from_utf8_lossy(&body).parse::<u32>().unwrap());
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=20).collect::<Vec<_>>());
    // Of one that is asked for its head, however long it is, the length is told and nothing else.
    for size in [100, 5_000_000] {
        let mut head = request(site.address, &format!("/big?{size}"));
        *head.method_mut() = hyper::Method::HEAD;
        let answer = sender.send_request(head).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    let shown = sender.send_request(request(site.address, "/show")).await.unwrap();
    let body = String::from_utf8_lossy(&shown.into_body().collect().await.unwrap().to_bytes()).into_owned();
    assert!(body.contains("Some(Scheme::Https)") && body.contains("localhost:"), "{body}");

    let stream = connect(site.address, &certificate, &["http/1.1"]).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request(site.address, "/seen");
    let host = format!("localhost:{}", site.address.port());
    request.headers_mut().insert("host", host.parse().unwrap());
    assert_eq!(sender.send_request(request).await.unwrap().status().as_u16(), 200);
    // Who speaks no TLS is not answered.
    assert!(!site.raw("GET /seen HTTP/1.1\r\nhost: a\r\n\r\n").await.contains("HTTP/1.1"));
    site.stop().await;
}

/// All of them, in their order.
async fn futures<F: Future + Send + 'static>(all: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F::Output: Send,
{
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test]
async fn a_cookie_that_is_made_stays_with_https() {
    let (site, certificate) = start(&all("key = { cookie = \"other\", make = true }")).await;
    let stream = connect(site.address, &certificate, &["h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request(site.address, "/seen")).await.unwrap();
    assert!(answer.headers()["set-cookie"].to_str().unwrap().ends_with("; SameSite=Lax; Secure"));
    site.stop().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_by_an_apply() {
    let (site, first) = start(&all("key = { cookie = \"session\" }")).await;
    let mut old = connect(site.address, &first, &["http/1.1"]).await.unwrap();
    let second = certificate(site.folder.path());
    let text = written("keyed = {}", &format!("{TLS}{}", all("key = { cookie = \"session\" }")));
    let same = read(site.folder.path(), &text).unwrap();
    site.runtime.apply(same, DeployOptions::default()).await.unwrap();
    assert!(connect(site.address, &first, &[]).await.is_err(), "it has another certificate now");
    let _new = connect(site.address, &second, &[]).await.unwrap();
    // The connection from before goes on.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    old.write_all(b"GET /made HTTP/1.1\r\nhost: a\r\ncookie: session=a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _closed_in_whichever_way = old.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 201"));
    // One that cannot be used is refused, and the one before stays.
    std::fs::write(site.folder.path().join("key.pem"), "no key").unwrap();
    let said = site.runtime.apply(read(site.folder.path(), &text).unwrap(), DeployOptions::default()).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("key.pem") && said.contains("private key"), "{said}");
    let _still = connect(site.address, &second, &[]).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_of_by_a_check() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let text = written("", &format!("{TLS}{}", all("")));
    for (file, text_of_it, says) in [
        ("cert.pem", Some("nothing"), "has no certificate in it"),
        ("cert.pem", None, "cannot be read"),
        ("key.pem", Some("nothing"), "has no private key in it"),
    ] {
        certificate(folder.path());
        let path = folder.path().join(file);
        match text_of_it {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let topology = read(folder.path(), &text).unwrap();
        let builder = || airssys_tests::builder();
        let checked = builder().check(&topology).await.unwrap_err().to_string();
        let started = builder().start(&topology).await.err().unwrap().to_string();
        assert!(checked.contains(file) && checked.contains(says), "{checked}");
        assert_eq!(checked, started);
    }
    // Of two that do not belong together.
    certificate(folder.path());
    let own = std::fs::read(folder.path().join("cert.pem")).unwrap();
    certificate(folder.path());
    std::fs::write(folder.path().join("cert.pem"), own).unwrap();
    let topology = read(folder.path(), &text).unwrap();
    let said = Runtime::builder().check(&topology).await.unwrap_err().to_string();
    assert!(said.contains("cannot be used with its key"), "{said}");
}
