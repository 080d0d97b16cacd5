//! What came of the runs, for programs that read what JUnit writes.

use std::path::Path;
use std::time::Duration;

use airssys_wasm::trial::Explored;

use super::markup::escaped;

/// One test: that all runs hold.
pub(super) fn of(file: &Path, explored: &Explored, took: Duration, replay: Option<&str>) -> String {
    let Explored { runs, guided, turns, pairs, missed, digest, failure, .. } = explored;
    let (name, seconds) = (escaped(&file.display().to_string()), took.as_secs_f64());
    let failures = u8::from(failure.is_some());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"1\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">\n  \
         <testsuite name=\"airssys test\" tests=\"1\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">\n    <properties>\n"
    );
    let faults: u64 = explored.faults.values().sum();
    let covered = pairs.saturating_sub(missed.len());
    let properties = [
        ("runs", runs.to_string()),
        ("guided", guided.to_string()),
        ("turns", turns.to_string()),
        ("faults", faults.to_string()),
        ("places", format!("{covered} of {pairs}")),
        ("digest", digest.clone()),
    ];
    for (key, value) in properties {
        text.push_str(&format!("      <property name=\"{key}\" value=\"{}\"/>\n", escaped(&value)));
    }
    text.push_str("    </properties>\n");
    text.push_str(&format!("    <testcase classname=\"airssys\" name=\"{name}\" time=\"{seconds:.3}\""));
    match failure {
        None => text.push_str("/>\n"),
        Some(failed) => {
            let first = failed.broken.first().map(|broken| escaped(broken)).unwrap_or_default();
            let all = escaped(&failed.broken.join("\n"));
            let seed = failed.seed;
            text.push_str(&format!(
                ">\n      <failure message=\"seed {seed}: {first}\" type=\"broken\">{all}</failure>\n"
            ));
            if let Some(replay) = replay {
                text.push_str(&format!("      <system-out>{}</system-out>\n", escaped(replay)));
            }
            text.push_str("    </testcase>\n");
        }
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}
