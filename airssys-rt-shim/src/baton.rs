//! The loop of a consumer, run by whoever has its baton: its own task, or a sender that found it asleep.
//!
//! A message for a consumer that sleeps costs two wake-ups, one there and one back, which is more than most turns take.
//! So who asks something and is about to sleep itself takes the baton instead, polls the loop once, and gives it back;
//! a turn that does not end in this poll goes on in the consumer's own task, which is woken for it as always. Nobody is
//! dropped with anybody: a poll is never cut off, and between two polls the loop belongs to its own task. A loop that
//! panics while a sender polls it panics in its own task.
//!
//! # Hot path
//!
//! [`Baton::run`]: a try-lock, and the poll. Bench rows `ask` and `relay` have it in them.
//!
//! Invariant: nobody waits for a baton but who ends the loop, and that for one poll at most.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, Id};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::exit::ExitReason;

/// How many loops are polled inside of each other at most: each takes some of the stack, and those further out wait for
/// all of them.
const MOST_NESTED: usize = 8;

thread_local! {
    /// How many loops senders poll on this thread.
    static NESTED: Cell<usize> = const { Cell::new(0) };
    /// What the time was when the one who polls a loop on this thread began with that.
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

type Loop = Pin<Box<dyn Future<Output = ExitReason> + Send>>;
type Ended = Result<ExitReason, Box<dyn Any + Send>>;

/// The baton of one consumer.
#[derive(Default)]
pub(crate) struct Baton {
    running: Mutex<Running>,
    /// Whether its own task wanted to poll the loop while somebody else did.
    missed: AtomicBool,
    /// Whether a sender polls it now.
    is_lent: AtomicBool,
    /// The stack that a turn takes of the thread which runs it, in bytes.
    stack: AtomicUsize,
}

#[derive(Default)]
struct Running {
    /// None where no incarnation runs.
    looping: Option<Loop>,
    /// Of its own task, and the runtime that has that; none before its first poll.
    home: Option<(Waker, Id)>,
    /// How it ended while a sender polled it.
    ended: Option<Ended>,
}

impl Baton {
    /// Runs a loop to its end, in the task that awaits this. Dropped, the loop is dropped with it.
    pub(crate) async fn keep(&self, looping: Loop) -> ExitReason {
        let _dropped = Kept(self);
        *self.lock() = Running { looping: Some(looping), ..Running::default() };
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Polls the loop in its own task.
    fn poll(&self, context: &mut Context<'_>) -> Poll<ExitReason> {
        let Some(mut running) = self.take() else { return Poll::Pending };
        self.missed.store(false, Ordering::Relaxed);
        match running.ended.take() {
            Some(Ok(reason)) => return Poll::Ready(reason),
            Some(Err(panic)) => {
                drop(running);
                resume_unwind(panic)
            }
            None => {}
        }
        if !running.home.as_ref().is_some_and(|(waker, _)| waker.will_wake(context.waker())) {
            running.home = Handle::try_current().ok().map(|handle| (context.waker().clone(), handle.id()));
        }
        let Some(looping) = running.looping.as_mut() else { return Poll::Pending };
        let polled = looping.as_mut().poll(context);
        if polled.is_ready() {
            running.looping = None;
        }
        polled
    }

    /// The baton for its own task; none where a sender has it, who wakes the task when it gives it back.
    fn take(&self) -> Option<MutexGuard<'_, Running>> {
        self.try_lock().or_else(|| {
            self.missed.store(true, Ordering::SeqCst);
            // Either this finds it given back, or who gives it back finds that it was missed.
            fence(Ordering::SeqCst);
            self.try_lock()
        })
    }

    /// Polls the loop, which is asleep where `is_asleep` still says so once nobody else can poll it. `stack` is what
    /// the caller's thread has left for it, in bytes, and `now` the time. With `false` it was not polled, and is to be
    /// woken.
    pub(crate) fn run(&self, stack: usize, now: Instant, is_asleep: impl FnOnce() -> bool) -> bool {
        if NESTED.get() >= MOST_NESTED || self.stack.load(Ordering::Relaxed) > stack {
            return false;
        }
        let Some(mut running) = self.try_lock() else { return false };
        let ran = self.run_held(&mut running, now, is_asleep);
        drop(running);
        // Also where it was held for a look only.
        fence(Ordering::SeqCst);
        if self.missed.load(Ordering::SeqCst) {
            self.wake_who_missed();
        }
        ran
    }

    fn run_held(&self, running: &mut Running, now: Instant, is_asleep: impl FnOnce() -> bool) -> bool {
        let (Some(looping), Some((waker, home))) = (running.looping.as_mut(), running.home.as_ref()) else {
            return false;
        };
        // Its timers and its tasks are those of its own runtime.
        if !Handle::try_current().is_ok_and(|here| here.id() == *home) || !is_asleep() {
            return false;
        }
        self.is_lent.store(true, Ordering::Relaxed);
        NESTED.set(NESTED.get() + 1);
        let outside = BEGUN.replace(Some(now));
        let mut context = Context::from_waker(waker);
        // What the sender may do before it lets others run is not for the loop to use up.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut unconstrained(looping)).poll(&mut context)));
        BEGUN.set(outside);
        NESTED.set(NESTED.get() - 1);
        self.is_lent.store(false, Ordering::Relaxed);
        let ended = match polled {
            Ok(Poll::Pending) => return true,
            Ok(Poll::Ready(reason)) => Ok(reason),
            Err(panic) => Err(panic),
        };
        running.looping = None;
        running.ended = Some(ended);
        // Its own task says so.
        self.missed.store(true, Ordering::SeqCst);
        true
    }

    /// Wakes its own task where that missed the baton. Where somebody else has it by now, he finds that out.
    #[cold]
    fn wake_who_missed(&self) {
        let Some(running) = self.try_lock() else { return };
        self.missed.store(false, Ordering::Relaxed);
        let waker = running.home.as_ref().map(|(waker, _)| waker.clone());
        drop(running);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The time: as the sender knows it that polls the loop now, or by the clock.
    pub(crate) fn now(&self) -> Instant {
        if self.is_lent() { BEGUN.get() } else { None }.unwrap_or_else(Instant::now)
    }

    /// Whether a sender polls the loop now, who wants one turn and no more.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent.load(Ordering::Relaxed)
    }

    /// Says what stack a turn takes of the thread that runs it, in bytes.
    pub(crate) fn takes_stack(&self, bytes: usize) {
        self.stack.store(bytes, Ordering::Relaxed);
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Running>> {
        match self.running.try_lock() {
            Ok(running) => Some(running),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the loop with its own task.
struct Kept<'a>(&'a Baton);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let ended = std::mem::take(&mut *self.0.lock());
        // Outside of the lock: it may be long.
        drop(ended);
    }
}
