//! What is taken away in the middle of a turn, and what is asked for in one that another service called.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;

use airssys_tests::{Mesh, guest};
use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::events::{Happening, Heard, Kind};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{ALL, Capability, Denials, World, assert_told, at, is_refusal, reached, service, tell};
use crate::revoked::Gate;

type Turn = JoinHandle<Result<Value, CallError>>;

/// Services whose turns wait at a gate, between two times that they reach out.
struct Waiting {
    world: World,
    mesh: Mesh,
    open: watch::Sender<bool>,
    turns: Vec<Turn>,
}

impl Waiting {
    /// A turn of each row: it reaches out, waits, and reaches out again.
    async fn start(grants: impl Fn(&World, &Capability) -> String) -> Self {
        let world = World::new().await;
        let (gate, mut waiting, open) = Gate::new();
        let lines = |of: &Capability| {
            let own = grants(&world, of);
            match own.strip_prefix("call = [") {
                Some(rest) => format!("grants = {{ call = [\"gate\", {rest} }}"),
                None => format!("grants = {{ {own}, call = [\"gate\"] }}"),
            }
        };
        let mesh = world.mesh_with(&guest("reacher"), lines, Runtime::builder().layer(gate)).await;
        let mut turns = Vec::new();
        for of in &ALL {
            let (runtime, to) = (Arc::clone(&mesh.runtime), service(of));
            let turn = json!({ "do": [world.reach(of), { "call": "gate" }, world.reach(of)] }).to_string();
            turns.push(tokio::spawn(async move {
                let answer = runtime.call(&to, turn, airssys_tests::PATIENCE).await?.unwrap_or_default();
                Ok(serde_json::from_slice(&answer).unwrap())
            }));
        }
        let _all = waiting.wait_for(|waiting| *waiting == ALL.len()).await.unwrap();
        Self { world, mesh, open, turns }
    }

    /// Opens the gate, and asserts that the turns were refused the second time, or were cut off.
    async fn are_refused_from_here_on(self) {
        let Self { world, mesh, open, turns } = self;
        let denials = Denials::of(&mesh);
        open.send_replace(true);
        for (of, turn) in ALL.iter().zip(turns) {
            let ended = turn.await.unwrap();
            if of.ends_the_instance {
                assert!(matches!(&ended, Err(CallError::Crashed(Crash::CutOff { .. }))), "{}: {ended:?}", of.name);
                // What was read and written before it was taken away is read and written.
                let _before = world.happened(of, &mesh);
                let came = reached(&world, &mesh, of).await;
                assert!(is_refusal(of, &came), "{}: {came}", of.name);
            } else {
                let came = ended.unwrap();
                assert_eq!((&came[0], &came[1]), (&json!("ok"), &json!("ok")), "{}: {came}", of.name);
                assert!(is_refusal(of, came[2].as_str().unwrap()), "{}: {came}", of.name);
            }
        }
        assert_told(&denials.counted(&mesh).await, |_| 1);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_in_the_middle_of_a_turn_is_refused_from_there_on() {
    let waiting = Waiting::start(|world, of| world.granted(of)).await;
    for of in &ALL {
        let _kept = waiting.mesh.runtime.revoke(&service(of), of.key, &waiting.world.line(of)).await.unwrap();
    }
    waiting.are_refused_from_here_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_within_a_turn_is_refused_from_there_on() {
    // Long enough for a mesh to start and all turns to begin, also where the guest is yet to be compiled on a busy
    // machine; nothing else depends on how long: the turns wait until it has come.
    let soon = at(20);
    let waiting = Waiting::start(|world, of| {
        let granted = world.granted(of);
        match of.key {
            "files" | "processes" => granted.replacen(" }", &format!(", until = \"{soon}\" }}"), 1),
            // A variable is granted for good: it is revoked, below.
            "environment" => granted,
            _ => granted.replace("\"]", &format!(" until {soon}\"]")),
        }
    })
    .await;
    let mut events = waiting.mesh.runtime.events().of_kinds(&[Kind::Grant]);
    let mut over = 0;
    while over < ALL.len() - 1 {
        let Some(Heard::Event(event)) = events.next().await else { panic!("events were lost") };
        let Happening::Grant { state, .. } = &event.what else { panic!("{event:?}") };
        over += usize::from(state == "expired");
    }
    let _kept = waiting.mesh.runtime.revoke("a-variable", "environment", "SECRET").await.unwrap();
    waiting.are_refused_from_here_on().await;
}

/// Who calls gives the one called nothing, and takes nothing from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_call_chain_each_has_its_own_grants_alone() {
    for one_called_is_granted in [true, false] {
        let world = World::new().await;
        let mut next = ALL.iter().map(service).skip(1).chain([service(&ALL[0])]);
        let lines = |of: &Capability, next: &str| match one_called_is_granted {
            true => format!("grants = {{ {} }}", granted_and(&world.granted(of), next)),
            false => format!("grants = {{ call = [{next:?}] }}"),
        };
        let texts: Vec<(&str, String)> = ALL.iter().map(|of| (of.name, lines(of, &next.next().unwrap()))).collect();
        let of_name = |of: &Capability| texts.iter().find(|(name, _)| *name == of.name).unwrap().1.clone();
        let mesh = world.mesh(&guest("reacher"), of_name).await;
        let denials = Denials::of(&mesh);
        for (at, of) in ALL.iter().enumerate() {
            // The one before it in the ring calls it.
            let caller = service(&ALL[(at + ALL.len() - 1) % ALL.len()]);
            let told = json!({ "through": [service(of), { "do": [world.reach(of)] }] });
            let came = tell(&mesh, &caller, &told).await.unwrap();
            let came = came[0].as_str().unwrap().to_owned();
            if one_called_is_granted {
                assert_eq!(came, "ok", "{}", of.name);
            } else {
                assert!(is_refusal(of, &came), "{}: {came}", of.name);
                assert!(!world.happened(of, &mesh), "{}", of.name);
            }
        }
        assert_told(&denials.counted(&mesh).await, |_| usize::from(!one_called_is_granted));
        mesh.stop().await;
    }
}

/// A row's grants, and the one to call the next one.
fn granted_and(own: &str, next: &str) -> String {
    match own.strip_prefix("call = [") {
        Some(rest) => format!("call = [{next:?}, {rest}"),
        None => format!("{own}, call = [{next:?}]"),
    }
}
