//! Keeps what guests say, what happens in the mesh, and what the host warns of: through a bounded queue, into the file,
//! by a thread of its own.
//!
//! What happens in the mesh comes from its events. What guests say, and what the host warns of that is no event, comes
//! from `tracing`. Nobody waits for the disk: where the queue is full a line is lost, is counted, and the count stands
//! in the log. Before the data folder is the host's own, nothing is kept.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use airssys_wasm::command::Lines;
use airssys_wasm::events::{Heard, Subscription};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::file::{FILE_BYTES, LogFile};
use super::record::Record;

/// What may be on its way to the file, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// How long the end waits for a disk that takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes lines, once there is a file for them.
#[derive(Clone, Default)]
pub(crate) struct Keep(Arc<OnceLock<Arc<Lines>>>);

/// Dropped, it waits until what came is written.
pub(crate) struct Keeper(Arc<Lines>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keep {
    /// Keeps lines in this data folder from now on. Where that cannot be, it is logged: a host without a log is better
    /// than none.
    pub(crate) fn begin(&self, data: &Path) -> Option<Keeper> {
        let lines = Arc::new(Lines::new(MOST_BYTES, |lost| line(&Record::of_loss(lost, now()))));
        let taken = Arc::clone(&lines);
        let opened = LogFile::open(data, FILE_BYTES).and_then(|file| {
            std::thread::Builder::new().name("airssys-log".to_owned()).spawn(move || write(file, &taken))
        });
        match opened {
            Ok(_it_ends_with_the_queue) => {
                let _begun_once = self.0.set(Arc::clone(&lines));
                Some(Keeper(lines))
            }
            Err(error) => {
                tracing::warn!(target: "airssys", data = %data.display(), %error, "no log is kept");
                None
            }
        }
    }
}

impl Keeper {
    /// Keeps what happens in a mesh, to its end.
    pub(crate) fn follow(&self, mut events: Subscription) -> impl Future<Output = ()> + Send + 'static {
        let lines = Arc::clone(&self.0);
        async move {
            while let Some(heard) = events.next().await {
                let record = match heard {
                    Heard::Event(event) => Record::of_event(&event),
                    Heard::Lost(lost) => Record::of_loss(lost, now()),
                };
                lines.push(&line(&record));
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.end(PATIENCE);
    }
}

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if let Some(lines) = self.0.get() {
            lines.push(&line(&Record::of(event, now())));
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Writes what comes until the end; what comes together is written together.
fn write(mut file: LogFile, lines: &Lines) {
    while let Some(taken) = lines.take() {
        if file.write(&taken.bytes).is_err() {
            // The disk is full, say: no reason to keep a mesh waiting. The next line that can be written says how much
            // is missing.
            lines.lose(taken.lines);
        }
        lines.done(taken.bytes.len());
    }
}

/// A record as it stands in the file; nothing where it cannot be written, which no record is.
fn line(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(&record.without_secrets()).unwrap_or_default();
    if !line.is_empty() {
        line.push(b'\n');
    }
    line
}
