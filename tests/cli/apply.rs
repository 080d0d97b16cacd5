//! A running host is brought to an edited topology, from another terminal; what is in force outlives the host.

use std::process::Command;

use airssys_tests::command::Desk;
use airssys_tests::shifter;
use serde_json::{Value, json};

use super::signals::Running;

const BASE: &str = "name = \"mesh\"\n[[service]]\nname = \"still\"\nrelease = \"one.wasm\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n";

fn desk() -> Desk {
    let desk = Desk::with(BASE);
    for (name, way) in [("one", "healthy"), ("two", "healthy"), ("broken", "init-fails")] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, way)).unwrap();
    }
    desk
}

fn run(desk: &Desk, arguments: &[&str]) -> Running {
    let mut running = Running::start(desk.command(arguments));
    running.until("is up");
    running
}

fn stop(desk: &Desk, running: Running) -> String {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    said
}

/// What a service answers: which release it is, and how many messages its instance has seen.
fn ask(desk: &Desk, service: &str) -> (Value, Value) {
    let message = json!({ "from": "a", "number": 1 }).to_string();
    let ran = desk.run(&["call", service, &message, "--json"]).well();
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    (answer["ok"]["release"].clone(), answer["ok"]["seen"].clone())
}

fn services(desk: &Desk) -> Vec<String> {
    let told: Value = serde_json::from_str(&desk.run(&["ps", "--json"]).well().stdout).unwrap();
    told.as_array().unwrap().iter().map(|service| service["service"].as_str().unwrap().to_owned()).collect()
}

/// One of each kind of change.
fn edited() -> String {
    BASE.replace("name = \"counter\"\nrelease = \"one.wasm\"\n", "name = \"counter\"\nrelease = \"two.wasm\"\n")
        + "[[supervisor]]\nname = \"back\"\n[[service]]\nname = \"new\"\nrelease = \"one.wasm\"\nsupervisor = \"back\"\nmailbox = { capacity = 5 }\n"
}

/// Writes a program that is asked about changes.
fn judge(desk: &Desk, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = desk.write("judge.sh", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_a_program_has_something_against_is_not_done() {
    let desk = desk();
    let house = "case \"$(cat)\" in *'\"name\":\"new\"'*) echo '[\"nothing new\", {\"message\": \"nothing at all\", \"rule\": \"house.all\"}]';; *) echo '[]';; esac";
    judge(&desk, house);
    let running = run(&desk, &["run", "--judge", "./judge.sh"]);
    let before = services(&desk);
    desk.write("airssys.toml", edited());
    for arguments in [&["apply", "--plan"][..], &["apply"]] {
        let refused = desk.run(arguments);
        assert!(refused.exit.is_some_and(|exit| exit != 0), "{refused:#?}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        for message in ["nothing new (judge.sh)", "nothing at all (house.all)"] {
            assert!(told.contains(message), "{refused:#?}");
        }
    }
    // What does not write a list refuses, whatever it does.
    for (script, why) in [
        ("exit 3", "has failed"),
        ("echo '[]'; exit 3", "has failed"),
        ("echo no", "has not written a JSON list"),
        ("yes", "has written more than 1 MiB"),
        ("kill -9 $$", "has failed"),
        ("", "cannot be started"),
    ] {
        match script {
            "" => std::fs::remove_file(desk.path().join("judge.sh")).unwrap(),
            script => judge(&desk, script),
        }
        let refused = desk.run(&["apply"]);
        assert!(refused.exit.is_some_and(|exit| exit != 0) && refused.stderr.contains(why), "{script}: {refused:#?}");
        assert!(refused.stderr.contains("the policy cannot say whether this may be done"), "{refused:#?}");
    }
    assert_eq!(services(&desk), before);
    let recorded = desk.run(&["audit", "show", "--kind", "refused", "--json"]).well().stdout;
    assert!(recorded.contains("nothing new (judge.sh)") && recorded.contains("has failed"), "{recorded}");
    // What it has nothing against is done.
    judge(&desk, house);
    let _deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "0s"]).well();
    assert_eq!(ask(&desk, "counter").0, json!("two"));
    stop(&desk, running);
    // A start is judged as well.
    judge(&desk, "echo '[\"not today\"]'");
    let refused = desk.run(&["run", "--judge", "./judge.sh"]).refused(3, "AR100", &["not today (judge.sh)"]);
    assert!(!refused.stderr.contains("is up"));
}

