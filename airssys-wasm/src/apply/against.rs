//! Holds a release against turns that were recorded: each message again, on the state that there was, in an instance
//! that is alone. What it asks of others is answered as it was then, and nothing of it gets out.
//!
//! Its clocks and its chance are those of the recording as well. Between two turns its state is what the recorded turn
//! left, so that one difference does not make others; where the release has another schema, or may write other things,
//! it is what it wrote itself.
//!
//! A turn that the release which was recorded does not do again either says nothing: it rests on what was not recorded.

mod play;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

pub(super) use self::play::Contender;

use self::play::{NotPlayed, Turned, answer_of, comparable};
use crate::actor::apart;
use crate::deploy::{Deviation, Divergence, RecordingError};
use crate::message::Envelope;
use crate::secrets::hidden;
use crate::turn::{End, Message, Recording, Reel, Step, What};

/// Of fewer turns the slowest one alone is the 95th percentile.
const TIMED: usize = 20;
/// What is always allowed beyond the factor: below that the machine's noise decides.
const SLACK: Duration = Duration::from_millis(1);
/// How often both are played before one of them is said to be slower.
const ROUNDS: usize = 3;

/// What came of holding a release against a recording.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Comparison;
///
/// fn told(comparison: &Comparison) -> String {
///     let Comparison { turns, compared, divergence, .. } = comparison;
///     match divergence {
///         Some(divergence) => divergence.to_string(),
///         None => format!("{compared} of {turns} turns are as they were"),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The service.
    pub service: String,
    /// How many turns there are.
    pub turns: usize,
    /// How many were compared.
    pub compared: usize,
    /// How many differ in ways that are allowed.
    pub allowed: usize,
    /// How many were not compared, by the reason.
    pub skipped: BTreeMap<&'static str, usize>,
    /// The first over which it differs in another way; none where there is none.
    pub divergence: Option<Divergence>,
}

/// How one reel went.
#[derive(Default)]
struct Went {
    /// The turns that were compared, and how long each took.
    took: HashMap<u64, Duration>,
    /// Those over which it differs in a way that is not allowed.
    refused: HashSet<u64>,
    allowed: usize,
    skipped: BTreeMap<&'static str, usize>,
    /// The first of those that are refused, where it stops there.
    divergence: Option<Divergence>,
}

/// Plays a reel: to its end, or where it is known what the recorded release does again, to the first turn that differs
/// in a way that is not allowed.
async fn play(
    contender: &Contender,
    (recording, reel): (&Recording, &Reel),
    allow: &[Deviation],
    mut steady: Option<&mut Steady<'_>>,
) -> Result<Went, RecordingError> {
    let mut play = contender.play(recording, reel, allow.contains(&Deviation::State));
    let mut went = Went::default();
    let is_message = |step: &&Step| matches!(step.what, What::Message(_));
    let mut left = reel.turns.iter().filter(is_message);
    while let Some(step) = left.next() {
        let (message, end) = match comparable(step) {
            Ok(found) => found,
            Err(why) => {
                *went.skipped.entry(why).or_default() += 1;
                if step.end.as_ref().is_some_and(|end| !play.skip(end)) {
                    *went.skipped.entry("it comes after one that could not be compared").or_default() += left.count();
                    break;
                }
                continue;
            }
        };
        let turned = match play.turn(message, step, end).await {
            Ok(Some(turned)) => turned,
            Ok(None) => continue,
            Err(NotPlayed::NoRoom(detail)) => {
                return Err(RecordingError::NotRun { service: recording.service.clone(), detail });
            }
            Err(NotPlayed::NotStarted(what)) => {
                went.refused.insert(message.id());
                went.divergence = Some(not_started(reel, what));
                return Ok(went);
            }
        };
        if turned.is_refused(allow) {
            went.refused.insert(message.id());
            if let Some(steady) = &mut steady {
                if steady.repeats(recording, reel, message.id()).await? {
                    went.divergence = Some(diverged(reel, message, step, end, turned, allow));
                    return Ok(went);
                }
                *went.skipped.entry("the release that was recorded does not do it again either").or_default() += 1;
            }
            continue;
        }
        went.allowed += usize::from(!turned.apart.is_empty());
        went.took.insert(message.id(), turned.took);
    }
    Ok(went)
}

/// What the release does again that was recorded: asked when something differs.
struct Steady<'a> {
    live: Option<&'a Contender>,
    /// By actor, the turns that it does not do again.
    unsteady: HashMap<String, HashSet<u64>>,
}

impl Steady<'_> {
    async fn repeats(&mut self, recording: &Recording, reel: &Reel, id: u64) -> Result<bool, RecordingError> {
        let Some(live) = self.live else { return Ok(true) };
        if !self.unsteady.contains_key(&reel.actor) {
            let went = Box::pin(play(live, (recording, reel), &[], None)).await?;
            self.unsteady.insert(reel.actor.clone(), went.refused);
        }
        Ok(self.unsteady.get(&reel.actor).is_none_or(|unsteady| !unsteady.contains(&id)))
    }
}

fn not_started(reel: &Reel, what: String) -> Divergence {
    Divergence {
        actor: reel.actor.clone(),
        message: None,
        asked: "its start, on the state before the first of the recorded turns".to_owned(),
        kinds: Vec::new(),
        what: vec![hidden(&what).into_owned()],
        answered: String::new(),
        would_answer: String::new(),
        effects: Vec::new(),
        would_effects: Vec::new(),
    }
}

