//! What `airssys new` makes works as it is.

use std::path::Path;
use std::process::Command;

use airssys_tests::command::{Desk, airssys};

/// The target folder that the tests were built into: what is compiled there already is not compiled again.
fn target() -> std::path::PathBuf {
    airssys().ancestors().nth(2).map(Path::to_owned).unwrap()
}

fn well(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn a_new_mesh_builds_runs_and_passes_its_own_tests() {
    let desk = Desk::new();
    assert!(desk.run(&["new", "hello", "--mesh"]).well().stdout.contains("airssys run --input porter=visitors.jsonl"));
    let hello = desk.path().join("hello");
    well(desk.command(&["build", "hello"]).env("CARGO_TARGET_DIR", target()));
    let in_hello = |arguments: &[&str]| well(desk.command(arguments).current_dir(&hello));
    in_hello(&["check"]);
    let answers = in_hello(&["run", "--input", "porter=visitors.jsonl", "--concurrency", "1"]);
    assert!(answers.contains("Hello, Ada! You are number 1."), "{answers}");
    assert!(answers.contains("Hello, Grace! You are number 2."), "{answers}");
    // A file full of what crashes it is no end of the host.
    let bad = format!("{}{{\"name\":\"Grace\"}}\n", "{\"name\":\"Brutus\"}\n".repeat(10));
    std::fs::write(hello.join("bad.jsonl"), bad).unwrap();
    let answers = in_hello(&["run", "--input", "porter=bad.jsonl", "--concurrency", "1"]);
    assert!(answers.contains("Hello, Grace!"), "{answers}");
    // Its tests as a newcomer runs them: the handlers on the host, then the whole mesh.
    let mut cargo = Command::new("cargo");
    cargo.arg("test").current_dir(&hello).env("CARGO_TARGET_DIR", target()).env("AIRSSYS", airssys());
    let tests = well(&mut cargo);
    for name in ["nobody_comes_in_without_a_name ... ok", "every_visitor_gets_an_answer ... ok"] {
        assert!(tests.contains(name), "{tests}");
    }
}
