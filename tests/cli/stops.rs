//! What an operator stopped stays stopped, whatever becomes of the host, until somebody starts it.

use airssys_tests::command::Desk;
use serde_json::Value;

use super::signals::Running;

/// Two services, one of which is stopped.
const TWO: &str = "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n[[service]]\nname = \"other\"\nrelease = \"@echo\"\n";

pub(super) fn up(desk: &Desk, more: &[&str]) -> Running {
    let mut running = Running::start(desk.command(&[&["run"], more].concat()));
    running.until("is up");
    running
}

/// Kills a host; what it had said.
pub(super) fn kill(running: Running) -> String {
    running.signal("KILL");
    running.end().1
}

/// Whether each service is stopped, and which of them answer.
fn is_stopped(desk: &Desk) -> Vec<(String, bool)> {
    let services = desk.run(&["ps", "--json"]).well().stdout;
    let services: Value = serde_json::from_str(&services).unwrap();
    let each = services.as_array().unwrap().iter();
    let told: Vec<(String, bool)> =
        each.map(|of| (of["service"].as_str().unwrap().to_owned(), of["stopped"].as_bool().unwrap())).collect();
    for (service, stopped) in &told {
        if *stopped {
            let _refused = desk.run(&["call", service, "hello"]).refused(1, "AH201", &["stopped", service]);
        } else {
            assert_eq!(desk.run(&["call", service, "hello"]).well().stdout.trim(), "hello");
        }
    }
    told
}

fn only_echo(stopped: bool) -> Vec<(String, bool)> {
    vec![("echo".to_owned(), stopped), ("other".to_owned(), false)]
}

#[test]
fn a_stop_outlives_the_host_and_ends_with_a_start() {
    let desk = Desk::with(TWO);
    let running = up(&desk, &[]);
    assert_eq!(is_stopped(&desk), only_echo(false));
    let _no_such = desk.run(&["stop", "nobody"]).refused(1, "AH201", &["no-such-service", "nobody", "airssys ps"]);
    let told = desk.run(&["stop", "echo"]).well().stdout;
    assert!(told.contains("stopped echo") && told.contains("until `airssys start echo`"), "{told}");
    kill(running);

    let mut running = up(&desk, &[]);
    assert_eq!(is_stopped(&desk), only_echo(true));
    assert!(desk.run(&["ps"]).well().stdout.contains("echo (stopped)"));
    let release = airssys_tests::guest("echo-wasi");
    let _refused = desk.run(&["deploy".as_ref(), "echo".as_ref(), release.as_os_str()]).refused(
        1,
        "AH201",
        &["stopped", "airssys start echo"],
    );
    // An end in order takes it as little back as a kill.
    let _stopped = desk.run(&["stop"]).well();
    let (_, said) = running.end();
    assert!(said.contains("echo: stopped by an operator since 20") && said.contains("airssys start echo"), "{said}");

    running = up(&desk, &[]);
    assert_eq!(is_stopped(&desk), only_echo(true));
    assert!(desk.run(&["start", "echo"]).well().stdout.contains("echo is up"));
    assert_eq!(is_stopped(&desk), only_echo(false));
    // Where it runs already there is nothing to do.
    assert!(desk.run(&["start", "echo"]).well().stdout.contains("echo is up"));
    kill(running);

    let running = up(&desk, &[]);
    assert_eq!(is_stopped(&desk), only_echo(false));
    let said = kill(running);
    assert!(!said.contains("stopped by an operator"), "{said}");
}

#[test]
fn a_stop_that_was_written_down_and_cannot_be_read_is_told() {
    let desk = Desk::with(TWO);
    let running = up(&desk, &[]);
    let _stopped = desk.run(&["stop", "echo"]).well();
    kill(running);
    let file = desk.path().join(".airssys/desired/records");
    let mut written = std::fs::read(&file).unwrap();
    let needle = b"\"stopped\":{\"echo\"";
    let at = (0..written.len()).rev().find(|at| written[*at..].starts_with(needle)).unwrap();
    written[at + 2] ^= 1;
    std::fs::write(&file, &written).unwrap();
    let names = ["desired/records", "airssys state forget-record stopped", "airssys stop SERVICE"];
    let _told = desk.run(&["run"]).refused(3, "AR112", &names);
    let _forgotten = desk.run(&["state", "forget-record", "stopped"]).well();
    let running = up(&desk, &[]);
    assert_eq!(is_stopped(&desk), only_echo(false));
    kill(running);
}

#[test]
fn a_stopped_service_that_is_no_service_any_more_is_told_and_forgotten() {
    let desk = Desk::with(TWO);
    let running = up(&desk, &[]);
    let _stopped = desk.run(&["stop", "echo"]).well();
    kill(running);
    let file = desk.path().join("airssys.toml");
    let both = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, both.replace("\"echo\"\n", "\"new\"\n")).unwrap();
    let running = up(&desk, &["--as-written"]);
    let said = kill(running);
    assert!(said.contains("echo: was stopped by an operator since") && said.contains("no service any more"), "{said}");
    std::fs::write(&file, both).unwrap();
    let running = up(&desk, &["--as-written"]);
    assert_eq!(is_stopped(&desk), only_echo(false));
    kill(running);
}
