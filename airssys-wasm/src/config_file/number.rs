//! Where in a file a number stands that is outside of its range.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{ConfigError, Source};
use crate::schema::OutOfRange;

/// A number of a file that is outside of its range, with its place: in these tables of the file, or of the entry of a
/// list in which a key has this value.
pub(crate) fn out_of_range(
    source: &Source,
    named: Option<(&str, &str, &str)>,
    tables: &[&str],
    out: OutOfRange,
) -> ConfigError {
    match place(&source.text, named, tables, out.key()) {
        Some(place) => source.error(&place, out.to_string(), out.hint()),
        // It was read from there, so it is there.
        None => ConfigError::whole(&source.path, out.to_string(), out.hint()),
    }
}

fn place(text: &str, named: Option<(&str, &str, &str)>, tables: &[&str], key: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    if let Some((list, key, name)) = named {
        let entries = table.get(list)?.get_ref().as_array()?;
        let has_name = |entry: &&DeTable<'_>| {
            entry.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::String(is) if is == name))
        };
        table = entries.iter().filter_map(|entry| entry.get_ref().as_table()).find(has_name)?;
    }
    for inner in tables {
        table = table.get(*inner)?.get_ref().as_table()?;
    }
    Some(table.get(key)?.span())
}
