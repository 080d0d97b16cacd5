//! What a test file says has to hold beside its checks: invariants of the committed states, after each commit, and
//! components that judge what clients were told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use airssys_tests::{code_cache, guest, with_guests};
use airssys_wasm::trial::{Bounds, Trial, Tried};
use tempfile::TempDir;

/// A till that books what it sells with a ledger, which commits first.
const BOOKS: &str = r#"
    name = "books"
    [root]
    intensity = 1000
    [[service]]
    name = "till"
    release = "@prober"
    grants = { call = ["ledger"] }
    [[service]]
    name = "ledger"
    release = "@prober"
    [[service]]
    name = "cart"
    release = "@prober"
    keyed = {}
"#;

/// Twenty sales of two.
const SALES: &str = r#"
    [[workload]]
    service = "till"
    ask = '{"do":[{"call":{"to":"ledger","body":{"increment":{"key":"booked","by":2}},"timeout_ms":1000}},{"increment":{"key":"sold","by":2}}]}'
    times = 20
    every = "20ms"
"#;

const AGREE: &str = r#"
    [[invariant]]
    service = "till"
    state = "sold"
    as = "u64-le"
    same_as = { service = "ledger", state = "booked" }
"#;

fn read(topology: &str, test: &str) -> (TempDir, Result<Trial, String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("airssys.toml"), with_guests(topology)).unwrap();
    let file = folder.path().join("airssys.test.toml");
    std::fs::write(&file, with_guests(test)).unwrap();
    let trial = Trial::read(&file).map_err(|error| error.to_string());
    (folder, trial)
}

/// Runs a seed twice, which is the same run.
fn run(topology: &str, test: &str, seed: u64) -> Tried {
    let (_folder, trial) = read(topology, test);
    let trial = trial.unwrap_or_else(|error| panic!("{error}"));
    let run = || trial.run(seed, Some(&code_cache()), false).unwrap_or_else(|error| panic!("{error}"));
    let (one, other) = (run(), run());
    assert_eq!(one, other);
    one
}

#[test]
fn books_that_agree_but_for_what_is_under_way_hold_and_without_that_word_do_not() {
    for durable in ["", "state = \"durable\"\n"] {
        let topology = BOOKS.replace("release = \"@prober\"\n", &format!("release = \"@prober\"\n{durable}"));
        for seed in 1..6 {
            let tried = run(&topology, &format!("{SALES}{AGREE}within = \"1s\"\n"), seed);
            assert_eq!((tried.answered, tried.broken), (20, Vec::new()), "seed {seed}");
        }
        let tried = run(&topology, &format!("{SALES}{AGREE}"), 1);
        let [broken] = &*tried.broken else { panic!("told once: {:?}", tried.broken) };
        assert!(broken.starts_with("invariant, after message ") && broken.contains(" at ledger ("), "{broken}");
        assert!(broken.ends_with("): till sold is 0, and ledger booked is 2"), "{broken}");
    }
}

#[test]
fn a_crash_between_two_commits_is_found_by_the_books_and_shrunk_to_one_sale() {
    let crash = "[[fault]]\nkind = \"crash\"\nat = \"after\"\nservice = \"till\"\nnth = 3\n";
    let test = format!("{SALES}{AGREE}within = \"100ms\"\n{crash}");
    let (_folder, trial) = read(BOOKS, &test);
    let trial = trial.unwrap();
    let failure = trial.run(1, Some(&code_cache()), false).unwrap();
    let [broken] = &*failure.broken else { panic!("{:?}", failure.broken) };
    assert!(broken.starts_with("invariant, for longer than 100ms after message "), "{broken}");
    assert!(broken.ends_with("till sold is 4, and ledger booked is 6"), "the values at that step: {broken}");
    let shrunk = trial.shrink(&failure, Bounds::default(), Some(&code_cache()), |_| ()).unwrap().unwrap();
    assert_eq!((shrunk.to.messages, shrunk.to.faults), (1, 1), "{}", shrunk.tried.broken[0]);
    // Nothing commits any more after its one sale: it is told in the end.
    assert!(shrunk.tried.broken[0].ends_with("till sold is 0, and ledger booked is 2"), "{:?}", shrunk.tried.broken);
}

