//! Calls and values as text: WAVE, in which a handle is a string.

use std::borrow::Cow;

use wasmtime::component::Val;
use wasmtime::component::wasm_wave;
use wasmtime::component::wasm_wave::parser::ParserError;
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::wasm_wave::value::{Type, Value};
use wasmtime::component::wasm_wave::wasm::{WasmTypeKind, WasmValue as _};

use super::no_call::NoCall;
use crate::typed::{FunctionType, Laid, ValueType};

/// A call that is written, and whose types are not known yet.
pub(super) struct Call<'a> {
    text: &'a str,
    /// What stands before the name that is no part of WAVE's syntax.
    before: &'a str,
    call: UntypedFuncCall<'a>,
}

impl<'a> Call<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, NoCall> {
        let name = text.split('(').next().unwrap_or_default();
        let (before, rest) = match name.rfind(['#', '.', ']']).and_then(|at| text.split_at_checked(at + 1)) {
            Some(parted) => parted,
            None => ("", text),
        };
        let call = UntypedFuncCall::parse(rest).map_err(|error| wrong(text, before.len(), &error))?;
        Ok(Self { text, before, call })
    }

    /// Its name, with what stands before it.
    pub(super) fn name(&self) -> String {
        format!("{}{}", self.before, self.call.name())
    }

    /// What it says, as the arguments of this function.
    pub(super) fn arguments(&self, function: &FunctionType) -> Result<Vec<Val>, NoCall> {
        let types: Vec<Type> = function.params().iter().filter_map(|(_, laid)| ty(laid)).collect();
        let arguments: Result<Vec<Value>, ParserError> = self.call.to_wasm_params(&types);
        let arguments = arguments.map_err(|error| wrong(self.text, self.before.len(), &error))?;
        Ok(arguments.iter().filter_map(value).collect())
    }
}

/// A value of this type that is written.
pub(super) fn read_value(laid: &Laid, text: &str) -> Result<Val, NoCall> {
    let none = || NoCall::Arguments { detail: format!("{laid} has no text") };
    let read: Value = wasm_wave::from_str(&ty(laid).ok_or_else(none)?, text).map_err(|error| wrong(text, 0, &error))?;
    value(&read).ok_or_else(none)
}

/// What is wrong with a text from this byte of it on.
fn wrong(text: &str, from: usize, error: &ParserError) -> NoCall {
    let so_far = text.get(..from + error.span().start);
    let at = so_far.map_or(0, |so_far| so_far.chars().count()) + 1;
    // Its own text counts bytes, of a part of what was written.
    let detail = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    NoCall::Text { at, detail }
}

/// A type as WAVE knows it; none where it has nothing in it, which no type of a component is.
fn ty(laid: &Laid) -> Option<Type> {
    let carried = |of: Option<&Laid>| match of {
        Some(laid) => Some(Some(ty(laid)?)),
        None => Some(None),
    };
    match &laid.ty {
        ValueType::Bool => Some(Type::BOOL),
        ValueType::S8 => Some(Type::S8),
        ValueType::U8 => Some(Type::U8),
        ValueType::S16 => Some(Type::S16),
        ValueType::U16 => Some(Type::U16),
        ValueType::S32 => Some(Type::S32),
        ValueType::U32 => Some(Type::U32),
        ValueType::S64 => Some(Type::S64),
        ValueType::U64 => Some(Type::U64),
        ValueType::F32 => Some(Type::F32),
        ValueType::F64 => Some(Type::F64),
        ValueType::Char => Some(Type::CHAR),
        ValueType::String | ValueType::Own(_) | ValueType::Borrow(_) => Some(Type::STRING),
        ValueType::List(of) => Some(Type::list(ty(of)?)),
        ValueType::Record(fields) => {
            let fields: Option<Vec<_>> = fields.iter().map(|(name, laid)| Some((&**name, ty(laid)?))).collect();
            Type::record(fields?)
        }
        ValueType::Tuple(types) => Type::tuple(types.iter().map(ty).collect::<Option<Vec<_>>>()?),
        ValueType::Variant(cases) => {
            let cases = cases.iter().map(|(name, of)| Some((&**name, carried(of.as_ref())?)));
            Type::variant(cases.collect::<Option<Vec<_>>>()?)
        }
        ValueType::Enum(names) => Type::enum_ty(names.iter().map(|name| &**name)),
        ValueType::Flags(names) => Type::flags(names.iter().map(|name| &**name)),
        ValueType::Option(of) => Some(Type::option(ty(of)?)),
        ValueType::Result(ok, error) => Some(Type::result(carried(ok.as_deref())?, carried(error.as_deref())?)),
    }
}

/// A value that was read, as the engine has it.
fn value(read: &Value) -> Option<Val> {
    let all =
        |values: &mut dyn Iterator<Item = Cow<'_, Value>>| values.map(|one| value(&one)).collect::<Option<Vec<_>>>();
    let carried = |of: Option<Cow<'_, Value>>| match of {
        Some(of) => Some(Some(Box::new(value(&of)?))),
        None => Some(None),
    };
    Some(match read.kind() {
        WasmTypeKind::Bool => Val::Bool(read.unwrap_bool()),
        WasmTypeKind::S8 => Val::S8(read.unwrap_s8()),
        WasmTypeKind::U8 => Val::U8(read.unwrap_u8()),
        WasmTypeKind::S16 => Val::S16(read.unwrap_s16()),
        WasmTypeKind::U16 => Val::U16(read.unwrap_u16()),
        WasmTypeKind::S32 => Val::S32(read.unwrap_s32()),
        WasmTypeKind::U32 => Val::U32(read.unwrap_u32()),
        WasmTypeKind::S64 => Val::S64(read.unwrap_s64()),
        WasmTypeKind::U64 => Val::U64(read.unwrap_u64()),
        WasmTypeKind::F32 => Val::Float32(read.unwrap_f32()),
        WasmTypeKind::F64 => Val::Float64(read.unwrap_f64()),
        WasmTypeKind::Char => Val::Char(read.unwrap_char()),
        WasmTypeKind::String => Val::String(read.unwrap_string().into_owned()),
        WasmTypeKind::List => Val::List(all(&mut *read.unwrap_list())?),
        WasmTypeKind::Tuple => Val::Tuple(all(&mut *read.unwrap_tuple())?),
        WasmTypeKind::Record => {
            let fields = read.unwrap_record().map(|(name, of)| Some((name.into_owned(), value(&of)?)));
            Val::Record(fields.collect::<Option<_>>()?)
        }
        WasmTypeKind::Variant => {
            let (name, of) = read.unwrap_variant();
            Val::Variant(name.into_owned(), carried(of)?)
        }
        WasmTypeKind::Enum => Val::Enum(read.unwrap_enum().into_owned()),
        WasmTypeKind::Flags => Val::Flags(read.unwrap_flags().map(Cow::into_owned).collect()),
        WasmTypeKind::Option => Val::Option(carried(read.unwrap_option())?),
        WasmTypeKind::Result => Val::Result(match read.unwrap_result() {
            Ok(of) => Ok(carried(of)?),
            Err(of) => Err(carried(of)?),
        }),
        _ => return None,
    })
}
