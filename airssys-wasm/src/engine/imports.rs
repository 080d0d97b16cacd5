//! What a component imports, beside what this host has.

use wasmparser::{Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::contract::{Beyond, FILES, Lane, MESSAGING, PROCESSES};
use super::guest::Guest;
use super::obstacle::{Absence, Obstacle};
use super::wires::{self, is_foreign};
use crate::typed::{compatible, unversioned};

/// Every interface that this host links, with its version. A component may have been built for another patch of the
/// same WASI.
pub(super) const KNOWN: [&str; 39] = [
    "airssys:actor/types@0.1.0",
    "airssys:actor/messaging@0.1.0",
    "airssys:actor/log@0.1.0",
    "airssys:actor/supervision@0.1.0",
    "airssys:os/processes@0.1.0",
    "airssys:os/files@0.1.0",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:io/error@0.2.12",
    "wasi:io/poll@0.2.12",
    "wasi:io/streams@0.2.12",
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:random/random@0.2.12",
    "wasi:random/insecure@0.2.12",
    "wasi:random/insecure-seed@0.2.12",
    "wasi:cli/environment@0.2.12",
    "wasi:cli/exit@0.2.12",
    "wasi:cli/stdin@0.2.12",
    "wasi:cli/stdout@0.2.12",
    "wasi:cli/stderr@0.2.12",
    "wasi:cli/terminal-input@0.2.12",
    "wasi:cli/terminal-output@0.2.12",
    "wasi:cli/terminal-stdin@0.2.12",
    "wasi:cli/terminal-stdout@0.2.12",
    "wasi:cli/terminal-stderr@0.2.12",
    "wasi:filesystem/types@0.2.12",
    "wasi:filesystem/preopens@0.2.12",
    "wasi:sockets/network@0.2.12",
    "wasi:sockets/instance-network@0.2.12",
    "wasi:sockets/ip-name-lookup@0.2.12",
    "wasi:sockets/tcp@0.2.12",
    "wasi:sockets/tcp-create-socket@0.2.12",
    "wasi:sockets/udp@0.2.12",
    "wasi:sockets/udp-create-socket@0.2.12",
    "wasi:http/types@0.2.12",
    "wasi:http/outgoing-handler@0.2.12",
];

/// Those of WASI 0.3 besides.
const KNOWN_OF_THE_THIRD: [&str; 23] = [
    "wasi:clocks/types@0.3.0",
    "wasi:clocks/monotonic-clock@0.3.0",
    "wasi:clocks/system-clock@0.3.0",
    "wasi:random/random@0.3.0",
    "wasi:random/insecure@0.3.0",
    "wasi:random/insecure-seed@0.3.0",
    "wasi:cli/types@0.3.0",
    "wasi:cli/environment@0.3.0",
    "wasi:cli/exit@0.3.0",
    "wasi:cli/stdin@0.3.0",
    "wasi:cli/stdout@0.3.0",
    "wasi:cli/stderr@0.3.0",
    "wasi:cli/terminal-input@0.3.0",
    "wasi:cli/terminal-output@0.3.0",
    "wasi:cli/terminal-stdin@0.3.0",
    "wasi:cli/terminal-stdout@0.3.0",
    "wasi:cli/terminal-stderr@0.3.0",
    "wasi:filesystem/types@0.3.0",
    "wasi:filesystem/preopens@0.3.0",
    "wasi:sockets/types@0.3.0",
    "wasi:sockets/ip-name-lookup@0.3.0",
    "wasi:http/types@0.3.0",
    "wasi:http/client@0.3.0",
];

/// The part of a component that ends with its last import. It is a component too, and has the same imports.
pub(super) fn importing(bytes: &[u8]) -> Result<&[u8], wasmparser::BinaryReaderError> {
    let (mut depth, mut end) = (0_usize, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { range, .. } if depth == 0 => end = range.end,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => end = section.range().end,
            _ => {}
        }
    }
    Ok(bytes.get(..end).unwrap_or(bytes))
}

/// Why the linker does not have what a component imports; nothing where it has all of it.
pub(super) fn missing(
    linker: &Linker<Guest>,
    engine: &Engine,
    component: &Component,
    lane: Lane,
    beyond: Beyond,
) -> Vec<Obstacle> {
    let ty = component.component_type();
    let absent = |import: &str, why: Absence| Obstacle::Import { import: import.to_owned(), why };
    if lane == Lane::Sync
        && let Some((import, _)) =
            ty.imports(engine).find(|(name, item)| needs_to_wait(engine, wires::interface(name, item), &item.ty))
    {
        return vec![absent(import, Absence::Waits)];
    }
    let Err(error) = linker.instantiate_pre(component) else { return Vec::new() };
    let wired = wires::of(engine, &ty);
    let is_wired = |name: &str| wired.iter().any(|import| *import.name == *name);
    let others = ty.imports(engine).filter(|(name, _)| !is_wired(name));
    let unknown = others.filter_map(|(name, _)| Some(absent(name, absence(name, beyond)?)));
    let unknown: Vec<Obstacle> = unknown.collect();
    if !unknown.is_empty() {
        return unknown;
    }
    // All of them are there, and one has another shape than the component expects.
    let detail: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let detail = detail.join(": ");
    let all = format!("{error:#}");
    let named = ty.imports(engine).find(|(name, _)| all.contains(&format!("`{name}`")));
    vec![absent(named.map_or("something", |(name, _)| name), Absence::Shape { detail })]
}

/// Why an interface is not there, by its name alone.
fn absence(import: &str, beyond: Beyond) -> Option<Absence> {
    let known = || KNOWN.iter().chain(&KNOWN_OF_THE_THIRD).filter(|known| unversioned(known) == unversioned(import));
    match known().find(|known| compatible(known, import)).or_else(|| known().next()) {
        Some(known) if compatible(known, import) => {
            beyond.lacks(known).map(|key| Absence::NotRequested { key: key.to_owned() })
        }
        Some(known) => Some(Absence::Version { known: (*known).to_owned() }),
        None if is_foreign(import) => Some(Absence::NotPlain),
        None => Some(Absence::Unknown),
    }
}

/// Whether an import may wait: all of WASI's own, programs, files, and `messaging.call`.
fn needs_to_wait(engine: &Engine, name: &str, item: &ComponentItem) -> bool {
    let calls = || match item {
        ComponentItem::ComponentInstance(interface) => {
            interface.exports(engine).any(|(function, _)| function == "call")
        }
        _ => false,
    };
    is_foreign(name)
        || name.starts_with(PROCESSES)
        || name.starts_with(FILES)
        || (name.starts_with("wasi:") && !name.starts_with("wasi:keyvalue/") && !name.starts_with("wasi:config/"))
        || (name.starts_with(MESSAGING) && calls())
}
