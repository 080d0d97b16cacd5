//! Paths in a folder that lead nowhere else: whatever links and `..` are in them, and whoever changes them meanwhile,
//! what is opened lies below the folder, or nothing is. The kernel looks after that while it walks.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// What becomes of a link in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// It is followed, below the folder.
    Follow,
    /// The path leads nowhere.
    Refuse,
}

/// Opens something in a folder.
///
/// # Errors
///
/// What the system says; where the path leads out, that it is not permitted.
pub(crate) fn open(
    folder: impl AsFd,
    path: impl AsRef<Path>,
    links: Links,
    how: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let path = path.as_ref();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let plain = if links == Links::Refuse { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::NO_MAGICLINKS };
    let within = ResolveFlags::BENEATH | plain;
    // The kernel refuses a mode of what is not made.
    let mode = if how.contains(OFlags::CREATE) { mode } else { Mode::empty() };
    openat2(folder, path, how | OFlags::CLOEXEC, mode, within).map_err(|errno| match errno {
        Errno::XDEV => Errno::PERM.into(),
        other => other.into(),
    })
}

/// The folder that something lies in or is to lie in, and its name there.
///
/// # Errors
///
/// It has no name of its own, and as [`open`] says.
pub(crate) fn parent(folder: impl AsFd, path: &str, links: Links) -> io::Result<(OwnedFd, &str)> {
    let path = path.trim_end_matches('/');
    let (above, name) = path.rsplit_once('/').unwrap_or((".", path));
    if matches!(name, "" | "." | "..") {
        return Err(Errno::INVAL.into());
    }
    // What is below the root is below nothing that is granted.
    if path.starts_with('/') {
        return Err(Errno::PERM.into());
    }
    Ok((open(folder, above, links, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs::File;
    use std::os::unix::fs::symlink;

    use rustix::fs::{Mode, OFlags};

    use super::Links;

    #[test]
    fn no_path_leads_out() {
        let disk = tempfile::tempdir().unwrap();
        let inner = disk.path().join("in");
        std::fs::create_dir_all(inner.join("sub")).unwrap();
        std::fs::write(disk.path().join("secret"), "").unwrap();
        symlink("../secret", inner.join("up")).unwrap();
        symlink("/", inner.join("root")).unwrap();
        symlink("sub", inner.join("fine")).unwrap();
        let folder = File::open(&inner).unwrap();
        let kind = |path: &str| {
            super::open(&folder, path, Links::Follow, OFlags::RDONLY, Mode::empty()).err().map(|why| why.kind())
        };
        for out in ["..", "../secret", "up", "root", "root/etc", "sub/../../secret", "/etc", "fine/../../secret"] {
            assert_eq!(kind(out), Some(std::io::ErrorKind::PermissionDenied), "{out}");
        }
        for within in ["", ".", "sub", "fine", "sub/..", "sub/../fine/."] {
            assert_eq!(kind(within), None, "{within}");
        }
        for (path, name) in [
            ("a", Some("a")),
            ("sub/a/", Some("a")),
            ("fine/a", Some("a")),
            ("root/a", None),
            ("..", None),
            ("", None),
            ("sub/..", None),
            ("/a", None),
            ("up/a", None),
        ] {
            assert_eq!(super::parent(&folder, path, Links::Follow).ok().map(|(_, name)| name), name, "{path}");
        }
        let refused = |path: &str| {
            super::open(&folder, path, Links::Refuse, OFlags::RDONLY, Mode::empty()).is_err()
                || super::parent(&folder, &format!("{path}/x"), Links::Refuse).is_err()
        };
        assert!(refused("fine") && refused("up") && !refused("sub"));
    }
}
