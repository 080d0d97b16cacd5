//! The handles that an instance has of the resources of others, which it imports over its wires: what it has itself is
//! the number of one, as of any resource of its host.

use std::collections::HashMap;
use std::sync::Arc;

use crate::typed::{FunctionType, Handle};

/// Those of one instance.
#[derive(Default)]
pub(super) struct Foreign {
    last: u32,
    held: HashMap<u32, Owned>,
}

/// A handle, and how it is dropped.
pub(super) struct Owned {
    pub(super) handle: Handle,
    /// Who made it.
    pub(super) to: Arc<str>,
    pub(super) drop: Arc<FunctionType>,
}

/// A resource that is imported.
#[derive(Debug, Clone)]
pub(crate) struct Imported {
    /// Its name in the interface that is imported.
    pub(super) name: Box<str>,
    /// Its name with the interface that says it first.
    pub(super) full: Box<str>,
    /// Which of the resources of the component it is, to the engine.
    pub(super) which: u32,
    /// What drops a handle of it.
    pub(super) drop: Arc<FunctionType>,
}

impl Foreign {
    /// Takes one; its number.
    pub(super) fn hold(&mut self, owned: Owned) -> u32 {
        // None is used twice while it is there: there are never so many.
        while self.held.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        self.held.insert(self.last, owned);
        self.last
    }

    pub(super) fn get(&self, number: u32) -> Option<Handle> {
        self.held.get(&number).map(|owned| owned.handle)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Owned> {
        self.held.remove(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Owned> + use<> {
        std::mem::take(&mut self.held).into_values()
    }
}
