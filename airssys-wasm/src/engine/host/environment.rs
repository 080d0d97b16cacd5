//! `wasi:cli/environment`: the variables that are granted, which pass the door, and the arguments of the topology.
//! There is no working folder.

use wasmtime_wasi::p2::bindings::cli::environment;

use crate::engine::guest::Guest;
use crate::settings::Run;
use crate::turn::{HostCall, Identity};

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.turn.perform_now(HostCall::Environment).pairs()?)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        let Identity { terms, .. } = &*self.turn.identity;
        if terms.arguments.is_empty() && terms.run == Run::Message && !self.wasi.is_command() {
            return Ok(Vec::new());
        }
        // A program finds its own name before its arguments.
        let name = self.turn.identity.address().service();
        Ok(std::iter::once(name).chain(terms.arguments.iter().map(String::as_str)).map(str::to_owned).collect())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}
