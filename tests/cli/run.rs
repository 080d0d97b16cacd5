//! `airssys run --input`: each line is a call, and each has one outcome.

use airssys_tests::command::Desk;
use prober_protocol::Command;
use serde_json::{Value, json};

use super::{ECHO, PROBER};

fn text(command: &Command) -> String {
    String::from_utf8(command.bytes()).unwrap()
}

#[test]
fn each_line_is_answered_with_its_number() {
    let desk = Desk::with(ECHO);
    desk.write("in", "one\n\n{\"b\": 1.10, \"a\": 2}\nlast");
    let ran = desk.run(&["run", "--input", "echo=in", "--concurrency", "1"]).well();
    assert_eq!(ran.stdout, "1 one\n2 \n3 {\"b\": 1.10, \"a\": 2}\n4 last\n");
    assert!(ran.stderr.contains("4 lines") && ran.stderr.contains("answered      4"), "{ran:#?}");

    let ran = desk.run(&["run", "--input", "echo=in", "--json"]).well();
    assert!(ran.stdout.contains("{\"line\":3,\"ok\":{\"b\": 1.10, \"a\": 2}}\n"), "{ran:#?}");
    let (answers, summary) = ran.answers_and_summary();
    assert_eq!(answers.len(), 4);
    assert!(answers.contains(&json!({ "line": 4, "ok": "last" })));
    assert_eq!(summary["input"]["answered"], 4);
    assert_eq!((&summary["services"][0]["handled"], &summary["dead_letters"]["total"]), (&json!(4), &json!(0)));
}

#[test]
fn what_is_no_text_is_sent_as_bytes() {
    let ran = Desk::with(ECHO).run_with(&["run", "--input", "echo=-", "--json"], b"\xff\x00\n\xc3\xa9\r\n").well();
    assert_eq!(ran.sorted_lines()[..2], ["{\"line\":1,\"ok_hex\":\"ff00\"}", "{\"line\":2,\"ok\":\"é\\r\"}"]);
}

#[test]
fn an_empty_input_is_done_at_once() {
    let (answers, summary) = Desk::with(ECHO).run(&["run", "--input", "echo=-", "--json"]).well().answers_and_summary();
    assert_eq!((answers.len(), &summary["input"]["lines"]), (0, &json!(0)));
}

#[test]
fn a_line_that_is_too_long_is_an_error_of_that_line_alone() {
    let desk = Desk::with(&format!("{ECHO}limits = {{ message = \"8B\" }}\n"));
    let ran = desk.run_with(&["run", "--input", "echo=-"], "12345678\n123456789\nend\n").well();
    let says = "2 error[too-large]: the message has 9 bytes; 8 is the most";
    assert_eq!(ran.sorted_lines(), ["1 12345678", says, "3 end"]);
}

#[test]
fn lines_are_sent_in_their_order_however_many_are_under_way() {
    // A small mailbox, so that lines wait for room too.
    let desk = Desk::with(&format!("{PROBER}mailbox = {{ capacity = 4 }}\n"));
    let lines = format!("{}\n", text(&Command::Count)).repeat(2_000);
    let ran = desk.run_with(&["run", "--input", "prober=-", "--json", "--concurrency", "64"], lines).well();
    let (answers, _) = ran.answers_and_summary();
    assert_eq!(answers.len(), 2_000);
    for answer in answers {
        assert_eq!(answer["line"], answer["ok"]["ok"], "the n-th line is the n-th message");
    }
}

