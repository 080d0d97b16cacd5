//! Calls of functions by their own types, from outside of the mesh.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::hosted::Hosted;
use crate::address::split;
use crate::engine::{self, NoCall, Template, Value};
use crate::error::{CallError, NotFound, SendError};
use crate::hint::{Act, Coded, Hint};
use crate::message::{Answer, DeadLetter, DeadReason, To};
use crate::router::{Caller, Origin, Said, Until};
use crate::typed::{
    FunctionType, Misfit, NoJson, arguments_of_json, check_arguments, check_result, has_fields_in_order, read_result,
    result_as_json, write_arguments,
};

/// Why a call of a function has no answer.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use std::time::Duration;
///
/// use airssys_wasm::InvokeError;
/// use airssys_wasm::hint::Coded;
///
/// let error = runtime.invoke("echo", "add(2, 3)", Duration::from_secs(5)).await.unwrap_err();
/// assert!(matches!(error, InvokeError::NoCall(_)) && error.code() == "no-call", "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// What was written is no call of a function of the service. Nothing was sent.
    #[error(transparent)]
    NoCall(#[from] NoCall),
    /// Its arguments are no JSON. Nothing was sent.
    #[error("line {line}, column {column}: {detail}")]
    NoJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong there.
        detail: String,
    },
    /// An argument is not of its type. Nothing was sent.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The call was made.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<NoJson> for InvokeError {
    fn from(error: NoJson) -> Self {
        match error {
            NoJson::Text { line, column, detail } => Self::NoJson { line, column, detail },
            NoJson::Misfit(misfit) => Self::Misfit(misfit),
        }
    }
}

/// A call as it is written: in [WAVE](https://docs.rs/wasm-wave) such as `quote({sku: "a", qty: 2})`, or its arguments
/// in JSON. Its result is written in the same way.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::adder(async |runtime| {
/// use std::time::Duration;
///
/// use airssys_wasm::Written;
///
/// for call in ["add(2, 3)".into(), Written::Json { function: "add", arguments: r#"{"a": 2, "b": 3}"# }] {
///     assert_eq!(runtime.invoke("adder", call, Duration::from_secs(5)).await?.as_deref(), Some("5"));
/// }
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// The function and its arguments.
    Wave(&'a str),
    /// The arguments apart: a list, or an object by the names of the parameters.
    Json {
        /// Its name; its interface may stand before it.
        function: &'a str,
        /// All of them.
        arguments: &'a str,
    },
}

impl<'a> From<&'a str> for Written<'a> {
    fn from(call: &'a str) -> Self {
        Self::Wave(call)
    }
}

impl Coded for InvokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCall(_) | Self::NoJson { .. } | Self::Misfit(_) => "no-call",
            Self::Call(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoCall(_) | Self::Misfit(_) => Some(Act::WriteCall.into()),
            Self::NoJson { .. } => {
                Some("arguments are a list, or an object by the names of the parameters: [2, 3]".into())
            }
            Self::Call(error) => error.hint(),
        }
    }
}

/// A function that a service exports by its own type, with that type in Rust: see [`crate::Runtime::function`].
///
/// Shown as text, it is its type as it is written in WIT.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::adder(async |runtime| {
/// use airssys_wasm::Function;
///
/// let add: Function<(u32, u32), u32> = runtime.function("adder", "add")?;
/// assert_eq!(add.to_string(), "add: func(a: u32, b: u32) -> u32");
/// # Ok(()) });
/// ```
pub struct Function<Args, Ret> {
    to: Box<str>,
    ty: Arc<FunctionType>,
    /// Whether its result is read without the names of fields.
    in_order: bool,
    types: PhantomData<fn(&Args) -> Ret>,
}

impl<Args, Ret> fmt::Display for Function<Args, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty)
    }
}

impl<Args, Ret> Clone for Function<Args, Ret> {
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), ty: Arc::clone(&self.ty), in_order: self.in_order, types: PhantomData }
    }
}

impl<Args, Ret> fmt::Debug for Function<Args, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("to", &self.to).field("ty", &self.ty).finish_non_exhaustive()
    }
}

impl Hosted {
    /// Whether a service takes messages of bytes; one that is not there does, and whoever sends is told.
    pub(crate) fn takes_bytes(&self, service: &str) -> bool {
        self.template(service).is_none_or(|template| template.takes_bytes())
    }

    /// Calls a function; its result in JSON or in WAVE, where it has one.
    pub(crate) async fn invoke(
        &self,
        to: To<'_>,
        call: Written<'_>,
        in_json: bool,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        let (ty, arguments) = self.read_call(to.address, call)?;
        let answer = self.call_block(to, &ty, arguments, patience).await?;
        if in_json {
            return result_as_json(&ty, answer.as_deref())
                .map_err(|error| CallError::Dropped(error.to_string()).into());
        }
        Ok(engine::result_text(&ty, answer.as_deref()))
    }

