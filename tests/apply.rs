//! A running mesh is brought to another topology: what did not change is not touched, nothing is lost, repeated or
//! reordered on the way, and an error half-way leaves all as it was.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airssys_tests::in_the_way::InTheWay;
use airssys_tests::{Mesh, PATIENCE, builder, heir, read, shifter, told, until};
use airssys_wasm::command::{ApplyPlan, ChangeMode, CutOff, in_force};
use airssys_wasm::deploy::{DeployOptions, Progress, Strategy};
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::{ApplyError, Runtime, RuntimeBuilder};
use prober_protocol::{Command, Outcome};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const SENDERS: usize = 4;
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3_600);

/// Three counters under two supervisors.
const BASE: &str = r#"name = "apply"
[root]
intensity = 9
[[supervisor]]
name = "back"
[[service]]
name = "still"
release = "one.wasm"
[[service]]
name = "counter"
release = "one.wasm"
supervisor = "back"
[[service]]
name = "last"
release = "one.wasm"
supervisor = "back"
"#;

/// A service as it stands in a topology.
fn service(name: &str, release: &str, more: &str) -> String {
    format!("[[service]]\nname = {name:?}\nrelease = {release:?}\n{more}")
}

struct Applying(Mesh);

impl Deref for Applying {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.0
    }
}

impl Applying {
    async fn start(topology: &str) -> Self {
        Self::start_with(topology, tempfile::tempdir().unwrap(), |builder, _| builder).await
    }

    async fn start_with(
        topology: &str,
        folder: tempfile::TempDir,
        build: impl FnOnce(RuntimeBuilder, &Path) -> RuntimeBuilder,
    ) -> Self {
        let ways = [("one", "healthy"), ("two", "healthy"), ("broken", "init-fails"), ("unwell", "crashes-on-3")];
        let components = ways.map(|(name, way)| (name, shifter(name, way)));
        let components = components.each_ref().map(|(name, component)| (*name, component.as_slice()));
        let builder = build(builder(), folder.path());
        Self(Mesh::start_in(folder, topology, &components, builder).await)
    }

    async fn plan(&self, topology: &str) -> ApplyPlan {
        self.runtime.plan_apply(&read(self.folder.path(), topology).unwrap(), quick()).await.unwrap()
    }

    /// Applies it; it must come about.
    async fn apply(&self, topology: &str) -> ApplyPlan {
        let planned = self.plan(topology).await;
        let applied = self.runtime.apply(read(self.folder.path(), topology).unwrap(), quick()).await.unwrap();
        assert_eq!(applied.plan, planned, "what was planned is what was done");
        assert_eq!(applied.left_over, [], "all that waited was handled");
        assert!(self.plan(topology).await.differences.is_empty(), "nothing is left to do");
        planned
    }

    /// Until the release of a service waits for turns to compare.
    async fn rehearses(&self, service: &str) {
        let progress = || self.runtime.deployment(service).map(|known| known.progress());
        until("it rehearses", async || matches!(progress(), Some(Progress::Rehearsing { .. }))).await;
    }

    /// Applies it; it must fail.
    async fn fail(&self, topology: &str) -> ApplyError {
        self.runtime.apply(read(self.folder.path(), topology).unwrap(), quick()).await.unwrap_err()
    }

