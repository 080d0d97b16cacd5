//! Whether what a module puts into its memories and tables when it starts fits into what they begin with. Where it does
//! not, no instance of it ever starts.

use wasmtime_environ::{ConstExpr, EntityRef, GlobalConstValue, MemoryInit, ModuleTranslation, TableSegmentElements};

use super::obstacle::Obstacle;

/// The first segment that lies beyond its memory or table, as far as that is known before the start.
pub(super) fn beyond(translation: &ModuleTranslation<'_>) -> Option<Obstacle> {
    data(translation).or_else(|| elements(translation))
}

fn data(translation: &ModuleTranslation<'_>) -> Option<Obstacle> {
    let MemoryInit::Unprocessed(segments) = &translation.memory_init else { return None };
    segments.iter().find_map(|segment| {
        let index = segment.memory_index;
        // What is imported is as large as it is by then.
        let own = index.index() >= translation.module.num_imported_memories;
        let has = translation.module.memories.get(index).filter(|_| own)?.minimum_byte_size().ok()?;
        let end = offset(&segment.offset)?.saturating_add(segment.data.len() as u64);
        (end > has).then_some(Obstacle::Segment { kind: "data", end, of: "memory", has })
    })
}

fn elements(translation: &ModuleTranslation<'_>) -> Option<Obstacle> {
    translation.table_initialization.segments.iter().find_map(|segment| {
        let index = segment.table_index;
        let own = index.index() >= translation.module.num_imported_tables;
        let has = translation.module.tables.get(index).filter(|_| own)?.limits.min;
        let length = match &segment.elements {
            TableSegmentElements::Functions(all) => all.len(),
            TableSegmentElements::Expressions { exprs, .. } => exprs.len(),
        };
        let end = offset(&segment.offset)?.saturating_add(length as u64);
        (end > has).then_some(Obstacle::Segment { kind: "element", end, of: "table", has })
    })
}

/// Where a segment begins, where that is written and not computed.
fn offset(written: &ConstExpr) -> Option<u64> {
    match written.const_eval()? {
        GlobalConstValue::I32(offset) => Some(u64::from(offset.cast_unsigned())),
        GlobalConstValue::I64(offset) => Some(offset.cast_unsigned()),
        _ => None,
    }
}
