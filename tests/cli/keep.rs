//! What was live can be started again whatever becomes of the files that it came from, and is never replaced by
//! something else in silence.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use airssys_tests::command::{Desk, airssys};
use airssys_tests::shifter;
use serde_json::{Value, json};

use super::signals::Running;

const TOPOLOGY: &str = "name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n";
const QUICK: [&str; 2] = ["--probation", "10ms"];

/// Builds a release that answers with this name, and asks for what nobody else does.
fn build(desk: &Desk, file: &str, answers: &str) {
    desk.write(&format!("{file}.wasm"), shifter(answers, "healthy"));
    let described = format!("name = \"counter\"\nversion = \"1.0.0\"\n[requests]\nsend = [\"of-{answers}\"]\n");
    desk.write(&format!("{file}.toml"), described);
}

fn desk() -> Desk {
    let desk = Desk::with(TOPOLOGY);
    build(&desk, "one", "one");
    build(&desk, "two", "two");
    desk
}

fn run(desk: &Desk, arguments: &[&str]) -> Running {
    let mut running = Running::start(desk.command(arguments));
    running.until("is up");
    running
}

fn kill(running: Running) -> String {
    running.signal("KILL");
    running.end().1
}

fn stop(desk: &Desk, running: Running) -> String {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");
    said
}

fn deploy(desk: &Desk, release: &str) {
    let _deployed = desk.run(&[&["deploy", "counter", release, "--same-version"][..], &QUICK].concat()).well();
}

/// Which release answers, and that it is the one whose description is in force.
fn live(desk: &Desk) -> String {
    let ran = desk.run(&["call", "counter", r#"{"from":"a","number":1}"#, "--json"]).well();
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let answers = answer["ok"]["release"].as_str().unwrap().to_owned();
    build(desk, "probe", "probe");
    let plan = desk.run(&["deploy", "counter", "probe.wasm", "--plan", "--same-version", "--json"]).well();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let removed = json!([{ "kind": "send", "target": format!("of-{answers}") }]);
    assert_eq!(plan["requests_removed"], removed, "{answers} runs under its own Component.toml");
    answers
}

/// What becomes of the files of a release.
fn spoil(desk: &Desk, file: &str, how: &str) {
    match how {
        "built anew" => build(desk, file, "other"),
        "built anew without a description" => {
            desk.write(&format!("{file}.wasm"), shifter("other", "healthy"));
            fs::remove_file(desk.path().join(format!("{file}.toml"))).unwrap();
        }
        "half a build" => drop(desk.write(&format!("{file}.wasm"), b"\0asm")),
        "another description" => drop(desk.write(&format!("{file}.toml"), "name = \"counter\"\nversion = \"9.0.0\"\n")),
        "a description that is wrong" => drop(desk.write(&format!("{file}.toml"), "colour = 1")),
        "gone" => {
            fs::remove_file(desk.path().join(format!("{file}.wasm"))).unwrap();
            fs::remove_file(desk.path().join(format!("{file}.toml"))).unwrap();
        }
        _ => unreachable!(),
    }
}

const SPOILT: [&str; 6] = [
    "built anew",
    "built anew without a description",
    "half a build",
    "another description",
    "a description that is wrong",
    "gone",
];

#[test]
fn a_release_that_was_deployed_by_its_path_and_the_one_before_outlive_their_files() {
    for how in SPOILT {
        let desk = desk();
        let running = run(&desk, &["run"]);
        deploy(&desk, "two.wasm");
        // What the topology names is built anew or gone as well: nothing depends on it any more.
        spoil(&desk, "one", how);
        spoil(&desk, "two", how);
        kill(running);
        let running = run(&desk, &["run"]);
        assert_eq!(live(&desk), "two", "{how}");
        let _back = desk.run(&[&["rollback", "counter"][..], &QUICK].concat()).well();
        assert_eq!(live(&desk), "one", "{how}");
        let said = kill(running);
        assert!(said.contains("served by") && said.contains("which was deployed"), "{how}: {said}");
        // And back again.
        let running = run(&desk, &["run"]);
        assert_eq!(live(&desk), "one", "{how}");
        let _forth = desk.run(&[&["rollback", "counter"][..], &QUICK].concat()).well();
        assert_eq!(live(&desk), "two", "{how}");
        stop(&desk, running);
    }
}

#[test]
fn what_is_built_anew_in_the_place_of_what_is_live_is_said_and_brought_in_by_hand() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    build(&desk, "one", "newer");
    deploy(&desk, "one.wasm");
    assert_eq!(live(&desk), "newer");
    build(&desk, "one", "newest");
    kill(running);
    let running = run(&desk, &["run"]);
    assert_eq!(live(&desk), "newer");
    deploy(&desk, "one.wasm");
    assert_eq!(live(&desk), "newest");
    let said = stop(&desk, running);
    assert!(said.contains("another release lies there now") && said.contains("airssys deploy counter"), "{said}");
    // The very same lies there: there is nothing to say.
    let said = stop(&desk, run(&desk, &["run"]));
    assert!(!said.contains("deployed"), "{said}");
    build(&desk, "one", "written");
    let running = run(&desk, &["run", "--as-written"]);
    assert_eq!(live(&desk), "written");
    stop(&desk, running);
}

#[test]
fn what_was_started_by_its_path_is_what_starts_after_a_kill() {
    for how in SPOILT {
        let desk = desk();
        let running = run(&desk, &["run"]);
        spoil(&desk, "one", how);
        kill(running);
        let running = run(&desk, &["run"]);
        assert_eq!(live(&desk), "one", "{how}");
        let said = kill(running);
        assert!(said.contains("counter: served by") && said.contains("hint: "), "{how}: {said}");
        let running = run(&desk, &["run"]);
        assert_eq!(live(&desk), "one", "{how}, again");
        stop(&desk, running);
    }
}

#[test]
fn after_an_end_in_order_what_lies_at_the_path_of_the_topology_starts_or_what_was_there_last() {
    let desk = desk();
    stop(&desk, run(&desk, &["run"]));
    build(&desk, "one", "newer");
    let running = run(&desk, &["run"]);
    assert_eq!(live(&desk), "newer");
    stop(&desk, running);
    spoil(&desk, "one", "gone");
    let running = run(&desk, &["run"]);
    assert_eq!(live(&desk), "newer");
    // An edit of something else comes about; a check still says what is not there.
    desk.write("airssys.toml", TOPOLOGY.replace("one.wasm\"", "one.wasm\"\nretries = 1"));
    let _applied = desk.run(&["apply"]).well();
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["one.wasm", "is not there"]);
    let said = stop(&desk, running);
    assert!(said.contains("one.wasm") && said.contains("is not there"), "{said}");
    // What nobody ever ran is not there, and nothing is known of it.
    desk.write("airssys.toml", TOPOLOGY.replace("one.wasm", "never.wasm"));
    let _refused = desk.run(&["run", "--as-written"]).refused(2, "AT101", &["airssys.toml:4:11", "never.wasm"]);
}

