//! Writes what stands in a file of format 1 with sums.

use std::path::Path;

use redb::{ReadableTable, WriteTransaction};

use super::StateError;
use super::damage::{Flaw, damaged};
use super::layout::{OLD_STATES_TABLE, STATES_TABLE, VALUE};
use super::location::Location;
use super::sums::{Record, of_value, write_value};

/// Writes what stands there in format 1 with sums, in the same step.
pub(super) fn bring_over(writing: &WriteTransaction, path: &Path) -> Result<(), StateError> {
    {
        let old = writing.open_table(OLD_STATES_TABLE).map_err(StateError::of("read", path))?;
        let mut table = writing.open_table(STATES_TABLE).map_err(StateError::of("write", path))?;
        let mut of: Option<(String, String)> = None;
        let mut record = Record::default();
        let mut summed = Vec::new();
        for entry in old.iter().map_err(StateError::of("read", path))? {
            let (place, value) = entry.map_err(StateError::of("read", path))?;
            let (service, actor, key) = place.value();
            // Before the values of a state stands its record.
            if of.as_ref().is_none_or(|(of, whose)| of != service || whose != actor) {
                if let Some((service, actor)) = of.replace((service.to_owned(), actor.to_owned())) {
                    record.put(&mut table, &service, &actor).map_err(StateError::of("write", path))?;
                }
                record = Record::default();
            }
            let Some(named) = key.strip_prefix(VALUE) else {
                let read = Record::of_old_bytes(value.value());
                record = read.ok_or_else(|| damaged(path, &[Flaw::Record { of: Location::of(service, actor) }]))?;
                continue;
            };
            let sum = of_value(service, actor, named, value.value());
            record.sums.add(sum);
            write_value(value.value(), sum, &mut summed);
            table.insert((service, actor, key), &summed[..]).map_err(StateError::of("write", path))?;
        }
        if let Some((service, actor)) = of {
            record.put(&mut table, &service, &actor).map_err(StateError::of("write", path))?;
        }
    }
    writing.delete_table(OLD_STATES_TABLE).map(drop).map_err(StateError::of("write", path))
}
