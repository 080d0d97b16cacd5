//! Bugs that are planted in the host are found by a trial of a mesh, each within a stated number of seeds, and what
//! shows them is made short; and nothing is found in the sound host with the same files and seeds.
//!
//! `AIRSSYS_SOAK` is for how many seconds the sound host is tried, and `AIRSSYS_SEED` the first seed: `cargo xtask
//! soak`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test says so by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use airssys_rt_shim::planted::Planted;
use airssys_tests::{code_cache, guest, with_guests};
use airssys_wasm::trial::{Bounds, Exploring, Seeds, Shrunk, Trial};
use tempfile::TempDir;

/// A mesh, and what is asked of it.
struct Files {
    name: &'static str,
    topology: &'static str,
    test: &'static str,
}

const FILES: [Files; 12] = [
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
            times = 20
            every = "2ms"
            [[workload]]
            service = "asker"
            ask = '{"do":[{"send":{"to":"goal","body":{"increment":{"key":"n","by":1}}}},{"increment":{"key":"n","by":1}},{"fail":{"fault":"internal"}}]}'
            times = 5
            every = "10ms"
            [[workload]]
            service = "goal"
            ask = '{"echo":{}}'
            times = 20
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
            times = 30
            every = "60ms"
            [[workload]]
            service = "a2"
            ask = '{"echo":1}'
            times = 30
            every = "60ms"
            [[workload]]
            service = "r2"
            ask = '{"echo":1}'
            times = 30
            every = "60ms"
            [[workload]]
            service = "r3"
            ask = '{"echo":1}'
            times = 30
            every = "60ms"
            [[workload]]
            service = "o1"
            ask = '{"echo":1}'
            times = 15
            every = "60ms"
            [[workload]]
            service = "o2"
            ask = '{"exit":0}'
            times = 3
            every = "60ms"
            [[workload]]
            service = "o3"
            ask = '{"echo":1}'
            times = 15
            every = "60ms"
            [[fault]]
            kind = "crash"
            rate = 0.1
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
            grants = { send = ["cart/*"], call = ["pool"], publish = ["news"] }
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
    // A pool with lanes: a message of one sender to one key stands behind another one.
    Files {
        name: "lanes",
        topology: r#"
            name = "lanes"
            [[service]]
            name = "front"
            release = "@prober"
            grants = { send = ["lanes"] }
            [[service]]
            name = "lanes"
            release = "@prober"
            instances = 3
            partitioned = true
        "#,
        test: r#"
            settle = "1s"
            [[workload]]
            service = "front"
            ask = '{"do":[{"send":{"to":"lanes","key":"a","body":{"echo":1}}},{"send":{"to":"lanes","key":"a","body":{"echo":2}}}]}'
            times = 10
        "#,
    },
    // A pool whose members do not come back.
    Files {
        name: "leavers",
        topology: r#"
            name = "leavers"
            [[service]]
            name = "pool"
            release = "@prober"
            instances = 4
            restart = "temporary"
            retries = 1
        "#,
        test: r#"
            settle = "5s"
            [[workload]]
            service = "pool"
            send = '{"sleep":5}'
            times = 20
            every = "2ms"
            [[fault]]
            kind = "crash"
            service = "pool"
            nth = 5
        "#,
    },
    // Keys that fall asleep, and one that is slower than who sends to it.
    Files {
        name: "waiting",
        topology: r#"
            name = "waiting"
            [[service]]
            name = "cart"
            release = "@prober"
            keyed = { max_keys = 20, max_awake = 2, idle_timeout = "5ms" }
            [[service]]
            name = "slow"
            release = "@prober"
            mailbox = { capacity = 4 }
        "#,
        test: r#"
            settle = "1s"
            [[workload]]
            service = "cart"
            key = "k{n}"
            send = '{"echo":1}'
            times = 5
            [[workload]]
            service = "cart"
            key = "k{n}"
            send = '{"echo":2}'
            times = 5
            [[workload]]
            service = "slow"
            send = '{"sleep":5}'
            times = 12
            every = "2ms"
        "#,
    },
    // A release that asks for more, on probation; and a grant that is taken away.
    Files {
        name: "operator",
        topology: r#"
            name = "operator"
            [root]
            intensity = 1000
            [[service]]
            name = "clerk"
            release = "one.wasm"
            instances = 2
            grants = { send = ["goal", "vault"] }
            [[service]]
            name = "goal"
            release = "@prober"
            [[service]]
            name = "vault"
            release = "@prober"
        "#,
        test: r#"
            settle = "2s"
            [[workload]]
            service = "clerk"
            ask = '{"do":[{"send":{"to":"goal","body":{"echo":1}}},{"send":{"to":"vault","body":{"echo":1}}}]}'
            times = 60
            [[act]]
            kind = "deploy"
            at = ["50ms", "150ms"]
            service = "clerk"
            release = "two.wasm"
            probation = "100ms"
            [[act]]
            kind = "revoke"
            at = "400ms"
            service = "clerk"
            capability = "send"
            target = "goal"
            expect = "done"
            [[fault]]
            kind = "crash"
            service = "clerk"
            rate = 0.08
        "#,
    },
    // A tree that is made another one before one of its children ends.
    Files {
        name: "changed",
        topology: r#"
            name = "changed"
            [root]
            intensity = 1000
            [[service]]
            name = "leaves"
            release = "@prober"
            restart = "transient"
        "#,
        test: r#"
            settle = "2s"
            [[workload]]
            service = "leaves"
            ask = '{"exit":0}'
            at = "500ms"
            [[act]]
            kind = "apply"
            at = "100ms"
            topology = "next.toml"
            expect = "done"
        "#,
    },
    // One ends while the group of another one waits; and later one that does not come back.
    Files {
        name: "backs-off",
        topology: r#"
            name = "backs-off"
            [root]
            strategy = "rest-for-one"
            intensity = 1000
            backoff = { initial = "100ms" }
            [[service]]
            name = "before"
            release = "@prober"
            [[service]]
            name = "waits"
            release = "@prober"
            [[service]]
            name = "leaves"
            release = "@prober"
            restart = "transient"
        "#,
        test: r#"
            settle = "2s"
            [[workload]]
            service = "waits"
            ask = '{"exit":0}'
            at = "100ms"
            [[workload]]
            service = "before"
            ask = '{"exit":0}'
            at = "150ms"
            [[workload]]
            service = "leaves"
            ask = '{"exit":0}'
            at = "1s"
        "#,
    },
    // Two services that are deployed together, and one that is brought back.
    Files {
        name: "sets",
        topology: r#"
            name = "sets"
            [[service]]
            name = "one"
            release = "one.wasm"
            [[service]]
            name = "other"
            release = "one.wasm"
            [[service]]
            name = "back"
            release = "one.wasm"
        "#,
        test: r#"
            settle = "2s"
            [[workload]]
            service = "other"
            ask = '{"echo":1}'
            times = 30
            [[act]]
            kind = "deploy"
            at = ["50ms", "100ms"]
            set = { one = "two.wasm", other = "two.wasm" }
            probation = "100ms"
            expect = "done"
            [[act]]
            kind = "deploy"
            at = "50ms"
            service = "back"
            release = "two.wasm"
            probation = "0s"
            expect = "done"
            [[act]]
            kind = "rollback"
            at = "500ms"
            service = "back"
            probation = "100ms"
            expect = "done"
        "#,
    },
];

