//! Whether this host can run a component under some limits: the one place that says so. `check`, `inspect`, `publish`,
//! `run`, `deploy` and `apply` ask here.
//!
//! Nothing is compiled. The part of the component that ends with its last import is linked as it would be in earnest,
//! so an import is there or not by the linker's own rules.

use std::path::Path;
use std::sync::OnceLock;

use wasmparser::types::Types;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use super::anatomy::Anatomy;
use super::asked::Demands;
use super::beyond::{beyond, out_of_range};
use super::binary::check_component;
use super::contract::Beyond;
use super::error::TemplateError;
use super::exports::{self, Exported};
use super::extent;
use super::facts::Facts;
use super::features::{self, Validated};
use super::generation::Generation;
use super::imports;
use super::linkers::Linkers;
use super::needs::Needs;
use super::obstacle::Obstacle;
use super::wires;

/// What there is to say of a component before it is compiled.
#[derive(Debug, Clone)]
pub(crate) struct Inspection {
    /// What it imports and exports.
    pub(crate) anatomy: Anatomy,
    /// What an instance of it takes; none where the engine cannot read it.
    pub(crate) needs: Option<Needs>,
    /// Why this host cannot run it; none where it can.
    pub(crate) obstacles: Vec<Obstacle>,
    /// What it exports of the contract.
    exported: Vec<Exported>,
    /// Which engine it needs.
    generation: Generation,
}

impl Inspection {
    /// Looks at a component. It takes as long as reading and validating it.
    ///
    /// # Errors
    ///
    /// It is no component, or a damaged one.
    pub(crate) fn of(bytes: &[u8], path: &Path, asked: Demands<'_>) -> Result<Self, TemplateError> {
        check_component(bytes, path)?;
        if let Some(inspection) = Self::of_too_large(bytes) {
            return Ok(inspection);
        }
        let generation = Generation::of(bytes);
        match features::validate(bytes, generation) {
            Validated::Well(types) => Self::of_valid(bytes, path, asked, (&types, generation)),
            Validated::Uses(types, names) => {
                let anatomy = Anatomy::of(bytes, path)?;
                let features = names.into_iter().map(|name| Obstacle::Feature { name });
                let mut obstacles: Vec<Obstacle> = features.collect();
                obstacles.extend(out_of_range(asked.limits, asked.lane));
                let exported = exports::read(types.as_ref(), &anatomy);
                obstacles.extend(exports::wrong(&exported, &anatomy.exports));
                // What the engine does not know it does not read.
                Ok(Self { anatomy, needs: None, obstacles, exported, generation })
            }
            Validated::Not(error) => Err(invalid(path, error)),
        }
    }

    /// Looks at a component that is compiled already: the bodies of its functions were validated then.
    pub(super) fn of_compiled(bytes: &[u8], path: &Path, asked: Demands<'_>) -> Result<Self, TemplateError> {
        if let Some(inspection) = Self::of_too_large(bytes) {
            return Ok(inspection);
        }
        let generation = Generation::of(bytes);
        let types = features::types(bytes, generation).map_err(|error| invalid(path, error))?;
        Self::of_valid(bytes, path, asked, (&types, generation))
    }

    /// Of what no host reads to its end there is nothing else to say.
    fn of_too_large(bytes: &[u8]) -> Option<Self> {
        let obstacles = vec![extent::beyond(bytes)?];
        let generation = Generation::of(bytes);
        Some(Self { anatomy: Anatomy::default(), needs: None, obstacles, exported: Vec::new(), generation })
    }

    fn of_valid(
        bytes: &[u8],
        path: &Path,
        asked: Demands<'_>,
        (types, generation): (&Types, Generation),
    ) -> Result<Self, TemplateError> {
        let anatomy = Anatomy::of(bytes, path)?;
        let (needs, mut obstacles) = match Needs::of(bytes, generation) {
            Ok((needs, misfits)) => {
                let mut obstacles = beyond(&needs, asked.limits, asked.lane);
                obstacles.extend(misfits);
                (Some(needs), obstacles)
            }
            Err(detail) => (None, vec![Obstacle::Unknown { detail }]),
        };
        obstacles.extend(generation.obstacle(asked.lane));
        if needs.is_some() && generation.is_built_in() {
            obstacles.extend(missing(bytes, asked, generation).map_err(|error| invalid(path, format!("{error:#}")))?);
        }
        let exported = exports::read(types.as_ref(), &anatomy);
        obstacles.extend(exports::wrong(&exported, &anatomy.exports));
        Ok(Self { anatomy, needs, obstacles, exported, generation })
    }

    /// Whether its functions may be async: it is of WASI 0.3.
    pub(crate) fn has_tasks(&self) -> bool {
        self.generation.has_tasks()
    }

    /// Whether it is a command.
    pub(crate) fn is_command(&self) -> bool {
        exports::is_command(&self.anatomy.exports)
    }

    /// What it was made of, without the limits; none where the engine cannot read it.
    pub(super) fn facts(&self) -> Option<Facts> {
        Some(Facts::new(self.anatomy.clone(), self.needs?, self.exported.clone()))
    }

    /// Whether this host can run it.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Unsupported`], with all that is in the way.
    pub(crate) fn check(&self, path: &Path) -> Result<(), TemplateError> {
        TemplateError::of(path, self.obstacles.clone())
    }
}

fn invalid(path: &Path, detail: impl ToString) -> TemplateError {
    TemplateError::Invalid { path: path.to_owned(), detail: detail.to_string() }
}

/// The imports that are not there.
fn missing(
    bytes: &[u8],
    Demands { lane, requests, .. }: Demands<'_>,
    generation: Generation,
) -> wasmtime::Result<Vec<Obstacle>> {
    static SECOND: OnceLock<(Engine, Linkers)> = OnceLock::new();
    static THIRD: OnceLock<(Engine, Linkers)> = OnceLock::new();
    let host = if generation.has_tasks() { &THIRD } else { &SECOND };
    let (engine, linkers) = match host.get() {
        Some(host) => host,
        None => {
            // No pool: nothing is instantiated here.
            let mut config = Config::new();
            config.concurrency_support(generation.has_tasks()).wasm_component_model_implements(true);
            let engine = Engine::new(&config)?;
            host.get_or_init(|| (engine, Linkers::default()))
        }
    };
    let beyond = Beyond::of(requests);
    let linker = linkers.get(engine, lane, beyond)?;
    let component = Component::new(engine, imports::importing(bytes)?)?;
    let linker = wires::linked(&linker, &wires::of(engine, &component.component_type()))?;
    Ok(imports::missing(&linker, engine, &component, lane, beyond))
}
