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

/// The beginning of a body, for people.
pub(crate) fn beginning(body: &[u8]) -> String {
    const MOST: usize = 80;
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= MOST => format!("{text:?}"),
        Ok(text) => format!("{:?}...", &text[..text.floor_char_boundary(MOST)]),
        Err(_) => format!("{} bytes", body.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::{Showing, is_hidden, shown};

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