    /// Calls a function, and waits until the call is in the mailbox.
    pub(crate) async fn cast(&self, To { address, key }: To<'_>, call: Written<'_>) -> Result<(), InvokeError> {
        let (ty, arguments) = self.read_call(address, call)?;
        let said = Said::call(&ty, arguments);
        Ok(self.actual.mesh.send(Origin::HOST, address, key, said).await.map_err(CallError::from)?)
    }

    fn read_call(&self, to: &str, call: Written<'_>) -> Result<(Arc<FunctionType>, Bytes), InvokeError> {
        let served = self.served(to)?;
        Ok(match call {
            Written::Wave(text) => served.functions().read_call(text)?,
            Written::Json { function, arguments } => {
                let ty = Arc::clone(&served.functions().named(function)?.ty);
                let block = arguments_of_json(&ty, arguments)?;
                (ty, block)
            }
        })
    }

    /// The names of the functions that a service exports.
    pub(crate) fn functions(&self, to: &str) -> Result<Vec<String>, InvokeError> {
        let served = self.served(to)?;
        let all = || served.functions().iter().map(|function| &function.ty);
        let short = |ty: &Arc<FunctionType>| {
            let is_alone = all().filter(|other| other.spoken() == ty.spoken()).count() == 1;
            if is_alone { ty.spoken().into_owned() } else { ty.path() }
        };
        Ok(all().map(short).collect())
    }

    /// The function of this name that a service exports, where it is of these types.
    pub(crate) fn function<Args, Ret>(&self, to: &str, name: &str) -> Result<Function<Args, Ret>, InvokeError>
    where
        Args: Serialize + DeserializeOwned,
        Ret: DeserializeOwned,
    {
        let ty = self.function_type(to, name)?;
        check_arguments::<Args>(&ty)?;
        check_result::<Ret>(&ty)?;
        let in_order = has_fields_in_order::<Ret>(&ty);
        Ok(Function { to: to.into(), ty, in_order, types: PhantomData })
    }

    fn function_type(&self, to: &str, name: &str) -> Result<Arc<FunctionType>, InvokeError> {
        Ok(Arc::clone(&self.served(to)?.functions().named(name)?.ty))
    }

    /// Calls a function with values; its result, where it has one.
    pub(crate) async fn call_values(
        &self,
        to: To<'_>,
        function: &str,
        arguments: &[Value],
        patience: Duration,
    ) -> Result<Option<Value>, InvokeError> {
        let ty = &self.function_type(to.address, function)?;
        let block = engine::lower_arguments(ty, arguments).map_err(NoCall::from)?;
        let answer = self.call_block(to, ty, block, patience).await?;
        let result = ty.result.as_ref().zip(answer).map(|(laid, block)| engine::lift_result(laid, &block));
        result.transpose().map_err(|error| CallError::Dropped(error.to_string()).into())
    }

    /// Calls a function with values of Rust.
    pub(crate) async fn call_typed<Args: Serialize, Ret: DeserializeOwned>(
        &self,
        Function { to, ty, in_order, .. }: &Function<Args, Ret>,
        key: Option<&str>,
        arguments: &Args,
        patience: Duration,
    ) -> Result<Ret, InvokeError> {
        let block = write_arguments(ty, arguments)?;
        let to = To { address: to, key };
        let answer = self.call_block(to, ty, block, patience).await?;
        read_result(ty, answer.as_deref(), *in_order).map_err(|error| CallError::Dropped(error.to_string()).into())
    }

    fn call_block<'a>(
        &'a self,
        To { address, key }: To<'a>,
        ty: &'a Arc<FunctionType>,
        arguments: Bytes,
        patience: Duration,
    ) -> impl Future<Output = Answer> {
        let now = Instant::now();
        let until = Until { now, deadline: now + patience };
        let said = Said::call(ty, arguments);
        self.actual.mesh.call(Origin::HOST, Caller::Host(None), address, key, said, until)
    }

    /// The code that serves a service.
    fn served(&self, to: &str) -> Result<Arc<Template>, CallError> {
        self.template(to)
            .ok_or_else(|| SendError::NoSuchService { address: to.to_owned(), why: NotFound::Unknown }.into())
    }

    /// The dead letters: how many there were, and those that are kept.
    pub(crate) fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        let (total, letters) = self.actual.mesh.dead_letters();
        (total, letters.into_iter().map(told).collect())
    }

    /// Takes a dead letter out of the store.
    pub(crate) fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.actual.mesh.take_dead_letter(id).map(told)
    }

    /// The component file of the release that serves a service now.
    pub(crate) fn component(&self, service: &str) -> Option<PathBuf> {
        self.actual.releases.live(service).map(|live| live.node.release.binary().to_owned())
    }

    fn template(&self, to: &str) -> Option<Arc<Template>> {
        self.actual.releases.template(split(to).0)
    }
}

/// A dead letter with what it says as text, where it is about a function.
fn told(letter: DeadLetter) -> DeadLetter {
    let call = letter.function.as_deref().and_then(|function| match letter.reason {
        DeadReason::LateAnswer => engine::result_text(function, Some(&letter.body)),
        _ => engine::call_text(function, &letter.body),
    });
    DeadLetter { call, ..letter }
}
