//! Bounds the memories and the tables of an instance, and remembers what it refused.

use wasmtime::ResourceLimiter;

use crate::limits::{REASON_BYTES, cut};

/// What an instance was refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Memory, by its limit.
    Memory,
    /// Elements of a table, by their limit.
    Elements,
    /// Memory that its limit allows; what the engine said.
    Growth(String),
}

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    memories: usize,
    tables: usize,
    instances: usize,
    /// What there is, all memories and all tables together. Growth that the host then failed to bring about stays
    /// counted.
    memory_there: usize,
    elements_there: usize,
    /// Whether it gets no more memory, in a seeded host.
    pub(crate) refuses: bool,
    /// What this turn was refused last: a trap after that is out-of-memory.
    pub(crate) refused: Option<Refused>,
}

impl Limiter {
    pub(crate) fn new(limits: &crate::limits::Limits) -> Self {
        Self {
            memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
            table_elements: limits.table_elements,
            memories: limits.memories,
            tables: limits.tables,
            instances: limits.core_instances,
            memory_there: 0,
            elements_there: 0,
            refuses: false,
            refused: None,
        }
    }
}

impl Limiter {
    /// The key of the limit for which this turn was refused something last.
    pub(crate) fn refused_limit(&self) -> Option<&'static str> {
        match self.refused.as_ref()? {
            Refused::Memory => Some("memory"),
            Refused::Elements => Some("table_elements"),
            Refused::Growth(_) => None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = !self.refuses && grow(&mut self.memory_there, current, desired, self.memory_bytes);
        if !allowed {
            self.refused = Some(Refused::Memory);
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(Refused::Growth(cut(format!("{error:#}"), REASON_BYTES)));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = grow(&mut self.elements_there, current, desired, self.table_elements);
        if !allowed {
            self.refused = Some(Refused::Elements);
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.memories
    }

    fn tables(&self) -> usize {
        self.tables
    }
}

/// Counts growth of one of several, where all of them together may be as large.
fn grow(there: &mut usize, current: usize, desired: usize, most: usize) -> bool {
    let total = there.saturating_sub(current).saturating_add(desired);
    let allowed = total <= most;
    if allowed {
        *there = total;
    }
    allowed
}
