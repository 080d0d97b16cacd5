//! Any value of any type goes into a component, and comes out of it, as the engine itself takes it in and out.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use wasmtime::component::{Component, Instance, Linker, Val};
use wasmtime::{Config, Engine, Store, StoreContextMut};

use super::super::block::tests::{any_type, any_value};
use super::super::block::{lift_result, lower_result};
use super::{Answer, Answering, Crossing, Given, Taken, define, typed};
use crate::typed::{FunctionType, Laid, ValueType};

/// What came from a component.
type Seen = Arc<Mutex<Vec<Bytes>>>;

/// A type as the text of components says it. Those that need a name are told to `named`, which gives them one.
fn text(laid: &Laid, named: &mut impl FnMut(String) -> String) -> String {
    let maybe = |laid: Option<&Laid>, named: &mut _| laid.map_or(String::new(), |laid| text(laid, named));
    match &laid.ty {
        ValueType::List(of) => format!("(list {})", text(of, named)),
        ValueType::Option(of) => format!("(option {})", text(of, named)),
        ValueType::Tuple(types) => {
            let types: Vec<String> = types.iter().map(|laid| text(laid, named)).collect();
            format!("(tuple {})", types.join(" "))
        }
        ValueType::Result(ok, error) => {
            let (ok, error) = (maybe(ok.as_deref(), named), error.as_deref().map(|error| text(error, named)));
            format!("(result {ok} {})", error.map_or(String::new(), |error| format!("(error {error})")))
        }
        ValueType::Record(fields) => {
            let fields: String =
                fields.iter().map(|(name, laid)| format!("(field \"{name}\" {})", text(laid, named))).collect();
            named(format!("(record {fields})"))
        }
        ValueType::Variant(cases) => {
            let cases: String =
                cases.iter().map(|(name, of)| format!("(case \"{name}\" {})", maybe(of.as_ref(), named))).collect();
            named(format!("(variant {cases})"))
        }
        ValueType::Enum(names) => named(format!("(enum {})", quoted(names))),
        ValueType::Flags(names) => named(format!("(flags {})", quoted(names))),
        plain => Laid::from(plain.clone()).to_string(),
    }
}

fn quoted(names: &[Box<str>]) -> String {
    names.iter().map(|name| format!("\"{name}\" ")).collect()
}

/// The values of a core function that a value is passed as.
fn core_types(ty: &ValueType) -> Vec<&'static str> {
    let all = |types: &mut dyn Iterator<Item = &Laid>| types.flat_map(|laid| core_types(&laid.ty)).collect();
    let one_of = |carried: &mut dyn Iterator<Item = &Laid>| {
        let mut joined: Vec<&'static str> = Vec::new();
        for laid in carried {
            for (at, ty) in core_types(&laid.ty).into_iter().enumerate() {
                match joined.get_mut(at) {
                    None => joined.push(ty),
                    Some(with) if *with == ty => {}
                    Some(with) => *with = if [*with, ty].iter().all(|ty| ty.ends_with("32")) { "i32" } else { "i64" },
                }
            }
        }
        joined.insert(0, "i32");
        joined
    };
    match ty {
        ValueType::F32 => vec!["f32"],
        ValueType::F64 => vec!["f64"],
        ValueType::S64 | ValueType::U64 => vec!["i64"],
        ValueType::String | ValueType::List(_) => vec!["i32", "i32"],
        ValueType::Record(fields) => all(&mut fields.iter().map(|(_, laid)| laid)),
        ValueType::Tuple(types) => all(&mut types.iter()),
        ValueType::Variant(cases) => one_of(&mut cases.iter().filter_map(|(_, of)| of.as_ref())),
        ValueType::Option(of) => one_of(&mut std::iter::once(&**of)),
        ValueType::Result(ok, error) => one_of(&mut ok.iter().chain(error).map(|of| &**of)),
        ValueType::Flags(names) => vec!["i32"; names.len().div_ceil(32)],
        _ => vec!["i32"],
    }
}

