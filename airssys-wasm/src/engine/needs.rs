//! What a component takes of an engine, read from its binary before anything is compiled. The engine's own reader
//! counts, so that what is counted here is what the engine will ask for.

use serde::{Deserialize, Serialize};
use wasmparser::Validator;
use wasmtime_environ::component::{ComponentTranslation, VMComponentOffsets};
use wasmtime_environ::component::{ComponentTypesBuilder, GlobalInitializer, InstantiateModule, Translator};
use wasmtime_environ::{HostPtr, Module, ScopeVec, Tunables, VMOffsets};

use super::generation::Generation;
use super::obstacle::Obstacle;
use super::{features, segments};

/// What one instance of a component takes when it starts.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Needs;
///
/// fn told(needs: &Needs) -> String {
///     format!("{} KiB in {} memories", needs.memory_bytes / 1024, needs.memories)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Needs {
    /// Linear memory, in bytes: what all its memories begin with, together.
    pub memory_bytes: u64,
    /// Linear memories.
    pub memories: usize,
    /// Elements that all its tables begin with, together.
    pub table_elements: u64,
    /// Tables.
    pub tables: usize,
    /// Core instances.
    pub core_instances: usize,
    /// What the engine itself keeps for it, such as a record for each function that it passes on, in bytes.
    pub records_bytes: u64,
}

impl Needs {
    /// Counts what a valid component takes, and finds what can never fit into it; what the engine said where it does
    /// not know something that the component does.
    pub(super) fn of(bytes: &[u8], generation: Generation) -> Result<(Self, Vec<Obstacle>), String> {
        let mut tunables = Tunables::default_host();
        tunables.concurrency_support = generation.has_tasks();
        let scope = ScopeVec::new();
        let mut validator = Validator::new_with_features(features::ours(generation));
        let mut types = ComponentTypesBuilder::new(&validator);
        let translated = Translator::new(&tunables, &mut validator, &mut types, &scope).translate(bytes);
        let (ComponentTranslation { component, .. }, modules) = translated.map_err(|error| format!("{error:#}"))?;
        let mut needs = Self {
            records_bytes: u64::from(VMComponentOffsets::new(HostPtr, &component).size_of_vmctx()),
            ..Self::default()
        };
        let mut misfits = Vec::new();
        for step in &component.initializers {
            let GlobalInitializer::InstantiateModule(of, _) = step else { continue };
            needs.core_instances += 1;
            let InstantiateModule::Static(index, _) = of else { continue };
            let Some(translation) = modules.get(*index) else { continue };
            misfits.extend(segments::beyond(translation).filter(|misfit| !misfits.contains(misfit)));
            let module = Self::of_module(&translation.module);
            needs.memories += module.memories;
            needs.memory_bytes = needs.memory_bytes.saturating_add(module.memory_bytes);
            needs.tables += module.tables;
            needs.table_elements = needs.table_elements.saturating_add(module.table_elements);
            needs.records_bytes = needs.records_bytes.saturating_add(module.records_bytes);
        }
        // The engine asks as much for a module that nobody instantiates.
        for (_, translation) in modules.iter() {
            let module = Self::of_module(&translation.module);
            needs.memories = needs.memories.max(module.memories);
            needs.memory_bytes = needs.memory_bytes.max(module.memory_bytes);
            needs.tables = needs.tables.max(module.tables);
            needs.table_elements = needs.table_elements.max(module.table_elements);
            needs.records_bytes = needs.records_bytes.max(module.records_bytes);
        }
        Ok((needs, misfits))
    }

    fn of_module(module: &Module) -> Self {
        let memories = module.memories.iter().skip(module.num_imported_memories);
        let bytes = memories.map(|(_, memory)| memory.minimum_byte_size().unwrap_or(u64::MAX));
        let tables = module.tables.iter().skip(module.num_imported_tables);
        Self {
            memory_bytes: bytes.fold(0, u64::saturating_add),
            memories: module.num_defined_memories(),
            table_elements: tables.map(|(_, table)| table.limits.min).fold(0, u64::saturating_add),
            tables: module.num_defined_tables(),
            core_instances: 0,
            records_bytes: u64::from(VMOffsets::new(HostPtr, module).size_of_vmctx()),
        }
    }
}
