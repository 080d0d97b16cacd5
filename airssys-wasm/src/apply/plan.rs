//! What an apply would change, and what it has changed.

use serde::{Deserialize, Serialize};

use super::difference::{ChangedKey, Difference, Subject, differences};
use crate::deploy::{DeployError, PlanRefusal, Ungranted, ungranted};
use crate::error::Crash;
use crate::hint::Act;
use crate::schema::ChangeMode;
use crate::topology::Topology;

/// What an apply would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApplyPlan {
    /// The mesh.
    pub mesh: String,
    /// Supervisors and services that would not be the same, in the order of the topology; those that would be gone come
    /// last. All others are not touched.
    pub differences: Vec<Difference>,
    /// The services that are not touched.
    pub untouched: Vec<String>,
    /// Services that a release serves which was deployed, and which stays, since the topology names the same one as
    /// before: what serves, by service.
    pub deployed: Vec<(String, String)>,
    /// What the releases of the services that change ask for and are not granted.
    #[serde(default)]
    pub ungranted: Vec<Ungranted>,
    /// What is allowed and may be a mistake: wires in a circle.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why it would be refused; empty where it would not.
    pub refusals: Vec<PlanRefusal>,
}

impl ApplyPlan {
    /// What would change where no mesh runs, at the next start; `before` is what is in force. Where it is strict, it is
    /// refused for each service whose release asks for more than it is granted.
    #[must_use]
    pub fn at_rest(before: Option<&Topology>, topology: &Topology, strict: bool) -> Self {
        let nothing = Topology::new(&topology.name);
        let differences = differences(before.unwrap_or(&nothing), topology);
        let touched = |name: &str| differences.iter().any(|found| found.name == name);
        let untouched =
            topology.services().map(|node| node.address.to_string()).filter(|name| !touched(name)).collect();
        let mut refusals = refused_ways(&differences);
        let found = ungranted_of(&differences, topology);
        let not_granted = found.iter().filter(|_| strict).map(|found| DeployError::NotGranted(Box::new(found.clone())));
        refusals.extend(not_granted.map(|error| PlanRefusal::from(&error)));
        let (mesh, deployed) = (topology.name.clone(), Vec::new());
        let warnings = topology.circles().iter().map(ToString::to_string).collect();
        Self { mesh, differences, untouched, deployed, ungranted: found, warnings, refusals }
    }
}

/// What the services that are touched ask for and are not granted.
pub(crate) fn ungranted_of(differences: &[Difference], topology: &Topology) -> Vec<Ungranted> {
    let touched = |name: &str| differences.iter().any(|found| found.subject == Subject::Service && found.name == name);
    let services = topology.services().filter(|node| touched(node.address.as_str()));
    services.filter_map(|node| ungranted(node)).collect()
}

/// What cannot be done to a mesh that runs, or has run.
pub(crate) fn refused_ways(differences: &[Difference]) -> Vec<PlanRefusal> {
    let refused =
        differences.iter().flat_map(|found| &found.settings).filter(|setting| setting.way == ChangeMode::NotRunning);
    refused
        .map(|ChangedKey { key, from, to, .. }| PlanRefusal {
            code: "other-mesh".to_owned(),
            message: format!("the {key} of the mesh is {from}, and cannot become {to}"),
            hint: Some(Act::OtherFolder.into()),
        })
        .collect()
}

/// What an apply has changed.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, folder| {
/// use airssys_wasm::Applied;
/// use airssys_wasm::deploy::DeployOptions;
/// use airssys_wasm::topology::Topology;
///
/// let same = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// let Applied { left_over, notes, .. } =
///     runtime.apply(Topology::parse(same, folder)?, DeployOptions::default()).await?;
/// assert!(left_over.is_empty() && notes.is_empty());
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Applied {
    /// The plan, all of which was carried out.
    #[doc(hidden)]
    pub plan: ApplyPlan,
    /// Messages that services which were stopped had not handled in time, by service. Each is a dead letter.
    pub left_over: Vec<(String, usize)>,
    /// What it went on without, as sentences: members of a pool that do not run, memory that was not handed over.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A step that did not come about.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) step: String,
    pub(crate) why: String,
}

impl Failed {
    pub(crate) fn new(step: impl Into<String>, why: impl ToString) -> Self {
        Self { step: step.into(), why: why.to_string() }
    }

    /// A service that did not start.
    pub(crate) fn not_started(service: &str, crash: &Crash) -> Self {
        Self::new(format!("{service} does not start"), crash)
    }
}
