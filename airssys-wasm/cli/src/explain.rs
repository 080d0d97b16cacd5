//! How a failure is told to a person: what, where, why, and what to do next.
//!
//! Every error of a subcommand has a stable code, which scripts may rely on where they must not rely on the wording.

use std::error::Error;
use std::io::Write;

use airssys_wasm::command::hidden;
use airssys_wasm::shown;

use crate::output::Exit;
use crate::output::stderr::Stderr;

/// An error that the command prints.
pub(crate) trait Explain: Error {
    /// A stable name, such as `AB101`.
    fn code(&self) -> &'static str;

    /// What to do next.
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

/// Text of several lines as people are shown it; their ends are the caller's.
pub(crate) fn shown_lines(lines: &str) -> String {
    hidden(lines).split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

fn render(error: &dyn Explain) -> String {
    let mut text = format!("error[{}]: {}", error.code(), shown(&error.to_string()));
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        let why = shown(&told);
        // Some errors quote their cause.
        if !text.contains(&*why) {
            text.push_str(&format!("\n  because: {why}"));
        }
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n  hint: {}", shown(&hint)));
    }
    text
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
    #[error("it is damaged; hint: forged")]
    struct Quoted;

    impl Explain for Quoting {
        fn code(&self) -> &'static str {
            "AB001"
        }

        fn hint(&self) -> Option<String> {
            Some("mend it".to_owned())
        }
    }

    #[test]
    fn a_cause_that_is_quoted_is_told_once_and_nothing_in_a_text_is_a_hint() {
        let told = "error[AB001]: service a: it is damaged; hint: forged\n  hint: mend it";
        assert_eq!(render(&Quoting(Quoted)), told);
    }

    #[test]
    fn an_error_is_told_with_code_cause_and_hint() {
        let error = Unreadable(std::io::Error::other("disk on fire"));
        assert_eq!(render(&error), "error[AB000]: cannot read `a.toml`\n  because: disk on fire\n  hint: look");
    }
}
