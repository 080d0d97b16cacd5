//! A service that an operator stopped is started by nobody else: not by its group, not by its supervisor, not by an
//! apply.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE, with_guests};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Trap};

/// A group of two; the second one is stopped.
fn topology(more: &str) -> String {
    let group = "name = \"m\"\n[root]\nintensity = 1000\n[[supervisor]]\nname = \"inner\"\nstrategy = \"one-for-all\"\nintensity = 1\n";
    let service = |name: &str, more: &str| {
        format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\nsupervisor = \"inner\"\n{more}\n")
    };
    group.to_owned() + &service("first", "") + &service("second", more)
}

async fn crash(runtime: &Runtime) {
    assert!(runtime.call("first", Command::Trap(Trap::Panic).bytes(), PATIENCE).await.is_err());
    // The next incarnation, under the same supervisor or the next one.
    let again = async { while runtime.call("first", Command::Count.bytes(), PATIENCE).await.is_err() {} };
    assert!(tokio::time::timeout(PATIENCE, again).await.is_ok(), "it never came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_stopped_is_started_by_name_alone() {
    for more in ["", "instances = 2", "instances = 2\npartitioned = true", "keyed = {}"] {
        let Mesh { runtime, folder } = Mesh::start(&topology(more)).await;
        let answers = || runtime.call(("second", "k"), Command::Count.bytes(), PATIENCE);
        assert!(answers().await.is_ok(), "{more}");
        let is_kept = runtime.stop_service("second").await.unwrap();
        assert!(!is_kept, "{more}: there is no data folder");
        assert!(answers().await.is_err(), "{more}");
        // Its group starts anew, and then its supervisor.
        for _ in 0..3 {
            crash(&runtime).await;
            assert!(answers().await.is_err(), "{more}");
        }
        // Other rules, and another mailbox.
        for rules in ["retries = 1", "mailbox = { capacity = 7 }"] {
            let file = folder.path().join("airssys.toml");
            std::fs::write(&file, with_guests(&topology(&format!("{more}\n{rules}")))).unwrap();
            let mut options = DeployOptions::default();
            options.probation = std::time::Duration::ZERO;
            let applied = runtime.apply(Topology::read(&file).unwrap(), options).await;
            assert!(applied.is_ok(), "{more}: {:?}", applied.err());
            assert!(answers().await.is_err(), "{more} {rules}");
        }
        let told = runtime.services().into_iter().filter(|of| of.stopped).map(|of| of.service);
        assert_eq!(told.collect::<Vec<_>>(), ["second"], "{more}");
        runtime.start_service("second").await.unwrap();
        assert!(runtime.services().iter().all(|of| !of.stopped), "{more}");
        assert!(answers().await.is_ok(), "{more}");
        crash(&runtime).await;
        // It starts with its group again, behind the first one.
        let again = async { while answers().await.is_err() {} };
        assert!(tokio::time::timeout(PATIENCE, again).await.is_ok(), "{more}");
        let report = runtime.shutdown().await;
        assert!(report.is_clean(), "{report:?}");
    }
}
