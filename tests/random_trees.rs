//! Meshes that nobody wrote: supervisors, services, messages, faults and what an operator does, all from one number.
//! The sound host is tried with each of them, and what holds for each mesh holds.
//!
//! `AIRSSYS_SOAK` is for how many seconds, and `AIRSSYS_SEED` the first number: `cargo xtask soak`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use airssys_tests::random::Random;
use airssys_tests::{code_cache, heir, with_guests};
use airssys_wasm::trial::{Trial, Tried};
use serde_json::{Value, json};
use tempfile::TempDir;

/// So many meshes, where nobody says for how long.
const FEW: u64 = 25;

/// The keys of a table, as they are written.
type Keys = Vec<(&'static str, String)>;

/// How a service is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alone,
    Pool,
    Lanes,
    Keyed,
    /// By a release that others follow.
    Counter,
}

#[derive(Clone)]
struct Service {
    name: String,
    kind: Kind,
    keys: Keys,
}

#[derive(Clone)]
struct Mesh {
    root: Keys,
    supervisors: Vec<Keys>,
    services: Vec<Service>,
}

fn one<'a, T: ?Sized>(random: &mut Random, of: &[&'a T]) -> &'a T {
    of[random.index(of.len())]
}

/// Whether something comes that comes so many times of a hundred.
fn comes(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// What a supervisor does.
fn ways(random: &mut Random) -> Keys {
    let mut keys = vec![
        ("strategy", quoted(one(random, &["one-for-one", "one-for-all", "rest-for-one"]))),
        ("intensity", one(random, &["0", "1", "3", "10", "1000"]).to_owned()),
        ("period", quoted(one(random, &["100ms", "1s", "5s"]))),
    ];
    if comes(random, 40) {
        let most = one(random, &["50ms", "1s", "20s"]);
        keys.push(("backoff", format!("{{ initial = \"10ms\", max = \"{most}\" }}")));
    }
    keys
}

/// How a child of this supervisor ends, and what that means.
fn child(random: &mut Random, shutdowns: &[&str], above: Option<&Keys>) -> Keys {
    let restart = one(random, &["permanent", "permanent", "transient", "temporary"]);
    let mut keys = vec![("restart", quoted(restart)), ("shutdown", quoted(one(random, shutdowns)))];
    let counts =
        above.is_some_and(|above| above.iter().any(|(key, value)| *key == "auto_shutdown" && value != "\"never\""));
    if counts && restart != "permanent" && comes(random, 50) {
        keys.push(("significant", "true".to_owned()));
    }
    keys
}

impl Mesh {
    fn drawn(random: &mut Random) -> Self {
        let mut root = ways(random);
        // A mesh that ends has nothing more to tell.
        root.retain(|(key, _)| *key != "intensity");
        root.push(("intensity", "1000".to_owned()));
        let mut supervisors: Vec<Keys> = Vec::new();
        for number in 0..random.below(4) {
            let above = supervisors.get(random.index(supervisors.len() + 1));
            let mut keys = vec![("name", quoted(&format!("sup{number}")))];
            keys.extend(above.map(|above| ("parent", above[0].1.clone())));
            keys.extend(child(random, &["infinity", "infinity", "brutal-kill", "1s"], above));
            keys.extend(ways(random));
            keys.push(("auto_shutdown", quoted(one(random, &["never", "never", "any", "all"]))));
            supervisors.push(keys);
        }
        let services = (0..2 + random.below(5)).map(|number| Service::drawn(random, number, &supervisors)).collect();
        let mut mesh = Self { root, supervisors, services };
        mesh.grant();
        mesh
    }

    /// Each may say everything to everybody.
    fn grant(&mut self) {
        let names: Vec<_> = self.services.iter().map(|service| quoted(&service.name)).collect();
        let of_keys = self.services.iter().filter(|service| service.kind == Kind::Keyed);
        let all = [names.clone(), of_keys.map(|service| quoted(&format!("{}/*", service.name))).collect()].concat();
        let all = all.join(", ");
        for service in &mut self.services {
            service.keys.retain(|(key, _)| *key != "grants");
            service.keys.push((
                "grants",
                format!("{{ send = [{all}], call = [{all}], publish = [\"news\"], subscribe = [\"news\"] }}"),
            ));
        }
    }

    /// The same one, but for one thing that an apply changes.
    fn changed(&self, random: &mut Random) -> Self {
        let mut mesh = self.clone();
        match random.below(4) {
            0 => {
                mesh.root = {
                    let mut root = ways(random);
                    root.retain(|(key, _)| *key != "intensity");
                    root.push(("intensity", "1000".to_owned()));
                    root
                }
            }
            1 => {
                let service = random.index(mesh.services.len());
                mesh.services[service].keys.retain(|(key, _)| *key != "retries");
                mesh.services[service].keys.push(("retries", random.below(4).to_string()));
            }
            2 if mesh.services.len() > 1 => drop(mesh.services.pop()),
            _ => {
                let number = mesh.services.len() as u64;
                mesh.services.push(Service::drawn(random, number, &mesh.supervisors));
            }
        }
        mesh.grant();
        mesh
    }

    fn text(&self) -> String {
        let mut text = String::from("name = \"drawn\"\n");
        let mut table = |name: &str, keys: &Keys| {
            writeln!(text, "{name}").unwrap();
            keys.iter().for_each(|(key, value)| writeln!(text, "{key} = {value}").unwrap());
        };
        table("[root]", &self.root);
        self.supervisors.iter().for_each(|keys| table("[[supervisor]]", keys));
        self.services.iter().for_each(|service| table("[[service]]", &service.keys));
        text
    }

    fn is_durable(&self) -> bool {
        self.services
            .iter()
            .any(|service| service.keys.iter().any(|(key, value)| *key == "state" && value == "\"durable\""))
    }

    fn any<'a>(&'a self, random: &mut Random) -> &'a Service {
        &self.services[random.index(self.services.len())]
    }

    /// What a message to this service says, and does there.
    fn message(&self, random: &mut Random, to: &Service, depth: u32) -> Value {
        if to.kind == Kind::Counter {
            let from = format!("client {{n}} {}", random.below(1_000_000));
            return json!({ "from": from, "number": 1 });
        }
        let most = if depth == 0 { 10 } else { 15 };
        match random.below(most) {
            0 => json!({ "echo": 1 }),
            1 => json!({ "get": "n" }),
            2 => json!("count"),
            3 => json!({ "fail": { "fault": one(random, &["invalid", "refused", "internal"]) } }),
            4 if comes(random, 30) => json!({ "trap": one(random, &["panic", "unreachable", "out_of_bounds"]) }),
            5 if comes(random, 30) => json!({ "exit": random.below(2) }),
            6 => json!({ "subscribe": "news" }),
            7 => json!({ "sleep": random.below(50) }),
            8 => json!({ "set": { "key": "s", "value": random.below(9) } }),
            10 => {
                let other = self.any(random);
                json!({ "send": self.said(random, other, depth) })
            }
            11 => {
                let other = self.any(random);
                let mut call = self.said(random, other, depth);
                call["timeout_ms"] = json!(1 + random.below(2_000));
                json!({ "call": call })
            }
            12 => json!({ "publish": { "topic": "news", "body": { "echo": 2 } } }),
            13 => {
                let body = self.message(random, to, depth - 1);
                json!({ "send_after": { "delay_ms": random.below(3_000), "body": body } })
            }
            14 => {
                let all = (0..2 + random.below(3)).map(|_| self.message(random, to, depth - 1));
                json!({ "do": all.collect::<Vec<_>>() })
            }
            _ => json!({ "increment": { "key": "n", "by": 1 } }),
        }
    }

    fn said(&self, random: &mut Random, to: &Service, depth: u32) -> Value {
        let mut said = json!({ "to": to.name, "body": self.message(random, to, depth - 1) });
        match to.kind {
            Kind::Keyed => said["to"] = json!(format!("{}/{}", to.name, random.below(6))),
            Kind::Lanes => said["key"] = json!(random.below(6).to_string()),
            Kind::Alone | Kind::Pool | Kind::Counter => {}
        }
        said
    }

    /// What is asked of it, and what goes wrong.
    fn test(&self, random: &mut Random) -> String {
        let mut text = String::from("settle = \"2m\"\n");
        if comes(random, 30) {
            writeln!(text, "kill = [\"{}ms\", \"{}ms\"]", 1 + random.below(300), 400 + random.below(300)).unwrap();
        }
        for _ in 0..2 + random.below(5) {
            let to = self.any(random);
            let (how, depth) = (one(random, &["ask", "ask", "send"]), 2);
            writeln!(text, "[[workload]]\nservice = \"{}\"", to.name).unwrap();
            if matches!(to.kind, Kind::Keyed | Kind::Lanes) {
                writeln!(text, "key = \"{}\"", one(random, &["{n}", "0", "1"])).unwrap();
            }
            writeln!(text, "{how} = '{}'", self.message(random, to, depth)).unwrap();
            let (times, every) = (1 + random.below(30), 1 + random.below(40));
            writeln!(text, "times = {times}\nevery = \"{every}ms\"").unwrap();
        }
        for _ in 0..1 + random.below(4) {
            self.fault(random, &mut text);
        }
        for _ in 0..random.below(4) {
            self.act(random, &mut text);
        }
        text
    }

    fn fault(&self, random: &mut Random, text: &mut String) {
        const IN_TURNS: [&str; 6] = ["crash", "crash", "crash", "hang", "memory", "full"];
        const OUTSIDE: [&str; 3] = ["drop", "late", "double"];
        const DISK: [&str; 4] = ["disk-slow", "disk-full", "disk-fail", "kill"];
        let all: Vec<&str> = match random.below(6) {
            0 => OUTSIDE.to_vec(),
            1 | 2 if self.is_durable() => DISK.to_vec(),
            _ => IN_TURNS.to_vec(),
        };
        let kind = one(random, &all);
        writeln!(text, "[[fault]]\nkind = \"{kind}\"").unwrap();
        if kind == "crash" && comes(random, 50) {
            let moments = ["before", "during", "after", "init", "stop", "snapshot", "restore", "migrate"];
            let moment = if self.is_durable() {
                one(random, &[&moments[..], &["commit"; 4]].concat())
            } else {
                one(random, &moments)
            };
            writeln!(text, "at = \"{moment}\"").unwrap();
        }
        if !DISK.contains(&kind) && comes(random, 30) {
            writeln!(text, "service = \"{}\"", self.any(random).name).unwrap();
        }
        if comes(random, 30) {
            writeln!(text, "nth = {}", 1 + random.below(20)).unwrap();
        } else {
            // A disk that fails more often lets no host start.
            let rates = if DISK.contains(&kind) { ["0.002", "0.01", "0.02"] } else { ["0.01", "0.05", "0.2"] };
            writeln!(text, "rate = {}", one(random, &rates)).unwrap();
        }
    }

    fn act(&self, random: &mut Random, text: &mut String) {
        let service = &self.any(random).name;
        let counters: Vec<_> = self.services.iter().filter(|service| service.kind == Kind::Counter).collect();
        let (kind, about) = match random.below(8) {
            0 => ("stop", format!("service = \"{service}\"\n")),
            1 => ("start", format!("service = \"{service}\"\n")),
            2 => ("restart", format!("service = \"{service}\"\n")),
            3 => ("apply", "topology = \"next.toml\"\n".to_owned()),
            4 => {
                let to = &self.any(random).name;
                (
                    one(random, &["grant", "revoke"]),
                    format!("service = \"{service}\"\ncapability = \"send\"\ntarget = \"{to}\"\n"),
                )
            }
            _ if counters.is_empty() => ("restart", format!("service = \"{service}\"\n")),
            5 => ("rollback", format!("service = \"{}\"\nprobation = \"100ms\"\n", one(random, &counters).name)),
            _ => {
                let (next, _) = NEXT[random.index(NEXT.len())];
                let strategy = one(
                    random,
                    &[
                        "strategy = \"in-place\"",
                        "strategy = \"blue-green\"",
                        "strategy = \"rolling\"\nbatch = \"1\"",
                        "strategy = \"canary\"\nsteps = [50]\nbake = \"50ms\"",
                        "strategy = \"shadow\"",
                    ],
                );
                let memory = one(random, &["keep", "without"]);
                let counter = &one(random, &counters).name;
                let about = format!(
                    "service = \"{counter}\"\nrelease = \"{next}.wasm\"\n{strategy}\nprobation = \"200ms\"\n\
                     memory = \"{memory}\"\n"
                );
                ("deploy", about)
            }
        };
        writeln!(text, "[[act]]\nkind = \"{kind}\"\nat = [\"0s\", \"900ms\"]\n{about}").unwrap();
    }
}

