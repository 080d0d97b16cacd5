//! The service's private state, as the turn sees it: what is committed, and what it wrote itself.
//!
//! There is one bucket, the service's own: its name is empty or `default`. A stateless pool has none.

use bytes::Bytes;

use super::{StateRefused, Turn};
use crate::state::IncrementError;

impl Turn {
    pub(super) fn open_state(&self, name: &str) -> Result<(), StateRefused> {
        match name {
            "" | "default" if self.state.is_some() => Ok(()),
            "" | "default" => Err(StateRefused::NoState),
            _ => Err(StateRefused::NotItsOwn),
        }
    }

    pub(super) fn get_state(&self, key: &str) -> Option<Bytes> {
        self.state.as_ref().and_then(|state| self.writes.get(state, key))
    }

    pub(super) fn set_state(&mut self, key: &str, value: Bytes) -> Result<(), StateRefused> {
        let most = self.identity.terms.limits.state_bytes;
        let Some(state) = &self.state else { return Err(StateRefused::NoState) };
        let written = self.writes.set(state, key, value, most);
        written.map_err(|full| {
            self.identity.reach(full.limit(), full);
            StateRefused::Failed(format!("cannot set the key {key:?}: {full}"))
        })
    }

    pub(super) fn delete_state(&mut self, key: &str) -> Result<(), StateRefused> {
        if let Some(state) = &self.state {
            self.writes.delete(state, key);
        }
        Ok(())
    }

    pub(super) fn increment_state(&mut self, key: &str, by: u64) -> Result<u64, StateRefused> {
        let most = self.identity.terms.limits.state_bytes;
        let Some(state) = &self.state else { return Err(StateRefused::NoState) };
        let written = self.writes.increment(state, key, by, most);
        written.map_err(|error| {
            if let IncrementError::Full(full) = error {
                self.identity.reach(full.limit(), full);
            }
            StateRefused::Failed(error.to_string())
        })
    }

    pub(super) fn state_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), StateRefused> {
        let Some(state) = &self.state else { return Err(StateRefused::NoState) };
        self.writes.keys(state, cursor).map_err(|unknown| StateRefused::Failed(unknown.to_string()))
    }
}
