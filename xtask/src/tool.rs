//! A tool that builds guests: in one version, in a folder of its own under the target folder. Nothing else of the
//! machine is changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::progress;

/// How long an installation may take: some hundred MB.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// What is installed. Another version would make other binaries.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What pins all that comes with it, where that is a file.
    pub(crate) lock: &'static str,
    /// Puts it into an empty folder.
    pub(crate) install: fn(&Tool, &Path) -> Result<(), Error>,
}

impl Tool {
    /// Its folder, below that of its language. Installed where it is missing, and said so.
    pub(crate) fn installed(&self, root: &Path, language: &Path) -> Result<PathBuf, Error> {
        let folder = language.join(format!("{}-{}", self.name, self.version));
        // Written last, so that an installation that was cut off is done again.
        let complete = folder.join("complete");
        if std::fs::read_to_string(&complete).is_ok_and(|of| of == self.lock) {
            return Ok(folder);
        }
        let shown = folder.strip_prefix(root).unwrap_or(&folder).display();
        progress::line(&format!("installing {} {} for guests into {shown}", self.name, self.version));
        empty(&folder)?;
        (self.install)(self, &folder)?;
        std::fs::write(&complete, self.lock).map_err(Error::unreadable(&complete))?;
        Ok(folder)
    }

    /// Installs it from Python's index, with a Python of its own.
    pub(crate) fn by_pip(&self, folder: &Path) -> Result<(), Error> {
        progress::run("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(folder), Some(LIMIT))?;
        let mut pip = Command::new(folder.join("bin").join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        progress::run("pip install", pip.arg(format!("{}=={}", self.name, self.version)), Some(LIMIT))
    }
}

/// Makes a folder, without what an earlier one of that name had in it.
pub(crate) fn empty(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::unreadable(folder)(error)),
        _ => {}
    }
    std::fs::create_dir_all(folder).map_err(Error::unreadable(folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn once(_: &Tool, folder: &Path) -> Result<(), Error> {
        let file = folder.join("installed");
        assert!(!file.exists(), "what was cut off is still there");
        std::fs::write(&file, "").map_err(Error::unreadable(&file))
    }

    #[test]
    fn a_tool_is_installed_again_only_where_that_was_cut_off_or_its_lock_is_another() {
        let language = std::env::temp_dir().join(format!("airssys-tool-{}", std::process::id()));
        let tool = Tool { name: "hammer", version: "1.0.0", lock: "a", install: once };
        let folder = tool.installed(&language, &language).unwrap();
        assert!(folder.join("installed").is_file());
        std::fs::write(folder.join("installed"), "used").unwrap();
        assert_eq!(tool.installed(&language, &language).unwrap(), folder);
        assert_eq!(std::fs::read_to_string(folder.join("installed")).unwrap(), "used");
        for again in [Tool { lock: "b", ..tool }, Tool { lock: "b", ..tool }] {
            again.installed(&language, &language).unwrap();
            assert_eq!(std::fs::read_to_string(folder.join("installed")).unwrap(), "");
            std::fs::remove_file(folder.join("complete")).unwrap();
        }
        std::fs::remove_dir_all(&language).unwrap();
    }
}
