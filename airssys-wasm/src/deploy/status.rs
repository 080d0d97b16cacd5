//! A deployment as it is told: a value of its own, which is read from its JSON again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Affected, Deployment, Progress, Setback};
use crate::actor::Rehearsed;
use crate::hint::{Act, Coded, Hint};

/// A deployment, as it is now.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Progress, Status};
///
/// let text = r#"{ "number": 1, "service": "shop", "state": "live", "reason": null, "pause_us": 4.5, "live": null }"#;
/// let Status { service, progress, pause_us, .. } = serde_json::from_str(text)?;
/// assert_eq!((service.as_str(), progress, pause_us), ("shop", Progress::Live, 4.5));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Which of the deployments that the mesh has begun it is, from 1.
    #[serde(default)]
    pub number: u64,
    /// The service.
    pub service: String,
    /// Where it is.
    #[serde(flatten)]
    pub progress: Progress,
    /// What was found when the release was shown what the live one does, so far; none where it was not.
    #[serde(default)]
    #[doc(hidden)]
    pub rehearsed: Option<Rehearsed>,
    /// Why it was rolled back, in words.
    pub reason: Option<String>,
    /// What to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// The service of the same set that went back first, where that is why.
    #[serde(default)]
    pub because_of: Option<String>,
    /// The members of a pool that do not run and start with the new release where they are started again.
    #[serde(default)]
    pub passed_over: Vec<String>,
    /// Those that began without the memory of the release before.
    #[serde(default)]
    pub(crate) without_memory: Option<Affected>,
    /// The keys and children that start neither with the new release nor with the one before; and why not with the new
    /// one. They stay as they are, and start with the new one next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sick: Option<Affected>,
    /// Those whose turn was cut off, since it was not over at the handover deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cut_off: Option<Affected>,
    /// What it went on without, as sentences: actors that do not run, or are not well with either release, memory that
    /// was not handed over, turns that were cut off.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The longest that an actor took no message over the switch, in microseconds.
    pub pause_us: f64,
    /// The most messages that waited in one mailbox when its actor was switched.
    #[serde(default)]
    pub waited: usize,
    /// How many committed turns a way back that restores the state would discard now.
    #[serde(default)]
    pub turns_to_discard: u64,
    /// The SHA-256 of the component that is live as far as this deployment decides: on probation, still the one before.
    pub live: Option<String>,
}

impl Deployment {
    /// All of it that can be told; what a way back would discard, the mesh knows.
    pub(crate) fn status(&self, turns_to_discard: u64) -> Status {
        let met = &self.met;
        let (rehearsed, left_out) = (met.lock_rehearsed().clone(), met.lock_left_out().clone());
        let (progress, (before, next)) = (self.progress(), &*self.digests);
        let live = if progress == Progress::Live { next } else { before };
        let hint = match progress.setback() {
            Some(Setback::Stopped) => Some(Act::Start { service: self.service.to_string() }.into()),
            setback => setback.and_then(Setback::hint),
        };
        let because_of = match progress.setback() {
            Some(Setback::OfTheSet { service, .. }) => Some(service.clone()),
            _ => None,
        };
        Status {
            number: self.number,
            service: self.service.to_string(),
            reason: progress.reason(),
            hint,
            because_of,
            progress,
            rehearsed: (rehearsed != Rehearsed::default()).then_some(rehearsed),
            notes: left_out.notes(),
            passed_over: left_out.passed_over,
            without_memory: left_out.without_memory,
            sick: left_out.sick,
            cut_off: left_out.cut_off,
            pause_us: Duration::from_nanos(met.pause_ns.load(Ordering::Relaxed)).as_secs_f64() * 1e6,
            waited: met.waiting.load(Ordering::Relaxed),
            turns_to_discard,
            live: Some(live.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Setback, Status};
    use crate::deploy::{Compared, NoTraffic, Progress, Seen, TooFewTurns};
    use crate::error::{Crash, Fault};
    use crate::hint::Coded;

    /// All of them, one after the other. Does not compile where one is left out.
    fn next(setback: Option<&Setback>) -> Option<Setback> {
        let trap = || Crash::Trap { trap: "unreachable".to_owned(), at: None };
        let old = Seen { turns: 100, failed: 1, p95: Duration::from_micros(250), ..Seen::default() };
        let new = Seen { failed: 50, ..old };
        Some(match setback {
            None => Setback::NotStarted(trap()),
            Some(Setback::NotStarted(_)) => {
                Setback::NoMemory(Crash::Deadline { deadline: Duration::from_millis(1_500) })
            }
            Some(Setback::NoMemory(_)) => Setback::NoHandover(Duration::from_millis(30)),
            Some(Setback::NoHandover(_)) => Setback::Stopped,
            Some(Setback::Stopped) => Setback::Crashed(trap()),
            Some(Setback::Crashed(_)) => Setback::Unwell(Fault::Refused("ill".to_owned())),
            Some(Setback::Unwell(_)) => Setback::Failing { old, new },
            Some(Setback::Failing { .. }) => Setback::Slow { old, new },
            Some(Setback::Slow { .. }) => Setback::Differs { compared: 3, differing: 1, first: "one".to_owned() },
            Some(Setback::Differs { .. }) => Setback::Behind { compared: 7 },
            Some(Setback::Behind { .. }) => Setback::TooFew { patience: Duration::from_secs(600) },
            Some(Setback::TooFew { .. }) => Setback::NotRecorded("no room".to_owned()),
            Some(Setback::NotRecorded(_)) => {
                Setback::OfTheSet { service: "other".to_owned(), why: "it was cancelled".to_owned() }
            }
            Some(Setback::OfTheSet { .. }) => Setback::Cancelled,
            Some(Setback::Cancelled) => return None,
        })
    }

    #[test]
    fn where_a_deployment_is_is_read_as_it_is_written() {
        let side = Seen { turns: 9, ..Seen::default() };
        let compared = Some(Compared { old: side, new: side });
        let waits = Some(TooFewTurns { samples: 100, no_traffic: NoTraffic::Hold, held: true });
        let mut all = vec![
            Progress::Switching { switched: 1, actors: 4 },
            Progress::Rehearsing { compared, waits: None },
            Progress::Baking { step: 1, steps: 3, have: 2, of: 8, compared: None, waits },
            Progress::Probation,
            Progress::Live,
        ];
        let setbacks = std::iter::successors(next(None), |setback| next(Some(setback)));
        for reason in setbacks {
            let crash = Crash::Host { detail: "gone".to_owned() };
            all.push(Progress::Suspended { reason: reason.clone(), crash, turns: 12 });
            all.push(Progress::RolledBack { reason });
        }
        for progress in all {
            let mut told = serde_json::to_value(&progress).unwrap();
            assert_eq!(told["state"], json!(progress.code()), "{told}");
            let status = json!({ "service": "a", "reason": null, "pause_us": 0.5, "live": null });
            told.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            let status: Status = serde_json::from_value(told.clone()).unwrap();
            assert_eq!(status.progress, progress, "{told}");
            let again: Value = serde_json::to_value(&status).unwrap();
            assert!(told.as_object().unwrap().iter().all(|(key, value)| again[key] == *value), "{told} {again}");
        }
    }
}
