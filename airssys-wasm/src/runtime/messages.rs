//! What is sent to the services of a mesh, and what could not be delivered.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Runtime;
use crate::apply::Act;
use crate::error::{ReplayError, SendError};
use crate::message::{Answer, DeadLetter, To};
use crate::router::{Caller, Origin, Until};

impl Runtime {
    /// Sends a message that nobody waits for. Answers when the mailbox has accepted it, which may wait for room as its
    /// policy says. It goes to an address, or to an address and a key: see [`To`].
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// runtime.send("echo", "hello").await?;
    /// let nobody = runtime.send("nobody", "hello").await.unwrap_err();
    /// assert_eq!(nobody.code(), "no-such-service");
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was sent then.
    pub async fn send(&self, to: impl Into<To<'_>>, body: impl Into<Bytes>) -> Result<(), SendError> {
        let To { address, key } = to.into();
        self.hosted.actual.mesh.send(Origin::HOST, address, key, body.into().into()).await
    }

    /// Sends a message and waits for the answer.
    ///
    /// A service that sleeps is run in the task that calls, until its turn ends, waits, or has taken a tick of 2 ms: no
    /// thread is woken for it. So calls that one task joins run one after the other that far; who wants them side by
    /// side calls from tasks of their own.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::time::Duration;
    ///
    /// let answer = runtime.call("echo", "hello", Duration::from_secs(5)).await?;
    /// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`], which says whether it may have been handled.
    pub async fn call(&self, to: impl Into<To<'_>>, body: impl Into<Bytes>, patience: Duration) -> Answer {
        self.ask(Caller::Host(None), to.into(), body.into(), patience).await
    }

    /// No async function: each has its callee's future in it, and copies it when it makes it.
    pub(super) fn ask<'a>(
        &'a self,
        caller: Caller<'a>,
        To { address, key }: To<'a>,
        body: Bytes,
        patience: Duration,
    ) -> impl Future<Output = Answer> {
        let now = Instant::now();
        let until = Until { now, deadline: now + patience };
        self.hosted.actual.mesh.call(Origin::HOST, caller, address, key, body.into(), until)
    }

    /// Publishes to all services that subscribe to the topic; where none does, nothing happens.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// runtime.publish("orders/placed", "7")?;
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`], where a layer of the stack says no.
    pub fn publish(&self, topic: &str, body: impl Into<Bytes>) -> Result<(), SendError> {
        self.hosted.actual.mesh.announce(topic, body.into())
    }

    /// The dead letters: how many there were, and those that are kept, oldest first.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// let (all, kept) = runtime.dead_letters();
    /// assert_eq!(all, 0, "{:?}", kept.first().map(|letter| (letter.id, letter.reason.code())));
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        self.hosted.dead_letters()
    }

    /// Sends the body of a dead letter again to where it was going, and takes the letter out of those that are kept. It
    /// goes as a new message that the host sends and nobody waits for, whatever it was before.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let (_, kept) = runtime.dead_letters();
    /// for letter in kept {
    ///     runtime.replay(letter.id).await?;
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; nothing was sent then, and the letter is kept.
    pub async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        self.hosted.acting(Act::new("replay-dead-letter").to(id), self.hosted.actual.mesh.replay(id)).await
    }
}
