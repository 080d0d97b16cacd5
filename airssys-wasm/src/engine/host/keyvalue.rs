//! `wasi:keyvalue`: the service's private state. What is asked of many keys is asked of each in turn.

use bytes::Bytes;
use wasmtime::component::Resource;

use super::bucket::Bucket;
use crate::engine::bindings::async_lane::wasi::keyvalue::{atomics, batch, store};
use crate::engine::guest::Guest;
use crate::turn::{HostCall, Reply, StateRefused};

type Stored<T> = wasmtime::Result<Result<T, store::Error>>;

impl store::Host for Guest {
    fn open(&mut self, name: String) -> Stored<Resource<Bucket>> {
        Ok(match self.turn.perform_now(HostCall::OpenState { name }).kept()? {
            Ok(()) => self.table.push(Bucket).map_err(|full| store::Error::Other(full.to_string())),
            Err(error) => Err(to_wit(error)),
        })
    }
}

impl store::HostBucket for Guest {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Stored<Option<Vec<u8>>> {
        Ok(self.get_state(key)?.map(|value| value.map(Vec::from)))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Stored<()> {
        Ok(self.turn.perform_now(HostCall::SetState { key, value: value.into() }).kept()?.map_err(to_wit))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> Stored<()> {
        Ok(self.turn.perform_now(HostCall::DeleteState { key }).kept()?.map_err(to_wit))
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Stored<bool> {
        Ok(self.get_state(key)?.map(|value| value.is_some()))
    }

    fn list_keys(&mut self, _: Resource<Bucket>, cursor: Option<u64>) -> Stored<store::KeyResponse> {
        let page = self.turn.perform_now(HostCall::StateKeys { cursor }).keys()?;
        Ok(page.map(|(keys, cursor)| store::KeyResponse { keys, cursor }).map_err(to_wit))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Guest {
    fn increment(&mut self, _: Resource<Bucket>, key: String, by: u64) -> Stored<u64> {
        Ok(self.turn.perform_now(HostCall::IncrementState { key, by }).number()?.map_err(to_wit))
    }
}

impl batch::Host for Guest {
    fn get_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Stored<Vec<Option<(String, Vec<u8>)>>> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let value = match self.get_state(key.clone())? {
                Ok(value) => value,
                Err(refused) => return Ok(Err(refused)),
            };
            found.push(value.map(|value| (key, Vec::from(value))));
        }
        Ok(Ok(found))
    }

    fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Stored<()> {
        for (key, value) in pairs {
            let bucket = Resource::new_borrow(bucket.rep());
            if let Err(error) = store::HostBucket::set(self, bucket, key, value)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> Stored<()> {
        for key in keys {
            if let Err(error) = self.turn.perform_now(HostCall::DeleteState { key }).kept()? {
                return Ok(Err(to_wit(error)));
            }
        }
        Ok(Ok(()))
    }
}

impl Guest {
    fn get_state(&mut self, key: String) -> Stored<Option<Bytes>> {
        match self.turn.perform_now(HostCall::GetState { key }) {
            Reply::Refused(why) => Ok(Err(store::Error::Other(why))),
            reply => Ok(Ok(reply.value()?)),
        }
    }
}

fn to_wit(error: StateRefused) -> store::Error {
    match error {
        StateRefused::NoState => store::Error::NoSuchStore,
        StateRefused::NotItsOwn => store::Error::AccessDenied,
        StateRefused::Failed(why) => store::Error::Other(why),
    }
}
