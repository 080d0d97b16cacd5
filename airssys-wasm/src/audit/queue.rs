//! What is to be recorded, from any number of threads to the one that writes. Nobody waits for room: what has none is
//! counted. One service that is denied over and over does not fill the disk: what it is denied beyond a measure is one
//! line with a count.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::act::Unrecorded;
use super::record::{AuditKind, Record};

/// What may wait, in records; a record has a few texts of at most a kibibyte each.
pub(super) const MOST: usize = 8_192;
/// Denials of one service within [`WINDOW`] of which each has a line of its own.
const EACH: u64 = 200;
/// How long denials beyond that are counted before the count has its line.
const WINDOW: Duration = Duration::from_secs(1);
/// Services whose denials are counted apart.
const MOST_SERVICES: usize = 4_096;

/// Who is told whether it is on the disk.
pub(super) type Answer = Box<dyn FnOnce(Result<(), Unrecorded>) + Send>;

/// What is to be recorded.
pub(super) struct Entry {
    pub(super) at: SystemTime,
    pub(super) record: Record,
    /// Of an act that waits.
    pub(super) answer: Option<Answer>,
}

/// What was taken out.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) entries: VecDeque<Entry>,
    /// How many had no room before these.
    pub(super) lost: u64,
    /// Whether nothing comes any more.
    pub(super) ended: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// Taken and not written.
    in_hand: usize,
    lost: u64,
    denials: HashMap<Box<str>, Denials>,
    ended: bool,
    done: bool,
}

/// How often a service was denied something of late.
struct Denials {
    since: Instant,
    times: u64,
    /// Of which no line tells.
    counted: u64,
}

impl Queue {
    /// Adds a record, or counts it where there is no room. Never waits.
    pub(super) fn note(&self, record: Record) {
        let mut state = self.lock();
        if state.ended || state.is_counted(&record) {
            return;
        }
        if state.is_full() {
            state.lost += 1;
            return;
        }
        state.push(record, None);
        self.changed.notify_all();
    }

    /// Adds an act, whose answer is given when it is on the disk or is not going to be.
    pub(super) fn act(&self, record: Record, answer: Answer) -> Result<(), Unrecorded> {
        let mut state = self.lock();
        if state.ended {
            return Err(Unrecorded::ended());
        }
        if state.is_full() {
            return Err(Unrecorded::of("as much as may is waiting to be written"));
        }
        state.push(record, Some(answer));
        self.changed.notify_all();
        Ok(())
    }

    /// Takes what is there; waits for it, at most so long. `in_hand` are those of before that are not written.
    pub(super) fn take(&self, wait: Duration, in_hand: usize) -> Taken {
        let mut state = self.lock();
        state.in_hand = in_hand;
        let until = Instant::now() + wait;
        while state.waiting.is_empty() && !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.tell_counted();
        let entries = std::mem::take(&mut state.waiting);
        state.in_hand += entries.len();
        Taken { entries, lost: std::mem::take(&mut state.lost), ended: state.ended }
    }

    /// How long the one who writes may wait until counts are due; none where there are none.
    pub(super) fn has_counts(&self) -> bool {
        self.lock().denials.values().any(|denials| denials.counted > 0)
    }

    /// Says that nothing comes any more, and waits until all is written, at most so long.
    pub(super) fn end(&self, patience: Duration) {
        let mut state = self.lock();
        state.ended = true;
        self.changed.notify_all();
        let until = Instant::now() + patience;
        while !state.done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Says that all is written that will be.
    pub(super) fn done(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.waiting.len() + self.in_hand >= MOST
    }

    fn push(&mut self, record: Record, answer: Option<Answer>) {
        self.waiting.push_back(Entry { at: SystemTime::now(), record, answer });
    }

    /// Whether this is one denial of a service too many to have a line of its own.
    fn is_counted(&mut self, record: &Record) -> bool {
        let Some(service) = record.service.as_deref().filter(|_| record.kind == AuditKind::Denied) else {
            return false;
        };
        let now = Instant::now();
        if let Some(denials) = self.denials.get_mut(service) {
            if now.saturating_duration_since(denials.since) >= WINDOW && denials.counted == 0 {
                (denials.since, denials.times) = (now, 0);
            }
            denials.times += 1;
            let is_one_too_many = denials.times > EACH;
            denials.counted += u64::from(is_one_too_many);
            return is_one_too_many;
        }
        if self.denials.len() >= MOST_SERVICES {
            self.denials.retain(|_, of| of.counted > 0 || now.saturating_duration_since(of.since) < WINDOW);
        }
        if self.denials.len() < MOST_SERVICES {
            self.denials.insert(service.into(), Denials { since: now, times: 1, counted: 0 });
        }
        false
    }

    /// Makes lines of what was counted for long enough, or for as long as there is.
    fn tell_counted(&mut self) {
        let now = Instant::now();
        let over = |of: &Denials| of.counted > 0 && (self.ended || now.saturating_duration_since(of.since) >= WINDOW);
        let mut told = Vec::new();
        for (service, denials) in self.denials.iter_mut().filter(|(_, of)| over(of)) {
            let detail = Some("more of them than have a line each".to_owned());
            let (service, times) = (Some(service.to_string()), Some(std::mem::take(&mut denials.counted)));
            told.push(Record { service, detail, times, ..Record::of(AuditKind::Denied) });
            (denials.since, denials.times) = (now, 0);
        }
        told.into_iter().for_each(|record| self.push(record, None));
    }
}
