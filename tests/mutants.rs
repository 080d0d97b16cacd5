//! Bugs that are planted in the host are found by a trial of a mesh, each within a stated number of seeds; and nothing
//! is found in the sound host with the same files and seeds.
//!
//! `AIRSSYS_SOAK` is for how many seconds the sound host is tried, and `AIRSSYS_SEED` the first seed: `cargo xtask
//! soak`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test says so by panicking")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use airssys_rt_shim::planted;
use airssys_tests::{code_cache, with_guests};
use airssys_wasm::trial::Trial;
use tempfile::TempDir;

/// A mesh, and what is asked of it.
struct Files {
    name: &'static str,
    topology: &'static str,
    test: &'static str,
}

const FILES: [Files; 5] = [
    // Books of two services, which a message keeps the same that leaves with its turn.
    Files {
        name: "books",
        topology: r#"
            name = "books"
            [root]
            intensity = 1000
            [[service]]
            name = "asker"
            release = "@prober"
            retries = 1
            grants = { send = ["goal"] }
            [[service]]
            name = "goal"
            release = "@prober"
            retries = 3
            mailbox = { capacity = 2 }
        "#,
        test: r#"
            settle = "30s"
            [[workload]]
            service = "asker"
            ask = '{"do":[{"send":{"to":"goal","body":{"increment":{"key":"n","by":1}}}},{"send":{"to":"goal","body":{"increment":{"key":"m","by":1}}}},{"increment":{"key":"n","by":1}}]}'
            times = 40
            every = "2ms"
            [[workload]]
            service = "asker"
            ask = '{"do":[{"send":{"to":"goal","body":{"increment":{"key":"n","by":1}}}},{"increment":{"key":"n","by":1}},{"fail":{"fault":"internal"}}]}'
            times = 5
            every = "10ms"
            [[workload]]
            service = "goal"
            ask = '{"echo":{}}'
            times = 40
            every = "2ms"
            [[fault]]
            kind = "crash"
            service = "asker"
            rate = 0.1
            [[check]]
            service = "goal"
            ask = '{"increment":{"key":"n","by":0}}'
            same_as = { service = "asker", ask = '{"increment":{"key":"n","by":0}}' }
            [[check]]
            service = "goal"
            ask = '{"increment":{"key":"m","by":0}}'
            same_as = { service = "asker", ask = '{"increment":{"key":"n","by":0}}' }
        "#,
    },
    // Each turn that happens sets one timer, which counts.
    Files {
        name: "timers",
        topology: r#"
            name = "timers"
            [root]
            intensity = 1000
            [[service]]
            name = "bell"
            release = "@prober"
            retries = 3
        "#,
        test: r#"
            settle = "30s"
            [[workload]]
            service = "bell"
            ask = '{"do":[{"send_after":{"delay_ms":700,"body":{"increment":{"key":"rang","by":1}}}},{"increment":{"key":"set","by":1}}]}'
            times = 20
            [[fault]]
            kind = "crash"
            service = "bell"
            at = "before"
            rate = 0.05
            [[check]]
            service = "bell"
            ask = '{"increment":{"key":"rang","by":0}}'
            same_as = { service = "bell", ask = '{"increment":{"key":"set","by":0}}' }
        "#,
    },
    // What is durable is counted in two places, of which a kill of the host takes neither.
    Files {
        name: "durable",
        topology: r#"
            name = "durable"
            [root]
            intensity = 1000
            [[service]]
            name = "asker"
            release = "@prober"
            state = "durable"
            grants = { call = ["goal"] }
            [[service]]
            name = "goal"
            release = "@prober"
            state = "durable"
        "#,
        test: r#"
            kill = ["450ms"]
            settle = "5s"
            [[workload]]
            service = "goal"
            ask = '{"increment":{"key":"n","by":1}}'
            times = 20
            [[check]]
            service = "goal"
            ask = '{"increment":{"key":"n","by":0}}'
            equals = '{"ok":20}'
        "#,
    },
    // Supervisors of each strategy, children of each kind.
    Files {
        name: "tree",
        topology: r#"
            name = "tree"
            [root]
            intensity = 1000
            [[supervisor]]
            name = "all"
            strategy = "one-for-all"
            intensity = 3
            period = "1s"
            [[service]]
            supervisor = "all"
            name = "a1"
            release = "@prober"
            [[service]]
            supervisor = "all"
            name = "a2"
            release = "@prober"
            [[service]]
            supervisor = "all"
            name = "a3"
            release = "@prober"
            [[supervisor]]
            name = "rest"
            strategy = "rest-for-one"
            intensity = 3
            period = "1s"
            [[service]]
            supervisor = "rest"
            name = "r1"
            release = "@prober"
            [[service]]
            supervisor = "rest"
            name = "r2"
            release = "@prober"
            [[service]]
            supervisor = "rest"
            name = "r3"
            release = "@prober"
            [[supervisor]]
            name = "one"
            intensity = 1000
            backoff = { initial = "50ms" }
            [[service]]
            supervisor = "one"
            name = "o1"
            release = "@prober"
            [[service]]
            supervisor = "one"
            name = "o2"
            release = "@prober"
            restart = "transient"
            [[service]]
            supervisor = "one"
            name = "o3"
            release = "@prober"
            restart = "temporary"
        "#,
        test: r#"
            settle = "10s"
            [[workload]]
            service = "a1"
            ask = '{"echo":1}'
            times = 60
            every = "30ms"
            [[workload]]
            service = "a2"
            ask = '{"echo":1}'
            times = 60
            every = "30ms"
            [[workload]]
            service = "r2"
            ask = '{"echo":1}'
            times = 60
            every = "30ms"
            [[workload]]
            service = "r3"
            ask = '{"echo":1}'
            times = 60
            every = "30ms"
            [[workload]]
            service = "o1"
            ask = '{"echo":1}'
            times = 30
            every = "60ms"
            [[workload]]
            service = "o2"
            ask = '{"exit":0}'
            times = 3
            every = "60ms"
            [[workload]]
            service = "o3"
            ask = '{"echo":1}'
            times = 30
            every = "60ms"
            [[fault]]
            kind = "crash"
            rate = 0.06
        "#,
    },
    // Keys, a pool, topics and a kill.
    Files {
        name: "many",
        topology: r#"
            name = "many"
            [root]
            intensity = 1000
            [[service]]
            name = "front"
            release = "@prober"
            retries = 2
            grants = { send = ["cart"], call = ["pool"], publish = ["news"] }
            [[service]]
            name = "cart"
            release = "@prober"
            keyed = { max_keys = 50, max_awake = 4, idle_timeout = "50ms" }
            state = "durable"
            [[service]]
            name = "pool"
            release = "@prober"
            instances = 3
            grants = { subscribe = ["news"] }
        "#,
        test: r#"
            kill = ["300ms"]
            settle = "60s"
            [[workload]]
            service = "front"
            ask = '{"do":[{"send":{"to":"cart/k{n}","body":{"increment":{"key":"n","by":1}}}},{"call":{"to":"pool","body":{"echo":1},"timeout_ms":1000}},{"publish":{"topic":"news","body":{"echo":2}}}]}'
            times = 40
            [[workload]]
            service = "cart"
            key = "k{n}"
            ask = '{"do":[{"increment":{"key":"n","by":1}},{"send_after":{"delay_ms":500,"body":{"increment":{"key":"m","by":1}}}}]}'
            times = 40
            every = "20ms"
            [[fault]]
            kind = "crash"
            rate = 0.05
        "#,
    },
];

