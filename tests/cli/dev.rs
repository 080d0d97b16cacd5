//! `airssys dev`: what is saved is served, with the state that was there; what does not build is told, and what serves
//! goes on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use airssys_tests::command::Desk;
use airssys_tests::tools::target;

use super::control::until;
use super::new::well;
use super::signals::Running;

/// A guest that counts whom it greets, with this word.
fn greets(word: &str) -> String {
    format!(
        "use airssys_sdk::prelude::*;\n\n#[component]\nfn greet(name: String) -> Result<String> {{\n    \
         let guests = state::increment(\"guests\", 1)?;\n    Ok(format!(\"{word}, {{name}}, number {{guests}}\"))\n}}\n"
    )
}

/// What `airssys new` makes, in a folder `hello`, which greets. What cargo makes of crates of one name lies at one
/// place, so each test has another one.
fn hello(name: &str) -> Desk {
    let desk = Desk::new();
    let _made = desk.run(&["new", name, "--path", "hello"]).well();
    desk.write("hello/src/lib.rs", greets("Hello"));
    desk
}

fn begin(desk: &Desk) -> Running {
    let mut dev = desk.command(&["dev", "hello"]);
    dev.env("CARGO_TARGET_DIR", target());
    Running::start(dev)
}

/// [`hello`], developed.
fn developed(desk: &Desk) -> Running {
    let mut dev = begin(desk);
    dev.until("is up");
    dev
}

fn greeting(desk: &Desk, name: &str) -> String {
    desk.run(&["call", name, "\"Ada\""]).well().stdout
}

fn stop(desk: &Desk, dev: Running) -> String {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = dev.end();
    assert_eq!(exit, Some(0), "{said}");
    said
}

#[test]
fn a_saved_file_is_served_and_the_state_is_kept() {
    let desk = hello("saved");
    let mut dev = developed(&desk);
    assert_eq!(greeting(&desk, "saved"), "\"Hello, Ada, number 1\"\n");
    desk.write("hello/src/lib.rs", greets("Good day"));
    dev.until("saved: live in");
    assert_eq!(greeting(&desk, "saved"), "\"Good day, Ada, number 2\"\n");
    let said = stop(&desk, dev);
    assert!(said.contains("saved: src/lib.rs\n") && said.contains("saved: built in"), "{said}");
}

#[test]
fn what_does_not_build_is_told_with_its_place_and_what_serves_goes_on() {
    let desk = hello("wrong");
    let mut dev = developed(&desk);
    desk.write("hello/src/lib.rs", greets("Hello").replace("guests\", 1", "guests\", one"));
    dev.until("wrong: not built");
    assert_eq!(greeting(&desk, "wrong"), "\"Hello, Ada, number 1\"\n");
    desk.write("hello/src/lib.rs", greets("Welcome"));
    dev.until("wrong: live in");
    assert_eq!(greeting(&desk, "wrong"), "\"Welcome, Ada, number 2\"\n");
    let said = stop(&desk, dev);
    assert!(said.contains("cannot find value `one`") && said.contains("src/lib.rs:5:"), "{said}");
}

#[test]
fn what_does_not_build_at_first_is_started_when_it_does() {
    let desk = hello("begun");
    desk.write("hello/src/lib.rs", "no Rust");
    let mut dev = begin(&desk);
    dev.until("it starts when all is built: waiting for a file to be saved");
    desk.write("hello/src/lib.rs", greets("Hello"));
    dev.until("is up");
    assert_eq!(greeting(&desk, "begun"), "\"Hello, Ada, number 1\"\n");
    stop(&desk, dev);
}

