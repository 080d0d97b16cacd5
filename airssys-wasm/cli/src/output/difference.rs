//! What is different between two topologies, for people.

use airssys_wasm::command::{ApplyPlan, ChangeMode, Difference, Fate, Subject};

use super::{count, printable};

/// What would change, and what stays.
pub(crate) fn text(plan: &ApplyPlan) -> String {
    let mut text = match plan.differences.len() {
        0 => format!("{}: nothing to change\n", plan.mesh),
        changes => {
            let untouched = match plan.untouched.len() {
                0 => String::new(),
                untouched => format!("; {} not touched", count(untouched, "service")),
            };
            format!("{}: {}{untouched}\n", plan.mesh, count(changes, "change"))
        }
    };
    text.push_str(&lines(&plan.differences));
    for (service, live) in &plan.deployed {
        let stays = "was deployed and stays, since the topology names the same release as before";
        text.push_str(&format!("  {service}: {} {stays}\n", printable(live)));
    }
    for found in &plan.ungranted {
        for (at, line) in super::plan::ungranted(found).iter().enumerate() {
            let head = if at == 0 { format!("{}: ", found.service) } else { "  ".to_owned() };
            text.push_str(&format!("  {head}{}\n", printable(line)));
        }
    }
    for warning in &plan.warnings {
        text.push_str(&format!("  warning: {}\n", printable(warning)));
    }
    for refusal in &plan.refusals {
        // What to do about it is told with the error.
        text.push_str(&format!("  refused   {}: {}\n", refusal.code, printable(&refusal.message)));
    }
    text
}

/// A line for each supervisor and each service that is not the same, and one for each of its settings.
pub(crate) fn lines(differences: &[Difference]) -> String {
    let mut text = String::new();
    for found in differences {
        let sign = match found.fate {
            Fate::Added => '+',
            Fate::Removed => '-',
            Fate::Changed => '~',
        };
        let subject = match found.subject {
            Subject::Mesh => "mesh",
            Subject::Supervisor => "supervisor",
            Subject::Service => "service",
            Subject::Listener => "listener",
            Subject::Quota => "quota",
            Subject::Log => "log",
            Subject::Layer => "layer",
            Subject::Retry => "retry",
        };
        let way = match found.way {
            ChangeMode::InPlace => ", in place",
            ChangeMode::Deployment => ", by a deployment",
            ChangeMode::Restart => ", stopped and started",
            _ => "",
        };
        let notes = if found.notes.is_empty() { String::new() } else { format!(": {}", found.notes.join("; ")) };
        text.push_str(&format!("  {sign} {subject} {}{way}{}\n", found.name, printable(&notes)));
        for setting in &found.settings {
            let line = format!("{}: {} becomes {}", setting.key, setting.from, setting.to);
            text.push_str(&format!("      {}\n", printable(&line)));
        }
    }
    text
}