impl Service {
    fn drawn(random: &mut Random, number: u64, supervisors: &[Keys]) -> Self {
        let kinds = [Kind::Alone, Kind::Alone, Kind::Pool, Kind::Lanes, Kind::Keyed, Kind::Counter, Kind::Counter];
        let kind = kinds[random.index(kinds.len())];
        let name = format!("s{number}");
        let release = if kind == Kind::Counter { "one.wasm" } else { "@prober" };
        let mut keys = vec![("name", quoted(&name)), ("release", quoted(release))];
        let above = supervisors.get(random.index(supervisors.len() + 1));
        keys.extend(above.map(|above| ("supervisor", above[0].1.clone())));
        keys.extend(child(random, &["5s", "5s", "brutal-kill", "10ms", "infinity"], above));
        match kind {
            Kind::Alone | Kind::Counter => {}
            Kind::Pool => keys.push(("instances", (2 + random.below(2)).to_string())),
            Kind::Lanes => {
                keys.extend([("instances", "3".to_owned()), ("partitioned", "true".to_owned())]);
            }
            Kind::Keyed => {
                let (most, awake) = (one(random, &["4", "100"]), one(random, &["1", "3", "100"]));
                let idle = one(random, &["5ms", "50ms", "1m"]);
                let intensity = one(random, &["0", "2", "10"]);
                let keyed = format!(
                    "{{ max_keys = {most}, max_awake = {awake}, idle_timeout = \"{idle}\", intensity = {intensity} }}"
                );
                keys.push(("keyed", keyed));
            }
        }
        if kind != Kind::Pool && comes(random, 40) {
            keys.push(("state", quoted("durable")));
        }
        if comes(random, 50) {
            keys.push(("retries", random.below(4).to_string()));
        }
        if comes(random, 40) {
            let capacity = 1 + random.below(8);
            let overflow = one(random, &["wait", "refuse", "drop-newest", "drop-oldest"]);
            keys.push(("mailbox", format!("{{ capacity = {capacity}, overflow = \"{overflow}\" }}")));
        }
        if comes(random, 20) {
            keys.push(("recorder", "{ turns = 4 }".to_owned()));
        }
        Self { name, kind, keys }
    }
}

