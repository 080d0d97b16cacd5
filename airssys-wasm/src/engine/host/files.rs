//! `wasi:filesystem`: wasmtime's own, on the threads of the guest's service, with a look for room before something is
//! opened; see [`super::opening`].

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::bounded_writer::{BoundedWriter, Position};
use super::file_streams::{Reader, Writer};
use super::listings::Listed;
use super::opening::{Asked, First, Found, Plan};
use crate::blocking::on_entered;
use crate::engine::guest::Guest;
use crate::file_threads::FileThreads;
use crate::limits::NODE_BYTES;
use crate::quota::Quota;
use crate::seeded::Seeded;

const FULL: ErrorCode = ErrorCode::InsufficientMemory;

/// Calls wasmtime's function of this name, on the threads of the service.
macro_rules! on_threads {
    ($guest:ident . $function:ident ( $($argument:expr),* )) => {{
        let threads = $guest.file_threads();
        threads.run($guest.filesystem().$function($($argument),*)).await
    }};
}

/// The same, where it makes so many bytes more in a folder that has a bound; and no other change of that folder is
/// missed while it is measured.
macro_rules! with_room {
    ($guest:ident, $quota:expr, $bytes:expr, $function:ident ( $($argument:expr),* )) => {{
        let threads = $guest.file_threads();
        let (quota, bytes) = ($quota, $bytes);
        let work = async {
            let _room = match &quota {
                Some(quota) => Some(quota.room(bytes).await?),
                None => None,
            };
            $guest.filesystem().$function($($argument),*).await
        };
        threads.run(work).await
    }};
}

impl Host for Guest {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.filesystem().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.filesystem().filesystem_error_code(error)
    }
}

