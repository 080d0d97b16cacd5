//! A table of keys as the book shows it.

use toml::{Table, Value};

use super::ChangeMode;
use super::key::Key;
use super::range::{Range, Unit, YEAR, amount};

/// A table of the book, in markdown. The defaults that no key names are in the table of values. A column that no key
/// has anything for is left out.
pub(crate) fn markdown(heads: [&'static str; 4], keys: &[Key], defaults: &Table) -> String {
    let column = |head: &'static str, cell: fn(&Key) -> &'static str| {
        keys.iter().any(|key| !cell(key).is_empty()).then_some((head, cell))
    };
    let past = column("past it", |key| key.past.unwrap_or_default());
    let changed = column("changed", |key| key.way.map(ChangeMode::told).unwrap_or_default());
    let more: Vec<_> = [past, changed].into_iter().flatten().collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let heads = heads.into_iter().chain(more.iter().map(|(head, _)| *head));
    let mut text = row(heads.map(str::to_owned).collect());
    text.push_str(&format!("|{}\n", "---|".repeat(4 + more.len())));
    for key in keys {
        let default = match key.default {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => defaults.get(key.key).map(quoted).unwrap_or_default(),
        };
        let first = [format!("`{}`", key.key), kind(key), default, key.meaning.trim().to_owned()];
        let more = more.iter().map(|(_, cell)| cell(key).to_owned());
        text.push_str(&row(first.into_iter().chain(more).collect()));
    }
    text
}

/// What may be written, and between which ends.
fn kind(Key { kind, range, .. }: &Key) -> String {
    let Some(Range { unit, least, most, .. }) = *range else { return (*kind).to_owned() };
    let end = |number| match unit {
        Unit::Count => format!("`{number}`"),
        Unit::Bytes | Unit::Nanoseconds => format!("`\"{}\"`", amount(unit, number)),
    };
    match (least, most) {
        (0, YEAR) => (*kind).to_owned(),
        (least, YEAR) => format!("{kind}, from {}", end(least)),
        (0, most) => format!("{kind}, up to {}", end(most)),
        (least, most) => format!("{kind}, {} to {}", end(least), end(most)),
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let all = table.iter().map(|(key, value)| format!("`{key} = {value}`"));
            all.collect::<Vec<_>>().join(", ")
        }
        value => format!("`{value}`"),
    }
}
