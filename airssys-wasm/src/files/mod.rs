//! What WASI has no word for in a folder: a record at the end of a file, a file that is replaced as a whole, and who is
//! told what changes. Who may do which is decided before, by `capability/`; here it is done.
//!
//! Invariant: whatever is opened lies below the folder that is given (see [`crate::beneath`]), and nothing that could
//! block for good is opened: no pipe, no device.

mod append;
mod replace;
mod watch;

pub(crate) use self::append::{append, open_to_append};
pub(crate) use self::replace::{Came, May, replace, sweep};
pub(crate) use self::watch::{Change, Seen, Watch, Watched, What, is_full};

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::beneath::{self, Links};

/// What a file is made with, less what the host's process leaves out.
const MODE: Mode = Mode::from_bits_retain(0o666);

/// Opens a file, and nothing else.
fn file(folder: impl AsFd, path: &str, how: OFlags) -> io::Result<File> {
    let open = beneath::open(folder, path, Links::Refuse, how | OFlags::NONBLOCK | OFlags::NOCTTY, MODE);
    let file: File = match open {
        Ok(open) => open.into(),
        // A pipe that nobody reads.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => return Err(Errno::NOTSUP.into()),
        Err(error) => return Err(error),
    };
    let kind = file.metadata()?.file_type();
    match () {
        () if kind.is_file() => Ok(file),
        () if kind.is_dir() => Err(Errno::ISDIR.into()),
        () => Err(Errno::NOTSUP.into()),
    }
}

/// Opens a file to be read.
///
/// # Errors
///
/// What the system says; a folder and what is no file is none.
pub(crate) fn open_to_read(folder: impl AsFd, path: &str) -> io::Result<File> {
    file(folder, path, OFlags::RDONLY)
}
