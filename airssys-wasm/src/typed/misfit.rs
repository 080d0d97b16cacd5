//! Why a value is not of the type that it is to be.

use std::fmt;

/// A value is not of its type: where, as a JSON pointer, and what is wrong there.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::adder(async |runtime| {
/// use std::time::Duration;
///
/// use airssys_wasm::{InvokeError, Written};
///
/// let call = Written::Json { function: "add", arguments: "[2, true]" };
/// let error = runtime.invoke("adder", None, call, Duration::from_secs(5)).await.unwrap_err();
/// let InvokeError::Misfit(misfit) = error else { unreachable!() };
/// assert_eq!(misfit.at(), "/1");
/// assert_eq!(misfit.to_string(), "/1: u32 is wanted, and it is true");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    at: String,
    detail: String,
}

impl Misfit {
    /// Where, as a JSON pointer: empty where it is all of it.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self { at: String::new(), detail: detail.into() }
    }

    /// Something else is wanted there than what is found.
    pub(super) fn wanted(wanted: &impl fmt::Display, found: &impl fmt::Display) -> Self {
        Self::new(format!("{wanted} is wanted, and it is {found}"))
    }

    /// The same of what a function returns.
    pub(super) fn of_result(self) -> Self {
        Self { detail: format!("of the result, {}", self.detail), ..self }
    }

    /// The same, told by who has it within: the pointer is made from its end, so that it costs nothing until then.
    pub(super) fn within(self, step: impl fmt::Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        Self { at: format!("/{step}{}", self.at), ..self }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.at {
            "" => f.write_str(&self.detail),
            at => write!(f, "{at}: {}", self.detail),
        }
    }
}

impl std::error::Error for Misfit {}

impl serde::ser::Error for Misfit {
    fn custom<T: fmt::Display>(told: T) -> Self {
        Self::new(told.to_string())
    }
}

impl serde::de::Error for Misfit {
    fn custom<T: fmt::Display>(told: T) -> Self {
        Self::new(told.to_string())
    }
}
