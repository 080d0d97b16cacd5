//! Programs of others that guests are built and tested with, and the packages of Debian's that have them.
//!
//! Installs packages only where this is Debian and we are root; elsewhere it is said what to install.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::progress;

/// How long apt-get may take, each time: 300 MB.
const LIMIT: Duration = Duration::from_secs(1200);

/// Programs that tests run beside the host, each with what it is needed for and what the names of those tests have in
/// them.
pub(crate) const OF_TESTS: [(Programs, &str, &str); 2] =
    [(BROWSER, "a browser", "::browser::"), (GDB, "a debugger", "::gdb::")];

/// Programs that are needed together.
pub(crate) struct Programs {
    /// Each, and the package that has it.
    all: &'static [(&'static str, &'static str)],
    /// What to do where they cannot be installed from here.
    pub(crate) remedy: &'static str,
}

/// What a test clicks in, and what drives it.
const BROWSER: Programs = Programs {
    all: &[("chromium", "chromium"), ("chromedriver", "chromium-driver")],
    remedy: "install chromium and chromedriver",
};
/// What tests ask by HTTP with.
pub(crate) const CURL: Programs = Programs { all: &[("curl", "curl")], remedy: "install curl" };
/// What tests look at a crash with.
const GDB: Programs = Programs { all: &[("gdb", "gdb")], remedy: "install gdb" };
/// What builds guests in JavaScript; Debian 12 has an older one.
pub(crate) const NODE: Programs = Programs {
    all: &[("node", "nodejs"), ("npm", "npm")],
    remedy: "install node (20.19 or newer) and npm, and let npm reach its registry",
};

impl Programs {
    /// Makes sure that all of them are there. Silent where they are already.
    ///
    /// # Errors
    ///
    /// One is not there, and cannot be installed.
    pub(crate) fn ensure(&self) -> Result<(), Error> {
        let Some(missing) = self.missing() else { return Ok(()) };
        let packages: Vec<&str> = self.all.iter().map(|(_, package)| *package).collect();
        let reason = format!("there is no {missing}");
        let installed =
            install(&reason, &reason, &packages, |command| command.unwrap_or_else(|| self.remedy.to_owned()));
        match (self.missing(), installed) {
            (None, _) => Ok(()),
            (Some(_), Err(error)) => Err(error),
            (Some(missing), Ok(())) => Err(Error::NoToolchain {
                reason: format!("there is no {missing} still"),
                remedy: self.remedy.to_owned(),
            }),
        }
    }

    /// [`Programs::ensure`] for tests that are left out, and said so, where there is none and it cannot be installed;
    /// where `CI` is set, nothing is left out. Whether they are there.
    ///
    /// # Errors
    ///
    /// One is not there, where `CI` is set.
    pub(crate) fn ensure_or_leave_out(&self, what: &'static str) -> Result<bool, Error> {
        let (reason, remedy) = match self.ensure() {
            Ok(()) => return Ok(true),
            Err(Error::NoToolchain { reason, remedy }) => (reason, remedy),
            Err(other) => (other.to_string(), self.remedy.to_owned()),
        };
        if std::env::var_os("CI").is_some() {
            return Err(Error::NoProgram { what, reason, remedy });
        }
        progress::line(&format!("tests in {what} are left out: {reason}\n  hint: {remedy}"));
        Ok(false)
    }

    /// The first of them that does not run.
    fn missing(&self) -> Option<&'static str> {
        self.all.iter().map(|(program, _)| *program).find(|program| version(program).is_none())
    }
}

/// What a program says that is asked for its version; none where it does not run.
pub(crate) fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Installs packages, where this is Debian and we are root. `said` is told before. `remedy` says what to do otherwise;
/// it is given the command that would do it, where there is one.
///
/// # Errors
///
/// They are not installed, for this `reason` or because apt-get failed.
pub(crate) fn install(
    reason: &str,
    said: &str,
    packages: &[&str],
    remedy: impl Fn(Option<String>) -> String,
) -> Result<(), Error> {
    let none = |remedy: String| Error::NoToolchain { reason: reason.to_owned(), remedy };
    if !Path::new("/etc/debian_version").exists() {
        return Err(none(remedy(None)));
    }
    if !is_root() {
        return Err(none(remedy(Some(format!("`sudo apt-get install {}`", packages.join(" "))))));
    }
    progress::line(&format!("{said}; installing Debian's packages: {}", packages.join(" ")));
    progress::run("apt-get update", apt_get().arg("update"), Some(LIMIT))?;
    let install = ["install", "-y", "--no-install-recommends"];
    progress::run("apt-get install", apt_get().args(install).args(packages), Some(LIMIT))
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    apt
}

/// The owner of our own process, as the kernel shows it; no `unsafe` for it.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_does_not_run_is_the_one_that_is_missing() {
        let programs = |all| Programs { all, remedy: "" };
        assert_eq!(programs(&[("cargo", "cargo")]).missing(), None);
        assert_eq!(programs(&[("cargo", "cargo"), ("no-such-program", "none")]).missing(), Some("no-such-program"));
    }
}
