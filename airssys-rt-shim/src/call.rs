//! One question, one answer, one deadline.
//!
//! The waiter exists before the question leaves, so an answer is never too early. A question that is dropped unanswered
//! says so to who waits.

use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::Instant;

use crate::pulse::{Elapsed, Pulse};

/// Makes both ends of a call: the one that answers, which goes with the message, and the one that waits.
#[must_use]
pub fn call<A>() -> (ReplyTo<A>, Waiter<A>) {
    let (sender, receiver) = oneshot::channel();
    (ReplyTo(sender), Waiter(receiver))
}

/// Where an answer goes.
#[derive(Debug)]
pub struct ReplyTo<A>(oneshot::Sender<A>);

impl<A> ReplyTo<A> {
    /// Answers.
    ///
    /// # Errors
    ///
    /// Hands the answer back where nobody waits any more.
    pub fn answer(self, answer: A) -> Result<(), A> {
        self.0.send(answer)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// None came in time. One may still be under way; it will find nobody.
    #[error("no answer within the deadline")]
    Timeout,
    /// The question was dropped.
    #[error("the message was dropped unanswered")]
    Dropped,
}

/// Who waits for an answer.
#[derive(Debug)]
pub struct Waiter<A>(oneshot::Receiver<A>);

impl<A> Waiter<A> {
    /// What came of the question, where that is known already.
    pub fn now(&mut self) -> Option<Result<A, Unanswered>> {
        match self.0.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(Unanswered::Dropped)),
        }
    }

    /// Waits until the deadline, which is kept by the beats of `pulse`.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub async fn wait_until(mut self, deadline: Instant, pulse: &Pulse) -> Result<A, Unanswered> {
        match pulse.timeout_at(&mut self.0, || deadline).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(Unanswered::Dropped),
            Err(Elapsed) => {
                // Who answered a moment ago was told that the answer arrived: so it does.
                self.0.close();
                self.0.try_recv().map_err(|_| Unanswered::Timeout)
            }
        }
    }
}
