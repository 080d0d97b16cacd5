//! Deadlines that cost a timer only where they are long in coming.
//!
//! Most answers come within microseconds, and setting a timer for each of them would cost more than the answer: a lock
//! and a place in the timer wheel, and, where the wheel sleeps, a system call that wakes it. So who waits first waits
//! for the next *beat* as well, which somebody gives every few milliseconds, and sets a timer only when it comes.
//!
//! # Hot path
//!
//! [`Pulse::timeout_at`]: a place in a list, taken and given back under a short lock of two threads at most. Bench rows
//! `ask` and `relay` have it in them.
//!
//! A deadline that is nearer than the next beat is noticed at the beat. Without anybody who beats, no deadline is.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Why a future was dropped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early<I> {
    /// The deadline passed.
    Elapsed,
    /// Somebody interrupted it, and said this.
    Interrupted(I),
}

/// The beat that those who wait share.
#[derive(Debug, Default)]
pub struct Pulse {
    beat: Notify,
    /// Whether nobody beats, and who waits sets a timer at once.
    at_once: bool,
}

impl Pulse {
    /// One that needs no beat: who waits sets a timer at once. For a clock that is paused, which goes on only when
    /// nobody has anything to do.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::{future::pending, time::Duration};
    ///
    /// use airssys_rt_shim::pulse::{Elapsed, Pulse};
    ///
    /// let soon = || tokio::time::Instant::now() + Duration::from_millis(1);
    /// assert_eq!(Pulse::at_once().timeout_at(pending::<()>(), soon).await, Err(Elapsed));
    /// # }
    /// ```
    #[must_use]
    pub fn at_once() -> Self {
        Self { beat: Notify::new(), at_once: true }
    }

    /// Gives a beat: those who wait since before it set a timer now.
    pub fn beat(&self) {
        self.beat.notify_waiters();
    }

    /// Runs a future until a deadline, which is asked for when the future first has to wait.
    ///
    /// # Errors
    ///
    /// [`Elapsed`]. The future is dropped then.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use airssys_rt_shim::pulse::Pulse;
    ///
    /// let pulse = Pulse::default();
    /// let done = pulse.timeout_at(async { 1 }, || unreachable!("it never waits")).await;
    /// assert_eq!(done, Ok(1));
    /// # }
    /// ```
    pub async fn timeout_at<T>(
        &self,
        future: impl Future<Output = T>,
        deadline: impl FnOnce() -> Instant,
    ) -> Result<T, Elapsed> {
        match self.timeout_or(future, deadline, pending::<Infallible>).await {
            Ok(output) => Ok(output),
            Err(Early::Elapsed) => Err(Elapsed),
            Err(Early::Interrupted(never)) => match never {},
        }
    }

    /// [`Pulse::timeout_at`], and until somebody interrupts it: what that waits for is looked at from the next beat on.
    ///
    /// # Errors
    ///
    /// [`Early`]. The future is dropped then.
    pub async fn timeout_or<T, I: Future>(
        &self,
        future: impl Future<Output = T>,
        deadline: impl FnOnce() -> Instant,
        interrupt: impl FnOnce() -> I,
    ) -> Result<T, Early<I::Output>> {
        let mut future = pin!(future);
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Ok(output);
        }
        // Boxed, so that what need not wait carries nothing around for it: a future is copied when it is made.
        Box::pin(self.wait(deadline(), future, interrupt)).await
    }

    /// Goes on with a future that had to wait when it was polled just now.
    async fn wait<T, I: Future>(
        &self,
        at: Instant,
        mut future: Pin<&mut impl Future<Output = T>>,
        interrupt: impl FnOnce() -> I,
    ) -> Result<T, Early<I::Output>> {
        let early = if self.at_once {
            None
        } else {
            let mut beat = pin!(self.beat.notified());
            let mut was_polled = true;
            poll_fn(|context| {
                if !std::mem::take(&mut was_polled)
                    && let Poll::Ready(output) = future.as_mut().poll(context)
                {
                    return Poll::Ready(Some(output));
                }
                beat.as_mut().poll(context).map(|()| None)
            })
            .await
        };
        match early {
            Some(output) => Ok(output),
            // Boxed again: nearly all that waits does so for less than a beat, without a timer and the interrupt.
            None => Box::pin(until(at, future, interrupt())).await,
        }
    }
}

/// Runs a future until then, and until it is interrupted. However busy the future is, the interrupt is looked at.
async fn until<T, I: Future>(
    at: Instant,
    future: Pin<&mut impl Future<Output = T>>,
    interrupt: I,
) -> Result<T, Early<I::Output>> {
    let interrupt = pin!(unconstrained(interrupt));
    let either = async {
        tokio::select! {
            biased;
            output = future => Ok(output),
            why = interrupt => Err(Early::Interrupted(why)),
        }
    };
    tokio::time::timeout_at(at, either).await.unwrap_or(Err(Early::Elapsed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::future::pending;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::task::yield_now;
    use tokio::time::Instant;

    use super::{Elapsed, Pulse};

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_kept_after_a_beat_and_an_answer_before_it_needs_none() {
        let pulse = Arc::new(Pulse::default());
        let begun = Instant::now();
        let until = begun + Duration::from_secs(5);
        let waits = tokio::spawn({
            let pulse = Arc::clone(&pulse);
            async move { pulse.timeout_at(pending::<()>(), move || until).await }
        });
        let answered = tokio::spawn({
            let pulse = Arc::clone(&pulse);
            async move { pulse.timeout_at(yield_now(), move || until).await }
        });
        assert_eq!(answered.await.unwrap(), Ok(()));
        yield_now().await;
        pulse.beat();
        assert_eq!(waits.await.unwrap(), Err(Elapsed));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_over_at_the_beat_is_noticed_then_and_an_answer_goes_first() {
        let pulse = Arc::new(Pulse::default());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let now = Instant::now();
        let late = tokio::spawn({
            let pulse = Arc::clone(&pulse);
            async move { pulse.timeout_at(pending::<()>(), move || now).await }
        });
        let just = tokio::spawn({
            let pulse = Arc::clone(&pulse);
            async move { pulse.timeout_at(receiver, move || now).await }
        });
        yield_now().await;
        sender.send(7).unwrap();
        pulse.beat();
        assert_eq!(late.await.unwrap(), Err(Elapsed));
        assert_eq!(just.await.unwrap().unwrap(), Ok(7));
    }
}
