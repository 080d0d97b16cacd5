//! What of a guest's files the layers are asked about: what is open, and paths in it.

use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;

use super::file_names::joined;
use crate::engine::guest::Guest;
use crate::operation::{Operation, Operations};
use crate::turn::passing::Question;

impl Guest {
    /// A question to the layers about what is open; none where they have nothing to do with it.
    #[inline]
    pub(in crate::engine) fn asks_of(&self, operation: Operation, of: &Resource<Descriptor>) -> Option<Question> {
        self.turn.asks(operation, operation.into(), || self.names.of(of.rep()))
    }

    /// The same about a path in a folder.
    #[inline]
    pub(in crate::engine) fn asks_at(
        &self,
        operation: Operation,
        needs: Operations,
        at: &Resource<Descriptor>,
        path: &str,
    ) -> Option<Question> {
        self.turn.asks(operation, needs, || self.name_at(at, path))
    }

    pub(in crate::engine) fn name_at(&self, at: &Resource<Descriptor>, path: &str) -> Arc<str> {
        joined(&self.names.of(at.rep()), path).into()
    }

    /// This path was opened, and is to be known by its name. A question about that name, where a layer has to do with
    /// it and has not been asked about it: of a link.
    pub(in crate::engine) fn opened(
        &mut self,
        at: u32,
        path: &str,
        needs: Operations,
        opened: &Resource<Descriptor>,
    ) -> Option<Question> {
        let folder = self.names.of(at);
        let asked = joined(&folder, path);
        let looked = self.turn.asks(Operation::FileOpen, Operations::FILES, Arc::default);
        let name = looked.and_then(|_| self.real_name(at, &folder, opened)).filter(|name| *name != asked);
        let Some(name) = name else {
            self.names.opened(at, opened, asked.into());
            return None;
        };
        let name: Arc<str> = name.into();
        self.names.opened(at, opened, Arc::clone(&name));
        self.turn.asks(Operation::FileOpen, needs, || name)
    }

    /// The name that what is open has now, links followed. The host's own paths are looked at only to compare them.
    fn real_name(&self, at: u32, folder: &str, opened: &Resource<Descriptor>) -> Option<String> {
        let at = path_of(self.table.get(&Resource::<Descriptor>::new_borrow(at)).ok()?)?;
        let opened = path_of(self.table.get(opened).ok()?)?;
        Some(joined(folder, opened.strip_prefix(at).ok()?.to_str()?))
    }
}

/// What is open never lies outside of the folder that it was opened in.
fn path_of(open: &Descriptor) -> Option<PathBuf> {
    let number: RawFd = match open {
        Descriptor::File(file) => file.file.as_raw_fd(),
        Descriptor::Dir(folder) => folder.dir.as_raw_fd(),
    };
    std::fs::read_link(format!("/proc/self/fd/{number}")).ok()
}
