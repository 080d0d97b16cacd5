//! Which import of which part is satisfied by which other one, and the component that comes of that.
//!
//! Every part that is needed is instantiated once, whoever calls it. It is refused before anything is linked where an
//! import would be satisfied by two, where parts need each other in a circle, and where two parts do not have the same
//! types.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use semver::Version;
use wac_graph::types::{ItemKind, Package};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use super::super::Digest;
use super::Part;
use super::types::functions;
use crate::hint::{Coded, Hint};
use crate::typed::{FunctionType, compatible, unversioned};

/// An entry of the table: whatever imports this is satisfied by that part.
#[derive(Debug, Clone)]
pub(super) struct Joint {
    /// An interface with its version or without, or a function.
    pub(super) import: String,
    pub(super) by: Place,
}

/// One of the parts of a linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(usize);

/// Why components are not linked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLinked {
    #[error("{import} is imported by no part{}", There("they import", .there))]
    NotImported { joint: usize, import: Box<str>, there: Vec<String> },
    #[error("{import}, which {part} imports, is satisfied by two entries: {first} and {second}")]
    Twice { joint: usize, part: Box<str>, import: Box<str>, first: Box<str>, second: Box<str> },
    #[error("{part} imports {import}, and {by} exports no such thing{}", There("it exports", .there))]
    NotExported { joint: usize, part: Box<str>, import: Box<str>, by: Box<str>, there: Vec<String> },
    #[error("{part} calls {function} of {by}, which exports no such function")]
    NoFunction { joint: usize, part: Box<str>, function: Box<str>, by: Box<str> },
    #[error("{part} calls {function} of {by} as `{wanted}`, and {by} has it as `{found}`")]
    OtherType { joint: usize, part: Box<str>, function: Box<str>, by: Box<str>, wanted: Box<str>, found: Box<str> },
    #[error("{part} imports {import}, and {by} has it with other types: {detail}")]
    Other { joint: usize, part: Box<str>, import: Box<str>, by: Box<str>, detail: Box<str> },
    #[error("the parts need each other in a circle: {}", .0.join(" needs "))]
    Circle(Vec<Box<str>>),
    #[error("the parts cannot be linked: {0}")]
    Failed(String),
}

impl NotLinked {
    /// The entry that it is about.
    pub(super) fn of(&self) -> Option<usize> {
        match self {
            Self::NotImported { joint, .. }
            | Self::Twice { joint, .. }
            | Self::NotExported { joint, .. }
            | Self::NoFunction { joint, .. }
            | Self::OtherType { joint, .. }
            | Self::Other { joint, .. } => Some(*joint),
            Self::Circle(_) | Self::Failed(_) => None,
        }
    }
}

impl Coded for NotLinked {
    fn code(&self) -> &'static str {
        "not-linked"
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::NotImported { .. } => "leave it out, or name the import as the component has it".into(),
            Self::Twice { .. } => "leave one of them out, or write the version at both".into(),
            Self::NotExported { .. } | Self::NoFunction { .. } | Self::OtherType { .. } | Self::Other { .. } => {
                "name a component that exports it, or build the two against one version of the interface".into()
            }
            Self::Circle(_) => "have one of them as a service of its own, and a wire to that".into(),
            Self::Failed(_) => return None,
        })
    }
}

struct There<'a>(&'a str, &'a [String]);

impl fmt::Display for There<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            [] => Ok(()),
            names => write!(f, "; {} {}", self.0, names.join(", ")),
        }
    }
}

/// Whether an entry of this name is for an import.
pub(super) fn is_for(name: &str, import: &str) -> bool {
    name == import || name == unversioned(import)
}

struct Loaded {
    part: Part,
    package: PackageId,
}

/// An import of one part, and the export of another one that satisfies it.
struct Link {
    joint: usize,
    from: Place,
    import: String,
    to: Place,
    export: String,
}

/// Links components.
pub(super) struct Linker {
    graph: CompositionGraph,
    loaded: Vec<Loaded>,
}

impl Linker {
    pub(super) fn new() -> Self {
        Self { graph: CompositionGraph::new(), loaded: Vec::new() }
    }