#[test]
fn what_fails_is_told_by_kind_and_counted() {
    let desk = Desk::with(&format!(
        "{PROBER}limits = {{ turn_deadline = \"2s\", turn_budget = \"50ms\" }}\n[root]\nintensity = 100\n"
    ));
    desk.write(
        "in",
        "{\"echo\":1}\nnonsense\n{\"fail\":{\"fault\":\"refused\",\"reason\":\"no\"}}\n{\"trap\":\"panic\"}\n{\"trap\":\"endless_loop\"}\n{\"echo\":2}\n",
    );
    let ran = desk.run(&["run", "--input", "prober=in", "--json"]).well();
    let (answers, summary) = ran.answers_and_summary();
    let error = |line: u64| {
        let answer = answers.iter().find(|answer| answer["line"] == line).unwrap();
        (answer["error"]["code"].clone(), answer["error"]["kind"].clone())
    };
    let told = |code: &str, kind: &str| (Value::from(code), Value::from(kind));
    assert_eq!(error(2), told("fault", "invalid"));
    assert_eq!(error(3), told("fault", "refused"));
    assert_eq!(error(4), told("crashed", "trap"));
    assert_eq!(error(5), told("crashed", "budget"));
    assert_eq!(
        (&summary["input"]["answered"], &summary["input"]["faults"], &summary["input"]["errors"]),
        (&json!(2), &json!({ "invalid": 1, "refused": 1 }), &json!({ "crashed": 2 }))
    );
    let prober = &summary["services"][0];
    assert_eq!((&prober["crashed"], &prober["restarts"]), (&json!(2), &json!(2)));
    assert_eq!(summary["dead_letters"]["by_reason"], json!({ "crashed": 2 }));

    let ran = desk.run(&["run", "--input", "prober=in", "--strict"]).refused(1, "AR304", &["4 lines"]);
    assert!(ran.stderr.contains("errors        2 (crashed 2)"), "{ran:#?}");
    assert!(ran.stderr.contains("faults        2 (invalid 1, refused 1)"), "{ran:#?}");
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_error_of_its_line() {
    let input = format!("{}\n{}\n", text(&Command::Sleep(1_500)), text(&Command::Echo(json!(1))));
    let arguments = ["run", "--input", "prober=-", "--json", "--timeout", "1s"];
    let (answers, summary) = Desk::with(PROBER).run_with(&arguments, input).well().answers_and_summary();
    assert!(answers.iter().all(|answer| answer["error"]["code"] == "timeout"), "{answers:?}");
    // The one came too late, the other was not wanted any more when its turn came. Neither is lost.
    assert_eq!(summary["dead_letters"]["by_reason"], json!({ "expired": 1, "late-answer": 1 }));
}

#[test]
fn what_the_lines_set_off_is_done_before_the_tree_stops() {
    let desk = Desk::with(&format!(
        "{PROBER}grants = {{ send = [\"slow\"] }}\n[[service]]\nname = \"slow\"\nrelease = \"@prober\"\n"
    ));
    let body = json!({ "sleep": 20 });
    let line = text(&Command::Send { to: "slow".into(), key: None, body });
    let arguments = ["run", "--input", "prober=-", "--json"];
    let ran = desk.run_with(&arguments, format!("{line}\n").repeat(20)).well();
    let (_, summary) = ran.answers_and_summary();
    assert_eq!(summary["services"][1]["handled"], 20, "{summary}");
    assert_eq!(summary["dead_letters"]["total"], 0, "{summary}");
}

#[test]
fn a_keyed_actor_can_be_given_lines() {
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n"));
    let lines = format!("{}\n", text(&Command::Count)).repeat(3);
    let ran = desk.run_with(&["run", "--input", "prober/alice=-"], lines).well();
    assert_eq!(ran.sorted_lines(), ["1 {\"ok\":1}", "2 {\"ok\":2}", "3 {\"ok\":3}"]);
}

#[test]
fn a_tree_that_gives_up_fails_the_run() {
    let desk = Desk::with(&format!("{PROBER}[root]\nintensity = 0\n"));
    let lines = "{\"trap\":\"panic\"}\n".repeat(3);
    let arguments = ["run", "--input", "prober=-", "--concurrency", "1"];
    let names = ["prober", "0 restarts in 5s", "`[root]`", "`intensity`", "`backoff`"];
    let ran = desk.run_with(&arguments, &lines).refused(1, "AR301", &names);
    assert!(ran.stdout.starts_with("1 error[crashed]: "), "{ran:#?}");
    // Where a supervisor below the root gave up first, it is that one's key that is told.
    let below = "name = \"mesh\"\n[[supervisor]]\nname = \"back\"\nintensity = 0\nperiod = \"1m\"\nbackoff = { initial = \"1ms\" }\n\
                 [root]\nintensity = 0\n[[service]]\nname = \"prober\"\nrelease = \"@prober\"\nsupervisor = \"back\"\n";
    let names = ["back needed more than 0 restarts", "the `[[supervisor]]` back", "0 restarts in 1m", "`intensity`"];
    let ran = Desk::with(below).run_with(&arguments, &lines).refused(1, "AR301", &names);
    assert!(!ran.stderr.contains("give it a `backoff`"), "{ran:#?}");
}

#[test]
fn a_service_that_does_not_start_leaves_nothing_running() {
    let recorder = "[[service]]\nname = \"first\"\nrelease = \"@prober\"\n";
    let bad = "[[service]]\nname = \"second\"\nrelease = \"@prober\"\n[service.config]\ninit = \"fault\"\n";
    let desk = Desk::with(&format!("name = \"mesh\"\n{recorder}{bad}"));
    let ran = desk.run(&["run"]).refused(3, "AR104", &["second", "init failed", "unavailable"]);
    assert!(!ran.stderr.contains("is up"), "{ran:#?}");
}

#[test]
fn a_guests_log_is_told_unless_nobody_wants_it() {
    let desk = Desk::with(PROBER);
    desk.write("in", "{\"stdout\":\"hello there\"}\n");
    let input = ["run", "--input", "prober=in"];
    assert!(desk.run(&input).well().stderr.contains("hello there"));
    assert!(!desk.run(&[&input[..], &["--log", "error"]].concat()).well().stderr.contains("hello there"));
    let output = desk.command(&input).env("AIRSSYS_LOG", "off").output().unwrap();
    assert!(output.status.success() && !String::from_utf8(output.stderr).unwrap().contains("hello there"));
}
