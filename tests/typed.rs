//! A component that exports functions of its own is a service: no SDK, no handler. A call of one is a message as any
//! other is, and its values come back as they went.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::pricing::CALLS;
use airssys_tests::{Mesh, PATIENCE, builder};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::message::DeadReason;
use airssys_wasm::{InvokeError, Value, Written};

mod bindings {
    #![allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "guests/pricing/wit",
        world: "acme:shop/shop",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}
use bindings::exports::acme::shop::pricing::{Currency, Extras, Line, Order, Price, Problem};

// `bindgen!` derives nothing for flags.
airssys_wasm::flags!(Extras { GIFT, EXPRESS, INSURED });

const SHOP: &str = "name = \"m\"\n[[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\n";

async fn invoke(mesh: &Mesh, call: &str) -> Result<Option<String>, InvokeError> {
    mesh.runtime.invoke("pricing", call, PATIENCE).await
}

#[tokio::test]
async fn functions_of_a_component_that_never_heard_of_us_are_called() {
    let mesh = Mesh::start(SHOP).await;
    for (call, answer) in CALLS {
        assert_eq!(invoke(&mesh, call).await, Ok(answer.map(str::to_owned)), "{call}");
    }
    assert_eq!(mesh.status("pricing").handled, CALLS.len() as u64);
    mesh.stop().await;
}

#[tokio::test]
async fn values_of_every_type_come_back_in_json() {
    let mesh = Mesh::start(SHOP).await;
    for values in [
        r#"[true,-128,65535,-2147483648,18446744073709551615,0.1,-1.5,"€",[0,255],[null,"a"],{"ok":""},[1,-9223372036854775808,"z"]]"#,
        r#"[false,127,0,0,9007199254740993,"Infinity","NaN","\u0001",[],[],{"err":7},[0,0,""]]"#,
    ] {
        let call = Written::Json { function: "mirror", arguments: values };
        let answer = mesh.runtime.invoke("pricing", call, PATIENCE).await;
        assert_eq!(answer.map(Option::unwrap_or_default).as_deref(), Ok(values));
    }
    mesh.stop().await;
}

#[tokio::test]
async fn what_is_no_call_is_told_by_its_place_and_nothing_is_sent() {
    let mesh = Mesh::start(SHOP).await;
    let no = async |call: &str| invoke(&mesh, call).await.unwrap_err().to_string();
    let said = no("price(1)").await;
    assert!(
        said.starts_with("there is no function `price`; it exports ping, crash, acme:shop/pricing@1.0.0#quote"),
        "{said}"
    );
    for (call, place) in [("quote({sku: 1})", "at character 13: "), ("acme:shop/pricing#quote(", "at character 25: ")] {
        let said = no(call).await;
        assert!(said.starts_with(place) && !said.contains(".."), "{call}: {said}");
    }
    assert_eq!((mesh.status("pricing").handled, mesh.status("pricing").faulted), (0, 0));
    // Neither is a message of bytes.
    let refused = mesh.runtime.call("pricing", "hello", PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("acme:shop/pricing@1.0.0#quote"), "{refused}");
    mesh.runtime.send("pricing", "hello").await.unwrap();
    mesh.until("the message is a dead letter", |mesh| !mesh.dead().is_empty()).await;
    assert!(matches!(&mesh.runtime.dead_letters().1[0].reason, DeadReason::Fault(_)));
    mesh.stop().await;
}

#[tokio::test]
async fn a_function_is_called_with_the_types_of_its_interface() {
    let mesh = Mesh::start(SHOP).await;
    let quote = mesh.runtime.function::<(Order,), Result<Price, Problem>>("pricing", "quote").unwrap();
    let ask = async |sku: &str, qty, extras| {
        let order = Order { sku: sku.to_owned(), qty, extras, note: Some("für dich".to_owned()) };
        mesh.runtime.call_typed(&quote, None, &(order,), PATIENCE).await.unwrap()
    };
    let line = |text: &str, cents| (text.to_owned(), cents);
    let lines = vec![line("book", 2500), line("für dich", 300), line("insurance", 450)];
    let price = Price { cents: 3250, currency: Currency::Eur, lines };
    assert_eq!(ask("book", 2, Extras::GIFT | Extras::INSURED).await, Ok(price));
    assert_eq!(ask("car", 1, Extras::empty()).await, Err(Problem::UnknownSku("car".to_owned())));
    assert_eq!(ask("", 1, Extras::empty()).await, Err(Problem::Closed));
    let same = mesh.runtime.function::<(Line,), Line>("pricing", "same").unwrap();
    let line = Line { a: true, b: 2, c: -3, d: 4, e: -5, f: 0.5, g: 0.1, h: '€', name: "a line".to_owned() };
    let back = mesh.runtime.call_typed(&same, None, &(line.clone(),), PATIENCE).await;
    assert_eq!(back, Ok(line));
    let ping = mesh.runtime.function::<(), ()>("pricing", "ping").unwrap();
    assert_eq!(mesh.runtime.call_typed(&ping, None, &(), PATIENCE).await, Ok(()));
    // Types that differ are told before anything is called.
    let differs = mesh.runtime.function::<(Order,), Line>("pricing", "same").unwrap_err();
    let InvokeError::Misfit(misfit) = differs else { panic!("{differs}") };
    assert_eq!((misfit.at(), mesh.status("pricing").handled), ("/line/a", 5));
    mesh.stop().await;
}

