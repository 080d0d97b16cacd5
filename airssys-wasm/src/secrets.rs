//! Values that an operator marked as secret, and texts without them.
//!
//! What leaves the host for people or for a file passes [`hidden`]: lines of logs, events and with them the audit,
//! what is told over the control socket, what the command prints. A guest that has a secret itself can make of it what
//! is not known here: a half of it, its digest. So one that is only for certain hosts it has as a *placeholder*, in
//! whose place the host puts the secret on the way there.
//!
//! The process knows them, not a mesh: what one mesh may not tell, another one in the same process may not either. One
//! that is replaced by another one is hidden still.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::hex;
use crate::shown::shown;

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "(secret)";
/// The shortest secret, in bytes: a shorter text stands in others by chance.
pub(crate) const LEAST: usize = 8;
/// The longest one: what is cut somewhere is looked at for so much longer.
pub(crate) const MOST: usize = 16 << 10;
/// What of the beginning of a secret is hidden where a text ends with it, since it was cut there.
const LEAST_CUT: usize = 4;

/// Whether there are any: all that a text costs where there are none.
static SOME: AtomicBool = AtomicBool::new(false);
/// Each, in all the ways that it may stand in a text. The longest ones come first, as one may stand in another one.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Hides this from now on.
pub(crate) fn remember(secret: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if secret.len() < LEAST || known.iter().any(|one| one == secret) {
        return;
    }
    known.extend(ways(secret));
    known.retain(|one| one.len() >= LEAST);
    known.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    known.dedup();
    SOME.store(true, Ordering::Release);
}

/// As it is; as JSON has it, also within a text of JSON; as programs show texts to those who debug them, and this host
/// to people; in hexadecimal digits, in base64 wherever it begins, and as a part of an address of the web.
fn ways(secret: &str) -> Vec<String> {
    let bare = |text: String| text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let json = |text: &str| bare(serde_json::to_string(text).unwrap_or_default());
    let digits = hex::encode(secret.as_bytes());
    let once = json(secret);
    let mut all = vec![secret.to_owned(), json(&once), once, bare(format!("{secret:?}")), shown(secret).into_owned()];
    all.extend([digits.to_uppercase(), digits, percent(secret)]);
    for at in 0..3 {
        let plain = base64(secret.as_bytes(), at);
        all.extend([plain.replace('+', "-").replace('/', "_"), plain]);
    }
    all
}

fn percent(secret: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    secret.bytes().map(each).collect()
}

/// What of it is the same in base64 whatever stands before and behind it, where so many bytes of a group of three stand
/// before it.
fn base64(secret: &[u8], before: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |at: usize| secret.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    // The first digit that is of this alone begins at this bit of it.
    let first = (6 - before * 8 % 6) % 6;
    let starts = (first..).step_by(6).take_while(|start| start + 6 <= secret.len() * 8);
    starts.map(|start| char::from(DIGITS[(start..start + 6).fold(0, |digit, at| digit << 1 | bits(at))])).collect()
}

/// A text without any secret; the text itself where none is in it.
///
/// # Example
///
/// ```
/// assert_eq!(airssys_wasm::command::hidden("nothing to hide"), "nothing to hide");
/// ```
#[must_use]
pub fn hidden(text: &str) -> Cow<'_, str> {
    if !SOME.load(Ordering::Acquire) {
        return text.into();
    }
    let mut text = Cow::Borrowed(text);
    for secret in &*KNOWN.read().unwrap_or_else(PoisonError::into_inner) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), HIDDEN).into();
        }
    }
    text
}

/// [`hidden`] of a text that was cut somewhere: without the beginning of a secret at its end.
#[must_use]
pub(crate) fn hidden_cut(text: &str) -> Cow<'_, str> {
    let text = hidden(text);
    if !SOME.load(Ordering::Acquire) {
        return text;
    }
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let of = |secret: &String| {
        let most = text.len().min(secret.len() - 1);
        (LEAST_CUT..=most).rev().find(|length| secret.is_char_boundary(*length) && text.ends_with(&secret[..*length]))
    };
    match known.iter().filter_map(of).max() {
        Some(bytes) => format!("{}{HIDDEN}", &text[..text.len() - bytes]).into(),
        None => text,
    }
}

