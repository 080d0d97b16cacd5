//! Core modules of WASI 0.1 become components of WASI 0.2. The adapters are those that belong to the engine, so the
//! same module is the same component for all hosts of one version.
//!
//! A module that exports `_start` is a program, and becomes a command. Any other one has to say itself what its
//! functions are in a component, as the tools of its language write it into the module. What can be neither is refused,
//! with the reason.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

/// What a program begins with.
const START: &str = "_start";

/// Why a core module cannot be made a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a core module that cannot be made a component: {0}")]
pub struct NotAdapted(String);

impl NotAdapted {
    pub(crate) fn because(why: String) -> Self {
        Self(why)
    }
}

/// Makes a component of a core module.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{NotAdapted, adapt};
///
/// let program = wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))")?;
/// assert!(adapt(&program).is_ok());
/// let neither: NotAdapted = adapt(&wat::parse_str("(module)")?).unwrap_err();
/// assert!(neither.to_string().contains("no `_start`"));
/// # Ok::<(), wat::Error>(())
/// ```
///
/// # Errors
///
/// It imports what WASI 0.1 does not have, or is neither a program nor says which functions it has.
pub fn adapt(module: &[u8]) -> Result<Vec<u8>, NotAdapted> {
    let read = Core::read(module)?;
    if let Some(why) = read.why_not() {
        return Err(NotAdapted(why));
    }
    let adapter = read.adapter();
    // What it says, causes and all: it has no type that would tell them apart.
    let refused = |error| NotAdapted(format!("{error:#}"));
    let encoder = ComponentEncoder::default().validate(true).module(module).map_err(refused)?;
    let mut encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter).map_err(refused)?;
    encoder.encode().map_err(refused)
}

/// What of a core module says how it becomes a component.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) is_program: bool,
    /// Whether the tools of its language have written into it what it is in a component.
    says_world: bool,
    /// What it imports, by module and name.
    imports: Vec<(String, String)>,
}

impl Core {
    /// # Errors
    ///
    /// It is damaged.
    pub(crate) fn read(module: &[u8]) -> Result<Self, NotAdapted> {
        Self::of(module).map_err(|error| NotAdapted(error.to_string()))
    }

    fn of(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut read = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        read.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        read.is_program |= export?.name == START;
                    }
                }
                Payload::CustomSection(section) => {
                    read.says_world |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(read)
    }

    /// What is linked with it.
    pub(crate) fn adapter(&self) -> &'static [u8] {
        match self.is_program {
            true => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            false => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        }
    }

    /// What can be told without trying.
    fn why_not(&self) -> Option<String> {
        if self.says_world {
            // What it imports besides is in that.
            return None;
        }
        let foreign = self.imports.iter().find(|(module, _)| module != WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
        if let Some((module, name)) = foreign {
            return Some(format!("it imports {module}.{name}, which is not of WASI 0.1"));
        }
        let neither =
            || "it is no program (it exports no `_start`), and does not say which functions it has".to_owned();
        (!self.is_program).then(neither)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::adapt;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_cannot_be_adapted_is_refused_with_the_reason() {
        for (text, says) in [
            ("(module)", "exports no `_start`"),
            (
                "(module (import \"env\" \"emscripten_resize_heap\" (func)) (func (export \"_start\")))",
                "env.emscripten_resize_heap",
            ),
            (
                "(module (import \"wasi_unstable\" \"fd_write\" (func)) (func (export \"_start\")))",
                "wasi_unstable.fd_write",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"no_such\" (func)) (memory (export \"memory\") 1)
                    (func (export \"_start\") (call 0)))",
                "no_such",
            ),
        ] {
            let why = adapt(&module(text)).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
        assert!(adapt(b"\0asm\x01\0\0\0\xff").is_err());
    }
}
