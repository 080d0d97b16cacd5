//! The imports and exports of a component, by name.

use wasmparser::{BinaryReaderError, Parser, Payload, Validator};

/// What a component has to do with the world.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Anatomy {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

impl Anatomy {
    /// Reads a component, which is valid where this succeeds.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        Validator::new().validate_all(bytes)?;
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
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::Anatomy;

    #[test]
    fn an_empty_component_has_neither_and_half_of_one_is_refused() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(Anatomy::of(empty).unwrap(), Anatomy::default());
        assert!(Anatomy::of(&empty[..6]).is_err());
    }
}
