//! What a handler asks for, read from its signature.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, Result, Signature, Type};

/// The closure that the SDK's glue calls, for a handler that is called as `call`.
///
/// `wrap` is given the call and makes what the closure returns.
pub(crate) fn closure(
    signature: &Signature,
    call: &TokenStream,
    wrap: impl FnOnce(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    plain(signature)?;
    let mut arguments = Vec::new();
    let (mut message, mut context) = (false, false);
    for parameter in &signature.inputs {
        let FnArg::Typed(parameter) = parameter else {
            continue;
        };
        let (seen, argument) = match *parameter.ty {
            Type::Reference(_) => (&mut context, quote!(__context)),
            _ => (&mut message, quote!(__message)),
        };
        if std::mem::replace(seen, true) {
            return Err(Error::new_spanned(parameter, "a handler takes one message by value, and one `&Context`"));
        }
        arguments.push(argument);
    }
    let called = wrap(quote!(#call(#(#arguments),*)));
    let message = if message { quote!(__message) } else { quote!(_: ::airssys_sdk::__private::Unread) };
    let context = if context { quote!(__context) } else { quote!(_) };
    Ok(quote!(|#message, #context| #called))
}

/// Refuses what no handler can be.
pub(crate) fn plain(signature: &Signature) -> Result<()> {
    if let Some(token) = &signature.asyncness {
        return Err(Error::new_spanned(
            token,
            "a component is not async: it handles one message at a time, and `call` waits by itself",
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new_spanned(token, "the host calls it, so it must be safe to call"));
    }
    if signature.generics.type_params().next().is_some() {
        return Err(Error::new_spanned(&signature.generics, "a component is of one type: no type parameters here"));
    }
    Ok(())
}

/// Whether a method takes `self` in some form.
pub(crate) fn has_self(signature: &Signature) -> bool {
    signature.receiver().is_some()
}

/// How many parameters there are besides `self`.
pub(crate) fn parameters(signature: &Signature) -> usize {
    signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn made(signature: &str) -> std::result::Result<String, String> {
        let signature: Signature = syn::parse_str(signature).unwrap();
        closure(&signature, &quote!(f), |call| call).map(|tokens| tokens.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_given_in_their_order() {
        assert_eq!(
            made("fn f(m: M, c: &Context) -> A").unwrap(),
            "| __message , __context | f (__message , __context)"
        );
        assert_eq!(
            made("fn f(c: &Context, m: M) -> A").unwrap(),
            "| __message , __context | f (__context , __message)"
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_read() {
        assert_eq!(made("fn f()").unwrap(), "| _ : :: airssys_sdk :: __private :: Unread , _ | f ()");
        assert_eq!(made("fn f(m: M)").unwrap(), "| __message , _ | f (__message)");
    }

    #[test]
    fn what_no_handler_can_be_is_refused() {
        for bad in ["fn f(a: A, b: B)", "fn f(a: &A, b: &B)", "async fn f(a: A)", "unsafe fn f(a: A)", "fn f<T>(a: T)"]
        {
            assert!(made(bad).is_err(), "{bad}");
        }
    }
}
