//! The state of services is shown with a host and without one, and put back without one only; a disk that is full is no
//! success.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airssys_tests::command::{Desk, airssys};
use airssys_tests::shifter;
use serde_json::{Value, json};

use super::PROBER;
use super::signals::Running;

const DURABLE: &str = "state = \"durable\"\n";

fn call(desk: &Desk, command: &Value) -> String {
    desk.run(&["call", "prober", &command.to_string()]).well().stdout
}

fn set(key: &str, value: Value) -> Value {
    json!({ "set": { "key": key, "value": value } })
}

fn up(desk: &Desk) -> Running {
    let mut running = Running::start(desk.command(&["run"]));
    running.until("is up");
    running
}

fn stop(desk: &Desk, running: Running) {
    let _stopped = desk.run(&["stop"]).well();
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn state_is_shown_with_a_host_and_without_one_and_put_back_without_one() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let _nothing = desk.run(&["state", "dump", "prober"]).refused(4, "AH101", &["no durable state"]);
    assert!(!desk.path().join(".airssys/state").exists(), "to look is not to make");

    let running = up(&desk);
    call(&desk, &set("drink", json!("tea")));
    call(&desk, &json!({ "increment": { "key": "cups", "by": 258 } }));
    // Two keys, a text in quotes, and a number.
    let told = desk.run(&["status"]).well().stdout;
    assert!(told.contains("22 B of durable state"), "{told}");
    let text = desk.run(&["state", "dump", "prober"]).well().stdout;
    assert!(text.contains("prober: 2 values, 2 commits, schema 0") && text.contains("hex 0201000000000000"), "{text}");
    assert_eq!(desk.run(&["state", "get", "prober", "drink"]).well().stdout, "\"tea\"\n");
    let with_host = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    let _nobody = desk.run(&["state", "dump", "nobody"]).refused(1, "AH201", &["nobody"]);
    let _nobody = desk.run(&["state", "get", "nobody", "x"]).refused(1, "AH201", &["nobody"]);
    let _none = desk.run(&["state", "get", "prober", "x"]).refused(1, "AD202", &["\"x\"", "prober"]);
    let file = desk.write("state.json", &with_host);
    let load = ["state", "load", "prober", file.to_str().unwrap()];
    let _running = desk.run(&load).refused(3, "AH102", &["a host", "airssys stop"]);
    stop(&desk, running);

    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, with_host);
    assert_eq!(
        desk.run(&["state", "get", "prober", "drink", "--json"]).well().stdout,
        "{\n  \"text\": \"\\\"tea\\\"\"\n}\n"
    );
    let _none = desk.run(&["state", "dump", "nobody"]).refused(1, "AD201", &["nobody"]);

    let running = up(&desk);
    call(&desk, &set("drink", json!("coffee")));
    call(&desk, &set("more", json!(true)));
    stop(&desk, running);
    let _loaded = desk.run(&load).well();
    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, with_host);
    let running = up(&desk);
    assert!(call(&desk, &json!({ "get": "drink" })).contains("tea"));
    stop(&desk, running);
}

#[test]
fn the_state_of_each_actor_of_a_keyed_service_is_its_own() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let running = up(&desk);
    for who in ["alice", "bob"] {
        let _called = desk.run(&["call", "prober", "--key", who, &set("name", json!(who)).to_string()]).well();
    }
    let ask = |who: &str| desk.run(&["state", "get", "prober", "name", "--key", who]);
    assert_eq!(ask("alice").well().stdout, "\"alice\"\n");
    let _nobody = ask("carol").refused(1, "AD202", &["\"carol\"", "\"name\""]);
    stop(&desk, running);
    assert_eq!(ask("bob").well().stdout, "\"bob\"\n");
    let _nobody = ask("carol").refused(1, "AD202", &["\"carol\"", "\"name\""]);
    let text = desk.run(&["state", "dump", "prober"]).well().stdout;
    assert!(text.contains("prober/alice: 1 value, 1 commit") && text.contains("prober/bob: "), "{text}");
}

