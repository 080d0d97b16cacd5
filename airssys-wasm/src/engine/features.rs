//! The WebAssembly proposals that the engine is built with, and which other ones a component uses.

use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Parser, ValidPayload, Validator, WasmFeatures};

use super::generation::Generation;

/// What the engine of a generation takes. wasmtime is built without its collector and threads; the rest is its default,
/// and that an interface is imported several times, by names.
pub(super) fn ours(generation: Generation) -> WasmFeatures {
    let without = WasmFeatures::GC_TYPES | WasmFeatures::EXCEPTIONS | WasmFeatures::THREADS;
    let mut with = (WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL | WasmFeatures::CM_IMPLEMENTS) - without;
    with.set(WasmFeatures::CM_ASYNC, generation.has_tasks());
    with
}

/// The names that people know proposals by. Those that need others come after them.
const NAMES: [(&str, WasmFeatures); 22] = [
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("threads (shared memory)", WasmFeatures::THREADS),
    ("garbage collection (gc)", WasmFeatures::GC_TYPES),
    ("legacy exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("shared-everything threads", WasmFeatures::SHARED_EVERYTHING_THREADS),
    ("custom page sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("memory control", WasmFeatures::MEMORY_CONTROL),
    ("stack switching", WasmFeatures::STACK_SWITCHING),
    ("wide arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("custom descriptors", WasmFeatures::CUSTOM_DESCRIPTORS),
    ("compact imports", WasmFeatures::COMPACT_IMPORTS),
    ("async functions without callbacks in components", WasmFeatures::CM_ASYNC_STACKFUL),
    ("more functions for async components", WasmFeatures::CM_MORE_ASYNC_BUILTINS),
    ("values in components", WasmFeatures::CM_VALUES),
    ("nested names in components", WasmFeatures::CM_NESTED_NAMES),
    ("error contexts in components", WasmFeatures::CM_ERROR_CONTEXT),
    ("lists of a fixed length in components", WasmFeatures::CM_FIXED_LENGTH_LISTS),
    ("maps in components", WasmFeatures::CM_MAP),
    ("threads in components", WasmFeatures::CM_THREADING),
    ("gc in components", WasmFeatures::CM_GC),
    ("64-bit components", WasmFeatures::CM64),
    ("version suffixes in components", WasmFeatures::CM_CANON_NAMES),
];

/// What validation says of a component.
pub(super) enum Validated {
    /// The engine takes it.
    Well(Types),
    /// It is valid, and uses these proposals, which the engine does not have.
    Uses(Types, Vec<&'static str>),
    /// It is no valid component.
    Not(BinaryReaderError),
}

/// Validates a component, function bodies and all.
pub(super) fn validate(bytes: &[u8], generation: Generation) -> Validated {
    let ours = ours(generation);
    let error = match with(bytes, ours) {
        Ok(types) => return Validated::Well(types),
        Err(error) => error,
    };
    // One proposal is the usual case.
    let one = |(name, more): &(&'static str, WasmFeatures)| Some((with(bytes, ours | *more).ok()?, vec![*name]));
    if let Some((types, name)) = NAMES.iter().find_map(one) {
        return Validated::Uses(types, name);
    }
    let mut all = NAMES.iter().fold(ours, |all, (_, more)| all | *more);
    let Ok(types) = with(bytes, all) else { return Validated::Not(error) };
    // Those without which it is not valid.
    let needed = NAMES.iter().filter(|(_, more)| {
        let less = all - *more;
        let dispensable = with(bytes, less).is_ok();
        if dispensable {
            all = less;
        }
        !dispensable
    });
    let names = needed.map(|(name, _)| *name).collect();
    Validated::Uses(types, names)
}

fn with(bytes: &[u8], features: WasmFeatures) -> Result<Types, BinaryReaderError> {
    Validator::new_with_features(features).validate_all(bytes)
}

/// The types of a component whose function bodies need no validation.
pub(super) fn types(bytes: &[u8], generation: Generation) -> Result<Types, BinaryReaderError> {
    let ours = ours(generation);
    let mut validator = Validator::new_with_features(ours);
    let mut types = None;
    for payload in Parser::new(0).parse_all(bytes) {
        if let ValidPayload::End(all) = validator.payload(&payload?)? {
            types = Some(all);
        }
    }
    // Those of the outermost component come last.
    types.map_or_else(|| with(bytes, ours), Ok)
}
