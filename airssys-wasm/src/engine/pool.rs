//! What an engine of one class gives its instances, and how wasmtime is told.

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

use super::generation::Generation;
use crate::limits::InstanceLimits;

/// The slot sizes, in bytes.
pub(super) const SLOTS: [u64; 3] = [2 << 20, 32 << 20, 4 << 30];
/// Room for host functions on top of the guest's stack, in bytes.
pub(super) const HOST_STACK: usize = 512 << 10;
/// Table elements are rounded up to the first of these, and beyond it to the next power of two.
const TABLE_ELEMENTS: usize = 20_000;
/// Slots that keep their mappings while unused, per class.
const WARM_SLOTS: u32 = 256;
/// Memory that stays resident in an unused slot, in bytes.
const KEEP_RESIDENT: usize = 2 << 20;
/// What the engine itself may keep for a core instance and for a component instance, in bytes: more than any component
/// has that was not refused before.
const INSTANCE_BYTES: usize = 64 << 20;

/// How well a release is compiled.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::Tier;
///
/// let status = &runtime.services()[0];
/// assert!(matches!(status.tier, Tier::Baseline | Tier::Optimized));
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tier {
    /// By Winch: soon there, and several times slower.
    Baseline,
    /// By Cranelift.
    Optimized,
}

/// What a turn's budget is counted in. Code that was compiled for one does not run under the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Meter {
    /// In ticks of the engines' clock: a test in each loop.
    #[default]
    Time,
    /// In instructions, as a seeded host has it.
    Instructions,
}

/// How code is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Code {
    /// What turns are counted in.
    pub(crate) meter: Meter,
    /// Whether a debugger of the machine is to know the source of it. Nothing is optimized away then.
    pub(crate) for_debugger: bool,
}

/// What a class gives each of its instances: the limits of a service choose it. The stack is exactly what its limit
/// says; of memory and table elements the limiter of each instance gives no more than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolShape {
    pub(super) slot_bytes: u64,
    pub(super) memories: usize,
    table_elements: usize,
    tables: usize,
    stack_bytes: usize,
}

impl PoolShape {
    /// None where no slot is large enough.
    pub(crate) fn of(limits: &InstanceLimits) -> Option<Self> {
        Some(Self {
            slot_bytes: slot(limits.memory_bytes)?,
            memories: limits.memories.max(1),
            table_elements: match limits.table_elements {
                few if few <= TABLE_ELEMENTS => TABLE_ELEMENTS,
                many => many.checked_next_power_of_two().unwrap_or(many),
            },
            tables: limits.tables.max(1),
            stack_bytes: limits.stack_bytes.max(1),
        })
    }
}

/// The smallest slot that holds a memory.
pub(crate) fn slot(memory_bytes: u64) -> Option<u64> {
    SLOTS.into_iter().find(|slot| memory_bytes <= *slot)
}

pub(super) fn config(shape: PoolShape, instances: usize, tier: Tier, generation: Generation, code: Code) -> Config {
    let PoolShape { slot_bytes, memories, table_elements, tables, stack_bytes } = shape;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(count(instances))
        // They are counted and no more; how many one component may have is its limit's to say.
        .total_core_instances(u32::MAX)
        .total_memories(count(instances.saturating_mul(memories)))
        .total_tables(count(instances.saturating_mul(tables)))
        .total_stacks(count(instances))
        // The engine goes through as many when a module is dropped.
        .max_memories_per_module(count(memories))
        .max_tables_per_module(count(tables))
        .table_elements(table_elements)
        .max_memory_size(usize::try_from(slot_bytes).unwrap_or(usize::MAX))
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(1 << 16)
        .async_stack_keep_resident(1 << 14)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        // Twice as fast a call without it. The price, no WASI 0.3 and no check of re-entrance: no host function of ours
        // calls a guest.
        .concurrency_support(generation.has_tasks())
        .wasm_component_model(true)
        .wasm_component_model_implements(true)
        .epoch_interruption(code.meter == Meter::Time)
        .consume_fuel(code.meter == Meter::Instructions)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes.saturating_add(HOST_STACK))
        .memory_reservation(slot_bytes)
        .memory_guard_size(if slot_bytes >= 4 << 30 { 32 << 20 } else { 64 << 10 })
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        .strategy(match tier {
            Tier::Baseline => Strategy::Winch,
            Tier::Optimized => Strategy::Cranelift,
        })
        .allocation_strategy(match (tier, generation) {
            // A guest that has tasks takes as many stacks as it has tasks that wait: what all of them may have cannot
            // be set aside for each.
            (Tier::Baseline, _) | (_, Generation::Wasi03) => InstanceAllocationStrategy::OnDemand,
            (Tier::Optimized, Generation::Wasi02) => InstanceAllocationStrategy::Pooling(pool),
        });
    if code.for_debugger {
        config.debug_info(true).cranelift_opt_level(OptLevel::None);
    }
    config
}