#[test]
fn what_cannot_be_put_back_changes_nothing() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let running = up(&desk);
    call(&desk, &set("drink", json!("tea")));
    stop(&desk, running);
    let before = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    let state = |inner: &str| format!(r#"{{"format":1,"service":"a","states":[{inner}]}}"#);
    let values = |inner: &str| state(&format!(r#"{{"actor":"","commits":1,"schema":0,"values":{{{inner}}}}}"#));
    let commits = |commits: &str| state(&format!(r#"{{"actor":"","commits":{commits},"schema":0,"values":{{}}}}"#));
    let twice = r#"{"actor":"bob","commits":1,"schema":0,"values":{}}"#;
    for (text, code, says) in [
        ("{".to_owned(), "AD205", "is no state"),
        (r#"{"format":1,"service":"a","states":[],"more":1}"#.to_owned(), "AD205", "more"),
        (r#"{"format":1,"service":"a","service":"b","states":[]}"#.to_owned(), "AD205", "service"),
        (r#"{"format":2,"service":"a","states":[]}"#.to_owned(), "AD206", "format 2"),
        (r#"{"format":4294967296,"service":"a","states":[]}"#.to_owned(), "AD205", "4294967296"),
        (values(r#""k":{"hex":"x"}"#), "AD205", "\"k\""),
        (values(r#""k":{"text":"1"},"k":{"text":"2"}"#), "AD205", "\"k\" stands there twice"),
        (values(r#""k":{"text":"1","hex":"31"}"#), "AD205", "is no state"),
        (values(r#""k":{"texts":"1"}"#), "AD205", "texts"),
        (state(&format!("{twice},{twice}")), "AD205", "\"bob\" stands there twice"),
        (state(r#"{"actor":"","commits":1,"schema":0,"values":{},"more":1}"#), "AD205", "more"),
        (state(r#"{"actor":"","commits":1,"schema":4294967296,"values":{}}"#), "AD205", "4294967296"),
        (commits("-1"), "AD205", "-1"),
        (commits("1.5"), "AD205", "1.5"),
        (commits("18446744073709551615"), "AD205", "18446744073709551615 commits"),
        (commits("18446744073709551616"), "AD205", "is no state"),
        (values("") + "{}", "AD205", "trailing"),
    ] {
        let file = desk.write("bad.json", text);
        let _refused = desk.run(&["state", "load", "prober", file.to_str().unwrap()]).refused(2, code, &[says]);
        assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, before, "{says}");
    }
    let _refused = desk.run(&["state", "load", "prober", "not-there.json"]).refused(2, "AD204", &["not-there.json"]);
    let file = desk.write("good.json", &before);
    let _refused = desk.run(&["state", "load", "a/b", file.to_str().unwrap()]).refused(2, "AD203", &["a/b"]);
    assert_eq!(desk.run(&["state", "dump", "prober", "--json"]).well().stdout, before);

    let stored = desk.path().join(".airssys/state/state.redb");
    std::fs::write(&stored, "x".repeat(100_000)).unwrap();
    let _damaged = desk.run(&["state", "dump", "prober"]).refused(1, "AD103", &["state.redb", "damaged"]);
    let _damaged = desk.run(&["run"]).refused(3, "AD103", &["state.redb", "damaged"]);
}

/// Flips a bit wherever the file holds this.
fn flip(file: &Path, needle: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let found: Vec<usize> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn damage_is_named_what_is_well_is_shown_and_a_host_goes_on_with_a_copy_of_that() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}"));
    let running = up(&desk);
    for who in ["alice", "bob"] {
        let set = set("name", json!(format!("needle of {who}"))).to_string();
        let _called = desk.run(&["call", "prober", "--key", who, &set]).well();
    }
    let _running = desk.run(&["state", "verify"]).refused(1, "AD101", &["state.redb", "in use"]);
    stop(&desk, running);
    let well = desk.run(&["state", "verify"]).well().stdout;
    assert!(
        well.contains("2 values of 2 states and 1 service can be read") && well.contains("as it was written"),
        "{well}"
    );

    let stored = desk.path().join(".airssys/state/state.redb");
    flip(&stored, b"needle of bob");
    let damaged = std::fs::read(&stored).unwrap();
    let names = ["\"name\"", "prober", "\"bob\"", "airssys state verify"];
    let shown = desk.run(&["state", "dump", "prober"]).refused(1, "AD103", &names);
    assert!(shown.stdout.contains("needle of alice") && !shown.stdout.contains("needle of b"), "{shown:#?}");
    let _named = desk.run(&["state", "get", "prober", "name", "--key", "bob"]).refused(1, "AD103", &names);
    let found = desk.run(&["state", "verify", "--json"]).refused(1, "AD207", &["state.redb", "--repair-to"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let spot = json!({ "service": "prober", "actor": "bob", "key": "name" });
    let told = |damage: &Value| spot.as_object().unwrap().iter().all(|(name, value)| damage[name] == *value);
    assert!(found["damage"].as_array().unwrap().iter().any(told) && found["values"] == json!(1), "{found}");

    let copy = desk.path().join("repaired.redb");
    let repair = ["state", "verify", "--repair-to", copy.to_str().unwrap()];
    let said = desk.run(&repair).refused(1, "AD207", &["state.redb", "state load"]);
    assert!(said.stdout.contains("damaged: the value \"name\" of prober, actor \"bob\""), "{said:#?}");
    let _there = desk.run(&repair).refused(1, "AD104", &["repaired.redb"]);
    assert_eq!(std::fs::read(&stored).unwrap(), damaged, "it was looked at only");

    std::fs::rename(&copy, &stored).unwrap();
    let _well = desk.run(&["state", "verify"]).well();
    let running = up(&desk);
    let ask =
        |who: &str| desk.run(&["call", "prober", "--key", who, &json!({ "get": "name" }).to_string()]).well().stdout;
    assert!(ask("alice").contains("needle of alice") && ask("bob").contains("null"));
    stop(&desk, running);
}

#[test]
fn what_was_deployed_and_is_damaged_is_named_and_is_forgotten_by_its_name() {
    let desk = Desk::with("name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n");
    for name in ["one", "two"] {
        std::fs::write(desk.path().join(format!("{name}.wasm")), shifter(name, "healthy")).unwrap();
    }
    let _nothing = desk.run(&["state", "verify"]).refused(4, "AH101", &["no durable state"]);
    let running = up(&desk);
    let _deployed = desk.run(&["deploy", "counter", "two.wasm", "--probation", "10ms"]).well();
    stop(&desk, running);
    assert!(desk.run(&["state", "verify"]).well().stdout.contains("as it was written"));

    let path = desk.path().join(".airssys/desired/records");
    let mark = path.with_file_name("records.mark");
    let (whole, number) = (std::fs::read(&path).unwrap(), std::fs::read(&mark).unwrap());
    // A byte of the last record of a name.
    let spoil = |needle: &str| {
        let mut bytes = whole.clone();
        let at = bytes.windows(needle.len()).rposition(|found| found == needle.as_bytes()).unwrap();
        bytes[at + needle.len() - 1] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    };
    let records = [
        ("deployments/counter", "\"ended\":1", "AR111", "its way back"),
        ("topology", "\"unsettled\":[", "AR108", "what was applied"),
    ];
    for (name, needle, code, lost) in records {
        spoil(needle);
        let named = format!("the record {name}");
        let hint = format!("airssys state forget-record {name}");
        let _named = desk.run(&["run"]).refused(3, code, &[&named, lost, &hint]);
        let said = desk.run(&["state", "verify"]).refused(1, "AD207", &["damaged in 1 file"]);
        assert!(said.stdout.contains(&named) && said.stdout.contains(&hint), "{said:#?}");
        let found = desk.run(&["state", "verify", "--json"]).refused(1, "AD207", &[]);
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        assert!(found["records"][0].as_str().unwrap().contains(&named) && found["damage"] == json!([]), "{found}");
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(desk.run(&["state", "verify"]).well().stdout.contains("as it was written"));
    let live = || {
        let running = up(&desk);
        let _running = desk.run(&["state", "forget-record", "topology"]).refused(3, "AH102", &["airssys stop"]);
        let body = json!({ "from": "a", "number": 1 }).to_string();
        let answer: Value =
            serde_json::from_str(&desk.run(&["call", "counter", &body, "--json"]).well().stdout).unwrap();
        stop(&desk, running);
        answer["ok"]["release"].clone()
    };
    assert_eq!(live(), json!("two"));
    let unknown = ["state", "forget-record", "deployments/nobody"];
    let _named = desk.run(&unknown).refused(3, "AR108", &["deployments/nobody", "deployments/counter"]);
    // Damaged or not.
    let _forgotten = desk.run(&["state", "forget-record", "deployments/counter"]).well();
    assert_eq!(live(), json!("one"), "what the topology says");
    let _forgotten = desk.run(&["state", "forget-record", "topology"]).well();
    assert_eq!(live(), json!("one"));
    // One that nobody can tell what it is of.
    std::fs::write(&mark, number).unwrap();
    spoil(" topology ");
    let names = ["it was cut off, or it is an older copy", "records.mark", "airssys state forget-record unknown"];
    let _named = desk.run(&["run"]).refused(3, "AR111", &names);
    let _forgotten = desk.run(&["state", "forget-record", "unknown"]).well();
    assert_eq!(live(), json!("two"), "the others are as they were");
}

#[test]
fn a_damaged_release_that_was_published_or_is_kept_is_named() {
    let desk = Desk::with("name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n");
    desk.write("one.wasm", shifter("one", "healthy"));
    desk.write("one.toml", "name = \"one\"\nversion = \"1.0.0\"\n");
    let _published = desk.run(&["publish", "one.wasm"]).well();
    assert!(desk.run(&["state", "verify"]).well().stdout.contains("as it was written"), "without a host so far");
    stop(&desk, up(&desk));
    assert!(desk.run(&["state", "verify"]).well().stdout.contains("as it was written"));

    let data = desk.path().join(".airssys");
    let files = |folder: &str| -> Vec<PathBuf> {
        let found = std::fs::read_dir(data.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        found.filter(|path| path.is_file()).collect()
    };
    let kept = files("kept");
    let published = [files("releases/blobs/sha256"), files("releases/index/one")].concat();
    assert_eq!((kept.len(), published.len()), (2, 3), "{kept:?} {published:?}");
    for file in kept.iter().chain(&published) {
        let whole = std::fs::read(file).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        for spoiled in [Some(damaged), None] {
            std::fs::remove_file(file).unwrap();
            // A record that is not there is of a release that was removed.
            let is_gone = spoiled.is_none() && file.extension().is_some_and(|kind| kind == "json");
            if let Some(spoiled) = &spoiled {
                std::fs::write(file, spoiled).unwrap();
            }
            let verify = ["state", "verify", "--json"];
            let ran =
                if is_gone { desk.run(&verify).well() } else { desk.run(&verify).refused(1, "AD207", &["1 file"]) };
            let found: Value = serde_json::from_str(&ran.stdout).unwrap();
            let told = found["releases"].as_array().unwrap();
            let names = file.file_name().unwrap().to_str().unwrap();
            let is_told = |told: &Value| told.as_str().unwrap().contains(names) && told.to_string().contains("hint: ");
            assert!(told.len() == usize::from(!is_gone) && told.iter().all(is_told), "{names}: {found}");
            assert_eq!(found["records"], json!([]));
            let _gone_already = std::fs::remove_file(file);
            std::fs::write(file, &whole).unwrap();
        }
    }
    assert!(desk.run(&["state", "verify"]).well().stdout.contains("as it was written"));
}

#[test]
fn a_host_lives_on_without_a_key_whose_state_is_damaged_until_that_is_put_back() {
    let other = "[[service]]\nname = \"other\"\nrelease = \"@prober\"\nstate = \"durable\"\n";
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n{DURABLE}{other}"));
    let running = up(&desk);
    let ask =
        |who: &str, what: &Value| desk.run(&["call", "prober", "--key", who, &what.to_string(), "--timeout", "1s"]);
    for who in ["alice", "bob", "carol"] {
        // Large, so that each has pages of its own.
        let _set = ask(who, &set("name", json!(format!("needle of {who} {}", "x".repeat(6_000))))).well();
    }
    let other = |what: &Value| desk.run(&["call", "other", &what.to_string()]).well().stdout;
    let _set = other(&set("drink", json!("tea")));
    stop(&desk, running);
    let dump = desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    let stored = desk.path().join(".airssys/state/state.redb");
    flip(&stored, b"needle of bob");
    let damaged = std::fs::read(&stored).unwrap();

    let get = json!({ "get": "name" });
    for start in 0..2 {
        let running = up(&desk);
        assert!(other(&json!({ "get": "drink" })).contains("tea"));
        assert!(ask("alice", &get).well().stdout.contains("needle of alice"));
        let _waits = ask("bob", &get).refused(1, "AH201", &["suspended", "bob"]);
        let shown = desk.run(&["ps"]).well().stdout;
        assert!(shown.contains("prober (suspended)") && !shown.contains("other (suspended)"), "{shown}");
        assert!(shown.contains("\"bob\"") && shown.contains("airssys state verify"), "{shown}");
        let _set = ask("carol", &set("start", json!(start))).well();
        let names = ["\"bob\"", "state verify"];
        let dumped = desk.run(&["state", "dump", "prober"]).refused(1, "AD103", &names);
        assert!(dumped.stdout.contains("needle of alice") && !dumped.stdout.contains("needle of b"), "{dumped:#?}");
        let _damaged = desk.run(&["state", "get", "prober", "name", "--key", "bob"]).refused(1, "AD103", &names);
        let _well = desk.run(&["state", "get", "prober", "name", "--key", "alice"]).well();
        if start == 1 {
            let _forgotten = desk.run(&["state", "forget", "prober/bob", "--yes"]).well();
            assert!(ask("bob", &get).well().stdout.contains("null"));
        }
        let _stopped = desk.run(&["stop"]).well();
        let (exit, said) = running.end();
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains("suspended") && said.contains("\"bob\"") && said.contains("state verify"), "{said}");
        if start == 0 {
            let _named = desk.run(&["state", "verify"]).refused(1, "AD207", &["state.redb"]);
        }
    }
    assert_eq!(std::fs::read(stored.with_file_name("state.damaged-1.redb")).unwrap(), damaged);
    assert!(!stored.with_file_name("state.damaged-2.redb").exists(), "it was damaged once");
    let file = desk.write("state.json", &dump);
    let _loaded = desk.run(&["state", "load", "prober", file.to_str().unwrap()]).well();
    let _well = desk.run(&["state", "verify"]).well();
    let running = up(&desk);
    assert!(ask("bob", &get).well().stdout.contains("needle of bob"));
    stop(&desk, running);
}

/// All of it fits together, and it is not what was acknowledged.
#[test]
fn an_older_copy_of_the_file_is_told_and_used_where_that_is_meant() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}"));
    let stored = desk.path().join(".airssys/state/state.redb");
    let running = up(&desk);
    call(&desk, &set("drink", json!("tea")));
    stop(&desk, running);
    let older = std::fs::read(&stored).unwrap();
    let running = up(&desk);
    call(&desk, &set("drink", json!("coffee")));
    stop(&desk, running);
    std::fs::write(&stored, &older).unwrap();
    let _told = desk.run(&["run"]).refused(3, "AD105", &["state.redb", "older copy", "state.mark"]);
    let _told = desk.run(&["state", "verify"]).refused(1, "AD207", &["state.redb"]);
    std::fs::write(&stored, "").unwrap();
    let _told = desk.run(&["run"]).refused(3, "AD105", &["state.redb", "empty", "state.mark"]);

    std::fs::write(&stored, &older).unwrap();
    std::fs::remove_file(stored.with_extension("mark")).unwrap();
    let running = up(&desk);
    assert!(call(&desk, &json!({ "get": "drink" })).contains("tea"));
    stop(&desk, running);
    // Who moves the file away begins anew.
    std::fs::remove_file(&stored).unwrap();
    let running = up(&desk);
    assert!(call(&desk, &json!({ "get": "drink" })).contains("null"));
    stop(&desk, running);
    let _well = desk.run(&["state", "verify"]).well();
}

/// A host for which the disk is full: no file of it may become larger than 4 MiB.
fn up_with_a_full_disk(desk: &Desk) -> Running {
    let command = desk.command(&[] as &[&str]);
    // A soft limit can be raised again.
    let script = "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" run --log info";
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(airssys()).current_dir(desk.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(limited);
    running.until("is up");
    running
}

#[test]
fn a_commit_for_which_the_disk_has_no_room_never_was_and_with_room_again_the_same_host_goes_on() {
    let desk = Desk::with(&format!("{PROBER}{DURABLE}limits = {{ state = \"1GiB\" }}\n[root]\nintensity = 100000\n"));
    // The compiled code is written before the limit, which holds for every file.
    let _compiled = desk.run(&["check"]).well();
    let running = up_with_a_full_disk(&desk);
    let value = "x".repeat(300_000);
    let keys = |dump: &str| {
        let dump: Value = serde_json::from_str(dump).unwrap();
        let keys: Vec<String> = dump["states"][0]["values"].as_object().unwrap().keys().cloned().collect();
        (keys, dump["states"][0]["commits"].as_u64().unwrap())
    };
    let dumped = || keys(&desk.run(&["state", "dump", "prober", "--json"]).well().stdout);
    let mut acknowledged = Vec::new();
    let mut tried = 0;
    let mut fill = |most: usize, acknowledged: &mut Vec<String>| loop {
        tried += 1;
        assert!(tried < 10_000, "it never comes to an end");
        let key = format!("{tried:05}");
        let ran = desk.run_with(&["call", "prober", "-", "--json"], set(&key, json!(value)).to_string());
        if ran.exit != Some(0) {
            return Some(ran);
        }
        acknowledged.push(key);
        if acknowledged.len() >= most {
            return None;
        }
    };
    for _ in 0..3 {
        let refused = fill(100, &mut acknowledged).unwrap();
        assert!(refused.stdout.contains("not-durable") && refused.stdout.contains("state.redb"), "{refused:#?}");
    }
    assert_eq!(dumped(), (acknowledged.clone(), acknowledged.len() as u64));

    let pid = running.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap();
    assert!(raised.success());
    let enough = acknowledged.len() + 20;
    while fill(enough, &mut acknowledged).is_some() {}
    assert_eq!(dumped(), (acknowledged.clone(), acknowledged.len() as u64));
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert!(exit == Some(0) && said.contains("cannot be saved") && said.contains("saved again"), "{said}");
    assert_eq!(dumped(), (acknowledged.clone(), acknowledged.len() as u64), "without a host");
}

#[test]
fn a_file_that_is_mostly_empty_is_compacted_at_a_start_and_has_what_it_had() {
    let limits = "limits = { state = \"48MiB\", turn_budget = \"30s\", turn_deadline = \"30s\" }\n";
    let desk = Desk::with(&format!("{PROBER}{DURABLE}{limits}"));
    let stored = desk.path().join(".airssys/state/state.redb");
    let size = || std::fs::metadata(&stored).unwrap().len();
    let running = up(&desk);
    let written: Value = serde_json::from_str(&call(&desk, &json!("flood_state"))).unwrap();
    let written = written["ok"].as_u64().unwrap();
    // What stays lies at the end of the file.
    let gone: Vec<Value> = (0..written - 4).map(|key| json!({ "delete": format!("flood {key}") })).collect();
    call(&desk, &json!({ "do": gone }));
    let dump = || desk.run(&["state", "dump", "prober", "--json"]).well().stdout;
    let kept = dump();
    stop(&desk, running);
    let before = size();
    assert_eq!(dump(), kept);

    let mut running = Running::start(desk.command(&["run", "--log", "info"]));
    running.until("is up");
    assert_eq!(dump(), kept);
    stop_and_hear(&desk, running, "the durable state was compacted");
    assert!(before > 40 << 20 && size() < 10 << 20, "{before} bytes, and {}", size());

    let mut running = Running::start(desk.command(&["run", "--log", "info"]));
    running.until("is up");
    assert_eq!(dump(), kept);
    let _stopped = desk.run(&["stop"]).well();
    let (_, said) = running.end();
    assert!(!said.contains("was compacted"), "it was done: {said}");
}

fn stop_and_hear(desk: &Desk, running: Running, says: &str) {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert!(exit == Some(0) && said.contains(says), "{said}");
}
