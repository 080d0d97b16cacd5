//! `wasi:config`: the values that the topology gives to the service.

use crate::engine::bindings::waiting::wasi::config::store;
use crate::engine::guest::Guest;

impl store::Host for Guest {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        Ok(Ok(self.identity.terms.config.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        Ok(Ok(self.identity.terms.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}
