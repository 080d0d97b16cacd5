//! Reads the log while it may be written, and goes on where it stopped, also over the change from one file to the next.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::LogsError;
use super::file::{newest, older};
use super::record::Record;

/// One line.
pub(super) struct Line {
    pub(super) text: String,
    /// What it says; none where it is damaged.
    pub(super) record: Option<Record>,
}

/// A log that is read on.
pub(super) struct Follow {
    data: PathBuf,
    /// Where the older file is to be read first.
    older: Option<BufReader<File>>,
    newest: Option<BufReader<File>>,
    /// A line that is not written to its end yet.
    begun: Vec<u8>,
}

impl Follow {
    /// Begins with the oldest line. Where `waits`, it need not be there yet.
    pub(super) fn open(data: &Path, waits: bool) -> Result<Self, LogsError> {
        // The newest first: what is renamed in between is then read twice rather than not at all, which the comparison
        // below finds.
        let newest = open(&newest(data))?;
        let older = open(&older(data))?;
        if newest.is_none() && older.is_none() && !waits {
            return Err(LogsError::None { data: data.to_owned() });
        }
        let twice = matches!((&older, &newest), (Some(one), Some(two)) if is_same(one, two));
        let newest = if twice { None } else { newest };
        Ok(Self { data: data.to_owned(), older, newest, begun: Vec::new() })
    }

    /// Gives each line that is there by now.
    pub(super) fn take(&mut self, mut each: impl FnMut(Line)) -> Result<(), LogsError> {
        if let Some(mut older) = self.older.take() {
            self.read(&mut older, &mut each)?;
        }
        loop {
            // Opened before the rest of the last one is read: what comes after that is in this one.
            let now = open(&newest(&self.data))?;
            let Some(mut last) = self.newest.take() else {
                match now {
                    None => return Ok(()),
                    Some(now) => self.newest = Some(now),
                }
                continue;
            };
            self.read(&mut last, &mut each)?;
            match now {
                Some(now) if !is_same(&last, &now) => self.newest = Some(now),
                _ => {
                    self.newest = Some(last);
                    return Ok(());
                }
            }
        }
    }

    fn read(&mut self, file: &mut BufReader<File>, each: &mut impl FnMut(Line)) -> Result<(), LogsError> {
        let unreadable = |source| LogsError::Read { file: newest(&self.data), source };
        while file.read_until(b'\n', &mut self.begun).map_err(unreadable)? > 0 {
            if self.begun.last() != Some(&b'\n') {
                break;
            }
            let text = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
            self.begun.clear();
            each(Line { record: serde_json::from_str(&text).ok(), text });
        }
        Ok(())
    }
}

fn open(file: &Path) -> Result<Option<BufReader<File>>, LogsError> {
    match File::open(file) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LogsError::Read { file: file.to_owned(), source }),
    }
}

fn is_same(one: &BufReader<File>, two: &BufReader<File>) -> bool {
    let identity = |file: &BufReader<File>| -> io::Result<(u64, u64)> {
        let found = file.get_ref().metadata()?;
        Ok((found.dev(), found.ino()))
    };
    matches!((identity(one), identity(two)), (Ok(one), Ok(two)) if one == two)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::file::LogFile;
    use super::{Follow, LogsError};

    fn taken(follow: &mut Follow) -> Vec<String> {
        let mut taken = Vec::new();
        follow.take(|line| taken.push(line.text)).unwrap();
        taken
    }

    #[test]
    fn what_is_followed_loses_nothing_when_a_file_gives_way() {
        let data = tempfile::tempdir().unwrap();
        let mut follow = Follow::open(data.path(), true).unwrap();
        assert!(taken(&mut follow).is_empty());
        let mut log = LogFile::open(data.path(), 100).unwrap();
        let (mut seen, mut written) = (Vec::new(), Vec::new());
        for number in 0..100 {
            let line = format!("line {number}");
            log.write(format!("{line}\n").as_bytes()).unwrap();
            written.push(line);
            if number % 7 == 0 {
                seen.extend(taken(&mut follow));
            }
        }
        seen.extend(taken(&mut follow));
        assert_eq!(seen, written);
    }

    #[test]
    fn a_line_is_given_when_it_is_whole() {
        let data = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(data.path(), 100).unwrap();
        log.write(b"one\ntw").unwrap();
        let mut follow = Follow::open(data.path(), false).unwrap();
        assert_eq!(taken(&mut follow), ["one"]);
        log.write(b"o\n").unwrap();
        assert_eq!(taken(&mut follow), ["two"]);
    }

    #[test]
    fn no_log_is_an_error_and_not_an_empty_one() {
        let data = tempfile::tempdir().unwrap();
        assert!(matches!(Follow::open(data.path(), false), Err(LogsError::None { .. })));
    }
}
