//! Whether a new release does as well as the old one beside it. Pure.
//!
//! Invariant: no single turn decides. One that failed, or one that was slow, is never enough for the old release to
//! come back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bad_choice::BadChoice;
use super::json::{milliseconds, percent};
use super::seen::Seen;
use super::setback::Setback;

/// What the new release of a canary, of a shadow, or of a rolling deployment that compares, has to show before it, or
/// more of it, is let in.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Gate, NoTraffic};
///
/// let mut gate = Gate::default();
/// gate.samples = 100;
/// gate.no_traffic = NoTraffic::Back;
/// assert_eq!("back".parse(), Ok(gate.no_traffic));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Gate {
    /// How long each step lasts at least; default 10 s. A rolling deployment has its own. In milliseconds in JSON.
    #[serde(rename = "bake_ms", with = "milliseconds")]
    pub bake: Duration,
    /// How many turns each of the two releases must have been seen over in each step; default 100.
    pub samples: u64,
    /// How long a step waits for them; default 10 min. Then it is as `no_traffic` says. In milliseconds in JSON.
    #[serde(rename = "patience_ms", with = "milliseconds")]
    pub patience: Duration,
    /// What becomes of a step that has waited for so long; default [`NoTraffic::Hold`].
    pub no_traffic: NoTraffic,
    /// By how much the share of the new release's turns that fail may be larger than that of the old one's; default
    /// 0.01. One failed turn alone decides nothing: where it is more than that share, the step waits for more turns.
    /// In percent in JSON.
    #[serde(with = "percent")]
    pub errors: f64,
    /// How many times as long as the old one's the new release's turns may take, at the 95th percentile; default 1.5.
    /// One millisecond more is always allowed: below that the machine's noise decides. Not looked at where one of the
    /// two is compiled by the baseline compiler, nor over fewer than 20 turns.
    pub latency: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            bake: Duration::from_secs(10),
            samples: 100,
            patience: Duration::from_secs(600),
            no_traffic: NoTraffic::default(),
            errors: 0.01,
            latency: 1.5,
        }
    }
}

/// What becomes of a step that has seen too few turns when its patience ends.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{DeployOptions, NoTraffic};
///
/// // At night nobody asks for anything: then the release before is to serve.
/// let mut options = DeployOptions::default();
/// options.gate.no_traffic = NoTraffic::Back;
/// assert_eq!("back".parse(), Ok(NoTraffic::Back));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoTraffic {
    /// It goes on to the next step.
    Promote,
    /// It waits until there were enough, or somebody cancels it.
    #[default]
    Hold,
    /// The old release comes back.
    Back,
}

impl std::str::FromStr for NoTraffic {
    type Err = BadChoice;

    fn from_str(word: &str) -> Result<Self, BadChoice> {
        match word {
            "promote" => Ok(Self::Promote),
            "hold" => Ok(Self::Hold),
            "back" => Ok(Self::Back),
            other => Err(BadChoice::NoTraffic(other.to_owned())),
        }
    }
}

/// What is always allowed beyond the factor.
const SLACK: Duration = Duration::from_millis(1);
/// Of fewer turns the slowest one alone is the 95th percentile.
const TIMED: u64 = 20;

/// How a shadow does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differs {
    /// No more than it may.
    Tolerated,
    /// More than it may, over few messages: more of them may make less of it.
    SoFar,
    TooMuch,
}

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too little is known.
    Unknown,
    Passed,
    Failed(Setback),
}

impl Gate {
    /// Compares two releases.
    pub(crate) fn verdict(&self, old: Seen, new: Seen) -> Verdict {
        // The old one handled what the new one crashed over: however little it did besides, they are compared.
        if new.outdone > 1 && new.share(new.outdone, self.samples) > self.errors {
            return Verdict::Failed(Setback::Failing { old, new });
        }
        // More have failed than may of as many as are asked for: there is no need to wait for those.
        if old.turns >= self.samples && self.fails(old, new, self.samples) {
            return Verdict::Failed(Setback::Failing { old, new });
        }
        if new.turns < self.samples || old.turns < self.samples || self.exceeds(old, new, 0) {
            return Verdict::Unknown;
        }
        let timed = self.latency.is_finite() && old.turns >= TIMED && new.turns >= TIMED;
        if timed && new.p95 > old.p95.mul_f64(self.latency.clamp(0.0, 1e6)) + SLACK {
            return Verdict::Failed(Setback::Slow { old, new });
        }
        Verdict::Passed
    }

    /// What a shadow shows that differs over so many of so many messages, where this share of them is tolerated.
    #[allow(clippy::cast_precision_loss, reason = "a share of counts")]
    pub(crate) fn differs(&self, tolerate: f64, differing: u64, compared: u64) -> Differs {
        let beyond = |of: u64| differing as f64 > tolerate * of.max(1) as f64;
        // Where nothing is tolerated, they are to be the same: the first difference says that they are not.
        let is_enough = if tolerate > 0.0 { differing > 1 } else { differing > 0 };
        match () {
            // More than may be of as many as are asked for: there is no need to wait for those.
            () if is_enough && beyond(compared.max(self.samples)) => Differs::TooMuch,
            () if beyond(compared) => Differs::SoFar,
            () => Differs::Tolerated,
        }
    }