    async fn ask(&self, to: &str, from: &str, number: u64) -> Value {
        let body = json!({ "from": from, "number": number }).to_string();
        let answer = self.runtime.call(to, body, PATIENCE).await.unwrap().unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// The messages that the instance has handled, this one included. It stands in the guest's memory alone.
    async fn seen(&self, service: &str) -> u64 {
        self.ask(service, "who", 0).await["seen"].as_u64().unwrap()
    }

    async fn tell(&self, to: &str, command: &Command) -> Result<Outcome, CallError> {
        let answer = self.runtime.call(to, command.bytes(), PATIENCE).await?.unwrap_or_default();
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// A counter of a service's state, of all keys together.
    fn counted(&self, service: &str, key: &str) -> u64 {
        let states = self.runtime.state(service);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        states.values().filter_map(|state| state.get(key)).map(|bytes| number(bytes)).sum()
    }

    fn names(&self) -> Vec<String> {
        self.runtime.services().into_iter().map(|status| status.service).collect()
    }

    /// The tree, without what time does to it.
    async fn tree(&self) -> Vec<String> {
        fn collect(nodes: &[airssys_wasm::TreeNode], above: &str, into: &mut Vec<String>) {
            for node in nodes {
                let path = format!("{above}/{}", node.child.id);
                into.push(format!("{path} {} {}", node.child.status.name(), node.child.restarts));
                collect(&node.children, &path, into);
            }
        }
        let mut all = Vec::new();
        collect(&self.runtime.tree().await, "", &mut all);
        all
    }

    async fn stop(self) -> tempfile::TempDir {
        self.0.stop().await
    }
}

fn quick() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(100);
    options.handover_deadline = Duration::from_secs(20);
    options
}

/// A gate that a test opens: a shadow sees turns before its release is let in, and of a service that nobody sends to
/// there are none.
fn when_it_is_used() -> DeployOptions {
    let mut options = quick();
    options.strategy = Strategy::Shadow { tolerate: 0.0 };
    (options.gate.bake, options.gate.patience) = (Duration::ZERO, FOREVER);
    (options.gate.samples, options.gate.latency) = (20, f64::INFINITY);
    options
}

/// Several senders that send numbered messages as fast as there is room, until they are told to stop.
struct Load {
    to: &'static str,
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    senders: Vec<JoinHandle<u64>>,
}

impl Load {
    fn start(applying: &Applying, to: &'static str) -> Self {
        let (over, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sender = |sender: usize| {
            let (runtime, over, sent) = (Arc::clone(&applying.runtime), Arc::clone(&over), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    let from = format!("sender {sender}");
                    let body = json!({ "from": from, "number": number + 1, "plain": true }).to_string();
                    // A small mailbox may be full for long while it is handed over.
                    match runtime.send(to, body).await {
                        Err(SendError::Overloaded { .. }) => continue,
                        sent => sent.unwrap(),
                    }
                    number += 1;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                number
            })
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self { to, over, sent, senders }
    }

    /// Waits until this many more messages were sent.
    async fn more(&self, messages: u64) {
        let all = self.sent.load(Ordering::Relaxed) + messages;
        until("so many messages are sent", async || self.sent.load(Ordering::Relaxed) >= all).await;
    }

    /// Stops the senders; all of their messages must be handled once, each sender's in order.
    async fn end(self, applying: &Applying) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let mut all = 0;
        for (sender, task) in self.senders.into_iter().enumerate() {
            let sent = task.await.unwrap();
            // Turns end one after the other: this answer comes when all before it are handled.
            applying.ask(self.to, &format!("sender {sender}"), sent + 1).await;
            all += sent + 1;
        }
        assert_eq!(applying.counted(self.to, "handled"), all, "each message is handled once");
        assert_eq!(applying.counted(self.to, "out of order"), 0, "each sender's messages are handled in order");
        assert_eq!(applying.runtime.dead_letters().0, 0, "nothing is a dead letter");
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_starts_what_is_gone_stops_and_nobody_else_notices() {
    let applying = Applying::start(BASE).await;
    assert_eq!((applying.seen("still").await, applying.seen("last").await), (1, 1));
    let load = Load::start(&applying, "counter");
    load.more(200).await;
    let edited = BASE.replace("name = \"last\"", "name = \"new\"")
        + "[[supervisor]]\nname = \"more\"\nparent = \"back\"\nstrategy = \"rest-for-one\"\n"
        + &service("deep", "two.wasm", "supervisor = \"more\"\n")
        + &service("keys", "one.wasm", "supervisor = \"more\"\nkeyed = {}\n");
    let plan = applying.apply(&edited).await;
    assert_eq!(plan.untouched, ["counter", "still"], "in the order of the file");
    assert_eq!(applying.names(), ["counter", "deep", "keys", "new", "still"]);
    let tree = applying.tree().await;
    let expected = [
        "/back running 0",
        "/back/counter running 0",
        "/back/new running 0",
        "/back/more running 0",
        "/back/more/deep running 0",
        "/back/more/keys running 0",
        "/still running 0",
    ];
    assert_eq!(tree, expected, "children stand in the order of the file");
    assert_eq!(applying.ask("deep", "a", 1).await["release"], json!("two"));
    assert_eq!(applying.ask("keys/k", "a", 1).await["seen"], json!(1));
    let gone = applying.runtime.send("last", "{}").await.unwrap_err();
    assert!(matches!(gone, SendError::NoSuchService { .. }), "{gone}");
    load.more(200).await;
    load.end(&applying).await;
    assert_eq!(applying.seen("still").await, 2, "the same instance");
    for service in ["still", "counter"] {
        assert_eq!(applying.status(service).started, 1, "{service}");
    }
    // And back again: the supervisor that is gone takes its children with it.
    let plan = applying.apply(BASE).await;
    assert_eq!(plan.differences.len(), 5);
    assert_eq!(applying.names(), ["counter", "last", "still"]);
    assert_eq!(applying.seen("last").await, 1, "another one under the same name");
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_changed_in_place_is_changed_under_the_same_instance() {
    let applying = Applying::start(BASE).await;
    let load = Load::start(&applying, "counter");
    load.more(100).await;
    let mut all = String::new();
    for line in [
        "mailbox = { capacity = 3 }\n",
        "restart = \"transient\"\n",
        "shutdown = \"9s\"\n",
        "retries = 2\n",
        "grants = { send = [\"still\"] }\n",
        "limits = { turn_deadline = \"7s\", turn_budget = \"700ms\", effects = 9, message = \"2KiB\" }\n",
    ] {
        all.push_str(line);
        let plan = applying.apply(&BASE.replace("name = \"counter\"\n", &format!("name = \"counter\"\n{all}"))).await;
        assert_eq!(
            plan.differences.iter().map(|found| (found.name.as_str(), found.way)).collect::<Vec<_>>(),
            [("counter", ChangeMode::InPlace)]
        );
        load.more(20).await;
    }
    let all_at_once = BASE.replace("intensity = 9", "intensity = 8\nstrategy = \"rest-for-one\"").replace(
        "name = \"back\"",
        "name = \"back\"\nstrategy = \"one-for-all\"\nrestart = \"transient\"\nbackoff = {}",
    ) + "[settings]\nreserve_timeout = \"2s\"\ndead_letters = 5\ntimers = 6\nshutdown_timeout = \"20s\"\n";
    applying.apply(&all_at_once).await;
    load.more(20).await;
    // The largest message is the old one again, so a longer one goes through; then the mailbox is one of the smallest.
    let body = json!({ "from": "x".repeat(3_000), "number": 1 }).to_string();
    applying.runtime.send("counter", body.clone()).await.unwrap();
    applying
        .apply(&BASE.replace("name = \"counter\"\n", "name = \"counter\"\nlimits = { message = \"2KiB\" }\n"))
        .await;
    let refused = applying.runtime.send("counter", body).await.unwrap_err();
    assert!(matches!(refused, SendError::TooLarge { limit_bytes: 2048, .. }), "{refused}");
    load.over.store(true, Ordering::Relaxed);
    let mut sent = 1;
    for sender in load.senders {
        sent += sender.await.unwrap();
    }
    let answer = applying.ask("counter", "end", 1).await;
    assert_eq!(answer["seen"], json!(sent + 1), "one instance has handled them all");
    assert_eq!(applying.counted("counter", "out of order"), 0);
    assert_eq!((applying.status("counter").started, applying.status("still").started), (1, 1));
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_of_all_durable_state_changes_under_the_services_that_run() {
    let with = |settings: &str| {
        format!("{BASE}{}[settings]\n{settings}\n", service("keeper", "@prober", "state = \"durable\"\n"))
    };
    let folder = tempfile::tempdir().unwrap();
    let with_data = |builder: RuntimeBuilder, folder: &Path| builder.data_folder(folder.join("data"));
    let applying = Applying::start_with(&with(""), folder, with_data).await;
    // A key of one letter, and a text in quotes.
    let set = |key: &str| Command::Set { key: key.into(), value: json!("x".repeat(60_000)) };
    let written = |outcome: Outcome| matches!(outcome, Outcome::Ok(_));
    assert!(written(applying.tell("keeper", &set("a")).await.unwrap()));
    for (settings, most, is_written) in [
        ("durable_state = \"100KiB\"", Some(100 << 10), false),
        ("durable_state = \"150KiB\"", Some(150 << 10), true),
        ("", None, true),
    ] {
        let plan = applying.apply(&with(settings)).await;
        let told = plan.differences.iter().flat_map(|found| &found.settings).map(|of| (of.key.as_str(), of.way));
        assert_eq!(told.collect::<Vec<_>>(), [("durable_state", ChangeMode::InPlace)]);
        assert_eq!(written(applying.tell("keeper", &set("b")).await.unwrap()), is_written);
        let bytes = if is_written { 2 * 60_003 } else { 60_003 };
        assert_eq!(applying.runtime.durable_bytes(), Some((bytes, most)));
    }
    assert_eq!((applying.status("keeper").started, applying.status("keeper").crashed), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_that_was_changed_is_the_one_that_holds() {
    let of = |strategy: &str, restart: &str| {
        format!("name = \"m\"\n[[supervisor]]\nname = \"back\"\nstrategy = {strategy:?}\nintensity = 5\n")
            + &service("a", "@prober", &format!("supervisor = \"back\"\nrestart = {restart:?}\n"))
            + &service("b", "@prober", "supervisor = \"back\"\n")
    };
    let applying = Applying::start(&of("one-for-one", "permanent")).await;
    applying.apply(&of("one-for-all", "permanent")).await;
    applying.tell("b", &Command::Count).await.unwrap();
    assert!(applying.tell("a", &Command::Trap(prober_protocol::Trap::Panic)).await.is_err());
    let count = applying.tell("a", &Command::Count).await.unwrap();
    assert_eq!(count, Outcome::Ok(json!(1)), "a fresh instance");
    assert_eq!(applying.tell("b", &Command::Count).await.unwrap(), Outcome::Ok(json!(1)), "and of its sibling too");
    assert_eq!((applying.status("a").started, applying.status("b").started), (2, 2));
    applying.apply(&of("one-for-one", "temporary")).await;
    assert!(applying.tell("a", &Command::Trap(prober_protocol::Trap::Panic)).await.is_err());
    assert!(matches!(applying.tell("a", &Command::Count).await, Err(CallError::NotSent(_) | CallError::Dropped(_))));
    assert_eq!(applying.tell("b", &Command::Count).await.unwrap(), Outcome::Ok(json!(2)));
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_given_and_taken_back_under_the_same_instance() {
    let of = |grants: &str| {
        "name = \"m\"\n".to_owned()
            + &service("a", "@prober", grants)
            + &service("b", "@prober", "")
            + &service("k", "@prober", &format!("keyed = {{}}\n{grants}"))
    };
    let applying = Applying::start(&of("")).await;
    let call = Command::Call { to: "b".into(), key: None, body: Command::Count.value(), timeout_ms: 5_000 };
    let outcomes = |outcomes: [Outcome; 2]| outcomes.map(|outcome| matches!(outcome, Outcome::Ok(_)));
    let asked =
        async || outcomes([applying.tell("a", &call).await.unwrap(), applying.tell("k/x", &call).await.unwrap()]);
    assert_eq!(asked().await, [false, false]);
    applying.apply(&of("grants = { call = [\"b\"], subscribe = [\"t\"] }\n")).await;
    assert_eq!(asked().await, [true, true]);
    let subscribed = applying.tell("a", &Command::Subscribe("t".into())).await.unwrap();
    assert_eq!(subscribed, Outcome::Ok(Value::Null));
    applying.runtime.publish("t", Command::Count.bytes()).unwrap();
    assert_eq!(applying.tell("a", &Command::Count).await.unwrap(), Outcome::Ok(json!(5)), "it got the publication");
    applying.apply(&of("")).await;
    assert_eq!(asked().await, [false, false]);
    applying.runtime.publish("t", Command::Count.bytes()).unwrap();
    assert_eq!(applying.tell("a", &Command::Count).await.unwrap(), Outcome::Ok(json!(7)), "it got nothing any more");
    assert_eq!((applying.status("a").started, applying.status("k").started), (1, 1), "the same instances all along");
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_is_made_with_is_changed_by_a_deployment() {
    let applying = Applying::start(BASE).await;
    let load = Load::start(&applying, "counter");
    load.more(100).await;
    for (line, release) in [
        ("config = { currency = \"EUR\" }\n", "one.wasm"),
        ("limits = { memory = \"2MiB\" }\n", "one.wasm"),
        ("clocks = \"1s\"\nrandomness = { seed = 7 }\n", "one.wasm"),
        ("", "two.wasm"),
    ] {
        let edited = BASE.replace(
            "name = \"counter\"\nrelease = \"one.wasm\"\n",
            &format!("name = \"counter\"\nrelease = {release:?}\n{line}"),
        );
        let plan = applying.apply(&edited).await;
        let found: Vec<_> = plan.differences.iter().map(|found| (found.name.as_str(), found.way)).collect();
        assert_eq!(found, [("counter", ChangeMode::Deployment)], "{line}");
        assert!(plan.differences[0].notes[0].contains("starts anew"), "{plan:?}");
        load.more(20).await;
    }
    assert_eq!(applying.ask("counter", "b", 1).await["release"], json!("two"));
    assert_eq!(applying.status("counter").started, 5);
    let extra = 1;
    load.over.store(true, Ordering::Relaxed);
    let mut sent = extra;
    for (at, sender) in load.senders.into_iter().enumerate() {
        let last = sender.await.unwrap();
        applying.ask("counter", &format!("sender {at}"), last + 1).await;
        sent += last + 1;
    }
    assert_eq!((applying.counted("counter", "handled"), applying.counted("counter", "out of order")), (sent, 0));
    assert_eq!(applying.runtime.dead_letters().0, 0);
    assert_eq!(applying.seen("still").await, 1);
    assert_eq!(applying.status("still").started, 1);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_handed_over_where_the_release_does_that() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("heir.wasm"), heir("one", "healthy", 0)).unwrap();
    let of = |config: &str| format!("name = \"m\"\n[[service]]\nname = \"heir\"\nrelease = \"heir.wasm\"\n{config}");
    let applying = Applying::start_with(&of(""), folder, |builder, _| builder).await;
    assert_eq!(applying.ask("heir", "a", 1).await["seen"], json!(1));
    let plan = applying.apply(&of("config = { a = \"b\" }\n")).await;
    assert!(plan.differences[0].notes[0].contains("handed over"), "{plan:?}");
    assert_eq!(applying.ask("heir", "a", 2).await["seen"], json!(2));
    assert_eq!(applying.status("heir").started, 2);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_has_to_be_stopped_and_started_loses_no_message_and_no_state() {
    let folder = tempfile::tempdir().unwrap();
    // So small that some of the senders always wait for room.
    let (counter, base) = {
        let counter = "name = \"counter\"\nrelease = \"one.wasm\"\n";
        let small = format!("{counter}mailbox = {{ capacity = 2 }}\n");
        let base = BASE.replace(counter, &small);
        (small, base)
    };
    let applying =
        Applying::start_with(&base, folder, |builder, folder| builder.data_folder(folder.join("data"))).await;
    let load = Load::start(&applying, "counter");
    load.more(100).await;
    let counter = counter.as_str();
    for line in [
        // Under the root, then under another one that is new.
        base.replace(&format!("{counter}supervisor = \"back\"\n"), counter),
        base.replace(&format!("{counter}supervisor = \"back\"\n"), &format!("{counter}supervisor = \"other\"\n"))
            + "[[supervisor]]\nname = \"other\"\n",
        // A pool of lanes, of which all without a key use one.
        base.replace(counter, &format!("{counter}instances = 3\npartitioned = true\n")),
        base.replace(counter, &format!("{counter}instances = 3\npartitioned = true\nstate = \"durable\"\n")),
        base.replace(counter, &format!("{counter}state = \"durable\"\n")),
        base.clone(),
    ] {
        let plan = applying.apply(&line).await;
        let found: Vec<_> =
            plan.differences.iter().filter(|found| found.name == "counter").map(|found| found.way).collect();
        assert_eq!(found, [ChangeMode::Restart], "{line}");
        load.more(20).await;
    }
    load.end(&applying).await;
    assert_eq!(
        applying.tree().await,
        ["/back running 0", "/back/counter running 0", "/back/last running 0", "/still running 0"]
    );
    assert_eq!(applying.status("last").started, 1);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_keep_their_state_when_a_keyed_service_moves() {
    let of = |above: &str| {
        format!(
            "name = \"m\"\n[[supervisor]]\nname = \"back\"\n[[service]]\nname = \"keys\"\nrelease = \"one.wasm\"\nkeyed = {{ max_awake = 2 }}\n{above}"
        )
    };
    let applying = Applying::start(&of("")).await;
    for key in 0..10 {
        applying.ask(&format!("keys/{key}"), "a", 1).await;
    }
    applying.apply(&of("supervisor = \"back\"\n")).await;
    for key in 0..10 {
        applying.ask(&format!("keys/{key}"), "a", 2).await;
    }
    assert_eq!((applying.counted("keys", "handled"), applying.counted("keys", "out of order")), (20, 0));
    // Its rules, in place.
    let plan =
        applying.apply(&of("supervisor = \"back\"\n").replace("max_awake = 2", "max_awake = 5, max_keys = 11")).await;
    assert_eq!(plan.differences[0].way, ChangeMode::InPlace);
    applying.ask("keys/10", "a", 1).await;
    let one_more = applying.runtime.call("keys/11", "{}", PATIENCE).await.unwrap_err();
    assert!(matches!(one_more, CallError::NotSent(SendError::Overloaded { .. })), "{one_more}");
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_handles_what_waits_for_it_first() {
    let stuck = "shutdown = \"10ms\"\nlimits = { turn_deadline = \"30s\" }\n";
    let topology =
        BASE.to_owned() + &service("slow", "@prober", "shutdown = \"1m\"\n") + &service("stuck", "@prober", stuck);
    let applying = Applying::start(&topology).await;
    for _ in 0..20 {
        applying.runtime.send("slow", Command::Sleep(10).bytes()).await.unwrap();
        applying.runtime.send("stuck", Command::Sleep(20_000).bytes()).await.unwrap();
    }
    let topology = read(applying.folder.path(), BASE).unwrap();
    let applied = applying.runtime.apply(topology, quick()).await.unwrap();
    // The one that it was about is none that waits, and a dead letter too.
    assert_eq!(applied.left_over, [("stuck".to_owned(), 19)]);
    assert_eq!(applying.runtime.dead_letters().0, 20, "nothing is lost without a trace");
    let killed = applying.runtime.shutdown().await;
    assert!(killed.is_clean(), "{killed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_half_way_leaves_everything_as_it_was() {
    let broken = "[[service]]\nname = \"broken\"\nrelease = \"broken.wasm\"\n";
    let cases: BTreeMap<&str, (String, &str)> = BTreeMap::from([
        ("a new service does not start", (format!("{BASE}{broken}"), "broken does not start")),
        (
            "one deep in a new supervisor does not start",
            (format!("{BASE}[[supervisor]]\nname = \"new\"\n{broken}supervisor = \"new\"\n"), "new does not start"),
        ),
        (
            "a release does not start",
            (BASE.replace("\"last\"\nrelease = \"one", "\"last\"\nrelease = \"broken"), "last went back"),
        ),
        (
            "one that has to be started anew does not start",
            (
                BASE.replace("\"last\"\nrelease = \"one.wasm\"", "\"last\"\nrelease = \"broken.wasm\"\ninstances = 2"),
                "last does not start",
            ),
        ),
    ]);
    for (what, (edited, says)) in cases {
        // Beside what fails, one of each other kind.
        let edited = edited
            .replace("name = \"still\"\n", "name = \"still\"\nmailbox = { capacity = 7 }\nretries = 1\n")
            .replace("intensity = 9", "intensity = 7\nstrategy = \"rest-for-one\"")
            .replace(
                "name = \"counter\"\nrelease = \"one.wasm\"\n",
                "name = \"counter\"\nrelease = \"two.wasm\"\nconfig = { a = \"b\" }\n",
            )
            + "[[service]]\nname = \"fine\"\nrelease = \"one.wasm\"\nsupervisor = \"back\"\n";
        let topology = format!("{BASE}[[service]]\nname = \"gone\"\nrelease = \"one.wasm\"\n");
        let applying = Applying::start(&topology).await;
        let before = applying.tree().await;
        for service in ["still", "last", "gone"] {
            applying.seen(service).await;
        }
        let load = Load::start(&applying, "counter");
        load.more(100).await;
        let error = applying.fail(&edited).await;
        let ApplyError::Undone { step, left, .. } = &error else { panic!("{what}: {error}") };
        assert!(step.contains(says), "{what}: {error}");
        assert_eq!(left, &[] as &[String], "{what}");
        assert_eq!(applying.tree().await, before, "{what}");
        assert_eq!(applying.names(), ["counter", "gone", "last", "still"], "{what}");
        assert!(applying.plan(&topology).await.differences.is_empty(), "{what}: what was in force is in force");
        load.more(50).await;
        assert_eq!(applying.ask("counter", "who", 0).await["release"], json!("one"), "{what}");
        load.over.store(true, Ordering::Relaxed);
        for (at, sender) in load.senders.into_iter().enumerate() {
            let last = sender.await.unwrap();
            applying.ask("counter", &format!("sender {at}"), last + 1).await;
        }
        // The one question from nobody in particular was out of its order.
        assert_eq!((applying.counted("counter", "out of order"), applying.runtime.dead_letters().0), (1, 0), "{what}");
        for service in ["still", "last", "gone"] {
            assert_eq!(applying.seen(service).await, 2, "{what}: {service} is the same instance");
        }
        // Nothing stands in the way of one that comes about.
        applying.apply(BASE).await;
        applying.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_found_before_anything_changes() {
    let applying = Applying::start(BASE).await;
    std::fs::write(applying.folder.path().join("text.wasm"), "hello").unwrap();
    let before = applying.tree().await;
    let cases = [
        (format!("{BASE}[[service]]\nname = \"new\"\nrelease = \"text.wasm\"\n"), "text.wasm"),
        (format!("{BASE}[[service]]\nname = \"new\"\nrelease = \"one.wasm\"\nstate = \"durable\"\n"), "no data folder"),
        (format!("{BASE}[settings]\ntrusted_keys = []\n"), "trusted key"),
        (BASE.replace("\"apply\"", "\"other\""), "cannot become other"),
        (
            format!("{BASE}[[service]]\nname = \"new\"\nrelease = \"one.wasm\"\nkeyed = {{ max_awake = 10000000 }}\n"),
            "vm.max_map_count",
        ),
    ];
    for (edited, says) in cases {
        let edited = format!("{edited}[[service]]\nname = \"fine\"\nrelease = \"one.wasm\"\n");
        let error = told!(applying.fail(&edited).await);
        assert!(error.contains(says), "{error}");
        assert_eq!(applying.tree().await, before);
    }
    let deploying = applying.runtime.deploy(
        "counter",
        airssys_wasm::registry::Release::find(&applying.folder.path().join("two.wasm")).unwrap(),
        {
            let mut options = quick();
            options.probation = PATIENCE;
            options
        },
    );
    let deployment = deploying.await.unwrap();
    deployment.switched().await;
    let edited = BASE.replace("name = \"counter\"\n", "name = \"counter\"\nretries = 1\n");
    let plan = applying.plan(&edited).await;
    assert_eq!(plan.refusals[0].code, "under-way");
    let error = told!(applying.fail(&edited).await);
    assert!(error.contains("a deployment of counter is under way"), "{error}");
    deployment.cancel();
    deployment.ended().await;
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_deployed_stays_until_the_topology_names_another_one() {
    let applying = Applying::start(BASE).await;
    let two = airssys_wasm::registry::Release::find(&applying.folder.path().join("two.wasm")).unwrap();
    let deployment = applying.runtime.deploy("counter", two, quick()).await.unwrap();
    deployment.ended().await;
    let plan = applying.apply(&BASE.replace("name = \"counter\"\n", "name = \"counter\"\nretries = 1\n")).await;
    assert_eq!((plan.deployed.len(), plan.differences[0].way), (1, ChangeMode::InPlace));
    assert_eq!(applying.ask("counter", "a", 1).await["release"], json!("two"));
    // The file says so too now, so there is nothing to do but to write it down.
    let named = BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nretries = 1\nrelease = \"two.wasm\"");
    assert_eq!(applying.apply(&named).await.differences, []);
    let started = applying.status("counter").started;
    applying.apply(BASE).await;
    assert_eq!(applying.ask("counter", "a", 2).await["release"], json!("one"));
    assert_eq!(applying.status("counter").started, started + 1);
    // A release that was built anew in its place is another one.
    std::fs::write(applying.folder.path().join("one.wasm"), shifter("new", "healthy")).unwrap();
    let plan = applying.apply(BASE).await;
    assert_eq!(plan.differences.len(), 3, "{plan:?}");
    assert_eq!(applying.ask("counter", "a", 3).await["release"], json!("new"));
    // What goes back does so under the rules in force.
    let back = applying.runtime.rollback("counter", quick()).unwrap();
    back.ended().await;
    assert_eq!(applying.ask("counter", "a", 4).await["release"], json!("one"));
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_crashes_on_probation_takes_all_of_it_back() {
    let applying = Applying::start(BASE).await;
    let load = Load::start(&applying, "counter");
    load.more(50).await;
    let edited = BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"unwell.wasm\"")
        + "[[service]]\nname = \"fine\"\nrelease = \"one.wasm\"\n";
    let mut options = quick();
    options.probation = PATIENCE;
    let error = applying.runtime.apply(read(applying.folder.path(), &edited).unwrap(), options).await.unwrap_err();
    assert!(matches!(&error, ApplyError::Undone { step, .. } if step == "counter went back"), "{error}");
    assert_eq!(applying.names(), ["counter", "last", "still"]);
    load.more(50).await;
    load.end(&applying).await;
    assert_eq!(applying.ask("counter", "who", 0).await["release"], json!("one"));
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_applied_outlives_the_process_and_what_was_not_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let with_data = |builder: RuntimeBuilder, folder: &Path| builder.data_folder(folder.join("data"));
    let applying = Applying::start_with(BASE, folder, with_data).await;
    let edited =
        BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"two.wasm\"\nstate = \"durable\"");
    applying.apply(&edited).await;
    applying.ask("counter", "a", 1).await;
    applying.fail(&format!("{edited}[[service]]\nname = \"broken\"\nrelease = \"broken.wasm\"\n")).await;
    let folder = applying.stop().await;
    let found = in_force(&data).unwrap().unwrap();
    assert_eq!((found.topology.declared().len(), found.cut_off), (3, None));
    let text = found.topology.to_text().unwrap();
    let applying = Applying::start_with(&text, folder, with_data).await;
    assert_eq!(applying.ask("counter", "a", 2).await["release"], json!("two"));
    assert_eq!(applying.counted("counter", "handled"), 2);
    let folder = applying.stop().await;
    drop(folder);
}

/// A disk that takes nothing, before anything has changed and when everything has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_cannot_be_written_down_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let with_data = |builder: RuntimeBuilder, folder: &Path| builder.data_folder(folder.join("data"));
    let applying = Applying::start_with(BASE, folder, with_data).await;
    let load = Load::start(&applying, "counter");
    let in_the_way = InTheWay::ready(&data);
    let edited = BASE
        .replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"two.wasm\"")
        .replace("\"last\"\nrelease = \"one.wasm\"", "\"last\"\nrelease = \"two.wasm\"")
        + "[[service]]\nname = \"more\"\nrelease = \"one.wasm\"\n";
    assert!(in_the_way.put());
    let error = applying.fail(&edited).await;
    assert!(matches!(&error, ApplyError::InForce(_)) && error.to_string().contains("desired/records"), "{error}");
    in_the_way.remove();

    let (runtime, topology) = (Arc::clone(&applying.runtime), read(applying.folder.path(), &edited).unwrap());
    let mut under_way = tokio::spawn(async move { runtime.apply(topology, when_it_is_used()).await });
    tokio::select! {
        ended = &mut under_way => panic!("nobody has sent to the last service: {ended:?}"),
        () = applying.rehearses("last") => {}
    }
    // The new release serves the counter: the intent is on disk, and the end is not.
    assert_eq!(applying.runtime.deployment("counter").unwrap().progress(), Progress::Probation);
    assert!(in_the_way.put());
    let gate = Load::start(&applying, "last");
    let error = under_way.await.unwrap().unwrap_err();
    let ApplyError::Undone { step, left, .. } = &error else { panic!("{error}") };
    assert!(step.contains("cannot be written down") && left.len() == 1, "{error}");
    assert!(left[0].contains("the intent of it stays written down"), "{error}");
    assert_eq!(applying.names(), ["counter", "last", "still"]);
    gate.end(&applying).await;
    load.end(&applying).await;
    for service in ["counter", "last"] {
        assert_eq!(applying.ask(service, "who", 0).await["release"], json!("one"), "{service}");
    }
    let folder = applying.stop().await;
    in_the_way.remove();
    let found = in_force(&data).unwrap().unwrap();
    assert_eq!((found.topology.declared().len(), found.cut_off), (3, Some(CutOff::GoneBack)));
    let applying = Applying::start_with(BASE, folder, with_data).await;
    applying.apply(&edited).await;
    for service in ["counter", "last"] {
        assert_eq!(applying.ask(service, "who", 0).await["release"], json!("two"), "{service}");
    }
    applying.stop().await;
}

/// A process that is killed while it applies leaves an intent. What is in force then is decided by what state on disk
/// is written in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_is_cut_off_is_in_force_as_a_whole_or_not_at_all() {
    for (schema, expected) in [(0, CutOff::GoneBack), (1, CutOff::Finished)] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(folder.path().join("old.wasm"), heir("old", "healthy", 0)).unwrap();
        std::fs::write(folder.path().join("new.wasm"), heir("new", "healthy", schema)).unwrap();
        std::fs::write(
            folder.path().join("new.toml"),
            format!("name = \"new\"\nversion = \"1.0.0\"\nstate_schema = {schema}\n"),
        )
        .unwrap();
        let of = |release: &str| {
            format!("name = \"m\"\n[[service]]\nname = \"heir\"\nrelease = {release:?}\nstate = \"durable\"\n")
        };
        let with_data = |builder: RuntimeBuilder, folder: &Path| builder.data_folder(folder.join("data"));
        let applying = Applying::start_with(&of("old.wasm"), folder, with_data).await;
        applying.ask("heir", "a", 1).await;
        let mut options = quick();
        options.probation = PATIENCE;
        let runtime = Arc::clone(&applying.runtime);
        let topology =
            read(applying.folder.path(), &(of("new.wasm") + "[[service]]\nname = \"more\"\nrelease = \"one.wasm\"\n"))
                .unwrap();
        let under_way = tokio::spawn(async move { runtime.apply(topology, options).await });
        // On probation: the new release serves, and nothing is decided.
        until("the new one serves", async || applying.ask("heir", "b", 1).await["release"] == json!("new")).await;
        let killed = tempfile::tempdir().unwrap();
        copy(&data, &killed.path().join("data"));
        applying.runtime.shutdown().await;
        under_way.abort();
        let found = in_force(&killed.path().join("data")).unwrap().unwrap();
        assert_eq!(found.cut_off, Some(expected));
        let declared = found.topology.declared();
        let services: Vec<&str> = declared.iter().map(|service| service.name.as_str()).collect();
        let names = if expected == CutOff::Finished { vec!["heir", "more"] } else { vec!["heir"] };
        assert_eq!(services, names);
        // It starts, with the state that there is.
        let again = Runtime::builder().data_folder(killed.path().join("data")).start(&found.topology).await.unwrap();
        let answer =
            again.call("heir", json!({ "from": "c", "number": 1 }).to_string(), PATIENCE).await.unwrap().unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["release"], json!(if expected == CutOff::Finished { "new" } else { "old" }));
        again.shutdown().await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_added_has_room_for_all_of_its_members() {
    let applying = Applying::start(BASE).await;
    let more = service("pool", "one.wasm", "instances = 60\n")
        + &service("small", "one.wasm", "instances = 40\nlimits = { memory = \"2MiB\" }\n");
    applying.apply(&format!("{BASE}{more}")).await;
    assert_eq!(applying.status("pool").started, 60);
    assert_eq!(applying.runtime.instances().0, 103);
    applying.apply(BASE).await;
    assert_eq!(applying.runtime.instances().0, 3);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_stopped_and_started_goes_back_where_another_one_fails() {
    let applying = Applying::start(BASE).await;
    let before = applying.tree().await;
    let load = Load::start(&applying, "counter");
    load.more(100).await;
    let counter = "name = \"counter\"\nrelease = \"one.wasm\"\n";
    let moved = BASE
        .replace(&format!("{counter}supervisor = \"back\"\n"), &format!("{counter}supervisor = \"new\"\n"))
        .replace("\"last\"\nrelease = \"one.wasm\"", "\"last\"\nrelease = \"broken.wasm\"\ninstances = 2")
        + "[[supervisor]]\nname = \"new\"\n";
    let error = applying.fail(&moved).await;
    assert!(
        matches!(&error, ApplyError::Undone { step, left, .. } if step.contains("last") && left.is_empty()),
        "{error}"
    );
    assert_eq!(applying.tree().await, before);
    load.more(100).await;
    load.end(&applying).await;
    assert!(applying.plan(BASE).await.differences.is_empty());
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_and_subscriptions_go_along_with_a_service_that_moves() {
    let of = |more: &str| {
        "name = \"m\"\n[[supervisor]]\nname = \"back\"\n".to_owned()
            + &service("a", "@prober", &format!("grants = {{ subscribe = [\"t\"] }}\n{more}"))
    };
    let applying = Applying::start(&of("")).await;
    let record = |what: &str| Command::Record(json!(what)).value();
    applying.tell("a", &Command::Subscribe("t".into())).await.unwrap();
    applying.tell("a", &Command::SendAfter { delay_ms: 2_000, body: record("timer") }).await.unwrap();
    applying.apply(&of("supervisor = \"back\"\n")).await;
    applying.runtime.publish("t", Command::Record(json!("published")).bytes()).unwrap();
    let recorded = async || applying.tell("a", &Command::Get("record".into())).await.unwrap();
    until("both came", async || {
        assert_eq!(applying.runtime.dead_letters().0, 0);
        recorded().await == Outcome::Ok(json!(["published", "timer"]))
    })
    .await;
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_its_restart_holds_up_nobody() {
    let of = |more: &str| {
        "name = \"m\"\n[[supervisor]]\nname = \"back\"\nbackoff = { initial = \"1h\", max = \"1h\" }\n".to_owned()
            + &service("a", "@prober", &format!("supervisor = \"back\"\n{more}"))
            + &service("b", "@prober", "")
    };
    let applying = Applying::start(&of("")).await;
    assert!(applying.tell("a", &Command::Trap(prober_protocol::Trap::Panic)).await.is_err());
    until("it waits for its restart", async || applying.tree().await[1] == "/back/a restarting 0").await;
    let mut options = quick();
    options.handover_deadline = Duration::from_secs(60 * 60);
    let topology = read(applying.folder.path(), &of("retries = 3\n")).unwrap();
    tokio::time::timeout(PATIENCE, applying.runtime.apply(topology, options)).await.unwrap().unwrap();
    // What waits for it when it is gone is not lost without a trace.
    applying.runtime.send("a", Command::Count.bytes()).await.unwrap();
    let topology = read(applying.folder.path(), &("name = \"m\"\n".to_owned() + &service("b", "@prober", ""))).unwrap();
    let applied = applying.runtime.apply(topology, quick()).await.unwrap();
    assert_eq!(applied.left_over, [("a".to_owned(), 1)]);
    // The crash was the first one.
    assert_eq!(applying.runtime.dead_letters().0, 2);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_apply_is_under_way_at_a_time_and_ends_though_nobody_waits() {
    let applying = Applying::start(BASE).await;
    let edited = BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"two.wasm\"");
    let (runtime, topology) = (Arc::clone(&applying.runtime), read(applying.folder.path(), &edited).unwrap());
    let first = tokio::spawn(async move { runtime.apply(topology, when_it_is_used()).await });
    applying.rehearses("counter").await;
    let second = applying.fail(BASE).await;
    assert!(matches!(second, ApplyError::UnderWay), "{second}");
    first.abort();
    let gate = Load::start(&applying, "counter");
    let of_two = || applying.runtime.in_force().declared().iter().any(|service| service.named.ends_with("two.wasm"));
    until("the edited one is in force", async || of_two()).await;
    gate.end(&applying).await;
    assert_eq!(applying.apply(&edited).await.differences, []);
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_does_not_come_about() {
    let folder = tempfile::tempdir().unwrap();
    let applying = Applying::start_with(BASE, folder, |builder, folder| builder.data_folder(folder.join("data"))).await;
    let before = applying.tree().await;
    let record = applying.folder.path().join("data/desired");
    std::fs::remove_dir_all(&record).unwrap();
    std::fs::write(&record, "a file where a folder should be").unwrap();
    let edited = BASE.to_owned() + &service("new", "one.wasm", "");
    let error = applying.fail(&edited).await;
    assert!(matches!(error, ApplyError::InForce(_)), "{error}");
    assert_eq!(applying.tree().await, before);
    std::fs::remove_file(&record).unwrap();
    applying.apply(&edited).await;
    applying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_that_is_stopped_while_it_is_changed_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let applying = Applying::start_with(BASE, folder, |builder, folder| builder.data_folder(folder.join("data"))).await;
    let edited = BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"two.wasm\"")
        + &service("new", "one.wasm", "");
    let mut options = quick();
    // The end of the mesh has to come within it, and the apply ends after it.
    options.probation = Duration::from_secs(3);
    let (runtime, topology) = (Arc::clone(&applying.runtime), read(applying.folder.path(), &edited).unwrap());
    let under_way = tokio::spawn(async move { runtime.apply(topology, options).await });
    until("the new one serves", async || applying.ask("counter", "a", 1).await["release"] == json!("two")).await;
    applying.runtime.shutdown().await;
    let error = tokio::time::timeout(PATIENCE, under_way).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, ApplyError::Undone { .. }), "{error}");
    let found = in_force(&data).unwrap().unwrap();
    assert_eq!(found.topology.declared().len(), 3, "the old one is in force");
}
