//! Lines on their way to where it may be slow: a disk, or somebody who reads. Nobody waits for that: the lines that
//! wait have a bound in bytes, one that has no room is lost and counted, and the count stands where the lines are
//! missing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue of whole lines, from any number of threads to one.
pub(crate) struct Lines {
    most_bytes: usize,
    /// The line that says how many are missing.
    of_loss: fn(u64) -> Vec<u8>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Lines that are taken to be written.
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    /// How many lines would be missing without them; those that are missing already count.
    pub(crate) lines: u64,
}

#[derive(Default)]
struct Queue {
    /// What is not taken yet.
    waiting: Vec<u8>,
    /// The lines that it stands for.
    lines: u64,
    /// How many bytes are taken and not written.
    in_hand: usize,
    /// The lines that are lost since the last one that is waiting.
    lost: u64,
    ended: bool,
}

impl Queue {
    fn bytes(&self) -> usize {
        self.waiting.len() + self.in_hand
    }

    fn tell_loss(&mut self, of_loss: fn(u64) -> Vec<u8>) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.lines += lost;
            self.waiting.extend_from_slice(&of_loss(lost));
        }
    }
}

impl Lines {
    /// An empty one, which holds so many bytes at most, and a line of `of_loss` beside.
    pub(crate) fn new(most_bytes: usize, of_loss: fn(u64) -> Vec<u8>) -> Self {
        Self { most_bytes, of_loss, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds lines that are whole and belong together; they are lost where there is no room. Never waits.
    pub(crate) fn push(&self, lines: &[u8]) {
        let mut queue = self.lock();
        if queue.ended || queue.bytes() + lines.len() > self.most_bytes {
            queue.lost += 1;
            return;
        }
        queue.tell_loss(self.of_loss);
        queue.lines += 1;
        queue.waiting.extend_from_slice(lines);
        self.changed.notify_all();
    }

    /// That so many lines were taken and could not be written: the next line says how many are missing.
    pub(crate) fn lose(&self, lines: u64) {
        self.lock().lost += lines;
    }

    /// Takes all lines that wait, and waits for the first one; none when the end was told and all is taken.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut queue = self.lock();
        while queue.waiting.is_empty() && !queue.ended {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.tell_loss(self.of_loss);
        let taken = Taken { bytes: std::mem::take(&mut queue.waiting), lines: std::mem::take(&mut queue.lines) };
        queue.in_hand += taken.bytes.len();
        (!taken.bytes.is_empty()).then_some(taken)
    }

    /// That so many bytes of what was taken are gone, written or not.
    pub(crate) fn done(&self, bytes: usize) {
        self.lock().in_hand -= bytes;
        self.changed.notify_all();
    }

    /// Says that nothing comes any more, and waits until all is written; not longer than `patience` while nothing at
    /// all is.
    pub(crate) fn end(&self, patience: Duration) {
        let mut queue = self.lock();
        queue.ended = true;
        self.changed.notify_all();
        let (mut left, mut since) = (queue.bytes(), Instant::now());
        while queue.bytes() > 0 && since.elapsed() < patience {
            let waited = self.changed.wait_timeout(queue, patience.saturating_sub(since.elapsed()));
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.bytes() < left {
                (left, since) = (queue.bytes(), Instant::now());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::time::Duration;

    use super::Lines;

    fn lines(most_bytes: usize) -> Lines {
        Lines::new(most_bytes, |lost| format!("{lost} lost\n").into_bytes())
    }

    fn taken(lines: &Lines) -> String {
        String::from_utf8(lines.take().unwrap().bytes).unwrap()
    }

    #[test]
    fn what_has_no_room_is_counted_where_it_is_missing() {
        let lines = lines(10);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            lines.push(line.as_bytes());
        }
        // What is in hand has its room until it is done.
        assert_eq!(taken(&lines), "one\ntwo\n2 lost\n");
        lines.push(b"five\n");
        lines.done("one\ntwo\n2 lost\n".len());
        lines.push(b"six\n");
        assert_eq!(taken(&lines), "1 lost\nsix\n");
        lines.done("1 lost\nsix\n".len());
        lines.lose(3);
        lines.push(b"seven\n");
        assert_eq!(taken(&lines), "3 lost\nseven\n");
    }

    #[test]
    fn the_end_waits_for_what_is_taken_and_not_for_ever() {
        let lines = lines(100);
        lines.push(b"one\n");
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while let Some(taken) = lines.take() {
                    lines.done(taken.bytes.len());
                }
            });
            lines.end(Duration::from_secs(60));
        });
        assert_eq!(lines.lock().bytes(), 0);
        lines.push(b"nobody takes this\n");
        assert!(lines.take().is_some_and(|told| (told.bytes, told.lines) == (b"1 lost\n".to_vec(), 1)));
        lines.end(Duration::from_millis(1));
        assert!(lines.take().is_none());
    }
}
