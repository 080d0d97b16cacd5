//! Text that somebody else may have chosen, as people are shown it: a guest's lines, faults and names, and what stands
//! in the files of a release.
//!
//! It stays one line, a terminal obeys none of it, and what is read is what is there: control characters, separators of
//! lines, marks that turn the order of writing around and characters of no width are shown as escapes. Everything else
//! is as it was. Data, such as JSON, is never changed by it.
//!
//! The command shows all of its lines so. The events that the library writes with `tracing` are data: those with the
//! target `airssys::guest` have a guest's line as it is in their message, and others have guests' words in their
//! fields, such as the text of a fault. A subscriber that writes them for people passes each text through [`shown()`]
//! first.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A text as people are shown it; the text itself where nothing in it is to be escaped.
///
/// # Example
///
/// ```
/// use airssys_wasm::shown;
///
/// assert_eq!(shown("paid\n\u{1b}[2Jall is well"), "paid\\n\\u{1b}[2Jall is well");
/// ```
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    // Writing to a string cannot fail.
    let _ = Showing(&mut shown).write_str(text);
    shown.into()
}

/// A writer that passes on what [`shown()`] would make of the text.
#[derive(Debug)]
pub(crate) struct Showing<W>(pub(crate) W);

impl<W: Write> Write for Showing<W> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some(at) = text.find(is_hidden) {
            self.0.write_str(&text[..at])?;
            let mut rest = text[at..].chars();
            for one in rest.by_ref().take(1) {
                write!(self.0, "{}", one.escape_default())?;
            }
            text = rest.as_str();
        }
        self.0.write_str(text)
    }
}

/// Whether a character is seen as something else than itself, or not at all.
fn is_hidden(one: char) -> bool {
    one.is_control()
        || matches!(one,
            // Soft hyphen, joiners and spaces of no width, and the fillers of scripts that show nothing.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of the order of writing.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Annotations and tags.
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// How much of a text is told, in bytes.
const MOST: usize = 80;
/// How much of a call or a value, of which each part has a name, in bytes.
const MOST_OF_VALUES: usize = 240;
/// How much of it is from before the place where it differs from another one.
const BEFORE: usize = 30;
/// How many bytes are told of what is no text.
const MOST_BYTES: usize = 16;

/// The beginning of a body, for people.
pub(crate) fn beginning(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => part(text, 0, MOST, |part| format!("{part:?}")),
        Err(_) => format!("{} bytes", body.len()),
    }
}

/// The beginning of the text of a call or a value, for people.
pub(crate) fn beginning_of_values(text: &str) -> String {
    part(text, 0, MOST_OF_VALUES, str::to_owned)
}

/// The texts of two values that differ, for people: of each the part in which they do.
pub(crate) fn values_apart(one: &str, other: &str) -> (String, String) {
    apart(one, other, MOST_OF_VALUES, str::to_owned)
}

/// Two bodies that differ, for people: of each the part in which they do.
pub(crate) fn bodies_apart(one: &[u8], other: &[u8]) -> (String, String) {
    if let (Ok(one), Ok(other)) = (std::str::from_utf8(one), std::str::from_utf8(other)) {
        return apart(one, other, MOST, |part| format!("{part:?}"));
    }
    let at = alike(one, other);
    let told = |body: &[u8]| {
        let rest = &body[at..];
        let dots = if rest.len() > MOST_BYTES { "..." } else { "" };
        let hex: String = rest.iter().take(MOST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("{} bytes, from byte {} on {hex}{dots}", body.len(), at + 1)
    };
    (told(one), told(other))
}

fn apart(one: &str, other: &str, most: usize, show: impl Fn(&str) -> String) -> (String, String) {
    // Both are short: then each is told in whole.
    let at = if one.len().max(other.len()) <= most { 0 } else { alike(one.as_bytes(), other.as_bytes()) };
    (part(one, at, most, &show), part(other, at, most, &show))
}

/// How many bytes two have in common, at their beginnings.
fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// What is told of a text where this place of it matters.
fn part(text: &str, at: usize, most: usize, show: impl Fn(&str) -> String) -> String {
    let begin = text.floor_char_boundary(at.saturating_sub(BEFORE));
    let end = text.floor_char_boundary(begin.saturating_add(most));
    let dots = |is_cut| if is_cut { "..." } else { "" };
    format!("{}{}{}", dots(begin > 0), show(&text[begin..end]), dots(end < text.len()))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::{Showing, beginning, bodies_apart, is_hidden, shown, values_apart};

    #[test]
    fn what_is_hidden_or_obeyed_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("", ""),
            ("plain \u{e9}\u{4e2d}\u{1f600} \\n \"x\"", "plain \u{e9}\u{4e2d}\u{1f600} \\n \"x\""),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u{0}\u{7}\u{1b}[31m\u{7f}", "\\u{0}\\u{7}\\u{1b}[31m\\u{7f}"),
            ("\u{85}\u{9b}2J", "\\u{85}\\u{9b}2J"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("\u{202e}cod\u{202c}\u{2066}\u{2069}\u{200f}", "\\u{202e}cod\\u{202c}\\u{2066}\\u{2069}\\u{200f}"),
            ("a\u{200b}b\u{feff}\u{200d}\u{ad}", "a\\u{200b}b\\u{feff}\\u{200d}\\u{ad}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(matches!(shown(text), Cow::Borrowed(_)), text == expected, "{expected}");
        }
    }

    #[test]
    fn of_two_that_differ_the_part_is_told_in_which_they_do() {
        assert_eq!(beginning("a".repeat(81).as_bytes()), format!("{:?}...", "a".repeat(80)));
        let pair = |(one, other): (&str, &str)| (one.to_owned(), other.to_owned());
        assert_eq!(values_apart("ok(1)", "ok(2)"), pair(("ok(1)", "ok(2)")));
        let (x, y) = ("x".repeat(300), "y".repeat(300));
        let (one, other) = values_apart(&format!("{x}1{y}"), &format!("{x}2"));
        assert_eq!(one, format!("...{}1{}...", &x[..30], &y[..209]));
        assert_eq!(other, format!("...{}2", &x[..30]));
        let (one, other) = bodies_apart(format!("{x}é").as_bytes(), format!("{x}è").as_bytes());
        assert_eq!((one, other), (format!("...\"{}é\"", &x[..29]), format!("...\"{}è\"", &x[..29])));
        assert_eq!(
            bodies_apart(&[1, 0xff, 3], &[1, 0xff]),
            pair(("3 bytes, from byte 3 on 03", "2 bytes, from byte 3 on "))
        );
    }

    proptest! {
        /// Nothing hidden is left, what was shown is shown as itself, and it makes no difference in which pieces a text
        /// comes.
        #[test]
        fn a_text_is_shown_once_and_for_all(text in any::<String>(), at in any::<prop::sample::Index>()) {
            let once = shown(&text).into_owned();
            prop_assert!(!once.contains(is_hidden));
            prop_assert_eq!(shown(&once), once.as_str());
            prop_assert!(text.contains(is_hidden) || once == text);
            let cut = text.floor_char_boundary(at.index(text.len() + 1));
            let mut pieces = Showing(String::new());
            let _ = pieces.write_str(&text[..cut]);
            let _ = pieces.write_str(&text[cut..]);
            prop_assert_eq!(pieces.0, once);
        }
    }
}
