//! Who may know whom among the modules of the host library, and that no two modules anywhere know each other.
//!
//! The order is told in the book, under "Architecture".
//!
//! And that the libraries leave to the command what is the command's: their texts name no command of it, and what to do
//! about an error is no part of a text. And that whoever embeds the host library finds an example of each part of it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "layers/examples.rs"]
mod examples;
#[path = "layers/sources.rs"]
mod sources;
#[path = "layers/texts.rs"]
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sources::{Arrow, Sources, circles};

/// The modules of the host library, the lowest layer first. Each knows those below it, and nobody beside or above it.
const LAYERS: [&[&str]; 16] = [
    &["address", "beneath", "blocking", "hex", "hint", "lines", "operation", "schema", "shown", "typed", "unique"],
    &["guard", "http", "keys", "limits", "rate", "retry", "secrets", "seeded", "wire"],
    &["audit", "capsules", "logger"],
    &["config_file", "error", "file_threads", "quota"],
    &["capability", "events", "message", "state", "waits"],
    &["client", "files", "middleware", "process", "settings"],
    &["router"],
    &["listener", "turn"],
    &["engine"],
    &["actor", "registry"],
    &["topology"],
    &["deploy"],
    &["apply"],
    &["runtime"],
    &["trial"],
    &["command"],
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn arrows(crate_folder: &str) -> Vec<Arrow> {
    let arrows = Sources::read(&root().join(crate_folder).join("src")).arrows();
    assert!(!arrows.is_empty(), "{crate_folder}: nothing was read");
    arrows
}

fn folder(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn imports_of_the_host_library_point_down_only() {
    let layers: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().flat_map(|(at, layer)| layer.iter().map(move |module| (*module, at))).collect();
    let mut wrong = Vec::new();
    for arrow in arrows("airssys-wasm") {
        let (from, to) = (folder(&arrow.from), folder(&arrow.to));
        // What is beside everything: the crate's root passes names on and has nothing of its own.
        if from == to || from.is_empty() {
            continue;
        }
        let layer = |module: &str| {
            *layers.get(module).unwrap_or_else(|| panic!("`{module}` has no layer: say in LAYERS which it is in"))
        };
        if layer(to) >= layer(from) {
            wrong.push(arrow.to_string());
        }
    }
    assert!(wrong.is_empty(), "these point up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn no_module_knows_one_that_knows_it() {
    for of in ["airssys-rt-shim", "airssys-wasm", "airssys-wasm/cli", "airssys-wasm/sdk/rust", "xtask"] {
        let arrows = arrows(of);
        let found: Vec<BTreeSet<&str>> = circles(&arrows);
        let through: Vec<String> = arrows
            .iter()
            .filter(|arrow| found.iter().any(|circle| circle.contains(&*arrow.from) && circle.contains(&*arrow.to)))
            .map(ToString::to_string)
            .collect();
        assert!(found.is_empty(), "{of} has circles of modules:\n{}", through.join("\n"));
    }
}

#[test]
fn the_book_tells_the_same_layers() {
    let page = std::fs::read_to_string(root().join("mdbook/src/architecture.md")).unwrap();
    let (_, section) = page.split_once("\n## Layers\n").unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("1. ")).take_while(|line| !line.is_empty());
    let told: Vec<Vec<&str>> = lines
        .map(|line| line.split('`').skip(1).step_by(2).map(|module| module.trim_end_matches('/')).collect())
        .collect();
    assert_eq!(told, LAYERS);
}

/// Whether a text names an option, as `--data`.
fn names_an_option(text: &str) -> bool {
    let begins =
        |(at, _)| !text[..at].ends_with('-') && text[at + 2..].starts_with(|next: char| next.is_ascii_lowercase());
    text.match_indices("--").any(begins)
}

#[test]
fn no_text_of_the_libraries_has_a_hint_in_it_or_names_a_command() {
    let wrong: Vec<String> = ["airssys-rt-shim", "airssys-wasm"]
        .iter()
        .flat_map(|of| texts::read(&root().join(of).join("src")))
        .filter(|text| text.says.contains("hint:") || text.says.contains("`airssys ") || names_an_option(&text.says))
        .map(|text| format!("{}: {:?}", text.at, text.says))
        .collect();
    assert!(wrong.is_empty(), "a hint is a `Hint`, and a command is an `Act` of one:\n{}", wrong.join("\n"));
    // It would see them.
    let command: Vec<String> =
        texts::read(&root().join("airssys-wasm/cli/src")).into_iter().map(|text| text.says).collect();
    assert!(command.iter().any(|says| says.contains("`airssys ") && names_an_option(says)));
}

#[test]
fn an_example_shows_whatever_the_host_library_shows_to_others() {
    let pages = examples::read(&root().join("airssys-wasm/src"));
    let (public, hidden) = examples::shown(&pages);
    assert!(public > 100 && hidden > 100, "{public} and {hidden}: most of it was not read");
    let without = examples::without_their_own(&pages);
    assert!(without.is_empty(), "these have no example of their own:\n{}", without.join("\n"));
    let without = examples::without_example(&pages);
    assert!(without.is_empty(), "these are in no example:\n{}", without.join("\n"));
}

/// The columns that a line of a comment has at most.
const COLUMNS: usize = 120;

/// Each source file below a folder; what is built stands in `target`.
fn source_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            source_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn no_comment_is_wider_than_a_page() {
    let mut files = Vec::new();
    source_files(root(), &mut files);
    assert!(files.len() > 300, "{} files", files.len());
    let mut wide = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // A row of a table is one line.
        let row = |line: &str| line.trim_start_matches(['/', '!', ' ']).starts_with('|');
        let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//") && !row(line));
        let too_wide = lines.filter(|(_, line)| line.chars().count() > COLUMNS);
        wide.extend(too_wide.map(|(at, _)| format!("{}:{}", file.display(), at + 1)));
    }
    assert!(wide.is_empty(), "these comments have more than {COLUMNS} columns:\n{}", wide.join("\n"));
}

/// The packages that a package depends on, directly or not, as it is built for its users.
fn depends_on(package: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--offline", "--locked", "--package", package, "--edges", "normal", "--prefix", "none"]);
    let out = cargo.args(["--format", "{p}"]).current_dir(root()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_shim_has_no_wasmtime_below_it_and_the_sdk_no_ractor() {
    let shim = depends_on("airssys-rt-shim");
    assert!(shim.contains("ractor") && !shim.iter().any(|package| package.contains("wasmtime")), "{shim:?}");
    let sdk = depends_on("airssys-sdk");
    assert!(sdk.contains("serde_json") && !sdk.contains("ractor") && !sdk.contains("tokio"), "{sdk:?}");
}
