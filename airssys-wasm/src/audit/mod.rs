//! The audit: who was denied what, who changed what, and which limits were reached, as lines of JSON in files that only
//! grow. Each line has the SHA-256 of the one before it, and now and then a line signs all before it.
//!
//! It refuses to decide: nothing is allowed because it fails. Whoever notes something never waits. What is noted goes
//! through a queue with a bound to a thread of its own; what has no room there is counted, and the count is a line of
//! the chain. Where the audit is required, an *act* (what an operator or the program around the host asks for) waits
//! until its line is on the disk, together with all that wait then, and does not happen where that fails.
//!
//! Invariant: a line is written after the one before it, and nothing is written that was answered with a failure.

mod act;
mod chain;
mod queue;
mod read;
mod record;
mod status;
mod verify;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use self::act::by;
pub use self::act::{Unrecorded, acting_for};
pub use self::chain::AuditError;
use self::chain::{Chain, Signer};
use self::queue::Queue;
pub use self::read::{AuditLines, RawLine, audit_files};
pub use self::record::{AuditKind, AuditLine, NoSuchAuditKind, Record};
pub use self::status::AuditStatus;
use self::status::Shared;
pub(crate) use self::status::{News, Tell};
pub use self::verify::{AuditFault, AuditHead, Verified, VerifyAudit, verify_audit};
use self::writer::Writer;

/// How long the end waits for a disk that takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The audit of a host.
pub(crate) struct Audit {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Audit {
    /// Goes on with what is in the folder, which is made where it is not there. Without a key, the one in the folder
    /// signs, which is made at the first time.
    ///
    /// # Errors
    ///
    /// [`AuditError`], where another host has the folder, or nothing can be written there.
    pub(crate) fn open(folder: &Path, key: Option<&Path>, required: bool, tell: Tell) -> Result<Arc<Self>, AuditError> {
        let (chain, cut) = Chain::open(folder)?;
        let signer = match Signer::open(folder, key) {
            Ok(signer) => Some(signer),
            Err(error) if required => return Err(error),
            Err(error) => {
                tell(News::Unsigned, error.to_string());
                None
            }
        };
        let shared = Arc::new(Shared { required: required.into(), ..Shared::default() });
        let key = signer.as_ref().map(Signer::name);
        *shared.status() = AuditStatus { folder: folder.to_owned(), required, key, ..AuditStatus::default() };
        let queue = Arc::new(Queue::default());
        queue.note(Record::begin());
        if let Some(cut) = cut {
            tell(News::Cut, cut.clone());
            queue.note(Record { detail: Some(cut), ..Record::of(AuditKind::Cut) });
        }
        let writer = Writer::new(chain, signer, Arc::clone(&queue), Arc::clone(&shared), tell);
        let thread = std::thread::Builder::new().name("airssys-audit".to_owned());
        let at = || folder.to_owned();
        thread.spawn(move || writer.run()).map_err(|source| AuditError::Open { path: at(), source })?;
        Ok(Arc::new(Self { queue, shared }))
    }

    /// Notes what happened. Never waits.
    pub(crate) fn note(&self, record: Record) {
        self.queue.note(record);
    }

    /// Notes an act before it is done; where the audit is required, waits until that is on the disk.
    ///
    /// # Errors
    ///
    /// [`Unrecorded`], where it is required and cannot be recorded: it is not to be done.
    pub(crate) async fn act(&self, act: Record) -> Result<(), Unrecorded> {
        if !self.is_required() {
            self.queue.note(act);
            return Ok(());
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.queue.act(act, Box::new(move |done| drop(answer.send(done))))?;
        answered.await.unwrap_or_else(|_| Err(Unrecorded::ended()))
    }

    /// [`Audit::act`] for one who cannot wait but by holding its thread. That is for a sync of the disk, for an act of
    /// a person, and only where the audit is required.
    pub(crate) fn act_now(&self, act: Record) -> Result<(), Unrecorded> {
        if !self.is_required() {
            self.queue.note(act);
            return Ok(());
        }
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.queue.act(act, Box::new(move |done| drop(answer.send(done))))?;
        answered.recv().unwrap_or_else(|_| Err(Unrecorded::ended()))
    }

    /// Refuses what cannot be recorded from now on, or no longer.
    pub(crate) fn set_required(&self, required: bool) {
        self.shared.required.store(required, Ordering::Relaxed);
        let mut status = self.shared.status();
        status.required = required;
        self.shared.refusing.store(required && status.broken.is_some(), Ordering::Relaxed);
    }

    fn is_required(&self) -> bool {
        self.shared.required.load(Ordering::Relaxed)
    }

    /// Whether messages are refused, since it is required and cannot be written.
    pub(crate) fn refusing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.refusing)
    }

    /// How it is.
    pub(crate) fn status(&self) -> AuditStatus {
        self.shared.status().clone()
    }

    /// Writes what is there, and the last signed head, and ends. What comes later is refused or left out.
    pub(crate) fn end(&self) {
        self.queue.end(PATIENCE);
    }
}

impl Drop for Audit {
    /// Of a host that is dropped without an ordered stop: the next one may want the folder at once.
    fn drop(&mut self) {
        self.queue.end(PATIENCE);
    }
}

#[cfg(test)]
mod tests;
