//! Which rights in a granted folder something needs that a guest does with what is open, and whether they are there:
//! asked of the handle that is used, whenever it is used.
//!
//! What is decided here is pure: [`super::file_door`] and `p3/file_door.rs` ask, and do what is let.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{RenameFlags, renameat_with};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::file_names::joined;
use crate::beneath::{self, Links};
use crate::capability::{Access, FolderRights};
use crate::engine::guest::Guest;
use crate::file_threads::FileThreads;
use crate::operation::Operation;
use crate::quota::Quota;

/// What nothing of the grants allows.
const NOT_GRANTED: &str = "no grant of files allows it";

/// It is not granted, which was told.
#[derive(Debug)]
pub(in crate::engine) struct Refused;

/// How something is opened, as far as rights are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Opening {
    /// Its content is to be read.
    pub(in crate::engine) reads: bool,
    /// Its content is to be changed or cut.
    pub(in crate::engine) writes: bool,
    /// It is to be made where it is not there.
    pub(in crate::engine) creates: bool,
    /// It is to be new.
    pub(in crate::engine) is_exclusive: bool,
}

impl Opening {
    /// What it needs whatever is there. Where it may be made or is written to, it is a file.
    fn needs(self) -> Access {
        let also = |yes: bool, right: Access| if yes { right } else { Access::NONE };
        also(self.writes, Access::WRITE)
            | also(self.creates && self.is_exclusive, Access::CREATE)
            | also(self.reads && (self.writes || self.creates), Access::READ)
    }
}

/// How it is made, if it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Making {
    /// As asked.
    AsAsked,
    /// It is opened where it is there. Where it is not, it needs to be let.
    OnlyIfThere,
}

/// What another name needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Renaming {
    AsAsked,
    /// What has that name already stays. Where something has, to replace it needs to be let.
    OnlyIfFree,
}

impl Guest {
    fn folder_rights(&self, of: u32) -> Option<&Arc<FolderRights>> {
        self.names.rights(of)
    }

    fn lets(&self, of: u32, needs: Access) -> bool {
        self.folder_rights(of).is_some_and(|rights| rights.lets(needs))
    }

    /// Tells that rights are missing.
    #[cold]
    fn refuse(&self, operation: Operation, of: u32, path: &str, needs: Access) -> Refused {
        let who = self.turn.identity.address().service();
        let missing = match self.folder_rights(of) {
            Some(rights) => rights.missing(who, needs),
            None => "it lies in no granted folder".to_owned(),
        };
        self.turn.identity.denied(operation, joined(&self.names.of(of), path), missing);
        Refused
    }

    /// Asks for rights in the folder that something is open in.
    #[inline]
    pub(in crate::engine) fn needs(
        &self,
        right: Access,
        operation: Operation,
        of: &Resource<Descriptor>,
        path: &str,
    ) -> Result<(), Refused> {
        if self.lets(of.rep(), right) { Ok(()) } else { Err(self.refuse(operation, of.rep(), path, right)) }
    }

    /// Asks for what opening something needs before that is done.
    pub(in crate::engine) fn needs_to_open(
        &self,
        opening: Opening,
        at: &Resource<Descriptor>,
        path: &str,
    ) -> Result<Making, Refused> {
        self.needs(opening.needs(), Operation::FileOpen, at, path)?;
        let may_create = || self.folder_rights(at.rep()).is_some_and(|rights| rights.now().contains(Access::CREATE));
        let is_counted = || self.folder_rights(at.rep()).is_some_and(|rights| rights.is_counted());
        // Where it is counted what is done, what is there already needs no right to make it.
        let strips = opening.creates && !opening.is_exclusive && (!may_create() || is_counted());
        Ok(if strips { Making::OnlyIfThere } else { Making::AsAsked })
    }

    /// Asks for what is needed to have it, now that it is known what was opened.
    pub(in crate::engine) fn needs_to_have(
        &self,
        opening: Opening,
        at: u32,
        path: &str,
        opened: &Resource<Descriptor>,
    ) -> Result<(), Refused> {
        let is_file = matches!(self.table.get(opened), Ok(Descriptor::File(_)));
        if !(is_file && opening.reads) || self.lets(at, Access::READ) {
            return Ok(());
        }
        Err(self.refuse(Operation::FileOpen, at, path, Access::READ))
    }

    /// Asks for what a link needs: who may do less with what is there than with the link to it would gain by it.
    pub(in crate::engine) fn needs_to_link(
        &self,
        at: &Resource<Descriptor>,
        path: &str,
        to: &Resource<Descriptor>,
        to_path: &str,
    ) -> Result<(), Refused> {
        self.needs(Access::CREATE, Operation::FileCreate, to, to_path)?;
        self.gains_nothing((at, path), to, Operation::FileCreate, Access::CONTENT)
    }

    /// Asks for what another name needs.
    pub(in crate::engine) fn needs_to_rename(
        &self,
        at: &Resource<Descriptor>,
        path: &str,
        to: &Resource<Descriptor>,
        to_path: &str,
    ) -> Result<Renaming, Refused> {
        self.needs(Access::DELETE, Operation::FileMove, at, path)?;
        self.needs(Access::CREATE, Operation::FileMove, to, to_path)?;
        self.gains_nothing((at, path), to, Operation::FileMove, Access::ALL)?;
        let may_replace = self
            .folder_rights(to.rep())
            .is_some_and(|rights| rights.now().contains(Access::DELETE) && !rights.is_counted());
        Ok(if may_replace { Renaming::AsAsked } else { Renaming::OnlyIfFree })
    }