/// Takes each secret out of the texts of a value.
///
/// # Example
///
/// ```
/// let mut value = serde_json::json!({ "text": "nothing to hide" });
/// airssys_wasm::command::hide_in(&mut value);
/// assert_eq!(value, serde_json::json!({ "text": "nothing to hide" }));
/// ```
pub fn hide_in(value: &mut Value) {
    if !SOME.load(Ordering::Acquire) {
        return;
    }
    match value {
        Value::String(text) => {
            if let Cow::Owned(told) = hidden(text) {
                *text = told;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(hide_in),
        Value::Object(all) => {
            all.values_mut().for_each(hide_in);
            // Words are the host's own.
            let is_word = |key: &str| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
            let keys: Vec<String> = all.keys().filter(|key| !is_word(key) && hidden(key) != **key).cloned().collect();
            for key in keys {
                if let Some(value) = all.remove(&key) {
                    all.insert(hidden(&key).into_owned(), value);
                }
            }
        }
        _ => {}
    }
}

/// What a guest has in the place of a secret: the same one as long as the process lives, and another one in the next.
/// Nobody who has not seen it can guess it.
pub(crate) fn placeholder(service: &str, key: &str) -> String {
    static SALT: OnceLock<[u8; 32]> = OnceLock::new();
    let salt = SALT.get_or_init(|| {
        let mut salt = [0; 32];
        // Without chance it can be guessed, and is of no use to anybody all the same.
        let _unlikely = getrandom::fill(&mut salt);
        salt
    });
    let mut sum = Sha256::new();
    for part in [&salt[..], service.as_bytes(), &[0], key.as_bytes()] {
        sum.update(part);
    }
    let digits = hex::encode(&sum.finalize());
    format!("placeholder-{}", digits.get(..32).unwrap_or(&digits))
}

#[cfg(test)]
mod tests {
    use super::{base64, hidden, hidden_cut, hide_in, placeholder, remember};

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        let secret = "s3cr3t\"of the\nunit test";
        remember(secret);
        remember("short");
        let json = serde_json::to_string(secret).unwrap_or_default();
        let written = [
            secret.to_owned(),
            serde_json::to_string(&json).unwrap_or_default(),
            json,
            format!("{secret:?}"),
            crate::shown(secret).into_owned(),
            crate::hex::encode(secret.as_bytes()),
            "s3cr3t%22of%20the%0Aunit%20test".to_owned(),
        ];
        for text in &written {
            let told = hidden(text);
            assert!(told.contains("(secret)") && !told.contains("unit"), "{text}: {told}");
        }
        assert_eq!(hidden("a short text"), "a short text");
        assert_eq!(hidden_cut("it is s3cr3t\"of t"), "it is (secret)");
        assert_eq!(hidden_cut("it is s3"), "it is s3");
        let mut value = serde_json::json!({ "a": [{ secret: secret }], "b": 1 });
        hide_in(&mut value);
        assert_eq!(value, serde_json::json!({ "a": [{ "(secret)": "(secret)" }], "b": 1 }));
    }

    #[test]
    fn what_base64_makes_of_it_is_known_wherever_it_begins() {
        // Of `xsecret-of-basey`, `xxsecret-of-basey` and `secret-of-basey` in base64.
        let whole = ["c2VjcmV0LW9mLWJhc2V5", "eHNlY3JldC1vZi1iYXNleQ==", "eHhzZWNyZXQtb2YtYmFzZXk="];
        for (before, whole) in whole.iter().enumerate() {
            let part = base64(b"secret-of-base", before);
            assert!(part.len() >= 17 && whole.contains(&part), "{before}: {part} in {whole}");
        }
    }

    #[test]
    fn a_placeholder_is_that_of_one_key_of_one_service() {
        let own = placeholder("till", "token");
        assert_eq!(own, placeholder("till", "token"));
        assert!(own != placeholder("till", "other") && own != placeholder("cart", "token"));
    }
}
