//! `wasi:filesystem` of WASI 0.3 at the door, by the rules of that of 0.2 in `host/file_door.rs`: what a guest does
//! with files and folders passes the layers, and is done by [`super::files`] then.

use bytes::Bytes;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, Accessor, FutureReader, HasData, HasSelf, Resource, StreamReader};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, Host, HostDescriptor,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::files;
use crate::capability::Access as GuestAccess;
use crate::engine::guest::Guest;
use crate::engine::host::file_door::{FileDoor, MOVE, needs_to_open};
use crate::engine::host::file_rights::{Opening, Refused};
use crate::engine::host::passed::{Told, answered, settle};
use crate::operation::{Operation, Operations};
use crate::turn::passing::Question;

/// The door of all guests.
pub(super) struct FileDoors;

impl HasData for FileDoors {
    type Data<'a> = FileDoor<'a>;
}

type Tasks = Accessor<Guest, FileDoors>;
type Store<'a> = Access<'a, Guest, FileDoors>;
type Ended = FutureReader<Result<(), ErrorCode>>;
type Behind = HasSelf<Guest>;

impl Told for DescriptorStat {}
impl Told for MetadataHashValue {}

/// Asks the layers, does it, and tells them what came of it; again, where one wants that.
macro_rules! through {
    ($asked:expr, $done:expr) => {{
        let mut asked = $asked;
        loop {
            let passing = match Box::pin(asked.enter(&mut Bytes::new())).await {
                Ok(passing) => passing,
                Err(answer) => break answered(answer, 0),
            };
            match Box::pin(settle(passing, $done, 0)).await {
                Ok(done) => break done,
                Err(again) => asked = again,
            }
        }
    }};
}

/// Calls the function behind the door.
macro_rules! behind {
    ($tasks:ident . $function:ident ( $($argument:expr),* )) => {{
        let tasks = behind($tasks);
        <Behind as HostDescriptorWithStore<Guest>>::$function(&tasks, $($argument),*).await
    }};
}

/// What is done with something that is open, where it is let by this right.
macro_rules! of_open {
    ($tasks:ident, $right:ident, $operation:ident, $of:ident . $function:ident ( $($argument:expr),* )) => {{
        needs($tasks, GuestAccess::$right, Operation::$operation, &$of, "")?;
        match asks_of($tasks, Operation::$operation, &$of) {
            None => behind!($tasks.$function($of $(, $argument)*)),
            Some(asked) => through!(asked, behind!($tasks.$function(again(&$of) $(, $argument)*))),
        }
    }};
}

/// What is done with a path in a folder.
macro_rules! at_path {
    ($tasks:ident, $asked:expr => $operation:ident, $at:ident, $path:ident, $done:expr) => {
        match $asked {
            None => {
                let done = $done;
                look($tasks, done, Operation::$operation, &$at, &$path)
            }
            Some(asked) => through!(asked, {
                let done = $done;
                look($tasks, done, Operation::$operation, &$at, &$path)
            }),
        }
    };
    ($tasks:ident, $right:ident, $operation:ident, $at:ident, $path:ident, $function:ident ( $($argument:expr),* )) => {{
        let operation = Operation::$operation;
        needs($tasks, GuestAccess::$right, operation, &$at, &$path)?;
        let asked = asks_at($tasks, operation, operation.into(), &$at, &$path);
        at_path!($tasks, asked => $operation, $at, $path, behind!($tasks.$function(again(&$at) $(, $argument)*)))
    }};
}

fn behind(tasks: &Tasks) -> Accessor<Guest, Behind> {
    tasks.with_getter(|guest| guest)
}

fn again(of: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(of.rep())
}

fn with<T>(tasks: &Tasks, work: impl FnOnce(&mut Guest) -> T) -> T {
    tasks.with(|mut store| work(store.as_context_mut().data_mut()))
}

fn asks_of(tasks: &Tasks, operation: Operation, of: &Resource<Descriptor>) -> Option<Question> {
    with(tasks, |guest| guest.asks_of(operation, of))
}

fn asks_at(
    tasks: &Tasks,
    operation: Operation,
    needs: Operations,
    at: &Resource<Descriptor>,
    path: &str,
) -> Option<Question> {
    with(tasks, |guest| guest.asks_at(operation, needs, at, path))
}

