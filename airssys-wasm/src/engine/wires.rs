//! What a component imports that no host has: the functions of other services, which the operator wires to them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::types::{Component as ComponentType, ComponentExtern, ComponentItem};
use wasmtime::component::{Linker, ResourceAny, Val};
use wasmtime::{AsContextMut as _, Engine, StoreContextMut};

use super::abi::{self, Answering, Crossing};
use super::block;
use super::contract::is_contract;
use super::foreign::Imported;
use super::guest::Guest;
use super::lending;
use super::no_call::NoCall;
use super::signature::{Resources, drop_function};
use super::wave::read_value;
use crate::error::CallError;
use crate::message::Answer;
use crate::turn::{HostCall, WrongKind};
use crate::typed::{FunctionType, Laid, ValueType};

/// An interface that is imported from another service.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// What the component calls it: the interface, or a name of its own, where it imports that several times.
    pub(crate) name: Arc<str>,
    /// The interface, with its version.
    pub(crate) interface: Box<str>,
    /// Its functions. An interface of types alone has none.
    pub(crate) functions: Vec<Arc<FunctionType>>,
    /// The resources that it has.
    resources: Arc<[Imported]>,
}

impl Import {
    /// Whether this is a value that the function returns, as it is written in WAVE.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn reads(function: &FunctionType, text: &str) -> Result<(), NoCall> {
        match &function.result {
            Some(laid) => {
                let block = block::lower_result(laid, &read_value(laid, text)?)?;
                match laid.handles_in(&block).as_deref() {
                    Ok([]) => Ok(()),
                    _ => Err(NoCall::Arguments { detail: "a handle is made by an instance".to_owned() }),
                }
            }
            None => Err(NoCall::Arguments { detail: "it returns nothing".to_owned() }),
        }
    }
}

/// A function that another service was to carry out, and there is no value that says so.
#[derive(Debug, thiserror::Error)]
#[error("its wire {interface}#{function} to {to} failed: {why}")]
pub(super) struct WireFailed {
    interface: String,
    function: String,
    to: String,
    why: CallError,
}

/// A function that is imported, and by which wire.
struct Wired {
    wire: Arc<str>,
    function: Arc<FunctionType>,
    /// The resources of its interface.
    resources: Arc<[Imported]>,
}

impl abi::Answer<Guest> for Arc<Wired> {
    fn answer<'a, R: From<Crossing>>(
        &self,
        mut store: StoreContextMut<'a, Guest>,
        (body, given): Crossing,
    ) -> Answering<'a, R> {
        let wired = Self::clone(self);
        if wired.function.mentions_handles() {
            // A future of its own: one without handles does not carry it around.
            return Box::new(async move { wired.call_with_handles(store, body, &given).await.map(R::from) });
        }
        Box::new(async move { wired.call(store.data_mut(), body).await.map(|block| R::from((block, Vec::new()))) })
    }
}

/// The interface that an import is of, whatever it is called.
pub(super) fn interface<'a>(name: &'a str, item: &ComponentExtern<'a>) -> &'a str {
    item.implements.unwrap_or(name)
}

/// Whether an import is another service's affair: an interface that is neither WASI's nor the contract's.
pub(super) fn is_foreign(import: &str) -> bool {
    import.contains(':') && !import.starts_with("wasi:") && !is_contract(import)
}

/// What a component imports from other services, as far as its values can cross: an import that is missing here has a
/// function whose values cannot.
pub(super) fn of(engine: &Engine, ty: &ComponentType) -> Vec<Import> {
    let (mut known, mut hosts) = (Resources::default(), Resources::default());
    for (name, item) in ty.imports(engine) {
        let interface = interface(name, &item);
        let of = if is_foreign(interface) { &mut known } else { &mut hosts };
        of.read(engine, interface, &item.ty);
    }
    // What an interface has of WASI is no service's.
    let known = known.without(&hosts);
    let foreign = ty.imports(engine).filter(|(name, item)| is_foreign(interface(name, item)));
    let read = foreign.filter_map(|(name, item)| {
        let interface = interface(name, &item);
        let ComponentItem::ComponentInstance(instance) = item.ty else { return None };
        let (mut functions, mut resources) = (Vec::new(), Vec::new());
        for (inner, item) in instance.exports(engine) {
            match item.ty {
                // What answers it holds the store while it waits, which an async function does not.
                ComponentItem::ComponentFunc(function) if function.async_() => return None,
                ComponentItem::ComponentFunc(function) => {
                    functions.push(Arc::new(known.function(Some(interface), inner, &function)?));
                }
                ComponentItem::Resource(resource) => resources.push(imported(inner, known.get(&resource)?)?),
                ComponentItem::Type(_) => {}
                _ => return None,
            }
        }
        Some(Import { name: name.into(), interface: interface.into(), functions, resources: resources.into() })
    });
    read.collect()
}

