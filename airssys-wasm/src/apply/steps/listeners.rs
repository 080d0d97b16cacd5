//! Where the host listens, from one topology to another. A new listener has its address before anything changes, and
//! takes connections when all has; one that stays gets other rules under its connections.

use super::Steps;
use crate::listener::{Bound, ListenError, Ready};

impl Steps<'_> {
    /// Takes the addresses of listeners that are new, and reads certificates. Nothing of it is seen outside.
    pub(super) async fn bind(&mut self) -> Result<(), ListenError> {
        for listening in &self.change.target.listeners {
            let ready = Ready::of(listening).await?;
            if self.hosted.actual.listeners.at(listening.listen).is_some() {
                self.ready.push((listening.listen, ready));
            } else {
                self.bound.push(Bound::new(listening, ready, &self.hosted.actual.mesh).await?);
            }
        }
        Ok(())
    }

    /// Lets requests go by the new rules.
    pub(super) fn open(&mut self) {
        let listeners = &self.hosted.actual.listeners;
        for (listen, ready) in self.ready.drain(..) {
            if let Some(listener) = listeners.at(listen) {
                listener.retune(ready);
            }
        }
        self.bound.drain(..).for_each(|bound| listeners.add(bound.open()));
    }

    /// Closes the listeners that are gone, when the requests that they have are answered.
    pub(super) async fn close_gone(&mut self) {
        let listeners = &self.hosted.actual.listeners;
        let stays: Vec<_> = self.change.target.listeners.iter().map(|listening| listening.listen).collect();
        let most = self.change.before.settings.shutdown_timeout;
        let cut_off = listeners.close(|listener| !stays.contains(&listener.listen()), most).await;
        if cut_off > 0 {
            self.notes.push(format!("cut off {cut_off} requests of listeners that are gone"));
        }
    }
}
