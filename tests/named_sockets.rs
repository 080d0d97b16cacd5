//! A socket goes where a granted name leads: the host resolves it, what it found holds for its time, and a name leads
//! nobody to what is nearer than its grant says.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::SendError;
use airssys_wasm::events::{Happening, Heard, Kind, Subscription};
use airssys_wasm::middleware::{Context, Layer, Operation, Operations, Verdict};
use airssys_wasm::{Runtime, RuntimeBuilder};
use bytes::Bytes;
use serde_json::{Value, json};

/// A service that may connect there, with more settings of the mesh.
fn topology(grants: &[String], settings: &str) -> String {
    format!(
        "name = \"m\"\n[settings]\n{settings}\n[[role]]\nname = \"client\"\ngrants = {{ sockets = {grants:?} }}\n\
         [[service]]\nname = \"a\"\nrelease = \"@reacher\"\nroles = [\"client\"]\n"
    )
}

/// A resolver by which each name leads to the first of these the first time that somebody asks, and so on.
fn leading(answers: Vec<&'static [&'static str]>) -> (RuntimeBuilder, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let builder = Runtime::builder().resolver(move |_| {
        let times = counted.fetch_add(1, Ordering::SeqCst);
        let found = answers[times.min(answers.len() - 1)];
        async move { Ok(found.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect()) }
    });
    (builder, asked)
}

/// Listeners with one port, at these addresses.
fn listeners() -> (TcpListener, TcpListener, u16) {
    loop {
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        // Somebody else may have it there.
        let Ok(other) = TcpListener::bind(("127.0.0.2", port)) else { continue };
        for listener in [&one, &other] {
            listener.set_nonblocking(true).unwrap();
        }
        return (one, other, port);
    }
}

/// How many have connected since the last time.
fn came(listener: &TcpListener) -> usize {
    std::iter::from_fn(|| listener.accept().ok()).count()
}

