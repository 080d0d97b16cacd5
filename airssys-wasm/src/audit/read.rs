//! Reads the lines of an audit, of a host that runs or of none.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// More than any line has, in bytes: what is longer is read as several.
const MOST_LINE: u64 = 1 << 20;
/// What the names of its files end in.
const ENDING: &str = ".jsonl";

/// The numbers of the files in a folder, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse().ok());
        found.extend(number.filter(|number| path_of(folder, *number).file_name() == Some(&name)));
    }
    found.sort_unstable();
    Ok(found)
}

/// The path of a file.
pub(super) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}{ENDING}"))
}

/// The files of an audit, in order: those of a folder, or this one.
///
/// # Errors
///
/// It is not there, or cannot be read.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("000001.jsonl"), "")?;
/// assert_eq!(airssys_wasm::command::audit_files(folder.path())?.len(), 1);
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn audit_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if fs::metadata(path)?.is_dir() {
        return Ok(files(path)?.into_iter().map(|number| path_of(path, number)).collect());
    }
    Ok(vec![path.to_owned()])
}

/// The lines of files, one after the other.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::AuditLines;
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("000001.jsonl");
/// std::fs::write(&file, "{}\n{\"torn")?;
/// let lines: Vec<_> = AuditLines::of(vec![file]).collect::<Result<_, _>>()?;
/// assert_eq!(lines.iter().map(|line| line.is_whole).collect::<Vec<_>>(), [true, false]);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AuditLines {
    /// Those that are to come, the next one last.
    files: Vec<PathBuf>,
    now: Option<(PathBuf, BufReader<File>, u64)>,
}

/// A line as it stands in a file.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::RawLine;
///
/// /// Where somebody is to look.
/// fn place(line: &RawLine) -> String {
///     format!("{}:{}", line.file.display(), line.at)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawLine {
    /// The file.
    pub file: PathBuf,
    /// Which line of it, from 1.
    pub at: u64,
    /// What stands there, without the end of line.
    pub bytes: Vec<u8>,
    /// Whether it has an end of line.
    pub is_whole: bool,
    /// Whether a file comes after this one.
    pub has_next_file: bool,
}

impl AuditLines {
    /// Those of these files, in this order.
    #[must_use]
    pub fn of(mut files: Vec<PathBuf>) -> Self {
        files.reverse();
        Self { files, now: None }
    }

    fn read(&mut self) -> io::Result<Option<RawLine>> {
        loop {
            let Some((file, reader, at)) = &mut self.now else {
                let Some(next) = self.files.pop() else { return Ok(None) };
                match File::open(&next) {
                    Ok(opened) => self.now = Some((next, BufReader::new(opened), 0)),
                    // A host that runs may have retired it.
                    Err(error) if error.kind() == ErrorKind::NotFound && !self.files.is_empty() => {}
                    Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", next.display()))),
                }
                continue;
            };
            let mut bytes = Vec::new();
            if reader.take(MOST_LINE).read_until(b'\n', &mut bytes)? == 0 {
                self.now = None;
                continue;
            }
            let is_whole = bytes.pop_if(|last| *last == b'\n').is_some();
            *at += 1;
            let has_next_file = !self.files.is_empty();
            return Ok(Some(RawLine { file: file.clone(), at: *at, bytes, is_whole, has_next_file }));
        }
    }
}

impl Iterator for AuditLines {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
