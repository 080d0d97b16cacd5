//! The names of the contract between host and guests, and the ways in which a guest is called.

/// The contract's package, without its version.
pub(super) const CONTRACT: &str = "airssys:actor/";
pub(super) const MESSAGING: &str = "airssys:actor/messaging@";
pub(super) const HANDLER: &str = "airssys:actor/handler@0.1.0";
pub(super) const LIFECYCLE: &str = "airssys:actor/lifecycle@0.1.0";
pub(super) const HEALTH: &str = "airssys:actor/health@0.1.0";
pub(super) const MONITORING: &str = "airssys:actor/monitoring@0.1.0";
pub(super) const SUPERVISION: &str = "airssys:actor/supervision";
/// How a guest hands its memory over.
pub(crate) const UPGRADE: &str = "airssys:actor/upgrade@0.1.0";

/// How a release's guests are called.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Lane;
///
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("echo.wasm"), b"")?;
/// let release = airssys_wasm::registry::Release::find(&folder.path().join("echo.wasm"))?;
/// assert_eq!(release.manifest.lane, Lane::Async, "the default");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// On a stack of its own: it may wait, and yields when it is busy. The default.
    #[default]
    Async,
    /// On the worker's stack: faster and smaller, and it can only be trapped, one tick after the turn began. Not for
    /// guests that import `call` or WASI.
    Sync,
}
