//! Blocks go into a component, and come out of it, as they are.
//!
//! The engine calls a function by types that are known when the host is compiled, or by [`Val`], which takes each value
//! apart: some 30 ns for each byte of a list. The types of others are not known when the host is compiled, and need no
//! taking apart: a block is laid out by the canonical ABI, as the memory of the component is. So a block is one value
//! to the engine's typed functions: [`Given`] is copied in, [`Taken`] is copied out, and what is left to do is in
//! `lower.rs` and `lift.rs`: a place is counted from the begin of the memory there, and from that of the block here.
//! What comes from a component is checked as the canonical ABI says, and what lies between its fields is left out, so
//! equal values are equal blocks.
//!
//! The traits are the engine's own for its generated bindings. They are hidden from its documentation and may change
//! with each of its major versions, which this host chooses; the property tests here compare them with [`Val`].
//!
//! [`Val`]: wasmtime::component::Val

mod lift;
mod lower;
mod types;

use std::mem::MaybeUninit;

use bytes::Bytes;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{
    ComponentNamedList, ComponentType, Func, Lift, LinkerInstance, Lower, ResourceAny, TypedFunc,
};
use wasmtime::{StoreContextMut, ValRaw};

use self::types::Types;
use super::block::Block;
use crate::typed::FunctionType;

/// The most values of a core function by which arguments are passed; more lie in memory.
pub(super) const MOST_FLATS: usize = 16;

/// A block of arguments, or of a result, that a component is given. `FLATS` is the most values of a core function that
/// it can become: [`MOST_FLATS`] for arguments, and 1, or 0, for a result. Where it has handles, their four bytes say
/// which of the resources they are that are given with it.
pub(super) struct Given<B, const FLATS: usize>(pub(super) B, pub(super) Vec<ResourceAny>);

/// A block that was taken from a component. `FLATS` is how many values of a core function it came in: as many as the
/// parameters are, 0 where they lie in memory, and 1 for a result, which may be the place of one. With it are the
/// resources whose handles it has.
pub(super) struct Taken<const FLATS: usize>(pub(super) Bytes, pub(super) Vec<ResourceAny>);

/// A block, and the resources whose handles it has.
pub(super) type Crossing = (Bytes, Vec<ResourceAny>);

/// A component gave something that is no value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoValue {
    #[error("a value that lies beyond the memory")]
    Beyond,
    #[error("a value at a place that is not aligned as its type is")]
    Unaligned,
    #[error("a case that its type does not have")]
    Case,
    #[error("a character that is none")]
    Char,
    #[error("a string that is not UTF-8")]
    Text,
    #[error("a type whose values do not cross")]
    Type,
}

/// A function that takes its arguments as a block, and gives its result as one, which is empty where it has none.
pub(super) fn typed<'a>(function: Func) -> TypedFunc<Given<&'a [u8], MOST_FLATS>, Taken<1>> {
    typed_as(function)
}

/// [`typed`], where its result comes in so many values of a core function: that of an async function does.
pub(super) fn typed_as<'a, const FLATS: usize>(function: Func) -> TypedFunc<Given<&'a [u8], MOST_FLATS>, Taken<FLATS>> {
    // SAFETY: both are of any type; see below. A function without a result leaves what is read of one as it was: as
    // values, since all that its arguments may be is written.
    #[allow(unsafe_code, reason = "there is no type to compare, and it would be compared at each call")]
    unsafe {
        TypedFunc::new_unchecked(function)
    }
}

/// What answers a call that a component makes: it is given the arguments as a block, and answers with the result as
/// one.
pub(super) trait Answer<T>: Send + Sync + 'static {
    fn answer<'a, R: From<Crossing>>(&self, store: StoreContextMut<'a, T>, arguments: Crossing) -> Answering<'a, R>;
}

/// The result of a call. The engine wants its box: one within another would be made and moved for each call.
pub(super) type Answering<'a, R> = Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>;