/// Releases that do what they are told: what each asks for beside its version.
const RELEASES: [(&str, &str, &str); 2] = [("one", "1.0.0", r#"["goal"]"#), ("two", "1.1.0", r#"["goal", "vault"]"#)];

/// Which bug, which files find it, and within how many seeds.
const PLANTED: [(&str, &str, u64); 32] = [
    ("one-restart-too-many", "tree", 10),
    ("window-never-forgets", "tree", 10),
    ("rest-for-one-and-one-before", "tree", 5),
    ("one-for-all-forgets-one", "tree", 5),
    ("start-order-reversed", "tree", 1),
    ("stopped-in-start-order", "tree", 1),
    ("transient-after-normal-exit", "tree", 5),
    ("temporary-again", "tree", 5),
    ("no-back-off", "tree", 5),
    ("exit-not-seen", "tree", 5),
    ("mailbox-holds-one-more", "books", 5),
    ("wake-up-lost", "waiting", 3),
    ("key-not-woken", "waiting", 1),
    ("room-not-told", "waiting", 1),
    ("messages-change-places", "lanes", 1),
    ("timer-lost", "timers", 1),
    ("timer-armed-twice", "timers", 1),
    ("effects-leave-in-reverse", "books", 1),
    ("effect-lost", "books", 1),
    ("effects-leave-on-a-fault", "books", 1),
    ("writes-of-a-discarded-turn", "books", 5),
    ("acknowledged-and-not-saved", "durable", 1),
    ("dead-letter-not-buried", "tree", 5),
    ("handled-and-left-in-hand", "books", 5),
    ("left-and-not-handed-on", "leavers", 1),
    ("rollback-keeps-grants", "operator", 10),
    ("probation-ends-early", "operator", 10),
    ("revoked-grant-used", "operator", 5),
    ("probation-of-a-set-ends-early", "sets", 3),
    // After a change of the tree, and after one ended in the middle of a back-off of its group.
    ("transient-after-normal-exit", "changed", 1),
    ("transient-after-normal-exit", "backs-off", 1),
    // Of a release that is brought back.
    ("probation-ends-early", "sets", 3),
];

/// The steps that a plan has at most which shows a bug and is as short as it can be: messages, faults, kills, acts and
/// pauses.
const MOST_STEPS: usize = 10;
/// How many runs are tried for that.
const MOST_RUNS: u64 = 200;

struct Tree {
    trial: Trial,
    _folder: TempDir,
}

impl Tree {
    fn of(files: &Files) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prober = guest("prober").with_file_name("target").join("airssys/prober.wasm");
        for (name, version, send) in RELEASES {
            std::fs::copy(&prober, folder.path().join(format!("{name}.wasm"))).unwrap();
            let manifest = format!("name = \"clerk\"\nversion = \"{version}\"\n[requests]\nsend = {send}\n");
            std::fs::write(folder.path().join(format!("{name}.toml")), manifest).unwrap();
        }
        let topology = with_guests(files.topology);
        std::fs::write(folder.path().join("airssys.toml"), &topology).unwrap();
        // For who changes the root.
        std::fs::write(folder.path().join("next.toml"), topology.replace("intensity = 1000", "intensity = 999"))
            .unwrap();
        let file: PathBuf = folder.path().join("airssys.test.toml");
        std::fs::write(&file, files.test).unwrap();
        Self { trial: Trial::read(&file).unwrap_or_else(|error| panic!("{}: {error}", files.name)), _folder: folder }
    }

    /// Finds the bug that is planted in this thread, and makes what shows it short.
    fn finds(&self, seeds: u64, cache: &Path) -> Option<Shrunk> {
        let explored = self.trial.explore(Seeds::Many(seeds), Some(cache), |_| ()).unwrap();
        let bounds = Bounds { runs: MOST_RUNS, time: Duration::from_secs(600), jobs: 1 };
        let shrunk = self.trial.shrink(&explored.failure?, bounds, Some(cache), |_| ()).unwrap();
        assert!(shrunk.is_some(), "it fails again");
        shrunk
    }
}

fn files(name: &str) -> &'static Files {
    FILES.iter().find(|files| files.name == name).unwrap()
}

