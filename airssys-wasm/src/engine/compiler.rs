//! Where releases are compiled: on threads of their own and at a lower priority, a few at a time, so that whoever
//! handles messages does not notice.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use crate::blocking;

/// How many compile at a time: each uses all cores, and takes memory by the size of the component.
const AT_ONCE: usize = 2;
/// How nice a compiling thread is, and those that it starts; whoever handles messages gets three times the time of it.
const NICE: libc::c_int = 5;

/// Compiles off the runtime's threads.
#[derive(Debug, Clone)]
pub(crate) struct Compiler(Arc<Semaphore>);

impl Default for Compiler {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Compiler {
    /// Runs what takes long; what went wrong, where the thread did not start or panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        if blocking::is_in_place() {
            return Ok(work());
        }
        let place = self.0.acquire().await.map_err(|closed| closed.to_string())?;
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name("airssys-compile".to_owned());
        let started = thread.spawn(move || {
            be_nice();
            let _nobody_waits_any_more = done.send(work());
        });
        started.map_err(|error| format!("no thread for the compiler: {error}"))?;
        let result = result.await.map_err(|_panicked| "the compiler panicked".to_owned());
        drop(place);
        result
    }
}

/// Lets this thread, and those that it starts, run after the others.
fn be_nice() {
    // SAFETY: a call of the kernel without pointers; 0 is the calling thread.
    #[allow(unsafe_code, reason = "the standard library knows no priorities")]
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0;
    if refused {
        tracing::debug!(target: "airssys", error = %std::io::Error::last_os_error(), "compiling at the usual priority");
    }
}
