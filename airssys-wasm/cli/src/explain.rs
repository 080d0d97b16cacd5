//! How a failure is told to a person: what, where, why, and what to do next.
//!
//! Every error of a subcommand has a stable code, which scripts may rely on where they must not rely on the wording.

use std::error::Error;
use std::io::Write;

use airssys_wasm::shown::{part_hint, shown, shown_lines};

use crate::output::Exit;
use crate::output::stderr::Stderr;

/// An error that the command prints.
pub(crate) trait Explain: Error {
    /// A stable name, such as `AB101`.
    fn code(&self) -> &'static str;

    /// Whether a guest may have written a part of its text. What looks like a hint in there is none of the host's then.
    fn quotes_guests(&self) -> bool {
        false
    }

    /// What to do next. Where there is none, a hint inside of the error's text is told.
    fn hint(&self) -> Option<String>;

    /// How the command ends because of it.
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

impl<'a, E: Explain + 'a> From<E> for Box<dyn Explain + 'a> {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}

/// Writes an error, its causes and its hint to stderr.
pub(crate) fn print(error: &dyn Explain) {
    note_lines(&render(error));
}

/// A line for the person, on stderr, whatever is in it. That nobody reads it is no failure.
pub(crate) fn note(line: &str) {
    note_lines(&shown(line));
}

/// [`note`] for several lines, whose ends are the caller's.
pub(crate) fn note_lines(lines: &str) {
    // In one piece: a host writes whole lines.
    let _ = Stderr.write_all(format!("{}\n", shown_lines(lines)).as_bytes());
}

/// Lines of the result, on stdout. That nobody reads it is no failure.
pub(crate) fn say(lines: &str) {
    let _ = writeln!(std::io::stdout(), "{}", shown_lines(lines));
}

fn render(error: &dyn Explain) -> String {
    let quotes_guests = error.quotes_guests();
    let told = |text: &str| {
        let (what, hint) = if quotes_guests { (text.to_owned(), None) } else { without_hint(text) };
        (shown(&what).into_owned(), hint)
    };
    let (what, mut hint) = told(&error.to_string());
    let mut text = format!("error[{}]: {what}", error.code());
    let mut cause = error.source();
    while let Some(inner) = cause {
        let (why, its_hint) = told(&inner.to_string());
        // Some errors quote their cause.
        if !text.contains(&why) {
            text.push_str(&format!("\n  because: {why}"));
        }
        hint = hint.or(its_hint);
        cause = inner.source();
    }
    if let Some(hint) = error.hint().or(hint) {
        text.push_str(&format!("\n  hint: {}", shown(&hint)));
    }
    text
}

/// The library's errors end with their hint.
fn without_hint(text: &str) -> (String, Option<String>) {
    let (what, hint) = part_hint(text);
    (what.to_owned(), hint.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a.toml`")]
    struct Unreadable(#[source] std::io::Error);

    impl Explain for Unreadable {
        fn code(&self) -> &'static str {
            "AB000"
        }

        fn hint(&self) -> Option<String> {
            Some("look".to_owned())
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("service a: {0}")]
    struct Quoting(#[source] Quoted);

    #[derive(Debug, thiserror::Error)]
    #[error("it is damaged; hint: mend it")]
    struct Quoted;

    impl Explain for Quoting {
        fn code(&self) -> &'static str {
            "AB001"
        }

        fn hint(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_cause_that_is_quoted_is_told_once_and_a_hint_inside_comes_last() {
        assert_eq!(render(&Quoting(Quoted)), "error[AB001]: service a: it is damaged\n  hint: mend it");
    }

    #[test]
    fn an_error_is_told_with_code_cause_and_hint() {
        let error = Unreadable(std::io::Error::other("disk on fire"));
        assert_eq!(render(&error), "error[AB000]: cannot read `a.toml`\n  because: disk on fire\n  hint: look");
    }
}
