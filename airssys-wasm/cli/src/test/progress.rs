//! A line that says how far it is, where somebody looks at it.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Instant;

use airssys_wasm::seeded::Reached;
use airssys_wasm::trial::{self, Tried};
use indicatif::{ProgressBar, ProgressStyle};

/// That line.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    turns: u64,
    faults: u64,
    places: BTreeSet<Reached>,
}

impl Progress {
    /// With so many runs; none where nobody knows how many there will be.
    pub(super) fn new(quiet: bool, runs: Option<u64>) -> Self {
        let shows = !quiet && std::io::stderr().is_terminal();
        let bar = || match runs {
            Some(runs) => styled(ProgressBar::new(runs), "{bar:24} {pos}/{len} {msg}"),
            None => styled(ProgressBar::new_spinner(), "{spinner} {pos} {msg}"),
        };
        Self { bar: shows.then(bar), begun: Instant::now(), turns: 0, faults: 0, places: BTreeSet::new() }
    }

    /// A run is over.
    pub(super) fn over(&mut self, tried: &Tried) {
        let Some(bar) = &self.bar else { return };
        self.turns += tried.turns;
        self.faults += tried.faults.values().sum::<u64>();
        self.places.extend(tried.reached.iter().cloned());
        let rate = (self.turns as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64;
        let (faults, places) = (self.faults, self.places.len());
        bar.set_message(format!("runs, {rate} turns a second, {faults} faults, {places} places"));
        bar.inc(1);
    }

    /// The failure became shorter.
    pub(super) fn shorter(&self, trial::Progress { runs, size, .. }: &trial::Progress) {
        if let Some(bar) = &self.bar {
            bar.set_position(*runs);
            bar.set_message(format!("runs: it fails with {size}"));
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // It is a constant, and a good one.
    ProgressStyle::with_template(template).map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