#[test]
fn each_planted_bug_is_found_within_its_number_of_seeds_and_made_short() {
    let (cache, left) = (code_cache(), Mutex::new(PLANTED.to_vec()));
    let (missed, long) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let take = || left.lock().unwrap().pop();
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some((bug, name, seeds)) = take() {
                    let begun = Instant::now();
                    Planted::bug(bug).plant();
                    let found = Tree::of(files(name)).finds(seeds, &cache);
                    Planted::default().plant();
                    let Some(Shrunk { from, to, runs, tried, .. }) = found else {
                        missed.lock().unwrap().push(format!("{bug}: {name}, {seeds} seeds"));
                        continue;
                    };
                    let told = format!("{bug}: {name}, seed {}: {from}; after {runs} runs {to}", tried.seed);
                    println!("{told}; {:?}: {}", begun.elapsed(), tried.broken[0]);
                    if to.steps() > MOST_STEPS {
                        long.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let (missed, long) = (missed.into_inner().unwrap(), long.into_inner().unwrap());
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
    assert!(
        long.len() * 10 <= PLANTED.len(),
        "more than a tenth have more steps than {MOST_STEPS}:\n{}",
        long.join("\n")
    );
}

#[test]
fn a_planted_bug_is_that_of_each_thread_on_which_its_runs_are() {
    let (tree, cache) = (Tree::of(files("tree")), code_cache());
    Planted::bug("one-restart-too-many").plant();
    let explore = |jobs| {
        let how = Exploring { jobs, ..Seeds::Many(20).into() };
        tree.trial.explore(how, Some(&cache), |_| ()).unwrap()
    };
    let (one, three) = (explore(1), explore(3));
    Planted::default().plant();
    assert!(one.failure.is_some());
    assert_eq!(one, three);
}

#[test]
fn nothing_is_found_in_the_sound_host() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, soak) = (number("AIRSSYS_SEED").unwrap_or(1), number("AIRSSYS_SOAK"));
    let (cache, begun) = (code_cache(), Instant::now());
    let trees: Vec<_> = FILES.iter().map(|files| (files.name, Tree::of(files))).collect();
    let (mut runs, mut turns, mut alarms) = (0, 0, Vec::new());
    // Those seeds at least with which bugs are found.
    let seeds = |of: &str| PLANTED.iter().filter(|(_, name, _)| *name == of).map(|(.., seeds)| *seeds).max();
    let most = |of: &str| if soak.is_some() { u64::MAX } else { seeds(of).unwrap_or_default().max(3) };
    let longest = trees.iter().map(|(name, _)| most(name)).max().unwrap_or_default();
    for next in 0..longest {
        let seed = first.wrapping_add(next);
        for (name, tree) in trees.iter().filter(|(name, _)| next < most(name)) {
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
