//! The exit codes, which scripts may rely on.

use std::process::ExitCode;

/// What `--help` says of the exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done; a mesh without an input that was stopped by SIGINT, SIGTERM or `airssys stop` is done;
       with --plan, a release or a topology that would be taken
  1    it failed: a build, a mesh that gave up or was stopped before all lines were answered,
       with --strict also a line without an answer; a running host refused, or gave no answer;
       a release that was deployed and went back, a topology that was applied and undone;
       with --plan, a release or a topology that would be refused;
       a run of `airssys test` of which something does not hold
  2    wrong usage or bad input: arguments, a topology, a component, an input file
  3    the mesh cannot start on this machine, or one of its services did not,
       or its data folder has another host, or is that of another mesh
  4    no host runs on the data folder
  70   a bug in airssys
  130, 143   ended at once, by a second SIGINT or SIGTERM
Errors are written to stderr with a code in brackets, which stays the same where the wording does not.";

/// How the command ends, where it does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for did not succeed.
    Failed,
    /// What was given is not right.
    BadInput,
    /// The mesh did not come up.
    CannotStart,
    /// There is no host to speak to.
    NoHost,
    /// The command itself is wrong.
    Bug,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::CannotStart => 3,
            Exit::NoHost => 4,
            Exit::Bug => 70,
        })
    }
}
