//! The threads on which the guests of one service work with files: a share of its own, which no other service and
//! nothing of the host's waits for.
//!
//! A file may take its time, or for ever: a disk that hangs, a network folder that is gone. Nobody can take a thread
//! out of that. So a service has [`FILE_THREADS`] of them, and whoever asks for more waits, within his own turn.
//!
//! Invariant: no more than [`FILE_THREADS`] operations are on the threads or wait for one. Whoever gives up on an
//! operation leaves its permit to a marker that goes through the same queue, so that permits do not come back faster
//! than threads do.

use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blocking::{is_in_place, on_entered};
use crate::limits::FILE_THREADS;

/// Of one service.
#[derive(Debug)]
pub(crate) struct FileThreads {
    /// It runs no tasks: what it has are threads for work that blocks. Made at the first operation; none where that
    /// failed.
    own: OnceLock<Option<Runtime>>,
    permits: Arc<Semaphore>,
}

/// A permit for an operation.
#[derive(Debug)]
pub(crate) struct FilePermit {
    permit: Option<OwnedSemaphorePermit>,
    threads: Handle,
}

impl FileThreads {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { own: OnceLock::new(), permits: Arc::new(Semaphore::new(FILE_THREADS)) })
    }

    /// Does something whose blocking parts are these threads'. To be called on a runtime.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let permit = self.permit().await;
        let done = self.within(work).await;
        permit.done();
        done
    }

    /// Does something that blocks.
    ///
    /// # Errors
    ///
    /// What it says.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let done = self.run(async { on_entered(work).await }).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// A permit, when there is one.
    pub(crate) async fn permit(&self) -> FilePermit {
        // It is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        FilePermit { permit, threads: self.handle() }
    }

    /// A permit, where there is one now.
    pub(crate) fn try_permit(&self) -> Option<FilePermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(FilePermit { permit: Some(permit), threads: self.handle() })
    }

    /// Does something for which there is a permit.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        // For each poll, since it may come to another worker in between; and for nothing else, since clocks and sockets
        // belong to the worker's own runtime.
        std::future::poll_fn(|context| self.begin(|| work.as_mut().poll(context))).await
    }

    /// Begins something for which there is a permit.
    pub(crate) fn begin<T>(&self, work: impl FnOnce() -> T) -> T {
        let handle = self.handle();
        let _here = handle.enter();
        work()
    }

    fn handle(&self) -> Handle {
        if is_in_place() {
            return Handle::current();
        }
        let make = || {
            let mut threads = Builder::new_current_thread();
            threads.max_blocking_threads(FILE_THREADS).thread_name("airssys-files").build().ok()
        };
        match self.own.get_or_init(make) {
            Some(own) => own.handle().clone(),
            None => Handle::current(),
        }
    }
}

impl Drop for FileThreads {
    fn drop(&mut self) {
        // What hangs is not waited for.
        if let Some(own) = self.own.take().flatten() {
            own.shutdown_background();
        }
    }
}

impl FilePermit {
    /// The operation is over.
    pub(crate) fn done(mut self) {
        self.permit = None;
    }
}

impl Drop for FilePermit {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take().filter(|_| !is_in_place()) {
            drop(self.threads.spawn_blocking(move || drop(permit)));
        }
    }
}
