//! What came of the runs, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use airssys_wasm::trial::{Explored, Shrunk};

use crate::output;

/// The most pairs that are told one by one.
const MOST_MISSED: usize = 5;
/// What comes in each run.
const USUAL: [&str; 2] = ["started", "ended: shutdown"];
/// What faults begin with, which are told apart.
const MADE: [&str; 9] = ["crash ", "hang", "memory", "full", "drop", "double", "late", "disk-", "kill"];

pub(super) fn of(explored: &Explored, took: Duration, shrunk: Option<&Shrunk>, replay: Option<&str>) -> String {
    let Explored { runs, turns, faults, acts, digest, failure, .. } = explored;
    let seconds = took.as_secs_f64().max(0.001);
    let rate = (*turns as f64 / seconds) as u64;
    let injected: u64 = faults.values().sum();
    let mut text = format!(
        "{}, {}, {rate} turns a second, {}",
        count(*runs, "run"),
        count(*turns, "turn"),
        count(injected, "fault")
    );
    for (fault, times) in faults {
        text.push_str(&format!("\n  {times} x {fault}"));
    }
    for (act, times) in acts {
        text.push_str(&format!("\n  {times} x {act}"));
    }
    text.push_str(&places(explored));
    let Some(failure) = failure else {
        text.push_str(&format!("\nall that has to hold did; the digest is {digest}"));
        return text;
    };
    let forced = if failure.forced.is_empty() { "" } else { ", with a fault that was forced," };
    text.push_str(&format!("\nseed {}{forced} does not hold, with the digest {}:", failure.seed, failure.digest));
    for broken in &failure.broken {
        text.push_str(&format!("\n  {broken}"));
    }
    if let Some(Shrunk { from, to, runs, is_cut_short, tried, .. }) = shrunk {
        let more = if *is_cut_short { "; more time may leave less" } else { "" };
        let runs = count(*runs, "run");
        text.push_str(&format!("\nshrunk from {from} to {to}, in {runs}{more}, with the digest {}:", tried.digest));
        for broken in &tried.broken {
            text.push_str(&format!("\n  {broken}"));
        }
    }
    if let Some(replay) = replay {
        text.push_str(&format!("\nthis test file runs it again:\n\n{}", replay.trim_end()));
    }
    text
}

/// Where faults came, and what else was decided there.
fn places(Explored { pairs, missed, reached, .. }: &Explored) -> String {
    let mut text = String::new();
    if *pairs > 0 {
        let came = pairs.saturating_sub(missed.len());
        let word = if *pairs == 1 { "pair" } else { "pairs" };
        text.push_str(&format!("\n{came} of {pairs} {word} of fault and service came"));
        if !missed.is_empty() {
            let never: Vec<String> = missed.iter().take(MOST_MISSED).map(ToString::to_string).collect();
            let more = missed.len().saturating_sub(MOST_MISSED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push_str(&format!("; never {}{more}", never.join(", ")));
        }
    }
    let mut decided: BTreeMap<&str, usize> = BTreeMap::new();
    for one in
        reached.iter().filter(|one| !USUAL.contains(&&*one.what) && !MADE.iter().any(|made| one.what.starts_with(made)))
    {
        *decided.entry(&one.what).or_default() += 1;
    }
    if !decided.is_empty() {
        let told: Vec<String> =
            decided.iter().map(|(what, places)| format!("{what} ({})", output::count(*places, "place"))).collect();
        text.push_str(&format!("\nwhat came of it: {}", told.join(", ")));
    }
    text
}

pub(super) fn count(number: u64, of: &str) -> String {
    output::count(usize::try_from(number).unwrap_or(usize::MAX), of)
}
