//! States that a host does without because they are damaged, and how it goes on with all others.
//!
//! A file with a damaged page is not written to: what is done next might go over what can still be read, and after a kill it might not open at all. So
//! what is well is copied into a new file, which takes its place in one step, and the damaged one is kept beside it under another name. The new file
//! says which states are lost, as ranges, since a page that cannot be read may have had keys that nobody knows of. What is left of a lost state is in the
//! new file as well, for a person to decide about; a host does not look at it.
//!
//! It refuses to guess: where it is not known between which keys something is missing, nothing is copied and no host starts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::file::{Loaded, NEWEST};
use super::layout::LOST_TABLE;
use super::survey::{Damage, Spot, Survey};
use super::{StateError, StateFile};

/// A service and the key of an actor, in the order of the file.
pub(super) type Key = (String, String);

/// The states from one key up to another one, without that; to the end where there is no other one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    from: Key,
    to: Option<Key>,
    /// What was found.
    says: String,
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
    /// What cannot be used because of a damage: at most one range. None where that cannot be known.
    fn of(damage: &Damage) -> Option<Option<Self>> {
        let says = damage.to_string();
        match damage {
            Damage::File { .. } | Damage::Between { after: None, before: None, .. } => None,
            Damage::Lost { lost } => Some(Some(lost.clone())),
            Damage::Record { of } | Damage::State { of, .. } | Damage::Value { of } => Some(Some(Self::at(of, says))),
            // Whether the states on both sides are whole, their own records say.
            Damage::Between { after: last, before, .. } => {
                let from = last.as_ref().map_or_else(Key::default, |last| only(&last.service, &last.actor).1);
                let to = before.as_ref().map(|next| (next.service.clone(), next.actor.clone()));
                let is_some = to.as_ref().is_none_or(|to| from < *to);
                Some(is_some.then_some(Self { from, to, says }))
            }
        }
    }

    pub(super) fn at(spot: &Spot, says: String) -> Self {
        let (from, to) = only(&spot.service, &spot.actor);
        Self { from, to: Some(to), says }
    }

    /// Where it begins.
    pub(super) fn spot(&self) -> Spot {
        Spot { service: self.from.0.clone(), actor: self.from.1.clone(), key: None }
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
    fn without(self, from: &Key, to: &Key) -> Vec<Self> {
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
    pub(super) fn of(&self, actor: &str) -> Option<Arc<str>> {
        self.lock().iter().find(|lost| lost.has(actor)).map(|lost| Arc::clone(&lost.says))
    }

    /// The key is not lost any more.
    pub(super) fn begin_anew(&self, actor: &str) {
        let mut all = self.lock();
        *all = std::mem::take(&mut *all).into_iter().flat_map(|lost| lost.without(actor)).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LostKeys>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Survey {
    /// What a host has to do without; none where that cannot be known.
    fn lost(&self) -> Option<Vec<Lost>> {
        // Without sums nobody knows what beside a part that cannot be read is whole.
        self.format.filter(|format| *format >= NEWEST)?;
        let mut all = Vec::new();
        for damage in &self.damage {
            all.extend(Lost::of(damage)?);
        }
        all.sort_unstable();
        all.dedup();
        (!all.is_empty()).then_some(all)
    }
}

impl StateFile {
    /// [`StateFile::open`] for who goes on without the states that are damaged, as a host does. Where a page of the file is damaged, what is well is copied
    /// into a new file first, which takes its place; the damaged one is kept beside it, as `state.damaged-1.redb` or with the next number that is free. The
    /// new file says which states are lost, so that nobody takes them for empty, until [`StateFile::replace`] or [`StateFile::forget`].
    ///
    /// # Errors
    ///
    /// [`StateError`]: also where it is not known which states are damaged. The file is as it was then.
    pub fn open_without_damage(data_folder: &Path) -> Result<Self, StateError> {
        let refused = match Self::open(data_folder) {
            Err(refused @ StateError::Damaged { .. }) => refused,
            opened => return opened,
        };
        let Ok(survey) = Self::survey(data_folder) else { return Err(refused) };
        let Some(lost) = survey.lost() else { return Err(refused) };
        let path = Self::path(data_folder);
        let kept = exchange(&path, &survey, &lost)?;
        tracing::error!(
            target: "airssys::state",
            kept = %kept.display(),
            "the durable state was damaged; what is well was copied into a new file, and the damaged one is kept: {refused}"
        );
        Self::open(data_folder)
    }

    /// Which states are lost.
    pub(super) fn lost(&self) -> Vec<Lost> {
        self.lock_lost().clone()
    }

    /// Reads it from the file.
    pub(super) fn read_lost(&self, writing: &WriteTransaction) -> Result<Vec<Lost>, StateError> {
        let damaged = || StateError::Damaged {
            path: self.name().to_owned(),
            detail: "what it says of states that are lost makes no sense".to_owned(),
        };
        let table = writing.open_table(LOST_TABLE).map_err(self.error("read"))?;
        let mut lost = Vec::new();
        for entry in table.iter().map_err(self.error("read"))? {
            let (_, says) = entry.map_err(self.error("read"))?;
            lost.push(Lost::of_bytes(says.value()).ok_or_else(damaged)?);
        }
        Ok(lost)
    }

    /// Lets what is lost be this.
    pub(super) fn write_lost(&self, writing: &WriteTransaction, lost: &[Lost]) -> Result<(), StateError> {
        let mut table = writing.open_table(LOST_TABLE).map_err(self.error("write"))?;
        table.retain(|_, _| false).map_err(self.error("write"))?;
        for (number, lost) in (0..).zip(lost) {
            let says = serde_json::to_vec(lost).map_err(|error| StateError::File {
                what: "write",
                path: self.name().to_owned(),
                source: error.into(),
            })?;
            table.insert(number, &says[..]).map_err(self.error("write"))?;
        }
        Ok(())
    }

    /// What is lost without the states from one key up to another one: they begin anew. None where nothing changes.
    pub(super) fn lost_without(&self, ranges: &[(Key, Key)]) -> Option<Vec<Lost>> {
        let before = self.lost();
        let cut =
            |all: Vec<Lost>, (from, to): &(Key, Key)| all.into_iter().flat_map(|lost| lost.without(from, to)).collect();
        let left = ranges.iter().fold(before.clone(), cut);
        (left != before).then_some(left)
    }
}

/// Puts a file with what is well in the place of a damaged one; where that is kept.
fn exchange(path: &Path, survey: &Survey, lost: &[Lost]) -> Result<PathBuf, StateError> {
    let failed = |source| StateError::File { what: "copy what is well of", path: path.to_owned(), source };
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        // One that was killed over this left it.
        _ => {}
    }
    StateFile::make_with(&unfinished, &survey.states, lost)?;
    let keep = || -> io::Result<PathBuf> {
        for number in 1_u32.. {
            let kept = path.with_file_name(format!("state.damaged-{number}.redb"));
            match fs::hard_link(path, &kept) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                linked => {
                    linked?;
                    // One step: whoever opens the file has the old one or the new one.
                    fs::rename(&unfinished, path)?;
                    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
                    return Ok(kept);
                }
            }
        }
        Err(io::Error::other("there are too many damaged files"))
    };
    keep().map_err(failed)
}

/// What is loaded of a service.
#[derive(Debug, Default)]
pub(crate) struct Shelved {
    /// Its states, by key of the actor.
    pub(crate) states: BTreeMap<Box<str>, Loaded>,
    /// Those that cannot be used.
    pub(crate) lost: Vec<LostKeys>,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    fn lost(from: (&str, &str), to: Option<(&str, &str)>) -> Lost {
        let key = |(service, actor): (&str, &str)| (service.to_owned(), actor.to_owned());
        Lost { from: key(from), to: to.map(key), says: "it is damaged".to_owned() }
    }

    /// Which of some keys are lost, in the words of a service that asks for its own.
    fn keys(lost: &[Lost]) -> Vec<String> {
        let all = [("a", ""), ("a", "x"), ("b", ""), ("b", "k"), ("b", "k0"), ("b", "l"), ("c", "")];
        let is_lost = |(service, actor): &&(&str, &str)| {
            lost.iter().filter_map(|lost| lost.keys_of(service)).any(|lost| lost.has(actor))
        };
        all.iter().filter(is_lost).map(|(service, actor)| format!("{service}/{actor}")).collect()
    }

    #[test]
    fn a_range_has_what_is_between_its_ends_and_loses_what_begins_anew() {
        let all = lost(("", ""), None);
        assert_eq!(keys(std::slice::from_ref(&all)).len(), 7);
        let between = lost(("a", "x"), Some(("b", "k0")));
        assert_eq!(keys(std::slice::from_ref(&between)), ["a/x", "b/", "b/k"]);
        assert!(!between.is_of("") && between.is_of("a") && between.is_of("b") && !between.is_of("c"));
        assert!(!lost(("a", "x"), Some(("b", ""))).is_of("b"));
        let without = |lost: &Lost, (from, to): (Key, Key)| lost.clone().without(&from, &to);
        assert_eq!(keys(&without(&between, only("b", "k"))), ["a/x", "b/"]);
        assert_eq!(keys(&without(&between, all_of("b"))), ["a/x"]);
        assert_eq!(keys(&without(&between, all_of("c"))), ["a/x", "b/", "b/k"]);
        assert_eq!(keys(&without(&all, all_of("b"))), ["a/", "a/x", "c/"]);
        let one = Lost::at(&Spot { service: "b".into(), actor: "k".into(), key: None }, String::new());
        assert_eq!(keys(std::slice::from_ref(&one)), ["b/k"]);
        assert_eq!(without(&one, only("b", "k")), []);
    }

    #[test]
    fn what_is_on_both_sides_of_a_hole_is_not_lost_and_a_hole_without_sides_is_everything() {
        let spot = |service: &str, actor: &str| Spot { service: service.into(), actor: actor.into(), key: None };
        let hole = |after, before| Damage::Between { after, before, services: (None, None) };
        let between = hole(Some(spot("a", "x")), Some(spot("b", "k0")));
        assert_eq!(keys(&[Lost::of(&between).unwrap().unwrap()]), ["b/", "b/k"]);
        assert_eq!(keys(&[Lost::of(&hole(Some(spot("b", "k0")), None)).unwrap().unwrap()]), ["b/l", "c/"]);
        let within = hole(Some(spot("a", "x")), Some(spot("a", "x")));
        assert_eq!(Lost::of(&within), Some(None), "the state's own record says what is missing");
        assert_eq!(Lost::of(&hole(None, None)), None);
    }

    /// A host that was killed over the exchange leaves a new file that is not finished, or a second name of the damaged one.
    #[test]
    fn an_exchange_that_was_cut_off_is_made_again() {
        let data = tempfile::tempdir().unwrap();
        let path = StateFile::path(data.path());
        let file = StateFile::open(data.path()).unwrap();
        let pad = format!("needle {}", "x".repeat(5_000));
        let kept = |value: &str| super::super::Kept {
            values: BTreeMap::from([("k".into(), value.to_owned().into_bytes().into())]),
            commits: 1,
            schema: 0,
        };
        for (service, value) in [("a", "well"), ("b", &*pad), ("c", "well")] {
            file.replace(service, &BTreeMap::from([("".into(), kept(value))])).unwrap();
        }
        drop(file);
        let mut bytes = fs::read(&path).unwrap();
        let found: Vec<usize> = (0..bytes.len() - 6).filter(|at| bytes[*at..].starts_with(b"needle")).collect();
        found.into_iter().for_each(|at| bytes[at] ^= 1);
        fs::write(&path, &bytes).unwrap();
        fs::write(path.with_extension("unfinished"), "only a part").unwrap();
        fs::hard_link(&path, path.with_file_name("state.damaged-1.redb")).unwrap();
        let file = StateFile::open_without_damage(data.path()).unwrap();
        assert!(!file.load("b").unwrap().lost.is_empty());
        assert_eq!(file.load("a").unwrap().states[""].kept, kept("well"));
        for kept in [1, 2] {
            assert_eq!(fs::read(path.with_file_name(format!("state.damaged-{kept}.redb"))).unwrap(), bytes);
        }
        assert!(!path.with_extension("unfinished").exists());
    }

    #[test]
    fn what_is_lost_stays_so_until_it_is_put_back() {
        let data = tempfile::tempdir().unwrap();
        let path = StateFile::path(data.path());
        fs::create_dir(path.parent().unwrap()).unwrap();
        let kept = |value: &'static str| super::super::Kept {
            values: BTreeMap::from([("k".into(), value.into())]),
            commits: 1,
            schema: 0,
        };
        let states = |value| BTreeMap::from([("x".into(), kept(value)), ("y".into(), kept(value))]);
        let all = ["a", "b"].map(|service| (service.to_owned(), states("old"))).into();
        StateFile::make_with(&path, &all, &[lost(("a", "y"), Some(("b", "y")))]).unwrap();
        for _ in 0..2 {
            let file = StateFile::open_without_damage(data.path()).unwrap();
            let left = |service: &str| file.load(service).unwrap().states.into_keys().collect::<Vec<_>>();
            assert_eq!((left("a"), left("b")), (vec!["x".into()], vec!["y".into()]));
            assert!(file.read("a").unwrap_err().to_string().contains("it is damaged"));
        }
        // What is left of it can be looked at, and is named.
        let survey = StateFile::survey(data.path()).unwrap();
        assert!(survey.check("a", data.path()).is_err() && survey.states["a"] == states("old"));
        StateFile::open(data.path()).unwrap().replace("a", &states("new")).unwrap();
        let survey = StateFile::survey(data.path()).unwrap();
        assert!(survey.check("a", data.path()).is_ok() && survey.check("b", data.path()).is_err());
        let file = StateFile::open(data.path()).unwrap();
        assert_eq!(file.read("a").unwrap(), states("new"));
        file.replace("b", &BTreeMap::new()).unwrap();
        drop(file);
        let survey = StateFile::survey(data.path()).unwrap();
        let is_named = |service: &str| survey.check(service, data.path()).is_err();
        assert!(!is_named("a") && !is_named("b") && is_named("aa"), "nobody knows who else was between them");
    }

    /// The pages are well, and what stands there is not what the service wrote: as where it was damaged before it came to the disk.
    #[tokio::test]
    async fn a_value_that_is_not_what_was_written_is_lost_alone_and_is_never_written_over() {
        use super::super::layout::STATES_TABLE;
        use super::super::{Journal, Shelf};
        let data = tempfile::tempdir().unwrap();
        let file = StateFile::open(data.path()).unwrap();
        let kept = |value: &'static str| super::super::Kept {
            values: BTreeMap::from([("k".into(), value.into())]),
            commits: 1,
            schema: 0,
        };
        file.replace("a", &["x", "y"].map(|actor| (actor.into(), kept("old"))).into()).unwrap();
        drop(file);
        let path = StateFile::path(data.path());
        let database = redb::Database::create(&path).unwrap();
        let writing = database.begin_write().unwrap();
        writing.open_table(STATES_TABLE).unwrap().insert(("a", "x", "=k"), &b"other and a sum"[..]).unwrap();
        writing.commit().unwrap();
        drop(database);

        let journal = Journal::start(StateFile::open_without_damage(data.path()).unwrap(), 0).unwrap();
        let shelf = Shelf::new(journal.clone(), "a", journal.read("a").await.unwrap().unwrap());
        let (damaged, well, new) = (shelf.state("x"), shelf.state("y"), shelf.state("z"));
        assert!(damaged.damage().unwrap().to_string().contains("\"x\""));
        assert!(well.damage().is_none() && well.get("k").unwrap() == "old" && new.damage().is_none());
        let write = async |state: &Arc<crate::state::State>| {
            let mut writes = crate::state::Transaction::default();
            writes.set(state, "k", "new".into(), 100).unwrap();
            writes.make(state, 0).await
        };
        assert!(write(&damaged).await.unwrap_err().to_string().contains("damaged"));
        write(&well).await.unwrap();
        write(&new).await.unwrap();
        journal.close().await;
        let survey = StateFile::survey(data.path()).unwrap();
        assert!(survey.damage.iter().all(|damage| damage.spot().unwrap().actor == "x"), "{:?}", survey.damage);
        assert_eq!(survey.states["a"]["y"].values["k"], "new");

        let journal = Journal::start(StateFile::open_without_damage(data.path()).unwrap(), 0).unwrap();
        let shelf = Shelf::new(journal.clone(), "a", journal.read("a").await.unwrap().unwrap());
        let damaged = shelf.state("x");
        damaged.forget(damaged.forgotten()).unwrap().done().await.unwrap();
        assert!(damaged.damage().is_none() && !shelf.is_lost("x"));
        write(&damaged).await.unwrap();
        journal.close().await;
        let survey = StateFile::survey(data.path()).unwrap();
        assert!(survey.damage.is_empty() && survey.states["a"]["x"].values["k"] == "new", "{:?}", survey.damage);
    }
}
