//! What an error says beside its text ([`Coded`]): a word that stays the same, and what to do about it.
//!
//! What to do is data. The library says what there is to do; how that is done, by a command or a call, is for whoever
//! shows the error.

pub(crate) mod act;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use act::Act;

/// What to do about an error: words, and what the command `airssys` has commands for, which has words as well.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::hint::{Coded, Hint};
///
/// let hint: Option<Hint> = runtime.send("nobody", "hello").await.unwrap_err().hint();
/// assert_eq!(hint.unwrap_or_default().to_string(), "name one of the services that there are");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    Words(String),
    Act(Act),
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

/// No words are no hint.
impl From<String> for Hint {
    fn from(words: String) -> Self {
        Self(if words.is_empty() { Vec::new() } else { vec![Part::Words(words)] })
    }
}

impl From<Act> for Hint {
    fn from(act: Act) -> Self {
        Self(vec![Part::Act(act)])
    }
}

impl Hint {
    /// Whether there is nothing to do.
    #[doc(hidden)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hint, where there is one.
    #[must_use]
    pub(crate) fn some(self) -> Option<Self> {
        if self.is_empty() { None } else { Some(self) }
    }

    /// Both, one after the other.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        if !self.is_empty() && !other.is_empty() {
            self.0.push(Part::Words("; ".to_owned()));
        }
        self.0.extend(other.0);
        self
    }

    /// The same, and then this.
    #[must_use]
    pub(crate) fn act(mut self, act: Act) -> Self {
        self.0.push(Part::Act(act));
        self
    }

    /// The same, and then these words.
    #[must_use]
    pub(crate) fn words(mut self, words: impl Into<String>) -> Self {
        self.0.push(Part::Words(words.into()));
        self
    }

    /// As text, by those who know what each act is called where they are.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::command::Act;
    /// use airssys_wasm::hint::Hint;
    ///
    /// let hint = Hint::from(Act::ListServices);
    /// let told = hint.told(|act| match act {
    ///     Act::ListServices => "see the page of services".to_owned(),
    ///     other => other.to_string(),
    /// });
    /// assert_eq!(told, "see the page of services");
    /// ```
    #[doc(hidden)]
    pub fn told(&self, act: impl Fn(&Act) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Act(of) => act(of),
        });
        parts.collect()
    }
}

/// What an error, or an end of something, says beside its text: a stable word for programs, since texts change, and
/// what to do about it.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::Coded;
/// use airssys_wasm::topology::Topology;
///
/// let error = Topology::parse("name = 7", ".".as_ref()).unwrap_err();
/// assert_eq!(error.code(), "config");
/// println!("{error}");
/// if let Some(hint) = error.hint() {
///     println!("hint: {hint}");
/// }
/// ```
pub trait Coded {
    /// The word, such as `no-such-service`.
    #[must_use]
    fn code(&self) -> &'static str;

    /// What to do about it; none where there is nothing that the text does not say.
    #[must_use]
    fn hint(&self) -> Option<Hint> {
        None
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(ToString::to_string))
    }
}