fn imported(name: &str, (which, full): (usize, &str)) -> Option<Imported> {
    let drop = Arc::new(drop_function(None, full));
    Some(Imported { name: name.into(), full: full.into(), which: u32::try_from(which).ok()?, drop })
}

/// A linker that has these as well: each function becomes a call of the service that it is wired to.
pub(super) fn linked<'a>(linker: &'a Linker<Guest>, imports: &[Import]) -> wasmtime::Result<Cow<'a, Linker<Guest>>> {
    if imports.is_empty() {
        return Ok(Cow::Borrowed(linker));
    }
    let mut linker = linker.clone();
    for Import { name, functions, resources, .. } in imports {
        let mut instance = linker.instance(name)?;
        for imported in &**resources {
            lending::define(&mut instance, imported)?;
        }
        for function in functions {
            let (function, resources) = (Arc::clone(function), Arc::clone(resources));
            let wired = Wired { wire: Arc::clone(name), function, resources };
            abi::define(&mut instance, &Arc::clone(&wired.function), Arc::new(wired))?;
        }
    }
    Ok(Cow::Owned(linker))
}

impl Wired {
    /// Calls the service that the function is wired to, and waits for its answer, which is empty where it has no
    /// result.
    async fn call(&self, guest: &mut Guest, body: Bytes) -> wasmtime::Result<Bytes> {
        let answer = self.ask(guest, body).await?;
        self.told(guest, answer)
    }

    /// The same for a function that takes handles, or gives some.
    async fn call_with_handles(
        &self,
        mut store: StoreContextMut<'_, Guest>,
        body: Bytes,
        given: &[ResourceAny],
    ) -> wasmtime::Result<Crossing> {
        let mut body = Vec::from(body);
        let given = lending::give(store.as_context_mut(), &self.function, &mut body, given)?;
        let answer = self.ask(store.data_mut(), body.into()).await?;
        let guest = store.data_mut();
        if answer.is_err() {
            // It may not have come there, and is nobody's then.
            given.into_iter().for_each(|owned| guest.release(owned));
        }
        let (Some(result), Ok(Some(block))) = (&self.function.result, &answer) else {
            return Ok((self.told(guest, answer)?, Vec::new()));
        };
        match lending::take(store.as_context_mut(), &self.wire, &self.resources, result, block)? {
            Ok(returned) => Ok(returned),
            Err(why) => Ok((self.told(store.data_mut(), Err(why))?, Vec::new())),
        }
    }

    async fn ask(&self, guest: &mut Guest, body: Bytes) -> Result<Answer, WrongKind> {
        let function = Arc::clone(&self.function);
        // Nearly always it is called as its interface.
        let name = (function.interface.as_deref() != Some(&*self.wire)).then(|| self.wire.to_string());
        let invoke = HostCall::Invoke { to: self.to(guest), name, function, body };
        guest.turn.perform(invoke).await.answer()
    }

    /// What who called is told: nothing where the function has no result.
    fn told(&self, guest: &Guest, answer: Answer) -> wasmtime::Result<Bytes> {
        match (answer, &self.function.result) {
            (Ok(_), None) => Ok(Bytes::new()),
            (Ok(Some(body)), Some(_)) => Ok(body),
            (Ok(None), Some(_)) => Err(self.failed(guest, CallError::Dropped("it answered nothing".to_owned()))),
            (Err(why), laid) => match laid.as_ref().and_then(|laid| self.failure(guest, laid, &why)) {
                Some(block) => Ok(block),
                None => Err(self.failed(guest, why)),
            },
        }
    }

    fn to(&self, guest: &Guest) -> String {
        guest.turn.identity.terms.wire(&self.wire).map(|wire| wire.to.as_str().to_owned()).unwrap_or_default()
    }

    fn failed(&self, guest: &Guest, why: CallError) -> wasmtime::Error {
        let interface = self.function.interface.as_deref().unwrap_or_default().to_owned();
        WireFailed { interface, function: self.function.spoken().into_owned(), to: self.to(guest), why }.into()
    }

    /// That a call failed as a value of the function's own type: the one that the operator chose, or the error where
    /// that is a text.
    fn failure(&self, guest: &Guest, laid: &Laid, why: &CallError) -> Option<Bytes> {
        let wire = guest.turn.identity.terms.wire(&self.wire).filter(|_| why.is_outage());
        let value = wire.and_then(|wire| wire.on_failure.value_of(&self.function));
        let instead = value.and_then(|text| read_value(laid, text).ok());
        block::lower_result(laid, &instead.or_else(|| as_text(laid, why))?).ok()
    }
}

fn as_text(laid: &Laid, why: &CallError) -> Option<Val> {
    match &laid.ty {
        ValueType::Result(_, Some(error)) if error.ty == ValueType::String => {
            Some(Val::Result(Err(Some(Box::new(Val::String(why.to_string()))))))
        }
        _ => None,
    }
}
