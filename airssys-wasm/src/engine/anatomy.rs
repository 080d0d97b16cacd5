//! The imports and exports of a component, by name.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReaderError, Parser, Payload};

use super::error::TemplateError;

/// What a component has to do with the world.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anatomy {
    /// What it imports.
    pub(crate) imports: Vec<String>,
    /// What it exports.
    pub(crate) exports: Vec<String>,
}

impl Anatomy {
    /// Reads the names of a component. Whether it is valid otherwise is not looked at; [`super::Inspection`] says that.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Invalid`], which names the path.
    pub(crate) fn of(bytes: &[u8], path: &Path) -> Result<Self, TemplateError> {
        Self::read(bytes).map_err(|error| TemplateError::Invalid { path: path.to_owned(), detail: error.to_string() })
    }

    fn read(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut anatomy = Self::default();
        // Components hold modules and components, which have imports and exports of their own.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        anatomy.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        anatomy.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(anatomy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::path::Path;

    use super::Anatomy;

    #[test]
    fn an_empty_component_has_neither_and_half_of_one_is_refused() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(Anatomy::of(empty, Path::new("a.wasm")).unwrap(), Anatomy::default());
        assert!(Anatomy::of(&empty[..6], Path::new("a.wasm")).is_err());
    }
}
