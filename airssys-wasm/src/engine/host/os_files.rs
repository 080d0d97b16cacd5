//! `airssys:os/files`: what WASI has no word for in a granted folder. What is decided and done is in `turn/files.rs`.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, subscribe};

use super::watched::Watched;
use crate::engine::bindings::os_files::airssys::os::files as wit;
use crate::engine::guest::Guest;
use crate::files::{Change, Seen, What};
use crate::turn::Maker;
use crate::turn::files::FileError;

type Done<T> = wasmtime::Result<Result<T, wit::FileError>>;

/// What the guest has of it: itself, and what it waits by.
const RESOURCES: usize = 2;

impl wit::Host for Guest {
    async fn append(&mut self, path: String, record: Vec<u8>, sync: bool) -> Done<()> {
        let identity = Arc::clone(&self.turn.identity);
        Ok(identity.append(self.turn.trace, &path, record.into(), sync).await.map_err(to_wit))
    }

    async fn replace(&mut self, path: String, content: Vec<u8>) -> Done<()> {
        let identity = Arc::clone(&self.turn.identity);
        Ok(identity.replace(self.turn.trace, &path, content.into()).await.map_err(to_wit))
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
            Ok(watching) => Ok(self.table.push(Watched(watching))?),
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