#[test]
fn a_bound_is_one_of_the_sum_over_all_keys_and_a_key_may_be_named() {
    let fill = r#"
        [[workload]]
        service = "cart"
        key = "customer {n}"
        ask = '{"increment":{"key":"items","by":1}}'
        times = 6
    "#;
    let invariant =
        |more: &str| format!("{fill}[[invariant]]\nservice = \"cart\"\nstate = \"items\"\nas = \"u64-le\"\n{more}\n");
    assert_eq!(run(BOOKS, &invariant("at_most = 6\nat_least = 0"), 1).broken, Vec::<String>::new());
    assert_eq!(run(BOOKS, &invariant("key = \"customer 2\"\nat_most = 1"), 1).broken, Vec::<String>::new());
    let tried = run(BOOKS, &invariant("at_most = 4"), 1);
    assert!(tried.broken[0].ends_with("cart items is 5, and its bound `at_most` is 4"), "{:?}", tried.broken);
    let tried = run(BOOKS, &invariant("at_least = 1"), 1);
    let first = "invariant, after the host had begun (0.000000): cart items is 0, and its bound `at_least` is 1";
    assert_eq!(tried.broken, [first]);
}

#[test]
fn json_and_text_are_read_as_they_are_written_and_what_is_not_is_told() {
    let set = |value: &str| {
        format!(
            "[[workload]]\nservice = \"till\"\nask = '{{\"set\":{{\"key\":\"paid/{{n}}\",\"value\":{value}}}}}'\ntimes = 2\n"
        )
    };
    let invariant =
        |state: &str, more: &str| format!("[[invariant]]\nservice = \"till\"\nstate = \"{state}\"\n{more}\n");
    let cents = set("{\"cents\":250,\"by\":\"card\"}");
    let well = [
        invariant("paid/*", "as = \"json\"\npath = \"/cents\"\nat_most = 500"),
        invariant("paid/1", "as = \"json\"\npath = \"/by\"\nequals = '\"card\"'\nwithin = \"1s\""),
        invariant("paid/*", "as = \"json\"\npath = \"/cents\"\nequals = 500\nwithin = \"1s\""),
        invariant("nobody", "as = \"text\"\nequals = ''"),
    ];
    assert_eq!(run(BOOKS, &format!("{cents}{}", well.concat()), 1).broken, Vec::<String>::new());
    let wrong = [
        (
            invariant("paid/1", "as = \"json\"\npath = \"/by\"\nequals = '\"cash\"'\nwithin = \"1s\""),
            "till paid/1/by is \"card\", and \"cash\" was wanted",
        ),
        (
            invariant("paid/*", "as = \"json\"\npath = \"/by\"\nequals = '\"card\"'\nwithin = \"1s\""),
            "2 values are there, which are added up",
        ),
        (
            invariant("paid/1", "as = \"u64-le\"\nat_least = 0"),
            "has 25 bytes, and a number `as = \"u64-le\"` has eight",
        ),
        (invariant("paid/1", "as = \"json\"\nat_least = 0"), "a bound is one of numbers"),
    ];
    for (invariant, says) in wrong {
        let tried = run(BOOKS, &format!("{cents}{invariant}"), 1);
        assert!(tried.broken.iter().any(|broken| broken.contains(says)), "{says}: {:?}", tried.broken);
    }
}

#[test]
fn an_invariant_holds_over_a_kill_of_the_host_where_what_it_is_about_is_durable() {
    let topology = BOOKS.replace("release = \"@prober\"\n", "release = \"@prober\"\nstate = \"durable\"\n");
    let counts =
        "[[workload]]\nservice = \"ledger\"\nask = '{\"increment\":{\"key\":\"booked\",\"by\":1}}'\ntimes = 20\n";
    let bound =
        "[[invariant]]\nservice = \"ledger\"\nstate = \"booked\"\nas = \"u64-le\"\nat_least = 5\nwithin = \"150ms\"\n";
    let test = |bound: &str| format!("kill = [\"120ms\"]\n{counts}{bound}");
    assert_eq!(run(&topology, &test(bound), 1).broken, Vec::<String>::new());
    // In memory it begins anew, and nothing brings it back in time.
    let tried = run(BOOKS, &test(&bound.replace("= 5", "= 10")), 1);
    assert!(
        tried.broken[0].contains("for longer than 150ms") || tried.broken[0].contains("in the end"),
        "{:?}",
        tried.broken
    );
}

