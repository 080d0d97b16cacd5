//! A service of a running host gets another release, and back, from another terminal.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use airssys_tests::command::{Desk, Ran};
use airssys_tests::{PATIENCE, heir, shifter};
use serde_json::{Value, json};

use super::control::Raw;
use super::signals::Running;

const TOPOLOGY: &str = "name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n";

fn desk() -> (Desk, Running) {
    let desk = Desk::with(TOPOLOGY);
    for (name, way) in [("one", "healthy"), ("two", "healthy"), ("three", "init-fails")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, way)).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    (desk, running)
}

/// Which release answers.
fn live(desk: &Desk, number: u64) -> Value {
    live_at(desk, "counter", number)
}

/// Which release answers at this address.
fn live_at(desk: &Desk, to: &str, number: u64) -> Value {
    let message = json!({ "from": "a", "number": number }).to_string();
    let ran = desk.run(&["call", to, &message, "--json"]).well();
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    answer["ok"]["release"].clone()
}

fn stop(desk: &Desk, running: Running) {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
}

#[test]
fn a_release_goes_live_and_the_one_before_comes_back() {
    let (desk, running) = desk();
    assert_eq!(live(&desk, 1), json!("one"));
    let deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "10ms", "--json"]).well();
    let deployed: Value = serde_json::from_str(&deployed.stdout).unwrap();
    assert_eq!((&deployed["state"], &deployed["reason"]), (&json!("live"), &json!(null)));
    assert!(deployed["pause_us"].as_f64().unwrap() > 0.0, "{deployed}");
    assert_eq!(live(&desk, 2), json!("two"));
    let back = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
    assert!(back.stdout.starts_with("counter: live, "), "{}", back.stdout);
    assert_eq!(live(&desk, 3), json!("one"));
    stop(&desk, running);
}

/// Begins a deployment without a probation, as soon as the one before is over; its number.
fn begin(desk: &Desk, file: &str) -> u64 {
    let release = desk.path().join(file);
    let request = json!({ "request": "deploy", "service": "counter", "release": release, "probation_ms": 0, "handover_ms": 30_000 });
    let begun = Instant::now();
    loop {
        let answer = Raw::welcome(desk).ask(&request.to_string());
        match answer["ok"]["number"].as_u64() {
            Some(number) => return number,
            None => assert_eq!(answer["error"]["code"], "under-way", "{answer}"),
        }
        assert!(begun.elapsed() < PATIENCE, "never begun: {file}");
    }
}

#[test]
fn who_follows_a_deployment_is_told_how_it_ended_also_when_others_have_followed() {
    let (desk, running) = desk();
    let all = ["two.wasm", "three.wasm", "one.wasm"].map(|file| begin(&desk, file));
    let ends = all.map(|number| {
        let mut raw = Raw::welcome(&desk);
        raw.say(&json!({ "request": "follow-deployment", "service": "counter", "number": number }).to_string());
        let told = std::iter::from_fn(|| Some(raw.answer()).filter(|line| line != &json!({ "ok": null })));
        let end = told.last().unwrap()["ok"].clone();
        assert_eq!(end["number"], json!(number));
        end
    });
    let states = ends.each_ref().map(|end| end["state"].as_str().unwrap());
    assert_eq!(states, ["live", "rolled-back", "live"], "{ends:#?}");
    assert_eq!(ends[0]["live"], ends[1]["live"], "the second left what the first had brought");
    assert_ne!(ends[0]["live"], ends[2]["live"], "each says what it brought");
    let unknown = r#"{"request":"follow-deployment","service":"counter","number":99}"#;
    assert_eq!(Raw::welcome(&desk).ask(unknown)["error"]["code"], "no-such-deployment");
    stop(&desk, running);
}

