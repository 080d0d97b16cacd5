//! The functions that the services of a mesh export by their own types, and what there is to know of them.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Runtime;
use crate::apply::{Function, InvokeError, TypedFunction, Written};
use crate::engine::Value;

impl Runtime {
    /// Calls a function that a service exports by its own type, and waits for `patience` for its result. The call is
    /// [`Written`]; the result is in [WAVE](https://docs.rs/wasm-wave), the text of WIT's values; none where the
    /// function has no result. Where several interfaces of the service have a function of that name, the interface
    /// stands before it: `acme:shop/pricing#quote(...)`.
    ///
    /// A result that is an error is an answer as well. What the turn did is discarded then.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: the text is no call of a function there, or the call has no answer.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// use std::time::Duration;
    ///
    /// // Its component exports `add: func(a: u32, b: u32) -> u32`, and nothing else.
    /// let sum = runtime.invoke("adder", None, "add(2, 3)", Duration::from_secs(5)).await?;
    /// assert_eq!(sum.as_deref(), Some("5"));
    /// # Ok(()) });
    /// ```
    pub async fn invoke(
        &self,
        to: &str,
        key: Option<&str>,
        call: impl Into<Written<'_>>,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        self.hosted.invoke(to, key, call.into(), patience).await
    }

    /// [`Runtime::invoke`] with its result in JSON. What stands for which type is in the book, under "Components of
    /// others".
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: it is no call of a function there, or the call has no answer.
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
    /// let call = Written::Json { function: "add", arguments: "[2, 3]" };
    /// assert_eq!(runtime.invoke_json("adder", None, call, Duration::from_secs(5)).await?.as_deref(), Some("5"));
    /// # Ok(()) });
    /// ```
    pub async fn invoke_json(
        &self,
        to: &str,
        key: Option<&str>,
        call: impl Into<Written<'_>>,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        self.hosted.invoke_json(to, key, call.into(), patience).await
    }

    /// [`Runtime::invoke`], whose result nobody waits for: it answers when the call is in the mailbox, as
    /// [`Runtime::send`] does. A call that fails is a dead letter then; a result that is an error is none.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]; nothing was sent then.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// runtime.cast("adder", None, "add(2, 3)").await?;
    /// assert_eq!(runtime.services()[0].accepted, 1);
    /// # Ok(()) });
    /// ```
    pub async fn cast(&self, to: &str, key: Option<&str>, call: impl Into<Written<'_>>) -> Result<(), InvokeError> {
        self.hosted.cast(to, key, call.into()).await
    }

    /// The names by which the functions of a service are called: with the interface where several have one name.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: there is no such service.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// assert_eq!(runtime.functions("adder")?, ["add"]);
    /// # Ok(()) });
    /// ```
    pub fn functions(&self, service: &str) -> Result<Vec<String>, InvokeError> {
        self.hosted.functions(service)
    }

    /// A function that a service exports by its own type: `quote`, or with its interface before it,
    /// `acme:shop/pricing#quote`. It is called also when another release has taken over, where that has it with the
    /// same types; otherwise the call is answered with the fault `invalid`. See [`Runtime::call_typed`].
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: there is no such service, or no such function, or several.
    pub fn function(&self, service: &str, name: &str) -> Result<Function, InvokeError> {
        self.hosted.function(service, name)
    }

    /// Calls a function with values of Rust, and waits for `patience` for its result.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: the call has no answer; or a type writes something else than it reads.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// use std::time::Duration;
    ///
    /// let add = runtime.function("adder", "add")?.typed::<(u32, u32), u32>()?;
    /// assert_eq!(runtime.call_typed(&add, None, &(2, 3), Duration::from_secs(5)).await?, 5);
    /// # Ok(()) });
    /// ```
    // No async function: it would copy the future of the one below.
    pub fn call_typed<Args: Serialize, Ret: DeserializeOwned>(
        &self,
        function: &TypedFunction<Args, Ret>,
        key: Option<&str>,
        arguments: &Args,
        patience: Duration,
    ) -> impl Future<Output = Result<Ret, InvokeError>> {
        self.hosted.call_typed(function, key, arguments, patience)
    }

    /// [`Runtime::call_typed`] for those who do not know the types: with values of the engine; none where the function
    /// has no result.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: the values are not of the function's types, or the call has no answer.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::Value;
    ///
    /// let add = runtime.function("adder", "add")?;
    /// assert_eq!(add.to_string(), "add: func(a: u32, b: u32) -> u32");
    /// let sum = runtime.call_values(&add, None, &[Value::U32(2), Value::U32(3)], Duration::from_secs(5)).await?;
    /// assert_eq!(sum, Some(Value::U32(5)));
    /// # Ok(()) });
    /// ```
    pub async fn call_values(
        &self,
        function: &Function,
        key: Option<&str>,
        arguments: &[Value],
        patience: Duration,
    ) -> Result<Option<Value>, InvokeError> {
        self.hosted.call_values(function, key, arguments, patience).await
    }
}
