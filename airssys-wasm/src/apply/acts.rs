//! What somebody asks to be done to the mesh, and the record of it: before it is done, and again where it is not.

use std::path::Path;
use std::sync::Arc;

use super::error::RuntimeError;
use super::hosted::Hosted;
use crate::audit::{Audit, AuditError, AuditKind, News, Record, Unrecorded};
use crate::events::{Events, Happening, text};
use crate::topology::{Auditing, Topology};

/// The folder of the audit within the data folder.
const FOLDER: &str = "audit";

/// Begins the audit of a mesh. None where there is no folder for it; where it is not required and cannot be kept, that
/// is told. A seeded host has none: its writer is a thread, and what is tried was not done.
pub(super) fn begin(
    topology: &Topology,
    data: Option<&Path>,
    events: &Arc<Events>,
) -> Result<Option<Arc<Audit>>, RuntimeError> {
    let settings = &topology.settings;
    let required = settings.audit == Auditing::Required;
    let Some(folder) = settings.audit_folder.clone().or_else(|| data.map(|data| data.join(FOLDER))) else {
        return if required { Err(AuditError::NoFolder.into()) } else { Ok(None) };
    };
    let told = Arc::downgrade(events);
    let tell = Box::new(move |news: News, detail: String| {
        tracing::warn!(target: "airssys::audit", state = news.word(), "{detail}");
        if let Some(events) = told.upgrade() {
            events.publish(None, Happening::Audit { state: news.word().to_owned(), detail: text(detail) });
        }
    });
    match Audit::open(&folder, settings.audit_key.as_deref(), required, tell) {
        Ok(audit) => {
            events.record_in(&audit);
            Ok(Some(audit))
        }
        Err(error) if required => Err(error.into()),
        Err(error) => {
            tracing::warn!(target: "airssys::audit", %error, "no audit is kept");
            let detail = text(format_args!("no audit is kept: {error}"));
            events.publish(None, Happening::Audit { state: News::Broken.word().to_owned(), detail });
            Ok(None)
        }
    }
}

/// An act that was asked for, as it is on record.
#[derive(Debug)]
pub(crate) struct Act {
    operation: &'static str,
    service: Option<String>,
    target: Option<String>,
}

impl Act {
    /// One that is about the whole mesh.
    pub(crate) fn new(operation: &'static str) -> Self {
        Self { operation, service: None, target: None }
    }

    /// One that is about a service, whatever that is called.
    pub(crate) fn on(operation: &'static str, service: &str) -> Self {
        Self { service: Some(text(service)), ..Self::new(operation) }
    }

    /// To whom or to what.
    pub(crate) fn to(self, target: impl std::fmt::Display) -> Self {
        Self { target: Some(text(target)), ..self }
    }

    fn record(&self) -> Record {
        Record::act(self.operation, self.service.as_deref(), self.target.clone())
    }
}

impl Hosted {
    /// Records what is asked for, then does it; where it is not done, records that as well.
    pub(crate) async fn acting<T, E: From<Unrecorded> + std::fmt::Display>(
        &self,
        act: Act,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(audit) = &self.audit else { return work.await };
        let record = act.record();
        audit.act(record.clone()).await?;
        let done = work.await;
        self.note_refusal(record, &done);
        done
    }

    /// [`Hosted::acting`] for what is done without waiting.
    pub(crate) fn acting_now<T, E: From<Unrecorded> + std::fmt::Display>(
        &self,
        act: Act,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(audit) = &self.audit else { return work() };
        let record = act.record();
        audit.act_now(record.clone())?;
        let done = work();
        self.note_refusal(record, &done);
        done
    }

    fn note_refusal<T, E: std::fmt::Display>(&self, record: Record, done: &Result<T, E>) {
        if let (Some(audit), Err(error)) = (&self.audit, done) {
            audit.note(Record { kind: AuditKind::Refused, detail: Some(text(error)), ..record });
        }
    }
}
