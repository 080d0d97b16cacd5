//! Which service has the functions of each interface that another one imports.

use std::collections::BTreeMap;

use toml::Spanned;

use super::names::{Named, NodeKind};
use crate::address::Address;
use crate::config_file::{ConfigError, Source};

/// The wires of a service: each leads from an interface to a service that is there.
pub(super) fn wires(
    source: &Source,
    names: &BTreeMap<&str, Named<'_>>,
    written: &BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, Address>, ConfigError> {
    let wire = |(interface, to): (&String, &Spanned<String>)| {
        if !is_interface(interface) {
            let what = format!("{interface:?} is no interface that another service could have");
            return Err(source.error(
                &to.span(),
                what,
                "write it as the component imports it, such as \"acme:shop/pricing\"",
            ));
        }
        let address: Address = to.get_ref().parse().map_err(|error: crate::address::AddressError| {
            source.error(&to.span(), error.to_string(), "write `service`, or `service/key` where it is keyed")
        })?;
        match names.get(address.service()).map(|found| found.node) {
            Some(NodeKind::Service(_)) => Ok((interface.clone(), address)),
            Some(NodeKind::Supervisor(_)) | None => {
                let what = format!("there is no service {:?} to wire {interface:?} to", address.service());
                Err(source.error(&to.span(), what, "name one of the [[service]] entries"))
            }
        }
    };
    written.iter().map(wire).collect()
}

/// Whether it is the name of an interface that is neither WASI's nor the host's own.
fn is_interface(name: &str) -> bool {
    let named = name.split_once(':').is_some_and(|(space, rest)| {
        let rest = rest.split('@').next().unwrap_or(rest);
        !space.is_empty() && rest.split_once('/').is_some_and(|(package, name)| !package.is_empty() && !name.is_empty())
    });
    named && !name.starts_with("wasi:") && !name.starts_with("airssys:")
}