    /// Whether what there was, however little, is reason enough to go back.
    pub(crate) fn is_worse(&self, old: Seen, new: Seen) -> Verdict {
        match self.fails(old, new, 0) {
            true => Verdict::Failed(Setback::Failing { old, new }),
            false => Verdict::Passed,
        }
    }

    /// What is said where more turns are not waited for, and too few are there: the failures that there were count all
    /// the same.
    pub(crate) fn last_word(&self, old: Seen, new: Seen) -> Verdict {
        if self.fails(old, new, 0) {
            return Verdict::Failed(Setback::Failing { old, new });
        }
        match self.no_traffic {
            NoTraffic::Promote => Verdict::Passed,
            NoTraffic::Hold => Verdict::Unknown,
            NoTraffic::Back => Verdict::Failed(Setback::TooFew { patience: self.patience }),
        }
    }

    /// How many turns of the new release have to have failed before there may be another verdict; no sooner than there
    /// are an eighth more than now, so that who waits for more turns of the old one is not told of each.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count that is a share of another one, and what is too large is the largest"
    )]
    pub(crate) fn failures_to_come(&self, old: Seen, new: Seen) -> u64 {
        let of = new.turns.max(self.samples).max(1) as f64;
        let beyond = ((old.failing(0) + self.errors) * of).floor() as u64;
        beyond.saturating_add(1).max(2).max(new.failed.saturating_add((new.failed / 8).max(1)))
    }

    fn fails(&self, old: Seen, new: Seen, of: u64) -> bool {
        new.failed > 1 && self.exceeds(old, new, of)
    }

    fn exceeds(&self, old: Seen, new: Seen, of: u64) -> bool {
        new.failing(of) > old.failing(0) + self.errors
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Differs, Gate, NoTraffic, Seen, Setback, TIMED, Verdict};

    fn seen(turns: u64, failed: u64, p95_ms: u64) -> Seen {
        Seen { turns, failed, outdone: 0, p95: Duration::from_millis(p95_ms) }
    }

    fn outdone(turns: u64, outdone: u64) -> Seen {
        Seen { outdone, ..seen(turns, outdone, 5) }
    }

    fn said(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Unknown => "unknown",
            Verdict::Passed => "passed",
            Verdict::Failed(Setback::Failing { .. }) => "failing",
            Verdict::Failed(Setback::Slow { .. }) => "slow",
            Verdict::Failed(Setback::TooFew { .. }) => "too few",
            Verdict::Failed(_) => "something else",
        }
    }

    #[test]
    fn a_gate_compares() {
        let gate = Gate { samples: 100, errors: 0.01, latency: 2.0, ..Gate::default() };
        let cases = [
            ("too few of the new", seen(1_000, 0, 5), seen(99, 1, 500), "unknown"),
            ("too few of the old", seen(99, 0, 5), seen(100, 0, 5), "unknown"),
            ("as good", seen(1_000, 10, 5), seen(100, 1, 5), "passed"),
            ("within the margin", seen(1_000, 0, 5), seen(100, 1, 5), "passed"),
            ("beyond the margin", seen(1_000, 0, 5), seen(100, 2, 5), "failing"),
            ("beyond the margin of all that it is to show", seen(1_000, 0, 5), seen(3, 2, 5), "failing"),
            ("the same, and nothing to compare it with", seen(99, 0, 5), seen(3, 2, 5), "unknown"),
            ("outdone once, which is no verdict", seen(0, 0, 5), outdone(3, 1), "unknown"),
            ("outdone, and the old one did nothing else", seen(0, 0, 5), outdone(3, 2), "failing"),
            ("outdone within the margin", seen(1_000, 0, 5), outdone(1_000, 9), "passed"),
            ("no worse than the old, which is bad", seen(1_000, 500, 5), seen(100, 50, 5), "passed"),
            ("twice as slow and the slack", seen(1_000, 0, 5), seen(100, 0, 11), "passed"),
            ("slower than that", seen(1_000, 0, 5), seen(100, 0, 12), "slow"),
            ("noise", seen(1_000, 0, 0), seen(100, 0, 1), "passed"),
        ];
        for (name, old, new, expected) in cases {
            assert_eq!(said(&gate.verdict(old, new)), expected, "{name}");
        }
    }

    #[test]
    fn what_comes_of_too_few_turns_is_a_policy_and_not_a_pardon() {
        let cases = [("promote", "passed"), ("hold", "unknown"), ("back", "too few")];
        for (word, expected) in cases {
            let no_traffic = word.parse().unwrap_or_default();
            assert_eq!(serde_json::to_value(no_traffic).ok(), Some(word.into()));
            let gate = Gate { no_traffic, ..Gate::default() };
            assert_eq!(said(&gate.last_word(seen(0, 0, 0), seen(0, 0, 0))), expected, "{word}");
            assert_eq!(said(&gate.last_word(seen(50, 0, 0), seen(5, 1, 0))), expected, "{word}, one failed");
            assert_eq!(said(&gate.last_word(seen(50, 0, 0), seen(5, 2, 0))), "failing", "{word}, two failed");
        }
        assert!("wait".parse::<NoTraffic>().is_err());
    }

    #[test]
    fn a_shadow_may_differ_over_a_share_of_the_messages_however_many_there_are() {
        let gate = Gate { samples: 100, ..Gate::default() };
        let cases = [
            ("the same", 0.0, 0, 1_000_000, Differs::Tolerated),
            ("nothing is tolerated", 0.0, 1, 1_000_000, Differs::TooMuch),
            ("one is no verdict", 0.001, 1, 10, Differs::SoFar),
            ("nor where enough were compared", 0.001, 1, 100, Differs::SoFar),
            ("one of enough", 0.001, 1, 1_000, Differs::Tolerated),
            ("within the share of those asked for", 0.02, 2, 10, Differs::SoFar),
            ("beyond it", 0.02, 3, 10, Differs::TooMuch),
            ("a count alone does not overrun", 0.02, 20_000, 1_000_000, Differs::Tolerated),
            ("nor is it thinned out", 0.02, 20_001, 1_000_000, Differs::TooMuch),
            ("all is tolerated", 1.0, 50, 50, Differs::Tolerated),
            ("nothing compared", 0.5, 0, 0, Differs::Tolerated),
        ];
        for (name, tolerate, differing, compared, expected) in cases {
            assert_eq!(gate.differs(tolerate, differing, compared), expected, "{name}");
        }
    }

    #[test]
    fn who_judges_is_told_when_another_verdict_is_possible() {
        let gate = Gate { samples: 100, errors: 0.05, ..Gate::default() };
        for (old, new) in
            [(seen(200, 0, 0), seen(50, 3, 0)), (seen(200, 20, 0), seen(300, 2, 0)), (seen(0, 0, 0), seen(0, 0, 0))]
        {
            let at = gate.failures_to_come(old, new);
            assert!(at > new.failed, "{old:?}, {new:?}: {at}");
            let before = Seen { failed: at - 1, ..new };
            assert_ne!(said(&gate.verdict(old, before)), "failing", "{old:?}, {new:?}: {at} is too late");
        }
        // What nobody can exceed is never told, and never too large to count.
        let bears_all = Gate { errors: f64::INFINITY, ..gate };
        assert_eq!(bears_all.failures_to_come(seen(1, 0, 0), seen(1, 0, 0)), u64::MAX);
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        (0_u64..300, 0_u64..300, 0_u64..50).prop_map(|(turns, failed, p95)| seen(turns, failed.min(turns), p95))
    }

    proptest! {
        #[test]
        fn one_turn_alone_never_brings_the_old_release_back(
            old in any_seen(), new in any_seen(), samples in 0_u64..200, errors in 0.0..1.0
        ) {
            let gate = Gate { samples, errors, latency: 1.0, ..Gate::default() };
            let failing = |seen: Seen| {
                [gate.verdict(old, seen), gate.last_word(old, seen)].iter().any(|verdict| said(verdict) == "failing")
            };
            // One that failed: whatever there was besides.
            let one_failed = Seen { failed: new.failed.min(1), ..new };
            prop_assert!(!failing(one_failed));
            // One that was slow is not what the 95th percentile of so many is.
            if said(&gate.verdict(old, new)) == "slow" {
                prop_assert!(old.turns.min(new.turns) >= TIMED);
            }
        }

        #[test]
        fn who_does_as_the_old_one_does_is_let_in_where_enough_was_seen(seen in any_seen(), samples in 0_u64..200) {
            let gate = Gate { samples, errors: 0.0, latency: 1.0, ..Gate::default() };
            let expected = if seen.turns < samples { "unknown" } else { "passed" };
            prop_assert_eq!(said(&gate.verdict(seen, seen)), expected);
        }

        #[test]
        fn another_failure_makes_nothing_better(old in any_seen(), new in any_seen(), samples in 0_u64..200) {
            let gate = Gate { samples, latency: f64::INFINITY, ..Gate::default() };
            let rank = |seen: Seen| match said(&gate.verdict(old, seen)) {
                "passed" => 0,
                "unknown" => 1,
                _ => 2,
            };
            if new.failed < new.turns {
                let worse = Seen { failed: new.failed + 1, ..new };
                prop_assert!(rank(worse) >= rank(new));
            }
        }
    }
}
