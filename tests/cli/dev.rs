//! `airssys dev`: what is saved is served, with the state that was there; what does not build is told, and what serves
//! goes on.

use airssys_tests::command::Desk;
use airssys_tests::tools::target;

use super::signals::Running;

/// A guest that counts whom it greets, with this word.
fn greets(word: &str) -> String {
    format!(
        "use airssys_sdk::prelude::*;\n\n#[component]\nfn greet(name: String) -> Result<String> {{\n    \
         let guests = state::increment(\"guests\", 1)?;\n    Ok(format!(\"{word}, {{name}}, number {{guests}}\"))\n}}\n"
    )
}

/// What `airssys new` makes, in a folder `hello`, developed.
fn developed(desk: &Desk) -> Running {
    let said = desk.run(&["new", "hello"]).well().stdout;
    assert!(said.contains("Next: "), "{said}");
    desk.write("hello/src/lib.rs", greets("Hello"));
    let mut dev = desk.command(&["dev", "hello"]);
    let mut dev = Running::start({
        dev.env("CARGO_TARGET_DIR", target());
        dev
    });
    dev.until("is up");
    dev
}

fn greeting(desk: &Desk) -> String {
    desk.run(&["call", "hello", "\"Ada\""]).well().stdout
}

fn stop(desk: &Desk, dev: Running) -> String {
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = dev.end();
    assert_eq!(exit, Some(0), "{said}");
    said
}

#[test]
fn a_saved_file_is_served_and_the_state_is_kept() {
    let desk = Desk::new();
    let mut dev = developed(&desk);
    assert_eq!(greeting(&desk), "\"Hello, Ada, number 1\"\n");
    desk.write("hello/src/lib.rs", greets("Good day"));
    dev.until("hello: live in");
    assert_eq!(greeting(&desk), "\"Good day, Ada, number 2\"\n");
    let said = stop(&desk, dev);
    assert!(said.contains("saved: src/lib.rs\n") && said.contains("hello: built in"), "{said}");
}

#[test]
fn what_does_not_build_is_told_with_its_place_and_what_serves_goes_on() {
    let desk = Desk::new();
    let mut dev = developed(&desk);
    desk.write("hello/src/lib.rs", greets("Hello").replace("guests\", 1", "guests\", one"));
    dev.until("hello: not built");
    assert_eq!(greeting(&desk), "\"Hello, Ada, number 1\"\n");
    desk.write("hello/src/lib.rs", greets("Welcome"));
    dev.until("hello: live in");
    assert_eq!(greeting(&desk), "\"Welcome, Ada, number 2\"\n");
    let said = stop(&desk, dev);
    assert!(said.contains("cannot find value `one`") && said.contains("src/lib.rs:5:"), "{said}");
}
