//! `airssys state verify`: what is damaged in the file of durable states, and a copy of what is not.

use std::path::{Path, PathBuf};

use airssys_wasm::state::durable::{Damage, StateFile, Survey};
use serde::Serialize;

use super::error::StateCommandError;
use super::surveyed;
use crate::explain::note;
use crate::output::{self, printable};

/// What was found.
#[derive(Serialize)]
struct Report {
    /// The file that was looked at.
    file: PathBuf,
    services: usize,
    states: usize,
    values: usize,
    damage: Vec<Damaged>,
    /// The file with what is well, where one was asked for.
    repaired_to: Option<PathBuf>,
}

/// One damage. What cannot be known is not there; `says` is for people.
#[derive(Serialize)]
struct Damaged {
    service: Option<String>,
    actor: Option<String>,
    key: Option<String>,
    says: String,
}

impl Damaged {
    fn of(damage: &Damage) -> Self {
        // What is beside a part that cannot be read is well.
        let spot = damage.spot().filter(|_| !matches!(damage, Damage::Between { .. }));
        Self {
            service: spot.map(|spot| spot.service.clone()),
            actor: spot.map(|spot| spot.actor.clone()),
            key: spot.and_then(|spot| spot.key.clone()),
            says: damage.to_string(),
        }
    }
}

/// Runs it.
pub(super) fn run(data: &Path, repair_to: Option<&Path>, json: bool) -> Result<(), StateCommandError> {
    let survey = surveyed(data)?;
    if let Some(file) = repair_to {
        survey.write_to(file)?;
    }
    let report = report(data, &survey, repair_to);
    if json {
        output::print_json(&report)?
    } else {
        output::print(&text(&report))?
    }
    if let Some(file) = &report.repaired_to {
        note(&format!("what is well is in `{}`; to use it, move it to `{}`", file.display(), report.file.display()));
    }
    if survey.damage.is_empty() {
        return Ok(());
    }
    Err(StateCommandError::Damage { file: report.file, count: survey.damage.len(), copied: repair_to.is_some() })
}

fn report(data: &Path, survey: &Survey, repair_to: Option<&Path>) -> Report {
    let states = || survey.states.values().flat_map(|states| states.values());
    Report {
        file: StateFile::path(data),
        services: survey.states.len(),
        states: states().count(),
        values: states().map(|kept| kept.values.len()).sum(),
        damage: survey.damage.iter().map(Damaged::of).collect(),
        repaired_to: repair_to.map(Path::to_owned),
    }
}

/// For people.
fn text(report: &Report) -> String {
    let mut text: String =
        report.damage.iter().map(|damage| format!("damaged: {}\n", printable(&damage.says))).collect();
    text.push_str(&format!(
        "{} of {} and {} can be read\n",
        output::count(report.values, "value"),
        output::count(report.states, "state"),
        output::count(report.services, "service"),
    ));
    if report.damage.is_empty() {
        text.push_str("all of it is as it was written\n");
    }
    text.trim_end().to_owned()
}
