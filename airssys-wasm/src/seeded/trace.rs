//! What was done in a run, a line a step: always as a digest, and as text where somebody wants it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::hex;

/// The most lines that are kept as text. The digest is of all.
const MOST_LINES: usize = 1_000_000;
/// How many bytes go into the digest at a time: a line each would cost it more than the lines do.
const AT_A_TIME: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Trace {
    digest: Sha256,
    /// What is not in the digest yet.
    pending: String,
    steps: u64,
    /// None where nobody wants to read it.
    lines: Option<Vec<String>>,
    /// What is left out of each line.
    hidden: Vec<String>,
}

impl Trace {
    pub(super) fn hide(&mut self, text: String) {
        self.hidden.push(text);
    }

    pub(super) fn keep_text(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Writes a step down, which was taken at this time of the run.
    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        self.write(at, |line| {
            // Writing to a string cannot fail.
            let _ = line.write_fmt(what);
        });
    }

    /// [`Trace::note`], for the steps of which there are most: to format one takes longer than to put it together.
    pub(super) fn write(&mut self, at: Duration, what: impl FnOnce(&mut String)) {
        let begins = self.pending.len();
        push_number(&mut self.pending, at.as_secs());
        // Six digits, and the point in the place of the one before.
        let point = self.pending.len();
        push_number(&mut self.pending, u64::from(1_000_000 + at.subsec_micros()));
        self.pending.replace_range(point..=point, ".");
        self.pending.push(' ');
        what(&mut self.pending);
        self.pending.push('\n');
        for hidden in &self.hidden {
            if self.pending.get(begins..).is_some_and(|line| line.contains(hidden)) {
                let line = self.pending.split_off(begins).replace(hidden, "");
                self.pending.push_str(&line);
            }
        }
        self.steps += 1;
        keep(&mut self.lines, self.pending.get(begins..).unwrap_or_default());
        if self.pending.len() >= AT_A_TIME {
            self.digest.update(&self.pending);
            self.pending.clear();
        }
    }

    /// Keeps a line as text alone.
    pub(super) fn beside(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        keep(&mut self.lines, &format!("{}.{:06} ({what})", at.as_secs(), at.subsec_micros()));
    }

    pub(super) fn digest(&self) -> String {
        hex::encode(&self.digest.clone().chain_update(&self.pending).finalize())
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}

/// A number, as it is written.
pub(super) fn push_number(line: &mut String, number: u64) {
    let (mut digits, mut first, mut rest) = ([0; 20], 20, number);
    loop {
        first -= 1;
        // One digit.
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend(digits[first..].iter().copied().map(char::from));
}

fn keep(lines: &mut Option<Vec<String>>, line: &str) {
    if let Some(lines) = lines.as_mut().filter(|lines| lines.len() < MOST_LINES) {
        lines.push(line.trim_end().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sha2::{Digest, Sha256};

    use super::{Trace, hex, push_number};

    #[test]
    fn a_number_is_written_as_ever() {
        for number in [0, 7, 10, 999_999, 1_000_000, u64::MAX] {
            let mut line = String::new();
            push_number(&mut line, number);
            assert_eq!(line, number.to_string());
        }
    }

    #[test]
    fn the_digest_is_that_of_all_lines_whenever_it_is_asked_for() {
        let (mut trace, mut all) = (Trace::default(), String::new());
        trace.keep_text();
        for step in 0..500_u64 {
            trace.note(Duration::from_micros(step * 700_000), format_args!("step {step}"));
            all += &format!("{}.{:06} step {step}\n", step * 7 / 10, step * 700_000 % 1_000_000);
            if step % 50 == 0 {
                assert_eq!(trace.digest(), hex::encode(&Sha256::digest(&all)), "{step}");
            }
        }
        assert_eq!((trace.digest(), trace.steps()), (hex::encode(&Sha256::digest(&all)), 500));
        assert_eq!(trace.lines(), all.lines().collect::<Vec<_>>());
    }
}
