//! Programs of the machine that the host runs on: started, spoken with, and ended.
//!
//! What may be started is named under `[requests]` of its `Component.toml`, `processes = ["convert"]`, and granted in
//! the topology, which says what program that is, and with which arguments it may be started. A program ends with its
//! [`Process`], and with the instance that started it.

use std::fmt;
use std::io::{self, Read, Write};

use crate::bindings::os::airssys::os::processes as host;
use crate::bindings::os::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::fault::Fault;

/// What a program is started with.
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::prelude::*;
/// use airssys_sdk::process::{Command, Exit};
///
/// #[component]
/// fn thumbnail(picture: Payload) -> Result<Payload> {
///     let done = Command::new("convert").args(["-", "-resize", "64x64", "png:-"]).output(picture.as_ref())?;
///     match done.exit {
///         Exit::Status(0) => Ok(done.stdout.into()),
///         exit => Err(Fault::invalid(format!("{exit}: {}", String::from_utf8_lossy(&done.stderr)))),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Command {
    name: String,
    options: host::StartOptions,
}

impl Command {
    /// The program that is granted under this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let limits = host::ProcessLimits { memory_bytes: None, cpu_ms: None, time_ms: None, output_bytes: None };
        let options =
            host::StartOptions { arguments: Vec::new(), environment: Vec::new(), working_folder: None, limits };
        Self { name: name.into(), options }
    }

    /// One argument more.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.options.arguments.push(argument.into());
        self
    }

    /// These arguments more.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.options.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// One variable more. It inherits none.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.environment.push((name.into(), value.into()));
        self
    }

    /// A folder to work in, within one that this service is granted.
    #[must_use]
    pub fn working_folder(mut self, folder: impl Into<String>) -> Self {
        self.options.working_folder = Some(folder.into());
        self
    }

    /// The address space of each of its processes, in bytes, where that is less than is granted.
    #[must_use]
    pub fn memory_bytes(mut self, most: u64) -> Self {
        self.options.limits.memory_bytes = Some(most);
        self
    }

    /// How long each of its processes may compute, in milliseconds, where that is less than is granted.
    #[must_use]
    pub fn cpu_ms(mut self, most: u64) -> Self {
        self.options.limits.cpu_ms = Some(most);
        self
    }

    /// How long it may run, in milliseconds, where that is less than is granted.
    #[must_use]
    pub fn time_ms(mut self, most: u64) -> Self {
        self.options.limits.time_ms = Some(most);
        self
    }

    /// What is read of its output at most, in bytes, where that is less than is granted.
    #[must_use]
    pub fn output_bytes(mut self, most: u64) -> Self {
        self.options.limits.output_bytes = Some(most);
        self
    }

    /// Starts it, at once.
    ///
    /// # Errors
    ///
    /// [`ProcessError`].
    pub fn start(&self) -> Result<Process, ProcessError> {
        Ok(Process(host::Process::start(&self.name, &self.options)?))
    }

    /// Starts it, writes this to it, reads what it writes, and waits for its end. It may not write more than 64 KiB to
    /// its standard error before it is done with its standard output.
    ///
    /// # Errors
    ///
    /// [`ProcessError`].
    pub fn output(&self, stdin: &[u8]) -> Result<Output, ProcessError> {
        let process = self.start()?;
        if let Some(mut writer) = process.stdin() {
            // It may end before it has read all of it, and says so by its exit.
            let _read = writer.write_all(stdin).and_then(|()| writer.flush());
        }
        let read = |reader: Option<Reader>| {
            let mut bytes = Vec::new();
            // What ended it is told by its exit.
            let _whole = reader.map(|mut reader| reader.read_to_end(&mut bytes));
            bytes
        };
        let (stdout, stderr) = (read(process.stdout()), read(process.stderr()));
        Ok(Output { exit: process.wait()?, stdout, stderr })
    }
}

/// What came of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// A program that was started. Dropped, it ends.
#[derive(Debug)]
pub struct Process(host::Process);

impl Process {
    /// What it reads. Dropped, that is the end of it. None where it was taken before.
    #[must_use]
    pub fn stdin(&self) -> Option<Writer> {
        self.0.stdin().map(Writer)
    }

