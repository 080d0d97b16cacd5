//! Programs of the machine that a guest starts: what is granted decides, the layers are asked, there has to be a place,
//! and then it is started. The same way for whoever starts one.
//!
//! What becomes of a program is not the turn's: it runs when it is started, and ends with its [`Program`].

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Identity;
use super::passing::Question;
use crate::capability::{Access, Mark, ProcessGrant};
use crate::error::{CallError, SendError};
use crate::limits::{REASON_BYTES, cut};
use crate::message::Answer;
use crate::operation::Operation;
use crate::process::{self, Bounds, Child, Exit, Full, Process, Signal, Start, Workplace};

/// What is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The name that it is granted under.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Its working folder, as a guest knows it; none for that of the grant.
    pub(crate) folder: Option<String>,
    pub(crate) narrower: Narrower,
}

/// Bounds that are narrower than those of the grant, where they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Narrower {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu: Option<Duration>,
    pub(crate) time: Option<Duration>,
    pub(crate) output_bytes: Option<u64>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Overloaded(String),
    #[error("{0}")]
    NotStarted(String),
    #[error("it has ended already")]
    Ended,
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) process: Process,
    name: Box<str>,
    grant: Mark,
}

impl Identity {
    /// Starts a program, for what comes of the message `trace`.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub(crate) async fn start_program(self: &Arc<Self>, trace: u64, wanted: Wanted) -> Result<Program, ProgramError> {
        let operation = Operation::ProcessStart;
        let target = told(&wanted);
        let policy = &self.terms.policy;
        let who = self.address().service();
        let Wanted { name, arguments, environment, .. } = &wanted;
        let denied = |missing: String| self.program_denied(operation, &target, missing);
        let grant = policy.lets_process(who, name, arguments, environment).map_err(denied)?;
        if self.terms.silent {
            // It is only shown what another one does, and what a program does nobody can hold back.
            return Err(ProgramError::Denied("in a shadow no program is started".to_owned()));
        }
        let folder = self.workplace(grant, wanted.folder.as_deref()).map_err(denied)?;
        let asked = self.asks(operation, operation.into(), || target.as_str().into());
        let asked = asked.map(|asked| asked.of(trace));
        pass(asked, || Box::pin(self.start_granted(grant, &wanted, folder.clone()))).await
    }

    async fn start_granted(
        self: &Arc<Self>,
        grant: &ProcessGrant,
        wanted: &Wanted,
        folder: Workplace,
    ) -> Result<Program, ProgramError> {
        let (who, name) = (self.address().service(), wanted.name.as_str());
        let most = (grant.at_a_time, self.terms.limits.processes);
        let place = self.mesh.programs.take((who, name), &grant.mark, most).map_err(|full| {
            let (limit, why) = match full {
                Full::Grant(most) => ("at_a_time", format!("{most} of {name} run already, and no more may")),
                Full::Service(most) => ("processes", format!("{most} programs of this service run already")),
                Full::Host(most) => ("processes", format!("{most} programs of this host run already")),
            };
            self.reach(limit, format_args!("asks for {name}, and {why}"));
            ProgramError::Overloaded(why)
        })?;
        // Of a variable that a guest gives and the grant sets, the grant's is the one: it was refused before.
        let set = grant.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
        let start = Start {
            program: grant.program.clone(),
            arguments: wanted.arguments.clone(),
            environment: wanted.environment.iter().cloned().chain(set).collect(),
            folder,
            bounds: bounds(grant, wanted.narrower),
            place,
        };
        let process = process::start(start).await.map_err(|why| ProgramError::NotStarted(format!("{name}: {why}")))?;
        self.tell_of_its_limits(name, &process);
        Ok(Program { process, name: name.into(), grant: grant.mark.clone() })
    }

    /// Tells when it has reached one of its limits, whether anybody asks after it or not.
    fn tell_of_its_limits(self: &Arc<Self>, name: &str, process: &Process) {
        let (identity, child, name) = (Arc::clone(self), Arc::clone(&process.child), name.to_owned());
        tokio::spawn(async move {
            if let Exit::Limit(limit) = child.exit().await {
                identity.reach(limit, format_args!("the program {name} was ended over it"));
            }
        });
    }

    /// The folder that it works in: one within a folder that the guest is granted, where it names one.
    fn workplace(&self, grant: &ProcessGrant, asked: Option<&str>) -> Result<Workplace, String> {
        let Some(asked) = asked else {
            return Ok(Workplace::At(grant.folder.clone().unwrap_or_else(|| PathBuf::from("/"))));
        };
        let steps = |path: &'_ str| -> Vec<String> {
            path.split('/').filter(|step| !matches!(*step, "" | ".")).map(str::to_owned).collect()
        };
        let wanted = steps(asked);
        let mut found: Option<(usize, Workplace)> = None;
        for (guest, file) in self.terms.policy.files() {
            let folder = steps(guest);
            let is_nearer = found.as_ref().is_none_or(|(depth, _)| folder.len() > *depth);
            if let (Some(rest), Some(held), true) = (wanted.strip_prefix(&*folder), &file.held.0, is_nearer) {
                found = Some((folder.len(), Workplace::Within(Arc::clone(held), rest.iter().collect())));
            }
        }
        if let Some((depth, _)) = found {
            let is_it = |guest: &&str| wanted.strip_prefix(&*steps(guest)).is_some() && steps(guest).len() == depth;
            let guest = self.terms.policy.files().map(|(guest, _)| guest).find(is_it);
            // Nothing of it is read or written by that: it is looked at.
            let _is_let =
                guest.and_then(|guest| self.terms.policy.folder(guest)).is_some_and(|it| it.lets(Access::NONE));
        }
        found.map(|(_, place)| place).ok_or_else(|| format!("its working folder {asked:?} is in no granted folder"))
    }

    /// Tells that something about a program was denied.
    #[cold]
    fn program_denied(&self, operation: Operation, target: &str, missing: String) -> ProgramError {
        self.denied(operation, target, missing.as_str());
        ProgramError::Denied(format!("{operation} {target:?}: {missing}"))
    }
}

