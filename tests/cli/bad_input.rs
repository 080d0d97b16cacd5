//! Files that are not what they should be. Nothing is started for them, not even what stands before them.

use std::fs::File;
use std::path::Path;

use airssys_tests::command::Desk;
use airssys_tests::guest;

use super::{ECHO, PROBER};

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A topology with a good service, which would log its start, and a bad one after it.
fn desk_with(bad: &[u8]) -> Desk {
    let desk = Desk::with(&format!(
        "{PROBER}[service.config]\ninit = \"panic\"\n[[service]]\nname = \"bad\"\nrelease = \"bad.wasm\"\n"
    ));
    desk.write("bad.wasm", bad);
    desk
}

#[test]
fn a_file_that_is_no_component_is_named_with_what_it_is() {
    let echo = std::fs::read(guest("echo").parent().unwrap().join("target/airssys/echo.wasm")).unwrap();
    let core_module = component("(module)");
    for (bytes, code, says) in [
        (&b""[..], "AC103", "it is empty"),
        (b"not at all", "AC103", "it is not WebAssembly"),
        (b"\0asm", "AC103", "it is not WebAssembly"),
        (&core_module, "AC103", "it is a core module"),
        (&echo[..echo.len() / 2], "AC104", "is not a valid component"),
        (&echo[..9], "AC104", "is not a valid component"),
    ] {
        let desk = desk_with(bytes);
        for subcommand in ["check", "run"] {
            let ran = desk.run(&[subcommand]).refused(2, code, &["service bad", "bad.wasm", says]);
            // What the other one asks for and is not granted is told before, and is nothing wrong.
            let error = ran.stderr.split_once("error[").unwrap().1;
            assert!(ran.stdout.is_empty() && !error.contains("prober"), "{ran:#?}");
        }
        let _refused = desk.run(&["inspect", "bad.wasm"]).refused(2, code, &["bad.wasm", says]);
    }
}

#[test]
fn a_core_module_is_taken_where_it_can_be_a_component_and_else_it_is_said_why() {
    let tool = "(module (memory (export \"memory\") 1) (func (export \"_start\")))";
    let desk = desk_with(&component(tool));
    let _well = desk.run(&["check"]).well();
    let inspected = desk.run(&["inspect", "bad.wasm"]).well();
    assert!(inspected.stdout.contains("from a core module of WASI 0.1, a program"), "{inspected:#?}");
    assert!(inspected.stdout.contains("stdout is the answer"), "{inspected:#?}");
    for (text, says) in [
        (
            "(module (import \"env\" \"resize\" (func)) (func (export \"_start\")))",
            "env.resize, which is not of WASI 0.1",
        ),
        ("(module (func (export \"add\")))", "does not say which functions it has"),
    ] {
        let desk = desk_with(&component(text));
        let _refused = desk.run(&["inspect", "bad.wasm"]).refused(2, "AC103", &["it is a core module", says]);
    }
}

#[test]
fn a_file_of_a_gigabyte_is_refused_before_it_is_read() {
    let desk = desk_with(b"");
    let huge = File::create(desk.path().join("bad.wasm")).unwrap();
    huge.set_len(1 << 30).unwrap();
    let says = &["bad.wasm", "1073741824 bytes", "the most is"];
    for arguments in [&["check"][..], &["run"], &["inspect", "bad.wasm"]] {
        let _refused = desk.run(arguments).refused(2, "AC102", says);
    }
}

