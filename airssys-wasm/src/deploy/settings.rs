//! What a release runs with that is neither code nor authority, as text, so that two can be compared. Pure.

use serde::{Deserialize, Serialize};
use toml::Value;

use crate::engine::{Lane, slot};
use crate::limits::Limits;
use crate::schema::{Schema, size_text};

/// A limit, the lane or the engine class, where the two releases differ in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedSetting {
    /// Which: a key of `limits`, `lane`, or `engine class`, the size of the slots that its instances live in.
    pub name: String,
    /// What it is.
    pub from: String,
    /// What it would be.
    pub to: String,
}

/// Those that differ. The limits are those of each release as the operator has changed them.
pub(super) fn differences(from: (Lane, &Limits), to: (Lane, &Limits)) -> Vec<ChangedSetting> {
    let pairs = told(from.0, from.1).into_iter().zip(told(to.0, to.1));
    let differ = pairs.filter(|((_, from), (_, to))| from != to);
    differ.map(|((name, from), (_, to))| ChangedSetting { name, from, to }).collect()
}

/// The limits as one writes them, and what else there is.
fn told(lane: Lane, limits: &Limits) -> Vec<(String, String)> {
    let lane = match lane {
        Lane::Async => "async",
        Lane::Sync => "sync",
    };
    let class = slot(limits.memory_bytes).map(size_text).unwrap_or_default();
    let mut told = vec![("lane".to_owned(), lane.to_owned()), ("engine class".to_owned(), class)];
    told.extend(limits.table().into_iter().map(|(key, value)| (key, text(value))));
    told
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Lane, Limits, differences};

    #[test]
    fn only_what_differs_is_told() {
        let usual = Limits::default();
        assert_eq!(differences((Lane::Sync, &usual), (Lane::Sync, &usual)), []);
        let other =
            Limits { memory_bytes: 1 << 20, turn_budget: Duration::from_millis(50), effects: 7, ..usual.clone() };
        let told: Vec<_> = differences((Lane::Async, &usual), (Lane::Sync, &other))
            .into_iter()
            .map(|setting| format!("{}: {} {}", setting.name, setting.from, setting.to))
            .collect();
        assert_eq!(
            told,
            [
                "lane: async sync",
                "engine class: 32MiB 2MiB",
                "effects: 1024 7",
                "memory: 32MiB 1MiB",
                "turn_budget: 1s 50ms"
            ]
        );
    }
}