#[test]
fn each_strategy_is_at_hand_and_an_option_of_another_one_is_refused() {
    let desk = Desk::with(&TOPOLOGY.replace("one.wasm\"", "one.wasm\"\ninstances = 4\npartitioned = true"));
    for (name, way) in [("one", "healthy"), ("two", "healthy")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, way)).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let strategies: [&[&str]; 2] = [
        &["--strategy", "rolling", "--batch", "50%", "--max-unavailable", "2", "--bake", "500ms"],
        &["--strategy", "blue-green"],
    ];
    for (number, strategy) in strategies.iter().enumerate() {
        let file = ["two.wasm", "one.wasm"][number];
        let ran = desk.run(&[&["deploy", "counter", file, "--probation", "10ms"], *strategy].concat()).well();
        assert!(ran.stdout.starts_with("counter: live, "), "{}", ran.stdout);
        if number == 0 {
            assert!(ran.stderr.contains("baking, step 1 of 2"), "{}", ran.stderr);
        }
    }
    let wrong: [(&[&str], &str); 7] = [
        (&["--strategy", "blue-green", "--batch", "2"], "--batch says nothing to --strategy blue-green"),
        (&["--steps", "10"], "--steps says nothing to --strategy in-place"),
        (&["--strategy", "canary", "--steps", "50,10"], "shares that grow"),
        (&["--strategy", "canary", "--errors", "200"], "0 to 100 percent"),
        (&["--strategy", "shadow", "--latency", "0"], "may take is a factor"),
        (&["--strategy", "canary", "--latency", "2", "--samples", "19"], "over 20 turns at least"),
        (&["--no-traffic", "hold"], "--no-traffic says nothing to --strategy in-place"),
    ];
    for (options, told) in wrong {
        let ran = desk.run(&[&["deploy", "counter", "two.wasm"], options].concat());
        let _refused = ran.refused(1, "AH201", &[told]);
    }
    let ran = desk.run(&["deploy", "counter", "two.wasm", "--strategy", "rolling", "--batch", "0"]);
    assert!(ran.exit == Some(2) && ran.stderr.contains("is no part of a service"), "{}", ran.stderr);
    let ran = desk.run(&["deploy", "counter", "two.wasm", "--strategy", "shadow", "--tolerate", "3"]);
    assert!(ran.exit == Some(2) && ran.stderr.contains("no longer a number of messages"), "{}", ran.stderr);
    let before = "{\"request\":\"plan\",\"service\":\"counter\",\"release\":\"two.wasm\",\"way\":{\"strategy\":\"shadow\",\"tolerate\":3}}";
    let refused = Raw::welcome(&desk).ask(before)["error"].clone();
    assert_eq!(refused["code"], json!("bad-request"), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("such as 1%"), "{refused}");
    let plan = ["deploy", "counter", "two.wasm", "--strategy", "shadow", "--tolerate", "1%", "--plan"];
    let _planned = desk.run(&plan).well();
    // Nobody uses it: it cannot be compared.
    let canary = ["deploy", "counter", "two.wasm", "--strategy", "canary", "--bake", "10ms", "--patience", "50ms"];
    let back = desk.run(&[&canary[..], &["--no-traffic", "back"]].concat());
    let back = back.refused(1, "AH201", &["too few turns", "50ms"]);
    assert!(
        back.stderr.contains("step 1 of 3, 1 of 4 have it, waits for 100 turns of each release; goes back"),
        "{}",
        back.stderr
    );
    let promoted = desk.run(&[&canary[..], &["--no-traffic", "promote", "--probation", "10ms"]].concat()).well();
    assert!(promoted.stderr.contains("step 2 of 3, 2 of 4 have it, waits for 100 turns"), "{}", promoted.stderr);
    // It holds, until somebody takes it back.
    let mut holding = desk.command(&[&["deploy", "counter", "one.wasm", "--json"], &canary[3..]].concat());
    let mut holding = holding.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(holding.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("`airssys rollback counter` cancels it")), "it says so while it waits");
    let asked = Raw::welcome(&desk).ask("{\"request\":\"deployment\",\"service\":\"counter\"}");
    let held = &asked["ok"];
    assert_eq!(held["waits"], json!({ "samples": 100, "no_traffic": "hold", "held": true }), "{held}");
    assert_eq!(held["compared"]["new"]["turns"], json!(0), "{held}");
    let _back = desk.run(&["rollback", "counter"]).well();
    assert!(said.any(|line| line.contains("it was cancelled")));
    assert_eq!(holding.wait().unwrap().code(), Some(1));
    stop(&desk, running);
}

#[test]
fn a_canary_says_at_once_that_no_key_has_it_and_when_one_does() {
    let desk = Desk::with(&TOPOLOGY.replace("one.wasm\"", "one.wasm\"\nkeyed = { idle_timeout = \"1h\" }"));
    for name in ["one", "two"] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, "healthy")).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let mut canary = desk.command(&["deploy", "counter", "two.wasm", "--strategy", "canary", "--bake", "1h", "--json"]);
    let mut canary = canary.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(canary.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = "counter: baking, step 1 of 4, 0 of 0 have it: the first that comes gets it";
    assert!(said.any(|line| line.contains(told)), "it never said so");
    assert_eq!(live_at(&desk, "counter/a", 1), json!("two"));
    assert!(said.any(|line| line.contains("step 1 of 4, 1 of 1 have it")), "it never said so");
    assert_eq!(live_at(&desk, "counter/b", 1), json!("one"));
    let asked = Raw::welcome(&desk).ask("{\"request\":\"deployment\",\"service\":\"counter\"}");
    assert_eq!(asked["ok"]["have"], json!(1), "{asked}");
    let _back = desk.run(&["rollback", "counter"]).well();
    assert!(said.any(|line| line.contains("it was cancelled")));
    assert_eq!(canary.wait().unwrap().code(), Some(1));
    stop(&desk, running);
}

#[test]
fn a_shadow_tells_over_which_message_the_releases_differ() {
    let (desk, running) = desk();
    let mut deploy = desk.command(&["deploy", "counter", "two.wasm", "--strategy", "shadow", "--bake", "1h", "--json"]);
    let deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let mut number = 0;
    loop {
        number += 1;
        // It answers with its name, which is another one.
        assert_eq!(live(&desk, number), json!("one"));
        let last = desk.run(&["history", "counter", "--json"]).well();
        if last.stdout.contains("differs over") {
            break;
        }
        assert!(Instant::now() < until, "it never ended");
    }
    let ended = deploy.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let told: Value = serde_json::Deserializer::from_slice(&ended.stdout).into_iter().next().unwrap().unwrap();
    assert_eq!(told["state"], json!("rolled-back"), "{told}");
    let difference = told["rehearsed"]["differences"][0].as_str().unwrap();
    assert!(
        difference.contains("it answers") && difference.contains("two") && difference.contains("one"),
        "{difference}"
    );
    stop(&desk, running);
}

