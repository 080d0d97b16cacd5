//! How a line is written.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use super::record::{Done, Line, What};
use super::settings::{Format, LogLevel};
use crate::secrets::hidden;
use crate::shown::Showing;

/// Adds a line, with its end. Nothing that a guest says can look like another line, or like what the host says.
pub(super) fn write(line: &Line<'_>, format: Format, to: &mut Vec<u8>) {
    let texts = line.texts().map(hidden);
    let line = &line.with(texts.each_ref().map(|text| &**text));
    match format {
        Format::Json => json(line, to),
        Format::Compact => compact(line, to),
        Format::Pretty => pretty(line, to),
    }
    to.push(b'\n');
}

fn json(line: &Line<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"at\":\"");
    at(to, line.at);
    to.extend_from_slice(b"\",\"level\":\"");
    to.extend_from_slice(line.level.name().as_bytes());
    to.push(b'"');
    if !line.who.is_empty() {
        key(to, "service", line.who);
    }
    match line.what {
        What::Said(said) => key(to, "message", said),
        What::Done(done) => {
            key(to, "operation", done.operation);
            key(to, "target", done.target);
            if !done.also.is_empty() {
                key(to, "also", done.also);
            }
            if done.bytes > 0 {
                number(to, "bytes", done.bytes);
            }
            if done.trace > 0 {
                number(to, "trace", done.trace);
            }
            if !done.error.is_empty() {
                key(to, "error", done.error);
            }
            if !done.body.is_empty() {
                key(to, "body", done.body);
            }
        }
        What::Lost(lost) => number(to, "lost", lost),
    }
    to.push(b'}');
}

fn key(to: &mut Vec<u8>, key: &str, text: &str) {
    to.extend_from_slice(b",\"");
    to.extend_from_slice(key.as_bytes());
    to.extend_from_slice(b"\":");
    // What has nothing to be escaped, which is nearly everything, is copied as it is. Writing to a vector cannot fail.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        to.push(b'"');
        to.extend_from_slice(text.as_bytes());
        to.push(b'"');
    } else {
        let _ = serde_json::to_writer(to, text);
    }
}

fn number(to: &mut Vec<u8>, key: &str, number: u64) {
    // Writing to a vector cannot fail.
    let _ = write!(to, ",\"{key}\":{number}");
}

fn at(to: &mut Vec<u8>, at: SystemTime) {
    // Writing to a vector cannot fail.
    let _ = write!(to, "{}", humantime::format_rfc3339_micros(at));
}

/// One line for people.
fn compact(line: &Line<'_>, to: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(line, &mut text);
    text.push_str("  ");
    let _ = match line.what {
        What::Said(said) => Showing(&mut text).write_str(said),
        What::Done(done) => deed(&done, &mut text).and_then(|()| {
            details(&done).try_for_each(|(name, value)| {
                write!(text, "  {name}=")?;
                Showing(&mut text).write_str(&value)
            })
        }),
        What::Lost(lost) => missing(lost, &mut text),
    };
    to.extend_from_slice(text.as_bytes());
}

/// Several lines for people: what belongs to one is indented below it.
fn pretty(line: &Line<'_>, to: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(line, &mut text);
    let mut below = |said: &str, name: &str| {
        for (at, piece) in said.split('\n').enumerate() {
            text.push_str(if at == 0 { "\n    " } else { "\n      " });
            if at == 0 {
                text.push_str(name);
            }
            let _ = Showing(&mut text).write_str(piece);
        }
    };
    match line.what {
        What::Said(said) => below(said, ""),
        What::Done(done) => {
            let mut deed_text = String::new();
            let _ = deed(&done, &mut deed_text);
            below(&deed_text, "");
            details(&done).for_each(|(name, value)| below(&value, &format!("{name}: ")));
        }
        What::Lost(lost) => {
            let mut told = String::new();
            let _ = missing(lost, &mut told);
            below(&told, "");
        }
    }
    to.extend_from_slice(text.as_bytes());
}

