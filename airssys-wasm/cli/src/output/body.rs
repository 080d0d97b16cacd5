//! The bytes of a message, for people and in JSON.

use airssys_wasm::shown;
use serde::Serialize;
use serde::de::IgnoredAny;

/// An answer as the field of a JSON object: `"ok":...` with what is JSON as it is, and other text as a string;
/// `"ok_hex":"..."` where it is no text.
pub(crate) fn ok_json(body: Option<&[u8]>) -> String {
    let Some(body) = body else { return r#""ok":null"#.to_owned() };
    match std::str::from_utf8(body) {
        // As it is, so that no number is rounded and no key moved. Ends of line stand only between the tokens of valid
        // JSON.
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            format!(r#""ok":{}"#, text.trim().replace(['\n', '\r'], " "))
        }
        Ok(text) => format!(r#""ok":{}"#, json_text(&text)),
        Err(_) => {
            let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            format!(r#""ok_hex":"{hex}""#)
        }
    }
}

/// Text, and structs of text, always are JSON.
pub(crate) fn json_text(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned())
}

/// One line, and nothing that a terminal obeys.
pub(crate) fn printable(text: &str) -> String {
    shown(text).into_owned()
}
