//! The automation of the project, in Rust: `cargo xtask NAME`.
//!
//! Builds in seconds, so it links none of what it builds; it runs the `airssys` command instead. What it
//! links for guests in C the SDK's macro needs as well, so cargo has it anyway. One module a concern.

mod bench;
mod c;
mod clients;
mod debian;
mod demo;
mod error;
mod fuzz;
mod guests;
mod javascript;
mod language;
mod mesh;
mod policy;
mod programs;
mod progress;
mod python;
mod soak;
mod test;
mod tool;
mod toolchain;
mod web;
mod wit;

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;

use error::Error;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo                      build examples/shop, optimised, and run it on its real input
  demo --web [--port N]     build examples/web, optimised, and serve it to a browser (N: default 8080)
  test                      every check and every test
  soak [--rounds N]         the test of isolation with N rounds of each attack (default 10000)
  soak --time T [--seed N]  trials of the sound host for T (30s, 10m, 8h), from seed N on (default: a new one, which is
                            printed); the first alarms end it
  fuzz [--seconds N] [NAME]...
                            the targets of tests/fuzz under libFuzzer, each for N seconds (default 60; NAME: a target, or
                            control for the control socket and dumps)
  guests [--profile NAME]   build the guests of tests and examples; installs the guest toolchains where they are missing
                            (NAME: the cargo profile of the airssys command that builds them; default dev)
  bench [--wasi-0-3] [--json FILE] [--rounds N] [--check] [NAME]...
                            measure the host beside plain wasmtime and ractor, in release mode (NAME: a row, or what rows begin
                            with; --check: a row that misses its bound fails; --wasi-0-3: with WASI 0.3 compiled in, as the
                            command has it: the library has it off by default)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage) => {
            progress::line(USAGE);
            ExitCode::from(2)
        }
        Err(error) => {
            progress::line(&error.told());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["demo"] => demo::run(),
        ["demo", "--web"] => demo::web(web::PORT),
        ["demo", "--web", "--port", port] => demo::web(port.parse::<NonZeroU16>().map_err(|_| Error::Usage)?.get()),
        ["test"] => test::run(),
        ["soak"] => soak::run(soak::ROUNDS),
        ["soak", "--time", time] => soak::tried(seconds(time)?, None),
        ["soak", "--time", time, "--seed", seed] => {
            soak::tried(seconds(time)?, Some(seed.parse().map_err(|_| Error::Usage)?))
        }
        ["soak", "--rounds", rounds] => soak::run(rounds.parse().map_err(|_| Error::Usage)?),
        ["fuzz", "--seconds", seconds, names @ ..] => fuzz::run(seconds.parse().map_err(|_| Error::Usage)?, names),
        ["fuzz", names @ ..] => fuzz::run(fuzz::SECONDS, names),
        ["guests"] => guests::build("dev").map(drop),
        ["guests", "--profile", profile] => guests::build(profile).map(drop),
        ["bench", rest @ ..] => bench::run(rest),
        _ => Err(Error::Usage),
    }
}

/// A time such as `30s`, `10m` or `8h`, in seconds.
fn seconds(time: &str) -> Result<u64, Error> {
    let (number, each) = [("s", 1), ("m", 60), ("h", 3600)]
        .iter()
        .find_map(|(unit, each)| Some((time.strip_suffix(unit)?, *each)))
        .ok_or(Error::Usage)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(each)).ok_or(Error::Usage)
}

/// The folder of the repository.
fn root() -> PathBuf {
    // What cargo says now comes first: a clone that shares its target folder with another may run the other's build of
    // us.
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_owned()
}
