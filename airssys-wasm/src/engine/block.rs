//! Values of the engine made into blocks, and blocks read into such values again; see `typed/`.

use std::ops::Range;

use bytes::Bytes;
use wasmtime::component::{ResourceAny, Val};

use crate::typed::{FunctionType, Handle, Laid, ValueType, align_to, discriminant_bytes, made, put_handle, scratch};

/// A value is not of the type that it is to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {wanted} is wanted, and it is {found}")]
pub(crate) struct Mismatch {
    /// Which parameter, or that it is the result.
    at: String,
    wanted: String,
    found: String,
}

/// A block is not one of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are not the bytes of a value of this type")]
pub(crate) struct Malformed;

/// The arguments of a call as a block.
///
/// # Errors
///
/// There are more or fewer than the function takes, or one is of another type.
pub(crate) fn lower_arguments(function: &FunctionType, arguments: &[Val]) -> Result<Bytes, Mismatch> {
    let params = function.params();
    if params.len() != arguments.len() {
        return Err(Mismatch {
            at: function.name.to_string(),
            wanted: count(params.len()),
            found: count(arguments.len()),
        });
    }
    let mut block = Block::of(&function.params);
    let mut at = 0;
    for ((name, laid), argument) in params.iter().zip(arguments) {
        at = align_to(at, laid.layout.align);
        block.lower(laid, argument, at).ok_or_else(|| Mismatch {
            at: format!("`{name}`"),
            wanted: laid.to_string(),
            found: shown(argument),
        })?;
        at += laid.layout.size;
    }
    Ok(block.into_bytes())
}

/// The result of a call as a block.
///
/// # Errors
///
/// It is of another type.
pub(crate) fn lower_result(laid: &Laid, result: &Val) -> Result<Bytes, Mismatch> {
    let mut block = Block::of(laid);
    block.lower(laid, result, 0).ok_or_else(|| Mismatch {
        at: "the result".to_owned(),
        wanted: laid.to_string(),
        found: shown(result),
    })?;
    Ok(block.into_bytes())
}

/// The arguments of a call that a block holds.
///
/// # Errors
///
/// [`Malformed`].
pub(crate) fn lift_arguments(function: &FunctionType, block: &[u8]) -> Result<Vec<Val>, Malformed> {
    let mut at = 0;
    let lifted = function.params().iter().map(|(_, laid)| {
        at = align_to(at, laid.layout.align);
        let value = lift(laid, block, at);
        at += laid.layout.size;
        value
    });
    lifted.collect::<Option<_>>().ok_or(Malformed)
}

/// The result of a call that a block holds.
///
/// # Errors
///
/// [`Malformed`].
pub(crate) fn lift_result(laid: &Laid, block: &[u8]) -> Result<Val, Malformed> {
    lift(laid, block, 0).ok_or(Malformed)
}

fn count(arguments: usize) -> String {
    if arguments == 1 { "1 argument".to_owned() } else { format!("{arguments} arguments") }
}

/// How deep a value is that is still shown as text, which is written by a function that calls itself.
const SHOWN_DEPTH: usize = 100;

/// A value as text, where there is one.
fn shown(value: &Val) -> String {
    if !is_within(value, SHOWN_DEPTH) {
        return format!("a value that is more than {SHOWN_DEPTH} deep");
    }
    value.to_wave().unwrap_or_else(|_| "a value without a text".to_owned())
}

fn is_within(value: &Val, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else { return false };
    let inside = |one: &Val| is_within(one, deeper);
    match value {
        Val::List(all) | Val::Tuple(all) => all.iter().all(inside),
        Val::Record(fields) => fields.iter().all(|(_, one)| inside(one)),
        Val::Variant(_, Some(one)) | Val::Option(Some(one)) => inside(one),
        Val::Result(Ok(Some(one)) | Err(Some(one))) => inside(one),
        _ => true,
    }
}

