//! `airssys build`: guest source to components.
//!
//! What a folder holds says how: a `Cargo.toml` is Rust, an `app.py` Python, an `app.js` or `app.ts` JavaScript,
//! an `app.c` C. Nothing is installed.
//!
//! One cargo invocation for each target that the guests need, and one more for programs, whatever their number; then
//! each core module becomes a component. Writes nothing where any of it fails, and never a half-written file. Refuses
//! what is no guest: a folder without `Component.toml`, a crate that is neither a `cdylib` nor a program, a binary that
//! exports nothing.

mod c;
mod cargo;
mod componentize;
mod contract;
mod crates;
mod driver;
mod error;
mod javascript;
mod manifest;
mod output;
mod project;
mod python;
mod toolchain;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::crates::Crates;
pub(crate) use self::error::BuildError;
use self::manifest::Manifest;
use self::project::{Guest, Project};
use self::toolchain::{Plan, Probe};
use crate::explain;

/// The languages besides Rust.
const DRIVERS: [&driver::Driver; 3] = [&python::DRIVER, &javascript::DRIVER, &c::DRIVER];

/// Builds a guest crate, every guest of a cargo workspace, or a guest in another language, to components.
///
/// A guest is a crate with a `Component.toml` beside its `Cargo.toml`. One in Python, JavaScript, TypeScript or C has
/// an `app.py`, `app.js`, `app.ts` or `app.c` instead, and its world in the folder `wit`; without that folder it is a
/// service of the SDK. Each component is written to
/// `DIR/target/airssys/NAME.wasm`. What it is built with has to be there: nothing is installed, and what is missing is
/// told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys build examples/shop\n  airssys build . --out echo.wasm -- --locked")]
pub(crate) struct Args {
    /// The folder of a guest, or of a cargo workspace with guests in it.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where to write the component; only for a single guest.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The cargo profile.
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Build only this guest of a workspace; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Say nothing but what is wrong.
    #[arg(long, short)]
    quiet: bool,
    /// Build nothing; only say whether the toolchain is there.
    #[arg(long, conflicts_with_all = ["out", "json"])]
    check: bool,
    /// Print what was built as JSON, a list.
    #[arg(long)]
    json: bool,
    /// More arguments for cargo, componentize-py, airssys-js or zig.
    #[arg(last = true, value_name = "ARGS")]
    cargo_args: Vec<String>,
}

/// What a folder holds that can be built.
#[derive(Debug)]
pub(crate) struct Held {
    /// The folder, absolute.
    pub(crate) dir: PathBuf,
    /// Whether cargo builds it.
    pub(crate) by_cargo: bool,
    /// The names of its components, and the folder of each.
    pub(crate) guests: Vec<(String, PathBuf)>,
}

/// One component that was built.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) name: String,
    version: semver::Version,
    pub(crate) file: PathBuf,
    bytes: usize,
    /// Whether the file differs from what was there before.
    changed: bool,
}

impl Args {
    /// What cargo is told besides.
    fn cargo(&self) -> Vec<String> {
        let quiet = self.quiet.then(|| "--quiet".to_owned());
        let profile = ["--profile".to_owned(), self.profile.clone()];
        profile.into_iter().chain(quiet).chain(self.cargo_args.iter().cloned()).collect()
    }

    /// Says what is done.
    fn tell(&self, line: &str) {
        if !self.quiet {
            explain::note(line);
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), BuildError> {
    let Some(built) = all(args)? else { return Ok(()) };
    if args.json {
        explain::say(&serde_json::to_string_pretty(&built).map_err(BuildError::Json)?);
        return Ok(());
    }
    for one in built.iter().filter(|_| !args.quiet) {
        let note = if one.changed { "" } else { ", unchanged" };
        explain::say(&format!("{} {}: {} ({} bytes{note})", one.name, one.version, one.file.display(), one.bytes));
    }
    Ok(())
}

/// Builds what the folder holds; none where it is only to be said whether that could be built.
fn all(args: &Args) -> Result<Option<Vec<Built>>, BuildError> {
    if let Some(source) = driver::find(&args.dir, &DRIVERS)? {
        (source.driver.check)(&source)?;
        if args.check {
            return Ok(None);
        }
        let Manifest { name, version, .. } = &source.manifest;
        if let Some(other) = args.only.iter().find(|only| *only != name) {
            return Err(BuildError::NoSuchGuest { name: other.clone(), dir: source.dir, guests: name.clone() });
        }
        args.tell(&format!("building {name} from {}", source.program));
        let file = args.out.clone().unwrap_or_else(|| source.file());
        return write(&file, name, version, &source.build(&args.cargo_args)?).map(|built| Some(vec![built]));
    }
    let project = project::find(&args.dir)?.only(&args.only)?;
    let plans = plans(&project)?;
    if args.check {
        return Ok(None);
    }
    build(args, &project, plans).map(Some)
}

/// What a folder holds; none where that is nothing that is built.
pub(crate) fn held(dir: &Path) -> Result<Option<Held>, BuildError> {
    if let Some(source) = driver::find(dir, &DRIVERS)? {
        let guests = vec![(source.manifest.name, source.dir.clone())];
        return Ok(Some(Held { dir: source.dir, by_cargo: false, guests }));
    }
    if !dir.join("Cargo.toml").is_file() {
        return Ok(None);
    }
    let Project { dir, guests } = project::find(dir)?;
    let folder = |guest: &Guest| guest.manifest.parent().unwrap_or(&dir).to_owned();
    let guests = guests.into_iter().map(|guest| (guest.name.clone(), folder(&guest))).collect();
    Ok(Some(Held { dir, by_cargo: true, guests }))
}

/// How each guest is built. Chosen before anything is built: what is missing is told at once, not after minutes.
fn plans(project: &Project) -> Result<Vec<(Plan, Vec<&Guest>)>, BuildError> {
    let probe = Probe::of_machine(&project.dir);
    let mut plans = Vec::new();
    for (wasi, is_program) in [(true, false), (true, true), (false, false), (false, true)] {
        // Programs are linked with something that libraries are not.
        let is_one = |guest: &&Guest| (guest.wasi, guest.is_program) == (wasi, is_program);
        let guests: Vec<&Guest> = project.guests.iter().filter(is_one).collect();
        if !guests.is_empty() {
            plans.push((toolchain::choose(&probe, wasi)?, guests));
        }
    }
    Ok(plans)
}

fn build(args: &Args, project: &Project, plans: Vec<(Plan, Vec<&Guest>)>) -> Result<Vec<Built>, BuildError> {
    if args.out.is_some() && project.guests.len() > 1 {
        return Err(BuildError::OneFileForMany { guests: project.guests.len() });
    }
    let mut components = Vec::new();
    for (plan, guests) in plans {
        args.tell(&format!("building {} for {plan}", project::names(guests.iter().copied())));
        let modules = cargo::build(project, &plan, &guests, &args.cargo())?;
        for (guest, module) in guests.into_iter().zip(modules) {
            components.push((guest, componentize::component(&guest.name, &module)?));
        }
    }
    let folder = project.dir.join("target").join("airssys");
    let written = components.into_iter().map(|(guest, bytes)| {
        let file = args.out.clone().unwrap_or_else(|| folder.join(format!("{}.wasm", guest.name)));
        write(&file, &guest.name, &guest.version, &bytes)
    });
    written.collect()
}

fn write(file: &Path, name: &str, version: &semver::Version, bytes: &[u8]) -> Result<Built, BuildError> {
    let changed = output::write(file, bytes)?;
    Ok(Built { name: name.to_owned(), version: version.clone(), file: file.to_owned(), bytes: bytes.len(), changed })
}
