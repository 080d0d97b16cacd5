//! A core module, as cargo leaves it, to a component.
//!
//! What the module describes of itself (put there by the SDK's macro) decides its imports and exports; what it never
//! calls is not imported. WASI 0.1 calls are translated by the reactor adapter that belongs to the host's wasmtime. A
//! module that is a component already (rustup's `wasm32-wasip2` links one) passes through, after the same check.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::error::BuildError;

/// The component of a module. `adapt`: whether it was built against WASI 0.1.
pub(super) fn component(name: &str, module: &[u8], adapt: bool) -> Result<Vec<u8>, BuildError> {
    let bytes = if Parser::is_component(module) {
        module.to_vec()
    } else {
        encode(module, adapt).map_err(|reason| BuildError::NotComponent { name: name.to_owned(), reason })?
    };
    if !exports_anything(&bytes) {
        return Err(BuildError::ExportsNothing { name: name.to_owned() });
    }
    Ok(bytes)
}

/// The reason is what wit-component says, causes and all: it has no type that would tell them apart.
fn encode(module: &[u8], adapt: bool) -> Result<Vec<u8>, String> {
    let mut encoder =
        ComponentEncoder::default().validate(true).module(module).map_err(|error| format!("{error:#}"))?;
    if adapt {
        let adapter = if is_program(module) {
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
        } else {
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
        };
        encoder =
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter).map_err(|error| format!("{error:#}"))?;
    }
    encoder.encode().map_err(|error| format!("{error:#}"))
}

/// Whether it is run from its begin to its end, and no library.
fn is_program(module: &[u8]) -> bool {
    Parser::new(0).parse_all(module).any(|payload| match payload {
        Ok(Payload::ExportSection(exports)) => exports.into_iter().flatten().any(|export| export.name == "_start"),
        _ => false,
    })
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
        for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0"] {
            assert!(matches!(component("a", bytes, false), Err(BuildError::NotComponent { .. })));
        }
    }

    #[test]
    fn a_module_that_describes_no_exports_is_refused() {
        let empty = b"\0asm\x01\0\0\0";
        assert!(matches!(component("a", empty, false), Err(BuildError::ExportsNothing { .. })));
    }
}