/// A block that is being made.
pub(super) struct Block {
    bytes: Vec<u8>,
    /// The resources that it was given, of which each handle's four bytes say which one it is.
    resources: Vec<ResourceAny>,
}

impl Block {
    /// With room for one of these at its begin.
    fn of(laid: &Laid) -> Self {
        Self::with_room(laid.layout.size)
    }

    /// So many bytes of it are there, and zero.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { bytes: scratch(bytes), resources: Vec::new() }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        made(self.bytes)
    }

    pub(super) fn into_parts(self) -> (Bytes, Vec<ResourceAny>) {
        (made(self.bytes), self.resources)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// These at its end; where they begin.
    pub(super) fn append(&mut self, bytes: &[u8], align: usize) -> usize {
        let at = align_to(self.bytes.len(), align);
        // Once, for both.
        self.bytes.reserve(at - self.bytes.len() + bytes.len());
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// Makes a part of it zero.
    pub(super) fn clear(&mut self, part: Range<usize>) {
        // Mostly there is nothing between two fields.
        if !part.is_empty()
            && let Some(part) = self.bytes.get_mut(part)
        {
            part.fill(0);
        }
    }

    /// Room at its end; where that begins.
    fn room(&mut self, bytes: usize, align: usize) -> usize {
        let at = align_to(self.bytes.len(), align);
        self.bytes.resize(at + bytes, 0);
        at
    }

    pub(super) fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Option<()> {
        *self.bytes.get_mut(at..)?.first_chunk_mut()? = bytes;
        Some(())
    }

    /// Says which case it is.
    pub(super) fn put_case(&mut self, at: usize, case: usize, cases: usize) -> Option<()> {
        let [one, two, three, four] = u32::try_from(case).ok()?.to_le_bytes();
        match discriminant_bytes(cases) {
            1 => self.put(at, [one]),
            2 => self.put(at, [one, two]),
            _ => self.put(at, [one, two, three, four]),
        }
    }

    /// Says where something lies, and how many there are.
    pub(super) fn put_place(&mut self, at: usize, place: usize, many: usize) -> Option<()> {
        self.put(at, u32::try_from(place).ok()?.to_le_bytes())?;
        self.put(at + 4, u32::try_from(many).ok()?.to_le_bytes())
    }

    /// Puts a value where it is to lie; none where it is of another type.
    fn lower(&mut self, laid: &Laid, value: &Val, at: usize) -> Option<()> {
        match (&laid.ty, value) {
            (ValueType::Bool, Val::Bool(value)) => self.put(at, [u8::from(*value)]),
            (ValueType::S8, Val::S8(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::U8, Val::U8(value)) => self.put(at, [*value]),
            (ValueType::S16, Val::S16(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::U16, Val::U16(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::S32, Val::S32(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::U32, Val::U32(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::S64, Val::S64(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::U64, Val::U64(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::F32, Val::Float32(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::F64, Val::Float64(value)) => self.put(at, value.to_le_bytes()),
            (ValueType::Char, Val::Char(value)) => self.put(at, u32::from(*value).to_le_bytes()),
            (ValueType::String, Val::String(text)) => {
                let place = self.append(text.as_bytes(), 1);
                self.put_place(at, place, text.len())
            }
            (ValueType::Own(_) | ValueType::Borrow(_), Val::String(text)) => {
                Handle::of_text(text)?.append(&mut self.bytes, at)
            }
            (ValueType::List(of), Val::List(values)) => self.lower_list(of, values, at),
            (ValueType::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                let named = fields.iter().zip(values);
                let named = named.map(|((name, laid), (given, value))| (**name == **given).then_some((laid, value)));
                self.lower_all(named, at)
            }
            (ValueType::Tuple(types), Val::Tuple(values)) if types.len() == values.len() => {
                self.lower_all(types.iter().zip(values).map(Some), at)
            }
            (ValueType::Variant(cases), Val::Variant(name, carried)) => {
                let case = cases.iter().position(|(case, _)| **case == **name)?;
                self.put_case(at, case, cases.len())?;
                self.lower_carried(&laid.ty, cases.get(case)?.1.as_ref(), carried.as_deref(), at)
            }
            (ValueType::Enum(names), Val::Enum(name)) => {
                self.put_case(at, names.iter().position(|case| **case == **name)?, names.len())
            }
            (ValueType::Flags(names), Val::Flags(set)) => self.lower_flags(names, set, at),
            (ValueType::Option(of), Val::Option(carried)) => {
                self.put_case(at, usize::from(carried.is_some()), 2)?;
                self.lower_carried(&laid.ty, carried.as_ref().map(|_| &**of), carried.as_deref(), at)
            }
            (ValueType::Result(ok, error), Val::Result(value)) => {
                self.put_case(at, usize::from(value.is_err()), 2)?;
                let (of, carried) = match value {
                    Ok(carried) => (ok, carried),
                    Err(carried) => (error, carried),
                };
                self.lower_carried(&laid.ty, of.as_deref(), carried.as_deref(), at)
            }
            _ => None,
        }
    }

    /// Takes a resource, whose handle lies there.
    pub(super) fn hold(&mut self, at: usize, resource: ResourceAny) -> Option<()> {
        put_handle(&mut self.bytes, at, u32::try_from(self.resources.len()).ok()?)?;
        self.resources.push(resource);
        Some(())
    }

    fn lower_list(&mut self, of: &Laid, values: &[Val], at: usize) -> Option<()> {
        let size = of.layout.size;
        let place = self.room(values.len().checked_mul(size)?, of.layout.align);
        for (index, value) in values.iter().enumerate() {
            self.lower(of, value, place + index * size)?;
        }
        self.put_place(at, place, values.len())
    }

    fn lower_all<'a>(&mut self, all: impl Iterator<Item = Option<(&'a Laid, &'a Val)>>, mut at: usize) -> Option<()> {
        for one in all {
            let (laid, value) = one?;
            at = align_to(at, laid.layout.align);
            self.lower(laid, value, at)?;
            at += laid.layout.size;
        }
        Some(())
    }

    fn lower_carried(&mut self, ty: &ValueType, of: Option<&Laid>, carried: Option<&Val>, at: usize) -> Option<()> {
        match (of, carried) {
            (None, None) => Some(()),
            (Some(laid), Some(value)) => self.lower(laid, value, at + ty.carried_at()),
            _ => None,
        }
    }

    fn lower_flags(&mut self, names: &[Box<str>], set: &[String], at: usize) -> Option<()> {
        for flag in set {
            let bit = names.iter().position(|name| **name == **flag)?;
            *self.bytes.get_mut(at + bit / 8)? |= 1 << (bit % 8);
        }
        Some(())
    }
}

pub(super) fn bytes<const N: usize>(block: &[u8], at: usize) -> Option<[u8; N]> {
    block.get(at..)?.first_chunk().copied()
}

pub(super) fn number(block: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes(block, at)?)).ok()
}

/// Which case it is.
pub(super) fn case(block: &[u8], at: usize, cases: usize) -> Option<usize> {
    let case = match discriminant_bytes(cases) {
        1 => u8::from_le_bytes(bytes(block, at)?).into(),
        2 => u16::from_le_bytes(bytes(block, at)?).into(),
        _ => number(block, at)?,
    };
    (case < cases).then_some(case)
}

/// The value that lies there.
fn lift(laid: &Laid, block: &[u8], at: usize) -> Option<Val> {
    Some(match &laid.ty {
        ValueType::Bool => Val::Bool(u8::from_le_bytes(bytes(block, at)?) != 0),
        ValueType::S8 => Val::S8(i8::from_le_bytes(bytes(block, at)?)),
        ValueType::U8 => Val::U8(u8::from_le_bytes(bytes(block, at)?)),
        ValueType::S16 => Val::S16(i16::from_le_bytes(bytes(block, at)?)),
        ValueType::U16 => Val::U16(u16::from_le_bytes(bytes(block, at)?)),
        ValueType::S32 => Val::S32(i32::from_le_bytes(bytes(block, at)?)),
        ValueType::U32 => Val::U32(u32::from_le_bytes(bytes(block, at)?)),
        ValueType::S64 => Val::S64(i64::from_le_bytes(bytes(block, at)?)),
        ValueType::U64 => Val::U64(u64::from_le_bytes(bytes(block, at)?)),
        ValueType::F32 => Val::Float32(f32::from_le_bytes(bytes(block, at)?)),
        ValueType::F64 => Val::Float64(f64::from_le_bytes(bytes(block, at)?)),
        ValueType::Char => Val::Char(char::from_u32(u32::from_le_bytes(bytes(block, at)?))?),
        ValueType::String => {
            let (place, many) = (number(block, at)?, number(block, at + 4)?);
            Val::String(std::str::from_utf8(block.get(place..place.checked_add(many)?)?).ok()?.to_owned())
        }
        ValueType::Own(_) | ValueType::Borrow(_) => Val::String(Handle::read(block, at)?.to_string()),
        ValueType::List(of) => Val::List(lift_list(of, block, at)?),
        ValueType::Record(fields) => {
            let values = lift_all(fields.iter().map(|(_, laid)| laid), block, at)?;
            Val::Record(fields.iter().map(|(name, _)| name.to_string()).zip(values).collect())
        }
        ValueType::Tuple(types) => Val::Tuple(lift_all(types.iter(), block, at)?),
        ValueType::Variant(cases) => {
            let (name, of) = cases.get(case(block, at, cases.len())?)?;
            Val::Variant(name.to_string(), lift_carried(&laid.ty, of.as_ref(), block, at)?)
        }
        ValueType::Enum(names) => Val::Enum(names.get(case(block, at, names.len())?)?.to_string()),
        ValueType::Flags(names) => {
            let flags = block.get(at..at.checked_add(laid.layout.size)?)?;
            let set = |bit: usize| flags.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
            let names = names.iter().enumerate().filter(|(bit, _)| set(*bit));
            Val::Flags(names.map(|(_, name)| name.to_string()).collect())
        }
        ValueType::Option(of) => {
            let of = (case(block, at, 2)? == 1).then_some(&**of);
            Val::Option(lift_carried(&laid.ty, of, block, at)?)
        }
        ValueType::Result(ok, error) => {
            let of = |of: &Option<Box<Laid>>| lift_carried(&laid.ty, of.as_deref(), block, at);
            Val::Result(if case(block, at, 2)? == 0 { Ok(of(ok)?) } else { Err(of(error)?) })
        }
    })
}

fn lift_list(of: &Laid, block: &[u8], at: usize) -> Option<Vec<Val>> {
    let (place, many, size) = (number(block, at)?, number(block, at + 4)?, of.layout.size);
    // All of it is there, before room is made for it.
    block.get(place..place.checked_add(many.checked_mul(size)?)?)?;
    (0..many).map(|index| lift(of, block, place + index * size)).collect()
}

fn lift_all<'a>(all: impl Iterator<Item = &'a Laid>, block: &[u8], mut at: usize) -> Option<Vec<Val>> {
    let values = all.map(|laid| {
        at = align_to(at, laid.layout.align);
        let value = lift(laid, block, at);
        at += laid.layout.size;
        value
    });
    values.collect()
}

/// What is carried; the outer none where the block is none of this type.
fn lift_carried(ty: &ValueType, of: Option<&Laid>, block: &[u8], at: usize) -> Option<Option<Box<Val>>> {
    match of {
        None => Some(None),
        Some(laid) => Some(Some(Box::new(lift(laid, block, at + ty.carried_at())?))),
    }
}

#[cfg(test)]
pub(super) mod tests;