fn diverged(reel: &Reel, message: &Message, step: &Step, end: &End, turned: Turned, allow: &[Deviation]) -> Divergence {
    let hide = |text: String| hidden(&text).into_owned();
    let refused = turned.apart.into_iter().filter(|(kind, _)| kind.is_none_or(|kind| !allow.contains(&kind)));
    let (kinds, what): (Vec<_>, Vec<_>) = refused.unzip();
    let crashes = kinds.iter().any(Option::is_none);
    let kinds: BTreeSet<Deviation> = kinds.into_iter().flatten().filter(|_| !crashes).collect();
    let (asked, function) = match message.envelope() {
        Some((envelope, _)) => (asked(&envelope), envelope.function),
        None => (String::new(), None),
    };
    Divergence {
        actor: reel.actor.clone(),
        message: Some(message.id()),
        asked: hide(asked),
        kinds: kinds.into_iter().collect(),
        what: what.into_iter().map(hide).collect(),
        answered: hide(apart::said(function.as_deref(), &answer_of(end))),
        would_answer: hide(turned.would_answer),
        effects: step.effects().into_iter().map(hide).collect(),
        would_effects: turned.would_effects.into_iter().map(hide).collect(),
    }
}

fn asked(envelope: &Envelope) -> String {
    let sender = envelope.sender.as_ref().map_or_else(|| "the host".to_owned(), ToString::to_string);
    format!("message {} from {sender}, {}", envelope.id, apart::asked(envelope))
}

/// Holds a release against a recording, and looks at how long it takes where the one that was recorded is there and a
/// factor is given.
pub(super) async fn compare(
    recording: &Recording,
    next: &Contender,
    live: Option<&Contender>,
    allow: &[Deviation],
    factor: Option<f64>,
) -> Result<Comparison, RecordingError> {
    let mut found =
        Comparison { service: recording.service.clone(), turns: recording.turns(), ..Comparison::default() };
    let mut steady = Steady { live, unsteady: HashMap::new() };
    let mut took: HashMap<u64, Duration> = HashMap::new();
    for reel in &recording.reels {
        let went = play(next, (recording, reel), allow, Some(&mut steady)).await?;
        found.compared += went.took.len() + usize::from(went.divergence.is_some());
        found.allowed += went.allowed;
        for (why, count) in went.skipped {
            *found.skipped.entry(why).or_default() += count;
        }
        took.extend(went.took);
        // Of several actors the first one that differs is told.
        let is_first = |known: &Divergence| went.divergence.as_ref().is_some_and(|new| new.message < known.message);
        if found.divergence.as_ref().is_none_or(is_first) {
            found.divergence = went.divergence.or(found.divergence);
        }
    }
    if found.compared == 0 && found.turns > 0 {
        let why: Vec<&str> = found.skipped.keys().copied().collect();
        let (service, turns) = (found.service, found.turns);
        return Err(RecordingError::NoneComparable { service, turns, why: why.join("; ") });
    }
    if let (None, Some(live), Some(factor)) = (&found.divergence, live, factor) {
        found.divergence = slower(recording, (next, live), allow, took, factor).await?;
    }
    Ok(found)
}

/// Whether the new one takes much longer, each turn as fast as it was in any round.
async fn slower(
    recording: &Recording,
    (next, live): (&Contender, &Contender),
    allow: &[Deviation],
    mut new: HashMap<u64, Duration>,
    factor: f64,
) -> Result<Option<Divergence>, RecordingError> {
    let mut old = HashMap::new();
    for round in 0..ROUNDS {
        for reel in &recording.reels {
            least(&mut old, play(live, (recording, reel), &[], None).await?.took);
            if round > 0 {
                least(&mut new, play(next, (recording, reel), allow, None).await?.took);
            }
        }
        let both: Vec<u64> = new.keys().filter(|id| old.contains_key(id)).copied().collect();
        let (before, after) = (p95(&old, &both), p95(&new, &both));
        // So fast it is not told, however fast the one before is. Otherwise one round decides nothing: in it the one
        // before may have been held up.
        if both.len() < TIMED || after <= SLACK {
            return Ok(None);
        }
        if round + 1 == ROUNDS && after > before.mul_f64(factor.clamp(0.0, 1e6)) + SLACK {
            let what = format!("95 of 100 take at most {before:.1?} with the release before, and {after:.1?} with it");
            let mut told = not_started(&Reel::of_none(&recording.service), what);
            told.asked = format!("{} turns", both.len());
            told.kinds = vec![Deviation::Latency];
            return Ok(Some(told));
        }
    }
    Ok(None)
}

fn least(all: &mut HashMap<u64, Duration>, more: HashMap<u64, Duration>) {
    for (id, took) in more {
        let known = all.entry(id).or_insert(took);
        *known = took.min(*known);
    }
}

fn p95(took: &HashMap<u64, Duration>, of: &[u64]) -> Duration {
    let mut sorted: Vec<Duration> = of.iter().filter_map(|id| took.get(id).copied()).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) * 95 / 100).copied().unwrap_or_default()
}