impl HostDescriptor for Guest {
    async fn open_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        if !self.has_room(1) {
            return Err(FULL.into());
        }
        let (found, quota) = (self.found(&at, flags, &path).await, self.quota(&at));
        let asked =
            Asked { creates: open.contains(OpenFlags::CREATE), is_exclusive: open.contains(OpenFlags::EXCLUSIVE) };
        let Some(plan) = Plan::of(found, asked, quota.is_some()) else {
            return Err(ErrorCode::Unsupported.into());
        };
        let mut opened = Err(ErrorCode::NoEntry.into());
        if let Some(first) = plan.first {
            let at = Resource::new_borrow(at.rep());
            let path = path.clone();
            let open = match first {
                First::AsAsked => open,
                First::OnlyIfThere => open & (OpenFlags::DIRECTORY | OpenFlags::TRUNCATE),
            };
            opened = on_threads!(self.open_at(at, flags, path, open, with));
        }
        let Some(quota) = quota else { return opened };
        let is_gone = matches!(&opened, Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)));
        if let Some(bytes) = plan.make_bytes.filter(|_| is_gone) {
            let threads = self.file_threads();
            // The folder is not kept from being measured meanwhile: what is there when it is opened may be a pipe after
            // all, and keep it so for good.
            let make = async {
                drop(quota.room(bytes).await?);
                self.filesystem().open_at(at, flags, path, open, with).await
            };
            opened = threads.run(make).await;
        }
        let opened = opened?;
        self.quotas.insert(opened.rep(), quota);
        if let Some((file, quota)) = self.bounded(&opened)?
            && let Err(full) = self.blocking(move || quota.opened(&file)).await
        {
            HostDescriptor::drop(self, opened).map_err(FsError::trap)?;
            return Err(full);
        }
        Ok(opened)
    }

    async fn read_directory(&mut self, folder: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        if !self.has_room(1) {
            return Err(FULL.into());
        }
        // All of it is read at once, and kept until the guest has gone through it.
        let Some(listed) = self.listing(&folder).await? else {
            return Err(FULL.into());
        };
        let stream = on_threads!(self.read_directory(folder))?;
        self.listings.open(stream.rep(), listed);
        if self.turn.identity.mesh.seeded.is_some() {
            let mut entries = Vec::new();
            let again = || Resource::new_borrow(stream.rep());
            while let Some(entry) = self.filesystem().read_directory_entry(again()).await? {
                entries.push(entry);
            }
            entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            self.listings.sorted(stream.rep(), entries);
        }
        Ok(stream)
    }

    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        if !self.has_room(1) {
            return Err(FULL.into());
        }
        let stream = self.filesystem().read_via_stream(file, offset)?;
        let threads = self.file_threads();
        Reader::put_around(self.table.get_mut(&stream)?, threads);
        Ok(stream)
    }

    fn write_via_stream(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        if !self.has_room(1) {
            return Err(FULL.into());
        }
        let bounded = self.bounded_writer(&file, Position::At(offset))?;
        let stream = self.filesystem().write_via_stream(file, offset)?;
        self.writer(stream, bounded)
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        if !self.has_room(1) {
            return Err(FULL.into());
        }
        let bounded = self.bounded_writer(&file, Position::End)?;
        let stream = self.filesystem().append_via_stream(file)?;
        self.writer(stream, bounded)
    }

    async fn advise(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        on_threads!(self.advise(file, offset, length, advice))
    }

    async fn sync_data(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        on_threads!(self.sync_data(of))
    }

    async fn get_flags(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        on_threads!(self.get_flags(of))
    }

    async fn get_type(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorType> {
        on_threads!(self.get_type(of))
    }

    async fn set_size(&mut self, file: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        if let Some((file, quota)) = self.bounded(&file)? {
            return self.blocking(move || quota.grow(&file, |_| size, || file.set_len(size))).await;
        }
        on_threads!(self.set_size(file, size))
    }

    async fn set_times(
        &mut self,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        on_threads!(self.set_times(of, accessed, modified))
    }

    async fn read(
        &mut self,
        file: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        on_threads!(self.read(file, length, offset))
    }

    async fn write(&mut self, file: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        if let Some((file, quota)) = self.bounded(&file)? {
            let to = offset.saturating_add(bytes.len() as u64);
            let write = move || quota.grow(&file, |_| to, || file.write_at(&bytes, offset));
            return self.blocking(write).await.map(|written| written as u64);
        }
        on_threads!(self.write(file, bytes, offset))
    }

    async fn sync(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        on_threads!(self.sync(of))
    }

    async fn create_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        with_room!(self, self.quota(&at), NODE_BYTES, create_directory_at(at, path))
    }

    async fn stat(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        on_threads!(self.stat(of)).map(|stat| self.told(stat))
    }

    async fn stat_at(&mut self, at: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        on_threads!(self.stat_at(at, flags, path)).map(|stat| self.told(stat))
    }

    async fn set_times_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        on_threads!(self.set_times_at(at, flags, path, accessed, modified))
    }

    async fn link_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let quota = self.quota_of_both(&at, &to)?;
        with_room!(self, quota, NODE_BYTES, link_at(at, flags, path, to, to_path))
    }

    async fn readlink_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<String> {
        on_threads!(self.readlink_at(at, path))
    }

    async fn remove_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        on_threads!(self.remove_directory_at(at, path))
    }

    async fn rename_at(
        &mut self,
        at: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let quota = self.quota_of_both(&at, &to)?;
        with_room!(self, quota, 0, rename_at(at, path, to, to_path))
    }

    async fn symlink_at(&mut self, at: Resource<Descriptor>, says: String, path: String) -> FsResult<()> {
        let bytes = NODE_BYTES.saturating_add(says.len() as u64);
        with_room!(self, self.quota(&at), bytes, symlink_at(at, says, path))
    }

    async fn unlink_file_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        on_threads!(self.unlink_file_at(at, path))
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        on_threads!(self.is_same_object(one, other))
    }

    async fn metadata_hash(&mut self, of: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        on_threads!(self.metadata_hash(of)).map(|hash| self.told_hash(hash))
    }

    async fn metadata_hash_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        on_threads!(self.metadata_hash_at(at, flags, path)).map(|hash| self.told_hash(hash))
    }

    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.quotas.remove(&of.rep());
        self.names.forget(&of);
        HostDescriptor::drop(&mut self.filesystem(), of)
    }
}

impl HostDirectoryEntryStream for Guest {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        if let Some(sorted) = self.listings.next(stream.rep()) {
            return Ok(sorted);
        }
        // They were all read when the folder was opened.
        self.filesystem().read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.listings.close(stream.rep());
        HostDirectoryEntryStream::drop(&mut self.filesystem(), stream)
    }
}

impl Guest {
    /// The folders that are granted, opened.
    pub(in crate::engine) fn granted_folders(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let folders = self.filesystem().get_directories()?;
        for (folder, name) in &folders {
            if let Some(rights) = self.turn.identity.terms.policy.folder(name) {
                self.names.granted(folder, name, rights);
            }
            if let Some(quota) = self.turn.identity.quota(name) {
                self.quotas.insert(folder.rep(), quota);
            }
        }
        Ok(folders)
    }