/// Rules of the example, with these lines instead of those that say the most memory and who runs programs.
fn rules(desk: &Desk, more: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let judge = airssys_tests::tools::target().join("policy").join("debug").join("rego-judge");
    assert!(judge.exists(), "there is no {}; run `cargo xtask guests`", judge.display());
    let house = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policy/house.rego")).unwrap();
    let (_, house) = house.split_once('\n').unwrap();
    let file = desk.write("house.rego", format!("#!{}\n{house}\n{more}", judge.display()));
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn rules_in_rego_judge_a_change() {
    let desk = desk();
    rules(&desk, "");
    let running = run(&desk, &["run", "--judge", "./house.rego"]);
    let before = services(&desk);
    let bold = "[service.limits]\nmemory = \"1GiB\"\n[service.grants]\nsockets = [\"*:80\"]\n[service.grants.processes.true]\nprogram = \"/bin/true\"\n";
    desk.write("airssys.toml", edited() + bold);
    let refused = desk.run(&["apply"]);
    assert!(refused.exit.is_some_and(|exit| exit != 0), "{refused:#?}");
    for message in [
        "new may have 1GiB of memory, and 256MiB is the most (house.memory)",
        "new may not start programs (house.programs)",
        "new may connect to *:80; say to whom (house.sockets)",
    ] {
        assert!(refused.stderr.contains(message), "no {message:?} in {refused:#?}");
    }
    // Rules that cannot be read, or asked, refuse, and it is said where.
    for (more, why) in [
        ("deny contains", "house.rego"),
        ("deny contains message if { message := sprintf(1, 2) }", "has failed"),
        ("deny contains 7 if { true }", "has not written a JSON list of what it has against it"),
    ] {
        rules(&desk, more);
        let refused = desk.run(&["apply"]);
        assert!(refused.exit.is_some_and(|exit| exit != 0) && refused.stderr.contains(why), "{more}: {refused:#?}");
        assert!(refused.stderr.contains("the policy cannot say whether this may be done"), "{refused:#?}");
    }
    assert_eq!(services(&desk), before);
    rules(&desk, "");
    desk.write("airssys.toml", edited());
    let _applied = desk.run(&["apply", "--probation", "10ms"]).well();
    assert_ne!(services(&desk), before);
    stop(&desk, running);
}

#[test]
fn an_edited_topology_is_planned_applied_and_in_force() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    assert_eq!(ask(&desk, "still"), (json!("one"), json!(1)));
    assert_eq!(desk.run(&["apply"]).well().stdout, "mesh: nothing to change\n");

    desk.write("airssys.toml", edited());
    let told = desk.run(&["apply", "--plan"]).well().stdout;
    for says in [
        "mesh: 3 changes; 1 service not touched\n",
        "  ~ service counter, by a deployment: its memory starts anew, its state stays\n      release: ",
        "two.wasm\n",
        "  + supervisor back\n  + service new: served by ",
    ] {
        assert!(told.contains(says), "no {says:?} in {told}");
    }
    assert_eq!(services(&desk), ["counter", "still"], "nothing has changed");
    let applied = desk.run(&["apply", ".", "--probation", "10ms", "--json"]).well();
    let applied: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!((&applied["running"], &applied["left_over"]), (&json!(true), &json!([])));
    let ways: Vec<&Value> =
        applied["plan"]["differences"].as_array().unwrap().iter().map(|found| &found["way"]).collect();
    assert_eq!(ways, ["deployment", "start-or-stop", "start-or-stop"]);
    assert_eq!(services(&desk), ["counter", "new", "still"]);
    assert_eq!(ask(&desk, "counter").0, json!("two"));
    assert_eq!(ask(&desk, "still"), (json!("one"), json!(2)), "the same instance");
    let tree = desk.run(&["tree"]).well().stdout;
    assert!(tree.find("back").unwrap() < tree.find("new").unwrap(), "{tree}");

    // In place.
    desk.write("airssys.toml", edited().replace("capacity = 5", "capacity = 6"));
    let told = desk.run(&["apply"]).well().stdout;
    assert!(told.contains("~ service new, in place\n      mailbox.capacity: 5 becomes 6"), "{told}");
    // And away.
    desk.write(
        "airssys.toml",
        BASE.replace("\"counter\"\nrelease = \"one.wasm\"", "\"counter\"\nrelease = \"two.wasm\""),
    );
    let told = desk.run(&["apply"]).well().stdout;
    assert!(told.contains("  - supervisor back\n  - service new: handles what waits for it, for at most 5s"), "{told}");
    assert_eq!(services(&desk), ["counter", "still"]);
    let said = stop(&desk, running);
    assert!(!said.contains("in force"), "there was nothing to say: {said}");
}

