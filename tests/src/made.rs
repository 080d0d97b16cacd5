//! Components that a test makes: of WIT and a core module as text.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The WIT that a test may import: the state of a service.
fn known() -> Resolve {
    let mut resolve = Resolve::default();
    let keyvalue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/deps/keyvalue");
    let _package = resolve.push_dir(keyvalue).expect("it is in the tree");
    resolve
}

/// The component that a core module is, in the world `it` of this WIT. A module's functions have the names that
/// `wit-component` gives them: `package:name/interface#function`.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn component(wit: &str, core: &str) -> Vec<u8> {
    encode(&typed(wit, core))
}

/// [`component`], where the tools that make it take it.
///
/// # Panics
///
/// The WIT or the module is wrong.
#[must_use]
pub fn try_component(wit: &str, core: &str) -> Option<Vec<u8>> {
    ComponentEncoder::default().module(&typed(wit, core)).ok()?.encode().ok()
}

/// A core module with the types of its component in it.
fn typed(wit: &str, core: &str) -> Vec<u8> {
    let mut resolve = known();
    let package = resolve.push_str("test.wit", wit).unwrap_or_else(|error| panic!("{error:#}\n{wit}"));
    let world = resolve.select_world(&[package], Some("it")).expect("the world `it`");
    let mut module = wat::parse_str(core).unwrap_or_else(|error| panic!("{error}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a type of a component");
    module
}

/// The component that a core module with the types of its component in it is.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn encode(module: &[u8]) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).expect("types of a component");
    encoder.encode().unwrap_or_else(|error| panic!("{error:#}"))
}

/// The component of a world `it` whose functions trap, or import and never call.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn dummy(wit: &str) -> Vec<u8> {
    let mut resolve = known();
    let package = resolve.push_str("test.wit", wit).unwrap_or_else(|error| panic!("{error:#}\n{wit}"));
    let world = resolve.select_world(&[package], Some("it")).expect("the world `it`");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a type of a component");
    encode(&module)
}
