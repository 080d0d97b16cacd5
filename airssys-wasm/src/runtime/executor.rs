//! What the program that embeds the host does on the machine in the name of a service: programs and files, by the one
//! executor that guests' own calls go through. So what the service is not granted is denied, passes its layers, counts
//! for its limits and is on record.

use std::sync::Arc;
use std::time::Duration;

use super::{OsOperation, OsOutput, Program, ProgramExit, ProgramOutput, Runtime};
use crate::apply::Hosted;
use crate::capability::Access;
use crate::hint::{Act, Coded, Hint};
use crate::process::Exit;
use crate::turn::Identity;
use crate::turn::files::FileError;
use crate::turn::programs::{ProgramError, Wanted};

/// Why something was not done, or not to its end.
///
/// # Example
///
/// ```
/// use airssys_wasm::ExecuteError;
///
/// fn may_be_better_later(error: &ExecuteError) -> bool {
///     matches!(error, ExecuteError::Overloaded { .. })
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// No actor of such a service is there.
    #[error("there is no service {service:?} with an actor that is always there")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// It is not granted, or a layer turned it away.
    #[error("{why}")]
    Denied {
        /// What is missing, or what the layer said.
        why: String,
    },
    /// As many run as may.
    #[error("{why}")]
    Overloaded {
        /// Of what.
        why: String,
    },
    /// The system did not do it with a file.
    #[error("{why}")]
    Failed {
        /// What it says.
        why: String,
    },
    /// The system did not start it.
    #[error("{why}")]
    NotStarted {
        /// What it says.
        why: String,
    },
    /// It was not over in time. A program was killed; with a file it is done or not.
    #[error("it was not over within {timeout:?}")]
    Timeout {
        /// How long it had.
        timeout: Duration,
    },
}

impl Coded for ExecuteError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::Denied { .. } => "denied",
            Self::Overloaded { .. } => "overloaded",
            Self::Failed { .. } => "failed",
            Self::NotStarted { .. } => "not-started",
            Self::Timeout { .. } => "timeout",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchService { .. } => Some(Act::ListServices.into()),
            Self::Overloaded { .. } => Some("wait until one has ended, or raise the limit".into()),
            _ => None,
        }
    }
}

impl From<ProgramError> for ExecuteError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Denied(why) => Self::Denied { why },
            ProgramError::Overloaded(why) => Self::Overloaded { why },
            ProgramError::NotStarted(why) => Self::NotStarted { why },
            ended @ ProgramError::Ended => Self::NotStarted { why: ended.to_string() },
        }
    }
}

impl From<FileError> for ExecuteError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Denied(why) => Self::Denied { why },
            FileError::Overloaded(why) | FileError::NoRoom(why) => Self::Overloaded { why },
            FileError::NotFound(why) | FileError::Failed(why) => Self::Failed { why },
        }
    }
}

/// Does what is done on the machine in the name of a service: see [`OsOperation`].
///
/// Each is looked at before it is done: what the service asks for and is granted, its layers, its limits. It is cleaned
/// up behind: where nobody waits for a program any more, it is killed, with all that it has started, and of a file that
/// was to be replaced the new one is gone or in its place.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::tools(async |runtime| {
/// use airssys_wasm::{OsOperation, ExecuteError, Program, ProgramExit};
///
/// // The release of the service asks for `sh`, and it is granted with the arguments `-c` and another one.
/// let executor = runtime.executor("tools")?;
/// let done = executor.execute(Program::new("sh").arg("-c").arg("cat; exit 3").stdin("hello")).await?;
/// let done = done.program().ok_or("no program")?;
/// assert_eq!((done.exit, done.stdout.as_slice()), (ProgramExit::Status(3), b"hello".as_slice()));
///
/// // What is not granted is denied, and on record as if the service had asked.
/// for not_granted in [OsOperation::from(Program::new("sh").arg("-x")), OsOperation::read("/data/prices.json")] {
///     let refused = executor.execute(not_granted).await.unwrap_err();
///     assert!(matches!(refused, ExecuteError::Denied { .. }));
/// }
/// # Ok(()) });
/// ```
#[derive(Clone)]
pub struct Executor {
    hosted: Arc<Hosted>,
    service: String,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Runtime {
    /// What does things on the machine in the name of a service; of one with several actors, in that of the first.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::NoSuchService`]: there is no such service, or its actors come and go.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::tools(async |runtime| {
    /// // This service is granted a shell.
    /// assert!(runtime.executor("tools").is_ok());
    /// assert!(runtime.executor("nobody").is_err());
    /// # Ok(()) });
    /// ```
    pub fn executor(&self, service: &str) -> Result<Executor, ExecuteError> {
        let executor = Executor { hosted: Arc::clone(&self.hosted), service: service.to_owned() };
        executor.identity().map(|_| executor.clone())
    }
}

impl Executor {
    /// Who the service is now, under the rules that it runs under.
    fn identity(&self) -> Result<Arc<Identity>, ExecuteError> {
        let none = || ExecuteError::NoSuchService { service: self.service.clone() };
        self.hosted.identity(&self.service).ok_or_else(none)
    }

