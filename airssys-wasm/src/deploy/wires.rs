//! Whether what services import from each other is what those they are wired to export.

use std::sync::Arc;

use super::ends::End;
use super::made::exporters;
use crate::engine::{Import, NoCall};
use crate::hint::{Act, Coded, Hint};
use crate::settings::{Multiplicity, Run};
use crate::topology::ServiceNode;
use crate::typed::{FunctionType, unversioned};
use crate::wire::{Wire, wire_of};

/// A wire that would not carry what is said over it.
///
/// # Example
///
/// ```
/// use airssys_wasm::RuntimeError;
/// use airssys_wasm::command::BrokenWire;
///
/// /// The services that could be wired to, where a wire is missing.
/// fn candidates(error: &RuntimeError) -> &[String] {
///     match error {
///         RuntimeError::Wire(BrokenWire::Missing { exported_by, .. }) => exported_by,
///         _ => &[],
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenWire {
    /// Nobody is named for an import.
    #[error("{service} imports {interface}, and no wire leads from there to a service that exports it")]
    Missing {
        /// The service that imports it.
        service: String,
        /// The interface.
        interface: String,
        /// The services that export it.
        exported_by: Vec<String>,
    },
    /// Nobody is named for an import, and several could be meant.
    #[error("{service} imports {interface}, and no wire says whose: {} export it", .exported_by.join(" and "))]
    Ambiguous {
        /// The service that imports it.
        service: String,
        /// The interface.
        interface: String,
        /// The services that export it.
        exported_by: Vec<String>,
    },
    /// It is not imported.
    #[error("{service} has a wire for {interface} to {to}, and imports no such interface")]
    Unused {
        /// The service with the wire.
        service: String,
        /// The interface.
        interface: String,
        /// Where the wire leads.
        to: String,
    },
    /// The other end is none of the mesh's services.
    #[error("{service} is wired to {to} for {interface}, and there is no service {to}")]
    NoService {
        /// The service that imports it.
        service: String,
        /// The interface.
        interface: String,
        /// Where the wire leads.
        to: String,
    },
    /// The other end does not export it, or in a version that is not compatible.
    #[error("{service} calls {function} of {to}, which exports no such function{}", Instead(.instead.as_deref()))]
    NoFunction {
        /// The service that calls it.
        service: String,
        /// The function, with its interface.
        function: String,
        /// The other end.
        to: String,
        /// A version of it that the other end has.
        instead: Option<String>,
    },
    /// It is to be a query, and there is no such function, or there are several.
    #[error("{service} has a query {query:?}: {why}")]
    NoQuery {
        /// The service.
        service: String,
        /// What it names.
        query: String,
        /// What there is instead.
        why: NoCall,
    },
    /// It is to run by itself, and is no command.
    #[error("{service} is to run as a service, by `run = \"service\"`, and its release is no command")]
    NoCommand {
        /// The service.
        service: String,
    },
    /// It gives handles, and who made one could not be found again.
    #[error(
        "{service} exports {function}, which gives handles: its pool of {instances} has one mailbox, and a handle is of one instance"
    )]
    Pooled {
        /// The service.
        service: String,
        /// The function.
        function: String,
        /// How many instances there are.
        instances: usize,
    },
    /// The two ends have it with other types.
    #[error("{service} calls {function} of {to} as `{wanted}`, and {to} has it as `{found}`")]
    OtherType {
        /// The service that calls it.
        service: String,
        /// The function, with its interface.
        function: String,
        /// The other end.
        to: String,
        /// The type that is called.
        wanted: String,
        /// The type that is there.
        found: String,
    },
    /// It has a key for one that has none, or none for one that has keys, or it is none that a function has.
    #[error("{service} is wired to {to} for {interface}, {why}")]
    Key {
        /// The service that imports it.
        service: String,
        /// The interface.
        interface: String,
        /// Where the wire leads.
        to: String,
        /// What is wrong with the key.
        why: String,
    },
    /// A function that may be called over it is not imported.
    #[error("{service} may call {function} over its wire to {to}, and imports no such function")]
    NotImported {
        /// The service with the wire.
        service: String,
        /// The function, with its interface.
        function: String,
        /// The other end.
        to: String,
    },
    /// What is to be there in place of a result is none.
    #[error("{service} is wired to {to}, and `on_failure` has no value of {function}: {why}")]
    NoValue {
        /// The service that calls it.
        service: String,
        /// The function, with its interface.
        function: String,
        /// The other end.
        to: String,
        /// The text, and the character where it is wrong.
        why: String,
    },
}

struct Instead<'a>(Option<&'a str>);

impl std::fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(function) => write!(f, "; it has {function}, which is another version"),
            None => Ok(()),
        }
    }
}

