//! A host that is killed with SIGKILL, at whatever moment, has on its disk all that it acknowledged, and no turn by
//! halves.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, and what came of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use airssys_tests::command::Desk;
use airssys_tests::random::Random;
use airssys_tests::{PATIENCE, heir};
use prober_protocol::Command;
use serde_json::{Value, json};

mod typed;

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
    let mut random = Random::told();
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
            // What was not acknowledged and is there all the same counts from here on as if it had been, and what is
            // not was never asked for.
            count.asked.store(left, Ordering::SeqCst);
            count.acknowledged.store(left, Ordering::SeqCst);
        }
    }
    let turns = ledger.acknowledged.load(Ordering::SeqCst);
    println!("{turns} turns of the ledger over {KILLS} kills");
    assert!(turns > u64::from(KILLS), "the kills came too early to test anything");
}

/// A counter that two releases keep in two schemas, each of which brings over what the other has stored.
const COUNTER: &str = r#"
    name = "mesh"
    [[service]]
    name = "counter"
    release = "one.wasm"
    state = "durable"
"#;

/// Both releases, by the name that they answer with.
const RELEASES: [(&str, u32); 2] = [("one", 0), ("two", 1)];

/// The same, with a counter a key. Few are awake at a time, so that some sleep through a deployment, or several.
const COUNTERS: &str = r#"
    name = "mesh"
    [[service]]
    name = "counter"
    release = "one.wasm"
    state = "durable"
    keyed = { max_awake = 3 }
"#;

#[test]
fn a_host_that_is_killed_over_a_deployment_comes_back_with_one_release_and_its_state() {
    killed_over_deployments(COUNTER, &[""]);
}

#[test]
fn each_key_comes_back_in_one_schema_or_the_other_with_all_of_its_turns() {
    killed_over_deployments(COUNTERS, &["a", "b", "c", "d", "e", "f", "g", "h"]);
}

/// Publishes both releases, and compiles them once, so that no host spends its short life on that.
fn releases(desk: &Desk, topology: &str) {
    for (name, schema) in RELEASES {
        std::fs::write(desk.path().join(format!("{name}.wasm")), heir(name, "both-ways", schema)).unwrap();
        let manifest = format!("name = \"counter\"\nversion = \"{}.0.0\"\nstate_schema = {schema}\n", schema + 1);
        std::fs::write(desk.path().join(format!("{name}.toml")), manifest).unwrap();
        let _published = desk.run(&["publish", &format!("{name}.wasm")]).well();
        let topology = desk.write("compiled.toml", topology.replace("one.wasm", &format!("{name}.wasm")));
        let _compiled = desk.run(&["check".as_ref(), topology.as_os_str()]).well();
    }
}

/// Kills the host over and over while one release takes over from the other, and looks at what each of the keys has on
/// disk.
fn killed_over_deployments(topology: &str, keys: &[&str]) {
    let mut random = Random::told();
    let desk = Desk::with(topology);
    let data = desk.path().join(".airssys");
    releases(&desk, topology);
    let count = |client: &mut Client, key: &str, from: &str, number: u64| {
        let key = Some(key).filter(|key| !key.is_empty());
        let body = json!({ "from": from, "number": number }).to_string();
        let call = json!({ "request": "call", "to": "counter", "key": key, "body": { "text": body }, "timeout_ms": PATIENCE.as_millis() as u64 });
        let answer = client.ask(&call)?;
        let answer: Value = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
        Some(answer["release"].as_str().unwrap().to_owned())
    };
    let (mut acknowledged, mut asked) = (vec![0_u64; keys.len()], vec![0_u64; keys.len()]);
    let (mut changes, mut mixed) = (0, 0);
    let mut last = String::new();
    // On a busy machine few deployments end before the kill: it goes on until some have.
    for kill in 0..10 * KILLS {
        if kill >= KILLS && changes > 3 {
            break;
        }
        let mut host = host(&desk);
        let mut client = loop {
            match Client::connect(&data) {
                Some(client) => break client,
                None => {
                    assert!(host.try_wait().unwrap().is_none(), "kill {kill}: the host did not start");
                    thread::sleep(Duration::from_millis(1));
                }
            }
        };
        // A guest does not start over a state in the other schema, so whoever answers has its own.
        let first = kill as usize % keys.len();
        asked[first] += 1;
        let live = count(&mut client, keys[first], &format!("start {kill}"), 1).unwrap();
        acknowledged[first] += 1;
        changes += u32::from(live != last);
        last.clone_from(&live);
        let next = if live == "one" { "counter@2.0.0" } else { "counter@1.0.0" };
        let deploy = json!({ "request": "deploy", "service": "counter", "release": next, "probation_ms": 5, "handover_ms": 5_000, "allow_downgrade": true });
        let life = Duration::from_micros(random.below(250_000));
        // The others sleep through it.
        let busy = 1 + usize::try_from(random.below(keys.len() as u64)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| Client::connect(&data).and_then(|mut client| client.ask(&deploy)));
            scope.spawn(|| {
                for number in 1.. {
                    for at in (first..first + busy).map(|at| at % keys.len()) {
                        asked[at] += 1;
                        if count(&mut client, keys[at], &format!("load {kill}"), number).is_none() {
                            return;
                        }
                        acknowledged[at] += 1;
                    }
                }
            });
            thread::sleep(life);
            host.kill().unwrap();
            host.wait().unwrap();
        });
        let _nothing_is_damaged = desk.run(&["state", "verify"]).well();
        let dump: Value =
            serde_json::from_str(&desk.run(&["state", "dump", "counter", "--json"]).well().stdout).unwrap();
        let states = dump["states"].as_array().unwrap();
        for (at, key) in keys.iter().enumerate() {
            let state = states.iter().find(|state| state["actor"] == *key);
            let number = |name: &str| {
                let hex = state?["values"][name]["hex"].as_str()?;
                Some(u64::from_str_radix(hex, 16).unwrap().swap_bytes())
            };
            let counted = match (number("handled"), number("doubled")) {
                (Some(handled), None) => handled,
                (None, Some(doubled)) => doubled / 2,
                (None, None) => 0,
                both => panic!("kill {kill}: half brought over: {both:?}"),
            };
            if let Some(state) = state.filter(|_| counted > 0) {
                assert_eq!(state["schema"], u64::from(number("doubled").is_some()), "kill {kill}: {key}");
            }
            let (told, most) = (acknowledged[at], asked[at]);
            assert!(told <= counted && counted <= most, "kill {kill}: {key}: {told} <= {counted} <= {most}");
            assert_eq!(number("out of order"), None, "kill {kill}: {key}");
            (acknowledged[at], asked[at]) = (counted, counted);
        }
        let schemas = states.iter().map(|state| state["schema"].to_string()).collect::<BTreeSet<_>>();
        mixed += u32::from(schemas.len() > 1);
    }
    let turns: u64 = acknowledged.iter().sum();
    println!("{turns} turns and {changes} changes of the release; {mixed} times keys were left in both schemas");
    assert!(changes > 3, "the kills came too early to test anything");
    assert!(mixed > 3 || keys.len() == 1, "no key slept through a deployment");
}