/// [`asks_at`], of something that has two paths.
fn asks_of_both(
    tasks: &Tasks,
    operation: Operation,
    needs: Operations,
    (at, path): (&Resource<Descriptor>, &str),
    (also_at, also): (&Resource<Descriptor>, &str),
) -> Option<Question> {
    with(tasks, |guest| {
        let mut asked = guest.asks_at(operation, needs, at, path)?;
        asked.also = Some(guest.name_at(also_at, also));
        Some(asked)
    })
}

/// Asks for a right in the folder that something is open in.
fn needs(
    tasks: &Tasks,
    right: GuestAccess,
    operation: Operation,
    of: &Resource<Descriptor>,
    path: &str,
) -> FilesystemResult<()> {
    with(tasks, |guest| guest.needs(right, operation, of, path)).map_err(refused)
}

/// It was told.
fn refused(_: Refused) -> FilesystemError {
    ErrorCode::NotPermitted.into()
}

/// The same for what answers with a stream. What is denied by the grants.
fn lets(store: &mut Store<'_>, right: GuestAccess, operation: Operation, of: &Resource<Descriptor>) -> bool {
    store.as_context_mut().data_mut().needs(right, operation, of, "").is_ok()
}

fn not_permitted(store: &mut Store<'_>) -> wasmtime::Result<Ended> {
    FutureReader::new(store, async { wasmtime::error::Ok(Err(ErrorCode::NotPermitted)) })
}

/// Empties a file that was opened to be.
async fn empty(tasks: &Tasks, empties: bool, file: &Resource<Descriptor>) -> FilesystemResult<()> {
    if empties { behind!(tasks.set_size(again(file), 0)) } else { Ok(()) }
}

/// Tells of it where it was denied by what is granted.
fn look<T>(
    tasks: &Tasks,
    done: FilesystemResult<T>,
    operation: Operation,
    at: &Resource<Descriptor>,
    path: &str,
) -> FilesystemResult<T> {
    if let Err(error) = &done
        && let Some(ErrorCode::NotPermitted) = error.downcast_ref()
    {
        with(tasks, |guest| guest.tell_denied(operation, at, path));
    }
    done
}

impl Host for FileDoor<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for FileDoor<'_> {
    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(self.guest(), of)
    }
}

