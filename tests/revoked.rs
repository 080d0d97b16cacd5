//! A grant is given and taken away by name while things run. What is taken away is so from the next question on, also
//! in the middle of a turn, in the release that comes back, and at the next start.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use airssys_tests::{Mesh, asker_and_goal, builder, guest, keeping, log};
use airssys_wasm::Runtime;
use airssys_wasm::command::{self, GrantError, Granted};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::hint::Coded;
use airssys_wasm::middleware::{Context, Layer, Verdict};
use airssys_wasm::registry::Release;
use bytes::Bytes;
use prober_protocol::{Command, Outcome};
use serde_json::json;
use tokio::sync::watch;

/// Keeps whoever calls `gate` waiting until it is opened.
#[derive(Clone)]
pub(crate) struct Gate {
    waiting: Arc<watch::Sender<usize>>,
    open: watch::Receiver<bool>,
}

impl Gate {
    /// A closed one, how many wait there, and what opens it.
    pub(crate) fn new() -> (Self, watch::Receiver<usize>, watch::Sender<bool>) {
        let (open, waiting) = (watch::Sender::new(false), Arc::new(watch::Sender::new(0)));
        let told = waiting.subscribe();
        (Self { waiting, open: open.subscribe() }, told, open)
    }
}

impl Layer for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn priority(&self) -> i32 {
        100
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        if context.target != "gate" {
            return Verdict::Continue;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut open = self.open.clone();
        Verdict::Later(Box::pin(async move {
            let _opened = open.wait_for(|open| *open).await;
            Verdict::Continue
        }))
    }
}

