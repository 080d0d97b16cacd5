//! What is left of a crash: all that an instance asked and was told, so that its crash can be seen again elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host_call::octets;
use super::recording::Reel;
use super::step::Step;
use super::told::Frame;
use crate::address::Address;
use crate::capsules::{CapsuleError, read, sealed};
use crate::error::Crash;
use crate::secrets::hide_in;
use crate::state::KeptState;

/// What is left of a crash.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Capsule;
///
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("a.capsule");
/// std::fs::write(&file, "no capsule")?;
/// let error = Capsule::read(&file).unwrap_err();
/// assert!(error.to_string().contains("is no capsule"), "{error}");
///
/// fn as_text(capsule: &Capsule) -> Result<String, serde_json::Error> {
///     Ok(capsule.value()?.to_string())
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Capsule {
    /// When it crashed.
    pub at: String,
    /// The service.
    pub service: String,
    /// Who crashed, with the key where it has one.
    pub actor: String,
    /// The key of the state, where each message's key chooses it.
    pub key: Option<String>,
    /// The release: name and version.
    pub release: String,
    /// The SHA-256 of its component.
    pub sha256: String,
    /// What its `Component.toml` says, where it has one.
    pub description: Option<String>,
    /// The word for the crash.
    pub code: String,
    /// What is told of it.
    pub text: String,
    /// The schema of its state.
    #[serde(default)]
    pub schema: u32,
    /// The functions that ran, the innermost first.
    pub frames: Vec<Frame>,
    /// Whether bodies are in it; without them, it cannot be replayed.
    pub has_bodies: bool,
    /// The state before the turn, by key; none where there is none or bodies are left out.
    pub state: Option<BTreeMap<String, String>>,
    /// How many turns came before those that are in it.
    pub lost: u64,
    /// What the supervisors said of the tree right after it.
    pub tree: Option<String>,
    pub(crate) limits: String,
    pub(crate) run: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) wires: String,
    /// The folders that it was granted, by their names for the guest.
    #[serde(default)]
    pub(crate) folders: Vec<String>,
    /// What was done with the instance, the crash last; empty where bodies are left out.
    pub(crate) steps: Vec<Step>,
    /// What each step is called, and how much it asked.
    pub steps_told: Vec<String>,
    pub(crate) crash: Crash,
}

impl Capsule {
    /// Reads a capsule, and refuses what is not as it was written.
    ///
    /// # Errors
    ///
    /// [`CapsuleError`].
    pub fn read(path: &Path) -> Result<Self, CapsuleError> {
        let text = read(path)?;
        serde_json::from_slice(&text)
            .map_err(|error| CapsuleError::Content { path: path.to_owned(), detail: error.to_string() })
    }

    /// See [`super::Recording::state_at`].
    #[must_use]
    pub fn state_at(&self, message: u64, before: bool) -> Option<(Box<str>, KeptState)> {
        let values =
            self.state.as_ref()?.iter().map(|(key, value)| (key.as_str().into(), octets::bytes(value.clone())));
        let key = self.key.as_deref().unwrap_or_default();
        let mut reel = Reel { turns: self.steps.clone(), ..Reel::of_none(&self.actor) };
        reel.states.insert(key.into(), values.collect());
        reel.wind_back();
        reel.state_at(message, before, self.schema)
    }

    /// The address that the messages came to.
    pub(crate) fn address(&self) -> Option<Address> {
        self.service.parse().ok()
    }

    /// As a file has it, without what is secret.
    pub(super) fn written(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        hide_in(&mut value);
        Ok(sealed(&serde_json::to_vec(&value)?))
    }

    /// As data.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}
