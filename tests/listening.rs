//! A service listens where it is granted to: whoever connects is served, from turn to turn, until the grant is taken
//! away, a layer turns it away, or there is no room for it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use airssys_tests::{Mesh, PATIENCE, until};
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::error::SendError;
use airssys_wasm::middleware::{Context, Layer, Operation, Operations, Verdict};
use airssys_wasm::{Runtime, RuntimeBuilder};
use bytes::Bytes;
use serde_json::json;

/// An address at which nobody listens, and what keeps it from being given to somebody else.
fn free() -> (String, TcpListener) {
    let beside = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("127.0.0.2:{}", beside.local_addr().unwrap().port()), beside)
}

async fn start(grants: &[&str], limits: &str, builder: RuntimeBuilder) -> Mesh {
    let text = format!(
        "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@reacher\"\nlimits = {{ turn_deadline = \"60s\" {limits} }}\n\
         grants = {{ bind = {grants:?} }}\n"
    );
    Mesh::try_start(&text, builder).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What comes of what it is told.
async fn told(mesh: &Mesh, what: &str, address: &str) -> String {
    let asked = json!({ "do": [{ what: address }] }).to_string();
    let answer = mesh.runtime.call("a", asked, PATIENCE).await.unwrap().unwrap();
    let [came]: [String; 1] = serde_json::from_slice(&answer).unwrap();
    came
}

/// Says something to who listens there as soon as somebody does; what it is told, or nothing where the connection
/// ended, or nobody will listen any more.
fn say(address: &str, text: &str, over: &AtomicBool) -> String {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) if over.load(Ordering::Relaxed) => return String::new(),
            Err(_) => std::thread::yield_now(),
        }
    };
    let mut heard = String::new();
    let said = stream.write_all(text.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
    match said.and_then(|()| stream.read_to_string(&mut heard)) {
        Ok(_) => heard,
        Err(_reset) => String::new(),
    }
}