/// How often a host is killed that takes a data folder of an earlier version over.
const TAKEN_OVER: u32 = 24;

/// Waits until a host is there.
fn up(desk: &Desk) -> Child {
    let data = desk.path().join(".airssys");
    let mut host = host(desk);
    while Client::connect(&data).is_none() {
        assert!(host.try_wait().unwrap().is_none(), "the host did not start");
        thread::sleep(Duration::from_millis(1));
    }
    host
}

/// Kills with SIGKILL.
fn kill(mut host: Child) {
    host.kill().unwrap();
    host.wait().unwrap();
}

/// What the records of a data folder are as an earlier version wrote them: a file for each, by its path.
fn as_before(data: &Path) -> Vec<(PathBuf, String)> {
    let records = std::fs::read_to_string(data.join("desired/records")).unwrap();
    let mut said: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for line in records.lines().map(|line| line.trim_start_matches('\0')).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(9, ' ').skip(5);
        let (of, value) = (words.next().unwrap(), words.nth(2).unwrap());
        said.entry(of).or_default().push(serde_json::from_str(value).unwrap());
    }
    let mut last = |of: &str| said.get_mut(of).unwrap().pop().unwrap();
    let end = last("deployments/counter");
    let deployed = json!({
        "format": 5, "live": end["live"], "previous": end["previous"], "ended": end["ended"], "history": [end["last"]]
    });
    let of = |path: &str, value: Value| (data.join(path), value.to_string());
    vec![
        of("deployments/counter.json", deployed),
        of("topology/in-force.json", last("topology")),
        of("topology/stopped.json", last("stopped")),
    ]
}

#[test]
fn a_host_that_is_killed_while_it_takes_over_what_an_earlier_version_wrote_loses_nothing() {
    let mut random = Random::told();
    let topology = format!("{COUNTER}[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n");
    let desk = Desk::with(&topology);
    let data = desk.path().join(".airssys");
    releases(&desk, &airssys_tests::with_guests(&topology));
    let host_before = up(&desk);
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "5ms"]).well();
    let _stopped = desk.run(&["stop", "echo"]).well();
    let history = desk.run(&["history", "counter", "--json"]).well().stdout;
    kill(host_before);
    let before = as_before(&data);
    let (mut taken_over, mut cut_off) = (0, 0);
    for number in 0..TAKEN_OVER {
        std::fs::remove_dir_all(data.join("desired")).unwrap();
        for (path, text) in &before {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut host = host(&desk);
        // As soon as there is something of it, or whenever.
        while number % 2 == 0 && !data.join("desired").exists() {
            assert!(host.try_wait().unwrap().is_none(), "{number}: the host did not start");
        }
        let most = if number % 2 == 0 { 4_000 } else { 100_000 };
        thread::sleep(Duration::from_micros(random.below(most)));
        kill(host);
        let is_left = before.iter().filter(|(path, _)| path.exists()).count();
        (taken_over, cut_off) = (taken_over + u32::from(is_left == 0), cut_off + u32::from((1..3).contains(&is_left)));
        let _nothing_is_damaged = desk.run(&["state", "verify"]).well();

        let host = up(&desk);
        let body = json!({ "from": "a", "number": number + 1 }).to_string();
        let answer: Value =
            serde_json::from_str(&desk.run(&["call", "counter", &body, "--json"]).well().stdout).unwrap();
        assert_eq!(answer["ok"]["release"], "two", "{number}: {answer}");
        let _stopped = desk.run(&["call", "echo", "hello"]).refused(1, "AH201", &["stopped"]);
        assert_eq!(desk.run(&["history", "counter", "--json"]).well().stdout, history, "{number}");
        kill(host);
        assert!(!data.join("deployments").exists() && !data.join("topology").exists(), "{number}");
    }
    println!("{taken_over} of {TAKEN_OVER} were taken over when the host was killed, {cut_off} in the middle of it");
    assert!(taken_over > 0, "the kills came too early to test anything");
}