    /// Whether the service may do this. Nothing is done, told or asked of a layer.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Denied`], and [`ExecuteError::NoSuchService`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::tools(async |runtime| {
    /// use airssys_wasm::{OsOperation, Program};
    ///
    /// let executor = runtime.executor("tools")?;
    /// executor.validate(&Program::new("sh").arg("-c").arg("exit").into())?;
    /// assert!(executor.validate(&OsOperation::append("/data/log", "a line")).is_err());
    /// # Ok(()) });
    /// ```
    pub fn validate(&self, operation: &OsOperation) -> Result<(), ExecuteError> {
        let identity = self.identity()?;
        let allowed = match operation {
            OsOperation::Program(program) => {
                let Wanted { name, arguments, environment, .. } = &program.wanted;
                identity.terms.policy.allows_start(&self.service, name, arguments, environment).map(drop)
            }
            OsOperation::Append { path, .. } => identity.allows_file(path, Access::WRITE),
            OsOperation::Replace { path, .. } => identity.allows_file(path, Access::WRITE | Access::CREATE),
            OsOperation::Read { path } => identity.allows_file(path, Access::READ),
        };
        allowed.map_err(|why| ExecuteError::Denied { why })
    }

    /// Does it. A program is run to its end, and killed where this is dropped before that.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::tools(async |runtime| {
    /// use airssys_wasm::{Program, ProgramExit};
    ///
    /// let done = runtime.executor("tools")?.execute(Program::new("sh").arg("-c").arg("echo hello")).await?;
    /// let done = done.program().ok_or("no program")?;
    /// assert_eq!((done.exit, done.stdout.as_slice()), (ProgramExit::Status(0), b"hello\n".as_slice()));
    /// # Ok(()) });
    /// ```
    pub async fn execute(&self, operation: impl Into<OsOperation>) -> Result<OsOutput, ExecuteError> {
        let identity = self.identity()?;
        Ok(match operation.into() {
            OsOperation::Program(Program { wanted, stdin }) => {
                let ran = identity.run_program(0, wanted, stdin).await?;
                let exit = match ran.exit {
                    Exit::Status(status) => ProgramExit::Status(status),
                    Exit::Signal(signal) => ProgramExit::Signal(signal),
                    Exit::Limit(limit) => ProgramExit::Limit(limit),
                    Exit::Revoked => ProgramExit::Revoked,
                };
                OsOutput::Program(ProgramOutput { exit, stdout: ran.stdout, stderr: ran.stderr })
            }
            OsOperation::Append { path, record, sync } => {
                identity.append(0, &path, record, sync).await?;
                OsOutput::Appended
            }
            OsOperation::Replace { path, content } => {
                identity.replace(0, &path, content).await?;
                OsOutput::Replaced
            }
            OsOperation::Read { path } => OsOutput::Read(identity.read(0, &path).await?),
        })
    }

    /// [`Executor::execute`] for so long at most: past it a program is killed, and with a file it is done or not.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::tools(async |runtime| {
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::{ExecuteError, Program};
    ///
    /// let (executor, timeout) = (runtime.executor("tools")?, Duration::from_millis(10));
    /// let endless = Program::new("sh").arg("-c").arg("sleep 1000");
    /// let late = executor.execute_with_timeout(endless, timeout).await.unwrap_err();
    /// assert_eq!(late, ExecuteError::Timeout { timeout });
    /// # Ok(()) });
    /// ```
    pub async fn execute_with_timeout(
        &self,
        operation: impl Into<OsOperation>,
        timeout: Duration,
    ) -> Result<OsOutput, ExecuteError> {
        let late = |_| ExecuteError::Timeout { timeout };
        tokio::time::timeout(timeout, self.execute(operation)).await.map_err(late)?
    }
}
