//! A seeded host: the same seed is the same run, step by step, with real guests, real crashes and real supervisors;
//! another seed is another run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_tests::{PATIENCE, asker_and_goal, builder, with_guests};
use airssys_wasm::Runtime;
use airssys_wasm::seeded::{Fault, FaultKind, Moment, Report, Seeded};
use airssys_wasm::topology::Topology;
use airssys_wasm::trial::Trial;
use prober_protocol::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A topology that is read once, and started as often as somebody wants to.
struct Mesh {
    topology: Topology,
    _folder: TempDir,
}

impl Mesh {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("airssys.toml");
        std::fs::write(&file, with_guests(text)).unwrap();
        Self { topology: Topology::read(&file).unwrap(), _folder: folder }
    }

    fn run<T: Send>(&self, seed: u64, faults: &[Fault], test: impl AsyncFnOnce(&Runtime) -> T + Send) -> (T, Report) {
        let seeded = Seeded::with_faults(seed, faults.to_vec()).keep_text();
        let done = seeded.run(async || {
            let runtime =
                builder().seeded(&seeded).start(&self.topology).await.unwrap_or_else(|error| panic!("{error}"));
            let done = test(&runtime).await;
            runtime.shutdown().await;
            done
        });
        (done.unwrap(), seeded.report())
    }
}

/// Two probers, the one of which may call the other one, and which are started again as often as they crash.
fn probers() -> String {
    format!("name = \"two\"\n[root]\nintensity = 1000\n{}", asker_and_goal("", &[]))
}

async fn tell(runtime: &Runtime, to: &str, command: &Command) -> Result<Value, String> {
    let body = serde_json::to_vec(command).unwrap();
    match runtime.call(to, body, PATIENCE).await {
        Ok(answer) => Ok(serde_json::from_slice(&answer.unwrap_or_default()).unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    }
}

/// Four clients at a time, who each have the one prober call the other one, send to it, and set timers.
async fn busy(runtime: &Runtime) -> Vec<Result<Value, String>> {
    let client = async |number: u64| {
        let mut answers = Vec::new();
        for round in 0..5 {
            let add = json!(Command::Increment { key: format!("by-{number}"), by: 1 });
            let call = Command::Call { to: "goal".to_owned(), key: None, body: add.clone(), timeout_ms: 5_000 };
            let send = Command::Send { to: "goal".to_owned(), key: None, body: add };
            let later = Command::SendAfter { delay_ms: 100 * (round + 1), body: json!(Command::Count) };
            answers.push(tell(runtime, "asker", &Command::Do(vec![send, call, later])).await);
        }
        answers
    };
    let (a, b, c, d) = tokio::join!(client(1), client(2), client(3), client(4));
    tokio::time::sleep(Duration::from_secs(60)).await;
    [a, b, c, d].concat()
}

fn after(service: &str, turn: u64) -> Fault {
    Fault {
        at: Some(Moment::After),
        service: Some(service.to_owned()),
        nth: Some(turn),
        ..Fault::new(FaultKind::Crash)
    }
}

/// Where two runs first differ, for whoever has to find out why.
fn first_difference(one: &Report, other: &Report) -> String {
    let at = one.lines.iter().zip(&other.lines).position(|(one, other)| one != other);
    let at = at.unwrap_or(one.lines.len().min(other.lines.len()));
    let from = at.saturating_sub(3);
    let part = |report: &Report| report.lines.iter().skip(from).take(8).cloned().collect::<Vec<_>>().join("\n");
    format!("step {at}:\n{}\n\nand\n{}", part(one), part(other))
}

#[test]
fn the_same_seed_is_the_same_run_with_a_crash_in_it() {
    let mesh = Mesh::of(&probers());
    let run = || mesh.run(7, &[after("goal", 3)], busy);
    let (answers, first) = run();
    let (again, second) = run();
    assert_eq!(first.digest, second.digest, "{}", first_difference(&first, &second));
    assert_eq!(answers, again);
    // It was a crash of the third turn, which its supervisor has answered with another instance.
    let lines = first.lines.join("\n");
    assert_eq!(first.faults.get("crash after the turn"), Some(&1), "{lines}");
    assert!(lines.contains("goal is up again") || lines.contains("restarted"), "{lines}");
    assert!(answers.iter().filter(|answer| answer.is_err()).count() <= 1, "{answers:?}");
    assert_eq!(first.broken, Vec::<String>::new());
}

#[test]
fn another_seed_is_another_order() {
    let mesh = Mesh::of(&probers());
    let digests: BTreeSet<String> = (0..20).map(|seed| mesh.run(seed, &[], busy).1.digest).collect();
    assert_eq!(digests.len(), 20);
}

#[test]
fn the_digest_does_not_depend_on_the_machine_in_fifty_runs() {
    let mesh = Mesh::of(&probers());
    let faults = [Fault { rate: Some(0.3), ..Fault::new(FaultKind::Crash) }];
    let first = mesh.run(11, &faults, busy).1;
    assert!(first.faults.len() == 3, "crashes in each moment: {:?}", first.faults);
    let again = || {
        let again = mesh.run(11, &faults, busy).1;
        assert_eq!(first.digest, again.digest, "{}", first_difference(&first, &again));
    };
    (1..40).for_each(|_| again());
    // And with something else that the machine has to do.
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let all = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..10).for_each(|_| again())));
        done.store(true, Ordering::Relaxed);
        all.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
    });
}

