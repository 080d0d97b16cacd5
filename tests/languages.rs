//! In which language a component is written nobody can tell by what it answers: one in any other is a service as one in
//! Rust is, also in the middle of the other's work.
//!
//! Each language has a module of its own, of the same tests; those are left out where its guests cannot be built.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::pricing::CALLS;
use airssys_tests::{Mesh, PATIENCE, guest, guest_in, log};
use airssys_wasm::deploy::{Deployment, Progress};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Runtime};
use serde::{Deserialize, Serialize};

/// A service in Rust that calls another one, of which it does not know what it is written in.
fn shop(pricing: &Path) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 100\n[settings]\nreserve_timeout = \"60s\"\n\
         [[service]]\nname = \"pricing\"\nrelease = {pricing:?}\n\
         [[service]]\nname = \"till\"\nrelease = \"@till\"\nwires = {{ \"acme:shop/pricing\" = \"pricing\" }}\n"
    )
}

/// What `same` takes and returns.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    a: bool,
    b: u8,
    c: i16,
    d: u32,
    e: i64,
    f: f32,
    g: f64,
    h: char,
    name: String,
}

async fn invoke(runtime: &Runtime, service: &str, call: &str) -> Result<Option<String>, InvokeError> {
    runtime.invoke(service, call, PATIENCE).await
}

/// The tests of a language.
macro_rules! language {
    ($module:ident, $raised:expr) => {
        mod $module {
            const NAME: &str = stringify!($module);

            #[tokio::test]
            async fn it_answers_as_one_in_rust() {
                super::it_answers_as_one_in_rust(NAME).await;
            }

            #[tokio::test]
            async fn one_in_rust_calls_it_over_a_wire() {
                super::one_in_rust_calls_it_over_a_wire(NAME).await;
            }

            #[tokio::test]
            async fn a_crash_in_it_is_one_as_any_other_and_what_it_printed_is_logged() {
                super::a_crash_is_one_as_any_other_and_what_it_printed_is_logged(NAME, $raised).await;
            }

            #[tokio::test]
            async fn it_outlives_what_its_calls_leave_behind() {
                super::it_outlives_what_its_calls_leave_behind(NAME).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_running_service_goes_from_rust_to_it_and_back_while_calls_go_on() {
                super::a_running_service_goes_from_rust_to_it_and_back_while_calls_go_on(NAME).await;
            }
        }
    };
}

language!(python, "RuntimeError: on purpose");
language!(javascript, "on purpose");
language!(c, "on purpose");

async fn it_answers_as_one_in_rust(language: &str) {
    let mesh = Mesh::start(&shop(&guest_in(language, "pricing"))).await;
    for (call, answer) in CALLS {
        assert_eq!(invoke(&mesh.runtime, "pricing", call).await, Ok(answer.map(str::to_owned)), "{call}");
    }
    assert_eq!(mesh.status("pricing").handled, CALLS.len() as u64);
    // What it exports is what was written, and no more than that.
    let said = invoke(&mesh.runtime, "pricing", "price(1)").await.unwrap_err().to_string();
    assert_eq!(
        said,
        "there is no function `price`; it exports ping, crash, acme:shop/pricing@1.0.0#quote, \
         acme:shop/pricing@1.0.0#mirror, acme:shop/pricing@1.0.0#same, acme:shop/pricing@1.0.0#carry, \
         acme:shop/pricing@1.0.0#audit, acme:shop/pricing@1.0.0#inspect"
    );
    mesh.stop().await;
}

async fn one_in_rust_calls_it_over_a_wire(language: &str) {
    let mesh = Mesh::start(&shop(&guest_in(language, "pricing"))).await;
    for (call, answer) in CHECKOUTS {
        assert_eq!(invoke(&mesh.runtime, "till", call).await, Ok(Some(answer.to_owned())), "{call}");
    }
    let many = vec!["255"; 5_000].join(", ");
    let same = invoke(&mesh.runtime, "till", &format!("values-come-back([{many}])")).await;
    assert_eq!(same, Ok(Some("true".to_owned())));
    let told = invoke(&mesh.runtime, "till", "inspect()").await.unwrap().unwrap();
    assert!(told.starts_with("err(\"the one called crashed: trap"), "{told}");
    mesh.until("it serves again", |mesh| mesh.status("pricing").started == 2).await;
    assert_eq!(invoke(&mesh.runtime, "till", "checkout(\"book\", 2)").await, Ok(Some("ok(2800)".to_owned())));
    assert_eq!(mesh.status("till").crashed, 0);
    mesh.stop().await;
}

async fn a_crash_is_one_as_any_other_and_what_it_printed_is_logged(language: &str, printed: &str) {
    log::listen();
    // Other tests in this process have a `pricing` as well.
    let name = format!("raises-{language}");
    let topology =
        shop(&guest_in(language, "pricing")).replace("\"pricing\"\nrelease", &format!("\"{name}\"\nrelease"));
    let mesh = Mesh::start(&topology.replace("= \"pricing\" }", &format!("= \"{name}\" }}"))).await;
    match invoke(&mesh.runtime, &name, "crash(\"on purpose\")").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "trap"),
        other => panic!("{other:?}"),
    }
    mesh.until("it serves again", |mesh| mesh.status(&name).started == 2).await;
    assert_eq!(invoke(&mesh.runtime, &name, "ping()").await, Ok(None));
    let lines = log::of("airssys::guest", &name);

    assert!(lines.iter().any(|(_, line)| line["message"] == printed), "{lines:?}");
    mesh.stop().await;
}

