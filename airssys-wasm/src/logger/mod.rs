//! Logs: what guests say and, where an operator wants that, what they do, on stderr, in files, or to `tracing`.
//!
//! Nobody waits for a log. What goes to stderr or a file goes through a queue with a bound to a thread of its own; what
//! has no room there is counted, and the count is a line of the log, an event, and part of how the log is. A log that
//! cannot be written says so, and stops nothing.
//!
//! # Hot path
//!
//! What a guest does is looked at only where a log is about it: the layer of logs applies to no other operation. A line
//! takes a look at the clock, one lock, and its bytes in a buffer; it is made text of by the thread that writes.

mod emit;
mod file;
mod format;
mod news;
mod queue;
mod record;
mod settings;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

pub(crate) use self::news::{Clock, LogNews};
use self::news::{Tell, now};
use self::queue::LogQueue;
pub(crate) use self::record::Done;
use self::record::{Line, What};
use self::settings::same_place;
pub use self::settings::{LogLevel, LogTo};
pub(crate) use self::settings::{LogSettings, WrittenLog, operations_of};
use crate::operation::Operations;

/// How long the end waits for a log that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many logs of this process show what guests say on stderr.
static ON_CONSOLE: AtomicUsize = AtomicUsize::new(0);

/// The logs of a mesh.
pub(crate) struct Logger {
    plan: ArcSwap<Plan>,
    /// The most bytes of a body that one of them shows.
    bodies: AtomicU64,
    /// Another clock than the system's.
    clock: Arc<OnceLock<Clock>>,
    tell: Arc<Tell>,
}

/// The logs in force.
#[derive(Default)]
struct Plan(Vec<Log>);

struct Log {
    settings: LogSettings,
    /// None for one to `tracing`, whose lines go there at once.
    queue: Option<Arc<LogQueue>>,
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.plan.load().0.iter().map(|log| &log.settings.name)).finish()
    }
}

/// How a log of a mesh is.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::{LogStatus, LogTo};
///
/// let logs: Vec<LogStatus> = runtime.logs();
/// assert_eq!((logs.len(), logs[0].to), (1, LogTo::Tracing));
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogStatus {
    /// Its name.
    pub name: String,
    /// Where its lines go.
    pub to: LogTo,
    /// The file, where it goes to one.
    pub path: Option<PathBuf>,
    /// How much a line must matter to be logged.
    pub level: LogLevel,
    /// The same of some services.
    pub levels: std::collections::BTreeMap<String, LogLevel>,
    /// The lines that were written.
    pub written: u64,
    /// The lines that are missing: those that had no room in the queue, and those that could not be written.
    pub lost: u64,
    /// Why it cannot be written at the moment.
    pub broken: Option<String>,
}

impl Logger {
    /// One that hands all that guests say to `tracing`, and logs nothing else.
    pub(crate) fn new(tell: Box<Tell>) -> Arc<Self> {
        let (plan, bodies, clock) = (ArcSwap::default(), AtomicU64::new(0), Arc::default());
        let logger = Self { plan, bodies, clock, tell: tell.into() };
        logger.put(&[]);
        Arc::new(logger)
    }

    /// Goes by another clock than the system's; to be said before there is a line.
    pub(crate) fn set_clock(&self, clock: Clock) {
        let _there_is_none_yet = self.clock.set(clock);
    }

