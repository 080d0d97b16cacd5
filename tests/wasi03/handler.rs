//! A handler of WASI 0.3 answers requests: bodies are streams, and it goes on after it has handed its response over.

use airssys_tests::{Mesh, PATIENCE, until};
use airssys_wasm::Written;
use airssys_wasm::registry::Release;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::http_listener::client::{Client, Site, all};

/// A mesh that listens, with the guest `feed` as the service `site`, and this besides in its tables.
async fn site(more: &str, route: &str) -> Site {
    let written = crate::http_listener::client::written(more, &all(route)).replace("@site", "@feed");
    Site::of(Mesh::start(&written).await)
}

/// What the guest answers to a call: its status and its body, or the error.
async fn ask(mesh: &Mesh, path: &str, body: &str) -> Result<(u64, String), String> {
    let request = json!([{"method": "POST", "scheme": "http", "authority": "feed.example", "path-with-query": path,
        "headers": [], "body": body.as_bytes()}]);
    let request = request.to_string();
    let call = Written::Json { function: "handle", arguments: &request };
    let answer = mesh.runtime.invoke("a", call, PATIENCE).await.map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    let Some(response) = answer.get("ok") else { return Err(answer["err"].as_str().unwrap().to_owned()) };
    let bytes = response["body"].as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap());
    Ok((response["status"].as_u64().unwrap(), String::from_utf8(bytes.collect()).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_with_what_was_written_after_the_response_was_handed_over() {
    let topology = "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"a\"\nrelease = \"@feed\"\n";
    let mesh = Mesh::start(topology).await;
    let well = |body: &str| Ok((200, body.to_owned()));
    assert_eq!(ask(&mesh, "/count", "").await, well("1"));
    assert_eq!(ask(&mesh, "/count", "").await, well("2"));
    let long = "what is sent ".repeat(20_000);
    assert_eq!(ask(&mesh, "/mirror", &long).await, well(&long));
    assert_eq!(ask(&mesh, "/drip?3", "").await, well("line 1\nline 2\nline 3\n"));
    assert_eq!(ask(&mesh, "/refused", "").await, Err("connection-refused".to_owned()));
    assert_eq!(ask(&mesh, "/internal", "").await, Err("internal-error: it was asked to".to_owned()));
    let long = ask(&mesh, "/big?2097152", "").await.unwrap_err();
    assert!(long.starts_with("response-too-long"), "{long}");
    let crashed = ask(&mesh, "/crash", "").await.unwrap_err();
    assert!(crashed.contains("crashed"), "{crashed}");
    assert_eq!(ask(&mesh, "/count", "").await, well("1"), "another instance");
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_go_in_and_out_as_they_come() {
    let site = site("limits = { turn_deadline = \"60s\" }", "").await;
    let mut client = site.client().await;
    let long = "a".repeat(5 << 20);
    assert_eq!(client.ask("POST", "/length", &[], &long).await.short(), (200, "5242880"));
    for size in [0, 1, 65_536, 65_537, 5_000_000] {
        let big = client.get(&format!("/big?{size}")).await;
        assert_eq!((big.status, big.body.len()), (200, size));
    }
    let mirrored = client.ask("POST", "/mirror", &[], &long).await;
    assert_eq!((mirrored.status, mirrored.body.len()), (200, long.len()));
    assert_eq!(client.ask("HEAD", "/big?5000", &[], "").await.short(), (200, ""));
    // Nobody reads it, and what is behind it is another request.
    assert_eq!(client.try_ask("POST", "/count", &[], &long).await.unwrap().status, 200);
    assert_eq!(site.get("/count").await.short(), (200, "10"), "one instance had them all");
    // What is written leaves when it is written.
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri("/drip?3").header("host", "a").body(Full::<bytes::Bytes>::default()).unwrap();
    let mut response = sender.send_request(request).await.unwrap();
    let mut told = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        told.push(String::from_utf8_lossy(&frame.unwrap().into_data().unwrap()).into_owned());
    }
    assert_eq!(told.concat(), "line 1\nline 2\nline 3\n");
    assert!(told.len() > 1, "all of it came at once: {told:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_request_has_its_status_and_leaves_no_half() {
    let site = site("limits = { turn_deadline = \"300ms\", turn_budget = \"100ms\" }", "").await;
    let mut client = site.client().await;
    assert_eq!(client.get("/add").await.short(), (200, "1"));
    for (path, status, says) in [
        ("/crash", 502, "crashed"),
        ("/refused", 500, "failed"),
        ("/internal", 500, "failed"),
        ("/wait", 504, "crashed"),
        ("/spin", 504, "crashed"),
        ("/nothing", 404, "nothing at /nothing"),
        // What these wrote is not there.
        ("/add/error", 500, "failed"),
        ("/add/trap", 502, "crashed"),
    ] {
        assert_eq!(client.get(path).await.short(), (status, says), "{path}");
    }
    // A response of which a part has left does not look whole.
    for path in ["/hang", "/burst", "/add/later-trap"] {
        let cut = site.client().await.try_ask("GET", path, &[], "").await;
        assert!(cut.is_err() || cut.is_ok_and(|answer| answer.status > 500), "{path} looks whole");
        assert_eq!(site.get("/count").await.short(), (200, "1"), "another instance after {path}");
    }
    assert_eq!(site.get("/add").await.short(), (200, "2"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_an_instance_of_its_own_and_loses_its_own_turn_alone() {
    let site = site(
        "keyed = {}\nlimits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"",
        "key = { header = \"x-session\" }",
    )
    .await;
    let mut stuck = site.client().await;
    let waiting = tokio::spawn(async move { drop(stuck.try_ask("GET", "/wait", &[("x-session", "stuck")], "").await) });
    site.under_way(1).await;
    let mut client = site.client().await;
    for (who, path, status, body) in [
        ("alice", "/count", 200, "1"),
        ("bob", "/count", 200, "1"),
        ("alice", "/add", 200, "1"),
        ("alice", "/add/trap", 502, "crashed"),
        ("bob", "/count", 200, "2"),
        ("alice", "/count", 200, "1"),
        ("alice", "/add", 200, "2"),
        ("bob", "/add", 200, "1"),
    ] {
        assert_eq!(client.ask("GET", path, &[("x-session", who)], "").await.short(), (status, body), "{who} {path}");
    }
    waiting.abort();
    site.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_or_is_killed_leaves_the_others_what_is_theirs() {
    let more = "limits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"";
    let site = site(more, "").await;
    assert_eq!(site.get("/count").await.status, 200);
    let calm = site.runtime.instances().0;
    // A client that goes away takes its turn with it at the next word.
    for _ in 0..10 {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let ask = b"GET /drip?100000 HTTP/1.1\r\nhost: a\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, ask).await.unwrap();
        let mut word = [0; 1];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut word).await.unwrap();
        drop(stream);
        until("nothing is under way", async || site.runtime.listeners()[0].requests == 0).await;
        assert_eq!(site.get("/count").await.status, 200);
    }
    // An actor that is killed in the midst of it.
    for _ in 0..10 {
        let mut client = Client::connect(site.address).await;
        let cut = async { client.try_ask("GET", "/hang", &[], "").await };
        let kill = async {
            site.under_way(1).await;
            let _stopped = site.runtime.stop_service("site").await.unwrap();
        };
        let (cut, ()) = tokio::join!(cut, kill);
        assert!(cut.is_err() || cut.is_ok_and(|answer| answer.status >= 500), "it looks whole");
        let _started = site.runtime.start_service("site").await.unwrap();
        assert_eq!(site.get("/count").await.short(), (200, "1"));
    }
    until("nothing is left of them", async || site.runtime.instances().0 <= calm).await;
    site.stop().await;
}

/// Exports the interface of those that handle HTTP, and not its function.
const ANOTHER: &str = r#"(component
    (core module $m
        (func (export "handle") (result i32) (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func $handle async (canon lift (core func $i "handle") async (callback (func $i "callback"))))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/handler@0.3.0" (instance $handler))
)"#;

#[test]
fn a_handler_of_another_type_is_refused_before_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wasm"), wat::parse_str(ANOTHER).unwrap()).unwrap();
    std::fs::write(folder.path().join("a.toml"), "name = \"a\"\nversion = \"0.1.0\"\n").unwrap();
    let inspected = Release::find(&folder.path().join("a.wasm")).unwrap().inspect().unwrap();
    let obstacles: Vec<String> = inspected.obstacles.iter().map(ToString::to_string).collect();
    let says = "its export wasi:http/handler@0.3.0 is another one than this host calls: `handle` is async func(), and this \
                host calls async func(request: own<wasi:http/types@0.3#request>) -> result<";
    assert!(obstacles.len() == 1 && obstacles[0].starts_with(says), "{obstacles:?}");
    let well = Release::find(&airssys_tests::guest("feed")).unwrap().inspect().unwrap();
    assert!(well.obstacles.is_empty(), "{:?}", well.obstacles);
}