#[test]
fn a_day_of_timers_passes_in_a_moment_and_clocks_say_that_it_did() {
    let mesh = Mesh::of(&probers());
    let ((), report) = mesh.run(3, &[], async |runtime| {
        let later = Command::SendAfter { delay_ms: 24 * 3600 * 1000, body: json!(Command::Count) };
        tell(runtime, "asker", &later).await.unwrap();
        tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    });
    let timer = report.lines.iter().find(|line| line.contains("asker #") && line.contains("timer"));
    let seconds: u64 = timer.and_then(|line| line.split('.').next()).unwrap().parse().unwrap();
    assert!((24 * 3600..24 * 3600 + 2).contains(&seconds), "{timer:?}");
    assert!(report.passed >= Duration::from_secs(25 * 3600));
}

#[test]
fn what_was_answered_from_durable_state_is_there_after_the_host_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let topology = "name = \"m\"\n[[service]]\nname = \"goal\"\nrelease = \"@prober\"\nstate = \"durable\"\n";
    std::fs::write(folder.path().join("airssys.toml"), with_guests(topology)).unwrap();
    let file = folder.path().join("airssys.test.toml");
    let test = r#"
        kill = ["105ms", "150ms"]
        [[workload]]
        service = "goal"
        ask = '{"increment":{"key":"n","by":1}}'
        times = 40
        [[check]]
        service = "goal"
        ask = '{"keys":null}'
        equals = '{"ok":["n"]}'
    "#;
    std::fs::write(&file, test).unwrap();
    let trial = Trial::read(&file).unwrap();
    let cache = airssys_tests::code_cache();
    for seed in 1..6 {
        let tried = trial.run(seed, Some(&cache), true).unwrap();
        let again = trial.run(seed, Some(&cache), true).unwrap();
        assert_eq!(tried.digest, again.digest, "seed {seed}");
        let answers = tried.steps.iter().filter(|line| line.contains(" client goal "));
        let counted = answers.filter_map(|line| line.rsplit_once("ok\\\":")?.1.strip_suffix("}\""));
        let counted: Vec<u64> = counted.map(|number| number.parse().unwrap()).collect();
        assert!(counted.len() as u64 == tried.answered && counted.len() >= 30, "{counted:?}");
        assert!(counted.is_sorted_by(|one, next| one < next), "seed {seed}: {counted:?}");
    }
}

#[test]
fn keys_pools_topics_timers_and_kills_follow_from_the_seed_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let topology = r#"
        name = "many"
        [root]
        intensity = 1000
        [[service]]
        name = "front"
        release = "@prober"
        retries = 2
        grants = { send = ["cart"], call = ["books"], publish = ["news"] }
        [[service]]
        name = "cart"
        release = "@prober"
        keyed = { max_keys = 50, max_awake = 4, idle_timeout = "50ms" }
        state = "durable"
        [[service]]
        name = "books"
        release = "@prober"
        instances = 3
        grants = { subscribe = ["news"] }
    "#;
    std::fs::write(folder.path().join("airssys.toml"), with_guests(topology)).unwrap();
    let file = folder.path().join("airssys.test.toml");
    let test = r#"
        kill = ["300ms", "700ms"]
        [[workload]]
        service = "front"
        ask = '{"do":[{"send":{"to":"cart/k{n}","body":{"increment":{"key":"n","by":1}}}},{"call":{"to":"books","body":{"echo":1},"timeout_ms":1000}},{"publish":{"topic":"news","body":{"echo":2}}}]}'
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
    "#;
    std::fs::write(&file, test).unwrap();
    let (trial, cache) = (Trial::read(&file).unwrap(), airssys_tests::code_cache());
    for seed in 1..6 {
        let (one, other) = (trial.run(seed, Some(&cache), true).unwrap(), trial.run(seed, Some(&cache), true).unwrap());
        let differs = one.steps.iter().zip(&other.steps).find(|(one, other)| one != other);
        assert_eq!(one.digest, other.digest, "seed {seed}: {differs:?}");
        assert_eq!(one.broken, Vec::<String>::new(), "seed {seed}");
        assert!(one.steps.iter().filter(|line| line.contains("a host begins")).count() == 3, "seed {seed}");
    }
}

#[test]
fn a_run_that_is_told_what_chance_decided_is_the_same_run() {
    let mesh = Mesh::of(&probers());
    let run = |seeded: Seeded| {
        let seeded = seeded.keep_text().keep_choices();
        let done = seeded.run(async || {
            let runtime =
                builder().seeded(&seeded).start(&mesh.topology).await.unwrap_or_else(|error| panic!("{error}"));
            let _answers = busy(&runtime).await;
            runtime.shutdown().await;
        });
        done.unwrap();
        (seeded.report(), seeded.choices())
    };
    for seed in 1..6 {
        let some = Fault { rate: Some(0.1), ..Fault::new(FaultKind::Crash) };
        let full = Fault { rate: Some(0.1), ..Fault::new(FaultKind::Full) };
        let (drawn, choices) = run(Seeded::with_faults(seed, vec![some, full]));
        let faults: Vec<Fault> = choices.faults.iter().map(|(_, fault)| fault.clone()).collect();
        let pauses = choices.pauses.iter().map(|(_, pause)| pause.clone()).collect();
        assert!(faults.len() > 1 && choices.pauses.len() > 10, "{choices:?}");
        assert!(faults.iter().all(|fault| fault.check().is_ok() && fault.nth.is_some()), "{faults:?}");
        let (told, again) = run(Seeded::with_faults(seed, faults).with_pauses(pauses));
        assert_eq!(drawn.digest, told.digest, "{}", first_difference(&drawn, &told));
        assert_eq!(choices, again);
    }
}
