//! What a deployment would change, for people.

use airssys_wasm::command::{CapabilityRequest, Changes, Granted, MemoryFate, Party, Plan, StateFate, Ungranted};

use crate::explain::note_lines;

/// A block of lines for each kind of change; what does not change is left out, but for the memory.
pub(crate) fn text(plan: &Plan) -> String {
    let releases = format!("{}: {} -> {}", plan.service, party(&plan.from), party(&plan.to));
    let mut text = super::printable(&releases) + "\n";
    block(&mut text, "exports", changes(&plan.exports));
    block(&mut text, "imports", changes(&plan.imports));
    let added = plan.requests_added.iter().map(|asked| {
        let granted = match asked.granted {
            Some(Granted::All) => "granted",
            Some(Granted::Part) => "granted in part",
            Some(Granted::Nothing) | None => "not granted",
        };
        format!("+ {}: {granted}", capability(asked))
    });
    let removed = plan.requests_removed.iter().map(|gone| format!("- {}", capability(gone)));
    block(&mut text, "requests", added.chain(removed).collect());
    let settings = plan.settings.iter().map(|of| format!("~ {}: {} becomes {}", of.name, of.from, of.to));
    block(&mut text, "grants", plan.ungranted.iter().flat_map(ungranted).collect());
    block(&mut text, "settings", settings.collect());
    let schema = plan.state_schema;
    let state = match schema.state {
        StateFate::Kept => None,
        StateFate::Migrated => Some("the release migrates it"),
        StateFate::MigratedByKey => {
            Some("the release migrates it key by key, those that are awake now and the others when they wake")
        }
        StateFate::Unreadable => Some("it has no `migrate`, and does not start where something is stored"),
    };
    let state = state.map(|what| format!("~ schema {} becomes {}: {what}", schema.from, schema.to));
    block(&mut text, "state", state.into_iter().collect());
    let memory = match plan.memory {
        MemoryFate::HandedOver => "is handed over",
        MemoryFate::StartsAnew => "starts anew",
        MemoryFate::Cache => "is a cache, and starts anew",
    };
    block(&mut text, "memory", vec![memory.to_owned()]);
    let reached = plan.reached_by.iter().map(|reach| format!("{}: {}", reach.service, reach.by.join(", ")));
    block(&mut text, "users", reached.collect());
    // What to do about it is told with the error.
    let refusals = plan.refusals.iter().map(|refusal| format!("{}: {}", refusal.code, refusal.message));
    block(&mut text, "refused", refusals.collect());
    text
}

/// What would be denied, and the line of the topology that grants it.
pub(crate) fn ungranted(found: &Ungranted) -> Vec<String> {
    let each = found.requests.iter().map(|one| {
        let part = if one.granted == Some(Granted::Part) { ", granted in part" } else { "" };
        format!("{}{part}", capability(one))
    });
    let head = format!("{} asks for more than is granted; each use of it is denied:", found.release);
    let mut lines: Vec<String> = std::iter::once(head).chain(each).collect();
    lines.push(format!("to grant it, in the topology under {}: {}", found.service, found.line));
    lines
}

/// The same as a note of its own.
pub(crate) fn tell_ungranted(found: &Ungranted) {
    let lines: Vec<String> = ungranted(found).iter().map(|line| super::printable(line)).collect();
    note_lines(&format!("{}: {}", found.service, lines.join("\n  ")));
}

fn party(party: &Party) -> String {
    let digest = party.digest.get(..12).unwrap_or(&party.digest);
    match &party.version {
        Some(version) => format!("{} {version} ({digest})", party.name),
        None => format!("{} ({digest})", party.name),
    }
}

fn capability(capability: &CapabilityRequest) -> String {
    format!("{} {}", capability.kind, capability.target)
}

fn changes(changes: &Changes) -> Vec<String> {
    let added = changes.added.iter().map(|item| format!("+ {item}"));
    let removed = changes.removed.iter().map(|item| format!("- {item}"));
    let changed = changes.changed.iter().map(|change| format!("~ {}: {}", change.item, change.difference));
    added.chain(removed).chain(changed).collect()
}

fn block(text: &mut String, name: &str, lines: Vec<String>) {
    for (at, line) in lines.iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        text.push_str(&format!("  {name:<9} {}\n", super::printable(line)));
    }
}
