//! A host that is killed with SIGKILL and starts again: a client that was answered finds its count again.

use std::io::{BufRead, BufReader};
use std::path::Path;

use airssys_tests::command::Desk;
use airssys_tests::{PATIENCE, visits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::limits::{Host, addresses};

const SESSIONS: usize = 24;
/// How often the host is killed; every other time while a release takes over.
const KILLS: usize = 6;
/// Answers that clients have before it is.
const BETWEEN: u64 = 60;

/// How far the release has come then, each time; the last word is none that it says, so that is after its end.
const FAR: [&str; KILLS / 2] = ["switching", "probation", "over"];

const TOPOLOGY: &str = r#"
    name = "m"
    [root]
    intensity = 100
    [[service]]
    name = "site"
    release = "one.wasm"
    state = "durable"
    keyed = { max_awake = 10, idle_timeout = "50ms" }
    [[http]]
    listen = "127.0.0.1:0"
    [[http.route]]
    service = "site"
    key = { cookie = "session" }
"#;

/// A client with one session, over all hosts.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    /// The last count that it was told.
    told: u64,
    /// Whether it asked since, and was told nothing.
    has_asked: bool,
}

/// Asks once; none where the host is gone before it has answered.
async fn ask(stream: &mut TcpStream, session: usize) -> Option<u64> {
    let request = format!("GET /visit HTTP/1.1\r\nhost: a\r\ncookie: session=s{session}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200"), "s{session}: {text}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return Some(body.parse().unwrap());
            }
        }
        match tokio::time::timeout(PATIENCE, stream.read_buf(&mut read)).await.unwrap() {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Asks until the host is gone. What was answered before is there, once; what was not may be.
async fn visit(
    address: String,
    session: usize,
    mut client: Client,
    answered: tokio::sync::mpsc::UnboundedSender<()>,
) -> Client {
    let Ok(mut stream) = TcpStream::connect(&address).await else { return client };
    loop {
        let Some(count) = ask(&mut stream, session).await else {
            client.has_asked = true;
            return client;
        };
        let next = client.told + 1;
        let is_right = count == next || client.has_asked && count == next + 1;
        assert!(is_right, "s{session} is told {count} after {client:?}");
        client = Client { told: count, has_asked: false };
        let _nobody_counts_any_more = answered.send(());
    }
}

fn put(desk: &Desk, name: &str) {
    desk.write(&format!("{name}.wasm"), visits(name, "healthy"));
}

/// Lets another release take over, and does not wait for that.
fn deploy(desk: &Desk, name: &str) -> std::process::Child {
    put(desk, name);
    let release = desk.path().join(format!("{name}.wasm"));
    let arguments = ["deploy", "site", release.to_str().unwrap(), "--probation", "50ms", "--same-version"];
    desk.command(&arguments).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_answered_finds_its_count_when_a_killed_host_starts_again() {
    let desk = Desk::with(TOPOLOGY);
    put(&desk, "one");
    let mut clients = [Client::default(); SESSIONS];
    for kill in 0..=KILLS {
        let mut host = Host::start(&desk);
        let address = addresses(&desk).await.remove(0);
        let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let visiting = clients.iter().enumerate();
        let visiting: Vec<_> = visiting
            .map(|(session, client)| tokio::spawn(visit(address.clone(), session, *client, answered.clone())))
            .collect();
        drop(answered);
        for _ in 0..BETWEEN {
            // None is left where a client has failed, which is told below.
            if tokio::time::timeout(PATIENCE, answers.recv()).await.unwrap().is_none() {
                break;
            }
        }
        let mut deploying = (kill % 2 == 1).then(|| deploy(&desk, &format!("next-{kill}")));
        if let Some(deploying) = &mut deploying {
            let mut said = BufReader::new(deploying.stderr.take().unwrap()).lines().map_while(Result::ok);
            let _as_far = said.find(|line| line.ends_with(FAR[kill / 2]));
        }
        // Without a word: nothing is put in order.
        host.0.kill().unwrap();
        host.0.wait().unwrap();
        if let Some(deploying) = &mut deploying {
            let _whatever_it_said = deploying.wait().unwrap();
        }
        for (client, task) in clients.iter_mut().zip(visiting) {
            *client = task.await.unwrap();
        }
    }
    assert!(clients.iter().all(|client| client.told > 0), "{clients:?}");
    let total: u64 = clients.iter().map(|client| client.told).sum();
    assert!(total >= BETWEEN * (KILLS as u64 + 1), "{total}");
    assert!(Path::new(&desk.path().join(".airssys")).is_dir());
}
