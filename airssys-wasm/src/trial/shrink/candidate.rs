//! A shorter run, and whether it fails in the same way.

use std::collections::HashSet;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::super::file::Plan;
use super::super::{Tried, run};
use crate::seeded::Choices;
use crate::topology::Topology;

/// What did not hold, without the values that may be others next time.
pub(super) fn rule(broken: &str) -> String {
    if broken.starts_with("invariant") {
        let found = found(broken);
        return format!("invariant: {}", &found[..found.find(" is ").unwrap_or(found.len())]);
    }
    if broken.starts_with("check") {
        let end = [" is ", " has no answer"].iter().filter_map(|word| broken.find(word)).min();
        let kind = if broken.contains(" has no answer") { " has no answer" } else { "" };
        return format!("{}{kind}", &broken[..end.unwrap_or(broken.len())]);
    }
    let mut rule = String::new();
    for part in found(broken).split(|one: char| one.is_ascii_digit()).filter(|part| !part.is_empty()) {
        rule.push_str(part);
        rule.push('#');
    }
    rule
}

/// What was found of what did not hold: without the step after which it was, which is another one in another run.
fn found(broken: &str) -> &str {
    match broken.starts_with("invariant") || broken.starts_with("judge ") {
        true => broken.split_once("): ").map_or(broken, |(_, found)| found),
        false => broken,
    }
}

/// A failing run, as it is written and as it went.
#[derive(Clone)]
pub(super) struct Failing {
    pub(super) plan: Plan,
    pub(super) choices: Choices,
    pub(super) tried: Tried,
}

/// What a candidate has that is not the same in the run which it comes from.
pub(super) struct Candidate {
    pub(super) plan: Plan,
    /// When its faults and pauses are due; none where they are by number alone.
    pub(super) due: Option<Choices>,
}

impl Candidate {
    /// What it is, to be known again.
    pub(super) fn mark(&self) -> u64 {
        let Plan { faults, kills, pauses, jitter, .. } = &self.plan;
        let said = said(&self.plan);
        xxh3_64(format!("{said} {faults:?} {kills:?} {pauses:?} {jitter} {:?}", self.due).as_bytes())
    }
}

/// What the text of a check ends with that is compared with what is written.
const WANTED: &str = " was wanted";

/// What is said and done in a plan where nothing goes wrong, to be known again.
pub(super) fn said(plan: &Plan) -> u64 {
    let acts: Vec<_> = plan.acts.iter().map(|act| (act.number, &act.at)).collect();
    xxh3_64(format!("{:?} {acts:?}", plan.workloads).as_bytes())
}

/// Runs candidates, and looks whether they fail as the first run did.
pub(super) struct Judge<'a> {
    pub(super) topology: &'a Topology,
    pub(super) cache: Option<&'a Path>,
    pub(super) seed: u64,
    /// What did not hold.
    pub(super) broken: String,
    /// Whether that holds where all the same is said and nothing goes wrong. A candidate has to keep to that: what
    /// fails by itself, since something that has to be said is left out, says nothing of the run.
    pub(super) holds_in_peace: bool,
    /// What is said and done in the shortest plan so far.
    pub(super) said: u64,
    /// The candidates that were tried, and do hold.
    pub(super) hold: HashSet<u64>,
}

impl Judge<'_> {
    /// Whether a run fails as the first one did. Where that fails by itself, the values have to be the same.
    fn fails(&self, tried: &Tried) -> bool {
        tried.broken.iter().any(|broken| match self.holds_in_peace {
            true => rule(broken) == rule(&self.broken),
            false => {
                found(broken) == found(&self.broken) || rule(broken) == rule(&self.broken) && !broken.ends_with(WANTED)
            }
        })
    }

    /// Whether what a plan says fails by itself, where nothing goes wrong.
    pub(super) fn fails_in_peace(&self, plan: &Plan) -> bool {
        let peace = Plan { faults: Vec::new(), kills: Vec::new(), pauses: Vec::new(), jitter: false, ..plan.clone() };
        let tried = run::run(&peace, self.topology, &run::seeded(&peace, self.seed), self.cache);
        tried.is_ok_and(|tried| tried.broken.iter().any(|broken| rule(broken) == rule(&self.broken)))
    }

    /// Tries a candidate in each of these manners; how many runs that took, and the first that fails.
    pub(super) fn attempt(&self, manners: &[Candidate]) -> (u64, Option<Failing>) {
        let mut runs = 0;
        let mut before: Option<Choices> = None;
        for candidate in manners.iter().filter(|candidate| !self.hold.contains(&candidate.mark())) {
            let Candidate { plan, due } = candidate;
            let by_number = |choices: &Choices| {
                choices.faults.iter().map(|(_, fault)| fault).eq(&plan.faults)
                    && choices.pauses.iter().map(|(_, pause)| pause).eq(&plan.pauses)
            };
            if before.as_ref().is_some_and(by_number) {
                continue;
            }
            let seeded = match due {
                Some(due) => {
                    let bare = Plan { faults: Vec::new(), pauses: Vec::new(), ..plan.clone() };
                    run::seeded(&bare, self.seed).following(due.clone())
                }
                None => run::seeded(plan, self.seed),
            };
            let seeded = seeded.keep_choices();
            runs += 1;
            // A mesh that does not even start fails in another way.
            let Ok(tried) = run::run(plan, self.topology, &seeded, self.cache) else { continue };
            let choices = seeded.choices();
            if self.fails(&tried) {
                if self.holds_in_peace && said(plan) != self.said {
                    runs += 1;
                    if self.fails_in_peace(plan) {
                        continue;
                    }
                }
                let plan = plan.explicit(self.seed, choices.clone());
                return (runs, Some(Failing { plan, choices, tried }));
            }
            before = Some(choices);
        }
        (runs, None)
    }
}

#[cfg(test)]
mod tests {
    use super::rule;

    #[test]
    fn the_same_rule_may_have_other_values() {
        let check = |found: u64| format!("check: till sold() is {found}, and ledger booked() is 7");
        assert_eq!(rule(&check(5)), rule(&check(60)));
        assert_ne!(rule(&check(5)), rule("check: till sold() has no answer: timed out"));
        assert_ne!(rule(&check(5)), rule("check: till left() is 5, and 6 was wanted"));
        assert_eq!(rule("message 17 was handled twice"), rule("message 4 was handled twice"));
        assert_ne!(rule("message 17 was handled twice"), rule("message 17 was handled late"));
        let invariant = |step: u64, found: u64| {
            format!("invariant, after message {step} at till (0.0{step}): till sold is {found}, and ledger booked is 7")
        };
        assert_eq!(rule(&invariant(17, 5)), rule(&invariant(4, 6)));
        assert_ne!(
            rule(&invariant(17, 5)),
            rule("invariant, after message 17 at till (0.1): till left is 5, and 6 was wanted")
        );
    }
}
