//! What of a component, or of its limits, is beyond what may be.

use super::contract::Lane;
use super::needs::Needs;
use super::obstacle::{MOST_RECORDS, Obstacle};
use crate::limits::{Limits, MOST_SYNC_STACK};
use crate::schema::Schema;

/// The limits that no host can keep.
pub(super) fn out_of_range(limits: &Limits, lane: Lane) -> Vec<Obstacle> {
    let out = limits.numbers().into_iter().filter_map(|number| match number.key.range {
        Some(range) if range.key == "stack" && lane == Lane::Sync => range.up_to(MOST_SYNC_STACK).check(number.is),
        _ => number.check(),
    });
    out.map(Obstacle::Range).collect()
}

/// What of a component's needs is beyond its limits.
pub(super) fn beyond(needs: &Needs, limits: &Limits, lane: Lane) -> Vec<Obstacle> {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let limited = [
        ("memory", needs.memory_bytes, limits.memory_bytes),
        ("memories", count(needs.memories), count(limits.memories)),
        ("table_elements", needs.table_elements, count(limits.table_elements)),
        ("tables", count(needs.tables), count(limits.tables)),
        ("core_instances", count(needs.core_instances), count(limits.core_instances)),
    ];
    let mut obstacles = out_of_range(limits, lane);
    let limited = limited.into_iter().filter(|(_, takes, allows)| takes > allows);
    obstacles.extend(limited.map(|(key, takes, allows)| Obstacle::Limit { key, takes, allows }));
    if needs.records_bytes > MOST_RECORDS {
        let what = "bytes of the engine's own records of an instance";
        obstacles.push(Obstacle::TooMuch { what, takes: needs.records_bytes, most: MOST_RECORDS });
    }
    obstacles
}
