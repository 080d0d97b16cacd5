//! A service of a running host gets another release, and back, from another terminal.

use airssys_tests::command::Desk;
use airssys_tests::{heir, shifter};
use serde_json::{Value, json};

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
    let message = json!({ "from": "a", "number": number }).to_string();
    let ran = desk.run(&["call", "counter", &message, "--json"]).well();
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

#[test]
fn what_was_deployed_outlives_a_host_that_is_killed() {
    let (desk, running) = desk();
    std::fs::write(desk.path().join("two.toml"), "name = \"counter\"\nversion = \"2.0.0\"\n").unwrap();
    let _published = desk.run(&["publish", "two.wasm"]).well();
    let _deployed = desk.run(&["deploy", "counter", "counter@2.0.0", "--probation", "10ms"]).well();
    running.signal("KILL");
    let _killed = running.end();

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
fn a_release_that_was_deployed_and_is_gone_is_not_replaced_in_silence() {
    let (desk, running) = desk();
    let _deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "10ms"]).well();
    stop(&desk, running);
    std::fs::write(desk.path().join("two.wasm"), shifter("other", "healthy")).unwrap();
    let refused = desk.run(&["run"]);
    let _refused = refused.refused(3, "AR100", &["two.wasm", "digest", "--as-written"]);
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
