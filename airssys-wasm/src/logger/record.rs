//! A line of a log on its way to the thread that writes it: bytes, since a row of them takes no allocation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::settings::LogLevel;

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) at: SystemTime,
    pub(super) level: LogLevel,
    /// Who said or did it: a service with its key; the host where it is empty.
    pub(super) who: &'a str,
    pub(super) what: What<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// A guest said this.
    Said(&'a str),
    /// Something was done, or was not.
    Done(Done<'a>),
    /// So many lines are missing.
    Lost(u64),
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Done<'a> {
    /// The name of the operation.
    pub(crate) operation: &'a str,
    /// To whom or with what, and with what else; empty where there is nothing.
    pub(crate) target: &'a str,
    pub(crate) also: &'a str,
    /// What it carries, or asks for.
    pub(crate) bytes: u64,
    /// The message from outside that it came of.
    pub(crate) trace: u64,
    /// Why not; empty where it was done.
    pub(crate) error: &'a str,
    /// What is shown of its body; empty for nothing.
    pub(crate) body: &'a str,
}

const LEVELS: [LogLevel; 6] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Off];
/// What stands before the texts: the time, the level, and which of [`What`] it is.
const HEAD: usize = 8 + 1 + 1;

impl<'a> Line<'a> {
    /// What is a guest's own in it.
    pub(super) fn texts(&self) -> [&'a str; 4] {
        match self.what {
            What::Said(said) => [said, "", "", ""],
            What::Done(done) => [done.target, done.also, done.error, done.body],
            What::Lost(_) => [""; 4],
        }
    }

    /// The same with other texts in their places.
    pub(super) fn with<'b>(&self, [one, also, error, body]: [&'b str; 4]) -> Line<'b>
    where
        'a: 'b,
    {
        let what = match self.what {
            What::Said(_) => What::Said(one),
            What::Done(done) => What::Done(Done { target: one, also, error, body, ..done }),
            What::Lost(lost) => What::Lost(lost),
        };
        Line { at: self.at, level: self.level, who: self.who, what }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &str| 4 + text.len();
        HEAD + text(self.who)
            + match self.what {
                What::Said(said) => text(said),
                What::Done(done) => {
                    let texts = [done.operation, done.target, done.also, done.error, done.body];
                    16 + texts.into_iter().map(text).sum::<usize>()
                }
                What::Lost(_) => 8,
            }
    }

    /// Adds it.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Until the year 2554.
        number(to, u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        to.push(self.level as u8);
        to.push(match self.what {
            What::Said(_) => 0,
            What::Done(_) => 1,
            What::Lost(_) => 2,
        });
        text(to, self.who);
        match self.what {
            What::Said(said) => text(to, said),
            What::Done(done) => {
                number(to, done.bytes);
                number(to, done.trace);
                [done.operation, done.target, done.also, done.error, done.body].iter().for_each(|one| text(to, one));
            }
            What::Lost(lost) => number(to, lost),
        }
    }

    /// Takes the next one; none at the end.
    pub(super) fn read(from: &mut &'a [u8]) -> Option<Self> {
        let at = UNIX_EPOCH + Duration::from_nanos(take_number(from)?);
        let (level, kind) = (take(from, 1)?[0], take(from, 1)?[0]);
        let (level, who) = (*LEVELS.get(usize::from(level))?, take_text(from)?);
        let what = match kind {
            0 => What::Said(take_text(from)?),
            1 => {
                let (bytes, trace) = (take_number(from)?, take_number(from)?);
                let (operation, target, also) = (take_text(from)?, take_text(from)?, take_text(from)?);
                let (error, body) = (take_text(from)?, take_text(from)?);
                What::Done(Done { operation, target, also, bytes, trace, error, body })
            }
            _ => What::Lost(take_number(from)?),
        };
        Some(Self { at, level, who, what })
    }
}

fn number(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn text(to: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(0);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&text.as_bytes()[..length as usize]);
}

fn take<'a>(from: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    from.split_off(..bytes)
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(from, 8)?.try_into().ok()?))
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(from, 4)?.try_into().ok()?);
    std::str::from_utf8(take(from, length as usize)?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Done, Line, What};
    use crate::logger::settings::LogLevel;

    #[test]
    fn lines_come_out_as_they_went_in() {
        let at = UNIX_EPOCH + Duration::from_nanos(1_777_777_777_123_456_789);
        let done = Done { operation: "send", target: "bank", bytes: 7, trace: 9, error: "denied", ..Done::default() };
        let lines = [What::Said("h\u{e9}llo\n"), What::Done(done), What::Lost(3), What::Said("")].map(|what| Line {
            at,
            level: LogLevel::Warn,
            who: "shop/alice",
            what,
        });
        let mut bytes = Vec::new();
        for line in &lines {
            let before = bytes.len();
            line.write(&mut bytes);
            assert_eq!(bytes.len() - before, line.bytes());
        }
        let mut rest = &bytes[..];
        let read: Vec<Line<'_>> = std::iter::from_fn(|| Line::read(&mut rest)).collect();
        assert_eq!(read, lines);
        assert!(rest.is_empty());
    }
}
