//! The functions that the services of a mesh export by their own types, and what there is to know of them.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Runtime;
use crate::apply::{Function, InvokeError, Written};
use crate::engine::Value;
use crate::message::To;

impl Runtime {
    /// Calls a function that a service exports by its own type, and waits for `patience` for its result. The call is
    /// [`Written`] in [WAVE](https://docs.rs/wasm-wave), the text of WIT's values, or its arguments in JSON, and the
    /// result is in the same; none where the function has no result. What of JSON stands for which type is in the book,
    /// under "Components of others". Where several interfaces of the service have a function of that name, the
    /// interface stands before it: `acme:shop/pricing#quote(...)`.
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
    /// use airssys_wasm::Written;
    ///
    /// const PATIENCE: Duration = Duration::from_secs(5);
    /// // Its component exports `add: func(a: u32, b: u32) -> u32`, and nothing else.
    /// assert_eq!(runtime.invoke("adder", "add(2, 3)", PATIENCE).await?.as_deref(), Some("5"));
    /// let call = Written::Json { function: "add", arguments: "[2, 3]" };
    /// assert_eq!(runtime.invoke("adder", call, PATIENCE).await?.as_deref(), Some("5"));
    /// # Ok(()) });
    /// ```
    pub async fn invoke(
        &self,
        to: impl Into<To<'_>>,
        call: impl Into<Written<'_>>,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        let call = call.into();
        let in_json = matches!(call, Written::Json { .. });
        self.hosted.invoke(to.into(), call, in_json, patience).await
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
    /// runtime.cast("adder", "add(2, 3)").await?;
    /// assert_eq!(runtime.services()[0].accepted, 1);
    /// # Ok(()) });
    /// ```
    pub async fn cast(&self, to: impl Into<To<'_>>, call: impl Into<Written<'_>>) -> Result<(), InvokeError> {
        self.hosted.cast(to.into(), call.into()).await
    }

    /// A function that a service exports by its own type, to be called with values of Rust: `quote`, or with its
    /// interface before it, `acme:shop/pricing#quote`. See [`Runtime::call_typed`].
    ///
    /// Its types are a tuple of its arguments, and its result; `()` where it has none. Both are types of serde: a
    /// record is a struct, a variant or an enum an enum, flags as [`crate::flags!`] has them, a `result` a `Result`.
    /// Names are compared without hyphens, underscores and case. So the types that wasmtime's `bindgen!` makes will do,
    /// with `additional_derives: [serde::Serialize, serde::Deserialize]`.
    ///
    /// The types are compared here, once, and not with each call. It is called also when another release has taken
    /// over, where that has it with the same types; otherwise the call is answered with the fault `invalid`.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: there is no such service, or no such function, or several; [`InvokeError::Misfit`]: it has
    /// other types.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// let _add = runtime.function::<(u32, u32), u32>("adder", "add")?;
    /// let differs = runtime.function::<(u32, u64), u32>("adder", "add").unwrap_err();
    /// assert_eq!(differs.to_string(), "/b: it is u32, and u64 in Rust");
    /// # Ok(()) });
    /// ```
    pub fn function<Args, Ret>(&self, service: &str, name: &str) -> Result<Function<Args, Ret>, InvokeError>
    where
        Args: Serialize + DeserializeOwned,
        Ret: DeserializeOwned,
    {
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
    /// let add = runtime.function::<(u32, u32), u32>("adder", "add")?;
    /// assert_eq!(runtime.call_typed(&add, None, &(2, 3), Duration::from_secs(5)).await?, 5);
    /// # Ok(()) });
    /// ```
    // No async function: it would copy the future of the one below.
    pub fn call_typed<Args: Serialize, Ret: DeserializeOwned>(
        &self,
        function: &Function<Args, Ret>,
        key: Option<&str>,
        arguments: &Args,
        patience: Duration,
    ) -> impl Future<Output = Result<Ret, InvokeError>> {
        self.hosted.call_typed(function, key, arguments, patience)
    }

    /// [`Runtime::call_typed`] for those who do not know the types: with values of the engine; none where the function
    /// has no result. The function is named as for [`Runtime::function`].
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: there is no such function, the values are not of its types, or the call has no answer.
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
    /// let two_and_three = [Value::U32(2), Value::U32(3)];
    /// let sum = runtime.call_values("adder", "add", &two_and_three, Duration::from_secs(5)).await?;
    /// assert_eq!(sum, Some(Value::U32(5)));
    /// # Ok(()) });
    /// ```
    pub async fn call_values(
        &self,
        to: impl Into<To<'_>>,
        function: &str,
        arguments: &[Value],
        patience: Duration,
    ) -> Result<Option<Value>, InvokeError> {
        self.hosted.call_values(to.into(), function, arguments, patience).await
    }
}
