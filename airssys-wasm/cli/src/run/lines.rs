//! The lines of an input, read by a thread of their own: a read from a terminal or a pipe may take for ever.
//!
//! A line that is too long is measured and not kept.

use std::io::{self, BufRead};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::input::{Input, InputError};

/// Lines that are read ahead.
const AHEAD: usize = 64;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What stands in it, without the end of line.
    Body(Bytes),
    /// It is longer than it may be.
    TooLong { size_bytes: u64 },
}

/// The lines that come, or why no more do.
pub(super) struct Lines(mpsc::Receiver<Result<Line, InputError>>);

impl Lines {
    /// Begins to read.
    pub(super) fn of(input: Input) -> Self {
        let (sender, lines) = mpsc::channel(AHEAD);
        let Input { mut reader, name, limit_bytes, .. } = input;
        // It ends with the input, or with the process.
        thread::spawn(move || {
            let mut line = 0;
            loop {
                line += 1;
                let read = read_line(&mut reader, limit_bytes);
                let ended = !matches!(read, Ok(Some(_)));
                let told = match read {
                    Ok(None) => return,
                    Ok(Some(line)) => Ok(line),
                    Err(source) => Err(InputError::Read { name: name.clone(), line, source }),
                };
                if sender.blocking_send(told).is_err() || ended {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// The next one; none at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Line, InputError>> {
        self.0.recv().await
    }
}

fn read_line(reader: &mut impl BufRead, limit_bytes: u64) -> io::Result<Option<Line>> {
    let mut body = Vec::new();
    let mut size_bytes = 0_u64;
    loop {
        let block = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            block => block?,
        };
        if block.is_empty() && size_bytes == 0 {
            return Ok(None);
        }
        let (part, used, ended) = match block.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&block[..end], end + 1, true),
            None => (block, block.len(), block.is_empty()),
        };
        size_bytes += part.len() as u64;
        if size_bytes <= limit_bytes {
            body.extend_from_slice(part);
        }
        reader.consume(used);
        if ended {
            let fits = size_bytes <= limit_bytes;
            return Ok(Some(if fits { Line::Body(body.into()) } else { Line::TooLong { size_bytes } }));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::io::BufReader;

    use super::{Line, read_line};

    #[test]
    fn lines_are_bytes_and_long_ones_are_only_measured() {
        let text: &[u8] = b"one\n\n\xff\xfe\r\n123456789\nlast";
        let mut reader = BufReader::with_capacity(4, text);
        let mut next = || read_line(&mut reader, 5).unwrap();
        assert_eq!(next(), Some(Line::Body("one".into())));
        assert_eq!(next(), Some(Line::Body("".into())));
        assert_eq!(next(), Some(Line::Body((&b"\xff\xfe\r"[..]).into())));
        assert_eq!(next(), Some(Line::TooLong { size_bytes: 9 }));
        assert_eq!(next(), Some(Line::Body("last".into())));
        assert_eq!(next(), None);
    }
}
