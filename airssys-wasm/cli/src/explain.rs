//! How a failure is told to a person: what, where, why, and what to do next.
//!
//! Every error of a subcommand has a stable code, which scripts may rely on where they must not rely on the wording.

use std::error::Error;
use std::io::Write;

use crate::output::Exit;

/// An error that the command prints.
pub(crate) trait Explain: Error {
    /// A stable name, such as `AB101`.
    fn code(&self) -> &'static str;

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
    note(&render(error));
}

/// A line for the person, on stderr. That nobody reads it is no failure.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A line of the result, on stdout. That nobody reads it is no failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn render(error: &dyn Explain) -> String {
    let (what, mut hint) = without_hint(&error.to_string());
    let mut text = format!("error[{}]: {what}", error.code());
    let mut cause = error.source();
    while let Some(inner) = cause {
        let (why, its_hint) = without_hint(&inner.to_string());
        // Some errors quote their cause.
        if !text.contains(&why) {
            text.push_str(&format!("\n  because: {why}"));
        }
        hint = hint.or(its_hint);
        cause = inner.source();
    }
    if let Some(hint) = error.hint().or(hint) {
        text.push_str(&format!("\n  hint: {hint}"));
    }
    text
}

/// The library's errors end with their hint.
fn without_hint(text: &str) -> (String, Option<String>) {
    let parted = text.split_once("; hint: ").or_else(|| text.split_once("\nhint: "));
    parted.map_or_else(|| (text.to_owned(), None), |(what, hint)| (what.to_owned(), Some(hint.to_owned())))
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
