//! What WASI has no word for in a granted folder: records at the end of a file, files that are replaced as a whole, and
//! who is told what changes. What is granted decides, the layers are asked, there has to be room, and then it is done.
//! The same way for whoever wants it, a guest or the program that embeds the host.
//!
//! What is done is not the turn's: it is done at once, and not undone where the turn is discarded.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::Identity;
use super::passing::Question;
use crate::capability::{Access, FolderRights};
use crate::error::{CallError, SendError};
use crate::file_threads::FileThreads;
use crate::files::{self, Came, May, Seen, Watch};
use crate::limits::{NODE_BYTES, READ_BYTES};
use crate::message::Answer;
use crate::operation::{Operation, Operations};
use crate::quota::{Folder, Quota};
use crate::schema::size_text;

const NO_FOLDER: &str = "it lies in no folder that is requested and granted";

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Overloaded(String),
    #[error("{0}")]
    NoRoom(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Failed(String),
}

/// A path in a granted folder.
struct Place {
    folder: Arc<Folder>,
    /// What is below that.
    rest: String,
    /// All of it, as the layers and the audit are told it.
    name: Arc<str>,
    rights: FolderRights,
    quota: Option<Quota>,
}

/// A folder or a file that is watched.
#[derive(Debug)]
pub(crate) struct Watching {
    watch: Watch,
    right: Access,
    rights: FolderRights,
    name: Arc<str>,
    _counted: Counted,
}

/// One of the watches of a service.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, FileError>> + Send + 'a>>;

