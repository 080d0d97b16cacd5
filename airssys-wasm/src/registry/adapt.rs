//! Releases that are core modules of WASI 0.1: their components, as `engine/adapt.rs` makes them, wherever a release is
//! read.
//!
//! The component lies beside the module, as `NAME.adapted.wasm`; a section behind it says what it was made of. A module
//! that cannot be made one stays what it is, and whoever reads it says why.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{Parser, Payload};

use super::{Digest, files};
use crate::config_file::ConfigError;
use crate::engine::{Core, MAX_COMPONENT, NotAdapted, adapt};

/// What the name of an adapted component ends with.
const ADAPTED: &str = "adapted.wasm";
/// What others may do with it: as with any file that a build makes.
const MODE: u32 = 0o644;
/// The name of the section.
const SECTION: &str = "airssys:adapted";

/// How a core module became a component.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Adapted;
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let module = wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))")?;
/// std::fs::write(folder.path().join("tool.wasm"), module)?;
/// let release = Release::find(&folder.path().join("tool.wasm"))?;
/// let adapted: Option<Adapted> = release.inspect()?.adapted;
/// assert!(adapted.is_some_and(|adapted| adapted.is_command));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adapted {
    /// The SHA-256 of the module.
    pub module: Digest,
    /// The SHA-256 of the adapter that was linked with it.
    pub adapter: Digest,
    /// Whether it is a program, and with that a command; otherwise it is a library, whose functions are called.
    pub is_command: bool,
}

impl Adapted {
    /// How a component was made of a core module; none where it was not, or does not say.
    pub(super) fn of(component: &[u8]) -> Option<Self> {
        let mut depth = 0_usize;
        let mut found = None;
        for payload in Parser::new(0).parse_all(component) {
            match payload.ok()? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                    found = serde_json::from_slice(section.data()).ok();
                }
                _ => {}
            }
        }
        found
    }

    /// The component that is made of a core module, with how it was.
    fn component(&self, module: &[u8]) -> Result<Vec<u8>, NotAdapted> {
        let mut component = adapt(module)?;
        let data = serde_json::to_vec(self).map_err(|error| NotAdapted::because(error.to_string()))?;
        let section = CustomSection { name: SECTION.into(), data: data.into() };
        component.push(section.id());
        section.encode(&mut component);
        Ok(component)
    }

    /// How this module is to become one.
    fn from(module: &[u8]) -> Result<Self, NotAdapted> {
        let core = Core::read(module)?;
        Ok(Self { module: Digest::of(module), adapter: Digest::of(core.adapter()), is_command: core.is_program })
    }

    /// The bytes of a release: of a core module, the component that is made of it, where there is one.
    pub(super) fn instead(bytes: Vec<u8>) -> Vec<u8> {
        if !Parser::is_core_wasm(&bytes) {
            return bytes;
        }
        let made = Self::from(&bytes).and_then(|how| how.component(&bytes));
        made.unwrap_or(bytes)
    }

    /// Where the component lies that is at this path, or is made of the core module there. One that was made of the
    /// same before is not made again.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn beside(file: PathBuf) -> Result<PathBuf, ConfigError> {
        // What cannot be read, or cannot be made one, is told by those who need it.
        let Ok(Some(module)) = module_at(&file) else { return Ok(file) };
        let Ok(how) = Self::from(&module) else { return Ok(file) };
        let beside = file.with_extension(ADAPTED);
        if fs::read(&beside).is_ok_and(|there| Self::of(&there).as_ref() == Some(&how)) {
            return Ok(beside);
        }
        let Ok(component) = how.component(&module) else { return Ok(file) };
        files::write_whole(&beside, &component, MODE).map_err(|error| {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
            let hint = "the component that is made of a core module is written beside it";
            ConfigError::whole(&file, format!("cannot be adapted: {error}{why}"), hint)
        })?;
        Ok(beside)
    }
}

/// The core module in a file; none where it is something else. Of that no more than its begin is read.
fn module_at(file: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut opened = fs::File::open(file)?;
    let mut begin = [0; 8];
    let is_too_large = opened.metadata()?.len() > MAX_COMPONENT;
    if is_too_large || opened.read_exact(&mut begin).is_err() || !Parser::is_core_wasm(&begin) {
        return Ok(None);
    }
    let mut bytes = begin.to_vec();
    opened.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::Adapted;

    #[test]
    fn a_program_becomes_a_command_and_says_of_what() {
        for text in [
            "(module (memory (export \"memory\") 1) (func (export \"_start\")))",
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))
                (memory (export \"memory\") 1) (func (export \"_start\") (call 0 (i32.const 0))))",
        ] {
            let module = wat::parse_str(text).unwrap();
            let component = Adapted::instead(module.clone());
            let adapted = Adapted::of(&component).unwrap();
            assert!(adapted.is_command);
            assert_eq!(adapted, Adapted::from(&module).unwrap());
            assert_eq!(Adapted::instead(component.clone()), component, "it is one already");
            assert!(wasmparser::Validator::new().validate_all(&component).is_ok());
        }
        let neither = wat::parse_str("(module)").unwrap();
        assert_eq!(Adapted::instead(neither.clone()), neither);
    }
}
