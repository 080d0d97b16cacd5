//! `airssys:os/processes`: programs of the machine. What is decided and done is in `turn/programs.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::pipe::{AsyncReadStream, AsyncWriteStream};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, Pollable, StreamError, StreamResult, subscribe,
};

use super::running::Running;
use crate::capability::Mark;
use crate::engine::bindings::os::airssys::os::processes as wit;
use crate::engine::guest::Guest;
use crate::process::{Child, Exit, Process, Signal};
use crate::turn::Maker;
use crate::turn::programs::{Narrower, ProgramError, Wanted};

/// What a guest may write to a program before it has to wait, in bytes.
const WRITTEN_BYTES: usize = 64 << 10;

type Done<T> = wasmtime::Result<Result<T, wit::ProcessError>>;

/// What the guest has of it: its two outputs, its input, and itself.
const RESOURCES: usize = 4;

impl wit::Host for Guest {}

impl wit::HostProcess for Guest {
    async fn start(&mut self, name: String, options: wit::StartOptions) -> Done<Resource<Running>> {
        if !self.has_room(RESOURCES) {
            self.turn.identity.reach("resources", format_args!("asks for the program {name}"));
            return Ok(Err(wit::ProcessError::Overloaded("this instance has as many resources as it may".to_owned())));
        }
        let limits = options.limits;
        let milliseconds = |time: Option<u64>| time.map(Duration::from_millis);
        let wanted = Wanted {
            name,
            arguments: options.arguments,
            environment: options.environment,
            folder: options.working_folder,
            narrower: Narrower {
                memory_bytes: limits.memory_bytes,
                cpu: milliseconds(limits.cpu_ms),
                time: milliseconds(limits.time_ms),
                output_bytes: limits.output_bytes,
            },
        };
        let identity = Arc::clone(&self.turn.identity);
        Ok(match identity.start_program(self.turn.trace, wanted).await {
            Ok(program) => {
                self.is_unrecorded("a program of the machine");
                Ok(self.table.push(Running(program))?)
            }
            Err(error) => Err(to_wit(error)),
        })
    }

    fn stdin(&mut self, of: Resource<Running>) -> wasmtime::Result<Option<Resource<DynOutputStream>>> {
        let Some(writer) = self.table.get_mut(&of)?.0.process.take_stdin() else { return Ok(None) };
        let stream: DynOutputStream = Box::new(AsyncWriteStream::new(WRITTEN_BYTES, writer?));
        Ok(Some(self.table.push(stream)?))
    }

    fn stdout(&mut self, of: Resource<Running>) -> wasmtime::Result<Option<Resource<DynInputStream>>> {
        let program = &mut self.table.get_mut(&of)?.0;
        let output = program.process.stdout.take();
        self.output(&of, output)
    }

    fn stderr(&mut self, of: Resource<Running>) -> wasmtime::Result<Option<Resource<DynInputStream>>> {
        let program = &mut self.table.get_mut(&of)?.0;
        let output = program.process.stderr.take();
        self.output(&of, output)
    }

    async fn wait(&mut self, of: Resource<Running>) -> Done<wit::Exit> {
        let program = &self.table.get(&of)?.0;
        let exit = program.wait(&self.turn.identity, self.turn.trace).await;
        Ok(exit.map(exit_to_wit).map_err(to_wit))
    }

    async fn exited(&mut self, of: Resource<Running>) -> Done<Option<wit::Exit>> {
        let program = &self.table.get(&of)?.0;
        let exited = program.exited(&self.turn.identity, self.turn.trace).await;
        Ok(exited.map(|exit| exit.map(exit_to_wit)).map_err(to_wit))
    }

    fn subscribe(&mut self, of: Resource<Running>) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = subscribe(&mut self.table, of)?;
        self.turn.name_pollable(pollable.rep(), Maker::Process);
        Ok(pollable)
    }

    async fn signal(&mut self, of: Resource<Running>, signal: wit::Signal) -> Done<()> {
        let signal = match signal {
            wit::Signal::Hangup => Signal::HUP,
            wit::Signal::Interrupt => Signal::INT,
            wit::Signal::Terminate => Signal::TERM,
            wit::Signal::UserOne => Signal::USR1,
            wit::Signal::UserTwo => Signal::USR2,
            wit::Signal::Kill => Signal::KILL,
        };
        let program = &self.table.get(&of)?.0;
        Ok(program.signal(&self.turn.identity, self.turn.trace, signal).await.map_err(to_wit))
    }

    fn drop(&mut self, of: Resource<Running>) -> wasmtime::Result<()> {
        self.table.delete(of)?;
        Ok(())
    }
}

impl Guest {
    fn output(
        &mut self,
        of: &Resource<Running>,
        output: Option<std::os::fd::OwnedFd>,
    ) -> wasmtime::Result<Option<Resource<DynInputStream>>> {
        let Some(output) = output else { return Ok(None) };
        let program = &self.table.get(of)?.0;
        let (child, grant) = (Arc::clone(&program.process.child), program.grant().clone());
        let stream: DynInputStream =
            Box::new(Output { pipe: AsyncReadStream::new(Process::reader(output)?), child, grant });
        Ok(Some(self.table.push(stream)?))
    }
}

/// What a program writes.
struct Output {
    pipe: AsyncReadStream,
    child: Arc<Child>,
    grant: Mark,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.pipe.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Output {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        // What it has written before is not for who is not granted it any more.
        if self.grant.is_revoked() {
            return Err(StreamError::Closed);
        }
        let read = self.pipe.read(size)?;
        if self.child.wrote(read.len()) { Ok(read) } else { Err(StreamError::Closed) }
    }

    async fn cancel(&mut self) {
        self.pipe.cancel().await;
    }
}

fn exit_to_wit(exit: Exit) -> wit::Exit {
    match exit {
        Exit::Status(status) => wit::Exit::Status(status),
        Exit::Signal(signal) => wit::Exit::Signal(signal),
        Exit::Limit(limit) => wit::Exit::Limit(limit.to_owned()),
        Exit::Revoked => wit::Exit::Revoked,
    }
}

fn to_wit(error: ProgramError) -> wit::ProcessError {
    match error {
        ProgramError::Denied(why) => wit::ProcessError::Denied(why),
        ProgramError::Overloaded(why) => wit::ProcessError::Overloaded(why),
        ProgramError::NotStarted(why) => wit::ProcessError::NotStarted(why),
        ProgramError::Ended => wit::ProcessError::Ended,
    }
}
