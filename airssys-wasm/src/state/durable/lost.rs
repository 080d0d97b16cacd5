//! States that a host does without because they are damaged, until somebody puts them back or lets them begin anew.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StateError;
use super::layout::LOST_TABLE;
use super::location::Location;

/// A service and the key of an actor, in the order of the file.
pub(super) type Key = (String, String);

/// The states from one key up to another one, without that; to the end where there is no other one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    pub(super) from: Key,
    pub(super) to: Option<Key>,
    /// What was found.
    pub(super) says: String,
}

/// The smallest text that comes after this one.
fn after(text: &str) -> String {
    format!("{text}\0")
}

/// All states of a service.
pub(super) fn all_of(service: &str) -> (Key, Key) {
    ((service.to_owned(), String::new()), (after(service), String::new()))
}

/// One state.
pub(super) fn only(service: &str, actor: &str) -> (Key, Key) {
    ((service.to_owned(), actor.to_owned()), (service.to_owned(), after(actor)))
}

impl Lost {
    pub(super) fn at(location: &Location, says: String) -> Self {
        let (from, to) = only(&location.service, &location.actor);
        Self { from, to: Some(to), says }
    }

    /// Where it begins.
    pub(super) fn location(&self) -> Location {
        Location { service: self.from.0.clone(), actor: self.from.1.clone(), key: None }
    }

    pub(super) fn says(&self) -> &str {
        &self.says
    }

    /// Whether it may have a state of a service.
    pub(super) fn is_of(&self, service: &str) -> bool {
        let (first, end) = all_of(service);
        self.from < end && self.to.as_ref().is_none_or(|to| first < *to)
    }

    /// The keys of a service that it has, where it may have any.
    pub(super) fn keys_of(&self, service: &str) -> Option<LostKeys> {
        let of = |key: &Key| if key.0 == service { key.1.clone() } else { String::new() };
        let to = self.to.as_ref().filter(|to| to.0 == service).map(of);
        self.is_of(service).then(|| LostKeys { from: of(&self.from), to, says: self.says.as_str().into() })
    }

    /// What is left of it without the states from one key up to another one.
    pub(super) fn without(self, from: &Key, to: &Key) -> Vec<Self> {
        let mut left = Vec::new();
        let end = self.to.as_ref();
        if end.is_none_or(|end| from < end) && self.from < *to {
            if self.from < *from {
                left.push(Self { to: Some(from.clone()), ..self.clone() });
            }
            if end.is_none_or(|end| to < end) {
                left.push(Self { from: to.clone(), ..self });
            }
        } else {
            left.push(self);
        }
        left
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Keys of a service whose states are lost: from one up to another one, without that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostKeys {
    from: String,
    to: Option<String>,
    /// What was found.
    pub(crate) says: Arc<str>,
}

impl LostKeys {
    pub(crate) fn has(&self, actor: &str) -> bool {
        self.from.as_str() <= actor && self.to.as_ref().is_none_or(|to| actor < to.as_str())
    }

    /// What is left of it without one key.
    fn without(self, actor: &str) -> Vec<Self> {
        if !self.has(actor) {
            return vec![self];
        }
        let before = (self.from.as_str() < actor).then(|| Self { to: Some(actor.to_owned()), ..self.clone() });
        let next = after(actor);
        let behind = self.to.as_ref().is_none_or(|to| next < *to).then(|| Self { from: next, ..self.clone() });
        before.into_iter().chain(behind).collect()
    }
}

/// What is lost of a service, for as long as nobody lets it begin anew.
#[derive(Debug)]
pub(in crate::state) struct LostStates(Mutex<Vec<LostKeys>>);

impl LostStates {
    pub(super) fn new(lost: Vec<LostKeys>) -> Self {
        Self(Mutex::new(lost))
    }

    pub(super) fn all(&self) -> Vec<LostKeys> {
        self.lock().clone()
    }

    /// What was found of this key.
    pub(in crate::state) fn of(&self, actor: &str) -> Option<Arc<str>> {
        self.lock().iter().find(|lost| lost.has(actor)).map(|lost| Arc::clone(&lost.says))
    }

    /// The key is not lost any more.
    pub(in crate::state) fn begin_anew(&self, actor: &str) {
        let mut all = self.lock();
        *all = std::mem::take(&mut *all).into_iter().flat_map(|lost| lost.without(actor)).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LostKeys>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the file says is lost.
pub(super) fn read(writing: &WriteTransaction, path: &Path) -> Result<Vec<Lost>, StateError> {
    let damaged = || StateError::Damaged {
        path: path.to_owned(),
        detail: "what it says of states that are lost makes no sense".to_owned(),
    };
    let table = writing.open_table(LOST_TABLE).map_err(StateError::of("read", path))?;
    let mut lost = Vec::new();
    for entry in table.iter().map_err(StateError::of("read", path))? {
        let (_, says) = entry.map_err(StateError::of("read", path))?;
        lost.push(Lost::of_bytes(says.value()).ok_or_else(damaged)?);
    }
    Ok(lost)
}

/// Lets what is lost be this.
pub(super) fn write(writing: &WriteTransaction, lost: &[Lost], path: &Path) -> Result<(), StateError> {
    let mut table = writing.open_table(LOST_TABLE).map_err(StateError::of("write", path))?;
    table.retain(|_, _| false).map_err(StateError::of("write", path))?;
    for (number, lost) in (0..).zip(lost) {
        let says = serde_json::to_vec(lost).map_err(|error| StateError::File {
            what: "write",
            path: path.to_owned(),
            source: error.into(),
        })?;
        table.insert(number, &says[..]).map_err(StateError::of("write", path))?;
    }
    Ok(())
}

/// What is lost without the states from one key up to another one: they begin anew. None where nothing changes.
pub(super) fn without(lost: &[Lost], ranges: &[(Key, Key)]) -> Option<Vec<Lost>> {
    let cut =
        |all: Vec<Lost>, (from, to): &(Key, Key)| all.into_iter().flat_map(|lost| lost.without(from, to)).collect();
    let left = ranges.iter().fold(lost.to_vec(), cut);
    (left != lost).then_some(left)
}

/// Names what is lost of a service, for people.
pub(crate) fn told(lost: &[LostKeys]) -> String {
    const NAMED: usize = 5;
    let mut named: Vec<&str> = lost.iter().take(NAMED).map(|lost| &*lost.says).collect();
    let more = format!("and {} more", lost.len().saturating_sub(NAMED));
    if lost.len() > NAMED {
        named.push(&more);
    }
    named.join("; ")
}
