//! The types of values and functions, by their structure, as the component model has them: what a typed message is
//! made by, and read by.
//!
//! A value crosses as a **block**: the canonical ABI's own layout, with each place of a string or a list counted from
//! the begin of the block instead of from that of a memory. So a block can be kept, measured and sent as any other body
//! is, and its types say how to read it; none of them stands in it. `engine/block.rs` makes blocks of the engine's
//! values and reads them; `write.rs` and `read.rs` do so of values of Rust, and of JSON.

mod argument;
mod flags;
mod handle;
mod json;
mod layout;
mod misfit;
mod named;
mod read;
mod samples;
mod scratch;
pub(crate) mod space;
mod versions;
mod write;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::flags::typed_flags;
pub(crate) use self::handle::{Handle, bare_resource, put as put_handle};
pub(crate) use self::json::{NoJson, arguments_of_json, result_as_json};
pub(crate) use self::layout::{Layout, align_to, discriminant_bytes};
pub use self::misfit::Misfit;
pub(crate) use self::named::same_name;
pub(crate) use self::read::read_result;
pub(crate) use self::samples::{check_arguments, check_result, has_fields_in_order};
pub(crate) use self::scratch::{made, scratch, scratch_for};
pub(crate) use self::versions::{compatible, track, unversioned};
pub(crate) use self::write::write_arguments;

/// The type of a value. Two that are equal are the same type, whatever they are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValueType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// Any number of one type.
    List(Box<Laid>),
    /// Its fields, in order.
    Record(Vec<(Box<str>, Laid)>),
    /// What it is made of, in order.
    Tuple(Vec<Laid>),
    /// Its cases, in order, and what each of them carries.
    Variant(Vec<(Box<str>, Option<Laid>)>),
    /// Its cases, in order.
    Enum(Vec<Box<str>>),
    /// Its flags, the lowest bit first.
    Flags(Vec<Box<str>>),
    /// One, or none.
    Option(Box<Laid>),
    /// What it carries where all is well, and where it is not.
    Result(Option<Box<Laid>>, Option<Box<Laid>>),
    /// A handle that is given away, of a resource by its name. Two of one name are one resource.
    Own(Box<str>),
    /// A handle that is lent for the call.
    Borrow(Box<str>),
}

/// A type, and how a value of it lies in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ValueType", into = "ValueType")]
pub(crate) struct Laid {
    pub(crate) ty: ValueType,
    pub(crate) layout: Layout,
    /// Whether a value of it may hold handles of resources.
    pub(crate) has_handles: bool,
}

/// A function that a component exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionType {
    /// The interface that it stands in, with its version; none where the component exports it by itself.
    pub(crate) interface: Option<Box<str>>,
    /// Its name there.
    pub(crate) name: Box<str>,
    /// Its parameters, as the fields of a record.
    pub(crate) params: Laid,
    /// What it returns, where it returns something.
    pub(crate) result: Option<Laid>,
}

impl From<ValueType> for Laid {
    fn from(ty: ValueType) -> Self {
        let (layout, has_handles) = (Layout::of(&ty), ty.has_handles());
        Self { ty, layout, has_handles }
    }
}

impl From<Laid> for ValueType {
    fn from(laid: Laid) -> Self {
        laid.ty
    }
}

impl FunctionType {
    /// Its parameters with their types.
    pub(crate) fn params(&self) -> &[(Box<str>, Laid)] {
        match &self.params.ty {
            ValueType::Record(fields) => fields,
            _ => &[],
        }
    }

    /// Whether a block made for the one is what the other one reads, and the answer as well: they have the same name
    /// and the same types, in compatible versions of their interface.
    pub(crate) fn takes_calls_of(&self, other: &Self) -> bool {
        self.is_called_as(other) && (&self.params, &self.result) == (&other.params, &other.result)
    }

    /// Whether it has the name of the other one, in a compatible version of its interface.
    pub(crate) fn is_called_as(&self, other: &Self) -> bool {
        let same_interface = match (self.interface.as_deref(), other.interface.as_deref()) {
            (None, None) => true,
            (Some(one), Some(other)) => compatible(one, other),
            _ => false,
        };
        same_interface && self.name == other.name
    }

