//! A block that is made of the engine's values says the same in JSON and in Rust.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use wasmtime::component::Val;

use super::{any_value, lift_result, lower_arguments, lower_result, value};
use crate::typed::{
    FunctionType, Laid, ValueType, arguments_of_json, check_arguments, check_result, has_fields_in_order, read_result,
    result_as_json, write_arguments,
};

/// A value of a type.
fn value_of(laid: Laid) -> impl Strategy<Value = Val> {
    vec(any::<u64>(), 1..64).prop_map(move |numbers| {
        let mut numbers = numbers.into_iter().cycle();
        value(&laid, &mut || numbers.next().unwrap_or_default())
    })
}

/// A function that takes and returns one value of a type.
fn same(laid: &Laid) -> FunctionType {
    let params = ValueType::Record(vec![("it".into(), laid.clone())]).into();
    FunctionType { interface: None, name: "same".into(), params, result: Some(laid.clone()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_comes_back_from_json((laid, value) in any_value()) {
        let function = same(&laid);
        let block = lower_result(&laid, &value).unwrap();
        let json = result_as_json(&function, Some(&block)).unwrap().unwrap();
        for text in [format!("[{json}]"), format!("{{\"it\": {json}}}")] {
            let written = match arguments_of_json(&function, &text) {
                Ok(written) => written,
                Err(error) => return Err(TestCaseError::fail(format!("{text} as {laid}: {error}"))),
            };
            prop_assert_eq!(lift_result(&laid, &written).unwrap(), value.clone(), "{}", text);
            prop_assert_eq!(written.len(), lower_arguments(&function, std::slice::from_ref(&value)).unwrap().len());
        }
    }

    #[test]
    fn json_of_another_type_is_read_or_refused((laid, value) in any_value(), (other, _) in any_value()) {
        let block = lower_result(&laid, &value).unwrap();
        let json = result_as_json(&same(&laid), Some(&block)).unwrap().unwrap();
        // What is taken is a value of that type.
        if let Ok(written) = arguments_of_json(&same(&other), &format!("[{json}]")) {
            prop_assert!(lift_result(&other, &written).is_ok());
        }
    }
}

/// Of each kind something, as Rust has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    unit_price: u64,
    r#type: i8,
    weight: f32,
    ratio: f64,
    sign: char,
    names: Vec<String>,
    note: Option<Option<bool>>,
    state: State,
    pair: (u16, i32),
    done: Result<(), String>,
    extras: Vec<Extra>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    UnknownSku(String),
    Moved { from: u32, to: Option<i64> },
    Both(u8, bool),
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Extra {
    Gift,
    NextDay,
}

fn order() -> Laid {
    let named = |fields: Vec<(&str, ValueType)>| {
        ValueType::Record(fields.into_iter().map(|(name, ty)| (name.into(), ty.into())).collect())
    };
    let list = |ty: ValueType| ValueType::List(Box::new(ty.into()));
    let option = |ty: ValueType| ValueType::Option(Box::new(ty.into()));
    let moved = named(vec![("from", ValueType::U32), ("to", option(ValueType::S64))]);
    let both = ValueType::Tuple(vec![ValueType::U8.into(), ValueType::Bool.into()]);
    let state = ValueType::Variant(vec![
        ("unknown-sku".into(), Some(ValueType::String.into())),
        ("moved".into(), Some(moved.into())),
        ("both".into(), Some(both.into())),
        ("closed".into(), None),
    ]);
    named(vec![
        ("unit-price", ValueType::U64),
        ("type", ValueType::S8),
        ("weight", ValueType::F32),
        ("ratio", ValueType::F64),
        ("sign", ValueType::Char),
        ("names", list(ValueType::String)),
        ("note", option(option(ValueType::Bool))),
        ("state", state),
        ("pair", ValueType::Tuple(vec![ValueType::U16.into(), ValueType::S32.into()])),
        ("done", ValueType::Result(None, Some(Box::new(ValueType::String.into())))),
        ("extras", ValueType::Flags(vec!["gift".into(), "next-day".into()])),
        ("bytes", list(ValueType::U8)),
    ])
    .into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_of_rust_is_written_as_it_was_read(value in value_of(order())) {
        let function = same(&order());
        let block = lower_result(&order(), &value).unwrap();
        for in_order in [true, false] {
            let read: Order = read_result(&function, Some(&block), in_order).unwrap();
            let written = write_arguments(&function, &(read,)).unwrap();
            prop_assert_eq!(lift_result(&order(), &written).unwrap(), value.clone());
        }
    }
}

#[test]
fn types_that_differ_are_told_by_where() {
    let function = same(&order());
    check_arguments::<(Order,)>(&function).unwrap();
    check_result::<Order>(&function).unwrap();

    #[derive(Serialize, Deserialize)]
    struct Named {
        it: Order,
    }
    check_arguments::<Named>(&function).unwrap();

    let of = |name: &str, ty: ValueType| same(&ValueType::Record(vec![(name.into(), ty.into())]).into());
    #[derive(Serialize, Deserialize)]
    struct Told {
        state: State,
    }
    let text = || Some(Laid::from(ValueType::String));
    let states = |names: &[&str]| ValueType::Variant(names.iter().map(|name| ((*name).into(), text())).collect());
    for (function, told) in [
        (of("state", ValueType::U8), "/it/state: it is u8, and the enum State in Rust"),
        (of("count", ValueType::U8), "/it/count: it is u8, and there is no such field in Rust"),
        (
            of("state", states(&["unknown-sku", "gone"])),
            "/it/state: it is variant { unknown-sku(string), gone(string) }, and State has a case `Moved` in Rust",
        ),
    ] {
        assert_eq!(check_arguments::<(Told,)>(&function).unwrap_err().to_string(), told);
    }
    // What a type does not read it does not write either: a field too many is told when it is written.
    #[derive(Serialize, Deserialize)]
    struct More {
        state: u8,
        colour: Option<u8>,
    }
    let error = check_arguments::<(More,)>(&of("state", ValueType::U8)).unwrap_err();
    assert_eq!(error.to_string(), "/0/colour: record { state: u8 } has no such field");
    let error = check_result::<(u8,)>(&same(&ValueType::U8.into())).unwrap_err();
    assert_eq!(error.to_string(), "of the result, it is u8, and a tuple of 1 in Rust");
    // A case that comes last, and in the depth, is seen.
    #[derive(Serialize, Deserialize)]
    enum Deep {
        A(Option<Option<Extra>>),
    }
    let extras = |names: &[&str]| ValueType::Enum(names.iter().map(|name| (*name).into()).collect());
    let twice = |ty: ValueType| ValueType::Option(Box::new(ValueType::Option(Box::new(ty.into())).into()));
    let deep = |ty| same(&ValueType::Variant(vec![("a".into(), Some(Laid::from(twice(ty))))]).into());
    check_result::<Deep>(&deep(extras(&["gift", "next-day"]))).unwrap();
    let error = check_result::<Deep>(&deep(extras(&["gift", "next-day", "gold"]))).unwrap_err();
    assert!(error.to_string().ends_with("and Extra has no case `gold` in Rust"), "{error}");
    assert_eq!(error.at(), "/A");
}

#[test]
fn fields_are_read_in_order_only_where_they_stand_in_it() {
    let two = |one: &str, other: &str| {
        ValueType::Record(vec![(one.into(), ValueType::U8.into()), (other.into(), ValueType::U8.into())])
    };
    #[derive(Debug, PartialEq, Deserialize)]
    struct Both {
        a: u8,
        b: u8,
    }
    // It is nothing but a map, and has no order.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        both: Both,
    }
    let within = |ty: ValueType| {
        let case = |carried| ValueType::Variant(vec![("none".into(), None), ("some".into(), Some(carried))]);
        case(Laid::from(ty))
    };
    #[derive(Debug, PartialEq, Deserialize)]
    enum Within {
        None,
        Some(Both),
    }
    assert!(has_fields_in_order::<Order>(&same(&order())));
    assert!(has_fields_in_order::<Both>(&same(&two("a", "b").into())));
    assert!(has_fields_in_order::<Flat>(&same(&two("b", "a").into())));
    assert!(has_fields_in_order::<Within>(&same(&within(two("a", "b")).into())));
    assert!(!has_fields_in_order::<Both>(&same(&two("b", "a").into())));
    assert!(!has_fields_in_order::<Within>(&same(&within(two("b", "a")).into())));
    let swapped = same(&two("b", "a").into());
    assert_eq!(read_result::<Both>(&swapped, Some(&[1, 2]), false).unwrap(), Both { a: 2, b: 1 });
    assert_eq!(read_result::<Flat>(&swapped, Some(&[1, 2]), true).unwrap().both, Both { a: 2, b: 1 });
    assert_eq!(check_result::<Both>(&swapped), Ok(()));
}