#[test]
fn a_published_release_is_deployed_by_its_name() {
    let (desk, running) = desk();
    std::fs::write(desk.path().join("two.toml"), "name = \"counter\"\nversion = \"2.0.0\"\n").unwrap();
    let _published = desk.run(&["publish", "two.wasm"]).well();
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "10ms"]).well();
    assert_eq!(live(&desk, 1), json!("two"));
    let again = desk.run(&["deploy", "counter", "counter@2.0.0"]);
    let _refused = again.refused(1, "AH201", &["already", "nothing was done"]);
    stop(&desk, running);
}

#[test]
fn going_back_over_a_schema_discards_turns_only_where_that_is_said() {
    let desk = Desk::with(TOPOLOGY);
    for (name, schema) in [("one", 0), ("two", 1)] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), heir(name, "healthy", schema)).unwrap();
    }
    std::fs::write(desk.path().join("two.toml"), "name = \"counter\"\nversion = \"2.0.0\"\nstate_schema = 1\n")
        .unwrap();
    let _published = desk.run(&["publish", "two.wasm"]).well();
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    assert_eq!(live(&desk, 1), json!("one"));
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "10ms"]).well();
    assert_eq!((live(&desk, 2), live(&desk, 3)), (json!("two"), json!("two")));
    let _refused = desk.run(&["rollback", "counter"]).refused(1, "AH201", &["release before", "schema 1"]);
    assert_eq!(live(&desk, 4), json!("two"));
    let back = desk.run(&["rollback", "counter", "--restore-state"]).well();
    assert!(back.stderr.contains("discards 3 committed turns"), "{}", back.stderr);
    assert_eq!(live(&desk, 2), json!("one"), "the state of before");
    stop(&desk, running);
}

/// Two services with durable state, of which one comes to be suspended; what its file says of it then.
fn left_suspended(desk: &Desk) -> Value {
    for (name, way, schema) in [("one", "healthy", 0), ("two", "crashes-on-4", 1), ("three", "healthy", 1)] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), heir(name, way, schema)).unwrap();
    }
    for (name, version) in [("two", 2), ("three", 3)] {
        let manifest = format!("name = \"counter\"\nversion = \"{version}.0.0\"\nstate_schema = 1\n");
        std::fs::write(desk.path().join(format!("{name}.toml")), manifest).unwrap();
        let _published = desk.run(&["publish", &format!("{name}.wasm")]).well();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    assert_eq!((live(desk, 1), live(desk, 2)), (json!("one"), json!("one")));
    let request = json!({ "request": "deploy", "service": "counter", "release": "counter@2.0.0", "probation_ms": 3_600_000, "handover_ms": 30_000 });
    let number = Raw::welcome(desk).ask(&request.to_string())["ok"]["number"].clone();
    let mut following = Raw::welcome(desk);
    following.say(&json!({ "request": "follow-deployment", "service": "counter", "number": number }).to_string());
    while following.answer()["ok"]["state"] != "probation" {}
    for number in 3..6 {
        assert_eq!(live(desk, number), json!("two"));
    }
    let _crashes = refused_as_suspended(desk, 6);
    let told = std::iter::from_fn(|| Some(following.answer()).filter(|line| line != &json!({ "ok": null })));
    assert_eq!(told.last().unwrap()["ok"]["state"], "suspended");
    stop(desk, running);
    kept(desk)
}

fn kept(desk: &Desk) -> Value {
    serde_json::from_str(&desk.run(&["state", "dump", "counter", "--json"]).well().stdout).unwrap()
}

/// What is sent to it waits, and who asks is told why.
fn refused_as_suspended(desk: &Desk, number: u64) -> Ran {
    let message = json!({ "from": "a", "number": number }).to_string();
    desk.run(&["call", "counter", &message, "--timeout", "1s"]).refused(1, "AH201", &["suspended"])
}

