//! Handles of resources: which instance made one, and which of its handles it is.
//!
//! A handle takes four bytes where it lies in a block, as the canonical ABI has it. They say where the rest of it lies
//! in the block, which is what it is to everybody but the two instances at the ends. Of these, the one that made it
//! keeps a table of its own, and only what that table has is a handle: both numbers are drawn at random, so that none
//! can be guessed, and none is that of another instance.

use std::fmt;

use super::space::{case, place};
use super::{FunctionType, Laid, Misfit, ValueType, align_to};

/// A handle of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handle {
    /// The instance that made it.
    pub(crate) incarnation: u64,
    /// Which one of that instance's.
    pub(crate) number: u64,
}

/// What one takes in a block, beside the four bytes that say where.
pub(crate) const HANDLE_BYTES: usize = 16;

/// A handle as it is written: 32 hexadecimal digits.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.incarnation, self.number)
    }
}

impl Handle {
    /// A handle that is written; each has one spelling.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 2 * HANDLE_BYTES || !text.bytes().all(is_digit) {
            return None;
        }
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        let (incarnation, handle) = text.split_at_checked(HANDLE_BYTES)?;
        Some(Self { incarnation: number(incarnation)?, number: number(handle)? })
    }

    pub(crate) fn bytes(self) -> [u8; HANDLE_BYTES] {
        (u128::from(self.incarnation) << 64 | u128::from(self.number)).to_le_bytes()
    }

    /// The handle whose four bytes lie there.
    pub(crate) fn read(block: &[u8], at: usize) -> Option<Self> {
        let from = u32::from_le_bytes(*block.get(at..)?.first_chunk()?);
        let bytes = block.get(usize::try_from(from).ok()?..)?.first_chunk()?;
        let both = u128::from_le_bytes(*bytes);
        Some(Self { incarnation: (both >> 64) as u64, number: both as u64 })
    }

    /// Puts it at the end of a block, and says so in the four bytes.
    pub(crate) fn append(self, block: &mut Vec<u8>, at: usize) -> Option<()> {
        let from = u32::try_from(block.len()).ok()?;
        block.extend(self.bytes());
        put(block, at, from)
    }
}

/// Writes the four bytes of a handle.
pub(crate) fn put(block: &mut [u8], at: usize, number: u32) -> Option<()> {
    *block.get_mut(at..)?.first_chunk_mut()? = number.to_le_bytes();
    Some(())
}

/// A handle that a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held<'a> {
    /// Where its four bytes lie.
    pub(crate) at: usize,
    /// The resource, with its interface.
    pub(crate) resource: &'a str,
    /// Whether it is given away, and not lent.
    pub(crate) is_own: bool,
}

impl FunctionType {
    /// Whether it takes handles.
    pub(crate) fn takes_handles(&self) -> bool {
        self.params.has_handles
    }

    /// Whether it drops a handle, and nothing else.
    pub(crate) fn drops_handle(&self) -> bool {
        self.name.starts_with("[resource-drop]")
    }

    /// Whether it takes handles, or gives some.
    pub(crate) fn mentions_handles(&self) -> bool {
        self.takes_handles() || self.result.as_ref().is_some_and(|result| result.has_handles)
    }
}

