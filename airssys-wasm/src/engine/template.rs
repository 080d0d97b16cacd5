//! A release, ready to be instantiated: compiled, linked with what its policy lets it import, and checked.

use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use super::asked::Demands;
use super::beyond::out_of_range;
use super::binary::read_component;
use super::cache::CachedCode;
use super::class::Engines;
use super::command::Command;
use super::contract::{Beyond, Lane};
use super::error::TemplateError;
use super::facts::Facts;
use super::functions::Functions;
use super::generation::Generation;
use super::guest::Guest;
use super::imports;
use super::inspection::Inspection;
use super::interface::Interface;
use super::lanes::Exports;
use super::pool::Tier;
use super::wires::{self, Import};
use crate::hex;
use crate::limits::Limits;

/// A release that can be instantiated many times.
#[derive(Clone)]
pub(crate) struct Template {
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
    pub(super) functions: Functions,
    /// How it is run, where it is a command.
    pub(super) command: Option<Command>,
    imports: Vec<Import>,
    digest: String,
    tier: Tier,
    /// Made where two releases are compared: the one that is live is, again and again.
    interface: OnceLock<Interface>,
}

/// A component file that was read.
pub(crate) struct Found {
    bytes: Vec<u8>,
    digest: String,
    engine: Engine,
    kept: Option<Component>,
    /// What was read of its binary, where that is not kept yet.
    facts: Option<Facts>,
}

impl Found {
    /// Whether it is compiled already.
    pub(crate) fn is_compiled(&self) -> bool {
        self.kept.is_some()
    }
}