/// What follows the counter's first release, which is healthy: each with how it is, and the schema of its state.
const NEXT: [(&str, (&str, u32)); 5] = [
    ("healthy", ("healthy", 0)),
    ("schema", ("both-ways", 1)),
    ("one-way", ("healthy", 1)),
    ("crashing", ("crashes-on-4", 0)),
    ("failing", ("restore-fails", 0)),
];

/// A mesh and its test, in a folder with the releases.
struct Drawn {
    topology: String,
    test: String,
    folder: TempDir,
}

impl Drawn {
    fn of(seed: u64) -> Self {
        let random = &mut Random::of(seed);
        let mesh = Mesh::drawn(random);
        let (topology, next, test) = (mesh.text(), mesh.changed(random).text(), mesh.test(random));
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let release = |name: &str, (way, schema): (&str, u32), version: usize| {
            write(&format!("{name}.wasm"), &heir(name, way, schema));
            let manifest = format!("name = \"counter\"\nversion = \"1.{version}.0\"\nstate_schema = {schema}\n");
            write(&format!("{name}.toml"), manifest.as_bytes());
        };
        release("one", ("healthy", 0), 0);
        NEXT.iter().enumerate().for_each(|(number, (name, way))| release(name, *way, number + 1));
        write("airssys.toml", with_guests(&topology).as_bytes());
        write("next.toml", with_guests(&next).as_bytes());
        write("airssys.test.toml", test.as_bytes());
        Self { topology, test, folder }
    }