/// A component whose `g` calls the `f` that it imports with its argument, and returns what that returns. What it
/// allocates is full of something else before.
fn passes_on(laid: &Laid, encoding: &str) -> String {
    let mut types = Vec::new();
    let within = text(laid, &mut |ty| {
        types.push(ty);
        format!("$n{}", types.len() - 1)
    });
    let (mut inner, mut outer, mut count) = (String::new(), String::new(), 0);
    for (at, ty) in types.iter().enumerate() {
        write!(inner, "(type $t{at} {ty}) (export \"t{at}\" (type $n{at} (eq $t{at})))").unwrap();
        write!(outer, "(alias export $m \"t{at}\" (type $a{at}))").unwrap();
    }
    let without = text(laid, &mut |_| {
        count += 1;
        format!("$a{}", count - 1)
    });
    let flats = core_types(&laid.ty);
    let params = if flats.len() > 16 { vec!["i32"] } else { flats.clone() };
    let given: String = (0..params.len()).map(|at| format!("(local.get {at})")).collect();
    let (place, result, call) = match &flats[..] {
        [one] => ("", format!("(result {one})"), format!("(call $f {given})")),
        _ => ("i32", String::new(), format!("(call $f {given} (i32.const 1024)) (i32.const 1024)")),
    };
    let returned = if place.is_empty() { result.clone() } else { "(result i32)".to_owned() };
    let params = params.join(" ");
    format!(
        r#"(component
            (import "m" (instance $m {inner} (export "f" (func (param "a" {within}) (result {within})))))
            {outer}
            (alias export $m "f" (func $f))
            (core module $memory
                (memory (export "memory") 64)
                (global $end (mut i32) (i32.const 131072))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                    (local.set $at (i32.and
                        (i32.sub (i32.add (global.get $end) (local.get 2)) (i32.const 1))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (memory.fill (local.get $at) (i32.const 0xaa) (local.get 3))
                    (memory.copy (local.get $at) (local.get 0) (local.get 1))
                    (global.set $end (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $memory (instantiate $memory))
            (core func $lowered (canon lower (func $f)
                (memory $memory "memory") (realloc (func $memory "realloc")) string-encoding={encoding}))
            (core module $pass
                (import "" "f" (func $f (param {params} {place}) {result}))
                (import "" "memory" (memory 1))
                (func (export "g") (param {params}) {returned}
                    (memory.fill (i32.const 1024) (i32.const 0xaa) (i32.const 4096))
                    {call}))
            (core instance $given (export "f" (func $lowered)) (export "memory" (memory $memory "memory")))
            (core instance $pass (instantiate $pass (with "" (instance $given))))
            (func (export "g") (param "a" {without}) (result {without}) (canon lift (core func $pass "g")
                (memory $memory "memory") (realloc (func $memory "realloc")) string-encoding={encoding})))"#
    )
}

/// Answers with what it is given.
struct Echo(Seen);

impl Answer<()> for Echo {
    fn answer<'a, R: From<Crossing>>(&self, _: StoreContextMut<'a, ()>, (block, _): Crossing) -> Answering<'a, R> {
        self.0.lock().unwrap().push(block.clone());
        Box::new(async move { Ok((block, Vec::new()).into()) })
    }
}

/// A component whose `g` returns what lies at the begin of its memory.
fn returns(laid: &Laid, memory: &[u8]) -> String {
    let (mut types, mut named) = (String::new(), 0);
    let ty = text(laid, &mut |ty| {
        named += 1;
        write!(types, "(type $t{named} {ty}) (export $n{named} \"t{named}\" (type $t{named}))").unwrap();
        format!("$n{named}")
    });
    let (result, returned) = match &core_types(&laid.ty)[..] {
        [one] => (*one, format!("({one}.load (i32.const 0))")),
        _ => ("i32", "(i32.const 0)".to_owned()),
    };
    let data: String = memory.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(component
            {types}
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 0) "{data}")
                (func (export "g") (result {result}) {returned}))
            (core instance $m (instantiate $m))
            (func (export "g") (result {ty}) (canon lift (core func $m "g") (memory $m "memory"))))"#
    )
}

