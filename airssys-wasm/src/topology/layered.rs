//! What is written of a layer that is a component, and the service that is made for one that names its component.
//!
//! Invariant: a layer with a component means what the same layer means that names a service with these keys. So who
//! runs, shows and changes a mesh knows services and layers, and not how they were written.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::written::{Layer, OfService, Service};
use super::{Topology, written};
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};
use crate::registry::Reference;

/// Makes a service of each layer that names its component, behind those that are written as services.
pub(super) fn make_services(source: &Source, written: &mut written::Topology) -> Result<(), ConfigError> {
    for entry in &mut written.layers {
        let span = entry.span();
        let layer = entry.get_mut();
        match (&layer.service, &layer.component) {
            (Some(service), Some(_)) => {
                let what = format!("a layer is either the service {:?} or a component", service.get_ref());
                return Err(source.error(&service.span(), what, "leave one of `service` and `component` out"));
            }
            (None, None) => {
                let what = "a layer that is neither a service nor a component";
                let hint = "add `component = \"filter.wasm\"`, or the name of a [[service]] as `service`";
                return Err(source.error(&span, what, hint));
            }
            (Some(service), None) => {
                if let Some(key) = layer.key_of_service() {
                    let what = format!("`{key}` of a layer that is the service {:?}", service.get_ref());
                    let hint = format!("write it into the [[service]] {:?}", service.get_ref());
                    return Err(source.error(&span, what, hint));
                }
            }
            (None, Some(component)) => {
                let path = &component.get_ref().0;
                let name = match &layer.name {
                    Some(name) => Spanned::new(name.span(), name.get_ref().0.clone()),
                    None => Spanned::new(component.span(), name_of(path)),
                };
                if !is_service_name(name.get_ref()) {
                    let what = format!("{:?} is no name of a service", name.get_ref());
                    let hint = "add a `name` of letters, digits and `-`, which the layer has as a service";
                    return Err(source.error(&name.span(), what, hint));
                }
                let release = Spanned::new(component.span(), path.clone());
                written.services.push(Spanned::new(span, layer.as_service(name.clone(), release)));
                written.made += 1;
                layer.service = Some(name);
            }
        }
    }
    Ok(())
}

/// The name of a layer of this component that has no other: that of the file, the folder or the release.
pub(super) fn name_of(component: &Path) -> String {
    let text = component.to_string_lossy();
    match text.split_once('@') {
        Some((name, _)) if Reference::is_meant(&text) => name.to_owned(),
        // The version of a file is no part of its name.
        _ => {
            let name = component.file_name().unwrap_or_default().to_string_lossy();
            name.strip_suffix(".wasm").unwrap_or(&name).to_owned()
        }
    }
}

impl Layer {
    /// A key that is of no use where somebody else says what the service is.
    fn key_of_service(&self) -> Option<&'static str> {
        let Self { name, supervisor, instances, mailbox, limits, config, grants, roles, .. } = self;
        let all = [
            ("name", name.is_some()),
            ("supervisor", supervisor.is_some()),
            ("instances", instances.is_some()),
            ("mailbox", mailbox.is_some()),
            ("limits", limits.is_some()),
            ("config", config.is_some()),
            ("grants", grants.is_some()),
            ("roles", roles.is_some()),
        ];
        all.into_iter().find_map(|(key, is_there)| is_there.then_some(key))
    }

    fn as_service(&self, name: Spanned<String>, release: Spanned<PathBuf>) -> Service {
        fn of<W: Clone>(key: &Option<OfService<W>>) -> Option<W> {
            key.as_ref().map(|key| key.0.clone())
        }
        Service {
            name,
            release,
            supervisor: of(&self.supervisor),
            instances: of(&self.instances),
            mailbox: of(&self.mailbox),
            limits: of(&self.limits),
            config: of(&self.config),
            grants: of(&self.grants),
            roles: of(&self.roles),
            restart: None,
            shutdown: None,
            significant: None,
            partitioned: None,
            keyed: None,
            spawned: None,
            retries: None,
            state: None,
            run: None,
            arguments: None,
            wires: None,
            queries: None,
            max_queries: None,
            quota: None,
            retry: None,
            learn: None,
            clocks: None,
            randomness: None,
            recorder: None,
        }
    }
}

/// Where a service of this name is written: the list, and a key of its entry with its value.
pub(super) fn place_of(source: &Source, service: &str) -> (&'static str, &'static str, String) {
    let written: Option<written::Topology> = toml::from_str(&source.text).ok();
    let layers = written.iter().flat_map(|written| &written.layers);
    let mut found = layers.filter_map(|layer| {
        let Layer { name, component, .. } = layer.get_ref();
        let path = &component.as_ref()?.get_ref().0;
        match name {
            Some(name) => (name.get_ref().0 == service).then(|| ("layer", "name", service.to_owned())),
            None => (name_of(path) == service).then(|| ("layer", "component", path.to_string_lossy().into_owned())),
        }
    });
    found.next().unwrap_or_else(|| ("service", "name", service.to_owned()))
}

impl Topology {
    /// The name of the service of a `[[layer]]` that names its component, and has perhaps a name of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn name_of_layer(name: Option<&str>, component: &str) -> String {
        name.map_or_else(|| name_of(Path::new(component)), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::name_of;

    #[test]
    fn a_layer_is_named_as_its_component() {
        for (component, name) in [
            ("filter.wasm", "filter"),
            ("../layers/no-secrets.wasm", "no-secrets"),
            ("layers/sieve", "sieve"),
            ("layers/sieve/", "sieve"),
            ("sieve@1.2.0", "sieve"),
            ("a@b/sieve@2.wasm", "sieve@2"),
            ("..", ""),
        ] {
            assert_eq!(name_of(Path::new(component)), name, "{component}");
        }
    }
}
