//! What is known of the deployments of a service: which release serves it, which one did before, and what is under way.
//! Pure.
//!
//! A host that finds an intent without an end was killed over it: what the state on disk is written in says which
//! release it belongs to ([`decide`]).

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::intent::{Intent, SetId};
use super::record_error::RecordError;
use super::recovery::Recovery;
use super::source::Source;
use crate::registry::log;

/// Deployments of a service that may end: one each millisecond for 140,000 years.
pub(super) const MOST_ENDED: u64 = 1 << 52;

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Which of the service's deployments it was, from 1.
    pub number: u64,
    /// When, in UTC, by RFC 3339.
    pub at: String,
    /// What served before.
    pub from: Source,
    /// What was to serve.
    pub to: Source,
    /// Whether it is live since.
    pub live: bool,
    /// Why it is not live, where it is not.
    pub reason: Option<String>,
    /// What it went on without: members that do not run, memory that was not handed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The set that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<SetId>,
}

/// What an end that was written down says: the last one of a service says all that is known of it but for what ended
/// before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) live: Source,
    pub(super) previous: Option<Source>,
    /// Deployments of the service that have ended.
    pub(super) ended: u64,
    /// What ended; none where an earlier version did not say.
    pub(super) last: Option<Ended>,
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) live: Source,
    pub(crate) previous: Option<Source>,
    /// Deployments that ended.
    pub(super) ended: u64,
    /// The youngest of them; some may be lost.
    pub(super) history: Vec<Ended>,
    pub(super) under_way: Option<Intent>,
}

impl Record {
    pub(super) fn new(live: &Source) -> Self {
        Self { live: live.clone(), previous: None, ended: 0, history: Vec::new(), under_way: None }
    }

    /// What was written down of a service, where anything was: the ends, the last one last, and what is under way
    /// since.
    pub(super) fn of(mut ends: Vec<End>, under_way: Option<Intent>) -> Result<Option<Self>, String> {
        let history = ends.iter_mut().filter_map(|end| end.last.take()).collect();
        let record = match (ends.pop(), under_way) {
            (Some(End { live, previous, ended, .. }), under_way) => Self { live, previous, ended, history, under_way },
            (None, Some(first)) => {
                Self { ended: first.after, under_way: Some(first.clone()), ..Self::new(&first.live) }
            }
            (None, None) => return Ok(None),
        };
        record.check().map(|()| Some(record))
    }

    /// The last end, to be written down.
    pub(super) fn end(&self) -> End {
        let Self { live, previous, ended, history, .. } = self;
        End { live: live.clone(), previous: previous.clone(), ended: *ended, last: history.last().cloned() }
    }

    /// What the next start may need.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let under_way = self.under_way.iter().flat_map(|intent| [&intent.live, &intent.next]);
        std::iter::once(&self.live).chain(&self.previous).chain(under_way)
    }

    /// A deployment that was cut off is over.
    pub(super) fn settle(
        mut self,
        service: &str,
        ending: Ending,
        now: String,
    ) -> Result<(Self, Option<Recovery>), RecordError> {
        let (next, step) = match (&self.under_way, self.history.last()) {
            (Some(intent), _) => (intent.next.clone(), intent.step.clone()),
            // It had gone back already.
            (None, Some(ended)) if !ended.live => (ended.to.clone(), None),
            (None, _) => return Ok((self, None)),
        };
        let (live, service) = (ending != Ending::RolledBack, service.to_owned());
        let at = step.as_ref().map(|step| format!(", {step}")).unwrap_or_default();
        let reason = (!live).then(|| format!("the host ended in the middle of it{at}"));
        self.enter(&service, now, &self.live.clone(), &next, reason)?;
        let recovery = match ending {
            Ending::RolledBack => return Ok((self, Some(Recovery::RolledBack { service, next, step }))),
            Ending::BroughtOver => Recovery::Finished { service, live: next.clone(), with: None },
            Ending::With(with) => Recovery::Finished { service, live: next.clone(), with: Some(with) },
        };
        self.previous = Some(std::mem::replace(&mut self.live, next));
        Ok((self, Some(recovery)))
    }

    /// One more has ended, and not as it was to where there is a reason.
    pub(super) fn enter(
        &mut self,
        service: &str,
        at: String,
        from: &Source,
        to: &Source,
        reason: Option<String>,
    ) -> Result<(), RecordError> {
        let full = || RecordError::Full { service: service.to_owned(), ended: self.ended };
        self.ended = self.ended.checked_add(1).filter(|ended| *ended <= MOST_ENDED).ok_or_else(full)?;
        let set = self.under_way.take().and_then(|intent| intent.set);
        let (from, to, live) = (from.clone(), to.clone(), reason.is_none());
        self.history.push(Ended { number: self.ended, at, from, to, live, reason, notes: Vec::new(), set });
        let too_many = self.history.len().saturating_sub(log::HISTORY);
        self.history.drain(..too_many);
        Ok(())
    }

    /// Whether it makes sense: no file may say what no host can have written.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { ended, history, under_way, .. } = self;
        if *ended > MOST_ENDED {
            return Err(format!("it says that {ended} deployments have ended, which no host has come to"));
        }
        let rises = history.is_sorted_by(|before, after| before.number < after.number);
        if !rises || history.last().is_some_and(|last| last.number > *ended) {
            return Err(format!("its history is not in order, or longer than the {ended} deployments that have ended"));
        }
        match under_way {
            Some(intent) if intent.after != *ended => {
                Err(format!("a deployment is under way after {} others, and {ended} have ended", intent.after))
            }
            _ => Ok(()),
        }
    }

    /// Whether its end is lost that decided about a set.
    fn has_lost(&self, set: &SetId) -> bool {
        let number = set.after + 1;
        let is_there = self.history.iter().any(|ended| ended.number == number);
        // What is older was forgotten in order.
        !is_there && number <= self.ended && self.ended - number < log::HISTORY as u64
    }
}