/// `f` answers with what it is given: as a block, or as the engine's own value, where it keeps a copy.
fn instance(component: &Component, laid: &Laid, as_block: bool) -> (Store<()>, Instance, Seen) {
    let seen = Seen::default();
    let mut linker = Linker::<()>::new(component.engine());
    let mut imported = linker.instance("m").unwrap();
    if as_block {
        let params = ValueType::Record(vec![("a".into(), laid.clone())]).into();
        let ty = FunctionType { interface: None, name: "f".into(), params, result: Some(laid.clone()) };
        define(&mut imported, &ty, Echo(Arc::clone(&seen))).unwrap();
    } else {
        imported
            .func_new("f", |_, _, arguments, results| {
                results[0] = arguments[0].clone();
                Ok(())
            })
            .unwrap();
    }
    let mut store = Store::new(component.engine(), ());
    let instance = linker.instantiate_async(&mut store, component).now_or_never().unwrap().unwrap();
    (store, instance, seen)
}

fn engine() -> Engine {
    Engine::new(Config::new().concurrency_support(false)).unwrap()
}

fn crosses(engine: &Engine, laid: &Laid, value: &Val, encoding: &str) {
    let component = wat::parse_str(passes_on(laid, encoding)).unwrap();
    let component = Component::new(engine, component).unwrap();
    let block = lower_result(laid, value).unwrap();
    for as_block in [true, false] {
        let (mut store, instance, seen) = instance(&component, laid, as_block);
        let g = instance.get_func(&mut store, "g").unwrap();
        let typed = typed(g);
        let Taken(back, _) = typed.call_async(&mut store, Given(&block, Vec::new())).now_or_never().unwrap().unwrap();
        assert_eq!(&lift_result(laid, &back).unwrap(), value);
        assert_eq!(back, block, "equal values are equal blocks");
        let mut result = [Val::Bool(false)];
        let argument = [value.clone()];
        g.call_async(&mut store, &argument, &mut result).now_or_never().unwrap().unwrap();
        assert_eq!(&result[0], value);
        for seen in &*seen.lock().unwrap() {
            assert_eq!(*seen, block);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_value_crosses_as_the_engine_has_it_cross((laid, value) in any_value(), encoding in 0..3_usize) {
        // Few components are not of the first one.
        crosses(&engine(), &laid, &value, ["utf8", "utf16", "latin1+utf16"][encoding]);
    }

    #[test]
    fn what_lies_in_a_memory_is_read_as_the_engine_reads_it_or_refused_as_well(
        ty in any_type(),
        // Small numbers are cases and places more often than any are.
        memory in proptest::collection::vec(prop_oneof![4 => Just(0), 3 => 0..4_u8, 1 => any::<u8>()], 256),
    ) {
        let laid = Laid::from(ty);
        let component = wat::parse_str(returns(&laid, &memory)).unwrap();
        let component = Component::new(&engine(), component).unwrap();
        let (mut store, instance, _) = instance(&component, &laid, true);
        let g = instance.get_func(&mut store, "g").unwrap();
        let typed = typed(g);
        let ours = typed.call_async(&mut store, Given(&[], Vec::new())).now_or_never().unwrap();
        let (mut store, instance, _) = self::instance(&component, &laid, true);
        let g = instance.get_func(&mut store, "g").unwrap();
        let mut value = [Val::Bool(false)];
        match g.call_async(&mut store, &[], &mut value).now_or_never().unwrap() {
            Ok(()) => prop_assert_eq!(ours.unwrap().0, lower_result(&laid, &value[0]).unwrap()),
            Err(_) => prop_assert!(ours.is_err()),
        }
    }
}
