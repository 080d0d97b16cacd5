//! Calls of functions by their own types, from outside of the mesh.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::hosted::Hosted;
use crate::address::split;
use crate::engine::{self, NoCall, Template, Value};
use crate::error::{CallError, NotFound, SendError};
use crate::hint::Coded;
use crate::message::{Answer, DeadLetter, DeadReason};
use crate::router::{Caller, Origin, Said, Until};
use crate::typed::FunctionType;

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
/// use airssys_wasm::engine::NoCall;
///
/// let error = runtime.invoke("echo", None, "add(2, 3)", Duration::from_secs(5)).await.unwrap_err();
/// assert!(matches!(error, InvokeError::NoCall(NoCall::Unknown { .. })), "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// What was written is no call of a function of the service. Nothing was sent.
    #[error(transparent)]
    NoCall(#[from] NoCall),
    /// The call was made.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Coded for InvokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCall(_) => "no-call",
            Self::Call(error) => error.code(),
        }
    }
}

/// A function that a service exports by its own type: see [`crate::Runtime::function`].
///
/// Shown as text, it is its type as it is written in WIT.
#[derive(Debug, Clone)]
pub struct TypedFunction {
    to: Box<str>,
    ty: Arc<FunctionType>,
}

impl fmt::Display for TypedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty)
    }
}

impl Hosted {
    /// Whether a service takes messages of bytes; one that is not there does, and whoever sends is told.
    pub(crate) fn takes_bytes(&self, service: &str) -> bool {
        self.template(service).is_none_or(|template| template.takes_bytes())
    }

    /// Calls a function that is written in WAVE; its result in WAVE, where it has one.
    pub(crate) async fn invoke(
        &self,
        to: &str,
        key: Option<&str>,
        call: &str,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        let (ty, arguments) = self.served(to)?.functions().read_call(call)?;
        let answer = self.call_block(to, key, &ty, arguments, patience).await?;
        Ok(engine::result_text(&ty, answer.as_deref()))
    }

    /// Calls a function that is written in WAVE, and waits until the call is in the mailbox.
    pub(crate) async fn cast(&self, to: &str, key: Option<&str>, call: &str) -> Result<(), InvokeError> {
        let (ty, arguments) = self.served(to)?.functions().read_call(call)?;
        let said = Said { function: Some(&ty), body: arguments };
        Ok(self.actual.mesh.send(Origin::HOST, to, key, said).await.map_err(CallError::from)?)
    }

    /// The function of this name that a service exports.
    pub(crate) fn function(&self, to: &str, name: &str) -> Result<TypedFunction, InvokeError> {
        let ty = Arc::clone(&self.served(to)?.functions().named(name)?.ty);
        Ok(TypedFunction { to: to.into(), ty })
    }

    /// Calls a function with values; its result, where it has one.
    pub(crate) async fn call_typed(
        &self,
        TypedFunction { to, ty }: &TypedFunction,
        key: Option<&str>,
        arguments: &[Value],
        patience: Duration,
    ) -> Result<Option<Value>, InvokeError> {
        let block = engine::lower_arguments(ty, arguments).map_err(NoCall::from)?;
        let answer = self.call_block(to, key, ty, block, patience).await?;
        let result = ty.result.as_ref().zip(answer).map(|(laid, block)| engine::lift_result(laid, &block));
        result.transpose().map_err(|error| CallError::Dropped(error.to_string()).into())
    }

    fn call_block<'a>(
        &'a self,
        to: &'a str,
        key: Option<&'a str>,
        ty: &'a Arc<FunctionType>,
        arguments: Bytes,
        patience: Duration,
    ) -> impl Future<Output = Answer> {
        let now = Instant::now();
        let until = Until { now, deadline: now + patience };
        let said = Said { function: Some(ty), body: arguments };
        self.actual.mesh.call(Origin::HOST, Caller::Host(None), to, key, said, until)
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
