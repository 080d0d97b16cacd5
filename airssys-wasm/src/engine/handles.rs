//! The resources of an instance that others have handles of. They live as long as the instance, at most.

use std::collections::HashMap;

use wasmtime::component::ResourceAny;

use crate::error::{DeadHandle, HandleDeath};
use crate::seeded::Seeded;
use crate::typed::{FunctionType, Handle, Laid, bare_resource, put_handle};

/// Those of one instance.
#[derive(Default)]
pub(super) struct Handles {
    /// Which instance it is; drawn when it makes the first handle.
    incarnation: u64,
    held: HashMap<u64, Held>,
}

struct Held {
    resource: ResourceAny,
    /// The name of its type, with its interface.
    name: Box<str>,
}

/// Why an instance gives no handle of a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHandle {
    #[error("others have as many handles of its resources as they may, {0}")]
    TooMany(usize),
    #[error("the machine has no randomness")]
    NoRandomness,
    #[error("what it returned are not the bytes of its type")]
    Malformed,
}

impl Handles {
    /// Whether nobody has any.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether all handles of these arguments are of resources that are there, and none is given away twice.
    ///
    /// # Errors
    ///
    /// The first one that is dead; `service` is who was asked.
    pub(super) fn check(&self, service: &str, function: &FunctionType, block: &[u8]) -> Result<(), DeadHandle> {
        let dead = |resource: &str, why| DeadHandle {
            service: service.to_owned(),
            resource: bare_resource(resource).to_owned(),
            why,
        };
        let malformed = |_| dead("", HandleDeath::Unknown);
        let mut seen = HashMap::new();
        for found in function.params.handles_in(block).map_err(malformed)? {
            let why = match Handle::read(block, found.at) {
                Some(handle) if handle.incarnation == self.incarnation => match self.held.get(&handle.number) {
                    Some(held) if *held.name != *found.resource => {
                        Some(HandleDeath::Other { found: bare_resource(&held.name).to_owned() })
                    }
                    // Lent and given away, or given away twice.
                    Some(_) => match seen.insert(handle.number, found.is_own) {
                        Some(was_own) if was_own || found.is_own => Some(HandleDeath::Given),
                        _ => None,
                    },
                    None => Some(HandleDeath::Unknown),
                },
                _ => Some(HandleDeath::Instance),
            };
            if let Some(why) = why {
                return Err(dead(found.resource, why));
            }
        }
        Ok(())
    }

    /// The resources that these arguments have handles of, and the arguments with which one of them each is. What is
    /// given away is not held any more. None where one is dead.
    pub(super) fn resources(&mut self, function: &FunctionType, block: &[u8]) -> Option<(Vec<u8>, Vec<ResourceAny>)> {
        let (mut given, mut resources) = (block.to_vec(), Vec::new());
        for found in function.params.handles_in(block).ok()? {
            let handle = Handle::read(block, found.at).filter(|handle| handle.incarnation == self.incarnation)?;
            let held = if found.is_own {
                self.held.remove(&handle.number)?.resource
            } else {
                self.held.get(&handle.number)?.resource
            };
            put_handle(&mut given, found.at, u32::try_from(resources.len()).ok()?)?;
            resources.push(held);
        }
        Some((given, resources))
    }

    /// Makes handles of resources that were returned, and writes them into what was returned.
    ///
    /// # Errors
    ///
    /// [`NoHandle`]; none of them is held then.
    pub(super) fn give(
        &mut self,
        result: &Laid,
        block: &mut Vec<u8>,
        resources: &[ResourceAny],
        (most, seeded): (usize, Option<&Seeded>),
    ) -> Result<(), NoHandle> {
        if self.held.len() + resources.len() > most {
            return Err(NoHandle::TooMany(most));
        }
        let returned = result.handles_in(block).map_err(|_| NoHandle::Malformed)?;
        if returned.len() != resources.len() {
            return Err(NoHandle::Malformed);
        }
        while self.incarnation == 0 {
            self.incarnation = draw(seeded)?;
        }
        let mut made = Vec::new();
        for (found, resource) in returned.iter().zip(resources) {
            let number = draw(seeded)?;
            let handle = Handle { incarnation: self.incarnation, number };
            handle.append(block, found.at).ok_or(NoHandle::Malformed)?;
            made.push((number, Held { resource: *resource, name: found.resource.into() }));
        }
        self.held.extend(made);
        Ok(())
    }
}

/// A number that nobody can guess, and that is drawn once; in a seeded host one that follows from the seed.
fn draw(seeded: Option<&Seeded>) -> Result<u64, NoHandle> {
    seeded.map_or_else(|| getrandom::u64().map_err(|_| NoHandle::NoRandomness), |seeded| Ok(seeded.other()))
}
