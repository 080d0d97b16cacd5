//! A layer of the host: a component that is asked about what others do before it happens; see
//! [`layer`](macro@crate::layer).

use crate::bindings::layer::exports::airssys::actor::layer as told;

/// What somebody does.
///
/// # Example
///
/// ```
/// use airssys_sdk::layer::Operation;
///
/// fn is_large(what: &Operation) -> bool {
///     what.kind == "send" && what.size > 1 << 20
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// What it is: `send`, `call`, `file-open`, one of the words of `applies_to` in the topology.
    pub kind: String,
    /// What it needs besides: to open a file may need `file-write` and `file-create`.
    pub needs: Vec<String>,
    /// The address of who does it; none where that is somebody outside of the mesh.
    pub sender: Option<String>,
    /// Whom or what it is done with.
    pub target: String,
    /// The other one, where there are two: what a file is renamed to, what a link leads to.
    pub also: Option<String>,
    /// The function that is called, where it is called by its own type.
    pub function: Option<String>,
    /// How many bytes are sent or written, or asked for where it is read.
    pub size: u64,
    /// What is sent or written. None where the topology does not show that to the layer, or where nothing is.
    pub body: Option<Vec<u8>>,
}

/// What a layer says of it.
///
/// # Example
///
/// ```
/// use airssys_sdk::layer::Verdict;
///
/// let verdict = Verdict::reject("not on a Sunday");
/// assert_eq!(verdict, Verdict::Reject("not on a Sunday".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, as it is.
    Pass,
    /// It does not happen. Who wanted it is told the layer's name and this text.
    Reject(String),
}

impl Verdict {
    /// It does not happen, for this reason.
    pub fn reject(why: impl Into<String>) -> Self {
        Self::Reject(why.into())
    }
}

/// Why something did not happen.
///
/// # Example
///
/// ```
/// use airssys_sdk::layer::Failure;
///
/// fn may_go_well_later(failure: &Failure) -> bool {
///     failure.code == "overloaded"
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// A stable word for it, such as `timeout` or `denied`.
    pub code: String,
    /// The same for people.
    pub detail: String,
}

/// What is to become of something that failed.
///
/// # Example
///
/// ```
/// use airssys_sdk::layer::{ErrorVerdict, Failure};
///
/// fn told(failure: &Failure) -> ErrorVerdict {
///     match failure.code.as_str() {
///         "crashed" => ErrorVerdict::Retry,
///         _ => ErrorVerdict::Keep,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorVerdict {
    /// It stays as it is, and the layers before this one are asked.
    Keep,
    /// Who wanted it is told this instead, in the layer's name.
    Replace(String),
    /// Who wanted it is told that it is done, with an empty answer.
    Suppress,
    /// It is tried once more from the start, at most three times.
    Retry,
    /// It stays as it is, and no other layer is asked.
    Stop,
}

impl From<told::Operation> for Operation {
    fn from(what: told::Operation) -> Self {
        let told::Operation { kind, needs, sender, target, also, function, size, body } = what;
        Self { kind, needs, sender, target, also, function, size, body }
    }
}

impl From<told::Failure> for Failure {
    fn from(told::Failure { code, detail }: told::Failure) -> Self {
        Self { code, detail }
    }
}

impl From<Verdict> for told::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Reject(why) => Self::Reject(why),
        }
    }
}

impl From<ErrorVerdict> for told::ErrorVerdict {
    fn from(verdict: ErrorVerdict) -> Self {
        match verdict {
            ErrorVerdict::Keep => Self::Keep,
            ErrorVerdict::Replace(why) => Self::Replace(why),
            ErrorVerdict::Suppress => Self::Suppress,
            ErrorVerdict::Retry => Self::Retry,
            ErrorVerdict::Stop => Self::Stop,
        }
    }
}

/// What came of it: why it did not happen, where it did not.
pub(crate) fn failed(outcome: told::Outcome) -> Result<(), Failure> {
    match outcome {
        told::Outcome::Done => Ok(()),
        told::Outcome::Failed(failure) => Err(failure.into()),
    }
}
