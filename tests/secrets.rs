//! What an operator marked as secret is nowhere to be read but by the guest that it is for; and where it is for certain
//! hosts only, not even that guest has it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::path::Path;

use airssys_tests::command::{Desk, Ran};
use airssys_tests::{Mesh, PATIENCE, read, with_guests};
use serde_json::{Value, json};

use super::cli::signals::Running;
use super::http_out::servers::Server;

const SECRET: &str = "corr3ct-h0rse\"battery";
const NEXT: &str = "anoth3r-h0rse\"battery";

const LOGS: &str = "[[log]]\nname = \"json\"\nto = \"file\"\npath = \"log/json\"\nlevel = \"trace\"\noperations = [\"all\"]\n\
                    bodies = \"1MiB\"\n[[log]]\nname = \"pretty\"\nto = \"file\"\npath = \"log/pretty\"\nformat = \"pretty\"\n\
                    operations = [\"all\"]\nbodies = \"24 B\"\n[[log]]\nname = \"console\"\nto = \"console\"\nformat = \"compact\"\n\
                    [[log]]\nname = \"tracing\"\nto = \"tracing\"\noperations = [\"all\"]\nbodies = \"1KiB\"\n";

fn mesh(secret: &str, more: &str) -> String {
    let token = format!("{{ value = {secret:?}, secret = true{more} }}");
    format!(
        "name = \"mesh\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\nstate = \"durable\"\n\
         [service.config]\ntoken = {token}\nplain = \"seen by all\"\n\
         [service.grants]\nenvironment = {{ GREETING = \"$config.token\" }}\n\
         [[service]]\nname = \"b\"\nrelease = \"@prober\"\n[root]\nintensity = 1000\n{LOGS}"
    )
}

/// Nothing of a secret, in whichever way it may be written.
fn is_clean(text: &str, of: &str) {
    let hex = |secret: &str| secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for secret in [SECRET, NEXT] {
        // Of `xx` and the secret in base64.
        let base64 = if secret == SECRET { "Y29ycjNjdC1oMHJzZSJiYXR0ZXJ5" } else { "YW5vdGgzci1oMHJzZSJiYXR0ZXJ5" };
        for written in [hex(secret), base64.to_owned(), "h0rse".to_owned()] {
            assert!(!text.contains(&written), "{of} has {written:?}: {text}");
        }
    }
}

fn files(folder: &Path) -> usize {
    let mut all = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += files(&path);
        } else {
            is_clean(&String::from_utf8_lossy(&fs::read(&path).unwrap()), &path.display().to_string());
            all += 1;
        }
    }
    all
}

#[test]
fn a_secret_is_in_no_log_no_audit_no_error_no_event_no_dump_and_no_dead_letter() {
    let desk = Desk::with(&mesh(SECRET, ""));
    let mut running = Running::start(desk.command(&["run", "--log", "trace"]));
    running.until("is up");
    let told = |ran: &Ran| is_clean(&format!("{}{}", ran.stdout, ran.stderr), "what was said");
    // The guest has it, and whoever asks for its answer over the control socket has not.
    for has in [json!({ "config": "token" }), json!({ "env": "GREETING" })] {
        let asked = desk.run(&["call", "a", &has.to_string()]).well();
        assert!(asked.stdout.contains("(secret)"), "{asked:#?}");
        told(&asked);
    }
    assert!(desk.run(&["call", "a", &json!({ "config": "plain" }).to_string()]).well().stdout.contains("seen by all"));
    let says = format!("it is {SECRET}, and {SECRET}");
    for command in [
        json!({ "log": { "level": "error", "line": says } }),
        json!({ "stdout": format!("{says}\nand more") }),
        json!({ "stderr": says }),
        json!({ "stdout": "Y29ycjNjdC1oMHJzZSJiYXR0ZXJ5" }),
        json!({ "fail": { "fault": "refused", "reason": says } }),
        json!({ "set": { "key": "kept", "value": says } }),
        json!({ "set": { "key": SECRET, "value": 1 } }),
        json!({ "send": { "to": SECRET, "body": "count" } }),
        json!({ "send": { "to": "b", "body": { "echo": SECRET } } }),
        json!({ "publish": { "topic": SECRET, "body": "count" } }),
        json!({ "do": [{ "log": { "level": "warn", "line": says } }, { "trap": "panic" }] }),
        // Cut in the middle of it.
        json!({ "log": { "level": "info", "line": format!("{}{SECRET}", "x".repeat(8_180)) } }),
    ] {
        told(&desk.run(&["call", "a", &command.to_string()]));
    }
    let id = {
        let letters = desk.run(&["dead-letters", "list", "--json"]).well().stdout;
        is_clean(&letters, "dead letters");
        let letters: Value = serde_json::from_str(&letters).unwrap();
        letters["letters"][0]["id"].to_string()
    };
    let letter = desk.run(&["dead-letters", "show", &id]).well();
    assert!(letter.stdout.contains("(secret)"), "{letter:#?}");
    told(&letter);
    for looks in [
        &["state", "dump", "a"][..],
        &["state", "dump", "a", "--json"],
        &["state", "get", "a", "kept"],
        &["dead-letters", "list"],
        &["events"],
        &["events", "--json"],
        &["ps"],
        &["status"],
        &["logs"],
        &["logs", "--json"],
        &["audit", "show"],
        &["audit", "show", "--json"],
        &["caps", "a"],
        &["check"],
        &["send", SECRET, "x"],
        &["grant", "a", "call", SECRET],
    ] {
        told(&desk.run(looks));
    }

    desk.write("airssys.toml", with_guests(&mesh(NEXT, "")));
    let plan = desk.run(&["apply", "--plan"]).well();
    assert!(plan.stdout.contains("a secret becomes another secret"), "{plan:#?}");
    told(&plan);
    told(&desk.run(&["apply", "--probation", "1ms"]).well());
    let asked = desk.run(&["call", "a", &json!({ "config": "token" }).to_string()]).well();
    assert!(asked.stdout.contains("(secret)"), "{asked:#?}");
    told(&asked);
    // The one before is hidden still.
    told(&desk.run(&["call", "a", &json!({ "fail": { "fault": "refused", "reason": SECRET } }).to_string()]));
    // Without a host, those are known that are in force.
    let last = json!([{ "delete": SECRET }, { "set": { "key": "kept", "value": format!("it is {NEXT}") } }]);
    told(&desk.run(&["call", "a", &json!({ "do": last }).to_string()]).well());
    let _stopped = desk.run(&["stop"]).well();
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0));
    is_clean(&said, "stderr");
    assert!(said.contains("it is (secret), and (secret)"), "{said}");
    let dump = desk.run(&["state", "dump", "a"]).well();
    assert!(dump.stdout.contains("(secret)"), "{dump:#?}");
    told(&dump);
    let folder = desk.path();
    let seen = files(&folder.join("log")) + files(&folder.join(".airssys/log")) + files(&folder.join(".airssys/audit"));
    assert!(seen >= 4, "{seen}");
    let json = fs::read_to_string(folder.join("log/json")).unwrap();
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{json}");
    assert!(json.contains("(secret)") && json.contains("\"body\""), "{json}");
}

