//! What was learned of services, for people: what each did, and the smallest grants for it as a diff of the topology.

mod edit;

use std::collections::BTreeMap;
use std::path::Path;

use airssys_wasm::command::Learned;

use crate::output;

/// What was learned, as text: what is told of each service begins with `#`, and what follows is for `patch`. The diff
/// is of this file, where that can be read and is understood; otherwise each line stands for itself.
pub(crate) fn text(learned: &[Learned], file: &Path) -> String {
    let mut text = String::new();
    for one in learned {
        text.push_str(&told(one));
    }
    let changed: BTreeMap<&str, &str> = learned
        .iter()
        .filter(|one| one.before != one.line)
        .map(|one| (one.service.as_str(), one.line.as_str()))
        .collect();
    if changed.is_empty() {
        text.push_str("# the topology grants just that\n");
        return text;
    }
    let name = file.display().to_string();
    let diff = std::fs::read_to_string(file).ok().and_then(|written| edit::diff(&name, &written, &changed));
    match diff {
        Some(diff) => text.push_str(&diff),
        None => {
            text.push_str(&format!("# {name} is not understood well enough for a diff of it\n"));
            for one in learned.iter().filter(|one| one.before != one.line) {
                text.push_str(&format!("# service {}\n-{}\n+{}\n", one.service, one.before, one.line));
            }
        }
    }
    text
}

fn told(one: &Learned) -> String {
    let Learned { service, grants, operations, let_through, requests, notes, .. } = one;
    let (grants, operations) = (output::count(*grants, "grant"), output::count(*operations, "operation"));
    let mut text = match one.operations {
        0 => format!("# {service}: it did nothing that needs a grant\n"),
        _ => format!("# {service}: {grants} for {operations}, decided again: enough, and none of them too much\n"),
    };
    if !let_through.is_empty() {
        text.push_str(&format!("#   let through: {}\n", let_through.join(", ")));
    }
    if !requests.is_empty() {
        let lines = requests.join("; ");
        text.push_str(&format!("#   not asked for; add under [requests] in its Component.toml: {lines}\n"));
    }
    notes.iter().for_each(|note| text.push_str(&format!("#   {note}\n")));
    text
}
