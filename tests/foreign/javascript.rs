//! Handlers of HTTP in JavaScript: one by StarlingMonkey and WASI 0.2, which is hono of npm's for the most part; one by
//! QuickJS and WASI 0.3.

use std::path::PathBuf;
use std::sync::Arc;

use airssys_tests::calling::Callers;
use airssys_tests::{Mesh, guest_in};
use tokio::sync::Mutex;

use super::plain;
use super::web::{Answer, Asked, Client, address, listener};
use super::{crash_replace_and_roll_back, of_one};

const JSON: &[(&str, &str)] = &[("content-type", "application/json"), ("user-agent", "a test")];

/// What the site is asked that does not depend on what was asked before.
const ROUTER: [Asked; 15] = [
    Asked::get("/"),
    Asked::get("/page/caf%C3%A9?said=%3Cb%3E%26"),
    Asked::get("/api/sum?n=1&n=2&n=39").with(&[("origin", "https://shop.example")]),
    Asked { headers: JSON, ..Asked::sent("POST", "/api/orders", "{\"sku\": \"b\u{fc}ch\", \"quantity\": 3}") },
    Asked { headers: JSON, ..Asked::sent("POST", "/api/orders", "no JSON at all") },
    Asked::sent("OPTIONS", "/api/orders", "").with(&[("origin", "https://shop.example")]),
    Asked::sent("PUT", "/echo", "what is sent comes back"),
    Asked::sent("PUT", "/echo", ""),
    Asked::sent("DELETE", "/orders/17", ""),
    Asked::sent("DELETE", "/orders/x", ""),
    Asked::get("/visits"),
    Asked::get("/visits").with(&[("cookie", "a=b; visits=41")]),
    Asked::get("/old"),
    Asked::get("/throw"),
    Asked::get("/nothing?here"),
];

const QUICK: [Asked; 8] = [
    Asked::get("/"),
    Asked::get("/count?1"),
    Asked::get("/count?1000"),
    Asked::sent("POST", "/shout", "what is sent is shouted"),
    Asked::sent("POST", "/shout", ""),
    Asked::get("/headers").with(&[("x-one", "1"), ("x-two", "2")]),
    Asked::get("/nothing"),
    Asked::sent("DELETE", "/", ""),
];

/// It answers one request in its life: each has an instance of its own.
const QUERIES: &str = "queries = [\"handle\"]";

fn built(name: &str) -> PathBuf {
    guest_in("javascript", name).with_file_name("target").join(format!("airssys/{name}.wasm"))
}

async fn start(name: &str, more: &str) -> Mesh {
    of_one(name, &guest_in("javascript", name), &format!("{more}\n{}", listener(name))).await
}

/// Clients that ask over connections of their own, each beginning with another request.
async fn callers(mesh: &Mesh, asked: &'static [Asked], answers: Vec<Answer>) -> Callers {
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Arc::new(Mutex::new(Client::connect(address(mesh)).await)));
    }
    let (clients, answers) = (Arc::new(clients), Arc::new(answers));
    Callers::numbered(3, move |caller, number| {
        let (client, answers) = (Arc::clone(&clients[caller]), Arc::clone(&answers));
        let at = (5 * caller + usize::try_from(number).unwrap()) % asked.len();
        async move { assert_eq!(client.lock().await.ask(asked[at]).await, answers[at], "{:?}", asked[at]) }
    })
}

async fn seen(client: &mut Client) -> u64 {
    client.ask(Asked::get("/seen")).await.text().parse().unwrap()
}

