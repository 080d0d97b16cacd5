//! How what came of a call is written down and read back, and in whose place nothing is opened: one way for files,
//! folders, streams and bodies of HTTP. What a guest has open is known by [`super::outside_names`].
//!
//! Where nothing is recorded there are no names: each call looks at one pointer and one length.
//!
//! Where a recording is read back nothing is opened. What the guest has then stands for nothing: whatever is asked of
//! it is answered by the script, and by an error where that has no answer.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
};
use wasmtime_wasi::p2::{FsError, FsResult, StreamError, StreamResult};
use wasmtime_wasi_http::Error;

use super::file_names::joined;
use super::outside_names::{Handle, Outside, Part};
use super::passed::{Code as _, io_error};
use crate::engine::guest::Guest;
use crate::error::CallError;
use crate::turn::outside::{CLOSED, Change, Look, Said, Stat, UNKNOWN};
use crate::turn::{HostCall, Reply, Script, Scripted};

/// In the table, in the place of something that is open.
struct StandIn;

/// What is asked of what is outside.
pub(super) enum Ask {
    Look(Look),
    Change(Change),
}

impl From<Look> for Ask {
    fn from(look: Look) -> Self {
        Self::Look(look)
    }
}

impl From<Change> for Ask {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

impl Ask {
    fn at(self, at: String) -> HostCall {
        match self {
            Self::Look(look) => HostCall::Look { at, look },
            Self::Change(change) => HostCall::Change { at, change },
        }
    }
}

/// What becomes of it.
pub(super) enum Asked {
    /// It is done, and nobody wants to know.
    Nobody,
    /// It is told this, and nothing is done.
    Told(Result<Said, String>),
    /// The turn ended before anybody was told.
    Never,
    /// It is done, and what came of it is to be told by [`Guest::note`].
    Noted(Scripted),
}

impl Guest {
    /// Asks the script about what is done with something that is open. The call is made only where there is one.
    #[inline]
    pub(super) fn ask_of<A: Into<Ask>>(&mut self, rep: u32, ask: impl FnOnce(&Handle) -> A) -> Asked {
        if self.turn.script.is_none() && self.outside.is_empty() {
            return Asked::Nobody;
        }
        self.ask_script_of(rep, |handle| (Arc::clone(&handle.at), ask(handle).into()))
    }

    /// The same about a path in a folder.
    #[inline]
    pub(super) fn ask_at<A: Into<Ask>>(&mut self, rep: u32, path: &str, ask: impl FnOnce(&Handle) -> A) -> Asked {
        if self.turn.script.is_none() && self.outside.is_empty() {
            return Asked::Nobody;
        }
        self.ask_script_of(rep, |handle| (handle.named(path), ask(handle).into()))
    }

    /// The same about a path of its own.
    #[inline]
    pub(super) fn ask_about<A: Into<Ask>>(&mut self, path: &str, ask: impl FnOnce() -> A) -> Asked {
        if self.turn.script.is_none() {
            return Asked::Nobody;
        }
        self.ask_script(joined("", path).into(), ask().into(), false)
    }

    #[cold]
    fn ask_script_of(&mut self, rep: u32, ask: impl FnOnce(&Handle) -> (Arc<str>, Ask)) -> Asked {
        let Some(handle) = self.outside.of(rep) else { return Asked::Nobody };
        let stands_in = handle.stands_in;
        let (at, ask) = ask(handle);
        self.ask_script(at, ask, stands_in)
    }

    #[cold]
    fn ask_script(&mut self, at: Arc<str>, ask: Ask, stands_in: bool) -> Asked {
        match self.turn.ask_elsewhere(|_| ask.at(String::from(&*at))) {
            Scripted::Nobody if stands_in => Asked::Told(Err(UNKNOWN.to_owned())),
            Scripted::Nobody => Asked::Nobody,
            Scripted::Never => Asked::Never,
            Scripted::Told(told) | Scripted::Instead(told) => {
                // It has parted from the recording, which is told elsewhere.
                Asked::Told(told.said().unwrap_or_else(|_| Err(UNKNOWN.to_owned())))
            }
            asked => Asked::Noted(asked),
        }
    }

    /// [`Guest::ask_of`], of something of HTTP.
    #[inline]
    pub(super) fn ask_of_part(&mut self, part: (Part, u32), look: Look) -> Asked {
        match self.outside.part(part) {
            None => Asked::Nobody,
            Some(handle) => {
                let (at, stands_in) = (Arc::clone(&handle.at), handle.stands_in);
                self.ask_script(at, look.into(), stands_in)
            }
        }
    }

