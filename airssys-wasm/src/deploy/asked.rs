//! What a release asks for, and how much of it is granted. Pure.

use serde::{Deserialize, Serialize};

use crate::capability::{Access, Given, Grants, Operation, Pattern, Requests, in_force};

/// Something that is asked for under `[requests]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityRequest {
    /// The key: `send`, `files` ...
    pub kind: String,
    /// What is written under it: an address, a topic, a folder ...
    pub target: String,
    /// How much of it the topology grants; none where it is not asked for any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
}

/// How much of a request the topology grants.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{CapabilityRequest, Granted};
///
/// fn told(request: &CapabilityRequest) -> String {
///     let granted = match request.granted {
///         Some(Granted::All) => "granted",
///         Some(Granted::Part) => "granted in part",
///         Some(Granted::Nothing) => "not granted",
///         None => "not asked for any more",
///     };
///     format!("{} {}: {granted}", request.kind, request.target)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granted {
    /// None of it.
    Nothing,
    /// Less than is asked for.
    Part,
    /// As much as is asked for.
    All,
}

/// All that is asked for, as it is written, and how much of it is granted.
pub(crate) fn asked(requests: &Requests, grants: &Grants) -> Vec<CapabilityRequest> {
    let mut all = Vec::new();
    let mut ask = |kind: &str, target: String, granted| {
        all.push(CapabilityRequest { kind: kind.to_owned(), target, granted: Some(granted) });
    };
    for (operation, wanted, given) in [
        (Operation::Send, &requests.send, &grants.send),
        (Operation::Call, &requests.call, &grants.call),
        (Operation::Publish, &requests.publish, &grants.publish),
        (Operation::Subscribe, &requests.subscribe, &grants.subscribe),
        (Operation::Spawn, &requests.spawn, &grants.spawn),
    ] {
        for pattern in wanted {
            let granted = most(given, |grant| gives(operation, grant, pattern), |grant| grant.overlaps(pattern));
            ask(operation.name(), pattern.to_string(), granted);
        }
    }
    for (folder, access) in &requests.files {
        let granted = match grants.files.get(folder) {
            None => Granted::Nothing,
            Some(grant) if grant.revoked.is_revoked() => Granted::Nothing,
            Some(grant) if grant.access < *access => Granted::Part,
            Some(_) => Granted::All,
        };
        let access = if *access == Access::Read { "read" } else { "read-write" };
        ask("files", format!("{folder} ({access})"), granted);
    }
    for name in &requests.environment {
        let granted = if grants.environment.contains_key(name) { Granted::All } else { Granted::Nothing };
        ask("environment", name.clone(), granted);
    }
    for socket in &requests.sockets {
        let granted = most(&grants.sockets, |grant| grant.covers(socket), |grant| grant.overlaps(socket));
        ask("sockets", socket.to_string(), granted);
    }
    for request in &requests.http {
        let granted = most(&grants.http, |grant| grant.covers(request), |grant| grant.overlaps(request));
        ask("http", request.to_string(), granted);
    }
    all
}

/// Whether a grant is all of a request. A subscription with a star is to the pattern itself, and
/// [`crate::capability::Policy::allows`] it where the same text is granted, or everything.
fn gives(operation: Operation, grant: &Pattern, wanted: &Pattern) -> bool {
    if operation == Operation::Subscribe && wanted.as_str().contains('*') {
        return grant == wanted || grant.as_str() == "**";
    }
    grant.covers(wanted)
}

/// How much of a request is granted, by the grant that gives most.
fn most<T>(grants: &[Given<T>], covers: impl Fn(&T) -> bool, overlaps: impl Fn(&T) -> bool) -> Granted {
    let granted = |grant: &T| match grant {
        grant if covers(grant) => Granted::All,
        grant if overlaps(grant) => Granted::Part,
        _ => Granted::Nothing,
    };
    in_force(grants).map(granted).max().unwrap_or(Granted::Nothing)
}
