//! The connections that a host has, so many at most.
//!
//! When there are that many, the one that has been quiet for longest is closed for a newcomer. Only those that the host
//! works for are safe; so clients that connect and say nothing keep nobody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

/// Connections at a time.
pub(super) const MOST_CONNECTIONS: usize = 40;

#[derive(Default)]
struct Open {
    next: u64,
    by: HashMap<u64, State>,
}

struct State {
    /// None while the host works for it.
    quiet_since: Option<Instant>,
    /// None for the instant in which it begins.
    task: Option<AbortHandle>,
}

/// All connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

/// One that is open, until it is dropped.
pub(super) struct Connection {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// Lets one more in; `begin` starts its task. False where the host works for all that are there.
    pub(super) fn admit(&self, begin: impl FnOnce(Connection) -> AbortHandle) -> bool {
        let mut open = self.lock();
        if open.by.len() >= MOST_CONNECTIONS {
            let quiet = open.by.iter().filter_map(|(number, state)| Some((state.quiet_since?, *number))).min();
            let Some(closed) = quiet.and_then(|(_, number)| open.by.remove(&number)) else { return false };
            if let Some(task) = closed.task {
                task.abort();
            }
        }
        open.next += 1;
        let number = open.next;
        open.by.insert(number, State { quiet_since: Some(Instant::now()), task: None });
        // Not under the lock: a runtime that ends drops the task at once, and the connection with it.
        drop(open);
        let task = begin(Connection { connections: self.clone(), number });
        if let Some(state) = self.lock().by.get_mut(&number) {
            state.task = Some(task);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The host begins to work for it, or has done so.
    pub(super) fn working(&self, works: bool) {
        if let Some(state) = self.connections.lock().by.get_mut(&self.number) {
            state.quiet_since = if works { None } else { Some(Instant::now()) };
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.lock().by.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{Connections, MOST_CONNECTIONS};

    #[tokio::test]
    async fn the_one_that_is_quiet_for_longest_makes_room_and_who_is_worked_for_does_not() {
        let connections = Connections::default();
        let (told, mut here) = tokio::sync::mpsc::unbounded_channel();
        let admit = |working: bool| {
            let told = told.clone();
            connections.admit(|connection| {
                tokio::spawn(async move {
                    connection.working(working);
                    let _test_is_over = told.send(());
                    std::future::pending::<()>().await;
                    drop(connection);
                })
                .abort_handle()
            })
        };
        for number in 0..MOST_CONNECTIONS {
            assert!(admit(number != 3));
            here.recv().await;
        }
        assert!(admit(true), "in place of number 3");
        here.recv().await;
        assert!(!admit(true), "nobody is quiet");
        assert_eq!(connections.lock().by.len(), MOST_CONNECTIONS);
    }
}
