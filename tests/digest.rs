//! A seed means the same run on each machine, until somebody changes what a run is.
//!
//! Those are components whose texts stand in this tree: what a tool chain makes of a source may have other instructions
//! tomorrow, and a run counts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::path::Path;

use airssys_tests::code_cache;
use airssys_wasm::trial::Trial;
use tempfile::TempDir;

/// The digest of the run with this seed. Who changes what a run is, or how it is written down, writes the new one here:
/// seeds that somebody has kept mean another run from then on.
const DIGEST: (u64, &str) = (7, "7390f205948734d670cf2953779301fccf2a76c8624a649e45b0118cdf9cf492");

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

/// The trial, and the folder of the components.
fn trial() -> (Trial, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../airssys-wasm/doc");
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
    std::fs::write(folder.path().join("airssys.toml"), TOPOLOGY).unwrap();
    let trial = Trial::parse(TEST, folder.path()).unwrap_or_else(|error| panic!("{error}"));
    (trial, folder)
}

#[test]
fn a_seed_means_the_same_run_on_each_machine() {
    let (seed, digest) = DIGEST;
    let (trial, _folder) = trial();
    let tried = trial.run(seed, Some(&code_cache()), true).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tried.broken, Vec::<String>::new());
    let steps = tried.steps.join("\n");
    // There is something in it that could be otherwise.
    for what in
        ["FAULT crash", "FAULT hang", "act deploy echo 1.1.0: live", "act restart", "the host is killed", "restarted"]
    {
        assert!(steps.contains(what), "{what}:\n{steps}");
    }
    assert_eq!(tried.digest, digest, "it is another run now:\n{steps}");
}
