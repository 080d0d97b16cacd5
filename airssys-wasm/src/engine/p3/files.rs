//! `wasi:filesystem` of WASI 0.3, by the rules of that of 0.2 in `host/files.rs`: wasmtime's own, on the threads of the
//! guest's service, with a look for room before something is opened or made.
//!
//! Tasks of a guest do this side by side, so nothing of its store is held while a file is waited for.

use std::fs::File;
use std::io;
use std::sync::Arc;

use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, Accessor, FutureReader, HasSelf, Resource, StreamReader};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor as SecondDescriptor;
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, Host, HostDescriptor,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::file_streams::{Entries, Reading, Writing};
use crate::capability::Access as GuestAccess;
use crate::engine::guest::Guest;
use crate::engine::host::bounded_writer::Position;
use crate::engine::host::file_rights::{Making, Renaming, rename_where_free};
use crate::engine::host::opening::{Asked, First, Found, Plan};
use crate::file_threads::FileThreads;
use crate::limits::NODE_BYTES;
use crate::operation::Operation;
use crate::quota::Quota;
use crate::seeded::Seeded;
use crate::turn::passing::Question;

type Tasks = Accessor<Guest, HasSelf<Guest>>;
type Store<'a> = Access<'a, Guest, HasSelf<Guest>>;
type Ended = FutureReader<Result<(), ErrorCode>>;

const FULL: ErrorCode = ErrorCode::InsufficientMemory;

/// Calls wasmtime's function of this name, on the threads of the service.
macro_rules! on_threads {
    ($tasks:ident . $function:ident ( $($argument:expr),* )) => {{
        let (threads, files) = (threads($tasks), files($tasks));
        threads.run(<WasiFilesystem as HostDescriptorWithStore<Guest>>::$function(&files, $($argument),*)).await
    }};
}

/// The same, where it makes so many bytes more in a folder that has a bound; and no other change of that folder is
/// missed while it is measured.
macro_rules! with_room {
    ($tasks:ident, $quota:expr, $bytes:expr, $function:ident ( $($argument:expr),* )) => {{
        let (threads, files) = (threads($tasks), files($tasks));
        let (quota, bytes) = ($quota, $bytes);
        let work = async {
            let _room = match &quota {
                Some(quota) => Some(quota.room(bytes).await?),
                None => None,
            };
            <WasiFilesystem as HostDescriptorWithStore<Guest>>::$function(&files, $($argument),*).await
        };
        threads.run(work).await
    }};
}

impl preopens::Host for Guest {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.granted_folders()
    }
}

impl Host for Guest {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for Guest {
    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        SecondDescriptor::drop(self, of)
    }
}

