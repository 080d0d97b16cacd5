//! Any value of any type comes back from its block as it was, and no bytes are a value of another type, or make the
//! host panic.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use wasmtime::component::Val;

use super::{Laid, ValueType, lift_result, lower_arguments, lower_result};

mod notations;

fn names(count: usize) -> Vec<Box<str>> {
    (0..count).map(|at| format!("name-{at}").into()).collect()
}

/// A type of at most so many levels, of which each has few parts.
pub(in crate::engine) fn any_type() -> impl Strategy<Value = ValueType> {
    let plain = prop_oneof![
        Just(ValueType::Bool),
        Just(ValueType::S8),
        Just(ValueType::U8),
        Just(ValueType::S16),
        Just(ValueType::U16),
        Just(ValueType::S32),
        Just(ValueType::U32),
        Just(ValueType::S64),
        Just(ValueType::U64),
        Just(ValueType::F32),
        Just(ValueType::F64),
        Just(ValueType::Char),
        Just(ValueType::String),
        // More than one byte says which of them it is.
        prop_oneof![1..4_usize, Just(300)].prop_map(|count| ValueType::Enum(names(count))),
        // A component has no more in one.
        (1..=32_usize).prop_map(|count| ValueType::Flags(names(count))),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        let laid = inner.prop_map(Laid::from).boxed();
        let maybe = proptest::option::of(laid.clone()).boxed();
        let boxed = |of: Option<Laid>| of.map(Box::new);
        prop_oneof![
            laid.clone().prop_map(|of| ValueType::List(Box::new(of))),
            laid.clone().prop_map(|of| ValueType::Option(Box::new(of))),
            vec(laid.clone(), 1..4).prop_map(|all| ValueType::Record(names(all.len()).into_iter().zip(all).collect())),
            vec(laid, 1..4).prop_map(ValueType::Tuple),
            vec(maybe.clone(), 1..4)
                .prop_map(|all| ValueType::Variant(names(all.len()).into_iter().zip(all).collect())),
            (maybe.clone(), maybe).prop_map(move |(ok, error)| ValueType::Result(boxed(ok), boxed(error))),
        ]
    })
}

/// A value of a type, as these numbers say.
fn value(laid: &Laid, draw: &mut impl FnMut() -> u64) -> Val {
    let carried = |of: Option<&Laid>, draw: &mut _| of.map(|laid| Box::new(value(laid, draw)));
    match &laid.ty {
        ValueType::Bool => Val::Bool(draw() % 2 == 1),
        ValueType::S8 => Val::S8(draw() as i8),
        ValueType::U8 => Val::U8(draw() as u8),
        ValueType::S16 => Val::S16(draw() as i16),
        ValueType::U16 => Val::U16(draw() as u16),
        ValueType::S32 => Val::S32(draw() as i32),
        ValueType::U32 => Val::U32(draw() as u32),
        ValueType::S64 => Val::S64(draw() as i64),
        ValueType::U64 => Val::U64(draw()),
        ValueType::F32 => Val::Float32(f32::from_bits(draw() as u32)),
        ValueType::F64 => Val::Float64(f64::from_bits(draw())),
        ValueType::Char => Val::Char(char::from_u32(draw() as u32 % 0x11_0000).unwrap_or('\u{fffd}')),
        ValueType::Own(_) | ValueType::Borrow(_) => Val::String(format!("{:032x}", draw())),
        ValueType::String => Val::String("ä🦀x".chars().cycle().take(draw() as usize % 9).collect()),
        ValueType::List(of) => Val::List((0..draw() % 5).map(|_| value(of, draw)).collect()),
        ValueType::Record(fields) => {
            Val::Record(fields.iter().map(|(name, laid)| (name.to_string(), value(laid, draw))).collect())
        }
        ValueType::Tuple(types) => Val::Tuple(types.iter().map(|laid| value(laid, draw)).collect()),
        ValueType::Variant(cases) => {
            let (name, of) = &cases[draw() as usize % cases.len()];
            Val::Variant(name.to_string(), carried(of.as_ref(), draw))
        }
        ValueType::Enum(names) => Val::Enum(names[draw() as usize % names.len()].to_string()),
        ValueType::Flags(names) => {
            let set = names.iter().filter(|_| draw() % 2 == 1);
            Val::Flags(set.map(ToString::to_string).collect())
        }
        ValueType::Option(of) => Val::Option(carried((draw() % 2 == 1).then_some(&**of), draw)),
        ValueType::Result(ok, error) => Val::Result(match draw() % 2 {
            0 => Ok(carried(ok.as_deref(), draw)),
            _ => Err(carried(error.as_deref(), draw)),
        }),
    }
}

/// A type, and a value of it.
pub(in crate::engine) fn any_value() -> impl Strategy<Value = (Laid, Val)> {
    (any_type(), vec(any::<u64>(), 1..32)).prop_map(|(ty, numbers)| {
        let laid = Laid::from(ty);
        let mut numbers = numbers.into_iter().cycle();
        let value = value(&laid, &mut || numbers.next().unwrap_or_default());
        (laid, value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_comes_back_as_it_was((laid, value) in any_value()) {
        let block = lower_result(&laid, &value).unwrap();
        prop_assert!(block.len() >= laid.layout.size && laid.layout.size % laid.layout.align == 0);
        prop_assert_eq!(lift_result(&laid, &block).unwrap(), value);
    }

    #[test]
    fn a_block_that_was_changed_or_cut_is_read_or_refused(
        (laid, value) in any_value(),
        changes in vec((any::<Index>(), any::<u8>()), 1..8),
        end in any::<Index>(),
    ) {
        let mut block = lower_result(&laid, &value).unwrap().to_vec();
        for (at, byte) in changes {
            let at = at.index(block.len());
            block[at] = byte;
        }
        // What is read is a value of this type: it can be written again.
        for block in [&block[..], &block[..end.index(block.len())]] {
            if let Ok(read) = lift_result(&laid, block) {
                prop_assert!(lower_result(&laid, &read).is_ok());
            }
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused((laid, value) in any_value(), (other, _) in any_value()) {
        // A value that happens to be one of both types is one: an empty list, an option of nothing.
        if let Ok(block) = lower_result(&other, &value) {
            let read = lift_result(&other, &block).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(lower_result(&laid, &read).is_ok(), true);
        }
    }
}
