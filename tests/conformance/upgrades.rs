//! A service that remembers, and keeps a state, goes from Rust to another language and back while it is called: nothing
//! is lost, nothing is done twice.

use std::sync::Arc;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, keeping};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::{MemoryHandover, Progress};
use airssys_wasm::registry::Release;
use serde_json::{Value, json};

use crate::conformance::suite::Language;

const CALLERS: usize = 4;

/// The tests of these languages.
macro_rules! upgrades {
    ($($module:ident $language:ident)*) => {
        $(mod $module {
            use crate::conformance::suite::Language;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn goes_from_rust_to_it_and_back_under_load() {
                super::goes_from_rust_to_it_and_back_under_load(Language::$language, "memory").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn goes_from_rust_to_it_and_back_with_its_state_on_disk() {
                super::goes_from_rust_to_it_and_back_under_load(Language::$language, "durable").await;
            }
        })*
    };
}

upgrades! { python Python javascript JavaScript c C }

fn topology(state: &str) -> String {
    format!(
        "name = \"upgrades\"\n[settings]\nreserve_timeout = \"60s\"\n\
         [[service]]\nname = \"counter\"\nrelease = {:?}\nstate = {state:?}\n",
        Language::Rust.guest()
    )
}

/// Tells the counter something; its answer.
async fn ask(runtime: &Runtime, command: Value) -> Value {
    let answer = runtime.call("counter", command.to_string(), PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// A caller's own count, and that of all, by one turn: it is one more each time.
async fn count(runtime: Arc<Runtime>, caller: usize, number: u64) {
    let command = json!({ "do": "all", "of": [
        { "do": "increment", "key": format!("caller {caller}"), "by": 1 },
        { "do": "increment", "key": "all", "by": 1 },
        { "do": "recall" },
    ] });
    let answer = ask(&runtime, command).await;
    assert_eq!((&answer[0], &answer[2]), (&json!(number), &json!("from the beginning")), "caller {caller}");
}

async fn deploy(mesh: &Mesh, language: Language) {
    let mut options = quick();
    options.allow_downgrade = true;
    options.same_version = true;
    options.memory = MemoryHandover::Required;
    let release = Release::find(&language.guest()).unwrap();
    let deployment = mesh.runtime.deploy("counter", release, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
}

async fn goes_from_rust_to_it_and_back_under_load(language: Language, state: &str) {
    let folder = tempfile::tempdir().unwrap();
    let builder = keeping(folder.path());
    let mesh = Mesh::start_in(folder, &topology(state), &[], builder).await;
    ask(&mesh.runtime, json!({ "do": "remember", "value": "from the beginning" })).await;
    let runtime = Arc::clone(&mesh.runtime);
    let callers = Callers::numbered(CALLERS, move |caller, number| count(Arc::clone(&runtime), caller, number));
    callers.more(100).await;
    for next in [language, Language::Rust, language, Language::Rust] {
        deploy(&mesh, next).await;
        callers.more(100).await;
    }
    let calls = callers.end_each().await;
    let all: u64 = calls.iter().sum();
    let status = mesh.status("counter");
    assert_eq!((status.handled, status.crashed, mesh.dead()), (all + 1, 0, Vec::new()));
    let folder = mesh.stop().await;
    if state == "durable" {
        // What was answered is on disk, and whoever comes next reads it, in whatever language.
        let builder = keeping(folder.path());
        let mesh = Mesh::start_in(folder, &topology(state), &[], builder).await;
        deploy(&mesh, language).await;
        assert_eq!(ask(&mesh.runtime, json!({ "do": "increment", "key": "all", "by": 0 })).await, json!(all));
        for (caller, number) in calls.iter().enumerate() {
            let count = json!({ "do": "increment", "key": format!("caller {caller}"), "by": 0 });
            assert_eq!(ask(&mesh.runtime, count).await, json!(number));
        }
        mesh.stop().await;
    }
}
