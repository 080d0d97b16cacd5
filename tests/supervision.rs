//! OTP's supervision, kept by real component actors. Each case is named after what it promises.
//!
//! The children report to a recorder outside of the supervisor under test: `init NAME` when an instance starts,
//! `stop NAME` when it is stopped in order. What the recorder has is the order in which things happened.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says so by panicking, and tells the case"
)]

use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// A child: its name, and more keys of its `[[service]]`.
type Child = (&'static str, &'static str);

enum Step {
    /// A child ends by `exit(0)`: normally.
    Exit(&'static str),
    /// A child traps.
    Crash(&'static str),
    /// The recorder has exactly this, from the start.
    Log(&'static [&'static str]),
    /// A child answers, from this number of instances so far.
    Answers(&'static str, u64),
    /// A child takes no messages any more.
    Stopped(&'static str),
    /// This much time passes.
    Wait(Duration),
}
use Step::{Answers, Crash, Exit, Log, Stopped, Wait};

struct Case {
    promise: &'static str,
    /// Keys of the `[[supervisor]]` under test.
    supervisor: &'static str,
    children: &'static [Child],
    steps: &'static [Step],
}

const TRANSIENT: &str = "restart = \"transient\"";
const TEMPORARY: &str = "restart = \"temporary\"";
const ABC: &[Child] = &[("a", ""), ("b", ""), ("c", "")];

const CASES: &[Case] = &[
    Case {
        promise: "a permanent child restarts after a normal exit",
        supervisor: "",
        children: &[("a", "")],
        steps: &[Exit("a"), Log(&["init a", "init a"]), Answers("a", 2)],
    },
    Case {
        promise: "a permanent child restarts after a crash",
        supervisor: "",
        children: &[("a", "")],
        steps: &[Crash("a"), Log(&["init a", "init a"]), Answers("a", 2)],
    },
    Case {
        promise: "a transient child does not restart after a normal exit",
        supervisor: "",
        children: &[("a", TRANSIENT), ("b", "")],
        steps: &[Exit("a"), Stopped("a"), Answers("b", 1), Log(&["init a", "init b"])],
    },
    Case {
        promise: "a transient child restarts after a crash",
        supervisor: "",
        children: &[("a", TRANSIENT)],
        steps: &[Crash("a"), Log(&["init a", "init a"]), Answers("a", 2)],
    },
    Case {
        promise: "a temporary child never restarts",
        supervisor: "",
        children: &[("a", TEMPORARY), ("b", TEMPORARY), ("c", "")],
        steps: &[
            Crash("a"),
            Exit("b"),
            Stopped("a"),
            Stopped("b"),
            Answers("c", 1),
            Log(&["init a", "init b", "init c"]),
        ],
    },
    Case {
        promise: "the crash of a temporary child does not count",
        supervisor: "intensity = 0",
        children: &[("a", TEMPORARY), ("b", "")],
        steps: &[Crash("a"), Stopped("a"), Answers("b", 1)],
    },
    Case {
        promise: "one-for-one restarts only the child that crashed",
        supervisor: "strategy = \"one-for-one\"",
        children: ABC,
        steps: &[
            Crash("b"),
            Log(&["init a", "init b", "init c", "init b"]),
            Answers("a", 1),
            Answers("b", 2),
            Answers("c", 1),
        ],
    },
    Case {
        promise: "rest-for-one restarts the child and those started after it",
        supervisor: "strategy = \"rest-for-one\"",
        children: ABC,
        steps: &[Crash("b"), Log(&["init a", "init b", "init c", "stop c", "init b", "init c"]), Answers("a", 1)],
    },
    Case {
        promise: "rest-for-one restarts only the last child when that crashes",
        supervisor: "strategy = \"rest-for-one\"",
        children: ABC,
        steps: &[Crash("c"), Log(&["init a", "init b", "init c", "init c"]), Answers("a", 1), Answers("b", 1)],
    },
    Case {
        promise: "one-for-all stops in reverse and starts in order",
        supervisor: "strategy = \"one-for-all\"",
        children: ABC,
        steps: &[Crash("b"), Log(&["init a", "init b", "init c", "stop c", "stop a", "init a", "init b", "init c"])],
    },
    Case {
        promise: "one-for-all restarts all after the normal exit of a permanent child",
        supervisor: "strategy = \"one-for-all\"",
        children: &[("a", ""), ("b", "")],
        steps: &[Exit("a"), Log(&["init a", "init b", "stop b", "init a", "init b"])],
    },
    Case {
        promise: "a temporary bystander of one-for-all does not come back",
        supervisor: "strategy = \"one-for-all\"",
        children: &[("a", ""), ("t", TEMPORARY), ("c", "")],
        steps: &[
            Crash("a"),
            Log(&["init a", "init t", "init c", "stop c", "stop t", "init a", "init c"]),
            Stopped("t"),
            Answers("a", 2),
        ],
    },
    Case {
        promise: "a transient bystander of one-for-all comes back",
        supervisor: "strategy = \"one-for-all\"",
        children: &[("a", ""), ("t", TRANSIENT)],
        steps: &[Crash("a"), Log(&["init a", "init t", "stop t", "init a", "init t"]), Answers("t", 2)],
    },
    Case {
        promise: "as many restarts as the intensity are borne",
        supervisor: "intensity = 2",
        children: &[("a", ""), ("b", "")],
        steps: &[Crash("a"), Answers("a", 2), Crash("a"), Answers("a", 3), Answers("b", 1)],
    },
    Case {
        promise: "one more than the intensity stops the rest in reverse and escalates to the parent, which starts all again",
        supervisor: "intensity = 1",
        children: ABC,
        steps: &[
            Crash("a"),
            Answers("a", 2),
            Crash("a"),
            Log(&["init a", "init b", "init c", "init a", "stop c", "stop b", "init a", "init b", "init c"]),
            Answers("b", 2),
        ],
    },
    Case {
        promise: "an intensity of zero escalates at the first crash",
        supervisor: "intensity = 0",
        children: &[("a", ""), ("b", "")],
        steps: &[Crash("a"), Log(&["init a", "init b", "stop b", "init a", "init b"])],
    },
    Case {
        promise: "a transient supervisor that gives up is not started again",
        supervisor: "intensity = 0\nrestart = \"transient\"",
        children: &[("a", ""), ("b", "")],
        steps: &[Crash("a"), Stopped("a"), Stopped("b"), Log(&["init a", "init b", "stop b"])],
    },
    Case {
        promise: "the period slides",
        supervisor: "intensity = 1\nperiod = \"40ms\"",
        children: &[("a", ""), ("b", "")],
        steps: &[
            Crash("a"),
            Answers("a", 2),
            Wait(Duration::from_millis(80)),
            Crash("a"),
            Answers("a", 3),
            Wait(Duration::from_millis(80)),
            Crash("a"),
            Answers("a", 4),
            Answers("b", 1),
        ],
    },
    Case {
        promise: "a restart that fails counts and is tried again",
        supervisor: "intensity = 4",
        children: &[("a", "init = \"panic@recorder:2-4\""), ("b", "")],
        steps: &[Crash("a"), Answers("a", 5), Answers("b", 1)],
    },
    Case {
        promise: "restarts that fail too often escalate",
        supervisor: "intensity = 2\nrestart = \"transient\"",
        children: &[("a", "init = \"fault@recorder:2-9\""), ("b", "")],
        steps: &[Crash("a"), Stopped("a"), Stopped("b"), Log(&["init b", "stop b"])],
    },
    Case {
        promise: "the end of a significant child shuts an any-significant supervisor down",
        supervisor: "auto_shutdown = \"any\"\nrestart = \"transient\"",
        children: &[("a", ""), ("s", "significant = true\nrestart = \"transient\""), ("c", "")],
        steps: &[Exit("s"), Log(&["init a", "init s", "init c", "stop c", "stop a"]), Stopped("a"), Stopped("c")],
    },
    Case {
        promise: "a significant transient child that crashes restarts and shuts nothing down",
        supervisor: "auto_shutdown = \"any\"\nrestart = \"transient\"",
        children: &[("a", ""), ("s", "significant = true\nrestart = \"transient\"")],
        steps: &[Crash("s"), Answers("s", 2), Answers("a", 1)],
    },
    Case {
        promise: "a significant temporary child shuts it down by crashing, too",
        supervisor: "auto_shutdown = \"any\"\nrestart = \"transient\"",
        children: &[("a", ""), ("s", "significant = true\nrestart = \"temporary\"")],
        steps: &[Crash("s"), Stopped("a"), Log(&["init a", "init s", "stop a"])],
    },
    Case {
        promise: "an all-significant supervisor waits for the last significant child",
        supervisor: "auto_shutdown = \"all\"\nrestart = \"transient\"",
        children: &[
            ("a", ""),
            ("s", "significant = true\nrestart = \"transient\""),
            ("t", "significant = true\nrestart = \"temporary\""),
        ],
        steps: &[
            Exit("s"),
            Stopped("s"),
            Answers("a", 1),
            Exit("t"),
            Stopped("a"),
            Log(&["init a", "init s", "init t", "stop a"]),
        ],
    },
    Case {
        promise: "a back-off blocks neither the supervisor nor siblings",
        supervisor: "intensity = 100\nbackoff = { initial = \"1h\", max = \"1h\" }",
        children: &[("a", ""), ("b", "")],
        steps: &[Crash("a"), Answers("b", 1), Log(&["init a", "init b"])],
    },
];

/// The topology of a case. The root bears anything.
fn topology(case: &Case) -> String {
    let mut text = format!(
        "name = \"case\"\n[root]\nintensity = 1000\n[[service]]\nname = \"recorder\"\nrelease = \"@prober\"\n[[supervisor]]\nname = \"sut\"\n{}\n",
        case.supervisor
    );
    for (name, more) in case.children {
        let init = more.strip_prefix("init = ").unwrap_or("\"send:recorder\"");
        let more = if more.starts_with("init = ") { "" } else { more };
        text += &format!(
            "[[service]]\nname = \"{name}\"\nrelease = \"@prober\"\nsupervisor = \"sut\"\n{more}\nconfig = {{ init = {init}, stop = \"send:recorder\" }}\n[service.grants]\nsend = [\"recorder\"]\ncall = [\"recorder\"]\n"
        );
    }
    text
}

async fn recorded(mesh: &Mesh) -> Value {
    match mesh.ok("recorder", &Command::Get("record".into())).await {
        Value::Null => json!([]),
        list => list,
    }
}

/// Asks until something is so, and says what it was last where it never is.
async fn eventually<T: std::fmt::Debug>(what: &str, mut ask: impl AsyncFnMut() -> (bool, T)) {
    let mut last = None;
    let all = async {
        loop {
            let (so, seen) = ask().await;
            if so {
                return;
            }
            last = Some(seen);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        panic!("never: {what}; last seen: {last:?}");
    }
}

async fn take(mesh: &Mesh, promise: &str, step: &Step) {
    match step {
        Exit(child) => ended(mesh, child, &Command::Exit(0)).await,
        Crash(child) => ended(mesh, child, &Command::Trap(Trap::Panic)).await,
        Log(expected) => {
            eventually(&format!("{promise}: {expected:?}"), async || {
                let seen = recorded(mesh).await;
                (seen == json!(expected), seen)
            })
            .await;
        }
        Answers(child, instances) => {
            assert_eq!(mesh.ok(child, &Command::Echo(json!(promise))).await, json!(promise));
            assert_eq!(mesh.status(child).started, *instances, "{promise}: instances of {child}");
        }
        Stopped(child) => {
            eventually(&format!("{promise}: {child} is stopped"), async || {
                let answer = mesh.runtime.call(child, Command::Quiet.bytes(), Duration::from_millis(50)).await;
                (matches!(&answer, Err(CallError::NotSent(error)) if error.code() == "stopped"), answer)
            })
            .await;
        }
        Wait(time) => tokio::time::sleep(*time).await,
    }
}

async fn ended(mesh: &Mesh, child: &str, command: &Command) {
    let answer = mesh.ask(child, command).await;
    assert!(matches!(answer, Err(CallError::Crashed(_))), "{child}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_keeps_its_promise() {
    for case in CASES {
        println!("{}", case.promise);
        let mesh = Mesh::start(&topology(case)).await;
        for step in case.steps {
            take(&mesh, case.promise, step).await;
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_start_in_order_and_stop_in_reverse() {
    let case = Case { promise: "", supervisor: "", children: ABC, steps: &[] };
    // Out of the recorder's own reach: it stops after them, since it started before them.
    let mesh = Mesh::start(&topology(&case)).await;
    assert_eq!(recorded(&mesh).await, json!(["init a", "init b", "init c"]));
    mesh.runtime.root().terminate_child("sut").await.unwrap();
    assert_eq!(recorded(&mesh).await, json!(["init a", "init b", "init c", "stop c", "stop b", "stop a"]));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_in_the_middle_stops_what_started_and_says_which_child_and_why() {
    let text = r#"
        name = "m"
        [[service]]
        name = "first"
        release = "@prober"
        [[supervisor]]
        name = "inner"
        [[service]]
        name = "second"
        release = "@prober"
        supervisor = "inner"
        config = { init = "fault" }
        [[service]]
        name = "third"
        release = "@prober"
    "#;
    let Err(error) = Mesh::try_start(text, Runtime::builder()).await else { panic!("it started") };
    let chain = std::iter::successors(Some(&*error as &dyn std::error::Error), |error| error.source());
    let said = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    for part in ["inner", "second", "init failed", "unavailable"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("third"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_gives_up_ends_the_mesh() {
    let mesh =
        Mesh::start("name = \"m\"\n[root]\nintensity = 0\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n").await;
    ended(&mesh, "a", &Command::Trap(Trap::Panic)).await;
    let reason = tokio::time::timeout(PATIENCE, mesh.runtime.ended()).await.unwrap();
    assert!(matches!(reason, airssys_rt_shim::exit::ExitReason::Shutdown), "{reason}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_mesh_that_gave_up_is_told() {
    let mesh =
        Mesh::start("name = \"m\"\n[root]\nintensity = 0\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n").await;
    // One that waits in the mailbox when it ends, and one that comes later.
    let busy = Command::Do(vec![Command::Sleep(200), Command::Trap(Trap::Panic)]);
    mesh.tell("a", &busy).await.unwrap();
    let waited = mesh.ask("a", &Command::Count).await;
    assert!(matches!(waited, Err(CallError::Dropped(_))), "{waited:?}");
    mesh.runtime.ended().await;
    mesh.until("nobody takes messages any more", |mesh| mesh.dead().len() == 2).await;
    let late = mesh.ask("a", &Command::Count).await;
    assert!(matches!(late, Err(CallError::NotSent(SendError::Stopped { .. }))), "{late:?}");
    assert_eq!(mesh.dead(), ["crashed", "stopped"]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_branch_that_is_gone_for_good_is_told() {
    let text = "name = \"m\"\n[[supervisor]]\nname = \"branch\"\nintensity = 0\nrestart = \"temporary\"\n\
                [[service]]\nname = \"a\"\nsupervisor = \"branch\"\nrelease = \"@prober\"\n\
                [[service]]\nname = \"b\"\nsupervisor = \"branch\"\nrelease = \"@prober\"\n\
                [[service]]\nname = \"c\"\nrelease = \"@prober\"\n";
    let mesh = Mesh::start(text).await;
    ended(&mesh, "a", &Command::Trap(Trap::Panic)).await;
    for service in ["a", "b"] {
        let told = mesh.ask(service, &Command::Count).await;
        assert!(matches!(told, Err(CallError::NotSent(SendError::Stopped { .. }) | CallError::Dropped(_))), "{told:?}");
    }
    assert_eq!(mesh.ok("c", &Command::Count).await, json!(1), "its siblings go on");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_ignores_its_stop_is_killed_at_its_time_out_and_named() {
    let text = "name = \"m\"\n[[service]]\nname = \"good\"\nrelease = \"@prober\"\n[[service]]\nname = \"stubborn\"\nrelease = \"@prober\"\nshutdown = \"50ms\"\nconfig = { stop = \"hang\" }\nlimits = { turn_budget = \"1h\", turn_deadline = \"1h\" }\n";
    let mesh = Mesh::start(text).await;
    let report = mesh.runtime.shutdown().await;
    assert_eq!(report.killed, ["m/stubborn"]);
    assert!(report.took < Duration::from_secs(10), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brutal_kill_does_not_ask() {
    let case =
        Case { promise: "", supervisor: "", children: &[("a", "shutdown = \"brutal-kill\""), ("b", "")], steps: &[] };
    let mesh = Mesh::start(&topology(&case)).await;
    mesh.runtime.root().terminate_child("sut").await.unwrap();
    assert_eq!(recorded(&mesh).await, json!(["init a", "init b", "stop b"]));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamic_children_stop_in_parallel() {
    const KEYS: u32 = 20;
    const EACH: Duration = Duration::from_millis(200);
    let text = "name = \"m\"\n[[service]]\nname = \"k\"\nrelease = \"@prober\"\nkeyed = {}\nconfig = { stop = \"sleep:200\" }\n";
    let mesh = Mesh::start(text).await;
    for key in 0..KEYS {
        mesh.ok(&format!("k/{key}"), &Command::Echo(json!(1))).await;
    }
    let report = mesh.runtime.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    assert!(report.took >= EACH && report.took < EACH * KEYS / 2, "{report:?}");
}

/// By `terminate_child` and `restart_child`, as OTP has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_stopped_takes_messages_again_when_it_is_started_again() {
    for settings in ["", "instances = 2", "instances = 2\npartitioned = true", "supervisor = \"inner\""] {
        let text = format!(
            "name = \"m\"\n[[supervisor]]\nname = \"inner\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n{settings}\n"
        );
        let mesh = Mesh::start(&text).await;
        let root = mesh.runtime.root();
        let children: &[&str] = match settings {
            "" => &["a"],
            "supervisor = \"inner\"" => &["inner"],
            _ => &["a#0", "a#1"],
        };
        for _ in 0..2 {
            mesh.ok("a", &Command::Echo(json!(1))).await;
            for child in children {
                root.terminate_child(*child).await.unwrap();
            }
            // The last message that it takes may be one that it does not come to.
            let stopped = mesh.ask("a", &Command::Echo(json!(2))).await;
            let refused = matches!(stopped, Err(CallError::NotSent(SendError::Stopped { .. }) | CallError::Dropped(_)));
            assert!(refused, "{settings}: {stopped:?}");
            for child in children {
                root.restart_child(*child).await.unwrap();
            }
        }
        // Both of two: each key has one.
        for n in 0..20 {
            assert_eq!(mesh.ok("a", &Command::Echo(json!(n))).await, json!(n), "{settings}");
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_behind_a_crash_are_handled_in_order_once() {
    let mesh =
        Mesh::start("name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n").await;
    let mut expected = Vec::new();
    mesh.tell("a", &Command::Busy(100)).await.unwrap();
    for n in 0..200 {
        if n % 10 == 5 {
            mesh.tell("a", &Command::Trap(Trap::Panic)).await.unwrap();
        } else {
            mesh.tell("a", &Command::Record(json!(n))).await.unwrap();
            expected.push(n);
        }
    }
    assert_eq!(mesh.ok("a", &Command::Get("record".into())).await, json!(expected));
    assert_eq!(mesh.status("a").started, 21);
    assert_eq!(mesh.dead(), ["crashed"; 20]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_crashes_is_retried_as_often_as_said_and_is_poison_then() {
    let mesh = Mesh::start(
        "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nretries = 2\n",
    )
    .await;
    ended(&mesh, "a", &Command::Trap(Trap::Panic)).await;
    let dead = mesh.runtime.dead_letters().1;
    assert_eq!((dead.len(), dead[0].reason.code(), dead[0].attempt), (1, "poisoned", 2));
    assert_eq!(mesh.ok("a", &Command::Echo(json!(1))).await, json!(1));
    assert_eq!(mesh.status("a").started, 4, "the first, two retries, and the one after the poison");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_for_one_leaves_the_siblings_instance_state_and_mailbox_alone() {
    let case = Case { promise: "", supervisor: "intensity = 100", children: &[("a", ""), ("b", "")], steps: &[] };
    let mesh = Mesh::start(&topology(&case)).await;
    mesh.ok("b", &Command::Set { key: "k".into(), value: json!("v") }).await;
    mesh.tell("b", &Command::Busy(100)).await.unwrap();
    mesh.tell("b", &Command::Record(json!("queued"))).await.unwrap();
    for _ in 0..5 {
        ended(&mesh, "a", &Command::Trap(Trap::Panic)).await;
    }
    assert_eq!(mesh.ok("b", &Command::Get("record".into())).await, json!(["queued"]));
    assert_eq!(mesh.ok("b", &Command::Get("k".into())).await, json!("v"));
    assert_eq!(mesh.ok("b", &Command::Count).await, json!(6), "one instance has handled all of it");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_never_starves_siblings() {
    let case = Case {
        promise: "",
        supervisor: "intensity = 1000000",
        children: &[("a", "init = \"panic@recorder:2-\""), ("b", "")],
        steps: &[],
    };
    let mesh = Mesh::start(&topology(&case)).await;
    ended(&mesh, "a", &Command::Trap(Trap::Panic)).await;
    mesh.until("it loops", |mesh| mesh.status("a").started > 20).await;
    for n in 0..200 {
        assert_eq!(mesh.ok("b", &Command::Echo(json!(n))).await, json!(n));
    }
    assert_eq!(mesh.status("b").started, 1);
    let looped = mesh.status("a").started;
    mesh.until("it loops on", |mesh| mesh.status("a").started > looped).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_start_is_ended_at_its_time_out_and_counts() {
    let text = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nconfig = { init = \"hang\" }\nlimits = { start_timeout = \"100ms\", turn_budget = \"1h\", turn_deadline = \"1h\" }\n";
    let Err(error) = Mesh::try_start(text, Runtime::builder()).await else { panic!("it started") };
    let said = format!("{error:?} {error}");
    assert!(said.contains("it was not over in time: the limit `start_timeout` is 100ms"), "{said}");
}
