//! Who does the acts of a test file, each at its moment, and waits for what comes of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::act::Act;
use super::authority::Authority;
use crate::runtime::Runtime;
use crate::seeded::Seeded;

/// Who does the acts of a test file.
pub(super) struct Operator {
    acts: Vec<(Duration, Act)>,
    /// Who is told what each act changes.
    authority: Arc<Authority>,
    /// Those that began and have not come to their end, and what came of the others.
    state: Arc<Mutex<Acted>>,
}

#[derive(Default)]
struct Acted {
    under_way: BTreeMap<usize, Act>,
    outcomes: BTreeMap<String, u64>,
}

impl Operator {
    /// Each act at a moment of its own.
    pub(super) fn drawn(acts: &[Act], seeded: &Seeded, authority: &Arc<Authority>) -> Self {
        let authority = Arc::clone(authority);
        Self { acts: moments(acts, seeded), authority, state: Arc::default() }
    }

    /// Does those that are to be done in a part of the time. They go on until the set is dropped.
    pub(super) fn begin(&self, runtime: &Arc<Runtime>, seeded: &Seeded, part: Range<Duration>) -> JoinSet<()> {
        let (mut under_way, begun) = (JoinSet::new(), Instant::now());
        let acts = self.acts.iter().enumerate().filter(|(_, (at, _))| part.contains(at));
        // What a host had begun that was killed is not waited for.
        self.lock().under_way.clear();
        for (number, (at, act)) in acts {
            let (at, act) = (begun + at.saturating_sub(part.start), act.clone());
            let (runtime, seeded, state) = (Arc::clone(runtime), seeded.clone(), Arc::clone(&self.state));
            let authority = Arc::clone(&self.authority);
            under_way.spawn(async move {
                sleep_until(at).await;
                seeded.note(format_args!("act {}", act.name));
                locked(&state).under_way.insert(number, act.clone());
                let changes = act.changes();
                authority.begins(number, &changes);
                let outcome = act.run(&runtime).await;
                authority.ends(number, &changes, outcome.is_left());
                seeded.note(format_args!("act {}: {}", act.name, outcome.word));
                if !outcome.detail.is_empty() {
                    seeded.beside(format_args!("act {}: {}", act.name, outcome.detail));
                }
                let mut state = locked(&state);
                state.under_way.remove(&number);
                *state.outcomes.entry(format!("{}: {}", act.name, outcome.word)).or_default() += 1;
                drop(state);
                let wrong = act.judge(Some(&outcome)).into_iter().chain(outcome.broken);
                wrong.for_each(|what| seeded.breaks(what));
            });
        }
        under_way
    }

    /// What has not come to its end by now is waited for no more.
    pub(super) fn end(&self, acts: JoinSet<()>, seeded: &Seeded) {
        drop(acts);
        let mut state = self.lock();
        for act in std::mem::take(&mut state.under_way).into_values() {
            seeded.note(format_args!("act {}: under way", act.name));
            *state.outcomes.entry(format!("{}: under way", act.name)).or_default() += 1;
            act.judge(None).into_iter().for_each(|what| seeded.breaks(what));
        }
    }

    /// What came of all, and how often.
    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        self.lock().outcomes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Acted> {
        locked(&self.state)
    }
}

/// Each act, and the moment at which it is done, which may be drawn.
pub(super) fn moments(acts: &[Act], seeded: &Seeded) -> Vec<(Duration, Act)> {
    let draw = |act: &Act| {
        let span = u64::try_from((act.at.end - act.at.start).as_micros()).unwrap_or(u64::MAX);
        let at = if span == 0 { act.at.start } else { act.at.start + Duration::from_micros(seeded.below(span)) };
        (at, act.clone())
    };
    acts.iter().map(draw).collect()
}

fn locked(state: &Mutex<Acted>) -> MutexGuard<'_, Acted> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
