//! The part of `Component.toml` that building needs: name, version and `[build]`.
//!
//! Everything else in it belongs to the host, which owns the complete parser and refuses unknown keys; here they are
//! skipped.

use std::path::Path;

use serde::Deserialize;

use super::error::BuildError;

/// What `Component.toml` says about building.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Manifest {
    /// Names the component and its file.
    pub(super) name: String,
    pub(super) version: semver::Version,
    #[serde(default)]
    pub(super) build: Build,
}

/// The `[build]` table.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Build {
    /// Whether the guest is built against WASI. Default: true.
    pub(super) wasi: bool,
    /// Which world of the folder `wit`, where that has several, for a guest in another language than Rust.
    pub(super) world: Option<String>,
}

impl Default for Build {
    fn default() -> Self {
        Self { wasi: true, world: None }
    }
}

/// Reads and checks the file.
pub(super) fn read(file: &Path) -> Result<Manifest, BuildError> {
    let text = std::fs::read_to_string(file).map_err(|source| BuildError::Unreadable { file: file.into(), source })?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<Manifest, BuildError> {
    let manifest: Manifest =
        toml::from_str(text).map_err(|source| BuildError::BadManifest { file: file.into(), source })?;
    // The name becomes a file name: nothing in it may lead out of the folder. The rule is the host's.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !manifest.name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !manifest.name.chars().all(plain) {
        return Err(BuildError::BadName { file: file.into(), name: manifest.name });
    }
    Ok(manifest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Manifest, BuildError> {
        parse(Path::new("Component.toml"), text)
    }

    #[test]
    fn wasi_is_the_default() {
        let manifest = parsed("name = \"echo\"\nversion = \"0.1.0\"").unwrap();
        assert_eq!((manifest.name.as_str(), manifest.build.wasi), ("echo", true));
    }

    #[test]
    fn wasi_can_be_left_away() {
        assert!(!parsed("name = \"echo\"\nversion = \"0.1.0\"\n[build]\nwasi = false").unwrap().build.wasi);
    }

    #[test]
    fn a_world_can_be_named() {
        let manifest = parsed("name = \"echo\"\nversion = \"0.1.0\"\n[build]\nworld = \"shop\"").unwrap();
        assert_eq!((manifest.build.world.as_deref(), manifest.build.wasi), (Some("shop"), true));
    }

    #[test]
    fn what_belongs_to_the_host_is_skipped() {
        assert!(
            parsed("name = \"a\"\nversion = \"0.1.0\"\nowner = 1\n[limits]\nmemory = \"1MiB\"\n[requests]\n").is_ok()
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for bad in [
            "",
            "name = \"a\"",
            "version = \"0.1.0\"",
            "name = \"a\"\nversion = \"1\"",
            "name = 1\nversion = \"0.1.0\"",
        ] {
            assert!(matches!(parsed(bad), Err(BuildError::BadManifest { .. })), "{bad}");
        }
        assert!(matches!(
            parsed("name = \"a\"\nversion = \"0.1.0\"\n[build]\nwasm = true"),
            Err(BuildError::BadManifest { .. })
        ));
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        for bad in ["", "../up", "a/b", "a b", "..", ".a", "-a"] {
            let text = format!("name = \"{bad}\"\nversion = \"0.1.0\"");
            assert!(matches!(parsed(&text), Err(BuildError::BadName { .. })), "{bad}");
        }
    }
}
