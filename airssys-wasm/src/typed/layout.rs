//! How a value lies in a block: the sizes and alignments of the canonical ABI, in bytes.
//!
//! Source: the component model's `CanonicalABI.md`, "Alignment" and "Element Size", for a memory of 32 bits.

use super::{Laid, ValueType};

/// How many bytes a value takes where it lies, and what the number of its first byte is a multiple of. What a string or
/// a list holds lies elsewhere in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) size: usize,
    pub(crate) align: usize,
}

/// The first multiple of `align`, a power of two, that is not smaller. Without a division, which takes longer than all
/// else that is done for most values.
#[inline]
pub(crate) fn align_to(at: usize, align: usize) -> usize {
    let beyond = align.max(1) - 1;
    (at + beyond) & !beyond
}

/// How many bytes say which of so many cases it is.
#[inline]
pub(crate) fn discriminant_bytes(cases: usize) -> usize {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

impl Layout {
    const fn plain(bytes: usize) -> Self {
        Self { size: bytes, align: bytes }
    }

    pub(super) fn of(ty: &ValueType) -> Self {
        match ty {
            ValueType::Bool | ValueType::S8 | ValueType::U8 => Self::plain(1),
            ValueType::S16 | ValueType::U16 => Self::plain(2),
            ValueType::S32 | ValueType::U32 | ValueType::F32 | ValueType::Char => Self::plain(4),
            ValueType::Own(_) | ValueType::Borrow(_) => Self::plain(4),
            ValueType::S64 | ValueType::U64 | ValueType::F64 => Self::plain(8),
            // Where it begins, and how long it is.
            ValueType::String | ValueType::List(_) => Self { size: 8, align: 4 },
            ValueType::Record(fields) => Self::in_order(fields.iter().map(|(_, laid)| laid)),
            ValueType::Tuple(types) => Self::in_order(types.iter()),
            ValueType::Variant(cases) => Self::one_of(cases.len(), cases.iter().filter_map(|(_, laid)| laid.as_ref())),
            ValueType::Enum(names) => Self::plain(discriminant_bytes(names.len())),
            ValueType::Flags(names) => match names.len() {
                0..=8 => Self::plain(1),
                9..=16 => Self::plain(2),
                many => Self { size: many.div_ceil(32) * 4, align: 4 },
            },
            ValueType::Option(of) => Self::one_of(2, std::iter::once(&**of)),
            ValueType::Result(ok, error) => Self::one_of(2, ok.iter().chain(error).map(|laid| &**laid)),
        }
    }

    fn in_order<'a>(all: impl Iterator<Item = &'a Laid>) -> Self {
        let (mut size, mut align) = (0, 1);
        for Laid { layout, .. } in all {
            size = align_to(size, layout.align) + layout.size;
            align = align.max(layout.align);
        }
        Self { size: align_to(size, align), align }
    }

    fn one_of<'a>(cases: usize, carried: impl Iterator<Item = &'a Laid>) -> Self {
        let before = discriminant_bytes(cases);
        let (mut size, mut align) = (0, 1);
        for Laid { layout, .. } in carried {
            (size, align) = (layout.size.max(size), layout.align.max(align));
        }
        let whole = align.max(before);
        Self { size: align_to(align_to(before, align) + size, whole), align: whole }
    }
}

impl ValueType {
    /// As how many values of a core function it is passed, where these are not too many.
    ///
    /// Source: the same, "Flattening".
    pub(crate) fn flats(&self) -> usize {
        let carried = |carried: Option<&Laid>| carried.map_or(0, |laid| laid.ty.flats());
        match self {
            Self::String | Self::List(_) => 2,
            Self::Record(fields) => fields.iter().map(|(_, laid)| laid.ty.flats()).sum(),
            Self::Tuple(types) => types.iter().map(|laid| laid.ty.flats()).sum(),
            Self::Variant(cases) => 1 + cases.iter().map(|(_, laid)| carried(laid.as_ref())).max().unwrap_or(0),
            Self::Option(of) => 1 + of.ty.flats(),
            Self::Result(ok, error) => 1 + carried(ok.as_deref()).max(carried(error.as_deref())),
            Self::Flags(names) => names.len().div_ceil(32),
            _ => 1,
        }
    }

    /// Where in a variant, an option or a result what it carries begins.
    pub(crate) fn carried_at(&self) -> usize {
        let aligns = |carried: Option<&Laid>| carried.map_or(1, |laid| laid.layout.align);
        match self {
            Self::Variant(cases) => {
                let most = cases.iter().map(|(_, laid)| aligns(laid.as_ref())).max().unwrap_or(1);
                align_to(discriminant_bytes(cases.len()), most)
            }
            Self::Option(of) => align_to(1, of.layout.align),
            Self::Result(ok, error) => align_to(1, aligns(ok.as_deref()).max(aligns(error.as_deref()))),
            _ => 0,
        }
    }
}
