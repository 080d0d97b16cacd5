//! The browser that a test clicks in: Debian's `chromium`, and the driver that comes with it.
//!
//! Where neither is there and they cannot be installed, its tests are left out, and said so; where `CI` is set, nothing
//! is left out.

use std::process::{Command, Stdio};

use crate::error::Error;
use crate::{progress, toolchain};

/// What the names of all tests have in them that need it.
pub(crate) const TESTS: &str = "::browser::";

/// The programs, and the packages of Debian's that have them.
const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// Makes sure that there is one; whether there is.
///
/// # Errors
///
/// There is none, where `CI` is set.
pub(crate) fn ensure() -> Result<bool, Error> {
    let Some(missing) = missing() else { return Ok(true) };
    let reason = format!("there is no {missing}");
    let remedy = |packages: Option<String>| packages.unwrap_or_else(|| format!("install {}", PROGRAMS.join(" and ")));
    let installed = toolchain::install(&reason, &reason, &PACKAGES, remedy);
    let error = match (installed, self::missing()) {
        (_, None) => return Ok(true),
        (Err(error), _) => error,
        (Ok(()), Some(missing)) => {
            let reason = format!("there is no {missing} still");
            Error::NoToolchain { reason, remedy: remedy(None) }
        }
    };
    let (reason, remedy) = match error {
        Error::NoToolchain { reason, remedy } => (reason, remedy),
        other => (other.to_string(), remedy(None)),
    };
    if std::env::var_os("CI").is_some() {
        return Err(Error::NoBrowser { reason, remedy });
    }
    progress::line(&format!("tests in a browser are left out: {reason}\n  hint: {remedy}"));
    Ok(false)
}

/// The first of the programs that does not run.
fn missing() -> Option<&'static str> {
    let runs = |program: &&str| {
        let mut version = Command::new(program);
        version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    PROGRAMS.into_iter().find(|program| !runs(program))
}
