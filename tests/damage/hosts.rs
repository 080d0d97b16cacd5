//! A host lives on without the durable states that are damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use airssys_tests::damaged::flip;
use airssys_tests::deploying::{Deploying, quick};
use airssys_tests::random;
use airssys_tests::{Mesh, PATIENCE, told};
use airssys_wasm::RuntimeError;
use airssys_wasm::command::{KeptState, StateFile};
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use serde_json::json;

use super::{ALONE, Services, Spoiled, States, bases, seeds, services, spoiled};

/// Hosts that are started on a damaged file: each takes some hundred times as long as a look at the file.
const HOSTS: usize = 200;

const DURABLE: &str = r#"
    name = "damaged"
    [[service]]
    name = "blobs"
    release = "@echo"
    state = "durable"
    [[service]]
    name = "carts"
    release = "@echo"
    state = "durable"
    keyed = {}
    [[service]]
    name = "ledger"
    release = "@echo"
    state = "durable"
    [[service]]
    name = "quiet"
    release = "@echo"
    state = "durable"
    [[service]]
    name = "aside"
    release = "@echo"
"#;

/// What a host has of each service, and which ones are damaged for it; whoever is not suspended answers. None where it
/// does not start.
async fn lived(folder: &Path, expected: &Services, how: &str) -> Option<(Services, BTreeSet<String>)> {
    let builder = airssys_wasm::Runtime::builder().data_folder(folder);
    let mesh = match Mesh::try_start(DURABLE, builder).await {
        Ok(mesh) => mesh,
        Err(refused) => {
            let refused = told!(refused.downcast_ref::<RuntimeError>().unwrap());
            assert!(refused.contains("state.redb") && refused.contains("hint: "), "{how}: {refused}");
            return None;
        }
    };
    assert!(mesh.runtime.call("aside", "hello", PATIENCE).await.is_ok(), "{how}");
    let (mut all, mut damaged) = (Services::new(), BTreeSet::new());
    for (service, states) in expected {
        let status = mesh.status(service);
        assert_eq!(status.suspended, !status.damage.is_empty(), "{how}: {service}");
        if status.suspended {
            damaged.insert(service.clone());
        }
        let found: States = mesh
            .runtime
            .state(service)
            .into_iter()
            .map(|(actor, values)| (actor.into(), KeptState { values, ..states.values().next().unwrap().clone() }))
            .collect();
        for (actor, found) in &found {
            let is_empty = found.values.is_empty();
            assert!(is_empty || states[actor].values == found.values, "{how}: {service}/{actor} has other data");
        }
        let found: States = found.into_iter().filter(|(_, kept)| !kept.values.is_empty()).collect();
        assert!(status.suspended || found.len() == states.len(), "{how}: {service} has not all, and nobody says so");
        for actor in states.keys().filter(|actor| found.contains_key(*actor)) {
            let address = if actor.is_empty() { service.clone() } else { format!("{service}/{actor}") };
            assert!(mesh.runtime.call(&address, "hello", PATIENCE).await.is_ok(), "{how}: {address}");
        }
        all.insert(service.clone(), found);
    }
    let report = mesh.runtime.shutdown().await;
    assert!(report.is_clean(), "{how}: {report:?}");
    Some((all, damaged))
}

#[test]
fn a_host_lives_on_without_the_states_that_are_damaged_and_never_has_others() {
    let _alone = ALONE.lock().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(hosts());
}

async fn hosts() {
    let expected = services(6);
    let made = tempfile::tempdir().unwrap();
    let bases = bases(made.path(), 0);
    let mut outcomes: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for seed in seeds().take(HOSTS) {
        let Spoiled { folder, path, bytes, what, how, .. } = spoiled(seed, &bases);
        let outcome = match lived(folder.path(), &expected, &how).await {
            None => {
                assert_eq!(fs::read(&path).unwrap(), bytes, "{how}: it was looked at only");
                "no host"
            }
            Some((found, damaged)) if damaged.is_empty() => {
                assert_eq!(found.values().map(BTreeMap::len).sum::<usize>(), 43, "{how}");
                "as it was"
            }
            Some(first) => {
                let kept = fs::read(path.with_file_name("state.damaged-1.redb")).unwrap();
                assert_eq!(kept, bytes, "{how}: nothing is written over");
                assert_eq!(lived(folder.path(), &expected, &how).await, Some(first), "{how}: at the next start");
                "lived on"
            }
        };
        *outcomes.entry((what, outcome)).or_default() += 1;
    }
    println!("{outcomes:#?}");
    let lived_on = outcomes.keys().any(|(_, outcome)| *outcome == "lived on");
    assert!(lived_on || random::given().is_some(), "no damage of these was of some states only");
}

const KINDS: &str = r#"
    name = "kinds"
    [[service]]
    name = "counter"
    release = "one.wasm"
    state = "durable"
    keyed = {}
    [[service]]
    name = "pool"
    release = "one.wasm"
    state = "durable"
    instances = 2
    partitioned = true
    [[service]]
    name = "single"
    release = "one.wasm"
    state = "durable"
