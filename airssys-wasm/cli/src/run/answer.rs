//! Prints answers as they come, and counts them.

use std::collections::BTreeMap;
use std::io;

use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::message::Answer;
use serde::Serialize;

use super::stdout::Stdout;
use crate::output::{json_text, ok_json, printable};

/// What became of the lines.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) answered: u64,
    /// By kind: what the service itself said no to.
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// By code: what the mesh says.
    pub(super) errors: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        self.lines += 1;
        match answer {
            Ok(_) => self.answered += 1,
            Err(CallError::Fault(fault)) => *self.faults.entry(fault.code()).or_default() += 1,
            Err(error) => *self.errors.entry(error.code()).or_default() += 1,
        }
    }

    /// Lines that have no answer.
    pub(super) fn failed(&self) -> u64 {
        self.lines - self.answered
    }
}

/// Answers as text, and how many of which kind there were.
pub(super) struct Sink {
    pub(super) to: Stdout,
    json: bool,
    pub(super) tally: Tally,
}

impl Sink {
    pub(super) fn new(json: bool) -> io::Result<Self> {
        Ok(Self { to: Stdout::begin()?, json, tally: Tally::default() })
    }

    /// Takes the answer to line number `line`.
    pub(super) fn answer(&mut self, line: u64, answer: &Answer) {
        self.tally.count(answer);
        self.to.line(&if self.json { as_json(line, answer) } else { as_text(line, answer) });
    }
}

fn as_json(line: u64, answer: &Answer) -> String {
    match answer {
        Ok(body) => format!(r#"{{"line":{line},{}}}"#, ok_json(body.as_deref())),
        Err(error) => {
            let told = Told { code: error.code(), kind: kind(error), message: error.to_string() };
            format!(r#"{{"line":{line},"error":{}}}"#, json_text(&told))
        }
    }
}

#[derive(Serialize)]
struct Told {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    message: String,
}

/// What the code alone does not say.
fn kind(error: &CallError) -> Option<&'static str> {
    match error {
        CallError::Fault(fault) => Some(fault.code()),
        CallError::Crashed(crash) => Some(crash.code()),
        _ => None,
    }
}

fn as_text(line: u64, answer: &Answer) -> String {
    match answer {
        Ok(None) => format!("{line} ok"),
        Ok(Some(body)) => format!("{line} {}", printable(&String::from_utf8_lossy(body))),
        Err(error) => format!("{line} error[{}]: {}", error.code(), printable(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use airssys_wasm::error::{CallError, Crash, Fault};
    use airssys_wasm::message::Answer;
    use bytes::Bytes;

    use super::{Tally, as_json, as_text};

    fn ok(body: &'static [u8]) -> Answer {
        Ok(Some(Bytes::from_static(body)))
    }

    #[test]
    fn an_answer_is_json_where_it_is_and_text_or_bytes_else() {
        for (answer, json, text) in [
            (Ok(None), r#"{"line":7,"ok":null}"#, "7 ok"),
            (
                ok(b"{\"b\":1.10,\r\n \"a\":2}\n"),
                r#"{"line":7,"ok":{"b":1.10,   "a":2}}"#,
                r#"7 {"b":1.10,\r\n "a":2}\n"#,
            ),
            (ok(b"say \"hi\""), r#"{"line":7,"ok":"say \"hi\""}"#, "7 say \"hi\""),
            (ok(b"\x1b[2J"), r#"{"line":7,"ok":"\u001b[2J"}"#, r"7 \u{1b}[2J"),
            (ok(b"\xff\x00"), r#"{"line":7,"ok_hex":"ff00"}"#, "7 \u{fffd}\\u{0}"),
            (
                Err(CallError::Timeout),
                r#"{"line":7,"error":{"code":"timeout","message":"no answer within the deadline"}}"#,
                "7 error[timeout]: no answer within the deadline",
            ),
            (
                Err(CallError::Fault(Fault::Invalid("no".to_owned()))),
                r#"{"line":7,"error":{"code":"fault","kind":"invalid","message":"invalid: no"}}"#,
                "7 error[fault]: invalid: no",
            ),
        ] {
            assert_eq!((as_json(7, &answer).as_str(), as_text(7, &answer).as_str()), (json, text));
        }
    }

    #[test]
    fn every_line_is_counted_once() {
        let mut tally = Tally::default();
        let crash = Crash::Exit { status: 1 };
        for answer in [
            Ok(None),
            Err(CallError::Timeout),
            Err(CallError::Crashed(crash)),
            Err(CallError::Fault(Fault::Refused(String::new()))),
        ] {
            tally.count(&answer);
        }
        assert_eq!((tally.lines, tally.answered, tally.failed()), (4, 1, 3));
        assert_eq!((tally.faults["refused"], tally.errors["timeout"], tally.errors["crashed"]), (1, 1, 1));
    }
}
