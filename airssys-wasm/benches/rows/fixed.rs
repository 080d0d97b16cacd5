//! One run of a seeded host that is the same wherever it is done, with its digest.
//!
//! The tests have it in a debug build, and the rows of the benches in a release build: this file is part of both.
//!
//! Those are components whose texts stand in this tree: what a tool chain makes of a source may have other instructions
//! tomorrow, and a run counts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "who runs it wants to be told by a panic")]

use std::path::Path;

use airssys_wasm::trial::Trial;
use tempfile::TempDir;

/// The seed of the run.
pub(crate) const SEED: u64 = 7;

/// Its digest. Who changes what a run is, or how it is written down, writes the new one here:
/// seeds that somebody has kept mean another run from then on.
pub(crate) const DIGEST: &str = "7390f205948734d670cf2953779301fccf2a76c8624a649e45b0118cdf9cf492";

const TOPOLOGY: &str = r#"
    name = "fixed"
    [root]
    intensity = 1000
    [[supervisor]]
    name = "shop"
    strategy = "rest-for-one"
    intensity = 1000
    backoff = { initial = "20ms" }
    [[service]]
    supervisor = "shop"
    name = "pricing"
    release = "pricing.wasm"
    instances = 2
    [[service]]
    supervisor = "shop"
    name = "till"
    release = "till.wasm"
    retries = 1
    wires = { "acme:shop/pricing" = "pricing" }
    [[service]]
    name = "echo"
    release = "echo.wasm"
    mailbox = { capacity = 4 }
    [[service]]
    name = "rooms"
    release = "echo.wasm"
    keyed = { max_keys = 20, max_awake = 3, idle_timeout = "20ms" }
"#;

/// What is said and what goes wrong.
const TEST: &str = r#"
    kill = ["150ms"]
    settle = "5s"
    [[workload]]
    service = "till"
    call = 'pay({n})'
    times = 40
    [[workload]]
    service = "echo"
    send = 'hello {n}'
    times = 60
    every = "5ms"
    [[workload]]
    service = "rooms"
    key = "room-{n}"
    ask = 'is it {n}?'
    times = 40
    [[act]]
    kind = "deploy"
    at = ["200ms", "300ms"]
    service = "echo"
    release = "next.wasm"
    probation = "50ms"
    [[act]]
    kind = "restart"
    at = ["20ms", "100ms"]
    service = "pricing"
    [[fault]]
    kind = "crash"
    rate = 0.05
    [[fault]]
    kind = "hang"
    rate = 0.01
    [[fault]]
    kind = "double"
    rate = 0.02
    [[fault]]
    kind = "full"
    rate = 0.02
    [[check]]
    service = "echo"
    ask = "still there?"
    equals = "still there?"
"#;

/// The trial, and the folder of the components. Its topology ends with these lines, and its test file begins with
/// those.
pub(crate) fn trial(of_topology: &str, of_test: &str) -> (Trial, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let texts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../airssys-wasm/doc"));
    for (name, text, version) in [
        ("pricing", "pricing", "1.0.0"),
        ("till", "till", "1.0.0"),
        ("echo", "echo", "1.0.0"),
        ("next", "echo", "1.1.0"),
    ] {
        let read = std::fs::read_to_string(texts.join(text).with_extension("wat")).unwrap();
        // The next release has another page of memory, so that it is another one.
        let memory = if name == "next" { "(memory (export \"memory\") 2)" } else { "(memory (export \"memory\") 1)" };
        let component = wat::parse_str(read.replace("(memory (export \"memory\") 1)", memory)).unwrap();
        std::fs::write(folder.path().join(format!("{name}.wasm")), component).unwrap();
        let manifest = format!("name = \"{text}\"\nversion = \"{version}\"\n");
        std::fs::write(folder.path().join(format!("{name}.toml")), manifest).unwrap();
    }
    std::fs::write(folder.path().join("airssys.toml"), format!("{TOPOLOGY}\n{of_topology}")).unwrap();
    let trial = Trial::parse(&format!("{of_test}\n{TEST}"), folder.path()).unwrap_or_else(|error| panic!("{error}"));
    (trial, folder)
}
