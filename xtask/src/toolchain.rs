//! The guest toolchain: there already, or installed.
//!
//! `airssys build --check` alone knows what is needed; here is only where to get it: rustup's targets first, Debian's
//! packages where rustup cannot fetch. Never changes rustup's settings.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::debian::{self, NODE};
use crate::error::Error;
use crate::progress;

const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-unknown-unknown"];
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
/// The code of the one error of `airssys build` that an installation mends.
const NO_TOOLCHAIN: &str = "error[AB109]";

/// How long rustup may take: two small downloads.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// What `airssys build --check` found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Guests can be built.
    Enough,
    /// A part of the toolchain is missing; what it said.
    Missing(String),
    /// Something else is wrong, which no installation mends; what it said.
    Wrong(String),
}

/// Makes sure that the guests in `guests` can be built by `airssys`. Silent where they can already; installs only where
/// exactly the toolchain is what is missing.
pub(crate) fn ensure(airssys: &Path, guests: &Path) -> Result<(), Error> {
    if missing(airssys, guests)?.is_none() {
        return Ok(());
    }
    let fetched = progress::run(
        "the guest toolchain is missing: fetching rustup's targets",
        Command::new("rustup").args(["target", "add"]).args(TARGETS),
        Some(RUSTUP_LIMIT),
    );
    let Some(missing_still) = missing(airssys, guests)? else {
        return Ok(());
    };
    let reason = fetched.err().map_or_else(|| missing_still.clone(), |error| error.to_string());
    apt(&reason, &missing_still)?;
    match missing(airssys, guests)? {
        None => Ok(()),
        Some(reason) => Err(Error::NoToolchain { reason, remedy: rustup_remedy() }),
    }
}

/// What is missing, where something is; an error where it is not the toolchain.
fn missing(airssys: &Path, guests: &Path) -> Result<Option<String>, Error> {
    let mut check = Command::new(airssys);
    check.args(["build", "--check"]).arg(guests).stdin(Stdio::null());
    let program = format!("{} build --check {}", airssys.display(), guests.display());
    let output = check.output().map_err(|source| Error::NotRun { program: program.clone(), source })?;
    match found(output.status.success(), &String::from_utf8_lossy(&output.stderr)) {
        Found::Enough => Ok(None),
        Found::Missing(said) => Ok(Some(said)),
        Found::Wrong(said) => Err(Error::Failed { program, status: output.status, output: said }),
    }
}

fn found(success: bool, said: &str) -> Found {
    let said = said.trim().to_owned();
    match success {
        true => Found::Enough,
        false if said.contains(NO_TOOLCHAIN) => Found::Missing(said),
        false => Found::Wrong(said),
    }
}

fn apt(reason: &str, missing: &str) -> Result<(), Error> {
    debian::install(reason, "rustup has not got its targets", &packages(missing), |packages| match packages {
        Some(packages) => format!("{}, or {packages}", rustup_remedy()),
        None => rustup_remedy(),
    })
}

const OLDEST_NODE: (u32, u32) = (20, 19);

/// Makes sure that there is a node and an npm, which build guests in JavaScript.
pub(crate) fn ensure_node() -> Result<(), Error> {
    NODE.ensure()?;
    match debian::version("node").map(|version| (is_new_enough(&version), version)) {
        Some((false, version)) => {
            Err(Error::NoToolchain { reason: format!("node is too old: {version}"), remedy: NODE.remedy.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Of what `node --version` says, such as `v20.19.2`.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST_NODE
}

/// The linker comes with rustup's Rust; it is only installed where it is said to be missing.
fn packages(missing: &str) -> Vec<&'static str> {
    let linker = missing.contains("wasm-ld").then_some("lld");
    PACKAGES.into_iter().chain(linker).collect()
}

fn rustup_remedy() -> String {
    format!("`rustup target add {}`", TARGETS.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LINKER: &str = "error[AB109]: no toolchain here builds for wasm32-wasip2: no rust-lld or wasm-ld";

    #[test]
    fn only_a_missing_toolchain_is_a_reason_to_install() {
        assert_eq!(found(true, ""), Found::Enough);
        assert_eq!(found(false, NO_LINKER), Found::Missing(NO_LINKER.to_owned()));
        for wrong in ["error[AB104]: `a/Component.toml` is no Component.toml", "error[AB101]: no Cargo.toml", ""] {
            assert_eq!(found(false, wrong), Found::Wrong(wrong.to_owned()));
        }
    }

    #[test]
    fn a_node_that_is_too_old_is_known() {
        assert!(is_new_enough("v20.19.0") && is_new_enough("v22.1.0"));
        assert!(!is_new_enough("v20.18.9") && !is_new_enough("v18.20.4") && !is_new_enough("node"));
    }

    #[test]
    fn a_linker_is_installed_only_where_it_is_missing() {
        assert!(packages(NO_LINKER).contains(&"lld"));
        assert!(!packages("error[AB109]: no wasi-libc").contains(&"lld"));
    }
}
