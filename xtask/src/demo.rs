//! `cargo xtask demo`: builds what the shop needs and nothing else, and runs the shop on its real input.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::progress::Steps;
use crate::test::{command, show};
use crate::{guests, root, toolchain};

/// Its own cargo profile: optimised, but linked without the minutes of link-time optimisation that a measured build
/// takes.
const PROFILE: &str = "demo";

/// Sets up, builds, runs. The second time only the last takes time.
pub(crate) fn run() -> Result<(), Error> {
    let mut steps = Steps::of(3);
    // One cargo for both programs: they share the engine, which is most of the work, and it is compiled once.
    let programs = ["build", "--profile", PROFILE, "--package", "airssys-cli", "--package", "airssys-shop"];
    let about = "the engine, the airssys command and the shop (5 to 8 minutes the first time)";
    show(&steps.next(about), &mut command(&programs)?)?;
    let folder = root().join("examples").join("shop");
    let airssys = program("airssys")?;
    toolchain::ensure(&airssys, &folder)?;
    guests::build_in(&airssys, &folder, &steps.next("the components of the shop"))?;
    let mut shop = Command::new(program("shop")?);
    show(&steps.next("the shop"), shop.current_dir(root()))
}

fn program(name: &str) -> Result<std::path::PathBuf, Error> {
    Ok(guests::target_dir()?.join(Path::new(PROFILE)).join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}
