//! What a release runs with that is neither code nor authority, as text, so that two can be compared. Pure.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::engine::{Lane, slot};
use crate::limits::Limits;

/// A setting that would become another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Which: a key of `limits`, `lane`, or `engine class`, the size of the slots that its instances live in.
    pub name: String,
    /// What it is.
    pub from: String,
    /// What it would be.
    pub to: String,
}

/// Those that differ. The limits are those of each release as the operator has changed them.
pub(super) fn differences(from: (Lane, &Limits), to: (Lane, &Limits)) -> Vec<Setting> {
    let pairs = told(from.0, from.1).into_iter().zip(told(to.0, to.1));
    let differ = pairs.filter(|((_, from), (_, to))| from != to);
    differ.map(|((name, from), (_, to))| Setting { name: name.to_owned(), from, to }).collect()
}

fn told(lane: Lane, limits: &Limits) -> [(&'static str, String); 17] {
    // Each by its name, so that a new limit does not compile without a place here.
    let Limits {
        memory_bytes,
        table_elements,
        core_instances,
        turn_deadline,
        turn_budget,
        start_timeout,
        message_bytes,
        boundary_bytes,
        state_bytes,
        effects,
        timers,
        subscriptions,
        monitors,
        resources,
        log_line_bytes,
    } = limits;
    let time = |time: &Duration| humantime::format_duration(*time).to_string();
    let size = |bytes: usize| ByteSize(u64::try_from(bytes).unwrap_or(u64::MAX)).to_string();
    let lane = match lane {
        Lane::Async => "async",
        Lane::Sync => "sync",
    };
    [
        ("lane", lane.to_owned()),
        ("engine class", slot(*memory_bytes).map(|bytes| ByteSize(bytes).to_string()).unwrap_or_default()),
        ("memory", ByteSize(*memory_bytes).to_string()),
        ("table_elements", table_elements.to_string()),
        ("core_instances", core_instances.to_string()),
        ("turn_deadline", time(turn_deadline)),
        ("turn_budget", time(turn_budget)),
        ("start_timeout", time(start_timeout)),
        ("message", ByteSize(*message_bytes).to_string()),
        ("boundary", size(*boundary_bytes)),
        ("state", size(*state_bytes)),
        ("effects", effects.to_string()),
        ("timers", timers.to_string()),
        ("subscriptions", subscriptions.to_string()),
        ("monitors", monitors.to_string()),
        ("resources", resources.to_string()),
        ("log_line", size(*log_line_bytes)),
    ]
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
                "engine class: 32.0 MiB 2.0 MiB",
                "memory: 32.0 MiB 1.0 MiB",
                "turn_budget: 1s 50ms",
                "effects: 1024 7"
            ]
        );
    }
}
