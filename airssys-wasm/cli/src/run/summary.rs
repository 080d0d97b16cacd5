//! What happened, at the end of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use airssys_wasm::command::Actors;
use airssys_wasm::hint::Coded;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, ServiceStatus};
use serde::Serialize;

use super::answer::Tally;
use crate::output;

/// What happened.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    mesh: String,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Fed>,
    dead_letters: DeadLetters,
    services: Vec<Service>,
    stop: Stop,
}

#[derive(Debug, Serialize)]
struct Fed {
    #[serde(flatten)]
    tally: Tally,
    lines_per_second: f64,
}

#[derive(Debug, Serialize)]
struct DeadLetters {
    total: u64,
    /// Of those that are kept.
    by_reason: BTreeMap<&'static str, u64>,
    not_kept: u64,
}

#[derive(Debug, Serialize)]
struct Service {
    #[serde(flatten)]
    status: ServiceStatus,
    /// None for a keyed service, whose actors come and go.
    restarts: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Stop {
    seconds: f64,
    killed: Vec<String>,
    unresponsive: Vec<String>,
}

impl Summary {
    /// To be made when the tree has stopped.
    pub(super) fn new(
        topology: &Topology,
        runtime: &Runtime,
        tally: Option<&Tally>,
        took: Duration,
        stopped: &airssys_wasm::ShutdownReport,
    ) -> Self {
        let (total, letters) = runtime.dead_letters();
        let mut by_reason = BTreeMap::new();
        for letter in &letters {
            *by_reason.entry(letter.reason.code()).or_default() += 1;
        }
        let seconds = took.as_secs_f64();
        Self {
            mesh: topology.name().to_owned(),
            seconds,
            input: tally.map(|tally| Fed {
                lines_per_second: if seconds > 0.0 { tally.lines as f64 / seconds } else { 0.0 },
                tally: tally.clone(),
            }),
            dead_letters: DeadLetters { total, by_reason, not_kept: total.saturating_sub(letters.len() as u64) },
            services: runtime.services().into_iter().map(|status| service(topology, status)).collect(),
            stop: Stop {
                seconds: stopped.took.as_secs_f64(),
                killed: stopped.killed.clone(),
                unresponsive: stopped.unresponsive.clone(),
            },
        }
    }

    /// As text for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("\n{}: ", self.mesh);
        if let Some(fed) = &self.input {
            let Tally { lines, answered, faults, errors } = &fed.tally;
            text.push_str(&format!("{lines} lines in {:.3} s, {:.0} a second\n", self.seconds, fed.lines_per_second));
            text.push_str(&format!("  answered      {answered}\n"));
            text.push_str(&counted("faults", faults));
            text.push_str(&counted("errors", errors));
        } else {
            text.push_str(&format!("{:.3} s\n", self.seconds));
        }
        let dead = &self.dead_letters;
        text.push_str(&counted("dead letters", &dead.by_reason));
        if dead.not_kept > 0 {
            text.push_str(&format!("                and {} older ones, not kept\n", dead.not_kept));
        }
        let head = ["service", "handled", "faulted", "crashed", "restarts", "denied", "rejected"];
        let rows: Vec<Vec<String>> =
            std::iter::once(head.map(str::to_owned).to_vec()).chain(self.services.iter().map(Service::row)).collect();
        text.push_str(&output::table(&rows));
        text.push_str(&format!("stopped in {:.3} s\n", self.stop.seconds));
        text
    }
}

fn counted(what: &str, counts: &BTreeMap<&'static str, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    format!("  {what:<14}{total}{each}\n")
}

fn service(topology: &Topology, status: ServiceStatus) -> Service {
    let declared = topology.declared().into_iter().find(|service| service.name == status.service);
    let first = declared.and_then(|service| match service.actors {
        Actors::One => Some(1),
        Actors::Stateless(actors) | Actors::Partitioned(actors) => Some(actors as u64),
        _ => None,
    });
    Service { restarts: first.map(|first| status.started.saturating_sub(first)), status }
}

impl Service {
    fn row(&self) -> Vec<String> {
        let status = &self.status;
        let restarts = self.restarts.map_or_else(|| "-".to_owned(), |restarts| restarts.to_string());
        let number = |count: u64| count.to_string();
        vec![
            status.service.clone(),
            number(status.handled),
            number(status.faulted),
            number(status.crashed),
            restarts,
            number(status.denied),
            number(status.rejected),
        ]
    }
}