impl Coded for BrokenWire {
    fn code(&self) -> &'static str {
        "wire"
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Missing { service, interface, exported_by } => match exported_by.first() {
                Some(to) => {
                    let wire = format!("add `wires = {{ {interface:?} = {to:?} }}` to the service {service:?}");
                    format!("{wire}, or {to:?} to `call` under its grants: it is wired by itself then").into()
                }
                None => "add a service that exports it, and a wire to that".into(),
            },
            Self::Ambiguous { service, interface, exported_by } => {
                let to = exported_by.first().map_or("", String::as_str);
                format!("say which: add `wires = {{ {interface:?} = {to:?} }}` to the service {service:?}").into()
            }
            Self::Key { .. } => {
                "a service with keys is wired with one, as `service/key`, or by a parameter of the functions, with `key`"
                    .into()
            }
            Self::NotImported { .. } => "name one that it imports, or leave `functions` out for all of them".into(),
            Self::Unused { .. } => "leave the wire out, or name the interface as the component imports it".into(),
            Self::NoValue { .. } => "write a value of its result's type, in WAVE, or leave `on_failure` out".into(),
            Self::Pooled { .. } => "make it one instance, or a pool that is `partitioned`, whose lane the key chooses".into(),
            Self::NoCommand { .. } => "leave `run` out, or name a release that exports `wasi:cli/run`".into(),
            Self::NoQuery { .. } => "name a function as the component exports it".into(),
            Self::NoService { .. } => Act::ListServices.into(),
            Self::NoFunction { .. } | Self::OtherType { .. } => {
                "wire it to a service that has the function, or build the two against one version of the interface"
                    .into()
            }
        })
    }
}

/// The wires between these services that are broken.
pub(crate) fn broken(all: &[End<'_>]) -> Vec<BrokenWire> {
    all.iter().flat_map(|end| broken_of(end, all)).collect()
}

fn broken_of(end: &End<'_>, all: &[End<'_>]) -> Vec<BrokenWire> {
    let mut broken = unknown_queries(end);
    broken.extend(no_command(end));
    broken.extend(pooled(end));
    let imports = end.template.imports();
    let is_for = |wire: &str, interface: &str| wire == interface || unversioned(interface) == wire;
    for (name, wire) in &end.node.wires {
        if !imports.iter().any(|import| is_for(name, &import.name)) {
            let (service, interface, to) = (end.service(), name.clone(), wire.to.to_string());
            broken.push(BrokenWire::Unused { service, interface, to });
        }
    }
    for import in imports.iter().filter(|import| !import.functions.is_empty()) {
        let interface = &*import.interface;
        let exported_by = || exporters(end.node, import, all);
        let Some(wire) = wire_of(&end.node.wires, &import.name) else {
            broken.push(unwired(end, import, exported_by()));
            continue;
        };
        if wire.made && exported_by().len() > 1 {
            broken.push(unwired(end, import, exported_by()));
            continue;
        }
        let unknown = wire.functions.iter().filter(|name| !import.functions.iter().any(|own| own.is_named(name)));
        broken.extend(unknown.map(|name| BrokenWire::NotImported {
            service: end.service(),
            function: format!("{interface}#{name}"),
            to: wire.to.to_string(),
        }));
        broken.extend(without_value(end, wire, import));
        match all.iter().find(|other| other.node.address.as_str() == wire.to.service()) {
            Some(other) => {
                broken.extend(unlike(end, other, wire, import));
                broken.extend(misaddressed(end, other, wire, import));
            }
            None => {
                let (service, interface, to) = (end.service(), interface.to_owned(), wire.to.to_string());
                broken.push(BrokenWire::NoService { service, interface, to });
            }
        }
    }
    broken
}

/// An import that nobody wired, and that did not wire itself.
fn unwired(end: &End<'_>, import: &Import, exported_by: Vec<&ServiceNode>) -> BrokenWire {
    let (service, interface) = (end.service(), import.name.to_string());
    let mut exported_by: Vec<String> = exported_by.into_iter().map(|node| node.address.to_string()).collect();
    exported_by.sort_unstable();
    match exported_by.len() {
        0 | 1 => BrokenWire::Missing { service, interface, exported_by },
        _ => BrokenWire::Ambiguous { service, interface, exported_by },
    }
}

