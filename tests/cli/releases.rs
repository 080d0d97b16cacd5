//! Releases from the command line: published once, signed, listed, run, removed, and refused with a reason.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use airssys_tests::command::{Desk, Ran};
use airssys_tests::guest;
use serde_json::{Value, json};

use super::signals::Running;

const MESH: &str = "name = \"mesh\"\n[[service]]\nname = \"echo\"\nrelease = \"echo@1.0.0\"\n";

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.well().stdout).unwrap()
}

/// A topology that loads only what these keys signed.
fn trusting(keys: &[&str]) -> String {
    format!("{MESH}[settings]\ntrusted_keys = {keys:?}\n")
}

fn keygen(desk: &Desk, file: &str) -> String {
    desk.run(&["keygen", "--out", file]).well().stdout.trim_end().to_owned()
}

#[test]
fn what_is_published_is_listed_inspected_checked_and_run() {
    let desk = Desk::with(MESH);
    desk.component("echo", "1.0.0");
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["airssys.toml:4:11", "no release echo@1.0.0", "publish"]);
    assert!(desk.run(&["releases"]).well().stdout.is_empty());

    let text = desk.run(&["publish", "echo.wasm"]).well().stdout;
    assert!(text.starts_with("echo@1.0.0 is published\n") && text.contains("not signed"), "{text}");
    let again = desk.run(&["publish", "echo.wasm"]).well().stdout;
    assert!(again.contains("published already") && again.contains("nothing was done"), "{again}");
    assert_eq!(json(desk.run(&["publish", "echo.wasm", "--json"]))["outcome"], "already");

    let listed = json(desk.run(&["releases", "--json"]));
    let release = &listed["releases"][0];
    assert_eq!((&release["release"], listed["damaged"].as_array().unwrap().len()), (&"echo@1.0.0".into(), 0));
    let found = json(desk.run(&["inspect", "echo@1.0.0", "--json"]));
    assert_eq!((&found["id"], &found["sha256"]), (&release["id"], &release["binary_sha256"]));
    assert_eq!((&found["world"], &found["state_schema"]), (&"airssys:actor/actor@0.1.0".into(), &0.into()));
    assert!(desk.run(&["inspect", "echo@1.0.0"]).well().stdout.contains(release["id"].as_str().unwrap()));
    assert_eq!(json(desk.run(&["check", "--json"]))["services"][0]["sha256"], release["binary_sha256"]);

    // What it was made of may go: the release stays.
    fs::remove_file(desk.path().join("echo.wasm")).unwrap();
    let ran = desk.run_with(&["run", "--input", "echo=-"], "hello").well();
    assert_eq!(ran.stdout, "1 hello\n");

    let _well = desk.run(&["remove", "echo@1.0.0"]).well();
    let _refused = desk.run(&["inspect", "echo@1.0.0"]).refused(2, "AS102", &["echo@1.0.0", "airssys publish"]);
    let _refused = desk.run(&["remove", "echo@1.0.0"]).refused(2, "AS102", &["echo@1.0.0"]);
    let _refused = desk.run(&["remove", "echo"]).refused(2, "AS101", &["echo", "NAME@VERSION"]);
}