    /// Something of HTTP begins, which is called so; where it was so called in this turn already, by its number too.
    #[inline]
    pub(super) fn begins(&mut self, part: Part, rep: u32, called: impl FnOnce() -> String) {
        let Some(script) = self.turn.script.as_deref_mut() else { return };
        let stands_in = script.is_read_back();
        let at = script.numbered(called()).into();
        self.outside.parts.insert((part, rep), Handle { at, from: None, stands_in, answers: false });
    }

    /// The request that it handles has this body, where the script has what was read of it.
    #[inline]
    pub(super) fn has_request_body(&mut self, body: u32, called: &str) {
        self.forgets_part(Part::Body, body);
        if self.turn.script.as_deref().is_some_and(Script::has_request_body) {
            self.begins(Part::Body, body, || called.to_owned());
        }
    }

    /// It answers with this body, where the script has how that was written.
    #[inline]
    pub(super) fn answers_with(&mut self, body: u32) {
        self.forgets_part(Part::Written, body);
        if self.turn.script.as_deref().is_some_and(Script::has_response) {
            self.begins(Part::Written, body, || "its response".to_owned());
            if let Some(handle) = self.outside.parts.get_mut(&(Part::Written, body)) {
                handle.answers = true;
            }
        }
    }

    /// One is a stream of the other, and is called as that is.
    #[inline]
    pub(super) fn is_stream_of(&mut self, of: (Part, u32), stream: u32) {
        if let Some(handle) = self.outside.part(of).cloned() {
            self.outside.open.insert(stream, Handle { from: Some(0), ..handle });
        }
    }

    /// Something that the guest has for itself took the place of something of HTTP.
    #[inline]
    pub(super) fn forgets_part(&mut self, part: Part, rep: u32) {
        if !self.outside.parts.is_empty() {
            self.outside.parts.remove(&(part, rep));
        }
    }

    /// One comes of the other, and is called as that is.
    #[inline]
    pub(super) fn is_part_of(&mut self, one: (Part, u32), other: (Part, u32)) {
        match self.outside.part(one).cloned() {
            Some(handle) => drop(self.outside.parts.insert(other, handle)),
            None => self.forgets_part(other.0, other.1),
        }
    }

    /// This came of it.
    #[cold]
    pub(super) fn note(&mut self, asked: Scripted, said: Option<Result<Said, String>>) {
        // A trap has no answer: the turn ends with it.
        if let Some(said) = said {
            let _as_it_was = self.turn.told_elsewhere(asked, Reply::Said(said));
        }
    }

    /// See [`crate::turn::Turn::uses_unrecorded`].
    #[inline]
    pub(in crate::engine) fn is_unrecorded(&mut self, what: &str) {
        self.turn.uses_unrecorded(what);
    }

    /// Something is open from here on, by this name, where a recorder is to know it.
    #[inline]
    pub(super) fn is_open(&mut self, rep: u32, named: impl FnOnce(&Outside) -> Option<(Arc<str>, Option<u64>)>) {
        if self.turn.script.is_some()
            && let Some((at, from)) = named(&self.outside)
        {
            self.outside.insert(rep, at, from, false);
        }
    }

    /// Something in the place of what would be open.
    pub(super) fn stand_in<T: 'static>(&mut self, at: Arc<str>) -> Result<Resource<T>, ResourceTableError> {
        let rep = self.table.push(StandIn)?.rep();
        self.stands_in(rep, at, None);
        Ok(Resource::new_own(rep))
    }

    /// The same, of something that is in the table already and does nothing.
    pub(super) fn stands_in(&mut self, rep: u32, at: Arc<str>, from: Option<u64>) {
        self.outside.insert(rep, at, from, true);
    }

    /// It is dropped; whether that was all.
    pub(super) fn dropped_stand_in(&mut self, rep: u32) -> Result<bool, ResourceTableError> {
        if !self.outside.forget(rep) {
            return Ok(false);
        }
        self.table.delete(Resource::<StandIn>::new_own(rep)).map(|_| true)
    }
}

/// What comes of a call, as it is written down and read back.
pub(super) trait Recorded: Sized {
    fn said(&self) -> Said;

    /// None where something else was said.
    fn of(said: Said) -> Option<Self>;
}

impl Recorded for () {
    fn said(&self) -> Said {
        Said::Done
    }

    fn of(_: Said) -> Option<Self> {
        Some(())
    }
}

impl Recorded for u64 {
    fn said(&self) -> Said {
        Said::Number(*self)
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Number(number) => Some(number),
            _ => None,
        }
    }
}

impl Recorded for bool {
    fn said(&self) -> Said {
        Said::Yes(*self)
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Yes(yes) => Some(yes),
            _ => None,
        }
    }
}

impl Recorded for String {
    fn said(&self) -> Said {
        Said::Word(self.clone())
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Word(word) => Some(word),
            _ => None,
        }
    }
}

