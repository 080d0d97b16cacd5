#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use super::super::record::Written;
use super::*;
use crate::hint::Coded;
use crate::registry::log::Log;

fn source(name: &str) -> Source {
    Source {
        published: Some(format!("{name}@1.0.0")),
        component: name.into(),
        digest: name.to_owned(),
        schema: 0,
        kept: None,
    }
}

fn written_down(data: &Path) -> Arc<Log> {
    Arc::new(earlier::take_over(data).unwrap())
}

fn ledger(data: &Path) -> Ledger {
    Ledger::of(&written_down(data)).unwrap()
}

fn named(data: &Path) -> (String, Option<CutOff>) {
    let found = in_force(data).unwrap().unwrap();
    (found.topology.name, found.cut_off)
}

#[test]
fn either_the_old_one_or_the_new_one_is_in_force_wherever_it_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert!(in_force(data).unwrap().is_none());
    let next = |name: &str| Next {
        topology: Topology::new(name).to_text().unwrap(),
        served: BTreeMap::new(),
        schemas: Vec::new(),
        unsettled: vec![Unsettled::of("counter", source("one"), source("two")), Unsettled::gone("old")],
    };
    ledger(data).enforce(&Topology::new("old"), BTreeMap::new()).unwrap();
    assert_eq!(named(data), ("old".to_owned(), None));
    // Cut off before the commit.
    ledger(data).intend(next("new")).unwrap();
    assert_eq!(named(data), ("old".to_owned(), Some(CutOff::GoneBack)));
    assert_eq!(named(data), ("old".to_owned(), None), "it is said once");
    // Cut off after it, before the records of deployments know.
    let applying = ledger(data);
    applying.intend(next("new")).unwrap();
    applying.commit(next("new")).unwrap();
    assert_eq!(named(data), ("new".to_owned(), None));
    for _ in 0..2 {
        let log = written_down(data);
        let records = Records::of(&log, Some(data)).unwrap();
        Ledger::of(&log).unwrap().finish(&records).unwrap();
        let record = Records::of(&written_down(data), Some(data)).unwrap().get("counter").unwrap();
        assert_eq!((record.live, record.previous), (source("two"), Some(source("one"))));
    }
    forget(data, None).unwrap();
    assert!(in_force(data).unwrap().is_none());
}

#[test]
fn what_makes_no_sense_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let write = |topology: &str| {
        let written = serde_json::json!({
            "format": 1, "since": "then", "topology": topology, "next": null, "unsettled": []
        });
        written_down(data).add(Key::Topology, &written).unwrap();
    };
    let gone = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"/nowhere/a.wasm\"\n[[service]]\nname = \"b\"\nrelease = \"b@1.0.0\"\n";
    write(gone);
    // What served may be kept, so that this is for the start to say.
    let found = in_force(data).unwrap().unwrap().topology;
    let error = found.services().next().unwrap().release.gone().unwrap();
    assert!(error.to_string().contains("/nowhere/a.wasm") && error.hint == without_it(), "{error}");
    assert_eq!(needed(data).unwrap().into_iter().collect::<Vec<_>>(), ["b@1.0.0"]);
    write("name = \"m\"\ncolour = 1\n");
    assert!(matches!(in_force(data), Err(RecordError::Unusable(_))));
    for (written, says) in [
        (serde_json::json!({ "format": 2 }), "missing field"),
        (serde_json::json!({ "format": 2, "since": "", "topology": "", "next": null, "unsettled": [] }), "format 2"),
        (serde_json::json!([]), "invalid length"),
    ] {
        written_down(data).add(Key::Topology, &written).unwrap();
        let told = in_force(data).unwrap_err();
        assert!(matches!(&told, RecordError::Topology { record: Some(of), .. } if of == "topology"), "{told}");
        let hint = told.hint().unwrap().to_string();
        assert!(told.to_string().contains(says) && hint.contains("forget the record topology"), "{told}; {hint}");
    }
    forget(data, Some("topology")).unwrap();
    assert!(in_force(data).unwrap().is_none());
}

#[test]
fn a_service_that_is_said_twice_is_an_error() {
    let source = "{\"published\":null,\"component\":\"a\",\"digest\":\"a\",\"schema\":0}";
    let served = format!("{{\"named\":\"a\",\"live\":{source}}}");
    let known = "\"format\":1,\"since\":\"\",\"topology\":\"\",\"next\":null,\"unsettled\":[]";
    let written = |other: &str| format!("{{{known},\"served\":{{\"a\":{served},\"{other}\":{served}}}}}");
    assert!(Written::of(&written("b")).is_ok());
    let told = Written::of(&written("a")).unwrap_err();
    assert!(told.contains("\"a\" stands there twice"), "{told}");
}

#[test]
fn a_record_is_forgotten_by_its_name_and_an_unknown_one_names_those_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let told = forget(data, Some("topology")).unwrap_err();
    assert!(told.hint().unwrap().to_string().contains("there are none"), "{told}");
    let log = written_down(data);
    for key in ["topology", "stopped", "deployments/counter", "intents/counter", "intents/other"] {
        log.add(key.parse::<Key>().unwrap(), &1).unwrap();
    }
    for name in ["unknown", "counter", "deployments/nobody", "deployments/"] {
        let told = forget(data, Some(name)).unwrap_err();
        let hint = told.hint().unwrap().to_string();
        assert!(told.to_string().contains(name) && hint.contains("deployments/counter"), "{told}; {hint}");
    }
    let left = |name: &str| {
        forget(data, Some(name)).unwrap();
        written_down(data).keys().iter().map(Key::to_string).collect::<Vec<_>>()
    };
    // What is under way goes with what it would end.
    assert_eq!(left("deployments/counter"), ["topology", "stopped", "intents/other"]);
    assert_eq!(left("intents/other"), ["topology", "stopped"]);
    assert_eq!(left("topology"), ["stopped"]);
}
