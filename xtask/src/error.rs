//! Why a step failed, and what to do.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a step failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is none that we know.
    Usage,
    /// A program cannot be started or watched.
    NotRun { program: String, source: io::Error },
    /// A program failed; what it printed, where it was not shown already.
    Failed { program: String, status: ExitStatus, output: String },
    /// A program took too long and was ended.
    TooSlow { program: String, limit: Duration },
    /// A file or folder cannot be read.
    Unreadable { path: String, source: io::Error },
    /// A copy is not what it was copied from.
    Differs { path: String, from: String },
    /// A guest is wrong, which no program told us.
    NotBuilt { guest: String, reason: String },
    /// Nobody can listen at a port of this machine.
    Port { port: u16, source: io::Error },
    /// There is nothing of this kind here, such as a browser, in which tests run.
    NoProgram { what: &'static str, reason: String, remedy: String },
    /// There is no way to build guests here.
    NoToolchain { reason: String, remedy: String },
}

impl Error {
    /// What reading or writing this file or folder failed with.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |source| Self::Unreadable { path, source }
    }

    /// For a person: what, why, and what to do.
    pub(crate) fn told(&self) -> String {
        let hint = match self {
            Self::Usage | Self::Failed { .. } | Self::NotBuilt { .. } => return format!("error: {self}"),
            Self::NotRun { .. } => "is it installed, and on PATH?",
            Self::TooSlow { .. } => "is the network there? Try again",
            Self::Unreadable { .. } => "look at the path and its permissions",
            Self::Differs { .. } => "copy it anew, unmodified",
            Self::Port { port, .. } => {
                &format!("end what listens there, or name another one: `cargo xtask demo --web --port {}`", next(*port))
            }
            Self::NoToolchain { remedy, .. } | Self::NoProgram { remedy, .. } => remedy,
        };
        format!("error: {self}\n  hint: {hint}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => write!(f, "no such command"),
            Self::NotRun { program, source } => write!(f, "cannot run `{program}`: {source}"),
            Self::Failed { program, status, output } if output.is_empty() => write!(f, "`{program}` failed ({status})"),
            Self::Failed { program, status, output } => write!(f, "`{program}` failed ({status}):\n{output}"),
            Self::TooSlow { program, limit } => {
                write!(f, "`{program}` took longer than {} s", limit.as_secs())
            }
            Self::Unreadable { path, source } => write!(f, "cannot read `{path}`: {source}"),
            Self::Differs { path, from } => write!(f, "`{path}` is not what {from} has"),
            Self::NotBuilt { guest, reason } => write!(f, "`{guest}` cannot be built: {reason}"),
            Self::Port { port, source } => write!(f, "cannot listen at port {port} of 127.0.0.1: {source}"),
            Self::NoProgram { what, reason, .. } => write!(f, "{what} cannot be used here: {reason}"),
            Self::NoToolchain { reason, .. } => write!(f, "guests cannot be built here: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotRun { source, .. } | Self::Unreadable { source, .. } | Self::Port { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A port beside that one.
fn next(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(port - 1)
}
