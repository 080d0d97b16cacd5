//! The types of what a part imports and exports, as typed calls have them: so that what two parts differ in is told as
//! it is told of two services that are wired.

use wac_graph::types::{DefinedType, FuncTypeId, ItemKind, PrimitiveType, Types, ValueType as Linked};

use crate::typed::{FunctionType, Laid, ValueType};

/// The functions of an import or an export: one of an instance, or itself. Those that are called with more than plain
/// values are left out: the linker judges these.
pub(super) fn functions(types: &Types, name: &str, item: ItemKind) -> Vec<FunctionType> {
    match item {
        ItemKind::Func(id) => function(types, None, name, id).into_iter().collect(),
        ItemKind::Instance(id) => {
            let inside = types[id].exports.iter();
            let inside = inside.filter_map(|(inner, item)| match item {
                ItemKind::Func(id) => function(types, Some(name), inner, *id),
                _ => None,
            });
            inside.collect()
        }
        _ => Vec::new(),
    }
}

fn function(types: &Types, interface: Option<&str>, name: &str, id: FuncTypeId) -> Option<FunctionType> {
    let ty = &types[id];
    if ty.is_async {
        return None;
    }
    let params = ty.params.iter().map(|(name, ty)| Some((name.as_str().into(), laid(types, *ty)?)));
    let params = ValueType::Record(params.collect::<Option<_>>()?).into();
    let result = maybe(ty.result, |ty| laid(types, ty))?;
    Some(FunctionType { interface: interface.map(Into::into), name: name.into(), params, result })
}

/// What there is, made another thing; none where that cannot be made.
fn maybe<T, U>(of: Option<T>, make: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match of {
        Some(of) => make(of).map(Some),
        None => Some(None),
    }
}

fn laid(types: &Types, ty: Linked) -> Option<Laid> {
    let boxed = |ty| laid(types, ty).map(Box::new);
    let ty = match ty {
        Linked::Primitive(primitive) => plain(primitive)?,
        Linked::Defined(id) => match &types[id] {
            DefinedType::Alias(of) => return laid(types, *of),
            DefinedType::Tuple(of) => ValueType::Tuple(of.iter().map(|ty| laid(types, *ty)).collect::<Option<_>>()?),
            DefinedType::List(of) => ValueType::List(boxed(*of)?),
            DefinedType::Option(of) => ValueType::Option(boxed(*of)?),
            DefinedType::Result { ok, err } => ValueType::Result(maybe(*ok, boxed)?, maybe(*err, boxed)?),
            DefinedType::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| Some((name.as_str().into(), laid(types, *ty)?)));
                ValueType::Record(fields.collect::<Option<_>>()?)
            }
            DefinedType::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases = cases.map(|(name, ty)| Some((name.as_str().into(), maybe(*ty, |ty| laid(types, ty))?)));
                ValueType::Variant(cases.collect::<Option<_>>()?)
            }
            DefinedType::Flags(flags) => ValueType::Flags(flags.0.iter().map(|name| name.as_str().into()).collect()),
            DefinedType::Enum(cases) => ValueType::Enum(cases.0.iter().map(|name| name.as_str().into()).collect()),
            DefinedType::FixedSizeList(..) | DefinedType::Map(..) | DefinedType::Stream(_) | DefinedType::Future(_) => {
                return None;
            }
        },
        Linked::Borrow(_) | Linked::Own(_) => return None,
    };
    Some(ty.into())
}

fn plain(ty: PrimitiveType) -> Option<ValueType> {
    Some(match ty {
        PrimitiveType::Bool => ValueType::Bool,
        PrimitiveType::S8 => ValueType::S8,
        PrimitiveType::U8 => ValueType::U8,
        PrimitiveType::S16 => ValueType::S16,
        PrimitiveType::U16 => ValueType::U16,
        PrimitiveType::S32 => ValueType::S32,
        PrimitiveType::U32 => ValueType::U32,
        PrimitiveType::S64 => ValueType::S64,
        PrimitiveType::U64 => ValueType::U64,
        PrimitiveType::F32 => ValueType::F32,
        PrimitiveType::F64 => ValueType::F64,
        PrimitiveType::Char => ValueType::Char,
        PrimitiveType::String => ValueType::String,
        PrimitiveType::ErrorContext => return None,
    })
}
