//! Text within markup: a report in HTML, and what JUnit writes in XML.

/// Text as it stands in either, within an attribute too. What neither may have, and what a terminal would obey, is seen
/// as U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(one),
            one if one.is_control() || matches!(one, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            one => escaped.push(one),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_markup_may_not_have_is_not_in_it() {
        assert_eq!(
            super::escaped("a<b> & \"c\" 'd'\u{0}\t\n"),
            "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\u{fffd}\t\n"
        );
    }
}
