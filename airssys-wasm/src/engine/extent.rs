//! How large a component becomes when the engine reads it and puts it together. This is looked at before anything else
//! reads the component: one of five hundred bytes can ask for a billion instances, one of sixty thousand can nest its
//! types so deep that a reader that calls itself runs out of stack, and many components in one take memory by the
//! square of their number.
//!
//! It counts, in one pass that calls itself nowhere. What is not valid is left to the validator, which stops at the
//! same place.

use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentType, ComponentTypeDeclaration, ComponentTypeRef, Instance, Parser, Payload,
};

use super::obstacle::Obstacle;

/// The most modules and components that a component can be made of.
const MOST_PARTS: u64 = 2_000;
/// How deep components, or their types, can lie in one another.
const MOST_DEPTH: usize = 100;
/// The most steps in which a component can be put together: instances, what they are given, imports, exports and
/// functions that are passed on. Those of a component that is instantiated twice count twice. The engine keeps a few
/// hundred bytes for each.
const MOST_STEPS: u64 = 200_000;

/// What of a component is too much for any host; nothing where all of it is not.
pub(super) fn beyond(bytes: &[u8]) -> Option<Obstacle> {
    match read(bytes) {
        Ok(()) | Err(Stop::Invalid) => None,
        Err(Stop::Beyond(obstacle)) => Some(obstacle),
    }
}

/// Whether the types of a section of a component lie too deep in one another to be read.
pub(super) fn are_too_deep(section: &[u8]) -> bool {
    matches!(types(section), Err(Stop::Beyond(_)))
}

/// Why reading has ended before the end.
enum Stop {
    Beyond(Obstacle),
    Invalid,
}

impl From<BinaryReaderError> for Stop {
    fn from(_: BinaryReaderError) -> Self {
        Self::Invalid
    }
}

/// A component, or a module, while it is read.
#[derive(Debug, Default)]
struct Scope {
    /// The steps in which an instance of it is put together.
    steps: u64,
    /// The steps of each component that it can instantiate, by its index; none of one that came in from outside.
    components: Vec<Option<u64>>,
    is_module: bool,
}

fn read(bytes: &[u8]) -> Result<(), Stop> {
    let mut parts = 0;
    let mut outer: Vec<Scope> = Vec::new();
    let mut scope = Scope::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            payload @ (Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => {
                parts += 1;
                let is_module = matches!(payload, Payload::ModuleSection { .. });
                outer.push(std::mem::replace(&mut scope, Scope { is_module, ..Scope::default() }));
                most("modules and components", parts, MOST_PARTS)?;
                most("levels of components in one another", outer.len() as u64, MOST_DEPTH as u64)?;
            }
            Payload::End(_) => {
                let Some(around) = outer.pop() else { continue };
                let inner = std::mem::replace(&mut scope, around);
                if !inner.is_module {
                    scope.components.push(Some(inner.steps));
                }
            }
            Payload::ComponentTypeSection(section) => types(bytes.get(section.range()).unwrap_or_default())?,
            payload => scope.read(payload, &outer)?,
        }
        most("steps to be put together", scope.steps, MOST_STEPS)?;
    }
    Ok(())
}

fn most(what: &'static str, takes: u64, most: u64) -> Result<(), Stop> {
    if takes > most { Err(Stop::Beyond(Obstacle::TooMuch { what, takes, most })) } else { Ok(()) }
}

impl Scope {
    fn read(&mut self, payload: Payload<'_>, outer: &[Self]) -> Result<(), Stop> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    let given = match instance? {
                        Instance::Instantiate { args, .. } => args.len(),
                        Instance::FromExports(exports) => exports.len(),
                    };
                    self.takes(1 + given as u64);
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    let (given, inner) = match instance? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            (args.len(), self.component(component_index)?)
                        }
                        ComponentInstance::FromExports(exports) => (exports.len(), 0),
                    };
                    self.takes(inner.saturating_add(1 + given as u64));
                }
            }
            Payload::ComponentAliasSection(section) => {
                self.takes(section.count().into());
                for alias in section {
                    self.alias(&alias?, outer);
                }
            }
            Payload::ComponentImportSection(section) => {
                self.takes(section.count().into());
                for import in section {
                    if matches!(import?.ty, ComponentTypeRef::Component(_)) {
                        self.components.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                self.takes(section.count().into());
                for export in section {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        self.components.push(at(&self.components, export.index));
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => self.takes(section.count().into()),
            _ => {}
        }
        Ok(())
    }

    fn takes(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Self]) {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => self.components.push(None),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count: 0, index } => {
                self.components.push(at(&self.components, *index));
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let around = outer.len().checked_sub(*count as usize).and_then(|around| outer.get(around));
                self.components.push(around.and_then(|around| at(&around.components, *index)));
            }
            _ => {}
        }
    }

    fn component(&self, index: u32) -> Result<u64, Stop> {
        at(&self.components, index).ok_or_else(|| {
            // How large it is would be known only when all of it is put together.
            let detail = "it instantiates a component that it is given, or that an instance exports".to_owned();
            Stop::Beyond(Obstacle::Unknown { detail })
        })
    }
}

fn at(components: &[Option<u64>], index: u32) -> Option<u64> {
    components.get(index as usize).copied().flatten()
}

/// Goes through a section of types, whose own reader calls itself for each type in a type.
fn types(section: &[u8]) -> Result<(), Stop> {
    const COMPONENT: u8 = 0x41;
    const INSTANCE: u8 = 0x42;
    const TYPE: u8 = 0x01;
    let mut reader = BinaryReader::new(section, 0);
    // How many declarations are left of each type that is open.
    let mut open = vec![reader.read_var_u32()?];
    while let Some(left) = open.last_mut() {
        let Some(less) = left.checked_sub(1) else {
            open.pop();
            continue;
        };
        *left = less;
        // In a type, a type is one of several kinds of declarations.
        if open.len() > 1 {
            if reader.clone().read_u8()? != TYPE {
                let _declaration: ComponentTypeDeclaration<'_> = reader.read()?;
                continue;
            }
            reader.read_u8()?;
        }
        if matches!(reader.clone().read_u8()?, COMPONENT | INSTANCE) {
            reader.read_u8()?;
            open.push(reader.read_var_u32()?);
            most("levels of types in one another", open.len() as u64 - 1, MOST_DEPTH as u64)?;
        } else {
            let _leaf: ComponentType<'_> = reader.read()?;
        }
    }
    Ok(())
}
