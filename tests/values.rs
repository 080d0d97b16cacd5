//! A value of any type goes over a wire and comes back as it went.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fmt::Write as _;

use airssys_tests::random::Random;
use airssys_tests::types::Ty;
use airssys_tests::{Mesh, PATIENCE, made};
use airssys_wasm::{Runtime, Value};

/// What makes the functions of all types have the same shape for a core module: so many parameters that they lie in
/// its memory, first the value and then a byte, and a result that lies there as well, of the same two.
const PAD: usize = 16;

fn wit(ty: &Ty, world: &str) -> String {
    let mut declared = Vec::new();
    let written = ty.written(&mut declared);
    let pad = vec!["u64"; PAD].join(", ");
    let of = |name: &str| format!("{name}: func(v: {written}, p: u8, pad: tuple<{pad}>) -> tuple<{written}, u8>;");
    let types = declared.iter().fold(String::new(), |mut text, one| {
        let _written = writeln!(text, "{one}");
        text
    });
    format!(
        "package acme:echo@1.0.0; interface echo {{ {types} {} }} interface passed {{ {types} {} }} \
         world it {{ {world} }}",
        of("same"),
        of("pass")
    )
}

/// Takes room in the memory, one piece after the other, and has all of it again after each call.
const ALLOCATOR: &str = r#"
    (memory (export "memory") 8)
    (global $free (mut i32) (i32.const 1024))
    (func $take (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
        (result i32) (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (local.get $at))
    (func $again (param i32) (global.set $free (i32.const 1024)))"#;

/// Gives back what it is given.
fn echo(ty: &Ty) -> Vec<u8> {
    let core = format!(
        r#"(module {ALLOCATOR}
            (func (export "acme:echo/echo@1.0.0#same") (param i32) (result i32) (local.get 0))
            (export "cabi_post_acme:echo/echo@1.0.0#same" (func $again)))"#
    );
    made::component(&wit(ty, "export echo;"), &core)
}

/// Has another one give it back.
fn passing(ty: &Ty) -> Vec<u8> {
    let core = format!(
        r#"(module
            (import "acme:echo/echo@1.0.0" "same" (func $same (param i32 i32)))
            {ALLOCATOR}
            (func (export "acme:echo/passed@1.0.0#pass") (param i32) (result i32) (local $back i32)
                (local.set $back (call $take (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 65536)))
                (call $same (local.get 0) (local.get $back))
                (local.get $back))
            (export "cabi_post_acme:echo/passed@1.0.0#pass" (func $again)))"#
    );
    made::component(&wit(ty, "import echo; export passed;"), &core)
}

/// How many types, and how many values of each.
fn rounds() -> (usize, usize) {
    let types = std::env::var("AIRSSYS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    (types, 12)
}

#[tokio::test]
async fn a_value_of_any_type_comes_back_over_a_wire_as_it_went() {
    let mut random = Random::told();
    let (types, values) = rounds();
    let types: Vec<Ty> = (0..types).map(|_| Ty::any(&mut random)).collect();
    // Some at a time: each is two services.
    for types in types.chunks(12) {
        let mut topology = "name = \"m\"\n".to_owned();
        let mut components = Vec::new();
        for (at, ty) in types.iter().enumerate() {
            let _written = write!(
                topology,
                "[[service]]\nname = \"echo{at}\"\nrelease = \"echo{at}.wasm\"\n[[service]]\nname = \"pass{at}\"\n\
                 release = \"pass{at}.wasm\"\nwires = {{ \"acme:echo/echo\" = \"echo{at}\" }}\n"
            );
            components.extend([(format!("echo{at}"), echo(ty)), (format!("pass{at}"), passing(ty))]);
        }
        let files: Vec<(&str, &[u8])> =
            components.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let mesh = Mesh::start_in(tempfile::tempdir().unwrap(), &topology, &files, Runtime::builder()).await;
        for (at, ty) in types.iter().enumerate() {
            let passing = format!("pass{at}");
            for _ in 0..values {
                let value = ty.value(&mut random);
                let pad = Value::Tuple(vec![Value::U64(u64::MAX); PAD]);
                let arguments = [value.clone(), Value::U8(7), pad];
                let back = mesh.runtime.call_values(&passing, "pass", &arguments, PATIENCE).await;
                let went = Value::Tuple(vec![value, Value::U8(7)]);
                assert_eq!(back, Ok(Some(went)), "{ty:?}");
            }
        }
        mesh.stop().await;
    }
}
