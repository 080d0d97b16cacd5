//! `cargo xtask fuzz`: the targets of `tests/fuzz` under libFuzzer, and the control socket and dumps without it, since
//! they are another process's.
//!
//! cargo-fuzz is installed as the tool of a language is. It wants flags that this compiler has and does not offer.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::test::{command, show};
use crate::tool::{LIMIT, Tool};
use crate::{guests, progress, root};

/// How long each target is tried, in seconds, where nobody says otherwise.
pub(crate) const SECONDS: u32 = 60;
/// Those under libFuzzer, as `tests/fuzz/Cargo.toml` has them, and what the other two are called.
const TARGETS: [&str; 6] = ["patterns", "topology", "manifest", "component", "values", "durable"];
const COMMAND: &str = "control";
/// The longest input, in bytes: what breaks a reader is seldom long.
const LONGEST: u32 = 4096;

const TOOL: Tool = Tool { name: "cargo-fuzz", version: "0.13.2", lock: "", install };

fn install(tool: &Tool, folder: &Path) -> Result<(), Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let build = folder.join("build");
    cargo.args(["install", &format!("{}@{}", tool.name, tool.version), "--locked", "--debug", "--root"]).arg(folder);
    cargo.arg("--target-dir").arg(&build);
    progress::run("cargo install cargo-fuzz", &mut cargo, Some(LIMIT))?;
    std::fs::remove_dir_all(&build).map_err(Error::unreadable(&build))
}

/// Tries these for so long, or all of them.
pub(crate) fn run(seconds: u32, names: &[&str]) -> Result<(), Error> {
    if names.iter().any(|name| *name != COMMAND && !TARGETS.contains(name)) {
        return Err(Error::Usage);
    }
    let is_meant = |name: &&str| names.is_empty() || names.contains(name);
    // The engine once more, with libFuzzer's counters in it.
    let built = Path::new(&guests::target_dir()?).join("fuzz");
    let targets = TARGETS.into_iter().filter(is_meant).collect::<Vec<_>>();
    if !targets.is_empty() {
        progress::line("the first time all is compiled for it, which takes about half an hour on two cores");
    }
    for target in targets {
        let folder = root().join("tests/fuzz");
        let tool = TOOL.installed(&root(), &built)?;
        let found = built.join("found").join(target);
        std::fs::create_dir_all(&found).map_err(Error::unreadable(&found))?;
        let mut fuzz = Command::new(tool.join("bin/cargo-fuzz"));
        fuzz.args(["run", "--fuzz-dir", ".", "--sanitizer", "none", "--target-dir"]).arg(built.join("target"));
        fuzz.arg(target).arg(&found).arg(folder.join("corpus").join(target)).arg("--");
        fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LONGEST}"));
        fuzz.arg(format!("-artifact_prefix={}/broke-", found.display()));
        show(&format!("{target}, for {seconds} s"), fuzz.current_dir(&folder).env("RUSTC_BOOTSTRAP", "1"))?;
    }
    if is_meant(&COMMAND) {
        guests::build("dev")?;
        let mut cargo = command(&["test", "--package", "airssys-tests", "--test", "promises", "--", "fuzzed"])?;
        show("the control socket and dumps", cargo.env("AIRSSYS_ROUNDS", (u64::from(seconds) * 50).to_string()))?;
    }
    Ok(())
}
