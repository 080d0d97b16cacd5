//! A block that is taken from a component.

use std::borrow::Cow;

use wasmtime::ValRaw;
use wasmtime::component::__internal::{InterfaceType, LiftContext};
use wasmtime::component::{Lift, ResourceAny};
use wasmtime_environ::component::StringEncoding;

use super::super::block::{Block, bytes, case, number};
use super::NoValue;
use super::types::{Types, is_number};

/// What lies there in memory, as a block.
pub(super) fn take(cx: &mut LiftContext<'_>, ty: InterfaceType, at: usize) -> wasmtime::Result<Block> {
    let layout = Types(cx.types).layout(ty);
    let mut block = Block::with_room(0);
    block.append(held(cx, at, layout.size, layout.align)?, 1);
    settle(cx, ty, &mut block, 0)?;
    Ok(block)
}

/// Writes the values of a core function as one value that points where they do. What it does not write is zero.
pub(super) fn unflatten(
    types: Types<'_>,
    ty: InterfaceType,
    flats: &[ValRaw],
    block: &mut Block,
    at: usize,
) -> Result<(), NoValue> {
    let flat = |index: usize| flats.get(index).ok_or(NoValue::Type);
    match ty {
        InterfaceType::Bool => block.put(at, [u8::from(flat(0)?.get_i32() != 0)]),
        InterfaceType::Float32 => block.put(at, flat(0)?.get_f32().to_le_bytes()),
        InterfaceType::Float64 => block.put(at, flat(0)?.get_f64().to_le_bytes()),
        InterfaceType::U64 | InterfaceType::S64 => block.put(at, flat(0)?.get_u64().to_le_bytes()),
        // What they do not hold is not looked at.
        InterfaceType::S8 | InterfaceType::U8 => {
            let [one, ..] = flat(0)?.get_u32().to_le_bytes();
            block.put(at, [one])
        }
        InterfaceType::S16 | InterfaceType::U16 => {
            let [one, two, ..] = flat(0)?.get_u32().to_le_bytes();
            block.put(at, [one, two])
        }
        InterfaceType::S32
        | InterfaceType::U32
        | InterfaceType::Char
        | InterfaceType::Own(_)
        | InterfaceType::Borrow(_) => block.put(at, flat(0)?.get_u32().to_le_bytes()),
        InterfaceType::String | InterfaceType::List(_) => {
            block.put_place(at, flat(0)?.get_u32() as usize, flat(1)?.get_u32() as usize)
        }
        InterfaceType::Record(_) | InterfaceType::Tuple(_) => {
            let mut from = 0;
            for part in types.parts(ty, at) {
                unflatten(types, part.ty, flats.get(from..).unwrap_or_default(), block, part.at)?;
                from += part.flats;
            }
            Some(())
        }
        InterfaceType::Flags(_) => {
            let flags = block.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..types.layout(ty).size));
            flags.map(|flags| {
                // 32 of them are one value.
                for (flags, flat) in flags.chunks_mut(4).zip(flats) {
                    flags.iter_mut().zip(flat.get_u32().to_le_bytes()).for_each(|(byte, set)| *byte = set);
                }
            })
        }
        _ => {
            let cases = types.cases(ty).ok_or(NoValue::Type)?;
            let case = flat(0)?.get_u32() as usize;
            if case >= cases.count {
                return Err(NoValue::Case);
            }
            if let Some(carried) = types.carried(ty, case) {
                let flats = flats.get(1..).unwrap_or_default();
                unflatten(types, carried, flats, block, at + cases.carried_at)?;
            }
            block.put_case(at, case, cases.count)
        }
    }
    .ok_or(NoValue::Type)
}