/// The functions of an import for which the wire has a value where they fail, and it is none of their types.
fn without_value(end: &End<'_>, wire: &Wire, import: &Import) -> Vec<BrokenWire> {
    let no_value = |function: String, why: String| {
        let (service, to) = (end.service(), wire.to.to_string());
        BrokenWire::NoValue { service, function, to, why }
    };
    let is_imported = |name: &str| import.functions.iter().any(|function| function.is_named(name));
    let unknown = wire.on_failure.named().filter(|name| !is_imported(name));
    let unknown = unknown.map(|name| no_value(format!("{}#{name}", import.interface), "it is not imported".to_owned()));
    // What may not be called has no result.
    let called = import.functions.iter().filter(|function| wire.carries(function));
    let wrong = called.filter_map(|function| {
        let text = wire.on_failure.value_of(function)?;
        let why = Import::reads(function, text).err()?;
        let wanted = function.result.as_ref().map_or_else(String::new, |laid| format!("is no {laid}: "));
        Some(no_value(function.path(), format!("{text:?} {wanted}{why}")))
    });
    unknown.chain(wrong).collect()
}

/// What is wrong with the key of a wire.
fn misaddressed(end: &End<'_>, other: &End<'_>, wire: &Wire, import: &Import) -> Option<BrokenWire> {
    let has_keys = match other.node.multiplicity {
        Multiplicity::One | Multiplicity::Stateless { .. } => Some(false),
        // Without one it is some lane.
        Multiplicity::Partitioned { .. } => None,
        Multiplicity::Keyed(_) | Multiplicity::Spawned(_) => Some(true),
    };
    let no_param = |key: &String| {
        let called = import.functions.iter().filter(|function| wire.carries(function));
        let wrong =
            |function: &Arc<FunctionType>| Some((function.spoken().into_owned(), function.key_param(key).err()?));
        called.filter_map(wrong).next()
    };
    let is_keyed = wire.key.is_some() || wire.to.key().is_some();
    let why = match (has_keys, is_keyed) {
        (Some(false), true) => "which has no keys".to_owned(),
        (Some(true), false) => "which has an actor a key, and no key is said".to_owned(),
        _ => {
            let (function, why) = no_param(wire.key.as_ref()?)?;
            format!("by a key, and {function} {why}")
        }
    };
    let (service, interface) = (end.service(), import.interface.to_string());
    Some(BrokenWire::Key { service, interface, to: wire.to.to_string(), why })
}

/// What is to run by itself and is no program.
fn no_command(end: &End<'_>) -> Option<BrokenWire> {
    let is_none = end.node.run == Run::Service && !end.template.is_command();
    is_none.then(|| BrokenWire::NoCommand { service: end.service() })
}

/// The queries that are none of its functions, or could never be answered.
fn unknown_queries(end: &End<'_>) -> Vec<BrokenWire> {
    let unknown = end.node.queries.iter().filter_map(|query| {
        let why = match end.template.functions().named(query) {
            // Each query has an instance of its own, and that ends with it.
            Ok(function) if function.ty.mentions_handles() => NoCall::Arguments {
                detail: "it takes or gives resources, which live in the instance of the service".to_owned(),
            },
            Ok(_) => return None,
            Err(why) => why,
        };
        Some(BrokenWire::NoQuery { service: end.service(), query: query.clone(), why })
    });
    unknown.collect()
}

/// A function that gives handles of one of several instances which nobody can choose.
fn pooled(end: &End<'_>) -> Option<BrokenWire> {
    let Multiplicity::Stateless { instances } = end.node.multiplicity else { return None };
    let gives = |function: &&Arc<FunctionType>| function.result.as_ref().is_some_and(|result| result.has_handles);
    let function =
        end.template.functions().iter().map(|function| &function.ty).find(gives).filter(|_| instances > 1)?;
    Some(BrokenWire::Pooled { service: end.service(), function: function.path(), instances })
}

/// What the other end does not have of an import, or otherwise.
fn unlike(end: &End<'_>, other: &End<'_>, wire: &Wire, import: &Import) -> Vec<BrokenWire> {
    let (service, to) = (|| end.service(), || other.service());
    // What may not be called need not be there.
    let called = import.functions.iter().filter(|function| wire.carries(function));
    let wrong = called.filter_map(|wanted| {
        let functions = || other.template.functions().iter();
        let Some(found) = functions().find(|found| found.ty.is_called_as(wanted)) else {
            let bare = |ty: &FunctionType| ty.interface.as_deref().map(|name| unversioned(name).to_owned());
            let instead = functions().find(|found| found.ty.name == wanted.name && bare(&found.ty) == bare(wanted));
            let instead = instead.map(|found| found.ty.path());
            return Some(BrokenWire::NoFunction { service: service(), function: wanted.path(), to: to(), instead });
        };
        let (wanted_type, found_type) = (wanted.to_string(), found.ty.to_string());
        (!found.ty.takes_calls_of(wanted)).then(|| BrokenWire::OtherType {
            service: service(),
            function: wanted.path(),
            to: to(),
            wanted: wanted_type,
            found: found_type,
        })
    });
    wrong.collect()
}
