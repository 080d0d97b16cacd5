//! The file of a component, before anybody looks at what is in it.

use std::path::Path;

use super::adapt::adapt;
use super::error::TemplateError;
use crate::hint::{Act, Hint};

/// The largest component file, in bytes.
pub(crate) const MAX_COMPONENT: u64 = 512 << 20;
/// Reads a file that should be a component: neither too large nor plainly something else.
///
/// # Errors
///
/// [`TemplateError::Read`], [`TemplateError::TooLarge`], [`TemplateError::NoComponent`].
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>, TemplateError> {
    let failed = |source| TemplateError::Read { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if meta.is_dir() {
        return Err(TemplateError::NoComponent {
            path: path.to_owned(),
            found: "a folder".into(),
            hint: "name the .wasm file, or a folder with a Component.toml".into(),
        });
    }
    check_size(meta.len(), path)?;
    let bytes = std::fs::read(path).map_err(failed)?;
    check_component(&bytes, path)?;
    Ok(bytes)
}

fn check_size(size_bytes: u64, path: &Path) -> Result<(), TemplateError> {
    if size_bytes <= MAX_COMPONENT {
        return Ok(());
    }
    Err(TemplateError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes: MAX_COMPONENT })
}

/// [`read_component`] for bytes that were read.
pub(crate) fn check_component(bytes: &[u8], path: &Path) -> Result<(), TemplateError> {
    let no_component =
        |found: &str, hint| TemplateError::NoComponent { path: path.to_owned(), found: found.to_owned().into(), hint };
    check_size(bytes.len() as u64, path)?;
    if bytes.is_empty() {
        return Err(no_component("empty", "build it again; the build may have been interrupted".into()));
    }
    if wasmparser::Parser::is_component(bytes) {
        Ok(())
    } else if wasmparser::Parser::is_core_wasm(bytes) {
        // One that could be adapted was, where it was found.
        let found = adapt(bytes).err().map_or_else(|| "a core module".to_owned(), |why| why.to_string());
        Err(no_component(&found, Hint::from(Act::MakeComponent).words(", or build for wasm32-wasip2")))
    } else {
        Err(no_component("not WebAssembly", Act::NameBuilt.into()))
    }
}
