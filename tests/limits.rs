//! A limit of the size of an instance is what it says: what is within it runs, in as many instances as were declared,
//! and what is beyond it is refused or crashes as itself.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use airssys_tests::{PATIENCE, told};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeError};
use tempfile::TempDir;

const ECHO: &str = include_str!("../airssys-wasm/doc/echo.wat");
const HANDLE: &str = "(i32.store (i32.const 0) (i32.const 0))";

/// The echo with something more in its module and something more to do for each message.
fn doing(more: &str, first: &str) -> Vec<u8> {
    let text = ECHO.replace("    (global $free", &format!("{more}\n    (global $free")).replacen(
        HANDLE,
        &format!("{first}\n{HANDLE}"),
        1,
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The echo with something more in the component.
fn with(more: &str) -> Vec<u8> {
    wat::parse_str(format!("{}{more})", ECHO.trim_end().strip_suffix(')').unwrap())).unwrap()
}

/// One that calls itself this often for each message.
fn deep(calls: u32) -> Vec<u8> {
    doing(
        "(func $down (param $n i32) (result i32)
           (if (result i32) (local.get $n)
             (then (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
             (else (i32.const 0))))",
        &format!("(drop (call $down (i32.const {calls})))"),
    )
}

fn text(settings: &str) -> String {
    format!(
        "name = \"limits\"\n[root]\nintensity = 1000\n[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n{settings}\n"
    )
}

fn put(folder: &TempDir, binary: &[u8], settings: &str) -> Topology {
    std::fs::write(folder.path().join("a.wasm"), binary).unwrap();
    std::fs::write(folder.path().join("airssys.toml"), text(settings)).unwrap();
    Topology::read(&folder.path().join("airssys.toml")).unwrap()
}

async fn start(binary: &[u8], settings: &str) -> (Arc<Runtime>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let topology = put(&folder, binary, settings);
    // What `check` says is what comes about.
    Runtime::builder().check(&topology).await.unwrap();
    let runtime = Runtime::builder().start(&topology).await;
    (Arc::new(runtime.unwrap_or_else(|error| panic!("{settings}: {error}"))), folder)
}

async fn well(runtime: &Runtime) {
    let answer = runtime.call("a", "hello", PATIENCE).await;
    assert_eq!(answer.unwrap().as_deref(), Some(b"hello".as_slice()));
}

async fn crash(runtime: &Runtime) -> Crash {
    match runtime.call("a", "hello", PATIENCE).await {
        Err(CallError::Crashed(crash)) => crash,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_memories_tables_and_core_instances_as_are_allowed_live_in_every_instance() {
    let memories = with("(core module $m (memory 1) (memory 2)) (core instance (instantiate $m))");
    let tables = with(&format!("(core module $m {}) (core instance (instantiate $m))", "(table 1 funcref)".repeat(20)));
    let instances =
        with(&format!("(core module $m (table 1 funcref)) {}", "(core instance (instantiate $m))".repeat(40)));
    let table = with("(core module $m (table 25000 funcref)) (core instance (instantiate $m))");
    for (binary, limits) in [
        (&memories, "memories = 3"),
        (&tables, "tables = 20"),
        (&instances, "core_instances = 41, tables = 40"),
        (&table, "table_elements = 40000"),
    ] {
        let (runtime, _folder) = start(binary, &format!("instances = 10\nlimits = {{ {limits} }}")).await;
        for _ in 0..20 {
            well(&runtime).await;
        }
        assert_eq!(runtime.services()[0].started, 10, "{limits}");
        runtime.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_memories_share_one_limit() {
    // 300 pages at first, and 300 more in another memory with the first message: 37.5 MiB.
    let grows = "(if (i32.eq (memory.grow $other (i32.const 300)) (i32.const -1)) (then unreachable))";
    let mut binary = doing("(memory $other 0) (memory $third 299)", grows);
    for (limits, expected) in [("memories = 3, memory = \"64MiB\"", true), ("memories = 3", false)] {
        let (runtime, _folder) = start(&binary, &format!("limits = {{ {limits} }}")).await;
        if expected {
            well(&runtime).await;
        } else {
            assert_eq!(crash(&runtime).await, Crash::OutOfMemory { limit_bytes: 32 << 20 });
        }
        runtime.shutdown().await;
    }
    // Tables likewise.
    let grows = "(if (i32.eq (table.grow $other (ref.null func) (i32.const 15000)) (i32.const -1)) (then unreachable))";
    binary = doing("(table $other 0 funcref) (table $third 10000 funcref)", grows);
    for (limits, expected) in [("table_elements = 25000", true), ("table_elements = 24999", false)] {
        let (runtime, _folder) = start(&binary, &format!("limits = {{ {limits} }}")).await;
        if expected {
            well(&runtime).await;
        } else {
            assert_eq!(crash(&runtime).await.code(), "out-of-memory");
        }
        runtime.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_recursion_succeeds_with_a_larger_stack_and_crashes_as_itself_with_a_smaller() {
    let deep = deep(100_000);
    let (runtime, _folder) = start(&deep, "").await;
    for _ in 0..3 {
        assert_eq!(crash(&runtime).await.code(), "stack-overflow", "the default is too small for it");
    }
    runtime.shutdown().await;
    let (runtime, _folder) = start(&deep, "limits = { stack = \"16MiB\" }\ninstances = 4").await;
    for _ in 0..8 {
        well(&runtime).await;
    }
    runtime.shutdown().await;
    // A small one holds as exactly.
    let (runtime, _folder) = start(&self::deep(5_000), "limits = { stack = \"16KiB\" }").await;
    assert_eq!(crash(&runtime).await.code(), "stack-overflow");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sync_lane_survives_the_largest_stack_that_it_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "name = \"a\"\nversion = \"1.0.0\"\nlane = \"sync\"\nlimits = { stack = \"1MiB\" }\n";
    std::fs::write(folder.path().join("a.toml"), manifest).unwrap();
    let topology = put(&folder, &deep(u32::MAX), "");
    let runtime = Runtime::builder().start(&topology).await.unwrap();
    let mut overflows = 0;
    while overflows < 3 {
        match crash(&runtime).await.code() {
            "stack-overflow" => overflows += 1,
            // A turn there has one tick of time, which may be over before the stack is where the machine is busy.
            other => assert_eq!(other, "budget"),
        }
    }
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_brings_its_limits_along_and_apply_changes_them() {
    let (runtime, folder) = start(&deep(10), "instances = 3").await;
    well(&runtime).await;
    let path = folder.path().join("b.wasm");
    std::fs::write(&path, deep(100_000)).unwrap();
    let manifest = "name = \"a\"\nversion = \"1.0.0\"\nlimits = { stack = \"16MiB\" }\n";
    std::fs::write(path.with_extension("toml"), manifest).unwrap();
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    let deployment = runtime.deploy("a", Release::find(&path).unwrap(), options.clone()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    well(&runtime).await;
    // And there and back again, which takes no more room each time.
    std::fs::write(folder.path().join("a.wasm"), deep(100_000)).unwrap();
    for stack in ["16MiB", "512KiB", "16MiB", "512KiB", "16MiB", "512KiB"] {
        let topology = text(&format!("instances = 3\nlimits = {{ stack = {stack:?} }}")).replace("a.wasm", "b.wasm");
        std::fs::write(folder.path().join("airssys.toml"), topology).unwrap();
        let topology = Topology::read(&folder.path().join("airssys.toml")).unwrap();
        runtime.apply(topology, options.clone()).await.unwrap();
        if stack == "16MiB" {
            well(&runtime).await;
        } else {
            assert_eq!(crash(&runtime).await.code(), "stack-overflow");
        }
    }
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_by_a_limit_names_its_key_and_what_it_is() {
    let refused = |grow: &str| doing("", &format!("(if (i32.eq ({grow}) (i32.const -1)) (then unreachable))"));
    let large = refused("memory.grow (i32.const 600)");
    let wide = doing(
        "(table $wide 0 funcref)",
        "(if (i32.eq (table.grow $wide (ref.null func) (i32.const 20001)) (i32.const -1)) (then unreachable))",
    );
    let full = doing(
        "(memory $small 1 2)",
        "(if (i32.eq (memory.grow $small (i32.const 2)) (i32.const -1)) (then unreachable))",
    );
    let endless = doing("", "(loop (br 0))");
    let cases: [(&[u8], &str, &str, &str, &str); 10] = [
        (&deep(100_000), "", "", "stack-overflow", "stack overflow in down: the limit `stack` is 512KiB"),
        (&deep(5_000), "", "stack = \"16KiB\"", "stack-overflow", "the limit `stack` is 16KiB"),
        (&large, "", "", "out-of-memory", "out of memory: the limit `memory` is 32MiB"),
        (&wide, "", "", "out-of-memory", "out of memory: the limit `table_elements` is 20000"),
        (&full, "", "memories = 2", "out-of-memory", "out of memory: "),
        (&endless, "", "turn_budget = \"20ms\"", "budget", "turn budget used up: the limit `turn_budget` is 20ms"),
        (
            &endless,
            "",
            "turn_budget = \"1h\", turn_deadline = \"50ms\"",
            "deadline",
            "turn deadline passed: the limit `turn_deadline` is 50ms",
        ),
        (
            &endless,
            "lane = \"sync\"\n",
            "turn_budget = \"1h\"",
            "budget",
            "in the sync lane a turn computes for one tick of 2ms",
        ),
        (&deep(u32::MAX), "lane = \"sync\"\n", "turn_budget = \"1h\"", "stack-overflow", "the limit `stack` is 512KiB"),
        (&with(""), "", "boundary = \"1KiB\"", "oversized", "the limit `boundary` is 1KiB"),
    ];
    for (binary, lane, limits, code, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), format!("name = \"a\"\nversion = \"1.0.0\"\n{lane}")).unwrap();
        let topology = put(&folder, binary, &format!("limits = {{ {limits} }}"));
        let runtime = Runtime::builder().start(&topology).await.unwrap();
        let crashed = match runtime.call("a", vec![b'x'; 2 << 10], PATIENCE).await {
            Err(CallError::Crashed(crash)) => crash,
            other => panic!("{says}: {other:?}"),
        };
        assert_eq!(crashed.code(), code, "{crashed}");
        assert!(crashed.to_string().contains(says), "{says}: {crashed}");
        // A memory's own maximum is nobody's limit.
        assert!(says.contains("the limit `") || !crashed.to_string().contains("the limit `"), "{crashed}");
        runtime.shutdown().await;
    }
}

/// How many mappings the kernel keeps for this process.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_with_ever_other_limits_take_no_more_room_than_the_one_that_serves() {
    let (runtime, folder) = start(&deep(10), "instances = 2").await;
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    let path = folder.path().join("b.wasm");
    let mut most = 0;
    for at in 0..60_usize {
        std::fs::write(&path, deep(u32::try_from(at).unwrap())).unwrap();
        let manifest = format!("name = \"a\"\nversion = \"1.0.{at}\"\nlimits = {{ stack = \"{}KiB\" }}\n", 600 + at);
        std::fs::write(path.with_extension("toml"), manifest).unwrap();
        let release = Release::find(&path).unwrap();
        // One that is only looked at takes no room either.
        let _plan = runtime.plan("a", release.clone(), options.clone()).await.unwrap();
        let deployment = runtime.deploy("a", release, options.clone()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{at}");
        well(&runtime).await;
        if at < 5 {
            most = most.max(mappings());
        }
    }
    // Each class that stayed would have a thousand stacks, of two mappings each. Other tests of this process come and
    // go.
    let until = Instant::now() + PATIENCE;
    while mappings() >= most + 2_000 {
        assert!(Instant::now() < until, "{} mappings, and {most} after five of them", mappings());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    runtime.shutdown().await;
}

#[test]
fn a_number_that_means_nothing_is_refused_of_a_topology_that_is_in_no_file_too() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, &with(""), "");
    for (says, settings) in [
        ("`turn_deadline` is 0s", "limits.turn_deadline = \"0s\""),
        ("longer than a year", "limits.turn_deadline = \"2years\""),
        ("longer than a year", "limits.start_timeout = \"2years\""),
        ("`memory` is 5GiB", "limits.memory = \"5GiB\""),
        ("`boundary` is 0B", "limits.boundary = \"0B\""),
        ("`effects` is ", "limits.effects = 9223372036854775807"),
        ("`capacity` is 0", "mailbox.capacity = 0"),
        ("`bytes` is ", "mailbox.bytes = \"7EiB\""),
        ("is no shutdown", "shutdown = \"2years\""),
        ("`instances` is 0", "instances = 0"),
        ("`max_keys` is 0", "keyed.max_keys = 0"),
        ("longer than a year", "keyed.idle_timeout = \"2years\""),
        ("longer than a year", "[settings]\nreserve_timeout = \"2years\""),
        ("`shutdown_timeout` is 0s", "[settings]\nshutdown_timeout = \"0s\""),
        ("`dead_letters` is ", "[settings]\ndead_letters = 9223372036854775807"),
        ("`max_children` is 0", "spawned.max_children = 0"),
    ] {
        let told = told!(Topology::parse(text(settings), folder.path()).map(drop).unwrap_err());
        assert!(told.contains(says) && told.contains("hint: "), "{says}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_with_a_time_that_is_none_is_refused_before_it_begins() {
    let (runtime, folder) = start(&with(""), "").await;
    let release = Release::find(&folder.path().join("a.wasm")).unwrap();
    let topology = Topology::read(&folder.path().join("airssys.toml")).unwrap();
    type Change = (&'static str, fn(&mut DeployOptions));
    let cases: [Change; 4] = [
        ("`handover_deadline` is 0s", |options| options.handover_deadline = Duration::ZERO),
        ("`handover_deadline` is ", |options| options.handover_deadline = Duration::MAX),
        ("`probation` is ", |options| options.probation = Duration::MAX),
        ("`patience` is ", |options| options.gate.patience = Duration::MAX),
    ];
    for (says, change) in cases {
        let mut options = DeployOptions::default();
        change(&mut options);
        let all = [
            told!(runtime.plan("a", release.clone(), options.clone()).await.map(drop).unwrap_err()),
            told!(runtime.deploy("a", release.clone(), options.clone()).await.map(drop).unwrap_err()),
            told!(runtime.rollback("a", options.clone()).map(drop).unwrap_err()),
            told!(runtime.apply(topology.clone(), options).await.map(drop).unwrap_err()),
        ];
        for told in all {
            assert!(told.contains(says) && told.contains("; hint: write at "), "{says}: {told}");
        }
    }
    well(&runtime).await;
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_machine_holds_is_refused_by_check_and_run_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, names) in [
        // Places: each memory takes one.
        ("instances = 1024\nlimits = { memories = 16, memory = \"2MiB\" }", ["16384", "mappings"]),
        // Address space.
        (
            "instances = 1000\nlimits = { tables = 1000, table_elements = 10000000 }",
            ["2000 instances", "`table_elements`"],
        ),
    ] {
        let topology = put(&folder, &with(""), settings);
        let said = |error: RuntimeError| told!(error);
        let checked = Runtime::builder().check(&topology).await.map(drop).map_err(said).unwrap_err();
        let started = Runtime::builder().start(&topology).await.map(drop).map_err(said).unwrap_err();
        assert_eq!(checked, started);
        for name in names {
            assert!(checked.contains(name), "no {name:?} in {checked}");
        }
    }
}