#[test]
fn what_was_suspended_when_the_host_ended_is_suspended_again_and_keeps_nobody_else_from_serving() {
    let other = "state = \"durable\"\n[[service]]\nname = \"other\"\nrelease = \"one.wasm\"\nstate = \"durable\"\n";
    let desk = Desk::with(&format!("{TOPOLOGY}{other}"));
    let left = left_suspended(&desk);
    for (start, is_killed) in [true, false].into_iter().enumerate() {
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        let shown = desk.run(&["ps"]).well().stdout;
        assert!(shown.contains("counter (suspended)") && !shown.contains("other (suspended)"), "{shown}");
        assert_eq!(live_at(&desk, "other", start as u64 + 1), json!("one"));
        let _waits = refused_as_suspended(&desk, 6);
        let told = desk.run(&["events", "counter", "--kind", "suspended", "--json"]).well().stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["actor"], &told["reason"]), (&json!("counter"), &json!("schema")), "{told}");
        assert!(told["detail"].as_str().unwrap().contains("schema 1"), "{told}");
        // What it was before is lost with the host that knew: nothing is there to discard turns for.
        let names = ["no state from before", "host has ended"];
        let _refused = desk.run(&["rollback", "counter", "--restore-state"]).refused(1, "AH201", &names);
        if is_killed {
            running.signal("KILL");
            assert_eq!(running.end().0, None);
        } else {
            let _stopped = desk.run(&["stop"]).well();
            let (exit, said) = running.end();
            assert!(exit == Some(0) && said.contains("suspended, what is sent to it waits"), "{said}");
        }
        assert_eq!(kept(&desk), left, "nothing is written, and nothing lost");
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let _deployed = desk.run(&["deploy", "counter", "counter@3.0.0", "--probation", "10ms"]).well();
    assert!(!desk.run(&["ps"]).well().stdout.contains("suspended"));
    assert_eq!(live(&desk, 6), json!("three"));
    stop(&desk, running);
    let counted = kept(&desk);
    let doubled = &counted["states"][0]["values"]["doubled"]["hex"];
    assert_eq!(doubled, "0c00000000000000", "six messages, each counted once");
    // One that somebody names while no host runs has to read what it finds.
    let written = desk.run(&["run", "--as-written"]);
    assert!(written.exit != Some(0) && written.stderr.contains("schema 1"), "{written:#?}");
    assert_eq!(kept(&desk), counted);
}

#[test]
fn a_release_that_hands_nothing_over_is_told_of_and_its_memory_is_kept_where_that_is_said() {
    let desk = Desk::with(TOPOLOGY);
    for (name, way) in [("one", "snapshot-traps"), ("two", "healthy"), ("three", "restore-fails")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), heir(name, way, 0)).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let deploy = ["deploy", "counter", "two.wasm", "--probation", "10ms"];
    let kept = desk.run(&[&deploy[..], &["--keep-memory"]].concat());
    let _refused =
        kept.refused(1, "AH201", &["release before", "did not hand its memory over", "without `--keep-memory`"]);
    let both = desk.run(&[&deploy[..], &["--keep-memory", "--without-memory"]].concat());
    assert_eq!(both.exit, Some(2), "{}", both.stderr);
    let deployed = desk.run(&deploy).well();
    assert!(deployed.stdout.contains("took over without the memory of the release before"), "{}", deployed.stdout);
    let history = desk.run(&["history", "counter"]).well();
    assert!(history.stdout.contains("live; counter took over without the memory"), "{}", history.stdout);

    let back = desk.run(&["rollback", "counter", "--probation", "10ms", "--without-memory"]).well();
    assert!(!back.stdout.contains("memory"), "{}", back.stdout);
    let again = desk.run(&[&deploy[..], &["--json"]].concat()).well();
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["without_memory"]["actors"], &again["without_memory"]["first"]), (&json!(1), &json!("counter")));
    assert_eq!((&again["passed_over"], again["notes"].as_array().map(Vec::len)), (&json!([]), Some(1)));

    let three = ["deploy", "counter", "three.wasm", "--probation", "10ms"];
    let _refused = desk.run(&three).refused(1, "AH201", &["release before", "restore"]);
    let _deployed = desk.run(&[&three[..], &["--without-memory"]].concat()).well();
    assert_eq!(live(&desk, 1), json!("three"));
    stop(&desk, running);
}

/// The echo of the documentation, with exports of its own in front of the last parenthesis.
fn echo_with(exports: &str) -> Vec<u8> {
    let echo = include_str!("../../airssys-wasm/doc/echo.wat").trim_end();
    let code = r#"
        (core module $own (func (export "f") (param i32) (result i32) (local.get 0)))
        (core instance $own (instantiate $own))
        (func $u32 (param "item" u32) (result u32) (canon lift (core func $own "f")))
        (func $s32 (param "item" u32) (result s32) (canon lift (core func $own "f")))"#;
    wat::parse_str(format!("{}{code}{exports})", echo.strip_suffix(')').unwrap())).unwrap()
}