/// A component that has, needs and asks for everything there is.
#[test]
fn an_inspection_shows_all_that_a_component_asks_for() {
    const DESCRIPTION: &str = r#"
        name = "all"
        version = "1.2.3"
        description = "Wants everything"
        memory = "cache"
        state_schema = 7
        [requests]
        send = ["to/*"]
        call = ["called"]
        publish = ["out/x"]
        subscribe = ["in/*"]
        spawn = ["child/*"]
        files = { "/in" = "read", "/out" = "read-write" }
        environment = ["TZ"]
        sockets = ["127.0.0.1:80"]
        http = ["GET https://api.example/**"]
        [limits]
        effects = 11
        effect_bytes = "12KiB"
        timers = 13
        timer_bytes = "14KiB"
        subscriptions = 15
        monitors = 16
        resources = 17
        all_state = "18KiB"
    "#;
    let desk = Desk::new();
    let echo = include_str!("../../airssys-wasm/doc/echo.wat").trim_end();
    let echo = echo.replacen("(component", "(component (import \"airssys:actor/supervision@0.1.0\" (instance))", 1);
    let optional = ["lifecycle", "health", "upgrade", "monitoring"];
    let exports = optional.map(|name| format!("(export \"airssys:actor/{name}@0.1.0\" (instance $handler))")).concat();
    let wat = format!("{} {exports})", echo.strip_suffix(')').unwrap());
    desk.write("all.wasm", wat::parse_str(wat).unwrap());
    desk.write("all.toml", DESCRIPTION);
    // It has no such functions, so it cannot run here; all of it is shown before that is said.
    let inspect = |options: &[&str]| desk.run(&[&["inspect", "all.wasm"], options].concat()).stdout;
    let shown = inspect(&[]);
    let words = [
        "messages, lifecycle, health, upgrade, monitoring",
        "schema 7",
        "a cache",
        "to send to to/*",
        "to call called",
        "to publish on out/x",
        "to subscribe to in/*",
        "to spawn child/*",
        "folders /in",
        "/out",
        "environment TZ",
        "connections to 127.0.0.1:80",
        "to request GET https://api.example/**",
        "effects a turn 11 of 12.0 KiB",
        "timers 13 of 14.0 KiB",
        "subscriptions 15",
        "monitors 16",
        "resources 17",
        "all states 18.0 KiB",
        "airssys:actor/supervision@0.1.0",
    ];
    let missing: Vec<&str> = words.into_iter().filter(|words| !shown.contains(words)).collect();
    assert!(missing.is_empty(), "{missing:?} in {shown}");

    let told: Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(told["optional"], json!(optional));
    let requests = json!({
        "send": ["to/*"], "call": ["called"], "publish": ["out/x"], "subscribe": ["in/*"], "spawn": ["child/*"],
        "files": { "/in": "read", "/out": "read-write" }, "environment": ["TZ"], "sockets": ["127.0.0.1:80"],
        "bind": [], "http": ["GET https://api.example/**"], "processes": [],
    });
    assert_eq!(told["requests"], requests);
    let limits = [("effects", 11), ("subscriptions", 15), ("monitors", 16), ("resources", 17)];
    assert!(limits.iter().all(|(key, is)| told["limits"][*key] == *is), "{}", told["limits"]);
}

#[test]
fn a_guest_of_a_workspace_is_published_by_its_folder() {
    let desk = Desk::new();
    let published = json(desk.run(&["publish".as_ref(), guest("prober").as_os_str(), "--json".as_ref()]));
    assert_eq!((&published["outcome"], &published["release"]), (&"new".into(), &"prober@0.1.0".into()));
    let found = json(desk.run(&["inspect", "prober@0.1.0", "--json"]));
    assert_eq!(found["requests"]["files"]["/out"], "read-write");
}

#[test]
fn a_version_is_published_once() {
    let desk = Desk::new();
    desk.component("echo", "1.0.0");
    let first = json(desk.run(&["publish", "echo.wasm", "--json"]));
    let component = desk.path().join("echo.wasm");
    let mut bytes = fs::read(&component).unwrap();
    bytes.extend_from_slice(b"\0\x05\x04more");
    fs::write(&component, bytes).unwrap();
    let digest = first["binary_sha256"].as_str().unwrap();
    let says = &["echo@1.0.0", "the binary", digest, "raise the version"];
    let _refused = desk.run(&["publish", "echo.wasm"]).refused(2, "AS103", says);
    desk.component("echo", "1.0.0");
    desk.write("echo.toml", "name = \"echo\"\nversion = \"1.0.0\"\n# the same, and yet not\n");
    let digest = first["manifest_sha256"].as_str().unwrap();
    let _refused = desk.run(&["publish", "echo.wasm"]).refused(2, "AS103", &["the manifest", digest]);
    desk.component("echo", "1.0.1");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
}

