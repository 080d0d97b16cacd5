//! Compiles releases, each once, off the runtime's threads.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::check::{check_found, check_trust};
use super::error::RuntimeError;
use crate::engine::{Beyond, Demands, Engines, Lane, Template, TemplateError};
use crate::limits::InstanceLimits;
use crate::registry::Hold;
use crate::topology::{ServiceNode, Topology};

/// What makes two services share a template: the file, the lane, the limits of an instance, and what it is linked
/// with beyond the baseline.
pub(super) type TemplateKey = (PathBuf, bool, InstanceLimits, Beyond);

pub(super) fn key(service: &ServiceNode) -> TemplateKey {
    let manifest = &service.release.manifest;
    let beyond = Beyond::of(&manifest.requests);
    (service.release.binary().to_owned(), manifest.lane == Lane::Sync, service.limits.of_instance(), beyond)
}

pub(super) type Loading = JoinHandle<Result<Template, TemplateError>>;

/// Compiles each release once, several at a time, off the runtime's threads, and holds those of a store.
pub(super) async fn load(
    engines: &Arc<Engines>,
    topology: &Topology,
) -> Result<(HashMap<TemplateKey, Arc<Template>>, Vec<Hold>), RuntimeError> {
    check_found(topology)?;
    check_trust(topology)?;
    let mut holds = Vec::new();
    // In the order of the services, so that of several errors the same one is told each time.
    let mut under_way: Vec<(TemplateKey, String, Loading)> = Vec::new();
    let mut seen = HashSet::new();
    for service in topology.services().filter(|service| seen.insert(key(service))) {
        // What this host keeps is held for as long as it is live.
        holds.extend(hold(service).filter(|_| service.release.seal.is_some()));
        under_way.push((key(service), service.address.to_string(), loading(engines, service.clone())));
    }
    let mut templates = HashMap::new();
    for (key, service, task) in under_way {
        let template = loaded(task, &key.0).await.map_err(|source| RuntimeError::Release { service, source })?;
        templates.insert(key, Arc::new(template));
    }
    Ok((templates, holds))
}

/// Compiles a service's release off the runtime's threads.
pub(super) fn loading(engines: &Arc<Engines>, service: Arc<ServiceNode>) -> Loading {
    tokio::spawn(compile(Arc::clone(engines), service, false, |template| template))
}

/// Compiles a release, off the runtime's threads; in haste where it is to be there `soon`. What is done with it `then`
/// is done there as well.
pub(super) async fn compile<T: Send + 'static>(
    engines: Arc<Engines>,
    service: Arc<ServiceNode>,
    soon: bool,
    then: impl FnOnce(Template) -> T + Send + 'static,
) -> Result<T, TemplateError> {
    let path = service.release.binary().to_owned();
    let invalid = |detail: String| TemplateError::Invalid { path, detail };
    let compiler = engines.compiler().clone();
    let make = move |engines: &Engines, service: &ServiceNode, found| {
        let (manifest, limits) = (&service.release.manifest, &service.limits);
        let asked = Demands { lane: manifest.lane, limits, requests: &manifest.requests };
        Template::make(engines, service.release.binary(), found, asked, soon).map(then)
    };
    // What is compiled already takes no longer than its files are read.
    let reading = crate::blocking::spawn(move || {
        let release = &service.release;
        let expected = release.expected().map(|digest| digest.to_string());
        let manifest = &release.manifest;
        let asked = Demands { lane: manifest.lane, limits: &service.limits, requests: &manifest.requests };
        let found = Template::find(&engines, release.binary(), expected.as_deref(), asked)?;
        Ok(if found.is_compiled() {
            Ok(make(&engines, &service, found)?)
        } else {
            Err(move || make(&engines, &service, found))
        })
    });
    match reading.await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(compile))) => compiler.run(compile).await.unwrap_or_else(|detail| Err(invalid(detail))),
        Ok(Err(error)) => Err(error),
        Err(panic) => Err(invalid(format!("reading it panicked: {panic}"))),
    }
}

/// [`loading`], waited for.
pub(super) async fn load_one(
    engines: &Arc<Engines>,
    service: &Arc<ServiceNode>,
) -> Result<Arc<Template>, RuntimeError> {
    let loaded = loaded(loading(engines, Arc::clone(service)), service.release.binary()).await;
    let of = service.address.to_string();
    loaded.map(Arc::new).map_err(|source| RuntimeError::Release { service: of, source })
}

pub(super) async fn loaded(loading: Loading, path: &Path) -> Result<Template, TemplateError> {
    loading.await.unwrap_or_else(|error| {
        Err(TemplateError::Invalid { path: path.to_owned(), detail: format!("the compiler panicked: {error}") })
    })
}

/// Keeps others from removing the release of a service, where it is published, and this host, where it is kept.
pub(super) fn hold(service: &ServiceNode) -> Option<Hold> {
    service.release.expected()?;
    match service.release.hold() {
        Ok(hold) => Some(hold),
        // A file that cannot be read is told by the loading.
        Err(error) => {
            tracing::warn!(target: "airssys", service = %service.address, %error, "others may remove its release");
            None
        }
    }
}