fn stock(version: &str, functions: &str) -> String {
    format!(r#"(instance $stock {functions}) (export "demo:shop/stock@{version}" (instance $stock))"#)
}

/// Publishes a release of the echo.
fn publish(desk: &Desk, version: &str, exports: &str, more: &str) {
    let name = format!("echo-{version}");
    std::fs::write(desk.path().join(format!("{name}.wasm")), echo_with(exports)).unwrap();
    let described = format!("name = \"echo\"\nversion = \"{version}\"\n{more}");
    std::fs::write(desk.path().join(format!("{name}.toml")), described).unwrap();
    let _published = desk.run(&["publish", &format!("{name}.wasm")]).well();
}

#[test]
fn a_plan_says_what_would_change_and_changes_nothing() {
    let count = r#"(export "count" (func $u32))"#;
    let desk = Desk::with(
        "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"echo@1.0.0\"\ngrants = { send = [\"echo\"] }\n",
    );
    publish(&desk, "1.0.0", &stock("0.1.0", count), "[requests]\nsend = [\"z\"]\n");
    let grown = stock("0.1.1", &format!(r#"{count} (export "order" (func $s32))"#));
    publish(
        &desk,
        "1.1.0",
        &grown,
        "state_schema = 1\n[limits]\nmemory = \"2MiB\"\n[requests]\nsend = [\"echo\", \"b\"]\n",
    );
    publish(&desk, "1.2.0", &stock("0.1.0", r#"(export "count" (func $s32))"#), "");
    publish(&desk, "1.3.0", "", "");
    publish(&desk, "1.4.0", &format!("(core module) {grown}"), "");
    publish(&desk, "0.9.0", &grown, "");
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");

    let told = desk.run(&["deploy", "echo", "echo@1.1.0", "--plan"]).well().stdout;
    for says in [
        "echo: echo 1.0.0 (",
        " -> echo 1.1.0 (",
        "exports   + demo:shop/stock@0.1.1#order\n",
        "~ demo:shop/stock@0.1.0: has the version 0.1.1\n",
        "requests  + send echo: granted\n            + send b: not granted\n            - send z\n",
        "settings  ~ engine class: 32MiB becomes 2MiB\n            ~ memory: 32MiB becomes 2MiB\n",
        "state     ~ schema 0 becomes 1: it has no `migrate`, and does not start where something is stored\n",
        "memory    starts anew",
    ] {
        assert!(told.contains(says), "no {says:?} in {told}");
    }
    assert!(!told.contains("refused") && !told.contains("imports"), "{told}");
    let plan = |release: &str| -> Value {
        let ran = desk.run(&["deploy", "echo", release, "--plan", "--json"]);
        assert_eq!(ran.exit, Some(if release == "echo@1.1.0" { 0 } else { 1 }), "{ran:#?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let json = plan("echo@1.1.0");
    assert_eq!(json["exports"]["added"], json!(["demo:shop/stock@0.1.1#order"]));
    assert_eq!(json["requests_added"][0], json!({ "kind": "send", "target": "echo", "granted": "all" }));
    assert_eq!(
        (&json["no_op"], &json["refusals"], &json["memory"]),
        (&json!(false), &json!([]), &json!("starts-anew"))
    );
    assert_eq!(plan("echo@1.0.0")["no_op"], json!(true));

    // What the plan refuses, the deployment refuses.
    for (release, code, says) in [
        ("echo@1.0.0", "already-live", &["nothing was done"][..]),
        ("echo@1.2.0", "incompatible", &["demo:shop/stock@0.1.0#count has another type: result: u32 became s32"]),
        ("echo@1.3.0", "incompatible", &["demo:shop/stock@0.1.0 is gone", "service of its own"]),
        ("echo@0.9.0", "downgrade", &["1.0.0", "0.9.0", "--allow-downgrade"]),
    ] {
        assert_eq!(plan(release)["refusals"][0]["code"], json!(code));
        let planned = desk.run(&["deploy", "echo", release, "--plan"]);
        assert!(planned.stdout.contains(&format!("refused   {code}: ")), "{planned:#?}");
        for ran in [planned, desk.run(&["deploy", "echo", release])] {
            let _refused = ran.refused(1, "AH201", says);
        }
    }
    assert_eq!(plan("echo@1.0.0")["no_op"], json!(true), "nothing has changed");

    let down = ["deploy", "echo", "echo@0.9.0", "--allow-downgrade", "--probation", "10ms"];
    let _planned = desk.run(&[&down[..], &["--plan"]].concat()).well();
    let _deployed = desk.run(&down).well();
    // Going back is no deployment of an older release.
    let _back = desk.run(&["rollback", "echo", "--probation", "10ms"]).well();
    let _deployed = desk.run(&["deploy", "echo", "echo@1.1.0", "--probation", "10ms"]).well();
    let older = ["deploy", "echo", "echo@1.4.0", "--probation", "10ms"];
    let planned = desk.run(&[&older[..], &["--plan"]].concat());
    assert!(planned.stdout.contains("users     echo: send\n"), "now it asks for what it is granted: {planned:#?}");
    for ran in [planned, desk.run(&older)] {
        let _refused = ran.refused(1, "AH201", &["schema 1", "older", "--allow-downgrade"]);
    }
    let _deployed = desk.run(&[&older[..], &["--allow-downgrade"]].concat()).well();
    stop(&desk, running);
}

/// While developing, what is built anew is deployed again and again under the version that it has.
#[test]
fn the_same_version_with_other_bytes_says_so_and_is_taken_where_that_is_meant() {
    let desk = Desk::with(TOPOLOGY);
    let build = |name: &str| {
        desk.write("one.wasm", shifter(name, "healthy"));
        desk.write("one.toml", "name = \"counter\"\nversion = \"1.0.0\"\n");
    };
    build("one");
    let _published = desk.run(&["publish", "one.wasm"]).well();
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    build("two");
    let says = &["the same version", "1.0.0", "another binary", "--same-version"];
    for command in [&["deploy", "counter", "one.wasm"][..], &["deploy", "counter", "one.wasm", "--plan"], &["apply"]] {
        let _refused = desk.run(command).refused(1, "AH201", says);
        let mut told = desk.command(command);
        let told = String::from_utf8(told.arg("--json").output().unwrap().stdout).unwrap();
        assert!(told.contains("\"same-version\"") && !told.contains("downgrade"), "{told}");
    }
    // What was published never changes, so that is done with the file.
    let _refused = desk.run(&["publish", "one.wasm"]).refused(2, "AS103", &["raise the version", "--same-version"]);
    assert_eq!(live(&desk, 1), json!("one"), "nothing has changed");
    let meant = ["--same-version", "--probation", "10ms"];
    let _planned = desk.run(&["deploy", "counter", "one.wasm", "--plan", "--same-version"]).well();
    let _deployed = desk.run(&[&["deploy", "counter", "one.wasm"][..], &meant].concat()).well();
    assert_eq!(live(&desk, 2), json!("two"));
    // Another description is another release, too.
    desk.write("one.toml", "name = \"counter\"\nversion = \"1.0.0\"\n[requests]\nsend = [\"counter\"]\n");
    let described = desk.run(&["deploy", "counter", "one.wasm"]);
    let _refused = described.refused(1, "AH201", &["the same version with another Component.toml"]);
    build("three");
    let _applied = desk.run(&[&["apply"][..], &meant].concat()).well();
    assert_eq!(live(&desk, 3), json!("three"));
    build("four");
    let set = desk.write("set.toml", "counter = \"one.wasm\"\n");
    let set = ["deploy", "--set", set.to_str().unwrap()];
    let _refused = desk.run(&set).refused(1, "AH201", says);
    let _deployed = desk.run(&[&set[..], &meant].concat()).well();
    assert_eq!(live(&desk, 4), json!("four"));
    stop(&desk, running);
}

#[test]
fn what_was_deployed_outlives_a_host_that_is_killed() {
    let (desk, running) = desk();
    std::fs::write(desk.path().join("two.toml"), "name = \"counter\"\nversion = \"2.0.0\"\n").unwrap();
    let _published = desk.run(&["publish", "two.wasm"]).well();
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "10ms"]).well();
    running.signal("KILL");
    let _killed = running.end();
    // Nobody runs, and it is needed all the same.
    let _refused = desk.run(&["remove", "counter@2.0.0"]).refused(1, "AS106", &["counter@2.0.0", "in use"]);

    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    assert_eq!(live(&desk, 1), json!("two"));
    let refused = desk.run(&["deploy", "counter", "three.wasm"]);
    let _refused = refused.refused(1, "AH201", &["did not start"]);
    let _back = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
    assert_eq!(live(&desk, 1), json!("one"));
    let history: Value = serde_json::from_str(&desk.run(&["history", "counter", "--json"]).well().stdout).unwrap();
    let ends: Vec<bool> = history.as_array().unwrap().iter().map(|end| end["live"].as_bool().unwrap()).collect();
    assert_eq!(ends, [true, false, true], "{history}");
    let _forth = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
    let _stopped = desk.run(&["stop"]).well();
    let (_, said) = running.end();
    assert!(said.contains("served by counter@2.0.0, which was deployed"), "{said}");

    // A run that has no data folder of its own does not look there, and one that is told to forgets it.
    std::fs::write(desk.path().join("in"), "{\"from\":\"a\",\"number\":1}\n").unwrap();
    let beside = desk.run(&["run", "--input", "counter=in", "--json"]).well();
    assert!(beside.stdout.contains("\"release\":\"one\""), "{}", beside.stdout);
    let mut running = Running::start(desk.command(&["run", "--as-written"]));
    running.until("is up");
    assert_eq!(live(&desk, 1), json!("one"));
    stop(&desk, running);
}

#[test]
fn what_was_rolled_back_by_hand_stays_so_where_the_host_is_killed() {
    let (desk, running) = desk();
    let _deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "10ms"]).well();
    let _back = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
    running.signal("KILL");
    let _killed = running.end();
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    assert_eq!(live(&desk, 1), json!("one"));
    stop(&desk, running);
}

#[test]
fn a_plan_says_when_which_state_is_brought_over() {
    let by_key = "the release migrates it key by key, those that are awake now and the others when they wake";
    let cases = [
        ("", "counter", "migrated", "the release migrates it"),
        ("keyed = {}\n", "counter/a", "migrated-by-key", by_key),
    ];
    for (setting, to, code, says) in cases {
        let desk = Desk::with(&format!("{TOPOLOGY}{setting}"));
        for (name, schema) in [("one", 0), ("two", 1)] {
            std::fs::write(desk.path().join(format!("{name}.wasm")), heir(name, "healthy", schema)).unwrap();
        }
        desk.write("two.toml", "name = \"counter\"\nversion = \"2.0.0\"\nstate_schema = 1\n");
        let mut running = Running::start(desk.command(&["run"]));
        running.until("is up");
        assert_eq!(live_at(&desk, to, 1), json!("one"));
        let told = desk.run(&["deploy", "counter", "two.wasm", "--plan"]).well().stdout;
        assert!(told.contains(&format!("state     ~ schema 0 becomes 1: {says}\n")), "{told}");
        let told = desk.run(&["deploy", "counter", "two.wasm", "--plan", "--json"]).well().stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["state_schema"], json!({ "from": 0, "to": 1, "state": code }));
        assert_eq!(live_at(&desk, to, 2), json!("one"), "nothing was done");
        stop(&desk, running);
    }
}

#[test]
fn a_set_is_deployed_from_a_file() {
    let desk = Desk::with(&format!("{TOPOLOGY}[[service]]\nname = \"other\"\nrelease = \"one.wasm\"\n"));
    for (name, way) in [("one", "healthy"), ("two", "healthy"), ("three", "init-fails")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, way)).unwrap();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    desk.write("bad.toml", "counter = \"two.wasm\"\nother = \"three.wasm\"\n");
    let refused = desk.run(&["deploy", "--set", "bad.toml", "--probation", "10ms"]);
    let _refused = refused.refused(1, "AH201", &["other", "did not start"]);
    let told = desk.run(&["deploy", "--set", "bad.toml", "--probation", "10ms", "--json"]);
    let told: Value = serde_json::Deserializer::from_str(&told.stdout).into_iter().next().unwrap().unwrap();
    let because: Vec<_> = told.as_array().unwrap().iter().map(|one| (&one["service"], &one["because_of"])).collect();
    assert_eq!(because, [(&json!("counter"), &json!("other")), (&json!("other"), &json!(null))], "{told}");
    assert_eq!(live(&desk, 1), json!("one"));
    desk.write("good.toml", "counter = \"two.wasm\"\nother = \"two.wasm\"\n");
    let deployed = desk.run(&["deploy", "--set", "good.toml", "--probation", "10ms"]).well();
    assert_eq!(deployed.stdout.matches(": live, ").count(), 2, "{}", deployed.stdout);
    assert_eq!(live(&desk, 2), json!("two"));
    for (file, text, says) in [("empty.toml", "", "names no service"), ("odd.toml", "counter = 1\n", "string")] {
        desk.write(file, text);
        let _refused = desk.run(&["deploy", "--set", file]).refused(1, "AH201", &[file, says, "pricing@1.1.0"]);
    }
    for options in [["--errors", "1"], ["--samples", "5"], ["--strategy", "canary"], ["--strategy", "shadow"]] {
        let refused = desk.run(&[&["deploy", "--set", "good.toml"], &options[..]].concat());
        let _refused = refused.refused(1, "AH201", &["a set has no strategy and no gate", "one by one"]);
    }
    stop(&desk, running);
}

#[test]
fn what_nobody_signed_is_not_deployed_where_keys_are_named() {
    let desk = Desk::with(TOPOLOGY);
    let key = desk.run(&["keygen", "--out", "ours.key"]).well().stdout.trim_end().to_owned();
    for (name, version) in [("one", "1.0.0"), ("two", "2.0.0")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, "healthy")).unwrap();
        let manifest = format!("name = \"counter\"\nversion = \"{version}\"\n");
        std::fs::write(desk.path().join(format!("{name}.toml")), manifest).unwrap();
    }
    let _published = desk.run(&["publish", "one.wasm", "--sign", "ours.key"]).well();
    let _published = desk.run(&["publish", "two.wasm"]).well();
    let topology = TOPOLOGY.replace("one.wasm", "counter@1.0.0");
    desk.write("airssys.toml", format!("{topology}[settings]\ntrusted_keys = [{key:?}]\n"));
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let _refused = desk.run(&["deploy", "counter", "counter@2.0.0"]).refused(1, "AH201", &["is not signed", "--sign"]);
    assert_eq!(live(&desk, 1), json!("one"));
    let _signed = desk.run(&["publish", "two.wasm", "--sign", "ours.key"]).well();
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "10ms"]).well();
    assert_eq!(live(&desk, 2), json!("two"));
    stop(&desk, running);
}

