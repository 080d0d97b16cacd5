//! The file of a log: put aside when it is large or old, and compressed then, by a thread that is there only for that.
//!
//! Those that are put aside are `path.1`, `path.2` and so on, the highest number the youngest; compressed, `path.1.gz`.
//! What is in the file already when it is opened stays there.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

/// When a file is put aside, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) bytes: u64,
    pub(super) after: Duration,
    pub(super) keep: usize,
    pub(super) compress: bool,
}

/// See the module.
pub(super) struct LogFile {
    path: PathBuf,
    pub(super) rotation: Rotation,
    open: Option<Open>,
    /// Lines that are to be written.
    waiting: Vec<u8>,
    counted: Counted,
    /// Compresses what was put aside.
    at_work: Option<JoinHandle<io::Result<()>>>,
}

struct Open {
    file: File,
    bytes: u64,
    /// When its first line came.
    began: Option<SystemTime>,
}

/// What some lines stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// The lines themselves, those left out that say how many are missing,
    pub(super) lines: u64,
    /// and how many those say.
    pub(super) missing: u64,
}

/// Lines that could not be written, and why.
pub(super) struct Failed {
    pub(super) counted: Counted,
    pub(super) error: io::Error,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self { counted: Counted::default(), error }
    }
}

impl LogFile {
    pub(super) fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self { path, rotation, open: None, waiting: Vec::new(), counted: Counted::default(), at_work: None }
    }

    /// Adds a line that is whole, of this time. It is written at [`LogFile::flush`], or before.
    pub(super) fn add(&mut self, line: &[u8], of: Counted, at: SystemTime) -> Result<(), Failed> {
        let written = self.make_room(line.len(), at);
        self.waiting.extend_from_slice(line);
        self.counted.lines += of.lines;
        self.counted.missing += of.missing;
        written
    }

    /// Puts the file aside where this line is not to be in it any more.
    fn make_room(&mut self, bytes: usize, at: SystemTime) -> Result<(), Failed> {
        self.open()?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let there = open.bytes + self.waiting.len() as u64;
        let age = open.began.and_then(|began| at.duration_since(began).ok()).unwrap_or_default();
        open.began.get_or_insert(at);
        if there == 0 || (there + bytes as u64 <= self.rotation.bytes && age < self.rotation.after) {
            return Ok(());
        }
        self.flush()?;
        self.rotate()?;
        self.open()?;
        if let Some(open) = &mut self.open {
            open.began = Some(at);
        }
        Ok(())
    }

    /// Writes what waits. What fails is not tried again.
    pub(super) fn flush(&mut self) -> Result<(), Failed> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.open()?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let written = open.file.write_all(&self.waiting);
        if let Err(error) = written {
            // Nobody is to find the half of a line.
            let _as_far_as_can_be = open.file.set_len(open.bytes);
            self.open = None;
            return Err(self.lose(error));
        }
        open.bytes += self.waiting.len() as u64;
        self.waiting.clear();
        self.counted = Counted::default();
        Ok(())
    }

    fn lose(&mut self, error: io::Error) -> Failed {
        self.waiting.clear();
        Failed { counted: std::mem::take(&mut self.counted), error }
    }

    /// Opens it where it is not, or where somebody has moved or removed it.
    fn open(&mut self) -> Result<(), Failed> {
        if self.open.as_ref().is_some_and(|open| open.is_at(&self.path)) {
            return Ok(());
        }
        match Open::at(&self.path) {
            Ok(open) => self.open = Some(open),
            Err(error) => return Err(self.lose(error)),
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let next = aside(&self.path)?.last().map_or(1, |(number, _)| number + 1);
        fs::rename(&self.path, with_number(&self.path, next, ""))?;
        self.open = None;
        self.settle()
    }

    /// Compresses what is put aside and is not, and removes what is too much.
    fn settle(&mut self) -> io::Result<()> {
        prune(&self.path, self.rotation.keep)?;
        if !self.rotation.compress || self.at_work.as_ref().is_some_and(|work| !work.is_finished()) {
            // Whoever is at work goes on with what came meanwhile.
            return Ok(());
        }
        let before = self.at_work.take().map(finish);
        let path = self.path.clone();
        let thread = std::thread::Builder::new().name("airssys-log-gz".to_owned());
        self.at_work = Some(thread.spawn(move || compress_all(&path))?);
        before.unwrap_or(Ok(()))
    }

    /// Writes what waits, and waits for what is being compressed.
    pub(super) fn end(&mut self) -> Result<(), Failed> {
        let written = self.flush();
        let mut compressed = self.at_work.take().map_or(Ok(()), finish);
        if self.rotation.compress {
            // What was put aside when that thread had just looked for the last time.
            compressed = compressed.and_then(|()| gone(compress_all(&self.path)));
            // One that went while it was being compressed is there again.
            compressed = compressed.and_then(|()| gone(prune(&self.path, self.rotation.keep)));
        }
        written.and(compressed.map_err(Failed::from))
    }
}

