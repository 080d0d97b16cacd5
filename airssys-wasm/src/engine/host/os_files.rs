//! `airssys:os/files`: what WASI has no word for in a granted folder. What is decided and done is in `turn/files.rs`.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, subscribe};

use super::outside::Asked;
use super::watched::Watched;
use crate::engine::bindings::os_files::airssys::os::files as wit;
use crate::engine::guest::Guest;
use crate::files::{Change, Seen, What};
use crate::turn::Maker;
use crate::turn::files::FileError;
use crate::turn::outside::{Change as Changed, NOT_PERMITTED, Said};

type Done<T> = wasmtime::Result<Result<T, wit::FileError>>;

/// What the guest has of it: itself, and what it waits by.
const RESOURCES: usize = 2;

impl wit::Host for Guest {
    async fn append(&mut self, path: String, record: Vec<u8>, sync: bool) -> Done<()> {
        let record = Bytes::from(record);
        let asked = self.ask_about(&path, || Changed::Write { from: None, bytes: record.clone() });
        let (identity, trace) = (Arc::clone(&self.turn.identity), self.turn.trace);
        self.recorded(asked, async { identity.append(trace, &path, record, sync).await }).await
    }

    async fn replace(&mut self, path: String, content: Vec<u8>) -> Done<()> {
        let content = Bytes::from(content);
        let asked = self.ask_about(&path, || Changed::Replace { bytes: content.clone() });
        let (identity, trace) = (Arc::clone(&self.turn.identity), self.turn.trace);
        self.recorded(asked, async { identity.replace(trace, &path, content).await }).await
    }
}

impl wit::HostWatch for Guest {
    async fn start(&mut self, path: String) -> Done<Resource<Watched>> {
        if !self.has_room(RESOURCES) {
            self.turn.identity.reach("resources", format_args!("asks to watch {path}"));
            return Ok(Err(wit::FileError::Overloaded("this instance has as many resources as it may".to_owned())));
        }
        let identity = Arc::clone(&self.turn.identity);
        Ok(match identity.watch(self.turn.trace, &path).await {
            Ok(watching) => {
                self.is_unrecorded("a watch");
                Ok(self.table.push(Watched(watching))?)
            }
            Err(error) => Err(to_wit(error)),
        })
    }

    fn take(&mut self, of: Resource<Watched>) -> Done<wit::Changes> {
        let watching = &self.table.get(&of)?.0;
        Ok(watching.take(&self.turn.identity).map(changes).map_err(to_wit))
    }

    fn subscribe(&mut self, of: Resource<Watched>) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = subscribe(&mut self.table, of)?;
        self.turn.name_pollable(pollable.rep(), Maker::Watch);
        Ok(pollable)
    }

    fn drop(&mut self, of: Resource<Watched>) -> wasmtime::Result<()> {
        self.table.delete(of)?;
        Ok(())
    }
}

impl Guest {
    /// Does it, unless a script says what came of it, which is written down for a recorder.
    async fn recorded(&mut self, asked: Asked, done: impl Future<Output = Result<(), FileError>>) -> Done<()> {
        Ok(match asked {
            Asked::Nobody => done.await.map_err(to_wit),
            Asked::Told(Ok(_)) => Ok(()),
            Asked::Told(Err(told)) => Err(to_wit(error_of(&told))),
            Asked::Never => std::future::pending().await,
            Asked::Noted(asked) => {
                let done = Box::pin(done).await;
                let told = match &done {
                    Ok(()) => Ok(Said::Done),
                    Err(error) => Err(format!("{}: {error}", word(error))),
                };
                self.note(asked, Some(told));
                done.map_err(to_wit)
            }
        })
    }
}

/// The word for an error, as a recording has it.
fn word(error: &FileError) -> &'static str {
    match error {
        FileError::Denied(_) => "denied",
        FileError::Overloaded(_) => "overloaded",
        FileError::NoRoom(_) => "no-room",
        FileError::NotFound(_) => "not-found",
        FileError::Failed(_) => "failed",
    }
}

/// The error that was recorded so.
fn error_of(told: &str) -> FileError {
    let (word, text) = told.split_once(": ").unwrap_or((told, told));
    let text = text.to_owned();
    match word {
        "denied" | NOT_PERMITTED => FileError::Denied(text),
        "overloaded" => FileError::Overloaded(text),
        "no-room" => FileError::NoRoom(text),
        "not-found" => FileError::NotFound(text),
        _ => FileError::Failed(text),
    }
}

fn changes(seen: Seen) -> wit::Changes {
    let change = |Change { what, name }| {
        let what = match what {
            What::Made => wit::What::Made,
            What::Written => wit::What::Written,
            What::Arrived => wit::What::Arrived,
            What::Left => wit::What::Left,
            What::Removed => wit::What::Removed,
            What::Touched => wit::What::Touched,
        };
        wit::Change { what, name }
    };
    wit::Changes { all: seen.all.into_iter().map(change).collect(), lost: seen.lost, is_over: seen.is_over }
}

fn to_wit(error: FileError) -> wit::FileError {
    match error {
        FileError::Denied(why) => wit::FileError::Denied(why),
        FileError::Overloaded(why) => wit::FileError::Overloaded(why),
        FileError::NoRoom(why) => wit::FileError::NoRoom(why),
        FileError::NotFound(why) => wit::FileError::NotFound(why),
        FileError::Failed(why) => wit::FileError::Failed(why),
    }
}