fn fetches(port: u16, hosts: &str) -> String {
    format!(
        "name = \"m\"\n[[service]]\nname = \"fetcher\"\nrelease = \"@fetcher\"\n\
         config = {{ token = {{ value = \"s3cr3t-of-the-host\", secret = true, hosts = [{hosts}] }} }}\n\
         [service.grants]\nhttp = [\"* http://127.0.0.1:{port}/**\"]\n"
    )
}

/// What the server saw of a header in which the guest wrote what it has under `token`, and what the guest has.
async fn sent(mesh: &Mesh, server: &Server) -> (String, String) {
    let ask = json!({ "url": server.url("/v1"), "headers": [["x-own", "Bearer {token}"]], "tells": true });
    let answer = mesh.runtime.call("fetcher", serde_json::to_vec(&ask).unwrap(), PATIENCE).await.unwrap().unwrap();
    let told: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&told["status"], &told["error"]), (&json!(200), &Value::Null), "{told}");
    let seen: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
    (seen["own"].as_str().unwrap().to_owned(), told["token"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_holds_a_placeholder_and_the_host_sends_the_secret_to_the_hosts_that_it_is_for() {
    let server = Server::start().await;
    let own = format!("\"http://127.0.0.1:{}\"", server.port);
    let mesh = Mesh::start(&fetches(server.port, &own)).await;
    let (seen, has) = sent(&mesh, &server).await;
    assert_eq!(seen, "Bearer s3cr3t-of-the-host");
    assert!(has.starts_with("placeholder-") && !has.contains("s3cr3t"), "{has}");
    assert_eq!(sent(&mesh, &server).await.1, has, "it is the same one for as long as the host lives");
    mesh.stop().await;
    // A server that the guest may ask, and that the secret is not for.
    for other in ["\"http://127.0.0.1:1\"", "\"127.0.0.1\"", "\"api.example\""] {
        let mesh = Mesh::start(&fetches(server.port, other)).await;
        let (seen, has) = sent(&mesh, &server).await;
        assert_eq!(seen, format!("Bearer {has}"), "{other}");
        mesh.stop().await;
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let with = |token: &str| {
        format!("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[service.config]\ntoken = {token}\n")
    };
    for (token, says) in [
        ("{ value = \"shrt-1!\", secret = true }", "8 bytes at least"),
        ("{ value = \"long-enough-1!\", hosts = [\"x\"] }", "add `secret = true`"),
        ("{ value = \"long-enough-1!\", secret = true, hosts = [\"a b\"] }", "\"a b\" is no host"),
        ("{ value = \"long-enough-1!\\n\", secret = true, hosts = [\"x\"] }", "cannot stand in one"),
        ("{ value = \"long-enough-1!\", secret = \"yes\" }", "boolean"),
    ] {
        let error = read(folder.path(), &with(token)).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains(says) && error.at.is_some() && !told.contains("-1!"), "{token}: {told}");
    }
    let lacking = with("\"x\"") + "[service.grants]\nenvironment = { GREETING = \"$config.tokn\" }\n";
    let error = read(folder.path(), &lacking).unwrap_err();
    assert!(error.to_string().contains("\"tokn\", which is not in `config`"), "{error}");
}
