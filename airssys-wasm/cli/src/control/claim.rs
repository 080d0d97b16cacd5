//! The data folder of a host: who holds it, and where its socket is.
//!
//! What is in `control/` is for its owner only, whatever the data folder around it is. A host holds the lock as long as
//! it lives; the kernel lets go of it when the host is killed, and so a socket without a lock is a dead host's and is
//! taken over. The socket is seen when the mesh is up, not before.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::ControlError;

/// The longest path that a socket can have, in bytes.
const MAX_SOCKET_PATH: usize = 107;

fn control(data: &Path) -> PathBuf {
    data.join("control")
}

/// Where the socket of the host with this data folder is.
pub(super) fn socket(data: &Path) -> PathBuf {
    control(data).join("socket")
}

/// A data folder that is this host's, or that of a command that must have it alone.
#[derive(Debug)]
pub(crate) struct Claim {
    listener: UnixListener,
    data: PathBuf,
    hidden: PathBuf,
    shown: PathBuf,
    _lock: File,
}

impl Claim {
    /// The folder.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Takes the folder, and makes the socket in it, where no other host has it.
    pub(crate) fn take(data: &Path) -> Result<Self, ControlError> {
        let folder = control(data);
        let (hidden, shown) = (folder.join("socket.new"), socket(data));
        if hidden.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
            return Err(ControlError::TooLong { socket: shown });
        }
        let unusable = |source| ControlError::Place { folder: folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(unusable)?;
        if fs::symlink_metadata(&folder).map_err(unusable)?.is_symlink() {
            // Who made it would choose whose mode is changed.
            return Err(unusable(io::ErrorKind::NotADirectory.into()));
        }
        // It may have been there, and for others too.
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(unusable)?;
        let taken = |process| ControlError::Taken { data: data.to_owned(), process };
        let lock = lock(&folder.join("lock")).map_err(unusable)?.map_err(taken)?;
        remove(&hidden).map_err(unusable)?;
        let listener = UnixListener::bind(&hidden).map_err(unusable)?;
        fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        Ok(Self { listener, data: data.to_owned(), hidden, shown, _lock: lock })
    }

    /// Lets the socket be found, in place of a dead host's where there is one.
    pub(super) fn show(&self) -> Result<UnixListener, ControlError> {
        fs::rename(&self.hidden, &self.shown).and_then(|()| self.listener.try_clone()).map_err(self.unusable())
    }

    /// What to say where the system says no.
    pub(super) fn unusable(&self) -> impl Fn(io::Error) -> ControlError {
        |source| ControlError::Connect { socket: self.shown.clone(), source }
    }

    /// Takes the socket away. The folder stays this host's.
    pub(super) fn hide(&self) {
        for socket in [&self.hidden, &self.shown] {
            if let Err(error) = remove(socket) {
                tracing::warn!(target: "airssys", socket = %socket.display(), %error, "the control socket stays behind");
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.hide();
    }
}

fn remove(socket: &Path) -> io::Result<()> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Locks the file and writes into it who did. Where another host has it: the process that it says it is.
fn lock(path: &Path) -> io::Result<Result<File, Option<u32>>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.take(32).read_to_string(&mut text);
            return Ok(Err(read.ok().and_then(|_| text.trim().parse().ok())));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Ok(file))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::{Claim, ControlError, socket};

    #[test]
    fn a_folder_has_one_host_and_a_dead_ones_socket_is_taken_over() {
        let here = tempfile::tempdir().unwrap();
        let data = here.path().join("a/data");
        let claim = Claim::take(&data).unwrap();
        assert!(!socket(&data).exists(), "it is not up");
        claim.show().unwrap();
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&socket(&data)), mode(&data.join("control"))), (0o600, 0o700));
        let own = Some(std::process::id());
        assert!(matches!(Claim::take(&data), Err(ControlError::Taken { process, .. }) if process == own));
        drop(claim);
        assert!(!socket(&data).exists());

        // As a killed host leaves it.
        fs::set_permissions(data.join("control"), fs::Permissions::from_mode(0o755)).unwrap();
        drop(std::os::unix::net::UnixListener::bind(socket(&data)).unwrap());
        let claim = Claim::take(&data).unwrap();
        let _listener = claim.show().unwrap();
        UnixStream::connect(socket(&data)).unwrap();
        assert_eq!(mode(&data.join("control")), 0o700);
    }

    #[test]
    fn a_link_is_not_followed() {
        let here = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(here.path(), here.path().join("control")).unwrap();
        assert!(matches!(Claim::take(here.path()), Err(ControlError::Place { .. })));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        let data = std::path::Path::new("/tmp").join("x".repeat(120));
        assert!(matches!(Claim::take(&data), Err(ControlError::TooLong { .. })));
        assert!(!data.exists());
    }
}