    /// Whether it is called this: its name, with its interface before it or without, which has its version or not.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        match name.rsplit_once('#') {
            None => self.is_named(name),
            Some((interface, function)) => self.is_named(function) && self.is_of(interface),
        }
    }

    /// Whether this is its name, as the component has it or as people write it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        *self.name == *name || self.spoken() == name
    }

    /// Its name as people write it: that of a function of a resource is `cart.new` for `[constructor]cart`, `cart.add`
    /// for `[method]cart.add` and `[static]cart.add`, and `cart.drop` for `[resource-drop]cart`.
    pub(crate) fn spoken(&self) -> Cow<'_, str> {
        match self.name.strip_prefix('[').and_then(|name| name.split_once(']')) {
            Some(("constructor", resource)) => format!("{resource}.new").into(),
            Some(("resource-drop", resource)) => format!("{resource}.drop").into(),
            Some((_, name)) => name.into(),
            None => (&*self.name).into(),
        }
    }

    /// Whether this is its interface, with the version or without.
    pub(crate) fn is_of(&self, interface: &str) -> bool {
        self.interface.as_deref().is_some_and(|full| full == interface || unversioned(full) == interface)
    }

    /// `interface#name`, or the name alone.
    pub(crate) fn path(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.spoken()),
            None => self.spoken().into_owned(),
        }
    }
}

/// As it is written in WIT.
impl fmt::Display for FunctionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: func(", self.spoken())?;
        separated(f, self.params(), |f, (name, laid)| write!(f, "{name}: {laid}"))?;
        f.write_str(")")?;
        self.result.as_ref().map_or(Ok(()), |result| write!(f, " -> {result}"))
    }
}

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let braced = |f: &mut fmt::Formatter<'_>, what: &str, names: &[Box<str>]| {
            write!(f, "{what} {{ ")?;
            separated(f, names, |f, name| f.write_str(name))?;
            f.write_str(" }")
        };
        match &self.ty {
            ValueType::Bool => f.write_str("bool"),
            ValueType::S8 => f.write_str("s8"),
            ValueType::U8 => f.write_str("u8"),
            ValueType::S16 => f.write_str("s16"),
            ValueType::U16 => f.write_str("u16"),
            ValueType::S32 => f.write_str("s32"),
            ValueType::U32 => f.write_str("u32"),
            ValueType::S64 => f.write_str("s64"),
            ValueType::U64 => f.write_str("u64"),
            ValueType::F32 => f.write_str("f32"),
            ValueType::F64 => f.write_str("f64"),
            ValueType::Char => f.write_str("char"),
            ValueType::String => f.write_str("string"),
            ValueType::List(of) => write!(f, "list<{of}>"),
            ValueType::Option(of) => write!(f, "option<{of}>"),
            ValueType::Record(fields) => {
                f.write_str("record { ")?;
                separated(f, fields, |f, (name, laid)| write!(f, "{name}: {laid}"))?;
                f.write_str(" }")
            }
            ValueType::Tuple(types) => {
                f.write_str("tuple<")?;
                separated(f, types, |f, laid| write!(f, "{laid}"))?;
                f.write_str(">")
            }
            ValueType::Variant(cases) => {
                f.write_str("variant { ")?;
                separated(f, cases, |f, (name, carries)| match carries {
                    Some(laid) => write!(f, "{name}({laid})"),
                    None => f.write_str(name),
                })?;
                f.write_str(" }")
            }
            ValueType::Enum(names) => braced(f, "enum", names),
            ValueType::Flags(names) => braced(f, "flags", names),
            ValueType::Result(None, None) => f.write_str("result"),
            ValueType::Result(Some(ok), None) => write!(f, "result<{ok}>"),
            ValueType::Result(None, Some(error)) => write!(f, "result<_, {error}>"),
            ValueType::Result(Some(ok), Some(error)) => write!(f, "result<{ok}, {error}>"),
            ValueType::Own(resource) => write!(f, "own<{}>", bare_resource(resource)),
            ValueType::Borrow(resource) => write!(f, "borrow<{}>", bare_resource(resource)),
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    all: &[T],
    mut each: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        each(f, one)?;
    }
    Ok(())
}