#[test]
fn what_cannot_be_a_release_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    desk.component("echo", "1.0.0");
    let manifest = "name = \"bad\"\nversion = \"1.0.0\"\n";
    let module = wat::parse_str("(module)").unwrap();
    let component = fs::read(desk.path().join("echo.wasm")).unwrap();
    let no_handler = wat::parse_str("(component)").unwrap();
    for (binary, manifest, code, says) in [
        (&b""[..], manifest, "AC103", &["bad.wasm", "it is empty"][..]),
        (b"just text", manifest, "AC103", &["bad.wasm", "it is not WebAssembly"]),
        (&module, manifest, "AC103", &["bad.wasm", "it is a core module", "airssys build"]),
        (&component[..component.len() / 2], manifest, "AC104", &["bad.wasm", "is not a valid component"]),
        (&no_handler, manifest, "AC106", &["bad.wasm", "airssys:actor/handler@0.1.0"]),
        (&component, "name = \"bad\"\nversion = \"1.0\"\n", "AT101", &["bad.toml:2:11", "is no version"]),
        (&component, "name = \"b/d\"\nversion = \"1.0.0\"\n", "AT101", &["bad.toml:1:8", "is no name"]),
        (&component, "name = \"bad\"\nversion = \"1.0.0\"\nworld = \"w\"\n", "AT101", &["bad.toml:3:9", "no world"]),
        (&component, "name = \"bad\"\nversion = \"1.0.0\"\ncolour = 1\n", "AT101", &["bad.toml:3:1", "colour"]),
        (&component, "name = \"bad\"\n", "AT101", &["bad.toml", "version"]),
        (&component, "", "AT101", &["bad.toml", "name"]),
    ] {
        desk.write("bad.wasm", binary);
        desk.write("bad.toml", manifest);
        let ran = desk.run(&["publish", "bad.wasm"]).refused(2, code, says);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }
    fs::remove_file(desk.path().join("bad.toml")).unwrap();
    let _refused = desk.run(&["publish", "bad.wasm"]).refused(2, "AT101", &["bad.wasm", "no description", "bad.toml"]);
    let _refused = desk.run(&["publish", "gone.wasm"]).refused(2, "AT101", &["gone.wasm", "is not there"]);
    let long = format!("name = \"bad\"\nversion = \"1.0.0-{}\"\n", "x".repeat(200));
    desk.write("bad.toml", long);
    desk.write("bad.wasm", &component);
    let _refused = desk.run(&["publish", "bad.wasm"]).refused(2, "AT101", &["bad.toml", "at most 128"]);
    assert!(!desk.releases().exists(), "nothing was published");
}

