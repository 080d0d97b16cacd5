//! Values of Rust, and of JSON, written into a block as a type says. No text and no other value stands between.
//!
//! What is not of the type is refused by its place. Of Rust, names are compared as [`same_name`] does; in JSON they are
//! written as in WIT.

mod compound;
mod slot;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeTuple as _, Serializer};

use self::compound::{Elements, Named};
pub(super) use self::slot::Slot;
use self::slot::text;
use super::handle::HANDLE_BYTES;
use super::space::Space;
use super::{FunctionType, Handle, Misfit, ValueType};

/// The arguments of a call as a block: in order, or by the names of the parameters.
///
/// # Errors
///
/// There are more or fewer than the function takes, or one is of another type.
pub(crate) fn write_arguments(function: &FunctionType, arguments: &(impl Serialize + ?Sized)) -> Result<Bytes, Misfit> {
    let mut space = Space::of(&function.params);
    arguments.serialize(Slot::of_parameters(&mut space, &function.params))?;
    Ok(space.into_bytes())
}

macro_rules! integers {
    ($($method:ident($ty:ty) $case:ident)*) => {
        $(#[inline]
        fn $method(self, value: $ty) -> Result<(), Misfit> {
            match self.ty() {
                Some(ValueType::$case) => self.put(value.to_le_bytes()),
                _ => self.within()?.integer(value.into()),
            }
        })*
    };
}

impl<'a> Serializer for Slot<'a> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Named<'a>;
    type SerializeStruct = Named<'a>;
    type SerializeStructVariant = Named<'a>;

    integers! {
        serialize_i8(i8) S8
        serialize_u8(u8) U8
        serialize_i16(i16) S16
        serialize_u16(u16) U16
        serialize_i32(i32) S32
        serialize_u32(u32) U32
        serialize_i64(i64) S64
        serialize_u64(u64) U64
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::Bool) => slot.put([u8::from(value)]),
            _ => slot.misfit(value),
        }
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::F32) => slot.put(value.to_le_bytes()),
            Some(ValueType::F64) => slot.put(f64::from(value).to_le_bytes()),
            _ => slot.misfit(value),
        }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::F64) => slot.put(value.to_le_bytes()),
            Some(ValueType::F32) => match value.to_string().parse::<f32>() {
                // By its digits: rounded to f64 first it could be the neighbour of the one that was meant.
                Ok(single) if single.is_finite() || !value.is_finite() => slot.put(single.to_le_bytes()),
                _ => slot.misfit(value),
            },
            _ => slot.misfit(value),
        }
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::Char) => slot.put(u32::from(value).to_le_bytes()),
            _ => slot.misfit(format_args!("{value:?}")),
        }
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::String) => {
                let place = slot.space.room(value.len(), 1, 1)?;
                slot.space.put_all(place, value.as_bytes())?;
                slot.space.put_place(slot.at, place, value.len())
            }
            Some(ValueType::Own(_) | ValueType::Borrow(_)) => match Handle::of_text(value) {
                Some(handle) => {
                    let place = slot.space.room(1, HANDLE_BYTES, 1)?;
                    slot.space.put_all(place, &handle.bytes())?;
                    slot.space.put_handle(slot.at, place)
                }
                None => slot.misfit(text(value)),
            },
            Some(ValueType::Char) => {
                let mut characters = value.chars();
                match (characters.next(), characters.next()) {
                    (Some(one), None) => slot.put(u32::from(one).to_le_bytes()),
                    _ => slot.misfit(text(value)),
                }
            }
            // What JSON has no numbers for.
            Some(ValueType::F32 | ValueType::F64) => match value {
                "NaN" => slot.serialize_f64(f64::NAN),
                "Infinity" => slot.serialize_f64(f64::INFINITY),
                "-Infinity" => slot.serialize_f64(f64::NEG_INFINITY),
                _ => slot.misfit(text(value)),
            },
            Some(ValueType::Enum(_) | ValueType::Variant(_)) => match slot.case_of_json(value)?.laid {
                None => Ok(()),
                Some(of) => Err(Misfit::new(format!("{{{0}: ...}} is wanted: {0} carries {of}", text(value)))),
            },
            _ => slot.misfit(text(value)),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Misfit> {
        let slot = self.within()?;
        match slot.ty() {
            Some(ValueType::List(of)) if of.ty == ValueType::U8 => {
                let place = slot.space.room(value.len(), 1, 1)?;
                slot.space.put_all(place, value)?;
                slot.space.put_place(slot.at, place, value.len())
            }
            _ => slot.misfit("bytes"),
        }
    }

    fn serialize_none(self) -> Result<(), Misfit> {
        match self.ty() {
            Some(ValueType::Option(_)) => self.space.put_case(self.at, 0, 2),
            _ => self.misfit("none"),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        match self.ty() {
            Some(ValueType::Option(_)) => value.serialize(self.case_of_json("some")?),
            _ => self.misfit("some"),
        }
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        match self.ty() {
            None => Ok(()),
            Some(ValueType::Option(_)) => self.serialize_none(),
            Some(ValueType::Record(_)) if self.is_parameters => self.serialize_tuple(0)?.end(),
            _ => self.misfit("null"),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Misfit> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Misfit> {
        match self.case_of_rust(variant)? {
            Self { laid: None, .. } => Ok(()),
            carried => carried.misfit("nothing").map_err(|error: Misfit| error.within(variant)),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        value.serialize(self.case_of_rust(variant)?).map_err(|error| error.within(variant))
    }

    fn serialize_seq(self, many: Option<usize>) -> Result<Elements<'a>, Misfit> {
        Elements::begin(self, many)
    }

    #[inline]
    fn serialize_tuple(self, many: usize) -> Result<Elements<'a>, Misfit> {
        Elements::begin(self, Some(many))
    }

    fn serialize_tuple_struct(self, _: &'static str, many: usize) -> Result<Elements<'a>, Misfit> {
        Elements::begin(self, Some(many))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        many: usize,
    ) -> Result<Elements<'a>, Misfit> {
        Elements::begin(self.case_of_rust(variant)?, Some(many))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Named<'a>, Misfit> {
        Named::begin(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Named<'a>, Misfit> {
        Named::begin(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Named<'a>, Misfit> {
        Named::begin(self.case_of_rust(variant)?)
    }
}
