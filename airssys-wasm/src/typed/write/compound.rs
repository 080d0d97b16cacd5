//! What is made of several values: in order, or by name.

use serde::ser::{self, Serialize};

use super::slot::Slot;
use crate::typed::space::{self, Space};
use crate::typed::{Laid, Misfit, ValueType, align_to, same_name};

/// Values in order.
pub(in crate::typed) struct Elements<'a> {
    space: &'a mut Space,
    of: Of<'a>,
    /// How many were written, and where the next one lies.
    written: usize,
    at: usize,
}

enum Of<'a> {
    /// So many of one type.
    List(&'a Laid, usize),
    Tuple(&'a [Laid]),
    Parameters(&'a [(Box<str>, Laid)]),
    /// The names of those that are set, and the type that says which one it is.
    Flags(Laid),
}

impl<'a> Elements<'a> {
    #[inline]
    pub(super) fn begin(slot: Slot<'a>, many: Option<usize>) -> Result<Self, Misfit> {
        let slot = slot.within()?;
        let (of, at) = match slot.laid.map(|laid| &laid.ty) {
            Some(ValueType::List(of)) => {
                // What its elements hold lies behind all of them, so it has to be known where they end.
                let many = many.ok_or_else(|| Misfit::new("a list has to know how long it is"))?;
                let place = slot.space.room(many, of.layout.size, of.layout.align)?;
                slot.space.put_place(slot.at, place, many)?;
                (Of::List(of, many), place)
            }
            Some(ValueType::Tuple(types)) => (Of::Tuple(types), slot.at),
            Some(ValueType::Record(fields)) if slot.is_parameters => (Of::Parameters(fields), slot.at),
            Some(ValueType::Flags(names)) => (Of::Flags(ValueType::Enum(names.clone()).into()), slot.at),
            _ => return slot.misfit("a list"),
        };
        Ok(Self { space: slot.space, of, written: 0, at })
    }

    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let laid = match &self.of {
            Of::List(of, many) => (self.written < *many).then_some(*of),
            Of::Tuple(types) => types.get(self.written),
            Of::Parameters(fields) => fields.get(self.written).map(|(_, laid)| laid),
            Of::Flags(which) => {
                let mut named = Space::of(which);
                let written = value.serialize(Slot::new(&mut named, Some(which), 0));
                written.map_err(|error| error.within(self.written))?;
                let ValueType::Enum(names) = &which.ty else { return Ok(()) };
                self.space.set_bit(self.at, space::case(named.bytes(), 0, names.len())?);
                self.written += 1;
                return Ok(());
            }
        };
        let Some(laid) = laid else { return Err(self.other(self.written + 1)) };
        self.at = align_to(self.at, laid.layout.align);
        value.serialize(Slot::new(self.space, Some(laid), self.at)).map_err(|error| error.within(self.written))?;
        self.at += laid.layout.size;
        self.written += 1;
        Ok(())
    }

    #[inline]
    fn finish(self) -> Result<(), Misfit> {
        match &self.of {
            Of::Flags(_) => Ok(()),
            // Options at the end may be left out.
            Of::Parameters(fields) => {
                let mut missing = fields.iter().skip(self.written);
                if missing.all(|(_, laid)| matches!(laid.ty, ValueType::Option(_))) {
                    Ok(())
                } else {
                    Err(self.other(self.written))
                }
            }
            Of::List(_, many) if self.written == *many => Ok(()),
            Of::Tuple(types) if self.written == types.len() => Ok(()),
            _ => Err(self.other(self.written)),
        }
    }

    /// There are so many values, and more or fewer are wanted.
    fn other(&self, found: usize) -> Misfit {
        let (wanted, what) = match &self.of {
            Of::List(_, many) => (*many, "element"),
            Of::Tuple(types) => (types.len(), "value"),
            Of::Parameters(fields) => (fields.len(), "argument"),
            Of::Flags(_) => (0, "flag"),
        };
        let plural = if wanted == 1 { "" } else { "s" };
        let more = if found > wanted { " or more" } else { "" };
        Misfit::new(format!("{wanted} {what}{plural} wanted, and {found}{more} found"))
    }
}

macro_rules! elements {
    ($($kind:ident $add:ident)*) => {
        $(impl ser::$kind for Elements<'_> {
            type Ok = ();
            type Error = Misfit;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
                self.add(value)
            }

            fn end(self) -> Result<(), Misfit> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// Values by name: the fields of a record, or one case and what it carries.
pub(in crate::typed) struct Named<'a> {
    space: &'a mut Space,
    laid: &'a Laid,
    /// Of a record; none of what has cases.
    fields: &'a [(Box<str>, Laid)],
    at: usize,
    /// Those before this one are there, and the next one in order lies there: that costs no search, and no memory.
    next: (usize, usize),
    /// Which ones are there behind it; empty where they came in order.
    beyond: Vec<usize>,
    /// The name of what comes next, in a map.
    key: String,
}

impl<'a> Named<'a> {
    #[inline]
    pub(super) fn begin(slot: Slot<'a>) -> Result<Self, Misfit> {
        let slot = slot.within()?;
        let (laid, fields) = match slot.laid {
            Some(laid @ Laid { ty: ValueType::Record(fields), .. }) => (laid, &**fields),
            Some(laid @ Laid { ty: ValueType::Variant(_) | ValueType::Result(..) | ValueType::Option(_), .. }) => {
                (laid, &[][..])
            }
            _ => return slot.misfit("an object"),
        };
        let Slot { space, at, .. } = slot;
        Ok(Self { space, laid, fields, at, next: (0, at), beyond: Vec::new(), key: String::new() })
    }

    #[inline]
    fn add<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
        is_same: impl Fn(&str, &str) -> bool,
    ) -> Result<(), Misfit> {
        let slot = match self.fields.get(self.next.0) {
            // As nearly all come.
            Some((field, laid)) if self.beyond.is_empty() && is_same(field, name) => {
                let at = align_to(self.next.1, laid.layout.align);
                self.next = (self.next.0 + 1, at + laid.layout.size);
                Slot::new(self.space, Some(laid), at)
            }
            _ => self.place(name, is_same)?,
        };
        value.serialize(slot).map_err(|error| error.within(name))
    }

    /// Where a field lies that does not come in order, or what a case carries. It was not there before.
    #[cold]
    fn place(&mut self, name: &str, is_same: impl Fn(&str, &str) -> bool) -> Result<Slot<'_>, Misfit> {
        if !matches!(self.laid.ty, ValueType::Record(_)) {
            if self.next.0 > 0 {
                return Err(Misfit::new(format!("{} has one case, and there are more", self.laid)));
            }
            self.next.0 = 1;
            return Slot::new(self.space, Some(self.laid), self.at).case_of_json(name);
        }
        let mut at = self.at;
        for (index, (field, laid)) in self.fields.iter().enumerate() {
            at = align_to(at, laid.layout.align);
            if is_same(field, name) {
                if index < self.next.0 || self.beyond.contains(&index) {
                    return Err(Misfit::new("it is there twice").within(name));
                }
                self.beyond.push(index);
                return Ok(Slot::new(self.space, Some(laid), at));
            }
            at += laid.layout.size;
        }
        Err(Misfit::new(format!("{} has no such field", self.laid)).within(name))
    }

    #[inline]
    fn finish(self) -> Result<(), Misfit> {
        let ValueType::Record(fields) = &self.laid.ty else {
            return if self.next.0 == 0 { Err(Misfit::wanted(self.laid, &"an empty object")) } else { Ok(()) };
        };
        for (index, (field, laid)) in fields.iter().enumerate().skip(self.next.0) {
            // An option that is not there is none.
            if !self.beyond.contains(&index) && !matches!(laid.ty, ValueType::Option(_)) {
                return Err(Misfit::new(format!("{laid} is wanted, and it is missing")).within(field));
            }
        }
        Ok(())
    }
}

impl ser::SerializeMap for Named<'_> {
    type Ok = ();
    type Error = Misfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Misfit> {
        let laid = Laid::from(ValueType::String);
        let mut space = Space::of(&laid);
        key.serialize(Slot::new(&mut space, Some(&laid), 0))?;
        self.key = space::text(space.bytes(), 0)?.to_owned();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let key = std::mem::take(&mut self.key);
        self.add(&key, value, |field, name| field == name)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

macro_rules! named {
    ($($kind:ident)*) => {
        $(impl ser::$kind for Named<'_> {
            type Ok = ();
            type Error = Misfit;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Misfit> {
                self.add(name, value, same_name)
            }

            #[inline]
            fn end(self) -> Result<(), Misfit> {
                self.finish()
            }
        })*
    };
}

named! { SerializeStruct SerializeStructVariant }
