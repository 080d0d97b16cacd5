//! Hexadecimal digits, of which each value has one spelling: two lower-case digits a byte.

/// The digits that these bytes are spelled with.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push(&mut text, bytes);
    text
}

/// [`encode`], at the end of a text.
pub(crate) fn push(text: &mut String, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The bytes that these digits spell, where they spell exactly `N`.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(decode("00ff1a"), Some([0, 255, 26]));
        assert_eq!(encode(&[0, 255, 26]), "00ff1a");
        for bad in ["", "00ff1", "00ff1a00", "00FF1A", "00ff1g", "0 ff1a", "é0ff1"] {
            assert_eq!(decode::<3>(bad), None, "{bad}");
        }
    }
}
