//! `cargo xtask demo`: builds everything in release mode and runs the shop on its real input.

use std::process::Command;

use crate::error::Error;
use crate::test::show;
use crate::{guests, progress, root};

/// Sets up, builds, runs. The second time only the last takes time.
pub(crate) fn run() -> Result<(), Error> {
    guests::build("release")?;
    let target = guests::target_dir()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", "airssys-shop", "--target-dir"]).arg(&target).current_dir(root());
    progress::run("building the shop", &mut cargo, None)?;
    let mut shop = Command::new(target.join("release").join(format!("shop{}", std::env::consts::EXE_SUFFIX)));
    show("the shop", shop.current_dir(root()))
}
