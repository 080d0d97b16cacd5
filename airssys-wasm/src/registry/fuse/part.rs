//! What a fused component is made of: a list in a section of its own in the binary, so that its digest and its
//! signatures are over that as well.
//!
//! The parts themselves are in the binary as they were, byte by byte. A list that names others is refused.

use std::path::Path;

use semver::Version;
use serde::{Deserialize, Serialize};
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{Chunk, Parser, Payload};

use super::super::Digest;
use crate::engine::TemplateError;

/// The name of the section.
const SECTION: &str = "airssys:parts";
/// The format of the list. It rises when an older program would misread one.
const FORMAT: u32 = 1;

/// A component that is part of a fused one.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Part;
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/doc");
/// # for name in ["till", "pricing"] {
/// #     let bytes = wat::parse_file(format!("{doc}/{name}.wat"))?;
/// #     std::fs::write(folder.path().join(format!("{name}.wasm")), bytes)?;
/// # }
/// let toml = "name = \"till\"\nversion = \"1.0.0\"\n[fuse]\n\"acme:shop/pricing\" = \"pricing.wasm\"\n";
/// std::fs::write(folder.path().join("till.toml"), toml)?;
/// let fused = Release::find(&folder.path().join("till.wasm"))?.inspect()?;
/// let names: Vec<&str> = fused.parts.iter().map(|part: &Part| part.name.as_str()).collect();
/// assert_eq!((names, fused.imports.len()), (vec!["till", "pricing"], 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its version, where it has a `Component.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The SHA-256 of its binary.
    pub sha256: Digest,
    /// The imports of other parts that it satisfies; none for the one whose exports the whole has.
    pub satisfies: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    parts: Vec<Part>,
}

/// The part of a list that every format has.
#[derive(Deserialize)]
struct Marked {
    format: u32,
}

impl Part {
    /// Writes the list behind a component that holds these parts.
    pub(super) fn write(parts: Vec<Self>, whole: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let data = serde_json::to_vec(&List { format: FORMAT, parts })?;
        let section = CustomSection { name: SECTION.into(), data: data.into() };
        whole.push(section.id());
        section.encode(whole);
        Ok(())
    }

    /// What a component was fused of; nothing where it was not.
    ///
    /// # Errors
    ///
    /// It is damaged, or does not hold what it says.
    pub(crate) fn all_of(component: &[u8], path: &Path) -> Result<Vec<Self>, TemplateError> {
        let invalid = |detail: String| TemplateError::Invalid { path: path.to_owned(), detail };
        let Read { list, inside } = read(component).map_err(|error| invalid(error.to_string()))?;
        let Some(list) = list else { return Ok(Vec::new()) };
        let unread = |error| invalid(format!("its list of parts cannot be read: {error}"));
        let Marked { format } = serde_json::from_slice(list).map_err(unread)?;
        if format > FORMAT {
            let what = format!("its list of parts has the format {format}, and this airssys knows {FORMAT} at most");
            return Err(invalid(what));
        }
        let List { parts, .. } = serde_json::from_slice(list).map_err(unread)?;
        let inside: Vec<Digest> = inside.into_iter().map(Digest::of).collect();
        match parts.iter().find(|part| !inside.contains(&part.sha256)) {
            Some(part) => {
                let Self { name, sha256, .. } = part;
                Err(invalid(format!("it says that {name} is a part of it, with the digest {sha256}, which it is not")))
            }
            None => Ok(parts),
        }
    }
}

/// What of a component is of use here.
#[derive(Default)]
struct Read<'a> {
    list: Option<&'a [u8]>,
    /// The components directly inside of this one.
    inside: Vec<&'a [u8]>,
}

fn read(component: &[u8]) -> Result<Read<'_>, wasmparser::BinaryReaderError> {
    let mut read = Read::default();
    let (mut parser, mut at) = (Parser::new(0), 0);
    loop {
        let rest = component.get(at..).unwrap_or_default();
        let Chunk::Parsed { payload, consumed } = parser.parse(rest, true)? else { return Ok(read) };
        at += consumed;
        match payload {
            Payload::CustomSection(section) if section.name() == SECTION => read.list = Some(section.data()),
            // What is in there is nobody's list but its own.
            Payload::ComponentSection { unchecked_range, .. } => {
                read.inside.extend(component.get(unchecked_range.clone()));
                at = unchecked_range.end;
            }
            Payload::ModuleSection { unchecked_range, .. } => at = unchecked_range.end,
            Payload::End(_) => return Ok(read),
            _ => {}
        }
    }
}