struct Gated {
    stays_closed: bool,
    who: &'static str,
    mesh: Mesh,
    waiting: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Gated {
    /// A service with these grants beside its one to call `gate`, and one `b`.
    async fn start(who: &'static str, grants: &str) -> Self {
        let (gate, waiting, open) = Gate::new();
        let topology = format!(
            "name = \"m\"\n[root]\nintensity = 1\n[[service]]\nname = {who:?}\nrelease = \"@prober\"\n{grants}\n\
             [[service]]\nname = \"b\"\nrelease = \"@prober\"\n[[service]]\nname = \"gate\"\nrelease = \"@prober\"\n"
        );
        let mesh = Mesh::try_start(&topology, Runtime::builder().layer(gate)).await.unwrap();
        Self { stays_closed: false, who, mesh, waiting, open }
    }

    /// What comes of a turn of it that waits at the gate while this is done.
    async fn meanwhile(&mut self, turn: Command, what: impl AsyncFnOnce(&Mesh)) -> Result<Outcome, CallError> {
        let (runtime, who) = (Arc::clone(&self.mesh.runtime), self.who);
        let before = *self.waiting.borrow();
        let turn = tokio::spawn(async move { runtime.call(who, turn.bytes(), airssys_tests::PATIENCE).await });
        let _waits = self.waiting.wait_for(|waiting| *waiting > before).await.unwrap();
        what(&self.mesh).await;
        if !self.stays_closed {
            let _opened = self.open.send_replace(true);
        }
        let answer = turn.await.unwrap()?.unwrap_or_default();
        Ok(serde_json::from_slice(&answer).unwrap())
    }
}

fn call(to: &str) -> Command {
    Command::Call { to: to.into(), key: None, body: Command::Count.value(), timeout_ms: 10_000 }
}

/// The names of the refusals; `ok` where there was none.
fn names(outcome: &Outcome) -> Vec<String> {
    let Outcome::Ok(all) = outcome else { panic!("{outcome:?}") };
    let all: Vec<Outcome> = serde_json::from_value(all.clone()).unwrap();
    let name = |outcome: Outcome| match outcome {
        Outcome::Ok(_) => "ok".to_owned(),
        Outcome::Err(refusal) => refusal.name,
    };
    all.into_iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_in_the_middle_of_a_turn_is_denied_from_there_on() {
    log::listen();
    let mut gated = Gated::start(
        "wary",
        "grants = { call = [\"b\", \"gate\"], send = [\"b\"], publish = [\"t\"], subscribe = [\"t\"] }",
    )
    .await;
    let mut events = gated.mesh.runtime.events().of_kinds(&[Kind::Grant]).from_now_on();
    gated.mesh.ok("wary", &Command::Subscribe("t".into())).await;
    let send = Command::Send { to: "b".into(), key: None, body: Command::Count.value() };
    let publish = Command::Publish { topic: "t".into(), body: Command::Count.value() };
    let asks = [call("b"), send.clone(), publish.clone()];
    let turn = Command::Do(asks.iter().cloned().chain([call("gate")]).chain(asks.iter().cloned()).collect());
    let outcome = gated
        .meanwhile(turn, async |mesh| {
            for (key, grant) in [("call", "b"), ("send", "b"), ("publish", "t"), ("subscribe", "t")] {
                let kept = mesh.runtime.revoke("wary", key, grant).await.unwrap();
                assert!(!kept, "{key}: there is no data folder");
            }
        })
        .await
        .unwrap();
    assert_eq!(names(&outcome), ["ok", "ok", "ok", "ok", "not-sent/denied", "denied", "denied"]);
    let audited = log::of("airssys::audit", "wary");
    let revoked = audited.iter().filter(|(_, record)| record["message"] == json!("revoked"));
    assert_eq!((revoked.count(), audited.len()), (4, 7), "{audited:?}");
    let Some(Heard::Event(told)) = events.next().await else { panic!("events were lost") };
    let (state, grant, target) = ("revoked".to_owned(), "call".to_owned(), "b".to_owned());
    assert_eq!(told.what, Happening::Grant { state, grant, target, kept: false });
    // What it had sent before left with its turn, and its own subscription is gone: the publication reached nobody.
    assert_eq!(gated.mesh.ok("b", &Command::Count).await, json!(3));
    assert_eq!(gated.mesh.ok("wary", &Command::Count).await, json!(3), "no publication came to it");
    assert_eq!(gated.mesh.status("wary").started, 1, "the same instance all along");
    gated.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_given_while_it_runs_and_names_what_is_wrong() {
    let Mesh { runtime, folder } = Mesh::start(
        "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[[service]]\nname = \"b\"\nrelease = \"@prober\"\n",
    )
    .await;
    let mesh = Mesh { runtime, folder };
    let give = async |key, grant| mesh.runtime.grant("a", (key, grant), DeployOptions::default()).await;
    assert_eq!(mesh.refused("a", &call("b")).await, "not-sent/denied");
    assert_eq!(mesh.runtime.why("a", "call", "b").unwrap().granted, None);
    assert!(give("call", "b").await.unwrap().is_some());
    assert!(give("call", "b").await.unwrap().is_none(), "it has it");
    mesh.ok("a", &call("b")).await;
    assert_eq!(mesh.runtime.why("a", "call", "b").unwrap().granted.as_deref(), Some("b"));
    assert!(give("environment", "GREETING=hello").await.unwrap().is_some());
    assert_eq!(mesh.ok("a", &Command::Env("GREETING".into())).await, json!("hello"));
    let all = mesh.runtime.capabilities("a").unwrap();
    let of = |key: &str| {
        all.iter().filter(|one| one.key == key).map(|one| (one.target.as_str(), one.granted)).collect::<Vec<_>>()
    };
    assert_eq!((of("call"), of("send")), (vec![("**", Granted::Part)], vec![("**", Granted::Nothing)]));
    assert_eq!(of("environment"), [("GREETING", Granted::All)]);
    for (key, grant, code) in [
        ("call", "nobody", "no-target"),
        ("spawn", "b/*", "no-such-grant"),
        ("call", "a//b", "no-such-grant"),
        ("cal", "b", "no-such-grant"),
        ("files", "/in", "no-such-grant"),
        ("environment", "GREETING", "no-such-grant"),
    ] {
        let error = give(key, grant).await.unwrap_err();
        assert_eq!((error.code(), error.hint().is_some()), (code, true), "{key} {grant}: {error}");
    }
    let error = mesh.runtime.revoke("a", "call", "c").await.unwrap_err();
    assert!(matches!(error, GrantError::NotGranted { .. }) && error.to_string().ends_with("these are: b"), "{error}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_in_one_mesh_is_not_in_another_of_the_same_topology() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name = \"two\"\n{}", asker_and_goal("", &[]));
    let topology = airssys_tests::read(folder.path(), &text).unwrap();
    let start = async || builder().start(&topology).await.unwrap();
    let asks = async |runtime: &Runtime| {
        let asked = serde_json::to_vec(&call("goal")).unwrap();
        let answer = runtime.call("asker", asked, airssys_tests::PATIENCE).await.unwrap().unwrap();
        matches!(serde_json::from_slice(&answer).unwrap(), Outcome::Ok(_))
    };
    let (one, other) = (start().await, start().await);
    one.revoke("asker", "call", "goal").await.unwrap();
    assert!(!asks(&one).await, "it is revoked");
    assert!(asks(&other).await, "of the one mesh alone");
    one.shutdown().await;
    other.shutdown().await;
    // Without a data folder nobody knows of it any more.
    let next = start().await;
    assert!(asks(&next).await);
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_goes_with_its_grant() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let disk = tempfile::tempdir().unwrap();
    std::fs::write(disk.path().join("text"), "in").unwrap();
    let mut gated = Gated::start(
        "a",
        &format!(
            "grants = {{ call = [\"gate\"], sockets = [{address:?}], files = {{ \"/in\" = {{ host = {:?} }} }} }}",
            disk.path()
        ),
    )
    .await;
    // The turn ends while it waits for the gate, or never.
    gated.stays_closed = true;
    let connect = Command::Connect(address.clone());
    gated.mesh.ok("a", &connect).await;
    let grant = address.clone();
    let turn = Command::Do(vec![connect.clone(), call("gate"), connect.clone()]);
    let cut = gated
        .meanwhile(turn, async |mesh| {
            let _kept = mesh.runtime.revoke("a", "sockets", &grant).await.unwrap();
        })
        .await;
    assert!(matches!(&cut, Err(CallError::Crashed(Crash::CutOff { .. }))), "{cut:?}");
    assert_eq!(gated.mesh.refused("a", &connect).await, "socket/access-denied");
    assert_eq!(gated.mesh.ok("a", &Command::ReadFile("/in/text".into())).await, json!("in"), "what it has stays");

    // One that has nothing to do holds a file open.
    let held = gated.mesh.ok("a", &Command::HoldFiles("/in/text".into())).await;
    assert!(held["held"].as_u64() > Some(0), "{held}");
    gated.mesh.runtime.revoke("a", "files", "/in").await.unwrap();
    assert_eq!(gated.mesh.ok("a", &Command::LetGo).await, json!(0), "another instance, which holds nothing");
    assert!(gated.mesh.refused("a", &Command::ReadFile("/in/text".into())).await.starts_with("io/"));
    gated.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_rollback_nor_the_next_start_gives_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\ngrants = { call = [\"b\"] }\n\
                [[service]]\nname = \"b\"\nrelease = \"@prober\"\n";
    let topology = airssys_tests::read(folder.path(), text).unwrap();
    let runtime = Arc::new(keeping(folder.path()).start(&topology).await.unwrap());
    let mesh = Mesh { runtime, folder };
    let mut next = Release::find(&guest("prober")).unwrap();
    next.manifest.version = "0.2.0".parse().unwrap();
    let mut options = DeployOptions::default();
    options.probation = Duration::from_secs(60);
    let deployment = mesh.runtime.deploy("a", next, options).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    mesh.ok("a", &call("b")).await;
    // While it is on probation, nothing else is deployed or applied; to revoke waits for nobody.
    assert!(mesh.runtime.revoke("a", "call", "b").await.unwrap(), "it outlives the host");
    assert_eq!(mesh.refused("a", &call("b")).await, "not-sent/denied");
    let back = mesh.runtime.rollback("a", DeployOptions::default()).unwrap();
    let end = back.ended().await;
    assert!(matches!(end, Progress::RolledBack { .. }), "{end:?}");
    assert_eq!(mesh.refused("a", &call("b")).await, "not-sent/denied", "under the release before, too");
    let folder = mesh.stop().await;
    let found = command::in_force(&data).unwrap().unwrap();
    assert!(!found.topology.to_text().unwrap().contains("call = [\"b\"]"));
    let again = keeping(folder.path()).start(&found.topology).await.unwrap();
    assert!(!again.why("a", "call", "b").unwrap().allowed);
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_for_a_time_ends_with_it_in_the_middle_of_a_turn() {
    let disk = tempfile::tempdir().unwrap();
    let at = |seconds| humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds)).to_string();
    let (soon, later) = (at(3), at(3_600));
    let mut gated = Gated::start(
        "a",
        &format!(
            "grants = {{ call = [\"gate\", \"b until {soon}\"], send = [\"b until {later}\"], \
             publish = [\"t until 2020-01-01T00:00:00Z\"], files = {{ \"/in\" = {{ host = {:?}, until = {soon:?} }} }} }}",
            disk.path()
        ),
    )
    .await;
    let mut events = gated.mesh.runtime.events().of_kinds(&[Kind::Grant]);
    let all = gated.mesh.runtime.capabilities("a").unwrap();
    assert!(all.iter().all(|one| one.requested), "what is granted for a time is asked for as well: {all:?}");
    let publish = Command::Publish { topic: "t".into(), body: Command::Count.value() };
    assert_eq!(gated.mesh.refused("a", &publish).await, "denied", "its time was over before it began");
    assert!(gated.mesh.runtime.why("a", "send", "b").unwrap().granted.is_some());
    let mut over = Vec::new();
    while over.len() < 2 {
        let Some(Heard::Event(event)) = events.next().await else { panic!("events were lost") };
        let Happening::Grant { state, grant, target, .. } = &event.what else { panic!("{event:?}") };
        over.push(format!("{state} {grant} {target}"));
    }
    over.sort();
    assert_eq!(over, ["expired call b", "expired files /in"]);
    assert_eq!(gated.mesh.refused("a", &call("b")).await, "not-sent/denied");
    let all = gated.mesh.runtime.capabilities("a").unwrap();
    assert!(all.iter().all(|one| one.key != "files" || one.granted == Granted::Nothing), "{all:?}");

    // In the middle of a turn: it is given again for a moment, and its turn ends behind the gate.
    let again = format!("b until {}", at(2));
    assert!(gated.mesh.runtime.grant("a", ("call", &again), DeployOptions::default()).await.unwrap().is_some());
    let send = Command::Send { to: "b".into(), key: None, body: Command::Count.value() };
    let outcome = gated
        .meanwhile(Command::Do(vec![send, call("gate"), call("b")]), async |_| {
            loop {
                let Some(Heard::Event(event)) = events.next().await else { panic!("events were lost") };
                if matches!(&event.what, Happening::Grant { state, .. } if state == "expired") {
                    break;
                }
            }
        })
        .await
        .unwrap();
    assert_eq!(names(&outcome), ["ok", "ok", "not-sent/denied"]);
    gated.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_is_under_way_does_not_give_it_back() {
    let mut gated = Gated::start("a", "grants = { call = [\"b\", \"gate\"] }").await;
    let file = gated.mesh.folder.path().join("airssys.toml");
    let edited = std::fs::read_to_string(&file).unwrap().replacen("grants =", "retries = 1\ngrants =", 1);
    let edited = airssys_tests::read(gated.mesh.folder.path(), &edited).unwrap();
    let runtime = Arc::clone(&gated.mesh.runtime);
    let (mut both, mut events) = (None, runtime.events().of_kinds(&[Kind::Apply]).from_now_on());
    let outcome = gated
        .meanwhile(Command::Do(vec![call("b"), call("gate"), call("b")]), async |mesh| {
            // It waits for the end of the turn, and the revocation for its end.
            let (one, other) = (Arc::clone(&mesh.runtime), Arc::clone(&mesh.runtime));
            let applying = tokio::spawn(async move { one.apply(edited, DeployOptions::default()).await });
            let _it_has_begun = events.next().await;
            let revoking = tokio::spawn(async move { other.revoke("a", "call", "b").await });
            airssys_tests::until("it is revoked", async || !mesh.runtime.why("a", "call", "b").unwrap().allowed).await;
            both = Some((applying, revoking));
        })
        .await
        .unwrap();
    assert_eq!(names(&outcome), ["ok", "ok", "not-sent/denied"]);
    let (applying, revoking) = both.unwrap();
    // Not for a moment, either: its turn is over, and whether the apply is nobody knows.
    assert_eq!(gated.mesh.refused("a", &call("b")).await, "not-sent/denied");
    applying.await.unwrap().unwrap();
    let _kept = revoking.await.unwrap().unwrap();
    assert_eq!(gated.mesh.refused("a", &call("b")).await, "not-sent/denied");
    assert!(!runtime.why("a", "call", "b").unwrap().allowed);
    drop(runtime);
    gated.mesh.stop().await;
}
