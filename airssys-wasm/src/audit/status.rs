//! How the audit is: what others are told, and what the thread that writes and the rest both know.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What somebody is told who is to know how the audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing can be written.
    Broken,
    /// It can again.
    Mended,
    /// Lines are missing, and that stands in the chain.
    Lost,
    /// The end of the file was no whole line, and was cut off.
    Cut,
    /// There are no signed heads.
    Unsigned,
}

impl News {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Mended => "mended",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::Unsigned => "unsigned",
        }
    }
}

/// Tells somebody how the audit is.
pub(crate) type Tell = Box<dyn Fn(News, String) + Send + Sync>;

/// How the audit of a host is.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::AuditStatus;
///
/// let status: Option<AuditStatus> = runtime.audit();
/// assert!(status.is_none(), "a host without a data folder keeps none");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditStatus {
    /// The folder that it is kept in.
    pub folder: PathBuf,
    /// Whether what cannot be recorded is refused.
    pub required: bool,
    /// The number of the last line.
    pub number: u64,
    /// Its SHA-256: who notes both elsewhere finds out where lines are removed from the end.
    pub head: String,
    /// How many lines are missing since this host has started.
    pub lost: u64,
    /// Who signs its heads; none where nobody does.
    pub key: Option<String>,
    /// Why nothing can be written at the moment.
    pub broken: Option<String>,
}

/// What the thread and the others both know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) required: AtomicBool,
    /// Whether it is required and cannot be written: what every message asks.
    pub(super) refusing: Arc<AtomicBool>,
    pub(super) status: Mutex<AuditStatus>,
}

impl Shared {
    pub(super) fn status(&self) -> MutexGuard<'_, AuditStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether something can be written, and if not why.
    pub(super) fn set_broken(&self, broken: Option<String>) {
        let mut status = self.status();
        status.broken = broken;
        self.refusing.store(status.broken.is_some() && self.required.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
