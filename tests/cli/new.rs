//! What `airssys new` makes works as it is, and the tutorial comes about as it is told.

use std::path::Path;
use std::process::Command;

use airssys_tests::command::{Desk, Ran, airssys};
use airssys_tests::tools::target;

pub(super) fn well(command: &mut Command) -> String {
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

/// The blocks of the tutorial, each with its language, in order.
fn tutorial() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("mdbook/src/tutorial.md")).unwrap();
    let pieces = page.split("\n```").map(str::to_owned).collect::<Vec<_>>();
    // Every second one is between two fences.
    pieces
        .into_iter()
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').map(|(language, text)| (language.to_owned(), format!("{text}\n"))).unwrap())
        .collect()
}

/// The columns of a table may be wider where another number is.
fn without_spaces(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn the_tutorial_comes_about_as_it_is_told() {
    let desk = Desk::new();
    let (mut seen, mut shown) = (String::new(), 0);
    for (language, text) in tutorial() {
        match &*language {
            "sh" => {
                for line in text.lines().filter(|line| line.starts_with("airssys ") && !line.contains("hello")) {
                    if line == "airssys build" || line.contains("porter") {
                        // Those of the whole mesh, which has a test of its own.
                        continue;
                    }
                    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
                    let ran = follow(&desk, &arguments);
                    if arguments[0] != "run" {
                        assert_eq!(ran.exit, Some(0), "{line}: {ran:#?}");
                    }
                    seen = format!("{}{}", ran.stdout, ran.stderr);
                }
            }
            "rust" if text.contains("state::increment") => {
                let file = desk.path().join("greeter/src/lib.rs");
                let written = std::fs::read_to_string(&file).unwrap();
                let begin = written.find("#[component]").unwrap();
                std::fs::write(file, format!("{}{text}", &written[..begin])).unwrap();
            }
            "toml" if text.starts_with("# airssys.toml") && !text.contains("porter") => {
                desk.write("airssys.toml", text);
                if desk.path().join("visitors.jsonl").exists() {
                    // The last one: more restarts are borne, and everybody is answered.
                    let ran = follow(&desk, &["run", "--input", "greeter=visitors.jsonl", "--concurrency", "1"]);
                    assert!(ran.stdout.contains("4 \"Hello, Grace! You are number 2.\""), "{ran:#?}");
                    shown += 1;
                }
            }
            "json" => {
                desk.write("visitors.jsonl", text);
                if shown > 1 {
                    // The page says how it goes on without the command again. The last line is to be on its way when
                    // the service stops, which is as the machine has it.
                    let mut tries = (0..50).map(|_| {
                        let ran = run(&desk, &["run", "--input", "greeter=visitors.jsonl"]);
                        format!("{}{}", ran.stdout, ran.stderr)
                    });
                    seen = tries.find(|seen| seen.contains("\n4 error[dropped]")).unwrap();
                }
            }
            "text" => {
                let seen = without_spaces(&seen);
                for line in without_spaces(&text) {
                    assert!(seen.contains(&line), "no {line:?} in {seen:#?}");
                }
                shown += 1;
            }
            _ => {}
        }
    }
    assert_eq!(shown, 5, "so many outputs were compared");
}

/// A command of the tutorial, as a newcomer gives it.
fn follow(desk: &Desk, arguments: &[&str]) -> Ran {
    // One after the other, so that who is told what does not depend on the machine.
    let one = arguments.first().filter(|first| **first == "run" && !arguments.contains(&"--concurrency"));
    let more: &[&str] = if one.is_some() { &["--concurrency", "1"] } else { &[] };
    run(desk, &[arguments, more].concat())
}

fn run(desk: &Desk, arguments: &[&str]) -> Ran {
    desk.command(arguments).env("CARGO_TARGET_DIR", target()).output().unwrap().into()
}