#[test]
fn what_cannot_be_deployed_is_refused_and_said() {
    let (desk, running) = desk();
    std::fs::write(desk.path().join("text.wasm"), "hello").unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["deploy", "counter", "three.wasm"], &["release before", "did not start"]),
        (&["deploy", "counter", "text.wasm"], &["counter", "text.wasm"]),
        (&["deploy", "counter", "nothing.wasm"], &["nothing.wasm"]),
        (&["deploy", "counter", "counter@9.9.9"], &["counter@9.9.9"]),
        (&["deploy", "nobody", "two.wasm"], &["nobody", "airssys ps"]),
        (&["rollback", "counter"], &["no other release"]),
    ];
    for (arguments, says) in cases {
        let _refused = desk.run(arguments).refused(1, "AH201", says);
    }
    assert_eq!(live(&desk, 1), json!("one"));
    stop(&desk, running);
}

/// What the line says that grants all of it, with a folder and a value in the places that are the operator's.
fn granted(desk: &Desk, told: &str) -> String {
    let folder = desk.path().join("box");
    std::fs::create_dir_all(&folder).unwrap();
    let line = told.split_once("grants = ").unwrap().1.lines().next().unwrap();
    format!("grants = {}", line.replace("/HOST-FOLDER", folder.to_str().unwrap()))
}

