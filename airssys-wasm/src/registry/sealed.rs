//! Small files of JSON that know when they are damaged, as earlier versions wrote them; and marks, which tell an older
//! copy of a file.
//!
//! ```text
//! {"sealed":1,"number":7,"sum":"SHA-256","said":...}     counter.json
//! airssys mark 1 0000000000000007 SUM                    counter.json.mark
//! ```
//!
//! The sum is over the names of the file and of its folder, the number, and the bytes of what is said. So a bit that
//! fell over is noticed, and so is a file that lies in the place of another. The number rises with each write, and the
//! mark beside the file has it too: an older copy, which fits together, is noticed by that. The mark is written after
//! the file and never synced: after a power cut it may be older than the file, and is then worth less; it is never
//! newer.
//!
//! A file without this frame, as still earlier versions wrote them, is read as it is. A file that is gone was
//! forgotten, and that is no damage.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{Digest, StoreError};

/// How a file begins that is sealed; then comes the version of the frame.
const FRAME: &str = "{\"sealed\":";
const VERSION: &str = "1";
const MARK: &str = "airssys mark 1";
const MARK_SUFFIX: &str = ".mark";
/// Only its owner reads what was deployed.
const MODE: u32 = 0o600;

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Unsound {
    /// The system does not let it be read.
    File(StoreError),
    /// It is not what was written last; the text says in what way.
    Damaged(String),
}

/// What a file says, where there is one and it is what was written last.
///
/// # Errors
///
/// [`Unsound`].
pub(crate) fn read(path: &Path) -> Result<Option<String>, Unsound> {
    // Before the file: a host that writes both meanwhile writes the mark last.
    let known = marked(path);
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| Unsound::File(StoreError::file("read", path)(error)))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let (number, said) = if text.starts_with(FRAME) {
        let (number, said) = opened(path, &text).map_err(Unsound::Damaged)?;
        (number, said.to_owned())
    } else {
        (0, text)
    };
    check_age(path, known, number)?;
    Ok(Some(said))
}

/// That a file which has this number is as new as its mark said before it was read.
///
/// # Errors
///
/// [`Unsound::Damaged`].
pub(crate) fn check_age(path: &Path, known: Option<u64>, number: u64) -> Result<(), Unsound> {
    match known {
        Some(known) if known > number => {
            let mark = mark_path(path);
            Err(Unsound::Damaged(format!(
                "it is damaged or an older copy: its number is {number}, and number {known} was written (where an older copy was put back on purpose, remove {} as well)",
                mark.display()
            )))
        }
        _ => Ok(()),
    }
}

/// The number that was written last, as the mark has it; none where there is no mark, or it is damaged itself.
pub(crate) fn marked(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(mark_path(path)).ok()?;
    let (number, sum) = text.strip_prefix(MARK)?.trim().split_once(' ')?;
    let (number, sum) = (u64::from_str_radix(number, 16).ok()?, u64::from_str_radix(sum, 16).ok()?);
    (sum == mark_sum(path, number)).then_some(number)
}

/// Marks that so much was written. Always of the same length, so a write that is cut off leaves a text with a wrong
/// sum.
pub(crate) fn mark(path: &Path, number: u64) {
    let text = format!("{MARK} {number:016x} {:016x}\n", mark_sum(path, number));
    let written = || -> io::Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(false).mode(MODE).open(mark_path(path))?;
        file.write_all(text.as_bytes())
    };
    // What the file says is right all the same; an older copy of it would not be noticed.
    let _only_less_safe = written();
}

/// Where the mark of a file is.
pub(crate) fn mark_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(MARK_SUFFIX);
    name.into()
}