impl Program {
    /// Waits until it has ended, and tells how.
    pub(crate) async fn wait(&self, identity: &Arc<Identity>, trace: u64) -> Result<Exit, ProgramError> {
        let asked = self.ask(identity, trace, Operation::ProcessWait)?;
        pass(asked, || Box::pin(async { Ok(self.process.child.exit().await) })).await
    }

    /// How it ended; none while it runs.
    pub(crate) async fn exited(&self, identity: &Arc<Identity>, trace: u64) -> Result<Option<Exit>, ProgramError> {
        let asked = self.ask(identity, trace, Operation::ProcessWait)?;
        pass(asked, || Box::pin(std::future::ready(Ok(self.process.child.exited())))).await
    }

    /// Sends it a signal.
    pub(crate) async fn signal(
        &self,
        identity: &Arc<Identity>,
        trace: u64,
        signal: Signal,
    ) -> Result<(), ProgramError> {
        let asked = self.ask(identity, trace, Operation::ProcessSignal)?;
        let send = || match self.process.child.signal(signal) {
            true => Ok(()),
            false => Err(ProgramError::Ended),
        };
        pass(asked, || Box::pin(std::future::ready(send()))).await
    }

    /// Whether it is still granted.
    pub(crate) fn grant(&self) -> &Mark {
        &self.grant
    }

    /// A question to the layers about it, where it is still granted.
    fn ask(
        &self,
        identity: &Arc<Identity>,
        trace: u64,
        operation: Operation,
    ) -> Result<Option<Question>, ProgramError> {
        let policy = &identity.terms.policy;
        if self.grant.is_revoked() || !policy.allows_process(&self.name) {
            let missing = policy.process_missing(identity.address().service(), &self.name);
            return Err(identity.program_denied(operation, &self.name, missing));
        }
        let asked = identity.asks(operation, operation.into(), || (*self.name).into());
        Ok(asked.map(|asked| asked.of(trace)))
    }
}

