//! The bytes of a block: where they are put and read, whatever they mean.

use bytes::Bytes;

use super::{Laid, Misfit, align_to, discriminant_bytes, made, scratch, scratch_for};

/// A block that is being made. What is not written is zero: no option, no flag, the first case.
pub(crate) struct Space(Vec<u8>);

impl Space {
    /// With room for one of these at its begin.
    #[inline]
    pub(crate) fn of(laid: &Laid) -> Self {
        Self::with_room(laid.layout.size)
    }

    /// With room for so many bytes at its begin.
    #[inline]
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(scratch(bytes))
    }

    /// With room for so many bytes at its begin, where `whole` bytes are to be in it at last.
    pub(crate) fn for_all_of(whole: usize, bytes: usize) -> Self {
        Self(scratch_for(whole, bytes))
    }

    #[inline]
    pub(crate) fn into_bytes(self) -> Bytes {
        made(self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Room at its end for so many of a type; where that begins.
    #[inline]
    pub(crate) fn room(&mut self, many: usize, size: usize, align: usize) -> Result<usize, Misfit> {
        let at = align_to(self.0.len(), align);
        let end =
            many.checked_mul(size).and_then(|bytes| at.checked_add(bytes)).filter(|end| u32::try_from(*end).is_ok());
        self.0.resize(end.ok_or_else(too_large)?, 0);
        Ok(at)
    }

    /// Puts bytes at its end; where they begin.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<usize, Misfit> {
        let at = self.0.len();
        if at.checked_add(bytes.len()).is_none_or(|end| u32::try_from(end).is_err()) {
            return Err(too_large());
        }
        self.0.extend_from_slice(bytes);
        Ok(at)
    }

    pub(crate) fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Result<(), Misfit> {
        let place = self.0.get_mut(at..).and_then(|from| from.first_chunk_mut());
        *place.ok_or_else(too_large)? = bytes;
        Ok(())
    }

    #[inline]
    pub(crate) fn put_all(&mut self, at: usize, bytes: &[u8]) -> Result<(), Misfit> {
        let place = self.0.get_mut(at..).and_then(|from| from.get_mut(..bytes.len()));
        place.ok_or_else(too_large)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Says which case it is.
    #[inline]
    pub(crate) fn put_case(&mut self, at: usize, case: usize, cases: usize) -> Result<(), Misfit> {
        let [one, two, three, four] = u32::try_from(case).map_err(|_| too_large())?.to_le_bytes();
        match discriminant_bytes(cases) {
            1 => self.put(at, [one]),
            2 => self.put(at, [one, two]),
            _ => self.put(at, [one, two, three, four]),
        }
    }

    /// Says where something lies, and how many there are.
    #[inline]
    pub(crate) fn put_place(&mut self, at: usize, place: usize, many: usize) -> Result<(), Misfit> {
        self.put(at, u32::try_from(place).map_err(|_| too_large())?.to_le_bytes())?;
        self.put(at + 4, u32::try_from(many).map_err(|_| too_large())?.to_le_bytes())
    }

    /// Says where the rest of a handle lies.
    pub(crate) fn put_handle(&mut self, at: usize, place: usize) -> Result<(), Misfit> {
        self.put(at, u32::try_from(place).map_err(|_| too_large())?.to_le_bytes())
    }

    pub(crate) fn set_bit(&mut self, at: usize, bit: usize) {
        if let Some(byte) = self.0.get_mut(at + bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
}

fn too_large() -> Misfit {
    Misfit::new("it is more than 4 GiB")
}

pub(crate) fn malformed() -> Misfit {
    Misfit::new("these are not the bytes of a value of this type")
}

pub(crate) fn bytes<const N: usize>(block: &[u8], at: usize) -> Result<[u8; N], Misfit> {
    block.get(at..).and_then(|from| from.first_chunk().copied()).ok_or_else(malformed)
}

#[inline]
fn number(block: &[u8], at: usize) -> Result<usize, Misfit> {
    usize::try_from(u32::from_le_bytes(bytes(block, at)?)).map_err(|_| malformed())
}

/// Which case it is.
#[inline]
pub(crate) fn case(block: &[u8], at: usize, cases: usize) -> Result<usize, Misfit> {
    let case = match discriminant_bytes(cases) {
        1 => u8::from_le_bytes(bytes(block, at)?).into(),
        2 => u16::from_le_bytes(bytes(block, at)?).into(),
        _ => number(block, at)?,
    };
    if case < cases { Ok(case) } else { Err(malformed()) }
}

/// Where a list lies whose elements have this size, and how many there are: all of it is there.
#[inline]
pub(crate) fn place(block: &[u8], at: usize, size: usize) -> Result<(usize, usize), Misfit> {
    let (place, many) = (number(block, at)?, number(block, at + 4)?);
    let end = many.checked_mul(size).and_then(|bytes| place.checked_add(bytes));
    end.and_then(|end| block.get(place..end)).ok_or_else(malformed)?;
    Ok((place, many))
}

/// The bytes that lie elsewhere.
#[inline]
pub(crate) fn elsewhere(block: &[u8], at: usize) -> Result<&[u8], Misfit> {
    let (place, many) = place(block, at, 1)?;
    block.get(place..place + many).ok_or_else(malformed)
}

#[inline]
pub(crate) fn text(block: &[u8], at: usize) -> Result<&str, Misfit> {
    std::str::from_utf8(elsewhere(block, at)?).map_err(|_| malformed())
}

#[inline]
pub(crate) fn character(block: &[u8], at: usize) -> Result<char, Misfit> {
    char::from_u32(u32::from_le_bytes(bytes(block, at)?)).ok_or_else(malformed)
}

pub(crate) fn bit(block: &[u8], at: usize, bit: usize) -> bool {
    block.get(at + bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}