impl HostDescriptorWithStore<Guest> for FileDoors {
    fn read_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Ended)> {
        if !lets(&mut store, GuestAccess::READ, Operation::FileRead, &file) {
            return Ok((StreamReader::new(&mut store, std::iter::empty())?, not_permitted(&mut store)?));
        }
        Behind::read_via_stream(own(&mut store), file, offset)
    }

    fn write_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        mut bytes: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Ended> {
        if !lets(&mut store, GuestAccess::WRITE, Operation::FileWrite, &file) {
            bytes.close(&mut store)?;
            return not_permitted(&mut store);
        }
        Behind::write_via_stream(own(&mut store), file, bytes, offset)
    }

    fn append_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        mut bytes: StreamReader<u8>,
    ) -> wasmtime::Result<Ended> {
        if !lets(&mut store, GuestAccess::WRITE, Operation::FileWrite, &file) {
            bytes.close(&mut store)?;
            return not_permitted(&mut store);
        }
        Behind::append_via_stream(own(&mut store), file, bytes)
    }

    fn read_directory(
        mut store: Store<'_>,
        folder: Resource<Descriptor>,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Ended)> {
        if !lets(&mut store, GuestAccess::LIST, Operation::FileList, &folder) {
            return Ok((StreamReader::new(&mut store, std::iter::empty())?, not_permitted(&mut store)?));
        }
        Behind::read_directory(own(&mut store), folder)
    }

    async fn open_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with_flags: DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let reads = with_flags.contains(DescriptorFlags::READ);
        let writes = with_flags.contains(DescriptorFlags::WRITE) || open.contains(OpenFlags::TRUNCATE);
        let creates = open.contains(OpenFlags::CREATE);
        let opening = Opening { reads, writes, creates, is_exclusive: open.contains(OpenFlags::EXCLUSIVE) };
        let making = with(tasks, |guest| {
            guest.is_unrecorded("files by WASI 0.3");
            guest.needs_to_open(opening, &at, &path)
        });
        let making = making.map_err(refused)?;
        let needs = needs_to_open(reads, writes, creates);
        let asked = asks_at(tasks, Operation::FileOpen, needs, &at, &path);
        let empties = asked.is_some() && open.contains(OpenFlags::TRUNCATE);
        let open = if empties { open & !OpenFlags::TRUNCATE } else { open };
        let own = behind(tasks);
        let made = || files::open_made(&own, again(&at), making, flags, path.clone(), open, with_flags);
        let opened = at_path!(tasks, asked => FileOpen, at, path, made().await)?;
        let file = again(&opened);
        let had = with(tasks, |guest| guest.needs_to_have(opening, at.rep(), &path, &opened)).map_err(refused);
        let asked = with(tasks, |guest| guest.opened(at.rep(), &path, needs, &opened));
        let looked: FilesystemResult<()> = match (had, asked) {
            (Err(refused), _) => Err(refused),
            (Ok(()), Some(asked)) => through!(asked, empty(tasks, empties, &file).await),
            (Ok(()), None) => empty(tasks, empties, &file).await,
        };
        if let Err(error) = looked {
            with(tasks, |guest| HostDescriptor::drop(guest, opened)).map_err(FilesystemError::trap)?;
            return Err(error);
        }
        Ok(opened)
    }

    async fn set_size(tasks: &Tasks, file: Resource<Descriptor>, size: Filesize) -> FilesystemResult<()> {
        of_open!(tasks, WRITE, FileWrite, file.set_size(size))
    }

    async fn create_directory_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        at_path!(tasks, CREATE, FileCreate, at, path, create_directory_at(path.clone()))
    }

    async fn symlink_at(tasks: &Tasks, at: Resource<Descriptor>, says: String, path: String) -> FilesystemResult<()> {
        at_path!(tasks, CREATE, FileCreate, at, path, symlink_at(says.clone(), path.clone()))
    }

    async fn link_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        with(tasks, |guest| guest.needs_to_link(&at, &path, &to, &to_path)).map_err(refused)?;
        let operation = Operation::FileCreate;
        let asked = asks_of_both(tasks, operation, operation.into(), (&to, &to_path), (&at, &path));
        at_path!(tasks, asked => FileCreate, at, path, {
            behind!(tasks.link_at(again(&at), flags, path.clone(), again(&to), to_path.clone()))
        })
    }

    async fn rename_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        let renaming = with(tasks, |guest| guest.needs_to_rename(&at, &path, &to, &to_path)).map_err(refused)?;
        let asked = asks_of_both(tasks, Operation::FileMove, MOVE, (&at, &path), (&to, &to_path));
        let own = behind(tasks);
        let renamed = || files::renamed(&own, again(&at), renaming, path.clone(), again(&to), to_path.clone());
        at_path!(tasks, asked => FileMove, at, path, renamed().await)
    }

    async fn advise(
        tasks: &Tasks,
        file: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        behind!(tasks.advise(file, offset, length, advice))
    }

    async fn sync_data(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<()> {
        behind!(tasks.sync_data(of))
    }

    async fn sync(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<()> {
        behind!(tasks.sync(of))
    }

    async fn get_flags(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorFlags> {
        behind!(tasks.get_flags(of))
    }

    async fn get_type(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorType> {
        behind!(tasks.get_type(of))
    }

    async fn set_times(
        tasks: &Tasks,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        of_open!(tasks, WRITE, FileWrite, of.set_times(accessed, modified))
    }

    async fn stat(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorStat> {
        of_open!(tasks, NONE, FileInspect, of.stat())
    }

    async fn stat_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        at_path!(tasks, NONE, FileInspect, at, path, stat_at(flags, path.clone()))
    }

    async fn set_times_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        at_path!(tasks, WRITE, FileWrite, at, path, set_times_at(flags, path.clone(), accessed, modified))
    }

    async fn readlink_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<String> {
        at_path!(tasks, NONE, FileInspect, at, path, readlink_at(path.clone()))
    }

    async fn remove_directory_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        at_path!(tasks, DELETE, FileRemove, at, path, remove_directory_at(path.clone()))
    }

    async fn unlink_file_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        at_path!(tasks, DELETE, FileRemove, at, path, unlink_file_at(path.clone()))
    }

    async fn is_same_object(
        tasks: &Tasks,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        behind!(tasks.is_same_object(one, other))
    }

    async fn metadata_hash(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<MetadataHashValue> {
        of_open!(tasks, NONE, FileInspect, of.metadata_hash())
    }

    async fn metadata_hash_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        at_path!(tasks, NONE, FileInspect, at, path, metadata_hash_at(flags, path.clone()))
    }
}

/// The same behind the door, for those that do not wait.
fn own<'a>(store: &'a mut Store<'_>) -> Access<'a, Guest, Behind> {
    Access::new(store.as_context_mut(), |guest| guest)
}
