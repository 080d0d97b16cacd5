//! Starts programs as it is told, keeps them from turn to turn, and tells what came of them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use airssys_sdk::prelude::*;
use airssys_sdk::process::{self, Exit, Process, ProcessError, Reader, Signal, Writer};
use serde::{Deserialize, Serialize};

/// What is to be started.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Start {
    name: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    folder: Option<String>,
    time_ms: Option<u64>,
    cpu_ms: Option<u64>,
    output_bytes: Option<u64>,
    memory_bytes: Option<u64>,
}

/// What it is told.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// To start something, write this to it, and tell all that came of it.
    Run(Start, String),
    /// To start something and keep it under this name.
    Keep(String, Start),
    /// To write to what it keeps.
    Write(String, String),
    /// To let what it keeps read no more.
    Close(String),
    /// To read a line of what it keeps.
    Line(String),
    /// To read all that is left of what it keeps writes.
    Rest(String),
    /// To send a signal.
    Signal(String, String),
    /// To wait for it.
    Wait(String),
    /// To ask whether it has ended.
    Exited(String),
    /// To let go of it.
    Drop(String),
    /// To crash.
    Crash,
    /// To say something.
    Ping,
}

/// What it tells.
#[derive(Serialize, Default)]
struct Came {
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

struct Kept {
    process: Process,
    stdin: Option<Writer>,
    stdout: Option<Reader>,
}

#[derive(Default)]
struct Runner {
    kept: BTreeMap<String, Kept>,
}

#[component]
impl Runner {
    fn init() -> Result<Self> {
        let mut runner = Self::default();
        if let Some(script) = config::get("init")? {
            let start = Start { name: "sh".into(), args: vec!["-c".into(), script], ..Start::default() };
            let process = command(&start).start().map_err(|error| Fault::internal(told(&error)))?;
            runner.keep("init".into(), process);
        }
        Ok(runner)
    }

    fn handle(&mut self, told: Told) -> Result<Came> {
        Ok(self.obey(told).unwrap_or_else(|error| Came { error: Some(error), ..Came::default() }))
    }
}

impl Runner {
    fn keep(&mut self, name: String, process: Process) {
        let (stdin, stdout) = (process.stdin(), process.stdout());
        self.kept.insert(name, Kept { process, stdin, stdout });
    }

    fn of(&mut self, name: &str) -> std::result::Result<&mut Kept, String> {
        self.kept.get_mut(name).ok_or_else(|| format!("it keeps nothing under {name:?}"))
    }

    fn obey(&mut self, what: Told) -> std::result::Result<Came, String> {
        let mut came = Came::default();
        match what {
            Told::Run(start, stdin) => {
                let output = command(&start).output(stdin.as_bytes()).map_err(|error| told(&error))?;
                came.exit = Some(exit(&output.exit));
                came.stdout = Some(String::from_utf8_lossy(&output.stdout).into_owned());
                came.stderr = Some(String::from_utf8_lossy(&output.stderr).into_owned());
            }
            Told::Keep(name, start) => {
                let process = command(&start).start().map_err(|error| told(&error))?;
                self.keep(name, process);
            }
            Told::Write(name, text) => {
                let stdin = self.of(&name)?.stdin.as_mut().ok_or("closed")?;
                stdin.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
            }
            Told::Close(name) => self.of(&name)?.stdin = None,
            Told::Line(name) => {
                let stdout = self.of(&name)?.stdout.as_mut().ok_or("taken")?;
                let (mut line, mut byte) = (Vec::new(), [0]);
                while stdout.read(&mut byte).map_err(|error| error.to_string())? == 1 && byte != *b"\n" {
                    line.extend(byte);
                }
                came.stdout = Some(String::from_utf8_lossy(&line).into_owned());
            }
            Told::Rest(name) => {
                let mut text = String::new();
                let stdout = self.of(&name)?.stdout.as_mut().ok_or("taken")?;
                stdout.read_to_string(&mut text).map_err(|error| error.to_string())?;
                came.stdout = Some(text);
            }
            Told::Signal(name, signal) => {
                let signal = match signal.as_str() {
                    "hangup" => Signal::Hangup,
                    "interrupt" => Signal::Interrupt,
                    "terminate" => Signal::Terminate,
                    "user-one" => Signal::UserOne,
                    "user-two" => Signal::UserTwo,
                    _ => Signal::Kill,
                };
                self.of(&name)?.process.signal(signal).map_err(|error| told(&error))?;
            }
            Told::Wait(name) => {
                let ended = self.of(&name)?.process.wait().map_err(|error| told(&error))?;
                came.exit = Some(exit(&ended));
            }
            Told::Exited(name) => {
                let ended = self.of(&name)?.process.exited().map_err(|error| told(&error))?;
                came.exit = ended.as_ref().map(exit);
            }
            Told::Drop(name) => drop(self.kept.remove(&name)),
            Told::Crash => panic!("as it was told"),
            Told::Ping => {}
        }
        Ok(came)
    }
}

fn command(start: &Start) -> process::Command {
    let mut command = process::Command::new(&start.name).args(start.args.iter().cloned());
    for (name, value) in &start.env {
        command = command.env(name, value);
    }
    if let Some(folder) = &start.folder {
        command = command.working_folder(folder);
    }
    if let Some(most) = start.time_ms {
        command = command.time_ms(most);
    }
    if let Some(most) = start.cpu_ms {
        command = command.cpu_ms(most);
    }
    if let Some(most) = start.output_bytes {
        command = command.output_bytes(most);
    }
    if let Some(most) = start.memory_bytes {
        command = command.memory_bytes(most);
    }
    command
}

fn exit(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("status {status}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::Limit(limit) => format!("limit {limit}"),
        Exit::Revoked => "revoked".to_owned(),
    }
}

fn told(error: &ProcessError) -> String {
    let word = match error {
        ProcessError::Denied(_) => "denied",
        ProcessError::Overloaded(_) => "overloaded",
        ProcessError::NotStarted(_) => "not-started",
        ProcessError::Ended => "ended",
    };
    format!("{word}: {error}")
}
