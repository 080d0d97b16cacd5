//! Wakes one sleeping consumer. It carries nothing: who is woken looks for itself.
//!
//! Invariant: a ring that happens after something was made visible is never lost. Ringer and sleeper both write, then
//! fence, then read what the other one wrote, so at least one of them sees the other.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Poll;

use atomic_waker::AtomicWaker;

/// The bell of one consumer, rung by many.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    waker: AtomicWaker,
    parked: AtomicBool,
}

impl Doorbell {
    /// Wakes the consumer where it sleeps; returns whether it did. Next to free where it does not: a fence and a load.
    pub(crate) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.ring_fenced()
    }

    /// [`Doorbell::ring`] for a caller that has fenced already.
    pub(crate) fn ring_fenced(&self) -> bool {
        let woken = self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::AcqRel);
        if woken {
            self.waker.wake();
        }
        woken
    }

    /// Whether the consumer sleeps now.
    #[must_use]
    pub(crate) fn is_parked(&self) -> bool {
        self.parked.load(Ordering::SeqCst)
    }

    /// Sleeps until `ready` says true; it is asked first, and again after each ring.
    pub(crate) async fn park(&self, ready: impl Fn() -> bool) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            self.parked.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if ready() {
                self.parked.store(false, Ordering::Relaxed);
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
