//! What the recorders of a service have, taken together: the turns of its actors, what came of each, and the states
//! before the first of them. Another release can be held against it, and a state looked at as it was.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host_call::{HostCall, Scope};
use super::step::{Step, Values, What};
use crate::address::Address;
use crate::capsules::{CapsuleError, read_recording, sealed_recording};
use crate::secrets::hide_in;
use crate::state::KeptState;

/// The recorded turns of a service.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Recording;
///
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("a.recording");
/// std::fs::write(&file, "no recording")?;
/// let error = Recording::read(&file).unwrap_err();
/// assert!(error.to_string().contains("is no recording"), "{error}");
///
/// fn tell(recording: &Recording) {
///     println!("{} turns", recording.turns());
///     for ((actor, turns), (_, kept, lost)) in recording.told().into_iter().zip(recording.actors()) {
///         println!("{actor}: {kept} after {lost} that were lost: {turns:?}");
///     }
/// }
///
/// fn values_before(recording: &Recording, message: u64) -> usize {
///     recording.state_at(message, true).map_or(0, |(_, state)| state.values.len())
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recording {
    /// When it was taken.
    pub at: String,
    /// The service.
    pub service: String,
    /// The release that did it: name and version.
    pub release: String,
    /// The SHA-256 of its component.
    pub sha256: String,
    /// What its `Component.toml` says, where it has one.
    pub description: Option<String>,
    /// The schema of its state.
    pub schema: u32,
    /// Whether bodies are in it; without them, there is nothing in it.
    pub has_bodies: bool,
    pub(crate) limits: String,
    pub(crate) run: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) wires: String,
    pub(crate) config: BTreeMap<String, String>,
    /// The folders that it was granted, by their names for the guest.
    #[serde(default)]
    pub(crate) folders: Vec<String>,
    pub(crate) reels: Vec<Reel>,
}

/// What the recorder of one actor has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reel {
    /// Who.
    pub(crate) actor: String,
    /// How it began.
    pub(crate) begun: Vec<Step>,
    /// How many turns came before those that are in it.
    pub(crate) lost: u64,
    pub(crate) turns: Vec<Step>,
    /// Its states before the first of these turns, by key: the empty one where it has one alone.
    #[serde(with = "states")]
    pub(crate) states: BTreeMap<Box<str>, Values>,
}

impl Recording {
    /// Reads a recording, and refuses what is not as it was written.
    ///
    /// # Errors
    ///
    /// [`CapsuleError`].
    pub fn read(path: &Path) -> Result<Self, CapsuleError> {
        let text = read_recording(path)?;
        serde_json::from_slice(&text)
            .map_err(|error| CapsuleError::Content { path: path.to_owned(), detail: error.to_string() })
    }

    /// As a file has it, without what is secret.
    pub(crate) fn written(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        hide_in(&mut value);
        Ok(sealed_recording(&serde_json::to_vec(&value)?))
    }

    /// As data.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    /// Its turns, as they are told, by actor.
    #[must_use]
    pub fn told(&self) -> Vec<(String, Vec<String>)> {
        let told = |reel: &Reel| reel.turns.iter().map(Step::told).collect();
        self.reels.iter().map(|reel| (reel.actor.clone(), told(reel))).collect()
    }

    /// Writes it to a file that only its owner may read, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// There is no room for it, or the folder cannot be written to.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let bytes = self.written()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// How many turns are in it.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.reels.iter().map(|reel| reel.messages().count()).sum()
    }

    /// The actors whose turns are in it, each with how many there are and how many came before.
    #[must_use]
    pub fn actors(&self) -> Vec<(String, usize, u64)> {
        let each = self.reels.iter();
        each.map(|reel| (reel.actor.clone(), reel.messages().count(), reel.lost)).collect()
    }

    /// The state that the turn over a message had, as it was after it or before it, with the key of its actor or its
    /// own; none where there is no such turn in it.
    #[must_use]
    pub fn state_at(&self, message: u64, before: bool) -> Option<(Box<str>, KeptState)> {
        self.reels.iter().find_map(|reel| reel.state_at(message, before, self.schema))
    }

    /// The address that the messages came to.
    pub(crate) fn address(&self) -> Option<Address> {
        self.service.parse().ok()
    }

    /// Leaves the last turns in it, of all actors together: so many, in the order in which their messages were sent.
    pub(crate) fn keep_last(&mut self, turns: usize) {
        let mut ids: Vec<u64> = self.reels.iter().flat_map(Reel::messages).map(|(id, _)| id).collect();
        if ids.len() <= turns {
            return;
        }
        ids.sort_unstable();
        let first = ids.len().checked_sub(turns).and_then(|at| ids.get(at)).copied().unwrap_or(u64::MAX);
        for reel in &mut self.reels {
            reel.forget_before(first);
        }
        self.reels.retain(|reel| !reel.turns.is_empty());
    }
}

