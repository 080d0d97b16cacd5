//! stdout of a run: written by a thread of its own, so that a reader who stops reading holds up the lines that are
//! sent, and no signal.
//!
//! Nothing is lost but what nobody reads in [`PARTING`] after a signal.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::signals::Signals;
use crate::explain::note;

/// From so many bytes on that wait for the reader, nothing more is begun.
const ROOM: usize = 64 << 10;
/// How long a reader who reads nothing is waited for after a signal.
const PARTING: Duration = Duration::from_secs(2);
/// How long a write is left alone where stdout takes nothing now and would not wait: a pipe that somebody made so.
const LATER: Duration = Duration::from_millis(10);

/// Where answers go.
pub(super) struct Stdout {
    /// What the thread has not taken yet.
    waiting: Vec<u8>,
    to: Option<mpsc::Sender<Vec<u8>>>,
    /// How the writing ended; none where that was told already.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Stdout {
    /// Begins to write.
    ///
    /// # Errors
    ///
    /// There is no thread, or no descriptor, to be had.
    pub(super) fn begin() -> io::Result<Self> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let (to, mut taken) = mpsc::channel::<Vec<u8>>(1);
        let (tell, ended) = oneshot::channel();
        // It ends with the last answer, or with the process.
        thread::Builder::new().name("airssys-stdout".to_owned()).spawn(move || {
            let mut written = Ok(());
            while let (Ok(()), Some(bytes)) = (&written, taken.blocking_recv()) {
                written = write(&stdout, &bytes);
            }
            let _nobody_asks = tell.send(written);
        })?;
        Ok(Self { waiting: Vec::new(), to: Some(to), ended: Some(ended) })
    }

    /// Adds a line, which waits for [`Stdout::send`].
    pub(super) fn line(&mut self, line: &str) {
        self.waiting.extend_from_slice(airssys_wasm::command::hidden(line).as_bytes());
        self.waiting.push(b'\n');
    }

    /// Whether there is something to be sent.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether as much waits as may.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= ROOM
    }

    /// Gives what waits to the thread as soon as that takes it. Cut off, it has done nothing.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        if let (Some(to), true) = (&self.to, self.waits())
            && let Ok(room) = to.reserve().await
        {
            room.send(std::mem::take(&mut self.waiting));
            return Ok(());
        }
        if self.waits() { self.outcome().await } else { Ok(()) }
    }

    /// Waits until all is written; after a signal not for ever. That nobody reads any more is no failure.
    pub(super) async fn end(&mut self, signals: &mut Signals) -> io::Result<()> {
        let ended = async {
            self.send().await?;
            self.to = None;
            self.outcome().await
        };
        let mut ended = std::pin::pin!(ended);
        let written = tokio::select! {
            biased;
            written = &mut ended => written,
            () = signals.first() => timeout(PARTING, ended).await.unwrap_or_else(|_| {
                note("nobody reads the answers: the last ones are lost");
                Ok(())
            }),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// How the writing ended; waits for that.
    async fn outcome(&mut self) -> io::Result<()> {
        let Some(ended) = &mut self.ended else { return Ok(()) };
        let outcome = ended.await;
        self.ended = None;
        outcome.unwrap_or(Ok(()))
    }
}

fn write(mut stdout: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stdout.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LATER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