#[test]
fn an_import_that_nobody_provides_is_named() {
    let desk = desk_with(&component(r#"(component (import "price" (func)))"#));
    let says = &["bad.wasm", "price", "nobody provides"];
    for subcommand in ["check", "run"] {
        let _refused = desk.run(&[subcommand]).refused(2, "AC105", says);
    }
    // What it is is told all the same.
    let ran = desk.run(&["inspect", "bad.wasm"]).refused(2, "AC105", says);
    assert!(ran.stdout.contains("price") && ran.stdout.contains("a mesh cannot host it"), "{ran:#?}");
}

#[test]
fn what_one_service_imports_from_another_is_wired_or_refused() {
    let topology = "name = \"m\"\n[[service]]\nname = \"till\"\nrelease = \"@till\"\n";
    let desk = Desk::with(topology);
    for subcommand in ["check", "run"] {
        let says = &["till imports acme:shop/pricing@1.0.0", "no wire", "add a service that exports it"];
        let _refused = desk.run(&[subcommand]).refused(2, "AT103", says);
    }
    // Without a mesh it is nothing wrong.
    let inspected = desk.run(&["inspect", guest("till").to_str().unwrap()]).well();
    assert!(inspected.stdout.contains("acme:shop/pricing@1.0.0"), "{inspected:#?}");
    assert!(inspected.stdout.contains("calls of its own functions"), "{inspected:#?}");
    assert!(!inspected.stdout.contains("cannot host"), "{inspected:#?}");
    let desk = Desk::with(&format!("{topology}wires = {{ \"acme:shop/pricing\" = \"pricing\" }}\n"));
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["airssys.toml:5", "there is no service \"pricing\""]);
}

#[test]
fn what_a_host_cannot_run_has_the_same_words_in_every_command() {
    let echo = include_str!("../../airssys-wasm/doc/echo.wat").trim_end();
    let with = |more: &str| component(&format!("{}{more})", echo.strip_suffix(')').unwrap()));
    let large = component(&echo.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 600)"));
    let wanted = "(import \"wasi:keyvalue/store@0.2.0-draft2\" (instance (export \"f\" (func))))";
    for (bytes, code, says) in [
        (with("(core module (memory 1 1 shared))"), "AC110", &["threads (shared memory)", "built without"][..]),
        (large, "AC109", &["600 pages", "the limit `memory` is 32MiB", "`memory = \"38400KiB\"`"]),
        (with(wanted), "AC105", &["wasi:keyvalue/store@0.2.0-draft2", "this host has wasi:keyvalue/store@0.2.0-draft"]),
        (component("(component)"), "AC106", &["does not export airssys:actor/handler@0.1.0"]),
    ] {
        let desk = desk_with(&bytes);
        desk.write("bad.toml", b"name = \"bad\"\nversion = \"1.0.0\"\n");
        for arguments in [&["check"][..], &["run"], &["inspect", "bad.wasm"], &["publish", "bad.wasm"]] {
            let _refused = desk.run(arguments).refused(2, code, says);
        }
        let json = desk.run(&["inspect", "bad.wasm", "--json"]).refused(2, code, says).stdout;
        let found: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(found["obstacles"][0].as_str().unwrap().contains(says[0]), "{found}");
    }
}

#[test]
fn another_version_of_the_contract_is_said_to_be_one() {
    for (text, code, says) in [
        (
            r#"(component (import "airssys:actor/messaging@0.2.0" (instance (export "send" (func)))))"#,
            "AC105",
            &["airssys:actor/messaging@0.2.0", "another version of the contract", "SDK"][..],
        ),
        (
            r#"(component (instance $i) (export "airssys:actor/handler@0.2.0" (instance $i)))"#,
            "AC106",
            &["airssys:actor/handler@0.1.0", "airssys:actor/handler@0.2.0", "SDK"],
        ),
        ("(component)", "AC106", &["airssys:actor/handler@0.1.0", "airssys new"]),
    ] {
        let desk = desk_with(&component(text));
        for subcommand in ["check", "run"] {
            let _refused = desk.run(&[subcommand]).refused(2, code, says);
        }
    }
}

#[test]
fn a_topology_with_a_defect_is_refused_with_its_place() {
    let service = |rest: &str| format!("name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n{rest}");
    for (text, place, says) in [
        ("name = ".to_owned(), ":1:8", ""),
        ("name = \"a b\"\n".to_owned(), ":1:8", "is no name"),
        (format!("colour = 1\n{ECHO}"), ":1:1", "colour"),
        (service("restart = \"always\"\n"), ":5:11", "permanent, transient, temporary"),
        (service("supervisor = \"nobody\"\n"), ":5:14", "there is no supervisor"),
        (service("instances = 0\n"), ":5:13", "`instances` is 0, and it may be 1 to 1024"),
        (service("limits = { turn_deadline = \"999999999999years\" }\n"), ":5:28", "is no length of time"),
        (
            service("limits = { start_timeout = \"0s\" }\n"),
            ":5:28",
            "`start_timeout` is 0s, and it may be 1ms to 365days",
        ),
        (service("limits = { turn_deadline = \"soon\" }\n"), ":5:28", "is no length of time"),
        (service("shutdown = \"2years\"\n"), ":5:12", "is no shutdown"),
        (service("limits = { turn_deadline = \"2years\" }\n"), ":5:28", "longer than a year"),
        (service("[service.grants]\ncall = [\"nobody\"]\n"), ":6:9", "there is no service"),
        (service("[service.grants]\ncall = [\"echo*\"]\n"), ":6:9", "must be a whole segment"),
        (service("[[service]]\nname = \"echo\"\nrelease = \"@echo\"\n"), ":6:8", "in line 2"),
        (
            service("[[supervisor]]\nname = \"a\"\nparent = \"b\"\n[[supervisor]]\nname = \"b\"\nparent = \"a\"\n"),
            ":7:10",
            "circle",
        ),
        (
            "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"gone.wasm\"\n".to_owned(),
            ":4:11",
            "is not there",
        ),
    ] {
        let desk = Desk::with(&text);
        for subcommand in ["check", "run"] {
            let place = format!("airssys.toml{place}: ");
            let ran = desk.run(&[subcommand]).refused(2, "AT101", &[&place, says]);
            assert!(ran.stdout.is_empty(), "{ran:#?}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let desk = Desk::new();
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["airssys.toml", "No such file"]);
    let _refused = desk.run(&["run", "mesh.toml"]).refused(2, "AT101", &["mesh.toml", "No such file"]);
    let _refused = desk.run(&["inspect", "echo.wasm"]).refused(2, "AT101", &["echo.wasm", "is not there"]);
    // A folder with a description, whose component nobody built.
    desk.write("shy/Component.toml", "name = \"shy\"\nversion = \"0.1.0\"\n");
    let says = &["shy", "is not built", "airssys build"];
    let _refused = desk.run(&["inspect", "shy"]).refused(2, "AT101", says);
    // One that names a file that is not there.
    desk.write("bold/Component.toml", "name = \"bold\"\nversion = \"0.1.0\"\ncomponent = \"gone.wasm\"\n");
    let _refused = desk.run(&["inspect", "bold"]).refused(2, "AC101", &["gone.wasm", "No such file"]);
}

#[test]
fn an_input_that_cannot_be_read_starts_nothing() {
    // It would not start: so what is told is not about starting.
    let desk = Desk::with(&format!("{PROBER}[service.config]\ninit = \"panic\"\n"));
    desk.write("in", "1\n");
    for (input, code, says) in [
        ("prober=gone.jsonl", "AR201", &["gone.jsonl", "No such file", "nothing was started"][..]),
        ("prober=.", "AR201", &["`.`", "directory"]),
        ("nobody=in", "AR202", &["nobody", "name one of: prober"]),
        ("prober/key=in", "AR204", &["prober/key"]),
    ] {
        let ran = desk.run(&["run", "--input", input]).refused(2, code, says);
        assert!(ran.stdout.is_empty() && !ran.stderr.contains("init"), "{ran:#?}");
    }
    let desk = Desk::with(&format!("{PROBER}keyed = {{}}\n"));
    desk.write("in", "1\n");
    let _refused = desk.run(&["run", "--input", "prober=in"]).refused(2, "AR203", &["prober", "prober/alice"]);
}

#[test]
fn a_code_cache_that_cannot_be_used_matters_only_where_it_was_asked_for() {
    let desk = Desk::with(ECHO);
    let file = desk.write("file", "");
    for subcommand in ["check", "run"] {
        let asked = [subcommand, "--code-cache", "file/code"];
        let _refused = desk.run(&asked).refused(3, "AR105", &["file/code", "--code-cache"]);
    }
    let ran = desk.command(&["run", "--input", "echo=/dev/null"]).env("XDG_CACHE_HOME", &file).output().unwrap();
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && stderr.contains("cannot keep compiled code"), "{stderr}");

    let own = Path::new("own/code");
    let _well = desk.run(&["check", "--code-cache", own.to_str().unwrap()]).well();
    assert!(desk.path().join(own).read_dir().unwrap().count() >= 2, "code and its sum");
}

#[test]
fn damaged_code_in_the_cache_is_compiled_again() {
    let desk = Desk::with(ECHO);
    let arguments = ["run", "--code-cache", "code", "--input", "echo=-"];
    let _well = desk.run_with(&arguments, "hello").well();
    for file in desk.path().join("code").read_dir().unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    let ran = desk.run_with(&arguments, "hello").well();
    assert_eq!(ran.stdout, "1 hello\n");
    assert!(ran.stderr.contains("compiled code is damaged"), "{ran:#?}");
}

#[test]
fn more_than_this_machine_holds_is_refused() {
    let mut text = "name = \"mesh\"\n".to_owned();
    for at in 0..64 {
        text.push_str(&format!(
            "[[service]]\nname = \"s{at}\"\nrelease = \"@echo\"\nkeyed = {{ max_awake = 1000000 }}\n"
        ));
    }
    for subcommand in ["check", "run"] {
        let says = &["64000000 instances", "vm.max_map_count"];
        let _refused = Desk::with(&text).run(&[subcommand]).refused(3, "AR103", says);
    }
    let text = format!("{ECHO}limits = {{ memory = \"5GiB\" }}\n");
    let says = &["airssys.toml:5:21", "`memory` is 5GiB, and it may be 0B to 4GiB", "`memory = \"4GiB\"`"];
    let _refused = Desk::with(&text).run(&["check"]).refused(2, "AT101", says);
}