#[test]
fn only_what_a_trusted_key_signed_is_loaded_where_keys_are_named() {
    let desk = Desk::new();
    let (ours, theirs) = (keygen(&desk, "ours.key"), keygen(&desk, "theirs.key"));
    let mode = fs::metadata(desk.path().join("ours.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let _refused = desk.run(&["keygen", "--out", "ours.key"]).refused(2, "AK103", &["ours.key", "never overwritten"]);
    let _refused = desk.run(&["keygen", "--out", "no/such.key"]).refused(1, "AK104", &["no/such.key"]);

    desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    desk.write("airssys.toml", trusting(&[&ours]));
    for subcommand in ["check", "run"] {
        let says = &["service echo", "echo@1.0.0", "is not signed", "--sign"];
        let _refused = desk.run(&[subcommand]).refused(2, "AS201", says);
    }
    let _well = desk.run(&["publish", "echo.wasm", "--sign", "theirs.key"]).well();
    let _refused = desk.run(&["run"]).refused(2, "AS201", &["is signed by", &theirs, "trusted_keys"]);
    let signed = desk.run(&["publish", "echo.wasm", "--sign", "ours.key"]).well().stdout;
    assert!(signed.contains("the signature was added") && signed.contains(&ours), "{signed}");
    let ran = desk.run_with(&["run", "--input", "echo=-"], "hello").well();
    assert_eq!(ran.stdout, "1 hello\n");
    let found = json(desk.run(&["inspect", "echo@1.0.0", "--json"]));
    assert_eq!(found["signed_by"], serde_json::json!([theirs, ours]));

    // A path is whatever lies there: nobody vouches for it.
    desk.write("airssys.toml", trusting(&[&ours]).replace("echo@1.0.0", "echo.wasm"));
    let _refused = desk.run(&["check"]).refused(2, "AS201", &["service echo", "no published release"]);
    // An empty list trusts nobody, and what is no key is none.
    desk.write("airssys.toml", trusting(&[]));
    let _refused = desk.run(&["check"]).refused(2, "AS201", &["echo@1.0.0"]);
    desk.write("airssys.toml", trusting(&["ours"]));
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["airssys.toml:6:17", "\"ours\" is no public key"]);

    let _refused = desk.run(&["publish", "echo.wasm", "--sign", "gone.key"]).refused(1, "AK104", &["gone.key"]);
    desk.write("public.key", &ours);
    let says = &["public.key", "no private key"];
    let _refused = desk.run(&["publish", "echo.wasm", "--sign", "public.key"]).refused(2, "AK102", says);
}

#[test]
fn a_damaged_release_is_named_and_not_run() {
    let desk = Desk::with(MESH);
    desk.component("echo", "1.0.0");
    let published = json(desk.run(&["publish", "echo.wasm", "--json"]));
    let blob = desk.releases().join("blobs/sha256").join(published["binary_sha256"].as_str().unwrap());
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    // Named as the command was told of the folder: from here.
    let named = blob.strip_prefix(desk.path()).unwrap().to_str().unwrap();
    let says = &["echo@1.0.0 is damaged", named, "publish echo@1.0.0 again"];
    for (arguments, exit, code) in
        [(&["check"][..], 2, "AT101"), (&["run"], 2, "AT101"), (&["inspect", "echo@1.0.0"], 1, "AS104")]
    {
        let ran = desk.run(arguments).refused(exit, code, says);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }
    assert_eq!(json(desk.run(&["publish", "echo.wasm", "--json"]))["outcome"], "mended");
    let _well = desk.run(&["check"]).well();

    // A record that is damaged hides no other.
    desk.component("echo", "2.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    fs::write(desk.releases().join("index/echo/1.0.0.json"), "{").unwrap();
    let ran = desk.run(&["releases"]).refused(1, "AS104", &["echo@1.0.0 is damaged", "airssys remove echo@1.0.0"]);
    assert!(ran.stdout.contains("echo@2.0.0") && !ran.stdout.contains("echo@1.0.0"), "{ran:#?}");
    let _well = desk.run(&["remove", "echo@1.0.0"]).well();
    assert!(desk.run(&["releases"]).well().stdout.contains("echo@2.0.0"));
    fs::write(desk.releases().join("index/echo/2.0.0.json"), "{\"format\":3}").unwrap();
    let _refused = desk.run(&["inspect", "echo@2.0.0"]).refused(1, "AS105", &["2.0.0.json", "the format 3", "knows 2"]);
}

#[test]
fn what_a_running_mesh_uses_is_not_removed() {
    let desk = Desk::with(MESH);
    for version in ["1.0.0", "2.0.0", "3.0.0", "4.0.0"] {
        desk.component("echo", version);
        // One binary each: else whoever uses one holds them all.
        let component = desk.path().join("echo.wasm");
        let mut bytes = fs::read(&component).unwrap();
        bytes.extend_from_slice(&[b"\0\x06\x05", version.as_bytes()].concat());
        fs::write(&component, bytes).unwrap();
        let _well = desk.run(&["publish", "echo.wasm"]).well();
    }
    let mut running = Running::start(desk.command(&["run"]));
    running.until("mesh is up");
    let _refused = desk.run(&["remove", "echo@1.0.0"]).refused(1, "AS106", &["echo@1.0.0", "in use"]);
    let removed = json(desk.run(&["retain", "--keep", "2", "--json"]));
    assert_eq!(removed["removed"].as_array().unwrap().len(), 1);
    assert_eq!(removed["removed"][0]["release"], "echo@2.0.0");
    running.signal("TERM");
    let (exit, said) = running.end();
    assert_eq!(exit, Some(0), "{said}");

    assert!(desk.run(&["retain", "--keep", "1", "--keep-for", "30d"]).well().stdout.is_empty(), "all are young");
    assert!(desk.run(&["retain", "--keep", "1"]).well().stdout.contains("echo@3.0.0"));
    let listed = json(desk.run(&["releases", "echo", "--json"]));
    let listed: Vec<&Value> = listed["releases"].as_array().unwrap().iter().map(|of| &of["release"]).collect();
    assert_eq!(listed, ["echo@1.0.0", "echo@4.0.0"], "the next start in this folder is with the first");
}

#[test]
fn a_data_folder_of_ones_own_is_used_by_all_subcommands() {
    let desk = Desk::with(MESH);
    desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm", "--data", "own"]).well();
    let _refused = desk.run(&["check"]).refused(2, "AT101", &["no release echo@1.0.0"]);
    for arguments in [
        &["check"][..],
        &["run", "--input", "echo=-"],
        &["releases"],
        &["inspect", "echo@1.0.0"],
        &["retain", "--keep", "1"],
    ] {
        let _well = desk.run(&[arguments, &["--data", "own"]].concat()).well();
    }
    for arguments in [&["publish", "echo.wasm"][..], &["releases"], &["inspect", "echo@1.0.0"]] {
        let _refused =
            desk.run(&[arguments, &["--data", "echo.toml"]].concat()).refused(1, "AS108", &["echo.toml", "not a file"]);
    }
    assert!(!desk.releases().exists());
}
