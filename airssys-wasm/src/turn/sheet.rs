//! What a recorder writes a turn down on: bytes, one value after the other, and what is shared as what it is.
//!
//! Written in memory, read in the same process, and not a format of files: who reads knows what was written. Values
//! carry neither names nor types, so that to write one down is to copy it.
//!
//! # Hot path
//!
//! To write allocates where the sheet has to grow, and it keeps its room from turn to turn.

use std::collections::vec_deque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::Address;
use crate::typed::FunctionType;

/// From this length on bytes are shared and not copied: to copy fewer costs less than to count who shares them.
const SHARED_FROM_BYTES: usize = 1 << 10;
/// The room that a sheet keeps for the next turn, in bytes.
const KEEPS_BYTES: usize = 16 << 10;
/// What stands before a number that does not fit into one byte.
const LONG: u8 = u8::MAX;

/// What is shared with others, and is not copied.
#[derive(Debug, Clone)]
pub(super) enum Aside {
    Bytes(Bytes),
    Function(Arc<FunctionType>),
}

/// What values are written down on.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) bytes: Vec<u8>,
    pub(super) aside: Vec<Aside>,
}

/// What is read back.
pub(super) struct Leaf<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) aside: vec_deque::Iter<'a, Aside>,
}

/// What can be written down and read back.
pub(super) trait Packed: Sized {
    fn pack(&self, to: &mut Sheet);

    /// None where something else was written there.
    fn unpack(from: &mut Leaf<'_>) -> Option<Self>;

    /// Several of them, without how many.
    fn pack_each(all: &[Self], to: &mut Sheet) {
        all.iter().for_each(|one| one.pack(to));
    }

    fn unpack_each(count: usize, from: &mut Leaf<'_>) -> Option<Vec<Self>> {
        (0..count).map(|_| Self::unpack(from)).collect()
    }
}

impl Sheet {
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A number: small ones take one byte.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(small) if small != LONG => self.bytes.push(small),
            _ => {
                self.bytes.push(LONG);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        self.copied(text.as_bytes());
    }

    #[inline]
    fn copied(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// A text that may be none.
    #[inline]
    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        self.byte(text.is_some().into());
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Bytes that may be none.
    #[inline]
    pub(super) fn optional_bytes(&mut self, bytes: Option<&Bytes>) {
        self.byte(bytes.is_some().into());
        if let Some(bytes) = bytes {
            bytes.pack(self);
        }
    }

    /// What is seldom written down and has many forms, such as an error: as JSON.
    #[cold]
    pub(super) fn json(&mut self, of: &impl Serialize) {
        // What is told in capsules can be written as that; otherwise nothing stands there, which is read as nothing.
        self.copied(&serde_json::to_vec(of).unwrap_or_default());
    }

    /// Takes everything off it. It keeps its room, but where one turn wrote far more than others do.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > KEEPS_BYTES {
            self.bytes.shrink_to(KEEPS_BYTES);
        }
        if !self.aside.is_empty() {
            self.aside.clear();
            self.aside.shrink_to(KEEPS_BYTES / size_of::<Aside>());
        }
    }
}

impl<'a> Leaf<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            LONG => Some(u64::from_le_bytes(self.take(size_of::<u64>())?.try_into().ok()?)),
            small => Some(small.into()),
        }
    }

    fn copied(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.take(count)
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_slice(self.copied()?).ok()
    }
}

impl Packed for () {
    #[inline]
    fn pack(&self, _to: &mut Sheet) {}

    fn unpack(_from: &mut Leaf<'_>) -> Option<Self> {
        Some(())
    }
}

impl Packed for bool {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.byte((*self).into());
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(from.byte()? != 0)
    }
}

impl Packed for u8 {
    fn pack(&self, to: &mut Sheet) {
        to.byte(*self);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        from.byte()
    }

    fn pack_each(all: &[Self], to: &mut Sheet) {
        to.bytes.extend_from_slice(all);
    }

    fn unpack_each(count: usize, from: &mut Leaf<'_>) -> Option<Vec<Self>> {
        from.take(count).map(<[u8]>::to_vec)
    }
}

impl Packed for u32 {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.number((*self).into());
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        from.number()?.try_into().ok()
    }
}

impl Packed for u64 {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.number(*self);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        from.number()
    }
}

impl Packed for Duration {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.number(self.as_secs());
        to.number(self.subsec_nanos().into());
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(Self::new(from.number()?, from.number()?.try_into().ok()?))
    }
}

impl Packed for String {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.text(self);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        String::from_utf8(from.copied()?.to_vec()).ok()
    }
}

impl Packed for Box<str> {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.text(self);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        String::unpack(from).map(Into::into)
    }
}

impl Packed for Address {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.text(self.as_str());
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        String::unpack(from)?.parse().ok()
    }
}

impl Packed for Bytes {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        let is_shared = self.len() >= SHARED_FROM_BYTES;
        to.byte(is_shared.into());
        if is_shared {
            to.aside.push(Aside::Bytes(self.clone()));
        } else {
            to.copied(self);
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        if !bool::unpack(from)? {
            return from.copied().map(Self::copy_from_slice);
        }
        match from.aside.next()? {
            Aside::Bytes(bytes) => Some(bytes.clone()),
            Aside::Function(_) => None,
        }
    }
}

impl Packed for Arc<FunctionType> {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.aside.push(Aside::Function(Self::clone(self)));
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        match from.aside.next()? {
            Aside::Function(function) => Some(Self::clone(function)),
            Aside::Bytes(_) => None,
        }
    }
}

impl<T: Packed> Packed for Option<T> {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.byte(self.is_some().into());
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(if bool::unpack(from)? { Some(T::unpack(from)?) } else { None })
    }
}

/// What goes well is packed; errors are seldom.
impl<T: Packed, E: Serialize + DeserializeOwned> Packed for Result<T, E> {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.byte(self.is_ok().into());
        match self {
            Ok(value) => value.pack(to),
            Err(error) => to.json(error),
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(if bool::unpack(from)? { Ok(T::unpack(from)?) } else { Err(from.json()?) })
    }
}

impl<T: Packed> Packed for Vec<T> {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        to.number(self.len() as u64);
        T::pack_each(self, to);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        let count = usize::try_from(from.number()?).ok()?;
        T::unpack_each(count, from)
    }
}

impl<A: Packed, B: Packed> Packed for (A, B) {
    #[inline]
    fn pack(&self, to: &mut Sheet) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?))
    }
}
