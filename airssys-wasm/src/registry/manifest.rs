//! `Component.toml`: what a release is, needs, and asks for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::fuse::Fuse;
use crate::capability::{Access, Requests, process, spelling};
use crate::config_file::number::out_of_range;
use crate::config_file::{ConfigError, Source, parse_all};
use crate::engine::{Demands, Inspection, Lane, TemplateError};
use crate::limits::{Limits, WrittenLimits};
use crate::schema::{Count, Number, Schema};

/// A `Component.toml` that was understood.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{Manifest, Release};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # std::fs::write(folder.join("pricing.wasm"), "")?;
/// let text = "name = \"pricing\"\nversion = \"1.2.0\"\ncomponent = \"pricing.wasm\"\n";
/// std::fs::write(folder.join("Component.toml"), text)?;
/// let Manifest { name, version, state_schema, .. } = Release::find(folder)?.manifest;
/// assert_eq!((name.as_str(), version.minor, state_schema), ("pricing", 2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The component's name.
    pub name: String,
    /// Its version.
    pub version: semver::Version,
    /// What it is for.
    pub description: String,
    /// The binary, from the folder of the file; where none is named, what `airssys build` wrote.
    pub component: Option<PathBuf>,
    /// What it exports and imports.
    pub(crate) world: World,
    /// The version of the shape in which it keeps its state. Where two releases of a service have the same, each reads
    /// what the other wrote.
    pub state_schema: u32,
    /// What its guests keep in their memory beside the state.
    #[doc(hidden)]
    pub memory: Memory,
    /// How its guests are called.
    #[doc(hidden)]
    pub lane: Lane,
    /// The limits it needs.
    pub(crate) limits: LimitsPatch,
    /// What it asks for.
    pub(crate) requests: Requests,
    /// What is linked with its binary.
    pub(crate) fuse: Fuse,
}

/// A world of the contract: what a component must export to be hosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum World {
    /// It handles messages. The default.
    #[default]
    Actor,
}

impl World {
    /// Its name in WIT.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Actor => "airssys:actor/actor@0.1.0",
        }
    }
}

/// What the guests of a release keep in their memory beside the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Memory {
    /// Something that is not to be lost without need: the host takes no instance away of its own accord that does not
    /// hand it over. The default.
    #[default]
    Own,
    /// Nothing that cannot be had again from the state.
    Cache,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    version: Spanned<String>,
    #[serde(default)]
    description: String,
    component: Option<PathBuf>,
    world: Option<Spanned<String>>,
    #[serde(default)]
    state_schema: u32,
    #[serde(default)]
    memory: Memory,
    #[serde(default)]
    lane: Lane,
    #[serde(default)]
    limits: LimitsPatch,
    #[serde(default)]
    requests: WrittenRequests,
    #[serde(default)]
    fuse: Fuse,
    /// For `airssys build` alone.
    #[serde(default, rename = "build")]
    _build: Option<toml::Table>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenRequests {
    send: Vec<Spanned<String>>,
    call: Vec<Spanned<String>>,
    publish: Vec<Spanned<String>>,
    subscribe: Vec<Spanned<String>>,
    spawn: Vec<Spanned<String>>,
    files: BTreeMap<String, Spanned<Access>>,
    environment: Vec<Spanned<String>>,
    sockets: Vec<Spanned<String>>,
    bind: Vec<Spanned<String>>,
    http: Vec<Spanned<String>>,
    processes: Vec<Spanned<String>>,
}

/// The limits that a file names; the others are left as they were.
///
/// Most files name none, and each service has two of these.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenLimits")]
pub(crate) struct LimitsPatch(Option<Box<WrittenLimits>>);

impl fmt::Debug for LimitsPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same whether nothing is named or there is nothing.
        f.debug_tuple("LimitsPatch").field(&self.0.as_deref().cloned().unwrap_or_default()).finish()
    }
}

impl From<WrittenLimits> for LimitsPatch {
    fn from(written: WrittenLimits) -> Self {
        Self((written != WrittenLimits::default()).then(|| Box::new(written)))
    }
}

