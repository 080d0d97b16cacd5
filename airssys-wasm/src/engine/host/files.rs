//! `wasi:filesystem`: wasmtime's own, on the threads of the guest's service, with a look for room before something is opened.
//!
//! And what is neither a file nor a folder is not opened: see `is_special`.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::file_streams::{Reader, Writer};
use super::resources::has_room;
use crate::engine::FileThreads;
use crate::engine::guest::Guest;
use crate::limits::{ENTRY_BYTES, LISTING_BYTES};

const FULL: ErrorCode = ErrorCode::InsufficientMemory;

/// Calls wasmtime's function of this name, on the threads of the service.
macro_rules! on_threads {
    ($guest:ident . $function:ident ( $($argument:expr),* )) => {{
        let threads = $guest.file_threads();
        threads.run($guest.filesystem().$function($($argument),*)).await
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
        if !has_room(&mut self.table, 1) {
            return Err(FULL.into());
        }
        if self.is_special(&at, flags, &path).await {
            return Err(ErrorCode::Unsupported.into());
        }
        on_threads!(self.open_at(at, flags, path, open, with))
    }

    async fn read_directory(&mut self, folder: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        if !has_room(&mut self.table, 1) {
            return Err(FULL.into());
        }
        let held: usize = self.listings.iter().map(|(_, bytes)| bytes).sum();
        // All of it is read at once, and kept until the guest has gone through it.
        let Some(bytes) = self.listing(&folder, LISTING_BYTES.saturating_sub(held)).await? else {
            return Err(FULL.into());
        };
        let stream = on_threads!(self.read_directory(folder))?;
        self.listings.push((stream.rep(), bytes));
        Ok(stream)
    }

    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        if !has_room(&mut self.table, 1) {
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
        if !has_room(&mut self.table, 1) {
            return Err(FULL.into());
        }
        let stream = self.filesystem().write_via_stream(file, offset)?;
        self.writer(stream)
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        if !has_room(&mut self.table, 1) {
            return Err(FULL.into());
        }
        let stream = self.filesystem().append_via_stream(file)?;
        self.writer(stream)
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
        on_threads!(self.write(file, bytes, offset))
    }

    async fn sync(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        on_threads!(self.sync(of))
    }

    async fn create_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        on_threads!(self.create_directory_at(at, path))
    }

    async fn stat(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        on_threads!(self.stat(of))
    }

    async fn stat_at(&mut self, at: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        on_threads!(self.stat_at(at, flags, path))
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
        on_threads!(self.link_at(at, flags, path, to, to_path))
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
        on_threads!(self.rename_at(at, path, to, to_path))
    }

    async fn symlink_at(&mut self, at: Resource<Descriptor>, says: String, path: String) -> FsResult<()> {
        on_threads!(self.symlink_at(at, says, path))
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
        on_threads!(self.metadata_hash(of))
    }

    async fn metadata_hash_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        on_threads!(self.metadata_hash_at(at, flags, path))
    }

    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.filesystem(), of)
    }
}

impl HostDirectoryEntryStream for Guest {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        // They were all read when the folder was opened.
        self.filesystem().read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.listings.retain(|(listing, _)| *listing != stream.rep());
        HostDirectoryEntryStream::drop(&mut self.filesystem(), stream)
    }
}

impl Guest {
    fn file_threads(&self) -> Arc<FileThreads> {
        Arc::clone(self.identity.service.file_threads.get_or_init(FileThreads::new))
    }

    /// What a listing of this folder takes, in bytes; none where that is more than this. What cannot be listed takes nothing, and listing it says why.
    async fn listing(&mut self, folder: &Resource<Descriptor>, most_bytes: usize) -> FsResult<Option<usize>> {
        let Descriptor::Dir(folder) = self.table.get(folder)? else { return Ok(Some(0)) };
        let folder = Arc::clone(&folder.dir);
        let count = move || {
            let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).into_iter().flatten();
            entries.flatten().try_fold(0, |bytes, entry| {
                let bytes = bytes + entry.file_name().len() + ENTRY_BYTES;
                (bytes <= most_bytes).then_some(bytes)
            })
        };
        // Its thread cannot be cancelled when it has begun, and does not panic.
        let counted = self.file_threads().run(async { tokio::task::spawn_blocking(count).await }).await;
        Ok(counted.unwrap_or_default())
    }

    fn writer(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let threads = self.file_threads();
        Writer::put_around(self.table.get_mut(&stream)?, threads);
        Ok(stream)
    }

    /// Whether there is a pipe, a device or a socket at a path. To open one may block for good, and a thread of the host with it. What cannot be looked at
    /// cannot be opened either, and opening it says why.
    async fn is_special(&mut self, at: &Resource<Descriptor>, flags: PathFlags, path: &str) -> bool {
        use DescriptorType::{Directory, RegularFile, SymbolicLink};
        let found = self.stat_at(Resource::new_borrow(at.rep()), flags, path.to_owned()).await;
        found.is_ok_and(|found| !matches!(found.type_, Directory | RegularFile | SymbolicLink))
    }
}