/// What comes of serving somebody there, and what each of these is told who come one after the other.
async fn served(mesh: &Mesh, address: &str, texts: &'static [&'static str]) -> (String, Vec<String>) {
    let over = Arc::new(AtomicBool::new(false));
    let (is_over, to) = (Arc::clone(&over), address.to_owned());
    let asking = tokio::task::spawn_blocking(move || texts.iter().map(|text| say(&to, text, &is_over)).collect());
    let came = told(mesh, "serve", address).await;
    over.store(true, Ordering::Relaxed);
    (came, asking.await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_is_served_and_without_a_grant_nobody_can() {
    let (address, _beside) = free();
    let mesh = start(&[&address], "", Runtime::builder()).await;
    for texts in [&["hello"], &["once more"]] {
        let (came, heard) = served(&mesh, &address, texts).await;
        assert_eq!((came.as_str(), &*heard), ("ok", &[texts[0].to_owned()][..]));
    }
    // At no other address, at none that the system chooses, and at all addresses at once neither.
    let port = address.rsplit_once(':').unwrap().1;
    for other in ["127.0.0.3".to_owned(), "0.0.0.0".to_owned()].map(|ip| format!("{ip}:{port}")) {
        assert_eq!(told(&mesh, "listen", &other).await, "access-denied", "{other}");
    }
    assert_eq!(told(&mesh, "listen", "127.0.0.2:0").await, "access-denied");
    // And it connects to nobody.
    assert_eq!(told(&mesh, "connect", &address).await, "access-denied");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_listens_is_open_from_turn_to_turn_and_goes_with_its_grant() {
    let (address, _beside) = free();
    let mesh = start(&[], "", Runtime::builder()).await;
    assert_eq!(told(&mesh, "listen", &address).await, "access-denied");
    let granted = mesh.runtime.grant("a", ("bind", &address), DeployOptions::default()).await;
    assert!(granted.is_ok(), "{granted:?}");
    assert_eq!(told(&mesh, "listen", &address).await, "ok");
    assert!(TcpStream::connect(&address).is_ok());
    let why = mesh.runtime.why("a", "bind", &address).unwrap();
    assert_eq!((why.allowed, why.granted.as_deref()), (true, Some(&*address)));
    mesh.runtime.revoke("a", "bind", &address).await.unwrap();
    // The one that listens is told to end, and does.
    until("it listens no more", async || TcpStream::connect(&address).is_err()).await;
    assert_eq!(told(&mesh, "listen", &address).await, "access-denied");
    assert_eq!(mesh.status("a").crashed, 0);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_come_from_whom_it_may_send_to_and_from_nobody_else() {
    // It listens at a port of UDP, and two others send it something all the time.
    let (beside, granted, stranger) = (bound(), bound(), bound());
    let to = format!("127.0.0.2:{}", beside.local_addr().unwrap().port());
    let address = granted.local_addr().unwrap();
    let text = format!(
        "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@reacher\"\nlimits = {{ turn_deadline = \"60s\" }}\n\
         grants = {{ bind = [\"{to}\"], sockets = [\"{address}\"] }}\n"
    );
    let mesh = Mesh::try_start(&text, Runtime::builder()).await.unwrap_or_else(|error| panic!("{error}"));
    let sending = tokio::task::spawn_blocking({
        let to = to.clone();
        move || {
            let (mut sent, mut heard, begun) = (0, [0; 16], Instant::now());
            loop {
                // Nobody listens there yet, which the system may say by an error.
                let _nobody_yet = stranger.send_to(b"stranger", &to);
                // So most of what comes, and most likely the first, is the stranger's.
                sent += 1_u32;
                if sent.is_multiple_of(10) {
                    let _nobody_yet = granted.send_to(b"granted", &to);
                }
                match granted.recv_from(&mut heard) {
                    Ok((bytes, from)) => {
                        assert_eq!((&heard[..bytes], from.to_string()), (&b"granted"[..], to));
                        return stranger.recv_from(&mut heard).is_err();
                    }
                    Err(_) => assert!(begun.elapsed() < PATIENCE, "nobody answers"),
                }
            }
        }
    });
    assert_eq!(told(&mesh, "echo", &to).await, "ok");
    assert!(sending.await.unwrap(), "the stranger has an answer");
    // And at no other port.
    assert_eq!(told(&mesh, "echo", &beside.local_addr().unwrap().to_string()).await, "access-denied");
    mesh.stop().await;
}

/// A socket for datagrams, which waits for none for long.
fn bound() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    socket
}

/// Turns away the first one who connects.
struct First(Arc<AtomicUsize>);

impl Layer for First {
    fn name(&self) -> &'static str {
        "first"
    }

    fn priority(&self) -> i32 {
        100
    }

    fn applies_to(&self) -> Operations {
        Operations::of(Operation::SocketAccept)
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        assert!(context.target.starts_with("127.0.0."), "{}", context.target);
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Verdict::Reject(SendError::Rejected { layer: "first".into(), reason: "no".to_owned() }.into()),
            _ => Verdict::Continue,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_turns_away_who_connects_and_the_next_one_is_served() {
    let (address, _beside) = free();
    let came = Arc::new(AtomicUsize::new(0));
    let mesh = start(&[&address], "", Runtime::builder().layer(First(Arc::clone(&came)))).await;
    let (came_of_it, heard) = served(&mesh, &address, &["one", "two"]).await;
    assert_eq!((came_of_it.as_str(), heard), ("ok", vec![String::new(), "two".to_owned()]));
    assert_eq!(came.load(Ordering::SeqCst), 2);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_room_for_one_more_is_told() {
    let (address, _beside) = free();
    let mesh = start(&[&address], ", resources = 3", Runtime::builder()).await;
    let (came, heard) = served(&mesh, &address, &["hello"]).await;
    assert_eq!((came.as_str(), heard), ("new-socket-limit", vec![String::new()]));
    assert_eq!(mesh.status("a").crashed, 0);
    mesh.stop().await;
}
