//! A layer in its place: what was asked of it once, and how its hooks are called.
//!
//! A layer of the host's own is called as it is. Another one is called where its panic is caught: that takes no
//! instruction where it does not panic, since the way out is in tables beside the code; it keeps a call that is virtual
//! anyway from being merged with what is around it, and that is all it costs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Context, ErrorVerdict, Layer, Operations, Verdict};
use crate::error::{CallError, SendError};
use crate::message::Answer;

/// How often a layer may ask for a retry of one message.
const MAX_RETRIES: u32 = 3;

/// See the module.
pub(crate) struct Placed {
    layer: Arc<dyn Layer>,
    pub(super) is_foreign: bool,
    /// How often it may have one thing tried again.
    pub(super) most_retries: u32,
    pub(super) name: &'static str,
    pub(super) priority: i32,
    /// What it applies to, as a number: that of quotas changes while a mesh runs.
    applies_to: AtomicU64,
}

impl Placed {
    pub(super) fn built_in(layer: Arc<dyn Layer>) -> Self {
        Self {
            name: layer.name(),
            priority: layer.priority(),
            applies_to: AtomicU64::new(layer.applies_to().bits()),
            // A policy says itself how often.
            most_retries: if layer.name() == "retry" { u32::MAX } else { MAX_RETRIES },
            layer,
            is_foreign: false,
        }
    }

    pub(super) fn foreign(layer: Arc<dyn Layer>) -> Self {
        Self { is_foreign: true, most_retries: MAX_RETRIES, ..Self::built_in(layer) }
    }

    /// Whether it is this one.
    pub(super) fn is<L: Layer>(&self, layer: &Arc<L>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.layer), Arc::as_ptr(layer))
    }

    #[inline]
    pub(super) fn applies_to(&self) -> Operations {
        Operations::of_bits(self.applies_to.load(Ordering::Relaxed))
    }

    pub(super) fn apply_to(&self, operations: Operations) {
        self.applies_to.store(operations.bits(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        if !self.is_foreign {
            return self.layer.before(context, body);
        }
        // What it has half done is seen by nobody: it goes no further.
        let asked = catch_unwind(AssertUnwindSafe(|| self.layer.before(context, body)));
        asked.unwrap_or_else(|_| {
            self.panicked("over its verdict: what it was asked about is rejected");
            Verdict::Reject(rejected(Some(self.name), PANICKED.to_owned()).into())
        })
    }

    #[inline]
    pub(super) fn on_error(&self, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
        if !self.is_foreign {
            return self.layer.on_error(context, error);
        }
        catch_unwind(AssertUnwindSafe(|| self.layer.on_error(context, error))).unwrap_or_else(|_| {
            self.panicked("over an error: the error stays as it is");
            ErrorVerdict::Continue
        })
    }

    #[inline]
    pub(super) fn after(&self, context: &Context<'_>, outcome: &Answer) {
        if !self.is_foreign {
            return self.layer.after(context, outcome);
        }
        if catch_unwind(AssertUnwindSafe(|| self.layer.after(context, outcome))).is_err() {
            self.panicked("over an outcome: the outcome stays as it is");
        }
    }

    #[cold]
    fn panicked(&self, over: &str) {
        tracing::error!(target: "airssys", layer = self.name, "a layer panicked {over}");
    }
}

/// Why what a layer panicked over does not go on.
pub(super) const PANICKED: &str = "it panicked over its verdict";

/// The rejection of a layer.
pub(super) fn rejected(by: Option<&'static str>, reason: String) -> SendError {
    SendError::Rejected { layer: by.unwrap_or("the dispatch stack").into(), reason }
}