impl LimitsPatch {
    /// Whether the file names the limit of this key.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.0.as_ref().is_some_and(|written| Limits::names(written, key))
    }

    /// The same, which allows so many memories where the file does not say how many: each part of a fused component has
    /// its own.
    fn of_parts(mut self, parts: usize) -> Self {
        self.0.get_or_insert_default().memories.get_or_insert(Count(parts));
        self
    }

    /// Each limit that the description names is one that means something.
    fn check(&self, source: &Source) -> Result<(), ConfigError> {
        let mut limits = Limits::default();
        self.apply(&mut limits);
        let out = limits.numbers().iter().find_map(Number::check);
        out.map_or(Ok(()), |out| Err(out_of_range(source, None, &["limits"], out)))
    }

    /// These limits, changed as the file says.
    pub(crate) fn apply(&self, limits: &mut Limits) {
        if let Some(written) = &self.0 {
            limits.take(written);
        }
    }
}

impl Manifest {
    /// Reads a `Component.toml`.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::command::{Lane, Memory};
    /// use airssys_wasm::registry::Manifest;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("Component.toml");
    /// std::fs::write(&file, "name = \"pricing\"\nversion = \"1.2.0\"\nlane = \"sync\"\n")?;
    /// let manifest = Manifest::read(&file)?;
    /// assert_eq!((manifest.lane, manifest.memory, manifest.state_schema), (Lane::Sync, Memory::Own, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It cannot be read or understood; unknown keys are not understood.
    #[doc(hidden)]
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::of_source(&Self::source(path)?)
    }

    pub(super) fn source(path: &Path) -> Result<Source, ConfigError> {
        Source::read(path, "a release is a folder with a Component.toml, or a .wasm file")
    }

    pub(crate) fn of_source(source: &Source) -> Result<Self, ConfigError> {
        let written: Written = source.parse()?;
        let name = written.name.get_ref();
        if !crate::address::is_service_name(name) {
            return Err(source.error(
                &written.name.span(),
                format!("{name:?} is no name for a component"),
                "use ASCII letters, digits, '-', '_' and '.', beginning with a letter or a digit",
            ));
        }
        let version = written.version.get_ref().parse().map_err(|error| {
            source.error(
                &written.version.span(),
                format!("{:?} is no version: {error}", written.version.get_ref()),
                "use three numbers, such as \"0.1.0\"",
            )
        })?;
        let world = match &written.world {
            Some(world) if world.get_ref() != World::Actor.name() => {
                return Err(source.error(
                    &world.span(),
                    format!("{:?} is no world that this airssys knows", world.get_ref()),
                    format!("leave it out, or write {:?}", World::Actor.name()),
                ));
            }
            _ => World::Actor,
        };
        let limits = written.limits;
        limits.check(source)?;
        let limits = if written.fuse.is_empty() { limits } else { limits.of_parts(1 + written.fuse.len()) };
        let asked = written.requests;
        Ok(Self {
            name: name.clone(),
            version,
            description: written.description,
            component: written.component,
            world,
            state_schema: written.state_schema,
            memory: written.memory,
            lane: written.lane,
            limits,
            fuse: written.fuse,
            requests: Requests {
                send: parse_all(source, &asked.send)?,
                call: parse_all(source, &asked.call)?,
                publish: parse_all(source, &asked.publish)?,
                subscribe: parse_all(source, &asked.subscribe)?,
                spawn: parse_all(source, &asked.spawn)?,
                files: files(source, asked.files)?,
                environment: variables(source, asked.environment)?,
                sockets: parse_all(source, &asked.sockets)?,
                bind: parse_all(source, &asked.bind)?,
                http: parse_all(source, &asked.http)?,
                processes: programs(source, asked.processes)?,
            },
        })
    }

    /// Whether this host can run a component with this description, under the limits that it names.
    ///
    /// # Errors
    ///
    /// It is no component, or a damaged one.
    pub(super) fn inspect(&self, component: &[u8], path: &Path) -> Result<Inspection, TemplateError> {
        let mut limits = Limits::default();
        self.limits.apply(&mut limits);
        Inspection::of(component, path, Demands { lane: self.lane, limits: &limits, requests: &self.requests })
    }

    /// Whether it says which version it is: a binary without a description has 0.0.0, which is neither older nor newer
    /// than another.
    pub(crate) fn has_version(&self) -> bool {
        self.version != semver::Version::new(0, 0, 0)
    }

    /// What is assumed of a binary without a description: it asks for nothing.
    pub(crate) fn of_bare_file(path: &Path) -> Self {
        Self {
            name: path.file_stem().map_or_else(|| "component".to_owned(), |stem| stem.to_string_lossy().into_owned()),
            version: semver::Version::new(0, 0, 0),
            description: String::new(),
            component: None,
            world: World::default(),
            state_schema: 0,
            memory: Memory::default(),
            lane: Lane::default(),
            limits: LimitsPatch::default(),
            requests: Requests::default(),
            fuse: Fuse::default(),
        }
    }
}