    /// Puts logs in force; which operations they are about. One that is written to the same place goes on.
    pub(crate) fn put(&self, logs: &[LogSettings]) -> Operations {
        let before = self.plan.load_full();
        let has_tracing = logs.iter().any(|log| log.to == LogTo::Tracing);
        let own = (!has_tracing).then(LogSettings::of_guests);
        let mut all = Vec::new();
        for settings in own.iter().chain(logs) {
            let same = before.0.iter().find(|log| same_place(&log.settings, settings));
            let queue = match same.map(|log| log.queue.clone()) {
                Some(queue) => queue,
                None if settings.to == LogTo::Tracing => None,
                None => Some(LogQueue::begin(settings, Arc::clone(&self.clock), &self.tell)),
            };
            if let Some(queue) = &queue {
                queue.set(settings);
            }
            all.push(Log { settings: settings.clone(), queue });
        }
        let about = all.iter().fold(Operations::NONE, |all, log| all | log.settings.operations);
        let bodies = all.iter().map(|log| log.settings.bodies).max().unwrap_or_default();
        self.bodies.store(bodies, Ordering::Relaxed);
        let on_console = |all: &[Log]| all.iter().filter(|log| log.is_on_console()).count();
        ON_CONSOLE.fetch_add(on_console(&all), Ordering::Relaxed);
        ON_CONSOLE.fetch_sub(on_console(&before.0), Ordering::Relaxed);
        let plan = Plan(all);
        let goes_on = |log: &&Log| !plan.0.iter().any(|next| same_place(&next.settings, &log.settings));
        before.0.iter().filter(goes_on).filter_map(|log| log.queue.as_ref()).for_each(|queue| queue.close());
        self.plan.store(Arc::new(plan));
        about
    }

    /// How many bytes of a body are wanted.
    pub(crate) fn bodies(&self) -> usize {
        usize::try_from(self.bodies.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Logs what a guest says. Never waits.
    pub(crate) fn said(&self, who: &str, level: LogLevel, said: &str) {
        let service = service_of(who);
        for log in self.plan.load().0.iter().filter(|log| log.settings.guests && log.settings.hears(service, level)) {
            match &log.queue {
                Some(queue) => queue.push(&self.line(level, who, What::Said(said))),
                None => emit::said(level, who, said),
            }
        }
    }

    /// Logs what was done, or was not. Never waits.
    pub(crate) fn done(&self, needs: Operations, who: &str, done: &Done<'_>) {
        let level = format::level_of(done.error);
        // What the host does to a service is about that one.
        let service = service_of(if who.is_empty() { done.target } else { who });
        let is_about = |log: &&Log| log.settings.operations.intersects(needs) && log.settings.hears(service, level);
        for log in self.plan.load().0.iter().filter(is_about) {
            let most = usize::try_from(log.settings.bodies).unwrap_or(usize::MAX).min(done.body.len());
            let done = Done { body: &done.body[..done.body.floor_char_boundary(most)], ..*done };
            match &log.queue {
                Some(queue) => queue.push(&self.line(level, who, What::Done(done))),
                None => emit::done(level, who, &done),
            }
        }
    }

    fn line<'a>(&self, level: LogLevel, who: &'a str, what: What<'a>) -> Line<'a> {
        Line { at: now(&self.clock), level, who, what }
    }

    /// How they are.
    pub(crate) fn status(&self) -> Vec<LogStatus> {
        let each = |log: &Log| {
            let state = log.queue.as_ref().map(|queue| queue.state()).unwrap_or_default();
            let LogSettings { name, to, path, level, levels, .. } = log.settings.clone();
            LogStatus { name, to, path, level, levels, written: state.written, lost: state.lost, broken: state.broken }
        };
        self.plan.load().0.iter().map(each).collect()
    }

    /// Writes what is there, and takes no more.
    pub(crate) fn end(&self) {
        for queue in self.plan.load().0.iter().filter_map(|log| log.queue.as_ref()) {
            queue.end(PATIENCE);
        }
    }
}

impl Log {
    fn is_on_console(&self) -> bool {
        self.settings.to == LogTo::Console && self.settings.guests
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.end();
        let on_console = self.plan.load().0.iter().filter(|log| log.is_on_console()).count();
        ON_CONSOLE.fetch_sub(on_console, Ordering::Relaxed);
    }
}

/// Whether a log of a mesh in this process shows what guests say on stderr, so that nobody else need.
///
/// # Example
///
/// ```
/// assert!(!airssys_wasm::command::guests_are_on_console());
/// ```
#[must_use]
pub fn guests_are_on_console() -> bool {
    ON_CONSOLE.load(Ordering::Relaxed) > 0
}

fn service_of(who: &str) -> &str {
    who.split_once('/').map_or(who, |(service, _)| service)
}