"#;

/// Who has counted seven messages, on pages of its own.
fn counted(service: &str, actor: &str) -> (Box<str>, KeptState) {
    let pad = format!("\"needle of {service}/{actor} {}\"", "x".repeat(4_000));
    let values = BTreeMap::from([("handled".into(), 7_u64.to_le_bytes().to_vec().into()), ("pad".into(), pad.into())]);
    (actor.into(), KeptState { values, commits: 7, schema: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_state_is_damaged_is_suspended_alone_and_goes_on_when_it_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let states =
        |service: &str, actors: &[&str]| -> States { actors.iter().map(|actor| counted(service, actor)).collect() };
    let all = [
        ("counter", states("counter", &["a", "b", "c", "d", "e"])),
        ("pool", states("pool", &["a", "b", "c", "d", "e"])),
        ("single", states("single", &[""])),
    ];
    let put_back = |which: &str| {
        let file = StateFile::open(&data).unwrap();
        let those = all.iter().filter(|(service, _)| service.contains(which));
        those.for_each(|(service, states)| file.replace(service, states).unwrap());
    };
    put_back("");
    let path = StateFile::path(&data);
    for damaged in ["counter/c", "pool/c", "single/"] {
        flip(&path, &format!("needle of {damaged}"));
    }
    let damaged = fs::read(&path).unwrap();

    let deploying = Deploying::start_kept(KINDS, folder).await;
    for service in ["counter", "pool", "single"] {
        let status = deploying.status(service);
        assert!(status.suspended && !status.damage.is_empty(), "{status:?}");
    }
    let runtime = &deploying.runtime;
    let body = || json!({ "from": "test", "number": 1 }).to_string();
    let handled = |service: &str, key: &str| {
        let states = runtime.state(service);
        states
            .get(key)
            .and_then(|state| state.get("handled"))
            .map(|bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()))
    };
    for key in ["a", "e"] {
        for service in ["counter", "pool"] {
            let answered = runtime.call((service, key), body(), PATIENCE).await;
            assert!(answered.is_ok(), "{service}/{key}: {answered:?}");
            assert_eq!(handled(service, key), Some(8));
        }
    }
    // What is sent to a place that is suspended waits; a pool's keys have a mailbox together.
    runtime.send(("counter", "c"), body()).await.unwrap();
    runtime.send("single", body()).await.unwrap();
    let refused = runtime.call(("pool", "c"), body(), PATIENCE).await.unwrap_err();
    let CallError::Crashed(crash) = &refused else { panic!("{refused}") };
    assert!(crash.code() == "state-damaged" && crash.hint().is_some(), "{refused}");

    // A key that is suspended keeps no release out; nobody can say whether a release starts on a state that is not
    // there.
    let two = deploying.release("two", "healthy");
    let deployment = runtime.deploy("counter", two.clone(), quick()).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, deployment.ended()).await.unwrap(), Progress::Live);
    let deployment = runtime.deploy("single", two, quick()).await.unwrap();
    match tokio::time::timeout(PATIENCE, deployment.ended()).await.unwrap() {
        Progress::RolledBack { reason } => assert!(reason.to_string().contains("damaged"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let waits = |service: &str| deploying.status(service).queued;
    assert_eq!((waits("counter"), waits("single"), waits("pool")), (1, 1, 0));
    let answered = runtime.call(("counter", "a"), body(), PATIENCE).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&answered).contains("two"));
    assert_eq!((handled("counter", "c"), handled("single", "")), (None, None));

    // Two begin anew, with what waited for them.
    for (service, key) in [("counter", Some("c")), ("single", None)] {
        let forgotten = runtime.forget(service, key, PATIENCE).await.unwrap();
        assert_eq!((forgotten.values, forgotten.waiting), (0, 1), "{service}");
        let answered = runtime.call((service, "c"), body(), PATIENCE).await;
        assert!(answered.is_ok(), "{service}: {answered:?}");
        assert_eq!(handled(service, key.unwrap_or_default()), Some(2), "{service}");
    }
    let folder = deploying.stop().await;

    assert_eq!(fs::read(path.with_file_name("state.damaged-1.redb")).unwrap(), damaged);
    let survey = StateFile::survey(&data).unwrap();
    assert!(survey.check("pool", &data).is_err() && survey.states["counter"]["a"].commits == 9, "{:?}", survey.damage);
    assert_eq!(survey.states["counter"]["c"].values.get("pad"), None, "nothing is left of what it was");
    put_back("pool");
    let deploying = Deploying::start_kept(KINDS, folder).await;
    for (service, handled) in [("counter", 3), ("pool", 8), ("single", 3)] {
        let answered = deploying.runtime.call((service, "c"), body(), PATIENCE).await;
        assert!(answered.is_ok(), "{service}: {answered:?}");
        let states = deploying.runtime.state(service);
        let key = if service == "single" { "" } else { "c" };
        assert_eq!(u64::from_le_bytes(states[key]["handled"][..].try_into().unwrap()), handled, "{service}");
    }
    deploying.stop().await;
}
