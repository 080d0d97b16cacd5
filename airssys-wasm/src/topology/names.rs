//! The names of a topology: each has one owner, and each supervisor that is named is there.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::written;
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};

/// What has a name.
pub(super) struct Named<'a> {
    pub(super) at: Range<usize>,
    pub(super) parent: Option<&'a Spanned<String>>,
    pub(super) node: NodeKind,
    /// Whether it is made of a layer, and starts before those beside it.
    pub(super) is_made: bool,
}

#[derive(Clone, Copy)]
pub(super) enum NodeKind {
    Supervisor(usize),
    Service(usize),
}

/// All names with what they name; supervisors and services share them.
pub(super) fn names<'a>(
    source: &Source,
    written: &'a written::Topology,
) -> Result<BTreeMap<&'a str, Named<'a>>, ConfigError> {
    let supervisors = written.supervisors.iter().enumerate().map(|(at, entry)| {
        let value = entry.get_ref();
        (
            &value.name,
            Named {
                at: entry.span(),
                parent: value.parent.as_ref().map(|above| &above.0),
                node: NodeKind::Supervisor(at),
                is_made: false,
            },
        )
    });
    let services = written.services.iter().enumerate().map(|(at, entry)| {
        let value = entry.get_ref();
        (
            &value.name,
            Named {
                at: entry.span(),
                parent: value.supervisor.as_ref().map(|above| &above.0),
                node: NodeKind::Service(at),
                is_made: at + written.made >= written.services.len(),
            },
        )
    });
    let mut names: BTreeMap<&str, Named<'_>> = BTreeMap::new();
    for (name, named) in supervisors.chain(services) {
        if !is_service_name(name.get_ref()) {
            return Err(bad_name(source, name));
        }
        if let Some(first) = names.get(name.get_ref().as_str()) {
            let first = source.error(&first.at, "", "").at.map_or(0, |(line, _)| line);
            return Err(source.error(
                &name.span(),
                format!("the name {:?} has an owner already, in line {first}", name.get_ref()),
                "names of supervisors and services are unique in a mesh",
            ));
        }
        names.insert(name.get_ref(), named);
    }
    Ok(names)
}

/// Every parent is a supervisor, and none is its own ancestor.
pub(super) fn check_parents(
    source: &Source,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
) -> Result<(), ConfigError> {
    for named in names.values() {
        let Some(parent) = named.parent else { continue };
        match names.get(parent.get_ref().as_str()).map(|found| found.node) {
            Some(NodeKind::Supervisor(_)) => {}
            Some(NodeKind::Service(_)) => {
                return Err(source.error(
                    &parent.span(),
                    format!("{:?} is a service, and supervises nobody", parent.get_ref()),
                    "name one of the [[supervisor]] entries",
                ));
            }
            None => {
                let known: Vec<&str> =
                    written.supervisors.iter().map(|entry| entry.get_ref().name.get_ref().as_str()).collect();
                let hint = match known.as_slice() {
                    [] => "leave it out for the root, or add a [[supervisor]] of this name".to_owned(),
                    known => format!("leave it out for the root, or name one of: {}", known.join(", ")),
                };
                return Err(source.error(
                    &parent.span(),
                    format!("there is no supervisor {:?}", parent.get_ref()),
                    hint,
                ));
            }
        }
        let mut above = named.parent;
        for _ in 0..=names.len() {
            let Some(parent) = above else { break };
            above = names.get(parent.get_ref().as_str()).and_then(|found| found.parent);
        }
        if let Some(parent) = above {
            return Err(source.error(
                &parent.span(),
                format!("the supervisors above {:?} form a circle", parent.get_ref()),
                "let one of them have no parent: it is then a child of the root",
            ));
        }
    }
    Ok(())
}

pub(super) fn bad_name(source: &Source, name: &Spanned<String>) -> ConfigError {
    source.error(
        &name.span(),
        format!("{:?} is no name", name.get_ref()),
        "use 1 to 64 ASCII letters, digits, '-', '_' and '.', beginning with a letter or a digit",
    )
}
