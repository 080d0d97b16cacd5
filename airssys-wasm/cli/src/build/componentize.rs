//! A core module, as cargo leaves it, to a component.
//!
//! What the module describes of itself (put there by the SDK's macro) decides its imports and exports; what it never
//! calls is not imported. WASI 0.1 calls are translated as the library does it for any module. A module that is a
//! component already (rustup's `wasm32-wasip2` links one) passes through, after the same check.

use airssys_wasm::command::adapt;
use wasmparser::{Parser, Payload};

use super::error::BuildError;

/// The component of a module.
pub(super) fn component(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let bytes = if Parser::is_component(module) {
        module.to_vec()
    } else {
        adapt(module).map_err(|why| BuildError::NotComponent { name: name.to_owned(), reason: why.to_string() })?
    };
    if !exports_anything(&bytes) {
        return Err(BuildError::ExportsNothing { name: name.to_owned() });
    }
    Ok(bytes)
}

fn exports_anything(component: &[u8]) -> bool {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentExportSection(exports)) if depth == 0 => {
                return exports.count() > 0;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused() {
        // The last is a module, and neither a program nor one that describes its functions.
        for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0", b"\0asm\x01\0\0\0"] {
            assert!(matches!(component("a", bytes), Err(BuildError::NotComponent { .. })));
        }
    }
}
