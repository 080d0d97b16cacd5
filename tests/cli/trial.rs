//! `airssys test` finds what is wrong with a tree, tells how to see it again, and finds nothing where nothing is wrong.

use airssys_tests::asker_and_goal;
use airssys_tests::command::Desk;
use serde_json::Value;

/// Twenty clients, who each have the asker count at the goal and in its own state. In a message that leaves with the
/// turn the goal is told `say`.
fn counting(say: &str, faults: &str) -> String {
    let both = format!(
        r#"{{"do":[{{"{say}":{{"to":"goal","body":{{"increment":{{"key":"n","by":1}}}}{}}}}},{{"increment":{{"key":"n","by":1}}}}]}}"#,
        if say == "call" { r#","timeout_ms":1000"# } else { "" }
    );
    format!(
        r#"
        seeds = 20

        [[workload]]
        service = "asker"
        ask = '{both}'
        times = 20

        {faults}

        [[check]]
        service = "goal"
        ask = '{{"increment":{{"key":"n","by":0}}}}'
        same_as = {{ service = "asker", ask = '{{"increment":{{"key":"n","by":0}}}}' }}
        "#
    )
}

const CRASHES: &str = r#"
        [[fault]]
        kind = "crash"
        service = "asker"
        rate = 0.05
"#;

/// Probers whose supervisor starts them again as often as they crash.
fn desk(test: &str) -> Desk {
    let topology = format!("name = \"count\"\n[root]\nintensity = 1000\n{}", asker_and_goal("", &[]));
    let desk = Desk::with(&topology);
    desk.write("airssys.test.toml", test);
    desk
}

#[test]
fn a_turn_that_calls_and_then_crashes_has_counted_once_too_often_and_that_is_found_and_found_again() {
    let desk = desk(&counting("call", CRASHES));
    let found = desk.run(&["test"]).refused(1, "AE101", &["goal", "--steps"]);
    assert!(found.stdout.contains("seed = ") && found.stdout.contains("crash"), "{found:#?}");
    // What it printed is a test file, and that runs into the same.
    let (_, replay) = found.stdout.split_once("runs it again:\n\n").unwrap();
    desk.write("again.test.toml", replay);
    let again = desk.run(&["test", "again.test.toml", "--json"]).refused(1, "AE101", &[]);
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    let digest = told["failure"]["digest"].as_str().unwrap();
    assert!(found.stdout.contains(digest), "the same run: {found:#?} and {told:#}");
    assert_eq!(told["runs"], 1);
    let seed = told["failure"]["seed"].to_string();
    let steps = desk.run(&["test", "--seed", &seed, "--steps"]).refused(1, "AE101", &[]).stdout;
    assert!(steps.contains("FAULT crash") && steps.contains("turn goal #") && steps.contains(digest), "{steps}");
}

#[test]
fn a_message_that_leaves_with_its_turn_is_counted_as_often_as_that() {
    let desk = desk(&counting("send", CRASHES));
    let well = desk.run(&["test"]).well();
    assert!(well.stdout.contains("20 runs") && well.stdout.contains("all that has to hold did"), "{well:#?}");
    assert!(well.stdout.contains("crash during the turn"), "something did go wrong: {well:#?}");
}

#[test]
fn hangs_full_mailboxes_and_lost_messages_lose_nothing_that_was_accepted() {
    let faults = r#"
        [[fault]]
        kind = "hang"
        service = "goal"
        nth = 3
        [[fault]]
        kind = "full"
        service = "goal"
        rate = 0.1
        [[fault]]
        kind = "drop"
        rate = 0.1
        count = 2
    "#;
    let test = counting("send", faults)
        .replace("[[check]]", "[[check]]\nservice = \"goal\"\nask = '{\"echo\":1}'\nequals = '{\"ok\":1}'\n[[check]]");
    // The one over which it hangs is not counted, and what was not sent is.
    let desk = desk(&test);
    let told = desk.run(&["test", "--seeds", "5", "--json"]).refused(1, "AE101", &["is"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let broken = told["failure"]["broken"].as_array().unwrap();
    assert_eq!(broken.len(), 1, "the books differ, and nothing else does: {told:#}");
    assert_eq!(told["faults"]["hang"], 1, "{told:#}");
    assert!(told["faults"]["full"].as_u64() > Some(0) && told["faults"]["drop"].as_u64() == Some(2), "{told:#}");
}

#[test]
fn what_is_wrong_in_a_test_file_is_told_with_its_place() {
    let act = |text: &str| format!("[[workload]]\nservice = \"a\"\nask = \"\"\n[[act]]\n{text}");
    for (test, names) in [
        ("seeds = 3\n", &["airssys.test.toml", "[[workload]]"][..]),
        ("[[workload]]\nservice = \"a\"\n", &["airssys.test.toml:1:1", "`call`, `ask` and `send`"]),
        ("[[workload]]\nservice = \"a\"\nask = \"\"\nevery = \"soon\"\n", &[":4:9", "\"soon\" is no time"]),
        ("[[workload]]\nservice = \"a\"\nask = \"\"\n[[fault]]\nkind = \"crash\"\n", &[":4:1", "says neither"]),
        ("[[workload]]\nservice = \"a\"\nask = \"\"\n[[fault]]\nkind = \"crush\"\n", &[":5:8", "crush"]),
        ("[[workload]]\nservice = \"a\"\nask = \"\"\n[[check]]\nservice = \"a\"\nask = \"\"\n", &["same_as"]),
        (&act("kind = \"deploy\"\n"), &[":4:1", "an act has an `at`"]),
        (&act("at = \"1s\"\n"), &[":4:1", "an act has a `kind`"]),
        (&act("kind = \"undo\"\nat = \"1s\"\n"), &[":4:1", "no act of the kind `undo`", "rollback"]),
        (&act("kind = \"stop\"\nat = [\"2s\", \"1s\"]\n"), &[":6:6", "ends before it begins"]),
        (&act("kind = \"stop\"\nat = \"1s\"\n"), &[":4:1", "has a `service`"]),
        (
            &act("kind = \"stop\"\nat = \"1s\"\nservice = \"a\"\nrelease = \"x\"\n"),
            &[":8:11", "`release` says nothing"],
        ),
        (&act("kind = \"apply\"\nat = \"1s\"\ntopology = \"next.toml\"\n"), &[":7:12", "next.toml"]),
        (&act("kind = \"deploy\"\nat = \"1s\"\nservice = \"a\"\nrelease = \"x.wasm\"\n"), &[":8:11", "x.wasm"]),
        (&act("kind = \"deploy\"\nat = \"1s\"\nservice = \"a\"\nsteps = [1]\n"), &[":4:1", "steps"]),
        ("topology = \"other.toml\"\n[[workload]]\nservice = \"a\"\nask = \"\"\n", &["other.toml"]),
    ] {
        let _told = desk(test).run(&["test"]).refused(2, "AT101", names);
    }
}

#[test]
fn a_mesh_that_does_not_follow_from_a_seed_is_refused() {
    let topology = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[service.grants]\nsockets = [\"127.0.0.1:80\"]\n";
    let desk = Desk::with(topology);
    desk.write("airssys.test.toml", "[[workload]]\nservice = \"a\"\nask = \"\"\n");
    let _told = desk.run(&["test"]).refused(2, "AE102", &["service a", "sockets"]);
}
