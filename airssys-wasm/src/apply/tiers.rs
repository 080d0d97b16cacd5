//! A release that the baseline compiler compiled is compiled again, by the optimizing one, while it serves. It then
//! takes over from itself.
//!
//! Invariant: no memory is lost over it. An instance that hands nothing over, and whose release does not say that its
//! memory is a cache, stays; whoever starts in its place next starts with the better code.

use std::sync::Arc;
use std::time::Duration;

use crate::deploy::{self, Deployment, Posts, Progress};
use crate::engine::{Engines, Template};

use super::compile::compile;
use super::releases::{Deployable, LiveReleases, Releases};

/// How long it waits before it looks again at actors that were busy, or had another release just then.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Brings a release up, when its deployment ended well. Run it in a task of its own.
pub(super) async fn tier_up(
    engines: Arc<Engines>,
    releases: Arc<LiveReleases>,
    service: String,
    hasty: Deployable,
    deployment: Deployment,
    posts: Posts,
) {
    let compiled = match compile(Arc::clone(&engines), Arc::clone(&hasty.node), false, |template| template).await {
        Ok(template) => Arc::new(template),
        Err(error) => {
            tracing::warn!(target: "airssys::deploy", service, %error, "stays as the baseline compiler made it");
            return;
        }
    };
    if compiled.digest() != hasty.template.digest() {
        tracing::warn!(target: "airssys::deploy", service, "stays as the baseline compiler made it: another release lies at its path now");
        return;
    }
    if deployment.ended().await != Progress::Live {
        return;
    }
    if !is_live(&releases, &service, &hasty.template, &compiled) {
        return;
    }
    let memory = hasty.node.release.manifest.memory;
    // An actor may be in a long turn, or be starting, or on probation with another release, which may go back to this
    // one.
    while deploy::tier_up(&engines, &posts, &hasty.template, &compiled, memory).await > 0 {
        tokio::time::sleep(LOOK_AGAIN).await;
        if !is_live(&releases, &service, &hasty.template, &compiled) {
            return;
        }
    }
    tracing::info!(target: "airssys::deploy", service, "compiled again, and in place");
}

/// Whether the release is live still, which is the better compiled one then.
fn is_live(releases: &LiveReleases, service: &str, hasty: &Arc<Template>, compiled: &Arc<Template>) -> bool {
    let look = |found: &mut Releases| {
        if let Some(previous) = found.previous.as_mut().filter(|previous| Arc::ptr_eq(&previous.template, hasty)) {
            previous.template = Arc::clone(compiled);
        }
        if Arc::ptr_eq(&found.live.template, hasty) {
            found.live.template = Arc::clone(compiled);
        }
        Arc::ptr_eq(&found.live.template, compiled)
    };
    releases.look(service, look).unwrap_or(false)
}
