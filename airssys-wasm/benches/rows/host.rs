//! The host's side: a mesh of one release, or of two.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::Runtime;
use airssys_wasm::engine::Lane;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::{Node, ServiceNode, Topology};

use crate::Bench;

/// How long an answer may take before the bench gives up: as long as a turn may, by default.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A message body of 64 bytes. Each message has one of its own, as it would where it comes from a socket or a file.
pub(crate) fn body() -> Vec<u8> {
    vec![b'x'; 64]
}

/// A service with nothing but defaults.
pub(crate) fn service(bench: &Bench, name: &str, guest: &str, lane: Lane) -> ServiceNode {
    let mut release = Release::find(&bench.guest(guest)).expect("a guest's release");
    release.manifest.lane = lane;
    ServiceNode::new(name.parse().expect("a service name"), release)
}

/// Many services alike, called `s0`, `s1` and so on.
pub(crate) fn services(bench: &Bench, count: usize, guest: &str, lane: Lane) -> Vec<ServiceNode> {
    let one = service(bench, "s0", guest, lane);
    (0..count).map(|at| ServiceNode { address: name(at).parse().expect("a service name"), ..one.clone() }).collect()
}

/// The name of a service among many.
pub(crate) fn name(at: usize) -> String {
    format!("s{at}")
}

/// Asks a service, and waits for its answer.
///
/// In the sync lane a turn is trapped after one tick of the clock on the wall, also where the machine took the CPU away meanwhile. That is told and
/// goes on: it says something about the machine, and a round with one restart in it is not far off.
pub(crate) async fn ask(mesh: &Runtime, service: &str) {
    match mesh.call(service, body(), PATIENCE).await {
        Ok(answer) => assert_eq!(answer.map(|answer| answer.len()), Some(64)),
        Err(CallError::Crashed(Crash::Budget { .. })) => {
            eprintln!("a turn of {service} was trapped: this machine is too busy")
        }
        Err(error) => panic!("{service} did not answer: {error}"),
    }
}

/// Stops the mesh, and tells of turns that crashed where none should have.
pub(crate) async fn stop(mesh: &Runtime) {
    let crashed: u64 = mesh.services().iter().map(|service| service.crashed).sum();
    if crashed > 0 {
        eprintln!("{crashed} turns crashed: this machine is too busy to measure on");
    }
    mesh.shutdown().await;
}

/// Starts these services below one root, which bears as many restarts as one may.
pub(crate) async fn start(bench: &Bench, services: Vec<ServiceNode>) -> Arc<Runtime> {
    start_in(bench, services, None).await
}

/// [`start`], with a folder for durable state.
pub(crate) async fn start_in(bench: &Bench, services: Vec<ServiceNode>, data: Option<&Path>) -> Arc<Runtime> {
    let mut topology = Topology::new("bench");
    topology.root.intensity = 1_000_000;
    topology.children = services.into_iter().map(|service| Node::Service(Arc::new(service))).collect();
    let mut builder = Runtime::builder();
    if let Some(most) = bench.max_instances {
        builder = builder.max_instances(most);
    }
    if let Some(data) = data {
        builder = builder.data_folder(data);
    }
    Arc::new(builder.start(&topology).await.expect("the mesh starts"))
}
