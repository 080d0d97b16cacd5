//! The names of the contract between host and guests, and the ways in which a guest is called.

use crate::capability::Requests;

/// The contract's package, without its version.
pub(super) const CONTRACT: &str = "airssys:actor/";
/// What the host has of its machine beyond WASI, without its version.
const SYSTEM: &str = "airssys:os/";
pub(super) const MESSAGING: &str = "airssys:actor/messaging@";
pub(super) const HANDLER: &str = "airssys:actor/handler@0.1.0";
pub(super) const LIFECYCLE: &str = "airssys:actor/lifecycle@0.1.0";
pub(super) const HEALTH: &str = "airssys:actor/health@0.1.0";
pub(super) const MONITORING: &str = "airssys:actor/monitoring@0.1.0";
/// How a component is a layer of the host; its functions are called by their types, as those of its own are.
pub(super) const LAYER: &str = "airssys:actor/layer@0.1.0";
pub(super) const SUPERVISION: &str = "airssys:actor/supervision";
/// To start programs of the machine.
pub(super) const PROCESSES: &str = "airssys:os/processes";
/// To work with files beyond what WASI has words for.
pub(super) const FILES: &str = "airssys:os/files";
/// How a guest hands its memory over.
pub(crate) const UPGRADE: &str = "airssys:actor/upgrade@0.1.0";

/// Whether an interface belongs to what host and guests have agreed on.
pub(crate) fn is_contract(interface: &str) -> bool {
    interface.starts_with(CONTRACT) || interface.starts_with(SYSTEM)
}

/// What a release is linked with beyond the baseline: what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Beyond {
    /// What lets it have children.
    pub(crate) supervision: bool,
    /// What lets it start programs.
    pub(crate) processes: bool,
    /// What lets it work with files beyond what WASI has words for.
    pub(crate) files: bool,
}

impl Beyond {
    pub(crate) fn of(requests: &Requests) -> Self {
        Self {
            supervision: !requests.spawn.is_empty(),
            processes: !requests.processes.is_empty(),
            files: !requests.files.is_empty(),
        }
    }

    /// The key of `[requests]` that an interface is missing for.
    pub(super) fn lacks(self, interface: &str) -> Option<&'static str> {
        match () {
            () if interface.starts_with(SUPERVISION) && !self.supervision => Some("spawn"),
            () if interface.starts_with(PROCESSES) && !self.processes => Some("processes"),
            () if interface.starts_with(FILES) && !self.files => Some("files"),
            () => None,
        }
    }
}

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
