//! Writing a component: whole or not at all, and only where it differs.
//!
//! An unchanged file keeps its time, so that whoever caches by it (compiled code, test runs) need not start over.

use std::io::Write;
use std::path::Path;

use super::error::BuildError;

/// Writes the bytes; returns whether the file was different or missing before.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    if std::fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    replace(file, bytes).map_err(|source| BuildError::Unwritable { file: file.into(), source })?;
    Ok(true)
}

fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    // In the same folder, as a rename is only atomic within one file system.
    let mut temporary = tempfile::Builder::new().prefix(".airssys-").tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    readable_by_all(temporary.as_file())?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// Temporary files are made for their owner alone; a component is as public as any build result.
#[cfg(unix)]
fn readable_by_all(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_its_folders_and_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a").join("b.wasm");
        assert!(write(&file, b"one").unwrap());
        assert!(!write(&file, b"one").unwrap());
        assert!(write(&file, b"two").unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, b"").unwrap();
        let inside = blocked.join("b.wasm");
        assert!(matches!(write(&inside, b"x"), Err(BuildError::Unwritable { file, .. }) if file == inside));
    }
}
