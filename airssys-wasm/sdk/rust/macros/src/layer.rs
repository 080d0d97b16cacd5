//! `#[layer]` on the `impl` block of a struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemImpl, Result};

use crate::structure::{check, method, shape, start};

/// The `impl` block, and the exports that call it.
pub(crate) fn expand(item: &ItemImpl) -> Result<TokenStream> {
    check(item, "#[layer]")?;
    let this = &item.self_ty;
    let before = method(item, "before").ok_or_else(|| {
        Error::new_spanned(this, "a layer needs a `before`: `fn before(&mut self, what: Operation) -> Verdict`")
    })?;
    shape(&before.sig, true, 1, "`fn before(&mut self, what: Operation) -> Verdict`")?;
    let start = start(item)?;
    let after = match method(item, "after") {
        None => quote!({
            let _ = (__what, __outcome);
        }),
        Some(after) => {
            shape(&after.sig, true, 2, "`fn after(&mut self, what: Operation, outcome: Result<(), Failure>)`")?;
            quote!(::airssys_sdk::__private::after(__what, __outcome, |__what, __outcome| {
                __INSTANCE.with(|slot| slot.with(__start, |__this| __this.after(__what, __outcome)))
            }))
        }
    };
    let on_error = match method(item, "on_error") {
        None => quote!({
            let _ = (__what, __failure);
            ::airssys_sdk::__private::WitErrorVerdict::Keep
        }),
        Some(on_error) => {
            let wanted = "`fn on_error(&mut self, what: Operation, failure: Failure) -> ErrorVerdict`";
            shape(&on_error.sig, true, 2, wanted)?;
            quote!(::airssys_sdk::__private::on_error(__what, __failure, |__what, __failure| {
                __INSTANCE.with(|slot| slot.with(__start, |__this| __this.on_error(__what, __failure)))
            }))
        }
    };
    Ok(quote! {
        #item

        const _: () = {
            #[allow(dead_code)]
            struct __Layer;

            ::std::thread_local! {
                static __INSTANCE: ::airssys_sdk::__private::Slot<#this> =
                    const { ::airssys_sdk::__private::Slot::new() };
            }

            // Apart, and allowed: on the host nobody calls them.
            #[allow(dead_code)]
            fn __start() -> ::airssys_sdk::Result<#this> {
                #start
            }

            #[allow(dead_code)]
            fn __before(__what: ::airssys_sdk::__private::WitOperation) -> ::airssys_sdk::__private::WitVerdict {
                ::airssys_sdk::__private::before(__what, |__what| {
                    __INSTANCE.with(|slot| slot.with(__start, |__this| __this.before(__what)))
                })
            }

            #[allow(dead_code)]
            fn __after(
                __what: ::airssys_sdk::__private::WitOperation,
                __outcome: ::airssys_sdk::__private::WitOutcome,
            ) {
                #after
            }

            #[allow(dead_code)]
            fn __on_error(
                __what: ::airssys_sdk::__private::WitOperation,
                __failure: ::airssys_sdk::__private::WitFailure,
            ) -> ::airssys_sdk::__private::WitErrorVerdict {
                #on_error
            }

            impl ::airssys_sdk::__private::Layer for __Layer {
                fn before(
                    __what: ::airssys_sdk::__private::WitOperation,
                ) -> ::airssys_sdk::__private::WitVerdict {
                    __before(__what)
                }

                fn after(
                    __what: ::airssys_sdk::__private::WitOperation,
                    __outcome: ::airssys_sdk::__private::WitOutcome,
                ) {
                    __after(__what, __outcome)
                }

                fn on_error(
                    __what: ::airssys_sdk::__private::WitOperation,
                    __failure: ::airssys_sdk::__private::WitFailure,
                ) -> ::airssys_sdk::__private::WitErrorVerdict {
                    __on_error(__what, __failure)
                }
            }

            #[cfg(target_family = "wasm")]
            ::airssys_sdk::__private::export_layer!(__Layer with_types_in ::airssys_sdk::__private::layer);
        };
    })
}
