//! A place whose actor sleeps while it has no messages, as the senders see it.
//!
//! Invariant: an actor with a message and without an incarnation is on its way to one. Whoever puts a message in looks
//! at the phase afterwards, whoever puts the phase to asleep looks at the mailbox afterwards; so at least one of them
//! asks for the wake-up, and the phase lets only one do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};

use airssys_rt_shim::planted;
use tokio::sync::{Notify, mpsc};

use crate::address::Address;

const ASLEEP: u8 = 0;
const WAKING: u8 = 1;
const AWAKE: u8 = 2;

/// Whether one actor is awake.
#[derive(Debug)]
pub(crate) struct Sleeper {
    phase: AtomicU8,
    /// Whether it was addressed since the controller last looked.
    addressed: AtomicBool,
    /// Whether it is among those that may be forgotten, so that it is there once.
    listed: AtomicBool,
    controller: Arc<Wakes>,
}

/// What the controller of such actors is told.
#[derive(Debug)]
pub(crate) struct Wakes {
    /// Whom to wake. Unbounded, and never longer than there are actors: each is in it at most once.
    asked: mpsc::UnboundedSender<Address>,
    /// How many want to be awake and may not, because as many are as may be.
    waiting: AtomicUsize,
    /// Told when one that is awake takes nobody's place any more.
    room: Notify,
}

impl Wakes {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Address>) {
        let (asked, heard) = mpsc::unbounded_channel();
        (Arc::new(Self { asked, waiting: AtomicUsize::new(0), room: Notify::new() }), heard)
    }

    /// Whether some want to be awake and may not, because as many are as may be.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Says how many want to be awake and may not.
    pub(crate) fn set_waiting(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Says that one that is awake takes nobody's place any more.
    pub(crate) fn make_room(&self) {
        self.room.notify_one();
    }

    /// Waits until that is said.
    pub(crate) async fn room_made(&self) {
        self.room.notified().await;
    }
}

impl Sleeper {
    pub(super) fn new(controller: &Arc<Wakes>) -> Self {
        Self {
            phase: AtomicU8::new(ASLEEP),
            addressed: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            controller: Arc::clone(controller),
        }
    }

    pub(crate) fn controller(&self) -> &Wakes {
        &self.controller
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == ASLEEP
    }

    /// Whether it was addressed since this was last asked.
    pub(crate) fn was_busy(&self) -> bool {
        self.addressed.swap(false, Ordering::Relaxed)
    }

    /// Asks for an incarnation where there is none and none was asked for. To be called after a message was put in.
    pub(super) fn wake(&self, address: &Address) {
        self.addressed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.phase.load(Ordering::Relaxed) == ASLEEP
            && !planted::is_nth("key-not-woken", 3)
            && self.phase.compare_exchange(ASLEEP, WAKING, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        {
            // No controller: the mesh stops, and closes the mailbox.
            let _no_controller = self.controller.asked.send(address.clone());
        }
    }

    /// The actor has an incarnation.
    pub(crate) fn awoke(&self) {
        self.phase.store(AWAKE, Ordering::SeqCst);
    }

    /// The actor's incarnation is gone. Whoever says so looks at the mailbox afterwards.
    pub(super) fn fell_asleep(&self) {
        self.phase.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Says that it is among those that may be forgotten; whether that is news.
    pub(super) fn list(&self) -> bool {
        !self.listed.swap(true, Ordering::SeqCst)
    }

    /// Says that it is not among those any more.
    pub(super) fn unlist(&self) {
        self.listed.store(false, Ordering::SeqCst);
    }

    /// [`Sleeper::unlist`] where nobody else knows it; whether it sleeps.
    pub(super) fn unlist_alone(&mut self) -> bool {
        *self.listed.get_mut() = false;
        *self.phase.get_mut() == ASLEEP
    }
}
