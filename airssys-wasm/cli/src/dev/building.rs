//! One run of `airssys build`, as a process of its own: a build that is out of date, or that nobody waits for any more,
//! is killed with all that it started.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::error::DevError;
use super::sources::Project;
use crate::build::Built;
use crate::explain::note_lines;

/// How long what a build printed may be under way when it has ended: a server that it started may hold its stderr.
const PARTING: Duration = Duration::from_secs(2);

/// The profile that guests in Rust are built with, which no `Cargo.toml` has to know. It is compiled again as fast as
/// cargo can, and optimised as far as that costs next to nothing: a program that is not at all is ten times as large.
const PROFILE: &str = "airssys-dev";
const PROFILE_KEYS: [&str; 4] = ["inherits=\"dev\"", "opt-level=1", "debug=false", "strip=\"debuginfo\""];

/// The process group of a build, as long as it is there.
type Group = Arc<Mutex<Option<Pid>>>;

/// Kills a build, where it is under way.
struct Kill(Group);

impl Drop for Kill {
    fn drop(&mut self) {
        if let Some(group) = *lock(&self.0) {
            // Where there is none any more, that is what was wanted.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

fn lock(group: &Group) -> MutexGuard<'_, Option<Pid>> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds projects of one folder; none where they do not build, and then it is told why. Dropped, the build is killed.
pub(super) async fn build(projects: &[&Project], release: bool) -> Result<Option<Vec<Built>>, DevError> {
    let Some(first) = projects.first() else { return Ok(Some(Vec::new())) };
    // What a build that is killed leaves behind goes with this.
    let between = tempfile::tempdir().map_err(DevError::Build)?;
    let mut command = command(projects, first, release)?;
    let mut child = command.env("TMPDIR", between.path()).spawn().map_err(DevError::Build)?;
    let group: Group = Arc::new(Mutex::new(i32::try_from(child.id()).ok().and_then(Pid::from_raw)));
    let _killed_with_this = Kill(Arc::clone(&group));
    let printing = child.stderr.take().map(pass_on);
    let ended = tokio::task::spawn_blocking(move || {
        let ended = ended(&mut child, &group);
        drop(between);
        if let Some(printing) = printing {
            let _all_of_it = printing.recv_timeout(PARTING);
        }
        ended
    });
    let printed = ended.await.map_err(|error| DevError::Build(io::Error::other(error)))?.map_err(DevError::Build)?;
    printed.map(|printed| serde_json::from_slice(&printed).map_err(DevError::Answer)).transpose()
}

fn command(projects: &[&Project], first: &Project, release: bool) -> Result<Command, DevError> {
    let this = std::env::current_exe().map_err(DevError::Build)?;
    let mut command = Command::new(this);
    command.arg("build").arg(&first.root).args(["--json", "--quiet"]);
    command.args(projects.iter().flat_map(|project| ["--only", &*project.name]));
    if first.by_cargo && !release {
        command.args(["--profile", PROFILE, "--"]);
        command.args(PROFILE_KEYS.iter().flat_map(|key| ["--config".to_owned(), format!("profile.{PROFILE}.{key}")]));
    }
    // A group of its own: a signal from the terminal is for the host, which ends the build.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Waits for the end; what it printed to stdout, where it ended well.
fn ended(child: &mut Child, group: &Group) -> io::Result<Option<Vec<u8>>> {
    let mut printed = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut printed)?;
    }
    let pid = *lock(group);
    if let Some(pid) = pid {
        // Until it is waited for below nobody else has its number, which a signal may be on the way to.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    }
    let mut there = lock(group);
    let status = child.wait()?;
    *there = None;
    Ok(status.success().then_some(printed))
}

/// Passes on what a build says, line by line, among what the host says; tells when that was all.
fn pass_on(stderr: ChildStderr) -> Receiver<()> {
    let (all, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            note_lines(&String::from_utf8_lossy(&line));
        }
        let _nobody_waits = all.send(());
    });
    told
}
