//! `[fuse]`: components that always travel together, linked into one binary. A call between them is a call inside of
//! one instance, and no message.
//!
//! The table of a `Component.toml` says which import is satisfied by which component. It holds for all parts, so parts
//! of parts stand in the same table. What no entry names stays an import of the whole. The exports of the whole are
//! those of the component that the `Component.toml` belongs to.
//!
//! The whole lies beside that component, as `NAME.fused.wasm`; the same parts give the same bytes. It is written as a
//! whole or not at all, and only where it is another one than what is there.

mod graph;
mod part;
mod types;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::Deserialize;
use toml::Spanned;

use self::graph::{Joint, Linker, Place};
pub use self::part::Part;
use super::files;
use crate::config_file::{ConfigError, Source};
use crate::engine::read_component;
use crate::hint::{Coded, Hint};

/// What the name of a fused component ends with.
const FUSED: &str = "fused.wasm";
/// What others may do with it: as with any file that a build makes.
const MODE: u32 = 0o644;

/// A component before it is part of another one.
pub(super) struct Loose {
    pub(super) name: String,
    /// None where nothing says one.
    pub(super) version: Option<Version>,
    pub(super) component: PathBuf,
}

/// The table: imports, and the component that satisfies each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fuse(BTreeMap<String, Spanned<PathBuf>>);

impl Fuse {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether such a whole has parts that satisfy all of what is named.
    pub(super) fn is_of(&self, parts: &[Part]) -> bool {
        let satisfied =
            |name: &str| parts.iter().flat_map(|part| &part.satisfies).any(|import| graph::is_for(name, import));
        self.0.keys().all(|name| satisfied(name))
    }

    /// Links what the table of a component names with it, and gives where the whole lies. Each part is found by `find`.
    pub(super) fn fuse(
        &self,
        main: &Loose,
        source: &Source,
        find: impl Fn(&Path) -> Result<Loose, ConfigError>,
    ) -> Result<PathBuf, ConfigError> {
        let bytes = self.linked(main, source, find)?;
        let whole = main.component.with_extension(FUSED);
        // Who only looks at it again, and may not write there, has no need to.
        if fs::read(&whole).is_ok_and(|there| there == bytes) {
            return Ok(whole);
        }
        files::write_whole(&whole, &bytes, MODE).map_err(|error| {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
            let hint = "the fused component is written beside the one that it is made of";
            ConfigError::whole(&source.path, format!("cannot be fused: {error}{why}"), hint)
        })?;
        Ok(whole)
    }

    fn linked(
        &self,
        main: &Loose,
        source: &Source,
        find: impl Fn(&Path) -> Result<Loose, ConfigError>,
    ) -> Result<Vec<u8>, ConfigError> {
        let error = |at: Option<&Range<usize>>, what: String, hint: Hint| match at {
            Some(at) => source.error(at, what, hint),
            None => ConfigError::whole(&source.path, what, hint),
        };
        let mut linker = Linker::new();
        let mut add = |loose: &Loose, at: Option<&Range<usize>>| {
            let read = read_component(&loose.component);
            let bytes = read.map_err(|wrong| error(at, wrong.to_string(), wrong.hint().unwrap_or_default()))?;
            linker.add(&loose.name, loose.version.clone(), bytes).map_err(|why| {
                let what = format!("{} is not a valid component: {why}", loose.component.display());
                error(at, what, "build it again".into())
            })
        };
        let first = add(main, None)?;
        let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
        let mut joints = Vec::new();
        for (import, path) in &self.0 {
            let at = path.span();
            let file = near(path.get_ref(), &source.path, &main.component);
            let file = file.canonicalize().unwrap_or(file);
            let by = match places.get(&file) {
                Some(place) => *place,
                None => {
                    let wrong = |wrong: ConfigError| {
                        error(Some(&at), format!("{import} is not to be had: {wrong}"), wrong.hint)
                    };
                    add(&find(&file).map_err(wrong)?, Some(&at))?
                }
            };
            places.insert(file, by);
            joints.push(Joint { import: import.clone(), by });
        }
        linker.link(first, &joints).map_err(|wrong| {
            let at = wrong.of().and_then(|of| self.0.values().nth(of)).map(Spanned::span);
            error(at.as_ref(), wrong.to_string(), wrong.hint().unwrap_or_default())
        })
    }
}

/// A part is looked for beside the `Component.toml`, and then beside the component, where a build puts them all.
fn near(path: &Path, toml: &Path, component: &Path) -> PathBuf {
    let beside = |other: &Path| files::parent(other).join(path);
    let first = beside(toml);
    if first.exists() || !beside(component).exists() { first } else { beside(component) }
}
