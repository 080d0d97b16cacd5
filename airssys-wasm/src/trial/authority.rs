//! What services may do with others by what is written, as naively as can be: beside it, each message, publication,
//! subscription and child is looked at that the host lets through.
//!
//! What is written is the topology, what the releases ask for that may serve, and what the acts of an operator gave and
//! took. It knows nothing of how the host decides: it goes through lines of text. It refuses to judge functions that
//! are called by their own types, which a wire is enough for.
//!
//! Invariant: it never wants less than may be let through. So while acts are under way, what is so before and after
//! each of them both hold. Where several were at a time and one of them has left something behind, it stays so: which
//! of them came last is the host's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::capability::kind::Kind;
use crate::middleware::{Context, Layer, Operation, Verdict};
use crate::registry::Release;
use crate::seeded::Seeded;
use crate::topology::{ServiceNode, Topology};

/// Keys, such as `send`, each with what stands under it.
type Lines = BTreeSet<(&'static str, String)>;

/// What an act changes of it.
#[derive(Debug, Clone)]
pub(super) enum Change<'a> {
    Grant(&'a str, &'a str, &'a str),
    Revoke(&'a str, &'a str, &'a str),
    Release(&'a str, &'a Release),
    /// The release before serves again.
    Back(&'a str),
    All(&'a Topology),
}

/// What one service may do.
#[derive(Debug, Clone, Default)]
struct May {
    grants: Lines,
    /// What each release asks for that may serve it.
    asks: Vec<Lines>,
    /// What the release asks for that serves after a rollback; none where that is not known.
    back: Option<Lines>,
    /// What all ask for that have served it, or may have.
    ever: Vec<Lines>,
}

#[derive(Debug, Default)]
struct State {
    may: BTreeMap<String, May>,
    /// The acts that are under way, by their numbers.
    under_way: BTreeSet<usize>,
    /// How many began since none was under way, and what was so then.
    at_a_time: usize,
    before: BTreeMap<String, May>,
    /// Whether one of them has left something behind.
    is_left: bool,
}

/// What services may do by what is written.
pub(super) struct Authority {
    seeded: Seeded,
    state: Mutex<State>,
}

impl Authority {
    pub(super) fn new(topology: &Topology, seeded: &Seeded) -> Self {
        let state = State { may: all(topology), ..State::default() };
        Self { seeded: seeded.clone(), state: Mutex::new(state) }
    }

    /// An act begins that changes this.
    pub(super) fn begins(&self, number: usize, changes: &[Change<'_>]) {
        let mut state = self.lock();
        if state.under_way.is_empty() {
            state.before = state.may.clone();
            (state.at_a_time, state.is_left) = (0, false);
        }
        state.at_a_time += 1;
        state.under_way.insert(number);
        for change in changes {
            state.widen(change);
        }
    }

    /// It is over, and has left that behind; or all is as it was before.
    pub(super) fn ends(&self, number: usize, changes: &[Change<'_>], is_left: bool) {
        let mut state = self.lock();
        state.under_way.remove(&number);
        state.is_left |= is_left;
        if !state.under_way.is_empty() {
            return;
        }
        if !state.is_left {
            // What ever was asked for is known still.
            let before = std::mem::take(&mut state.before);
            for (service, may) in &mut state.may {
                let May { grants, asks, back, .. } = before.get(service).cloned().unwrap_or_default();
                (may.grants, may.asks, may.back) = (grants, asks, back);
            }
        } else if state.at_a_time == 1 {
            changes.iter().for_each(|change| state.narrow(change));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&mut self, service: &str) -> &mut May {
        self.may.entry(service.to_owned()).or_default()
    }

    fn widen(&mut self, change: &Change<'_>) {
        match change {
            Change::Grant(service, key, target) => self.of(service).grants.extend(line(key, target)),
            Change::Revoke(..) => {}
            Change::Release(service, release) => self.of(service).may_ask(asked(release)),
            Change::Back(service) => {
                let may = self.of(service);
                may.asks.extend(may.ever.iter().cloned());
            }
            Change::All(topology) => {
                for (service, May { grants, asks, .. }) in all(topology) {
                    let may = self.of(&service);
                    may.grants.extend(grants);
                    asks.into_iter().for_each(|asks| may.may_ask(asks));
                }
            }
        }
    }

    fn narrow(&mut self, change: &Change<'_>) {
        match change {
            Change::Grant(..) => {}
            Change::Revoke(service, key, target) => {
                let may = self.of(service);
                may.grants.retain(|granted| Some(granted) != line(key, target).as_ref());
            }
            Change::Release(service, release) => {
                let before = self.before.get(*service).map(|may| may.asks.clone()).unwrap_or_default();
                let may = self.of(service);
                may.asks = vec![asked(release)];
                may.back = if let [one] = &*before { Some(one.clone()) } else { None };
            }
            Change::Back(service) => {
                let before = self.before.get(*service).map(|may| may.asks.clone()).unwrap_or_default();
                let may = self.of(service);
                let Some(back) = may.back.take() else { return };
                may.asks = vec![back];
                may.back = if let [one] = &*before { Some(one.clone()) } else { None };
            }
            Change::All(topology) => {
                for (service, May { grants, asks, .. }) in all(topology) {
                    let may = self.of(&service);
                    (may.grants, may.asks, may.back) = (grants, asks, None);
                }
            }
        }
    }
}

impl May {
    fn may_ask(&mut self, lines: Lines) {
        self.ever.push(lines.clone());
        self.asks.push(lines);
    }

    /// Why it may not do this; none where it may.
    fn no(&self, key: &str, target: &str) -> Option<&'static str> {
        let covers = |(of, what): &(&str, String)| *of == key && covers(what, target);
        match (self.grants.iter().any(covers), self.asks.iter().any(|asks| asks.iter().any(covers))) {
            (true, true) => None,
            (false, _) => Some("is not granted that"),
            (true, false) => Some("has no release that asks for that"),
        }
    }
}

/// All that is written in a topology.
fn all(topology: &Topology) -> BTreeMap<String, May> {
    let of = |node: &ServiceNode| {
        let under = |kind: Kind| node.grants.under(kind).lines().into_iter().map(move |line| (kind.name(), line.what));
        let asks = asked(&node.release);
        May {
            grants: Kind::ALL.into_iter().flat_map(under).collect(),
            asks: vec![asks.clone()],
            back: None,
            ever: vec![asks],
        }
    };
    topology.services().map(|node| (node.address.to_string(), of(node))).collect()
}

fn asked(release: &Release) -> Lines {
    let by_key = release.manifest.requests.by_key().into_iter();
    by_key.flat_map(|(key, lines)| lines.into_iter().map(move |line| (key, line))).collect()
}

/// A line as an operator names it; none of what is no key.
fn line(key: &str, target: &str) -> Option<(&'static str, String)> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == key)?;
    let what = target.split_once(" until ").map_or(target, |(what, _)| what);
    Some((kind.name(), what.to_owned()))
}

/// Whether a line is about this: segment by segment, of which `*` is any, and `**` any more of them.
fn covers(line: &str, target: &str) -> bool {
    fn rest(line: &[&str], target: &[&str]) -> bool {
        match (line, target) {
            ([], []) | (["**"], [_, ..]) => true,
            ([one, line @ ..], [other, target @ ..]) if *one == "*" || one == other => rest(line, target),
            _ => false,
        }
    }
    rest(&line.split('/').collect::<Vec<_>>(), &target.split('/').collect::<Vec<_>>())
}

/// The layer that looks.
pub(super) struct Looks(pub(super) Arc<Authority>);

impl Layer for Looks {
    fn name(&self) -> &'static str {
        "written"
    }

    /// Behind all others: what they turn away does not go on.
    fn priority(&self) -> i32 {
        i32::MIN
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        let Some(sender) = context.sender else { return Verdict::Continue };
        let Some(kind) = Kind::of(context.operation) else { return Verdict::Continue };
        let is_own = context.target == sender.as_str() && kind.is_free_to_oneself();
        if is_own || context.function.is_some() || context.operation == Operation::Invoke {
            return Verdict::Continue;
        }
        let no = self
            .0
            .lock()
            .may
            .get(sender.service())
            .map_or(Some("is not there"), |may| may.no(kind.name(), context.target));
        if let Some(why) = no {
            let (key, target) = (kind.name(), context.target);
            self.0.seeded.breaks(format!("{sender} was let through to {key} {target}, and {why}"));
        }
        Verdict::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_line_is_about_whole_segments() {
        for (line, target, is_so) in [
            ("goal", "goal", true),
            ("goal", "goal/a", false),
            ("*", "goal", true),
            ("cart/*", "cart/a", true),
            ("cart/*", "cart", false),
            ("cart/*", "carts/a", false),
            ("news/**", "news/a/b", true),
            ("news/**", "news", false),
        ] {
            assert_eq!(covers(line, target), is_so, "{line} {target}");
        }
    }
}