    pub(in crate::engine) fn file_threads(&self) -> Arc<FileThreads> {
        self.turn.identity.file_threads()
    }

    /// What a listing of this folder takes; none where that is too much. What cannot be listed takes nothing, and
    /// listing it says why.
    async fn listing(&mut self, folder: &Resource<Descriptor>) -> FsResult<Option<Listed>> {
        let mut listed = self.listings.begin();
        let Descriptor::Dir(folder) = self.table.get(folder)? else { return Ok(Some(listed)) };
        let folder = Arc::clone(&folder.dir);
        let count = move || {
            let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).into_iter().flatten();
            entries.flatten().all(|entry| listed.take(entry.file_name().len())).then_some(listed)
        };
        // Its thread cannot be cancelled when it has begun, and does not panic.
        let counted = self.file_threads().run(async { on_entered(count).await }).await;
        Ok(counted.unwrap_or_default())
    }

    fn writer(
        &mut self,
        stream: Resource<DynOutputStream>,
        bounded: Option<BoundedWriter>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let threads = self.file_threads();
        if let Some(bounded) = bounded {
            *self.table.get_mut(&stream)? = Box::new(bounded);
        }
        Writer::put_around(self.table.get_mut(&stream)?, threads);
        Ok(stream)
    }

    /// What a guest is told of a file: in a seeded host nothing that is the machine's.
    fn told(&self, stat: DescriptorStat) -> DescriptorStat {
        let Some(at) = self.turn.identity.mesh.seeded.as_ref().map(Seeded::file_time) else { return stat };
        let time = Some(Datetime { seconds: at.as_secs(), nanoseconds: at.subsec_nanos() });
        let is_folder = stat.type_ == DescriptorType::Directory;
        DescriptorStat {
            // What a folder takes for its entries is up to the file system.
            size: if is_folder { 0 } else { stat.size },
            link_count: if is_folder { 1 } else { stat.link_count },
            data_access_timestamp: time,
            data_modification_timestamp: time,
            status_change_timestamp: time,
            ..stat
        }
    }

    fn told_hash(&self, hash: MetadataHashValue) -> MetadataHashValue {
        match &self.turn.identity.mesh.seeded {
            Some(seeded) => MetadataHashValue { lower: seeded.file_number((hash.lower, hash.upper)), upper: 0 },
            None => hash,
        }
    }

    pub(in crate::engine) fn quota(&mut self, of: &Resource<Descriptor>) -> Option<Quota> {
        self.quotas.get(&of.rep()).cloned()
    }

    /// Of two folders, where they are or lie in the same granted one. Between others nothing is moved, as if they were
    /// different file systems: how much that is would have to be counted first.
    pub(super) fn quota_of_both(
        &mut self,
        one: &Resource<Descriptor>,
        other: &Resource<Descriptor>,
    ) -> FsResult<Option<Quota>> {
        match (self.quota(one), self.quota(other)) {
            (Some(one), Some(other)) if !one.is_same(&other) => Err(ErrorCode::CrossDevice.into()),
            (_, other) => Ok(other),
        }
    }

    /// A file with its bound; none where it has none, or is not a file.
    pub(in crate::engine) fn bounded(
        &mut self,
        of: &Resource<Descriptor>,
    ) -> Result<Option<(Arc<File>, Quota)>, ResourceTableError> {
        let Some(quota) = self.quota(of) else { return Ok(None) };
        let Descriptor::File(file) = self.table.get(of)? else { return Ok(None) };
        Ok(Some((Arc::clone(&file.file), quota)))
    }

    fn bounded_writer(&mut self, of: &Resource<Descriptor>, position: Position) -> FsResult<Option<BoundedWriter>> {
        Ok(self.bounded(of)?.map(|(file, quota)| BoundedWriter::new(file, quota, position)))
    }

    /// Does something that blocks, on the threads of the service.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> FsResult<T> {
        Ok(self.file_threads().blocking(work).await?)
    }

    /// What there is at a path; none where nothing is or it cannot be looked at.
    async fn found(&mut self, at: &Resource<Descriptor>, flags: PathFlags, path: &str) -> Option<Found> {
        use DescriptorType::{Directory, RegularFile, SymbolicLink};
        let found = self.stat_at(Resource::new_borrow(at.rep()), flags, path.to_owned()).await.ok()?;
        Some(match found.type_ {
            Directory | RegularFile | SymbolicLink => Found::Usual,
            _ => Found::Special,
        })
    }
}