impl Template {
    /// Reads a component file, and its code where that is kept; where a digest is expected, only the binary that has
    /// it. Not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub(crate) fn find(
        engines: &Engines,
        path: &Path,
        expected: Option<&str>,
        asked: Demands<'_>,
    ) -> Result<Found, TemplateError> {
        let bytes = read_component(path)?;
        let digest = hex::encode(&Sha256::digest(&bytes));
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(TemplateError::Damaged { path: path.to_owned(), expected: expected.to_owned(), found: digest });
        }
        let generation = Generation::of(&bytes);
        if !out_of_range(asked.limits, asked.lane).is_empty() || !generation.is_built_in() {
            // There is no engine for it.
            Inspection::of(&bytes, path, asked)?.check(path)?;
        }
        let engine = engines.class(asked.limits, generation)?;
        let (kept, facts) = match engines.cache().and_then(|cache| cache.load(&engine, &digest)) {
            Some(CachedCode { component, facts }) => (Some(component), facts),
            None => (None, None),
        };
        // What is kept was looked at before it was compiled. Its limits may be other ones now; what it imports is
        // compared when it is linked.
        if facts.is_some_and(|facts| facts.allow(asked)) && generation.obstacle(asked.lane).is_none() {
            return Ok(Found { bytes, digest, engine, kept, facts: None });
        }
        let inspection = match &kept {
            Some(_) => Inspection::of_compiled(&bytes, path, asked)?,
            None => Inspection::of(&bytes, path, asked)?,
        };
        inspection.check(path)?;
        Ok(Found { bytes, digest, engine, kept, facts: inspection.facts() })
    }

    /// Compiles what was found where its code is not kept, and links it. Of what lies beyond the baseline only that is
    /// linked which is requested. By the baseline compiler where it is `soon` to be there, the other one would take
    /// long, and its code is not kept. This takes as long as compiling does.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub(crate) fn make(
        engines: &Engines,
        path: &Path,
        Found { bytes, digest, engine, kept, facts }: Found,
        Demands { lane, limits, requests }: Demands<'_>,
        soon: bool,
    ) -> Result<Self, TemplateError> {
        let baseline = match &kept {
            None if soon && engines.takes_long(bytes.len()) => {
                baseline(engines, path, &bytes, (limits, Generation::of_engine(&engine)))?
            }
            _ => None,
        };
        let keep = |component: &Component| {
            if let (Some(cache), Some(facts)) = (engines.cache(), &facts) {
                cache.store(&engine, &digest, component, facts);
            }
        };
        let (engine, component, tier) = match (kept, baseline) {
            (Some(component), _) => {
                keep(&component);
                (engine, component, engines.tier())
            }
            (None, Some((engine, component))) => (engine, component, Tier::Baseline),
            (None, None) => {
                let component = Component::new(&engine, &bytes)
                    .map_err(|error| TemplateError::Invalid { path: path.to_owned(), detail: format!("{error:#}") })?;
                keep(&component);
                (engine, component, engines.tier())
            }
        };
        let imports = wires::of(&engine, &component.component_type());
        let pre = link(engines, &component, lane, Beyond::of(requests), &imports, path)?;
        let invalid =
            |error: wasmtime::Error| TemplateError::Invalid { path: path.to_owned(), detail: format!("{error:#}") };
        let exports = Exports::find(&component, &pre, lane).map_err(invalid)?;
        let functions = Functions::of(&component);
        let is_called = exports.handler() || functions.iter().next().is_some();
        let command = Command::of(&component).filter(|_| !is_called);
        Ok(Self { engine, pre, exports, functions, command, imports, digest, tier, interface: OnceLock::new() })
    }

    /// How well it is compiled.
    #[must_use]
    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    /// Whether its guests hand something over to the release that takes over, and take it over: they export `upgrade`.
    pub(crate) fn hands_over(&self) -> bool {
        self.exports.upgrade()
    }

    /// Whether its functions may be async: in which order what they wait for is ready nobody writes down.
    pub(crate) fn has_tasks(&self) -> bool {
        matches!(self.exports, Exports::Tasks(_))
    }

    /// Whether its guests handle messages of bytes: they export the handler, or are commands.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.exports.handler() || self.command.is_some()
    }

    /// Whether its guests are commands.
    pub(crate) fn is_command(&self) -> bool {
        self.command.is_some()
    }

    /// Whether its guests can wait.
    pub(super) fn is_async(&self) -> bool {
        !matches!(self.exports, Exports::Sync(_))
    }

    /// The functions that are called by their own types.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// What it imports from other services.
    pub(crate) fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// What it imports and exports. The first time it takes as long as there are types to read.
    pub(crate) fn interface(&self) -> &Interface {
        self.interface.get_or_init(|| Interface::of(self.pre.component()))
    }

    /// The component file's SHA-256, in hexadecimal digits.
    #[must_use]
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

/// The component as the baseline compiler makes it, and its engine; none where it does not know everything that the
/// component uses.
fn baseline(
    engines: &Engines,
    path: &Path,
    bytes: &[u8],
    (limits, generation): (&Limits, Generation),
) -> Result<Option<(Engine, Component)>, TemplateError> {
    let engine = engines.baseline_class(limits, generation)?;
    match Component::new(&engine, bytes) {
        Ok(component) => Ok(Some((engine, component))),
        Err(error) => {
            tracing::info!(target: "airssys", file = %path.display(), error = format!("{error:#}"), "not for the baseline compiler");
            Ok(None)
        }
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("digest", &self.digest).finish_non_exhaustive()
    }
}

fn link(
    engines: &Engines,
    component: &Component,
    lane: Lane,
    beyond: Beyond,
    wired: &[Import],
    path: &Path,
) -> Result<InstancePre<Guest>, TemplateError> {
    let invalid =
        |error: wasmtime::Error| TemplateError::Invalid { path: path.to_owned(), detail: format!("{error:#}") };
    let engine = component.engine();
    let linker = engines.linkers().get(engine, lane, beyond).map_err(invalid)?;
    let linker = wires::linked(&linker, wired).map_err(invalid)?;
    TemplateError::of(path, imports::missing(&linker, engine, component, lane, beyond))?;
    linker.instantiate_pre(component).map_err(invalid)
}
