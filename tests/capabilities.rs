//! A guest can do nothing that was not both requested and granted, and who tries is named. What it has without a grant,
//! time and chance, a topology can take away.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use airssys_tests::{Mesh, guest, log, told};
use airssys_wasm::ConfigError;
use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::hint::Coded;
use prober_protocol::{Clock, Command, Outcome, Trap};
use serde_json::{Value, json};
use tempfile::TempDir;

fn send(to: &str) -> Command {
    Command::Send { to: to.into(), key: None, body: Command::Count.value() }
}

fn call(to: &str) -> Command {
    Command::Call { to: to.into(), key: None, body: Command::Count.value(), timeout_ms: 5_000 }
}

fn publish(topic: &str) -> Command {
    Command::Publish { topic: topic.into(), body: Command::Count.value() }
}

fn subscribe(pattern: &str) -> Command {
    Command::Subscribe(pattern.into())
}

/// The refusal's name and text.
async fn refusal(mesh: &Mesh, who: &str, command: &Command) -> (String, String) {
    match mesh.ask(who, command).await {
        Ok(Outcome::Err(refusal)) => (refusal.name, refusal.text),
        other => panic!("{command:?}: {other:?}"),
    }
}

/// A folder with the `Component.toml` of a prober that requests this and no more.
fn prober_that_requests(requests: &str) -> TempDir {
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name = \"prober\"\nversion = \"0.1.0\"\ncomponent = {built:?}\n[requests]\n{requests}\n");
    std::fs::write(folder.path().join("Component.toml"), text).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grant_everything_is_denied_and_audited_and_the_target_never_sees_it() {
    log::listen();
    let mesh = Mesh::start(
        r#"
        name = "deny"
        [[service]]
        name = "bare"
        release = "@prober"
        [[service]]
        name = "goal"
        release = "@prober"
        [service.grants]
        subscribe = ["news"]
        "#,
    )
    .await;
    mesh.ok("goal", &subscribe("news")).await;
    let attempts = [
        (send("goal"), "denied", "send", "goal"),
        (call("goal"), "not-sent/denied", "call", "goal"),
        (publish("news"), "denied", "publish", "news"),
        (subscribe("news"), "denied", "subscribe", "news"),
        // It does not even learn who is there.
        (send("nobody"), "denied", "send", "nobody"),
    ];
    for (command, name, operation, target) in &attempts {
        let (named, text) = refusal(&mesh, "bare", command).await;
        assert_eq!(named, *name, "{command:?}");
        for part in ["bare", operation, target, "no grant: add"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
    let audited = log::of("airssys::audit", "bare");
    assert_eq!(audited.len(), attempts.len(), "one record each: {audited:?}");
    for ((level, record), (_, _, operation, target)) in audited.iter().zip(&attempts) {
        assert_eq!((level.as_str(), &record["message"]), ("WARN", &json!("denied")));
        assert_eq!((&record["operation"], &record["target"]), (&json!(operation), &json!(target)));
        let missing = record["missing"].as_str().unwrap();
        assert!(
            missing.contains(&format!("add {target:?} to `{operation}`")) && missing.contains("\"bare\""),
            "{missing}"
        );
    }
    // Itself it may always write to.
    mesh.ok("bare", &send("bare")).await;
    let goal = mesh.status("goal");
    assert_eq!((goal.accepted, goal.handled, goal.denied), (1, 1, 2), "{goal:?}");
    assert_eq!(mesh.ok("goal", &Command::Count).await, json!(2), "its subscription, and this");
    assert_eq!((mesh.status("bare").started, mesh.dead()), (1, Vec::new()), "a denial is an answer");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_requested_or_only_granted_is_denied() {
    let release = prober_that_requests(
        r#"
        send = ["a", "both"]
        call = ["a", "both"]
        publish = ["a", "both"]
        subscribe = ["a", "both"]
        environment = ["A", "BOTH"]
        sockets = ["127.0.0.1:1"]
        files = { "/a" = "read", "/both" = "read" }
        "#,
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), "seen").unwrap();
    let mesh = Mesh::start(&format!(
        r#"
        name = "halves"
        [[service]]
        name = "asker"
        release = {:?}
        [service.grants]
        send = ["b", "both"]
        call = ["b", "both"]
        publish = ["b", "both"]
        subscribe = ["b", "both"]
        environment = {{ B = "b", BOTH = "both" }}
        sockets = ["127.0.0.1:2"]
        files = {{ "/b" = {{ host = {host:?} }}, "/both" = {{ host = {host:?} }} }}
        [[service]]
        name = "a"
        release = "@prober"
        [[service]]
        name = "b"
        release = "@prober"
        [[service]]
        name = "both"
        release = "@prober"
        "#,
        release.path(),
        host = folder.path(),
    ))
    .await;
    for command in [send, call, publish, subscribe] {
        let (name, text) = refusal(&mesh, "asker", &command("a")).await;
        assert!(name.ends_with("denied") && text.contains("no grant: add \"a\""), "{name}: {text}");
        let (name, text) = refusal(&mesh, "asker", &command("b")).await;
        assert!(name.ends_with("denied") && text.contains("not requested: add \"b\""), "{name}: {text}");
        mesh.ok("asker", &command("both")).await;
    }
    assert_eq!(mesh.ok("asker", &Command::EnvAll).await, json!({ "BOTH": "both" }));
    assert_eq!(mesh.ok("asker", &Command::ReadFile("/both/text".into())).await, json!("seen"));
    for half in ["/a/text", "/b/text"] {
        mesh.refused("asker", &Command::ReadFile(half.into())).await;
    }
    for half in ["127.0.0.1:1", "127.0.0.1:2"] {
        assert_eq!(mesh.refused("asker", &Command::Connect(half.into())).await, "socket/access-denied");
    }
    for untouched in ["a", "b"] {
        assert_eq!(mesh.status(untouched).accepted, 0);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_covers_whole_segments() {
    let mesh = Mesh::start(
        r#"
        name = "segments"
        [[service]]
        name = "asker"
        release = "@prober"
        [service.grants]
        send = ["data/*"]
        call = ["data/*"]
        publish = ["data/*", "deep/**"]
        subscribe = ["data/*"]
        [[service]]
        name = "data"
        release = "@prober"
        keyed = {}
        [[service]]
        name = "data-secret"
        release = "@prober"
        "#,
    )
    .await;
    for command in [send, call, publish, subscribe] {
        mesh.ok("asker", &command("data/x")).await;
        for beyond in ["data", "data-secret", "data/x/y", "data/..", "data/../data-secret", "data/", "data/./x"] {
            let name = mesh.refused("asker", &command(beyond)).await;
            assert!(name.ends_with("denied"), "{beyond}: {name}");
        }
    }
    mesh.ok("asker", &publish("deep/er/still")).await;
    for wider in ["data/**", "*/x", "**", "*"] {
        assert_eq!(mesh.refused("asker", &subscribe(wider)).await, "denied", "{wider}");
    }
    mesh.ok("asker", &subscribe("data/*")).await;
    assert_eq!((mesh.status("data-secret").accepted, mesh.status("data").keys), (0, 1));
    mesh.stop().await;
}

/// A host with a secret, and folders to grant that have ways to it.
fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    let path = |name: &str| disk.path().join(name);
    for folder in ["in", "out", "closed"] {
        std::fs::create_dir(path(folder)).unwrap();
        symlink("../secret", path(folder).join("link")).unwrap();
        symlink(path("secret"), path(folder).join("absolute")).unwrap();
        symlink("..", path(folder).join("up")).unwrap();
        symlink("text", path(folder).join("within")).unwrap();
        std::fs::write(path(folder).join("text"), folder).unwrap();
    }
    std::fs::write(path("secret"), "secret").unwrap();
    disk
}

fn read(path: &str) -> Command {
    Command::ReadFile(path.into())
}

fn write(path: &str) -> Command {
    Command::WriteFile { path: path.into(), text: "written".into() }
}

async fn io_refused(mesh: &Mesh, who: &str, command: &Command) {
    let name = mesh.refused(who, command).await;
    assert!(name.starts_with("io/"), "{command:?}: {name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_folder_is_all_of_the_disk() {
    let disk = disk();
    let mesh = Mesh::start(&format!(
        r#"
        name = "files"
        [[service]]
        name = "clerk"
        release = "@prober"
        [service.grants.files]
        "/in" = {{ host = {input:?} }}
        "/out" = {{ host = {output:?}, access = "read-write" }}
        [[service]]
        name = "reader"
        release = "@prober"
        [service.grants.files]
        "/in" = {{ host = {input:?}, access = "read-write" }}
        "/out" = {{ host = {output:?}, access = "read" }}
        [[service]]
        name = "stranger"
        release = "@prober"
        "#,
        input = disk.path().join("in"),
        output = disk.path().join("out"),
    ))
    .await;
    let on_disk = |name: &str| std::fs::read_to_string(disk.path().join(name)).ok();

    assert_eq!(mesh.ok("clerk", &read("/in/text")).await, json!("in"));
    assert_eq!(mesh.ok("clerk", &read("/in/within")).await, json!("in"), "a link within the folder");
    let names = json!(["absolute", "link", "text", "up", "within"]);
    assert_eq!(mesh.ok("clerk", &Command::ListFolder("/in".into())).await, names);
    for path in ["/in/text", "/in/new"] {
        io_refused(&mesh, "clerk", &write(path)).await;
    }
    mesh.ok("clerk", &write("/out/new")).await;
    assert_eq!((on_disk("out/new").as_deref(), on_disk("in/text").as_deref()), (Some("written"), Some("in")));
    assert_eq!(on_disk("in/new"), None);

    // The smaller one of what is requested and granted: `/in` is requested for reading only, `/out` granted for that.
    for path in ["/in/more", "/out/more"] {
        io_refused(&mesh, "reader", &write(path)).await;
    }
    assert_eq!(mesh.ok("reader", &read("/out/new")).await, json!("written"));

    let outside = |folder: &str| {
        ["/link", "/absolute", "/up/secret", "/../secret", "/up/closed/text", "/../closed/text", "/./../secret"]
            .map(|way| format!("{folder}{way}"))
    };
    let anywhere = ["/secret", "secret", "../secret", "/closed/text", "/etc/passwd", "/proc/self/environ", "/dev/null"];
    let ways = outside("/in").into_iter().chain(outside("/out")).chain(anywhere.map(str::to_owned));
    for way in ways.chain([disk.path().join("secret").display().to_string()]) {
        io_refused(&mesh, "clerk", &read(&way)).await;
        io_refused(&mesh, "clerk", &write(&way)).await;
    }
    for folder in ["/", ".", "/in/up", "/closed", "/in/.."] {
        io_refused(&mesh, "clerk", &Command::ListFolder(folder.into())).await;
    }
    for path in ["/in/text", "/out/text", "/etc/passwd"] {
        io_refused(&mesh, "stranger", &read(path)).await;
        io_refused(&mesh, "stranger", &write(path)).await;
    }
    assert_eq!(on_disk("secret").as_deref(), Some("secret"));
    assert_eq!(on_disk("closed/text").as_deref(), Some("closed"));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_what_was_granted() {
    let mesh = Mesh::start(
        r#"
        name = "environment"
        [[service]]
        name = "greeter"
        release = "@prober"
        [service.grants]
        environment = { GREETING = "hello", PATH = "/nowhere" }
        [[service]]
        name = "stranger"
        release = "@prober"
        "#,
    )
    .await;
    assert!(std::env::var("PATH").is_ok(), "there is something to be seen");
    assert_eq!(mesh.ok("greeter", &Command::EnvAll).await, json!({ "GREETING": "hello" }), "PATH was not requested");
    assert_eq!(mesh.ok("stranger", &Command::EnvAll).await, json!({}));
    for who in ["greeter", "stranger"] {
        assert_eq!(mesh.ok(who, &Command::Env("PATH".into())).await, Value::Null);
        let arguments = mesh.ok(who, &Command::Args).await;
        assert!(arguments.as_array().unwrap().iter().all(|argument| argument == ""), "{arguments}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_reaches_the_granted_address_and_no_other() {
    log::listen();
    let [open, shut] = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let port = open.local_addr().unwrap().port();
    let mesh = Mesh::start(&format!(
        r#"
        name = "sockets"
        [[service]]
        name = "caller"
        release = "@prober"
        [service.grants]
        sockets = ["127.0.0.1:{port}"]
        [[service]]
        name = "unconnected"
        release = "@prober"
        "#
    ))
    .await;
    let to = |address: String| Command::Connect(address);
    assert_eq!(mesh.ok("caller", &to(format!("127.0.0.1:{port}"))).await, json!(true));
    assert!(open.accept().is_ok(), "it came through");
    let elsewhere = shut.local_addr().unwrap().to_string();
    for denied in [elsewhere.clone(), format!("127.0.0.2:{port}"), format!("10.0.0.1:{port}")] {
        assert_eq!(mesh.refused("caller", &to(denied)).await, "socket/access-denied");
    }
    for denied in [elsewhere.clone(), format!("127.0.0.1:{port}")] {
        assert_eq!(mesh.refused("unconnected", &to(denied)).await, "socket/access-denied");
    }
    for who in ["caller", "unconnected"] {
        mesh.refused(who, &Command::Resolve("localhost".into())).await;
    }
    for listener in [open, shut] {
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody else came");
    }
    let audited = log::of("airssys::audit", "caller");
    assert_eq!(audited.len(), 4, "{audited:?}");
    assert_eq!((&audited[0].1["target"], &audited[0].1["message"]), (&json!(elsewhere), &json!("denied")));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_is_log_lines_with_the_services_name() {
    log::listen();
    let mesh =
        Mesh::start("name = \"output\"\n[[service]]\nname = \"talker\"\nrelease = \"@prober\"\nkeyed = {}\n").await;
    mesh.ok("talker/a", &Command::Stdout("one".into())).await;
    mesh.ok("talker/b", &Command::Stderr("two\nthree".into())).await;
    let lines = |who| {
        let lines = log::of("airssys::guest", who).into_iter();
        lines.map(|(level, fields)| (level, fields["message"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    let line = |level: &str, text: &str| (level.to_owned(), text.to_owned());
    assert_eq!(lines("talker/a"), [line("INFO", "one")]);
    assert_eq!(lines("talker/b"), [line("WARN", "two"), line("WARN", "three")]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_of_two_tool_chains_behave_the_same() {
    let mesh = Mesh::start(
        r#"
        name = "chains"
        [[service]]
        name = "bare"
        release = "@echo"
        limits = { message = "100KiB" }
        [[service]]
        name = "wasi"
        release = "@echo-wasi"
        limits = { message = "100KiB" }
        "#,
    )
    .await;
    let patience = airssys_tests::PATIENCE;
    let bodies = [vec![], b"text".to_vec(), vec![0, 255, 254, 128], (0..=255).cycle().take(100 << 10).collect()];
    for body in bodies {
        for who in ["bare", "wasi"] {
            let answer = mesh.runtime.call(who, body.clone(), patience).await.unwrap().unwrap();
            assert!(answer == body, "{who}: {} bytes of {}", answer.len(), body.len());
            mesh.runtime.send(who, body.clone()).await.unwrap();
        }
    }
    for who in ["bare", "wasi"] {
        let refused = mesh.runtime.call(who, vec![0; (100 << 10) + 1], patience).await.unwrap_err();
        assert_eq!(refused.code(), "too-large");
    }
    mesh.until("all is handled", |mesh| mesh.runtime.is_quiet()).await;
    let counts = |who| {
        let status = mesh.status(who);
        (status.accepted, status.handled, status.rejected, status.faulted, status.crashed, status.started)
    };
    assert_eq!(counts("bare"), (8, 8, 1, 0, 0, 1));
    assert_eq!(counts("wasi"), counts("bare"));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_folder_that_went_away_is_named_when_the_mesh_starts() {
    let disk = disk();
    let granted = disk.path().join("in");
    let text = |host: &Path| {
        format!(
            "name = \"gone\"\n[[service]]\nname = \"clerk\"\nrelease = \"@prober\"\n[service.grants.files]\n\"/in\" = {{ host = {host:?} }}\n"
        )
    };
    std::fs::remove_dir_all(&granted).unwrap();
    let Err(error) = Mesh::try_start(&text(&granted), Runtime::builder()).await else { panic!("it started") };
    let said = told!(error.downcast_ref::<ConfigError>().unwrap());
    assert!(said.contains("the granted folder") && said.contains("is not there") && said.contains("hint"), "{said}");
}

/// The clocks as a service sees them.
async fn clock(mesh: &Mesh, who: &str) -> Clock {
    serde_json::from_value(mesh.ok(who, &Command::Clock).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_can_coarsen_the_clocks_or_stop_them() {
    let service = |name: &str, more: &str| {
        format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\nlimits = {{ turn_budget = \"50ms\" }}\n{more}\n")
    };
    let services = [
        service("real", "clocks = \"real\""),
        service("untold", ""),
        service("fine", "clocks = \"20ms\""),
        service("hourly", "clocks = \"1h\""),
        service("stopped", "clocks = \"none\""),
    ];
    let mesh = Mesh::start(&format!("name = \"clocks\"\n{}", services.concat())).await;
    let now_ms = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for who in ["real", "untold"] {
        let (before, seen, after) = (now_ms(), clock(&mesh, who).await, now_ms());
        assert!((before..=after).contains(&seen.wall_ms), "{who}: {seen:?}");
        assert!(seen.step_ns > 0 && seen.monotonic_ns % 1_000_000 != 0, "{who}: {seen:?}");
    }
    let before = now_ms();
    let fine = clock(&mesh, "fine").await;
    assert!(fine.wall_ms % 20 == 0 && (before - 20..=now_ms()).contains(&fine.wall_ms), "{fine:?}");
    assert_eq!((fine.monotonic_ns % 20_000_000, fine.step_ns % 20_000_000), (0, 0), "{fine:?}");
    mesh.ok("fine", &Command::Sleep(25)).await;
    let later = clock(&mesh, "fine").await.monotonic_ns;
    assert!(later >= fine.monotonic_ns + 20_000_000, "{later} after {fine:?}");

    let before = now_ms();
    let hourly = clock(&mesh, "hourly").await;
    assert!([before, now_ms()].map(|ms| ms - ms % 3_600_000).contains(&hourly.wall_ms), "{hourly:?}");
    assert_eq!((hourly.monotonic_ns, hourly.step_ns), (0, 0));

    // It stands, and a wait is a wait.
    let began = Instant::now();
    mesh.ok("stopped", &Command::Sleep(30)).await;
    assert!(began.elapsed() >= Duration::from_millis(30), "{:?}", began.elapsed());
    let stopped = clock(&mesh, "stopped").await;
    assert_eq!((stopped.wall_ms, stopped.monotonic_ns, stopped.step_ns), (0, 0, 0));
    // Who looks for a moment that never comes is ended as everybody who computes too long.
    let crashed = mesh.ask("stopped", &Command::Busy(1)).await;
    assert!(matches!(&crashed, Err(CallError::Crashed(Crash::Budget { .. }))), "{crashed:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_can_seed_randomness_or_take_it_away() {
    let service = |name: &str, more: &str| format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{more}\n");
    let text = [
        "name = \"randomness\"\n[root]\nintensity = 100\n".to_owned(),
        service("real", "randomness = \"real\""),
        service("untold", ""),
        service("dice", "randomness = { seed = 42 }"),
        service("cards", "randomness = { seed = 42 }"),
        service("keyed", "randomness = { seed = 42 }\nkeyed = {}"),
        service("without", "randomness = \"none\""),
    ]
    .concat();
    let draw = Command::Do(vec![Command::Random, Command::InsecureRandom, Command::InsecureSeed, Command::Random]);
    let mesh = Mesh::start(&text).await;
    let real = mesh.ok("real", &draw).await;
    assert_ne!(real[0], real[3]);
    assert_ne!(real, mesh.ok("untold", &draw).await);

    let dice = mesh.ok("dice", &draw).await;
    assert_ne!(dice[0], dice[3]);
    assert_ne!(mesh.ok("dice", &draw).await, dice, "it goes on");
    assert_ne!(mesh.ok("cards", &draw).await, dice, "of the same seed, another service draws others");
    let (alice, bob) = (mesh.ok("keyed/alice", &draw).await, mesh.ok("keyed/bob", &draw).await);
    assert_ne!(alice, bob);
    mesh.ask("dice", &Command::Trap(Trap::Panic)).await.unwrap_err();
    assert_eq!(mesh.ok("dice", &draw).await, dice, "a new instance begins anew");
    let again = Mesh::start(&text.replace("seed = 42", "seed = 42 ")).await;
    assert_eq!(again.ok("dice", &draw).await, dice);
    assert_eq!(again.ok("keyed/alice", &draw).await, alice);
    again.stop().await;
    let other = Mesh::start(&text.replace("seed = 42", "seed = 43")).await;
    assert_ne!(other.ok("dice", &draw).await, dice);
    other.stop().await;

    for asked in [Command::Random, Command::InsecureRandom, Command::InsecureSeed, Command::RandomBytes(1)] {
        match mesh.ask("without", &asked).await {
            Err(CallError::Crashed(Crash::Trap { trap, .. })) => {
                assert!(trap.contains("randomness, which the topology takes away"), "{trap}");
            }
            other => panic!("{asked:?}: {other:?}"),
        }
        assert_eq!(mesh.ok("without", &Command::Echo(json!(1))).await, json!(1), "who asks for none goes on");
    }
    for who in ["real", "dice"] {
        assert_eq!(mesh.ok(who, &Command::RandomBytes(256 << 10)).await, json!(256 << 10));
        match mesh.ask(who, &Command::RandomBytes((256 << 10) + 1)).await {
            Err(CallError::Crashed(Crash::Trap { trap, .. })) => assert!(trap.contains("at once"), "{trap}"),
            other => panic!("{who}: {other:?}"),
        }
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_can_be_cancelled_by_its_owner_alone_who_has_a_bounded_number_of_them() {
    let mesh = Mesh::start(
        r#"
        name = "timers"
        [[service]]
        name = "owner"
        release = "@prober"
        limits = { timers = 2 }
        [[service]]
        name = "meddler"
        release = "@prober"
        [[service]]
        name = "keyed"
        release = "@prober"
        keyed = {}
        limits = { timers = 1 }
        "#,
    )
    .await;
    let later =
        |delay_ms| Command::SendAfter { delay_ms, body: Command::Set { key: "rang".into(), value: json!(1) }.value() };
    let far = mesh.ok("owner", &later(3_600_000)).await.as_u64().unwrap();
    let soon = mesh.ok("owner", &later(100)).await.as_u64().unwrap();
    assert_eq!(mesh.refused("owner", &later(0)).await, "overloaded");
    // The numbers are easy to guess.
    for id in 0..=soon + 1 {
        for who in ["meddler", "keyed/a"] {
            assert_eq!(mesh.ok(who, &Command::Cancel(id)).await, json!(false), "{who}: {id}");
        }
    }
    mesh.until("it rings all the same", |mesh| mesh.stored("owner", "rang") == json!(1)).await;
    assert_eq!(mesh.ok("owner", &Command::Cancel(far)).await, json!(true));
    for _ in 0..2 {
        mesh.ok("owner", &later(3_600_000)).await;
    }
    assert_eq!(mesh.refused("owner", &later(0)).await, "overloaded");

    let key = mesh.ok("keyed/a", &later(3_600_000)).await.as_u64().unwrap();
    assert_eq!(mesh.refused("keyed/a", &later(0)).await, "overloaded");
    assert_eq!(mesh.ok("keyed/b", &Command::Cancel(key)).await, json!(false));
    mesh.ok("keyed/b", &later(3_600_000)).await;
    // What a turn that failed had set leaves room.
    mesh.ok("keyed/a", &Command::Cancel(key)).await;
    mesh.ask("keyed/a", &Command::Do(vec![later(0), Command::Trap(Trap::Panic)])).await.unwrap_err();
    mesh.ok("keyed/a", &later(3_600_000)).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_subscribes_to_a_bounded_number_of_topics() {
    let service = |name: &str, more: &str| {
        format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{more}\n[service.grants]\nsubscribe = [\"**\"]\n")
    };
    let mesh = Mesh::start(&format!(
        "name = \"subscriptions\"\n[root]\nintensity = 10\n{}{}{}",
        service("some", "limits = { subscriptions = 2 }"),
        service("other", "limits = { subscriptions = 2 }"),
        service("usual", ""),
    ))
    .await;
    let on = |topics: &[&str]| Command::Do(topics.iter().map(|topic| subscribe(topic)).collect());
    let unsubscribe = |topic: &str| Command::Unsubscribe(topic.into());
    // A turn that fails leaves its room.
    let failing = Command::Do(vec![on(&["x", "y"]), Command::Trap(Trap::Panic)]);
    mesh.ask("some", &failing).await.unwrap_err();
    let outcomes = mesh.ok("some", &on(&["a", "b", "b", "c"])).await;
    let names: Vec<_> = (0..4).map(|at| outcomes[at]["err"]["name"].as_str().unwrap_or("ok")).collect();
    assert_eq!(names, ["ok", "ok", "ok", "overloaded"]);
    // Once more is no more; what is taken back makes room, when its turn has committed.
    mesh.ok("some", &on(&["a", "b"])).await;
    assert_eq!(mesh.refused("some", &subscribe("**")).await, "overloaded");
    let swapped = mesh.ok("some", &Command::Do(vec![unsubscribe("a"), subscribe("c")])).await;
    assert_eq!(swapped[1]["err"]["name"], "overloaded");
    mesh.ok("some", &subscribe("c")).await;
    assert_eq!(mesh.refused("some", &subscribe("a")).await, "overloaded");
    // Each service has its own bound.
    mesh.ok("other", &on(&["a", "c"])).await;
    for (topic, to_some, to_other) in [("a", 0, 1), ("b", 1, 0), ("c", 1, 1)] {
        let count = |who| mesh.status(who).handled;
        let before = (count("some"), count("other"));
        mesh.runtime.publish(topic, Command::Quiet.bytes()).unwrap();
        mesh.until("it is handled", |mesh| mesh.runtime.is_quiet()).await;
        assert_eq!((count("some") - before.0, count("other") - before.1), (to_some, to_other), "{topic}");
    }
    // The default.
    for topic in 0..100 {
        mesh.ok("usual", &subscribe(&topic.to_string())).await;
    }
    assert_eq!(mesh.refused("usual", &subscribe("100")).await, "overloaded");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datagram_reaches_the_granted_address_and_no_other() {
    log::listen();
    let [open, shut] = [(); 2].map(|()| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(airssys_tests::PATIENCE)).unwrap();
        socket
    });
    let (to_open, to_shut) = (open.local_addr().unwrap(), shut.local_addr().unwrap());
    let mesh = Mesh::start(&format!(
        r#"
        name = "datagrams"
        [[service]]
        name = "speaker"
        release = "@prober"
        [service.grants]
        sockets = ["{to_open}"]
        [[service]]
        name = "mute"
        release = "@prober"
        "#
    ))
    .await;
    let say = |to: std::net::SocketAddr| Command::Datagram { to: to.to_string(), text: "hello".into() };
    // What comes from a stranger is dropped on the way to the guest; only who is granted answers it.
    let answering = tokio::task::spawn_blocking({
        let (open, shut) = (open.try_clone().unwrap(), shut.try_clone().unwrap());
        move || {
            let mut heard = [0; 16];
            let (bytes, from) = open.recv_from(&mut heard).unwrap();
            shut.send_to(b"a stranger", ("127.0.0.1", from.port())).unwrap();
            open.send_to(&[&heard[..bytes], b" back"].concat(), ("127.0.0.1", from.port())).unwrap();
        }
    });
    assert_eq!(mesh.ok("speaker", &say(to_open)).await, json!("hello back"));
    answering.await.unwrap();

    assert_eq!(mesh.refused("speaker", &say(to_shut)).await, "socket/access-denied");
    for to in [to_open, to_shut] {
        assert_eq!(mesh.refused("mute", &say(to)).await, "socket/access-denied");
    }
    for socket in [open, shut] {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock, "nothing else came");
    }
    let audited = log::of("airssys::audit", "speaker");
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!((&audited[0].1["target"], &audited[0].1["message"]), (&json!(to_shut.to_string()), &json!("denied")));
    mesh.stop().await;
}
