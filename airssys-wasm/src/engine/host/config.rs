//! `wasi:config`: the values that the topology gives to the service.

use crate::engine::bindings::async_lane::wasi::config::store;
use crate::engine::guest::Guest;
use crate::turn::{HostCall, Reply};

impl store::Host for Guest {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        match self.turn.perform_now(HostCall::Config { key }) {
            Reply::Refused(why) => Ok(Err(store::Error::Upstream(why))),
            reply => Ok(Ok(reply.text()?)),
        }
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        match self.turn.perform_now(HostCall::AllConfig) {
            Reply::Refused(why) => Ok(Err(store::Error::Upstream(why))),
            reply => Ok(Ok(reply.pairs()?)),
        }
    }
}
