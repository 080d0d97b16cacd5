//! `wasi:filesystem` before a recorder: what each call comes to is written down, or read back in the place of the call.
//!
//! It stands in front of [`super::file_door`]: what is read back needs no grant, asks no layer, and opens nothing.

use std::sync::Arc;

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::file_door::{FileDoor, at_the_door};
use super::file_names::joined;
use super::file_streams::Nothing;
use super::outside::{Ask, Asked, Recorded, flag_words, fs_error, read_back, said};
use crate::engine::guest::Guest;
use crate::turn::outside::{Change, Look, Said};
use crate::turn::{HostCall, Reply, Scripted};

/// A guest before its recorder.
pub(in crate::engine) struct FileTape<'a>(&'a mut Guest);

/// That of all guests.
pub(in crate::engine) struct FileTapes;

impl HasData for FileTapes {
    type Data<'a> = FileTape<'a>;
}

pub(in crate::engine) fn at_the_tape(guest: &mut Guest) -> FileTape<'_> {
    FileTape(guest)
}

/// What is asked of something that is open, or of a path in it.
macro_rules! taped {
    ($tape:ident, $asked:expr, $function:ident ( $($argument:expr),* )) => {
        match $asked {
            Asked::Nobody => $tape.door().$function($($argument),*).await,
            Asked::Told(told) => read_back(told),
            Asked::Never => std::future::pending().await,
            Asked::Noted(asked) => {
                // Boxed: where nothing is recorded, nobody carries it around.
                let done = Box::pin($tape.door().$function($($argument),*)).await;
                $tape.0.note(asked, said(&done, Recorded::said));
                done
            }
        }
    };
}

/// What opens something: what it comes to is another handle.
macro_rules! opening {
    ($tape:ident, $asked:expr, $at:expr, $done:expr) => {
        match $asked {
            Asked::Nobody => $done,
            Asked::Told(told) => {
                told.map_err(|word| fs_error(&word))?;
                $tape.0.stand_in($at).map_err(FsError::trap)
            }
            Asked::Never => std::future::pending().await,
            Asked::Noted(asked) => {
                let done: FsResult<Resource<_>> = $done;
                $tape.0.note(asked, said(&done, |_| Said::Done));
                let opened = done?;
                let at = $at;
                $tape.0.is_open(opened.rep(), |_| Some((at, None)));
                Ok(opened)
            }
        }
    };
}

impl FileTape<'_> {
    fn door(&mut self) -> FileDoor<'_> {
        at_the_door(self.0)
    }

    fn at<T: 'static>(&self, of: &Resource<T>, path: &str) -> Arc<str> {
        self.0.outside.of(of.rep()).map(|handle| handle.named(path)).unwrap_or_default()
    }

    /// The name of something else that is open, for what is done with both.
    fn other<T: 'static>(&self, of: &Resource<T>, path: &str) -> String {
        String::from(&*self.at(of, path))
    }

    fn input(&mut self, file: &Resource<Descriptor>, offset: Filesize) -> FsResult<Option<Resource<DynInputStream>>> {
        let Some(handle) = self.0.outside.of(file.rep()).filter(|handle| handle.stands_in).cloned() else {
            return Ok(None);
        };
        let stream = self.0.table.push(Box::new(Nothing) as DynInputStream)?;
        self.0.stands_in(stream.rep(), handle.at, Some(offset));
        Ok(Some(stream))
    }

    fn output(
        &mut self,
        file: &Resource<Descriptor>,
        offset: Option<Filesize>,
    ) -> FsResult<Option<Resource<DynOutputStream>>> {
        let Some(handle) = self.0.outside.of(file.rep()).filter(|handle| handle.stands_in).cloned() else {
            return Ok(None);
        };
        let stream = self.0.table.push(Box::new(Nothing) as DynOutputStream)?;
        self.0.stands_in(stream.rep(), handle.at, offset);
        Ok(Some(stream))
    }

    /// Whether a stream of what is open may be taken up, which is told by the error where it may not.
    fn streams(&mut self, file: u32, how: &str) -> Asked {
        self.0.ask_of(file, |_| Look::Open { how: how.to_owned() })
    }
}

