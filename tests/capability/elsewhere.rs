//! From `init`, `snapshot` and `migrate`, and in a shadow: what a guest does there needs the same grants.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, guest};
use airssys_wasm::deploy::{Progress, Strategy};
use airssys_wasm::registry::Release;
use serde_json::{Value, json};

use super::{ALL, Capability, Denials, World, assert_told, is_refusal, release_without, service, tell};

const PLACES: [&str; 3] = ["init", "snapshot", "migrate"];

/// Each row reaches out in these places, in a release that starts and another one that takes over.
async fn came(world: &World, places: &[&str], granted: bool) -> (Mesh, Vec<Value>, Vec<(String, String)>) {
    let lines = |of: &Capability| {
        let reach = json!([world.reach(of)]).to_string();
        let config: Vec<String> = places.iter().map(|place| format!("{place} = '{reach}'")).collect();
        let grants = if granted { format!("grants = {{ {} }}", world.granted(of)) } else { String::new() };
        format!("config = {{ {} }}\n{grants}", config.join(", "))
    };
    let mesh = world.mesh(&guest("reacher"), lines).await;
    let denials = Denials::of(&mesh);
    let next = release_without(world.folder.path(), "nothing", "state_schema = 1");
    let mut all = Vec::new();
    for of in &ALL {
        if places != ["init"] {
            // Where there is no state, nothing is brought over.
            let _state = tell(&mesh, &service(of), &json!({ "do": [] })).await.unwrap();
            let mut release = Release::find(&next).unwrap();
            release.manifest.version = "0.2.0".parse().unwrap();
            let end = mesh.runtime.deploy(&service(of), release, quick()).await.unwrap().ended().await;
            assert!(matches!(end, Progress::Live), "{}: {end:?}", of.name);
        }
        all.push(tell(&mesh, &service(of), &json!("earlier")).await.unwrap());
    }
    let denials = denials.counted(&mesh).await;
    (mesh, all, denials)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_refused_wherever_a_guest_runs() {
    for place in PLACES {
        let world = World::new().await;
        let (mesh, all, denials) = came(&world, &[place], false).await;
        for (of, came) in ALL.iter().zip(all) {
            let came = came[place][0].as_str().unwrap_or_else(|| panic!("{place}: {}: {came}", of.name)).to_owned();
            assert!(is_refusal(of, &came), "{place}: {}: {came}", of.name);
            assert!(!world.happened(of, &mesh), "{place}: {}", of.name);
        }
        assert_told(&denials, |_| 1);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_is_so_wherever_a_guest_runs() {
    for place in PLACES {
        let world = World::new().await;
        let (mesh, all, denials) = came(&world, &[place], true).await;
        for (of, came) in ALL.iter().zip(all) {
            assert_eq!(came[place][0], json!("ok"), "{place}: {}: {came}", of.name);
        }
        assert_told(&denials, |_| 0);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_shadow_nothing_is_done_and_a_denial_is_told_once() {
    let world = World::new().await;
    for granted in [false, true] {
        let lines = |of: &Capability| match granted {
            true => format!("grants = {{ {} }}", world.granted(of)),
            false => String::new(),
        };
        let mesh = world.mesh(&guest("reacher"), lines).await;
        let denials = Denials::of(&mesh);
        let next = release_without(world.folder.path(), "nothing", "");
        let mut denied = Vec::new();
        for of in &ALL {
            let mut release = Release::find(&next).unwrap();
            release.manifest.version = "0.2.0".parse().unwrap();
            let mut options = quick();
            options.strategy = Strategy::Shadow { tolerate: 0.0 };
            (options.gate.bake, options.gate.samples, options.gate.latency) = (Duration::from_millis(1), 1, 1e6);
            let leaves = matches!(of.key, "files" | "sockets" | "bind" | "http" | "processes") && granted;
            let begun = mesh.runtime.deploy(&service(of), release, options).await;
            if leaves {
                // What it would do there cannot be held back.
                let refused = begun.err().unwrap().to_string();
                assert!(refused.contains("cannot be held back"), "{}: {refused}", of.name);
                continue;
            }
            let deployment = begun.unwrap();
            airssys_tests::until("it is shown messages", async || {
                matches!(deployment.progress(), Progress::Rehearsing { .. })
            })
            .await;
            let came = tell(&mesh, &service(of), &json!({ "do": [world.reach(of)] })).await.unwrap();
            match granted {
                true => assert_eq!(came[0], json!("ok"), "{}", of.name),
                false => {
                    assert!(is_refusal(of, came[0].as_str().unwrap()), "{}: {came}", of.name);
                    assert!(!world.happened(of, &mesh), "{}", of.name);
                    denied.push(of.name);
                }
            }
            let end = deployment.ended().await;
            assert_eq!(end, Progress::Live, "{}: the two did the same", of.name);
        }
        assert_told(&denials.counted(&mesh).await, |of| usize::from(denied.contains(&of.name)));
        if granted {
            assert_eq!(mesh.status("goal").accepted, 2, "one send and one call, of the release that serves");
        }
        mesh.stop().await;
    }
}
