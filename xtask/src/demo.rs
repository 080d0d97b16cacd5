//! `cargo xtask demo`: builds what an example needs and nothing else, and runs it: the shop on its real input, or with
//! `--web` the one that a browser uses.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::progress::{self, Steps};
use crate::test::{command, show};
use crate::{guests, python, root, toolchain, web};

/// Its own cargo profile: optimised, but linked without the minutes of link-time optimisation that a measured build
/// takes.
const PROFILE: &str = "demo";

/// Sets up, builds, runs. The second time only the last takes time.
pub(crate) fn run() -> Result<(), Error> {
    let mut steps = Steps::of(3);
    let airssys = programs(&mut steps)?;
    let folder = root().join("examples").join("shop");
    toolchain::ensure(&airssys, &folder)?;
    guests::build_in(&airssys, &folder, &steps.next("the components of the shop"))?;
    let mut shop = Command::new(program("shop")?);
    show(&steps.next("the shop"), shop.current_dir(root()))
}

/// The same with the shop for a browser, which serves until it is stopped. Returns only where it does not come to that:
/// the host takes our place, so that Ctrl-C and the exit code are its own.
pub(crate) fn web(port: u16) -> Result<(), Error> {
    // Before minutes go by.
    free(port)?;
    let mut steps = Steps::of(4);
    let airssys = programs(&mut steps)?;
    let (root, target) = (root(), guests::target_dir()?);
    let folder = web::folder(&root);
    toolchain::ensure(&airssys, &folder)?;
    guests::build_in(&airssys, &folder, &steps.next("the components of the shop"))?;
    progress::line(&steps.next("its prices, in Python"));
    if !web::build(&python::LANGUAGE, &root, &target)? {
        let reason = "the prices of the shop are in Python".to_owned();
        return Err(Error::NoToolchain { reason, remedy: python::LANGUAGE.remedy.to_owned() });
    }
    progress::line(&steps.next("the shop"));
    progress::line(&what_to_try(&airssys, port));
    let mut host = Command::new(&airssys);
    // As it is written: each demo begins with the first release. What is in the carts stays.
    host.arg("run").arg(web::topology(&root, port)?).arg("--as-written").current_dir(&folder);
    Err(Error::NotRun { program: airssys.display().to_string(), source: host.exec() })
}

/// One cargo for all programs: they share the engine, which is most of the work, and it is compiled once. The command
/// `airssys` is returned.
fn programs(steps: &mut Steps) -> Result<PathBuf, Error> {
    let programs = ["build", "--profile", PROFILE, "--package", "airssys-cli", "--package", "airssys-shop"];
    let about = "the engine, the airssys command and the shop (5 to 8 minutes the first time)";
    show(&steps.next(about), &mut command(&programs)?)?;
    program("airssys")
}

fn program(name: &str) -> Result<PathBuf, Error> {
    Ok(guests::target_dir()?.join(Path::new(PROFILE)).join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Nobody listens at a port.
fn free(port: u16) -> Result<(), Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|source| Error::Port { port, source })
}

fn what_to_try(airssys: &Path, port: u16) -> String {
    let airssys = airssys.display();
    format!(
        "
The shop is at http://127.0.0.1:{port}/ as soon as it says that it is up; the first time, its components are compiled
before, which takes some seconds. The page says what to try. In another terminal, while it keeps clicking:

  cd examples/web
  {airssys} deploy cart guests/cart-next
  {airssys} rollback cart
  {airssys} tree

Ctrl-C stops it in order.
"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_before_anything_is_built() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let told = web(port).unwrap_err().told();
        assert!(told.contains(&format!("port {port}")) && told.contains("--port"), "{told}");
    }
}
