//! All that a file of durable states has, and all that is damaged in it, read without the store and without a change to the file.
//!
//! The pages are compared first ([`super::pages`]), then what they hold ([`super::sums`]). A value on a page whose sum is wrong is still a value where its
//! own sum is right; the state that it belongs to is named all the same, since more of that page may be missing, or all of it be from another time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use bytes::Bytes;

use super::file::{Kept, NEWEST};
use super::layout::{ABOUT, FORMAT, ID, LOST, OLD_STATES, RECORD, STATES, VALUE};
use super::lost::Lost;
use super::pages::{Commit, Of, Pages, Seen};
use super::sums::{Record, Sums, read_value};
use super::{StateError, StateFile, damaged};

/// What is in a file of durable states.
#[derive(Debug, Default)]
pub struct Survey {
    /// What is well, by service and key of the actor. Of a state that `damage` names it is what is left.
    pub states: BTreeMap<String, BTreeMap<Box<str>, Kept>>,
    /// What is not; empty where the file is as it was written.
    pub damage: Vec<Damage>,
    pub(super) format: Option<u64>,
    pub(super) id: Option<u64>,
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// Something that no state can be named for.
    File {
        /// What.
        detail: String,
    },
    /// A part of the file cannot be read, or not as a whole, and nobody knows what was in it.
    Between {
        /// The last before it; none where it is at the beginning.
        after: Option<Spot>,
        /// The first after it; none where it is at the end.
        before: Option<Spot>,
        /// The first and the last service that may have had something there; none where that is not known.
        services: (Option<String>, Option<String>),
    },
    /// The record of a state, which says how many values it has.
    Record {
        /// Of which state.
        of: Spot,
    },
    /// Values of a state are missing, or from another time.
    State {
        /// Which state.
        of: Spot,
        /// What.
        detail: String,
    },
    /// One value.
    Value {
        /// Which.
        of: Spot,
    },
    /// What a host has found damaged, and does without since. What is left of it stands in the file.
    Lost {
        /// Which states.
        lost: Lost,
    },
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The service.
    pub service: String,
    /// The key of the actor; empty for a service's only state.
    pub actor: String,
    /// The key of the value; none for the state as a whole.
    pub key: Option<String>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "the value {key:?} of ")?;
        }
        f.write_str(&self.service)?;
        if self.actor.is_empty() { Ok(()) } else { write!(f, ", actor {:?}", self.actor) }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { detail } => f.write_str(detail),
            Self::Between { after, before, .. } => {
                f.write_str("what stood ")?;
                match (after, before) {
                    (None, None) => f.write_str("in its states")?,
                    (Some(after), None) => write!(f, "after {after}")?,
                    (None, Some(before)) => write!(f, "before {before}")?,
                    (Some(after), Some(before)) => write!(f, "between {after} and {before}")?,
                }
                f.write_str(" cannot be read, or not as a whole")
            }
            Self::Record { of } => write!(f, "the record of {of} is not what was written"),
            Self::State { of, detail } => write!(f, "{of}: {detail}"),
            Self::Value { of } => write!(f, "{of} is not what was written"),
            Self::Lost { lost } => f.write_str(lost.says()),
        }
    }
}

impl Damage {
    /// Where it is, as far as that is known; for a part that cannot be read, what is before it or after it.
    #[must_use]
    pub fn spot(&self) -> Option<Spot> {
        match self {
            Self::File { .. } => None,
            Self::Between { after, before, .. } => after.as_ref().or(before.as_ref()).cloned(),
            Self::Record { of } | Self::State { of, .. } | Self::Value { of } => Some(of.clone()),
            Self::Lost { lost } => Some(lost.spot()),
        }
    }

    /// Whether it may be a service's.
    #[must_use]
    pub fn is_of(&self, service: &str) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Between { services: (first, last), .. } => {
                first.as_ref().is_none_or(|first| first.as_str() <= service)
                    && last.as_ref().is_none_or(|last| service <= last.as_str())
            }
            Self::Record { of } | Self::State { of, .. } | Self::Value { of } => of.service == service,
            Self::Lost { lost } => lost.is_of(service),
        }
    }
}

/// One state as it is found.
#[derive(Default)]
struct Found {
    kept: Kept,
    sums: Sums,
    record: Option<Record>,
    /// Whether a part of it stands on a page whose sum is wrong.
    is_doubtful: bool,
    /// Whether it is named already.
    is_named: bool,
}

