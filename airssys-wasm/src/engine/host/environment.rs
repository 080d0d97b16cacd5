//! `wasi:cli/environment`: the variables that are granted, which pass the door. There are no arguments, and there is no
//! working folder.

use wasmtime_wasi::p2::bindings::cli::environment;

use crate::engine::guest::Guest;
use crate::turn::HostCall;

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.turn.perform_now(HostCall::Environment).pairs()?)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}
