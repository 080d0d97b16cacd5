//! The commands that speak to a running host, one module each. Each asks one question over the control socket and
//! prints the answer.

pub(crate) mod apply;
pub(crate) mod dead_letters;
pub(crate) mod deploy;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod ps;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
mod strategy;
pub(crate) mod top;
pub(crate) mod tree;
pub(crate) mod watch;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::protocol::Request;
use crate::control::{self, ControlError};
use crate::output::{self, DataArgs, json_text};

/// The host that is asked, and how its answer is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Print the answer as JSON; where the host refuses, as {"error":{"code":...,"message":...}}.
    #[arg(long)]
    json: bool,
}

impl HostArgs {
    /// Asks the host.
    fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ControlError> {
        self.refused(control::ask(self.data.folder(), request))
    }

    /// Asks the host something that has many lines as its answer; `each` says whether it wants more. Whether there are
    /// no more.
    fn listen<T: DeserializeOwned>(
        &self,
        request: &Request,
        each: impl FnMut(T) -> Result<bool, ControlError>,
    ) -> Result<bool, ControlError> {
        self.refused(control::listen(self.data.folder(), request, each))
    }

    /// Prints a refusal as JSON, where that is wanted.
    fn refused<T>(&self, asked: Result<T, ControlError>) -> Result<T, ControlError> {
        if let (true, Err(ControlError::Refused(refusal))) = (self.json, &asked) {
            output::print_data(&format!("{{\"error\":{}}}", json_text(refusal)))?;
        }
        asked
    }

    /// Asks the host for what is told beside the answer; that it refuses is told by what is asked next.
    fn quietly<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ControlError> {
        control::ask(self.data.folder(), request)
    }

    /// Asks the host and prints what it answers, for people as `text` says.
    fn tell<T>(&self, request: &Request, text: impl FnOnce(&T) -> String) -> Result<(), ControlError>
    where
        T: Serialize + DeserializeOwned,
    {
        let answer: T = self.ask(request)?;
        if self.json {
            output::print_json(&answer)?
        } else {
            output::print(text(&answer).trim_end())?
        }
        Ok(())
    }
}

/// A time for people, to the second.
fn lasting(seconds: f64) -> String {
    humantime::format_duration(Duration::from_secs(seconds as u64)).to_string()
}