    /// What comes into another granted folder is under the rights of that one: where these are more, those would have
    /// to be granted here.
    fn gains_nothing(
        &self,
        (at, path): (&Resource<Descriptor>, &str),
        to: &Resource<Descriptor>,
        operation: Operation,
        of: Access,
    ) -> Result<(), Refused> {
        let (from, into) = (self.folder_rights(at.rep()), self.folder_rights(to.rep()));
        let (Some(from), Some(into)) = (from, into) else { return Err(self.refuse(operation, at.rep(), path, of)) };
        let more = from.less_than(into) & of;
        if more.is_empty() { Ok(()) } else { Err(self.refuse(operation, at.rep(), path, more)) }
    }

    /// Whether this right, which nobody could know to be needed before, is there; where it is not, that is told by
    /// [`Guest::tell_denied`].
    pub(in crate::engine) fn turned_out_to_need(&mut self, right: Access, of: u32) -> bool {
        let is_let = self.lets(of, right);
        self.names.lacking = (!is_let).then_some((of, right));
        is_let
    }

    /// Tells that something was not permitted.
    #[cold]
    pub(in crate::engine) fn tell_denied(&mut self, operation: Operation, at: &Resource<Descriptor>, path: &str) {
        match self.names.lacking.take() {
            Some((of, right)) => {
                let who = self.turn.identity.address().service();
                let missing = self.folder_rights(of).map(|rights| rights.missing(who, right)).unwrap_or_default();
                self.turn.identity.denied(operation, &*self.name_at(at, path), missing);
            }
            None => self.turn.identity.denied(operation, &*self.name_at(at, path), NOT_GRANTED),
        }
    }

    /// The two folders of a move, as they are open.
    pub(in crate::engine) fn both_folders(
        &self,
        at: &Resource<Descriptor>,
        to: &Resource<Descriptor>,
    ) -> Option<[Arc<File>; 2]> {
        let folder = |of: &Resource<Descriptor>| match self.table.get(of) {
            Ok(Descriptor::Dir(folder)) => Some(Arc::clone(&folder.dir)),
            _ => None,
        };
        Some([folder(at)?, folder(to)?])
    }
}

/// What is done of that for WASI 0.2; that of 0.3 is in `p3/files.rs`.
impl Guest {
    /// Opens something, and makes it only where that is let.
    pub(super) async fn open_made(
        &mut self,
        at: Resource<Descriptor>,
        making: Making,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        with: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        if making == Making::AsAsked {
            return self.open_at(at, flags, path, open, with).await;
        }
        let folder = at.rep();
        let there = self.open_at(at, flags, path.clone(), open & !OpenFlags::CREATE, with).await;
        match &there {
            Err(error) if is(error, ErrorCode::NoEntry) => {}
            _ => return there,
        }
        if !self.turned_out_to_need(Access::CREATE, folder) {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.open_at(Resource::new_borrow(folder), flags, path, open, with).await
    }

    /// Gives something another name, and takes that of something else only where that is let.
    pub(super) async fn renamed(
        &mut self,
        at: Resource<Descriptor>,
        renaming: Renaming,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        if renaming == Renaming::AsAsked {
            return self.rename_at(at, path, to, to_path).await;
        }
        let quota = self.quota_of_both(&at, &to)?;
        let Some(both) = self.both_folders(&at, &to) else { return Err(ErrorCode::NotDirectory.into()) };
        let threads = self.file_threads();
        let renamed = rename_where_free(&threads, quota, both, path.clone(), to_path.clone()).await;
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok(other?),
        }
        if !self.turned_out_to_need(Access::DELETE, to.rep()) {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.rename_at(at, path, to, to_path).await
    }
}

fn is(error: &FsError, code: ErrorCode) -> bool {
    error.downcast_ref() == Some(&code)
}

/// Gives something another name, which nothing has yet.
///
/// # Errors
///
/// Something has it, and what the system says.
pub(in crate::engine) async fn rename_where_free(
    threads: &FileThreads,
    quota: Option<Quota>,
    [at, to]: [Arc<File>; 2],
    path: String,
    to_path: String,
) -> io::Result<()> {
    let _room = match &quota {
        Some(quota) => Some(quota.room(0).await?),
        None => None,
    };
    threads
        .blocking(move || {
            let (from, name) = beneath::parent(&*at, &path, Links::Follow)?;
            let (into, to_name) = beneath::parent(&*to, &to_path, Links::Follow)?;
            Ok(renameat_with(&from, name, &into, to_name, RenameFlags::NOREPLACE)?)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::{Access, Opening};

    #[test]
    fn what_is_opened_needs_what_it_is_opened_for() {
        let yes_and_no = [false, true];
        for reads in yes_and_no {
            for writes in yes_and_no {
                for creates in yes_and_no {
                    for is_exclusive in yes_and_no {
                        let opening = Opening { reads, writes, creates, is_exclusive };
                        let needs = opening.needs();
                        assert_eq!(needs.contains(Access::WRITE), writes, "{opening:?}");
                        assert_eq!(needs.contains(Access::CREATE), creates && is_exclusive, "{opening:?}");
                        // A folder that is opened to be read is listed, which is asked for then.
                        assert_eq!(needs.contains(Access::READ), reads && (writes || creates), "{opening:?}");
                        assert!(!needs.contains(Access::DELETE) && !needs.contains(Access::LIST), "{opening:?}");
                    }
                }
            }
        }
    }
}
