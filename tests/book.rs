//! What the README and the book show is true: files are as shown, topologies are read or refused as told, no key is
//! left out or made up.
//!
//! The rules for those who write pages:
//!
//! - A `toml` block begins with `# airssys.toml`, `# airssys.test.toml` or `# Component.toml` and is read by the host,
//!   in a folder with the releases (those that are published are) and folders it names. After a comma that line says
//!   more: `refused` (the next `text` block is what is said), `written out` (it means the same as the `toml` block
//!   before).
//! - A block after `<!-- file: PATH -->` is that file, or a piece of it. Every `rust` block has one.
//! - Links to other pages, and to headings, lead somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says so by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use airssys_wasm::ConfigError;
use airssys_wasm::command::Reference;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Draft, Manifest, Store};
use airssys_wasm::topology::Topology;
use airssys_wasm::trial::{Trial, TrialError};

#[path = "book/greeter.rs"]
mod greeter;
/// The guest of the tutorial.
#[path = "book/quote.rs"]
#[allow(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "bindings are in it"
)]
mod quote;

/// The files that blocks can be.
const FILES: [&str; 3] = ["airssys.toml", "airssys.test.toml", "Component.toml"];

/// One fenced block.
#[derive(Debug, Clone)]
struct Block {
    /// Where it stands, for a person.
    place: String,
    language: String,
    /// The comment right above it.
    above: String,
    text: String,
}

impl Block {
    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Each page with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = vec![root().join("README.md")];
    pages.extend(fs::read_dir(root().join("mdbook/src")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages.into_iter().map(|page| (page.clone(), fs::read_to_string(page).unwrap())).collect()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (page, text) in pages() {
        let mut open: Option<Block> = None;
        let mut above = String::new();
        for (at, line) in text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text += &format!("{line}\n"),
                (None, Some(language)) => {
                    let place = format!("{}:{}", page.strip_prefix(root()).unwrap().display(), at + 1);
                    open =
                        Some(Block { place, language: language.to_owned(), above: above.clone(), text: String::new() });
                }
                (None, None) => {}
            }
            if !line.is_empty() {
                line.clone_into(&mut above);
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", page.display());
    }
    blocks
}

fn toml_blocks(of: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.language == "toml" && block.first_line().starts_with(of)).collect()
}

/// What a block is read as, printed, or what is said of it; in a folder with all that it names.
fn read(block: &Block) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for value in named(&block.text, "host") {
        fs::create_dir_all(folder.path().join(value)).unwrap();
    }
    let data = folder.path().join(".data");
    for release in named(&block.text, "release").chain(named(&block.text, "component")) {
        if Reference::is_meant(release) {
            publish_stub(&data, release);
            continue;
        }
        let release = folder.path().join(release);
        if release.extension().is_some() {
            fs::create_dir_all(release.parent().unwrap()).unwrap();
            fs::write(&release, "").unwrap();
        } else {
            fs::create_dir_all(&release).unwrap();
            let text = "name = \"stub\"\nversion = \"0.1.0\"\ncomponent = \"stub.wasm\"\n";
            fs::write(release.join("Component.toml"), text).unwrap();
        }
    }
    let name = FILES.into_iter().find(|name| block.first_line().starts_with(&format!("# {name}")));
    let name = name.unwrap_or_else(|| panic!("{}: which file is it?", block.place));
    if name == "airssys.test.toml" {
        // Tests of any mesh that has the services which they name, and a listener.
        let services: BTreeSet<&str> = named(&block.text, "service").chain(["any"]).collect();
        let service = |name| format!("[[service]]\nname = \"{name}\"\nrelease = \"any.wasm\"\n");
        let any: String = services.into_iter().map(service).collect();
        let listener = "[[http]]\nlisten = \"127.0.0.1:8080\"\n[[http.route]]\nservice = \"any\"\n";
        let any = format!("name = \"any\"\n[[supervisor]]\nname = \"later\"\n{any}{listener}");
        fs::write(folder.path().join("airssys.toml"), any).unwrap();
        fs::write(folder.path().join("any.wasm"), "").unwrap();
    }
    let file = folder.path().join(name);
    fs::write(&file, &block.text).unwrap();
    let read = match name {
        "airssys.toml" => Topology::read_with(&file, Some(&data)).map(|read| format!("{read:?}")),
        "airssys.test.toml" => match Trial::read(&file) {
            Ok(read) => Ok(format!("{read:?}")),
            Err(TrialError::Config(error)) => Err(error),
            Err(other) => panic!("{}: {other}", block.place),
        },
        _ => Manifest::read(&file).map(|read| format!("{read:?}")),
    };
    let prefix = folder.path().display().to_string();
    let told = |error: ConfigError| {
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        format!("{error}{hint}").replace(&format!("{prefix}/"), "")
    };
    read.map(|read| read.replace(&prefix, "")).map_err(told)
}

