//! The lines of one log on their way to stderr or to a file, and the thread that writes them.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;

use super::file::{Counted, Failed, LogFile, Rotation};
use super::format;
use super::news::{Clock, LogNews, Tell, now};
use super::record::{Line, What};
use super::settings::{Format, LogLevel, LogSettings, LogTo};
use crate::lines::{Lines, write_patiently};

/// How long lines wait for others that are written together with them.
const LINGER: Duration = Duration::from_millis(10);
/// How often it is told that lines are lost.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// What is written to a pipe at once, in bytes: what somebody else writes comes between two of these, and cuts no line.
const AT_ONCE: usize = 4096;
/// How much memory for lines is kept from one time to the next, in bytes.
const KEPT: usize = 4 << 20;

/// See the module.
pub(super) struct LogQueue {
    lines: Lines,
    /// What is in force of it.
    pub(super) settings: ArcSwap<LogSettings>,
    state: Mutex<State>,
    /// Hangs up when the thread has ended.
    ended: Mutex<Option<Receiver<()>>>,
    tell: Arc<Tell>,
}

/// What became of its lines.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) written: u64,
    pub(super) lost: u64,
    pub(super) broken: Option<String>,
    /// Of what is missing, what could not be written and is not told in the log yet.
    unwritten: u64,
    told: Option<Instant>,
}