/// What becomes of a deployment that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    RolledBack,
    /// It is live: the state on disk is in the schema of its release.
    BroughtOver,
    /// It is live, since that service of its set is.
    With(String),
}

/// A service whose lost end decides about a set that was cut off. Pure.
pub(super) fn undecided(all: &HashMap<String, Record>) -> Option<&str> {
    let set = |record: &'_ Record| match (&record.under_way, record.history.last()) {
        (Some(intent), _) => intent.set.clone(),
        (None, Some(last)) if !last.live => last.set.clone(),
        (None, _) => None,
    };
    let sets: Vec<SetId> = all.values().filter_map(set).collect();
    let lost =
        |(service, record): &(&String, &Record)| sets.iter().any(|set| set.first == **service && record.has_lost(set));
    all.iter().find(lost).map(|(service, _)| service.as_str())
}

/// What becomes of the deployments that were cut off, given the schemas that states on disk are in, by service. Pure.
/// Those that decide about others of their set come first, and have to be written first.
///
/// The schema is part of the commit that brought a state over, so it cannot lie; and a release that has begun to bring
/// states over can always bring over the rest. Of a set all are live or none: all where one is, or has brought states
/// over, even where others had gone back before the host was killed.
pub(super) fn decide(all: &HashMap<String, Record>, schemas: impl Fn(&str) -> Vec<u32>) -> Vec<(String, Ending)> {
    let brought_over: BTreeSet<&str> = all
        .iter()
        .filter(|(service, record)| {
            let next = record.under_way.as_ref().map(|intent| intent.next.schema);
            next.is_some_and(|next| next != record.live.schema && schemas(service).contains(&next))
        })
        .map(|(service, _)| service.as_str())
        .collect();
    // Who says that a set is live: the first by name, so that it is always the same one.
    let live = |set: &SetId| {
        let says = |(service, record): &(&String, &Record)| {
            let cut_off = record.under_way.as_ref().is_some_and(|intent| intent.set.as_ref() == Some(set));
            (cut_off && brought_over.contains(service.as_str()))
                || record.history.iter().any(|ended| ended.live && ended.set.as_ref() == Some(set))
        };
        all.iter().filter(says).map(|(service, _)| service.clone()).min()
    };
    let mut endings: Vec<(bool, String, Ending)> = all
        .iter()
        .filter_map(|(service, record)| {
            let (set, ending) = match (&record.under_way, record.history.last()) {
                (Some(intent), _) => {
                    let set = intent.set.as_ref();
                    let ending = if brought_over.contains(service.as_str()) {
                        Ending::BroughtOver
                    } else {
                        set.and_then(live).map_or(Ending::RolledBack, Ending::With)
                    };
                    (set, ending)
                }
                (None, Some(Ended { live: false, set: Some(set), .. })) => (Some(set), Ending::With(live(set)?)),
                (None, _) => return None,
            };
            let decides = set.is_some_and(|set| set.first == *service);
            Some((!decides, service.clone(), ending))
        })
        .collect();
    endings.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    endings.into_iter().map(|(_, service, ending)| (service, ending)).collect()
}