impl preopens::Host for Guest {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let asked = match self.turn.script.is_none() {
            true => Scripted::Nobody,
            false => self.turn.ask_elsewhere(|_| HostCall::Folders),
        };
        match asked {
            Scripted::Told(told) | Scripted::Instead(told) => {
                let names = told.names().unwrap_or_default();
                let folder = |name: String| Ok((self.stand_in(joined("", &name).into())?, name));
                names.into_iter().map(folder).collect()
            }
            asked => {
                let folders = self.granted_folders()?;
                let names = folders.iter().map(|(_, name)| name.clone()).collect();
                let _as_it_was = self.turn.told_elsewhere(asked, Reply::Names(names));
                for (folder, name) in &folders {
                    self.is_open(folder.rep(), |_| Some((joined("", name).into(), None)));
                }
                Ok(folders)
            }
        }
    }
}

impl Host for FileTape<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.door().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.door().filesystem_error_code(error)
    }
}

/// How something is opened, in words; and whether that may change something.
fn how(flags: PathFlags, open: OpenFlags, with: DescriptorFlags) -> (String, bool) {
    let mut words = flag_words(with);
    for (flag, word) in [
        (OpenFlags::CREATE, "create"),
        (OpenFlags::DIRECTORY, "directory"),
        (OpenFlags::EXCLUSIVE, "exclusive"),
        (OpenFlags::TRUNCATE, "truncate"),
    ] {
        if open.contains(flag) {
            words.push(word);
        }
    }
    if !flags.contains(PathFlags::SYMLINK_FOLLOW) {
        words.push("no links");
    }
    let changes = open.contains(OpenFlags::CREATE) || open.contains(OpenFlags::TRUNCATE);
    (words.join(", "), changes)
}

fn stat_of(flags: PathFlags) -> Look {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { Look::Stat } else { Look::LinkStat }
}

