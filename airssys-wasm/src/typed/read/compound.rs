//! What is made of several values, as serde takes it apart.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess};
use serde::de::{VariantAccess, Visitor};

use super::found::Found;
use crate::typed::space::bit;
use crate::typed::{Laid, Misfit, align_to, same_name};

/// Values in order.
pub(super) struct Elements<'a> {
    found: Found<'a>,
    of: Of<'a>,
    taken: usize,
    many: usize,
}

enum Of<'a> {
    List(&'a Laid),
    Tuple(&'a [Laid]),
}

impl<'a> Elements<'a> {
    pub(super) fn list(found: Found<'a>, of: &'a Laid, place: usize, many: usize) -> Self {
        Self { found: found.other(None, place), of: Of::List(of), taken: 0, many }
    }

    pub(super) fn tuple(found: Found<'a>, types: &'a [Laid]) -> Self {
        Self { found: found.other(None, found.at), of: Of::Tuple(types), taken: 0, many: types.len() }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        if self.taken == self.many {
            return Ok(None);
        }
        let laid = match self.of {
            Of::List(of) => Some(of),
            Of::Tuple(types) => types.get(self.taken),
        };
        let Some(laid) = laid else { return Ok(None) };
        let at = align_to(self.found.at, laid.layout.align);
        let value = seed.deserialize(self.found.other(Some(laid), at)).map_err(|error| error.within(self.taken))?;
        self.found.at = at + laid.layout.size;
        self.taken += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.many - self.taken)
    }
}

/// The fields of a record in order.
pub(super) struct Fields<'a> {
    found: Found<'a>,
    fields: std::slice::Iter<'a, (Box<str>, Laid)>,
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn new(found: Found<'a>, fields: &'a [(Box<str>, Laid)]) -> Self {
        Self { found: found.other(None, found.at), fields: fields.iter() }
    }
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = Misfit;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((name, laid)) = self.fields.next() else { return Ok(None) };
        let at = align_to(self.found.at, laid.layout.align);
        self.found.at = at + laid.layout.size;
        seed.deserialize(self.found.other(Some(laid), at)).map(Some).map_err(|error| error.within(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// The names of the flags that are set.
pub(super) struct Flags<'a> {
    found: Found<'a>,
    names: std::iter::Enumerate<std::slice::Iter<'a, Box<str>>>,
}

impl<'a> Flags<'a> {
    pub(super) fn new(found: Found<'a>, names: &'a [Box<str>]) -> Self {
        Self { found, names: names.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Flags<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let (block, at) = (self.found.block, self.found.at);
        let Some((_, name)) = self.names.find(|(index, _)| bit(block, at, *index)) else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }
}

/// Fields by their names: those of WIT, or those that are known in Rust.
pub(super) struct Named<'a> {
    found: Found<'a>,
    fields: std::slice::Iter<'a, (Box<str>, Laid)>,
    known: Option<&'static [&'static str]>,
    current: Option<(&'a str, &'a Laid)>,
}

impl<'a> Named<'a> {
    pub(super) fn new(
        found: Found<'a>,
        fields: &'a [(Box<str>, Laid)],
        known: Option<&'static [&'static str]>,
    ) -> Self {
        Self { found: found.other(None, found.at), fields: fields.iter(), known, current: None }
    }
}

impl<'de> MapAccess<'de> for Named<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((name, laid)) = self.fields.next() else { return Ok(None) };
        self.current = Some((name, laid));
        let rust = match self.known {
            None => &**name,
            Some(known) => match known.iter().find(|known| same_name(name, known)) {
                Some(rust) => rust,
                None => {
                    return Err(Misfit::new(format!("it is {laid}, and there is no such field in Rust")).within(name));
                }
            },
        };
        seed.deserialize(StrDeserializer::new(rust)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((name, laid)) = self.current.take() else { return Err(Misfit::new("a value without a name")) };
        let at = align_to(self.found.at, laid.layout.align);
        let value = seed.deserialize(self.found.other(Some(laid), at)).map_err(|error| error.within(name))?;
        self.found.at = at + laid.layout.size;
        Ok(value)
    }
}

/// One case, and what it carries.
pub(super) struct OneCase<'a> {
    name: &'a str,
    carried: Found<'a>,
    is_taken: bool,
}

impl<'a> OneCase<'a> {
    pub(super) fn new(name: &'a str, carried: Found<'a>) -> Self {
        Self { name, carried, is_taken: false }
    }
}

impl<'de> MapAccess<'de> for OneCase<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        if std::mem::replace(&mut self.is_taken, true) {
            return Ok(None);
        }
        seed.deserialize(StrDeserializer::new(self.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        seed.deserialize(self.carried).map_err(|error| error.within(self.name))
    }
}

impl<'de> EnumAccess<'de> for OneCase<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name: StrDeserializer<'_, Misfit> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for OneCase<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.carried.laid {
            None => Ok(()),
            Some(_) => self.carried.differs("nothing").map_err(|error: Misfit| error.within(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.carried).map_err(|error| error.within(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, many: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.carried.deserialize_tuple(many, visitor).map_err(|error| error.within(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        self.carried.deserialize_struct("of this case", fields, visitor).map_err(|error| error.within(self.name))
    }
}
