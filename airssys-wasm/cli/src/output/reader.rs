//! Whoever reads stdout of a subcommand that goes on for long, and may go away: `airssys events --follow | head -1`.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Writes lines to stdout at once. False where nobody reads any more.
pub(crate) fn print_lines<L: AsRef<str>>(lines: &[L]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(stdout, "{}", line.as_ref())).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Waits until there is something to read from `other`. True where the reader of stdout goes away before that: then
/// there is nobody to print it for, and a write would say so only when there is something to write.
pub(crate) fn nobody_reads_before(other: impl AsFd) -> bool {
    let stdout = io::stdout();
    loop {
        let mut both = [PollFd::new(&other, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut both, None) {
            Err(Errno::INTR) => {}
            // Whoever reads and writes is told what is wrong.
            Err(_) => return false,
            Ok(_) if both[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) => return true,
            Ok(_) => return false,
        }
    }
}
