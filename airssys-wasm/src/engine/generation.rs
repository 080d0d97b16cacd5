//! Which generation of WASI a component is of, read from its binary before anything else: it chooses the engine.
//!
//! Calls are twice as fast in an engine that knows no tasks, so only components that need them are in one that does:
//! those that have async functions, streams or futures, and those that import or export an interface of WASI 0.3. What
//! lies in core modules is not looked at, which is nearly all of a binary.

use wasmparser::{BinaryReaderError, CanonicalFunction, CanonicalOption, Chunk, Parser, Payload};
use wasmparser::{ComponentDefinedType, ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration};
use wasmtime::Engine;

use super::contract::Lane;
use super::extent;
use super::obstacle::Obstacle;

/// A generation of WASI, and of the component model with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Functions return before another one is called.
    Wasi02,
    /// Functions may be async: tasks, streams, futures.
    Wasi03,
}

impl Generation {
    /// That of a component. What cannot be read is of the second, and is refused where it is validated.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if has_tasks(bytes).unwrap_or(false) { Self::Wasi03 } else { Self::Wasi02 }
    }

    /// That of the components that an engine takes.
    pub(super) fn of_engine(engine: &Engine) -> Self {
        if engine.get_concurrency_support() { Self::Wasi03 } else { Self::Wasi02 }
    }

    /// Whether this host is built with what its components need.
    pub(super) fn is_built_in(self) -> bool {
        match self {
            Self::Wasi02 => true,
            Self::Wasi03 => cfg!(feature = "wasi-0-3"),
        }
    }

    /// Why this host, or a lane, is not for it.
    pub(super) fn obstacle(self, lane: Lane) -> Option<Obstacle> {
        match self {
            Self::Wasi03 if !self.is_built_in() => Some(Obstacle::LeftOut),
            Self::Wasi03 if lane == Lane::Sync => Some(Obstacle::Tasks),
            _ => None,
        }
    }

    /// Whether its functions may be async.
    pub(super) fn has_tasks(self) -> bool {
        self == Self::Wasi03
    }
}

fn has_tasks(all: &[u8]) -> Result<bool, BinaryReaderError> {
    let mut bytes = all;
    let mut parser = Parser::new(0);
    let mut around = Vec::new();
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(bytes, true)? else { return Ok(false) };
        bytes = bytes.get(consumed..).unwrap_or_default();
        let is_outermost = around.is_empty();
        let found = match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                bytes = bytes.get(unchecked_range.len()..).unwrap_or_default();
                false
            }
            Payload::ComponentSection { parser: inner, .. } => {
                around.push(std::mem::replace(&mut parser, inner));
                false
            }
            Payload::End(_) => match around.pop() {
                Some(outer) => {
                    parser = outer;
                    false
                }
                None => return Ok(false),
            },
            Payload::ComponentImportSection(section) if is_outermost => {
                any(section, |import| is_third(import.name.name))?
            }
            Payload::ComponentExportSection(section) if is_outermost => {
                any(section, |export| is_third(export.name.name))?
            }
            Payload::ComponentTypeSection(section) => {
                let is_readable = !extent::are_too_deep(all.get(section.range()).unwrap_or_default());
                is_readable && any(section, |ty| in_type(&ty))?
            }
            Payload::ComponentCanonicalSection(section) => any(section, |function| in_function(&function))?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
}

fn any<T>(
    section: impl IntoIterator<Item = Result<T, BinaryReaderError>>,
    is: impl Fn(T) -> bool,
) -> Result<bool, BinaryReaderError> {
    for item in section {
        if is(item?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it is the name of an interface of WASI 0.3.
fn is_third(name: &str) -> bool {
    name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
}

fn in_type(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Defined(ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_)) => true,
        ComponentType::Defined(_) | ComponentType::Resource { .. } => false,
        ComponentType::Func(function) => function.async_,
        ComponentType::Component(all) => {
            all.iter().any(|item| matches!(item, ComponentTypeDeclaration::Type(ty) if in_type(ty)))
        }
        ComponentType::Instance(all) => {
            all.iter().any(|item| matches!(item, InstanceTypeDeclaration::Type(ty) if in_type(ty)))
        }
    }
}

fn in_function(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.iter().any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_)))
        }
        // Of the others, those before tasks came.
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. }
        | CanonicalFunction::ThreadSpawnRef { .. }
        | CanonicalFunction::ThreadSpawnIndirect { .. }
        | CanonicalFunction::ThreadAvailableParallelism => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::path::Path;

    use super::Generation;
    use crate::capability::Requests;
    use crate::engine::{Demands, Inspection, Lane, Obstacle};
    use crate::limits::Limits;

    #[test]
    fn only_what_needs_tasks_is_of_the_third() {
        let of = |text: &str| Generation::of(&wat::parse_str(format!("(component {text})")).unwrap());
        for text in [
            "(type (stream u8))",
            "(type (future))",
            "(type (func async))",
            "(core func (canon waitable-set.new))",
            "(core func (canon task.return))",
            "(type (instance (type (func async)) (export \"f\" (func (type 0)))))",
            "(component (component (type (stream))))",
            "(core module (func)) (core module (func)) (type (component (type (stream u8))))",
            "(import \"wasi:random/random@0.3.0\" (instance))",
            "(instance) (export \"wasi:http/handler@0.3.0\" (instance 0))",
        ] {
            assert_eq!(of(text), Generation::Wasi03, "{text}");
        }
        for text in [
            "",
            "(core module (func))",
            "(type (func (param \"a\" string) (result u8)))",
            "(import \"wasi:random/random@0.2.12\" (instance))",
            "(import \"acme:shop/pricing@0.3.0\" (instance))",
            "(component (import \"wasi:random/random@0.3.0\" (instance)))",
        ] {
            assert_eq!(of(text), Generation::Wasi02, "{text}");
        }
    }

    #[test]
    fn a_host_that_was_built_without_it_says_so() {
        let component = wat::parse_str("(component (type (stream u8)))").unwrap();
        let (limits, requests) = (Limits::default(), Requests::default());
        let asked = Demands { lane: Lane::Async, limits: &limits, requests: &requests };
        let obstacles = Inspection::of(&component, Path::new("a.wasm"), asked).unwrap().obstacles;
        assert_eq!(obstacles.contains(&Obstacle::LeftOut), cfg!(not(feature = "wasi-0-3")), "{obstacles:?}");
    }

    #[test]
    fn what_is_no_component_is_of_the_second() {
        let well = wat::parse_str("(component (component (type (stream u8))))").unwrap();
        assert_eq!(Generation::of(&well), Generation::Wasi03);
        for end in 0..well.len() {
            let _some_generation = Generation::of(&well[..end]);
        }
        assert_eq!(Generation::of(b"no component"), Generation::Wasi02);
    }
}