/// What lies there in the block came from a component, and points into its memory. It is checked, what belongs to no
/// field becomes zero, and what it points to is taken too, and it points there.
pub(super) fn settle(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    block: &mut Block,
    at: usize,
) -> wasmtime::Result<()> {
    let types = Types(cx.types);
    let end = |types: Types<'_>| at + types.layout(ty).size;
    match ty {
        InterfaceType::Bool => {
            let is_true = block.bytes().get(at).is_some_and(|byte| *byte != 0);
            block.put(at, [u8::from(is_true)]).ok_or(NoValue::Type)?;
        }
        InterfaceType::Char => {
            let code = number(block.bytes(), at).and_then(|code| u32::try_from(code).ok());
            code.and_then(char::from_u32).ok_or(NoValue::Char)?;
        }
        InterfaceType::String => settle_text(cx, block, at)?,
        InterfaceType::Own(_) | InterfaceType::Borrow(_) => {
            // What is kept for it here is more than that.
            cx.consume_fuel(2 * size_of::<ResourceAny>())?;
            let index = u32::from_le_bytes(bytes(block.bytes(), at).ok_or(NoValue::Type)?);
            let resource = ResourceAny::linear_lift_from_flat(cx, ty, &ValRaw::u32(index))?;
            block.hold(at, resource).ok_or(NoValue::Type)?;
        }
        InterfaceType::List(index) => settle_list(cx, types.0[index].element, block, at)?,
        InterfaceType::Record(_) | InterfaceType::Tuple(_) => {
            let mut between = at;
            for part in types.parts(ty, at) {
                block.clear(between..part.at);
                if !is_number(part.ty) {
                    settle(cx, part.ty, block, part.at)?;
                }
                between = part.end;
            }
            block.clear(between..end(types));
        }
        InterfaceType::Flags(index) => {
            let names = types.0[index].names.len();
            block.clear(at + names.div_ceil(8)..end(types));
            if let Some(last) = block.bytes_mut().get_mut(at + names / 8).filter(|_| names % 8 != 0) {
                *last &= (1 << (names % 8)) - 1;
            }
        }
        _ => {
            let Some(cases) = types.cases(ty) else { return Ok(()) };
            let case = case(block.bytes(), at, cases.count).ok_or(NoValue::Case)?;
            let mut between = at + cases.bytes();
            if let Some(carried) = types.carried(ty, case) {
                let place = at + cases.carried_at;
                block.clear(between..place);
                settle(cx, carried, block, place)?;
                between = place + types.layout(carried).size;
            }
            block.clear(between..end(types));
        }
    }
    Ok(())
}

fn settle_list(cx: &mut LiftContext<'_>, element: InterfaceType, block: &mut Block, at: usize) -> wasmtime::Result<()> {
    let types = Types(cx.types);
    let layout = types.layout(element);
    let (from, many) = pointed(block, at)?;
    // As it does for its own lists: a component has so much to give in one call.
    cx.consume_fuel_array(many, layout.size)?;
    let bytes = many.checked_mul(layout.size).ok_or(NoValue::Beyond)?;
    let place = block.append(held(cx, from, bytes, layout.align)?, layout.align);
    block.put_place(at, place, many).ok_or(NoValue::Beyond)?;
    if !types.is_plain(element) {
        for offset in (0..bytes).step_by(layout.size.max(1)) {
            settle(cx, element, block, place + offset)?;
        }
    }
    Ok(())
}

fn settle_text(cx: &mut LiftContext<'_>, block: &mut Block, at: usize) -> wasmtime::Result<()> {
    let (from, many) = pointed(block, at)?;
    let text = match cx.options().string_encoding {
        StringEncoding::Utf8 => {
            cx.consume_fuel(many)?;
            Cow::Borrowed(std::str::from_utf8(held(cx, from, many, 1)?).map_err(|_| NoValue::Text)?)
        }
        // Seldom. The engine knows how, and makes a string of its own.
        _ => {
            let pointer = block.bytes().get(at..at + 8).ok_or(NoValue::Type)?.to_vec();
            Cow::Owned(String::linear_lift_from_memory(cx, InterfaceType::String, &pointer)?)
        }
    };
    let place = block.append(text.as_bytes(), 1);
    block.put_place(at, place, text.len()).ok_or(NoValue::Beyond)?;
    Ok(())
}

/// Where a string or a list points, and how many it holds.
fn pointed(block: &Block, at: usize) -> Result<(usize, usize), NoValue> {
    number(block.bytes(), at).zip(number(block.bytes(), at + 4)).ok_or(NoValue::Type)
}

/// A part of the memory.
fn held<'a>(cx: &LiftContext<'a>, at: usize, bytes: usize, align: usize) -> Result<&'a [u8], NoValue> {
    if !at.is_multiple_of(align.max(1)) {
        return Err(NoValue::Unaligned);
    }
    cx.memory().get(at..).and_then(|rest| rest.get(..bytes)).ok_or(NoValue::Beyond)
}
