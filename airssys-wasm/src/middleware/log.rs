//! Logs what is done, where a log of the topology is about it.
//!
//! It stands before all other layers of the host's own, so it is told of what those turn away as well.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::{Context, Layer, Operations, Verdict};
use crate::address::Address;
use crate::events::{Events, Happening, text};
use crate::logger::{Done, LogNews, Logger};
use crate::message::Answer;
use crate::secrets::{self, hidden_cut};

/// The attribute that has what is shown of a body until the outcome is known.
const BODY: &str = "log";

/// The layer of logs.
#[derive(Debug)]
pub(crate) struct Log(pub(super) Arc<Logger>);

impl Log {
    /// That of logs that tell there how they are.
    pub(super) fn of(events: &Arc<Events>) -> Self {
        let told = Arc::downgrade(events);
        Self(Logger::new(Box::new(move |name: &str, news: LogNews, detail: &str| {
            tracing::warn!(target: "airssys::log", log = name, state = news.word(), "{detail}");
            if let Some(events) = told.upgrade() {
                let (log, state) = (name.to_owned(), news.word().to_owned());
                events.publish(None, Happening::Log { log, state, detail: text(detail) });
            }
        })))
    }
}

impl Layer for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn priority(&self) -> i32 {
        1_100
    }

    fn applies_to(&self) -> Operations {
        Operations::NONE
    }

    fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        context.carries = body.len() as u64;
        let most = self.0.bodies();
        if most > 0 && !body.is_empty() {
            // What begins before it is cut is known as a secret where it is whole.
            let seen = most.saturating_add(secrets::MOST).min(body.len());
            let text = String::from_utf8_lossy(&body[..seen]);
            let shown = hidden_cut(&text);
            context.attributes.insert(BODY, shown[..shown.floor_char_boundary(most.min(shown.len()))].into());
        }
        Verdict::Continue
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        // Nothing is allocated for what went well.
        let mut error = String::new();
        if let Err(why) = outcome {
            // Writing to a string cannot fail.
            let _ = write!(error, "{why}");
        }
        let done = Done {
            operation: context.operation.name(),
            target: context.target,
            also: context.also.unwrap_or_default(),
            bytes: context.carries.max(context.wants_bytes),
            trace: context.trace,
            error: &error,
            body: context.attributes.get(BODY).map_or("", |body| body),
        };
        self.0.done(context.needs, context.sender.map_or("", Address::as_str), &done);
    }
}
