//! The grants of services in the text of a topology, exchanged for others: lines of the file that go and come, so that
//! all else in it stays as people wrote it.
//!
//! Invariant: what comes out means what the file meant, but for the grants; where that is not so, nothing comes out.

use std::collections::BTreeMap;

use airssys_wasm::topology::Topology;
use toml::{Table, Value};

/// The lines around a change that a diff shows.
const CONTEXT: usize = 3;

/// Lines that go, and those that come in their place.
#[derive(Debug)]
struct Hunk {
    /// The first line that goes, from 0.
    at: usize,
    gone: usize,
    new: Vec<String>,
}

/// A diff of a file, named so, that gives these services these grants, each a line such as `grants = { ... }`. None
/// where the file is written in a way that is not understood here.
pub(super) fn diff(name: &str, text: &str, grants: &BTreeMap<&str, &str>) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut hunks = Vec::new();
    let mut wanted: Table = toml::from_str(text).ok()?;
    for (from, to) in entries(&lines) {
        let entry: Table = toml::from_str(&lines.get(from..to)?.join("\n")).ok()?;
        let (list, all) = entry.iter().next()?;
        let service = all.as_array()?.first()?.as_table()?;
        let Some(named) = declared(list, service) else { continue };
        if let Some(line) = grants.get(named.as_str()) {
            let new = plain(line, service)?;
            set(&mut wanted, list, &named, &new)?;
            hunks.extend(exchanged(&lines, (from, to), &new)?);
        }
    }
    let edited = applied(&lines, &hunks);
    (!hunks.is_empty() && toml::from_str::<Table>(&edited).ok()? == wanted).then(|| shown(name, &lines, &hunks))
}

/// The name of the service that an entry of this list declares, where it declares one.
fn declared(list: &str, entry: &Table) -> Option<String> {
    let of = |key| entry.get(key).and_then(Value::as_str);
    match list {
        "layer" => Some(Topology::name_of_layer(of("name"), of("component")?)),
        _ => of("name").map(str::to_owned),
    }
}

/// Where each `[[service]]` and `[[layer]]` begins, and what comes after it.
fn entries(lines: &[&str]) -> Vec<(usize, usize)> {
    let is_head = |line: &&str| line.trim_start().starts_with("[[");
    let heads: Vec<usize> = (0..lines.len()).filter(|at| lines.get(*at).is_some_and(is_head)).collect();
    let ends = heads.iter().skip(1).copied().chain([lines.len()]);
    let all = heads.iter().copied().zip(ends);
    let declares = |line: &str| line.starts_with("[[service]]") || line.starts_with("[[layer]]");
    all.filter(|(from, _)| lines.get(*from).is_some_and(|line| declares(&line.replace(' ', "")))).collect()
}

/// The grants, with the folders as the file names them.
fn plain(line: &str, service: &Table) -> Option<Table> {
    let mut new: Table = toml::from_str::<Table>(line).ok()?.remove("grants")?.as_table()?.clone();
    let before = service.get("grants").and_then(|grants| grants.get("files"));
    let Some(Value::Table(files)) = new.get_mut("files") else { return Some(new) };
    for (guest, file) in files {
        let (Some(file), Some(before)) = (file.as_table_mut(), before.and_then(|all| all.get(guest)?.as_table()))
        else {
            continue;
        };
        if let Some(host) = before.get("host") {
            file.insert("host".to_owned(), host.clone());
        }
        // What was left out is as it was.
        file.retain(|key, value| before.contains_key(key) || (key == "access" && value.as_str() != Some("read")));
    }
    Some(new)
}

fn set(topology: &mut Table, list: &str, named: &str, grants: &Table) -> Option<()> {
    let services = topology.get_mut(list)?.as_array_mut()?;
    let is_it =
        |service: &&mut Value| service.as_table().and_then(|entry| declared(list, entry)).as_deref() == Some(named);
    let service = services.iter_mut().find(is_it)?.as_table_mut()?;
    match grants.is_empty() {
        true => drop(service.remove("grants")),
        false => drop(service.insert("grants".to_owned(), grants.clone().into())),
    }
    Some(())
}

/// What goes and comes in the lines of one service.
fn exchanged(lines: &[&str], (from, to): (usize, usize), new: &Table) -> Option<Vec<Hunk>> {
    let (mut hunks, mut place, mut at) = (Vec::new(), None, from + 1);
    let mut in_grants = false;
    while at < to {
        let line = lines.get(at)?.trim_start();
        let after = whole(lines, at, to);
        if let Some(head) = line.strip_prefix('[') {
            let head = head.replace(' ', "");
            let of = head.strip_prefix("service.").or_else(|| head.strip_prefix("layer.")).unwrap_or_default();
            in_grants = of.starts_with("grants]") || of.starts_with("grants.");
        }
        let is_key = |key: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
        let is_entry = !in_grants && !line.starts_with('[');
        // A comment stays: it may be about what comes next.
        let is_of_grants = in_grants && !line.is_empty() && !line.starts_with('#');
        if is_of_grants || is_entry && is_key("grants") {
            hunks.push(Hunk { at, gone: after - at, new: Vec::new() });
        } else if is_entry && (is_key("name") || is_key("component")) && place.is_none() {
            place = Some(after);
        }
        at = after;
    }
    if !new.is_empty() {
        let line = format!("grants = {}", Value::from(new.clone()));
        // In the place of the first line that goes, unless that stands under a head of its own.
        let is_inline =
            |hunk: &&mut Hunk| lines.get(hunk.at).is_some_and(|line| line.trim_start().starts_with("grants"));
        match hunks.first_mut().filter(is_inline) {
            Some(first) => first.new.push(line),
            None => hunks.insert(0, Hunk { at: place?, gone: 0, new: vec![line] }),
        }
    }
    Some(hunks)
}

