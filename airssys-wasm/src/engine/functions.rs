//! The functions that a component exports beside the contract: read once a release, called by their places.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Val};

use super::block;
use super::contract::{LAYER, is_contract};
use super::http;
use super::interface::is_left_behind;
use super::no_call::NoCall;
use super::signature::{Resources, drop_function};
use super::wave::Call;
use crate::http::function as http_function;
use crate::typed::FunctionType;

/// A function that is exported.
pub(crate) struct Function {
    pub(crate) ty: Arc<FunctionType>,
    /// Where it is in each instance; none of one that drops a handle, which each instance has by itself.
    pub(super) index: Option<ComponentExportIndex>,
}

impl Function {
    /// Whether it is the one that handles HTTP, whose own type is another one.
    pub(super) fn handles_http(&self) -> bool {
        Arc::ptr_eq(&self.ty, http_function())
    }
}

/// Those of a release.
#[derive(Clone, Default)]
pub(crate) struct Functions(Arc<[Function]>);

/// Whether an export is called by its own type: neither by the contract's nor by one of WASI's, but for what a layer
/// is asked.
pub(super) fn is_typed(export: &str) -> bool {
    export == LAYER || !is_contract(export) && !export.starts_with("wasi:")
}

impl Functions {
    /// Those of a component.
    pub(super) fn of(component: &Component) -> Self {
        let (engine, ty) = (component.engine(), component.component_type());
        let exports =
            || ty.exports(engine).filter(|(name, item)| is_typed(name) && !is_left_behind(engine, name, &item.ty));
        let (mut own, mut imported) = (Resources::default(), Resources::default());
        exports().for_each(|(name, item)| own.read(engine, name, &item.ty));
        ty.imports(engine).for_each(|(name, item)| imported.read(engine, name, &item.ty));
        // What it has of others is not its to make handles of.
        let own = own.without(&imported);
        let mut found = Vec::new();
        found.extend(ty.exports(engine).find_map(|(name, item)| handles_http(component, &imported, name, &item.ty)));
        for (name, item) in exports() {
            match item.ty {
                ComponentItem::ComponentFunc(function) => found.extend(read(component, &own, None, name, &function)),
                ComponentItem::ComponentInstance(instance) => {
                    for (inner, item) in instance.exports(engine) {
                        match item.ty {
                            ComponentItem::ComponentFunc(function) => {
                                found.extend(read(component, &own, Some(name), inner, &function));
                            }
                            ComponentItem::Resource(resource) => {
                                let drops = own.said_by(&resource, name, inner);
                                let drops = drops.map(|full| Arc::new(drop_function(Some(name), full)));
                                found.extend(drops.map(|ty| Function { ty, index: None }));
                            }
                            _ => {}
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
        let call = Call::read(text)?;
        let function = self.named(&call.name())?;
        let block = block::lower_arguments(&function.ty, &call.arguments(&function.ty)?)?;
        Ok((Arc::clone(&function.ty), block))
    }
}

/// The result of a call as it is written in WAVE; none where the function has none.
pub(crate) fn result_text(ty: &FunctionType, answer: Option<&[u8]>) -> Option<String> {
    let value = block::lift_result(ty.result.as_ref()?, answer?).ok()?;
    Some(value.to_wave().unwrap_or_else(|error| format!("a value without a text: {error}")))
}

/// The longest block that people are told in WAVE, in bytes: while its text is made it takes many times as much.
const SHOWN_BYTES: usize = 256 << 10;

/// [`result_text`] for people, who are shown bytes as text where they are one; none of what is very long.
pub(crate) fn shown_result(ty: &FunctionType, answer: &[u8]) -> Option<String> {
    let laid = ty.result.as_ref().filter(|_| answer.len() <= SHOWN_BYTES)?;
    readable(block::lift_result(laid, answer).ok()?).to_wave().ok()
}

/// [`call_text`] for people, likewise.
pub(crate) fn shown_call(ty: &FunctionType, block: &[u8]) -> Option<String> {
    let arguments = block::lift_arguments(ty, Some(block).filter(|block| block.len() <= SHOWN_BYTES)?).ok()?;
    let texts = arguments.into_iter().map(|value| readable(value).to_wave().ok());
    Some(format!("{}({})", ty.name, texts.collect::<Option<Vec<_>>>()?.join(", ")))
}

/// A value in which lists of bytes are strings, where they can be.
fn readable(value: Val) -> Val {
    let inside = |one: Option<Box<Val>>| one.map(|one| Box::new(readable(*one)));
    match value {
        Val::List(all) => match text(&all) {
            Some(text) => Val::String(text),
            None => Val::List(all.into_iter().map(readable).collect()),
        },
        Val::Tuple(all) => Val::Tuple(all.into_iter().map(readable).collect()),
        Val::Record(fields) => Val::Record(fields.into_iter().map(|(name, one)| (name, readable(one))).collect()),
        Val::Variant(name, one) => Val::Variant(name, inside(one)),
        Val::Option(one) => Val::Option(inside(one)),
        Val::Result(Ok(one)) => Val::Result(Ok(inside(one))),
        Val::Result(Err(one)) => Val::Result(Err(inside(one))),
        other => other,
    }
}

/// The text that a list of bytes is; none where it is empty, or something else.
fn text(all: &[Val]) -> Option<String> {
    let bytes = all.iter().map(|one| match one {
        Val::U8(byte) => Some(*byte),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())?).ok()
}

/// A call as it is written in WAVE; none where the block is none of its arguments.
pub(crate) fn call_text(ty: &FunctionType, block: &[u8]) -> Option<String> {
    let arguments = block::lift_arguments(ty, block).ok()?;
    let texts: Vec<String> = arguments.iter().map(|value| value.to_wave().ok()).collect::<Option<_>>()?;
    Some(format!("{}({})", ty.path(), texts.join(", ")))
}

/// The function that handles HTTP, by the type that all of these have.
fn handles_http(component: &Component, imported: &Resources, name: &str, item: &ComponentItem) -> Option<Function> {
    let ComponentItem::ComponentInstance(interface) = item else { return None };
    let (handle, _) = interface.exports(component.engine()).find(|(inner, item)| match &item.ty {
        ComponentItem::ComponentFunc(function) => http::is_handler(name) && http::is_handle(inner, function, imported),
        _ => false,
    })?;
    let within = component.get_export_index(None, name)?;
    let index = component.get_export_index(Some(&within), handle)?;
    Some(Function { ty: Arc::clone(http_function()), index: Some(index) })
}

/// A function, where it can be called from outside: all that it takes and returns can cross.
fn read(
    component: &Component,
    resources: &Resources,
    interface: Option<&str>,
    name: &str,
    item: &ComponentFunc,
) -> Option<Function> {
    let ty = Arc::new(resources.function(interface, name, item)?);
    let within = match interface {
        Some(interface) => Some(component.get_export_index(None, interface)?),
        None => None,
    };
    let index = component.get_export_index(within.as_ref(), name)?;
    Some(Function { ty, index: Some(index) })
}
