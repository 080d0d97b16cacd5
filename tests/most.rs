//! Whatever guests do, all of them at once, the host holds no more than the sum of its table of limits, and answers
//! their siblings.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airssys_tests::{Mesh, footprint};
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Outcome, Trap};
use serde_json::json;

const MEBI: u64 = 1 << 20;
/// What the allocator keeps of what was given back, and what a test holds itself.
const KEPT: u64 = 32 * MEBI;
const CHILDREN: usize = 8;
const RESOURCES: usize = 32;

/// One who tries everything, one who spawns for its life, the children, and a sibling. A turn may compute for long,
/// since the machine may be slow.
fn topology(folder: &std::path::Path) -> String {
    let limits =
        "memory = \"8MiB\", effect_bytes = \"2MiB\", boundary = \"2MiB\", state = \"2MiB\", timer_bytes = \"1MiB\"";
    let limits =
        format!("{limits}, monitors = 10, resources = {RESOURCES}, turn_budget = \"60s\", turn_deadline = \"2m\"");
    let service = |name: &str, release: &str, more: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@{release}\"\nmailbox = {{ bytes = \"2MiB\", all_bytes = \"4MiB\" }}\nlimits = {{ {limits}, all_state = \"4MiB\" }}\n{more}\n"
        )
    };
    let files = format!("files = {{ \"/out\" = {{ host = {folder:?}, access = \"read-write\" }} }}");
    let attacker = format!("[service.grants]\npublish = [\"**\"]\nsubscribe = [\"**\"]\nsend = [\"child/*\"]\n{files}");
    [
        "name = \"most\"\n[root]\nintensity = 1000000\n[settings]\ndead_letter_bytes = \"8MiB\"\ntimer_bytes = \"8MiB\"\nreserve_timeout = \"0s\"\n".to_owned(),
        service("sibling", "prober", ""),
        service("child", "prober", &format!("spawned = {{ max_children = {CHILDREN} }}")),
        service("parent", "overseer", "[service.grants]\nspawn = [\"child/*\"]"),
        service("attacker", "prober", &attacker),
    ]
    .concat()
}

/// Does everything that a guest can do to be held, again and again; what is refused, is.
async fn attack(mesh: &Mesh, round: usize) {
    let times = |times: u64, command: Command| Command::Times(times, Box::new(command));
    let deep = |depth: usize| format!("/out/{}", "d/".repeat(depth));
    let commands = [
        times(60, Command::SendBytes { to: "attacker".into(), bytes: 1_000_000 }),
        times(60, Command::SendBytes { to: "child/0".into(), bytes: 1_000_000 }),
        times(3_000, Command::SendBytes { to: "attacker".into(), bytes: 1 }),
        times(60, Command::SendBytesAfter { delay_ms: 3_600_000, bytes: 100_000 }),
        times(60, Command::PublishBytes { topic: "t".into(), bytes: 1_000_000 }),
        times(200, Command::SubscribeLong(1_000)),
        Command::FailLong(1_000_000),
        Command::HugeAnswer(8_000_000),
        Command::FloodState,
        Command::FloodLog(2_000),
        Command::Do((1..100).map(|depth| Command::MakeFolder(deep(depth))).collect()),
        Command::Do(
            (0..100)
                .map(|name| Command::WriteFile { path: format!("/out/{round}-{name}"), text: "x".into() })
                .collect(),
        ),
        Command::ListFolder("/out".into()),
        Command::HoldFiles("/out/plain".into()),
        Command::LetGo,
        Command::HoldStreams("/out/plain".into()),
        Command::Trap(Trap::OutOfMemory),
    ];
    for command in commands {
        let _answered_refused_or_crashed = mesh.ask("attacker", &command).await;
    }
    // More children than there may be, each of which takes what it may; some of the last round are stopped.
    let spawn = |name: usize| Command::Spawn { service: "child".into(), name: name.to_string() };
    let spawned = mesh.ok("parent", &Command::Do((0..3 * CHILDREN).map(spawn).collect())).await;
    let refused = spawned.as_array().unwrap().iter().filter(|told| told.get("err").is_some()).count();
    assert!(refused >= 2 * CHILDREN, "{spawned}");
    for child in 0..CHILDREN {
        let to = format!("child/{child}");
        for command in [
            Command::FloodState,
            Command::Allocate(4),
            times(60, Command::SendBytes { to: to.clone(), bytes: 500_000 }),
        ] {
            let _answered_refused_or_crashed = mesh.ask(&to, &command).await;
        }
    }
    let stop = |name: usize| Command::Stop(format!("child/{name}"));
    let _stopped = mesh.ask("parent", &Command::Do((0..CHILDREN / 2).map(stop).collect())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_holds_no_more_than_the_sum_of_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain"), "seen").unwrap();
    let mesh = Mesh::start(&topology(folder.path())).await;
    let most = Topology::read(&mesh.folder.path().join("airssys.toml")).unwrap().most_bytes();
    // Small enough that a few rounds without a bound are more.
    assert!((50 * MEBI..350 * MEBI).contains(&most), "{} MiB", most / MEBI);
    mesh.ok("sibling", &Command::Count).await;
    let before = footprint();
    let (peak, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let attacks = async {
        for round in 0..8 {
            attack(&mesh, round).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let bystander = async {
        let mut answered = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            // Each is answered, whatever the others do: `ok` fails where it is not.
            assert_eq!(mesh.ok("sibling", &Command::Echo(json!(answered))).await, json!(answered));
            answered += 1;
            let now = footprint();
            peak.fetch_max(now.resident_bytes, Ordering::Relaxed);
            // Four services at most have files, sockets and streams at a time; each child is an instance too.
            assert!(now.file_descriptors <= before.file_descriptors + RESOURCES * (3 + CHILDREN), "{before:?} {now:?}");
            assert!(now.threads <= before.threads + 8 + 4, "{before:?} {now:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        answered
    };
    let ((), answered) = tokio::join!(attacks, bystander);
    assert!(answered > 10 && mesh.status("sibling").started == 1, "{answered}");
    let grown = peak.into_inner().saturating_sub(before.resident_bytes);
    assert!(grown < most + KEPT, "grown by {} MiB, and {} MiB are allowed", grown / MEBI, most / MEBI);
    // What was there is let go of, and it all works.
    assert!(matches!(mesh.ask("attacker", &Command::ReadFile("/out/plain".into())).await, Ok(Outcome::Ok(_))));
    mesh.runtime.shutdown().await;
}