#[test]
fn what_does_not_come_about_changes_nothing() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    assert_eq!(ask(&desk, "still"), (json!("one"), json!(1)));
    let tree = desk.run(&["tree", "--json"]).well().stdout;
    let cases: [(String, i32, &str, &[&str]); 5] = [
        (
            edited().replace("one.wasm\"\nsupervisor", "broken.wasm\"\nsupervisor"),
            1,
            "AH201",
            &["back does not start", "as it was before"],
        ),
        (format!("{BASE}colour = 1\n"), 2, "AT101", &["airssys.toml:8:1", "unknown field"]),
        (BASE.replace("\"mesh\"", "\"other\""), 1, "AH201", &["cannot become other", "--data"]),
        (format!("{BASE}[settings]\ntrusted_keys = []\n"), 1, "AH201", &["trusted key"]),
        (
            format!(
                "{BASE}instances = 1000\n[[service]]\nname = \"many\"\nrelease = \"one.wasm\"\nkeyed = {{ max_awake = 9000000 }}\n"
            ),
            1,
            "AH201",
            &["memory mappings"],
        ),
    ];
    for (text, exit, code, says) in cases {
        desk.write("airssys.toml", text);
        let _refused = desk.run(&["apply", "--probation", "10ms"]).refused(exit, code, says);
        assert_eq!(services(&desk), ["counter", "still"]);
    }
    // A plan tells what would be refused, and ends as the apply would.
    desk.write("airssys.toml", BASE.replace("\"mesh\"", "\"other\""));
    let planned = desk.run(&["apply", "--plan"]);
    assert!(planned.stdout.contains("refused   other-mesh: the name of the mesh is mesh"), "{planned:#?}");
    let _refused = planned.refused(1, "AH201", &["cannot become other"]);
    let _refused = desk.run(&["apply", "nowhere.toml"]).refused(2, "AT101", &["nowhere.toml", "cannot be read"]);
    let shape = |tree: &str| -> Vec<Value> {
        let tree: Value = serde_json::from_str(tree).unwrap();
        tree.as_array()
            .unwrap()
            .iter()
            .map(|child| json!([child["name"], child["status"], child["restarts"]]))
            .collect()
    };
    assert_eq!(shape(&desk.run(&["tree", "--json"]).well().stdout), shape(&tree));
    assert_eq!(ask(&desk, "still"), (json!("one"), json!(2)), "the same instance");
    stop(&desk, running);
}

#[test]
fn a_run_starts_with_what_is_in_force_and_says_how_to_apply_what_is_not() {
    let desk = desk();
    stop(&desk, run(&desk, &["run"]));
    // Edited while nobody runs: it is not in force.
    desk.write("airssys.toml", edited());
    let running = run(&desk, &["run"]);
    assert_eq!(services(&desk), ["counter", "still"]);
    let _applied = desk.run(&["apply", "--probation", "10ms"]).well();
    assert_eq!(services(&desk), ["counter", "new", "still"]);
    let said = stop(&desk, running);
    for says in [
        "airssys.toml is not what is in force since ",
        "  ~ service counter, by a deployment\n      release: ",
        "  + service new",
        "bring it in: `airssys apply airssys.toml`\n",
    ] {
        assert!(said.contains(says), "no {says:?} in {said}");
    }
    // What was applied needs no word.
    let running = run(&desk, &["run"]);
    assert_eq!((services(&desk).len(), ask(&desk, "counter").0), (3, json!("two")));
    let said = stop(&desk, running);
    assert!(!said.contains("in force") && !said.contains("deployed"), "{said}");

    // Without a host, an apply is for the next start.
    desk.write("airssys.toml", BASE);
    let planned = desk.run(&["apply", "--plan"]).well().stdout;
    assert!(planned.contains("- service new"), "{planned}");
    let applied = desk.run(&["apply"]).well();
    assert!(applied.stderr.contains("the next `airssys run` starts with it"), "{applied:#?}");
    let running = run(&desk, &["run"]);
    assert_eq!(
        (services(&desk), ask(&desk, "counter").0),
        (vec!["counter".to_owned(), "still".to_owned()], json!("one"))
    );
    let said = stop(&desk, running);
    assert!(!said.contains("in force"), "{said}");
    let _refused = {
        desk.write("bad.toml", format!("{BASE}[[service]]\nname = \"text\"\nrelease = \"text.wasm\"\n"));
        desk.write("text.wasm", "hello");
        desk.run(&["apply", "bad.toml"]).refused(2, "AC103", &["text.wasm"])
    };

    // As it is written, whatever is in force.
    desk.write("airssys.toml", edited());
    let running = run(&desk, &["run", "--as-written"]);
    assert_eq!(services(&desk).len(), 3);
    stop(&desk, running);
    desk.write("airssys.toml", BASE.replace("\"mesh\"", "\"other\""));
    let _refused = desk.run(&["run"]).refused(3, "AR109", &["that of the mesh mesh", "that of other", "--as-written"]);
    // A run that has no data folder of its own does not look there.
    desk.write("in", "{\"from\":\"a\",\"number\":1}\n");
    let beside = desk.run(&["run", "--input", "counter=in", "--json"]).well();
    assert!(beside.stdout.contains("\"release\":\"one\""), "{}", beside.stdout);
}