impl HostDescriptorWithStore<Guest> for HasSelf<Guest> {
    fn read_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Ended)> {
        let guest = store.get();
        let (threads, asked) = (guest.file_threads(), guest.asks_of(Operation::FileRead, &file));
        let Descriptor::File(found) = guest.table.get(&file)? else {
            return WasiFilesystem::read_via_stream(own(&mut store), file, offset);
        };
        let (reading, ended) = Reading::new(threads, Arc::clone(&found.file), offset, asked);
        Ok((StreamReader::new(&mut store, reading)?, FutureReader::new(&mut store, ended)?))
    }

    fn write_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        bytes: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Ended> {
        let asked = store.get().asks_of(Operation::FileWrite, &file);
        match store.get().bounded(&file)? {
            Some(bounded) => write(store, bounded, bytes, Position::At(offset), asked),
            None => WasiFilesystem::write_via_stream(own(&mut store), file, bytes, offset),
        }
    }

    fn append_via_stream(
        mut store: Store<'_>,
        file: Resource<Descriptor>,
        bytes: StreamReader<u8>,
    ) -> wasmtime::Result<Ended> {
        let asked = store.get().asks_of(Operation::FileWrite, &file);
        match store.get().bounded(&file)? {
            Some(bounded) => write(store, bounded, bytes, Position::End, asked),
            None => WasiFilesystem::append_via_stream(own(&mut store), file, bytes),
        }
    }

    fn read_directory(
        mut store: Store<'_>,
        folder: Resource<Descriptor>,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Ended)> {
        let guest = store.get();
        let (threads, listed) = (guest.file_threads(), guest.listings.begin());
        let asked = guest.asks_of(Operation::FileList, &folder);
        let Descriptor::Dir(found) = guest.table.get(&folder)? else {
            return WasiFilesystem::read_directory(own(&mut store), folder);
        };
        let (entries, ended) = Entries::new(threads, Arc::clone(&found.dir), listed, asked);
        Ok((StreamReader::new(&mut store, entries)?, FutureReader::new(&mut store, ended)?))
    }

    async fn open_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with: DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let Some(_expected) = tasks.with(|mut store| store.get().expect(1)) else { return Err(FULL.into()) };
        let found = on_threads!(tasks.stat_at(again(&at), flags, path.clone())).ok().map(|found| kind(&found.type_));
        let quota = quota(tasks, &at);
        let asked =
            Asked { creates: open.contains(OpenFlags::CREATE), is_exclusive: open.contains(OpenFlags::EXCLUSIVE) };
        let Some(plan) = Plan::of(found, asked, quota.is_some()) else {
            return Err(ErrorCode::Unsupported.into());
        };
        let mut opened = Err(ErrorCode::NoEntry.into());
        if let Some(first) = plan.first {
            let open = match first {
                First::AsAsked => open,
                First::OnlyIfThere => open & (OpenFlags::DIRECTORY | OpenFlags::TRUNCATE),
            };
            opened = on_threads!(tasks.open_at(again(&at), flags, path.clone(), open, with));
        }
        let Some(quota) = quota else { return opened };
        let is_gone = matches!(&opened, Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)));
        if let Some(bytes) = plan.make_bytes.filter(|_| is_gone) {
            let (threads, files) = (threads(tasks), files(tasks));
            // As in `host/files.rs`: the folder is not kept from being measured meanwhile.
            let make = async {
                drop(quota.room(bytes).await?);
                <WasiFilesystem as HostDescriptorWithStore<Guest>>::open_at(&files, at, flags, path, open, with).await
            };
            opened = threads.run(make).await;
        }
        let opened = opened?;
        let bounded = tasks.with(|mut store| {
            let guest = store.get();
            guest.quotas.insert(opened.rep(), quota);
            guest.bounded(&opened)
        });
        if let Some((file, quota)) = bounded.map_err(FilesystemError::trap)?
            && let Err(full) = threads(tasks).blocking(move || quota.opened(&file)).await
        {
            let dropped = tasks.with(|mut store| HostDescriptor::drop(store.get(), opened));
            dropped.map_err(FilesystemError::trap)?;
            return Err(full.into());
        }
        Ok(opened)
    }

    async fn set_size(tasks: &Tasks, file: Resource<Descriptor>, size: Filesize) -> FilesystemResult<()> {
        let bounded = tasks.with(|mut store| store.get().bounded(&file)).map_err(FilesystemError::trap)?;
        if let Some((file, quota)) = bounded {
            let set = move || quota.grow(&file, |_| size, || file.set_len(size));
            return Ok(threads(tasks).blocking(set).await?);
        }
        on_threads!(tasks.set_size(file, size))
    }

    async fn create_directory_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        with_room!(tasks, quota(tasks, &at), NODE_BYTES, create_directory_at(at, path))
    }

    async fn symlink_at(tasks: &Tasks, at: Resource<Descriptor>, says: String, path: String) -> FilesystemResult<()> {
        let bytes = NODE_BYTES.saturating_add(says.len() as u64);
        with_room!(tasks, quota(tasks, &at), bytes, symlink_at(at, says, path))
    }

    async fn link_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        with_room!(tasks, quota_of_both(tasks, &at, &to)?, NODE_BYTES, link_at(at, flags, path, to, to_path))
    }

    async fn rename_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        with_room!(tasks, quota_of_both(tasks, &at, &to)?, 0, rename_at(at, path, to, to_path))
    }

    async fn advise(
        tasks: &Tasks,
        file: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        on_threads!(tasks.advise(file, offset, length, advice))
    }

    async fn sync_data(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<()> {
        on_threads!(tasks.sync_data(of))
    }

    async fn sync(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<()> {
        on_threads!(tasks.sync(of))
    }

    async fn get_flags(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorFlags> {
        on_threads!(tasks.get_flags(of))
    }

    async fn get_type(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorType> {
        on_threads!(tasks.get_type(of))
    }

    async fn set_times(
        tasks: &Tasks,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        on_threads!(tasks.set_times(of, accessed, modified))
    }

    async fn stat(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<DescriptorStat> {
        on_threads!(tasks.stat(of)).map(|stat| told(tasks, stat))
    }

    async fn stat_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        on_threads!(tasks.stat_at(at, flags, path)).map(|stat| told(tasks, stat))
    }

    async fn set_times_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        on_threads!(tasks.set_times_at(at, flags, path, accessed, modified))
    }

    async fn readlink_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<String> {
        on_threads!(tasks.readlink_at(at, path))
    }

    async fn remove_directory_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        on_threads!(tasks.remove_directory_at(at, path))
    }

    async fn unlink_file_at(tasks: &Tasks, at: Resource<Descriptor>, path: String) -> FilesystemResult<()> {
        on_threads!(tasks.unlink_file_at(at, path))
    }

    async fn is_same_object(
        tasks: &Tasks,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        on_threads!(tasks.is_same_object(one, other))
    }

    async fn metadata_hash(tasks: &Tasks, of: Resource<Descriptor>) -> FilesystemResult<MetadataHashValue> {
        on_threads!(tasks.metadata_hash(of)).map(|hash| told_hash(tasks, hash))
    }

    async fn metadata_hash_at(
        tasks: &Tasks,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        on_threads!(tasks.metadata_hash_at(at, flags, path)).map(|hash| told_hash(tasks, hash))
    }
}

/// As `Guest::open_made` of 0.2.
pub(super) async fn open_made(
    tasks: &Tasks,
    at: Resource<Descriptor>,
    making: Making,
    flags: PathFlags,
    path: String,
    open: OpenFlags,
    with: DescriptorFlags,
) -> FilesystemResult<Resource<Descriptor>> {
    type Own = HasSelf<Guest>;
    if making == Making::AsAsked {
        return Own::open_at(tasks, at, flags, path, open, with).await;
    }
    let there = Own::open_at(tasks, again(&at), flags, path.clone(), open & !OpenFlags::CREATE, with).await;
    match &there {
        Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => {}
        _ => return there,
    }
    if !tasks.with(|mut store| store.get().turned_out_to_need(GuestAccess::CREATE, at.rep())) {
        return Err(ErrorCode::NotPermitted.into());
    }
    Own::open_at(tasks, at, flags, path, open, with).await
}

/// As `Guest::renamed` of 0.2.
pub(super) async fn renamed(
    tasks: &Tasks,
    at: Resource<Descriptor>,
    renaming: Renaming,
    path: String,
    to: Resource<Descriptor>,
    to_path: String,
) -> FilesystemResult<()> {
    type Own = HasSelf<Guest>;
    if renaming == Renaming::AsAsked {
        return Own::rename_at(tasks, at, path, to, to_path).await;
    }
    let quota = quota_of_both(tasks, &at, &to)?;
    let both = tasks.with(|mut store| store.get().both_folders(&at, &to));
    let Some(both) = both else { return Err(ErrorCode::NotDirectory.into()) };
    match rename_where_free(&threads(tasks), quota, both, path.clone(), to_path.clone()).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return Ok(other?),
    }
    if !tasks.with(|mut store| store.get().turned_out_to_need(GuestAccess::DELETE, to.rep())) {
        return Err(ErrorCode::NotPermitted.into());
    }
    Own::rename_at(tasks, at, path, to, to_path).await
}

