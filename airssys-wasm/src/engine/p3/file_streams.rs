//! Streams of files, as WASI 0.3 has them: the engine asks a producer or a consumer of the host's, and what these begin
//! is on the threads of the guest's service.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult, VecBuffer};
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::blocking::is_in_place;
use crate::engine::host::bounded_writer::{CAPACITY, Position, write};
use crate::engine::host::file_passing::{Entering, end, enter};
use crate::engine::host::listings::Listed;
use crate::engine::host::passed::{Code as _, io_error};
use crate::error::CallError;
use crate::file_threads::FileThreads;
use crate::quota::Quota;
use crate::turn::passing::Question;

/// Something that was begun on the threads. Dropped, it goes on there, and nobody hears of it.
type Work<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// How a stream ended, for the guest that waits for that.
pub(super) type Ended = oneshot::Receiver<Result<(), ErrorCode>>;

fn begin<T: Send + 'static>(
    threads: &Arc<FileThreads>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Work<T> {
    let threads = Arc::clone(threads);
    Box::pin(async move { threads.blocking(work).await })
}

/// Tells how a stream ended: well, unless something else is said before it is dropped.
struct End(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl End {
    fn new() -> (Self, Ended) {
        let (tell, told) = oneshot::channel();
        (Self(Some(tell)), told)
    }

    fn is(&mut self, how: Result<(), ErrorCode>) {
        if let Some(tell) = self.0.take() {
            let _nobody_waits = tell.send(how);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.is(Ok(()));
    }
}

/// Reads a file.
pub(super) struct Reading {
    threads: Arc<FileThreads>,
    file: Arc<File>,
    offset: u64,
    begun: Option<Work<BytesMut>>,
    end: End,
    asked: Option<Question>,
}

impl Reading {
    /// Each piece is asked about, where there is a question.
    pub(super) fn new(
        threads: Arc<FileThreads>,
        file: Arc<File>,
        offset: u64,
        asked: Option<Question>,
    ) -> (Self, Ended) {
        let (end, ended) = End::new();
        (Self { threads, file, offset, begun: None, end, asked }, ended)
    }
}

impl<D> StreamProducer<D> for Reading {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut to: Destination<'a, u8, BytesMut>,
        is_cancelled: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let most = to.remaining(store).unwrap_or(CAPACITY).min(CAPACITY);
        if most == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let begun = this.begun.get_or_insert_with(|| {
            let (file, offset) = (Arc::clone(&this.file), this.offset);
            let read = begin(&this.threads, move || read(&file, offset, most));
            match &this.asked {
                None => read,
                Some(asked) => passing_read(enter(asked, most, Bytes::new()), read),
            }
        });
        let read = match begun.as_mut().poll(context) {
            // The next read has what comes of it.
            Poll::Pending if is_cancelled => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read,
        };
        this.begun = None;
        Poll::Ready(Ok(match read {
            Ok(bytes) if bytes.is_empty() => StreamResult::Dropped,
            Ok(bytes) => {
                this.offset = this.offset.saturating_add(bytes.len() as u64);
                to.set_buffer(bytes);
                StreamResult::Completed
            }
            Err(error) => {
                this.end.is(Err(error.into()));
                StreamResult::Dropped
            }
        }))
    }
}

/// A read that passes the layers.
fn passing_read(entering: Entering, read: Work<BytesMut>) -> Work<BytesMut> {
    Box::pin(async move {
        let (passing, _) = match entering.await {
            Ok(passing) => passing,
            Err(Ok(body)) => return Ok(body.map(BytesMut::from).unwrap_or_default()),
            Err(Err(error)) => return Err(io_error(&error)),
        };
        match read.await {
            Ok(bytes) => {
                let bytes = bytes.freeze();
                let _it_is_read = end(passing, Ok(Some(bytes.clone())));
                Ok(bytes.into())
            }
            Err(error) => end(passing, Err(error)).map(|()| BytesMut::new()),
        }
    })
}

fn read(file: &File, offset: u64, most: usize) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::zeroed(most);
    loop {
        match file.read_at(&mut bytes, offset) {
            Ok(count) => {
                bytes.truncate(count);
                return Ok(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a file of a folder that has a bound. Others are not written to.
pub(super) struct Writing {
    threads: Arc<FileThreads>,
    file: Arc<File>,
    quota: Quota,
    position: Position,
    /// With how many bytes it is about.
    begun: Option<(Work<()>, usize)>,
    end: End,
    asked: Option<Question>,
}

impl Writing {
    /// Each piece is asked about, where there is a question.
    pub(super) fn new(
        threads: Arc<FileThreads>,
        file: Arc<File>,
        quota: Quota,
        position: Position,
        asked: Option<Question>,
    ) -> (Self, Ended) {
        let (end, ended) = End::new();
        (Self { threads, file, quota, position, begun: None, end, asked }, ended)
    }
}

impl<D: 'static> StreamConsumer<D> for Writing {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        from: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let mut from = from.as_direct(store);
        let (work, count) = match &mut this.begun {
            Some(begun) => begun,
            None => {
                let all = from.remaining();
                let bytes = Bytes::copy_from_slice(&all[..all.len().min(CAPACITY)]);
                if bytes.is_empty() {
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                let (file, quota, position) = (Arc::clone(&this.file), this.quota.clone(), this.position);
                let count = bytes.len();
                let work = match &this.asked {
                    None => begin(&this.threads, move || write(&file, &quota, position, &bytes)),
                    Some(asked) => {
                        let (threads, entering) = (Arc::clone(&this.threads), enter(asked, 0, bytes));
                        passing_write(entering, move |bytes| {
                            begin(&threads, move || write(&file, &quota, position, &bytes))
                        })
                    }
                };
                this.begun.insert((work, count))
            }
        };
        // Also where the guest takes it back: what has begun cannot be taken back, and it is to know what was written.
        let Poll::Ready(written) = work.as_mut().poll(context) else { return Poll::Pending };
        let count = *count;
        this.begun = None;
        Poll::Ready(Ok(match written {
            Ok(()) => {
                from.mark_read(count);
                if let Position::At(at) = &mut this.position {
                    *at = at.saturating_add(count as u64);
                }
                StreamResult::Completed
            }
            Err(error) => {
                this.end.is(Err(error.into()));
                StreamResult::Dropped
            }
        }))
    }
}

/// A write that passes the layers, of the bytes that they let on.
fn passing_write(entering: Entering, write: impl FnOnce(Bytes) -> Work<()> + Send + 'static) -> Work<()> {
    Box::pin(async move {
        match entering.await {
            Ok((passing, bytes)) => match write(bytes).await {
                Ok(()) => end(passing, Ok(None)),
                Err(error) => end(passing, Err(error)),
            },
            Err(Ok(_)) => Ok(()),
            Err(Err(error)) => Err(io_error(&error)),
        }
    })
}

/// What a listing came to: its entries, and why there are not more.
type Listing = (Vec<DirectoryEntry>, Result<(), ErrorCode>, Listed);

/// Lists a folder. All of it is read at once, and kept until the guest has gone through it.
pub(super) struct Entries {
    begun: Option<Work<Listing>>,
    /// What is kept for the guest, and how it ends then.
    kept: Option<(Listed, Result<(), ErrorCode>)>,
    end: End,
}

impl Entries {
    /// It is asked about, where there is a question.
    pub(super) fn new(
        threads: Arc<FileThreads>,
        folder: Arc<File>,
        listed: Listed,
        asked: Option<Question>,
    ) -> (Self, Ended) {
        let (end, ended) = End::new();
        let begun = match asked {
            None => begin(&threads, move || Ok(list(&folder, listed))),
            Some(asked) => passing_list(enter(&asked, 0, Bytes::new()), threads, folder, listed),
        };
        (Self { begun: Some(begun), kept: None, end }, ended)
    }
}

impl<D> StreamProducer<D> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut to: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        is_cancelled: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        if to.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let listing = match &mut this.begun {
            Some(begun) => match begun.as_mut().poll(context) {
                Poll::Pending if is_cancelled => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(listing) => listing,
            },
            // The engine has handed over all that there was.
            None => {
                if let Some((_, how)) = this.kept.take() {
                    this.end.is(how);
                }
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
        };
        this.begun = None;
        match listing {
            Ok((entries, how, listed)) if !entries.is_empty() => {
                this.kept = Some((listed, how));
                to.set_buffer(entries.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Ok((_, how, _)) => {
                this.end.is(how);
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Err(error) => {
                this.end.is(Err(error.into()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    }
}

/// A listing that passes the layers. One that a layer has handled has no entries.
fn passing_list(entering: Entering, threads: Arc<FileThreads>, folder: Arc<File>, listed: Listed) -> Work<Listing> {
    Box::pin(async move {
        let passing = match entering.await {
            Ok((passing, _)) => passing,
            Err(Ok(_)) => return Ok((Vec::new(), Ok(()), listed)),
            Err(Err(error)) => return Err(io_error(&error)),
        };
        let (entries, how, listed) = begin(&threads, move || Ok(list(&folder, listed))).await?;
        let told = how.clone().map(|()| None).map_err(|code| CallError::Failed { code: code.word() });
        let how = match passing.end(told.clone()) {
            same if same == told => how,
            Ok(_) => Ok(()),
            Err(error) => Err(ErrorCode::of(&error)),
        };
        Ok((entries, how, listed))
    })
}

fn list(folder: &File, mut listed: Listed) -> Listing {
    let mut entries = Vec::new();
    let how = read_dir(folder, &mut entries, &mut listed);
    if is_in_place() {
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    }
    // One that is too large is not listed at all, as in WASI 0.2.
    if matches!(how, Err(ErrorCode::InsufficientMemory)) {
        entries.clear();
    }
    (entries, how, listed)
}

fn read_dir(folder: &File, entries: &mut Vec<DirectoryEntry>, listed: &mut Listed) -> Result<(), ErrorCode> {
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))? {
        let entry = entry?;
        let name = entry.file_name();
        if !listed.take(name.len()) {
            return Err(ErrorCode::InsufficientMemory);
        }
        let name = name.into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
        entries.push(DirectoryEntry { type_: kind(entry.file_type()?), name });
    }
    Ok(())
}

fn kind(of: std::fs::FileType) -> DescriptorType {
    match () {
        () if of.is_file() => DescriptorType::RegularFile,
        () if of.is_dir() => DescriptorType::Directory,
        () if of.is_symlink() => DescriptorType::SymbolicLink,
        () if of.is_fifo() => DescriptorType::Fifo,
        () if of.is_socket() => DescriptorType::Socket,
        () if of.is_block_device() => DescriptorType::BlockDevice,
        () if of.is_char_device() => DescriptorType::CharacterDevice,
        () => DescriptorType::Other(None),
    }
}
