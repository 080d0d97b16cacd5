//! All that a file of durable states has, and all that is damaged in it, read without the store and without a change to
//! the file.
//!
//! The pages are compared first ([`super::pages`]), then what they hold ([`super::sums`]). A value on a page whose sum
//! is wrong is still a value where its own sum is right; the state that it belongs to is named all the same, since more
//! of that page may be missing, or all of it be from another time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;

use super::StateError;
use super::damage::{Damage, Flaw, damaged};
use super::kept::KeptState;
use super::layout::{self, ABOUT, FORMAT, ID, LOST, NEWEST, OLD_STATES, RECORD, STATES, VALUE};
use super::location::Location;
use super::lost::Lost;
use super::pages::{Commit, Of, Pages, Seen};
use super::sums::{Record, Sums, read_value};

/// What is in a file of durable states.
#[derive(Debug, Default)]
pub struct Survey {
    /// What is well, by service and key of the actor. Of a state that `damage` names it is what is left.
    pub states: BTreeMap<String, BTreeMap<Box<str>, KeptState>>,
    /// What is not; empty where the file is as it was written.
    pub damage: Vec<Damage>,
    pub(super) flaws: Vec<Flaw>,
    pub(super) format: Option<u64>,
    pub(super) id: Option<u64>,
}

/// One state as it is found.
#[derive(Default)]
struct Found {
    kept: KeptState,
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
    damage: BTreeSet<Flaw>,
    last: Option<Location>,
    /// The hole that is not at its end yet.
    hole: Option<Hole>,
}

/// What is known of a part that cannot be read.
struct Hole {
    after: Option<Location>,
    services: (Option<String>, Option<String>),
}

impl Survey {
    /// What is damaged of a service, or may be; none where it is well.
    ///
    /// # Errors
    ///
    /// [`StateError::Damaged`], which names it. `data_folder` is where it was looked at.
    pub fn check(&self, service: &str, data_folder: &Path) -> Result<(), StateError> {
        let damage: Vec<Flaw> = self.flaws.iter().filter(|flaw| flaw.is_of(service)).cloned().collect();
        if damage.is_empty() { Ok(()) } else { Err(damaged(&layout::path(data_folder), &damage)) }
    }

    /// What a host has to do without; none where that cannot be known.
    pub(super) fn lost(&self) -> Option<Vec<Lost>> {
        // Without sums nobody knows what beside a part that cannot be read is whole.
        self.format.filter(|format| *format >= NEWEST)?;
        let mut all = Vec::new();
        for flaw in &self.flaws {
            all.extend(flaw.lost()?);
        }
        all.sort_unstable();
        all.dedup();
        (!all.is_empty()).then_some(all)
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
        let mut survey = Self { states: states.collect(), format, id, ..Self::default() };
        seeing.damage.into_iter().for_each(|flaw| survey.add(flaw));
        survey
    }

    pub(super) fn add(&mut self, flaw: Flaw) {
        self.damage.push(Damage::from(&flaw));
        self.flaws.push(flaw);
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
        self.damage.insert(Flaw::File { detail: detail.to_owned() });
    }

    fn lost(&mut self, seen: &Seen<'_>) {
        let lost = if let Seen::Entry(_, bytes) = seen { Lost::of_bytes(bytes) } else { None };
        match lost {
            Some(lost) => drop(self.damage.insert(Flaw::Lost { lost })),
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
    fn close(&mut self, before: Option<&Location>) {
        let Some(Hole { after, services: (first, last) }) = self.hole.take() else { return };
        let of = |location: Option<&Location>| location.map(|location| location.service.clone());
        let services = (first.or_else(|| of(after.as_ref())), last.or_else(|| of(before)));
        self.damage.insert(Flaw::Between { after, before: before.cloned(), services });
    }

    fn entry(&mut self, place: &[u8], bytes: &[u8], is_doubtful: bool) {
        let Some([service, actor, key]) = place_of(place) else { return self.hole(None, None) };
        let value = key.strip_prefix(VALUE);
        let location = |key: Option<&str>| Location {
            service: service.to_owned(),
            actor: actor.to_owned(),
            key: key.map(str::to_owned),
        };
        if !is_doubtful {
            self.close(Some(&location(value)));
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
                Some(key) => Flaw::Value { of: location(Some(key)) },
                None => Flaw::Record { of: location(None) },
            });
        }
        if !is_doubtful {
            self.last = Some(location(value));
        }
    }

    /// Nothing comes after this: compares each state with its record.
    fn end(&mut self) {
        self.close(None);
        let is_old = self.format < NEWEST;
        for (service, states) in &self.states {
            for (actor, found) in states {
                let of = || Location { service: service.clone(), actor: actor.to_string(), key: None };
                let detail = match found.record {
                    None if found.is_named => continue,
                    None => {
                        self.damage.insert(Flaw::Record { of: of() });
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
                self.damage.insert(Flaw::State { of: of(), detail });
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