/// Publishes something under this name and version.
fn publish_stub(data: &Path, release: &str) {
    let (name, version) = release.split_once('@').unwrap();
    let component = include_str!("../airssys-wasm/doc/echo.wat");
    let manifest = format!("name = {name:?}\nversion = {version:?}\n");
    let draft = Draft::new(wat::parse_str(component).unwrap(), manifest).unwrap();
    let _published = Store::open(data).unwrap().publish(&draft).unwrap();
}

/// The texts that a key has in a block.
fn named<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(&format!("{key} = \"")[..])
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn every_toml_block_is_read_or_refused_as_told() {
    let blocks = blocks();
    let mut before = None;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "toml") {
        let told = block.first_line();
        let said = read(block);
        match told.split_once(", ").map(|(_, more)| more) {
            Some("refused") => {
                let text = &blocks[at + 1];
                assert_eq!(text.language, "text", "{}: what is said of the block above?", text.place);
                assert_eq!(said.expect_err(&block.place), text.text.trim_end(), "{}", text.place);
            }
            Some("written out") => {
                assert_eq!(Some(meant(&said.unwrap())), before.as_deref().map(meant), "{}", block.place)
            }
            _ => before = Some(said.unwrap_or_else(|said| panic!("{}: {said}", block.place))),
        }
    }
}

/// What a topology means, without how much of it was written.
fn meant(topology: &str) -> String {
    let mut pieces = topology.split("own_limits: LimitsPatch(WrittenLimits {");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |meant, piece| meant + piece.split_once('}').unwrap().1)
}

#[test]
fn every_rust_block_and_every_block_of_a_file_is_as_the_file() {
    for block in blocks() {
        match block.above.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            Some(file) => {
                let text = fs::read_to_string(root().join(file))
                    .unwrap_or_else(|error| panic!("{}: {file}: {error}", block.place));
                assert!(text.contains(block.text.trim_end()), "{}: differs from {file}", block.place);
            }
            None => assert_ne!(block.language, "rust", "{}: which file is it from?", block.place),
        }
    }
}

/// The keys in the first column of the first table under a heading.
fn told_keys(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let rows =
        section.lines().skip_while(|line| !line.starts_with("| key")).skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| backquoted(row.split('|').nth(1).unwrap())).collect()
}

fn backquoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys that the host knows in a table: it names them when it is asked for one that it does not know.
fn known_keys(file: &str, text: &str) -> BTreeSet<String> {
    let text = format!("# {file}\n{text}");
    let block = Block { place: String::new(), language: String::new(), above: String::new(), text };
    let said = read(&block).expect_err("an unknown key is refused");
    let (_, expected) = said.split_once("unknown field `zzz`, expected").unwrap_or_else(|| panic!("{said}"));
    backquoted(expected.lines().next().unwrap())
}

/// A page with the tables of keys as the library has them, each the first one under its heading.
fn with_tables(page: &str) -> String {
    let mut page = page.to_owned();
    for (heading, table) in airssys_wasm::command::reference() {
        let (before, section) =
            page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
        let begins = section.find("| key |").unwrap_or_else(|| panic!("no table of keys under {heading:?}"));
        let (above, rest) = section.split_at(begins);
        let below: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
        page = format!("{before}\n{heading}\n{above}{table}{below}");
    }
    page
}

