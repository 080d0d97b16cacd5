//! The log of a host on disk: two files in the data folder, of which the older one gives way. So it is bounded, and
//! there when the host is gone.
//!
//! One event is one line, a JSON object, whole or not there: a line is written at once. A host writes, any number of
//! commands read meanwhile.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How large a file may become before the next one is begun, in bytes. There are two at most.
pub(super) const FILE_BYTES: u64 = 8 << 20;

pub(super) fn folder(data: &Path) -> PathBuf {
    data.join("log")
}

/// The file that is written, or was last.
pub(super) fn newest(data: &Path) -> PathBuf {
    folder(data).join("host.jsonl")
}

/// The one before it.
pub(super) fn older(data: &Path) -> PathBuf {
    folder(data).join("host.1.jsonl")
}

/// The file that a host appends to.
#[derive(Debug)]
pub(super) struct LogFile {
    data: PathBuf,
    file: File,
    bytes: u64,
    most_bytes: u64,
    /// Whether it may end within a line.
    torn: bool,
}

impl LogFile {
    /// Goes on with what is there.
    pub(super) fn open(data: &Path, most_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder(data))?;
        let file = append(&newest(data))?;
        let bytes = file.metadata()?.len();
        // A host that was killed may have been in the middle of one.
        let torn = bytes > 0 && !ends_with_line(&newest(data))?;
        Ok(Self { data: data.to_owned(), file, bytes, most_bytes, torn })
    }

    /// Writes lines that are whole, each with its end. What fails on the way is not tried again.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.most_bytes {
            fs::rename(newest(&self.data), older(&self.data))?;
            self.file = append(&newest(&self.data))?;
            (self.bytes, self.torn) = (0, false);
        }
        if std::mem::replace(&mut self.torn, true) {
            self.file.write_all(b"\n")?;
        }
        self.bytes += lines.len() as u64;
        self.file.write_all(lines)?;
        self.torn = false;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn ends_with_line(path: &Path) -> io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;

    use super::{LogFile, newest, older};

    #[test]
    fn the_older_lines_give_way_and_no_line_is_cut() {
        let data = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(data.path(), 100).unwrap();
        for number in 0..50 {
            log.write(format!("line {number:>4}\n").as_bytes()).unwrap();
        }
        let text = fs::read_to_string(older(data.path())).unwrap() + &fs::read_to_string(newest(data.path())).unwrap();
        assert!(text.len() <= 200, "{text}");
        let numbers: Vec<u32> = text.lines().map(|line| line["line ".len()..].trim().parse().unwrap()).collect();
        assert_eq!(numbers, (50 - numbers.len() as u32..50).collect::<Vec<_>>(), "the youngest ones, in order");
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_spoil_the_next() {
        let data = tempfile::tempdir().unwrap();
        drop(LogFile::open(data.path(), 100).unwrap());
        fs::write(newest(data.path()), "{\"cut").unwrap();
        LogFile::open(data.path(), 100).unwrap().write(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(newest(data.path())).unwrap(), "{\"cut\n{}\n");
    }
}