/// What was seen so far.
#[derive(Default)]
struct Seeing {
    /// Of the file; what is written now, where that cannot be read.
    format: u64,
    /// Of the values as well, or of what is wrong only.
    keep: bool,
    states: BTreeMap<String, BTreeMap<Box<str>, Found>>,
    damage: BTreeSet<Damage>,
    last: Option<Spot>,
    /// The hole that is not at its end yet.
    hole: Option<Hole>,
}

/// What is known of a part that cannot be read.
struct Hole {
    after: Option<Spot>,
    services: (Option<String>, Option<String>),
}

impl Survey {
    /// Writes what is well into a new file, which a host can use in the place of the one that was looked at: as `state/state.redb` of its data folder.
    ///
    /// # Errors
    ///
    /// [`StateError`]; there is a file of this name already, or it cannot be written. What was written by then is left.
    pub fn write_to(&self, path: &Path) -> Result<(), StateError> {
        StateFile::make_with(path, &self.states, &[])
    }

    /// What is damaged of a service, or may be; none where it is well.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`], which names it. `data_folder` is where it was looked at.
    pub fn check(&self, service: &str, data_folder: &Path) -> Result<(), StateError> {
        let damage: Vec<Damage> = self.damage.iter().filter(|damage| damage.is_of(service)).cloned().collect();
        if damage.is_empty() { Ok(()) } else { Err(damaged(&StateFile::path(data_folder), &damage)) }
    }

    /// Of the newest commit that can be read. The values themselves are `keep`t, or looked at only.
    pub(super) fn of(pages: &Pages<'_>, commit: &Commit, keep: bool) -> Self {
        let (format, id) = about(pages, commit);
        let mut seeing = Seeing { format: format.unwrap_or(NEWEST), keep, ..Seeing::default() };
        if format.is_none() {
            seeing.file("what is true of the whole file cannot be read");
        }
        pages.flaws.iter().for_each(|flaw| seeing.file(flaw));
        let states = if seeing.format < NEWEST { OLD_STATES } else { STATES };
        let whole = pages.walk(commit, true, |of, seen| match of {
            Of::Table(name) if name == states => seeing.see(seen),
            Of::Table(LOST) => seeing.lost(&seen),
            Of::Table(_) if matches!(seen, Seen::Entry(..)) => {}
            Of::Table(_) => seeing.file("what is true of the whole file is damaged"),
            Of::Names if matches!(seen, Seen::Hole(..)) => seeing.file("the list of its tables is damaged"),
            Of::Store if matches!(seen, Seen::Hole(..)) => seeing.file("what the store keeps for itself is damaged"),
            Of::Names | Of::Store => {}
        });
        seeing.end();
        if !whole && seeing.damage.is_empty() {
            seeing.file("a page of it is damaged");
        }
        let kept = |(actor, found): (Box<str>, Found)| (actor, found.kept);
        let states = seeing.states.into_iter().map(|(service, all)| (service, all.into_iter().map(kept).collect()));
        Self { states: states.collect(), damage: seeing.damage.into_iter().collect(), format, id }
    }
}

/// The format and the id of the file.
pub(super) fn about(pages: &Pages<'_>, commit: &Commit) -> (Option<u64>, Option<u64>) {
    let (mut format, mut id) = (None, None);
    let _whole = pages.walk_table(commit, ABOUT, |of, seen| {
        let (Of::Table(ABOUT), Seen::Entry(key, value)) = (of, seen) else { return };
        let value = value.try_into().ok().map(u64::from_le_bytes);
        match key {
            _ if key == FORMAT.as_bytes() => format = value,
            _ if key == ID.as_bytes() => id = value,
            _ => {}
        }
    });
    (format, id)
}

impl Seeing {
    fn file(&mut self, detail: &str) {
        self.damage.insert(Damage::File { detail: detail.to_owned() });
    }