/// Defines a function that is imported.
pub(super) fn define<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    function: &FunctionType,
    answer: impl Answer<T>,
) -> wasmtime::Result<()> {
    // The engine wants to know when the host is compiled how many values come from a core function.
    macro_rules! by_count {
        ($($count:literal)*) => {
            match (function.params.ty.flats(), function.result.is_some()) {
                $(
                    ($count, true) => define_as::<T, $count, 1>(instance, &function.name, answer),
                    ($count, false) => define_as::<T, $count, 0>(instance, &function.name, answer),
                )*
                // More of them lie in memory.
                (_, true) => define_as::<T, 0, 1>(instance, &function.name, answer),
                (_, false) => define_as::<T, 0, 0>(instance, &function.name, answer),
            }
        };
    }
    by_count!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn define_as<T: Send + 'static, const PARAMS: usize, const RESULTS: usize>(
    instance: &mut LinkerInstance<'_, T>,
    name: &str,
    answer: impl Answer<T>,
) -> wasmtime::Result<()> {
    instance.func_wrap_async(name, move |store, Taken(arguments, resources): Taken<PARAMS>| {
        answer.answer::<Given<Bytes, RESULTS>>(store, (arguments, resources))
    })
}

impl<const FLATS: usize> From<Crossing> for Given<Bytes, FLATS> {
    fn from((block, resources): Crossing) -> Self {
        Self(block, resources)
    }
}

/// Of a type that is not known here. The engine reads the parameters of a function where they lie, in more bytes than
/// this.
const UNKNOWN: CanonicalAbiInfo = CanonicalAbiInfo { size32: 1, align32: 1, size64: 1, align64: 1, flat_count: None };

// SAFETY: `Lower` is an array of `ValRaw`, which every pattern of bytes is one of. Any type will do: what becomes of a
// block is said by the type that the engine hands over with it, whose values are all that is written and read.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<B: AsRef<[u8]> + Send + Sync, const FLATS: usize> ComponentType for Given<B, FLATS> {
    type Lower = [ValRaw; FLATS];
    const ABI: CanonicalAbiInfo = UNKNOWN;

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: as above.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<B: AsRef<[u8]> + Send + Sync, const FLATS: usize> ComponentNamedList for Given<B, FLATS> {}

// SAFETY: all of `dst` is written.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<B: AsRef<[u8]> + Send + Sync, const FLATS: usize> Lower for Given<B, FLATS> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let (types, block) = (Types(cx.types), lower::Laden { block: self.0.as_ref(), resources: &self.1 });
        let flats = dst.write([ValRaw::u64(0); FLATS]);
        if types.flats(ty).is_some_and(|count| count <= FLATS) {
            lower::flatten(cx, ty, block, 0, flats)?;
        } else {
            let at = lower::place(cx, ty, block)?;
            *flats.first_mut().ok_or(NoValue::Type)? = ValRaw::u32(at);
        }
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        lower::copy(cx, ty, lower::Laden { block: self.0.as_ref(), resources: &self.1 }, offset)
    }
}

// SAFETY: as for `Given`.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<const FLATS: usize> ComponentType for Taken<FLATS> {
    type Lower = [ValRaw; FLATS];
    const ABI: CanonicalAbiInfo = UNKNOWN;

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: as for `Given`.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<const FLATS: usize> ComponentNamedList for Taken<FLATS> {}

// SAFETY: it makes bytes of its own, and reads memory within its bounds.
#[allow(unsafe_code, reason = "the engine's typed functions take what implements these")]
unsafe impl<const FLATS: usize> Lift for Taken<FLATS> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &Self::Lower) -> wasmtime::Result<Self> {
        let types = Types(cx.types);
        // One value is what there is, or the place of what there is.
        if types.flats(ty).is_some_and(|count| count <= FLATS) {
            let mut block = Block::with_room(types.layout(ty).size);
            lift::unflatten(types, ty, src, &mut block, 0)?;
            lift::settle(cx, ty, &mut block, 0)?;
            let (block, resources) = block.into_parts();
            return Ok(Self(block, resources));
        }
        let at = src.first().ok_or(NoValue::Type)?.get_u32();
        let (block, resources) = lift::take(cx, ty, at as usize)?.into_parts();
        Ok(Self(block, resources))
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> wasmtime::Result<Self> {
        // They are a part of the memory.
        let at = bytes.as_ptr().addr().wrapping_sub(cx.memory().as_ptr().addr());
        let (block, resources) = lift::take(cx, ty, at)?.into_parts();
        Ok(Self(block, resources))
    }
}

#[cfg(test)]
mod tests;
