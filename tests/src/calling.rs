//! Callers of functions, who look at every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::{Mesh, PATIENCE, until};

/// A service, a call of it, and its answer; none where the function has no result.
pub type Call = (&'static str, String, Option<String>);

/// Four callers, who call one function after the other.
pub struct Callers {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<JoinHandle<()>>,
}

impl Callers {
    /// Starts them, each with another one of the calls.
    #[must_use]
    pub fn start(mesh: &Mesh, calls: Vec<Call>) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let caller = |first: usize| {
            let (runtime, over, answered) = (Arc::clone(&mesh.runtime), Arc::clone(&over), Arc::clone(&answered));
            let calls = calls.clone();
            tokio::spawn(async move {
                for (service, call, answer) in calls.iter().cycle().skip(first) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    assert_eq!(
                        runtime.invoke(service, None, call.as_str(), PATIENCE).await,
                        Ok(answer.clone()),
                        "{call}"
                    );
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let callers = (0..4).map(|number| caller(3 * number)).collect();
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
        self.over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}