    /// Takes one that may become a part.
    ///
    /// # Errors
    ///
    /// Why it is no valid component.
    pub(super) fn add(&mut self, name: &str, version: Option<Version>, bytes: Vec<u8>) -> Result<Place, String> {
        let sha256 = Digest::of(&bytes);
        // Two may have one name, and the graph wants a name for each.
        let unique = format!("airssys:part{}", self.loaded.len());
        let package = caught(|| {
            let package = Package::from_bytes(&unique, None, bytes, self.graph.types_mut());
            let package = package.map_err(|error| format!("{error:#}"))?;
            self.graph.register_package(package).map_err(|error| error.to_string())
        })??;
        self.loaded
            .push(Loaded { part: Part { name: name.to_owned(), version, sha256, satisfies: Vec::new() }, package });
        Ok(Place(self.loaded.len() - 1))
    }

    /// The component that `main` becomes with its parts, and theirs.
    pub(super) fn link(mut self, main: Place, table: &[Joint]) -> Result<Vec<u8>, NotLinked> {
        let (links, order) = self.links(main, table)?;
        for link in &links {
            self.compare(link)?;
        }
        for link in &links {
            let satisfies = &mut self.loaded[link.to.0].part.satisfies;
            if !satisfies.contains(&link.import) {
                satisfies.push(link.import.clone());
            }
        }
        let mut whole = caught(|| self.encode(main, &links, &order)).map_err(NotLinked::Failed)??;
        // The parts in the order of the table, which is that in which they were added.
        let parts = order.iter().copied().collect::<BTreeSet<_>>();
        let parts = parts.into_iter().map(|place| self.loaded[place.0].part.clone()).collect();
        Part::write(parts, &mut whole).map_err(|error| NotLinked::Failed(error.to_string()))?;
        Ok(whole)
    }

    /// All links that the whole has, and its parts, each after those that it needs.
    fn links(&self, main: Place, table: &[Joint]) -> Result<(Vec<Link>, Vec<Place>), NotLinked> {
        let mut walk = Walk { linker: self, table, links: Vec::new(), done: Vec::new(), path: Vec::new() };
        walk.visit(main)?;
        let Walk { links, done, .. } = walk;
        let unused = |at: &usize| !links.iter().any(|link| link.joint == *at);
        if let Some(joint) = (0..table.len()).find(unused) {
            let there = done.iter().flat_map(|place| self.imports(*place)).filter(|name| !name.starts_with("wasi:"));
            let there = there.collect::<BTreeSet<_>>().into_iter().collect();
            return Err(NotLinked::NotImported { joint, import: table[joint].import.as_str().into(), there });
        }
        Ok((links, done))
    }

    fn name(&self, place: Place) -> Box<str> {
        self.loaded[place.0].part.name.as_str().into()
    }

    fn imports(&self, place: Place) -> Vec<String> {
        let world = self.graph[self.loaded[place.0].package].ty();
        self.graph.types()[world].imports.keys().cloned().collect()
    }

    fn exports(&self, place: Place) -> Vec<String> {
        let world = self.graph[self.loaded[place.0].package].ty();
        self.graph.types()[world].exports.keys().cloned().collect()
    }

    /// Whether the two ends of a link have the same types, in the words of two services that are wired.
    fn compare(&self, link: &Link) -> Result<(), NotLinked> {
        let types = self.graph.types();
        let world = |place: Place| &types[self.graph[self.loaded[place.0].package].ty()];
        let (part, by, joint) = (self.name(link.from), self.name(link.to), link.joint);
        let end = |item: Option<&ItemKind>, name: &str| item.map(|item| functions(types, name, *item));
        let wanted = end(world(link.from).imports.get(&link.import), &link.import).unwrap_or_default();
        let found = end(world(link.to).exports.get(&link.export), &link.export).unwrap_or_default();
        let exported = |function: &FunctionType| match world(link.to).exports.get(&link.export) {
            Some(ItemKind::Instance(id)) => types[*id].exports.contains_key(&*function.name),
            other => other.is_some(),
        };
        for wanted in &wanted {
            let function = wanted.path().into();
            let Some(found) = found.iter().find(|found| found.is_called_as(wanted)) else {
                if exported(wanted) {
                    // One that is not called with plain values: the linker says what is wrong.
                    continue;
                }
                return Err(NotLinked::NoFunction { joint, part, function, by });
            };
            if !found.takes_calls_of(wanted) {
                let (wanted, found) = (wanted.to_string().into(), found.to_string().into());
                return Err(NotLinked::OtherType { joint, part, function, by, wanted, found });
            }
        }
        Ok(())
    }