/// What came of a program that was run to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Identity {
    /// Starts a program, writes this to it, and reads what it writes, to its end. Dropped, it ends.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub(crate) async fn run_program(
        self: &Arc<Self>,
        trace: u64,
        wanted: Wanted,
        stdin: Bytes,
    ) -> Result<Ran, ProgramError> {
        let mut program = self.start_program(trace, wanted).await?;
        let process = &mut program.process;
        let broken = |why: io::Error| ProgramError::NotStarted(why.to_string());
        let writer = process.take_stdin().transpose().map_err(broken)?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let child = &program.process.child;
        let write = async {
            if let Some(mut writer) = writer {
                // It may end before it has read all of it, and says so by its exit.
                let _read = writer.write_all(&stdin).await;
            }
        };
        let ((), stdout, stderr) = tokio::join!(write, read(stdout, child), read(stderr, child));
        Ok(Ran { exit: program.wait(self, trace).await?, stdout, stderr })
    }
}

/// Reads what a program writes, to its end or to its bound.
async fn read(output: Option<OwnedFd>, child: &Child) -> Vec<u8> {
    let mut all = Vec::new();
    let Some(Ok(mut reader)) = output.map(Process::reader) else { return all };
    loop {
        let before = all.len();
        match reader.read_buf(&mut all).await {
            Ok(0) | Err(_) => return all,
            Ok(count) if !child.wrote(count) => {
                // What is past the bound is nobody's.
                all.truncate(before);
                return all;
            }
            Ok(_) => {}
        }
    }
}

/// Does it as the layers let it, where one has to do with it.
async fn pass<'a, T>(
    asked: Option<Question>,
    act: impl Fn() -> Pin<Box<dyn Future<Output = Result<T, ProgramError>> + Send + 'a>>,
) -> Result<T, ProgramError> {
    let Some(mut asked) = asked else { return act().await };
    loop {
        let passing = match asked.enter(&mut Bytes::new()).await {
            Ok(passing) => passing,
            Err(answer) => return Err(answered(answer)),
        };
        let done = act().await;
        let outcome = match &done {
            Ok(_) => Ok(None),
            Err(error) => Err(CallError::Failed { code: code(error).to_owned() }),
        };
        match passing.settle(outcome.clone()) {
            Ok(answer) if answer == outcome || (done.is_err() && answer.is_ok()) => return done,
            Ok(answer) => return Err(answered(answer)),
            Err(again) => asked = again,
        }
    }
}

/// What layers are told of an error.
fn code(error: &ProgramError) -> &'static str {
    match error {
        ProgramError::Denied(_) => "denied",
        ProgramError::Overloaded(_) => "overloaded",
        ProgramError::NotStarted(_) => "not-started",
        ProgramError::Ended => "ended",
    }
}

/// What is told where a layer has made something else of it.
fn answered(answer: Answer) -> ProgramError {
    match answer {
        Ok(_) => ProgramError::Denied("a layer has handled it, and no layer can make a program".to_owned()),
        Err(CallError::NotSent(SendError::Overloaded { what })) => ProgramError::Overloaded(what),
        Err(error) => ProgramError::Denied(error.to_string()),
    }
}

/// A start as layers and the audit are told it: the name, and the arguments behind it.
fn told(wanted: &Wanted) -> String {
    let arguments: String = wanted.arguments.iter().map(|one| format!(" {one}")).collect();
    let whole = format!("{}{arguments}", wanted.name);
    cut(whole, REASON_BYTES)
}

fn bounds(grant: &ProcessGrant, narrower: Narrower) -> Bounds {
    let least = |own: u64, asked: Option<u64>| asked.map_or(own, |asked| asked.min(own));
    let shortest = |own: Duration, asked: Option<Duration>| asked.map_or(own, |asked| asked.min(own));
    Bounds {
        memory_bytes: least(grant.memory_bytes, narrower.memory_bytes),
        cpu: shortest(grant.cpu, narrower.cpu),
        files: grant.files,
        time: shortest(grant.time, narrower.time),
        output_bytes: least(grant.output_bytes, narrower.output_bytes),
    }
}