/// Which bug, which files find it, and within how many seeds.
const PLANTED: [(&str, &str, u64); 19] = [
    ("one-restart-too-many", "tree", 20),
    ("window-never-forgets", "tree", 20),
    ("rest-for-one-and-one-before", "tree", 5),
    ("one-for-all-forgets-one", "tree", 5),
    ("stopped-in-start-order", "tree", 1),
    ("transient-after-normal-exit", "tree", 5),
    ("temporary-again", "tree", 5),
    ("no-back-off", "tree", 5),
    ("exit-not-seen", "tree", 5),
    ("mailbox-holds-one-more", "books", 5),
    ("timer-lost", "timers", 1),
    ("timer-armed-twice", "timers", 1),
    ("effects-leave-in-reverse", "books", 1),
    ("effect-lost", "books", 1),
    ("effects-leave-on-a-fault", "books", 1),
    ("writes-of-a-discarded-turn", "books", 5),
    ("acknowledged-and-not-saved", "durable", 1),
    ("dead-letter-not-buried", "tree", 5),
    ("handled-and-left-in-hand", "books", 5),
];

struct Tree {
    trial: Trial,
    _folder: TempDir,
}

impl Tree {
    fn of(files: &Files) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("airssys.toml"), with_guests(files.topology)).unwrap();
        let file: PathBuf = folder.path().join("airssys.test.toml");
        std::fs::write(&file, files.test).unwrap();
        Self { trial: Trial::read(&file).unwrap(), _folder: folder }
    }
}

fn files(name: &str) -> &'static Files {
    FILES.iter().find(|files| files.name == name).unwrap()
}

#[test]
fn each_planted_bug_is_found_within_its_number_of_seeds() {
    let (cache, mut missed) = (code_cache(), Vec::new());
    for (bug, name, most) in PLANTED {
        let tree = Tree::of(files(name));
        planted::plant(Some(bug));
        // Each run on this thread, whose bug it has.
        let mut runs = (1..=most).map(|seed| tree.trial.run(seed, Some(&cache), false).unwrap());
        let found = runs.find(|tried| !tried.broken.is_empty());
        planted::plant(None);
        match found {
            Some(tried) => println!("{bug}: {name}, seed {}: {}", tried.seed, tried.broken[0]),
            None => missed.push(format!("{bug}: {name}, {most} seeds")),
        }
    }
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
}

#[test]
fn nothing_is_found_in_the_sound_host() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, soak) = (number("AIRSSYS_SEED").unwrap_or(1), number("AIRSSYS_SOAK"));
    let (cache, begun) = (code_cache(), Instant::now());
    let trees: Vec<_> = FILES.iter().map(|files| (files.name, Tree::of(files))).collect();
    let (mut runs, mut turns, mut alarms) = (0, 0, Vec::new());
    let most = if soak.is_some() { u64::MAX } else { 20 };
    for seed in (0..most).map(|next| first.wrapping_add(next)) {
        for (name, tree) in &trees {
            let tried = tree.trial.run(seed, Some(&cache), false).unwrap();
            (runs, turns) = (runs + 1, turns + tried.turns);
            alarms.extend(tried.broken.into_iter().map(|what| format!("{name}, seed {seed}: {what}")));
        }
        if alarms.len() > 20 || soak.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
    }
    println!("{runs} runs from seed {first}, {turns} turns in {:?}", begun.elapsed());
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}
