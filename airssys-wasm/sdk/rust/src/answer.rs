//! What a handler may return.
//!
//! Invariant: `()` and `Option::<Payload>::None` are "no answer body"; everything else is one.

use std::any::TypeId;

use serde::Serialize;

use crate::{Encode, Fault, Payload};

/// What a handler may return: a value that serde can write, [`Payload`] or `Option<Payload>` for raw bytes, `()` for
/// nothing, or a [`Result`](crate::Result) of one of those.
///
/// It is implemented for all of these; there is no need to implement it. `Kind` tells the ways apart and is always
/// inferred.
///
/// # Example
///
/// ```
/// use airssys_sdk::{Answer, Fault, Payload};
///
/// assert_eq!(().answer(), Ok(None));
/// assert_eq!(7.answer(), Ok(Some(Payload::from("7"))));
/// assert_eq!(Payload::from("as it is").answer(), Ok(Some(Payload::from("as it is"))));
/// assert_eq!(Err::<u32, _>(Fault::refused("no")).answer(), Err(Fault::refused("no")));
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "derive serde's Serialize for it, or return airssys_sdk::Payload for raw bytes",
    note = "an error must be airssys_sdk::Fault: `.map_err(Fault::internal)?` makes one of any error"
)]
pub trait Answer<Kind> {
    /// The body of the answer.
    ///
    /// # Errors
    ///
    /// The fault that the handler returned, or [`Fault::Internal`] where the value cannot be written as JSON.
    fn answer(self) -> Result<Option<Payload>, Fault>;
}

/// The kinds. They exist because `serde` may, for all that the compiler knows, one day write a `Result` with a
/// [`Fault`] in it.
pub(crate) mod kind {
    /// A value, written as JSON.
    #[derive(Debug)]
    pub struct Json;

    /// Raw bytes.
    #[derive(Debug)]
    pub struct Raw;

    /// Raw bytes, or none.
    #[derive(Debug)]
    pub struct MaybeRaw;

    /// One of the others, or a fault.
    #[derive(Debug)]
    pub struct Fallible<Kind>(std::marker::PhantomData<Kind>);
}

impl<T: Serialize + 'static> Answer<kind::Json> for T {
    fn answer(self) -> Result<Option<Payload>, Fault> {
        if TypeId::of::<T>() == TypeId::of::<()>() {
            return Ok(None);
        }
        let bytes = self.encode().map_err(Fault::internal)?;
        Ok(Some(Payload::from(bytes.into_owned())))
    }
}

impl Answer<kind::Raw> for Payload {
    fn answer(self) -> Result<Option<Payload>, Fault> {
        Ok(Some(self))
    }
}

impl Answer<kind::MaybeRaw> for Option<Payload> {
    fn answer(self) -> Result<Option<Payload>, Fault> {
        Ok(self)
    }
}

impl<Kind, T: Answer<Kind>> Answer<kind::Fallible<Kind>> for Result<T, Fault> {
    fn answer(self) -> Result<Option<Payload>, Fault> {
        self.and_then(Answer::answer)
    }
}
