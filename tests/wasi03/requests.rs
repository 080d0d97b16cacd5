//! A guest of WASI 0.3 makes the HTTP requests that it is granted, and no other ones.

use airssys_tests::{Mesh, log};
use airssys_wasm::events::{Happening, Heard, Kind};

use crate::http_listener::client::{Site, all, written};
use crate::http_out::servers::Server;

const LONG: &str = "turn_deadline = \"60s\"";

/// The guest `feed` passes requests on, with these grants and limits.
async fn gateway(grants: &[String], limits: &str) -> Site {
    let more = format!("limits = {{ {limits} }}\n[service.grants]\nhttp = {grants:?}\n");
    Site::of(Mesh::start(&written(&more, &all("")).replace("@site", "@feed")).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_request_is_made_and_its_body_goes_through_both_ways() {
    let server = Server::start().await;
    let site = gateway(&[format!("* http://127.0.0.1:{}/**", server.port)], LONG).await;
    let mut client = site.client().await;
    let seen = client.ask("PUT", &format!("/out?{}", server.url("/v1/things?q=1")), &[], "hello").await;
    let told: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((seen.status, &told["method"], &told["path"]), (200, &"PUT".into(), &"/v1/things?q=1".into()), "{told}");
    assert_eq!(told["body"], "hello");
    // More than a message has, as it comes.
    let long = "a".repeat(5 << 20);
    let counted = client.ask("POST", &format!("/out?{}", server.url("/count")), &[], &long).await;
    assert_eq!(counted.short(), (200, "5242880"));
    let echoed = client.ask("POST", &format!("/out?{}", server.url("/any")), &[], &long).await;
    let told: serde_json::Value = serde_json::from_str(&echoed.body).unwrap();
    assert_eq!(told["body"].as_str().unwrap().len(), long.len());
    // What the server says is passed on, also where it is no success; nobody follows it.
    let moved = client.get(&format!("/out?{}", server.url("/redirect?http://example.com/"))).await;
    assert_eq!(moved.status, 302);
    assert_eq!(server.connections(), 4);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_reaches_nobody_and_is_told() {
    log::listen();
    let server = Server::start().await;
    let port = server.port;
    let site = gateway(&[format!("GET http://127.0.0.1:{port}/v1/**")], LONG).await;
    let mut denials = site.runtime.events().of_kinds(&[Kind::Denied]);
    let mut client = site.client().await;
    for (method, path) in [("POST", "/v1/a"), ("GET", "/v2/a"), ("GET", "/v1/../v2"), ("GET", "/v1/%2e%2e/v2")] {
        let refused = client.ask(method, &format!("/out?{}", server.url(path)), &[], "").await;
        assert!(refused.body.contains("HttpRequestDenied"), "{method} {path}: {}", refused.body);
        let Some(Heard::Event(event)) = denials.next().await else { panic!("nobody is told") };
        let Happening::Denied { actor, operation, .. } = &event.what else { panic!("{event:?}") };
        assert_eq!((actor.as_str(), operation.as_str()), ("site", "http"));
    }
    assert_eq!(client.get(&format!("/out?{}", server.url("/v1/a"))).await.status, 200);
    assert_eq!(server.connections(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_a_time_are_bounded_and_end_with_their_turn() {
    let server = Server::start().await;
    let grant = [format!("* http://127.0.0.1:{}/**", server.port)];
    let site = gateway(&grant, "resources = 16").await;
    let mut client = site.client().await;
    // Each response is a resource, and room for it is looked for before there is one.
    let many = client.get(&format!("/out-many?40&{}", server.url("/any"))).await;
    let (came, refused) = many.body.split_once(" came, ").unwrap();
    assert!((1..=16).contains(&came.parse::<u32>().unwrap()), "{}", many.body);
    assert_eq!(refused, "ErrorCode::ConnectionLimitReached");
    assert_eq!(site.status("site").crashed, 0);
    let again = client.get(&format!("/out-many?4&{}", server.url("/any"))).await;
    assert_eq!(again.short(), (200, "4 came,"));
    site.stop().await;
    // A turn that is cut off lets its connections go.
    let short = gateway(&grant, "turn_deadline = \"200ms\"").await;
    for path in ["/never", "/stops", "/endless"] {
        let cut = short.client().await.try_ask("GET", &format!("/out?{}", server.url(path)), &[], "").await;
        assert!(cut.is_err() || cut.is_ok_and(|answer| answer.status == 504), "{path}");
    }
    airssys_tests::until("they are gone", async || server.open() == 0).await;
    short.stop().await;
}
