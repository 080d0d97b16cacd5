//! A library of npm's behind an interface of its own is a service, though nobody wrote it for this host: what it
//! answers is what the same component answers in plain wasmtime.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod javascript {
    use std::path::Path;

    use airssys_tests::calling::Callers;
    use airssys_tests::deploying::quick;
    use airssys_tests::{Mesh, PATIENCE, guest_in, keeping};
    use airssys_wasm::deploy::Progress;
    use airssys_wasm::error::CallError;
    use airssys_wasm::hint::Coded;
    use airssys_wasm::registry::{Draft, Release, Store};
    use airssys_wasm::{InvokeError, Runtime};
    use wasmtime::component::{Component, Linker, ResourceTable, Val};
    use wasmtime::{Config, Engine, Strategy};
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    const INTERFACE: &str = "acme:packages/versions@1.0.0";

    /// Functions, and arguments of theirs.
    const CALLS: [(&str, &[&str]); 8] = [
        ("parse", &["\"1.2.3-rc.1\""]),
        ("parse", &["\"1.2\""]),
        ("satisfies", &["\"1.4.7\"", "\"^1.2.0 || >=3 <3.5\""]),
        ("satisfies", &["\"2.0.0\"", "\"~1.2\""]),
        ("best", &["[\"1.2.3\", \"1.9.0\", \"2.0.0-beta\", \"1.10.1\"]", "\"1.x\""]),
        ("best", &["[]", "\"*\""]),
        ("sorted", &["[\"10.0.0\", \"9.1.0\", \"9.1.0-a\", \"0.0.1\"]"]),
        ("sorted", &["[]"]),
    ];

    fn component() -> Vec<u8> {
        std::fs::read(guest_in("javascript", "versions").join("../target/airssys/versions.wasm")).unwrap()
    }

    /// What a component may use of the machine in plain wasmtime: nothing.
    struct Nothing(WasiCtx, ResourceTable);

    impl WasiView for Nothing {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
        }
    }

    /// What the calls are answered in plain wasmtime.
    fn in_plain_wasmtime(binary: &[u8]) -> Vec<String> {
        // By the other compiler, which takes a tenth of the time.
        let engine = Engine::new(Config::new().strategy(Strategy::Winch)).unwrap();
        let component = Component::new(&engine, binary).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        let mut store = wasmtime::Store::new(&engine, Nothing(WasiCtx::default(), ResourceTable::new()));
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let interface = instance.get_export_index(&mut store, None, INTERFACE).unwrap();
        let mut answers = Vec::new();
        for (name, arguments) in CALLS {
            let index = instance.get_export_index(&mut store, Some(&interface), name).unwrap();
            let function = instance.get_func(&mut store, index).unwrap();
            let types = function.ty(&store);
            let values = types.params().zip(arguments).map(|((_, ty), text)| Val::from_wave(&ty, text).unwrap());
            let values: Vec<_> = values.collect();
            let mut results = [Val::Bool(false)];
            function.call(&mut store, &values, &mut results).unwrap();
            answers.push(results[0].to_wave().unwrap());
        }
        answers
    }

    async fn invoke(runtime: &Runtime, call: &str) -> Result<Option<String>, InvokeError> {
        runtime.invoke("versions", call, PATIENCE).await
    }

    fn publish(data: &Path, binary: Vec<u8>, version: &str) -> Release {
        let store = Store::open(data).unwrap();
        let text = format!("name = \"versions\"\nversion = \"{version}\"\n");
        let _published = store.publish(&Draft::new(binary, text).unwrap()).unwrap();
        store.resolve(&format!("versions@{version}")).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_library_is_published_called_crashed_replaced_and_rolled_back_under_load() {
        let binary = component();
        let expected = in_plain_wasmtime(&binary);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        publish(&data, binary.clone(), "1.0.0");
        // A custom section called `next`, and nothing in it: another release that does the same.
        let next = publish(&data, [&binary[..], &[0, 5, 4], b"next"].concat(), "1.1.0");
        let topology = "name = \"m\"\n[root]\nintensity = 100\n[settings]\nreserve_timeout = \"60s\"\n\
                        [[service]]\nname = \"versions\"\nrelease = \"versions@1.0.0\"\n";
        let runtime = keeping(folder.path());
        let mesh = Mesh::start_in(folder, topology, &[], runtime).await;
        let first = mesh.runtime.live_digest("versions").unwrap();

        let calls = CALLS.map(|(name, arguments)| format!("{name}({})", arguments.join(", ")));
        let calls = calls.into_iter().zip(expected).map(|(call, answer)| ("versions", call, Some(answer)));
        let calls: Vec<_> = calls.collect();
        for (_, call, answer) in &calls {
            assert_eq!(invoke(&mesh.runtime, call).await, Ok(answer.clone()), "{call}");
        }
        match invoke(&mesh.runtime, "sorted([\"1.0.0\", \"no version\"])").await {
            Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "trap"),
            other => panic!("{other:?}"),
        }
        mesh.until("it serves again", |mesh| mesh.status("versions").started == 2).await;

        let callers = Callers::start(&mesh, calls.clone());
        callers.more(200).await;
        let deployment = mesh.runtime.deploy("versions", next, quick()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
        assert_ne!(mesh.runtime.live_digest("versions").unwrap(), first);
        callers.more(200).await;
        let deployment = mesh.runtime.rollback("versions", quick()).unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
        assert_eq!(mesh.runtime.live_digest("versions").unwrap(), first);
        callers.more(200).await;
        let answered = callers.end().await;
        // One crashed; all the others were answered, each once.
        assert_eq!(mesh.dead().len(), 1);
        assert_eq!(mesh.status("versions").handled, answered + calls.len() as u64);
        mesh.stop().await;
    }
}
