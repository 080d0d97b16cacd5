//! How many instances the kernel's memory mappings allow.
//!
//! A process may have `vm.max_map_count` mappings, and past that `mmap` fails in whoever asks next: the allocator, a
//! thread that is to start. So the engines count those that they take, and refuse the one too many with an error that
//! says why.
//!
//! Invariant: what is counted is what is there, and not what is in use. A pool has its stacks as soon as it is made,
//! and a slot of it keeps the mappings of the memory that was there last, until the pool ends. All engines of a process
//! share one count, since they share the mappings.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mappings of one memory in a slot of a pool, at most: what is before its image, the image, what is after it, and what
/// is left of the slot.
pub(super) const PER_MEMORY: usize = 4;
/// Mappings of one memory that has a place of its own: the guard before it as well.
pub(super) const PER_LONE_MEMORY: usize = 5;
/// Mappings of one stack: itself, and the page below it.
pub(super) const PER_STACK: usize = 2;
/// Mappings of one instance with one memory.
pub(super) const PER_INSTANCE: usize = PER_MEMORY + PER_STACK;
/// Mappings left to everything else in the process: code, threads, the allocator.
const RESERVE: usize = 4_096;
/// What Linux allows where nobody changed it.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

/// The mappings of this process.
struct Process {
    /// What the kernel allows.
    allowed: usize,
    /// What of that engines may take.
    most: usize,
    /// What they have taken.
    taken: AtomicUsize,
}

static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    let allowed = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let allowed = allowed.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_MAX_MAP_COUNT);
    // A program that embeds the host may have more of its own than the reserve is made for.
    let others = std::fs::read("/proc/self/maps").map_or(0, |maps| maps.iter().filter(|byte| **byte == b'\n').count());
    let most = allowed.saturating_sub(RESERVE.max(others.saturating_add(RESERVE / 2)));
    Process { allowed, most, taken: AtomicUsize::new(0) }
});

/// Mappings that engines have taken, until they are dropped.
#[derive(Debug, Default)]
pub(super) struct Mappings(usize);

impl Mappings {
    /// So many mappings, if there are as many left.
    pub(super) fn take(mappings: usize) -> Result<Self, TooManyInstances> {
        let mut taken = Self::default();
        taken.take_more(mappings)?;
        Ok(taken)
    }

    /// So many mappings more, if there are as many left.
    pub(super) fn take_more(&mut self, mappings: usize) -> Result<(), TooManyInstances> {
        let Process { allowed, most, taken } = &*PROCESS;
        let took = taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
            taken.checked_add(mappings).filter(|after| after <= most)
        });
        let _before = took.map_err(|taken| TooManyInstances::Mappings { taken, mappings: *allowed })?;
        self.0 += mappings;
        Ok(())
    }

    /// How many there are left.
    pub(super) fn left() -> usize {
        PROCESS.most.saturating_sub(PROCESS.taken.load(Ordering::Relaxed))
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        PROCESS.taken.fetch_sub(self.0, Ordering::AcqRel);
    }
}

/// The instances that may live at a time, over all engine classes of a host.
#[derive(Debug)]
pub(super) struct Instances {
    live: AtomicUsize,
    most: usize,
}

/// What one live instance counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct InstancePermit {
    of: Arc<Instances>,
    memories: usize,
    /// Those that it takes beside the pool.
    _mappings: Mappings,
}

/// There is no room for one more instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooManyInstances {
    /// As many live as may.
    #[error(
        "{most} instances live, which is the most that {mappings} memory mappings (vm.max_map_count of sysctl) allow"
    )]
    Instances { most: usize, mappings: usize },
    /// The mappings are there already.
    #[error(
        "instances of this process have {taken} of its {mappings} memory mappings (vm.max_map_count of sysctl), and the others are left to everything else"
    )]
    Mappings { taken: usize, mappings: usize },
}

impl Instances {
    /// As many as this kernel's mappings allow, and never more than `bound`.
    pub(super) fn of_this_machine(bound: usize) -> Self {
        let most = (PROCESS.most / PER_INSTANCE).clamp(1, bound.max(1));
        Self { live: AtomicUsize::new(0), most }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The mappings that the kernel allows this process.
    pub(super) fn mappings(&self) -> usize {
        PROCESS.allowed
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// A permit for an instance with so many memories, each of which counts as an instance with one, and with so many
    /// mappings beside those of a pool.
    pub(super) fn take(self: &Arc<Self>, memories: usize, mappings: usize) -> Result<InstancePermit, TooManyInstances> {
        let mappings = Mappings::take(mappings)?;
        let took = self.live.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |live| {
            live.checked_add(memories).filter(|after| *after <= self.most)
        });
        match took {
            Ok(_) => Ok(InstancePermit { of: Arc::clone(self), memories, _mappings: mappings }),
            Err(_) => Err(TooManyInstances::Instances { most: self.most, mappings: self.mappings() }),
        }
    }
}

impl Drop for InstancePermit {
    fn drop(&mut self) {
        self.of.live.fetch_sub(self.memories, Ordering::AcqRel);
    }
}