/// What comes of connecting to each of these, one after the other.
async fn connect(mesh: &Mesh, all: &[String]) -> Vec<String> {
    let all: Vec<Value> = all.iter().map(|address| json!({ "connect": address })).collect();
    let asked = json!({ "do": all }).to_string();
    let answer = mesh.runtime.call("a", asked, PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// The next denial: what of what, and why.
async fn denial(events: &mut Subscription) -> (String, String, String) {
    let Some(Heard::Event(event)) = events.next().await else { panic!("there is none") };
    let Happening::Denied { operation, target, missing, .. } = &event.what else { panic!("{event:?}") };
    (operation.clone(), target.clone(), missing.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_leads_to_what_the_host_has_found_for_as_long_as_that_holds() {
    let (one, other, port) = listeners();
    let (builder, asked) = leading(vec![&["127.0.0.1"], &["127.0.0.2"]]);
    let grants = [format!("db.test:{port} loopback")];
    let mesh = Mesh::try_start(&topology(&grants, "lookup_ttl = \"1h\""), builder).await.unwrap();
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let forms = ["db.test", "DB.Test", "db.test."].map(|name| format!("{name}:{port}"));
    assert_eq!(connect(&mesh, &forms).await, ["ok", "ok", "ok"]);
    assert_eq!((came(&one), came(&other), asked.load(Ordering::SeqCst)), (3, 0, 1));
    // Where it leads, a socket may go; and to no other port, and nowhere else.
    let elsewhere = [format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}"), "127.0.0.1:1".to_owned()];
    assert_eq!(connect(&mesh, &elsewhere).await, ["ok", "access-denied", "access-denied"]);
    assert_eq!((came(&one), came(&other)), (1, 0));
    let (operation, target, missing) = denial(&mut events).await;
    assert_eq!(
        (operation.as_str(), target, missing.as_str()),
        ("socket-connect", elsewhere[1].clone(), "it was not granted")
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_resolved_again_when_its_time_is_over_and_leads_elsewhere_then() {
    let (one, other, port) = listeners();
    let name = format!("db.test:{port}");
    let grants = [format!("{name} loopback")];
    // Its time is over at once: it is resolved as it is looked up, and again as it is connected to.
    for (answers, reached, came_to) in [
        (vec![&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.2"]], ["ok", "ok"], (1, 1)),
        // Somebody lets it lead elsewhere between the two.
        (vec![&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]], ["access-denied", "ok"], (1, 0)),
    ] {
        let answers = answers.into_iter().map(|answer| &answer[..]).collect();
        let (builder, asked) = leading(answers);
        let mesh = Mesh::try_start(&topology(&grants, "lookup_ttl = \"0s\""), builder).await.unwrap();
        assert_eq!(connect(&mesh, &[name.clone(), name.clone()]).await, reached);
        assert_eq!((came(&one), came(&other)), came_to);
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_leads_nobody_to_what_is_nearer_than_its_grant_says() {
    let (one, _other, port) = listeners();
    let near: [(&'static [&'static str], &str, &str); 8] = [
        (&["10.0.0.1"], "", "private"),
        (&["127.0.0.1"], "", "loopback"),
        (&["::ffff:127.0.0.1"], " private", "loopback"),
        (&["64:ff9b::7f00:1"], "", "loopback"),
        (&["169.254.169.254"], " loopback", "link-local"),
        (&["fe80::1"], " private", "link-local"),
        (&["224.0.0.1"], " link-local", "unusable"),
        (&["0.0.0.0"], " link-local", "unusable"),
    ];
    for (answer, word, told) in near {
        let (builder, _) = leading(vec![answer]);
        let grants = [format!("db.test:{port}{word}")];
        let mesh = Mesh::try_start(&topology(&grants, ""), builder).await.unwrap();
        let mut events = mesh.runtime.events().of_kinds(&[Kind::Denied]);
        assert_eq!(connect(&mesh, &[format!("db.test:{port}")]).await, ["access-denied"], "{answer:?}{word}");
        let (operation, target, missing) = denial(&mut events).await;
        assert_eq!((operation.as_str(), target.as_str()), ("lookup", "db.test"));
        assert!(missing.starts_with("db.test leads to ") && missing.contains(&format!("which is {told}")), "{missing}");
        let says_how = missing.contains(&format!("write `{told}` behind the grant by this name"));
        assert_eq!(says_how, told != "unusable", "{missing}");
        // Who goes there without having looked it up is told why as well.
        if *answer == ["127.0.0.1"] {
            assert_eq!(connect(&mesh, &[format!("127.0.0.1:{port}")]).await, ["access-denied"]);
            let (operation, _, missing) = denial(&mut events).await;
            assert!(operation == "socket-connect" && missing.starts_with("db.test leads to"), "{missing}");
        }
        mesh.stop().await;
    }
    assert_eq!(came(&one), 0, "nobody came");
    // Of several addresses, those that are not too near are left.
    let (builder, _) = leading(vec![&["169.254.169.254", "127.0.0.1"]]);
    let mesh = Mesh::try_start(&topology(&[format!("db.test:{port} loopback")], ""), builder).await.unwrap();
    assert_eq!(connect(&mesh, &[format!("db.test:{port}")]).await, ["ok"]);
    assert_eq!(came(&one), 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_name_is_looked_up() {
    let (_one, _other, port) = listeners();
    let (builder, asked) = leading(vec![&["127.0.0.1"]]);
    let grants = [format!("db.test:{port} loopback"), format!("*:{port}"), format!("10.0.0.1:{port}")];
    let mesh = Mesh::try_start(&topology(&grants, ""), builder).await.unwrap();
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    for (name, why) in [
        ("other.test", "no grant: add \"other.test:PORT\" to `sockets`"),
        ("below.db.test", "no grant"),
        ("db.test.evil.test", "no grant"),
        ("xn--db-qja.test", "no grant"),
        ("d\u{430}.test", "beginning with xn--"),
        ("db\u{3002}test", "beginning with xn--"),
        ("0x7f.1", "not plain which host is meant"),
        ("127.1", "not plain which host is meant"),
        ("db.test/", "not plain which host is meant"),
        ("", "not plain which host is meant"),
    ] {
        assert_eq!(connect(&mesh, &[format!("{name}:{port}")]).await, ["access-denied"], "{name}");
        let (operation, target, missing) = denial(&mut events).await;
        assert_eq!((operation.as_str(), target.as_str()), ("lookup", name));
        assert!(missing.contains(why), "{name}: {missing}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody was asked");
    mesh.stop().await;
}

/// Lets no name be looked up.
struct NoNames;

impl Layer for NoNames {
    fn name(&self) -> &'static str {
        "no-names"
    }

    fn priority(&self) -> i32 {
        100
    }

    fn applies_to(&self) -> Operations {
        Operation::Lookup.into()
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        assert_eq!((context.operation, context.target), (Operation::Lookup, "db.test"));
        Verdict::Reject(SendError::Rejected { layer: "no-names".into(), reason: "told to".into() }.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_passes_the_layers() {
    let (one, _other, port) = listeners();
    let (builder, asked) = leading(vec![&["127.0.0.1"]]);
    let grants = [format!("db.test:{port} loopback")];
    let mesh = Mesh::try_start(&topology(&grants, ""), builder.layer(NoNames)).await.unwrap();
    assert_eq!(connect(&mesh, &[format!("DB.test.:{port}")]).await, ["access-denied"]);
    assert_eq!((came(&one), asked.load(Ordering::SeqCst)), (0, 0));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_nowhere_is_no_denial() {
    let (_one, _other, port) = listeners();
    let (builder, _) = leading(vec![&[]]);
    let grants = [format!("db.test:{port} loopback")];
    let mesh = Mesh::try_start(&topology(&grants, ""), builder).await.unwrap();
    assert_eq!(connect(&mesh, &[format!("db.test:{port}")]).await, ["name-unresolvable"]);
    assert_eq!(mesh.status("a").denied, 0);
    mesh.stop().await;
}
