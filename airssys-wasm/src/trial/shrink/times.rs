//! The times of a plan, made plain.

use std::time::Duration;

use super::super::file::Plan;

/// When messages are said, acts are done and the host is killed, the first one first.
pub(super) fn moments(plan: &Plan) -> Vec<Duration> {
    let said = plan.workloads.iter().filter_map(|one| one.at);
    let mut moments: Vec<Duration> =
        said.chain(plan.acts.iter().map(|act| act.at.start)).chain(plan.kills.clone()).collect();
    moments.sort_unstable();
    moments
}

/// The plan with other times.
fn at_other_times(plan: &Plan, other: impl Fn(Duration) -> Duration) -> Plan {
    let mut plan = plan.clone();
    plan.workloads.iter_mut().for_each(|one| one.at = one.at.map(&other));
    plan.acts.iter_mut().for_each(|act| act.at = other(act.at.start)..other(act.at.end));
    plan.kills.iter_mut().for_each(|at| *at = other(*at));
    plan
}

/// All in the same order, as long after each other.
pub(super) fn spread(plan: &Plan, step: Duration) -> Plan {
    let mut moments = moments(plan);
    moments.dedup();
    let place = |at| u32::try_from(moments.iter().position(|moment| *moment == at).unwrap_or_default());
    at_other_times(plan, |at| step.saturating_mul(place(at).unwrap_or(u32::MAX)))
}

/// The moment at this place earlier, at a round time; what comes after it as well.
pub(super) fn rounded(plan: &Plan, place: usize, step: Duration) -> Plan {
    let moments = moments(plan);
    let Some(moment) = moments.get(place).copied() else { return plan.clone() };
    let step = step.as_micros().max(1);
    let round = u64::try_from(moment.as_micros() / step * step).map_or(moment, Duration::from_micros);
    let before = place.checked_sub(1).and_then(|before| moments.get(before)).copied().unwrap_or_default();
    let earlier = moment.saturating_sub(round.max(before));
    at_other_times(plan, |at| if at >= moment { at.saturating_sub(earlier) } else { at })
}