#[test]
fn a_host_that_is_killed_while_it_applies_starts_with_the_old_topology_or_the_new_one() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    desk.write("airssys.toml", edited());
    let mut applying = Command::new(airssys_tests::command::airssys());
    let mut applying = applying
        .args(["apply", "--probation", "1m"])
        .current_dir(desk.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // On probation: the new release answers, and nothing is decided.
    while ask(&desk, "counter").0 != json!("two") {}
    running.signal("KILL");
    let _killed = running.end();
    assert_eq!(applying.wait().unwrap().code(), Some(1), "nobody knows what came of it");
    let running = run(&desk, &["run"]);
    assert_eq!(
        (services(&desk), ask(&desk, "counter").0),
        (vec!["counter".to_owned(), "still".to_owned()], json!("one"))
    );
    let _applied = desk.run(&["apply", "--probation", "10ms"]).well();
    running.signal("KILL");
    let (_, said) = running.end();
    assert!(said.contains("an apply was cut off") && said.contains("from before it is in force"), "{said}");
    let running = run(&desk, &["run"]);
    assert_eq!((services(&desk).len(), ask(&desk, "counter").0), (3, json!("two")));
    let said = stop(&desk, running);
    assert!(!said.contains("cut off"), "{said}");
}

#[test]
fn a_published_release_that_was_applied_has_a_way_back_after_a_restart() {
    let desk = desk();
    for version in ["1.0.0", "2.0.0"] {
        let name = if version == "1.0.0" { "one" } else { "two" };
        desk.write(&format!("{name}.toml"), format!("name = \"counter\"\nversion = \"{version}\"\n"));
        let _published = desk.run(&["publish", &format!("{name}.wasm")]).well();
    }
    let of = |version: &str| {
        BASE.replace("\"counter\"\nrelease = \"one.wasm\"", &format!("\"counter\"\nrelease = \"counter@{version}\""))
    };
    desk.write("airssys.toml", of("1.0.0"));
    let running = run(&desk, &["run"]);
    desk.write("airssys.toml", of("2.0.0"));
    let _applied = desk.run(&["apply", "--probation", "10ms"]).well();
    // The other way it is a downgrade, as for a deployment.
    desk.write("old.toml", of("1.0.0"));
    let planned = desk.run(&["apply", "old.toml", "--plan"]);
    let _refused = planned.refused(1, "AH201", &["--allow-downgrade"]);
    let _planned = desk.run(&["apply", "old.toml", "--plan", "--allow-downgrade"]).well();
    stop(&desk, running);
    let _refused = desk.run(&["remove", "counter@2.0.0"]).refused(1, "AS106", &["in use"]);
    let running = run(&desk, &["run"]);
    assert_eq!(ask(&desk, "counter").0, json!("two"));
    let history: Value = serde_json::from_str(&desk.run(&["history", "counter", "--json"]).well().stdout).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    let _back = desk.run(&["rollback", "counter", "--probation", "10ms"]).well();
    assert_eq!(ask(&desk, "counter").0, json!("one"));
    stop(&desk, running);
}