/// As `Guest::told` of 0.2.
fn told(tasks: &Tasks, stat: DescriptorStat) -> DescriptorStat {
    let at = tasks.with(|mut store| store.get().turn.identity.mesh.seeded.as_ref().map(Seeded::file_time));
    let Some(at) = at else { return stat };
    let time = Some(Instant { seconds: at.as_secs().cast_signed(), nanoseconds: at.subsec_nanos() });
    let is_folder = matches!(stat.type_, DescriptorType::Directory);
    DescriptorStat {
        size: if is_folder { 0 } else { stat.size },
        link_count: if is_folder { 1 } else { stat.link_count },
        data_access_timestamp: time,
        data_modification_timestamp: time,
        status_change_timestamp: time,
        ..stat
    }
}

fn told_hash(tasks: &Tasks, hash: MetadataHashValue) -> MetadataHashValue {
    let number = tasks.with(|mut store| {
        let seeded = store.get().turn.identity.mesh.seeded.as_ref();
        seeded.map(|seeded| seeded.file_number((hash.lower, hash.upper)))
    });
    number.map_or(hash, |lower| MetadataHashValue { lower, upper: 0 })
}

fn threads(tasks: &Tasks) -> Arc<FileThreads> {
    tasks.with(|mut store| store.get().file_threads())
}

/// What wasmtime's own functions take.
fn files(tasks: &Tasks) -> Accessor<Guest, WasiFilesystem> {
    tasks.with_getter(|guest| guest.filesystem())
}

/// The same, for those that do not wait.
fn own<'a>(store: &'a mut Store<'_>) -> Access<'a, Guest, WasiFilesystem> {
    Access::new(store.as_context_mut(), |guest| guest.filesystem())
}

fn again(of: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(of.rep())
}

fn quota(tasks: &Tasks, of: &Resource<Descriptor>) -> Option<Quota> {
    tasks.with(|mut store| store.get().quota(of))
}

/// As in `host/files.rs`: between two granted folders nothing is moved.
fn quota_of_both(
    tasks: &Tasks,
    one: &Resource<Descriptor>,
    other: &Resource<Descriptor>,
) -> FilesystemResult<Option<Quota>> {
    match (quota(tasks, one), quota(tasks, other)) {
        (Some(one), Some(other)) if !one.is_same(&other) => Err(ErrorCode::CrossDevice.into()),
        (_, other) => Ok(other),
    }
}

fn write(
    mut store: Store<'_>,
    (file, quota): (Arc<File>, Quota),
    bytes: StreamReader<u8>,
    position: Position,
    asked: Option<Question>,
) -> wasmtime::Result<Ended> {
    let threads = store.get().file_threads();
    let (writing, ended) = Writing::new(threads, file, quota, position, asked);
    bytes.pipe(&mut store, writing)?;
    FutureReader::new(&mut store, ended)
}

fn kind(of: &DescriptorType) -> Found {
    use DescriptorType::{Directory, RegularFile, SymbolicLink};
    match of {
        Directory | RegularFile | SymbolicLink => Found::Usual,
        _ => Found::Special,
    }
}
