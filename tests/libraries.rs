//! Components that are made of libraries nobody here wrote: called by their own types, crashed, replaced and rolled
//! back while they are called. They answer what the same binary answers under plain wasmtime.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, guest_in};
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Runtime, Value};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, Strategy};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What is called: an interface, its functions, and an argument of each call.
struct Program {
    interface: &'static str,
    calls: &'static [(&'static str, &'static str)],
}

mod python {
    use super::Program;

    /// A guest with the library `mistune` of Python's index.
    const MARKDOWN: Program = Program {
        interface: "acme:docs/markdown@1.0.0",
        calls: &[
            ("render", "# Preise\n\n*Äpfel* & **Birnen**: ~~3 €~~ 2 €\n\n1. eins\n2. zwei\n   - drei <b>\n"),
            ("render", "| a | b |\n|---|--:|\n| 1 | `x < y` |\n\n```rust\nlet a = \"b\";\n```\n"),
            ("render", "[a](http://example.org \"t\") ![b](c.png)\n\n> so\n> it goes\n"),
            ("render", ""),
            ("headings", "# one *two*\n\ntext\n\n### three `four`\n\nfive\n====\n"),
            ("headings", "no heading"),
        ],
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_library_of_the_index_works_as_under_plain_wasmtime_under_load() {
        super::works_as_under_plain_wasmtime_under_load("python", "markdown", &MARKDOWN).await;
    }
}

struct Plain {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Plain {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What the calls give under plain wasmtime: a new engine, and WASI that reaches nothing. By the baseline compiler,
/// since the other one takes ten times as long.
async fn plainly(binary: &Path, program: &Program) -> Vec<Option<Value>> {
    let engine = Engine::new(Config::new().strategy(Strategy::Winch)).unwrap();
    let component = Component::from_file(&engine, binary).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let mut store = Store::new(&engine, Plain { wasi: WasiCtx::builder().build(), table: ResourceTable::new() });
    let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
    let interface = instance.get_export_index(&mut store, None, program.interface).unwrap();
    let mut answers = Vec::new();
    for (name, argument) in program.calls {
        let function = instance.get_export_index(&mut store, Some(&interface), name).unwrap();
        let function = instance.get_func(&mut store, function).unwrap();
        let mut results = [Value::Bool(false)];
        function.call_async(&mut store, &[Value::String((*argument).to_owned())], &mut results).await.unwrap();
        let [result] = results;
        answers.push(Some(result));
    }
    answers
}

/// The functions of a program in a mesh, and what each call of it is to give.
#[derive(Clone)]
struct Calls(Arc<[(&'static str, &'static str, Option<Value>)]>);

impl Calls {
    async fn call(&self, runtime: &Runtime, number: usize) {
        let (function, argument, answer) = &self.0[number % self.0.len()];
        let argument = Value::String((*argument).to_owned());
        let told = runtime.call_values("library", function, &[argument], PATIENCE).await;
        assert_eq!(told.as_ref(), Ok(answer));
    }
}

fn release(folder: PathBuf, version: &str) -> Release {
    let mut release = Release::find(&folder).unwrap();
    release.manifest.version = version.parse().unwrap();
    release
}

async fn works_as_under_plain_wasmtime_under_load(language: &str, name: &str, program: &Program) {
    let folder = guest_in(language, name);
    let binary = folder.with_file_name("target").join(format!("airssys/{name}.wasm"));
    let mesh = Mesh::start(&format!(
        "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"library\"\nrelease = {folder:?}\n"
    ))
    .await;
    let calls = program
        .calls
        .iter()
        .zip(plainly(&binary, program).await)
        .map(|((function, argument), answer)| (*function, *argument, answer));
    let calls = Calls(calls.collect());
    for number in 0..calls.0.len() {
        calls.call(&mesh.runtime, number).await;
    }

    // Who crashes it is told so, and the others are answered.
    let (runtime, called) = (Arc::clone(&mesh.runtime), calls.clone());
    let callers = Callers::numbered(4, move |caller, number| {
        let (runtime, called) = (Arc::clone(&runtime), called.clone());
        async move { called.call(&runtime, caller + usize::try_from(number).unwrap()).await }
    });
    callers.more(50).await;
    match mesh.runtime.invoke("library", "crash()", PATIENCE).await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "trap"),
        other => panic!("{other:?}"),
    }
    callers.more(50).await;

    let deployment = mesh.runtime.deploy("library", release(folder, "1.1.0"), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    callers.more(50).await;
    assert_eq!(mesh.runtime.rollback("library", quick()).unwrap().ended().await, Progress::Live);
    callers.more(50).await;
    let answered = callers.end().await;
    let status = mesh.status("library");
    let first = calls.0.len() as u64;
    // The call that crashed it, and no other.
    assert_eq!((status.handled, status.crashed, mesh.dead()), (answered + first, 1, vec!["crashed"]));
    mesh.stop().await;
}
