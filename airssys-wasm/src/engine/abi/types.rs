//! What the engine's own types say of how a value lies in memory, and of how it is passed.

use wasmtime::component::__internal::{ComponentTypes, InterfaceType};

use crate::typed::{Layout, align_to, discriminant_bytes};

/// The types of a component.
#[derive(Clone, Copy)]
pub(super) struct Types<'a>(pub(super) &'a ComponentTypes);

/// A part of a record or of a tuple.
pub(super) struct Part {
    pub(super) ty: InterfaceType,
    /// Where it begins, and where it ends.
    pub(super) at: usize,
    pub(super) end: usize,
    /// How many values of a core function it is passed as.
    pub(super) flats: usize,
}

/// A variant, an option, a result or an enum.
#[derive(Clone, Copy)]
pub(super) struct Cases {
    pub(super) count: usize,
    /// Where what it carries begins.
    pub(super) carried_at: usize,
}

impl Cases {
    /// How many bytes say which case it is.
    pub(super) fn bytes(self) -> usize {
        discriminant_bytes(self.count)
    }
}

impl<'a> Types<'a> {
    #[inline]
    pub(super) fn layout(self, ty: InterfaceType) -> Layout {
        let abi = self.0.canonical_abi(&ty);
        Layout { size: abi.size32 as usize, align: abi.align32 as usize }
    }

    /// How many values of a core function it is passed as; none where these are very many.
    pub(super) fn flats(self, ty: InterfaceType) -> Option<usize> {
        self.0.canonical_abi(&ty).flat_count.map(usize::from)
    }

    /// The parts of a record or a tuple that begins there.
    #[inline]
    pub(super) fn parts(self, ty: InterfaceType, mut at: usize) -> impl Iterator<Item = Part> + 'a {
        let (fields, types) = match ty {
            InterfaceType::Record(index) => (&*self.0[index].fields, &[][..]),
            InterfaceType::Tuple(index) => (&[][..], &*self.0[index].types),
            _ => (&[][..], &[][..]),
        };
        let (mut fields, mut types) = (fields.iter(), types.iter());
        std::iter::from_fn(move || {
            let ty = match fields.next() {
                Some(field) => field.ty,
                None => *types.next()?,
            };
            let (layout, flats) = match scalar_bytes(ty) {
                Some(bytes) => (Layout { size: bytes, align: bytes }, 1),
                // What has very many lies in memory.
                None => {
                    let abi = self.0.canonical_abi(&ty);
                    let layout = Layout { size: abi.size32 as usize, align: abi.align32 as usize };
                    (layout, abi.flat_count.unwrap_or(u8::MAX).into())
                }
            };
            let begin = align_to(at, layout.align);
            at = begin + layout.size;
            Some(Part { ty, at: begin, end: at, flats })
        })
    }

    pub(super) fn cases(self, ty: InterfaceType) -> Option<Cases> {
        let (count, info) = match ty {
            InterfaceType::Variant(index) => (self.0[index].cases.len(), &self.0[index].info),
            InterfaceType::Enum(index) => (self.0[index].names.len(), &self.0[index].info),
            InterfaceType::Option(index) => (2, &self.0[index].info),
            InterfaceType::Result(index) => (2, &self.0[index].info),
            _ => return None,
        };
        Some(Cases { count, carried_at: info.payload_offset32 as usize })
    }

    /// What a case carries, where it carries something.
    pub(super) fn carried(self, ty: InterfaceType, case: usize) -> Option<InterfaceType> {
        match (ty, case) {
            (InterfaceType::Variant(index), _) => *self.0[index].cases.get_index(case)?.1,
            (InterfaceType::Option(index), 1) => Some(self.0[index].ty),
            (InterfaceType::Result(index), 0) => self.0[index].ok,
            (InterfaceType::Result(index), 1) => self.0[index].err,
            _ => None,
        }
    }

    /// Whether any bytes are a value of it, and all of them belong to it: they are copied, and that is all.
    pub(super) fn is_plain(self, ty: InterfaceType) -> bool {
        match ty {
            number if is_number(number) => true,
            InterfaceType::Record(_) | InterfaceType::Tuple(_) => {
                let all: usize = self.parts(ty, 0).map(|part| part.end - part.at).sum();
                all == self.layout(ty).size && self.parts(ty, 0).all(|part| self.is_plain(part.ty))
            }
            _ => false,
        }
    }
}

/// How many bytes it takes, where it is one value of a core function and points to nothing. The engine's own tables say
/// so as well, and are longer on the way.
#[inline]
fn scalar_bytes(ty: InterfaceType) -> Option<usize> {
    Some(match ty {
        InterfaceType::Bool | InterfaceType::S8 | InterfaceType::U8 => 1,
        InterfaceType::S16 | InterfaceType::U16 => 2,
        InterfaceType::S32 | InterfaceType::U32 | InterfaceType::Float32 | InterfaceType::Char => 4,
        InterfaceType::S64 | InterfaceType::U64 | InterfaceType::Float64 => 8,
        _ => return None,
    })
}

/// Whether it is a number: any bytes are one.
#[inline]
pub(super) fn is_number(ty: InterfaceType) -> bool {
    matches!(
        ty,
        InterfaceType::S8
            | InterfaceType::U8
            | InterfaceType::S16
            | InterfaceType::U16
            | InterfaceType::S32
            | InterfaceType::U32
            | InterfaceType::S64
            | InterfaceType::U64
            | InterfaceType::Float32
            | InterfaceType::Float64
    )
}