async fn it_outlives_what_its_calls_leave_behind(language: &str) {
    let mesh = Mesh::start(&shop(&guest_in(language, "pricing"))).await;
    let same = mesh.runtime.function::<(Line,), Line>("pricing", "same").unwrap();
    let name = "a line of an order".to_owned();
    let line = (Line { a: true, b: 2, c: -3, d: 4, e: -5, f: 0.5, g: 0.25, h: 'x', name },);
    // What they leave behind is more than its memory holds: an engine of JavaScript with 64 MiB ends at the 167,000th.
    for call in 0..400_000 {
        let back = mesh.runtime.call_typed(&same, None, &line, PATIENCE).await;
        assert!(back.as_ref() == Ok(&line.0), "call {call}: {:?}", back.err());
    }
    assert_eq!(mesh.status("pricing").crashed, 0);
    mesh.stop().await;
}

const CHECKOUTS: [(&str, &str); 4] = [
    ("checkout(\"book\", 2)", "ok(2800)"),
    ("checkout(\"car\", 1)", "err(\"we do not have car\")"),
    ("checkout(\"pen\", 101)", "err(\"101 are too many\")"),
    ("values-come-back([0, 255])", "true"),
];

/// Callers of both services.
fn callers(mesh: &Mesh) -> Callers {
    let own = CALLS.map(|(call, answer)| ("pricing", call.to_owned(), answer.map(str::to_owned)));
    let wired = CHECKOUTS.map(|(call, answer)| ("till", call.to_owned(), Some(answer.to_owned())));
    Callers::start(mesh, own.into_iter().chain(wired).collect())
}

async fn deploy(mesh: &Mesh, folder: &Path) -> Deployment {
    let mut options = quick();
    options.allow_downgrade = true;
    mesh.runtime.deploy("pricing", Release::find(folder).unwrap(), options).await.unwrap()
}

async fn a_running_service_goes_from_rust_to_it_and_back_while_calls_go_on(language: &str) {
    let mesh = Mesh::start(&shop(&guest("pricing"))).await;
    let rust = mesh.runtime.live_digest("pricing").unwrap();
    let callers = callers(&mesh);
    callers.more(200).await;
    assert_eq!(deploy(&mesh, &guest_in(language, "pricing")).await.ended().await, Progress::Live);
    assert_ne!(mesh.runtime.live_digest("pricing").unwrap(), rust);
    callers.more(200).await;
    assert_eq!(deploy(&mesh, &guest("pricing")).await.ended().await, Progress::Live);
    assert_eq!(mesh.runtime.live_digest("pricing").unwrap(), rust);
    callers.more(200).await;
    let answered = callers.end().await;
    // A call of the till is one of its turns, and one of the service that it calls.
    let (till, pricing) = (mesh.status("till"), mesh.status("pricing"));
    assert_eq!((till.crashed, pricing.crashed, mesh.dead()), (0, 0, Vec::new()));
    assert!(pricing.handled == answered && till.handled < answered, "{answered} calls, {till:?}, {pricing:?}");
    mesh.stop().await;
}
