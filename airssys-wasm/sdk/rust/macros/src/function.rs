//! `#[component]` on a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

use crate::signature;

/// The function, and the exports that call it.
pub(crate) fn expand(item: &ItemFn) -> Result<TokenStream> {
    if let Some(receiver) = item.sig.receiver() {
        return Err(Error::new_spanned(receiver, "for a component with fields put #[component] on the `impl` block"));
    }
    let name = &item.sig.ident;
    let handler = signature::closure(&item.sig, &quote!(#name), |call| call)?;
    Ok(quote! {
        #item

        const _: () = {
            #[allow(dead_code)]
            struct __Component;

            // Apart, and allowed: on the host nobody calls it, and the handler is not dead because of that.
            #[allow(dead_code)]
            #[inline]
            fn __handle(
                __received: ::airssys_sdk::__private::Message,
            ) -> ::airssys_sdk::__private::Handled {
                ::airssys_sdk::__private::turn(__received, #handler)
            }

            impl ::airssys_sdk::__private::Handler for __Component {
                #[inline]
                fn handle(
                    __received: ::airssys_sdk::__private::Message,
                ) -> ::airssys_sdk::__private::Handled {
                    __handle(__received)
                }
            }

            #[cfg(target_family = "wasm")]
            ::airssys_sdk::__private::export_actor!(__Component with_types_in ::airssys_sdk::__private::actor);
        };
    })
}
