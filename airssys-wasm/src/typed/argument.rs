//! One argument of a call, read out of its block: where a wire chooses by it who is called.

use super::{FunctionType, Laid, ValueType, align_to};

impl FunctionType {
    /// The parameter of this name, where it can be a key: a text, or a whole number.
    ///
    /// # Errors
    ///
    /// What there is instead.
    pub(crate) fn key_param(&self, name: &str) -> Result<(), String> {
        match self.params().iter().find(|(own, _)| **own == *name) {
            Some((_, laid)) if laid.ty == ValueType::String || number_bytes(&laid.ty).is_some() => Ok(()),
            Some((_, laid)) => Err(format!("has {name:?} as {laid}, which is no key: a text or a whole number is")),
            None => Err(format!("has no parameter {name:?}")),
        }
    }

    /// The argument for this parameter as a text, out of a block of arguments; a number in decimal. None where it is no
    /// key, or the block none of this function.
    pub(crate) fn key_argument(&self, name: &str, block: &[u8]) -> Option<String> {
        let mut at = 0;
        for (own, Laid { ty, layout, .. }) in self.params() {
            at = align_to(at, layout.align);
            if **own == *name {
                return text(ty, block, at);
            }
            at += layout.size;
        }
        None
    }
}

/// How many bytes a whole number has, and whether it may be negative.
fn number_bytes(ty: &ValueType) -> Option<(usize, bool)> {
    Some(match ty {
        ValueType::U8 => (1, false),
        ValueType::U16 => (2, false),
        ValueType::U32 => (4, false),
        ValueType::U64 => (8, false),
        ValueType::S8 => (1, true),
        ValueType::S16 => (2, true),
        ValueType::S32 => (4, true),
        ValueType::S64 => (8, true),
        _ => return None,
    })
}

fn text(ty: &ValueType, block: &[u8], at: usize) -> Option<String> {
    if *ty == ValueType::String {
        let (from, length) = (unsigned(block, at, 4)?, unsigned(block, at.checked_add(4)?, 4)?);
        let (from, length) = (usize::try_from(from).ok()?, usize::try_from(length).ok()?);
        let bytes = block.get(from..from.checked_add(length)?)?;
        return std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    let (bytes, signed) = number_bytes(ty)?;
    let number = unsigned(block, at, bytes)?;
    if !signed {
        return Some(number.to_string());
    }
    // The sign stands in the highest bit that the number has.
    let unused = 64 - 8 * u32::try_from(bytes).ok()?;
    Some((number.cast_signed() << unused >> unused).to_string())
}

fn unsigned(block: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let own = block.get(at..at.checked_add(bytes)?)?;
    Some(own.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::super::{FunctionType, ValueType};

    fn function(params: Vec<(&str, ValueType)>) -> FunctionType {
        let params = params.into_iter().map(|(name, ty)| (name.into(), ty.into())).collect();
        FunctionType { interface: None, name: "f".into(), params: ValueType::Record(params).into(), result: None }
    }

    #[test]
    fn an_argument_is_read_where_it_lies() {
        let all = vec![
            ("a", ValueType::U8),
            ("b", ValueType::S64),
            ("c", ValueType::String),
            ("d", ValueType::S8),
            ("e", ValueType::S16),
            ("f", ValueType::F64),
        ];
        let function = function(all);
        let mut block = vec![0; 40];
        block[0] = 255;
        block[8..16].copy_from_slice(&i64::MIN.to_le_bytes());
        block[16..20].copy_from_slice(&40_u32.to_le_bytes());
        block[20..24].copy_from_slice(&5_u32.to_le_bytes());
        block[24] = 254;
        block[26..28].copy_from_slice(&(-300_i16).to_le_bytes());
        block.extend(b"alice");
        let read = |name: &str, block: &[u8]| function.key_argument(name, block);
        for (name, told) in [("a", "255"), ("b", "-9223372036854775808"), ("c", "alice"), ("d", "-2"), ("e", "-300")] {
            assert_eq!(read(name, &block).unwrap(), told);
            assert!(function.key_param(name).is_ok());
        }
        assert!(read("f", &block).is_none() && read("g", &block).is_none());
        assert!(function.key_param("f").is_err() && function.key_param("g").is_err());
        // A block that was cut has no text, and one that lies about it neither.
        assert!(read("c", &block[..42]).is_none());
        block[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read("c", &block).is_none());
    }
}