/// Has it loop for ever.
async fn spin(mesh: &Mesh) {
    let answer = Client::connect(address(mesh)).await.ask(Asked::get("/spin")).await;
    assert_eq!((answer.status, answer.text().trim_end()), (504, "crashed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_of_a_library_of_npms_answers_as_in_plain_wasmtime_and_no_request_fails_under_load() {
    let binary = std::fs::read(built("router")).unwrap();
    let expected = plain::answers(&binary, &ROUTER).await;
    let statuses: Vec<u16> = expected.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 201, 400, 204, 200, 200, 204, 404, 200, 200, 301, 500, 404]);
    let mesh = start("router", QUERIES).await;
    let mut client = Client::connect(address(&mesh)).await;
    for (asked, answer) in ROUTER.into_iter().zip(&expected) {
        assert_eq!(&client.ask(asked).await, answer, "{asked:?}");
    }
    let callers = callers(&mesh, &ROUTER, expected).await;
    crash_replace_and_roll_back(&mesh, "router", &binary, callers, "budget", spin).await;
    mesh.stop().await;
}

#[tokio::test]
async fn it_answers_for_ever_with_an_instance_a_request() {
    let mesh = start("router", QUERIES).await;
    let mut client = Client::connect(address(&mesh)).await;
    for _ in 0..300 {
        assert_eq!(seen(&mut client).await, 1);
        let echo = client.ask(Asked::sent("PUT", "/echo", "kept in its body as well")).await;
        assert_eq!(echo.text(), "kept in its body as well");
    }
    let status = mesh.status("router");
    assert_eq!((status.crashed, status.faulted), (0, 0));
    mesh.stop().await;
}

/// It keeps a handle of each request, and four more of every third one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_leaves_resources_behind_answers_under_load_and_no_request_fails() {
    const REQUESTS: u64 = 900;
    let mesh = start("hoarder", "").await;
    let before = mesh.status("hoarder").started;
    let address = address(&mesh);
    let callers = Callers::numbered(3, move |_, number| async move {
        let path = if number % 3 == 0 { "/keep/4" } else { "/" };
        let answer = Client::connect(address).await.ask(Asked::get(path)).await;
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    });
    callers.more(REQUESTS).await;
    let answered = callers.end().await;
    let status = mesh.status("hoarder");
    assert_eq!((status.handled, status.crashed, status.faulted), (answered, 0, 0));
    assert!(mesh.dead().is_empty());
    assert!(status.started > before + 3, "of 256 resources that an instance may have: {status:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_of_wasi_0_3_answers_as_in_plain_wasmtime_and_no_request_fails_under_load() {
    let binary = std::fs::read(built("quick")).unwrap();
    let expected = plain::answers_of_wasi_0_3(&binary, &QUICK).await;
    let expected: Vec<Answer> = expected.into_iter().map(Option::unwrap).collect();
    assert_eq!(expected[3].text(), "WHAT IS SENT IS SHOUTED");
    let mesh = start("quick", "").await;
    let manifest = std::fs::read_to_string(guest_in("javascript", "quick").join("Component.toml")).unwrap();
    std::fs::write(mesh.folder.path().join("next.toml"), manifest.replace("0.1.0", "0.2.0")).unwrap();
    let mut client = Client::connect(address(&mesh)).await;
    for (asked, answer) in QUICK.into_iter().zip(&expected) {
        assert_eq!(&client.ask(asked).await, answer, "{asked:?}");
    }
    assert_eq!(seen(&mut client).await, 9, "of one instance");
    assert_eq!(plain::answers_of_wasi_0_3(&binary, &[Asked::get("/refuse")]).await, [None]);
    assert_eq!(client.ask(Asked::get("/refuse")).await.status, 500);
    let callers = callers(&mesh, &QUICK, expected).await;
    crash_replace_and_roll_back(&mesh, "quick", &binary, callers, "budget", spin).await;
    mesh.stop().await;
}

#[tokio::test]
async fn one_of_wasi_0_3_answers_for_ever_as_well() {
    let mesh = start("quick", "").await;
    let mut client = Client::connect(address(&mesh)).await;
    for _ in 0..400 {
        assert_ne!(seen(&mut client).await, 0);
        assert_eq!(client.ask(Asked::sent("POST", "/shout", "a")).await.text(), "A");
    }
    let status = mesh.status("quick");
    assert_eq!((status.crashed, status.faulted), (0, 0));
    assert!(status.started > 1, "they leave more tasks behind than one instance may have: {status:?}");
    mesh.stop().await;
}
