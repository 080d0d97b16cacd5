//! Why a deployment was not begun, and what to do about that.

use super::bad_choice::BadChoice;
use super::recorded::{Divergence, RecordingError};
use super::ungranted::Ungranted;
use super::wires::BrokenWire;
use crate::audit::Unrecorded;
use crate::engine::TemplateError;
use crate::hint::{Act, Coded, Hint};
use crate::limits::OutOfRange;
use crate::registry::{StoreError, Untrusted};
use crate::topology::FolderError;

/// Why a deployment was not begun. Nothing has changed.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, folder| {
/// use airssys_wasm::deploy::{DeployError, DeployOptions};
/// use airssys_wasm::registry::Release;
///
/// let same = Release::find(&folder.join("echo.wasm"))?;
/// let error = runtime.deploy("echo", same, DeployOptions::default()).await.err().ok_or("it is live")?;
/// assert!(matches!(error, DeployError::AlreadyLive { .. }), "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// The service is stopped: none of its actors runs that could switch to the release.
    #[error("{service} is stopped")]
    Stopped {
        /// The service.
        service: String,
    },
    /// Another deployment of the service is under way: there is one at a time.
    #[error("a deployment of {service} is under way")]
    UnderWay {
        /// The service.
        service: String,
    },
    /// The strategy, or a gate, cannot keep its promise for the service.
    #[error("{service} cannot be deployed {strategy}: {why}")]
    Unfit {
        /// The service.
        service: String,
        /// The strategy, or that there is a gate.
        strategy: &'static str,
        /// Why not.
        why: &'static str,
        /// What can.
        instead: &'static str,
    },
    /// It is live already.
    #[error("{service} is served by this very release already; nothing was done")]
    AlreadyLive {
        /// The service.
        service: String,
    },
    /// There is nothing to go back to.
    #[error("{service} has had no other release since the mesh was started")]
    NoPrevious {
        /// The service.
        service: String,
    },
    /// There is no state to restore: the live release did not bring it over to another schema, or the host has ended
    /// since.
    #[error(
        "{service} has no state from before to go back to: the live release did not bring it over, or the host has ended since"
    )]
    NoSavedState {
        /// The service.
        service: String,
    },
    /// Nobody who is trusted signed it.
    #[error("{service}: {source}")]
    Untrusted {
        /// The service.
        service: String,
        /// What is wrong with its signatures.
        source: Untrusted,
    },
    /// Its version is not newer.
    #[error("{service} is served by version {live}, and {version} is not newer")]
    Downgrade {
        /// The service.
        service: String,
        /// The version that is live.
        live: String,
        /// That of the release.
        version: String,
    },
    /// It has the version of the live one, and is another one.
    #[error(
        "{service} is served by version {version} already, and this is the same version with {what}: sha256 {live} is live, and this one has {offered}"
    )]
    SameVersion {
        /// The service.
        service: String,
        /// The version of both.
        version: String,
        /// `another binary` or `another Component.toml`.
        what: &'static str,
        /// The SHA-256 of the component that is live.
        live: String,
        /// That of the release.
        offered: String,
    },
    /// It keeps its state in an older schema.
    #[error("{service} keeps its state in schema {live}, and the release in {schema}, which is older")]
    OlderSchema {
        /// The service.
        service: String,
        /// The schema that is live.
        live: u32,
        /// That of the release.
        schema: u32,
    },
    /// It does not export what the live one exports.
    #[error(
        "{service}: the release does not export what the live one does: {}",
        .broken.join("; ")
    )]
    Incompatible {
        /// The service.
        service: String,
        /// Each export that is gone or has another type, and how it differs.
        broken: Vec<String>,
    },
    /// A wire from or to the service would not carry what is said over it.
    #[error(transparent)]
    Wire(#[from] BrokenWire),
    /// It asks for more than is granted, and the options say that this is refused.
    #[error("{0}")]
    NotGranted(Box<Ungranted>),
    /// A policy has something to say against it.
    #[error("{said}")]
    Policy {
        /// What it says, a line each.
        said: String,
    },
    /// Its bytes cannot be kept in the data folder, so that it could not be started again.
    #[error("{service}: the release cannot be kept: {source}")]
    NotKept {
        /// The service.
        service: String,
        /// Why not.
        source: Box<StoreError>,
    },
    /// A time of the options is out of its range.
    #[error("{out}")]
    Range {
        /// Which, and what it may be.
        out: OutOfRange,
    },
    /// The strategy or the gate of the options makes no sense.
    #[error(transparent)]
    Choice(#[from] BadChoice),
    /// It lies in a folder that a guest may write to.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The audit is required and cannot record it. Nothing has changed.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// It is to be shown recorded turns, and there are none that it can be shown.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// It does not do what was recorded.
    #[error("the release does not do what was recorded: {0}")]
    Diverges(Box<Divergence>),
    /// The release cannot be hosted.
    #[error("{service}: {source}")]
    Release {
        /// The service.
        service: String,
        /// Why not.
        source: TemplateError,
    },
}

impl Coded for DeployError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::Stopped { .. } => "stopped",
            Self::UnderWay { .. } => "under-way",
            Self::Unfit { .. } => "unfit",
            Self::AlreadyLive { .. } => "already-live",
            Self::NoPrevious { .. } => "no-previous",
            Self::NoSavedState { .. } => "no-saved-state",
            Self::Untrusted { .. } => "untrusted",
            Self::Downgrade { .. } => "downgrade",
            Self::SameVersion { .. } => "same-version",
            Self::OlderSchema { .. } => "older-schema",
            Self::Incompatible { .. } => "incompatible",
            Self::Wire(_) => "wire",
            Self::NotGranted(_) => "not-granted",
            Self::Policy { .. } => "policy",
            Self::NotKept { .. } => "not-kept",
            Self::Range { .. } => "range",
            Self::Choice(_) => "bad-strategy",
            Self::Folder(_) => "folder",
            Self::Unrecorded(error) => error.code(),
            Self::Recording(error) => error.code(),
            Self::Diverges(_) => "diverges",
            Self::Release { .. } => "release",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::NoSuchService { .. } => Act::ListServices.into(),
            Self::Stopped { service } => Act::Start { service: service.clone() }.into(),
            Self::UnderWay { .. } => "wait until it has ended, or cancel it".into(),
            Self::Unfit { instead, .. } => (*instead).into(),
            Self::NoPrevious { .. } => "deploy the one it is to have".into(),
            Self::NoSavedState { .. } => Act::KeepState.into(),
            Self::Downgrade { .. } => Hint::from("give the release a newer version, ")
                .act(Act::GoBack)
                .words(", or ")
                .act(Act::AllowDowngrade),
            Self::SameVersion { .. } => Hint::from("give the release a newer version, or ")
                .act(Act::SameVersion)
                .words(" where that is meant, as while developing"),
            Self::OlderSchema { .. } => {
                Hint::from("where its `migrate` brings such a state back, ").act(Act::AllowDowngrade)
            }
            Self::Incompatible { .. } => {
                "export it as it was beside what is new, or make it a service of its own".into()
            }
            Self::Wire(broken) => return broken.hint(),
            Self::Unrecorded(error) => return error.hint(),
            Self::NotGranted(found) => found.line.clone().into(),
            Self::Policy { .. } => "change what the rule is about, or ask whoever has the policy".into(),
            Self::Range { out } => out.hint().into(),
            Self::Choice(bad) => return bad.hint(),
            Self::Untrusted { source, .. } => return source.hint(),
            Self::NotKept { source, .. } => return source.hint(),
            Self::Folder(error) => return error.hint(),
            Self::Recording(error) => return error.hint(),
            Self::Diverges(divergence) if divergence.kinds.is_empty() => "mend the release".into(),
            Self::Diverges(divergence) => {
                let ways = divergence.kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(",");
                Hint::from("mend the release, or where that is meant ").act(Act::Allow { ways })
            }
            Self::Release { source, .. } => return source.hint(),
            Self::AlreadyLive { .. } => return None,
        };
        Some(hint)
    }
}
