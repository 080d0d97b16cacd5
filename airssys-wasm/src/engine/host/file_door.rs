//! `wasi:filesystem` at the door: what a guest does with files and folders passes the layers, and is done by
//! [`super::files`] then. What is only asked of an open file for itself, its flags and its type, does not.
//!
//! What is granted is asked of the handle before that: see [`super::file_rights`].
//!
//! Where no layer applies to files, each function costs a look-up and one test of a set more than the one behind it.

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::file_passing::{PassingReader, PassingWriter};
use super::file_rights::{Opening, Refused};
use super::passed::{answered, settle};
use crate::capability::Access;
use crate::engine::guest::Guest;
use crate::operation::{Operation, Operations};

/// A guest at the door.
pub(in crate::engine) struct FileDoor<'a>(&'a mut Guest);

pub(in crate::engine) fn at_the_door(guest: &mut Guest) -> FileDoor<'_> {
    FileDoor(guest)
}

/// Asks the layers, does it, and tells them what came of it; again, where one wants that.
macro_rules! through {
    ($asked:expr, $done:expr) => {
        through!($asked, body = Bytes::new(), $done)
    };
    ($asked:expr, $body:ident = $bytes:expr, $done:expr) => {{
        let (mut asked, bytes) = ($asked, $bytes);
        let length = bytes.len() as u64;
        loop {
            let mut $body = bytes.clone();
            // Boxed: where no layer applies, nobody carries it around.
            let passing = match Box::pin(asked.enter(&mut $body)).await {
                Ok(passing) => passing,
                Err(answer) => break answered(answer, length),
            };
            let done = $done;
            match Box::pin(settle(passing, done, length)).await {
                Ok(done) => break done,
                Err(again) => asked = again,
            }
        }
    }};
}

/// What is done with something that is open, where it is let by this right.
macro_rules! of_open {
    ($door:ident, $right:ident, $operation:ident, $of:ident . $function:ident ( $($argument:expr),* )) => {{
        $door.0.needs(Access::$right, Operation::$operation, &$of, "").map_err(refused)?;
        match $door.0.asks_of(Operation::$operation, &$of) {
            None => $door.0.$function($of, $($argument),*).await,
            Some(asked) => through!(asked, $door.0.$function(again(&$of), $($argument),*).await),
        }
    }};
}

/// What is done with a path in a folder. The strings are cloned, for what may be done again or denied.
macro_rules! at_path {
    ($door:ident, $asked:expr => $operation:ident, $at:ident, $path:ident, $function:ident ( $($argument:expr),* )) => {
        match $asked {
            None => {
                let done = $door.0.$function(again(&$at), $($argument),*).await;
                $door.look(done, Operation::$operation, &$at, &$path)
            }
            Some(asked) => through!(asked, {
                let done = $door.0.$function(again(&$at), $($argument),*).await;
                $door.look(done, Operation::$operation, &$at, &$path)
            }),
        }
    };
    ($door:ident, $right:ident, $operation:ident, $at:ident, $path:ident, $function:ident ( $($argument:expr),* )) => {{
        let operation = Operation::$operation;
        $door.0.needs(Access::$right, operation, &$at, &$path).map_err(refused)?;
        let asked = $door.0.asks_at(operation, operation.into(), &$at, &$path);
        at_path!($door, asked => $operation, $at, $path, $function($($argument),*))
    }};
}

fn again<T: 'static>(of: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(of.rep())
}

/// It was told.
fn refused(_: Refused) -> FsError {
    ErrorCode::NotPermitted.into()
}

/// All that opening something so needs.
pub(in crate::engine) fn needs_to_open(reads: bool, writes: bool, creates: bool) -> Operations {
    let also = |yes: bool, operation: Operation| if yes { operation.into() } else { Operations::NONE };
    Operations::of(Operation::FileOpen)
        | also(reads, Operation::FileRead)
        | also(writes, Operation::FileWrite)
        | also(creates, Operation::FileCreate)
}

