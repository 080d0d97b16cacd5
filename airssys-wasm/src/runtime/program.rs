//! A program that an [`Executor`](super::Executor) is to run, and what comes of it.

use bytes::Bytes;

use crate::turn::programs::{Narrower, Wanted};

/// Something to run: a program that the service is granted, and with what.
///
/// # Example
///
/// ```
/// use airssys_wasm::Program;
///
/// let _now = Program::new("date").arg("+%s").env("TZ", "UTC");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Program {
    pub(super) wanted: Wanted,
    pub(super) stdin: Bytes,
}

/// How a program ended.
///
/// # Example
///
/// ```
/// use airssys_wasm::ProgramExit;
///
/// fn is_well(exit: &ProgramExit) -> bool {
///     *exit == ProgramExit::Status(0)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramExit {
    /// By itself, with this status.
    Status(i32),
    /// By the signal of this number.
    Signal(i32),
    /// The host killed it over this limit of its grant.
    Limit(&'static str),
    /// The host killed it, since its grant was taken away.
    Revoked,
}

/// What came of a program.
///
/// # Example
///
/// ```
/// fn lines(output: &airssys_wasm::ProgramOutput) -> usize {
///     output.stdout.split(|byte| *byte == b'\n').count()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramOutput {
    /// How it ended.
    pub exit: ProgramExit,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Program {
    /// The program that is granted under this name.
    ///
    /// # Example
    ///
    /// ```
    /// let _date = airssys_wasm::Program::new("date");
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        let (arguments, environment) = (Vec::new(), Vec::new());
        let wanted = Wanted { name: name.into(), arguments, environment, folder: None, narrower: Narrower::default() };
        Self { wanted, stdin: Bytes::new() }
    }

    /// One argument more.
    ///
    /// # Example
    ///
    /// ```
    /// let _date = airssys_wasm::Program::new("date").arg("+%s");
    /// ```
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.wanted.arguments.push(argument.into());
        self
    }

    /// One variable more. It inherits none.
    ///
    /// # Example
    ///
    /// ```
    /// let _date = airssys_wasm::Program::new("date").env("TZ", "UTC");
    /// ```
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wanted.environment.push((name.into(), value.into()));
        self
    }

    /// A folder to work in, as the guests of the service know it.
    ///
    /// # Example
    ///
    /// ```
    /// let _listed = airssys_wasm::Program::new("ls").working_folder("/data/new");
    /// ```
    pub fn working_folder(mut self, folder: impl Into<String>) -> Self {
        self.wanted.folder = Some(folder.into());
        self
    }

    /// What it reads.
    ///
    /// # Example
    ///
    /// ```
    /// let _sorted = airssys_wasm::Program::new("sort").stdin("b\na\n");
    /// ```
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = bytes.into();
        self
    }
}
