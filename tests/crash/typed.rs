//! Calls of functions by their own types, from the host and over a wire, while the host is killed with SIGKILL: each
//! that was acknowledged is there once, and of the others no more than the one that was under way.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use airssys_tests::PATIENCE;
use airssys_tests::command::Desk;
use airssys_tests::random::Random;
use serde_json::{Value, json};

use super::{Client, host};

/// How often the host is killed.
const KILLS: u32 = 12;
/// More than are awake at a time: keys fall asleep and wake all the time.
const CUSTOMERS: [&str; 6] = ["alice", "bob", "carol", "dave", "eve", "frank"];

/// A ledger with a key a customer, which is called by the host and by desks, and knows when a number is missing or
/// comes twice.
const BOOKS: &str = r#"
    name = "mesh"
    [[service]]
    name = "ledger"
    release = "@ledger"
    keyed = { max_awake = 3, idle_timeout = "5ms" }
    state = "durable"
    [[service]]
    name = "desk"
    release = "@desk"
    instances = 2
    wires = { "acme:books/ledger" = { to = "ledger", key = "customer" } }
"#;

/// Who enters numbers, one after the other: under a customer, with a number of his own.
struct Sender {
    number: usize,
    customer: &'static str,
    /// Whether he asks a desk, which calls the ledger over its wire.
    over_a_wire: bool,
    /// The last one that was acknowledged, or found on disk.
    last: u64,
    /// How often he was answered.
    answered: u64,
}

impl Sender {
    /// Enters numbers until the host is gone.
    fn send(&mut self, data: &Path) {
        let Some(mut client) = Client::connect(data) else { return };
        let (to, key) = if self.over_a_wire { ("desk", None) } else { ("ledger", Some(self.customer)) };
        loop {
            let next = self.last + 1;
            let arguments = json!([self.customer, self.number, next]).to_string();
            let call = json!({
                "request": "call", "to": to, "key": key, "function": "enter", "body": { "text": arguments },
                "timeout_ms": PATIENCE.as_millis() as u64, "json": true
            });
            let Some(answer) = client.ask(&call) else { return };
            let answer: Value = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
            assert_eq!(answer, json!({ "ok": next }), "{to}: it says what was lost or came twice");
            self.last = next;
            self.answered += 1;
        }
    }
}

/// What is on disk of each customer and sender.
fn entered(desk: &Desk) -> BTreeMap<String, u64> {
    let ran = desk.run(&["state", "dump", "ledger", "--json"]);
    if ran.exit != Some(0) {
        assert!(ran.stderr.contains("no durable state"), "{ran:#?}");
        return BTreeMap::new();
    }
    let dump: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut entered = BTreeMap::new();
    for state in dump["states"].as_array().unwrap() {
        let values = state["values"].as_object().unwrap();
        let mut all = 0;
        for (key, value) in values {
            assert!(key.starts_with(state["actor"].as_str().unwrap()), "{key} is in the state of {}", state["actor"]);
            let number = value["text"].as_str().unwrap().parse::<u64>().unwrap();
            all += number;
            entered.insert(key.clone(), number);
        }
        assert_eq!(state["commits"], all, "each call is one commit");
    }
    entered
}

#[test]
fn each_typed_call_that_was_acknowledged_is_there_once_after_sigkill() {
    let mut random = Random::told();
    let desk = Desk::with(BOOKS);
    let data = desk.path().join(".airssys");
    let mut senders: Vec<Sender> = (0..2 * CUSTOMERS.len())
        .map(|number| {
            let customer = CUSTOMERS[number / 2];
            Sender { number, customer, over_a_wire: number % 2 == 1, last: 0, answered: 0 }
        })
        .collect();
    let mut unknown = 0;
    for kill in 0..KILLS {
        let mut host = host(&desk);
        while Client::connect(&data).is_none() {
            assert!(host.try_wait().unwrap().is_none(), "kill {kill}: the host did not start");
            thread::sleep(Duration::from_millis(1));
        }
        let life = Duration::from_micros(20_000 + random.below(150_000));
        thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| sender.send(&data));
            }
            thread::sleep(life);
            // SIGKILL.
            host.kill().unwrap();
            host.wait().unwrap();
        });
        let on_disk = entered(&desk);
        for sender in &mut senders {
            let key = format!("{}.{}", sender.customer, sender.number);
            let found = on_disk.get(&key).copied().unwrap_or_default();
            let last = sender.last;
            assert!(found == last || found == last + 1, "kill {kill}: {key} is {found}, and {last} was acknowledged");
            unknown += u64::from(found > last);
            // What was not acknowledged and is there all the same was the last one.
            sender.last = found;
        }
    }
    let of =
        |wire: bool| senders.iter().filter(|sender| sender.over_a_wire == wire).map(|sender| sender.answered).sum();
    let (direct, over_wires): (u64, u64) = (of(false), of(true));
    println!("{direct} calls of the host and {over_wires} over a wire over {KILLS} kills; {unknown} were unknown");
    assert!(direct > u64::from(KILLS) && over_wires > u64::from(KILLS), "the kills came too early to test anything");
}
