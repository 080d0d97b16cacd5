//! What goes wrong in a seeded host beside crashes of turns: acts of an operator in the middle of it, crashes in the
//! life cycle, and disks. Whatever it is, the same seed is the same run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use airssys_tests::{code_cache, heir, with_guests};
use airssys_wasm::trial::{Trial, Tried};
use tempfile::TempDir;

/// A folder with a topology, a test file, and releases of a counter, each with its version and the schema of its state.
struct Desk(TempDir);

impl Desk {
    fn of(topology: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("airssys.toml", &with_guests(topology));
        desk
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// A release of the counter that behaves like this.
    fn counter(self, name: &str, way: &str, (version, schema): (&str, u32)) -> Self {
        std::fs::write(self.0.path().join(format!("{name}.wasm")), heir(name, way, schema)).unwrap();
        let manifest = format!("name = \"counter\"\nversion = \"{version}\"\nstate_schema = {schema}\n");
        self.write(&format!("{name}.toml"), &manifest);
        self
    }

    fn trial(&self, test: &str) -> Trial {
        let file = self.0.path().join("airssys.test.toml");
        std::fs::write(&file, test).unwrap();
        Trial::read(&file).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Runs a seed twice, which is the same run.
fn twice(trial: &Trial, seed: u64) -> Tried {
    let run = || trial.run(seed, Some(&code_cache()), true).unwrap_or_else(|error| panic!("{error}"));
    let (one, other) = (run(), run());
    if one.digest != other.digest {
        let at = one.steps.iter().zip(&other.steps).position(|(one, other)| one != other).unwrap_or_default();
        let part = |tried: &Tried| tried.steps[at.saturating_sub(5)..].iter().take(9).cloned().collect::<Vec<_>>();
        panic!("seed {seed} is two runs:\n{}\n\nand\n{}", part(&one).join("\n"), part(&other).join("\n"));
    }
    assert_eq!(one.broken, Vec::<String>::new(), "seed {seed}:\n{}", one.steps.join("\n"));
    one
}

/// Runs these seeds, each twice; all that the acts came to, and all faults.
fn all(trial: &Trial, seeds: std::ops::Range<u64>) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut acts, mut faults) = (BTreeMap::new(), BTreeMap::new());
    for tried in seeds.map(|seed| twice(trial, seed)) {
        tried.acts.into_iter().for_each(|(act, times)| *acts.entry(act).or_default() += times);
        tried.faults.into_iter().for_each(|(fault, times)| *faults.entry(fault).or_default() += times);
    }
    (acts, faults)
}

const COUNTER: &str = r#"
    name = "counters"
    [root]
    intensity = 1000
    [[service]]
    name = "counter"
    release = "one.wasm"
    state = "durable"
    [[service]]
    name = "asker"
    release = "@prober"
    grants = { call = ["counter"] }
"#;

/// Two hundred messages within two seconds, each of a sender of its own, and as many through the asker.
const MESSAGES: &str = r#"
    [[workload]]
    service = "counter"
    ask = '{"from":"client {n}","number":1}'
    times = 100
    every = "20ms"
    [[workload]]
    service = "asker"
    ask = '{"call":{"to":"counter","body":{"from":"asker {n}","number":1},"timeout_ms":1000}}'
    times = 100
    every = "20ms"
"#;

#[test]
fn what_an_operator_does_in_the_middle_of_it_follows_from_the_seed() {
    let desk = Desk::of(COUNTER).counter("one", "healthy", ("1.0.0", 0)).counter("two", "both-ways", ("1.1.0", 1));
    let next = format!("{COUNTER}\n[[service]]\nname = \"more\"\nrelease = \"@prober\"\n");
    desk.write("next.toml", &with_guests(&next));
    let acts = r#"
        [[act]]
        kind = "deploy"
        at = ["100ms", "900ms"]
        service = "counter"
        release = "two.wasm"
        probation = "300ms"
        [[act]]
        kind = "rollback"
        at = ["100ms", "1800ms"]
        service = "counter"
        probation = "100ms"
        [[act]]
        kind = "apply"
        at = ["100ms", "1800ms"]
        topology = "next.toml"
        [[act]]
        kind = "revoke"
        at = ["100ms", "1s"]
        service = "asker"
        capability = "call"
        target = "counter"
        [[act]]
        kind = "grant"
        at = ["900ms", "1800ms"]
        service = "asker"
        capability = "call"
        target = "counter"
        [[act]]
        kind = "restart"
        at = ["100ms", "1800ms"]
        service = "counter"
        [[fault]]
        kind = "crash"
        rate = 0.02
    "#;
    let trial = desk.trial(&format!("{MESSAGES}{acts}"));
    let (acts, faults) = all(&trial, 1..31);
    for came_to in [
        "deploy counter 1.1.0: live",
        "deploy counter 1.1.0: rolled-back",
        "rollback counter: no-previous",
        "apply counters: applied",
        "revoke asker call counter: revoked",
        "restart counter: restarted",
    ] {
        assert!(acts.contains_key(came_to), "{came_to}: {acts:#?}");
    }
    assert!(faults.len() == 3, "{faults:?}");
}

#[test]
fn what_was_deployed_is_what_a_killed_host_goes_on_with() {
    let desk = Desk::of(COUNTER).counter("one", "healthy", ("1.0.0", 0)).counter("two", "healthy", ("1.1.0", 0));
    let test = r#"
        kill = ["1s", "1500ms"]
        [[act]]
        kind = "deploy"
        at = ["300ms", "500ms"]
        service = "counter"
        release = "two.wasm"
        probation = "100ms"
        expect = "done"
        [[check]]
        service = "counter"
        ask = '{"from":"who checks","number":1}'
        equals = '{"release":"two","seen":1}'
    "#;
    // What has been asked by then is in what was killed, but for a few.
    let messages =
        "[[workload]]\nservice = \"counter\"\nask = '{\"from\":\"{n}\",\"number\":1}'\ntimes = 60\nevery = \"20ms\"\n";
    let trial = desk.trial(&test.replace("[[act]]", &format!("{messages}[[act]]")));
    for seed in 1..6 {
        let tried = twice(&trial, seed);
        assert_eq!(tried.acts.get("deploy counter 1.1.0: live"), Some(&1), "{:?}", tried.acts);
        assert!(tried.answered >= 55, "{tried:?}");
    }
}

#[test]
fn a_temporary_service_that_is_stopped_is_so_in_the_next_host_until_somebody_starts_it() {
    let topology = "name = \"m\"\n[[service]]\nname = \"goal\"\nrelease = \"@prober\"\nrestart = \"temporary\"\n";
    let acts = [("stop", "10ms"), ("start", "200ms")];
    let act =
        |(kind, at)| format!("[[act]]\nkind = \"{kind}\"\nat = \"{at}\"\nservice = \"goal\"\nexpect = \"done\"\n");
    let ask = "[[workload]]\nservice = \"goal\"\nask = '{\"echo\":1}'\ntimes = 3\nat = \"5ms\"\nevery = \"100ms\"\n";
    let tried = twice(&Desk::of(topology).trial(&format!("kill = [\"100ms\"]\n{ask}{}", acts.map(act).concat())), 1);
    // Before it was stopped, while it was, and after it was started.
    assert_eq!((tried.answered, tried.failed), (2, 1), "{tried:?}");
}

#[test]
fn an_act_that_does_not_come_to_what_the_file_expects_is_a_failure() {
    let desk = Desk::of(COUNTER).counter("one", "healthy", ("1.0.0", 0)).counter("two", "init-waits", ("1.1.0", 0));
    let old = "[[act]]\nkind = \"deploy\"\nat = \"10ms\"\nservice = \"counter\"\nrelease = \"one.wasm\"\n";
    for (expect, broken) in
        [("", None), ("expect = \"not-done\"\n", None), ("expect = \"done\"\n", Some("already-live"))]
    {
        let trial = desk.trial(&format!("[[workload]]\nservice = \"asker\"\nask = '{{\"echo\":1}}'\n{old}{expect}"));
        let tried = trial.run(1, Some(&code_cache()), true).unwrap();
        assert_eq!(tried.acts.keys().collect::<Vec<_>>(), ["deploy counter 1.0.0: already-live"]);
        assert_eq!(tried.broken.len(), broken.iter().len(), "{:?}", tried.broken);
        assert!(broken.is_none_or(|broken| tried.broken[0].contains(broken)), "{:?}", tried.broken);
    }
}

#[test]
fn crashes_in_each_moment_of_a_life_leave_the_mesh_as_it_has_to_be() {
    let desk = Desk::of(COUNTER).counter("one", "healthy", ("1.0.0", 0)).counter("two", "both-ways", ("1.1.0", 1));
    let fault =
        |at: &str, rate: &str| format!("[[fault]]\nkind = \"crash\"\nat = \"{at}\"\nrate = {rate}\ncount = 3\n");
    let life = ["init", "stop", "snapshot", "restore", "migrate"].map(|at| fault(at, "0.3")).concat();
    let acts = r#"
        [[act]]
        kind = "deploy"
        at = ["100ms", "900ms"]
        service = "counter"
        release = "two.wasm"
        probation = "300ms"
        [[act]]
        kind = "rollback"
        at = ["1500ms", "1800ms"]
        service = "counter"
        probation = "100ms"
        [[act]]
        kind = "restart"
        at = ["100ms", "1800ms"]
        service = "counter"
    "#;
    let trial = desk.trial(&format!("{MESSAGES}{life}{}{acts}", fault("commit", "0.02")));
    let (_, faults) = all(&trial, 1..16);
    for came in ["in init", "in stop", "in snapshot", "in restore", "in migrate", "between commit and delivery"] {
        assert!(faults.contains_key(&format!("crash {came}")), "{came}: {faults:#?}");
    }
}

const DURABLE_GOAL: &str = r#"
    name = "m"
    [root]
    intensity = 1000
    [[service]]
    name = "goal"
    release = "@prober"
    state = "durable"
"#;

/// So many clients, who each count at the goal.
fn counts(times: u64, more: &str) -> String {
    format!(
        "{more}\n[[workload]]\nservice = \"goal\"\nask = '{{\"increment\":{{\"key\":\"n\",\"by\":1}}}}'\ntimes = {times}\n"
    )
}

/// The numbers that clients of the goal were told, in order.
fn counted(tried: &Tried) -> Vec<u64> {
    let answers = tried.steps.iter().filter(|line| line.contains(" client goal ") && !line.contains("second time"));
    let number = |line: &String| line.rsplit_once("ok\\\":")?.1.strip_suffix("}\"")?.parse().ok();
    answers.filter_map(number).collect()
}

#[test]
fn memory_is_refused_in_a_turn_and_in_no_other() {
    let desk = Desk::of(DURABLE_GOAL);
    let test = "[[workload]]\nservice = \"goal\"\nask = '{\"allocate\":2}'\ntimes = 3\n[[fault]]\nkind = \"memory\"\nnth = 2\n";
    let tried = twice(&desk.trial(test), 1);
    let refused = |line: &&String| line.contains("client goal") && line.contains("out-of-memory");
    assert_eq!(tried.steps.iter().filter(refused).count(), 1, "{}", tried.steps.join("\n"));
    assert_eq!(tried.faults.get("memory"), Some(&1));
}

#[test]
fn messages_from_outside_come_twice_and_late() {
    let desk = Desk::of(DURABLE_GOAL);
    let fault = |kind: &str, when: &str| format!("[[fault]]\nkind = \"{kind}\"\n{when}\n");
    let check =
        "[[check]]\nservice = \"goal\"\nask = '{\"increment\":{\"key\":\"n\",\"by\":0}}'\nequals = '{\"ok\":12}'\n";
    let test =
        format!("{}{}{}{check}", counts(10, ""), fault("double", "rate = 1.0\ncount = 2"), fault("late", "nth = 4"));
    for seed in 1..4 {
        let tried = twice(&desk.trial(&test), seed);
        assert_eq!((tried.faults.get("double"), tried.faults.get("late")), (Some(&2), Some(&1)), "{:?}", tried.faults);
        assert_eq!(counted(&tried).len(), 10, "each client has one answer: {}", tried.steps.join("\n"));
    }
}

#[test]
fn a_disk_that_is_slow_full_or_fails_loses_nothing_that_was_acknowledged() {
    let desk = Desk::of(DURABLE_GOAL);
    let fault = |kind: &str, rate: &str| format!("[[fault]]\nkind = \"{kind}\"\nrate = {rate}\n");
    let faults = [fault("disk-slow", "0.1"), fault("disk-full", "0.01"), fault("disk-fail", "0.01")].concat();
    let trial = desk.trial(&format!("{}{faults}", counts(60, "kill = [\"250ms\", \"2s\"]")));
    let mut came = BTreeMap::new();
    for seed in 1..11 {
        let tried = twice(&trial, seed);
        let counted = counted(&tried);
        assert!(counted.is_sorted_by(|one, next| one < next), "seed {seed}: {counted:?}");
        tried.faults.into_iter().for_each(|(fault, times)| *came.entry(fault).or_insert(0) += times);
    }
    assert_eq!(came.keys().collect::<Vec<_>>(), ["disk-fail", "disk-full", "disk-slow"], "{came:?}");
}

#[test]
fn a_turn_that_was_not_saved_is_tried_again_and_is_not_one_that_was_handled_twice() {
    let desk = Desk::of(&DURABLE_GOAL.replace("state = ", "retries = 2\n    state = "));
    let faults = ["disk-full", "disk-fail"].map(|kind| format!("[[fault]]\nkind = \"{kind}\"\nrate = 0.02\n")).concat();
    let trial = desk.trial(&format!("{}{faults}", counts(60, "")));
    let again = (1..11).filter(|seed| {
        let tried = twice(&trial, *seed);
        let over: Vec<_> =
            tried.steps.iter().filter_map(|line| line.split_once(" over goal ")?.1.split(' ').next()).collect();
        over.iter().collect::<BTreeSet<_>>().len() < over.len()
    });
    assert!(again.count() >= 3, "no message is tried again");
}

#[test]
fn a_host_that_is_killed_at_any_write_goes_on_with_what_it_acknowledged() {
    let desk = Desk::of(DURABLE_GOAL);
    let mut kills = 0;
    for nth in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let trial = desk.trial(&format!("{}[[fault]]\nkind = \"kill\"\nnth = {nth}\n", counts(20, "")));
        let tried = twice(&trial, nth);
        let counted = counted(&tried);
        assert!(counted.is_sorted_by(|one, next| one < next), "write {nth}: {counted:?}");
        kills += tried.faults.get("kill").copied().unwrap_or_default();
    }
    assert!(kills >= 8, "{kills}");
    let trial = desk.trial(&format!("{}[[fault]]\nkind = \"kill\"\nrate = 0.02\n", counts(60, "")));
    for seed in 1..6 {
        let tried = twice(&trial, seed);
        let counted = counted(&tried);
        assert!(counted.is_sorted_by(|one, next| one < next), "seed {seed}: {counted:?}");
        let hosts = tried.steps.iter().filter(|line| line.contains("a host begins")).count() as u64;
        assert!(hosts > 1 && tried.faults.get("kill").is_some_and(|kills| *kills < hosts), "{:?}", tried.faults);
    }
}

#[test]
fn what_is_in_hand_when_a_run_is_judged_is_not_lost() {
    let desk = Desk::of(
        "name = \"m\"\n[root]\nintensity = 1000\nbackoff = { initial = \"10s\", max = \"10s\" }\n[[service]]\nname = \"a\"\n\
         release = \"@prober\"\nretries = 1\n[[service]]\nname = \"pool\"\nrelease = \"@prober\"\ninstances = 2\n",
    );
    // In a turn that lasts, before others that will; in one that hangs; and left by one that comes back after a while.
    let fault = |kind: &str| format!("[[fault]]\nkind = \"{kind}\"\nservice = \"a\"\nrate = 1.0\n");
    let cases = [("a", String::new()), ("pool", String::new()), ("a", fault("hang")), ("a", fault("crash"))];
    for (service, fault) in cases {
        let said = format!(
            "[[workload]]\nservice = \"{service}\"\nsend = '{{\"sleep\":4000}}'\ntimes = 40\nevery = \"1ms\"\n"
        );
        let trial = desk.trial(&format!("settle = \"2s\"\n{said}{fault}"));
        (1..5).for_each(|seed| drop(twice(&trial, seed)));
    }
}
