//! The browser that a test clicks in.
//!
//! Where there is none and it cannot be installed, its tests are left out, and said so; where `CI` is set, nothing is
//! left out.

use crate::debian::BROWSER;
use crate::error::Error;
use crate::progress;

/// What the names of all tests have in them that need it.
pub(crate) const TESTS: &str = "::browser::";

/// Makes sure that there is one; whether there is.
///
/// # Errors
///
/// There is none, where `CI` is set.
pub(crate) fn ensure() -> Result<bool, Error> {
    let (reason, remedy) = match BROWSER.ensure() {
        Ok(()) => return Ok(true),
        Err(Error::NoToolchain { reason, remedy }) => (reason, remedy),
        Err(other) => (other.to_string(), BROWSER.remedy.to_owned()),
    };
    if std::env::var_os("CI").is_some() {
        return Err(Error::NoBrowser { reason, remedy });
    }
    progress::line(&format!("tests in a browser are left out: {reason}\n  hint: {remedy}"));
    Ok(false)
}
