//! The smallest grants for what services were counted to do; and which grants nobody used.

use serde::{Deserialize, Serialize};

use super::hosted::Hosted;
use crate::capability::learn::{Smallest, learn};
use crate::capability::lines::Line;
use crate::capability::{Access, FileGrant, Kind};
use crate::deploy::ungranted::line;
use crate::shown::shown;
use crate::topology::ServiceNode;

/// What was learned of a service: the smallest grants for what it did, and the proof that they are.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// assert!(runtime.learned().is_none(), "what is done there is not counted");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// The service.
    pub service: String,
    /// The line of its entry in the topology that says what it is granted.
    pub before: String,
    /// The line that would be enough.
    pub line: String,
    /// How many grants that are; without any one of them something that it did is denied.
    pub grants: usize,
    /// How many different operations it did. They were decided again under the grants of `line`, and allowed.
    pub operations: usize,
    /// What of it was not granted, such as `call pricing`.
    pub let_through: Vec<String>,
    /// What its release does not ask for, as it would stand under `[requests]` of its `Component.toml`.
    pub requests: Vec<String>,
    /// What cannot be learned, or was not.
    pub notes: Vec<String>,
}

/// A grant that nobody used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// The service.
    pub service: String,
    /// The key of its grants.
    pub key: String,
    /// What is granted, as it is written.
    pub grant: String,
}

impl Hosted {
    /// See [`crate::Runtime::learned`].
    pub(crate) fn learned(&self) -> Option<Vec<Learned>> {
        self.counting.as_ref()?;
        let mut all: Vec<Learned> =
            self.actual.releases.live_ones().values().filter_map(|live| learned(&live.node)).collect();
        all.sort_unstable_by(|a, b| a.service.cmp(&b.service));
        Some(all)
    }

    /// See [`crate::Runtime::unused`].
    pub(crate) fn unused(&self) -> Vec<Unused> {
        let live = self.actual.releases.live_ones();
        let mut all: Vec<Unused> = live.values().flat_map(|live| unused(&live.node)).collect();
        all.sort_by(|a, b| a.service.cmp(&b.service));
        all
    }
}

fn learned(node: &ServiceNode) -> Option<Learned> {
    let requests = &node.release.manifest.requests;
    let Smallest { grants, lacking, let_through, operations, lines, beyond, is_full } = learn(requests, &node.grants)?;
    let told = |(kind, target): &(Kind, Box<str>)| format!("{} {}", kind.name(), shown(target));
    let mut notes: Vec<String> =
        beyond.iter().map(|one| format!("{} cannot be written as a grant", told(one))).collect();
    if is_full {
        notes.push("it did more than is counted: what came then was denied where it is not granted".to_owned());
    }
    for (folder, asked) in &requests.files {
        let lacking = *asked - node.grants.files.get(folder).map_or(Access::NONE, FileGrant::now);
        let words: Vec<String> = lacking.each().map(|right| right.to_string()).collect();
        if !words.is_empty() {
            let words = words.join(", ");
            notes.push(format!(
                "it asks for {words} of {folder}: only with a grant, which says where that is, it is counted"
            ));
        }
    }
    for name in requests.environment.iter().filter(|name| !node.grants.environment.contains_key(*name)) {
        notes.push(format!("it asks for the variable {name}: only with a grant, which says its value, it is counted"));
    }
    let requests = lacking.iter().map(|(key, all)| format!("{key} = {}", toml::Value::from(all.clone())));
    Some(Learned {
        service: node.address.to_string(),
        before: line(&node.grants),
        line: line(&grants),
        grants: lines,
        operations,
        let_through: let_through.iter().map(told).collect(),
        requests: requests.collect(),
        notes,
    })
}

fn unused(node: &ServiceNode) -> Vec<Unused> {
    let of = |kind: Kind| {
        let lines: Vec<Line> =
            node.grants.under(kind).lines().into_iter().filter(|line| !line.mark.is_used()).collect();
        // Of what is used, the parts that are not.
        let is_whole = |part: &Line| {
            let whole = part.what.split_once(' ').map_or(part.what.as_str(), |(_, folder)| folder);
            lines.iter().any(|line| line.what == whole)
        };
        let parts = node.grants.under(kind).parts().into_iter();
        let parts: Vec<Line> = match kind {
            Kind::Files => parts.filter(|part| !part.mark.is_used() && !is_whole(part)).collect(),
            _ => Vec::new(),
        };
        let (service, key) = (node.address.to_string(), kind.name().to_owned());
        let all = lines.into_iter().chain(parts);
        all.map(move |line| Unused { service: service.clone(), key: key.clone(), grant: line.text() })
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}
