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
    let as_it_was = desk.run(&["test", "--seed", &seed, "--no-shrink", "--json"]).refused(1, "AE101", &[]);
    let as_it_was: Value = serde_json::from_str(&as_it_was.stdout).unwrap();
    let digest = as_it_was["failure"]["digest"].as_str().unwrap();
    assert!(found.stdout.contains(digest) && as_it_was["shrunk"].is_null(), "{as_it_was:#}");
    let steps = desk.run(&["test", "--seed", &seed, "--steps"]).refused(1, "AE101", &[]).stdout;
    assert!(steps.contains("FAULT crash") && steps.contains("turn goal #") && steps.contains(digest), "{steps}");
}

#[test]
fn a_failure_is_shrunk_to_the_message_and_the_crash_that_make_it_and_the_same_each_time() {
    let desk = desk(&counting("call", CRASHES));
    let shrunk = || {
        let found = desk.run(&["test", "--json", "--shrink-for", "10m"]).refused(1, "AE101", &["goal"]);
        serde_json::from_str::<Value>(&found.stdout).unwrap()
    };
    let told = shrunk();
    let (from, to) = (&told["shrunk"]["from"], &told["shrunk"]["to"]);
    assert_eq!(from["messages"], 20, "{told:#}");
    assert_eq!((&to["messages"], &to["faults"]), (&1.into(), &1.into()), "one message, one crash: {told:#}");
    assert_eq!(to["pauses"], 0, "and no order of turns: {told:#}");
    assert_eq!(told["shrunk"]["is_cut_short"], false, "{told:#}");
    let file = told["shrunk"]["file"].as_str().unwrap();
    assert!(file.contains("nth = 1") && file.contains("at = \"0s\"") && file.contains("[[check]]"), "{file}");
    assert_eq!(shrunk()["shrunk"], told["shrunk"], "it ended by itself");
    // The file is that run, and nothing can be left out of it any more.
    desk.write("short.test.toml", file);
    let again = desk.run(&["test", "short.test.toml", "--json"]).refused(1, "AE101", &["goal"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["failure"]["digest"], told["shrunk"]["tried"]["digest"], "{file}");
    assert_eq!(again["shrunk"]["to"], told["shrunk"]["to"]);
    let text = desk.run(&["test"]).refused(1, "AE101", &["goal"]).stdout;
    assert!(text.contains("shrunk from 20 messages, ") && text.contains(" to 1 message and 1 fault"), "{text}");
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
        rate = 0.5
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
        (
            "[[workload]]\nservice = \"a\"\nask = \"\"\n[[pause]]\nservice = \"a\"\nnth = 1\n",
            &[":4:1", "jitter = false"],
        ),
        (
            "jitter = false\n[[workload]]\nservice = \"a\"\nask = \"\"\n[[pause]]\nservice = \"a\"\nnth = 1\n",
            &["`others`"],
        ),
        ("[[workload]]\nservice = \"a\"\n", &["airssys.test.toml:1:1", "`call`, `ask`, `send` and `http`"]),
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

#[test]
fn the_same_is_found_on_any_number_of_threads() {
    let sound = desk(&counting("send", CRASHES));
    let told = |desk: &Desk, arguments: &[&str], exit| {
        let ran = desk.run(&[&["test", "--json"], arguments].concat());
        assert_eq!(ran.exit, Some(exit), "{ran:#?}");
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let one = told(&sound, &["--seeds", "40", "--jobs", "1"], 0);
    let many = told(&sound, &["--seeds", "40", "--jobs", "5"], 0);
    assert_eq!(one, many);
    assert_eq!((&one["runs"], &one["guided"]), (&40.into(), &12.into()), "{one:#}");
    let desk = desk(&counting("call", CRASHES));
    let shrink = ["--shrink-for", "10m", "--jobs"];
    let one = told(&desk, &[&shrink[..], &["1"]].concat(), 1);
    assert_eq!(one, told(&desk, &[&shrink[..], &["3"]].concat(), 1), "the first seed, and the same plan");
}

#[test]
fn what_hardly_ever_comes_by_chance_is_forced_and_that_is_found_again() {
    let rare = CRASHES.replace("0.05", "0.000001");
    let desk = desk(&counting("call", &rare));
    let chance = desk.run(&["test", "--seeds", "60", "--unguided"]).well();
    assert!(chance.stdout.contains("0 of 3 pairs of fault and service came; never crash after"), "{chance:#?}");
    let found = desk.run(&["test", "--seeds", "60", "--no-shrink", "--json"]).refused(1, "AE101", &["goal"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["failure"]["forced"].as_array().unwrap().len(), 1, "{found:#}");
    desk.write("again.test.toml", found["replay"].as_str().unwrap());
    let again = desk.run(&["test", "again.test.toml", "--no-shrink", "--json"]).refused(1, "AE101", &[]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["failure"]["digest"], found["failure"]["digest"], "{found:#}");
}

#[test]
fn a_build_server_can_read_what_came_of_it() {
    let desk = desk(&counting("call", CRASHES));
    let _found = desk.run(&["test", "--junit", "out.xml", "--no-shrink"]).refused(1, "AE101", &[]);
    let xml = std::fs::read_to_string(desk.path().join("out.xml")).unwrap();
    assert!(xml.contains("<testsuite name=\"airssys test\" tests=\"1\" failures=\"1\""), "{xml}");
    assert!(xml.contains("name=\"airssys.test.toml\"") && xml.contains("message=\"seed "), "{xml}");
    assert!(xml.contains("{&quot;do&quot;:"), "the file that runs it again, as text: {xml}");
    let well = desk.run(&["test", "--junit", "no/such/out.xml", "--seeds", "1"]).refused(3, "AE103", &["out.xml"]);
    assert!(well.stdout.is_empty() || well.stdout.contains("1 run"), "{well:#?}");
}

#[test]
fn a_failure_is_drawn_on_one_page_that_needs_nothing_else() {
    let desk = desk(&counting("call", CRASHES));
    let _found = desk.run(&["test", "--report", "run.html"]).refused(1, "AE101", &[]);
    let page = std::fs::read_to_string(desk.path().join("run.html")).unwrap();
    let (head, picture) = page.split_once("<div class=\"run\"").unwrap();
    // Both sides of what does not hold.
    for side in ["<strong>{&quot;ok&quot;:1}</strong>", "<strong>{&quot;ok&quot;:0}</strong>", "[[fault]]"] {
        assert!(head.contains(side), "no {side}: {head}");
    }
    // The lanes, the turns, the crash and what the supervisor did about it, in their order.
    let mut rest = picture;
    for step in [
        ">clients</text>",
        ">asker</text>",
        ">goal</text>",
        "asker takes message 1, a call from outside — crash after the turn",
        "goal takes message 2, a call from asker",
        "asker crashes over message 1",
        "asker is up again, incarnation 2",
        "does not hold: check: goal",
    ] {
        (_, rest) = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} there: {page}"));
    }
    assert!(picture.contains("<rect class=\"crash\"") && picture.contains("<circle class=\"again\""), "{picture}");
    for outside in ["<script", "http://", "https://", " src=", "<link", "@import"] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
    let _holds =
        desk.run(&["test", "--seed", "1", "--no-shrink", "--report", "no/such.html"]).refused(3, "AE103", &["such"]);
}

/// Two values for one key, of which the second one is said later. It is kept where each goes its way in time.
const RACE: &str = r#"
    seeds = 200
    [[workload]]
    service = "asker"
    ask = '{"do":[{"send":{"to":"goal","body":{"set":{"key":"k","value":"first"}}}}]}'
    at = "100ms"
    [[workload]]
    service = "goal"
    ask = '{"set":{"key":"k","value":"last"}}'
    at = "110ms"
    [[workload]]
    service = "goal"
    ask = '{"echo":1}'
    times = 30
    [[check]]
    service = "goal"
    ask = '{"get":"k"}'
    equals = '{"ok":"last"}'
"#;

#[test]
fn what_is_left_of_a_race_is_the_two_that_race_and_the_one_that_waits() {
    let found = desk(RACE).run(&["test", "--json", "--shrink-for", "10m"]).refused(1, "AE101", &["first"]);
    let told: Value = serde_json::from_str(&found.stdout).unwrap();
    let to = &told["shrunk"]["to"];
    assert_eq!((&to["messages"], &to["faults"], &to["pauses"]), (&2.into(), &0.into(), &1.into()), "{told:#}");
    let file = told["shrunk"]["file"].as_str().unwrap();
    assert!(file.contains("[[pause]]") && file.contains("\"first\"") && file.contains("\"last\""), "{file}");
}