fn finish(work: JoinHandle<io::Result<()>>) -> io::Result<()> {
    work.join().unwrap_or_else(|_| Err(io::Error::other("the thread that compresses ended")))
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another log is written to it")),
            // Where there are no locks, nobody can be kept out.
            Err(TryLockError::Error(_)) => {}
        }
        let metadata = file.metadata()?;
        let mut bytes = metadata.len();
        let began = (bytes > 0).then(|| metadata.created().or_else(|_| metadata.modified()).ok()).flatten();
        if bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                // A host that was killed may have been in the middle of a line.
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Self { file, bytes, began })
    }

    /// Whether it is still found there.
    fn is_at(&self, path: &Path) -> bool {
        let own = self.file.metadata().map(|own| (own.dev(), own.ino()));
        let found = fs::metadata(path).map(|found| (found.dev(), found.ino()));
        matches!((own, found), (Ok(own), Ok(found)) if own == found)
    }
}

/// What a file is called that is compressed.
const COMPRESSED: &str = ".gz";
/// The same, while it is.
const PART: &str = ".gz.part";

fn with_number(path: &Path, number: u64, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}{ending}"));
    name.into()
}

/// The files that are put aside, the oldest first.
fn aside(path: &Path) -> io::Result<Vec<(u64, &'static str)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let found = entry?.file_name();
        let found = found.to_string_lossy();
        let Some(rest) = found.strip_prefix(&*name).and_then(|rest| rest.strip_prefix('.')) else { continue };
        for ending in [COMPRESSED, PART, ""] {
            if let Some(Ok(number)) = rest.strip_suffix(ending).map(str::parse) {
                all.push((number, ending));
                break;
            }
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Removes the oldest files that are too many.
fn prune(path: &Path, keep: usize) -> io::Result<()> {
    let all = aside(path)?;
    let mut numbers: Vec<u64> = all.iter().map(|(number, _)| *number).collect();
    numbers.dedup();
    let first = numbers.len().saturating_sub(keep).checked_sub(1).and_then(|last| numbers.get(last));
    for (number, ending) in all.iter().filter(|(number, _)| first.is_some_and(|last| number <= last)) {
        gone(fs::remove_file(with_number(path, *number, ending)))?;
    }
    Ok(())
}

/// Who compresses and who removes may meet.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Compresses what is put aside, the oldest first, until there is no more.
fn compress_all(path: &Path) -> io::Result<()> {
    while let Some((number, _)) = aside(path)?.into_iter().find(|(_, ending)| ending.is_empty()) {
        let (plain, part) = (with_number(path, number, ""), with_number(path, number, PART));
        let compressed =
            compress(&plain, &part).and_then(|()| fs::rename(&part, with_number(path, number, COMPRESSED)));
        if let Err(error) = compressed {
            let _it_is_of_no_use = fs::remove_file(&part);
            // It was one too many meanwhile, or somebody took the copy away: the next look tells.
            gone(Err(error))?;
            continue;
        }
        gone(fs::remove_file(&plain))?;
    }
    Ok(())
}

fn compress(plain: &Path, part: &Path) -> io::Result<()> {
    let mut from = File::open(plain)?;
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part)?;
    let mut encoder = GzEncoder::new(to, Compression::fast());
    io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::path::Path;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Counted, LogFile, Rotation, aside};

    const HOUR: Duration = Duration::from_secs(3_600);
    const ONE: Counted = Counted { lines: 1, missing: 0 };

    fn file(path: &Path, bytes: u64, keep: usize, compress: bool) -> LogFile {
        LogFile::new(path.to_owned(), Rotation { bytes, after: HOUR, keep, compress })
    }

    fn write(log: &mut LogFile, line: &str, at: SystemTime) {
        assert!(log.add(line.as_bytes(), ONE, at).is_ok() && log.flush().is_ok(), "{line}");
    }

    /// All lines, the oldest first.
    fn all(path: &Path) -> String {
        let mut text = String::new();
        for (number, ending) in aside(path).unwrap() {
            let file = fs::File::open(super::with_number(path, number, ending)).unwrap();
            if ending.is_empty() {
                (&file).read_to_string(&mut text).unwrap();
            } else {
                flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
            }
        }
        text + &fs::read_to_string(path).unwrap()
    }

    #[test]
    fn no_line_is_cut_or_lost_while_files_are_put_aside() {
        for compress in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("deep/log.jsonl");
            let mut log = file(&path, 100, 1_000, compress);
            for number in 0..50 {
                write(&mut log, &format!("line {number:>4}\n"), UNIX_EPOCH);
            }
            assert!(log.end().is_ok());
            let expected: String = (0..50).map(|number| format!("line {number:>4}\n")).collect();
            assert_eq!(all(&path), expected);
            let aside = aside(&path).unwrap();
            assert_eq!(aside.len(), 4, "{aside:?}");
            assert!(aside.iter().all(|(_, ending)| ending.is_empty() != compress), "{aside:?}");
        }
    }

    #[test]
    fn the_oldest_files_go_and_an_old_file_is_put_aside_at_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = file(&path, 1_000_000, 2, true);
        let mut now = UNIX_EPOCH + HOUR;
        for number in 0..5 {
            write(&mut log, &format!("{number}a\n"), now);
            write(&mut log, &format!("{number}b\n"), now + HOUR - Duration::from_millis(1));
            now += HOUR;
        }
        assert!(log.end().is_ok());
        assert_eq!(all(&path), "2a\n2b\n3a\n3b\n4a\n4b\n");
        assert_eq!(aside(&path).unwrap(), [(3, ".gz"), (4, ".gz")]);
    }

    #[test]
    fn what_is_put_aside_and_not_compressed_is_so_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(folder.path().join("log.7"), "one\n").unwrap();
        let mut log = file(&path, 1_000, 2, true);
        write(&mut log, "two\n", SystemTime::now());
        assert!(log.end().is_ok());
        assert_eq!(all(&path), "one\ntwo\n");
        assert_eq!(aside(&path).unwrap(), [(7, ".gz")]);
        // Where there is no folder, there is nothing to compress.
        assert!(file(&folder.path().join("none/log"), 1_000, 2, true).end().is_ok());
    }

    #[test]
    fn it_goes_on_after_a_line_that_was_cut_and_after_the_file_was_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "{\"cut").unwrap();
        let mut log = file(&path, 1_000, 2, false);
        write(&mut log, "{}\n", SystemTime::now());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"cut\n{}\n");
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        write(&mut log, "one\n", SystemTime::now());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        let failed = file(&path, 1_000, 2, false).add(b"two\n", ONE, SystemTime::now());
        assert!(failed.is_err_and(|failed| failed.error.to_string().contains("another log")));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_the_next_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/log");
        fs::write(folder.path().join("sub"), "a file is in the way").unwrap();
        let mut log = file(&path, 1_000, 2, false);
        assert!(log.add(b"one\n", ONE, UNIX_EPOCH).is_err());
        let told = Counted { lines: 0, missing: 7 };
        assert!(log.add(b"seven\n", told, UNIX_EPOCH).is_err_and(|failed| failed.counted == ONE));
        assert!(log.flush().is_err_and(|failed| failed.counted == told));
        fs::remove_file(folder.path().join("sub")).unwrap();
        write(&mut log, "two\n", UNIX_EPOCH);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }
}
