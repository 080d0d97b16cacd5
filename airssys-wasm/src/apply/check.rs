//! What of a topology can be known to be wrong before anything is compiled.

use std::path::Path;
use std::sync::Arc;

use super::error::RuntimeError;
use crate::engine::{EngineError, Engines, EnginesSettings, Template};
use crate::guard;
use crate::http;
use crate::listener::ListenError;
use crate::registry::verify;
use crate::settings::{Keeping, Multiplicity};
use crate::topology::folders::Guarded;
use crate::topology::{ServiceNode, Topology};
use crate::typed::FunctionType;

/// The folders of the host that are granted to nobody.
pub(super) fn guarded(data: Option<&Path>, code: Option<&Path>, topology: &Topology) -> Vec<Guarded> {
    let data = data.map(|path| Guarded::closed("the data folder", path));
    let code = code.map(|path| Guarded::closed("the folder of compiled code", path));
    let audit = topology.settings.audit_folder.as_deref().map(|path| Guarded::closed("the folder of the audit", path));
    data.into_iter().chain(code).chain(audit).collect()
}

/// The instances that are declared, and the most that can live.
pub(super) fn room(engines: &Engines, topology: &Topology) -> Result<(usize, usize), RuntimeError> {
    let (most, mappings) = engines.capacity();
    // Each memory takes as many mappings as an instance with one.
    let places =
        |service: &Arc<ServiceNode>| declared_instances(service).saturating_mul(service.limits.memories.max(1));
    let declared = topology.services().map(places).fold(0, usize::saturating_add);
    if declared > most {
        return Err(RuntimeError::TooManyInstances { declared, most, mappings });
    }
    Ok((declared, most))
}

/// How many instances a service may have at a time.
pub(super) fn declared_instances(service: &ServiceNode) -> usize {
    match service.multiplicity {
        Multiplicity::One => 1,
        Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances } => instances,
        Multiplicity::Keyed(rules) => rules.max_awake,
        Multiplicity::Spawned(rules) => rules.max_children,
    }
}

pub(super) fn engines(mut settings: EnginesSettings, topology: &Topology) -> Result<Arc<Engines>, EngineError> {
    settings.baseline_from = Some(topology.settings.baseline_from);
    for service in topology.services() {
        settings.demand.entry(service.limits.of_instance()).or_default().add(declared_instances(service));
    }
    Engines::new(&settings).map(Arc::new)
}

/// Each release is there.
pub(super) fn check_found(topology: &Topology) -> Result<(), RuntimeError> {
    let gone = topology.services().find_map(|service| service.release.gone().cloned());
    gone.map_or(Ok(()), |why| Err(RuntimeError::NoRelease(why)))
}

/// Each release is by one who is trusted, where the topology says who is.
pub(super) fn check_trust(topology: &Topology) -> Result<(), RuntimeError> {
    let Some(trusted) = &topology.settings.trusted_keys else { return Ok(()) };
    for service in topology.services() {
        verify(&service.release, trusted)
            .map_err(|source| RuntimeError::Untrusted { service: service.address.to_string(), source })?;
    }
    Ok(())
}

/// The services with durable state, and the folder for it; none where there is no such service.
pub(super) fn durable_services<'a>(
    topology: &Topology,
    folder: Option<&'a Path>,
) -> Result<Option<(&'a Path, Vec<String>)>, RuntimeError> {
    let durable = topology.services().filter(|service| service.keeping == Keeping::Durable);
    let services: Vec<String> = durable.map(|service| service.address.to_string()).collect();
    match (services.first(), folder) {
        (None, _) => Ok(None),
        (Some(_), Some(folder)) => Ok(Some((folder, services))),
        (Some(service), None) => Err(RuntimeError::NoDataFolder { service: service.clone() }),
    }
}

/// Each route leads to a service that answers requests.
pub(super) fn check_routes<'a>(
    topology: &Topology,
    template: impl Fn(&ServiceNode) -> Option<&'a Arc<Template>>,
) -> Result<(), ListenError> {
    for listening in &topology.listeners {
        for route in &listening.routes {
            let mut services = topology.services();
            let served = services.find(|node| node.address.as_str() == route.service).and_then(|node| template(node));
            if served.is_some_and(|template| !template.functions().iter().any(|known| known.ty == *http::function())) {
                let (listen, service) = (listening.listen, route.service.clone());
                return Err(ListenError::NoHandler { listen, service });
            }
        }
    }
    Ok(())
}

/// Each layer that is a component has the functions of one.
pub(super) fn check_layers<'a>(
    topology: &Topology,
    template: impl Fn(&ServiceNode) -> Option<&'a Arc<Template>>,
) -> Result<(), RuntimeError> {
    for layer in &topology.layers {
        let mut services = topology.services();
        let served = services.find(|node| node.address.as_str() == layer.service).and_then(|node| template(node));
        let has = |template: &Arc<Template>, wanted: &FunctionType| {
            template.functions().iter().any(|known| known.ty.takes_calls_of(wanted))
        };
        if served.is_some_and(|template| !guard::functions().iter().all(|wanted| has(template, wanted))) {
            return Err(RuntimeError::NoLayer { service: layer.service.clone() });
        }
    }
    Ok(())
}
