//! Ends the programs that were started when the host does, however that ends: also by a signal that it cannot catch.
//!
//! The system can end a child with its parent, and does so here; but not what the child has started. So one more
//! process waits for the end of the host, which closes the pipe between them, and kills the groups that were there
//! then. It is a few lines of the shell: whoever embeds the host has no program of ours to start, and a copy of the
//! host would keep the host's memory.
//!
//! Invariant: a group is told before its program runs, and taken back before its number can be another one's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::Pid;

use super::start::tell;

/// Where the shell is on each system that has one.
const SHELL: &str = "/bin/sh";

/// Reads lines such as `+ 4711` and `- 4711`, and kills what is left at the end.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group ";;
    -) groups="${groups%% "$group" *} ${groups#* "$group" }";;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"#;

/// The process that waits.
pub(super) struct Guard {
    shell: Child,
    lines: ChildStdin,
}

impl Guard {
    /// Starts it, and tells it of these groups.
    pub(super) fn start(groups: impl Iterator<Item = Pid>) -> io::Result<Self> {
        let mut shell = Command::new(SHELL);
        shell.args(["-c", SCRIPT, "airssys-guard"]).env_clear().current_dir("/");
        // A group of its own, so that what is typed in a terminal to end the host does not end it.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn()?;
        let lines = shell.stdin.take().ok_or_else(|| io::Error::other("it has no input"))?;
        groups.into_iter().try_for_each(|group| tell(&lines, b'+', group))?;
        Ok(Self { shell, lines })
    }

    /// Whether it is there.
    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    /// Where it is told of a group.
    pub(super) fn lines(&self) -> BorrowedFd<'_> {
        self.lines.as_fd()
    }

    /// A group is gone.
    pub(super) fn forget(&self, group: Pid) {
        // Where it is gone itself, the next one is told of those that are there.
        let _gone = tell(&self.lines, b'-', group);
    }
}