    /// What it writes. None where it was taken before.
    #[must_use]
    pub fn stdout(&self) -> Option<Reader> {
        self.0.stdout().map(Reader)
    }

    /// What it writes to its standard error. None where it was taken before.
    #[must_use]
    pub fn stderr(&self) -> Option<Reader> {
        self.0.stderr().map(Reader)
    }

    /// Waits until it has ended, within the deadline of the turn.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Denied`].
    pub fn wait(&self) -> Result<Exit, ProcessError> {
        Ok(self.0.wait()?.into())
    }

    /// How it ended; none while it runs.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Denied`].
    pub fn exited(&self) -> Result<Option<Exit>, ProcessError> {
        Ok(self.0.exited()?.map(Exit::from))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Denied`] and [`ProcessError::Ended`].
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let signal = match signal {
            Signal::Hangup => host::Signal::Hangup,
            Signal::Interrupt => host::Signal::Interrupt,
            Signal::Terminate => host::Signal::Terminate,
            Signal::UserOne => host::Signal::UserOne,
            Signal::UserTwo => host::Signal::UserTwo,
            Signal::Kill => host::Signal::Kill,
        };
        Ok(self.0.signal(signal)?)
    }
}

/// What a program can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGINT.
    Interrupt,
    /// SIGTERM: to end in order.
    Terminate,
    /// SIGUSR1.
    UserOne,
    /// SIGUSR2.
    UserTwo,
    /// SIGKILL, to it and to all that it has started.
    Kill,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By the signal of this number.
    Signal(i32),
    /// The host killed it over this limit of its grant.
    Limit(String),
    /// The host killed it, since its grant was taken away.
    Revoked,
}

impl From<host::Exit> for Exit {
    fn from(exit: host::Exit) -> Self {
        match exit {
            host::Exit::Status(status) => Self::Status(status),
            host::Exit::Signal(signal) => Self::Signal(signal),
            host::Exit::Limit(limit) => Self::Limit(limit),
            host::Exit::Revoked => Self::Revoked,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it ended with status {status}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::Limit(limit) => write!(f, "it was ended over its limit `{limit}`"),
            Self::Revoked => f.write_str("it was ended, since its grant was taken away"),
        }
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessError {
    /// It was not granted, or is not granted any more: the text names what is missing.
    Denied(String),
    /// As many run as may.
    Overloaded(String),
    /// The system did not start it.
    NotStarted(String),
    /// It has ended already.
    Ended,
}

impl From<host::ProcessError> for ProcessError {
    fn from(error: host::ProcessError) -> Self {
        match error {
            host::ProcessError::Denied(why) => Self::Denied(why),
            host::ProcessError::Overloaded(why) => Self::Overloaded(why),
            host::ProcessError::NotStarted(why) => Self::NotStarted(why),
            host::ProcessError::Ended => Self::Ended,
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::Overloaded(why) => write!(f, "there is no room for it: {why}"),
            Self::NotStarted(why) => write!(f, "it was not started: {why}"),
            Self::Ended => f.write_str("it has ended already"),
        }
    }
}

impl std::error::Error for ProcessError {}

/// What may be better later is [`Fault::Unavailable`]; the rest is [`Fault::Internal`].
impl From<ProcessError> for Fault {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Overloaded(_) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// Reads what a program writes.
#[derive(Debug)]
pub struct Reader(InputStream);

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.blocking_read(into.len() as u64) {
            Ok(read) => {
                let read = read.get(..into.len()).unwrap_or(&read);
                into[..read.len()].copy_from_slice(read);
                Ok(read.len())
            }
            Err(StreamError::Closed) => Ok(0),
            Err(StreamError::LastOperationFailed(error)) => Err(io::Error::other(error.to_debug_string())),
        }
    }
}

/// Writes what a program reads.
#[derive(Debug)]
pub struct Writer(OutputStream);

/// What is written at a time, in bytes.
const PIECE: usize = 4096;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        self.0.blocking_write_and_flush(piece).map_err(broken)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.blocking_flush().map_err(broken)
    }
}

fn broken(error: StreamError) -> io::Error {
    match error {
        StreamError::Closed => io::ErrorKind::BrokenPipe.into(),
        StreamError::LastOperationFailed(error) => io::Error::other(error.to_debug_string()),
    }
}