/// The number and what is said, of a file with a frame whose sum is right; or what is wrong with it.
fn opened<'a>(path: &Path, text: &'a str) -> Result<(u64, &'a str), String> {
    let parts = || {
        let rest = text.strip_prefix(FRAME)?.strip_prefix(VERSION)?.strip_prefix(",\"number\":")?;
        let (number, rest) = rest.split_once(",\"sum\":\"")?;
        let (sum, rest) = rest.split_once("\",\"said\":")?;
        let said = rest.strip_suffix("}\n")?;
        Some((number.parse::<u64>().ok()?, Digest::of_text(sum)?, said))
    };
    let not_whole = || "it does not begin and end as it was written, or a newer airssys wrote it".to_owned();
    let (number, found, said) = parts().ok_or_else(not_whole)?;
    match sum(path, number, said.as_bytes()) == found {
        true => Ok((number, said)),
        false => Err("its sum is not that of what it says".to_owned()),
    }
}

/// The names count too, so that one is not taken for another.
pub(crate) fn place(path: &Path) -> String {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    format!("{}/{}", name(path.parent()), name(Some(path)))
}

fn sum(path: &Path, number: u64, said: &[u8]) -> Digest {
    let mut bytes = format!("{} {number} ", place(path)).into_bytes();
    bytes.extend_from_slice(said);
    Digest::of(&bytes)
}

fn mark_sum(path: &Path, number: u64) -> u64 {
    xxh3_64(format!("{} {number}", place(path)).as_bytes())
}

fn damaged(detail: &str) -> Unsound {
    Unsound::Damaged(detail.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

    use super::*;
    use crate::registry::files;

    /// Writes a file as earlier versions did.
    fn write(path: &Path, said: &[u8]) -> Result<(), StoreError> {
        let before = fs::read_to_string(path).ok().and_then(|text| opened(path, &text).ok().map(|(number, _)| number));
        let number = before.max(marked(path)).unwrap_or_default().saturating_add(1);
        let text = format!("{FRAME}{VERSION},\"number\":{number},\"sum\":\"{}\",\"said\":", sum(path, number, said));
        files::write_whole(path, &[text.as_bytes(), said, b"}\n"].concat(), MODE)?;
        mark(path, number);
        Ok(())
    }

    fn detail(path: &Path) -> String {
        match read(path) {
            Err(Unsound::Damaged(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_bit_and_each_length_of_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert!(read(&path).unwrap().is_none());
        write(&path, br#"{"one":1}"#).unwrap();
        write(&path, br#"{"two":2}"#).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), r#"{"two":2}"#);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                fs::write(&path, bytes).unwrap();
                let _said = detail(&path);
            }
            fs::write(&path, &whole[..at]).unwrap();
            let _said = detail(&path);
        }
    }

    #[test]
    fn an_older_copy_and_one_of_another_file_are_told_and_one_without_a_frame_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.json"), folder.path().join("b.json"));
        fs::write(&path, "{\"old\": true}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "{\"old\": true}");
        write(&path, b"1").unwrap();
        let older = fs::read(&path).unwrap();
        write(&path, b"2").unwrap();
        write(&other, b"2").unwrap();
        write(&other, b"2").unwrap();
        fs::copy(&other, &path).unwrap();
        assert!(detail(&path).contains("sum"));
        for older in [&older[..], b"{\"old\": true}"] {
            fs::write(&path, older).unwrap();
            assert!(detail(&path).contains("a.json.mark"), "{}", detail(&path));
        }
        fs::remove_file(mark_path(&path)).unwrap();
        assert!(read(&path).unwrap().is_some(), "it was put back on purpose");
        // Who removed it begins anew, and what is written then is the newest.
        mark(&path, 7);
        fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap().is_none());
        write(&path, b"3").unwrap();
        assert_eq!((read(&path).unwrap().unwrap(), marked(&path)), ("3".to_owned(), Some(8)));
    }

    #[test]
    fn a_mark_that_is_damaged_or_of_another_file_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.json"), folder.path().join("b.json"));
        write(&path, b"1").unwrap();
        mark(&other, 1_000);
        fs::copy(mark_path(&other), mark_path(&path)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "1");
        for text in ["", "airssys mark 1", "airssys mark 1 zz yy\n"] {
            fs::write(mark_path(&path), text).unwrap();
            assert_eq!(read(&path).unwrap().unwrap(), "1", "{text}");
        }
    }
}
