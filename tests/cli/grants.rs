//! What a service may do, and one grant more or less of it.

use airssys_tests::command::Desk;
use serde_json::Value;

use super::stops::{kill, up};

const TWO: &str = "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\ngrants = { send = [\"b\"] }\n\
                   [[service]]\nname = \"b\"\nrelease = \"@prober\"\n";

fn call() -> String {
    let command = prober_protocol::Command::Call {
        to: "b".into(),
        key: None,
        body: prober_protocol::Command::Count.value(),
        timeout_ms: 9_000,
    };
    String::from_utf8_lossy(&command.bytes()).into_owned()
}

/// Whether `a` may call `b`, as it finds out itself.
fn is_let(desk: &Desk) -> bool {
    let told = desk.run(&["call", "a", &call()]).well().stdout;
    let denied = told.contains("not-sent/denied");
    assert_ne!(denied, told.contains("\"ok\""), "{told}");
    !denied
}

#[test]
fn a_grant_comes_and_goes_by_command_and_is_explained() {
    let desk = Desk::with(TWO);
    let running = up(&desk, &[]);
    let table = desk.run(&["caps", "a"]).well().stdout;
    assert!(
        table.contains("Component.toml")
            && table.lines().any(|line| line.trim_start().starts_with("send") && line.contains("granted in part")),
        "{table}"
    );
    assert!(!is_let(&desk));
    let why = desk
        .run(&["caps", "why", "a", "call", "b"])
        .refused(1, "AH201", &["denied", "add \"b\" to `call`", "airssys caps a"])
        .stdout;
    assert!(
        why.contains("a may not call b") && why.contains("requested in its Component.toml: `call` has \"**\""),
        "{why}"
    );
    assert!(desk.run(&["grant", "a", "call", "b"]).well().stdout.contains("a is granted call b"));
    assert!(desk.run(&["grant", "a", "call", "b"]).well().stdout.contains("already"));
    assert!(is_let(&desk));
    let why: Value =
        serde_json::from_str(&desk.run(&["caps", "why", "a", "call", "b", "--json"]).well().stdout).unwrap();
    assert_eq!((&why["allowed"], &why["granted"]), (&true.into(), &"b".into()));
    assert!(desk.run(&["revoke", "a", "send", "b"]).well().stdout.contains("no more granted send b"));
    for (arguments, code, names) in [
        (["revoke", "a", "send", "b"], "AH201", ["not-granted", "nothing is"]),
        (["revoke", "a", "sned", "b"], "AH201", ["no-such-grant", "send, call, publish"]),
        (["grant", "a", "call", "nobody"], "AH201", ["no-target", "nobody"]),
        (["grant", "nobody", "call", "b"], "AH201", ["no-such-service", "airssys ps"]),
        (["grant", "a", "files", "/in"], "AH201", ["no-such-grant", "in the topology"]),
    ] {
        let _told = desk.run(&arguments).refused(1, code, &names);
    }
    let events = desk.run(&["events", "--kind", "grant"]).well().stdout;
    assert!(events.contains("granted: call b") && events.contains("revoked: send b"), "{events}");
    // A kill takes neither back, and the next start says that the file is not what is in force.
    kill(running);
    let running = up(&desk, &[]);
    assert!(is_let(&desk));
    let _told = desk.run(&["caps", "why", "a", "send", "b"]).refused(1, "AH201", &["denied"]);
    let said = kill(running);
    assert!(
        said.contains("is not what is in force") && said.contains("grants.call") && said.contains("grants.send"),
        "{said}"
    );
}

#[test]
fn what_was_learned_is_a_patch_of_the_topology() {
    let desk = Desk::with(TWO);
    let running = up(&desk, &["--learn"]);
    assert!(is_let(&desk));
    let told = desk.run(&["caps", "learn"]).well().stdout;
    for part in [
        "# a: 1 grant for 1 operation, decided again",
        "# b: it did nothing that needs a grant",
        "let through: call b",
        "\n-grants = { send = [\"b\"] }\n",
        "\n+grants = { call = [\"b\"] }\n",
        "\n--- airssys.toml\n+++ airssys.toml\n@@ ",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    let unused = desk.run(&["caps", "unused"]).well().stdout;
    assert!(unused.lines().any(|line| line.split_whitespace().eq(["a", "send", "b"])), "{unused}");
    let _stopped = desk.run(&["stop"]).well();
    let (_, said) = running.end();
    assert!(said.contains("NOTHING IS DENIED") && said.contains("+grants = { call = [\"b\"] }"), "{said}");
    // The mode is of that run alone.
    let running = up(&desk, &[]);
    assert!(!is_let(&desk));
    let _told = desk.run(&["caps", "learn"]).refused(1, "AH201", &["not-counted", "airssys run --learn"]);
    let _said = kill(running);
}