impl Identity {
    /// Writes a record behind all that is in a file, which is made where it is not there.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub(crate) async fn append(
        self: &Arc<Self>,
        trace: u64,
        path: &str,
        record: Bytes,
        sync: bool,
    ) -> Result<(), FileError> {
        let operation = Operation::FileWrite;
        let place = self.place(operation, path)?;
        self.lets(operation, &place, Access::WRITE)?;
        self.held_back()?;
        let asked = self.asks_about(operation, Operation::FileCreate, &place, trace);
        pass(asked, record, |_| Some(()), |record| Box::pin(self.append_granted(&place, record, sync))).await
    }

    async fn append_granted(self: &Arc<Self>, place: &Place, record: Bytes, sync: bool) -> Result<(), FileError> {
        let failed = |error| self.failed(Operation::FileWrite, place, error);
        let threads = self.file_threads();
        let open = |makes: bool| {
            let (folder, rest) = (Arc::clone(&place.folder), place.rest.clone());
            threads.blocking(move || files::open_to_append(&folder.handle, &rest, makes))
        };
        let file = match open(false).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.lets(Operation::FileCreate, place, Access::CREATE)?;
                if let Some(quota) = &place.quota {
                    drop(quota.room(NODE_BYTES).await.map_err(failed)?);
                }
                open(true).await
            }
            other => other,
        };
        let file: Arc<File> = file.map_err(failed)?.into();
        let quota = place.quota.clone();
        let write = move || {
            let add = || files::append(&file, &record);
            match &quota {
                Some(quota) => {
                    quota.opened(&file)?;
                    quota.grow(&file, |length| length.saturating_add(record.len() as u64), add)?;
                }
                None => add()?,
            }
            if sync { file.sync_all() } else { Ok(()) }
        };
        threads.blocking(write).await.map_err(failed)
    }

    /// Gives a file this content as a whole, and makes it where it is not there.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub(crate) async fn replace(self: &Arc<Self>, trace: u64, path: &str, content: Bytes) -> Result<(), FileError> {
        let operation = Operation::FileWrite;
        let place = self.place(operation, path)?;
        let now = place.rights.now();
        if (now & (Access::WRITE | Access::CREATE)).is_empty() {
            self.lets(operation, &place, Access::WRITE)?;
        }
        self.held_back()?;
        let asked = self.asks_about(operation, Operation::FileCreate, &place, trace);
        pass(asked, content, |_| Some(()), |content| Box::pin(self.replace_granted(&place, content))).await
    }

    async fn replace_granted(self: &Arc<Self>, place: &Place, content: Bytes) -> Result<(), FileError> {
        let failed = |error| self.failed(Operation::FileWrite, place, error);
        // Both are there while the new one is made.
        let bytes = NODE_BYTES.saturating_add(content.len() as u64);
        let _room = match &place.quota {
            Some(quota) => Some(quota.room(bytes).await.map_err(failed)?),
            None => None,
        };
        let threads = self.file_threads();
        let put = |may: May| {
            let (folder, rest, content) = (Arc::clone(&place.folder), place.rest.clone(), content.clone());
            threads.blocking(move || files::replace(&folder.handle, &rest, &content, may))
        };
        let now = place.rights.now();
        let (create, write) = (now.contains(Access::CREATE), now.contains(Access::WRITE));
        // Where it is counted what is done, what is new is not to need the right to write.
        let first = May { create, write: write && !(create && place.rights.is_counted()) };
        let came = match put(first).await.map_err(failed)? {
            Came::IsThere if write => put(May { create, write }).await.map_err(failed)?,
            came => came,
        };
        match came {
            Came::Made => place.rights.note(Access::CREATE),
            Came::Replaced => place.rights.note(Access::WRITE),
            Came::IsNew => self.lets(Operation::FileCreate, place, Access::CREATE)?,
            Came::IsThere => self.lets(Operation::FileWrite, place, Access::WRITE)?,
        }
        match came {
            Came::Made | Came::Replaced => Ok(()),
            // The right came back in between.
            Came::IsNew | Came::IsThere => Err(FileError::Failed(format!("{} was not replaced", place.name))),
        }
    }

    /// Reads a file, which has 64 MiB at most.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub(crate) async fn read(self: &Arc<Self>, trace: u64, path: &str) -> Result<Bytes, FileError> {
        let operation = Operation::FileRead;
        let place = self.place(operation, path)?;
        self.lets(operation, &place, Access::READ)?;
        let asked = self.asks_about(operation, operation, &place, trace);
        pass(asked, Bytes::new(), |body| Some(body.unwrap_or_default()), |_| Box::pin(self.read_granted(&place))).await
    }

    async fn read_granted(self: &Arc<Self>, place: &Place) -> Result<Bytes, FileError> {
        let (folder, rest) = (Arc::clone(&place.folder), place.rest.clone());
        let read = move || {
            let mut bytes = Vec::new();
            let file = files::open_to_read(&folder.handle, &rest)?;
            file.take(READ_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = self.file_threads().blocking(read).await;
        let bytes = bytes.map_err(|error| self.failed(Operation::FileRead, place, error))?;
        match bytes.len() as u64 <= READ_BYTES {
            true => Ok(bytes.into()),
            false => Err(FileError::NoRoom(format!("{} has more than {}", place.name, size_text(READ_BYTES)))),
        }
    }

    /// Begins to watch a folder, or one file by its name.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub(crate) async fn watch(self: &Arc<Self>, trace: u64, path: &str) -> Result<Watching, FileError> {
        let operation = Operation::FileList;
        let place = self.place(operation, path)?;
        self.lets(operation, &place, Access::NONE)?;
        let (folder, rest) = (Arc::clone(&place.folder), place.rest.clone());
        let found = self.file_threads().blocking(move || files::Watched::find(&folder.handle, &rest)).await;
        let found = found.map_err(|error| self.failed(operation, &place, error))?;
        let right = if found.is_folder() { Access::LIST } else { Access::READ };
        self.lets(operation, &place, right)?;
        self.held_back()?;
        let asked = self.asks_about(operation, operation, &place, trace);
        pass(asked, Bytes::new(), |_| None, |_| Box::pin(std::future::ready(Ok(())))).await?;
        let counted = self.counted()?;
        let watch = Watch::begin(found).map_err(|error| match files::is_full(&error) {
            true => FileError::Overloaded("as many are watched as the system allows".to_owned()),
            false => self.failed(operation, &place, error),
        })?;
        Ok(Watching { watch, right, rights: place.rights, name: place.name, _counted: counted })
    }

    fn counted(&self) -> Result<Counted, FileError> {
        let most = self.terms.limits.watches;
        let all = Arc::clone(&self.service.watches);
        let has_room = |now: usize| (now < most).then_some(now + 1);
        if all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).is_err() {
            let why = format!("{most} folders and files are watched by this service already");
            self.reach("watches", format_args!("asks for one more, and {why}"));
            return Err(FileError::Overloaded(why));
        }
        Ok(Counted(all))
    }

    /// The folders that are granted, by their names for the guest.
    pub(super) fn folders(&self) -> Vec<String> {
        self.terms.policy.files().map(|(name, _)| name.to_owned()).collect()
    }

    /// What is missing for these rights at a path, as the policy says it; none where nothing is, or where it is no path
    /// in a granted folder. Nothing is told or counted.
    pub(super) fn missing_of(&self, path: &str, needs: Access) -> Option<String> {
        let within = |folder: &str| {
            path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let folders = self.terms.policy.files().map(|(name, _)| name).filter(|name| within(name));
        let rights = self.terms.policy.folder(folders.max_by_key(|name| name.len())?)?;
        let is_missing = !rights.now().contains(needs);
        is_missing.then(|| rights.missing(self.address().service(), needs))
    }

    pub(crate) fn file_threads(&self) -> Arc<FileThreads> {
        Arc::clone(self.service.file_threads.get_or_init(FileThreads::new))
    }

    /// The bound of a folder that is granted under this name, where it may be written to.
    pub(crate) fn quota(self: &Arc<Self>, name: &str) -> Option<Quota> {
        let (_, grant) = self.terms.policy.files().find(|(guest, _)| *guest == name)?;
        let folder = grant.held.0.as_ref().filter(|_| grant.access.changes())?;
        let (identity, name, most) = (Arc::clone(self), name.to_owned(), grant.max_bytes);
        Some(Quota::new(Arc::clone(folder), most, Arc::new(move || identity.tell_full(&name, most))))
    }

    /// Tells that a granted folder is full. False where that was told of this service a moment ago.
    fn tell_full(&self, name: &str, most_bytes: u64) -> bool {
        let (own, most) = (self.address(), size_text(most_bytes));
        let detail = format_args!("the folder {name} of {own} is full: it comes to {most}, its `max`");
        let told = self.mesh.events.reach(own.service(), "files", detail);
        if told {
            tracing::warn!(
                target: "airssys::limit", service = %own, %most,
                "a folder that may be written to is full: raise `max` of its grant, or remove something"
            );
        }
        told
    }

    /// The granted folder that a path begins with, the innermost one; else the path alone.
    fn find(self: &Arc<Self>, path: &str) -> Result<Place, Arc<str>> {
        let steps = |path: &'_ str| -> Vec<String> {
            path.split('/').filter(|step| !matches!(*step, "" | ".")).map(str::to_owned).collect()
        };
        let wanted = steps(path);
        let name: Arc<str> = format!("/{}", wanted.join("/")).into();
        let granted = self.terms.policy.files();
        let within =
            granted.filter_map(|(guest, grant)| Some((guest, wanted.strip_prefix(&*steps(guest))?.join("/"), grant)));
        let found = within.max_by_key(|(guest, ..)| steps(guest).len());
        let place = found.and_then(|(guest, rest, grant)| {
            let (rights, quota) = (self.terms.policy.folder(guest)?, self.quota(guest));
            Some(Place { folder: grant.held.0?, rest, name: Arc::clone(&name), rights, quota })
        });
        place.ok_or(name)
    }

    fn place(self: &Arc<Self>, operation: Operation, path: &str) -> Result<Place, FileError> {
        self.find(path).map_err(|name| self.file_denied(operation, &name, NO_FOLDER))
    }

    /// Whether there is one of these rights at a path. Nothing is done, told or asked of a layer.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub(crate) fn allows_file(self: &Arc<Self>, path: &str, any: Access) -> Result<(), String> {
        let place = self.find(path).map_err(|name| format!("{name}: {NO_FOLDER}"))?;
        match (place.rights.now() & any).is_empty() {
            true => Err(place.rights.missing(self.address().service(), any)),
            false => Ok(()),
        }
    }

    fn lets(&self, operation: Operation, place: &Place, right: Access) -> Result<(), FileError> {
        if place.rights.lets(right) {
            return Ok(());
        }
        let missing = place.rights.missing(self.address().service(), right);
        Err(self.file_denied(operation, &place.name, &missing))
    }

    /// It is only shown what another one does: what is done to a file nobody can hold back.
    fn held_back(&self) -> Result<(), FileError> {
        match self.terms.silent {
            true => Err(FileError::Denied("in a shadow no file is changed or watched".to_owned())),
            false => Ok(()),
        }
    }

    fn asks_about(
        self: &Arc<Self>,
        operation: Operation,
        also: Operation,
        place: &Place,
        trace: u64,
    ) -> Option<Question> {
        let needs = Operations::of(operation).and(also);
        self.asks(operation, needs, || Arc::clone(&place.name)).map(|asked| asked.of(trace))
    }

    #[cold]
    fn file_denied(&self, operation: Operation, target: &str, missing: &str) -> FileError {
        self.denied(operation, target, missing);
        FileError::Denied(format!("{operation} {target:?}: {missing}"))
    }

    /// What an error of the system is to who asked.
    fn failed(&self, operation: Operation, place: &Place, error: io::Error) -> FileError {
        let told = format!("{}: {error}", place.name);
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileError::NoRoom(told),
            ErrorKind::NotFound => FileError::NotFound(told),
            ErrorKind::PermissionDenied => self.file_denied(
                operation,
                &place.name,
                "it leads out of the granted folder, or the system permits it not",
            ),
            _ => FileError::Failed(told),
        }
    }
}