fn head(line: &Line<'_>, to: &mut String) -> fmt::Result {
    let who = if line.who.is_empty() { "(host)" } else { line.who };
    write!(to, "{}  {:<5}  ", humantime::format_rfc3339_millis(line.at), line.level.name())?;
    Showing(to).write_str(who)
}

fn deed(done: &Done<'_>, to: &mut String) -> fmt::Result {
    write!(to, "{} ", done.operation)?;
    Showing(&mut *to).write_str(done.target)?;
    if !done.also.is_empty() {
        to.push_str(", ");
        Showing(&mut *to).write_str(done.also)?;
    }
    if done.error.is_empty() {
        return Ok(());
    }
    to.push_str(": ");
    Showing(to).write_str(done.error)
}

fn details(done: &Done<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let number = |number: u64| (number > 0).then(|| number.to_string());
    let body = (!done.body.is_empty()).then(|| done.body.to_owned());
    let each = [("bytes", number(done.bytes)), ("trace", number(done.trace)), ("body", body)];
    each.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

fn missing(lost: u64, to: &mut String) -> fmt::Result {
    write!(to, "{lost} lines are missing here: more came than could be written")
}

/// How much what was done matters.
pub(super) fn level_of(error: &str) -> LogLevel {
    if error.is_empty() { LogLevel::Info } else { LogLevel::Warn }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::time::{Duration, UNIX_EPOCH};

    use super::write;
    use crate::logger::record::{Done, Line, What};
    use crate::logger::settings::{Format, LogLevel};

    fn text(what: What<'_>, format: Format) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(1_777_777_777_123);
        let mut text = Vec::new();
        write(&Line { at, level: LogLevel::Info, who: "shop/alice", what }, format, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_a_guest_says_is_one_record_in_each_format() {
        let said = What::Said("hi\n2026-05-03T03:09:37.123Z  error  (host)\u{1b}[2J \"all\" is lost");
        let json: serde_json::Value = serde_json::from_str(&text(said, Format::Json)).unwrap();
        let What::Said(says) = said else { unreachable!() };
        assert_eq!((&json["message"], &json["service"]), (&says.into(), &"shop/alice".into()));
        assert_eq!(json["at"], "2026-05-03T03:09:37.123000Z");
        assert_eq!(text(said, Format::Json).lines().count(), 1);
        let compact = text(said, Format::Compact);
        assert_eq!(compact.lines().count(), 1, "{compact}");
        assert!(
            compact.starts_with("2026-05-03T03:09:37.123Z  info   shop/alice  hi\\n2026")
                && !compact.contains('\u{1b}')
        );
        let pretty = text(said, Format::Pretty);
        let lines: Vec<&str> = pretty.lines().collect();
        assert_eq!(lines[..2], ["2026-05-03T03:09:37.123Z  info   shop/alice", "    hi"]);
        assert!(lines[1..].iter().all(|line| line.starts_with("    ")) && !pretty.contains('\u{1b}'), "{pretty}");
    }

    #[test]
    fn what_was_done_is_told_with_what_there_is_of_it() {
        let done = Done { operation: "send", target: "bank", bytes: 64, ..Done::default() };
        let json: serde_json::Value = serde_json::from_str(&text(What::Done(done), Format::Json)).unwrap();
        assert_eq!((&json["operation"], &json["bytes"], json.get("error")), (&"send".into(), &64.into(), None));
        let failed = Done { error: "denied", body: "one\ntwo", ..done };
        assert!(text(What::Done(failed), Format::Compact).ends_with("  send bank: denied  bytes=64  body=one\\ntwo\n"));
        assert!(
            text(What::Done(failed), Format::Pretty)
                .ends_with("\n    send bank: denied\n    bytes: 64\n    body: one\n      two\n")
        );
        assert!(text(What::Lost(3), Format::Json).contains("\"lost\":3}"));
    }
}