#[test]
fn files_that_are_made_moved_and_removed_are_followed() {
    let desk = hello("moved");
    let with_module = format!(
        "mod words;\n{}",
        greets("{}").replace(
            "format!(\"{}, {name}, number {guests}\")",
            "format!(\"{}, {name}, number {guests}\", words::WORD)"
        )
    );
    let word = |word: &str| format!("pub const WORD: &str = \"{word}\";\n");
    desk.write("hello/src/words.rs", word("Hello"));
    desk.write("hello/src/lib.rs", with_module);
    let mut dev = developed(&desk);
    let source = |name: &str| desk.path().join("hello/src").join(name);
    std::fs::rename(source("words.rs"), source("draft.rs")).unwrap();
    dev.until("moved: not built");
    desk.write("hello/src/draft.rs", word("Good day"));
    dev.until("saved: src/draft.rs");
    dev.until("moved: not built");
    std::fs::rename(source("draft.rs"), source("words.rs")).unwrap();
    dev.until("moved: live in");
    assert_eq!(greeting(&desk, "moved"), "\"Good day, Ada, number 1\"\n");
    std::fs::remove_file(source("words.rs")).unwrap();
    dev.until("moved: not built");
    // A folder that was not there before, and then a file in it.
    desk.write("hello/src/words/mod.rs", word("Welcome"));
    dev.until("moved: live in");
    desk.write("hello/src/words/mod.rs", word("Farewell"));
    dev.until("saved: src/words/mod.rs");
    dev.until("moved: live in");
    assert_eq!(greeting(&desk, "moved"), "\"Farewell, Ada, number 2\"\n");
    stop(&desk, dev);
}

#[test]
fn a_release_that_cannot_take_over_is_refused_and_the_one_that_serves_goes_on() {
    let desk = hello("refused");
    let mut dev = developed(&desk);
    assert_eq!(greeting(&desk, "refused"), "\"Hello, Ada, number 1\"\n");
    let description = std::fs::read_to_string(desk.path().join("hello/Component.toml")).unwrap();
    // What is stored is in another schema, and nothing brings it over.
    desk.write("hello/Component.toml", format!("state_schema = 1\n{description}"));
    dev.until("not brought in; what runs goes on as it was");
    assert_eq!(greeting(&desk, "refused"), "\"Hello, Ada, number 2\"\n");
    desk.write("hello/Component.toml", description);
    dev.until("applied in");
    // A topology that is wrong is told with its place, and keeps no source from being brought in.
    let topology = desk.path().join("hello/airssys.toml");
    let written = std::fs::read_to_string(&topology).unwrap();
    desk.write("hello/airssys.toml", format!("{written}\nrestarts = 3\n"));
    dev.until("airssys.toml: not brought in");
    desk.write("hello/src/lib.rs", greets("Good day"));
    dev.until("refused: live in");
    assert_eq!(greeting(&desk, "refused"), "\"Good day, Ada, number 3\"\n");
    desk.write("hello/airssys.toml", format!("{written}\n[service.limits]\nturn_deadline = \"7s\"\n"));
    dev.until("applied in");
    let said = stop(&desk, dev);
    assert!(said.contains("restarts") && said.contains("airssys.toml:7:1"), "{said}");
    assert!(said.contains("limits.turn_deadline: 5s becomes 7s"), "{said}");
}

#[test]
fn a_mesh_that_gave_up_is_started_again_by_a_save() {
    let desk = hello("given-up");
    desk.write("hello/src/lib.rs", greets("Hello").replace("Ok(", "panic!(\"on purpose\");\n    Ok("));
    let mut dev = developed(&desk);
    for _crash in 0..2 {
        assert_eq!(desk.run(&["call", "given-up", "\"Ada\""]).exit, Some(1));
    }
    dev.until("it is started again");
    desk.write("hello/src/lib.rs", greets("Hello"));
    dev.until("is up");
    assert_eq!(greeting(&desk, "given-up"), "\"Hello, Ada, number 1\"\n");
    let said = stop(&desk, dev);
    assert!(said.contains("error[AR301]"), "{said}");
}

/// The process of the build script that runs now, when it is another one than this.
fn script(pids: &Path, other_than: Option<u32>) -> u32 {
    let mut found = None;
    until("a build script runs", || {
        let pids = std::fs::read_to_string(pids).unwrap_or_default();
        found = pids.lines().last().and_then(|pid| pid.parse().ok()).filter(|pid| Some(*pid) != other_than);
        found.is_some()
    });
    found.unwrap()
}

fn until_gone(process: u32) {
    until("it is gone", || !Path::new(&format!("/proc/{process}")).exists());
}

