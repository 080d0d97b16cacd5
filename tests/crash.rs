//! A host that is killed with SIGKILL, at whatever moment, has on its disk all that it acknowledged, and no turn by halves.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, and what came of it")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use airssys_tests::PATIENCE;
use airssys_tests::command::Desk;
use prober_protocol::Command;
use serde_json::{Value, json};

/// How often the host is killed.
const KILLS: u32 = 40;
/// Those who send at the same time.
const SENDERS: usize = 4;

/// Two keys that are only ever written together, in one state and in one a key.
const LEDGER: &str = r#"
    name = "mesh"
    [[service]]
    name = "ledger"
    release = "@prober"
    state = "durable"
    [[service]]
    name = "books"
    release = "@prober"
    instances = 2
    partitioned = true
    state = "durable"
"#;

/// A row of numbers that look random; its seed is printed, and can be given.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        let seed = std::env::var("AIRSSYS_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
        println!("AIRSSYS_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Client {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Client {
    /// None where no host is there.
    fn connect(data: &Path) -> Option<Self> {
        let stream = UnixStream::connect(data.join("control/socket")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { answers: BufReader::new(stream.try_clone().unwrap()), stream };
        client.ask(&json!({ "airssys": 1 }))?;
        Some(client)
    }

    /// None where the host is gone before it answers.
    fn ask(&mut self, line: &Value) -> Option<Value> {
        self.stream.write_all(format!("{line}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).ok()?;
        // A line that was cut off is no answer.
        let answer: Value = serde_json::from_str(answer.strip_suffix('\n')?).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        Some(answer["ok"].clone())
    }
}

/// What was asked for, and what of it was acknowledged, of each counter.
#[derive(Default)]
struct Count {
    asked: AtomicU64,
    acknowledged: AtomicU64,
}

/// Asks for turns until the host is gone. The first half of a turn's writes is far from the second.
fn send(data: &Path, service: &str, key: Option<&str>, count: &Count) {
    let increment = |key: &str| Command::Increment { key: key.into(), by: 1 };
    let turn = Command::Do(vec![
        increment("left"),
        Command::Set { key: "m".into(), value: json!("x".repeat(2_000)) },
        increment("right"),
    ]);
    let body = String::from_utf8(turn.bytes()).unwrap();
    let call = json!({
        "request": "call", "to": service, "key": key, "body": { "text": body }, "timeout_ms": PATIENCE.as_millis() as u64
    });
    let Some(mut client) = Client::connect(data) else { return };
    loop {
        count.asked.fetch_add(1, Ordering::SeqCst);
        if client.ask(&call).is_none() {
            return;
        }
        count.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

fn host(desk: &Desk) -> Child {
    let mut command = desk.command(&["run", "--log", "error"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Both numbers of a state, as the file has them; it is read while no host runs.
fn on_disk(desk: &Desk, service: &str, actor: &str) -> (u64, u64) {
    let ran = desk.run(&["state", "dump", service, "--json"]);
    if ran.exit != Some(0) {
        assert!(
            ran.stderr.contains("no durable state") || ran.stderr.contains("there is no durable state"),
            "{ran:#?}"
        );
        return (0, 0);
    }
    let dump: Value = serde_json::from_str(&ran.stdout).unwrap();
    let Some(state) = dump["states"].as_array().unwrap().iter().find(|state| state["actor"] == actor) else {
        return (0, 0);
    };
    let number = |key: &str| {
        let hex = state["values"][key]["hex"].as_str().unwrap();
        u64::from_str_radix(hex, 16).unwrap().swap_bytes()
    };
    assert_eq!(state["commits"], number("left"), "each commit is counted once");
    (number("left"), number("right"))
}

#[test]
fn what_was_acknowledged_survives_sigkill_and_no_turn_is_there_by_halves() {
    let mut random = Random::new();
    let desk = Desk::with(LEDGER);
    let data = desk.path().join(".airssys");
    let keys: Vec<String> = (0..SENDERS).map(|sender| format!("key {sender}")).collect();
    let ledger = Arc::new(Count::default());
    let books: Vec<Arc<Count>> = keys.iter().map(|_| Arc::default()).collect();
    for kill in 0..KILLS {
        let mut host = host(&desk);
        if kill % 8 == 7 {
            // While it starts, or just after.
            thread::sleep(Duration::from_millis(random.below(120)));
        } else {
            while Client::connect(&data).is_none() {
                assert!(host.try_wait().unwrap().is_none(), "kill {kill}: the host did not start");
                thread::sleep(Duration::from_millis(1));
            }
        }
        let life = Duration::from_micros(random.below(60_000));
        thread::scope(|scope| {
            for (key, count) in keys.iter().zip(&books) {
                scope.spawn(|| send(&data, "books", Some(key), count));
                scope.spawn(|| send(&data, "ledger", None, &ledger));
            }
            thread::sleep(life);
            // SIGKILL.
            host.kill().unwrap();
            host.wait().unwrap();
        });
        let counts = std::iter::once(("ledger", "", &ledger))
            .chain(keys.iter().zip(&books).map(|(k, c)| ("books", k.as_str(), c)));
        for (service, actor, count) in counts {
            let (left, right) = on_disk(&desk, service, actor);
            let (asked, acknowledged) = (count.asked.load(Ordering::SeqCst), count.acknowledged.load(Ordering::SeqCst));
            assert_eq!(left, right, "kill {kill}: a turn of {service} {actor} is there by halves");
            assert!(
                acknowledged <= left && left <= asked,
                "kill {kill}: {service} {actor}: {acknowledged} <= {left} <= {asked}"
            );
            // What was not acknowledged and is there all the same counts from here on as if it had been, and what is not was never asked for.
            count.asked.store(left, Ordering::SeqCst);
            count.acknowledged.store(left, Ordering::SeqCst);
        }
    }
    let turns = ledger.acknowledged.load(Ordering::SeqCst);
    println!("{turns} turns of the ledger over {KILLS} kills");
    assert!(turns > u64::from(KILLS), "the kills came too early to test anything");
}