impl Watching {
    /// What has changed since it was asked last.
    ///
    /// # Errors
    ///
    /// It is not granted any more.
    pub(crate) fn take(&self, identity: &Identity) -> Result<Seen, FileError> {
        if self.rights.now().contains(self.right) {
            return Ok(self.watch.take());
        }
        let missing = self.rights.missing(identity.address().service(), self.right);
        Err(identity.file_denied(Operation::FileList, &self.name, &missing))
    }

    /// Waits until something has.
    pub(crate) async fn ready(&self) {
        self.watch.ready().await;
    }
}

/// Does it as the layers let it, where one has to do with it. `made` is what an answer of a layer stands for.
async fn pass<'a, T: Clone + Into<Told>>(
    asked: Option<Question>,
    body: Bytes,
    made: impl Fn(Option<Bytes>) -> Option<T>,
    act: impl Fn(Bytes) -> Doing<'a, T>,
) -> Result<T, FileError> {
    let Some(mut asked) = asked else { return act(body).await };
    let answered = |answer: Answer| match answer {
        Ok(body) => {
            made(body).ok_or_else(|| FileError::Denied("a layer has handled it, and cannot do it itself".to_owned()))
        }
        Err(CallError::NotSent(SendError::Overloaded { what })) => Err(FileError::Overloaded(what)),
        Err(error) => Err(FileError::Denied(error.to_string())),
    };
    loop {
        let mut own = body.clone();
        let passing = match asked.enter(&mut own).await {
            Ok(passing) => passing,
            Err(answer) => return answered(answer),
        };
        let done = act(own).await;
        let outcome = match &done {
            Ok(done) => Ok(done.clone().into().0),
            Err(error) => Err(CallError::Failed { code: code(error).to_owned() }),
        };
        match passing.settle_waiting(outcome.clone()).await {
            Ok(answer) if answer == outcome || (done.is_err() && answer.is_ok()) => return done,
            Ok(answer) => return answered(answer),
            Err(again) => asked = again,
        }
    }
}

/// What layers are told of what was done.
struct Told(Option<Bytes>);

impl From<()> for Told {
    fn from((): ()) -> Self {
        Self(None)
    }
}

impl From<Bytes> for Told {
    fn from(read: Bytes) -> Self {
        Self(Some(read))
    }
}

/// What layers are told of an error.
fn code(error: &FileError) -> &'static str {
    match error {
        FileError::Denied(_) => "not-permitted",
        FileError::Overloaded(_) => "busy",
        FileError::NoRoom(_) => "insufficient-space",
        FileError::NotFound(_) => "no-entry",
        FileError::Failed(_) => "io",
    }
}
