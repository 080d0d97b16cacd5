//! A keyed service whose release keeps its states in another schema: each key's state is brought over when the new release comes to it, at the deployment or
//! when it wakes next. Whatever fails on the way, no message is lost, and no committed turn is discarded unless somebody asks for it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use airssys_tests::deploying::{Deploying, Load, quick};
use airssys_tests::heir;
use airssys_wasm::Runtime;
use airssys_wasm::compose::Topology;
use airssys_wasm::deploy::Progress;
use airssys_wasm::registry::Release;
use serde_json::{Value, json};

/// Few may be awake, of many keys: they wake and fall asleep all the time.
const RESTLESS: &str = "keyed = { max_awake = 8, idle_timeout = \"20ms\" }";
fn topology(settings: &str) -> String {
    format!(
        r#"
        name = "keyed"
        [settings]
        reserve_timeout = "60s"
        [[service]]
        name = "counter"
        release = "one.wasm"
        {settings}
        limits = {{ turn_budget = "200ms", start_timeout = "500ms", memory = "4MiB" }}
        "#
    )
}

/// Starts a mesh whose first release does this.
async fn start(settings: &str, way: &str) -> Deploying {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.wasm"), heir("one", way, 0)).unwrap();
    let file = folder.path().join("airssys.toml");
    std::fs::write(&file, topology(settings)).unwrap();
    let builder = Runtime::builder().data_folder(folder.path().join("data"));
    let runtime = builder.start(&Topology::read(&file).unwrap()).await.unwrap();
    Deploying { runtime: Arc::new(runtime), folder }
}

fn release(mesh: &Deploying, name: &str, way: &str, schema: u32) -> Release {
    let path: PathBuf = mesh.path(name);
    std::fs::write(&path, heir(name, way, schema)).unwrap();
    let mut release = Release::find(&path).unwrap();
    release.manifest.state_schema = schema;
    release
}

async fn deploy(mesh: &Deploying, release: Release) -> Progress {
    mesh.runtime.deploy("counter", release, quick()).await.unwrap().ended().await
}

/// Who answers a message to a key.
async fn answers(mesh: &Deploying, key: &str, from: &str, number: u64) -> String {
    mesh.ask_key(key, from, number).await["release"].as_str().unwrap().to_owned()
}

/// What a key keeps, as far as it is the count or about the schema.
fn kept(mesh: &Deploying, key: &str) -> BTreeMap<String, Value> {
    let names = ["handled", "doubled", "brought over from", "out of order"];
    let all = names.into_iter().map(|name| (name.to_owned(), mesh.stored(key, name)));
    all.filter(|(_, value)| !value.is_null()).collect()
}

fn holds(name: &str, value: u64) -> BTreeMap<String, Value> {
    BTreeMap::from([(name.to_owned(), json!(value))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_each_message_counts_once_in_whichever_schema() {
    const KEYS: usize = 30;
    let mesh = start(RESTLESS, "healthy").await;
    // Keys that nobody sends to meanwhile.
    for key in ["sleeper 1", "sleeper 2"] {
        assert_eq!(answers(&mesh, key, "a", 1).await, "one");
    }
    let load = Load::with_keys(&mesh, KEYS, "k");
    load.more(500).await;
    assert_eq!(deploy(&mesh, release(&mesh, "two", "healthy", 1)).await, Progress::Live);
    load.more(500).await;
    let all = load.drain(&mesh).await;
    let states = mesh.runtime.state("counter");
    assert_eq!((mesh.counted("doubled"), mesh.counted("handled")), (2 * all, 2), "each once, in the new schema");
    assert_eq!(states.len(), KEYS + 2);
    // They have slept through it.
    for key in ["sleeper 1", "sleeper 2"] {
        assert_eq!(kept(&mesh, key), holds("handled", 1));
        assert_eq!(answers(&mesh, key, "a", 2).await, "two");
        assert_eq!(kept(&mesh, key), holds("doubled", 4));
    }
    mesh.stop().await;
}
