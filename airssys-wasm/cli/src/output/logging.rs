//! The log: lines on stderr, of guests and of the host.

use std::io::{self, IsTerminal};

use airssys_wasm::command::guests_are_on_console;
use tracing_subscriber::filter::{FilterExt, LevelFilter, ParseError, dynamic_filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::Exit;
use super::fields::ShownFields;
use super::stderr::{self, Stderr};
use crate::explain::Explain;
use crate::logs::Keep;

/// The variable that says what is logged.
const VARIABLE: &str = "AIRSSYS_LOG";
/// What is logged where nobody says.
const DEFAULT: &str = "warn,airssys::guest=info";
/// What is kept in the data folder, whatever is logged to stderr: what guests say, and what the host says that is no
/// event of the mesh. The rest is told by the events, and would stand there twice: what supervisors do and how actors
/// end, denials, dead letters, full folders, and that a topology was applied.
const KEPT: &str = "warn,airssys=info,airssys_rt_shim=error,airssys::actor=error,airssys::audit=off,airssys::dead=off,airssys::limit=off,airssys::log=off,airssys::apply=warn";

/// What is logged.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// What is logged to stderr: error, warn, info, debug, trace, off, or a filter such as "warn,airssys::guest=debug".
    ///
    /// The variable AIRSSYS_LOG says the same. Where neither is given: warnings, and what guests log from info up.
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

/// A filter that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is no log filter")]
pub(crate) struct LogError {
    filter: String,
    source: ParseError,
}

impl LogArgs {
    /// Starts logging; once a process. What it gives keeps the log, from when it is told where.
    pub(crate) fn start(&self) -> Result<Keep, LogError> {
        let asked = self.log.clone().or_else(|| std::env::var(VARIABLE).ok()).filter(|filter| !filter.is_empty());
        let filter = filter(asked.as_deref().unwrap_or(DEFAULT))?;
        stderr::begin();
        let stderr = tracing_subscriber::fmt::layer()
            .fmt_fields(ShownFields)
            .with_writer(|| Stderr)
            .with_ansi(io::stderr().is_terminal())
            // That nobody reads the log must not end a mesh.
            .log_internal_errors(false)
            .with_filter(filter.and(once()));
        let keep = Keep::default();
        tracing_subscriber::registry().with(stderr).with(keep.clone().with_filter(self::filter(KEPT)?)).init();
        Ok(keep)
    }
}

/// What guests say stands on stderr once: where a log of the topology writes it there, that does.
fn once<S>() -> impl Filter<S> {
    dynamic_filter_fn(|event, _| event.target() != "airssys::guest" || !guests_are_on_console())
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    // A level alone is meant for this system, not for the compiler in it.
    let directives = match text.parse::<LevelFilter>() {
        Ok(level) if level > LevelFilter::WARN => format!("warn,airssys={level}"),
        _ => text.to_owned(),
    };
    EnvFilter::try_new(directives).map_err(|source| LogError { filter: text.to_owned(), source })
}

impl Explain for LogError {
    fn code(&self) -> &'static str {
        "AL101"
    }

    fn hint(&self) -> Option<String> {
        Some(format!("give --log or {VARIABLE} a level such as `info`, or a filter such as `{DEFAULT}`"))
    }

    fn exit(&self) -> Exit {
        Exit::BadInput
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{DEFAULT, filter};

    #[test]
    fn a_level_alone_is_for_this_system() {
        assert_eq!(filter("debug").unwrap().to_string(), "airssys=debug,warn");
        assert_eq!(filter("error").unwrap().to_string(), "error");
        assert_eq!(filter("off").unwrap().to_string(), "off");
        assert!(filter(DEFAULT).is_ok());
        assert!(filter("airssys=loud").is_err());
    }
}
