//! What the benches' guests import, as short as it can be. Only `call` does something: it asks another plain actor.

use wasmtime::Error;

use super::bindings::async_lane::airssys::actor::{log, messaging, types};
use super::bindings::async_lane::wasi::config::store;
use super::plain::Plain;

/// The data of a plain store.
#[derive(Default)]
pub(crate) struct Data {
    /// Whom the guest calls, whatever address it names.
    pub(crate) callee: Option<Plain>,
}

fn not_here() -> Error {
    Error::msg("the floor's guests do not ask for this")
}

type Sent = wasmtime::Result<Result<(), types::SendError>>;

impl types::Host for Data {}

impl messaging::Host for Data {
    async fn call(
        &mut self,
        _: String,
        _: Option<String>,
        body: Vec<u8>,
        _: u64,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, types::CallError>> {
        let callee = self.callee.as_ref().ok_or_else(not_here)?;
        Ok(Ok(Some(callee.ask(body).await)))
    }

    fn send(&mut self, _: String, _: Option<String>, _: Vec<u8>) -> Sent {
        Err(not_here())
    }

    fn publish(&mut self, _: String, _: Vec<u8>) -> Sent {
        Err(not_here())
    }

    fn subscribe(&mut self, _: String) -> Sent {
        Err(not_here())
    }

    fn unsubscribe(&mut self, _: String) -> Sent {
        Err(not_here())
    }

    fn send_after(&mut self, _: u64, _: Vec<u8>) -> wasmtime::Result<Result<u64, types::SendError>> {
        Err(not_here())
    }

    fn cancel(&mut self, _: u64) -> wasmtime::Result<bool> {
        Err(not_here())
    }

    fn self_address(&mut self) -> wasmtime::Result<String> {
        Err(not_here())
    }
}

impl log::Host for Data {
    fn write(&mut self, _: log::Level, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl store::Host for Data {
    fn get(&mut self, _: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        Ok(Ok(Some("echo".to_owned())))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        Err(not_here())
    }
}
