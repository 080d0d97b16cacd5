//! The macros of airssys-sdk. Use it through that crate, which documents it.
//!
//! It looks at names and signatures only, never at types, and writes calls of the SDK's glue. It puts no `unsafe` into
//! a guest: the exports come from the SDK's own macros.

mod function;
mod layer;
mod signature;
mod structure;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use syn::{Item, parse_macro_input};

/// Makes a layer of the host. The SDK, which re-exports it, documents it there.
#[proc_macro_attribute]
pub fn layer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = Tokens::from(arguments);
    let item = parse_macro_input!(item as Item);
    let written = match item {
        _ if !arguments.is_empty() => {
            Err(syn::Error::new_spanned(arguments, "#[layer] takes no arguments: the topology says what it is asked"))
        }
        Item::Impl(item) => layer::expand(&item),
        other => Err(syn::Error::new_spanned(other, "#[layer] stands on the `impl` block of a struct")),
    };
    written.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a component. The SDK, which re-exports it, documents it there: examples need both crates.
#[proc_macro_attribute]
pub fn component(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = Tokens::from(arguments);
    let item = parse_macro_input!(item as Item);
    let written = if !arguments.is_empty() {
        Err(syn::Error::new_spanned(arguments, "#[component] takes no arguments: it exports what the component has"))
    } else {
        match item {
            Item::Fn(item) => function::expand(&item),
            Item::Impl(item) => structure::expand(&item),
            other => Err(syn::Error::new_spanned(
                other,
                "#[component] stands on a function, or on the `impl` block of a struct",
            )),
        }
    };
    written.unwrap_or_else(syn::Error::into_compile_error).into()
}