impl Reel {
    /// One of an actor that did nothing.
    pub(crate) fn of_none(actor: &str) -> Self {
        let (begun, turns, states) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { actor: actor.to_owned(), begun, lost: 0, turns, states }
    }

    /// The turns over messages, by the ids of those.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (u64, &Step)> {
        self.turns.iter().filter_map(|step| match &step.what {
            What::Message(message) => Some((message.id(), step)),
            _ => None,
        })
    }

    /// Forgets the turns before the one over this message, or one that was sent later; what they wrote stays.
    fn forget_before(&mut self, first: u64) {
        let is_kept = |step: &Step| matches!(&step.what, What::Message(message) if message.id() >= first);
        let at = self.turns.iter().position(is_kept).unwrap_or(self.turns.len());
        for step in self.turns.drain(..at) {
            self.lost += 1;
            if let Some(end) = step.end {
                end.change(&mut self.states);
            }
        }
    }

    /// See [`Recording::state_at`].
    pub(super) fn state_at(&self, message: u64, before: bool, schema: u32) -> Option<(Box<str>, KeptState)> {
        let mut states = self.states.clone();
        for step in &self.turns {
            let is_it = matches!(&step.what, What::Message(of) if of.id() == message);
            if let Some(end) = step.end.as_ref().filter(|_| !(is_it && before)) {
                end.change(&mut states);
            }
            if is_it {
                let key = match &step.end {
                    Some(end) => end.state_key(),
                    // It crashed, and there is one state that is known.
                    None => states.keys().next().cloned().unwrap_or_default(),
                };
                let values = states.remove(&key).unwrap_or_default();
                let of_actor = self.actor.split_once('/').map(|(_, key)| key.into());
                let of = if key.is_empty() { of_actor.unwrap_or_default() } else { key };
                return Some((of, KeptState { values, schema, ..KeptState::default() }));
            }
        }
        None
    }

    /// Goes back from the states that there are now to those before its first turn. A state that somebody else has
    /// changed meanwhile is not known from before that: the turns until then are left out.
    pub(crate) fn wind_back(&mut self) {
        for at in (0..self.turns.len()).rev() {
            let Some(end) = self.turns.get(at).and_then(|step| step.end.as_ref()) else { continue };
            if end.writes.is_empty() {
                continue;
            }
            let values = self.states.entry(end.state_key()).or_default();
            if end.writes.iter().any(|write| values.get(&write.key) != write.after.as_ref()) {
                self.lost += at as u64 + 1;
                self.turns.drain(..=at);
                return;
            }
            for write in &end.writes {
                match &write.before {
                    Some(value) => values.insert(write.key.clone(), value.clone()),
                    None => values.remove(&write.key),
                };
            }
        }
    }
}

impl Step {
    /// What it asked of others, as it is told.
    pub(crate) fn effects(&self) -> Vec<String> {
        let is_effect = |asked: &HostCall| asked.scope() == Scope::Mesh || matches!(asked, HostCall::Change { .. });
        let asked = self.lines.iter().filter(|(asked, _)| is_effect(asked));
        asked.map(|(asked, _)| asked.to_string()).collect()
    }

    /// What it used that no recorder has; none where there is nothing of that.
    pub(crate) fn unrecorded(&self) -> Option<&str> {
        self.lines.iter().find_map(|(asked, _)| match asked {
            HostCall::Unrecorded { what } => Some(&**what),
            _ => None,
        })
    }
}

/// States as they are written down.
mod states {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::turn::host_call::octets::{self, Octets};
    use crate::turn::step::Values;

    type Written<V> = BTreeMap<Box<str>, BTreeMap<Box<str>, V>>;

    pub(super) fn serialize<S: Serializer>(states: &Written<bytes::Bytes>, to: S) -> Result<S::Ok, S::Error> {
        let values = |values: &Values| values.iter().map(|(key, value)| (key.clone(), octets::text(value))).collect();
        let written: Written<String> = states.iter().map(|(key, state)| (key.clone(), values(state))).collect();
        written.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Box<str>, Values>, D::Error> {
        let written = Written::<Octets>::deserialize(from)?;
        let values =
            |values: BTreeMap<Box<str>, Octets>| values.into_iter().map(|(key, value)| (key, value.0)).collect();
        Ok(written.into_iter().map(|(key, state)| (key, values(state))).collect())
    }
}
