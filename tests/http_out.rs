//! A guest makes the HTTP requests that it is granted, by WASI's own interface, and no other ones.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "http_out/servers.rs"]
pub(crate) mod servers;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use airssys_tests::command::Desk;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, log, until};
use airssys_wasm::deploy::{DeployError, Strategy};
use airssys_wasm::events::{Happening, Heard, Subscription};
use airssys_wasm::registry::Release;
use airssys_wasm::{Runtime, RuntimeBuilder};
use serde_json::{Value, json};

use self::servers::{Server, Tls};
use crate::cli::signals::Running;

/// A service that makes requests, with these grants and more of its own keys.
fn with(grants: &[String], more: &str) -> String {
    format!(
        "name = \"m\"\n[[service]]\nname = \"fetcher\"\nrelease = \"@fetcher\"\n{more}\n[service.grants]\nhttp = {grants:?}\n"
    )
}

async fn fetch(mesh: &Mesh, ask: Value) -> Value {
    let answer = mesh.runtime.call("fetcher", serde_json::to_vec(&ask).unwrap(), PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// Whether the guest got a response, or the name of the error.
async fn came(mesh: &Mesh, ask: Value) -> Result<u64, String> {
    let told = fetch(mesh, ask).await;
    told["error"].as_str().map_or_else(|| Ok(told["status"].as_u64().unwrap()), |error| Err(error.to_owned()))
}

fn denied() -> Result<u64, String> {
    Err("HttpRequestDenied".to_owned())
}

fn any(port: u16) -> Vec<String> {
    vec![format!("* http://127.0.0.1:{port}/**")]
}

/// A resolver that knows these names, each with the addresses that it leads to at the first look-up, at the second ...
fn knows(all: Vec<(&'static str, Vec<Vec<IpAddr>>)>) -> (RuntimeBuilder, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let builder = Runtime::builder().resolver(move |name| {
        let times = counted.fetch_add(1, Ordering::SeqCst);
        let known = all.iter().find(|(known, _)| *known == name).map(|(_, answers)| answers);
        let found = known.map(|answers| answers[times.min(answers.len() - 1)].clone());
        async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) }
    });
    (builder, asked)
}

async fn started(builder: RuntimeBuilder, topology: &str) -> Mesh {
    Mesh::try_start(topology, builder).await.unwrap()
}