    fn run(&self, seed: u64, steps: bool) -> Tried {
        let trial = Trial::read(&self.folder.path().join("airssys.test.toml"));
        let trial = trial.unwrap_or_else(|error| panic!("mesh {seed}: {error}\n{self}"));
        trial.run(seed, Some(&code_cache()), steps).unwrap_or_else(|error| panic!("mesh {seed}: {error}\n{self}"))
    }
}

impl std::fmt::Display for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "airssys.toml:\n{}\nairssys.test.toml:\n{}", self.topology, self.test)
    }
}

#[test]
fn what_holds_for_each_mesh_holds_in_meshes_that_nobody_wrote() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, soak) = (number("AIRSSYS_SEED").unwrap_or(1), number("AIRSSYS_SOAK"));
    let begun = Instant::now();
    let (mut runs, mut turns, mut alarms, mut faults) = (0_u64, 0, Vec::new(), BTreeMap::<String, u64>::new());
    for seed in (0..if soak.is_some() { u64::MAX } else { FEW }).map(|next| first.wrapping_add(next)) {
        let drawn = Drawn::of(seed);
        let tried = drawn.run(seed, false);
        (runs, turns) = (runs + 1, turns + tried.turns);
        tried.faults.iter().for_each(|(fault, times)| *faults.entry(fault.clone()).or_default() += times);
        // What cannot be repeated cannot be mended.
        if seed.is_multiple_of(5) && drawn.run(seed, false).digest != tried.digest {
            alarms.push(format!("mesh {seed} is two runs"));
        }
        alarms.extend(tried.broken.into_iter().map(|what| format!("mesh {seed}: {what}")));
        if alarms.len() > 20 || soak.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
    }
    println!("{runs} meshes from {first} on, {turns} turns in {:?}, with {faults:?}", begun.elapsed());
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

/// For whoever looks at an alarm: `AIRSSYS_MESH=17` writes what that mesh is, and its steps.
#[test]
fn a_mesh_that_nobody_wrote_is_the_same_one_again() {
    let seed = std::env::var("AIRSSYS_MESH").ok().map_or(1, |text| text.parse().unwrap());
    let (drawn, again) = (Drawn::of(seed), Drawn::of(seed));
    let tried = drawn.run(seed, true);
    println!("{drawn}\n{}\n{:#?}", tried.steps.join("\n"), tried.broken);
    assert_eq!(tried.digest, again.run(seed, false).digest);
}
