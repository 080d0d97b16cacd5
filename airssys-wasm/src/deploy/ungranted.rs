//! What a release asks for and the topology does not grant: each use of it would be denied, so it is told before the
//! release is live. Pure.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::capability::asked::{CapabilityRequest, Granted, asked};
use crate::capability::{FileGrant, Grants, Kind, ProcessGrant, Requests};
use crate::schema::Schema;
use crate::topology::ServiceNode;

/// The requests of a service's release that are not granted, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ungranted {
    /// The service.
    pub service: String,
    /// The name and version of the release that asks.
    pub release: String,
    /// What it asks for.
    pub requests: Vec<CapabilityRequest>,
    /// The line of the service's entry in the topology that grants it, with what is granted already. `/HOST-FOLDER`,
    /// `/HOST-PROGRAM` and `VALUE` are for the operator to say.
    pub line: String,
}

impl std::fmt::Display for Ungranted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.requests.iter().map(|one| {
            let part = if one.granted == Some(Granted::Part) { " (granted in part)" } else { "" };
            format!("{} {}{part}", one.kind, one.target)
        });
        let all: Vec<String> = each.collect();
        let Self { service, release, .. } = self;
        write!(f, "{service}: {release} asks for more than is granted: {}", all.join(", "))
    }
}

/// What the release of a service asks for and is not granted; none where all of it is. What a service does with itself
/// needs no grant.
pub(crate) fn ungranted(node: &ServiceNode) -> Option<Ungranted> {
    let (manifest, itself) = (&node.release.manifest, node.address.as_str());
    let free = |one: &CapabilityRequest| one.target == itself && ["send", "call"].contains(&one.kind.as_str());
    let mut requests = asked(&manifest.requests, &node.grants);
    requests.retain(|one| one.granted != Some(Granted::All) && !free(one));
    if requests.is_empty() {
        return None;
    }
    let enough = enough(&manifest.requests, &node.grants, itself);
    let release = format!("{} {}", manifest.name, manifest.version);
    Some(Ungranted { service: itself.to_owned(), release, requests, line: line(&enough) })
}

/// These grants, and what is asked for beyond them.
fn enough(requests: &Requests, grants: &Grants, itself: &str) -> Grants {
    let mut all = grants.clone();
    for kind in Kind::ALL {
        for (wanted, granted) in requests.beside(kind, grants).asked() {
            if granted != Granted::All && !(kind.is_free_to_oneself() && wanted == itself) {
                // What is asked for can be written: it was.
                let _is_new = all.under_mut(kind).add(&wanted);
            }
        }
    }
    for (folder, access) in &requests.files {
        match all.files.get_mut(folder) {
            Some(grant) => grant.access = grant.access | *access,
            None => drop(all.files.insert(folder.clone(), FileGrant::new("/HOST-FOLDER", *access))),
        }
    }
    for name in &requests.processes {
        all.processes.entry(name.clone()).or_insert_with(|| ProcessGrant::new("/HOST-PROGRAM"));
    }
    for name in &requests.environment {
        all.environment.entry(name.clone()).or_insert_with(|| "VALUE".to_owned().into());
    }
    all
}

/// The line of a service's entry in a topology that grants this.
pub(crate) fn line(grants: &Grants) -> String {
    let is_said = |value: &Value| match value {
        Value::Array(all) => !all.is_empty(),
        Value::Table(all) => !all.is_empty(),
        _ => true,
    };
    let grants: Table = grants.table().into_iter().filter(|(_, value)| is_said(value)).collect();
    format!("grants = {}", Value::Table(grants))
}