#[test]
fn what_a_release_asks_for_and_is_not_granted_is_told_before_it_is_live() {
    let topology = "name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n\
        [[service]]\nname = \"other\"\nrelease = \"one.wasm\"\nspawned = {}\n";
    let desk = Desk::with(&topology.replace("counter\"\n", "counter\"\ngrants = { send = [\"other\"] }\n"));
    let build = |name: &str, version: &str, requests: &str| {
        desk.write(&format!("{name}.wasm"), shifter(name, "healthy"));
        let described = format!("name = \"counter\"\nversion = \"{version}\"\n[requests]\n{requests}\n");
        desk.write(&format!("{name}.toml"), described);
    };
    build("one", "1.0.0", "");
    let asks = "send = [\"other\", \"counter\", \"elsewhere\"]\nspawn = [\"other/*\"]\nfiles = { \"/data\" = \"read\" }\n\
        environment = [\"TZ\"]\nsockets = [\"127.0.0.1:80\"]";
    build("two", "2.0.0", asks);
    build("three", "3.0.0", "");
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    let says = ["counter 2.0.0", "send elsewhere", "spawn other/*", "files /data (read)", "environment TZ"];
    let plan = ["deploy", "counter", "two.wasm", "--plan"];
    let told = desk.run(&plan).well().stdout;
    assert!(says.iter().all(|part| told.contains(part)) && !told.contains("send counter\n"), "{told}");
    let planned: Value = serde_json::from_str(&desk.run(&[&plan[..], &["--json"]].concat()).well().stdout).unwrap();
    let asked = &planned["ungranted"]["requests"];
    assert_eq!(asked[0], json!({ "kind": "send", "target": "elsewhere", "granted": "nothing" }));
    assert_eq!((asked.as_array().unwrap().len(), &planned["ungranted"]["service"]), (5, &json!("counter")));
    assert!(planned["ungranted"]["line"].as_str().unwrap().contains("\"other\""), "what is granted already stays");

    // Where that is wanted it is refused, and nothing has changed.
    let set = desk.write("set.toml", "counter = \"two.wasm\"\n");
    let set = ["deploy", "--set", set.to_str().unwrap()];
    for command in [&plan[..], &plan[..3], &set[..]] {
        let _refused = desk.run(&[command, &["--strict"]].concat()).refused(1, "AH201", &says);
    }
    assert_eq!(live(&desk, 1), json!("one"));
    let before_it_is_live = |ran: &str| {
        let at = ran.find("asks for more than is granted").unwrap_or_else(|| panic!("{ran}"));
        assert!(
            says.iter().all(|part| ran.contains(part)) && ran.find("probation").is_none_or(|live| at < live),
            "{ran}"
        );
    };
    for command in [&plan[..3], &set[..]] {
        let deployed = desk.run(&[command, &["--probation", "10ms", "--json"]].concat()).well();
        before_it_is_live(&deployed.stderr);
        assert!(deployed.stdout.contains("\"ungranted\"") && deployed.stdout.contains("elsewhere"), "{deployed:#?}");
        let _three = desk.run(&["deploy", "counter", "three.wasm", "--probation", "10ms"]).well();
        let back = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
        before_it_is_live(&back.stderr);
        let down = ["deploy", "counter", "one.wasm", "--allow-downgrade", "--strict", "--probation", "10ms"];
        let _one = desk.run(&down).well();
    }

    // An apply says so as well, of children too; with the line that it tells nothing is left to say.
    let edited = topology.replace("\"one.wasm\"", "\"two.wasm\"");
    desk.write("airssys.toml", &edited);
    let planned = desk.run(&["apply", "--plan", "--json"]).well().stdout;
    let planned: Value = serde_json::from_str(&planned).unwrap();
    let ungranted = planned["plan"]["ungranted"].as_array().unwrap();
    assert_eq!(ungranted.iter().map(|of| &of["service"]).collect::<Vec<_>>(), [&json!("counter"), &json!("other")]);
    let _refused = desk.run(&["apply", "--strict"]).refused(1, "AH201", &says);
    let _refused = desk.run(&["check", "--strict"]).refused(2, "AT102", &says);
    let checked = desk.run(&["check", "--json"]).well();
    before_it_is_live(&checked.stderr);
    let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(checked["ungranted"][0]["requests"][1]["target"], json!("elsewhere"));
    let line = granted(&desk, ungranted[0]["line"].as_str().unwrap()).replace("\"elsewhere\"", "\"*\"");
    let other = granted(&desk, ungranted[1]["line"].as_str().unwrap()).replace("\"elsewhere\"", "\"*\"");
    let edited =
        edited.replacen("release", &format!("{line}\nrelease"), 1).replace("spawned", &format!("{other}\nspawned"));
    desk.write("airssys.toml", &edited);
    let _checked = desk.run(&["check", "--strict"]).well();
    let applied = desk.run(&["apply", "--strict", "--probation", "10ms"]).well();
    assert!(!applied.stderr.contains("asks for more"), "{applied:#?}");
    stop(&desk, running);

    // And the first start of a mesh.
    let data = ["run", "--data", "another"];
    desk.write("airssys.toml", topology.replace("\"one.wasm\"", "\"two.wasm\""));
    let mut first = Running::start(desk.command(&data));
    first.until("is up");
    let _stopped = desk.run(&["stop", "--data", "another"]).well();
    before_it_is_live(&first.end().1);
}
