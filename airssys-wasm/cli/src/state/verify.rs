//! `airssys state verify`: what is damaged in the file of durable states, and a copy of what is not; and what is
//! damaged of what was deployed and applied, and of the releases.

use std::path::{Path, PathBuf};

use airssys_wasm::command;
use airssys_wasm::command::{Damage, RecordError, StateFile, Survey};
use airssys_wasm::hint::Coded;
use serde::Serialize;

use super::error::StateCommandError;
use super::surveyed;
use crate::commands::in_one_line;
use crate::explain::note;
use crate::output::{self, Problem, printable};

/// What was found.
#[derive(Serialize)]
struct Report {
    /// The file that was looked at.
    file: PathBuf,
    services: usize,
    states: usize,
    values: usize,
    damage: Vec<Damage>,
    /// What is damaged of what was deployed and applied, and what to do about each.
    records: Vec<String>,
    /// The releases that are damaged, and what to do about each.
    releases: Vec<String>,
    /// The file with what is well, where one was asked for.
    repaired_to: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(data: &Path, repair_to: Option<&Path>, json: bool) -> Result<(), StateCommandError> {
    let (records, releases) = others(data)?;
    let survey = match surveyed(data) {
        // The others are there without any durable state.
        Err(StateCommandError::Nothing { .. }) if repair_to.is_none() && has_others(data) => Survey::default(),
        survey => survey?,
    };
    if let Some(file) = repair_to {
        survey.write_to(file)?;
    }
    let report = report(data, &survey, (records, releases), repair_to);
    if json {
        output::print_json(&report)?
    } else {
        output::print(&text(&report))?
    }
    if let Some(file) = &report.repaired_to {
        note(&format!("what is well is in `{}`; to use it, move it to `{}`", file.display(), report.file.display()));
    }
    if survey.damage.is_empty() {
        return match report.records.len() + report.releases.len() {
            0 => Ok(()),
            count => Err(StateCommandError::OtherDamage { data: data.to_owned(), count }),
        };
    }
    Err(StateCommandError::Damage { file: report.file, count: survey.damage.len(), copied: repair_to.is_some() })
}

/// Folders of the data folder that say what was deployed and applied, here and before, and that have releases.
const OTHERS: [&str; 5] = ["desired", "deployments", "topology", "releases", "kept"];

fn has_others(data: &Path) -> bool {
    OTHERS.iter().any(|folder| data.join(folder).is_dir())
}

/// What is damaged of what was deployed, applied and stopped, and of the releases.
fn others(data: &Path) -> Result<(Vec<String>, Vec<String>), StateCommandError> {
    let damaged = command::damage(data).map_err(Problem::from)?;
    let (releases, records): (Vec<_>, Vec<_>) =
        damaged.into_iter().partition(|error| matches!(error, RecordError::Release(_)));
    let told = |all: Vec<RecordError>| all.iter().map(|error| in_one_line(error, error.hint().as_ref())).collect();
    Ok((told(records), told(releases)))
}

fn report(
    data: &Path,
    survey: &Survey,
    (records, releases): (Vec<String>, Vec<String>),
    repair_to: Option<&Path>,
) -> Report {
    let states = || survey.states.values().flat_map(|states| states.values());
    Report {
        file: StateFile::path(data),
        services: survey.states.len(),
        states: states().count(),
        values: states().map(|kept| kept.values.len()).sum(),
        damage: survey.damage.clone(),
        records,
        releases,
        repaired_to: repair_to.map(Path::to_owned),
    }
}

/// For people.
fn text(report: &Report) -> String {
    let says = report.damage.iter().map(|damage| &damage.says).chain(&report.records).chain(&report.releases);
    let mut text: String = says.map(|says| format!("damaged: {}\n", printable(says))).collect();
    text.push_str(&format!(
        "{} of {} and {} can be read\n",
        output::count(report.values, "value"),
        output::count(report.states, "state"),
        output::count(report.services, "service"),
    ));
    if report.damage.is_empty() && report.records.is_empty() && report.releases.is_empty() {
        text.push_str("all of it is as it was written\n");
    }
    text.trim_end().to_owned()
}
