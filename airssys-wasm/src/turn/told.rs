//! What scripts have in common: a line, what becomes of a call, and where a turn was when it crashed.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::host_call::{HostCall, Reply};

/// What was asked, and what was told.
pub(crate) type Line = (HostCall, Reply);

/// What a script makes of a call.
pub(crate) enum Scripted {
    /// Nothing: the call is carried out.
    Nobody,
    /// It is told this, and nothing is carried out.
    Told(Reply),
    /// It is carried out, and this is written down with the reply. Boxed: a turn that is not compared does not carry it
    /// around.
    Writes(Box<HostCall>),
    /// It is carried out, and stands in this line already, which the reply completes.
    Completes(usize),
    /// It is told this in the place of what the call would do, waiting included.
    Instead(Reply),
    /// The turn ended before anybody was told: it waits.
    Never,
}

/// A function of a guest that ran when it crashed.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Frame;
///
/// let frame = Frame { function: Some("handle".to_owned()), index: 7, offset: Some(0x1f) };
/// assert_eq!(frame.to_string(), "handle at 0x1f");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Its name, where the binary has one.
    pub function: Option<String>,
    /// Its number in its module.
    pub index: u32,
    /// The instruction: where in the module it stands.
    pub offset: Option<u64>,
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.function {
            Some(name) => f.write_str(name)?,
            None => write!(f, "function {}", self.index)?,
        }
        self.offset.map_or(Ok(()), |offset| write!(f, " at {offset:#x}"))
    }
}

/// Where a turn was when it crashed, the innermost function first; empty where it did not, or nobody wants to know.
#[derive(Debug, Default)]
pub(super) struct Frames(pub(super) OnceLock<Vec<Frame>>);

impl Frames {
    pub(super) fn take(&mut self) -> Vec<Frame> {
        self.0.take().unwrap_or_default()
    }
}
