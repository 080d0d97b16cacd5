//! How a connection is woken: not by itself for what it does anyway.
//!
//! With HTTP/1 the task that reads a body is the one that takes it from the socket, and each read wakes whoever takes:
//! the task that runs just then. It would be polled once more, for nothing, with each request that has a body. So such
//! a wake-up is held back while a body is read, and forgotten where all of it was there.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    /// Whether a connection was woken on this thread while wake-ups are held back there; none where they are not.
    static HELD_BACK: Cell<Option<bool>> = const { Cell::new(None) };
}

/// The task of a connection.
struct Task(Waker);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match HELD_BACK.get() {
            None => self.0.wake_by_ref(),
            Some(_) => HELD_BACK.set(Some(true)),
        }
    }
}

/// What wakes a connection.
#[derive(Default)]
pub(super) struct Waking(Option<(Waker, Waker)>);

impl Waking {
    /// Polls a connection so that what wakes it can be held back.
    pub(super) fn poll<T>(&mut self, context: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let task = context.waker();
        let known = self.0.take().filter(|(known, _)| known.will_wake(task));
        // A task has the same waker for as long as it is there, so this is made once.
        let (_, waker) = self.0.insert(known.unwrap_or_else(|| (task.clone(), Arc::new(Task(task.clone())).into())));
        poll(&mut Context::from_waker(waker))
    }
}

/// Polls what reads the body of a request, within the poll of its connection. What this wakes of the connection is not
/// to be polled again where that `is_all`, since nothing is left to take from the socket for it then.
pub(super) fn poll_quietly<T>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    is_all: impl FnOnce(&T) -> bool,
) -> Poll<T> {
    let held = Held::new();
    let polled = poll(context);
    let was_woken = held.was_woken();
    drop(held);
    if was_woken && !matches!(&polled, Poll::Ready(read) if is_all(read)) {
        context.waker().wake_by_ref();
    }
    polled
}

/// Wake-ups on this thread are held back as long as there is one.
struct Held;

impl Held {
    fn new() -> Self {
        HELD_BACK.set(Some(false));
        Self
    }

    fn was_woken(&self) -> bool {
        HELD_BACK.get() == Some(true)
    }
}

impl Drop for Held {
    /// Also where the poll panics.
    fn drop(&mut self) {
        HELD_BACK.set(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::{Waking, poll_quietly};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a connection is woken that reads a body and is woken by that, and by another thread.
    fn woken(polled: Poll<&'static str>, is_elsewhere: bool) -> usize {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let context = Context::from_waker(&task);
        let _ = Waking::default().poll(&context, |context| {
            let waker = context.waker().clone();
            let read = |_: &mut Context<'_>| {
                match is_elsewhere {
                    true => std::thread::scope(|scope| drop(scope.spawn(|| waker.wake_by_ref()))),
                    false => waker.wake_by_ref(),
                }
                polled
            };
            poll_quietly(context, read, |read| *read == "all")
        });
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_connection_is_woken_by_itself_where_there_is_more_to_take() {
        assert_eq!(woken(Poll::Ready("all"), false), 0);
        assert_eq!(woken(Poll::Ready("a part"), false), 1);
        assert_eq!(woken(Poll::Pending, false), 1);
    }

    #[test]
    fn what_others_wake_is_never_held_back() {
        assert_eq!(woken(Poll::Ready("all"), true), 1);
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut waking = Waking::default();
        for _ in 0..2 {
            waking.poll(&Context::from_waker(&task), |context| context.waker().wake_by_ref());
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
