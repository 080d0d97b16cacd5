//! stderr of a host: written by a thread of its own, so that a reader who stops reading holds up no actor and nobody
//! who asks the host something.
//!
//! Only a host writes so. The other subcommands write to stderr at once.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use airssys_wasm::command::{Lines, write_patiently};

/// What may wait for the reader, in bytes: log lines of guests and of the host, and what the host says itself.
const MOST_BYTES: usize = 1 << 20;
/// How many bytes are written at once, at most.
const AT_ONCE: usize = 16 << 10;

static BEGUN: OnceLock<Arc<Lines>> = OnceLock::new();

/// Writes by a thread of its own from now on. Where that cannot be, stderr is written at once, as before.
pub(super) fn begin() {
    let Ok(descriptor) = io::stderr().as_fd().try_clone_to_owned() else { return };
    let lines = Arc::new(Lines::new(MOST_BYTES, of_loss));
    let taker = Arc::clone(&lines);
    let thread = std::thread::Builder::new().name("airssys-stderr".to_owned());
    if thread.spawn(move || write(&File::from(descriptor), &taker)).is_ok() {
        let _begun_once = BEGUN.set(lines);
    }
}

/// Waits until all of it is written, as long as somebody reads; for `patience` where nobody does. What comes later is
/// lost.
pub(crate) fn end(patience: Duration) {
    if let Some(lines) = BEGUN.get() {
        lines.end(patience);
    }
}

/// stderr, as it is to be written to. Whole lines only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match BEGUN.get() {
            Some(queue) => queue.push(lines),
            None => io::stderr().write_all(lines)?,
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn of_loss(lost: u64) -> Vec<u8> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    format!("{now}  WARN airssys: lines are missing here: more came than was read from stderr lost={lost}\n")
        .into_bytes()
}

fn write(mut stderr: &File, lines: &Lines) {
    while let Some(taken) = lines.take() {
        for piece in taken.bytes.chunks(AT_ONCE) {
            let _it_is_not_tried_again = write_patiently(&mut stderr, piece);
            lines.done(piece.len());
        }
    }
}