impl Laid {
    /// The handles of a block of this type.
    ///
    /// # Errors
    ///
    /// It is none of this type.
    pub(crate) fn handles_in(&self, block: &[u8]) -> Result<Vec<Held<'_>>, Misfit> {
        let mut found = Vec::new();
        self.gather(block, 0, &mut found)?;
        Ok(found)
    }

    fn gather<'a>(&'a self, block: &[u8], at: usize, found: &mut Vec<Held<'a>>) -> Result<(), Misfit> {
        if !self.has_handles {
            return Ok(());
        }
        let begins = at + self.ty.carried_at();
        let mut carried = |of: Option<&'a Self>| of.map_or(Ok(()), |of| of.gather(block, begins, found));
        match &self.ty {
            ValueType::Own(resource) => found.push(Held { at, resource, is_own: true }),
            ValueType::Borrow(resource) => found.push(Held { at, resource, is_own: false }),
            ValueType::List(of) => {
                let (from, many) = place(block, at, of.layout.size)?;
                for index in 0..many {
                    of.gather(block, from + index * of.layout.size, found)?;
                }
            }
            ValueType::Record(fields) => in_order(fields.iter().map(|(_, laid)| laid), block, at, found)?,
            ValueType::Tuple(types) => in_order(types.iter(), block, at, found)?,
            ValueType::Variant(cases) => {
                carried(cases.get(case(block, at, cases.len())?).and_then(|(_, of)| of.as_ref()))?;
            }
            ValueType::Option(of) => carried((case(block, at, 2)? == 1).then_some(of))?,
            ValueType::Result(ok, error) => {
                carried(if case(block, at, 2)? == 0 { ok.as_deref() } else { error.as_deref() })?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn in_order<'a>(
    all: impl Iterator<Item = &'a Laid>,
    block: &[u8],
    mut at: usize,
    found: &mut Vec<Held<'a>>,
) -> Result<(), Misfit> {
    for laid in all {
        at = align_to(at, laid.layout.align);
        laid.gather(block, at, found)?;
        at += laid.layout.size;
    }
    Ok(())
}

impl ValueType {
    /// Whether a value of it may hold handles.
    pub(super) fn has_handles(&self) -> bool {
        let has = |laid: &Laid| laid.has_handles;
        match self {
            Self::Own(_) | Self::Borrow(_) => true,
            Self::List(of) | Self::Option(of) => has(of),
            Self::Record(fields) => fields.iter().any(|(_, laid)| has(laid)),
            Self::Tuple(types) => types.iter().any(has),
            Self::Variant(cases) => cases.iter().any(|(_, of)| of.as_ref().is_some_and(has)),
            Self::Result(ok, error) => ok.iter().chain(error).any(|of| has(of)),
            _ => false,
        }
    }
}

/// The name of a resource without its interface.
pub(crate) fn bare_resource(resource: &str) -> &str {
    resource.rsplit_once('#').map_or(resource, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::super::{Laid, ValueType};
    use super::{Handle, Held};

    #[test]
    fn a_handle_has_one_spelling() {
        let handle = Handle { incarnation: 0xab, number: u64::MAX };
        let text = handle.to_string();
        assert_eq!(text, "00000000000000abffffffffffffffff");
        assert_eq!(Handle::of_text(&text), Some(handle));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("+{}", &text[1..]), &format!("{text}0")] {
            assert_eq!(Handle::of_text(other), None, "{other}");
        }
    }

    #[test]
    fn handles_are_found_wherever_they_lie() {
        let own = || ValueType::Own("a:b/c#d".into()).into();
        let borrow: Laid = ValueType::Borrow("a:b/c#e".into()).into();
        let list = ValueType::List(Box::new(ValueType::Option(Box::new(borrow)).into()));
        let fields = vec![("x".into(), ValueType::U8.into()), ("y".into(), own()), ("z".into(), list.into())];
        let laid: Laid = ValueType::Record(fields).into();
        // A byte, a handle, and two options at 16, of which the second is there.
        let mut block = vec![0; 32];
        block[8] = 16;
        block[12] = 2;
        block[24] = 1;
        let handles = laid.handles_in(&block).unwrap();
        assert_eq!(
            handles,
            [Held { at: 4, resource: "a:b/c#d", is_own: true }, Held { at: 28, resource: "a:b/c#e", is_own: false }]
        );
        assert!(laid.handles_in(&block[..31]).is_err());
        let handle = Handle { incarnation: 3, number: 4 };
        handle.append(&mut block, 28).unwrap();
        assert_eq!(Handle::read(&block, 28), Some(handle));
        assert_eq!(Handle::read(&block[..47], 28), None);
    }
}
