//! A deployment as it is told: a value of its own, which is read from its JSON again.

use serde::{Deserialize, Serialize};

use super::{Deployment, Progress, Setback};
use crate::hint::{Act, Hint, Hinted};

/// What was found when the release was shown what the live one does.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Differing, Status};
///
/// fn told(status: &Status) -> String {
///     let none = || "nothing was compared".to_owned();
///     let told = |Differing { compared, differing, .. }: &Differing| format!("{differing} of {compared} differ");
///     status.rehearsed.as_ref().map_or_else(none, told)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// The messages that were compared.
    pub compared: u64,
    /// Those that were not, because the new release was behind.
    pub skipped: u64,
    /// Those over which the two differ.
    pub differing: u64,
    /// The first of them: the message, and in what.
    pub differences: Vec<String>,
}

/// Actors that began without the memory of the release before.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Status, WithoutMemory};
///
/// fn told(status: &Status) -> Option<String> {
///     let WithoutMemory { actors, first, why } = status.without_memory.as_ref()?;
///     Some(format!("{actors} actors, such as {first}: {why}"))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithoutMemory {
    /// How many.
    pub actors: usize,
    /// One of them.
    pub first: String,
    /// Why.
    pub why: String,
}

/// A deployment, as it is now.
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
    /// What was found, where it was in the shadow.
    #[serde(default)]
    pub rehearsed: Option<Differing>,
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
    pub without_memory: Option<WithoutMemory>,
    /// What it went on without, as sentences.
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
        let (rehearsed, left_out) = (self.rehearsed(), self.left_out());
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
            rehearsed: (rehearsed.compared > 0).then(|| Differing {
                compared: rehearsed.compared,
                skipped: rehearsed.skipped,
                differing: rehearsed.differing,
                differences: rehearsed.differences.iter().map(ToString::to_string).collect(),
            }),
            notes: left_out.notes(),
            passed_over: left_out.passed_over,
            without_memory: left_out.without_memory.map(|lost| WithoutMemory {
                actors: lost.actors,
                first: lost.first,
                why: lost.crash.map(|crash| crash.to_string()).unwrap_or_default(),
            }),
            pause_us: self.pause().as_secs_f64() * 1e6,
            waited: self.waited(),
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
            assert_eq!(told["state"], json!(progress.name()), "{told}");
            let status = json!({ "service": "a", "reason": null, "pause_us": 0.5, "live": null });
            told.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            let status: Status = serde_json::from_value(told.clone()).unwrap();
            assert_eq!(status.progress, progress, "{told}");
            let again: Value = serde_json::to_value(&status).unwrap();
            assert!(told.as_object().unwrap().iter().all(|(key, value)| again[key] == *value), "{told} {again}");
        }
    }
}
