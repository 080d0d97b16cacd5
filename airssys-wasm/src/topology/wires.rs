//! Which service has the functions of each interface that another one imports.

use std::collections::BTreeMap;

use toml::Spanned;

use super::names::{Named, NodeKind};
use crate::address::Address;
use crate::config_file::{ConfigError, Source};
use crate::wire::{OnFailure, TextOr, Wire, Wires, WrittenWire};

/// The wires of a service: each leads from an interface to a service that is there.
pub(super) fn wires(
    source: &Source,
    names: &BTreeMap<&str, Named<'_>>,
    written: &BTreeMap<String, Spanned<TextOr<WrittenWire>>>,
) -> Result<Wires, ConfigError> {
    let wire = |(interface, written): (&String, &Spanned<TextOr<WrittenWire>>)| {
        let wrong = |what: String, hint: &str| source.error(&written.span(), what, hint);
        if !is_interface(interface) && !is_label(interface) {
            let what = format!("{interface:?} is no interface that another service could have");
            return Err(wrong(what, "write it as the component imports it, such as \"acme:shop/pricing\""));
        }
        let (to, key, functions, on_failure) = match written.get_ref() {
            TextOr::Text(to) => (to, None, Vec::new(), OnFailure::default()),
            TextOr::Table(WrittenWire { to, key, functions, on_failure }) => {
                (to, key.clone(), functions.clone().unwrap_or_default(), on_failure.clone().unwrap_or_default())
            }
        };
        let functions = functions.into_iter().map(Spanned::into_inner).collect();
        let to: Address = to.parse().map_err(|error: crate::address::AddressError| {
            wrong(error.to_string(), "write `service`, or `service/key` where it is keyed")
        })?;
        if key.is_some() && to.key().is_some() {
            return Err(wrong(format!("the wire to \"{to}\" has two keys"), "leave `key` out, or the one in `to`"));
        }
        match names.get(to.service()).map(|found| found.node) {
            Some(NodeKind::Service(_)) => Ok((interface.clone(), Wire { to, key, functions, on_failure, made: false })),
            Some(NodeKind::Supervisor(_)) | None => {
                let what = format!("there is no service {:?} to wire {interface:?} to", to.service());
                Err(wrong(what, "name one of the [[service]] entries"))
            }
        }
    };
    written.iter().map(wire).collect()
}

/// Whether it is a name that a component may have for what it imports.
fn is_label(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric());
    name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && name.split('-').all(is_part)
}

/// Whether it is the name of an interface that is neither WASI's nor the host's own.
fn is_interface(name: &str) -> bool {
    let named = name.split_once(':').is_some_and(|(space, rest)| {
        let rest = rest.split('@').next().unwrap_or(rest);
        !space.is_empty() && rest.split_once('/').is_some_and(|(package, name)| !package.is_empty() && !name.is_empty())
    });
    named && !name.starts_with("wasi:") && !name.starts_with("airssys:")
}
