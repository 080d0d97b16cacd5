//! `--judge`: a program that is asked about each change of the mesh before it is made.
//!
//! It is started for each change, gets the proposal on its standard input, as JSON, and writes what it has against it:
//! a list of texts, or of objects with a `message` and perhaps a `rule`. An empty list lets the change be made.
//!
//! Invariant: whatever else it does refuses the change: it cannot be started, fails, writes something else or too much,
//! or takes too long. It belongs to the host, so no topology can leave it out.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use airssys_wasm::{Objection, Proposal};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

/// How long it has for one change. The host waits for longer than this.
const TIME: Duration = Duration::from_secs(8);

/// How much it may write, in bytes.
const MOST: u64 = 1 << 20;

/// What it has against a change.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Text(String),
    Rule {
        message: String,
        #[serde(default)]
        rule: Option<String>,
    },
}

/// Asks this program.
pub(super) fn judge(program: PathBuf) -> impl Fn(&Proposal) -> Result<Vec<Objection>, String> {
    move |proposal| {
        let told = |what: String| format!("{} {what}", program.display());
        let input = serde_json::to_vec(proposal).map_err(|error| told(format!("cannot be asked: {error}")))?;
        let output = ask(&program, input).map_err(told)?;
        let said: Vec<Said> = serde_json::from_slice(&output)
            .map_err(|error| told(format!("has not written a JSON list of what it has against it: {error}")))?;
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
        let objection = |said| match said {
            Said::Text(message) => Objection::new(message, name.clone()),
            Said::Rule { message, rule } => Objection::new(message, rule.unwrap_or_else(|| name.to_string())),
        };
        Ok(said.into_iter().map(objection).collect())
    }
}

/// What the program writes about this.
fn ask(program: &Path, input: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    // A group of its own, so that what it starts ends with it.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (told, ended) = mpsc::channel();
    if let Some(mut stdin) = child.stdin.take() {
        // It need not read all of it, or any.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    thread::spawn(move || told.send(output(child)));
    let end = ended.recv_timeout(TIME);
    if end.is_err()
        && let Some(group) = group
    {
        // It may have ended just now.
        let _gone_already = kill_process_group(group, Signal::KILL);
    }
    match end {
        Err(_too_late) => Err(format!("has not ended within {TIME:?}")),
        Ok(Err(error)) => Err(format!("cannot be heard: {error}")),
        Ok(Ok((output, _))) if output.len() as u64 > MOST => Err("has written more than 1 MiB".to_owned()),
        Ok(Ok((_, status))) if !status.success() => Err(format!("has failed: {status}")),
        Ok(Ok((output, _))) => Ok(output),
    }
}

/// What it has written when it has ended, and how it did.
fn output(mut child: Child) -> std::io::Result<(Vec<u8>, ExitStatus)> {
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MOST + 1).read_to_end(&mut output)?;
    }
    Ok((output, child.wait()?))
}