    fn encode(&mut self, main: Place, links: &[Link], order: &[Place]) -> Result<Vec<u8>, NotLinked> {
        let failed = |error: &dyn std::error::Error| NotLinked::Failed(chain(error));
        let mut nodes: Vec<Option<NodeId>> = self.loaded.iter().map(|_| None).collect();
        for place in order {
            nodes[place.0] = Some(self.graph.instantiate(self.loaded[place.0].package));
        }
        let node = |place: Place| nodes[place.0].ok_or_else(|| NotLinked::Failed("a part is missing".to_owned()));
        for link in links {
            let export =
                self.graph.alias_instance_export(node(link.to)?, &link.export).map_err(|error| failed(&error))?;
            self.graph.set_instantiation_argument(node(link.from)?, &link.import, export).map_err(|error| {
                NotLinked::Other {
                    joint: link.joint,
                    part: self.name(link.from),
                    import: link.import.as_str().into(),
                    by: self.name(link.to),
                    detail: chain(&error).into(),
                }
            })?;
        }
        for name in self.exports(main) {
            let export = self.graph.alias_instance_export(node(main)?, &name).map_err(|error| failed(&error))?;
            self.graph.export(export, &name).map_err(|error| failed(&error))?;
        }
        self.graph.encode(EncodeOptions::default()).map_err(|error| failed(&error))
    }
}

/// Goes from the one whose exports the whole has to all that it needs.
struct Walk<'a> {
    linker: &'a Linker,
    table: &'a [Joint],
    links: Vec<Link>,
    /// Those whose links are all there, each after those that it needs.
    done: Vec<Place>,
    /// From the first one to the one that is looked at.
    path: Vec<Place>,
}

impl Walk<'_> {
    fn visit(&mut self, place: Place) -> Result<(), NotLinked> {
        if self.done.contains(&place) {
            return Ok(());
        }
        if let Some(at) = self.path.iter().position(|before| *before == place) {
            let circle = self.path.iter().skip(at).chain([&place]);
            return Err(NotLinked::Circle(circle.map(|place| self.linker.name(*place)).collect()));
        }
        self.path.push(place);
        for import in self.linker.imports(place) {
            if let Some(link) = self.link(place, import)? {
                let to = link.to;
                self.links.push(link);
                self.visit(to)?;
            }
        }
        self.path.pop();
        self.done.push(place);
        Ok(())
    }

    /// What satisfies an import; nothing where it stays one.
    fn link(&self, from: Place, import: String) -> Result<Option<Link>, NotLinked> {
        let mut meant = self.table.iter().enumerate().filter(|(_, joint)| is_for(&joint.import, &import));
        let Some((joint, Joint { import: name, by })) = meant.next() else { return Ok(None) };
        let part = self.linker.name(from);
        if let Some((second, other)) = meant.next() {
            let (first, other) = (name.as_str().into(), other.import.as_str().into());
            return Err(NotLinked::Twice { joint: second, part, import: import.into(), first, second: other });
        }
        let exports = self.linker.exports(*by);
        let exact = exports.iter().find(|export| **export == import);
        match exact.or_else(|| exports.iter().find(|export| compatible(export, &import))) {
            Some(export) => Ok(Some(Link { joint, from, import, to: *by, export: export.clone() })),
            None => {
                let by = self.linker.name(*by);
                Err(NotLinked::NotExported { joint, part, import: import.into(), by, there: exports })
            }
        }
    }
}

/// An error with what is beneath it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(beneath) = source {
        said = format!("{said}: {beneath}");
        source = beneath.source();
    }
    said
}

/// Runs what links. It is written for components that its own tools made, and panics on some others.
fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act))
        .map_err(|_told_by_the_hook| "the linker cannot work with such a component".to_owned())
}