/// What giving something another name needs.
pub(in crate::engine) const MOVE: Operations =
    Operations::of(Operation::FileMove).and(Operation::FileRemove).and(Operation::FileCreate);

impl FileDoor<'_> {
    #[cfg(feature = "wasi-0-3")]
    pub(in crate::engine) fn guest(&mut self) -> &mut Guest {
        self.0
    }

    /// Empties a file that was opened to be.
    async fn empty(&mut self, empties: bool, file: &Resource<Descriptor>) -> FsResult<()> {
        if empties { self.0.set_size(again(file), 0).await } else { Ok(()) }
    }

    /// Tells of it where it was denied by what is granted: a layer's rejection is the layer's.
    fn look<T>(
        &mut self,
        done: FsResult<T>,
        operation: Operation,
        at: &Resource<Descriptor>,
        path: &str,
    ) -> FsResult<T> {
        if let Err(error) = &done
            && let Some(ErrorCode::NotPermitted) = error.downcast_ref()
        {
            self.0.tell_denied(operation, at, path);
        }
        done
    }
}

impl Host for FileDoor<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.0.convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.0.filesystem_error_code(error)
    }
}

impl HostDescriptor for FileDoor<'_> {
    async fn open_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let reads = with.contains(DescriptorFlags::READ);
        let writes = with.contains(DescriptorFlags::WRITE) || open.contains(OpenFlags::TRUNCATE);
        let creates = open.contains(OpenFlags::CREATE);
        let opening = Opening { reads, writes, creates, is_exclusive: open.contains(OpenFlags::EXCLUSIVE) };
        let making = self.0.needs_to_open(opening, &at, &path).map_err(refused)?;
        let needs = needs_to_open(reads, writes, creates);
        let asked = self.0.asks_at(Operation::FileOpen, needs, &at, &path);
        // Where it is asked about, it is emptied when it is known what was opened.
        let empties = asked.is_some() && open.contains(OpenFlags::TRUNCATE);
        let open = if empties { open & !OpenFlags::TRUNCATE } else { open };
        let opened = at_path!(self, asked => FileOpen, at, path, open_made(making, flags, path.clone(), open, with))?;
        let file = again(&opened);
        let had = self.0.needs_to_have(opening, at.rep(), &path, &opened).map_err(refused);
        let looked: FsResult<()> = match (had, self.0.opened(at.rep(), &path, needs, &opened)) {
            (Err(refused), _) => Err(refused),
            (Ok(()), Some(asked)) => through!(asked, self.empty(empties, &file).await),
            (Ok(()), None) => self.empty(empties, &file).await,
        };
        if let Err(error) = looked {
            HostDescriptor::drop(self.0, opened).map_err(FsError::trap)?;
            return Err(error);
        }
        Ok(opened)
    }

    async fn read_directory(&mut self, folder: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        of_open!(self, LIST, FileList, folder.read_directory())
    }

    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.0.needs(Access::READ, Operation::FileRead, &file, "").map_err(refused)?;
        let asked = self.0.asks_of(Operation::FileRead, &file);
        let stream = self.0.read_via_stream(file, offset)?;
        if let Some(asked) = asked {
            PassingReader::put_around(self.0.table.get_mut(&stream)?, asked);
        }
        Ok(stream)
    }

    fn write_via_stream(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.0.needs(Access::WRITE, Operation::FileWrite, &file, "").map_err(refused)?;
        let asked = self.0.asks_of(Operation::FileWrite, &file);
        let stream = self.0.write_via_stream(file, offset)?;
        if let Some(asked) = asked {
            PassingWriter::put_around(self.0.table.get_mut(&stream)?, asked);
        }
        Ok(stream)
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.0.needs(Access::WRITE, Operation::FileWrite, &file, "").map_err(refused)?;
        let asked = self.0.asks_of(Operation::FileWrite, &file);
        let stream = self.0.append_via_stream(file)?;
        if let Some(asked) = asked {
            PassingWriter::put_around(self.0.table.get_mut(&stream)?, asked);
        }
        Ok(stream)
    }

    async fn advise(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.0.advise(file, offset, length, advice).await
    }

    async fn sync_data(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        self.0.sync_data(of).await
    }

    async fn get_flags(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.0.get_flags(of).await
    }

    async fn get_type(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.0.get_type(of).await
    }

    async fn set_size(&mut self, file: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        of_open!(self, WRITE, FileWrite, file.set_size(size))
    }

    async fn set_times(
        &mut self,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        of_open!(self, WRITE, FileWrite, of.set_times(accessed, modified))
    }

    async fn read(
        &mut self,
        file: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.0.needs(Access::READ, Operation::FileRead, &file, "").map_err(refused)?;
        match self.0.asks_of(Operation::FileRead, &file) {
            None => self.0.read(file, length, offset).await,
            Some(mut asked) => {
                asked.wants_bytes = length;
                through!(asked, self.0.read(again(&file), length, offset).await)
            }
        }
    }

    async fn write(&mut self, file: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.0.needs(Access::WRITE, Operation::FileWrite, &file, "").map_err(refused)?;
        match self.0.asks_of(Operation::FileWrite, &file) {
            None => self.0.write(file, bytes, offset).await,
            Some(asked) => {
                through!(asked, body = Bytes::from(bytes), self.0.write(again(&file), body.into(), offset).await)
            }
        }
    }

    async fn sync(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        self.0.sync(of).await
    }

    async fn create_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_path!(self, CREATE, FileCreate, at, path, create_directory_at(path.clone()))
    }

    async fn stat(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        of_open!(self, NONE, FileInspect, of.stat())
    }

    async fn stat_at(&mut self, at: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        at_path!(self, NONE, FileInspect, at, path, stat_at(flags, path.clone()))
    }

    async fn set_times_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        at_path!(self, WRITE, FileWrite, at, path, set_times_at(flags, path.clone(), accessed, modified))
    }

    async fn link_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        self.0.needs_to_link(&at, &path, &to, &to_path).map_err(refused)?;
        let mut asked = self.0.asks_at(Operation::FileCreate, Operation::FileCreate.into(), &to, &to_path);
        if let Some(asked) = &mut asked {
            asked.also = Some(self.0.name_at(&at, &path));
        }
        at_path!(self, asked => FileCreate, at, path, link_at(flags, path.clone(), again(&to), to_path.clone()))
    }

    async fn readlink_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<String> {
        at_path!(self, NONE, FileInspect, at, path, readlink_at(path.clone()))
    }

    async fn remove_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_path!(self, DELETE, FileRemove, at, path, remove_directory_at(path.clone()))
    }

    async fn rename_at(
        &mut self,
        at: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let renaming = self.0.needs_to_rename(&at, &path, &to, &to_path).map_err(refused)?;
        let mut asked = self.0.asks_at(Operation::FileMove, MOVE, &at, &path);
        if let Some(asked) = &mut asked {
            asked.also = Some(self.0.name_at(&to, &to_path));
        }
        at_path!(self, asked => FileMove, at, path, renamed(renaming, path.clone(), again(&to), to_path.clone()))
    }

    async fn symlink_at(&mut self, at: Resource<Descriptor>, says: String, path: String) -> FsResult<()> {
        at_path!(self, CREATE, FileCreate, at, path, symlink_at(says.clone(), path.clone()))
    }

    async fn unlink_file_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_path!(self, DELETE, FileRemove, at, path, unlink_file_at(path.clone()))
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.0.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, of: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        of_open!(self, NONE, FileInspect, of.metadata_hash())
    }

    async fn metadata_hash_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        at_path!(self, NONE, FileInspect, at, path, metadata_hash_at(flags, path.clone()))
    }

    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(self.0, of)
    }
}

impl HostDirectoryEntryStream for FileDoor<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.0.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(self.0, stream)
    }
}