/// The next denial: of what, and why.
async fn refused(events: &mut Subscription) -> (String, String) {
    loop {
        let Some(Heard::Event(event)) = events.next().await else { panic!("there is none") };
        if let Happening::Denied { actor, operation, target, missing } = &event.what {
            assert_eq!((actor.as_str(), operation.as_str()), ("fetcher", "http"));
            return (target.clone(), missing.clone());
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_request_is_made_as_the_guest_wrote_it() {
    let server = Server::start().await;
    let mesh = Mesh::start(&with(&any(server.port), "")).await;
    let url = server.url("/v1/things?q=a%2Fb");
    let told =
        fetch(&mesh, json!({"method": "POST", "url": url, "headers": [["x-own", "1"]], "body": "hello ", "times": 3}))
            .await;
    assert_eq!((&told["status"], &told["error"]), (&json!(200), &Value::Null), "{told}");
    let seen: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
    let host = format!("127.0.0.1:{}", server.port);
    let expected =
        json!({"method": "POST", "path": "/v1/things?q=a%2Fb", "host": host, "own": "1", "body": "hello hello hello "});
    assert_eq!(seen, expected);
    let headers: Vec<(String, String)> = serde_json::from_value(told["headers"].clone()).unwrap();
    assert!(headers.contains(&("x-server".to_owned(), "yes".to_owned())), "{headers:?}");
    assert!(!headers.iter().any(|(name, _)| name == "keep-alive"), "this is about the connection: {headers:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_reaches_nobody() {
    log::listen();
    let server = Server::start().await;
    let port = server.port;
    let grants = [format!("GET http://127.0.0.1:{port}/v1/**"), "GET http://granted.example/**".to_owned()];
    let mesh = Mesh::start(&with(&grants, "")).await;
    let mut events = mesh.runtime.events();
    let to = |method: &str, authority: &str, path: &str| json!({"method": method, "url": format!("http://{authority}{path}")});
    let own = format!("127.0.0.1:{port}");
    for (method, authority, path) in [
        ("POST", own.as_str(), "/v1/a"),
        ("get", &own, "/v1/a"),
        ("CONNECT", &own, "/v1/a"),
        ("GET", &own, "/v2/a"),
        ("GET", &own, "/v1"),
        ("GET", &own, "/v1/../v2"),
        ("GET", &own, "/v1/%2e%2e/v2"),
        ("GET", &own, "/v1/%252e%252e/v2"),
        ("GET", &own, "/v1/a%2F..%2F..%2Fv2"),
        ("GET", &own, "/v1/..;/v2"),
        ("GET", &own, "/v1//v2"),
        ("GET", &format!("granted.example:s3cret@{own}"), "/v1/a"),
        ("GET", &format!("localhost:{port}"), "/v1/a"),
        ("GET", &format!("127.1:{port}"), "/v1/a"),
        ("GET", &format!("2130706433:{port}"), "/v1/a"),
        ("GET", &format!("[::1]:{port}"), "/v1/a"),
        ("GET", "127.0.0.1", "/v1/a"),
        ("GET", "evilgranted.example", "/"),
    ] {
        assert_eq!(came(&mesh, to(method, authority, path)).await, denied(), "{method} {authority}{path}");
    }
    assert_eq!(came(&mesh, json!({"url": server.url("/v1/a").replace("http:", "https:")})).await, denied());
    assert_eq!(server.connections(), 0, "nobody came");
    let missing = format!(
        "no grant: add \"POST http://{own}/v1/a\" to `http` under the grants of service \"fetcher\" in the topology"
    );
    assert_eq!(refused(&mut events).await, (format!("POST http://{own}/v1/a"), missing));
    let audited = log::of("airssys::audit", "fetcher");
    let said = |(_, line): &&(_, Value)| line["target"] == json!(format!("GET http://{own}/v2/a"));
    assert_eq!(audited.iter().filter(said).count(), 1, "{audited:?}");
    assert!(!format!("{audited:?}").contains("s3cret"), "a password is nobody's to read: {audited:?}");
    // And what is granted comes there, however it is written.
    for url in [server.url("/v1/a"), server.url("/%76%31/a"), server.url("/v1/a%2Fb?../..")] {
        assert_eq!(came(&mesh, json!({"url": url})).await, Ok(200), "{url}");
    }
    assert_eq!(server.connections(), 3);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_the_guests_own_and_is_looked_at_like_each_request() {
    let (here, there) = (Server::start().await, Server::start().await);
    let mesh = Mesh::start(&with(&any(here.port), "")).await;
    let away = here.url(&format!("/redirect?{}", there.url("/secret")));
    let told = fetch(&mesh, json!({"url": away})).await;
    assert_eq!((&told["status"], there.connections()), (&json!(302), 0), "the host follows none: {told}");
    assert_eq!(came(&mesh, json!({"url": away, "follow": true})).await, denied());
    assert_eq!(there.connections(), 0, "nobody came");
    let back = here.url(&format!("/redirect?{}", here.url("/home")));
    assert_eq!(came(&mesh, json!({"url": back, "follow": true})).await, Ok(200));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_resolved_once_and_what_it_led_to_is_gone_to() {
    let (one, other) = (Server::start_at("127.0.0.1:0").await, Server::start_at("127.0.0.2:0").await);
    // The second look-up would lead to somebody else.
    let port = one.port;
    let answers = vec![vec![ip("127.0.0.1")], vec![ip("127.0.0.2")]];
    let (builder, asked) = knows(vec![("app.localhost", answers)]);
    let mesh = started(builder, &with(&[format!("GET http://app.localhost:{port}/**")], "")).await;
    let told = fetch(&mesh, json!({"url": format!("http://APP.localhost.:{port}/")})).await;
    let seen: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
    assert_eq!(seen["host"], format!("app.localhost:{port}"), "the name that was granted: {seen}");
    assert_eq!((asked.load(Ordering::SeqCst), one.connections(), other.connections()), (1, 1, 0));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_leads_nobody_to_what_is_nearer_than_it_may() {
    let server = Server::start().await;
    let port = server.port;
    let near = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "64:ff9b::7f00:1"];
    let mut names: Vec<(&'static str, Vec<Vec<IpAddr>>)> = vec![
        ("all.example", vec![near.iter().map(|one| ip(one)).collect()]),
        ("ten.below.example", vec![vec![ip("10.0.0.1")]]),
        ("mixed.localhost", vec![vec![ip("169.254.169.254"), ip("127.0.0.1")]]),
    ];
    names.push(("none.example", vec![vec![]]));
    let (builder, _) = knows(names);
    let grants = ["all.example", "*.below.example", "mixed.localhost", "none.example", "unknown.example", "**"]
        .map(|host| format!("GET http://{host}:{port}/**"));
    let mesh = started(builder, &with(&grants, "")).await;
    let mut events = mesh.runtime.events();
    let to = |host: &str| json!({"url": format!("http://{host}:{port}/")});
    let prohibited = || Err("DestinationIpProhibited".to_owned());
    for host in ["all.example", "ten.below.example", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254"] {
        assert_eq!(came(&mesh, to(host)).await, prohibited(), "{host}");
    }
    assert_eq!(server.connections(), 0, "nobody came");
    let (target, missing) = refused(&mut events).await;
    assert_eq!(target, format!("GET http://all.example:{port}/"));
    assert!(missing.starts_with("all.example leads to 127.0.0.1, which is loopback"), "{missing}");
    for host in ["none.example", "unknown.example"] {
        assert!(came(&mesh, to(host)).await.unwrap_err().starts_with("DnsError"), "{host}");
    }
    assert_eq!(came(&mesh, to("mixed.localhost")).await, Ok(200), "by the address that it may be led to");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_ends_in_time() {
    let server = Server::start().await;
    let mesh = Mesh::start(&with(&any(server.port), "")).await;
    let read_timeout = || Err("ConnectionReadTimeout".to_owned());
    assert_eq!(came(&mesh, json!({"url": server.url("/never"), "first_byte_ms": 50})).await, read_timeout());
    let told = fetch(&mesh, json!({"url": server.url("/stops"), "between_bytes_ms": 50})).await;
    assert_eq!(
        (&told["status"], &told["error"], &told["body"]),
        (&json!(200), &json!("ConnectionReadTimeout"), &json!("half"))
    );
    // Where the guest names no time, the deadline of its turn is one.
    until("each connection is closed", async || server.open() == 0).await;
    assert_eq!(came(&mesh, json!({"url": server.url("/")})).await, Ok(200), "the instance is well");
    mesh.stop().await;

    let mesh = Mesh::start(&with(&any(server.port), "limits = { turn_deadline = \"200ms\" }")).await;
    let asked = serde_json::to_vec(&json!({"url": server.url("/never")})).unwrap();
    // Whichever of the two is first: the turn is over, or the guest is told.
    match mesh.runtime.call("fetcher", asked, PATIENCE).await {
        Ok(told) => assert!(String::from_utf8_lossy(&told.unwrap()).contains("ConnectionReadTimeout")),
        Err(error) => assert!(error.to_string().contains("deadline"), "{error}"),
    }
    until("its connection is closed", async || server.open() == 0).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_wrong_has_a_name_and_harms_nobody() {
    let server = Server::start().await;
    let closed = Server::closed_port();
    let mut grants = any(server.port);
    grants.extend(any(closed));
    let mesh = Mesh::start(&with(&grants, "")).await;
    for (path, error) in [
        ("/raw?", "HttpResponseIncomplete"),
        ("/raw?HTTP/1.1%20200%20OK%0D%0Acontent-len", "HttpResponseIncomplete"),
        ("/raw?HTTP/1.1%20200%20OK%0D%0Acontent-length:%2010%0D%0A%0D%0Ahalf", "HttpResponseIncomplete"),
        ("/raw?HTTP/1.1%20200%20OK%0D%0Atransfer-encoding:%20chunked%0D%0A%0D%0A4%0D%0Ahalf", "HttpResponseIncomplete"),
        ("/raw?SSH-2.0-OpenSSH", "HttpProtocolError"),
        (
            "/raw?HTTP/1.1%20200%20OK%0D%0Acontent-length:%201%0D%0Acontent-length:%202%0D%0A%0D%0Aab",
            "HttpProtocolError",
        ),
        ("/huge-headers", "HttpResponseHeaderSectionSize(None)"),
        ("/many-headers", "HttpResponseHeaderSectionSize(None)"),
    ] {
        assert_eq!(came(&mesh, json!({"url": server.url(path)})).await, Err(error.to_owned()), "{path}");
    }
    let url = format!("http://127.0.0.1:{closed}/");
    assert_eq!(came(&mesh, json!({"url": url})).await, Err("ConnectionRefused".to_owned()));
    // A body without an end is there as it is read, and is over when the guest has read enough.
    let told = fetch(&mesh, json!({"url": server.url("/endless"), "enough": 3_000_000})).await;
    assert!(told["bytes"].as_u64().unwrap() >= 3_000_000 && told["error"].is_null(), "{told}");
    until("each connection is closed", async || server.open() == 0).await;
    let told =
        fetch(&mesh, json!({"method": "POST", "url": server.url("/count"), "body": "x".repeat(60_000), "times": 50}))
            .await;
    assert_eq!(told["body"], "3000000", "as long as it is: {told}");
    assert_eq!(mesh.status("fetcher").started, 1, "one instance all the time");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_who_its_certificate_says() {
    let (trusted, stranger) = (Tls::of("app.localhost"), Tls::of("app.localhost"));
    let (good, bad) = (Server::start_tls(&trusted).await, Server::start_tls(&stranger).await);
    let plain = Server::start().await;
    let names = ["app.localhost", "other.localhost"].map(|name| (name, vec![vec![ip("127.0.0.1")]]));
    let (builder, _) = knows(names.into());
    let grants = ["app", "other"].map(|name| format!("GET https://{name}.localhost:*/**"));
    let mesh = started(builder.trust(trusted.certificate()), &with(&grants, "")).await;
    let to = |name: &str, server: &Server| json!({"url": format!("https://{name}.localhost:{}/", server.port)});
    assert_eq!(came(&mesh, to("app", &good)).await, Ok(200));
    let certificate = || Err("TlsCertificateError".to_owned());
    assert_eq!(came(&mesh, to("app", &bad)).await, certificate(), "nobody vouches for it");
    assert_eq!(came(&mesh, to("other", &good)).await, certificate(), "it is somebody else's");
    assert_eq!(came(&mesh, to("app", &plain)).await, Err("TlsProtocolError".to_owned()));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_believes_whom_the_file_vouches_for_that_the_environment_names() {
    let (trusted, stranger) = (Tls::of("localhost"), Tls::of("localhost"));
    let (good, bad) = (Server::start_tls(&trusted).await, Server::start_tls(&stranger).await);
    let grants: Vec<String> = [&good, &bad].map(|server| format!("GET https://localhost:{}/**", server.port)).into();
    let desk = Desk::with(&with(&grants, ""));
    let file = desk.write("believed.pem", trusted.pem());
    let asked = tokio::task::spawn_blocking(move || {
        let ask = |server: &Server| {
            let ask = json!({"url": format!("https://localhost:{}/", server.port)}).to_string();
            let told = desk.run(&["call", "fetcher", &ask]).well().stdout;
            serde_json::from_str::<Value>(&told).unwrap()
        };
        let mut found = Vec::new();
        for believes in [true, false] {
            let mut command = desk.command(&["run"]);
            if believes {
                command.env("SSL_CERT_FILE", &file);
            }
            let mut running = Running::start(command);
            running.until("is up");
            found.extend([&good, &bad].map(ask));
            running.signal("KILL");
            let _ended = running.end();
        }
        found
    });
    let asked = asked.await.unwrap();
    let came = asked.iter().map(|told| told["error"].as_str().map_or_else(|| Ok(told["status"].as_u64()), Err));
    let no = Err("TlsCertificateError");
    assert_eq!(came.collect::<Vec<_>>(), [Ok(Some(200)), no, no, no], "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_gone_is_gone_for_the_next_request() {
    let server = Server::start().await;
    let mesh = Mesh::start(&with(&any(server.port), "")).await;
    assert_eq!(came(&mesh, json!({"url": server.url("/")})).await, Ok(200));
    let without = airssys_tests::read(mesh.folder.path(), &with(&[], "")).unwrap();
    mesh.runtime.apply(without, quick()).await.unwrap();
    assert_eq!(came(&mesh, json!({"url": server.url("/")})).await, denied());
    assert_eq!((server.connections(), mesh.status("fetcher").started), (1, 1), "in place, and nothing is kept open");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_lives_on_makes_as_many_requests_as_it_likes() {
    let server = Server::start().await;
    let mesh = Mesh::start(&with(&any(server.port), "limits = { resources = 20 }")).await;
    for _ in 0..100 {
        assert_eq!(came(&mesh, json!({"url": server.url("/"), "connect_ms": 60_000})).await, Ok(200));
    }
    assert_eq!((server.connections(), mesh.status("fetcher").started), (100, 1));
    mesh.stop().await;

    let mesh = Mesh::start(&with(&any(server.port), "limits = { resources = 4 }")).await;
    for _ in 0..20 {
        let refused = came(&mesh, json!({"url": server.url("/"), "connect_ms": 60_000})).await;
        assert_eq!(refused, Err("ConnectionLimitReached".to_owned()));
    }
    assert_eq!((server.connections(), mesh.status("fetcher").started), (100, 1), "an error, and no crash");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_makes_requests_is_compared_in_no_shadow() {
    let mesh = Mesh::start(&with(&any(1), "")).await;
    let built = airssys_tests::guest("fetcher").with_file_name("target").join("airssys/fetcher.wasm");
    std::fs::copy(built, mesh.folder.path().join("next.wasm")).unwrap();
    let described = "name = \"fetcher\"\nversion = \"0.2.0\"\n[requests]\nhttp = [\"* http://**:*/**\"]\n";
    std::fs::write(mesh.folder.path().join("next.toml"), described).unwrap();
    let release = Release::find(&mesh.folder.path().join("next.wasm")).unwrap();
    let mut options = quick();
    options.strategy = Strategy::Shadow { tolerate: 0.0 };
    let refused = mesh.runtime.deploy("fetcher", release, options).await.unwrap_err();
    assert!(matches!(refused, DeployError::Unfit { .. }) && refused.to_string().contains("HTTP requests"), "{refused}");
    mesh.stop().await;
}