#[tokio::test]
async fn a_function_is_called_with_values() {
    let mesh = Mesh::start(SHOP).await;
    let named = |name: &str, value| (name.to_owned(), value);
    let order = |qty| {
        Value::Record(vec![
            named("sku", Value::String("pen".to_owned())),
            named("qty", qty),
            named("extras", Value::Flags(Vec::new())),
            named("note", Value::Option(None)),
        ])
    };
    let quote = "acme:shop/pricing#quote";
    let call = async |order| mesh.runtime.call_values("pricing", quote, &[order], PATIENCE).await;
    let Ok(Some(Value::Result(Ok(Some(price))))) = call(order(Value::U32(3))).await else { panic!("no price") };
    assert!(matches!(&*price, Value::Record(fields) if fields[0] == named("cents", Value::U64(297))), "{price:?}");
    let refused = call(order(Value::U8(3))).await.unwrap_err();
    assert!(refused.to_string().starts_with("`order`: record { sku: string, qty: u32"), "{refused}");
    assert_eq!(mesh.runtime.function::<(), ()>("pricing", "price").unwrap_err().code(), "no-call");
    mesh.stop().await;
}

#[tokio::test]
async fn a_call_that_died_says_what_it_was_and_is_sent_again_as_it_was() {
    let mesh = Mesh::start(SHOP).await;
    let _crashed = invoke(&mesh, "crash(\"on \\\"purpose\\\"\")").await.unwrap_err();
    let letter = mesh.runtime.dead_letters().1.remove(0);
    assert_eq!(letter.call.as_deref(), Some("crash(\"on \\\"purpose\\\"\")"));
    mesh.runtime.replay(letter.id).await.unwrap();
    mesh.until("it crashed over it again", |mesh| mesh.status("pricing").crashed == 2).await;
    mesh.until("it is there again", |mesh| mesh.dead().len() == 1).await;
    let again = mesh.runtime.dead_letters().1.remove(0);
    assert_eq!((again.call, again.delivery), (letter.call, "send"));
    mesh.stop().await;
}

#[tokio::test]
async fn a_trap_in_a_function_is_a_crash_as_any_other() {
    let mesh = Mesh::start(SHOP).await;
    match invoke(&mesh, "crash(\"on purpose\")").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "trap"),
        other => panic!("{other:?}"),
    }
    mesh.until("it serves again", |mesh| mesh.status("pricing").started == 2).await;
    assert_eq!(invoke(&mesh, "ping()").await, Ok(None));
    mesh.stop().await;
}

/// Returns eight thousand lists that are all the same 64 KiB of its memory: half a gigabyte, if anybody copied it.
const BOMB: &str = r#"(component
    (core module $m
        (memory (export "memory") 3)
        (func (export "bomb") (result i32) (local $at i32)
            (loop $next
                (i32.store offset=65540 (local.get $at) (i32.const 65536))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 64000))))
            (i32.store (i32.const 131072) (i32.const 65536))
            (i32.store (i32.const 131076) (i32.const 8000))
            (i32.const 131072))
        (func (export "fine") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "bomb") (result (list (list u8)))
        (canon lift (core func $i "bomb") (memory $i "memory")))
    (func (export "fine") (result u32) (canon lift (core func $i "fine"))))"#;

#[tokio::test]
async fn a_result_that_would_fill_the_host_ends_its_instance_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = wat::parse_str(BOMB).unwrap();
    let topology = "name = \"m\"\n[[service]]\nname = \"pricing\"\nrelease = \"bomb.wasm\"\n";
    let mesh = Mesh::start_in(folder, topology, &[("bomb", &bomb)], builder()).await;
    match invoke(&mesh, "bomb()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "oversized"),
        other => panic!("{other:?}"),
    }
    mesh.until("it serves again", |mesh| mesh.status("pricing").started == 2).await;
    assert_eq!(invoke(&mesh, "fine()").await, Ok(Some("7".to_owned())));
    mesh.stop().await;
}