impl HostDescriptor for FileTape<'_> {
    async fn open_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let rep = at.rep();
        let asked = self.0.ask_at(rep, &path, |_| match how(flags, open, with) {
            (how, true) => Ask::Change(Change::Open { how }),
            (how, false) => Ask::Look(Look::Open { how }),
        });
        let name = match asked {
            Asked::Nobody => return self.door().open_at(at, flags, path, open, with).await,
            _ => self.at(&at, &path),
        };
        opening!(self, asked, name, Box::pin(self.door().open_at(at, flags, path, open, with)).await)
    }

    async fn read_directory(&mut self, folder: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let asked = self.0.ask_of(folder.rep(), |_| Look::List);
        let name = match asked {
            Asked::Nobody => return self.door().read_directory(folder).await,
            _ => self.at(&folder, ""),
        };
        opening!(self, asked, name, Box::pin(self.door().read_directory(folder)).await)
    }

    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let asked = self.streams(file.rep(), "as a stream to read");
        if let Asked::Told(Err(word)) = &asked {
            return Err(fs_error(word));
        }
        if let Some(stream) = self.input(&file, offset)? {
            return Ok(stream);
        }
        let at = self.at(&file, "");
        let done = self.door().read_via_stream(file, offset);
        self.began(asked, done, at, Some(offset))
    }

    fn write_via_stream(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let asked = self.streams(file.rep(), "as a stream to write");
        if let Asked::Told(Err(word)) = &asked {
            return Err(fs_error(word));
        }
        if let Some(stream) = self.output(&file, Some(offset))? {
            return Ok(stream);
        }
        let at = self.at(&file, "");
        let done = self.door().write_via_stream(file, offset);
        self.began(asked, done, at, Some(offset))
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let asked = self.streams(file.rep(), "as a stream to append");
        if let Asked::Told(Err(word)) = &asked {
            return Err(fs_error(word));
        }
        if let Some(stream) = self.output(&file, None)? {
            return Ok(stream);
        }
        let at = self.at(&file, "");
        let done = self.door().append_via_stream(file);
        self.began(asked, done, at, None)
    }

    async fn advise(
        &mut self,
        file: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        let asked = self.0.ask_of(file.rep(), |_| Look::Settle);
        taped!(self, asked, advise(file, offset, length, advice))
    }

    async fn sync_data(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Settle);
        taped!(self, asked, sync_data(of))
    }

    async fn get_flags(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Flags);
        taped!(self, asked, get_flags(of))
    }

    async fn get_type(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Type);
        taped!(self, asked, get_type(of))
    }

    async fn set_size(&mut self, file: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let asked = self.0.ask_of(file.rep(), |_| Change::Resize { bytes: size });
        taped!(self, asked, set_size(file, size))
    }

    async fn set_times(
        &mut self,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let asked = self.0.ask_of(of.rep(), |_| Change::Times);
        taped!(self, asked, set_times(of, accessed, modified))
    }

    async fn read(
        &mut self,
        file: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let asked = self.0.ask_of(file.rep(), |_| Look::Read { from: offset, most: length });
        taped!(self, asked, read(file, length, offset))
    }

    async fn write(&mut self, file: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let asked = self
            .0
            .ask_of(file.rep(), |_| Change::Write { from: Some(offset), bytes: bytes::Bytes::copy_from_slice(&bytes) });
        taped!(self, asked, write(file, bytes, offset))
    }

    async fn sync(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Settle);
        taped!(self, asked, sync(of))
    }

    async fn create_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::MakeFolder);
        taped!(self, asked, create_directory_at(at, path))
    }

    async fn stat(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Stat);
        taped!(self, asked, stat(of))
    }

    async fn stat_at(&mut self, at: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let asked = self.0.ask_at(at.rep(), &path, |_| stat_of(flags));
        taped!(self, asked, stat_at(at, flags, path))
    }

    async fn set_times_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::Times);
        taped!(self, asked, set_times_at(at, flags, path, accessed, modified))
    }

    async fn link_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let other = self.other(&to, &to_path);
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::Link { to: other });
        taped!(self, asked, link_at(at, flags, path, to, to_path))
    }

    async fn readlink_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<String> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Look::Target);
        taped!(self, asked, readlink_at(at, path))
    }

    async fn remove_directory_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::RemoveFolder);
        taped!(self, asked, remove_directory_at(at, path))
    }

    async fn rename_at(
        &mut self,
        at: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let other = self.other(&to, &to_path);
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::Move { to: other });
        taped!(self, asked, rename_at(at, path, to, to_path))
    }

    async fn symlink_at(&mut self, at: Resource<Descriptor>, says: String, path: String) -> FsResult<()> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::LinkTo { target: says.clone() });
        taped!(self, asked, symlink_at(at, says, path))
    }

    async fn unlink_file_at(&mut self, at: Resource<Descriptor>, path: String) -> FsResult<()> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Change::Remove);
        taped!(self, asked, unlink_file_at(at, path))
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let name = self.other(&other, "");
        match self.0.ask_of(one.rep(), |_| Look::IsSame { other: name }) {
            Asked::Nobody => self.door().is_same_object(one, other).await,
            Asked::Told(told) => Ok(told.ok().and_then(bool::of).unwrap_or_default()),
            Asked::Never => std::future::pending().await,
            Asked::Noted(asked) => {
                let is_same = Box::pin(self.door().is_same_object(one, other)).await?;
                self.0.note(asked, Some(Ok(is_same.said())));
                Ok(is_same)
            }
        }
    }

    async fn metadata_hash(&mut self, of: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let asked = self.0.ask_of(of.rep(), |_| Look::Hash);
        taped!(self, asked, metadata_hash(of))
    }

    async fn metadata_hash_at(
        &mut self,
        at: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let asked = self.0.ask_at(at.rep(), &path, |_| Look::Hash);
        taped!(self, asked, metadata_hash_at(at, flags, path))
    }

    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        if self.0.dropped_stand_in(of.rep())? { Ok(()) } else { HostDescriptor::drop(&mut self.door(), of) }
    }
}

impl FileTape<'_> {
    /// A stream was taken up, or not.
    fn began<T>(
        &mut self,
        asked: Asked,
        done: FsResult<Resource<T>>,
        at: Arc<str>,
        from: Option<u64>,
    ) -> FsResult<Resource<T>> {
        let Asked::Noted(asked) = asked else { return done };
        self.0.note(asked, said(&done, |_| Said::Done));
        let stream = done?;
        self.0.is_open(stream.rep(), |_| Some((at, from)));
        Ok(stream)
    }
}

impl HostDirectoryEntryStream for FileTape<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let asked = self.0.ask_of(stream.rep(), |_| Look::Entry);
        taped!(self, asked, read_directory_entry(stream))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        if self.0.dropped_stand_in(stream.rep())? {
            return Ok(());
        }
        HostDirectoryEntryStream::drop(&mut self.door(), stream)
    }
}
