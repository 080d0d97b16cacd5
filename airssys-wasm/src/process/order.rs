//! What a program is started with, and what it may take.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, getrlimit};

use super::places::Place;
use crate::beneath::{self, Links};
use crate::quota::Folder;

/// What a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The address space of each of its processes.
    pub(crate) memory_bytes: u64,
    /// How long each of its processes may compute, rounded up to seconds.
    pub(crate) cpu: Duration,
    /// How many files each of its processes may have open.
    pub(crate) files: u64,
    /// How long it may run.
    pub(crate) time: Duration,
    /// What may be read of its output.
    pub(crate) output_bytes: u64,
}

/// The folder that a program begins in.
#[derive(Debug, Clone)]
pub(crate) enum Workplace {
    /// By its path.
    At(PathBuf),
    /// A path within a granted folder, from which no link leads out.
    Within(Arc<Folder>, PathBuf),
}

impl Workplace {
    /// Opens it.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self {
            Self::At(path) => Ok(openat(CWD, path, how, Mode::empty())?),
            Self::Within(folder, rest) => beneath::open(&folder.handle, rest, Links::Follow, how, Mode::empty()),
        }
    }
}

/// A program to start.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) folder: Workplace,
    pub(crate) bounds: Bounds,
    pub(crate) place: Place,
}

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartError {
    /// What it is to be started with cannot be handed over.
    #[error("{what} has the character 0 in it")]
    Zero {
        /// What has it.
        what: String,
    },
    /// The system says no.
    #[error("{why}")]
    NotStarted {
        /// What it says.
        why: String,
    },
}

/// A start as the system takes it.
pub(super) struct Texts {
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    /// Each with the number at which the system warns, and the one past which there is nothing.
    pub(super) bounds: Vec<(Resource, u64, u64)>,
}

impl Start {
    /// It as the system takes it.
    pub(super) fn texts(&self) -> Result<Texts, StartError> {
        let text = |bytes: &[u8], what: &dyn Fn() -> String| {
            CString::new(bytes).map_err(|_| StartError::Zero { what: what() })
        };
        let program = text(self.program.as_os_str().as_bytes(), &|| "the path of the program".to_owned())?;
        let given = self.arguments.iter().map(|one| text(one.as_bytes(), &|| format!("the argument {one:?}")));
        let arguments: Result<Vec<CString>, StartError> = [Ok(program.clone())].into_iter().chain(given).collect();
        let variables = self
            .environment
            .iter()
            .map(|(name, value)| text(format!("{name}={value}").as_bytes(), &|| format!("the variable {name:?}")));
        let environment: Result<Vec<CString>, StartError> = variables.collect();
        Ok(Texts { program, arguments: arguments?, environment: environment?, bounds: self.bounds.all() })
    }
}

impl Bounds {
    /// As the system takes them. What the host itself may not have nobody can be given.
    fn all(&self) -> Vec<(Resource, u64, u64)> {
        let seconds = (self.cpu.as_secs() + u64::from(self.cpu.subsec_nanos() > 0)).max(1);
        let all = [
            (Resource::As, self.memory_bytes, self.memory_bytes),
            // The signal that says which limit it was comes a second before the one that no program can stay deaf to.
            (Resource::Cpu, seconds, seconds.saturating_add(1)),
            (Resource::Nofile, self.files, self.files),
            // What it had in memory is nobody's to find on a disk.
            (Resource::Core, 0, 0),
        ];
        let within = |(of, soft, hard): (Resource, u64, u64)| {
            let own = getrlimit(of).maximum.unwrap_or(u64::MAX);
            (of, soft.min(own), hard.min(own))
        };
        all.map(within).into()
    }
}
