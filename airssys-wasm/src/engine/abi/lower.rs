//! A block that a component is given.

use std::mem::MaybeUninit;
use std::ops::Deref;

use wasmtime::ValRaw;
use wasmtime::component::__internal::{InterfaceType, LowerContext};
use wasmtime::component::{Lower, ResourceAny};

use super::super::block::{Malformed, bytes, case, number};
use super::NoValue;
use super::types::Types;

/// A block, and the resources whose handles it has.
#[derive(Clone, Copy)]
pub(super) struct Laden<'a> {
    pub(super) block: &'a [u8],
    pub(super) resources: &'a [ResourceAny],
}

impl Deref for Laden<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.block
    }
}

/// Puts what begins a block at a place in memory that the component makes for it.
pub(super) fn place<T>(cx: &mut LowerContext<'_, T>, ty: InterfaceType, block: Laden<'_>) -> wasmtime::Result<u32> {
    let layout = Types(cx.types).layout(ty);
    let to = cx.realloc(0, 0, u32::try_from(layout.align)?, layout.size)?;
    copy(cx, ty, block, to)?;
    Ok(u32::try_from(to)?)
}

/// Puts what begins a block at a place in memory.
pub(super) fn copy<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    block: Laden<'_>,
    to: usize,
) -> wasmtime::Result<()> {
    let size = Types(cx.types).layout(ty).size;
    write(cx, to, block.get(..size).ok_or(Malformed)?)?;
    point(cx, ty, block, 0, to)
}

/// What is one value of a core function and points to nothing; none where it is something else.
#[inline]
fn scalar(ty: InterfaceType, block: &[u8], at: usize) -> Result<Option<ValRaw>, Malformed> {
    Ok(Some(match ty {
        InterfaceType::Bool | InterfaceType::U8 => ValRaw::u32(u8::from_le_bytes(read(block, at)?).into()),
        InterfaceType::S8 => ValRaw::i32(i8::from_le_bytes(read(block, at)?).into()),
        InterfaceType::U16 => ValRaw::u32(u16::from_le_bytes(read(block, at)?).into()),
        InterfaceType::S16 => ValRaw::i32(i16::from_le_bytes(read(block, at)?).into()),
        InterfaceType::U32 | InterfaceType::S32 | InterfaceType::Char => {
            ValRaw::u32(u32::from_le_bytes(read(block, at)?))
        }
        InterfaceType::U64 | InterfaceType::S64 => ValRaw::u64(u64::from_le_bytes(read(block, at)?)),
        InterfaceType::Float32 => ValRaw::f32(u32::from_le_bytes(read(block, at)?)),
        InterfaceType::Float64 => ValRaw::f64(u64::from_le_bytes(read(block, at)?)),
        _ => return Ok(None),
    }))
}

/// A value as those of a core function.
pub(super) fn flatten<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    block: Laden<'_>,
    at: usize,
    flats: &mut [ValRaw],
) -> wasmtime::Result<()> {
    if let Some(one) = scalar(ty, &block, at)? {
        *flats.first_mut().ok_or(NoValue::Type)? = one;
        return Ok(());
    }
    let types = Types(cx.types);
    let one = match ty {
        InterfaceType::String | InterfaceType::List(_) => {
            let (place, many) = lower_many(cx, ty, block, at)?;
            if let Some(flat) = flats.get_mut(1) {
                *flat = ValRaw::u32(many);
            }
            ValRaw::u32(place)
        }
        InterfaceType::Own(_) | InterfaceType::Borrow(_) => flat_of(cx, ty, resource(block, at)?)?,
        InterfaceType::Record(_) | InterfaceType::Tuple(_) => {
            let mut from = 0;
            for part in types.parts(ty, at) {
                match scalar(part.ty, &block, part.at)? {
                    Some(one) => *flats.get_mut(from).ok_or(NoValue::Type)? = one,
                    None => flatten(cx, part.ty, block, part.at, flats.get_mut(from..).unwrap_or_default())?,
                }
                from += part.flats;
            }
            return Ok(());
        }
        InterfaceType::Flags(_) => {
            // 32 of them are one value, and those that are left are another.
            let flags = block.get(at..at + types.layout(ty).size).ok_or(Malformed)?;
            for (flat, flags) in flats.iter_mut().zip(flags.chunks(4)) {
                *flat = ValRaw::u32(flags.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)));
            }
            return Ok(());
        }
        _ => {
            let cases = types.cases(ty).ok_or(NoValue::Type)?;
            let case = case(&block, at, cases.count).ok_or(Malformed)?;
            if let Some(carried) = types.carried(ty, case) {
                flatten(cx, carried, block, at + cases.carried_at, flats.get_mut(1..).unwrap_or_default())?;
            }
            ValRaw::u32(u32::try_from(case)?)
        }
    };
    *flats.first_mut().ok_or(NoValue::Type)? = one;
    Ok(())
}

