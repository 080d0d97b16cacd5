//! What an [`Executor`](super::Executor) does in the name of a service, and what comes of it.

use bytes::Bytes;

use super::{Program, ProgramOutput};

/// Something to do in the name of a service. Paths are those that its guests know.
///
/// # Example
///
/// ```
/// use airssys_wasm::{OsOperation, Program};
///
/// let _all = [
///     OsOperation::from(Program::new("date")),
///     OsOperation::append("/data/log", "a line\n").synced(),
///     OsOperation::replace("/data/prices.json", "{}"),
///     OsOperation::read("/data/prices.json"),
/// ];
/// ```
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub enum OsOperation {
    /// To run a program to its end.
    Program(Program),
    /// To write a record behind all that is in a file: all of it or nothing.
    #[non_exhaustive]
    Append {
        /// The file.
        path: String,
        /// The record.
        record: Bytes,
        /// Whether it is to be on the disk when that is done. By default it is not.
        sync: bool,
    },
    /// To give a file this content in one step.
    #[non_exhaustive]
    Replace {
        /// The file.
        path: String,
        /// All that it is to have.
        content: Bytes,
    },
    /// To read a file of 64 MiB at most.
    #[non_exhaustive]
    Read {
        /// The file.
        path: String,
    },
}

/// What came of a [`OsOperation`].
///
/// # Example
///
/// ```
/// use airssys_wasm::OsOutput;
///
/// fn length(output: &OsOutput) -> usize {
///     match output {
///         OsOutput::Program(program) => program.stdout.len(),
///         OsOutput::Read(bytes) => bytes.len(),
///         _ => 0,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OsOutput {
    /// A program has ended.
    Program(ProgramOutput),
    /// The record is there.
    Appended,
    /// The file has the new content, on the disk.
    Replaced,
    /// What was read.
    Read(Bytes),
}

impl OsOperation {
    /// To write a record behind all that is in a file, which is made where it is not there.
    ///
    /// # Example
    ///
    /// ```
    /// let _line = airssys_wasm::OsOperation::append("/data/log", "a line\n");
    /// ```
    pub fn append(path: impl Into<String>, record: impl Into<Bytes>) -> Self {
        Self::Append { path: path.into(), record: record.into(), sync: false }
    }

    /// To give a file this content in one step. It is made where it is not there.
    ///
    /// # Example
    ///
    /// ```
    /// let _whole = airssys_wasm::OsOperation::replace("/data/prices.json", "{}");
    /// ```
    pub fn replace(path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::Replace { path: path.into(), content: content.into() }
    }

    /// To read a file.
    ///
    /// # Example
    ///
    /// ```
    /// let _prices = airssys_wasm::OsOperation::read("/data/prices.json");
    /// ```
    pub fn read(path: impl Into<String>) -> Self {
        Self::Read { path: path.into() }
    }

    /// The same, on the disk when it is done: of an append. All others are so anyway, or write nothing.
    ///
    /// # Example
    ///
    /// ```
    /// let _kept = airssys_wasm::OsOperation::append("/data/log", "a line\n").synced();
    /// ```
    pub fn synced(mut self) -> Self {
        if let Self::Append { sync, .. } = &mut self {
            *sync = true;
        }
        self
    }
}

impl From<Program> for OsOperation {
    fn from(program: Program) -> Self {
        Self::Program(program)
    }
}

impl OsOutput {
    /// What came of a program; none where it was another operation.
    ///
    /// # Example
    ///
    /// ```
    /// assert_eq!(airssys_wasm::OsOutput::Appended.program(), None);
    /// ```
    #[must_use]
    pub fn program(self) -> Option<ProgramOutput> {
        match self {
            Self::Program(output) => Some(output),
            _ => None,
        }
    }
}
