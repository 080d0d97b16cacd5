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
/// let error = runtime.invoke("adder", call, Duration::from_secs(5)).await.unwrap_err();
/// let InvokeError::Misfit(misfit) = error else { unreachable!() };
/// assert_eq!(misfit.at(), "/1");
/// assert_eq!(misfit.to_string(), "/1: u32 is wanted, and it is true");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(
    // Boxed: each field of each value that fits is told by a result with it, in one register.
    Box<Detail>,
);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Detail {
    at: String,
    detail: String,
}

impl Misfit {
    /// Where, as a JSON pointer: empty where it is all of it.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.0.at
    }

    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self(Box::new(Detail { at: String::new(), detail: detail.into() }))
    }

    /// Something else is wanted there than what is found.
    pub(super) fn wanted(wanted: &impl fmt::Display, found: &impl fmt::Display) -> Self {
        Self::new(format!("{wanted} is wanted, and it is {found}"))
    }

    /// The same of what a function returns.
    pub(super) fn of_result(mut self) -> Self {
        self.0.detail.insert_str(0, "of the result, ");
        self
    }

    /// The same, told by who has it within: the pointer is made from its end, so that it costs nothing until then.
    #[cold]
    pub(super) fn within(mut self, step: impl fmt::Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        self.0.at.insert_str(0, &format!("/{step}"));
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.at {
            "" => f.write_str(&self.0.detail),
            at => write!(f, "{at}: {}", self.0.detail),
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
