//! A replay under gdb: it stops where the guest crashes, with the functions and lines of the guest's source.
//!
//! gdb runs the same command again, with a folder in which that leaves the compiled code and what tells gdb of it. It
//! stops itself when both are there, and gdb lets it go on.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use airssys_wasm::command::{Capsule, DebugImage, Replayed, Replayer};
use airssys_wasm::registry::Release;
use rustix::process::{Signal, getpid, kill_process};

use super::Args;
use crate::capsules::CapsuleCommandError;
use crate::explain::note;

/// The debugger.
const GDB: &str = "gdb";
/// The compiled code, and what is said to gdb.
const IMAGE: &str = "guest.o";
const COMMANDS: &str = "guest.gdb";

/// Opens gdb over a replay. Where nobody is there to ask, it prints the functions that ran and ends.
pub(super) fn open(args: &Args) -> Result<(), CapsuleCommandError> {
    let is_there = Command::new(GDB).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        return Err(CapsuleCommandError::NoDebugger);
    }
    let folder = tempfile::tempdir().map_err(CapsuleCommandError::Debugger)?;
    let own = std::env::current_exe().map_err(CapsuleCommandError::Debugger)?;
    let mut gdb = Command::new(GDB);
    gdb.arg("-quiet");
    if !io::stdin().is_terminal() {
        gdb.arg("-batch");
    }
    // Stopped by itself, it has written what is to be known of its code.
    let commands = folder.path().join(COMMANDS);
    for said in ["run", &format!("source {}", commands.display()), "continue", "backtrace"] {
        gdb.args(["-ex", said]);
    }
    gdb.arg("--args").arg(own).arg("replay").arg(&args.capsule).arg("--debugged").arg(folder.path());
    if let Some(release) = &args.release {
        gdb.arg("--release").arg(release);
    }
    gdb.arg("--data").arg(args.data.folder());
    let status = gdb.status().map_err(CapsuleCommandError::Debugger)?;
    if !status.success() {
        note(&format!("note: gdb ended with {status}"));
    }
    Ok(())
}

/// What gdb runs: compiles the release with its source, tells gdb of it, and runs what the capsule has.
pub(super) async fn debugged(
    capsule: &Capsule,
    release: Release,
    folder: &Path,
) -> Result<Replayed, CapsuleCommandError> {
    let replayer = Replayer::load_for_debugger(capsule, release).await?;
    let DebugImage { object, text_address } = replayer.debug_image()?;
    let image = folder.join(IMAGE);
    fs::write(&image, object).map_err(CapsuleCommandError::Debugger)?;
    let mut commands = String::new();
    let _text_has_room = writeln!(commands, "add-symbol-file {} -s .text {text_address:#x}", image.display());
    fs::write(folder.join(COMMANDS), commands).map_err(CapsuleCommandError::Debugger)?;
    // On the first thread of the process, which is this one, it is there before the next line.
    kill_process(getpid(), Signal::TRAP).map_err(|error| CapsuleCommandError::Debugger(error.into()))?;
    Ok(replayer.replay(capsule).await?)
}