/// The folders that are asked for, each once.
fn files(source: &Source, asked: BTreeMap<String, Spanned<Access>>) -> Result<BTreeMap<String, Access>, ConfigError> {
    let mut folders = spelling::Folders::default();
    for (guest, access) in &asked {
        if let Some(first) = folders.take(guest) {
            let what = format!("the guest's folder {guest:?} stands there twice, also as {first:?}");
            return Err(source.error(&access.span(), what, "leave one of them out"));
        }
    }
    Ok(asked.into_iter().map(|(guest, access)| (guest, access.into_inner())).collect())
}

fn variables(source: &Source, asked: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    let checked = asked.into_iter().map(|name| {
        if spelling::is_variable(name.get_ref()) {
            return Ok(name.into_inner());
        }
        let what = format!("{:?} is no name of a variable", name.get_ref());
        Err(source.error(&name.span(), what, spelling::VARIABLE_HINT))
    });
    checked.collect()
}

/// Names under which programs are granted.
fn programs(source: &Source, asked: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    let checked = asked.into_iter().map(|name| {
        if process::is_name(name.get_ref()) {
            return Ok(name.into_inner());
        }
        let what = format!("{:?} is no name of a program", name.get_ref());
        Err(source.error(&name.span(), what, process::NAME_HINT))
    });
    checked.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::time::Duration;

    use super::Manifest;
    use crate::config_file::Source;
    use crate::limits::Limits;

    fn manifest(text: &str) -> Result<Manifest, String> {
        Manifest::of_source(&Source::of_text("Component.toml", text)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_understood() {
        let text = "name = \"a\"\nversion = \"1.2.3\"\n[limits]\nmemory = \"2MiB\"\nturn_deadline = \"20ms\"\n[requests]\ncall = [\"b/*\"]\n[build]\nwasi = false\n";
        let manifest = manifest(text).unwrap();
        let mut limits = Limits::default();
        manifest.limits.apply(&mut limits);
        assert_eq!((limits.memory_bytes, limits.turn_deadline), (2 << 20, Duration::from_millis(20)));
        assert_eq!(limits.effects, Limits::default().effects);
        assert!(manifest.requests.call[0].matches("b/1"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, place, says) in [
            ("name = \"a\"\nversion = \"1.2.3\"\ncolour = 1\n", "Component.toml:3:1", "unknown field `colour`"),
            ("name = \"a b\"\nversion = \"1.2.3\"\n", "Component.toml:1:8", "is no name"),
            ("name = \"a\"\nversion = \"one\"\n", "Component.toml:2:11", "is no version"),
            ("name = \"a\"\nversion = \"1.0.0\"\nworld = \"wasi:cli/command\"\n", "Component.toml:3:9", "is no world"),
            ("name = \"a\"\nversion = \"1.0.0\"\nstate_schema = -1\n", "Component.toml:3:16", "u32"),
            (
                "name = \"a\"\nversion = \"1.0.0\"\n[requests]\ncall = [\"b*\"]\n",
                "Component.toml:4:9",
                "must be a whole segment",
            ),
            (
                "name = \"a\"\nversion = \"1.0.0\"\n[limits]\nmemory = \"much\"\n",
                "Component.toml:4:10",
                "is no number of bytes",
            ),
            (
                "name = \"a\"\nversion = \"1.0.0\"\n[limits]\nturn_deadline = \"soon\"\n",
                "Component.toml:4:17",
                "is no length of time",
            ),
        ] {
            let said = manifest(text).unwrap_err();
            assert!(said.starts_with(place) && said.contains(says), "{said}");
        }
    }
}
