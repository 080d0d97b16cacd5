//! The functions that a component exports beside the contract: read once a release, called by their places.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, Val, wasm_wave};

use super::block;
use super::contract::CONTRACT;
use super::interface::is_left_behind;
use crate::typed::{FunctionType, Laid, ValueType};

/// A function that is exported.
pub(crate) struct Function {
    pub(crate) ty: Arc<FunctionType>,
    /// The engine's own types, by which text is read.
    item: ComponentFunc,
    /// Where it is in each instance.
    pub(super) index: ComponentExportIndex,
}

/// Those of a release.
#[derive(Clone, Default)]
pub(crate) struct Functions(Arc<[Function]>);

/// Why a text is no call of a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCall {
    /// It is not written as a call is, or an argument is none of its type.
    #[error("at character {at}: {detail}")]
    Text {
        /// Where, counted from 1.
        at: usize,
        /// What is wrong there.
        detail: String,
    },
    /// An argument is none of its type, or there are more or fewer.
    #[error("{detail}")]
    Arguments {
        /// Which one, what is wanted, and what it is.
        detail: String,
    },
    /// It names no function.
    #[error("there is no function `{name}`{}", There(.there))]
    Unknown {
        /// What it names.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// It names several.
    #[error("`{name}` is one of several functions: {}", .which.join(", "))]
    Ambiguous {
        /// What it names.
        name: String,
        /// Those that are called so.
        which: Vec<String>,
    },
}

impl From<block::Mismatch> for NoCall {
    fn from(mismatch: block::Mismatch) -> Self {
        Self::Arguments { detail: mismatch.to_string() }
    }
}

impl NoCall {
    /// What is wrong with a text from this byte of it on.
    fn of_text(text: &str, from: usize, error: &wasm_wave::parser::ParserError) -> Self {
        let so_far = text.get(..from + error.span().start);
        let at = so_far.map_or(0, |so_far| so_far.chars().count()) + 1;
        // Its own text counts bytes, of a part of what was written.
        let detail = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self::Text { at, detail }
    }
}

struct There<'a>(&'a [String]);

impl std::fmt::Display for There<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("; it exports none"),
            there => write!(f, "; it exports {}", there.join(", ")),
        }
    }
}

/// Whether an export is called by its own type: neither by the contract's nor by one of WASI's.
pub(super) fn is_typed(export: &str) -> bool {
    !export.starts_with(CONTRACT) && !export.starts_with("wasi:")
}

