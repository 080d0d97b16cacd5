//! Runs a command: over each message on an instance of its own, since the memory of a program is for one run.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::I32Exit;

use super::{Answered, Instance, Ran, bounded, instantiate, make_store, renew, renew_sync};
use crate::engine::command::Command;
use crate::engine::lanes::Calls;
use crate::engine::p3;
use crate::engine::program::stdio;
use crate::error::{Crash, Fault};
use crate::message::Envelope;
use crate::turn::{Turn, What};

impl Instance {
    /// Runs the command over a message. What is no command handles no messages of bytes.
    #[cold]
    pub(super) async fn run(&mut self, envelope: &Envelope, deadline: Duration) -> Ran<Answered> {
        if let Err(crash) = self.refresh().await {
            return Ran::Crashed(crash);
        }
        let program = self.program.as_mut();
        let program = program.and_then(|program| Some((program.command, program.stdio.clone()?, &mut program.is_used)));
        let Some((command, stdio, is_used)) = program else { return Ran::Fault(self.handles_none()) };
        *is_used = true;
        stdio.begin(envelope.body.clone());
        let ran = match self.run_once(command, Some(deadline)).await {
            // Whoever cuts it off wants nothing but its end.
            Err(crash @ Crash::CutOff { .. }) => Ran::Crashed(crash),
            ended => match (stdio.end(), ended) {
                (Err(most), _) => {
                    let identity = &self.store.data().turn.identity;
                    identity.reach("boundary", "wrote more to its stdout than an answer may have");
                    Ran::Fault(Fault::Oversized { limit_bytes: most as u64 })
                }
                (Ok(output), Ok(0)) => Ran::Done(Answered { body: Some(output), commits: true }),
                (Ok(_), Ok(status)) => Ran::Fault(Fault::Exit { status, stderr: stdio.stderr.last() }),
                (Ok(_), Err(crash)) => Ran::Crashed(crash),
            },
        };
        stdio.stderr.end();
        ran
    }

    /// Runs the command for as long as it likes; the status that it exits with.
    pub(crate) async fn run_alone(&mut self) -> Result<i32, Crash> {
        let none = || Crash::Host { detail: "this release is no command".to_owned() };
        let command = self.program.as_ref().map(|program| program.command).ok_or_else(none)?;
        self.record(|| What::Alone);
        let ran = self.run_once(command, None).await;
        if self.tape.is_some() {
            self.end_step(ran.as_ref().err());
        }
        ran
    }

    /// The status that it exits with. Without a deadline it may compute for ever as well.
    async fn run_once(&mut self, command: Command, deadline: Option<Duration>) -> Result<i32, Crash> {
        let missing = || Crash::Host { detail: "an instance of a command without its function".to_owned() };
        let function = self.exports.get_func(&mut self.store, command.0).ok_or_else(missing)?;
        let function = function.typed::<(), (Result<(), ()>,)>(&self.store);
        let function = function.map_err(|error| Crash::Host { detail: format!("{error:#}") })?;
        let ticks = if deadline.is_some() { self.budget_ticks } else { u64::MAX };
        let ended = match &self.calls {
            Calls::Async(_) => {
                renew(&mut self.store, ticks);
                let ran = pin!(function.call_async(&mut self.store, ()));
                match deadline {
                    Some(deadline) => bounded(&self.pulse, &self.clock, &self.cut, ran, deadline).await,
                    None => Ok(ran.await),
                }
            }
            Calls::Tasks(_) => {
                renew(&mut self.store, ticks);
                let ran = pin!(async {
                    let ran = function.call_async(&mut self.store, ()).await?;
                    p3::settle(&mut self.store).await?;
                    Ok(ran)
                });
                match deadline {
                    Some(deadline) => bounded(&self.pulse, &self.clock, &self.cut, ran, deadline).await,
                    None => Ok(ran.await),
                }
            }
            Calls::Sync(_) => {
                renew_sync(&mut self.store);
                Ok(function.call(&mut self.store, ()))
            }
        };
        let status = ended.map(|ended| match ended {
            Ok((Ok(()),)) => Ok(Ok(0)),
            Ok((Err(()),)) => Ok(Ok(1)),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(Ok(exit.0)),
                None => Err(error),
            },
        });
        match self.ran(status, deadline.unwrap_or(Duration::MAX), |status| status) {
            Ran::Done(status) => Ok(status),
            Ran::Fault(fault) => Err(Crash::Host { detail: fault.to_string() }),
            Ran::Crashed(crash) => Err(crash),
        }
    }

    /// Whether it ran over a message, and the next one needs another instance.
    pub(crate) fn is_used(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.is_used)
    }

    /// Puts an instance in the place of one that ran already. The turn goes on, as it was set up for the next message.
    ///
    /// The one before goes first, so that there is never one more than was counted. Cut off in between, or where it
    /// fails, the next call makes it anew.
    pub(crate) async fn refresh(&mut self) -> Result<(), Crash> {
        let Some(program) = self.program.as_mut().filter(|program| program.is_used) else { return Ok(()) };
        let old = self.store.data_mut();
        let Some(permit) = old.permit.take() else {
            return Err(Crash::Host { detail: "an instance that nobody counts".to_owned() });
        };
        let identity = Arc::clone(&old.turn.identity);
        program.stdio = stdio(&identity);
        let template = &program.template;
        let turn = Turn::new(identity, template.is_async(), template.exports.monitoring());
        let mut turn = std::mem::replace(&mut old.turn, turn);
        let open = self.tape.as_mut().and_then(|tape| tape.begin_anew(&mut turn));
        self.store = make_store(template, turn, program.stdio.as_ref(), permit)?;
        let made = instantiate(template, &mut self.store).await;
        let (calls, exports) = match made {
            Ok(made) => made,
            Err(crash) => {
                self.end_step(Some(&crash));
                return Err(crash);
            }
        };
        (self.calls, self.exports) = (calls, exports);
        program.is_used = false;
        if let Some(tape) = &mut self.tape {
            tape.made_anew(&mut self.store.data_mut().turn, open);
        }
        Ok(())
    }
}
