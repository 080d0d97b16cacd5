//! SIGINT and SIGTERM: the first asks for an ordered stop, the second ends the process. The control socket may ask in
//! place of the first. And the environment that a host of guests wants.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::error::RunError;
use crate::explain::note;
use crate::output::stderr;

/// Added to a signal's number, it is the exit code of a process that a signal ended.
const BY_SIGNAL: i32 = 128;

/// How long an end at once waits for a reader of stderr who reads nothing.
const PARTING: Duration = Duration::from_millis(200);

/// Whether a signal came, or somebody asked for what it asks for.
pub(crate) struct Signals {
    came: watch::Receiver<bool>,
    asked: Arc<Notify>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, RunError> {
        let listen = |kind| signal(kind).map_err(RunError::Signals);
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (came, signals) = watch::channel(false);
        let asked = Arc::new(Notify::new());
        let also = Arc::clone(&asked);
        tokio::spawn(async move {
            tokio::select! {
                _ = either(&mut interrupt, &mut terminate) => note("stopping in order; once more ends it at once"),
                () = also.notified() => note("asked to stop; stopping in order; a signal ends it at once"),
            }
            came.send_replace(true);
            let kind = either(&mut interrupt, &mut terminate).await;
            note("ended at once; what was under way is lost");
            // What was said until now is still written where somebody reads.
            stderr::end(PARTING);
            exit(BY_SIGNAL + kind.as_raw_value());
        });
        Ok(Self { came: signals, asked })
    }

    /// What to tell to ask for an ordered stop, as the first signal does.
    pub(crate) fn asker(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// Waits for the first signal; at once where it came already.
    pub(crate) async fn first(&mut self) {
        if self.came.wait_for(|came| *came).await.is_err() {
            // Nobody listens any more: none will come.
            std::future::pending::<()>().await;
        }
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> SignalKind {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    }
}

/// Starts the process again with `RUST_LIB_BACKTRACE=0` where backtraces of errors are on and nobody asked for those of
/// libraries.
///
/// Every trap of a guest is an error value inside of the host, and a backtrace of the host's own stack makes it half as
/// dear again. The variable is read once, by the standard library, and setting it from within is not sound once there
/// are threads; so this comes before them.
pub(crate) fn without_backtraces() {
    const LIBRARIES: &str = "RUST_LIB_BACKTRACE";
    if env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0") || env::var_os(LIBRARIES).is_some() {
        return;
    }
    if let Ok(this) = env::current_exe() {
        let mut arguments = env::args_os();
        let mut again = Command::new(this);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        // Where this returns it failed, and traps are slower; nothing else.
        let _slower = again.args(arguments).env(LIBRARIES, "0").exec();
    }
}
