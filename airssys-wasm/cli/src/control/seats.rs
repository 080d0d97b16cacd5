//! The connections that a host has, so many at most.
//!
//! When all seats are taken, a newcomer gets that of the client that has been quiet for longest. Only those that the host works for are safe; so clients
//! that connect and say nothing keep nobody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

/// Connections at a time.
pub(super) const MOST: usize = 40;

#[derive(Default)]
struct Taken {
    next: u64,
    by: HashMap<u64, Occupant>,
}

struct Occupant {
    /// None while the host works for it.
    quiet_since: Option<Instant>,
    /// None for the instant in which it begins.
    task: Option<AbortHandle>,
}

/// All seats.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

/// One that is taken, until it is dropped.
pub(super) struct Seat {
    seats: Seats,
    number: u64,
}

impl Seats {
    /// Gives a seat to a connection; `begin` starts its task. False where the host works for all that are there.
    pub(super) fn admit(&self, begin: impl FnOnce(Seat) -> AbortHandle) -> bool {
        let mut taken = self.lock();
        if taken.by.len() >= MOST {
            let quiet = taken.by.iter().filter_map(|(number, occupant)| Some((occupant.quiet_since?, *number))).min();
            let Some(unseated) = quiet.and_then(|(_, number)| taken.by.remove(&number)) else { return false };
            if let Some(task) = unseated.task {
                task.abort();
            }
        }
        taken.next += 1;
        let number = taken.next;
        taken.by.insert(number, Occupant { quiet_since: Some(Instant::now()), task: None });
        // Not under the lock: a runtime that ends drops the task at once, and its seat with it.
        drop(taken);
        let task = begin(Seat { seats: self.clone(), number });
        if let Some(occupant) = self.lock().by.get_mut(&number) {
            occupant.task = Some(task);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The host begins to work for it, or has done so.
    pub(super) fn working(&self, works: bool) {
        if let Some(occupant) = self.seats.lock().by.get_mut(&self.number) {
            occupant.quiet_since = if works { None } else { Some(Instant::now()) };
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().by.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Seats};

    #[tokio::test]
    async fn the_one_that_is_quiet_for_longest_makes_room_and_who_is_worked_for_does_not() {
        let seats = Seats::default();
        let (told, mut here) = tokio::sync::mpsc::unbounded_channel();
        let admit = |working: bool| {
            let told = told.clone();
            seats.admit(|seat| {
                tokio::spawn(async move {
                    seat.working(working);
                    let _test_is_over = told.send(());
                    std::future::pending::<()>().await;
                    drop(seat);
                })
                .abort_handle()
            })
        };
        for number in 0..MOST {
            assert!(admit(number != 3));
            here.recv().await;
        }
        assert!(admit(true), "in place of number 3");
        here.recv().await;
        assert!(!admit(true), "nobody is quiet");
        assert_eq!(seats.lock().by.len(), MOST);
    }
}