#[test]
fn a_build_that_is_out_of_date_or_unwanted_is_ended() {
    let desk = hello("gated");
    let (gate, pids) = (desk.path().join("gate"), desk.path().join("pids"));
    well(Command::new("mkfifo").arg(&gate));
    // It says which process it is, and waits at the gate.
    desk.write(
        "hello/build.rs",
        format!(
            "use std::io::Write;\nfn main() {{\n    let mut pids = \
             std::fs::OpenOptions::new().create(true).append(true).open({pids:?}).unwrap();\n    \
             writeln!(pids, \"{{}}\", std::process::id()).unwrap();\n    std::fs::read({gate:?}).unwrap();\n}}\n"
        ),
    );
    let mut dev = begin(&desk);
    let first = script(&pids, None);
    desk.write("hello/src/lib.rs", greets("Good day"));
    dev.until("saved: src/lib.rs");
    until_gone(first);
    let second = script(&pids, Some(first));
    std::fs::OpenOptions::new().write(true).open(&gate).unwrap().write_all(b"go").unwrap();
    dev.until("is up");
    assert_eq!(greeting(&desk, "gated"), "\"Good day, Ada, number 1\"\n");
    desk.write("hello/src/lib.rs", greets("Welcome"));
    let third = script(&pids, Some(second));
    // What serves goes on over a build.
    assert_eq!(greeting(&desk, "gated"), "\"Good day, Ada, number 2\"\n");
    dev.signal("INT");
    let (exit, said) = dev.end();
    assert_eq!(exit, Some(0), "{said}");
    until_gone(third);
    assert!(!said.contains("not built"), "{said}");
}

#[test]
fn of_a_workspace_that_is_built_which_is_made_of_what_was_saved() {
    let desk = Desk::new();
    let _made = desk.run(&["new", "hello", "--mesh"]).well();
    let edit = |file: &str, from: &str, to: &str| {
        let file = desk.path().join("hello").join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    };
    edit("Cargo.toml", "\"porter\",", "\"porter\", \"shared\",");
    edit("greeter/Cargo.toml", "[dependencies]", "[dependencies]\nshared = { path = \"../shared\" }");
    edit("greeter/src/lib.rs", "\"Hello, {}!", "\"{}, {}!");
    edit("greeter/src/lib.rs", "visitor.name))", "shared::WORD, visitor.name))");
    desk.write("hello/shared/Cargo.toml", "[package]\nname = \"shared\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    desk.write("hello/shared/src/lib.rs", "pub const WORD: &str = \"Hello\";\n");
    let mut dev = developed(&desk);
    let call = |service: &str| desk.run(&["call", service, "{\"name\":\"Ada\"}"]).well().stdout;
    assert!(call("porter").contains("Hello, Ada! You are number 1."));
    desk.write("hello/shared/src/lib.rs", "pub const WORD: &str = \"Good day\";\n");
    dev.until("greeter: live in");
    assert!(call("porter").contains("Good day, Ada! You are number 2."));
    // One more service, of a guest that is there.
    let topology = std::fs::read_to_string(desk.path().join("hello/airssys.toml")).unwrap();
    desk.write("hello/airssys.toml", format!("{topology}\n[[service]]\nname = \"second\"\nrelease = \"greeter\"\n"));
    dev.until("applied in");
    assert!(call("second").contains("Good day, Ada! You are number 1."));
    let said = stop(&desk, dev);
    let builds: Vec<&str> = said.lines().filter(|line| line.ends_with(": building")).collect();
    assert_eq!(builds, ["greeter, porter: building", "greeter: building"], "{said}");
    let _refused =
        desk.run(&["build", "hello", "--only", "nobody"]).refused(1, "AB120", &["nobody", "greeter, porter"]);
}

#[test]
fn a_component_that_others_build_is_brought_in_when_its_file_is_written() {
    let desk = Desk::new();
    let file: PathBuf = desk.component("echo", "0.1.0");
    let topology = "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
    desk.write("hello/airssys.toml", topology.replace("echo.wasm", "../echo.wasm"));
    let mut dev = developed(&desk);
    let mut bytes = std::fs::read(&file).unwrap();
    // A section that says nothing: another component, which does the same.
    bytes.extend([0, 2, 1, b'x']);
    desk.write("echo.wasm", bytes);
    dev.until("echo: live in");
    assert_eq!(desk.run(&["call", "echo", "hello"]).well().stdout, "hello\n");
    stop(&desk, dev);
}
