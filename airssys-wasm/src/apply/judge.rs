//! What somebody else has to say of a change to a mesh before it is made: the policy of an organisation.
//!
//! Invariant: it can refuse, and allow nothing that the host refuses. Where it cannot say, or does not say in time, the
//! change is refused; so nothing happens that it was not asked about.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::by;
use crate::deploy::PlanRefusal;
use crate::schema::Schema;
use crate::topology::{Node, ServiceNode, Topology};

/// How long is waited for what it says.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many objections are told; all are counted.
const MOST: usize = 100;

/// A change that somebody wants to make to a mesh. Secrets are not in it.
///
/// # Example
///
/// ```
/// use airssys_wasm::{Objection, Proposal, Runtime};
///
/// let builder = Runtime::builder().judge(|proposal: &Proposal| {
///     let layers = proposal.topology["layers"].as_array().map_or(0, Vec::len);
///     let objection = || Objection::new("a mesh has a layer", "house.layers");
///     Ok((layers == 0).then(objection).into_iter().collect())
/// });
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Proposal {
    /// `start`, `apply` or `deploy`.
    pub operation: &'static str,
    /// In whose name it is done, as the audit has it.
    pub by: String,
    /// The topology as it would be: the tables of its file, with all defaults, and of each service its release.
    pub topology: Value,
    /// What would change: the plan of an apply; of a deployment its service, and the releases before and after it.
    pub plan: Value,
}

/// Why a change is not to be made.
///
/// # Example
///
/// ```
/// use airssys_wasm::{Objection, Runtime};
///
/// let closed = || vec![Objection::new("the shop is closed for changes in December", "house.december")];
/// let builder = Runtime::builder().judge(move |_| Ok(closed()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Objection {
    /// For whoever wanted the change.
    pub message: String,
    /// Which rule says so, for whoever asks about it.
    pub rule: String,
}

impl Objection {
    /// One with these texts.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::Objection;
    ///
    /// let Objection { message, rule, .. } = Objection::new("nobody may call the till", "house.till");
    /// assert_eq!((message.as_str(), rule.as_str()), ("nobody may call the till", "house.till"));
    /// ```
    #[must_use]
    pub fn new(message: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { message: message.into(), rule: rule.into() }
    }
}

/// Says what is to be said against a change, or why it cannot say.
pub(crate) type Judge = Arc<dyn Fn(&Proposal) -> Result<Vec<Objection>, String> + Send + Sync>;

/// Asks a judge, where there is one: why the change is refused.
pub(super) async fn judged(judge: Option<&Judge>, proposal: impl FnOnce() -> Proposal) -> Vec<PlanRefusal> {
    let Some(judge) = judge.map(Arc::clone) else { return Vec::new() };
    let proposal = proposal();
    // It computes, and may read; where it takes too long it goes on by itself, and nobody hears it.
    let asked = crate::blocking::spawn(move || judge(&proposal));
    let broken = |why: String| PlanRefusal {
        code: "policy-broken".to_owned(),
        message: format!("the policy cannot say whether this may be done, so it is not: {why}"),
        hint: Some("mend the policy that the host was started with".into()),
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Err(_too_late) => vec![broken(format!("it has not answered within {PATIENCE:?}"))],
        Ok(Err(panic)) => vec![broken(format!("it panicked: {panic}"))],
        Ok(Ok(Err(why))) => vec![broken(why)],
        Ok(Ok(Ok(objections))) => {
            let more = objections.len().saturating_sub(MOST);
            let told =
                objections.into_iter().take(MOST).map(|Objection { message, rule }| format!("{message} ({rule})"));
            let told = told.chain((more > 0).then(|| format!("and {more} more")));
            let refusal = |message| PlanRefusal {
                code: "policy".to_owned(),
                message,
                hint: Some("change what the rule is about, or ask whoever has the policy".into()),
            };
            told.map(refusal).collect()
        }
    }
}

/// Why a start is refused.
pub(super) async fn judged_start(judge: Option<&Judge>, topology: &Topology) -> Vec<PlanRefusal> {
    let proposal = || Proposal { operation: "start", by: by(), topology: written(topology), plan: Value::Null };
    judged(judge, proposal).await
}

/// All messages, in the words of one error.
pub(super) fn in_one(refusals: &[PlanRefusal]) -> String {
    refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("\n")
}

/// The tables of a topology.
pub(super) fn written(topology: &Topology) -> Value {
    let (mut supervisors, mut services) = (Vec::new(), Vec::new());
    nodes(&topology.children, None, &mut supervisors, &mut services);
    json!({
        "name": topology.name,
        "settings": table(&topology.settings),
        "root": table(&topology.root),
        "supervisors": supervisors,
        "services": services,
        "roles": tables(&topology.roles.0),
        "quotas": tables(&topology.quotas),
        "logs": tables(&topology.logs),
        "retries": tables(&topology.retries),
        "layers": tables(&topology.layers),
        "http": tables(&topology.listeners),
    })
}

fn nodes(of: &[Node], above: Option<&str>, supervisors: &mut Vec<Value>, services: &mut Vec<Value>) {
    for node in of {
        match node {
            Node::Supervisor(node) => {
                let mut entry = table(&**node);
                entry["parent"] = above.into();
                supervisors.push(entry);
                nodes(&node.children, Some(&node.name), supervisors, services);
            }
            Node::Service(node) => {
                let mut entry = table(&**node);
                // With a word in the place of each secret.
                entry["config"] = node.config.shown().into_iter().collect();
                entry["supervisor"] = above.into();
                // What it is granted by its roles as well, and what its release asks for.
                entry["grants"] = table(&node.grants);
                entry["limits"] = table(&node.limits);
                entry["served_by"] = release(node);
                services.push(entry);
            }
        }
    }
}

pub(super) fn release(of: &ServiceNode) -> Value {
    let manifest = &of.release.manifest;
    let digest = of.release.seal.as_ref().map(|seal| seal.binary.to_string());
    let requests: Value = manifest.requests.by_key().into_iter().collect();
    json!({
        "name": manifest.name,
        "version": manifest.version.to_string(),
        "named": of.named.to_string_lossy(),
        "digest": digest,
        "requests": requests,
    })
}

fn table(of: &impl Schema) -> Value {
    serde_json::to_value(of.table()).unwrap_or_default()
}

fn tables(all: &[impl Schema]) -> Vec<Value> {
    all.iter().map(|one| table(one)).collect()
}
