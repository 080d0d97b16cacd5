//! How many instances the kernel's memory mappings allow.
//!
//! A live instance takes up to four mappings (its memory, its image, a guard, and the stack of the async lane). A
//! process may have `vm.max_map_count` of them, and past that `mmap` fails in whoever asks next. So the engine counts
//! instances and refuses the one too many with an error that says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mappings that one live instance takes, at most.
pub(super) const PER_INSTANCE: usize = 4;
/// Mappings left to everything else in the process: code, threads, the allocator, warm slots.
const RESERVE: usize = 4_096;
/// What Linux allows where nobody changed it.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

/// The instances that may live at a time, over all engine classes.
#[derive(Debug)]
pub(super) struct Instances {
    live: AtomicUsize,
    most: usize,
    mappings: usize,
}

/// What one live instance counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct InstancePermit(Arc<Instances>, usize);

/// As many instances live as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{most} instances live, which is the most that {mappings} memory mappings (vm.max_map_count of sysctl) allow")]
pub(crate) struct TooManyInstances {
    most: usize,
    mappings: usize,
}

impl Instances {
    /// As many as this kernel's mappings allow, and never more than `bound`.
    pub(super) fn of_this_machine(bound: usize) -> Self {
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(DEFAULT_MAX_MAP_COUNT);
        let most = (mappings.saturating_sub(RESERVE) / PER_INSTANCE).clamp(1, bound.max(1));
        Self { live: AtomicUsize::new(0), most, mappings }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn mappings(&self) -> usize {
        self.mappings
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// A permit for an instance with so many memories: each takes as many mappings as an instance with one.
    pub(super) fn take(self: &Arc<Self>, memories: usize) -> Result<InstancePermit, TooManyInstances> {
        let took = self.live.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |live| {
            live.checked_add(memories).filter(|after| *after <= self.most)
        });
        match took {
            Ok(_) => Ok(InstancePermit(Arc::clone(self), memories)),
            Err(_) => Err(TooManyInstances { most: self.most, mappings: self.mappings }),
        }
    }
}

impl Drop for InstancePermit {
    fn drop(&mut self) {
        self.0.live.fetch_sub(self.1, Ordering::AcqRel);
    }
}
