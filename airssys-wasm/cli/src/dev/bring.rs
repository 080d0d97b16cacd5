//! Brings what was built into the mesh that runs, in place. What is refused is told, and what runs goes on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use airssys_wasm::Runtime;
use airssys_wasm::deploy::{DeployOptions, Deployment, Progress};
use airssys_wasm::registry::{Digest, Release};
use airssys_wasm::topology::Topology;

use super::sources::Service;
use crate::ask::deploy::{in_words, not_as_wanted};
use crate::control::ControlError;
use crate::control::protocol::Refusal;
use crate::explain::{self, note, note_lines};
use crate::output::{self, Problem};

/// What a developer means by a save: this very code, whatever its version says, and now. A release that crashes is
/// mended by the next save, and not by the one before.
fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    (options.allow_downgrade, options.same_version) = (true, true);
    options
}

/// Deploys the services whose component is another one now: one by itself, several as a set. Whether all serve with
/// what was built.
pub(super) async fn deploy(runtime: &Runtime, services: Vec<Service>) -> bool {
    let begun = Instant::now();
    let (mut set, mut well) = (Vec::new(), true);
    for Service { name, named, .. } in services {
        match found(named).await {
            Ok((_, digest)) if runtime.live_digest(&name).as_ref() == Some(&digest) => {
                note(&format!("{name}: unchanged"));
            }
            Ok((release, _)) => set.push((name, release)),
            Err(problem) => {
                refused(&problem, &name);
                well = false;
            }
        }
    }
    for (name, release) in &set {
        runtime.ungranted(name, Some(release.clone())).iter().for_each(output::plan::tell_ungranted);
    }
    let names = set.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let several = set.len() > 1;
    let deployed = match set.pop() {
        None => return well,
        Some((name, release)) if !several => {
            runtime.deploy(&name, release, options()).await.map(|one| vec![(name, one)])
        }
        Some(last) => {
            set.push(last);
            runtime.deploy_set(set, options()).await
        }
    };
    match deployed {
        Ok(deployments) => {
            for (service, deployment) in deployments {
                well &= tell(runtime, &service, &deployment, begun).await;
            }
            well
        }
        Err(error) => {
            refused(&ControlError::from(Refusal::from(error)), &names);
            false
        }
    }
}

/// Tells how a deployment ended; whether it is live.
async fn tell(runtime: &Runtime, service: &str, deployment: &Deployment, begun: Instant) -> bool {
    let ended = deployment.ended().await;
    let status = runtime.deployment_status(deployment);
    if ended != Progress::Live {
        refused(&ControlError::from(not_as_wanted(&status)), service);
        return false;
    }
    let waited = match status.waited {
        0 => String::new(),
        waited => format!("; {} waited {:.0} µs for it", output::count(waited, "message"), status.pause_us),
    };
    note(&format!("{service}: live in {}{waited}{}", milliseconds(begun), in_words(&status.notes)));
    true
}

/// Brings the mesh to the topology as it is written now; whether it is there.
pub(super) async fn apply(runtime: &Runtime, topology: Topology) -> bool {
    let (begun, file) = (Instant::now(), topology.name().to_owned());
    match runtime.apply(topology, options()).await {
        Ok(applied) => {
            note_lines(output::difference::text(&applied.plan).trim_end());
            applied.notes.iter().for_each(|told| note(told));
            note(&format!("{file}: applied in {}", milliseconds(begun)));
            true
        }
        Err(error) => {
            refused(&ControlError::from(Refusal::from(error)), &file);
            false
        }
    }
}

/// Says why something is not brought in.
pub(super) fn refused(why: &dyn explain::Explain, what: &str) {
    explain::print(why);
    note(&format!("{what}: not brought in; what runs goes on as it was"));
}

/// A release, and the digest of its component.
async fn found(named: PathBuf) -> Result<(Release, String), Problem> {
    // Off the threads of the mesh: a component may be large, or have to be fused.
    let found = airssys_wasm::command::spawn_blocking(move || {
        let release = Release::find(&named)?;
        // What cannot be read the deployment says.
        let digest = std::fs::read(&release.component).map(|bytes| Digest::of(&bytes).to_string()).unwrap_or_default();
        Ok((release, digest))
    });
    found.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// How long it is since then, for people.
pub(super) fn milliseconds(begun: Instant) -> String {
    format!("{} ms", begun.elapsed().as_millis())
}