    fn lost(&mut self, seen: &Seen<'_>) {
        let lost = if let Seen::Entry(_, bytes) = seen { Lost::of_bytes(bytes) } else { None };
        match lost {
            Some(lost) => drop(self.damage.insert(Damage::Lost { lost })),
            None => self.file("what it says of states that are lost is damaged"),
        }
    }

    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Entry(key, value) => self.entry(key, value, false),
            // Without sums nobody knows whether it is right, and the hole is told after it.
            Seen::Doubtful(..) if self.format < NEWEST => {}
            Seen::Doubtful(key, value) => self.entry(key, value, true),
            Seen::Hole(from, to) => self.hole(from, to),
        }
    }

    fn hole(&mut self, from: Option<&[u8]>, to: Option<&[u8]>) {
        let service = |place: Option<&[u8]>| place.and_then(place_of).map(|[service, ..]| service.to_owned());
        let hole = self.hole.get_or_insert_with(|| Hole { after: self.last.clone(), services: (service(from), None) });
        hole.services.1 = service(to);
    }

    /// The hole ends before this.
    fn close(&mut self, before: Option<&Spot>) {
        let Some(Hole { after, services: (first, last) }) = self.hole.take() else { return };
        let of = |spot: Option<&Spot>| spot.map(|spot| spot.service.clone());
        let services = (first.or_else(|| of(after.as_ref())), last.or_else(|| of(before)));
        self.damage.insert(Damage::Between { after, before: before.cloned(), services });
    }

    fn entry(&mut self, place: &[u8], bytes: &[u8], is_doubtful: bool) {
        let Some([service, actor, key]) = place_of(place) else { return self.hole(None, None) };
        let value = key.strip_prefix(VALUE);
        let spot = |key: Option<&str>| Spot {
            service: service.to_owned(),
            actor: actor.to_owned(),
            key: key.map(str::to_owned),
        };
        if !is_doubtful {
            self.close(Some(&spot(value)));
        }
        let is_old = self.format < NEWEST;
        let read = match value {
            None if key != RECORD => None,
            None if is_old => Record::of_old_bytes(bytes).map(Read::Record),
            None => Record::of_bytes(service, actor, bytes).map(Read::Record),
            Some(_) if is_old => Some(Read::Value(bytes, 0)),
            Some(key) => read_value(service, actor, key, bytes).map(|(value, sum)| Read::Value(value, sum)),
        };
        // On a page whose sum is wrong a name may be wrong too: what is not as it was written makes no state.
        if read.is_some() || !is_doubtful {
            if !self.states.contains_key(service) {
                self.states.insert(service.to_owned(), BTreeMap::new());
            }
            let of_service = self.states.get_mut(service);
            let found = of_service.map(|all| all.entry(actor.into()).or_default());
            if let Some(found) = found {
                found.is_doubtful |= is_doubtful;
                found.is_named |= read.is_none();
                match &read {
                    Some(Read::Record(record)) => {
                        found.record = Some(*record);
                        (found.kept.commits, found.kept.schema) = (record.commits, record.schema);
                    }
                    Some(Read::Value(bytes, sum)) => {
                        found.sums.add(*sum);
                        if let Some(key) = value.filter(|_| self.keep) {
                            found.kept.values.insert(key.into(), Bytes::copy_from_slice(bytes));
                        }
                    }
                    None => {}
                }
            }
        }
        if read.is_none() {
            self.damage.insert(match value {
                Some(key) => Damage::Value { of: spot(Some(key)) },
                None => Damage::Record { of: spot(None) },
            });
        }
        if !is_doubtful {
            self.last = Some(spot(value));
        }
    }

    /// Nothing comes after this: compares each state with its record.
    fn end(&mut self) {
        self.close(None);
        let is_old = self.format < NEWEST;
        for (service, states) in &self.states {
            for (actor, found) in states {
                let of = || Spot { service: service.clone(), actor: actor.to_string(), key: None };
                let detail = match found.record {
                    None if found.is_named => continue,
                    None => {
                        self.damage.insert(Damage::Record { of: of() });
                        continue;
                    }
                    Some(record) if !is_old && record.sums.values() != found.sums.values() => {
                        format!("it has {} values, and had {}", found.sums.values(), record.sums.values())
                    }
                    Some(record) if !is_old && record.sums != found.sums => {
                        "some of its values are from another time than others".to_owned()
                    }
                    _ if found.is_doubtful => {
                        "a part of it stands on a page that is damaged or from another time".to_owned()
                    }
                    Some(_) => continue,
                };
                self.damage.insert(Damage::State { of: of(), detail });
            }
        }
    }
}

enum Read<'a> {
    Record(Record),
    Value(&'a [u8], u64),
}

/// Service, actor and key, as the store writes three texts: the lengths of the first two, and all three.
fn place_of(bytes: &[u8]) -> Option<[&str; 3]> {
    let length = |bytes: &[u8]| match bytes.split_first()? {
        (&254, rest) => rest.first_chunk().map(|length| (usize::from(u16::from_le_bytes(*length)), 3)),
        (&255, rest) => {
            let length = u32::from_le_bytes(*rest.first_chunk()?);
            Some((usize::try_from(length).ok()?, 5))
        }
        (length, _) => Some((usize::from(*length), 1)),
    };
    let (service, used) = length(bytes)?;
    let rest = bytes.get(used..)?;
    let (actor, used) = length(rest)?;
    let (service, rest) = rest.get(used..)?.split_at_checked(service)?;
    let (actor, key) = rest.split_at_checked(actor)?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some([text(service)?, text(actor)?, text(key)?])
}
