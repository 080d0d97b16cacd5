//! Wakes one sleeping consumer. It carries nothing: who is woken looks for itself.
//!
//! A consumer that takes no messages sleeps too, and is woken by an order, not by a message: a sender rings the first
//! one that would take its message, and with that it is done.
//!
//! Invariant: a ring that happens after something was made visible is never lost. Ringer and sleeper both write, then
//! fence, then read what the other one wrote, so at least one of them sees the other.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::task::Poll;

use atomic_waker::AtomicWaker;

/// The consumer runs, or there is none.
const AWAKE: u8 = 0;

/// What a consumer sleeps for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// A message, or an order.
    Message = 1,
    /// An order.
    Order = 2,
}

/// The bell of one consumer, rung by many.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    waker: AtomicWaker,
    /// An [`Until`], or [`AWAKE`].
    asleep: AtomicU8,
}

impl Doorbell {
    /// Wakes the consumer where it sleeps, whatever for. Next to free where it does not: a fence and a load.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.is_asleep() && self.asleep.swap(AWAKE, Ordering::AcqRel) != AWAKE {
            self.waker.wake();
        }
    }

    /// Wakes the consumer where it sleeps until there is a message; whether it did. The caller has fenced already.
    pub(crate) fn ring_for_message(&self) -> bool {
        let woken = self.asleep.load(Ordering::Relaxed) == Until::Message as u8
            && self.asleep.compare_exchange(Until::Message as u8, AWAKE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if woken {
            self.waker.wake();
        }
        woken
    }

    /// Whether the consumer sleeps now.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst) != AWAKE
    }

    /// Whether the consumer sleeps now and would take a message.
    pub(crate) fn waits_for_message(&self) -> bool {
        self.asleep.load(Ordering::SeqCst) == Until::Message as u8
    }

    /// Sleeps until `ready` says true; it is asked first, and again after each ring.
    pub(crate) async fn park(&self, until: Until, ready: impl Fn() -> bool) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            self.asleep.store(until as u8, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if ready() {
                self.asleep.store(AWAKE, Ordering::Relaxed);
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
