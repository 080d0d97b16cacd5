//! Blocks read into values of Rust, and into JSON, as a type says. No text and no other value stands between.
//!
//! A value of Rust has to be of the very type: what would be lost or guessed is refused.

mod compound;
mod found;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Visitor};

use self::compound::{Elements, Fields, Flags, Named, OneCase};
pub(super) use self::found::Found;
use super::space::{character, elsewhere, malformed, place, text};
use super::{FunctionType, Handle, Misfit, ValueType};

/// The result of a call. Where the type of Rust [has its fields in order](super::has_fields_in_order), `in_order`
/// spares it to look for them by name.
///
/// # Errors
///
/// It is of another type.
#[inline]
pub(crate) fn read_result<T: DeserializeOwned>(
    function: &FunctionType,
    answer: Option<&[u8]>,
    in_order: bool,
) -> Result<T, Misfit> {
    let (block, laid) = (answer.unwrap_or_default(), function.result.as_ref());
    T::deserialize(Found { is_strict: false, in_order, ..Found::strictly(block, laid) })
}

macro_rules! numbers {
    ($($method:ident($ty:ident) $visit:ident $case:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.ty() {
                Some(ValueType::$case) => visitor.$visit($ty::from_le_bytes(self.number()?)),
                _ => self.differs(stringify!($ty)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Found<'_> {
    type Error = Misfit;

    numbers! {
        deserialize_i8(i8) visit_i8 S8
        deserialize_u8(u8) visit_u8 U8
        deserialize_i16(i16) visit_i16 S16
        deserialize_u16(u16) visit_u16 U16
        deserialize_i32(i32) visit_i32 S32
        deserialize_u32(u32) visit_u32 U32
        deserialize_i64(i64) visit_i64 S64
        deserialize_u64(u64) visit_u64 U64
        deserialize_f32(f32) visit_f32 F32
        deserialize_f64(f64) visit_f64 F64
    }

    /// As JSON has it.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let Some(laid) = self.laid else { return visitor.visit_unit() };
        match &laid.ty {
            ValueType::Bool => self.deserialize_bool(visitor),
            ValueType::S8 => self.deserialize_i8(visitor),
            ValueType::U8 => self.deserialize_u8(visitor),
            ValueType::S16 => self.deserialize_i16(visitor),
            ValueType::U16 => self.deserialize_u16(visitor),
            ValueType::S32 => self.deserialize_i32(visitor),
            ValueType::U32 => self.deserialize_u32(visitor),
            ValueType::S64 => self.deserialize_i64(visitor),
            ValueType::U64 => self.deserialize_u64(visitor),
            ValueType::F32 => {
                let single = f32::from_le_bytes(self.number()?);
                self.float(single.into(), Some(single), visitor)
            }
            ValueType::F64 => self.float(f64::from_le_bytes(self.number()?), None, visitor),
            ValueType::Char => self.deserialize_char(visitor),
            ValueType::String | ValueType::Own(_) | ValueType::Borrow(_) => self.deserialize_str(visitor),
            ValueType::List(_) | ValueType::Flags(_) => self.deserialize_seq(visitor),
            ValueType::Tuple(types) => self.deserialize_tuple(types.len(), visitor),
            ValueType::Record(_) => self.deserialize_map(visitor),
            ValueType::Option(_) if !laid.is_nested_option() => self.deserialize_option(visitor),
            _ => match self.case()? {
                Some(("none", _)) if laid.is_nested_option() => visitor.visit_none(),
                Some((name, carried)) if carried.laid.is_none() && !matches!(laid.ty, ValueType::Result(..)) => {
                    visitor.visit_str(name)
                }
                Some((name, carried)) => visitor.visit_map(OneCase::new(name, carried)),
                None => visitor.visit_unit(),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::Bool) => visitor.visit_bool(self.number() != Ok([0])),
            _ => self.differs("bool"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::Char) => visitor.visit_char(character(self.block, self.at)?),
            _ => self.differs("char"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::String) => visitor.visit_str(text(self.block, self.at)?),
            Some(ValueType::Own(_) | ValueType::Borrow(_)) => {
                visitor.visit_str(&Handle::read(self.block, self.at).ok_or_else(malformed)?.to_string())
            }
            _ => self.differs("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::List(of)) if of.ty == ValueType::U8 => visitor.visit_bytes(elsewhere(self.block, self.at)?),
            _ => self.differs("bytes"),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match (self.ty(), self.case()?) {
            (Some(ValueType::Option(_)), Some(("some", carried))) => visitor.visit_some(carried),
            (Some(ValueType::Option(_)), _) => visitor.visit_none(),
            _ => self.differs("an Option"),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            None => visitor.visit_unit(),
            Some(ValueType::Record(fields)) if self.is_parameters && fields.is_empty() => visitor.visit_unit(),
            _ => self.differs("()"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::List(of)) => {
                let (place, many) = place(self.block, self.at, of.layout.size)?;
                visitor.visit_seq(Elements::list(self, of, place, many))
            }
            Some(ValueType::Flags(names)) => visitor.visit_seq(Flags::new(self, names)),
            _ => self.differs("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, many: usize, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::Tuple(types)) if types.len() == many => visitor.visit_seq(Elements::tuple(self, types)),
            Some(ValueType::Record(fields)) if self.is_parameters && fields.len() == many => {
                visitor.visit_seq(Fields::new(self, fields))
            }
            _ => self.differs(format_args!("a tuple of {many}")),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        many: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_tuple(many, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::Record(fields)) => visitor.visit_map(Named::new(self, fields, None)),
            _ => self.differs("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.ty() {
            Some(ValueType::Record(fields)) if self.in_order => {
                let is_same = |((field, _), known): (&(Box<str>, _), &&str)| super::same_name(field, known);
                let are_same = || !self.is_strict || fields.iter().zip(known).all(is_same);
                if fields.len() == known.len() && are_same() {
                    visitor.visit_seq(Fields::new(self, fields))
                } else {
                    Err(Misfit::new(format!("the struct {name} has its fields in another order")))
                }
            }
            Some(ValueType::Record(fields)) => visitor.visit_map(Named::new(self, fields, Some(known))),
            _ => self.differs(format_args!("the struct {name}")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let laid = match self.laid {
            Some(laid) if !matches!(laid.ty, ValueType::Option(_)) => laid,
            _ => return self.differs(format_args!("the enum {name}")),
        };
        let Some((case, carried)) = self.case()? else { return self.differs(format_args!("the enum {name}")) };
        if self.is_strict {
            let beyond = known.iter().find(|known| laid.case_named(|case| super::same_name(case, known)).is_none());
            if let Some(beyond) = beyond {
                return Err(Misfit::new(format!("it is {laid}, and {name} has a case `{beyond}` in Rust")));
            }
        }
        let Some(rust) = known.iter().find(|known| super::same_name(case, known)) else {
            return Err(Misfit::new(format!("it is {laid}, and {name} has no case `{case}` in Rust")));
        };
        visitor.visit_enum(OneCase::new(rust, carried))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.case()? {
            Some((name, _)) => StrDeserializer::new(name).deserialize_any(visitor),
            None => self.deserialize_str(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}