impl Recorded for (Vec<u8>, bool) {
    fn said(&self) -> Said {
        Said::Bytes { bytes: Bytes::copy_from_slice(&self.0), is_end: self.1 }
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Bytes { bytes, is_end } => Some((bytes.into(), is_end)),
            _ => None,
        }
    }
}

/// What a stream has.
impl Recorded for Vec<u8> {
    fn said(&self) -> Said {
        Said::Bytes { bytes: Bytes::copy_from_slice(self), is_end: false }
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Bytes { bytes, .. } => Some(bytes.into()),
            _ => None,
        }
    }
}

impl Recorded for MetadataHashValue {
    fn said(&self) -> Said {
        Said::Hash(self.lower, self.upper)
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Hash(lower, upper) => Some(Self { lower, upper }),
            _ => None,
        }
    }
}

/// The types of files, by their names in WASI.
const TYPES: [(DescriptorType, &str); 8] = [
    (DescriptorType::Unknown, "unknown"),
    (DescriptorType::BlockDevice, "block-device"),
    (DescriptorType::CharacterDevice, "character-device"),
    (DescriptorType::Directory, "directory"),
    (DescriptorType::Fifo, "fifo"),
    (DescriptorType::SymbolicLink, "symbolic-link"),
    (DescriptorType::RegularFile, "regular-file"),
    (DescriptorType::Socket, "socket"),
];

fn type_word(of: DescriptorType) -> String {
    TYPES.iter().find(|(ty, _)| *ty == of).map_or("unknown", |(_, word)| word).to_owned()
}

fn type_of(word: &str) -> DescriptorType {
    TYPES.iter().find(|(_, of)| *of == word).map_or(DescriptorType::Unknown, |(ty, _)| *ty)
}

impl Recorded for DescriptorType {
    fn said(&self) -> Said {
        Said::Word(type_word(*self))
    }

    fn of(said: Said) -> Option<Self> {
        String::of(said).map(|word| type_of(&word))
    }
}

/// How something is open, by the names of WASI.
const FLAGS: [(DescriptorFlags, &str); 6] = [
    (DescriptorFlags::READ, "read"),
    (DescriptorFlags::WRITE, "write"),
    (DescriptorFlags::FILE_INTEGRITY_SYNC, "file-integrity-sync"),
    (DescriptorFlags::DATA_INTEGRITY_SYNC, "data-integrity-sync"),
    (DescriptorFlags::REQUESTED_WRITE_SYNC, "requested-write-sync"),
    (DescriptorFlags::MUTATE_DIRECTORY, "mutate-directory"),
];

pub(super) fn flag_words(of: DescriptorFlags) -> Vec<&'static str> {
    FLAGS.iter().filter(|(flag, _)| of.contains(*flag)).map(|(_, word)| *word).collect()
}

impl Recorded for DescriptorFlags {
    fn said(&self) -> Said {
        Said::Word(flag_words(*self).join(" "))
    }

    fn of(said: Said) -> Option<Self> {
        let words = String::of(said)?;
        let is_there = |word: &str| words.split(' ').any(|there| there == word);
        Some(FLAGS.iter().filter(|(_, word)| is_there(word)).fold(Self::empty(), |all, (flag, _)| all | *flag))
    }
}

impl Recorded for DescriptorStat {
    fn said(&self) -> Said {
        let time = |at: &Option<Datetime>| at.as_ref().map(|at| (at.seconds, at.nanoseconds));
        let times = [&self.data_access_timestamp, &self.data_modification_timestamp, &self.status_change_timestamp];
        Said::Stat(Stat {
            kind: type_word(self.type_),
            links: self.link_count,
            size: self.size,
            times: times.map(time),
        })
    }

    fn of(said: Said) -> Option<Self> {
        let Said::Stat(Stat { kind, links, size, times }) = said else { return None };
        let [accessed, modified, changed] =
            times.map(|at| at.map(|(seconds, nanoseconds)| Datetime { seconds, nanoseconds }));
        Some(Self {
            type_: type_of(&kind),
            link_count: links,
            size,
            data_access_timestamp: accessed,
            data_modification_timestamp: modified,
            status_change_timestamp: changed,
        })
    }
}

impl Recorded for Option<DirectoryEntry> {
    fn said(&self) -> Said {
        Said::Entry(self.as_ref().map(|entry| (type_word(entry.type_), entry.name.clone())))
    }

    fn of(said: Said) -> Option<Self> {
        match said {
            Said::Entry(entry) => Some(entry.map(|(kind, name)| DirectoryEntry { type_: type_of(&kind), name })),
            _ => None,
        }
    }
}