impl Functions {
    /// Those of a component.
    pub(super) fn of(component: &Component) -> Self {
        let engine = component.engine();
        let mut found = Vec::new();
        let ty = component.component_type();
        for (name, item) in ty.exports(engine).filter(|(name, _)| is_typed(name)) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => {
                    found.extend(read(component, None, name, function));
                }
                ComponentItem::ComponentInstance(instance) if !is_left_behind(engine, name, &item.ty) => {
                    for (inner, item) in instance.exports(engine) {
                        if let ComponentItem::ComponentFunc(function) = item.ty {
                            found.extend(read(component, Some(name), inner, function));
                        }
                    }
                }
                _ => {}
            }
        }
        Self(found.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Function> {
        self.0.iter()
    }

    /// The one that takes calls of this type.
    pub(super) fn find(&self, ty: &FunctionType) -> Option<&Function> {
        self.iter().find(|function| function.ty.takes_calls_of(ty))
    }

    /// The one of this name: its own, or that with its interface before it, with or without a version.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub(crate) fn named(&self, name: &str) -> Result<&Function, NoCall> {
        let mut named = self.iter().filter(|function| function.ty.is_called(name));
        let Some(found) = named.next() else {
            let there = self.iter().map(|function| function.ty.path()).collect();
            return Err(NoCall::Unknown { name: name.to_owned(), there });
        };
        let others: Vec<String> = named.map(|function| function.ty.path()).collect();
        if others.is_empty() {
            return Ok(found);
        }
        let which = std::iter::once(found.ty.path()).chain(others).collect();
        Err(NoCall::Ambiguous { name: name.to_owned(), which })
    }

    /// What a call says that is written in WAVE, such as `quote({sku: "a", qty: 2})`. Its interface may stand before
    /// the name: `acme:shop/pricing#quote(...)`.
    ///
    /// # Errors
    ///
    /// [`NoCall`].
    pub(crate) fn read_call(&self, text: &str) -> Result<(Arc<FunctionType>, Bytes), NoCall> {
        // What stands before the name is no part of WAVE's syntax.
        let open = text.find('(').unwrap_or(text.len());
        let (before, rest) = match text.get(..open).and_then(|name| name.rfind('#')) {
            Some(at) => (text.get(..=at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            None => ("", text),
        };
        let wrong = |error: &wasm_wave::parser::ParserError| NoCall::of_text(text, before.len(), error);
        let call = wasm_wave::untyped::UntypedFuncCall::parse(rest).map_err(|error| wrong(&error))?;
        let name = format!("{before}{}", call.name());
        let function = self.named(&name)?;
        let types: Vec<Type> = function.item.params().map(|(_, ty)| ty).collect();
        let arguments: Vec<Val> = call.to_wasm_params(&types).map_err(|error| wrong(&error))?;
        let block = block::lower_arguments(&function.ty, &arguments)?;
        Ok((Arc::clone(&function.ty), block))
    }
}

/// A value of this type that is written in WAVE.
///
/// # Errors
///
/// [`NoCall::Text`].
pub(super) fn read_value(ty: &Type, text: &str) -> Result<Val, NoCall> {
    wasm_wave::from_str(ty, text).map_err(|error| NoCall::of_text(text, 0, &error))
}

/// The result of a call as it is written in WAVE; none where the function has none.
pub(crate) fn result_text(ty: &FunctionType, answer: Option<&[u8]>) -> Option<String> {
    let value = block::lift_result(ty.result.as_ref()?, answer?).ok()?;
    Some(value.to_wave().unwrap_or_else(|error| format!("a value without a text: {error}")))
}

/// A call as it is written in WAVE; none where the block is none of its arguments.
pub(crate) fn call_text(ty: &FunctionType, block: &[u8]) -> Option<String> {
    let arguments = block::lift_arguments(ty, block).ok()?;
    let texts: Vec<String> = arguments.iter().map(|value| value.to_wave().ok()).collect::<Option<_>>()?;
    Some(format!("{}({})", ty.path(), texts.join(", ")))
}

/// A function, where it can be called from outside: all that it takes and returns are plain values.
fn read(component: &Component, interface: Option<&str>, name: &str, item: ComponentFunc) -> Option<Function> {
    let ty = Arc::new(function_type(interface, name, &item)?);
    let within = match interface {
        Some(interface) => Some(component.get_export_index(None, interface)?),
        None => None,
    };
    let index = component.get_export_index(within.as_ref(), name)?;
    Some(Function { ty, item, index })
}

/// The type of a function; none where not all that it takes and returns are plain values.
pub(super) fn function_type(interface: Option<&str>, name: &str, item: &ComponentFunc) -> Option<FunctionType> {
    if item.async_() {
        return None;
    }
    let params = item.params().map(|(name, ty)| Some((name.into(), laid(&ty)?))).collect::<Option<_>>()?;
    let result = match item.results().next() {
        Some(ty) => Some(laid(&ty)?),
        None => None,
    };
    let (interface, name) = (interface.map(Into::into), name.into());
    Some(FunctionType { interface, name, params: ValueType::Record(params).into(), result })
}

/// A type of the engine as ours; none where values of it belong to an instance, or are no plain values.
fn laid(ty: &Type) -> Option<Laid> {
    let boxed = |ty: Type| laid(&ty).map(Box::new);
    let maybe = |ty: Option<Type>| match ty {
        Some(ty) => Some(Some(boxed(ty)?)),
        None => Some(None),
    };
    Some(
        match ty {
            Type::Bool => ValueType::Bool,
            Type::S8 => ValueType::S8,
            Type::U8 => ValueType::U8,
            Type::S16 => ValueType::S16,
            Type::U16 => ValueType::U16,
            Type::S32 => ValueType::S32,
            Type::U32 => ValueType::U32,
            Type::S64 => ValueType::S64,
            Type::U64 => ValueType::U64,
            Type::Float32 => ValueType::F32,
            Type::Float64 => ValueType::F64,
            Type::Char => ValueType::Char,
            Type::String => ValueType::String,
            Type::List(list) => ValueType::List(boxed(list.ty())?),
            Type::Record(record) => {
                let fields = record.fields().map(|field| Some((field.name.into(), laid(&field.ty)?)));
                ValueType::Record(fields.collect::<Option<_>>()?)
            }
            Type::Tuple(tuple) => ValueType::Tuple(tuple.types().map(|ty| laid(&ty)).collect::<Option<_>>()?),
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| {
                    let carries = match case.ty {
                        Some(ty) => Some(laid(&ty)?),
                        None => None,
                    };
                    Some((case.name.into(), carries))
                });
                ValueType::Variant(cases.collect::<Option<_>>()?)
            }
            Type::Enum(cases) => ValueType::Enum(cases.names().map(Into::into).collect()),
            Type::Flags(flags) => ValueType::Flags(flags.names().map(Into::into).collect()),
            Type::Option(option) => ValueType::Option(boxed(option.ty())?),
            Type::Result(result) => ValueType::Result(maybe(result.ok())?, maybe(result.err())?),
            Type::FixedLengthList(_)
            | Type::Map(_)
            | Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext => return None,
        }
        .into(),
    )
}