#[test]
fn the_tables_of_keys_are_those_of_the_library() {
    let file = root().join("mdbook/src/topology.md");
    let page = fs::read_to_string(&file).unwrap();
    let renewed = with_tables(&page);
    if std::env::var_os("AIRSSYS_RENEW_BOOK").is_some() {
        fs::write(&file, renewed).unwrap();
        return;
    }
    let only = |of: &str, other: &str, mark: char| -> String {
        let other: BTreeSet<&str> = other.lines().collect();
        of.lines().filter(|line| !other.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
    };
    assert!(
        page == renewed,
        "the tables of {} are out of date:\n{}{}renew them: AIRSSYS_RENEW_BOOK=1 cargo test -p airssys-tests --test promises book::",
        file.display(),
        only(&page, &renewed, '-'),
        only(&renewed, &page, '+'),
    );
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let page = fs::read_to_string(root().join("mdbook/src/topology.md")).unwrap();
    let service = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"a\"\n";
    let component = "name = \"a\"\nversion = \"0.1.0\"\n";
    for (heading, file, text) in [
        ("## Top level", "airssys.toml", "name = \"m\"\nzzz = 1\n".to_owned()),
        ("## `[settings]`", "airssys.toml", "name = \"m\"\n[settings]\nzzz = 1\n".to_owned()),
        ("## `[root]`", "airssys.toml", "name = \"m\"\n[root]\nzzz = 1\n".to_owned()),
        ("### `backoff`", "airssys.toml", "name = \"m\"\n[root]\nbackoff = { zzz = 1 }\n".to_owned()),
        ("## `[[supervisor]]`", "airssys.toml", "name = \"m\"\n[[supervisor]]\nname = \"a\"\nzzz = 1\n".to_owned()),
        ("## `[[service]]`", "airssys.toml", format!("{service}zzz = 1\n")),
        ("### `mailbox`", "airssys.toml", format!("{service}mailbox = {{ zzz = 1 }}\n")),
        ("### `keyed`", "airssys.toml", format!("{service}keyed = {{ zzz = 1 }}\n")),
        ("### `spawned`", "airssys.toml", format!("{service}spawned = {{ zzz = 1 }}\n")),
        ("## Limits", "airssys.toml", format!("{service}limits = {{ zzz = 1 }}\n")),
        ("## Requests and grants", "airssys.toml", format!("{service}grants = {{ zzz = 1 }}\n")),
        (
            "### `files`",
            "airssys.toml",
            format!("{service}grants = {{ files = {{ \"/a\" = {{ host = \".\", zzz = 1 }} }} }}\n"),
        ),
        ("## `[[http]]`", "airssys.toml", "name = \"m\"\n[[http]]\nlisten = \"[::1]:80\"\nzzz = 1\n".to_owned()),
        (
            "### `[[http.route]]`",
            "airssys.toml",
            format!("{service}[[http]]\nlisten = \"[::1]:80\"\n[[http.route]]\nzzz = 1\n"),
        ),
        (
            "### `key` of a route",
            "airssys.toml",
            format!("{service}[[http]]\nlisten = \"[::1]:80\"\n[[http.route]]\nkey = {{ zzz = 1 }}\n"),
        ),
        ("## `Component.toml`", "Component.toml", format!("{component}zzz = 1\n")),
        ("## Limits", "Component.toml", format!("{component}[limits]\nzzz = 1\n")),
        ("## Requests and grants", "Component.toml", format!("{component}[requests]\nzzz = 1\n")),
    ] {
        assert_eq!(told_keys(&page, heading), known_keys(file, &text), "{heading}");
    }
}

/// The rows of the first table of keys under a heading: the key, and what it may be.
fn told_types(page: &str, heading: &str) -> Vec<(String, String)> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with("| key")).skip(2).take_while(|line| line.starts_with('|'));
    let cell = |row: &str, at: usize| row.split('|').nth(at).unwrap().trim().to_owned();
    rows.map(|row| (cell(row, 1).trim_matches('`').to_owned(), cell(row, 2))).collect()
}

