//! JSON that is valid, taken apart.
//!
//! `serde_json` says whether it is valid. What it makes of a number may be the neighbour of the one that was written:
//! to be exact is a feature, which all that is linked with it would have to be compiled with.

use super::value::Json;

/// What a text says that is JSON.
pub(super) fn parse(text: &str) -> serde_json::Result<Json> {
    let _valid: serde_json::Value = serde_json::from_str(text)?;
    Ok(Rest(text).value())
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn value(&mut self) -> Json {
        match self.peek() {
            Some('{') => Json::Object(self.all('}', |rest| {
                let name = rest.text();
                rest.take(1);
                (name, rest.value())
            })),
            Some('[') => Json::List(self.all(']', Self::value)),
            Some('"') => Json::Text(self.text()),
            _ => {
                let end = self.0.find(|one: char| !one.is_ascii_alphanumeric() && !"+-.".contains(one));
                word(self.take(end.unwrap_or(self.0.len())))
            }
        }
    }

    /// What stands between brackets, up to the closing one.
    fn all<T>(&mut self, end: char, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut all = Vec::new();
        self.take(1);
        while self.peek().is_some_and(|next| next != end) {
            all.push(each(self));
            if self.peek() == Some(',') {
                self.take(1);
            }
        }
        self.take(1);
        all
    }

    fn text(&mut self) -> String {
        let _quote = self.peek();
        let mut is_escaped = true;
        let end = self.0.find(|one| {
            let ends = one == '"' && !is_escaped;
            // The first one opens it.
            is_escaped = one == '\\' && !is_escaped;
            ends
        });
        let token = self.take(end.map_or(self.0.len(), |end| end + 1));
        serde_json::from_str(token).unwrap_or_default()
    }

    /// What comes after the space.
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        self.0.chars().next()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let _next = self.peek();
        let (taken, rest) = self.0.split_at_checked(bytes).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }
}

/// A number, or one of three names.
fn word(word: &str) -> Json {
    match word {
        "null" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        // As a whole number it would lose its sign.
        "-0" => Json::Double(-0.0),
        _ => match (word.parse(), word.parse()) {
            (Ok(whole), _) => Json::Unsigned(whole),
            (_, Ok(whole)) => Json::Signed(whole),
            _ => Json::Double(word.parse().unwrap_or(f64::NAN)),
        },
    }
}
