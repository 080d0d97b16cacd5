//! Which events are on record, and what is of each.

use super::Happening;
use crate::audit::{AuditKind, Record};

impl Happening {
    /// What the audit has of it; none where it is not for the audit.
    pub(super) fn record(&self, service: Option<&str>) -> Option<Record> {
        let of = |kind| Record { service: service.map(str::to_owned), ..Record::of(kind) };
        let some = |text: &String| Some(text.clone());
        Some(match self {
            Self::Denied { actor, operation, target, missing } => Record {
                actor: some(actor),
                operation: some(operation),
                target: some(target),
                missing: some(missing),
                ..of(AuditKind::Denied)
            },
            Self::LimitReached { limit, detail, times } => Record {
                operation: some(limit),
                detail: some(detail),
                times: Some(*times),
                ..of(AuditKind::LimitReached)
            },
            Self::Grant { state, grant, target, kept: _ } => {
                let target = Some(format!("{grant} {target}"));
                Record { operation: some(state), target, ..of(AuditKind::Grant) }
            }
            // Where it is on its way says what is told of it while it runs.
            Self::Deployment { state, release, reason, .. }
                if matches!(state.as_str(), "switching" | "live" | "rolled-back" | "suspended") =>
            {
                let (operation, target) = (some(state), some(release));
                Record { operation, target, detail: reason.clone(), ..of(AuditKind::Deployment) }
            }
            Self::Apply { state, changes, reason } => {
                let (operation, times) = (some(state), Some(*changes as u64));
                Record { operation, times, detail: reason.clone(), ..of(AuditKind::Apply) }
            }
            Self::PassedBy { state, reason, passed } => {
                let (operation, detail) = (some(state), (!reason.is_empty()).then(|| reason.clone()));
                Record { operation, detail, times: (*passed > 0).then_some(*passed), ..of(AuditKind::PassedBy) }
            }
            Self::Operator { state, kept: _ } => Record { operation: some(state), ..of(AuditKind::Operator) },
            _ => return None,
        })
    }
}
