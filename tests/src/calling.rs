//! Callers who call one after the other as fast as they are answered, until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::{Mesh, PATIENCE, until};

/// A service, a call of it, and its answer; none where the function has no result.
pub type Call = (&'static str, String, Option<String>);

/// Callers, each of which looks at every answer.
pub struct Callers {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<JoinHandle<u64>>,
}

impl Callers {
    /// Starts four that call one function after the other, each beginning with another one of the calls.
    #[must_use]
    pub fn start(mesh: &Mesh, calls: Vec<Call>) -> Self {
        let (runtime, calls): (_, Arc<[Call]>) = (Arc::clone(&mesh.runtime), calls.into());
        Self::numbered(4, move |caller, number| {
            let (runtime, calls) = (Arc::clone(&runtime), Arc::clone(&calls));
            async move {
                let at = 3 * caller + usize::try_from(number).expect("calls can be counted");
                let (service, call, answer) = &calls[at % calls.len()];
                assert_eq!(runtime.invoke(service, call.as_str(), PATIENCE).await, Ok(answer.clone()), "{call}");
            }
        })
    }

    /// Starts so many. `call` is given the number of the caller, from 0, and that of its call, from 1; it panics where
    /// the answer is not as it should be.
    #[must_use]
    pub fn numbered<F>(callers: usize, call: impl Fn(usize, u64) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let caller = |caller: usize| {
            let (over, answered, call) = (Arc::clone(&over), Arc::clone(&answered), call.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    call(caller, number).await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                number
            })
        };
        let callers = (0..callers).map(caller).collect();
        Self { over, answered, callers }
    }

    /// Waits until so many more calls were answered as they should be.
    ///
    /// # Panics
    ///
    /// One was not.
    pub async fn more(&self, calls: u64) {
        let all = self.answered.load(Ordering::Relaxed) + calls;
        let failed = || self.callers.iter().any(JoinHandle::is_finished);
        until("so many calls are answered", async || failed() || self.answered.load(Ordering::Relaxed) >= all).await;
        assert!(!failed(), "an answer was wrong or missing");
    }

    /// Ends them; how many calls were answered.
    ///
    /// # Panics
    ///
    /// One was not answered as it should be.
    pub async fn end(self) -> u64 {
        self.end_each().await.into_iter().sum()
    }

    /// [`Callers::end`], of each.
    ///
    /// # Panics
    ///
    /// One was not answered as it should be.
    pub async fn end_each(self) -> Vec<u64> {
        self.over.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for caller in self.callers {
            calls.push(caller.await.expect("every answer was as it should be"));
        }
        calls
    }
}
