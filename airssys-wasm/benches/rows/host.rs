//! The host's side: a mesh of one release, or of two.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::command::Lane;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeBuilder};

use crate::Bench;

/// How long an answer may take before the bench gives up: as long as a turn may, by default.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A message body of 64 bytes. Each message has one of its own, as it would where it comes from a socket or a file.
pub(crate) fn body() -> Vec<u8> {
    vec![b'x'; 64]
}

/// A service as it stands in a topology.
#[derive(Clone)]
pub(crate) struct Service {
    name: String,
    release: PathBuf,
    /// Its other keys.
    keys: String,
}

impl Service {
    /// The same, with another key.
    pub(crate) fn with(mut self, key: &str) -> Self {
        self.keys += &format!("{key}\n");
        self
    }

    /// The same, served by another release.
    pub(crate) fn by(self, release: PathBuf) -> Self {
        Self { release, ..self }
    }

    /// What serves it.
    pub(crate) fn release(&self) -> Release {
        Release::find(&self.release).expect("a guest's release")
    }
}

/// A service with nothing but defaults.
pub(crate) fn service(bench: &Bench, name: &str, guest: &str, lane: Lane) -> Service {
    Service { name: name.to_owned(), release: bench.release(guest, lane), keys: String::new() }
}

/// [`service`], of a component in this file.
pub(crate) fn service_at(name: &str, release: &Path) -> Service {
    Service { name: name.to_owned(), release: release.to_owned(), keys: String::new() }
}

/// Many services alike, called `s0`, `s1` and so on.
pub(crate) fn services(bench: &Bench, count: usize, guest: &str, lane: Lane) -> Vec<Service> {
    let one = service(bench, "s0", guest, lane);
    (0..count).map(|at| Service { name: name(at), ..one.clone() }).collect()
}

/// The name of a service among many.
pub(crate) fn name(at: usize) -> String {
    format!("s{at}")
}

/// Asks a service, and waits for its answer.
///
/// In the sync lane a turn is trapped after one tick of the clock on the wall, also where the machine took the CPU away
/// meanwhile. That is told and goes on: it says something about the machine, and a round with one restart in it is not
/// far off.
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
pub(crate) async fn start(bench: &Bench, services: Vec<Service>) -> Arc<Runtime> {
    start_with(bench, services, Runtime::builder()).await
}

/// [`start`], with a folder for durable state.
pub(crate) async fn start_in(bench: &Bench, services: Vec<Service>, data: &Path) -> Arc<Runtime> {
    start_with(bench, services, Runtime::builder().data_folder(data)).await
}

/// [`start`], with other folders.
pub(crate) async fn start_with(bench: &Bench, services: Vec<Service>, mut builder: RuntimeBuilder) -> Arc<Runtime> {
    let topology = topology(services);
    if let Some(most) = bench.max_instances {
        builder = builder.max_instances(most);
    }
    Arc::new(builder.start(&topology).await.expect("the mesh starts"))
}

/// A topology of these services below one root.
pub(crate) fn topology(services: Vec<Service>) -> Topology {
    let mut text = "name = \"bench\"\n[root]\nintensity = 1000000\n".to_owned();
    for Service { name, release, keys } in services {
        text += &format!("[[service]]\nname = {name:?}\nrelease = {release:?}\n{keys}");
    }
    Topology::parse(text, Path::new("")).expect("a topology")
}
