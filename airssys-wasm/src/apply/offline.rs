//! A release is held against a recording where no mesh runs: as in continuous integration, before anybody deploys it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::against::{Comparison, Contender, compare};
use super::check::engines;
use super::compile::load_one;
use super::error::RuntimeError;
use super::replay::{Of, ReplayError, node, release_named};
use crate::deploy::{RecordedGate, RecordingError};
use crate::engine::{EnginesSettings, Template};
use crate::registry::Release;
use crate::settings::Config;
use crate::topology::{Node, ServiceNode, Topology};
use crate::turn::Recording;

/// Holds a release against a recording, without a mesh: what it does over each recorded message, on the state that
/// there was, with what was answered then. It has the limits and the configuration of the service, and nothing is asked
/// about its grants. With the release that was recorded, turns that this does not do again either say nothing. How long
/// it takes is not looked at. To be called on a runtime with several threads.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Recording, verify_release};
/// use airssys_wasm::deploy::RecordedGate;
/// use airssys_wasm::registry::Release;
///
/// async fn is_as_before(file: &std::path::Path, next: Release) -> Result<bool, Box<dyn std::error::Error>> {
///     let recording = Recording::read(file)?;
///     let found = verify_release(recording, next, None, &RecordedGate::default(), None).await?;
///     Ok(found.divergence.is_none())
/// }
/// ```
///
/// # Errors
///
/// [`ReplayError`]: nothing was compared. That it differs is no error.
pub async fn verify_release(
    mut recording: Recording,
    next: Release,
    before: Option<Release>,
    gate: &RecordedGate,
    code_cache: Option<PathBuf>,
) -> Result<Comparison, ReplayError> {
    let service = recording.service.clone();
    if !recording.has_bodies {
        return Err(RecordingError::NoBodies { service }.into());
    }
    recording.keep_last(gate.turns.unwrap_or(usize::MAX));
    if recording.turns() == 0 {
        return Err(RecordingError::Empty { service }.into());
    }
    let of = |release| -> Result<Arc<ServiceNode>, ReplayError> {
        let mut node = node(&Of::recording(&recording), release)?;
        node.config = Config::of_texts(&recording.config);
        Ok(Arc::new(node))
    };
    let (next, before) = (of(next)?, before.map(of).transpose()?);
    let mut topology = Topology::new("verify");
    topology.children.extend([Some(&next), before.as_ref()].into_iter().flatten().cloned().map(Node::Service));
    let settings = EnginesSettings { code_cache, ..EnginesSettings::default() };
    let engines = engines(settings, &topology).map_err(RuntimeError::from)?;
    let contender = |node: &ServiceNode, template: &Arc<Template>| {
        if template.has_tasks() {
            let why =
                "its functions may be async (WASI 0.3), and in which order what they wait for is ready is not recorded";
            return Err(ReplayError::from(RecordingError::Unfit { service: service.clone(), why }));
        }
        let nobody = || ReplayError::Content("nobody would serve".to_owned());
        Ok(Contender::new(&engines, node, template).ok_or_else(nobody)?.unjudged())
    };
    let template = load_one(&engines, &next).await?;
    let next = contender(&next, &template)?;
    let before = match &before {
        Some(before) => Some(contender(before, &load_one(&engines, before).await?)?),
        None => None,
    };
    Ok(compare(&recording, &next, before.as_ref(), &gate.allow, None).await?)
}

/// The release that was recorded: the one that is given, or what a data folder has of it.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Recording, recorded_release};
///
/// fn is_here(recording: &Recording, data: &std::path::Path) -> bool {
///     recorded_release(recording, data, None).is_ok()
/// }
/// ```
///
/// # Errors
///
/// It is not there, or is another one.
pub fn recorded_release(recording: &Recording, data: &Path, given: Option<&Path>) -> Result<Release, ReplayError> {
    release_named(&Of::recording(recording), data, given)
}
