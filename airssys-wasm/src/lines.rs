//! Lines on their way to where it may be slow: a disk, or somebody who reads. Nobody waits for that: the lines that
//! wait have a bound in bytes, one that has no room is lost and counted, and the count stands where the lines are
//! missing.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a write is left alone where a pipe takes nothing now and would not wait, since somebody made it so.
const LATER: Duration = Duration::from_millis(10);

/// A queue of whole lines, from any number of threads to one.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Lines;
///
/// let lines = Lines::new(10, |lost| format!("{lost} lost\n").into_bytes());
/// lines.push(b"one\n");
/// lines.push(b"two, and it is long\n");
/// assert_eq!(lines.take().map(|taken| taken.bytes), Some(b"one\n1 lost\n".to_vec()));
/// // They cannot be written, say.
/// lines.lose(2);
/// lines.done(b"one\n1 lost\n".len());
/// lines.push(b"more\n");
/// assert_eq!(lines.take().map(|taken| taken.lost), Some(2));
/// lines.end(std::time::Duration::ZERO);
/// ```
pub struct Lines {
    most_bytes: AtomicUsize,
    /// How long the one who takes waits for more after the first line, so that a line that comes need not wake anybody.
    linger: Duration,
    /// The line that says how many are missing.
    of_loss: Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Lines that are taken to be written.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Lines, Taken};
///
/// let lines = Lines::new(100, |_| Vec::new());
/// lines.push(b"one\n");
/// let Taken { bytes, lines: count, .. } = lines.take().ok_or("the end")?;
/// assert_eq!((bytes.len(), count), (4, 1));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Taken {
    /// The lines.
    pub bytes: Vec<u8>,
    /// How many lines would be missing without them; those that are missing already count.
    pub lines: u64,
    /// How many of those are missing already.
    pub lost: u64,
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
    /// Of the lines that are waiting, those that are lost and told.
    told: u64,
    /// Whether the one who takes sleeps until there is something.
    sleeps: bool,
    /// Whether it sleeps until there is more.
    lingers: bool,
    ended: bool,
}

impl Queue {
    fn bytes(&self) -> usize {
        self.waiting.len() + self.in_hand
    }

    fn tell_loss(&mut self, of_loss: &dyn Fn(u64) -> Vec<u8>) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.lines += lost;
            self.told += lost;
            self.waiting.extend_from_slice(&of_loss(lost));
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("most_bytes", &self.most_bytes).finish_non_exhaustive()
    }
}

impl Lines {
    /// An empty one, which holds so many bytes at most, and a line of `of_loss` beside.
    pub fn new(most_bytes: usize, of_loss: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self {
            most_bytes: most_bytes.into(),
            linger: Duration::ZERO,
            of_loss: Box::new(of_loss),
            queue: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The same, whose lines are taken when the first of them has waited for so long, or when a quarter of the room is
    /// taken: to wake somebody for each line would take longer than all else.
    pub(crate) fn lingering(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// Holds so many bytes at most from now on.
    pub(crate) fn set_most(&self, most_bytes: usize) {
        self.most_bytes.store(most_bytes, Ordering::Relaxed);
    }

    /// Adds lines that are whole and belong together; they are lost where there is no room. Never waits.
    pub fn push(&self, lines: &[u8]) {
        self.push_with(lines.len(), |waiting| waiting.extend_from_slice(lines));
    }

    /// [`Lines::push`] of what is written in place; `bytes` is what it takes at most.
    pub(crate) fn push_with(&self, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let most = self.most_bytes.load(Ordering::Relaxed);
        let mut queue = self.lock();
        if queue.ended || queue.bytes() + bytes > most {
            queue.lost += 1;
            return;
        }
        queue.tell_loss(&self.of_loss);
        queue.lines += 1;
        write(&mut queue.waiting);
        let is_much = queue.waiting.len() > most / 4;
        // Each wake-up is a call of the kernel's, which takes longer than all of this.
        if queue.sleeps || (queue.lingers && is_much) {
            (queue.sleeps, queue.lingers) = (false, false);
            self.changed.notify_all();
        }
    }

    /// That so many lines were taken and could not be written: the next line says how many are missing.
    pub fn lose(&self, lines: u64) {
        self.lock().lost += lines;
    }

    /// How many are lost and not told yet.
    pub(crate) fn missing(&self) -> u64 {
        self.lock().lost
    }

    /// Takes all lines that wait, and waits for the first one; none when the end was told and all is taken.
    pub fn take(&self) -> Option<Taken> {
        self.take_into(Vec::new())
    }

    /// [`Lines::take`], by one who has room for the next ones.
    pub(crate) fn take_into(&self, room: Vec<u8>) -> Option<Taken> {
        let mut queue = self.lock();
        while queue.waiting.is_empty() && !queue.ended {
            queue.sleeps = true;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.sleeps = false;
        let until = Instant::now() + self.linger;
        queue.lingers = !self.linger.is_zero() && queue.waiting.len() <= self.most_bytes.load(Ordering::Relaxed) / 4;
        while queue.lingers && !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.lingers = false;
        queue.tell_loss(&self.of_loss);
        let bytes = std::mem::replace(&mut queue.waiting, room);
        let (lines, lost) = (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.told));
        queue.in_hand += bytes.len();
        (!bytes.is_empty()).then_some(Taken { bytes, lines, lost })
    }

    /// That so many bytes of what was taken are gone, written or not.
    pub fn done(&self, bytes: usize) {
        self.lock().in_hand -= bytes;
        self.changed.notify_all();
    }

    /// Says that nothing comes any more, and waits for nobody.
    pub(crate) fn close(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Says that nothing comes any more, and waits until all is written; not longer than `patience` while nothing at
    /// all is.
    pub fn end(&self, patience: Duration) {
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

/// Writes all of it, also to a pipe that does not wait; false where that fails. It is not tried again: that nobody
/// reads must not end a mesh.
///
/// # Example
///
/// ```
/// let mut written = Vec::new();
/// assert!(airssys_wasm::command::write_patiently(&mut written, b"one\n"));
/// assert_eq!(written, b"one\n");
/// ```
pub fn write_patiently(to: &mut impl Write, mut piece: &[u8]) -> bool {
    while !piece.is_empty() {
        match to.write(piece) {
            Ok(0) => return false,
            Ok(written) => piece = &piece[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LATER),
            Err(_) => return false,
        }
    }
    true
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
