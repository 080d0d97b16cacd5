//! Reads what the file of durable states has. The sum of each value is compared whenever it is read.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::StateError;
use super::damage::{Flaw, damaged};
use super::file::StateFile;
use super::kept::{KeptState, Loaded, LoadedService};
use super::layout::{RECORD, RowKey, VALUE};
use super::location::Location;
use super::lost::{self, Lost};
use super::sums::{Record, SUM, Sums, read_value};

impl StateFile {
    /// The services that have state, in order.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn services(&self) -> Result<Vec<String>, StateError> {
        self.sound(|| {
            let states = self.states()?;
            let mut services: Vec<String> = Vec::new();
            let mut from = String::new();
            // A step for each service, however much state it has.
            loop {
                let mut rest = states.range::<RowKey<'_>>((from.as_str(), "", "")..).map_err(self.error("read"))?;
                let Some(first) = rest.next() else { return Ok(services) };
                let service = first.map_err(self.error("read"))?.0.value().0.to_owned();
                // The smallest text that comes after all keys of this service.
                from = format!("{service}\0");
                services.push(service);
            }
        })
    }

    /// All states of a service, by key of the actor; empty for a service's only state.
    ///
    /// # Errors
    ///
    /// [`StateError`]; it is damaged where one of its values is not what was written.
    pub fn read(&self, service: &str) -> Result<BTreeMap<Box<str>, KeptState>, StateError> {
        let LoadedService { states, lost } = self.load(service)?;
        if !lost.is_empty() {
            return Err(StateError::Damaged { path: self.name().to_owned(), detail: lost::told(&lost) });
        }
        Ok(states.into_iter().map(|(actor, loaded)| (actor, loaded.kept)).collect())
    }

    /// [`StateFile::read`], with what the values come to. What is damaged is lost, and no error.
    pub(crate) fn load(&self, service: &str) -> Result<LoadedService, StateError> {
        self.sound(|| {
            let states = self.states()?;
            let mut found: BTreeMap<Box<str>, Loaded> = BTreeMap::new();
            let mut expected = Sums::default();
            let mut last: Option<Box<str>> = None;
            let mut damage = Vec::new();
            for entry in states.range::<RowKey<'_>>((service, "", "")..).map_err(self.error("read"))? {
                let (place, value) = entry.map_err(self.error("read"))?;
                let (of, actor, key) = place.value();
                if of != service {
                    break;
                }
                if last.as_deref() != Some(actor) {
                    compare(service, last.replace(actor.into()), expected, &found, &mut damage);
                    found.insert(actor.into(), Loaded::default());
                    expected = Sums::default();
                }
                let Some(loaded) = found.get_mut(actor) else { continue };
                match key.strip_prefix(VALUE) {
                    Some(key) => match read_value(service, actor, key, value.value()) {
                        Some((value, sum)) => {
                            loaded.sums.add(sum);
                            loaded.kept.values.insert(key.into(), Bytes::copy_from_slice(value));
                        }
                        None => {
                            let key = Some(key.to_owned());
                            damage.push(Flaw::Value { of: Location { key, ..Location::of(service, actor) } });
                        }
                    },
                    None => match Record::of_bytes(service, actor, value.value()) {
                        Some(record) => {
                            (loaded.kept.commits, loaded.kept.schema) = (record.commits, record.schema);
                            expected = record.sums;
                        }
                        None => damage.push(Flaw::Record { of: Location::of(service, actor) }),
                    },
                }
            }
            compare(service, last, expected, &found, &mut damage);
            let of = |damage: &Flaw| Some(Lost::at(&damage.location()?, damage.to_string()));
            let lost = self.lost().into_iter().chain(damage.iter().filter_map(of));
            let lost: Vec<_> = lost.filter_map(|lost| lost.keys_of(service)).collect();
            found.retain(|actor, _| !lost.iter().any(|lost| lost.has(actor)));
            Ok(LoadedService { states: found, lost })
        })
    }

    /// The bytes of all keys and values of a service.
    pub(crate) fn bytes(&self, service: &str) -> Result<u64, StateError> {
        self.sound(|| {
            let next = format!("{service}\0");
            let all = (service, "", "")..(next.as_str(), "", "");
            let mut bytes = 0;
            for entry in self.states()?.range::<RowKey<'_>>(all).map_err(self.error("read"))? {
                let (place, value) = entry.map_err(self.error("read"))?;
                if let Some(key) = place.value().2.strip_prefix(VALUE) {
                    bytes += (key.len() + value.value().len().saturating_sub(SUM)) as u64;
                }
            }
            Ok(bytes)
        })
    }

    /// How many commits have changed a state.
    pub(super) fn commits(&self, service: &str, actor: &str) -> Result<u64, StateError> {
        self.sound(|| {
            let Some(found) = self.states()?.get((service, actor, RECORD)).map_err(self.error("read"))? else {
                return Ok(0);
            };
            let record = Record::of_bytes(service, actor, found.value());
            let record =
                record.ok_or_else(|| damaged(self.name(), &[Flaw::Record { of: Location::of(service, actor) }]))?;
            Ok(record.commits)
        })
    }
}

/// Whether the values of a state that was read are those that its record means.
fn compare(
    service: &str,
    actor: Option<Box<str>>,
    expected: Sums,
    found: &BTreeMap<Box<str>, Loaded>,
    damage: &mut Vec<Flaw>,
) {
    let Some(actor) = actor else { return };
    let sums = found.get(&actor).map(|loaded| loaded.sums).unwrap_or_default();
    if sums != expected {
        let detail = format!("it has {} values, and had {}, or they are others", sums.values(), expected.values());
        damage.push(Flaw::State { of: Location::of(service, &actor), detail });
    }
}