#[test]
fn what_an_apply_brought_in_outlives_its_files() {
    for how in SPOILT {
        let desk = desk();
        let running = run(&desk, &["run"]);
        let edited = TOPOLOGY.replace("one.wasm", "two.wasm");
        desk.write("airssys.toml", format!("{edited}[[service]]\nname = \"new\"\nrelease = \"two.wasm\"\n"));
        let _applied = desk.run(&[&["apply", "--same-version"][..], &QUICK].concat()).well();
        spoil(&desk, "one", how);
        spoil(&desk, "two", how);
        kill(running);
        let running = run(&desk, &["run"]);
        assert_eq!(live(&desk), "two", "{how}");
        let new = desk.run(&["call", "new", r#"{"from":"a","number":1}"#]).well().stdout;
        assert!(new.contains("two"), "{how}: {new}");
        let _back = desk.run(&[&["rollback", "counter"][..], &QUICK].concat()).well();
        assert_eq!(live(&desk), "one", "{how}");
        stop(&desk, running);
    }
}

#[test]
fn a_deployment_that_was_cut_off_goes_back_to_the_very_release_that_served() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    let mut deploying = Command::new(airssys());
    let deploying = deploying.args(["deploy", "counter", "two.wasm", "--same-version", "--probation", "1h"]);
    let mut deploying = deploying.current_dir(desk.path()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while live_now(&desk) != "two" {}
    spoil(&desk, "one", "built anew");
    spoil(&desk, "two", "gone");
    kill(running);
    deploying.wait().unwrap();
    let running = run(&desk, &["run"]);
    assert_eq!(live(&desk), "one");
    let said = kill(running);
    assert!(said.contains("was cut off, and is rolled back"), "{said}");
}

fn live_now(desk: &Desk) -> String {
    let ran = desk.run(&["call", "counter", r#"{"from":"a","number":1}"#, "--json"]).well();
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    answer["ok"]["release"].as_str().unwrap().to_owned()
}

/// The binaries that are kept.
fn binaries(desk: &Desk) -> Vec<PathBuf> {
    let kept = fs::read_dir(desk.path().join(".airssys/kept")).unwrap().map(|file| file.unwrap().path());
    kept.filter(|path| path.extension().is_some_and(|kind| kind == "wasm")).collect()
}

#[test]
fn what_is_neither_live_nor_before_that_is_forgotten() {
    let desk = desk();
    let running = run(&desk, &["run"]);
    assert_eq!(binaries(&desk).len(), 1);
    for number in 0..4 {
        build(&desk, "two", &format!("v{number}"));
        deploy(&desk, "two.wasm");
    }
    let until = std::time::Instant::now() + airssys_tests::PATIENCE;
    while binaries(&desk).len() > 2 {
        assert!(std::time::Instant::now() < until, "{:?}", binaries(&desk));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stop(&desk, running);
    stop(&desk, run(&desk, &["run", "--as-written"]));
    stop(&desk, run(&desk, &["run"]));
    assert_eq!(binaries(&desk).len(), 1, "what is as written, alone");
}

#[test]
fn a_release_that_cannot_be_kept_is_not_deployed_and_one_that_is_damaged_is_named() {
    let desk = desk();
    let kept = desk.path().join(".airssys/kept");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "no folder").unwrap();
    // It is no reason not to start.
    let running = run(&desk, &["run"]);
    let refused = desk.run(&["deploy", "counter", "two.wasm", "--same-version"]);
    let _refused = refused.refused(1, "AH201", &["cannot be kept", "kept"]);
    desk.write("airssys.toml", TOPOLOGY.replace("one.wasm", "two.wasm"));
    let _refused = desk.run(&["apply", "--same-version"]).refused(1, "AH201", &["cannot be kept"]);
    assert_eq!(live(&desk), "one");
    fs::remove_file(&kept).unwrap();
    deploy(&desk, "two.wasm");
    assert_eq!(live(&desk), "two");
    kill(running);
    for file in fs::read_dir(&kept).unwrap() {
        let file = file.unwrap().path();
        let was = fs::read(&file).unwrap();
        let damage = |bytes: &[u8]| {
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
        };
        let mut other = was.clone();
        other[8] ^= 1;
        damage(&other);
        // The same is at its path still.
        kill(run(&desk, &["run"]));
        assert_eq!(fs::read(&file).unwrap(), was);
        damage(&other);
        spoil(&desk, "two", "built anew");
        let named = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let _refused = desk.run(&["run"]).refused(3, "AR100", &["damaged", &named, "--as-written"]);
        build(&desk, "two", "two");
    }
    let running = run(&desk, &["run"]);
    assert_eq!(live(&desk), "two");
    stop(&desk, running);
}

/// On a disk that takes no file of that size, but smaller ones.
#[test]
fn a_full_disk_refuses_the_deployment_and_the_old_release_stays() {
    let desk = desk();
    let large = shifter("large", "healthy").into_iter().chain(padding(3 << 20)).collect::<Vec<u8>>();
    desk.write("large.wasm", large);
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" run --code-cache none"]).arg(airssys());
    limited.current_dir(desk.path()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut running = Running::start(limited);
    running.until("is up");
    let refused = desk.run(&["deploy", "counter", "large.wasm"]);
    let _refused = refused.refused(1, "AH201", &["cannot be kept", "too large"]);
    assert_eq!(live_now(&desk), "one");
    let names: Vec<_> = fs::read_dir(desk.path().join(".airssys/kept")).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing half done is left: {names:?}");
    deploy(&desk, "two.wasm");
    assert_eq!(live_now(&desk), "two");
    stop(&desk, running);
}

/// A custom section of this size, which no component minds.
fn padding(bytes: usize) -> Vec<u8> {
    let size = bytes + 4;
    let mut section = vec![0];
    let mut left = size;
    while left >= 0x80 {
        section.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
        left >>= 7;
    }
    section.push(u8::try_from(left).unwrap());
    section.extend_from_slice(b"\x03big");
    section.resize(section.len() + bytes, 0);
    section
}