#[test]
fn what_a_number_may_be_is_what_the_reference_says() {
    let page = fs::read_to_string(root().join("mdbook/src/topology.md")).unwrap();
    let service = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"a\"\n";
    let mut seen = 0;
    for (heading, file, before, after) in [
        ("## `[settings]`", "airssys.toml", "name = \"m\"\n[settings]\n".to_owned(), ""),
        ("## `[root]`", "airssys.toml", "name = \"m\"\n[root]\n".to_owned(), ""),
        ("## `[[service]]`", "airssys.toml", service.to_owned(), ""),
        ("### `mailbox`", "airssys.toml", format!("{service}mailbox = {{ "), " }"),
        ("### `keyed`", "airssys.toml", format!("{service}keyed = {{ "), " }"),
        ("### `spawned`", "airssys.toml", format!("{service}spawned = {{ "), " }"),
        (
            "### `files`",
            "airssys.toml",
            format!("{service}[service.grants.files]\n\"/a\" = {{ host = \"a\", access = \"read-write\", "),
            " }",
        ),
        ("## Limits", "airssys.toml", format!("{service}[service.limits]\n"), ""),
        ("## Limits", "Component.toml", "name = \"a\"\nversion = \"0.1.0\"\n[limits]\n".to_owned(), ""),
    ] {
        for (key, told) in told_types(&page, heading) {
            // Both ends, by asking for what is beyond them.
            let beyond = match told.split([',', ' ']).next() {
                Some("count") => ["0", "4294967295"],
                Some("size") => ["\"0B\"", "\"7EiB\""],
                Some("time") => ["\"1ns\"", "\"1ns\""],
                _ => continue,
            };
            let text = |value: &str| format!("# {file}\n{before}{key} = {value}{after}\n");
            let said = beyond.map(|value| {
                read(&Block { place: String::new(), language: String::new(), above: String::new(), text: text(value) })
            });
            let range = said.into_iter().filter_map(Result::err).find_map(|said| {
                let (_, range) = said.lines().next()?.split_once(" and it may be ")?;
                range.split_once(" to ").map(|(least, most)| (least.to_owned(), most.to_owned()))
            });
            seen += usize::from(range.is_some());
            let ends: Vec<String> = backquoted_in_order(&told).iter().map(|end| end.trim_matches('"').into()).collect();
            let expected: Vec<String> = match range {
                Some((least, most)) if ["0", "0B"].contains(&&*least) => vec![most],
                Some((least, most)) if most == "365days" => vec![least],
                Some((least, most)) => vec![least, most],
                None => vec![],
            };
            assert_eq!(ends, expected, "{heading}: `{key}` of {file} is told to be a {told}");
        }
    }
    assert!(seen > 55, "{seen} of them were asked for");
}

fn backquoted_in_order(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_default_is_as_written_out() {
    for of in ["# airssys.toml", "# Component.toml"] {
        assert!(toml_blocks(of).iter().any(|block| block.first_line() == format!("{of}, written out")), "{of}");
    }
}

#[test]
fn the_code_map_is_as_the_tree() {
    let page = fs::read_to_string(root().join("mdbook/src/architecture.md")).unwrap();
    let (_, map) = page.split_once("## Code map").unwrap();
    let map = map.split("\n## ").next().unwrap();
    let told: BTreeSet<String> =
        map.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    for path in &told {
        assert!(root().join(path).exists(), "there is no {path}");
    }
    for folder in ["airssys-rt-shim/src", "airssys-wasm/src"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let module = if entry.path().is_dir() { format!("{folder}/{name}/") } else { format!("{folder}/{name}") };
            // `x.rs` beside `x/` is one module; so is a file of tests.
            let beside = entry.path().with_extension("rs").is_file() && entry.path().is_dir();
            assert!(name == "lib.rs" || beside || told.contains(&module), "{module} is not in the code map");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: no {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let found = text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(found, "{}: no heading {link}", page.display());
            }
        }
    }
}

/// What mdBook makes of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[tokio::test]
async fn the_call_of_the_book_is_answered() {
    let mesh =
        airssys_tests::Mesh::start("name = \"m\"\n[[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\n").await;
    assert_eq!(quote::ask(&mesh.runtime, "book").await.unwrap().unwrap().cents, 2800);
    assert!(quote::ask(&mesh.runtime, "car").await.unwrap().is_err());
    mesh.stop().await;
}
