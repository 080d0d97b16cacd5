//! Deadlines that cost a timer only where they are long in coming.
//!
//! Most answers come within microseconds, and setting a timer for each of them would cost more than the answer: a lock
//! and a place in the timer wheel, and, where the wheel sleeps, a system call that wakes it. So who waits first waits
//! for the next *beat* as well, which somebody gives every few milliseconds, and sets a timer only when it comes.
//! Where the deadline is far away, it waits for one of the rare beats: under load answers are some milliseconds in
//! coming, and each beat would wake all who wait for one.
//!
//! # Hot path
//!
//! [`Pulse::timeout_at`]: a place in a list, taken and given back under a short lock of two threads at most. Bench rows
//! `ask` and `relay` have it in them.
//!
//! A deadline that is nearer than the next beat is noticed at the beat. Without anybody who beats, no deadline is.
//! Where the clock stands still while anybody has something to do, one beat for all before it goes on is enough for
//! none to be late.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

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

/// One in so many beats is a rare one.
const RARE: u64 = 16;

/// What is farther away than this when it is waited for comes after the next rare beat, however late that is.
const FAR: Duration = Duration::from_millis(100);

/// The beat that those who wait share.
#[derive(Debug)]
pub struct Pulse {
    beat: Notify,
    rare: Notify,
    beats: AtomicU64,
    begun: Instant,
    /// When the last beat was, in nanoseconds since it was begun.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            beat: Notify::new(),
            rare: Notify::new(),
            beats: AtomicU64::new(0),
            begun: Instant::now(),
            last: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// Gives a beat, as somebody does each few milliseconds: those who wait since before it set a timer now. With one
    /// beat in 16 those do as well whose deadlines are more than 100 milliseconds away.
    pub fn beat(&self) {
        let since = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
        self.beat.notify_waiters();
        if self.beats.fetch_add(1, Ordering::Relaxed) % RARE == RARE - 1 {
            self.rare.notify_waiters();
        }
    }

    /// Gives a beat to all who wait, however far away their deadlines are.
    pub fn beat_for_all(&self) {
        self.beat.notify_waiters();
        self.rare.notify_waiters();
    }

    /// The beat that one waits for who has so much time. The last beat was a moment ago, which spares a look at the
    /// clock.
    fn beat_before(&self, deadline: Instant) -> &Notify {
        let last = self.begun + Duration::from_nanos(self.last.load(Ordering::Relaxed));
        if deadline.saturating_duration_since(last) > FAR { &self.rare } else { &self.beat }
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
        let mut future = pin!(future);
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Ok(output);
        }
        let at = deadline();
        // Boxed, as below.
        match Box::pin(self.wait(at, self.beat_before(at), future, pending::<Infallible>)).await {
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
        Box::pin(self.wait(deadline(), &self.beat, future, interrupt)).await
    }

    /// Goes on with a future that had to wait when it was polled just now.
    async fn wait<T, I: Future>(
        &self,
        at: Instant,
        beat: &Notify,
        mut future: Pin<&mut impl Future<Output = T>>,
        interrupt: impl FnOnce() -> I,
    ) -> Result<T, Early<I::Output>> {
        let mut beat = pin!(beat.notified());
        let mut was_polled = true;
        let early = poll_fn(|context| {
            if !std::mem::take(&mut was_polled)
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                return Poll::Ready(Some(output));
            }
            beat.as_mut().poll(context).map(|()| None)
        })
        .await;
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
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Wake};
    use std::time::Duration;

    use tokio::task::yield_now;
    use tokio::time::Instant;

    use super::{Elapsed, FAR, Pulse, RARE};

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
        (0..RARE).for_each(|_| pulse.beat());
        assert_eq!(waits.await.unwrap(), Err(Elapsed));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_beat_wakes_nobody_whose_deadline_is_far_away_unless_it_is_a_rare_one() {
        let pulse = Pulse::default();
        let (near, far) = (Instant::now() + FAR, Instant::now() + 2 * FAR);
        let [soon, late] = [near, far].map(|deadline| (deadline, Arc::new(Woken::default())));
        let mut waiting = [&soon, &late].map(|(deadline, _)| Box::pin(pulse.timeout_at(pending::<()>(), || *deadline)));
        for (waits, (_, woken)) in waiting.iter_mut().zip([&soon, &late]) {
            let waker = Arc::clone(woken).into();
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let woken = || [&soon, &late].map(|(_, woken)| woken.0.load(Ordering::Relaxed));
        (1..RARE).for_each(|_| pulse.beat());
        assert_eq!(woken(), [1, 0]);
        pulse.beat();
        assert_eq!(woken(), [1, 1]);
        // One beat for all is enough.
        let mut waits = Box::pin(pulse.timeout_at(pending::<()>(), || far));
        let waker = Arc::clone(&late.1).into();
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        pulse.beat_for_all();
        assert_eq!(woken(), [1, 2]);
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