/// What was said of a call of files; none where the instance ends with it.
pub(super) fn said<T>(done: &FsResult<T>, well: impl FnOnce(&T) -> Said) -> Option<Result<Said, String>> {
    match done {
        Ok(done) => Some(Ok(well(done))),
        Err(error) => error.downcast_ref().map(|code: &ErrorCode| Err(code.word())),
    }
}

/// The error of a word.
pub(super) fn fs_error(word: &str) -> FsError {
    ERRORS.into_iter().find(|code| code.name() == word).unwrap_or(ErrorCode::Io).into()
}

/// What a call of files comes to that was told this.
pub(super) fn read_back<T: Recorded>(told: Result<Said, String>) -> FsResult<T> {
    match told {
        Ok(said) => T::of(said).ok_or_else(|| TrappableError::trap(Misfit)),
        Err(word) => Err(fs_error(&word)),
    }
}

/// What was recorded is no answer to what was asked.
#[derive(Debug, thiserror::Error)]
#[error("what was recorded of it is no answer to what was asked of what lies outside")]
pub(super) struct Misfit;

/// What was said of a stream.
pub(super) fn said_of_stream<T: Recorded>(done: &StreamResult<T>) -> Option<Result<Said, String>> {
    match done {
        Ok(done) => Some(Ok(done.said())),
        Err(StreamError::Closed) => Some(Err(CLOSED.to_owned())),
        Err(StreamError::LastOperationFailed(error)) => Some(Err(match error.downcast_ref::<std::io::Error>() {
            Some(error) => ErrorCode::from(error).word(),
            None => word_of(error),
        })),
        Err(StreamError::Trap(_)) => None,
    }
}

/// What a call of a stream comes to that was told this.
pub(super) fn stream_read_back<T: Recorded>(told: Result<Said, String>) -> StreamResult<T> {
    match told {
        Ok(said) => T::of(said).ok_or_else(|| StreamError::Trap(Misfit.into())),
        Err(word) if word == CLOSED => Err(StreamError::Closed),
        Err(word) => Err(StreamError::LastOperationFailed(match error_of(&word) {
            Some(error) => error.into(),
            None => io_error(&CallError::Failed { code: word }).into(),
        })),
    }
}

/// The errors of bodies that have nothing more to say, by their words.
const OF_BODIES: [(Error, &str); 4] = [
    (Error::ConnectionReadTimeout, "http-connection-read-timeout"),
    (Error::ConnectionTerminated, "http-connection-terminated"),
    (Error::HttpResponseIncomplete, "http-response-incomplete"),
    (Error::HttpProtocolError, "http-protocol-error"),
];

/// The word for an error of a stream that is none of files.
fn word_of(error: &wasmtime::Error) -> String {
    let same = |known: &Error| {
        let found = error.downcast_ref::<Error>().map(std::mem::discriminant);
        found == Some(std::mem::discriminant(known))
    };
    OF_BODIES
        .iter()
        .find(|(known, _)| same(known))
        .map_or_else(|| format!("http: {error}"), |(_, word)| (*word).to_owned())
}

/// The error of such a word; none where it is one of files.
fn error_of(word: &str) -> Option<Error> {
    if let Some(text) = word.strip_prefix("http: ") {
        return Some(Error::InternalError(Some(text.to_owned())));
    }
    OF_BODIES.into_iter().find(|(_, known)| *known == word).map(|(error, _)| error)
}

const ERRORS: [ErrorCode; 37] = [
    ErrorCode::Access,
    ErrorCode::WouldBlock,
    ErrorCode::Already,
    ErrorCode::BadDescriptor,
    ErrorCode::Busy,
    ErrorCode::Deadlock,
    ErrorCode::Quota,
    ErrorCode::Exist,
    ErrorCode::FileTooLarge,
    ErrorCode::IllegalByteSequence,
    ErrorCode::InProgress,
    ErrorCode::Interrupted,
    ErrorCode::Invalid,
    ErrorCode::Io,
    ErrorCode::IsDirectory,
    ErrorCode::Loop,
    ErrorCode::TooManyLinks,
    ErrorCode::MessageSize,
    ErrorCode::NameTooLong,
    ErrorCode::NoDevice,
    ErrorCode::NoEntry,
    ErrorCode::NoLock,
    ErrorCode::InsufficientMemory,
    ErrorCode::InsufficientSpace,
    ErrorCode::NotDirectory,
    ErrorCode::NotEmpty,
    ErrorCode::NotRecoverable,
    ErrorCode::Unsupported,
    ErrorCode::NoTty,
    ErrorCode::NoSuchDevice,
    ErrorCode::Overflow,
    ErrorCode::NotPermitted,
    ErrorCode::Pipe,
    ErrorCode::ReadOnly,
    ErrorCode::InvalidSeek,
    ErrorCode::TextFileBusy,
    ErrorCode::CrossDevice,
];