/// The line after the key that begins here: a list may have several.
fn whole(lines: &[&str], at: usize, to: usize) -> usize {
    let is_whole =
        |end: &usize| lines.get(at..*end).is_some_and(|lines| toml::from_str::<Table>(&lines.join("\n")).is_ok());
    (at + 1..=to).find(is_whole).unwrap_or(at + 1)
}

fn applied(lines: &[&str], hunks: &[Hunk]) -> String {
    let mut edited: Vec<&str> = Vec::new();
    let mut at = 0;
    for hunk in hunks {
        edited.extend(lines.get(at..hunk.at).unwrap_or_default());
        edited.extend(hunk.new.iter().map(String::as_str));
        at = hunk.at + hunk.gone;
    }
    edited.extend(lines.get(at..).unwrap_or_default());
    edited.join("\n")
}

/// As a unified diff.
fn shown(name: &str, lines: &[&str], hunks: &[Hunk]) -> String {
    let mut text = format!("--- {name}\n+++ {name}\n");
    let mut moved = 0_isize;
    let mut rest = hunks;
    while let Some(first) = rest.first() {
        let is_near = |pair: &[Hunk]| matches!(pair, [one, other] if other.at <= one.at + one.gone + 2 * CONTEXT);
        let together = 1 + rest.windows(2).take_while(|pair| is_near(pair)).count();
        let (these, later) = rest.split_at(together);
        rest = later;
        let from = first.at.saturating_sub(CONTEXT);
        let to = these.last().map_or(from, |last| (last.at + last.gone + CONTEXT).min(lines.len()));
        let (gone, come): (usize, usize) =
            these.iter().fold((0, 0), |(gone, come), hunk| (gone + hunk.gone, come + hunk.new.len()));
        let came = (from as isize + moved).max(0);
        text.push_str(&format!("@@ -{},{} +{},{} @@\n", from + 1, to - from, came + 1, to - from - gone + come));
        moved += come as isize - gone as isize;
        let mut put =
            |sign: char, lines: &[&str]| lines.iter().for_each(|line| text.push_str(&format!("{sign}{line}\n")));
        let mut at = from;
        for hunk in these {
            put(' ', lines.get(at..hunk.at).unwrap_or_default());
            at = hunk.at + hunk.gone;
            put('-', lines.get(hunk.at..at).unwrap_or_default());
            put('+', &hunk.new.iter().map(String::as_str).collect::<Vec<_>>());
        }
        put(' ', lines.get(at..to).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeMap;

    use super::diff;

    const FILE: &str = r#"name = "m"

# The till.
[[service]]
name = "till" # it sells
release = "till.wasm"
grants = { send = [
  "a",
  "b",
] }
retries = 1

[[service]]
name = "desk"
release = "desk.wasm"

# What it may do.
[service.grants]
call = ["**"]
[service.grants.files]
"/in" = { host = "in" }
[service.limits]
memory = "2MiB"

[[service]]
name = "bare"
release = "bare.wasm"
[service.grants]
send = ["x"]

# Two at once.
[[service]]
release = "none.wasm"
name = "none"
grants.send = ["a"]
grants.call = ["b"]

[[layer]]
component = "layers/sieve.wasm"
bodies = true
[layer.grants]
call = ["till"]
[[layer]]
service = "till"
"#;

    #[test]
    fn the_lines_of_grants_are_exchanged_and_no_others() {
        let grants = BTreeMap::from([
            ("till", "grants = { send = [\"a\"] }"),
            ("desk", "grants = { call = [\"till\"], files = { \"/in\" = { host = \"/abs/in\", access = \"read\" } } }"),
            ("bare", "grants = { publish = [\"t\"] }"),
            ("none", "grants = {}"),
            ("sieve", "grants = { send = [\"till\"] }"),
        ]);
        let told = diff("airssys.toml", FILE, &grants).unwrap();
        let changed: Vec<&str> = told.lines().skip(2).filter(|line| line.starts_with(['-', '+'])).collect();
        assert_eq!(
            changed,
            [
                "-grants = { send = [",
                "-  \"a\",",
                "-  \"b\",",
                "-] }",
                "+grants = { send = [\"a\"] }",
                "+grants = { call = [\"till\"], files = { \"/in\" = { host = \"in\" } } }",
                "-[service.grants]",
                "-call = [\"**\"]",
                "-[service.grants.files]",
                "-\"/in\" = { host = \"in\" }",
                "+grants = { publish = [\"t\"] }",
                "-[service.grants]",
                "-send = [\"x\"]",
                "-grants.send = [\"a\"]",
                "-grants.call = [\"b\"]",
                "+grants = { send = [\"till\"] }",
                "-[layer.grants]",
                "-call = [\"till\"]",
            ]
        );
        assert!(told.starts_with("--- airssys.toml\n+++ airssys.toml\n@@ -4,"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        let grants = BTreeMap::from([("a", "grants = { send = [\"b\"] }")]);
        for text in ["service = [{ name = \"a\", release = \"a.wasm\" }]", "[[service]", ""] {
            assert_eq!(diff("airssys.toml", text, &grants), None, "{text}");
        }
    }
}
