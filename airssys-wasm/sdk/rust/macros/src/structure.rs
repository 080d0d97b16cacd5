//! `#[component]` on the `impl` block of a struct: which of the methods it has decides what is exported.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ImplItem, ImplItemFn, ItemImpl, Result, Signature};

use crate::signature::{closure, has_self, parameters, plain};

/// The `impl` block, and the exports that call it.
pub(crate) fn expand(item: &ItemImpl) -> Result<TokenStream> {
    check(item, "#[component]")?;
    let this = &item.self_ty;
    let handle = method(item, "handle").ok_or_else(|| {
        Error::new_spanned(this, "a component needs a `handle`: `fn handle(&mut self, message: M) -> Result<A>`")
    })?;
    let start = start(item)?;
    let handler = if has_self(&handle.sig) {
        closure(
            &handle.sig,
            &quote!(__this.handle),
            |call| quote!(__INSTANCE.with(|slot| slot.with(__start, |__this| #call))),
        )?
    } else {
        closure(&handle.sig, &quote!(<#this>::handle), |call| call)?
    };
    let lifecycle = lifecycle(item)?;
    let health = health(item)?;
    let upgrade = upgrade(item)?;
    let monitoring = monitoring(item)?;
    Ok(quote! {
        #item

        const _: () = {
            #[allow(dead_code)]
            struct __Component;

            ::std::thread_local! {
                static __INSTANCE: ::airssys_sdk::__private::Slot<#this> =
                    const { ::airssys_sdk::__private::Slot::new() };
            }

            #[allow(dead_code)]
            fn __start() -> ::airssys_sdk::Result<#this> {
                #start
            }

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

            #lifecycle
            #health
            #upgrade
            #monitoring
        };
    })
}

/// Refuses what is no block of one struct.
pub(crate) fn check(item: &ItemImpl, attribute: &str) -> Result<()> {
    if let Some((_, path, _)) = &item.trait_ {
        let what = format!("{attribute} stands on the struct's own `impl` block: `impl Counter {{ … }}`");
        return Err(Error::new_spanned(path, what));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "a component is of one type: no parameters here"));
    }
    Ok(())
}

pub(crate) fn start(item: &ItemImpl) -> Result<TokenStream> {
    let this = &item.self_ty;
    let Some(init) = method(item, "init") else {
        let default = quote_spanned!(this.span()=> <#this as ::core::default::Default>::default());
        return Ok(quote!(::core::result::Result::Ok(#default)));
    };
    shape(&init.sig, false, 0, "`fn init() -> Result<Self>`")?;
    Ok(quote!(::airssys_sdk::__private::Start::<#this>::start(<#this>::init())))
}

fn lifecycle(item: &ItemImpl) -> Result<TokenStream> {
    let stop = method(item, "stop");
    if stop.is_none() && method(item, "init").is_none() {
        return Ok(TokenStream::new());
    }
    let call = match stop {
        None => quote!(let _ = __this;),
        Some(stop) if parameters(&stop.sig) == 0 => {
            shape(&stop.sig, true, 0, "`fn stop(&mut self)`")?;
            quote!(__this.stop();)
        }
        Some(stop) => {
            shape(&stop.sig, true, 1, "`fn stop(&mut self, reason: StopReason)`")?;
            quote!(__this.stop(::core::convert::Into::into(__reason));)
        }
    };
    Ok(quote! {
        #[allow(dead_code)]
        fn __stop(__reason: ::airssys_sdk::__private::WitStopReason) {
            __INSTANCE.with(|slot| slot.stop(|__this| { #call }));
        }

        impl ::airssys_sdk::__private::Lifecycle for __Component {
            fn init() -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
                __INSTANCE.with(|slot| slot.start(__start))
            }

            fn stop(__reason: ::airssys_sdk::__private::WitStopReason) {
                __stop(__reason)
            }
        }

        #[cfg(target_family = "wasm")]
        ::airssys_sdk::__private::export_lifecycle!(__Component with_types_in ::airssys_sdk::__private::lifecycle);
    })
}

fn health(item: &ItemImpl) -> Result<TokenStream> {
    let Some(check) = method(item, "check") else {
        return Ok(TokenStream::new());
    };
    shape(&check.sig, true, 0, "`fn check(&self) -> Result<()>`")?;
    Ok(quote! {
        #[allow(dead_code)]
        fn __check() -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
            ::airssys_sdk::__private::check(|| __INSTANCE.with(|slot| slot.with(__start, |__this| __this.check())))
        }

        impl ::airssys_sdk::__private::Health for __Component {
            fn check() -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
                __check()
            }
        }

        #[cfg(target_family = "wasm")]
        ::airssys_sdk::__private::export_health!(__Component with_types_in ::airssys_sdk::__private::health);
    })
}

fn monitoring(item: &ItemImpl) -> Result<TokenStream> {
    let Some(down) = method(item, "down") else {
        return Ok(TokenStream::new());
    };
    shape(&down.sig, true, 1, "`fn down(&mut self, down: Down) -> Result<()>`")?;
    Ok(quote! {
        #[allow(dead_code)]
        fn __down(
            __notice: ::airssys_sdk::__private::WitDown,
        ) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
            ::airssys_sdk::__private::down(__notice, |__down| {
                __INSTANCE.with(|slot| slot.with(__start, |__this| __this.down(__down)))
            })
        }

        impl ::airssys_sdk::__private::Monitoring for __Component {
            fn down(
                __notice: ::airssys_sdk::__private::WitDown,
            ) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
                __down(__notice)
            }
        }

        #[cfg(target_family = "wasm")]
        ::airssys_sdk::__private::export_monitoring!(__Component with_types_in ::airssys_sdk::__private::monitoring);
    })
}

fn upgrade(item: &ItemImpl) -> Result<TokenStream> {
    let this = &item.self_ty;
    let (snapshot, restore, migrate) = (method(item, "snapshot"), method(item, "restore"), method(item, "migrate"));
    if snapshot.is_none() && restore.is_none() && migrate.is_none() {
        return Ok(TokenStream::new());
    }
    let snapshot = match snapshot {
        None => quote!(::airssys_sdk::__private::no_snapshot()),
        Some(snapshot) => {
            shape(&snapshot.sig, true, 0, "`fn snapshot(&self) -> Result<S>`")?;
            quote!(::airssys_sdk::__private::snapshot(
                || __INSTANCE.with(|slot| slot.with(__start, |__this| __this.snapshot()))
            ))
        }
    };
    let restore = match restore {
        None => quote!({
            let _ = __snapshot;
            ::core::result::Result::Ok(())
        }),
        Some(restore) => {
            shape(&restore.sig, true, 1, "`fn restore(&mut self, snapshot: S) -> Result<()>`")?;
            quote! {
                ::airssys_sdk::__private::restore(__snapshot, |__snapshot| {
                    __INSTANCE.with(|slot| slot.with(__start, |__this| __this.restore(__snapshot)))
                })
            }
        }
    };
    let migrate = match migrate {
        None => quote!(::airssys_sdk::__private::no_migrate(__from)),
        Some(migrate) => {
            shape(&migrate.sig, false, 1, "`fn migrate(from: u32) -> Result<()>`")?;
            quote!(::airssys_sdk::__private::migrate(|| <#this>::migrate(__from)))
        }
    };
    Ok(quote! {
        // Apart, and allowed: on the host nobody calls them.
        #[allow(dead_code)]
        fn __snapshot() -> ::airssys_sdk::__private::Handled {
            #snapshot
        }

        #[allow(dead_code)]
        fn __restore(__snapshot: ::std::vec::Vec<u8>) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
            #restore
        }

        #[allow(dead_code)]
        fn __migrate(__from: u32) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
            #migrate
        }

        impl ::airssys_sdk::__private::Upgrade for __Component {
            fn snapshot() -> ::airssys_sdk::__private::Handled {
                __snapshot()
            }

            fn restore(__snapshot: ::std::vec::Vec<u8>) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
                __restore(__snapshot)
            }

            fn migrate(__from: u32) -> ::core::result::Result<(), ::airssys_sdk::__private::WitFault> {
                __migrate(__from)
            }
        }

        #[cfg(target_family = "wasm")]
        ::airssys_sdk::__private::export_upgrade!(__Component with_types_in ::airssys_sdk::__private::upgrade);
    })
}

pub(crate) fn method<'a>(item: &'a ItemImpl, name: &str) -> Option<&'a ImplItemFn> {
    item.items.iter().find_map(|member| match member {
        ImplItem::Fn(method) if method.sig.ident == name => Some(method),
        _ => None,
    })
}

pub(crate) fn shape(signature: &Signature, with_self: bool, count: usize, wanted: &str) -> Result<()> {
    plain(signature)?;
    if has_self(signature) != with_self || parameters(signature) != count {
        return Err(Error::new_spanned(
            signature,
            format!("the host calls it as {wanted}; name it otherwise if it is not for the host"),
        ));
    }
    Ok(())
}