impl LogQueue {
    /// One with a thread. Where there is none to be had, that is told, and all lines are lost.
    pub(super) fn begin(settings: &LogSettings, clock: Arc<OnceLock<Clock>>, tell: &Arc<Tell>) -> Arc<Self> {
        let of_loss = move |lost| {
            let line = Line { at: now(&clock), level: LogLevel::Warn, who: "", what: What::Lost(lost) };
            let mut bytes = Vec::with_capacity(line.bytes());
            line.write(&mut bytes);
            bytes
        };
        let queue = Arc::new(Self {
            lines: Lines::new(settings.queue, of_loss).lingering(LINGER),
            settings: ArcSwap::from_pointee(settings.clone()),
            state: Mutex::default(),
            ended: Mutex::default(),
            tell: Arc::clone(tell),
        });
        let (taker, (ends, ended)) = (Arc::clone(&queue), channel());
        let thread = std::thread::Builder::new().name("airssys-logger".to_owned());
        let run = move || {
            taker.run();
            drop(ends);
        };
        match thread.spawn(run) {
            Ok(_it_ends_with_the_queue) => *queue.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended),
            Err(error) => {
                queue.failed(&error.into());
                queue.lines.close();
            }
        }
        queue
    }

    /// Adds a line. Never waits.
    pub(super) fn push(&self, line: &Line<'_>) {
        self.lines.push_with(line.bytes(), |waiting| line.write(waiting));
    }

    /// Goes by these from now on.
    pub(super) fn set(&self, settings: &LogSettings) {
        self.lines.set_most(settings.queue);
        self.settings.store(Arc::new(settings.clone()));
    }

    /// What became of its lines so far.
    pub(super) fn state(&self) -> State {
        // In this order: what is taken in between is told a moment later, and not twice.
        let mut state = self.lock().clone();
        state.lost += self.lines.missing().saturating_sub(state.unwritten);
        state
    }

    /// Says that nothing comes any more, and waits for nobody.
    pub(super) fn close(&self) {
        self.lines.close();
    }

    /// The same, and waits until all is written, as long as something is.
    pub(super) fn end(&self, patience: Duration) {
        self.lines.end(patience);
        if let Some(ended) = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // What is put aside may still be compressed.
            let _hangs_up = ended.recv_timeout(patience);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing comes any more.
    fn run(&self) {
        let settings = self.settings.load_full();
        let mut out = match &settings.path {
            Some(path) if settings.to == LogTo::File => {
                Out::File(Box::new(LogFile::new(path.clone(), rotation(&settings))))
            }
            _ => Out::Console(Vec::new()),
        };
        let mut room = Vec::new();
        while let Some(taken) = self.lines.take_into(std::mem::take(&mut room)) {
            let settings = self.settings.load_full();
            if let Out::File(file) = &mut out {
                file.rotation = rotation(&settings);
            }
            let no_room = self.count(taken.lost);
            let written = self.write(&taken.bytes, settings.format, &mut out);
            self.lines.done(taken.bytes.len());
            self.wrote(written, no_room);
            room = taken.bytes;
            room.clear();
            room.shrink_to(KEPT);
        }
        if let Out::File(file) = &mut out
            && let Err(failed) = file.end()
        {
            self.failed(&failed);
        }
    }

    /// Writes all of these; how many lines are written.
    fn write(&self, bytes: &[u8], as_format: Format, out: &mut Out) -> u64 {
        let (mut rest, mut written, mut text) = (bytes, 0, Vec::new());
        let failed = |failed: Failed| {
            self.failed(&failed);
            failed.counted.lines
        };
        while let Some(line) = Line::read(&mut rest) {
            text.clear();
            format::write(&line, as_format, &mut text);
            let of = match line.what {
                What::Lost(missing) => Counted { lines: 0, missing },
                _ => Counted { lines: 1, missing: 0 },
            };
            written += of.lines;
            written -= out.add(&text, of, line.at).map_or_else(failed, |()| 0);
        }
        written - out.flush().map_or_else(failed, |()| 0)
    }

    /// Counts what had no room, of what is told now: what could not be written is counted already, since that failed.
    fn count(&self, lost: u64) -> u64 {
        let mut state = self.lock();
        let no_room = lost.saturating_sub(state.unwritten);
        state.unwritten = state.unwritten.saturating_sub(lost);
        state.lost += no_room;
        no_room
    }

    /// Counts what could not be written, and tells that nothing can be, once. What says so in the log comes before the
    /// next line.
    fn failed(&self, failed: &Failed) {
        let Counted { lines, missing } = failed.counted;
        let mut state = self.lock();
        state.lost += lines;
        state.unwritten += lines + missing;
        let why = failed.error.to_string();
        let is_known = state.broken.replace(why.clone()).is_some();
        drop(state);
        self.lines.lose(lines + missing);
        if !is_known {
            self.tell(LogNews::Broken, &format!("lines of the log cannot be written: {why}"));
        }
    }

    /// Counts what is written, and tells that it can be again, and what is missing.
    fn wrote(&self, written: u64, no_room: u64) {
        let mut state = self.lock();
        state.written += written;
        let mended = written > 0 && state.broken.take().is_some();
        let tell_lost = no_room > 0 && state.told.is_none_or(|told| told.elapsed() >= TELL_AFTER);
        if tell_lost {
            state.told = Some(Instant::now());
        }
        let all = state.lost;
        drop(state);
        if mended {
            self.tell(LogNews::Mended, "lines of the log can be written again");
        }
        if tell_lost {
            let told = format!("lines of the log are lost, {all} so far: more came than could be written");
            self.tell(LogNews::Lost, &told);
        }
    }

    fn tell(&self, news: LogNews, detail: &str) {
        (self.tell)(&self.settings.load().name, news, detail);
    }
}

fn rotation(settings: &LogSettings) -> Rotation {
    Rotation {
        bytes: settings.rotate_bytes,
        after: settings.rotate_after,
        keep: settings.keep,
        compress: settings.compress,
    }
}

/// Where lines are written.
enum Out {
    Console(Vec<u8>),
    File(Box<LogFile>),
}

impl Out {
    fn add(&mut self, line: &[u8], of: Counted, at: SystemTime) -> Result<(), Failed> {
        match self {
            Self::File(file) => file.add(line, of, at),
            Self::Console(waiting) => {
                if waiting.len() + line.len() > AT_ONCE {
                    pour(waiting);
                }
                waiting.extend_from_slice(line);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failed> {
        match self {
            Self::File(file) => file.flush(),
            Self::Console(waiting) => {
                pour(waiting);
                Ok(())
            }
        }
    }
}

/// That nobody reads is no reason to say anything: there is nobody to say it to.
fn pour(waiting: &mut Vec<u8>) {
    let _read_or_not = write_patiently(&mut io::stderr(), waiting);
    waiting.clear();
}