const JUDGE: &str = "[[judge]]\ncomponent = \"@referee\"\n";
const COUNTS: &str = "[[workload]]\nservice = \"ledger\"\nask = '{\"increment\":{\"key\":\"booked\",\"by\":1}}'\ntimes = 10\nevery = \"20ms\"\n";

#[test]
fn a_component_judges_what_clients_were_told_and_is_no_part_of_the_run() {
    let without = run(BOOKS, COUNTS, 1);
    let judged = run(BOOKS, &format!("{COUNTS}{JUDGE}"), 1);
    assert_eq!((judged.answered, &judged.broken, &judged.digest), (10, &Vec::new(), &without.digest));
    // A crash loses no state, so no number comes twice; a host that is killed begins to count anew.
    let crash = "[[fault]]\nkind = \"crash\"\nservice = \"ledger\"\nrate = 0.3\n";
    assert_eq!(run(BOOKS, &format!("{COUNTS}{JUDGE}{crash}"), 1).broken, Vec::<String>::new());
    let killed = run(BOOKS, &format!("kill = [\"110ms\"]\n{COUNTS}{JUDGE}"), 1);
    let [broken] = &*killed.broken else { panic!("{:?}", killed.broken) };
    assert!(broken.starts_with("judge ") && broken.contains(", after what ledger "), "{broken}");
    assert!(broken.ends_with(": ledger told {\"ok\":1} twice"), "{broken}");
    let nobody = run(BOOKS, &format!("{}{JUDGE}", COUNTS.replace("\"ledger\"", "\"none\"")), 1);
    let [broken] = &*nobody.broken else { panic!("{:?}", nobody.broken) };
    assert!(broken.contains(", after the end (") && broken.ends_with(": nobody was told anything"), "{broken}");
}

#[test]
fn what_a_judge_finds_is_made_short_and_a_judge_that_fails_holds_nothing() {
    let (_folder, trial) = read(BOOKS, &format!("kill = [\"110ms\"]\n{COUNTS}{JUDGE}"));
    let trial = trial.unwrap();
    let failure = trial.run(1, Some(&code_cache()), false).unwrap();
    let shrunk = trial.shrink(&failure, Bounds::default(), Some(&code_cache()), |_| ()).unwrap().unwrap();
    assert_eq!((shrunk.to.messages, shrunk.to.kills), (2, 1), "one on each side of the kill");
    assert!(shrunk.file.contains("[[judge]]"), "{}", shrunk.file);
    // It understands nothing of what it is told.
    let deaf = run(BOOKS, &format!("{COUNTS}[[judge]]\ncomponent = \"@prober\"\n"), 1);
    assert!(deaf.broken[0].contains("it has no answer: "), "{:?}", deaf.broken);
    let echo = run(BOOKS, &format!("{COUNTS}[[judge]]\ncomponent = \"@echo\"\n"), 1);
    assert!(echo.broken[0].contains("\"event\":\"answered\""), "it answers what it is told: {:?}", echo.broken);
}

#[test]
fn what_is_wrong_in_the_file_is_told_where_it_stands() {
    let wrong = [
        (AGREE.replace("\"ledger\"", "\"books\""), "about the service books, and no topology of the test has it"),
        (AGREE.replace("as = \"u64-le\"", ""), "has an `as`"),
        ("[[judge]]\ncomponent = \"judge.wasm\"\n".to_owned(), "judge.wasm"),
        ("[[judge]]\n".to_owned(), "component"),
        ("[[judge]]\ncomponent = \"@referee\"\nservice = \"till\"\n".to_owned(), "service"),
    ];
    for (more, says) in wrong {
        let (_folder, trial) = read(BOOKS, &format!("{SALES}{more}"));
        let error = trial.unwrap_err();
        assert!(error.contains(says) && error.contains("airssys.test.toml:"), "{error}");
    }
    assert!(guest("referee").is_dir());
}
