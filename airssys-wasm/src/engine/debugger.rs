//! The code of a release as a debugger of the machine reads it: an object file, and where it lies in this process.
//!
//! The engine's own registration with debuggers is not compiled in. So the file is written out, and the debugger is
//! told of it.

use super::error::TemplateError;
use super::template::Template;

/// Where an ELF file says which system it is for.
const OS_ABI: usize = 7;

/// Compiled code with what a debugger knows of it.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Capsule, DebugImage, ReplayError, Replayer};
/// use airssys_wasm::registry::Release;
///
/// /// What tells gdb of the code, when it was written to that file.
/// async fn told(capsule: &Capsule, release: Release, file: &str) -> Result<String, ReplayError> {
///     let DebugImage { text_address, .. } = Replayer::load_for_debugger(capsule, release).await?.debug_image()?;
///     Ok(format!("add-symbol-file {file} -s .text {text_address:#x}"))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugImage {
    /// An object file of ELF, with the names and lines of the guest's source where its component has them.
    pub object: Vec<u8>,
    /// Where its section `.text` lies in the memory of this process.
    pub text_address: usize,
}

impl Template {
    /// Its code, which was compiled for a debugger.
    pub(crate) fn debug_image(&self) -> Result<DebugImage, TemplateError> {
        let component = self.pre.component();
        let mut object = component.serialize().map_err(|error| TemplateError::Image { detail: error.to_string() })?;
        // The engine has a number of its own there, which no debugger knows.
        if let Some(abi) = object.get_mut(OS_ABI) {
            *abi = 0;
        }
        Ok(DebugImage { object, text_address: component.text().as_ptr().addr() })
    }
}
