//! `wasi:keyvalue`: the service's private state, as the turn sees it.
//!
//! There is one bucket, the service's own: the identifier is empty or `default`. A stateless pool has none.

use bytes::Bytes;
use wasmtime::component::Resource;

use super::bucket::Bucket;
use crate::engine::bindings::waiting::wasi::keyvalue::{atomics, batch, store};
use crate::engine::guest::Guest;

type Stored<T> = wasmtime::Result<Result<T, store::Error>>;

impl store::Host for Guest {
    fn open(&mut self, identifier: String) -> Stored<Resource<Bucket>> {
        match identifier.as_str() {
            "" | "default" if self.turn.state.is_some() => {
                Ok(self.table.push(Bucket).map_err(|full| store::Error::Other(full.to_string())))
            }
            "" | "default" => Ok(Err(store::Error::NoSuchStore)),
            _ => Ok(Err(store::Error::AccessDenied)),
        }
    }
}

impl store::HostBucket for Guest {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Stored<Option<Vec<u8>>> {
        Ok(Ok(self.read(&key).map(Vec::from)))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Stored<()> {
        Ok(self.write(&key, value.into()))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> Stored<()> {
        self.remove(&key);
        Ok(Ok(()))
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Stored<bool> {
        Ok(Ok(self.read(&key).is_some()))
    }

    fn list_keys(&mut self, _: Resource<Bucket>, cursor: Option<u64>) -> Stored<store::KeyResponse> {
        let Some(state) = &self.turn.state else { return Ok(Err(store::Error::NoSuchStore)) };
        let page = self.turn.writes.keys(state, cursor);
        Ok(page
            .map(|(keys, cursor)| store::KeyResponse { keys, cursor })
            .map_err(|unknown| store::Error::Other(unknown.to_string())))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Guest {
    fn increment(&mut self, _: Resource<Bucket>, key: String, delta: u64) -> Stored<u64> {
        let Some(state) = &self.turn.state else { return Ok(Err(store::Error::NoSuchStore)) };
        let most = self.most_state();
        Ok(self.turn.writes.increment(state, &key, delta, most).map_err(|error| store::Error::Other(error.to_string())))
    }
}

impl batch::Host for Guest {
    fn get_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Stored<Vec<Option<(String, Vec<u8>)>>> {
        Ok(Ok(keys.into_iter().map(|key| self.read(&key).map(|value| (key, Vec::from(value)))).collect()))
    }

    fn set_many(&mut self, _: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Stored<()> {
        Ok(pairs.into_iter().try_for_each(|(key, value)| self.write(&key, value.into())))
    }

    fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Stored<()> {
        keys.iter().for_each(|key| self.remove(key));
        Ok(Ok(()))
    }
}

impl Guest {
    fn most_state(&self) -> usize {
        self.identity.terms.limits.state_bytes
    }

    fn write(&mut self, key: &str, value: Bytes) -> Result<(), store::Error> {
        let most = self.most_state();
        let Some(state) = &self.turn.state else { return Err(store::Error::NoSuchStore) };
        let written = self.turn.writes.set(state, key, value, most);
        written.map_err(|full| store::Error::Other(format!("cannot set the key {key:?}: {full}")))
    }

    fn remove(&mut self, key: &str) {
        if let Some(state) = &self.turn.state {
            self.turn.writes.delete(state, key);
        }
    }

    fn read(&self, key: &str) -> Option<Bytes> {
        self.turn.state.as_ref().and_then(|state| self.turn.writes.get(state, key))
    }
}