/// What lies there in memory is a copy of what lies at `at` in the block. What it points to is given to the component
/// too, and it points there.
fn point<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    block: Laden<'_>,
    at: usize,
    to: usize,
) -> wasmtime::Result<()> {
    let types = Types(cx.types);
    match ty {
        InterfaceType::String | InterfaceType::List(_) => {
            let (place, many) = lower_many(cx, ty, block, at)?;
            write(cx, to, &place.to_le_bytes())?;
            write(cx, to + 4, &many.to_le_bytes())
        }
        InterfaceType::Record(_) | InterfaceType::Tuple(_) => {
            types.parts(ty, 0).try_for_each(|part| point(cx, part.ty, block, at + part.at, to + part.at))
        }
        InterfaceType::Own(_) | InterfaceType::Borrow(_) => {
            let handle = flat_of(cx, ty, resource(block, at)?)?.get_u32();
            write(cx, to, &handle.to_le_bytes())
        }
        _ => {
            let Some(cases) = types.cases(ty) else { return Ok(()) };
            let case = case(&block, at, cases.count).ok_or(Malformed)?;
            let Some(carried) = types.carried(ty, case) else { return Ok(()) };
            point(cx, carried, block, at + cases.carried_at, to + cases.carried_at)
        }
    }
}

/// What a string or a list holds: where it lies in memory then, and how many there are.
fn lower_many<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    block: Laden<'_>,
    at: usize,
) -> wasmtime::Result<(u32, u32)> {
    let (types, from, many) = (Types(cx.types), number(&block, at), number(&block, at + 4));
    let (from, many) = from.zip(many).ok_or(Malformed)?;
    let held = |size: usize| block.get(from..from.checked_add(many.checked_mul(size)?)?);
    let InterfaceType::List(index) = ty else {
        let text = std::str::from_utf8(held(1).ok_or(Malformed)?).map_err(|_| Malformed)?;
        // In whichever encoding the component wants.
        let [place, many] = flat_of(cx, ty, text)?;
        return Ok((place.get_u32(), many.get_u32()));
    };
    let element = types.0[index].element;
    let layout = types.layout(element);
    let held = held(layout.size).ok_or(Malformed)?;
    let to = cx.realloc(0, 0, u32::try_from(layout.align)?, held.len())?;
    write(cx, to, held)?;
    if !types.is_plain(element) {
        for place in (0..held.len()).step_by(layout.size.max(1)) {
            point(cx, element, block, from + place, to + place)?;
        }
    }
    Ok((u32::try_from(to)?, u32::try_from(many)?))
}

/// A value as the engine itself passes it to a core function.
fn flat_of<T, V: Lower + ?Sized>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    value: &V,
) -> wasmtime::Result<V::Lower> {
    // As values, since the engine says nowhere that it writes all of them.
    let mut flats = MaybeUninit::zeroed();
    value.linear_lower_to_flat(cx, ty, &mut flats)?;
    // SAFETY: it is made of `ValRaw`, which every pattern of bytes is one of.
    #[allow(unsafe_code, reason = "the engine writes values into what is not initialised")]
    Ok(unsafe { flats.assume_init() })
}

/// The resource whose handle lies there.
fn resource(block: Laden<'_>, at: usize) -> Result<&ResourceAny, Malformed> {
    number(&block, at).and_then(|which| block.resources.get(which)).ok_or(Malformed)
}

fn read<const N: usize>(block: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    bytes(block, at).ok_or(Malformed)
}

fn write<T>(cx: &mut LowerContext<'_, T>, to: usize, bytes: &[u8]) -> wasmtime::Result<()> {
    let memory = cx.as_slice_mut().get_mut(to..).and_then(|rest| rest.get_mut(..bytes.len()));
    memory.ok_or(NoValue::Beyond)?.copy_from_slice(bytes);
    Ok(())
}
