//! Keeps the events of a host: from wherever they happen, through a bounded queue, into the file, by a thread of its own.
//!
//! Nobody waits for the disk: where the queue is full an event is lost, is counted, and the count stands in the log. Before the data folder is the
//! host's own, nothing is kept.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::SystemTime;

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::file::{FILE_BYTES, LogFile};
use super::record::Record;

/// Events on their way to the file at a time. A guest's line has at most a few KiB: some MiB together.
const QUEUE: usize = 1_024;
/// How many bytes are written at once, about.
const AT_ONCE: usize = 64 << 10;

/// What is on its way to the thread that writes.
enum Sent {
    Record(Box<Record>),
    /// Nothing comes any more.
    End,
}

#[derive(Default)]
struct Shared {
    queue: OnceLock<SyncSender<Sent>>,
    lost: AtomicU64,
}

/// Takes events, once there is a file for them.
#[derive(Clone, Default)]
pub(crate) struct Keep(Arc<Shared>);

/// The thread that writes; dropped, it writes what is there, and ends.
pub(crate) struct Keeper {
    keep: Keep,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keep {
    /// Keeps events in this data folder from now on. Where that cannot be, it is logged: a host without a log is better than none.
    pub(crate) fn begin(&self, data: &Path) -> Option<Keeper> {
        let (queue, sent) = sync_channel(QUEUE);
        let shared = Arc::clone(&self.0);
        let opened = LogFile::open(data, FILE_BYTES).and_then(|file| {
            std::thread::Builder::new().name("airssys-log".to_owned()).spawn(move || write(file, &sent, &shared))
        });
        match opened {
            Ok(thread) => {
                let _begun_once = self.0.queue.set(queue);
                Some(Keeper { keep: self.clone(), thread: Some(thread) })
            }
            Err(error) => {
                tracing::warn!(target: "airssys", data = %data.display(), %error, "no log is kept");
                None
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Waits for room where it must: what came before is written.
        let told = self.keep.0.queue.get().is_some_and(|queue| queue.send(Sent::End).is_ok());
        if let (true, Some(thread)) = (told, self.thread.take()) {
            let _it_panicked_and_said_so = thread.join();
        }
    }
}

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let Some(queue) = self.0.queue.get() else { return };
        let record = Record::of(event, now());
        if queue.try_send(Sent::Record(Box::new(record))).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Writes what comes until the end; what comes together is written together.
fn write(mut file: LogFile, sent: &Receiver<Sent>, shared: &Shared) {
    let mut ends = false;
    while !ends {
        let mut lines = Vec::new();
        let mut next = sent.recv().ok();
        ends = next.is_none();
        while let Some(one) = next {
            match one {
                Sent::Record(record) => add(&mut lines, &record),
                Sent::End => {
                    ends = true;
                    break;
                }
            }
            next = if lines.len() < AT_ONCE { sent.try_recv().ok() } else { None };
        }
        let lost = shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            add(&mut lines, &Record::of_loss(lost, now()));
        }
        if file.write(&lines).is_err() {
            // The disk is full, say: no reason to keep a mesh waiting. The next line that can be written says how much is missing.
            let missing = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            shared.lost.fetch_add(missing.max(lost), Ordering::Relaxed);
        }
    }
}

fn add(lines: &mut Vec<u8>, record: &Record) {
    if serde_json::to_writer(&mut *lines, record).is_ok() {
        lines.push(b'\n');
    }
}
