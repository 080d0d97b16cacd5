//! What was done in a run, a line a step: always as a digest, and as text where somebody wants it.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::hex;

/// The most lines that are kept as text. The digest is of all.
const MOST_LINES: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Trace {
    digest: Sha256,
    steps: u64,
    /// None where nobody wants to read it.
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn keep_text(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Writes a step down, which was taken at this time of the run.
    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{}.{:06} {what}\n", at.as_secs(), at.subsec_micros());
        self.digest.update(&line);
        self.steps += 1;
        if let Some(lines) = self.lines.as_mut().filter(|lines| lines.len() < MOST_LINES) {
            lines.push(line.trim_end().to_owned());
        }
    }

    pub(super) fn digest(&self) -> String {
        hex::encode(&self.digest.clone().finalize())
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}
